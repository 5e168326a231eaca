/**
 * `npm test`: every check of the project, in order; `npm test -- unit xs` runs only the stages named.
 *
 * Ends with one line, `linnet: N passed, N failed, N skipped`: the sum over the stages' tests, where a stage without
 * tests of its own (lint, types) counts only when it fails, and a stage that cannot run counts its files as skipped.
 */
import { spawn, spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, readdirSync } from "node:fs";
import { delimiter, dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { buildBoardTests } from "./board-tests.mjs";
import { buildTests } from "./build-tests.mjs";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const AVA = join(root, "node_modules/ava/entrypoints/cli.mjs");
const XSNAP = join(root, "node_modules/@agoric/xsnap/xsnap-native/xsnap/build/bin");

/** Debian's package of each tool that the interop tests run against the stack. */
const INTEROP_TOOLS = {
  ip: "iproute2",
  ping: "iputils-ping",
  arping: "iputils-arping",
  curl: "curl",
  nginx: "nginx-light",
  "iptables-legacy": "iptables",
  conntrack: "conntrack",
  iperf3: "iperf3",
  nc: "netcat-openbsd",
  traceroute: "traceroute",
  tshark: "tshark",
  tcpdump: "tcpdump",
  ifconfig: "net-tools",
  dnsmasq: "dnsmasq-base",
  chronyd: "chrony",
  "avahi-daemon": "avahi-daemon",
  "avahi-browse": "avahi-utils",
  "dbus-daemon": "dbus-daemon",
  mosquitto: "mosquitto",
  mosquitto_pub: "mosquitto-clients",
};

const stages = [
  { name: "lint", run: () => tool("lint") },
  { name: "types", run: () => tool("types") },
  { name: "unit", run: (stage) => ava(stage, { timeout: "2m", built: true }), prepare: prepareUnit },
  { name: "sim", run: (stage) => ava(stage, { timeout: "5m" }) },
  { name: "board", folder: "unit", run: (stage) => ava(stage, { timeout: "5m", built: true }), prepare: prepareBoard },
  { name: "xs", run: (stage) => ava(stage, { timeout: "5m", serial: true }), prepare: prepareXs },
  { name: "interop", run: (stage, wrap) => ava(stage, { timeout: "60m", serial: true, wrap }), prepare: prepareInterop },
];

/** Lines of ava's TAP that tell nothing: the frame, the sums, hooks that went well. */
const QUIET = /^(TAP version|1\.\.|# (tests|pass|skip|fail) \d+$|# (.+ › )?(before|after)(Each)?(\.always)? hook( for .+)?$|$)/;

const node = (...args) => [process.execPath, ...args];
const isRoot = process.getuid?.() === 0;
const failure = { passed: 0, failed: 1, skipped: 0 };

/** Test files of a stage. */
function testFiles(inTest) {
  const folder = join(root, "test", inTest);
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true }).filter((file) => file.endsWith(".test.ts"));
}

function tool(name) {
  const { status } = spawnSync(process.execPath, ["tools/run.mjs", name], { cwd: root, stdio: "inherit" });
  return status === 0 ? { passed: 0, failed: 0, skipped: 0 } : failure;
}

/**
 * Runs a stage's files under ava and counts its TAP. Shown are failures with their detail, skips, what tests log and, in
 * the slow stages, each test that passed.
 */
