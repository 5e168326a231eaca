/**
 * sk_buff: a packet's header object over a data buffer out of a fixed pool. Linux: include/linux/skbuff.h,
 * net/core/skbuff.c. Owns the two pools (headers and data buffers), the reference counts and the drop counters. A header
 * that ends with its buffer to itself keeps it: most packets are allocated and freed as the pair that they are.
 *
 *      head          data                tail            head + skbBufferBytes
 *       |  headroom   |  len bytes (linear)  |   tailroom     |
 *       +-------------+----------------------+----------------+
 *          skbPush <--|--> skbPull           |--> skbPut
 *
 * All positions (`head`, `data`, `tail`, `mac`, `nh`, `th`) are absolute offsets into the one arena of `lib/memory`, so a
 * header field is `memView.getUint16(skb.th + TH_WIN)`. A frame starts at an offset of 2 modulo 4: the IP header behind
 * the 14 bytes of Ethernet is then word aligned. Data beyond one buffer hangs in `fragList` (see skb-frags.ts); `len`
 * counts all of it, `tail - data` the linear part.
 */
import { mem8, memReserve } from "../../lib/memory.ts";
import { type Pool, type Pooled, poolAlloc, poolCreate, poolFree, poolRegister, type PoolStats } from "../../lib/pool.ts";
import { halfTable, halfWords, halves, words, wordTable } from "../../lib/table.ts";
import { SKB_CONSUMED, SKB_DROP_REASON_MAX } from "../../uapi/drop-reason.ts";
import { type DstEntry, dstRelease } from "./dst.ts";
import type { NetDevice } from "./net-device.ts";
import type { Msghdr } from "./sockaddr.ts";
import type { Sock } from "./sock.ts";

/** pkt_type: for whom the frame was (linux/if_packet.h). */
export const PACKET_HOST = 0;
export const PACKET_BROADCAST = 1;
export const PACKET_MULTICAST = 2;
export const PACKET_OTHERHOST = 3;
export const PACKET_OUTGOING = 4;
export const PACKET_LOOPBACK = 5;

/** ip_summed: what is known of the transport checksum (include/linux/skbuff.h). */
export const CHECKSUM_NONE = 0;
/** The device has verified it, or it never left this machine. */
export const CHECKSUM_UNNECESSARY = 1;

/** Bytes in front of the Ethernet header that make the IP header word aligned (NET_IP_ALIGN). */
export const NET_IP_ALIGN = 2;
/** Headroom for every link and network header a locally built packet may get: align, 802.1Q Ethernet, IP with options. */
export const MAX_HEADER = NET_IP_ALIGN + 18 + 60;
/** What a header object counts in `truesize` beside its buffer: its property slots on a 32-bit board. */
export const SKB_OVERHEAD_BYTES = 512;

/** Called once when the last reference to a packet goes: gives its bytes back to the socket they were charged to. */
export type SkbDestructor = (skb: SkBuff) => void;

export class SkBuff implements Pooled {
  // Read on every hop.
  data = 0;
  len = 0;
  tail = 0;
  /** Transport header. */
  th = 0;
  /** Network header. */
  nh = 0;
  dev: NetDevice | null = null;
  sk: Sock | null = null;
  /** Sequence number of the first byte (TCP_SKB_CB). The control block belongs to the layer that holds the packet. */
  seq = 0;
  /** SEG.SEQ + SEG.LEN, SYN and FIN counted (TCP_SKB_CB). */
  endSeq = 0;
  /** TCP: header flags TCPHDR_* (TCP_SKB_CB). */
  tcpFlags = 0;
  /** TCP: acknowledgement number, on input; TCPCB_* scoreboard bits live in `sacked` (TCP_SKB_CB). */
  ackSeq = 0;
  next: SkBuff | null = null;
  prev: SkBuff | null = null;
  dst: DstEntry | null = null;
  /** EtherType, host order. */
  protocol = 0;
  pktType = PACKET_HOST;
  ipSummed = CHECKSUM_NONE;
  head = 0;
  /** Ethernet header. */
  mac = 0;
  users = 0;
  /** Bytes of memory the packet stands for: a whole buffer and its header, and those of what was chained behind it. */
  truesize = 0;
  destructor: SkbDestructor | null = null;
  /** TCP: TCPCB_SACKED_ACKED and the other scoreboard bits (TCP_SKB_CB). */
  sacked = 0;
  /** TCP: jiffies of the last transmission; others: arrival time in jiffies. */
  when = 0;
  /** ifindex of the device the packet came in by. */
  iif = 0;
  priority = 0;
  mark = 0;
  fragList: SkBuff | null = null;
  /** The reserved second header of a packet that will be cloned (allocSkbFclone). */
  fclone: SkBuff | null = null;
  poolNext: Pooled | null = null;
}

