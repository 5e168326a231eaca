/** Raw and packet sockets and error queues against the real kernel: what a board's sockets are told, a traceroute, a capture over TCP. */
import { execFileSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import test, { type ExecutionContext } from "ava";
import { BOARD_ADDR, interopMissing, LINUX_ADDR, Netns } from "./netns.ts";
import { assertCleanCapture, captureFile, tsharkLines } from "./tshark.ts";

const missing = interopMissing(["ping", "python3", "tcpdump", "tshark"]);
const interop = missing === null ? test.serial : test.serial.skip;
const TAP = "tap0";
const FAR_ADDR = "10.2.0.2";
const FAR_MTU = 1000;

/** A Linux router with the TAP on one side and a host, 10.2.0.2, on the other, at the end of a link that takes 1000 bytes. */
async function router(t: ExecutionContext): Promise<{ net: Netns; far: Netns }> {
  const net = await Netns.create(t);
  const far = await Netns.create(t);
  await net.must("ip", "link", "add", "far0", "type", "veth", "peer", "name", "far1", "netns", String(far.pid));
  await net.must("ip", "addr", "add", "10.2.0.1/24", "dev", "far0");
  await net.must("ip", "link", "set", "far0", "up", "mtu", String(FAR_MTU));
  // Its own TAP has the addresses of the one here.
  await far.must("ip", "link", "del", TAP);
  await far.must("ip", "addr", "add", `${FAR_ADDR}/24`, "dev", "far1");
  await far.must("ip", "link", "set", "far1", "up");
  await far.must("ip", "route", "add", "default", "via", "10.2.0.1");
  for (const ns of [net, far]) await ns.must("sysctl", "-qw", "net.ipv4.icmp_ratelimit=0");
  await net.must("sysctl", "-qw", "net.ipv4.ip_forward=1");
  await net.must("ip", "route", "add", "prohibit", "10.8.0.0/16");
  return { net, far };
}

type Case = [name: string, sent: number[], errors: unknown[]];

interop("error queues of UDP, raw and ping sockets hold what Linux's hold", async (t) => {
  t.timeout(240_000);
  const { net } = await router(t);
  const kernel = await Netns.create(t);
  await net.joinLinux(kernel, "10.1.0.1/24", "10.1.0.2/24");
  await kernel.must("ip", "route", "add", "default", "via", "10.1.0.1");
  await kernel.must("sysctl", "-qw", "net.ipv4.ping_group_range=0 0");
  const agent = kernel.spawn("python3", ["test/interop/agent.py"]);
  await new Promise((resolve) => agent.stdout!.once("data", resolve));
  const board = await net.ipBoard({
    taps: [{ tap: TAP, addr: `${BOARD_ADDR}/24` }], agent: true, commands: [`route add default via ${LINUX_ADDR}`],
  });
  const judge = async (host: string, gateway: string): Promise<Case[]> =>
    JSON.parse(await net.must("python3", "test/interop/errors.py", host, gateway)) as Case[];
  const [linux, ours] = await Promise.all([judge("10.1.0.2", "10.1.0.1"), judge(BOARD_ADDR, LINUX_ADDR)]);
  const differ = linux.filter((row, i) => JSON.stringify(row) !== JSON.stringify(ours[i])).map(([name]) => name);
  const named = (rows: Case[]): Case[] => rows.filter(([name]) => differ.includes(name));
  t.deepEqual(named(ours), named(linux));
  t.log(linux.map(([name, , errors]) => `${name}: ${JSON.stringify(errors[0])}`).join("\n"));
  const report = await board.stop();
  t.is(report.inUseAtEnd, report.inUseAtStart);
});

interop("raw-traceroute names the router and the host behind it", async (t) => {
  t.timeout(60_000);
  const { net } = await router(t);
  const board = await net.board("raw-traceroute", ["--gateway", LINUX_ADDR, "--", FAR_ADDR]);
  await board.printed(/^done$/m, 30_000);
  const hops = board.text.split("\n").filter((line) => /^ ?\d+ /.test(line));
  t.is(hops.length, 2, board.text);
  t.regex(hops[0]!, /^ 1 {2}10\.0\.0\.1( \d+ ms){3}$/);
  t.regex(hops[1]!, /^ 2 {2}10\.2\.0\.2( \d+ ms){3}$/);
  const report = await board.stop();
  t.is(report.inUseAtEnd, report.inUseAtStart);
});

interop("raw-traceroute says where the way ends", async (t) => {
  t.timeout(60_000);
  const { net } = await router(t);
  const board = await net.board("raw-traceroute", ["--gateway", LINUX_ADDR, "--", "10.8.0.1", "4"]);
  await board.printed(/^done$/m, 30_000);
  // Administratively prohibited, by the router.
  t.regex(board.text, /^ 1 {2}10\.0\.0\.1( \d+ ms !13){3}$/m);
  await board.stop();
});

/** Reads the board's capture until it has been quiet for a while, into a file. */
const CAPTURE = `
import socket, sys, subprocess
s = socket.create_connection(("${BOARD_ADDR}", 5555), 10)
out = s.recv(24)
subprocess.run(["ping", "-q", "-c", "5", "-i", "0.05", "-s", "800", "${BOARD_ADDR}"], check=True, stdout=subprocess.DEVNULL)
subprocess.run(["ping", "-q", "-c", "1", "-s", "1500", "${BOARD_ADDR}"], check=True, stdout=subprocess.DEVNULL)
s.settimeout(1)
try:
    while True:
        data = s.recv(65536)
        if not data: break
        out += data
except TimeoutError:
    pass
open(sys.argv[1], "wb").write(out)
`;

/** The frames of a capture that match, as bytes; the board's time is not Linux's. */
async function frames(t: ExecutionContext, file: string, filter: string): Promise<string[]> {
  const lines = await tsharkLines(file, filter);
  t.true(lines.length > 0);
  const text = execFileSync("tshark", ["-n", "-r", file, "-Y", filter, "-T", "json", "-x", "-j", "frame"], { encoding: "utf8", maxBuffer: 1 << 26 });
  return [...text.matchAll(/"frame_raw": \[\s*"([0-9a-f]+)"/g)].map((match) => match[1]!);
}

interop("packet-sniffer: the board sees the frames that Linux sees, and sends them as a capture file", async (t) => {
  t.timeout(90_000);
  const net = await Netns.create(t);
  const theirs = captureFile(t);
  const ours = `${theirs}.board`;
  t.teardown(() => rmSync(ours, { force: true }));
  const tcpdump = net.spawn("tcpdump", ["-Z", "root", "-U", "-i", TAP, "-w", theirs]);
  await new Promise((resolve) => tcpdump.stderr!.once("data", resolve));
  const board = await net.board("packet-sniffer");
  await net.must("python3", "-c", CAPTURE, ours);
  const report = await board.stop();
  t.is(report.inUseAtEnd, report.inUseAtStart);
  tcpdump.kill("SIGINT");
  await new Promise((resolve) => tcpdump.once("close", resolve));
  t.is(readFileSync(ours).readUInt32LE(0), 0xa1b2c3d4);
  const mine = await frames(t, ours, "ip.proto == 1");
  t.is(mine.length, 14, "five pings and their answers; one in two pieces each way");
  t.deepEqual(mine, await frames(t, theirs, "ip.proto == 1"));
  t.deepEqual(await tsharkLines(ours, "tcp.port == 5555"), [], "not its own");
  await assertCleanCapture(t, ours);
});

interop("packet-sniffer with a filter that tcpdump compiled", async (t) => {
  t.timeout(60_000);
  const net = await Netns.create(t);
  const program = await net.must("tcpdump", "-ddd", "-y", "EN10MB", "icmp[icmptype] = icmp-echoreply and greater 900");
  const ours = `${captureFile(t)}.board`;
  t.teardown(() => rmSync(ours, { force: true }));
  const board = await net.board("packet-sniffer", ["--", ...program.trim().split(/\s+/)]);
  await net.must("python3", "-c", CAPTURE.replace('"800"', '"900"'), ours);
  await board.stop();
  const lines = await tsharkLines(ours, "frame");
  t.is(lines.length, 6, lines.join("\n"));
  t.is(lines.filter((line) => line.includes("reply")).length, 5, "and the first piece of one");
});
