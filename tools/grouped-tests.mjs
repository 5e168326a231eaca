/**
 * Several test files in one process of ava: each gets a `test` of its own, with ava's meaning, whose hooks concern its tests alone.
 *
 * Starting a process costs ava more than most files of unit tests take to run. In a group one test runs at a time, in the order of
 * the files; each file boots its kernel anew, as it does alone.
 */
import ava from "ava";

/** Runs hooks or a test one after another, in ava's order. */
async function runAll(functions, t) {
  for (const run of functions) await run(t);
}

/** @param file as its titles name it: "ipv4/udp" @returns what `import test from "ava"` gives it when it runs alone */
export function testsOf(file) {
  const hooks = { before: [], beforeEach: [], afterEach: [], afterEachAlways: [] };
  let ready = null;
  const add = (title, body) =>
    ava.serial(`${file} › ${title}`, async (t) => {
      ready ??= runAll(hooks.before, t);
      await ready;
      try {
        await runAll(hooks.beforeEach, t);
        await body(t);
        await runAll(hooks.afterEach, t);
      } finally {
        await runAll(hooks.afterEachAlways, t);
      }
    });
  const test = (title, body) => add(title, body);
  test.serial = test;
  test.before = (hook) => hooks.before.push(hook);
  test.after = { always: (hook) => ava.after.always(`${file} ›`, hook) };
  test.beforeEach = (hook) => hooks.beforeEach.push(hook);
  test.afterEach = (hook) => hooks.afterEach.push(hook);
  test.afterEach.always = (hook) => hooks.afterEachAlways.push(hook);
  return test;
}
