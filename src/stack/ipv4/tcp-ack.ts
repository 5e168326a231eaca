/**
 * What an acknowledgment does to the sender: the peer's window, the write queue, the round-trip time, and on to congestion
 * control. Linux: tcp_ack() of net/ipv4/tcp_input.c. Read first: RFC 9293 section 3.10.7.4 (acceptable ACKs), RFC 5961 section
 * 5, RFC 6298 (RTT and RTO), RFC 7323 section 4.
 */
import { memView } from "../../lib/memory.ts";
import { jiffies } from "../../lib/timer.ts";
import {
  LINUX_MIB_TCPDELIVERED, LINUX_MIB_TCPHPACKS, LINUX_MIB_TCPPUREACKS,
} from "../../uapi/snmp.ts";
import { TCP_CA_OPEN } from "../../uapi/tcp.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { TCPHDR_SYN, TH_WIN } from "../wire/tcp.ts";
import { TCP_CHRONO_BUSY, tcpChronoStop } from "./tcp-chrono.ts";
import { tcpInCwndReduction, tcpSlowStartAfterIdleCheck } from "./tcp-cong.ts";
import { tcpSendChallengeAck, tcpStoreTsRecent } from "./tcp-challenge.ts";
import { tcpCwndReduction, tcpFastretransAlert, tcpRemoveRenoSacks, tcpXmitRecovery } from "./tcp-fastretrans.ts";
import { tcpWriteQueueFree } from "./tcp-output.ts";
import {
  ICSK_TIME_PROBE0, TCPCB_LOST, TCPCB_RETRANS, TCPCB_SACKED_ACKED, TCPCB_SACKED_RETRANS, type TcpSk, type TcpSock,
} from "./tcp-sock.ts";
import { inetCskResetXmitTimer, TCP_RTO_MAX, TCP_RTO_MIN, tcpProbe0When, tcpRearmRto } from "./tcp-timer.ts";
import { tcpFastPathCheck, tcpSyncMss, tcpWndEnd } from "./tcp-window.ts";

/** The segment carried data. */
export const FLAG_DATA = 0x01;
/** It changed the peer's window. */
export const FLAG_WIN_UPDATE = 0x02;
/** It acknowledged new data, some of it retransmitted, our SYN. */
export const FLAG_DATA_ACKED = 0x04;
export const FLAG_RETRANS_DATA_ACKED = 0x08;
export const FLAG_SYN_ACKED = 0x10;
/** Not by header prediction. */
export const FLAG_SLOWPATH = 0x100;
export const FLAG_SND_UNA_ADVANCED = 0x400;
/** tsRecent may be taken from it. */
export const FLAG_UPDATE_TS_RECENT = 0x4000;
/** The caller answers unacceptable ones itself. */
export const FLAG_NO_CHALLENGE_ACK = 0x8000;

const FLAG_ACKED = FLAG_DATA_ACKED | FLAG_SYN_ACKED;
/** What makes an ACK other than a duplicate. */
const FLAG_NOT_DUP = FLAG_DATA | FLAG_WIN_UPDATE | FLAG_ACKED;
/** How often at most the neighbour is told that the peer answers, in ms. */
const CONFIRM_INTERVAL_MS = 1000;

/**
 * Takes in a measurement of the round trip (RFC 6298 section 2), with Linux's two changes: the variation falls slowly when the
 * time gets shorter, and over one round trip counts by its largest value. Linux: tcp_rtt_estimator().
 */
function tcpRttEstimator(tp: TcpSock, rttMs: number): void {
  let m = rttMs < 1 ? 1 : rttMs;
  const srtt = tp.srtt;
  if (srtt === 0) {
    tp.srtt = m << 3;
    tp.mdev = m << 1;
    tp.rttvar = tp.mdev > TCP_RTO_MIN ? tp.mdev : TCP_RTO_MIN;
    tp.mdevMax = tp.rttvar;
    tp.rttSeq = tp.sndNxt;
    return;
  }
  m -= srtt >> 3;
  tp.srtt = srtt + m;
  let mdev = tp.mdev;
  if (m < 0) {
    m = -m - (mdev >> 2);
    if (m > 0) m >>= 3;
  } else {
    m -= mdev >> 2;
  }
  mdev += m;
  tp.mdev = mdev;
  if (mdev > tp.mdevMax) {
    tp.mdevMax = mdev;
    if (mdev > tp.rttvar) tp.rttvar = mdev;
  }
  if (((tp.sndUna - tp.rttSeq) | 0) > 0) {
    if (tp.mdevMax < tp.rttvar) tp.rttvar -= (tp.rttvar - tp.mdevMax) >> 2;
    tp.rttSeq = tp.sndNxt;
    tp.mdevMax = TCP_RTO_MIN;
  }
}

/** A valid measurement: estimates, sets the RTO and ends its backoff. Linux: tcp_ack_update_rtt(). */
export function tcpAckUpdateRtt(sk: TcpSk, rttMs: number): void {
  const tp = sk.tp;
  const icsk = sk.icsk;
  tcpRttEstimator(tp, rttMs);
  const rto = (tp.srtt >> 3) + tp.rttvar;
  icsk.rto = rto < TCP_RTO_MAX ? rto : TCP_RTO_MAX;
  icsk.backoff = 0;
}

/**
 * Ends the segments that are acknowledged whole, and measures their round trip: by the time the oldest one left, or when it was
 * sent more than once by the echoed timestamp (Karn). Linux: tcp_clean_rtx_queue(). @returns FLAG_*
 */
