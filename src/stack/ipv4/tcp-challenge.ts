/**
 * What is doubtful about a segment, and the answers to it: PAWS, sequence numbers outside the window, challenge ACKs and their
 * limits. Linux: tcp_validate_incoming() and its helpers of net/ipv4/tcp_input.c. Read first: RFC 9293 section 3.10.7.4 (first
 * to fourth check), RFC 5961 (blind in-window attacks), RFC 7323 section 5 (PAWS). Owns the budget of challenge ACKs.
 */
import { memView } from "../../lib/memory.ts";
import { getRandomBelow } from "../../lib/random.ts";
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import {
  SKB_DROP_REASON_TCP_INVALID_END_SEQUENCE, SKB_DROP_REASON_TCP_INVALID_SEQUENCE, SKB_DROP_REASON_TCP_INVALID_SYN, SKB_DROP_REASON_TCP_OLD_SEQUENCE,
  SKB_DROP_REASON_TCP_RESET, SKB_DROP_REASON_TCP_RFC7323_PAWS, SKB_DROP_REASON_TCP_RFC7323_PAWS_ACK,
} from "../../uapi/drop-reason.ts";
import {
  LINUX_MIB_BEYONDWINDOW, LINUX_MIB_DELAYEDACKLOST, LINUX_MIB_PAWS_OLD_ACK, LINUX_MIB_PAWSESTABREJECTED, LINUX_MIB_TCPACKSKIPPEDCHALLENGE,
  LINUX_MIB_TCPACKSKIPPEDPAWS, LINUX_MIB_TCPACKSKIPPEDSEQ, LINUX_MIB_TCPCHALLENGEACK, LINUX_MIB_TCPSYNCHALLENGE,
  TCP_MIB_INERRS,
} from "../../uapi/snmp.ts";
import { TCP_SYN_RECV, TCPF_CLOSE_WAIT, TCPF_CLOSING, TCPF_LAST_ACK } from "../../uapi/tcp.ts";
import { kfreeSkb, type SkBuff } from "../core/skbuff.ts";
import { TCPHDR_ACK, TCPHDR_FIN, TCPHDR_RST, TCPHDR_SYN, TH_WIN } from "../wire/tcp.ts";
import { TP_LAST_OOW_ACK_TIME, TP_NUM_SACKS, TP_TS_RECENT_STAMP } from "./tcp-cold.ts";
import { tcpSendAck } from "./tcp-control.ts";
import { TCP_MAX_QUICKACKS, tcpEnterQuickackMode } from "./tcp-data.ts";
import { tcpReset } from "./tcp-input.ts";
import { tcpOowLimited, tcpOowRateLimited, tcpPawsReject } from "./tcp-minisocks.ts";
import { tcpDsackSet } from "./tcp-sack.ts";
import { tcpFastParseOptions } from "./tcp-options.ts";
import type { TcpSk, TcpSock } from "./tcp-sock.ts";
import { tcpReceiveWindow } from "./tcp-window.ts";

/** The budget of challenge ACKs counts for this time, in ms. */
const CHALLENGE_PERIOD_MS = 1000;
/** States in which the peer's FIN has been taken: its RST may be one number behind. */
const AFTER_FIN = TCPF_CLOSE_WAIT | TCPF_LAST_ACK | TCPF_CLOSING;

let challengeStart = 0;
let challengeLeft = 0;

/** Boot time only. */
export function tcpChallengeInit(): void {
  challengeStart = (jiffies - CHALLENGE_PERIOD_MS) | 0;
  challengeLeft = 0;
}

/** Remembers the timestamp of an accepted segment, unless an older one would replace a newer. Linux: tcp_replace_ts_recent(). */
export function tcpStoreTsRecent(tp: TcpSock): void {
  if (tcpPawsReject(tp.tsRecent, tp.rcvTsval, words[tp.cold + TP_TS_RECENT_STAMP]!, false)) return;
  tp.tsRecent = tp.rcvTsval;
  words[tp.cold + TP_TS_RECENT_STAMP] = jiffies === 0 ? 1 : jiffies;
}

/** Was a segment outside the window answered a moment ago? */
function skbRateLimited(sk: TcpSk, skb: SkBuff, mib: number): boolean {
  return tcpOowRateLimited(sk.net, skb, mib, sk.tp.cold + TP_LAST_OOW_ACK_TIME);
}

