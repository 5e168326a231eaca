/**
 * CUBIC, the default congestion control: after a loss the window grows along a cubic curve that is flat around the window of that
 * loss, and never slower than Reno would; HyStart ends slow start before the first loss. Linux: net/ipv4/tcp_cubic.c. Read first:
 * RFC 9438; Ha and Rhee, "Taming the elephants: new TCP slow start" (2011), RFC 9406.
 *
 * Everything is integer arithmetic, as in Linux, with times in ms; its state is a few words of the cold row (ICSK_CA_PRIV). Products may leave
 * 32 bits, and are then exact as doubles (they stay below 2^53) or of a magnitude that the limits make irrelevant.
 */
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import {
  LINUX_MIB_TCPHYSTARTDELAYCWND, LINUX_MIB_TCPHYSTARTDELAYDETECT, LINUX_MIB_TCPHYSTARTTRAINCWND,
  LINUX_MIB_TCPHYSTARTTRAINDETECT,
} from "../../uapi/snmp.ts";
import { TCP_CA_LOSS } from "../../uapi/tcp.ts";
import { CA_PRIV_WORDS, ICSK_CA_PRIV } from "./tcp-cold.ts";
import {
  CA_EVENT_TX_START, type TcpCongestionOps, tcpCongAvoidAi, tcpIsCwndLimited, tcpSlowStart,
} from "./tcp-cong.ts";
import { RTT_UNKNOWN, type TcpSk } from "./tcp-sock.ts";

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

/** Words of ICSK_CA_PRIV. */
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
  const ca = sk.tp.cold + ICSK_CA_PRIV;
  words[ca + ROUND_START] = words[ca + LAST_ACK] = jiffies;
  words[ca + END_SEQ] = sk.tp.sndNxt;
  words[ca + CURR_RTT] = RTT_UNKNOWN;
  words[ca + SAMPLE_CNT] = 0;
}

/** Everything as at the start. Linux: bictcp_reset(). */
function cubicReset(ca: number): void {
  words.fill(0, ca, ca + CA_PRIV_WORDS);
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
  const ca = sk.tp.cold + ICSK_CA_PRIV;
  const now = jiffies;
  words[ca + ACK_CNT]! += acked;
  if (words[ca + LAST_CWND] === cwnd && ((now - words[ca + LAST_TIME]!) | 0) <= UPDATE_MS) return;
  if (words[ca + EPOCH_ON] === 0 || now !== words[ca + LAST_TIME]) cubicCurve(ca, cwnd, acked, now);
  renoFriendly(ca, cwnd);
  if (words[ca + CNT]! < 2) words[ca + CNT] = 2;
}

/** The curve's answer. */
function cubicCurve(ca: number, cwnd: number, acked: number, now: number): void {
  words[ca + LAST_CWND] = cwnd;
  words[ca + LAST_TIME] = now;
  if (words[ca + EPOCH_ON] === 0) {
    words[ca + EPOCH_ON] = 1;
    words[ca + EPOCH_START] = now;
    words[ca + ACK_CNT] = acked;
    words[ca + TCP_CWND] = cwnd;
    const above = words[ca + LAST_MAX_CWND]! - cwnd;
    words[ca + K] = above <= 0 ? 0 : cubicRoot(CUBE_FACTOR * above);
    words[ca + ORIGIN_POINT] = above <= 0 ? cwnd : words[ca + LAST_MAX_CWND]!;
  }
  // Where the curve will be one round trip from now; t and K in 1/1024 s.
  const t = Math.floor((((now - words[ca + EPOCH_START]!) | 0) + words[ca + DELAY_MIN]!) * 1.024);
  const off = Math.abs(t - words[ca + K]!);
  const delta = Math.floor((BIC_SCALE * 10 * off * off * off) / 2 ** 40);
  const target = t < words[ca + K]! ? words[ca + ORIGIN_POINT]! - delta : words[ca + ORIGIN_POINT]! + delta;
  let count = target > cwnd ? (cwnd / (target - cwnd)) | 0 : 100 * cwnd;
  // The first flat part: not slower than 5 % per round trip.
  if (words[ca + LAST_MAX_CWND] === 0 && count > 20) count = 20;
  words[ca + CNT] = count;
}

/** Reno's window grows along with ours; when it is larger it is followed (RFC 9438 section 4.3). */
function renoFriendly(ca: number, cwnd: number): void {
  const delta = (cwnd * RENO_SCALE) >> 3;
  if (delta > 0) {
    const grown = (words[ca + ACK_CNT]! / delta) | 0;
    // Linux subtracts while more than delta is left, so that an exact multiple waits.
    const steps = grown > 0 && grown * delta === words[ca + ACK_CNT] ? grown - 1 : grown;
    words[ca + ACK_CNT]! -= steps * delta;
    words[ca + TCP_CWND]! += steps;
  }
  const ahead = words[ca + TCP_CWND]! - cwnd;
  if (ahead <= 0) return;
  const most = (cwnd / ahead) | 0;
  if (words[ca + CNT]! > most) words[ca + CNT] = most;
}

