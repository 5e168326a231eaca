/**
 * What to send now: the write queue, Nagle, the two windows. Linux: net/ipv4/tcp_output.c.
 * Read first: RFC 9293 section 3.7.4 (Nagle) and 3.8.6 (windows), RFC 1122 section 4.2.3.4 (silly windows).
 *
 * sk.writeQueue holds all that is not acknowledged, in order: in front what was sent, from sk.sendHead on what was not. A segment
 * never holds more than one MSS when it is built; when the MSS shrinks it is split as it is sent.
 */
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import { EFAULT, ENOBUFS, ENOMEM } from "../../uapi/errno.ts";
import { LINUX_MIB_TCPORIGDATASENT, TCP_MIB_ACTIVEOPENS } from "../../uapi/snmp.ts";
import { skbSplit } from "../core/skb-copy.ts";
import {
  allocSkb, allocSkbFclone, consumeSkb, type SkBuff, skbBufferBytes, skbReserve,
} from "../core/skbuff.ts";
import { skbAppend, skbDequeue, skbQueueTail, skbUnlink } from "../core/skb-queue.ts";
import { SOCK_DONE } from "../core/sock.ts";
import { MAX_IPOPTLEN } from "../wire/ip.ts";
import {
  TCP_HLEN, TCPHDR_ACK, TCPHDR_FIN, TCPHDR_PSH, TCPHDR_SYN, TCPOLEN_TSTAMP_ALIGNED,
} from "../wire/tcp.ts";
import { TCP_CHRONO_BUSY, TCP_CHRONO_RWND_LIMITED } from "./tcp-chrono.ts";
import {
  FASTOPEN_REQ_NONE, FASTOPEN_REQ_WAITS, TP_ADVMSS, TP_CHRONO_TYPE, TP_FASTOPEN_REQ, TP_FIN_PENDING, TP_MAX_WINDOW, TP_MSS_CLAMP, TP_PRR_OUT,
  TP_RETRANS_STAMP, TP_SND_UP, TP_USER_MSS, TP_WINDOW_CLAMP,
} from "./tcp-cold.ts";
import { tcpCwndValidate, tcpInCwndReduction, tcpPacketsInFlight } from "./tcp-cong.ts";
import {
  MTU_PROBE_WAIT, tcpChrono, tcpEcn, tcpFastopen, tcpMtuProbes, tcpMtupSearching, tcpPacing, tcpRack, tcpUrgent,
} from "./tcp-parts.ts";
import { tcpSendAgain } from "./tcp-retransmit.ts";
import {
  ICSK_TIME_LOSS_PROBE, ICSK_TIME_PROBE0, ICSK_TIME_RETRANS, TCP_NAGLE_CORK, TCP_NAGLE_PUSH, TCPCB_CHUNK, TCPCB_EOR,
  TCPCB_LOST, TCPCB_SACKED_RETRANS, type TcpSk, type TcpSock,
} from "./tcp-sock.ts";
import { inetCskResetXmitTimer, TCP_TIMEOUT_INIT, tcpProbe0Base, tcpRearmRto } from "./tcp-timer.ts";
import {
  TCP_HEADROOM, tcpAdvmss, tcpCurrentMss, tcpExtHdrLen, tcpFullSpace, tcpInitialWindow, tcpInitializeRcvMss, tcpSelectInitialWindow, tcpSyncMss, tcpWndEnd,
} from "./tcp-window.ts";
import { tcpTransmitSkb } from "./tcp-xmit.ts";

/** Room for a TCP header with any options. */
const MAX_TCP_HEADER = 60;

/** Bytes of data that one segment of this connection can hold. */
export function tcpSegmentRoom(sk: TcpSk): number {
  return skbBufferBytes - TCP_HEADROOM - sk.tp.tcpHeaderLen - tcpExtHdrLen(sk);
}

/** An empty segment with room for headers that will be queued and cloned, or null. Linux: tcp_stream_alloc_skb(). */
export function tcpStreamAllocSkb(sk: TcpSk): SkBuff | null {
  const skb = allocSkbFclone(skbBufferBytes);
  if (skb !== null) skbReserve(skb, TCP_HEADROOM + sk.tp.tcpHeaderLen + tcpExtHdrLen(sk));
  return skb;
}

