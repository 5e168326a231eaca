/**
 * `bench loss`, the peer: two Linux kernels, each a network namespace with a TAP, joined by the same impairing wire that our
 * kernels are on in the simulation. To be run as root of network and process namespaces of its own (bench.ts sees to it: they end with it):
 *
 *   linux.ts '[{"loss":0.01,"delayMs":20,"seconds":30,"flows":4,"rcvbuf":13240,"seed":1}]'
 *
 * Runs all these jobs at once and prints one line of JSON: their outcomes in order.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { RealScheduler } from "../../../hal/node/real-scheduler.ts";
import { Wire } from "../../../hal/mock/wire.ts";
import { attachTap, TapFile } from "../../../hal/node/tap.ts";
import { RATE_BPS } from "../../sim/sweep.ts";

export interface Job {
  readonly loss: number;
  readonly delayMs: number;
  readonly seconds: number;
  readonly flows: number;
  readonly rcvbuf: number;
  readonly seed: number;
}

/** What each flow's receiver got, in bytes. */
export type Outcome = readonly number[];

const FLOWS = fileURLToPath(new URL("./flows.py", import.meta.url));
const ADDRESSES = ["10.9.0.1", "10.9.0.2"] as const;
const MACS = ["02:00:00:00:00:01", "02:00:00:00:00:02"] as const;

/** One kernel: the process that keeps its namespace alive. */
function startKernel(): Promise<ChildProcess> {
  const holder = spawn("unshare", ["--net", "sh", "-c", "echo up; exec sleep 7200"], { stdio: ["ignore", "pipe", "inherit"] });
  return new Promise((resolve, reject) => {
    holder.stdout!.once("data", () => resolve(holder));
    holder.once("exit", () => reject(new Error("unshare ended")));
  });
}

/** Puts the TAP into the namespace and sets it up; everyone knows everyone's hardware address, as in the simulation. */
function configure(pid: number, tap: string, self: 0 | 1): void {
  const other = self === 0 ? 1 : 0;
  execFileSync("ip", ["link", "set", tap, "netns", String(pid)]);
  const setup = `
    sysctl -qw net.ipv6.conf.${tap}.disable_ipv6=1 net.ipv4.tcp_no_metrics_save=1
    ip link set lo up
    ip link set ${tap} address ${MACS[self]}
    ip addr add ${ADDRESSES[self]}/24 dev ${tap}
    ip link set ${tap} up
    ip neigh replace ${ADDRESSES[other]} lladdr ${MACS[other]} dev ${tap} nud permanent`;
  execFileSync("nsenter", ["-t", String(pid), "-n", "sh", "-ec", setup], { stdio: ["ignore", "ignore", "inherit"] });
}

function transfer(sender: number, receiver: number, { seconds, flows, rcvbuf }: Job): Promise<Outcome> {
  const args = [sender, receiver, ADDRESSES[1], seconds, flows, rcvbuf].map(String);
  const child = spawn("python3", [FLOWS, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.once("close", (code) => {
      if (code === 0) resolve(JSON.parse(text) as Outcome);
      else reject(new Error(`flows.py ${args.join(" ")}: status ${String(code)}`));
    });
  });
}

async function runJob(job: Job, index: number, scheduler: RealScheduler): Promise<Outcome> {
  const { loss, delayMs, seed } = job;
  const wire = new Wire(scheduler, { loss, delayMs, seed, rateBps: RATE_BPS });
  const kernels = [await startKernel(), await startKernel()] as const;
  const taps = kernels.map(({ pid }, self) => {
    const tap = `loss${index}${self === 0 ? "a" : "b"}`;
    const file = new TapFile(tap);
    configure(pid!, tap, self === 0 ? 0 : 1);
    attachTap(wire, file, tap);
    return file;
  });
  try {
    return await transfer(kernels[0].pid!, kernels[1].pid!, job);
  } finally {
    for (const file of taps) file.close();
    for (const holder of kernels) holder.kill("SIGKILL");
  }
}

const jobs = JSON.parse(process.argv[2] ?? "[]") as readonly Job[];
const scheduler = new RealScheduler();
const outcomes = await Promise.all(jobs.map((job, index) => runJob(job, index, scheduler)));
process.stdout.write(`${JSON.stringify(outcomes)}\n`, () => process.exit(0));
