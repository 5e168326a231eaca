/** Policy rules: which table answers, and the doors' errors. */
import test from "ava";
import { devChangeName } from "../../../src/netif/dev.ts";
import { fibGetTable } from "../../../src/stack/ipv4/fib-alias.ts";
import { FibConfig, FibRule, FibWalk } from "../../../src/stack/ipv4/fib-config.ts";
import { fibTableDelete, fibTableInsert } from "../../../src/stack/ipv4/fib-frontend.ts";
import { fibLookup, inetAddrType } from "../../../src/stack/ipv4/fib-lookup.ts";
import { fibRuleAdd, fibRuleDel, fibRuleWalkNext, fibRuleWalkStart } from "../../../src/stack/ipv4/fib-rules.ts";
import { fiTable } from "../../../src/stack/ipv4/fib-semantics.ts";
import { FibResult, Flowi4, flowi4Init } from "../../../src/stack/ipv4/flow.ts";
import { inetAddAddress } from "../../../src/stack/ipv4/devinet.ts";
import { poolForEach } from "../../../src/lib/pool.ts";
import { EACCES, EEXIST, EINVAL, ENETUNREACH, ENOBUFS, ENOENT } from "../../../src/uapi/errno.ts";
import {
  FIB_RULE_IIF_DETACHED, FIB_RULE_INVERT, FIB_RULE_UNRESOLVED, FR_ACT_BLACKHOLE, FR_ACT_GOTO, FR_ACT_NOP, FR_ACT_PROHIBIT,
  FR_ACT_UNREACHABLE,
} from "../../../src/uapi/fib-rules.ts";
import { NLM_F_CREATE, NLM_F_EXCL } from "../../../src/uapi/netlink.ts";
import {
  RT_SCOPE_LINK, RT_SCOPE_UNIVERSE, RT_TABLE_LOCAL, RT_TABLE_MAIN, RTN_LOCAL, RTN_THROW, RTN_UNICAST,
} from "../../../src/uapi/rtnetlink.ts";
import { addDevice, addLoopback, bootIpv4, initNet, ip, routesOf, shutdownIpv4, type TestDevice } from "./harness.ts";
import { checkMemory, checkTrie } from "./fib-check.ts";

let eth: TestDevice;
let other: TestDevice;

function addRoute(dst: string, len: number, more: Partial<FibConfig> = {}): number {
  return fibTableInsert(initNet, Object.assign(new FibConfig(), {
    dst: ip(dst), dstLen: len, oif: eth.ifindex, scope: RT_SCOPE_LINK, nlflags: NLM_F_CREATE | NLM_F_EXCL, ...more,
  }));
}

function addRule(more: Partial<FibRule>, nlflags = 0): number {
  return fibRuleAdd(initNet, Object.assign(new FibRule(), more), nlflags);
}

function delRule(more: Partial<FibRule>): number {
  return fibRuleDel(initNet, Object.assign(new FibRule(), { action: 0 }, more));
}

/** The table that answers, or the error. */
function asked(dst: string, more: Partial<Flowi4> = {}): number {
  const fl = new Flowi4();
  const res = new FibResult();
  flowi4Init(fl, ip(dst), 0, 0, 0, 0);
  const err = fibLookup(initNet, Object.assign(fl, more), res);
  return err === 0 ? fiTable(res.fi) : err;
}

function rules(): { priority: number; table: number; flags: number }[] {
  const walk = new FibWalk();
  const found: { priority: number; table: number; flags: number }[] = [];
  fibRuleWalkStart(walk, initNet);
  for (const rule = new FibRule(); fibRuleWalkNext(walk, rule); ) {
    found.push({ priority: rule.priority, table: rule.table, flags: rule.flags });
  }
  return found;
}

test.beforeEach(() => {
  bootIpv4();
  addLoopback();
  eth = addDevice("eth0");
  other = addDevice("eth1");
  inetAddAddress(initNet, eth, ip("10.0.0.1"), 24);
  addRoute("0.0.0.0", 0);
  addRoute("0.0.0.0", 0, { table: 100, oif: other.ifindex });
});
test.afterEach((t) => {
  // The three rules that every namespace has are rows once they were changed, and stay.
  let ruleRows = 0;
  poolForEach((pool) => {
    if (pool.name === "fib_rules") ruleRows = pool.inUse;
  });
  t.true(ruleRows === 0 || ruleRows === 3);
  t.is(shutdownIpv4() - ruleRows, 0, "pools full again");
});

