import assert from "node:assert/strict";
import test, { type ExecutionContext } from "ava";
import { Esp32Emac } from "../../../../hal/esp32/index.ts";
import { VirtualClock } from "../../../../hal/mock/clock.ts";
import { boot, type ConfigOptions, devOpen, inetAddAddress, initNet } from "../../../../src/index.ts";
import { devClose, devSetMacAddress, devSetPromiscuity, unregisterNetdev } from "../../../../src/netif/dev.ts";
import { NEIGH_UPDATE_F_ADMIN, NEIGH_UPDATE_F_OVERRIDE, neighCreate, neighUpdate } from "../../../../src/stack/core/neighbour.ts";
import { arpTbl } from "../../../../src/stack/ipv4/arp.ts";
import { ICMP_ECHO } from "../../../../src/uapi/icmp.ts";
import { NUD_PERMANENT } from "../../../../src/uapi/rtnetlink.ts";
import { ETHER_IP, ethernetFrame, icmpMessage, ipPacket, parseFrame, PROTO_ICMP } from "../../../lib/frames.ts";
import { poolUsage } from "../../../lib/pools.ts";
import { FakeEmac } from "./fake-emac.ts";

const US = 0x0a000001;
const PEER = 0x0a000002;
const OUR_MAC = { hi: 0x0200, lo: 0x0000fe01 };
const PEER_MAC = { hi: 0x0200, lo: 2 };

interface Bench {
  readonly clock: VirtualClock;
  readonly dev: Esp32Emac;
  readonly emac: FakeEmac;
  ping(count?: number): void;
}

/** A board of that preset with the device up, linked, and a peer known; its pools are full again at the test's end. */
function bench(t: ExecutionContext, config: ConfigOptions = { preset: "small" }): Bench {
  const clock = new VirtualClock();
  boot({ ...config, hal: clock });
  clock.drive(initNet);
  const before = poolUsage(initNet);
  const dev = new Esp32Emac({ emac: { io: FakeEmac, phyAddress: 1, power: 16 } });
  const emac = FakeEmac.last;
  initNet.register(dev);
  devOpen(dev);
  t.is(inetAddAddress(initNet, dev, US, 24), 0);
  emac.setLink(true);
  const neigh = neighCreate(arpTbl, PEER, dev)!;
  neighUpdate(neigh, PEER_MAC.hi, PEER_MAC.lo, NUD_PERMANENT, NEIGH_UPDATE_F_OVERRIDE | NEIGH_UPDATE_F_ADMIN);
  clock.runFor(10);
  emac.sent.length = 0;
  t.teardown(() => {
    unregisterNetdev(dev);
    clock.runFor(10_000);
    dev.close();
    assert.ok(emac.closed);
    assert.deepEqual(poolUsage(initNet), before);
  });
  let seq = 0;
  const ping = (count = 1): void => {
    for (let i = 0; i < count; i++) {
      const echo = icmpMessage(ICMP_ECHO, 0, seq++, new Uint8Array(32));
      const packet = ipPacket({ saddr: PEER, daddr: US, protocol: PROTO_ICMP }, echo);
      emac.arrive(ethernetFrame(OUR_MAC, PEER_MAC, ETHER_IP, packet));
    }
  };
  return { clock, dev, emac, ping };
}

test.serial("the board's pins reach the C module, and the chip's address the device", (t) => {
  const { dev, emac } = bench(t);
  t.is(emac.options.phyAddress, 1);
  t.is(emac.options.power, 16);
  t.false("io" in emac.options);
  t.deepEqual([dev.addrHi, dev.addrLo], [OUR_MAC.hi, OUR_MAC.lo]);
});

test.serial("a ping is answered, and only the first frame of a train wakes the machine", (t) => {
  const { clock, emac, dev, ping } = bench(t);
  ping(3);
  clock.runFor(1);
  t.is(emac.sent.length, 3);
  t.is(parseFrame(emac.sent[0]!).icmp?.type, 0);
  t.is(dev.stats.rxPackets, 3);
  t.is(dev.emacStats.lostWakeups, 0);
});

