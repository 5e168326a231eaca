/** The servers of a Linux host that the services are tested against: dnsmasq, chronyd, Avahi; each can be stopped and started again. */
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ExecutionContext } from "ava";
import { LINUX_ADDR, type Netns } from "./netns.ts";

export interface Server {
  /** What it logged. */
  readonly log: () => string;
  /** Ends it as its administrator does, and waits for its end. */
  stop(): Promise<void>;
}

export const RANGE = "--dhcp-range=10.0.0.50,10.0.0.59,255.255.255.0,10m";
export const OTHER_RANGE = "--dhcp-range=10.0.0.70,10.0.0.79,255.255.255.0,10m";

/** A folder of the test's own. */
export function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), "linnet-"));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function server(child: ChildProcess): Server {
  let text = "";
  child.stderr!.on("data", (chunk: Buffer) => (text += chunk.toString()));
  child.stdout!.on("data", (chunk: Buffer) => (text += chunk.toString()));
  return {
    log: () => text,
    stop: () => new Promise((resolve) => {
      child.once("close", () => resolve());
      child.kill("SIGTERM");
    }),
  };
}

/** @param dir where its leases are kept */
export function startDnsmasq(net: Netns, dir: string, more: readonly string[]): Server {
  return server(net.spawn("dnsmasq", [
    "--keep-in-foreground", "--log-facility=-", "--log-dhcp", "--log-queries", "--no-resolv", "--no-hosts", "--conf-file=/dev/null",
    "--user=root", "--pid-file=", "--interface=tap0", "--bind-interfaces", "--except-interface=lo",
    `--dhcp-leasefile=${dir}/leases`, "--dhcp-authoritative", "--no-ping", ...more,
  ]));
}

/** Forgets who has which address, while dnsmasq is not running. */
export function forgetLeases(dir: string): void {
  rmSync(`${dir}/leases`, { force: true });
}

/** A time server of stratum 5. */
export function startChronyd(net: Netns, dir: string): Server {
  writeFileSync(join(dir, "chrony.conf"), `local stratum 5\nallow all\nbindaddress ${LINUX_ADDR}\ncmdport 0\npidfile ${dir}/chronyd.pid\n`);
  return server(net.spawn("chronyd", ["-d", "-x", "-u", "root", "-f", join(dir, "chrony.conf")]));
}

const BUS_POLICY = `<busconfig><type>system</type><listen>unix:path=BUS</listen><auth>EXTERNAL</auth><policy context="default">
<allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/><allow user="*"/></policy></busconfig>`;

/** Avahi with a bus of its own, as the host linux.local. */
export class Avahi {
  private readonly net: Netns;
  private readonly dir: string;
  private readonly onBus: readonly string[];
  private daemon: Server | null = null;

  private constructor(net: Netns, dir: string) {
    this.net = net;
    this.dir = dir;
    this.onBus = [`DBUS_SYSTEM_BUS_ADDRESS=unix:path=${join(dir, "bus")}`];
  }

  static async start(net: Netns, dir: string): Promise<Avahi> {
    const avahi = new Avahi(net, dir);
    const bus = join(dir, "bus");
    writeFileSync(join(dir, "bus.conf"), BUS_POLICY.replace("BUS", bus));
    writeFileSync(join(dir, "avahi.conf"), "[server]\nhost-name=linux\nuse-ipv6=no\nallow-interfaces=tap0\n[publish]\npublish-workstation=no\n");
    net.spawn("dbus-daemon", [`--config-file=${join(dir, "bus.conf")}`, "--nofork", "--nopidfile"]);
    await net.must("sh", "-c", `for i in $(seq 100); do [ -S ${bus} ] && exit 0; sleep 0.1; done; exit 1`);
    await avahi.startDaemon();
    return avahi;
  }

  /** Starts the daemon, and waits until it answers to its own name. */
  async startDaemon(): Promise<void> {
    const config = join(this.dir, "avahi.conf");
    this.daemon = server(this.spawn("avahi-daemon", "--no-drop-root", "--no-chroot", "--no-rlimits", "-f", config));
    await this.must("sh", "-c", "for i in $(seq 200); do avahi-resolve -4 -n linux.local && exit 0; sleep 0.2; done; exit 1");
  }

  /** Ends the daemon, which says goodbye. */
  stopDaemon(): Promise<void> {
    return this.daemon!.stop();
  }

  log(): string {
    return this.daemon!.log();
  }

  /** Starts a program on the bus. */
  spawn(command: string, ...args: readonly string[]): ChildProcess {
    return this.net.spawn("env", [...this.onBus, command, ...args]);
  }

  /** Runs one to its end, which must be a good one. */
  must(command: string, ...args: readonly string[]): Promise<string> {
    return this.net.must("env", ...this.onBus, command, ...args);
  }
}
