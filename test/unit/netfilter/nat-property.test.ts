/** What NAT promises of any connections: nobody's answers are taken for another's, and what is translated there comes back as it was. */
import test from "ava";
import fc from "fast-check";
import { nfConntrackFlush } from "../../../src/conntrack.ts";
import { jhash, jhashAddress } from "../../../src/lib/jhash.ts";
import { mem8 } from "../../../src/lib/memory.ts";
import { words } from "../../../src/lib/table.ts";
import {
  CT_L4, nfCtAlloc, nfCtConfirm, nfCtDelete, nfCtFind, nfCtNodeRow, nfCtRefresh, TUPLE_DADDR, TUPLE_PORTS, TUPLE_SADDR, TUPLE_WORDS,
} from "../../../src/stack/netfilter/nf-conntrack-table.ts";
import { nfNatSetupInfo } from "../../../src/stack/netfilter/nf-nat-core.ts";
import { nfNatManip } from "../../../src/stack/netfilter/nf-nat-proto.ts";
import { nfNatInvertPorts } from "../../../src/stack/netfilter/nf-nat-unique.ts";
import { internetChecksum, tcpSegment, udpDatagram } from "../../lib/frames.ts";
import { icmpMessage, ipPacket } from "../ipv4/harness.ts";
import { bootRouter, finish, router } from "./home-router.ts";

const TCP = 6;
const UDP = 17;
const ICMP = 1;
const SRC = 0;
const DST = 1;
/** NF_NAT_RANGE_* */
const IPS = 1;
const PORTS = 2;
const RANDOM = 4;
const PERSISTENT = 8;
const FULLY = 16;
const AT = 4096 + 2;

test.beforeEach(() => bootRouter());
test.afterEach((t) => finish(t));

const sum = (packet: Uint8Array): number => {
  const pseudo = new Uint8Array(12);
  pseudo.set(packet.subarray(12, 20));
  pseudo[9] = packet[9]!;
  new DataView(pseudo.buffer).setUint16(10, packet.length - 20);
  return internetChecksum(Uint8Array.from(packet[9] === ICMP ? packet.subarray(20) : [...pseudo, ...packet.subarray(20)]));
};

test.serial("checksums are right after any translation, as from scratch, and translating back gives the packet that was", (t) => {
  const address = fc.integer({ min: -0x80000000, max: 0x7fffffff });
  const port = fc.nat(0xffff);
  fc.assert(
    fc.property(
      fc.constantFrom(TCP, UDP, ICMP), address, address, address, port, port, port, fc.uint8Array({ maxLength: 40 }), fc.boolean(), fc.boolean(),
      (protocol, saddr, daddr, to, sport, dport, toPort, payload, source, bare) => {
        const body = protocol === TCP ? tcpSegment(saddr, daddr, { sport, dport, flags: "A", payload })
          : protocol === UDP ? udpDatagram(saddr, daddr, sport, dport, payload) : icmpMessage(8, 0, (sport << 16) | 1, payload);
        if (protocol === UDP && bare) body[6] = body[7] = 0;
        const packet = ipPacket({ saddr, daddr, protocol, payload: body });
        const tail = AT + packet.length;
        mem8.set(packet, AT);
        const manip = source ? SRC : DST;
        t.true(nfNatManip(AT, tail, manip, to, toPort));
        const changed = mem8.slice(AT, tail);
        const view = new DataView(changed.buffer);
        t.is(view.getInt32(source ? 12 : 16), to);
        t.is(view.getUint16(protocol === ICMP ? 24 : source ? 20 : 22), toPort);
        t.is(internetChecksum(changed.subarray(0, 20)), 0);
        if (protocol === UDP && bare) t.is(view.getUint16(26), 0);
        else {
          t.is(sum(changed), 0);
          if (protocol === UDP) t.not(view.getUint16(26), 0);
        }
        t.true(nfNatManip(AT, tail, manip, source ? saddr : daddr, protocol === ICMP || source ? sport : dport));
        const back = mem8.slice(AT, tail);
        // Zero has two ways to be written.
        const zeros = (bytes: Uint8Array): Uint8Array => bytes.map((byte, i) => ([10, 11].includes(i) ? 0 : byte));
        t.is(internetChecksum(back.subarray(0, 20)), 0);
        t.deepEqual(zeros(back), zeros(packet));
      },
    ),
    { numRuns: 2000 },
  );
});