/** A packet for a segment without data, of any options, or null. Its owner sets seq and flags by tcpInitNondataSkb(). */
export function tcpControlSkb(cloned: boolean): SkBuff | null {
  const size = TCP_HEADROOM + MAX_IPOPTLEN + MAX_TCP_HEADER;
  const skb = cloned ? allocSkbFclone(size) : allocSkb(size);
  // skbReserve() of what allocSkb() has found room for.
  if (skb !== null) skb.data = skb.tail = skb.head + size;
  return skb;
}

/** Describes a segment without data: SYN and FIN take a sequence number. Linux: tcp_init_nondata_skb(). */
export function tcpInitNondataSkb(skb: SkBuff, seq: number, flags: number): void {
  skb.tcpFlags = flags;
  skb.sacked = 0;
  skb.seq = seq;
  skb.endSeq = (flags & (TCPHDR_SYN | TCPHDR_FIN)) !== 0 ? (seq + 1) | 0 : seq;
}

/** Puts a segment at the end of the write queue, to be sent. Linux: tcp_add_write_queue_tail(). */
export function tcpAddWriteQueueTail(sk: TcpSk, skb: SkBuff): void {
  skbQueueTail(sk.writeQueue, skb);
  sk.wmemQueued += skb.truesize;
  if (sk.sendHead === null) sk.sendHead = skb;
  if (tcpChrono !== null && sk.writeQueue.head === skb) tcpChrono.start(sk.tp, TCP_CHRONO_BUSY);
}

/** Takes a segment out of the write queue and ends it. */
export function tcpWriteQueueFree(sk: TcpSk, skb: SkBuff): void {
  const tp = sk.tp;
  if (tp.retransmitHint === skb) tp.retransmitHint = null;
  skbUnlink(sk.writeQueue, skb);
  sk.wmemQueued -= skb.truesize;
  consumeSkb(skb);
}

/** Ends all that was not acknowledged. Linux: tcp_write_queue_purge(). */
export function tcpWriteQueuePurge(sk: TcpSk): void {
  const tp = sk.tp;
  const queue = sk.writeQueue;
  sk.sendHead = null;
  tp.retransmitHint = null;
  for (let skb = skbDequeue(queue); skb !== null; skb = skbDequeue(queue)) {
    sk.wmemQueued -= skb.truesize;
    consumeSkb(skb);
  }
  tp.packetsOut = 0;
  tp.lostOut = tp.retransOut = tp.sackedOut = 0;
  words[tp.cold + TP_FIN_PENDING] = 0;
  if (tcpChrono !== null) tcpChrono.stop(sk, TCP_CHRONO_BUSY);
  sk.icsk.backoff = 0;
}

/**
 * Splits a queued segment behind `length` bytes; what was counted for it is counted for both. Linux: tcp_fragment().
 * @returns 0, or -ENOMEM when a pool is empty
 */
export function tcpFragment(sk: TcpSk, skb: SkBuff, length: number): number {
  const rest = tcpStreamAllocSkb(sk);
  if (rest === null) return -ENOMEM;
  const tp = sk.tp;
  const flags = skb.tcpFlags;
  skbSplit(skb, rest, length);
  const middle = (skb.seq + length) | 0;
  rest.seq = middle;
  rest.endSeq = skb.endSeq;
  skb.endSeq = middle;
  skb.tcpFlags = flags & ~(TCPHDR_FIN | TCPHDR_PSH);
  rest.tcpFlags = flags;
  rest.when = skb.when;
  const sacked = skb.sacked;
  rest.sacked = sacked;
  skb.sacked = sacked & ~TCPCB_EOR;
  // Only what was sent is in the counts; a segment of the send queue lies behind sndNxt.
  if (((skb.seq - tp.sndNxt) | 0) < 0) {
    tp.packetsOut++;
    if ((sacked & TCPCB_LOST) !== 0) tp.lostOut++;
    if ((sacked & TCPCB_SACKED_RETRANS) !== 0) tp.retransOut++;
  }
  skbAppend(sk.writeQueue, skb, rest);
  sk.wmemQueued += rest.truesize;
  return 0;
}

