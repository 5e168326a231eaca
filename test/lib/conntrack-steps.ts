/**
 * The steps of conntrack-kernel.py, played to this stack: what a forwarding host with connection tracking makes of packets between host a
 * (10.0.0.1, behind eth0) and host b (10.0.1.1, behind eth1).
 */
import { VirtualClock } from "../../hal/mock/clock.ts";
import { boot, initNet } from "../../src/boot.ts";
import { iptables } from "../../src/commands/index.ts";
import { conntrack, netnsCt, nfConntrackFlush } from "../../src/conntrack.ts";
import { forwarding, ipForwardSet } from "../../src/forwarding.ts";
import { iptables as tables } from "../../src/iptables.ts";
import { netfilter } from "../../src/netfilter.ts";
import { unregisterNetdev } from "../../src/netif/dev.ts";
import { netifRx } from "../../src/netif/receive.ts";
import { procRead } from "../../src/stack/core/proc.ts";
import { inetAddAddress } from "../../src/stack/ipv4/devinet.ts";
import { addDevice, checksum, ip, received, type TestDevice } from "../unit/ipv4/harness.ts";

/** A step, what the packet was to its connection (null: it was dropped), and the entries behind it, "=" for the same as before. */
export type Step = readonly [string, string | null, "=" | readonly string[]];
export interface Sequence {
  readonly name: string;
  /** Without nf_conntrack_. */
  readonly sysctl: Readonly<Record<string, number>>;
  readonly steps: readonly Step[];
}

const FLAGS = "FSRPAUEC";
const STATES: Readonly<Record<number, string>> = { 2: "RELATED", 4: "INVALID", 8: "NEW", 16: "ESTABLISHED", 0: "UNTRACKED" };
const ADDRESS: Readonly<Record<string, number>> = { a: ip("10.0.0.1"), b: ip("10.0.1.1") };
const SUMS: Readonly<Record<string, number>> = { tcp: 16, udp: 6, icmp: 2, error: 2 };
const PROTOCOLS: Readonly<Record<string, number>> = { tcp: 6, udp: 17, icmp: 1, error: 1 };

/** The packet of a step; `steps` are those that it may quote. */
function build(step: string, steps: readonly Step[]): Buffer {
  const [sender, kind, ...rest] = step.split(" ") as [string, string, ...string[]];
  const options = new Map(rest.filter((word) => word.includes("=")).map((word) => word.split("=") as [string, string]));
  const plain = rest.filter((word) => !word.includes("="));
  const number = (name: string, otherwise = 0): number => Number(options.get(name) ?? otherwise);
  const [src, dst] = sender === "a" ? [ADDRESS["a"]!, ADDRESS["b"]!] : [ADDRESS["b"]!, ADDRESS["a"]!];
  const client = number("p", 1000);
  const extra = Buffer.from(options.get("o") ?? "", "hex");
  let data: Buffer = Buffer.alloc(number("l"));
  let head = Buffer.alloc(kind in SUMS ? 8 : 0);
  if (kind === "tcp") {
    head = Buffer.concat([Buffer.alloc(20), extra]);
    head.writeUInt32BE(number("s") >>> 0, 4);
    head.writeUInt32BE(number("a") >>> 0, 8);
    head[12] = (5 + extra.length / 4) << 4;
    head[13] = [...plain[0]!].reduce((sum, letter) => sum + (letter === "." ? 0 : 1 << FLAGS.indexOf(letter)), 0);
    head.writeUInt16BE(number("w", 1000), 14);
  }
  if (kind === "tcp" || kind === "udp") {
    head.writeUInt16BE(sender === "a" ? client : 80, 0);
    head.writeUInt16BE(sender === "a" ? 80 : client, 2);
    if (kind === "udp") head.writeUInt16BE(8 + data.length, 4);
  } else if (kind === "icmp" || kind === "error") {
    head[0] = Number(plain[0]);
    head[1] = Number(plain[1]);
    if (kind === "icmp") {
      head.writeUInt16BE(number("i", 7), 4);
      head[7] = 1;
    } else data = build(steps[number("q")]![0], steps).subarray(0, 28);
  }
  const body = Buffer.concat([head, data]);
  const header = Buffer.alloc(20);
  header[0] = 0x45;
  header.writeUInt16BE(20 + body.length, 2);
  header[8] = 64;
  header[9] = PROTOCOLS[kind] ?? 99;
  header.writeInt32BE(src, 12);
  header.writeInt32BE(dst, 16);
  const where = SUMS[kind];
  if (where !== undefined) {
    const pseudo = Buffer.alloc(12);
    header.copy(pseudo, 0, 12, 20);
    pseudo[9] = header[9]!;
    pseudo.writeUInt16BE(body.length, 10);
    const sum = checksum(Buffer.concat([header[9] === 1 ? Buffer.alloc(0) : pseudo, body, Buffer.alloc(body.length & 1)]));
    body.writeUInt16BE(sum ^ (plain.includes("bad") ? 0x5555 : 0), where);
  }
  header.writeUInt16BE(checksum(header), 10);
  return Buffer.concat([header, body]);
}

