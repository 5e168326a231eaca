import test from "ava";
import fc from "fast-check";
import { dstRelease } from "../../../src/stack/core/dst.ts";
import { consumeSkb, type SkBuff } from "../../../src/stack/core/skbuff.ts";
import {
  IN_DEV_ACCEPT_REDIRECTS, IN_DEV_FORWARDING, IN_DEV_SECURE_REDIRECTS, IN_DEV_SHARED_MEDIA, inDevGet, inetAddAddress, inetDelAddress,
} from "../../../src/stack/ipv4/devinet.ts";
import { fibTableInsert, ipRouteAdd, ipRouteDel } from "../../../src/stack/ipv4/fib-frontend.ts";
import { FibConfig, fibConfigAddNexthop } from "../../../src/stack/ipv4/fib-config.ts";
import { Flowi4, flowi4Init } from "../../../src/stack/ipv4/flow.ts";
import { ipRouteInput, ipRouteInputReason, ipRouteOutputKey } from "../../../src/stack/ipv4/route.ts";
import { ipDoRedirect } from "../../../src/stack/ipv4/route-learn.ts";
import { dstMtu, RTCF_BROADCAST, RTCF_LOCAL, RTCF_MULTICAST, type Rtable } from "../../../src/stack/ipv4/rtable.ts";
import {
  SKB_DROP_REASON_IP_INVALID_DEST, SKB_DROP_REASON_IP_INVALID_SOURCE, SKB_DROP_REASON_IP_LOCAL_SOURCE,
  SKB_DROP_REASON_IP_LOCALNET, SKB_DROP_REASON_IP_RPFILTER, SKB_DROP_REASON_NOMEM,
} from "../../../src/uapi/drop-reason.ts";
import { EACCES, EHOSTUNREACH, EINVAL, ENETUNREACH, ENOBUFS, ENODEV } from "../../../src/uapi/errno.ts";
import { NLM_F_CREATE } from "../../../src/uapi/netlink.ts";
import { RTN_BLACKHOLE, RTN_PROHIBIT, RTN_UNREACHABLE } from "../../../src/uapi/rtnetlink.ts";
import { LINUX_MIB_IPRPFILTER } from "../../../src/uapi/snmp.ts";
import { devClose, devOpen, devSetMtu } from "../../../src/netif/dev.ts";
import { jiffies, tick } from "../../../src/lib/timer.ts";
import { poolForEach } from "../../../src/lib/pool.ts";
import {
  addDevice, addLoopback, bootIpv4, initNet, ip, ipPacket, received, shutdownIpv4, type TestDevice,
} from "./harness.ts";

let eth: TestDevice;

function setUp(): void {
  bootIpv4({ rtables: 8 });
  addLoopback();
  eth = addDevice("eth0");
  inetAddAddress(initNet, eth, ip("10.0.0.1"), 24);
  ipRouteAdd(initNet, 0, 0, ip("10.0.0.254"), 0);
}

function poolInUse(name: string): number {
  let inUse = -1;
  poolForEach((pool) => {
    if (pool.name === name) inUse = pool.inUse;
  });
  return inUse;
}

interface Answer {
  readonly error: number;
  readonly rt: Rtable | null;
  readonly fl: Flowi4;
}

/** Asks for a route and gives the reference back. */
function output(daddr: string, saddr = "0.0.0.0", oif = 0): Answer {
  const fl = new Flowi4();
  flowi4Init(fl, ip(daddr), ip(saddr), oif, 0, 17);
  const rt = ipRouteOutputKey(initNet, fl);
  if (rt !== null) dstRelease(rt);
  return { error: fl.error, rt, fl };
}

/** Routes a packet in; its drop reason, or 0 and the flags of its route. */
function input(saddr: string, daddr: string): { err: number; reason: number; flags: number; error: number } {
  const skb = received(eth, ipPacket({ saddr: ip(saddr), daddr: ip(daddr), protocol: 17 }));
  const err = ipRouteInput(skb, ip(daddr), ip(saddr), 0, eth);
  const rt = skb.dst as Rtable | null;
  const answer = {
    err, reason: err === 0 ? 0 : ipRouteInputReason(), flags: rt === null ? 0 : rt.flags, error: rt === null ? 0 : rt.error,
  };
  consumeSkb(skb);
  return answer;
}