/**
 * Asks the peer to say again what was doubtful (RFC 5961): at most one in 500 ms for a connection, and about
 * tcp_challenge_ack_limit a second for all, by a budget nobody can predict. Linux: tcp_send_challenge_ack().
 */
export function tcpSendChallengeAck(sk: TcpSk): void {
  if (tcpOowLimited(sk.net, LINUX_MIB_TCPACKSKIPPEDCHALLENGE, sk.tp.cold + TP_LAST_OOW_ACK_TIME)) return;
  const now = jiffies;
  if (((now - challengeStart) | 0) >= CHALLENGE_PERIOD_MS) {
    const limit = sk.net.ipv4.tcpChallengeAckLimit;
    const half = (limit + 1) >> 1;
    challengeStart = now;
    challengeLeft = half + getRandomBelow(limit);
  }
  if (challengeLeft === 0) return;
  challengeLeft--;
  sk.net.mib[LINUX_MIB_TCPCHALLENGEACK]!++;
  tcpSendAck(sk);
}

/** Answers what was received before; the peer seems to have lost our ACK. Linux: tcp_send_dupack(). */
function tcpSendDupack(sk: TcpSk, skb: SkBuff): void {
  if (skb.endSeq !== skb.seq && ((skb.seq - sk.tp.rcvNxt) | 0) < 0) {
    sk.net.mib[LINUX_MIB_DELAYEDACKLOST]!++;
    tcpEnterQuickackMode(sk, TCP_MAX_QUICKACKS);
    const rcvNxt = sk.tp.rcvNxt;
    tcpDsackSet(sk, skb.seq, ((skb.endSeq - rcvNxt) | 0) > 0 ? rcvNxt : skb.endSeq);
  }
  tcpSendAck(sk);
}

/**
 * A segment whose timestamp is too old: is it a pure ACK that is only reordered, changes nothing, and is let pass? One that is
 * older still is common, too, and needs no answer. Linux: tcp_disordered_ack_check(). @returns 0, or SKB_DROP_REASON_*
 */
function tcpDisorderedAck(sk: TcpSk, skb: SkBuff): number {
  const tp = sk.tp;
  const seq = skb.seq;
  if ((skb.tcpFlags & TCPHDR_ACK) === 0 || seq !== skb.endSeq) return SKB_DROP_REASON_TCP_RFC7323_PAWS;
  const ahead = (seq - tp.rcvNxt) | 0;
  if (ahead < 0) return SKB_DROP_REASON_TCP_RFC7323_PAWS_ACK;
  if (ahead > 0 || skb.ackSeq !== tp.sndUna) return SKB_DROP_REASON_TCP_RFC7323_PAWS;
  const newer = (seq - tp.sndWl1) | 0;
  const window = memView.getUint16(skb.th + TH_WIN) << tp.sndWscale;
  const late = ((tp.tsRecent - tp.rcvTsval) | 0) > sk.icsk.rto + ((sk.icsk.rto / 5) | 0);
  return late || newer > 0 || (newer === 0 && (window > tp.sndWnd || window === 0)) ? SKB_DROP_REASON_TCP_RFC7323_PAWS : 0;
}

/** The timestamp is too old (PAWS): answers, or not, and drops. */
function pawsDiscard(sk: TcpSk, skb: SkBuff, reason: number): false {
  const mib = sk.net.mib;
  if (reason === SKB_DROP_REASON_TCP_RFC7323_PAWS_ACK) {
    mib[LINUX_MIB_PAWS_OLD_ACK]!++;
  } else {
    mib[LINUX_MIB_PAWSESTABREJECTED]!++;
    if (!skbRateLimited(sk, skb, LINUX_MIB_TCPACKSKIPPEDPAWS)) tcpSendDupack(sk, skb);
  }
  kfreeSkb(skb, reason);
  return false;
}

/**
 * Does the segment touch the window? One that ends beyond it may, but for its FIN only while nothing waits to be read.
 * Linux: tcp_sequence(). @returns 0, or SKB_DROP_REASON_* for what is wrong
 */
function tcpSequence(sk: TcpSk, skb: SkBuff): number {
  const tp = sk.tp;
  const endSeq = skb.endSeq;
  if (((endSeq - tp.rcvWup) | 0) < 0) return SKB_DROP_REASON_TCP_OLD_SEQUENCE;
  const limit = (tp.rcvNxt + tcpReceiveWindow(tp)) | 0;
  const beyond = (endSeq - limit) | 0;
  if (beyond <= (skb.tcpFlags & TCPHDR_FIN)) return 0;
  if (((skb.seq - limit) | 0) > 0) return SKB_DROP_REASON_TCP_INVALID_SEQUENCE;
  return sk.receiveQueue.head !== null ? SKB_DROP_REASON_TCP_INVALID_END_SEQUENCE : 0;
}

