/**
 * recv() of a TCP socket, and the window update that follows from reading. Linux: tcp_recvmsg() and tcp_cleanup_rbuf() of
 * net/ipv4/tcp.c. Read first: RFC 9293 sections 3.10.3 (RECEIVE) and 3.8.6.2.2 (when to open the window).
 *
 * Linux had three queues for a reader: the receive queue; the prequeue (tcp_low_latency = 0), for segments that arrive while a reader
 * sleeps in recv(), who then takes them through TCP in his own time; the backlog, for those that arrive while a call has the socket.
 * Nothing sleeps here, so nobody is ever there whom a prequeue could wait for: a segment goes through TCP at once, as with
 * tcp_low_latency = 1, or to the backlog, which the end of the call drains in order of arrival, behind what is in the receive queue.
 */
import { words } from "../../lib/table.ts";
import { EAGAIN, EINVAL, ENOTCONN } from "../../uapi/errno.ts";
import { MSG_ERRQUEUE, MSG_OOB, MSG_PEEK, MSG_TRUNC, SOL_TCP } from "../../uapi/socket.ts";
import { TCP_CLOSE, TCP_CM_INQ, TCP_LISTEN } from "../../uapi/tcp.ts";
import { sockRecvTimestamp } from "../core/datagram.ts";
import { consumeSkb, type SkBuff } from "../core/skbuff.ts";
import {
  lockSock, RCV_SHUTDOWN, releaseSock, type Sock, SOCK_DONE, SOCK_RCVINQ, SOCK_TIMESTAMP, SOCK_URGINLINE, sockError,
} from "../core/sock.ts";
import { copyToIter, type Msghdr, putCmsg } from "../core/sockaddr.ts";
import { ipControl } from "./ip-parts.ts";
import { TP_URG_DATA, TP_URG_SEQ, TP_WINDOW_CLAMP } from "./tcp-cold.ts";
import { tcpSendAck } from "./tcp-control.ts";
import { tcpRcvbuf, tcpUrgent } from "./tcp-parts.ts";
import { ICSK_ACK_PUSHED, ICSK_ACK_PUSHED2, ICSK_ACK_SCHED, type TcpSk, type TcpSock } from "./tcp-sock.ts";
import { tcpFastPathCheck, tcpWindowWanted } from "./tcp-window.ts";

/** Bytes that wait to be read. Linux: tcp_inq(). */
export function tcpInq(sk: TcpSk): number {
  const tp = sk.tp;
  const waiting = (tp.rcvNxt - tp.copiedSeq) | 0;
  if (words[tp.cold + TP_URG_DATA] !== 0 && (sk.flags & SOCK_URGINLINE) === 0) {
    const mark = (words[tp.cold + TP_URG_SEQ]! - tp.copiedSeq) | 0;
    if (mark >= 0 && mark < waiting) return mark;
  }
  return (sk.flags & SOCK_DONE) !== 0 && waiting > 0 ? waiting - 1 : waiting;
}

/** Does reading make a segment due: an ACK that is owed, or a window at least twice the last one? Linux: __tcp_cleanup_rbuf(). */
export function tcpCleanupRbuf(sk: TcpSk, copied: number): void {
  const tp = sk.tp;
  const icsk = sk.icsk;
  const pending = icsk.ackPending;
  if ((pending & ICSK_ACK_SCHED) !== 0) {
    const pushed = pending & (icsk.ackPingpong === 0 ? ICSK_ACK_PUSHED | ICSK_ACK_PUSHED2 : ICSK_ACK_PUSHED2);
    if (((tp.rcvNxt - tp.rcvWup) | 0) > icsk.ackRcvMss || (pushed !== 0 && copied > 0 && sk.rmemAlloc === 0)) {
      tcpSendAck(sk);
      return;
    }
  }
  if (copied <= 0 || (sk.shutdown & RCV_SHUTDOWN) !== 0) return;
  // Twice tcpReceiveWindow(). Not worth asking while most of the window is still open.
  const left = ((tp.rcvWup + tp.rcvWnd - tp.rcvNxt) | 0) << 1;
  if (left > words[tp.cold + TP_WINDOW_CLAMP]!) return;
  const wanted = tcpWindowWanted(sk);
  if (wanted !== 0 && wanted >= left) tcpSendAck(sk);
}

/** When the last segment that was copied had arrived. */
let lastStamp = 0;

