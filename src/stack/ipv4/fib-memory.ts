/**
 * The memory of the routing tables: one Int32Array for all of them, in regions. Linux: the slabs ip_fib_alias and ip_fib_trie,
 * fib_info_hash. An object costs XS 16 bytes a field and a typed array 120 beside its bytes, so that everything a route takes
 * is a row here, and its handle is the index of the row's first int; 0 is none.
 *
 *   fib_info    16 ints, from 0; row 0 is where a wanted one is worked out (fib-semantics.ts)
 *   metrics     those of a fib_info that has more than MTU and ADVMSS
 *   hash        heads of the fib_info of one content
 *   fib_table   4 ints
 *   fib_rule    11 ints
 *   exceptions  6 ints, and heads of their hash by destination
 *   fib_alias   2 ints: one for each route; the first of a key is the trie's leaf
 *   tnodes      the inner nodes of the trie with their children, in blocks of many sizes (fib-tnode.ts)
 *
 * A leaf's handle is below `fibTnodes` and a tnode's is not: that is how they are told apart.
 */
import {
  POOL_FAILURES, POOL_FREE, POOL_IN_USE, POOL_SIZE, POOL_WORDS, type RowPool, rowPoolCreate, rowPoolTake,
} from "../../lib/pool.ts";
import { int32Table, words } from "../../lib/table.ts";

/** Ints of a fib_info; a power of two, so that its number is a shift away. */
export const FI_INTS = 16;
export const FI_SHIFT = 4;
export const TB_INTS = 4;
export const RULE_INTS = 11;
export const FE_INTS = 6;
export const FA_INTS = 2;

/** Rows of one kind: a pool whose free list goes through the rows; POOL_FREE is the first, 0 for none. */
export type FibRows = RowPool;

/** How many of each there are. */
export interface FibSizes {
  readonly routes: number;
  readonly infos: number;
  readonly tables: number;
  /** 0 or at least 4: a namespace's first change makes its three default ones too. */
  readonly rules: number;
  readonly exceptions: number;
  readonly metrics: number;
}

export let fibMem: Int32Array;
/** Where the regions begin. */
export let fibHash = 0;
export let fibTables = 0;
export let fibTnodes = 0;
/** Heads of the hash less one: a mask. */
export let fibHashMask = 0;
export let fibInfoRows: FibRows;
export let fibAliasRows: FibRows;
/** null when routes keep no metrics but MTU and ADVMSS. */
export let fibMetricRows: FibRows | null;
/** null when the rules cannot be changed. */
export let fibRuleRows: FibRows | null;
export let fibRuleBase = 0;
export let fibExceptionRows: FibRows;
export let fibExceptionBase = 0;
export let fibExceptionHeads = 0;
/** Heads of the hash less one: a mask. */
export let fibExceptionMask = 0;
/** Highest row of fib_info. */
export let fibInfoLast = 0;

/** Heads of a hash of that many: a power of two, at most half of them. */
function headsFor(count: number): number {
  let heads = 1;
  while (heads * 4 <= count) heads *= 2;
  return heads;
}

/** Words of the pools of rows, that of the tnodes among them. */
export const FIB_MEMORY_WORDS = 6 * POOL_WORDS;

/** Builds the memory. Boot time only. @param bins, tnodeInts of the tnodes: heads of their bins, and all blocks together */
export function fibMemoryInit(sizes: FibSizes, metricsInts: number, bins: number, tnodeInts: number): void {
  const heads = headsFor(sizes.infos);
  const exceptionHeads = headsFor(sizes.exceptions);
  fibInfoLast = sizes.infos * FI_INTS;
  const fibMetrics = fibInfoLast + FI_INTS;
  fibHash = fibMetrics + sizes.metrics * metricsInts;
  fibHashMask = heads - 1;
  fibTables = fibHash + heads;
  fibRuleBase = fibTables + sizes.tables * TB_INTS;
  fibExceptionBase = fibRuleBase + sizes.rules * RULE_INTS;
  fibExceptionHeads = fibExceptionBase + sizes.exceptions * FE_INTS;
  fibExceptionMask = exceptionHeads - 1;
  const aliases = fibExceptionHeads + exceptionHeads;
  fibTnodes = aliases + sizes.routes * FA_INTS + bins;
  fibMem = int32Table("fib_trie", fibTnodes + tnodeInts);
  fibInfoRows = createRows("fib_info", FI_INTS, sizes.infos, FI_INTS);
  fibMetricRows = sizes.metrics === 0 ? null : createRows("fib_metrics", fibMetrics, sizes.metrics, metricsInts);
  fibRuleRows = sizes.rules === 0 ? null : createRows("fib_rules", fibRuleBase, sizes.rules, RULE_INTS);
  fibExceptionRows = createRows("ip_fnhe", fibExceptionBase, sizes.exceptions, FE_INTS);
  fibAliasRows = createRows("ip_fib_alias", aliases, sizes.routes, FA_INTS);
}

function createRows(name: string, base: number, size: number, ints: number): FibRows {
  const rows = rowPoolCreate(name, size);
  for (let i = 0; i < size; i++) fibMem[base + i * ints] = i + 1 < size ? base + (i + 1) * ints : 0;
  words[rows + POOL_FREE] = size > 0 ? base : 0;
  return rows;
}

/** A row, its ints as the last user left them; 0 when there is none, which counts as a failure. */
export function fibRowAlloc(rows: FibRows): number {
  const row = words[rows + POOL_FREE]!;
  if (row === 0) {
    words[rows + POOL_FAILURES]!++;
    return 0;
  }
  words[rows + POOL_FREE] = fibMem[row]!;
  rowPoolTake(rows);
  return row;
}

export function fibRowFree(rows: FibRows, row: number): void {
  fibMem[row] = words[rows + POOL_FREE]!;
  words[rows + POOL_FREE] = row;
  words[rows + POOL_IN_USE]!--;
}

/** Rows that are not in use. */
export function fibRowsLeft(rows: FibRows): number {
  return words[rows + POOL_SIZE]! - words[rows + POOL_IN_USE]!;
}
