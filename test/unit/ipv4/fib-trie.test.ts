/** The trie against a naive table: short runs of any operations, and its invariants after each. */
import test from "ava";
import fc from "fast-check";
import { rowAlloc, rowFree, type RowPool, rowsLeft } from "../../../src/lib/pool.ts";
import { words } from "../../../src/lib/table.ts";
import { fibGetTable } from "../../../src/stack/ipv4/fib-alias.ts";
import { FibConfig } from "../../../src/stack/ipv4/fib-config.ts";
import { fibTableDelete, fibTableInsert } from "../../../src/stack/ipv4/fib-frontend.ts";
import { trieLookup } from "../../../src/stack/ipv4/fib-trie-lookup.ts";
import { fibAliasRows, fibInfoRows } from "../../../src/stack/ipv4/fib-memory.ts";
import { FI_PREFSRC, FI_PRIORITY } from "../../../src/stack/ipv4/fib-semantics.ts";
import { tnodeFree, tnodeInts, tnodeIntsInUse, tnodeNew, tnodeReserve } from "../../../src/stack/ipv4/fib-tnode.ts";
import { FibResult, Flowi4, flowi4Init } from "../../../src/stack/ipv4/flow.ts";
import { devClose, devOpen } from "../../../src/netif/dev.ts";
import { EEXIST, ENOBUFS, ENOENT, ESRCH } from "../../../src/uapi/errno.ts";
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from "../../../src/uapi/netlink.ts";
import { RT_SCOPE_LINK, RT_TABLE_MAIN } from "../../../src/uapi/rtnetlink.ts";
import { addDevice, bootIpv4, initNet, routesOf, shutdownIpv4, type TestDevice } from "./harness.ts";
import { checkMemory, checkTrie, maskOf, type ModelRoute, NaiveTable } from "./fib-check.ts";

let eth: TestDevice;

test.beforeEach(() => {
  bootIpv4({ routes: 200, infos: 64 });
  eth = addDevice("eth0");
});
test.afterEach((t) => t.is(shutdownIpv4(), 0, "pools full again"));

function configOf(r: Omit<ModelRoute, "mark">, nlflags: number): FibConfig {
  return Object.assign(new FibConfig(), {
    dst: r.dst, dstLen: r.len, tos: r.tos, priority: r.priority, oif: eth.ifindex, scope: RT_SCOPE_LINK, nlflags,
  });
}

// Few distinct bits, so that prefixes nest, collide, and fill some nodes and not others.
const addr = fc.oneof(
  fc.integer({ min: 0, max: 0xffff }).map((n) => Math.imul(n, 0x01010101) | 0),
  fc.integer({ min: 0, max: 255 }).map((n) => 0x0a000000 | n),
  fc.integer({ min: 0, max: 255 }).map((n) => (n << 24) | 0),
  fc.integer(),
);
const tos = fc.constantFrom(0, 0, 0, 8, 16);
const route = fc.record({ addr, len: fc.integer({ min: 0, max: 32 }), tos, priority: fc.integer({ min: 0, max: 2 }) });
const step = fc.record({ act: fc.constantFrom("add", "add", "add", "delete", "replace"), route });
const query = fc.record({ addr, tos });

test.serial("any inserts, deletes and replaces answer and look up as the naive table does, and keep the invariants", (t) => {
  fc.assert(fc.property(fc.array(step, { maxLength: 120 }), fc.array(query, { maxLength: 40 }), (steps, queries) => {
    const model = new NaiveTable();
    for (const { act, route: r } of steps) {
      const wanted = { dst: r.addr & maskOf(r.len), len: r.len, tos: r.tos, priority: r.priority, mark: 0 };
      const known = model.find(wanted.dst, wanted.len, wanted.tos, act === "delete" ? wanted.priority : 0);
      if (act === "delete") {
        t.is(fibTableDelete(initNet, configOf(wanted, 0)), known === undefined ? -ESRCH : 0);
        if (known !== undefined) model.remove(known);
      } else if (act === "replace") {
        const exact = model.find(wanted.dst, wanted.len, wanted.tos, -1)
          ?? [...model.routes()].find((m) => m.dst === wanted.dst && m.len === wanted.len && m.tos === wanted.tos
            && m.priority === wanted.priority);
        t.is(fibTableInsert(initNet, configOf(wanted, NLM_F_REPLACE)), exact === undefined ? -ENOENT : 0);
      } else {
        const err = fibTableInsert(initNet, configOf(wanted, NLM_F_CREATE | NLM_F_EXCL));
        t.is(err, model.insert(wanted) ? 0 : -EEXIST);
      }
      const main = fibGetTable(initNet, RT_TABLE_MAIN);
      if (main !== 0) checkMemory(checkTrie(main));
    }
    const fl = new Flowi4();
    const res = new FibResult();
    const main = fibGetTable(initNet, RT_TABLE_MAIN);
    for (const q of queries) {
      flowi4Init(fl, q.addr, 0, 0, q.tos, 0);
      const best = model.lookup(q.addr, q.tos);
      const found = main !== 0 && trieLookup(main, fl.daddr, fl, res) === 0;
      t.is(found, best !== undefined);
      if (best !== undefined) t.deepEqual([32 - res.slen, words[res.fi + FI_PRIORITY]], [best.len, best.priority]);
    }
    // A dump shows each once, in the order of keys.
    const dumped = routesOf(RT_TABLE_MAIN);
    t.is(dumped.length, model.count);
    t.deepEqual(dumped.map((r) => r.dst >>> 0), [...model.routes()].map((r) => r.dst >>> 0).sort((a, b) => a - b));
    // The device goes: the sweep leaves nothing.
    devClose(eth);
    if (main !== 0) checkMemory(checkTrie(main));
    t.is(routesOf(RT_TABLE_MAIN).length, 0);
    devOpen(eth);
  }), { numRuns: 150 });
  t.pass();
});

