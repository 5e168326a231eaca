/**
 * Loss: the congestion states, and who says what is lost. Linux: tcp_fastretrans_alert() and its helpers of
 * net/ipv4/tcp_input.c. Read first: RFC 5681 section 3.2 (fast retransmit), RFC 6582 (NewReno), RFC 3042 (limited transmit),
 * RFC 6675 (SACK), RFC 6298 section 5.
 *
 *     Open ──dup ACK, SACK──> Disorder ──something lost──> Recovery ──highSeq acknowledged──> Open
 *       └──────────────────────RTO, any state──> Loss ─────highSeq acknowledged──────────────┘
 *
 * With SACK RACK finds what is lost (tcp-recovery.ts), or where that part is not there the count of what has arrived; without SACK
 * each duplicate ACK stands for one segment that arrived behind a hole: `sackedOut` counts them ("Reno SACK"), so that
 * tcpPacketsInFlight() falls and new data may follow (limited transmit needs no code of its own). The window during repair is PRR's
 * (tcp-prr.ts), and may be undone where tcp-undo.ts is there.
 */
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import {
  LINUX_MIB_TCPRENORECOVERY, LINUX_MIB_TCPRENOREORDER, LINUX_MIB_TCPSACKRECOVERY, LINUX_MIB_TCPSACKRENEGING,
} from "../../uapi/snmp.ts";
import {
  TCP_CA_CWR, TCP_CA_DISORDER, TCP_CA_LOSS, TCP_CA_OPEN, TCP_CA_RECOVERY, TCP_SYN_SENT,
} from "../../uapi/tcp.ts";
import {
  FLAG_ECE, FLAG_LOST_RETRANS, FLAG_REXMIT_LOST, FLAG_REXMIT_NEW, FLAG_SACK_RENEGING, FLAG_SET_XMIT_TIMER, FLAG_SND_UNA_ADVANCED,
} from "./tcp-ack-flags.ts";
import { tcpAnyRetransDone, tcpHoldsState, tcpInitUndo, tcpTryKeepOpen } from "./tcp-ca-state.ts";
import {
  TP_DELIVERED, TP_FRTO, TP_HIGH_SEQ, TP_PRIOR_CWND, TP_PRIOR_SSTHRESH, TP_REORD_SEEN, TP_REORDERING,
  TP_RETRANS_STAMP, TP_SACK_OK, TP_SND_CWND_CNT, TP_SND_CWND_STAMP, TP_TLP_HIGH_SEQ,
} from "./tcp-cold.ts";
import {
  CA_EVENT_LOSS, tcpCaEvent, tcpCurrentSsthresh, tcpInCwndReduction, tcpPacketsInFlight, tcpSetCaState,
} from "./tcp-cong.ts";
import { tcpPushPendingFrames } from "./tcp-output.ts";
import { FRTO_UNDONE, tcpEcn, tcpMtuProbes, tcpMtupSearching, tcpRack, tcpUndo } from "./tcp-parts.ts";
import { tcpEndCwndReduction, tcpEnterCwr, tcpInitCwndReduction } from "./tcp-prr.ts";
import { tcpMarkSkbLost, tcpXmitRetransmitQueue } from "./tcp-retransmit.ts";
import { ICSK_TIME_RETRANS, TCP_NAGLE_OFF, TCPCB_LOST, TCPCB_SACKED_ACKED, type TcpSk, type TcpSock } from "./tcp-sock.ts";
import { inetCskResetXmitTimer } from "./tcp-timer.ts";
import { tcpCurrentMss } from "./tcp-window.ts";

/** Most segments of reordering believed in (tcp_max_reordering). */
const TCP_MAX_REORDERING = 300;
/** After reneging the peer gets this long, in ms, to acknowledge what it kept. */
const RENEGING_DELAY_MS = 10;

/** No duplicate ACK counts any more. Linux: tcp_reset_reno_sack(). */
function tcpResetRenoSack(tp: TcpSock): void {
  tp.sackedOut = 0;
}

