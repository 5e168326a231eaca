/**
 * Which functions of the sources are called for packets and not just now and then: the traffic that the XS tests measure, run in Node
 * under V8's coverage. What a build makes slower to save flash (merge.mjs) is none of them.
 */
import { Session } from "node:inspector";
import { fileURLToPath } from "node:url";
import vm from "node:vm";
import { build } from "esbuild";

const FILE = "linnet-guest.js";
const path = (relative) => fileURLToPath(new URL(`../${relative}`, import.meta.url));

/** Commands of test/xs/guest.ts. */
const BOOT = 1;
const MEASURE = 3;
const ATTACH = 6;

/** A lease that comes again sets addresses and routes, which is what a board does when it starts. */
const SETS_UP = "dhcp-renew";
/** Packets of each path, and the calls from which on a function is not one of a start, an end or a timer. */
const PACKETS = 128;
const HOT_CALLS = PACKETS / 4;

/** The guest of the XS tests as a script, which leaves the names of its paths behind. */
async function guest() {
  const { outputFiles } = await build({
    stdin: {
      contents: 'import "./guest.ts"; import * as names from "./path-names.ts"; globalThis.paths = Object.values(names).flat();',
      resolveDir: path("test/xs"),
    },
    alias: { "#platform": path("test/xs/platform.ts") },
    bundle: true,
    write: false,
    format: "iife",
    target: "es2022",
  });
  return new vm.Script(outputFiles[0].text, { filename: FILE });
}

/** A guest of its own, booted: what gives it commands, and its paths. */
function boot(script) {
  const world = vm.createContext({ TextEncoder, TextDecoder, gc: () => undefined });
  script.runInContext(world);
  const command = (number, args) => world.handleCommand(new Uint8Array([number, ...new TextEncoder().encode(JSON.stringify(args))]).buffer);
  command(BOOT, { options: { preset: "default" }, parts: true });
  command(ATTACH, {});
  return { command, paths: world.paths };
}

function post(session, method, args) {
  let answer;
  session.post(method, args, (error, result) => {
    if (error) throw new Error(`${method}: ${error.message}`);
    answer = result;
  });
  return answer;
}

/** A function's name in the sources, but for the number that each bundler adds in its way to a name that several files have. */
export const sourceName = (name) => name.replace(/\$?\d+$/, "");

/** Names of those functions. */
export async function hotNames() {
  const script = await guest();
  const session = new Session();
  session.connect();
  post(session, "Profiler.enable");
  const names = new Set();
  for (const name of boot(script).paths) {
    if (name === SETS_UP) continue;
    const { command } = boot(script);
    command(MEASURE, { path: name, count: PACKETS });
    post(session, "Profiler.startPreciseCoverage", { callCount: true, detailed: false });
    command(MEASURE, { path: name, count: PACKETS });
    const { result } = post(session, "Profiler.takePreciseCoverage");
    post(session, "Profiler.stopPreciseCoverage");
    for (const { functions } of result.filter(({ url }) => url === FILE)) {
      for (const { functionName, ranges } of functions) if (ranges[0].count >= HOT_CALLS) names.add(sourceName(functionName));
    }
  }
  session.disconnect();
  return names;
}
