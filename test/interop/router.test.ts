/**
 * A board between two Linux hosts, and a Linux router in its place: the same ICMP messages, byte by byte, and the same packets
 * beyond, for the same packets that provoke them; ping, traceroute and a path of 1000 bytes through the board.
 */
import test, { type ExecutionContext } from "ava";
import { type Board, interopMissing, Netns } from "./netns.ts";

const missing = interopMissing(["ping", "python3", "traceroute"]);
const interop = missing === null ? test.serial : test.serial.skip;
const NEAR = "10.0.0.1";
const ROUTER = "10.0.0.2";
const ROUTER_FAR = "10.0.1.2";
const FAR = "10.0.1.1";
const FAR_MTU = 1000;
const ROUTES = ["10.9.0.0/16 via 10.0.0.9", "unreachable 10.8.1.0/24", "prohibit 10.8.2.0/24", "blackhole 10.8.3.0/24"];
const LISTEN_SECONDS = "6";

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
  // The host does not follow redirects: what follows is to go through the router too.
  await net.must("sysctl", "-qw", "net.ipv4.conf.all.accept_redirects=0", `net.ipv4.conf.${dev}.accept_redirects=0`);
}

/** Two hosts with the board between them: it opens both TAPs, then one of them moves over to the other host. */
async function throughBoard(t: ExecutionContext): Promise<Path> {
  const near = await Netns.create(t);
  const far = await Netns.create(t);
  for (const net of [near, far]) await net.must("ip", "addr", "flush", "dev", "tap0");
  await near.must("ip", "tuntap", "add", "dev", "tap1", "mode", "tap");
  const board = await near.ipBoard({
    taps: [{ tap: "tap0", addr: `${ROUTER}/24` }, { tap: "tap1", addr: `${ROUTER_FAR}/24`, mtu: FAR_MTU }],
    parts: ["fragments", "ipOptions", "forwarding"],
    commands: ROUTES.map((route) => `route add ${route}`),
    settings: { ipForward: 1, icmpRatemask: 0 },
  });
  await near.must("ip", "link", "set", "tap1", "netns", String(far.pid));
  await setUpHost(near, "tap0", [NEAR, "10.0.0.9"], "10.0.1.0/24", ROUTER);
  await setUpHost(far, "tap1", [FAR], "10.0.0.0/24", ROUTER_FAR);
  await far.must("ip", "link", "set", "tap1", "mtu", String(FAR_MTU));
  return { near, far, nearDev: "tap0", farDev: "tap1", board };
}

/** The same with a Linux router. */
async function throughLinux(t: ExecutionContext): Promise<Path> {
  const [near, router, far] = [await Netns.create(t), await Netns.create(t), await Netns.create(t)];
  for (const net of [near, router, far]) await net.must("ip", "addr", "flush", "dev", "tap0");
  for (const [net, dev] of [[near, "r0"], [far, "r1"]] as const) {
    await net.must("ip", "link", "add", "veth0", "type", "veth", "peer", "name", dev, "netns", String(router.pid));
  }
  await router.must(
    "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.r0.rp_filter=0", "net.ipv4.conf.r1.rp_filter=0",
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

async function provoke({ near, far, nearDev, farDev }: Path): Promise<Judgement> {
  await near.must("ping", "-q", "-c", "2", "-w", "20", FAR);
  const listening = far.run("python3", ["test/interop/route.py", "--listen", farDev, LISTEN_SECONDS]);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const answers = await near.must("python3", "test/interop/route.py", nearDev, NEAR, ROUTER, FAR, "1");
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

interop("75 packets that provoke a router: the board says and forwards what Linux does", async (t) => {
  t.timeout(180_000);
  const linux = await provoke(await throughLinux(t));
  const path = await throughBoard(t);
  const ours = await provoke(path);
  t.deepEqual(differences(ours.answers, linux.answers), {});
  t.deepEqual(differences(ours.arrived, linux.arrived), {});
  const heard = Object.values(linux.answers).filter((list) => list.length > 0).length;
  t.log(`${Object.keys(linux.answers).length} packets, ${heard} answered, ${Object.keys(linux.arrived).length} arrived`);
  const report = await path.board!.stop();
  t.is(report.inUseAtEnd, report.inUseAtStart);
});

interop("ping, traceroute by UDP, ICMP and TCP, and discovery of a path of 1000 bytes, through the board", async (t) => {
  t.timeout(180_000);
  const { near, far, board } = await throughBoard(t);
  t.regex(await near.must("ping", "-q", "-c", "50", "-w", "20", "-i", "0.01", FAR), /50 received, 0% packet loss/);
  t.regex(await far.must("ping", "-q", "-c", "20", "-w", "20", "-i", "0.01", "-s", "8000", NEAR), /20 received, 0% packet loss/);
  for (const kind of [[], ["-I"], ["-T"]]) {
    const text = await near.must("traceroute", "-n", "-q", "1", "-w", "3", ...kind, FAR);
    t.deepEqual(text.match(/^ ?\d+ {2}\S+/gm)?.map((line) => line.trim().split(/ +/)[1]), [ROUTER, FAR], text);
  }
  const probe = await near.run("ping", ["-c", "2", "-i", "0.2", "-M", "do", "-s", "1400", FAR]);
  t.regex(probe.stdout, /mtu ?= ?1000/);
  t.regex(await near.must("ip", "route", "get", FAR), /mtu 1000/);
  const report = await board!.stop();
  t.is(report.inUseAtEnd, report.inUseAtStart);
});
