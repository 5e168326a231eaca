/**
 * Bundles test files into dist/test, so that a stage of many small files spends its time on tests and not on loading the stack
 * module by module through tsx: a file starts in a quarter of a second instead of two.
 *
 * What is shared stays one module per process (chunks). A module that asks where it lies is told where its source lies.
 */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";

const sourceUrl = {
  name: "source-url",
  setup(bundler) {
    bundler.onLoad({ filter: /\.ts$/ }, ({ path }) => {
      const contents = readFileSync(path, "utf8");
      return { contents: contents.replaceAll("import.meta.url", JSON.stringify(pathToFileURL(path).href)), loader: "ts" };
    });
  },
};

/** @param root the project's folder @param files to bundle, relative to root; dist/test mirrors their place under test/ */
export async function buildTests(root, files) {
  const outdir = join(root, "dist/test");
  rmSync(outdir, { recursive: true, force: true });
  // Not "all packages": examples import this package by its name.
  const { devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  await build({
    absWorkingDir: root,
    entryPoints: files,
    outbase: "test",
    outdir,
    bundle: true,
    splitting: true,
    chunkNames: "chunks/[hash]",
    format: "esm",
    platform: "node",
    target: "node20",
    external: Object.keys(devDependencies),
    sourcemap: "linked",
    logLevel: "warning",
    plugins: [sourceUrl],
  });
}
