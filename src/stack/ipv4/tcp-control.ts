/**
 * Segments without data: acknowledgments at once or delayed, FIN, RST, probes. Linux: tcp_send_ack(), tcp_send_delayed_ack(),
 * tcp_send_fin(), tcp_send_active_reset(), tcp_write_wakeup() of net/ipv4/tcp_output.c. Read first: RFC 9293 sections 3.8.6.3
 * (when to acknowledge), 3.8.4 (keepalive), 3.8.6.1 (probes), RFC 5681 section 4.2.
 */
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import { LINUX_MIB_TCPABORTFAILED, TCP_MIB_OUTRSTS } from "../../uapi/snmp.ts";
import { TCP_CLOSE } from "../../uapi/tcp.ts";
import { SK_RCVLOWAT } from "../core/sock.ts";
import { TCPHDR_ACK, TCPHDR_FIN, TCPHDR_PSH, TCPHDR_RST } from "../wire/tcp.ts";
import { TP_FIN_PENDING, TP_SND_UP } from "./tcp-cold.ts";
import {
  tcpAddWriteQueueTail, tcpControlSkb, tcpEventNewDataSent, tcpFragment, tcpInitNondataSkb, tcpPushPendingFrames,
} from "./tcp-output.ts";
import { tcpUrgent } from "./tcp-parts.ts";
import {
  ICSK_ACK_NOW, ICSK_ACK_PUSHED, ICSK_ACK_SCHED, ICSK_ACK_TIMER, ICSK_TIME_POOL, TCP_NAGLE_OFF, type TcpSk, type TcpSock,
} from "./tcp-sock.ts";
import { inetCskResetDelackTimer, inetCskResetXmitTimer, TCP_POOL_RETRY_MS } from "./tcp-timer.ts";
import { tcpCurrentMss, tcpWindowWanted, tcpWndEnd, WINDOW_UNKNOWN } from "./tcp-window.ts";
import { TCP_ATO_MIN, tcpTransmitSkb } from "./tcp-xmit.ts";

/** Least and most time an acknowledgment is delayed, in ms (RFC 9293 section 3.8.6.3 allows 500). */
export const TCP_DELACK_MIN = 40;
export const TCP_DELACK_MAX = 200;
/** The same where the connection is neither interactive nor pushed. */
const DELACK_ABSOLUTE_MAX = 500;

/** The sequence number of a segment without data: sndNxt, or the end of the window when that has shrunk. */
export function tcpAcceptableSeq(tp: TcpSock): number {
  const end = (tp.sndUna + tp.sndWnd) | 0;
  const next = tp.sndNxt;
  return ((end - next) | 0) >= 0 ? next : end;
}

/**
 * Acknowledges now. Without a buffer it is tried again by the delayed-ACK timer. Linux: tcp_send_ack().
 * @param window tcpWindowWanted() of this moment, where it is known
 */
export function tcpSendAck(sk: TcpSk, window = WINDOW_UNKNOWN): void {
  if (sk.state === TCP_CLOSE) return;
  const skb = tcpControlSkb(false);
  if (skb === null) {
    const icsk = sk.icsk;
    icsk.ackPending |= ICSK_ACK_SCHED;
    icsk.ackAto = TCP_ATO_MIN;
    inetCskResetDelackTimer(sk, TCP_DELACK_MAX);
    return;
  }
  // tcpInitNondataSkb(), spared a call.
  skb.tcpFlags = TCPHDR_ACK;
  skb.seq = skb.endSeq = tcpAcceptableSeq(sk.tp);
  tcpTransmitSkb(sk, skb, false, window);
}

/** Acknowledges within the ACK timeout, or at once when the timer is about to fire anyway. Linux: tcp_send_delayed_ack(). */
export function tcpSendDelayedAck(sk: TcpSk): void {
  const icsk = sk.icsk;
  const pending = icsk.ackPending;
  let ato = icsk.ackAto;
  if (ato > TCP_DELACK_MIN) {
    const hurried = icsk.ackPingpong !== 0 || (pending & ICSK_ACK_PUSHED) !== 0;
    let most = hurried ? TCP_DELACK_MAX : DELACK_ABSOLUTE_MAX;
    const srtt = sk.tp.srtt >> 3;
    if (srtt !== 0 && srtt < most) most = srtt > TCP_DELACK_MIN ? srtt : TCP_DELACK_MIN;
    if (ato > most) ato = most;
  }
  const now = jiffies;
  let timeout = (now + ato) | 0;
  if ((pending & ICSK_ACK_TIMER) !== 0) {
    const due = icsk.ackTimeout;
    if (((due - now) | 0) <= ato >> 2) {
      tcpSendAck(sk);
      return;
    }
    if (((timeout - due) | 0) >= 0) timeout = due;
  }
  icsk.ackPending = pending | ICSK_ACK_SCHED;
  inetCskResetDelackTimer(sk, (timeout - now) | 0);
}

/**
 * An acknowledgment is owed: now, when more than one full segment waits for it and the window can move, in quick-ACK mode, or
 * when it was asked for; later otherwise. Linux: __tcp_ack_snd_check(). @param ofoPossible a hole is to be told of at once
 */
