/**
 * The family AF_UNIX: making, naming, connecting and ending sockets within the program. Linux: net/unix/af_unix.c; read first
 * unix(7). Owns the operations of its two types; what moves data is in unix-io.ts. SOCK_SEQPACKET, descriptors and credentials in
 * messages, and names that the stack gives (autobind) are not there.
 */
import { words } from "../../lib/table.ts";
import {
  EAGAIN, ECONNREFUSED, ECONNRESET, EINVAL, EISCONN, ENOBUFS, ENOIOCTLCMD, ENOPROTOOPT, ENOTCONN, EOPNOTSUPP, EPERM,
  EPROTONOSUPPORT, ESOCKTNOSUPPORT,
} from "../../uapi/errno.ts";
import { SIOCINQ, SIOCOUTQ } from "../../uapi/ioctl.ts";
import { AF_UNIX, AF_UNSPEC, SOCK_DGRAM, SOCK_STREAM } from "../../uapi/socket.ts";
import { TCP_CLOSE, TCP_ESTABLISHED, TCP_LISTEN } from "../../uapi/tcp.ts";
import type { Net } from "../core/net.ts";
import { skbQueuePurge } from "../core/skb-queue.ts";
import {
  type Proto, RCV_SHUTDOWN, SEND_SHUTDOWN, SHUTDOWN_MASK, SK_MAX_ACK_BACKLOG, SK_TYPE, skAlloc, type Sock, sockDefReadable,
  sockDefWakeup, sockGraft, sockHold, sockOrphan, sockPut,
} from "../core/sock.ts";
import type { SockaddrUn } from "../core/sockaddr.ts";
import { type ProtoOps, type Socket, sockRegister, SS_CONNECTED, SS_UNCONNECTED } from "../core/socket.ts";
import {
  unixDgramRecvmsg, unixDgramSendmsg, unixDgramSetPeer, unixMaySend, unixPoll, unixStreamRecvmsg, unixStreamSendmsg, unixWriteSpace,
} from "./unix-io.ts";
import {
  unixBindName, unixCopyName, unixFindOther, unixFound, unixGetName, unixSetPeer, type UnixSk, unixSockAlloc, unixSockFree,
  unixSockInit,
} from "./unix-sock.ts";

/** Datagrams that may wait at a socket (net.unix.max_dgram_qlen). */
const MAX_DGRAM_QLEN = 10;

/** Boot: programs can open UNIX sockets. @param count how many at once */
export function unixInit(count: number): void {
  unixSockInit(count);
  sockRegister(AF_UNIX, unixCreate);
}

function unixAlloc(net: Net): Sock | null {
  const sk = skAlloc(net, AF_UNIX, unixProto);
  if (sk === null) return null;
  const u = unixSockAlloc(sk);
  sk.inet = u;
  if (u !== null) return sk;
  sockPut(sk);
  return null;
}

function unixFree(sk: Sock): void {
  if (sk.inet !== null) unixSockFree((sk as UnixSk).inet);
}

/** All of a socket's calls are the family's; of the protocol's operations only its life is needed. Linux: unix_proto. */
const unixProto = Object.freeze({
  name: "UNIX", alloc: unixAlloc, free: unixFree, writeSpace: unixWriteSpace,
}) as unknown as Proto;

/** socket() for AF_UNIX. Linux: unix_create(). */
export function unixCreate(net: Net, sock: Socket, protocol: number): number {
  if (protocol !== 0 && protocol !== AF_UNIX) return -EPROTONOSUPPORT;
  if (sock.type !== SOCK_STREAM && sock.type !== SOCK_DGRAM) return -ESOCKTNOSUPPORT;
  const sk = unixAlloc(net);
  if (sk === null) return -ENOBUFS;
  words[sk.cold + SK_TYPE] = sock.type;
  words[sk.cold + SK_MAX_ACK_BACKLOG] = MAX_DGRAM_QLEN;
  sockGraft(sk, sock);
  sock.ops = sock.type === SOCK_STREAM ? unixStreamOps : unixDgramOps;
  return 0;
}

