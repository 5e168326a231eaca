/** mDNS and DNS-SD between responders of this project, and against a peer that the test plays, on a virtual clock. */
import test from "ava";
import fc from "fast-check";
import { inetAddAddress, inetDelAddress } from "../../../src/index.ts";
import { dns, dnsResolve, dnsStop } from "../../../src/services/dns.ts";
import {
  mdns, mdnsBrowse, mdnsCancel, mdnsLookup, mdnsPublish, mdnsRefresh, mdnsResolve, mdnsStop, mdnsUnpublish,
} from "../../../src/services/mdns.ts";
import { EAI_AGAIN } from "../../../src/uapi/netdb.ts";
import { decodeMessage, type DnsMessage, encodeMessage, TYPES } from "../../lib/dns.ts";
import { addressNumber, addressText, parseFrame } from "../../lib/frames.ts";
import { createMdnsBench, FLUSH, from, GROUP, isProbe, isResponse, QU } from "../../lib/mdns.ts";

const NSEC = 47;

test.serial("three probes 250 ms apart, then two announcements a second apart, all from port 5353 with a TTL of 255", (t) => {
  const { lab, heard, names, start } = createMdnsBench(t);
  const a = start("a", "Board7");
  t.is(mdnsPublish(a, "Status page", "_http._tcp", 80, ["path=/", "v=1"]), 1);
  lab.runFor(10_000);
  const probes = heard.filter(isProbe).filter(({ questions }) => questions.some(({ name }) => name === "Board7.local"));
  t.is(probes.length, 3);
  t.true(probes[0]!.at <= 251);
  probes.slice(1).forEach(({ at }, i) => t.is(at - probes[i]!.at, 250));
  t.true(probes.every(({ questions }) => questions.every(({ type, cls }) => type === TYPES.ANY && cls === QU)));
  t.true(heard.every(({ daddr, dport, ttlIp, id }) => daddr === "224.0.0.251" && dport === 5353 && ttlIp === 255 && id === 0));
  const told = heard.filter(isResponse);
  const host = told.filter(({ answers }) => answers.some(({ name, type }) => name === "Board7.local" && type === TYPES.A));
  t.is(host.length, 2);
  t.is(host[1]!.at - host[0]!.at, 1000);
  t.like(host[0]!.answers[0], { cls: FLUSH, ttl: 120 });
  t.deepEqual([...host[0]!.answers[0]!.data], [10, 0, 0, 1]);
  const service = told.find(({ answers }) => answers.some(({ type }) => type === TYPES.SRV))!;
  const by = new Map(service.answers.map((record) => [`${record.name} ${record.type}`, record]));
  t.like(by.get(`_http._tcp.local ${TYPES.PTR}`), { cls: 1, ttl: 4500, target: "Status page._http._tcp.local" });
  t.like(by.get(`Status page._http._tcp.local ${TYPES.SRV}`), { cls: FLUSH, ttl: 120, target: "Board7.local" });
  t.deepEqual([...by.get(`Status page._http._tcp.local ${TYPES.SRV}`)!.data.subarray(0, 6)], [0, 0, 0, 0, 0, 80]);
  t.is(Buffer.from(by.get(`Status page._http._tcp.local ${TYPES.TXT}`)!.data).toString(), "\u0006path=/\u0003v=1");
  t.is(by.get(`_services._dns-sd._udp.local ${TYPES.PTR}`)!.target, "_http._tcp.local");
  t.deepEqual(names.sort(), ["a0 Board7", "a1 Status page"]);
  heard.length = 0;
  lab.runFor(3_600_000);
  t.is(heard.length, 0, "and then there is silence");
});

test.serial("when the link was away every name is probed for and announced again", (t) => {
  const { lab, heard, names, start } = createMdnsBench(t);
  start("a", "board7");
  lab.runFor(10_000);
  heard.length = names.length = 0;
  lab.wire.setCarrier(false);
  lab.runFor(2000);
  t.is(heard.length, 0);
  lab.wire.setCarrier(true);
  lab.runFor(10_000);
  t.is(heard.filter(isProbe).length, 3);
  t.is(heard.filter(isResponse).length, 2);
  t.deepEqual(names, ["a0 board7"]);
  heard.length = 0;
  lab.runFor(3_600_000);
  t.is(heard.length, 0);
});

