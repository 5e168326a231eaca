/**
 * `bench host`: the stack on Node, two hosts of it in one thread, beside Node's own sockets over Linux's loopback in the same
 * run. Figures are units of work for each second of CPU time (others may be busy on the machine), user and system, of both
 * ends together.
 *
 * Linux's side is no simple one: its loopback has an MTU of 64 KB and no checksums, ours goes in segments of 1448 bytes that
 * are summed at both ends. What either spends in Node's event loop is a part of how programs use it.
 */
import { CASES, type CaseName } from "./cases.ts";
import { nodePeer } from "./node.ts";
import { type Cable, Ours } from "./ours.ts";

/** CPU time of one measurement, and how many of them; the best counts, as the worse ones were disturbed. */
const MEASURE_MS = 200;
const ROUNDS = 5;
/** Connections in one measurement of Linux: it has 28,000 ports, and each is in TIME_WAIT for a minute. */
const LINUX_CONNECTIONS = 1000;

export interface HostCase {
  readonly case: string;
  readonly unit: string;
  /** For each second of CPU time. */
  readonly ours: number;
  readonly peer: string;
  readonly theirs: number;
  readonly ratio: number;
  /** CPU time of one unit. */
  readonly oursMicroseconds: number;
  readonly theirsMicroseconds: number;
}

/** Units for each second of CPU time. */
async function perSecond(run: (times: number) => void | Promise<void>, most = Infinity): Promise<number> {
  let times = 1;
  let best = 0;
  for (let round = 0; round < ROUNDS; ) {
    const start = process.cpuUsage();
    await run(times);
    const { user, system } = process.cpuUsage(start);
    const ms = (user + system) / 1000;
    if (ms < MEASURE_MS && times < most) {
      times = Math.min(most, times * (ms < MEASURE_MS / 10 ? 8 : 2));
      continue;
    }
    best = Math.max(best, (times * 1000) / ms);
    round++;
  }
  return best;
}

async function measureOurs(name: CaseName, cable: Cable): Promise<number> {
  const ours = new Ours(name, cable);
  return perSecond((times) => ours.run(name, times));
}

async function measureTheirs(name: CaseName): Promise<number> {
  const peer = await nodePeer(name);
  const rate = await perSecond((times) => peer.run(times), name === "tcp-connclose" ? LINUX_CONNECTIONS : Infinity);
  peer.close();
  return rate;
}

function rounded(value: number): number {
  return Number(value.toPrecision(4));
}

export async function benchHost(): Promise<{ node: string; cases: HostCase[] }> {
  const cases: HostCase[] = [];
  for (const [name, unit] of CASES) {
    const theirs = await measureTheirs(name);
    for (const cable of ["veth", "wire"] as const) {
      const ours = await measureOurs(name, cable);
      cases.push({
        case: cable === "veth" ? name : `${name}-wire`,
        unit,
        ours: rounded(ours),
        peer: "Node's sockets over Linux's loopback",
        theirs: rounded(theirs),
        ratio: rounded(ours / theirs),
        oursMicroseconds: rounded(1e6 / ours),
        theirsMicroseconds: rounded(1e6 / theirs),
      });
    }
  }
  return { node: process.version, cases };
}
