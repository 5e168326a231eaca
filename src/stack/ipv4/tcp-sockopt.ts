/**
 * Socket options of level SOL_TCP. Linux: do_tcp_setsockopt() and do_tcp_getsockopt() of net/ipv4/tcp.c. Read first: tcp(7).
 * Times are in the unit of the option: seconds for the keepalive options and TCP_LINGER2, ms for TCP_USER_TIMEOUT.
 */
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import { EINVAL, ENOPROTOOPT, EOPNOTSUPP, EPERM } from "../../uapi/errno.ts";
import { SOL_TCP } from "../../uapi/socket.ts";
import {
  TCP_CC_INFO, TCP_CLOSE, TCP_CONGESTION, TCP_CORK, TCP_DEFER_ACCEPT, TCP_FASTOPEN, TCP_FASTOPEN_CONNECT,
  TCP_FASTOPEN_KEY, TCP_INFO, TCP_INQ, TCP_KEEPCNT, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_LINGER2,
  TCP_MAXSEG, TCP_MD5SIG, TCP_MD5SIG_EXT, TCP_NODELAY, TCP_NOTSENT_LOWAT, TCP_QUICKACK, TCP_REPAIR, TCP_SYNCNT,
  TCP_THIN_DUPACK, TCP_THIN_LINEAR_TIMEOUTS, TCP_TIMESTAMP, TCP_USER_TIMEOUT, TCP_WINDOW_CLAMP,
  TCPF_CLOSE, TCPF_CLOSE_WAIT, TCPF_ESTABLISHED, TCPF_LISTEN,
} from "../../uapi/tcp.ts";
import { lockSock, releaseSock, type Sock, SOCK_KEEPOPEN, SOCK_RCVINQ, SOCK_THIN_LTO } from "../core/sock.ts";
import {
  ICSK_DEFER_ACCEPT, ICSK_SYN_RETRIES, ICSK_USER_TIMEOUT_MS, TP_KEEPALIVE_INTVL_MS, TP_KEEPALIVE_PROBES, TP_KEEPALIVE_TIME_MS,
  TP_LINGER2, TP_NOTSENT_LOWAT, TP_USER_MSS, TP_WINDOW_CLAMP,
} from "./tcp-cold.ts";
import { tcpSetCongestionControl } from "./tcp-cong.ts";
import { tcpGetInfo } from "./tcp-info.ts";
import { tcpPushPendingFrames } from "./tcp-output.ts";
import { tcpFastopen, tcpMd5 } from "./tcp-parts.ts";
import { tcpCleanupRbuf } from "./tcp-recvmsg.ts";
import { skStreamWriteSpace } from "./tcp-sendmsg.ts";
import {
  ICSK_ACK_PUSHED, ICSK_ACK_SCHED, TCP_NAGLE_CORK, TCP_NAGLE_OFF, TCP_NAGLE_PUSH, type TcpSk,
} from "./tcp-sock.ts";
import {
  keepaliveIntvlWhen, keepaliveProbes, keepaliveTimeElapsed, keepaliveTimeWhen, tcpResetKeepaliveTimer,
} from "./tcp-timer.ts";
import { tcpCurrentMss, TCP_MIN_MSS } from "./tcp-window.ts";
import { TCP_PINGPONG_THRESH } from "./tcp-xmit.ts";

const MAX_TCP_WINDOW = 32767;
const MAX_TCP_KEEPIDLE = 32767;
const MAX_TCP_KEEPINTVL = 32767;
const MAX_TCP_KEEPCNT = 127;
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

/** Sends what an option held back. */
function pushPending(sk: TcpSk): void {
  if (sk.sendHead !== null) tcpPushPendingFrames(sk, tcpCurrentMss(sk), sk.tp.nonagle);
}

function setNodelay(sk: TcpSk, on: boolean): void {
  const tp = sk.tp;
  if (!on) {
    tp.nonagle &= ~TCP_NAGLE_OFF;
    return;
  }
  // TCP_NODELAY overrides TCP_CORK once: what waits goes now.
  tp.nonagle |= TCP_NAGLE_OFF | TCP_NAGLE_PUSH;
  pushPending(sk);
  tp.nonagle &= ~TCP_NAGLE_PUSH;
}

function setCork(sk: TcpSk, on: boolean): void {
  const tp = sk.tp;
  if (on) {
    tp.nonagle |= TCP_NAGLE_CORK;
    return;
  }
  tp.nonagle &= ~TCP_NAGLE_CORK;
  if ((tp.nonagle & TCP_NAGLE_OFF) !== 0) tp.nonagle |= TCP_NAGLE_PUSH;
  pushPending(sk);
  tp.nonagle &= ~TCP_NAGLE_PUSH;
}

