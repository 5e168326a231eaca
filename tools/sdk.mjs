/**
 * `npm run sdk -- COMMAND`: linnet with Moddable's SDK, which is not part of this repository: MODDABLE names its folder.
 *
 *   tools                  builds the SDK's command-line tools, without the ones that need a screen (Linux)
 *   build SKETCH [-p P]    mcconfig: a sketch of examples/ for a platform, by default as a program of this machine
 *   run SKETCH ARGUMENTS   the same, then runs it: --tap NAME --addr A/L (root, or inside unshare -rn)
 *   variables SKETCH       what the linker finds that must be written and so will be in RAM, one a line (with the sources' names after
 *                          LINNET_NAMES=1 npm run build)
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const moddable = process.env.MODDABLE;
const USAGE = "usage: MODDABLE=/path/to/moddable npm run sdk -- tools | build SKETCH [-p PLATFORM] | run SKETCH ARGUMENTS | variables SKETCH";
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

function build(sketch, platform, keep = false) {
  const folder = join(root, "examples", sketch ?? "");
  if (sketch === undefined || !existsSync(join(folder, "manifest.json"))) fail(`${sketch ?? "SKETCH"} is not a folder of examples/\n${USAGE}`);
  if (!existsSync(join(root, "dist/board/linnet.json"))) fail("dist/board is not there: npm run build");
  mkdirSync(OUTPUT, { recursive: true });
  const make = platform === COMMAND_LINE ? ["-m"] : [];
  return command("mcconfig", [...make, "-p", platform, "-o", OUTPUT], folder, keep);
}

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
  } else if (verb === "variables") {
    // The linker says it while it links: what it made before goes, so that it does so again.
    rmSync(join(OUTPUT, "tmp/lin/release", sketch ?? "", "mc.xs.c"), { force: true });
    const list = build(sketch, COMMAND_LINE, true).split("\n").filter((line) => line.startsWith("### warning: "));
    console.log(list.map((line) => line.substring("### warning: ".length)).join("\n"));
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
