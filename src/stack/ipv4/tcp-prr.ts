/**
 * The congestion window while losses are repaired: proportional rate reduction. Linux: tcp_init_cwnd_reduction(),
 * tcp_cwnd_reduction() and tcp_end_cwnd_reduction() of net/ipv4/tcp_input.c. Read first: RFC 6937.
 */
import { jiffies } from "../../lib/timer.ts";
import { TCP_CA_CWR } from "../../uapi/tcp.ts";
import {
  CA_EVENT_COMPLETE_CWR, TCP_INFINITE_SSTHRESH, tcpCaEvent, tcpPacketsInFlight, tcpSetCaState,
} from "./tcp-cong.ts";
import { tcpEcnQueueCwr } from "./tcp-ecn.ts";
import type { TcpSk } from "./tcp-sock.ts";

/** A window reduction begins: PRR lets it shrink to the new threshold over one round trip. Linux: tcp_init_cwnd_reduction(). */
export function tcpInitCwndReduction(sk: TcpSk): void {
  const tp = sk.tp;
  tp.highSeq = tp.sndNxt;
  tp.rec.tlpHighSeq = 0;
  tp.sndCwndCnt = 0;
  tp.priorCwnd = tp.sndCwnd;
  tp.prrDelivered = tp.prrOut = 0;
  tp.sndSsthresh = sk.icsk.caOps.ssthresh(sk);
  tcpEcnQueueCwr(tp);
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

/** The reduction is complete, unless it was undone. Linux: tcp_end_cwnd_reduction(). */
export function tcpEndCwndReduction(sk: TcpSk): void {
  const tp = sk.tp;
  if (tp.sndSsthresh < TCP_INFINITE_SSTHRESH && (sk.icsk.caState === TCP_CA_CWR || tp.rec.undoMarker !== 0)) {
    tp.sndCwnd = tp.sndSsthresh;
    tp.sndCwndStamp = jiffies;
  }
  tcpCaEvent(sk, CA_EVENT_COMPLETE_CWR);
}

/** A queue of this host dropped a segment, or a router marked one: congestion without loss. Linux: tcp_enter_cwr(). */
export function tcpEnterCwr(sk: TcpSk): void {
  const tp = sk.tp;
  tp.rec.priorSsthresh = 0;
  if (sk.icsk.caState >= TCP_CA_CWR) return;
  tp.rec.undoMarker = 0;
  tcpInitCwndReduction(sk);
  tcpSetCaState(sk, TCP_CA_CWR);
}
