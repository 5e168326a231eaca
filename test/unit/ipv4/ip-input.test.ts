import test from "ava";
import fc from "fast-check";
import { mem8 } from "../../../src/lib/memory.ts";
import { consumeSkb, PACKET_OTHERHOST, skbGet, type SkBuff } from "../../../src/stack/core/skbuff.ts";
import { inetAddAddress } from "../../../src/stack/ipv4/devinet.ts";
import { ipRcv } from "../../../src/stack/ipv4/ip-input.ts";
import { inetAddProtocol, inetDelProtocol, inetProtocol } from "../../../src/stack/ipv4/protocol.ts";
import {
  SKB_DROP_REASON_FRAG_FAILED, SKB_DROP_REASON_IP_CSUM, SKB_DROP_REASON_IP_INADDRERRORS, SKB_DROP_REASON_IP_INHDR,
  SKB_DROP_REASON_IP_NOPROTO, SKB_DROP_REASON_OTHERHOST, SKB_DROP_REASON_PKT_TOO_SMALL,
} from "../../../src/uapi/drop-reason.ts";
import { EEXIST, ENOENT } from "../../../src/uapi/errno.ts";
import {
  IPSTATS_MIB_CEPKTS, IPSTATS_MIB_CSUMERRORS, IPSTATS_MIB_INADDRERRORS, IPSTATS_MIB_INBCASTPKTS,
  IPSTATS_MIB_INDELIVERS, IPSTATS_MIB_INHDRERRORS, IPSTATS_MIB_INMCASTPKTS, IPSTATS_MIB_INOCTETS, IPSTATS_MIB_INPKTS,
  IPSTATS_MIB_INTRUNCATEDPKTS, IPSTATS_MIB_INUNKNOWNPROTOS, IPSTATS_MIB_REASMFAILS,
} from "../../../src/uapi/snmp.ts";
import {
  addDevice, addLoopback, bootIpv4, checksum, drops, initNet, ip, ipPacket, received, receive, shutdownIpv4,
  type TestDevice,
} from "./harness.ts";

const PROTOCOL = 253;
const LOCAL = ip("10.0.0.1");
const PEER = ip("10.0.0.9");

let eth: TestDevice;
let taken: Uint8Array[];
/** Offsets of the packet's headers, as the handler saw them. */
let seen: { header: number; data: number }[];

const protocol = {
  handler(skb: SkBuff): number {
    taken.push(mem8.slice(skb.data, skb.data + skb.len));
    seen.push({ header: skb.th - skb.nh, data: skb.data - skb.nh });
    consumeSkb(skb);
    return 0;
  },
};

function packet(more: object = {}): Uint8Array {
  return ipPacket({ saddr: PEER, daddr: LOCAL, protocol: PROTOCOL, payload: new Uint8Array([1, 2, 3, 4, 5]), ...more });
}

function mib(counter: number): number {
  return initNet.mib[counter]!;
}

test.beforeEach(() => {
  bootIpv4();
  addLoopback();
  eth = addDevice("eth0");
  inetAddAddress(initNet, eth, LOCAL, 24);
  taken = [];
  seen = [];
  inetAddProtocol(PROTOCOL, protocol);
});
test.afterEach((t) => t.is(shutdownIpv4(), 0, "pools full again"));

test.serial("a packet for this host reaches its protocol, without padding and options", (t) => {
  receive(eth, packet());
  const padded = new Uint8Array(46);
  padded.set(packet());
  receive(eth, padded);
  receive(eth, packet({ options: new Uint8Array([1, 1, 1, 0]) }));
  t.deepEqual(taken, Array(3).fill(new Uint8Array([1, 2, 3, 4, 5])));
  t.deepEqual(seen, [{ header: 20, data: 20 }, { header: 20, data: 20 }, { header: 24, data: 24 }]);
  t.is(mib(IPSTATS_MIB_INPKTS), 3);
  t.is(mib(IPSTATS_MIB_INDELIVERS), 3);
  t.is(mib(IPSTATS_MIB_INOCTETS), 25 + 46 + 29);
});

