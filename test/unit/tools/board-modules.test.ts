/** What Moddable's tools are given: module names, manifests, and the bundles' treatment for flash. */
import test from "ava";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { type Plugin, rollup } from "rollup";
import { boardEntries } from "../../../tools/board-modules.mjs";
import { closure } from "../../../tools/closure.mjs";
import { functionsToArrows, inlineNumbers, shareNames } from "../../../tools/flash.mjs";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));

test("a board imports what Node imports: each entrance of the package is a module of the same name", (t) => {
  const { exports } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { exports: Record<string, string | { default: string }> };
  const missing = Object.entries(exports).filter(([name, entrance]) => {
    if (/node|board|package\.json|\*/.test(name)) return false;
    const source = typeof entrance === "string" ? entrance : entrance.default;
    return boardEntries[`linnet${name.substring(1)}`] !== source.replace(/^\.\//, "");
  });
  t.deepEqual(missing, []);
  const services = readdirSync(join(ROOT, "src/services")).filter((file) => new RegExp(`linnet/services/${file.slice(0, -3)}"`).test(readFileSync(join(ROOT, "README.md"), "utf8")));
  for (const file of services) t.true(`linnet/services/${file.slice(0, -3)}` in boardEntries, file);
});

test("the package has each entrance's source and its declarations, and nothing of dist that only this folder needs", (t) => {
  const { exports, files } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
    exports: Record<string, string | Record<string, string>>; files: string[];
  };
  const packed = (path: string): boolean => files.some((name) => path === `./${name}` || path.startsWith(`./${name}/`));
  for (const [name, entrance] of Object.entries(exports).filter(([, one]) => one !== "./package.json")) {
    const all: Record<string, string> = typeof entrance === "string" ? { default: entrance } : entrance;
    for (const path of Object.values(all)) t.true(packed(path), `${name}: ${path}`);
    const source = all["linnet-source"];
    if (source === undefined) continue;
    t.is(all["default"], source);
    t.is(all["types"], source.replace(/^\.\/(.*)\.ts$/, "./dist/types/$1.d.ts"));
    t.true(source.includes("*") || existsSync(join(ROOT, source)), source);
  }
  t.false(packed("./dist/sdk/tmp"));
});

interface Manifest {
  include?: string | string[];
  platforms?: Record<string, Manifest>;
  modules?: Record<string, string | string[]>;
  error?: string;
}

function manifests(): string[] {
  const examples = readdirSync(join(ROOT, "examples")).map((name) => `examples/${name}/manifest.json`);
  const hals = ["enc28j60", "esp32", "linux", "esp32/boards/wt32-eth01", "esp32/boards/ethernet-kit"].map((name) => `hal/${name}/manifest.json`);
  return ["manifest.json", "manifest-udp.json", "hal/manifest.json", "examples/manifest.json", ...hals, ...examples].filter((file) => existsSync(join(ROOT, file)));
}

/** All a manifest names, those of its platforms included. */
function named({ include = [], modules = {}, platforms = {} }: Manifest): string[] {
  return [include, ...Object.entries(modules).filter(([name]) => name !== "~").map(([, source]) => source)].flat()
    .concat(Object.values(platforms).flatMap(named));
}

test("manifests name what there is, and what the build makes", (t) => {
  for (const file of manifests()) {
    const manifest = JSON.parse(readFileSync(join(ROOT, file), "utf8")) as Manifest;
    for (const name of named(manifest).filter((source) => !source.startsWith("$"))) {
      const at = relative(ROOT, join(ROOT, dirname(file), name));
      if (at.startsWith("dist/board/")) {
        t.true(at.slice("dist/board/".length, -".json".length) in boardEntries, `${file}: ${name}`);
      } else if (at.endsWith("*")) {
        t.true(existsSync(join(ROOT, dirname(at))), `${file}: ${name}`);
      } else {
        t.true(["", ".ts", ".js", ".c"].some((ending) => existsSync(join(ROOT, at + ending))), `${file}: ${name}`);
      }
    }
  }
});

