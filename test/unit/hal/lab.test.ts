/** The test harness itself: what a lab shows of real exchanges, and that its checks can fail. */
import { existsSync, rmSync } from "node:fs";
import test, { type ExecutionContext } from "ava";
import { AF_INET, bind, listen, recv, recvfrom, sendto, SOCK_DGRAM, SOCK_STREAM, SockaddrIn } from "../../../src/index.ts";
import { allocSkb } from "../../../src/stack/core/skbuff.ts";
import { hasEthernet, hasIp, hasTcpOptions, isArp, isIcmp, isTcp, isUdp } from "../../lib/check.ts";
import {
  ascii, describeFrame, ETHER_IP, ethernetFrame, internetChecksum, ipPacket, parseFrame, PROTO_TCP, tcpSegment,
} from "../../lib/frames.ts";
import { createLab, Lab } from "../../lib/lab.ts";

const A = 0x0a000001;
const B = 0x0a000002;
const MAC_A = { hi: 0x0200, lo: A };
const MAC_B = { hi: 0x0200, lo: B };

test("a built segment reads back as it was written", (t) => {
  const fields = {
    sport: 1000, dport: 80, seq: 0xfffffff0, ack: 7, flags: "SA", window: 1234, urgent: 0,
    options: { mss: 1460, sackPermitted: true, ts: [1, 2] as const, wscale: 7 }, payload: ascii("abc"),
  };
  const frame = parseFrame(ethernetFrame(MAC_A, MAC_B, ETHER_IP, ipPacket({ saddr: B, daddr: A, protocol: PROTO_TCP }, tcpSegment(B, A, fields))));
  t.deepEqual(frame.tcp, fields as unknown as typeof frame.tcp);
  t.deepEqual(frame.badChecksums, []);
  t.is(frame.ip?.saddr, "10.0.0.2");
  t.is(frame.dst, "02:00:0a:00:00:01");
  t.true(describeFrame(frame).includes("10.0.0.2:1000 > 10.0.0.1:80 [SA]"));
});

test("one flipped bit is a wrong checksum", (t) => {
  const bytes = ethernetFrame(MAC_A, MAC_B, ETHER_IP, ipPacket({ saddr: B, daddr: A, protocol: PROTO_TCP }, tcpSegment(B, A, { sport: 1, dport: 2, flags: "A" })));
  bytes[40]! ^= 1;
  t.deepEqual(parseFrame(bytes).badChecksums, ["tcp"]);
  t.truthy(isTcp()(parseFrame(bytes)));
  bytes[40]! ^= 1;
  bytes[22]! ^= 1;
  t.deepEqual(parseFrame(bytes).badChecksums, ["ip"]);
});

test("the checksum of RFC 1071's example", (t) => {
  t.is(internetChecksum(Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7)), ~0xddf2 & 0xffff);
});

test("a host answers ARP and ping at once", (t) => {
  const lab = createLab(t, { hosts: ["a"], peers: ["p"] });
  const p = lab.peer("p");
  p.sendArpRequest("10.0.0.1");
  p.expect(isArp({ op: 2, spa: "10.0.0.1", sha: "02:00:0a:00:00:01", tpa: "10.0.0.2" }), { after: 0 });
  lab.runFor(5);
  p.sendIcmp(8, 0, 0x00010001, ascii("ping"));
  const reply = p.expect(isIcmp({ type: 0, code: 0, rest: 0x00010001, payload: ascii("ping") }, hasIp({ saddr: "10.0.0.1", ttl: 64 })), { at: 5 });
  t.is(reply.timeMs, 5);
  p.expectNothing(1000);
});

test("a SYN to a listener is answered, and again after one second and two", (t) => {
  const lab = createLab(t, { hosts: ["a"], peers: ["p"] });
  const a = lab.host("a");
  const p = lab.peer("p");
  const fd = a.socket(AF_INET, SOCK_STREAM);
  t.is(bind(fd, new SockaddrIn(0, 80)), 0);
  t.is(listen(fd, 1), 0);
  p.sendTcp({ sport: 1000, dport: 80, seq: 100, flags: "S", options: { mss: 1000 } });
  const synAck = isTcp({ flags: "SA", ack: 101, sport: 80, dport: 1000 }, hasTcpOptions({ mss: 1460 }), hasEthernet({ dst: "02:00:0a:00:00:02" }));
  p.expect(synAck, { after: 0 });
  p.expect(synAck, { after: 1000 });
  p.expect(synAck, { after: 2000 });
  p.sendTcp({ sport: 1000, dport: 80, seq: 101, flags: "R" });
  p.expectNothing(10_000);
});

