import test from "ava";
import { mem8 } from "../../../src/lib/memory.ts";
import { jiffies } from "../../../src/lib/timer.ts";
import {
  devChangeFlags, devOpen, devSetMacAddress, netifCarrierOff, netifCarrierOn, unregisterNetdev,
} from "../../../src/netif/dev.ts";
import { NET_RX_DROP, NET_RX_SUCCESS } from "../../../src/netif/receive.ts";
import { DstEntry, type DstOps } from "../../../src/stack/core/dst.ts";
import { neighCreate, neighLookup, neighOutput, neighSet } from "../../../src/stack/core/neighbour.ts";
import {
  consumeSkb, skbBuffersAvailable, skbBufferBytes, skbDstSet, type SkBuff,
} from "../../../src/stack/core/skbuff.ts";
import { arpAnnounce, arpSend, arpTbl } from "../../../src/stack/ipv4/arp.ts";
import { ARP_NOTIFY, arpConfSet } from "../../../src/stack/ipv4/arp-conf.ts";
import { inetAddAddress } from "../../../src/stack/ipv4/devinet.ts";
import {
  SKB_DROP_REASON_HDR_TRUNC, SKB_DROP_REASON_IP_INVALID_DEST, SKB_DROP_REASON_IP_LOCALNET,
  SKB_DROP_REASON_MAC_INVALID_SOURCE, SKB_DROP_REASON_NEIGH_FAILED, SKB_DROP_REASON_OTHERHOST,
  SKB_DROP_REASON_UNHANDLED_PROTO,
} from "../../../src/uapi/drop-reason.ts";
import { ENOBUFS } from "../../../src/uapi/errno.ts";
import { IFF_NOARP, IFF_UP } from "../../../src/uapi/if.ts";
import { ARPOP_REPLY, ARPOP_REQUEST } from "../../../src/uapi/if-arp.ts";
import { ETH_P_IP } from "../../../src/uapi/if-ether.ts";
import {
  NUD_DELAY, NUD_INCOMPLETE, NUD_NOARP, NUD_PERMANENT, NUD_REACHABLE, NUD_STALE,
} from "../../../src/uapi/rtnetlink.ts";
import { AF_INET } from "../../../src/uapi/socket.ts";
import {
  BROADCAST, fakeDevice, type FakeDevice, MAC1, MAC2, packet, register, runTo, settle,
} from "../netif/harness.ts";
import { type Arp, arpBytes, MAC3, PEER, receiveBytesOn, receiveOn, reply, request, sentArp, US, words } from "./arp-harness.ts";
import { bootIpv4, createNet, drops, initNet, ip, shutdownIpv4 } from "./harness.ts";


const IDLE_DST_OPS: DstOps = {
  family: AF_INET,
  check: (dst) => dst,
  mtu: () => 1500,
  defaultAdvmss: () => 1460,
  updatePmtu: () => undefined,
  negativeAdvice: () => undefined,
  linkFailure: () => undefined,
  confirmNeigh: () => undefined,
  destroy: () => undefined,
};

let dev: FakeDevice;

test.beforeEach(() => {
  bootIpv4();
  dev = register(fakeDevice("eth%d", { ndoSetMacAddress: () => 0 }));
  devOpen(dev);
  arpConfSet(dev, ARP_NOTIFY, 0);
  inetAddAddress(initNet, dev, US, 24);
  dev.sent = [];
});

test.afterEach((t) => {
  unregisterNetdev(dev);
  t.is(shutdownIpv4(), 0);
});

function receiveBytes(dst: readonly number[], bytes: readonly number[], to: FakeDevice = dev): number {
  return receiveBytesOn(to, dst, bytes);
}

function receive(a: Arp, dst?: readonly number[]): number {
  return receiveOn(dev, a, dst);
}

function known(addr: number): [number, number[]] | null {
  const neigh = neighLookup(arpTbl, addr, dev);
  if (neigh === null) return null;
  return [neigh.nudState, [neigh.haHi >> 8, neigh.haHi & 255, ...words(neigh.haLo)]];
}

function ipSkb(saddr: number, daddr: number): SkBuff {
  const bytes = new Uint8Array(20);
  bytes.set(words(saddr), 12);
  bytes.set(words(daddr), 16);
  const skb = packet(dev, bytes);
  skb.nh = skb.data;
  skb.protocol = ETH_P_IP;
  return skb;
}

function output(daddr: number, saddr = US): void {
  neighOutput(neighLookup(arpTbl, daddr, dev) ?? neighCreate(arpTbl, daddr, dev)!, ipSkb(saddr, daddr));
}