test.beforeEach(setUp);
test.afterEach((t) => t.is(shutdownIpv4(), 0, "pools full again"));

test.serial("output: link, gateway, self, source selection", (t) => {
  const link = output("10.0.0.9");
  t.is(link.rt!.dev, eth);
  t.is(link.rt!.gateway, 0);
  t.is(link.fl.saddr, ip("10.0.0.1"));
  t.is(link.fl.oif, eth.ifindex);
  t.is(output("8.8.8.8").rt!.gateway, ip("10.0.0.254"));
  const self = output("10.0.0.1");
  t.is(self.rt!.dev, initNet.loopbackDev);
  t.is(self.fl.saddr, ip("10.0.0.1"));
  t.is(output("127.5.5.5").fl.saddr, ip("127.0.0.1"));
  const any = output("0.0.0.0");
  t.is(any.fl.daddr, ip("127.0.0.1"));
  t.is(any.rt!.flags & RTCF_LOCAL, RTCF_LOCAL);
});

test.serial("output: errors", (t) => {
  t.is(output("10.0.0.9", "10.0.0.5").error, -ENETUNREACH, "not our address");
  t.is(output("10.0.0.9", "127.0.0.1").error, -EINVAL, "loopback source on the wire");
  t.is(output("10.0.0.9", "224.0.0.1").error, -EINVAL);
  t.is(output("10.0.0.9", "0.0.0.0", 99).error, -ENODEV);
  const down = addDevice("eth1", false);
  t.is(output("10.0.0.9", "0.0.0.0", down.ifindex).error, -ENETUNREACH);
  const types = [[RTN_BLACKHOLE, -EINVAL], [RTN_PROHIBIT, -EACCES], [RTN_UNREACHABLE, -EHOSTUNREACH]] as const;
  for (const [type, error] of types) {
    const cfg = Object.assign(new FibConfig(), { dst: ip(`172.${type}.0.0`), dstLen: 16, type, nlflags: NLM_F_CREATE });
    t.is(fibTableInsert(initNet, cfg), 0);
    t.is(output(`172.${type}.1.1`).error, error);
    t.is(ipRouteDel(initNet, cfg.dst, 16, 0, 0), 0);
  }
  devClose(eth);
  t.is(output("8.8.8.8").error, -ENETUNREACH);
});

test.serial("output: broadcasts, groups, a bound device", (t) => {
  const subnet = output("10.0.0.255");
  t.is(subnet.rt!.flags & RTCF_BROADCAST, RTCF_BROADCAST);
  t.is(output("255.255.255.255", "10.0.0.1").rt!.flags & RTCF_BROADCAST, RTCF_BROADCAST);
  const bound = output("255.255.255.255", "0.0.0.0", eth.ifindex);
  t.is(bound.rt!.gateway, 0);
  t.is(bound.fl.saddr, ip("10.0.0.1"));
  const group = output("224.0.0.251", "0.0.0.0", eth.ifindex);
  t.is(group.rt!.flags & RTCF_MULTICAST, RTCF_MULTICAST);
  t.is(output("239.1.1.1").rt!.gateway, 0, "a group is never sent to the default gateway");
  // Bound to a device, a destination without a route is taken to be on its link (as DHCP needs it).
  const bare = addDevice("eth1");
  t.is(output("9.9.9.9", "0.0.0.0", bare.ifindex).rt!.gateway, 0);
});

test.serial("a next hop keeps its entry until a route changes", (t) => {
  const first = output("8.8.8.8").rt;
  const inUse = poolInUse("ip_dst_cache");
  t.is(output("9.9.9.9").rt, first);
  t.is(poolInUse("ip_dst_cache"), inUse);
  t.is(first!.ops.check(first!), first);
  ipRouteAdd(initNet, ip("172.16.0.0"), 12, ip("10.0.0.253"), 0);
  t.is(first!.ops.check(first!), null);
  output("8.8.8.8");
  t.is(poolInUse("ip_dst_cache"), inUse, "the stale one went back");
});

