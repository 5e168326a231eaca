/**
 * Random numbers: the ChaCha8 stream cipher's key stream under a key that the machine's entropy seeds.
 *
 * Linux: drivers/char/random.c (get_random_u32). Read first: RFC 8439 section 2.3 (the block function; here with 8
 * rounds, which no known attack comes near), Bernstein, "ChaCha, a variant of Salsa20" (2008).
 * On a board the seed comes from the hardware generator; in a test from a number, so that every run is the same.
 */
import { words, wordTable } from "./table.ts";

const ROUNDS = 8;
/** Words of the state and of a block, and of all tables here. */
const STATE_WORDS = 16;
export const RANDOM_WORDS = 2 * STATE_WORDS;

/** Where in `words` are: constants, key, block counter and nonce; the current block of key stream. */
let state = 0;
let block = 0;
/** First word of the block not yet given away. */
let used = 16;

const clz32 = Math.clz32;

/**
 * Starts the generator. Boot time.
 * @param seed any number of bytes; 32 or more for secrets. The same seed gives the same numbers.
 */
export function randomInit(seed: Uint8Array): void {
  state = wordTable("random", STATE_WORDS);
  block = wordTable("random", STATE_WORDS);
  words[state] = 0x61707865;
  words[state + 1] = 0x3320646e;
  words[state + 2] = 0x79622d32;
  words[state + 3] = 0x6b206574;
  mixKey(seed);
  used = 16;
}

/** Stirs more entropy into the key: nothing already unpredictable becomes predictable. */
export function addRandomness(bytes: Uint8Array): void {
  mixKey(bytes);
  nextBlock();
  for (let i = 0; i < 8; i++) words[state + 4 + i] = words[block + i]!;
  used = 16;
}

/** 32 random bits as an int32. */
export function getRandomU32(): number {
  if (used === 16) {
    nextBlock();
    used = 0;
  }
  return words[block + used++]!;
}

/** A random number 0..n-1, each as likely as the others. @param n 1 to 2^31; less gives 0 */
export function getRandomBelow(n: number): number {
  if (n <= 1) return 0;
  const mask = -1 >>> clz32(n - 1);
  for (;;) {
    const value = getRandomU32() & mask;
    if (value < n) return value;
  }
}

/** A table of random words: a key, for those who hash with one. Boot time. @param length in words @returns as wordTable() */
export function secretTable(name: string, length: number): number {
  const table = wordTable(name, length);
  for (let i = 0; i < length; i++) words[table + i] = getRandomU32();
  return table;
}

/** Fills a part of an array with random bytes. */
export function getRandomBytes(bytes: Uint8Array, offset: number, length: number): void {
  let word = 0;
  for (let i = 0; i < length; i++) {
    if ((i & 3) === 0) word = getRandomU32();
    bytes[offset + i] = word;
    word >>>= 8;
  }
}

/** Adds bytes to the key by exclusive or, around and around its 32 bytes. */
function mixKey(bytes: Uint8Array): void {
  for (let i = 0; i < bytes.length; i++) {
    const word = 4 + ((i >> 2) & 7);
    words[state + word] = words[state + word]! ^ (bytes[i]! << ((i & 3) << 3));
  }
}

function nextBlock(): void {
  chachaBlock(words, state, block, ROUNDS);
  const low = (words[state + 12]! + 1) | 0;
  words[state + 12] = low;
  if (low === 0) words[state + 13] = words[state + 13]! + 1;
}

/**
 * The ChaCha block function: one block of key stream from a state of sixteen words (RFC 8439 section 2.3).
 * @param x holds the state from `input` on; the block goes to `output` @param rounds an even number; 20 is the RFC's cipher
 */
export function chachaBlock(x: Int32Array, input: number, output: number, rounds: number): void {
  x.copyWithin(output, input, input + 16);
  for (let i = 0; i < rounds; i += 2) {
    for (let column = output; column < output + 4; column++) quarterRound(x, column, column + 4, column + 8, column + 12);
    quarterRound(x, output, output + 5, output + 10, output + 15);
    quarterRound(x, output + 1, output + 6, output + 11, output + 12);
    quarterRound(x, output + 2, output + 7, output + 8, output + 13);
    quarterRound(x, output + 3, output + 4, output + 9, output + 14);
  }
  for (let i = 0; i < 16; i++) x[output + i] = x[output + i]! + x[input + i]!;
}

/** RFC 8439 section 2.1. */
function quarterRound(x: Int32Array, ia: number, ib: number, ic: number, id: number): void {
  let a = x[ia]!;
  let b = x[ib]!;
  let c = x[ic]!;
  let d = x[id]!;
  a = (a + b) | 0;
  d ^= a;
  d = (d << 16) | (d >>> 16);
  c = (c + d) | 0;
  b ^= c;
  b = (b << 12) | (b >>> 20);
  a = (a + b) | 0;
  d ^= a;
  d = (d << 8) | (d >>> 24);
  c = (c + d) | 0;
  b ^= c;
  b = (b << 7) | (b >>> 25);
  x[ia] = a;
  x[ib] = b;
  x[ic] = c;
  x[id] = d;
}
