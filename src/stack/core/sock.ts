/**
 * sock: the protocol-independent part of a socket inside the stack. Linux: include/net/sock.h, net/core/sock.c.
 * Owns the life of a sock (references, the bytes charged to it) and the registries of protocols and families. A family
 * has its part in `inet`, a connection-oriented protocol on `icsk`, the transport on `tp`; each comes from its pool.
 */
import { account } from "../../lib/account.ts";
import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLPRI, EPOLLRDHUP, EPOLLRDNORM, EPOLLWRBAND, EPOLLWRNORM } from "../../uapi/poll.ts";
import { ENOMEM } from "../../uapi/errno.ts";
import { SKB_DROP_REASON_SOCKET_RCVBUFF } from "../../uapi/drop-reason.ts";
import { type DstEntry, dstRelease } from "./dst.ts";
import type { Net } from "./net.ts";
import { type Pool, type Pooled, poolAlloc, poolCreate, poolFree } from "../../lib/pool.ts";
import { words, wordTable } from "../../lib/table.ts";
import { kfreeSkb, skbOrphan, type SkBuff } from "./skbuff.ts";
import { skbChainPurge, SkbQueue, skbQueuePurge, skbQueueTail } from "./skb-queue.ts";
import type { Msghdr, Sockaddr } from "./sockaddr.ts";
import type { Socket } from "./socket.ts";
import { wakeUp } from "./wait.ts";

/** sk_shutdown bits. */
export const RCV_SHUTDOWN = 1;
export const SEND_SHUTDOWN = 2;
export const SHUTDOWN_MASK = 3;

/** sk_flags bits (enum sock_flags). */
export const SOCK_DEAD = 1 << 0;
export const SOCK_DONE = 1 << 1;
export const SOCK_URGINLINE = 1 << 2;
export const SOCK_KEEPOPEN = 1 << 3;
export const SOCK_LINGER = 1 << 4;
export const SOCK_DESTROY = 1 << 5;
export const SOCK_BROADCAST = 1 << 6;
export const SOCK_TIMESTAMP = 1 << 7;
export const SOCK_NO_CHECK = 1 << 8;
/** TCP_INQ: recvmsg() tells what is left to read. Linux: tcp_sock.recvmsg_inq. */
export const SOCK_RCVINQ = 1 << 9;
/** TCP: closed by its program and counted among the orphans. */
export const SOCK_ORPHAN = 1 << 10;
/** SO_REUSEADDR and SO_REUSEPORT. Linux: sk_reuse, sk_reuseport. */
export const SOCK_REUSE = 1 << 11;
export const SOCK_REUSEPORT = 1 << 12;
/** SO_ATTACH_FILTER: packets go through the socket's filter first. Linux: sk_filter. */
export const SOCK_FILTERED = 1 << 13;
/** TCP_THIN_LINEAR_TIMEOUTS. Linux: tcp_sock.thin_lto. */
export const SOCK_THIN_LTO = 1 << 14;
/** TCP_CONGESTION was set: the children of a listener have its algorithm. Linux: icsk_ca_setsockopt. */
export const SOCK_CA_SETSOCKOPT = 1 << 15;
/** SO_DONTROUTE: only hosts on the link are reached. */
export const SOCK_LOCALROUTE = 1 << 16;
/** Beside SOCK_TIMESTAMP: times in nanoseconds (SO_TIMESTAMPNS). */
export const SOCK_TIMESTAMPNS = 1 << 17;

/** sk_userlocks bits: what the program fixed and the stack must not tune. */
export const SOCK_SNDBUF_LOCK = 1;
export const SOCK_RCVBUF_LOCK = 2;
export const SOCK_BINDADDR_LOCK = 4;
export const SOCK_BINDPORT_LOCK = 8;
/** SO_LOCK_FILTER: the filter stays as it is. Linux: SOCK_FILTER_LOCKED of sk_flags. */
export const SOCK_FILTER_LOCK = 16;