function tcpCleanRtxQueue(sk: TcpSk, flags: number): number {
  const tp = sk.tp;
  const una = tp.sndUna;
  const sendHead = sk.sendHead;
  let flag = 0;
  let acked = 0;
  let first = 0;
  let timed = false;
  for (let skb = sk.writeQueue.head; skb !== null && skb !== sendHead; skb = sk.writeQueue.head) {
    if (((skb.endSeq - una) | 0) > 0) break;
    const sacked = skb.sacked;
    if ((sacked & TCPCB_RETRANS) !== 0) {
      if ((sacked & TCPCB_SACKED_RETRANS) !== 0) tp.retransOut--;
      flag |= FLAG_RETRANS_DATA_ACKED;
    } else if (!timed && (sacked & TCPCB_SACKED_ACKED) === 0) {
      first = skb.when;
      timed = true;
    }
    if ((sacked & TCPCB_LOST) !== 0) tp.lostOut--;
    if ((skb.tcpFlags & TCPHDR_SYN) !== 0) {
      flag |= FLAG_SYN_ACKED;
      tp.retransStamp = 0;
    } else {
      flag |= FLAG_DATA_ACKED;
    }
    acked++;
    tp.packetsOut--;
    tcpWriteQueueFree(sk, skb);
  }
  if (acked === 0) return flag;
  if (sk.writeQueue.head === null) tcpChronoStop(sk, TCP_CHRONO_BUSY);
  let rtt = -1;
  if (timed && (flag & FLAG_RETRANS_DATA_ACKED) === 0) rtt = (jiffies - first) | 0;
  else if (tp.sawTstamp && tp.rcvTsecr !== 0 && (flags & FLAG_SND_UNA_ADVANCED) !== 0) rtt = (jiffies - tp.rcvTsecr) | 0;
  if (rtt >= 0) tcpAckUpdateRtt(sk, rtt);
  tcpRemoveRenoSacks(tp, acked);
  tcpRearmRto(sk);
  sk.icsk.caOps.pktsAcked?.(sk, acked, rtt);
  sk.net.mib[LINUX_MIB_TCPDELIVERED]! += acked;
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
  const may = ((ack - tp.sndUna) | 0) > 0 || newer > 0 || (newer === 0 && window > tp.sndWnd);
  if (!may) return 0;
  tp.sndWl1 = seq;
  if (tp.sndWnd !== window) {
    tp.sndWnd = window;
    tp.predFlags = 0;
    tcpFastPathCheck(sk);
    if (sk.sendHead !== null) tcpSlowStartAfterIdleCheck(sk);
    if (window > tp.maxWindow) {
      tp.maxWindow = window;
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
    icsk.backoff = icsk.probesTstamp = 0;
    if (icsk.pending === ICSK_TIME_PROBE0) icsk.pending = 0;
  } else {
    inetCskResetXmitTimer(sk, ICSK_TIME_PROBE0, tcpProbe0When(icsk));
  }
}

/** The peer answers: so does the next hop. Linux: sk_dst_confirm(). */
function confirmNeighbour(sk: TcpSk): void {
  const tp = sk.tp;
  const dst = sk.dst;
  const now = jiffies;
  if (dst === null || ((now - tp.confirmStamp) | 0) < CONFIRM_INTERVAL_MS) return;
  tp.confirmStamp = now;
  dst.ops.confirmNeigh(dst, sk.inet.daddr);
}

/**
 * Takes in the acknowledgment of a segment. Linux: tcp_ack().
 * @param flags FLAG_* of the caller @returns 1; 0 for an old acknowledgment; -1 for one of what was never sent, -2 for one so
 * old that it may be forged: both unacceptable
 */
export function tcpAck(sk: TcpSk, skb: SkBuff, flags: number): number {
  const tp = sk.tp;
  const icsk = sk.icsk;
  const ack = skb.ackSeq;
  const prior = tp.sndUna;
  const advance = (ack - prior) | 0;
  let flag = flags;
  if (advance < 0) {
    if (advance < -tp.maxWindow) {
      if ((flag & FLAG_NO_CHALLENGE_ACK) === 0) tcpSendChallengeAck(sk);
      return -2;
    }
    return 0;
  }
  if (((ack - tp.sndNxt) | 0) > 0) return -1;
  const seq = skb.seq;
  const priorOut = tp.packetsOut;
  if (advance > 0) {
    flag |= FLAG_SND_UNA_ADVANCED;
    if (icsk.retransmits !== 0) {
      tp.totalRtoTime += (jiffies - tp.rtoStamp) | 0;
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
  } else {
    if (seq !== skb.endSeq) flag |= FLAG_DATA;
    else sk.net.mib[LINUX_MIB_TCPPUREACKS]!++;
    flag |= tcpAckUpdateWindow(sk, skb, ack, seq);
    tp.sndUna = ack;
  }
  sk.errSoft = 0;
  icsk.probesOut = 0;
  tp.rcvTstamp = jiffies;
  if (priorOut === 0) {
    tcpAckProbe(sk);
    return 1;
  }
  const priorDelivered = tp.delivered;
  const priorLost = tp.lost;
  if (advance > 0) flag |= tcpCleanRtxQueue(sk, flag);
  let retransmit = false;
  const duplicate = (flag & FLAG_NOT_DUP) === 0;
  if (duplicate || icsk.caState !== TCP_CA_OPEN) {
    retransmit = tcpFastretransAlert(sk, duplicate ? 1 : 0, advance > 0);
  }
  if ((flag & FLAG_ACKED) !== 0) confirmNeighbour(sk);
  const delivered = tp.delivered - priorDelivered;
  if (tcpInCwndReduction(sk)) tcpCwndReduction(sk, delivered, tp.lost - priorLost, advance > 0);
  else if ((flag & FLAG_DATA_ACKED) !== 0) icsk.caOps.congAvoid(sk, ack, delivered);
  if (retransmit) tcpXmitRecovery(sk);
  return 1;
}