test.serial("a device that goes takes only its own routes, and the trie is whole", (t) => {
  const other = addDevice("eth1");
  fc.assert(fc.property(fc.array(fc.tuple(route, fc.boolean()), { maxLength: 100 }), (routes) => {
    let stay = 0;
    for (const [r, mine] of routes) {
      const cfg = configOf({ ...r, dst: r.addr & maskOf(r.len) }, NLM_F_CREATE | NLM_F_EXCL);
      cfg.oif = mine ? eth.ifindex : other.ifindex;
      if (fibTableInsert(initNet, cfg) === 0 && !mine) stay++;
    }
    devClose(eth);
    const main = fibGetTable(initNet, RT_TABLE_MAIN);
    if (main !== 0) checkMemory(checkTrie(main));
    t.is(routesOf(RT_TABLE_MAIN).length, stay);
    devClose(other);
    t.is(routesOf(RT_TABLE_MAIN).length, 0);
    devOpen(eth);
    devOpen(other);
  }), { numRuns: 100 });
  t.pass();
});

test.serial("as many routes as were configured fit, whatever they are; one more is ENOBUFS and changes nothing", (t) => {
  shutdownIpv4();
  bootIpv4({ routes: 64, infos: 8 });
  eth = addDevice("eth0");
  fc.assert(fc.property(fc.array(fc.tuple(addr, fc.integer({ min: 0, max: 32 })), { minLength: 66, maxLength: 140 }), (prefixes) => {
    const model = new NaiveTable();
    for (const [a, len] of prefixes) {
      const wanted = { dst: a & maskOf(len), len, tos: 0, priority: 0, mark: 0 };
      const fresh = model.find(wanted.dst, len, 0, 0) === undefined;
      const before = routesOf(RT_TABLE_MAIN).length;
      const err = fibTableInsert(initNet, configOf(wanted, NLM_F_CREATE | NLM_F_EXCL));
      if (model.count < 64 || !fresh) t.is(err, model.insert(wanted) ? 0 : -EEXIST);
      else {
        t.is(err, -ENOBUFS);
        t.is(routesOf(RT_TABLE_MAIN).length, before);
      }
      checkMemory(checkTrie(fibGetTable(initNet, RT_TABLE_MAIN)));
    }
    devClose(eth);
    devOpen(eth);
  }), { numRuns: 20 });
  t.pass();
});

/** Everything a dump says, as text. */
function dump(): string {
  return routesOf(RT_TABLE_MAIN).map((r) => `${r.dst}/${r.dstLen} tos ${r.tos} metric ${r.priority}`).join("\n");
}

/** Takes all but `keep` rows of a pool, and answers those it took. */
function hogRows(rows: RowPool, keep: number): number[] {
  const taken: number[] = [];
  while (rowsLeft(rows) > keep) taken.push(rowAlloc(rows));
  return taken;
}

const shortage = fc.record({
  /** Rows that are left: of aliases, and of fib_info. */
  aliases: fc.integer({ min: 0, max: 40 }),
  infos: fc.integer({ min: 0, max: 3 }),
  /** Which of the smallest tnodes, side by side, are free. */
  tnodes: fc.array(fc.boolean(), { minLength: 8, maxLength: 200 }),
});

