/**
 * Listeners and their two queues, and the birth of their children. Linux: net/ipv4/inet_connection_sock.c.
 * Read first: listen(2), accept(2), RFC 9293 section 3.10.7.2. The SYN queue is made of requests (request-sock.ts), the
 * accept queue of connections linked by Sock.hashNext.
 */
import { words } from "../../lib/table.ts";
import { EADDRINUSE, EAGAIN, EINVAL } from "../../uapi/errno.ts";
import { IPSTATS_MIB_OUTNOROUTES, LINUX_MIB_LISTENDROPS, LINUX_MIB_TCPTIMEOUTS } from "../../uapi/snmp.ts";
import { TCP_CLOSE, TCP_LISTEN, TCP_SYN_RECV } from "../../uapi/tcp.ts";
import { dstRelease } from "../core/dst.ts";
import {
  SK_ACK_BACKLOG, SK_DROPS, SK_LINGERTIME_MS, SK_MARK, SK_MAX_PACING_RATE, SK_MAX_ACK_BACKLOG, SK_PRIORITY, SK_PROTOCOL, SK_RCVLOWAT,
  SK_RCVTIMEO_MS, SK_SNDTIMEO_MS, SK_TYPE, SK_USERLOCKS, skDstReset, skOptionOps, type Sock, SOCK_CA_SETSOCKOPT, SOCK_DEAD, SOCK_DESTROY, SOCK_DONE,
  sockOrphan, sockPut,
} from "../core/sock.ts";
import { flowi4SockInit, outputFlow } from "./flow.ts";
import {
  ehashReqBase, inetEhashInsert, inetEhashRemove, inetNodeFaddr, inetNodeFport, inetNodeLaddr,
} from "./inet-hashtables.ts";
import { INET_MC_MEMBER, IP_CMSG_OPTIONS } from "./inet-sock.ts";
import { ipOptions, synGuard } from "./ip-parts.ts";
import {
  REQ_ACKED, REQ_IP_OPTIONS, reqskCountTimeout, reqskFree, reqskHas, reqskIsOf, reqskListener, reqskSize, reqskTimeouts,
  reqskTimerStart, requestSockInit,
} from "./request-sock.ts";
import { ipRouteOutputFlow } from "./route.ts";
import type { Rtable } from "./rtable.ts";
import {
  ICSK_DEFER_ACCEPT, ICSK_REQSK_QLEN, ICSK_REQSK_YOUNG, ICSK_SYN_RETRIES, ICSK_USER_TIMEOUT_MS, TP_KEEPALIVE_INTVL_MS,
  TP_KEEPALIVE_PROBES, TP_KEEPALIVE_TIME_MS, TP_LINGER2, TP_NOTSENT_LOWAT, TP_USER_MSS, TP_WINDOW_CLAMP,
} from "./tcp-cold.ts";
import type { TcpSk } from "./tcp-sock.ts";
import { inetCskDestroySock } from "./tcp.ts";

/** What the transport lends. Linux: rsk_ops->rtx_syn_ack and tcp_set_state(). */
export interface CskOps {
  /** Sends the SYN-ACK of a request again: 0 or a negative errno. */
  rtxSynAck(listener: TcpSk, req: number): number;
  setState(sk: TcpSk, state: number): void;
}

/** Least accept backlog for which old requests make way for young ones. */
const PRUNE_MIN_BACKLOG = 8;
/** SYN-ACK retries are not reduced below this. */
const PRUNE_MIN_RETRIES = 2;
/** sk.flags that are of one socket and not for its children. */
const NOT_INHERITED = SOCK_DEAD | SOCK_DONE | SOCK_DESTROY;

let ops: CskOps;

/** Boot time only, after inetHashtablesInit. @param requests half-open connections */
export function inetConnectionSockInit(requests: number, lent: CskOps): void {
  ops = lent;
  requestSockInit(requests, reqskTimerHandler);
}

/**
 * The accept queue holds more than the backlog: one more than listen() named is let in. Linux: sk_acceptq_is_full().
 */
export function skAcceptqIsFull(sk: Sock): boolean {
  return words[sk.cold + SK_ACK_BACKLOG]! > words[sk.cold + SK_MAX_ACK_BACKLOG]!;
}

/** The SYN queue holds more than the backlog, like the accept queue. Linux: inet_csk_reqsk_queue_is_full(). */
export function inetCskReqskQueueIsFull(sk: TcpSk): boolean {
  return words[sk.icsk.cold + ICSK_REQSK_QLEN]! > words[sk.cold + SK_MAX_ACK_BACKLOG]!;
}