/** Linux: unix_release(), unix_release_sock(). */
function unixRelease(sock: Socket): number {
  const sk = sock.sk as UnixSk | null;
  if (sk !== null) releaseSk(sk, false);
  return 0;
}

/** @param embryo nobody has accepted it */
function releaseSk(sk: UnixSk, embryo: boolean): void {
  const u = sk.inet;
  const peer = u.peer as UnixSk | null;
  u.bound = false;
  sk.state = TCP_CLOSE;
  sk.shutdown = SHUTDOWN_MASK;
  const unread = sk.receiveQueue.head !== null || embryo;
  sockOrphan(sk);
  if (peer !== null) {
    if (words[sk.cold + SK_TYPE] === SOCK_STREAM) {
      peer.shutdown = SHUTDOWN_MASK;
      if (unread) peer.err = ECONNRESET;
      sockDefWakeup(peer);
    }
    unixSetPeer(sk, null);
  }
  while (u.waiting !== null) releaseSk(takeWaiting(sk)!, true);
  skbQueuePurge(sk.receiveQueue);
  sockPut(sk);
}

/** The oldest connection that waits. */
function takeWaiting(sk: UnixSk): UnixSk | null {
  const u = sk.inet;
  const first = u.waiting as UnixSk | null;
  if (first === null) return null;
  u.waiting = first.hashNext;
  u.waitingCount--;
  first.hashNext = null;
  return first;
}

function unixBind(sock: Socket, addr: SockaddrUn): number {
  return unixBindName(sock.sk as UnixSk, addr);
}

/** connect() of a stream: the other end is there at once, and waits to be accepted. Linux: unix_stream_connect(). */
function unixStreamConnect(sock: Socket, addr: SockaddrUn): number {
  const sk = sock.sk as UnixSk;
  const err = unixFindOther(sk, addr);
  if (err < 0) return err;
  const listener = unixFound();
  if (listener.state !== TCP_LISTEN || (listener.shutdown & RCV_SHUTDOWN) !== 0) return -ECONNREFUSED;
  if (sk.state === TCP_ESTABLISHED) return -EISCONN;
  if (sk.state !== TCP_CLOSE) return -EINVAL;
  const queue = listener.inet;
  if (queue.waitingCount > words[listener.cold + SK_MAX_ACK_BACKLOG]!) return -EAGAIN;
  const end = unixAlloc(sk.net) as UnixSk | null;
  if (end === null) return -ENOBUFS;
  words[end.cold + SK_TYPE] = SOCK_STREAM;
  unixCopyName(queue, end.inet);
  join(sk, end);
  sock.state = SS_CONNECTED;
  if (queue.waiting === null) {
    queue.waiting = end;
  } else {
    let last = queue.waiting;
    while (last.hashNext !== null) last = last.hashNext;
    last.hashNext = end;
  }
  queue.waitingCount++;
  sockDefReadable(listener);
  return 0;
}

function join(a: UnixSk, b: UnixSk): void {
  unixSetPeer(a, b);
  unixSetPeer(b, a);
  a.state = b.state = TCP_ESTABLISHED;
}

/** connect() of a datagram socket: where messages go, and from whom they come. Linux: unix_dgram_connect(). */
function unixDgramConnect(sock: Socket, addr: SockaddrUn): number {
  const sk = sock.sk as UnixSk;
  if (addr.family === AF_UNSPEC) {
    unixDgramSetPeer(sk, null);
    sock.state = SS_UNCONNECTED;
    return 0;
  }
  const err = unixFindOther(sk, addr);
  if (err < 0) return err;
  const other = unixFound();
  if (!unixMaySend(sk, other)) return -EPERM;
  unixDgramSetPeer(sk, other);
  sock.state = SS_CONNECTED;
  return 0;
}

/** Linux: unix_socketpair(). */
function unixSocketpair(first: Socket, second: Socket): number {
  join(first.sk as UnixSk, second.sk as UnixSk);
  first.state = second.state = SS_CONNECTED;
  return 0;
}

