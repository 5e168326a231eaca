/**
 * Each parser of what comes from the wire, with inputs that fast-check makes up and shrinks: whatever comes, no exception, and
 * all that it took is given back.
 */
import test from "ava";
import fc from "fast-check";
import { SKB_DROP_REASON_NOT_SPECIFIED } from "../../src/uapi/drop-reason.ts";
import {
  arpPacket, ETHER_ARP, ETHER_IP, ethernetFrame, icmpMessage, internetChecksum, ipPacket, PROTO_ICMP, PROTO_TCP, PROTO_UDP,
  type TcpFields, tcpSegment, udpDatagram,
} from "../lib/frames.ts";
import { isTcp } from "../lib/check.ts";
import { World } from "./world.ts";

const RUNS = 400;
/** SYN-ACKs, neighbours that do not answer and TIME_WAIT are over by then. */
const OVER_MS = 400_000;
const PORT = 80;

const uint = (bits: number): fc.Arbitrary<number> => fc.integer({ min: 0, max: 2 ** bits - 1 });
const body = (most: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength: most });

/** One property: `inject` gives the board what an input stands for. */
function property<T>(title: string, input: fc.Arbitrary<T>, inject: (world: World, value: T) => void): void {
  test.serial(title, (t) => {
    const world = new World({ peers: ["p"] });
    world.listen(world.board, PORT, 4);
    const { kernel } = world.board;
    const udp = world.socket(world.board, kernel.SOCK_DGRAM);
    kernel.bind(udp, new kernel.SockaddrIn(0, 53));
    const inUse = (): string => JSON.stringify([...kernel.inUse()].filter(([name]) => name !== "arp_cache"));
    const before = inUse();
    const buffer = new Uint8Array(2000);
    fc.assert(fc.property(input, (value) => {
      inject(world, value);
      world.runFor(1);
      while (kernel.recv(udp, buffer, 0, 2000, 0) >= 0);
      world.runFor(OVER_MS);
      world.peer().drain();
      const after = inUse();
      if (after !== before) throw new Error(`in use ${after}, before ${before}`);
    }), { numRuns: RUNS, seed: 1 });
    t.is(kernel.drops(SKB_DROP_REASON_NOT_SPECIFIED), 0, "no drop without a reason");
  });
}

property("ethTypeTrans: any bytes", body(1600), (world, value) => world.peer().sendFrame(value));

property("arpRcv: any packet", fc.tuple(uint(16), uint(32), uint(32), body(40), fc.boolean()), (world, [op, spa, tpa, rest, raw]) => {
  const p = world.peer();
  const packet = arpPacket({ op, sha: p.mac, spa: spa | 0, tpa: op % 2 === 0 ? tpa | 0 : world.board.addr });
  if (raw) packet.set(rest.subarray(0, 28));
  p.sendFrame(ethernetFrame(world.board.mac, p.mac, ETHER_ARP, packet));
});

const ipHeader = fc.record({
  first: fc.oneof(fc.constant(0x45), uint(8)), tos: uint(8), length: fc.option(uint(16)), frag: fc.oneof(fc.constant(0), uint(16)),
  ttl: uint(8), protocol: fc.oneof(fc.constantFrom(1, 6, 17), uint(8)), saddr: uint(32), ours: fc.boolean(), daddr: uint(32),
  payload: body(200), right: fc.boolean(),
});

property("ipRcv: any header, options and payload", ipHeader, (world, header) => {
  const p = world.peer();
  const daddr = header.ours ? world.board.addr : header.daddr | 0;
  const packet = ipPacket({ saddr: header.saddr | 0, daddr, protocol: header.protocol, ttl: header.ttl, tos: header.tos }, header.payload);
  const view = new DataView(packet.buffer);
  packet[0] = header.first;
  if (header.length !== null) view.setUint16(2, header.length);
  view.setUint16(6, header.frag);
  view.setUint16(10, 0);
  if (header.right) view.setUint16(10, internetChecksum(packet.subarray(0, Math.min(packet.length, (header.first & 15) * 4))));
  p.sendFrame(ethernetFrame(world.board.mac, p.mac, ETHER_IP, packet));
});

property("icmpRcv: any message", fc.tuple(fc.oneof(fc.constantFrom(0, 3, 4, 5, 8, 11, 12, 13), uint(8)), uint(8), uint(32), body(100)), (world, [type, code, rest, payload]) => {
  world.peer().sendIp(PROTO_ICMP, icmpMessage(type, code, rest, payload));
});

const quoted = fc.record({
  type: fc.constantFrom(3, 4, 5, 11, 12), code: fc.nat(20), rest: uint(32), protocol: fc.constantFrom(1, 6, 17), sport: uint(16),
  dport: uint(16), seq: uint(32), cut: fc.nat(60),
});

property("icmpRcv: errors about packets never sent", quoted, (world, { type, code, rest, protocol, sport, dport, seq, cut }) => {
  const p = world.peer();
  const segment = tcpSegment(world.board.addr, p.addr, { sport, dport, seq, flags: "A" });
  const packet = ipPacket({ saddr: world.board.addr, daddr: p.addr, protocol }, segment);
  p.sendIp(PROTO_ICMP, icmpMessage(type, code, rest, packet.subarray(0, cut)));
});

