/** pfifo and tbf: limits, order, drops, the rate and the bursts that tbf lets through, and what happens when they are taken away. */
import test from "ava";
import fc from "fast-check";
import { jiffies, nextTimerDelay } from "../../../src/lib/timer.ts";
import { devClose, devOpen, netifStopQueue, netifWakeQueue, unregisterNetdev } from "../../../src/netif/dev.ts";
import type { Pfifo } from "../../../src/netif/sched/pfifo.ts";
import { qdiscReset, qdiscSetPfifo, qdiscSetTbf, schedInit } from "../../../src/netif/sched/sch-api.ts";
import type { Tbf } from "../../../src/netif/sched/tbf.ts";
import { devQueueXmit } from "../../../src/netif/xmit.ts";
import {
  SKB_DROP_REASON_DEV_READY, SKB_DROP_REASON_PKT_TOO_BIG, SKB_DROP_REASON_QDISC_OVERLIMIT,
} from "../../../src/uapi/drop-reason.ts";
import { EINVAL, ENOBUFS, EOPNOTSUPP } from "../../../src/uapi/errno.ts";
import { ETH_P_IP } from "../../../src/uapi/if-ether.ts";
import { bootNetif, BROADCAST, drops, fakeDevice, type FakeDevice, frame, MAC1, packet, poolsInUse, register, runTo, settle } from "./harness.ts";

let eth0: FakeDevice;

function boot(): void {
  bootNetif(64);
  schedInit();
  eth0 = register(fakeDevice());
  devOpen(eth0);
}

test.beforeEach(boot);
test.afterEach((t) => {
  unregisterNetdev(eth0);
  settle();
  t.is(poolsInUse(), 0);
});

/** Sends a frame of `length` bytes that begins with a number. */
function send(number: number, length = 100): number {
  return devQueueXmit(packet(eth0, frame(BROADCAST, MAC1, ETH_P_IP, [number, ...new Uint8Array(length - 15)])));
}

function sent(): number[] {
  return eth0.sent.splice(0).map((bytes) => bytes[14]!);
}

function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

test.serial("pfifo keeps the order, whatever the priorities, and drops behind its limit", (t) => {
  t.is(qdiscSetPfifo(eth0, 3), 0);
  t.is(eth0.qdisc?.id, "pfifo");
  netifStopQueue(eth0);
  const urgent = packet(eth0, frame(BROADCAST, MAC1, ETH_P_IP, [1]));
  t.is(send(0), 0);
  urgent.priority = 6;
  t.is(devQueueXmit(urgent), 0);
  t.is(send(2), 0);
  t.is(send(3), -ENOBUFS);
  t.deepEqual(drops, [SKB_DROP_REASON_QDISC_OVERLIMIT]);
  t.deepEqual([eth0.qdisc!.qlen, eth0.qdisc!.drops, eth0.stats.txDropped], [3, 1, 1]);
  netifWakeQueue(eth0);
  settle();
  t.deepEqual(sent(), [0, 1, 2]);
  send(4);
  t.deepEqual(sent(), [4], "straight to the driver while nothing waits");
});

test.serial("pfifo with a limit of 0 lets nothing through", (t) => {
  qdiscSetPfifo(eth0, 0);
  t.is(send(0), -ENOBUFS);
  t.deepEqual(sent(), []);
  t.deepEqual(drops, [SKB_DROP_REASON_QDISC_OVERLIMIT]);
});

test.serial("pfifo: what the driver was too busy for comes first again", (t) => {
  qdiscSetPfifo(eth0, 8);
  eth0.busy = true;
  for (const number of numbers(0, 3)) send(number);
  eth0.busy = false;
  settle();
  t.deepEqual(sent(), [0, 1, 2]);
});

test.serial("tbf lets a burst through at once, then the rate", (t) => {
  // 100 bytes each 10 ms, and 300 at once.
  t.is(qdiscSetTbf(eth0, 10_000, 300, 2000), 0);
  t.is(eth0.qdisc?.id, "tbf");
  for (const number of numbers(0, 8)) t.is(send(number), 0);
  t.deepEqual(sent(), [0, 1, 2]);
  const begun = jiffies;
  t.is(nextTimerDelay(), 10);
  const times: number[] = [];
  for (let ms = 1; ms <= 60; ms++) {
    runTo(begun + ms);
    for (let n = sent().length; n > 0; n--) times.push(ms);
  }
  t.deepEqual(times, [10, 20, 30, 40, 50]);
  t.is(nextTimerDelay(), -1, "an empty filter sleeps");
  runTo(begun + 1000);
  for (const number of numbers(0, 4)) send(number);
  t.deepEqual(sent(), [0, 1, 2], "never more than a burst, however long it was idle");
  runTo(begun + 2000);
  t.deepEqual(sent(), [3]);
});

