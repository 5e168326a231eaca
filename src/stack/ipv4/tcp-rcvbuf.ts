/**
 * The receive buffer of a busy connection grows: to what a program read in one round trip, and twice that, so that the window is
 * never the limit. Linux: tcp_rcv_space_adjust() and tcp_rcv_rtt_measure() of net/ipv4/tcp_input.c. Read first: Fisk and Feng,
 * "Dynamic right-sizing in TCP" (2001). How far buffers may grow is the option rcvbufMaxPackets of boot().
 *
 * Who only receives has no segments of its own to time. The round trip is then how long the peer takes to fill a window: what it
 * sends behind that was let go by an acknowledgment that had to reach it first. With timestamps, the echo of the last
 * acknowledgment says it. Both are too long when the peer had nothing to send, so that the shortest counts most.
 *
 * The buffer is a limit, not memory: what the pool cannot hold at the moment is not advertised (tcpSpace).
 */
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import { SK_USERLOCKS, SOCK_RCVBUF_LOCK } from "../core/sock.ts";
import { SKB_OVERHEAD_BYTES, skbBufferBytes } from "../core/skbuff.ts";
import {
  TP_ADVMSS, TP_RCV_RTT, TP_RCV_RTT_TIME, TP_RCVQ_SEQ, TP_RCVQ_SPACE, TP_RCVQ_TIME, TP_WINDOW_CLAMP,
} from "./tcp-cold.ts";
import { TCP_INIT_CWND } from "./tcp-cong.ts";
import { tcpRmemMax, type TcpRcvbufOps } from "./tcp-parts.ts";
import type { TcpSk, TcpSock } from "./tcp-sock.ts";
import { MAX_WINDOW_FIELD, tcpPoolSpace, tcpSpaceFromWin, tcpWinFromSpace } from "./tcp-window.ts";

/** Words of a row from TP_RCVQ_SPACE on. */
const SEQ = TP_RCVQ_SEQ - TP_RCVQ_SPACE;
const TIME = TP_RCVQ_TIME - TP_RCVQ_SPACE;
const RTT = TP_RCV_RTT - TP_RCVQ_SPACE;

/** A connection begins: nothing is read yet. Linux: the end of tcp_init_buffer_space(). */
function tcpRcvqSpaceInit(sk: TcpSk): void {
  const tp = sk.tp;
  const cold = tp.cold;
  const initial = TCP_INIT_CWND * words[cold + TP_ADVMSS]!;
  const window = tp.rcvWnd < tp.rcvSsthresh ? tp.rcvWnd : tp.rcvSsthresh;
  words[cold + TP_RCVQ_SPACE] = window < initial ? window : initial;
  words[cold + TP_RCVQ_SEQ] = tp.copiedSeq;
  words[cold + TP_RCVQ_TIME] = jiffies;
  tp.rcvRttSeq = tp.rcvNxt;
  words[cold + TP_RCV_RTT_TIME] = 0;
}

/**
 * A round trip was measured, in ms. One that is longer than the last is smoothed in, but not when it tells of a window (too
 * coarse), nor while the program is behind. Linux: tcp_rcv_rtt_update().
 */
function rcvRttUpdate(tp: TcpSock, sample: number, ofWindow: boolean): void {
  const at = tp.cold + TP_RCV_RTT;
  const before = words[at]!;
  if (before === 0 || sample << 3 < before) words[at] = sample << 3;
  else if (!ofWindow && tp.rcvNxt === tp.copiedSeq) words[at] = before - (before >> 3) + sample;
}

/** Data up to `end` has come, which fills the window that was open when the last measurement began. Linux: tcp_rcv_rtt_measure(). */
function tcpRcvRttMeasure(tp: TcpSock, end: number): void {
  const cold = tp.cold;
  const since = words[cold + TP_RCV_RTT_TIME]!;
  const now = jiffies === 0 ? 1 : jiffies;
  if (since !== 0) {
    const sample = (now - since) | 0;
    rcvRttUpdate(tp, sample === 0 ? 1 : sample, true);
  }
  tp.rcvRttSeq = (end + tp.rcvWnd) | 0;
  words[cold + TP_RCV_RTT_TIME] = now;
}

/**
 * Data has come with an echo not seen before, of as many sequence numbers; a full segment tells the round trip, but not one that
 * came back at once. Linux: tcp_rcv_rtt_measure_ts().
 */
function tcpRcvRttMeasureTs(sk: TcpSk, length: number): void {
  const tp = sk.tp;
  tp.rcvRttTsecr = tp.rcvTsecr;
  if (length < sk.icsk.ackRcvMss) return;
  const sample = (jiffies - tp.rcvTsecr) | 0;
  if (sample > 0) rcvRttUpdate(tp, sample, false);
}

/** The buffer follows what was read in a round trip, after `before` in the one before. Linux: tcp_rcvbuf_grow(). */
function tcpRcvbufGrow(sk: TcpSk, copied: number, before: number): void {
  const tp = sk.tp;
  if (sk.net.ipv4.tcpModerateRcvbuf === 0 || (words[sk.cold + SK_USERLOCKS]! & SOCK_RCVBUF_LOCK) !== 0) return;
  const last = tp.ofoTail;
  let window = copied * 2;
  // The sender may be in slow start: twice as much more as it grew by.
  window += 2 * Math.floor((window * (copied - before)) / (before < 1 ? 1 : before));
  // What waits behind a hole needs its place too.
  if (last !== null) window += (last.endSeq - tp.rcvNxt) | 0;
  const wanted = tcpSpaceFromWin(sk, window);
  const rcvbuf = wanted < tcpRmemMax ? wanted : tcpRmemMax;
  if (rcvbuf <= sk.rcvbuf) return;
  sk.rcvbuf = rcvbuf;
  // The two segments that an acknowledgment answers are in the pool then: a window beyond what that leaves could not be kept open.
  const pool = tcpPoolSpace - 2 * (skbBufferBytes + SKB_OVERHEAD_BYTES);
  const clamp = tcpWinFromSpace(sk, rcvbuf < pool ? rcvbuf : pool);
  const most = MAX_WINDOW_FIELD << tp.rcvWscale;
  words[tp.cold + TP_WINDOW_CLAMP] = clamp < most ? clamp : most;
}

/**
 * Bytes were read: is a round trip over, the buffer grows if more was read in it than ever before, not counting as much as still
 * waits: a program that is behind needs no more room. Linux: tcp_rcv_space_adjust().
 */
function tcpRcvSpaceAdjust(sk: TcpSk, tp: TcpSock): void {
  const at = tp.cold + TP_RCVQ_SPACE;
  const now = jiffies;
  const rtt = words[at + RTT]! >> 3;
  if (((now - words[at + TIME]!) | 0) < rtt || rtt === 0) return;
  words[at + TIME] = now;
  const read = tp.copiedSeq;
  const copied = (read + read - words[at + SEQ]! - tp.rcvNxt) | 0;
  words[at + SEQ] = read;
  const before = words[at]!;
  if (copied <= before) return;
  tcpRcvbufGrow(sk, copied, before);
  words[at] = copied;
}

/** What the rest of TCP finds of it, in tcp-parts.ts. */
export const tcpRcvbufOps: TcpRcvbufOps = Object.freeze({
  init: tcpRcvqSpaceInit, window: tcpRcvRttMeasure, echo: tcpRcvRttMeasureTs, read: tcpRcvSpaceAdjust,
});
