import test from "ava";
import { doSoftirq } from "../../../src/lib/softirq.ts";
import { devClose, devOpen, netifStopQueue, netifWakeQueue } from "../../../src/netif/dev.ts";
import { PRIO2BAND } from "../../../src/netif/sched/pfifo-fast.ts";
import { devQueueXmit, XMIT_RECURSION_LIMIT } from "../../../src/netif/xmit.ts";
import { NETDEV_TX_BUSY, NETDEV_TX_OK, NetDevice } from "../../../src/stack/core/net-device.ts";
import { consumeSkb, skbBuffersAvailable } from "../../../src/stack/core/skbuff.ts";
import { SKB_DROP_REASON_DEV_READY, SKB_DROP_REASON_QDISC_OVERLIMIT } from "../../../src/uapi/drop-reason.ts";
import { ENETDOWN, ENOBUFS } from "../../../src/uapi/errno.ts";
import { ARPHRD_NONE } from "../../../src/uapi/if-arp.ts";
import { bootNetif, drops, fakeDevice, packet, poolsInUse, register, settle } from "./harness.ts";

test.beforeEach(() => bootNetif(128));
test.afterEach((t) => t.is(poolsInUse(), 0));

function send(dev: NetDevice, id: number, priority = 0): number {
  const skb = packet(dev, [id]);
  skb.priority = priority;
  return devQueueXmit(skb);
}

test.serial("an idle device gets the packet at once", (t) => {
  const dev = register(fakeDevice());
  devOpen(dev);
  t.is(send(dev, 1), 0);
  t.deepEqual(dev.sent.map((bytes) => bytes[0]), [1]);
});

test.serial("a stopped queue holds packets; waking sends them in order by the softirq", (t) => {
  const dev = register(fakeDevice());
  devOpen(dev);
  netifStopQueue(dev);
  for (let id = 1; id <= 3; id++) t.is(send(dev, id), 0);
  settle();
  t.is(dev.sent.length, 0);
  netifWakeQueue(dev);
  t.is(dev.sent.length, 0);
  settle();
  t.deepEqual(dev.sent.map((bytes) => bytes[0]), [1, 2, 3]);
});

test.serial("three bands by priority, strict, first in first out in each", (t) => {
  t.deepEqual([...PRIO2BAND], [1, 2, 2, 2, 1, 2, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]);
  const dev = register(fakeDevice());
  devOpen(dev);
  netifStopQueue(dev);
  for (let priority = 0; priority < 16; priority++) send(dev, priority, priority);
  send(dev, 100, 0x10002);
  netifWakeQueue(dev);
  settle();
  t.deepEqual(dev.sent.map((bytes) => bytes[0]), [6, 7, 0, 4, 8, 9, 10, 11, 12, 13, 14, 15, 1, 2, 3, 5, 100]);
});

test.serial("txqueuelen packets wait at most, in all bands together", (t) => {
  const dev = fakeDevice();
  dev.txqueuelen = 3;
  register(dev);
  devOpen(dev);
  netifStopQueue(dev);
  t.deepEqual([0, 2, 6, 0, 6].map((priority, id) => send(dev, id, priority)), [0, 0, 0, -ENOBUFS, -ENOBUFS]);
  t.deepEqual(drops, [SKB_DROP_REASON_QDISC_OVERLIMIT, SKB_DROP_REASON_QDISC_OVERLIMIT]);
  t.is(dev.qdisc!.drops, 2);
  t.is(dev.stats.txDropped, 2);
  netifWakeQueue(dev);
  settle();
  t.deepEqual(dev.sent.map((bytes) => bytes[0]), [2, 0, 1]);
});

test.serial("a busy driver: the packet keeps its place and NET_TX tries again", (t) => {
  const dev = register(fakeDevice());
  devOpen(dev);
  dev.busy = true;
  t.is(send(dev, 1), 0);
  t.is(send(dev, 2), 0);
  t.is(send(dev, 3, 6), 0);
  t.is(dev.qdisc!.qlen, 3);
  t.true(doSoftirq(), "still busy: tried ten times, then next turn");
  dev.busy = false;
  doSoftirq();
  t.deepEqual(dev.sent.map((bytes) => bytes[0]), [3, 1, 2]);
});