function ava(stage, { timeout, serial = false, built = false, wrap = [] }) {
  const files = built ? ["--config=ava.built.config.mjs", `dist/test/${stage}/*.test.js`] : [`test/${stage}/**/*.test.ts`];
  const args = ["--tap", `--timeout=${timeout}`, ...(serial ? ["--concurrency=1"] : []), ...files];
  const [command, ...rest] = [...wrap, ...node(AVA, ...args)];
  const child = spawn(command, rest, { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
  const counts = { passed: 0, failed: 0, skipped: 0 };
  createInterface({ input: child.stdout }).on("line", (line) => {
    const result = /^(not )?ok \d+ - .*?( # (SKIP|TODO))?$/.exec(line);
    if (result === null) {
      if (!QUIET.test(line)) console.log(line);
      return;
    }
    const [, not, skipped] = result;
    const kind = skipped !== undefined ? "skipped" : not !== undefined ? "failed" : "passed";
    counts[kind]++;
    if (kind !== "passed" || !built) console.log(line);
  });
  return new Promise((done) => {
    child.on("error", (error) => {
      console.log(`${stage}: ${error.message}`);
      done(failure);
    });
    child.on("close", (status) => {
      // ava fails for reasons that are no test: a file that does not load, an exception after the last test.
      if (status !== 0 && counts.failed === 0) counts.failed = 1;
      done(counts);
    });
  });
}

/** Bundles the unit tests and what every test requires. */
async function prepareUnit() {
  try {
    await buildTests(root, "unit", testFiles("unit"));
    return {};
  } catch {
    return { fail: "esbuild could not bundle the tests" };
  }
}

/** The same tests as a board's build makes them. */
async function prepareBoard() {
  try {
    await buildBoardTests(root, testFiles("unit").filter((file) => !file.startsWith("tools/")));
    return {};
  } catch (error) {
    return { fail: `the tests could not be built as a board's modules: ${error.message}` };
  }
}

/** Builds the bundle the XS tests load. */
function prepareXs() {
  const engine = ["lin", "mac"].some((os) => existsSync(join(XSNAP, os, "release/xsnap-worker")));
  if (!engine) return { skip: "the XS engine is not there; its installation needs make and a C compiler" };
  const rollup = join(root, "node_modules/rollup/dist/bin/rollup");
  const args = ["--silent", "-c", "rollup.config.mjs", "--configOnly", "xs"];
  const { status } = spawnSync(process.execPath, [rollup, ...args], { cwd: root, stdio: "inherit" });
  return status === 0 ? {} : { fail: "rollup could not make dist/linnet.xs.js" };
}

function onPath(name) {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  return folders.some((folder) => existsSync(join(folder, name)));
}

/** Installs the missing tools where that is ours to do: as root on Debian. Tests that still lack one skip themselves. */
function installTools() {
  const missing = Object.keys(INTEROP_TOOLS).filter((name) => !onPath(name));
  if (missing.length === 0) return;
  if (isRoot && existsSync("/etc/debian_version") && onPath("apt-get")) {
    const packages = missing.map((name) => INTEROP_TOOLS[name]);
    console.log(`interop: installing ${packages.join(" ")}`);
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    const apt = (...args) => spawnSync("apt-get", args, { env, stdio: ["ignore", "ignore", "inherit"] }).status === 0;
    const install = ["install", "-y", "-q", "--no-install-recommends", ...packages];
    if (!apt(...install) && apt("update", "-q")) apt(...install);
  }
  const lacking = missing.filter((name) => !onPath(name));
  if (lacking.length > 0) console.log(`interop: not installed, tests that need them skip: ${lacking.join(" ")}`);
}

/**
 * Finds out whether a TAP can be had, in a network namespace of the tests' own. A user who is not root becomes one there.
 * /run is private too: `ip netns` and nginx write to it.
 */
function prepareInterop() {
  if (process.platform !== "linux") return { skip: "needs Linux" };
  installTools();
  if (!onPath("unshare") || !onPath("ip")) return { skip: "needs unshare (util-linux) and ip (iproute2)" };
  try {
    accessSync("/dev/net/tun", constants.R_OK | constants.W_OK);
  } catch {
    return { skip: "/dev/net/tun is not there or not ours to open" };
  }
  const setup = 'mount -t tmpfs tmpfs /run; ip link set lo up; export PATH="$PATH:/usr/sbin:/sbin"; "$@"';
  const wrap = ["unshare", "--net", "--mount", ...(isRoot ? [] : ["--map-root-user"]), "sh", "-c", setup, "sh"];
  const [command, ...args] = [...wrap, "ip", "tuntap", "add", "dev", "linnet0", "mode", "tap"];
  const { status, stderr } = spawnSync(command, args, { encoding: "utf8" });
  return status === 0 ? { wrap } : { skip: `no TAP to be had: ${stderr.trim()}` };
}

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !stages.some((stage) => stage.name === name));
if (unknown.length > 0) {
  console.error(`linnet: no such stage: ${unknown.join(" ")}; there are ${stages.map((s) => s.name).join(" ")}`);
  process.exit(2);
}

const total = { passed: 0, failed: 0, skipped: 0 };
for (const { name, folder = name, run, prepare } of stages) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  console.log(`\n=== ${name}`);
  const checks = name === "lint" || name === "types";
  const files = checks ? [] : testFiles(folder);
  if (!checks && files.length === 0) {
    console.log(`${name}: no tests`);
    continue;
  }
  const started = Date.now();
  const { skip, fail, wrap } = (await prepare?.()) ?? {};
  let counts;
  if (skip !== undefined) {
    console.log(`${name}: skipped ${files.length} files: ${skip}`);
    counts = { passed: 0, failed: 0, skipped: files.length };
  } else if (fail !== undefined) {
    console.log(`${name}: ${fail}`);
    counts = failure;
  } else counts = await run(name, wrap);
  const { passed, failed, skipped } = counts;
  const outcome = checks ? (failed === 0 ? "ok" : "failed") : `${passed} passed, ${failed} failed, ${skipped} skipped`;
  console.log(`${name}: ${outcome} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
  for (const kind of Object.keys(total)) total[kind] += counts[kind];
}
console.log(`\nlinnet: ${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed === 0 ? 0 : 1;
