/**
 * Socket options of level SOL_TCP that many programs ask for; the others are in tcp-sockopt-more.ts, or of a part of TCP. Linux:
 * do_tcp_setsockopt() and do_tcp_getsockopt() of net/ipv4/tcp.c. Read first: tcp(7).
 * Times are in the unit of the option: seconds for the keepalive options and TCP_LINGER2, ms for TCP_USER_TIMEOUT.
 */
import { words } from "../../lib/table.ts";
import { EINVAL, ENOPROTOOPT, EOPNOTSUPP } from "../../uapi/errno.ts";
import { SOL_TCP } from "../../uapi/socket.ts";
import {
  TCP_CC_INFO, TCP_CONGESTION, TCP_CORK, TCP_FASTOPEN, TCP_FASTOPEN_CONNECT, TCP_FASTOPEN_KEY, TCP_INFO, TCP_KEEPCNT,
  TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_MD5SIG, TCP_MD5SIG_EXT, TCP_NODELAY, TCP_USER_TIMEOUT, TCPF_CLOSE, TCPF_LISTEN,
} from "../../uapi/tcp.ts";
import { lockSock, releaseSock, type Sock, SOCK_KEEPOPEN } from "../core/sock.ts";
import { ICSK_USER_TIMEOUT_MS, TP_KEEPALIVE_INTVL_MS, TP_KEEPALIVE_PROBES, TP_KEEPALIVE_TIME_MS } from "./tcp-cold.ts";
import { tcpPushPendingFrames } from "./tcp-output.ts";
import { tcpFastopen, tcpInfo, tcpMd5, tcpSockopts } from "./tcp-parts.ts";
import { TCP_NAGLE_CORK, TCP_NAGLE_OFF, TCP_NAGLE_PUSH, type TcpSk } from "./tcp-sock.ts";
import {
  keepaliveIntvlWhen, keepaliveProbes, keepaliveTimeElapsed, keepaliveTimeWhen, tcpResetKeepaliveTimer,
} from "./tcp-timer.ts";
import { tcpCurrentMss } from "./tcp-window.ts";

const MAX_TCP_KEEPIDLE = 32767;
const MAX_TCP_KEEPINTVL = 32767;
const MAX_TCP_KEEPCNT = 127;

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
    case TCP_USER_TIMEOUT:
      if (value < 0) return -EINVAL;
      words[icsk.cold + ICSK_USER_TIMEOUT_MS] = value;
      return 0;
    case TCP_FASTOPEN:
    case TCP_FASTOPEN_KEY:
    case TCP_FASTOPEN_CONNECT:
      return tcpFastopen === null ? -ENOPROTOOPT : tcpFastopen.set(sk, name, value, opt);
    case TCP_MD5SIG:
    case TCP_MD5SIG_EXT:
      return tcpMd5 === null ? -ENOPROTOOPT : tcpMd5.set(sk, name, opt);
    default:
      return tcpSockopts === null ? -ENOPROTOOPT : tcpSockopts.set(sk, name, value, opt);
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
    case TCP_KEEPIDLE:
      return (keepaliveTimeWhen(sk) / 1000) | 0;
    case TCP_KEEPINTVL:
      return (keepaliveIntvlWhen(sk) / 1000) | 0;
    case TCP_KEEPCNT:
      return keepaliveProbes(sk);
    case TCP_USER_TIMEOUT:
      return words[icsk.cold + ICSK_USER_TIMEOUT_MS]!;
    case TCP_FASTOPEN_CONNECT:
    case TCP_FASTOPEN:
      return tcpFastopen === null ? -ENOPROTOOPT : tcpFastopen.value(sk, name);
    default:
      return tcpSockopts === null ? -ENOPROTOOPT : tcpSockopts.value(sk, name);
  }
}

/**
 * Reads an option: a number into out[0] of an Int32Array, or its four bytes, low first, into a Uint8Array. TCP_INFO see
 * tcp-info.ts. Linux: tcp_getsockopt(). @returns the number of elements written, -EINVAL (no room), -ENOPROTOOPT (no such
 * option) or -EOPNOTSUPP (no such level)
 */
export function tcpGetsockopt(sock: Sock, level: number, name: number, out: Uint8Array | Int32Array): number {
  const sk = sock as TcpSk;
  if (level !== SOL_TCP) return -EOPNOTSUPP;
  if (name === TCP_INFO) return tcpInfo === null ? -ENOPROTOOPT : tcpInfo.get(sk, out);
  if (name === TCP_CONGESTION) return tcpSockopts === null ? -ENOPROTOOPT : tcpSockopts.congestion(sk, out);
  if (name === TCP_FASTOPEN_KEY) return tcpFastopen === null ? -ENOPROTOOPT : tcpFastopen.getKey(sk, out);
  // No algorithm here has anything to tell (Linux: only Vegas, DCTCP and BBR do).
  if (name === TCP_CC_INFO && tcpSockopts !== null) return 0;
  const value = optionValue(sk, name);
  if (value === -ENOPROTOOPT) return value;
  const bytes = out.BYTES_PER_ELEMENT === 1 ? 4 : 1;
  if (out.length < bytes) return -EINVAL;
  if (bytes === 1) out[0] = value;
  else for (let i = 0; i < 4; i++) out[i] = (value >> (i << 3)) & 255;
  return bytes;
}
