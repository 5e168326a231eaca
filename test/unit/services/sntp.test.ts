/** The SNTP client against a time server that the test plays. */
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import type { Impairment } from "../../../hal/mock/impair.ts";
import { AF_INET, bind, recvfrom, sendto, SOCK_DGRAM, SockaddrIn } from "../../../src/index.ts";
import { sntp, type SntpClient, sntpNow, type SntpOptions, sntpServers, sntpStop } from "../../../src/services/sntp.ts";
import { createLab, type Lab, type LabHost } from "../../lib/lab.ts";

/** 2026-11-26 12:00 UTC. */
const START_MS = Date.UTC(2026, 10, 26, 12);
const TO_1900_SEC = 2208988800;

/** What the server says; times in ms since 1970. */
interface Said {
  readonly receiveMs: number;
  readonly transmitMs: number;
  readonly leap?: number;
  readonly version?: number;
  readonly mode?: number;
  readonly stratum?: number;
  readonly refid?: string;
  readonly rootDelay?: number;
  readonly dispersion?: number;
  readonly spoil?: (bytes: Uint8Array) => Uint8Array;
}

function putTime(view: DataView, at: number, ms: number): void {
  view.setUint32(at, Math.floor(ms / 1000) + TO_1900_SEC);
  view.setUint32(at + 4, Math.round(((ms % 1000) / 1000) * 2 ** 32));
}

class TimeServer {
  readonly asked: { readonly at: number; readonly port: number; readonly bytes: Uint8Array }[] = [];
  handler: (nowMs: number) => Said | null;

  constructor(lab: Lab, host: LabHost, handler: (nowMs: number) => Said | null) {
    this.handler = handler;
    const fd = host.socket(AF_INET, SOCK_DGRAM);
    bind(fd, new SockaddrIn(host.addr, 123));
    const buffer = new Uint8Array(256);
    const from = new SockaddrIn();
    lab.addStep(() => {
      const count = recvfrom(fd, buffer, 0, buffer.length, 0, from);
      if (count < 0) return false;
      const bytes = buffer.slice(0, count);
      this.asked.push({ at: lab.nowMs, port: from.port, bytes });
      const said = this.handler(START_MS + lab.nowMs);
      if (said === null) return true;
      const reply = new Uint8Array(48);
      const view = new DataView(reply.buffer);
      reply[0] = ((said.leap ?? 0) << 6) | ((said.version ?? 4) << 3) | (said.mode ?? 4);
      reply[1] = said.stratum ?? 2;
      view.setInt32(4, (said.rootDelay ?? 0.01) * 65536);
      view.setUint32(8, (said.dispersion ?? 0.01) * 65536);
      reply.set(Buffer.from(said.refid ?? ""), 12);
      reply.set(bytes.subarray(40, 48), 24);
      putTime(view, 32, said.receiveMs);
      putTime(view, 40, said.transmitMs);
      const whole = said.spoil === undefined ? reply : said.spoil(reply);
      sendto(fd, whole, 0, whole.length, 0, from);
      return true;
    });
  }
}

const honest = (nowMs: number): Said => ({ receiveMs: nowMs, transmitMs: nowMs });

interface Bench {
  readonly lab: Lab;
  readonly server: TimeServer;
  readonly second: TimeServer;
  readonly client: SntpClient;
  readonly steps: number[];
  /** How far the client's time is from the true one, ms. */
  error(): number;
}

function setUp(t: ExecutionContext, handler: (nowMs: number) => Said | null, options: SntpOptions = {}, wire: Impairment = {}): Bench {
  const lab = createLab(t, { hosts: ["board", "s1", "s2", "none"], wire });
  lab.runFor(1234);
  const server = new TimeServer(lab, lab.host("s1"), handler);
  const second = new TimeServer(lab, lab.host("s2"), honest);
  const steps: number[] = [];
  const client = sntp(lab.host("board").net, { servers: [lab.host("s1").addr], onTime: (_, step) => steps.push(step), ...options });
  t.teardown(() => sntpStop(client));
  return { lab, server, second, client, steps, error: () => sntpNow(client) - (START_MS + lab.clock.now()) };
}