test.serial("a request for our address is answered byte for byte, and its sender learned as STALE", (t) => {
  t.is(receive(request(US)), NET_RX_SUCCESS);
  t.is(dev.sent.length, 1);
  t.deepEqual([...dev.sent[0]!], [
    ...MAC2, ...MAC1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 2, ...MAC1, ...words(US), ...MAC2, ...words(PEER),
  ]);
  t.deepEqual(known(PEER), [NUD_STALE, MAC2]);
  t.deepEqual(drops, []);
});

test.serial("a request with padding behind it is answered, and the answer carries no old memory", (t) => {
  const packets = [];
  while (skbBuffersAvailable() > 0) packets.push(packet(null, [0]));
  for (const skb of packets) {
    mem8.fill(0xaa, skb.head, skb.head + skbBufferBytes);
    consumeSkb(skb);
  }
  receiveBytes(BROADCAST, [...arpBytes(request(US)), ...new Array<number>(18).fill(0xbb)]);
  t.is(dev.sent[0]!.length, 42);
  t.false(dev.sent[0]!.some((byte) => byte === 0xaa || byte === 0xbb));
});

test.serial("only for our own addresses of that namespace", (t) => {
  for (const tip of ["10.0.0.3", "10.0.0.255", "192.168.1.1", "255.255.255.255", "0.0.0.0"]) {
    t.is(receive(request(ip(tip))), NET_RX_SUCCESS, tip);
  }
  t.is(dev.sent.length, 0);
  t.is(known(PEER), null, "who asks for others is not learned");
  inetAddAddress(initNet, dev, ip("192.168.1.1"), 24);
  receive(request(ip("192.168.1.1")));
  t.is(dev.sent.length, 1);
  const other = createNet();
  const away = register(fakeDevice(), other);
  devOpen(away);
  arpConfSet(away, ARP_NOTIFY, 0);
  inetAddAddress(other, away, ip("10.9.9.9"), 24);
  receive(request(ip("10.9.9.9")));
  t.is(dev.sent.length, 1);
  receiveBytes(BROADCAST, arpBytes(request(ip("10.9.9.9"))), away);
  t.is(away.sent.length, 1);
  unregisterNetdev(away);
});

test.serial("an address of another device of ours is answered for (arp_ignore 0)", (t) => {
  const second = register(fakeDevice());
  devOpen(second);
  arpConfSet(second, ARP_NOTIFY, 0);
  inetAddAddress(initNet, second, ip("10.1.0.1"), 24);
  receive(request(ip("10.1.0.1")));
  t.is(sentArp(dev.sent[0]!).arp.sip, ip("10.1.0.1"));
  t.is(second.sent.length, 0);
  unregisterNetdev(second);
});

test.serial("a probe (sender 0) for our address is answered but not learned from", (t) => {
  receive(request(US, 0));
  t.deepEqual(sentArp(dev.sent[0]!), {
    dst: MAC2, arp: { op: ARPOP_REPLY, sha: MAC1, sip: US, tha: MAC2, tip: 0 },
  });
  receive(request(ip("10.0.0.3"), 0));
  t.is(dev.sent.length, 1);
  t.is(known(0), null);
});

test.serial("somebody claiming our address is not answered and not learned", (t) => {
  receive(request(US, US));
  receive(reply(US, MAC2, US, MAC2), BROADCAST);
  t.is(dev.sent.length, 0);
  t.is(known(US), null);
});

test.serial("a reply nobody asked for changes only what exists", (t) => {
  receive(reply());
  t.is(known(PEER), null);
  receive(reply(PEER, MAC2, PEER, MAC2), BROADCAST);
  receive(request(PEER));
  t.is(known(PEER), null, "nor do gratuitous ones");
});

test.serial("the question, the answer, and the packet that waited", (t) => {
  output(PEER);
  t.deepEqual(sentArp(dev.sent[0]!), { dst: [...BROADCAST], arp: { ...request(PEER, US, MAC1), tip: PEER } });
  t.is(known(PEER)![0], NUD_INCOMPLETE);
  runTo(50);
  receive(reply());
  t.deepEqual(known(PEER), [NUD_REACHABLE, MAC2]);
  t.is(dev.sent.length, 2);
  t.deepEqual([...dev.sent[1]!.slice(0, 14)], [...MAC2, ...MAC1, 8, 0]);
  t.is(dev.sent[1]!.length, 34);
});