/** More duplicate ACKs than can be: segments `sackedOut` is held within what is in flight. Linux: tcp_limit_reno_sacked(). */
function tcpLimitRenoSacked(tp: TcpSock): boolean {
  const out = tp.packetsOut;
  let holes = tp.lostOut > 1 ? tp.lostOut : 1;
  if (holes > out) holes = out;
  if (tp.sackedOut + holes <= out) return false;
  tp.sackedOut = out - holes;
  return true;
}

/** There were more than holes explain: reordering. Linux: tcp_check_reno_reordering(). */
function tcpCheckRenoReordering(sk: TcpSk, addend: number): void {
  const tp = sk.tp;
  if (!tcpLimitRenoSacked(tp)) return;
  const metric = tp.packetsOut + addend;
  words[tp.cold + TP_REORDERING] = metric < TCP_MAX_REORDERING ? metric : TCP_MAX_REORDERING;
  words[tp.cold + TP_REORD_SEEN]!++;
  sk.net.mib[LINUX_MIB_TCPRENOREORDER]!++;
}

/** Duplicate ACKs say that as many segments arrived, though at least one is missing. Linux: tcp_add_reno_sack(). */
function tcpAddRenoSack(sk: TcpSk, dupacks: number): void {
  if (dupacks === 0) return;
  const tp = sk.tp;
  const prior = tp.sackedOut;
  tp.sackedOut = prior + dupacks;
  tcpCheckRenoReordering(sk, 0);
  if (tp.sackedOut > prior) words[tp.cold + TP_DELIVERED]! += tp.sackedOut - prior;
}

/** `acked` segments left the queue: one filled the hole, the others had been counted by duplicate ACKs. Linux: tcp_remove_reno_sacks(). */
export function tcpRemoveRenoSacks(sk: TcpSk, acked: number): void {
  const tp = sk.tp;
  if (acked > 0) {
    const fresh = acked - tp.sackedOut;
    words[tp.cold + TP_DELIVERED]! += fresh > 1 ? fresh : 1;
    tp.sackedOut = acked - 1 >= tp.sackedOut ? 0 : tp.sackedOut - (acked - 1);
  }
  tcpCheckRenoReordering(sk, acked);
}

/** Something is lost: it is repaired at once. Linux: tcp_enter_recovery(). @param ece the network told of congestion too */
export function tcpEnterRecovery(sk: TcpSk, ece: boolean): void {
  const tp = sk.tp;
  sk.net.mib[words[tp.cold + TP_SACK_OK] !== 0 ? LINUX_MIB_TCPSACKRECOVERY : LINUX_MIB_TCPRENORECOVERY]!++;
  words[tp.cold + TP_PRIOR_SSTHRESH] = 0;
  tcpInitUndo(tp);
  if (!tcpInCwndReduction(sk)) {
    if (!ece) words[tp.cold + TP_PRIOR_SSTHRESH] = tcpCurrentSsthresh(sk);
    tcpInitCwndReduction(sk);
  }
  tcpSetCaState(sk, TCP_CA_RECOVERY);
}

/**
 * The timeout says that everything in flight is lost, except what RACK knows to be sent too late for that. A first segment that
 * was selectively acknowledged shows that the peer has dropped it: nothing it said counts. Linux: tcp_timeout_mark_lost().
 */
function tcpTimeoutMarkLost(sk: TcpSk): void {
  const tp = sk.tp;
  const head = sk.writeQueue.head;
  const stop = sk.sendHead;
  const reneging = head !== null && head !== stop && (head.sacked & TCPCB_SACKED_ACKED) !== 0;
  if (reneging) {
    sk.net.mib[LINUX_MIB_TCPSACKRENEGING]!++;
    tp.sackedOut = 0;
  } else if (words[tp.cold + TP_SACK_OK] === 0) {
    tcpResetRenoSack(tp);
  }
  for (let skb = head; skb !== null && skb !== stop; skb = skb.next) {
    if (reneging) skb.sacked &= ~TCPCB_SACKED_ACKED;
    else if (tcpRack !== null && skb !== head && tcpRack.early(tp, skb)) continue;
    tcpMarkSkbLost(sk, skb);
  }
  tp.retransmitHint = null;
}

