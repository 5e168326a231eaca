/**
 * Loss: what is believed lost, the congestion states, and the window while losses are repaired. Linux: the recovery half of
 * net/ipv4/tcp_input.c. Read first: RFC 5681 section 3.2 (fast retransmit), RFC 6582 (NewReno), RFC 3042 (limited transmit),
 * RFC 6937 (PRR), RFC 6298 section 5.
 *
 *     Open ──dup ACK──> Disorder ──3 dup ACKs──> Recovery ──highSeq acknowledged──> Open
 *       └───────────────────────RTO, any state──> Loss ─────highSeq acknowledged──────┘
 *
 * Without SACK each duplicate ACK stands for one segment that arrived behind a hole: `sackedOut` counts them ("Reno SACK"), so
 * that tcpPacketsInFlight() falls and new data may follow (limited transmit needs no code of its own).
 */
import { jiffies } from "../../lib/timer.ts";
import { LINUX_MIB_TCPRENORECOVERY } from "../../uapi/snmp.ts";
import {
  TCP_CA_CWR, TCP_CA_DISORDER, TCP_CA_LOSS, TCP_CA_OPEN, TCP_CA_RECOVERY, TCP_SYN_SENT,
} from "../../uapi/tcp.ts";
import type { SkBuff } from "../core/skbuff.ts";
import {
  CA_EVENT_COMPLETE_CWR, CA_EVENT_LOSS, TCP_INFINITE_SSTHRESH, tcpCaEvent, tcpInCwndReduction,
  tcpPacketsInFlight, tcpSetCaState,
} from "./tcp-cong.ts";
import { tcpFragment } from "./tcp-output.ts";
import { tcpXmitRetransmitQueue } from "./tcp-retransmit.ts";
import { TCPCB_LOST, TCPCB_SACKED_ACKED, TCPCB_SACKED_RETRANS, type TcpSk, type TcpSock } from "./tcp-sock.ts";

/** Marks a segment lost; a retransmission of it counts as lost too. Linux: tcp_mark_skb_lost(). */
function tcpMarkSkbLost(tp: TcpSock, skb: SkBuff): void {
  const sacked = skb.sacked;
  if ((sacked & TCPCB_SACKED_ACKED) !== 0) return;
  if ((sacked & TCPCB_LOST) === 0) {
    tp.lostOut++;
    tp.lost++;
  } else if ((sacked & TCPCB_SACKED_RETRANS) !== 0) {
    tp.lost++;
  }
  if ((sacked & TCPCB_SACKED_RETRANS) !== 0) tp.retransOut--;
  skb.sacked = (sacked & ~TCPCB_SACKED_RETRANS) | TCPCB_LOST;
  const hint = tp.retransmitHint;
  if (hint !== null && ((skb.seq - hint.seq) | 0) < 0) tp.retransmitHint = skb;
}

/** No duplicate ACK counts any more. Linux: tcp_reset_reno_sack(). */
function tcpResetRenoSack(tp: TcpSock): void {
  tp.sackedOut = 0;
}

/** Duplicate ACKs say that as many segments arrived, though at least one is missing. Linux: tcp_add_reno_sack(). */
function tcpAddRenoSack(tp: TcpSock, dupacks: number): void {
  if (dupacks === 0) return;
  const prior = tp.sackedOut;
  const holes = tp.lostOut > 1 ? tp.lostOut : 1;
  let sacked = prior + dupacks;
  if (sacked + holes > tp.packetsOut) sacked = tp.packetsOut - holes;
  if (sacked < 0) sacked = 0;
  tp.sackedOut = sacked;
  if (sacked > prior) tp.delivered += sacked - prior;
}

/** `acked` segments left the queue: one filled the hole, the others had been counted by duplicate ACKs. Linux: tcp_remove_reno_sacks(). */
export function tcpRemoveRenoSacks(tp: TcpSock, acked: number): void {
  if (acked > 0) {
    const fresh = acked - tp.sackedOut;
    tp.delivered += fresh > 1 ? fresh : 1;
    tp.sackedOut = acked - 1 >= tp.sackedOut ? 0 : tp.sackedOut - (acked - 1);
  }
  const most = tp.packetsOut - tp.lostOut;
  if (tp.sackedOut > most) tp.sackedOut = most > 0 ? most : 0;
}

