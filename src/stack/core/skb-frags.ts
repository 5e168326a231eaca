/**
 * Packets larger than one buffer: a linear head with a chain of further packets behind it (`fragList`, linked by `next`).
 * Linux: the frag_list of skb_shared_info, skb_copy_bits(), skb_checksum() and skb_linearize() of net/core/skbuff.c.
 * Reassembly builds such chains; a driver without NETIF_F_SG gets them linearised. `len` counts the whole chain. What everybody does
 * with chains goes through SkbFragOps (skbuff.ts), so that a program without the part fragments does not carry it.
 */
import { csumPartial } from "../../lib/checksum.ts";
import { memCopy } from "../../lib/memory.ts";
import { EFAULT, ENOMEM } from "../../uapi/errno.ts";
import { pskbCopy } from "./skb-copy.ts";
import { consumeSkb, SKB_OVERHEAD_BYTES, type SkBuff, skbBufferBytes, skbFrags } from "./skbuff.ts";

/** Bytes of the packet that are not in its linear part. Linux: skb->data_len. */
export function skbDataLen(skb: SkBuff): number {
  return skb.len - (skb.tail - skb.data);
}

/** Hangs a linear packet behind all there is; it is the head's from now on. */
export function skbAddFrag(skb: SkBuff, frag: SkBuff): void {
  frag.next = null;
  skb.len += frag.len;
  let last = skb.fragList;
  if (last === null) {
    skb.fragList = frag;
    return;
  }
  while (last.next !== null) last = last.next;
  last.next = frag;
}

/**
 * Hangs a list of linear packets, linked by `next`, behind a packet that has none, and counts their memory as its own. They
 * are charged to nobody.
 */
export function skbChain(skb: SkBuff, frags: SkBuff): void {
  let len = skb.len;
  let truesize = skb.truesize;
  for (let frag: SkBuff | null = frags; frag !== null; frag = frag.next) {
    len += frag.len;
    truesize += frag.truesize;
  }
  skb.len = len;
  skb.truesize = truesize;
  skb.fragList = frags;
}

/** Takes the chain off again: what is left is the linear part. */
export function skbUnchain(skb: SkBuff): SkBuff | null {
  const frags = skb.fragList;
  skb.fragList = null;
  skb.len = skb.tail - skb.data;
  if (skb.destructor === null) skb.truesize = skbBufferBytes + SKB_OVERHEAD_BYTES;
  return frags;
}

/** The chain goes with its packet. */
export function skbFreeFrags(head: SkBuff): void {
  let skb = head.fragList;
  head.fragList = null;
  head.truesize = skbBufferBytes + SKB_OVERHEAD_BYTES;
  while (skb !== null) {
    const next: SkBuff | null = skb.next;
    // A clone still follows the chain.
    if (skb.users === 1) skb.next = null;
    consumeSkb(skb);
    skb = next;
  }
}

/** Two packets have the same fragments from now on. Linux: skb_clone_fraglist(). */
export function skbShareFrags(from: SkBuff, to: SkBuff): void {
  const frags = from.fragList;
  to.fragList = frags;
  to.truesize = from.truesize;
  for (let frag = frags; frag !== null; frag = frag.next) frag.users++;
}

/** Cuts a packet to `length` bytes, fragments and all; a shorter one is left as it is. Linux: pskb_trim(). */
export function pskbTrim(skb: SkBuff, length: number): void {
  if (skb.len <= length) return;
  let left = length - (skb.tail - skb.data);
  if (left < 0) {
    skb.tail = skb.data + length;
    left = 0;
  }
  // What lies wholly beyond keeps its memory and place, with no bytes: it may be shared, and goes with the packet.
  for (let frag = skb.fragList; frag !== null; frag = frag.next) {
    if (frag.len > left) {
      frag.len = left;
      frag.tail = frag.data + left;
    }
    left -= frag.len;
  }
  skb.len = length;
}

/**
 * Copies bytes of the whole packet to the arena. Linux: skb_copy_bits().
 * @param offset from `data` @param dst arena offset @returns 0, or -EFAULT when the packet ends before
 */
export function skbCopyBits(skb: SkBuff, offset: number, dst: number, length: number): number {
  if (offset < 0 || length < 0 || offset + length > skb.len) return -EFAULT;
  let skip = offset;
  let left = length;
  let part: SkBuff | null = skb;
  while (left > 0 && part !== null) {
    const size = part.tail - part.data;
    if (skip < size) {
      const chunk = size - skip < left ? size - skip : left;
      memCopy(dst, part.data + skip, chunk);
      dst += chunk;
      left -= chunk;
      skip = 0;
    } else {
      skip -= size;
    }
    part = part === skb ? skb.fragList : part.next;
  }
  return 0;
}

/**
 * One's-complement sum over bytes of the whole packet, folded like csumPartial(). Linux: skb_checksum().
 * A part that begins at an odd distance counts with its bytes exchanged (RFC 1071 section 2).
 */
export function skbChecksum(skb: SkBuff, offset: number, length: number): number {
  let sum = 0;
  let skip = offset;
  let left = length;
  let odd = false;
  let part: SkBuff | null = skb;
  while (left > 0 && part !== null) {
    const size = part.tail - part.data;
    if (skip < size) {
      const chunk = size - skip < left ? size - skip : left;
      const partial = csumPartial(part.data + skip, chunk);
      sum += odd ? ((partial & 0xff) << 8) | (partial >> 8) : partial;
      if ((chunk & 1) !== 0) odd = !odd;
      left -= chunk;
      skip = 0;
    } else {
      skip -= size;
    }
    part = part === skb ? skb.fragList : part.next;
  }
  sum = (sum & 0xffff) + (sum >>> 16);
  return (sum & 0xffff) + (sum >>> 16);
}

/**
 * Brings the whole packet into its own buffer. Linux: skb_linearize().
 * @returns 0, or -ENOMEM (packet unchanged) when it does not fit behind `data`
 */
export function skbLinearize(skb: SkBuff): number {
  let frag = skb.fragList;
  if (frag === null) return 0;
  if (skb.data + skb.len > skb.head + skbBufferBytes) return -ENOMEM;
  skb.fragList = null;
  if (skb.destructor === null) skb.truesize = skbBufferBytes + SKB_OVERHEAD_BYTES;
  while (frag !== null) {
    const next: SkBuff | null = frag.next;
    const size = frag.tail - frag.data;
    memCopy(skb.tail, frag.data, size);
    skb.tail += size;
    if (frag.users === 1) frag.next = null;
    consumeSkb(frag);
    frag = next;
  }
  return 0;
}

/** A packet of its own with a copy of everything in one buffer; null when it has not the room. Linux: skb_copy(). */
export function skbCopy(skb: SkBuff): SkBuff | null {
  const copy = pskbCopy(skb);
  if (copy !== null && copy.fragList !== null && skbFrags!.linearize(copy) < 0) {
    consumeSkb(copy);
    return null;
  }
  return copy;
}
