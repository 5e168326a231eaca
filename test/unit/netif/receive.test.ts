import test from "ava";
import { unregisterNetdev, devClose, devOpen } from "../../../src/netif/dev.ts";
import { ethReceive } from "../../../src/netif/ethernet.ts";
import { softnetStat } from "../../../src/netif/napi.ts";
import {
  devAddPack, devRemovePack, NET_RX_DROP, NET_RX_SUCCESS, netifReceiveSkb, netifRx, PacketType,
} from "../../../src/netif/receive.ts";
import { devQueueXmit } from "../../../src/netif/xmit.ts";
import {
  consumeSkb, PACKET_HOST, PACKET_OTHERHOST, PACKET_OUTGOING, skbShared,
} from "../../../src/stack/core/skbuff.ts";
import {
  SKB_DROP_REASON_CPU_BACKLOG, SKB_DROP_REASON_DEV_READY, SKB_DROP_REASON_OTHERHOST, SKB_DROP_REASON_UNHANDLED_PROTO,
} from "../../../src/uapi/drop-reason.ts";
import { ETH_P_ALL, ETH_P_ARP, ETH_P_IP } from "../../../src/uapi/if-ether.ts";
import {
  bootNetif, drops, fakeDevice, type FakeDevice, frame, MAC1, MAC2, packet, poolsInUse, register, settle,
} from "./harness.ts";

let eth0: FakeDevice;
let eth1: FakeDevice;
let seen: string[] = [];

/** A handler that notes its name and takes the packet. */
function handler(name: string, type: number, dev: FakeDevice | null = null): PacketType {
  return new PacketType(type, (skb) => {
    seen.push(name + (skbShared(skb) ? "+" : ""));
    consumeSkb(skb);
    return NET_RX_SUCCESS;
  }, dev);
}

function receive(dev: FakeDevice, type: number): number {
  const skb = packet(dev, [1, 2, 3]);
  skb.protocol = type;
  return netifReceiveSkb(skb);
}

test.beforeEach(() => {
  bootNetif(16, 4);
  seen = [];
  eth0 = register(fakeDevice());
  eth1 = register(fakeDevice());
  devOpen(eth0);
  devOpen(eth1);
});

test.afterEach((t) => t.is(poolsInUse(), 0));

test.serial("a packet goes to the handler of its EtherType, others are counted drops", (t) => {
  devAddPack(handler("ip", ETH_P_IP));
  const arp = handler("arp", ETH_P_ARP);
  devAddPack(arp);
  t.is(receive(eth0, ETH_P_IP), NET_RX_SUCCESS);
  t.is(receive(eth0, ETH_P_ARP), NET_RX_SUCCESS);
  t.is(receive(eth0, 0x88cc), NET_RX_DROP);
  // The same bucket of the table as IP.
  t.is(receive(eth0, 0x0810), NET_RX_DROP);
  t.deepEqual(seen, ["ip", "arp"]);
  t.deepEqual(drops, [SKB_DROP_REASON_UNHANDLED_PROTO, SKB_DROP_REASON_UNHANDLED_PROTO]);
  t.is(eth0.stats.rxDropped, 2);
  devRemovePack(arp);
  devRemovePack(arp);
  t.is(receive(eth0, ETH_P_ARP), NET_RX_DROP);
  t.is(receive(eth0, ETH_P_IP), NET_RX_SUCCESS);
});

test.serial("several handlers of one type share the packet; one bound to a device hears only of it", (t) => {
  const both = [handler("a", ETH_P_IP), handler("b", ETH_P_IP), handler("one", ETH_P_IP, eth1)];
  for (const pt of both) devAddPack(pt);
  receive(eth0, ETH_P_IP);
  t.deepEqual([...seen].sort(), ["a", "b+"]);
  seen = [];
  receive(eth1, ETH_P_IP);
  t.deepEqual([...seen].sort(), ["a", "b+", "one+"]);
  devRemovePack(both[1]!);
  seen = [];
  receive(eth1, ETH_P_IP);
  t.deepEqual([...seen].sort(), ["a", "one+"]);
});

