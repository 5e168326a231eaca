/** What the mDNS responder says to any question and learns from any answer, against a naive decoder: whole ones, spoiled ones, cut ones. */
import test from "ava";
import fc from "fast-check";
import { MDNS_FOUND, MDNS_LOST, mdnsBrowse, mdnsCancel, mdnsPublish, mdnsResolve } from "../../../src/services/mdns.ts";
import { utf8Text } from "../../../src/services/mdns-records.ts";
import { addressNumber } from "../../lib/frames.ts";
import { createMdnsBench, isResponse } from "../../lib/mdns.ts";
import {
  nameData, type NaiveEntry, nameOf, type NaiveMessage, type NaiveName, type NaiveRecord, readMessage, sameName, textOf, ttls, TYPES, writeMessage,
} from "../../lib/naive-dns.ts";
import { spoil, spoiling } from "../../lib/spoil.ts";

const HTTP = "_http._tcp.local";
const ENUM = "_services._dns-sd._udp.local";
const PAGE = `Page.${HTTP}`;
const HOST = "board.local";
const NSEC = 47;
/** Longest wait for an answer: with more known answers to come. */
const PATIENCE_MS = 600;
const PEER = addressNumber("10.0.0.4");

/** What the responder has: `wire` is its data, or the name that it is. */
const OURS = [
  { name: HOST, type: TYPES.A, ttl: 120, same: (bytes: Uint8Array, { from, to }: NaiveRecord) => hex(bytes, from, to) === "0a000001" },
  { name: HOST, type: NSEC, ttl: 120, same: () => false },
  { name: HTTP, type: TYPES.PTR, ttl: 4500, same: (bytes: Uint8Array, record: NaiveRecord) => sameName(nameData(bytes, record), nameOf(PAGE)) },
  {
    name: PAGE, type: TYPES.SRV, ttl: 120,
    same: (bytes: Uint8Array, record: NaiveRecord) => hex(bytes, record.from, record.from + 6) === "000000000050" && sameName(nameData(bytes, record, 6), nameOf(HOST)),
  },
  { name: PAGE, type: TYPES.TXT, ttl: 4500, same: (bytes: Uint8Array, { from, to }: NaiveRecord) => hex(bytes, from, to) === "03613d62" },
  { name: ENUM, type: TYPES.PTR, ttl: 4500, same: (bytes: Uint8Array, record: NaiveRecord) => sameName(nameData(bytes, record), nameOf(HTTP)) },
] as const;

function hex(bytes: Uint8Array, from: number, to: number): string {
  return Buffer.from(bytes.subarray(from, Math.min(to, bytes.length))).toString("hex");
}

const asksFor = (type: number, ours: (typeof OURS)[number]): boolean =>
  ours.type === NSEC ? type !== TYPES.A && type !== TYPES.ANY : type === TYPES.ANY || type === ours.type;
const title = ({ name, type }: { readonly name: string; readonly type: number }): string => `${name} ${type}`;

/** What is to be answered to the question, to anybody. */
function answersTo(bytes: Uint8Array): string[] {
  const message = readMessage(bytes);
  if (message === null || (message.flags & 0xf80f) !== 0) return [];
  const known = message.sections[0].flatMap((record) => OURS.filter((ours) => (record.cls & 0x7fff) === 1 && sameName(record.name, nameOf(ours.name))
    && record.type === ours.type && record.ttl * 2 >= ours.ttl && ours.same(bytes, record)));
  return OURS.filter((ours) => !known.includes(ours) && message.questions.some(({ name, type, cls }) =>
    [1, 255].includes(cls & 0x7fff) && sameName(name, nameOf(ours.name)) && asksFor(type, ours))).map(title);
}

