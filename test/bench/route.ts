/**
 * `bench route`: the routing table beside the longest-prefix libraries of npm and a plain patricia tree: bytes, depths, lookups
 * for each second of CPU time (others may be busy on the machine), all in one run, and compute units of a lookup in XS.
 */
import IPSet from "ip-set";
import LongestPrefixMatch from "longest-prefix-match";
import { boot, initNet } from "../../src/boot.ts";
import { budget } from "../../src/budget.ts";
import { devGetByName, devOpen } from "../../src/netif/dev.ts";
import { vethCreate } from "../../src/netif/veth.ts";
import { fibGetTable } from "../../src/stack/ipv4/fib-alias.ts";
import { FibConfig } from "../../src/stack/ipv4/fib-config.ts";
import { fibTableInsert } from "../../src/stack/ipv4/fib-frontend.ts";
import { fibLookup } from "../../src/stack/ipv4/fib-lookup.ts";
import { FibResult, Flowi4, flowi4Init } from "../../src/stack/ipv4/flow.ts";
import { NLM_F_CREATE } from "../../src/uapi/netlink.ts";
import { RT_SCOPE_LINK, RT_TABLE_MAIN } from "../../src/uapi/rtnetlink.ts";
import { makeAddresses, makePrefixes, type Prefixes } from "../lib/prefixes.ts";
import { checkTrie } from "../unit/ipv4/fib-check.ts";
import { buildBundle, XsBoard } from "../xs/measure.ts";
import { Patricia } from "./patricia.ts";

const COUNTS = [16, 256, 1_000, 100_000] as const;
/** Next hops that the prefixes share. */
const NEXT_HOPS = 4;
const ADDRESSES = 4096;
/** CPU time of one measurement, and how many of them; the best counts, as the worse ones were disturbed. */
const MEASURE_MS = 150;
const ROUNDS = 5;
const XS_LOOKUPS = 4_000;
/** Routes and fib_info of the addresses of loopback and the device, beside the prefixes. */
const OWN_ROUTES = 8;
const OWN_INFOS = 6;

const POOLS = /^(fib|fib_.*|ip_fib_.*|ip_fnhe)$/;

function dotted(addr: number): string {
  return [24, 16, 8, 0].map((shift) => (addr >>> shift) & 255).join(".");
}

/** Bytes of every structure of the routing tables on a 32-bit board that has so many routes and next hops. */
function fibBytes(routes: number): number {
  const { pools } = budget({ preset: "tiny", routes, fibInfos: OWN_INFOS });
  return pools.filter((pool) => POOLS.test(pool.name)).reduce((sum, pool) => sum + pool.bytes, 0);
}

