/**
 * RACK: a segment is lost when one sent enough later has arrived. Linux: net/ipv4/tcp_recovery.c. Read first: RFC 8985
 * sections 6 (algorithm) and 3 (why).
 *
 * "Enough" is the reordering window: nothing until reordering was seen and three segments beyond the hole have arrived, else a
 * quarter of the shortest round trip, more when D-SACKs tell that it was too little. Time has a grain of 1 ms here; within one
 * the sequence number decides, as the RFC has it. Linux keeps a list by time of sending; here the write queue is walked, which
 * only happens while something is missing.
 */
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import { TCP_CA_RECOVERY } from "../../uapi/tcp.ts";
import type { SkBuff } from "../core/skbuff.ts";
import {
  TP_LOST, TP_MIN_RTT, TP_RACK_ADVANCED, TP_RACK_DSACK_SEEN, TP_RACK_END_SEQ, TP_RACK_MSTAMP, TP_RACK_RTT, TP_REO_WND_PERSIST,
  TP_REO_WND_SEQ, TP_REO_WND_STEPS, TP_REORD_SEEN, TP_REORDERING,
} from "./tcp-cold.ts";
import { tcpPacketsInFlight } from "./tcp-cong.ts";
import { tcpEnterRecovery } from "./tcp-fastretrans.ts";
import type { TcpRackOps } from "./tcp-parts.ts";
import { tcpCwndReduction } from "./tcp-prr.ts";
import { tcpMarkSkbLost, tcpXmitRetransmitQueue } from "./tcp-retransmit.ts";
import {
  ICSK_TIME_REO_TIMEOUT, ICSK_TIME_RETRANS, RTT_UNKNOWN, TCPCB_LOST, TCPCB_RETRANS, TCPCB_SACKED_ACKED,
  TCPCB_SACKED_RETRANS, type TcpSk, type TcpSock,
} from "./tcp-sock.ts";
import { inetCskResetXmitTimer, TCP_TIMEOUT_MIN, tcpRearmRto } from "./tcp-timer.ts";
import { tcpProcessTlpAck, tcpScheduleLossProbe, tcpSendLossProbe } from "./tcp-tlp.ts";

/** Bits of tcp_recovery. */
const TCP_RACK_STATIC_REO_WND = 2;
const TCP_RACK_NO_DUPTHRESH = 4;
/** Recoveries over which a widened reordering window is kept. */
export const TCP_RACK_RECOVERY_THRESH = 16;
const MAX_STEPS = 255;

/** Was the segment (sent at t1, ending at seq1) sent after the other? Linux: tcp_skb_sent_after(). */
function sentAfter(t1: number, t2: number, seq1: number, seq2: number): boolean {
  const later = (t1 - t2) | 0;
  return later > 0 || (later === 0 && ((seq1 - seq2) | 0) > 0);
}

/** How long a segment may be overtaken before it counts as lost, in ms. Linux: tcp_rack_reo_wnd(). */
function tcpRackReoWnd(sk: TcpSk): number {
  const tp = sk.tp;
  const rec = tp.cold;
  if (words[rec + TP_REORD_SEEN] === 0) {
    if (sk.icsk.caState >= TCP_CA_RECOVERY) return 0;
    if (tp.sackedOut >= words[tp.cold + TP_REORDERING]! && (sk.net.ipv4.tcpRecovery & TCP_RACK_NO_DUPTHRESH) === 0) return 0;
  }
  const srtt = tp.srtt >> 3;
  if (words[rec + TP_MIN_RTT] === RTT_UNKNOWN) return srtt;
  const window = (words[rec + TP_MIN_RTT]! * words[rec + TP_REO_WND_STEPS]!) >> 2;
  return window < srtt ? window : srtt;
}

/** Ms until a segment counts as lost; 0 or less: it does. Linux: tcp_rack_skb_timeout(). */
function tcpRackSkbTimeout(tp: TcpSock, skb: SkBuff, reoWnd: number): number {
  return (words[tp.cold + TP_RACK_RTT]! + reoWnd - ((jiffies - skb.when) | 0)) | 0;
}

/** Marks what is lost. @returns ms until the last of the overtaken segments would be; 0 for none. Linux: tcp_rack_detect_loss() */
function tcpRackDetectLoss(sk: TcpSk): number {
  const tp = sk.tp;
  const rec = tp.cold;
  const reoWnd = tcpRackReoWnd(sk);
  const stop = sk.sendHead;
  const mstamp = words[rec + TP_RACK_MSTAMP]!;
  const endSeq = words[rec + TP_RACK_END_SEQ]!;
  let timeout = 0;
  for (let skb = sk.writeQueue.head; skb !== null && skb !== stop; skb = skb.next) {
    const sacked = skb.sacked;
    if ((sacked & TCPCB_SACKED_ACKED) !== 0 || (sacked & (TCPCB_LOST | TCPCB_SACKED_RETRANS)) === TCPCB_LOST) continue;
    if (!sentAfter(mstamp, skb.when, endSeq, skb.endSeq)) continue;
    const remaining = tcpRackSkbTimeout(tp, skb, reoWnd);
    if (remaining <= 0) tcpMarkSkbLost(sk, skb);
    else if (remaining > timeout) timeout = remaining;
  }
  return timeout;
}

