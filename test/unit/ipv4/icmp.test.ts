import test from "ava";
import fc from "fast-check";
import { mem8 } from "../../../src/lib/memory.ts";
import { runTimers } from "../../../src/lib/timer.ts";
import {
  allocSkb, consumeSkb, kfreeSkb, MAX_HEADER, skbClone, skbPutData, skbReserve, type SkBuff,
} from "../../../src/stack/core/skbuff.ts";
import { inetAddAddress, inetDelAddress } from "../../../src/stack/ipv4/devinet.ts";
import { Flowi4, flowi4Init } from "../../../src/stack/ipv4/flow.ts";
import { icmpErrConvert, icmpErrFatal, icmpSend } from "../../../src/stack/ipv4/icmp.ts";
import { ipRcv } from "../../../src/stack/ipv4/ip-input.ts";
import { ipPushHeader } from "../../../src/stack/ipv4/ip-output.ts";
import { inetAddProtocol } from "../../../src/stack/ipv4/protocol.ts";
import { ipRouteInput, ipRouteOutputKey } from "../../../src/stack/ipv4/route.ts";
import { SKB_DROP_REASON_ICMP_CSUM } from "../../../src/uapi/drop-reason.ts";
import { ECONNREFUSED, EHOSTUNREACH, EMSGSIZE, ENETUNREACH, ENOPROTOOPT } from "../../../src/uapi/errno.ts";
import {
  ICMP_MIB_CSUMERRORS, ICMP_MIB_INDESTUNREACHS, ICMP_MIB_INECHOS, ICMP_MIB_INERRORS, ICMP_MIB_INMSGS,
  ICMP_MIB_OUTDESTUNREACHS, ICMP_MIB_OUTECHOREPS, ICMP_MIB_OUTMSGS, ICMP_MIB_RATELIMITGLOBAL, ICMP_MIB_RATELIMITHOST,
} from "../../../src/uapi/snmp.ts";
import {
  addDevice, addLoopback, bootIpv4, checksum, drops, icmpMessage, initNet, ip, ipPacket, received, receive,
  shutdownIpv4, type TestDevice,
} from "./harness.ts";

const LOCAL = ip("10.0.0.1");
const SECOND = ip("10.0.0.2");
const PEER = ip("10.0.0.9");
const ECHO_DATA = Uint8Array.from({ length: 56 }, (_, i) => i);

let eth: TestDevice;

function mib(counter: number): number {
  return initNet.mib[counter]!;
}

function echo(more: object = {}, data = ECHO_DATA): Uint8Array {
  return ipPacket({ saddr: PEER, daddr: LOCAL, protocol: 1, payload: icmpMessage(8, 0, 0x12340001, data), ...more });
}

/** A routed UDP packet to this host, as a transport would hold it when it complains. */
function routed(more: object = {}): SkBuff {
  const bytes = ipPacket({ saddr: PEER, daddr: LOCAL, protocol: 17, payload: new Uint8Array(16), ...more });
  const skb = received(eth, bytes);
  const view = new DataView(bytes.buffer);
  skb.nh = skb.data;
  skb.th = skb.data + 20;
  ipRouteInput(skb, view.getInt32(16), view.getInt32(12), 0, eth);
  return skb;
}

function complain(skb: SkBuff, type = 3, code = 3): void {
  icmpSend(skb, type, code, 0);
  consumeSkb(skb);
}

test.beforeEach(() => {
  bootIpv4();
  addLoopback();
  eth = addDevice("eth0");
  inetAddAddress(initNet, eth, LOCAL, 24);
});
test.afterEach((t) => t.is(shutdownIpv4(), 0, "pools full again"));

test.serial("an echo request is answered with its data", (t) => {
  for (const tail of [0, 1, 57, 1472]) {
    const data = Uint8Array.from({ length: tail }, (_, i) => i * 7);
    receive(eth, echo({ tos: 0x10, ttl: 3 }, data));
    const reply = eth.sent.pop()!;
    const view = new DataView(reply.buffer);
    t.is(reply.length, 28 + tail);
    t.is(checksum(reply.subarray(0, 20)), 0);
    t.is(checksum(reply.subarray(20)), 0);
    t.deepEqual([view.getInt32(12), view.getInt32(16)], [LOCAL, PEER]);
    t.deepEqual([reply[0], reply[1], view.getUint16(2), view.getUint16(6), reply[8], reply[9]],
      [0x45, 0x10, 28 + tail, 0, 64, 1]);
    t.deepEqual([reply[20], reply[21], view.getInt32(24)], [0, 0, 0x12340001]);
    t.deepEqual(reply.subarray(28), data);
  }
  t.is(mib(ICMP_MIB_INECHOS), 4);
  t.is(mib(ICMP_MIB_OUTECHOREPS), 4);
  t.is(mib(ICMP_MIB_INMSGS), 4);
  t.is(mib(ICMP_MIB_OUTMSGS), 4);
});

