/** The run loop of a board, over a stand-in of the SDK's timer: it is hal/xs/run.ts that is tested, unchanged. */
import test from "ava";
import { build } from "esbuild";

type Callback = () => void;

/** The SDK's timer: one shots are freed when they fire, a repetition goes on; inside its own callback the two times must be alike. */
class FakeTimer {
  static made: FakeTimer[] = [];
  static firing: FakeTimer | null = null;
  first: number;
  repeat: number;
  freed = false;
  readonly callback: Callback;

  constructor(callback: Callback, first: number, repeat: number) {
    this.callback = callback;
    this.first = first;
    this.repeat = repeat;
  }

  static set(callback: Callback, first = 0, repeat = 0): FakeTimer {
    const timer = new FakeTimer(callback, first, repeat);
    FakeTimer.made.push(timer);
    return timer;
  }

  static schedule(timer: FakeTimer, first: number, repeat = 0): void {
    if (timer.freed) throw new Error("schedule: the timer is gone");
    if (FakeTimer.firing === timer && first !== repeat) throw new Error(`schedule: ${first} and ${repeat} inside the timer's callback`);
    timer.first = first;
    timer.repeat = repeat;
  }

  static clear(timer: FakeTimer): void {
    timer.freed = true;
  }

  fire(): number {
    FakeTimer.firing = this;
    this.callback();
    FakeTimer.firing = null;
    if (this.repeat === 0) this.freed = true;
    return this.first;
  }
}

(globalThis as { fakeTimer?: unknown }).fakeTimer = FakeTimer;
const FAKES: Readonly<Record<string, string>> = { timer: "export default globalThis.fakeTimer;", time: "export default { ticks: 0 };" };
const ROOT = new URL("../../../../", import.meta.url).pathname;

interface RunModule {
  run(net: { poll(): number }, step?: () => boolean | number): { stop(): void };
  platform: { wake(): void };
}

let run: RunModule["run"];
let platform: RunModule["platform"];

test.before(async () => {
  const { outputFiles } = await build({
    stdin: { contents: 'export { run } from "./hal/xs/run.ts"; export { platform } from "./hal/xs/platform.ts";', resolveDir: ROOT, loader: "ts" },
    bundle: true, write: false, format: "esm", logLevel: "error",
    plugins: [{
      name: "fakes",
      setup(bundler) {
        bundler.onResolve({ filter: /^time/ }, ({ path }) => ({ path, namespace: "fake" }));
        bundler.onLoad({ filter: /./, namespace: "fake" }, ({ path }) => ({ contents: FAKES[path]! }));
      },
    }],
  });
  ({ run, platform } = (await import(`data:text/javascript,${encodeURIComponent(outputFiles[0]!.text)}`)) as RunModule);
});

const DAY_MS = 86_400_000;

/** A stack whose poll() answers these delays in turn, then -1. */
function stack(...delays: number[]) {
  const net = { polls: 0, poll: () => delays[net.polls++] ?? -1 };
  return net;
}

test.serial("turns go on while there is work, then the one timer waits for the stack's next", (t) => {
  const net = stack(0, 0, 250, -1);
  const loop = run(net);
  const timer = FakeTimer.made.at(-1)!;
  t.is(net.polls, 0, "nothing runs inside the call that starts it");
  t.is(timer.fire(), 250);
  t.is(net.polls, 3);
  t.is(timer.fire(), DAY_MS, "nothing is due");
  t.false(timer.freed);
  loop.stop();
  t.true(timer.freed);
});

test.serial("what a sketch answers counts like the stack's own timers", (t) => {
  const steps: (boolean | number)[] = [true, 20, 500];
  const loop = run(stack(100, 100, 100), () => steps.shift()!);
  const timer = FakeTimer.made.at(-1)!;
  t.is(timer.fire(), 20, "it did work once, then named its own time");
  t.is(timer.fire(), 100, "the stack's is earlier");
  loop.stop();
});

test.serial("a driver's interrupt brings the next turn at once, however often it wakes", (t) => {
  const net = stack(-1, -1);
  const loop = run(net);
  const timer = FakeTimer.made.at(-1)!;
  timer.fire();
  const made = FakeTimer.made.length;
  platform.wake();
  platform.wake();
  t.is(timer.first, 0);
  t.not(timer.repeat, 0, "the SDK frees a timer without a repetition");
  t.is(FakeTimer.made.length, made, "no timer is made for an interrupt");
  t.is(timer.fire(), DAY_MS);
  t.is(net.polls, 2);
  loop.stop();
});

test.serial("a stack that never rests leaves the board's other timers their turn", (t) => {
  const net = stack(...Array.from({ length: 99 }, () => 0));
  const loop = run(net);
  t.is(FakeTimer.made.at(-1)!.fire(), 1);
  t.is(net.polls, 16);
  loop.stop();
});

test.serial("one loop at a time; after an exception in a turn there is a next one", (t) => {
  let fails = true;
  const loop = run({ poll: () => {
    if (fails) throw new Error("a bug");
    return 50;
  } });
  t.throws(() => run(stack()), { message: /a loop runs already/ });
  const timer = FakeTimer.made.at(-1)!;
  t.throws(() => timer.callback(), { message: "a bug" });
  fails = false;
  t.is(timer.fire(), 50);
  loop.stop();
});

test.serial("a loop that its own sketch stops runs no further turn, and leaves its timer alone", (t) => {
  const net = stack(0, 0, 0);
  let steps = 0;
  const loop = run(net, () => {
    if (++steps === 2) loop.stop();
    return true;
  });
  const timer = FakeTimer.made.at(-1)!;
  timer.fire();
  t.deepEqual([net.polls, steps], [2, 2]);
  t.true(timer.freed);
  const { first } = timer;
  platform.wake();
  t.is(timer.first, first, "an interrupt that comes later wakes nobody");
});

test.serial("behind a stopped loop there may be another, which a second stop() of the first does not touch", (t) => {
  const first = run(stack());
  first.stop();
  const net = stack(70, -1);
  const second = run(net);
  const timer = FakeTimer.made.at(-1)!;
  first.stop();
  t.throws(() => run(stack()), { message: /a loop runs already/ });
  t.is(timer.fire(), 70);
  platform.wake();
  t.is(timer.first, 0);
  second.stop();
  t.is(net.polls, 1);
});

test.serial("a sketch may put another loop in the place of its own", (t) => {
  const net = stack(30);
  const first = run(stack(0, 0), () => {
    first.stop();
    run(net);
    return true;
  });
  const old = FakeTimer.made.at(-1)!;
  old.fire();
  const timer = FakeTimer.made.at(-1)!;
  t.not(timer, old);
  t.is(timer.fire(), 30);
});
