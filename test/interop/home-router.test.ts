/**
 * A board as a home router: two Linux hosts behind it reach nginx in front, a port is forwarded the other way and back inside, FTP goes
 * through the helper, errors come through, iperf3 runs. A Linux router in its place sees the same, and its connections are the same.
 */
import test, { type ExecutionContext } from "ava";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Board, interopMissing, Netns } from "./netns.ts";

const missing = interopMissing(["curl", "nginx", "ping", "python3", "traceroute", "iperf3"]);
const interop = missing === null ? test.serial : test.serial.skip;
const beside = missing === null && interopMissing(["iptables-legacy"]) === null ? test.serial : test.serial.skip;

const INSIDE = "10.0.0.2";
const SECOND = "10.0.0.3";
const GATE = "10.0.0.1";
const FRONT = "192.0.2.1";
const OUTSIDE = "192.0.2.2";
const SCRIPT = "test/interop/home-router.py";
/** Ports of services; all others are drawn. */
const SERVICES = "80|8080|21|9|5201|3343\\d";

/** The rules of a home router whose devices are `lan` and `wan`. */
function rules(lan: string, wan: string): string[] {
  return [
    "-t raw -A PREROUTING -p tcp --dport 21 -j CT --helper ftp",
    `-t nat -A POSTROUTING -o ${wan} -j MASQUERADE`,
    `-t nat -A PREROUTING -d ${FRONT} -p tcp --dport 8080 -j DNAT --to-destination ${INSIDE}:80`,
    `-t nat -A POSTROUTING -s 10.0.0.0/24 -d ${INSIDE} -p tcp --dport 80 -j MASQUERADE`,
    "-P FORWARD DROP",
    "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    `-A FORWARD -i ${lan} -o ${wan} -j ACCEPT`,
    `-A FORWARD -d ${INSIDE} -p tcp --dport 80 -j ACCEPT`,
  ];
}

interface Household {
  readonly inside: Netns;
  readonly second: Netns;
  readonly outside: Netns;
  /** The router's connections as text. */
  connections(): Promise<string>;
  readonly board?: Board;
}

/** Both hosts on one link with the router: a bridge of the first one's namespace. @param port its device that leads to the router */
async function joinInside(inside: Netns, second: Netns, port: string): Promise<void> {
  await inside.must("ip", "link", "add", "br0", "type", "bridge");
  await inside.must("ip", "link", "add", "veth2", "type", "veth", "peer", "name", "veth3", "netns", String(second.pid));
  for (const dev of [port, "veth2"]) await inside.must("ip", "link", "set", dev, "master", "br0", "up");
  for (const [net, dev, addr] of [[inside, "br0", INSIDE], [second, "veth3", SECOND]] as const) {
    await net.must("ip", "addr", "add", `${addr}/24`, "dev", dev);
    await net.must("ip", "link", "set", dev, "up");
    await net.must("ip", "route", "add", "default", "via", GATE);
  }
}

async function namespaces(t: ExecutionContext): Promise<[Netns, Netns, Netns]> {
  const all: [Netns, Netns, Netns] = [await Netns.create(t), await Netns.create(t), await Netns.create(t)];
  for (const net of all) await net.must("ip", "addr", "flush", "dev", "tap0");
  return all;
}

async function behindBoard(t: ExecutionContext): Promise<Household> {
  const [inside, second, outside] = await namespaces(t);
  await inside.must("ip", "tuntap", "add", "dev", "tap1", "mode", "tap");
  const board = await inside.ipBoard({
    taps: [{ tap: "tap0", addr: `${GATE}/24` }, { tap: "tap1", addr: `${FRONT}/24` }],
    parts: ["fragments", "forwarding", "netfilter", "iptables", "conntrack", "nat", "ctHelpers", "ftp"],
    iptables: rules("eth0", "eth1"),
    settings: { ipForward: 1 },
  });
  await inside.must("ip", "link", "set", "tap1", "netns", String(outside.pid));
  await joinInside(inside, second, "tap0");
  await outside.must("ip", "addr", "add", `${OUTSIDE}/24`, "dev", "tap1");
  await outside.must("ip", "link", "set", "tap1", "up");
  const connections = async (): Promise<string> => JSON.parse(await board.connections()) as string;
  return { inside, second, outside, connections, board };
}