/** Usable bytes of each data buffer (option `bufferBytes`). */
export let skbBufferBytes = 0;

let heads: Pool<SkBuff>;
/** The data buffers: counted here and not in a pool's words, as every packet takes one. */
let bufferCount = 0;
let buffersInUse = 0;
let buffersPeak = 0;
let bufferFailures = 0;
/** First free buffer, NO_BUFFER for none; the next one of each is where its references are counted while it is in use. */
let bufferFree = 0;
const NO_BUFFER = 0xffff;
/** Free headers that kept their buffer, linked by `next`; in neither pool's free list, and counted as free in both. */
let pairs: SkBuff | null = null;
/** Where in `halves` it is said how many headers share each buffer, or the next free one. */
let bufferRefs = 0;
/** Where in `words` the packets not delivered are counted, by SKB_DROP_REASON_*. */
let dropCounts = 0;
let bufferBase = 0;
/** What is done with chains of packets, `fragList`, where something makes such (skb-frag-ops.ts); else null, and there are none. */
export let skbFrags: SkbFragOps | null;
/** Test and diagnosis hook, called for each drop before the packet is freed (Linux: the kfree_skb tracepoint). */
let dropMonitor: ((skb: SkBuff, reason: number) => void) | null = null;

/** Each for a packet that has a chain. */
export interface SkbFragOps {
  /** The chain goes with its packet. */
  release(skb: SkBuff): void;
  /** As skbShareFrags(). */
  share(from: SkBuff, to: SkBuff): void;
  /** As skbChecksum(). */
  checksum(skb: SkBuff, offset: number, length: number): number;
  /** As skbLinearize(). */
  linearize(skb: SkBuff): number;
  /** As skbCopyFragsMsg(). */
  copyMsg(frags: SkBuff, offset: number, msg: Msghdr, length: number): void;
}

const bufferStats: PoolStats = Object.freeze({
  name: "skbuff_data",
  get size() { return bufferCount; },
  get inUse() { return buffersInUse; },
  get peak() { return buffersPeak; },
  get failures() { return bufferFailures; },
});

/** Words of the tables below. */
export function skbWords(buffers: number): number {
  return halfWords(buffers) + SKB_DROP_REASON_MAX;
}

/**
 * Builds the packet pools. Boot time only.
 * @param headCount header objects @param count data buffers @param bufferBytes bytes of each, multiple of 4
 */
export function skbInit(headCount: number, count: number, bufferBytes: number): void {
  skbBufferBytes = bufferBytes;
  pairs = null;
  heads = poolCreate("skbuff_head_cache", headCount, () => {
    const skb = new SkBuff();
    skb.truesize = bufferBytes + SKB_OVERHEAD_BYTES;
    return skb;
  });
  bufferRefs = halfTable("skbuff_data", count);
  for (let buffer = 0; buffer < count; buffer++) halves[bufferRefs + buffer] = buffer + 1 < count ? buffer + 1 : NO_BUFFER;
  bufferCount = count;
  bufferFree = buffersInUse = buffersPeak = bufferFailures = 0;
  poolRegister(bufferStats);
  dropCounts = wordTable("drop_reasons", SKB_DROP_REASON_MAX);
  bufferBase = memReserve(count * bufferBytes, 4);
  dropMonitor = skbFrags = null;
}