const names = fc.constantFrom(HOST, "Board.LOCAL", HTTP, PAGE, ENUM, "other.local", "local", `Page.${HTTP.toUpperCase()}`);
const types = fc.constantFrom<number>(TYPES.A, TYPES.PTR, TYPES.SRV, TYPES.TXT, TYPES.ANY, TYPES.AAAA, NSEC);
const entry = (name: string, type: number, bytes: readonly number[], target: string | null, ttl: number, cls = 1): NaiveEntry => ({ name, type, cls, ttl, bytes, target });
const knownTtls = fc.oneof(ttls, fc.constantFrom(59, 60, 120, 2249, 2250, 4500));
const knownRecords = fc.oneof(
  fc.tuple(fc.constantFrom([10, 0, 0, 1], [10, 0, 0, 2], [10, 0, 0]), knownTtls).map(([bytes, ttl]) => entry(HOST, TYPES.A, bytes, null, ttl)),
  fc.tuple(fc.constantFrom(PAGE, "Page.other.local", HTTP), knownTtls, fc.constantFrom(1, 0x8001, 3)).map(([target, ttl, cls]) => entry(HTTP, TYPES.PTR, [], target, ttl, cls)),
  fc.tuple(fc.constantFrom(HTTP, "_ipp._tcp.local"), knownTtls).map(([target, ttl]) => entry(ENUM, TYPES.PTR, [], target, ttl)),
  fc.tuple(fc.constantFrom([0, 0, 0, 0, 0, 80], [0, 0, 0, 0, 0, 81], [0, 1, 0, 0, 0, 80]), fc.constantFrom(HOST, "x.local"), knownTtls)
    .map(([bytes, target, ttl]) => entry(PAGE, TYPES.SRV, bytes, target, ttl)),
  fc.tuple(fc.constantFrom([3, 97, 61, 98], [0], [3, 97, 61, 98, 0]), knownTtls).map(([bytes, ttl]) => entry(PAGE, TYPES.TXT, bytes, null, ttl)),
);
const queries = fc.record({
  flags: fc.oneof({ weight: 8, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constantFrom(0x0200, 0x0100, 0x0800, 3) }),
  questions: fc.array(fc.record({ name: names, type: types, cls: fc.constantFrom(1, 1, 1, 0x8001, 255, 3) }), { minLength: 1, maxLength: 3 }),
  answers: fc.array(knownRecords, { maxLength: 4 }),
  squeeze: fc.boolean(),
  sport: fc.constantFrom(5353, 5353, 40_000),
});

test.serial("to any question it answers what a naive reader would, and nothing else", (t) => {
  const { lab, heard, start, say } = createMdnsBench(t);
  const a = start("a", "board");
  mdnsPublish(a, "Page", "_http._tcp", 80, ["a=b"]);
  lab.runFor(5000);
  let answered = 0;
  fc.assert(fc.property(queries, spoiling, ({ flags, questions, answers, squeeze, sport }, spoiled) => {
    const { bytes, length } = spoil(writeMessage({ id: 0, flags, questions, sections: [answers, [], []] }, () => squeeze), spoiled);
    const message = bytes.slice(0, length);
    // Answers are another property's.
    if ((message[2]! & 0x80) !== 0) message[2]! &= 0x7f;
    lab.runFor(1000);
    heard.length = 0;
    // Who asks from another port gets his questions back, which then have to be readable.
    const readable = readMessage(message)?.questions.every(({ name }) => name !== null) === true;
    const from = readable ? sport : 5353;
    say(message, from);
    lab.runFor(PATIENCE_MS);
    const said = heard.filter(isResponse);
    const expected = answersTo(message).sort();
    if (expected.length > 0) answered++;
    t.deepEqual(said.flatMap((one) => one.answers.map(title)).sort(), expected);
    t.true(said.every(({ additional }) => additional.every((record) => OURS.some((ours) => title(ours) === title(record)))));
    if (from !== 5353) t.true(said.every(({ daddr, dport }) => addressNumber(daddr) === PEER && dport === from));
  }), { numRuns: 200 });
  t.true(answered > 5);
  lab.peer("p").drain();
});

interface Learnt {
  /** Instances by what is heard of them, in their order. */
  readonly instances: readonly string[];
  /** Place, text and address of the page, or null while it is not complete. */
  readonly page: string | null;
}

const MOST_INSTANCES = 12;

