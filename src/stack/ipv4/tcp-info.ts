/**
 * TCP_INFO: what a program or `ss` may know of a connection. Linux: tcp_get_info() of net/ipv4/tcp.c, struct tcp_info of
 * linux/tcp.h. The answer has Linux's layout: 32-bit words, the first two of bytes, times in µs or ms as there. An Int32Array gets
 * the words; a Uint8Array their bytes, low first.
 */
import { jiffies } from "../../lib/timer.ts";
import { TCPI_OPT_SACK, TCPI_OPT_TIMESTAMPS, TCPI_OPT_WSCALE } from "../../uapi/tcp.ts";
import type { TcpSk } from "./tcp-sock.ts";

/** Words of the answer: those of Linux up to tcpi_total_retrans. */
export const TCP_INFO_WORDS = 26;

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
export const TCPI_RCV_SPACE = 24;
export const TCPI_TOTAL_RETRANS = 25;

/** State, congestion state, retransmits and probes as bytes. */
function stateWord(sk: TcpSk): number {
  const icsk = sk.icsk;
  return sk.state | (icsk.caState << 8) | ((icsk.retransmits & 255) << 16) | ((icsk.probesOut & 255) << 24);
}

/** Backoff, options, and both window scales as bytes. */
function optionsWord(sk: TcpSk): number {
  const tp = sk.tp;
  const options = (tp.tstampOk ? TCPI_OPT_TIMESTAMPS : 0) | (tp.sackOk ? TCPI_OPT_SACK : 0)
    | (tp.wscaleOk ? TCPI_OPT_WSCALE : 0);
  return (sk.icsk.backoff & 255) | (options << 8) | (((tp.rcvWscale << 4) | tp.sndWscale) << 16);
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
    case TCPI_RTTVAR: return (tp.mdev * 1000) >> 2;
    case TCPI_SND_SSTHRESH: return tp.sndSsthresh;
    case TCPI_SND_CWND: return tp.sndCwnd;
    case TCPI_ADVMSS: return tp.advmss;
    case TCPI_REORDERING: return tp.reordering;
    case TCPI_RCV_SPACE: return tp.rcvWnd;
    case TCPI_TOTAL_RETRANS: return tp.totalRetrans;
    default: return 0;
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
