/**
 * Ping sockets, SOCK_DGRAM with IPPROTO_ICMP: echo requests and their replies, the identifier in the place of a port. Linux:
 * net/ipv4/ping.c; read first icmp(7), RFC 792. Owns the list of those that have an identifier, linked by Sock.hashNext, newest
 * first. A packet in a receive queue starts at its ICMP header.
 */
import { csumFold, csumPartial } from "../../lib/checksum.ts";
import { mem8, memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import { SKB_DROP_REASON_NO_SOCKET } from "../../uapi/drop-reason.ts";
import {
  EACCES, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, EAGAIN, EHOSTUNREACH, EINVAL, EMSGSIZE, ENOPROTOOPT, EOPNOTSUPP, EPROTO,
  EREMOTEIO,
} from "../../uapi/errno.ts";
import {
  ICMP_DEST_UNREACH, ICMP_ECHO, ICMP_FRAG_NEEDED, ICMP_PARAMETERPROB, ICMP_REDIRECT, ICMP_SOURCE_QUENCH,
  NR_ICMP_UNREACH,
} from "../../uapi/icmp.ts";
import { INADDR_ANY, IP_PMTUDISC_DONT, IPPROTO_ICMP } from "../../uapi/in.ts";
import { RTN_BROADCAST, RTN_LOCAL, RTN_MULTICAST } from "../../uapi/rtnetlink.ts";
import { AF_INET, AF_UNSPEC, MSG_ERRQUEUE, MSG_OOB, SOCK_DGRAM } from "../../uapi/socket.ts";
import { TCP_ESTABLISHED } from "../../uapi/tcp.ts";
import { datagramPoll, skbCopyDatagram, skbFreeDatagram, skbRecvDatagram, skbRecvError, sockFilterSkb, sockTimestampSet } from "../core/datagram.ts";
import type { Net } from "../core/net.ts";
import { consumeSkb, kfreeSkb, skbDstDrop, skbFrags, type SkBuff } from "../core/skbuff.ts";
import { skbChainPurge, skbQueuePurge } from "../core/skb-queue.ts";
import {
  type Proto, SK_USERLOCKS, skDstReset, type Sock, SOCK_BINDADDR_LOCK, SOCK_BINDPORT_LOCK, SOCK_FILTERED, SOCK_REUSE, SOCK_TIMESTAMP,
  sockDefErrorReport, sockDefWriteSpace, sockOrphan, sockPut, sockQueueRcvSkb,
} from "../core/sock.ts";
import type { Msghdr, SockaddrIn } from "../core/sockaddr.ts";
import { ICMPH_CHECKSUM, ICMPH_CODE, ICMPH_ID, ICMPH_TYPE, ICMP_HLEN } from "../wire/icmp.ts";
import { IPH_DADDR } from "../wire/ip.ts";
import { inetAddrValidOrNonlocal, inetDgramOps, inetSkAlloc, inetSkFree } from "./af-inet.ts";
import {
  datagramConnect, datagramDisconnect, datagramIoctl, datagramPutSource, datagramShutdown, datagramUpdatePmtu,
} from "./datagram.ts";
import {
  DATAGRAM_HEADER, datagramPush, datagramSendError, datagramSendInit, datagramSendRoute, datagramSendSkb,
} from "./datagram-send.ts";
import { inetAddrType } from "./fib-lookup.ts";
import { icmpErrConvert, icmpErrFatal, icmpOutCount } from "./icmp.ts";
import { INET_RECVERR, type InetSk } from "./inet-sock.ts";
import { INET_PROTOSW_REUSE, inetRegisterProtosw } from "./inetsw.ts";
import { ipControl, registerIpPing } from "./ip-parts.ts";

let socks: Sock | null;
/** The last identifier given out. Linux: ping_port_rover. */
let rover = 0;

/** Boot: programs can open ping sockets. After inetInit(). */
export function pingInit(): void {
  socks = null;
  rover = 0;
  datagramSendInit();
  inetRegisterProtosw(pingProtosw);
  registerIpPing(pingOps);
}

function pingAlloc(net: Net): Sock | null {
  return inetSkAlloc(net, pingProt);
}

/** Only for the groups of net.ipv4.ping_group_range; the program's is 0. Linux: ping_init_sock(). */
function pingInitSock(sk: Sock): number {
  const ipv4 = sk.net.ipv4;
  return ipv4.pingGroupRangeLow <= 0 && ipv4.pingGroupRangeHigh >= 0 ? 0 : -EACCES;
}

function pingClose(sk: Sock): void {
  pingUnhash(sk);
  skbQueuePurge(sk.receiveQueue);
  sk.errorQueue = skbChainPurge(sk.errorQueue);
  sockOrphan(sk);
  sockPut(sk);
}

/** Has another socket the identifier, which the two may not share? */
function identInUse(sk: Sock, ident: number, shared: boolean): boolean {
  for (let at = socks as InetSk | null; at !== null; at = at.hashNext as InetSk | null) {
    if (at !== sk && at.inet.num === ident && at.net === sk.net && !(shared && (at.flags & SOCK_REUSE) !== 0)) return true;
  }
  return false;
}

/**
 * Takes an identifier, for 0 the next free one. Sockets share one as long as none of them turned SO_REUSEADDR off, which all have
 * from the start. Linux: ping_get_port(). @returns 0 or -EADDRINUSE
 */
function pingGetPort(sk: Sock, port: number): number {
  const inet = (sk as InetSk).inet;
  let ident = port;
  if (port === 0) {
    ident = rover;
    let tried = 0;
    do {
      if (tried++ > 0xffff) return -EADDRINUSE;
      ident = (ident + 1) & 0xffff;
    } while (ident === 0 || identInUse(sk, ident, false));
    rover = ident;
  } else if (identInUse(sk, port, (sk.flags & SOCK_REUSE) !== 0)) {
    return -EADDRINUSE;
  }
  inet.num = ident;
  sk.hashNext = socks;
  socks = sk;
  return 0;
}

/** Linux: ping_unhash(). */
function pingUnhash(sk: Sock): void {
  const inet = (sk as InetSk).inet;
  if (inet.num === 0) return;
  inet.num = 0;
  let previous: Sock | null = null;
  for (let at = socks; at !== sk && at !== null; at = at.hashNext) previous = at;
  if (previous === null) socks = sk.hashNext;
  else previous.hashNext = sk.hashNext;
  sk.hashNext = null;
}

/** bind(): a local address and an identifier. Linux: ping_bind(), ping_check_bind_addr(). */
function pingBind(sock: Sock, addr: SockaddrIn): number {
  const sk = sock as InetSk;
  const inet = sk.inet;
  const address = addr.addr | 0;
  const port = addr.port;
  if (addr.family !== AF_INET && !(addr.family === AF_UNSPEC && address === INADDR_ANY)) return -EAFNOSUPPORT;
  const type = address === INADDR_ANY ? RTN_LOCAL : inetAddrType(sk.net, address);
  if (type === RTN_MULTICAST || type === RTN_BROADCAST || !inetAddrValidOrNonlocal(sk, address, type)) return -EADDRNOTAVAIL;
  if (inet.num !== 0 || (port & 0xffff) !== port) return -EINVAL;
  if (pingGetPort(sk, port) < 0) return -EADDRINUSE;
  inet.rcvSaddr = inet.saddr = address;
  if (address !== INADDR_ANY) words[sk.cold + SK_USERLOCKS]! |= SOCK_BINDADDR_LOCK;
  if (port !== 0) words[sk.cold + SK_USERLOCKS]! |= SOCK_BINDPORT_LOCK;
  inet.daddr = 0;
  inet.dport = 0;
  skDstReset(sk);
  return 0;
}

/** The socket of an identifier, for a message to that local address. Linux: ping_lookup(). */
function pingLookup(net: Net, local: number, ident: number, dif: number): InetSk | null {
  for (let sk = socks as InetSk | null; sk !== null; sk = sk.hashNext as InetSk | null) {
    const inet = sk.inet;
    if (inet.num === ident && sk.net === net && (inet.rcvSaddr === 0 || inet.rcvSaddr === local)
      && (sk.boundDevIf === 0 || sk.boundDevIf === dif)) return sk;
  }
  return null;
}

/** Linux: ping_rcv(). */
function pingRcv(skb: SkBuff): number {
  const dev = skb.dev!;
  const sk = pingLookup(dev.net!, memView.getInt32(skb.nh + IPH_DADDR), memView.getUint16(skb.data + ICMPH_ID), dev.ifindex);
  if (sk === null) {
    kfreeSkb(skb, SKB_DROP_REASON_NO_SOCKET);
    return 0;
  }
  return pingQueueRcvSkb(sk, skb);
}

/** Linux: ping_queue_rcv_skb(). */
function pingQueueRcvSkb(sk: Sock, skb: SkBuff): number {
  skbDstDrop(skb);
  if ((sk.flags & SOCK_FILTERED) !== 0 && !sockFilterSkb(sk, skb, 1)) return 0;
  if ((sk.flags & SOCK_TIMESTAMP) !== 0) sockTimestampSet(sk, skb);
  sockQueueRcvSkb(sk, skb);
  return 0;
}

/** What a ping socket may send. Linux: ping_supported(). @param at an ICMP header */
function pingSupported(at: number): boolean {
  return mem8[at + ICMPH_TYPE] === ICMP_ECHO && mem8[at + ICMPH_CODE] === 0;
}

/**
 * An error about a request: the socket's when it has IP_RECVERR, or is connected and the error a lasting one. Linux: ping_err().
 */
function pingErr(skb: SkBuff, info: number): void {
  const iph = skb.data;
  const at = iph + ((mem8[iph]! & 15) << 2);
  const dev = skb.dev!;
  if (!pingSupported(at)) return;
  const sk = pingLookup(dev.net!, memView.getInt32(skb.nh + IPH_DADDR), memView.getUint16(at + ICMPH_ID), dev.ifindex);
  if (sk === null) return;
  const type = mem8[skb.th + ICMPH_TYPE]!;
  const code = mem8[skb.th + ICMPH_CODE]!;
  let err = EHOSTUNREACH;
  let hard = false;
  if (type === ICMP_SOURCE_QUENCH || type === ICMP_REDIRECT) {
    err = EREMOTEIO;
  } else if (type === ICMP_PARAMETERPROB) {
    err = EPROTO;
    hard = true;
  } else if (type === ICMP_DEST_UNREACH && code === ICMP_FRAG_NEEDED) {
    datagramUpdatePmtu(sk, skb, memView.getInt32(iph + IPH_DADDR), info);
    if (sk.inet.pmtudisc === IP_PMTUDISC_DONT) return;
    err = EMSGSIZE;
    hard = true;
  } else if (type === ICMP_DEST_UNREACH && code <= NR_ICMP_UNREACH) {
    err = icmpErrConvert(code);
    hard = icmpErrFatal(code);
  }
  if ((sk.inet.flags & INET_RECVERR) !== 0) ipControl!.icmpError(sk, skb, err, 0, at - iph, info);
  else if (!hard || sk.state !== TCP_ESTABLISHED) return;
  sk.err = err;
  sockDefErrorReport(sk);
}

/**
 * Sends an echo request: the message is one from its ICMP header on, of which identifier and checksum are filled in. Linux:
 * ping_v4_sendmsg().
 * @returns `length`, or -EINVAL (no echo request), -EMSGSIZE, -EOPNOTSUPP (MSG_OOB), -EAFNOSUPPORT, -EDESTADDRREQ, -EACCES,
 *   -EPIPE, -EAGAIN, -ENOBUFS, a routing error, the pending error
 */
function pingSendmsg(sock: Sock, msg: Msghdr, length: number): number {
  const sk = sock as InetSk;
  if (length > 0xffff) return -EMSGSIZE;
  if (length < ICMP_HLEN) return -EINVAL;
  if ((msg.flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
  if (msg.name !== null && msg.name.family !== AF_INET) return -EAFNOSUPPORT;
  const rt = datagramSendRoute(sk, msg, length);
  if (rt === null) return datagramSendError();
  const skb = datagramSendSkb(sk, msg, length, rt, DATAGRAM_HEADER);
  if (skb === null) return datagramSendError();
  const at = skb.data;
  if (!pingSupported(at)) {
    consumeSkb(skb);
    return -EINVAL;
  }
  skb.th = at;
  memView.setUint16(at + ICMPH_ID, sk.inet.num);
  memView.setUint16(at + ICMPH_CHECKSUM, 0);
  memView.setUint16(at + ICMPH_CHECKSUM, csumFold(skb.fragList === null ? csumPartial(at, length) : skbFrags!.checksum(skb, 0, length)));
  icmpOutCount(sk.net, ICMP_ECHO);
  const err = datagramPush(sk, skb);
  return err < 0 ? err : length;
}

/** Reads the next reply, from its ICMP header on. Linux: ping_recvmsg(). */
function pingRecvmsg(sk: Sock, msg: Msghdr, length: number, flags: number): number {
  if ((flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
  if ((flags & MSG_ERRQUEUE) !== 0) return ipControl === null ? -EAGAIN : ipControl.recvError(sk as InetSk, msg, length);
  const skb = skbRecvDatagram(sk, flags);
  if (skb === null) return skbRecvError(sk, flags);
  const copied = skbCopyDatagram(skb, msg, length);
  datagramPutSource(msg, skb);
  if (msg.control !== null && ipControl !== null) ipControl.receive(sk as InetSk, msg, skb);
  skbFreeDatagram(skb);
  return copied;
}

function pingSetsockopt(): number {
  return -ENOPROTOOPT;
}

function pingGetsockopt(): number {
  return -EOPNOTSUPP;
}

function pingHash(): number {
  // The list is entered with the identifier.
  return 0;
}

/** Linux: struct proto ping_prot. */
export const pingProt: Proto = Object.freeze({
  name: "PING",
  alloc: pingAlloc,
  free: inetSkFree,
  init: pingInitSock,
  close: pingClose,
  connect: datagramConnect,
  disconnect: datagramDisconnect,
  shutdown: datagramShutdown,
  sendmsg: pingSendmsg,
  recvmsg: pingRecvmsg,
  setsockopt: pingSetsockopt,
  getsockopt: pingGetsockopt,
  ioctl: datagramIoctl,
  backlogRcv: pingQueueRcvSkb,
  hash: pingHash,
  unhash: pingUnhash,
  bind: pingBind,
  getPort: pingGetPort,
  poll: datagramPoll,
  writeSpace: sockDefWriteSpace,
});

const pingOps = Object.freeze({ receive: pingRcv, error: pingErr });

const pingProtosw = Object.freeze({
  type: SOCK_DGRAM,
  protocol: IPPROTO_ICMP,
  prot: pingProt,
  ops: inetDgramOps,
  flags: INET_PROTOSW_REUSE,
});
