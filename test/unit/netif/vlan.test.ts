/** VLAN devices: the tag put in and taken out, and life with the device below. */
import test from "ava";
import { mem8 } from "../../../src/lib/memory.ts";
import { captureStart, captureStop } from "../../../src/netif/capture.ts";
import {
  devChangeFlags, devClose, devGetFlags, devOpen, devSetMacAddress, devSetMtu, netifCarrierOff, netifCarrierOn, unregisterNetdev,
} from "../../../src/netif/dev.ts";
import { devMcAdd, devMcDel } from "../../../src/netif/dev-mc.ts";
import { ethReceive } from "../../../src/netif/ethernet.ts";
import { loopbackInit } from "../../../src/netif/loopback.ts";
import { devAddPack, devRemovePack, PacketType } from "../../../src/netif/receive.ts";
import { VLAN_QOS_EGRESS, VLAN_QOS_ENTRIES, VLAN_QOS_INGRESS, type VlanDev } from "../../../src/netif/vlan.ts";
import { createVlanDev, registerVlanDev, vlanCreate, vlanInit } from "../../../src/netif/vlan-dev.ts";
import { devQueueXmit } from "../../../src/netif/xmit.ts";
import { DevMcAddr, type NetDevice } from "../../../src/stack/core/net-device.ts";
import {
  consumeSkb, PACKET_BROADCAST, PACKET_HOST, PACKET_MULTICAST, skbClone, type SkBuff,
} from "../../../src/stack/core/skbuff.ts";
import {
  SKB_DROP_REASON_DEV_READY, SKB_DROP_REASON_HDR_TRUNC, SKB_DROP_REASON_OTHERHOST, SKB_DROP_REASON_UNHANDLED_PROTO,
} from "../../../src/uapi/drop-reason.ts";
import { EEXIST, EINVAL, ENETDOWN, EOPNOTSUPP, EPROTONOSUPPORT, ERANGE } from "../../../src/uapi/errno.ts";
import { IFF_ALLMULTI, IFF_PROMISC, IFF_RUNNING, IFF_UP } from "../../../src/uapi/if.ts";
import { ETH_P_8021AD, ETH_P_8021Q, ETH_P_802_2, ETH_P_ALL, ETH_P_IP } from "../../../src/uapi/if-ether.ts";
import { VLAN_FLAG_LOOSE_BINDING, VLAN_FLAG_REORDER_HDR } from "../../../src/uapi/if-link.ts";
import {
  bootNetif, BROADCAST, drops, fakeDevice, type FakeDevice, frame, initNet, MAC1, MAC2, packet, poolsInUse, register, settle,
} from "./harness.ts";

interface Seen {
  readonly dev: NetDevice;
  readonly type: number;
  readonly bytes: number[];
  readonly header: number[];
  readonly pktType: number;
  readonly priority: number;
}

let eth0: FakeDevice;
let seen: Seen[] = [];

test.beforeEach(() => {
  bootNetif(32, 8);
  loopbackInit();
  vlanInit();
  seen = [];
  eth0 = register(fakeDevice());
  for (const type of [ETH_P_IP, ETH_P_802_2]) {
    devAddPack(new PacketType(type, (skb, dev) => {
      seen.push({
        dev, type, bytes: [...mem8.slice(skb.data, skb.tail)], header: [...mem8.slice(skb.mac, skb.data)], pktType: skb.pktType,
        priority: skb.priority,
      });
      consumeSkb(skb);
      return 0;
    }));
  }
});
test.afterEach((t) => t.is(poolsInUse(), 0));

/** A frame with a tag behind its addresses. */
function tagged(dst: readonly number[], tci: number, payload: readonly number[], type = ETH_P_IP, proto = ETH_P_8021Q): Uint8Array {
  return frame(dst, MAC2, proto, [tci >> 8, tci & 255, type >> 8, type & 255, ...payload]);
}

function receive(dev: NetDevice, bytes: Uint8Array): void {
  const skb = packet(dev, bytes, 2);
  ethReceive(skb, dev);
}

function vlanOf(dev: NetDevice): VlanDev {
  return dev.priv as VlanDev;
}

