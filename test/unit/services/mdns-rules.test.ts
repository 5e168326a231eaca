/** What RFC 6762 asks of hosts that share a link: whose word counts, who has a name, and what need not be said twice. */
import test from "ava";
import fc from "fast-check";
import { igmp } from "../../../src/igmp.ts";
import { mdnsBrowse, mdnsPublish, mdnsRefresh, mdnsResolve } from "../../../src/services/mdns.ts";
import { startKernel } from "../../../src/start-kernel.ts";
import { udp } from "../../../src/udp.ts";
import { EAI_AGAIN } from "../../../src/uapi/netdb.ts";
import { TYPES } from "../../lib/dns.ts";
import { addressNumber, addressText } from "../../lib/frames.ts";
import { createMdnsBench, from, type Heard, isProbe, isResponse, QU } from "../../lib/mdns.ts";
import { type NaiveEntry, writeMessage } from "../../lib/naive-dns.ts";

const RESPONSE = 0x8400;
const HTTP = "_http._tcp.local";
const ENUM = "_services._dns-sd._udp.local";
const ELSEWHERE = addressNumber("192.168.9.9");

const entry = (name: string, type: number, bytes: readonly number[], target: string | null = null, ttl = 120, cls = 0x8001): NaiveEntry =>
  ({ name, type, cls, ttl, bytes, target });
const pageRecord = (data: string, ttl = 4500) => ({ name: HTTP, type: "PTR" as const, ttl, data });
const page = (ttl = 4500) => ({ flags: RESPONSE, answers: [pageRecord(`Page.${HTTP}`, ttl)] });
const asks = (type: string) => ({ questions }: Heard): boolean => questions.some(({ name }) => name === type);

test.serial("an answer that came from another link is not believed; what was sent to the group cannot have come from one", (t) => {
  const { lab, start, say } = createMdnsBench(t);
  const a = start("a", "board");
  const events: string[] = [];
  mdnsBrowse(a, "_http._tcp", (event, instance) => events.push(`${event} ${instance}`));
  lab.runFor(3000);
  const own = lab.host("a").addr;
  say(page(), 5353, { saddr: ELSEWHERE, daddr: own });
  lab.runFor(10);
  t.deepEqual(events, [], "its sender is not of the subnet");
  say(page(), 5353, { daddr: own });
  lab.runFor(10);
  t.deepEqual(events, ["1 Page"]);
  say({ flags: RESPONSE, answers: [pageRecord(`Other.${HTTP}`)] }, 5353, { saddr: ELSEWHERE });
  lab.runFor(10);
  t.deepEqual(events, ["1 Page", "1 Other"]);
});

test.serial("without socketControl, who does not learn where messages were sent to hears those to the group alone, whoever sends them", (t) => {
  const { lab, heard, names, start, say } = createMdnsBench(t, { start: startKernel, initcalls: [udp, igmp] });
  const a = start("a", "board");
  lab.runUntil(() => heard.some(isProbe), 1000);
  t.is(heard[0]!.questions[0]!.cls, 1, "the owner is to say so to all");
  say({ flags: RESPONSE, answers: [{ name: "board.local", type: "A", data: "10.0.0.99" }] }, 5353, { saddr: ELSEWHERE });
  lab.runFor(5000);
  t.deepEqual(names, ["a0 board-2"]);
  const events: string[] = [];
  mdnsBrowse(a, "_http._tcp", (event, instance) => events.push(`${event} ${instance}`));
  lab.runFor(3000);
  heard.length = 0;
  const own = lab.host("a").addr;
  for (const saddr of [ELSEWHERE, lab.peer("p").addr]) {
    say(page(), 5353, { saddr, daddr: own });
    say({ questions: [{ name: "board-2.local", type: TYPES.A }] }, 5353, { saddr, daddr: own });
  }
  lab.runFor(10);
  t.deepEqual([events, from(heard, 1)], [[], []]);
  say(page(), 5353, { saddr: ELSEWHERE });
  say({ questions: [{ name: "board-2.local", type: TYPES.A, cls: QU }] });
  lab.runFor(10);
  t.deepEqual(events, ["1 Page"]);
  t.deepEqual(from(heard, 1).map(({ daddr }) => daddr), ["10.0.0.4"]);
});

