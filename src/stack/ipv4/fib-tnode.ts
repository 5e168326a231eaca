/**
 * The tnodes: inner nodes of the tries, each one block with its children. Linux: struct tnode and struct key_vector of
 * net/ipv4/fib_trie.c, tnode_alloc(). Owns the region behind `fibTnodes` and its free blocks, and what is written where in a block.
 * A leaf's handle is below `fibTnodes` and a tnode's is not: that is how they are told apart.
 *
 * A tnode has no pointer to its parent: most of its memory would be that. Whoever needs the parent walks down once more; it is
 * three steps away from the top in the largest tables.
 *
 * Free blocks hang in a bin by the largest tnode that fits, carry their size at both ends, and become one with a free
 * neighbour. The smallest tnode, of two children, has four ints, and all sizes are even. What matters is how many of the smallest
 * are left: a set of so many routes never takes more than one for each.
 */
import { POOL_FAILURES, POOL_IN_USE, POOL_WORDS, type RowPool, rowPoolCreate, rowPoolTake, rowsLeft } from "../../lib/pool.ts";
import { words, wordTable } from "../../lib/table.ts";
import { fibAliasRows } from "./fib-memory.ts";

/** Columns of a tnode: the bits of the key above its own, its word, the children. */
export const TN_KEY = 0;
/**
 * Position (5 bits), bits (5), suffix length (6), children in use (6), full children (6), TN_NEW, none, TN_FREE, and as sign: the
 * suffix is longer than the position.
 */
export const TN_WORD = 1;
export const TN_CHILDREN = 2;

export const TN_BITS_SHIFT = 5;
export const SLEN_SHIFT = 10;
const USED_SHIFT = 16;
const FULL_SHIFT = 22;
/** All of a word but suffix length and sign. */
const NOT_SLEN = 0x7fff03ff;
/** Part of a tnode that is being built, and is not in the trie yet. */
const TN_NEW = 1 << 28;
/** In the place of a tnode's word and at the end of the block: free; with the size in ints. */
const TN_FREE = 1 << 30;
const FREE_SIZE = 0xffffff;
/** Up to so many bits the counts are in the word; above they are two ints behind the children. */
const COUNTED_IN_WORD = 5;
/** Ints of the smallest tnode, and their binary logarithm. */
const LEAST_INTS = 4;
const LEAST_SHIFT = 2;
/** Ints for each route: the smallest tnode, and one for a shallower trie. */
const INTS_FOR_ROUTE = 5;
/** Lets small tables have the shape of Linux's. */
const EXTRA_INTS = 4;
/** Behind the last block, where its neighbour's word would be. */
const END_INTS = 2;

/** Columns of a free block. */
const FREE_NEXT = 0;
const FREE_PREVIOUS = 2;

/** Where the tnodes begin. */
export let fibTnodes = 0;
/** Heads of the bins, by the bits of the largest tnode that fits; there is none for 0. */
let binHeads: number;
let bins: number;
/** How many of the smallest tnodes the free blocks hold. */
let left: number;
/** How many of them fibReserve() keeps. */
let reserved: number;
/** Counts ints. */
let pool: RowPool;

/** Ints of a tnode of so many bits. */
export function tnodeInts(bits: number): number {
  return TN_CHILDREN + (1 << bits) + (bits > COUNTED_IN_WORD ? 2 : 0);
}

/** Bits of the largest tnode that fits in so many ints, 0 for none. */
function bitsFor(ints: number): number {
  if (ints < LEAST_INTS) return 0;
  if (ints >= tnodeInts(COUNTED_IN_WORD + 1)) return 31 - Math.clz32(ints - TN_CHILDREN - 2);
  const bits = 31 - Math.clz32(ints - TN_CHILDREN);
  return bits < COUNTED_IN_WORD ? bits : COUNTED_IN_WORD;
}

