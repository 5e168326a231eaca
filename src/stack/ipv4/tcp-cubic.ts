/**
 * CUBIC, the default congestion control: after a loss the window grows along a cubic curve that is flat around the window of that
 * loss, and never slower than Reno would; HyStart ends slow start before the first loss. Linux: net/ipv4/tcp_cubic.c. Read first:
 * RFC 9438; Ha and Rhee, "Taming the elephants: new TCP slow start" (2011), RFC 9406.
 *
 * Everything is integer arithmetic, as in Linux, with times in ms; its state is a few words of `icsk.caPriv`. Products may leave
 * 32 bits, and are then exact as doubles (they stay below 2^53) or of a magnitude that the limits make irrelevant.
 */
import { jiffies } from "../../lib/timer.ts";
import {
  LINUX_MIB_TCPHYSTARTDELAYCWND, LINUX_MIB_TCPHYSTARTDELAYDETECT, LINUX_MIB_TCPHYSTARTTRAINCWND,
  LINUX_MIB_TCPHYSTARTTRAINDETECT,
} from "../../uapi/snmp.ts";
import { TCP_CA_LOSS } from "../../uapi/tcp.ts";
import {
  CA_EVENT_TX_START, CA_PRIV_WORDS, type TcpCongestionOps, tcpCongAvoidAi, tcpIsCwndLimited, tcpSlowStart,
} from "./tcp-cong.ts";
import { RTT_UNKNOWN } from "./tcp-recovery-state.ts";
import type { TcpSk } from "./tcp-sock.ts";

/** The window after a loss is 717/1024 of the one before: about 0.7. */
const BETA = 717;
const BETA_SCALE = 1024;
/** C of RFC 9438 as 41/1024: 0.4 with time in units of 1/1024 s cubed. */
const BIC_SCALE = 41;
/** Acknowledged segments per window while Reno would be faster: 8 (1024 + 717) / 3 (1024 - 717), times 8. */
const RENO_SCALE = ((8 * (BETA_SCALE + BETA)) / 3 / (BETA_SCALE - BETA)) | 0;
/** cubeFactor / distance = (time to the origin)^3, in units of 1/1024 s: 2^40 / 410. */
const CUBE_FACTOR = 2 ** 40 / (BIC_SCALE * 10);
/** The curve is looked at once in 1/32 s as long as the window is the same. */
const UPDATE_MS = 31;

/** HyStart: not below this window; ACKs closer than this, in ms, are one train; samples of the delay in each round. */
const HYSTART_LOW_WINDOW = 16;
const HYSTART_ACK_DELTA = 2;
/** Most time, in ms, by which a sender's own batching may delay an ACK. Linux: hystart_ack_delay(). */
const HYSTART_ACK_DELAY = 1;
const HYSTART_MIN_SAMPLES = 8;
/** Bounds of the rise in delay that ends slow start, in ms. */
const HYSTART_DELAY_MIN = 4;
const HYSTART_DELAY_MAX = 16;

/** Words of icsk.caPriv. */
const CNT = 0;
const LAST_MAX_CWND = 1;
const LAST_CWND = 2;
const LAST_TIME = 3;
const ORIGIN_POINT = 4;
const K = 5;
const DELAY_MIN = 6;
/** When the curve began; valid while EPOCH_ON. */
const EPOCH_START = 7;
const EPOCH_ON = 8;
const ACK_CNT = 9;
const TCP_CWND = 10;
const FOUND = 11;
const ROUND_START = 12;
const END_SEQ = 13;
const LAST_ACK = 14;
const CURR_RTT = 15;
const SAMPLE_CNT = 16;
/** A round of HyStart begins: until what is in flight now is acknowledged. */
function hystartReset(sk: TcpSk): void {
  const ca = sk.icsk.caPriv;
  ca[ROUND_START] = ca[LAST_ACK] = jiffies;
  ca[END_SEQ] = sk.tp.sndNxt;
  ca[CURR_RTT] = RTT_UNKNOWN;
  ca[SAMPLE_CNT] = 0;
}

/** Everything as at the start. Linux: bictcp_reset(). */
function cubicReset(ca: Int32Array): void {
  for (let i = 0; i < CA_PRIV_WORDS; i++) ca[i] = 0;
}