test.serial("no entry left: -ENOBUFS, and well again when one is given back", (t) => {
  const held: Rtable[] = [];
  const fl = new Flowi4();
  for (;;) {
    flowi4Init(fl, -1, 0, eth.ifindex, 0, 17);
    const rt = ipRouteOutputKey(initNet, fl);
    if (rt === null) break;
    held.push(rt);
  }
  t.true(held.length > 0);
  t.is(fl.error, -ENOBUFS);
  t.is(input("10.0.0.9", "10.0.0.1").reason, SKB_DROP_REASON_NOMEM);
  for (const rt of held) dstRelease(rt);
  t.is(input("10.0.0.9", "10.0.0.1").err, 0);
});

/** A packet of this host as a router quotes it. */
function quoted(daddr: string): SkBuff {
  return received(eth, ipPacket({ saddr: ip("10.0.0.1"), daddr: ip(daddr), protocol: 17 }));
}

/** A router says that the path to `daddr` takes no more than `mtu`; what a lookup gives then. */
function learn(daddr: string, mtu: number): Rtable {
  const fl = new Flowi4();
  flowi4Init(fl, ip(daddr), 0, 0, 0, 17);
  const rt = ipRouteOutputKey(initNet, fl)!;
  const skb = quoted(daddr);
  rt.ops.updatePmtu(rt, null, skb, mtu);
  consumeSkb(skb);
  dstRelease(rt);
  return output(daddr).rt!;
}

test.serial("path MTU: device, learned for one destination, least, never grown, expired", (t) => {
  const plain = output("8.8.8.8").rt!;
  t.is(dstMtu(plain), 1500);
  t.is(plain.ops.defaultAdvmss(plain), 1460);
  t.is(dstMtu(learn("8.8.8.8", 1400)), 1400);
  t.is(plain.ops.check(plain), null, "what sockets have cached is looked up again");
  t.is(dstMtu(output("8.8.4.4").rt!), 1500, "another destination behind the same gateway");
  t.is(dstMtu(output("8.8.8.8").rt!), 1400);
  t.is(output("8.8.8.8").rt!.gateway, ip("10.0.0.254"));
  t.is(dstMtu(learn("8.8.8.8", 1450)), 1400, "never grows by a message");
  t.is(dstMtu(learn("8.8.8.8", 68)), 552);
  devSetMtu(eth, 500);
  t.is(dstMtu(output("8.8.8.8").rt!), 500);
  devSetMtu(eth, 1500);
  t.is(dstMtu(output("8.8.8.8").rt!), 552);
  tick(jiffies + 600_001);
  t.is(dstMtu(output("8.8.8.8").rt!), 1500);
  t.is(poolInUse("ip_fnhe"), 0);
});

test.serial("exceptions: the pool is full, the oldest makes room; they go with their next hop", (t) => {
  for (let i = 1; i <= 6; i++) {
    learn(`8.8.8.${i}`, 1000 + i);
    tick(jiffies + i);
  }
  t.is(poolInUse("ip_fnhe"), 4);
  for (let i = 1; i <= 6; i++) t.is(dstMtu(output(`8.8.8.${i}`).rt!), i <= 2 ? 1500 : 1000 + i);
  ipRouteDel(initNet, 0, 0, 0, 0);
  t.is(poolInUse("ip_fnhe"), 0);
  t.is(output("8.8.8.6").error, -ENETUNREACH);
});

