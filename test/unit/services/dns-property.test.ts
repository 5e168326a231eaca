/** What the resolver makes of any answer, against a naive decoder: whole ones, spoiled ones, cut ones. */
import test from "ava";
import fc from "fast-check";
import {
  ANSWER_ALIAS, ANSWER_DATA, ANSWER_FAILED, ANSWER_FOREIGN, ANSWER_FORMERR, ANSWER_NODATA, ANSWER_NXDOMAIN, ANSWER_TRUNCATED, DnsAnswer,
  dnsPutQuery, dnsReadAnswer,
} from "../../../src/services/dns-message.ts";
import { dnsNameIs, dnsNameRead, dnsNameSkip, dnsNameText } from "../../../src/services/dns-name.ts";
import {
  nameData, type NaiveDraft, type NaiveEntry, type NaiveName, nameOf, readMessage, readName, sameName, soaNumbers, ttls, TYPES, writeMessage,
} from "../../lib/naive-dns.ts";
import { spoil, spoiling } from "../../lib/spoil.ts";

const BUFFER = 1232;
const DAY = 86_400;
const THREE_HOURS = 10_800;
const MOST_ALIASES = 8;
const MOST_ADDRESSES = 8;

interface Meaning {
  readonly kind: number;
  readonly addresses?: readonly number[];
  readonly ttl?: number;
  readonly target?: NaiveName;
}

const lowTtl = (ttl: number): number => (ttl >= 0x80000000 ? 0 : ttl);

/** What the message says about the question, read the plain way. */
function meaning(bytes: Uint8Array, id: number, question: NaiveName, type: number, cut: boolean): Meaning {
  if (bytes.length < 12 || bytes[0]! * 256 + bytes[1]! !== id) return { kind: ANSWER_FOREIGN };
  const flags = bytes[2]! * 256 + bytes[3]!;
  if ((flags & 0x8000) === 0 || (flags & 0x7800) !== 0) return { kind: ANSWER_FOREIGN };
  const rcode = flags & 15;
  if (rcode === 1 && bytes[4]! + bytes[5]! === 0) return { kind: ANSWER_FORMERR };
  const message = readMessage(bytes);
  const [asked] = message?.questions ?? [];
  if (message === null || message.questions.length !== 1 || !sameName(asked!.name, question) || asked!.type !== type || asked!.cls !== 1) {
    return { kind: ANSWER_FOREIGN };
  }
  if (rcode === 1) return { kind: ANSWER_FORMERR };
  if (rcode !== 0 && rcode !== 3) return { kind: ANSWER_FAILED };
  if ((flags & 0x0200) !== 0 && !cut) return { kind: ANSWER_TRUNCATED };
  const [answers, authorities] = message.sections;
  const broken = answers.length < message.counts[0];
  const addresses: number[] = [];
  const times = [DAY];
  let aliases = 0;
  let wanted = question;
  /** Follows the names through the answers: the target of a PTR, null for none, ANSWER_FAILED. */
  const follow = (): NaiveName | null | number => {
    for (const record of answers) {
      if (record.cls !== 1 || !sameName(record.name, wanted)) continue;
      if (record.type === type) {
        times.push(lowTtl(record.ttl));
        if (type === TYPES.PTR) return nameData(bytes, record) ?? ANSWER_FAILED;
        if (record.to - record.from !== 4) return ANSWER_FAILED;
        addresses.push(new DataView(bytes.buffer, bytes.byteOffset).getInt32(record.from));
      } else if (record.type === TYPES.CNAME) {
        const target = nameData(bytes, record);
        if (++aliases > MOST_ALIASES || target === null) return ANSWER_FAILED;
        times.push(lowTtl(record.ttl));
        wanted = target;
        return follow();
      }
    }
    return broken && !cut ? ANSWER_FAILED : null;
  };
  const found = follow();
  if (typeof found === "number") return { kind: ANSWER_FAILED };
  const ttl = Math.min(...times);
  if (found !== null) return { kind: ANSWER_DATA, ttl, target: found };
  if (addresses.length > 0) return { kind: ANSWER_DATA, ttl, addresses: addresses.slice(0, MOST_ADDRESSES) };
  const soa = broken ? undefined : authorities.find((record) => record.type === TYPES.SOA);
  if (rcode === 0 && aliases > 0 && soa === undefined) return { kind: ANSWER_ALIAS, target: wanted };
  // Where the end is missing, what was asked for may stand there.
  if (broken && rcode === 0) return { kind: ANSWER_FAILED };
  const kind = rcode === 3 ? ANSWER_NXDOMAIN : ANSWER_NODATA;
  if (soa === undefined) return { kind, ttl: 0 };
  const within = bytes.subarray(0, soa.to);
  const primary = readEnd(within, soa.from);
  const mailbox = primary === null ? null : readEnd(within, primary);
  if (mailbox === null || mailbox + 20 > soa.to) return { kind, ttl: 0 };
  const minimum = new DataView(bytes.buffer, bytes.byteOffset).getUint32(mailbox + 16);
  return { kind, ttl: Math.min(ttl, lowTtl(minimum), lowTtl(soa.ttl), THREE_HOURS) };
}