/** A transport protocol's functions. Linux: struct proto. Results are 0, a count or a handle, or a negative errno. */
export interface Proto {
  readonly name: string;
  /** A new sock of this protocol with its parts attached, or null (pool empty). */
  alloc(net: Net): Sock | null;
  /** Gives the parts back to their pools; called when nothing refers to the sock any more. */
  free(sk: Sock): void;
  init(sk: Sock): number;
  close(sk: Sock, timeoutMs: number): void;
  connect(sk: Sock, addr: Sockaddr): number;
  disconnect(sk: Sock): number;
  shutdown(sk: Sock, how: number): void;
  sendmsg(sk: Sock, msg: Msghdr, length: number): number;
  recvmsg(sk: Sock, msg: Msghdr, length: number, flags: number): number;
  setsockopt(sk: Sock, level: number, name: number, value: number, opt: Uint8Array | Int32Array | null): number;
  /** Fills `out` and returns the number of its elements written. */
  getsockopt(sk: Sock, level: number, name: number, out: Uint8Array | Int32Array): number;
  ioctl(sk: Sock, request: number, out: Int32Array): number;
  /** Packets that arrived while the socket was owned by a call (sk_backlog_rcv). */
  backlogRcv(sk: Sock, skb: SkBuff): number;
  /** Enters the lookup tables. */
  hash(sk: Sock): number;
  unhash(sk: Sock): void;
  /** The whole of bind(), where the usual rules are not the protocol's (raw_bind, ping_bind). */
  bind?(sk: Sock, addr: Sockaddr): number;
  /** Binds to a port (0: any free one). */
  getPort(sk: Sock, port: number): number;
  /** EPOLL* bits that hold now (udp_poll, tcp_poll). */
  poll(sk: Sock): number;
  /** Connection-oriented protocols: the next waiting connection, or -EAGAIN, -EINVAL (not listening). */
  accept?(sk: Sock): Sock | number;
  /** Connection-oriented protocols: enters TCP_LISTEN (inet_csk_listen_start). */
  listen?(sk: Sock, backlog: number): number;
  /** connect() waits for the first write (TCP_FASTOPEN_CONNECT). */
  deferred?(sk: Sock): boolean;
  /** There is room in the send buffer (sk->sk_write_space); sockDefWriteSpace() when missing. */
  writeSpace?(sk: Sock): void;
  /** IP_OPTIONS, where the protocol keeps count of their bytes (icsk_sync_mss). */
  setIpOptions?(sk: Sock, bytes: Uint8Array | Int32Array): number;
  /** SO_KEEPALIVE changed (tcp_set_keepalive). */
  keepalive?(sk: Sock, on: boolean): void;
}

/*
 * The cold fields of a sock: `words[sk.cold + SK_…]`, SK_WORDS words each.
 */
const SK_WORDS = 18;
/** What the program set: sockopt.ts, and those it rules. */
export const SK_FAMILY = 0;
export const SK_TYPE = 1;
export const SK_PROTOCOL = 2;
export const SK_PRIORITY = 3;
export const SK_MARK = 4;
/** SOCK_*_LOCK bits. */
export const SK_USERLOCKS = 5;
export const SK_LINGERTIME_MS = 6;
/** -1 for no limit. */
export const SK_RCVTIMEO_MS = 7;
export const SK_SNDTIMEO_MS = 8;
export const SK_RCVLOWAT = 9;
/** Packets that found no room. */
export const SK_DROPS = 10;
/** Error that matters only if the connection does not recover. */
export const SK_ERR_SOFT = 11;
/** Listeners: connections in the accept queue, and how many may be. */
export const SK_ACK_BACKLOG = 12;
export const SK_MAX_ACK_BACKLOG = 13;
/** Of ipv4: packets to groups (udp-output.ts): TTL, device and source address. */
export const SK_MC_TTL = 14;
export const SK_MC_INDEX = 15;
export const SK_MC_ADDR = 16;
/** SO_MAX_PACING_RATE: bytes per second, as 32 bits; SK_PACING_UNLIMITED for no limit. */
export const SK_MAX_PACING_RATE = 17;
export const SK_PACING_UNLIMITED = -1;

/** Words of the cold fields of so many socks. */
export function sockWords(count: number): number {
  return count * SK_WORDS;
}