/** Boots a stack whose main table has the prefixes. */
export function loadRoutes(prefixes: Prefixes): void {
  const count = prefixes.dst.length;
  boot({ preset: "small", routes: count + OWN_ROUTES, fibInfos: NEXT_HOPS + OWN_INFOS });
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

/** Lookups for each second of CPU time. @param lookups answers how many it found, so that no engine can leave them out */
function perSecond(lookups: (rounds: number) => number): number {
  let rounds = 1;
  let best = 0;
  for (let i = 0; i < ROUNDS; ) {
    const start = process.cpuUsage();
    const found = lookups(rounds);
    const { user, system } = process.cpuUsage(start);
    const ms = (user + system) / 1000;
    if (found === 0) throw new Error("not one address had a route");
    if (ms < MEASURE_MS) {
      rounds *= ms < MEASURE_MS / 10 ? 8 : 2;
      continue;
    }
    best = Math.max(best, (rounds * ADDRESSES * 1000) / ms);
    i++;
  }
  return Math.round(best);
}

interface TableResult {
  prefixes: number;
  bytesPerPrefix: number;
  totalBytes: number;
  meanDepth: number;
  worstDepth: number;
  lookupsPerSecond: number;
  /** The fastest library of npm in the same run, and how many times faster ours is. */
  peer: string;
  peerPerSecond: number;
  ratio: number;
  patriciaPerSecond: number;
  patriciaRatio: number;
  libraries: Record<string, number>;
  xsCompute: number;
}

function measureOurs(addresses: Int32Array): number {
  const flow = new Flowi4();
  const res = new FibResult();
  flowi4Init(flow, 0, 0, 0, 0, 0);
  return perSecond((rounds) => {
    let found = 0;
    for (let r = 0; r < rounds; r++) {
      for (let i = 0; i < ADDRESSES; i++) {
        flow.daddr = addresses[i]!;
        if (fibLookup(initNet, flow, res) === 0) found++;
      }
    }
    return found;
  });
}

function measurePatricia(prefixes: Prefixes, addresses: Int32Array): number {
  const tree = new Patricia(prefixes.dst.length);
  for (let i = 0; i < prefixes.dst.length; i++) tree.insert(prefixes.dst[i]!, prefixes.len[i]!, i);
  return perSecond((rounds) => {
    let found = 0;
    for (let r = 0; r < rounds; r++) for (let i = 0; i < ADDRESSES; i++) if (tree.lookup(addresses[i]!) >= 0) found++;
    return found;
  });
}

function measureLibraries(prefixes: Prefixes, addresses: Int32Array): Record<string, number> {
  const lpm = new LongestPrefixMatch();
  const set = new IPSet();
  for (let i = 0; i < prefixes.dst.length; i++) {
    const text = `${dotted(prefixes.dst[i]!)}/${prefixes.len[i]!}`;
    lpm.addPrefix(text, i);
    set.add(text);
  }
  const texts = [...addresses].map((addr) => `${dotted(addr)}/32`);
  // The set takes numbers too: the faster way in.
  const numbers = [...addresses].map((addr) => addr >>> 0);
  return {
    "longest-prefix-match": perSecond((rounds) => {
      let found = 0;
      for (let r = 0; r < rounds; r++) for (const text of texts) found += lpm.getMatch(text, false).length;
      return found;
    }),
    "ip-set": perSecond((rounds) => {
      let found = 0;
      for (let r = 0; r < rounds; r++) for (const number of numbers) if (set.contains(number)) found++;
      return found;
    }),
  };
}

export async function benchRoute(): Promise<{ tables: TableResult[] }> {
  buildBundle();
  const tables: TableResult[] = [];
  for (const count of COUNTS) {
    const prefixes = makePrefixes(count);
    const addresses = makeAddresses(prefixes, ADDRESSES);
    const totalBytes = fibBytes(count);
    loadRoutes(prefixes);
    const shape = checkTrie(fibGetTable(initNet, RT_TABLE_MAIN));
    const ours = measureOurs(addresses);
    const patricia = measurePatricia(prefixes, addresses);
    const libraries = measureLibraries(prefixes, addresses);
    const [peer, peerPerSecond] = Object.entries(libraries).sort((a, b) => b[1] - a[1])[0]!;
    const board = await XsBoard.start();
    await board.boot({ preset: "small", routes: count + OWN_ROUTES, fibInfos: NEXT_HOPS + OWN_INFOS });
    await board.attach();
    const xsCompute = await board.measureLookups(count, XS_LOOKUPS);
    await board.close();
    tables.push({
      prefixes: count,
      bytesPerPrefix: Math.round((totalBytes / count) * 10) / 10,
      totalBytes,
      meanDepth: Math.round((shape.depths / shape.leaves) * 100) / 100,
      worstDepth: shape.worstDepth,
      lookupsPerSecond: ours,
      peer,
      peerPerSecond,
      ratio: Math.round((ours / peerPerSecond) * 10) / 10,
      patriciaPerSecond: patricia,
      patriciaRatio: Math.round((ours / patricia) * 100) / 100,
      libraries,
      xsCompute,
    });
  }
  return { tables };
}