property("icmpRcv: errors about a connection that opens", quoted, (world, { type, code, rest, cut }) => {
  const p = world.peer();
  const { kernel, fd } = world.connect(world.board, 7, p.addr);
  const syn = p.expect(isTcp({ flags: "S" }));
  p.sendIp(PROTO_ICMP, icmpMessage(type, code, rest, syn.bytes.slice(14, 14 + 20 + cut)));
  world.runFor(1);
  kernel.close(fd);
});

property("udpRcv: any length and checksum", fc.tuple(uint(16), fc.constantFrom(53, 54), fc.option(uint(16)), fc.option(uint(16)), body(300)), (world, [sport, dport, length, sum, payload]) => {
  const p = world.peer();
  const datagram = udpDatagram(p.addr, world.board.addr, sport, dport, payload);
  const view = new DataView(datagram.buffer);
  if (length !== null) view.setUint16(4, length);
  if (sum !== null) view.setUint16(6, sum);
  p.sendIp(PROTO_UDP, datagram);
});

/** Options of TCP as a sender of nonsense would write them. */
const options = fc.oneof(
  body(40),
  fc.array(fc.tuple(fc.constantFrom(0, 1, 2, 3, 4, 5, 8, 34, 255), fc.nat(12), body(10)), { maxLength: 6 }).map((list) =>
    Uint8Array.from(list.flatMap(([kind, length, data]) => [kind, length, ...data])).slice(0, 40)),
);

/** A segment with those bytes as options, its checksum right. */
function withOptions(saddr: number, daddr: number, fields: TcpFields, extra: Uint8Array, words: number | null): Uint8Array {
  const plain = tcpSegment(saddr, daddr, fields);
  const room = Math.ceil(extra.length / 4) * 4;
  const whole = new Uint8Array(plain.length + room);
  whole.set(plain.subarray(0, 20));
  whole.set(extra, 20);
  whole.set(plain.subarray(20), 20 + room);
  whole[12] = (words ?? 5 + room / 4) << 4;
  whole[16] = whole[17] = 0;
  const pseudo = (saddr >>> 16) + (saddr & 0xffff) + (daddr >>> 16) + (daddr & 0xffff) + PROTO_TCP + whole.length;
  new DataView(whole.buffer).setUint16(16, internetChecksum(whole, pseudo));
  return whole;
}

const flags = fc.subarray([..."FSRPAUEC"]).map((letters) => letters.join(""));
const segment = fc.record({
  flags, options, words: fc.option(uint(4), { freq: 5 }), seq: fc.oneof(fc.integer({ min: -70_000, max: 70_000 }), uint(32)),
  ack: fc.oneof(fc.integer({ min: -5, max: 5 }), uint(32)), window: uint(16), payload: body(300), urgent: uint(16),
});

property("tcpV4Rcv: any segment for a listener or nobody", fc.tuple(segment, fc.constantFrom(PORT, 81)), (world, [one, dport]) => {
  const p = world.peer();
  const fields = { ...one, options: {}, sport: 9, dport, seq: one.seq >>> 0, ack: one.ack >>> 0 };
  p.sendIp(PROTO_TCP, withOptions(p.addr, world.board.addr, fields, one.options, one.words));
});

property("tcpV4Rcv: any segments for a connection, from SYN_RECV to its end", fc.tuple(fc.array(segment, { maxLength: 6 }), fc.nat(3), fc.boolean(), fc.boolean()), (world, [segments, when, ts, wscale]) => {
  const p = world.peer();
  const { kernel } = world.board;
  const listener = world.listen(world.board, 90, 2);
  const seq = 0xfffffff0;
  p.sendTcp({ sport: 9, dport: 90, seq, flags: "S", options: { mss: 500, ...(ts && { ts: [1, 0] as const }), ...(wscale && { wscale: 2 }) } });
  const ack = (p.expect(isTcp({ flags: "SA" })).tcp!.seq + 1) >>> 0;
  let fd = -1;
  segments.forEach((one, index) => {
    if (index === when) p.sendTcp({ sport: 9, dport: 90, seq: (seq + 1) >>> 0, ack, flags: "A", ...(ts && { options: { ts: [2, 0] as const } }) });
    if (fd < 0) fd = kernel.accept4(listener.fd, null, 0);
    if (index === when + 1 && fd >= 0) kernel.send(fd, new Uint8Array(700), 0, 700, 0);
    if (index === when + 2 && fd >= 0) kernel.close(fd);
    const fields = { ...one, options: {}, sport: 9, dport: 90, seq: (seq + 1 + one.seq) >>> 0, ack: (ack + one.ack) >>> 0 };
    p.sendIp(PROTO_TCP, withOptions(p.addr, world.board.addr, fields, one.options, one.words));
    world.runFor(1);
  });
  kernel.close(listener.fd);
  if (fd >= 0) kernel.close(fd);
});

property("tcpV4Rcv: any segments that answer a SYN", fc.array(segment, { maxLength: 4 }), (world, segments) => {
  const p = world.peer();
  const { kernel, fd } = world.connect(world.board, 7, p.addr);
  const { seq, sport } = p.expect(isTcp({ flags: "S" })).tcp!;
  for (const one of segments) {
    const fields = { ...one, options: {}, sport: 7, dport: sport, seq: one.seq >>> 0, ack: (seq + 1 + one.ack) >>> 0 };
    p.sendIp(PROTO_TCP, withOptions(p.addr, world.board.addr, fields, one.options, one.words));
    world.runFor(1);
    kernel.recv(fd, new Uint8Array(500), 0, 500, 0);
  }
  kernel.close(fd);
});