/** Counts a SYN or ACK that a full queue turned away. Linux: tcp_listendrop(). */
export function tcpListendrop(sk: TcpSk): void {
  words[sk.cold + SK_DROPS]!++;
  sk.net.mib[LINUX_MIB_LISTENDROPS]!++;
}

/**
 * Makes a bound sock a listener; its port is checked again, as two socks that share it may not both listen unless they
 * may. Linux: inet_csk_listen_start().
 * @returns 0 or -EADDRINUSE
 */
export function inetCskListenStart(sock: Sock, backlog: number): number {
  const sk = sock as TcpSk;
  const icsk = sk.icsk;
  icsk.acceptHead = icsk.acceptTail = null;
  words[icsk.cold + ICSK_REQSK_QLEN] = words[icsk.cold + ICSK_REQSK_YOUNG] = 0;
  words[sk.cold + SK_ACK_BACKLOG] = 0;
  words[sk.cold + SK_MAX_ACK_BACKLOG] = backlog;
  // In LISTEN from here on, as the conflict rules ask; not in a lookup table before the port is confirmed.
  ops.setState(sk, TCP_LISTEN);
  if (sk.prot.getPort(sk, sk.inet.num) === 0) {
    skDstReset(sk);
    return sk.prot.hash(sk);
  }
  ops.setState(sk, TCP_CLOSE);
  return -EADDRINUSE;
}

/**
 * Ends both queues of a listener that is closed: requests are forgotten, connections reset. Linux:
 * inet_csk_listen_stop().
 */
export function inetCskListenStop(sk: TcpSk): void {
  const requests = reqskSize();
  for (let req = 0; req < requests && words[sk.icsk.cold + ICSK_REQSK_QLEN]! > 0; req++) {
    if (reqskIsOf(req, sk)) inetCskReqskQueueDrop(sk, req);
  }
  for (let child = acceptQueueRemove(sk); child !== null; child = acceptQueueRemove(sk)) inetChildForget(child);
}

/** A connection that no program will ever see: a reset goes to the peer. Linux: inet_child_forget(). */
function inetChildForget(child: TcpSk): void {
  child.prot.disconnect(child);
  sockOrphan(child);
  inetCskDestroySock(child);
}

/** Takes the first connection from the accept queue, or null. Linux: reqsk_queue_remove(). */
function acceptQueueRemove(sk: TcpSk): TcpSk | null {
  const icsk = sk.icsk;
  const child = icsk.acceptHead;
  if (child === null) return null;
  const next = child.hashNext as TcpSk | null;
  icsk.acceptHead = next;
  if (next === null) icsk.acceptTail = null;
  child.hashNext = null;
  child.icsk.listener = null;
  words[sk.cold + SK_ACK_BACKLOG]!--;
  return child;
}

/**
 * The next connection of a listener; its reference is the caller's. Linux: inet_csk_accept().
 * @returns the sock, -EAGAIN when none waits, or -EINVAL when it does not listen
 */
export function inetCskAccept(sock: Sock): TcpSk | number {
  const sk = sock as TcpSk;
  if (sk.state !== TCP_LISTEN) return -EINVAL;
  return acceptQueueRemove(sk) ?? -EAGAIN;
}

/**
 * Puts a connection whose handshake is complete at the end of the accept queue; when the listener is gone it is
 * forgotten and the answer is null. Linux: inet_csk_reqsk_queue_add().
 */
export function inetCskReqskQueueAdd(sk: TcpSk, child: TcpSk): TcpSk | null {
  if (sk.state !== TCP_LISTEN) {
    inetChildForget(child);
    return null;
  }
  const icsk = sk.icsk;
  child.hashNext = null;
  child.icsk.listener = sk;
  if (icsk.acceptTail === null) icsk.acceptHead = child;
  else icsk.acceptTail.hashNext = child;
  icsk.acceptTail = child;
  words[sk.cold + SK_ACK_BACKLOG]!++;
  return child;
}

/**
 * Enters a request into ehash and the SYN queue and starts its timer. Linux: inet_csk_reqsk_queue_hash_add().
 * @param faddr @param fport the peer
 */
