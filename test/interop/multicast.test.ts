/** Multicast against the real kernel: the same joins, leaves and queries on a board and on a Linux host; a multicast echo; tshark as the judge. */
import test from "ava";
import { BOARD_ADDR, interopMissing, LINUX_ADDR, Netns } from "./netns.ts";
import { assertCleanCapture, captureFile, tsharkLines } from "./tshark.ts";

const missing = interopMissing(["python3", "tcpdump", "tshark"]);
const interop = missing === null ? test.serial : test.serial.skip;
const TAP = "tap0";
const GROUP = "239.255.7.7";

type Step = [name: string, answer: number | null, heard: string[]];

interop("IGMP in versions 3, 2 and 1: a querier hears from the board what it hears from Linux", async (t) => {
  t.timeout(240_000);
  const net = await Netns.create(t);
  const kernel = await Netns.create(t);
  await net.joinLinux(kernel, "10.1.0.1/24", "10.1.0.2/24");
  const agent = kernel.spawn("python3", ["test/interop/agent.py"]);
  await new Promise((resolve) => agent.stdout!.once("data", resolve));
  const pcap = captureFile(t);
  const tcpdump = net.spawn("tcpdump", ["-Z", "root", "-U", "-i", TAP, "-w", pcap]);
  await new Promise((resolve) => tcpdump.stderr!.once("data", resolve));
  const board = await net.ipBoard({ taps: [{ tap: TAP, addr: `${BOARD_ADDR}/24` }], agent: true });
  const judge = async (device: string, from: string, to: string): Promise<Step[]> =>
    JSON.parse(await net.must("python3", "test/interop/igmp.py", device, from, to)) as Step[];
  const [linux, ours] = await Promise.all([judge("veth0", "10.1.0.1", "10.1.0.2"), judge(TAP, LINUX_ADDR, BOARD_ADDR)]);
  for (const [i, step] of linux.entries()) t.deepEqual(ours[i], step, step[0]);
  t.log(`${linux.length} steps, ${linux.filter(([, , heard]) => heard.length > 0).length} of them answered`);
  const report = await board.stop();
  t.is(report.inUseAtEnd, report.inUseAtStart);
  tcpdump.kill("SIGINT");
  await new Promise((resolve) => tcpdump.once("close", resolve));
  await assertCleanCapture(t, pcap);
  t.true((await tsharkLines(pcap, `igmp && ip.src == ${BOARD_ADDR}`)).length > 20);
  t.deepEqual(await tsharkLines(pcap, 'igmp.checksum.status == "Bad" || (igmp && ip.ttl != 1)'), []);
});

/** Has the board's agent join the group, and leave it, and prints what groups the bridge knows behind the TAP each time. */
const JOINER = `
import json, socket, struct, subprocess, time
control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
control.settimeout(5)
control.connect(("${BOARD_ADDR}", 9))
def ask(name):
    addresses = [struct.unpack(">i", socket.inet_aton(a))[0] for a in ("${GROUP}", "${BOARD_ADDR}")]
    control.send(json.dumps([0, name, [*addresses, 0]]).encode())
    assert control.recv(100) == b"0"
def known():
    text = json.loads(subprocess.check_output(["bridge", "-j", "mdb", "show", "dev", "br0"]))
    return [entry["grp"] for entry in text[0]["mdb"] if entry["port"] == "${TAP}" and "." in entry["grp"]]
def until(wanted):
    for _ in range(100):
        if known() == wanted: break
        time.sleep(0.1)
    print(*known() or ["none"], flush=True)
ask(35)
until(["${GROUP}"])
ask(36)
until([])
control.send(json.dumps([0, 0, []]).encode())
control.recv(100)
`;

interop("a Linux bridge that queries knows of the board's memberships, and forgets those it leaves", async (t) => {
  t.timeout(60_000);
  const net = await Netns.create(t);
  const board = await net.ipBoard({ taps: [{ tap: TAP, addr: `${BOARD_ADDR}/24` }], agent: true });
  await net.must("ip", "addr", "flush", "dev", TAP);
  await net.must("ip", "link", "add", "br0", "type", "bridge", "mcast_snooping", "1", "mcast_querier", "1", "mcast_igmp_version", "3");
  await net.must("ip", "link", "set", TAP, "master", "br0");
  await net.must("ip", "addr", "add", `${LINUX_ADDR}/24`, "dev", "br0");
  await net.must("ip", "link", "set", "br0", "up");
  await net.must("sh", "-c", `until ping -q -c 1 -W 1 ${BOARD_ADDR}; do :; done`);
  const told = await net.must("python3", "-c", JOINER);
  const [joined, left] = told.trim().split("\n");
  t.is(joined, GROUP);
  t.is(left, "none");
  const report = await board.stop();
  t.is(report.inUseAtEnd, report.inUseAtStart);
});

/** Says five things to the group and prints what is said back to it. */
const MEMBER = `
import socket, struct
mine = socket.inet_aton("${LINUX_ADDR}")
ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
ear.settimeout(10)
ear.bind(("${GROUP}", 7008))
ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("${GROUP}") + mine)
mouth = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
mouth.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, mine)
for text in ("one", "two", "x" * 1200, "", "five"):
    mouth.sendto(text.encode(), ("${GROUP}", 7007))
    data, (addr, port) = ear.recvfrom(2000)
    print(addr, port, len(data), data[:14].decode())
`;

interop("multicast-echo: the board hears a group and speaks to it", async (t) => {
  t.timeout(60_000);
  const net = await Netns.create(t);
  const pcap = captureFile(t);
  const board = await net.board("multicast-echo", ["--pcap", pcap]);
  await board.printed(/joined/, 10_000);
  const said = await net.must("python3", "-c", MEMBER);
  const port = 7007;
  t.deepEqual(said.trim().split("\n"), [
    `${BOARD_ADDR} ${port} 13 ${LINUX_ADDR}: one`, `${BOARD_ADDR} ${port} 13 ${LINUX_ADDR}: two`,
    `${BOARD_ADDR} ${port} 1210 ${LINUX_ADDR}: xxxx`, `${BOARD_ADDR} ${port} 10 ${LINUX_ADDR}: `, `${BOARD_ADDR} ${port} 14 ${LINUX_ADDR}: five`,
  ]);
  const report = await board.stop();
  t.true(report.inUseAtEnd <= report.inUseAtStart);
  t.is(report.counters["OutMcastPkts"]! >= 5, true);
  await assertCleanCapture(t, pcap);
});
