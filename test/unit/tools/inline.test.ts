/** Functions that are written where they are called (tools/inline.mjs): the same answers, in the same order, by fewer functions. */
import test from "ava";
import { type OutputChunk, rollup } from "rollup";
import { inline } from "../../../tools/inline.mjs";

interface Module {
  run(a: number, b: number): unknown;
}

/** A module as written and with its functions written out; `log` in it is what was done. */
async function both(source: string): Promise<{ code: string; functions: number; ours: Module; theirs: Module }> {
  const files = { name: "files", resolveId: (id: string) => id, load: () => source };
  const bundle = await rollup({ input: "/main.js", plugins: [files, inline()], treeshake: false, logLevel: "silent" });
  const { output } = await bundle.generate({ format: "es" });
  const { code } = output[0] as OutputChunk;
  const [ours, theirs] = (await Promise.all([code, source].map((text) => import(`data:text/javascript,${encodeURIComponent(text)}`)))) as [Module, Module];
  return { code, functions: code.match(/=>/g)?.length ?? 0, ours, theirs };
}

/** As many functions are left, and both modules answer alike. */
const same = (name: string, functions: number, source: string): void => {
  test(name, async (t) => {
    const made = await both(source);
    t.is(made.functions, functions, made.code);
    for (const a of [-2, -1, 0, 1, 2, 3, 7]) for (const b of [-1, 0, 2, 5]) t.deepEqual(made.ours.run(a, b), made.theirs.run(a, b), `run(${a}, ${b})`);
  });
};

same("calls whose value nobody asks for, is assigned, declared, returned or decided by", 1, `
  const log = [];
  const nothing = (a, b) => { if (a > b) { log.push(a); return; } log.push(b); };
  const assigned = (a) => { if (a < 0) { return -a; } for (let i = 0; i < 9; i++) { if (i > a) { return i; } } return a; };
  const declared = (a) => { switch (a) { case 1: return "one"; case 2: { return "two"; } } };
  const member = (o) => { o.n += 1; return o.n * 2; };
  const decides = (a, b) => { if (a === b) { return true; } log.push("not"); return a > 2; };
  const returned = (log, o) => { if (o.n > 3) { return [o.n, ...log]; } log.push("end"); };
  const run = (a, b) => {
    log.length = 0;
    let x = 5;
    const o = { n: a };
    nothing(a, b);
    x = assigned(a);
    const y = declared(a), z = x + 1;
    o.m = member(o);
    if (decides(a, b)) log.push("yes"); else if (x > 1) { log.push("no"); }
    log.push(x, y, z, o.m);
    return returned(log, o);
  };
  export { run };
`);

same("parameters: assigned to, given by name, missing, with a default, used in any order", 1, `
  const twice = (a) => { a *= 2; if (a > 4) { return 4; } return a; };
  const more = (a, b = 3, c) => { if (a > b) { return c; } return a + b; };
  const order = (a, b, c) => { if (c) { return b - a; } return a - b; };
  const spread = (a) => { const { n, m: { k } = { k: 9 }, ...rest } = a; const [p = n] = [rest.q]; return { n, k, p }; };
  const run = (a, b) => {
    let n = b;
    const first = twice(n);
    n = more(a);
    const third = order(a + 1, b * n, a > 0);
    const fourth = spread({ n, q: b });
    return [n, first, third, fourth];
  };
  export { run };
`);

same("in loops a function's variables begin anew, and its jumps stay its own", 1, `
  const scan = (list, from) => {
    var found;
    out: for (var i = from; i < list.length; i++) {
      for (let k = 0; k < 3; k++) { if (list[i] === k) { continue out; } if (list[i] > 4) { break out; } }
      found = (found ?? 0) + list[i];
    }
    try { if (found > 3) { return found; } } finally { list.push(i); }
    return "less";
  };
  const run = (a, b) => {
    const all = [];
    out: for (let i = 0; i < 4; i++) {
      const list = [a, b, i, 3];
      const sum = scan(list, i);
      if (sum === a) { break out; }
      all.push(sum, list);
    }
    return all;
  };
  export { run };
`);

same("names of one function hide nothing of another", 1, `
  let count = 0;
  const base = 10;
  const inner = (x) => { count += x; if (count > 50) { count = 0; } return base + count; };
  const outer = (a) => { const x = a + 1; let y = inner(x); if (y > 12) { y -= x; } return { x, y }; };
  const run = (base, x) => { const inner = x; { let count = base; base += count; } const made = outer(base); return [made, inner, base]; };
  export { run };
`);

same("what was evaluated before a call stays before it", 4, `
  const log = [];
  let state = 1;
  const step = (n) => { state += n; log.push(n); if (state > 40) { state = 0; } return state; };
  const next = (n) => { state *= 2; log.push(-n); if (state > 30) { state = 1; } return state; };
  const last = (n) => { log.push("last", n); if (n > 2) { return 1; } return n; };
  const get = () => state;
  const run = (a, b) => {
    log.length = 0;
    const o = { a };
    const x = state + step(a);
    const y = a + next(b);
    const z = get() + last(o.a++);
    return [x, y, z, o.a, ...log];
  };
  export { run, get };
`);

same("functions that call themselves, make functions, or are values stay", 5, `
  const fact = (n) => { if (n < 2) { return 1; } return n * fact(n - 1); };
  const maker = (n) => { const list = [n]; return list.map((x) => x + n); };
  const value = (n) => { if (n > 1) { return n; } return -n; };
  const run = (a, b) => { const f = fact(a); const m = maker(b); return [f, m, [value].map(String).length]; };
  export { run };
`);

same("a small function is written at both its calls, a long one is not", 2, `
  let n = 0;
  const small = (by) => { n += by; };
  const long = (a) => {
    n += a; n *= 3; n %= 1000; if (n > 100) { n -= a; n *= 5; n %= 77; } else { n ^= a; n += 2 * a; n %= 99; }
    for (let i = 0; i < 3; i++) { n += i * a; n %= 1000; n ^= i; if (n > 500) { n -= 100; n ^= 3; } }
    if (n > 10) { n = n / 2 | 0; n += 1; n %= 313; } else { n = n * 7 | 0; n -= 1; n %= 717; }
    return n;
  };
  const run = (a, b) => { n = 0; small(a); const x = long(b); small(b); const y = long(a); return [x, y, n]; };
  export { run };
`);
