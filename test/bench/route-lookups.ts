/**
 * Lookups for each second, of the routing table and of its peers: the part of `bench route` that runs as users of the package have
 * have it, bundled and in a process of its own (under a test runner every constant is a load and a check). All of them hold the
 * prefixes of the same table, loopback's among them, and answer the same question: the next hop for an address by its longest
 * prefix. ip-set is no longest-prefix library: it is a set, merges ranges that overlap and keeps no value, and its contains() answers
 * whether any prefix has the address. It stands here twice: by that lesser question, and as one set for each prefix length, asked from
 * the longest on, with the next hop out of a Map: how a program would have the longest prefix of it.
 *
 * They are measured in turns, in CPU time: others may be busy on the machine, and then all are disturbed alike.
 */
import IPSet from "ip-set";
import LongestPrefixMatch from "longest-prefix-match";
import { boot, initNet } from "../../src/boot.ts";
import { devGetByName, devOpen } from "../../src/netif/dev.ts";
import { vethCreate } from "../../src/netif/veth.ts";
import { FibConfig, FibWalk } from "../../src/stack/ipv4/fib-config.ts";
import { fibWalkNext, fibWalkStart } from "../../src/stack/ipv4/fib-dump.ts";
import { fibTableInsert } from "../../src/stack/ipv4/fib-frontend.ts";
import { fibLookup } from "../../src/stack/ipv4/fib-lookup.ts";
import { FibResult, Flowi4, flowi4Init } from "../../src/stack/ipv4/flow.ts";
import { NLM_F_CREATE } from "../../src/uapi/netlink.ts";
import { RT_SCOPE_LINK } from "../../src/uapi/rtnetlink.ts";
import { makeAddresses, makePrefixes, type Prefixes } from "../lib/prefixes.ts";
import { Patricia } from "./patricia.ts";

/** Next hops that the prefixes share. */
const NEXT_HOPS = 4;
const ADDRESSES = 4096;
/** CPU time of one measurement, and how many of them; the best counts, as the worse ones were disturbed. */
const MEASURE_MS = 50;
const ROUNDS = 15;
/** Routes and fib_info of the addresses of loopback and the device, beside the prefixes. */
const OWN_ROUTES = 8;
export const OWN_INFOS = 6;

/** Sizes of a stack with so many prefixes. */
export function routeBoard(prefixes: number): { preset: "small"; routes: number; fibInfos: number } {
  return { preset: "small", routes: prefixes + OWN_ROUTES, fibInfos: NEXT_HOPS + OWN_INFOS };
}

/** Boots a stack whose main table has the prefixes. */
export function loadRoutes(prefixes: Prefixes): void {
  const count = prefixes.dst.length;
  boot(routeBoard(count));
  const dev = vethCreate(initNet, "veth0", initNet, "veth1");
  devOpen(dev);
  devOpen(devGetByName(initNet, "veth1")!);
  const cfg = new FibConfig();
  cfg.oif = dev.ifindex;
  cfg.scope = RT_SCOPE_LINK;
  cfg.nlflags = NLM_F_CREATE;
  for (let i = 0; i < count; i++) {
    cfg.dst = prefixes.dst[i]!;
    cfg.dstLen = prefixes.len[i]!;
    cfg.protocol = 100 + (i % NEXT_HOPS);
    const err = fibTableInsert(initNet, cfg);
    if (err !== 0) throw new Error(`route ${i}: ${err}`);
  }
}

/** Looks all addresses up so many times and answers how many were found, so that no engine can leave a lookup out. */
type Lookups = (rounds: number) => number;

function lookupsOfTable(addresses: Int32Array): Lookups {
  const flow = new Flowi4();
  const res = new FibResult();
  flowi4Init(flow, 0, 0, 0, 0, 0);
  return (rounds) => {
    let found = 0;
    for (let r = 0; r < rounds; r++) {
      for (let i = 0; i < ADDRESSES; i++) {
        flow.daddr = addresses[i]!;
        if (fibLookup(initNet, flow, res) === 0 && res.nh > 0) found++;
      }
    }
    return found;
  };
}

/** All prefixes in the tables. */
function tablePrefixes(): Prefixes {
  const walk = new FibWalk();
  const dst: number[] = [];
  const len: number[] = [];
  fibWalkStart(walk, initNet, 0);
  for (const cfg = new FibConfig(); fibWalkNext(walk, cfg); ) {
    dst.push(cfg.dst);
    len.push(cfg.dstLen);
  }
  return { dst: Int32Array.from(dst), len: Uint8Array.from(len) };
}

function lookupsOfPatricia(prefixes: Prefixes, addresses: Int32Array): Lookups {
  const tree = new Patricia(prefixes.dst.length);
  for (let i = 0; i < prefixes.dst.length; i++) tree.insert(prefixes.dst[i]!, prefixes.len[i]!, i % NEXT_HOPS);
  return (rounds) => {
    let found = 0;
    for (let r = 0; r < rounds; r++) for (let i = 0; i < ADDRESSES; i++) if (tree.lookup(addresses[i]!) >= 0) found++;
    return found;
  };
}

