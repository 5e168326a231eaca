import test from "ava";
import { devOpen, netifCarrierOff, unregisterNetdev } from "../../../src/netif/dev.ts";
import {
  neighCreate, neighFlushDev, neighLookup, neighOutput, neighParmsSet, neighReachableTime, neighUpdate, NEIGH_UPDATE_F_OVERRIDE,
} from "../../../src/stack/core/neighbour.ts";
import {
  ARP_ACCEPT, ARP_ANNOUNCE, ARP_EVICT_NOCARRIER, ARP_FILTER, ARP_IGNORE, ARP_NOTIFY, arpConf, arpConfSet, arpConfSetAll,
  arpConfSetDefault, DROP_GRATUITOUS_ARP,
} from "../../../src/stack/ipv4/arp-conf.ts";
import { arpTbl } from "../../../src/stack/ipv4/arp.ts";
import { inDevGet, inetAddAddress } from "../../../src/stack/ipv4/devinet.ts";
import { EINVAL } from "../../../src/uapi/errno.ts";
import { ETH_P_IP } from "../../../src/uapi/if-ether.ts";
import { NUD_PROBE, NUD_REACHABLE, NUD_STALE, RT_SCOPE_LINK } from "../../../src/uapi/rtnetlink.ts";
import { LINUX_MIB_ARPFILTER } from "../../../src/uapi/snmp.ts";
import { fakeDevice, type FakeDevice, MAC2, packet, register, runTo, settle } from "../netif/harness.ts";
import { PEER, receiveOn, reply, request, sentArp, US, words } from "./arp-harness.ts";
import { bootIpv4, initNet, ip, shutdownIpv4 } from "./harness.ts";

let near: FakeDevice;
let far: FakeDevice;

test.beforeEach(() => {
  bootIpv4();
  arpConfSetDefault(initNet, ARP_NOTIFY, 0);
  [near, far] = [register(fakeDevice()), register(fakeDevice())];
  for (const dev of [near, far]) devOpen(dev);
  inetAddAddress(initNet, near, US, 24);
  inetAddAddress(initNet, far, ip("10.1.0.1"), 24);
});

test.afterEach((t) => {
  unregisterNetdev(near);
  unregisterNetdev(far);
  t.is(shutdownIpv4(), 0);
});

/** Does the device answer? */
function answers(dev: FakeDevice, tip: string, sip: string): boolean {
  dev.sent = [];
  receiveOn(dev, request(ip(tip), ip(sip)));
  return dev.sent.length === 1;
}

/** Which of several questions are answered with each value of ARP_IGNORE. */
const IGNORE_CASES: readonly (readonly [string, string, readonly number[]])[] = [
  ["10.0.0.1", "10.0.0.2", [0, 1, 2, 3, 4, 7]],
  ["10.0.0.1", "10.1.0.2", [0, 1, 3, 4, 7]],
  ["10.0.0.1", "0.0.0.0", [0, 1, 2, 3, 4, 7]],
  ["10.1.0.1", "10.0.0.2", [0, 3, 4, 7]],
  ["10.1.0.1", "0.0.0.0", [0, 3, 4, 7]],
];

test.serial("arp_ignore: which of its addresses a host answers for, and probes are asked by the same rule", (t) => {
  for (const value of [0, 1, 2, 3, 4, 7, 8]) {
    t.is(arpConfSet(near, ARP_IGNORE, value), 0);
    for (const [tip, sip, when] of IGNORE_CASES) t.is(answers(near, tip, sip), when.includes(value), `${tip} to ${sip}: ${value}`);
  }
  arpConfSet(near, ARP_IGNORE, 0);
  arpConfSetAll(initNet, ARP_IGNORE, 8);
  t.false(answers(near, "10.0.0.1", "10.0.0.2"), "conf.all counts too");
});