test.serial("the time is known after one answer, and asked for at longer and longer intervals", (t) => {
  const { lab, server, client, steps, error } = setUp(t, honest);
  t.is(sntpNow(client), NaN);
  lab.runFor(10);
  t.true(Math.abs(error()) < 1);
  t.is(client.stratum, 2);
  lab.runFor(8000 * 1000);
  t.true(Math.abs(error()) < 1);
  const gaps = server.asked.slice(1).map(({ at }, i) => (at - server.asked[i]!.at) / 1000);
  [64, 128, 256, 512, 1024, 1024].forEach((expected, i) => t.true(Math.abs(gaps[i]! - expected) <= expected / 8 + 1, `${i}: ${gaps[i]}`));
  t.true(gaps.some((gap) => Math.abs(gap - Math.round(gap / 64) * 64) > 0.1), "with jitter");
  t.true(steps.length > 8 && steps.slice(1).every((step) => Math.abs(step) < 1));
});

test.serial("the question tells nothing but a random number, from a random port", (t) => {
  const { lab, server } = setUp(t, honest, { minPollSec: 16, maxPollSec: 16 });
  lab.runFor(300_000);
  t.true(server.asked.length > 15);
  t.is(new Set(server.asked.map(({ port }) => port)).size, server.asked.length);
  t.is(new Set(server.asked.map(({ bytes }) => Buffer.from(bytes.subarray(40)).toString("hex"))).size, server.asked.length);
  for (const { bytes } of server.asked) {
    t.is(bytes[0], 0x23);
    t.true(bytes.subarray(1, 40).every((byte) => byte === 0));
  }
});

test.serial("delay is what both ways take, and half of it does not falsify the time", (t) => {
  const { lab, client, error } = setUp(t, (now) => ({ receiveMs: now, transmitMs: now }), {}, { delayMs: 40 });
  lab.runFor(200);
  t.is(client.delayMs, 80);
  t.true(Math.abs(error()) <= 1, String(error()));
});

test.serial("after 2036 the numbers of the new era are understood", (t) => {
  const later = Date.UTC(2040, 0, 1) - START_MS;
  const { lab, error } = setUp(t, (now) => ({ receiveMs: now + later, transmitMs: now + later }));
  lab.runFor(100);
  t.true(Math.abs(error() - later) < 1, String(error()));
});

test.serial("DENY and RSTR send the client to another server for good", (t) => {
  for (const refid of ["DENY", "RSTR"]) {
    const { lab, server, client, error } = setUp(t, () => ({ receiveMs: 0, transmitMs: 0, stratum: 0, refid }));
    sntpServers(client, [lab.host("s1").addr, lab.host("s2").addr]);
    lab.runFor(20_000_000);
    t.is(server.asked.length, 1);
    t.true(Math.abs(error()) < 1);
    t.is(client.kisses, 1);
    sntpServers(client, [lab.host("s1").addr]);
    lab.runFor(1_000_000);
    t.is(server.asked.length, 2, "the only one: nobody is asked any more");
    sntpStop(client);
    lab.close();
  }
});

test.serial("RATE makes it ask as rarely as it may", (t) => {
  const { lab, server, client } = setUp(t, () => ({ receiveMs: 0, transmitMs: 0, stratum: 0, refid: "RATE" }));
  lab.runFor(4 * 1024 * 1000);
  t.true(server.asked.length >= 4 && server.asked.length <= 6, String(server.asked.length));
  t.false(client.synchronized);
});

test.serial("a kiss without our number is no kiss", (t) => {
  const { lab, server, client } = setUp(t, () => ({
    receiveMs: 0, transmitMs: 0, stratum: 0, refid: "DENY", spoil: (bytes) => bytes.fill(7, 24, 32),
  }));
  lab.runFor(60_000);
  t.true(server.asked.length > 3);
  t.is(client.kisses, 0);
});