/** Where a name of an SOA ends, whatever its pointer leads to. */
function readEnd(bytes: Uint8Array, from: number): number | null {
  const end = dnsNameSkip(bytes, bytes.length, from);
  return end < 0 ? null : end;
}

/** What the resolver says, in the same words; what is behind the message is `rest`. */
function answerOf(bytes: Uint8Array, length: number, id: number, question: NaiveName, type: number, cut: boolean, rest: number): Meaning {
  const buffer = new Uint8Array(BUFFER + 300).fill(rest);
  buffer.set(bytes);
  if (rest !== 0) buffer.fill(rest, length);
  const answer = new DnsAnswer();
  answer.target.fill(rest);
  answer.addresses.fill(0x0badbad0);
  const name = Uint8Array.from(question.toLowerCase(), (c) => c.charCodeAt(0));
  const kind = dnsReadAnswer(buffer, new DataView(buffer.buffer), length, id, name, type, cut, answer);
  const target = (): NaiveName => readName(answer.target, 0)!.name;
  if (kind === ANSWER_ALIAS) return { kind, target: target() };
  if (kind === ANSWER_NODATA || kind === ANSWER_NXDOMAIN) return { kind, ttl: answer.ttlSec };
  if (kind !== ANSWER_DATA) return { kind };
  if (type === TYPES.PTR) return { kind, ttl: answer.ttlSec, target: target() };
  return { kind, ttl: answer.ttlSec, addresses: [...answer.addresses.subarray(0, answer.count)] };
}

const lowerTarget = (one: Meaning): Meaning => (one.target === undefined ? one : { ...one, target: one.target.toLowerCase() });

const NAMES = ["a.org", "A.org", "b.org", "c.a.org", "d.b.org", "e", "", "x".repeat(63), `${"y".repeat(60)}.${"z".repeat(60)}.a.org`] as const;
const names = fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...NAMES.slice(0, 5)) }, { weight: 1, arbitrary: fc.constantFrom(...NAMES) });
const classes = fc.oneof({ weight: 8, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.constantFrom(3, 0x8001) });
const octets = fc.array(fc.nat(255), { minLength: 4, maxLength: 4 });

const plain = (type: number, data: fc.Arbitrary<readonly number[]>): fc.Arbitrary<NaiveEntry> =>
  fc.record({ name: names, type: fc.constant(type), cls: classes, ttl: ttls, bytes: data, target: fc.constant(null) });
const named = (type: number): fc.Arbitrary<NaiveEntry> =>
  fc.record({ name: names, type: fc.constant(type), cls: classes, ttl: ttls, bytes: fc.constant([]), target: names });
const soa: fc.Arbitrary<NaiveEntry> = plain(TYPES.SOA, ttls.map((minimum) => [1, 0x6e, 0, 1, 0x72, 0, ...soaNumbers(minimum)]));
const answerRecords = fc.oneof(
  { weight: 4, arbitrary: plain(TYPES.A, octets) }, { weight: 4, arbitrary: named(TYPES.CNAME) }, { weight: 2, arbitrary: named(TYPES.PTR) },
  { weight: 1, arbitrary: plain(TYPES.A, fc.array(fc.nat(255), { maxLength: 6 })) }, { weight: 1, arbitrary: plain(TYPES.TXT, fc.array(fc.nat(255))) },
);
const drafts = fc.record({
  flags: fc.oneof({ weight: 6, arbitrary: fc.constantFrom(0x8180, 0x8183) }, { weight: 1, arbitrary: fc.constantFrom(0x8181, 0x8182, 0x8380, 0x0180, 0x9180) }),
  answers: fc.array(answerRecords, { maxLength: 12 }),
  authorities: fc.array(fc.oneof(soa, named(TYPES.NS)), { maxLength: 2 }),
  question: fc.constantFrom("a.org", "A.oRg", "b.org"),
  type: fc.oneof({ weight: 3, arbitrary: fc.constant(TYPES.A) }, { weight: 1, arbitrary: fc.constant(TYPES.PTR) }),
  edns: fc.boolean(),
  squeeze: fc.boolean(),
});

const OPT: NaiveEntry = { name: "", type: TYPES.OPT, cls: BUFFER, ttl: 0, bytes: [], target: null };