function dotted(addr: number): string {
  return [24, 16, 8, 0].map((shift) => (addr >>> shift) & 255).join(".");
}

function lookupsOfLpm(prefixes: Prefixes, addresses: Int32Array): Lookups {
  const lpm = new LongestPrefixMatch();
  for (let i = 0; i < prefixes.dst.length; i++) lpm.addPrefix(`${dotted(prefixes.dst[i]!)}/${prefixes.len[i]!}`, i % NEXT_HOPS);
  const texts = [...addresses].map((addr) => `${dotted(addr)}/32`);
  return (rounds) => {
    let found = 0;
    for (let r = 0; r < rounds; r++) for (const text of texts) found += lpm.getMatch(text, false).length;
    return found;
  };
}

/** The set of each length, the longest first, and the next hop of each prefix. */
function lookupsOfIpSets(prefixes: Prefixes, addresses: Int32Array): Lookups {
  const sets = new Map<number, IPSet>();
  const hops = new Map<number, number>();
  for (let i = 0; i < prefixes.dst.length; i++) {
    const len = prefixes.len[i]!;
    if (!sets.has(len)) sets.set(len, new IPSet());
    sets.get(len)!.add(`${dotted(prefixes.dst[i]!)}/${len}`);
    hops.set((prefixes.dst[i]! >>> 0) * 64 + len, i % NEXT_HOPS);
  }
  const lengths = [...sets.keys()].sort((a, b) => b - a);
  const ordered = lengths.map((len) => sets.get(len)!);
  const numbers = [...addresses].map((addr) => addr >>> 0);
  const lookup = (addr: number): number => {
    for (let i = 0; i < ordered.length; i++) {
      if (!ordered[i]!.contains(addr)) continue;
      const len = lengths[i]!;
      return hops.get((len === 0 ? 0 : (addr & (-1 << (32 - len))) >>> 0) * 64 + len)!;
    }
    return -1;
  };
  return (rounds) => {
    let found = 0;
    for (let r = 0; r < rounds; r++) for (const number of numbers) if (lookup(number) >= 0) found++;
    return found;
  };
}

function lookupsOfIpSet(prefixes: Prefixes, addresses: Int32Array): Lookups {
  const set = new IPSet();
  for (let i = 0; i < prefixes.dst.length; i++) set.add(`${dotted(prefixes.dst[i]!)}/${prefixes.len[i]!}`);
  // It takes numbers too: the faster way in.
  const numbers = [...addresses].map((addr) => addr >>> 0);
  return (rounds) => {
    let found = 0;
    for (let r = 0; r < rounds; r++) for (const number of numbers) if (set.contains(number)) found++;
    return found;
  };
}

/** The least that any of them could take: each address is read, written and compared. */
function lookupsOfNothing(addresses: Int32Array): Lookups {
  const flow = new Flowi4();
  return (rounds) => {
    let found = 0;
    for (let r = 0; r < rounds; r++) {
      for (let i = 0; i < ADDRESSES; i++) {
        flow.daddr = addresses[i]!;
        if (flow.daddr !== 0) found++;
      }
    }
    return found;
  };
}

function measureMs(lookups: Lookups, rounds: number): number {
  const start = process.cpuUsage();
  const found = lookups(rounds);
  const { user, system } = process.cpuUsage(start);
  if (found === 0) throw new Error("not one address had a route");
  return (user + system) / 1000;
}

/** Lookups for each second of CPU time. */
export type Speeds = Record<"fib" | "patricia" | "longest-prefix-match" | "ip-set by length" | "ip-set contains" | "nothing", number>;

/** Measures all of them on a table of so many prefixes. */
export function measureRoutes(count: number): Speeds {
  const prefixes = makePrefixes(count);
  const addresses = makeAddresses(prefixes, ADDRESSES);
  loadRoutes(prefixes);
  const table = tablePrefixes();
  const contenders: readonly [keyof Speeds, Lookups][] = [
    ["fib", lookupsOfTable(addresses)], ["patricia", lookupsOfPatricia(table, addresses)],
    ["longest-prefix-match", lookupsOfLpm(table, addresses)],
    ["ip-set by length", lookupsOfIpSets(table, addresses)], ["ip-set contains", lookupsOfIpSet(table, addresses)],
    ["nothing", lookupsOfNothing(addresses)],
  ];
  const speeds: Speeds = { fib: 0, patricia: 0, "longest-prefix-match": 0, "ip-set by length": 0, "ip-set contains": 0, nothing: 0 };
  const rounds = contenders.map(([, lookups]) => {
    let enough = 1;
    for (let ms = measureMs(lookups, 1); ms < MEASURE_MS; ms = measureMs(lookups, enough)) enough *= ms < MEASURE_MS / 10 ? 8 : 2;
    return enough;
  });
  for (let round = 0; round < ROUNDS; round++) {
    contenders.forEach(([name, lookups], i) => {
      const ms = measureMs(lookups, rounds[i]!);
      speeds[name] = Math.max(speeds[name], Math.round((rounds[i]! * ADDRESSES * 1000) / ms));
    });
  }
  return speeds;
}
