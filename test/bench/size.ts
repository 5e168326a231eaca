/**
 * `npm run bench -- size`: what a program that uses one thing of linnet carries into flash. Each set is bundled as a board's
 * bundle is, without what it does not use, and measured minified: about what XS's bytecode takes, whose compiler, `xsc` of
 * Moddable's SDK, measures it exactly where it is on PATH (the CODE atom; names are in SYMB, shared by the whole image).
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { transform } from "esbuild";
import { rollup } from "rollup";
import { BOARD_MODULES, plugins } from "../../rollup.config.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** What a program of each set imports: it starts what it lists, and nothing else is in its bundle. */
const START = 'export { startKernel, initNet } from "./src/start-kernel.ts"';
const UDP = 'export { udp } from "./src/udp.ts"; export { UDP } from "./src/ecma419/udp.ts"';
const TCP = 'export { tcp } from "./src/tcp.ts"; export { TCP } from "./src/ecma419/tcp.ts"';
const SETS: Readonly<Record<string, readonly string[]>> = Object.freeze({
  "UDP": [START, UDP],
  "TCP client": [START, TCP],
  "TCP, UDP, DHCP, DNS": [
    START, UDP, TCP, 'export { Listener } from "./src/ecma419/listener.ts"; export { Resolver } from "./src/ecma419/resolver.ts"',
    'export { dns } from "./src/services/dns.ts"; export { dhcp } from "./src/services/dhcp.ts"',
  ],
  "all": ['export * from "./src/index.ts"', 'export * from "./src/ecma419/index.ts"', 'export { dns } from "./src/services/dns.ts"'],
});

export interface SizeOfSet {
  readonly set: string;
  /** Bytes of XS's CODE atom, or of the minified text where there is no xsc. */
  readonly codeBytes: number;
  readonly measured: "xsc" | "minified";
  readonly minifiedBytes: number;
}

/** Bytes of an atom of a compiled module: each has its size and its four letters, inside one that holds all. */
function atomBytes(file: Buffer, name: string): number {
  for (let at = 8; at + 8 <= file.length; at += file.readUInt32BE(at)) {
    if (file.toString("latin1", at + 4, at + 8) === name) return file.readUInt32BE(at) - 8;
    if (file.readUInt32BE(at) < 8) break;
  }
  throw new Error(`xsc: no ${name} in what it made`);
}

/** Compiles a module by xsc: bytes of its CODE, or null where there is none. */
function xscBytes(text: string): number | null {
  if (spawnSync("xsc", ["-v"]).error !== undefined) return null;
  const folder = mkdtempSync(join(tmpdir(), "linnet-size-"));
  try {
    writeFileSync(join(folder, "bundle.js"), text);
    execFileSync("xsc", ["-c", "-e", "-o", folder, "-r", "bundle", join(folder, "bundle.js")]);
    return atomBytes(readFileSync(join(folder, "bundle.xsb")), "CODE");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The program's bundle as rollup makes a board's. */
async function bundle(lines: readonly string[]): Promise<string> {
  const entry = join(ROOT, "size-entry.ts");
  const made = await rollup({
    input: entry,
    external: [...BOARD_MODULES],
    logLevel: "silent",
    plugins: [{ name: "entry", load: (id) => (id === entry ? `${lines.join(";\n")};\n` : null), resolveId: (id) => (id === entry ? id : null) }, ...plugins("hal/xs/platform.ts")],
  });
  const { output } = await made.generate({ format: "es", generatedCode: { preset: "es2015" } });
  await made.close();
  return output[0].code;
}

async function minify(text: string): Promise<string> {
  return (await transform(text, { minify: true, format: "esm", target: "es2022" })).code;
}

/** Measures every set. */
export async function benchSize(): Promise<{ sets: SizeOfSet[] }> {
  const sets: SizeOfSet[] = [];
  for (const [set, lines] of Object.entries(SETS)) {
    const text = await bundle(lines);
    const minifiedBytes = Buffer.byteLength(await minify(text));
    const compiled = xscBytes(text);
    sets.push({ set, codeBytes: compiled ?? minifiedBytes, measured: compiled === null ? "minified" : "xsc", minifiedBytes });
  }
  return { sets };
}
