/**
 * The family AF_INET: what the system calls mean for IPv4 sockets, whatever their transport. Linux:
 * net/ipv4/af_inet.c; read first ip(7). Owns the two tables of operations, for streams and for datagrams; the
 * transport is behind `sk.prot`.
 */
import { words } from "../../lib/table.ts";
import {
  EACCES, EADDRNOTAVAIL, EAFNOSUPPORT, EAGAIN, EALREADY, ECONNABORTED, EINPROGRESS, EINVAL, EISCONN,
  ENOBUFS, ENOTCONN, EOPNOTSUPP,
} from "../../uapi/errno.ts";
import { INADDR_ANY, IP_PMTUDISC_DONT, IP_PMTUDISC_WANT, IPPROTO_IP, IPPROTO_MAX } from "../../uapi/in.ts";
import { RTN_BROADCAST, RTN_LOCAL, RTN_MULTICAST } from "../../uapi/rtnetlink.ts";
import { AF_INET, AF_UNSPEC, SOCK_STREAM, SOL_IP } from "../../uapi/socket.ts";
import {
  TCP_CLOSE, TCP_LISTEN, TCP_SYN_SENT, TCPF_CLOSE, TCPF_LISTEN, TCPF_SYN_RECV, TCPF_SYN_SENT,
} from "../../uapi/tcp.ts";
import type { Net } from "../core/net.ts";
import {
  lockSock, type Proto, RCV_SHUTDOWN, releaseSock, SHUTDOWN_MASK, SK_LINGERTIME_MS, SK_MAX_ACK_BACKLOG, SK_PROTOCOL,
  SK_TYPE, SK_USERLOCKS, skAlloc, skDstReset, type Sock, SOCK_BINDADDR_LOCK, SOCK_BINDPORT_LOCK, SOCK_LINGER,
  SOCK_REUSE, sockDefWakeup, sockError, sockGraft, sockOrphan, sockPut,
} from "../core/sock.ts";
import type { Msghdr, SockaddrIn } from "../core/sockaddr.ts";
import {
  type ProtoOps, type Socket, sockRegister, SS_CONNECTED, SS_CONNECTING, SS_DISCONNECTING, SS_UNCONNECTED,
} from "../core/socket.ts";
import { inetAddrType } from "./fib-lookup.ts";
import { INET_PROTOSW_REUSE, inetswError, inetswFind, inetswInit } from "./inetsw.ts";
import { INET_FREEBIND, INET_MC_MEMBER, type InetSk, inetSockReset, IP_CMSG_OPTIONS } from "./inet-sock.ts";
import { inetSockopts, ipExceptions, ipMulticast, ipOptions } from "./ip-parts.ts";
import { ipGetsockopt, ipSetsockopt } from "./ip-sockglue.ts";

/** Boot: the family is known to socket(), without any protocol. After familiesInit(), before the protocols' own. */
export function inetInit(): void {
  inetswInit();
  sockRegister(AF_INET, inetCreate);
}

/**
 * A sock with its inet part for a protocol, or null when the pool is empty: what `Proto.alloc` of an IPv4 protocol
 * starts with. Linux: the inet part of sk_alloc() and inet_create().
 */
export function inetSkAlloc(net: Net, prot: Proto): InetSk | null {
  const sk = skAlloc(net, AF_INET, prot);
  if (sk !== null) inetSockReset(sk, net.ipv4.ipNoPmtuDisc !== 0 || ipExceptions === null ? IP_PMTUDISC_DONT : IP_PMTUDISC_WANT);
  return sk as InetSk | null;
}

/** Ends the inet part: what `Proto.free` of an IPv4 protocol ends with. Linux: inet_sock_destruct(). */
export function inetSkFree(sk: Sock): void {
  if (((sk as InetSk).inet.flags & IP_CMSG_OPTIONS) !== 0) ipOptions!.release(sk.index);
}