test.serial("redirect: from the gateway in use to a host on its link, for that destination", (t) => {
  ipDoRedirect(initNet, eth, ip("8.8.8.8"), ip("10.0.0.5"), ip("10.0.0.99"), ip("10.0.0.253"));
  t.is(output("8.8.8.8").rt!.gateway, ip("10.0.0.254"), "not from its gateway");
  for (const bad of ["224.0.0.1", "0.0.0.0", "255.255.255.255", "10.0.0.1", "10.0.0.255", "10.0.0.254"]) {
    ipDoRedirect(initNet, eth, ip("8.8.8.8"), ip("10.0.0.5"), ip("10.0.0.254"), ip(bad));
    t.is(output("8.8.8.8").rt!.gateway, ip("10.0.0.254"), bad);
  }
  ipDoRedirect(initNet, eth, ip("8.8.8.8"), ip("10.0.0.5"), ip("10.0.0.254"), ip("10.0.0.253"));
  t.is(output("8.8.8.8").rt!.gateway, ip("10.0.0.253"));
  t.is(output("8.8.8.9").rt!.gateway, ip("10.0.0.254"));
  t.is(dstMtu(learn("8.8.8.8", 1400)), 1400);
  t.is(output("8.8.8.8").rt!.gateway, ip("10.0.0.253"), "both at once");
  ipDoRedirect(initNet, eth, ip("8.8.8.8"), ip("10.0.0.5"), ip("10.0.0.253"), ip("10.0.0.252"));
  t.is(output("8.8.8.8").rt!.gateway, ip("10.0.0.252"), "and on from there");
});

/** Tells of a better gateway to a destination that nobody has spoken of. @returns is it believed? */
function redirected(gw: string): boolean {
  const daddr = `8.8.4.${++redirects}`;
  ipDoRedirect(initNet, eth, ip(daddr), ip("10.0.0.5"), ip("10.0.0.254"), ip(gw));
  return output(daddr).rt!.gateway === ip(gw);
}
let redirects = 0;

test.serial("redirect: accept_redirects of conf.all or the device on a host, of both on a router", (t) => {
  const inDev = inDevGet(eth)!;
  const conf = initNet.ipv4;
  t.true(redirected("10.0.0.253"));
  conf.confAll &= ~IN_DEV_ACCEPT_REDIRECTS;
  t.true(redirected("10.0.0.253"));
  inDev.switches |= IN_DEV_FORWARDING;
  t.false(redirected("10.0.0.253"), "a router");
  conf.confAll |= IN_DEV_ACCEPT_REDIRECTS;
  t.true(redirected("10.0.0.253"));
  inDev.switches &= ~IN_DEV_ACCEPT_REDIRECTS;
  t.false(redirected("10.0.0.253"));
  inDev.switches &= ~IN_DEV_FORWARDING;
  t.true(redirected("10.0.0.253"));
  conf.confAll &= ~IN_DEV_ACCEPT_REDIRECTS;
  t.false(redirected("10.0.0.253"), "nobody wants any");
});

test.serial("redirect: another subnet only on shared media; else by secure_redirects a gateway of a route", (t) => {
  const inDev = inDevGet(eth)!;
  t.true(redirected("192.168.7.1"), "shared_media is on");
  initNet.ipv4.confAll &= ~(IN_DEV_SHARED_MEDIA | IN_DEV_SECURE_REDIRECTS);
  t.true(redirected("192.168.7.1"), "on for the device");
  inDev.switches &= ~IN_DEV_SHARED_MEDIA;
  t.false(redirected("192.168.7.1"));
  t.false(redirected("10.0.0.253"), "no gateway");
  ipRouteAdd(initNet, ip("172.16.0.0"), 16, ip("10.0.0.253"), 0);
  t.true(redirected("10.0.0.253"));
  inDev.switches &= ~IN_DEV_SECURE_REDIRECTS;
  t.true(redirected("10.0.0.252"));
  t.false(redirected("192.168.7.1"));
});

