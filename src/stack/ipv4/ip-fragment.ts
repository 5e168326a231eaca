/**
 * Reassembly: fragments for this host are kept until their datagram is whole. Linux: net/ipv4/ip_fragment.c,
 * net/ipv4/inet_fragment.c as it is since 4.20. Owns the pool of queues; the fragments are packets of the common pool, of
 * which only so many may wait here.
 *
 * A queue has its fragments in order of their offsets, linked by `next`. Fragments that came one behind the other are a run:
 * the `prev` of a run's first is its last. A fragment inside one run is a duplicate and dropped alone; one that overlaps a run
 * and reaches beyond it ends the queue (RFC 5722's rule, which Linux applies to IPv4 too). When all is there the first is
 * the datagram and the others hang behind it, unless everything fits its buffer.
 *
 * As in Linux nothing is evicted when the memory is used up: what is begun has `ipfragTime` to become whole. But a datagram
 * begins anew when its source has sent more than `ipfragMaxDist` fragments of others meanwhile: by then the identification may
 * have come round, and what is there be of another datagram (RFC 4963). Linux counts in each source's inet_peer; here the few
 * queues count what passed them.
 *
 * Read first: RFC 791 section 3.2, RFC 815 (not its algorithm), RFC 1858 and 3128 (attacks), RFC 4963, RFC 3168 section 5.3 (ECN).
 */
import { account } from "../../lib/account.ts";
import { ipFastCsum } from "../../lib/checksum.ts";
import { mem8, memView } from "../../lib/memory.ts";
import { type Pool, type Pooled, poolAlloc, poolCreate, poolFree } from "../../lib/pool.ts";
import { createTimer, delTimer, jiffies, modTimer, TIMER_WORDS } from "../../lib/timer.ts";
import { devGetByIndex } from "../../netif/dev.ts";
import {
  SKB_DROP_REASON_DUP_FRAG, SKB_DROP_REASON_FRAG_FAILED, SKB_DROP_REASON_FRAG_REASM_TIMEOUT, SKB_DROP_REASON_FRAG_TOO_FAR,
  SKB_DROP_REASON_NOMEM, SKB_DROP_REASON_NOT_SPECIFIED,
} from "../../uapi/drop-reason.ts";
import { ICMP_EXC_FRAGTIME, ICMP_TIME_EXCEEDED } from "../../uapi/icmp.ts";
import { INET_ECN_CE, INET_ECN_MASK } from "../../uapi/ip.ts";
import {
  IPSTATS_MIB_REASM_OVERLAPS, IPSTATS_MIB_REASMFAILS, IPSTATS_MIB_REASMOKS, IPSTATS_MIB_REASMREQDS,
  IPSTATS_MIB_REASMTIMEOUT,
} from "../../uapi/snmp.ts";
import { dstRelease } from "../core/dst.ts";
import type { Net } from "../core/net.ts";
import type { NetDevice } from "../core/net-device.ts";
import { pskbCopy } from "../core/skb-copy.ts";
import {
  CHECKSUM_NONE, consumeSkb, kfreeSkb, type SkBuff, skbCloned, skbDstDrop, skbOrphan, skbTrim,
} from "../core/skbuff.ts";
import { skbChain, skbLinearize } from "../core/skb-frags.ts";
import {
  IP_DF, IP_MF, IP_OFFSET, IPH_CHECK, IPH_DADDR, IPH_FRAG_OFF, IPH_ID, IPH_PROTOCOL, IPH_SADDR, IPH_TOS, IPH_TOT_LEN,
} from "../wire/ip.ts";
import { icmpSend } from "./icmp.ts";
import { ipRouteInput } from "./route.ts";

/** Longest datagram, header included. */
const IP_MAX_LENGTH = 65535;