/** A window reduction begins: PRR lets it shrink to the new threshold over one round trip. Linux: tcp_init_cwnd_reduction(). */
function tcpInitCwndReduction(sk: TcpSk): void {
  const tp = sk.tp;
  tp.highSeq = tp.sndNxt;
  tp.sndCwndCnt = 0;
  tp.priorCwnd = tp.sndCwnd;
  tp.prrDelivered = tp.prrOut = 0;
  tp.sndSsthresh = sk.icsk.caOps.ssthresh(sk);
}

/**
 * The window during a reduction (RFC 6937): in proportion while more is in flight than the threshold, then slow start towards it.
 * Linux: tcp_cwnd_reduction(). @param newly segments this ACK delivered @param newlyLost segments it showed lost
 */
export function tcpCwndReduction(sk: TcpSk, newly: number, newlyLost: number, advanced: boolean): void {
  const tp = sk.tp;
  if (newly <= 0 || tp.priorCwnd === 0) return;
  const inFlight = tcpPacketsInFlight(tp);
  const delta = tp.sndSsthresh - inFlight;
  tp.prrDelivered += newly;
  let count: number;
  if (delta < 0) {
    count = (((tp.sndSsthresh * tp.prrDelivered + tp.priorCwnd - 1) / tp.priorCwnd) | 0) - tp.prrOut;
  } else {
    const behind = tp.prrDelivered - tp.prrOut;
    count = behind > newly ? behind : newly;
    if (advanced && newlyLost === 0) count++;
    if (count > delta) count = delta;
  }
  // The first retransmission always goes.
  const least = tp.prrOut !== 0 ? 0 : 1;
  if (count < least) count = least;
  tp.sndCwnd = inFlight + count;
}

/** The reduction is complete. Linux: tcp_end_cwnd_reduction(). */
function tcpEndCwndReduction(sk: TcpSk): void {
  const tp = sk.tp;
  if (tp.sndSsthresh < TCP_INFINITE_SSTHRESH && tcpInCwndReduction(sk)) {
    tp.sndCwnd = tp.sndSsthresh;
    tp.sndCwndStamp = jiffies;
  }
  tcpCaEvent(sk, CA_EVENT_COMPLETE_CWR);
}

/** A queue of this host dropped a segment: congestion seen from near. Linux: tcp_enter_cwr(). */
export function tcpEnterCwr(sk: TcpSk): void {
  if (sk.icsk.caState >= TCP_CA_CWR) return;
  tcpInitCwndReduction(sk);
  tcpSetCaState(sk, TCP_CA_CWR);
}

/** Fast retransmit: the first hole is repaired at once. Linux: tcp_enter_recovery(). */
function tcpEnterRecovery(sk: TcpSk): void {
  sk.net.mib[LINUX_MIB_TCPRENORECOVERY]!++;
  if (!tcpInCwndReduction(sk)) tcpInitCwndReduction(sk);
  tcpSetCaState(sk, TCP_CA_RECOVERY);
}

/**
 * The retransmission timer fired: everything in flight counts as lost and is sent again from the first on, by slow start.
 * Linux: tcp_enter_loss().
 */
export function tcpEnterLoss(sk: TcpSk): void {
  const tp = sk.tp;
  const icsk = sk.icsk;
  tcpResetRenoSack(tp);
  for (let skb = sk.writeQueue.head; skb !== null && skb !== sk.sendHead; skb = skb.next) tcpMarkSkbLost(tp, skb);
  const state = icsk.caState;
  // Not again for a retransmission lost within the same episode (RFC 5681 section 3.1).
  if (
    state <= TCP_CA_DISORDER || ((tp.highSeq - tp.sndUna) | 0) <= 0
    || (state === TCP_CA_LOSS && icsk.retransmits === 0)
  ) {
    tp.priorCwnd = tp.sndCwnd;
    tp.sndSsthresh = icsk.caOps.ssthresh(sk);
    tcpCaEvent(sk, CA_EVENT_LOSS);
  }
  tp.sndCwnd = tcpPacketsInFlight(tp) + 1;
  tp.sndCwndCnt = 0;
  tp.sndCwndStamp = jiffies;
  tcpSetCaState(sk, TCP_CA_LOSS);
  tp.highSeq = tp.sndNxt;
  tp.retransmitHint = null;
}

/** Is any retransmission still unacknowledged? Linux: tcp_any_retrans_done(). */
function anyRetransDone(tp: TcpSock): boolean {
  return tp.retransOut !== 0;
}

/** Open, or Disorder while something is out of the ordinary. Linux: tcp_try_keep_open(). */
function tcpTryKeepOpen(sk: TcpSk): void {
  const tp = sk.tp;
  const state = tp.sackedOut + tp.lostOut !== 0 || anyRetransDone(tp) ? TCP_CA_DISORDER : TCP_CA_OPEN;
  if (sk.icsk.caState !== state) {
    tcpSetCaState(sk, state);
    tp.highSeq = tp.sndNxt;
  }
}

