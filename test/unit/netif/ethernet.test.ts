import test from "ava";
import { mem8 } from "../../../src/lib/memory.ts";
import { devOpen } from "../../../src/netif/dev.ts";
import {
  bufferMtu, etherSetup, ethHeaderOps, ethPad, ethReceive, ethTypeTrans, skbUnshare,
} from "../../../src/netif/ethernet.ts";
import { NET_RX_DROP } from "../../../src/netif/receive.ts";
import { NETDEV_TX_OK, NetDevice } from "../../../src/stack/core/net-device.ts";
import {
  allocSkb, consumeSkb, PACKET_BROADCAST, PACKET_HOST, PACKET_MULTICAST, PACKET_OTHERHOST, skbBuffersAvailable,
  skbBufferBytes, skbClone, skbGet, skbReserve,
} from "../../../src/stack/core/skbuff.ts";
import {
  SKB_DROP_REASON_NOMEM, SKB_DROP_REASON_PKT_TOO_BIG, SKB_DROP_REASON_PKT_TOO_SMALL, SKB_DROP_REASON_UNHANDLED_PROTO,
} from "../../../src/uapi/drop-reason.ts";
import { ARPHRD_ETHER } from "../../../src/uapi/if-arp.ts";
import { ETH_P_802_2, ETH_P_IP } from "../../../src/uapi/if-ether.ts";
import {
  bootNetif, BROADCAST, drops, fakeDevice, type FakeDevice, frame, MAC1, MAC2, packet, poolsInUse, register,
} from "./harness.ts";

let dev: FakeDevice;

test.beforeEach(() => {
  bootNetif(8);
  dev = register(fakeDevice());
  devOpen(dev);
});
test.afterEach((t) => t.is(poolsInUse(), 0));

test.serial("the header is built from numbers and read back as bytes", (t) => {
  dev.addrHi = 0xfedc;
  dev.addrLo = 0xba987654 | 0;
  const skb = packet(dev, [9, 8, 7]);
  t.is(ethHeaderOps.create(skb, dev, 0x86dd, 0x0123, 0x456789ab), 14);
  t.deepEqual([...mem8.slice(skb.data, skb.tail)], [
    0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x86, 0xdd, 9, 8, 7,
  ]);
  t.is(skb.len, 17);
  consumeSkb(skb);
});

test.serial("pkt_type by destination address", (t) => {
  const cases: [readonly number[], number][] = [
    [MAC1, PACKET_HOST],
    [BROADCAST, PACKET_BROADCAST],
    [[1, 0, 0x5e, 0, 0, 1], PACKET_MULTICAST],
    [[0x33, 0x33, 0, 0, 0, 1], PACKET_MULTICAST],
    [[255, 255, 255, 255, 255, 254], PACKET_MULTICAST],
    [MAC2, PACKET_OTHERHOST],
    [[2, 1, 0, 0, 0, 1], PACKET_OTHERHOST],
    [[0, 0, 0, 0, 0, 0], PACKET_OTHERHOST],
  ];
  for (const [dst, type] of cases) {
    const skb = packet(null, frame(dst, MAC2, ETH_P_IP, [1, 2]), 2);
    t.is(ethTypeTrans(skb, dev), ETH_P_IP);
    t.is(skb.pktType, type, dst.join(":"));
    t.is(skb.dev, dev);
    t.is(skb.data, skb.mac + 14);
    t.is(skb.len, 2);
    t.is(skb.tail - skb.data, 2);
    consumeSkb(skb);
  }
});

test.serial("below 0x600 the field is a length: 802.3, which nobody takes", (t) => {
  for (const [field, type] of [[0x5ff, ETH_P_802_2], [0x26, ETH_P_802_2], [0, ETH_P_802_2], [0x600, 0x600]] as const) {
    const skb = packet(null, frame(MAC1, MAC2, field, new Uint8Array(46)), 2);
    t.is(ethTypeTrans(skb, dev), type);
    consumeSkb(skb);
  }
  t.is(ethReceive(packet(null, frame(MAC1, MAC2, 46, new Uint8Array(46)), 2), dev), NET_RX_DROP);
  t.deepEqual(drops, [SKB_DROP_REASON_UNHANDLED_PROTO]);
  t.is(dev.stats.rxDropped, 1);
  t.is(dev.stats.rxLengthErrors, 0);
});