/** One datagram being put together. Linux: struct ipq. */
class FragQueue implements Pooled {
  net: Net | null = null;
  saddr = 0;
  daddr = 0;
  /** Identification << 16 | protocol. */
  idProtocol = 0;
  /** Fragments in order of offset, the last of them, and the first of the last run. */
  head: SkBuff | null = null;
  tail: SkBuff | null = null;
  lastRun: SkBuff | null = null;
  /** Bytes that are there, and bytes that there will be (or are known to be). */
  meat = 0;
  length = 0;
  /** The end of the datagram is known. */
  lastIn = false;
  /** Bit n: a fragment with ECN field n was there. */
  ecn = 0;
  /** Longest fragment, and longest of those with DF: header included. */
  maxSize = 0;
  maxDfSize = 0;
  /** Fragments that its source has sent of other datagrams since the last one of this. */
  passed = 0;
  /** Device the last fragment came in by. */
  iif = 0;
  /** Next queue in use. */
  next: FragQueue | null = null;
  readonly timer: number;
  poolNext: Pooled | null = null;

  constructor(timer: number) {
    this.timer = timer;
  }
}

let queues: Pool<FragQueue>;
/** By the argument of their timers. */
let queueTable: FragQueue[];
/** Queues in use. */
let inUse: FragQueue | null = null;
/** Fragments that wait, and may wait. */
let held = 0;
let heldMax = 0;

/** Words of the timers of so many datagrams. */
export function ipFragWords(datagrams: number): number {
  return datagrams * TIMER_WORDS;
}

/** Builds the pool. Boot time only. @param datagrams most at once @param packets fragments of all of them */
export function ipFragInit(datagrams: number, packets: number): void {
  inUse = null;
  held = 0;
  heldMax = packets;
  queueTable = account("ip_frag", []);
  queues = poolCreate("ip_frag", datagrams, (index) => (queueTable[index] = new FragQueue(createTimer("ip_frag", ipExpire, index))));
}

/** The queue of a fragment's datagram, a new one if need be; null when there is no room. Linux: ip_find(). */
function ipFind(net: Net, nh: number): FragQueue | null {
  const saddr = memView.getInt32(nh + IPH_SADDR);
  const daddr = memView.getInt32(nh + IPH_DADDR);
  const idProtocol = (memView.getUint16(nh + IPH_ID) << 16) | mem8[nh + IPH_PROTOCOL]!;
  if (held >= heldMax) return null;
  for (let q = inUse; q !== null; q = q.next) {
    if (q.idProtocol === idProtocol && q.saddr === saddr && q.daddr === daddr && q.net === net) return q;
  }
  const q = poolAlloc(queues);
  if (q === null) return null;
  q.net = net;
  q.saddr = saddr;
  q.daddr = daddr;
  q.idProtocol = idProtocol;
  q.head = q.tail = q.lastRun = null;
  q.passed = q.maxSize = q.maxDfSize = 0;
  q.next = inUse;
  inUse = q;
  fragBegin(q, net);
  return q;
}

/** Nothing of the datagram is there, and all its time is left. */
function fragBegin(q: FragQueue, net: Net): void {
  q.meat = q.length = q.ecn = 0;
  q.lastIn = false;
  modTimer(q.timer, (jiffies + net.ipv4.ipfragTime * 1000) | 0);
}

/** A fragment is there for one queue and passes the others of its source by: has it come too late? Linux: ip_frag_too_far(). */
function fragTooFar(q: FragQueue, net: Net): boolean {
  const max = net.ipv4.ipfragMaxDist;
  if (max === 0) return false;
  for (let other = inUse; other !== null; other = other.next) {
    if (other.saddr === q.saddr && other.net === net && other !== q) other.passed++;
  }
  const tooFar = q.tail !== null && q.passed >= max;
  q.passed = 0;
  return tooFar;
}

/** Forgets what is there of a datagram, which begins anew. Linux: ip_frag_reinit(). */
function fragReinit(q: FragQueue, net: Net): void {
  net.mib[IPSTATS_MIB_REASMFAILS]!++;
  fragPurge(q, SKB_DROP_REASON_FRAG_TOO_FAR);
  fragBegin(q, net);
}

/** Drops a queue's fragments. Linux: inet_frag_rbtree_purge(). */
function fragPurge(q: FragQueue, reason: number): void {
  let skb = q.head;
  q.head = q.tail = q.lastRun = null;
  while (skb !== null) {
    const next: SkBuff | null = skb.next;
    skb.next = skb.prev = null;
    held--;
    kfreeSkb(skb, reason);
    skb = next;
  }
}

