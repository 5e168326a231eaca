/** Socket filters: the verifier, the interpreter against a naive model, and what the real tcpdump compiled against plain predicates. */
import { readFileSync } from "node:fs";
import test from "ava";
import fc from "fast-check";
import { mem8 } from "../../../src/lib/memory.ts";
import { poolsInUse } from "../../../src/lib/pool.ts";
import { filterInit } from "../../../src/stack/core/filter.ts";
import { allocSkb, consumeSkb, skbPutData, skbReserve, type SkBuff } from "../../../src/stack/core/skbuff.ts";
import { type Proto, skAlloc, skFilter, skFilterOps, sockPut, type Sock } from "../../../src/stack/core/sock.ts";
import { EINVAL, ENOENT, ENOMEM } from "../../../src/uapi/errno.ts";
import { BPF_MAXINSNS } from "../../../src/uapi/filter.ts";
import { AF_PACKET } from "../../../src/uapi/socket.ts";
import { bootIpv4, initNet } from "../ipv4/harness.ts";

type Insn = readonly [code: number, jt: number, jf: number, k: number];

const proto = { name: "TEST", free: () => undefined } as unknown as Proto;
const INSNS = 64;

let sk: Sock;

function start(): void {
  bootIpv4();
  filterInit(2, INSNS);
  sk = skAlloc(initNet, AF_PACKET, proto)!;
}

function finish(t: { is(a: unknown, b: unknown): void }): void {
  sockPut(sk);
  t.is(poolsInUse(), 0);
}

function attach(program: readonly Insn[]): number {
  return skFilterOps!.attach(sk, Int32Array.from(program.flat()));
}

/** A packet with these bytes, and `poison` in front of them and behind. */
function packet(bytes: Uint8Array, poison = 0): SkBuff {
  const skb = allocSkb(1500)!;
  mem8.fill(poison, skb.head, skb.head + 1500);
  skbReserve(skb, 64);
  skbPutData(skb, bytes);
  skb.mac = skb.data;
  skb.nh = skb.data + Math.min(14, bytes.length);
  return skb;
}

function run(bytes: Uint8Array, poison = 0): number {
  const skb = packet(bytes, poison);
  const wanted = skFilter(sk, skb);
  consumeSkb(skb);
  return wanted;
}

const RET = [6, 0, 0, 7] as const;

test.serial("what is no program is refused", (t) => {
  start();
  const refused: (readonly Insn[])[] = [
    [],
    [[0, 0, 0, 0]],
    [[0x15, 0, 0, 0]],
    [[0x15, 1, 0, 0], RET],
    [[0x15, 0, 1, 0], RET],
    [[0x05, 0, 0, 1], RET],
    [[0x05, 0, 0, -1], RET],
    [[0x34, 0, 0, 0], RET],
    [[0x94, 0, 0, 0], RET],
    [[0x64, 0, 0, 32], RET],
    [[0x74, 0, 0, -1], RET],
    [[0x02, 0, 0, 16], RET],
    [[0x60, 0, 0, 16], RET],
    [[0x60, 0, 0, 3], RET],
    [[0x15, 0, 1, 0], [0x02, 0, 0, 3], [0x60, 0, 0, 3], RET],
    [[0x8c, 0, 0, 0], RET],
    [[0x0d, 0, 0, 0], RET],
    [[0xb4, 0, 0, 0], RET],
    [[0x29, 0, 0, 0], RET],
    [[0x100, 0, 0, 0], RET],
    [[0x28, 0, 0, -0x1000 + 12], RET],
    [[0x28, 0, 0, -0x1000 + 64], RET],
    [[0x0e, 0, 0, 0]],
  ];
  for (const program of refused) t.is(attach(program), -EINVAL, JSON.stringify(program));
  t.is(skFilterOps!.attach(sk, Int32Array.of(6, 0, 0)), -EINVAL);
  t.is(attach(new Array<Insn>(BPF_MAXINSNS + 1).fill(RET)), -EINVAL);
  t.is(attach(new Array<Insn>(INSNS + 1).fill(RET)), -ENOMEM);
  t.is(attach([[0x15, 0, 1, 0], [0x02, 0, 0, 3], RET]), 0, "a store that nobody reads");
  t.is(attach([RET]), 0);
  t.is(run(new Uint8Array(4)), 7, "the newer one is in its place");
  t.is(skFilterOps!.detach(sk), 0);
  t.is(skFilterOps!.detach(sk), -ENOENT);
  finish(t);
});