export function inetCskReqskQueueHashAdd(
  sk: TcpSk, req: number, laddr: number, faddr: number, fport: number,
): void {
  inetEhashInsert(ehashReqBase + req, sk.net, laddr, sk.inet.num, faddr, fport, sk.boundDevIf);
  reqskTimerStart(req);
  words[sk.icsk.cold + ICSK_REQSK_QLEN]!++;
  words[sk.icsk.cold + ICSK_REQSK_YOUNG]!++;
}

/** Counts a request out of the SYN queue. Linux: reqsk_queue_removed(). */
function reqskQueueRemoved(sk: TcpSk, req: number): void {
  if (reqskTimeouts(req) === 0) words[sk.icsk.cold + ICSK_REQSK_YOUNG]!--;
  words[sk.icsk.cold + ICSK_REQSK_QLEN]!--;
}

/** Forgets a request. Linux: inet_csk_reqsk_queue_drop(). */
export function inetCskReqskQueueDrop(sk: TcpSk, req: number): void {
  inetEhashRemove(ehashReqBase + req);
  reqskQueueRemoved(sk, req);
  reqskFree(req);
}

/**
 * The request has become `child`, which is hashed in its place: it moves to the accept queue. Linux:
 * inet_csk_complete_hashdance().
 */
export function inetCskCompleteHashdance(sk: TcpSk, child: TcpSk, req: number): TcpSk | null {
  inetCskReqskQueueDrop(sk, req);
  return inetCskReqskQueueAdd(sk, child);
}

/**
 * A SYN-ACK was not answered in time: it is sent again, or the request ends. When the SYN queue is more than half full
 * of the backlog, old requests make way for young ones by fewer retries. Linux: reqsk_timer_handler().
 */
function reqskTimerHandler(req: number): void {
  const sk = reqskListener(req);
  const icsk = sk.icsk;
  let thresh = words[icsk.cold + ICSK_SYN_RETRIES] !== 0 ? words[icsk.cold + ICSK_SYN_RETRIES]! : sk.net.ipv4.tcpSynackRetries;
  if (synGuard !== null) thresh = synGuard.retries(sk, thresh);
  const qlen = words[icsk.cold + ICSK_REQSK_QLEN]!;
  const room = words[sk.cold + SK_MAX_ACK_BACKLOG]! > PRUNE_MIN_BACKLOG ? words[sk.cold + SK_MAX_ACK_BACKLOG]! : PRUNE_MIN_BACKLOG;
  if (qlen << 1 > room) {
    for (let young = words[icsk.cold + ICSK_REQSK_YOUNG]! << 1; thresh > PRUNE_MIN_RETRIES && qlen >= young; young <<= 1) thresh--;
  }
  sk.net.mib[LINUX_MIB_TCPTIMEOUTS]!++;
  const timeouts = reqskTimeouts(req);
  const acked = reqskHas(req, REQ_ACKED);
  const defer = words[icsk.cold + ICSK_DEFER_ACCEPT]!;
  // While TCP_DEFER_ACCEPT waits for data, only the end of the period gives the peer a last reminder.
  const expire = timeouts >= thresh && (!acked || defer === 0 || timeouts >= defer);
  const resend = !acked || defer === 0 || timeouts >= defer - 1;
  if (!expire && (!resend || ops.rtxSynAck(sk, req) === 0 || acked)) {
    if (timeouts === 0) words[icsk.cold + ICSK_REQSK_YOUNG]!--;
    reqskCountTimeout(req);
    reqskTimerStart(req);
    return;
  }
  inetCskReqskQueueDrop(sk, req);
}

/** The route of a request's SYN-ACK with a reference for the caller, or null. Linux: inet_csk_route_req(). */
export function inetCskRouteReq(sk: TcpSk, req: number, laddr: number, faddr: number, fport: number): Rtable | null {
  const fl = outputFlow;
  const options = reqskHas(req, REQ_IP_OPTIONS) ? ipOptions : null;
  let hop = faddr;
  if (options !== null) {
    options.prepare(~req);
    hop = options.firstHop(faddr);
  }
  flowi4SockInit(fl, sk, hop, laddr, sk.boundDevIf, sk.inet.tos);
  fl.ports = (sk.inet.num << 16) | fport;
  const rt = ipRouteOutputFlow(sk.net, fl, sk);
  if (rt !== null) {
    if (options === null || rt.gateway === 0 || !options.strict()) return rt;
    dstRelease(rt);
  }
  sk.net.mib[IPSTATS_MIB_OUTNOROUTES]!++;
  return null;
}

