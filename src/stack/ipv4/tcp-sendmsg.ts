/**
 * send() of a TCP socket: bytes into segments of the write queue, and when these leave. Linux: tcp_sendmsg() and tcp_push() of
 * net/ipv4/tcp.c, sk_stream_write_space() of net/core/stream.c. Read first: RFC 9293 sections 3.10.2 (SEND) and 3.9.1.2 (PUSH).
 *
 * A writer is refused (-EAGAIN) when half of sndbuf is in use, or when the pool is down to the reserve that incoming segments
 * need; it hears EPOLLOUT when there is room again, by the ACK that frees its segments, or by a timer when others hold the pool.
 */
import { words } from "../../lib/table.ts";
import { EAGAIN, EINPROGRESS, EOPNOTSUPP, EPIPE } from "../../uapi/errno.ts";
import { MSG_DONTWAIT, MSG_EOR, MSG_FASTOPEN, MSG_MORE, MSG_OOB } from "../../uapi/socket.ts";
import { TCP_MSS_DEFAULT, TCPF_CLOSE_WAIT, TCPF_ESTABLISHED, TCPF_SYN_RECV, TCPF_SYN_SENT } from "../../uapi/tcp.ts";
import {
  SKB_OVERHEAD_BYTES, type SkBuff, skbBufferBytes, skbHeadsAvailable, skbPut,
} from "../core/skbuff.ts";
import { lockSock, releaseSock, SEND_SHUTDOWN, type Sock, sockError, skStreamWake } from "../core/sock.ts";
import { copyFromIter, type Msghdr } from "../core/sockaddr.ts";
import { TCPHDR_ACK, TCPHDR_PSH } from "../wire/tcp.ts";
import { TCP_CHRONO_SNDBUF_LIMITED } from "./tcp-chrono.ts";
import {
  FASTOPEN_REQ_WAITS, TP_CHRONO_TYPE, TP_DEFER_CONNECT, TP_FASTOPEN_REQ, TP_MAX_WINDOW, TP_NOTSENT_LOWAT, TP_SYN_DATA,
  TP_SYN_DATA_COPIED,
} from "./tcp-cold.ts";
import { tcpSlowStartAfterIdleCheck } from "./tcp-cong.ts";
import { tcpAddWriteQueueTail, tcpPushOne, tcpPushPendingFrames, tcpSegmentRoom, tcpStreamAllocSkb } from "./tcp-output.ts";
import { tcpChrono, tcpFastopen, tcpRates, tcpUrgent } from "./tcp-parts.ts";
import { ICSK_TIME_POOL, TCP_NAGLE_CORK, TCP_NAGLE_PUSH, TCPCB_EOR, type TcpSk, type TcpSock } from "./tcp-sock.ts";
import { inetCskResetXmitTimer, TCP_POOL_RETRY_MS } from "./tcp-timer.ts";
import { tcpWmemAvailable, tcpWmemSchedule } from "./tcp-memory.ts";
import { tcpCurrentMss } from "./tcp-window.ts";

/** Most bytes that Linux hands down at once. */
const GSO_MAX_SIZE = 65536;
const CAN_SEND = TCPF_ESTABLISHED | TCPF_CLOSE_WAIT;
const OPENING = TCPF_SYN_SENT | TCPF_SYN_RECV;

/**
 * Is there room in the send buffer for a segment, and not too much unsent (TCP_NOTSENT_LOWAT; negative: no limit)?
 * Linux: tcp_stream_memory_free(). @param wake 1 when a writer would be woken: only half of the limit, so that it is worth it
 */
function streamMemoryFree(sk: TcpSk, wake: number): boolean {
  const tp = sk.tp;
  if (sk.wmemQueued >= sk.sndbuf) return false;
  const own = words[tp.cold + TP_NOTSENT_LOWAT]!;
  const lowat = own !== 0 ? own : sk.net.ipv4.tcpNotsentLowat;
  return lowat < 0 || ((tp.writeSeq - tp.sndNxt) | 0) << wake < lowat;
}

