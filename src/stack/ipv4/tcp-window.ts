/**
 * Windows and segment sizes: what to advertise, and how much to send in one segment. Linux: the window half of
 * net/ipv4/tcp_output.c, tcp_win_from_space() and tcp_space() of include/net/tcp.h. Read first: RFC 9293 sections 3.8.6
 * (windows, silly window syndrome) and 3.7.1 (MSS), RFC 7323 section 2 (scaling).
 *
 * The rule that keeps a small machine alive: memory is counted in whole buffers (truesize), and `tcp_adv_win_scale` = 1
 * advertises at most half of the free part of rcvbuf. A buffer of at least 612 bytes counts 512 more, so that half of its
 * truesize is never more than it holds: every window advertised fits into rcvbuf once tcp_collapse() has made full buffers
 * out of small segments. The window is also no more than the pool can hold beyond its reserve (`tcpPoolReserve`); only
 * a socket whose queue is empty may always advertise one segment, so that no peer must probe for a window.
 */
import { account } from "../../lib/account.ts";
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import {
  LINUX_MIB_TCPFROMZEROWINDOWADV, LINUX_MIB_TCPTOZEROWINDOWADV, LINUX_MIB_TCPWANTZEROWINDOWADV,
} from "../../uapi/snmp.ts";
import { ETH_HLEN } from "../../uapi/if-ether.ts";
import { TCP_MSS_DEFAULT } from "../../uapi/tcp.ts";
import type { DstEntry } from "../core/dst.ts";
import { skDstCheck, type Sock } from "../core/sock.ts";
import { NET_IP_ALIGN, SKB_OVERHEAD_BYTES, skbBufferBytes, skbBuffersAvailable } from "../core/skbuff.ts";
import { TCP_HLEN, TCPHDR_ACK } from "../wire/tcp.ts";
import { IP_CMSG_OPTIONS } from "./inet-sock.ts";
import { ipOptions } from "./ip-parts.ts";
import { TP_ADVMSS, TP_MAX_WINDOW, TP_MSS_CLAMP, TP_SND_CWND_STAMP, TP_URG_DATA, TP_USER_MSS, TP_WINDOW_CLAMP } from "./tcp-cold.ts";
import { tcpAdjustRcvSsthresh, tcpUnderMemoryPressure } from "./tcp-memory.ts";
import { TCP_MAX_WSCALE } from "./tcp-options.ts";
import { tcpMd5, tcpMd5Keys, tcpMtuProbes, tcpMtupSearching } from "./tcp-parts.ts";
import { tcpRcvbuf, tcpRmemMax } from "./tcp-parts.ts";
import type { TcpSk, TcpSock } from "./tcp-sock.ts";

/** In place of a window: it is to be found out. */
export const WINDOW_UNKNOWN = -1;
/** Largest value of the window field. */
export const MAX_WINDOW_FIELD = 65535;
/** IP and TCP header without options. */
export const IP_TCP_HLEN = 40;
/** Smallest MSS ever assumed of a peer. Linux: TCP_MIN_MSS. */
export const TCP_MIN_MSS = 88;
/** Room in front of the TCP header of a segment we build: alignment, Ethernet, IP, and 20 bytes for options of this segment. */
export const TCP_HEADROOM = NET_IP_ALIGN + ETH_HLEN + 40;

/** The first window of a connection, as tcpSelectInitialWindow() answers it. */
export class TcpInitialWindow {
  rcvWnd = 0;
  windowClamp = 0;
  rcvWscale = 0;
}

/** The answer of the last tcpSelectInitialWindow(). */
export let tcpInitialWindow: TcpInitialWindow;
/** Packet buffers that queues of data may not take: they carry acknowledgments and the segments a queue waits for. */
export let tcpPoolReserve = 0;

/** Bytes of truesize of all buffers beyond the reserve. */
export let tcpPoolSpace = 0;

const MIN_RESERVE = 2;
const MAX_RESERVE = 16;

/** Boot time only. @param buffers packet buffers of the machine: a quarter of them, 2 to 16, is the reserve */
export function tcpWindowInit(buffers: number): void {
  tcpInitialWindow = account("tcp", new TcpInitialWindow());
  const quarter = buffers >> 2;
  tcpPoolReserve = quarter < MIN_RESERVE ? MIN_RESERVE : quarter > MAX_RESERVE ? MAX_RESERVE : quarter;
  tcpPoolSpace = (buffers - tcpPoolReserve) * (skbBufferBytes + SKB_OVERHEAD_BYTES);
}

