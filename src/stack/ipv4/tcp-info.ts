/**
 * TCP_INFO: what a program or `ss` may know of a connection. Linux: tcp_get_info() of net/ipv4/tcp.c, struct tcp_info of
 * linux/tcp.h. The answer has Linux's layout: 32-bit words, the first two of bytes, times in µs or ms as there. An Int32Array gets
 * the words; a Uint8Array their bytes, low first.
 */
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import {
  TCPI_OPT_ECN, TCPI_OPT_ECN_SEEN, TCPI_OPT_SACK,
  TCPI_OPT_SYN_DATA, TCPI_OPT_TIMESTAMPS, TCPI_OPT_WSCALE,
} from "../../uapi/tcp.ts";
import {
  TCP_CHRONO_BUSY, TCP_CHRONO_RWND_LIMITED, TCP_CHRONO_SNDBUF_LIMITED, tcpChronoMs,
} from "./tcp-chrono.ts";
import { TCP_ECN_CE_SHIFT, TCP_ECN_OK, TCP_ECN_SEEN } from "./tcp-ecn.ts";
import {
  ICSK_PROBES_OUT, TP_ADVMSS, TP_BYTES_RETRANS, TP_BYTES_SENT, TP_DATA_SEGS_IN, TP_DATA_SEGS_OUT, TP_DELIVERED, TP_DSACK_DUPS, TP_MDEV,
  TP_MIN_RTT, TP_RCV_OOOPACK, TP_RCV_RTT, TP_RCVQ_SPACE, TP_REORD_SEEN, TP_REORDERING, TP_RTO_STAMP, TP_SACK_OK, TP_SEGS_IN, TP_SEGS_OUT,
  TP_SYN_DATA_ACKED, TP_TOTAL_RETRANS, TP_TOTAL_RTO, TP_TOTAL_RTO_RECOVERIES, TP_TOTAL_RTO_TIME, TP_WSCALE_OK,
} from "./tcp-cold.ts";
import { tcpMaxPacingRate, tcpPacingRate } from "./tcp-pacing.ts";
import { tcpDeliveryRate, tcpRateIsAppLimited } from "./tcp-rate.ts";
import { RTT_UNKNOWN, type TcpSk, type TcpSock } from "./tcp-sock.ts";

/** Words of the answer: those of Linux up to tcpi_total_rto_time. */
export const TCP_INFO_WORDS = 62;

/** Indices of the words. */
export const TCPI_STATE = 0;
export const TCPI_OPTIONS = 1;
export const TCPI_RTO = 2;
export const TCPI_ATO = 3;
export const TCPI_SND_MSS = 4;
export const TCPI_RCV_MSS = 5;
export const TCPI_UNACKED = 6;
export const TCPI_SACKED = 7;
export const TCPI_LOST = 8;
export const TCPI_RETRANS = 9;
export const TCPI_LAST_DATA_SENT = 11;
export const TCPI_LAST_DATA_RECV = 13;
export const TCPI_LAST_ACK_RECV = 14;
export const TCPI_PMTU = 15;
export const TCPI_RCV_SSTHRESH = 16;
export const TCPI_RTT = 17;
export const TCPI_RTTVAR = 18;
export const TCPI_SND_SSTHRESH = 19;
export const TCPI_SND_CWND = 20;
export const TCPI_ADVMSS = 21;
export const TCPI_REORDERING = 22;
export const TCPI_RCV_RTT = 23;
export const TCPI_RCV_SPACE = 24;
export const TCPI_TOTAL_RETRANS = 25;
/** 64-bit fields from here on where two words are left: the low word is at the index. */
export const TCPI_PACING_RATE = 26;
export const TCPI_MAX_PACING_RATE = 28;
export const TCPI_BYTES_ACKED = 30;
export const TCPI_BYTES_RECEIVED = 32;
export const TCPI_SEGS_OUT = 34;
export const TCPI_SEGS_IN = 35;
export const TCPI_NOTSENT_BYTES = 36;
export const TCPI_MIN_RTT = 37;
export const TCPI_DATA_SEGS_IN = 38;
export const TCPI_DATA_SEGS_OUT = 39;
export const TCPI_DELIVERY_RATE = 40;
export const TCPI_BUSY_TIME = 42;
export const TCPI_RWND_LIMITED = 44;
export const TCPI_SNDBUF_LIMITED = 46;
export const TCPI_DELIVERED = 48;
export const TCPI_DELIVERED_CE = 49;
export const TCPI_BYTES_SENT = 50;
export const TCPI_BYTES_RETRANS = 52;
export const TCPI_DSACK_DUPS = 54;
export const TCPI_REORD_SEEN = 55;
export const TCPI_RCV_OOOPACK = 56;
export const TCPI_SND_WND = 57;
export const TCPI_RCV_WND = 58;
/** Two 16-bit fields: timeouts, and series of them. */
export const TCPI_TOTAL_RTO = 60;
export const TCPI_TOTAL_RTO_TIME = 61;

