/**
 * Connections without a sock of their own after their end: TIME_WAIT. Linux: net/ipv4/tcp_minisocks.c. Read first: RFC 9293 sections
 * 3.3.2 and 3.10.7.4, RFC 1122 section 4.2.2.13 and RFC 6191 (a new SYN in TIME_WAIT), RFC 1337 (its assassination), RFC 7323 section 5
 * (PAWS). What a segment does to a request is in tcp-check-req.ts, the child that it becomes in tcp-openreq.ts.
 */
import { memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import { INET_ECN_MASK } from "../../uapi/ip.ts";
import { LINUX_MIB_PAWS_TW_REJECTED, LINUX_MIB_TCPACKSKIPPEDFINWAIT2, LINUX_MIB_TCPACKSKIPPEDTIMEWAIT } from "../../uapi/snmp.ts";
import { TCP_FIN_WAIT2, TCP_TIME_WAIT } from "../../uapi/tcp.ts";
import type { Net } from "../core/net.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { SOCK_REUSE, SOCK_REUSEPORT } from "../core/sock.ts";
import {
  TCPHDR_ACK, TCPHDR_DOFF_MASK, TCPHDR_FIN, TCPHDR_RST, TCPHDR_SYN, TCPHDR_DOFF_PLAIN, TH_OFF_FLAGS,
} from "../wire/tcp.ts";
import { ehashTwBase, inetEhashInsert, inetEhashRemove } from "./inet-hashtables.ts";
import {
  inetTwskAlloc, inetTwskBind, inetTwskDeschedulePut, inetTwskReschedule, inetTwskSchedule, TCP_TIMEWAIT_LEN, TW_INFO,
  TW_LAST_OOW_ACK_TIME, TW_RCV_NXT, TW_RCV_WND, TW_REUSE, TW_REUSEPORT, TW_SND_NXT, TW_STATE_MASK, TW_TOS_SHIFT,
  TW_TS_OFFSET, TW_TS_RECENT, TW_TS_RECENT_STAMP, TW_TSTAMP, TW_WORDS, TW_WSCALE_SHIFT, twNet, twRows,
} from "./inet-timewait-sock.ts";
import { ICSK_BIND_HASH, TP_TS_RECENT_STAMP } from "./tcp-cold.ts";
import { rxOpt, tcpParseOptions } from "./tcp-options.ts";
import { tcpMd5, tcpMd5Keys } from "./tcp-parts.ts";
import type { TcpSk } from "./tcp-sock.ts";
import { tcpDone, tcpStateSeen } from "./tcp.ts";
import { tcpReceiveWindow } from "./tcp-window.ts";

/**
 * What is to be done with a segment for a TIME_WAIT entry: nothing more, send a reset, send an ACK, take the SYN as a
 * new one.
 */
export const TCP_TW_SUCCESS = 0;
export const TCP_TW_RST = 1;
export const TCP_TW_ACK = 2;
export const TCP_TW_SYN = 3;

/** A timestamp older than this is no ground to reject (RFC 7323 section 5.5), in ms. Linux: TCP_PAWS_24DAYS. */
const PAWS_24DAYS_MS = 24 * 24 * 3600 * 1000;
/** How long a reset is held against the last timestamp, in ms. Linux: TCP_PAWS_MSL. */
const PAWS_MSL_MS = 60000;
/** How far beyond the last one a reused four-tuple's sequence numbers start. */
const TW_ISN_STEP = 65535 + 2;

/**
 * Is a segment with timestamp `tsval` old, against the last one seen? Linux: tcp_paws_reject().
 * @param stamp jiffies at which `tsRecent` came
 */
export function tcpPawsReject(tsRecent: number, tsval: number, stamp: number, rst: boolean): boolean {
  if (((tsRecent - tsval) | 0) <= 0) return false;
  const age = (jiffies - stamp) | 0;
  if (age < 0 || age >= PAWS_24DAYS_MS || tsRecent === 0) return false;
  return !rst || age < PAWS_MSL_MS;
}

/** Does the segment touch the window `start`..`end`? Linux: tcp_in_window(). */
export function tcpInWindow(seq: number, endSeq: number, start: number, end: number): boolean {
  if (seq === start) return true;
  if (((start - endSeq) | 0) < 0 && ((seq - end) | 0) < 0) return true;
  return seq === end && seq === endSeq;
}

/**
 * May an ACK to a segment out of window not be sent now, as one was a moment ago? It keeps two ends from answering each
 * other for ever. One with data is always answered. Linux: tcp_oow_rate_limited().
 * @param at the word in `words` that holds the time of the last one, 0 for none @param mib counter of those not sent
 */
export function tcpOowRateLimited(net: Net, skb: SkBuff, mib: number, at: number): boolean {
  return (skb.seq === skb.endSeq || (skb.tcpFlags & TCPHDR_SYN) !== 0) && tcpOowLimited(net, mib, at);
}

/** The same whatever the segment. Linux: __tcp_oow_rate_limited(). */
export function tcpOowLimited(net: Net, mib: number, at: number): boolean {
  const last = words[at]!;
  if (last !== 0) {
    const elapsed = (jiffies - last) | 0;
    if (elapsed >= 0 && elapsed < net.ipv4.tcpInvalidRatelimitMs) {
      net.mib[mib]!++;
      return true;
    }
  }
  words[at] = jiffies === 0 ? 1 : jiffies;
  return false;
}

/**
 * Moves what must be remembered of a connection at its end to a TIME_WAIT entry, hashed in the sock's place, and ends
 * the sock. Linux: tcp_time_wait().
 * @param state TCP_TIME_WAIT, or TCP_FIN_WAIT2 for one whose peer has still to close @param timeoMs how long, for
 *   FIN_WAIT2
 */
export function tcpTimeWait(sk: TcpSk, state: number, timeoMs: number): void {
  const tw = inetTwskAlloc();
  const tp = sk.tp;
  tcpStateSeen(sk.state, state);
  const inet = sk.inet;
  const at = twRows + tw * TW_WORDS;
  const rto = (sk.icsk.rto << 2) - (sk.icsk.rto >> 1);
  words[at + TW_RCV_NXT] = tp.rcvNxt;
  words[at + TW_SND_NXT] = tp.sndNxt;
  words[at + TW_RCV_WND] = tcpReceiveWindow(tp);
  words[at + TW_TS_RECENT] = tp.tsRecent;
  words[at + TW_TS_RECENT_STAMP] = words[tp.cold + TP_TS_RECENT_STAMP]!;
  words[at + TW_TS_OFFSET] = tp.tsoffset;
  words[at + TW_INFO] = state | (tp.rcvWscale << TW_WSCALE_SHIFT) | ((inet.tos & ~INET_ECN_MASK) << TW_TOS_SHIFT)
    | (tp.tstampOk && words[tp.cold + TP_TS_RECENT_STAMP] !== 0 ? TW_TSTAMP : 0)
    | ((sk.flags & SOCK_REUSE) !== 0 ? TW_REUSE : 0) | ((sk.flags & SOCK_REUSEPORT) !== 0 ? TW_REUSEPORT : 0);
  if (tcpMd5Keys !== 0) tcpMd5!.copy(sk.index, ~tw, inet.daddr);
  if (words[sk.icsk.cold + ICSK_BIND_HASH]! >= 0) inetTwskBind(tw, words[sk.icsk.cold + ICSK_BIND_HASH]!);
  inetEhashRemove(sk.index);
  inetEhashInsert(ehashTwBase + tw, sk.net, inet.rcvSaddr, inet.num, inet.daddr, inet.dport, sk.boundDevIf);
  inetTwskSchedule(tw, state === TCP_TIME_WAIT ? TCP_TIMEWAIT_LEN : timeoMs < rto ? rto : timeoMs);
  tcpDone(sk);
}

/** Stores the timestamp of an accepted segment. */
function twStoreTimestamp(at: number): void {
  if (!rxOpt.sawTstamp) return;
  words[at + TW_TS_RECENT] = rxOpt.rcvTsval;
  words[at + TW_TS_RECENT_STAMP] = jiffies === 0 ? 1 : jiffies;
}

/**
 * What a segment does to a TIME_WAIT entry; the segment stays the caller's. Linux: tcp_timewait_state_process().
 * @returns TCP_TW_SUCCESS, TCP_TW_ACK; TCP_TW_RST, after which the caller ends the entry; TCP_TW_SYN: the sequence
 *   number for the new connection is in skb.when
 */
export function tcpTimewaitStateProcess(tw: number, skb: SkBuff): number {
  const at = twRows + tw * TW_WORDS;
  const net = twNet(tw);
  const flags = skb.tcpFlags;
  const rst = (flags & TCPHDR_RST) !== 0;
  rxOpt.sawTstamp = false;
  let pawsReject = false;
  if ((words[at + TW_INFO]! & TW_TSTAMP) !== 0 && hasOptions(skb)) {
    tcpParseOptions(skb, rxOpt, null, net.ipv4);
    if (rxOpt.sawTstamp) {
      pawsReject = tcpPawsReject(words[at + TW_TS_RECENT]!, rxOpt.rcvTsval, words[at + TW_TS_RECENT_STAMP]!, rst);
    }
  }
  if ((words[at + TW_INFO]! & TW_STATE_MASK) === TCP_FIN_WAIT2) return finWait2Process(tw, skb, pawsReject);
  const seq = skb.seq;
  const rcvNxt = words[at + TW_RCV_NXT]!;
  if (!pawsReject && seq === rcvNxt && (seq === skb.endSeq || rst)) {
    if (!rst) inetTwskReschedule(tw, TCP_TIME_WAIT, TCP_TIMEWAIT_LEN);
    else if (net.ipv4.tcpRfc1337 === 0) {
      inetTwskDeschedulePut(tw);
      return TCP_TW_SUCCESS;
    }
    twStoreTimestamp(at);
    return TCP_TW_SUCCESS;
  }
  // A SYN of a new connection: newer than anything of the old one, by sequence number (RFC 1122) or timestamp (RFC
  // 6191).
  if ((flags & (TCPHDR_SYN | TCPHDR_RST | TCPHDR_ACK)) === TCPHDR_SYN && !pawsReject) {
    const newerTime = rxOpt.sawTstamp && ((words[at + TW_TS_RECENT]! - rxOpt.rcvTsval) | 0) < 0;
    if (newerTime || ((rcvNxt - seq) | 0) < 0) {
      const isn = (words[at + TW_SND_NXT]! + TW_ISN_STEP) | 0;
      skb.when = isn === 0 ? 1 : isn;
      return TCP_TW_SYN;
    }
  }
  if (pawsReject) net.mib[LINUX_MIB_PAWS_TW_REJECTED]!++;
  if (rst) return TCP_TW_SUCCESS;
  // Only an old SYN may be a new one of bad luck, and must not make the wait longer.
  if (pawsReject || (flags & TCPHDR_ACK) !== 0) inetTwskReschedule(tw, TCP_TIME_WAIT, TCP_TIMEWAIT_LEN);
  return twAck(tw, skb, LINUX_MIB_TCPACKSKIPPEDTIMEWAIT);
}

function hasOptions(skb: SkBuff): boolean {
  return (memView.getUint16(skb.th + TH_OFF_FLAGS) & TCPHDR_DOFF_MASK) > TCPHDR_DOFF_PLAIN;
}

/** An ACK is due, unless one left a moment ago. Linux: tcp_timewait_check_oow_rate_limit(). */
function twAck(tw: number, skb: SkBuff, mib: number): number {
  const limited = tcpOowRateLimited(twNet(tw), skb, mib, twRows + tw * TW_WORDS + TW_LAST_OOW_ACK_TIME);
  return limited ? TCP_TW_SUCCESS : TCP_TW_ACK;
}

/** The half of TIME_WAIT entries that still wait for the peer's FIN. */
function finWait2Process(tw: number, skb: SkBuff, pawsReject: boolean): number {
  const at = twRows + tw * TW_WORDS;
  const flags = skb.tcpFlags;
  const seq = skb.seq;
  const endSeq = skb.endSeq;
  const rcvNxt = words[at + TW_RCV_NXT]!;
  if (pawsReject || !tcpInWindow(seq, endSeq, rcvNxt, (rcvNxt + words[at + TW_RCV_WND]!) | 0)) {
    return twAck(tw, skb, LINUX_MIB_TCPACKSKIPPEDFINWAIT2);
  }
  if ((flags & TCPHDR_RST) !== 0) {
    inetTwskDeschedulePut(tw);
    return TCP_TW_SUCCESS;
  }
  if ((flags & TCPHDR_SYN) !== 0 && ((seq - rcvNxt) | 0) >= 0) return TCP_TW_RST;
  if ((flags & TCPHDR_ACK) === 0 || ((rcvNxt - endSeq) | 0) >= 0 || endSeq === seq) return TCP_TW_SUCCESS;
  // New data that no program will read.
  if ((flags & TCPHDR_FIN) === 0 || endSeq !== ((rcvNxt + 1) | 0)) return TCP_TW_RST;
  words[at + TW_RCV_NXT] = endSeq;
  tcpStateSeen(TCP_FIN_WAIT2, TCP_TIME_WAIT);
  twStoreTimestamp(at);
  inetTwskReschedule(tw, TCP_TIME_WAIT, TCP_TIMEWAIT_LEN);
  return TCP_TW_ACK;
}
