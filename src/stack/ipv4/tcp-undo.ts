/**
 * Undoing a reduction of the window that turns out needless: every retransmission was reported as a duplicate (D-SACK), or the
 * echoed timestamp shows that the original arrived. Linux: tcp_may_undo(), tcp_undo_cwnd_reduction() and the tcp_try_undo_*() of
 * net/ipv4/tcp_input.c. Read first: RFC 3708 (D-SACK), RFC 3522 and 4015 (Eifel), RFC 5682 (F-RTO).
 */
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import {
  LINUX_MIB_TCPDSACKUNDO, LINUX_MIB_TCPFULLUNDO, LINUX_MIB_TCPLOSSUNDO, LINUX_MIB_TCPPARTIALUNDO,
  LINUX_MIB_TCPSPURIOUSRTOS,
} from "../../uapi/snmp.ts";
import { TCP_CA_LOSS, TCP_CA_OPEN, TCP_SYN_SENT } from "../../uapi/tcp.ts";
import { FLAG_DATA_SACKED, FLAG_ORIG_SACK_ACKED, FLAG_REXMIT_NEW, FLAG_SND_UNA_ADVANCED } from "./tcp-ack-flags.ts";
import { tcpAnyRetransDone, tcpHoldsState, tcpTryKeepOpen } from "./tcp-ca-state.ts";
import {
  TP_FRTO, TP_HIGH_SEQ, TP_PRIOR_CWND, TP_PRIOR_SSTHRESH, TP_RACK_ADVANCED, TP_REO_WND_PERSIST, TP_RETRANS_STAMP, TP_SACK_OK,
  TP_SND_CWND_STAMP, TP_UNDO_MARKER, TP_UNDO_RETRANS,
} from "./tcp-cold.ts";
import { tcpSetCaState } from "./tcp-cong.ts";
import { tcpCheckDsack } from "./tcp-dsack.ts";
import { FRTO_UNDONE, tcpEcn, type TcpUndoOps } from "./tcp-parts.ts";
import { TCP_RACK_RECOVERY_THRESH } from "./tcp-recovery.ts";
import { tcpCheckSackReordering } from "./tcp-sacktag.ts";
import { TCPCB_LOST, type TcpSk } from "./tcp-sock.ts";
import { tcpWndEnd } from "./tcp-window.ts";

/** Was what is acknowledged now only late, not lost: its echo is older than the first retransmission? Linux: tcp_packet_delayed(). */
function tcpPacketDelayed(sk: TcpSk): boolean {
  const tp = sk.tp;
  const stamp = words[tp.cold + TP_RETRANS_STAMP]!;
  // Nothing was sent again at all: the host's own queues held it up.
  if (stamp === 0) return words[tp.cold + TP_UNDO_RETRANS]! < 0 && sk.state !== TCP_SYN_SENT;
  return tp.sawTstamp && tp.rcvTsecr !== 0 && ((tp.rcvTsecr - stamp) | 0) < 0;
}

function tcpMayUndo(sk: TcpSk): boolean {
  const rec = sk.tp.cold;
  return words[rec + TP_UNDO_MARKER] !== 0 && (words[rec + TP_UNDO_RETRANS] === 0 || tcpPacketDelayed(sk));
}

/** The window and the threshold are as before the reduction. Linux: tcp_undo_cwnd_reduction(). @param unmark nothing is lost */
function tcpUndoCwndReduction(sk: TcpSk, unmark: boolean): void {
  const tp = sk.tp;
  const rec = tp.cold;
  if (unmark) {
    for (let skb = sk.writeQueue.head; skb !== null && skb !== sk.sendHead; skb = skb.next) skb.sacked &= ~TCPCB_LOST;
    tp.lostOut = 0;
    tp.retransmitHint = null;
  }
  if (words[rec + TP_PRIOR_SSTHRESH] !== 0) {
    if (words[tp.cold + TP_PRIOR_CWND]! > tp.sndCwnd) tp.sndCwnd = words[tp.cold + TP_PRIOR_CWND]!;
    if (words[rec + TP_PRIOR_SSTHRESH]! > tp.sndSsthresh) {
      tp.sndSsthresh = words[rec + TP_PRIOR_SSTHRESH]!;
      if (tp.ecnFlags !== 0) tcpEcn!.withdrawCwr(tp);
    }
  }
  words[tp.cold + TP_SND_CWND_STAMP] = jiffies;
  words[rec + TP_UNDO_MARKER] = 0;
  // What RACK believed lost is to be looked at again.
  words[rec + TP_RACK_ADVANCED] = 1;
}