/** Takes a queue out of use; its fragments, if any are left, are dropped. Linux: inet_frag_kill(), inet_frag_destroy(). */
function fragKill(q: FragQueue, reason: number): void {
  delTimer(q.timer);
  if (inUse === q) {
    inUse = q.next;
  } else {
    let before = inUse!;
    while (before.next !== q) before = before.next!;
    before.next = q.next;
  }
  fragPurge(q, reason);
  poolFree(queues, q);
}

/**
 * Not all came in time. The sender hears of it when the first fragment is there, which says what it was. Linux:
 * ip_expire(); RFC 792 (time exceeded, code 1).
 */
function ipExpire(index: number): void {
  const q = queueTable[index]!;
  const net = q.net!;
  net.mib[IPSTATS_MIB_REASMFAILS]!++;
  net.mib[IPSTATS_MIB_REASMTIMEOUT]!++;
  const head = q.head;
  const dev = devGetByIndex(net, q.iif);
  if (head !== null && head.seq === 0 && dev !== null) {
    head.dev = dev;
    const nh = head.nh;
    if (ipRouteInput(head, q.daddr, q.saddr, mem8[nh + IPH_TOS]!, dev) === 0) {
      icmpSend(head, ICMP_TIME_EXCEEDED, ICMP_EXC_FRAGTIME, 0);
    }
  }
  fragKill(q, SKB_DROP_REASON_FRAG_REASM_TIMEOUT);
}

const FRAG_OK = 0;
const FRAG_DUP = 1;
const FRAG_OVERLAP = 2;

/** Puts a fragment (seq to endSeq, offsets in the datagram) into its place. Linux: inet_frag_queue_insert(). */
function fragInsert(q: FragQueue, skb: SkBuff): number {
  const offset = skb.seq;
  const end = skb.endSeq;
  const tail = q.tail;
  skb.prev = skb;
  if (tail === null || offset >= tail.endSeq) {
    skb.next = null;
    if (tail === null) q.head = skb;
    else tail.next = skb;
    q.tail = skb;
    if (tail !== null && offset === tail.endSeq) q.lastRun!.prev = skb;
    else q.lastRun = skb;
    return FRAG_OK;
  }
  if (tail.endSeq < end) return FRAG_OVERLAP;
  let before: SkBuff | null = null;
  let run = q.head!;
  while (offset >= run.prev!.endSeq) {
    before = run.prev!;
    run = before.next!;
  }
  if (end > run.seq) return offset >= run.seq && end <= run.prev!.endSeq ? FRAG_DUP : FRAG_OVERLAP;
  skb.next = run;
  if (before === null) q.head = skb;
  else before.next = skb;
  return FRAG_OK;
}

/**
 * What the ECN fields of a datagram's fragments make together, or -1 when they contradict each other (RFC 3168 section
 * 5.3): one that was marked marks all, and those of a sender without ECN have no others among them.
 */
function ecnOf(seen: number): number {
  const capable = seen & 0b0110;
  if ((seen & 0b0001) !== 0) return seen === 0b0001 ? 0 : -1;
  return (seen & 0b1000) !== 0 && capable !== 0 ? INET_ECN_CE : 0;
}

function discard(q: FragQueue, net: Net, skb: SkBuff): null {
  net.mib[IPSTATS_MIB_REASMFAILS]!++;
  fragKill(q, SKB_DROP_REASON_NOT_SPECIFIED);
  kfreeSkb(skb, SKB_DROP_REASON_FRAG_FAILED);
  return null;
}

/**
 * Takes a fragment for this host. Linux: ip_defrag(), ip_frag_queue().
 * @param skb data and nh at its IP header, th behind that, alone the caller's @returns the whole datagram, or null
 */