test.serial("a question from another link is not answered, unless it was asked of all", (t) => {
  const { lab, heard, start, say } = createMdnsBench(t);
  start("a", "board");
  lab.runFor(5000);
  heard.length = 0;
  const question = { questions: [{ name: "board.local", type: TYPES.A }] };
  const own = lab.host("a").addr;
  for (const sport of [5353, 40_000]) say(question, sport, { saddr: ELSEWHERE, daddr: own });
  lab.runFor(1000);
  t.is(from(heard, 1).length, 0);
  say(question, 40_000, { daddr: own });
  say(question, 5353, { saddr: ELSEWHERE });
  lab.runFor(1000);
  t.deepEqual(from(heard, 1).map(({ daddr, dport }) => `${daddr} ${dport}`).sort(), ["10.0.0.4 40000", "224.0.0.251 5353"]);
});

test.serial("a message with a result or another operation is none", (t) => {
  const { lab, heard, names, start, say } = createMdnsBench(t);
  start("a", "board");
  lab.runFor(5000);
  heard.length = 0;
  for (const flags of [3, 0x0800]) {
    say({ flags, questions: [{ name: "board.local", type: TYPES.A }] });
    say({ flags: RESPONSE | flags, answers: [{ name: "board.local", type: "A", data: "10.0.0.99" }] });
  }
  lab.runFor(5000);
  t.is(heard.length, 0);
  t.deepEqual(names, ["a0 board"]);
});

test.serial("what another asks of all counts as asked, unless he knows an instance that is not known here", (t) => {
  const { lab, heard, start, say } = createMdnsBench(t);
  mdnsBrowse(start("a", "board"), "_http._tcp", () => undefined);
  lab.runFor(3500);
  // Asked at about 0, 1 and 3 s: the next time would be at 7 s.
  const asked = from(heard, 1).filter(asks(HTTP));
  t.is(asked.length, 3);
  const due = asked[2]!.at + 4000;
  const question = [{ name: HTTP.toUpperCase(), type: TYPES.PTR }];
  say({ questions: [{ name: HTTP, type: TYPES.PTR, cls: QU }] });
  say({ questions: question }, 40_000);
  say({ questions: question, flags: 0x0200 });
  say({ questions: question, answers: [pageRecord(`Unknown.${HTTP}`)] });
  heard.length = 0;
  lab.runUntil(() => heard.some(asks(HTTP)), 10_000);
  t.is(heard.find(asks(HTTP))!.at, due, "to one alone, from another port, with more to come, with an instance more");
  say(page());
  lab.runFor(1000);
  say({ questions: question, answers: [pageRecord(`Page.${HTTP}`)] });
  const heardAt = lab.nowMs;
  heard.length = 0;
  lab.runUntil(() => heard.some(asks(HTTP)), 60_000);
  t.is(Math.floor(heard.find(asks(HTTP))!.at - heardAt), 16_000, "as if it had been asked then for the fifth time");
});

test.serial("what another answers need not be said again", (t) => {
  const { lab, heard, start, say } = createMdnsBench(t);
  mdnsPublish(start("a", "board"), "Page", "_http._tcp", 80);
  lab.runFor(5000);
  heard.length = 0;
  const answer = (ttl: number) => ({ flags: RESPONSE, answers: [{ name: ENUM, type: "PTR" as const, ttl, data: HTTP }] });
  const question = { questions: [{ name: ENUM, type: TYPES.PTR }] };
  say(question);
  lab.runFor(15);
  say(answer(4500));
  lab.runFor(2000);
  t.is(heard.length, 0);
  say(question);
  lab.runFor(15);
  say(answer(4499));
  lab.runFor(2000);
  t.is(heard.length, 1, "for less long than we would say it");
  t.deepEqual(heard[0]!.answers.map(({ name, ttl, target }) => [name, ttl, target]), [[ENUM, 4500, HTTP]]);
});

test.serial("a record of ours that another takes back or cuts short is told again", (t) => {
  const { lab, heard, start, say } = createMdnsBench(t);
  mdnsPublish(start("a", "board"), "Page", "_http._tcp", 80);
  lab.runFor(5000);
  for (const ttl of [0, 2249, 2250]) {
    heard.length = 0;
    say({ flags: RESPONSE, answers: [{ name: ENUM, type: "PTR", ttl, data: HTTP }] });
    lab.runFor(2000);
    t.deepEqual(heard.flatMap(({ answers }) => answers.map(({ name, ttl: told }) => `${name} ${told}`)), ttl < 2250 ? [`${ENUM} 4500`] : [], String(ttl));
  }
  heard.length = 0;
  say({ flags: RESPONSE, answers: [{ name: "board.local", type: "A", ttl: 0, data: "10.0.0.1" }] });
  lab.runFor(2000);
  t.is(heard.filter(isResponse).length, 1);
});

