/** Bridges: what is forwarded where, what this host gets of it, learning and forgetting, ports that come and go, a flood of addresses. */
import test from "ava";
import { mem8 } from "../../../src/lib/memory.ts";
import { poolForEach, type PoolStats } from "../../../src/lib/pool.ts";
import { brFdbFind, brFdbPort } from "../../../src/netif/bridge/br-fdb.ts";
import { type Bridge } from "../../../src/netif/bridge/br-forward.ts";
import {
  bridgeAddPort, bridgeCreate, bridgeDelPort, bridgeInit, bridgePortOf, bridgeSetAgeing,
} from "../../../src/netif/bridge/br-if.ts";
import {
  devChangeFlags, devClose, devGetFlags, devOpen, devSetMacAddress, devSetMtu, netifCarrierOff, netifCarrierOn, unregisterNetdev,
} from "../../../src/netif/dev.ts";
import { ethReceive } from "../../../src/netif/ethernet.ts";
import { loopbackInit } from "../../../src/netif/loopback.ts";
import { devAddPack, PacketType } from "../../../src/netif/receive.ts";
import { vlanCreate, vlanInit } from "../../../src/netif/vlan-dev.ts";
import { devQueueXmit } from "../../../src/netif/xmit.ts";
import type { NetDevice } from "../../../src/stack/core/net-device.ts";
import { consumeSkb, PACKET_BROADCAST, PACKET_HOST } from "../../../src/stack/core/skbuff.ts";
import {
  SKB_DROP_REASON_BRIDGE_INGRESS_STP_STATE, SKB_DROP_REASON_BRIDGE_NO_EGRESS_PORT, SKB_DROP_REASON_MAC_IEEE_MAC_CONTROL,
  SKB_DROP_REASON_MAC_INVALID_SOURCE,
} from "../../../src/uapi/drop-reason.ts";
import { EBUSY, EINVAL, ELOOP, ENOMEM } from "../../../src/uapi/errno.ts";
import { IFF_PROMISC, IFF_RUNNING, IFF_UP } from "../../../src/uapi/if.ts";
import { ETH_P_8021Q, ETH_P_IP } from "../../../src/uapi/if-ether.ts";
import {
  bootNetif, BROADCAST, drops, fakeDevice, type FakeDevice, frame, initNet, packet, poolsInUse, register, runTo, settle,
} from "./harness.ts";

const A = [2, 0, 0, 0, 0xa, 1];
const B = [2, 0, 0, 0, 0xb, 1];
const C = [2, 0, 0, 0, 0xc, 1];
const GROUP = [1, 0, 0x5e, 0, 0, 9];
const AGEING_MS = 300_000;

let ports: FakeDevice[] = [];
let br: NetDevice;
let seen: { dev: NetDevice; bytes: number[]; pktType: number }[] = [];

function boot(entries = 16): void {
  bootNetif(32, 8);
  loopbackInit();
  vlanInit();
  bridgeInit(entries);
  seen = [];
  devAddPack(new PacketType(ETH_P_IP, (skb, dev) => {
    seen.push({ dev, bytes: [...mem8.slice(skb.data, skb.tail)], pktType: skb.pktType });
    consumeSkb(skb);
    return 0;
  }));
  ports = [0, 1, 2].map((i) => {
    const dev = register(fakeDevice("eth%d", { ndoSetMacAddress: () => 0 }));
    dev.addrLo = 0x100 + i;
    devOpen(dev);
    return dev;
  });
  br = bridgeCreate(initNet, "br0");
  for (const dev of ports) if (bridgeAddPort(br, dev) !== 0) throw new Error("no port");
  devOpen(br);
  settle();
}

test.beforeEach(() => boot());
test.afterEach((t) => {
  unregisterNetdev(br);
  for (const dev of ports) unregisterNetdev(dev);
  t.is(poolsInUse(), 0);
});

function receive(port: number, bytes: Uint8Array): void {
  const dev = ports[port]!;
  ethReceive(packet(dev, bytes, 2), dev);
}

/** What each port has sent since the last call: the first byte behind each header. */
function sent(): number[][] {
  return ports.map((dev) => dev.sent.splice(0).map((bytes) => bytes[14]!));
}