test.serial("three rules that nobody made; the first change splits local from main and loses nothing", (t) => {
  const plain = [0, 32766, 32767];
  t.deepEqual(rules().map((r) => r.priority), plain);
  const local = routesOf(RT_TABLE_LOCAL).map((r) => `${r.dst}/${r.dstLen}`);
  const main = routesOf(RT_TABLE_MAIN).map((r) => `${r.dst}/${r.dstLen}`);
  t.is(asked("10.0.0.1"), RT_TABLE_LOCAL, "one lookup in the shared trie finds what is local");
  t.is(addRule({ table: 100, src: ip("10.0.0.1"), srcLen: 32 }), 0);
  t.deepEqual(rules().map((r) => r.priority), [0, 32765, 32766, 32767]);
  t.deepEqual(routesOf(RT_TABLE_LOCAL).map((r) => `${r.dst}/${r.dstLen}`), local);
  t.deepEqual(routesOf(RT_TABLE_MAIN).map((r) => `${r.dst}/${r.dstLen}`), main);
  checkMemory(...[RT_TABLE_LOCAL, RT_TABLE_MAIN, 100].map((id) => checkTrie(fibGetTable(initNet, id))));
  t.is(asked("10.0.0.1"), RT_TABLE_LOCAL);
  t.is(inetAddrType(initNet, ip("10.0.0.1")), RTN_LOCAL);
  t.is(inetAddrType(initNet, ip("8.8.8.8")), RTN_UNICAST);
  t.is(asked("8.8.8.8"), RT_TABLE_MAIN);
  t.is(asked("8.8.8.8", { saddr: ip("10.0.0.1") }), 100);
  t.is(delRule({ priority: 32765 }), 0);
  t.is(asked("8.8.8.8", { saddr: ip("10.0.0.1") }), RT_TABLE_MAIN);
  t.deepEqual(rules().map((r) => r.priority), plain);
});

test.serial("from, to, iif, oif, tos, fwmark and their opposite select", (t) => {
  const cases: readonly [Partial<FibRule>, Partial<Flowi4>, Partial<Flowi4>][] = [
    [{ src: ip("192.168.0.0"), srcLen: 16 }, { saddr: ip("192.168.5.5") }, { saddr: ip("192.169.5.5") }],
    [{ dst: ip("8.8.8.0"), dstLen: 24 }, {}, { daddr: ip("8.8.9.8") }],
    [{ iifname: "eth1" }, { iif: other.ifindex }, { iif: eth.ifindex }],
    [{ iifname: "lo" }, {}, { iif: eth.ifindex }],
    [{ oifname: "eth1" }, { oif: other.ifindex }, {}],
    [{ tos: 0x10 }, { tos: 0x10 }, { tos: 0x08 }],
    [{ mark: 5 }, { mark: 5 }, { mark: 6 }],
    [{ mark: 4, markMask: 4 }, { mark: 7 }, { mark: 3 }],
    [{ mark: 5, flags: FIB_RULE_INVERT }, { mark: 6 }, { mark: 5 }],
  ];
  for (const [rule, yes, no] of cases) {
    t.is(addRule({ priority: 100, table: 100, ...rule }), 0);
    t.is(asked("8.8.8.8", yes), 100, JSON.stringify(rule));
    t.is(asked("8.8.8.8", no), RT_TABLE_MAIN, JSON.stringify(rule));
    t.is(delRule({ priority: 100 }), 0);
  }
});

test.serial("a THROW route goes on with the next rule, a suppressed one too; actions end it", (t) => {
  t.is(addRule({ priority: 10, table: 100 }), 0);
  t.is(asked("8.8.8.8"), 100);
  t.is(addRoute("8.8.0.0", 16, { table: 100, type: RTN_THROW, oif: 0, scope: RT_SCOPE_UNIVERSE }), 0);
  t.is(asked("8.8.8.8"), RT_TABLE_MAIN);
  t.is(asked("9.9.9.9"), 100);
  t.is(delRule({ priority: 10 }), 0);
  t.is(addRule({ priority: 10, table: 100, suppressPrefixlen: 0 }), 0);
  t.is(asked("9.9.9.9"), RT_TABLE_MAIN, "the default route is suppressed");
  t.is(addRoute("9.0.0.0", 8, { table: 100, oif: other.ifindex }), 0);
  t.is(asked("9.9.9.9"), 100);
  t.is(delRule({ priority: 10 }), 0);
  for (const [action, error] of [[FR_ACT_BLACKHOLE, -EINVAL], [FR_ACT_UNREACHABLE, -ENETUNREACH], [FR_ACT_PROHIBIT, -EACCES]] as const) {
    t.is(addRule({ priority: 10, action, dst: ip("9.0.0.0"), dstLen: 8 }), 0);
    t.is(asked("9.9.9.9"), error);
    t.is(asked("10.0.0.1"), RT_TABLE_LOCAL);
    t.is(delRule({ priority: 10 }), 0);
  }
  t.is(addRule({ priority: 10, action: FR_ACT_NOP }), 0);
  t.is(asked("8.8.8.8"), RT_TABLE_MAIN);
  t.is(delRule({ priority: 10, action: FR_ACT_NOP }), 0);
  // A route without a device outlives them all.
  t.is(fibTableDelete(initNet, Object.assign(new FibConfig(), { table: 100, dst: ip("8.8.0.0"), dstLen: 16, type: RTN_THROW })), 0);
});

