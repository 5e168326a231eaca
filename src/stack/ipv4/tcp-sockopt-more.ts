/**
 * The socket options of level SOL_TCP that few programs ask for. Linux: do_tcp_setsockopt() and do_tcp_getsockopt() of
 * net/ipv4/tcp.c. Read first: tcp(7). Times are in the unit of the option: seconds for TCP_LINGER2 and TCP_DEFER_ACCEPT.
 */
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import { EINVAL, ENOPROTOOPT, EPERM } from "../../uapi/errno.ts";
import {
  TCP_CLOSE, TCP_CONGESTION, TCP_DEFER_ACCEPT, TCP_INQ, TCP_LINGER2, TCP_MAXSEG, TCP_NOTSENT_LOWAT, TCP_QUICKACK, TCP_REPAIR,
  TCP_SYNCNT, TCP_THIN_DUPACK, TCP_THIN_LINEAR_TIMEOUTS, TCP_TIMESTAMP, TCP_WINDOW_CLAMP, TCPF_CLOSE, TCPF_CLOSE_WAIT, TCPF_ESTABLISHED,
  TCPF_LISTEN,
} from "../../uapi/tcp.ts";
import { SOCK_RCVINQ, SOCK_THIN_LTO } from "../core/sock.ts";
import {
  ICSK_DEFER_ACCEPT, ICSK_SYN_RETRIES, TP_LINGER2, TP_NOTSENT_LOWAT, TP_USER_MSS, TP_WINDOW_CLAMP,
} from "./tcp-cold.ts";
import { tcpSetCongestionControl } from "./tcp-cong.ts";
import type { TcpSockoptOps } from "./tcp-parts.ts";
import { tcpCleanupRbuf } from "./tcp-recvmsg.ts";
import { skStreamWriteSpace } from "./tcp-sendmsg.ts";
import { ICSK_ACK_PUSHED, ICSK_ACK_SCHED, type TcpSk } from "./tcp-sock.ts";
import { TCP_MIN_MSS } from "./tcp-window.ts";
import { TCP_PINGPONG_THRESH } from "./tcp-xmit.ts";

const MAX_TCP_WINDOW = 32767;
const MAX_TCP_SYNCNT = 127;
const TCP_FIN_TIMEOUT_MAX_S = 120;
/** First SYN-ACK timeout and the longest one, in seconds: what TCP_DEFER_ACCEPT counts in. */
const SYNACK_TIMEOUT_S = 1;
const SYNACK_TIMEOUT_MAX_S = 120;
/** The program that sets no window clamp still gets this much. */
const SOCK_MIN_RCVBUF_HALF = 1152;

/** Seconds as a number of SYN-ACK retransmissions, at most 255. Linux: secs_to_retrans(). */
function secsToRetrans(seconds: number): number {
  if (seconds <= 0) return 0;
  let retrans = 1;
  let timeout = SYNACK_TIMEOUT_S;
  for (let period = timeout; seconds > period && retrans < 255; retrans++) {
    timeout = timeout << 1 < SYNACK_TIMEOUT_MAX_S ? timeout << 1 : SYNACK_TIMEOUT_MAX_S;
    period += timeout;
  }
  return retrans;
}

/** Linux: retrans_to_secs(). */
function retransToSecs(retrans: number): number {
  let period = 0;
  let timeout = SYNACK_TIMEOUT_S;
  for (let i = 0; i < retrans; i++) {
    period += timeout;
    timeout = timeout << 1 < SYNACK_TIMEOUT_MAX_S ? timeout << 1 : SYNACK_TIMEOUT_MAX_S;
  }
  return period;
}

function setQuickack(sk: TcpSk, value: number): void {
  const icsk = sk.icsk;
  if (value === 0) {
    icsk.ackPingpong = TCP_PINGPONG_THRESH;
    return;
  }
  icsk.ackPingpong = 0;
  if (
    ((1 << sk.state) & (TCPF_ESTABLISHED | TCPF_CLOSE_WAIT)) !== 0 && (icsk.ackPending & ICSK_ACK_SCHED) !== 0
  ) {
    icsk.ackPending |= ICSK_ACK_PUSHED;
    tcpCleanupRbuf(sk, 1);
    // An even value means: this once.
    if ((value & 1) === 0) icsk.ackPingpong = TCP_PINGPONG_THRESH;
  }
}

function setWindowClamp(sk: TcpSk, value: number): number {
  const tp = sk.tp;
  if (value === 0) {
    if (sk.state !== TCP_CLOSE) return -EINVAL;
    words[tp.cold + TP_WINDOW_CLAMP] = 0;
    return 0;
  }
  const old = words[tp.cold + TP_WINDOW_CLAMP]!;
  const clamp = value < SOCK_MIN_RCVBUF_HALF ? SOCK_MIN_RCVBUF_HALF : value;
  words[tp.cold + TP_WINDOW_CLAMP] = clamp;
  if (clamp < old) {
    if (tp.rcvSsthresh > clamp) tp.rcvSsthresh = clamp;
  } else if (clamp > old) {
    const wanted = tp.rcvWnd < clamp ? tp.rcvWnd : clamp;
    if (wanted > tp.rcvSsthresh) tp.rcvSsthresh = wanted;
  }
  return 0;
}