/** A program's answer by the book, over bytes that cannot be left. */
function model(program: readonly Insn[], bytes: Uint8Array): number {
  let a = 0;
  let x = 0;
  const m = new Array<number>(16).fill(0);
  const read = (offset: number, size: number): number => {
    const at = offset >= 0 ? offset : offset >= -0x100000 ? Math.min(14, bytes.length) + offset + 0x100000
      : offset >= -0x200000 ? offset + 0x200000 : -1;
    if (at < 0 || at + size > bytes.length) return NaN;
    let value = 0;
    for (let i = 0; i < size; i++) value = value * 256 + bytes[at + i]!;
    return value;
  };
  for (let pc = 0; pc < program.length; pc++) {
    const [code, jt, jf, signed] = program[pc]!;
    const k = signed >>> 0;
    const size = [4, 2, 1][(code >> 3) & 3]!;
    const operand = (code & 8) !== 0 ? x : k;
    const op = code & 0xf0;
    switch (code & 7) {
      case 0: {
        const mode = code & 0xe0;
        if (mode === 0) a = k;
        else if (mode === 0x60) a = m[k]!;
        else if (mode === 0x80) a = bytes.length;
        else a = read(mode === 0x20 ? signed : (x + k) | 0, size);
        if (Number.isNaN(a)) return 0;
        break;
      }
      case 1:
        if (code === 1) x = k;
        else if (code === 0x61) x = m[k]!;
        else if (code === 0x81) x = bytes.length;
        else x = (read(signed, 1) & 15) * 4;
        if (code === 0xb1 && Number.isNaN(read(signed, 1))) return 0;
        break;
      case 2: m[k] = a; break;
      case 3: m[k] = x; break;
      case 4: {
        if ((op === 0x30 || op === 0x90) && operand === 0) return 0;
        const big = BigInt(a);
        const by = BigInt(operand);
        const results: Record<number, bigint> = {
          0x00: big + by, 0x10: big - by, 0x20: big * by, 0x40: big | by, 0x50: big & by, 0x60: big << (by & 31n), 0x70: big >> (by & 31n),
          0x80: -big, 0xa0: big ^ by,
        };
        a = Number(BigInt.asUintN(32, op === 0x30 ? big / by : op === 0x90 ? big % by : results[op]!));
        break;
      }
      case 5:
        if (op === 0) pc += k;
        else pc += (op === 0x10 ? a === operand : op === 0x20 ? a > operand : op === 0x30 ? a >= operand : (a & operand) !== 0) ? jt : jf;
        break;
      case 6: return Math.min(0x7fffffff, (code & 0x10) !== 0 ? a : k);
      default: if (code === 7) x = a; else a = x;
    }
  }
  throw new Error("ran off the end");
}

const K = fc.oneof(fc.nat(80), fc.integer(), fc.constantFrom(-0x100000, -0x0fffff, -0x200000, -0x1fffff, 0x7fffffff, -1));
const CODE = fc.constantFrom(
  0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0x80, 0x00, 0x60, 0x81, 0xb1, 0x01, 0x61, 0x02, 0x03, 0x04, 0x0c, 0x14, 0x1c, 0x24, 0x2c, 0x34,
  0x3c, 0x44, 0x4c, 0x54, 0x5c, 0x64, 0x6c, 0x74, 0x7c, 0x84, 0x94, 0x9c, 0xa4, 0xac, 0x05, 0x15, 0x1d, 0x25, 0x2d, 0x35, 0x3d, 0x45,
  0x4d, 0x06, 0x16, 0x07, 0x87,
);
/** Mostly programs that pass: small jumps, scratch words that have a value. */
const PROGRAM = fc.array(fc.tuple(CODE, fc.nat(4), fc.nat(4), K), { minLength: 1, maxLength: 40 }).map((body) => {
  const program: Insn[] = [[0x02, 0, 0, 0], [0x02, 0, 0, 1]];
  for (const [code, jt, jf, k] of body) {
    const shift = code === 0x64 || code === 0x74;
    const scratch = code === 0x60 || code === 0x61 || code === 0x02 || code === 0x03;
    program.push([code, jt, jf, scratch ? k & 1 : shift ? k & 31 : code === 0x05 ? k & 3 : k]);
  }
  for (let i = 0; i < 6; i++) program.push([0x16, 0, 0, 0]);
  return program;
});

