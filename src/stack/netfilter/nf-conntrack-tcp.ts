/**
 * Connection tracking of TCP: the states of a connection as somebody sees them who stands between both ends. Linux: net/netfilter/
 * nf_conntrack_proto_tcp.c. Owns nothing: a row's words are nf-conntrack-tcp-window.ts's, which judges sequence numbers.
 *
 * Read first: van Rooij, "Real Stateful TCP Packet Filtering in IP Filter" (2000); RFC 9293 section 3.3.2; RFC 5382 section 5;
 * RFC 5961 (challenge ACKs: an answer to a SYN or a reset within a connection that says nothing about it).
 */
import { memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import { IPPROTO_TCP } from "../../uapi/in.ts";
import {
  IPS_ASSURED, IPS_CONFIRMED, IPS_SEEN_REPLY, TCP_CONNTRACK_CLOSE, TCP_CONNTRACK_CLOSE_WAIT, TCP_CONNTRACK_ESTABLISHED,
  TCP_CONNTRACK_FIN_WAIT, TCP_CONNTRACK_LAST_ACK, TCP_CONNTRACK_SYN_RECV, TCP_CONNTRACK_SYN_SENT,
  TCP_CONNTRACK_SYN_SENT2, TCP_CONNTRACK_TIME_WAIT,
} from "../../uapi/nf-conntrack.ts";
import type { SkBuff } from "../core/skbuff.ts";
import {
  TCP_HLEN, TCPHDR_ACK, TCPHDR_FIN, TCPHDR_RST, TCPHDR_SYN, TCPHDR_URG, TH_ACK, TH_DOFF, TH_FLAGS, TH_SEQ, TH_WIN,
} from "../wire/tcp.ts";
import {
  CT_PROTO, CT_STATUS, CT_TCP_STATE, CT_TIMEOUT, nfCtDelete, nfCtKill, nfCtRefresh, nfCtTcpEnding, nfCtTcpState,
} from "./nf-conntrack-table.ts";
import {
  CT_TCP_LAST_ACK, CT_TCP_LAST_DIRECTION_SHIFT, CT_TCP_LAST_END, CT_TCP_LAST_FLAGS_SHIFT, CT_TCP_LAST_KIND_SHIFT, CT_TCP_LAST_SEQ,
  CT_TCP_LAST_WIN, CT_TCP_RETRANS_SHIFT, TCP_EXP_CHALLENGE_ACK, TCP_FLAG_CLOSE_INIT, TCP_FLAG_DATA_UNACKNOWLEDGED,
  TCP_FLAG_MAXACK_SET, TCP_SIMULTANEOUS_OPEN, tcpEndFlags, tcpFirstSegment, tcpInWindow, tcpMaxAck, tcpResync, tcpSetEndFlags,
  tcpSynOptions, WINDOW_IGNORE, WINDOW_INVALID,
} from "./nf-conntrack-tcp-window.ts";
import { nfCtChecksumRight } from "./nf-conntrack-udp.ts";
import type { NetnsCt } from "./netns-ct.ts";

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
  IV, IV, SR, IV, IV, IV, IV, IV, IV, SR,
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

const MS_PER_SECOND = 1000;
/** Who has longer than that to live may be given less (handleInvalid()). */
const OUT_OF_SYNC_MS = 120_000;

/** The time of a state without anything to come, in seconds. */
function timeoutOf(ct: NetnsCt, state: number): number {
  switch (state) {
    case ES: return ct.nfConntrackTcpTimeoutEstablished;
    case SR: return ct.nfConntrackTcpTimeoutSynRecv;
    case FW: return ct.nfConntrackTcpTimeoutFinWait;
    case CW: return ct.nfConntrackTcpTimeoutCloseWait;
    case LA: return ct.nfConntrackTcpTimeoutLastAck;
    case TW: return ct.nfConntrackTcpTimeoutTimeWait;
    case CL: return ct.nfConntrackTcpTimeoutClose;
    default: return ct.nfConntrackTcpTimeoutSynSent;
  }
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

/** Linux: tcp_error(). @param check whether its checksum is looked at @returns whether it can be a segment at all */
export function nfCtTcpValid(skb: SkBuff, th: number, check: boolean): boolean {
  if (skb.tail - th < TCP_HLEN) return false;
  const header = (memView.getUint8(th + TH_DOFF) >> 4) << 2;
  if (header < TCP_HLEN || header > skb.len - (th - skb.data)) return false;
  return flagsValid(memView.getUint8(th + TH_FLAGS)) && (!check || nfCtChecksumRight(skb, th, IPPROTO_TCP));
}

/** The sequence number behind a segment. */
function endOf(skb: SkBuff, th: number, flags: number): number {
  const data = skb.len - (th - skb.data) - ((memView.getUint8(th + TH_DOFF) >> 4) << 2);
  return (memView.getInt32(th + TH_SEQ) + data + ((flags >> 1) & 1) + (flags & TCPHDR_FIN)) | 0;
}

/** Keeps what the last segment was. */
function setLast(row: number, direction: number, kind: number): void {
  words[row + CT_PROTO] = (words[row + CT_PROTO]! & ~(15 << CT_TCP_LAST_DIRECTION_SHIFT)) | (direction << CT_TCP_LAST_DIRECTION_SHIFT)
    | (kind << CT_TCP_LAST_KIND_SHIFT);
}

/** Is it known of both ends that they agree? Linux: nf_conntrack_tcp_established(). */
function established(row: number): boolean {
  return nfCtTcpState(row) === ES && (words[row + CT_STATUS]! & IPS_ASSURED) !== 0;
}

/**
 * A segment that may be right or wrong is let through, and what it said is kept: the answer tells. Of a SYN of the first direction
 * that is the window and the options too.
 */
function letThrough(row: number, direction: number, kind: number, th: number, end: number): void {
  const old = nfCtTcpState(row);
  setLast(row, direction, kind);
  words[row + CT_TCP_LAST_SEQ] = memView.getInt32(th + TH_SEQ);
  words[row + CT_TCP_LAST_END] = end;
  words[row + CT_TCP_LAST_WIN] = (words[row + CT_TCP_LAST_WIN]! & ~0xffff) | memView.getUint16(th + TH_WIN);
  if (kind === SYN && direction === 0) {
    const options = tcpSynOptions(th);
    words[row + CT_TCP_LAST_WIN] = memView.getUint16(th + TH_WIN) | ((options >> 8) << 16);
    // In LAST_ACK a challenge looks as if it acknowledged the last FIN.
    const flags = (options & 0xff) | (old === LA ? TCP_EXP_CHALLENGE_ACK : 0);
    words[row + CT_PROTO] = (words[row + CT_PROTO]! & ~(0xff << CT_TCP_LAST_FLAGS_SHIFT)) | (flags << CT_TCP_LAST_FLAGS_SHIFT);
  }
  // It may be a challenge, and is answered by a reset with that number.
  if (kind === ACK && direction === 1 && old === SS) words[row + CT_TCP_LAST_ACK] = memView.getInt32(th + TH_ACK);
}

/** What a reset may be. */
const RESET_INVALID = 0;
/** Right whatever its numbers are. */
const RESET_RIGHT = 1;
/** Its numbers are judged; then the connection is closed. */
const RESET_CLOSES = 2;
/** Its numbers are judged; then the connection stays as it is, since its receiver challenges it. */
const RESET_STAYS = 3;

/** Linux: nf_conntrack_tcp_packet(), TCP_CONNTRACK_CLOSE. */
function judgeReset(row: number, direction: number, th: number, ct: NetnsCt): number {
  const proto = words[row + CT_PROTO]!;
  const status = words[row + CT_STATUS]!;
  const lastKind = (proto >> CT_TCP_LAST_KIND_SHIFT) & 7;
  const lastDirection = (proto >> CT_TCP_LAST_DIRECTION_SHIFT) & 1;
  const seq = memView.getInt32(th + TH_SEQ);
  // Its ports may be somebody else's already.
  if (nfCtTcpEnding(row)) return RESET_RIGHT;
  let answer = RESET_CLOSES;
  if ((tcpEndFlags(row, direction ^ 1) & TCP_FLAG_MAXACK_SET) !== 0 && lastKind !== SYN) {
    const expected = tcpMaxAck(row, direction ^ 1);
    if (seq === 0 && !established(row)) return RESET_CLOSES;
    if (((seq - expected) | 0) < 0 && ct.nfConntrackTcpIgnoreInvalidRst === 0) return RESET_INVALID;
    if (!established(row) || seq === expected) return RESET_CLOSES;
    // Right behind its sender's data.
    if (lastKind === ACK && lastDirection === direction && seq === words[row + CT_TCP_LAST_END]) return RESET_CLOSES;
    answer = RESET_STAYS;
  }
  // It answers what was let through: a SYN, or an ACK to a half-open connection.
  const answers = (status & IPS_SEEN_REPLY) !== 0 && lastKind === SYN || (status & IPS_ASSURED) === 0 && lastKind === ACK;
  if (answers && memView.getInt32(th + TH_ACK) === words[row + CT_TCP_LAST_END]) return RESET_RIGHT;
  if (nfCtTcpState(row) === SS && lastKind === ACK && lastDirection === 1 && seq === words[row + CT_TCP_LAST_ACK]) return RESET_RIGHT;
  return answer;
}

/**
 * A FIN or reset outside of the window: when it answers one, the ends and what is known here have parted, and the connection is not
 * kept for days. Linux: nf_tcp_handle_invalid().
 */
function handleInvalid(row: number, direction: number, kind: number, ct: NetnsCt): void {
  if ((words[row + CT_STATUS]! & IPS_ASSURED) === 0 || (kind !== RST && kind !== FIN)) return;
  const proto = words[row + CT_PROTO]!;
  const lastKind = (proto >> CT_TCP_LAST_KIND_SHIFT) & 7;
  if (((proto >> CT_TCP_LAST_DIRECTION_SHIFT) & 1) === direction || (lastKind !== FIN && lastKind !== RST)) {
    setLast(row, direction, kind);
    return;
  }
  const left = (words[row + CT_TIMEOUT]! - jiffies) | 0;
  const timeout = ct.nfConntrackTcpTimeoutUnacknowledged * MS_PER_SECOND;
  if (left >= OUT_OF_SYNC_MS && left > timeout) nfCtRefresh(row, timeout);
}

/**
 * A valid segment of a connection. Linux: nf_conntrack_tcp_packet(). @param direction 0 of the first one, 1 of answers
 * @returns CT_TRACKED, CT_INVALID or CT_AGAIN
 */
export function nfCtTcpPacket(skb: SkBuff, th: number, row: number, direction: number, ct: NetnsCt): number {
  const flags = memView.getUint8(th + TH_FLAGS);
  const kind = kindOf(flags);
  const end = endOf(skb, th, flags);
  if ((words[row + CT_STATUS]! & IPS_CONFIRMED) === 0) {
    const first = NEXT_STATE[kind * STATES]!;
    if (first === IV || (first !== SS && ct.nfConntrackTcpLoose === 0)) return CT_INVALID;
    tcpFirstSegment(row, th, end);
    setLast(row, 0, NONE);
  }
  const proto = words[row + CT_PROTO]!;
  const lastDirection = (proto >> CT_TCP_LAST_DIRECTION_SHIFT) & 1;
  const lastKind = (proto >> CT_TCP_LAST_KIND_SHIFT) & 7;
  let old = nfCtTcpState(row);
  let state = NEXT_STATE[(direction * KINDS + kind) * STATES + old]!;
  let judged = false;
  if (state === SS && old >= TW) {
    // The port is used again. It is when one end closed, or this one broke off; else that is for the other end to say.
    if (
      ((tcpEndFlags(row, 0) | tcpEndFlags(row, 1)) & TCP_FLAG_CLOSE_INIT) !== 0 || (lastDirection === direction && lastKind === RST)
    ) {
      nfCtDelete(row);
      return CT_AGAIN;
    }
    state = IG;
  }
  switch (state) {
    case IV:
      return CT_INVALID;
    case IG:
      if (
        kind !== SYNACK || lastKind !== SYN || lastDirection === direction || memView.getInt32(th + TH_ACK) !== words[row + CT_TCP_LAST_END]
      ) {
        letThrough(row, direction, kind, th, end);
        return CT_TRACKED;
      }
      // It answers a SYN that was let through: both ends agree, and what was known here is of the past.
      old = SS;
      state = SR;
      tcpResync(row, direction);
      break;
    case TW:
      if (
        old === LA && kind === ACK && lastDirection !== direction && lastKind === SYN
        && (proto & (TCP_EXP_CHALLENGE_ACK << CT_TCP_LAST_FLAGS_SHIFT)) !== 0
      ) {
        words[row + CT_PROTO] = proto & ~(TCP_EXP_CHALLENGE_ACK << CT_TCP_LAST_FLAGS_SHIFT);
        return CT_TRACKED;
      }
      break;
    case S2:
      words[row + CT_PROTO]! |= TCP_SIMULTANEOUS_OPEN << CT_TCP_LAST_FLAGS_SHIFT;
      break;
    case SR:
      if (direction === 1 && kind === ACK && (proto & (TCP_SIMULTANEOUS_OPEN << CT_TCP_LAST_FLAGS_SHIFT)) !== 0) state = ES;
      break;
    case CL:
      if (kind === RST) {
        const answer = judgeReset(row, direction, th, ct);
        if (answer === RESET_INVALID) return CT_INVALID;
        if (answer === RESET_STAYS) state = old;
        judged = answer === RESET_RIGHT;
      }
      break;
    default:
  }
  if (!judged) {
    const verdict = tcpInWindow(row, direction, th, end, kind === ACK, ct);
    if (verdict === WINDOW_IGNORE) return CT_TRACKED;
    if (verdict === WINDOW_INVALID) {
      handleInvalid(row, direction, kind, ct);
      return CT_INVALID;
    }
  }
  setLast(row, direction, kind);
  words[row + CT_PROTO] = (words[row + CT_PROTO]! & ~CT_TCP_STATE) | state;
  if (old !== state && state === FW) tcpSetEndFlags(row, direction, tcpEndFlags(row, direction) | TCP_FLAG_CLOSE_INIT);
  return accept(row, kind, old, state, ct);
}

/** How long the connection is kept for a segment that is right, and whether it is assured. */
function accept(row: number, kind: number, old: number, state: number, ct: NetnsCt): number {
  const status = words[row + CT_STATUS]!;
  let timeout = timeoutOf(ct, state);
  const retransTimeout = ct.nfConntrackTcpTimeoutMaxRetrans;
  const unackTimeout = ct.nfConntrackTcpTimeoutUnacknowledged;
  const repetitions = (words[row + CT_PROTO]! >> CT_TCP_RETRANS_SHIFT) & 0xff;
  if (repetitions >= ct.nfConntrackTcpMaxRetrans && timeout > retransTimeout) timeout = retransTimeout;
  else if (kind === RST) timeout = ct.nfConntrackTcpTimeoutClose;
  else if (((tcpEndFlags(row, 0) | tcpEndFlags(row, 1)) & TCP_FLAG_DATA_UNACKNOWLEDGED) !== 0 && timeout > unackTimeout) timeout = unackTimeout;
  else if ((words[row + CT_TCP_LAST_WIN]! & 0xffff) === 0 && timeout > retransTimeout) timeout = retransTimeout;
  if ((status & IPS_SEEN_REPLY) === 0) {
    // Nobody listens there: nothing to remember.
    if (kind === RST) {
      nfCtKill(row);
      return CT_TRACKED;
    }
    // Who uses a port again and again does not keep the row alive.
    if (kind === SYN && old === SS) return CT_TRACKED;
    if (state === ES && timeout > unackTimeout) timeout = unackTimeout;
  } else if ((status & IPS_ASSURED) === 0 && (old === SR || old === ES) && state === ES) {
    words[row + CT_STATUS]! |= IPS_ASSURED;
  }
  nfCtRefresh(row, timeout * MS_PER_SECOND);
  return CT_TRACKED;
}

/** This host has reset the connection. Linux: nf_conntrack_tcp_set_closing(). */
export function nfCtTcpSetClosing(row: number, ct: NetnsCt): void {
  words[row + CT_PROTO] = (words[row + CT_PROTO]! & ~CT_TCP_STATE) | CL;
  nfCtRefresh(row, ct.nfConntrackTcpTimeoutClose * MS_PER_SECOND);
}
