/** sk_buff: room at both ends, clones and copies, reference counts, chains of fragments, and queues. */
import test from "ava";
import fc from "fast-check";
import { csumPartial } from "../../../src/lib/checksum.ts";
import { MEM_OVERHEAD_BYTES, mem8, memReserve, memoryInit } from "../../../src/lib/memory.ts";
import { poolsInUse, poolsReset } from "../../../src/lib/pool.ts";
import { skbFragOps } from "../../../src/stack/core/skb-frag-ops.ts";
import {
  skbAddFrag, skbChecksum, skbCopy, skbCopyBits, skbDataLen, skbLinearize,
} from "../../../src/stack/core/skb-frags.ts";
import {
  SkbQueue, skbAppend, skbDequeue, skbQueueBefore, skbQueueHead, skbQueuePurge, skbQueueTail, skbUnlink,
} from "../../../src/stack/core/skb-queue.ts";
import { pskbCopy, skbSplit } from "../../../src/stack/core/skb-copy.ts";
import {
  allocSkb, allocSkbFclone, consumeSkb, kfreeSkb, type SkBuff, skbBuffersAvailable, skbClone, skbCloned,
  registerSkbFrags, skbDropCount, skbGet, skbHeadroom, skbInit, skbPull, skbPush, skbPut, skbPutData, skbReserve, skbShared, skbTailroom,
  skbTrim,
} from "../../../src/stack/core/skbuff.ts";
import { EFAULT, ENOMEM } from "../../../src/uapi/errno.ts";
import { SKB_DROP_REASON_NO_SOCKET } from "../../../src/uapi/drop-reason.ts";

const BUFFER_BYTES = 640;
let scratch = 0;

test.beforeEach(() => {
  poolsReset();
  memoryInit(MEM_OVERHEAD_BYTES + 8 * BUFFER_BYTES + 8192);
  skbInit(16, 8, BUFFER_BYTES);
  registerSkbFrags(skbFragOps);
  scratch = memReserve(8192, 4);
});

test.afterEach((t) => {
  t.is(poolsInUse(), 0);
});

function packet(...bytes: number[]): SkBuff {
  const skb = allocSkb(bytes.length)!;
  skbPutData(skb, Uint8Array.from(bytes));
  return skb;
}

function bytesOf(skb: SkBuff): number[] {
  skbCopyBits(skb, 0, scratch, skb.len);
  return [...mem8.slice(scratch, scratch + skb.len)];
}

test.serial("put, push, pull and trim move the ends and keep len right", (t) => {
  const skb = allocSkb(100)!;
  t.is(skbTailroom(skb), BUFFER_BYTES);
  skbReserve(skb, 40);
  t.is(skbHeadroom(skb), 40);
  t.is(skbPut(skb, 20), skb.data);
  t.is(skbPush(skb, 14), skb.data);
  t.is(skb.len, 34);
  t.is(skbPull(skb, 30), skb.data);
  t.is(skb.len, 4);
  t.is(skbPull(skb, 5), -1);
  skbTrim(skb, 1);
  t.is(skb.len, 1);
  t.is(skb.tail, skb.data + 1);
  consumeSkb(skb);
});

test.serial("overruns at either end are bugs and throw", (t) => {
  const skb = allocSkb(10)!;
  t.throws(() => skbPush(skb, 1), { message: /skbPush/ });
  t.throws(() => skbPut(skb, BUFFER_BYTES + 1), { message: /skbPut/ });
  t.throws(() => skbReserve(skb, BUFFER_BYTES + 1), { message: /skbReserve/ });
  consumeSkb(skb);
  t.throws(() => consumeSkb(skb), { message: /twice/ });
});

test.serial("no packet is made larger than a buffer, nor beyond the pool; both give null", (t) => {
  t.is(allocSkb(BUFFER_BYTES + 1), null);
  const all: SkBuff[] = [];
  for (let skb = allocSkb(1); skb !== null; skb = allocSkb(1)) all.push(skb);
  t.is(all.length, 8);
  t.is(skbBuffersAvailable(), 0);
  for (const skb of all) consumeSkb(skb);
});

test.serial("a drop is counted under its reason, the normal end is not", (t) => {
  kfreeSkb(packet(1), SKB_DROP_REASON_NO_SOCKET);
  consumeSkb(packet(1));
  t.is(skbDropCount(SKB_DROP_REASON_NO_SOCKET), 1);
});

test.serial("a clone shares the bytes and outlives its packet; a shared header ends with its last user", (t) => {
  const skb = packet(1, 2, 3);
  const clone = skbClone(skb)!;
  t.true(skbCloned(skb) && skbCloned(clone));
  consumeSkb(skb);
  t.false(skbCloned(clone));
  t.deepEqual(bytesOf(clone), [1, 2, 3]);
  skbGet(clone);
  t.true(skbShared(clone));
  consumeSkb(clone);
  t.false(skbShared(clone));
  consumeSkb(clone);
});

test.serial("the first clone of an fclone pair needs nothing from the pool", (t) => {
  const skb = allocSkbFclone(10)!;
  const others: SkBuff[] = [skb];
  for (let other = skbClone(others.at(-1)!); other !== null; other = skbClone(skb)) others.push(other);
  t.is(others.length, 16);
  for (const other of others) consumeSkb(other);
});

