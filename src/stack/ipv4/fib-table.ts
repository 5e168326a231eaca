/**
 * What is written where in the rows of tables and aliases. Linux: struct fib_table, struct fib_alias. The rows are fib-alias.ts's, the
 * way to the leaves is a trie (fib-trie.ts).
 */
import { words } from "../../lib/table.ts";

/** Columns of a table's row; the alias's are the leaf's. */
export const TB_NUM = 0;
/** The top node of the trie, 0 while it is empty. */
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