test.serial("a probe is answered though the record went to all less than a second ago", (t) => {
  const { lab, heard, start, say } = createMdnsBench(t);
  start("a", "board");
  lab.runFor(5000);
  const question = { questions: [{ name: "board.local", type: TYPES.ANY }] };
  const probe = { ...question, authorities: [{ name: "board.local", type: "A" as const, data: "10.0.0.4" }] };
  say(question);
  lab.runFor(100);
  heard.length = 0;
  say(probe);
  lab.runFor(100);
  t.is(heard.length, 0, "a tenth of a second ago");
  lab.runFor(100);
  say(question);
  lab.runFor(10);
  t.is(heard.length, 0);
  say(probe);
  lab.runFor(10);
  t.is(heard.length, 1);
});

test.serial("that a host has nothing of another type is said at once", (t) => {
  const { lab, heard, start, say } = createMdnsBench(t);
  start("a", "board");
  lab.runFor(5000);
  heard.length = 0;
  const next = [5, ...Buffer.from("board"), 5, ...Buffer.from("local"), 0];
  say({ questions: [{ name: "Board.local", type: TYPES.AAAA }] });
  lab.runFor(1);
  t.is(heard.length, 1);
  t.deepEqual(heard[0]!.answers.map(({ name, type, cls, ttl, data }) => [name, type, cls, ttl, [...data]]), [["board.local", 47, 0x8001, 120, [...next, 0, 1, 0x40]]]);
  t.deepEqual(heard[0]!.additional, []);
  heard.length = 0;
  say({ questions: [{ name: "board.local", type: TYPES.A }] });
  lab.runFor(1);
  t.deepEqual(heard[0]!.answers.map(({ type }) => type), [TYPES.A]);
  t.deepEqual(heard[0]!.additional, []);
  heard.length = 0;
  lab.runFor(2000);
  say({ questions: [{ name: "board.local", type: TYPES.ANY }] });
  say({ questions: [{ name: "other.local", type: TYPES.AAAA }] });
  lab.runFor(1000);
  t.deepEqual(heard.flatMap(({ answers }) => answers.map(({ type }) => type)), [TYPES.A]);
});

test.serial("a name under which another has anything at all is not taken; once it is ours that is no matter", (t) => {
  const { lab, heard, names, start, say } = createMdnsBench(t);
  start("a", "board");
  const theirs = writeMessage({
    id: 0, flags: RESPONSE, questions: [], sections: [[entry("board.local", TYPES.AAAA, [...new Array<number>(15).fill(0), 1])], [], []],
  }, () => false);
  lab.runUntil(() => heard.some(isProbe), 1000);
  say(theirs);
  lab.runFor(5000);
  t.deepEqual(names, ["a0 board-2"]);
  heard.length = 0;
  say(writeMessage({
    id: 0, flags: RESPONSE, questions: [], sections: [[entry("board-2.local", TYPES.AAAA, [...new Array<number>(15).fill(0), 1])], [], []],
  }, () => false));
  lab.runFor(5000);
  t.is(heard.length, 0);
});

/** No record is there twice. */
const dataOf = ({ type, bytes, target }: NaiveEntry): string => JSON.stringify([type, bytes, target]);

