/**
 * Congestion control: the pluggable part, its registry, what all algorithms share, and Reno. Linux: net/ipv4/tcp_cong.c.
 * Read first: RFC 5681 (slow start, congestion avoidance), RFC 3465 (counting bytes), RFC 2861 (after idle periods).
 * An algorithm owns sndCwnd while nothing is lost (`congAvoid`) and sndSsthresh at each loss (`ssthresh`); windows are in segments.
 */
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import { EEXIST, ENOENT } from "../../uapi/errno.ts";
import { TCP_CA_CWR, TCP_CA_OPEN, TCP_CA_RECOVERY, TCPF_CLOSE, TCPF_LISTEN } from "../../uapi/tcp.ts";
import type { Net } from "../core/net.ts";
import { SOCK_CA_SETSOCKOPT } from "../core/sock.ts";
import {
  TP_MAX_PACKETS_OUT, TP_MAX_PACKETS_SEQ, TP_SND_CWND_CLAMP, TP_SND_CWND_CNT, TP_SND_CWND_STAMP, TP_SND_CWND_USED,
} from "./tcp-cold.ts";
import type { TcpSk, TcpSock } from "./tcp-sock.ts";

/** Initial window in segments (RFC 6928). */
export const TCP_INIT_CWND = 10;
/** "No threshold yet": slow start goes on until the first loss. */
export const TCP_INFINITE_SSTHRESH = 0x7fffffff;

/** Events told to an algorithm (enum tcp_ca_event). */
export const CA_EVENT_TX_START = 0;
export const CA_EVENT_CWND_RESTART = 1;
export const CA_EVENT_COMPLETE_CWR = 2;
export const CA_EVENT_LOSS = 3;


/** One algorithm. Linux: struct tcp_congestion_ops. */
export interface TcpCongestionOps {
  readonly name: string;
  /** The connection is established, or has just chosen this algorithm. */
  init?(sk: TcpSk): void;
  /** The new slow start threshold after a loss. */
  ssthresh(sk: TcpSk): number;
  /** Grows the window: `ack` acknowledged `acked` segments. */
  congAvoid(sk: TcpSk, ack: number, acked: number): void;
  /** The state is about to become TCP_CA_*. */
  setState?(sk: TcpSk, newState: number): void;
  /** CA_EVENT_* */
  cwndEvent?(sk: TcpSk, event: number): void;
  /** `acked` segments left the queue; the round trip took `rttMs`, -1 when unknown. */
  pktsAcked?(sk: TcpSk, acked: number, rttMs: number): void;
}

let algorithms: TcpCongestionOps[];

/** Boot: Reno is known, and what is registered after. */
export function tcpCongInit(): void {
  algorithms = [];
  algorithms.push(tcpReno);
}

/** Makes an algorithm known by its name: 0 or -EEXIST. Boot time. Linux: tcp_register_congestion_control(). */
export function tcpRegisterCongestionControl(ops: TcpCongestionOps): number {
  for (let i = 0; i < algorithms.length; i++) if (algorithms[i]!.name === ops.name) return -EEXIST;
  algorithms.push(ops);
  return 0;
}

function nameEquals(name: string, bytes: Uint8Array | Int32Array): boolean {
  const length = name.length;
  if (bytes.length < length) return false;
  for (let i = 0; i < length; i++) if (name.charCodeAt(i) !== bytes[i]) return false;
  return bytes.length === length || bytes[length] === 0;
}

/**
 * Chooses an algorithm by name (ASCII, ended by 0 or the end of the array): 0 or -ENOENT. Linux: tcp_set_congestion_control().
 */
export function tcpSetCongestionControl(sk: TcpSk, name: Uint8Array | Int32Array): number {
  for (let i = 0; i < algorithms.length; i++) {
    const ops = algorithms[i]!;
    if (!nameEquals(ops.name, name)) continue;
    sk.flags |= SOCK_CA_SETSOCKOPT;
    if (sk.icsk.caOps !== ops) {
      sk.icsk.caOps = ops;
      if (((1 << sk.state) & (TCPF_CLOSE | TCPF_LISTEN)) === 0) ops.init?.(sk);
    }
    return 0;
  }
  return -ENOENT;
}