/** What this host has been given since then. */
function local(): number[] {
  return seen.splice(0).map(({ bytes }) => bytes[0]!);
}

function fdbPool(): PoolStats {
  let found: PoolStats | undefined;
  poolForEach((pool) => (found = pool.name === "bridge_fdb" ? pool : found));
  return found!;
}

/** By which port a station was heard, null for unknown; ports are counted from 0. */
function portOfStation(mac: readonly number[]): number | null {
  const row = brFdbFind((br.priv as Bridge).index, (mac[0]! << 8) | mac[1]!, (mac[2]! << 24) | (mac[3]! << 16) | (mac[4]! << 8) | mac[5]!);
  return row < 0 ? null : brFdbPort(row) - 1;
}

test.serial("an unknown receiver is looked for everywhere, a known one is not; broadcast and groups go to all and to this host", (t) => {
  receive(0, frame(B, A, ETH_P_IP, [1]));
  t.deepEqual([sent(), local()], [[[], [1], [1]], []]);
  receive(1, frame(A, B, ETH_P_IP, [2]));
  t.deepEqual([sent(), local()], [[[2], [], []], []]);
  receive(0, frame(B, A, ETH_P_IP, [3]));
  t.deepEqual([sent(), local()], [[[], [3], []], []]);
  receive(2, frame(BROADCAST, C, ETH_P_IP, [4]));
  t.is(seen[0]?.pktType, PACKET_BROADCAST);
  t.deepEqual([sent(), local()], [[[4], [4], []], [4]]);
  receive(2, frame(GROUP, C, ETH_P_IP, [5]));
  t.deepEqual([sent(), local()], [[[5], [5], []], [5]]);
  t.is(br.stats.multicast, 1);
  t.deepEqual(drops, []);
});

test.serial("frames are forwarded byte for byte", (t) => {
  const bytes = frame(BROADCAST, A, 0x88b5, Array.from({ length: 1500 }, (_, i) => i & 255));
  receive(0, bytes);
  t.deepEqual([ports[1]!.sent[0], ports[2]!.sent[0]], [bytes, bytes]);
  const tagged = frame(BROADCAST, A, ETH_P_8021Q, [0xe0, 0, 8, 0, 1, 2]);
  receive(0, tagged);
  t.deepEqual([ports[1]!.sent[1], ports[2]!.sent[1]], [tagged, tagged], "a tag too, one with a priority only included");
  t.deepEqual(local(), [1], "this host sees what is behind that");
  sent();
});

test.serial("a receiver behind the same port gets nothing from the bridge; a station that moves is found at once", (t) => {
  receive(0, frame(BROADCAST, A, ETH_P_IP, [1]));
  receive(0, frame(BROADCAST, B, ETH_P_IP, [2]));
  sent();
  receive(0, frame(A, B, ETH_P_IP, [3]));
  t.deepEqual(sent(), [[], [], []]);
  t.deepEqual(drops, [SKB_DROP_REASON_BRIDGE_NO_EGRESS_PORT]);
  receive(2, frame(BROADCAST, A, ETH_P_IP, [4]));
  sent();
  receive(0, frame(A, B, ETH_P_IP, [5]));
  t.deepEqual(sent(), [[], [], [5]]);
  local();
});

test.serial("what is for this host: the bridge's address, which is the lowest of the ports; others of them on their own port only", (t) => {
  t.deepEqual([br.addrHi, br.addrLo], [0x0200, 0x100]);
  receive(2, frame([2, 0, 0, 0, 1, 0], C, ETH_P_IP, [1]));
  t.deepEqual([sent(), seen[0]?.dev, seen[0]?.pktType, local()], [[[], [], []], br, PACKET_HOST, [1]]);
  receive(1, frame([2, 0, 0, 0, 1, 1], C, ETH_P_IP, [2]));
  t.deepEqual([sent(), local()], [[[], [], []], [2]]);
  t.deepEqual([br.stats.rxPackets, br.stats.rxBytes], [2, 2]);
  // Nobody out there is believed to have an address of ours.
  receive(2, frame(BROADCAST, [2, 0, 0, 0, 1, 0], ETH_P_IP, [3]));
  sent();
  local();
  receive(1, frame([2, 0, 0, 0, 1, 0], C, ETH_P_IP, [4]));
  t.deepEqual([sent(), local()], [[[], [], []], [4]]);
});