test.serial("a broadcast reply, or a request, gives the address but is no proof: it is checked when used", (t) => {
  output(PEER);
  receive(reply(), BROADCAST);
  t.deepEqual(known(PEER), [NUD_DELAY, MAC2]);
  t.is(dev.sent.length, 2);
  output(ip("10.0.0.3"));
  receive(request(ip("10.0.0.77"), ip("10.0.0.3"), MAC3));
  t.deepEqual(known(ip("10.0.0.3")), [NUD_DELAY, MAC3]);
});

test.serial("the question names the packet's source address if it is ours, else the best of the link", (t) => {
  inetAddAddress(initNet, dev, ip("10.0.0.9"), 24);
  output(PEER, ip("10.0.0.9"));
  output(ip("10.0.0.3"), ip("172.16.0.1"));
  t.deepEqual(dev.sent.map((bytes) => sentArp(bytes).arp.sip), [ip("10.0.0.9"), US]);
});

test.serial("of several answers the first counts for a second, unless gratuitous", (t) => {
  output(PEER);
  receive(reply());
  receive(reply(PEER, MAC3));
  t.deepEqual(known(PEER), [NUD_REACHABLE, MAC2]);
  runTo(1000);
  receive(reply(PEER, MAC3));
  t.deepEqual(known(PEER), [NUD_REACHABLE, MAC2]);
  runTo(1001);
  receive(reply(PEER, MAC3));
  t.deepEqual(known(PEER), [NUD_REACHABLE, MAC3]);
  t.is(jiffies, 1001);
  receive(request(PEER, PEER, MAC2));
  t.deepEqual(known(PEER), [NUD_STALE, MAC2], "a gratuitous request at once");
  receive(reply(PEER, MAC3, PEER, MAC3), BROADCAST);
  t.deepEqual(known(PEER), [NUD_STALE, MAC3], "a gratuitous reply at once");
  receive(reply(PEER, MAC2, PEER, MAC1), BROADCAST);
  t.deepEqual(known(PEER), [NUD_STALE, MAC3], "one that names another target is none");
});

test.serial("an unanswered question: three broadcasts, then the packet's sender is told through its route", (t) => {
  const told: number[] = [];
  const dst = new DstEntry({ ...IDLE_DST_OPS, linkFailure: (skb) => void told.push(jiffies, skb.len) });
  dst.refcnt = 1;
  const skb = ipSkb(US, PEER);
  skbDstSet(skb, dst);
  neighOutput(neighCreate(arpTbl, PEER, dev)!, skb);
  runTo(2999);
  t.is(dev.sent.length, 3);
  t.true(dev.sent.every((bytes) => bytes[0] === 255 && sentArp(bytes).arp.tip === PEER));
  t.deepEqual(told, []);
  t.is(dst.refcnt, 2);
  runTo(3000);
  t.deepEqual(told, [3000, 20]);
  t.deepEqual(drops, [SKB_DROP_REASON_NEIGH_FAILED]);
  t.is(dst.refcnt, 1);
});

test.serial("a known neighbour is checked by unicast, and an answer sent to us confirms it", (t) => {
  receive(request(US));
  dev.sent = [];
  output(PEER);
  runTo(5000);
  const asked = sentArp(dev.sent[1]!);
  t.deepEqual(asked, { dst: MAC2, arp: request(PEER, US, MAC1) });
  receive(reply());
  t.is(known(PEER)![0], NUD_REACHABLE);
});

test.serial("malformed packets are dropped with their reason", (t) => {
  const good = arpBytes(request(US));
  const cases: [number[], number][] = [
    [good.slice(0, 27), SKB_DROP_REASON_HDR_TRUNC],
    [[], SKB_DROP_REASON_HDR_TRUNC],
    [[0, 6, ...good.slice(2)], SKB_DROP_REASON_UNHANDLED_PROTO],
    [[0, 1, 0x86, 0xdd, ...good.slice(4)], SKB_DROP_REASON_UNHANDLED_PROTO],
    [[...good.slice(0, 4), 8, ...good.slice(5)], SKB_DROP_REASON_UNHANDLED_PROTO],
    [[...good.slice(0, 5), 16, ...good.slice(6)], SKB_DROP_REASON_UNHANDLED_PROTO],
    [[...good.slice(0, 7), 3, ...good.slice(8)], SKB_DROP_REASON_UNHANDLED_PROTO],
    [[...good.slice(0, 6), 1, ...good.slice(7)], SKB_DROP_REASON_UNHANDLED_PROTO],
    [arpBytes(request(ip("224.0.0.1"))), SKB_DROP_REASON_IP_INVALID_DEST],
    [arpBytes(request(ip("127.0.0.1"))), SKB_DROP_REASON_IP_LOCALNET],
    [arpBytes(request(US, PEER, BROADCAST)), SKB_DROP_REASON_MAC_INVALID_SOURCE],
    [arpBytes(request(US, PEER, [1, 0, 0x5e, 0, 0, 1])), SKB_DROP_REASON_MAC_INVALID_SOURCE],
  ];
  for (const [bytes, reason] of cases) {
    drops.length = 0;
    t.is(receiveBytes(BROADCAST, bytes), NET_RX_DROP);
    t.deepEqual(drops, [reason], String(bytes));
  }
  drops.length = 0;
  t.is(receive(request(US), MAC3), NET_RX_DROP);
  t.deepEqual(drops, [SKB_DROP_REASON_OTHERHOST]);
  t.is(dev.sent.length, 0);
  t.is(known(PEER), null);
});

