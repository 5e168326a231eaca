import test from "ava";
import fc from "fast-check";
import { mem8 } from "../../../src/lib/memory.ts";
import { words } from "../../../src/lib/table.ts";
import { runTimers } from "../../../src/lib/timer.ts";
import { doSoftirq } from "../../../src/lib/softirq.ts";
import { type Proto, SK_PROTOCOL, skAlloc, sockPut } from "../../../src/stack/core/sock.ts";
import {
  allocSkb, consumeSkb, MAX_HEADER, skbPutData, skbReserve, type SkBuff,
} from "../../../src/stack/core/skbuff.ts";
import { inetAddAddress } from "../../../src/stack/ipv4/devinet.ts";
import { ipRouteAdd } from "../../../src/stack/ipv4/fib-frontend.ts";
import { Flowi4, flowi4Init } from "../../../src/stack/ipv4/flow.ts";
import { inetSockReset, type InetSk } from "../../../src/stack/ipv4/inet-sock.ts";
import {
  ipBuildAndSendPkt, ipPushHeader, ipQueueXmit, ipSelectIdent, ipSendUnicastReply,
} from "../../../src/stack/ipv4/ip-output.ts";
import { inetAddProtocol } from "../../../src/stack/ipv4/protocol.ts";
import { ipRouteOutputKey } from "../../../src/stack/ipv4/route.ts";
import {
  SKB_DROP_REASON_IP_OUTNOROUTES, SKB_DROP_REASON_PKT_TOO_BIG,
} from "../../../src/uapi/drop-reason.ts";
import { EHOSTUNREACH, EMSGSIZE } from "../../../src/uapi/errno.ts";
import { IP_PMTUDISC_DONT, IP_PMTUDISC_WANT } from "../../../src/uapi/in.ts";
import {
  IPSTATS_MIB_FRAGFAILS, IPSTATS_MIB_OUTBCASTPKTS, IPSTATS_MIB_OUTNOROUTES, IPSTATS_MIB_OUTOCTETS, IPSTATS_MIB_OUTPKTS,
  IPSTATS_MIB_OUTREQUESTS,
} from "../../../src/uapi/snmp.ts";
import { AF_INET } from "../../../src/uapi/socket.ts";
import {
  addDevice, addLoopback, bootIpv4, checksum, drops, initNet, ip, ipPacket, shutdownIpv4, type TestDevice,
} from "./harness.ts";

const LOCAL = ip("10.0.0.1");
const PEER = ip("10.0.0.9");
const SEGMENT = new Uint8Array([9, 8, 7, 6]);

let eth: TestDevice;

const proto = {
  name: "test",
  free: () => undefined,
} as unknown as Proto;

function connected(daddr: number, pmtudisc = IP_PMTUDISC_WANT): InetSk {
  const sk = skAlloc(initNet, AF_INET, proto) as InetSk;
  const inet = inetSockReset(sk, pmtudisc);
  words[sk.cold + SK_PROTOCOL] = 6;
  inet.saddr = LOCAL;
  inet.daddr = daddr;
  return sk;
}

function segment(bytes: Uint8Array = SEGMENT): SkBuff {
  const skb = allocSkb(MAX_HEADER + bytes.length)!;
  skbReserve(skb, MAX_HEADER);
  skbPutData(skb, bytes);
  skb.th = skb.data;
  return skb;
}

/** The fields of a header that was sent, its checksum checked. */
function header(bytes: Uint8Array): { tos: number; id: number; frag: number; ttl: number; saddr: number; daddr: number } {
  if (bytes[0] !== 0x45 || checksum(bytes.subarray(0, 20)) !== 0) throw new Error("bad header");
  const view = new DataView(bytes.buffer);
  if (view.getUint16(2) !== bytes.length) throw new Error("bad length");
  return {
    tos: bytes[1]!, id: view.getUint16(4), frag: view.getUint16(6), ttl: bytes[8]!, saddr: view.getInt32(12),
    daddr: view.getInt32(16),
  };
}

test.beforeEach(() => {
  bootIpv4();
  addLoopback();
  eth = addDevice("eth0");
  inetAddAddress(initNet, eth, LOCAL, 24);
});
test.afterEach((t) => t.is(shutdownIpv4(), 0, "pools full again"));

test.serial("a socket's segment: header from the socket, route kept and renewed", (t) => {
  const sk = connected(ip("8.8.8.8"));
  sk.inet.tos = 0x28;
  sk.inet.id = 0xffff;
  t.is(ipQueueXmit(sk, segment()), -EHOSTUNREACH);
  t.deepEqual(drops, [SKB_DROP_REASON_IP_OUTNOROUTES]);
  t.is(initNet.mib[IPSTATS_MIB_OUTNOROUTES], 1);
  ipRouteAdd(initNet, 0, 0, ip("10.0.0.254"), 0);
  t.is(ipQueueXmit(sk, segment()), 0);
  t.deepEqual(header(eth.sent[0]!),
    { tos: 0x28, id: 0xffff, frag: 0x4000, ttl: 64, saddr: LOCAL, daddr: ip("8.8.8.8") });
  t.deepEqual(eth.sent[0]!.subarray(20), SEGMENT);
  const route = sk.dst;
  sk.inet.ucTtl = 3;
  ipQueueXmit(sk, segment());
  t.is(sk.dst, route);
  t.is(header(eth.sent[1]!).ttl, 3);
  t.is(header(eth.sent[1]!).id, 0, "the counter wraps");
  ipRouteAdd(initNet, ip("8.8.8.0"), 24, ip("10.0.0.253"), 0);
  ipQueueXmit(sk, segment());
  t.not(sk.dst, route);
  t.is(initNet.mib[IPSTATS_MIB_OUTREQUESTS], 3);
  t.is(initNet.mib[IPSTATS_MIB_OUTPKTS], 3);
  t.is(initNet.mib[IPSTATS_MIB_OUTOCTETS], 72);
  sockPut(sk);
});

