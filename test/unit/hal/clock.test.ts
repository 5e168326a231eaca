/** The virtual clock: time jumps from deadline to deadline, in order, and stops where it is told. */
import test from "ava";
import { VirtualClock } from "../../../hal/mock/clock.ts";

/** A kernel with one periodic timer. */
function ticker(clock: VirtualClock, everyMs: number): { poll(): number; ticks: number[] } {
  const ticks: number[] = [];
  let due = clock.now() + everyMs;
  return {
    ticks,
    poll() {
      while (clock.now() >= due) {
        ticks.push(clock.now());
        due += everyMs;
      }
      return due - clock.now();
    },
  };
}

test("a kernel's timers fire at their times, and hours pass in a moment", (t) => {
  const clock = new VirtualClock();
  const kernel = ticker(clock, 250);
  clock.drive(kernel);
  const started = Date.now();
  clock.runFor(3 * 3600 * 1000);
  t.is(clock.now(), 3 * 3600 * 1000);
  t.is(kernel.ticks.length, 3 * 3600 * 4);
  t.true(kernel.ticks.every((at, index) => at === (index + 1) * 250));
  t.true(Date.now() - started < 5000);
});

test("runUntil stops at the instant the condition holds, or at its limit", (t) => {
  const clock = new VirtualClock();
  const kernel = ticker(clock, 7);
  clock.drive(kernel);
  t.true(clock.runUntil(() => kernel.ticks.length === 3));
  t.is(clock.timeMs(), 21);
  t.false(clock.runUntil(() => false, 100));
  t.is(clock.timeMs(), 121);
});

test("a kernel that was woken gets another turn at the same instant", (t) => {
  const clock = new VirtualClock();
  let polls = 0;
  clock.drive({
    poll: () => {
      polls++;
      return -1;
    },
  });
  clock.at(5, () => clock.wake());
  clock.runFor(4);
  const before = polls;
  clock.runFor(1);
  t.true(polls > before);
  t.is(clock.timeMs(), 5);
});

test("events between whole milliseconds keep their times; the kernel sees whole ones", (t) => {
  const clock = new VirtualClock();
  const seen: [number, number][] = [];
  clock.at(1.25, () => seen.push([clock.timeMs(), clock.now()]));
  clock.at(0.5, () => seen.push([clock.timeMs(), clock.now()]));
  clock.runFor(2);
  t.deepEqual(seen, [[0.5, 0], [1.25, 1]]);
});

test("a sketch is stepped until it has nothing to do, and after it was removed not at all", (t) => {
  const clock = new VirtualClock();
  let work = 3;
  let calls = 0;
  const step = (): boolean => {
    calls++;
    return work-- > 0;
  };
  clock.drive({ poll: () => -1 });
  clock.addStep(step);
  clock.runFor(1);
  t.true(work < 0);
  clock.removeStep(step);
  const before = calls;
  clock.runFor(1);
  t.is(calls, before);
});

test("something that runs in circles is found out", (t) => {
  const clock = new VirtualClock();
  clock.drive({ poll: () => 0 });
  t.throws(() => clock.runFor(1), { message: /still work to do/ });
});

test("the same seed gives the same entropy", (t) => {
  const bytes = (seed: number): string => {
    const into = new Uint8Array(16);
    new VirtualClock(seed).entropy(into);
    return into.join();
  };
  t.is(bytes(1), bytes(1));
  t.not(bytes(1), bytes(2));
});
