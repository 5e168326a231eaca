/**
 * The memory budget: what each pool and table costs on a 32-bit XS machine, measured on the objects that boot really
 * builds, so that it cannot go out of date. Host only: a board that does not import it does not carry it.
 *
 * A slot of XS is 16 bytes. An object takes one for itself and one for each property, an array one and 16 bytes for each
 * element that is no hole, a typed array seven and its bytes (that of all tables is named by them, and "words" is what it costs besides), an ArrayBuffer two and its bytes; a buffer's chunk has 8 bytes of its own
 * (measured: reference/xs.md).
 */
import { boot } from "./boot.ts";
import type { ConfigOptions } from "./config.ts";
import { setAccountWatch } from "./lib/account.ts";
import { words } from "./lib/table.ts";

export const SLOT_BYTES = 16;
const CHUNK_BYTES = 8;
const TYPED_ARRAY_SLOTS = 7;
const VIEW_SLOTS = 4;
const BUFFER_SLOTS = 2;

export interface PoolBudget {
  readonly name: string;
  /** Objects, rows of a table counted as one. */
  count: number;
  /** Mean, rounded. */
  bytesEach: number;
  bytes: number;
}

export interface Budget {
  readonly preset: string;
  /** Bytes of all pools and tables together. */
  readonly total: number;
  /** Heap slots among them. */
  readonly slots: number;
  readonly pools: readonly PoolBudget[];
}

interface Cost {
  slots: number;
  bytes: number;
}

/**
 * Adds what an object and everything only it owns cost; what was seen before costs nothing again, and what was reported
 * itself is counted there.
 */
function addCost(value: unknown, reported: ReadonlySet<object>, seen: Set<object>, cost: Cost): void {
  if (typeof value !== "object" || value === null || seen.has(value) || Object.isFrozen(value)) return;
  seen.add(value);
  if (value instanceof ArrayBuffer) {
    cost.slots += BUFFER_SLOTS;
    cost.bytes += value.byteLength + CHUNK_BYTES;
    return;
  }
  if (ArrayBuffer.isView(value)) {
    if (seen.has(value.buffer)) {
      cost.slots += VIEW_SLOTS;
      return;
    }
    seen.add(value.buffer);
    cost.slots += TYPED_ARRAY_SLOTS;
    cost.bytes += value.byteLength + CHUNK_BYTES;
    return;
  }
  const fields: unknown[] = Object.values(value); // of an array: without its holes
  if (Array.isArray(value)) {
    cost.slots += 1;
    cost.bytes += fields.length * SLOT_BYTES + CHUNK_BYTES;
  } else {
    cost.slots += 1 + fields.length;
  }
  for (const field of fields) {
    if (typeof field === "object" && field !== null && !reported.has(field)) addCost(field, reported, seen, cost);
  }
}

/**
 * Prices every object that is reported while `build` runs.
 * @param build may call its argument once: what was reported before that is known, and not priced
 */
export function priceObjects(build: (begin: () => void) => void): { slots: number; pools: PoolBudget[] } {
  const reports = new Map<object, string>();
  const pools = new Map<string, PoolBudget>();
  const add = (name: string, bytes: number): void => {
    const entry = pools.get(name) ?? { name, count: 0, bytesEach: 0, bytes: 0 };
    entry.count++;
    entry.bytes += bytes;
    entry.bytesEach = Math.round(entry.bytes / entry.count);
    pools.set(name, entry);
  };
  let tableBytes = 0;
  let first = 0;
  setAccountWatch((name, thing) => {
    if (typeof thing === "object") {
      reports.set(thing, name);
    } else {
      tableBytes += thing;
      add(name, thing);
    }
  });
  try {
    build(() => {
      first = reports.size;
      pools.clear();
    });
  } finally {
    setAccountWatch(null);
  }
  const reported = new Set(reports.keys());
  const seen = new Set<object>();
  let slots = 0;
  for (const [object, name] of [...reports].slice(first)) {
    const cost = { slots: 0, bytes: 0 };
    addCost(object, reported, seen, cost);
    slots += cost.slots;
    add(name, cost.bytes + cost.slots * SLOT_BYTES - (object === words ? tableBytes : 0));
  }
  return { slots, pools: [...pools.values()] };
}

/**
 * Boots with these options and says what everything costs.
 * @throws what boot() throws for bad options
 */
export function budget(options: ConfigOptions): Budget {
  const { slots, pools } = priceObjects(() => boot(options));
  return { preset: options.preset ?? "default", total: pools.reduce((sum, pool) => sum + pool.bytes, 0), slots, pools };
}
