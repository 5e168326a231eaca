/**
 * `npm run bench -- size`: what a program that uses one thing of linnet carries into flash. Each set is bundled as a board's
 * bundle is, without what it does not use, and measured minified; where Moddable's `xsc` and `xsl` are on PATH, exactly:
 * what the linker writes when the bundle is preloaded and unused builtins are stripped, as mcconfig does it, beyond what it writes
 * without the bundle. That is the bytecode of its functions (a module's own, which makes them, is not needed any more), the slots of
 * its heap at a microcontroller's 16 bytes, its strings and names, and a pointer for each name.
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
const TCP_CLASS = 'export { TCP } from "./src/ecma419/tcp.ts"';
const TCP_CLIENT = `export { tcpClient } from "./src/tcp-client.ts"; ${TCP_CLASS}`;
const TCP_SERVER = `export { tcpServer } from "./src/tcp-server.ts"; ${TCP_CLASS}`;
const TCP = `export { tcp } from "./src/tcp.ts"; ${TCP_CLASS}`;
const NAMES = 'export { Resolver } from "./src/ecma419/resolver.ts"; export { dns } from "./src/services/dns.ts"; export { dhcp } from "./src/services/dhcp.ts"';
const LISTENER = 'export { Listener } from "./src/ecma419/listener.ts"';
const SETS: Readonly<Record<string, readonly string[]>> = Object.freeze({
  "UDP": [START, UDP],
  "TCP client": [START, TCP_CLIENT],
  "TCP, UDP, DHCP, DNS": [START, UDP, TCP_SERVER, LISTENER, NAMES],
  "TCP with all its parts": [START, TCP],
  "all": ['export * from "./src/index.ts"', 'export * from "./src/ecma419/index.ts"', 'export { dns } from "./src/services/dns.ts"'],
});

export interface SizeOfSet {
  readonly set: string;
  /** Bytecode of the functions, or the size of the minified text where there is no xsc. */
  readonly codeBytes: number;
  /** What it has on XS's heap when it is preloaded, in flash; null where there is no xsl. */
  readonly heapSlots: number | null;
  /** Strings, the names that no builtin has, and the pointers to them. */
  readonly textBytes: number | null;
  readonly flashBytes: number | null;
  readonly functions: number | null;
  readonly measured: "xsc" | "minified";
  readonly minifiedBytes: number;
}

/** What the linker is told of the machine; none of it changes what is measured. */
const CREATION = "65536,16384,4096,512,512,32,32,1993,127,1024,17,0,main,0";
const SLOT_BYTES = 16;
const POINTER_BYTES = 4;

interface Linked {
  readonly codeBytes: number;
  readonly heapSlots: number;
  readonly textBytes: number;
  readonly functions: number;
}

/** Bytes of a string of C, without its end. */
function literalBytes(text: string): number {
  return text.replace(/\\x[0-9a-f]{2}|\\[0-7]{1,3}|\\./gi, ".").length;
}

/** What is in the C text that the linker makes of these preloaded modules: a line for each slot of the heap. */
function linked(folder: string, modules: readonly string[]): Linked {
  const files = modules.map((name) => `${name}.xsb`);
  const preloads = files.flatMap((file) => ["-p", file]);
  const args = ["-s", "*", "-b", folder, "-o", folder, "-r", "mc", "-c", CREATION, ...preloads, ...files.map((file) => join(folder, file))];
  execFileSync("xsl", args, { stdio: "pipe" });
  const text = readFileSync(join(folder, "mc.xs.c"), "utf8");
  const defined = (name: string): number => {
    const [, count] = new RegExp(`^#define ${name} (\\d+)`, "m").exec(text) ?? [];
    if (count === undefined) throw new Error(`xsl: no ${name} in what it made`);
    return Number(count);
  };
  let codeBytes = 0;
  let functions = 0;
  let textBytes = POINTER_BYTES * defined("mxKeysCount");
  const [, heap = ""] = /^static const txSlot gxHeap\[mxHeapCount\] = \{\n(.*?)^\};/ms.exec(text) ?? [];
  for (const line of heap.split("\n")) {
    for (const [, literal = ""] of line.matchAll(/"((?:[^"\\]|\\.)*)"/g)) {
      if (line.includes("XS_CODE_X_KIND")) {
        codeBytes += literalBytes(literal);
        functions++;
      } else {
        textBytes += literalBytes(literal) + 1;
      }
    }
  }
  return { codeBytes, heapSlots: defined("mxHeapCount"), textBytes, functions };
}

/** Compiles and links a module by the SDK's tools; null where there are none. */
function xsSize(text: string): Linked | null {
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
    const without = linked(folder, board);
    const all = linked(folder, [...board, "bundle"]);
    return {
      codeBytes: all.codeBytes - without.codeBytes,
      heapSlots: all.heapSlots - without.heapSlots,
      textBytes: all.textBytes - without.textBytes,
      functions: all.functions - without.functions,
    };
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
      const none = { heapSlots: null, textBytes: null, flashBytes: null, functions: null };
      sets.push({ set, codeBytes: minifiedBytes, ...none, measured: "minified", minifiedBytes });
    } else {
      const flashBytes = made.codeBytes + SLOT_BYTES * made.heapSlots + made.textBytes;
      sets.push({ set, ...made, flashBytes, measured: "xsc", minifiedBytes });
    }
  }
  return { sets };
}