async function behindLinux(t: ExecutionContext): Promise<Household> {
  const [inside, second, outside] = await namespaces(t);
  const router = await Netns.create(t);
  await router.must("ip", "addr", "flush", "dev", "tap0");
  for (const [net, dev] of [[inside, "r0"], [outside, "r1"]] as const) {
    await net.must("ip", "link", "add", "veth0", "type", "veth", "peer", "name", dev, "netns", String(router.pid));
  }
  for (const [dev, addr] of [["r0", GATE], ["r1", FRONT]] as const) {
    await router.must("ip", "addr", "add", `${addr}/24`, "dev", dev);
    await router.must("ip", "link", "set", dev, "up");
  }
  await router.must("sysctl", "-qw", "net.ipv4.ip_forward=1");
  for (const rule of rules("r0", "r1")) await router.must("iptables-legacy", ...rule.split(" "));
  await joinInside(inside, second, "veth0");
  await outside.must("ip", "addr", "add", `${OUTSIDE}/24`, "dev", "veth0");
  await outside.must("ip", "link", "set", "veth0", "up");
  return { inside, second, outside, connections: async () => await router.must("cat", "/proc/net/nf_conntrack") };
}

/** Starts a program and waits for its "ready". */
async function service(net: Netns, ...args: readonly string[]): Promise<void> {
  const child = net.spawn("python3", args);
  await new Promise<void>((resolve, reject) => {
    child.stdout!.once("data", () => resolve());
    child.once("exit", () => reject(new Error(`${args.join(" ")} ended`)));
  });
}

async function nginx(t: ExecutionContext, net: Netns): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "linnet-nginx-"));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const config = join(directory, "nginx.conf");
  writeFileSync(config, `
daemon off; master_process off; error_log stderr; pid ${directory}/pid; events {}
http {
  access_log off; client_body_temp_path ${directory}; proxy_temp_path ${directory}; fastcgi_temp_path ${directory};
  uwsgi_temp_path ${directory}; scgi_temp_path ${directory};
  server { listen ${OUTSIDE}:80; location / { return 200 "$remote_addr\\n"; } }
}
`);
  net.spawn("nginx", ["-c", config]);
  await listens(net, 80);
}

async function listens(net: Netns, port: number): Promise<void> {
  await net.must("sh", "-c", `for i in $(seq 300); do ss -Hltn sport = ${port} | grep -q . && exit 0; sleep 0.1; done; exit 1`);
}

/** Connections without what changes from run to run: timeouts, and ports that were drawn. */
function entries(text: string): string[] {
  const drawn = new RegExp(`port=(?!(?:${SERVICES}) )\\d+`, "g");
  const lines = text.split("\n").filter((line) => line !== "" && !line.includes("dst=224.") && !line.includes("udp"))
    .map((line) => line.replace(/^ipv4 +2 /, "").replace(/ +/g, " ").replace(/^(\w+ \d+) \d+ /, "$1 "))
    .map((line) => line.replace(drawn, "port=*").replace(/ id=\d+/g, "").replace(/(?: zone=0)? use=\d+$/, ""));
  return [...new Set(lines)].sort();
}