test.serial("no two connections have the same answers; ports and addresses are of the range; privileged ports stay privileged", (t) => {
  const connection = fc.record({
    protocol: fc.constantFrom(TCP, UDP, ICMP),
    saddr: fc.integer({ min: 1, max: 4 }),
    daddr: fc.integer({ min: 100, max: 102 }),
    sport: fc.constantFrom(1, 80, 511, 512, 600, 1000, 1023, 1024, 5000, 65535),
    dport: fc.constantFrom(53, 80),
    flags: fc.constantFrom(0, RANDOM, FULLY, PERSISTENT),
    ports: fc.boolean(),
    addresses: fc.nat(2),
    end: fc.nat(9),
  });
  fc.assert(
    fc.property(fc.array(connection, { maxLength: 60 }), (connections) => {
      const alive: number[] = [];
      for (const { protocol, saddr, daddr, sport, dport, flags, ports, addresses, end } of connections) {
        if (end === 0 && alive.length > 0) nfCtDelete(alive.shift()!);
        const tuple = protocol === ICMP ? (sport << 16) | (8 << 8) : (sport << 16) | dport;
        if (nfCtFind(saddr, daddr, tuple, protocol) >= 0) continue;
        const row = nfCtAlloc(saddr, daddr, tuple, nfNatInvertPorts(protocol, tuple), protocol);
        const all = IPS | flags | (ports ? PORTS : 0);
        t.is(nfNatSetupInfo(row, DST, IPS, daddr, daddr, 0, 0, 0), 1);
        t.is(nfNatSetupInfo(row, SRC, all, 50, 50 + addresses, 2000, 2063, 0), 1);
        const reply = row + TUPLE_WORDS;
        const given = words[reply + TUPLE_DADDR]!;
        const port = protocol === ICMP ? words[reply + TUPLE_PORTS]! >>> 16 : words[reply + TUPLE_PORTS]! & 0xffff;
        t.true(given >= 50 && given <= 50 + addresses);
        t.is(words[reply + TUPLE_SADDR], daddr);
        if (ports) t.true(port >= 2000 && port <= 2063);
        else if (protocol !== ICMP) {
          const low = sport < 512 ? 1 : sport < 1024 ? 600 : 1024;
          const high = sport < 512 ? 511 : sport < 1024 ? 1023 : 65535;
          // What its source has already comes first.
          const sources = (flags & (RANDOM | FULLY)) === 0 && port >= 2000 && port <= 2063;
          t.true((port >= low && port <= high) || port === sport || sources, `${sport} became ${port}`);
        }
        nfCtRefresh(row, 10_000);
        t.is(nfCtConfirm(row), row, "nobody else has it");
        alive.push(row);
      }
      for (const row of alive) {
        for (const side of [row, row + TUPLE_WORDS]) {
          const node = nfCtFind(words[side + TUPLE_SADDR]!, words[side + TUPLE_DADDR]!, words[side + TUPLE_PORTS]!, words[row + CT_L4]!);
          t.is(nfCtNodeRow(node), row);
          t.is(node & 1, side === row ? 0 : 1);
        }
      }
      nfConntrackFlush(router);
    }),
    { numRuns: 300 },
  );
});

test.serial("the hash of an address is Linux's jhash2() of four words", (t) => {
  fc.assert(
    fc.property(fc.integer(), fc.integer(), (addr, initval) => {
      const bytes = new Uint8Array(16);
      new DataView(bytes.buffer).setInt32(0, addr, true);
      t.is(jhashAddress(addr, initval), jhash(bytes, 0, 16, initval));
    }),
  );
});
