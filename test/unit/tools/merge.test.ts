/** Functions that become cases of one on a board (tools/merge.mjs), and which of the stack's stay (tools/hot.mjs). */
import test from "ava";
import { type OutputChunk, rollup } from "rollup";
import { functionsToArrows } from "../../../tools/flash.mjs";
import { hotNames } from "../../../tools/hot.mjs";
import { mergeCold } from "../../../tools/merge.mjs";

async function merged(source: string, hot: readonly string[], name = "main"): Promise<string> {
  const file = { name: "file", resolveId: (id: string) => id, load: () => source };
  const bundle = await rollup({
    input: { [name]: "/main.js" },
    plugins: [file, functionsToArrows(), mergeCold(() => Promise.resolve(new Set(hot)))],
    treeshake: false,
    logLevel: "silent",
  });
  const { output } = await bundle.generate({ format: "es" });
  return (output as OutputChunk[])[0]!.code;
}

/** What `answers()` of the module says, as written and merged. */
async function both(source: string, hot: readonly string[] = []): Promise<{ code: string; ours: unknown; theirs: unknown }> {
  const code = await merged(source, hot);
  const run = async (text: string): Promise<unknown> => ((await import(`data:text/javascript,${encodeURIComponent(text)}`)) as { answers(): unknown }).answers();
  return { code, ours: await run(code), theirs: await run(source) };
}

const declared = (code: string): string[] => [...code.matchAll(/^const (\S+) = \(/gm)].map(([, name = ""]) => name);

test("functions that are only called are cases of one, and answer as before", async (t) => {
  const { code, ours, theirs } = await both(`
    let state = 1;
    function step(by) { state += by; }
    function add(a, b) { return a + b; }
    function pair(a, b) { return { a, b }; }
    function first(list) { for (let i = 0; i < list.length; i++) if (list[i] > 2) return list[i]; }
    function factorial(n) { return n < 2 ? 1 : n * factorial(n - 1); }
    function even(n) { return n === 0 || odd(n - 1); }
    function odd(n) { if (n === 0) return false; return even(add(n, -1)); }
    function missing(a, b) { b ??= 5; a = add(a, 1); return add(a, b); }
    export function answers() {
      step(4);
      step(add(1, 2));
      return [state, pair(state, add(3, 4)), first([1, 2, 3]), first([]), factorial(5), even(6), odd(6), missing(1), missing(1, 2)];
    }`);
  t.deepEqual(declared(code), ["shared$0", "answers"]);
  t.deepEqual(ours, theirs);
});

test("what is called for packets, exported, handed over, makes functions or has more than plain parameters stays", async (t) => {
  const { code, ours, theirs } = await both(
    `
    function hot(a) { return a + 1; }
    function hot$1(a) { return a + 2; }
    export function given(a) { return a + 3; }
    function value(a) { return a + 4; }
    function maker(a) { return () => a + 5; }
    function defaults(a = 6) { return a; }
    function rest(...all) { return all.length; }
    function spread(a, b) { return a - b; }
    function shadowed(a) { return a + 7; }
    function cold(a) { return a + 8; }
    function colder(a) { const shadowed = 9; return a + shadowed; }
    export function answers() {
      return [hot(1), hot$1(1), given(1), [1].map(value), maker(1)(), defaults(), rest(1, 2), spread(...[3, 1]), shadowed(1), cold(1), colder(1)];
    }`,
    ["hot"],
  );
  t.deepEqual(declared(code).sort(), ["answers", "defaults", "given", "hot", "hot$1", "maker", "rest", "shadowed", "shared$0", "spread", "value"]);
  t.deepEqual(ours, theirs);
});

test("a name of the compiler's stands for the source's", async (t) => {
  const source = "function $hot$$() { return 1; }\nfunction $hot$jscomp$3$$() { return 2; }\nfunction $cold$$() { return 3; }\nfunction $colder$$() { return 4; }";
  const code = await merged(`${source}\nexport const answers = () => [$hot$$(), $hot$jscomp$3$$(), $cold$$(), $colder$$()];`, ["hot"]);
  t.deepEqual(declared(code), ["shared$0", "$hot$$", "$hot$jscomp$3$$", "answers"]);
});

test("a shared function uses at most 20 names of its module; a lone function stays as it is", async (t) => {
  const names = (from: number): string => Array.from({ length: 11 }, (_, i) => `v${from + i}`).join(" + ");
  const variables = Array.from({ length: 22 }, (_, i) => `let v${i} = ${i};`).join("\n");
  const two = `function a() { return ${names(0)}; }\nfunction b() { return ${names(11)}; }`;
  const { code } = await both(`${variables}\n${two}\nexport const answers = () => [a(), b()];`);
  t.deepEqual(declared(code), ["a", "b", "answers"]);
});

test("a driver's chunk stays as it is", async (t) => {
  const source = "function a() { return 1; }\nfunction b() { return 2; }\nexport const answers = () => [a(), b()];";
  t.deepEqual(declared(await merged(source, [], "linnet/hal/enc28j60")), ["a", "b", "answers"]);
});

test("the stack's own hot functions: those of packets are, those of boot and of settings are not", async (t) => {
  const hot = await hotNames();
  for (const name of ["ipRcv", "arpRcv", "udpRcv", "tcpV4Rcv", "tcpAck", "devQueueXmit", "fibLookup"]) t.true(hot.has(name), name);
  for (const name of ["boot", "resolveConfig", "fibTableInsert", "inetAddAddress", "devOpen"]) t.false(hot.has(name), name);
});
