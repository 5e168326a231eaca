/** Classes that become functions on a board (tools/structs.mjs), and what they make. */
import test from "ava";
import { type OutputChunk, rollup } from "rollup";
import { structs } from "../../../tools/structs.mjs";

/** The chunks that programs of these entrances get, by file; what several of them use is in core.js. */
async function chunks(modules: Record<string, string>, entrances: readonly string[]): Promise<Record<string, string>> {
  const files = { name: "files", resolveId: (id: string) => id.replace(/^\.\//, "/src/"), load: (id: string) => modules[id.replace("/src/", "")] ?? null };
  const input = Object.fromEntries(entrances.map((name) => [name, `/src/${name}.js`]));
  const bundle = await rollup({ input, preserveEntrySignatures: "allow-extension", plugins: [files, structs()], logLevel: "silent" });
  const { output } = await bundle.generate({ format: "es", chunkFileNames: "core.js" });
  return Object.fromEntries((output as OutputChunk[]).map(({ fileName, code }) => [fileName, code]));
}

const classes = (code = "") => [...code.matchAll(/class (\w+)/g)].map(([, name]) => name);

/** The module of a program with these lines, as written and without its classes. */
async function both<T>(source: string): Promise<{ code: string; ours: T; theirs: T }> {
  const { "main.js": code = "" } = await chunks({ "main.js": source }, ["main"]);
  const [ours, theirs] = (await Promise.all([code, source].map((text) => import(`data:text/javascript,${encodeURIComponent(text)}`)))) as [T, T];
  return { code, ours, theirs };
}

interface Made {
  make(): object[];
}

test("what is only fields is made by a function: the same fields in the same order", async (t) => {
  const { code, ours, theirs } = await both<Made>(`
    const MASK = 7;
    const ignore = () => 0;
    class Work { next = null; pending = false; }
    class Queue { head = null; work = new Work; bits = MASK & 3; list = []; size; }
    class Addr { addr; port; family = 2; constructor(addr = 0, port = 0) { this.addr = addr | 0; this.port = port; } }
    class Row { size; rows; at = 1; constructor(size) { this.size = size; this.rows = new Array(size).fill(size); this.at++; const wake = () => this.at; this.wake = wake(); } }
    export const make = () => [new Queue(), new Addr(), new Addr(2 ** 32 + 5, 7), new Row(3)];
  `);
  t.notRegex(code, /class|new (?!Array)/);
  t.is(JSON.stringify(ours.make()), JSON.stringify(theirs.make()));
  const [one, other] = [ours.make()[0], ours.make()[0]] as { work: object; list: object }[];
  t.not(one!.work, other!.work);
  t.not(one!.list, other!.list);
});

test("what is called to make a value is called in the order in which it was", async (t) => {
  const { code, ours, theirs } = await both<Made & { order: string[] }>(`
    export const order = [];
    const call = (name) => order.push(name);
    class First { a; b = call("b"); c; d = call("d"); constructor(c) { this.c = c; this.a = call("a"); } }
    class Second { a; b; constructor() { this.b = call("b2"); this.a = call("a2"); } }
    class Third { a = call("a3"); b; constructor(b) { this.b = b; this.a = call("again"); } }
    export const make = () => [new First(9), new Second(), new Third(4)];
  `);
  t.notRegex(code, /class/);
  t.is(JSON.stringify(ours.make()), JSON.stringify(theirs.make()));
  t.deepEqual(ours.order, theirs.order);
});

test("a class takes over the fields of the one it extends; with methods it stays a class without it", async (t) => {
  const { code, ours, theirs } = await both<Made>(`
    const ignore = () => 1;
    const OPS = { name: "ops" };
    class Entry { next = null; func = ignore; ops; constructor(ops = OPS) { this.ops = ops; } }
    class Item extends Entry { fd = 0; owner; constructor(owner) { super(OPS); this.owner = owner; } }
    class Plain extends Entry { more = 1; }
    class Edge extends Entry { told = 0; constructor() { super(); this.func = () => this.told; } count() { return ++this.told; } }
    class Deep extends Edge { owner = "me"; get twice() { return 2 * this.told; } }
    export const make = () => { const deep = new Deep(); deep.count(); return [new Item(5), new Plain(), new Edge(), deep, { twice: deep.twice, own: Object.hasOwn(deep, "count") }]; };
  `);
  t.deepEqual(classes(code), ["Edge", "Deep"]);
  t.notRegex(code, /Edge extends/);
  t.is(JSON.stringify(ours.make()), JSON.stringify(theirs.make()));
});

test("whatever else is asked of a class keeps it", async (t) => {
  const { code, ours, theirs } = await both<Made & { Public: new () => object }>(`
    class Asked { a = 1; }
    class Named { a = 2; }
    class Hidden { a = 3; }
    class Private { #a = 4; static of(one) { return #a in one ? one.#a : 0; } }
    class Both { a = 5; get b() { return 6; } }
    class Over extends Both { b = 7; }
    class Shadow { a = at; constructor(at) { this.b = at; } }
    export class Public { a = 8; }
    const at = 9;
    const use = (Hidden) => Hidden.a;
    const maker = Named;
    export const make = () => [new Asked() instanceof Asked, new maker(), new Hidden(), use({ a: 1 }), Private.of(new Private()), new Over(), new Over().b, new Shadow(1), new Public()];
  `);
  t.deepEqual(classes(code), ["Asked", "Named", "Hidden", "Private", "Both", "Over", "Shadow", "Public"]);
  t.is(JSON.stringify(ours.make()), JSON.stringify(theirs.make()));
  t.deepEqual(Object.keys(new ours.Public()), ["a"]);
});

test("a class of constants is constants of the module", async (t) => {
  const { code, ours } = await both<Made>(`
    class Parms { time = 30; dev = null; }
    class Defaults { static PARMS = new Parms(); static LIMIT = 3; }
    export const make = () => [Object.create(Defaults.PARMS), Defaults.LIMIT];
  `);
  t.deepEqual(classes(code), []);
  t.is((ours.make()[0] as { time: number }).time, 30);
  t.is(ours.make()[1] as unknown, 3);
});

test("all chunks are looked at: a class goes if others make it, and stays if one asks more of it or a program may", async (t) => {
  const modules = {
    "core.js": `
      export class Shared { a = 1; b; constructor(b) { this.b = b; } }
      export class Asked { a = 2; }
      export class Base { a = 3; }
      export class Device { a = 4; }
      export const make = () => [new Shared(1), new Asked(), new Base(), new Device()];
    `,
    "main.js": `
      import { Asked, Base, Device, make, Shared } from "./core.js";
      class Heir extends Base { c = 5; }
      export const all = (x) => [new Shared(x), x instanceof Asked, new Heir(), new Device(), ...make()];
      export { Device };
    `,
    "second.js": 'import { make, Shared } from "./core.js"; export const second = () => [...make(), new Shared(2)];',
  };
  const made = await chunks(modules, ["main", "second"]);
  t.deepEqual(classes(made["core.js"]), ["Asked", "Base", "Device"]);
  t.deepEqual(classes(made["main.js"]), ["Heir"]);
  t.regex(made["main.js"]!, /\[Shared\(x\), x instanceof Asked, new Heir\(\)/);
  t.regex(made["second.js"]!, /, Shared\(2\)\]/);
  t.deepEqual(classes((await chunks(modules, ["core", "second"]))["core.js"]), ["Shared", "Asked", "Base", "Device"]);
});
