/**
 * sk_buff_head: doubly linked queues of packets through the links in the packets themselves. Linux: net/core/skbuff.c.
 * A packet is in one queue at most.
 */
import { consumeSkb, type SkBuff } from "./skbuff.ts";

export class SkbQueue {
  head: SkBuff | null = null;
  tail: SkBuff | null = null;
  qlen = 0;
}

export function skbQueueTail(queue: SkbQueue, skb: SkBuff): void {
  const tail = queue.tail;
  skb.prev = tail;
  skb.next = null;
  if (tail === null) queue.head = skb;
  else tail.next = skb;
  queue.tail = skb;
  queue.qlen++;
}

export function skbQueueHead(queue: SkbQueue, skb: SkBuff): void {
  const head = queue.head;
  skb.next = head;
  skb.prev = null;
  if (head === null) queue.tail = skb;
  else head.prev = skb;
  queue.head = skb;
  queue.qlen++;
}

/** Inserts `skb` behind `old`. Linux: skb_append(). */
export function skbAppend(queue: SkbQueue, old: SkBuff, skb: SkBuff): void {
  const next = old.next;
  skb.prev = old;
  skb.next = next;
  old.next = skb;
  if (next === null) queue.tail = skb;
  else next.prev = skb;
  queue.qlen++;
}

/** Inserts `skb` in front of `next`. Linux: __skb_queue_before(). */
export function skbQueueBefore(queue: SkbQueue, next: SkBuff, skb: SkBuff): void {
  if (next.prev === null) skbQueueHead(queue, skb);
  else skbAppend(queue, next.prev, skb);
}

/** Takes the first packet, or null. */
export function skbDequeue(queue: SkbQueue): SkBuff | null {
  const skb = queue.head;
  if (skb === null) return null;
  const next = skb.next;
  queue.head = next;
  if (next === null) queue.tail = null;
  else next.prev = null;
  skb.next = null;
  queue.qlen--;
  return skb;
}

/** Takes a packet out of the middle. */
export function skbUnlink(queue: SkbQueue, skb: SkBuff): void {
  const next = skb.next;
  const prev = skb.prev;
  if (prev === null) queue.head = next;
  else prev.next = next;
  if (next === null) queue.tail = prev;
  else next.prev = prev;
  skb.next = skb.prev = null;
  queue.qlen--;
}

/**
 * Appends to a chain, a queue of which only the first packet is kept: for the few packets of queues that are seldom used.
 * @returns the first packet
 */
export function skbChainTail(first: SkBuff | null, skb: SkBuff): SkBuff {
  skb.next = null;
  if (first === null) return skb;
  let last = first;
  while (last.next !== null) last = last.next;
  last.next = skb;
  return first;
}

/** The last packet of a chain, or null. */
export function skbChainLast(first: SkBuff | null): SkBuff | null {
  let last = first;
  while (last !== null && last.next !== null) last = last.next;
  return last;
}

/** Bytes of memory that a chain stands for. */
export function skbChainTruesize(first: SkBuff | null): number {
  let sum = 0;
  for (let skb = first; skb !== null; skb = skb.next) sum += skb.truesize;
  return sum;
}

/** Ends every packet of a chain; what is left of it is null. */
export function skbChainPurge(first: SkBuff | null): null {
  for (let skb = first; skb !== null;) {
    const next: SkBuff | null = skb.next;
    skb.next = null;
    consumeSkb(skb);
    skb = next;
  }
  return null;
}

/** Ends every packet of the queue (its owner goes away: not a drop). */
export function skbQueuePurge(queue: SkbQueue): void {
  for (let skb = skbDequeue(queue); skb !== null; skb = skbDequeue(queue)) consumeSkb(skb);
}