/** Hot fields first: those of every packet, then of calls and events. What is seldom asked for is in `words`. */
export class Sock implements Pooled {
  /** TCP_* state (TCP_CLOSE for a datagram socket not connected). */
  state = 0;
  inet: object | null = null;
  icsk: object | null = null;
  tp: object | null = null;
  prot: Proto;
  net: Net;
  /** A system call holds the socket: input goes to the backlog (sk_lock.owned). */
  owned = false;
  shutdown = 0;
  receiveQueue: SkbQueue = new SkbQueue();
  /** truesize of what waits to be read. */
  rmemAlloc = 0;
  rcvbuf = 0;
  /** truesize of packets on their way out, plus one for the sock itself. */
  wmemAlloc = 0;
  /** TCP: truesize of the write queue. */
  wmemQueued = 0;
  sndbuf = 0;
  /** Pending error as a positive errno, given once by SO_ERROR or the next call. */
  err = 0;
  dst: DstEntry | null = null;
  flags = 0;
  socket: Socket | null = null;
  /** Packets that came while a call held the socket: a chain (skb-queue.ts), almost always empty. */
  backlog: SkBuff | null = null;
  writeQueue: SkbQueue = new SkbQueue();
  /** TCP: first packet of the write queue not sent yet. */
  sendHead: SkBuff | null = null;
  /** References: the tables, the descriptor, a call in progress. */
  refcnt = 0;
  boundDevIf = 0;
  /** Errors to be read (IP_RECVERR): a chain. */
  errorQueue: SkBuff | null = null;
  /** Next in whatever hash chain holds the sock (udp table, listening_hash). */
  hashNext: Sock | null = null;
  /** Next owner of the same bind bucket. */
  bindNext: Sock | null = null;
  /** Position in the pool: the handle that tables keep. */
  readonly index: number;
  /** Where in `words` its cold fields are. */
  readonly cold: number;
  poolNext: Pooled | null = null;

  constructor(index: number, cold: number, prot: Proto, net: Net) {
    this.index = index;
    this.cold = cold;
    this.prot = prot;
    this.net = net;
  }
}

/** Socket filters (filter.ts), where that part was listed at boot. */
export interface SkFilterOps {
  /** 0 or a negative errno. */
  attach(sk: Sock, program: Int32Array): number;
  detach(sk: Sock): number;
  /** Writes the program into `out`: the numbers written, 0 without one, -EINVAL when it does not fit. */
  get(sk: Sock, out: Int32Array): number;
  /** How many bytes of a packet, from skb.data on, the socket wants; 0 for none of it. */
  run(sk: Sock, skb: SkBuff): number;
}

export let skFilterOps: SkFilterOps | null = null;

/** Options of level SOL_SOCKET but those of sockopt.ts (sockopt-control.ts), where that part was listed at boot. */
export interface SkControlOps {
  /** As sockSetsockopt(). */
  set(sk: Sock, name: number, value: number, value2: number, opt: Uint8Array | Int32Array | null): number;
  /** As sockGetsockopt(), with an `out` of at least one element. */
  get(sk: Sock, name: number, out: Uint8Array | Int32Array): number;
}

export let skControlOps: SkControlOps | null = null;

export function registerSkControl(ops: SkControlOps): void {
  skControlOps = ops;
}

/** Options of level SOL_SOCKET that few programs ask for (ipv4/inet-sockopt.ts), where that part was listed at boot. */
export interface SkOptionOps {
  /** A sock begins. */
  reset(sk: Sock): void;
  /** A connection begins with what its listener has. */
  inherit(from: Sock, to: Sock): void;
  /** 0 or a negative errno, -ENOPROTOOPT for any other option. */
  set(sk: Sock, name: number, value: number): number;
  /** Elements written, or a negative errno. */
  get(sk: Sock, name: number, out: Uint8Array | Int32Array): number;
}

export let skOptionOps: SkOptionOps | null = null;

export function registerSkOptions(ops: SkOptionOps): void {
  skOptionOps = ops;
}

export function registerSkFilter(ops: SkFilterOps): void {
  skFilterOps = ops;
}

/** How many bytes of a packet a socket that has a filter wants. Linux: run_filter(). */
export function skFilter(sk: Sock, skb: SkBuff): number {
  return skFilterOps!.run(sk, skb);
}

let socks: Pool<Sock>;
/** By handle (Sock.index); read-only elsewhere. */
export let sockTable: Sock[];
/** Default buffer sizes in bytes for new sockets. */
let defaultRcvbuf = 0;
let defaultSndbuf = 0;

