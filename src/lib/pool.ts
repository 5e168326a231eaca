/**
 * Fixed pools, the only source of objects after boot: of objects (a free list through the objects themselves) and of
 * rows in tables (with a free list through the rows, or as slabs: with one of 16 bits for each). Linux: mm/slab.c,
 * kmem_cache_alloc(), /proc/slabinfo.
 *
 * Each pool knows how many of it are in use, were at most, and how often it was empty when asked. Freeing what is not
 * in use is a bug and is caught at once, but of plain rows. All pools are listed in a registry, in the order of their making.
 */

import { account } from "./account.ts";
import { halfWords, halves, words, wordsReset, wordTable } from "./table.ts";

/** What every pool can tell. */
export interface PoolStats {
  readonly name: string;
  /** Number of objects. */
  readonly size: number;
  readonly inUse: number;
  /** Most ever in use. */
  readonly peak: number;
  /** How often it was empty when asked. */
  readonly failures: number;
}

/** What an object must have to live in a pool. Declare the field last: XS finds early fields faster. */
export interface Pooled {
  /** The next free object; the object itself while it is in use. Only this module touches it. */
  poolNext: Pooled | null;
}

/** A pool of objects made at boot. */
export class Pool<T extends Pooled> implements PoolStats {
  /** First free object. */
  free: T | null = null;
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

/*
 * A pool of rows, which are not objects, is a row of `words` itself: five words against the 112 bytes of an object.
 */
export const POOL_FREE = 0;
export const POOL_IN_USE = 1;
export const POOL_PEAK = 2;
export const POOL_FAILURES = 3;
export const POOL_SIZE = 4;
/** Words of a pool of rows. */
export const POOL_WORDS = 5;

/** A pool of rows: where in `words` its row is. What is free, and how it is linked, is its owner's. */
export type RowPool = number;

/**
 * A pool of indices 0..size-1 into the columns of a table: a pool of rows whose POOL_FREE is the first free index, -1 for none.
 * The table of `halves` behind it has for each index the next free one, SLAB_LAST or SLAB_IN_USE.
 */
export type Slab = RowPool;

/** Nothing free behind it. */
const SLAB_LAST = 0xffff;
/** Taken. Most indices that a slab can have. */
const SLAB_IN_USE = 0xfffe;

let registry: (PoolStats | RowPool)[];
/** Names of the pools of rows, by their place in the registry. */
let rowPoolNames: string[];

/** Forgets every pool and table. The first thing a boot does. @param tableWords room for tables, in words (table.ts) */
export function poolsReset(tableWords = 0): void {
  registry = [];
  rowPoolNames = [];
  wordsReset(tableWords);
}

/**
 * Makes a pool and all its objects. Boot time.
 * @param make makes the object with the given index; index 0 is handed out first
 */
export function poolCreate<T extends Pooled>(name: string, size: number, make: (index: number) => T): Pool<T> {
  const pool = new Pool<T>(name, size);
  let last: T | null = null;
  for (let index = 0; index < size; index++) {
    const item = make(index);
    item.poolNext = null;
    account(name, item);
    if (last === null) pool.free = item;
    else last.poolNext = item;
    last = item;
  }
  account(name, pool);
  registry.push(pool);
  return pool;
}

/** Lists a pool of another making with the others. Boot time. */
export function poolRegister(pool: PoolStats): void {
  registry.push(pool);
}

/** Takes an object; null when the pool is empty, which counts as a failure. The object is as its last user left it. */
export function poolAlloc<T extends Pooled>(pool: Pool<T>): T | null {
  const item = pool.free;
  if (item === null) {
    pool.failures++;
    return null;
  }
  pool.free = item.poolNext as T | null;
  item.poolNext = item;
  const inUse = pool.inUse + 1;
  pool.inUse = inUse;
  if (inUse > pool.peak) pool.peak = inUse;
  return item;
}

/**
 * Gives an object back to the pool it came from.
 * @throws Error when the object is not in use: freed twice
 */
export function poolFree<T extends Pooled>(pool: Pool<T>, item: T): void {
  if (item.poolNext !== item) throw new Error(`pool ${pool.name}: freed an object that is not in use`);
  item.poolNext = pool.free;
  pool.free = item;
  pool.inUse--;
}

/** Number of objects that can still be taken. */
export function poolAvailable(pool: PoolStats): number {
  return pool.size - pool.inUse;
}

/** Makes a pool of rows, with nothing free yet. Boot time. @param more words behind its own for the owner */
export function rowPoolCreate(name: string, size: number, more = 0): RowPool {
  const pool = wordTable(name, POOL_WORDS + more);
  words[pool + POOL_SIZE] = size;
  rowPoolNames[registry.length] = name;
  registry.push(pool);
  return pool;
}

/** Counts rows as taken. */
export function rowPoolTake(pool: RowPool, count = 1): void {
  const inUse = words[pool + POOL_IN_USE]! + count;
  words[pool + POOL_IN_USE] = inUse;
  if (inUse > words[pool + POOL_PEAK]!) words[pool + POOL_PEAK] = inUse;
}

/** Words of a slab of so many indices. */
export function slabWords(size: number): number {
  return POOL_WORDS + halfWords(size);
}

/** Makes a pool of at most 65534 indices. Boot time. */
export function slabCreate(name: string, size: number): Slab {
  const slab = rowPoolCreate(name, size, halfWords(size));
  const next = (slab + POOL_WORDS) << 1;
  for (let index = 0; index < size; index++) halves[next + index] = index + 1 < size ? index + 1 : SLAB_LAST;
  words[slab + POOL_FREE] = size > 0 ? 0 : -1;
  return slab;
}

/** Takes an index; -1 when none is free, which counts as a failure. */
export function slabAlloc(slab: Slab): number {
  const index = words[slab + POOL_FREE]!;
  if (index < 0) {
    words[slab + POOL_FAILURES]!++;
    return -1;
  }
  const at = ((slab + POOL_WORDS) << 1) + index;
  const next = halves[at]!;
  words[slab + POOL_FREE] = next === SLAB_LAST ? -1 : next;
  halves[at] = SLAB_IN_USE;
  rowPoolTake(slab);
  return index;
}

/**
 * Gives an index back.
 * @throws Error when the index is not in use: freed twice, or never the slab's
 */
export function slabFree(slab: Slab, index: number): void {
  const at = ((slab + POOL_WORDS) << 1) + index;
  if (index < 0 || index >= words[slab + POOL_SIZE]! || halves[at] !== SLAB_IN_USE) {
    throw new Error(`slab ${rowPoolNames[registry.indexOf(slab)]}: freed index ${index} that is not in use`);
  }
  halves[at] = words[slab + POOL_FREE]!;
  words[slab + POOL_FREE] = index;
  words[slab + POOL_IN_USE]!--;
}

/**
 * Makes a pool of rows of `words` whose free list goes through their first word: for rows that are named by where they lie. POOL_FREE
 * is the first free row, 0 for none. What a row's owner keeps in it says whether it is in use. Boot time.
 * @param base where the rows lie, not 0 @param ints words of each
 */
export function rowsCreate(name: string, base: number, size: number, ints: number): RowPool {
  const pool = rowPoolCreate(name, size);
  for (let i = 0; i < size; i++) words[base + i * ints] = i + 1 < size ? base + (i + 1) * ints : 0;
  words[pool + POOL_FREE] = size > 0 ? base : 0;
  return pool;
}

/** A row, its words as the last user left them; 0 when there is none, which counts as a failure. */
export function rowAlloc(pool: RowPool): number {
  const row = words[pool + POOL_FREE]!;
  if (row === 0) {
    words[pool + POOL_FAILURES]!++;
    return 0;
  }
  words[pool + POOL_FREE] = words[row]!;
  rowPoolTake(pool);
  return row;
}

/** Gives a row back to the pool it came from. */
export function rowFree(pool: RowPool, row: number): void {
  words[row] = words[pool + POOL_FREE]!;
  words[pool + POOL_FREE] = row;
  words[pool + POOL_IN_USE]!--;
}

/** Rows that are not in use. */
export function rowsLeft(pool: RowPool): number {
  return words[pool + POOL_SIZE]! - words[pool + POOL_IN_USE]!;
}

/** What the pool of rows at that place of the registry can tell. Makes an object. */
function createRowPoolStats(place: number): PoolStats {
  const pool = registry[place] as RowPool;
  return {
    name: rowPoolNames[place]!,
    size: words[pool + POOL_SIZE]!,
    inUse: words[pool + POOL_IN_USE]!,
    peak: words[pool + POOL_PEAK]!,
    failures: words[pool + POOL_FAILURES]!,
  };
}

/** Calls the visitor with each pool, in the order of their making; for a pool of rows it makes an object. */
export function poolForEach(visit: (pool: PoolStats) => void): void {
  for (let place = 0; place < registry.length; place++) {
    const pool = registry[place]!;
    visit(typeof pool === "number" ? createRowPoolStats(place) : pool);
  }
}

/** Number of objects in use in all pools together: what must be the same before and after, or something leaked. */
export function poolsInUse(): number {
  let sum = 0;
  for (let place = 0; place < registry.length; place++) {
    const pool = registry[place]!;
    sum += typeof pool === "number" ? words[pool + POOL_IN_USE]! : pool.inUse;
  }
  return sum;
}

/** A table like /proc/slabinfo, one pool per line. Makes strings. */
export function formatSlabinfo(): string {
  let text = "# name                 <active_objs> <num_objs> <peak_objs> <failures>\n";
  poolForEach((pool) => {
    text += `${pool.name.padEnd(22)} ${formatColumn(pool.inUse, 13)} ${formatColumn(pool.size, 10)} `
      + `${formatColumn(pool.peak, 11)} ${formatColumn(pool.failures, 10)}\n`;
  });
  return text;
}

function formatColumn(value: number, width: number): string {
  return String(value).padStart(width);
}
