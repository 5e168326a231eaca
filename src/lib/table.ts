/**
 * The words: every table of fixed rows (hash heads, keys, secrets, counters, the cold fields of control blocks), one behind
 * the other in one array. Linux: alloc_large_system_hash() and its boot messages, memblock.
 *
 * XS takes 120 bytes for a typed array beside what is in it, and tables of a few words are many. So a table is not an array
 * but an offset, kept by its owner: `words[base + row * WIDTH + FIELD]`; one of 16-bit numbers is an offset in `halves`. How
 * many words boot will take is added up first (`words` of the initcalls). What comes later, a namespace or a device, makes
 * the arrays grow and move, so nobody keeps them: they are read anew each time.
 */
import { account } from "./account.ts";

/** Room that comes with each growth beside what is asked for. */
const GROW_WORDS = 16;

/** All tables, as signed words. */
export let words: Int32Array;
/** The same as unsigned 16-bit numbers. */
export let halves: Uint16Array;
/** Words given away. */
let used = 0;

/** Forgets every table and makes room for new ones. The first thing a boot does, by poolsReset(). @param capacity in words */
export function wordsReset(capacity: number): void {
  used = 0;
  setArrays(new Int32Array(capacity));
}

function setArrays(array: Int32Array): void {
  words = account("words", array);
  halves = account("words", new Uint16Array(array.buffer));
}

/**
 * Makes a table, registered by name so that the memory budget sees every byte. Boot time, and for namespaces and devices
 * that come later.
 * @param length in words @param value what every word is at first
 * @returns its offset in `words`
 */
export function wordTable(name: string, length: number, value = 0): number {
  const base = used;
  used = base + length;
  if (used > words.length) grow();
  words.fill(value, base, used);
  account(name, length << 2);
  return base;
}

/** The same for a table of 16-bit numbers. @returns its offset in `halves` */
export function halfTable(name: string, length: number, value = 0): number {
  return wordTable(name, halfWords(length), value | (value << 16)) << 1;
}

/** Words that a table of so many 16-bit numbers takes. */
export function halfWords(length: number): number {
  return (length + 1) >> 1;
}

function grow(): void {
  const old = words;
  setArrays(new Int32Array(used + GROW_WORDS));
  words.set(old);
}

/** An array of its own, for tables whose owners pass them around. */
export function int32Table(name: string, length: number): Int32Array {
  return account(name, new Int32Array(length));
}

export function uint32Table(name: string, length: number): Uint32Array {
  return account(name, new Uint32Array(length));
}
