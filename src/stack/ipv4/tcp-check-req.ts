/**
 * What a segment does to a half-open connection (state SYN_RECV of RFC 9293 section 3.10.7.4), and the first segment of
 * a new sock. Linux: tcp_check_req() and tcp_child_process() of net/ipv4/tcp_minisocks.c. Read first besides: RFC 7323
 * section 5.
 */
import { memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import {
  SKB_CONSUMED, SKB_DROP_REASON_NOMEM, SKB_DROP_REASON_TCP_CLOSE, SKB_DROP_REASON_TCP_FLAGS,
  SKB_DROP_REASON_TCP_INVALID_SYN, SKB_DROP_REASON_TCP_LISTEN_OVERFLOW, SKB_DROP_REASON_TCP_OVERWINDOW,
  SKB_DROP_REASON_TCP_RESET, SKB_DROP_REASON_TCP_RFC7323_PAWS, SKB_DROP_REASON_TCP_RFC7323_TSECR,
} from "../../uapi/drop-reason.ts";
import {
  LINUX_MIB_EMBRYONICRSTS, LINUX_MIB_PAWSESTABREJECTED, LINUX_MIB_TCPACKSKIPPEDCHALLENGE, LINUX_MIB_TCPACKSKIPPEDSYNRECV,
  LINUX_MIB_TCPCHALLENGEACK, LINUX_MIB_TCPDEFERACCEPTDROP, LINUX_MIB_TSECRREJECTED, TCP_MIB_ATTEMPTFAILS,
} from "../../uapi/snmp.ts";
import { TCP_SYN_RECV } from "../../uapi/tcp.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { skbChainTail } from "../core/skb-queue.ts";
import { sockDefReadable } from "../core/sock.ts";
import { IPH_SADDR } from "../wire/ip.ts";
import {
  TCPHDR_ACK, TCPHDR_DOFF_MASK, TCPHDR_DOFF_PLAIN, TCPHDR_RST, TCPHDR_SYN, TH_OFF_FLAGS,
} from "../wire/tcp.ts";
import { inetCskCompleteHashdance, inetCskReqskQueueDrop, skAcceptqIsFull } from "./inet-connection-sock.ts";
import {
  REQ_ACKED, REQ_LAST_OOW_ACK_TIME, REQ_RCV_ISN, REQ_RCV_WND, REQ_SND_ISN, REQ_SNT_SYNACK, REQ_TS_OFFSET, REQ_TS_RECENT,
  REQ_TSTAMP_OK, REQ_WORDS, reqRows, reqskHas, reqskLastSynack, reqskListener, reqskRcvWscale, reqskRetrans, reqskSet,
  reqskTimeoutMs, reqskTimeouts, reqskTimerStart,
} from "./request-sock.ts";
import { tcpSynackRttMeas } from "./tcp-ack.ts";
import { ICSK_DEFER_ACCEPT } from "./tcp-cold.ts";
import { tcpSegsIn } from "./tcp-data.ts";
import { tcpV4SynRecvSock } from "./tcp-ipv4-open.ts";
import { tcpInWindow, tcpOowLimited, tcpOowRateLimited, tcpPawsReject } from "./tcp-minisocks.ts";
import { rxOpt, tcpParseOptions } from "./tcp-options.ts";
import { tcpMd5, tcpMd5Keys } from "./tcp-parts.ts";
import { tcpSendReply, tcpV4SendReset } from "./tcp-reply.ts";
import type { TcpSk } from "./tcp-sock.ts";
import { tcpRtxSynack } from "./tcp-synack.ts";
import { tcpRcvStateProcess } from "./tcp-input.ts";

const STATE_FLAGS = TCPHDR_SYN | TCPHDR_RST | TCPHDR_ACK;

/** Why the last tcpCheckReq() that answered null did: SKB_CONSUMED when the segment did its work, else SKB_DROP_REASON_*. */
export let tcpCheckReqReason = SKB_CONSUMED;

/** Nothing more to do with the segment, for that reason. */
function done(reason: number): null {
  tcpCheckReqReason = reason;
  return null;
}

/**
 * Checks a segment against a request. Linux: tcp_check_req().
 * @returns the new sock, in the accept queue and still to be given the segment; the listener itself, when the segment
 *   is to be treated as one for it (a wrong acknowledgment: it answers with a reset); null when there is nothing more
 *   to do, for the reason in `tcpCheckReqReason`. The segment stays the caller's.
 */
export function tcpCheckReq(sk: TcpSk, skb: SkBuff, req: number): TcpSk | null {
  const at = reqRows + req * REQ_WORDS;
  const net = sk.net;
  let flags = skb.tcpFlags & STATE_FLAGS;
  const rst = (flags & TCPHDR_RST) !== 0;
  const seq = skb.seq;
  const rcvIsn = words[at + REQ_RCV_ISN]!;
  const rcvNxt = (rcvIsn + 1) | 0;
  let pawsReject = false;
  let tsecrReject = false;
  rxOpt.sawTstamp = false;
  if ((memView.getUint16(skb.th + TH_OFF_FLAGS) & TCPHDR_DOFF_MASK) > TCPHDR_DOFF_PLAIN) {
    tcpParseOptions(skb, rxOpt, null, net.ipv4);
    if (rxOpt.sawTstamp) {
      // When the SYN came is not kept; it was about as long ago as the current timeout.
      const stamp = (jiffies - reqskTimeoutMs(reqskTimeouts(req))) | 0;
      pawsReject = tcpPawsReject(words[at + REQ_TS_RECENT]!, rxOpt.rcvTsval, stamp, rst);
      tsecrReject = rxOpt.rcvTsecr !== 0 && reqskHas(req, REQ_TSTAMP_OK) && echoIsWrong(req, (rxOpt.rcvTsecr - words[at + REQ_TS_OFFSET]!) | 0);
    }
  }
  if (seq === rcvIsn && flags === TCPHDR_SYN && !pawsReject) {
    // The SYN again: our SYN-ACK was lost, or is late.
    if (!oowLimited(sk, skb, at) && tcpRtxSynack(sk, req) === 0) reqskTimerStart(req);
    return done(SKB_CONSUMED);
  }
  if (!rst && (flags & TCPHDR_ACK) !== 0 && skb.ackSeq !== ((words[at + REQ_SND_ISN]! + 1) | 0)) return sk;
  if (pawsReject || tsecrReject || !tcpInWindow(seq, skb.endSeq, rcvNxt, (rcvNxt + words[at + REQ_RCV_WND]!) | 0)) {
    if (!rst && !oowLimited(sk, skb, at)) tcpV4SendAckReq(req, skb);
    if (pawsReject) net.mib[LINUX_MIB_PAWSESTABREJECTED]!++;
    else if (tsecrReject) net.mib[LINUX_MIB_TSECRREJECTED]!++;
    else return done(SKB_DROP_REASON_TCP_OVERWINDOW);
    return done(pawsReject ? SKB_DROP_REASON_TCP_RFC7323_PAWS : SKB_DROP_REASON_TCP_RFC7323_TSECR);
  }
  if (rst && seq !== rcvNxt) {
    // As in later states only the exact number resets (RFC 5961 section 3.2).
    if (!tcpOowLimited(net, LINUX_MIB_TCPACKSKIPPEDCHALLENGE, at + REQ_LAST_OOW_ACK_TIME)) {
      net.mib[LINUX_MIB_TCPCHALLENGEACK]!++;
      tcpV4SendAckReq(req, skb);
    }
    return done(SKB_DROP_REASON_TCP_RESET);
  }
  if (rxOpt.sawTstamp && ((rcvNxt - seq) | 0) >= 0) words[at + REQ_TS_RECENT] = rxOpt.rcvTsval;
  // A SYN at its first number is outside the window, and only the rest of the segment counts.
  if (seq === rcvIsn) flags &= ~TCPHDR_SYN;
  if ((flags & (TCPHDR_RST | TCPHDR_SYN)) !== 0) {
    net.mib[TCP_MIB_ATTEMPTFAILS]!++;
    return embryonicReset(sk, skb, req, rst);
  }
  if ((flags & TCPHDR_ACK) === 0) return done(SKB_DROP_REASON_TCP_FLAGS);
  if (reqskTimeouts(req) < words[sk.icsk.cold + ICSK_DEFER_ACCEPT]! && skb.endSeq === rcvNxt) {
    // TCP_DEFER_ACCEPT: the ACK alone does not wake the program.
    reqskSet(req, REQ_ACKED);
    net.mib[LINUX_MIB_TCPDEFERACCEPTDROP]!++;
    return done(SKB_CONSUMED);
  }
  const full = skAcceptqIsFull(sk);
  const child = tcpV4SynRecvSock(sk, skb, req);
  if (child !== null) {
    // Karn's rule: a SYN-ACK sent twice measures nothing.
    if (reqskRetrans(req) === 0) tcpSynackRttMeas(child, (jiffies - words[at + REQ_SNT_SYNACK]!) | 0);
    tcpCheckReqReason = SKB_DROP_REASON_TCP_CLOSE;
    return inetCskCompleteHashdance(sk, child, req);
  }
  if (net.ipv4.tcpAbortOnOverflow !== 0) return embryonicReset(sk, skb, req, rst);
  reqskSet(req, REQ_ACKED);
  return done(full ? SKB_DROP_REASON_TCP_LISTEN_OVERFLOW : SKB_DROP_REASON_NOMEM);
}

/** Sends the ACK of a request. Linux: tcp_v4_reqsk_send_ack(). */
function tcpV4SendAckReq(req: number, skb: SkBuff): void {
  const at = reqRows + req * REQ_WORDS;
  const sk = reqskListener(req);
  const window = words[at + REQ_RCV_WND]! >> reqskRcvWscale(req);
  const md5 = tcpMd5Keys === 0 ? -1 : tcpMd5!.lookup(sk.index, memView.getInt32(skb.nh + IPH_SADDR));
  tcpSendReply(
    sk.net, skb, words[at + REQ_SND_ISN]! + 1, words[at + REQ_RCV_ISN]! + 1, TCPHDR_ACK, window, sk.inet.tos,
    reqskHas(req, REQ_TSTAMP_OK), (jiffies + words[at + REQ_TS_OFFSET]!) | 0, words[at + REQ_TS_RECENT]!, md5,
  );
}

/** Is the echoed timestamp none of a SYN-ACK that was sent? */
function echoIsWrong(req: number, echo: number): boolean {
  const first = words[reqRows + req * REQ_WORDS + REQ_SNT_SYNACK]!;
  return ((echo - first) | 0) < 0 || ((echo - reqskLastSynack(req)) | 0) > 0;
}

function oowLimited(sk: TcpSk, skb: SkBuff, at: number): boolean {
  return tcpOowRateLimited(sk.net, skb, LINUX_MIB_TCPACKSKIPPEDSYNRECV, at + REQ_LAST_OOW_ACK_TIME);
}

/** The half-open connection ends, with a reset unless that came from the peer. */
function embryonicReset(sk: TcpSk, skb: SkBuff, req: number, rst: boolean): null {
  if (!rst) tcpV4SendReset(sk, skb);
  inetCskReqskQueueDrop(sk, req);
  sk.net.mib[LINUX_MIB_EMBRYONICRSTS]!++;
  return done(rst ? SKB_DROP_REASON_TCP_RESET : SKB_DROP_REASON_TCP_INVALID_SYN);
}

/**
 * Gives a new sock the segment that made it, and tells the listener's program that a connection waits. The segment is
 * consumed when the answer is 0. Linux: tcp_child_process().
 * @returns else SKB_DROP_REASON_*: a reset is due, to be sent by the caller
 */
export function tcpChildProcess(parent: TcpSk, child: TcpSk, skb: SkBuff): number {
  tcpSegsIn(child.tp, skb);
  if (child.owned) {
    child.backlog = skbChainTail(child.backlog, skb);
    return 0;
  }
  const state = child.state;
  const answer = tcpRcvStateProcess(child, skb);
  if (state === TCP_SYN_RECV && child.state !== state) sockDefReadable(parent);
  return answer;
}
