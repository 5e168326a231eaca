/**
 * `bench route`: the routing table beside the longest-prefix libraries of npm and a plain patricia tree: bytes, depths, lookups
 * for each second of CPU time, all in one run, and compute units of a lookup in XS.
 */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { initNet } from "../../src/boot.ts";
import { budget } from "../../src/budget.ts";
import { fibGetTable } from "../../src/stack/ipv4/fib-alias.ts";
import { RT_TABLE_MAIN } from "../../src/uapi/rtnetlink.ts";
import { makePrefixes } from "../lib/prefixes.ts";
import { checkTrie } from "../unit/ipv4/fib-check.ts";
import { buildBundle, XsBoard } from "../xs/measure.ts";
import { loadRoutes, OWN_INFOS, routeBoard, type Speeds } from "./route-lookups.ts";

const COUNTS = [16, 256, 1_000, 100_000] as const;
const XS_LOOKUPS = 4_000;
const LOOKUPS = fileURLToPath(new URL("../../dist/bench/route.js", import.meta.url));

const POOLS = /^(fib|fib_.*|ip_fib_.*|ip_fnhe)$/;

/** Bytes of every structure of the routing tables on a 32-bit board that has so many routes and next hops. */
function fibBytes(routes: number): number {
  const { pools } = budget({ preset: "tiny", routes, fibInfos: OWN_INFOS });
  return pools.filter((pool) => POOLS.test(pool.name)).reduce((sum, pool) => sum + pool.bytes, 0);
}

interface TableResult {
  prefixes: number;
  bytesPerPrefix: number;
  totalBytes: number;
  meanDepth: number;
  worstDepth: number;
  lookupsPerSecond: number;
  /** What answers the longest prefix fastest with a library of npm in the same run, and how many times faster ours is. */
  peer: string;
  peerPerSecond: number;
  ratio: number;
  /** ip-set's contains(), which answers less: whether there is a prefix at all, not which. */
  membershipPerSecond: number;
  membershipRatio: number;
  patriciaPerSecond: number;
  patriciaRatio: number;
  libraries: Record<string, number>;
  /** The loop around the lookups, alone. */
  nothingPerSecond: number;
  xsCompute: number;
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

async function measureCompute(prefixes: number): Promise<number> {
  const board = await XsBoard.start();
  await board.boot(routeBoard(prefixes));
  await board.attach();
  const compute = await board.measureLookups(prefixes, XS_LOOKUPS);
  await board.close();
  return compute;
}

export async function benchRoute(): Promise<{ tables: TableResult[] }> {
  buildBundle("xs");
  buildBundle("route");
  const tables: TableResult[] = [];
  for (const count of COUNTS) {
    const totalBytes = fibBytes(count);
    loadRoutes(makePrefixes(count));
    const shape = checkTrie(fibGetTable(initNet, RT_TABLE_MAIN));
    const speeds = JSON.parse(execFileSync(process.execPath, [LOOKUPS, String(count)], { encoding: "utf8" })) as Speeds;
    const libraries = { "longest-prefix-match": speeds["longest-prefix-match"], "ip-set by length": speeds["ip-set by length"] };
    const [peer, peerPerSecond] = Object.entries(libraries).sort((a, b) => b[1] - a[1])[0]!;
    tables.push({
      prefixes: count,
      bytesPerPrefix: rounded(totalBytes / count, 1),
      totalBytes,
      meanDepth: rounded(shape.depths / shape.leaves, 2),
      worstDepth: shape.worstDepth,
      lookupsPerSecond: speeds.fib,
      peer,
      peerPerSecond,
      ratio: rounded(speeds.fib / peerPerSecond, 1),
      membershipPerSecond: speeds["ip-set contains"],
      membershipRatio: rounded(speeds.fib / speeds["ip-set contains"], 1),
      patriciaPerSecond: speeds.patricia,
      patriciaRatio: rounded(speeds.fib / speeds.patricia, 2),
      libraries,
      nothingPerSecond: speeds.nothing,
      xsCompute: await measureCompute(count),
    });
  }
  return { tables };
}
