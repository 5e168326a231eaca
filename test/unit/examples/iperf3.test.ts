/** examples/iperf3: what is pure in it, against what the real iperf3 3.12 says; and its client against its server. */
import test from "ava";
import fc from "fast-check";
import { Client } from "../../../examples/iperf3/client.ts";
import {
  formatParams, formatResults, MOST_LENGTH, parseCommand, parseParams, parseResults, type Settings,
} from "../../../examples/iperf3/params.ts";
import { UdpMeter, writeUdpHeader } from "../../../examples/iperf3/protocol.ts";
import { Server } from "../../../examples/iperf3/server.ts";
import { setNs } from "../../../src/index.ts";
import { createLab, type Lab, type LabHost } from "../../lib/lab.ts";

/** Of `iperf3 -c … -u -R -P 2 -b 5M`, but for the length. */
const REAL_PARAMS = '{"udp":true,"omit":0,"time":10,"num":0,"blockcount":0,"parallel":2,"reverse":true,"len":1448,'
  + '"bandwidth":5000000,"pacing_timer":1000,"client_version":"3.12"}';

test("the command line of the real iperf3 is understood", (t) => {
  const { server, port, settings } = parseCommand(["-c", "10.0.0.1", "-u", "-R", "-n", "1.5M", "-P", "3", "-b", "20k", "-p", "80"]);
  t.is(server, 0x0a000001);
  t.is(port, 80);
  t.like(settings, { udp: true, reverse: true, streams: 3, seconds: 0, bytes: 1_500_000, rate: 20_000, length: 1448 });
  t.like(parseCommand(["-s"]), { server: null, port: 5201 });
  t.like(parseCommand(["-c", "10.0.0.1"]).settings, { udp: false, seconds: 10, bytes: 0, rate: 0 });
});

test("what the command line may not say is refused with the reason", (t) => {
  for (const [args, reason] of [
    [["-x"], /no option -x/], [["-c", "host"], /-c is host/], [["-P", "9"], /-P is 9/], [["-t", "long"], /-t is long/],
    [["-p", "0"], /-p is 0/], [["-u", "-l", "15"], /-l is 15/], [["-b"], /-b is /],
  ] as const) {
    t.throws(() => parseCommand(args), { message: reason }, args.join(" "));
  }
});

test("the parameters that the real iperf3 sends are understood", (t) => {
  t.deepEqual(parseParams(REAL_PARAMS), {
    udp: true, reverse: true, streams: 2, seconds: 10, bytes: 0, blocks: 0, length: 1448, rate: 5_000_000, wide: false,
  });
  const tcp = parseParams('{"tcp":true,"omit":0,"time":3,"num":0,"blockcount":0,"parallel":1,"len":131072}');
  t.like(tcp, { udp: false, length: MOST_LENGTH, rate: 0 });
});

test("parameters survive the way to the other side", (t) => {
  const settings: fc.Arbitrary<Settings> = fc.record({
    udp: fc.boolean(), reverse: fc.boolean(), streams: fc.integer({ min: 1, max: 8 }), seconds: fc.nat(1000), bytes: fc.nat(),
    blocks: fc.nat(), length: fc.integer({ min: 16, max: MOST_LENGTH }), rate: fc.nat(), wide: fc.boolean(),
  });
  fc.assert(fc.property(settings, (one) => t.deepEqual(parseParams(formatParams(one)), one) || true));
});

test("parameters and results of any other kind are refused by an exception", (t) => {
  const refused = (parse: () => unknown): void => void t.throws(parse, { any: true });
  for (const text of ["", "[", "null", "7", "{}", '{"sctp":true}', '{"tcp":true,"parallel":0}', '{"tcp":true,"parallel":1,"omit":2}',
    '{"tcp":true,"parallel":1,"bidirectional":true}', '{"udp":true,"parallel":1,"len":65507}', '{"tcp":true,"parallel":"2"}',
    '{"tcp":true,"parallel":1,"time":-1}', '{"tcp":true,"parallel":1,"num":1e999}']) refused(() => parseParams(text));
  for (const text of ["", "null", "{}", '{"streams":7}', '{"streams":[]}', '{"streams":[{"id":2}]}', '{"streams":[{"id":1,"bytes":"x"}]}']) {
    refused(() => parseResults(text, 1));
  }
});

test("results survive the way to the other side, under the numbers that iperf3 gives to streams", (t) => {
  const results = [1, 2, 3].map((n) => ({ bytes: n * 1e9, packets: n, lost: 2 * n, jitter: n / 1000 }));
  const text = formatResults(results, 2.5);
  t.deepEqual(parseResults(text, 3), results);
  const { streams } = JSON.parse(text) as { streams: { id: number }[] };
  t.deepEqual(streams.map(({ id }) => id), [1, 3, 4]);
});

test("a datagram's header has seconds, microseconds and a count of 32 or 64 bits", (t) => {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  writeUdpHeader(view, 1_700_000_000_123, 0x01020304, false);
  t.is(Buffer.from(bytes).toString("hex"), "6553f100" + "0001e078" + "01020304" + "00000000");
  writeUdpHeader(view, 1500, 0x0a_0000_0001, true);
  t.is(Buffer.from(bytes).toString("hex"), "00000001" + "0007a120" + "0000000a" + "00000001");
});

