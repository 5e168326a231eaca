/** The turn of the machine: what is inside it, and what happens to one that breaks off. */
import test from "ava";
import { boot, initNet } from "../../src/index.ts";
import { NET_TX_SOFTIRQ, openSoftirq, queueWork, raiseSoftirq, Work, workSetup } from "../../src/lib/softirq.ts";
import { createTimer, jiffies, modTimer } from "../../src/lib/timer.ts";

let now = 0;
let wakes = 0;

test.beforeEach(() => {
  boot({ preset: "tiny", hal: { now: () => now, entropy: (into) => void into.fill(3), wake: () => wakes++ } });
  initNet.poll();
  wakes = 0;
});

test.serial("softirqs come before timers and run again behind them, work comes last", (t) => {
  const seen: string[] = [];
  const work = new Work<null>();
  const timer = createTimer("test", () => {
    seen.push("timer");
    raiseSoftirq(NET_TX_SOFTIRQ);
  }, 0);
  workSetup(work, () => seen.push("work"), null);
  openSoftirq(NET_TX_SOFTIRQ, () => seen.push("softirq"));
  modTimer(timer, jiffies + 1);
  queueWork(work);
  raiseSoftirq(NET_TX_SOFTIRQ);
  now += 5;
  initNet.poll();
  t.deepEqual(seen, ["softirq", "timer", "softirq", "work"]);
});

test.serial("a turn inside a turn does nothing, and what is raised inside wakes nobody", (t) => {
  let runs = 0;
  openSoftirq(NET_TX_SOFTIRQ, () => {
    runs++;
    if (runs > 1) return;
    raiseSoftirq(NET_TX_SOFTIRQ);
    t.is(initNet.poll(), 0);
    t.is(runs, 1, "not inside");
  });
  raiseSoftirq(NET_TX_SOFTIRQ);
  t.is(wakes, 1);
  initNet.poll();
  t.is(runs, 2, "behind it");
  t.is(wakes, 1);
});

test.serial("work that queues itself again has its next turn at once", (t) => {
  const work = new Work<null>();
  workSetup(work, () => queueWork(work), null);
  queueWork(work);
  t.is(initNet.poll(), 0);
  t.is(initNet.poll(), 0);
});

test.serial("a callback that throws ends its turn, not the kernel", (t) => {
  let runs = 0;
  openSoftirq(NET_TX_SOFTIRQ, () => {
    if (++runs === 1) throw new Error("bug");
  });
  raiseSoftirq(NET_TX_SOFTIRQ);
  t.throws(() => initNet.poll(), { message: "bug" });
  raiseSoftirq(NET_TX_SOFTIRQ);
  initNet.poll();
  t.is(runs, 2);
});