test.serial("runts and oversize are dropped and counted; a tag's four bytes are allowed for", (t) => {
  for (const length of [0, 13, 1519]) ethReceive(packet(null, new Uint8Array(length), 2), dev);
  t.deepEqual(drops, [SKB_DROP_REASON_PKT_TOO_SMALL, SKB_DROP_REASON_PKT_TOO_SMALL, SKB_DROP_REASON_PKT_TOO_BIG]);
  t.is(dev.stats.rxLengthErrors, 3);
  t.is(dev.stats.rxErrors, 3);
  t.is(dev.stats.rxPackets, 0);
  drops.length = 0;
  for (const length of [14, 1514, 1518]) {
    ethReceive(packet(null, frame(MAC1, MAC2, 0x88b5, new Uint8Array(length - 14)), 2), dev);
  }
  t.is(dev.stats.rxLengthErrors, 3);
  t.is(dev.stats.rxPackets, 3);
  t.is(dev.stats.rxBytes, 14 + 1514 + 1518);
});

test.serial("group frames are counted", (t) => {
  for (const dst of [[1, 0, 0x5e, 0, 0, 1], BROADCAST, MAC1]) {
    ethReceive(packet(null, frame(dst, MAC2, 0x88b5, []), 2), dev);
  }
  t.is(dev.stats.multicast, 1);
});

test.serial("ethPad fills up to 60 bytes with zeros over old memory", (t) => {
  const dirty = allocSkb(skbBufferBytes)!;
  mem8.fill(0xaa, dirty.head, dirty.head + skbBufferBytes);
  consumeSkb(dirty);
  for (const length of [14, 42, 59]) {
    const skb = ethPad(packet(dev, new Uint8Array(length).fill(1)))!;
    t.is(skb.len, 60);
    t.is(skb.tail - skb.data, 60);
    t.true(mem8.slice(skb.data, skb.tail).every((byte, i) => byte === (i < length ? 1 : 0)));
    consumeSkb(skb);
  }
  for (const length of [60, 61]) {
    const skb = packet(dev, new Uint8Array(length));
    t.is(ethPad(skb), skb);
    t.is(skb.len, length);
    consumeSkb(skb);
  }
});

test.serial("ethPad leaves data alone that another header shares", (t) => {
  const skb = packet(dev, [1, 2, 3]);
  const clone = skbClone(skb)!;
  mem8.fill(0x55, skb.tail, skb.tail + 60);
  const padded = ethPad(clone)!;
  t.is(padded.len, 60);
  t.true(mem8.slice(skb.tail, skb.tail + 60).every((byte) => byte === 0x55));
  t.deepEqual([...mem8.slice(padded.data, padded.data + 4)], [1, 2, 3, 0]);
  consumeSkb(padded);
  consumeSkb(skb);
});

test.serial("skbUnshare copies only what is shared, and drops when it cannot", (t) => {
  const skb = packet(dev, [1]);
  t.is(skbUnshare(skb), skb);
  const kept = skbGet(skb);
  const copy = skbUnshare(skb)!;
  t.not(copy, kept);
  t.is(kept.users, 1);
  const rest = [];
  while (skbBuffersAvailable() > 0) rest.push(packet(dev, [0]));
  const clone = skbClone(kept)!;
  t.is(skbUnshare(clone), null);
  t.deepEqual(drops, [SKB_DROP_REASON_NOMEM]);
  for (const one of [...rest, copy, kept]) consumeSkb(one);
});

test.serial("small buffers make the MTU small", (t) => {
  t.is(bufferMtu(), 1500);
  bootNetif(8);
  const big = new NetDevice("eth0", ARPHRD_ETHER, 9000, 14, { ndoStartXmit: () => NETDEV_TX_OK });
  etherSetup(big);
  t.is(big.mtu, 1500);
  t.is(big.maxMtu, 1500);
  const skb = allocSkb(2 + 14 + big.mtu)!;
  skbReserve(skb, 2 + 14 + big.mtu);
  consumeSkb(skb);
});
