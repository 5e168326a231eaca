/** When an mDNS responder speaks, to the millisecond: RFC 6762's delays, what waits for more known answers, and what must not be said twice. */
import test from "ava";
import fc from "fast-check";
import { igmp } from "../../../src/igmp.ts";
import { boot, createNet, devOpen, inetAddAddress, initNet, vethCreate } from "../../../src/index.ts";
import { mdns, mdnsBrowse, mdnsLookup, mdnsPublish, mdnsSetText, mdnsStop, mdnsUnpublish } from "../../../src/services/mdns.ts";
import { EAI_AGAIN } from "../../../src/uapi/netdb.ts";
import { type DnsMessage, TYPES } from "../../lib/dns.ts";
import { addressNumber } from "../../lib/frames.ts";
import { createMdnsBench, from, type Heard, isProbe, isResponse, type MdnsBench, QU } from "../../lib/mdns.ts";

const NSEC = 47;
const TC = 0x0200;
const RESPONSE = 0x8400;
const HTTP = "_http._tcp.local";
const PAGE = `Page.${HTTP}`;
const OTHER = addressNumber("10.0.0.55");

const asks = (name: string, type: number, cls = 1): DnsMessage => ({ questions: [{ name, type, cls }] });
const services = (cls = 1): DnsMessage => asks(HTTP, TYPES.PTR, cls);
const knows = (ttl = 4500) => [{ name: HTTP, type: "PTR" as const, ttl, data: PAGE }];
const targets = (heard: readonly Heard[]): (string | null)[] => from(heard, 1).flatMap(({ answers }) => answers.map(({ target }) => target));

/** A board with a page, known to all. */
function board(bench: MdnsBench): MdnsBench {
  mdnsPublish(bench.start("a", "board"), "Page", "_http._tcp", 80);
  bench.lab.runFor(5000);
  bench.heard.length = 0;
  return bench;
}

/** How long each of many such messages waited for its answer; `rest` after each. */
function delays({ lab, heard, say }: MdnsBench, message: DnsMessage, count: number, restMs = 1500): number[] {
  return Array.from({ length: count }, () => {
    heard.length = 0;
    const asked = lab.nowMs;
    say(message);
    lab.runFor(restMs);
    return heard.filter(isResponse).map(({ at }) => Math.floor(at - asked));
  }).flat();
}

const range = (list: readonly number[]): readonly number[] => [list.length, Math.min(...list), Math.max(...list)];

test.serial("what others may have too is answered after 20 to 120 ms, to all or to one; what nobody else has at once", (t) => {
  const bench = board(createMdnsBench(t));
  t.deepEqual(range(delays(bench, services(), 700)), [700, 20, 120]);
  t.deepEqual(range(delays(bench, services(QU), 700, 200)), [700, 20, 120]);
  t.true(bench.heard.every(({ daddr }) => daddr === "10.0.0.4"));
  for (const cls of [1, QU]) t.deepEqual(range(delays(bench, asks("board.local", TYPES.A, cls), 5)), [5, 0, 0]);
});

test.serial("several questions are answered after 20 to 120 ms, though nobody else has the answers; a probe at once", (t) => {
  const bench = board(createMdnsBench(t));
  const questions = (cls: number) => [{ name: "board.local", type: TYPES.A, cls }, { name: "x.local", type: TYPES.A, cls }];
  for (const cls of [1, QU]) {
    t.deepEqual(range(delays(bench, { questions: questions(cls) }, 700)), [700, 20, 120]);
    const probe = { questions: questions(cls), authorities: [{ name: "board.local", type: "A" as const, data: "10.0.0.4" }] };
    t.deepEqual(range(delays(bench, probe, 5)), [5, 0, 0]);
  }
});

test.serial("who has more known answers to tell is answered 400 to 500 ms after the last of them, to all or alone", (t) => {
  const bench = board(createMdnsBench(t));
  const { lab, heard, say } = bench;
  for (const cls of [1, QU]) t.deepEqual(range(delays(bench, { ...services(cls), flags: TC }, 700)), [700, 400, 500]);
  const waits = Array.from({ length: 700 }, () => {
    heard.length = 0;
    say({ ...services(), flags: TC });
    lab.runFor(399);
    say({ flags: TC, answers: knows(100) });
    const last = lab.nowMs;
    lab.runFor(1500);
    return heard.map(({ at }) => Math.floor(at - last));
  });
  t.deepEqual(range(waits.flat()), [700, 400, 500]);
});