/** The retransmission timer fired: what is in flight goes again from the first on, by slow start. Linux: tcp_enter_loss(). */
export function tcpEnterLoss(sk: TcpSk): void {
  const tp = sk.tp;
  const icsk = sk.icsk;
  const rec = tp.cold;
  const sysctl = sk.net.ipv4;
  tcpTimeoutMarkLost(sk);
  const state = icsk.caState;
  // Not again for a retransmission lost within the same episode (RFC 5681 section 3.1).
  if (
    state <= TCP_CA_DISORDER || ((words[tp.cold + TP_HIGH_SEQ]! - tp.sndUna) | 0) <= 0
    || (state === TCP_CA_LOSS && icsk.retransmits === 0)
  ) {
    words[rec + TP_PRIOR_SSTHRESH] = tcpCurrentSsthresh(sk);
    words[tp.cold + TP_PRIOR_CWND] = tp.sndCwnd;
    tp.sndSsthresh = icsk.caOps.ssthresh(sk);
    tcpCaEvent(sk, CA_EVENT_LOSS);
    tcpInitUndo(tp);
  }
  tp.sndCwnd = tcpPacketsInFlight(tp) + 1;
  words[tp.cold + TP_SND_CWND_CNT] = 0;
  words[tp.cold + TP_SND_CWND_STAMP] = jiffies;
  // Many segments behind the hole and yet a timeout: less reordering than was believed.
  if (state <= TCP_CA_DISORDER && tp.sackedOut >= sysctl.tcpReordering && words[tp.cold + TP_REORDERING]! > sysctl.tcpReordering) {
    words[tp.cold + TP_REORDERING] = sysctl.tcpReordering;
  }
  tcpSetCaState(sk, TCP_CA_LOSS);
  words[tp.cold + TP_HIGH_SEQ] = tp.sndNxt;
  if (tp.ecnFlags !== 0) tcpEcn!.queueCwr(tp);
  words[rec + TP_TLP_HIGH_SEQ] = 0;
  words[rec + TP_FRTO] = tcpUndo !== null && sysctl.tcpFrto !== 0 && (state < TCP_CA_RECOVERY || icsk.retransmits !== 0) ? 1 : 0;
}

/** The first segment not acknowledged is lost: three duplicate ACKs, or a partial ACK in Recovery. Linux: tcp_newreno_mark_lost(). */
function tcpNewrenoMarkLost(sk: TcpSk, advanced: boolean): void {
  const tp = sk.tp;
  const state = sk.icsk.caState;
  const first = state < TCP_CA_RECOVERY && tp.sackedOut >= words[tp.cold + TP_REORDERING]!;
  if (!first && !(state === TCP_CA_RECOVERY && advanced)) return;
  const head = sk.writeQueue.head;
  if (head === null || head === sk.sendHead || (head.sacked & TCPCB_LOST) !== 0) return;
  tcpMarkSkbLost(sk, head);
}

/**
 * Without RACK: a hole is lost once as many segments behind it have arrived as reordering explains at most. RFC 6675 section 4,
 * IsLost(). Linux until version 6.16: tcp_mark_head_lost().
 */
function markHoles(sk: TcpSk): void {
  const tp = sk.tp;
  const stop = sk.sendHead;
  let beyond = tp.sackedOut - words[tp.cold + TP_REORDERING]!;
  for (let skb = sk.writeQueue.head; skb !== null && skb !== stop && beyond >= 0; skb = skb.next) {
    if ((skb.sacked & TCPCB_SACKED_ACKED) !== 0) beyond--;
    else if ((skb.sacked & TCPCB_LOST) === 0) tcpMarkSkbLost(sk, skb);
  }
}