/** There will be chains of packets. Boot time, after skbInit(). */
export function registerSkbFrags(ops: SkbFragOps): void {
  skbFrags = ops;
}

/** Installs (or with null removes) the drop tracepoint. */
export function setDropMonitor(monitor: ((skb: SkBuff, reason: number) => void) | null): void {
  dropMonitor = monitor;
}

/** Packets not delivered for that reason (SKB_DROP_REASON_*), since boot. */
export function skbDropCount(reason: number): number {
  return words[dropCounts + reason]! >>> 0;
}

/** Free data buffers at this moment. */
export function skbBuffersAvailable(): number {
  return bufferCount - buffersInUse;
}

/** Headers that are free; a segment of a stream takes two. */
export function skbHeadsAvailable(): number {
  return heads.size - heads.inUse;
}

/** Makes a header over the buffer at `skb.head` new; what it refers to is null since skbRelease(). */
function skbReset(skb: SkBuff): void {
  skb.data = skb.tail = skb.mac = skb.nh = skb.th = skb.head;
  skb.len = skb.tcpFlags = 0;
  skb.next = skb.prev = null;
  skb.pktType = PACKET_HOST;
  skb.ipSummed = CHECKSUM_NONE;
  skb.users = 1;
  skb.protocol = skb.sacked = skb.when = skb.iif = skb.priority = skb.mark = 0;
}

/** Number of the data buffer of a packet. */
export function skbBufferNumber(skb: SkBuff): number {
  return ((skb.head - bufferBase) / skbBufferBytes) | 0;
}

/** A header without a buffer, or null. When there are only pairs left one of them is parted. */
function allocHead(): SkBuff | null {
  const pair = pairs;
  if (heads.free === null && pair !== null) {
    pairs = pair.next;
    pair.next = null;
    heads.inUse++;
    const buffer = skbBufferNumber(pair);
    halves[bufferRefs + buffer] = bufferFree;
    bufferFree = buffer;
    poolFree(heads, pair);
  }
  return poolAlloc(heads);
}

/** Makes a pair of a free header and a free buffer; null when one of the pools is empty (counted there). */
function allocPair(): SkBuff | null {
  const skb = poolAlloc(heads);
  if (skb === null) return null;
  const buffer = bufferFree;
  if (buffer === NO_BUFFER) {
    bufferFailures++;
    poolFree(heads, skb);
    return null;
  }
  bufferFree = halves[bufferRefs + buffer]!;
  if (++buffersInUse > buffersPeak) buffersPeak = buffersInUse;
  halves[bufferRefs + buffer] = 1;
  skb.head = bufferBase + buffer * skbBufferBytes;
  skbReset(skb);
  return skb;
}

/**
 * A packet with an empty data buffer: data = tail = head. Linux: alloc_skb().
 * @param size bytes that must fit, headroom included
 * @returns null when a pool is empty (counted there) or no buffer is that large
 */
export function allocSkb(size: number): SkBuff | null {
  if (size > skbBufferBytes) return null;
  const skb = pairs;
  if (skb === null) return allocPair();
  pairs = skb.next;
  if (++heads.inUse > heads.peak) heads.peak = heads.inUse;
  if (++buffersInUse > buffersPeak) buffersPeak = buffersInUse;
  // skbReset(), spared a call for each packet.
  skb.data = skb.tail = skb.mac = skb.nh = skb.th = skb.head;
  skb.len = skb.tcpFlags = 0;
  skb.next = skb.prev = null;
  skb.pktType = PACKET_HOST;
  skb.ipSummed = CHECKSUM_NONE;
  skb.users = 1;
  skb.protocol = skb.sacked = skb.when = skb.iif = skb.priority = skb.mark = 0;
  return skb;
}