const nullProto = Object.freeze({ name: "none" }) as Proto;

/** Builds the pool. Boot time only. */
export function sockInit(count: number, rcvbuf: number, sndbuf: number, net: Net): void {
  skFilterOps = null;
  skOptionOps = null;
  skControlOps = null;
  sockTable = account("sock", []);
  const cold = wordTable("sock", sockWords(count));
  socks = poolCreate("sock", count, (index) => (sockTable[index] = new Sock(index, cold + index * SK_WORDS, nullProto, net)));
  defaultRcvbuf = rcvbuf;
  defaultSndbuf = sndbuf;
}

/** The sock with that handle. */
export function sockByIndex(index: number): Sock {
  return sockTable[index]!;
}

/** How many socks the pool has: the size of tables indexed by handle. */
export function sockCount(): number {
  return sockTable.length;
}

/** A sock with one reference and everything at its default, or null (counted by the pool). Linux: sk_alloc(). */
export function skAlloc(net: Net, family: number, prot: Proto): Sock | null {
  const sk = poolAlloc(socks);
  if (sk === null) return null;
  sk.state = 7;
  sk.icsk = sk.tp = null;
  sk.prot = prot;
  sk.net = net;
  sk.owned = false;
  sk.shutdown = 0;
  sk.rmemAlloc = 0;
  sk.rcvbuf = defaultRcvbuf;
  sk.wmemAlloc = 1;
  sk.wmemQueued = 0;
  sk.sndbuf = defaultSndbuf;
  sk.err = 0;
  sk.dst = null;
  sk.flags = 0;
  sk.socket = null;
  sk.sendHead = null;
  sk.refcnt = 1;
  sk.boundDevIf = 0;
  const cold = sk.cold;
  words.fill(0, cold, cold + SK_WORDS);
  words[cold + SK_FAMILY] = family;
  words[cold + SK_RCVTIMEO_MS] = words[cold + SK_SNDTIMEO_MS] = -1;
  words[cold + SK_MAX_PACING_RATE] = SK_PACING_UNLIMITED;
  words[cold + SK_RCVLOWAT] = words[cold + SK_MC_TTL] = 1;
  sk.hashNext = sk.bindNext = null;
  if (skOptionOps !== null) skOptionOps.reset(sk);
  return sk;
}

export function sockHold(sk: Sock): Sock {
  sk.refcnt++;
  return sk;
}

/** Gives a reference back. The sock returns to its pool when no packet of it is on its way any more. Linux: sock_put(). */
export function sockPut(sk: Sock): void {
  if (--sk.refcnt > 0) return;
  if (sk.refcnt < 0) throw new Error("sockPut: sock freed twice");
  if (--sk.wmemAlloc === 0) skFree(sk);
}

function skFree(sk: Sock): void {
  skbQueuePurge(sk.receiveQueue);
  sk.errorQueue = skbChainPurge(sk.errorQueue);
  skbQueuePurge(sk.writeQueue);
  sk.backlog = skbChainPurge(sk.backlog);
  skDstReset(sk);
  if ((sk.flags & SOCK_FILTERED) !== 0) skFilterOps!.detach(sk);
  sk.prot.free(sk);
  sk.icsk = sk.tp = null;
  poolFree(socks, sk);
}

/** Destructor of a packet charged to the send buffer. Linux: sock_wfree(). */
export function sockWfree(skb: SkBuff): void {
  const sk = skb.sk!;
  sk.wmemAlloc -= skb.truesize;
  if (sk.wmemAlloc === 0) {
    skFree(sk);
    return;
  }
  if ((sk.flags & SOCK_DEAD) === 0) skWriteSpace(sk);
}

/** Destructor of a packet charged to the receive buffer. Linux: sock_rfree(). */
export function sockRfree(skb: SkBuff): void {
  skb.sk!.rmemAlloc -= skb.truesize;
}

/** Charges a packet to the sender until it is gone. Linux: skb_set_owner_w(). */
export function skbSetOwnerW(skb: SkBuff, sk: Sock): void {
  if (skb.destructor !== null) skbOrphan(skb);
  skb.sk = sk;
  skb.destructor = sockWfree;
  sk.wmemAlloc += skb.truesize;
}

