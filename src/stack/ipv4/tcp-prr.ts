/**
 * The congestion window while losses are repaired: proportional rate reduction. Linux: tcp_init_cwnd_reduction(),
 * tcp_cwnd_reduction() and tcp_end_cwnd_reduction() of net/ipv4/tcp_input.c. Read first: RFC 6937.
 */
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import { TCP_CA_CWR } from "../../uapi/tcp.ts";
import {
  TP_HIGH_SEQ, TP_PRIOR_CWND, TP_PRIOR_SSTHRESH, TP_PRR_DELIVERED, TP_PRR_OUT, TP_SND_CWND_CNT, TP_SND_CWND_STAMP,
  TP_TLP_HIGH_SEQ, TP_UNDO_MARKER,
} from "./tcp-cold.ts";
import {
  CA_EVENT_COMPLETE_CWR, TCP_INFINITE_SSTHRESH, tcpCaEvent, tcpPacketsInFlight, tcpSetCaState,
} from "./tcp-cong.ts";
import { tcpEcn } from "./tcp-parts.ts";
import type { TcpSk } from "./tcp-sock.ts";

/** A window reduction begins: PRR lets it shrink to the new threshold over one round trip. Linux: tcp_init_cwnd_reduction(). */
export function tcpInitCwndReduction(sk: TcpSk): void {
  const tp = sk.tp;
  words[tp.cold + TP_HIGH_SEQ] = tp.sndNxt;
  words[tp.cold + TP_TLP_HIGH_SEQ] = 0;
  words[tp.cold + TP_SND_CWND_CNT] = 0;
  words[tp.cold + TP_PRIOR_CWND] = tp.sndCwnd;
  words[tp.cold + TP_PRR_DELIVERED] = words[tp.cold + TP_PRR_OUT] = 0;
  tp.sndSsthresh = sk.icsk.caOps.ssthresh(sk);
  if (tp.ecnFlags !== 0) tcpEcn!.queueCwr(tp);
}

/**
 * The window during a reduction (RFC 6937): in proportion while more is in flight than the threshold, then slow start towards it.
 * Linux: tcp_cwnd_reduction(). @param newly segments this ACK delivered @param newlyLost segments it showed lost
 */
export function tcpCwndReduction(sk: TcpSk, newly: number, newlyLost: number, advanced: boolean): void {
  const tp = sk.tp;
  if (newly <= 0 || words[tp.cold + TP_PRIOR_CWND] === 0) return;
  const inFlight = tcpPacketsInFlight(tp);
  const delta = tp.sndSsthresh - inFlight;
  words[tp.cold + TP_PRR_DELIVERED]! += newly;
  let count: number;
  if (delta < 0) {
    count = (((tp.sndSsthresh * words[tp.cold + TP_PRR_DELIVERED]! + words[tp.cold + TP_PRIOR_CWND]! - 1) / words[tp.cold + TP_PRIOR_CWND]!) | 0) - words[tp.cold + TP_PRR_OUT]!;
  } else {
    const behind = words[tp.cold + TP_PRR_DELIVERED]! - words[tp.cold + TP_PRR_OUT]!;
    count = behind > newly ? behind : newly;
    if (advanced && newlyLost === 0) count++;
    if (count > delta) count = delta;
  }
  // The first retransmission always goes.
  const least = words[tp.cold + TP_PRR_OUT] !== 0 ? 0 : 1;
  if (count < least) count = least;
  tp.sndCwnd = inFlight + count;
}

/** The reduction is complete, unless it was undone. Linux: tcp_end_cwnd_reduction(). */
export function tcpEndCwndReduction(sk: TcpSk): void {
  const tp = sk.tp;
  if (tp.sndSsthresh < TCP_INFINITE_SSTHRESH && (sk.icsk.caState === TCP_CA_CWR || words[tp.cold + TP_UNDO_MARKER] !== 0)) {
    tp.sndCwnd = tp.sndSsthresh;
    words[tp.cold + TP_SND_CWND_STAMP] = jiffies;
  }
  tcpCaEvent(sk, CA_EVENT_COMPLETE_CWR);
}

/** A queue of this host dropped a segment, or a router marked one: congestion without loss. Linux: tcp_enter_cwr(). */
export function tcpEnterCwr(sk: TcpSk): void {
  const tp = sk.tp;
  words[tp.cold + TP_PRIOR_SSTHRESH] = 0;
  if (sk.icsk.caState >= TCP_CA_CWR) return;
  words[tp.cold + TP_UNDO_MARKER] = 0;
  tcpInitCwndReduction(sk);
  tcpSetCaState(sk, TCP_CA_CWR);
}