/** socket() for AF_INET. Linux: inet_create(). */
export function inetCreate(net: Net, sock: Socket, protocol: number): number {
  if (protocol < 0 || protocol >= IPPROTO_MAX) return -EINVAL;
  sock.state = SS_UNCONNECTED;
  const answer = inetswFind(sock.type, protocol);
  if (answer === null) return inetswError(sock.type);
  const sk = answer.prot.alloc(net);
  if (sk === null) return -ENOBUFS;
  words[sk.cold + SK_TYPE] = sock.type;
  words[sk.cold + SK_PROTOCOL] = protocol === IPPROTO_IP ? answer.protocol : protocol;
  if ((answer.flags & INET_PROTOSW_REUSE) !== 0) sk.flags |= SOCK_REUSE;
  sockGraft(sk, sock);
  const err = answer.prot.init(sk);
  if (err < 0) {
    sockOrphan(sk);
    sock.sk = null;
    sockPut(sk);
    return err;
  }
  sock.ops = answer.ops;
  return 0;
}

/** close() of the last descriptor. Linux: inet_release(). */
export function inetRelease(sock: Socket): number {
  const sk = sock.sk;
  if (sk === null) return 0;
  sock.sk = null;
  if (((sk as InetSk).inet.flags & INET_MC_MEMBER) !== 0) ipMulticast!.drop(sk as InetSk);
  sk.prot.close(sk, (sk.flags & SOCK_LINGER) !== 0 ? words[sk.cold + SK_LINGERTIME_MS]! : 0);
  return 0;
}

/** May the socket have this address: ours, a broadcast or group address, any, or with IP_FREEBIND every one. */
export function inetAddrValidOrNonlocal(sk: InetSk, addr: number, type: number): boolean {
  return addr === INADDR_ANY || type === RTN_LOCAL || type === RTN_BROADCAST || type === RTN_MULTICAST
    || (sk.inet.flags & INET_FREEBIND) !== 0;
}

/** bind(). Linux: inet_bind(), __inet_bind(). */
export function inetBind(sock: Socket, addr: SockaddrIn): number {
  const sk = sock.sk as InetSk;
  if (sk.prot.bind !== undefined) return sk.prot.bind(sk, addr);
  const address = addr.addr | 0;
  const port = addr.port;
  if (addr.family !== AF_INET && !(addr.family === AF_UNSPEC && address === INADDR_ANY)) return -EAFNOSUPPORT;
  if ((port & 0xffff) !== port) return -EINVAL;
  const type = inetAddrType(sk.net, address);
  if (!inetAddrValidOrNonlocal(sk, address, type)) return -EADDRNOTAVAIL;
  if (port !== 0 && port < sk.net.ipv4.ipUnprivilegedPortStart) return -EACCES;
  const inet = sk.inet;
  if (sk.state !== TCP_CLOSE || inet.num !== 0) return -EINVAL;
  lockSock(sk);
  inet.rcvSaddr = address;
  inet.saddr = type === RTN_MULTICAST || type === RTN_BROADCAST ? 0 : address;
  const err = port === 0 && inetSockopts !== null && inetSockopts.noPort(sk) ? 0 : sk.prot.getPort(sk, port);
  if (err < 0) {
    inet.rcvSaddr = inet.saddr = 0;
  } else {
    if (address !== INADDR_ANY) words[sk.cold + SK_USERLOCKS]! |= SOCK_BINDADDR_LOCK;
    if (port !== 0) words[sk.cold + SK_USERLOCKS]! |= SOCK_BINDPORT_LOCK;
    inet.daddr = 0;
    inet.dport = 0;
    skDstReset(sk);
  }
  releaseSock(sk);
  return err < 0 ? err : 0;
}

/** Gives an unbound socket a free port: 0 or -EAGAIN. Linux: inet_autobind(). */
export function inetAutobind(sk: InetSk): number {
  if (sk.inet.num !== 0) return 0;
  return sk.prot.getPort(sk, 0) < 0 ? -EAGAIN : 0;
}

/** connect() of a datagram socket: fixes the peer. Linux: inet_dgram_connect(). */
export function inetDgramConnect(sock: Socket, addr: SockaddrIn): number {
  const sk = sock.sk as InetSk;
  if (addr.family === AF_UNSPEC) return sk.prot.disconnect(sk);
  if (sk.inet.num === 0 && inetAutobind(sk) < 0) return -EAGAIN;
  return sk.prot.connect(sk, addr);
}

