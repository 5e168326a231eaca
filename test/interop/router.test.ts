/**
 * A board between two Linux hosts, and a Linux router in its place: the same ICMP messages, byte by byte, and the same packets
 * beyond, for the same packets that provoke them, with and without reverse path filter; ping, traceroute, iperf3 and a path of 600
 * bytes through the board; redirects sent and followed.
 */
import test, { type ExecutionContext } from "ava";
import type { BoardPlan } from "./board.ts";
import { type Board, interopMissing, Netns } from "./netns.ts";
import { Capture } from "./tshark.ts";

const missing = interopMissing(["ping", "python3", "traceroute", "iperf3", "tcpdump", "tshark"]);
const interop = missing === null ? test.serial : test.serial.skip;
const NEAR = "10.0.0.1";
const ROUTER = "10.0.0.2";
const ROUTER_FAR = "10.0.1.2";
const FAR = "10.0.1.1";
const FAR_MTU = 1000;
const ROUTES = ["10.9.0.0/16 via 10.0.0.9", "unreachable 10.8.1.0/24", "prohibit 10.8.2.0/24", "blackhole 10.8.3.0/24"];
/** Packets drawn at random. */
const DRAWN = "100";
const LISTEN_SECONDS = "9";
/** A neighbour that does not answer has been given up by then. */
const ANSWER_SECONDS = "4.5";
/** Another host on the link of NEAR and the board, and an address behind it. */
const BEYOND = "10.0.0.9";
const BEHIND = "10.9.0.1";
/** Sends so many datagrams from an address to the board's echo, a tenth of a second apart, and prints how many came back. */
const ECHO = `
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 0)); s.settimeout(3); got = 0
for i in range(int(sys.argv[3])):
    s.sendto(b"echo", (sys.argv[2], 7))
    try: got += s.recvfrom(100)[0] == b"echo"
    except socket.timeout: pass
    time.sleep(0.1)
print(got)
`;

/** Settings of net.ipv4 that both routers get. */
interface Settings {
  readonly rpFilter?: number;
}

interface Path {
  readonly near: Netns;
  readonly far: Netns;
  /** The two hosts' devices. */
  readonly nearDev: string;
  readonly farDev: string;
  readonly board?: Board;
}

async function setUpHost(net: Netns, dev: string, addrs: readonly string[], to: string, gateway: string): Promise<void> {
  for (const addr of addrs) await net.must("ip", "addr", "add", `${addr}/24`, "dev", dev);
  await net.must("ip", "link", "set", dev, "up");
  await net.must("ip", "route", "add", to, "via", gateway);
  // Senders of one packet each, to which the router can answer.
  if (dev !== "tap1") await net.must("ip", "route", "add", "local", "10.0.0.128/25", "dev", "lo");
  // The host does not follow redirects: what follows is to go through the router too.
  await net.must("sysctl", "-qw", "net.ipv4.conf.all.accept_redirects=0", `net.ipv4.conf.${dev}.accept_redirects=0`);
}

interface BoardOptions {
  readonly settings?: Settings;
  /** MTU of the board's far device, and of the far host's. */
  readonly boardMtu?: number;
  readonly farMtu?: number;
}

/** Two hosts with the board between them: it opens both TAPs, then one of them moves over to the other host. */
async function throughBoard(t: ExecutionContext, { settings = {}, boardMtu = FAR_MTU, farMtu = FAR_MTU }: BoardOptions = {}): Promise<Path> {
  const near = await Netns.create(t);
  const far = await Netns.create(t);
  for (const net of [near, far]) await net.must("ip", "addr", "flush", "dev", "tap0");
  await near.must("ip", "tuntap", "add", "dev", "tap1", "mode", "tap");
  const board = await near.ipBoard({
    taps: [{ tap: "tap0", addr: `${ROUTER}/24` }, { tap: "tap1", addr: `${ROUTER_FAR}/24`, mtu: boardMtu }],
    parts: ["fragments", "ipOptions", "forwarding"],
    commands: ROUTES.map((route) => `route add ${route}`),
    settings: { ipForward: 1, icmpRatemask: 0, ...settings },
  });
  await near.must("ip", "link", "set", "tap1", "netns", String(far.pid));
  await setUpHost(near, "tap0", [NEAR, "10.0.0.9"], "10.0.1.0/24", ROUTER);
  await setUpHost(far, "tap1", [FAR], "10.0.0.0/24", ROUTER_FAR);
  await far.must("ip", "link", "set", "tap1", "mtu", String(farMtu));
  return { near, far, nearDev: "tap0", farDev: "tap1", board };
}

