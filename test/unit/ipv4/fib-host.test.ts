/** The routes of a host, one list, answer whatever is asked of them as tables that are tries. */
import test from "ava";
import fc from "fast-check";
import { FibConfig, FibWalk } from "../../../src/stack/ipv4/fib-config.ts";
import { fibNotifierRegister, fibTableExists, fibWalkNext, fibWalkStart } from "../../../src/stack/ipv4/fib-dump.ts";
import { fibTableDelete, fibTableInsert, ipRouteAdd } from "../../../src/stack/ipv4/fib-frontend.ts";
import { fibLookup, inetAddrType } from "../../../src/stack/ipv4/fib-lookup.ts";
import { FI_PREFSRC, FI_PRIORITY, NH_OIF } from "../../../src/stack/ipv4/fib-semantics.ts";
import { FibResult, Flowi4, flowi4Init } from "../../../src/stack/ipv4/flow.ts";
import { NotifierBlock } from "../../../src/lib/notifier.ts";
import { words } from "../../../src/lib/table.ts";
import { devClose, devOpen } from "../../../src/netif/dev.ts";
import { inetAddAddress, inetDelAddress } from "../../../src/stack/ipv4/devinet.ts";
import { EEXIST, EINVAL, ENOBUFS, ESRCH } from "../../../src/uapi/errno.ts";
import { NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from "../../../src/uapi/netlink.ts";
import {
  RT_SCOPE_LINK, RT_SCOPE_NOWHERE, RT_SCOPE_UNIVERSE, RT_TABLE_LOCAL, RT_TABLE_MAIN, RTM_NEWROUTE, RTN_PROHIBIT, RTN_THROW, RTN_UNICAST,
  RTN_UNSPEC,
} from "../../../src/uapi/rtnetlink.ts";
import { addDevice, bootIpv4, initNet, ip, routesOf, shutdownIpv4 } from "./harness.ts";
import { maskOf } from "./fib-check.ts";

// Few distinct bits, so that prefixes nest and collide.
const addr = fc.oneof(
  fc.integer({ min: 0, max: 0xffff }).map((n) => Math.imul(n, 0x01010101) | 0), fc.integer({ min: 0, max: 255 }).map((n) => 0x0a000000 | n),
  fc.integer(),
);
const step = fc.record({
  act: fc.constantFrom("add", "add", "add", "gateway", "delete", "replace", "append", "look", "look", "close", "address", "address", "no address"),
  addr, len: fc.oneof(fc.constantFrom(0, 24, 32), fc.integer({ min: 0, max: 32 })),
  tos: fc.constantFrom(0, 0, 0, 8), priority: fc.integer({ min: 0, max: 2 }), device: fc.constantFrom(0, 1),
  type: fc.constantFrom(RTN_UNICAST, RTN_UNICAST, RTN_UNICAST, RTN_PROHIBIT, RTN_THROW), protocol: fc.constantFrom(3, 4),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const HOSTS = ip("10.0.0.0");
const NLFLAGS: Record<string, number> = { replace: NLM_F_REPLACE, append: NLM_F_CREATE | NLM_F_APPEND };

/** What a dump says of a route. */
function row(r: FibConfig): unknown[] {
  return [r.table, r.dst, r.dstLen, r.tos, r.priority, r.type, r.scope, r.protocol, r.oif, r.gw, r.prefsrc, r.flags];
}

/** What a lookup says. */
function ask(fl: Flowi4, res: FibResult): unknown {
  const err = fibLookup(initNet, fl, res);
  return err === 0 ? [res.type, res.slen, words[res.fi + FI_PRIORITY], words[res.fi + FI_PREFSRC], words[res.nh + NH_OIF]] : err;
}

/** What the steps are answered, and what is in the tables at their end. */
function answers(host: boolean, steps: readonly Step[]): unknown[] {
  bootIpv4({ host, routes: 400, ifaddrs: 32 });
  const devices = [addDevice("eth0"), addDevice("eth1")];
  const fl = new Flowi4();
  const res = new FibResult();
  const said: unknown[] = [];
  fibNotifierRegister(new NotifierBlock<FibConfig>((event, route) => {
    said.push(event === RTM_NEWROUTE ? [event, route.nlflags, ...row(route)] : [event, ...row(route)]);
    return 0;
  }));
  for (const { act, addr: a, len, tos, priority, device, type, protocol } of steps) {
    const dev = devices[device]!;
    const host24 = HOSTS | (a & 0x1ff);
    if (act === "close") {
      devClose(dev);
      said.push(devOpen(dev));
    } else if (act === "address") {
      said.push(inetAddAddress(initNet, dev, host24, priority === 0 ? 32 : 24));
    } else if (act === "no address") {
      said.push(inetDelAddress(initNet, dev, host24, priority === 0 ? 32 : 24));
    } else if (act === "look") {
      flowi4Init(fl, a, 0, priority === 0 ? dev.ifindex : 0, tos, 0);
      fl.scope = priority === 2 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
      said.push(ask(fl, res), inetAddrType(initNet, host24));
    } else {
      const cfg = Object.assign(new FibConfig(), { dst: a & maskOf(len), dstLen: len, tos, priority, type, protocol });
      if (act === "gateway") Object.assign(cfg, { type: RTN_UNICAST, gw: host24 });
      else if (type === RTN_UNICAST) Object.assign(cfg, { oif: dev.ifindex, scope: RT_SCOPE_LINK });
      if (act === "delete") {
        said.push(fibTableDelete(initNet, Object.assign(cfg, { scope: RT_SCOPE_NOWHERE, type: RTN_UNSPEC, protocol: 0 })));
      } else {
        cfg.nlflags = NLFLAGS[act] ?? (NLM_F_CREATE | NLM_F_EXCL);
        said.push(fibTableInsert(initNet, cfg));
      }
    }
  }
  const left = [...routesOf(RT_TABLE_MAIN), ...routesOf(RT_TABLE_LOCAL)];
  said.push(left.map(row));
  for (const route of left) {
    flowi4Init(fl, route.dst, 0, 0, route.tos, 0);
    said.push(ask(fl, res));
  }
  // Those without a device stay when all devices go.
  for (const route of left) if (route.oif === 0) fibTableDelete(initNet, route);
  said.push(shutdownIpv4());
  return said;
}

test.serial("any routes and addresses that come and go: a host's list answers, tells, dumps and flushes as tries do", (t) => {
  let asked = 0;
  fc.assert(fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
    t.deepEqual(answers(true, steps), answers(false, steps));
    asked += steps.length;
  }), { numRuns: 60 });
  t.true(asked > 0);
  t.is(shutdownIpv4(), 0, "pools full again");
});

test.serial("a host has the tables main and local, one next hop a route, and as many routes as it has rows", (t) => {
  bootIpv4({ host: true, routes: 5 });
  const { ifindex } = addDevice("eth0");
  const cfg = Object.assign(new FibConfig(), { oif: ifindex, scope: RT_SCOPE_LINK, nlflags: NLM_F_CREATE | NLM_F_EXCL });
  t.is(fibTableInsert(initNet, Object.assign(cfg, { table: 7 })), -ENOBUFS);
  t.is(fibTableInsert(initNet, Object.assign(cfg, { table: 256 })), -EINVAL);
  t.is(fibTableDelete(initNet, Object.assign(cfg, { table: 7 })), -ESRCH);
  t.true(fibTableExists(initNet, RT_TABLE_MAIN));
  t.false(fibTableExists(initNet, 7));
  t.is(cfg.nexthops, null);
  for (let i = 0; i < 5; i++) t.is(ipRouteAdd(initNet, ip(`10.${i}.0.0`), 16, 0, ifindex), 0);
  t.is(ipRouteAdd(initNet, ip("10.5.0.0"), 16, 0, ifindex), -ENOBUFS);
  t.is(ipRouteAdd(initNet, ip("10.5.0.0"), 16, 0, 99), -ENOBUFS, "no row, whatever is asked for");
  const walk = new FibWalk();
  fibWalkStart(walk, initNet, 0);
  let seen = 0;
  for (const route = new FibConfig(); fibWalkNext(walk, route); ) seen += route.oif === ifindex && route.dst === ip(`10.${seen}.0.0`) ? 1 : 0;
  t.is(seen, 5);
  t.is(shutdownIpv4(), 0, "pools full again");
  bootIpv4({ host: true });
  addDevice("eth0");
  t.is(ipRouteAdd(initNet, 0, 0, 0, 1), 0);
  t.is(ipRouteAdd(initNet, 0, 0, 0, 1), -EEXIST);
  t.is(shutdownIpv4(), 0, "pools full again");
});
