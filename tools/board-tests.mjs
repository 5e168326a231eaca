/**
 * Unit tests as a board would run them: bundled by all that a board's modules go through (rollup.config.mjs), which writes constants,
 * classes, calls and whole functions anew. What comes out is run by ava in Node, so that a transformation that changes what a
 * program does is seen by the tests of what the program does.
 *
 * As in build-tests.mjs a process runs a group of files. Files that load modules while they run, and tests of the transformations
 * themselves, are not for a bundle.
 */
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { rollup } from "rollup";
import { boardPlugins } from "../rollup.config.mjs";
import { groupsOf, imports, packagesOf, sourceOf } from "./build-tests.mjs";

/** The compiler takes half a minute for the stack, whatever the number of tests beside it. */
const FILES_PER_GROUP = 28;
const LOADS_MODULES = /\bimport\(/;
const GROUPED = fileURLToPath(new URL("grouped-tests.mjs", import.meta.url));

/** Sources as tests see them; examples import this package by its name. */
const sources = (root, entry, files) => ({
  name: "sources",
  resolveId(source) {
    if (source === entry) return source;
    if (!/^linnet(\/|$)/.test(source)) return null;
    const name = source.slice("linnet/".length) || "index";
    return [`src/${name}.ts`, `src/${name}/index.ts`].map((file) => join(root, file)).find((file) => existsSync(file)) ?? null;
  },
  load(id) {
    if (id === entry) return imports(root, files);
    return /\.ts$|\/tools\/[^/]+\.mjs$/.test(id) && id !== GROUPED ? sourceOf(id) : null;
  },
});

/** @param root the project's folder @param names test files in test/unit; the bundles are dist/test/board/*.test.js */
export async function buildBoardTests(root, names) {
  const dir = join(root, "dist/test/board");
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true });
  const packages = packagesOf(root);
  const external = (id) => id.startsWith("node:") || id === GROUPED || packages.some((name) => id === name || id.startsWith(`${name}/`));
  const files = names.toSorted().map((name) => `test/unit/${name}`).filter((file) => !LOADS_MODULES.test(readFileSync(join(root, file), "utf8")));
  for (const [i, group] of groupsOf(files, FILES_PER_GROUP).entries()) {
    const entry = join(root, `board-tests-${i + 1}.ts`);
    const bundle = await rollup({
      input: { tests: entry },
      external,
      logLevel: "silent",
      plugins: [sources(root, entry, group), ...boardPlugins("hal/node/platform.ts")],
    });
    await bundle.write({ dir, entryFileNames: `group-${i + 1}.test.js`, format: "es", generatedCode: { preset: "es2015" }, inlineDynamicImports: true });
    await bundle.close();
  }
}