/** The entries as the recorder writes them. */
function entries(): string[] {
  const lines = procRead(initNet, "net/nf_conntrack")!.split("\n").slice(0, -1);
  return lines.map((line) => {
    const words = line.split(/ +/).slice(2);
    const [protocol, , timeout, ...more] = words as [string, string, string, ...string[]];
    const plain = more.filter((word) => !word.includes("=")).map((word) => (word.startsWith("[") ? word[1] : word));
    const [src, , ...numbers] = more.filter((word) => word.includes("=")).map((word) => word.split("=")[1]);
    const start = protocol === "icmp" ? `:${numbers.slice(0, 3).join(".")}` : protocol === "unknown" ? "" : `:${numbers[0]}`;
    return [protocol, String(Math.ceil(Number(timeout) / 10) * 10), ...plain, (src === "10.0.0.1" ? "a" : "b") + start].join(" ");
  }).sort();
}

/** A host that forwards between a and b. */
export class Tracker {
  private readonly clock = new VirtualClock(1);
  private readonly devices: readonly TestDevice[];

  constructor() {
    boot({ preset: "default", initcalls: [forwarding, netfilter, tables, conntrack], hal: this.clock });
    this.clock.drive({ poll: () => initNet.poll() });
    this.devices = [addDevice("eth0"), addDevice("eth1")];
    inetAddAddress(initNet, this.devices[0]!, ip("10.0.0.2"), 24);
    inetAddAddress(initNet, this.devices[1]!, ip("10.0.1.9"), 24);
    ipForwardSet(initNet, true);
    for (const [tos, state] of Object.entries(STATES)) {
      if (state !== "UNTRACKED") iptables(initNet, `-t mangle -A FORWARD -m conntrack --ctstate ${state} -j TOS --set-tos ${tos}`);
    }
  }

  /** What became of a sequence, in the form in which it was recorded. */
  play({ sysctl, steps }: Sequence): Step[] {
    const settings = netnsCt(initNet) as unknown as Record<string, number>;
    const before = Object.keys(sysctl).map((name) => {
      const key = `nf_conntrack_${name}`.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
      const old = settings[key];
      if (old === undefined) throw new Error(`no sysctl ${key}`);
      settings[key] = sysctl[name]!;
      return [key, old] as const;
    });
    nfConntrackFlush(initNet);
    let last: string | null = null;
    const seen = steps.map(([step]): Step => {
      let state: string | null = "";
      if (step.startsWith("wait")) this.turn(Number(step.substring(5)) * 1000);
      else state = this.send(step, steps);
      const now = entries();
      const same = now.join() === last;
      last = now.join();
      return [step, state, same ? "=" : now];
    });
    for (const [key, old] of before) settings[key] = old;
    return seen;
  }

  /** The packets of these steps come in. */
  fill(steps: readonly string[]): void {
    for (const step of steps) this.send(step, []);
  }

  close(): void {
    nfConntrackFlush(initNet);
    for (const device of this.devices) unregisterNetdev(device);
    initNet.poll();
  }

  private send(step: string, steps: readonly Step[]): string | null {
    const from = this.devices[step.startsWith("a") ? 0 : 1]!;
    for (const device of this.devices) device.sent.length = 0;
    netifRx(received(from, build(step, steps)));
    this.turn(1);
    const out = this.devices.flatMap((device) => device.sent)[0];
    return out === undefined ? null : STATES[out[1]!]!;
  }

  private turn(ms: number): void {
    this.clock.runFor(ms);
  }
}