/** Does EPOLLOUT hold: at least a third of the buffer is free? Linux: sk_stream_is_writeable(). */
export function tcpIsWriteable(sk: TcpSk): boolean {
  const used = sk.wmemQueued;
  return sk.sndbuf - used >= used >> 1 && streamMemoryFree(sk, 1) && tcpWmemSchedule(sk);
}

/**
 * Bytes that the next calls of send() take if nothing else happens between: what fits into the last segment, and into those that
 * the send buffer and the pool still allow. 0 when nothing can be sent.
 */
export function tcpSendSpace(sk: TcpSk): number {
  if (((1 << sk.state) & CAN_SEND) === 0 || sk.err !== 0 || (sk.shutdown & SEND_SHUTDOWN) !== 0) return 0;
  const mss = tcpCurrentMss(sk);
  const room = tcpSegmentRoom(sk);
  const goal = mss < room ? mss : room;
  const tail = sk.sendHead !== null ? sk.writeQueue.tail : null;
  const begun = tail !== null && tail.len < goal && (tail.sacked & TCPCB_EOR) === 0 ? goal - tail.len : 0;
  let segments = ((sk.sndbuf - sk.wmemQueued) / (skbBufferBytes + SKB_OVERHEAD_BYTES)) | 0;
  // Two for each: loopback and veth copy a segment that leaves at once.
  const buffers = tcpWmemAvailable(sk) >> 1;
  if (buffers < segments) segments = buffers;
  const pairs = skbHeadsAvailable() >> 1;
  if (pairs < segments) segments = pairs;
  return begun + (segments > 0 ? segments * goal : 0);
}

/** A writer is refused: it is told when it is worth trying again. */
export function tcpSetNoSpace(sk: TcpSk): void {
  const socket = sk.socket;
  if (socket !== null) socket.noSpace = true;
  waitForPool(sk);
}

/** Without own segments in flight no ACK will come to say that buffers are back: look for them by time. */
function waitForPool(sk: TcpSk): void {
  if (sk.tp.packetsOut === 0 && sk.icsk.pending === 0 && !tcpWmemSchedule(sk)) {
    inetCskResetXmitTimer(sk, ICSK_TIME_POOL, TCP_POOL_RETRY_MS);
  }
}

/** Room may have come back: wakes a writer that was refused. Linux: sk_stream_write_space(). */
export function skStreamWriteSpace(sock: Sock): void {
  const socket = sock.socket;
  if (socket === null || !socket.noSpace) return;
  const sk = sock as TcpSk;
  if (tcpIsWriteable(sk)) {
    socket.noSpace = false;
    if (words[sk.tp.cold + TP_CHRONO_TYPE] === TCP_CHRONO_SNDBUF_LIMITED) tcpChrono!.stop(sk, TCP_CHRONO_SNDBUF_LIMITED);
    skStreamWake(sk);
  } else {
    waitForPool(sk);
  }
}

/** The error of a send that cannot be: the pending one, or EPIPE. Linux: sk_stream_error(). */
function streamError(sk: TcpSk): number {
  const err = sockError(sk);
  return err !== 0 ? err : -EPIPE;
}

/** A new empty segment at the end of the write queue, or null. Linux: tcp_skb_entail(). */
function tcpSkbEntail(sk: TcpSk): SkBuff | null {
  if (!tcpWmemSchedule(sk)) return null;
  const skb = tcpStreamAllocSkb(sk);
  if (skb === null) return null;
  skb.seq = skb.endSeq = sk.tp.writeSeq;
  skb.tcpFlags = TCPHDR_ACK;
  // Behind what waits already Linux adds to the last sk_buff.
  if (sk.sendHead === null) tcpSlowStartAfterIdleCheck(sk);
  tcpAddWriteQueueTail(sk, skb);
  return skb;
}

