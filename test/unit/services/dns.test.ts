/** The resolver against a name server that the test plays: what it asks, when, whom, and what it makes of the answers. */
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import type { ConfigOptions } from "../../../src/index.ts";
import {
  dns, dnsCancel, type DnsOptions, dnsResolve, type DnsResolver, dnsReverse, dnsServers, dnsStop, EAI_AGAIN, EAI_CANCELED,
  EAI_FAIL, EAI_MEMORY, EAI_NODATA, EAI_NONAME, EAI_SYSTEM,
} from "../../../src/services/dns.ts";
import {
  ANSWER_FAILED, ANSWER_FOREIGN, DnsAnswer, dnsReadAnswer,
} from "../../../src/services/dns-message.ts";
import { dnsNameFromText, dnsNameRead, dnsNameText } from "../../../src/services/dns-name.ts";
import { type DnsHandler, DnsServer, encodeName, encodeReply, TYPES } from "../../lib/dns.ts";
import { addressNumber, addressText } from "../../lib/frames.ts";
import { createLab, type Lab } from "../../lib/lab.ts";
import type { Impairment } from "../../../hal/mock/impair.ts";

interface Bench {
  readonly lab: Lab;
  readonly server: DnsServer;
  readonly second: DnsServer;
  readonly resolver: DnsResolver;
  /** Asks and lets time pass until it is answered: addresses as text, or the error. */
  ask(name: string): string[] | number;
}

interface Setting {
  readonly options?: DnsOptions;
  readonly wire?: Impairment;
  readonly config?: ConfigOptions;
}

function setUp(t: ExecutionContext, handler: DnsHandler, { options = {}, wire = {}, config = {} }: Setting = {}): Bench {
  const lab = createLab(t, { hosts: ["board", "s1", "s2", "none"], wire, config });
  const server = new DnsServer(lab, lab.host("s1"), handler);
  const second = new DnsServer(lab, lab.host("s2"), handler);
  const resolver = dns(lab.host("board").net, { servers: [lab.host("s1").addr], ...options });
  t.teardown(() => dnsStop(resolver));
  const ask = (name: string): string[] | number => {
    let result: string[] | number | null = null;
    const handle = dnsResolve(resolver, name, (error, { addresses, count }) => {
      result = error < 0 ? error : Array.from(addresses.subarray(0, count), addressText);
    });
    if (handle < 0) return handle;
    lab.runUntil(() => result !== null);
    return result!;
  };
  return { lab, server, second, resolver, ask };
}

const address = (data: string, ttl = 60): DnsHandler => ({ name }) => ({ answers: [{ name, type: "A", ttl, data }] });

test.serial("a name becomes its addresses, from a random port under a random id", (t) => {
  const { server, ask } = setUp(t, ({ name }) => ({
    answers: ["192.0.2.1", "192.0.2.2"].map((data) => ({ name, type: "A", ttl: 0, data })),
  }));
  t.deepEqual(ask("www.example.org"), ["192.0.2.1", "192.0.2.2"]);
  for (let i = 0; i < 20; i++) ask("www.example.org");
  t.like(server.questions[0], { name: "www.example.org", type: TYPES.A, udpBytes: 1232, tcp: false });
  t.true(new Set(server.questions.map(({ id }) => id)).size > 18);
  t.true(new Set(server.questions.map(({ port }) => port)).size > 18);
});

test.serial("an address and localhost are their own answers", (t) => {
  const { server, ask } = setUp(t, () => null);
  t.deepEqual(ask("10.1.2.255"), ["10.1.2.255"]);
  t.deepEqual(ask("localhost"), ["127.0.0.1"]);
  t.deepEqual(ask("board.localhost."), ["127.0.0.1"]);
  t.is(server.questions.length, 0);
});