/** Slow start ends here. */
function hystartFound(sk: TcpSk, detect: number, window: number): void {
  const tp = sk.tp;
  const mib = sk.net.mib;
  words[sk.tp.cold + ICSK_CA_PRIV + FOUND] = 1;
  mib[detect]!++;
  mib[window]! += tp.sndCwnd;
  tp.sndSsthresh = tp.sndCwnd;
}

/** Looks at the spacing of ACKs and at the delay for signs that the path is full. Linux: hystart_update(). */
function hystartUpdate(sk: TcpSk, delay: number): void {
  const tp = sk.tp;
  const ca = sk.tp.cold + ICSK_CA_PRIV;
  if (((tp.sndUna - words[ca + END_SEQ]!) | 0) > 0) hystartReset(sk);
  const now = jiffies;
  const delayMin = words[ca + DELAY_MIN]!;
  if (((now - words[ca + LAST_ACK]!) | 0) <= HYSTART_ACK_DELTA) {
    words[ca + LAST_ACK] = now;
    // Without pacing a train of half the round trip fills the path; 1 ms is granted for what the sender itself holds up.
    if (((now - words[ca + ROUND_START]!) | 0) > (delayMin + HYSTART_ACK_DELAY) >> 1) {
      hystartFound(sk, LINUX_MIB_TCPHYSTARTTRAINDETECT, LINUX_MIB_TCPHYSTARTTRAINCWND);
      return;
    }
  }
  if (delay < words[ca + CURR_RTT]!) words[ca + CURR_RTT] = delay;
  if (words[ca + SAMPLE_CNT]! < HYSTART_MIN_SAMPLES) {
    words[ca + SAMPLE_CNT]!++;
    return;
  }
  let rise = delayMin >> 3;
  if (rise < HYSTART_DELAY_MIN) rise = HYSTART_DELAY_MIN;
  if (rise > HYSTART_DELAY_MAX) rise = HYSTART_DELAY_MAX;
  if (words[ca + CURR_RTT]! > delayMin + rise) {
    hystartFound(sk, LINUX_MIB_TCPHYSTARTDELAYDETECT, LINUX_MIB_TCPHYSTARTDELAYCWND);
  }
}

export const tcpCubic: TcpCongestionOps = Object.freeze({
  name: "cubic",
  init(sk: TcpSk): void {
    cubicReset(sk.tp.cold + ICSK_CA_PRIV);
    hystartReset(sk);
  },
  ssthresh(sk: TcpSk): number {
    const ca = sk.tp.cold + ICSK_CA_PRIV;
    const cwnd = sk.tp.sndCwnd;
    words[ca + EPOCH_ON] = 0;
    // Fast convergence: a window below the last maximum makes room for newcomers.
    words[ca + LAST_MAX_CWND] = cwnd < words[ca + LAST_MAX_CWND]! ? ((cwnd * (BETA_SCALE + BETA)) / (2 * BETA_SCALE)) | 0 : cwnd;
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
    tcpCongAvoidAi(tp, words[sk.tp.cold + ICSK_CA_PRIV + CNT]!, left);
  },
  setState(sk: TcpSk, newState: number): void {
    if (newState !== TCP_CA_LOSS) return;
    cubicReset(sk.tp.cold + ICSK_CA_PRIV);
    hystartReset(sk);
  },
  cwndEvent(sk: TcpSk, event: number): void {
    if (event !== CA_EVENT_TX_START) return;
    const ca = sk.tp.cold + ICSK_CA_PRIV;
    const idle = (jiffies - sk.tp.lsndtime) | 0;
    // Time without sending does not count on the curve.
    if (words[ca + EPOCH_ON] !== 0 && idle > 0) {
      words[ca + EPOCH_START] = words[ca + EPOCH_START]! + idle;
      if (((words[ca + EPOCH_START]! - jiffies) | 0) > 0) words[ca + EPOCH_START] = jiffies;
    }
  },
  pktsAcked(sk: TcpSk, _acked: number, rttMs: number): void {
    if (rttMs < 0) return;
    const ca = sk.tp.cold + ICSK_CA_PRIV;
    const now = jiffies;
    if (words[ca + EPOCH_ON] !== 0 && ((now - words[ca + EPOCH_START]!) | 0) < 1000) return;
    const delay = rttMs === 0 ? 1 : rttMs;
    if (words[ca + DELAY_MIN] === 0 || delay < words[ca + DELAY_MIN]!) words[ca + DELAY_MIN] = delay;
    const tp = sk.tp;
    if (words[ca + FOUND] === 0 && tp.sndCwnd < tp.sndSsthresh && tp.sndCwnd >= HYSTART_LOW_WINDOW) hystartUpdate(sk, delay);
  },
});