test.serial("a source that cannot be is not answered or learned: group, broadcast, loopback", (t) => {
  for (const sip of ["224.0.0.5", "255.255.255.255", "127.0.0.1"]) receive(request(US, ip(sip)));
  t.is(dev.sent.length, 0);
  for (const sip of ["224.0.0.5", "255.255.255.255", "127.0.0.1"]) t.is(known(ip(sip)), null);
});

test.serial("groups and broadcasts have their address by rule", (t) => {
  const cases: [string, number[]][] = [
    ["255.255.255.255", [...BROADCAST]],
    ["10.0.0.255", [...BROADCAST]],
    ["224.0.0.251", [1, 0, 0x5e, 0, 0, 251]],
    ["239.255.129.7", [1, 0, 0x5e, 0x7f, 129, 7]],
  ];
  for (const [addr, mac] of cases) {
    output(ip(addr));
    t.deepEqual(known(ip(addr)), [NUD_NOARP, mac]);
    t.deepEqual([...dev.sent.pop()!.slice(0, 6)], mac);
  }
  t.is(dev.sent.length, 0);
});

test.serial("announcing: one gratuitous request to all", (t) => {
  t.is(arpAnnounce(dev, US), 0);
  t.deepEqual(dev.sent.map(sentArp), [{ dst: [...BROADCAST], arp: request(US, US, MAC1) }]);
  arpConfSet(dev, ARP_NOTIFY, 1);
  inetAddAddress(initNet, dev, ip("10.0.0.9"), 24);
  t.is(dev.sent.length, 2);
});

test.serial("a device without ARP neither asks, answers nor announces", (t) => {
  receive(request(US));
  devChangeFlags(dev, IFF_UP | IFF_NOARP);
  t.is(known(PEER), null);
  dev.sent = [];
  drops.length = 0;
  t.is(arpAnnounce(dev, US), 0);
  t.is(receive(request(US)), NET_RX_DROP);
  t.deepEqual(drops, [SKB_DROP_REASON_UNHANDLED_PROTO]);
  output(PEER);
  t.deepEqual(known(PEER), [NUD_NOARP, MAC1]);
  t.is(dev.sent.length, 1);
  devChangeFlags(dev, IFF_UP);
  t.is(known(PEER), null, "what needed no resolution needs it now");
});

test.serial("a new address or a lost link ends what was learned; static entries survive the link", (t) => {
  receive(request(US));
  neighSet(arpTbl, ip("10.0.0.7"), dev, 0x0200, 7, NUD_PERMANENT);
  netifCarrierOff(dev);
  settle();
  t.is(known(PEER), null);
  t.is(known(ip("10.0.0.7"))![0], NUD_PERMANENT);
  netifCarrierOn(dev);
  settle();
  receive(request(US));
  t.is(known(PEER)![0], NUD_STALE);
  devSetMacAddress(dev, 0x0200, 0x99);
  t.is(known(PEER), null);
  t.is(known(ip("10.0.0.7")), null);
});

test.serial("no memory: a request is answered in its own buffer, a question cannot be asked, nothing leaks", (t) => {
  const held: SkBuff[] = [];
  while (skbBuffersAvailable() > 1) held.push(packet(null, [0]));
  receive(request(US));
  t.is(dev.sent.length, 1);
  held.push(packet(null, [0]));
  t.is(arpSend(ARPOP_REQUEST, dev, PEER, US, 0xffff, -1, 0, 0), -ENOBUFS);
  for (const skb of held) consumeSkb(skb);
  receive(request(US));
  t.is(dev.sent.length, 2);
});
