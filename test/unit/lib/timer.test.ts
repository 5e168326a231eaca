import test from "ava";
import fc from "fast-check";
import { poolsReset } from "../../../src/lib/pool.ts";
import {
  createTimer, delTimer, jiffies, modTimer, nextTimerDelay, runTimers, timeAfter, timeBefore, timerPending, timersInit,
} from "../../../src/lib/timer.ts";

/** A naive clock: a list of armed timers, sorted when it is asked. Times are counted from 0 without wrapping. */
class Model {
  now = 0;
  armed: { id: number; at: number; order: number }[] = [];
  private order = 0;

  mod(id: number, at: number): boolean {
    const effective = Math.max(at, this.now + 1);
    const old = this.armed.find((entry) => entry.id === id);
    if (old?.at === effective) return true;
    this.armed = this.armed.filter((entry) => entry.id !== id);
    this.armed.push({ id, at: effective, order: this.order++ });
    return old !== undefined;
  }

  del(id: number): boolean {
    const before = this.armed.length;
    this.armed = this.armed.filter((entry) => entry.id !== id);
    return this.armed.length < before;
  }

  /** The next one due, taken out. */
  take(): number {
    const due = this.armed.filter((entry) => entry.at <= this.now).sort((a, b) => a.at - b.at || a.order - b.order)[0];
    if (due === undefined) return -1;
    this.del(due.id);
    return due.id;
  }

  delay(): number {
    return this.armed.length === 0 ? -1 : Math.min(...this.armed.map((entry) => entry.at)) - this.now;
  }
}

const COUNT = 8;
const delay = fc.oneof(
  fc.integer({ min: -20, max: 40 }), fc.integer({ min: 0, max: 5000 }), fc.integer({ min: 0, max: 4_000_000 }),
  fc.integer({ min: 0, max: 0x7fffffff }), fc.constantFrom(15, 16, 17, 255, 256, 257, 4096, 65536, 1 << 20,
    1 << 24, 1 << 28),
);
const start = fc.oneof(
  fc.constantFrom(0, -1, -300_000, 0x7fffffff, 0x7ffffff0, -0x80000000, 0xffffff, -0x1000000), fc.integer(),
);
const id = fc.nat(COUNT - 1);
/** What a callback does: nothing, arm some timer (perhaps itself), or disarm one. */
const reaction = fc.oneof(
  fc.constant(null), fc.record({ target: id, delay: fc.option(delay) }),
);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ what: fc.constant("mod" as const), id, delay, reaction }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("del" as const), id }) },
  { weight: 3, arbitrary: fc.record({ what: fc.constant("run" as const), delay: delay.filter((d) => d >= 0) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("next" as const) }) },
);

test.beforeEach(() => poolsReset());

test.serial("the wheel behaves as a sorted list, over wraps, jumps of weeks and callbacks that arm and disarm", (t) => {
  fc.assert(fc.property(start, fc.array(step, { maxLength: 60 }), fc.boolean(), (origin, steps, ask) => {
    timersInit(origin);
    const model = new Model();
    const reactions: ({ target: number; delay: number | null } | null)[] = new Array(COUNT).fill(null);
    const timers: number[] = [];
    let firing = false;
    const absolute = (at: number): number => (origin + at) | 0;
    for (let index = 0; index < COUNT; index++) timers.push(createTimer("test", (fired: number) => {
      t.true(firing);
      t.is(fired, index);
      t.false(timerPending(timers[index]!));
      t.is(jiffies, absolute(model.now));
      // A jump of more than 2^30 ms is made in steps; the model moves with jiffies, so order is compared step by step.
      t.is(fired, model.take());
      const act = reactions[fired];
      if (act === null || act === undefined) return;
      const target = timers[act.target]!;
      if (act.delay === null) t.is(delTimer(target), model.del(act.target));
      else t.is(modTimer(target, absolute(model.now + act.delay)), model.mod(act.target, model.now + act.delay));
    }, index));
    for (const one of steps) {
      if (one.what === "mod") {
        reactions[one.id] = one.reaction;
        t.is(modTimer(timers[one.id]!, absolute(model.now + one.delay)), model.mod(one.id, model.now + one.delay));
      } else if (one.what === "del") {
        t.is(delTimer(timers[one.id]!), model.del(one.id));
      } else if (one.what === "run") {
        let left = one.delay;
        while (left >= 0) {
          const jump = Math.min(left, 0x40000000);
          left = left > jump ? left - jump : -1;
          model.now += jump;
          firing = true;
          runTimers(absolute(model.now));
          firing = false;
          t.is(model.take(), -1);
        }
      }
      timers.forEach((timer, index) => t.is(timerPending(timer), model.armed.some((entry) => entry.id === index)));
      if (ask || one.what === "next") t.is(nextTimerDelay(), model.delay());
    }
  }), { numRuns: 600 });
});