/** The first unsent segment is on its way. Linux: tcp_event_new_data_sent(). */
export function tcpEventNewDataSent(sk: TcpSk, skb: SkBuff): void {
  const tp = sk.tp;
  const prior = tp.packetsOut;
  sk.sendHead = skb.next;
  tp.sndNxt = skb.endSeq;
  tp.packetsOut = prior + 1;
  if (prior === 0 || sk.icsk.pending === ICSK_TIME_LOSS_PROBE) tcpRearmRto(sk);
  sk.net.mib[LINUX_MIB_TCPORIGDATASENT]!++;
}

/**
 * May a segment go, for Nagle? One that is full may, one with FIN, and any when nothing small is in flight (RFC 9293 section
 * 3.7.4 in Minshall's form: only a small segment in flight holds the next small one back). Linux: tcp_nagle_test().
 */
function tcpNagleTest(tp: TcpSock, skb: SkBuff, mss: number, nonagle: number): boolean {
  if ((nonagle & TCP_NAGLE_PUSH) !== 0 || skb.len >= mss || (skb.tcpFlags & TCPHDR_FIN) !== 0) return true;
  if (words[tp.cold + TP_SND_UP] !== 0 && tcpUrgent!.mode(tp)) return true;
  if ((nonagle & TCP_NAGLE_CORK) !== 0) return false;
  if (nonagle !== 0 || tp.packetsOut === 0) return true;
  const small = tp.sndSml;
  return ((small - tp.sndUna) | 0) <= 0 || ((small - tp.sndNxt) | 0) > 0;
}

/**
 * Most segments of a chunk that begins now: no more than half of the window, and once the round trip is known only a few (Linux
 * has as many as the path takes in a millisecond, at the least that). Linux: tcp_cwnd_test() and tcp_tso_segs().
 */
function chunkSegments(sk: TcpSk, quota: number): number {
  const half = sk.tp.sndCwnd >> 1;
  const least = sk.net.ipv4.tcpMinTsoSegs;
  const most = sk.tp.srtt !== 0 && least < quota ? least : quota;
  return most < half ? most : half;
}

/** May the segment behind `skb` go too, as far as the receiver and Nagle are concerned, and be of the same chunk? */
function mayFollow(tp: TcpSock, skb: SkBuff, mss: number, nonagle: number): boolean {
  const next = skb.next;
  if (next === null || skb.len < mss || (skb.sacked & TCPCB_EOR) !== 0) return false;
  const end = next.len > mss ? (next.seq + mss) | 0 : next.endSeq;
  return ((end - tcpWndEnd(tp)) | 0) <= 0
    && tcpNagleTest(tp, next, mss, next.next === null ? nonagle : TCP_NAGLE_PUSH);
}

/**
 * Sends what the windows and Nagle allow. Linux: tcp_write_xmit(), which hands several segments down as one packet (GSO) and
 * has the last of them carry PSH, so that the receiver waits for no more of them. Here each goes by itself, and what would have
 * been one packet is a chunk: its last segment carries PSH, the others TCPCB_CHUNK, by which it is known when it goes again.
 * @param mss payload of a segment now @param nonagle TCP_NAGLE_* that count for the last segment
 * @param pushOne send one chunk only
 * @returns true when nothing is in flight and something could not be sent: then a probe must be timed
 */
