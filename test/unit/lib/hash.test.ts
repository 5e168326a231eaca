import test from "ava";
import fc from "fast-check";
import { jhash, jhash1word, jhash2words, jhash3words } from "../../../src/lib/jhash.ts";
import { siphash, siphash2u32, siphash3u32, siphash4u32, siphashFlow, siphashHi } from "../../../src/lib/siphash.ts";

function text(s: string, initval: number): number {
  const bytes = new TextEncoder().encode(s);
  return jhash(bytes, 0, bytes.length, initval) >>> 0;
}

function littleEndian(...words: number[]): Uint8Array {
  const bytes = Buffer.alloc(words.length * 4);
  words.forEach((word, i) => bytes.writeInt32LE(word, i * 4));
  return bytes;
}

test("jhash has the values lookup3's author publishes", (t) => {
  t.is(text("", 0), 0xdeadbeef);
  t.is(text("", 0xdeadbeef), 0xbd5b7dde);
  t.is(text("Four score and seven years ago", 0), 0x17770551);
  t.is(text("Four score and seven years ago", 1), 0xcd628161);
});

test("jhash of words is jhash of their bytes, at any offset", (t) => {
  const int = fc.integer();
  fc.assert(fc.property(int, int, int, int, fc.nat(5), (a, b, c, initval, offset) => {
    const bytes = new Uint8Array(32);
    bytes.set(littleEndian(a, b, c), offset);
    t.is(jhash3words(a, b, c, initval), jhash(bytes, offset, 12, initval));
    t.is(jhash2words(a, b, initval), jhash(bytes, offset, 8, initval));
    t.is(jhash1word(a, initval), jhash(bytes, offset, 4, initval));
  }));
});

/** SipHash-2-4 as the paper writes it, in 64-bit integers. */
function model(bytes: Uint8Array, k0: bigint, k1: bigint): bigint {
  const u64 = (x: bigint): bigint => BigInt.asUintN(64, x);
  const rotl = (x: bigint, n: bigint): bigint => u64(x << n) | (x >> (64n - n));
  let v0 = k0 ^ 0x736f6d6570736575n;
  let v1 = k1 ^ 0x646f72616e646f6dn;
  let v2 = k0 ^ 0x6c7967656e657261n;
  let v3 = k1 ^ 0x7465646279746573n;
  const round = (): void => {
    v0 = u64(v0 + v1);
    v2 = u64(v2 + v3);
    v1 = rotl(v1, 13n) ^ v0;
    v3 = rotl(v3, 16n) ^ v2;
    v0 = rotl(v0, 32n);
    v2 = u64(v2 + v1);
    v0 = u64(v0 + v3);
    v1 = rotl(v1, 17n) ^ v2;
    v3 = rotl(v3, 21n) ^ v0;
    v2 = rotl(v2, 32n);
  };
  const padded = Buffer.alloc((bytes.length & ~7) + 8);
  padded.set(bytes);
  padded[padded.length - 1] = bytes.length;
  for (let i = 0; i < padded.length; i += 8) {
    const m = padded.readBigUInt64LE(i);
    v3 ^= m;
    round();
    round();
    v0 ^= m;
  }
  v2 ^= 0xffn;
  for (let i = 0; i < 4; i++) round();
  return v0 ^ v1 ^ v2 ^ v3;
}

function whole(low: number): bigint {
  return (BigInt(siphashHi() >>> 0) << 32n) | BigInt(low >>> 0);
}

test("siphash has the reference implementation's values", (t) => {
  const key = Int32Array.of(0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c);
  const input = Uint8Array.from({ length: 16 }, (_, i) => i);
  const vectors = [
    "310e0edd47db6f72", "fd67dc93c539f874", "5a4fa9d909806c0d", "2d7efbd796666785", "b7877127e09427cf",
    "8da699cd64557618", "cee3fe586e46c9cb", "37d1018bf50002ab", "6224939a79f5f593",
  ];
  vectors.forEach((vector, length) => {
    t.is(whole(siphash(input, 0, length, key, 0)), Buffer.from(vector, "hex").readBigUInt64LE());
  });
  // The example of the paper's appendix A: 15 bytes.
  t.is(whole(siphash(input, 0, 15, key, 0)), 0xa129ca6149be45e5n);
});

test("siphash agrees with 64-bit arithmetic", (t) => {
  const int = fc.integer();
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(80), int, int, int, int, (bytes, skip, a, b, c, d) => {
    const key = Int32Array.of(a, b, c, d);
    const raw = Buffer.from(littleEndian(a, b, c, d));
    const from = Math.min(skip, bytes.length);
    t.is(whole(siphash(bytes, from, bytes.length - from, key, 0)),
      model(bytes.subarray(from), raw.readBigUInt64LE(0), raw.readBigUInt64LE(8)));
  }), { numRuns: 200 });
});

test("siphash of words is siphash of their bytes", (t) => {
  const int = fc.integer();
  fc.assert(fc.property(int, int, int, int, (a, b, c, d) => {
    const key = Int32Array.of(d, c, b, a);
    const bytes = littleEndian(a, b, c, d);
    const of = (length: number): bigint => whole(siphash(bytes, 0, length, key, 0));
    t.is(whole(siphash4u32(a, b, c, d, key, 0)), of(16));
    t.is(whole(siphash3u32(a, b, c, key, 0)), of(12));
    t.is(whole(siphash2u32(a, b, key, 0)), of(8));
  }));
});

test("siphash of a flow is siphash of its keys as Linux lays them out", (t) => {
  const int = fc.integer();
  fc.assert(fc.property(fc.nat(255), int, int, int, int, (protocol, ports, saddr, daddr, seed) => {
    const keys = littleEndian(protocol << 16, 0, 0, 0, 0, 0, 0, ports, 0, saddr, daddr, 0);
    t.is(whole(siphashFlow(protocol, ports, saddr, daddr, seed)), whole(siphash(keys, 0, 48, new Int32Array(4).fill(seed), 0)));
  }));
});
