import test from "ava";
import fc from "fast-check";
import { fibTableDelete, fibTableInsert, ipRouteAdd, ipRouteDel } from "../../../src/stack/ipv4/fib-frontend.ts";
import { fibLookup, inetAddrType } from "../../../src/stack/ipv4/fib-lookup.ts";
import { FibConfig } from "../../../src/stack/ipv4/fib-config.ts";
import { fibConfigFill } from "../../../src/stack/ipv4/fib-semantics.ts";
import { FibResult, Flowi4, flowi4Init } from "../../../src/stack/ipv4/flow.ts";
import { inetAddAddress } from "../../../src/stack/ipv4/devinet.ts";
import { devClose, devOpen, unregisterNetdev } from "../../../src/netif/dev.ts";
import {
  EACCES, EEXIST, EHOSTUNREACH, EINVAL, ENETDOWN, ENETUNREACH, ENOBUFS, ENODEV, ENOENT, ESRCH,
} from "../../../src/uapi/errno.ts";
import { NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from "../../../src/uapi/netlink.ts";
import {
  RT_SCOPE_HOST, RT_SCOPE_LINK, RT_SCOPE_NOWHERE, RT_SCOPE_UNIVERSE, RT_TABLE_MAIN, RTN_BLACKHOLE, RTN_BROADCAST, RTN_LOCAL,
  RTN_MULTICAST, RTN_PROHIBIT, RTN_THROW, RTN_UNICAST, RTN_UNREACHABLE, RTNH_F_ONLINK,
} from "../../../src/uapi/rtnetlink.ts";
import type { Net } from "../../../src/stack/core/net.ts";
import { addDevice, addLoopback, bootIpv4, initNet, ip, routesOf, shutdownIpv4 } from "./harness.ts";

const CREATE = NLM_F_CREATE | NLM_F_EXCL;

function config(dst: string, len: number, more: Partial<FibConfig> = {}): FibConfig {
  return Object.assign(new FibConfig(), { dst: ip(dst), dstLen: len, scope: RT_SCOPE_LINK }, more);
}

function fibNewRoute(net: Net, cfg: FibConfig, nlflags: number): number {
  cfg.nlflags = nlflags;
  return fibTableInsert(net, cfg);
}

interface Answer {
  readonly error: number;
  readonly res: FibResult;
  /** What the answer's fib_info says. */
  readonly fi: FibConfig;
}

function ask(fl: Flowi4): Answer {
  const res = new FibResult();
  const fi = new FibConfig();
  const error = fibLookup(initNet, fl, res);
  if (error === 0) fibConfigFill(fi, initNet, res.fi);
  return { error, res, fi };
}

function lookup(dst: string, more: Partial<Flowi4> = {}): Answer {
  const fl = new Flowi4();
  flowi4Init(fl, ip(dst), 0, 0, 0, 0);
  return ask(Object.assign(fl, more));
}

test.beforeEach(() => bootIpv4());
test.afterEach((t) => t.is(shutdownIpv4(), 0, "pools full again"));

test.serial("a new route: EXCL, plain, REPLACE, APPEND and CREATE answer as Linux", (t) => {
  const eth = addDevice("eth0");
  const oif = eth.ifindex;
  const net = initNet;
  t.is(fibNewRoute(net, config("10.1.0.0", 16, { oif }), 0), -ENOENT);
  t.is(fibNewRoute(net, config("10.1.0.0", 16, { oif }), NLM_F_REPLACE), -ENOENT);
  t.is(routesOf(RT_TABLE_MAIN).length, 0);
  t.is(fibNewRoute(net, config("10.1.0.0", 16, { oif }), CREATE), 0);
  t.is(fibNewRoute(net, config("10.1.0.0", 16, { oif }), CREATE), -EEXIST);
  t.is(fibNewRoute(net, config("10.1.0.0", 16, { oif }), NLM_F_CREATE), -EEXIST, "the very same route");
  t.is(fibNewRoute(net, config("10.1.0.0", 16, { oif, protocol: 9 }), CREATE), -EEXIST);
  // Another route of the prefix goes in front without APPEND, behind with it.
  t.is(fibNewRoute(net, config("10.1.0.0", 16, { oif, protocol: 9 }), NLM_F_CREATE), 0);
  t.is(lookup("10.1.2.3").fi.protocol, 9);
  t.is(fibNewRoute(net, config("10.1.0.0", 16, { oif, protocol: 8 }), NLM_F_CREATE | NLM_F_APPEND), 0);
  t.is(lookup("10.1.2.3").fi.protocol, 9);
  t.is(routesOf(RT_TABLE_MAIN).length, 3);
  // REPLACE changes the first; a route equal to a later one is a duplicate; itself is fine.
  t.is(fibNewRoute(net, config("10.1.0.0", 16, { oif, protocol: 9 }), NLM_F_REPLACE), 0);
  t.is(fibNewRoute(net, config("10.1.0.0", 16, { oif, protocol: 8 }), NLM_F_REPLACE), -EEXIST);
  t.is(fibNewRoute(net, config("10.1.0.0", 16, { oif, protocol: 7 }), NLM_F_CREATE | NLM_F_REPLACE), 0);
  t.is(lookup("10.1.2.3").fi.protocol, 7);
  t.is(routesOf(RT_TABLE_MAIN).length, 3);
  // Another metric is another route.
  t.is(fibNewRoute(net, config("10.1.0.0", 16, { oif, priority: 5 }), CREATE), 0);
  t.is(lookup("10.1.2.3").fi.priority, 0);
});

test.serial("bad routes are refused and change nothing", (t) => {
  const eth = addDevice("eth0");
  const down = addDevice("eth1", false);
  const oif = eth.ifindex;
  const net = initNet;
  inetAddAddress(net, eth, ip("10.0.0.1"), 24);
  const before = routesOf(RT_TABLE_MAIN).length;
  t.is(fibNewRoute(net, config("10.1.0.1", 16, { oif }), CREATE), -EINVAL, "host bits");
  t.is(fibNewRoute(net, config("0.0.0.1", 0, { oif }), CREATE), -EINVAL, "host bits of the default route");
  t.is(fibNewRoute(net, config("10.1.0.0", 33, { oif }), CREATE), -EINVAL);
  t.is(fibNewRoute(net, config("10.1.0.0", 16, { oif, table: 256 }), CREATE), -EINVAL);
  t.is(fibNewRoute(net, config("10.1.0.0", 16, { oif: 99 }), CREATE), -ENODEV);
  t.is(fibNewRoute(net, config("10.1.0.0", 16, { oif: down.ifindex }), CREATE), -ENETDOWN);
  t.is(fibNewRoute(net, config("10.1.0.0", 16, { oif, type: RTN_LOCAL }), CREATE), -EINVAL, "scope too wide");
  t.is(fibNewRoute(net, config("10.1.0.0", 16, { oif, type: RTN_BLACKHOLE }), CREATE), -EINVAL, "no device");
  t.is(fibNewRoute(net, config("10.1.0.0", 16, { oif, prefsrc: ip("10.9.9.9") }), CREATE), -EINVAL);
  const gateway = { scope: RT_SCOPE_UNIVERSE, gw: ip("192.168.1.1") };
  t.is(fibNewRoute(net, config("10.1.0.0", 16, gateway), CREATE), -ENETUNREACH);
  t.is(fibNewRoute(net, config("10.1.0.0", 16, { ...gateway, oif }), CREATE), -ENETUNREACH);
  t.is(fibNewRoute(net, config("10.1.0.0", 16, { ...gateway, gw: ip("10.0.0.255") }), CREATE), -EINVAL);
  t.is(routesOf(RT_TABLE_MAIN).length, before);
  t.is(fibNewRoute(net, config("10.1.0.0", 16, { ...gateway, oif, flags: RTNH_F_ONLINK }), CREATE), 0);
  t.is(fibNewRoute(net, config("10.2.0.0", 16, { ...gateway, gw: ip("10.0.0.9") }), CREATE), 0);
  t.is(lookup("10.2.3.4").fi.oif, oif);
  t.is(fibNewRoute(net, config("10.3.0.0", 16, { ...gateway, gw: ip("10.2.0.9") }), CREATE), -ENETUNREACH,
    "a gateway behind a gateway");
});

test.serial("deleting takes the first match of what is given", (t) => {
  const eth = addDevice("eth0");
  const net = initNet;
  const oif = eth.ifindex;
  inetAddAddress(net, eth, ip("10.0.0.1"), 24);
  t.is(ipRouteAdd(net, 0, 0, ip("10.0.0.254"), 0), 0);
  t.is(ipRouteAdd(net, 0, 0, ip("10.0.0.253"), 0, 10), 0);
  t.is(ipRouteDel(net, 0, 0, ip("10.0.0.99"), 0), -ESRCH);
  t.is(ipRouteDel(net, ip("10.5.0.0"), 16, 0, 0), -ESRCH);
  t.is(ipRouteDel(net, ip("10.5.0.1"), 16, 0, 0), -EINVAL);
  t.is(fibTableDelete(net, config("0.0.0.0", 0, { table: 77 })), -ESRCH);
  t.is(fibTableDelete(net, config("0.0.0.0", 0, { scope: RT_SCOPE_NOWHERE, type: RTN_BLACKHOLE })), -ESRCH);
  t.is(ipRouteDel(net, 0, 0, 0, oif, 10), 0);
  t.is(lookup("8.8.8.8").fi.gw, ip("10.0.0.254"));
  t.is(ipRouteDel(net, 0, 0, 0, 0), 0);
  t.is(lookup("8.8.8.8").error, -ENETUNREACH);
});

test.serial("a full pool refuses and leaves the table as it was", (t) => {
  shutdownIpv4();
  bootIpv4({ routes: 4, infos: 3 });
  const eth = addDevice("eth0");
  const oif = eth.ifindex;
  const net = initNet;
  for (let i = 0; i < 4; i++) t.is(fibNewRoute(net, config(`10.${i}.0.0`, 16, { oif }), CREATE), 0);
  t.is(fibNewRoute(net, config("10.9.0.0", 16, { oif }), CREATE), -ENOBUFS);
  t.is(routesOf(RT_TABLE_MAIN).length, 4);
  for (let i = 1; i < 4; i++) t.is(ipRouteDel(net, ip(`10.${i}.0.0`), 16, 0, 0), 0);
  t.is(fibNewRoute(net, config("10.7.0.0", 16, { oif, priority: 1 }), CREATE), 0);
  t.is(fibNewRoute(net, config("10.7.0.0", 16, { oif, priority: 2 }), CREATE), 0);
  t.is(fibNewRoute(net, config("10.7.0.0", 16, { oif, priority: 3 }), CREATE), -ENOBUFS, "no fib_info left");
  t.is(fibNewRoute(net, config("10.8.0.0", 16, { oif, priority: 2 }), CREATE), 0, "a shared one needs none");
});

test.serial("types give their errors, THROW goes on", (t) => {
  const eth = addDevice("eth0");
  const net = initNet;
  const types = [[RTN_BLACKHOLE, -EINVAL], [RTN_UNREACHABLE, -EHOSTUNREACH], [RTN_PROHIBIT, -EACCES],
    [RTN_THROW, -ENETUNREACH]] as const;
  t.is(fibNewRoute(net, config("10.0.0.0", 8, { oif: eth.ifindex }), CREATE), 0);
  types.forEach(([type, error], i) => {
    t.is(fibNewRoute(net, config(`10.${i}.0.0`, 16, { type, scope: RT_SCOPE_UNIVERSE }), CREATE), 0);
    t.is(lookup(`10.${i}.1.1`).error, error);
  });
  t.is(lookup("10.200.1.1").error, 0);
  for (let i = 0; i < 4; i++) t.is(ipRouteDel(net, ip(`10.${i}.0.0`), 16, 0, 0), 0);
});

test.serial("TOS and device choose among the routes of a prefix", (t) => {
  const a = addDevice("eth0");
  const b = addDevice("eth1");
  const net = initNet;
  t.is(fibNewRoute(net, config("10.0.0.0", 8, { oif: a.ifindex }), CREATE), 0);
  t.is(fibNewRoute(net, config("10.0.0.0", 8, { oif: b.ifindex, tos: 0x10 }), CREATE), 0);
  t.is(lookup("10.1.1.1").fi.oif, a.ifindex);
  t.is(lookup("10.1.1.1", { tos: 0x10 }).fi.oif, b.ifindex);
  t.is(lookup("10.1.1.1", { tos: 0x08 }).fi.oif, a.ifindex);
  t.is(lookup("10.1.1.1", { oif: b.ifindex }).error, -ENETUNREACH);
  t.is(lookup("10.1.1.1", { oif: b.ifindex, tos: 0x10 }).fi.oif, b.ifindex);
  t.is(lookup("10.1.1.1", { scope: RT_SCOPE_HOST }).error, -ENETUNREACH);
});

test.serial("a device's routes go with it, local addresses only when it is unregistered", (t) => {
  addLoopback();
  const eth = addDevice("eth0");
  const net = initNet;
  inetAddAddress(net, eth, ip("10.0.0.1"), 24);
  t.is(ipRouteAdd(net, 0, 0, ip("10.0.0.254"), 0), 0);
  const generation = net.rtGenid;
  devClose(eth);
  t.not(net.rtGenid, generation);
  t.is(routesOf(RT_TABLE_MAIN).length, 0);
  t.is(inetAddrType(net, ip("10.0.0.1")), RTN_LOCAL);
  t.is(inetAddrType(net, ip("10.0.0.255")), RTN_UNICAST);
  devOpen(eth);
  t.is(lookup("10.0.0.7").fi.oif, eth.ifindex);
  t.is(inetAddrType(net, ip("10.0.0.255")), RTN_BROADCAST);
  t.is(lookup("8.8.8.8").error, -ENETUNREACH, "the default route does not come back");
  unregisterNetdev(eth);
  t.is(inetAddrType(net, ip("10.0.0.1")), RTN_UNICAST);
  t.is(inetAddrType(net, ip("224.0.0.1")), RTN_MULTICAST);
  t.is(inetAddrType(net, -1), RTN_BROADCAST);
});

test.serial("of 0/8 only 0.0.0.0 is no address of a host", (t) => {
  const eth = addDevice("eth0");
  inetAddAddress(initNet, eth, ip("0.1.2.3"), 24);
  t.is(inetAddrType(initNet, 0), RTN_BROADCAST);
  t.is(inetAddrType(initNet, ip("0.1.2.3")), RTN_LOCAL);
  t.is(inetAddrType(initNet, ip("0.1.2.9")), RTN_UNICAST);
  t.is(inetAddrType(initNet, ip("0.1.2.255")), RTN_BROADCAST);
  t.is(ipRouteAdd(initNet, ip("5.0.0.0"), 8, ip("0.1.2.9"), 0), 0, "it may be a gateway");
  t.is(lookup("5.1.1.1").fi.gw, ip("0.1.2.9"));
});

interface ModelRoute {
  readonly dst: number;
  readonly len: number;
  readonly tos: number;
  readonly priority: number;
}

function maskOf(len: number): number {
  return len === 0 ? 0 : -1 << (32 - len);
}

test.serial("lookup is the longest match: any routes against a naive model", (t) => {
  const eth = addDevice("eth0");
  const net = initNet;
  // Few distinct bits, so that prefixes nest and collide.
  const addr = fc.integer({ min: 0, max: 0xffff }).map((n) => Math.imul(n, 0x01010101) | 0);
  const tos = fc.constantFrom(0, 0, 8, 16);
  const route = fc.record({ addr, len: fc.integer({ min: 0, max: 32 }), tos, priority: fc.integer({ min: 0, max: 3 }) });
  const step = fc.record({ add: fc.integer({ min: 0, max: 3 }).map((n) => n > 0), route });
  const query = fc.record({ addr, tos });
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), fc.array(query, { maxLength: 40 }), (steps, queries) => {
    let model: ModelRoute[] = [];
    const same = (a: ModelRoute, b: ModelRoute): boolean => a.dst === b.dst && a.len === b.len && a.tos === b.tos;
    for (const { add, route: r } of steps) {
      const entry = { dst: r.addr & maskOf(r.len), len: r.len, tos: r.tos, priority: r.priority };
      const cfg = Object.assign(new FibConfig(), {
        dst: entry.dst, dstLen: entry.len, tos: entry.tos, priority: entry.priority, oif: eth.ifindex,
        scope: RT_SCOPE_LINK,
      });
      const matches = model.filter((m) => same(m, entry) && (add || entry.priority === 0 || m.priority === entry.priority));
      if (add) {
        const exists = matches.some((m) => m.priority === entry.priority);
        t.is(fibNewRoute(net, cfg, CREATE), exists ? -EEXIST : 0);
        if (!exists) model.push(entry);
      } else {
        t.is(fibTableDelete(net, cfg), matches.length > 0 ? 0 : -ESRCH);
        const victim = matches.sort((a, b) => a.priority - b.priority)[0];
        model = model.filter((m) => m !== victim);
      }
    }
    t.is(routesOf(RT_TABLE_MAIN).length, model.length);
    for (const q of queries) {
      const best = model
        .filter((m) => (q.addr & maskOf(m.len)) === m.dst && (m.tos === 0 || m.tos === q.tos))
        .sort((a, b) => b.len - a.len || b.tos - a.tos || a.priority - b.priority)[0];
      const fl = new Flowi4();
      flowi4Init(fl, q.addr, 0, 0, q.tos, 0);
      const { error, res, fi } = ask(fl);
      t.is(error, best === undefined ? -ENETUNREACH : 0);
      if (best !== undefined) t.deepEqual([32 - res.slen, fi.priority], [best.len, best.priority]);
    }
    devClose(eth);
    t.is(routesOf(RT_TABLE_MAIN).length, 0);
    devOpen(eth);
  }), { numRuns: 200 });
});
