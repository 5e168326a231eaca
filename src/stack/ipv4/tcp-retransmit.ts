/**
 * Sending a segment again. Linux: tcp_retransmit_skb() and tcp_xmit_retransmit_queue() of net/ipv4/tcp_output.c. Read first:
 * RFC 6298 section 5, RFC 6582. Which segments are lost is decided in tcp-fastretrans.ts; here they are sent as the congestion
 * window lets them.
 *
 * The header of a segment is written in front of its data, so a segment cannot be sent while an earlier clone of it is still
 * somewhere: in a queue of this host it will yet leave, and the retransmission waits; at a receiver on this same machine
 * (loopback, veth) it may stay, and a copy is sent.
 */
import { memCopy } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import { EAGAIN, EBUSY, ENOBUFS } from "../../uapi/errno.ts";
import {
  LINUX_MIB_TCPFASTRETRANS, LINUX_MIB_TCPLOSTRETRANSMIT, LINUX_MIB_TCPRETRANSFAIL, LINUX_MIB_TCPSLOWSTARTRETRANS,
  LINUX_MIB_TCPSPURIOUS_RTX_HOSTQUEUES, LINUX_MIB_TCPSYNRETRANS, TCP_MIB_RETRANSSEGS,
} from "../../uapi/snmp.ts";
import { TCP_CA_LOSS } from "../../uapi/tcp.ts";
import { pskbCopy } from "../core/skb-copy.ts";
import { type SkBuff, skbBufferBytes, skbCloned, skbPull } from "../core/skbuff.ts";
import { TCPHDR_PSH, TCPHDR_SYN } from "../wire/tcp.ts";
import { IP_CMSG_OPTIONS } from "./inet-sock.ts";
import { TP_BYTES_RETRANS, TP_LOST, TP_PRR_OUT, TP_RETRANS_STAMP, TP_TOTAL_RETRANS, TP_UNDO_RETRANS } from "./tcp-cold.ts";
import { tcpInCwndReduction, tcpPacketsInFlight } from "./tcp-cong.ts";
import { tcpMakeHeadroom } from "./tcp-ip-options.ts";
import { tcpFragment, tcpWriteQueueFree } from "./tcp-output.ts";
import { tcpEcn, tcpMtuProbes, tcpMtupSearching, tcpPacing } from "./tcp-parts.ts";
import {
  ICSK_TIME_REO_TIMEOUT, ICSK_TIME_RETRANS, TCPCB_CHUNK, TCPCB_EOR, TCPCB_EVER_RETRANS, TCPCB_LOST, TCPCB_SACKED_ACKED,
  TCPCB_SACKED_RETRANS, type TcpSk,
} from "./tcp-sock.ts";
import { inetCskResetXmitTimer } from "./tcp-timer.ts";
import { tcpCurrentMss, tcpWndEnd } from "./tcp-window.ts";
import { tcpTransmitSkb } from "./tcp-xmit.ts";

/** Bytes of sk.wmemAlloc when no packet of the socket is in a queue of this host. */
const NOTHING_QUEUED = 1;

/** Appends the segments behind `skb` that were sent too and fit into one MSS. Linux: tcp_retrans_try_collapse(). */
function tcpRetransTryCollapse(sk: TcpSk, skb: SkBuff, mss: number): void {
  const tp = sk.tp;
  if ((skb.tcpFlags & TCPHDR_SYN) !== 0 || skbCloned(skb) || (skb.sacked & TCPCB_EOR) !== 0) return;
  for (let next = skb.next; next !== null && next !== sk.sendHead; next = skb.next) {
    const length = next.len;
    if (skb.len + length > mss || skb.tail + length > skb.head + skbBufferBytes) return;
    if (((next.endSeq - tcpWndEnd(tp)) | 0) > 0) return;
    const sacked = next.sacked;
    if ((sacked & TCPCB_SACKED_ACKED) !== 0) return;
    memCopy(skb.tail, next.data, length);
    skb.tail += length;
    skb.len += length;
    skb.endSeq = next.endSeq;
    skb.tcpFlags |= next.tcpFlags;
    skb.sacked = (skb.sacked & ~TCPCB_CHUNK) | (sacked & (TCPCB_EVER_RETRANS | TCPCB_CHUNK | TCPCB_EOR));
    tp.packetsOut--;
    if ((sacked & TCPCB_LOST) !== 0) tp.lostOut--;
    if ((sacked & TCPCB_SACKED_RETRANS) !== 0) tp.retransOut--;
    tcpWriteQueueFree(sk, next);
    if ((sacked & TCPCB_EOR) !== 0) return;
  }
}