test.serial("what is no name is refused at once, and a question too many", (t) => {
  const { lab, resolver } = setUp(t, address("192.0.2.1"));
  const done = (): void => t.fail();
  for (const name of ["", ".", "a..b", ".a", "a b", `${"x".repeat(64)}.org`, "x.".repeat(127) + "xx", "ü.org"]) {
    t.is(dnsResolve(resolver, name, done), EAI_NONAME, name);
  }
  const ended: number[] = [];
  for (let i = 0; i < 2; i++) t.true(dnsResolve(resolver, `n${i}.org`, (error) => ended.push(error)) >= 0);
  t.is(dnsResolve(resolver, "n3.org", done), EAI_MEMORY);
  t.deepEqual(ended, [], "never from inside the call");
  lab.runFor(100);
  t.deepEqual(ended, [0, 0]);
});

test.serial("an answer is remembered for its TTL, and not longer", (t) => {
  const { lab, server, ask } = setUp(t, address("192.0.2.7", 30));
  for (let i = 0; i < 5; i++) t.deepEqual(ask("Cached.Example.org"), ["192.0.2.7"]);
  t.is(server.questions.length, 1);
  lab.runFor(29_000);
  ask("cached.example.org.");
  t.is(server.questions.length, 1);
  lab.runFor(1500);
  ask("cached.example.org");
  t.is(server.questions.length, 2);
});

test.serial("the cache holds as many names as it is made for, and gives up the one that ends first", (t) => {
  const { server, ask } = setUp(t, ({ name }) => ({
    answers: [{ name, type: "A", ttl: name === "short.org" ? 10 : 60, data: "192.0.2.1" }],
  }), { options: { cache: 2 } });
  for (const name of ["long.org", "short.org", "third.org"]) ask(name);
  t.is(server.questions.length, 3);
  ask("long.org");
  ask("third.org");
  t.is(server.questions.length, 3);
  ask("short.org");
  t.is(server.questions.length, 4);
});

test.serial("that there is no such name is remembered as the SOA says, and not without one", (t) => {
  const { lab, server, ask } = setUp(t, ({ name }) => ({
    rcode: 3, authorities: name === "unknown.org" ? [] : [{ name: "org", type: "SOA", ttl: 300, data: 20 }],
  }));
  t.is(ask("none.org"), EAI_NONAME);
  t.is(ask("none.org"), EAI_NONAME);
  t.is(server.questions.length, 1);
  lab.runFor(21_000);
  t.is(ask("none.org"), EAI_NONAME);
  t.is(server.questions.length, 2);
  t.is(ask("unknown.org"), EAI_NONAME);
  t.is(ask("unknown.org"), EAI_NONAME);
  t.is(server.questions.length, 4);
});

test.serial("that there is nothing behind an alias is remembered no longer than the alias", (t) => {
  const { lab, server, ask } = setUp(t, ({ name }) => ({
    rcode: 3, answers: [{ name, type: "CNAME", ttl: 5, data: "gone.org" }], authorities: [{ name: "org", type: "SOA", ttl: 300, data: 300 }],
  }));
  t.is(ask("alias.org"), EAI_NONAME);
  t.is(ask("alias.org"), EAI_NONAME);
  t.is(server.questions.length, 1);
  lab.runFor(6000);
  t.is(ask("alias.org"), EAI_NONAME);
  t.is(server.questions.length, 2);
});

test.serial("a name without an address is no data", (t) => {
  const { ask } = setUp(t, () => ({ authorities: [{ name: "org", type: "SOA", data: 20 }] }));
  t.is(ask("mail-only.org"), EAI_NODATA);
  t.is(ask("mail-only.org"), EAI_NODATA);
});

test.serial("aliases are followed in any order, the lowest TTL counts", (t) => {
  const { lab, server, ask } = setUp(t, ({ name }) => ({
    answers: [
      { name: "c.org", type: "A", ttl: 60, data: "192.0.2.3" },
      { name: "B.org", type: "CNAME", ttl: 5, data: "c.org" },
      { name, type: "CNAME", ttl: 60, data: "b.org" },
      { name: "unrelated.org", type: "A", ttl: 60, data: "192.0.2.66" },
    ],
  }));
  t.deepEqual(ask("a.org"), ["192.0.2.3"]);
  lab.runFor(6000);
  ask("a.org");
  t.is(server.questions.length, 2);
});

