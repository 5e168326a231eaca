/** Loopback, veth and capture: the devices without hardware. */
import test from "ava";
import { mem8 } from "../../../src/lib/memory.ts";
import { CAPTURE_IN, CAPTURE_OUT, captureStart, captureStop } from "../../../src/netif/capture.ts";
import { devClose, devGetFlags, devOpen, devSetMtu, unregisterNetdev } from "../../../src/netif/dev.ts";
import { loopbackInit, loopbackUp } from "../../../src/netif/loopback.ts";
import { devAddPack, PacketType } from "../../../src/netif/receive.ts";
import { vethCreate } from "../../../src/netif/veth.ts";
import { devQueueXmit } from "../../../src/netif/xmit.ts";
import { createNet } from "../../../src/stack/core/net.ts";
import type { NetDevice } from "../../../src/stack/core/net-device.ts";
import {
  CHECKSUM_NONE, CHECKSUM_UNNECESSARY, consumeSkb, PACKET_BROADCAST, PACKET_HOST, PACKET_OTHERHOST, skbClone,
  type SkBuff,
} from "../../../src/stack/core/skbuff.ts";
import {
  SKB_DROP_REASON_CPU_BACKLOG, SKB_DROP_REASON_DEV_READY, SKB_DROP_REASON_OTHERHOST, SKB_DROP_REASON_PKT_TOO_BIG,
} from "../../../src/uapi/drop-reason.ts";
import { IFF_LOOPBACK, IFF_RUNNING, IFF_UP } from "../../../src/uapi/if.ts";
import { ETH_P_IP } from "../../../src/uapi/if-ether.ts";
import {
  bootNetif, BROADCAST, drops, frame, initNet, MAC2, packet, poolsInUse, runTo, settle,
} from "./harness.ts";

interface Seen {
  dev: NetDevice;
  bytes: number[];
  pktType: number;
  ipSummed: number;
  skb: { sk: unknown; mark: number; priority: number };
}

let seen: Seen[] = [];

test.beforeEach(() => {
  bootNetif(32, 8);
  loopbackInit();
  seen = [];
  devAddPack(new PacketType(ETH_P_IP, (skb, dev) => {
    seen.push({
      dev, bytes: [...mem8.slice(skb.data, skb.tail)], pktType: skb.pktType, ipSummed: skb.ipSummed,
      skb: { sk: skb.sk, mark: skb.mark, priority: skb.priority },
    });
    consumeSkb(skb);
    return 0;
  }));
});
test.afterEach((t) => t.is(poolsInUse(), 0));

const ZERO = [0, 0, 0, 0, 0, 0];

function macOf(dev: NetDevice): number[] {
  return [
    dev.addrHi >> 8, dev.addrHi & 255, dev.addrLo >>> 24, (dev.addrLo >> 16) & 255, (dev.addrLo >> 8) & 255,
    dev.addrLo & 255,
  ];
}

test.serial("every namespace has a loopback device, first and down", (t) => {
  const other = createNet();
  for (const net of [initNet, other]) {
    const lo = net.loopbackDev!;
    t.is(net.devices, lo);
    t.is(lo.name, "lo");
    t.is(lo.ifindex, 1);
    t.is(devGetFlags(lo), IFF_LOOPBACK);
    t.is(lo.mtu, 1500);
  }
  t.not(initNet.loopbackDev, other.loopbackDev);
  t.is(loopbackUp(other), 0);
  t.true((devGetFlags(other.loopbackDev!) & (IFF_UP | IFF_RUNNING)) !== 0);
  t.is(initNet.loopbackDev!.flags & IFF_UP, 0);
});

