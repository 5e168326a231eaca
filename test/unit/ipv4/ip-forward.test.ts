/** Forwarding between two devices. That its messages are Linux's, byte by byte, is shown in interop; here are its edges. */
import test from "ava";
import fc from "fast-check";
import type { Config } from "../../../src/config.ts";
import { devSetForwarding, forwarding, ipForwardSet } from "../../../src/forwarding.ts";
import { ipOptions } from "../../../src/ip-options.ts";
import { runTimers } from "../../../src/lib/timer.ts";
import { inDevGet, inetAddAddress } from "../../../src/stack/ipv4/devinet.ts";
import { ipRouteAdd } from "../../../src/stack/ipv4/fib-frontend.ts";
import {
  SKB_DROP_REASON_IP_INADDRERRORS, SKB_DROP_REASON_IP_INHDR, SKB_DROP_REASON_IP_LOCAL_SOURCE, SKB_DROP_REASON_IP_RPFILTER,
  SKB_DROP_REASON_PKT_TOO_BIG,
} from "../../../src/uapi/drop-reason.ts";
import {
  IPSTATS_MIB_FRAGFAILS, IPSTATS_MIB_INADDRERRORS, IPSTATS_MIB_OUTFORWDATAGRAMS,
} from "../../../src/uapi/snmp.ts";
import {
  addDevice, addLoopback, bootIpv4, checksum, drops, initNet, ip, ipPacket, receive, shutdownIpv4, type TestDevice,
} from "./harness.ts";

const NEAR = ip("10.0.0.9");
const FAR = ip("10.0.1.9");
const ROUTER = ip("10.0.0.1");
const GATEWAY = ip("10.0.0.77");
const BEHIND = ip("10.9.0.1");
const DF = 0x4000;

let near: TestDevice;
let far: TestDevice;
let now = 0;

test.beforeEach(() => {
  now = 0;
  bootIpv4();
  ipOptions.init({ ipOptionSocks: 1 } as Config);
  forwarding.init({} as Config);
  addLoopback();
  near = addDevice("eth0");
  far = addDevice("eth1");
  inetAddAddress(initNet, near, ROUTER, 24);
  inetAddAddress(initNet, far, ip("10.0.1.1"), 24);
  ipRouteAdd(initNet, ip("10.9.0.0"), 16, GATEWAY, 0);
  ipForwardSet(initNet, true);
});
test.afterEach((t) => t.is(shutdownIpv4(), 0, "pools full again"));

function packet(more: object = {}): Uint8Array {
  return ipPacket({ saddr: NEAR, daddr: FAR, protocol: 17, payload: new Uint8Array(20), ...more });
}

function mib(counter: number): number {
  return initNet.mib[counter]!;
}

test.serial("a packet goes on, one hop older, its checksum right for every header", (t) => {
  for (let id = 0; id < 3000; id++) {
    receive(near, packet({ id: id * 23, ttl: 2 + (id % 254) }));
    const sent = far.sent.pop()!;
    t.is(sent[8], 1 + (id % 254));
    t.is(checksum(sent.subarray(0, 20)), 0);
  }
  t.is(mib(IPSTATS_MIB_OUTFORWDATAGRAMS), 3000);
  t.is(near.sent.length, 0);
});

test.serial("the switch is the device's by which it came in; off, strangers' packets are dropped without a word", (t) => {
  devSetForwarding(near, false);
  receive(near, packet());
  receive(far, packet({ saddr: FAR, daddr: NEAR }));
  t.is(far.sent.length, 0);
  t.is(near.sent.length, 1);
  t.deepEqual(drops, [SKB_DROP_REASON_IP_INADDRERRORS]);
  t.is(mib(IPSTATS_MIB_INADDRERRORS), 1);
  ipForwardSet(initNet, false);
  t.is(inDevGet(addDevice("eth2"))!.switches & 2, 0);
  ipForwardSet(initNet, true);
  t.is(inDevGet(addDevice("eth3"))!.switches & 2, 2, "what is registered later, too");
});

test.serial("too old, too long with DF: the sender hears of it", (t) => {
  receive(near, packet({ ttl: 1 }));
  far.mtu = 1000;
  receive(near, packet({ payload: new Uint8Array(1000), frag: DF }));
  t.deepEqual(near.sent.map((sent) => [sent[20], sent[21], sent[26]! * 256 + sent[27]!]), [[11, 0, 0], [3, 4, 1000]]);
  t.deepEqual(drops.splice(0), [SKB_DROP_REASON_IP_INHDR, SKB_DROP_REASON_PKT_TOO_BIG]);
  receive(near, packet({ payload: new Uint8Array(1000) }));
  t.deepEqual(drops, [SKB_DROP_REASON_PKT_TOO_BIG], "without the part that makes fragments");
  t.is(mib(IPSTATS_MIB_FRAGFAILS), 2);
});