test.serial("an alias whose target the answer lacks is asked for", (t) => {
  const { server, ask } = setUp(t, ({ name }) =>
    name === "a.org" ? { answers: [{ name, type: "CNAME", data: "b.net" }] } : { answers: [{ name, type: "A", data: "192.0.2.4" }] });
  t.deepEqual(ask("a.org"), ["192.0.2.4"]);
  t.deepEqual(server.questions.map(({ name }) => name), ["a.org", "b.net"]);
});

test.serial("aliases in a circle fail, in one answer and over several", (t) => {
  const { server, ask } = setUp(t, ({ name }) => {
    if (name === "self.org") return { answers: [{ name, type: "CNAME", data: name }] };
    return { answers: [{ name, type: "CNAME", data: name === "x.org" ? "y.org" : "x.org" }] };
  });
  t.is(ask("self.org"), EAI_FAIL);
  const before = server.questions.length;
  t.is(ask("x.org"), EAI_FAIL);
  t.true(server.questions.length - before <= 10);
});

test.serial("the search list comes after a name with a dot, before one without", (t) => {
  const { server, ask } = setUp(t, ({ name }) =>
    name === "board.lan" || name === "a.b" ? { answers: [{ name, type: "A", data: "10.0.0.9" }] } : { rcode: 3 },
  { options: { search: ["home", "lan"] } });
  t.deepEqual(ask("board"), ["10.0.0.9"]);
  t.deepEqual(server.questions.map(({ name }) => name), ["board.home", "board.lan"]);
  server.questions.length = 0;
  t.deepEqual(ask("a.b"), ["10.0.0.9"]);
  t.is(ask("b.c"), EAI_NONAME);
  t.is(ask("other."), EAI_NONAME);
  t.is(ask("other"), EAI_NONAME);
  t.deepEqual(server.questions.map(({ name }) => name), [
    "a.b", "b.c", "b.c.home", "b.c.lan", "other", "other.home", "other.lan", "other",
  ]);
});

test.serial("a silent server is asked again after 2, 4 and 8 s, then it is given up", (t) => {
  const { lab, server, ask } = setUp(t, () => null);
  t.is(ask("silent.org"), EAI_AGAIN);
  t.is(server.questions.length, 3);
  t.is(Math.round(lab.nowMs), 14_000);
});

test.serial("the next server is asked when one is silent, and first from then on", (t) => {
  const { lab, server, second, resolver, ask } = setUp(t, () => null);
  second.handler = address("192.0.2.8", 0);
  dnsServers(resolver, [lab.host("s1").addr, lab.host("s2").addr]);
  t.deepEqual(ask("one.org"), ["192.0.2.8"]);
  t.is(Math.round(lab.nowMs), 2000);
  t.deepEqual(ask("two.org"), ["192.0.2.8"]);
  t.is(Math.round(lab.nowMs), 2000);
  t.is(server.questions.length, 1);
});

test.serial("a server that fails, refuses, talks nonsense or is not there is passed over without waiting", (t) => {
  const { lab, second, resolver, server, ask } = setUp(t, () => null);
  second.handler = address("192.0.2.8", 0);
  const nonsense = encodeReply({ id: 0, name: "n.org", type: 1, udpBytes: 0 }, { answers: [{ name: "n.org", type: "A", data: "1.2.3.4" }] });
  for (const handler of [
    () => ({ rcode: 2 }), () => ({ rcode: 5 }),
    ({ id }) => Uint8Array.from([id >> 8, id & 255, ...nonsense.subarray(2, nonsense.length - 3)]),
  ] satisfies DnsHandler[]) {
    server.handler = handler;
    dnsServers(resolver, [lab.host("s1").addr, lab.host("s2").addr]);
    t.deepEqual(ask("n.org"), ["192.0.2.8"]);
  }
  // There nobody has the port.
  dnsServers(resolver, [lab.host("none").addr, lab.host("s2").addr]);
  t.deepEqual(ask("n.org"), ["192.0.2.8"]);
  t.is(Math.round(lab.nowMs), 0);
  dnsServers(resolver, [lab.host("s1").addr]);
  server.handler = () => ({ rcode: 5 });
  t.is(ask("n.org"), EAI_FAIL);
});

