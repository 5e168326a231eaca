/**
 * Neighbours of a board on a TAP, with the real arping and the real kernel: duplicate-address detection, a link address that moves
 * in the middle of a transfer, a peer that never answers, and a storm of requests from 10,000 addresses.
 */
import test, { type ExecutionContext } from "ava";
import { type Board, type BoardReport, BOARD_ADDR, interopMissing, LINUX_ADDR, Netns } from "./netns.ts";

const missing = interopMissing(["arping", "iperf3", "ping", "python3"]);
const interop = missing === null ? test.serial : test.serial.skip;
const TAP = "tap0";

async function endsClean(t: ExecutionContext, board: Board): Promise<BoardReport> {
  const report = await board.stop();
  t.is(report.inUseAtEnd, report.inUseAtStart, JSON.stringify(report.pools));
  return report;
}

interop("arping is answered; a host that looks whether the board's address is free hears that it is not", async (t) => {
  t.timeout(180_000);
  const net = await Netns.create(t);
  const board = await net.ipBoard({ taps: [{ tap: TAP, addr: `${BOARD_ADDR}/24` }] });
  const asked = await net.must("arping", "-I", TAP, "-c", "3", BOARD_ADDR);
  t.regex(asked, /Received 3 response\(s\)/);
  const taken = await net.run("arping", ["-D", "-I", TAP, "-c", "2", BOARD_ADDR]);
  t.is(taken.code, 1, taken.stdout);
  t.regex(taken.stdout, /Received 1 response\(s\)/);
  const free = await net.run("arping", ["-D", "-I", TAP, "-c", "2", "10.0.0.77"]);
  t.is(free.code, 0, free.stdout);
  await endsClean(t, board);
});

interface Intervals {
  readonly intervals: readonly { readonly sum: { readonly start: number; readonly bytes: number } }[];
  readonly end: { readonly sum_received: { readonly bytes: number } };
}

interop("Linux changes its link address in the middle of a transfer and says so: the transfer goes on", async (t) => {
  t.timeout(180_000);
  const net = await Netns.create(t);
  const board = await net.board("iperf3", ["--preset", "host", "--", "-s"]);
  const transfer = net.run("iperf3", ["-c", BOARD_ADDR, "--json", "-t", "4", "-R", "-i", "0.5"]);
  await new Promise((resolve) => setTimeout(resolve, 2000));
  await net.must("ip", "link", "set", TAP, "address", "02:00:00:00:00:99");
  await net.must("arping", "-q", "-U", "-I", TAP, "-c", "1", LINUX_ADDR);
  const { stdout, stderr } = await transfer;
  const report = JSON.parse(stdout) as Intervals;
  t.not(report.end.sum_received, undefined, stdout + stderr);
  const rates = report.intervals.map(({ sum }) => sum.bytes);
  t.log(`MB in each half second: ${rates.map((bytes) => (bytes / 1e6).toFixed(1)).join(" ")}`);
  t.true(rates.slice(-2).every((bytes) => bytes > 0), "the last second too");
  await endsClean(t, board);
});

/** A datagram in the name of a host that does not exist: the board's answer has nowhere to go. Counts the questions for it. */
const SILENT = `
import socket, struct, sys, time
tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
tap.bind(("${TAP}", 0x0003))
mac = tap.getsockname()[4].hex()
def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16: total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff
def datagram(source, board_mac):
    udp = struct.pack("!HHHH", 4000, 7, 12, 0) + b"hey!"
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, socket.inet_aton(source), socket.inet_aton("${BOARD_ADDR}"))
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return bytes.fromhex(board_mac + mac + "0800") + head + udp
board_mac = sys.argv[1].replace(":", "")
for _ in range(5): tap.send(datagram("10.0.0.99", board_mac))
started = time.monotonic()
asked = []
tap.settimeout(0.5)
while time.monotonic() < started + 6:
    try: frame = tap.recv(2048)
    except TimeoutError: continue
    if frame[12:14] == b"\\x08\\x06" and frame[20:22] == b"\\x00\\x01" and frame[38:42] == socket.inet_aton("10.0.0.99"):
        asked.append(round(time.monotonic() - started))
print(asked)
`;

