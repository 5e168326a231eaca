/**
 * Path MTU discovery without ICMP: a connection whose retransmissions come to nothing takes smaller segments (a black hole), and
 * from there a larger segment now and then probes what the path takes. Linux: the tcp_mtup_*(), tcp_mtu_probe() of
 * net/ipv4/tcp_output.c and tcp_input.c, tcp_mtu_probing() of tcp_timer.c. Read first: RFC 4821 sections 3 and 7.
 *
 * net.ipv4.tcp_mtu_probing: 0 never, 1 after a black hole was found, 2 always, from tcp_base_mss on. The search is a binary one,
 * between an MTU known to pass and one believed not to. A probe is data like any other: lost, it goes again in segments of the
 * old size, and tells nothing of congestion.
 *
 * Owns a row of words for each sock; the option mtuProbes of boot() is 1 where there is room for them.
 */
import { memCopy } from "../../lib/memory.ts";
import { words, wordTable } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import { LINUX_MIB_TCPMTUPFAIL, LINUX_MIB_TCPMTUPSUCCESS } from "../../uapi/snmp.ts";
import { TCP_CA_CWR, TCP_CA_OPEN } from "../../uapi/tcp.ts";
import { type SkBuff, skbPull } from "../core/skbuff.ts";
import { skbAppend, skbQueueHead } from "../core/skb-queue.ts";
import { TCPHDR_ACK } from "../wire/tcp.ts";
import {
  TP_DSACK, TP_MSS_CLAMP, TP_NUM_SACKS, TP_PRIOR_SSTHRESH, TP_REORDERING, TP_SND_CWND_CNT, TP_SND_CWND_STAMP,
} from "./tcp-cold.ts";
import { tcpCurrentSsthresh, tcpPacketsInFlight } from "./tcp-cong.ts";
import { tcpSimpleRetransmit } from "./tcp-mtu.ts";
import { tcpEventNewDataSent, tcpSegmentRoom, tcpStreamAllocSkb, tcpWriteQueueFree } from "./tcp-output.ts";
import { MTU_PROBE_NONE, MTU_PROBE_WAIT, type MtuProbeOps, tcpMtupSearchingAdd } from "./tcp-parts.ts";
import { TCPCB_EOR, type TcpSk } from "./tcp-sock.ts";
import { IP_TCP_HLEN, tcpCurrentMss, tcpMssToMtu, tcpMtuToMss, tcpSyncMss, tcpWndEnd } from "./tcp-window.ts";
import { tcpTransmitSkb } from "./tcp-xmit.ts";

/** Words of a row: 1 while the search is on, its ends as MTUs, MTU of the probe on its way or 0, its numbers, start of the search. */
const WORDS = 7;
const ENABLED = 0;
const HIGH = 1;
const LOW = 2;
const SIZE = 3;
const SEQ_START = 4;
const SEQ_END = 5;
const STAMP = 6;

/** net.ipv4.tcp_mtu_probing: from the beginning on. */
const PROBING_ALWAYS = 2;
/** A probe needs this window beside it, so that its loss is found by duplicates. */
const MIN_CWND = 11;

/** Table of rows, -1 for none. */
let rows = -1;

/** Words of the table for so many socks. */
export function tcpMtupWords(socks: number): number {
  return socks * WORDS;
}

/** Boot time only. @param socks handles of socks, 0 for a machine that does not search */
export function tcpMtupSetup(socks: number): void {
  rows = socks === 0 ? -1 : wordTable("tcp_mtup", socks * WORDS);
}

/** Offset of the sock's row, or -1 while it does not search. */
function rowOf(sk: TcpSk): number {
  if (rows < 0) return -1;
  const at = rows + sk.index * WORDS;
  return words[at] === 1 ? at : -1;
}

/** The search begins, between tcp_base_mss and what the peer and the route take. */
function enable(sk: TcpSk): void {
  if (rows < 0) return;
  const at = rows + sk.index * WORDS;
  if (words[at + ENABLED] === 0) tcpMtupSearchingAdd(1);
  words[at + ENABLED] = 1;
  words[at + HIGH] = searchHigh(sk);
  words[at + LOW] = tcpMssToMtu(sk, sk.net.ipv4.tcpBaseMss);
  words[at + SIZE] = 0;
  words[at + STAMP] = jiffies;
}

/** The most that is worth a probe: by the peer's MSS, the route and the size of our buffers. */
function searchHigh(sk: TcpSk): number {
  const tp = sk.tp;
  let high = words[tp.cold + TP_MSS_CLAMP]! + IP_TCP_HLEN;
  const pmtu = sk.icsk.pmtuCookie;
  if (pmtu < high) high = pmtu;
  const room = tcpMssToMtu(sk, tcpSegmentRoom(sk));
  return room < high ? room : high;
}