function disconnectStream(sock: Socket, sk: Sock): number {
  const err = sk.prot.disconnect(sk);
  sock.state = err !== 0 ? SS_DISCONNECTING : SS_UNCONNECTED;
  return err;
}

/**
 * connect() of a stream socket: starts the handshake, and in later calls tells how it went. Linux:
 * inet_stream_connect().
 */
export function inetStreamConnect(sock: Socket, addr: SockaddrIn): number {
  const sk = sock.sk as InetSk;
  lockSock(sk);
  const err = streamConnectLocked(sock, sk, addr);
  releaseSock(sk);
  return err;
}

function streamConnectLocked(sock: Socket, sk: InetSk, addr: SockaddrIn): number {
  if (addr.family === AF_UNSPEC) return disconnectStream(sock, sk);
  let waiting = -EALREADY;
  switch (sock.state) {
    case SS_CONNECTED:
      return -EISCONN;
    case SS_CONNECTING:
      if (sk.prot.deferred?.(sk) === true) return -EISCONN;
      break;
    case SS_UNCONNECTED: {
      if (sk.state !== TCP_CLOSE) return -EISCONN;
      const err = sk.prot.connect(sk, addr);
      if (err < 0) return err;
      sock.state = SS_CONNECTING;
      if (sk.prot.deferred?.(sk) === true) return 0;
      waiting = -EINPROGRESS;
      break;
    }
    default:
      return -EINVAL;
  }
  if (((1 << sk.state) & (TCPF_SYN_SENT | TCPF_SYN_RECV)) !== 0) return waiting;
  if (sk.state === TCP_CLOSE) {
    const err = sockError(sk);
    disconnectStream(sock, sk);
    return err !== 0 ? err : -ECONNABORTED;
  }
  sock.state = SS_CONNECTED;
  return 0;
}

/** accept(): the next connection becomes the new socket's. Linux: inet_accept(). */
export function inetAccept(sock: Socket, newsock: Socket): number {
  const sk = sock.sk!;
  if (sk.prot.accept === undefined) return -EOPNOTSUPP;
  const sk2 = sk.prot.accept(sk);
  if (typeof sk2 === "number") return sk2;
  sockGraft(sk2, newsock);
  newsock.state = SS_CONNECTED;
  return 0;
}

/** listen(): enters TCP_LISTEN, or in it changes the backlog. Linux: inet_listen(). */
export function inetListen(sock: Socket, backlog: number): number {
  const sk = sock.sk!;
  if (sock.state !== SS_UNCONNECTED || sock.type !== SOCK_STREAM || sk.prot.listen === undefined) return -EINVAL;
  if (((1 << sk.state) & (TCPF_CLOSE | TCPF_LISTEN)) === 0) return -EINVAL;
  words[sk.cold + SK_MAX_ACK_BACKLOG] = backlog;
  if (sk.state === TCP_LISTEN) return 0;
  lockSock(sk);
  const err = sk.prot.listen(sk, backlog);
  releaseSock(sk);
  return err;
}

/** getsockname() and getpeername(). Linux: inet_getname(). */
export function inetGetname(sock: Socket, addr: SockaddrIn, peer: number): number {
  const sk = sock.sk as InetSk;
  const inet = sk.inet;
  if (peer !== 0) {
    if (inet.dport === 0) return -ENOTCONN;
    if (peer === 1 && ((1 << sk.state) & (TCPF_CLOSE | TCPF_SYN_SENT)) !== 0) return -ENOTCONN;
    addr.addr = inet.daddr;
    addr.port = inet.dport;
  } else {
    addr.addr = inet.rcvSaddr !== 0 ? inet.rcvSaddr : inet.saddr;
    addr.port = inet.num;
  }
  addr.family = AF_INET;
  return 0;
}

