/**
 * Bundles test files into dist/test, so that a stage of many small files spends its time on tests and not on starting processes
 * and loading the stack module by module through tsx.
 *
 * A bundle is a group of files that one process runs (grouped-tests.mjs). What is shared stays one module per process (chunks). A
 * module that asks where it lies is told where its source lies.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

/** Files of a group: enough that starting its process is a small part, few enough that each core has groups to run. */
const FILES_PER_GROUP = 8;

const GROUPED = fileURLToPath(new URL("grouped-tests.mjs", import.meta.url));
const IMPORT_AVA = /^import test(?:, (\{.*\}))? from "ava";/m;

/** A source as its bundle sees it: `test` of a test file is its own share of the group's. */
export function sourceOf(path) {
  const source = readFileSync(path, "utf8").replaceAll("import.meta.url", JSON.stringify(pathToFileURL(path).href));
  if (!path.endsWith(".test.ts")) return source;
  const name = /.*\/test\/[^/]+\/(.*)\.test\.ts$/.exec(path)[1];
  const test = `import { testsOf } from ${JSON.stringify(GROUPED)}; const test = testsOf(${JSON.stringify(name)});`;
  return source.replace(IMPORT_AVA, test);
}

const sources = {
  name: "sources",
  setup(bundler) {
    bundler.onLoad({ filter: /\.ts$|\/tools\/[^/]+\.mjs$/ }, ({ path }) => ({ contents: sourceOf(path), loader: "ts" }));
  },
};

/** Deals the files out, so that neighbours, which are alike in weight, come into different groups. */
export function groupsOf(files, most) {
  const groups = Array.from({ length: Math.ceil(files.length / most) }, () => []);
  files.forEach((file, i) => groups[i % groups.length].push(file));
  return groups;
}

/** A group: what every test requires (ava.config.mjs), and its files. */
export function imports(root, files) {
  return ["test/lib/tcp-states.ts", ...files].map((file) => `import ${JSON.stringify(join(root, file))};\n`).join("");
}

/** What a bundle of tests loads and has not in it. Not "all packages": examples import this package by its name. */
export function packagesOf(root) {
  return Object.keys(JSON.parse(readFileSync(join(root, "package.json"), "utf8")).devDependencies);
}

/** @param root the project's folder @param stage the folder of test/ @param files in it; the bundles are dist/test/STAGE/*.test.js */
export async function buildTests(root, stage, files) {
  const outdir = join(root, "dist/test");
  const groupDir = join(root, "dist/groups", stage);
  for (const folder of [outdir, groupDir]) rmSync(folder, { recursive: true, force: true });
  mkdirSync(groupDir, { recursive: true });
  const entryPoints = groupsOf(files.toSorted(), FILES_PER_GROUP).map((group, i) => {
    const entry = join(groupDir, `group-${i + 1}.test.js`);
    writeFileSync(entry, imports(root, group.map((file) => `test/${stage}/${file}`)));
    return { in: entry, out: `${stage}/group-${i + 1}.test` };
  });
  await build({
    absWorkingDir: root,
    entryPoints,
    outdir,
    bundle: true,
    splitting: true,
    chunkNames: "chunks/[hash]",
    format: "esm",
    platform: "node",
    target: "node20",
    external: packagesOf(root),
    sourcemap: "linked",
    logLevel: "warning",
    plugins: [sources],
  });
}