/** A connection begins to carry data. Linux: tcp_mtup_init(). */
function tcpMtupInit(sk: TcpSk): void {
  tcpMtupRelease(sk);
  if (sk.net.ipv4.tcpMtuProbing < PROBING_ALWAYS || rows < 0) return;
  enable(sk);
  tcpSyncMss(sk, sk.icsk.pmtuCookie);
}

/** The search ends with its connection. */
function tcpMtupRelease(sk: TcpSk): void {
  const at = rowOf(sk);
  if (at < 0) return;
  words[at + ENABLED] = 0;
  tcpMtupSearchingAdd(-1);
}

/**
 * Retransmissions go unanswered: segments shrink, first to tcp_base_mss, then by halves. Linux: tcp_mtu_probing().
 */
function tcpMtuProbing(sk: TcpSk): void {
  const sysctl = sk.net.ipv4;
  if (sysctl.tcpMtuProbing === 0 || rows < 0) return;
  const at = rowOf(sk);
  if (at < 0) {
    enable(sk);
  } else {
    let mss = tcpMtuToMss(sk, words[at + LOW]!) >> 1;
    if (mss > sysctl.tcpBaseMss) mss = sysctl.tcpBaseMss;
    if (mss < sysctl.tcpMtuProbeFloor) mss = sysctl.tcpMtuProbeFloor;
    if (mss < sysctl.tcpMinSndMss) mss = sysctl.tcpMinSndMss;
    words[at + LOW] = tcpMssToMtu(sk, mss);
  }
  tcpSyncMss(sk, sk.icsk.pmtuCookie);
}

/** A segment's payload is no more than what is known to pass. @param mss of the route */
function tcpMtupBound(sk: TcpSk, pmtu: number, mss: number): number {
  const at = rowOf(sk);
  if (at < 0) return mss;
  if (words[at + HIGH]! > pmtu) words[at + HIGH] = pmtu;
  const known = tcpMtuToMss(sk, words[at + LOW]!);
  return known < mss ? known : mss;
}

/** After tcp_probe_interval the path may be another: the search starts anew. Linux: tcp_mtu_check_reprobe(). */
function checkReprobe(sk: TcpSk, at: number): void {
  if (((jiffies - words[at + STAMP]!) | 0) < sk.net.ipv4.tcpProbeInterval * 1000) return;
  words[at + SIZE] = 0;
  words[at + HIGH] = searchHigh(sk);
  words[at + LOW] = tcpMssToMtu(sk, tcpCurrentMss(sk));
  words[at + STAMP] = jiffies;
}

/** Can the unsent data be taken together as far as that? Not over the end of a record. Linux: tcp_can_coalesce_send_queue_head(). */
function canCoalesce(sk: TcpSk, length: number): boolean {
  let left = length;
  for (let skb = sk.sendHead; skb !== null; skb = skb.next) {
    left -= skb.len;
    if (left <= 0) return true;
    if ((skb.sacked & TCPCB_EOR) !== 0) return false;
  }
  return false;
}

/** Moves the first `length` unsent bytes into one segment at their front; null when no buffer is to be had. */
function buildProbe(sk: TcpSk, length: number): SkBuff | null {
  const probe = tcpStreamAllocSkb(sk);
  if (probe === null) return null;
  let skb = sk.sendHead!;
  const before = skb.prev;
  probe.seq = probe.endSeq = skb.seq;
  probe.sacked = 0;
  probe.tcpFlags = TCPHDR_ACK;
  while (probe.len < length) {
    const left = length - probe.len;
    const count = skb.len < left ? skb.len : left;
    memCopy(probe.tail, skb.data, count);
    probe.tail += count;
    probe.len += count;
    probe.endSeq = (probe.endSeq + count) | 0;
    if (count < skb.len) {
      skbPull(skb, count);
      skb.seq = probe.endSeq;
    } else {
      const next: SkBuff | null = skb.next;
      probe.endSeq = skb.endSeq;
      probe.tcpFlags |= skb.tcpFlags;
      probe.sacked |= skb.sacked & TCPCB_EOR;
      tcpWriteQueueFree(sk, skb);
      if (next === null) break;
      skb = next;
    }
  }
  if (before === null) skbQueueHead(sk.writeQueue, probe);
  else skbAppend(sk.writeQueue, before, probe);
  sk.wmemQueued += probe.truesize;
  sk.sendHead = probe;
  return probe;
}

/**
 * Sends a probe of unsent data if one is due and everything is calm. Linux: tcp_mtu_probe().
 * @returns MTU_PROBE_NONE; MTU_PROBE_WAIT, for room in a window: nothing else should go before; 1 when a probe went
 */