/** The peer should pass on what it has: PSH on this segment. Linux: tcp_mark_push(). */
function tcpMarkPush(tp: TcpSock, skb: SkBuff): void {
  skb.tcpFlags |= TCPHDR_PSH;
  tp.pushedSeq = tp.writeSeq;
}

/** Half of the largest window the peer ever had is unpushed: push, or it might wait. Linux: forced_push(). */
function forcedPush(tp: TcpSock): boolean {
  return ((tp.writeSeq - tp.pushedSeq) | 0) > words[tp.cold + TP_MAX_WINDOW]! >> 1;
}

/**
 * Bytes that a writer's segments run to before they are looked at: Linux gathers as many in one sk_buff. Half of the largest
 * window, so that the peer's ACKs do not run dry, and here no more than a quarter of the send buffer, which a run begun may
 * overdraw. Linux: tcp_xmit_size_goal(). @param mss payload of a segment
 */
function tcpXmitSizeGoal(sk: TcpSk, mss: number): number {
  const window = words[sk.tp.cold + TP_MAX_WINDOW]!;
  let goal = window > TCP_MSS_DEFAULT ? window >> 1 : window;
  if (goal > GSO_MAX_SIZE) goal = GSO_MAX_SIZE;
  if (goal > sk.sndbuf >> 2) goal = sk.sndbuf >> 2;
  return goal <= mss ? mss : goal - (goal % mss);
}

/** The program has no more for now, or with MSG_MORE will have soon. Linux: tcp_push(). */
function tcpPush(sk: TcpSk, more: boolean, mss: number, nonagle: number): void {
  const tail = sk.writeQueue.tail;
  if (sk.sendHead === null || tail === null) return;
  if (!more || forcedPush(sk.tp)) tcpMarkPush(sk.tp, tail);
  tcpPushPendingFrames(sk, mss, more ? TCP_NAGLE_CORK : nonagle);
}

/** Linux: tcp_sendmsg_locked(). */
function sendmsgLocked(sk: TcpSk, msg: Msghdr, length: number): number {
  const tp = sk.tp;
  let sent = 0;
  if ((msg.flags & MSG_FASTOPEN) !== 0 || words[tp.cold + TP_DEFER_CONNECT] !== 0) {
    const err = tcpFastopen === null ? -EOPNOTSUPP : tcpFastopen.sendmsg(sk, msg, length);
    sent = words[tp.cold + TP_SYN_DATA_COPIED]!;
    words[tp.cold + TP_SYN_DATA_COPIED] = 0;
    if (err === -EINPROGRESS && sent > 0) return sent;
    if (err < 0) return err;
  }
  return sendmsgData(sk, msg, length - sent, sent);
}

/** The run goes on in another segment, and so does what marks its end. */
function movePush(from: SkBuff, to: SkBuff): void {
  to.tcpFlags |= from.tcpFlags & TCPHDR_PSH;
  from.tcpFlags &= ~TCPHDR_PSH;
}

/** A run is full: it is pushed when the peer might wait for that, and when all before it has left its beginning goes. */
function pushRun(sk: TcpSk, tail: SkBuff, mss: number, run: number): void {
  const tp = sk.tp;
  if (forcedPush(tp)) {
    tcpMarkPush(tp, tail);
    tcpPushPendingFrames(sk, mss, TCP_NAGLE_PUSH);
  } else if (run === ((tp.writeSeq - tp.sndNxt) | 0)) {
    tcpPushOne(sk, mss);
  }
}

