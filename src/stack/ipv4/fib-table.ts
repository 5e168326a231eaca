/**
 * A routing table as those see it who change it and ask it: leaves by their keys, each with the list of its aliases; and what does
 * that, a list (fib-list.ts) or a trie (fib-trie.ts). Linux: struct fib_table, which had fib_hash and fib_trie behind it until 2.6.39.
 * Owns the columns of tables and aliases, not their rows (fib-alias.ts).
 */
import { words } from "../../lib/table.ts";
import type { FibKey, FibResult } from "./flow.ts";

/** Columns of a table's row; the alias's are the leaf's. */
export const TB_NUM = 0;
/** The first leaf of a list, the top node of a trie; 0 while it is empty. */
export const TB_ROOT = 1;
export const TB_NEXT = 2;
/** The table whose TB_ROOT is used: itself, or main while local shares its leaves. */
export const TB_TRIE = 3;

/** Columns of an alias. */
/**
 * Suffix length (6 bits: 32 less prefix length), type (4), is it of the local table (1), TOS without its two lowest bits (6), number
 * of the fib_info (14), and as sign: another alias follows.
 */
export const FA_WORD = 0;
/** The next alias; of the last one the key they all have. */
export const FA_LINK = 1;
export const FA_TYPE_SHIFT = 6;
export const FA_LOCAL = 1 << 10;
export const FA_TOS_SHIFT = 11;
export const FA_INFO_SHIFT = 17;
export const FA_MORE = 0x80000000 | 0;

/** The next alias of the leaf, 0 at the end. */
export function faNext(alias: number): number {
  return words[alias + FA_WORD]! < 0 ? words[alias + FA_LINK]! : 0;
}

/** The last alias of a leaf: the one with the shortest prefix. */
export function faLast(leaf: number): number {
  let alias = leaf;
  while (words[alias + FA_WORD]! < 0) alias = words[alias + FA_LINK]!;
  return alias;
}

/** The key of a leaf: behind its last alias. */
export function faKey(leaf: number): number {
  return words[faLast(leaf) + FA_LINK]!;
}

/** The suffix length of a leaf's last alias, the longest. */
export function faSlen(leaf: number): number {
  return words[faLast(leaf) + FA_WORD]! & 63;
}

/** What keeps the leaves of tables. `trie` is the row of the table whose TB_ROOT is used. */
export interface FibTableOps {
  /** As fibTableLookup(). */
  lookup(tb: number, daddr: number, key: FibKey, res: FibResult): number;
  /** The leaf of that very key, or 0. */
  find(trie: number, key: number): number;
  /** Enters a leaf where find() has just found none: false when there is no memory, then nothing has changed. */
  insert(trie: number, leaf: number): boolean;
  /** Takes the leaf out that find() has just found, its columns still set; its row is the caller's to free. */
  remove(trie: number, leaf: number): void;
  /** The last alias of the leaf that find() has just found has changed. @param before the suffix length of the one before */
  suffixChanged(trie: number, leaf: number, before: number): void;
  /** Goes through all leaves. @param visit answers false when the leaf is to go: it has freed its aliases */
  sweep(trie: number, visit: (leaf: number) => boolean): void;
  /** The first leaf whose key is at least that, as unsigned numbers; 0 at the end. */
  nextLeaf(trie: number, key: number): number;
  /** Keeps memory for so many leaves more, or (negative) gives that up: false when there is not so much. */
  reserve(leaves: number): boolean;
  /** Boot time, after fibMemoryInit(): makes the memory. */
  init(routes: number): void;
}

export let fibOps: FibTableOps;

/** Boot time, before fibInit(). */
export function registerFibOps(ops: FibTableOps): void {
  fibOps = ops;
}