test.serial("random programs that pass the verifier end, and read nothing outside of the packet", (t) => {
  start();
  let passed = 0;
  fc.assert(fc.property(PROGRAM, fc.uint8Array({ maxLength: 70 }), (program, bytes) => {
    if (attach(program) !== 0) return;
    passed++;
    const wanted = run(bytes, 0x00);
    if (wanted !== run(bytes, 0xff)) throw new Error("what lies around the packet was read");
    if (wanted !== model(program, bytes)) throw new Error(`${wanted}, the model says ${model(program, bytes)}`);
  }), { numRuns: 2000 });
  t.true(passed > 500, `${passed} programs passed`);
  finish(t);
});

test.serial("random numbers are refused or end", (t) => {
  start();
  fc.assert(fc.property(
    fc.array(fc.tuple(fc.nat(0xff), fc.nat(8), fc.nat(8), K), { minLength: 1, maxLength: 30 }), fc.uint8Array({ maxLength: 40 }),
    (program, bytes) => {
      if (attach([...program, RET]) === 0) run(bytes);
    },
  ), { numRuns: 2000 });
  finish(t);
});

interface Frame {
  readonly bytes: Uint8Array;
  readonly u8: (at: number) => number;
  readonly u16: (at: number) => number;
  readonly u32: (at: number) => number;
}

/** Bytes past the end are NaN, of which no comparison is true. */
function frameOf(bytes: Uint8Array): Frame {
  const u8 = (at: number): number => bytes[at] ?? NaN;
  const u16 = (at: number): number => u8(at) * 256 + u8(at + 1);
  return { bytes, u8, u16, u32: (at) => u16(at) * 65536 + u16(at + 2) };
}

const isIp = (f: Frame): boolean => f.u16(12) === 0x0800;
const isIp6 = (f: Frame): boolean => f.u16(12) === 0x86dd;
const first = (f: Frame): boolean => (f.u16(20) & 0x1fff) === 0 && !Number.isNaN(f.u16(20));
const th = (f: Frame): number => 14 + (f.u8(14) & 15) * 4;
const proto4 = (f: Frame, number: number): boolean => isIp(f) && f.u8(23) === number;
const ports = (f: Frame, protocols: readonly number[], test4: (src: number, dst: number) => boolean): boolean =>
  (isIp(f) && protocols.includes(f.u8(23)) && first(f) && test4(f.u16(th(f)), f.u16(th(f) + 2)))
  || (isIp6(f) && protocols.includes(f.u8(20)) && test4(f.u16(54), f.u16(56)));
const TRANSPORTS = [6, 17, 132];

/** What each filter means. */
const PREDICATES: Readonly<Record<string, (f: Frame) => boolean>> = {
  "ip": isIp,
  "arp": (f) => f.u16(12) === 0x0806,
  "icmp": (f) => proto4(f, 1),
  "not ip": (f) => !Number.isNaN(f.u16(12)) && !isIp(f),
  "ip proto 47": (f) => proto4(f, 47),
  "ether[12:2] = 0x88cc": (f) => f.u16(12) === 0x88cc,
  "ether broadcast": (f) => f.u32(2) === 0xffffffff && f.u16(0) === 0xffff,
  "ether multicast": (f) => f.u8(0) % 2 === 1,
  "ether host 02:00:00:00:00:01": (f) =>
    (f.u16(0) === 0x0200 && f.u32(2) === 1) || (f.u16(6) === 0x0200 && f.u32(8) === 1),
  "greater 100": (f) => f.bytes.length >= 100,
  "less 60": (f) => f.bytes.length <= 60,
  "len % 2 = 1": (f) => f.bytes.length % 2 === 1,
  "ip[8] < 5": (f) => isIp(f) && f.u8(22) < 5,
  "ip[0] & 0xf != 5": (f) => isIp(f) && !Number.isNaN(f.u8(14)) && (f.u8(14) & 15) !== 5,
  "ip[6:2] & 0x1fff != 0": (f) => isIp(f) && (f.u16(20) & 0x1fff) !== 0,
  "tcp port 80": (f) => ports(f, [6], (src, dst) => src === 80 || dst === 80),
  "udp dst port 53": (f) => ports(f, [17], (_src, dst) => dst === 53),
  "port 53 or port 67": (f) => ports(f, TRANSPORTS, (src, dst) => [src, dst].some((port) => port === 53 || port === 67)),
  "icmp[icmptype] == icmp-echo": (f) => proto4(f, 1) && first(f) && f.u8(th(f)) === 8,
  "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0": (f) => proto4(f, 6) && first(f) && (f.u8(th(f) + 13) & 3) !== 0,
  "src host 10.0.0.2": (f) => (isIp(f) && f.u32(26) === 0x0a000002) || ([0x0806, 0x8035].includes(f.u16(12)) && f.u32(28) === 0x0a000002),
};

