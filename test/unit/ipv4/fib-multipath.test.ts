/** What of a packet and of a flow decides which next hop of a multipath route it takes, policy by policy. */
import test from "ava";
import { boot, initNet } from "../../../src/index.ts";
import { mem8 } from "../../../src/lib/memory.ts";
import { words } from "../../../src/lib/table.ts";
import { allocSkb, consumeSkb, skbPut, type SkBuff } from "../../../src/stack/core/skbuff.ts";
import { fibSelectForward, fibSelectMultipath } from "../../../src/stack/ipv4/fib-multipath.ts";
import { NH_NEXT } from "../../../src/stack/ipv4/fib-semantics.ts";
import { fibLookup } from "../../../src/stack/ipv4/fib-lookup.ts";
import { FibResult, Flowi4, flowi4Init } from "../../../src/stack/ipv4/flow.ts";
import { ip } from "../../../src/commands/index.ts";
import { bootIp, shutdownIp } from "../commands/harness.ts";

const HOST = 0x1e000001;
const TARGET = 0x14000001;
const [ICMP, IPIP, TCP, UDP, GRE] = [1, 4, 6, 17, 47];

/** The route's first next hop; two more behind it. */
let fi: number;

test.beforeEach(() => {
  bootIp();
  ip(initNet, "addr add 10.0.0.1/24 dev d0");
  ip(initNet, "route add 20.0.0.0/8 nexthop via 10.0.0.2 nexthop via 10.0.0.3 nexthop via 10.0.0.4");
  const [flow, result] = [new Flowi4(), new FibResult()];
  flowi4Init(flow, TARGET, 0, 0, 0, 0);
  fibLookup(initNet, flow, result);
  fi = result.fi;
  initNet.ipv4.fibMultipathHashSeed = 4711;
});
test.afterEach((t) => {
  t.is(shutdownIp(), 0, "pools full again");
  boot({ preset: "host" });
});

/** A header and what is behind it. */
function header(protocol: number, saddr: number, daddr: number, behind: readonly number[], fragment = 0): number[] {
  const view = new DataView(new ArrayBuffer(20));
  view.setUint8(0, 0x45);
  view.setUint16(6, fragment);
  view.setUint8(9, protocol);
  view.setInt32(12, saddr);
  view.setInt32(16, daddr);
  return [...new Uint8Array(view.buffer), ...behind];
}

function ports(source: number, target: number): number[] {
  return [source >> 8, source & 255, target >> 8, target & 255, 0, 0, 0, 0];
}

/** Which of the three next hops a packet takes. */
function forwarded(bytes: readonly number[]): number {
  const skb: SkBuff = allocSkb(256)!;
  skb.nh = skbPut(skb, bytes.length);
  mem8.set(bytes, skb.nh);
  const nh = fibSelectForward(initNet, fi, skb, 0);
  consumeSkb(skb);
  return index(nh);
}

function index(nh: number): number {
  return nh === fi ? 0 : nh === words[fi + NH_NEXT] ? 1 : 2;
}

function sent(daddr: number, saddr: number, proto: number, both: number): number {
  const flow = new Flowi4();
  flowi4Init(flow, daddr, saddr, 0, 0, proto);
  flow.ports = both;
  return index(fibSelectMultipath(initNet, fi, flow, 0));
}

/** The next hops of so many flows that differ in one number. */
function spread(choose: (n: number) => number): number {
  return new Set(Array.from({ length: 40 }, (_, n) => choose(n + 1))).size;
}

test.serial("policy 0: addresses alone, in both directions; an ICMP error goes where what it is about goes", (t) => {
  t.is(spread((n) => forwarded(header(UDP, HOST, TARGET, ports(n, 53)))), 1);
  t.is(spread((n) => forwarded(header(UDP, HOST + n, TARGET, ports(1, 53)))), 3);
  for (let n = 0; n < 20; n++) {
    const there = forwarded(header(UDP, HOST + n, TARGET, ports(1, 53)));
    t.is(forwarded(header(UDP, TARGET, HOST + n, ports(53, 1))), there);
    const quoted = header(UDP, TARGET, HOST + n, ports(53, 1));
    t.is(forwarded(header(ICMP, 0x0a0a0a0a, TARGET, [3, 4, 0, 0, 0, 0, 0, 0, ...quoted])), there, "an error about it");
    t.is(sent(TARGET, HOST + n, UDP, 0x10035), there, "and this host's own, whatever its ports");
  }
});

