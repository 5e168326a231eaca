/**
 * Bob Jenkins' hash "lookup3" (public domain, 2006), for hash tables whose keys an attacker cannot choose, or with a
 * secret initial value. Linux: linux/jhash.h. For secrets use siphash.ts.
 *
 * Results are int32: take `& (size - 1)` for a bucket.
 */

/** lookup3's arbitrary constant, 0xdeadbeef as int32. */
const JHASH_INITVAL = -559038737;

/** Hash of three words. Linux: jhash_3words(). */
export function jhash3words(a: number, b: number, c: number, initval: number): number {
  return jhashFinal(a, b, c, (initval + JHASH_INITVAL + 12) | 0);
}

/** Hash of an IPv4 address where Linux hashes one of either family, in network order as a little-endian word: jhash2() of four words. */
export function jhashAddress(address: number, initval: number): number {
  const start = (initval + JHASH_INITVAL + 16) | 0;
  let a = (start + address) | 0;
  let b = start;
  let c = start;
  a = ((a - c) ^ ((c << 4) | (c >>> 28))) | 0;
  c = (c + b) | 0;
  b = ((b - a) ^ ((a << 6) | (a >>> 26))) | 0;
  a = (a + c) | 0;
  c = ((c - b) ^ ((b << 8) | (b >>> 24))) | 0;
  b = (b + a) | 0;
  a = ((a - c) ^ ((c << 16) | (c >>> 16))) | 0;
  c = (c + b) | 0;
  b = ((b - a) ^ ((a << 19) | (a >>> 13))) | 0;
  a = (a + c) | 0;
  c = ((c - b) ^ ((b << 4) | (b >>> 28))) | 0;
  b = (b + a) | 0;
  return jhashFinal(a, b, c, 0);
}

/** Hash of two words. Linux: jhash_2words(). */
export function jhash2words(a: number, b: number, initval: number): number {
  return jhashFinal(a, b, 0, (initval + JHASH_INITVAL + 8) | 0);
}

/** Hash of one word. Linux: jhash_1word(). */
export function jhash1word(a: number, initval: number): number {
  return jhashFinal(a, 0, 0, (initval + JHASH_INITVAL + 4) | 0);
}

/** lookup3's last mixing, after adding the start value to each word. */
function jhashFinal(a: number, b: number, c: number, start: number): number {
  a = (a + start) | 0;
  b = (b + start) | 0;
  c = (c + start) | 0;
  c = ((c ^ b) - ((b << 14) | (b >>> 18))) | 0;
  a = ((a ^ c) - ((c << 11) | (c >>> 21))) | 0;
  b = ((b ^ a) - ((a << 25) | (a >>> 7))) | 0;
  c = ((c ^ b) - ((b << 16) | (b >>> 16))) | 0;
  a = ((a ^ c) - ((c << 4) | (c >>> 28))) | 0;
  b = ((b ^ a) - ((a << 14) | (a >>> 18))) | 0;
  return ((c ^ b) - ((b << 24) | (b >>> 8))) | 0;
}

/** Hash of bytes, lookup3's hashlittle(). Linux: jhash(). */
export function jhash(bytes: Uint8Array, offset: number, length: number, initval: number): number {
  let a = (initval + JHASH_INITVAL + length) | 0;
  let b = a;
  let c = a;
  let at = offset;
  let left = length;
  while (left > 12) {
    a = (a + word(bytes, at, 4)) | 0;
    b = (b + word(bytes, at + 4, 4)) | 0;
    c = (c + word(bytes, at + 8, 4)) | 0;
    a = ((a - c) ^ ((c << 4) | (c >>> 28))) | 0;
    c = (c + b) | 0;
    b = ((b - a) ^ ((a << 6) | (a >>> 26))) | 0;
    a = (a + c) | 0;
    c = ((c - b) ^ ((b << 8) | (b >>> 24))) | 0;
    b = (b + a) | 0;
    a = ((a - c) ^ ((c << 16) | (c >>> 16))) | 0;
    c = (c + b) | 0;
    b = ((b - a) ^ ((a << 19) | (a >>> 13))) | 0;
    a = (a + c) | 0;
    c = ((c - b) ^ ((b << 4) | (b >>> 28))) | 0;
    b = (b + a) | 0;
    at += 12;
    left -= 12;
  }
  if (left === 0) return c;
  a = (a + word(bytes, at, left)) | 0;
  b = (b + word(bytes, at + 4, left - 4)) | 0;
  c = (c + word(bytes, at + 8, left - 8)) | 0;
  return jhashFinal(a, b, c, 0);
}

/** A little-endian word of which `left` bytes are there, the rest being zero. */
function word(bytes: Uint8Array, at: number, left: number): number {
  if (left >= 4) return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
  let value = 0;
  for (let i = 0; i < left; i++) value |= bytes[at + i]! << (i << 3);
  return value;
}
