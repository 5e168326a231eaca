/**
 * A private network namespace of one test, with a TAP in it, and the programs that run there: the real tools on the Linux
 * side, a board (a sketch over the TAP HAL, in a process of its own) on the other. Everything started here is ended here.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { accessSync, constants } from "node:fs";
import { fileURLToPath } from "node:url";
import type { ExecutionContext } from "ava";
import type { BoardPlan } from "./board.ts";
import type { ClientsPlan } from "./clients.ts";
import type { ServicesPlan } from "./services.ts";

export const LINUX_ADDR = "10.0.0.1";
export const BOARD_ADDR = "10.0.0.2";
const TAP = "tap0";
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const BOARD_READY = /\bready\b/;
const START_TIMEOUT_MS = 60_000;

export interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const isRoot = process.getuid?.() === 0;

/** Why interop tests cannot run on this machine, or null. */
export function interopMissing(tools: readonly string[]): string | null {
  try {
    accessSync("/dev/net/tun", constants.R_OK | constants.W_OK);
  } catch {
    return "no access to /dev/net/tun";
  }
  if (spawnSync("unshare", isRoot ? ["-n", "true"] : ["-rn", "true"]).status !== 0) return "no network namespace can be made";
  for (const tool of ["ip", "nsenter", ...tools]) {
    if (spawnSync("which", [tool]).status !== 0) return `${tool} is not installed`;
  }
  return null;
}

/** A program's standard output, hashed and counted instead of kept. */
export interface Digest {
  readonly code: number | null;
  readonly bytes: number;
  readonly sha256: string;
  readonly stderr: string;
}

export class Netns {
  private readonly holder: ChildProcess;
  private readonly children = new Set<ChildProcess>();

  private constructor(holder: ChildProcess) {
    this.holder = holder;
  }

  /** A namespace with loopback and the TAP up, the Linux side at 10.0.0.1/24; gone at the end of the test. */
  static async create(t: ExecutionContext): Promise<Netns> {
    const flags = isRoot ? ["-n"] : ["-rn"];
    const holder = spawn("unshare", [...flags, "sh", "-c", "echo up; exec sleep 3600"], { stdio: ["ignore", "pipe", "inherit"] });
    await new Promise<void>((resolve, reject) => {
      holder.stdout!.once("data", () => resolve());
      holder.once("exit", () => reject(new Error("unshare ended")));
    });
    const netns = new Netns(holder);
    t.teardown(() => netns.destroy());
    await netns.must("ip", "link", "set", "lo", "up");
    await netns.must("ip", "tuntap", "add", "dev", TAP, "mode", "tap");
    // IPv6's own chatter is not what the tests look at.
    await netns.run("sysctl", ["-qw", `net.ipv6.conf.${TAP}.disable_ipv6=1`]);
    await netns.must("ip", "addr", "add", `${LINUX_ADDR}/24`, "dev", TAP);
    await netns.must("ip", "link", "set", TAP, "up");
    return netns;
  }

  /** Starts a program inside the namespace. */
  spawn(command: string, args: readonly string[], stdin: "ignore" | "pipe" = "ignore"): ChildProcess {
    const enter = ["-t", String(this.holder.pid), "-n", ...(isRoot ? [] : ["-U", "--preserve-credentials"]), "--"];
    const child = spawn("nsenter", [...enter, command, ...args], { stdio: [stdin, "pipe", "pipe"], cwd: ROOT });
    this.children.add(child);
    child.once("exit", () => this.children.delete(child));
    return child;
  }

  /** Runs a program to its end. */
  async run(command: string, args: readonly string[], input?: string): Promise<Result> {
    const child = this.spawn(command, args, input === undefined ? "ignore" : "pipe");
    let stdout = "";
    let stderr = "";
    child.stdout!.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr!.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    if (input !== undefined) child.stdin!.end(input);
    const code = await ended(child);
    return { code, stdout, stderr };
  }