test.serial("servers that do not know the time, or say nonsense, are not believed", (t) => {
  const { lab, server, client } = setUp(t, () => null, { minPollSec: 16, maxPollSec: 16 });
  const nonsense: Partial<Said>[] = [
    { leap: 3 }, { stratum: 16 }, { mode: 3 }, { mode: 5 }, { version: 0 }, { version: 7 }, { dispersion: 20 }, { rootDelay: 40 }, { rootDelay: -3 },
    { spoil: (bytes) => bytes.subarray(0, 47) }, { spoil: (bytes) => bytes.fill(0, 32, 40) }, { spoil: (bytes) => bytes.fill(0, 40, 48) },
    { spoil: (bytes) => bytes.fill(1, 31, 32) },
  ];
  for (const said of nonsense) {
    server.handler = (now) => ({ ...honest(now), ...said });
    lab.runFor(60_000);
    t.false(client.synchronized, JSON.stringify(said));
  }
  server.handler = honest;
  lab.runFor(60_000);
  t.true(client.synchronized);
});

test.serial("silent servers are asked in turn, ever more rarely; one that is not there costs no time", (t) => {
  const { lab, server, second, client } = setUp(t, () => null);
  second.handler = () => null;
  sntpServers(client, [lab.host("none").addr, lab.host("s1").addr, lab.host("s2").addr]);
  lab.runFor(3_600_000);
  t.true(Math.abs(server.asked.length - second.asked.length) <= 1);
  t.true(server.asked.length > 3 && server.asked.length < 12, String(server.asked.length));
  second.handler = honest;
  lab.runUntil(() => client.synchronized, 8_000_000);
  t.pass();
});

test.serial("the time is kept over a line that loses half, and through the server's restart", (t) => {
  const { lab, server, client, error } = setUp(t, honest, { maxPollSec: 128 }, { loss: 0.5, delayMs: 10, jitterMs: 5 });
  lab.runFor(4 * 3_600_000);
  t.true(client.answers > 50, String(client.answers));
  t.true(Math.abs(error()) <= 5);
  server.handler = () => null;
  lab.runFor(3_600_000);
  server.handler = honest;
  const before = client.answers;
  lab.runFor(3_600_000);
  t.true(client.answers > before + 5);
});

test.serial("the clock goes on for months without an answer", (t) => {
  const { lab, client, error } = setUp(t, honest);
  lab.runFor(100);
  sntpServers(client, []);
  lab.runFor(60 * 86_400_000);
  t.true(Math.abs(error()) < 1, String(error()));
});

test.serial("a client that was stopped asks nobody any more, whatever it is told", (t) => {
  const { lab, server, client, error } = setUp(t, honest);
  lab.runFor(100);
  sntpStop(client);
  sntpServers(client, [lab.host("s1").addr]);
  sntpStop(client);
  lab.runFor(1_000_000);
  t.is(server.asked.length, 1);
  t.true(Math.abs(error()) < 1);
});

test.serial("bad options are named", (t) => {
  const { lab } = setUp(t, honest);
  t.throws(() => sntp(lab.host("board").net, { minPollSec: 1 }), { instanceOf: RangeError, message: "sntp: option minPollSec is 1; it must be 16 to 86400 s" });
});

test.serial("no answer whatever sets a wrong time unless it repeats the number", (t) => {
  const { lab, server, client } = setUp(t, honest, { minPollSec: 16, maxPollSec: 16 });
  lab.runFor(100);
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(47), fc.nat(255)), { maxLength: 5 }), fc.integer({ min: 1, max: 255 }), (changes, flip) => {
    server.handler = (now) => ({
      ...honest(now + 1e9), spoil(bytes) {
        for (const [at, value] of changes) bytes[at] = value;
        if (changes.every(([at]) => at < 24 || at > 31)) bytes[28]! ^= flip;
        return bytes;
      },
    });
    lab.runFor(20_000);
    t.true(Number.isFinite(sntpNow(client)));
  }), { numRuns: 50 });
});

