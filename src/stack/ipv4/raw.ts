/**
 * Raw sockets: packets of one IP protocol, with their IP header when they are read, and on request when they are written.
 * Linux: net/ipv4/raw.c; read first raw(7), icmp(7). Owns the list of raw sockets, linked by Sock.hashNext. A packet in a receive
 * queue starts at its IP header.
 */
import { ipFastCsum } from "../../lib/checksum.ts";
import { mem8, memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import { SKB_DROP_REASON_NOT_SPECIFIED } from "../../uapi/drop-reason.ts";
import {
  EADDRINUSE, EADDRNOTAVAIL, EAGAIN, EHOSTUNREACH, EINVAL, EMSGSIZE, ENOBUFS, ENOPROTOOPT, EOPNOTSUPP, EPROTO,
} from "../../uapi/errno.ts";
import {
  ICMP_DEST_UNREACH, ICMP_FILTER, ICMP_FRAG_NEEDED, ICMP_PARAMETERPROB, ICMP_REDIRECT, ICMP_SOURCE_QUENCH, NR_ICMP_UNREACH,
} from "../../uapi/icmp.ts";
import { ETH_P_IP } from "../../uapi/if-ether.ts";
import { inClassD, IP_PMTUDISC_DONT, IPPROTO_ICMP, IPPROTO_IP, IPPROTO_RAW } from "../../uapi/in.ts";
import { RTN_BROADCAST, RTN_MULTICAST } from "../../uapi/rtnetlink.ts";
import { IPSTATS_MIB_OUTDISCARDS } from "../../uapi/snmp.ts";
import { MSG_ERRQUEUE, MSG_OOB, MSG_TRUNC, SOCK_RAW, SOL_RAW } from "../../uapi/socket.ts";
import { TCP_CLOSE, TCP_ESTABLISHED } from "../../uapi/tcp.ts";
import { datagramPoll, skbCopyDatagram, skbFreeDatagram, skbRecvDatagram, skbRecvError, sockFilterSkb, sockTimestampSet } from "../core/datagram.ts";
import type { Net } from "../core/net.ts";
import { kfreeSkb, skbClone, skbDstDrop, type SkBuff } from "../core/skbuff.ts";
import { skbChainPurge, skbQueuePurge } from "../core/skb-queue.ts";
import {
  type Proto, SK_ACK_BACKLOG, SK_DROPS, SK_PROTOCOL, SK_TYPE, skDstReset, type Sock, SOCK_FILTERED, SOCK_TIMESTAMP, sockDefErrorReport,
  sockDefWriteSpace, sockOrphan, sockPut, sockQueueRcvSkb,
} from "../core/sock.ts";
import type { Msghdr, SockaddrIn } from "../core/sockaddr.ts";
import { ICMPH_CODE, ICMPH_TYPE } from "../wire/icmp.ts";
import { IP_FRAGMENT_BITS, IP_HLEN, IPH_CHECK, IPH_DADDR, IPH_FRAG_OFF, IPH_ID, IPH_PROTOCOL, IPH_SADDR, IPH_TOT_LEN } from "../wire/ip.ts";
import { inetAddrValidOrNonlocal, inetDgramOps, inetSkAlloc, inetSkFree } from "./af-inet.ts";
import {
  datagramConnect, datagramDisconnect, datagramIoctl, datagramPutSource, datagramShutdown, datagramUpdatePmtu,
} from "./datagram.ts";
import {
  DATAGRAM_HEADER, datagramPush, datagramSendError, datagramSendInit, datagramSendRoute, datagramSendSaddr, datagramSendSkb,
} from "./datagram-send.ts";
import { inetAddrType } from "./fib-lookup.ts";
import { icmpErrConvert, icmpErrFatal, icmpOutCount } from "./icmp.ts";
import { INET_HDRINCL, INET_RECVERR, INET_ROUTER_ALERT, type InetSk } from "./inet-sock.ts";
import { INET_PROTOSW_REUSE, inetRegisterProtosw } from "./inetsw.ts";
import { ipSelectIdent } from "./ip-output.ts";
import { ipControl, ipExceptions, ipFragments, ipMulticast, registerIpRaw } from "./ip-parts.ts";

/** Bit n: ICMP type n is not wanted (ICMP_FILTER). A raw socket never listens: the word of those that do is free. */
const RAW_FILTER = SK_ACK_BACKLOG;
/** ICMP types that a filter can name. */
const FILTER_TYPES = 32;

let socks: Sock | null;

/** Boot: programs can open raw sockets. After inetInit(). */
export function rawInit(): void {
  socks = null;
  datagramSendInit();
  inetRegisterProtosw(rawProtosw);
  registerIpRaw(rawOps);
}

function rawAlloc(net: Net): Sock | null {
  return inetSkAlloc(net, rawProt);
}

/** A raw socket is in the list from its making on, its protocol in the place of a port. */
function rawInitSock(sock: Sock): number {
  const sk = sock as InetSk;
  const protocol = words[sk.cold + SK_PROTOCOL]!;
  sk.inet.num = protocol;
  if (protocol === IPPROTO_RAW) sk.inet.flags |= INET_HDRINCL;
  sk.hashNext = socks;
  socks = sk;
  return 0;
}

/** Linux: raw_unhash_sk(). Nothing happens when it is not in the list. */
function rawUnhash(sk: Sock): void {
  let previous: Sock | null = null;
  let at = socks;
  while (at !== null && at !== sk) {
    previous = at;
    at = at.hashNext;
  }
  if (at === null) return;
  if (previous === null) socks = sk.hashNext;
  else previous.hashNext = sk.hashNext;
  sk.hashNext = null;
}

/** Linux: raw_close(), sk_common_release(). */
function rawClose(sk: Sock): void {
  rawUnhash(sk);
  skbQueuePurge(sk.receiveQueue);
  sk.errorQueue = skbChainPurge(sk.errorQueue);
  sockOrphan(sk);
  sockPut(sk);
}

/** bind(): the local address; may be called again. Linux: raw_bind(). */
function rawBind(sock: Sock, addr: SockaddrIn): number {
  const sk = sock as InetSk;
  const inet = sk.inet;
  const address = addr.addr | 0;
  if (sk.state !== TCP_CLOSE) return -EINVAL;
  const type = inetAddrType(sk.net, address);
  if (!inetAddrValidOrNonlocal(sk, address, type)) return -EADDRNOTAVAIL;
  inet.rcvSaddr = address;
  inet.saddr = type === RTN_MULTICAST || type === RTN_BROADCAST ? 0 : address;
  skDstReset(sk);
  return 0;
}

/** Is the socket for packets of that protocol between these addresses? Linux: raw_v4_match(). */
function rawMatch(sk: InetSk, net: Net, protocol: number, peer: number, local: number, dif: number): boolean {
  const inet = sk.inet;
  return inet.num === protocol && sk.net === net
    && (inet.daddr === 0 || inet.daddr === peer)
    && (inet.rcvSaddr === 0 || inet.rcvSaddr === local)
    && (sk.boundDevIf === 0 || sk.boundDevIf === dif);
}

/** Does the socket not want ICMP messages of this type? Linux: icmp_filter(). @param at the ICMP header */
function icmpFiltered(sk: Sock, skb: SkBuff, at: number): boolean {
  if (skb.tail - at < 1) return true;
  const type = mem8[at]!;
  return type < FILTER_TYPES && (words[sk.cold + RAW_FILTER]! & (1 << type)) !== 0;
}

/** Linux: raw_local_deliver(), raw_v4_input(). */
function rawDeliver(skb: SkBuff): boolean {
  let sk = socks as InetSk | null;
  if (sk === null) return false;
  const nh = skb.nh;
  const protocol = mem8[nh + IPH_PROTOCOL]!;
  const saddr = memView.getInt32(nh + IPH_SADDR);
  const daddr = memView.getInt32(nh + IPH_DADDR);
  const dev = skb.dev!;
  let delivered = false;
  for (; sk !== null; sk = sk.hashNext as InetSk | null) {
    if (!rawMatch(sk, dev.net!, protocol, saddr, daddr, dev.ifindex)) continue;
    delivered = true;
    if (protocol === IPPROTO_ICMP && icmpFiltered(sk, skb, skb.data)) continue;
    if (ipMulticast !== null && inClassD(daddr) && !ipMulticast.allow(sk, daddr, saddr, dev.ifindex)) continue;
    deliverClone(sk, skb);
  }
  return delivered;
}

/** IP_ROUTER_ALERT. Linux: ip_ra_control(). */
function rawSetRouterAlert(sk: InetSk, on: boolean): number {
  const inet = sk.inet;
  if (words[sk.cold + SK_TYPE] !== SOCK_RAW || inet.num === IPPROTO_RAW) return -EINVAL;
  const was = (inet.flags & INET_ROUTER_ALERT) !== 0;
  if (was === on) return on ? -EADDRINUSE : -ENOBUFS;
  inet.flags ^= INET_ROUTER_ALERT;
  return 0;
}

/**
 * A packet with a router alert is on its way through: it ends here when a socket hears those of its protocol, whatever addresses that
 * has. Linux: ip_call_ra_chain(). @param packet data at its IP header
 */
function rawRouterAlert(packet: SkBuff): boolean {
  const { ifindex, net } = packet.dev!;
  const protocol = mem8[packet.nh + IPH_PROTOCOL]!;
  let skb: SkBuff | null = packet;
  let last: Sock | null = null;
  for (let sk = socks as InetSk | null; sk !== null; sk = sk.hashNext as InetSk | null) {
    const inet = sk.inet;
    if ((inet.flags & INET_ROUTER_ALERT) === 0 || inet.num !== protocol || sk.net !== net) continue;
    if (sk.boundDevIf !== 0 && sk.boundDevIf !== ifindex) continue;
    if (last === null && (memView.getUint16(packet.nh + IPH_FRAG_OFF) & IP_FRAGMENT_BITS) !== 0 && ipFragments !== null) {
      skb = ipFragments.defrag(packet);
      if (skb === null) return true;
    }
    if (last !== null) deliverClone(last, skb);
    last = sk;
  }
  if (last === null) return false;
  rawRcv(last, skb);
  return true;
}

function deliverClone(sk: Sock, skb: SkBuff): void {
  const clone = skbClone(skb);
  if (clone === null) words[sk.cold + SK_DROPS]!++;
  else rawRcv(sk, clone);
}

/** The IP header is part of what is read. Linux: raw_rcv(). */
function rawRcv(sk: Sock, skb: SkBuff): void {
  skb.len += skb.data - skb.nh;
  skb.data = skb.nh;
  skbDstDrop(skb);
  if ((sk.flags & SOCK_FILTERED) !== 0 && !sockFilterSkb(sk, skb, 1)) return;
  if ((sk.flags & SOCK_TIMESTAMP) !== 0) sockTimestampSet(sk, skb);
  sockQueueRcvSkb(sk, skb);
}

/** Linux: raw_icmp_error(). */
function rawIcmpError(skb: SkBuff, info: number): void {
  const iph = skb.data;
  const protocol = mem8[iph + IPH_PROTOCOL]!;
  const daddr = memView.getInt32(iph + IPH_DADDR);
  const saddr = memView.getInt32(iph + IPH_SADDR);
  const dev = skb.dev!;
  for (let sk = socks as InetSk | null; sk !== null; sk = sk.hashNext as InetSk | null) {
    if (rawMatch(sk, dev.net!, protocol, daddr, saddr, dev.ifindex)) rawErr(sk, skb, daddr, info);
  }
}

/** One socket hears of an error when it is connected and the error is a lasting one, or has IP_RECVERR. Linux: raw_err(). */
function rawErr(sk: InetSk, skb: SkBuff, daddr: number, info: number): void {
  const flags = sk.inet.flags;
  const recverr = (flags & INET_RECVERR) !== 0;
  const type = mem8[skb.th + ICMPH_TYPE]!;
  const code = mem8[skb.th + ICMPH_CODE]!;
  if (type === ICMP_DEST_UNREACH && code === ICMP_FRAG_NEEDED) datagramUpdatePmtu(sk, skb, daddr, info);
  if (type === ICMP_REDIRECT && ipExceptions !== null) ipExceptions.redirect(skb);
  if (type === ICMP_REDIRECT || type === ICMP_SOURCE_QUENCH) return;
  if (!recverr && sk.state !== TCP_ESTABLISHED) return;
  let err = EHOSTUNREACH;
  let hard = false;
  if (type === ICMP_PARAMETERPROB) {
    err = EPROTO;
    hard = true;
  } else if (type === ICMP_DEST_UNREACH && code === ICMP_FRAG_NEEDED) {
    err = EMSGSIZE;
    hard = sk.inet.pmtudisc !== IP_PMTUDISC_DONT;
  } else if (type === ICMP_DEST_UNREACH && code <= NR_ICMP_UNREACH) {
    err = icmpErrConvert(code);
    hard = icmpErrFatal(code);
  }
  if (recverr) {
    const payload = (flags & INET_HDRINCL) !== 0 ? 0 : (mem8[skb.data]! & 15) << 2;
    ipControl!.icmpError(sk, skb, err, 0, payload, info);
  }
  if (!recverr && !hard) return;
  sk.err = err;
  sockDefErrorReport(sk);
}

/**
 * Sends one packet to the message's name or the connected peer. Linux: raw_sendmsg().
 * @returns `length`, or -EMSGSIZE, -EOPNOTSUPP (MSG_OOB), -EAFNOSUPPORT, -EDESTADDRREQ, -EINVAL (bad control message, a
 *   header of its own that does not fit), -EACCES, -EPIPE, -EAGAIN, -ENOBUFS, a routing error, the pending error
 */
function rawSendmsg(sock: Sock, msg: Msghdr, length: number): number {
  const sk = sock as InetSk;
  if (length > 0xffff) return -EMSGSIZE;
  if ((msg.flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
  const rt = datagramSendRoute(sk, msg, length);
  if (rt === null) return datagramSendError();
  const own = (sk.inet.flags & INET_HDRINCL) !== 0;
  const skb = datagramSendSkb(sk, msg, length, rt, own ? 0 : DATAGRAM_HEADER);
  if (skb === null) return datagramSendError();
  skb.th = skb.data;
  if (!own && words[sk.cold + SK_PROTOCOL] === IPPROTO_ICMP && skb.tail > skb.data) icmpOutCount(sk.net, mem8[skb.data]!);
  const err = own ? rawSendHdrinc(sk, skb, length) : datagramPush(sk, skb);
  return err < 0 ? err : length;
}

/**
 * The program wrote the IP header: what it left out is filled in, the rest goes as it is. Linux: raw_send_hdrinc().
 * @param skb data at that header
 */
function rawSendHdrinc(sk: InetSk, skb: SkBuff, length: number): number {
  const net = sk.net;
  const nh = skb.data;
  const headerLength = length === 0 ? 0 : (mem8[nh]! & 15) << 2;
  if (length < IP_HLEN || headerLength > length) {
    if (length >= IP_HLEN) net.mib[IPSTATS_MIB_OUTDISCARDS]!++;
    kfreeSkb(skb, SKB_DROP_REASON_NOT_SPECIFIED);
    return -EINVAL;
  }
  skb.nh = nh;
  if (headerLength >= IP_HLEN) {
    const view = memView;
    const daddr = view.getInt32(nh + IPH_DADDR);
    if (view.getInt32(nh + IPH_SADDR) === 0) view.setInt32(nh + IPH_SADDR, datagramSendSaddr());
    view.setUint16(nh + IPH_TOT_LEN, length);
    if (view.getUint16(nh + IPH_ID) === 0) {
      view.setUint16(nh + IPH_ID, ipSelectIdent(view.getInt32(nh + IPH_SADDR), daddr, mem8[nh + IPH_PROTOCOL]!));
    }
    view.setUint16(nh + IPH_CHECK, 0);
    view.setUint16(nh + IPH_CHECK, ipFastCsum(nh, headerLength >> 2));
    skb.th = nh + headerLength;
    if (mem8[nh + IPH_PROTOCOL] === IPPROTO_ICMP && skb.tail > skb.th) icmpOutCount(net, mem8[skb.th]!);
  }
  skb.protocol = ETH_P_IP;
  const err = skb.dst!.output(skb);
  if (err >= 0) return 0;
  net.mib[IPSTATS_MIB_OUTDISCARDS]!++;
  return err === -ENOBUFS && (sk.inet.flags & INET_RECVERR) === 0 ? 0 : err;
}

/** Reads the next packet, IP header and all. Linux: raw_recvmsg(). */
function rawRecvmsg(sk: Sock, msg: Msghdr, length: number, flags: number): number {
  if ((flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
  if ((flags & MSG_ERRQUEUE) !== 0) return ipControl === null ? -EAGAIN : ipControl.recvError(sk as InetSk, msg, length);
  const skb = skbRecvDatagram(sk, flags);
  if (skb === null) return skbRecvError(sk, flags);
  const whole = skb.len;
  const copied = skbCopyDatagram(skb, msg, length);
  datagramPutSource(msg, skb);
  if (msg.control !== null && ipControl !== null) ipControl.receive(sk as InetSk, msg, skb);
  skbFreeDatagram(skb);
  return (flags & MSG_TRUNC) !== 0 ? whole : copied;
}

/** ICMP_FILTER of sockets of ICMP. Linux: raw_setsockopt(). */
function rawSetsockopt(sk: Sock, level: number, name: number, value: number): number {
  if (level !== SOL_RAW || name !== ICMP_FILTER) return -ENOPROTOOPT;
  if (words[sk.cold + SK_PROTOCOL] !== IPPROTO_ICMP) return -EOPNOTSUPP;
  words[sk.cold + RAW_FILTER] = value;
  return 0;
}

/** Linux: raw_getsockopt(). */
function rawGetsockopt(sk: Sock, level: number, name: number, out: Uint8Array | Int32Array): number {
  if (level !== SOL_RAW) return -EOPNOTSUPP;
  if (name !== ICMP_FILTER) return -ENOPROTOOPT;
  if (words[sk.cold + SK_PROTOCOL] !== IPPROTO_ICMP) return -EOPNOTSUPP;
  out[0] = words[sk.cold + RAW_FILTER]!;
  return 1;
}

function rawBacklogRcv(sk: Sock, skb: SkBuff): number {
  rawRcv(sk, skb);
  return 0;
}

function rawNothing(): number {
  // The list is entered at the start; there are no ports.
  return 0;
}

/** Linux: struct proto raw_prot. */
export const rawProt: Proto = Object.freeze({
  name: "RAW",
  alloc: rawAlloc,
  free: inetSkFree,
  init: rawInitSock,
  close: rawClose,
  connect: datagramConnect,
  disconnect: datagramDisconnect,
  shutdown: datagramShutdown,
  sendmsg: rawSendmsg,
  recvmsg: rawRecvmsg,
  setsockopt: rawSetsockopt,
  getsockopt: rawGetsockopt,
  ioctl: datagramIoctl,
  backlogRcv: rawBacklogRcv,
  hash: rawNothing,
  unhash: rawUnhash,
  bind: rawBind,
  getPort: rawNothing,
  poll: datagramPoll,
  writeSpace: sockDefWriteSpace,
});

const rawOps = Object.freeze({
  deliver: rawDeliver, error: rawIcmpError, setRouterAlert: rawSetRouterAlert, routerAlert: rawRouterAlert,
});

/** Every protocol number of the type. */
const rawProtosw = Object.freeze({
  type: SOCK_RAW,
  protocol: IPPROTO_IP,
  prot: rawProt,
  ops: inetDgramOps,
  flags: INET_PROTOSW_REUSE,
});