test.serial("loopback brings a packet back by the softirq, believed and free of its sender", (t) => {
  const lo = initNet.loopbackDev!;
  loopbackUp(initNet);
  const skb = packet(lo, frame(ZERO, ZERO, ETH_P_IP, [1, 2, 3]));
  let freed = 0;
  skb.destructor = () => void freed++;
  t.is(devQueueXmit(skb), 0);
  t.is(freed, 1);
  t.is(seen.length, 0);
  settle();
  t.is(seen.length, 1);
  t.deepEqual(seen[0]!.bytes, [1, 2, 3]);
  t.is(seen[0]!.pktType, PACKET_HOST);
  t.is(seen[0]!.ipSummed, CHECKSUM_UNNECESSARY);
  t.deepEqual([lo.stats.txPackets, lo.stats.rxPackets, lo.stats.txBytes, lo.stats.rxBytes], [1, 1, 17, 17]);
});

test.serial("loopback: what the sender keeps and writes to again does not change what is on its way", (t) => {
  const lo = initNet.loopbackDev!;
  loopbackUp(initNet);
  const kept = packet(lo, frame(ZERO, ZERO, ETH_P_IP, [1, 2, 3]));
  const clone = skbClone(kept)!;
  devQueueXmit(clone);
  mem8.fill(0xee, kept.data, kept.tail);
  settle();
  t.deepEqual(seen[0]!.bytes, [1, 2, 3]);
  consumeSkb(kept);
});

test.serial("loopback that is down drops; a full backlog drops", (t) => {
  const lo = initNet.loopbackDev!;
  devQueueXmit(packet(lo, frame(ZERO, ZERO, ETH_P_IP, [1])));
  t.deepEqual(drops, [SKB_DROP_REASON_DEV_READY]);
  loopbackUp(initNet);
  for (let i = 0; i < 9; i++) devQueueXmit(packet(lo, frame(ZERO, ZERO, ETH_P_IP, [i])));
  t.is(drops[1], SKB_DROP_REASON_CPU_BACKLOG);
  settle();
  t.deepEqual(seen.map((one) => one.bytes[0]), [0, 1, 2, 3, 4, 5, 6, 7]);
});

test.serial("veth: carrier while both ends are up, sending at once", (t) => {
  const other = createNet();
  const a = vethCreate(initNet, "veth0", other, "eth0");
  const b = a.peer!;
  t.is(b.net, other);
  t.is(b.name, "eth0");
  t.is(a.addrHi & 0x300, 0x200);
  t.notDeepEqual(macOf(a), macOf(b));
  devOpen(a);
  t.is(devGetFlags(a) & IFF_RUNNING, 0);
  devQueueXmit(packet(a, frame(macOf(b), macOf(a), ETH_P_IP, [1])));
  t.deepEqual(drops, [SKB_DROP_REASON_DEV_READY]);
  devOpen(b);
  for (const dev of [a, b]) t.true((devGetFlags(dev) & IFF_RUNNING) !== 0);
  devQueueXmit(packet(a, frame(macOf(b), macOf(a), ETH_P_IP, [2])));
  devQueueXmit(packet(b, frame(BROADCAST, macOf(b), ETH_P_IP, [3])));
  settle();
  t.deepEqual(seen.map((one) => [one.dev, one.bytes[0], one.pktType]), [
    [b, 2, PACKET_HOST], [a, 3, PACKET_BROADCAST],
  ]);
  t.is(seen[0]!.ipSummed, CHECKSUM_NONE);
  t.deepEqual([a.stats.txPackets, b.stats.rxPackets, b.stats.rxBytes, a.stats.txBytes], [1, 1, 15, 15]);
  devClose(b);
  settle();
  t.is(devGetFlags(a) & IFF_RUNNING, 0);
  devQueueXmit(packet(a, frame(macOf(b), macOf(a), ETH_P_IP, [4])));
  settle();
  t.is(seen.length, 2);
  devOpen(b);
  devQueueXmit(packet(a, frame(macOf(b), macOf(a), ETH_P_IP, [5])));
  settle();
  t.is(seen[2]!.bytes[0], 5);
});