/** shutdown(). Linux: inet_shutdown(). */
export function inetShutdown(sock: Socket, how: number): number {
  const sk = sock.sk!;
  // SHUT_RD, SHUT_WR, SHUT_RDWR become the bits of sk.shutdown.
  const mask = how + 1;
  if ((mask & ~SHUTDOWN_MASK) !== 0 || mask === 0) return -EINVAL;
  lockSock(sk);
  const state = sk.state;
  if (sock.state === SS_CONNECTING) {
    const unfinished = ((1 << state) & (TCPF_SYN_SENT | TCPF_SYN_RECV | TCPF_CLOSE)) !== 0;
    sock.state = unfinished ? SS_DISCONNECTING : SS_CONNECTED;
  }
  let err = 0;
  if (state === TCP_SYN_SENT || state === TCP_LISTEN) {
    if (state === TCP_SYN_SENT || (mask & RCV_SHUTDOWN) !== 0) err = disconnectStream(sock, sk);
  } else {
    if (state === TCP_CLOSE) err = -ENOTCONN;
    sk.shutdown |= mask;
    sk.prot.shutdown(sk, mask);
  }
  sockDefWakeup(sk);
  releaseSock(sk);
  return err;
}

function inetSendmsg(sock: Socket, msg: Msghdr, length: number): number {
  const sk = sock.sk!;
  return sk.prot.sendmsg(sk, msg, length);
}

/** Datagrams get a port when the first one is sent. Linux: inet_sendmsg() with inet_send_prepare(). */
function inetDgramSendmsg(sock: Socket, msg: Msghdr, length: number): number {
  const sk = sock.sk as InetSk;
  if (sk.inet.num === 0 && inetAutobind(sk) < 0) return -EAGAIN;
  return sk.prot.sendmsg(sk, msg, length);
}

function inetRecvmsg(sock: Socket, msg: Msghdr, length: number, flags: number): number {
  const sk = sock.sk!;
  return sk.prot.recvmsg(sk, msg, length, flags);
}

function inetPoll(sock: Socket): number {
  const sk = sock.sk!;
  return sk.prot.poll(sk);
}

function inetIoctl(sock: Socket, request: number, out: Int32Array): number {
  const sk = sock.sk!;
  return sk.prot.ioctl(sk, request, out);
}

function inetSetsockopt(
  sock: Socket, level: number, name: number, value: number, opt: Uint8Array | Int32Array | null,
): number {
  const sk = sock.sk as InetSk;
  if (level === SOL_IP) return ipSetsockopt(sk, name, value, opt);
  lockSock(sk);
  const err = sk.prot.setsockopt(sk, level, name, value, opt);
  releaseSock(sk);
  return err;
}

function inetGetsockopt(sock: Socket, level: number, name: number, out: Uint8Array | Int32Array): number {
  const sk = sock.sk as InetSk;
  return level === SOL_IP ? ipGetsockopt(sk, name, out) : sk.prot.getsockopt(sk, level, name, out);
}

function sockNoSocketpair(): number {
  return -EOPNOTSUPP;
}

function sockNoAccept(): number {
  return -EOPNOTSUPP;
}

function sockNoListen(): number {
  return -EOPNOTSUPP;
}

/** SOCK_STREAM over IPv4. */
export const inetStreamOps: ProtoOps = Object.freeze({
  family: AF_INET,
  release: inetRelease,
  bind: inetBind,
  connect: inetStreamConnect,
  socketpair: sockNoSocketpair,
  accept: inetAccept,
  getname: inetGetname,
  poll: inetPoll,
  ioctl: inetIoctl,
  listen: inetListen,
  shutdown: inetShutdown,
  setsockopt: inetSetsockopt,
  getsockopt: inetGetsockopt,
  sendmsg: inetSendmsg,
  recvmsg: inetRecvmsg,
});

/** SOCK_DGRAM over IPv4. */
export const inetDgramOps: ProtoOps = Object.freeze({
  family: AF_INET,
  release: inetRelease,
  bind: inetBind,
  connect: inetDgramConnect,
  socketpair: sockNoSocketpair,
  accept: sockNoAccept,
  getname: inetGetname,
  poll: inetPoll,
  ioctl: inetIoctl,
  listen: sockNoListen,
  shutdown: inetShutdown,
  setsockopt: inetSetsockopt,
  getsockopt: inetGetsockopt,
  sendmsg: inetDgramSendmsg,
  recvmsg: inetRecvmsg,
});