function setKeepidle(sk: TcpSk, seconds: number): number {
  if (seconds < 1 || seconds > MAX_TCP_KEEPIDLE) return -EINVAL;
  const tp = sk.tp;
  words[tp.cold + TP_KEEPALIVE_TIME_MS] = seconds * 1000;
  if ((sk.flags & SOCK_KEEPOPEN) !== 0 && ((1 << sk.state) & (TCPF_CLOSE | TCPF_LISTEN)) === 0) {
    const left = words[tp.cold + TP_KEEPALIVE_TIME_MS]! - keepaliveTimeElapsed(sk);
    tcpResetKeepaliveTimer(sk, left > 0 ? left : 0);
  }
  return 0;
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
    case TCP_NODELAY:
      setNodelay(sk, value !== 0);
      return 0;
    case TCP_CORK:
      setCork(sk, value !== 0);
      return 0;
    case TCP_MAXSEG:
      if (value !== 0 && (value < TCP_MIN_MSS || value > MAX_TCP_WINDOW)) return -EINVAL;
      words[tp.cold + TP_USER_MSS] = value;
      return 0;
    case TCP_KEEPIDLE:
      return setKeepidle(sk, value);
    case TCP_KEEPINTVL:
      if (value < 1 || value > MAX_TCP_KEEPINTVL) return -EINVAL;
      words[tp.cold + TP_KEEPALIVE_INTVL_MS] = value * 1000;
      return 0;
    case TCP_KEEPCNT:
      if (value < 1 || value > MAX_TCP_KEEPCNT) return -EINVAL;
      words[tp.cold + TP_KEEPALIVE_PROBES] = value;
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
    case TCP_USER_TIMEOUT:
      if (value < 0) return -EINVAL;
      words[icsk.cold + ICSK_USER_TIMEOUT_MS] = value;
      return 0;
    case TCP_NOTSENT_LOWAT:
      words[tp.cold + TP_NOTSENT_LOWAT] = value;
      skStreamWriteSpace(sk);
      return 0;
    case TCP_FASTOPEN:
    case TCP_FASTOPEN_KEY:
    case TCP_FASTOPEN_CONNECT:
      return tcpFastopen === null ? -ENOPROTOOPT : tcpFastopen.set(sk, name, value, opt);
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
    case TCP_MD5SIG:
    case TCP_MD5SIG_EXT:
      return tcpMd5 === null ? -ENOPROTOOPT : tcpMd5.set(sk, name, opt);
    case TCP_CONGESTION:
      return opt === null ? -EINVAL : tcpSetCongestionControl(sk, opt);
    default:
      return -ENOPROTOOPT;
  }
}

/**
 * Sets an option of level SOL_TCP. Linux: tcp_setsockopt().
 * @param opt for TCP_CONGESTION the name in ASCII, for TCP_FASTOPEN_KEY the key's bytes, for TCP_MD5SIG those of struct tcp_md5sig
 * @returns 0, -EINVAL, -ENOENT (no such algorithm or key), -ENOMEM (no place for a key) or -ENOPROTOOPT
 */
export function tcpSetsockopt(
  sock: Sock, level: number, name: number, value: number, opt: Uint8Array | Int32Array | null,
): number {
  const sk = sock as TcpSk;
  if (level !== SOL_TCP) return -ENOPROTOOPT;
  lockSock(sk);
  const err = setOption(sk, name, value, opt);
  releaseSock(sk);
  return err;
}

/** The value of an option that is a number; -ENOPROTOOPT when there is none of that name. */
function optionValue(sk: TcpSk, name: number): number {
  const tp = sk.tp;
  const icsk = sk.icsk;
  switch (name) {
    case TCP_NODELAY:
      return (tp.nonagle & TCP_NAGLE_OFF) !== 0 ? 1 : 0;
    case TCP_CORK:
      return (tp.nonagle & TCP_NAGLE_CORK) !== 0 ? 1 : 0;
    case TCP_MAXSEG:
      return words[tp.cold + TP_USER_MSS] !== 0 && ((1 << sk.state) & (TCPF_CLOSE | TCPF_LISTEN)) !== 0 ? words[tp.cold + TP_USER_MSS]! : tp.mssCache;
    case TCP_KEEPIDLE:
      return (keepaliveTimeWhen(sk) / 1000) | 0;
    case TCP_KEEPINTVL:
      return (keepaliveIntvlWhen(sk) / 1000) | 0;
    case TCP_KEEPCNT:
      return keepaliveProbes(sk);
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
    case TCP_USER_TIMEOUT:
      return words[icsk.cold + ICSK_USER_TIMEOUT_MS]!;
    case TCP_NOTSENT_LOWAT:
      return words[tp.cold + TP_NOTSENT_LOWAT]!;
    case TCP_FASTOPEN_CONNECT:
    case TCP_FASTOPEN:
      return tcpFastopen === null ? -ENOPROTOOPT : tcpFastopen.value(sk, name);
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

/**
 * Reads an option: a number into out[0] of an Int32Array, or its four bytes, low first, into a Uint8Array. TCP_INFO see
 * tcp-info.ts. Linux: tcp_getsockopt(). @returns the number of elements written, -EINVAL (no room), -ENOPROTOOPT (no such
 * option) or -EOPNOTSUPP (no such level)
 */
export function tcpGetsockopt(sock: Sock, level: number, name: number, out: Uint8Array | Int32Array): number {
  const sk = sock as TcpSk;
  if (level !== SOL_TCP) return -EOPNOTSUPP;
  if (name === TCP_INFO) return tcpGetInfo(sk, out);
  if (name === TCP_CONGESTION) return putName(sk, out);
  if (name === TCP_FASTOPEN_KEY) return tcpFastopen === null ? -ENOPROTOOPT : tcpFastopen.getKey(sk, out);
  // No algorithm here has anything to tell (Linux: only Vegas, DCTCP and BBR do).
  if (name === TCP_CC_INFO) return 0;
  const value = optionValue(sk, name);
  if (value === -ENOPROTOOPT) return value;
  const bytes = out.BYTES_PER_ELEMENT === 1 ? 4 : 1;
  if (out.length < bytes) return -EINVAL;
  if (bytes === 1) out[0] = value;
  else for (let i = 0; i < 4; i++) out[i] = (value >> (i << 3)) & 255;
  return bytes;
}
