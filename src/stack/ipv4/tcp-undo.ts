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
import { TCP_CA_DISORDER, TCP_CA_LOSS, TCP_CA_OPEN, TCP_SYN_SENT } from "../../uapi/tcp.ts";
import {
  TP_HIGH_SEQ, TP_PRIOR_CWND, TP_PRIOR_SSTHRESH, TP_RACK_ADVANCED, TP_REO_WND_PERSIST, TP_RETRANS_STAMP, TP_SACK_OK,
  TP_SND_CWND_STAMP, TP_TLP_HIGH_SEQ, TP_TLP_RETRANS, TP_UNDO_MARKER, TP_UNDO_RETRANS,
} from "./tcp-cold.ts";
import { tcpSetCaState } from "./tcp-cong.ts";
import { tcpEcn } from "./tcp-parts.ts";
import { TCP_RACK_RECOVERY_THRESH } from "./tcp-recovery.ts";
import { tcpCheckSackReordering } from "./tcp-sacktag.ts";
import { TCPCB_EVER_RETRANS, TCPCB_LOST, type TcpSk, type TcpSock } from "./tcp-sock.ts";

/** A reduction begins that may be undone. Linux: tcp_init_undo(). */
export function tcpInitUndo(tp: TcpSock): void {
  const rec = tp.cold;
  words[rec + TP_UNDO_MARKER] = tp.sndUna;
  // A D-SACK may be about a tail loss probe that is on its way, too.
  const probe = words[rec + TP_TLP_HIGH_SEQ] !== 0 && words[rec + TP_TLP_RETRANS] !== 0 ? 1 : 0;
  const out = tp.retransOut + probe;
  // -1: nothing was sent again yet, so that "all of it was needless" cannot be true.
  words[rec + TP_UNDO_RETRANS] = out !== 0 ? out : -1;
}

/** Is any retransmission still unacknowledged? Linux: tcp_any_retrans_done(). */
export function tcpAnyRetransDone(sk: TcpSk): boolean {
  if (sk.tp.retransOut !== 0) return true;
  const head = sk.writeQueue.head;
  return head !== null && head !== sk.sendHead && (head.sacked & TCPCB_EVER_RETRANS) !== 0;
}

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

/**
 * Without SACK, duplicate ACKs of go-back retransmissions must not look like a new loss: at exactly highSeq the state is kept
 * (RFC 6582 section 4.1). Linux: tcp_is_non_sack_preventing_reopen().
 */
function holdsState(sk: TcpSk): boolean {
  const tp = sk.tp;
  if (words[tp.cold + TP_SACK_OK] !== 0 || tp.sndUna !== words[tp.cold + TP_HIGH_SEQ]!) return false;
  if (!tcpAnyRetransDone(sk)) words[tp.cold + TP_RETRANS_STAMP] = 0;
  return true;
}

/** Open, or Disorder while something is out of the ordinary. Linux: tcp_try_keep_open(). */
export function tcpTryKeepOpen(sk: TcpSk): void {
  const tp = sk.tp;
  const state = tp.sackedOut + tp.lostOut !== 0 || tcpAnyRetransDone(sk) ? TCP_CA_DISORDER : TCP_CA_OPEN;
  if (sk.icsk.caState !== state) {
    tcpSetCaState(sk, state);
    words[tp.cold + TP_HIGH_SEQ] = tp.sndNxt;
  }
}

/** All that was in flight at the loss is acknowledged. Linux: tcp_try_undo_recovery(). @returns whether the old state is kept */
export function tcpTryUndoRecovery(sk: TcpSk): boolean {
  const rec = sk.tp.cold;
  if (tcpMayUndo(sk)) {
    const index = sk.icsk.caState === TCP_CA_LOSS ? LINUX_MIB_TCPLOSSUNDO : LINUX_MIB_TCPFULLUNDO;
    tcpUndoCwndReduction(sk, false);
    sk.net.mib[index]!++;
  } else if (words[rec + TP_REO_WND_PERSIST] !== 0) {
    words[rec + TP_REO_WND_PERSIST]!--;
  }
  return holdsState(sk);
}

/** Every retransmission was needless, says D-SACK. Linux: tcp_try_undo_dsack(). @returns whether that was undone */
export function tcpTryUndoDsack(sk: TcpSk): boolean {
  const rec = sk.tp.cold;
  if (words[rec + TP_UNDO_MARKER] === 0 || words[rec + TP_UNDO_RETRANS] !== 0) return false;
  if (words[rec + TP_REO_WND_PERSIST]! < TCP_RACK_RECOVERY_THRESH) words[rec + TP_REO_WND_PERSIST]!++;
  tcpUndoCwndReduction(sk, false);
  sk.net.mib[LINUX_MIB_TCPDSACKUNDO]!++;
  return true;
}

/** A partial ACK in Loss. Linux: tcp_try_undo_loss(). @param frto F-RTO has found the timeout spurious */
export function tcpTryUndoLoss(sk: TcpSk, frto: boolean): boolean {
  if (!frto && !tcpMayUndo(sk)) return false;
  const mib = sk.net.mib;
  tcpUndoCwndReduction(sk, true);
  mib[LINUX_MIB_TCPLOSSUNDO]!++;
  if (frto) mib[LINUX_MIB_TCPSPURIOUSRTOS]!++;
  sk.icsk.retransmits = 0;
  if (holdsState(sk)) return true;
  if (frto || words[sk.tp.cold + TP_SACK_OK] !== 0) tcpSetCaState(sk, TCP_CA_OPEN);
  return true;
}

/**
 * A partial ACK in Recovery: when the hole was filled by what was only late, nothing more is marked lost, and without
 * retransmissions on their way all is undone. Linux: tcp_try_undo_partial(). @returns whether to wait and see
 */
export function tcpTryUndoPartial(sk: TcpSk, priorUna: number): boolean {
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