function tcpMtuProbe(sk: TcpSk): number {
  const at = rowOf(sk);
  if (at < 0) return MTU_PROBE_NONE;
  const tp = sk.tp;
  if (words[at + SIZE] !== 0 || sk.icsk.caState !== TCP_CA_OPEN || tp.sndCwnd < MIN_CWND) return MTU_PROBE_NONE;
  if (words[tp.cold + TP_NUM_SACKS] !== 0 || words[tp.cold + TP_DSACK] !== 0) return MTU_PROBE_NONE;
  tcpCurrentMss(sk);
  const high = words[at + HIGH]!;
  const low = words[at + LOW]!;
  const length = tcpMtuToMss(sk, (high + low) >> 1);
  const needed = length + (words[tp.cold + TP_REORDERING]! + 1) * tp.mssCache;
  if (length > tcpMtuToMss(sk, high) || high - low < sk.net.ipv4.tcpProbeThreshold) {
    checkReprobe(sk, at);
    return MTU_PROBE_NONE;
  }
  if (((tp.writeSeq - tp.sndNxt) | 0) < needed || tp.sndWnd < needed) return MTU_PROBE_NONE;
  if (((tp.sndNxt + needed - tcpWndEnd(tp)) | 0) > 0) return MTU_PROBE_WAIT;
  const inFlight = tcpPacketsInFlight(tp);
  if (inFlight + 2 > tp.sndCwnd) return inFlight === 0 ? MTU_PROBE_NONE : MTU_PROBE_WAIT;
  if (!canCoalesce(sk, length)) return MTU_PROBE_NONE;
  const probe = buildProbe(sk, length);
  // What cannot be sent is cut to the usual size by tcpWriteXmit().
  if (probe === null || tcpTransmitSkb(sk, probe, true) < 0) return MTU_PROBE_NONE;
  // It counts as one segment and takes the room of two.
  tp.sndCwnd--;
  tcpEventNewDataSent(sk, probe);
  words[at + SIZE] = tcpMssToMtu(sk, probe.len);
  words[at + SEQ_START] = probe.seq;
  words[at + SEQ_END] = probe.endSeq;
  return 1;
}

/** Data was acknowledged: when the probe is among it, segments grow, and the window keeps its bytes. Linux: tcp_mtup_probe_success(). */
function tcpMtupAcked(sk: TcpSk): void {
  const at = rowOf(sk);
  const tp = sk.tp;
  if (at < 0 || words[at + SIZE] === 0 || ((words[at + SEQ_END]! - tp.sndUna) | 0) > 0) return;
  const size = words[at + SIZE]!;
  words[tp.cold + TP_PRIOR_SSTHRESH] = tcpCurrentSsthresh(sk);
  const cwnd = ((tp.sndCwnd * tcpMssToMtu(sk, tp.mssCache)) / size) | 0;
  tp.sndCwnd = cwnd < 1 ? 1 : cwnd;
  words[tp.cold + TP_SND_CWND_CNT] = 0;
  words[tp.cold + TP_SND_CWND_STAMP] = jiffies;
  tp.sndSsthresh = tcpCurrentSsthresh(sk);
  words[at + LOW] = size;
  words[at + SIZE] = 0;
  tcpSyncMss(sk, sk.icsk.pmtuCookie);
  sk.net.mib[LINUX_MIB_TCPMTUPSUCCESS]!++;
}

/**
 * Something is lost: is it the probe alone? Then it goes again in smaller segments and the window stays. Linux:
 * tcp_mtup_probe_failed() in tcp_fastretrans_alert(). @returns whether that was all
 */
function tcpMtupLost(sk: TcpSk): boolean {
  const at = rowOf(sk);
  const tp = sk.tp;
  if (at < 0 || words[at + SIZE] === 0 || sk.icsk.caState >= TCP_CA_CWR || tp.sndUna !== words[at + SEQ_START]) return false;
  words[at + HIGH] = words[at + SIZE]! - 1;
  words[at + SIZE] = 0;
  sk.net.mib[LINUX_MIB_TCPMTUPFAIL]!++;
  // The room that tcpMtuProbe() took.
  tp.sndCwnd++;
  tcpSimpleRetransmit(sk);
  return true;
}

/** A retransmission while a probe is on its way: whatever becomes of it tells nothing. */
function tcpMtupInconclusive(sk: TcpSk): void {
  const at = rowOf(sk);
  if (at >= 0) words[at + SIZE] = 0;
}

/** What the rest of TCP finds of it, in tcp-parts.ts. */
export const tcpMtuProbeOps: MtuProbeOps = Object.freeze({
  init: tcpMtupInit, release: tcpMtupRelease, blackHole: tcpMtuProbing, bound: tcpMtupBound, probe: tcpMtuProbe, acked: tcpMtupAcked,
  lost: tcpMtupLost, inconclusive: tcpMtupInconclusive,
});