test.serial("this host sends by the bridge as a station would", (t) => {
  devQueueXmit(packet(br, frame(BROADCAST, [2, 0, 0, 0, 1, 0], ETH_P_IP, [1])));
  t.deepEqual(sent(), [[1], [1], [1]]);
  receive(1, frame([2, 0, 0, 0, 1, 0], B, ETH_P_IP, [2]));
  devQueueXmit(packet(br, frame(B, [2, 0, 0, 0, 1, 0], ETH_P_IP, [3])));
  devQueueXmit(packet(br, frame(C, [2, 0, 0, 0, 1, 0], ETH_P_IP, [4])));
  t.deepEqual(sent(), [[4], [3, 4], [4]]);
  t.deepEqual([br.stats.txPackets, br.stats.txBytes], [3, 45]);
  devQueueXmit(packet(br, frame([2, 0, 0, 0, 1, 2], [2, 0, 0, 0, 1, 0], ETH_P_IP, [5])));
  t.deepEqual([sent(), drops], [[[], [], []], [SKB_DROP_REASON_BRIDGE_NO_EGRESS_PORT]]);
  local();
});

test.serial("a promiscuous bridge shows this host everything", (t) => {
  const handler = new PacketType(0x88b5, (skb) => {
    seen.push({ dev: br, bytes: [mem8[skb.data]!], pktType: skb.pktType });
    consumeSkb(skb);
    return 0;
  });
  devAddPack(handler);
  devChangeFlags(br, IFF_UP | IFF_PROMISC);
  receive(0, frame([2, 0, 0, 0, 1, 0], A, 0x88b5, [1]));
  receive(1, frame(A, B, 0x88b5, [2]));
  t.deepEqual(sent(), [[2], [], []]);
  // What is for A is another host's to the protocols; taps have seen it.
  t.deepEqual([br.stats.rxPackets, local()], [2, [1]]);
});

test.serial("frames of the link are not forwarded: pause frames for nobody, others for this host; the spanning tree's are", (t) => {
  const names: string[] = [];
  for (let last = 0; last < 16; last++) {
    receive(0, frame([1, 0x80, 0xc2, 0, 0, last], A, ETH_P_IP, [last]));
    const by = sent();
    names.push(`${last}:${by[1]!.length}${by[2]!.length}${seen.map(({ dev }) => dev.name).join()}`);
    seen = [];
  }
  const others = Array.from({ length: 14 }, (_, i) => `${i + 2}:00eth0`);
  t.deepEqual(names, ["0:11br0", "1:00", ...others]);
  t.deepEqual(drops, [SKB_DROP_REASON_MAC_IEEE_MAC_CONTROL]);
  t.is(portOfStation(A), 0);
});

test.serial("a sender that can be none is neither believed nor forwarded", (t) => {
  receive(0, frame(BROADCAST, GROUP, ETH_P_IP, [1]));
  receive(0, frame(BROADCAST, [0, 0, 0, 0, 0, 0], ETH_P_IP, [2]));
  t.deepEqual([sent(), local()], [[[], [], []], []]);
  t.deepEqual(drops, [SKB_DROP_REASON_MAC_INVALID_SOURCE, SKB_DROP_REASON_MAC_INVALID_SOURCE]);
});

test.serial("who is silent for the ageing time is forgotten, who speaks is not; nothing wakes an empty bridge", (t) => {
  receive(0, frame(BROADCAST, A, ETH_P_IP, [1]));
  receive(1, frame(BROADCAST, B, ETH_P_IP, [2]));
  bridgeSetAgeing(br.priv as Bridge, 1000);
  runTo(600);
  receive(1, frame(BROADCAST, B, ETH_P_IP, [3]));
  runTo(999);
  t.deepEqual([portOfStation(A), portOfStation(B)], [0, 1]);
  runTo(1000);
  t.deepEqual([portOfStation(A), portOfStation(B)], [null, 1]);
  runTo(1600);
  t.is(portOfStation(B), null);
  t.is(fdbPool().inUse, 3);
  bridgeSetAgeing(br.priv as Bridge, 0);
  receive(1, frame(BROADCAST, B, ETH_P_IP, [4]));
  t.is(portOfStation(B), null, "a bridge that forgets at once is a hub");
  bridgeSetAgeing(br.priv as Bridge, AGEING_MS);
  sent();
  local();
});

