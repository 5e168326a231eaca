/**
 * How fast data is delivered: each ACK gives a sample over the flight of the segment it acknowledges that was sent last, from when the
 * ones before it had been delivered. Linux: net/ipv4/tcp_rate.c. Read first: Cheng et al., "Delivery Rate Estimation"
 * (draft-cheng-iccrg-delivery-rate-estimation). Owns a row of words for each sock and each packet buffer, where the option
 * deliveryRates of boot() is 1; nothing here depends on what it finds but TCP_INFO.
 *
 * A sample that spans a time in which the program had nothing to send tells of the program, not of the path: it counts only when it is more
 * than the last. Times are in ms, and a sample shorter than the shortest round trip is none.
 */
import { words, wordTable } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import { type SkBuff, skbBufferNumber } from "../core/skbuff.ts";
import { TP_DELIVERED, TP_MIN_RTT } from "./tcp-cold.ts";
import { tcpPacketsInFlight } from "./tcp-cong.ts";
import type { TcpRateOps } from "./tcp-parts.ts";
import { RTT_UNKNOWN, TCPCB_SACKED_ACKED, type TcpSk, type TcpSock } from "./tcp-sock.ts";

/** Words of a sock: when the flight that is sampled began, and the last delivery; limited by the program up to that many delivered, 0 if not. */
const FIRST_TX = 0;
const DELIVERED_STAMP = 1;
const APP_LIMITED = 2;
/** The rate: segments delivered in so many ms, by the program's limit? */
const RATE_DELIVERED = 3;
const RATE_INTERVAL = 4;
const RATE_APP_LIMITED = 5;
const SOCK_WORDS = 6;

/** Words of a segment as it was when this was sent: both times above; delivered, shifted by a bit that tells of the program's limit. */
const TX_FIRST = 0;
const TX_DELIVERED_STAMP = 1;
const TX_DELIVERED = 2;
const TX_WORDS = 3;
/** TX_DELIVERED of a segment that was delivered before. */
const TX_NONE = -1;

/** Where in `words` the rows of socks are, 0 when rates are not measured; and those of buffers. */
let tcpRateRows = 0;
let txRows = 0;

/** The sample of the ACK at hand: is there one, delivered and the time before the flight, the program's limit, ms of sending, its last segment. */
let sampled = false;
let priorDelivered = 0;
let priorStamp = 0;
let appLimited = 0;
let sendMs = 0;
let lastEndSeq = 0;

/** Words of the tables. */
export function tcpRateWords(socks: number, buffers: number): number {
  return socks === 0 ? 0 : socks * SOCK_WORDS + buffers * TX_WORDS;
}

/** Boot time only. @param socks handles of socks, 0 when rates are not to be measured @param buffers packet buffers */
export function tcpRateInit(socks: number, buffers: number): void {
  sampled = false;
  tcpRateRows = 0;
  if (socks === 0) return;
  tcpRateRows = wordTable("tcp_rate", socks * SOCK_WORDS);
  txRows = wordTable("tcp_rate", buffers * TX_WORDS);
}

function rowOf(sk: TcpSk): number {
  return tcpRateRows + sk.index * SOCK_WORDS;
}

/** A connection begins: nothing is known. */
function tcpRateReset(sk: TcpSk): void {
  const row = rowOf(sk);
  words.fill(0, row, row + SOCK_WORDS);
}

/** A segment of the write queue is sent, for the first time or again. Linux: tcp_rate_skb_sent(). */
function tcpRateSkbSent(sk: TcpSk, skb: SkBuff): void {
  const row = rowOf(sk);
  const tx = txRows + skbBufferNumber(skb) * TX_WORDS;
  // Nothing in flight: a flight begins.
  if (sk.tp.packetsOut === 0) words[row + FIRST_TX] = words[row + DELIVERED_STAMP] = jiffies;
  words[tx + TX_FIRST] = words[row + FIRST_TX]!;
  words[tx + TX_DELIVERED_STAMP] = words[row + DELIVERED_STAMP]!;
  words[tx + TX_DELIVERED] = (words[sk.tp.cold + TP_DELIVERED]! << 1) | (words[row + APP_LIMITED] !== 0 ? 1 : 0);
}