/** Sends a clone, or when the bytes are still seen by someone else a copy. */
export function tcpSendAgain(sk: TcpSk, skb: SkBuff): number {
  if (!skbCloned(skb)) return tcpTransmitSkb(sk, skb, true);
  const copy = pskbCopy(skb);
  if (copy === null) return -ENOBUFS;
  if ((sk.inet.flags & IP_CMSG_OPTIONS) !== 0) tcpMakeHeadroom(sk, copy);
  skb.when = jiffies;
  return tcpTransmitSkb(sk, copy, false);
}

/**
 * Sends a segment of the write queue again, cut to the MSS and the window of now, without counting it as in flight: tail loss
 * probes are not. Linux: __tcp_retransmit_skb().
 * @returns 0; -EBUSY while an earlier copy has not left this host, -EAGAIN when it lies beyond the window, or another
 * negative errno of a pool or the layers below
 */
export function tcpRetransmitSegment(sk: TcpSk, skb: SkBuff): number {
  const tp = sk.tp;
  const mib = sk.net.mib;
  if (tcpMtupSearching !== 0) tcpMtuProbes!.inconclusive(sk);
  if (skbCloned(skb) && sk.wmemAlloc > NOTHING_QUEUED) {
    mib[LINUX_MIB_TCPSPURIOUS_RTX_HOSTQUEUES]!++;
    return -EBUSY;
  }
  const acked = (tp.sndUna - skb.seq) | 0;
  if (acked > 0 && acked <= skb.len) {
    skbPull(skb, acked);
    skb.seq = tp.sndUna;
  }
  const room = (tcpWndEnd(tp) - skb.seq) | 0;
  if (room <= 0 && skb.seq !== tp.sndUna) return -EAGAIN;
  let mss = tcpCurrentMss(sk);
  // A window that has shrunk below the segment: only its beginning; a closed one is probed with a whole segment.
  if (room > 0 && room < mss) mss = room;
  if (skb.len > mss) {
    const err = tcpFragment(sk, skb, mss);
    if (err < 0) return err;
  } else {
    tcpRetransTryCollapse(sk, skb, mss);
  }
  if ((skb.tcpFlags & TCPHDR_SYN) !== 0 && tcpEcn !== null) tcpEcn.clearSyn(sk, skb);
  const err = tcpSendAgain(sk, skb);
  // Also when it failed: its time of sending has changed, and must not measure a round trip.
  skb.sacked |= TCPCB_EVER_RETRANS;
  if (err < 0) {
    mib[LINUX_MIB_TCPRETRANSFAIL]!++;
    return err;
  }
  words[tp.cold + TP_TOTAL_RETRANS]!++;
  words[tp.cold + TP_BYTES_RETRANS]! += skb.len;
  mib[TCP_MIB_RETRANSSEGS]!++;
  if ((skb.tcpFlags & TCPHDR_SYN) !== 0) mib[LINUX_MIB_TCPSYNRETRANS]!++;
  return 0;
}

/** Sends a segment again, which then is in flight once more. Linux: tcp_retransmit_skb(). @returns as tcpRetransmitSegment() */
export function tcpRetransmitSkb(sk: TcpSk, skb: SkBuff): number {
  const tp = sk.tp;
  const rec = tp.cold;
  const err = tcpRetransmitSegment(sk, skb);
  if (err === 0) {
    if ((skb.sacked & TCPCB_SACKED_RETRANS) === 0) tp.retransOut++;
    skb.sacked |= TCPCB_SACKED_RETRANS;
  }
  // Of the first attempt; a tail loss probe is none.
  if (words[rec + TP_RETRANS_STAMP] === 0) words[rec + TP_RETRANS_STAMP] = jiffies === 0 ? 1 : jiffies;
  words[rec + TP_UNDO_RETRANS] = words[rec + TP_UNDO_RETRANS]! < 0 ? 1 : words[rec + TP_UNDO_RETRANS]! + 1;
  return err;
}