/** Of two that propose these, who has the name: negative for the second, in the order of RFC 6762 section 8.2. */
function contest(theirs: readonly NaiveEntry[], ours: NaiveEntry): number {
  const wire = (text: string): string => text.split(".").map((label) => String.fromCharCode(label.length) + label).join("") + "\0";
  const key = ({ type, bytes, target }: NaiveEntry): number[] => [type, ...bytes, ...(target === null ? [] : Buffer.from(wire(target), "latin1"))];
  const compare = (a: readonly number[], b: readonly number[]): number => {
    for (let i = 0; i < a.length && i < b.length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
    return a.length - b.length;
  };
  const sorted = theirs.map(key).sort(compare);
  if (sorted.length === 0) return -1;
  return compare(sorted[0]!, key(ours)) || sorted.length - 1;
}

test.serial("two that probe for a name at the same time agree who has it: a naive comparison of what they propose", (t) => {
  const { lab, start, say } = createMdnsBench(t);
  const a = start("a", "board");
  mdnsPublish(a, "Page", "_http._tcp", 80, ["path=/"]);
  lab.runFor(5000);
  const instance = `Page.${HTTP}`;
  const bytes = fc.constantFrom(0, 1, 80, 255);
  const address = fc.oneof(fc.constant([10, 0, 0, 1]), fc.tuple(fc.constantFrom(9, 10, 11), fc.constantFrom(0, 255), fc.constant(0), fc.constantFrom(0, 1, 2)));
  const host = fc.uniqueArray(fc.oneof(
    { weight: 4, arbitrary: address.map((data) => entry("board.local", TYPES.A, data)) },
    { weight: 1, arbitrary: fc.constantFrom(entry("BOARD.local", TYPES.AAAA, new Array<number>(16).fill(1)), entry("board.local", TYPES.A, [10, 0, 0])) },
  ), { maxLength: 3, selector: dataOf });
  const service = fc.uniqueArray(fc.oneof(
    fc.record({ port: fc.tuple(fc.constantFrom(0, 255), bytes), weight: fc.constantFrom(0, 0, 0, 1, 255), target: fc.constantFrom("board.local", "board.local", "boaqd.local", "boasd.local", "board.locam", "b.local", "longboard.local") })
      .map(({ port, weight, target }) => entry(instance, TYPES.SRV, [weight, 0, 0, 0, ...port], target)),
    fc.constant(entry(instance, TYPES.TXT, [0])), fc.constant(entry(instance, TYPES.ANY, [0])),
  ), { maxLength: 3, selector: dataOf });
  fc.assert(fc.property(host, service, fc.boolean(), (forHost, forService, squeeze) => {
    mdnsRefresh(a);
    lab.runFor(1);
    say(writeMessage({
      id: 0, flags: 0, questions: [{ name: "board.local", type: TYPES.ANY, cls: QU }, { name: instance, type: TYPES.ANY, cls: QU }],
      sections: [[], [...forHost, ...forService], []],
    }, () => squeeze));
    lab.runFor(1);
    const deferred = [0, 1].map((c) => a.claims[c]!.dueMs - a.clockMs > 900);
    t.deepEqual(deferred, [
      contest(forHost, entry("board.local", TYPES.A, [10, 0, 0, 1])) > 0, contest(forService, entry(instance, TYPES.SRV, [0, 0, 0, 0, 0, 80], "board.local")) > 0,
    ]);
    lab.runFor(2500);
  }), { numRuns: 80 });
});

test.serial("who has the text in front of the place has the lesser proposal, in whatever order it says them", (t) => {
  const { lab, heard, names, start, say } = createMdnsBench(t);
  const a = start("a", "board");
  lab.runFor(5000);
  mdnsPublish(a, "Page", "_http._tcp", 80);
  lab.runUntil(() => heard.some(({ questions }) => questions.some(({ name }) => name === `Page.${HTTP}`)), 1000);
  const began = lab.nowMs;
  say(writeMessage({
    id: 0, flags: 0, questions: [{ name: `Page.${HTTP}`, type: TYPES.ANY, cls: QU }],
    sections: [[], [entry(`Page.${HTTP}`, TYPES.SRV, [0, 0, 0, 0, 255, 255], "zzz.local"), entry(`Page.${HTTP}`, TYPES.TXT, [0])], []],
  }, () => false));
  lab.runUntil(() => names.includes("a1 Page"), 5000);
  t.true(lab.nowMs - began < 800, "nothing was put off");
});

test.serial("a place whose host is malformed spoils nothing of the one that is known", (t) => {
  const { lab, start, say } = createMdnsBench(t);
  const a = start("a", "board");
  lab.runFor(3000);
  let result = "";
  mdnsResolve(a, "Page", "_http._tcp", (error, { host, addr, port }) => (result = `${error} ${host} ${addressText(addr)} ${port}`));
  lab.runFor(200);
  const labels = [63, 63, 63, 61].map((length) => "x".repeat(length)).join(".");
  const srv = (data: readonly number[], target: string | null): void => say(writeMessage({
    id: 0, flags: RESPONSE, questions: [], sections: [[entry(`Page.${HTTP}`, TYPES.SRV, [0, 0, 0, 0, 0, 80, ...data], target)], [], []],
  }, () => false));
  srv([], labels);
  lab.runFor(10);
  // The length of its first label leads into the middle of what was there, and from there out of the buffer.
  srv([40, ...new Array<number>(40).fill(0x7e), 0xc0, 0xff], null);
  lab.runFor(3000);
  say(writeMessage({
    id: 0, flags: RESPONSE, questions: [], sections: [[entry(`Page.${HTTP}`, TYPES.TXT, [0]), entry(labels, TYPES.A, [10, 0, 0, 9])], [], []],
  }, () => false));
  lab.runFor(100);
  t.is(result, `0 ${labels} 10.0.0.9 80`);
  mdnsResolve(a, "Nobody", "_http._tcp", (error) => (result = String(error)));
  lab.runFor(7000);
  t.is(result, String(EAI_AGAIN));
});
