/**
 * What an acknowledgment does to the sender: the peer's window, the write queue, the round-trip time, and on to congestion
 * control. Linux: tcp_ack() of net/ipv4/tcp_input.c. Read first: RFC 9293 section 3.10.7.4 (acceptable ACKs), RFC 5961 section
 * 5, RFC 6298 (RTT and RTO), RFC 7323 section 4.
 */
import { memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import {
  LINUX_MIB_TCPDELIVERED, LINUX_MIB_TCPDELIVEREDCE, LINUX_MIB_TCPHPACKS, LINUX_MIB_TCPPUREACKS,
} from "../../uapi/snmp.ts";
import { TCP_CA_OPEN } from "../../uapi/tcp.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { SK_ERR_SOFT } from "../core/sock.ts";
import { TCPHDR_SYN, TH_WIN } from "../wire/tcp.ts";
import {
  FLAG_ACKED, FLAG_CA_ALERT, FLAG_DATA, FLAG_DATA_ACKED, FLAG_DSACKING_ACK, FLAG_ECE, FLAG_FORWARD_PROGRESS,
  FLAG_NO_CHALLENGE_ACK, FLAG_NOT_DUP, FLAG_ORIG_SACK_ACKED, FLAG_RETRANS_DATA_ACKED, FLAG_REXMIT_LOST, FLAG_REXMIT_NEW,
  FLAG_SACK_RENEGING, FLAG_SET_XMIT_TIMER, FLAG_SLOWPATH, FLAG_SND_UNA_ADVANCED, FLAG_SYN_ACKED, FLAG_UPDATE_TS_RECENT,
  FLAG_WIN_UPDATE,
} from "./tcp-ack-flags.ts";
import { TCP_CHRONO_BUSY } from "./tcp-chrono.ts";
import {
  ICSK_PROBES_OUT, ICSK_PROBES_TSTAMP, TP_CONFIRM_STAMP, TP_DELIVERED, TP_HIGH_SEQ, TP_LOST, TP_MAX_WINDOW, TP_MDEV,
  TP_MDEV_MAX, TP_MIN_RTT, TP_MIN_RTT_STAMP, TP_REORDERING, TP_RETRANS_STAMP, TP_RTO_STAMP, TP_RTT_SEQ, TP_RTTVAR, TP_SACK_OK, TP_TLP_HIGH_SEQ,
  TP_TOTAL_RTO_TIME,
} from "./tcp-cold.ts";
import { tcpInCwndReduction, tcpSlowStartAfterIdleCheck } from "./tcp-cong.ts";
import { tcpSendChallengeAck, tcpStoreTsRecent } from "./tcp-challenge.ts";
import { dsackDelivered } from "./tcp-dsack.ts";
import { tcpFastretransAlert, tcpRemoveRenoSacks, tcpXmitRecovery } from "./tcp-fastretrans.ts";
import { rxOpt } from "./tcp-options.ts";
import { tcpWriteQueueFree } from "./tcp-output.ts";
import { tcpChrono, tcpEcn, tcpMtuProbes, tcpMtupSearching, tcpRack, tcpRates } from "./tcp-parts.ts";
import { tcpCwndReduction } from "./tcp-prr.ts";
import {
  firstSackt, lastSackt, sackTimed, tcpCheckSackReordering, tcpHighestSackSeq, tcpSacktagWriteQueue, tcpSackStateClear,
} from "./tcp-sacktag.ts";
import {
  ICSK_TIME_PROBE0, TCPCB_LOST, TCPCB_RETRANS, TCPCB_SACKED_ACKED, TCPCB_SACKED_RETRANS, type TcpSk, type TcpSock,
} from "./tcp-sock.ts";
import { inetCskResetXmitTimer, TCP_RTO_MIN, tcpProbe0When, tcpRearmRto, tcpSetRto } from "./tcp-timer.ts";
import { tcpFastPathCheck, tcpSyncMss, tcpWndEnd } from "./tcp-window.ts";

/** How often at most the neighbour is told that the peer answers, in ms. */
const CONFIRM_INTERVAL_MS = 1000;

/**
 * Takes in a measurement of the round trip (RFC 6298 section 2), with Linux's two changes: the variation falls slowly when the
 * time gets shorter, and over one round trip counts by its largest value. Linux: tcp_rtt_estimator().
 */
function tcpRttEstimator(tp: TcpSock, rttMs: number): void {
  const cold = tp.cold;
  let m = rttMs < 1 ? 1 : rttMs;
  const srtt = tp.srtt;
  if (srtt === 0) {
    tp.srtt = m << 3;
    const mdev = m << 1;
    words[cold + TP_MDEV] = mdev;
    words[cold + TP_RTTVAR] = words[cold + TP_MDEV_MAX] = mdev > TCP_RTO_MIN ? mdev : TCP_RTO_MIN;
    words[cold + TP_RTT_SEQ] = tp.sndNxt;
    return;
  }
  m -= srtt >> 3;
  tp.srtt = srtt + m;
  let mdev = words[cold + TP_MDEV]!;
  if (m < 0) {
    m = -m - (mdev >> 2);
    if (m > 0) m >>= 3;
  } else {
    m -= mdev >> 2;
  }
  mdev += m;
  words[cold + TP_MDEV] = mdev;
  if (mdev > words[cold + TP_MDEV_MAX]!) {
    words[cold + TP_MDEV_MAX] = mdev;
    if (mdev > words[cold + TP_RTTVAR]!) words[cold + TP_RTTVAR] = mdev;
  }
  if (((tp.sndUna - words[cold + TP_RTT_SEQ]!) | 0) > 0) {
    const fall = words[cold + TP_RTTVAR]! - words[cold + TP_MDEV_MAX]!;
    if (fall > 0) words[cold + TP_RTTVAR]! -= fall >> 2;
    words[cold + TP_RTT_SEQ] = tp.sndNxt;
    words[cold + TP_MDEV_MAX] = TCP_RTO_MIN;
  }
}

/** The shortest round trip of the last tcp_min_rtt_wlen seconds. Linux: tcp_update_rtt_min(), there a windowed filter of three. */
function tcpUpdateRttMin(sk: TcpSk, rttMs: number): void {
  const rec = sk.tp.cold;
  const now = jiffies;
  if (rttMs > words[rec + TP_MIN_RTT]! && ((now - words[rec + TP_MIN_RTT_STAMP]!) | 0) < sk.net.ipv4.tcpMinRttWlen * 1000) return;
  words[rec + TP_MIN_RTT] = rttMs < 1 ? 1 : rttMs;
  words[rec + TP_MIN_RTT_STAMP] = now;
}

/** A valid measurement: estimates, sets the RTO and ends its backoff. Linux: tcp_ack_update_rtt(). */
function tcpAckUpdateRtt(sk: TcpSk, rttMs: number): void {
  tcpRttEstimator(sk.tp, rttMs);
  tcpSetRto(sk);
  sk.icsk.backoff = 0;
}

/** The handshake took `rttMs`: the first sample. Linux: tcp_synack_rtt_meas(). */
export function tcpSynackRttMeas(sk: TcpSk, rttMs: number): void {
  tcpUpdateRttMin(sk, rttMs);
  tcpAckUpdateRtt(sk, rttMs);
}

/**
 * Measures the round trip: by the time the oldest one of the segments now known to have arrived had left, or when it was sent more
 * than once by the echoed timestamp (Karn). `seqRtt` is of those acknowledged, `lastRtt` of the last of them, both -1 for none.
 * Linux: tcp_ack_update_rtt(). @returns the shorter one, for congestion control, or -1
 */
function measureRtt(sk: TcpSk, flags: number, seqRtt: number, lastRtt: number): number {
  const tp = sk.tp;
  let rtt = seqRtt;
  let shortest = lastRtt;
  if (sackTimed) {
    if (rtt < 0) rtt = (jiffies - firstSackt) | 0;
    shortest = (jiffies - lastSackt) | 0;
  }
  if (rtt < 0 && tp.sawTstamp && tp.rcvTsecr !== 0 && (flags & FLAG_ACKED) !== 0) {
    rtt = shortest = (jiffies - tp.rcvTsecr) | 0;
  }
  if (rtt < 0) return -1;
  tcpUpdateRttMin(sk, shortest);
  tcpAckUpdateRtt(sk, rtt);
  return shortest;
}

/**
 * Ends the segments that are acknowledged whole, takes them out of the scoreboard, and measures the round trip.
 * Linux: tcp_clean_rtx_queue(). @param priorFack end of what had been known to have arrived @returns the flags
 */
function tcpCleanRtxQueue(sk: TcpSk, flags: number, priorFack: number): number {
  const tp = sk.tp;
  const cold = tp.cold;
  const una = tp.sndUna;
  const sackOk = words[cold + TP_SACK_OK] !== 0;
  const sendHead = sk.sendHead;
  let flag = flags;
  let acked = 0;
  let first = 0;
  let last = 0;
  let timed = false;
  let reord = tp.sndNxt;
  let skb: SkBuff | null = sk.writeQueue.head;
  for (; skb !== null && skb !== sendHead; skb = sk.writeQueue.head) {
    if (((skb.endSeq - una) | 0) > 0) break;
    const sacked = skb.sacked;
    if ((sacked & TCPCB_RETRANS) !== 0) {
      if ((sacked & TCPCB_SACKED_RETRANS) !== 0) tp.retransOut--;
      flag |= FLAG_RETRANS_DATA_ACKED;
    } else if ((sacked & TCPCB_SACKED_ACKED) === 0) {
      last = skb.when;
      if (!timed) first = last;
      timed = true;
      if (((skb.seq - reord) | 0) < 0) reord = skb.seq;
      if (((skb.endSeq - words[cold + TP_HIGH_SEQ]!) | 0) <= 0) flag |= FLAG_ORIG_SACK_ACKED;
    }
    if ((sacked & TCPCB_SACKED_ACKED) !== 0) {
      tp.sackedOut--;
    } else if (sackOk) {
      words[cold + TP_DELIVERED]!++;
      if (tcpRack !== null) tcpRack.advance(tp, sacked, skb.endSeq, skb.when);
    }
    if ((sacked & TCPCB_LOST) !== 0) tp.lostOut--;
    if ((skb.tcpFlags & TCPHDR_SYN) !== 0) {
      flag |= FLAG_SYN_ACKED;
      words[cold + TP_RETRANS_STAMP] = 0;
    } else {
      flag |= FLAG_DATA_ACKED;
    }
    acked++;
    if (tcpRates !== null) tcpRates.delivered(sk, skb);
    tp.packetsOut--;
    tcpWriteQueueFree(sk, skb);
  }
  if (skb === sendHead) skb = null;
  if (skb !== null && (skb.sacked & TCPCB_SACKED_ACKED) !== 0) flag |= FLAG_SACK_RENEGING;
  const once = timed && (flag & FLAG_RETRANS_DATA_ACKED) === 0;
  const rtt = measureRtt(sk, flag, once ? (jiffies - first) | 0 : -1, once ? (jiffies - last) | 0 : -1);
  if ((flag & FLAG_ACKED) === 0) {
    // Selective acknowledgments of what was sent after the first segment went: the timeout starts anew.
    if (skb !== null && sackTimed && rtt >= 0 && ((skb.when - firstSackt) | 0) < 0) flag |= FLAG_SET_XMIT_TIMER;
    return flag;
  }
  flag |= FLAG_SET_XMIT_TIMER;
  if (tcpChrono !== null && sk.writeQueue.head === null) tcpChrono.stop(sk, TCP_CHRONO_BUSY);
  if (!sackOk) {
    tcpRemoveRenoSacks(sk, acked);
    if ((flag & FLAG_RETRANS_DATA_ACKED) !== 0) flag &= ~FLAG_ORIG_SACK_ACKED;
  } else if (((reord - priorFack) | 0) < 0) {
    tcpCheckSackReordering(sk, reord, false);
  }
  if (tcpMtupSearching !== 0) tcpMtuProbes!.acked(sk);
  sk.icsk.caOps.pktsAcked?.(sk, acked, rtt);
  return flag;
}

/**
 * Takes the window of a segment that may tell it: one newer than the last that did (RFC 9293 section 3.10.7.4).
 * Linux: tcp_ack_update_window(). @returns FLAG_*
 */
function tcpAckUpdateWindow(sk: TcpSk, skb: SkBuff, ack: number, seq: number): number {
  const tp = sk.tp;
  let window = memView.getUint16(skb.th + TH_WIN);
  if ((skb.tcpFlags & TCPHDR_SYN) === 0) window <<= tp.sndWscale;
  const newer = (seq - tp.sndWl1) | 0;
  const may = ((ack - tp.sndUna) | 0) > 0 || newer > 0 || (newer === 0 && (window > tp.sndWnd || window === 0));
  if (!may) return 0;
  tp.sndWl1 = seq;
  if (tp.sndWnd !== window) {
    tp.sndWnd = window;
    tp.predFlags = 0;
    tcpFastPathCheck(sk);
    if (sk.sendHead !== null) tcpSlowStartAfterIdleCheck(sk);
    if (window > words[tp.cold + TP_MAX_WINDOW]!) {
      words[tp.cold + TP_MAX_WINDOW] = window;
      tcpSyncMss(sk, sk.icsk.pmtuCookie);
    }
  }
  return FLAG_WIN_UPDATE;
}

/** An ACK while nothing is in flight: it may have opened the window. Linux: tcp_ack_probe(). */
function tcpAckProbe(sk: TcpSk): void {
  const icsk = sk.icsk;
  const head = sk.sendHead;
  if (head === null) return;
  if (((head.endSeq - tcpWndEnd(sk.tp)) | 0) <= 0) {
    icsk.backoff = words[icsk.cold + ICSK_PROBES_TSTAMP] = 0;
    if (icsk.pending === ICSK_TIME_PROBE0) icsk.pending = 0;
  } else {
    inetCskResetXmitTimer(sk, ICSK_TIME_PROBE0, tcpProbe0When(icsk));
  }
}

/** The peer answers: so does the next hop. Linux: sk_dst_confirm(). */
function confirmNeighbour(sk: TcpSk): void {
  const stamp = sk.tp.cold + TP_CONFIRM_STAMP;
  const dst = sk.dst;
  const now = jiffies;
  if (dst === null || ((now - words[stamp]!) | 0) < CONFIRM_INTERVAL_MS) return;
  words[stamp] = now;
  dst.ops.confirmNeigh(dst, sk.inet.daddr);
}

/** Was anything that congestion control must look at? Linux: tcp_ack_is_dubious(). */
function ackIsDubious(sk: TcpSk, flag: number): boolean {
  return (flag & FLAG_NOT_DUP) === 0 || (flag & FLAG_CA_ALERT) !== 0 || sk.icsk.caState !== TCP_CA_OPEN;
}

/** May the window grow by this ACK? With much reordering any progress counts. Linux: tcp_may_raise_cwnd(). */
function mayRaiseCwnd(sk: TcpSk, flag: number): boolean {
  return (flag & (words[sk.tp.cold + TP_REORDERING]! > sk.net.ipv4.tcpReordering ? FLAG_FORWARD_PROGRESS : FLAG_DATA_ACKED)) !== 0;
}

/** Counts segments that an ACK delivered, and those of them that it told were marked. Linux: tcp_newly_delivered(). */
function tcpNewlyDelivered(sk: TcpSk, delivered: number, flag: number): void {
  const mib = sk.net.mib;
  mib[LINUX_MIB_TCPDELIVERED]! += delivered;
  if ((flag & FLAG_ECE) === 0) return;
  mib[LINUX_MIB_TCPDELIVEREDCE]! += delivered;
  tcpEcn!.delivered(sk.tp, delivered);
}

/** An ACK older than the last: only its SACK blocks can be news. Always 0. */
function oldAck(sk: TcpSk, ack: number, flags: number): number {
  const tp = sk.tp;
  if ((flags & FLAG_SLOWPATH) === 0 || rxOpt.numSacks === 0) return 0;
  const priorDelivered = words[tp.cold + TP_DELIVERED]!;
  let flag = flags | tcpSacktagWriteQueue(sk, ack, tp.sndUna);
  flag = tcpFastretransAlert(sk, tp.sndUna, 0, flag);
  const delivered = words[tp.cold + TP_DELIVERED]! - priorDelivered;
  tcpNewlyDelivered(sk, delivered, flag);
  if (tcpRates !== null) tcpRates.gen(sk, delivered);
  if ((flag & (FLAG_REXMIT_LOST | FLAG_REXMIT_NEW)) !== 0) tcpXmitRecovery(sk, flag);
  return 0;
}

/**
 * Takes in the acknowledgment of a segment; with FLAG_SLOWPATH its options are in `rxOpt`. Linux: tcp_ack().
 * @param flags FLAG_* of the caller @returns 1; 0 for an old acknowledgment; -1 for one of what was never sent, -2 for one so
 * old that it may be forged: both unacceptable
 */
export function tcpAck(sk: TcpSk, skb: SkBuff, flags: number): number {
  const tp = sk.tp;
  const icsk = sk.icsk;
  const cold = tp.cold;
  const ack = skb.ackSeq;
  const prior = tp.sndUna;
  const advance = (ack - prior) | 0;
  let flag = flags;
  if (advance < 0) {
    // Nor may it be of what was never sent: before the connection's first byte.
    const window = words[cold + TP_MAX_WINDOW]!;
    if (advance < -(window < tp.bytesAcked ? window : tp.bytesAcked)) {
      if ((flag & FLAG_NO_CHALLENGE_ACK) === 0) tcpSendChallengeAck(sk);
      return -2;
    }
    return oldAck(sk, ack, flags);
  }
  if (((ack - tp.sndNxt) | 0) > 0) return -1;
  const seq = skb.seq;
  const priorOut = tp.packetsOut;
  const priorDelivered = words[cold + TP_DELIVERED]!;
  const priorLost = words[cold + TP_LOST]!;
  const priorFack = words[cold + TP_SACK_OK] !== 0 ? tcpHighestSackSeq(tp) : prior;
  if (advance > 0) {
    flag |= FLAG_SND_UNA_ADVANCED;
    if (icsk.retransmits !== 0) {
      words[cold + TP_TOTAL_RTO_TIME]! += (jiffies - words[cold + TP_RTO_STAMP]!) | 0;
      icsk.retransmits = 0;
    }
    tp.bytesAcked += advance;
  }
  if ((flag & FLAG_UPDATE_TS_RECENT) !== 0 && tp.sawTstamp && ((seq - tp.rcvWup) | 0) <= 0) tcpStoreTsRecent(tp);
  if ((flag & (FLAG_SLOWPATH | FLAG_SND_UNA_ADVANCED)) === FLAG_SND_UNA_ADVANCED) {
    // Header prediction has seen that the window is as before.
    tp.sndWl1 = seq;
    tp.sndUna = ack;
    flag |= FLAG_WIN_UPDATE;
    sk.net.mib[LINUX_MIB_TCPHPACKS]!++;
    tcpSackStateClear();
  } else {
    if (seq !== skb.endSeq) flag |= FLAG_DATA;
    else sk.net.mib[LINUX_MIB_TCPPUREACKS]!++;
    flag |= tcpAckUpdateWindow(sk, skb, ack, seq);
    if (tp.ecnFlags !== 0 && tcpEcn!.echoes(tp, skb.tcpFlags)) flag |= FLAG_ECE;
    tp.sndUna = ack;
    if ((flag & FLAG_SLOWPATH) !== 0 && rxOpt.numSacks !== 0) {
      flag |= tcpSacktagWriteQueue(sk, ack, prior);
      words[cold + TP_DELIVERED]! += dsackDelivered;
    } else {
      tcpSackStateClear();
    }
  }
  words[sk.cold + SK_ERR_SOFT] = 0;
  words[cold + ICSK_PROBES_OUT] = 0;
  tp.rcvTstamp = jiffies;
  if (priorOut === 0) {
    if ((flag & FLAG_DSACKING_ACK) !== 0) {
      tcpFastretransAlert(sk, prior, 0, flag);
      tcpNewlyDelivered(sk, words[cold + TP_DELIVERED]! - priorDelivered, flag);
    }
    tcpAckProbe(sk);
    if (words[cold + TP_TLP_HIGH_SEQ] !== 0) tcpRack!.probed(sk, ack, flag);
    return 1;
  }
  if (advance > 0 || sackTimed) flag = tcpCleanRtxQueue(sk, flag, priorFack);
  if (tcpRack !== null) tcpRack.updateReoWnd(sk);
  if (words[cold + TP_TLP_HIGH_SEQ] !== 0) tcpRack!.probed(sk, ack, flag);
  if (ackIsDubious(sk, flag)) {
    const duplicate = (flag & (FLAG_SND_UNA_ADVANCED | FLAG_NOT_DUP | FLAG_DSACKING_ACK)) === 0;
    flag = tcpFastretransAlert(sk, prior, duplicate ? 1 : 0, flag);
  }
  // Linux: tcp_set_xmit_timer().
  if ((flag & FLAG_SET_XMIT_TIMER) !== 0 && (tcpRack === null || !tcpRack.schedule(sk, true))) tcpRearmRto(sk);
  if ((flag & FLAG_FORWARD_PROGRESS) !== 0) confirmNeighbour(sk);
  const delivered = words[cold + TP_DELIVERED]! - priorDelivered;
  tcpNewlyDelivered(sk, delivered, flag);
  if (tcpRates !== null) tcpRates.gen(sk, delivered);
  if (tcpInCwndReduction(sk)) tcpCwndReduction(sk, delivered, words[cold + TP_LOST]! - priorLost, advance > 0);
  else if (mayRaiseCwnd(sk, flag)) icsk.caOps.congAvoid(sk, ack, delivered);
  if ((flag & (FLAG_REXMIT_LOST | FLAG_REXMIT_NEW)) !== 0) tcpXmitRecovery(sk, flag);
  return 1;
}
