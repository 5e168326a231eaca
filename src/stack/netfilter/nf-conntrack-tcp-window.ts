/**
 * Is a segment within the windows of its connection, as somebody between both ends can tell? Linux: net/netfilter/
 * nf_conntrack_proto_tcp.c tcp_in_window(), tcp_options(), tcp_sack(). Owns what is remembered of each end (a row's CT_TCP_* words).
 *
 * Each end has sent up to END, may send up to MAXEND by what the other one has said, and has offered MAXWIN bytes at most. A segment is
 * right when
 *
 *    I.   it begins no later than its sender's MAXEND,
 *    II.  it ends no earlier than its sender's END less the receiver's MAXWIN,
 *    III. it acknowledges nothing that the receiver has not sent: ack <= the receiver's END,
 *    IV.  it does not acknowledge what is long past: ack >= the receiver's END - max(MAXWIN, 66,000),
 *
 * where ack is the end of the highest SACK block if there is one. I and III make it INVALID; II and IV are about what comes late:
 * such a segment is let through and changes nothing.
 *
 * Read first: van Rooij, "Real Stateful TCP Packet Filtering in IP Filter" (2000); RFC 7323 section 2 (scale), RFC 2018 (SACK).
 */
import { memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import { IPS_SEQ_ADJUST, TCP_CONNTRACK_SYN_RECV, TCP_CONNTRACK_SYN_SENT } from "../../uapi/nf-conntrack.ts";
import {
  TCP_HLEN, TCPHDR_ACK, TCPHDR_RST, TCPHDR_SYN, TCPOLEN_SACK_BASE, TCPOLEN_SACK_PERBLOCK, TCPOLEN_SACK_PERM, TCPOLEN_TSTAMP_ALIGNED,
  TCPOLEN_WINDOW, TCPOPT_EOL, TCPOPT_NOP, TCPOPT_SACK, TCPOPT_SACK_PERM, TCPOPT_TSTAMP_WORD, TCPOPT_WINDOW, TH_ACK, TH_DOFF,
  TH_FLAGS, TH_SEQ, TH_WIN,
} from "../wire/tcp.ts";
import { ctHelpers } from "./nf-conntrack-parts.ts";
import { CT_PROTO, CT_PROTO_WORDS, CT_STATUS, nfCtTcpState } from "./nf-conntrack-table.ts";
import type { NetnsCt } from "./netns-ct.ts";

/** The segment is right; it changes nothing, but belongs to the connection; it is INVALID. */
export const IN_WINDOW = 1;
export const WINDOW_IGNORE = 0;
export const WINDOW_INVALID = -1;

/*
 * A row's words of TCP. CT_PROTO: the state in 4 bits, then direction and kind of the last segment, how often it was repeated, and
 * LAST_* of the last SYN that was let through unjudged.
 */
export const CT_TCP_LAST_DIRECTION_SHIFT = 4;
export const CT_TCP_LAST_KIND_SHIFT = 5;
export const CT_TCP_RETRANS_SHIFT = 8;
export const CT_TCP_LAST_FLAGS_SHIFT = 16;
/** For each end: its flags, 8 bits; then the shifts of their windows, 4 bits. */
export const CT_TCP_FLAGS = CT_PROTO + 1;
const SCALE_SHIFT = 16;
/** For each end four words. */
const CT_TCP_SEEN = CT_PROTO + 2;
const SEEN_WORDS = 4;
const END = 0;
const MAXEND = 1;
const MAXWIN = 2;
/** The highest acknowledgement that it has sent (TCP_FLAG_MAXACK_SET). */
const MAXACK = 3;
/** Of the last segment that only acknowledges, or was let through unjudged. */
export const CT_TCP_LAST_SEQ = CT_TCP_SEEN + 2 * SEEN_WORDS;
export const CT_TCP_LAST_ACK = CT_TCP_LAST_SEQ + 1;
export const CT_TCP_LAST_END = CT_TCP_LAST_SEQ + 2;
/** Its window as it stands in the header, and from bit 16 on its shift. */
export const CT_TCP_LAST_WIN = CT_TCP_LAST_SEQ + 3;

/** Flags of an end. Linux: IP_CT_TCP_FLAG_*. */
export const TCP_FLAG_WINDOW_SCALE = 1;
export const TCP_FLAG_SACK_PERM = 2;
/** It was the first to close. */
export const TCP_FLAG_CLOSE_INIT = 4;
/** Its windows are not known well enough to be strict. */
export const TCP_FLAG_BE_LIBERAL = 8;
export const TCP_FLAG_DATA_UNACKNOWLEDGED = 16;
export const TCP_FLAG_MAXACK_SET = 32;
/** Flags of the last SYN that was let through: the answer may be a challenge (RFC 5961); both ends have sent a SYN. */
export const TCP_EXP_CHALLENGE_ACK = 64;
export const TCP_SIMULTANEOUS_OPEN = 128;

/** Least distance that an old acknowledgement may have. */
const MAXACKWINDOW = 66_000;
const MAX_SHIFT = 14;
/** In what readOptions() returns: the shift lies above the flags. */
const OPTION_SCALE_SHIFT = 8;

/** Where an end's words are. */
function seenOf(row: number, direction: number): number {
  return row + CT_TCP_SEEN + direction * SEEN_WORDS;
}

export function tcpEndFlags(row: number, direction: number): number {
  return (words[row + CT_TCP_FLAGS]! >> (direction << 3)) & 0xff;
}

export function tcpSetEndFlags(row: number, direction: number, flags: number): void {
  const shift = direction << 3;
  words[row + CT_TCP_FLAGS] = (words[row + CT_TCP_FLAGS]! & ~(0xff << shift)) | (flags << shift);
}

function scaleOf(row: number, direction: number): number {
  return (words[row + CT_TCP_FLAGS]! >> (SCALE_SHIFT + (direction << 2))) & 15;
}

function setScale(row: number, direction: number, scale: number): void {
  const shift = SCALE_SHIFT + (direction << 2);
  words[row + CT_TCP_FLAGS] = (words[row + CT_TCP_FLAGS]! & ~(15 << shift)) | (scale << shift);
}

/** The highest acknowledgement of an end that has TCP_FLAG_MAXACK_SET. */
export function tcpMaxAck(row: number, direction: number): number {
  return words[seenOf(row, direction) + MAXACK]!;
}

/** Where the next option with a length begins that lies whole in front of `end`, or `end`: there is none, or no sense in the rest. */
function optionAt(at: number, end: number): number {
  while (at < end && memView.getUint8(at) === TCPOPT_NOP) at++;
  if (at + 1 >= end || memView.getUint8(at) === TCPOPT_EOL) return end;
  const size = memView.getUint8(at + 1);
  return size < 2 || at + size > end ? end : at;
}

/** TCP_FLAG_WINDOW_SCALE and TCP_FLAG_SACK_PERM as a SYN's options say, the shift from bit 8 on. Linux: tcp_options(). */
export function tcpSynOptions(th: number): number {
  const end = th + ((memView.getUint8(th + TH_DOFF) >> 4) << 2);
  let found = 0;
  for (let at = optionAt(th + TCP_HLEN, end); at < end; at = optionAt(at + memView.getUint8(at + 1), end)) {
    const kind = memView.getUint8(at);
    const size = memView.getUint8(at + 1);
    if (kind === TCPOPT_SACK_PERM && size === TCPOLEN_SACK_PERM) found |= TCP_FLAG_SACK_PERM;
    else if (kind === TCPOPT_WINDOW && size === TCPOLEN_WINDOW) {
      const shift = memView.getUint8(at + 2);
      found = (found & 0xff) | TCP_FLAG_WINDOW_SCALE | ((shift > MAX_SHIFT ? MAX_SHIFT : shift) << OPTION_SCALE_SHIFT);
    }
  }
  return found;
}

/** The end of the highest SACK block behind `ack`, or that. Linux: tcp_sack(). */
function highestSack(th: number, ack: number): number {
  const end = th + ((memView.getUint8(th + TH_DOFF) >> 4) << 2);
  const first = th + TCP_HLEN;
  if (end - first === TCPOLEN_TSTAMP_ALIGNED && memView.getInt32(first) === TCPOPT_TSTAMP_WORD) return ack;
  for (let at = optionAt(first, end); at < end; at = optionAt(at + memView.getUint8(at + 1), end)) {
    const kind = memView.getUint8(at);
    const size = memView.getUint8(at + 1);
    const blocks = size - TCPOLEN_SACK_BASE;
    if (kind === TCPOPT_SACK && blocks >= TCPOLEN_SACK_PERBLOCK && blocks % TCPOLEN_SACK_PERBLOCK === 0) {
      let highest = ack;
      for (let edge = at + TCPOLEN_SACK_BASE + 4; edge < at + size; edge += TCPOLEN_SACK_PERBLOCK) {
        const right = memView.getInt32(edge);
        if (((highest - right) | 0) < 0) highest = right;
      }
      return highest;
    }
  }
  return ack;
}

/** The row of a connection that begins with this segment, met in its middle if it is no SYN. Linux: tcp_new(). */
export function tcpFirstSegment(row: number, th: number, end: number): void {
  words.fill(0, row + CT_PROTO, row + CT_PROTO + CT_PROTO_WORDS);
  const seen = seenOf(row, 0);
  const win = memView.getUint16(th + TH_WIN) || 1;
  words[seen + END] = words[seen + MAXEND] = end;
  words[seen + MAXWIN] = win;
  if ((memView.getUint8(th + TH_FLAGS) & TCPHDR_SYN) !== 0) {
    takeOptions(row, 0, th);
    return;
  }
  words[seen + MAXEND] = (end + win) | 0;
  words[row + CT_TCP_FLAGS] = (TCP_FLAG_SACK_PERM | TCP_FLAG_BE_LIBERAL) * 0x101;
}

/** An end's flags and shift are those of its SYN; of what was known only that it is to be judged liberally stays. */
function takeOptions(row: number, direction: number, th: number): void {
  if (memView.getUint8(th + TH_DOFF) >> 4 === TCP_HLEN >> 2) return;
  const options = tcpSynOptions(th);
  tcpSetEndFlags(row, direction, (tcpEndFlags(row, direction) & TCP_FLAG_BE_LIBERAL) | (options & 0xff));
  setScale(row, direction, options >> OPTION_SCALE_SHIFT);
}

/** A SYN says where its sender begins. Windows are scaled only when both ends offer it. Linux: tcp_init_sender(). */
function initSender(row: number, direction: number, th: number, end: number): void {
  const seen = seenOf(row, direction);
  words[seen + END] = words[seen + MAXEND] = end;
  words[seen + MAXWIN] = memView.getUint16(th + TH_WIN) || 1;
  takeOptions(row, direction, th);
  if (direction === 1 && (tcpEndFlags(row, 0) & tcpEndFlags(row, 1) & TCP_FLAG_WINDOW_SCALE) === 0) {
    setScale(row, 0, 0);
    setScale(row, 1, 0);
  }
}

/**
 * The SYN-ACK that answers a SYN that was let through unjudged: who sent that begins where it said, and of the other end nothing is
 * known any more.
 */
export function tcpResync(row: number, answering: number): void {
  const asking = answering ^ 1;
  const seen = seenOf(row, asking);
  const win = words[row + CT_TCP_LAST_WIN]!;
  words[seen + END] = words[seen + MAXEND] = words[row + CT_TCP_LAST_END]!;
  words[seen + MAXWIN] = (win & 0xffff) || 1;
  setScale(row, asking, (win >> 16) & 15);
  tcpSetEndFlags(row, asking, (words[row + CT_PROTO]! >> CT_TCP_LAST_FLAGS_SHIFT) & 0xff);
  words.fill(0, seenOf(row, answering), seenOf(row, answering) + SEEN_WORDS);
  setScale(row, answering, 0);
  tcpSetEndFlags(row, answering, 0);
}

/**
 * Judges a segment and learns from it. Linux: tcp_in_window().
 * @param end the sequence number behind it @param counts whether it is one that only acknowledges: its repetitions are counted
 * @returns IN_WINDOW, WINDOW_IGNORE or WINDOW_INVALID
 */
export function tcpInWindow(row: number, direction: number, th: number, end: number, counts: boolean, ct: NetnsCt): number {
  const sender = seenOf(row, direction);
  const receiver = seenOf(row, direction ^ 1);
  const flags = memView.getUint8(th + TH_FLAGS);
  const syn = (flags & TCPHDR_SYN) !== 0;
  const state = nfCtTcpState(row);
  const headerWin = memView.getUint16(th + TH_WIN);
  let seq = memView.getInt32(th + TH_SEQ);
  let ack = memView.getInt32(th + TH_ACK);
  let sack = (tcpEndFlags(row, direction ^ 1) & TCP_FLAG_SACK_PERM) !== 0 ? highestSack(th, ack) : ack;
  let last = end;
  // What it acknowledges was made longer or shorter on its way here.
  if (ctHelpers !== null && (words[row + CT_STATUS]! & IPS_SEQ_ADJUST) !== 0) {
    const moved = ctHelpers.seqOffset(row, direction ^ 1, (ack - 1) | 0);
    ack = (ack - moved) | 0;
    sack = (sack - moved) | 0;
  }

  if (words[sender + MAXWIN] === 0) {
    if (syn) {
      initSender(row, direction, th, end);
      if ((flags & TCPHDR_ACK) === 0) return IN_WINDOW;
    } else {
      const win = (headerWin << scaleOf(row, direction)) || 1;
      words[sender + END] = end;
      words[sender + MAXWIN] = win;
      words[sender + MAXEND] = (end + win) | 0;
      if (words[receiver + MAXWIN] === 0) words[receiver + END] = words[receiver + MAXEND] = sack;
      // It answers a keep-alive probe that was not seen.
      else if (sack === ((words[receiver + END]! + 1) | 0)) words[receiver + END] = sack;
    }
  } else if (syn && ((words[sender + END]! - end) | 0) < 0 && (state === TCP_CONNTRACK_SYN_SENT || state === TCP_CONNTRACK_SYN_RECV)) {
    // It has begun anew (RFC 9293 section 3.4.3).
    initSender(row, direction, th, end);
    if (direction === 1 && (flags & TCPHDR_ACK) === 0) return IN_WINDOW;
  }

  const sent = words[receiver + END]!;
  // Who acknowledges nothing is right about it; so is the reset of an end that knows no better.
  if ((flags & TCPHDR_ACK) === 0 || ((flags & TCPHDR_RST) !== 0 && ack === 0)) ack = sack = sent;
  // The reset of who was not asked before.
  if ((flags & TCPHDR_RST) !== 0 && seq === 0 && state === TCP_CONNTRACK_SYN_SENT) seq = last = words[sender + END]!;

  const verdict = judge(row, direction, seq, last, sack);
  if (verdict !== IN_WINDOW) {
    const liberal = ct.nfConntrackTcpBeLiberal !== 0 || (tcpEndFlags(row, direction) & TCP_FLAG_BE_LIBERAL) !== 0;
    return liberal ? IN_WINDOW : verdict;
  }
  learn(row, direction, last, (flags & TCPHDR_ACK) !== 0, ack, sack, syn ? headerWin : headerWin << scaleOf(row, direction));
  if (counts) countRepetition(row, direction, seq, ack, last, headerWin);
  return IN_WINDOW;
}

/** The four conditions. */
function judge(row: number, direction: number, seq: number, end: number, sack: number): number {
  const sender = seenOf(row, direction);
  const receiver = seenOf(row, direction ^ 1);
  const senderEnd = words[sender + END]!;
  const senderWin = words[sender + MAXWIN]!;
  const maxEnd = words[sender + MAXEND]!;
  const received = words[receiver + MAXWIN]!;
  const late = received !== 0 && ((senderEnd - received - 1 - end) | 0) >= 0;
  const ahead = ((words[receiver + END]! - sack) | 0) < 0;
  const longPast = ((sack - words[receiver + END]! + (senderWin > MAXACKWINDOW ? senderWin : MAXACKWINDOW)) | 0) < 0;
  if (((maxEnd - seq) | 0) < 0) {
    const overshot = (end - maxEnd + 1) >>> 0;
    if (received === 0 || late || longPast || ahead || overshot > received) return WINDOW_INVALID;
    // More than it was allowed, but not by much: when the other end takes it, that must be known.
    words[sender + END] = end;
    tcpSetEndFlags(row, direction, tcpEndFlags(row, direction) | TCP_FLAG_DATA_UNACKNOWLEDGED);
    return WINDOW_IGNORE;
  }
  if (ahead) return WINDOW_INVALID;
  return late || longPast ? WINDOW_IGNORE : IN_WINDOW;
}

/** What a right segment says of both ends. @param win its window, scaled */
function learn(row: number, direction: number, end: number, acks: boolean, ack: number, sack: number, win: number): void {
  const sender = seenOf(row, direction);
  const receiver = seenOf(row, direction ^ 1);
  let flags = tcpEndFlags(row, direction);
  const wide = (win + sack - ack) | 0;
  if (words[sender + MAXWIN]! < wide) words[sender + MAXWIN] = wide;
  if (((words[sender + END]! - end) | 0) < 0) {
    words[sender + END] = end;
    flags |= TCP_FLAG_DATA_UNACKNOWLEDGED;
  }
  if (acks && ((flags & TCP_FLAG_MAXACK_SET) === 0 || ((words[sender + MAXACK]! - ack) | 0) < 0)) {
    words[sender + MAXACK] = ack;
    flags |= TCP_FLAG_MAXACK_SET;
  }
  tcpSetEndFlags(row, direction, flags);
  const beyond = (end - words[sender + MAXEND]!) | 0;
  if (words[receiver + MAXWIN] !== 0 && beyond > 0) words[receiver + MAXWIN]! += beyond;
  const maxEnd = (sack + win) | 0;
  // A window of nothing may be probed with a byte.
  if (((words[receiver + MAXEND]! - 1 - maxEnd) | 0) < 0) words[receiver + MAXEND] = win === 0 ? (maxEnd + 1) | 0 : maxEnd;
  if (ack === words[receiver + END]) {
    tcpSetEndFlags(row, direction ^ 1, tcpEndFlags(row, direction ^ 1) & ~TCP_FLAG_DATA_UNACKNOWLEDGED);
  }
}

/** Is it the same as the last one? */
function countRepetition(row: number, direction: number, seq: number, ack: number, end: number, win: number): void {
  const proto = words[row + CT_PROTO]!;
  const same = ((proto >> CT_TCP_LAST_DIRECTION_SHIFT) & 1) === direction && words[row + CT_TCP_LAST_SEQ] === seq
    && words[row + CT_TCP_LAST_ACK] === ack && words[row + CT_TCP_LAST_END] === end && (words[row + CT_TCP_LAST_WIN]! & 0xffff) === win;
  const repetitions = same ? ((proto >> CT_TCP_RETRANS_SHIFT) + 1) & 0xff : 0;
  words[row + CT_PROTO] = (proto & ~(0xff << CT_TCP_RETRANS_SHIFT)) | (repetitions << CT_TCP_RETRANS_SHIFT);
  words[row + CT_TCP_LAST_SEQ] = seq;
  words[row + CT_TCP_LAST_ACK] = ack;
  words[row + CT_TCP_LAST_END] = end;
  words[row + CT_TCP_LAST_WIN] = (words[row + CT_TCP_LAST_WIN]! & ~0xffff) | win;
}
