/**
 * SACK, the sender's side: blocks of an ACK into the scoreboard, which is the `sacked` bits of the write queue. Linux:
 * tcp_sacktag_write_queue() of net/ipv4/tcp_input.c. Read first: RFC 2018 section 5, RFC 2883 section 4 (D-SACK),
 * RFC 6675 section 4.
 *
 * Each segment sent is one of: unknown, sacked (S), lost (L), retransmitted (R), L and R, S and R. sackedOut, lostOut and
 * retransOut count the bits. Segments here are never longer than an MSS, so that a block covers a segment whole or says nothing
 * of it.
 */
import { memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import {
  LINUX_MIB_TCPDSACKIGNOREDNOUNDO, LINUX_MIB_TCPDSACKIGNOREDOLD, LINUX_MIB_TCPSACKDISCARD, LINUX_MIB_TCPSACKREORDER,
  LINUX_MIB_TCPTSREORDER,
} from "../../uapi/snmp.ts";
import { TCP_CA_LOSS } from "../../uapi/tcp.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { FLAG_DATA_SACKED, FLAG_DSACKING_ACK, FLAG_ORIG_SACK_ACKED } from "./tcp-ack-flags.ts";
import {
  TP_DELIVERED, TP_HIGH_SEQ, TP_HIGHEST_SACK_SEQ, TP_MAX_WINDOW, TP_REORD_SEEN, TP_REORDERING, TP_UNDO_MARKER, TP_UNDO_RETRANS,
} from "./tcp-cold.ts";
import { rxOpt } from "./tcp-options.ts";
import { tcpRack, tcpRates, tcpUndo } from "./tcp-parts.ts";
import {
  TCPCB_LOST, TCPCB_RETRANS, TCPCB_SACKED_ACKED, TCPCB_SACKED_RETRANS, type TcpSk, type TcpSock,
} from "./tcp-sock.ts";

/** Most segments of reordering believed in (tcp_max_reordering). */
const TCP_MAX_REORDERING = 300;

/** What the ACK at hand has told so far: FLAG_*, lowest reordered number, times of sending of what it sacked. */
let ackFlag = 0;
let reord = 0;
/** The ACK sacked segments sent once: when the first and the last of them had left. */
export let sackTimed = false;
export let firstSackt = 0;
export let lastSackt = 0;

/** The end of what is known to have arrived. Linux: tcp_highest_sack_seq(). */
export function tcpHighestSackSeq(tp: TcpSock): number {
  return tp.sackedOut === 0 ? tp.sndUna : words[tp.cold + TP_HIGHEST_SACK_SEQ]!;
}

/** Data from `low` on arrived after data beyond it: the estimate of reordering follows. Linux: tcp_check_sack_reordering(). */
export function tcpCheckSackReordering(sk: TcpSk, low: number, byTimestamp: boolean): void {
  const tp = sk.tp;
  const metric = (tcpHighestSackSeq(tp) - low) | 0;
  if (metric <= 0) return;
  const mss = tp.mssCache;
  if (metric > words[tp.cold + TP_REORDERING]! * mss) {
    const segments = ((metric + mss - 1) / mss) | 0;
    words[tp.cold + TP_REORDERING] = segments < TCP_MAX_REORDERING ? segments : TCP_MAX_REORDERING;
  }
  words[tp.cold + TP_REORD_SEEN]!++;
  sk.net.mib[byTimestamp ? LINUX_MIB_TCPTSREORDER : LINUX_MIB_TCPSACKREORDER]!++;
}

/** May a block be believed? A D-SACK only as far as retransmissions go that could be undone. Linux: tcp_is_sackblock_valid(). */
function sackblockValid(tp: TcpSock, dsack: boolean, start: number, end: number): boolean {
  if (((end - tp.sndNxt) | 0) > 0 || ((start - end) | 0) >= 0 || ((start - tp.sndNxt) | 0) >= 0) return false;
  if (((start - tp.sndUna) | 0) > 0) return true;
  const marker = words[tp.cold + TP_UNDO_MARKER]!;
  if (!dsack || marker === 0 || ((end - tp.sndUna) | 0) > 0) return false;
  if (((start - marker) | 0) >= 0) return true;
  return ((end - marker) | 0) > 0 && ((end - start) | 0) <= words[tp.cold + TP_MAX_WINDOW]!;
}

/** A segment in flight is known to have arrived. */
function tagDelivered(tp: TcpSock, skb: SkBuff): void {
  const rec = tp.cold;
  const sacked = skb.sacked;
  const seq = skb.seq;
  const endSeq = skb.endSeq;
  if (tcpRack !== null) tcpRack.advance(tp, sacked, endSeq, skb.when);
  let bits = sacked;
  if ((sacked & TCPCB_SACKED_RETRANS) !== 0) {
    // Not marked lost: the retransmission is believed to be on its way still.
    if ((sacked & TCPCB_LOST) !== 0) {
      bits &= ~(TCPCB_LOST | TCPCB_SACKED_RETRANS);
      tp.lostOut--;
      tp.retransOut--;
    }
  } else {
    if ((sacked & TCPCB_RETRANS) === 0) {
      if (((seq - tcpHighestSackSeq(tp)) | 0) < 0 && ((seq - reord) | 0) < 0) reord = seq;
      if (((endSeq - words[tp.cold + TP_HIGH_SEQ]!) | 0) <= 0) ackFlag |= FLAG_ORIG_SACK_ACKED;
      if (!sackTimed) {
        sackTimed = true;
        firstSackt = skb.when;
      }
      lastSackt = skb.when;
    }
    if ((sacked & TCPCB_LOST) !== 0) {
      bits &= ~TCPCB_LOST;
      tp.lostOut--;
    }
  }
  if (tp.sackedOut === 0 || ((endSeq - words[rec + TP_HIGHEST_SACK_SEQ]!) | 0) > 0) words[rec + TP_HIGHEST_SACK_SEQ] = endSeq;
  skb.sacked = bits | TCPCB_SACKED_ACKED;
  ackFlag |= FLAG_DATA_SACKED;
  tp.sackedOut++;
  words[tp.cold + TP_DELIVERED]!++;
}

/** Takes one segment that a block covers. Linux: tcp_sacktag_one(). */
function tagSegment(sk: TcpSk, tp: TcpSock, skb: SkBuff, dsack: boolean): void {
  const rec = tp.cold;
  const sacked = skb.sacked;
  if (dsack && (sacked & TCPCB_RETRANS) !== 0) {
    if (words[rec + TP_UNDO_MARKER] !== 0 && words[rec + TP_UNDO_RETRANS]! > 0 && ((skb.endSeq - words[rec + TP_UNDO_MARKER]!) | 0) > 0) words[rec + TP_UNDO_RETRANS]!--;
    if ((sacked & TCPCB_SACKED_ACKED) !== 0 && ((skb.seq - reord) | 0) < 0) reord = skb.seq;
  }
  if (((skb.endSeq - tp.sndUna) | 0) <= 0) return;
  if ((sacked & TCPCB_SACKED_ACKED) === 0) {
    tagDelivered(tp, skb);
    if (tcpRates !== null) tcpRates.delivered(sk, skb);
  }
  // Both copies have arrived.
  if (dsack && (skb.sacked & TCPCB_SACKED_RETRANS) !== 0) {
    skb.sacked &= ~TCPCB_SACKED_RETRANS;
    tp.retransOut--;
  }
}

/** Takes the segments that a block covers whole. Linux: tcp_sacktag_walk(). */
function tagBlock(sk: TcpSk, start: number, end: number, dsack: boolean): void {
  const tp = sk.tp;
  const stop = sk.sendHead;
  for (let skb = sk.writeQueue.head; skb !== null && skb !== stop; skb = skb.next) {
    if (((skb.seq - end) | 0) >= 0) return;
    if (((skb.seq - start) | 0) >= 0 && ((skb.endSeq - end) | 0) <= 0) tagSegment(sk, tp, skb, dsack);
  }
}

function countInvalid(sk: TcpSk, dsack: boolean, ack: number, end: number): void {
  const tp = sk.tp;
  let index = LINUX_MIB_TCPSACKDISCARD;
  if (dsack) index = words[tp.cold + TP_UNDO_MARKER] === 0 ? LINUX_MIB_TCPDSACKIGNOREDNOUNDO : LINUX_MIB_TCPDSACKIGNOREDOLD;
  // One that ACKs which overtook each other brought is merely old.
  else if (ack !== tp.sndUna && ((end - tp.sndUna) | 0) <= 0) return;
  sk.net.mib[index]!++;
}

/** Of the blocks whose bits are set in `left`, the one that begins lowest. */
function lowestBlock(left: number): number {
  let best = -1;
  let low = 0;
  for (let i = 0; i < rxOpt.numSacks; i++) {
    if ((left & (1 << i)) === 0) continue;
    const start = memView.getInt32(rxOpt.sackOffset + (i << 3));
    if (best < 0 || ((start - low) | 0) < 0) {
      best = i;
      low = start;
    }
  }
  return best;
}

/**
 * Takes the SACK blocks of an ACK (they are in `rxOpt`) into the scoreboard; sndUna has moved already, the queue not.
 * Linux: tcp_sacktag_write_queue(). @returns FLAG_*
 */
export function tcpSacktagWriteQueue(sk: TcpSk, ack: number, priorUna: number): number {
  const tp = sk.tp;
  sackTimed = false;
  reord = tp.sndNxt;
  ackFlag = tcpUndo === null ? 0 : tcpUndo.checkDsack(sk, ack, priorUna);
  const dsackFound = (ackFlag & FLAG_DSACKING_ACK) !== 0;
  if (((ack - priorUna) | 0) < -words[tp.cold + TP_MAX_WINDOW]!) return 0;
  if (tp.packetsOut === 0) return ackFlag;
  // The lowest block first, so that one ACK with several new blocks is not taken for reordering.
  for (let left = (1 << rxOpt.numSacks) - 1; left !== 0;) {
    const index = lowestBlock(left);
    left &= ~(1 << index);
    const at = rxOpt.sackOffset + (index << 3);
    const start = memView.getInt32(at);
    const end = memView.getInt32(at + 4);
    const dsack = index === 0 && dsackFound;
    if (!sackblockValid(tp, dsack, start, end)) countInvalid(sk, dsack, ack, end);
    else if (((end - priorUna) | 0) > 0) tagBlock(sk, start, end, dsack);
  }
  if (sk.icsk.caState !== TCP_CA_LOSS || words[tp.cold + TP_UNDO_MARKER] !== 0) tcpCheckSackReordering(sk, reord, false);
  return ackFlag;
}

/** Forgets the times of the last ACK's blocks: the one at hand has none. */
export function tcpSackStateClear(): void {
  sackTimed = false;
}
