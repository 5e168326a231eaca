/** What client and server make of any DHCP message, against a naive decoder: options in parts, in other fields, padded, spoiled, cut. */
import test from "ava";
import fc from "fast-check";
import { dhcp, dhcpStop } from "../../../src/services/dhcp.ts";
import { DhcpLease, dhcpOfferOk, dhcpReadLease } from "../../../src/services/dhcp-lease.ts";
import { dhcpCheck, dhcpOption, dhcpOptionAt, dhcpType } from "../../../src/services/dhcp-message.ts";
import { scratch } from "../../../src/services/service.ts";
import { createLab } from "../../lib/lab.ts";
import { spoil, spoiling } from "../../lib/spoil.ts";

const MESSAGE = 576;
const LONGEST_OPTION = 255;
const FILE = 108;
const SNAME = 44;
const OPTIONS = 240;

type Options = ReadonlyMap<number, readonly number[]>;

/** The options of an area up to its END, in their order; null where they do not fit. */
function readArea(bytes: Uint8Array): [number, number[]][] | null {
  const found: [number, number[]][] = [];
  for (let at = 0; at < bytes.length; at++) {
    const code = bytes[at]!;
    if (code === 255) return found;
    if (code === 0) continue;
    const length = bytes[++at];
    if (length === undefined) return null;
    found.push([code, [...bytes.subarray(at + 1, at + 1 + length)]]);
    at += length;
  }
  return null;
}

/** All options, those in parts put together (RFC 3396), as far as there is room for them; null for no message. */
function readOptions(bytes: Uint8Array): Options | null {
  if (bytes.length < OPTIONS || bytes.length > MESSAGE || bytes[0] !== 2 || bytes[2]! > 16) return null;
  if (Buffer.from(bytes.subarray(236, 240)).toString("hex") !== "63825363") return null;
  const all = readArea(bytes.subarray(OPTIONS));
  if (all === null) return null;
  const [, overload = []] = all.find(([code]) => code === 52) ?? [];
  const fields = overload.length === 1 ? overload[0]! : 0;
  for (const [bit, from, to] of [[1, FILE, 236], [2, SNAME, FILE]] as const) {
    if ((fields & bit) === 0) continue;
    const more = readArea(bytes.subarray(from, to));
    if (more === null) return null;
    all.push(...more);
  }
  const options = new Map<number, number[]>();
  for (const [code, data] of all) options.set(code, [...(options.get(code) ?? []), ...data].slice(0, LONGEST_OPTION));
  return options;
}