function message({ flags, answers, authorities, question, type, edns, squeeze }: typeof drafts extends fc.Arbitrary<infer T> ? T : never): Uint8Array {
  const draft: NaiveDraft = {
    id: 7, flags, questions: [{ name: question, type, cls: 1 }], sections: [answers, authorities, edns ? [OPT] : []],
  };
  return writeMessage(draft, () => squeeze);
}

test("any answer, whole, spoiled or cut, means to the resolver what it means to a naive reader", (t) => {
  const seen = new Set<number>();
  fc.assert(fc.property(drafts, spoiling, fc.boolean(), fc.constantFrom(0, 0xc0, 0x55), (draft, spoiled, cut, rest) => {
    const { bytes, length } = spoil(message(draft).subarray(0, BUFFER), spoiled);
    const question = nameOf(draft.question);
    const expected = lowerTarget(meaning(bytes.slice(0, length), 7, question, draft.type, cut));
    seen.add(expected.kind);
    t.deepEqual(lowerTarget(answerOf(bytes, length, 7, question, draft.type, cut, rest)), expected);
  }), { numRuns: 1500 });
  t.is(seen.size, 8, "every kind of answer was among them");
});

test("a name of any message is read as a naive reader does, and never beyond the message or in circles", (t) => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 40 }).chain((raw) =>
    fc.array(fc.tuple(fc.nat(raw.length - 1), fc.constantFrom(0, 1, 2, 5, 0xc0)), { maxLength: 20 }).map((changes) => {
      for (const [at, value] of changes) raw[at] = value;
      return raw;
    }));
  fc.assert(fc.property(fc.oneof(bytes, fc.array(names, { minLength: 1, maxLength: 5 }).map((texts) => writeMessage({
    id: 0, flags: 0, questions: texts.map((name) => ({ name, type: 1, cls: 1 })), sections: [[], [], []],
  }, () => true))), fc.nat(60), (raw, from) => {
    const at = from % raw.length;
    const buffer = new Uint8Array(400).fill(0xc0);
    buffer.set(raw);
    const out = new Uint8Array(300).fill(0xee);
    const expected = readName(raw, at);
    t.is(dnsNameRead(buffer, raw.length, at, out, 3, true), expected === null ? -1 : expected.end);
    t.deepEqual([...out.subarray(0, 3), ...out.subarray(3 + 255)], new Array<number>(45).fill(0xee), "nothing is written outside");
    if (expected === null) return;
    const own = Uint8Array.from(expected.name, (c) => c.charCodeAt(0));
    t.deepEqual(out.subarray(3, 3 + own.length), own);
    t.true(dnsNameIs(buffer, raw.length, at, own, 0));
    if (own.length > 1) {
      own[own.length - 2]! ^= 0x80;
      t.false(dnsNameIs(buffer, raw.length, at, own, 0));
    }
    t.is(dnsNameText(out, 3).length, Math.max(0, expected.name.length - 2));
  }), { numRuns: 1500 });
});

test("a question is written as a naive reader reads it, with or without EDNS", (t) => {
  fc.assert(fc.property(names, fc.nat(0xffff), fc.nat(0xffff), fc.constantFrom(0, 512, 1232), fc.nat(9), (text, id, type, udpBytes, at) => {
    const out = new Uint8Array(400).fill(0xee);
    const name = Uint8Array.from(nameOf(text), (c) => c.charCodeAt(0));
    const length = dnsPutQuery(out, new DataView(out.buffer), at, id, name, name.length, type, udpBytes);
    const read = readMessage(out.slice(at, at + length))!;
    t.like(read, { id, flags: 0x0100, questions: [{ name: nameOf(text), type, cls: 1 }], counts: [0, 0, udpBytes > 0 ? 1 : 0] });
    t.deepEqual(read.sections[2].map(({ name: root, type: kind, cls, ttl, from, to }) => [root, kind, cls, ttl, to - from]),
      udpBytes > 0 ? [["\0", TYPES.OPT, udpBytes, 0, 0]] : []);
    t.is(out[at + length], 0xee);
  }));
});

test("an answer that is cut before what was asked for is a failure, and does not say that there is no such data", (t) => {
  const at = { name: "a.org", cls: 1, ttl: 60, target: null };
  const bytes = writeMessage({
    id: 7, flags: 0x8180, questions: [{ name: "a.org", type: TYPES.A, cls: 1 }],
    sections: [[{ ...at, type: TYPES.TXT, bytes: new Array<number>(1300).fill(1) }, { ...at, type: TYPES.A, bytes: [192, 0, 2, 1] }], [], []],
  }, () => true);
  t.deepEqual(answerOf(bytes, BUFFER, 7, nameOf("a.org"), TYPES.A, true, 0), { kind: ANSWER_FAILED });
});
