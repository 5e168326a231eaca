/**
 * SipHash-2-4, a keyed hash for secrets: sequence numbers, ports, cookies. 64-bit words as pairs of int32.
 *
 * Linux: lib/siphash.c. Read first: Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012), RFC 6528.
 * A key is four int32 in an array, from `keyAt` on: the 128 bits as little-endian words. Each function returns the low 32 bits of the hash and
 * leaves the high ones for `siphashHi`.
 */

/** The four 64-bit words of the state, low and high halves: module variables are as cheap as locals. */
let v0l = 0;
let v0h = 0;
let v1l = 0;
let v1h = 0;
let v2l = 0;
let v2h = 0;
let v3l = 0;
let v3h = 0;
let resultHi = 0;

/** The high 32 bits of the last hash. */
export function siphashHi(): number {
  return resultHi;
}

/** Hash of four words, as of their sixteen little-endian bytes. Linux: siphash_4u32(). */
export function siphash4u32(a: number, b: number, c: number, d: number, key: Int32Array, keyAt: number): number {
  start(key, keyAt);
  compress(a, b);
  compress(c, d);
  return finish(0, 16 << 24);
}

/** Hash of three words. Linux: siphash_3u32(). */
export function siphash3u32(a: number, b: number, c: number, key: Int32Array, keyAt: number): number {
  start(key, keyAt);
  compress(a, b);
  return finish(c, 12 << 24);
}

/** Hash of two words. */
export function siphash2u32(a: number, b: number, key: Int32Array, keyAt: number): number {
  start(key, keyAt);
  compress(a, b);
  return finish(0, 8 << 24);
}

/** Hash of bytes. Linux: siphash(). */
export function siphash(bytes: Uint8Array, offset: number, length: number, key: Int32Array, keyAt: number): number {
  start(key, keyAt);
  let at = offset;
  for (const end = offset + (length & ~7); at < end; at += 8) {
    compress(
      bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24),
      bytes[at + 4]! | (bytes[at + 5]! << 8) | (bytes[at + 6]! << 16) | (bytes[at + 7]! << 24),
    );
  }
  let low = 0;
  let high = length << 24;
  for (let i = 0; i < (length & 7); i++) {
    if (i < 4) low |= bytes[at + i]! << (i << 3);
    else high |= bytes[at + i]! << ((i - 4) << 3);
  }
  return finish(low, high);
}

/**
 * Hash of a flow's keys as Linux lays them out for it: 48 bytes, zero but for the protocol (byte 2), the ports (28) and the addresses
 * (36). Linux: flow_hash_from_keys_seed(). @param ports source in the low half, as all in the order of the wire @param seed each of the
 * key's four words
 */
export function siphashFlow(protocol: number, ports: number, saddr: number, daddr: number, seed: number): number {
  startWith(seed, seed, seed, seed);
  compress(protocol << 16, 0);
  compress(0, 0);
  compress(0, 0);
  compress(0, ports);
  compress(0, saddr);
  compress(daddr, 0);
  return finish(0, 48 << 24);
}

function start(key: Int32Array, at: number): void {
  startWith(key[at]!, key[at + 1]!, key[at + 2]!, key[at + 3]!);
}

/** The state from the key and the constants, which spell "somepseudorandomlygeneratedbytes". */
function startWith(k0l: number, k0h: number, k1l: number, k1h: number): void {
  v0l = k0l ^ 0x70736575;
  v0h = k0h ^ 0x736f6d65;
  v1l = k1l ^ 0x6e646f6d;
  v1h = k1h ^ 0x646f7261;
  v2l = k0l ^ 0x6e657261;
  v2h = k0h ^ 0x6c796765;
  v3l = k1l ^ 0x79746573;
  v3h = k1h ^ 0x74656462;
}

/** Takes in one 64-bit word. */
function compress(low: number, high: number): void {
  v3l ^= low;
  v3h ^= high;
  rounds(2);
  v0l ^= low;
  v0h ^= high;
}

/** Takes in the last word, with the length in its highest byte, and finalizes. */
function finish(low: number, high: number): number {
  compress(low, high);
  v2l ^= 0xff;
  rounds(4);
  resultHi = v0h ^ v1h ^ v2h ^ v3h;
  return v0l ^ v1l ^ v2l ^ v3l;
}

/** SipRounds. A carry is the top bit of (x & y) | ((x | y) & ~sum), which keeps everything in int32. */
function rounds(count: number): void {
  let al = v0l;
  let ah = v0h;
  let bl = v1l;
  let bh = v1h;
  let cl = v2l;
  let ch = v2h;
  let dl = v3l;
  let dh = v3h;
  let sum = 0;
  let old = 0;
  do {
    // a += b; b = rotl(b, 13) ^ a; a = rotl(a, 32)
    sum = (al + bl) | 0;
    ah = (ah + bh + (((al & bl) | ((al | bl) & ~sum)) >>> 31)) | 0;
    old = bl;
    bl = ((bl << 13) | (bh >>> 19)) ^ sum;
    bh = ((bh << 13) | (old >>> 19)) ^ ah;
    al = ah;
    ah = sum;
    // c += d; d = rotl(d, 16) ^ c
    sum = (cl + dl) | 0;
    ch = (ch + dh + (((cl & dl) | ((cl | dl) & ~sum)) >>> 31)) | 0;
    cl = sum;
    old = dl;
    dl = ((dl << 16) | (dh >>> 16)) ^ cl;
    dh = ((dh << 16) | (old >>> 16)) ^ ch;
    // a += d; d = rotl(d, 21) ^ a
    sum = (al + dl) | 0;
    ah = (ah + dh + (((al & dl) | ((al | dl) & ~sum)) >>> 31)) | 0;
    al = sum;
    old = dl;
    dl = ((dl << 21) | (dh >>> 11)) ^ al;
    dh = ((dh << 21) | (old >>> 11)) ^ ah;
    // c += b; b = rotl(b, 17) ^ c; c = rotl(c, 32)
    sum = (cl + bl) | 0;
    ch = (ch + bh + (((cl & bl) | ((cl | bl) & ~sum)) >>> 31)) | 0;
    old = bl;
    bl = ((bl << 17) | (bh >>> 15)) ^ sum;
    bh = ((bh << 17) | (old >>> 15)) ^ ch;
    cl = ch;
    ch = sum;
  } while (--count > 0);
  v0l = al;
  v0h = ah;
  v1l = bl;
  v1h = bh;
  v2l = cl;
  v2h = ch;
  v3l = dl;
  v3h = dh;
}
