/** The real iperf3 against examples/iperf3: the board as server and as client, TCP and UDP, both directions. */
import test, { type ExecutionContext } from "ava";
import { BOARD_ADDR, interopMissing, LINUX_ADDR, Netns } from "./netns.ts";

const missing = interopMissing(["iperf3"]);
const interop = missing === null ? test.serial : test.serial.skip;

const SECONDS = "1";
const UDP_RATE = "5M";

interface Sum {
  readonly bytes: number;
  readonly bits_per_second: number;
  readonly lost_packets?: number;
  readonly packets?: number;
  readonly jitter_ms?: number;
}

/** What `iperf3 --json` reports at its end. */
interface Report {
  readonly error?: string;
  readonly end: { readonly sum_sent: Sum; readonly sum_received: Sum; readonly sum?: Sum; readonly streams: readonly unknown[] };
}

async function iperf3(t: ExecutionContext, net: Netns, ...args: string[]): Promise<Report["end"]> {
  const { stdout, stderr, code } = await net.run("iperf3", ["-c", BOARD_ADDR, "--json", ...args]);
  const report = JSON.parse(stdout) as Report;
  t.is(code, 0, report.error ?? stderr);
  if ((report.end.sum ?? report.end.sum_received) === undefined) throw new Error(`iperf3 ${args.join(" ")}: ${report.error} ${stdout}`);
  return report.end;
}

function megabits({ bits_per_second: rate }: Sum): string {
  return `${(rate / 1e6).toFixed(1)} Mbit/s`;
}

interop("the real iperf3 sends to the board and receives from it, over TCP and UDP", async (t) => {
  t.timeout(60_000);
  const net = await Netns.create(t);
  const board = await net.board("iperf3", ["--preset", "host", "--", "-s"]);
  const up = await iperf3(t, net, "-t", SECONDS);
  t.true(up.sum_received.bytes > 0 && up.sum_received.bytes <= up.sum_sent.bytes);
  const down = await iperf3(t, net, "-t", SECONDS, "-R");
  t.true(down.sum_received.bytes > 0 && down.sum_received.bytes <= down.sum_sent.bytes);
  t.log(`TCP to the board ${megabits(up.sum_received)}, from it ${megabits(down.sum_received)}`);
  for (const direction of [[], ["-R"]]) {
    const { sum } = await iperf3(t, net, "-t", SECONDS, "-u", "-b", UDP_RATE, ...direction);
    t.is(sum!.lost_packets, 0);
    t.true(sum!.packets! > 100 && Math.abs(sum!.bits_per_second / 5e6 - 1) < 0.2, megabits(sum!));
    t.log(`UDP ${direction.join("")} ${megabits(sum!)}, jitter ${sum!.jitter_ms!.toFixed(3)} ms`);
  }
  const report = await board.stop();
  t.is(report.inUseAtEnd, report.inUseAtStart, JSON.stringify(report.pools));
});

interop("amounts, blocks, parallel streams and rates are as the real iperf3 asked for", async (t) => {
  t.timeout(60_000);
  const net = await Netns.create(t);
  const board = await net.board("iperf3", ["--preset", "host", "--", "-s"]);
  const amount = await iperf3(t, net, "-n", "3M", "-P", "3");
  t.is(amount.streams.length, 3);
  t.true(amount.sum_sent.bytes >= 3 << 20);
  const fromBoard = await iperf3(t, net, "-n", "1M", "-R");
  t.true(fromBoard.sum_received.bytes >= 1 << 20);
  const datagrams = await iperf3(t, net, "-u", "-k", "200", "-l", "500", "-b", "2M", "-P", "2");
  t.is(datagrams.sum!.lost_packets, 0);
  t.true(datagrams.sum!.packets! >= 200);
  const wide = await iperf3(t, net, "-u", "-n", "100K", "-b", "2M", "--udp-counters-64bit", "-R");
  t.is(wide.sum!.lost_packets, 0);
  const slow = await iperf3(t, net, "-t", SECONDS, "-b", "4M", "-R");
  t.true(Math.abs(slow.sum_received.bits_per_second / 4e6 - 1) < 0.3, megabits(slow.sum_received));
  const refused = await net.run("iperf3", ["-c", BOARD_ADDR, "--bidir", "-t", SECONDS]);
  t.not(refused.code, 0);
  await iperf3(t, net, "-n", "100K");
  const report = await board.stop();
  t.is(report.inUseAtEnd, report.inUseAtStart, JSON.stringify(report.pools));
});

interop("the board is a client of the real iperf3 -s", async (t) => {
  t.timeout(60_000);
  const net = await Netns.create(t);
  const server = net.spawn("iperf3", ["-s", "--forceflush"]);
  t.teardown(() => server.kill());
  await net.must("sh", "-c", "for i in $(seq 100); do ss -Htln sport = 5201 | grep -q . && exit 0; sleep 0.1; done; exit 1");
  const datagrams = ["-u", "-b", UDP_RATE];
  for (const options of [["-t", SECONDS], ["-t", SECONDS, "-R"], ["-t", SECONDS, ...datagrams], ["-t", SECONDS, "-R", ...datagrams],
    ["-n", "1M", "-P", "2"]]) {
    const board = await net.board("iperf3", ["--preset", "host", "--", "-c", LINUX_ADDR, ...options]);
    const [line, sent, received] = await board.printed(/stream 1: (\d+) bytes sent, (\d+) received .*/, 15_000);
    t.log(`${options.join(" ")}: ${line}`);
    t.true(Number(received) > 0 && Number(received) <= Number(sent));
    if (options.includes("-u")) t.regex(line, / 0 of \d+ datagrams lost/);
    const report = await board.stop();
    t.is(report.inUseAtEnd, report.inUseAtStart, JSON.stringify(report.pools));
  }
});