test.serial("taps see all that comes in before protocols do, other hosts' frames too", (t) => {
  const tap = handler("tap", ETH_P_ALL);
  devAddPack(tap);
  devAddPack(handler("tap1", ETH_P_ALL, eth1));
  devAddPack(handler("ip", ETH_P_IP));
  receive(eth0, ETH_P_IP);
  t.deepEqual(seen, ["tap+", "ip"]);
  seen = [];
  const skb = packet(eth1, [1]);
  skb.protocol = ETH_P_IP;
  skb.pktType = PACKET_OTHERHOST;
  t.is(netifReceiveSkb(skb), NET_RX_DROP);
  t.deepEqual([...seen].sort(), ["tap+", "tap1+"]);
  t.deepEqual(drops, [SKB_DROP_REASON_OTHERHOST]);
  devRemovePack(tap);
  seen = [];
  receive(eth0, ETH_P_IP);
  t.deepEqual(seen, ["ip"]);
});

test.serial("taps see what leaves, once, from the link header on, though the driver was busy at first", (t) => {
  const types: number[] = [];
  const lengths: number[] = [];
  devAddPack(new PacketType(ETH_P_ALL, (skb) => {
    types.push(skb.pktType);
    lengths.push(skb.len);
    t.is(skb.mac, skb.data);
    consumeSkb(skb);
    return 0;
  }));
  eth0.busy = true;
  devQueueXmit(packet(eth0, frame(MAC2, MAC1, ETH_P_IP, [1, 2, 3])));
  eth0.busy = false;
  settle();
  t.is(eth0.sent.length, 1);
  t.deepEqual(types, [PACKET_OUTGOING]);
  t.deepEqual(lengths, [17]);
});

test.serial("the packet is delivered behind its link header, with the device it came by", (t) => {
  devAddPack(new PacketType(ETH_P_IP, (skb, dev) => {
    t.is(dev, eth1);
    t.is(skb.iif, eth1.ifindex);
    t.is(skb.pktType, PACKET_HOST);
    t.is(skb.data - skb.mac, 14);
    t.is(skb.nh, skb.data);
    t.is(skb.th, skb.data);
    t.is(skb.len, 4);
    consumeSkb(skb);
    return 7;
  }));
  t.is(ethReceive(packet(null, frame(MAC1, MAC2, ETH_P_IP, [1, 2, 3, 4]), 2), eth1), 7);
});

test.serial("netifRx queues for the softirq, at most the backlog, and nothing for a device that is down", (t) => {
  devAddPack(handler("ip", ETH_P_IP));
  const queue = (): number => {
    const skb = packet(eth0, [1]);
    skb.protocol = ETH_P_IP;
    return netifRx(skb);
  };
  t.deepEqual([queue(), queue(), queue(), queue(), queue()], [0, 0, 0, 0, NET_RX_DROP]);
  t.deepEqual(seen, []);
  t.deepEqual(drops, [SKB_DROP_REASON_CPU_BACKLOG]);
  t.is(softnetStat.dropped, 1);
  t.is(eth0.stats.rxDropped, 1);
  settle();
  t.is(seen.length, 4);
  t.is(queue(), 0);
  settle();
  t.is(seen.length, 5);
  devClose(eth0);
  t.is(queue(), NET_RX_DROP);
  t.is(drops[1], SKB_DROP_REASON_DEV_READY);
});

test.serial("a device that is unregistered takes its packets out of the backlog", (t) => {
  devAddPack(handler("ip", ETH_P_IP));
  for (const dev of [eth0, eth1, eth0]) {
    const skb = packet(dev, [1]);
    skb.protocol = ETH_P_IP;
    netifRx(skb);
  }
  unregisterNetdev(eth0);
  settle();
  t.deepEqual(seen, ["ip"]);
});