/** The whole part of the cube root of a number below 2^53. */
export function cubicRoot(a: number): number {
  let root = Math.cbrt(a) | 0;
  while ((root + 1) * (root + 1) * (root + 1) <= a) root++;
  while (root * root * root > a) root--;
  return root;
}

/** Sets how many segments must be acknowledged for the window to grow by one. Linux: bictcp_update(). */
function cubicUpdate(sk: TcpSk, cwnd: number, acked: number): void {
  const ca = sk.icsk.caPriv;
  const now = jiffies;
  ca[ACK_CNT]! += acked;
  if (ca[LAST_CWND] === cwnd && ((now - ca[LAST_TIME]!) | 0) <= UPDATE_MS) return;
  if (ca[EPOCH_ON] === 0 || now !== ca[LAST_TIME]) cubicCurve(ca, cwnd, acked, now);
  renoFriendly(ca, cwnd);
  if (ca[CNT]! < 2) ca[CNT] = 2;
}

/** The curve's answer. */
function cubicCurve(ca: Int32Array, cwnd: number, acked: number, now: number): void {
  ca[LAST_CWND] = cwnd;
  ca[LAST_TIME] = now;
  if (ca[EPOCH_ON] === 0) {
    ca[EPOCH_ON] = 1;
    ca[EPOCH_START] = now;
    ca[ACK_CNT] = acked;
    ca[TCP_CWND] = cwnd;
    const above = ca[LAST_MAX_CWND]! - cwnd;
    ca[K] = above <= 0 ? 0 : cubicRoot(CUBE_FACTOR * above);
    ca[ORIGIN_POINT] = above <= 0 ? cwnd : ca[LAST_MAX_CWND]!;
  }
  // Where the curve will be one round trip from now; t and K in 1/1024 s.
  const t = Math.floor((((now - ca[EPOCH_START]!) | 0) + ca[DELAY_MIN]!) * 1.024);
  const off = Math.abs(t - ca[K]!);
  const delta = Math.floor((BIC_SCALE * 10 * off * off * off) / 2 ** 40);
  const target = t < ca[K]! ? ca[ORIGIN_POINT]! - delta : ca[ORIGIN_POINT]! + delta;
  let count = target > cwnd ? (cwnd / (target - cwnd)) | 0 : 100 * cwnd;
  // The first flat part: not slower than 5 % per round trip.
  if (ca[LAST_MAX_CWND] === 0 && count > 20) count = 20;
  ca[CNT] = count;
}

/** Reno's window grows along with ours; when it is larger it is followed (RFC 9438 section 4.3). */
function renoFriendly(ca: Int32Array, cwnd: number): void {
  const delta = (cwnd * RENO_SCALE) >> 3;
  if (delta > 0) {
    const grown = (ca[ACK_CNT]! / delta) | 0;
    // Linux subtracts while more than delta is left, so that an exact multiple waits.
    const steps = grown > 0 && grown * delta === ca[ACK_CNT] ? grown - 1 : grown;
    ca[ACK_CNT]! -= steps * delta;
    ca[TCP_CWND]! += steps;
  }
  const ahead = ca[TCP_CWND]! - cwnd;
  if (ahead <= 0) return;
  const most = (cwnd / ahead) | 0;
  if (ca[CNT]! > most) ca[CNT] = most;
}

/** Slow start ends here. */
function hystartFound(sk: TcpSk, detect: number, window: number): void {
  const tp = sk.tp;
  const mib = sk.net.mib;
  sk.icsk.caPriv[FOUND] = 1;
  mib[detect]!++;
  mib[window]! += tp.sndCwnd;
  tp.sndSsthresh = tp.sndCwnd;
}