test.serial("a driver that stops its queue when it is full loses nothing and reorders nothing", (t) => {
  const sent: number[] = [];
  let room = 2;
  const dev = register(fakeDevice("eth%d", {
    ndoStartXmit(skb, self) {
      if (room === 0) return NETDEV_TX_BUSY;
      sent.push(skb.len);
      consumeSkb(skb);
      if (--room === 0) netifStopQueue(self);
      return NETDEV_TX_OK;
    },
  }));
  devOpen(dev);
  for (let length = 1; length <= 9; length++) devQueueXmit(packet(dev, new Uint8Array(length)));
  for (let i = 0; i < 5; i++) {
    settle();
    room = 2;
    netifWakeQueue(dev);
  }
  settle();
  t.deepEqual(sent, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test.serial("sending from inside the driver queues behind it", (t) => {
  const sent: number[] = [];
  const dev = register(fakeDevice("eth%d", {
    ndoStartXmit(skb, self) {
      const length = skb.len;
      consumeSkb(skb);
      if (length === 1) devQueueXmit(packet(self, new Uint8Array(2)));
      sent.push(length);
      return NETDEV_TX_OK;
    },
  }));
  devOpen(dev);
  devQueueXmit(packet(dev, new Uint8Array(1)));
  t.deepEqual(sent, [1, 2]);
});

test.serial("a long queue goes in portions", (t) => {
  const dev = fakeDevice();
  dev.txqueuelen = 100;
  register(dev);
  devOpen(dev);
  netifStopQueue(dev);
  for (let id = 0; id < 100; id++) send(dev, id);
  netifWakeQueue(dev);
  settle();
  t.deepEqual(dev.sent.map((bytes) => bytes[0]), Array.from({ length: 100 }, (_, i) => i));
});

test.serial("going down drops what waits", (t) => {
  const dev = register(fakeDevice());
  devOpen(dev);
  netifStopQueue(dev);
  const before = skbBuffersAvailable();
  for (let id = 0; id < 5; id++) send(dev, id);
  devClose(dev);
  t.is(skbBuffersAvailable(), before);
  t.deepEqual(drops, new Array(5).fill(SKB_DROP_REASON_DEV_READY));
  netifWakeQueue(dev);
  settle();
  t.is(dev.sent.length, 0);
});

test.serial("devices without a queue may stand on each other, but not in a circle", (t) => {
  let depth = 0;
  const make = (name: string, below: () => NetDevice | null): NetDevice => {
    const dev = new NetDevice(name, ARPHRD_NONE, 1500, 0, {
      ndoStartXmit(skb) {
        depth++;
        const lower = below();
        if (lower === null) {
          consumeSkb(skb);
          return NETDEV_TX_OK;
        }
        skb.dev = lower;
        devQueueXmit(skb);
        return NETDEV_TX_OK;
      },
    });
    dev.txqueuelen = 0;
    register(dev);
    devOpen(dev);
    return dev;
  };
  let lower: NetDevice | null = null;
  for (let i = 0; i < XMIT_RECURSION_LIMIT; i++) {
    const below = lower;
    lower = make(`s${i}`, () => below);
  }
  t.is(devQueueXmit(packet(lower, [1])), 0);
  t.is(depth, XMIT_RECURSION_LIMIT);
  t.deepEqual(drops, []);
  const circle: NetDevice = make("circle", () => circle);
  depth = 0;
  devQueueXmit(packet(circle, [1]));
  t.is(depth, XMIT_RECURSION_LIMIT);
  t.deepEqual(drops, [SKB_DROP_REASON_DEV_READY]);
  t.is(devQueueXmit(packet(lower, [1])), 0);
});

test.serial("a device without a queue that is busy loses the packet", (t) => {
  const dev = fakeDevice();
  dev.txqueuelen = 0;
  register(dev);
  devOpen(dev);
  dev.busy = true;
  t.is(send(dev, 1), -ENETDOWN);
  t.is(dev.stats.txDropped, 1);
  t.deepEqual(drops, [SKB_DROP_REASON_DEV_READY]);
});