/** State, congestion state, retransmits and probes as bytes. */
function stateWord(sk: TcpSk): number {
  const icsk = sk.icsk;
  return sk.state | (icsk.caState << 8) | ((icsk.retransmits & 255) << 16) | ((words[icsk.cold + ICSK_PROBES_OUT]! & 255) << 24);
}

/** Backoff, options, both window scales, and whether the delivery rate is limited by the program, as bytes. */
function optionsWord(sk: TcpSk): number {
  const tp = sk.tp;
  const options = (tp.tstampOk ? TCPI_OPT_TIMESTAMPS : 0) | (words[tp.cold + TP_SACK_OK] !== 0 ? TCPI_OPT_SACK : 0)
    | (words[tp.cold + TP_WSCALE_OK] !== 0 ? TCPI_OPT_WSCALE : 0) | ((tp.ecnFlags & TCP_ECN_OK) !== 0 ? TCPI_OPT_ECN : 0)
    | ((tp.ecnFlags & TCP_ECN_SEEN) !== 0 ? TCPI_OPT_ECN_SEEN : 0)
    | (words[tp.cold + TP_SYN_DATA_ACKED] !== 0 ? TCPI_OPT_SYN_DATA : 0);
  return (sk.icsk.backoff & 255) | (options << 8) | (((tp.rcvWscale << 4) | tp.sndWscale) << 16)
    | (tcpRateIsAppLimited(sk) ? 1 << 24 : 0);
}

/** A 64-bit field: its low word at `index`, its high word behind. */
function word64(value: number, high: boolean): number {
  return high ? (value / 0x100000000) | 0 : value | 0;
}

/** Payload sent, retransmissions included: its low word is counted, and the rest is told by what was acknowledged. */
function bytesSent(sk: TcpSk): number {
  const tp = sk.tp;
  const low = words[tp.cold + TP_BYTES_SENT]!;
  const about = tp.bytesAcked + ((tp.sndNxt - tp.sndUna) | 0) + words[tp.cold + TP_BYTES_RETRANS]!;
  return low + Math.round((about - low) / 0x100000000) * 0x100000000;
}

/** The shortest round trip in µs; all ones when none was measured, as Linux says it. */
function minRttUs(tp: TcpSock): number {
  const minRtt = words[tp.cold + TP_MIN_RTT]!;
  return minRtt === RTT_UNKNOWN ? -1 : minRtt * 1000;
}

/** A rate in bytes per second; no limit is all ones. */
function rateWord(rate: number, high: boolean): number {
  return rate === Infinity ? -1 : word64(rate, high);
}

/** The words behind tcpi_total_retrans: totals of the connection. The delivery rate is 0 where it is not measured. */
function infoCounter(sk: TcpSk, index: number): number {
  const tp = sk.tp;
  const unsent = (tp.writeSeq - tp.sndNxt) | 0;
  switch (index) {
    case TCPI_PACING_RATE: return rateWord(tcpPacingRate(sk), false);
    case TCPI_PACING_RATE + 1: return rateWord(tcpPacingRate(sk), true);
    case TCPI_MAX_PACING_RATE: return rateWord(tcpMaxPacingRate(sk), false);
    case TCPI_MAX_PACING_RATE + 1: return rateWord(tcpMaxPacingRate(sk), true);
    case TCPI_BYTES_ACKED: return word64(tp.bytesAcked, false);
    case TCPI_BYTES_ACKED + 1: return word64(tp.bytesAcked, true);
    case TCPI_BYTES_RECEIVED: return word64(tp.bytesReceived, false);
    case TCPI_BYTES_RECEIVED + 1: return word64(tp.bytesReceived, true);
    case TCPI_SEGS_OUT: return words[tp.cold + TP_SEGS_OUT]!;
    case TCPI_SEGS_IN: return words[tp.cold + TP_SEGS_IN]!;
    case TCPI_NOTSENT_BYTES: return unsent > 0 ? unsent : 0;
    case TCPI_MIN_RTT: return minRttUs(tp);
    case TCPI_DATA_SEGS_IN: return words[tp.cold + TP_DATA_SEGS_IN]!;
    case TCPI_DATA_SEGS_OUT: return words[tp.cold + TP_DATA_SEGS_OUT]!;
    case TCPI_DELIVERY_RATE: return word64(tcpDeliveryRate(sk, tp), false);
    case TCPI_DELIVERY_RATE + 1: return word64(tcpDeliveryRate(sk, tp), true);
    case TCPI_BUSY_TIME:
    case TCPI_BUSY_TIME + 1: return chronoWord(tp, TCP_CHRONO_BUSY, index - TCPI_BUSY_TIME);
    case TCPI_RWND_LIMITED:
    case TCPI_RWND_LIMITED + 1: return chronoWord(tp, TCP_CHRONO_RWND_LIMITED, index - TCPI_RWND_LIMITED);
    case TCPI_SNDBUF_LIMITED:
    case TCPI_SNDBUF_LIMITED + 1: return chronoWord(tp, TCP_CHRONO_SNDBUF_LIMITED, index - TCPI_SNDBUF_LIMITED);
    case TCPI_DELIVERED: return words[tp.cold + TP_DELIVERED]!;
    case TCPI_DELIVERED_CE: return tp.ecnFlags >>> TCP_ECN_CE_SHIFT;
    case TCPI_BYTES_SENT: return word64(bytesSent(sk), false);
    case TCPI_BYTES_SENT + 1: return word64(bytesSent(sk), true);
    case TCPI_BYTES_RETRANS: return word64(words[tp.cold + TP_BYTES_RETRANS]!, false);
    case TCPI_BYTES_RETRANS + 1: return word64(words[tp.cold + TP_BYTES_RETRANS]!, true);
    case TCPI_DSACK_DUPS: return words[tp.cold + TP_DSACK_DUPS]!;
    case TCPI_REORD_SEEN: return words[tp.cold + TP_REORD_SEEN]!;
    case TCPI_RCV_OOOPACK: return words[tp.cold + TP_RCV_OOOPACK]!;
    case TCPI_SND_WND: return tp.sndWnd;
    case TCPI_RCV_WND: return tp.rcvWnd;
    case TCPI_TOTAL_RTO: return (words[tp.cold + TP_TOTAL_RTO]! & 0xffff) | (words[tp.cold + TP_TOTAL_RTO_RECOVERIES]! << 16);
    case TCPI_TOTAL_RTO_TIME:
      return words[tp.cold + TP_TOTAL_RTO_TIME]! + (sk.icsk.retransmits !== 0 ? (jiffies - words[tp.cold + TP_RTO_STAMP]!) | 0 : 0);
    default: return 0;
  }
}