test.serial("a server that does not know EDNS is asked without", (t) => {
  const { server, ask } = setUp(t, ({ name, udpBytes }) =>
    udpBytes > 0 ? { rcode: 1 } : { answers: [{ name, type: "A", data: "192.0.2.5" }] });
  t.deepEqual(ask("old.org"), ["192.0.2.5"]);
  t.deepEqual(server.questions.map(({ udpBytes }) => udpBytes), [1232, 0]);
});

test.serial("a truncated answer is fetched over TCP", (t) => {
  const many = Array.from({ length: 200 }, (_, i) => `10.2.0.${i + 1}`);
  const { server, ask } = setUp(t, ({ name }, tcp) =>
    tcp ? { answers: many.map((data) => ({ name, type: "A", data })) } : { truncated: true });
  t.deepEqual(ask("many.org"), many.slice(0, 8));
  t.deepEqual(server.questions.map(({ tcp }) => tcp), [false, true]);
});

test.serial("a server that breaks off or is silent over TCP does not hold the question for ever", (t) => {
  const { lab, ask } = setUp(t, (_question, tcp) => (tcp ? null : { truncated: true }));
  t.is(ask("stuck.org"), EAI_AGAIN);
  t.true(lab.nowMs <= 15_000);
});

test.serial("answers with the wrong id, name, type or from elsewhere do not count", (t) => {
  const { server, ask } = setUp(t, (asked) => {
    const answers = [{ name: asked.name, type: "A" as const, data: "6.6.6.6" }];
    return [
      { id: asked.id ^ 1, answers }, { question: { name: "other.org", type: 1 }, answers }, { question: { ...asked, type: 28 }, answers },
      Uint8Array.from([asked.id >> 8, asked.id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...encodeName(asked.name), 0, 1, 0, 1]),
      { answers: [{ name: asked.name, type: "A", data: "192.0.2.1" }] },
    ];
  });
  t.deepEqual(ask("spoofed.org"), ["192.0.2.1"]);
  t.is(server.questions.length, 1);
});

test.serial("the name of an address", (t) => {
  const { lab, resolver } = setUp(t, ({ name, type }) =>
    type === TYPES.PTR ? { answers: [{ name, type: "PTR", data: "Board.example.org" }] } : null);
  let name = "";
  dnsReverse(resolver, addressNumber("192.0.2.10"), (error, answer) => (name = `${error} ${answer.name}`));
  lab.runFor(100);
  t.is(name, "0 board.example.org");
});

test.serial("a question that is taken back is not heard of again; stopping ends what is left", (t) => {
  const { lab, resolver } = setUp(t, () => null);
  const first = dnsResolve(resolver, "a.org", () => t.fail());
  const ended: number[] = [];
  dnsResolve(resolver, "b.org", (error) => ended.push(error));
  lab.runFor(100);
  dnsCancel(resolver, first);
  dnsCancel(resolver, first);
  lab.runFor(100);
  dnsStop(resolver);
  t.deepEqual(ended, [EAI_CANCELED]);
  t.is(dnsResolve(resolver, "c.org", () => t.fail()), EAI_MEMORY);
});

test.serial("without a server there is no answer, until one is known", (t) => {
  const { lab, resolver, ask } = setUp(t, address("192.0.2.1"), { options: { servers: [] } });
  t.is(ask("a.org"), EAI_SYSTEM);
  dnsServers(resolver, new Int32Array([lab.host("s2").addr, 0, 0]), 1);
  t.deepEqual(ask("a.org"), ["192.0.2.1"]);
});

