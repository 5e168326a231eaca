/**
 * Explicit congestion notification: routers mark packets instead of dropping them, the receiver echoes the mark (ECE) until the
 * sender says that it has slowed down (CWR). Linux: the tcp_ecn_*() of net/ipv4/tcp_input.c, tcp_output.c and
 * include/net/tcp_ecn.h. Read first: RFC 3168 sections 5 and 6.1. Owns the meaning of TcpSock.ecnFlags.
 *
 *     SYN  ECE+CWR ──>      <── SYN-ACK ECE        both sides have said yes: TCP_ECN_OK
 *     data ECT(0) ──router──> CE      <── ACK ECE, ECE, …       data CWR ──>      <── ACK
 */
import { mem8, memView } from "../../lib/memory.ts";
import { INET_ECN_CE, INET_ECN_ECT_0, INET_ECN_MASK, INET_ECN_NOT_ECT } from "../../uapi/ip.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { IPH_TOS } from "../wire/ip.ts";
import { TCPHDR_ACK, TCPHDR_CWR, TCPHDR_ECE, TCPHDR_SYN, TCPHDR_SYN_ECN, TH_OFF_FLAGS } from "../wire/tcp.ts";
import { tcpEnterQuickackMode } from "./tcp-data.ts";
import type { TcpEcnOps } from "./tcp-parts.ts";
import { ICSK_ACK_NOW, type TcpSk, type TcpSock } from "./tcp-sock.ts";

/** TcpSock.ecnFlags: both sides do ECN. Its bits from TCP_ECN_CE_SHIFT on count the segments delivered by ACKs with ECE. */
export const TCP_ECN_OK = 1;
/** The next new data carries CWR. */
const TCP_ECN_QUEUE_CWR = 2;
/** A mark was seen: every ACK carries ECE until CWR comes. */
const TCP_ECN_DEMAND_CWR = 4;
/** The peer has sent ECT or CE. */
export const TCP_ECN_SEEN = 8;
export const TCP_ECN_CE_SHIFT = 8;

/** net.ipv4.tcp_ecn: ask for it too, not only agree to it. */
const ECN_INITIATE = 1;
/** Reserved bits of the 16-bit word of offset and flags. */
const RESERVED_BITS = 0x0f00;
/** A mark and its echo are answered soon: the sender may have a window of one or two. */
const ECN_QUICKACKS = 2;

/** Our SYN asks for ECN when net.ipv4.tcp_ecn is 1. Linux: tcp_ecn_send_syn(). @returns the flags of the SYN */
function tcpEcnSendSyn(sk: TcpSk, flags: number): number {
  const use = sk.net.ipv4.tcpEcn === ECN_INITIATE;
  sk.tp.ecnFlags = use ? TCP_ECN_OK : 0;
  sk.inet.tos &= ~INET_ECN_MASK;
  return use ? flags | TCPHDR_ECE | TCPHDR_CWR : flags;
}

/**
 * A SYN that nobody answered may have been dropped for asking: the next one does not (RFC 3168 section 6.1.1.1).
 * Linux: tcp_ecn_clear_syn().
 */
function tcpEcnClearSyn(sk: TcpSk, skb: SkBuff): void {
  if ((skb.tcpFlags & TCPHDR_SYN_ECN) === TCPHDR_SYN_ECN && sk.net.ipv4.tcpEcnFallback !== 0) {
    skb.tcpFlags &= ~(TCPHDR_ECE | TCPHDR_CWR);
  }
}

/** The answer to a SYN that asked: agreed when ECE is there alone. Linux: tcp_ecn_rcv_synack(). */
function tcpEcnRcvSynack(tp: TcpSock, flags: number): void {
  if ((flags & (TCPHDR_ECE | TCPHDR_CWR)) !== TCPHDR_ECE) tp.ecnFlags &= ~TCP_ECN_OK;
}

/** A SYN that crossed ours must ask as well. Linux: tcp_ecn_rcv_syn(). */
function tcpEcnRcvSyn(tp: TcpSock, flags: number): void {
  if ((flags & (TCPHDR_ECE | TCPHDR_CWR)) !== (TCPHDR_ECE | TCPHDR_CWR)) tp.ecnFlags &= ~TCP_ECN_OK;
}

/** Our SYN becomes the SYN-ACK of a simultaneous open. Linux: tcp_ecn_send_synack(). @returns its flags */
function tcpEcnSendSynack(tp: TcpSock, flags: number): number {
  const plain = (flags | TCPHDR_ACK) & ~(TCPHDR_ECE | TCPHDR_CWR);
  return (tp.ecnFlags & TCP_ECN_OK) !== 0 ? plain | TCPHDR_ECE : plain;
}

/**
 * Does a SYN for a listener ask for ECN, and may it have it? A SYN that is itself marked ECT is not of RFC 3168, unless a
 * reserved bit shows that its sender knows more. Linux: tcp_ecn_create_request().
 */