/** What an answer says about the instances of a type and where one of them is. */
function learn(bytes: Uint8Array): Learnt {
  const message = readMessage(bytes);
  const none = { instances: [], page: null };
  if (message === null || (message.flags & 0xf80f) !== 0x8000) return none;
  const records = wholeRecords(message).filter(({ cls }) => (cls & 0x7fff) === 1);
  const found = new Map<string, number>();
  for (const record of [...records, ...records]) {
    if (record.type !== TYPES.PTR || !sameName(record.name, nameOf(HTTP))) continue;
    const name = nameData(bytes, record);
    if (name === null || name === "\0" || !sameName(name.slice(1 + name.charCodeAt(0)), nameOf(HTTP))) continue;
    const label = name.slice(1, 1 + name.charCodeAt(0));
    if (found.has(label) || (record.ttl > 0 && found.size < MOST_INSTANCES)) found.set(label, record.ttl);
  }
  const told = (label: string): string => Buffer.from(label, "latin1").toString();
  const instances = [...found].map(([label]) => `${MDNS_FOUND} ${told(label)}`);
  for (const [label, ttl] of found) if (ttl <= 1) instances.push(`${MDNS_LOST} ${told(label)}`);
  const alive = records.filter(({ ttl }) => ttl !== 0);
  const at = (name: NaiveName | null, type: number): NaiveRecord[] => alive.filter((record) => record.type === type && sameName(record.name, name));
  const places = at(nameOf(`Page.${HTTP}`), TYPES.SRV).filter((record) => record.to - record.from > 6 && nameData(bytes, record, 6) !== null);
  const texts = at(nameOf(`Page.${HTTP}`), TYPES.TXT);
  if (places.length === 0 || texts.length === 0) return { instances, page: null };
  const host = nameData(bytes, places[0]!, 6)!;
  const addresses = at(host, TYPES.A).filter(({ from, to }) => to - from === 4);
  if (addresses.length === 0) return { instances, page: null };
  const [place, text, address] = [places[0]!, texts.at(-1)!, addresses.at(-1)!];
  return { instances, page: `${hex(bytes, place.from + 4, place.from + 6)} ${textOf(host).toLowerCase()} ${hex(bytes, text.from, text.to)} ${hex(bytes, address.from, address.to)}` };
}

/** All records, up to the first that is not whole. */
function wholeRecords({ sections, counts }: NaiveMessage): NaiveRecord[] {
  const whole: NaiveRecord[] = [];
  for (const [i, section] of sections.entries()) {
    whole.push(...section);
    if (section.length < counts[i]!) break;
  }
  return whole;
}

const hosts = fc.constantFrom("lamp.local", "Lamp.local", "x.local", "local");
const goodTtls = fc.oneof({ weight: 3, arbitrary: fc.integer({ min: 10, max: 4500 }) }, { weight: 1, arbitrary: fc.constantFrom(0, 0xffffffff) });
const instances = fc.tuple(fc.oneof(fc.constantFrom("Page", "page", "Küche", "B"), fc.nat(3).map(String), fc.nat(30).map(String)), fc.constantFrom(HTTP, HTTP, HTTP, HTTP.toUpperCase(), "_ipp._tcp.local"), goodTtls)
    .map(([label, type, ttl]) => entry(HTTP, TYPES.PTR, [], `${Buffer.from(label).toString("latin1")}.${type}`, ttl));
