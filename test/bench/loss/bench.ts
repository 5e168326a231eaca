/**
 * `bench loss`: the goodput of transfers over lines that lose frames, between two of our kernels (in virtual time) and
 * between two Linux kernels (in real time), over the same wire with the same receive window, MSS and congestion control
 * (CUBIC). Five minutes of an idle machine (a busy one slows Linux down, not us); takes root or unprivileged user namespaces,
 * and a TAP.
 *
 * A figure is the mean over several flows, each with losses of its own, that send for a fixed time: at 20 % some wait for
 * minutes of exponential backoff, and to wait for them would measure little else.
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type Point, POINTS } from "../../sim/sweep.ts";
import type { Job, Outcome } from "./linux.ts";
import { oursAt } from "./ours.ts";

export interface LossCase {
  readonly case: string;
  readonly windowKb: number;
  readonly lossPercent: number;
  readonly delayMs: number;
  /** How many flows there were, and for how long. */
  readonly flows: number;
  readonly seconds: number;
  /** Goodput of one in KB/s. */
  readonly ours: number;
  readonly peer: string;
  readonly theirs: number;
  readonly ratio: number;
  /** Standard errors of both means in percent: what the ratio may be wrong by. */
  readonly oursErrorPercent: number;
  readonly theirsErrorPercent: number;
  /** The receive window, not the losses, sets the pace. */
  readonly windowLimited: boolean;
}

const LINUX = fileURLToPath(new URL("./linux.ts", import.meta.url));
/** What Linux gets without loss is the window's; with more than so much of it the window still sets the pace. */
const WINDOW_LIMITED = 0.8;

interface Plan {
  readonly flows: number;
  readonly seconds: number;
  /** Points of one batch run at the same time. */
  readonly batch: string;
}

/** The faster the line, the fewer flows side by side: Linux is to wait for the line, not for the machine. */
function planOf({ receiver, loss, delayMs }: Point): Plan {
  if (loss >= 0.2) return { flows: 24, seconds: 40, batch: "20 %" };
  if (delayMs >= 20) return { flows: loss >= 0.05 ? 8 : loss >= 0.01 ? 4 : 1, seconds: delayMs === 20 ? 20 : 40, batch: `${delayMs} ms` };
  return { flows: loss >= 0.05 ? 8 : 1, seconds: 4, batch: `${receiver.kilobytes} KB, ${loss * 100} %` };
}

function seedOf(point: Point): number {
  return POINTS.indexOf(point) * 100 + 1;
}

/** Runs jobs beside each other, in namespaces that end with it. */
function linuxRuns(jobs: readonly Job[]): Promise<readonly Outcome[]> {
  const unshare = ["--net", "--pid", "--fork", "--kill-child", "--mount-proc", ...(process.getuid?.() === 0 ? [] : ["--map-root-user"])];
  const args = [...unshare, process.execPath, "--import=tsx", LINUX, JSON.stringify(jobs)];
  // A thread of libuv's pool waits for each TAP.
  const env = { ...process.env, UV_THREADPOOL_SIZE: String(2 * jobs.length + 4) };
  const child = spawn("unshare", args, { stdio: ["ignore", "pipe", "inherit"], env });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.once("close", (code) => {
      if (code === 0) resolve(JSON.parse(text) as Outcome[]);
      else reject(new Error(`the Linux side ended with status ${String(code)}`));
    });
  });
}

async function theirsAt(points: readonly Point[]): Promise<ReadonlyMap<Point, Outcome>> {
  const outcomes = new Map<Point, Outcome>();
  for (const name of new Set(points.map((point) => planOf(point).batch))) {
    const batch = points.filter((point) => planOf(point).batch === name);
    const jobs = batch.map((point): Job => {
      const { loss, delayMs, receiver } = point;
      const { seconds, flows } = planOf(point);
      return { loss, delayMs, seconds, flows, rcvbuf: receiver.linuxRcvbuf, seed: seedOf(point) };
    });
    (await linuxRuns(jobs)).forEach((outcome, index) => outcomes.set(batch[index]!, outcome));
    console.error(`loss: Linux has done ${outcomes.size} of ${points.length} points`);
  }
  return outcomes;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, one) => sum + one, 0) / values.length;
}

function errorPercent(values: readonly number[]): number {
  const middle = mean(values);
  const variance = values.reduce((sum, one) => sum + (one - middle) ** 2, 0) / Math.max(1, values.length - 1);
  return (100 * Math.sqrt(variance / values.length)) / middle;
}

function rounded(value: number, digits = 4): number {
  return Number(value.toPrecision(digits));
}

export async function benchLoss(points: readonly Point[] = POINTS): Promise<{ cases: LossCase[] }> {
  const outcomes = await theirsAt(points);
  const cases = points.map((point): LossCase => {
    const { receiver, loss, delayMs } = point;
    const { flows, seconds } = planOf(point);
    const ours = oursAt(point, seconds, flows, seedOf(point));
    const theirs = outcomes.get(point)!;
    const lossless = points.find((one) => one.receiver === receiver && one.delayMs === delayMs && one.loss === 0) ?? point;
    const allowed = mean(outcomes.get(lossless)!) / planOf(lossless).seconds;
    return {
      case: `${receiver.kilobytes} KB window, ${loss * 100} % lost, ${delayMs} ms`,
      windowKb: receiver.kilobytes,
      lossPercent: loss * 100,
      delayMs,
      flows,
      seconds,
      ours: rounded(mean(ours) / seconds / 1000),
      peer: "two Linux kernels",
      theirs: rounded(mean(theirs) / seconds / 1000),
      ratio: rounded(mean(ours) / mean(theirs), 3),
      oursErrorPercent: rounded(errorPercent(ours), 2),
      theirsErrorPercent: rounded(errorPercent(theirs), 2),
      windowLimited: mean(theirs) / seconds > WINDOW_LIMITED * allowed,
    };
  });
  console.error(lossTable(cases));
  return { cases };
}

/** The result as a table in Markdown. */
function lossTable(cases: readonly LossCase[]): string {
  const rows = cases.map((one) =>
    `| ${one.windowKb} | ${one.lossPercent} | ${one.delayMs} | ${one.ours} ± ${one.oursErrorPercent} % | ${one.theirs} ± `
    + `${one.theirsErrorPercent} % | ${one.ratio.toFixed(2)} | ${one.windowLimited ? "window" : "losses"} |`);
  return ["| window KB | lost % | delay ms | ours KB/s | Linux KB/s | ratio | limit |", "|--:|--:|--:|--:|--:|--:|---|", ...rows].join("\n");
}