function blockInts(routes: number): number {
  return (routes * INTS_FOR_ROUTE + EXTRA_INTS) & ~1;
}

/** Ints of the region for so many routes: heads, blocks, what is behind them. */
function regionInts(routes: number): number {
  return bitsFor(blockInts(routes)) + blockInts(routes) + END_INTS;
}

/** Words that tnodeInit() takes. */
export function tnodeWords(routes: number): number {
  return regionInts(routes) + POOL_WORDS;
}

/** Boot time, after fibMemoryInit(), for the leaves' rows are to lie below: all is one free block. */
export function tnodeInit(routes: number): void {
  const all = blockInts(routes);
  const heads = bitsFor(all);
  fibTnodes = wordTable("fib_trie", regionInts(routes)) + heads;
  pool = rowPoolCreate("ip_fib_trie", all);
  bins = heads + 1;
  binHeads = fibTnodes - bins;
  left = reserved = 0;
  linkFree(fibTnodes, all);
}

function linkFree(at: number, ints: number): void {
  words[at + TN_WORD] = words[at + ints - 1] = TN_FREE | ints;
  if (ints < LEAST_INTS) return;
  left += ints >> LEAST_SHIFT;
  const head = binHeads + bitsFor(ints);
  const next = words[head]!;
  words[at + FREE_NEXT] = next;
  words[at + FREE_PREVIOUS] = 0;
  if (next !== 0) words[next + FREE_PREVIOUS] = at;
  words[head] = at;
}

function unlinkFree(at: number, ints: number): void {
  if (ints < LEAST_INTS) return;
  left -= ints >> LEAST_SHIFT;
  const next = words[at + FREE_NEXT]!;
  const previous = words[at + FREE_PREVIOUS]!;
  if (next !== 0) words[next + FREE_PREVIOUS] = previous;
  words[previous === 0 ? binHeads + bitsFor(ints) : previous + FREE_NEXT] = next;
}

/** A block for a tnode, or 0. */
function alloc(bits: number): number {
  let bin = bits;
  while (bin < bins && words[binHeads + bin] === 0) bin++;
  if (bin >= bins) return 0;
  const at = words[binHeads + bin]!;
  const found = words[at + TN_WORD]! & FREE_SIZE;
  const ints = tnodeInts(bits);
  unlinkFree(at, found);
  if (found > ints) linkFree(at + ints, found - ints);
  rowPoolTake(pool, ints);
  return at;
}

/** A tnode without children; 0 when there is no memory, which counts as a failure. @param part it is not in the trie at once */
export function tnodeNew(key: number, pos: number, bits: number, part: boolean): number {
  const n = alloc(bits);
  if (n === 0) {
    words[pool + POOL_FAILURES]!++;
    return 0;
  }
  const shift = pos + bits;
  words[n + TN_KEY] = shift < 32 ? (key >>> shift) << shift : 0;
  words[n + TN_WORD] = pos | (bits << TN_BITS_SHIFT) | (pos << SLEN_SHIFT) | (part ? TN_NEW : 0);
  words.fill(0, n + TN_CHILDREN, n + tnodeInts(bits));
  return n;
}

/** Frees a tnode, but not what is below it. */
export function tnodeFree(n: number): void {
  let at = n;
  let ints = tnodeInts(tnodeBits(n));
  words[pool + POOL_IN_USE]! -= ints;
  // The last int of a tnode is a handle or a count: it never looks like a free block's.
  const behind = words[at + ints + TN_WORD]!;
  if ((behind & TN_FREE) !== 0) {
    const more = behind & FREE_SIZE;
    unlinkFree(at + ints, more);
    ints += more;
  }
  const before = words[at - 1]!;
  if ((before & TN_FREE) !== 0) {
    const more = before & FREE_SIZE;
    at -= more;
    unlinkFree(at, more);
    ints += more;
  }
  linkFree(at, ints);
}

export function tnodePos(n: number): number {
  return words[n + TN_WORD]! & 31;
}