/** Charges a packet to the receiver until it is read. Linux: skb_set_owner_r(); tcpQueueRcv() does the same. */
export function skbSetOwnerR(skb: SkBuff, sk: Sock): void {
  if (skb.destructor !== null) skbOrphan(skb);
  skb.sk = sk;
  skb.destructor = sockRfree;
  sk.rmemAlloc += skb.truesize;
}

/**
 * Queues a datagram for reading, charged to the receive buffer. Linux: sock_queue_rcv_skb().
 * @returns 0, or -ENOMEM after dropping it when the buffer is full
 */
export function sockQueueRcvSkb(sk: Sock, skb: SkBuff): number {
  if (sk.rmemAlloc + skb.truesize > sk.rcvbuf) {
    words[sk.cold + SK_DROPS]!++;
    kfreeSkb(skb, SKB_DROP_REASON_SOCKET_RCVBUFF);
    return -ENOMEM;
  }
  skbSetOwnerR(skb, sk);
  skbQueueTail(sk.receiveQueue, skb);
  if ((sk.flags & SOCK_DEAD) === 0) sockDefReadable(sk);
  return 0;
}

/** The descriptor is gone: nobody is left to be told anything. Linux: sock_orphan(). */
export function sockOrphan(sk: Sock): void {
  sk.flags |= SOCK_DEAD;
  sk.socket = null;
}

/** Gives a sock (a connection just accepted) to a descriptor's socket. Linux: sock_graft(). */
export function sockGraft(sk: Sock, socket: Socket): void {
  sk.socket = socket;
  socket.sk = sk;
}

/** A system call takes the socket. Linux: lock_sock(). */
export function lockSock(sk: Sock): void {
  sk.owned = true;
}

/** The call is done: what arrived meanwhile is taken in, in order. Linux: release_sock(). */
export function releaseSock(sk: Sock): void {
  if (sk.backlog !== null) takeBacklog(sk);
  sk.owned = false;
}

function takeBacklog(sk: Sock): void {
  for (let skb = sk.backlog; skb !== null; skb = sk.backlog) {
    sk.backlog = skb.next;
    skb.next = null;
    sk.prot.backlogRcv(sk, skb);
  }
}

/** Gives the pending error once, as a negative errno. Linux: sock_error(). */
export function sockError(sk: Sock): number {
  const err = sk.err;
  sk.err = 0;
  return -err | 0;
}

/** Sets the socket's cached route (its reference becomes the socket's). Linux: sk_dst_set(). */
export function skDstSet(sk: Sock, dst: DstEntry | null): void {
  const old = sk.dst;
  sk.dst = dst;
  if (old !== null) dstRelease(old);
}

/** Forgets the cached route. */
export function skDstReset(sk: Sock): void {
  skDstSet(sk, null);
}

/** The cached route while it is valid, else null. No reference is taken. Linux: __sk_dst_check(). */
export function skDstCheck(sk: Sock): DstEntry | null {
  const dst = sk.dst;
  if (dst === null || dst.ops.check(dst) !== null) return dst;
  skDstReset(sk);
  return null;
}

function skWake(sk: Sock, events: number): void {
  const socket = sk.socket;
  if (socket !== null && socket.first !== null) wakeUp(socket, events);
}

export function sockDefWakeup(sk: Sock): void {
  skWake(sk, EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLRDHUP);
}

export function sockDefReadable(sk: Sock): void {
  // skWake(), spared a call for each packet.
  const socket = sk.socket;
  if (socket !== null && socket.first !== null) wakeUp(socket, EPOLLIN | EPOLLPRI | EPOLLRDNORM);
}

/** Tells who waits for room in the send buffer. */
export function skWriteSpace(sk: Sock): void {
  const prot = sk.prot;
  if (prot.writeSpace === undefined) sockDefWriteSpace(sk);
  else prot.writeSpace(sk);
}

/** Datagram rule: tell a writer when at least half of the send buffer is free. */
export function sockDefWriteSpace(sk: Sock): void {
  if (sk.wmemAlloc << 1 <= sk.sndbuf) skWake(sk, EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND);
}

export function sockDefErrorReport(sk: Sock): void {
  skWake(sk, EPOLLERR);
}

/** Wakes writers of a stream. */
export function skStreamWake(sk: Sock): void {
  skWake(sk, EPOLLOUT | EPOLLWRNORM);
}
