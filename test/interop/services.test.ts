/** The services against the programs that Linux hosts use: dnsmasq for DHCP and DNS, chrony for the time. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ChildProcess } from "node:child_process";
import test, { type ExecutionContext } from "ava";
import { interopMissing, LINUX_ADDR, Netns } from "./netns.ts";

const missing = interopMissing(["dnsmasq"]);
const interop = missing === null ? test.serial : test.serial.skip;
const timed = interopMissing(["dnsmasq", "chronyd"]) === null ? test.serial : test.serial.skip;

const PATIENCE_MS = 120_000;

/** A folder of the test's own. */
function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), "linnet-"));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

interface Dnsmasq {
  /** What it logged. */
  readonly log: () => string;
  kill(): Promise<void>;
}

function dnsmasq(net: Netns, dir: string, more: readonly string[]): Dnsmasq {
  const child: ChildProcess = net.spawn("dnsmasq", [
    "--keep-in-foreground", "--log-facility=-", "--log-dhcp", "--log-queries", "--no-resolv", "--no-hosts", "--conf-file=/dev/null",
    "--user=root", "--pid-file=", "--interface=tap0", "--bind-interfaces", "--except-interface=lo",
    `--dhcp-leasefile=${dir}/leases`, "--dhcp-authoritative", "--no-ping", ...more,
  ]);
  let text = "";
  child.stderr!.on("data", (chunk: Buffer) => (text += chunk.toString()));
  child.stdout!.on("data", (chunk: Buffer) => (text += chunk.toString()));
  return {
    log: () => text,
    kill: () => new Promise((resolve) => {
      child.once("close", () => resolve());
      child.kill("SIGTERM");
    }),
  };
}

const RANGE = "--dhcp-range=10.0.0.50,10.0.0.59,255.255.255.0,10m";

interop("dnsmasq gives the board its address, its server answers its names, and the lease is given back", async (t) => {
  t.timeout(300_000);
  const net = await Netns.create(t);
  const many = Array.from({ length: 120 }, (_, i) => `--host-record=many.lan,10.7.${i >> 7}.${i + 1}`);
  const server = dnsmasq(net, folder(t), [
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
  const first = dnsmasq(net, dir, [RANGE]);
  const board = await net.services({ tap: "tap0", request: "10.0.0.55" });
  await board.printed(/dhcp bound 10\.0\.0\.55 /, PATIENCE_MS);
  t.false(first.log().includes("DHCPDISCOVER"), "INIT-REBOOT needs none");
  await board.stop();
  await first.kill();
  rmSync(`${dir}/leases`);
  const second = dnsmasq(net, dir, ["--dhcp-range=10.0.0.70,10.0.0.79,255.255.255.0,10m"]);
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
  const server = dnsmasq(net, folder(t), ["--dhcp-range=10.0.0.50,10.0.0.51,255.255.255.0,10m", "--dhcp-sequential-ip"]);
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

timed("chrony tells the time", async (t) => {
  t.timeout(300_000);
  const net = await Netns.create(t);
  const dir = folder(t);
  writeFileSync(join(dir, "chrony.conf"), `local stratum 5\nallow all\nbindaddress ${LINUX_ADDR}\ncmdport 0\npidfile ${dir}/chronyd.pid\n`);
  dnsmasq(net, dir, [RANGE, `--dhcp-option=option:ntp-server,${LINUX_ADDR}`]);
  net.spawn("chronyd", ["-d", "-x", "-u", "root", "-f", join(dir, "chrony.conf")]);
  const board = await net.services({ tap: "tap0" });
  const [, error, delay, stratum] = await board.printed(/^time (\S+) (\S+) (\d+)$/m, PATIENCE_MS);
  t.true(Math.abs(Number(error)) < 1000, `${error} ms from Linux's time`);
  t.true(Number(delay) >= 0 && Number(delay) < 2000);
  t.is(stratum, "5");
  const report = await board.stop();
  t.is(report.inUseAtEnd, report.inUseAtStart, JSON.stringify(report.pools));
});