  /** Runs a program whose output is large. */
  async digest(command: string, args: readonly string[]): Promise<Digest> {
    const child = this.spawn(command, args);
    const hash = createHash("sha256");
    let bytes = 0;
    let stderr = "";
    child.stdout!.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      hash.update(chunk);
    });
    child.stderr!.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    const code = await ended(child);
    return { code, bytes, sha256: hash.digest("hex"), stderr };
  }

  /** Runs a program that must succeed. */
  async must(command: string, ...args: string[]): Promise<string> {
    const result = await this.run(command, args);
    if (result.code !== 0) throw new Error(`${command} ${args.join(" ")}: status ${String(result.code)}: ${result.stderr}`);
    return result.stdout;
  }

  /**
   * Turns tail loss probes off, on the Linux side and by these options on the board's: both send one when an ACK takes longer
   * than two round trips of a fifth of a millisecond, as it does whenever a machine of two cores is busy elsewhere. With
   * them a repeated segment says nothing of a loss.
   */
  async withoutProbes(): Promise<readonly string[]> {
    await this.run("sysctl", ["-qw", "net.ipv4.tcp_early_retrans=0"]);
    return ["--sysctl", "tcp_early_retrans=0"];
  }

  /** Boots a board with a sketch on the TAP; `options` go to `npm run board` as they are. */
  async board(sketch: string, options: readonly string[] = []): Promise<Board> {
    const child = this.spawn(process.execPath, [
      "--import=tsx", "hal/node/board.ts", sketch, "--tap", TAP, "--addr", `${BOARD_ADDR}/24`, ...options,
    ]);
    const board = new Board(child);
    await board.ready();
    return board;
  }

  /** Boots a board for tests of IP itself (board.ts). */
  async ipBoard(plan: BoardPlan): Promise<Board> {
    const board = new Board(this.spawn(process.execPath, ["--import=tsx", "test/interop/board.ts", JSON.stringify(plan)]));
    await board.ready();
    return board;
  }

  /** Boots a board for tests of the services (services.ts). */
  async services(plan: ServicesPlan): Promise<Board> {
    const board = new Board(this.spawn(process.execPath, ["--import=tsx", "test/interop/services.ts", JSON.stringify(plan)]));
    await board.ready();
    return board;
  }

  /** Boots a board for tests of clients and servers (clients.ts). */
  async clients(plan: ClientsPlan): Promise<Board> {
    const board = new Board(this.spawn(process.execPath, ["--import=tsx", "test/interop/clients.ts", JSON.stringify(plan)]));
    await board.ready();
    return board;
  }

  /** Joins this namespace to another one, which plays a Linux host: veth0 here, veth1 there. */
  async joinLinux(other: Netns, here: string, there: string): Promise<void> {
    await this.must("ip", "link", "add", "veth0", "type", "veth", "peer", "name", "veth1", "netns", String(other.pid));
    await this.must("ip", "addr", "add", here, "dev", "veth0");
    await this.must("ip", "link", "set", "veth0", "up");
    await other.must("ip", "addr", "add", there, "dev", "veth1");
    await other.must("ip", "link", "set", "veth1", "up");
  }

  /** The process that holds the namespace, as `ip link set … netns` wants it. */
  get pid(): number {
    return this.holder.pid!;
  }

  private async destroy(): Promise<void> {
    const endings = [...this.children].map((child) => {
      child.kill("SIGKILL");
      return ended(child);
    });
    this.holder.kill("SIGKILL");
    await Promise.all(endings);
  }
}

function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode);
  return new Promise((resolve) => child.once("close", (code) => resolve(code)));
}

/** What a board prints at its end: pools (name, inUse, peak, failures) and counters. */
export interface BoardReport {
  readonly pools: readonly { name: string; size: number; inUse: number; peak: number; failures: number }[];
  /** In use when the sketch had started and nothing had happened yet. */
  readonly inUseAtStart: number;
  readonly inUseAtEnd: number;
  readonly counters: Readonly<Record<string, number>>;
  readonly drops: Readonly<Record<string, number>>;
}

/** A running board process. */
export class Board {
  private readonly child: ChildProcess;
  private output = "";
  private errors = "";
  private asked = 0;

  constructor(child: ChildProcess) {
    this.child = child;
    child.stdout!.on("data", (chunk: Buffer) => (this.output += chunk.toString()));
    child.stderr!.on("data", (chunk: Buffer) => (this.errors += chunk.toString()));
  }

  /** Everything it printed. */
  get text(): string {
    return this.output + this.errors;
  }

  get pid(): number {
    return this.child.pid!;
  }

  async ready(): Promise<void> {
    await this.printed(BOARD_READY, START_TIMEOUT_MS);
  }

  /** Waits until it has printed something that matches. */
  async printed(pattern: RegExp, timeoutMs: number): Promise<RegExpMatchArray> {
    const until = Date.now() + timeoutMs;
    for (;;) {
      const match = this.output.match(pattern);
      if (match !== null) return match;
      if (this.child.exitCode !== null || Date.now() > until) {
        throw new Error(`the board did not print ${String(pattern)}: ${this.text}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Ends it as a power cut does. */
  kill(): void {
    this.child.kill("SIGKILL");
  }

  /** Has a board of services.ts ask its servers again. */
  askAgain(): void {
    this.child.kill("SIGUSR1");
  }

  /** The connections that a board with connection tracking knows, as JSON of a text. */
  async connections(): Promise<string> {
    this.asked++;
    this.child.kill("SIGUSR2");
    return (await this.printed(new RegExp(`^connections ${this.asked}: (.*)$`, "m"), START_TIMEOUT_MS))[1]!;
  }

  get alive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Ends the board as Ctrl-C does, once it has been idle long enough to have given everything back, and reads its report. */
  async stop(): Promise<BoardReport> {
    this.child.kill("SIGINT");
    await ended(this.child);
    const match = this.output.match(/^report: (.*)$/m);
    if (match === null) throw new Error(`the board printed no report: ${this.text}`);
    return JSON.parse(match[1]!) as BoardReport;
  }
}
