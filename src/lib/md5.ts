/**
 * MD5, for the one thing that still must have it: TCP's MD5 signatures (RFC 2385). Linux: crypto/md5.c. Read first: RFC 1321
 * section 3. One hash at a time: md5Init(), any number of md5Update() and md5Word(), md5Final(). Owns the block being gathered.
 */
import { words, wordTable } from "./table.ts";

const BLOCK_BYTES = 64;
const BLOCK_WORDS = 16;
/** Where the length begins in the last block. */
const LENGTH_WORD = 14;
const STEPS = 64;

/** Rotations, four in turn for each round. */
const ROTATIONS: readonly number[] = Object.freeze([7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21]);

/** Table of the bytes gathered, as little-endian words, and behind them the sines. */
let block = 0;
/** Bytes hashed so far. */
let total = 0;
let a = 0;
let b = 0;
let c = 0;
let d = 0;

/** Words of its table. */
export const MD5_WORDS = BLOCK_WORDS + STEPS;

/** Boot time only. */
export function md5Setup(): void {
  block = wordTable("md5", MD5_WORDS);
  const sines = block + BLOCK_WORDS;
  for (let i = 0; i < STEPS; i++) words[sines + i] = Math.floor(Math.abs(Math.sin(i + 1)) * 4294967296);
}

export function md5Init(): void {
  total = 0;
  a = 0x67452301;
  b = 0xefcdab89 | 0;
  c = 0x98badcfe | 0;
  d = 0x10325476;
}

/** Word of the block that step `i` takes. */
function wordOf(i: number): number {
  switch (i >> 4) {
    case 0: return i;
    case 1: return (5 * i + 1) & 15;
    case 2: return (3 * i + 5) & 15;
    default: return (7 * i) & 15;
  }
}

/** The round's function of three words. */
function mix(round: number, x: number, y: number, z: number): number {
  switch (round) {
    case 0: return (x & y) | (~x & z);
    case 1: return (x & z) | (y & ~z);
    case 2: return x ^ y ^ z;
    default: return y ^ (x | ~z);
  }
}

function transform(): void {
  let w = a;
  let x = b;
  let y = c;
  let z = d;
  for (let i = 0; i < STEPS; i++) {
    const round = i >> 4;
    const sum = (w + mix(round, x, y, z) + words[block + BLOCK_WORDS + i]! + words[block + wordOf(i)]!) | 0;
    const turn = ROTATIONS[(round << 2) | (i & 3)]!;
    w = z;
    z = y;
    y = x;
    x = (x + ((sum << turn) | (sum >>> (32 - turn)))) | 0;
  }
  a = (a + w) | 0;
  b = (b + x) | 0;
  c = (c + y) | 0;
  d = (d + z) | 0;
}

/** Takes one byte. */
export function md5Byte(byte: number): void {
  const at = block + ((total & (BLOCK_BYTES - 1)) >> 2);
  const shift = (total & 3) << 3;
  if (shift === 0) words[at] = byte;
  else words[at] = words[at]! | (byte << shift);
  total++;
  if ((total & (BLOCK_BYTES - 1)) === 0) transform();
}

/** Takes `length` bytes from `offset` on. */
export function md5Update(bytes: Uint8Array, offset: number, length: number): void {
  const end = offset + length;
  for (let at = offset; at < end; at++) md5Byte(bytes[at]!);
}

/** Takes four bytes in network order. */
export function md5Word(word: number): void {
  md5Byte(word >>> 24);
  md5Byte((word >> 16) & 255);
  md5Byte((word >> 8) & 255);
  md5Byte(word & 255);
}

/** Ends the hash; its words are read by md5Digest(). Messages are shorter than 2^28 bytes. */
export function md5Final(): void {
  const bits = total << 3;
  md5Byte(0x80);
  while ((total & (BLOCK_BYTES - 1)) !== LENGTH_WORD << 2) md5Byte(0);
  words[block + LENGTH_WORD] = bits;
  words[block + LENGTH_WORD + 1] = 0;
  transform();
}

/** Word 0 to 3 of the digest, little-endian: its first byte is the lowest. */
export function md5Digest(index: number): number {
  switch (index) {
    case 0: return a;
    case 1: return b;
    case 2: return c;
    default: return d;
  }
}