test.serial("a frame with a VLAN's number comes in by it, without the tag and with one header", (t) => {
  devOpen(eth0);
  const v10 = vlanCreate(eth0, 10);
  const v20 = vlanCreate(eth0, 20);
  t.deepEqual([v10.name, v20.name, v10.peer], ["eth0.10", "eth0.20", eth0]);
  devOpen(v10);
  devOpen(v20);
  receive(eth0, tagged(MAC1, 10, [1, 2, 3]));
  receive(eth0, tagged(BROADCAST, 20 | 0x1000, [4]));
  receive(eth0, tagged([1, 0, 0x5e, 0, 0, 1], 0xe000 | 10, [5]));
  receive(eth0, frame(MAC1, MAC2, ETH_P_IP, [6]));
  t.deepEqual(seen.map(({ dev, bytes, pktType }) => [dev.name, bytes, pktType]), [
    ["eth0.10", [1, 2, 3], PACKET_HOST], ["eth0.20", [4], PACKET_BROADCAST], ["eth0.10", [5], PACKET_MULTICAST],
    ["eth0", [6], PACKET_HOST],
  ]);
  t.deepEqual(seen[0]!.header, [...frame(MAC1, MAC2, ETH_P_IP, [])].map((byte, i) => (i < 12 ? byte : [8, 0][i - 12]!)));
  t.is(seen[2]!.priority, 0);
  t.deepEqual([v10.stats.rxPackets, v10.stats.rxBytes, v10.stats.multicast, v20.stats.rxPackets], [2, 4, 1, 1]);
  t.deepEqual(drops, []);
});

test.serial("the VLAN number 0 is a priority and no VLAN; a number that nobody has is dropped, and a tag that is cut off", (t) => {
  devOpen(eth0);
  receive(eth0, tagged(MAC1, 0xa000, [1]));
  receive(eth0, tagged(MAC1, 30, [2]));
  receive(eth0, frame(MAC1, MAC2, ETH_P_8021Q, [0, 0]));
  receive(eth0, tagged(MAC1, 0, [3, 4, 5], 3));
  t.deepEqual(seen.map(({ dev, type, bytes }) => [dev.name, type, bytes]), [
    ["eth0", ETH_P_IP, [1]], ["eth0", ETH_P_802_2, [3, 4, 5]],
  ]);
  t.deepEqual(drops, [SKB_DROP_REASON_UNHANDLED_PROTO, SKB_DROP_REASON_HDR_TRUNC]);
});

test.serial("what a VLAN sends has its tag, and what was in front of the frame is not needed", (t) => {
  devOpen(eth0);
  const v10 = vlanCreate(eth0, 10);
  devOpen(v10);
  const plain = frame(BROADCAST, MAC1, ETH_P_IP, [7, 8]);
  t.is(devQueueXmit(packet(v10, plain)), 0);
  t.is(devQueueXmit(packet(v10, plain, 2)), 0);
  t.deepEqual(eth0.sent.map((bytes) => [...bytes]), [
    [...frame(BROADCAST, MAC1, ETH_P_8021Q, [0, 10, 8, 0, 7, 8])], [...frame(BROADCAST, MAC1, ETH_P_8021Q, [0, 10, 8, 0, 7, 8])],
  ]);
  t.deepEqual([v10.stats.txPackets, v10.stats.txBytes], [2, 40]);
});

test.serial("the bytes of someone who shares them are not moved for the tag", (t) => {
  devOpen(eth0);
  const v10 = vlanCreate(eth0, 10);
  devOpen(v10);
  const kept = packet(v10, frame(BROADCAST, MAC1, ETH_P_IP, [7, 8]), 2);
  devQueueXmit(skbClone(kept)!);
  t.deepEqual([...mem8.slice(kept.data, kept.tail)], [...frame(BROADCAST, MAC1, ETH_P_IP, [7, 8])]);
  consumeSkb(kept);
  const taps: SkBuff[] = [];
  const tap = new PacketType(ETH_P_ALL, (skb, dev) => {
    if (dev === v10) taps.push(skbClone(skb)!);
    consumeSkb(skb);
    return 0;
  });
  devAddPack(tap);
  devQueueXmit(packet(v10, frame(BROADCAST, MAC1, ETH_P_IP, [9])));
  t.is(taps.length, 1);
  t.deepEqual([...mem8.slice(taps[0]!.data, taps[0]!.tail)], [...frame(BROADCAST, MAC1, ETH_P_IP, [9])]);
  consumeSkb(taps[0]!);
  devRemovePack(tap);
  t.is(eth0.sent.length, 2);
  t.deepEqual([...eth0.sent[1]!], [...frame(BROADCAST, MAC1, ETH_P_8021Q, [0, 10, 8, 0, 9])]);
});

test.serial("a capture of each device sees the frame as that device has it", (t) => {
  devOpen(eth0);
  const v10 = vlanCreate(eth0, 10);
  devOpen(v10);
  const lines: [string, number][] = [];
  const captures = [eth0, v10].map((dev) => captureStart(dev, (skb) => lines.push([dev.name, skb.tail - skb.mac])));
  devQueueXmit(packet(v10, frame(BROADCAST, MAC1, ETH_P_IP, [7, 8])));
  receive(eth0, tagged(MAC1, 10, [1, 2, 3]));
  t.deepEqual(lines, [["eth0.10", 16], ["eth0", 20], ["eth0", 21], ["eth0.10", 17]]);
  captures.forEach(captureStop);
});

