/** `npm run bench -- NAME [--json]`: one benchmark, its peer measured in the same run; JSON on stdout with --json. */
import { parseArgs } from "node:util";
import { benchXs } from "./xs.ts";

const BENCHMARKS: Readonly<Record<string, () => Promise<object>>> = {
  xs: benchXs,
  size: async () => (await import("./size.ts")).benchSize(),
  spi: async () => (await import("./spi.ts")).benchSpi(),
  // These boot kernels when they are loaded.
  host: async () => (await import("./host/bench.ts")).benchHost(),
  route: async () => (await import("./route.ts")).benchRoute(),
  syn: async () => (await import("./syn/bench.ts")).benchSyn(),
  loss: async () => (await import("./loss/bench.ts")).benchLoss(),
};

const { values, positionals } = parseArgs({ options: { json: { type: "boolean", default: false } }, allowPositionals: true });
const bench = BENCHMARKS[positionals[0] ?? ""];
if (bench === undefined || positionals.length !== 1) {
  console.error(`usage: npm run bench -- ${Object.keys(BENCHMARKS).join("|")} [--json]`);
  process.exitCode = 2;
} else {
  const result = await bench();
  console.log(values.json ? JSON.stringify(result) : JSON.stringify(result, null, 2));
}