/** Like allocSkb, with a second header reserved so that the first skbClone() cannot fail. Linux: alloc_skb_fclone(). */
export function allocSkbFclone(size: number): SkBuff | null {
  const skb = allocSkb(size);
  if (skb === null) return null;
  const companion = allocHead();
  if (companion === null) {
    consumeSkb(skb);
    return null;
  }
  skb.fclone = companion;
  return skb;
}

/** A receive buffer for a driver: `length` bytes of room behind NET_IP_ALIGN. Linux: netdev_alloc_skb_ip_align(). */
export function netdevAllocSkb(dev: NetDevice, length: number): SkBuff | null {
  const skb = allocSkb(length + NET_IP_ALIGN);
  if (skb === null) return null;
  skb.data = skb.tail = skb.head + NET_IP_ALIGN;
  skb.dev = dev;
  return skb;
}

function skbRelease(skb: SkBuff): void {
  const destructor = skb.destructor;
  if (destructor !== null) {
    skb.destructor = null;
    destructor(skb);
  }
  skb.sk = null;
  const dst = skb.dst;
  if (dst !== null) {
    skb.dst = null;
    // dstRelease(), spared a call for each packet.
    if (--dst.refcnt === 0) dst.ops.destroy(dst);
  }
  if (skb.fragList !== null) skbFrags!.release(skb);
  skb.dev = null;
  if (skb.fclone !== null) {
    poolFree(heads, skb.fclone);
    skb.fclone = null;
  }
  const refs = bufferRefs + (((skb.head - bufferBase) / skbBufferBytes) | 0);
  if (halves[refs] === 1) {
    skb.next = pairs;
    pairs = skb;
    heads.inUse--;
    buffersInUse--;
    return;
  }
  halves[refs]!--;
  poolFree(heads, skb);
}

/** One user less: was it the last one? */
function skbLastUser(skb: SkBuff): boolean {
  const users = --skb.users;
  if (users < 0) throw new Error("skbuff: packet freed twice");
  return users === 0;
}

/** Ends a packet that was not delivered, counted under its reason (SKB_DROP_REASON_*). Linux: kfree_skb_reason(). */
export function kfreeSkb(skb: SkBuff, reason: number): void {
  if (!skbLastUser(skb)) return;
  words[dropCounts + reason]!++;
  if (dropMonitor !== null) dropMonitor(skb, reason);
  skbRelease(skb);
}

/** Ends a packet that did its work. Linux: consume_skb(). */
export function consumeSkb(skb: SkBuff): void {
  if (skb.users === 1) skb.users = 0;
  else if (!skbLastUser(skb)) return;
  if (dropMonitor !== null) dropMonitor(skb, SKB_CONSUMED);
  skbRelease(skb);
}

/** One more user of the same header. Linux: skb_get(). */
export function skbGet(skb: SkBuff): SkBuff {
  skb.users++;
  return skb;
}

/** More than one user holds this header. */
export function skbShared(skb: SkBuff): boolean {
  return skb.users !== 1;
}

/** Another header shares the data: the bytes may not be written. */
export function skbCloned(skb: SkBuff): boolean {
  return halves[bufferRefs + (((skb.head - bufferBase) / skbBufferBytes) | 0)] !== 1;
}

/** Everything that a header says of its packet, for another header. Linux: skb_copy_header(). */
export function skbCopyHeader(from: SkBuff, to: SkBuff): void {
  to.data = from.data;
  to.len = from.len;
  to.tail = from.tail;
  to.th = from.th;
  to.nh = from.nh;
  to.mac = from.mac;
  to.head = from.head;
  to.dev = from.dev;
  to.seq = from.seq;
  to.endSeq = from.endSeq;
  to.tcpFlags = from.tcpFlags;
  to.ackSeq = from.ackSeq;
  to.sacked = from.sacked;
  to.when = from.when;
  to.protocol = from.protocol;
  to.pktType = from.pktType;
  to.ipSummed = from.ipSummed;
  to.iif = from.iif;
  to.priority = from.priority;
  to.mark = from.mark;
  const dst = from.dst;
  to.dst = dst;
  if (dst !== null) dst.refcnt++;
}

