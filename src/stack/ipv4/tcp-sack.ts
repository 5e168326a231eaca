/**
 * SACK, the receiver's side: which blocks lie beyond the hole, which range came twice, and the option that says so. Linux:
 * tcp_dsack_set(), tcp_sack_new_ofo_skb() and tcp_sack_remove() of net/ipv4/tcp_input.c, tcp_established_options() of
 * net/ipv4/tcp_output.c. Read first: RFC 2018 sections 3 and 4 (the block that changed last comes first), RFC 2883 (D-SACK).
 *
 * Unlike Linux no segment is shortened to make room for blocks: one with data carries them only as far as it has room left. What
 * arrives out of order is answered at once by an ACK of its own anyway.
 */
import { memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import { LINUX_MIB_TCPDSACKOFOSENT, LINUX_MIB_TCPDSACKOLDSENT } from "../../uapi/snmp.ts";
import {
  MAX_TCP_OPTION_SPACE, TCP_HLEN, TCPOLEN_SACK_BASE, TCPOLEN_SACK_BASE_ALIGNED, TCPOLEN_SACK_PERBLOCK, TCPOPT_NOP,
  TCPOPT_SACK,
} from "../wire/tcp.ts";
import { TP_DSACK, TP_DUP_END, TP_DUP_START, TP_NUM_SACKS, TP_SACK_BLOCKS, TP_SACK_OK } from "./tcp-cold.ts";
import { TCP_NUM_SACKS, type TcpSk, type TcpSock } from "./tcp-sock.ts";

/** NOP NOP SACK and a length to be added. */
const SACK_WORD = (TCPOPT_NOP << 24) | (TCPOPT_NOP << 16) | (TCPOPT_SACK << 8) | TCPOLEN_SACK_BASE;

/** These bytes came before: the next ACK tells. Linux: tcp_dsack_set(). */
export function tcpDsackSet(sk: TcpSk, start: number, end: number): void {
  const tp = sk.tp;
  if (words[tp.cold + TP_SACK_OK] === 0 || sk.net.ipv4.tcpDsack === 0) return;
  const rec = tp.cold;
  sk.net.mib[((start - tp.rcvNxt) | 0) < 0 ? LINUX_MIB_TCPDSACKOLDSENT : LINUX_MIB_TCPDSACKOFOSENT]!++;
  words[rec + TP_DSACK] = 1;
  words[rec + TP_DUP_START] = start;
  words[rec + TP_DUP_END] = end;
}

/** And these too, when they touch the range that will be told. Linux: tcp_dsack_extend(). */
export function tcpDsackExtend(sk: TcpSk, start: number, end: number): void {
  const rec = sk.tp.cold;
  if (words[rec + TP_DSACK] === 0) {
    tcpDsackSet(sk, start, end);
    return;
  }
  if (((start - words[rec + TP_DUP_END]!) | 0) > 0 || ((words[rec + TP_DUP_START]! - end) | 0) > 0) return;
  if (((start - words[rec + TP_DUP_START]!) | 0) < 0) words[rec + TP_DUP_START] = start;
  if (((end - words[rec + TP_DUP_END]!) | 0) > 0) words[rec + TP_DUP_END] = end;
}

/** Removes block `index`. */
function removeBlock(rec: number, index: number): void {
  const blocks = rec + TP_SACK_BLOCKS;
  const last = --words[rec + TP_NUM_SACKS]!;
  for (let i = index * 2; i < last * 2; i++) words[blocks + i] = words[blocks + i + 2]!;
}

/** A segment was kept beyond the hole: its block, with all that it touches, becomes the first. Linux: tcp_sack_new_ofo_skb(). */
export function tcpSackNewOfoSkb(tp: TcpSock, start: number, end: number): void {
  if (words[tp.cold + TP_SACK_OK] === 0) return;
  const rec = tp.cold;
  const blocks = rec + TP_SACK_BLOCKS;
  let low = start;
  let high = end;
  for (let i = 0; i < words[rec + TP_NUM_SACKS]!;) {
    const from = words[blocks + i * 2]!;
    const to = words[blocks + i * 2 + 1]!;
    if (((low - to) | 0) > 0 || ((from - high) | 0) > 0) {
      i++;
      continue;
    }
    if (((from - low) | 0) < 0) low = from;
    if (((to - high) | 0) > 0) high = to;
    removeBlock(rec, i);
  }
  const kept = words[rec + TP_NUM_SACKS]! < TCP_NUM_SACKS ? words[rec + TP_NUM_SACKS]! : TCP_NUM_SACKS - 1;
  for (let i = kept * 2 - 1; i >= 0; i--) words[blocks + i + 2] = words[blocks + i]!;
  words[blocks + 0] = low;
  words[blocks + 1] = high;
  words[rec + TP_NUM_SACKS] = kept + 1;
}

/** rcvNxt has moved: blocks it has reached are no news any more. Linux: tcp_sack_remove(). */
export function tcpSackRemove(tp: TcpSock): void {
  const rec = tp.cold;
  if (tp.ofoTail === null) {
    words[rec + TP_NUM_SACKS] = 0;
    return;
  }
  for (let i = 0; i < words[rec + TP_NUM_SACKS]!;) {
    if (((tp.rcvNxt - words[rec + TP_SACK_BLOCKS + i * 2]!) | 0) >= 0) removeBlock(rec, i);
    else i++;
  }
}

/** Segments out of order were dropped: what is still there is told, block by block. Linux: tcp_sack_reset() and what follows it. */
export function tcpSackRebuild(tp: TcpSock): void {
  words[tp.cold + TP_NUM_SACKS] = 0;
  for (let skb = tp.ofoTail; skb !== null; skb = skb.prev) tcpSackNewOfoSkb(tp, skb.seq, skb.endSeq);
}

/** Bytes of the SACK option of the next segment when `room` bytes are left for it; 0 when there is nothing to tell. */
export function tcpSackOptionLength(tp: TcpSock, room: number): number {
  const rec = tp.cold;
  let count = words[rec + TP_NUM_SACKS]! + (words[rec + TP_DSACK] !== 0 ? 1 : 0);
  if (count === 0) return 0;
  const option = MAX_TCP_OPTION_SPACE - (tp.tcpHeaderLen - TCP_HLEN);
  const most = (((option < room ? option : room) - TCPOLEN_SACK_BASE_ALIGNED) / TCPOLEN_SACK_PERBLOCK) | 0;
  if (count > most) count = most;
  return count <= 0 ? 0 : TCPOLEN_SACK_BASE_ALIGNED + count * TCPOLEN_SACK_PERBLOCK;
}

/** Writes the option of that many bytes at `offset`. The duplicate comes first and is told once. */
export function tcpWriteSackOption(tp: TcpSock, offset: number, length: number): void {
  const rec = tp.cold;
  const view = memView;
  const end = offset + length;
  let at = offset + TCPOLEN_SACK_BASE_ALIGNED;
  view.setInt32(offset, SACK_WORD + length - TCPOLEN_SACK_BASE_ALIGNED);
  if (words[rec + TP_DSACK] !== 0) {
    view.setInt32(at, words[rec + TP_DUP_START]!);
    view.setInt32(at + 4, words[rec + TP_DUP_END]!);
    at += TCPOLEN_SACK_PERBLOCK;
    words[rec + TP_DSACK] = 0;
  }
  for (let i = 0; at < end; i++, at += 4) view.setInt32(at, words[rec + TP_SACK_BLOCKS + i]!);
}
