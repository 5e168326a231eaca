/**
 * Lookups for each second, of the routing table and of its peers: the part of `bench route` that runs as users of the package have
 * it, bundled and in a process of its own (under a test runner every constant is a load and a check). Each answers the same
 * question: the next hop for an address; ip-set knows no next hops and answers whether there is one.
 *
 * They are measured in turns, in CPU time: others may be busy on the machine, and then all are disturbed alike.
 */
import IPSet from "ip-set";
import LongestPrefixMatch from "longest-prefix-match";
import { boot, initNet } from "../../src/boot.ts";
import { devGetByName, devOpen } from "../../src/netif/dev.ts";
import { vethCreate } from "../../src/netif/veth.ts";
import { FibConfig } from "../../src/stack/ipv4/fib-config.ts";
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
export type Speeds = Record<"fib" | "patricia" | "longest-prefix-match" | "ip-set" | "nothing", number>;

/** Measures all of them on a table of so many prefixes. */
export function measureRoutes(count: number): Speeds {
  const prefixes = makePrefixes(count);
  const addresses = makeAddresses(prefixes, ADDRESSES);
  loadRoutes(prefixes);
  const contenders: readonly [keyof Speeds, Lookups][] = [
    ["fib", lookupsOfTable(addresses)], ["patricia", lookupsOfPatricia(prefixes, addresses)],
    ["longest-prefix-match", lookupsOfLpm(prefixes, addresses)], ["ip-set", lookupsOfIpSet(prefixes, addresses)],
    ["nothing", lookupsOfNothing(addresses)],
  ];
  const speeds: Speeds = { fib: 0, patricia: 0, "longest-prefix-match": 0, "ip-set": 0, nothing: 0 };
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
