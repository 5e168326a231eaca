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
 *   fib_alias   3 ints: one for each route; the first of a key is the trie's leaf
 *   tnode       6 ints: the inner nodes of the trie
 *   children    blocks of 2, 4, 8 … handles, by the buddy system; heads of its free lists before it
 *
 * A leaf's handle is below `fibTnodes` and a tnode's is not: that is how they are told apart.
 */
import { int32Table } from "../../lib/table.ts";
import { type PoolStats, poolRegister } from "../../lib/pool.ts";

/** Ints of a fib_info; a power of two, so that its number is a shift away. */
export const FI_INTS = 16;
export const FI_SHIFT = 4;
export const TB_INTS = 4;
export const RULE_INTS = 11;
export const FE_INTS = 6;
export const FA_INTS = 3;
export const TN_INTS = 6;

/** Columns of a tnode. */
export const TN_KEY = 0;
/** Position (5 bits), bits (5), suffix length (6), and as sign: the suffix is longer than the position. */
export const TN_WORD = 1;
/** 0: the top node. */
export const TN_PARENT = 2;
/** Handle of the children. */
export const TN_CHILDREN = 3;
export const TN_EMPTY = 4;
/** Children that are tnodes without skipped bits. */
export const TN_FULL = 5;

/** A handle's free list ends with 0; the buddies' with this. */
const NO_BLOCK = 0x1ffffff;
const ORDER_SHIFT = 25;
const FREE_BLOCK = 0x80000000 | 0;

/** Rows of one kind: a free list through the rows. */
export class FibRows implements PoolStats {
  free = 0;
  inUse = 0;
  peak = 0;
  failures = 0;
  readonly size: number;
  readonly name: string;

  constructor(name: string, size: number) {
    this.name = name;
    this.size = size;
  }
}

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
export let fibAliases = 0;
export let fibTnodes = 0;
/** Heads of the hash less one: a mask. */
export let fibHashMask = 0;
export let fibInfoRows: FibRows;
export let fibAliasRows: FibRows;
export let fibTnodeRows: FibRows;
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
let buddyHeads = 0;
let buddyOrders = 0;
let buddyBase = 0;
let buddyEnd = 0;
/** Ints in free blocks. */
let buddyFree = 0;
/** Leaves that fibReserve() keeps memory for. */
let reserved = 0;

/** Tables up to this size have a tnode and two children for each route: the most that any set of routes takes. */
const WORST_CASE_ROUTES = 64;

/** Tnodes for that many routes: what sparse tables of Internet prefixes take (48 of a hundred) and a sixth more. */
function tnodesFor(routes: number): number {
  return routes <= WORST_CASE_ROUTES ? routes : WORST_CASE_ROUTES + (((routes - WORST_CASE_ROUTES) * 9) >> 4);
}

/** Ints of children for that many routes; large sparse tables take three for each. */
function childrenFor(routes: number): number {
  const more = routes <= WORST_CASE_ROUTES ? 0 : routes - WORST_CASE_ROUTES;
  return (routes * 2 + (routes >> 2) + more + 8) & ~1;
}

/** Heads of a hash of that many: a power of two, at most half of them. */
function headsFor(count: number): number {
  let heads = 1;
  while (heads * 4 <= count) heads *= 2;
  return heads;
}

/** Builds the memory. Boot time only. */
export function fibMemoryInit(sizes: FibSizes, metricsInts: number): void {
  const tnodes = tnodesFor(sizes.routes);
  const children = childrenFor(sizes.routes);
  const heads = headsFor(sizes.infos);
  const exceptionHeads = headsFor(sizes.exceptions);
  buddyOrders = 32 - Math.clz32(children);
  fibInfoLast = sizes.infos * FI_INTS;
  const fibMetrics = fibInfoLast + FI_INTS;
  fibHash = fibMetrics + sizes.metrics * metricsInts;
  fibHashMask = heads - 1;
  fibTables = fibHash + heads;
  fibRuleBase = fibTables + sizes.tables * TB_INTS;
  fibExceptionBase = fibRuleBase + sizes.rules * RULE_INTS;
  fibExceptionHeads = fibExceptionBase + sizes.exceptions * FE_INTS;
  fibExceptionMask = exceptionHeads - 1;
  fibAliases = fibExceptionHeads + exceptionHeads;
  fibTnodes = fibAliases + sizes.routes * FA_INTS;
  buddyHeads = fibTnodes + tnodes * TN_INTS;
  buddyBase = buddyHeads + buddyOrders;
  buddyEnd = buddyBase + children;
  fibMem = int32Table("fib_trie", buddyEnd);
  fibInfoRows = createRows("fib_info", FI_INTS, sizes.infos, FI_INTS);
  fibMetricRows = sizes.metrics === 0 ? null : createRows("fib_metrics", fibMetrics, sizes.metrics, metricsInts);
  fibRuleRows = sizes.rules === 0 ? null : createRows("fib_rules", fibRuleBase, sizes.rules, RULE_INTS);
  fibExceptionRows = createRows("ip_fnhe", fibExceptionBase, sizes.exceptions, FE_INTS);
  fibAliasRows = createRows("ip_fib_alias", fibAliases, sizes.routes, FA_INTS);
  fibTnodeRows = createRows("ip_fib_trie", fibTnodes, tnodes, TN_INTS);
  buddyInit(children);
}