test.serial("a setting follows the larger of conf.all and the device's, one of them both", (t) => {
  const inDev = inDevGet(near)!;
  arpConfSetAll(initNet, ARP_IGNORE, 2);
  for (const [own, value] of [[0, 2], [1, 2], [3, 3]] as const) {
    arpConfSet(near, ARP_IGNORE, own);
    t.is(arpConf(inDev, ARP_IGNORE), value);
  }
  t.is(arpConf(inDev, ARP_EVICT_NOCARRIER), 1);
  arpConfSetAll(initNet, ARP_EVICT_NOCARRIER, 0);
  t.is(arpConf(inDev, ARP_EVICT_NOCARRIER), 0, "both must allow it");
  for (const [setting, value] of [[ARP_IGNORE, 9], [ARP_IGNORE, -1], [ARP_ANNOUNCE, 3], [ARP_FILTER, 2], [ARP_ACCEPT, 1.5]] as const) {
    t.is(arpConfSet(near, setting, value), -EINVAL);
    t.is(arpConfSetAll(initNet, setting, value), -EINVAL);
    t.is(arpConfSetDefault(initNet, setting, value), -EINVAL);
  }
  t.is(arpConf(inDev, ARP_IGNORE), 3);
});

test.serial("arp_filter: only the device by which the sender is reached answers; counted", (t) => {
  arpConfSet(near, ARP_FILTER, 1);
  t.true(answers(near, "10.0.0.1", "10.0.0.2"));
  t.is(initNet.mib[LINUX_MIB_ARPFILTER], 0);
  t.false(answers(near, "10.0.0.1", "10.1.0.2"));
  t.is(initNet.mib[LINUX_MIB_ARPFILTER], 1);
  t.false(answers(near, "10.0.0.1", "172.16.0.1"), "nor one that is not reached at all");
  t.true(answers(near, "10.0.0.1", "0.0.0.0"), "a probe has no sender");
  t.is(neighLookup(arpTbl, ip("10.1.0.2"), near), null, "and who is not answered is not learned");
});

test.serial("arp_announce: the question names the packet's source, one of the target's subnet, or the primary address", (t) => {
  inetAddAddress(initNet, near, ip("10.0.0.9"), 24);
  const named = (mode: number, saddr: string): number => {
    arpConfSet(near, ARP_ANNOUNCE, mode);
    near.sent = [];
    const bytes = new Uint8Array(20);
    bytes.set(words(ip(saddr)), 12);
    const skb = packet(near, bytes);
    skb.nh = skb.data;
    skb.protocol = ETH_P_IP;
    const neigh = neighCreate(arpTbl, PEER, near)!;
    neighOutput(neigh, skb);
    neighUpdate(neigh, 0x0200, 2, NUD_REACHABLE, NEIGH_UPDATE_F_OVERRIDE);
    neighFlushDev(arpTbl, near, -1);
    return sentArp(near.sent[0]!).arp.sip;
  };
  const SECOND = ip("10.0.0.9");
  const FAR = ip("10.1.0.1");
  t.deepEqual([0, 1, 2].map((mode) => named(mode, "10.0.0.9")), [SECOND, SECOND, US]);
  t.deepEqual([0, 1, 2].map((mode) => named(mode, "10.1.0.1")), [FAR, US, US]);
  t.deepEqual([0, 1, 2].map((mode) => named(mode, "172.16.0.1")), [US, US, US], "never one that is not this host's");
});

test.serial("arp_accept: who nobody asked for is learned from gratuitous ARP and replies, and with 2 only of a subnet", (t) => {
  const learns = (mode: number, sip: string, op: "reply" | "garp" | "request"): boolean => {
    arpConfSet(near, ARP_ACCEPT, mode);
    const addr = ip(sip);
    if (op === "reply") receiveOn(near, reply(addr));
    else receiveOn(near, request(op === "garp" ? addr : ip("10.0.0.200"), addr));
    const learned = neighLookup(arpTbl, addr, near) !== null;
    neighFlushDev(arpTbl, near, -1);
    return learned;
  };
  for (const op of ["reply", "garp"] as const) {
    t.deepEqual([0, 1, 2].map((mode) => learns(mode, "10.0.0.2", op)), [false, true, true], op);
    t.deepEqual([0, 1, 2].map((mode) => learns(mode, "10.1.0.2", op)), [false, true, false], op);
    t.deepEqual([1, 2].map((mode) => learns(mode, "10.0.0.1", op)), [false, false], `${op}: never this host's own`);
  }
  t.deepEqual([0, 1, 2].map((mode) => learns(mode, "10.0.0.2", "request")), [false, false, false]);
});