/** Looks at the spacing of ACKs and at the delay for signs that the path is full. Linux: hystart_update(). */
function hystartUpdate(sk: TcpSk, delay: number): void {
  const tp = sk.tp;
  const ca = sk.icsk.caPriv;
  if (((tp.sndUna - ca[END_SEQ]!) | 0) > 0) hystartReset(sk);
  const now = jiffies;
  const delayMin = ca[DELAY_MIN]!;
  if (((now - ca[LAST_ACK]!) | 0) <= HYSTART_ACK_DELTA) {
    ca[LAST_ACK] = now;
    // Without pacing a train of half the round trip fills the path; 1 ms is granted for what the sender itself holds up.
    if (((now - ca[ROUND_START]!) | 0) > (delayMin + HYSTART_ACK_DELAY) >> 1) {
      hystartFound(sk, LINUX_MIB_TCPHYSTARTTRAINDETECT, LINUX_MIB_TCPHYSTARTTRAINCWND);
      return;
    }
  }
  if (delay < ca[CURR_RTT]!) ca[CURR_RTT] = delay;
  if (ca[SAMPLE_CNT]! < HYSTART_MIN_SAMPLES) {
    ca[SAMPLE_CNT]!++;
    return;
  }
  let rise = delayMin >> 3;
  if (rise < HYSTART_DELAY_MIN) rise = HYSTART_DELAY_MIN;
  if (rise > HYSTART_DELAY_MAX) rise = HYSTART_DELAY_MAX;
  if (ca[CURR_RTT]! > delayMin + rise) {
    hystartFound(sk, LINUX_MIB_TCPHYSTARTDELAYDETECT, LINUX_MIB_TCPHYSTARTDELAYCWND);
  }
}

export const tcpCubic: TcpCongestionOps = Object.freeze({
  name: "cubic",
  init(sk: TcpSk): void {
    cubicReset(sk.icsk.caPriv);
    hystartReset(sk);
  },
  ssthresh(sk: TcpSk): number {
    const ca = sk.icsk.caPriv;
    const cwnd = sk.tp.sndCwnd;
    ca[EPOCH_ON] = 0;
    // Fast convergence: a window below the last maximum makes room for newcomers.
    ca[LAST_MAX_CWND] = cwnd < ca[LAST_MAX_CWND]! ? ((cwnd * (BETA_SCALE + BETA)) / (2 * BETA_SCALE)) | 0 : cwnd;
    const reduced = ((cwnd * BETA) / BETA_SCALE) | 0;
    return reduced > 2 ? reduced : 2;
  },
  congAvoid(sk: TcpSk, _ack: number, acked: number): void {
    const tp = sk.tp;
    if (!tcpIsCwndLimited(tp)) return;
    let left = acked;
    if (tp.sndCwnd < tp.sndSsthresh) {
      left = tcpSlowStart(tp, left);
      if (left === 0) return;
    }
    cubicUpdate(sk, tp.sndCwnd, left);
    tcpCongAvoidAi(tp, sk.icsk.caPriv[CNT]!, left);
  },
  setState(sk: TcpSk, newState: number): void {
    if (newState !== TCP_CA_LOSS) return;
    cubicReset(sk.icsk.caPriv);
    hystartReset(sk);
  },
  cwndEvent(sk: TcpSk, event: number): void {
    if (event !== CA_EVENT_TX_START) return;
    const ca = sk.icsk.caPriv;
    const idle = (jiffies - sk.tp.lsndtime) | 0;
    // Time without sending does not count on the curve.
    if (ca[EPOCH_ON] !== 0 && idle > 0) {
      ca[EPOCH_START] = ca[EPOCH_START]! + idle;
      if (((ca[EPOCH_START] - jiffies) | 0) > 0) ca[EPOCH_START] = jiffies;
    }
  },
  pktsAcked(sk: TcpSk, _acked: number, rttMs: number): void {
    if (rttMs < 0) return;
    const ca = sk.icsk.caPriv;
    const now = jiffies;
    if (ca[EPOCH_ON] !== 0 && ((now - ca[EPOCH_START]!) | 0) < 1000) return;
    const delay = rttMs === 0 ? 1 : rttMs;
    if (ca[DELAY_MIN] === 0 || delay < ca[DELAY_MIN]!) ca[DELAY_MIN] = delay;
    const tp = sk.tp;
    if (ca[FOUND] === 0 && tp.sndCwnd < tp.sndSsthresh && tp.sndCwnd >= HYSTART_LOW_WINDOW) hystartUpdate(sk, delay);
  },
});