test.serial("veth: nothing of the sender crosses, and its memory is not shared", (t) => {
  const a = vethCreate(initNet, "veth%d", createNet(), "veth%d");
  devOpen(a);
  devOpen(a.peer!);
  const kept = packet(a, frame(macOf(a.peer!), macOf(a), ETH_P_IP, [7]));
  kept.mark = 5;
  kept.priority = 6;
  const clone = skbClone(kept)!;
  devQueueXmit(clone);
  mem8.fill(0xee, kept.data, kept.tail);
  settle();
  t.deepEqual(seen.map((one) => [one.bytes[0], one.skb]), [[7, { sk: null, mark: 0, priority: 0 }]]);
  consumeSkb(kept);
});

test.serial("veth: another's frame and one too long for the peer are dropped there", (t) => {
  const a = vethCreate(initNet, "veth%d", createNet(), "veth%d");
  const b = a.peer!;
  devOpen(a);
  devOpen(b);
  devSetMtu(b, 100);
  devQueueXmit(packet(a, frame(MAC2, macOf(a), ETH_P_IP, [1])));
  devQueueXmit(packet(a, frame(macOf(b), macOf(a), ETH_P_IP, new Uint8Array(105))));
  settle();
  t.is(seen.length, 0);
  t.deepEqual(drops, [SKB_DROP_REASON_PKT_TOO_BIG, SKB_DROP_REASON_OTHERHOST]);
  t.is(b.stats.rxLengthErrors, 1);
  t.is(PACKET_OTHERHOST, 3);
});

test.serial("veth: a name that is taken leaves neither end behind; an end that goes cuts the other off", (t) => {
  const other = createNet();
  const a = vethCreate(initNet, "veth0", other, "peer");
  t.throws(() => vethCreate(initNet, "veth1", other, "peer"), { message: /peer: EEXIST/ });
  t.is(vethCreate(initNet, "veth1", other, "peer2").ifindex, 4);
  devOpen(a);
  devOpen(a.peer!);
  unregisterNetdev(a.peer!);
  settle();
  devQueueXmit(packet(a, frame(BROADCAST, macOf(a), ETH_P_IP, [1])));
  settle();
  t.is(seen.length, 0);
});

test.serial("capture sees each frame whole, with direction and time, without taking it", (t) => {
  const a = vethCreate(initNet, "a", createNet(), "b");
  const b = a.peer!;
  devOpen(a);
  devOpen(b);
  const frames: [string, number, number, number[]][] = [];
  const sink = (name: string) => (skb: SkBuff, direction: number, at: number): void => {
    frames.push([name, direction, at, [...mem8.slice(skb.mac, skb.tail)]]);
  };
  const first = captureStart(a, sink("a"));
  const second = captureStart(a, sink("a2"));
  const peer = captureStart(b, sink("b"));
  const there = frame(macOf(b), macOf(a), ETH_P_IP, [1, 2]);
  const back = frame(macOf(a), macOf(b), 0x88b5, [3]);
  runTo(5);
  devQueueXmit(packet(a, there));
  runTo(6);
  devQueueXmit(packet(b, back));
  runTo(7);
  t.deepEqual(frames, [
    ["a2", CAPTURE_OUT, 5, [...there]],
    ["a", CAPTURE_OUT, 5, [...there]],
    ["b", CAPTURE_IN, 6, [...there]],
    ["b", CAPTURE_OUT, 6, [...back]],
    ["a2", CAPTURE_IN, 7, [...back]],
    ["a", CAPTURE_IN, 7, [...back]],
  ]);
  captureStop(first);
  captureStop(first);
  captureStop(peer);
  frames.length = 0;
  devQueueXmit(packet(b, back));
  settle();
  t.deepEqual(frames.map(([name]) => name), ["a2"]);
  captureStop(second);
  t.is(a.taps, null);
});

test.serial("capture on loopback sees a frame once", (t) => {
  const lo = initNet.loopbackDev!;
  loopbackUp(initNet);
  const directions: number[] = [];
  captureStart(lo, (_skb, direction) => void directions.push(direction));
  devQueueXmit(packet(lo, frame(ZERO, ZERO, ETH_P_IP, [1])));
  settle();
  t.deepEqual(directions, [CAPTURE_IN]);
});