/** A segment is acknowledged, selectively or not: of those of one ACK the one sent last counts. Linux: tcp_rate_skb_delivered(). */
function tcpRateSkbDelivered(sk: TcpSk, skb: SkBuff): void {
  const row = rowOf(sk);
  const tx = txRows + skbBufferNumber(skb) * TX_WORDS;
  const delivered = words[tx + TX_DELIVERED]!;
  if (delivered === TX_NONE) return;
  const later = (skb.when - words[row + FIRST_TX]!) | 0;
  if (!sampled || later > 0 || (later === 0 && ((skb.endSeq - lastEndSeq) | 0) > 0)) {
    sampled = true;
    priorDelivered = delivered >> 1;
    priorStamp = words[tx + TX_DELIVERED_STAMP]!;
    appLimited = delivered & 1;
    lastEndSeq = skb.endSeq;
    words[row + FIRST_TX] = skb.when;
    sendMs = (skb.when - words[tx + TX_FIRST]!) | 0;
  }
  // Not again when it is acknowledged for good.
  if ((skb.sacked & TCPCB_SACKED_ACKED) !== 0) words[tx + TX_DELIVERED] = TX_NONE;
}

/** The ACK is taken in: its sample counts or not. Linux: tcp_rate_gen(). @param delivered segments it delivered */
function tcpRateGen(sk: TcpSk, delivered: number): void {
  const row = rowOf(sk);
  const cold = sk.tp.cold;
  const total = words[cold + TP_DELIVERED]!;
  if (words[row + APP_LIMITED] !== 0 && ((total - words[row + APP_LIMITED]!) | 0) > 0) words[row + APP_LIMITED] = 0;
  if (delivered !== 0) words[row + DELIVERED_STAMP] = jiffies;
  if (!sampled) return;
  sampled = false;
  const ackMs = (jiffies - priorStamp) | 0;
  const interval = sendMs > ackMs ? sendMs : ackMs;
  const minRtt = words[cold + TP_MIN_RTT]!;
  if (interval <= 0 || (minRtt !== RTT_UNKNOWN && interval < minRtt)) return;
  const segments = total - priorDelivered;
  if (appLimited !== 0 && segments * words[row + RATE_INTERVAL]! < words[row + RATE_DELIVERED]! * interval) return;
  words[row + RATE_DELIVERED] = segments;
  words[row + RATE_INTERVAL] = interval;
  words[row + RATE_APP_LIMITED] = appLimited;
}

/** The program writes: has it let the path run dry? Linux: tcp_rate_check_app_limited(). */
function tcpRateCheckAppLimited(sk: TcpSk): void {
  const tp = sk.tp;
  const inFlight = tcpPacketsInFlight(tp);
  if (((tp.writeSeq - tp.sndNxt) | 0) >= tp.mssCache || inFlight >= tp.sndCwnd || tp.lostOut > tp.retransOut) return;
  const until = words[tp.cold + TP_DELIVERED]! + inFlight;
  words[rowOf(sk) + APP_LIMITED] = until === 0 ? 1 : until;
}

/** Bytes per second, 0 when nothing was measured. Linux: tcp_compute_delivery_rate(). */
export function tcpDeliveryRate(sk: TcpSk, tp: TcpSock): number {
  if (tcpRateRows === 0) return 0;
  const row = rowOf(sk);
  const interval = words[row + RATE_INTERVAL]!;
  return interval === 0 ? 0 : Math.floor((words[row + RATE_DELIVERED]! * tp.mssCache * 1000) / interval);
}

/** Is that rate one of the program rather than of the path? */
export function tcpRateIsAppLimited(sk: TcpSk): boolean {
  return tcpRateRows !== 0 && words[rowOf(sk) + RATE_APP_LIMITED] !== 0;
}

/** What the rest of TCP finds of it, in tcp-parts.ts. */
export const tcpRateOps: TcpRateOps = Object.freeze({
  reset: tcpRateReset, sent: tcpRateSkbSent, delivered: tcpRateSkbDelivered, gen: tcpRateGen, write: tcpRateCheckAppLimited,
});