export function tcpWriteXmit(sk: TcpSk, mss: number, nonagle: number, pushOne: boolean): boolean {
  const tp = sk.tp;
  let sent = 0;
  let limited = false;
  let rwndLimited = false;
  let paced = false;
  // Segments that the chunk may still hold, and that it holds.
  let room = 0;
  let held = 0;
  if (tcpMtupSearching !== 0 && !pushOne) {
    const probe = tcpMtuProbes!.probe(sk);
    if (probe === MTU_PROBE_WAIT) return false;
    if (probe > 0) sent = 1;
  }
  for (let skb = sk.sendHead; skb !== null; skb = sk.sendHead) {
    if (tcpPacing !== null && tcpPacing.check(sk)) {
      paced = true;
      break;
    }
    const quota = tp.sndCwnd - tcpPacketsInFlight(tp);
    if (quota <= 0) {
      limited = true;
      break;
    }
    const len = skb.len;
    const end = len > mss ? (skb.seq + mss) | 0 : skb.endSeq;
    if (((end - tcpWndEnd(tp)) | 0) > 0) {
      rwndLimited = true;
      break;
    }
    if (!tcpNagleTest(tp, skb, mss, skb.next === null ? nonagle : TCP_NAGLE_PUSH)) break;
    if (len > mss && tcpFragment(sk, skb, mss) < 0) break;
    // Up to urgent data each segment says so by itself.
    if (held === 0) room = words[tp.cold + TP_SND_UP] !== 0 && tcpUrgent!.mode(tp) ? 1 : chunkSegments(sk, quota);
    const flags = skb.tcpFlags;
    if (--room > 0 && mayFollow(tp, skb, mss, nonagle)) {
      skb.sacked |= TCPCB_CHUNK;
      held++;
    } else {
      if (held !== 0) skb.tcpFlags = flags | TCPHDR_PSH;
      held = 0;
    }
    const err = tcpTransmitSkb(sk, skb, true);
    skb.tcpFlags = flags;
    if (err < 0) break;
    tcpEventNewDataSent(sk, skb);
    // Minshall: remember the end of the last segment that was not full.
    if (skb.len < mss) tp.sndSml = skb.endSeq;
    sent++;
    if (pushOne && held === 0) break;
  }
  if (tcpChrono !== null) {
    if (rwndLimited) tcpChrono.start(tp, TCP_CHRONO_RWND_LIMITED);
    else if (words[tp.cold + TP_CHRONO_TYPE] === TCP_CHRONO_RWND_LIMITED) tcpChrono.stop(sk, TCP_CHRONO_RWND_LIMITED);
  }
  if (sent !== 0 || limited) {
    if (tcpPacketsInFlight(tp) >= tp.sndCwnd) limited = true;
    tcpCwndValidate(sk, limited);
  }
  if (sent !== 0) {
    if (tcpInCwndReduction(sk)) words[tp.cold + TP_PRR_OUT]! += sent;
    if (tcpRack !== null) tcpRack.schedule(sk, false);
    return false;
  }
  return !paced && tp.packetsOut === 0 && sk.sendHead !== null;
}

/** A tail loss probe of new data, whatever the congestion window says (RFC 8985 section 7.3). @returns whether it went */
export function tcpSendProbeSegment(sk: TcpSk): boolean {
  const tp = sk.tp;
  const skb = sk.sendHead;
  const mss = tcpCurrentMss(sk);
  if (skb === null) return false;
  const end = skb.len > mss ? (skb.seq + mss) | 0 : skb.endSeq;
  if (((end - tcpWndEnd(tp)) | 0) > 0 || (skb.len > mss && tcpFragment(sk, skb, mss) < 0)) return false;
  if (tcpTransmitSkb(sk, skb, true) < 0) return false;
  tcpEventNewDataSent(sk, skb);
  if (skb.len < mss) tp.sndSml = skb.endSeq;
  tcpCwndValidate(sk, tcpPacketsInFlight(tp) >= tp.sndCwnd);
  return true;
}

/** Sends what may go; when nothing may and nothing is in flight, times a probe. Linux: __tcp_push_pending_frames(). */
export function tcpPushPendingFrames(sk: TcpSk, mss: number, nonagle: number): void {
  if (tcpWriteXmit(sk, mss, nonagle, false)) tcpCheckProbeTimer(sk);
}

/** Sends the first chunk at once, for a write that fills several. Linux: tcp_push_one(). */
export function tcpPushOne(sk: TcpSk, mss: number): void {
  tcpWriteXmit(sk, mss, TCP_NAGLE_PUSH, true);
}

/** Without an acknowledgment to wait for, only a timer can go on. Linux: tcp_check_probe_timer(). */
export function tcpCheckProbeTimer(sk: TcpSk): void {
  const icsk = sk.icsk;
  if (sk.tp.packetsOut === 0 && icsk.pending === 0) inetCskResetXmitTimer(sk, ICSK_TIME_PROBE0, tcpProbe0Base(icsk));
}