interop("a peer that never answers is asked for three times, a second apart; what waited is dropped and nothing leaks", async (t) => {
  t.timeout(180_000);
  const net = await Netns.create(t);
  const board = await net.ipBoard({ taps: [{ tap: TAP, addr: `${BOARD_ADDR}/24` }] });
  await net.must("ping", "-q", "-c", "1", BOARD_ADDR);
  const mac = /lladdr (\S+)/.exec(await net.must("ip", "neigh", "show", BOARD_ADDR))![1]!;
  const asked = await net.must("python3", "-c", SILENT, mac);
  t.is(asked.trim(), "[0, 1, 2]");
  const report = await endsClean(t, board);
  t.is(report.drops["NEIGH_FAILED"], 5, JSON.stringify(report.drops));
});

type Case = [name: string, answers: unknown[], asked: number[]];

interop("sockets that send to a peer that never answers are told what Linux tells its own, and when", async (t) => {
  t.timeout(400_000);
  const net = await Netns.create(t);
  const kernel = await Netns.create(t);
  await net.joinLinux(kernel, "10.1.0.1/24", "10.1.0.2/24");
  await kernel.must("sysctl", "-qw", "net.ipv4.ping_group_range=0 0");
  const agent = kernel.spawn("python3", ["test/interop/agent.py"]);
  await new Promise((resolve) => agent.stdout!.once("data", resolve));
  const board = await net.ipBoard({ taps: [{ tap: TAP, addr: `${BOARD_ADDR}/24` }], agent: true });
  const judge = async (device: string, gateway: string, host: string): Promise<Case[]> =>
    JSON.parse(await net.must("python3", "test/interop/silent.py", device, gateway, host)) as Case[];
  const [linux, ours] = await Promise.all([judge("veth0", "10.1.0.1", "10.1.0.2"), judge(TAP, LINUX_ADDR, BOARD_ADDR)]);
  for (const [i, one] of linux.entries()) t.deepEqual(ours[i], one, one[0]);
  t.log(linux.map((one) => JSON.stringify(one)).join("\n"));
  await endsClean(t, board);
});

const STORM = `
import socket, struct, time
tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
tap.bind(("${TAP}", 0))
target = socket.inet_aton("${BOARD_ADDR}")
for i in range(20000):
    if i % 100 == 0: time.sleep(0.01)
    n = i % 10000
    sha = b"\\x02\\x01" + struct.pack("!I", n)
    sip = bytes((10, 0, 1 + n // 250, 1 + n % 250))
    tap.send(b"\\xff" * 6 + sha + bytes.fromhex("0806000108000604") + b"\\x00\\x01" + sha + sip + bytes(6) + target)
print("sent")
`;

interop("a storm of requests from 10,000 addresses: the table stays full, live traffic loses nothing", async (t) => {
  t.timeout(180_000);
  const net = await Netns.create(t);
  const board = await net.ipBoard({ taps: [{ tap: TAP, addr: `${BOARD_ADDR}/16` }] });
  await net.must("ip", "addr", "add", `${LINUX_ADDR}/16`, "dev", TAP);
  // What the TAP itself drops while the board's process has no turn is not what this is about.
  await net.must("ip", "link", "set", TAP, "txqueuelen", "30000");
  await net.must("ping", "-q", "-c", "3", "-i", "0.1", BOARD_ADDR);
  const storm = net.must("python3", "-c", STORM);
  const pings = await net.must("ping", "-q", "-c", "300", "-i", "0.01", "-W", "10", BOARD_ADDR);
  t.is((await storm).trim(), "sent");
  t.regex(await net.must("ping", "-q", "-c", "5", "-i", "0.1", BOARD_ADDR), /5 received, 0% packet loss/);
  t.regex(pings, /300 received, 0% packet loss/);
  const report = await endsClean(t, board);
  const table = report.pools.find(({ name }) => name === "arp_cache")!;
  t.log(`table of ${table.size}: ${table.peak} at most`);
  t.is(table.peak, table.size);
  t.is(report.counters["OutEchoReps"], 308);
});
