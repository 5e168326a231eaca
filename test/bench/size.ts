/**
 * `npm run bench -- size`: what a program that uses one thing of linnet carries into flash. Each set is bundled as a board's
 * bundle is, without what it does not use, and measured minified; where Moddable's `xsc` and `xsl` are on PATH, exactly:
 * the bytecode (the CODE atom; names are in SYMB, shared by the whole image), the slots of the heap that the linker puts into
 * flash when the bundle is preloaded, and both together, at a microcontroller's 16 bytes a slot.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { transform } from "esbuild";
import { rollup } from "rollup";
import { BOARD_MODULES, boardPlugins } from "../../rollup.config.mjs";

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
  /** What it has on XS's heap when it is preloaded, in flash; null where there is no xsl. */
  readonly heapSlots: number | null;
  readonly flashBytes: number | null;
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

/** What the linker is told of the machine; none of it changes what is measured. */
const CREATION = "65536,16384,4096,512,512,32,32,1993,127,1024,17,0,main,0";
const SLOT_BYTES = 16;

/** Slots of a heap that the linker makes of these preloaded modules. */
function heapSlots(folder: string, modules: readonly string[]): number {
  const files = modules.map((name) => `${name}.xsb`);
  const preloads = files.flatMap((file) => ["-p", file]);
  const args = ["-b", folder, "-o", folder, "-r", "mc", "-c", CREATION, ...preloads, ...files.map((file) => join(folder, file))];
  execFileSync("xsl", args, { stdio: "pipe" });
  const [, count] = /^#define mxHeapCount (\d+)/m.exec(readFileSync(join(folder, "mc.xs.c"), "utf8")) ?? [];
  if (count === undefined) throw new Error("xsl: no mxHeapCount in what it made");
  return Number(count);
}

interface Measured {
  readonly codeBytes: number;
  readonly heapSlots: number;
}

/** Compiles and links a module by the SDK's tools; null where there are none. */
function xsSize(text: string): Measured | null {
  if (["xsc", "xsl"].some((tool) => spawnSync(tool, ["-no-such-file"]).error !== undefined)) return null;
  const folder = mkdtempSync(join(tmpdir(), "linnet-size-"));
  const compile = (name: string, source: string): void => {
    writeFileSync(join(folder, `${name}.js`), source);
    execFileSync("xsc", ["-c", "-e", "-o", folder, "-r", name, join(folder, `${name}.js`)]);
  };
  try {
    const board = ["main", "timer", "time"];
    for (const name of board) compile(name, "export default Object.freeze({});");
    compile("bundle", text);
    const codeBytes = atomBytes(readFileSync(join(folder, "bundle.xsb")), "CODE");
    return { codeBytes, heapSlots: heapSlots(folder, [...board, "bundle"]) - heapSlots(folder, board) };
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
    plugins: [{ name: "entry", load: (id) => (id === entry ? `${lines.join(";\n")};\n` : null), resolveId: (id) => (id === entry ? id : null) }, ...boardPlugins()],
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
    const made = xsSize(text);
    if (made === null) {
      sets.push({ set, codeBytes: minifiedBytes, heapSlots: null, flashBytes: null, measured: "minified", minifiedBytes });
    } else {
      const flashBytes = made.codeBytes + SLOT_BYTES * made.heapSlots;
      sets.push({ set, ...made, flashBytes, measured: "xsc", minifiedBytes });
    }
  }
  return { sets };
}