test.serial("the checksum of a reply is right for every checksum of a request", (t) => {
  const word = new Uint8Array(2);
  for (const value of [0, 1, 0xf7ff, 0xf7fe, 0xf800, 0xffff, 0xfffe]) {
    // The data word that gives the request this checksum.
    word.fill(0);
    const plain = icmpMessage(8, 0, 0, word);
    const sum = ~((plain[2]! << 8) | plain[3]!) & 0xffff;
    let wanted = (~value & 0xffff) - sum;
    if (wanted < 0) wanted += 0xffff;
    word[0] = wanted >> 8;
    word[1] = wanted & 255;
    receive(eth, ipPacket({ saddr: PEER, daddr: LOCAL, protocol: 1, payload: icmpMessage(8, 0, 0, word) }));
    t.is(checksum(eth.sent.pop()!.subarray(20)), 0, String(value));
  }
});

/** Receives bytes as a driver does: the IP header on a word boundary. */
function receiveAligned(bytes: Uint8Array): void {
  const skb = allocSkb(MAX_HEADER + bytes.length)!;
  skbReserve(skb, MAX_HEADER);
  skbPutData(skb, bytes);
  skb.dev = eth;
  ipRcv(skb, eth);
}

test.serial("a train of requests whose peers, addresses and TOS change is answered one by one", (t) => {
  inetAddAddress(initNet, eth, SECOND, 24);
  const request = fc.record({ peer: fc.integer({ min: 9, max: 11 }), second: fc.boolean(), tos: fc.constantFrom(0, 0x10, 0x11),
    id: fc.nat(0xffff), ttl: fc.integer({ min: 1, max: 255 }), aligned: fc.boolean() });
  fc.assert(fc.property(fc.array(request, { maxLength: 12 }), (train) => {
    for (const { peer, second, tos, id, ttl, aligned } of train) {
      const daddr = second ? SECOND : LOCAL;
      const saddr = ip(`10.0.0.${peer}`);
      const bytes = echo({ saddr, daddr, tos, id, ttl });
      if (aligned) receiveAligned(bytes);
      else receive(eth, bytes);
      const reply = eth.sent.pop()!;
      const view = new DataView(reply.buffer);
      t.deepEqual([view.getInt32(12), view.getInt32(16)], [daddr, saddr]);
      t.deepEqual([reply[0], reply[1], view.getUint16(2), view.getUint16(6), reply[8], reply[9]], [0x45, tos, 84, 0, 64, 1]);
      t.is(checksum(reply.subarray(0, 20)), 0);
      t.is(checksum(reply.subarray(20)), 0);
    }
  }), { numRuns: 40 });
});

test.serial("in the middle of a train, an address that goes gets no more answers", (t) => {
  for (let i = 0; i < 3; i++) receiveAligned(echo());
  t.is(eth.sent.length, 3);
  inetDelAddress(initNet, eth, LOCAL, 24);
  receiveAligned(echo());
  t.is(eth.sent.length, 3);
  inetAddAddress(initNet, eth, LOCAL, 24);
  receiveAligned(echo());
  t.is(eth.sent.length, 4);
});

test.serial("a request with IP options, or whose bytes somebody else reads", (t) => {
  receive(eth, echo({ options: new Uint8Array([1, 1, 1, 1, 1, 1, 1, 0]) }));
  t.is(eth.sent[0]!.length, 84);
  const skb = received(eth, echo());
  const reader = skbClone(skb)!;
  const before = mem8.slice(reader.data, reader.tail);
  ipRcv(skb, eth);
  t.deepEqual(mem8.slice(reader.data, reader.tail), before);
  t.is(eth.sent[1]!.length, 84);
  consumeSkb(reader);
});