/** @param before bytes of the message that the SYN took */
function sendmsgData(sk: TcpSk, msg: Msghdr, length: number, before: number): number {
  const tp = sk.tp;
  const inState = 1 << sk.state;
  if ((inState & CAN_SEND) === 0 && tp.fastopenRsk === null) {
    if (sk.err !== 0 || (inState & OPENING) === 0) return streamError(sk);
    if (words[tp.cold + TP_SYN_DATA] !== 0 && (msg.flags & MSG_DONTWAIT) === 0) words[tp.cold + TP_FASTOPEN_REQ] = FASTOPEN_REQ_WAITS;
    tcpSetNoSpace(sk);
    return -EAGAIN;
  }
  if (sk.err !== 0 || (sk.shutdown & SEND_SHUTDOWN) !== 0) return streamError(sk);
  const socket = sk.socket;
  if (socket !== null) socket.noSpace = false;
  if (tcpRates !== null) tcpRates.write(sk);
  const mss = tcpCurrentMss(sk);
  const room = tcpSegmentRoom(sk);
  const goal = mss < room ? mss : room;
  const sizeGoal = tcpXmitSizeGoal(sk, goal);
  let copied = 0;
  // Bytes of the run that goes on with the next.
  let run = ((tp.writeSeq - tp.sndNxt) | 0) % sizeGoal;
  while (copied < length) {
    // Only a segment that was never sent may grow: the bytes of others are shared with their clones.
    let skb = sk.sendHead !== null ? sk.writeQueue.tail : null;
    if (skb === null || skb.len >= goal || (skb.sacked & TCPCB_EOR) !== 0) {
      if (skb === null || (skb.sacked & TCPCB_EOR) !== 0) run = 0;
      // A run that has begun may end: but in packet memory too it overdraws by no more than a quarter of the send buffer.
      const free = run !== 0 ? sk.wmemQueued + skb!.truesize <= sk.sndbuf + (sk.sndbuf >> 2) : streamMemoryFree(sk, 0);
      const next = free ? tcpSkbEntail(sk) : null;
      if (next === null) break;
      if (run !== 0) movePush(skb!, next);
      skb = next;
    }
    if (copied === 0) skb.tcpFlags &= ~TCPHDR_PSH;
    let chunk = goal - skb.len;
    if (chunk > length - copied) chunk = length - copied;
    chunk = copyFromIter(skbPut(skb, chunk), msg, chunk);
    tp.writeSeq = (tp.writeSeq + chunk) | 0;
    skb.endSeq = (skb.endSeq + chunk) | 0;
    copied += chunk;
    run += chunk;
    if (copied === length) {
      if ((msg.flags & MSG_EOR) !== 0) skb.sacked |= TCPCB_EOR;
    } else if (run >= sizeGoal) {
      pushRun(sk, skb, mss, run);
      const unsent = (tp.writeSeq - tp.sndNxt) | 0;
      run = unsent < run ? unsent : 0;
    }
  }
  if ((msg.flags & MSG_OOB) !== 0 && copied > 0) tcpUrgent!.mark(sk);
  if (copied < length) {
    if (tcpChrono !== null && !streamMemoryFree(sk, 0)) tcpChrono.start(tp, TCP_CHRONO_SNDBUF_LIMITED);
    // No room for the rest: what is there goes now, for its ACK makes the room.
    tcpPush(sk, false, mss, TCP_NAGLE_PUSH);
    tcpSetNoSpace(sk);
    return copied + before > 0 ? copied + before : -EAGAIN;
  }
  if (copied > 0) tcpPush(sk, (msg.flags & MSG_MORE) !== 0, mss, tp.nonagle);
  return copied + before;
}

/**
 * Takes as many of `length` bytes as fit, and sends what may go. Linux: tcp_sendmsg().
 * @returns the number taken; -EAGAIN for none (or not connected yet), -EPIPE (closed for sending), or the pending error
 */
export function tcpSendmsg(sock: Sock, msg: Msghdr, length: number): number {
  const sk = sock as TcpSk;
  if ((msg.flags & MSG_OOB) !== 0 && tcpUrgent === null) return -EOPNOTSUPP;
  lockSock(sk);
  const copied = sendmsgLocked(sk, msg, length);
  releaseSock(sk);
  return copied;
}