test.serial("more frames than one poll takes: none is left in the ring", (t) => {
  const { clock, emac, ping } = bench(t, { preset: "host" });
  ping(16);
  clock.runFor(0);
  ping(16);
  clock.runFor(1);
  t.is(emac.sent.length, 32);
});

test.serial("a lost message costs at most a second", (t) => {
  const { clock, emac, dev, ping } = bench(t);
  emac.loseMessage = true;
  ping();
  clock.runFor(1);
  t.is(emac.sent.length, 0);
  clock.runFor(1000);
  t.is(emac.sent.length, 1);
  t.is(dev.emacStats.lostWakeups, 1);
});

test.serial("without packet buffers frames are dropped and counted, and reception goes on", (t) => {
  const { clock, emac, dev, ping } = bench(t, { preset: "small", buffers: 4, skbs: 12 });
  emac.answer = 1;
  ping(10);
  clock.runFor(0);
  t.true(dev.stats.rxDropped > 0);
  emac.answer = 0;
  clock.runFor(10);
  emac.sent.length = 0;
  ping();
  clock.runFor(1);
  t.is(emac.sent.length, 1);
});

test.serial("without a free descriptor the queue stops for a millisecond, and the frame goes then", (t) => {
  const { clock, emac, dev, ping } = bench(t);
  const { txPackets } = dev.stats;
  emac.answer = 1;
  ping();
  clock.runFor(5);
  t.is(emac.sent.length, 0);
  t.true(dev.emacStats.txBusy >= 5, `${dev.emacStats.txBusy} tries in 5 ms`);
  emac.answer = 0;
  clock.runFor(1);
  t.is(emac.sent.length, 1);
  t.is(dev.stats.txPackets, txPackets + 1);
});

test.serial("a frame that the driver refuses is dropped and counted", (t) => {
  const { clock, emac, dev, ping } = bench(t);
  const { txDropped } = dev.stats;
  emac.answer = 2;
  ping();
  clock.runFor(1);
  t.is(dev.emacStats.txNoLink, 1);
  t.is(dev.stats.txDropped, txDropped + 1);
});

test.serial("the link's coming and going is the carrier's", (t) => {
  const { clock, emac, dev } = bench(t);
  emac.setLink(false);
  clock.runFor(1);
  t.false(dev.carrier);
  emac.setLink(true);
  clock.runFor(1);
  t.true(dev.carrier);
});

test.serial("what waited while the device was down is not delivered when it comes up", (t) => {
  const { clock, emac, dev, ping } = bench(t);
  devClose(dev);
  ping(3);
  clock.runFor(5);
  const received = dev.stats.rxPackets;
  devOpen(dev);
  clock.runFor(5);
  t.is(dev.stats.rxPackets, received);
  emac.sent.length = 0;
  // The neighbour was forgotten with the link: any frame that arrives shows that the ring wakes the machine again.
  ping();
  clock.runFor(1);
  t.is(dev.stats.rxPackets, received + 1);
});

test.serial("frames that a full ring refused are the device's fifo errors", (t) => {
  const { clock, dev, ping } = bench(t);
  ping(20);
  clock.runFor(1001);
  t.is(dev.stats.rxFifoErrors, 4);
  t.is(dev.emacStats.ringFull, 4);
});

test.serial("promiscuity and a new address reach the chip", (t) => {
  const { emac, dev } = bench(t);
  devSetPromiscuity(dev, 1);
  t.true(emac.promiscuous);
  devSetPromiscuity(dev, -1);
  t.false(emac.promiscuous);
  t.is(devSetMacAddress(dev, 0x0213, 0x14151617), 0);
  t.deepEqual([...emac.address], [0x02, 0x13, 0x14, 0x15, 0x16, 0x17]);
});
