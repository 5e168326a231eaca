import test from "ava";
import fc from "fast-check";
import {
  copyFromUser, copyToUser, mem32, mem8, memAvailable, memCopy, memReserve, memView, memZero, memoryInit,
  MEM_OVERHEAD_BYTES, MEM_STAGING_BYTES, MEM_ZERO_BYTES, setMemoryHooks, userBuffer,
} from "../../../src/lib/memory.ts";

const DATA = 16384;

test.beforeEach(() => {
  memoryInit(MEM_OVERHEAD_BYTES + 64 + DATA, 64);
  setMemoryHooks(null, null);
});

function pattern(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8) * 7 + seed) & 0xff);
}

test.serial("reservations are aligned, apart and bounded", (t) => {
  const a = memReserve(5, 1);
  const b = memReserve(8, 64);
  t.true(a >= MEM_OVERHEAD_BYTES + 64);
  t.is(b % 64, 0);
  t.true(b >= a + 5);
  t.throws(() => memReserve(DATA, 1), { instanceOf: RangeError });
  const rest = memAvailable();
  memReserve(rest, 1);
  t.is(memAvailable(), 0);
  t.throws(() => memReserve(1, 1), { instanceOf: RangeError });
});

test.serial("the views share one buffer; words are little-endian, headers big-endian", (t) => {
  const at = memReserve(4, 4);
  mem8.set([1, 2, 3, 4], at);
  t.is(mem32[at >> 2], 0x04030201);
  t.is(memView.getInt32(at), 0x01020304);
});

test.serial("an arena too small for itself is refused", (t) => {
  t.throws(() => memoryInit(100), { instanceOf: RangeError });
  t.throws(() => memoryInit(MEM_OVERHEAD_BYTES, 4), { instanceOf: RangeError });
});

test.serial("user buffers lie in the arena and run out with a name", (t) => {
  const a = userBuffer(30);
  const b = userBuffer(32);
  t.is(a.buffer, mem8.buffer);
  t.true(b.byteOffset >= a.byteOffset + 30);
  t.true(b.byteOffset + 32 <= memReserve(1, 1));
  t.throws(() => userBuffer(1), { instanceOf: RangeError, message: /userMemory/ });
});

test.serial("memZero and memCopy touch exactly their bytes", (t) => {
  const at = memReserve(4096, 4);
  fc.assert(fc.property(fc.nat(900), fc.nat(1000), fc.nat(900), (offset, length, dst) => {
    const model = pattern(4096, 1);
    mem8.set(model, at);
    model.copyWithin(dst, offset, offset + length);
    memCopy(at + dst, at + offset, length);
    model.fill(0, offset, offset + length);
    memZero(at + offset, length);
    t.deepEqual(mem8.slice(at, at + 4096), model);
  }), { numRuns: 60 });
});

const lengths = fc.oneof(fc.nat(40), fc.nat(3000), fc.constantFrom(15, 16, 17, 1460, 2047, 2048, 2049, 4096, 4097));
const shapes = fc.record({ length: lengths, before: fc.nat(70), after: fc.nat(70), hook: fc.boolean(),
  inside: fc.boolean() });

test.serial("copies to and from any array are exact", (t) => {
  const at = memReserve(5000, 4);
  const room = memReserve(5000, 4);
  fc.assert(fc.property(shapes, ({ length, before, after, hook, inside }) => {
    let hooked = 0;
    setMemoryHooks(null, hook ? (dst, dstOffset, src, srcOffset, n) => {
      hooked++;
      dst.set(src.subarray(srcOffset, srcOffset + n), dstOffset);
    } : null);
    const size = before + length + after;
    const user = inside ? new Uint8Array(mem8.buffer, room, size) : new Uint8Array(size);
    user.fill(0xee);
    mem8.set(pattern(length, 3), at);
    copyToUser(user, before, at, length);
    t.deepEqual(user.slice(before, before + length), pattern(length, 3));
    t.true(user.subarray(0, before).every((b) => b === 0xee));
    t.true(user.subarray(before + length).every((b) => b === 0xee));

    user.set(pattern(length, 9), before);
    mem8.fill(0xdd, at, at + 5000);
    // Whole words when the array's part begins with one, and not otherwise.
    const to = at + 4 - (before & 3);
    copyFromUser(to, user, before, length);
    t.deepEqual(mem8.slice(to, to + length), pattern(length, 9));
    t.is(mem8[to - 1], 0xdd);
    t.is(mem8[to + length], 0xdd);
    t.is(hooked, hook && !inside && length >= 16 ? 2 : 0);
  }), { numRuns: 300 });
  setMemoryHooks(null, null);
});

test.serial("the zero area stays zero and staging stays inside itself", (t) => {
  const at = memReserve(4096, 4);
  mem8.fill(0xff, at, at + 4096);
  copyToUser(new Uint8Array(4096), 0, at, 4096);
  const user = new Uint8Array(MEM_STAGING_BYTES).fill(0xff);
  copyFromUser(at, user, 1, MEM_STAGING_BYTES - 1);
  t.true(mem8.subarray(0, MEM_ZERO_BYTES).every((b) => b === 0));
  t.true(mem8.subarray(MEM_OVERHEAD_BYTES, MEM_OVERHEAD_BYTES + 64).every((b) => b === 0));
});