test.serial("whatever is short, an insert is whole or ENOBUFS and nothing; what only makes the trie shallower may fail", (t) => {
  fc.assert(fc.property(shortage, fc.array(route, { minLength: 20, maxLength: 60 }), (short, routes) => {
    const model = new NaiveTable();
    const aliases = hogRows(fibAliasRows, short.aliases);
    const infos = hogRows(fibInfoRows, short.infos);
    const tnodes: number[] = [];
    for (let n = tnodeNew(0, 0, 1, false); n !== 0; n = tnodeNew(0, 0, 1, false)) tnodes.push(n);
    const held = tnodes.filter((n, i) => {
      if (short.tnodes[i % short.tnodes.length]!) tnodeFree(n);
      return !short.tnodes[i % short.tnodes.length]!;
    });
    let refused = 0;
    for (const r of routes) {
      const wanted = { dst: r.addr & maskOf(r.len), len: r.len, tos: r.tos, priority: r.priority, mark: 0 };
      const before = dump();
      const ints = tnodeIntsInUse();
      const noInfo = rowsLeft(fibInfoRows) === 0;
      const noAlias = rowsLeft(fibAliasRows) === 0;
      const noTnode = !tnodeReserve(1);
      if (!noTnode) tnodeReserve(-1);
      const err = fibTableInsert(initNet, configOf(wanted, NLM_F_CREATE | NLM_F_EXCL));
      if (err === 0) {
        t.true(model.insert(wanted));
      } else if (err === -EEXIST) {
        t.false(model.insert(wanted));
      } else {
        t.is(err, -ENOBUFS);
        t.true(noInfo || noAlias || noTnode, "something is short");
        t.is(dump(), before);
        t.is(tnodeIntsInUse(), ints);
        refused++;
      }
      const main = fibGetTable(initNet, RT_TABLE_MAIN);
      if (main !== 0) t.is(checkTrie(main).aliases, model.count);
    }
    if (refused === 0) t.true(model.count <= short.aliases);
    for (const r of [...model.routes()]) {
      t.is(fibTableDelete(initNet, configOf(r, 0)), 0);
      model.remove(r);
    }
    for (const row of aliases) rowFree(fibAliasRows, row);
    for (const row of infos) rowFree(fibInfoRows, row);
    for (const n of held) tnodeFree(n);
    checkMemory(checkTrie(fibGetTable(initNet, RT_TABLE_MAIN)));
  }), { numRuns: 150 });
  t.pass();
});

test.serial("routes go although there is no memory to halve their tnodes, and nothing of a half made one stays", (t) => {
  // Free are one large block and some of the smallest.
  const hole = fc.tuple(fc.integer({ min: 3, max: 7 }), fc.integer({ min: 0, max: 4 }));
  fc.assert(fc.property(hole, fc.integer({ min: 1, max: 255 }), fc.infiniteStream(fc.nat()), ([bits, small], step, order) => {
    const left: number[] = [];
    for (let i = 0; i < 150; i++) left.push(0x0a000000 | ((i * (step | 1)) & 255));
    for (const dst of left) t.is(fibTableInsert(initNet, configOf({ dst, len: 32, tos: 0, priority: 0 }, NLM_F_CREATE)), 0);
    const room = tnodeNew(0, 0, bits, false);
    const held: number[] = [];
    for (let n = tnodeNew(0, 0, 1, false); n !== 0; n = tnodeNew(0, 0, 1, false)) held.push(n);
    if (room !== 0) tnodeFree(room);
    for (let i = 0; i < small; i++) tnodeFree(held.shift()!);
    const main = fibGetTable(initNet, RT_TABLE_MAIN);
    while (left.length > 0) {
      const at = order.next().value! % left.length;
      t.is(fibTableDelete(initNet, configOf({ dst: left[at]!, len: 32, tos: 0, priority: 0 }, 0)), 0);
      left.splice(at, 1);
      const shape = checkTrie(main, true);
      t.is(shape.aliases, left.length);
      t.is(tnodeIntsInUse() - shape.ints, held.length * tnodeInts(1));
    }
    for (const n of held) tnodeFree(n);
    checkMemory(checkTrie(main));
  }), { numRuns: 40 });
  t.pass();
});

test.serial("the preferred source of a replaced route is the new one's", (t) => {
  const cfg = configOf({ dst: 0x0a000000, len: 8, tos: 0, priority: 0 }, NLM_F_CREATE);
  t.is(fibTableInsert(initNet, cfg), 0);
  cfg.nlflags = NLM_F_REPLACE;
  cfg.protocol = 99;
  t.is(fibTableInsert(initNet, cfg), 0);
  const fl = new Flowi4();
  const res = new FibResult();
  flowi4Init(fl, 0x0a010203, 0, 0, 0, 0);
  t.is(trieLookup(fibGetTable(initNet, RT_TABLE_MAIN), fl.daddr, fl, res), 0);
  t.is(routesOf(RT_TABLE_MAIN)[0]!.protocol, 99);
  t.is(words[res.fi + FI_PREFSRC], 0);
});
