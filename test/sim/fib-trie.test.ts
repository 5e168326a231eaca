/**
 * Random operations on routing tables of many prefixes beside a naive table: the same answers throughout, the invariants on the
 * way to every key that was changed, the whole trie from time to time, and nothing left at the end. The naive table has a map
 * for each prefix length; while it is small, its answers are compared with a search of the plain list.
 */
import test from "ava";
import { words } from "../../src/lib/table.ts";
import { fibGetTable } from "../../src/stack/ipv4/fib-alias.ts";
import { FibConfig } from "../../src/stack/ipv4/fib-config.ts";
import { fibTableDelete, fibTableInsert } from "../../src/stack/ipv4/fib-frontend.ts";
import { trieLookup } from "../../src/stack/ipv4/fib-trie-lookup.ts";
import { FI_PRIORITY, FI_WORD } from "../../src/stack/ipv4/fib-semantics.ts";
import { FibResult, Flowi4, flowi4Init } from "../../src/stack/ipv4/flow.ts";
import { EEXIST, ENOENT, ESRCH } from "../../src/uapi/errno.ts";
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from "../../src/uapi/netlink.ts";
import { RT_SCOPE_LINK, RT_SCOPE_NOWHERE, RT_TABLE_MAIN, RTN_UNSPEC } from "../../src/uapi/rtnetlink.ts";
import { makePrefixes, Random32 } from "../lib/prefixes.ts";
import { addDevice, bootIpv4, initNet, shutdownIpv4 } from "../unit/ipv4/harness.ts";
import { checkMemory, checkPath, checkTrie, listLookup, maskOf, type ModelRoute, NaiveTable } from "../unit/ipv4/fib-check.ts";

/** With LINNET_FULL=1 a million operations on tables of up to 100,000 prefixes, which takes two minutes; else a sample. */
const FULL = process.env["LINNET_FULL"] === "1";
const OPERATIONS = FULL ? 1_000_000 : 40_000;
const MOST_ROUTES = FULL ? 100_000 : 4_000;
/** While a table shrinks routes are entered too. */
const ROOM = MOST_ROUTES + 64;
/** Operations between two checks of the whole trie. */
const CHECK_EVERY = OPERATIONS / 20;
/** Up to so many routes the naive table is compared with a list. */
const LISTED = 256;

/** Sizes that the table is driven to, again and again. */
const SIZES: readonly number[] = [0, 16, MOST_ROUTES / 10, 64, MOST_ROUTES, MOST_ROUTES / 5, MOST_ROUTES / 2];