/** The same for a request in ehash. */
export function inetCskRouteHashedReq(sk: TcpSk, req: number): Rtable | null {
  const node = ehashReqBase + req;
  return inetCskRouteReq(sk, req, inetNodeLaddr(node), inetNodeFaddr(node), inetNodeFport(node));
}

/**
 * A sock in SYN_RECV with the options of its listener, in no table; null when a pool is empty. One reference, which
 * inetCskDestroySock() gives back. Linux: inet_csk_clone_lock().
 */
export function inetCskCloneLock(sk: TcpSk): TcpSk | null {
  const child = sk.prot.alloc(sk.net) as TcpSk | null;
  if (child === null) return null;
  words[child.cold + SK_TYPE] = words[sk.cold + SK_TYPE]!;
  words[child.cold + SK_PROTOCOL] = words[sk.cold + SK_PROTOCOL]!;
  if (sk.prot.init(child) < 0) {
    sockPut(child);
    return null;
  }
  child.flags = sk.flags & ~NOT_INHERITED;
  child.rcvbuf = sk.rcvbuf;
  child.sndbuf = sk.sndbuf;
  words[child.cold + SK_USERLOCKS] = words[sk.cold + SK_USERLOCKS]!;
  child.boundDevIf = sk.boundDevIf;
  words[child.cold + SK_PRIORITY] = words[sk.cold + SK_PRIORITY]!;
  words[child.cold + SK_MARK] = words[sk.cold + SK_MARK]!;
  words[child.cold + SK_MAX_PACING_RATE] = words[sk.cold + SK_MAX_PACING_RATE]!;
  words[child.cold + SK_LINGERTIME_MS] = words[sk.cold + SK_LINGERTIME_MS]!;
  words[child.cold + SK_RCVLOWAT] = words[sk.cold + SK_RCVLOWAT]!;
  words[child.cold + SK_RCVTIMEO_MS] = words[sk.cold + SK_RCVTIMEO_MS]!;
  words[child.cold + SK_SNDTIMEO_MS] = words[sk.cold + SK_SNDTIMEO_MS]!;
  if (skOptionOps !== null) skOptionOps.inherit(sk, child);
  inheritInet(sk, child);
  inheritTcp(sk, child);
  ops.setState(child, TCP_SYN_RECV);
  return child;
}

function inheritInet(sk: TcpSk, child: TcpSk): void {
  const from = sk.inet;
  const to = child.inet;
  to.num = from.num;
  to.tos = from.tos;
  to.ucTtl = from.ucTtl;
  to.pmtudisc = from.pmtudisc;
  to.flags = from.flags & ~(IP_CMSG_OPTIONS | INET_MC_MEMBER);
}

function inheritTcp(sk: TcpSk, child: TcpSk): void {
  if ((sk.flags & SOCK_CA_SETSOCKOPT) !== 0) child.icsk.caOps = sk.icsk.caOps;
  words[child.icsk.cold + ICSK_SYN_RETRIES] = words[sk.icsk.cold + ICSK_SYN_RETRIES]!;
  words[child.icsk.cold + ICSK_USER_TIMEOUT_MS] = words[sk.icsk.cold + ICSK_USER_TIMEOUT_MS]!;
  const from = sk.tp;
  const to = child.tp;
  to.nonagle = from.nonagle;
  words[to.cold + TP_USER_MSS] = words[from.cold + TP_USER_MSS]!;
  words[to.cold + TP_WINDOW_CLAMP] = words[from.cold + TP_WINDOW_CLAMP]!;
  words[to.cold + TP_KEEPALIVE_TIME_MS] = words[from.cold + TP_KEEPALIVE_TIME_MS]!;
  words[to.cold + TP_KEEPALIVE_INTVL_MS] = words[from.cold + TP_KEEPALIVE_INTVL_MS]!;
  words[to.cold + TP_KEEPALIVE_PROBES] = words[from.cold + TP_KEEPALIVE_PROBES]!;
  words[to.cold + TP_LINGER2] = words[from.cold + TP_LINGER2]!;
  words[to.cold + TP_NOTSENT_LOWAT] = words[from.cold + TP_NOTSENT_LOWAT]!;
}

/** Prepares a half-made child for tcpDone(), which then destroys it. Linux: inet_csk_prepare_forced_close(). */
export function inetCskPrepareForcedClose(child: TcpSk): void {
  sockOrphan(child);
}
