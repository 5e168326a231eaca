import test from "ava";
import {
  cancelWork, doSoftirq, MAX_SOFTIRQ_RESTART, NET_RX_SOFTIRQ, NET_TX_SOFTIRQ, openSoftirq, queueWork,
  raiseSoftirq, runWorkqueue, softirqInit, softirqPending, Tasklet, TASKLET_SOFTIRQ, taskletKill, taskletSchedule,
  taskletSetup, Work, workFirst, workSetup,
} from "../../../src/lib/softirq.ts";

test.beforeEach(() => softirqInit());

test.serial("what is raised runs once, transmit before receive", (t) => {
  const seen: string[] = [];
  openSoftirq(NET_RX_SOFTIRQ, () => seen.push("rx"));
  openSoftirq(NET_TX_SOFTIRQ, () => seen.push("tx"));
  t.false(doSoftirq());
  raiseSoftirq(NET_RX_SOFTIRQ);
  raiseSoftirq(NET_TX_SOFTIRQ);
  raiseSoftirq(NET_RX_SOFTIRQ);
  t.is(softirqPending(), (1 << NET_RX_SOFTIRQ) | (1 << NET_TX_SOFTIRQ));
  t.false(doSoftirq());
  t.deepEqual(seen, ["tx", "rx"]);
  t.is(softirqPending(), 0);
});

test.serial("a flood runs ten rounds a turn and leaves the rest", (t) => {
  let runs = 0;
  openSoftirq(NET_RX_SOFTIRQ, () => {
    runs++;
    if (runs < 25) raiseSoftirq(NET_RX_SOFTIRQ);
  });
  raiseSoftirq(NET_RX_SOFTIRQ);
  t.true(doSoftirq());
  t.is(runs, MAX_SOFTIRQ_RESTART);
  t.is(MAX_SOFTIRQ_RESTART, 10);
  t.true(doSoftirq());
  t.is(runs, 20);
  t.false(doSoftirq());
  t.is(runs, 25);
});

test.serial("a softirq raised inside another runs behind it, in the same call", (t) => {
  const seen: string[] = [];
  openSoftirq(NET_TX_SOFTIRQ, () => seen.push("tx"));
  openSoftirq(NET_RX_SOFTIRQ, () => {
    raiseSoftirq(NET_TX_SOFTIRQ);
    seen.push("rx");
  });
  raiseSoftirq(NET_RX_SOFTIRQ);
  t.false(doSoftirq());
  t.deepEqual(seen, ["rx", "tx"]);
});

test.serial("one that nobody has opened does nothing", (t) => {
  raiseSoftirq(NET_TX_SOFTIRQ);
  t.false(doSoftirq());
});

test.serial("a handler that throws does not block softirqs for good", (t) => {
  let bad = true;
  let runs = 0;
  openSoftirq(NET_RX_SOFTIRQ, () => {
    runs++;
    if (bad) throw new Error("driver bug");
  });
  raiseSoftirq(NET_RX_SOFTIRQ);
  t.throws(() => doSoftirq(), { message: "driver bug" });
  bad = false;
  raiseSoftirq(NET_RX_SOFTIRQ);
  t.false(doSoftirq());
  t.is(runs, 2);
});

test.serial("a tasklet runs once per scheduling, in order, and may schedule itself", (t) => {
  const seen: string[] = [];
  const a = new Tasklet<string>();
  const b = new Tasklet<string>();
  let again = 2;
  taskletSetup(a, (name) => {
    seen.push(name);
    t.false(a.scheduled);
    if (again-- > 0) taskletSchedule(a);
  }, "a");
  taskletSetup(b, (name) => seen.push(name), "b");
  taskletSchedule(a);
  taskletSchedule(b);
  taskletSchedule(a);
  t.is(softirqPending(), 1 << TASKLET_SOFTIRQ);
  t.false(doSoftirq());
  t.deepEqual(seen, ["a", "b", "a", "a"]);
});

test.serial("a tasklet that always schedules itself leaves the turn after ten rounds", (t) => {
  let runs = 0;
  const a = new Tasklet<null>();
  taskletSetup(a, () => {
    runs++;
    taskletSchedule(a);
  }, null);
  taskletSchedule(a);
  t.true(doSoftirq());
  t.is(runs, 10);
});