test.serial("services are browsed for, resolved, and said goodbye to; letters of all kinds are kept", (t) => {
  const { lab, start } = createMdnsBench(t);
  const [a, b] = [start("a", "board7"), start("b", "viewer")];
  const page = mdnsPublish(a, "Küche. Licht 🙂", "_http._tcp", 8080, ["path=/x"]);
  const events: string[] = [];
  const browsing = mdnsBrowse(b, "_http._tcp", (event, instance) => events.push(`${event} ${instance}`));
  lab.runFor(5000);
  t.deepEqual(events, ["1 Küche. Licht 🙂"]);
  let result = "";
  mdnsResolve(b, "Küche. Licht 🙂", "_http._tcp", (error, { host, addr, port, txt, txtBytes }) => {
    result = `${error} ${host} ${addressText(addr)} ${port} ${Buffer.from(txt.subarray(1, txtBytes)).toString()}`;
  });
  t.is(result, "", "never from inside the call");
  lab.runFor(2000);
  t.is(result, "0 board7.local 10.0.0.1 8080 path=/x");
  mdnsUnpublish(a, page);
  lab.runFor(2000);
  t.deepEqual(events.slice(1), ["2 Küche. Licht 🙂"]);
  mdnsPublish(a, "Second", "_http._tcp", 81);
  lab.runFor(3000);
  mdnsStop(a);
  lab.runFor(2000);
  t.deepEqual(events.slice(2), ["1 Second", "2 Second"]);
  mdnsCancel(b, browsing);
});

test.serial("a host is found by its name, whatever its case; one that is not there is not", (t) => {
  const { lab, start } = createMdnsBench(t);
  start("a", "board7");
  const b = start("b", "viewer");
  lab.runFor(2000);
  const results: string[] = [];
  mdnsLookup(b, "BOARD7.local", (error, { addr }) => results.push(`${error} ${addressText(addr)}`));
  mdnsLookup(b, "nobody.local", (error) => results.push(String(error)));
  lab.runFor(10_000);
  t.deepEqual(results, ["0 10.0.0.1", String(EAI_AGAIN)]);
});

test.serial("of two that want the same name one has it, begun together or one after the other", (t) => {
  const { lab, names, start } = createMdnsBench(t);
  const responders = [start("a", "board"), start("b", "board")];
  lab.runFor(10_000);
  t.deepEqual(names.map((name) => name.slice(3)).sort(), ["board", "board-2"]);
  const later = start("c", "board");
  mdnsPublish(later, "Page", "_http._tcp", 80);
  mdnsPublish(responders[0]!, "Page", "_http._tcp", 80);
  lab.runFor(20_000);
  t.true(names.includes("c0 board-3"), String(names));
  t.deepEqual(names.slice(2).filter((name) => name.includes("Page")).map((name) => name.slice(3)).sort(), ["Page", "Page (2)"]);
});

test.serial("what this host publishes twice under one name has two; one that is taken back is free again", (t) => {
  const { lab, heard, names, start } = createMdnsBench(t);
  const a = start("a", "board");
  const first = mdnsPublish(a, "Page", "_http._tcp", 80);
  mdnsPublish(a, "PAGE", "_http._tcp", 81);
  mdnsPublish(a, "Page", "_ipp._tcp", 82);
  lab.runFor(5000);
  t.deepEqual(names.sort(), ["a0 board", "a1 Page", "a2 PAGE (2)", "a3 Page"]);
  mdnsUnpublish(a, first);
  mdnsPublish(a, "Page", "_http._tcp", 83);
  lab.runFor(5000);
  t.deepEqual(names.at(-1), "a4 Page");
  t.is(heard.filter(({ answers }) => answers.some(({ ttl }) => ttl === 0)).length, 1);
});

test.serial("a name that another host claims later is asked for again, and given up when that insists", (t) => {
  const { lab, heard, names, start, say } = createMdnsBench(t);
  start("a", "board");
  lab.runFor(5000);
  heard.length = 0;
  const claim = { flags: 0x8400, answers: [{ name: "board.local", type: "A" as const, data: "10.0.0.99" }] };
  say(claim);
  lab.runFor(5000);
  t.is(heard.filter(isProbe).length, 3);
  t.deepEqual(names, ["a0 board", "a0 board"], "nobody insisted");
  say(claim);
  lab.runFor(300);
  say(claim);
  lab.runFor(5000);
  t.is(names.at(-1), "a0 board-2");
});