test("two hosts exchange datagrams over a wire with a delay", (t) => {
  const lab = createLab(t, { hosts: ["a", "b"], wire: { delayMs: 7 } });
  const a = lab.host("a").socket(AF_INET, SOCK_DGRAM);
  const b = lab.host("b").socket(AF_INET, SOCK_DGRAM);
  t.is(bind(b, new SockaddrIn(0, 7)), 0);
  t.is(sendto(a, ascii("hello"), 0, 5, 0, new SockaddrIn(lab.host("b").addr, 7)), 5);
  const buffer = new Uint8Array(10);
  const from = new SockaddrIn();
  lab.runFor(6);
  t.true(recvfrom(b, buffer, 0, 10, 0, from) < 0);
  lab.runFor(1);
  t.is(recvfrom(b, buffer, 0, 10, 0, from), 5);
  t.is(from.addr, lab.host("a").addr);
  t.deepEqual(buffer.subarray(0, 5), ascii("hello"));
});

test("without neighbours ARP comes first", (t) => {
  const lab = createLab(t, { hosts: ["a"], peers: ["p"], neighbours: false });
  const a = lab.host("a");
  const p = lab.peer("p");
  const fd = a.socket(AF_INET, SOCK_DGRAM);
  t.is(sendto(fd, ascii("x"), 0, 1, 0, new SockaddrIn(p.addr, 9)), 1);
  p.expect(isArp({ op: 1, tpa: "10.0.0.2" }), { after: 0 });
  lab.runFor(3);
  p.sendArpReply(a);
  p.expect(isUdp({ dport: 9, payload: ascii("x") }), { after: 0 });
});

test("a check that does not hold, a wrong time, an unexpected frame and silence are errors", (t) => {
  const lab = createLab(t, { hosts: ["a"], peers: ["p"] });
  const p = lab.peer("p");
  const ping = (): void => p.sendIcmp(8, 0, 1, ascii("x"));
  ping();
  t.throws(() => p.expect(isIcmp({ code: 1 })), { message: /ICMP code is 0, expected 1/ });
  ping();
  t.throws(() => p.expect(isTcp()), { message: /it is not TCP/ });
  ping();
  t.throws(() => p.expect(isIcmp(), { after: 10 }), { message: /expected this at 10 ms/ });
  ping();
  t.throws(() => p.expectNothing(10), { message: /expected nothing, and got/ });
  p.drain();
  t.throws(() => p.expect(isIcmp(), { after: 50 }), { message: /none has come/ });
});

test("what is left in use when a lab is closed is named", (t) => {
  const lab = new Lab({ hosts: ["a"], peers: ["p"] });
  lab.peer("p").sendIcmp(8, 0, 1, ascii("x"));
  lab.runFor(1);
  t.is(lab.close(), "");
  const leaky = new Lab({ hosts: ["a", "b"] });
  t.true(leaky.host("a").socket(AF_INET, SOCK_DGRAM) >= 0);
  t.not(allocSkb(100), null);
  t.regex(leaky.close(), /^2 pool objects leaked:[\s\S]*\nskbuff_data +1 /);
});

test("the capture of a lab is a pcap file with its frames", (t) => {
  const lab = new Lab({ hosts: ["a"], peers: ["p"] });
  lab.runFor(1500);
  lab.peer("p").sendArpRequest("10.0.0.1");
  lab.runFor(1);
  const file = lab.pcap();
  t.is(file.readUInt32LE(0), 0xa1b23c4d);
  const request = file.length - (16 + 60) - (16 + 42);
  t.is(file.readUInt32LE(request), 1);
  t.is(file.readUInt32LE(request + 4), 500_000_000);
  t.is(file.readUInt32LE(request + 8), 42);
  t.is(lab.close(), "");
});

test("a failed test leaves its capture, a passed one does not", (t) => {
  const file = new URL("../../out/lab-probe.pcap", import.meta.url);
  const teardowns: (() => void)[] = [];
  const probe = (passed: boolean): void => {
    rmSync(file, { force: true });
    createLab({ title: "lab probe", passed, teardown: (fn: () => void) => teardowns.push(fn) } as unknown as ExecutionContext);
    teardowns.pop()!();
  };
  probe(true);
  t.false(existsSync(file));
  probe(false);
  t.true(existsSync(file));
  rmSync(file);
});

test("an impaired wire loses and doubles datagrams", (t) => {
  const lab = createLab(t, { hosts: ["a", "b"], seed: 3, wire: { loss: 0.02, delayMs: 5, jitterMs: 2, duplicate: 0.01 } });
  const server = lab.host("b").socket(AF_INET, SOCK_DGRAM);
  t.is(bind(server, new SockaddrIn(0, 7)), 0);
  const client = lab.host("a").socket(AF_INET, SOCK_DGRAM);
  const to = new SockaddrIn(lab.host("b").addr, 7);
  const buffer = new Uint8Array(4);
  let received = 0;
  lab.addStep(() => {
    if (recv(server, buffer, 0, 4, 0) < 0) return false;
    received++;
    return true;
  });
  for (let i = 0; i < 1000; i++) {
    sendto(client, buffer, 0, 4, 0, to);
    lab.runFor(1);
  }
  lab.runFor(100);
  t.true(received > 960 && received < 1020 && received !== 1000, String(received));
});
