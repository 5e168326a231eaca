/**
 * `npm run sdk -- COMMAND`: linnet with Moddable's SDK, which is not part of this repository: MODDABLE names its folder.
 *
 *   tools                  builds the SDK's command-line tools, without the ones that need a screen (Linux)
 *   build SKETCH [-p P]    mcconfig: a sketch of examples/ for a platform, by default as a program of this machine
 *   run SKETCH ARGUMENTS   the same, then runs it: --tap NAME --addr A/L (root, or inside unshare -rn)
 *   tests [NAME...]        the SDK's own tests of TCP, Listener and UDP over the stack, unmodified, or those whose names match
 *   clients [NAME...]      the SDK's own ECMA-419 clients and servers, by its examples, against Linux's servers
 *   variables SKETCH       what the linker finds that must be written and so will be in RAM, one a line. After LINNET_NAMES=1 npm run
 *                          build with the sources' names; then it fails for what is no `let` of ours and no prototype of settings
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const moddable = process.env.MODDABLE;
const USAGE = "usage: MODDABLE=/path/to/moddable npm run sdk -- tools | build SKETCH [-p PLATFORM] | run SKETCH ARGUMENTS | "
  + "tests [NAME...] | clients [NAME...] | variables SKETCH";
/** Programs of this machine. */
const COMMAND_LINE = "x-cli-lin";
const OUTPUT = join(root, "dist/sdk");

class UserError extends Error {}

function fail(text) {
  throw new UserError(text);
}

const environment = () => ({
  ...process.env,
  XS_DIR: join(moddable, "xs"),
  BUILD_DIR: join(moddable, "build"),
  PATH: [join(moddable, "build/bin/lin/release"), join(root, "node_modules/.bin"), process.env.PATH].join(delimiter),
});

/** Runs a program; what it prints on stderr when that is asked for. */
function command(name, args, cwd, keep = false) {
  const { status, error, stdout, stderr } = spawnSync(name, args, {
    cwd, env: environment(), stdio: keep ? ["ignore", "pipe", "pipe"] : "inherit", encoding: "utf8", maxBuffer: 1 << 26,
  });
  if (error !== undefined) fail(`${name}: ${error.message}; is the SDK built? npm run sdk -- tools`);
  if (status !== 0) fail(`${name} ${args.join(" ")}: exit status ${status}\n${keep ? stdout + stderr : ""}`);
  return keep ? stdout + stderr : "";
}

function buildTools() {
  const makefiles = join(moddable, "build/makefiles/lin");
  for (const file of ["xsc", "xsid", "xsl"]) command("make", ["GOAL=release", "-f", join(moddable, `xs/makefiles/lin/${file}.mk`)], makefiles);
  command("make", ["GOAL=release", "-f", "tools.mk"], makefiles);
}

/** Servers have a network, a /run and process numbers to themselves, and end with it. */
const NAMESPACES = [...(process.getuid() === 0 ? [] : ["-r"]), "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
/** Programs of test/sdk with the SDK's modules in them: over our Resolver, and over the SDK's. */
const SDK_BOARDS = { tests: ["board"], clients: ["board", "resolver"] };

function build(sketch, platform, keep = false) {
  const folder = join(root, "examples", sketch ?? "");
  if (sketch === undefined || !existsSync(join(folder, "manifest.json"))) fail(`${sketch ?? "SKETCH"} is not a folder of examples/\n${USAGE}`);
  return buildFolder(folder, platform, keep);
}

function buildFolder(folder, platform, keep = false) {
  if (!existsSync(join(root, "dist/board/linnet.json"))) fail("dist/board is not there: npm run build");
  mkdirSync(OUTPUT, { recursive: true });
  const make = platform === COMMAND_LINE ? ["-m"] : [];
  return command("mcconfig", [...make, "-p", platform, "-o", OUTPUT], folder, keep);
}

/** Prototypes that hold the defaults of settings: what is set is a property of the namespace's or device's own. */
const PROTOTYPES = /\b(Ipv4Defaults\$IPV4|NeighDefaults\$PARMS): not frozen$/;
const lets = new Set();

/** Is a line of the linker's about a `let` of one of our modules? */
function isIntended(line) {
  if (lets.size === 0) {
    for (const file of ["src", "hal"].flatMap((folder) => readdirSync(join(root, folder), { recursive: true }).map((name) => join(root, folder, name)))) {
      if (!/\.[jt]s$/.test(file)) continue;
      for (const [, name] of readFileSync(file, "utf8").matchAll(/^(?:export )?let (\w+)/gm)) lets.add(name);
    }
  }
  const [, name] = /(\w+)(?:\$\d+)?: no const$/.exec(line) ?? [];
  return PROTOTYPES.test(line) || lets.has(name);
}

/** Was the board's code built with the names of the sources? */
const hasNames = () => /\blet jiffies\b/.test(readFileSync(join(root, "dist/board/linnet/start-kernel.js"), "utf8"));

function main([verb, sketch, ...rest]) {
  if (moddable === undefined) fail(`MODDABLE is not set; it names the folder of Moddable's SDK\n${USAGE}`);
  if (!existsSync(join(moddable, "xs/includes/xs.h"))) fail(`MODDABLE is ${moddable}, which is not Moddable's SDK: it has no xs/includes/xs.h`);
  if (verb === "tools") {
    buildTools();
  } else if (verb === "build") {
    build(sketch, rest[0] === "-p" ? rest[1] : COMMAND_LINE);
  } else if (verb === "run") {
    build(sketch, COMMAND_LINE);
    command(join(OUTPUT, "bin/lin/release", sketch), rest, root);
  } else if (verb === "tests" || verb === "clients") {
    for (const folder of SDK_BOARDS[verb]) buildFolder(join(root, "test/sdk", folder), COMMAND_LINE);
    const names = [sketch, ...rest].filter((name) => name !== undefined);
    const words = [process.execPath, "--import=tsx", "test/sdk/main.ts", verb, join(OUTPUT, "bin/lin/release"), moddable, ...names];
    command("unshare", [...NAMESPACES, "sh", "-c", `mount -t tmpfs tmpfs /run && exec "$@"`, "sh", ...words], root);
  } else if (verb === "variables") {
    // The linker says it while it links: what it made before goes, so that it does so again.
    rmSync(join(OUTPUT, "tmp/lin/release", sketch ?? "", "mc.xs.c"), { force: true });
    const list = build(sketch, COMMAND_LINE, true).split("\n").filter((line) => line.startsWith("### warning: "));
    console.log(list.map((line) => line.substring("### warning: ".length)).join("\n"));
    const unintended = list.filter((line) => !isIntended(line));
    if (!hasNames()) console.error("linnet: not judged, as the build has no names: LINNET_NAMES=1 npm run build");
    else if (unintended.length > 0) fail(`not a let of ours:\n${unintended.join("\n")}`);
  } else {
    fail(USAGE);
  }
}

try {
  main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  console.error(`linnet: ${error.message}`);
  process.exit(2);
}