test.serial("policy 1: ports and protocol, too, but not of fragments; ICMP has none", (t) => {
  initNet.ipv4.fibMultipathHashPolicy = 1;
  for (const protocol of [TCP, UDP]) t.is(spread((n) => forwarded(header(protocol, HOST, TARGET, ports(n, 53)))), 3);
  t.is(spread((n) => forwarded(header(UDP, HOST, TARGET, ports(n, 53), 0x2000))), 1, "first fragments");
  t.is(spread((n) => forwarded(header(UDP, HOST, TARGET, ports(n, 53), 0x10))), 1, "later ones");
  t.is(spread((n) => forwarded(header(ICMP, HOST, TARGET, [8, 0, n, 0, 0, 0, 0, 0]))), 1);
  t.is(spread((n) => sent(TARGET, HOST, TCP, (n << 16) | 80)), 3);
  for (let n = 0; n < 20; n++) t.is(sent(TARGET, HOST, TCP, (n << 16) | 80), forwarded(header(TCP, TARGET, HOST, ports(80, n))));
});

test.serial("policy 2: the addresses inside of IPIP and GRE", (t) => {
  initNet.ipv4.fibMultipathHashPolicy = 2;
  for (let n = 0; n < 20; n++) {
    const inner = header(UDP, HOST + n, TARGET, ports(1, 53));
    const there = forwarded(inner);
    t.is(forwarded(header(IPIP, 1, 2, inner)), there);
    t.is(forwarded(header(GRE, 1, 2, [0, 0, 8, 0, ...inner])), there);
    t.is(forwarded(header(GRE, 1, 2, [0x30, 0, 8, 0, 0, 0, 0, 7, 0, 0, 0, 1, ...inner])), there, "with a key and a number");
    t.is(forwarded(header(IPIP, 3, 4, header(IPIP, 1, 2, inner))), there, "one in another");
  }
  t.is(spread((n) => forwarded(header(GRE, 1, n, [0, 1, 8, 0, ...header(UDP, HOST, TARGET, [])]))), 3, "another version of GRE");
});

test.serial("policy 3: what fib_multipath_hash_fields names", (t) => {
  initNet.ipv4.fibMultipathHashPolicy = 3;
  const by = (fields: number): readonly number[] => {
    initNet.ipv4.fibMultipathHashFields = fields;
    return [
      spread((n) => forwarded(header(UDP, HOST + n, TARGET, ports(1, 53)))), spread((n) => forwarded(header(UDP, HOST, TARGET + n, ports(1, 53)))),
      spread((n) => forwarded(header(n, HOST, TARGET, ports(1, 53)))), spread((n) => forwarded(header(UDP, HOST, TARGET, ports(n, 53)))),
      spread((n) => forwarded(header(UDP, HOST, TARGET, ports(1, n)))),
    ];
  };
  t.deepEqual(by(1), [3, 1, 1, 1, 1]);
  t.deepEqual(by(2), [1, 3, 1, 1, 1]);
  t.deepEqual(by(4), [1, 1, 3, 1, 1]);
  t.deepEqual(by(0x10).slice(3), [3, 1]);
  t.deepEqual(by(0x20).slice(3), [1, 3]);
});

test.serial("a source address that the device of a next hop has draws the flow to that device", (t) => {
  ip(initNet, "addr add 10.1.0.1/24 dev d1");
  ip(initNet, "route add 21.0.0.0/8 nexthop via 10.0.0.2 dev d0 nexthop via 10.1.0.2 dev d1");
  for (let n = 1; n < 20; n++) {
    t.regex(ip(initNet, `route get 21.0.0.${n} from 10.0.0.1`).text, / dev d0 /);
    t.regex(ip(initNet, `route get 21.0.0.${n} from 10.1.0.1`).text, / dev d1 /);
  }
});