/** Everything a household does, in order; what each saw of it, and what connections there were. */
async function live(t: ExecutionContext, house: Household): Promise<{ seen: Record<string, string>; connections: string[] }> {
  const { inside, second, outside } = house;
  await nginx(t, outside);
  await service(inside, SCRIPT, "tell", "80");
  await service(outside, SCRIPT, "ftpd", OUTSIDE);
  outside.spawn("iperf3", ["-s"]);
  const seen: Record<string, string> = {};
  const curl = async (net: Netns, url: string): Promise<string> => await net.must("curl", "-sS", "--fail", "--max-time", "30", url);
  seen["first"] = await curl(inside, `http://${OUTSIDE}/`);
  seen["second"] = await curl(second, `http://${OUTSIDE}/`);
  seen["forwarded"] = await curl(outside, `http://${FRONT}:8080/`);
  seen["not forwarded"] = String((await outside.run("curl", ["-sS", "--max-time", "2", `http://${FRONT}:80/`])).code);
  seen["ping"] = /\d+ received/.exec(await second.must("ping", "-q", "-c", "5", "-i", "0.05", "-W", "20", OUTSIDE))![0];
  seen["refused"] = await inside.must("python3", SCRIPT, "refused", OUTSIDE);
  for (const kind of ["-U", "-I", "-T"]) {
    const text = await inside.must("traceroute", "-n", "-q", "1", "-w", "5", kind, "-p", kind === "-T" ? "80" : "33434", OUTSIDE);
    seen[`traceroute ${kind}`] = (text.match(/^ ?\d+ {2}\S+/gm) ?? []).map((line) => line.trim().split(/ +/)[1]).join(" ");
  }
  // After the routes were traced: hosts that were sent a redirect for it hear of no error in the second that follows (inetpeer.ts).
  seen["hairpin"] = await curl(second, `http://${FRONT}:8080/`);
  // What ends of itself within half a minute is looked at before it can.
  const icmp = entries(await house.connections()).filter((line) => line.startsWith("icmp"));
  seen["ftp"] = await second.must("python3", SCRIPT, "ftp", OUTSIDE);
  const tcp = entries(await house.connections()).filter((line) => line.startsWith("tcp") && !line.includes(" CLOSE "));
  await listens(outside, 5201);
  for (const way of [[], ["-R"]]) {
    const report = JSON.parse(await inside.must("iperf3", "-c", OUTSIDE, "-n", "4M", "-J", ...way)) as { end: { sum_received: { bytes: number } } };
    // What is on its way when the client is done is not counted.
    seen[`iperf3 ${way.join("")}`] = String(report.end.sum_received.bytes >= 1_000_000);
  }
  return { seen, connections: [...icmp, ...tcp] };
}

const EXPECTED = Object.freeze({
  first: `${FRONT}\n`, second: `${FRONT}\n`, forwarded: `${OUTSIDE}\n`, hairpin: `${GATE}\n`, "not forwarded": "7", ping: "5 received", refused: "111\n",
  "traceroute -U": `${GATE} ${OUTSIDE}`, "traceroute -I": `${GATE} ${OUTSIDE}`, "traceroute -T": `${GATE} ${OUTSIDE}`,
  "iperf3 ": "true", "iperf3 -R": "true",
});

interop("a household behind the board: masquerading, forwarded ports, hairpin, errors, FTP in four ways, iperf3", async (t) => {
  t.timeout(300_000);
  const house = await behindBoard(t);
  const { seen, connections } = await live(t, house);
  const { ftp, ...others } = seen;
  t.deepEqual(others, EXPECTED);
  t.deepEqual(ftp!.match(/^\w+ True/gm), ["PASV True", "EPSV True", "PORT True", "EPRT True"], ftp);
  t.regex(ftp!, new RegExp(`200 ${FRONT}`), "what the server was told");
  t.log(connections.join("\n"));
  const report = await house.board!.stop();
  t.is(report.inUseAtEnd, report.inUseAtStart);
});

beside("the same household behind a Linux router: the same is seen, and the same connections are tracked", async (t) => {
  t.timeout(600_000);
  const theirs = await live(t, await behindLinux(t));
  const house = await behindBoard(t);
  const ours = await live(t, house);
  t.deepEqual(ours.seen, theirs.seen);
  t.deepEqual(ours.connections, theirs.connections);
  t.log(`${ours.connections.length} kinds of connections`);
  await house.board!.stop();
});
