/**
 * Bytes of packets that move to another buffer. Linux: pskb_copy(), skb_ensure_writable(), pskb_expand_head() and skb_split() of net/core/skbuff.c.
 * Owns nothing.
 */
import { memCopy } from "../../lib/memory.ts";
import {
  allocSkb, consumeSkb, skbBufferBytes, type SkBuff, skbCloned, skbCopyHeader, skbFrags, skbPut, skbTrim,
} from "./skbuff.ts";

/** A packet with its own linear part, the same headroom, and the same fragments. Linux: pskb_copy(). */
export function pskbCopy(skb: SkBuff): SkBuff | null {
  const copy = allocSkb(skbBufferBytes);
  if (copy === null) return null;
  const head = copy.head;
  const shift = head - skb.head;
  skbCopyHeader(skb, copy);
  copy.head = head;
  copy.data += shift;
  copy.tail += shift;
  copy.th += shift;
  copy.nh += shift;
  copy.mac += shift;
  memCopy(copy.data, skb.data, skb.tail - skb.data);
  if (skb.fragList !== null) skbFrags!.share(skb, copy);
  return copy;
}

/**
 * Makes the bytes of a packet its own, so that no one else sees them change: what it shares with clones (a capture's, a packet
 * socket's, TCP's retransmission queue) is copied into another buffer. The header stays the same one.
 * @returns false when there is no buffer; the packet is as it was
 */
export function skbEnsureWritable(skb: SkBuff): boolean {
  if (!skbCloned(skb)) return true;
  const spare = allocSkb(skbBufferBytes);
  if (spare === null) return false;
  const from = skb.head;
  const to = spare.head;
  memCopy(to, from, skb.tail - from);
  const shift = to - from;
  skb.head = to;
  skb.data += shift;
  skb.tail += shift;
  skb.mac += shift;
  skb.nh += shift;
  skb.th += shift;
  // The spare header takes the packet's share in the old bytes along.
  spare.head = from;
  consumeSkb(spare);
  return true;
}

/** Moves everything behind the first `length` bytes into the empty packet `rest`. Linux: skb_split(). */
export function skbSplit(skb: SkBuff, rest: SkBuff, length: number): void {
  const moved = skb.len - length;
  memCopy(skbPut(rest, moved), skb.data + length, moved);
  skbTrim(skb, length);
}
