import { join } from "node:path";
import { noAllocation } from "../../../tools/eslint/no-allocation.ts";
import { ruleTester } from "./rule-tester.ts";

const allocates = (what: string): { messageId: string; data: { what: string } }[] => [
  { messageId: "allocates", data: { what } },
];
const offPath = [
  { file: "src/lib/pool.ts", functions: ["poolCreate"], reason: "boot" },
  { file: "src/lib/table.ts", reason: "boot" },
];
const inFile = (path: string): { filename: string; options: unknown[] } => ({
  filename: join(process.cwd(), path),
  options: [{ offPath }],
});

/** One statement on the packet path, and what is wrong with it. */
const forbidden: [code: string, what: string][] = [
  ["g(...a);", "a spread"],
  ["const f = () => 1;", "a function inside a function"],
  ["const f = function () { return 1; };", "a function inside a function"],
  ["function inner() {}", "a function inside a function"],
  ["const s = `port ${a}`;", "a template string"],
  ['const s = "port " + a;', "joining strings"],
  ["const o = {};", "an object literal"],
  ["const o = [];", "an array literal"],
  ["const o = new Foo();", "new"],
  ["const C = class {};", "a class"],
  ["for (const x of a) g(x);", "for…of"],
  ["for (const x in a) g(x);", "for…in"],
  ["const [x] = a;", "array destructuring"],
  ["const { x, ...rest } = a;", "a rest element"],
  ["const n = 5n;", "a bigint"],
  ["const r = /a/;", "a regular expression"],
  ["a.subarray(1);", ".subarray()"],
  ["a.slice(1);", ".slice()"],
  ["Object.keys(a);", "Object.keys()"],
  ["Array.from(a);", "Array.from()"],
  ["const c = a.charCodeAt(1);", ".charCodeAt()"],
  ["const s = String.fromCharCode(a);", "String.fromCharCode()"],
];

ruleTester().run("linnet/no-allocation", noAllocation, {
  valid: [
    "export const TABLE = Object.freeze([1, 2, 3]); const f = () => 1;",
    "function tcpAck(sk, skb) { const { a, b } = sk; return a < b ? `same` : g(a, b) + 1; }",
    "function arpInit() { const all = [new Foo()]; for (const x of all) x.f = () => ({ x }); }",
    "function inetRegisterProtosw(p) { table.push({ p }); }",
    "const registerNetdev = (dev) => [...dev];",
    "function formatRoute(r) { return `via ${r}`; }",
    "class SkBuff { list = []; view = new DataView(b); constructor() { this.o = {}; } }",
    'function f(n) { throw new RangeError(`option buffers: ${n}` + " is too small"); }',
    "function bind(sk) { return sk.ops.bind(sk); }",
    "function f(a) { return Array.isArray(a); }",
    { ...inFile("src/lib/pool.ts"), code: "function poolCreate() { return []; }" },
    { ...inFile("src/lib/table.ts"), code: "export function anything() { return []; }" },
  ],
  invalid: [
    ...forbidden.map(([code, what]) => ({
      ...inFile("src/stack/ipv4/tcp.ts"),
      code: `function tcpRcv(a, g) { ${code} }`,
      errors: allocates(what),
    })),
    { code: "async function f() {}", errors: allocates("an async function") },
    { code: "const o = { async f() {} };", errors: allocates("an async function") },
    { code: "function* f() {}", errors: allocates("a generator") },
    { code: "class A { f() { return []; } }", errors: allocates("an array literal") },
    { code: "function f(...rest) {}", errors: allocates("a rest element") },
    { name: "initial is not init", code: "function initialWindow() { return []; }", errors: allocates("an array literal") },
    { name: "created is not create", code: "function created() { return []; }", errors: allocates("an array literal") },
    {
      name: "only the functions listed are off the path",
      ...inFile("src/lib/pool.ts"),
      code: "function poolAlloc() { return []; }",
      errors: allocates("an array literal"),
    },
  ],
});