/** A second header over the same data; it belongs to no socket. Null when the pool is empty. Linux: skb_clone(). */
export function skbClone(skb: SkBuff): SkBuff | null {
  const clone = skb.fclone ?? allocHead();
  if (clone === null) return null;
  skb.fclone = null;
  clone.head = skb.head;
  skbReset(clone);
  halves[bufferRefs + skbBufferNumber(skb)]!++;
  skbCopyHeader(skb, clone);
  if (skb.fragList !== null) skbFrags!.share(skb, clone);
  return clone;
}

function skbOver(skb: SkBuff, what: string, length: number): never {
  throw new Error(`${what}: ${length} bytes do not fit (head ${skb.head}, data ${skb.data}, tail ${skb.tail})`);
}

/** Makes headroom in an empty packet. */
export function skbReserve(skb: SkBuff, length: number): void {
  const data = skb.data + length;
  if (data > skb.head + skbBufferBytes) skbOver(skb, "skbReserve", length);
  skb.data = skb.tail = data;
}

/** Appends `length` bytes of unwritten room; returns its offset. An overrun is a bug and throws (skb_over_panic). */
export function skbPut(skb: SkBuff, length: number): number {
  const old = skb.tail;
  const tail = old + length;
  if (tail > skb.head + skbBufferBytes) skbOver(skb, "skbPut", length);
  skb.tail = tail;
  skb.len += length;
  return old;
}

/** Prepends `length` bytes; returns the new start. An underrun is a bug and throws (skb_under_panic). */
export function skbPush(skb: SkBuff, length: number): number {
  const data = skb.data - length;
  if (data < skb.head) skbOver(skb, "skbPush", length);
  skb.data = data;
  skb.len += length;
  return data;
}

/** Removes `length` bytes from the front; returns the new start, or -1 when the linear part has not that many. */
export function skbPull(skb: SkBuff, length: number): number {
  const data = skb.data + length;
  if (data > skb.tail) return -1;
  skb.data = data;
  skb.len -= length;
  return data;
}

/** Cuts a linear packet to `length` bytes; a shorter one is left as it is. Linux: skb_trim(). */
export function skbTrim(skb: SkBuff, length: number): void {
  if (skb.len > length) {
    skb.len = length;
    skb.tail = skb.data + length;
  }
}

export function skbHeadroom(skb: SkBuff): number {
  return skb.data - skb.head;
}

export function skbTailroom(skb: SkBuff): number {
  return skb.head + skbBufferBytes - skb.tail;
}

/** True when the first `length` bytes are in the linear part. Linux: pskb_may_pull(). */
export function pskbMayPull(skb: SkBuff, length: number): boolean {
  return skb.tail - skb.data >= length;
}

/** Sets the route of a packet, taking a reference. Linux: skb_dst_set(). */
export function skbDstSet(skb: SkBuff, dst: DstEntry): void {
  dst.refcnt++;
  skb.dst = dst;
}

/** Drops the route of a packet. */
export function skbDstDrop(skb: SkBuff): void {
  const dst = skb.dst;
  if (dst !== null) {
    skb.dst = null;
    dstRelease(dst);
  }
}

/** Takes the packet from its socket: its bytes are given back now. Linux: skb_orphan(). */
export function skbOrphan(skb: SkBuff): void {
  const destructor = skb.destructor;
  if (destructor !== null) {
    skb.destructor = null;
    destructor(skb);
  }
  skb.sk = null;
}

/** Copies bytes of a plain array into the packet's tail (drivers and tests). */
export function skbPutData(skb: SkBuff, bytes: Uint8Array): void {
  mem8.set(bytes, skbPut(skb, bytes.length));
}