export function tcpAckSndCheckSlow(sk: TcpSk, ofoPossible: boolean): void {
  const tp = sk.tp;
  const icsk = sk.icsk;
  let window = WINDOW_UNKNOWN;
  if (
    (icsk.ackQuick !== 0 && icsk.ackPingpong === 0) || (icsk.ackPending & ICSK_ACK_NOW) !== 0
    || (((tp.rcvNxt - tp.rcvWup) | 0) > icsk.ackRcvMss
      && (((tp.rcvNxt - tp.copiedSeq) | 0) < words[sk.cold + SK_RCVLOWAT]! || (window = tcpWindowWanted(sk)) >= tp.rcvWnd))
    || (ofoPossible && tp.ofoTail !== null)
  ) {
    tcpSendAck(sk, window);
  } else {
    tcpSendDelayedAck(sk);
  }
}

/**
 * Sends FIN behind all data: on the last unsent segment, or as one of its own. When there is no buffer it rides on the last
 * segment sent and goes with its retransmission, or with an empty queue waits for the pool. Linux: tcp_send_fin().
 */
export function tcpSendFin(sk: TcpSk): void {
  const tp = sk.tp;
  const tail = sk.writeQueue.tail;
  if (tail !== null && sk.sendHead !== null) {
    tail.tcpFlags |= TCPHDR_FIN;
    tail.endSeq = (tail.endSeq + 1) | 0;
    tp.writeSeq = (tp.writeSeq + 1) | 0;
  } else {
    const skb = tcpControlSkb(true);
    if (skb === null) {
      words[tp.cold + TP_FIN_PENDING] = tail === null ? 1 : 0;
      if (tail === null) {
        inetCskResetXmitTimer(sk, ICSK_TIME_POOL, TCP_POOL_RETRY_MS);
        return;
      }
      tail.tcpFlags |= TCPHDR_FIN;
      tail.endSeq = (tail.endSeq + 1) | 0;
      tp.writeSeq = tp.sndNxt = (tp.writeSeq + 1) | 0;
      return;
    }
    words[tp.cold + TP_FIN_PENDING] = 0;
    tcpInitNondataSkb(skb, tp.writeSeq, TCPHDR_ACK | TCPHDR_FIN);
    tp.writeSeq = skb.endSeq;
    tcpAddWriteQueueTail(sk, skb);
  }
  tcpPushPendingFrames(sk, tcpCurrentMss(sk), TCP_NAGLE_OFF);
}

/** Resets the peer; our own state is the caller's business. Linux: tcp_send_active_reset(). */
export function tcpSendActiveReset(sk: TcpSk): void {
  const mib = sk.net.mib;
  mib[TCP_MIB_OUTRSTS]!++;
  const skb = tcpControlSkb(false);
  if (skb === null) {
    mib[LINUX_MIB_TCPABORTFAILED]!++;
    return;
  }
  tcpInitNondataSkb(skb, tcpAcceptableSeq(sk.tp), TCPHDR_ACK | TCPHDR_RST);
  if (tcpTransmitSkb(sk, skb, false) < 0) mib[LINUX_MIB_TCPABORTFAILED]!++;
}

/**
 * Makes the peer acknowledge: the beginning of what waits when its window has room, else a segment it has acknowledged before.
 * Linux: tcp_write_wakeup(). @param mib counter of the probes @returns 0 or a negative errno when nothing was sent
 */
export function tcpWriteWakeup(sk: TcpSk, mib: number): number {
  const tp = sk.tp;
  if (sk.state === TCP_CLOSE) return -1;
  const skb = sk.sendHead;
  const room = skb === null ? 0 : (tcpWndEnd(tp) - skb.seq) | 0;
  if (skb !== null && room > 0) {
    const mss = tcpCurrentMss(sk);
    if (((tp.pushedSeq - skb.endSeq) | 0) < 0) tp.pushedSeq = skb.endSeq;
    const most = room < mss ? room : mss;
    if (skb.len > most) {
      skb.tcpFlags |= TCPHDR_PSH;
      const err = tcpFragment(sk, skb, most);
      if (err < 0) return err;
    }
    skb.tcpFlags |= TCPHDR_PSH;
    const err = tcpTransmitSkb(sk, skb, true);
    if (err >= 0) tcpEventNewDataSent(sk, skb);
    return err;
  }
  // That there is urgent data is told first, by a segment at the edge of the window (RFC 9293 section 3.8.5).
  if (words[tp.cold + TP_SND_UP] !== 0 && tcpUrgent!.mode(tp)) tcpXmitProbeSkb(sk, tp.sndUna, mib);
  return tcpXmitProbeSkb(sk, (tp.sndUna - 1) | 0, mib);
}

/** A segment without data; one before sndUna it is outside the window, so that it must be answered. Linux: tcp_xmit_probe_skb(). */
function tcpXmitProbeSkb(sk: TcpSk, seq: number, mib: number): number {
  const skb = tcpControlSkb(false);
  if (skb === null) return -1;
  tcpInitNondataSkb(skb, seq, TCPHDR_ACK);
  sk.net.mib[mib]!++;
  return tcpTransmitSkb(sk, skb, false);
}