test.serial("broadcasts, the sysctls and strangers get no reply", (t) => {
  receive(eth, echo({ daddr: ip("10.0.0.255") }));
  receive(eth, echo({ daddr: ip("224.0.0.1") }));
  t.is(mib(ICMP_MIB_INERRORS), 2);
  initNet.ipv4.icmpEchoIgnoreAll = 1;
  receive(eth, echo());
  t.is(eth.sent.length, 0);
  initNet.ipv4.icmpEchoIgnoreAll = 0;
  receive(eth, echo({ saddr: ip("99.1.1.1") }));
  t.is(eth.sent.length, 0, "no route back");
  initNet.ipv4.icmpEchoIgnoreBroadcasts = 0;
  receive(eth, echo({ daddr: ip("10.0.0.255") }));
  t.is(new DataView(eth.sent[0]!.buffer).getInt32(12), LOCAL, "with an address of ours as source");
});

test.serial("bad messages are counted", (t) => {
  const bad = echo();
  bad[30]! ^= 1;
  receive(eth, bad);
  t.is(mib(ICMP_MIB_CSUMERRORS), 1);
  t.deepEqual(drops, [SKB_DROP_REASON_ICMP_CSUM]);
  receive(eth, ipPacket({ saddr: PEER, daddr: LOCAL, protocol: 1, payload: new Uint8Array(7) }));
  receive(eth, ipPacket({ saddr: PEER, daddr: LOCAL, protocol: 1, payload: icmpMessage(40, 0, 0, ECHO_DATA) }));
  t.is(mib(ICMP_MIB_INERRORS), 3);
  t.is(eth.sent.length, 0);
});

test.serial("an error quotes the packet and answers its addresses", (t) => {
  complain(routed({ tos: 0x10 }));
  const error = eth.sent[0]!;
  const view = new DataView(error.buffer);
  t.deepEqual([view.getInt32(12), view.getInt32(16)], [LOCAL, PEER]);
  t.is(error[1], 0xd0, "precedence internet control");
  t.deepEqual([error[20], error[21], view.getInt32(24)], [3, 3, 0]);
  t.is(checksum(error.subarray(20)), 0);
  t.deepEqual(error.subarray(28), ipPacket({
    saddr: PEER, daddr: LOCAL, protocol: 17, payload: new Uint8Array(16), tos: 0x10,
  }));
  complain(routed({ payload: new Uint8Array(1000) }));
  t.is(eth.sent[1]!.length, 576);
  t.is(mib(ICMP_MIB_OUTDESTUNREACHS), 2);
});

test.serial("no error about errors, broadcasts, later fragments, odd sources", (t) => {
  complain(routed({ protocol: 1, payload: icmpMessage(3, 1, 0, new Uint8Array(28)) }));
  complain(routed({ protocol: 1, payload: icmpMessage(99, 1, 0, new Uint8Array(28)) }));
  complain(routed({ protocol: 1, payload: new Uint8Array(0) }));
  complain(routed({ daddr: ip("10.0.0.255") }));
  complain(routed({ daddr: ip("224.0.0.1") }));
  complain(routed({ frag: 5 }));
  complain(routed({ saddr: 0, daddr: -1 }));
  const frameGroup = routed();
  frameGroup.pktType = 1;
  complain(frameGroup);
  t.is(eth.sent.length, 0);
  complain(routed({ protocol: 1, payload: icmpMessage(8, 0, 0, new Uint8Array(28)) }));
  complain(routed({ frag: 0x2000 }));
  t.is(eth.sent.length, 2, "about an echo request, and about the first fragment");
});

test.serial("errors are limited for each destination and for all", (t) => {
  for (let i = 0; i < 20; i++) complain(routed());
  t.is(eth.sent.length, 6);
  t.is(mib(ICMP_MIB_RATELIMITHOST), 14);
  runTimers(3000);
  for (let i = 0; i < 20; i++) complain(routed());
  t.is(eth.sent.length, 9, "one a second");
  runTimers(5000);
  eth.sent.length = 0;
  for (let i = 0; i < 200; i++) complain(routed({ saddr: ip("10.0.0.20") + i }));
  t.is(eth.sent.length, 50);
  t.is(mib(ICMP_MIB_RATELIMITGLOBAL), 150);
  for (let i = 0; i < 10; i++) receive(eth, echo());
  t.is(eth.sent.length, 60, "replies are not limited");
});