/** Marks what this ACK shows lost. Linux: tcp_identify_packet_loss(). @returns the flags */
function tcpIdentifyPacketLoss(sk: TcpSk, flags: number): number {
  const tp = sk.tp;
  if (tp.packetsOut === 0) return flags;
  const sackOk = words[tp.cold + TP_SACK_OK] !== 0;
  if (!sackOk || tcpRack === null) {
    tcpNewrenoMarkLost(sk, (flags & FLAG_SND_UNA_ADVANCED) !== 0);
    if (sackOk) markHoles(sk);
    return flags;
  }
  const prior = tp.retransOut;
  let flag = flags;
  if (tcpRack.markLost(sk)) flag &= ~FLAG_SET_XMIT_TIMER;
  return prior > tp.retransOut ? flag | FLAG_LOST_RETRANS : flag;
}

/** Nothing is lost. Linux: tcp_try_to_open(). */
function tcpTryToOpen(sk: TcpSk, flag: number): void {
  if (!tcpAnyRetransDone(sk)) words[sk.tp.cold + TP_RETRANS_STAMP] = 0;
  if ((flag & FLAG_ECE) !== 0) tcpEnterCwr(sk);
  if (sk.icsk.caState !== TCP_CA_CWR) tcpTryKeepOpen(sk);
}

/** All that was in flight at the loss is acknowledged. @returns whether the state is kept for now */
function endRecovery(sk: TcpSk): boolean {
  if (tcpUndo !== null) tcpUndo.recovery(sk);
  return tcpHoldsState(sk);
}

/** An ACK in Loss. Linux: tcp_process_loss(). @returns FLAG_REXMIT_*, or 0 */
function tcpProcessLoss(sk: TcpSk, flag: number, dupacks: number): number {
  const tp = sk.tp;
  const recovered = ((tp.sndUna - words[tp.cold + TP_HIGH_SEQ]!) | 0) >= 0;
  const advanced = (flag & FLAG_SND_UNA_ADVANCED) !== 0;
  const newSent = ((tp.sndNxt - words[tp.cold + TP_HIGH_SEQ]!) | 0) > 0;
  if (tcpUndo !== null) {
    if (advanced && tcpUndo.loss(sk, false)) return 0;
    const frto = words[tp.cold + TP_FRTO] === 0 ? 0 : tcpUndo.frto(sk, flag, dupacks);
    if (frto === FRTO_UNDONE) return 0;
    if (frto !== 0) return frto;
  }
  if (recovered) {
    if (!endRecovery(sk)) tcpSetCaState(sk, TCP_CA_OPEN);
    return 0;
  }
  if (words[tp.cold + TP_SACK_OK] === 0) {
    if (newSent && dupacks !== 0) tcpAddRenoSack(sk, dupacks);
    else if (advanced) tcpResetRenoSack(tp);
  }
  return FLAG_REXMIT_LOST;
}

/** What the peer said it has is not there: it gets a moment, then the timeout forgets it all. Linux: tcp_check_sack_reneging(). */
function tcpCheckSackReneging(sk: TcpSk, flag: number): boolean {
  if ((flag & FLAG_SACK_RENEGING) === 0 || (flag & FLAG_SND_UNA_ADVANCED) === 0) return false;
  const half = sk.tp.srtt >> 4;
  inetCskResetXmitTimer(sk, ICSK_TIME_RETRANS, half > RENEGING_DELAY_MS ? half : RENEGING_DELAY_MS);
  return true;
}

/** highSeq is acknowledged: the episode may be over. @returns whether that is all there is to do */
function episodeEnds(sk: TcpSk): boolean {
  const tp = sk.tp;
  const state = sk.icsk.caState;
  if (state === TCP_CA_CWR) {
    // Only beyond highSeq: one reduction for each window of data.
    if (tp.sndUna !== words[tp.cold + TP_HIGH_SEQ]!) {
      tcpEndCwndReduction(sk);
      tcpSetCaState(sk, TCP_CA_OPEN);
    }
  } else if (state === TCP_CA_RECOVERY) {
    if (words[tp.cold + TP_SACK_OK] === 0) tcpResetRenoSack(tp);
    if (endRecovery(sk)) return true;
    tcpEndCwndReduction(sk);
    tcpSetCaState(sk, TCP_CA_OPEN);
  }
  return false;
}