test.serial("names are found over a line that loses a third of all packets, and after the server's restart", (t) => {
  const { lab, server, ask } = setUp(t, address("192.0.2.1", 0), { wire: { loss: 0.33 }, options: { attempts: 12, timeoutMs: 500 } });
  for (let i = 0; i < 20; i++) t.deepEqual(ask(`n${i}.org`), ["192.0.2.1"]);
  const up = server.handler;
  server.handler = () => null;
  lab.runFor(1000);
  const from = lab.nowMs;
  lab.clock.at(from + 5000, () => (server.handler = up));
  t.deepEqual(ask("later.org"), ["192.0.2.1"]);
  t.true(lab.nowMs > from + 5000);
});

test.serial("with the pools of a small board", (t) => {
  const { ask } = setUp(t, address("192.0.2.1"), { config: { preset: "small", files: 24, socks: 16, tcpSocks: 4, ifaddrs: 6, routes: 24, fibInfos: 12, fibTables: 6, neighbours: 16 } });
  t.deepEqual(ask("small.org"), ["192.0.2.1"]);
});

test.serial("options out of range are named", (t) => {
  const { lab } = setUp(t, () => null);
  const { net } = lab.host("board");
  t.throws(() => dns(net, { queries: 0 }), { instanceOf: RangeError, message: "dns: option queries is 0; it must be a whole number from 1 to 16" });
  t.throws(() => dns(net, { udpBytes: 4096 }), { message: /udpBytes is 4096; .* from 512 to 1232/ });
  t.throws(() => dns(net, { search: ["a..b"] }), { message: /search has a\.\.b/ });
});

const label = fc.stringMatching(/^[a-zA-Z0-9_-]{1,63}$/);
const domain = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join(".")).filter((name) => name.length <= 253);

test.serial("every name survives the way into a message and back, in lower case", (t) => {
  fc.assert(fc.property(domain, (name) => {
    const bytes = new Uint8Array(300);
    const length = dnsNameFromText(name, bytes, 3);
    t.deepEqual([...bytes.subarray(3, 3 + length)], encodeName(name.toLowerCase()));
    const out = new Uint8Array(300);
    t.is(dnsNameRead(bytes, 300, 3, out, 0), 3 + length);
    t.is(dnsNameText(out, 0), name.toLowerCase());
  }));
});

test.serial("no message whatever hangs or misleads the reader", (t) => {
  const name = Uint8Array.from(encodeName("a.org"));
  const question = { id: 7, name: "a.org", type: 1, udpBytes: 0 };
  const whole = encodeReply(question, {
    answers: [{ name: "a.org", type: "CNAME", data: "b.org" }, { name: "b.org", type: "A", data: "192.0.2.1" }],
    authorities: [{ name: "org", type: "SOA", data: 5 }],
  });
  const answer = new DnsAnswer();
  const read = (bytes: Uint8Array): number => {
    const buffer = new Uint8Array(1232);
    buffer.set(bytes);
    return dnsReadAnswer(buffer, new DataView(buffer.buffer), bytes.length, 7, name, 1, false, answer);
  };
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 6 }), fc.nat(whole.length), (changes, length) => {
    const bytes = Uint8Array.from(whole.subarray(0, length));
    for (const [at, value] of changes) if (at < length) bytes[at] = value;
    const kind = read(bytes);
    t.true(kind >= ANSWER_FOREIGN && kind <= ANSWER_FAILED && answer.count <= 8 && answer.ttlSec >= 0);
  }), { numRuns: 3000 });
  fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), (tail) => {
    const bytes = Uint8Array.from([0, 7, 0x81, 0x80, 0, 1, 0, 9, 0, 9, 0, 9, ...name, 0, 1, 0, 1, ...tail]);
    const kind = read(bytes);
    t.true(kind >= ANSWER_FOREIGN && kind <= ANSWER_FAILED);
  }), { numRuns: 2000 });
});