test("each sketch's manifest brings the parts and files that the sketch imports", (t) => {
  for (const sketch of readdirSync(join(ROOT, "examples"))) {
    const folder = join(ROOT, "examples", sketch);
    if (!existsSync(join(folder, "manifest.json"))) continue;
    const all = named(JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8")) as Manifest);
    const common = all.filter((name) => name.startsWith("../common/")).map((name) => `${name}.ts`);
    for (const file of readdirSync(folder).filter((name) => name.endsWith(".ts")).concat(common)) {
      const text = readFileSync(join(folder, file), "utf8");
      for (const [, part] of text.matchAll(/from "linnet\/([^"]+)"/g)) t.true(all.includes(`../../dist/board/linnet/${part}.json`), `${sketch}: ${part}`);
      for (const [, name] of text.matchAll(/from "(?:\.\.\/common|\.)\/([^"]+)\.ts"/g)) {
        t.true(all.includes(`../common/${name}`) || existsSync(join(folder, `${name}.ts`)), `${sketch}: ${name}`);
      }
    }
  }
});

/** The text that a plugin makes of modules by name. */
async function made(modules: Record<string, string>, ...plugins: Plugin[]): Promise<string> {
  const files = { name: "files", resolveId: (id: string) => id.replace(/^\.\//, "/src/"), load: (id: string) => modules[id.replace("/src/", "")] ?? null };
  const bundle = await rollup({ input: "/src/main.ts", external: /embedded/, plugins: [files, ...plugins], logLevel: "silent" });
  const { output } = await bundle.generate({ format: "es" });
  return output[0].code;
}

test("numbers of src/uapi are written in; names that only look like them are left", async (t) => {
  const code = await made({
    "uapi/errno.ts": "export const EPERM = 1; export const MASK = -EPERM & ~4; export const table = Object.freeze([EPERM]);",
    "main.ts": 'import { EPERM, MASK, table } from "./uapi/errno.ts"; export const all = (o) => [EPERM, -MASK, o.EPERM, { EPERM }, { MASK: o }, table];',
  }, inlineNumbers());
  const text = code.replace(/\s+/g, " ");
  t.regex(text, /\[\(1\), 5, o\.EPERM, \{ EPERM: \(1\) \}, \{ MASK: o \}, table\]/);
});

test("functions become arrows at the module's top, in any order of use; those with a this do not", async (t) => {
  const code = await made({
    "main.ts": `
      import device from "embedded:x";
      export const four = twice(2);
      function twice(n, more = 0) { return add(n, n) + more; }
      function add(a, b) { return a + b; }
      function Old() { this.x = device; }
      function* steps() { yield 1; }
      export const made = new Old();
      export { add, steps };
    `,
  }, functionsToArrows());
  t.regex(code, /const twice = \(n, more = 0\) => \{/);
  t.regex(code, /function Old\(\)/);
  t.regex(code, /function\* steps\(\)/);
  t.true(code.startsWith("import device"));
  const { four, made: old, add } = (await import(`data:text/javascript,${encodeURIComponent(code.replace(/import device from .*;/, "const device = 7;"))}`)) as {
    four: number; made: { x: number }; add(a: number, b: number): number;
  };
  t.deepEqual([four, old.x, add(1, 2)], [4, 7, 3]);
});

/** A module whose every part the board's treatment has to keep: what it exports changes, is private, or is used before it is there. */
const COUNTER = `
  import device from "embedded:x";
  let count = 0;
  const LIMIT = 1 << 3;
  const table = Object.freeze([again]);
  class Edge { #inner = 5; static inner(edge) { return #inner in edge ? edge.#inner : -1; } }
  function again(by) { return by > 0 ? step(by) : count; }
  function step(by) {
    for (let i = 0; i < by; i++) { if (count >= LIMIT) return -1; count++; }
    if (by > 2) { const double = by * 2; return double + device.size; }
    return count;
  }
  export const run = (by) => table[0](by);
  export { count, Edge };
`;

test("what Closure makes of a module does the same, makes no function in a call, and leaves to RAM what changes alone", async (t) => {
  const code = await made({ "main.ts": COUNTER }, closure(), functionsToArrows());
  t.notRegex(code, /function\s*\(|var /);
  t.is(code.match(/^let /gm)?.length, 1);
  const text = code.replace(/import device from .*;/, "const device = { size: 7 };");
  const board = (await import(`data:text/javascript,${encodeURIComponent(text)}`)) as {
    run(by: number): number; readonly count: number; Edge: { new (): object; inner(edge: object): number };
  };
  t.deepEqual([board.run(0), board.run(2), board.count], [0, 2, 2]);
  t.deepEqual([board.run(3), board.count, board.run(9), board.count], [13, 5, -1, 8]);
  t.deepEqual([board.Edge.inner(new board.Edge()), board.Edge.inner({})], [5, -1]);
});

/** Branches of every kind; `log` tells which were taken. */
const BRANCHES = `
  let log = 0;
  function note(n) { log = log * 10 + n; return n; }
  export function run(a, b, c, o) {
    log = 0;
    if (a) note(1);
    if (!b) note(2);
    if (a) { if (b) { note(3); if (c) note(4); } else note(5); } else { o.done = true; ({ at: o.at } = o); }
    if (a === b || b === c) { note(7); } else if (c && (a || o.at > 2)) { note(8); note(9); }
    const on = b ? false : o.done;
    if (c) { note(6); return on; }
    o.each = () => { if (o.at) { note(a ? 1 : 2); o.at = null; } };
    for (let i = 0; i < 2; i++) { if (i > 0 && o.at > 1) o.each(); else a ?? note(3); }
    return log;
  }
  export const table = Object.freeze({ run(a, b) { for (let i = 0; i < a; i++) { const twice = b * 2; if (twice > i) note(i); } return log; } });
`;

test("what Closure writes as expressions are statements, which go the same ways", async (t) => {
  const code = await made({ "main.ts": BRANCHES }, closure(), functionsToArrows());
  t.notRegex(code, /^[^=(]* (&&|\|\||\?) |![01]|var /m);
  interface Branches { run(a: unknown, b: unknown, c: unknown, o: object): unknown; table: { run(a: number, b: number): number } }
  const [board, source] = (await Promise.all([code, BRANCHES].map((text) => import(`data:text/javascript,${encodeURIComponent(text)}`)))) as [Branches, Branches];
  for (const a of [false, true, null]) {
    for (const b of [false, true]) {
      for (const c of [false, true]) {
        for (const at of [0, 2, 3]) {
          const ours = { at, done: false };
          const theirs = { at, done: false };
          t.is(board.run(a, b, c, ours), source.run(a, b, c, theirs));
          t.is(board.table.run(3, 1), source.table.run(3, 1), `the log after ${a} ${b} ${c} ${at}`);
          t.deepEqual(Object.values(ours).slice(0, 2), Object.values(theirs).slice(0, 2));
        }
      }
    }
  }
});

test("several variables that Closure declares at once are declared once", async (t) => {
  const code = await made({
    "main.ts": `
      export const run = (o) => {
        const first = o.first(), second = o.second(first);
        let third = o.third;
        if (first > second) third++;
        return [first, second, third];
      };
    `,
  }, closure(), functionsToArrows());
  t.regex(code, /\blet [\w$]+ = .*, [\w$]+ = /);
  const { run } = (await import(`data:text/javascript,${encodeURIComponent(code)}`)) as { run(o: object): number[] };
  t.deepEqual(run({ first: () => 3, second: (n: number) => n - 1, third: 7 }), [3, 2, 8]);
});

test("variables have the names of properties, and exports theirs", async (t) => {
  const code = await made({ "main.ts": "const first = (skb) => skb.len + skb.data + skb.len; export const second = (other) => first(other);" }, shareNames());
  const words = [...new Set(code.match(/[a-z$]\w*/gi))].filter((word) => !/^(const|export|as|return)$/.test(word));
  t.deepEqual(words.sort(), ["data", "len", "second"]);
});