test.serial("a port without carrier, or down, takes no part and its stations are forgotten; the bridge has carrier while one has", (t) => {
  receive(0, frame(BROADCAST, A, ETH_P_IP, [1]));
  sent();
  local();
  netifCarrierOff(ports[0]!);
  settle();
  t.is(portOfStation(A), null);
  receive(1, frame(A, B, ETH_P_IP, [2]));
  t.deepEqual(sent(), [[], [], [2]]);
  receive(0, frame(BROADCAST, A, ETH_P_IP, [3]));
  t.deepEqual([sent(), local(), drops], [[[], [], []], [], [SKB_DROP_REASON_BRIDGE_INGRESS_STP_STATE]]);
  devClose(ports[1]!);
  t.true((devGetFlags(br) & IFF_RUNNING) !== 0);
  devClose(ports[2]!);
  settle();
  t.is(devGetFlags(br) & IFF_RUNNING, 0);
  netifCarrierOn(ports[0]!);
  settle();
  t.true((devGetFlags(br) & IFF_RUNNING) !== 0);
  devClose(br);
  receive(0, frame(BROADCAST, A, ETH_P_IP, [4]));
  t.deepEqual(local(), []);
});

test.serial("a port that leaves is a device of its own again", (t) => {
  t.deepEqual([ports[0]!.promiscuity, ports[0]!.allmulti], [1, 1]);
  receive(0, frame(BROADCAST, A, ETH_P_IP, [1]));
  t.is(bridgeDelPort(br, ports[0]!), 0);
  t.is(bridgeDelPort(br, ports[0]!), -EINVAL);
  t.deepEqual([ports[0]!.promiscuity, ports[0]!.allmulti, bridgePortOf(ports[0]!)], [0, 0, null]);
  t.is(portOfStation(A), null);
  t.is(br.addrLo, 0x101);
  sent();
  seen = [];
  receive(0, frame(BROADCAST, A, ETH_P_IP, [2]));
  t.deepEqual([sent(), seen.map(({ dev }) => dev.name)], [[[], [], []], ["eth0"]]);
  t.is(bridgeAddPort(br, ports[0]!), 0);
  unregisterNetdev(ports[0]!);
  receive(1, frame(BROADCAST, B, ETH_P_IP, [3]));
  t.deepEqual(sent(), [[], [], [3]]);
  t.is(fdbPool().inUse, 3);
});

test.serial("a bridge that goes sets its ports free", (t) => {
  unregisterNetdev(br);
  t.deepEqual(ports.map((dev) => [dev.promiscuity, bridgePortOf(dev)]), [[0, null], [0, null], [0, null]]);
  t.is(fdbPool().inUse, 0);
  const again = bridgeCreate(initNet, "br1");
  t.is(bridgeAddPort(again, ports[0]!), 0);
  unregisterNetdev(again);
});

test.serial("what cannot be a port is refused", (t) => {
  const other = bridgeCreate(initNet, "br1");
  t.is(bridgeAddPort(br, initNet.loopbackDev!), -EINVAL);
  t.is(bridgeAddPort(br, other), -ELOOP);
  t.is(bridgeAddPort(other, ports[0]!), -EBUSY);
  t.is(bridgeAddPort(br, vlanCreate(br, 5)), -EBUSY);
  unregisterNetdev(other);
});

test.serial("the address is the lowest of the ports until it is chosen, the MTU the smallest", (t) => {
  devSetMacAddress(ports[1]!, 0x0200, 0x50);
  t.is(br.addrLo, 0x50);
  devSetMtu(ports[2]!, 1400);
  t.is(br.mtu, 1400);
  devSetMacAddress(br, 0x0200, 0x77);
  devSetMtu(br, 1000);
  devSetMacAddress(ports[1]!, 0x0200, 0x40);
  devSetMtu(ports[2]!, 1500);
  t.deepEqual([br.addrLo, br.mtu], [0x77, 1000]);
  receive(0, frame([2, 0, 0, 0, 0, 0x77], A, ETH_P_IP, [1]));
  t.deepEqual([sent(), local()], [[[], [], []], [1]]);
});