test.serial("GOTO goes forward, over what is between; without its target it does nothing", (t) => {
  t.is(addRule({ priority: 10, action: FR_ACT_GOTO, target: 30 }), 0);
  t.is(addRule({ priority: 20, action: FR_ACT_BLACKHOLE, dst: ip("8.0.0.0"), dstLen: 8 }), 0);
  t.is(rules()[1]!.flags, FIB_RULE_UNRESOLVED);
  t.is(asked("8.8.8.8"), -EINVAL);
  t.is(addRule({ priority: 30, table: 100 }), 0);
  t.is(rules()[1]!.flags, 0);
  t.is(asked("8.8.8.8"), 100);
  t.is(addRule({ priority: 10, action: FR_ACT_GOTO, target: 10 }), -EINVAL);
  for (const priority of [10, 20, 30]) t.is(delRule({ priority }), 0);
});

test.serial("errors, equal rules, a device that comes and goes, a table that was not there", (t) => {
  t.is(addRule({ src: ip("10.0.0.1"), srcLen: 24, table: 100 }), 0, "host bits stay as they are given");
  t.is(delRule({ src: ip("10.0.0.0"), srcLen: 24 }), -ENOENT);
  t.is(delRule({ src: ip("10.0.0.1"), srcLen: 24 }), 0);
  t.is(addRule({ srcLen: 33, table: 100 }), -EINVAL);
  t.is(addRule({ tos: 1, table: 100 }), -EINVAL);
  t.is(addRule({ action: 0, table: 100 }), -EINVAL);
  t.is(delRule({ priority: 5 }), -ENOENT);
  t.is(addRule({ priority: 5, table: 100 }, NLM_F_EXCL), 0);
  t.is(addRule({ priority: 5, table: 100 }, NLM_F_EXCL), -EEXIST);
  t.is(addRule({ priority: 5, table: 101 }, NLM_F_EXCL), 0, "another table is another rule");
  t.is(delRule({ table: 101 }), 0);
  t.is(delRule({ priority: 5 }), 0);
  t.is(addRule({ priority: 5, iifname: "eth7", table: 100 }), 0);
  t.is(rules()[1]!.flags, FIB_RULE_IIF_DETACHED);
  t.is(asked("8.8.8.8", { iif: 77 }), RT_TABLE_MAIN);
  const late = addDevice("eth7");
  t.is(asked("8.8.8.8", { iif: late.ifindex }), 100);
  t.is(devChangeName(late, "eth8"), 0);
  t.is(asked("8.8.8.8", { iif: late.ifindex }), RT_TABLE_MAIN);
  t.is(devChangeName(late, "eth7"), 0);
  t.is(asked("8.8.8.8", { iif: late.ifindex }), 100);
  t.is(delRule({ iifname: "eth7" }), 0);
  const rule = Object.assign(new FibRule(), { priority: 5 });
  t.is(fibRuleAdd(initNet, rule, 0), 0);
  t.is(rule.table, 1, "a free table");
  t.is(delRule({ priority: 5 }), 0);
  for (let i = 0; i < 13; i++) t.is(addRule({ priority: i + 1, table: 100 }), 0);
  t.is(addRule({ priority: 50, table: 100 }), -ENOBUFS);
  for (let i = 0; i < 13; i++) t.is(delRule({ priority: i + 1 }), 0);
});

test.serial("all rules deleted: nothing is reachable", (t) => {
  for (const priority of [0, 32766, 32767]) t.is(delRule({ priority }), 0);
  t.is(delRule({}), -ENOENT);
  t.is(asked("10.0.0.1"), -ENETUNREACH);
  t.is(fibTableDelete(initNet, Object.assign(new FibConfig(), { table: 100, scope: 255, type: 0 })), 0);
});