/** Marks a segment lost; a retransmission lost again may be sent again. Linux: tcp_mark_skb_lost(). */
export function tcpMarkSkbLost(sk: TcpSk, skb: SkBuff): void {
  const tp = sk.tp;
  const sacked = skb.sacked;
  if ((sacked & TCPCB_SACKED_ACKED) !== 0) return;
  if ((sacked & TCPCB_LOST) === 0) {
    tp.lostOut++;
    words[tp.cold + TP_LOST]!++;
    skb.sacked = sacked | TCPCB_LOST;
  } else if ((sacked & TCPCB_SACKED_RETRANS) !== 0) {
    skb.sacked = sacked & ~TCPCB_SACKED_RETRANS;
    tp.retransOut--;
    words[tp.cold + TP_LOST]!++;
    sk.net.mib[LINUX_MIB_TCPLOSTRETRANSMIT]!++;
  }
  const hint = tp.retransmitHint;
  if (hint !== null && ((skb.seq - hint.seq) | 0) < 0) tp.retransmitHint = skb;
}

/** Is a segment due to be sent again, now that it is marked? */
function isDue(sacked: number): boolean {
  return (sacked & TCPCB_LOST) !== 0 && (sacked & (TCPCB_SACKED_ACKED | TCPCB_SACKED_RETRANS)) === 0;
}

/** Will the segment behind this one, of the same chunk (tcpWriteXmit), follow it? */
function chunkGoesOn(sk: TcpSk, skb: SkBuff): boolean {
  if ((skb.sacked & TCPCB_CHUNK) === 0) return false;
  const next = skb.next;
  return next !== null && next !== sk.sendHead && isDue(next.sacked) && tcpPacketsInFlight(sk.tp) + 1 < sk.tp.sndCwnd;
}

/**
 * Sends the segments marked lost, from the first one on, while the congestion window lets it. What was a chunk and goes again
 * as one ends with PSH again. Linux: tcp_xmit_retransmit_queue().
 */
export function tcpXmitRetransmitQueue(sk: TcpSk): void {
  const tp = sk.tp;
  if (tp.packetsOut === 0) return;
  const head = sk.writeQueue.head;
  const mib = sk.net.mib;
  let inChunk = false;
  for (let skb = tp.retransmitHint ?? head; skb !== null && skb !== sk.sendHead; skb = skb.next) {
    tp.retransmitHint = skb;
    if (tcpPacketsInFlight(tp) >= tp.sndCwnd || tp.lostOut <= tp.retransOut || (tcpPacing !== null && tcpPacing.check(sk))) return;
    if (!isDue(skb.sacked)) continue;
    const flags = skb.tcpFlags;
    const goesOn = chunkGoesOn(sk, skb);
    const pushed = inChunk && !goesOn ? flags | TCPHDR_PSH : flags;
    skb.tcpFlags = pushed;
    const err = tcpRetransmitSkb(sk, skb);
    // Unless it has swallowed the segment behind it, and its flags.
    if (skb.tcpFlags === pushed) skb.tcpFlags = flags;
    if (err < 0) return;
    inChunk = goesOn;
    mib[sk.icsk.caState === TCP_CA_LOSS ? LINUX_MIB_TCPSLOWSTARTRETRANS : LINUX_MIB_TCPFASTRETRANS]!++;
    if (tcpInCwndReduction(sk)) words[tp.cold + TP_PRR_OUT]!++;
    if (skb === head && sk.icsk.pending !== ICSK_TIME_REO_TIMEOUT) inetCskResetXmitTimer(sk, ICSK_TIME_RETRANS, sk.icsk.rto);
  }
}