/** Linux: unix_listen(). */
function unixListen(sock: Socket, backlog: number): number {
  const sk = sock.sk as UnixSk;
  if (sk.inet.nameLength === 0 || (sk.state !== TCP_CLOSE && sk.state !== TCP_LISTEN)) return -EINVAL;
  words[sk.cold + SK_MAX_ACK_BACKLOG] = backlog;
  sk.state = TCP_LISTEN;
  return 0;
}

/** Linux: unix_accept(). */
function unixAccept(sock: Socket, newsock: Socket): number {
  const sk = sock.sk as UnixSk;
  if (sk.state !== TCP_LISTEN) return -EINVAL;
  const end = takeWaiting(sk);
  if (end === null) return (sk.shutdown & RCV_SHUTDOWN) !== 0 ? -EINVAL : -EAGAIN;
  sockGraft(end, newsock);
  newsock.state = SS_CONNECTED;
  return 0;
}

/** Linux: unix_getname(). */
function unixGetname(sock: Socket, addr: SockaddrUn, peer: number): number {
  const sk = sock.sk as UnixSk;
  const of = peer === 0 ? sk : sk.inet.peer as UnixSk | null;
  if (of === null) return -ENOTCONN;
  unixGetName(of.inet, addr);
  return 0;
}

/** Linux: unix_shutdown(). */
function unixShutdown(sock: Socket, how: number): number {
  const sk = sock.sk as UnixSk;
  const mask = how + 1;
  if ((mask & ~SHUTDOWN_MASK) !== 0 || mask === 0) return -EINVAL;
  sk.shutdown |= mask;
  const peer = sk.inet.peer;
  if (peer !== null && sock.type === SOCK_STREAM) {
    const held = sockHold(peer);
    if ((mask & RCV_SHUTDOWN) !== 0) held.shutdown |= SEND_SHUTDOWN;
    if ((mask & SEND_SHUTDOWN) !== 0) held.shutdown |= RCV_SHUTDOWN;
    sockDefWakeup(held);
    sockPut(held);
  }
  sockDefWakeup(sk);
  return 0;
}

/** Bytes that wait, of a datagram socket those of the next message; bytes that the other end has not read. Linux: unix_ioctl(). */
function unixIoctl(sock: Socket, request: number, out: Int32Array): number {
  const sk = sock.sk!;
  if (request === SIOCOUTQ) {
    out[0] = sk.wmemAlloc - 1;
    return 0;
  }
  if (request !== SIOCINQ) return -ENOIOCTLCMD;
  if (sk.state === TCP_LISTEN) return -EINVAL;
  let sum = 0;
  for (let skb = sk.receiveQueue.head; skb !== null; skb = skb.next) {
    sum += skb.len;
    if (sock.type === SOCK_DGRAM) break;
  }
  out[0] = sum;
  return 0;
}

function unixNoOption(): number {
  return -ENOPROTOOPT;
}

function unixUnsupported(): number {
  return -EOPNOTSUPP;
}

/** Linux: unix_stream_ops. */
export const unixStreamOps: ProtoOps = Object.freeze({
  family: AF_UNIX,
  release: unixRelease,
  bind: unixBind,
  connect: unixStreamConnect,
  socketpair: unixSocketpair,
  accept: unixAccept,
  getname: unixGetname,
  poll: unixPoll,
  ioctl: unixIoctl,
  listen: unixListen,
  shutdown: unixShutdown,
  setsockopt: unixNoOption,
  getsockopt: unixNoOption,
  sendmsg: unixStreamSendmsg,
  recvmsg: unixStreamRecvmsg,
});

/** Linux: unix_dgram_ops. */
export const unixDgramOps: ProtoOps = Object.freeze({
  family: AF_UNIX,
  release: unixRelease,
  bind: unixBind,
  connect: unixDgramConnect,
  socketpair: unixSocketpair,
  accept: unixUnsupported,
  getname: unixGetname,
  poll: unixPoll,
  ioctl: unixIoctl,
  listen: unixUnsupported,
  shutdown: unixShutdown,
  setsockopt: unixNoOption,
  getsockopt: unixNoOption,
  sendmsg: unixDgramSendmsg,
  recvmsg: unixDgramRecvmsg,
});