test.serial("VLANs on a bridge and as its ports: each port has the frame with its own tag", (t) => {
  const above = vlanCreate(br, 9);
  devOpen(above);
  receive(0, frame(BROADCAST, A, ETH_P_8021Q, [0, 9, 8, 0, 1]));
  t.deepEqual(seen.map(({ dev, bytes }) => [dev.name, bytes]), [["br0.9", [1]]]);
  devQueueXmit(packet(above, frame(A, [2, 0, 0, 0, 1, 0], ETH_P_IP, [2])));
  t.deepEqual([...ports[0]!.sent[0]!], [...frame(A, [2, 0, 0, 0, 1, 0], ETH_P_8021Q, [0, 9, 8, 0, 2])]);
  sent();
  seen = [];
  const lower = register(fakeDevice("lower"));
  lower.addrLo = 0x200;
  devOpen(lower);
  const below = vlanCreate(lower, 7);
  devOpen(below);
  t.is(bridgeAddPort(br, below), 0);
  ports[2]!.busy = true;
  receive(0, frame(BROADCAST, A, ETH_P_IP, [3]));
  t.deepEqual([...lower.sent[0]!], [...frame(BROADCAST, A, ETH_P_8021Q, [0, 7, 8, 0, 3])]);
  ports[2]!.busy = false;
  settle();
  t.deepEqual(ports.slice(1).map((dev) => [...dev.sent[0]!]), [1, 2].map(() => [...frame(BROADCAST, A, ETH_P_IP, [3])]), "what waited is whole");
  ethReceive(packet(lower, frame(A, B, ETH_P_8021Q, [0, 7, 8, 0, 4]), 2), lower);
  t.deepEqual([...ports[0]!.sent[0]!], [...frame(A, B, ETH_P_IP, [4])]);
  unregisterNetdev(lower);
});

test.serial("10,000 senders: the database is full, the two that talk are not lost, and in the end all are forgotten", (t) => {
  unregisterNetdev(br);
  for (const dev of ports) unregisterNetdev(dev);
  boot(64);
  let seed = 1;
  const next = (): number => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 1);
  receive(0, frame(BROADCAST, A, ETH_P_IP, [0]));
  receive(1, frame(A, B, ETH_P_IP, [0]));
  sent();
  for (let i = 0; i < 10_000; i++) {
    const r = next();
    receive(2, frame(i % 2 === 0 ? BROADCAST : [6, i >> 8, i & 255, 1, 1, 1], [2, 9, r >>> 24, (r >> 16) & 255, i >> 8, i & 255], ETH_P_IP, [9]));
    for (const dev of ports) dev.sent.length = 0;
    if (i % 50 !== 0) continue;
    seen = [];
    receive(0, frame(B, A, ETH_P_IP, [1]));
    receive(1, frame(A, B, ETH_P_IP, [2]));
    t.deepEqual(sent(), [[2], [1], []], `after ${i} addresses`);
    runTo(i);
  }
  seen = [];
  const pool = fdbPool();
  t.deepEqual([pool.inUse, pool.failures > 9000], [64, true]);
  runTo(10_000 + AGEING_MS);
  t.is(fdbPool().inUse, 3, "the ports' own addresses");
});

test.serial("a port finds room for its address in a full database, unless all of it is for good", (t) => {
  unregisterNetdev(br);
  for (const dev of ports) unregisterNetdev(dev);
  boot(4);
  receive(0, frame(BROADCAST, A, ETH_P_IP, [0]));
  t.is(fdbPool().inUse, 4);
  const more = [0x300, 0x301].map((lo) => {
    const dev = register(fakeDevice());
    dev.addrLo = lo;
    return dev;
  });
  t.is(bridgeAddPort(br, more[0]!), 0);
  t.is(portOfStation(A), null);
  t.is(bridgeAddPort(br, more[1]!), -ENOMEM);
  t.deepEqual([bridgePortOf(more[1]!), more[1]!.promiscuity], [null, 0]);
  for (const dev of more) unregisterNetdev(dev);
  sent();
  local();
});