test.serial("what the asker knows is not said, unless it is about to be forgotten", (t) => {
  const { lab, heard, start, say } = createMdnsBench(t);
  const a = start("a", "board");
  mdnsPublish(a, "Page", "_http._tcp", 80);
  lab.runFor(5000);
  heard.length = 0;
  const ask = (ttl: number): DnsMessage => ({
    questions: [{ name: "_http._tcp.local", type: TYPES.PTR }],
    answers: [{ name: "_http._tcp.local", type: "PTR", ttl, data: "Page._http._tcp.local" }],
  });
  say(ask(2400));
  lab.runFor(2000);
  t.is(heard.length, 0);
  say(ask(2000));
  const asked = lab.nowMs;
  lab.runFor(2000);
  t.is(heard.length, 1);
  t.true(heard[0]!.at - asked >= 20 && heard[0]!.at - asked <= 121, "others may answer too");
  t.deepEqual(heard[0]!.answers.map(({ type }) => type), [TYPES.PTR]);
  t.deepEqual(heard[0]!.additional.map(({ type }) => type).sort((x, y) => x - y), [TYPES.A, TYPES.TXT, TYPES.SRV, NSEC]);
  // The rest of what it knows comes in a second message.
  heard.length = 0;
  lab.runFor(2000);
  say({ flags: 0x0200, questions: [{ name: "_http._tcp.local", type: TYPES.PTR }] });
  lab.runFor(50);
  say({ answers: [{ name: "_http._tcp.local", type: "PTR", ttl: 4000, data: "Page._http._tcp.local" }] });
  lab.runFor(2000);
  t.is(heard.length, 0);
});

test.serial("a record goes to all at most once a second; unique ones at once", (t) => {
  const { lab, heard, start, say } = createMdnsBench(t);
  start("a", "board");
  lab.runFor(5000);
  heard.length = 0;
  const began = lab.nowMs;
  for (let i = 0; i < 30; i++) {
    say({ questions: [{ name: "board.local", type: TYPES.A }] });
    lab.runFor(100);
  }
  t.is(heard.length, 3);
  t.true(heard[0]!.at - began <= 1);
});

test.serial("who wants the answer alone gets it alone, and so does who asks from another port", (t) => {
  const { lab, heard, start, say } = createMdnsBench(t);
  start("a", "board");
  lab.runFor(5000);
  heard.length = 0;
  say({ questions: [{ name: "board.local", type: TYPES.A, cls: QU }] });
  lab.runFor(100);
  t.like(heard[0], { daddr: addressText(lab.peer("p").addr), dport: 5353, id: 0 });
  heard.length = 0;
  lab.runFor(3_600_000);
  say({ questions: [{ name: "board.local", type: TYPES.A, cls: QU }] });
  lab.runFor(100);
  t.is(heard[0]!.daddr, "224.0.0.251", "which for long has not been told to all");
  heard.length = 0;
  say({ id: 4711, questions: [{ name: "Board.local", type: TYPES.A }] }, 40_000);
  lab.runFor(100);
  t.like(heard[0], { daddr: addressText(lab.peer("p").addr), dport: 40_000, id: 4711, flags: 0x8400 });
  t.deepEqual(heard[0]!.questions, [{ name: "Board.local", type: TYPES.A, cls: 1 }]);
  t.like(heard[0]!.answers[0], { cls: 1, ttl: 10 });
});

test.serial("all types are listed, and all records told for ANY", (t) => {
  const { lab, heard, start, say } = createMdnsBench(t);
  const a = start("a", "board");
  for (let i = 0; i < 7; i++) t.is(mdnsPublish(a, `Service ${i}`, `_t${i}._tcp`, 1000 + i), i + 1);
  t.is(mdnsPublish(a, "Too many", "_x._tcp", 1), -1);
  lab.runFor(5000);
  heard.length = 0;
  say({ questions: [{ name: "_services._dns-sd._udp.local", type: TYPES.PTR }] });
  lab.runFor(1000);
  t.deepEqual(heard.flatMap(({ answers }) => answers.map(({ target }) => target)).sort(), Array.from({ length: 7 }, (_, i) => `_t${i}._tcp.local`));
  mdnsUnpublish(a, 7);
  mdnsPublish(a, "Another", "_T0._tcp", 2000);
  lab.runFor(5000);
  heard.length = 0;
  for (const cls of [1, QU]) say({ questions: [{ name: "_services._dns-sd._udp.local", type: TYPES.PTR, cls }] });
  lab.runFor(1000);
  for (const { answers } of heard) t.deepEqual(answers.map(({ target }) => target), Array.from({ length: 6 }, (_, i) => `_t${i}._tcp.local`));
  t.is(heard.length, 2);
  heard.length = 0;
  say({ questions: [{ name: "service 3._t3._tcp.local", type: TYPES.ANY }] });
  lab.runFor(1000);
  t.deepEqual(heard[0]!.answers.map(({ type }) => type).sort((x, y) => x - y), [TYPES.TXT, TYPES.SRV]);
});