test.serial(`${OPERATIONS} operations on 0 to ${MOST_ROUTES} prefixes answer as the naive table does`, (t) => {
  bootIpv4({ routes: ROOM, infos: 256 });
  const eth = addDevice("eth0");
  const random = new Random32(20261125);
  const pool = makePrefixes(2 * MOST_ROUTES, 7);
  const model = new NaiveTable();
  /** The routes of the model, in any order, so that one can be drawn. */
  const present: ModelRoute[] = [];
  const places = new Map<ModelRoute, number>();
  const cfg = new FibConfig();
  cfg.oif = eth.ifindex;
  const flow = new Flowi4();
  const res = new FibResult();
  let main = 0;

  const route = (): ModelRoute => {
    const at = random.below(pool.dst.length);
    // Some at odd lengths, so that prefixes nest; some differ in TOS and priority only.
    const len = random.below(4) === 0 ? random.below(33) : pool.len[at]!;
    const plain = random.below(4) !== 0;
    return {
      dst: (random.below(16) === 0 ? random.next() : pool.dst[at]!) & maskOf(len), len, tos: plain ? 0 : random.below(3) * 8,
      priority: plain ? 0 : random.below(3), mark: 1 + random.below(50),
    };
  };
  const ask = (r: ModelRoute, nlflags: number): void => {
    cfg.dst = r.dst;
    cfg.dstLen = r.len;
    cfg.tos = r.tos;
    cfg.priority = r.priority;
    cfg.protocol = nlflags === 0 ? 0 : r.mark;
    cfg.scope = nlflags === 0 ? RT_SCOPE_NOWHERE : RT_SCOPE_LINK;
    cfg.type = nlflags === 0 ? RTN_UNSPEC : 1;
    cfg.nlflags = nlflags;
  };
  const equal = (ours: number, wanted: number, what: string): void => {
    if (ours !== wanted) throw new Error(`${what}: ${ours} for ${wanted}`);
  };

  const insert = (): number => {
    const r = route();
    ask(r, NLM_F_CREATE | NLM_F_EXCL);
    const fresh = model.insert(r);
    equal(fibTableInsert(initNet, cfg), fresh ? 0 : -EEXIST, "insert");
    if (fresh) {
      places.set(r, present.length);
      present.push(r);
    }
    return r.dst;
  };
  const remove = (): number => {
    if (present.length === 0 || random.below(8) === 0) {
      const r = route();
      const known = model.find(r.dst, r.len, r.tos, r.priority);
      if (known === undefined) {
        ask(r, 0);
        equal(fibTableDelete(initNet, cfg), -ESRCH, "delete of what is not there");
      }
      return r.dst;
    }
    const r = present[random.below(present.length)]!;
    ask(r, 0);
    // Priority 0 asks for the first of any.
    const victim = model.find(r.dst, r.len, r.tos, r.priority)!;
    equal(fibTableDelete(initNet, cfg), 0, "delete");
    model.remove(victim);
    const last = present.pop()!;
    if (last !== victim) {
      present[places.get(victim)!] = last;
      places.set(last, places.get(victim)!);
    }
    places.delete(victim);
    return r.dst;
  };
  const replace = (): number => {
    const known = present.length === 0 ? undefined : present[random.below(present.length)]!;
    const r = known ?? route();
    const mark = 1 + random.below(50);
    ask(r, NLM_F_REPLACE);
    cfg.protocol = mark;
    equal(fibTableInsert(initNet, cfg), known === undefined ? -ENOENT : 0, "replace");
    if (known !== undefined) known.mark = mark;
    return r.dst;
  };
  const lookup = (): number => {
    const near = present.length > 0 && random.below(4) !== 0 ? present[random.below(present.length)]! : undefined;
    const addr = near === undefined ? random.next() : near.dst | (random.next() & ~maskOf(near.len));
    const tos = random.below(3) * 8;
    flowi4Init(flow, addr, 0, 0, tos, 0);
    const best = model.lookup(addr, tos);
    if (present.length <= LISTED && listLookup(present, addr, tos) !== best) throw new Error(`the naive table is wrong of ${addr}`);
    const found = main !== 0 && trieLookup(main, flow.daddr, flow, res) === 0;
    if (found !== (best !== undefined)) throw new Error(`lookup of ${addr}: ${found}`);
    if (best !== undefined) {
      equal(32 - res.slen, best.len, "prefix length");
      equal(words[res.fi + FI_PRIORITY]!, best.priority, "priority");
      equal((words[res.fi + FI_WORD]! >> 8) & 255, best.mark, "protocol");
    }
    return addr;
  };

  let goal = 1;
  let goals = 0;
  let worstMean = 0;
  for (let i = 0; i < OPERATIONS; i++) {
    if (model.count === SIZES[goal]) {
      goal = (goal + 1) % SIZES.length;
      goals++;
    }
    const draw = random.below(10);
    const growing = SIZES[goal]! > model.count;
    const key = draw < 5 ? (growing ? insert() : remove()) : draw < 6 ? (growing ? remove() : insert())
      : draw < 7 ? replace() : lookup();
    main = fibGetTable(initNet, RT_TABLE_MAIN);
    if (main !== 0 && draw < 7) checkPath(main, key);
    if (i % CHECK_EVERY === 0 && main !== 0) {
      const shape = checkTrie(main);
      checkMemory(shape);
      equal(shape.aliases, model.count, "routes");
      if (shape.leaves > 1000) worstMean = Math.max(worstMean, shape.depths / shape.leaves);
    }
  }
  t.true(goals >= SIZES.length - 1, "every size was reached");
  t.log(`${goals} sizes reached, the last of ${model.count} routes; worst mean depth ${worstMean.toFixed(2)}`);
  while (present.length > 0) remove();
  equal(model.count, 0, "routes left");
  checkMemory(checkTrie(main));
  t.is(shutdownIpv4(), 0, "pools full again");
});
