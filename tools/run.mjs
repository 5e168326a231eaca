/**
 * The launcher behind every `npm run` command: installs what is missing, then runs the real program.
 *
 * Plain Node without a dependency, because in a fresh clone it is the first thing that runs. The installation talks on
 * stderr only: the stdout of `budget --json` belongs to the program.
 */
import { spawnSync } from "node:child_process";
import { existsSync, lstatSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const bin = (path) => [process.execPath, join(root, "node_modules", path)];

/** Programs in TypeScript, run in this process through tsx. */
const programs = {
  start: "hal/node/start.ts",
  board: "hal/node/board.ts",
  budget: "tools/budget.ts",
  bench: "test/bench/main.ts",
  packetdrill: "test/packetdrill/main.ts",
};

/** Commands of tools, run one after another; the first failure ends the list. */
const tools = {
  lint: () => [[...bin("eslint/bin/eslint.js"), "--max-warnings=0", "."]],
  types: () => typeProjects().map((project) => [...bin("typescript/bin/tsc"), "--noEmit", "-p", project]),
  build: () => [
    [...bin("typescript/bin/tsc"), "-p", "hal/xs/tsconfig.types.json"],
    [...bin("rollup/dist/bin/rollup"), "--silent", "-c", "rollup.config.mjs"],
  ],
  sdk: () => [[process.execPath, "tools/sdk.mjs"]],
  test: () => [[process.execPath, "tools/test.mjs"]],
};

/**
 * Every folder with a tsconfig of its own: what runs on a board is checked without Node's types, and a program of the standard's
 * classes against Moddable's typings of them and against ours.
 */
function typeProjects() {
  const boards = ["hal/xs", "hal/esp32"].filter(
    (folder) =>
      existsSync(join(root, folder, "tsconfig.json")) &&
      readdirSync(join(root, folder)).some((name) => name.endsWith(".ts")),
  );
  return [".", "src", ...boards, "hal/xs/typings", "hal/xs/typings/tsconfig.linnet.json"];
}

/** True unless every package the lock file asks for is there in the version it asks for: npm's own list outlives an installation cut short. */
function installationIsStale() {
  const installed = join(root, "node_modules/.package-lock.json");
  if (!existsSync(installed)) return true;
  const wanted = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages;
  const present = JSON.parse(readFileSync(installed, "utf8")).packages;
  return Object.entries(wanted).some(
    ([path, entry]) => path !== "" && !entry.optional && (present[path]?.version !== entry.version || !existsSync(join(root, path))),
  );
}

function npm(...args) {
  const cli = process.env["npm_execpath"];
  const command = cli?.endsWith("npm-cli.js") ? [process.execPath, cli, ...args] : ["npm", ...args];
  console.error(`linnet: npm ${args.join(" ")}`);
  const shell = process.platform === "win32" && command[0] === "npm";
  return spawnSync(command[0], command.slice(1), { cwd: root, stdio: ["ignore", 2, 2], shell }).status === 0;
}

/** package-lock.json pins every package, so npm's cache is as good as the registry, which may be out of reach for an hour. */
const CI = ["ci", "--prefer-offline", "--no-audit", "--no-fund"];

/**
 * The XS engine is compiled during the installation; a machine without a C compiler goes on without it. Packages that are another
 * checkout's (a worktree that links to them) stay: npm would empty that folder first.
 */
function install() {
  if (lstatSync(join(root, "node_modules"), { throwIfNoEntry: false })?.isSymbolicLink()) {
    console.error("linnet: node_modules is a link, and what it leads to is not what package-lock.json asks for: install it there, with npm ci");
    process.exit(1);
  }
  if (npm(...CI)) return;
  console.error("linnet: the full installation failed; trying without compiled packages (no XS engine tests)");
  if (!npm(...CI, "--ignore-scripts")) {
    console.error("linnet: could not install the packages of package-lock.json");
    process.exit(1);
  }
}

const [name = "", ...args] = process.argv.slice(2);
if (!(name in programs) && !(name in tools)) {
  console.error(`usage: node tools/run.mjs ${[...Object.keys(programs), ...Object.keys(tools)].join("|")} [arguments]`);
  process.exit(2);
}
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`linnet: needs Node 20.19 or newer; this is ${process.versions.node}`);
  process.exit(2);
}
if (installationIsStale()) install();

if (name in programs) {
  const file = join(root, programs[name]);
  const { register } = await import("tsx/esm/api");
  register();
  process.setSourceMapsEnabled(true);
  process.argv = [process.argv[0], file, ...args];
  await import(pathToFileURL(file).href);
} else {
  const commands = tools[name]();
  for (const [index, [command, ...rest]] of commands.entries()) {
    const last = index === commands.length - 1;
    const { status } = spawnSync(command, [...rest, ...(last ? args : [])], { cwd: root, stdio: "inherit" });
    if (status !== 0) process.exit(status ?? 1);
  }
}
