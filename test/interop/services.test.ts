/** The services against the programs that Linux hosts use: dnsmasq for DHCP and DNS, chrony for the time, Avahi for mDNS. */
import test from "ava";
import { interopMissing, LINUX_ADDR, Netns } from "./netns.ts";
import { Avahi, folder, forgetLeases, OTHER_RANGE, RANGE, startChronyd, startDnsmasq } from "./servers.ts";

const missing = interopMissing(["arping", "dnsmasq", "python3"]);
const interop = missing === null ? test.serial : test.serial.skip;
const timed = interopMissing(["dnsmasq", "chronyd"]) === null ? test.serial : test.serial.skip;

const named = interopMissing(["avahi-daemon", "avahi-browse", "dbus-daemon"]) === null ? test.serial : test.serial.skip;

const PATIENCE_MS = 120_000;

interop("dnsmasq gives the board its address, its server answers its names, and the lease is given back", async (t) => {
  t.timeout(300_000);
  const net = await Netns.create(t);
  const many = Array.from({ length: 120 }, (_, i) => `--host-record=many.lan,10.7.${i >> 7}.${i + 1}`);
  const server = startDnsmasq(net, folder(t), [
    RANGE, "--domain=lan", "--dhcp-option=option:ntp-server,10.0.0.1", "--dhcp-option=121,192.168.77.0/24,10.0.0.9,0.0.0.0/0,10.0.0.1",
    "--dhcp-option=26,1400", "--host-record=printer.lan,10.0.0.200", "--cname=alias.lan,printer.lan", "--local=/lan/", ...many,
  ]);
  const board = await net.services({
    tap: "tap0", hostname: "board7", releaseAfterMs: 5000,
    names: ["printer.lan", "printer", "alias.lan", "none.lan", "many.lan", "10.0.0.200", "board7"],
  });
  const [, addr] = await board.printed(/dhcp bound (\S+) 255\.255\.255\.0 10\.0\.0\.1 10\.0\.0\.1 600 lan/, PATIENCE_MS);
  t.regex(addr!, /^10\.0\.0\.5\d$/);
  for (const line of [
    "name printer.lan 10.0.0.200", "name printer 10.0.0.200", "name alias.lan 10.0.0.200", "name none.lan -2", `name board7 ${addr}`,
    "name 10.0.0.200 printer.lan",
  ]) {
    await board.printed(new RegExp(`^${line.replaceAll(".", "\\.")}$`, "m"), PATIENCE_MS);
  }
  const [, addresses] = await board.printed(/^name many\.lan (\S+)$/m, PATIENCE_MS);
  t.is(addresses!.split(",").length, 8, "over TCP: 120 addresses fit no datagram");
  await board.printed(/dhcp released/, PATIENCE_MS);
  const report = await board.stop();
  t.is(report.inUseAtEnd, report.inUseAtStart, JSON.stringify(report.pools));
  for (const message of ["DHCPDISCOVER", "DHCPOFFER", "DHCPREQUEST", "DHCPACK", "DHCPRELEASE"]) t.true(server.log().includes(message), message);
  t.regex(server.log(), /client provides name: board7/);
});

interop("an address from before is asked for again; a server that restarted with another range refuses it", async (t) => {
  t.timeout(300_000);
  const net = await Netns.create(t);
  const dir = folder(t);
  const first = startDnsmasq(net, dir, [RANGE]);
  const board = await net.services({ tap: "tap0", request: "10.0.0.55" });
  await board.printed(/dhcp bound 10\.0\.0\.55 /, PATIENCE_MS);
  t.false(first.log().includes("DHCPDISCOVER"), "INIT-REBOOT needs none");
  await board.stop();
  await first.stop();
  forgetLeases(dir);
  const second = startDnsmasq(net, dir, [OTHER_RANGE]);
  const again = await net.services({ tap: "tap0", request: "10.0.0.55" });
  await again.printed(/dhcp bound 10\.0\.0\.7\d /, PATIENCE_MS);
  t.true(second.log().includes("DHCPNAK"));
  const report = await again.stop();
  t.is(report.inUseAtEnd, report.inUseAtStart, JSON.stringify(report.pools));
});

