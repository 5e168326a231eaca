/**
 * Sequence numbers of a connection whose data was made longer or shorter on its way: what lies behind the change is moved, and
 * acknowledgements and SACK blocks of the other side are moved back. Linux: net/netfilter/nf_conntrack_seqadj.c. Owns nothing: its words
 * belong to a helped connection (nf-conntrack-helper.ts).
 *
 * Read first: RFC 3022 section 4.4, RFC 2018 section 3.
 */
import { csumReplace32 } from "../../lib/checksum.ts";
import { mem8, memView } from "../../lib/memory.ts";
import { after, before } from "../../lib/seq.ts";
import { words } from "../../lib/table.ts";
import { skbEnsureWritable } from "../core/skb-copy.ts";
import type { SkBuff } from "../core/skbuff.ts";
import {
  TCP_HLEN, TCPHDR_ACK, TCPOLEN_SACK_BASE, TCPOLEN_SACK_PERBLOCK, TCPOPT_EOL, TCPOPT_NOP, TCPOPT_SACK, TH_ACK, TH_DOFF, TH_FLAGS, TH_SEQ,
  TH_SUM,
} from "../wire/tcp.ts";

/*
 * For each direction: behind which sequence number the last change lies, and by how much numbers up to it and behind it are moved.
 */
const CORRECTION_POS = 0;
const OFFSET_BEFORE = 1;
const OFFSET_AFTER = 2;
const DIRECTION_WORDS = 3;
/** Words of both directions. */
export const SEQADJ_WORDS = DIRECTION_WORDS << 1;

/** How far a number of a direction's sender is moved. Linux: nf_ct_seq_offset(). @param at the words @param seq as it was sent */
export function nfCtSeqOffset(at: number, direction: number, seq: number): number {
  const way = at + direction * DIRECTION_WORDS;
  return words[way + (after(seq, words[way + CORRECTION_POS]!) ? OFFSET_AFTER : OFFSET_BEFORE)]!;
}

/**
 * The data of a segment has become longer. Linux: nf_ct_seqadj_set().
 * @param seq of the segment as it was sent @param more bytes, below 0 when it is shorter
 */
export function nfCtSeqAdjSet(at: number, direction: number, seq: number, more: number): void {
  const way = at + direction * DIRECTION_WORDS;
  const behind = words[way + OFFSET_AFTER]!;
  // A repetition of the segment changes nothing more.
  if (words[way + OFFSET_BEFORE] !== behind && !before(words[way + CORRECTION_POS]!, seq)) return;
  words[way + CORRECTION_POS] = seq;
  words[way + OFFSET_BEFORE] = behind;
  words[way + OFFSET_AFTER] = behind + more;
}

/** A number that the other side has got moved, as its sender knows it. @param way of the sender's direction */
function back(way: number, seq: number): number {
  const moved = after((seq - words[way + OFFSET_BEFORE]!) | 0, words[way + CORRECTION_POS]!);
  return (seq - words[way + (moved ? OFFSET_AFTER : OFFSET_BEFORE)]!) | 0;
}

/** Writes a number of a segment; the checksum follows. */
function write(th: number, at: number, seq: number): void {
  const old = memView.getInt32(at);
  if (old === seq) return;
  memView.setInt32(at, seq);
  memView.setUint16(th + TH_SUM, csumReplace32Anywhere(memView.getUint16(th + TH_SUM), old, seq, (at - th) & 1));
}

/** A number at an odd distance counts with its bytes exchanged (RFC 1071 section 2). */
function csumReplace32Anywhere(sum: number, old: number, now: number, odd: number): number {
  return odd === 0 ? csumReplace32(sum, old, now) : csumReplace32(sum, (old << 8) | (old >>> 24), (now << 8) | (now >>> 24));
}

/** Moves the edges of SACK blocks back. Linux: nf_ct_sack_adjust(). */
function sackAdjust(th: number, end: number, way: number): void {
  let at = th + TCP_HLEN;
  while (at < end) {
    const kind = mem8[at]!;
    if (kind === TCPOPT_EOL) return;
    if (kind === TCPOPT_NOP) {
      at++;
      continue;
    }
    const length = at + 1 < end ? mem8[at + 1]! : 0;
    if (length < 2 || at + length > end) return;
    if (kind === TCPOPT_SACK && (length - TCPOLEN_SACK_BASE) % TCPOLEN_SACK_PERBLOCK === 0) {
      for (let edge = at + TCPOLEN_SACK_BASE; edge < at + length; edge += 4) write(th, edge, back(way, memView.getInt32(edge)));
    }
    at += length;
  }
}

/** Moves the numbers of a segment. Linux: nf_ct_seq_adjust(). @param at the words @returns false when there is no memory */
export function nfCtSeqAdjust(skb: SkBuff, at: number, direction: number): boolean {
  if (!skbEnsureWritable(skb)) return false;
  const th = skb.nh + ((mem8[skb.nh]! & 15) << 2);
  const other = at + (1 - direction) * DIRECTION_WORDS;
  const seq = memView.getInt32(th + TH_SEQ);
  write(th, th + TH_SEQ, (seq + nfCtSeqOffset(at, direction, seq)) | 0);
  if ((mem8[th + TH_FLAGS]! & TCPHDR_ACK) === 0) return true;
  write(th, th + TH_ACK, back(other, memView.getInt32(th + TH_ACK)));
  const end = th + ((mem8[th + TH_DOFF]! >> 4) << 2);
  if (end <= skb.tail) sackAdjust(th, end, other);
  return true;
}
