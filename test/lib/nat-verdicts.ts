/** The packets and answers of nat-verdicts.py, played to this stack: what its rules and its table nat make of them. */
import { createHash, type Hash } from "node:crypto";
import { VirtualClock } from "../../hal/mock/clock.ts";
import { boot, initNet } from "../../src/boot.ts";
import { iptables, iptablesRestore, iptablesSave } from "../../src/commands/index.ts";
import { conntrack, nfConntrackFlush } from "../../src/conntrack.ts";
import { forwarding, ipForwardSet } from "../../src/forwarding.ts";
import { iptables as tables } from "../../src/iptables.ts";
import { nat } from "../../src/nat.ts";
import { netfilter } from "../../src/netfilter.ts";
import { unregisterNetdev } from "../../src/netif/dev.ts";
import { netifRx } from "../../src/netif/receive.ts";
import { procRead } from "../../src/stack/core/proc.ts";
import { IN_DEV_SEND_REDIRECTS, inetAddAddress } from "../../src/stack/ipv4/devinet.ts";
import { Lcg } from "./lcg.ts";
import { addDevice, checksum, ip, received, type TestDevice } from "../unit/ipv4/harness.ts";

/** What is recorded of a set: `table` only where it was asked for. */
export interface Verdicts {
  readonly seed: number;
  readonly packets: number;
  readonly rules: string;
  readonly counters: readonly string[];
  readonly out: readonly string[];
  readonly connections: string;
  readonly table?: readonly string[];
}

const HOSTS = [0x0a000002, 0x0a000109];
const NEAR = 0x0a000010;
const FAR = 0x0a000101;
const FLAGS = [0x02, 0x02, 0x02, 0x10, 0x18, 0x11, 0x04, 0x12];
const PORTS = [22, 53, 80, 443, 1000, 5000];
const SUMS: Readonly<Record<number, number>> = { 6: 16, 17: 6, 1: 2 };
const TABLES = ["filter", "mangle", "nat"];

function datagram(source: number, dest: number, protocol: number, body: Buffer, number: number, tos: number): Buffer {
  const head = Buffer.alloc(20);
  head[0] = 0x45;
  head[1] = tos;
  head.writeUInt16BE(20 + body.length, 2);
  head.writeUInt16BE(number & 0xffff, 4);
  head[8] = 64;
  head[9] = protocol;
  head.writeUInt32BE(source, 12);
  head.writeUInt32BE(dest, 16);
  const at = SUMS[protocol];
  if (at !== undefined) {
    const pseudo = Buffer.alloc(protocol === 1 ? 0 : 12);
    if (protocol !== 1) {
      head.copy(pseudo, 0, 12, 20);
      pseudo[9] = protocol;
      pseudo.writeUInt16BE(body.length, 10);
    }
    body.writeUInt16BE(0, at);
    body.writeUInt16BE(checksum(Buffer.concat([pseudo, body, Buffer.alloc(body.length & 1)])), at);
  }
  head.writeUInt16BE(checksum(head), 10);
  return Buffer.concat([head, body]);
}

function tcpHeader(sport: number, dport: number, seq: number, ack: number, flags: number): Buffer<ArrayBuffer> {
  const header = Buffer.alloc(20);
  header.writeUInt16BE(sport, 0);
  header.writeUInt16BE(dport, 2);
  header.writeUInt32BE(seq >>> 0, 4);
  header.writeUInt32BE(ack >>> 0, 8);
  header[12] = 0x50;
  header[13] = flags;
  header.writeUInt16BE(1000, 14);
  return header;
}

/** The side a packet comes from, and the packet. */
function packet(lcg: Lcg, number: number): readonly [number, Buffer] {
  const side = lcg.below(4) !== 0 ? 0 : 1;
  const peer = lcg.below(side === 0 ? 8 : 4);
  const source = (side === 0 ? NEAR : FAR) + peer;
  const where = lcg.below(6);
  const dest = side === 0 ? (where < 4 ? FAR + where : HOSTS[where - 4]!) : where < 2 ? NEAR + where : HOSTS[1]!;
  const [kind, which, flags] = [lcg.below(8), lcg.below(6), FLAGS[lcg.below(8)]!];
  const protocol = kind < 4 ? 6 : kind < 7 ? 17 : 1;
  const sport = 2000 + ((side * 8 + peer) * 6 + where) * 6 + which + Math.floor(number / 300) * 600;
  const data = Buffer.from(Array.from({ length: lcg.below(20) }, (_, i) => (number + i) & 255));
  let body = Buffer.alloc(8);
  if (protocol === 6) {
    const syn = flags === 2;
    body = tcpHeader(sport, PORTS[which]!, syn ? 1000 : 1001, syn ? 0 : 5001, flags);
    if (!syn) body = Buffer.concat([body, data]);
  } else if (protocol === 17) {
    body.writeUInt16BE(sport, 0);
    body.writeUInt16BE(PORTS[which]!, 2);
    body.writeUInt16BE(8 + data.length, 4);
    body = Buffer.concat([body, data]);
  } else {
    body[0] = 8;
    body.writeUInt16BE(sport, 4);
    body.writeUInt16BE(number & 0xffff, 6);
    body = Buffer.concat([body, data]);
  }
  return [side, datagram(source, dest, protocol, body, number, lcg.below(2) * 8)];
}