/**
 * All that was in flight at the loss is acknowledged. At exactly that point the state is kept: duplicate ACKs of the go-back
 * retransmissions must not look like a new loss (RFC 6582 section 4.1). Linux: tcp_try_undo_recovery().
 * @returns whether the old state is kept
 */
function tcpHoldRecovery(sk: TcpSk): boolean {
  const tp = sk.tp;
  if (tp.sndUna === tp.highSeq) {
    if (!anyRetransDone(tp)) tp.retransStamp = 0;
    return true;
  }
  tcpEndCwndReduction(sk);
  tcpSetCaState(sk, TCP_CA_OPEN);
  return false;
}

/** The first segment not acknowledged is lost: three duplicate ACKs, or a partial ACK in Recovery. Linux: tcp_newreno_mark_lost(). */
function tcpNewrenoMarkLost(sk: TcpSk, advanced: boolean): void {
  const tp = sk.tp;
  const state = sk.icsk.caState;
  const first = state < TCP_CA_RECOVERY && tp.sackedOut >= tp.reordering;
  if (!first && !(state === TCP_CA_RECOVERY && advanced)) return;
  const head = sk.writeQueue.head;
  if (head === null || head === sk.sendHead || (head.sacked & TCPCB_LOST) !== 0) return;
  if (head.len > tp.mssCache && tcpFragment(sk, head, tp.mssCache) < 0) return;
  tcpMarkSkbLost(tp, head);
}

/**
 * An ACK that is out of the ordinary: a duplicate, or any outside of Open. Moves through the states of the picture above.
 * Linux: tcp_fastretrans_alert().
 * @param dupacks duplicate ACKs this one stands for, 0 or 1 @param advanced it acknowledged new data
 * @returns whether segments marked lost may be due: tcpXmitRecovery()
 */
export function tcpFastretransAlert(sk: TcpSk, dupacks: number, advanced: boolean): boolean {
  const tp = sk.tp;
  const icsk = sk.icsk;
  if (tp.packetsOut === 0) tp.sackedOut = 0;
  const state = icsk.caState;
  if (state === TCP_CA_OPEN) {
    if (tp.retransOut === 0) tp.retransStamp = 0;
  } else if (((tp.sndUna - tp.highSeq) | 0) >= 0) {
    if (state === TCP_CA_CWR) {
      // Only beyond highSeq: one reduction for each window of data.
      if (tp.sndUna !== tp.highSeq) {
        tcpEndCwndReduction(sk);
        tcpSetCaState(sk, TCP_CA_OPEN);
      }
    } else if (state === TCP_CA_RECOVERY) {
      tcpResetRenoSack(tp);
      if (tcpHoldRecovery(sk)) return false;
    }
  }
  switch (icsk.caState) {
    case TCP_CA_RECOVERY:
      if (!advanced) tcpAddRenoSack(tp, dupacks);
      tcpNewrenoMarkLost(sk, advanced);
      return true;
    case TCP_CA_LOSS:
      if (!tcpProcessLoss(sk, dupacks, advanced)) return true;
      break;
    default:
      if (advanced) tcpResetRenoSack(tp);
      tcpAddRenoSack(tp, dupacks);
  }
  tcpNewrenoMarkLost(sk, advanced);
  if (tp.lostOut === 0) {
    if (!anyRetransDone(tp)) tp.retransStamp = 0;
    if (icsk.caState !== TCP_CA_CWR) tcpTryKeepOpen(sk);
    return false;
  }
  tcpEnterRecovery(sk);
  return true;
}

/** An ACK in Loss. Linux: tcp_process_loss(). @returns whether the state is Open again */
function tcpProcessLoss(sk: TcpSk, dupacks: number, advanced: boolean): boolean {
  const tp = sk.tp;
  if (((tp.sndUna - tp.highSeq) | 0) >= 0) return !tcpHoldRecovery(sk);
  if (((tp.sndNxt - tp.highSeq) | 0) > 0 && dupacks !== 0) tcpAddRenoSack(tp, dupacks);
  else if (advanced) tcpResetRenoSack(tp);
  return false;
}

/** Sends what is marked lost, as far as the window now lets it. Linux: tcp_xmit_recovery(). */
export function tcpXmitRecovery(sk: TcpSk): void {
  if (sk.state !== TCP_SYN_SENT) tcpXmitRetransmitQueue(sk);
}