/** The same with a Linux router. */
async function throughLinux(t: ExecutionContext, { rpFilter = 0 }: Settings): Promise<Path> {
  const [near, router, far] = [await Netns.create(t), await Netns.create(t), await Netns.create(t)];
  for (const net of [near, router, far]) await net.must("ip", "addr", "flush", "dev", "tap0");
  for (const [net, dev] of [[near, "r0"], [far, "r1"]] as const) {
    await net.must("ip", "link", "add", "veth0", "type", "veth", "peer", "name", dev, "netns", String(router.pid));
  }
  await router.must(
    "sysctl", "-qw", "net.ipv4.ip_forward=1", `net.ipv4.conf.all.rp_filter=${rpFilter}`, "net.ipv4.conf.r0.rp_filter=0", "net.ipv4.conf.r1.rp_filter=0",
    "net.ipv4.icmp_ratemask=0",
  );
  for (const [dev, addr] of [["r0", ROUTER], ["r1", ROUTER_FAR]] as const) {
    await router.must("ip", "addr", "add", `${addr}/24`, "dev", dev);
    await router.must("ip", "link", "set", dev, "up");
  }
  await router.must("ip", "link", "set", "r1", "mtu", String(FAR_MTU));
  await setUpHost(near, "veth0", [NEAR, "10.0.0.9"], "10.0.1.0/24", ROUTER);
  await setUpHost(far, "veth0", [FAR], "10.0.0.0/24", ROUTER_FAR);
  await far.must("ip", "link", "set", "veth0", "mtu", String(FAR_MTU));
  for (const route of ROUTES) await router.must("ip", "route", "add", ...route.split(" "));
  return { near, far, nearDev: "veth0", farDev: "veth0" };
}

interface Judgement {
  readonly answers: Record<string, string[]>;
  readonly arrived: Record<string, string[]>;
}

async function provoke({ near, far, nearDev, farDev }: Path, seed: number): Promise<Judgement> {
  await near.must("ping", "-q", "-c", "2", "-w", "20", FAR);
  const listening = far.run("python3", ["test/interop/route.py", "--listen", farDev, LISTEN_SECONDS]);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const answers = await near.must(
    "python3", "test/interop/route.py", nearDev, NEAR, ROUTER, FAR, ANSWER_SECONDS, String(seed), DRAWN,
  );
  const { stdout } = await listening;
  return {
    answers: JSON.parse(answers) as Record<string, string[]>,
    arrived: JSON.parse(stdout.slice(stdout.indexOf("{"))) as Record<string, string[]>,
  };
}

function differences(ours: Record<string, string[]>, theirs: Record<string, string[]>): Record<string, [unknown, unknown]> {
  const names = [...new Set([...Object.keys(ours), ...Object.keys(theirs)])];
  const differ = names.filter((name) => JSON.stringify(ours[name]) !== JSON.stringify(theirs[name]));
  return Object.fromEntries(differ.map((name) => [name, [ours[name], theirs[name]]]));
}

async function linkAddress(net: Netns, addr: string): Promise<string> {
  return /lladdr (\S+)/.exec(await net.must("ip", "neigh", "show", addr))![1]!;
}

/** Provokes both routers in the same way; the difference of what they said and forwarded is to be none. */
async function judge(t: ExecutionContext, settings: Settings, seed: number): Promise<void> {
  const linux = await provoke(await throughLinux(t, settings), seed);
  const path = await throughBoard(t, { settings });
  const ours = await provoke(path, seed);
  t.deepEqual(differences(ours.answers, linux.answers), {});
  t.deepEqual(differences(ours.arrived, linux.arrived), {});
  const heard = Object.values(linux.answers).filter((list) => list.length > 0).length;
  t.log(`${Object.keys(linux.answers).length} packets, ${heard} answered, ${Object.keys(linux.arrived).length} arrived`);
  t.true(heard > 30 && Object.keys(linux.arrived).length > 20);
  const report = await path.board!.stop();
  t.is(report.inUseAtEnd, report.inUseAtStart);
}

interop("packets that provoke a router, and 100 drawn at random: the board says and forwards what Linux does", async (t) => {
  t.timeout(180_000);
  await judge(t, {}, 1);
});

for (const rpFilter of [1, 2]) {
  interop(`rp_filter ${rpFilter} and martians: the board takes and refuses what Linux does`, async (t) => {
    t.timeout(180_000);
    await judge(t, { rpFilter }, 1 + rpFilter);
  });
}

interop("ping and traceroute by UDP, ICMP and TCP through the board; nothing malformed", async (t) => {
  t.timeout(180_000);
  const { near, far, board } = await throughBoard(t);
  const capture = await Capture.start(t, near, "tap0");
  t.regex(await near.must("ping", "-q", "-c", "50", "-W", "20", "-i", "0.01", FAR), /50 received, 0% packet loss/);
  t.regex(await far.must("ping", "-q", "-c", "20", "-W", "20", "-i", "0.01", "-s", "8000", NEAR), /20 received, 0% packet loss/);
  for (const kind of [[], ["-I"], ["-T"]]) {
    const text = await near.must("traceroute", "-n", "-q", "1", "-w", "3", ...kind, FAR);
    t.deepEqual(text.match(/^ ?\d+ {2}\S+/gm)?.map((line) => line.trim().split(/ +/)[1]), [ROUTER, FAR], text);
  }
  await capture.judge(t, await linkAddress(near, ROUTER));
  const report = await board!.stop();
  t.is(report.inUseAtEnd, report.inUseAtStart);
});