test("the meter counts losses by the numbers, takes back what came late, and knows jitter", (t) => {
  const meter = new UdpMeter();
  const view = new DataView(new ArrayBuffer(16));
  const receive = (count: number, sentMs: number, nowMs: number): void => {
    writeUdpHeader(view, sentMs, count, false);
    meter.receive(view, nowMs, false);
  };
  receive(1, 1000, 5000);
  receive(2, 1010, 5010);
  t.is(meter.jitter, 0);
  receive(5, 1040, 5056);
  t.like(meter, { packets: 5, lost: 2, outOfOrder: 0 });
  t.true(Math.abs(meter.jitter - 0.016 / 16) < 1e-9);
  receive(4, 1030, 5060);
  t.like(meter, { packets: 5, lost: 1, outOfOrder: 1 });
});

/** A sketch on a host: its turns, and those it asks for by a number of ms. */
function start(lab: Lab, host: LabHost, step: () => boolean | number): void {
  lab.addStep(() => {
    setNs(host.net);
    const result = step();
    if (typeof result === "number") lab.clock.at(lab.nowMs + result, () => undefined);
    return result === true;
  });
}

for (const [name, args, datagrams] of [
  ["TCP", ["-t", "1", "-P", "2"], 0],
  ["TCP, reverse, an amount", ["-n", "300K", "-R"], 0],
  ["UDP", ["-u", "-t", "2", "-b", "1158400"], 200],
  ["UDP, reverse, two streams", ["-u", "-t", "2", "-b", "1158400", "-R", "-P", "2"], 200],
] as const) {
  test.serial(`client and server of our own measure the same: ${name}`, (t) => {
    const lab = createLab(t, { hosts: ["a", "b"], wire: { delayMs: 2, rateBps: 5_000_000 } });
    let printed = "";
    (globalThis as { trace?: (text: string) => void }).trace = (text) => (printed += text);
    const [a, b] = [lab.host("a"), lab.host("b")];
    setNs(b.net);
    const server = new Server(5201);
    const client = new Client(parseCommand(["-c", "10.0.0.2", ...args]));
    start(lab, b, () => server.step(lab.nowMs));
    start(lab, a, () => client.step(lab.nowMs));
    lab.runUntil(() => client.over, 60_000);
    lab.runFor(1000);
    const streams = args.includes("-P" as never) ? 2 : 1;
    const lines = printed.trim().split("\n");
    t.is(lines.length, 2 * streams, printed);
    for (const line of lines) {
      const [, sent, received] = /: (\d+) bytes sent, (\d+) received/.exec(line)!;
      t.true(Number(received) > 100_000 && Number(received) <= Number(sent), line);
      if (datagrams === 0) continue;
      const [, lost, of] = /(\d+) of (\d+) datagrams lost/.exec(line)!;
      t.is(lost, "0");
      t.true(Math.abs(Number(of) - datagrams) <= 5, line);
    }
  });
}

test.serial("a second client is told that the server is busy, and the first goes on", (t) => {
  const lab = createLab(t, { hosts: ["a", "b"], wire: { delayMs: 2, rateBps: 5_000_000 } });
  let printed = "";
  (globalThis as { trace?: (text: string) => void }).trace = (text) => (printed += text);
  const [a, b] = [lab.host("a"), lab.host("b")];
  setNs(b.net);
  const server = new Server(5201);
  const command = parseCommand(["-c", "10.0.0.2", "-t", "1"]);
  const first = new Client(command);
  const second = new Client(command);
  start(lab, b, () => server.step(lab.nowMs));
  start(lab, a, () => first.step(lab.nowMs));
  lab.runFor(500);
  start(lab, a, () => second.step(lab.nowMs));
  lab.runUntil(() => second.over, 1000);
  t.regex(printed, /busy/);
  lab.runUntil(() => first.over, 10_000);
  t.regex(printed, /stream 1: \d+ bytes sent/);
});

test.serial("a client that has connected before the goodbye of the one before was read is served", (t) => {
  const lab = createLab(t, { hosts: ["a", "b"], wire: { delayMs: 2 } });
  let printed = "";
  (globalThis as { trace?: (text: string) => void }).trace = (text) => (printed += text);
  const [a, b] = [lab.host("a"), lab.host("b")];
  setNs(b.net);
  const server = new Server(5201);
  const command = parseCommand(["-c", "10.0.0.2", "-n", "20K"]);
  const first = new Client(command);
  const second = new Client(command);
  let serverIsSlow = false;
  start(lab, b, () => !serverIsSlow && server.step(lab.nowMs));
  start(lab, a, () => {
    const result = first.over ? second.step(lab.nowMs) : first.step(lab.nowMs);
    serverIsSlow ||= first.over && !second.over;
    return result;
  });
  lab.runUntil(() => serverIsSlow);
  lab.runFor(50);
  lab.addStep(() => (serverIsSlow = false));
  lab.runUntil(() => second.over, 60_000);
  t.notRegex(printed, /test ended/);
});