/** A new sock has the algorithm of its namespace. Linux: tcp_assign_congestion_control(). */
export function tcpAssignCongestionControl(sk: TcpSk): void {
  const name = sk.net.ipv4.tcpCongestionControl;
  let i = algorithms.length - 1;
  while (i > 0 && algorithms[i]!.name !== name) i--;
  sk.icsk.caOps = algorithms[i]!;
}

/** Sets net.ipv4.tcp_congestion_control: 0, or -ENOENT for one not known. Linux: tcp_set_default_congestion_control(). */
export function tcpSetDefaultCongestionControl(net: Net, name: string): number {
  for (let i = 0; i < algorithms.length; i++) {
    if (algorithms[i]!.name !== name) continue;
    net.ipv4.tcpCongestionControl = name;
    return 0;
  }
  return -ENOENT;
}

/** The one way to change icsk.caState. */
export function tcpSetCaState(sk: TcpSk, state: number): void {
  const icsk = sk.icsk;
  if (icsk.caState === state) return;
  icsk.caOps.setState?.(sk, state);
  icsk.caState = state;
}

/** Tells the algorithm. Linux: tcp_ca_event(). */
export function tcpCaEvent(sk: TcpSk, event: number): void {
  sk.icsk.caOps.cwndEvent?.(sk, event);
}

/** Segments believed to be in the network. Linux: tcp_packets_in_flight(). */
export function tcpPacketsInFlight(tp: TcpSock): number {
  return tp.packetsOut - tp.sackedOut - tp.lostOut + tp.retransOut;
}

/** CWR or Recovery: the window is being reduced. */
export function tcpInCwndReduction(sk: TcpSk): boolean {
  const state = sk.icsk.caState;
  return state === TCP_CA_CWR || state === TCP_CA_RECOVERY;
}

/** The threshold as it would be kept over an idle period. Linux: tcp_current_ssthresh(). */
export function tcpCurrentSsthresh(sk: TcpSk): number {
  const tp = sk.tp;
  if (tcpInCwndReduction(sk)) return tp.sndSsthresh;
  const cwnd = tp.sndCwnd;
  const kept = (cwnd >> 1) + (cwnd >> 2);
  return kept > tp.sndSsthresh ? kept : tp.sndSsthresh;
}

/**
 * Does the window limit what is sent? Growth is only earned then (RFC 7661's aim). In slow start a window twice what was in
 * use is let grow. Linux: tcp_is_cwnd_limited().
 */
export function tcpIsCwndLimited(tp: TcpSock): boolean {
  if (tp.isCwndLimited) return true;
  return tp.sndCwnd < tp.sndSsthresh && tp.sndCwnd < words[tp.cold + TP_MAX_PACKETS_OUT]! << 1;
}

/** Slow start: one segment for each acknowledged; returns how many `acked` are left beyond the threshold. */
export function tcpSlowStart(tp: TcpSock, acked: number): number {
  let cwnd = tp.sndCwnd + acked;
  if (cwnd > tp.sndSsthresh) cwnd = tp.sndSsthresh;
  const left = acked - (cwnd - tp.sndCwnd);
  tp.sndCwnd = cwnd < words[tp.cold + TP_SND_CWND_CLAMP]! ? cwnd : words[tp.cold + TP_SND_CWND_CLAMP]!;
  return left;
}

/** Congestion avoidance: one segment for every `w` acknowledged. Linux: tcp_cong_avoid_ai(). */
export function tcpCongAvoidAi(tp: TcpSock, w: number, acked: number): void {
  let cwnd = tp.sndCwnd;
  let count = words[tp.cold + TP_SND_CWND_CNT]!;
  if (count >= w) {
    count = 0;
    cwnd++;
  }
  count += acked;
  if (count >= w) {
    const more = (count / w) | 0;
    count -= more * w;
    cwnd += more;
  }
  words[tp.cold + TP_SND_CWND_CNT] = count;
  tp.sndCwnd = cwnd < words[tp.cold + TP_SND_CWND_CLAMP]! ? cwnd : words[tp.cold + TP_SND_CWND_CLAMP]!;
}

/** Reno (RFC 5681 section 3): half the window at a loss, one segment more per round trip. */
export const tcpReno: TcpCongestionOps = Object.freeze({
  name: "reno",
  ssthresh(sk: TcpSk): number {
    const half = sk.tp.sndCwnd >> 1;
    return half > 2 ? half : 2;
  },
  congAvoid(sk: TcpSk, _ack: number, acked: number): void {
    const tp = sk.tp;
    if (!tcpIsCwndLimited(tp)) return;
    let left = acked;
    if (tp.sndCwnd < tp.sndSsthresh) {
      left = tcpSlowStart(tp, left);
      if (left === 0) return;
    }
    tcpCongAvoidAi(tp, tp.sndCwnd, left);
  },
});