/** The state of a connection about to send its SYN. Linux: tcp_connect_init(). */
function tcpConnectInit(sk: TcpSk): void {
  const tp = sk.tp;
  const icsk = sk.icsk;
  const sysctl = sk.net.ipv4;
  const dst = sk.dst!;
  const options = sysctl.tcpTimestamps !== 0 ? TCPOLEN_TSTAMP_ALIGNED : 0;
  tp.tcpHeaderLen = TCP_HLEN + options;
  if (words[tp.cold + TP_USER_MSS] !== 0) words[tp.cold + TP_MSS_CLAMP] = words[tp.cold + TP_USER_MSS]!;
  words[tp.cold + TP_MAX_WINDOW] = 0;
  tcpSyncMss(sk, dst.ops.mtu(dst));
  words[tp.cold + TP_ADVMSS] = tcpAdvmss(sk, dst);
  tcpInitializeRcvMss(sk);
  tcpSelectInitialWindow(tcpFullSpace(sk), words[tp.cold + TP_ADVMSS]! - options, words[tp.cold + TP_WINDOW_CLAMP]!, sysctl.tcpWindowScaling !== 0);
  const initial = tcpInitialWindow;
  tp.rcvWnd = tp.rcvSsthresh = initial.rcvWnd;
  words[tp.cold + TP_WINDOW_CLAMP] = initial.windowClamp;
  tp.rcvWscale = initial.rcvWscale;
  sk.err = 0;
  sk.flags &= ~SOCK_DONE;
  tp.sndWnd = tp.sndWl1 = 0;
  tcpWriteQueuePurge(sk);
  tp.sndUna = tp.sndSml = tp.sndNxt = tp.writeSeq;
  tp.rcvNxt = tp.rcvWup = tp.copiedSeq = 0;
  icsk.rto = TCP_TIMEOUT_INIT;
  icsk.retransmits = 0;
}

/**
 * Sends the SYN of connect(); the route and the addresses are set. Linux: tcp_connect().
 * @returns 0, or -ENOBUFS when a pool is empty; a SYN lost further down is sent again by the timer
 */
export function tcpConnect(sk: TcpSk): number {
  const tp = sk.tp;
  tcpConnectInit(sk);
  const skb = tcpControlSkb(true);
  if (skb === null) return -ENOBUFS;
  tcpInitNondataSkb(skb, tp.writeSeq, tcpEcn === null ? TCPHDR_SYN : tcpEcn.sendSyn(sk, TCPHDR_SYN));
  tp.writeSeq = skb.endSeq;
  words[tp.cold + TP_RETRANS_STAMP] = jiffies === 0 ? 1 : jiffies;
  skbQueueTail(sk.writeQueue, skb);
  sk.wmemQueued += skb.truesize;
  tp.packetsOut = 1;
  const fastopenReq = words[tp.cold + TP_FASTOPEN_REQ]!;
  if (fastopenReq !== FASTOPEN_REQ_NONE && fastopenReq !== FASTOPEN_REQ_WAITS) tcpFastopen!.sendSyn(sk);
  else tcpTransmitSkb(sk, skb, true);
  tp.sndNxt = tp.pushedSeq = tp.writeSeq;
  sk.net.mib[TCP_MIB_ACTIVEOPENS]!++;
  inetCskResetXmitTimer(sk, ICSK_TIME_RETRANS, sk.icsk.rto);
  return 0;
}

/** Simultaneous open: the queued SYN goes again as SYN-ACK. Linux: tcp_send_synack(). @returns 0 or a negative errno */
export function tcpSendSynack(sk: TcpSk): number {
  const skb = sk.writeQueue.head;
  if (skb === null || (skb.tcpFlags & TCPHDR_SYN) === 0) return -EFAULT;
  skb.tcpFlags = tcpEcn === null ? skb.tcpFlags | TCPHDR_ACK : tcpEcn.sendSynack(sk.tp, skb.tcpFlags);
  return tcpSendAgain(sk, skb);
}