/** Data bytes that `space` bytes of receive buffer stand for. Linux: tcp_win_from_space(). */
export function tcpWinFromSpace(sk: Sock, space: number): number {
  const scale = sk.net.ipv4.tcpAdvWinScale;
  return scale <= 0 ? space >> -scale : space - (space >> scale);
}

/** Bytes of receive buffer that a window of that many bytes needs. Linux: tcp_space_from_win(). */
export function tcpSpaceFromWin(sk: Sock, window: number): number {
  const scale = sk.net.ipv4.tcpAdvWinScale;
  if (scale <= 0) return window * (1 << -scale);
  const parts = 1 << scale;
  return Math.ceil((window * parts) / (parts - 1));
}

/** The window when nothing waits to be read, here or in any other socket. Linux: tcp_full_space(). */
export function tcpFullSpace(sk: Sock): number {
  const rcvbuf = sk.rcvbuf;
  return tcpWinFromSpace(sk, rcvbuf < tcpPoolSpace ? rcvbuf : tcpPoolSpace);
}

/** The window that memory allows now: of rcvbuf, and of the pool. Linux: tcp_space(), with tcp_under_memory_pressure(). */
export function tcpSpace(sk: Sock): number {
  let space = sk.rcvbuf - sk.rmemAlloc;
  const pool = (skbBuffersAvailable() - tcpPoolReserve) * (skbBufferBytes + SKB_OVERHEAD_BYTES);
  if (pool < space) space = pool;
  return space <= 0 ? 0 : tcpWinFromSpace(sk, space);
}

/** What is left of the window last advertised. Linux: tcp_receive_window(). */
export function tcpReceiveWindow(tp: TcpSock): number {
  const window = (tp.rcvWup + tp.rcvWnd - tp.rcvNxt) | 0;
  return window < 0 ? 0 : window;
}

/** First sequence number beyond the peer's window. Linux: tcp_wnd_end(). */
export function tcpWndEnd(tp: TcpSock): number {
  return (tp.sndUna + tp.sndWnd) | 0;
}

/**
 * The window to advertise, before it is kept from shrinking: avoids silly windows (RFC 1122 section 4.2.3.3) and rounds so that
 * the scaled field says the same. Linux: __tcp_select_window().
 */
export function tcpWindowWanted(sk: TcpSk): number {
  const tp = sk.tp;
  const icsk = sk.icsk;
  // tcpFullSpace() and tcpSpace() with the usual scale, spared the calls: every ACK asks twice.
  const rcvbuf = sk.rcvbuf;
  let allowed = rcvbuf < tcpPoolSpace ? rcvbuf : tcpPoolSpace;
  let free = rcvbuf - sk.rmemAlloc;
  const pool = (skbBuffersAvailable() - tcpPoolReserve) * (skbBufferBytes + SKB_OVERHEAD_BYTES);
  if (pool < free) free = pool;
  if (sk.net.ipv4.tcpAdvWinScale === 1) {
    allowed -= allowed >> 1;
    free = free <= 0 ? 0 : free - (free >> 1);
  } else {
    allowed = tcpWinFromSpace(sk, allowed);
    free = free <= 0 ? 0 : tcpWinFromSpace(sk, free);
  }
  let mss = icsk.ackRcvMss;
  const clamp = words[tp.cold + TP_WINDOW_CLAMP]!;
  const full = clamp < allowed ? clamp : allowed;
  if (mss > full) {
    mss = full;
    if (mss <= 0) return 0;
  }
  const wscale = tp.rcvWscale;
  if (free < full >> 1) {
    icsk.ackQuick = 0;
    if (tcpUnderMemoryPressure(sk)) tcpAdjustRcvSsthresh(sk);
    if (sk.rmemAlloc === 0) {
      if (free < mss) free = mss;
    } else {
      free = (free >> wscale) << wscale;
      if (free < allowed >> 4 || free < mss) return 0;
    }
  }
  if (free > tp.rcvSsthresh) free = tp.rcvSsthresh;
  if (wscale !== 0) {
    const unit = 1 << wscale;
    return ((free + unit - 1) >> wscale) << wscale;
  }
  const window = tp.rcvWnd;
  if (window <= free - mss || window > free) return free - (free % mss);
  if (mss === full && free > window + (full >> 1)) return free;
  return window;
}

/**
 * The window field of a segment about to leave; the window never shrinks (RFC 9293 section 3.8.6). Linux: tcp_select_window().
 * @param wanted as tcpWindowWanted() answers, or WINDOW_UNKNOWN
 */