const word = fc.oneof({ weight: 3, arbitrary: fc.integer({ min: 0, max: 0xffffffff }) }, { weight: 2, arbitrary: fc.constantFrom(0, 1, 0x7fffffff, 0x80000000, 0xffffffff) });
const anyAnswer = fc.record({
  first: fc.oneof({ weight: 5, arbitrary: fc.constantFrom(0x24, 0x1c, 0x64) }, { weight: 2, arbitrary: fc.nat(255) }),
  stratum: fc.oneof({ weight: 5, arbitrary: fc.integer({ min: 1, max: 15 }) }, { weight: 1, arbitrary: fc.constantFrom(0, 16, 255) }),
  rootDelay: fc.oneof(fc.nat(0x20000), fc.integer({ min: -0x200000, max: 0x200000 }), fc.integer()),
  dispersion: fc.oneof({ weight: 3, arbitrary: fc.nat(0x100000) }, { weight: 1, arbitrary: word }),
  refid: fc.constantFrom("GPS\0", "DENY", "RATE", "INIT"),
  receive: fc.tuple(word, word),
  transmit: fc.tuple(word, word),
  repeats: fc.oneof({ weight: 6, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
  length: fc.oneof({ weight: 6, arbitrary: fc.constantFrom(48, 68) }, { weight: 1, arbitrary: fc.nat(47) }),
});

test.serial("of any answer the time is taken, or not, as a naive reader of RFC 4330 would", (t) => {
  const { lab, server, client } = setUp(t, honest, { minPollSec: 16, maxPollSec: 16 });
  lab.runFor(100);
  /** Times before 2036 are of the first era, those that have begun again of the second. */
  const toUnixMs = ([seconds, fraction]: readonly [number, number]): number =>
    (seconds + (seconds < 2 ** 31 ? 2 ** 32 : 0) - TO_1900_SEC + fraction / 2 ** 32) * 1000;
  const seen = { taken: 0, kissed: 0 };
  fc.assert(fc.property(anyAnswer, (said) => {
    server.handler = (now) => ({
      ...honest(now), spoil(bytes) {
        const view = new DataView(bytes.buffer);
        bytes.set([said.first, said.stratum]);
        bytes.set(Buffer.from(said.refid), 12);
        view.setInt32(4, said.rootDelay);
        view.setUint32(8, said.dispersion);
        [said.receive, said.transmit].flat().forEach((value, i) => view.setUint32(32 + i * 4, value));
        if (!said.repeats) bytes[31]! ^= 1;
        return Uint8Array.from({ length: said.length }, (_, i) => bytes[i] ?? 0xff);
      },
    });
    const { answers, kisses } = client;
    sntpServers(client, [lab.host("s1").addr]);
    lab.runFor(20);
    const heard = said.length >= 48 && said.repeats && (said.first & 7) === 4;
    const version = (said.first >> 3) & 7;
    const distance = said.rootDelay / 2 + said.dispersion;
    const taken = heard && said.stratum >= 1 && said.stratum <= 15 && said.first >> 6 !== 3 && version >= 1 && version <= 4
      && distance >= 0 && distance < 16 * 65536 && [said.receive, said.transmit].every(([high, low]) => high !== 0 || low !== 0);
    const kissed = heard && said.stratum === 0;
    t.deepEqual([client.answers - answers, client.kisses - kisses], [taken ? 1 : 0, kissed ? 1 : 0]);
    if (kissed) seen.kissed++;
    if (!taken) return;
    seen.taken++;
    const [there, back] = [toUnixMs(said.receive), toUnixMs(said.transmit)];
    t.true(Math.abs(client.epochMs + client.sentMs - (there + back) / 2) < 1e-3);
    t.is(client.stratum, said.stratum);
    t.true(Math.abs(client.delayMs - Math.max(0, there - back)) < 1e-3);
  }), { numRuns: 300 });
  t.true(seen.taken > 5 && seen.kissed > 0, JSON.stringify(seen));
});