function tcpEcnCreateRequest(sk: TcpSk, skb: SkBuff): boolean {
  const flags = skb.tcpFlags;
  if ((flags & TCPHDR_SYN_ECN) !== TCPHDR_SYN_ECN || sk.net.ipv4.tcpEcn === 0) return false;
  const marked = (mem8[skb.nh + IPH_TOS]! & INET_ECN_MASK) !== INET_ECN_NOT_ECT;
  return !marked || (memView.getUint16(skb.th + TH_OFF_FLAGS) & RESERVED_BITS) !== 0;
}

/** Does an ACK echo a mark? Linux: tcp_ecn_rcv_ecn_echo(). */
function tcpEcnRcvEcnEcho(tp: TcpSock, flags: number): boolean {
  return (flags & (TCPHDR_ECE | TCPHDR_SYN)) === TCPHDR_ECE && (tp.ecnFlags & TCP_ECN_OK) !== 0;
}

/**
 * Marks a segment on its way out, unless it is a SYN: new data is capable of being marked (ECT), what repeats or carries none is
 * not (RFC 3168 sections 6.1.4 and 6.1.5). Linux: tcp_ecn_send(). @returns the flags to send
 */
function tcpEcnSend(sk: TcpSk, skb: SkBuff, payload: number, segmentFlags: number): number {
  const tp = sk.tp;
  const inet = sk.inet;
  const ecn = tp.ecnFlags;
  let flags = segmentFlags;
  if ((ecn & TCP_ECN_OK) === 0) return flags;
  if (payload !== 0 && ((skb.seq - tp.sndNxt) | 0) >= 0) {
    inet.tos |= INET_ECN_ECT_0;
    if ((ecn & TCP_ECN_QUEUE_CWR) !== 0) {
      tp.ecnFlags = ecn & ~TCP_ECN_QUEUE_CWR;
      flags |= TCPHDR_CWR;
    }
  } else {
    inet.tos &= ~INET_ECN_MASK;
  }
  return (ecn & TCP_ECN_DEMAND_CWR) !== 0 ? flags | TCPHDR_ECE : flags;
}

/** The window was reduced: the peer is told. Linux: tcp_ecn_queue_cwr(). */
function tcpEcnQueueCwr(tp: TcpSock): void {
  if ((tp.ecnFlags & TCP_ECN_OK) !== 0) tp.ecnFlags |= TCP_ECN_QUEUE_CWR;
}

/** The reduction was undone before the peer was told. Linux: tcp_ecn_withdraw_cwr(). */
function tcpEcnWithdrawCwr(tp: TcpSock): void {
  tp.ecnFlags &= ~TCP_ECN_QUEUE_CWR;
}

/** Data with CWR: the peer has heard the echo. Linux: tcp_ecn_accept_cwr(). */
function tcpEcnAcceptCwr(sk: TcpSk, skb: SkBuff): void {
  if ((skb.tcpFlags & TCPHDR_CWR) === 0) return;
  sk.tp.ecnFlags &= ~TCP_ECN_DEMAND_CWR;
  // Its window may be a single segment: it should not wait for us.
  sk.icsk.ackPending |= ICSK_ACK_NOW;
}

/** Data arrives on a connection with ECN: was it marked? Linux: tcp_ecn_check_ce(). */
function tcpEcnCheckCe(sk: TcpSk, skb: SkBuff): void {
  const tp = sk.tp;
  const ecn = tp.ecnFlags;
  if ((ecn & TCP_ECN_OK) === 0) return;
  switch (mem8[skb.nh + IPH_TOS]! & INET_ECN_MASK) {
    case INET_ECN_NOT_ECT:
      // From a peer that marks its data this is a retransmission.
      if ((ecn & TCP_ECN_SEEN) !== 0) tcpEnterQuickackMode(sk, ECN_QUICKACKS);
      break;
    case INET_ECN_CE:
      if ((ecn & TCP_ECN_DEMAND_CWR) === 0) tcpEnterQuickackMode(sk, ECN_QUICKACKS);
      tp.ecnFlags = ecn | TCP_ECN_DEMAND_CWR | TCP_ECN_SEEN;
      break;
    default:
      tp.ecnFlags = ecn | TCP_ECN_SEEN;
  }
}

/** An ACK with ECE delivered so many segments (tcpi_delivered_ce). */
function tcpEcnDelivered(tp: TcpSock, segments: number): void {
  tp.ecnFlags += segments << TCP_ECN_CE_SHIFT;
}

/** What the rest of TCP finds of it, in tcp-parts.ts. */
export const tcpEcnOps: TcpEcnOps = Object.freeze({
  sendSyn: tcpEcnSendSyn, sendSynack: tcpEcnSendSynack, clearSyn: tcpEcnClearSyn, createRequest: tcpEcnCreateRequest,
  rcvSynack: tcpEcnRcvSynack, rcvSyn: tcpEcnRcvSyn, echoes: tcpEcnRcvEcnEcho, delivered: tcpEcnDelivered, send: tcpEcnSend,
  queueCwr: tcpEcnQueueCwr, withdrawCwr: tcpEcnWithdrawCwr, acceptCwr: tcpEcnAcceptCwr, checkCe: tcpEcnCheckCe,
});
