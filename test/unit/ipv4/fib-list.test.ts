/** A routing table that is a list answers whatever is asked of it as one that is a trie. */
import test from "ava";
import fc from "fast-check";
import { fibGetTable } from "../../../src/stack/ipv4/fib-alias.ts";
import { FibConfig } from "../../../src/stack/ipv4/fib-config.ts";
import { fibTableDelete, fibTableInsert } from "../../../src/stack/ipv4/fib-frontend.ts";
import { fibTableLookup } from "../../../src/stack/ipv4/fib-lookup.ts";
import { FI_PRIORITY } from "../../../src/stack/ipv4/fib-semantics.ts";
import { FibResult, Flowi4, flowi4Init } from "../../../src/stack/ipv4/flow.ts";
import { words } from "../../../src/lib/table.ts";
import { devClose, devOpen } from "../../../src/netif/dev.ts";
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from "../../../src/uapi/netlink.ts";
import {
  RT_SCOPE_LINK, RT_SCOPE_NOWHERE, RT_SCOPE_UNIVERSE, RT_TABLE_MAIN, RTN_PROHIBIT, RTN_THROW, RTN_UNICAST, RTN_UNSPEC,
} from "../../../src/uapi/rtnetlink.ts";
import { addDevice, bootIpv4, initNet, routesOf, shutdownIpv4 } from "./harness.ts";
import { maskOf } from "./fib-check.ts";

// Few distinct bits, so that prefixes nest and collide.
const addr = fc.oneof(
  fc.integer({ min: 0, max: 0xffff }).map((n) => Math.imul(n, 0x01010101) | 0), fc.integer({ min: 0, max: 255 }).map((n) => 0x0a000000 | n),
  fc.integer(),
);
const step = fc.record({
  act: fc.constantFrom("add", "add", "add", "delete", "replace", "look", "look", "close"), addr, len: fc.integer({ min: 0, max: 32 }),
  tos: fc.constantFrom(0, 0, 0, 8), priority: fc.integer({ min: 0, max: 2 }), device: fc.constantFrom(0, 1),
  type: fc.constantFrom(RTN_UNICAST, RTN_UNICAST, RTN_UNICAST, RTN_PROHIBIT, RTN_THROW),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** What the steps are answered, and what is in the table at their end. */
function answers(list: boolean, steps: readonly Step[]): unknown[] {
  bootIpv4({ list, routes: 40 });
  const devices = [addDevice("eth0"), addDevice("eth1")];
  const fl = new Flowi4();
  const res = new FibResult();
  const said: unknown[] = steps.map(({ act, addr: a, len, tos, priority, device, type }) => {
    const dev = devices[device]!;
    if (act === "close") {
      devClose(dev);
      return devOpen(dev);
    }
    if (act === "look") {
      const main = fibGetTable(initNet, RT_TABLE_MAIN);
      flowi4Init(fl, a, 0, priority === 0 ? dev.ifindex : 0, tos, 0);
      fl.scope = priority === 2 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
      const err = main === 0 ? 1 : fibTableLookup(main, a, fl, res);
      return err === 0 ? [res.type, res.slen, words[res.fi + FI_PRIORITY]] : err;
    }
    const cfg = Object.assign(new FibConfig(), { dst: a & maskOf(len), dstLen: len, tos, priority, type });
    if (type === RTN_UNICAST) Object.assign(cfg, { oif: dev.ifindex, scope: RT_SCOPE_LINK });
    if (act === "delete") return fibTableDelete(initNet, Object.assign(cfg, { scope: RT_SCOPE_NOWHERE, type: RTN_UNSPEC }));
    cfg.nlflags = act === "replace" ? NLM_F_REPLACE : NLM_F_CREATE | NLM_F_EXCL;
    return fibTableInsert(initNet, cfg);
  });
  const left = routesOf(RT_TABLE_MAIN);
  said.push(left.map((r) => [r.dst, r.dstLen, r.tos, r.priority, r.type, r.oif]));
  // Those without a device stay when all devices go.
  for (const route of left) fibTableDelete(initNet, route);
  said.push(shutdownIpv4());
  return said;
}

test.serial("any routes that come and go: the list answers, dumps and flushes as the trie", (t) => {
  let asked = 0;
  fc.assert(fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
    t.deepEqual(answers(true, steps), answers(false, steps));
    asked += steps.length;
  }), { numRuns: 60 });
  t.true(asked > 0);
  t.is(shutdownIpv4(), 0, "pools full again");
});