test.serial("priorities are mapped both ways", (t) => {
  devOpen(eth0);
  const v10 = vlanCreate(eth0, 10);
  devOpen(v10);
  const qos = new Int32Array(VLAN_QOS_ENTRIES);
  qos[VLAN_QOS_INGRESS + 5] = 6;
  qos[VLAN_QOS_EGRESS + 6] = 5;
  vlanOf(v10).qos = qos;
  receive(eth0, tagged(MAC1, 0xa000 | 10, [1]));
  receive(eth0, tagged(MAC1, 0x2000 | 10, [1]));
  t.deepEqual(seen.map(({ priority }) => priority), [6, 0]);
  for (const priority of [6, 1, 4000]) {
    const skb = packet(v10, frame(BROADCAST, MAC1, ETH_P_IP, [priority & 255]));
    skb.priority = priority;
    devQueueXmit(skb);
  }
  // The band of priority 1 is behind that of 6, but nothing waits.
  t.deepEqual(eth0.sent.map((bytes) => (bytes[14]! << 8) | bytes[15]!), [0xa00a, 10, 10]);
});

test.serial("without REORDER_HDR the tag stays in front, and frames that have it are sent as they are", (t) => {
  devOpen(eth0);
  const v10 = vlanCreate(eth0, 10);
  vlanOf(v10).flags &= ~VLAN_FLAG_REORDER_HDR;
  devOpen(v10);
  receive(eth0, tagged(MAC1, 10, [1]));
  t.deepEqual(seen.map(({ bytes, header }) => [bytes, header.length]), [[[1], 18]]);
  const whole = tagged(BROADCAST, 0xe00a, [2]);
  devQueueXmit(packet(v10, whole));
  devQueueXmit(packet(v10, frame(BROADCAST, MAC1, ETH_P_IP, [3])));
  t.deepEqual(eth0.sent.map((bytes) => [...bytes]), [[...whole], [...frame(BROADCAST, MAC1, ETH_P_8021Q, [0, 10, 8, 0, 3])]]);
});

test.serial("tags within tags: 802.1ad outside, 802.1Q inside", (t) => {
  devOpen(eth0);
  const outer = createVlanDev("s5", eth0, ETH_P_8021AD, 5);
  t.is(registerVlanDev(outer), 0);
  devOpen(outer);
  const inner = vlanCreate(outer, 7);
  devOpen(inner);
  devQueueXmit(packet(inner, frame(BROADCAST, MAC1, ETH_P_IP, [1]), 20));
  const sent = [...frame(BROADCAST, MAC1, ETH_P_8021AD, [0, 5, 0x81, 0, 0, 7, 8, 0, 1])];
  t.deepEqual([...eth0.sent[0]!], sent);
  receive(eth0, Uint8Array.from(sent));
  t.deepEqual(seen.map(({ dev, bytes }) => [dev.name, bytes]), [["s5.7", [1]]]);
});

test.serial("what cannot be a VLAN is refused", (t) => {
  t.is(registerVlanDev(createVlanDev("a", initNet.loopbackDev!, ETH_P_8021Q, 1)), -EOPNOTSUPP);
  t.is(registerVlanDev(createVlanDev("a", fakeDevice(), ETH_P_8021Q, 1)), -EOPNOTSUPP);
  t.is(registerVlanDev(createVlanDev("a", eth0, ETH_P_IP, 1)), -EPROTONOSUPPORT);
  for (const id of [4095, -1]) t.is(registerVlanDev(createVlanDev("a", eth0, ETH_P_8021Q, id)), -ERANGE);
  const long = createVlanDev("a", eth0, ETH_P_8021Q, 1);
  long.mtu = 1501;
  t.is(registerVlanDev(long), -EINVAL);
  t.is(vlanCreate(eth0, 4094).mtu, 1500);
  t.is(registerVlanDev(createVlanDev("b", eth0, ETH_P_8021Q, 4094)), -EEXIST);
  t.is(registerVlanDev(createVlanDev("eth0.4094", eth0, ETH_P_8021Q, 1)), -EEXIST);
  t.is(registerVlanDev(createVlanDev("b", eth0, ETH_P_8021AD, 4094)), 0);
  t.throws(() => vlanCreate(eth0, 4094, "c"), { message: "vlanCreate: VLAN 4094 on eth0: EEXIST" });
});