export function ipDefrag(skb: SkBuff): SkBuff | null {
  const dev = skb.dev!;
  const net = dev.net!;
  const nh = skb.nh;
  net.mib[IPSTATS_MIB_REASMREQDS]!++;
  if (skb.destructor !== null) skbOrphan(skb);
  const q = ipFind(net, nh);
  if (q === null) {
    net.mib[IPSTATS_MIB_REASMFAILS]!++;
    kfreeSkb(skb, SKB_DROP_REASON_NOMEM);
    return null;
  }
  if (fragTooFar(q, net)) fragReinit(q, net);
  const word = memView.getUint16(nh + IPH_FRAG_OFF);
  const headerLength = skb.th - nh;
  const offset = (word & IP_OFFSET) << 3;
  let end = offset + skb.len - headerLength;
  if ((word & IP_MF) === 0) {
    // The last one: nothing may lie beyond it, and there can only be one end.
    if (end < q.length || (q.lastIn && end !== q.length)) return discard(q, net, skb);
    q.lastIn = true;
    q.length = end;
  } else {
    // RFC 791 has every other one be a multiple of 8 long; what is over is cut off.
    end &= ~7;
    if (end > q.length) {
      if (q.lastIn) return discard(q, net, skb);
      q.length = end;
    }
  }
  if (end === offset) return discard(q, net, skb);
  skb.data = skb.th;
  skb.len -= headerLength;
  if (skb.len > end - offset) {
    skbTrim(skb, end - offset);
    skb.ipSummed = CHECKSUM_NONE;
  }
  skb.seq = offset;
  skb.endSeq = end;
  const answer = fragInsert(q, skb);
  if (answer === FRAG_DUP) {
    skb.prev = null;
    kfreeSkb(skb, SKB_DROP_REASON_DUP_FRAG);
    return null;
  }
  if (answer === FRAG_OVERLAP) {
    skb.prev = null;
    net.mib[IPSTATS_MIB_REASM_OVERLAPS]!++;
    return discard(q, net, skb);
  }
  held++;
  q.iif = dev.ifindex;
  q.meat += end - offset;
  q.ecn |= 1 << (mem8[nh + IPH_TOS]! & INET_ECN_MASK);
  const size = end - offset + headerLength;
  if (size > q.maxSize) q.maxSize = size;
  if ((word & IP_DF) !== 0 && size > q.maxDfSize) q.maxDfSize = size;
  if (q.lastIn && q.meat === q.length) return ipReasm(q, net, skb, dev);
  skbDstDrop(skb);
  skb.dev = null;
  return null;
}

/** The first fragment, its bytes nobody else's, out of the list; null when there is no memory for a copy. */
function takeHead(q: FragQueue): SkBuff | null {
  const head = q.head!;
  if (!skbCloned(head)) return head;
  // The header too, which was pulled.
  head.data = head.nh;
  const copy = pskbCopy(head);
  if (copy === null) return null;
  copy.data = copy.th;
  copy.next = head.next;
  head.next = head.prev = null;
  q.head = copy;
  consumeSkb(head);
  return copy;
}

/** All is there: makes one datagram of it, by the route of the fragment that came last. Linux: ip_frag_reasm(). */
function ipReasm(q: FragQueue, net: Net, last: SkBuff, dev: NetDevice): SkBuff | null {
  const dst = last.dst;
  last.dst = null;
  last.dev = null;
  const ecn = ecnOf(q.ecn);
  const total = q.head!.th - q.head!.nh + q.length;
  const head = ecn < 0 || total > IP_MAX_LENGTH ? null : takeHead(q);
  if (head === null) {
    if (dst !== null) dstRelease(dst);
    net.mib[IPSTATS_MIB_REASMFAILS]!++;
    fragKill(q, SKB_DROP_REASON_FRAG_FAILED);
    return null;
  }
  // The path takes pieces as large as the largest fragment, if that had DF.
  const df = q.maxDfSize === q.maxSize ? IP_DF : 0;
  const nh = head.nh;
  const frags = head.next;
  for (let skb: SkBuff | null = head; skb !== null; skb = skb.next) {
    held--;
    skb.prev = null;
    if (skb.ipSummed === CHECKSUM_NONE) head.ipSummed = CHECKSUM_NONE;
  }
  q.head = null;
  fragKill(q, SKB_DROP_REASON_NOT_SPECIFIED);
  head.next = null;
  head.dst = dst;
  head.dev = dev;
  if (frags !== null) {
    skbChain(head, frags);
    skbLinearize(head);
  }
  head.data = nh;
  head.len = total;
  memView.setUint16(nh + IPH_TOT_LEN, total);
  memView.setUint16(nh + IPH_FRAG_OFF, df);
  mem8[nh + IPH_TOS]! |= ecn;
  memView.setUint16(nh + IPH_CHECK, 0);
  memView.setUint16(nh + IPH_CHECK, ipFastCsum(nh, (head.th - nh) >> 2));
  net.mib[IPSTATS_MIB_REASMOKS]!++;
  return head;
}