const word = (bytes: readonly number[], at = 0): number => (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
const words = (bytes: readonly number[] = []): number[] => Array.from({ length: bytes.length >> 2 }, (_, i) => word(bytes, i * 4));
const classMask = (addr: number): number => (addr >= 0 ? -0x1000000 : (addr & 0x40000000) === 0 ? -0x10000 : -0x100);
const unsigned = (bytes: readonly number[] | undefined, length: number): number | undefined =>
  bytes?.length === length ? bytes.reduce((sum, byte) => sum * 256 + byte, 0) : undefined;

function text(bytes: readonly number[] | undefined, room: number): string {
  const end = bytes?.indexOf(0) ?? 0;
  const kept = end < 0 ? bytes! : (bytes ?? []).slice(0, end);
  return kept.length > room ? "" : kept.map((byte) => (byte > 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "?")).join("");
}

/** Option 121: null when it is not there or not well written. */
function classlessRoutes(bytes: readonly number[] = []): number[][] | null {
  if (bytes.length === 0) return null;
  const routes: number[][] = [];
  for (let at = 0; at < bytes.length;) {
    const prefix = bytes[at]!;
    const significant = Math.ceil(prefix / 8);
    const next = at + 1 + significant + 4;
    if (prefix > 32 || (next > bytes.length && bytes.length < LONGEST_OPTION)) return null;
    if (next > bytes.length) break;
    const dst = word([...bytes.slice(at + 1, at + 1 + significant), 0, 0, 0, 0]);
    const mask = prefix === 0 ? 0 : -1 << (32 - prefix);
    routes.push([dst & mask, mask, word(bytes, next - 4)]);
    at = next;
  }
  return routes;
}

interface Meaning {
  readonly offer: boolean;
  readonly ack: boolean;
  readonly lease: object;
}

function meaning(bytes: Uint8Array, options: Options): Meaning {
  const addr = word([...bytes.subarray(16, 20)]);
  const first = (code: number, otherwise: number): number => words(options.get(code))[0] ?? otherwise;
  const host = ![0, 127].includes(bytes[16]!) && bytes[16]! < 224;
  const mask = first(1, -1);
  const seconds = unsigned(options.get(51), 4);
  const good = host && first(54, 0) !== 0 && /^1*0*$/.test((mask >>> 0).toString(2).padStart(32, "0"));
  const leaseSec = seconds ?? 0xffffffff;
  const t1 = unsigned(options.get(58), 4) ?? leaseSec / 2;
  const t2 = unsigned(options.get(59), 4) ?? leaseSec * 0.875;
  const sane = t1 > 0 && t1 < t2 && t2 < leaseSec;
  const classless = classlessRoutes(options.get(121));
  const router = classless === null ? first(3, 0) : classless.filter(([, route]) => route === 0).at(-1)?.[2] ?? 0;
  const pairs = words(options.get(33));
  const old = Array.from({ length: pairs.length >> 1 }, (_, i) => [pairs[i * 2]!, pairs[i * 2 + 1]!] as const).filter(([dst]) => dst !== 0)
    .map(([dst, gateway]) => [dst & classMask(dst), classMask(dst), gateway]);
  return {
    offer: good && (seconds === undefined || seconds >= 30), ack: good && seconds !== undefined && seconds >= 30,
    lease: {
      addr, mask: first(1, classMask(addr)), broadcast: first(28, 0), server: first(54, 0), mtu: unsigned(options.get(26), 2) ?? 0,
      dns: words(options.get(6)).slice(0, 3), ntp: words(options.get(42)).slice(0, 3), hostname: text(options.get(12), 64),
      domain: text(options.get(15), 128), leaseSec, t1Sec: sane ? t1 : leaseSec / 2, t2Sec: sane ? t2 : leaseSec * 0.875, router,
      routes: (classless ?? [...(router === 0 ? [] : [[0, 0, router]]), ...old]).slice(0, 8),
    },
  };
}

function leaseOf(lease: DhcpLease): object {
  const { addr, mask, broadcast, server, mtu, dnsCount, ntpCount, hostname, domain, leaseSec, t1Sec, t2Sec, router, routeCount, routes } = lease;
  return {
    addr, mask, broadcast, server, mtu, dns: [...lease.dns.subarray(0, dnsCount)], ntp: [...lease.ntp.subarray(0, ntpCount)], hostname, domain,
    leaseSec, t1Sec, t2Sec, router, routes: Array.from({ length: routeCount }, (_, i) => [...routes.subarray(i * 3, i * 3 + 3)]),
  };
}

/** One option: data of the length that belongs to it, or of any. */
const octets = (least: number, most = least): fc.Arbitrary<number[]> => fc.array(fc.oneof(fc.nat(255), fc.constantFrom(0, 10, 255)), { minLength: least, maxLength: most });
const usual = fc.oneof(
  fc.tuple(fc.constantFrom(54, 28), octets(4)), fc.tuple(fc.constant(1), fc.constantFrom([255, 255, 255, 0], [255, 0, 255, 0], [255, 255, 255, 254])),
  fc.tuple(fc.constantFrom(51, 58, 59), fc.tuple(fc.constantFrom(0, 0, 0, 255), fc.constantFrom(0, 0, 255), fc.nat(255), fc.nat(255)).map((bytes) => [...bytes])),
  fc.tuple(fc.constantFrom(3, 6, 42, 33), octets(0, 24)), fc.tuple(fc.constantFrom(12, 15), fc.oneof(octets(0, 30), fc.constant([...Buffer.from("board7")]))),
  fc.tuple(fc.constant(26), octets(2)), fc.tuple(fc.constant(53), fc.constantFrom([2], [5], [6])),
  fc.tuple(fc.constant(121), fc.array(fc.oneof({ weight: 8, arbitrary: fc.integer({ min: 0, max: 32 }) }, { weight: 1, arbitrary: fc.constant(33) })
    .chain((prefix) => octets(Math.ceil(prefix / 8) + 4).map((rest) => [prefix, ...rest])), { maxLength: 12 }).map((routes) => routes.flat())),
);
const options = fc.array(fc.oneof({ weight: 8, arbitrary: usual }, { weight: 1, arbitrary: fc.tuple(fc.nat(255), octets(0, 40)) }), { maxLength: 10 });

interface Draft {
  readonly addr: readonly number[];
  readonly main: readonly (readonly [number, readonly number[]])[];
  readonly file: readonly (readonly [number, readonly number[]])[];
  readonly sname: readonly (readonly [number, readonly number[]])[];
  readonly overload: number | null;
  /** Options are cut into parts of so many bytes, and padded by so many zeros. */
  readonly part: number;
  readonly pad: number;
  readonly ended: boolean;
}

const drafts: fc.Arbitrary<Draft> = fc.record({
  addr: fc.oneof({ weight: 4, arbitrary: fc.constant([192, 168, 7, 20]) }, { weight: 1, arbitrary: octets(4) }), main: options,
  file: options, sname: options, overload: fc.constantFrom(null, null, 0, 1, 2, 3, 7), part: fc.constantFrom(255, 255, 100, 7, 1), pad: fc.constantFrom(0, 0, 1, 3),
  ended: fc.oneof({ weight: 9, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
});

function writeArea(all: Draft["main"], { part, pad, ended }: Draft, room: number): number[] {
  const bytes: number[] = [];
  for (const [code, data] of all) {
    for (let at = 0; at === 0 || at < data.length; at += part) {
      const piece = data.slice(at, at + part);
      bytes.push(...new Array<number>(pad).fill(0), code, piece.length, ...piece);
    }
  }
  return ended ? [...bytes.slice(0, room - 1), 255] : bytes.slice(0, room);
}

function write(draft: Draft): Uint8Array {
  const head = new Uint8Array(OPTIONS);
  head.set([2, 1, 6, 0]);
  head.set(draft.addr, 16);
  head.set(writeArea(draft.sname, draft, FILE - SNAME), SNAME);
  head.set(writeArea(draft.file, draft, 236 - FILE), FILE);
  head.set([0x63, 0x82, 0x53, 0x63], 236);
  const overload = draft.overload === null ? [] : [[52, [draft.overload]] as const];
  return Uint8Array.from([...head, ...writeArea([...overload, ...draft.main], draft, MESSAGE - OPTIONS), 1, 4, 0, 0]);
}

test.serial("any message, whole, spoiled or cut, means what it means to a naive reader", (t) => {
  const lab = createLab(t, { hosts: ["board"] });
  const client = dhcp(lab.host("board").net, "eth0", { probe: false });
  t.teardown(() => dhcpStop(client));
  const seen = { none: 0, offers: 0, acks: 0, routes: 0 };
  fc.assert(fc.property(drafts, spoiling, fc.constantFrom(0, 12, 121, 255), (draft, spoiled, rest) => {
    const { bytes, length } = spoil(write(draft), spoiled);
    const expected = readOptions(bytes.slice(0, length));
    scratch.fill(rest);
    scratch.set(bytes.subarray(0, scratch.length));
    if (rest !== 0) scratch.fill(rest, length);
    t.is(dhcpCheck(length, 2), expected !== null);
    if (expected === null) {
      seen.none++;
      return;
    }
    for (let code = 1; code < 255; code++) {
      const found = dhcpOption(code);
      const wanted = expected.get(code);
      if (found !== (wanted?.length ?? -1)) t.is(found, wanted?.length ?? -1, `option ${code}`);
      if (wanted !== undefined) t.deepEqual([...scratch.subarray(dhcpOptionAt(), dhcpOptionAt() + found)], wanted, `option ${code}`);
    }
    t.is(dhcpType(), unsigned(expected.get(53), 1) ?? 0);
    const { offer, ack, lease } = meaning(bytes.slice(0, length), expected);
    t.is(dhcpOfferOk(true), offer);
    t.is(dhcpOfferOk(false), ack);
    const read = new DhcpLease();
    read.names.fill(0x7a);
    read.routes.fill(-1);
    dhcpReadLease(read);
    t.deepEqual(leaseOf(read), lease);
    if (offer) seen.offers++;
    if (ack) seen.acks++;
    if (read.routeCount > 1) seen.routes++;
  }), { numRuns: 500 });
  t.true(Object.values(seen).every((count) => count > 0), JSON.stringify(seen));
});
