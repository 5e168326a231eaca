import test from "ava";
import fc from "fast-check";
import {
  formatSlabinfo, POOL_FAILURES, POOL_IN_USE, type Pooled, poolAlloc, poolAvailable, poolCreate, poolForEach, poolFree, poolsInUse, poolsReset,
  slabAlloc, slabCreate, slabFree,
} from "../../../src/lib/pool.ts";
import { words } from "../../../src/lib/table.ts";

class Item implements Pooled {
  readonly id: number;
  poolNext: Pooled | null = null;

  constructor(id: number) {
    this.id = id;
  }
}

test.beforeEach(() => poolsReset());

test.serial("a pool behaves as a set of objects, with its counts", (t) => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 6 }), fc.array(fc.integer({ min: -1, max: 9 })), (size, steps) => {
    poolsReset();
    const pool = poolCreate("things", size, (index) => new Item(index));
    const held: Item[] = [];
    let peak = 0;
    let failures = 0;
    for (const step of steps) {
      if (step < 0 || held.length === 0) {
        const item = poolAlloc(pool);
        if (held.length === size) {
          t.is(item, null);
          failures++;
        } else {
          t.true(item !== null && !held.includes(item) && item.id < size);
          held.push(item!);
        }
      } else {
        poolFree(pool, held.splice(step % held.length, 1)[0]!);
      }
      peak = Math.max(peak, held.length);
      t.deepEqual([pool.inUse, pool.peak, pool.failures], [held.length, peak, failures]);
      t.is(poolAvailable(pool), size - held.length);
      t.is(poolsInUse(), held.length);
    }
  }));
});

test.serial("a slab behaves as a set of indices, with its counts", (t) => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 6 }), fc.array(fc.integer({ min: -1, max: 9 })), (size, steps) => {
    poolsReset();
    const slab = slabCreate("rows", size);
    const held: number[] = [];
    let failures = 0;
    for (const step of steps) {
      if (step < 0 || held.length === 0) {
        const index = slabAlloc(slab);
        if (held.length === size) {
          t.is(index, -1);
          failures++;
        } else {
          t.true(index >= 0 && index < size && !held.includes(index));
          held.push(index);
        }
      } else {
        slabFree(slab, held.splice(step % held.length, 1)[0]!);
      }
      t.deepEqual([words[slab + POOL_IN_USE], words[slab + POOL_FAILURES], poolsInUse()], [held.length, failures, held.length]);
    }
  }));
});

test.serial("index 0 comes first", (t) => {
  t.is(poolAlloc(poolCreate("a", 3, (index) => new Item(index)))?.id, 0);
  t.is(slabAlloc(slabCreate("b", 3)), 0);
});

test.serial("freeing twice, or what was never taken, throws with the pool's name", (t) => {
  const pool = poolCreate("widget", 2, (index) => new Item(index));
  const item = poolAlloc(pool)!;
  poolFree(pool, item);
  t.throws(() => poolFree(pool, item), { message: /widget/ });
  t.throws(() => poolFree(pool, new Item(9)), { message: /widget/ });
  const slab = slabCreate("row", 2);
  slabAlloc(slab);
  slabFree(slab, 0);
  t.throws(() => slabFree(slab, 0), { message: /row/ });
  t.throws(() => slabFree(slab, 1), { message: /row/ });
  t.throws(() => slabFree(slab, 2), { message: /row/ });
  t.throws(() => slabFree(slab, -1), { message: /row/ });
  t.is(poolsInUse(), 0);
});

test.serial("large slabs have large indices", (t) => {
  const slab = slabCreate("many", 40000);
  let last = 0;
  for (let i = 0; i < 40000; i++) last = slabAlloc(slab);
  t.is(last, 39999);
  t.is(slabAlloc(slab), -1);
});

test.serial("the registry lists every pool in order, and a reset forgets them", (t) => {
  const pool = poolCreate("first", 3, (index) => new Item(index));
  slabCreate("second", 5);
  poolAlloc(pool);
  const names: string[] = [];
  poolForEach((stats) => names.push(`${stats.name}:${stats.inUse}/${stats.size}`));
  t.deepEqual(names, ["first:1/3", "second:0/5"]);
  const lines = formatSlabinfo().trimEnd().split("\n");
  t.is(lines.length, 3);
  t.regex(lines[1]!, /^first +1 +3 +1 +0$/);
  t.regex(lines[2]!, /^second +0 +5 +0 +0$/);
  poolsReset();
  t.is(poolsInUse(), 0);
});