test.serial("tbf drops what is longer than a burst, and what would make too many bytes wait", (t) => {
  qdiscSetTbf(eth0, 1000, 200, 450);
  t.is(send(0, 201), -ENOBUFS);
  for (const number of numbers(1, 3)) send(number);
  t.deepEqual(sent(), [1, 2]);
  for (const number of numbers(3, 7)) t.is(send(number), 0);
  t.is(send(7), -ENOBUFS);
  t.is(send(8, 50), 0);
  t.deepEqual(drops, [SKB_DROP_REASON_PKT_TOO_BIG, SKB_DROP_REASON_QDISC_OVERLIMIT]);
  const tbf = eth0.qdisc as Tbf;
  t.deepEqual([tbf.qlen, tbf.backlog, tbf.drops], [5, 450, 2]);
  t.true(tbf.overlimits > 0);
});

test.serial("tbf: what the driver was too busy for has had its tokens", (t) => {
  qdiscSetTbf(eth0, 10_000, 100, 2000);
  eth0.busy = true;
  send(0);
  send(1);
  t.is(eth0.qdisc!.qlen, 2);
  eth0.busy = false;
  settle();
  t.deepEqual(sent(), [0]);
  runTo(jiffies + 10);
  t.deepEqual(sent(), [1]);
});

test.serial("another discipline, a device that goes down: what waited is dropped, and no timer is left", (t) => {
  qdiscSetTbf(eth0, 1000, 100, 2000);
  for (const number of numbers(0, 4)) send(number);
  t.is(qdiscSetPfifo(eth0), 0);
  t.is((eth0.qdisc as Pfifo).limit, eth0.txqueuelen);
  t.deepEqual(drops, [SKB_DROP_REASON_DEV_READY, SKB_DROP_REASON_DEV_READY, SKB_DROP_REASON_DEV_READY]);
  t.is(nextTimerDelay(), -1);
  qdiscSetTbf(eth0, 1000, 100, 2000);
  sent();
  for (const number of numbers(0, 3)) send(number);
  devClose(eth0);
  t.is(nextTimerDelay(), -1);
  devOpen(eth0);
  send(9);
  t.deepEqual(sent(), [0, 9]);
  t.is(qdiscReset(eth0), 0);
  t.is(eth0.qdisc?.id, "pfifo_fast");
});

test.serial("a device that is down takes its discipline when it comes up; what makes no sense is refused", (t) => {
  devClose(eth0);
  t.is(qdiscSetTbf(eth0, 1000, 100, 2000), 0);
  t.is(eth0.qdisc?.id, "noop");
  devOpen(eth0);
  t.is(eth0.qdisc?.id, "tbf");
  for (const [rate, burst, limit] of [[0, 1, 1], [1, 0, 1], [1, 1, 0], [1.5, 1, 1], [NaN, 1, 1]] as const) {
    t.is(qdiscSetTbf(eth0, rate, burst, limit), -EINVAL);
  }
  t.is(qdiscSetPfifo(eth0, -1), -EINVAL);
  t.is(qdiscSetTbf(eth0, 1000, 100, 2000, 1000, 100), -EINVAL, "a peak that is none");
  t.is(eth0.qdisc?.id, "tbf");
  const other = fakeDevice();
  t.is(qdiscSetPfifo(other), -EOPNOTSUPP);
  t.is(qdiscSetTbf(other, 1, 1, 1), -EOPNOTSUPP);
  t.is(qdiscReset(other), -EOPNOTSUPP);
});

test("whatever is sent whenever, tbf never lets more through than burst and rate allow, and keeps nothing that could go", (t) => {
  const sends = fc.array(fc.tuple(fc.nat(30), fc.integer({ min: 60, max: 500 })), { minLength: 10, maxLength: 60, size: "max" });
  fc.assert(fc.property(fc.integer({ min: 1000, max: 100_000 }), fc.integer({ min: 500, max: 3000 }), sends, (rate, burst, list) => {
    boot();
    qdiscSetTbf(eth0, rate, burst, 100_000);
    const start = jiffies;
    const went: [at: number, bytes: number][] = [];
    const collect = (): void => {
      for (const bytes of eth0.sent.splice(0)) went.push([jiffies - start, bytes.length]);
    };
    const until = (ms: number): void => {
      while (jiffies < ms) {
        runTo(jiffies + 1);
        collect();
      }
    };
    for (const [pause, length] of list) {
      until(jiffies + pause);
      send(1, length);
      collect();
    }
    const total = list.reduce((sum, [, length]) => sum + length, 0);
    until(jiffies + Math.ceil((total * 1000) / rate) + 1);
    if (went.length !== list.length) throw new Error(`${went.length} of ${list.length} went`);
    for (let from = 0; from < went.length; from++) {
      let bytes = 0;
      for (let to = from; to < went.length; to++) {
        bytes += went[to]![1];
        const allowed = burst + ((went[to]![0] - went[from]![0]) * rate) / 1000;
        if (bytes > allowed) throw new Error(`${bytes} bytes in ${went[to]![0] - went[from]![0]} ms at ${rate} bytes/s, burst ${burst}`);
      }
    }
    unregisterNetdev(eth0);
  }), { numRuns: 40, seed: 3 });
  boot();
  t.pass();
});