test.serial("rp_filter: strict wants the way back, loose any way back", (t) => {
  const other = addDevice("eth1");
  inetAddAddress(initNet, other, ip("192.168.1.1"), 24);
  const inDev = inDevGet(other)!;
  const from = (saddr: string): number => {
    const skb = received(other, ipPacket({ saddr: ip(saddr), daddr: ip("192.168.1.1"), protocol: 17 }));
    const err = ipRouteInput(skb, ip("192.168.1.1"), ip(saddr), 0, other);
    consumeSkb(skb);
    return err === 0 ? 0 : ipRouteInputReason();
  };
  t.is(from("10.0.0.9"), 0);
  inDev.rpFilter = 1;
  initNet.rtGenid++;
  t.is(from("192.168.1.7"), 0);
  t.is(from("10.0.0.9"), SKB_DROP_REASON_IP_RPFILTER);
  t.is(from("8.8.8.8"), SKB_DROP_REASON_IP_RPFILTER);
  t.is(from("192.168.1.255"), SKB_DROP_REASON_IP_LOCAL_SOURCE);
  inDev.rpFilter = 2;
  initNet.rtGenid++;
  t.is(from("10.0.0.9"), 0);
  ipRouteDel(initNet, 0, 0, 0, 0);
  t.is(from("8.8.8.8"), SKB_DROP_REASON_IP_RPFILTER);
  t.is(initNet.mib[LINUX_MIB_IPRPFILTER], 3);
});

test.serial("multipath: flows spread by weight, one flow keeps its next hop, a dead one takes none", (t) => {
  const other = addDevice("eth1");
  inetAddAddress(initNet, other, ip("192.168.1.1"), 24);
  const cfg = new FibConfig();
  cfg.dst = ip("172.16.0.0");
  cfg.dstLen = 12;
  cfg.nlflags = NLM_F_CREATE;
  t.is(fibConfigAddNexthop(cfg, 0, ip("10.0.0.253"), 0, 3), 0);
  t.is(fibConfigAddNexthop(cfg, 0, ip("192.168.1.9"), 0, 1), 0);
  t.is(fibTableInsert(initNet, cfg), 0);
  const spread = (): number[] => {
    const counts = [0, 0];
    for (let i = 0; i < 4000; i++) {
      const { rt } = output(`172.16.${i >> 8}.${i & 255}`);
      counts[rt!.gateway === ip("10.0.0.253") ? 0 : 1]!++;
    }
    return counts;
  };
  const [first, second] = spread() as [number, number];
  t.true(first > 2700 && first < 3300, `${first} to ${second}`);
  t.is(output("172.16.1.1").rt!.gateway, output("172.16.1.1").rt!.gateway);
  devClose(other);
  t.deepEqual(spread(), [4000, 0]);
  devOpen(other);
  t.true(spread()[1]! > 700, "alive again");
  devClose(eth);
  devClose(other);
  t.is(output("172.16.1.1").error, -ENETUNREACH);
});

test.serial("input: ours, broadcasts, strangers", (t) => {
  t.is(input("10.0.0.9", "10.0.0.1").flags, RTCF_LOCAL);
  t.is(input("10.0.0.9", "10.0.0.255").flags, RTCF_LOCAL | RTCF_BROADCAST);
  t.is(input("10.0.0.9", "255.255.255.255").flags, RTCF_LOCAL | RTCF_BROADCAST);
  t.is(input("0.0.0.0", "255.255.255.255").flags, RTCF_LOCAL | RTCF_BROADCAST);
  t.is(input("10.0.0.9", "224.0.0.1").flags, RTCF_LOCAL | RTCF_MULTICAST);
  t.is(input("10.0.0.9", "10.0.0.7").error, -EHOSTUNREACH);
  t.is(input("10.0.0.9", "8.8.8.8").error, -EHOSTUNREACH);
});