interop("an address that a Linux host has is declined", async (t) => {
  t.timeout(300_000);
  const net = await Netns.create(t);
  await net.must("ip", "addr", "add", "10.0.0.50/24", "dev", "tap0");
  const server = startDnsmasq(net, folder(t), ["--dhcp-range=10.0.0.50,10.0.0.51,255.255.255.0,10m", "--dhcp-sequential-ip"]);
  const board = await net.services({ tap: "tap0" });
  await board.printed(/dhcp bound 10\.0\.0\.51 /, PATIENCE_MS);
  if (server.log().includes("DHCPOFFER(tap0) 10.0.0.50")) t.true(server.log().includes("DHCPDECLINE(tap0) 10.0.0.50"));
  const report = await board.stop();
  t.is(report.inUseAtEnd, report.inUseAtStart, JSON.stringify(report.pools));
});

interop("a link-local address is chosen, and kept against a Linux host that asks for it", async (t) => {
  t.timeout(300_000);
  const net = await Netns.create(t);
  await net.must("ip", "addr", "add", "169.254.99.99/16", "dev", "tap0");
  const board = await net.services({ tap: "tap0", autoip: true });
  const [, addr] = await board.printed(/autoip (169\.254\.\d+\.\d+)/, PATIENCE_MS);
  const ping = await net.must("ping", "-q", "-c", "3", "-i", "0.2", addr!);
  t.regex(ping, /3 received/);
  const report = await board.stop();
  t.is(report.inUseAtEnd, report.inUseAtStart, JSON.stringify(report.pools));
});

/** Prints the ARP of anybody else for an address, until standard input ends: what it is, and a second whole. */
const LISTENER = `
import select, socket, sys, time
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
link.bind(("tap0", 0x0806))
mine, wanted = link.getsockname()[4], socket.inet_aton(sys.argv[1])
print("listening", flush=True)
while sys.stdin not in select.select([link, sys.stdin], [], [])[0]:
    frame = link.recv(2048)
    sip, tip = frame[28:32], frame[38:42]
    if frame[6:12] == mine or wanted not in (sip, tip): continue
    kind = "probe" if sip == bytes(4) else "announcement" if sip == tip else "other"
    print(kind, frame[0:6] == b"\\xff" * 6, flush=True)
`;

interop("an address that a Linux host holds is probed for and not taken; one that a Linux host takes is defended once", async (t) => {
  t.timeout(300_000);
  const net = await Netns.create(t);
  const held = "169.254.99.99";
  await net.must("ip", "addr", "add", `${held}/16`, "dev", "tap0");
  const first = net.spawn("python3", ["-c", LISTENER, held], "pipe");
  let heard = "";
  first.stdout!.on("data", (chunk: Buffer) => (heard += chunk.toString()));
  await new Promise((resolve) => first.stdout!.once("data", resolve));
  const board = await net.services({ tap: "tap0", autoip: held });
  const [, addr] = await board.printed(/autoip (169\.254\.\d+\.\d+)/, PATIENCE_MS);
  t.not(addr, held);
  t.is(heard, "listening\nprobe True\n", "one probe, which Linux answers");
  // Linux asks by itself before it takes an address, and hears that the board has it.
  const asked = await net.run("arping", ["-D", "-I", "tap0", "-c", "2", addr!]);
  t.is(asked.code, 1, asked.stdout);
  // The second announcement is 2 seconds behind the first.
  await new Promise((resolve) => setTimeout(resolve, 2500));
  await net.must("ip", "addr", "add", `${addr!}/16`, "dev", "tap0");
  const second = net.spawn("python3", ["-c", LISTENER, addr!], "pipe");
  let defence = "";
  second.stdout!.on("data", (chunk: Buffer) => (defence += chunk.toString()));
  await new Promise((resolve) => second.stdout!.once("data", resolve));
  await net.must("arping", "-q", "-U", "-I", "tap0", "-c", "1", addr!);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  t.is(defence, "listening\nannouncement True\n", "RFC 5227 section 2.4 (b)");
  await net.must("arping", "-q", "-U", "-I", "tap0", "-c", "1", addr!);
  await board.printed(/autoip 0\.0\.0\.0/, PATIENCE_MS);
  const [, other] = await board.printed(/autoip 0\.0\.0\.0\nautoip (169\.254\.\d+\.\d+)/, PATIENCE_MS);
  t.false([held, addr].includes(other));
  t.is(defence, "listening\nannouncement True\n");
  t.regex(await net.must("ping", "-q", "-c", "3", "-i", "0.2", other!), /3 received/);
  for (const child of [first, second]) child.stdin!.end();
  const report = await board.stop();
  t.is(report.inUseAtEnd, report.inUseAtStart, JSON.stringify(report.pools));
});

