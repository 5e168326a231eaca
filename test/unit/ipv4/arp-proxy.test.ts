import test from "ava";
import { boot, devOpen, initNet } from "../../../src/index.ts";
import { forwarding, ipForwardSet } from "../../../src/forwarding.ts";
import { runTimers } from "../../../src/lib/timer.ts";
import { arpConfSet, ARP_NOTIFY, arpConfSetDefault, arpTbl, neighParmsSet, PROXY_ARP, proxyArp } from "../../../src/neighbours.ts";
import { devChangeFlags, devClose, unregisterNetdev } from "../../../src/netif/dev.ts";
import { neighLookup } from "../../../src/stack/core/neighbour.ts";
import { pneighAdd, pneighDelete, pneighFirst } from "../../../src/stack/ipv4/arp-proxy.ts";
import { inetAddAddress } from "../../../src/stack/ipv4/devinet.ts";
import { SKB_DROP_REASON_NEIGH_DEAD, SKB_DROP_REASON_NEIGH_QUEUEFULL } from "../../../src/uapi/drop-reason.ts";
import { ENOBUFS, ENOENT } from "../../../src/uapi/errno.ts";
import { NUD_STALE } from "../../../src/uapi/rtnetlink.ts";
import { skbDropCount } from "../../../src/stack/core/skbuff.ts";
import { poolUsage } from "../../lib/pools.ts";
import { fakeDevice, type FakeDevice, MAC1, settle } from "../netif/harness.ts";
import { PEER, receiveOn, request, sentArp, US } from "./arp-harness.ts";
import { ip } from "./harness.ts";

const BEYOND = ip("10.1.0.7");
let near: FakeDevice;
let far: FakeDevice;
let now = 0;
let atStart: number;

function inUse(): number {
  return [...poolUsage(initNet).values()].reduce((sum, count) => sum + count, 0);
}

test.beforeEach(() => {
  boot({ preset: "host", initcalls: [forwarding, proxyArp], arpProxies: 2, neighbours: 16 });
  arpConfSetDefault(initNet, ARP_NOTIFY, 0);
  atStart = inUse();
  [near, far] = ["e0", "e1"].map((name) => {
    const dev = fakeDevice(name);
    initNet.register(dev);
    devOpen(dev);
    return dev;
  }) as [FakeDevice, FakeDevice];
  inetAddAddress(initNet, near, US, 24);
  inetAddAddress(initNet, far, ip("10.1.0.1"), 24);
  ipForwardSet(initNet, true);
  initNet.poll();
  arpConfSet(near, PROXY_ARP, 1);
  near.sent = [];
});

test.afterEach((t) => {
  for (const dev of [near, far]) unregisterNetdev(dev);
  settle();
  t.is(inUse(), atStart);
});

/** Lets time pass, of which the clock of the machine knows nothing. */
function pass(ms: number): void {
  now += ms;
  runTimers(now);
  settle();
}

test.serial("a broadcast question is answered with this host's address within proxy_delay, one by unicast at once", (t) => {
  now = 1_000_000;
  runTimers(now);
  receiveOn(near, request(BEYOND));
  t.is(near.sent.length, 0);
  t.is(neighLookup(arpTbl, PEER, near)!.nudState, NUD_STALE, "its sender is learned at once");
  pass(800);
  t.is(near.sent.length, 1);
  t.deepEqual(sentArp(near.sent[0]!).arp.sha, [...MAC1]);
  t.is(sentArp(near.sent[0]!).arp.sip, BEYOND);
  receiveOn(near, request(BEYOND), MAC1);
  t.is(near.sent.length, 2);
  receiveOn(near, request(ip("10.0.0.77")));
  pass(1000);
  t.is(near.sent.length, 2, "who is on the link itself answers for himself");
});

test.serial("the waits differ; what waits is at most proxy_qlen, the rest is dropped", (t) => {
  now = 2_000_000;
  runTimers(now);
  neighParmsSet(arpTbl, near, { proxyQlen: 8 });
  const before = skbDropCount(SKB_DROP_REASON_NEIGH_QUEUEFULL);
  for (let i = 0; i < 12; i++) receiveOn(near, request(BEYOND));
  t.is(skbDropCount(SKB_DROP_REASON_NEIGH_QUEUEFULL) - before, 4);
  const moments = new Set<number>();
  for (let i = 0; i < 800; i++) {
    const sent = near.sent.length;
    pass(1);
    if (near.sent.length !== sent) moments.add(i);
  }
  t.is(near.sent.length, 8);
  t.true(moments.size > 3);
});

test.serial("a device that goes down drops what waits for it and forgets what is published there", (t) => {
  t.is(pneighAdd(initNet, BEYOND, near, 0), 0);
  t.is(pneighAdd(initNet, BEYOND, far, 0), 0);
  receiveOn(near, request(BEYOND));
  const before = skbDropCount(SKB_DROP_REASON_NEIGH_DEAD);
  devClose(near);
  t.is(skbDropCount(SKB_DROP_REASON_NEIGH_DEAD) - before, 1);
  t.is(pneighFirst()!.dev, far);
  t.is(pneighFirst()!.next, null);
  devChangeFlags(near, near.flags);
});

test.serial("published addresses: one device or any, as many as there is room for, gone when deleted", (t) => {
  arpConfSet(near, PROXY_ARP, 0);
  const answered = (): boolean => {
    near.sent = [];
    receiveOn(near, request(BEYOND), MAC1);
    return near.sent.length === 1;
  };
  t.false(answered());
  t.is(pneighAdd(initNet, BEYOND, near, 0), 0);
  t.true(answered());
  t.is(pneighAdd(initNet, BEYOND, near, 0), 0, "twice is once");
  t.is(pneighDelete(initNet, BEYOND, null), -ENOENT);
  t.is(pneighDelete(initNet, BEYOND, near), 0);
  t.false(answered());
  t.is(pneighAdd(initNet, BEYOND, null, 0), 0);
  t.true(answered());
  t.is(pneighAdd(initNet, BEYOND + 1, null, 0), 0);
  t.is(pneighAdd(initNet, BEYOND + 2, null, 0), -ENOBUFS);
  ipForwardSet(initNet, false);
  t.false(answered(), "a host that does not forward answers for nobody");
  for (const key of [BEYOND, BEYOND + 1]) t.is(pneighDelete(initNet, key, null), 0);
  t.is(pneighFirst(), null);
});

test.serial("who made a published address stays known until somebody else says so; its flags are those of the last change", (t) => {
  const PROTO = 4 << 8;
  t.is(pneighAdd(initNet, ip("10.0.0.9"), null, 0x08 | PROTO), 0);
  t.is(pneighAdd(initNet, ip("10.0.0.9"), null, 0x88), 0);
  t.is(pneighFirst()!.flags, 0x88 | PROTO);
  t.is(pneighAdd(initNet, ip("10.0.0.9"), null, 0x08 | (11 << 8)), 0);
  t.is(pneighFirst()!.flags, 0x08 | (11 << 8));
  t.is(pneighDelete(initNet, ip("10.0.0.9"), null), 0);
  t.is(pneighAdd(initNet, ip("10.0.0.9"), null, 0x08), 0);
  t.is(pneighFirst()!.flags, 0x08);
  pneighDelete(initNet, ip("10.0.0.9"), null);
});
