/**
 * The receive buffer of a busy connection grows: to what a program read in one round trip, and twice that, so that the window is
 * never the limit. Linux: tcp_rcv_space_adjust() of net/ipv4/tcp_input.c. Read first: Fisk and Feng, "Dynamic right-sizing in TCP"
 * (2001). Owns a row of words for each sock, where the option rcvbufMaxPackets of boot() lets buffers grow.
 *
 * The round trip is the one the handshake and our own data measured; Linux keeps a second estimate of the receiver's. The buffer is a
 * limit, not memory: what the pool cannot hold at the moment is not advertised (tcpSpace).
 */
import { words, wordTable } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import { SK_USERLOCKS, SOCK_RCVBUF_LOCK } from "../core/sock.ts";
import { SKB_OVERHEAD_BYTES, skbBufferBytes } from "../core/skbuff.ts";
import { TP_ADVMSS, TP_WINDOW_CLAMP } from "./tcp-cold.ts";
import { TCP_INIT_CWND } from "./tcp-cong.ts";
import type { TcpSk } from "./tcp-sock.ts";
import { MAX_WINDOW_FIELD, tcpSpaceFromWin, tcpWinFromSpace } from "./tcp-window.ts";

/** Words of a row: bytes read in the last round trip, copiedSeq and the time at the begin of this one. */
const WORDS = 3;
const SPACE = 0;
const SEQ = 1;
const TIME = 2;

/** Most bytes a buffer may grow to (the maximum of net.ipv4.tcp_rmem); 0: buffers stay as they begin. */
export let tcpRmemMax = 0;

let rows = 0;

/** Words of the table. */
export function tcpRcvbufWords(socks: number, maxPackets: number): number {
  return maxPackets === 0 ? 0 : socks * WORDS;
}

/** Boot time only. @param socks handles of socks @param maxPackets full packets a buffer may grow to, 0 for no growth */
export function tcpRcvbufInit(socks: number, maxPackets: number): void {
  tcpRmemMax = maxPackets * (skbBufferBytes + SKB_OVERHEAD_BYTES);
  if (maxPackets !== 0) rows = wordTable("tcp_rcvq_space", socks * WORDS);
}

/** A connection begins: nothing is read yet. Linux: the end of tcp_init_buffer_space(). */
export function tcpRcvqSpaceInit(sk: TcpSk): void {
  const tp = sk.tp;
  const at = rows + sk.index * WORDS;
  const initial = TCP_INIT_CWND * words[tp.cold + TP_ADVMSS]!;
  words[at + SPACE] = tp.rcvWnd < initial ? tp.rcvWnd : initial;
  words[at + SEQ] = tp.copiedSeq;
  words[at + TIME] = jiffies;
}

/** The buffer for that much read in a round trip, after `before` in the one before. Linux: tcp_rcvbuf_grow(). */
function wantedRcvbuf(sk: TcpSk, copied: number, before: number): number {
  const last = sk.tp.ofoTail;
  let window = copied * 2;
  // The sender may be in slow start: twice as much more as it grew by.
  window += 2 * Math.floor((window * (copied - before)) / before);
  // What waits behind a hole needs its place too.
  if (last !== null) window += (last.endSeq - sk.tp.rcvNxt) | 0;
  const wanted = tcpSpaceFromWin(sk, window);
  return wanted < tcpRmemMax ? wanted : tcpRmemMax;
}

/** Bytes were read: once in a round trip the buffer follows what a round trip needs. Linux: tcp_rcv_space_adjust(). */
export function tcpRcvSpaceAdjust(sk: TcpSk): void {
  const tp = sk.tp;
  const at = rows + sk.index * WORDS;
  const srtt = tp.srtt >> 3;
  if (srtt === 0 || ((jiffies - words[at + TIME]!) | 0) < srtt) return;
  const copied = (tp.copiedSeq - words[at + SEQ]!) | 0;
  const before = words[at + SPACE]!;
  if (copied > before) {
    if (sk.net.ipv4.tcpModerateRcvbuf !== 0 && (words[sk.cold + SK_USERLOCKS]! & SOCK_RCVBUF_LOCK) === 0) {
      const rcvbuf = wantedRcvbuf(sk, copied, before < 1 ? 1 : before);
      if (rcvbuf > sk.rcvbuf) {
        sk.rcvbuf = rcvbuf;
        const clamp = tcpWinFromSpace(sk, rcvbuf);
        const most = MAX_WINDOW_FIELD << tp.rcvWscale;
        words[tp.cold + TP_WINDOW_CLAMP] = clamp < most ? clamp : most;
      }
    }
    words[at + SPACE] = copied;
  }
  words[at + SEQ] = tp.copiedSeq;
  words[at + TIME] = jiffies;
}