/**
 * An ACK that is out of the ordinary: a duplicate, with SACK, or any outside of Open. Moves through the states of the picture
 * above. Linux: tcp_fastretrans_alert().
 * @param dupacks duplicate ACKs this one stands for, 0 or 1 @param flags FLAG_* of the ACK
 * @returns the flags; FLAG_REXMIT_* say what tcpXmitRecovery() is to send
 */
export function tcpFastretransAlert(sk: TcpSk, priorUna: number, dupacks: number, flags: number): number {
  const tp = sk.tp;
  const icsk = sk.icsk;
  const advanced = (flags & FLAG_SND_UNA_ADVANCED) !== 0;
  const ece = (flags & FLAG_ECE) !== 0;
  let flag = flags;
  if (tp.packetsOut === 0) tp.sackedOut = 0;
  if (ece) words[tp.cold + TP_PRIOR_SSTHRESH] = 0;
  if (tcpCheckSackReneging(sk, flag)) return flag & ~FLAG_SET_XMIT_TIMER;
  if (icsk.caState === TCP_CA_OPEN) {
    if (tp.retransOut === 0) words[tp.cold + TP_RETRANS_STAMP] = 0;
  } else if (((tp.sndUna - words[tp.cold + TP_HIGH_SEQ]!) | 0) >= 0 && episodeEnds(sk)) {
    return flag;
  }
  const state = icsk.caState;
  switch (state) {
    case TCP_CA_RECOVERY:
      if (!advanced) {
        if (words[tp.cold + TP_SACK_OK] === 0) tcpAddRenoSack(sk, dupacks);
      } else if (tcpUndo !== null && tcpUndo.partial(sk, priorUna)) {
        return flag;
      }
      if (tcpUndo !== null && tcpUndo.dsack(sk)) tcpTryToOpen(sk, flag);
      flag = tcpIdentifyPacketLoss(sk, flag);
      if (icsk.caState === TCP_CA_RECOVERY) return flag | FLAG_REXMIT_LOST;
      // Undone; but what else is lost begins a recovery of its own.
      if (tp.lostOut === 0) return flag;
      tcpEnterRecovery(sk, ece);
      return flag | FLAG_REXMIT_LOST;
    case TCP_CA_LOSS: {
      const rexmit = tcpProcessLoss(sk, flag, dupacks);
      flag = tcpIdentifyPacketLoss(sk, flag) | rexmit;
      if (icsk.caState !== TCP_CA_OPEN && (flag & FLAG_LOST_RETRANS) === 0) return flag;
      break;
    }
    default:
      if (words[tp.cold + TP_SACK_OK] === 0) {
        if (advanced) tcpResetRenoSack(tp);
        tcpAddRenoSack(sk, dupacks);
      }
      if (tcpUndo !== null && icsk.caState <= TCP_CA_DISORDER) tcpUndo.dsack(sk);
      flag = tcpIdentifyPacketLoss(sk, flag);
  }
  if (tp.lostOut === 0) {
    tcpTryToOpen(sk, flag);
    return flag;
  }
  if (tcpMtupSearching !== 0 && tcpMtuProbes!.lost(sk)) return flag;
  tcpEnterRecovery(sk, ece);
  return flag | FLAG_REXMIT_LOST;
}

/** Sends what is marked lost, or with F-RTO first new data, as far as the window now lets it. Linux: tcp_xmit_recovery(). */
export function tcpXmitRecovery(sk: TcpSk, flag: number): void {
  if (sk.state === TCP_SYN_SENT) return;
  if ((flag & FLAG_REXMIT_NEW) !== 0) {
    const tp = sk.tp;
    tcpPushPendingFrames(sk, tcpCurrentMss(sk), TCP_NAGLE_OFF);
    if (((tp.sndNxt - words[tp.cold + TP_HIGH_SEQ]!) | 0) > 0) return;
    words[tp.cold + TP_FRTO] = 0;
  }
  tcpXmitRetransmitQueue(sk);
}
