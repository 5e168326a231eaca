/**
 * Segments leave no faster than the program allows (SO_MAX_PACING_RATE). Linux: tcp_update_pacing_rate() of net/ipv4/tcp_input.c,
 * tcp_pacing_check() and tcp_update_skb_after_send() of net/ipv4/tcp_output.c. Owns the pacing timer, and the words that say when the
 * next segment may leave.
 *
 * Linux leaves pacing to the queueing discipline fq where it is there, and does it itself otherwise; here it is always TCP's, and
 * only while a limit is set. The clock counts milliseconds: a segment may leave within the millisecond that it is due in, and what
 * that is too early counts for the next one, so that the rate holds.
 */
import { words } from "../../lib/table.ts";
import { jiffies, modTimer } from "../../lib/timer.ts";
import { TCPF_CLOSE, TCPF_LISTEN, TCPF_SYN_RECV, TCPF_SYN_SENT } from "../../uapi/tcp.ts";
import { SK_MAX_PACING_RATE, SK_PACING_UNLIMITED, sockByIndex } from "../core/sock.ts";
import { TP_DATA_SEGS_OUT, TP_PACING_MS, TP_PACING_TIMER, TP_PACING_US } from "./tcp-cold.ts";
import { tcpPushPendingFrames } from "./tcp-output.ts";
import type { TcpPacingOps } from "./tcp-parts.ts";
import { tcpXmitRetransmitQueue } from "./tcp-retransmit.ts";
import type { TcpSk } from "./tcp-sock.ts";
import { tcpCurrentMss } from "./tcp-window.ts";

/** Percent of the window per round trip that is paced in slow start, and later (net.ipv4.tcp_pacing_ss_ratio, tcp_pacing_ca_ratio). */
const PACING_SS_RATIO = 200;
const PACING_CA_RATIO = 120;
/** The first segments of a connection are not paced. */
const UNPACED_SEGMENTS = 10;
const US_PER_MS = 1000;
const US_PER_S = 1_000_000;
/** A full segment at one byte a second. */
const MAX_WAIT_MS = 65535 * 1000;
/** When the sock is in a call, or the pool is empty, the timer looks again so soon. */
const RETRY_MS = 1;

/** The most that the program allows, in bytes per second; Infinity for no limit. */
export function tcpMaxPacingRate(sk: TcpSk): number {
  const most = words[sk.cold + SK_MAX_PACING_RATE]!;
  return most === SK_PACING_UNLIMITED ? Infinity : most >>> 0;
}

/**
 * Bytes per second at which Linux would pace: what the window sends in a round trip, and more, so that it can grow, but no more than
 * the program allows. Infinity when neither says anything: before there is a connection.
 */
export function tcpPacingRate(sk: TcpSk): number {
  const most = tcpMaxPacingRate(sk);
  if (((1 << sk.state) & (TCPF_CLOSE | TCPF_LISTEN | TCPF_SYN_SENT | TCPF_SYN_RECV)) !== 0) return most;
  const tp = sk.tp;
  const percent = tp.sndCwnd < tp.sndSsthresh >> 1 ? PACING_SS_RATIO : PACING_CA_RATIO;
  const segments = tp.sndCwnd > tp.packetsOut ? tp.sndCwnd : tp.packetsOut;
  const window = tp.mssCache * segments * percent * 80000;
  const rate = tp.srtt === 0 ? window : Math.floor(window / (tp.srtt * 1000));
  return rate < most ? rate : most;
}

/** Must the next segment wait? Then the timer sends it. Linux: tcp_pacing_check(). */
function tcpPacingCheck(sk: TcpSk): boolean {
  if (words[sk.cold + SK_MAX_PACING_RATE] === SK_PACING_UNLIMITED) return false;
  const cold = sk.tp.cold;
  const wait = (words[cold + TP_PACING_MS]! - jiffies) | 0;
  // So long waits no segment: it is weeks since the last one left, and the clock has gone round.
  if (wait <= 0 || wait > MAX_WAIT_MS) return false;
  modTimer(cold + TP_PACING_TIMER, (jiffies + wait) | 0);
  return true;
}

/** A segment with so many bytes of data has left, and with a limit: when may the next one? Linux: tcp_update_skb_after_send(). */
function tcpPacingSent(sk: TcpSk, length: number): void {
  const cold = sk.tp.cold;
  let ms = words[cold + TP_PACING_MS]!;
  let us = words[cold + TP_PACING_US]!;
  const late = (jiffies - ms) | 0;
  if (late > 0 || late < -MAX_WAIT_MS) {
    ms = jiffies;
    us = 0;
  }
  const rate = tcpPacingRate(sk);
  if (rate !== 0 && words[cold + TP_DATA_SEGS_OUT]! >= UNPACED_SEGMENTS) {
    let time = Math.floor((length * US_PER_S) / rate);
    // Half of the time may be made up for by the lateness of the segment.
    if (late > 0) time -= Math.min(time >> 1, late * US_PER_MS);
    us += time;
    const whole = Math.floor(us / US_PER_MS);
    ms = (ms + whole) | 0;
    us -= whole * US_PER_MS;
  }
  words[cold + TP_PACING_MS] = ms;
  words[cold + TP_PACING_US] = us;
}

/** The time of the next segment has come. Linux: tcp_pace_kick(), tcp_tsq_write(). */
function tcpPacingTimer(index: number): void {
  const sk = sockByIndex(index) as TcpSk;
  if (sk.owned) {
    modTimer(sk.tp.cold + TP_PACING_TIMER, (jiffies + RETRY_MS) | 0);
    return;
  }
  if (((1 << sk.state) & (TCPF_CLOSE | TCPF_LISTEN | TCPF_SYN_SENT | TCPF_SYN_RECV)) !== 0) return;
  if (sk.tp.lostOut > sk.tp.retransOut) tcpXmitRetransmitQueue(sk);
  if (sk.sendHead !== null) tcpPushPendingFrames(sk, tcpCurrentMss(sk), sk.tp.nonagle);
}

/** What the rest of TCP finds of it, in tcp-parts.ts. */
export const tcpPacingOps: TcpPacingOps = Object.freeze({ check: tcpPacingCheck, sent: tcpPacingSent, kick: tcpPacingTimer });