timed("chrony tells the time", async (t) => {
  t.timeout(300_000);
  const net = await Netns.create(t);
  const dir = folder(t);
  startDnsmasq(net, dir, [RANGE, `--dhcp-option=option:ntp-server,${LINUX_ADDR}`]);
  startChronyd(net, dir);
  const board = await net.services({ tap: "tap0" });
  const [, error, delay, stratum] = await board.printed(/^time (\S+) (\S+) (\d+)$/m, PATIENCE_MS);
  t.true(Math.abs(Number(error)) < 1000, `${error} ms from Linux's time`);
  t.true(Number(delay) >= 0 && Number(delay) < 2000);
  t.is(stratum, "5");
  const report = await board.stop();
  t.is(report.inUseAtEnd, report.inUseAtStart, JSON.stringify(report.pools));
});

named("Avahi and the board find each other's hosts and services, and settle who has a name", async (t) => {
  t.timeout(300_000);
  const net = await Netns.create(t);
  const avahi = await Avahi.start(net, folder(t));
  avahi.spawn("avahi-publish", "-s", "Linux page", "_http._tcp", "8000", "path=/linux");
  const board = await net.services({ tap: "tap0", mdns: "board7" });
  await board.printed(/^mdns 0 board7$/m, PATIENCE_MS);
  await board.printed(/^linux\.local 0 10\.0\.0\.1$/m, PATIENCE_MS);
  await board.printed(/^resolved 0 linux\.local 10\.0\.0\.1 8000 path=\/linux$/m, PATIENCE_MS);
  const resolved = await avahi.must("avahi-resolve", "-4", "-n", "board7.local");
  t.regex(resolved, /board7\.local\s+10\.0\.0\.2/);
  const browse = await avahi.must("avahi-browse", "-pkrt", "_http._tcp");
  t.regex(browse, /^=;tap0;IPv4;Seite\\032des\\032Boards;_http\._tcp;local;board7\.local;10\.0\.0\.2;8080;"path=\/index"$/m);
  const report = await board.stop();
  t.is(report.inUseAtEnd, report.inUseAtStart, JSON.stringify(report.pools));
  // Avahi forgets a second after the goodbye; without one it would be in 75 minutes.
  const gone = "for i in $(seq 20); do avahi-browse -pkt _http._tcp | grep -q Seite || exit 0; sleep 0.5; done; exit 1";
  await t.notThrowsAsync(avahi.must("sh", "-c", gone), "the service is still there");
  const rival = await net.services({ tap: "tap0", mdns: "linux" });
  await rival.printed(/^mdns 0 linux-2$/m, PATIENCE_MS);
  await rival.stop();
  t.regex(avahi.log(), /Host name is linux\.local/);
});
