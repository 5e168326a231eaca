import test from "ava";
import fc from "fast-check";
import { createCipheriv } from "node:crypto";
import { poolsReset } from "../../../src/lib/pool.ts";
import {
  addRandomness, chachaBlock, getRandomBelow, getRandomBytes, getRandomU32, randomInit,
} from "../../../src/lib/random.ts";

function words(bytes: Uint8Array): Int32Array {
  return Int32Array.from({ length: bytes.length / 4 }, (_, i) => Buffer.from(bytes).readInt32LE(i * 4));
}

function hex(block: Int32Array): string {
  const bytes = Buffer.alloc(block.length * 4);
  block.forEach((word, i) => bytes.writeInt32LE(word, i * 4));
  return bytes.toString("hex");
}

function stateOf(key: Uint8Array, tail: Uint8Array): Int32Array {
  return words(Buffer.concat([Buffer.from("expand 32-byte k"), key, tail]));
}

/** The block that follows from a state. */
function blockOf(state: Int32Array, rounds: number): Int32Array {
  const both = new Int32Array(32);
  both.set(state);
  chachaBlock(both, 0, 16, rounds);
  return both.slice(16);
}

test.before(() => poolsReset());

test("twenty rounds are RFC 8439's block function (section 2.3.2)", (t) => {
  const key = Uint8Array.from({ length: 32 }, (_, i) => i);
  const out = blockOf(stateOf(key, Buffer.from("01000000000000090000004a00000000", "hex")), 20);
  t.is(hex(out), "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
    + "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e");
});

test("twenty rounds agree with OpenSSL under any key", (t) => {
  const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
  fc.assert(fc.property(bytes(32), bytes(16), (key, tail) => {
      const out = blockOf(stateOf(key, tail), 20);
    t.is(hex(out), createCipheriv("chacha20", key, tail).update(Buffer.alloc(64)).toString("hex"));
  }));
});

test.serial("the generator is ChaCha8's key stream (test vector of key 0)", (t) => {
  randomInit(new Uint8Array(32));
  t.is(hex(Int32Array.from({ length: 16 }, getRandomU32)),
    "3e00ef2f895f40d67f5bb8e81f09a5a12c840ec3ce9a7f3b181be188ef711a1e"
    + "984ce172b9216f419f445367456d5619314a42a3da86b001387bfdb80e0cfe42");
  const second = stateOf(new Uint8Array(32), Buffer.from("01000000000000000000000000000000", "hex"));
  const out = blockOf(second, 8);
  t.is(hex(Int32Array.from({ length: 16 }, getRandomU32)), hex(out));
});

test.serial("the same seed gives the same numbers, every byte of a seed matters", (t) => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 1, maxLength: 80 }), fc.nat(79), (seed, at) => {
    randomInit(seed);
    const first = [getRandomU32(), getRandomU32()];
    randomInit(seed);
    t.deepEqual([getRandomU32(), getRandomU32()], first);
    seed[at % seed.length]! ^= 1;
    randomInit(seed);
    t.notDeepEqual([getRandomU32(), getRandomU32()], first);
  }));
});

test.serial("added entropy changes what follows", (t) => {
  randomInit(Uint8Array.of(1));
  getRandomU32();
  const plain = [getRandomU32(), getRandomU32()];
  randomInit(Uint8Array.of(1));
  getRandomU32();
  addRandomness(Uint8Array.of(5));
  t.notDeepEqual([getRandomU32(), getRandomU32()], plain);
});

test.serial("getRandomBelow stays below and reaches everything evenly", (t) => {
  randomInit(Uint8Array.of(7));
  const counts = new Array<number>(10).fill(0);
  for (let i = 0; i < 10000; i++) counts[getRandomBelow(10)]!++;
  for (const count of counts) t.true(count > 850 && count < 1150, String(counts));
  t.is(getRandomBelow(1), 0);
  t.is(getRandomBelow(0), 0);
  let high = 0;
  for (let i = 0; i < 200; i++) {
    const value = getRandomBelow(0x80000000);
    t.true(value >= 0 && value < 0x80000000);
    if (value >= 0x40000000) high++;
  }
  t.true(high > 60 && high < 140);
});

test.serial("getRandomBytes writes exactly its bytes", (t) => {
  randomInit(new Uint8Array(32));
  const bytes = new Uint8Array(20);
  getRandomBytes(bytes, 3, 10);
  t.is(Buffer.from(bytes).toString("hex"), "000000" + "3e00ef2f895f40d67f5b" + "00000000000000");
});