test.serial("known answers of one do not silence the answer that another waits for", (t) => {
  const { lab, heard, say } = board(createMdnsBench(t));
  const more = { answers: knows() };
  say({ ...services(), flags: TC });
  lab.runFor(100);
  say(more, 5353, { saddr: OTHER });
  lab.runFor(1500);
  t.deepEqual(targets(heard), [PAGE], "another host knows it");
  heard.length = 0;
  say({ ...services(), flags: TC });
  say(services(), 5353, { saddr: OTHER });
  say(more);
  lab.runFor(1500);
  t.deepEqual(targets(heard), [PAGE], "another host has asked for it");
  heard.length = 0;
  say({ ...services(QU), flags: TC });
  say(more);
  lab.runFor(1500);
  t.deepEqual(heard, []);
});

test.serial("what waits to be told to all, by whoever was asked, another can say instead", (t) => {
  const { lab, heard, say } = board(createMdnsBench(t));
  const said = { flags: RESPONSE, answers: knows() };
  say({ ...services(), flags: TC });
  lab.runFor(200);
  say(said);
  lab.runFor(1500);
  t.deepEqual(heard, []);
  say({ ...services(QU), flags: TC });
  lab.runFor(200);
  say(said);
  lab.runFor(1500);
  t.deepEqual(targets(heard), [PAGE], "who wanted it alone may not have heard it");
});

test.serial("a second one that wants to hear alone is not kept waiting; each hears his own", (t) => {
  const { lab, heard, say } = board(createMdnsBench(t));
  say({ ...services(QU), flags: TC });
  const began = lab.nowMs;
  say(services(QU), 5353, { saddr: lab.host("b").addr });
  lab.runFor(1000);
  t.deepEqual(from(heard, 1).map(({ daddr, at }) => [daddr, at - began < 1]), [["10.0.0.2", true], ["10.0.0.4", false]]);
});

test.serial("a question to this host alone is answered to the asker alone, and silences nobody's own question", (t) => {
  const { lab, heard, start, say } = createMdnsBench(t);
  const a = start("a", "board");
  mdnsPublish(a, "Page", "_http._tcp", 80);
  mdnsBrowse(a, "_ipp._tcp", () => undefined);
  lab.runFor(3500);
  const browsed = heard.filter(({ questions }) => questions.some(({ name }) => name === "_ipp._tcp.local"));
  const due = browsed.at(-1)!.at + 4000;
  heard.length = 0;
  for (const question of [asks("board.local", TYPES.A), asks("_ipp._tcp.local", TYPES.PTR)]) say(question, 5353, { daddr: lab.host("a").addr });
  lab.runUntil(() => heard.some(({ questions }) => questions.length > 0), 10_000);
  t.deepEqual(heard.map(({ daddr }) => daddr), ["10.0.0.4", "224.0.0.251"]);
  t.is(Math.floor(heard[1]!.at - due), 0);
});

test.serial("with its address a host says that it has none of another kind", (t) => {
  const { lab, heard, say } = board(createMdnsBench(t));
  for (const name of ["board.local", PAGE]) {
    heard.length = 0;
    say(asks(name, TYPES.ANY));
    lab.runFor(1500);
    const { answers, additional } = heard[0]!;
    t.deepEqual([...answers, ...additional].filter(({ name: owner }) => owner === "board.local").map(({ type }) => type), [TYPES.A, NSEC], name);
  }
});

test.serial("names are asked for in one message after up to 250 ms when the link is back, three times", (t) => {
  const { lab, heard, start } = createMdnsBench(t);
  const a = start("a", "board");
  for (let i = 0; i < 3; i++) mdnsPublish(a, `Page ${i}`, "_http._tcp", 80 + i);
  lab.runFor(5000);
  const firsts: number[] = [];
  for (let i = 0; i < 60; i++) {
    heard.length = 0;
    lab.wire.setCarrier(false);
    lab.runFor(2000);
    lab.wire.setCarrier(true);
    const back = lab.nowMs;
    lab.runFor(5000);
    const probes = heard.filter(isProbe);
    t.deepEqual(probes.map(({ questions, at }) => [questions.length, Math.round(at - probes[0]!.at)]), [[4, 0], [4, 250], [4, 500]]);
    firsts.push(probes[0]!.at - back);
  }
  t.true(Math.min(...firsts) < 20 && Math.max(...firsts) > 200 && Math.max(...firsts) < 251, String(firsts));
});