test.serial("without path MTU discovery there is no DF", (t) => {
  const sk = connected(PEER, IP_PMTUDISC_DONT);
  ipQueueXmit(sk, segment());
  t.is(header(eth.sent[0]!).frag, 0);
  sockPut(sk);
});

test.serial("what is longer than the MTU is refused", (t) => {
  const sk = connected(PEER);
  eth.mtu = 68;
  t.is(ipQueueXmit(sk, segment(new Uint8Array(48))), 0);
  t.is(ipQueueXmit(sk, segment(new Uint8Array(49))), -EMSGSIZE);
  t.deepEqual(drops, [SKB_DROP_REASON_PKT_TOO_BIG]);
  t.is(initNet.mib[IPSTATS_MIB_FRAGFAILS], 1);
  sockPut(sk);
});

test.serial("to an address of this host: through loopback to the protocol", (t) => {
  const got: number[] = [];
  inetAddProtocol(6, {
    handler(skb) {
      got.push(mem8[skb.data]!);
      consumeSkb(skb);
      return 0;
    },
  });
  const sk = connected(LOCAL);
  t.is(ipQueueXmit(sk, segment()), 0);
  t.deepEqual(got, [9]);
  t.is(eth.sent.length, 0);
  sockPut(sk);
});

test.serial("a broadcast goes out, and to this host too", (t) => {
  let got = 0;
  inetAddProtocol(6, {
    handler(skb) {
      got++;
      consumeSkb(skb);
      return 0;
    },
  });
  const sk = connected(ip("10.0.0.255"));
  t.is(ipQueueXmit(sk, segment()), 0);
  doSoftirq();
  t.is(eth.sent.length, 1);
  t.is(got, 1);
  t.is(initNet.mib[IPSTATS_MIB_OUTBCASTPKTS], 1);
  sockPut(sk);
});

test.serial("replies without a socket, and by a route at hand", (t) => {
  const about = (daddr: number, saddr: number): SkBuff => {
    const skb = segment();
    ipPushHeader(skb, null, saddr, daddr, 6, 64, 0, true);
    return skb;
  };
  const question = about(LOCAL, PEER);
  t.is(ipSendUnicastReply(initNet, segment(), question, 6, 0x10), 0);
  consumeSkb(question);
  t.deepEqual(header(eth.sent[0]!), { tos: 0x10, id: 0, frag: 0x4000, ttl: 64, saddr: LOCAL, daddr: PEER });
  const stranger = about(LOCAL, ip("99.0.0.1"));
  t.true(ipSendUnicastReply(initNet, segment(), stranger, 6, 0) < 0);
  consumeSkb(stranger);
  const listener = connected(0);
  const fl = new Flowi4();
  flowi4Init(fl, PEER, LOCAL, 0, 0, 6);
  const answer = segment();
  answer.dst = ipRouteOutputKey(initNet, fl);
  t.is(ipBuildAndSendPkt(answer, listener, LOCAL, PEER, false, 0), 0);
  t.deepEqual(header(eth.sent[1]!), { tos: 0, id: 0, frag: 0x4000, ttl: 64, saddr: LOCAL, daddr: PEER });
  sockPut(listener);
});

test.serial("any header has the right checksum", (t) => {
  const byte = fc.integer({ min: 0, max: 255 });
  fc.assert(fc.property(fc.integer(), fc.integer(), byte, byte, byte, fc.boolean(), fc.uint8Array({ maxLength: 600 }),
    (saddr, daddr, protocol, ttl, tos, df, payload) => {
      const skb = segment(payload);
      ipPushHeader(skb, null, saddr, daddr, protocol, ttl, tos, df);
      const bytes = mem8.slice(skb.data, skb.tail);
      const id = new DataView(bytes.buffer).getUint16(4);
      t.deepEqual(bytes, ipPacket({ saddr, daddr, protocol, ttl, tos, id, frag: df ? 0x4000 : 0, payload }));
      consumeSkb(skb);
    }), { numRuns: 300 });
});

test.serial("identifications count up for a destination and jump after silence", (t) => {
  const first = ipSelectIdent(LOCAL, PEER, 1);
  t.is(ipSelectIdent(LOCAL, PEER, 1), (first + 1) & 0xffff);
  let jumped = false;
  for (let now = 1000; now < 21000; now += 1000) {
    runTimers(now);
    const before = ipSelectIdent(LOCAL, PEER, 1);
    runTimers(now + 500);
    const step = (ipSelectIdent(LOCAL, PEER, 1) - before) & 0xffff;
    t.true(step >= 1 && step <= 500);
    if (step > 1) jumped = true;
  }
  t.true(jumped);
});
