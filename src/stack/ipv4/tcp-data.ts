/**
 * Data that arrives: into the receive queue in order, the delayed-ACK estimate, FIN. Linux: tcp_data_queue() and its helpers of
 * net/ipv4/tcp_input.c. Read first: RFC 9293 section 3.10.7.4 (seventh and eighth check) and 3.8.6.3, RFC 1122 section 4.2.3.2.
 *
 * The receive queue holds every byte from copiedSeq to rcvNxt exactly once, in order: what a segment repeats is cut off before
 * it enters. A small segment is copied into the free room of the last buffer (tcpTryCoalesce), as each would hold a whole buffer.
 */
import { memCopy, memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import {
  SKB_DROP_REASON_SOCKET_RCVBUFF, SKB_DROP_REASON_TCP_OLD_DATA, SKB_DROP_REASON_TCP_OVERWINDOW,
  SKB_DROP_REASON_TCP_ZEROWINDOW,
} from "../../uapi/drop-reason.ts";
import {
  LINUX_MIB_DELAYEDACKLOST, LINUX_MIB_TCPRCVCOALESCE, LINUX_MIB_TCPRCVQDROP, LINUX_MIB_TCPZEROWINDOWDROP,
} from "../../uapi/snmp.ts";
import {
  TCP_CLOSE_WAIT, TCP_CLOSING, TCP_ESTABLISHED, TCP_FIN_WAIT1, TCP_FIN_WAIT2, TCP_MSS_DEFAULT, TCP_SYN_RECV,
  TCP_TIME_WAIT,
} from "../../uapi/tcp.ts";
import { consumeSkb, kfreeSkb, type SkBuff, skbBufferBytes, skbCloned, skbPull } from "../core/skbuff.ts";
import {
  RCV_SHUTDOWN, SK_RCVLOWAT, SOCK_DEAD, SOCK_DONE, sockDefReadable, sockDefWakeup, sockRfree,
} from "../core/sock.ts";
import { TCP_HLEN, TCPHDR_FIN, TCPHDR_PSH, TCPHDR_SYN, TCPHDR_URG, TH_DOFF } from "../wire/tcp.ts";
import { ICSK_ACK_LAST_SEG_SIZE, TP_ADVMSS, TP_DATA_SEGS_IN, TP_DSACK, TP_NUM_SACKS, TP_SEGS_IN, TP_WINDOW_CLAMP } from "./tcp-cold.ts";
import { tcpSetState } from "./tcp.ts";
import { tcpSendAck } from "./tcp-control.ts";
import { tcpUnderMemoryPressure } from "./tcp-memory.ts";
import { tcpTimeWait } from "./tcp-minisocks.ts";
import { tcpDataQueueOfo, tcpOfoPurge, tcpOfoQueue, tcpPruneQueue } from "./tcp-ofo.ts";
import { tcpEcn, tcpRcvbuf } from "./tcp-parts.ts";
import { tcpDsackSet, tcpSackRemove } from "./tcp-sack.ts";
import { ICSK_ACK_NOW, ICSK_ACK_PUSHED, ICSK_ACK_PUSHED2, ICSK_ACK_SCHED, type TcpSk, type TcpSock } from "./tcp-sock.ts";
import { TCP_MIN_MSS, tcpFastPathCheck, tcpReceiveWindow, tcpSpace, tcpWinFromSpace } from "./tcp-window.ts";
import { TCP_ATO_MIN, TCP_PINGPONG_THRESH } from "./tcp-xmit.ts";

/** Segments acknowledged one by one at the start of a stream, at most. Linux: TCP_MAX_QUICKACKS. */
export const TCP_MAX_QUICKACKS = 16;
/** Flags of a segment that may be the last of what the peer's program had to send. Linux: TCP_REMNANT. */
const TCPHDR_REMNANT = TCPHDR_FIN | TCPHDR_URG | TCPHDR_SYN | TCPHDR_PSH;
/** A segment shorter than this tells nothing about the window that fits the buffer. */
const GROW_MIN_BYTES = 128;

/** Counts a segment that comes, whatever becomes of it. Linux: tcp_segs_in(). */
export function tcpSegsIn(tp: TcpSock, skb: SkBuff): void {
  const cold = tp.cold;
  words[cold + TP_SEGS_IN]!++;
  if (skb.len > (memView.getUint8(skb.th + TH_DOFF) >> 4) << 2) words[cold + TP_DATA_SEGS_IN]!++;
}

/** Half a window of segments, 2 to `most`, are acknowledged at once. Linux: tcp_incr_quickack(). */
function tcpIncrQuickack(sk: TcpSk, most: number): void {
  const icsk = sk.icsk;
  let quick = (sk.tp.rcvWnd / (icsk.ackRcvMss << 1)) | 0;
  if (quick === 0) quick = 2;
  if (quick > most) quick = most;
  if (quick > icsk.ackQuick) icsk.ackQuick = quick;
}

/** The peer needs ACKs soon: no delay and no waiting for data for up to `most` segments. Linux: tcp_enter_quickack_mode(). */
export function tcpEnterQuickackMode(sk: TcpSk, most: number): void {
  tcpIncrQuickack(sk, most);
  sk.icsk.ackPingpong = 0;
  sk.icsk.ackAto = TCP_ATO_MIN;
}

/** Estimates the MSS the peer sends, which decides when two segments have come. Linux: tcp_measure_rcv_mss(). */
export function tcpMeasureRcvMss(sk: TcpSk, skb: SkBuff): void {
  const icsk = sk.icsk;
  const tp = sk.tp;
  const lastSize = words[icsk.cold + ICSK_ACK_LAST_SEG_SIZE]!;
  words[icsk.cold + ICSK_ACK_LAST_SEG_SIZE] = 0;
  // As it came: what is not new may have been cut off.
  const whole = skb.tail - skb.th;
  let len = whole - ((memView.getUint8(skb.th + TH_DOFF) >> 4) << 2);
  if (len >= icsk.ackRcvMss) {
    icsk.ackRcvMss = len < words[tp.cold + TP_ADVMSS]! ? len : words[tp.cold + TP_ADVMSS]!;
    return;
  }
  len = whole;
  // Two equal segments in a row that the program of the peer did not push are full ones.
  if (len >= TCP_MSS_DEFAULT + TCP_HLEN || (len >= TCP_MIN_MSS + TCP_HLEN && (skb.tcpFlags & TCPHDR_REMNANT) === 0)) {
    len -= tp.tcpHeaderLen;
    words[icsk.cold + ICSK_ACK_LAST_SEG_SIZE] = len;
    if (len === lastSize) {
      icsk.ackRcvMss = len;
      return;
    }
  }
  if ((icsk.ackPending & ICSK_ACK_PUSHED) !== 0) icsk.ackPending |= ICSK_ACK_PUSHED2;
  icsk.ackPending |= ICSK_ACK_PUSHED;
}

/** Lets the advertised window grow while the peer fills its buffers well. Linux: tcp_grow_window(). */
function tcpGrowWindow(sk: TcpSk, skb: SkBuff): void {
  const tp = sk.tp;
  const space = tcpSpace(sk);
  const room = (words[tp.cold + TP_WINDOW_CLAMP]! < space ? words[tp.cold + TP_WINDOW_CLAMP]! : space) - tp.rcvSsthresh;
  if (room <= 0 || tcpWinFromSpace(sk, skb.truesize) > skb.len || tcpUnderMemoryPressure(sk)) return;
  const grow = words[tp.cold + TP_ADVMSS]! << 1;
  sk.icsk.ackQuick |= 1;
  tp.rcvSsthresh += grow < room ? grow : room;
}

/**
 * Data came: an ACK is owed, and its delay follows the interval between segments. The segment is not yet coalesced.
 * Linux: tcp_event_data_recv().
 */
export function tcpEventDataRecv(sk: TcpSk, skb: SkBuff): void {
  const icsk = sk.icsk;
  const tp = sk.tp;
  icsk.ackPending |= ICSK_ACK_SCHED;
  const len = skb.len;
  if (len === icsk.ackRcvMss) words[icsk.cold + ICSK_ACK_LAST_SEG_SIZE] = 0;
  else tcpMeasureRcvMss(sk, skb);
  const now = jiffies;
  // For SO_TIMESTAMP.
  skb.when = now;
  let ato = icsk.ackAto;
  if (ato === 0) {
    tcpIncrQuickack(sk, TCP_MAX_QUICKACKS);
    ato = TCP_ATO_MIN;
  } else {
    const interval = (now - icsk.ackLrcvtime) | 0;
    if (interval <= TCP_ATO_MIN >> 1) {
      ato = (ato >> 1) + (TCP_ATO_MIN >> 1);
    } else if (interval < ato) {
      ato = (ato >> 1) + interval;
      if (ato > icsk.rto) ato = icsk.rto;
    } else if (interval > icsk.rto) {
      // Too long a gap: the peer may be in slow start again.
      tcpIncrQuickack(sk, TCP_MAX_QUICKACKS);
    }
  }
  icsk.ackAto = ato;
  icsk.ackLrcvtime = now;
  if (tcpRcvbuf !== null && ((skb.endSeq - tp.rcvRttSeq) | 0) >= 0) tcpRcvbuf.window(tp, skb.endSeq);
  if (tp.ecnFlags !== 0) tcpEcn!.checkCe(sk, skb);
  if (len >= GROW_MIN_BYTES && tp.rcvSsthresh < words[tp.cold + TP_WINDOW_CLAMP]!) tcpGrowWindow(sk, skb);
}

/**
 * Copies a segment behind the last one of a queue when it continues that and its buffer has room that is its own.
 * Linux: tcp_try_coalesce().
 */
export function tcpTryCoalesce(sk: TcpSk, to: SkBuff, from: SkBuff): boolean {
  const length = from.len;
  const tail = to.tail;
  if (length > to.head + skbBufferBytes - tail || to.endSeq !== from.seq || skbCloned(to)) return false;
  memCopy(tail, from.data, length);
  to.tail = tail + length;
  to.len += length;
  to.endSeq = (from.seq + length) | 0;
  to.when = from.when;
  sk.net.mib[LINUX_MIB_TCPRCVCOALESCE]!++;
  return true;
}

/**
 * Appends a segment, header pulled and cut to what is new, to the receive queue; rcvNxt moves behind it, its FIN not counted.
 * Linux: tcp_queue_rcv(). @returns whether it was copied, so that the segment is the caller's to consume
 */
export function tcpQueueRcv(sk: TcpSk, skb: SkBuff): boolean {
  const queue = sk.receiveQueue;
  const tail = queue.tail;
  const length = skb.len;
  const tp = sk.tp;
  const end = (skb.seq + length) | 0;
  tp.rcvNxt = end;
  tp.bytesReceived += length;
  if (length === 0 || (tail !== null && tcpTryCoalesce(sk, tail, skb))) return true;
  skb.endSeq = end;
  // skbSetOwnerR(), spared a call: what has just come in belongs to nobody.
  skb.sk = sk;
  skb.destructor = sockRfree;
  sk.rmemAlloc += skb.truesize;
  skb.prev = tail;
  skb.next = null;
  if (tail === null) queue.head = skb;
  else tail.next = skb;
  queue.tail = skb;
  queue.qlen++;
  return false;
}

/** Cuts off what was received before, so that the segment begins at `seq`. */
export function tcpCutFront(skb: SkBuff, seq: number): void {
  const repeated = (seq - skb.seq) | 0;
  if (repeated <= 0) return;
  skbPull(skb, repeated);
  skb.seq = seq;
}

/** Is there a program to be told of data, and enough of it (SO_RCVLOWAT)? Linux: tcp_data_ready(). */
export function tcpDataReady(sk: TcpSk): void {
  if ((sk.flags & SOCK_DEAD) !== 0) return;
  const tp = sk.tp;
  const waiting = (tp.rcvNxt - tp.copiedSeq) | 0;
  if (
    waiting >= words[sk.cold + SK_RCVLOWAT]! || (sk.flags & SOCK_DONE) !== 0 || sk.rmemAlloc > sk.rcvbuf
    || tcpReceiveWindow(tp) <= sk.icsk.ackRcvMss
  ) {
    sockDefReadable(sk);
  }
}

/** The peer has sent all it had: what is next is its FIN. Linux: tcp_fin(). */
export function tcpFin(sk: TcpSk): void {
  const tp = sk.tp;
  tp.rcvNxt = (tp.rcvNxt + 1) | 0;
  tp.bytesReceived++;
  sk.icsk.ackPending |= ICSK_ACK_SCHED;
  sk.shutdown |= RCV_SHUTDOWN;
  sk.flags |= SOCK_DONE;
  // Still with what lies behind a hole, which nobody will send again.
  if (sk.state === TCP_FIN_WAIT1 || sk.state === TCP_FIN_WAIT2) tcpSendAck(sk);
  tcpOfoPurge(sk);
  words[tp.cold + TP_DSACK] = 0;
  switch (sk.state) {
    case TCP_SYN_RECV:
    case TCP_ESTABLISHED:
      tcpSetState(sk, TCP_CLOSE_WAIT);
      sk.icsk.ackPingpong = TCP_PINGPONG_THRESH;
      break;
    case TCP_FIN_WAIT1:
      // Simultaneous close: our FIN is not acknowledged yet.
      tcpSetState(sk, TCP_CLOSING);
      break;
    case TCP_FIN_WAIT2:
      tcpTimeWait(sk, TCP_TIME_WAIT, 0);
      break;
    default:
      // A retransmitted FIN: it was acknowledged, and will be again.
      return;
  }
  if ((sk.flags & SOCK_DEAD) === 0) sockDefWakeup(sk);
}

/** A segment that is no use now is answered at once and dropped. */
function dropAndAck(sk: TcpSk, skb: SkBuff, reason: number): void {
  tcpEnterQuickackMode(sk, TCP_MAX_QUICKACKS);
  sk.icsk.ackPending |= ICSK_ACK_SCHED;
  kfreeSkb(skb, reason);
}

/** A segment that continues the stream. */
function queueInOrder(sk: TcpSk, skb: SkBuff): void {
  const tp = sk.tp;
  if (sk.rmemAlloc > sk.rcvbuf && !tcpPruneQueue(sk)) {
    sk.net.mib[LINUX_MIB_TCPRCVQDROP]!++;
    tcpSendAck(sk);
    sockDefReadable(sk);
    kfreeSkb(skb, SKB_DROP_REASON_SOCKET_RCVBUFF);
    return;
  }
  const fin = (skb.tcpFlags & TCPHDR_FIN) !== 0;
  if (skb.len !== 0) tcpEventDataRecv(sk, skb);
  if (tcpQueueRcv(sk, skb)) consumeSkb(skb);
  if (fin) {
    tcpFin(sk);
  } else if (tp.ofoTail !== null) {
    tcpOfoQueue(sk);
    // The hole is filled: the peer should know at once (RFC 5681 section 4.2).
    if ((tp.ofoTail as SkBuff | null) === null) sk.icsk.ackPending |= ICSK_ACK_NOW;
  }
  if (words[tp.cold + TP_NUM_SACKS] !== 0) tcpSackRemove(tp);
  tcpFastPathCheck(sk);
  tcpDataReady(sk);
}

/**
 * Takes the data of a segment that passed all checks: in order, wholly old, beyond the window, partly old, or out of order. The
 * segment is consumed. Linux: tcp_data_queue().
 */
export function tcpDataQueue(sk: TcpSk, skb: SkBuff): void {
  const tp = sk.tp;
  if (skb.seq === skb.endSeq) {
    consumeSkb(skb);
    return;
  }
  skbPull(skb, (memView.getUint8(skb.th + TH_DOFF) >> 4) << 2);
  if (tp.ecnFlags !== 0) tcpEcn!.acceptCwr(sk, skb);
  const rcvNxt = tp.rcvNxt;
  const ahead = (skb.seq - rcvNxt) | 0;
  const window = tcpReceiveWindow(tp);
  if (ahead > 0) {
    if (ahead >= window) dropAndAck(sk, skb, SKB_DROP_REASON_TCP_OVERWINDOW);
    else tcpDataQueueOfo(sk, skb);
    return;
  }
  if (((skb.endSeq - rcvNxt) | 0) <= 0) {
    sk.net.mib[LINUX_MIB_DELAYEDACKLOST]!++;
    tcpDsackSet(sk, skb.seq, skb.endSeq);
    dropAndAck(sk, skb, SKB_DROP_REASON_TCP_OLD_DATA);
    return;
  }
  if (ahead < 0) tcpDsackSet(sk, skb.seq, rcvNxt);
  if (window === 0 && skb.len !== 0) {
    sk.net.mib[LINUX_MIB_TCPZEROWINDOWDROP]!++;
    dropAndAck(sk, skb, SKB_DROP_REASON_TCP_ZEROWINDOW);
    return;
  }
  if (ahead < 0) tcpCutFront(skb, rcvNxt);
  queueInOrder(sk, skb);
}