test.serial("a VLAN is up, down and gone with the device below, and has its carrier", (t) => {
  const v10 = vlanCreate(eth0, 10);
  t.is(devOpen(v10), -ENETDOWN);
  devOpen(eth0);
  t.true((devGetFlags(v10) & IFF_UP) !== 0, "up with it");
  t.true((devGetFlags(v10) & IFF_RUNNING) !== 0);
  netifCarrierOff(eth0);
  settle();
  t.is(devGetFlags(v10) & (IFF_UP | IFF_RUNNING), IFF_UP);
  devQueueXmit(packet(v10, frame(BROADCAST, MAC1, ETH_P_IP, [1])));
  t.deepEqual(drops, [SKB_DROP_REASON_DEV_READY]);
  netifCarrierOn(eth0);
  settle();
  t.true((devGetFlags(v10) & IFF_RUNNING) !== 0);
  devClose(v10);
  receive(eth0, tagged(MAC1, 10, [1]));
  t.is(drops[1], SKB_DROP_REASON_DEV_READY);
  devOpen(v10);
  devClose(eth0);
  t.is(devGetFlags(v10) & IFF_UP, 0, "down with it");
  unregisterNetdev(eth0);
  t.is(v10.net, null);
  t.is(seen.length, 0);
});

test.serial("a loosely bound VLAN stays up, without carrier", (t) => {
  const v10 = vlanCreate(eth0, 10);
  vlanOf(v10).flags |= VLAN_FLAG_LOOSE_BINDING;
  t.is(devOpen(v10), 0);
  t.is(devGetFlags(v10) & (IFF_UP | IFF_RUNNING), IFF_UP);
  devOpen(eth0);
  settle();
  t.true((devGetFlags(v10) & IFF_RUNNING) !== 0);
  devClose(eth0);
  settle();
  t.is(devGetFlags(v10) & (IFF_UP | IFF_RUNNING), IFF_UP);
});

test.serial("a VLAN that goes leaves the others; its number is free again", (t) => {
  devOpen(eth0);
  const list = [10, 20, 30].map((id) => vlanCreate(eth0, id));
  unregisterNetdev(list[1]!);
  unregisterNetdev(list[2]!);
  devOpen(list[0]!);
  devOpen(vlanCreate(eth0, 20));
  for (const id of [10, 20, 30]) receive(eth0, tagged(MAC1, id, [id]));
  t.deepEqual(seen.map(({ dev, bytes }) => [dev.name, bytes]), [["eth0.10", [10]], ["eth0.20", [20]]]);
});

test.serial("the MTU is at most that below, and shrinks with it", (t) => {
  const v10 = vlanCreate(eth0, 10);
  t.is(devSetMtu(v10, 1501), -ERANGE);
  t.is(devSetMtu(v10, 1400), 0);
  devSetMtu(eth0, 1450);
  t.is(v10.mtu, 1400);
  devSetMtu(eth0, 1000);
  t.is(v10.mtu, 1000);
  devSetMtu(eth0, 1500);
  t.is(v10.mtu, 1000);
});

test.serial("the link address is that below until it is given one, for which the device below listens", (t) => {
  devOpen(eth0);
  const v10 = vlanCreate(eth0, 10);
  devOpen(v10);
  const ops = eth0.ops;
  eth0.ops = { ...ops, ndoSetMacAddress: () => 0 };
  devSetMacAddress(eth0, 0x0200, 0x77);
  t.is(v10.addrLo, 0x77);
  t.is(eth0.promiscuity, 0);
  t.is(devSetMacAddress(v10, 0x0200, 0x55), 0);
  t.is(eth0.promiscuity, 1);
  devSetMacAddress(eth0, 0x0200, 0x66);
  t.is(v10.addrLo, 0x55);
  receive(eth0, tagged([2, 0, 0, 0, 0, 0x55], 10, [1]));
  receive(eth0, tagged([2, 0, 0, 0, 0, 0x66], 10, [2]));
  t.deepEqual(seen.map(({ bytes, pktType }) => [bytes, pktType]), [[[1], PACKET_HOST], [[2], PACKET_HOST]]);
  receive(eth0, tagged([2, 0, 0, 0, 0, 0x44], 10, [3]));
  t.deepEqual(drops, [SKB_DROP_REASON_OTHERHOST]);
  devClose(v10);
  t.is(eth0.promiscuity, 0);
});

test.serial("promiscuous, all groups and single groups are asked of the device below while the VLAN is up", (t) => {
  devOpen(eth0);
  const v10 = vlanCreate(eth0, 10);
  devChangeFlags(v10, IFF_UP | IFF_PROMISC | IFF_ALLMULTI);
  t.deepEqual([eth0.promiscuity, eth0.allmulti], [1, 1]);
  devClose(v10);
  t.deepEqual([eth0.promiscuity, eth0.allmulti], [0, 0]);
  devOpen(v10);
  t.deepEqual([eth0.promiscuity, eth0.allmulti], [1, 1]);
  devChangeFlags(v10, IFF_UP);
  t.deepEqual([eth0.promiscuity, eth0.allmulti], [0, 0]);
  const node = new DevMcAddr();
  devMcAdd(v10, node);
  t.is(eth0.mc, node);
  devMcDel(v10, node);
  t.is(eth0.mc, null);
});