const said = fc.oneof(
  { weight: 6, arbitrary: instances },
  fc.tuple(fc.constantFrom([0, 0, 0, 0, 0, 80], [0, 9, 0, 9, 4, 0]), hosts, goodTtls, fc.constantFrom(1, 0x8001, 3)).map(([bytes, target, ttl, cls]) => entry(PAGE, TYPES.SRV, bytes, target, ttl, cls)),
  fc.tuple(hosts, fc.tuple(fc.nat(255), fc.nat(255)), goodTtls).map(([host, [x, y], ttl]) => entry(host, TYPES.A, [10, 1, x, y], null, ttl)),
  fc.tuple(fc.array(fc.nat(255), { maxLength: 20 }), goodTtls).map(([bytes, ttl]) => entry(PAGE, TYPES.TXT, bytes, null, ttl)),
  fc.tuple(hosts, goodTtls).map(([host, ttl]) => entry(host, TYPES.A, [1, 2, 3], null, ttl)),
);
const responses = fc.record({
  flags: fc.oneof({ weight: 8, arbitrary: fc.constant(0x8400) }, { weight: 1, arbitrary: fc.constantFrom(0x8000, 0x8600, 0x8c00, 0x8403) }),
  sections: fc.tuple(fc.array(said, { maxLength: 20, size: "max" }), fc.array(said, { maxLength: 2 }), fc.array(said, { maxLength: 4 })),
  squeeze: fc.boolean(),
});

test.serial("from any answer it learns what a naive reader would, and nothing else", (t) => {
  const { lab, start, say } = createMdnsBench(t);
  const a = start("a", "viewer");
  lab.runFor(3000);
  const seen = { instances: 0, lost: 0, pages: 0 };
  fc.assert(fc.property(responses, spoiling, ({ flags, sections, squeeze }, spoiled) => {
    const { bytes, length } = spoil(writeMessage({ id: 0, flags, questions: [], sections }, () => squeeze).subarray(0, 1472), spoiled);
    const message = bytes.slice(0, length);
    message[2]! |= 0x80;
    const events: string[] = [];
    const pages: string[] = [];
    const browsing = mdnsBrowse(a, "_http._tcp", (event, instance) => events.push(`${event} ${instance}`));
    const resolving = mdnsResolve(a, "Page", "_http._tcp", (error, { host, port, addr, txt, txtBytes }) => {
      if (error < 0) return;
      const numbers = Buffer.alloc(6);
      numbers.writeUInt16BE(port);
      numbers.writeInt32BE(addr, 2);
      pages.push(`${numbers.toString("hex", 0, 2)} ${host} ${Buffer.from(txt.subarray(0, txtBytes)).toString("hex")} ${numbers.toString("hex", 2)}`);
    });
    say(message);
    lab.runFor(1500);
    mdnsCancel(a, browsing);
    mdnsCancel(a, resolving);
    const expected = learn(message);
    // A malformed letter is a question mark here and another sign there.
    const plain = (events_: readonly string[]): string[] => events_.map((event) => event.replace(/[\ufffd?]+/g, "?"));
    t.deepEqual(plain(events), plain(expected.instances));
    t.deepEqual(pages, expected.page === null ? [] : [expected.page]);
    seen.instances += expected.instances.length;
    if (expected.instances.some((event) => event.startsWith(`${MDNS_LOST} `))) seen.lost++;
    seen.pages += pages.length;
  }), { numRuns: 150 });
  t.true(seen.instances > 20 && seen.lost > 0 && seen.pages > 0, JSON.stringify(seen));
  lab.peer("p").drain();
});

test("UTF-8 is read as everybody reads it; what is malformed has a question mark", (t) => {
  const reader = new TextDecoder("utf-8", { ignoreBOM: true });
  const bytes = fc.oneof(
    fc.string({ unit: "binary", maxLength: 20 }).map((text) => new TextEncoder().encode(text)),
    fc.array(fc.oneof(fc.nat(255), fc.constantFrom(0xc0, 0xc1, 0xe0, 0xed, 0xf0, 0xf4, 0xf5, 0x80, 0x9f, 0xa0, 0xbf)), { maxLength: 12 }).map((list) => Uint8Array.from(list)),
  );
  fc.assert(fc.property(bytes, (raw) => {
    const buffer = new Uint8Array(raw.length + 8).fill(0x80);
    buffer.set(raw, 2);
    // Others have more than one sign for what is malformed.
    const plain = (text: string): string => text.replace(/[\ufffd?]+/g, "?");
    t.is(plain(utf8Text(buffer, 2, raw.length)), plain(reader.decode(raw)));
  }), { numRuns: 2000 });
});