test.serial("another text is told twice, a second apart, and never sooner than a second after the last", (t) => {
  const bench = createMdnsBench(t);
  const { lab, heard, start } = bench;
  const a = start("a", "board");
  const page = mdnsPublish(a, "Page", "_http._tcp", 80, ["n=0"]);
  lab.runFor(5000);
  heard.length = 0;
  const texts = (): string[] => heard.flatMap(({ answers, at }) => answers.filter(({ type }) => type === TYPES.TXT)
    .map(({ data, cls }) => `${Math.floor(at - began)} ${cls === 0x8001 ? "flush" : ""} ${Buffer.from(data).toString("latin1", 1)}`));
  let began = lab.nowMs;
  mdnsSetText(a, page, ["n=1"]);
  lab.runFor(5000);
  t.deepEqual(texts(), ["0 flush n=1", "1000 flush n=1"]);
  heard.length = 0;
  began = lab.nowMs;
  for (let i = 2; i < 23; i++) {
    mdnsSetText(a, page, [`n=${i}`]);
    lab.runFor(100);
  }
  lab.runFor(5000);
  t.deepEqual(texts(), ["0 flush n=2", "1000 flush n=11", "2000 flush n=21", "3000 flush n=22", "4000 flush n=22"]);
  heard.length = 0;
  for (const c of [0, -1, 5, 99]) mdnsSetText(a, c, ["n=1"]);
  mdnsUnpublish(a, page);
  mdnsSetText(a, page, ["n=1"]);
  lab.runFor(5000);
  t.true(heard.every(({ answers }) => answers.every(({ ttl }) => ttl === 0)));
  t.throws(() => mdnsSetText(a, page, ["x".repeat(256)]), { instanceOf: RangeError, message: /at most 400/ });
});

test.serial("whatever is asked, told and taken back: no record goes to all twice in a second but for a probe, and all answers hold", (t) => {
  const bench = createMdnsBench(t);
  const { lab, heard, start, say } = bench;
  const a = start("a", "board");
  const step = fc.tuple(fc.constantFrom(0, 10, 90, 250, 700, 999, 1000, 1001), fc.oneof(
    fc.record({ name: fc.constantFrom("board.local", HTTP, PAGE, "_services._dns-sd._udp.local"), type: fc.constantFrom<number>(TYPES.A, TYPES.PTR, TYPES.SRV, TYPES.TXT, TYPES.ANY, TYPES.AAAA),
      cls: fc.constantFrom(1, QU), flags: fc.constantFrom(0, 0, TC), other: fc.boolean() }),
    fc.constantFrom("publish", "unpublish", "text", "probe", "link", "conflict"),
  ));
  const seen = { told: 0, twice: 0 };
  fc.assert(fc.property(fc.array(step, { minLength: 5, maxLength: 30 }), (steps) => {
    lab.runFor(10_000);
    heard.length = 0;
    const probed: number[] = [];
    const linked: number[] = [];
    const free: number[] = [];
    steps.forEach(([ms, what], i) => {
      lab.runFor(ms);
      if (typeof what === "object") {
        say({ flags: what.flags, questions: [what] }, 5353, what.other ? { saddr: OTHER } : {});
      } else if (what === "publish") {
        const c = mdnsPublish(a, "Page", "_http._tcp", 80, [`n=${i}`]);
        if (c > 0) free.push(c);
      } else if (what === "unpublish" && free.length > 0) {
        mdnsUnpublish(a, free.pop()!);
      } else if (what === "text" && free.length > 0) {
        mdnsSetText(a, free[0]!, [`n=${i}`]);
      } else if (what === "link") {
        linked.push(lab.nowMs);
        lab.wire.setCarrier(false);
        lab.runFor(1000);
        lab.wire.setCarrier(true);
      } else if (what === "conflict") {
        say({ flags: RESPONSE, answers: [{ name: "board.local", type: "A", data: "10.0.0.99" }] });
      } else if (what === "probe") {
        probed.push(lab.nowMs);
        say({ ...asks("board.local", TYPES.ANY), authorities: [{ name: "board.local", type: "A", data: "10.0.0.4" }] });
      }
    });
    lab.runFor(3000);
    for (const c of free) mdnsUnpublish(a, c);
    lab.runFor(3000);
    const last = new Map<string, number>();
    for (const { at, daddr, flags, answers, additional } of heard) {
      if (flags === 0 || daddr !== "224.0.0.251") continue;
      for (const { name, type, ttl, data, target } of [...answers, ...additional]) {
        const record = `${name} ${type} ${target ?? Buffer.from(data).toString("hex")}`;
        if (ttl === 0) {
          last.delete(record);
          continue;
        }
        const before = last.get(record) ?? -Infinity;
        seen.told++;
        if (at - before < 999.5) {
          seen.twice++;
          t.true((at - before >= 249.5 && probed.some((then) => Math.abs(at - then) < 1)) || linked.some((then) => then >= before && then <= at), `${record} at ${before} and ${at}`);
        }
        last.set(record, at);
      }
    }
  }), { numRuns: 30 });
  t.true(seen.told > 0, JSON.stringify(seen));
  lab.peer("p").drain();
});