test.serial("drop_gratuitous_arp: a known neighbour's address stays what it is", (t) => {
  receiveOn(near, request(US));
  const moved = { ...request(PEER), sha: [2, 0, 0, 0, 0, 9] };
  arpConfSet(near, DROP_GRATUITOUS_ARP, 1);
  receiveOn(near, moved);
  t.is(neighLookup(arpTbl, PEER, near)!.haLo, 2);
  arpConfSet(near, DROP_GRATUITOUS_ARP, 0);
  receiveOn(near, moved);
  t.is(neighLookup(arpTbl, PEER, near)!.haLo, 9);
});

test.serial("arp_evict_nocarrier 0: what was learned outlives the carrier", (t) => {
  receiveOn(near, request(US));
  arpConfSet(near, ARP_EVICT_NOCARRIER, 0);
  netifCarrierOff(near);
  settle();
  t.not(neighLookup(arpTbl, PEER, near), null);
  arpConfSet(near, ARP_EVICT_NOCARRIER, 1);
  receiveOn(far, request(ip("10.1.0.1"), ip("10.1.0.2")));
  netifCarrierOff(far);
  settle();
  t.is(neighLookup(arpTbl, ip("10.1.0.2"), far), null);
});

test.serial("times of a single device: set for it, else the table's, and gone with it", (t) => {
  t.is(neighParmsSet(arpTbl, far, { retransTimeMs: 200, ucastProbes: 1, delayProbeTimeMs: 100 }), 0);
  for (const settings of [{ retransTimeMs: -1 }, { retransTimeMs: 0.5 }, { gcThresh1: 4 }, { nothing: 1 }]) {
    t.is(neighParmsSet(arpTbl, far, settings), -EINVAL, JSON.stringify(settings));
  }
  const stale = (dev: FakeDevice, sip: string): void => {
    receiveOn(dev, request(inDevGet(dev)!.ifaList!.local, ip(sip)));
    const skb = packet(dev, new Uint8Array(20));
    skb.protocol = ETH_P_IP;
    neighOutput(neighLookup(arpTbl, ip(sip), dev)!, skb);
    dev.sent = [];
  };
  stale(near, "10.0.0.2");
  stale(far, "10.1.0.2");
  runTo(99);
  t.is(far.sent.length, 0);
  runTo(100);
  t.deepEqual(far.sent.map((bytes) => [...bytes.slice(0, 6)]), [[...MAC2]]);
  t.is(neighLookup(arpTbl, ip("10.1.0.2"), far)!.nudState, NUD_PROBE);
  runTo(299);
  t.not(neighLookup(arpTbl, ip("10.1.0.2"), far), null);
  t.is(near.sent.length, 0);
  neighParmsSet(arpTbl, null, { baseReachableTimeMs: 1000 });
  receiveOn(far, { ...reply(ip("10.1.0.2")), tip: ip("10.1.0.1") });
  const entry = neighLookup(arpTbl, ip("10.1.0.2"), far)!;
  t.is(entry.nudState, NUD_REACHABLE);
  const until = 299 + neighReachableTime(entry);
  t.true(until >= 799 && until < 1799);
  runTo(until - 1);
  t.is(entry.nudState, NUD_REACHABLE);
  runTo(until);
  t.is(entry.nudState, NUD_STALE);
  unregisterNetdev(far);
  t.is(arpTbl.parms.next, null);
  far = register(fakeDevice());
});

test.serial("a link address on a device answers by its scope: arp_ignore 3", (t) => {
  inetAddAddress(initNet, far, ip("10.3.0.1"), 24, { scope: RT_SCOPE_LINK });
  arpConfSet(near, ARP_IGNORE, 3);
  t.true(answers(near, "10.3.0.1", "10.0.0.2"));
});
