/**
 * `bench syn`: a board of preset small under a flood of SYNs, while honest clients fetch a page from it once a second, without a
 * defence, with SYN cookies, with the SYN guard, and with both. All in virtual time: the board's program is as fast as the line, and
 * what there is too little of is half-open connections. Some three minutes of an idle machine; ../syn.md has the table.
 */
import { SKB_DROP_REASON_NAMES, SKB_DROP_REASON_TCP_REQQFULL } from "../../../src/uapi/drop-reason.ts";
import { LINUX_MIB_SYNCOOKIESSENT } from "../../../src/uapi/snmp.ts";
import { type Kernel, World } from "../../sim/world.ts";
import { Clients, PATIENCE_MS, serve } from "./clients.ts";
import { Flood, type Sources } from "./flood.ts";
import { measureWork, type Work } from "./work.ts";

export interface SynRun {
  /** SYNs per second. */
  readonly rate: number;
  readonly sources: "1" | "256" | "random";
  readonly defence: Defence;
  /** The share of honest fetches that ended within three seconds. */
  readonly honestCompleted: number;
  readonly medianDelayMs: number;
  /** Half-open connections in use at once, of the four that there are. */
  readonly entriesPeak: number;
  readonly honest: number;
  readonly syns: number;
  /** What the board dropped, by reason; what the guard dropped among it. */
  readonly drops: Readonly<Record<string, number>>;
  /** Compute units of a SYN in the mean, by what became of each (work.ts). */
  readonly workPerSyn: number;
}

type Defence = "none" | "cookies" | "guard" | "both";

const RATES = [100, 1000, 10_000, 100_000];
const SOURCES: readonly Sources[] = [1, 256, 0];
const DEFENCES: readonly Defence[] = ["none", "cookies", "guard", "both"];
/** For how long clients begin to fetch: at the highest rate less, since each SYN takes its time to simulate. */
const DURATION_MS = 10_000;
const SHORT_DURATION_MS = 2000;
const SHORT_FROM_RATE = 100_000;
const LINE = { delayMs: 1, rateBps: 100_000_000 };
const PORT = 80;
const BACKLOG = 8;
/** Reasons below are no drops. */
const FIRST_REASON = 2;

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.length === 0 ? NaN : sorted[sorted.length >> 1]!;
}

/** @param before what had been dropped when the flood began */
function dropsOf(kernel: Kernel, before: readonly number[]): Record<string, number> {
  const drops: Record<string, number> = {};
  kernel.allDrops().forEach((count, reason) => {
    if (reason >= FIRST_REASON && count > before[reason]!) drops[SKB_DROP_REASON_NAMES[reason]!] = count - before[reason]!;
  });
  const guard = { unseen: kernel.SYN_GUARD_UNSEEN, tooMany: kernel.SYN_GUARD_TOO_MANY };
  for (const [name, what] of Object.entries(guard)) {
    const count = kernel.synGuardCount(what);
    if (count > 0) drops[`guard: ${name}`] = count;
  }
  return drops;
}

/** What became of the SYNs, at what each fate costs. */
function workOf(kernel: Kernel, work: Work, syns: number): number {
  const unseen = kernel.synGuardCount(kernel.SYN_GUARD_UNSEEN);
  const tooMany = kernel.synGuardCount(kernel.SYN_GUARD_TOO_MANY);
  const passed = kernel.synGuardCount(kernel.SYN_GUARD_PASSED);
  const cookies = kernel.mib(LINUX_MIB_SYNCOOKIESSENT);
  const full = kernel.drops(SKB_DROP_REASON_TCP_REQQFULL) - unseen - tooMany;
  const requests = Math.max(0, syns - unseen - tooMany - cookies - full);
  return Math.round((
    unseen * work.unseen + tooMany * work["too-many"] + passed * (work.passed - work.cookie) + cookies * work.cookie
    + full * work.full + requests * work.request
  ) / (unseen + tooMany + cookies + full + requests));
}

/** One run. */
export function synRun(rate: number, sources: Sources, defence: Defence, work: Work): SynRun {
  const world = new World({ seed: 1, wire: LINE, boardParts: (kernel) => [kernel.synGuard] });
  const { host, board } = world;
  const { kernel } = board;
  kernel.setSyncookies(defence === "cookies" || defence === "both" ? 1 : 0);
  kernel.setSynGuard(defence === "guard" || defence === "both" ? kernel.SYN_GUARD_AUTO : kernel.SYN_GUARD_OFF);
  const [hostPort, boardPort] = world.wire.ports as [(typeof world.wire.ports)[0], (typeof world.wire.ports)[0]];
  // What the board answers to made-up addresses goes out into the world behind the gateway, and is not heard of again.
  const receive = hostPort.receive;
  hostPort.receive = (frame) => {
    if (frame[30] === host.addr >>> 24) receive(frame);
  };
  const clients = new Clients(world);
  const flood = new Flood(world, boardPort, rate, sources, 7);
  world.addStep(serve(world.listen(board, PORT, BACKLOG)));
  world.addStep(clients.step);
  const duration = rate >= SHORT_FROM_RATE ? SHORT_DURATION_MS : DURATION_MS;
  const before = kernel.allDrops();
  flood.start();
  clients.start(duration);
  world.runFor(duration + PATIENCE_MS);
  flood.stop();
  return {
    rate,
    sources: sources === 0 ? "random" : sources === 1 ? "1" : "256",
    defence,
    honestCompleted: Number((clients.delaysMs.length / clients.started).toFixed(4)),
    medianDelayMs: Math.round(median(clients.delaysMs)),
    entriesPeak: kernel.poolPeak("request_sock_TCP"),
    honest: clients.started,
    syns: flood.sent,
    drops: dropsOf(kernel, before),
    workPerSyn: workOf(kernel, work, flood.sent + clients.started),
  };
}

export async function benchSyn(): Promise<{ work: Work; runs: SynRun[] }> {
  const work = await measureWork();
  const runs = RATES.flatMap((rate) => SOURCES.flatMap((sources) => DEFENCES.map((defence) => synRun(rate, sources, defence, work))));
  console.error(synTable(runs));
  return { work, runs };
}

/** The result as a table in Markdown: for each defence the share completed, the median delay, and thousands of compute units per SYN. */
function synTable(runs: readonly SynRun[]): string {
  const rows = RATES.flatMap((rate) => SOURCES.map((_, index) => {
    const of = runs.filter((run) => run.rate === rate).slice(index * DEFENCES.length, (index + 1) * DEFENCES.length);
    const cells = of.map((run) => `${(100 * run.honestCompleted).toFixed(1)} %${Number.isNaN(run.medianDelayMs) ? "" : `, ${run.medianDelayMs} ms`}, ${(run.workPerSyn / 1000).toFixed(1)}`);
    return `| ${rate} | ${of[0]!.sources} | ${cells.join(" | ")} |`;
  }));
  return ["| SYN/s | sources | none | cookies | guard | both |", "|--:|---|--:|--:|--:|--:|", ...rows].join("\n");
}
