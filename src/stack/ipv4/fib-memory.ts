/**
 * The memory of the routing tables: one stretch of `words` for all of them, in regions. Linux: the slab ip_fib_alias, fib_info_hash. An object costs XS 16 bytes a field and a typed array 120 beside its bytes, so that everything a route takes
 * is a row here, and its handle is where the row lies; 0 is none.
 *
 *   fib_info    16 words; in the first a wanted one is worked out (fib-semantics.ts)
 *   metrics     those of a fib_info that has more than MTU and ADVMSS
 *   hash        heads of the fib_info of one content
 *   fib_table   4 words
 *   fib_alias   2 words: one for each route; the first of a key is its leaf
 *
 * What keeps the leaves has memory of its own: fib-tnode.ts. A host's routes are fib_info and nothing else: fib-host.ts.
 */
import { POOL_WORDS, type RowPool, rowsCreate } from "../../lib/pool.ts";
import { wordTable } from "../../lib/table.ts";
import { RTAX_MAX } from "../../uapi/rtnetlink.ts";

/** Words of a fib_info; a power of two, so that its number is a shift away. */
export const FI_INTS = 16;
export const FI_SHIFT = 4;
export const TB_INTS = 4;
export const FA_INTS = 2;
const METRICS_INTS = RTAX_MAX + 1;
const POOLS = 3;

/** How many of each there are. A host's routes need to know the first alone. */
export interface FibSizes {
  readonly routes: number;
  readonly fibInfos: number;
  readonly fibTables: number;
  readonly fibMetrics: number;
}

/** Row of the wanted fib_info, or of the head of a host's list, behind which the fib_info lie. */
export let fibWanted = 0;
/** Highest row of fib_info. */
export let fibInfoLast = 0;
/** Where the regions begin. */
export let fibHash = 0;
export let fibTables = 0;
export let fibAliases = 0;
/** Heads of the hash less one: a mask. */
export let fibHashMask = 0;
export let fibInfoRows: RowPool;
export let fibAliasRows: RowPool;
/** null when routes keep no metrics but MTU and ADVMSS. */
export let fibMetricRows: RowPool | null;

/** Heads of a hash of that many: a power of two, at most half of them. */
export function headsFor(count: number): number {
  let heads = 1;
  while (heads * 4 <= count) heads *= 2;
  return heads;
}

/** Words of all regions together. */
function regionWords(sizes: FibSizes): number {
  return (sizes.fibInfos + 1) * FI_INTS + sizes.fibMetrics * METRICS_INTS + headsFor(sizes.fibInfos) + sizes.fibTables * TB_INTS + sizes.routes * FA_INTS;
}

/** Words that fibMemoryInit() and the pools take. */
export function fibMemoryWords(sizes: FibSizes): number {
  return regionWords(sizes) + POOLS * POOL_WORDS;
}

/** Makes the rows of fib_info behind the one at `base`. Boot time only. */
export function fibInfosInit(base: number, count: number): void {
  fibWanted = base;
  fibInfoLast = base + count * FI_INTS;
  fibInfoRows = rowsCreate("fib_info", base + FI_INTS, count, FI_INTS);
}

/** Builds the memory of tables of any number. Boot time only. */
export function fibMemoryInit(sizes: FibSizes): void {
  const heads = headsFor(sizes.fibInfos);
  fibInfosInit(wordTable("fib", regionWords(sizes)), sizes.fibInfos);
  const metrics = fibInfoLast + FI_INTS;
  fibHash = metrics + sizes.fibMetrics * METRICS_INTS;
  fibHashMask = heads - 1;
  fibTables = fibHash + heads;
  fibAliases = fibTables + sizes.fibTables * TB_INTS;
  fibMetricRows = sizes.fibMetrics === 0 ? null : rowsCreate("fib_metrics", metrics, sizes.fibMetrics, METRICS_INTS);
  fibAliasRows = rowsCreate("ip_fib_alias", fibAliases, sizes.routes, FA_INTS);
}
