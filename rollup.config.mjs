/**
 * The bundles: modules and manifests for boards (tools/board-modules.mjs), an ES module for Node, and one classic script for the
 * XS tests. `rollup -c --configOnly xs` makes one of them: board, node or xs, or what a benchmark runs: route, syn.
 */
import terser from "@rollup/plugin-terser";
import { fileURLToPath } from "node:url";
import esbuild from "rollup-plugin-esbuild";
import { boardChunk, boardEntries, boardManifests, sharedName } from "./tools/board-modules.mjs";
import { closure } from "./tools/closure.mjs";
import { functionsToArrows, inlineNumbers, shareNames } from "./tools/flash.mjs";
import { hotNames } from "./tools/hot.mjs";
import { inline } from "./tools/inline.mjs";
import { mergeCold } from "./tools/merge.mjs";
import { structs } from "./tools/structs.mjs";

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));

/** Resolves `#platform` to the machine the bundle is for. */
const platform = (file) => ({
  name: "platform",
  resolveId: (source) => (source === "#platform" ? path(file) : null),
});

/**
 * Writes constants where they are used: in XS an inlined number costs half of a module variable, in flash and in time.
 * Nothing else is touched: functions, `let`s, names and the layout of the code stay as they are written.
 */
const inlineConstants = () =>
  terser({
    ecma: 2020,
    compress: {
      defaults: false,
      toplevel: true,
      evaluate: true,
      reduce_vars: true,
      unused: true,
      dead_code: true,
      inline: false,
      reduce_funcs: false,
      keep_fargs: true,
      keep_fnames: true,
      keep_classnames: true,
      passes: 2,
    },
    mangle: false,
    format: { beautify: true, indent_level: 2, comments: false },
  });

/** What turns the sources into a bundle for a machine. */
export const plugins = (platformFile) => [platform(platformFile), esbuild({ target: "es2022", tsconfig: false }), inlineConstants()];

const bundle = (input, platformFile, output, external = []) => ({
  input: path(input),
  external,
  output: { generatedCode: { preset: "es2015" }, ...output },
  plugins: plugins(platformFile),
});

let hot;

/** Names of functions that are called for packets; they are looked for once. */
const hotOnce = () => (hot ??= hotNames());

/** What turns the sources into a board's modules: as plugins(), and what saves flash. LINNET_NAMES=1: with names for a debugger. */
export const boardPlugins = (platformFile = "hal/xs/platform.ts") => [
  platform(platformFile),
  esbuild({ target: "es2022", tsconfig: false }),
  inlineNumbers(),
  structs(),
  ...(process.env.LINNET_NAMES === "1"
    ? [inlineConstants(), functionsToArrows()]
    : [closure(), functionsToArrows(), mergeCold(hotOnce), inline(), shareNames()]),
];

/** Wraps a module without imports and exports into a classic script, which is what the XS engine of the tests evaluates. */
const script = () => ({
  name: "script",
  renderChunk: (code) => ({ code: `"use strict";\n(() => {\n${code}})();\n`, map: null }),
});

/** A script for the XS tests: what is measured there has gone through all that a board's modules go through. */
const xsScript = (input, file) => ({
  input: path(input),
  output: { file, format: "es", generatedCode: { preset: "es2015" } },
  plugins: [...boardPlugins("test/xs/platform.ts"), script()],
});

/** Modules that the board's SDK has, and what stands for them on Linux. */
export const BOARD_MODULES = ["timer", "time", "linnet/linux-host", /^embedded:/];

const bundles = {
  board: {
    input: Object.fromEntries(Object.entries(boardEntries).map(([name, source]) => [name, path(source)])),
    external: BOARD_MODULES,
    preserveEntrySignatures: "allow-extension",
    output: {
      dir: "dist/board",
      format: "es",
      generatedCode: { preset: "es2015" },
      chunkFileNames: (chunk) => `${chunk.name === "linnet/uapi" ? chunk.name : sharedName(chunk)}.js`,
      manualChunks: boardChunk,
      hoistTransitiveImports: false,
    },
    plugins: [...boardPlugins(), boardManifests()],
  },
  node: bundle("src/index.ts", "hal/node/platform.ts", { file: "dist/linnet.node.js", format: "es" }, [
    "koffi",
    /^node:/,
  ]),
  xs: xsScript("test/xs/guest.ts", "dist/linnet.xs.js"),
};

const measured = {
  syn: xsScript("test/xs/syn-guest.ts", "dist/linnet.syn.js"),
  route: bundle("test/bench/route-main.ts", "hal/node/platform.ts", { file: "dist/bench/route.js", format: "es" }, [
    "ip-set",
    "longest-prefix-match",
    "koffi",
    /^node:/,
  ]),
};

export default ({ configOnly }) => {
  if (configOnly === undefined) return Object.values(bundles);
  const all = { ...bundles, ...measured };
  if (!Object.hasOwn(all, configOnly)) throw new TypeError(`configOnly: ${configOnly} is not one of ${Object.keys(all).join(", ")}`);
  return all[configOnly];
};