test.serial("bad headers are dropped with their reason and counter", (t) => {
  const change = (at: number, value: number, fix = true): Uint8Array => {
    const bytes = packet();
    bytes[at] = value;
    if (fix) {
      bytes[10] = bytes[11] = 0;
      const sum = checksum(bytes.subarray(0, 20));
      bytes[10] = sum >> 8;
      bytes[11] = sum & 255;
    }
    return bytes;
  };
  receive(eth, packet().subarray(0, 19));
  receive(eth, change(0, 0x65));
  receive(eth, change(0, 0x44));
  receive(eth, packet().subarray(0, 20).fill(0x4f, 0, 1));
  receive(eth, change(8, 63, false));
  receive(eth, change(3, 19));
  t.deepEqual(drops.splice(0), [SKB_DROP_REASON_PKT_TOO_SMALL, SKB_DROP_REASON_IP_INHDR, SKB_DROP_REASON_IP_INHDR,
    SKB_DROP_REASON_PKT_TOO_SMALL, SKB_DROP_REASON_IP_CSUM, SKB_DROP_REASON_IP_INHDR]);
  t.is(mib(IPSTATS_MIB_INHDRERRORS), 6);
  t.is(mib(IPSTATS_MIB_CSUMERRORS), 1);
  receive(eth, change(3, 26));
  t.deepEqual(drops.splice(0), [SKB_DROP_REASON_PKT_TOO_SMALL]);
  t.is(mib(IPSTATS_MIB_INTRUNCATEDPKTS), 1);
  t.is(taken.length, 0);
});

test.serial("what is for others is dropped and counted", (t) => {
  const other = received(eth, packet());
  other.pktType = PACKET_OTHERHOST;
  ipRcv(other, eth);
  t.is(mib(IPSTATS_MIB_INPKTS), 0);
  receive(eth, packet({ daddr: ip("10.0.0.77") }));
  receive(eth, packet({ frag: 0x2000 }));
  receive(eth, packet({ frag: 7 }));
  t.deepEqual(drops, [SKB_DROP_REASON_OTHERHOST, SKB_DROP_REASON_IP_INADDRERRORS, SKB_DROP_REASON_FRAG_FAILED,
    SKB_DROP_REASON_FRAG_FAILED]);
  t.is(mib(IPSTATS_MIB_INADDRERRORS), 1);
  t.is(mib(IPSTATS_MIB_REASMFAILS), 2);
  t.is(eth.sent.length, 0, "a host says nothing about strangers' packets");
});

test.serial("broadcasts and groups are delivered and counted, ECN marks too", (t) => {
  receive(eth, packet({ daddr: -1 }));
  receive(eth, packet({ daddr: ip("10.0.0.255"), tos: 3 }));
  receive(eth, packet({ daddr: ip("224.0.0.1") }));
  t.is(taken.length, 3);
  t.is(mib(IPSTATS_MIB_INBCASTPKTS), 2);
  t.is(mib(IPSTATS_MIB_INMCASTPKTS), 1);
  t.is(mib(IPSTATS_MIB_CEPKTS), 1);
});

test.serial("an unknown protocol is reported to the sender, not to a broadcast's", (t) => {
  receive(eth, packet({ protocol: 99 }));
  t.deepEqual([...eth.sent[0]!.subarray(20, 22)], [3, 2]);
  t.deepEqual(eth.sent[0]!.subarray(28), packet({ protocol: 99 }));
  receive(eth, packet({ protocol: 99, daddr: -1 }));
  t.is(eth.sent.length, 1);
  t.is(mib(IPSTATS_MIB_INUNKNOWNPROTOS), 2);
  t.deepEqual(drops, [SKB_DROP_REASON_IP_NOPROTO, SKB_DROP_REASON_IP_NOPROTO]);
});

test.serial("a packet that a tap holds too is left as it is", (t) => {
  const skb = received(eth, packet());
  skbGet(skb);
  const data = skb.data;
  ipRcv(skb, eth);
  t.is(taken.length, 1);
  t.is(skb.data, data);
  t.is(skb.len, 25);
  consumeSkb(skb);
});

test.serial("protocol numbers", (t) => {
  t.is(inetProtocol(PROTOCOL), protocol);
  t.is(inetAddProtocol(PROTOCOL, { handler: () => 0 }), -EEXIST);
  t.is(inetDelProtocol(PROTOCOL, { handler: () => 0 }), -ENOENT);
  t.is(inetDelProtocol(PROTOCOL, protocol), 0);
  t.is(inetProtocol(PROTOCOL), null);
});

test.serial("random bytes: nothing throws, nothing is lost", (t) => {
  const plausible = fc.record({
    daddr: fc.oneof(fc.constantFrom(LOCAL, -1, ip("224.0.0.1")), fc.integer()), saddr: fc.integer(),
    protocol: fc.constantFrom(1, 6, 17, PROTOCOL, 200), payload: fc.uint8Array({ maxLength: 80 }),
    options: fc.integer({ min: 0, max: 10 }).chain((n) => fc.uint8Array({ minLength: 4 * n, maxLength: 4 * n })),
    frag: fc.constantFrom(0, 0, 0x4000, 0x2000),
  }).map(ipPacket);
  const bytes = fc.oneof(fc.uint8Array({ maxLength: 120 }), plausible);
  fc.assert(fc.property(bytes, (b) => {
    receive(eth, b);
    return true;
  }), { numRuns: 2000 });
  t.true(taken.length > 0);
});