test.serial("who browses asks anew when the link was away, and forgets who does not answer then", (t) => {
  const { lab, heard, start, say } = createMdnsBench(t);
  const events: string[] = [];
  const b = start("b", "lamp");
  mdnsPublish(b, "Lamp", "_http._tcp", 80);
  lab.runFor(5000);
  mdnsBrowse(start("a", "board"), "_http._tcp", (event, instance) => events.push(`${event} ${instance}`));
  lab.runFor(40_000);
  say({ flags: RESPONSE, answers: knows() });
  lab.runFor(10);
  t.deepEqual(events, ["1 Lamp", "1 Page"]);
  lab.wire.setCarrier(false);
  lab.runFor(10_000);
  lab.wire.setCarrier(true);
  const back = lab.nowMs;
  heard.length = 0;
  lab.runFor(10_000);
  t.deepEqual(events, ["1 Lamp", "1 Page", "2 Page"]);
  const asked = from(heard, 1).filter(({ questions }) => questions.some(({ name }) => name === HTTP));
  t.true(asked[0]!.at - back < 1250, String(asked[0]!.at - back));
  t.deepEqual(asked.slice(1).map(({ at }, i) => Math.round((at - asked[i]!.at) / 1000)), [1, 2, 4]);
});

test.serial("twelve instances with long names are all among the known answers; their times over, they are asked for together", (t) => {
  const { lab, heard, start, say } = createMdnsBench(t);
  const events: string[] = [];
  mdnsBrowse(start("a", "board"), "_http._tcp", (_, instance) => events.push(instance));
  lab.runFor(2500);
  for (let i = 0; i < 12; i++) {
    say({ flags: RESPONSE, answers: [{ name: HTTP, type: "PTR", ttl: 1000, data: `${String(i).padStart(63, "x")}.${HTTP}` }] });
    lab.runFor(50);
  }
  t.is(events.length, 12);
  heard.length = 0;
  lab.runFor(8000);
  const known = heard.find(({ questions }) => questions.length > 0)!;
  t.is(new Set(known.answers.map(({ target }) => target)).size, 12);
  lab.runFor(780_000);
  heard.length = 0;
  lab.runFor(40_000);
  t.true(heard.length >= 1 && heard.length <= 4, "each at 80, 81 or 82 %");
});

test.serial("a board that comes late to the end of a question goes on with the others", (t) => {
  let now = 0;
  const hal = { now: () => now, entropy: (into: Uint8Array) => void into.fill(3), wake: () => undefined };
  boot({ preset: "small", hal, initcalls: [igmp] });
  const dev = vethCreate(initNet, "eth0", createNet(), "eth0");
  devOpen(dev);
  devOpen(dev.peer!);
  inetAddAddress(initNet, dev, addressNumber("10.0.0.1"), 24);
  const turns = (count: number, stepMs: number): void => {
    for (let i = 0; i < count; i++) {
      now += stepMs;
      initNet.poll();
      dev.peer!.net!.poll();
    }
  };
  const a = mdns(initNet, "eth0", { host: "board" });
  turns(3000, 1);
  mdnsBrowse(a, "_http._tcp", () => undefined);
  let error = 0;
  mdnsLookup(a, "x.local", (err) => (error = err));
  turns(5000, 1);
  turns(1, 2000);
  t.is(error, EAI_AGAIN);
  const sent = dev.stats.txPackets;
  turns(20_000, 1);
  t.true(dev.stats.txPackets > sent, "the question at 7 s came late, the next one follows");
  mdnsStop(a);
  turns(10, 1);
});