export function tcpSelectWindow(sk: TcpSk, wanted: number): number {
  const tp = sk.tp;
  const oldWindow = tp.rcvWnd;
  // tcpReceiveWindow(); what is negative is less than any window.
  const left = (tp.rcvWup + oldWindow - tp.rcvNxt) | 0;
  const wscale = tp.rcvWscale;
  let window = wanted === WINDOW_UNKNOWN ? tcpWindowWanted(sk) : wanted;
  if (window < left) {
    if (window === 0) sk.net.mib[LINUX_MIB_TCPWANTZEROWINDOWADV]!++;
    window = (((left + (1 << wscale) - 1) | 0) >> wscale) << wscale;
  }
  tp.rcvWnd = window;
  tp.rcvWup = tp.rcvNxt;
  const most = MAX_WINDOW_FIELD << wscale;
  const field = (window < most ? window : most) >> wscale;
  if (field === 0) {
    tp.predFlags = 0;
    if (oldWindow !== 0) sk.net.mib[LINUX_MIB_TCPTOZEROWINDOWADV]!++;
  } else if (oldWindow === 0) {
    sk.net.mib[LINUX_MIB_TCPFROMZEROWINDOWADV]!++;
  }
  return field;
}

/**
 * The first window to advertise, its scale and limit; the answer is in `tcpInitialWindow`. Linux: tcp_select_initial_window().
 * @param space data bytes the receive buffer may hold (tcpFullSpace) @param mss payload of the peer's segments
 * @param windowClamp limit of the program (TCP_WINDOW_CLAMP), 0 for none @param wscaleOk both sides scale
 */
export function tcpSelectInitialWindow(space: number, mss: number, windowClamp: number, wscaleOk: boolean): void {
  const out = tcpInitialWindow;
  const clamp = windowClamp === 0 ? MAX_WINDOW_FIELD << TCP_MAX_WSCALE : windowClamp;
  let window = space < 0 ? 0 : space;
  if (window > clamp) window = clamp;
  if (window > mss) window -= window % mss;
  let wscale = 0;
  if (wscaleOk) {
    // The scale is for the connection's life: it must do for a buffer that has grown.
    const grown = tcpRmemMax >> 1;
    let scaled = grown > space ? grown : space;
    if (scaled > clamp) scaled = clamp;
    while (scaled > MAX_WINDOW_FIELD && wscale < TCP_MAX_WSCALE) {
      scaled >>= 1;
      wscale++;
    }
  }
  out.rcvWnd = window < MAX_WINDOW_FIELD ? window : MAX_WINDOW_FIELD;
  out.rcvWscale = wscale;
  const most = MAX_WINDOW_FIELD << wscale;
  out.windowClamp = clamp < most ? clamp : most;
}

/** A connection is established: its windows are bounded by the buffer it has. Linux: tcp_init_buffer_space(). */
export function tcpInitBufferSpace(sk: TcpSk): void {
  const tp = sk.tp;
  const most = tcpFullSpace(sk);
  const clamp = words[tp.cold + TP_WINDOW_CLAMP]! > most ? most : words[tp.cold + TP_WINDOW_CLAMP]!;
  words[tp.cold + TP_WINDOW_CLAMP] = clamp;
  if (tp.rcvSsthresh > clamp) tp.rcvSsthresh = clamp;
  words[tp.cold + TP_SND_CWND_STAMP] = jiffies;
  if (tcpRcvbuf !== null) tcpRcvbuf.init(sk);
}

/** First guess of the size of the peer's segments: too small would delay no ACK, too large would delay one (RFC 1122 4.2.3.2). */
export function tcpInitializeRcvMss(sk: TcpSk): void {
  const tp = sk.tp;
  let hint = words[tp.cold + TP_ADVMSS]! < tp.mssCache ? words[tp.cold + TP_ADVMSS]! : tp.mssCache;
  if (hint > tp.rcvWnd >> 1) hint = tp.rcvWnd >> 1;
  if (hint > TCP_MSS_DEFAULT) hint = TCP_MSS_DEFAULT;
  sk.icsk.ackRcvMss = hint < TCP_MIN_MSS ? TCP_MIN_MSS : hint;
}

/** Word 3 of the header of the next segment expected: header length, ACK, the peer's window as it is. */
export function tcpFastPathOn(tp: TcpSock): void {
  tp.predFlags = (tp.tcpHeaderLen << 26) | (TCPHDR_ACK << 16) | (tp.sndWnd >> tp.sndWscale);
}