export function tnodeBits(n: number): number {
  return (words[n + TN_WORD]! >> TN_BITS_SHIFT) & 31;
}

/** The longest suffix of the routes below it, at least its position. */
export function tnodeSlen(n: number): number {
  return (words[n + TN_WORD]! >> SLEN_SHIFT) & 63;
}

export function tnodeSetSlen(n: number, slen: number): void {
  const word = words[n + TN_WORD]! & NOT_SLEN;
  words[n + TN_WORD] = word | (slen << SLEN_SHIFT) | (slen > (word & 31) ? 0x80000000 : 0);
}

/** Which child of a tnode the key belongs to. */
export function tnodeIndex(key: number, n: number): number {
  return (key ^ words[n]!) >>> words[n + TN_WORD]!;
}

export function tnodeChild(n: number, index: number): number {
  return words[n + TN_CHILDREN + index]!;
}

/** Children in use. Linux has the others: empty_children. */
export function tnodeUsed(n: number): number {
  const bits = tnodeBits(n);
  if (bits > COUNTED_IN_WORD) return words[n + TN_CHILDREN + (1 << bits)]!;
  return (words[n + TN_WORD]! >> USED_SHIFT) & 63;
}

/** Children that are tnodes without skipped bits. Linux: full_children. */
export function tnodeFullChildren(n: number): number {
  const bits = tnodeBits(n);
  if (bits > COUNTED_IN_WORD) return words[n + TN_CHILDREN + (1 << bits) + 1]!;
  return (words[n + TN_WORD]! >> FULL_SHIFT) & 63;
}

/** Changes both counts by so many. */
export function tnodeCount(n: number, used: number, full: number): void {
  const bits = tnodeBits(n);
  if (bits > COUNTED_IN_WORD) {
    const counts = n + TN_CHILDREN + (1 << bits);
    words[counts]! += used;
    words[counts + 1]! += full;
  } else words[n + TN_WORD]! += used * (1 << USED_SHIFT) + full * (1 << FULL_SHIFT);
}

export function tnodeIsNew(n: number): boolean {
  return (words[n + TN_WORD]! & TN_NEW) !== 0;
}

/** It is in the trie now. */
export function tnodeSettle(n: number): void {
  words[n + TN_WORD]! &= ~TN_NEW;
}

/**
 * Would there be a tnode for each route still to come after `n` is doubled? Until then a table stays deeper than Linux's. Of a large
 * tnode every full child counts as one to be split in two: this is asked at each insertion, and must not go through them all.
 */
export function tnodeRoomToInflate(n: number): boolean {
  const bits = tnodeBits(n);
  const free = left << LEAST_SHIFT;
  let take = tnodeInts(bits + 1);
  let more = take - tnodeInts(bits);
  if (bits > COUNTED_IN_WORD) {
    take += 2 * LEAST_INTS * tnodeFullChildren(n);
    more += 2 * tnodeFullChildren(n);
  } else {
    for (let i = (1 << bits) - 1; i >= 0; i--) {
      const child = tnodeChild(n, i);
      if (child < fibTnodes || tnodePos(child) + tnodeBits(child) !== tnodePos(n)) continue;
      const below = tnodeBits(child);
      more += (below > 1 ? 2 * tnodeInts(below - 1) : 0) - tnodeInts(below);
    }
  }
  const kept = rowsLeft(fibAliasRows) + reserved;
  return free >= take && free - more >= kept << LEAST_SHIFT;
}

/**
 * Keeps a tnode for each of so many leaves more, or (negative) gives that up.
 * @returns false when there are not so many
 */
export function tnodeReserve(leaves: number): boolean {
  if (left < reserved + leaves) return false;
  reserved += leaves;
  return true;
}

/** Ints of all tnodes: 0 when every table is empty. */
export function tnodeIntsInUse(): number {
  return words[pool + POOL_IN_USE]!;
}