/** What the host that a packet reached says to it, or null. */
function answer(lcg: Lcg, came: Buffer, number: number): Buffer | null {
  const what = lcg.below(10);
  const [source, dest, protocol] = [came.readUInt32BE(12), came.readUInt32BE(16), came[9]!];
  const body = Buffer.from(came.subarray(20));
  if (what < 3 || HOSTS.includes(dest) || (what === 3 && came[8] !== 63) || (protocol === 1 && body[0] !== 8)) return null;
  if (what === 3) return datagram(dest, source, 1, Buffer.concat([Buffer.from([3, 1, 0, 0, 0, 0, 0, 0]), came.subarray(0, 28)]), number, 0);
  if (protocol === 6) {
    const [sport, dport, seq, ack, flags] = [body.readUInt16BE(0), body.readUInt16BE(2), body.readUInt32BE(4), body.readUInt32BE(8), body[13]!];
    if ((flags & 4) !== 0) return null;
    const reply = (flags & 2) !== 0
      ? tcpHeader(dport, sport, 5000, seq + 1, 0x12)
      : tcpHeader(dport, sport, ack, seq + body.length - 20, 0x10);
    return datagram(dest, source, 6, reply, number, 0);
  }
  if (protocol === 17) {
    return datagram(dest, source, 17, Buffer.concat([body.subarray(2, 4), body.subarray(0, 2), body.subarray(4)]), number, 0);
  }
  body[0] = 0;
  return datagram(dest, source, 1, body, number, 0);
}

/** All connections; when one of UDP is assured is a matter of time. */
function connections(): string[] {
  return procRead(initNet, "net/nf_conntrack")!.split("\n").slice(0, -1).map((line) =>
    line.split(/ +/).slice(2).filter((word) => !/^(zone|use|mark)/.test(word) && (word.includes("=") || /^[[A-Z]/.test(word))).join(" "),
  ).map((line) => (/^[A-Z]/.test(line) ? line : line.replace(" [ASSURED]", ""))).sort();
}

/** A home router between near (eth0) and far (eth1). */
export class NatRouter {
  /** Where an array is put here: all packets that come and go, as nat-verdicts.py's `keep` writes them. */
  log: string[] | null = null;
  private readonly devices: readonly TestDevice[];

  /** @param nfConntracks connections that it can track */
  constructor(nfConntracks = 1024) {
    const clock = new VirtualClock(1);
    boot({ preset: "host", nfConntracks, initcalls: [forwarding, netfilter, tables, conntrack, nat], hal: clock });
    for (const table of TABLES) iptables(initNet, `-t ${table} -S`);
    // How many redirects are sent is a matter of time.
    initNet.ipv4.confAll &= ~IN_DEV_SEND_REDIRECTS;
    initNet.ipv4.confDefault &= ~IN_DEV_SEND_REDIRECTS;
    this.devices = [addDevice("eth0"), addDevice("eth1")];
    inetAddAddress(initNet, this.devices[0]!, ip("10.0.0.2"), 24);
    inetAddAddress(initNet, this.devices[1]!, ip("10.0.1.9"), 24);
    ipForwardSet(initNet, true);
    Object.assign(initNet.ipv4, { icmpRatelimit: 0, icmpMsgsPerSec: 1_000_000, icmpMsgsBurst: 1_000_000 });
  }

  /** What became of `packets` packets of a seed under these rules, in the form in which it was recorded. @throws Error when they cannot be loaded */
  play(rules: string, seed: number, packets: number): Required<Verdicts> {
    const loaded = iptablesRestore(initNet, rules);
    if (loaded.status !== 0) throw new Error(loaded.error);
    nfConntrackFlush(initNet);
    const lcg = new Lcg(seed);
    const digests = [createHash("sha256"), createHash("sha256")];
    for (let number = 0; number < packets; number++) {
      const [side, first] = packet(lcg, number);
      this.log?.push(`${number} ${side} ${first.toString("hex")}`);
      this.receive(side, first);
      const out = [0, 1].flatMap((at) => this.drain(at, digests[at]!).map((data) => [at, data] as const));
      for (const [at, data] of out) {
        const reply = answer(lcg, data, number);
        if (reply === null) continue;
        this.receive(at, reply);
        for (const other of [0, 1]) this.drain(other, digests[other]!);
      }
    }
    const counters = TABLES.flatMap((table) => iptablesSave(initNet, `-c -t ${table}`).text.split("\n")).filter((line) => /^[:[]/.test(line));
    const table = connections();
    return {
      seed, packets, rules, counters, out: digests.map((digest) => digest.digest("hex").substring(0, 16)),
      connections: createHash("sha256").update(table.join("\n")).digest("hex").substring(0, 16), table,
    };
  }

  close(): void {
    nfConntrackFlush(initNet);
    for (const device of this.devices) unregisterNetdev(device);
    initNet.poll();
  }

  private receive(side: number, bytes: Buffer): void {
    netifRx(received(this.devices[side]!, bytes));
    while (initNet.poll() === 0);
  }

  /** What has come out, told to the digest, without the identification of what the host itself sends. */
  private drain(side: number, digest: Hash): Buffer[] {
    const out = this.devices[side]!.sent.splice(0).map((bytes) => Buffer.from(bytes));
    for (const bytes of out) {
      const copy = Buffer.from(bytes);
      if (copy[8] !== 63) {
        copy.fill(0, 4, 6);
        copy.fill(0, 10, 12);
      }
      const length = Buffer.alloc(2);
      length.writeUInt16BE(copy.length);
      digest.update(length).update(copy);
      this.log?.push(copy.toString("hex"));
    }
    return out;
  }
}