/** A clock in µs, as its low or high word; the three are told apart as Linux does: busy includes both others. */
function chronoWord(tp: TcpSock, type: number, half: number): number {
  let ms = tcpChronoMs(tp, type);
  if (type === TCP_CHRONO_BUSY) {
    ms += tcpChronoMs(tp, TCP_CHRONO_RWND_LIMITED) + tcpChronoMs(tp, TCP_CHRONO_SNDBUF_LIMITED);
  }
  return word64(ms * 1000, half !== 0);
}

/** One word of the answer. */
function infoWord(sk: TcpSk, index: number): number {
  const tp = sk.tp;
  const icsk = sk.icsk;
  switch (index) {
    case TCPI_STATE: return stateWord(sk);
    case TCPI_OPTIONS: return optionsWord(sk);
    case TCPI_RTO: return icsk.rto * 1000;
    case TCPI_ATO: return icsk.ackAto * 1000;
    case TCPI_SND_MSS: return tp.mssCache;
    case TCPI_RCV_MSS: return icsk.ackRcvMss;
    case TCPI_UNACKED: return tp.packetsOut;
    case TCPI_SACKED: return tp.sackedOut;
    case TCPI_LOST: return tp.lostOut;
    case TCPI_RETRANS: return tp.retransOut;
    case TCPI_LAST_DATA_SENT: return (jiffies - tp.lsndtime) | 0;
    case TCPI_LAST_DATA_RECV: return (jiffies - icsk.ackLrcvtime) | 0;
    case TCPI_LAST_ACK_RECV: return (jiffies - tp.rcvTstamp) | 0;
    case TCPI_PMTU: return icsk.pmtuCookie;
    case TCPI_RCV_SSTHRESH: return tp.rcvSsthresh;
    case TCPI_RTT: return (tp.srtt * 1000) >> 3;
    case TCPI_RTTVAR: return (words[tp.cold + TP_MDEV]! * 1000) >> 2;
    case TCPI_SND_SSTHRESH: return tp.sndSsthresh;
    case TCPI_SND_CWND: return tp.sndCwnd;
    case TCPI_ADVMSS: return words[tp.cold + TP_ADVMSS]!;
    case TCPI_REORDERING: return words[tp.cold + TP_REORDERING]!;
    case TCPI_RCV_RTT: return (words[tp.cold + TP_RCV_RTT]! >> 3) * 1000;
    case TCPI_RCV_SPACE: return words[tp.cold + TP_RCVQ_SPACE]!;
    case TCPI_TOTAL_RETRANS: return words[tp.cold + TP_TOTAL_RETRANS]!;
    default: return infoCounter(sk, index);
  }
}

/** Fills as many words as fit. @returns the number of elements written */
export function tcpGetInfo(sk: TcpSk, out: Uint8Array | Int32Array): number {
  const bytes = out.BYTES_PER_ELEMENT === 1;
  const room = bytes ? out.length >> 2 : out.length;
  const words = room < TCP_INFO_WORDS ? room : TCP_INFO_WORDS;
  for (let i = 0; i < words; i++) {
    const word = infoWord(sk, i);
    if (!bytes) {
      out[i] = word;
      continue;
    }
    const at = i << 2;
    out[at] = word;
    out[at + 1] = word >> 8;
    out[at + 2] = word >> 16;
    out[at + 3] = word >> 24;
  }
  return bytes ? words << 2 : words;
}