function setOption(sk: TcpSk, name: number, value: number, opt: Uint8Array | Int32Array | null): number {
  const tp = sk.tp;
  const icsk = sk.icsk;
  switch (name) {
    case TCP_MAXSEG:
      if (value !== 0 && (value < TCP_MIN_MSS || value > MAX_TCP_WINDOW)) return -EINVAL;
      words[tp.cold + TP_USER_MSS] = value;
      return 0;
    case TCP_SYNCNT:
      if (value < 1 || value > MAX_TCP_SYNCNT) return -EINVAL;
      words[icsk.cold + ICSK_SYN_RETRIES] = value;
      return 0;
    case TCP_LINGER2:
      words[tp.cold + TP_LINGER2] = value < 0 ? -1 : value > TCP_FIN_TIMEOUT_MAX_S ? TCP_FIN_TIMEOUT_MAX_S * 1000 : value * 1000;
      return 0;
    case TCP_DEFER_ACCEPT:
      words[icsk.cold + ICSK_DEFER_ACCEPT] = secsToRetrans(value);
      return 0;
    case TCP_WINDOW_CLAMP:
      return setWindowClamp(sk, value);
    case TCP_QUICKACK:
      setQuickack(sk, value);
      return 0;
    case TCP_NOTSENT_LOWAT:
      words[tp.cold + TP_NOTSENT_LOWAT] = value;
      skStreamWriteSpace(sk);
      return 0;
    case TCP_INQ:
      if (value < 0 || value > 1) return -EINVAL;
      sk.flags = value !== 0 ? sk.flags | SOCK_RCVINQ : sk.flags & ~SOCK_RCVINQ;
      return 0;
    case TCP_THIN_LINEAR_TIMEOUTS:
      if (value < 0 || value > 1) return -EINVAL;
      sk.flags = value !== 0 ? sk.flags | SOCK_THIN_LTO : sk.flags & ~SOCK_THIN_LTO;
      return 0;
    case TCP_THIN_DUPACK:
      // Accepted and of no effect: early retransmit has made it obsolete.
      return value < 0 || value > 1 ? -EINVAL : 0;
    case TCP_TIMESTAMP:
    case TCP_REPAIR:
      return -EPERM;
    case TCP_CONGESTION:
      return opt === null ? -EINVAL : tcpSetCongestionControl(sk, opt);
    default:
      return -ENOPROTOOPT;
  }
}

function optionValue(sk: TcpSk, name: number): number {
  const tp = sk.tp;
  const icsk = sk.icsk;
  switch (name) {
    case TCP_MAXSEG:
      return words[tp.cold + TP_USER_MSS] !== 0 && ((1 << sk.state) & (TCPF_CLOSE | TCPF_LISTEN)) !== 0 ? words[tp.cold + TP_USER_MSS]! : tp.mssCache;
    case TCP_SYNCNT:
      return words[icsk.cold + ICSK_SYN_RETRIES] !== 0 ? words[icsk.cold + ICSK_SYN_RETRIES]! : sk.net.ipv4.tcpSynRetries;
    case TCP_LINGER2:
      return words[tp.cold + TP_LINGER2]! < 0 ? -1 : words[tp.cold + TP_LINGER2] === 0 ? sk.net.ipv4.tcpFinTimeout : (words[tp.cold + TP_LINGER2]! / 1000) | 0;
    case TCP_DEFER_ACCEPT:
      return retransToSecs(words[icsk.cold + ICSK_DEFER_ACCEPT]!);
    case TCP_WINDOW_CLAMP:
      return words[tp.cold + TP_WINDOW_CLAMP]!;
    case TCP_QUICKACK:
      return icsk.ackPingpong === 0 ? 1 : 0;
    case TCP_NOTSENT_LOWAT:
      return words[tp.cold + TP_NOTSENT_LOWAT]!;
    case TCP_TIMESTAMP:
      return (jiffies + tp.tsoffset) | 0;
    case TCP_INQ:
      return (sk.flags & SOCK_RCVINQ) !== 0 ? 1 : 0;
    case TCP_THIN_LINEAR_TIMEOUTS:
      return (sk.flags & SOCK_THIN_LTO) !== 0 ? 1 : 0;
    case TCP_THIN_DUPACK:
    case TCP_REPAIR:
      return 0;
    default:
      return -ENOPROTOOPT;
  }
}

/** The name of the congestion control, ended by 0 where it fits. */
function putName(sk: TcpSk, out: Uint8Array | Int32Array): number {
  const text = sk.icsk.caOps.name;
  const length = text.length < out.length ? text.length : out.length;
  for (let i = 0; i < length; i++) out[i] = text.charCodeAt(i);
  if (length < out.length) out[length] = 0;
  return length;
}

/** What tcp-sockopt.ts finds of it, in tcp-parts.ts. */
export const tcpSockoptOps: TcpSockoptOps = Object.freeze({ set: setOption, value: optionValue, congestion: putName });