/** After its FIN the peer may have lost our ACK: a RST one number behind is right. Linux: tcp_reset_check(). */
function tcpResetCheck(sk: TcpSk, skb: SkBuff): boolean {
  return skb.seq === ((sk.tp.rcvNxt - 1) | 0) && ((1 << sk.state) & AFTER_FIN) !== 0;
}

/** Is it the end of the last block that we report: what a peer whose segments were lost numbers its reset by? */
function endsLastBlock(tp: TcpSock, seq: number): boolean {
  const last = tp.ofoTail;
  return words[tp.cold + TP_NUM_SACKS] !== 0 && last !== null && last.endSeq === seq;
}

function synChallenge(sk: TcpSk, skb: SkBuff, synInErr: boolean): false {
  if (synInErr) sk.net.mib[TCP_MIB_INERRS]!++;
  sk.net.mib[LINUX_MIB_TCPSYNCHALLENGE]!++;
  tcpSendChallengeAck(sk);
  kfreeSkb(skb, SKB_DROP_REASON_TCP_INVALID_SYN);
  return false;
}

/** Simultaneous open: the peer's SYN again, now with the acknowledgment of ours (RFC 9293 figure 7). */
function completesOpen(sk: TcpSk, skb: SkBuff): boolean {
  const tp = sk.tp;
  const next = (skb.seq + 1) | 0;
  return sk.state === TCP_SYN_RECV && sk.socket !== null && (skb.tcpFlags & TCPHDR_ACK) !== 0 && next === skb.endSeq
    && next === tp.rcvNxt && skb.ackSeq === tp.sndNxt;
}

/**
 * The first four checks of RFC 9293 section 3.10.7.4: timestamp, sequence, RST, SYN. Linux: tcp_validate_incoming().
 * @param synInErr a SYN counts as an error @returns whether to go on; else the segment was answered as needed and is gone
 */
export function tcpValidateIncoming(sk: TcpSk, skb: SkBuff, synInErr: boolean): boolean {
  const tp = sk.tp;
  const flags = skb.tcpFlags;
  const rst = (flags & TCPHDR_RST) !== 0;
  // A reset is taken in spite of its timestamp (RFC 7323 section 5.2).
  if (
    tcpFastParseOptions(skb, tp) && tp.sawTstamp && ((tp.tsRecent - tp.rcvTsval) | 0) > 1 && !rst
    && tcpPawsReject(tp.tsRecent, tp.rcvTsval, words[tp.cold + TP_TS_RECENT_STAMP]!, false)
  ) {
    const reason = tcpDisorderedAck(sk, skb);
    if (reason !== 0) return (flags & TCPHDR_SYN) !== 0 ? synChallenge(sk, skb, synInErr) : pawsDiscard(sk, skb, reason);
  }
  const wrong = tcpSequence(sk, skb);
  if (wrong !== 0) {
    if (rst) {
      if (tcpResetCheck(sk, skb)) tcpReset(sk, skb);
    } else {
      if ((flags & TCPHDR_SYN) !== 0) return synChallenge(sk, skb, synInErr);
      if (wrong !== SKB_DROP_REASON_TCP_OLD_SEQUENCE) sk.net.mib[LINUX_MIB_BEYONDWINDOW]!++;
      if (!skbRateLimited(sk, skb, LINUX_MIB_TCPACKSKIPPEDSEQ)) tcpSendDupack(sk, skb);
    }
    kfreeSkb(skb, wrong);
    return false;
  }
  if (rst) {
    // Only the exact number resets, or the end of what came behind a hole; any other in the window might be a guess (RFC 5961 3.2).
    if (skb.seq === tp.rcvNxt || tcpResetCheck(sk, skb) || endsLastBlock(tp, skb.seq)) tcpReset(sk, skb);
    else tcpSendChallengeAck(sk);
    kfreeSkb(skb, SKB_DROP_REASON_TCP_RESET);
    return false;
  }
  if ((flags & TCPHDR_SYN) !== 0 && !completesOpen(sk, skb)) return synChallenge(sk, skb, synInErr);
  return true;
}
