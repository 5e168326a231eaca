/**
 * Between the congestion states: what an episode of loss begins and ends with, whether or not it can be undone (tcp-undo.ts).
 * Linux: tcp_init_undo(), tcp_any_retrans_done(), tcp_try_keep_open() and tcp_is_non_sack_preventing_reopen() of
 * net/ipv4/tcp_input.c. Read first: RFC 6582 section 4.1.
 */
import { words } from "../../lib/table.ts";
import { TCP_CA_DISORDER, TCP_CA_OPEN } from "../../uapi/tcp.ts";
import {
  TP_HIGH_SEQ, TP_RETRANS_STAMP, TP_SACK_OK, TP_TLP_HIGH_SEQ, TP_TLP_RETRANS, TP_UNDO_MARKER, TP_UNDO_RETRANS,
} from "./tcp-cold.ts";
import { tcpSetCaState } from "./tcp-cong.ts";
import { TCPCB_EVER_RETRANS, type TcpSk, type TcpSock } from "./tcp-sock.ts";

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

/**
 * Without SACK, duplicate ACKs of go-back retransmissions must not look like a new loss: at exactly highSeq the state is kept
 * (RFC 6582 section 4.1). Linux: tcp_is_non_sack_preventing_reopen().
 */
export function tcpHoldsState(sk: TcpSk): boolean {
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