test.serial("an error comes from the device it leaves by; with icmp_errors_use_inbound_ifaddr, from that the packet came in by", (t) => {
  const sourceOf = (sent: Uint8Array): number => new DataView(sent.buffer).getInt32(12);
  const elsewhere = packet({ saddr: ip("10.0.1.50"), ttl: 1 });
  receive(near, elsewhere);
  t.is(sourceOf(far.sent.pop()!), ip("10.0.1.1"));
  initNet.ipv4.icmpErrorsUseInboundIfaddr = 1;
  receive(near, elsewhere);
  t.is(sourceOf(far.sent.pop()!), ROUTER);
});

test.serial("no way on: each sender hears of it five times at once, then once a second", (t) => {
  const heard = (saddr: number, times: number): number => {
    near.sent.length = 0;
    for (let i = 0; i < times; i++) receive(near, packet({ saddr, daddr: ip("198.51.100.1") }));
    return near.sent.length;
  };
  initNet.ipv4.icmpRatemask = 0;
  t.is(heard(NEAR, 8), 5);
  t.is(heard(ip("10.0.0.10"), 2), 2, "another sender");
  runTimers((now += 999));
  t.is(heard(NEAR, 2), 0);
  runTimers((now += 1));
  t.is(heard(NEAR, 2), 1);
  runTimers((now += 60_000));
  t.is(heard(NEAR, 8), 5);
});

test.serial("redirects: nine, ever more slowly, then none until there was silence", (t) => {
  const redirects = (): number => near.sent.splice(0).filter((sent) => sent[9] === 1 && sent[20] === 5).length;
  receive(near, packet({ daddr: BEHIND }));
  const first = near.sent.find((sent) => sent[9] === 1)!;
  t.deepEqual([...first.subarray(24, 28)], [10, 0, 0, 77]);
  t.is(redirects(), 1);
  let count = 1;
  for (let ms = 0; ms < 60_000; ms += 10) {
    now += 10;
    runTimers(now);
    receive(near, packet({ daddr: BEHIND }));
    count += redirects();
  }
  t.is(count, 9);
  now += 21_000;
  runTimers(now);
  receive(near, packet({ daddr: BEHIND }));
  t.is(redirects(), 1);
  receive(near, packet({ daddr: BEHIND, saddr: ip("203.0.113.1") }));
  t.is(redirects(), 0, "a sender beyond could not do it itself");
});

test.serial("rp_filter and martians, on the way through", (t) => {
  receive(near, packet({ saddr: ROUTER }));
  t.deepEqual(drops.splice(0), [SKB_DROP_REASON_IP_LOCAL_SOURCE]);
  receive(near, packet({ saddr: FAR, daddr: ip("10.0.1.8") }));
  t.is(far.sent.splice(0).length, 1);
  inDevGet(near)!.rpFilter = 1;
  receive(near, packet({ saddr: FAR, daddr: ip("10.0.1.8") }));
  receive(near, packet());
  t.deepEqual(drops.splice(0), [SKB_DROP_REASON_IP_RPFILTER]);
  t.is(far.sent.length, 1);
});

test.serial("any packet: forwarded with a right checksum, answered, or dropped; nothing is lost", (t) => {
  const address = fc.oneof(
    fc.constantFrom(NEAR, FAR, ROUTER, BEHIND, GATEWAY, 0, -1, ip("10.0.1.255"), ip("224.0.0.1"), ip("127.0.0.1")), fc.integer(),
  );
  const fields = fc.record({
    saddr: address, daddr: address, ttl: fc.constantFrom(0, 1, 2, 64), protocol: fc.constantFrom(1, 6, 17, 200),
    frag: fc.constantFrom(0, DF, 0x2000, 5), payload: fc.uint8Array({ maxLength: 60 }),
    options: fc.integer({ min: 0, max: 5 }).chain((n) => fc.uint8Array({ minLength: 4 * n, maxLength: 4 * n })),
  });
  fc.assert(fc.property(fields, fc.boolean(), (p, fromFar) => {
    receive(fromFar ? far : near, ipPacket(p));
    for (const dev of [near, far]) {
      for (const sent of dev.sent.splice(0)) t.is(checksum(sent.subarray(0, (sent[0]! & 15) * 4)), 0);
    }
  }), { numRuns: 3000 });
});