interop("a path of 600 bytes is discovered by ping and by TCP: iperf3 through the board, both ways", async (t) => {
  t.timeout(180_000);
  // The far host knows nothing of it: what it announces is 1460.
  const { near, far, board } = await throughBoard(t, { boardMtu: 600, farMtu: 1500 });
  const capture = await Capture.start(t, near, "tap0");
  const probe = await near.run("ping", ["-c", "2", "-i", "0.2", "-M", "do", "-s", "1400", FAR]);
  t.regex(probe.stdout, /mtu ?= ?600/);
  t.regex(await near.must("ip", "route", "get", FAR), /mtu 600/);
  await near.must("ip", "route", "flush", "cache");
  far.spawn("iperf3", ["-s"]);
  await far.must("sh", "-c", "for i in $(seq 100); do ss -Hltn sport = 5201 | grep -q . && exit 0; sleep 0.1; done; exit 1");
  await near.must("iperf3", "-c", FAR, "-n", "1M", "-J");
  t.regex(await near.must("ip", "route", "get", FAR), /mtu 600/, "learned from the segments of a connection");
  await near.must("iperf3", "-c", FAR, "-n", "1M", "-J", "-R", "-M", "500");
  await capture.judge(t, await linkAddress(near, ROUTER));
  const report = await board!.stop();
  t.is(report.inUseAtEnd, report.inUseAtStart);
});

/** The board, a Linux host and a third one, BEYOND with a network behind it, on one link: a bridge of the Linux host's namespace. */
async function oneLink(t: ExecutionContext, plan: Omit<BoardPlan, "taps">): Promise<{ host: Netns; beyond: Netns; board: Board }> {
  const host = await Netns.create(t);
  const beyond = await Netns.create(t);
  for (const net of [host, beyond]) await net.must("ip", "addr", "flush", "dev", "tap0");
  const board = await host.ipBoard({ taps: [{ tap: "tap0", addr: `${ROUTER}/24` }], ...plan });
  await host.must("ip", "link", "add", "br0", "type", "bridge");
  await host.must("ip", "link", "add", "veth0", "type", "veth", "peer", "name", "veth1", "netns", String(beyond.pid));
  for (const port of ["tap0", "veth0"]) await host.must("ip", "link", "set", port, "master", "br0", "up");
  await host.must("ip", "addr", "add", `${NEAR}/24`, "dev", "br0");
  await host.must("ip", "link", "set", "br0", "up");
  await beyond.must("ip", "addr", "add", `${BEYOND}/24`, "dev", "veth1");
  await beyond.must("ip", "link", "set", "veth1", "up");
  await beyond.must("ip", "addr", "add", `${BEHIND}/32`, "dev", "lo");
  await host.must("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.br0.rp_filter=0");
  return { host, beyond, board };
}

interop("a Linux host follows the redirect that the board sends", async (t) => {
  t.timeout(180_000);
  const { host, board } = await oneLink(t, {
    parts: ["forwarding"], commands: [`route add 10.9.0.0/16 via ${BEYOND}`], settings: { ipForward: 1 },
  });
  await host.must("ip", "route", "add", "10.9.0.0/16", "via", ROUTER);
  await host.must("sysctl", "-qw", "net.ipv4.conf.br0.accept_redirects=1");
  t.regex(await host.must("ping", "-q", "-c", "5", "-i", "0.2", "-w", "20", BEHIND), /5 received/);
  t.regex(await host.must("ip", "route", "get", BEHIND), new RegExp(`via ${BEYOND} .*\\n.*redirected`));
  const report = await board.stop();
  t.is(report.inUseAtEnd, report.inUseAtStart);
});

for (const follows of [true, false]) {
  interop(`the board ${follows ? "follows the redirect of a Linux router" : "without accept_redirects stays with its router"}`, async (t) => {
    t.timeout(180_000);
    const { host, beyond, board } = await oneLink(t, {
      commands: [`route add 10.9.0.0/16 via ${NEAR}`], settings: follows ? {} : { confAll: 0x20001c, confDefault: 0x30001c },
    });
    await host.must("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.br0.send_redirects=1");
    await host.must("ip", "route", "add", "10.9.0.0/16", "via", BEYOND);
    const forwarded = async (): Promise<number> => {
      const lines = (await host.must("cat", "/proc/net/snmp")).split("\n").filter((line) => line.startsWith("Ip:"));
      return Number(lines[1]!.split(" ")[lines[0]!.split(" ").indexOf("ForwDatagrams")]);
    };
    const echo = async (count: number): Promise<string> => await beyond.must("python3", "-c", ECHO, BEHIND, ROUTER, String(count));
    t.is(await echo(5), "5\n");
    const before = await forwarded();
    t.true(before >= 1, "the first went by the router");
    t.is(await echo(10), "10\n");
    t.is((await forwarded()) - before, follows ? 0 : 10);
    const report = await board.stop();
    t.is(report.inUseAtEnd, report.inUseAtStart);
  });
}