test.serial("a killed tasklet does not run, wherever it is in the queue", (t) => {
  for (const victim of [0, 1, 2]) {
    const seen: number[] = [];
    const tasklets = [0, 1, 2].map((id) => {
      const tasklet = new Tasklet<number>();
      taskletSetup(tasklet, (n) => seen.push(n), id);
      taskletSchedule(tasklet);
      return tasklet;
    });
    t.true(taskletKill(tasklets[victim]!));
    t.false(taskletKill(tasklets[victim]!));
    const extra = new Tasklet<number>();
    taskletSetup(extra, (n) => seen.push(n), 9);
    taskletSchedule(extra);
    doSoftirq();
    t.deepEqual(seen, [...[0, 1, 2].filter((id) => id !== victim), 9]);
  }
});

test.serial("a tasklet killed by another is not run, and what is queued instead waits for the next round", (t) => {
  for (const victim of [1, 2]) {
    const seen: number[] = [];
    let kill = true;
    const tasklets = [0, 1, 2].map((id) => {
      const tasklet = new Tasklet<number>();
      taskletSetup(tasklet, (n) => {
        seen.push(n);
        if (n !== 0 || !kill) return;
        kill = false;
        t.true(taskletKill(tasklets[victim]!));
        taskletSchedule(tasklets[0]!);
        raiseSoftirq(NET_RX_SOFTIRQ);
      }, id);
      taskletSchedule(tasklet);
      return tasklet;
    });
    openSoftirq(NET_RX_SOFTIRQ, () => seen.push(9));
    t.false(doSoftirq());
    t.deepEqual(seen, [0, 3 - victim, 9, 0]);
  }
});

test.serial("what is queued behind one that throws runs in the next turn", (t) => {
  const seen: string[] = [];
  const bad = new Tasklet<null>();
  const good = new Tasklet<string>();
  taskletSetup(bad, () => {
    throw new Error("bug");
  }, null);
  taskletSetup(good, (name) => seen.push(name), "good");
  taskletSchedule(bad);
  taskletSchedule(good);
  t.throws(() => doSoftirq(), { message: "bug" });
  t.false(doSoftirq());
  t.deepEqual(seen, ["good"]);
});

test.serial("work runs in order; what is queued meanwhile waits for the next turn", (t) => {
  const seen: number[] = [];
  const works = [0, 1, 2].map((id) => {
    const work = new Work<number>();
    workSetup(work, (n) => {
      seen.push(n);
      if (n === 0) t.true(queueWork(works[0]!));
      if (n === 0) t.true(cancelWork(works[2]!));
    }, id);
    return work;
  });
  t.false(runWorkqueue());
  for (const work of works) t.true(queueWork(work));
  t.false(queueWork(works[1]!));
  t.true(runWorkqueue());
  t.deepEqual(seen, [0, 1]);
  t.not(workFirst, null);
  t.true(cancelWork(works[0]!));
  t.false(cancelWork(works[0]!));
  t.false(runWorkqueue());
  t.deepEqual(seen, [0, 1]);
});

test.serial("work and tasklets that throw do not hold up what is queued after them", (t) => {
  const fail = (): void => {
    throw new Error("bug");
  };
  const seen: string[] = [];
  const badWork = new Work<null>();
  const goodWork = new Work<string>();
  workSetup(badWork, fail, null);
  workSetup(goodWork, (name) => seen.push(name), "work");
  queueWork(badWork);
  t.throws(() => runWorkqueue(), { message: "bug" });
  queueWork(goodWork);
  t.false(runWorkqueue());
  t.deepEqual(seen, ["work"]);

  const badTasklet = new Tasklet<null>();
  const goodTasklet = new Tasklet<string>();
  taskletSetup(badTasklet, fail, null);
  taskletSetup(goodTasklet, (name) => seen.push(name), "tasklet");
  taskletSchedule(badTasklet);
  t.throws(() => doSoftirq(), { message: "bug" });
  taskletSchedule(goodTasklet);
  t.false(doSoftirq());
  t.deepEqual(seen, ["work", "tasklet"]);
});