/** The initial window. Linux: tcp_init_cwnd(). */
export function tcpInitCwnd(tp: TcpSock): number {
  return words[tp.cold + TP_SND_CWND_CLAMP]! < TCP_INIT_CWND ? words[tp.cold + TP_SND_CWND_CLAMP]! : TCP_INIT_CWND;
}

/**
 * After `idleMs` without sending the window says nothing about the path any more: it halves for each RTO, down to the initial
 * one (RFC 2861, RFC 5681 section 4.1). Linux: tcp_cwnd_restart().
 */
function tcpCwndRestart(sk: TcpSk, idleMs: number): void {
  const tp = sk.tp;
  const rto = sk.icsk.rto;
  let cwnd = tp.sndCwnd;
  const initial = tcpInitCwnd(tp);
  const restart = initial < cwnd ? initial : cwnd;
  tcpCaEvent(sk, CA_EVENT_CWND_RESTART);
  tp.sndSsthresh = tcpCurrentSsthresh(sk);
  for (let idle = idleMs - rto; idle > 0 && cwnd > restart; idle -= rto) cwnd >>= 1;
  tp.sndCwnd = cwnd > restart ? cwnd : restart;
  words[tp.cold + TP_SND_CWND_STAMP] = jiffies;
  words[tp.cold + TP_SND_CWND_USED] = 0;
}

/** Called before data is queued: restarts the window when nothing was sent for longer than the RTO. */
export function tcpSlowStartAfterIdleCheck(sk: TcpSk): void {
  const tp = sk.tp;
  if (tp.packetsOut !== 0 || sk.net.ipv4.tcpSlowStartAfterIdle === 0) return;
  const idle = (jiffies - tp.lsndtime) | 0;
  if (idle > sk.icsk.rto) tcpCwndRestart(sk, idle);
}

/** Nobody used the whole window for an RTO: keep no more than the half above what was used. Linux: tcp_cwnd_application_limited(). */
function tcpCwndApplicationLimited(sk: TcpSk): void {
  const tp = sk.tp;
  const socket = sk.socket;
  if (sk.icsk.caState === TCP_CA_OPEN && socket !== null && !socket.noSpace) {
    const initial = tcpInitCwnd(tp);
    const used = words[tp.cold + TP_SND_CWND_USED]! > initial ? words[tp.cold + TP_SND_CWND_USED]! : initial;
    if (used < tp.sndCwnd) {
      tp.sndSsthresh = tcpCurrentSsthresh(sk);
      tp.sndCwnd = (tp.sndCwnd + used) >> 1;
    }
  }
  words[tp.cold + TP_SND_CWND_USED] = 0;
  words[tp.cold + TP_SND_CWND_STAMP] = jiffies;
}

/** After sending: remembers how much of the window was in use in this round trip. Linux: tcp_cwnd_validate(). */
export function tcpCwndValidate(sk: TcpSk, isCwndLimited: boolean): void {
  const tp = sk.tp;
  const cold = tp.cold;
  const out = tp.packetsOut;
  const newRound = ((tp.sndUna - words[cold + TP_MAX_PACKETS_SEQ]!) | 0) >= 0;
  if (newRound || isCwndLimited || (!tp.isCwndLimited && out > words[cold + TP_MAX_PACKETS_OUT]!)) {
    tp.isCwndLimited = isCwndLimited;
    words[cold + TP_MAX_PACKETS_OUT] = out;
    words[cold + TP_MAX_PACKETS_SEQ] = tp.sndNxt;
  }
  if (tcpIsCwndLimited(tp)) {
    words[cold + TP_SND_CWND_USED] = 0;
    words[cold + TP_SND_CWND_STAMP] = jiffies;
    return;
  }
  if (out > words[cold + TP_SND_CWND_USED]!) words[cold + TP_SND_CWND_USED] = out;
  if (sk.net.ipv4.tcpSlowStartAfterIdle !== 0 && ((jiffies - words[cold + TP_SND_CWND_STAMP]!) | 0) >= sk.icsk.rto) {
    tcpCwndApplicationLimited(sk);
  }
}