test.serial("a timer fires on its millisecond, not before", (t) => {
  for (const origin of [0, -3, 0x7ffffffe, 250]) {
    timersInit(origin);
    let fired = 0;
    const timer = createTimer("test", () => fired++, 0);
    for (const wait of [1, 2, 15, 16, 17, 100, 4095, 70000]) {
      fired = 0;
      modTimer(timer, jiffies + wait);
      t.is(nextTimerDelay(), wait);
      runTimers(jiffies + wait - 1);
      t.is(fired, 0);
      t.is(nextTimerDelay(), 1);
      runTimers(jiffies + 1);
      t.is(fired, 1);
      t.is(nextTimerDelay(), -1);
    }
  }
});

test.serial("a timer that always arms itself for now fires once per tick", (t) => {
  timersInit(0);
  let fired = 0;
  const timer = createTimer("test", () => {
    fired++;
    modTimer(timer, jiffies);
  }, 0);
  modTimer(timer, jiffies - 5);
  runTimers(0);
  t.is(fired, 0);
  runTimers(1);
  t.is(fired, 1);
  runTimers(500);
  t.is(fired, 2);
  t.is(nextTimerDelay(), 1);
});

test.serial("a jump of three weeks is one call, and callbacks see the new time in order", (t) => {
  timersInit(-1000);
  const seen: number[] = [];
  const waits = [1_800_000_000, 1000, 90_000_000, 5, 20_000_000, 60_000];
  for (const wait of waits) {
    const timer = createTimer("test", (i) => seen.push(waits[i]!), waits.indexOf(wait));
    modTimer(timer, jiffies + wait);
  }
  runTimers((-1000 + 1_800_000_000) | 0);
  t.deepEqual(seen, [...waits].sort((a, b) => a - b));
  t.is(jiffies, (-1000 + 1_800_000_000) | 0);
});

test.serial("arming far ahead in the middle of a jump, and after a long time without anything due", (t) => {
  const NEVER = 0.5;
  let firedAt = NEVER;
  const runUntilFired = (): void => {
    for (let wait = nextTimerDelay(); firedAt === NEVER; wait = nextTimerDelay()) {
      if (wait > 1) runTimers((jiffies + wait - 1) | 0);
      if (firedAt === NEVER) runTimers((jiffies + nextTimerDelay()) | 0);
    }
  };
  timersInit(0x104);
  const onFar = (): void => void (firedAt = jiffies);
  let far = createTimer("test", onFar, 0);
  let expires = 0;
  const onNear = (): void => {
    expires = (jiffies + 0x7ffffffe) | 0;
    modTimer(far, expires);
  };
  let near = createTimer("test", onNear, 0);
  modTimer(near, 0x105);
  runTimers((0x104 + 0x7fffffff) | 0);
  t.is(firedAt, NEVER);
  runUntilFired();
  t.is(firedAt, expires);

  firedAt = NEVER;
  timersInit(0x10);
  far = createTimer("test", onFar, 0);
  near = createTimer("test", onNear, 0);
  modTimer(near, 0x7ffffffe);
  t.is(nextTimerDelay(), 0x7fffffee);
  runTimers(0x3ffffff0);
  runTimers(0x7fffffd0);
  delTimer(near);
  expires = (0x7fffffd0 + 0x7ffffff0) | 0;
  modTimer(far, expires);
  runUntilFired();
  t.is(firedAt, expires);
});

test.serial("timers of one millisecond fire in the order they were armed, from whichever slots they come", (t) => {
  timersInit(0);
  const seen: number[] = [];
  const timers = [0, 1, 2, 3, 4, 5].map((number) => {
    const timer = createTimer("test", (n) => seen.push(n), number);
    return timer;
  });
  for (const number of [3, 0, 2]) modTimer(timers[number]!, 5000);
  runTimers(4500);
  for (const number of [5, 1]) modTimer(timers[number]!, 5000);
  runTimers(4999);
  modTimer(timers[4]!, 5000);
  modTimer(timers[0]!, 4999 + 300);
  modTimer(timers[0]!, 5000);
  runTimers(6000);
  t.deepEqual(seen, [3, 2, 5, 1, 4, 0]);
});

test.serial("a clock that goes back is ignored", (t) => {
  timersInit(100);
  runTimers(50);
  t.is(jiffies, 100);
});

test.serial("polling every millisecond while a far timer waits", (t) => {
  timersInit(0x7fffff00);
  let fired = 0;
  const timer = createTimer("test", () => fired++, 0);
  modTimer(timer, jiffies + 1000);
  for (let i = 1; i < 1000; i++) {
    runTimers((0x7fffff00 + i) | 0);
    t.is(fired, 0);
    t.is(nextTimerDelay(), 1000 - i);
  }
  runTimers((0x7fffff00 + 1000) | 0);
  t.is(fired, 1);
});

test("time comparison wraps", (t) => {
  t.true(timeBefore(0x7fffffff, -0x80000000));
  t.true(timeAfter(-0x80000000, 0x7fffffff));
  t.false(timeBefore(5, 5));
  t.false(timeAfter(5, 5));
});
