/**
 * Connection tracking of TCP: the states of a connection as somebody sees them who stands between both ends. Linux: net/netfilter/
 * nf_conntrack_proto_tcp.c. Owns nothing: a row's CT_PROTO is the state and what was seen last, the word behind it where the segment
 * that was let through unjudged ends.
 *
 * Sequence numbers are not judged by windows: it is Linux with nf_conntrack_tcp_be_liberal 1, and for resets too. So the shorter
 * timeouts of connections whose data nobody acknowledges are not there either.
 *
 * Read first: van Rooij, "Real Stateful TCP Packet Filtering in IP Filter" (2000); RFC 9293 section 3.3.2; RFC 5382 section 5.
 */
import { memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import { IPPROTO_TCP } from "../../uapi/in.ts";
import {
  IPS_ASSURED, IPS_CONFIRMED, IPS_SEEN_REPLY, TCP_CONNTRACK_CLOSE, TCP_CONNTRACK_CLOSE_WAIT, TCP_CONNTRACK_ESTABLISHED,
  TCP_CONNTRACK_FIN_WAIT, TCP_CONNTRACK_LAST_ACK, TCP_CONNTRACK_SYN_RECV, TCP_CONNTRACK_SYN_SENT,
  TCP_CONNTRACK_SYN_SENT2, TCP_CONNTRACK_TIME_WAIT,
} from "../../uapi/nf-conntrack.ts";
import type { SkBuff } from "../core/skbuff.ts";
import {
  TCP_HLEN, TCPHDR_ACK, TCPHDR_FIN, TCPHDR_RST, TCPHDR_SYN, TCPHDR_URG, TH_ACK, TH_DOFF, TH_FLAGS, TH_SEQ,
} from "../wire/tcp.ts";
import { CT_PROTO, CT_STATUS, nfCtDelete, nfCtRefresh } from "./nf-conntrack-table.ts";
import { nfCtChecksumRight } from "./nf-conntrack-udp.ts";

/** Answers of a tracker: the packet belongs to the connection; it is invalid; the connection is gone, look again. */
export const CT_TRACKED = 1;
export const CT_INVALID = -1;
export const CT_AGAIN = -4;

/** Kinds of segments, by the flag that counts. */
const SYN = 0;
const SYNACK = 1;
const FIN = 2;
const ACK = 3;
const RST = 4;
const NONE = 5;

const SS = TCP_CONNTRACK_SYN_SENT;
const SR = TCP_CONNTRACK_SYN_RECV;
const ES = TCP_CONNTRACK_ESTABLISHED;
const FW = TCP_CONNTRACK_FIN_WAIT;
const CW = TCP_CONNTRACK_CLOSE_WAIT;
const LA = TCP_CONNTRACK_LAST_ACK;
const TW = TCP_CONNTRACK_TIME_WAIT;
const CL = TCP_CONNTRACK_CLOSE;
const S2 = TCP_CONNTRACK_SYN_SENT2;
const STATES = 10;
/** Cannot be. */
const IV = STATES;
/** May be right or wrong: the other end will tell, and its answer is judged. */
const IG = STATES + 1;

/**
 * What becomes of a state, by direction, kind of segment and state. The first direction is that of the first segment. A segment with
 * none of the flags is never valid.
 */
const NEXT_STATE: readonly number[] = Object.freeze([
  // None, SS, SR, ES, FW, CW, LA, TW, CL, S2
  SS, SS, IG, IG, IG, IG, IG, SS, SS, S2,
  IV, IV, IG, IG, IG, IG, IG, IG, IG, SR,
  IV, IV, FW, FW, LA, LA, LA, TW, CL, IV,
  ES, IV, ES, ES, CW, CW, TW, TW, CL, IV,
  IV, CL, CL, CL, CL, CL, CL, CL, CL, CL,
  IV, IV, IV, IV, IV, IV, IV, IV, IV, IV,
  // Answers.
  IV, S2, IV, IV, IV, IV, IV, SS, IV, S2,
  IV, SR, IG, IG, IG, IG, IG, IG, IG, SR,
  IV, IV, FW, FW, LA, LA, LA, TW, CL, IV,
  IV, IG, SR, ES, CW, CW, TW, TW, CL, IG,
  IV, CL, CL, CL, CL, CL, CL, CL, CL, CL,
  IV, IV, IV, IV, IV, IV, IV, IV, IV, IV,
]);
const KINDS = 6;

/** ms, by state: the defaults of nf_conntrack_tcp_timeout_*. */
const TIMEOUTS_MS: readonly number[] = Object.freeze([
  0, 120_000, 60_000, 432_000_000, 120_000, 60_000, 30_000, 120_000, 10_000, 120_000,
]);
/** Of connections that were met in their middle and have not been answered yet. */
const UNACK_TIMEOUT_MS = 300_000;

/*
 * CT_PROTO: state in 4 bits; direction and kind of the last segment; bit n of the third part: direction n was the first to close.
 */
const STATE_MASK = 15;
const LAST_DIRECTION_SHIFT = 4;
const LAST_KIND_SHIFT = 5;
const CLOSED_FIRST_SHIFT = 8;
const CT_LAST_END = CT_PROTO + 1;

/** The state of a connection, TCP_CONNTRACK_*. */
export function nfCtTcpState(row: number): number {
  return words[row + CT_PROTO]! & STATE_MASK;
}

function kindOf(flags: number): number {
  if ((flags & TCPHDR_RST) !== 0) return RST;
  if ((flags & TCPHDR_SYN) !== 0) return (flags & TCPHDR_ACK) !== 0 ? SYNACK : SYN;
  if ((flags & TCPHDR_FIN) !== 0) return FIN;
  return (flags & TCPHDR_ACK) !== 0 ? ACK : NONE;
}

/** May these flags come together? Linux: tcp_valid_flags[]. */
function flagsValid(flags: number): boolean {
  switch (flags & (TCPHDR_FIN | TCPHDR_SYN | TCPHDR_RST | TCPHDR_ACK | TCPHDR_URG)) {
    case TCPHDR_SYN:
    case TCPHDR_SYN | TCPHDR_URG:
    case TCPHDR_SYN | TCPHDR_ACK:
    case TCPHDR_RST:
    case TCPHDR_RST | TCPHDR_ACK:
    case TCPHDR_FIN | TCPHDR_ACK:
    case TCPHDR_FIN | TCPHDR_ACK | TCPHDR_URG:
    case TCPHDR_ACK:
    case TCPHDR_ACK | TCPHDR_URG:
      return true;
    default:
      return false;
  }
}

/** Linux: tcp_error(). @param check whether the packet came in just now @returns whether it can be a segment at all */
export function nfCtTcpValid(skb: SkBuff, th: number, check: boolean): boolean {
  if (skb.tail - th < TCP_HLEN) return false;
  const header = (memView.getUint8(th + TH_DOFF) >> 4) << 2;
  if (header < TCP_HLEN || header > skb.len - (th - skb.data)) return false;
  return flagsValid(memView.getUint8(th + TH_FLAGS)) && (!check || nfCtChecksumRight(skb, th, IPPROTO_TCP));
}

/** The sequence number behind a segment. */
function endOf(skb: SkBuff, th: number, kind: number): number {
  const data = skb.len - (th - skb.data) - ((memView.getUint8(th + TH_DOFF) >> 4) << 2);
  return (memView.getInt32(th + TH_SEQ) + data + (kind === SYN || kind === SYNACK || kind === FIN ? 1 : 0)) | 0;
}

/**
 * A valid segment of a connection. Linux: nf_conntrack_tcp_packet(). @param direction 0 of the first one, 1 of answers
 * @returns CT_TRACKED, CT_INVALID or CT_AGAIN
 */
export function nfCtTcpPacket(skb: SkBuff, th: number, row: number, direction: number): number {
  const kind = kindOf(memView.getUint8(th + TH_FLAGS));
  const status = words[row + CT_STATUS]!;
  const proto = words[row + CT_PROTO]!;
  const lastDirection = (proto >> LAST_DIRECTION_SHIFT) & 1;
  const lastKind = (proto >> LAST_KIND_SHIFT) & 7;
  let old = proto & STATE_MASK;
  let closedFirst = proto >> CLOSED_FIRST_SHIFT;
  let state = NEXT_STATE[(direction * KINDS + kind) * STATES + old]!;
  if (state === IV) return CT_INVALID;
  if (state === SS && old >= TW) {
    // The port is used again. It is when the other end closed, or this one broke off; else that is for the other end to say.
    if ((closedFirst & (2 >> direction)) !== 0 || (lastDirection === direction && lastKind === RST)) {
      nfCtDelete(row);
      return CT_AGAIN;
    }
    state = IG;
  }
  if (state === IG) {
    if (
      kind === SYNACK && lastKind === SYN && lastDirection !== direction
      && memView.getInt32(th + TH_ACK) === words[row + CT_LAST_END]
    ) {
      // It answers a SYN that was let through: both ends agree, and what was known here is of the past.
      old = SS;
      state = SR;
      closedFirst = 0;
    } else {
      words[row + CT_LAST_END] = endOf(skb, th, kind);
      words[row + CT_PROTO] = (proto & ~(15 << LAST_DIRECTION_SHIFT)) | (direction << LAST_DIRECTION_SHIFT) | (kind << LAST_KIND_SHIFT);
      return CT_TRACKED;
    }
  }
  if (old !== state && state === FW) closedFirst |= 1 << direction;
  words[row + CT_PROTO] = state | (direction << LAST_DIRECTION_SHIFT) | (kind << LAST_KIND_SHIFT) | (closedFirst << CLOSED_FIRST_SHIFT);
  let timeout = TIMEOUTS_MS[state]!;
  if ((status & IPS_SEEN_REPLY) === 0) {
    // Nobody listens there: nothing to remember.
    if (kind === RST && (status & IPS_CONFIRMED) !== 0) {
      nfCtDelete(row);
      return CT_TRACKED;
    }
    if (state === ES && timeout > UNACK_TIMEOUT_MS) timeout = UNACK_TIMEOUT_MS;
  } else if ((status & IPS_ASSURED) === 0 && (old === SR || old === ES) && state === ES) {
    words[row + CT_STATUS]! |= IPS_ASSURED;
  }
  nfCtRefresh(row, timeout);
  return CT_TRACKED;
}