test.serial("what is no more renewed is asked for at 80 to 95 % of its time, and then lost", (t) => {
  const { lab, heard, start, say } = createMdnsBench(t);
  const a = start("a", "viewer");
  const events: string[] = [];
  mdnsBrowse(a, "_http._tcp", (event, instance) => events.push(`${event} ${instance}`));
  lab.runFor(5000);
  say({ flags: 0x8400, answers: [{ name: "_http._tcp.local", type: "PTR", ttl: 100, data: "Page._http._tcp.local" }] });
  const began = lab.nowMs;
  lab.runFor(10);
  t.deepEqual(events, ["1 Page"]);
  heard.length = 0;
  lab.runFor(120_000);
  t.deepEqual(events, ["1 Page", "2 Page"]);
  const asked = heard.filter(({ questions }) => questions.length > 0).map(({ at }) => Math.round((at - began) / 1000));
  for (const second of [80, 85, 90, 95]) t.true(asked.some((at) => at >= second && at <= second + 2), String(asked));
});

test.serial("questions are repeated ever more rarely, with what is known", (t) => {
  const { lab, heard, start } = createMdnsBench(t);
  const a = start("a", "board");
  mdnsPublish(a, "Page", "_http._tcp", 80);
  lab.runFor(5000);
  const b = start("b", "viewer");
  mdnsBrowse(b, "_http._tcp", () => undefined);
  lab.runFor(20_000);
  const asked = from(heard, 2).filter(({ questions }) => questions.some(({ type }) => type === TYPES.PTR));
  t.is(asked[0]!.answers.length, 0);
  t.true(asked.slice(1).every(({ answers }) => answers.length === 1 && answers[0]!.target === "Page._http._tcp.local"));
  const gaps = asked.slice(1).map(({ at }, i) => Math.round((at - asked[i]!.at) / 1000));
  t.deepEqual(gaps, [1, 2, 4, 8]);
});

test.serial("a new address is told after mdnsRefresh(), and a device that was away from the link begins anew", (t) => {
  const { lab, start } = createMdnsBench(t);
  const [a, b] = [start("a", "board"), start("b", "viewer")];
  lab.runFor(3000);
  const { net, dev, addr } = lab.host("a");
  inetDelAddress(net, dev, addr, 24);
  inetAddAddress(net, dev, addressNumber("10.0.0.77"), 24);
  mdnsRefresh(a);
  lab.runFor(3000);
  let found = "";
  mdnsLookup(b, "board.local", (_, { addr: known }) => (found = addressText(known)));
  lab.runFor(3000);
  t.is(found, "10.0.0.77");
  lab.wire.setCarrier(false);
  lab.runFor(60_000);
  lab.wire.setCarrier(true);
  mdnsRefresh(a);
  lab.runFor(5000);
  mdnsLookup(b, "board.local", (_, { addr: known }) => (found = `again ${addressText(known)}`));
  lab.runFor(3000);
  t.is(found, "again 10.0.0.77");
});

test.serial("over a line that loses a third, services are found and names stay apart", (t) => {
  const { lab, names, start } = createMdnsBench(t, { wire: { loss: 0.33, delayMs: 3, duplicate: 0.1 } });
  const [a, b] = [start("a", "board"), start("b", "viewer")];
  mdnsPublish(a, "Page", "_http._tcp", 80);
  const events: string[] = [];
  mdnsBrowse(b, "_http._tcp", (event, instance) => events.push(`${event} ${instance}`));
  lab.runFor(120_000);
  t.deepEqual(events, ["1 Page"]);
  t.is(names.length, 3);
});