/** Copies up to `length` bytes, from `tp.copiedSeq` on; with MSG_PEEK they stay. */
function copyQueue(sk: TcpSk, tp: TcpSock, msg: Msghdr, length: number, flags: number): number {
  const queue = sk.receiveQueue;
  const peek = (flags & MSG_PEEK) !== 0;
  const copy = (flags & MSG_TRUNC) === 0;
  const stamp = (sk.flags & SOCK_TIMESTAMP) !== 0;
  let seq = tp.copiedSeq;
  let left = length;
  let urgent = words[tp.cold + TP_URG_DATA] !== 0;
  let skb = queue.head;
  while (skb !== null && left > 0) {
    if (urgent) {
      // A call stops before the mark; the next one begins behind the urgent byte, or with it when it is inline.
      const atMark = words[tp.cold + TP_URG_SEQ] === seq;
      if (atMark && left < length) break;
      if (atMark && (sk.flags & SOCK_URGINLINE) === 0) {
        seq = (seq + 1) | 0;
        if (!peek) tp.copiedSeq = seq;
      }
    }
    const offset = (seq - skb.seq) | 0;
    const available = skb.len - offset;
    let used = available < left ? available : left;
    if (urgent) used = tcpUrgent!.limit(sk, seq, used);
    if (copy) copyToIter(skb.data + offset, used, msg);
    if (stamp) lastStamp = skb.when;
    seq = (seq + used) | 0;
    left -= used;
    if (peek) {
      skb = skb.next;
      continue;
    }
    tp.copiedSeq = seq;
    if (urgent && ((seq - words[tp.cold + TP_URG_SEQ]!) | 0) > 0) {
      words[tp.cold + TP_URG_DATA] = 0;
      urgent = false;
    }
    if (used < available) break;
    const next: SkBuff | null = skb.next;
    // skbDequeue(): it is the head.
    queue.head = next;
    if (next === null) queue.tail = null;
    else next.prev = null;
    queue.qlen--;
    // sockRfree(): its destructor, as it comes out of the receive queue.
    skb.destructor = null;
    sk.rmemAlloc -= skb.truesize;
    consumeSkb(skb);
    skb = next;
  }
  return length - left;
}

/** Nothing to read: the end of the stream, an error, or wait. */
function nothingToRead(sk: TcpSk): number {
  if ((sk.flags & SOCK_DONE) !== 0) return 0;
  if (sk.err !== 0) return sockError(sk);
  if ((sk.shutdown & RCV_SHUTDOWN) !== 0) return 0;
  return sk.state === TCP_CLOSE ? -ENOTCONN : -EAGAIN;
}

/**
 * The control messages of a call that read `copied` bytes: when they came, and with TCP_INQ what is left to read; after the peer's
 * FIN that is at least 1. Linux: tcp_recv_timestamp(), tcp_inq_hint().
 */
function putControl(sk: TcpSk, msg: Msghdr, copied: number): void {
  if ((sk.flags & SOCK_TIMESTAMP) !== 0 && copied > 0) sockRecvTimestamp(sk, msg, lastStamp);
  if ((sk.flags & SOCK_RCVINQ) === 0 || copied < 0) return;
  const waiting = (sk.tp.rcvNxt - sk.tp.copiedSeq) | 0;
  putCmsg(msg, SOL_TCP, TCP_CM_INQ, waiting === 0 && (sk.flags & SOCK_DONE) !== 0 ? 1 : waiting);
}

/**
 * Reads what is there, up to `length` bytes. Nothing blocks, so MSG_WAITALL reads no more than what is there. MSG_PEEK leaves it,
 * MSG_TRUNC discards it uncopied; MSG_ERRQUEUE reads an ICMP error. Linux: tcp_recvmsg().
 * @returns the count; 0 at the end of the stream; -EAGAIN, -ENOTCONN (never connected, or a listener), or the pending error
 */
export function tcpRecvmsg(sock: Sock, msg: Msghdr, length: number, flags: number): number {
  const sk = sock as TcpSk;
  if ((flags & MSG_ERRQUEUE) !== 0) return ipControl === null ? -EAGAIN : ipControl.recvError(sk, msg, length);
  if (sk.state === TCP_LISTEN) return -ENOTCONN;
  if ((flags & MSG_OOB) !== 0) {
    if (tcpUrgent === null) return -EINVAL;
    lockSock(sk);
    const urgent = tcpUrgent.read(sk, msg, length, flags);
    releaseSock(sk);
    return urgent;
  }
  // lockSock() and, with nothing in the backlog, releaseSock(), spared the calls.
  sk.owned = true;
  const tp = sk.tp;
  let copied = copyQueue(sk, tp, msg, length, flags);
  if (copied === 0 && (length > 0 || sk.receiveQueue.head === null)) {
    copied = nothingToRead(sk);
  } else if ((flags & MSG_PEEK) === 0) {
    if (tp.predFlags === 0) tcpFastPathCheck(sk);
    if (tcpRcvbuf !== null) tcpRcvbuf.read(sk, tp);
    if (sk.state !== TCP_CLOSE) tcpCleanupRbuf(sk, copied);
  }
  if (sk.backlog !== null) releaseSock(sk);
  else sk.owned = false;
  if ((sk.flags & (SOCK_TIMESTAMP | SOCK_RCVINQ)) !== 0) putControl(sk, msg, copied);
  return copied;
}