test.serial("packets that kept their buffer are parted when only a header is wanted, and found again", (t) => {
  // As many headers as buffers: every free header has kept one.
  poolsReset();
  memoryInit(MEM_OVERHEAD_BYTES + 4 * BUFFER_BYTES);
  skbInit(4, 4, BUFFER_BYTES);
  const all = Array.from({ length: 4 }, () => allocSkb(10)!);
  t.is(allocSkb(10), null);
  for (const skb of all) consumeSkb(skb);
  t.is(poolsInUse(), 0);
  t.is(skbBuffersAvailable(), 4);
  const original = packet(1, 2, 3);
  const clone = skbClone(original)!;
  t.deepEqual([...mem8.slice(clone.data, clone.tail)], [1, 2, 3]);
  t.is(skbBuffersAvailable(), 3);
  const others = [allocSkb(10), allocSkb(10)];
  t.false(others.includes(null), "four headers, of which the clone is one");
  t.is(allocSkb(10), null);
  t.is(skbClone(original), null);
  consumeSkb(original);
  t.deepEqual([...mem8.slice(clone.data, clone.tail)], [1, 2, 3], "the last header has the buffer");
  consumeSkb(clone);
  for (const skb of others) consumeSkb(skb!);
  t.is(skbBuffersAvailable(), 4);
});

test.serial("a copy is independent of its original, and split moves the rest", (t) => {
  const skb = packet(1, 2, 3, 4);
  const copy = skbCopy(skb)!;
  mem8[copy.data] = 9;
  t.deepEqual(bytesOf(skb), [1, 2, 3, 4]);
  const rest = allocSkb(10)!;
  skbSplit(skb, rest, 1);
  t.deepEqual([bytesOf(skb), bytesOf(rest), bytesOf(copy)], [[1], [2, 3, 4], [9, 2, 3, 4]]);
  for (const one of [skb, copy, rest]) consumeSkb(one);
});

test.serial("a clone of a chain shares its fragments until both are gone", (t) => {
  const skb = packet(1, 2);
  skbAddFrag(skb, packet(3));
  skbAddFrag(skb, packet(4, 5));
  t.is(skbDataLen(skb), 3);
  const clone = skbClone(skb)!;
  const copy = pskbCopy(skb)!;
  consumeSkb(skb);
  t.deepEqual(bytesOf(clone), [1, 2, 3, 4, 5]);
  consumeSkb(clone);
  t.is(skbLinearize(copy), 0);
  t.is(copy.fragList, null);
  t.deepEqual(bytesOf(copy), [1, 2, 3, 4, 5]);
  consumeSkb(copy);
});

test.serial("what fits no buffer is not linearised, nor copied, and stays whole", (t) => {
  const skb = packet(...new Array<number>(400).fill(7));
  skbAddFrag(skb, packet(...new Array<number>(400).fill(8)));
  t.is(skbLinearize(skb), -ENOMEM);
  t.is(skbCopy(skb), null);
  t.is(skb.len, 800);
  t.is(skbCopyBits(skb, 399, scratch, 2), 0);
  t.deepEqual([...mem8.slice(scratch, scratch + 2)], [7, 8]);
  t.is(skbCopyBits(skb, 799, scratch, 2), -EFAULT);
  consumeSkb(skb);
});

test.serial("copies and sums over chains are those of the bytes in one piece", (t) => {
  const parts = fc.array(fc.uint8Array({ minLength: 0, maxLength: 60 }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(parts, fc.nat(), fc.nat(), (chunks, from, count) => {
      const skb = packet(...chunks[0]!);
      for (const chunk of chunks.slice(1)) skbAddFrag(skb, packet(...chunk));
      const whole = chunks.flatMap((chunk) => [...chunk]);
      const offset = from % (whole.length + 1);
      const length = count % (whole.length - offset + 1);
      t.is(skbCopyBits(skb, offset, scratch, length), 0);
      t.deepEqual([...mem8.slice(scratch, scratch + length)], whole.slice(offset, offset + length));
      t.is(skbChecksum(skb, offset, length) % 0xffff, csumPartial(scratch, length) % 0xffff);
      consumeSkb(skb);
    }),
  );
});

test.serial("queues keep their order and length through every operation", (t) => {
  const queue = new SkbQueue();
  const [a, b, c, d] = [packet(1), packet(2), packet(3), packet(4)];
  skbQueueTail(queue, b);
  skbQueueHead(queue, a);
  skbAppend(queue, b, d);
  skbQueueBefore(queue, d, c);
  t.is(queue.qlen, 4);
  skbUnlink(queue, c);
  t.is(skbDequeue(queue), a);
  t.is(queue.head, b);
  t.is(queue.tail, d);
  skbUnlink(queue, d);
  t.is(queue.tail, b);
  consumeSkb(a);
  consumeSkb(c);
  consumeSkb(d);
  skbQueuePurge(queue);
  t.is(queue.qlen, 0);
  t.is(skbDequeue(queue), null);
});