/** All that was in flight at the loss is acknowledged. Linux: tcp_try_undo_recovery(). */
function tcpTryUndoRecovery(sk: TcpSk): void {
  const rec = sk.tp.cold;
  if (tcpMayUndo(sk)) {
    const index = sk.icsk.caState === TCP_CA_LOSS ? LINUX_MIB_TCPLOSSUNDO : LINUX_MIB_TCPFULLUNDO;
    tcpUndoCwndReduction(sk, false);
    sk.net.mib[index]!++;
  } else if (words[rec + TP_REO_WND_PERSIST] !== 0) {
    words[rec + TP_REO_WND_PERSIST]!--;
  }
}

/** Every retransmission was needless, says D-SACK. Linux: tcp_try_undo_dsack(). @returns whether that was undone */
function tcpTryUndoDsack(sk: TcpSk): boolean {
  const rec = sk.tp.cold;
  if (words[rec + TP_UNDO_MARKER] === 0 || words[rec + TP_UNDO_RETRANS] !== 0) return false;
  if (words[rec + TP_REO_WND_PERSIST]! < TCP_RACK_RECOVERY_THRESH) words[rec + TP_REO_WND_PERSIST]!++;
  tcpUndoCwndReduction(sk, false);
  sk.net.mib[LINUX_MIB_TCPDSACKUNDO]!++;
  return true;
}

/** A partial ACK in Loss. Linux: tcp_try_undo_loss(). @param frto F-RTO has found the timeout spurious */
function tcpTryUndoLoss(sk: TcpSk, frto: boolean): boolean {
  if (!frto && !tcpMayUndo(sk)) return false;
  const mib = sk.net.mib;
  tcpUndoCwndReduction(sk, true);
  mib[LINUX_MIB_TCPLOSSUNDO]!++;
  if (frto) mib[LINUX_MIB_TCPSPURIOUSRTOS]!++;
  sk.icsk.retransmits = 0;
  if (tcpHoldsState(sk)) return true;
  if (frto || words[sk.tp.cold + TP_SACK_OK] !== 0) tcpSetCaState(sk, TCP_CA_OPEN);
  return true;
}

/**
 * A partial ACK in Recovery: when the hole was filled by what was only late, nothing more is marked lost, and without
 * retransmissions on their way all is undone. Linux: tcp_try_undo_partial(). @returns whether to wait and see
 */
function tcpTryUndoPartial(sk: TcpSk, priorUna: number): boolean {
  const tp = sk.tp;
  if (words[tp.cold + TP_UNDO_MARKER] === 0 || !tcpPacketDelayed(sk)) return false;
  tcpCheckSackReordering(sk, priorUna, true);
  if (tp.retransOut !== 0) return true;
  if (!tcpAnyRetransDone(sk)) words[tp.cold + TP_RETRANS_STAMP] = 0;
  tcpUndoCwndReduction(sk, true);
  sk.net.mib[LINUX_MIB_TCPPARTIALUNDO]!++;
  tcpTryKeepOpen(sk);
  return false;
}

/**
 * F-RTO (RFC 5682 section 3.1): after the first partial ACK new data is sent instead of retransmissions; when something sent only once
 * before the timeout is then acknowledged, the timeout was spurious. Linux: a part of tcp_process_loss().
 * @returns FRTO_UNDONE, FLAG_REXMIT_NEW, or 0 when the ACK is one like others
 */
function tcpFrto(sk: TcpSk, flag: number, dupacks: number): number {
  const tp = sk.tp;
  const cold = tp.cold;
  const highSeq = words[cold + TP_HIGH_SEQ]!;
  if ((flag & FLAG_ORIG_SACK_ACKED) !== 0 && tcpTryUndoLoss(sk, true)) return FRTO_UNDONE;
  if (((tp.sndNxt - highSeq) | 0) > 0) {
    // Step 3.a: the loss was real.
    if ((flag & FLAG_DATA_SACKED) !== 0 || dupacks !== 0) words[cold + TP_FRTO] = 0;
  } else if ((flag & FLAG_SND_UNA_ADVANCED) !== 0 && ((tp.sndUna - highSeq) | 0) < 0) {
    words[cold + TP_HIGH_SEQ] = tp.sndNxt;
    if (sk.sendHead !== null && ((tcpWndEnd(tp) - tp.sndNxt) | 0) > 0) return FLAG_REXMIT_NEW;
    words[cold + TP_FRTO] = 0;
  }
  return 0;
}

/** What the rest of TCP finds of it, in tcp-parts.ts. */
export const tcpUndoOps: TcpUndoOps = Object.freeze({
  recovery: tcpTryUndoRecovery, dsack: tcpTryUndoDsack, loss: tcpTryUndoLoss, partial: tcpTryUndoPartial, frto: tcpFrto,
  checkDsack: tcpCheckDsack,
});
