/**
 * `npm run sdk -- tests` and `-- clients`: runs modules of Moddable's SDK, unmodified, on a board that is a program of this machine
 * (board/; resolver/ is the same with the SDK's Resolver in place of ours), against Linux's own servers, each in a process of its own, and prints a table of the results. It is started in a network
 * namespace of its own. Arguments: the verb, the programs' folder, the SDK's, then names to run instead of all.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { type ClientCase, CLIENTS } from "./clients.ts";
import { BOARD, LINUX, Servers, sleep, TAP } from "./network.ts";

const TEST_MS = 20_000;
const CLIENT_MS = 60_000;
const LOOK_MS = 100;

/** A module of the SDK that runs on the board. */
class Run {
  printed = "";
  ended = false;
  private readonly child: ChildProcess;

  constructor(program: string, module: string, servers: Servers) {
    const board = ["--tap", TAP, "--addr", `${BOARD}/24`, "--gateway", LINUX, "--preset", "default"];
    this.child = spawn(program, [...board, "--", module, ...servers.authority], { stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.child.stdout!, this.child.stderr!]) stream.on("data", (chunk: Buffer) => (this.printed += chunk.toString()));
    this.child.once("exit", (code, signal) => {
      this.ended = true;
      this.printed += `ended: ${signal ?? code}\n`;
    });
  }

  async until(condition: () => boolean, ms: number): Promise<boolean> {
    const end = Date.now() + ms;
    while (!condition() && !this.ended && Date.now() < end) await sleep(LOOK_MS);
    return condition();
  }

  stop(): void {
    this.child.kill("SIGKILL");
  }
}

/** @returns what is wrong; undefined when nothing is */
async function runTest(run: Run): Promise<string | undefined> {
  await run.until(() => /^result: .*$/m.test(run.printed), TEST_MS);
  const [, result] = /^result: (.*)$/m.exec(run.printed) ?? [];
  return result === "pass" ? undefined : (result ?? `no result\n${run.printed}`);
}

async function runClient(run: Run, { prints, seen }: ClientCase, servers: Servers): Promise<string | undefined> {
  const missing = (): RegExp[] => prints.filter((line) => !line.test(run.printed));
  const printed = (): string => run.printed;
  const end = Date.now() + CLIENT_MS;
  for (;;) {
    try {
      seen?.(servers, printed);
      break;
    } catch (error) {
      if (run.ended || Date.now() > end) return `${(error as Error).message}\n${run.printed}`;
      await sleep(LOOK_MS);
    }
  }
  return (await run.until(() => missing().length === 0, CLIENT_MS)) ? undefined : `not printed: ${missing().join(" ")}\n${run.printed}`;
}

const [verb = "", programs = "", sdk = "", ...only] = process.argv.slice(2);
const wanted = (module: string): boolean => only.length === 0 || only.some((name) => module.includes(name));
const servers = new Servers();
let passed = 0;
let failed = 0;

function report(module: string, note: string, wrong: string | undefined, ms: number): void {
  if (wrong === undefined) passed++;
  else failed++;
  console.log(`| ${module.padEnd(34)} | ${note}${wrong === undefined ? "pass" : "FAIL"} | ${(ms / 1000).toFixed(1)} s |`);
  if (wrong !== undefined) console.error(`${module}: ${wrong}`);
}

async function main(): Promise<void> {
  await servers.startAll();
  if (verb === "tests") {
    const folder = join(sdk, "tests/modules/io/socket");
    const modules = ["tcp", "listener", "udp"].flatMap((kind) => readdirSync(join(folder, kind)).map((file) => `test/${kind}/${file.replace(/\.js$/, "")}`));
    for (const module of modules.filter(wanted)) {
      const start = Date.now();
      const run = new Run(join(programs, "board"), module, servers);
      report(module, "", await runTest(run), Date.now() - start);
      run.stop();
    }
  } else {
    for (const client of CLIENTS.filter(({ module }) => wanted(module))) {
      const start = Date.now();
      const run = new Run(join(programs, client.program ?? "board"), client.module, servers);
      report(client.module, `${client.what} | ${client.peer} | `, await runClient(run, client, servers), Date.now() - start);
      run.stop();
    }
  }
}

try {
  await main();
} finally {
  servers.stop();
}
console.log(`linnet: ${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