test.serial("silence saves up no more than six errors", (t) => {
  complain(routed());
  runTimers(5500);
  eth.sent.length = 0;
  for (let i = 0; i < 20; i++) complain(routed());
  t.is(eth.sent.length, 6);
});

test.serial("a received error reaches the protocol that sent what it quotes", (t) => {
  const heard: { at: number; info: number; type: number }[] = [];
  inetAddProtocol(17, {
    handler: (skb) => {
      consumeSkb(skb);
      return 0;
    },
    errHandler(skb, info) {
      heard.push({ at: mem8[skb.data + 9]!, info, type: mem8[skb.th]! });
      return 0;
    },
  });
  const quote = ipPacket({ saddr: LOCAL, daddr: PEER, protocol: 17, payload: new Uint8Array(8) });
  const error = (type: number, code: number, rest: number, data: Uint8Array): void => {
    receive(eth, ipPacket({ saddr: PEER, daddr: LOCAL, protocol: 1, payload: icmpMessage(type, code, rest, data) }));
  };
  error(3, 3, 0, quote);
  error(3, 4, 1400, quote);
  error(12, 0, 9 << 24, quote);
  error(11, 0, 0, quote);
  t.deepEqual(heard, [
    { at: 17, info: 0, type: 3 }, { at: 17, info: 1400, type: 3 }, { at: 17, info: 9, type: 12 },
    { at: 17, info: 0, type: 11 },
  ]);
  t.is(mib(ICMP_MIB_INDESTUNREACHS), 2);
  error(11, 1, 0, quote);
  error(3, 16, 0, quote);
  t.is(heard.length, 4, "reassembly timeouts and unknown codes concern no socket");
  error(3, 3, 0, quote.subarray(0, 27));
  error(3, 3, 0, quote.subarray(0, 19));
  error(3, 3, 0, quote.slice().fill(0x44, 0, 1));
  t.is(mib(ICMP_MIB_INERRORS), 3);
  t.is(heard.length, 4);
});

test.serial("a next hop that does not answer: the local sender hears of it", (t) => {
  const heard: number[] = [];
  inetAddProtocol(17, {
    handler: () => 0,
    errHandler(skb) {
      heard.push(mem8[skb.th]!, mem8[skb.th + 1]!);
      return 0;
    },
  });
  const skb = allocSkb(MAX_HEADER + 16)!;
  skbReserve(skb, MAX_HEADER);
  skbPutData(skb, new Uint8Array(16));
  const fl = new Flowi4();
  flowi4Init(fl, PEER, 0, 0, 0, 17);
  const rt = ipRouteOutputKey(initNet, fl)!;
  skb.dst = rt;
  ipPushHeader(skb, null, fl.saddr, PEER, 17, 64, 0, false);
  rt.ops.linkFailure(skb);
  kfreeSkb(skb, 2);
  t.deepEqual(heard, [3, 1]);
});

test.serial("codes of unreachable as errno", (t) => {
  t.deepEqual([0, 1, 2, 3, 4, 15, 16, -1].map(icmpErrConvert), [ENETUNREACH, EHOSTUNREACH, ENOPROTOOPT, ECONNREFUSED,
    EMSGSIZE, EHOSTUNREACH, EHOSTUNREACH, EHOSTUNREACH]);
  const fatal = [2, 3, 6, 7, 8, 9, 10, 13, 14, 15];
  for (let code = -1; code < 20; code++) t.is(icmpErrFatal(code), fatal.includes(code), String(code));
});

test.serial("random messages: nothing throws, nothing is lost", (t) => {
  const message = fc.record({ type: fc.integer({ min: 0, max: 20 }), code: fc.integer({ min: 0, max: 255 }),
    rest: fc.integer(), data: fc.uint8Array({ maxLength: 64 }) }).map((m) => icmpMessage(m.type, m.code, m.rest, m.data));
  const payload = fc.oneof(message, fc.uint8Array({ maxLength: 64 }));
  const daddr = fc.constantFrom(LOCAL, LOCAL, -1, ip("224.0.0.1"));
  fc.assert(fc.property(payload, daddr, (p, to) => {
    receive(eth, ipPacket({ saddr: PEER, daddr: to, protocol: 1, payload: p }));
    return true;
  }), { numRuns: 2000 });
  t.true(mib(ICMP_MIB_INMSGS) >= 2000);
});
