/**
 * Fixed pools, the only source of objects after boot: of objects (a free list through the objects themselves) and of
 * rows in typed-array tables (a free list of 16 bits for each). Linux: mm/slab.c, kmem_cache_alloc(), /proc/slabinfo.
 *
 * Each pool knows how many of it are in use, were at most, and how often it was empty when asked. Freeing what is not
 * in use is a bug and is caught at once. All pools are listed in a registry, in the order of their making.
 */

import { account } from "./account.ts";
import { halfTable, halves, wordsReset } from "./table.ts";

/** What every pool can tell. */
export interface PoolStats {
  readonly name: string;
  /** Number of objects. */
  readonly size: number;
  inUse: number;
  /** Most ever in use. */
  peak: number;
  /** How often it was empty when asked. */
  failures: number;
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

/** A pool of indices 0..size-1 into the columns of a table. */
export class Slab implements PoolStats {
  /** First free index, -1 = none. */
  free = -1;
  /** Where in `halves` is, for each index, the next free one, SLAB_LAST or SLAB_IN_USE. */
  readonly next: number;
  inUse = 0;
  peak = 0;
  failures = 0;
  readonly size: number;
  readonly name: string;

  constructor(name: string, size: number) {
    this.name = name;
    this.size = size;
    this.next = halfTable(name, size, SLAB_LAST);
  }
}

/** Nothing free behind it. */
const SLAB_LAST = 0xffff;
/** Taken. Most indices that a slab can have. */
const SLAB_IN_USE = 0xfffe;

let registry: PoolStats[];

/** Forgets every pool and table. The first thing a boot does. @param tableWords room for tables, in words (table.ts) */
export function poolsReset(tableWords = 0): void {
  registry = [];
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
export function poolRegister<T extends PoolStats>(pool: T): T {
  account(pool.name, pool);
  registry.push(pool);
  return pool;
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

/** Makes a pool of at most 65534 indices. Boot time. */
export function slabCreate(name: string, size: number): Slab {
  const slab = new Slab(name, size);
  for (let index = 0; index + 1 < size; index++) halves[slab.next + index] = index + 1;
  if (size > 0) slab.free = 0;
  account(name, slab);
  registry.push(slab);
  return slab;
}

/** Takes an index; -1 when none is free, which counts as a failure. */
export function slabAlloc(slab: Slab): number {
  const index = slab.free;
  if (index < 0) {
    slab.failures++;
    return -1;
  }
  const at = slab.next + index;
  const next = halves[at]!;
  slab.free = next === SLAB_LAST ? -1 : next;
  halves[at] = SLAB_IN_USE;
  const inUse = slab.inUse + 1;
  slab.inUse = inUse;
  if (inUse > slab.peak) slab.peak = inUse;
  return index;
}

/**
 * Gives an index back.
 * @throws Error when the index is not in use: freed twice, or never the slab's
 */
export function slabFree(slab: Slab, index: number): void {
  const at = slab.next + index;
  if (index < 0 || index >= slab.size || halves[at] !== SLAB_IN_USE) {
    throw new Error(`slab ${slab.name}: freed index ${index} that is not in use`);
  }
  halves[at] = slab.free;
  slab.free = index;
  slab.inUse--;
}

/** Calls the visitor with each pool, in the order of their making. */
export function poolForEach(visit: (pool: PoolStats) => void): void {
  for (let i = 0; i < registry.length; i++) visit(registry[i]!);
}

/** Number of objects in use in all pools together: what must be the same before and after, or something leaked. */
export function poolsInUse(): number {
  let sum = 0;
  for (let i = 0; i < registry.length; i++) sum += registry[i]!.inUse;
  return sum;
}

/** A table like /proc/slabinfo, one pool per line. Makes strings. */
export function formatSlabinfo(): string {
  let text = "# name                 <active_objs> <num_objs> <peak_objs> <failures>\n";
  for (let i = 0; i < registry.length; i++) {
    const pool = registry[i]!;
    text += `${pool.name.padEnd(22)} ${formatColumn(pool.inUse, 13)} ${formatColumn(pool.size, 10)} `
      + `${formatColumn(pool.peak, 11)} ${formatColumn(pool.failures, 10)}\n`;
  }
  return text;
}

function formatColumn(value: number, width: number): string {
  return String(value).padStart(width);
}