/** Looks for losses after an ACK. @returns whether the timer now waits for more. Linux: tcp_rack_mark_lost(). */
function tcpRackMarkLost(sk: TcpSk): boolean {
  const rec = sk.tp.cold;
  if (words[rec + TP_RACK_ADVANCED] === 0) return false;
  words[rec + TP_RACK_ADVANCED] = 0;
  const timeout = tcpRackDetectLoss(sk);
  if (timeout === 0) return false;
  const when = timeout + TCP_TIMEOUT_MIN;
  inetCskResetXmitTimer(sk, ICSK_TIME_REO_TIMEOUT, when < sk.icsk.rto ? when : sk.icsk.rto);
  return true;
}

/** A segment sent at `when` and ending at `endSeq` was delivered. Linux: tcp_rack_advance(). */
function tcpRackAdvance(tp: TcpSock, sacked: number, endSeq: number, when: number): void {
  const rec = tp.cold;
  const rtt = (jiffies - when) | 0;
  // Too soon for the retransmission: it was the original that arrived.
  if ((sacked & TCPCB_RETRANS) !== 0 && words[rec + TP_MIN_RTT] !== RTT_UNKNOWN && rtt < words[rec + TP_MIN_RTT]!) return;
  words[rec + TP_RACK_ADVANCED] = 1;
  words[rec + TP_RACK_RTT] = rtt;
  if (sentAfter(when, words[rec + TP_RACK_MSTAMP]!, endSeq, words[rec + TP_RACK_END_SEQ]!)) {
    words[rec + TP_RACK_MSTAMP] = when;
    words[rec + TP_RACK_END_SEQ] = endSeq;
  }
}

/** The reordering window is over: what was overtaken is lost. Linux: tcp_rack_reo_timeout(). */
function tcpRackReoTimeout(sk: TcpSk): void {
  const tp = sk.tp;
  const icsk = sk.icsk;
  const priorInFlight = tcpPacketsInFlight(tp);
  const priorLost = words[tp.cold + TP_LOST]!;
  tcpRackDetectLoss(sk);
  if (priorInFlight !== tcpPacketsInFlight(tp)) {
    if (icsk.caState !== TCP_CA_RECOVERY) {
      tcpEnterRecovery(sk, false);
      tcpCwndReduction(sk, 1, words[tp.cold + TP_LOST]! - priorLost, false);
    }
    tcpXmitRetransmitQueue(sk);
  }
  if (icsk.pending !== ICSK_TIME_RETRANS) tcpRearmRto(sk);
}

/**
 * D-SACKs widen the reordering window by a quarter of the round trip, once per round trip; after 16 recoveries without one it is
 * narrow again. Linux: tcp_rack_update_reo_wnd(), which knows a round trip by counting deliveries; here sndUna tells.
 */
function tcpRackUpdateReoWnd(sk: TcpSk): void {
  if ((sk.net.ipv4.tcpRecovery & TCP_RACK_STATIC_REO_WND) !== 0) return;
  const tp = sk.tp;
  const rec = tp.cold;
  const persist = words[rec + TP_REO_WND_PERSIST]!;
  if (words[rec + TP_RACK_DSACK_SEEN] === 0) {
    if (persist === 0) words[rec + TP_REO_WND_STEPS] = 1;
    return;
  }
  words[rec + TP_RACK_DSACK_SEEN] = 0;
  if (persist !== 0 && ((tp.sndUna - words[rec + TP_REO_WND_SEQ]!) | 0) < 0) return;
  if (words[rec + TP_REO_WND_STEPS]! < MAX_STEPS) words[rec + TP_REO_WND_STEPS]!++;
  words[rec + TP_REO_WND_SEQ] = tp.sndNxt;
  words[rec + TP_REO_WND_PERSIST] = TCP_RACK_RECOVERY_THRESH;
}

/** The timeout fires: was the segment sent so late that it may yet arrive? */
function early(tp: TcpSock, skb: SkBuff): boolean {
  return tcpRackSkbTimeout(tp, skb, 0) > 0;
}

/** What the rest of TCP finds of it and of tail loss probes, in tcp-parts.ts. */
export const tcpRackOps: TcpRackOps = Object.freeze({
  advance: tcpRackAdvance, markLost: tcpRackMarkLost, early, reoTimeout: tcpRackReoTimeout, updateReoWnd: tcpRackUpdateReoWnd,
  schedule: tcpScheduleLossProbe, probe: tcpSendLossProbe, probed: tcpProcessTlpAck,
});
