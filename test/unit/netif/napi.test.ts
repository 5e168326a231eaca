import test from "ava";
import { doSoftirq, softirqPending } from "../../../src/lib/softirq.ts";
import {
  napiAdd, napiComplete, napiDisable, napiEnable, napiSchedule, NETDEV_BUDGET, softnetStat,
} from "../../../src/netif/napi.ts";
import { NapiStruct } from "../../../src/stack/core/net-device.ts";
import { bootNetif, fakeDevice, settle } from "./harness.ts";

interface Ring {
  napi: NapiStruct;
  waiting: number;
  /** Frames taken by each poll. */
  polls: number[];
}

let order: string[] = [];

function ring(name: string, waiting: number, weight: number): Ring {
  const dev = fakeDevice(name);
  const self: Ring = {
    waiting,
    polls: [],
    napi: new NapiStruct(dev, weight, (napi, budget) => {
      const work = Math.min(budget, self.waiting);
      self.waiting -= work;
      self.polls.push(work);
      order.push(name);
      if (work < budget) napiComplete(napi);
      return work;
    }),
  };
  napiAdd(dev, self.napi);
  napiEnable(self.napi);
  return self;
}

test.beforeEach(() => {
  bootNetif();
  order = [];
});

test.serial("schedule polls once in the softirq; complete lets it be scheduled again", (t) => {
  const a = ring("a", 3, 8);
  t.true(napiSchedule(a.napi));
  t.false(napiSchedule(a.napi), "the interrupt is masked already");
  t.deepEqual(a.polls, []);
  doSoftirq();
  t.deepEqual(a.polls, [3]);
  t.is(softirqPending(), 0);
  a.waiting = 1;
  t.true(napiSchedule(a.napi));
  doSoftirq();
  t.deepEqual(a.polls, [3, 1]);
  t.is(softnetStat.processed, 4);
});

test.serial("a full poll is polled again, in turn with the others", (t) => {
  const a = ring("a", 20, 8);
  const b = ring("b", 9, 4);
  napiSchedule(a.napi);
  napiSchedule(b.napi);
  settle();
  t.deepEqual(a.polls, [8, 8, 4]);
  t.deepEqual(b.polls, [4, 4, 1]);
  t.is(order.join(""), "ababab");
});

test.serial("exactly the weight is not the end: one more, empty poll completes", (t) => {
  const a = ring("a", 8, 8);
  napiSchedule(a.napi);
  settle();
  t.deepEqual(a.polls, [8, 0]);
});

test.serial("the budget ends a run, which is counted; the rest comes first in the next", (t) => {
  const rings = Array.from({ length: 10 }, (_, i) => ring(String(i), 16, 16));
  for (const r of rings) napiSchedule(r.napi);
  settle();
  t.is(NETDEV_BUDGET, 128);
  t.is(softnetStat.timeSqueeze, 1);
  t.is(order.slice(0, 10).join(""), "0123456789");
  t.true(rings.every((r) => r.waiting === 0));
});

test.serial("one flood does not keep the turn: at most ten rounds", (t) => {
  const a = ring("a", 1_000_000, 16);
  napiSchedule(a.napi);
  t.true(doSoftirq());
  t.is(a.polls.length, 10);
  napiDisable(a.napi);
  settle();
  t.is(a.polls.length, 10);
});

test.serial("an interrupt in the middle of a poll is not lost", (t) => {
  const a = ring("a", 1, 8);
  const inner = a.napi.poll;
  let once = true;
  a.napi.poll = (napi, budget) => {
    const work = Math.min(budget, a.waiting);
    a.waiting -= work;
    a.polls.push(work);
    if (once) {
      once = false;
      a.waiting = 2;
      t.false(napiSchedule(napi));
    }
    if (work < budget) t.is(napiComplete(napi), a.polls.length > 1);
    return work;
  };
  t.not(a.napi.poll, inner);
  napiSchedule(a.napi);
  settle();
  t.deepEqual(a.polls, [1, 2]);
});

test.serial("disabled: not scheduled, not polled, even out of the middle of the list and of its own poll", (t) => {
  const [a, b, c] = [ring("a", 1, 8), ring("b", 1, 8), ring("c", 1, 8)];
  for (const r of [a, b, c]) napiSchedule(r.napi);
  napiDisable(b.napi);
  napiDisable(c.napi);
  t.false(napiSchedule(b.napi));
  settle();
  t.is(order.join(""), "a");
  napiEnable(b.napi);
  t.true(napiSchedule(b.napi));
  settle();
  t.is(order.join(""), "ab");
  const self = ring("d", 100, 8);
  self.napi.poll = (napi, budget) => {
    self.polls.push(budget);
    napiDisable(napi);
    return budget;
  };
  napiSchedule(self.napi);
  settle();
  t.deepEqual(self.polls, [8]);
});