/** Turns header prediction on when nothing out of the ordinary is at hand. Linux: tcp_fast_path_check(). */
export function tcpFastPathCheck(sk: TcpSk): void {
  const tp = sk.tp;
  if (tp.ofoTail === null && tp.rcvWnd !== 0 && words[tp.cold + TP_URG_DATA] === 0 && sk.rmemAlloc < sk.rcvbuf) tcpFastPathOn(tp);
}

/** Bytes of the socket's IP options. Linux: icsk_ext_hdr_len. */
export function tcpExtHdrLen(sk: TcpSk): number {
  return (sk.inet.flags & IP_CMSG_OPTIONS) === 0 ? 0 : ipOptions!.length(sk);
}

/** Bytes of the signature in each segment of the connection. */
function md5Room(sk: TcpSk): number {
  return tcpMd5Keys === 0 ? 0 : tcpMd5!.room(sk);
}

/** Payload of a segment with the connection's options on a path of this MTU. Linux: tcp_mtu_to_mss(). */
export function tcpMtuToMss(sk: TcpSk, pmtu: number): number {
  const tp = sk.tp;
  let mss = pmtu - IP_TCP_HLEN;
  const clamp = words[tp.cold + TP_MSS_CLAMP]!;
  if (mss > clamp && clamp !== 0) mss = clamp;
  mss -= tcpExtHdrLen(sk);
  const least = sk.net.ipv4.tcpMinSndMss;
  return (mss < least ? least : mss) - (tp.tcpHeaderLen + md5Room(sk) - TCP_HLEN);
}

/** The other way round. Linux: tcp_mss_to_mtu(). */
export function tcpMssToMtu(sk: TcpSk, mss: number): number {
  return mss + IP_TCP_HLEN + sk.tp.tcpHeaderLen + md5Room(sk) - TCP_HLEN + tcpExtHdrLen(sk);
}

/**
 * Sets the payload size of segments for a path MTU: after connect, a learned MTU, a new largest window. Never more than half of
 * the largest window the peer had (or its window could never be filled by whole segments), nor than one buffer holds.
 * Linux: tcp_sync_mss(). @returns the new mssCache
 */
export function tcpSyncMss(sk: TcpSk, pmtu: number): number {
  const tp = sk.tp;
  const headerLen = tp.tcpHeaderLen + md5Room(sk);
  let mss = tcpMtuToMss(sk, pmtu);
  const buffer = skbBufferBytes - TCP_HEADROOM - headerLen - tcpExtHdrLen(sk);
  if (mss > buffer) mss = buffer;
  const window = words[tp.cold + TP_MAX_WINDOW]!;
  const most = window > TCP_MSS_DEFAULT ? window >> 1 : window;
  if (most !== 0 && mss > most) {
    const least = 68 - headerLen;
    mss = most > least ? most : least;
  }
  if (tcpMtupSearching !== 0) mss = tcpMtuProbes!.bound(sk, pmtu, mss);
  sk.icsk.pmtuCookie = pmtu;
  tp.mssCache = mss;
  return mss;
}

/** The payload size of segments now; notices that the route's MTU changed. Linux: tcp_current_mss(). */
export function tcpCurrentMss(sk: TcpSk): number {
  const dst = sk.dst;
  if (dst !== null) {
    const mtu = dst.ops.mtu(dst);
    if (mtu !== sk.icsk.pmtuCookie) return tcpSyncMss(sk, mtu);
  }
  return sk.tp.mssCache;
}

/** The MSS to advertise: of the route, never raised again. Linux: tcp_advertise_mss(). */
export function tcpAdvertiseMss(sk: TcpSk): number {
  const tp = sk.tp;
  const dst = skDstCheck(sk);
  if (dst !== null) {
    const metric = dst.ops.defaultAdvmss(dst);
    if (metric < words[tp.cold + TP_ADVMSS]!) words[tp.cold + TP_ADVMSS] = metric;
  }
  return words[tp.cold + TP_ADVMSS]!;
}

/**
 * The MSS we advertise over this route, within the program's limit. Linux: tcp_mss_clamp(tp, dst_metric_advmss(dst)).
 */
export function tcpAdvmss(sk: TcpSk, dst: DstEntry): number {
  const mss = dst.ops.defaultAdvmss(dst);
  const userMss = words[sk.tp.cold + TP_USER_MSS]!;
  return userMss !== 0 && userMss < mss ? userMss : mss;
}