function createRows(name: string, base: number, size: number, ints: number): FibRows {
  const rows = new FibRows(name, size);
  for (let i = 0; i < size; i++) fibMem[base + i * ints] = i + 1 < size ? base + (i + 1) * ints : 0;
  rows.free = size > 0 ? base : 0;
  return poolRegister(rows);
}

/** A row, its ints as the last user left them; 0 when there is none, which counts as a failure. */
export function fibRowAlloc(rows: FibRows): number {
  const row = rows.free;
  if (row === 0) {
    rows.failures++;
    return 0;
  }
  rows.free = fibMem[row]!;
  const inUse = rows.inUse + 1;
  rows.inUse = inUse;
  if (inUse > rows.peak) rows.peak = inUse;
  return row;
}

export function fibRowFree(rows: FibRows, row: number): void {
  fibMem[row] = rows.free;
  rows.free = row;
  rows.inUse--;
}

function buddyInit(children: number): void {
  for (let order = 0; order < buddyOrders; order++) fibMem[buddyHeads + order] = NO_BLOCK;
  buddyFree = 0;
  reserved = 0;
  let at = 0;
  while (children - at >= 2) {
    let order = buddyOrders - 1;
    while ((at & ((1 << order) - 1)) !== 0 || at + (1 << order) > children) order--;
    blockLink(at, order);
    at += 1 << order;
  }
}

/** Puts a block on its free list: the first int says that it is free, its order and the next one, the second the one before. */
function blockLink(at: number, order: number): void {
  const head = buddyHeads + order;
  const next = fibMem[head]!;
  fibMem[buddyBase + at] = FREE_BLOCK | (order << ORDER_SHIFT) | next;
  fibMem[buddyBase + at + 1] = NO_BLOCK;
  if (next !== NO_BLOCK) fibMem[buddyBase + next * 2 + 1] = at >> 1;
  fibMem[head] = at >> 1;
  buddyFree += 1 << order;
}

function blockUnlink(at: number, order: number): void {
  const next = fibMem[buddyBase + at]! & NO_BLOCK;
  const previous = fibMem[buddyBase + at + 1]!;
  if (next !== NO_BLOCK) fibMem[buddyBase + next * 2 + 1] = previous;
  if (previous === NO_BLOCK) fibMem[buddyHeads + order] = next;
  else {
    const word = buddyBase + previous * 2;
    fibMem[word] = (fibMem[word]! & ~NO_BLOCK) | next;
  }
  buddyFree -= 1 << order;
}

/** 2^bits empty children, bits from 1; 0 when no block is left. */
export function fibChildrenAlloc(bits: number): number {
  let order = bits;
  while (order < buddyOrders && fibMem[buddyHeads + order] === NO_BLOCK) order++;
  if (order >= buddyOrders) return 0;
  const at = fibMem[buddyHeads + order]! * 2;
  blockUnlink(at, order);
  while (order > bits) {
    order--;
    blockLink(at + (1 << order), order);
  }
  const base = buddyBase + at;
  fibMem.fill(0, base, base + (1 << bits));
  return base;
}

/** Gives children back; a block whose other half is free too becomes whole again. */
export function fibChildrenFree(base: number, bits: number): void {
  let at = base - buddyBase;
  let order = bits;
  while (order + 1 < buddyOrders) {
    const buddy = at ^ (1 << order);
    if (buddyBase + buddy + (1 << order) > buddyEnd) break;
    const word = fibMem[buddyBase + buddy]!;
    if (word >= 0 || ((word >> ORDER_SHIFT) & 0x1f) !== order) break;
    blockUnlink(buddy, order);
    at &= ~(1 << order);
    order++;
  }
  blockLink(at, order);
}

/**
 * Is there room to spend on a shallower trie? What the routes still to come may need is kept: a tnode and two children each,
 * up to an eighth of all, in small tables for every route.
 */
export function fibRoomToInflate(tnodes: number, children: number): boolean {
  const routesLeft = fibAliasRows.size - fibAliasRows.inUse;
  const kept = fibTnodeRows.size >> 3 > WORST_CASE_ROUTES ? fibTnodeRows.size >> 3 : WORST_CASE_ROUTES;
  const tnodesLeft = fibTnodeRows.size - fibTnodeRows.inUse - tnodes;
  const pairsLeft = (buddyFree - children) >> 1;
  const need = (routesLeft < kept ? routesLeft : kept) + reserved;
  return tnodesLeft >= need && pairsLeft >= need;
}

/**
 * Keeps a tnode and two children for each of so many leaves more, or (negative) gives that up.
 * @returns false when there are not so many
 */
export function fibReserve(leaves: number): boolean {
  const total = reserved + leaves;
  if (fibTnodeRows.size - fibTnodeRows.inUse < total || buddyFree >> 1 < total) return false;
  reserved = total;
  return true;
}

/** Ints of children in use: 0 when every table is empty. */
export function fibChildrenInUse(): number {
  return buddyEnd - buddyBase - buddyFree;
}