const CHOICE = (...values: number[]): fc.Arbitrary<number> => fc.constantFrom(...values);
/** Frames that look like those the filters are about, some of them cut: between the fields, as which one is read first is tcpdump's matter. */
const FRAME = fc.record({
  bytes: fc.uint8Array({ minLength: 130, maxLength: 130 }),
  dst: CHOICE(0x02, 0xff, 0x01, 0x04),
  type: CHOICE(0x0800, 0x0800, 0x0800, 0x0806, 0x86dd, 0x88cc, 0x8035),
  ihl: CHOICE(5, 5, 6, 15),
  protocol: CHOICE(1, 6, 17, 47, 132),
  frag: CHOICE(0, 0, 0x4000, 0x2000, 1, 0x3fff),
  ttl: CHOICE(1, 4, 5, 64),
  last: CHOICE(1, 2, 3),
  sport: CHOICE(80, 53, 67, 1024),
  dport: CHOICE(80, 53, 67, 1024),
  head: CHOICE(8, 0, 3),
  flags: CHOICE(0, 1, 2, 16),
  length: CHOICE(130, 130, 129, 101, 100, 61, 60, 59, 13),
}).map((r) => {
  const { bytes } = r;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  bytes.fill(r.dst === 0xff ? 0xff : 0, 0, 6);
  bytes[0] = r.dst;
  if (r.dst === 2) bytes[5] = 1;
  view.setUint16(12, r.type);
  bytes[14] = 0x40 | r.ihl;
  view.setUint16(20, r.frag);
  bytes[22] = r.ttl;
  bytes[23] = r.protocol;
  if (r.type === 0x86dd) bytes[20] = r.protocol;
  for (const at of [26, 28]) if (r.type !== 0x0800 || at === 26) view.setUint32(at, 0x0a000000 + r.last);
  const at = r.type === 0x86dd ? 54 : 14 + r.ihl * 4;
  view.setUint16(at, r.sport);
  view.setUint16(at + 2, r.dport);
  if (r.protocol === 1) bytes[at] = r.head;
  if (r.protocol === 6) bytes[at + 13] = r.flags;
  return bytes.slice(0, r.length);
});

test.serial("what tcpdump compiled decides as the words say", (t) => {
  start();
  const text = readFileSync(new URL("../packet/tcpdump-filters.json", import.meta.url), "utf8");
  const compiled = JSON.parse(text) as Record<string, Insn[]>;
  for (const [expression, program] of Object.entries(compiled)) t.is(attach(program), 0, expression);
  for (const [expression, predicate] of Object.entries(PREDICATES)) {
    t.is(attach(compiled[expression]!), 0, expression);
    // The seed is fixed, so that both answers are met each time.
    const seen = new Set<boolean>();
    fc.assert(fc.property(FRAME, (bytes) => {
      const wanted = predicate(frameOf(bytes));
      seen.add(wanted);
      if ((run(bytes) !== 0) !== wanted) throw new Error(`${expression}: it is ${wanted} for ${Buffer.from(bytes).toString("hex")}`);
    }), { seed: 10, numRuns: 600 });
    t.is(seen.size, 2, `${expression}: both answers were met`);
  }
  finish(t);
});

test.serial("320 filters by chance over 200 packets: what libpcap compiled lets through what tcpdump lets through", (t) => {
  bootIpv4({ skbs: 256 });
  filterInit(1, 128);
  sk = skAlloc(initNet, AF_PACKET, proto)!;
  const text = readFileSync(new URL("../packet/libpcap-filters.json", import.meta.url), "utf8");
  const { packets, filters } = JSON.parse(text) as { packets: string[]; filters: [expression: string, program: Insn[], shown: string][] };
  const skbs = packets.map((hex) => packet(Buffer.from(hex, "hex"), 0xff));
  let both = 0;
  for (const [expression, program, mask] of filters) {
    t.is(attach(program), 0, expression);
    const shown = BigInt(`0x${mask}`);
    let count = 0;
    for (const [number, skb] of skbs.entries()) {
      const wanted = skFilter(sk, skb) !== 0;
      if (wanted) count++;
      if (wanted !== (((shown >> BigInt(number)) & 1n) === 1n)) t.fail(`${expression}: ${wanted} for ${packets[number]}`);
    }
    if (count > 0 && count < packets.length) both++;
  }
  t.log(`${both} of ${filters.length} filters let some through and some not`);
  t.true(both > filters.length / 2);
  for (const skb of skbs) consumeSkb(skb);
  finish(t);
});