test.serial("input: martians", (t) => {
  const cases = [
    ["224.0.0.1", "10.0.0.1", SKB_DROP_REASON_IP_INVALID_SOURCE],
    ["255.255.255.255", "10.0.0.1", SKB_DROP_REASON_IP_INVALID_SOURCE],
    ["0.0.0.0", "10.0.0.1", SKB_DROP_REASON_IP_INVALID_SOURCE],
    ["0.0.0.0", "239.0.0.1", SKB_DROP_REASON_IP_INVALID_SOURCE],
    ["10.0.0.9", "0.0.0.0", SKB_DROP_REASON_IP_INVALID_DEST],
    ["10.0.0.9", "239.0.0.1", SKB_DROP_REASON_IP_INVALID_DEST],
    ["10.0.0.9", "127.0.0.1", SKB_DROP_REASON_IP_LOCALNET],
    ["127.0.0.1", "10.0.0.1", SKB_DROP_REASON_IP_LOCALNET],
    ["127.0.0.1", "224.0.0.1", SKB_DROP_REASON_IP_LOCALNET],
    ["10.0.0.1", "10.0.0.1", SKB_DROP_REASON_IP_LOCAL_SOURCE],
    ["10.0.0.1", "10.0.0.255", SKB_DROP_REASON_IP_LOCAL_SOURCE],
    ["10.0.0.1", "224.0.0.1", SKB_DROP_REASON_IP_LOCAL_SOURCE],
  ] as const;
  for (const [saddr, daddr, reason] of cases) {
    const answer = input(saddr, daddr);
    t.deepEqual([answer.err, answer.reason], [-EINVAL, reason], `${saddr} to ${daddr}`);
  }
});

test.serial("any pair of addresses gets an answer, and no entry is lost", (t) => {
  const before = poolInUse("ip_dst_cache");
  const addr = fc.oneof(fc.integer(), fc.constantFrom(0, -1, ip("10.0.0.1"), ip("10.0.0.255"), ip("127.0.0.1")));
  fc.assert(fc.property(addr, addr, (saddr, daddr) => {
    const skb = received(eth, ipPacket({ saddr, daddr, protocol: 17 }));
    t.true(ipRouteInput(skb, daddr, saddr, 0, eth) <= 0);
    consumeSkb(skb);
    const fl = new Flowi4();
    flowi4Init(fl, daddr, 0, 0, 0, 17);
    const rt = ipRouteOutputKey(initNet, fl);
    if (rt === null) t.true(fl.error < 0);
    else dstRelease(rt);
  }), { numRuns: 500 });
  // Kept: one for input and one for output of each next hop that was used.
  t.true(poolInUse("ip_dst_cache") - before <= 7);
});

test.serial("the decision kept for a train of packets ends with the route, the address, and any change of the question", (t) => {
  for (let round = 0; round < 2; round++) {
    t.is(output("192.0.2.1").rt!.gateway, ip("10.0.0.254"));
    t.is(output("192.0.2.1").fl.saddr, ip("10.0.0.1"));
    t.is(output("192.0.2.1").fl.oif, eth.ifindex);
    t.is(input("10.0.0.9", "10.0.0.1").flags & RTCF_LOCAL, RTCF_LOCAL);
    t.is(input("10.0.0.8", "10.0.0.1").flags & RTCF_LOCAL, RTCF_LOCAL);
  }
  t.is(output("192.0.2.2").rt!.gateway, ip("10.0.0.254"));
  t.is(output("10.0.0.9").rt!.gateway, 0);
  t.is(output("192.0.2.1", "10.9.9.9").error, -ENETUNREACH);
  t.is(output("192.0.2.1", "0.0.0.0", 99).error, -ENODEV);
  t.is(output("192.0.2.1").rt!.gateway, ip("10.0.0.254"));
  ipRouteAdd(initNet, ip("192.0.2.0"), 24, ip("10.0.0.253"), 0);
  t.is(output("192.0.2.1").rt!.gateway, ip("10.0.0.253"));
  ipRouteDel(initNet, ip("192.0.2.0"), 24, ip("10.0.0.253"), 0);
  ipRouteDel(initNet, 0, 0, ip("10.0.0.254"), 0);
  t.is(output("192.0.2.1").error, -ENETUNREACH);
  t.is(input("10.0.0.9", "10.0.0.1").flags & RTCF_LOCAL, RTCF_LOCAL);
  inetAddAddress(initNet, eth, ip("10.0.0.9"), 24);
  t.is(input("10.0.0.9", "10.0.0.1").reason, SKB_DROP_REASON_IP_LOCAL_SOURCE, "a sender that has become ourselves");
  t.is(input("10.0.0.8", "10.0.0.1").err, 0);
  inetDelAddress(initNet, eth, ip("10.0.0.1"), 24);
  t.is(input("10.0.0.8", "10.0.0.1").error, -EHOSTUNREACH);
});
