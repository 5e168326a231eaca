/** The run loop on Node: turns while there is work, sleep until a deadline, waking, stopping. */
import test from "ava";
import { requestTurn, run } from "../../../hal/node/run.ts";

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test.serial("sleeps until the stack's deadline, and for ever without one", async (t) => {
  const polls: number[] = [];
  const delays = [30, -1];
  const loop = run({
    poll() {
      polls.push(performance.now());
      return delays.shift() ?? -1;
    },
  });
  while (polls.length < 2) await pause(5);
  await pause(60);
  loop.stop();
  t.is(polls.length, 2);
  t.true(polls[1]! - polls[0]! >= 28);
});

test.serial("turns again while the stack or the sketch has work, without starving Node", async (t) => {
  let polls = 0;
  let steps = 0;
  let ticks = 0;
  const timer = setInterval(() => ticks++, 5);
  const loop = run({ poll: () => (polls++ < 10 ? 0 : -1) }, () => steps++ < 500);
  await pause(60);
  t.is(steps, 501);
  t.is(polls, steps);
  loop.stop();
  const endless = run({ poll: () => 0 });
  const before = ticks;
  await pause(60);
  t.true(ticks > before);
  endless.stop();
  clearInterval(timer);
});

test.serial("a wake brings a turn at once; one from inside a step is not forgotten", async (t) => {
  let polls = 0;
  const loop = run({
    poll: () => {
      polls++;
      return -1;
    },
  }, () => {
    if (polls === 2) requestTurn();
    return false;
  });
  await pause(20);
  t.is(polls, 1);
  requestTurn();
  await pause(20);
  t.is(polls, 3);
  loop.stop();
});

test.serial("a stopped loop does nothing, and two at once are refused", async (t) => {
  let polls = 0;
  const count = { poll: () => (polls++, 1) };
  const loop = run(count);
  t.throws(() => run(count), { message: /runs already/ });
  loop.stop();
  requestTurn();
  await pause(20);
  t.is(polls, 0);
});