test.serial("bad names, types and texts are named; without igmp there is none", (t) => {
  const { lab, start } = createMdnsBench(t);
  const a = start("a", "board");
  t.throws(() => mdns(lab.host("b").net, "eth0", { host: "a b" }), { instanceOf: RangeError, message: /host is a b/ });
  t.throws(() => mdns(lab.host("b").net, "eth8", { host: "a" }), { message: "mdns: device eth8: ENODEV" });
  t.throws(() => mdnsPublish(a, "x", "http", 80), { message: /http is no service type/ });
  t.throws(() => mdnsPublish(a, "x".repeat(64), "_http._tcp", 80), { message: /has 64 bytes/ });
  t.throws(() => mdnsPublish(a, "x", "_http._tcp", 80, ["y".repeat(256)]), { message: /at most 400/ });
});

test.serial("a resolver asks everybody on the link for a name that ends with local, whether or not it knows a server", (t) => {
  const { lab, start } = createMdnsBench(t);
  start("b", "lamp");
  lab.runFor(3000);
  const { net } = lab.host("a");
  const resolver = dns(net, { search: ["local"] });
  t.teardown(() => dnsStop(resolver));
  const ask = (name: string): string | number => {
    let result: string | number | null = null;
    dnsResolve(resolver, name, (error, { addresses }) => (result = error < 0 ? error : addressText(addresses[0]!)));
    lab.runUntil(() => result !== null, 10_000);
    return result!;
  };
  // Somebody who is quicker, and says it from a port that is not mDNS's, is not believed.
  const peer = lab.peer("p");
  const asked: string[] = [];
  lab.wire.observers.push((bytes, _from, timeMs) => {
    const { ip, udp } = parseFrame(bytes, timeMs);
    if (ip?.saddr !== addressText(lab.host("a").addr) || udp?.dport !== 5353) return;
    const { id, questions } = decodeMessage(udp.payload);
    asked.push(questions[0]!.name);
    const answers = [{ name: questions[0]!.name, type: "A", data: "192.0.2.9" }] as const;
    peer.sendUdp(5354, udp.sport, encodeMessage({ id, flags: 0x8400, questions, answers }), { daddr: lab.host("a").addr });
  });
  t.is(ask("Lamp.local"), "10.0.0.2");
  t.is(ask("lamp"), "10.0.0.2", "by the search list, and from the cache");
  t.deepEqual(asked, ["lamp.local"]);
  const from = lab.nowMs;
  t.is(ask("nobody.local."), EAI_AGAIN);
  t.true(lab.nowMs - from >= 3000 && asked.length === 4, "three questions, a second apart");
  t.is(ask("local"), EAI_AGAIN, "local.local");
  peer.drain();
});

test.serial("no message whatever disturbs it", (t) => {
  const { lab, names, start } = createMdnsBench(t);
  const a = start("a", "board");
  mdnsPublish(a, "Page", "_http._tcp", 80);
  mdnsBrowse(a, "_ipp._tcp", () => undefined);
  lab.runFor(3000);
  const query = encodeMessage({
    questions: [{ name: "_http._tcp.local", type: TYPES.PTR }, { name: "board.local", type: TYPES.ANY, cls: QU }],
    answers: [{ name: "_http._tcp.local", type: "PTR", data: "Page._http._tcp.local" }],
    authorities: [{ name: "board.local", type: "A", data: "10.0.0.1" }],
  });
  const response = encodeMessage({
    flags: 0x8400, answers: [{ name: "_ipp._tcp.local", type: "PTR", data: "Printer._ipp._tcp.local" }, { name: "x.local", type: "A", data: "1.2.3.4" }],
  });
  const peer = lab.peer("p");
  fc.assert(fc.property(fc.boolean(), fc.array(fc.tuple(fc.nat(150), fc.nat(255)), { maxLength: 8 }), fc.nat(150), (asks, changes, length) => {
    const bytes = Uint8Array.from((asks ? query : response).subarray(0, length));
    for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
    peer.sendUdp(5353, 5353, bytes, { daddr: GROUP });
    lab.runFor(20);
  }), { numRuns: 500 });
  lab.runFor(10_000);
  t.regex(names.at(-1)!, /^a[01] /);
  peer.drain();
});
