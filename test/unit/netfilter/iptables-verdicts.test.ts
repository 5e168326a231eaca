/**
 * A hundred drawn rule sets and thirty thousand packets: every rule and policy has counted what Linux's has, and the same packets went
 * out. Linux's side was recorded by iptables-verdicts.py, which draws packets as this file does.
 */
import test from "ava";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { VirtualClock } from "../../../hal/mock/clock.ts";
import { Lcg } from "../../lib/lcg.ts";
import { boot, initNet } from "../../../src/boot.ts";
import { iptables, iptablesRestore, iptablesSave } from "../../../src/commands/index.ts";
import { forwarding, ipForwardSet } from "../../../src/forwarding.ts";
import { iptables as part } from "../../../src/iptables.ts";
import { poolsInUse } from "../../../src/lib/pool.ts";
import { netfilter } from "../../../src/netfilter.ts";
import { netifRx } from "../../../src/netif/receive.ts";
import { unregisterNetdev } from "../../../src/netif/dev.ts";
import { inetAddAddress } from "../../../src/stack/ipv4/devinet.ts";
import { addDevice, checksum, ip, received, type TestDevice } from "../ipv4/harness.ts";

interface Recorded {
  readonly rules: string;
  readonly counters: readonly string[];
  /** Digests of what went out by eth0 and eth1. */
  readonly out: readonly string[];
}

const RECORDED = JSON.parse(readFileSync(new URL("iptables-verdicts.json", import.meta.url), "utf8")) as Recorded[];
const PACKETS = 300;
const PORTS = [22, 53, 80, 443, 1000, 5000];
const FLAGS = [0x02, 0x10, 0x12, 0x11, 0x04, 0x18, 0x00, 0x29];
const TOS = [0, 0, 8, 16];
const ICMP = [8, 0, 3, 11];

function transportChecksum(head: Buffer, body: Buffer): number {
  const pseudo = Buffer.alloc(12);
  head.copy(pseudo, 0, 12, 20);
  pseudo[9] = head[9]!;
  pseudo.writeUInt16BE(body.length, 10);
  return checksum(Buffer.concat([pseudo, body, Buffer.alloc(body.length & 1)]));
}

function packet(lcg: Lcg, number: number): Buffer {
  const source = 0x0a000010 + lcg.below(8);
  const forwarded = lcg.below(3) !== 0;
  const dest = forwarded ? 0x0a000101 + lcg.below(4) : 0x0a000002;
  const kind = lcg.below(8);
  const protocol = kind < 3 ? 6 : kind < 6 ? 17 : kind === 6 ? 1 : 47;
  const [sport, dport] = [PORTS[lcg.below(6)]!, PORTS[lcg.below(6)]!];
  const [flags, icmp, length, tos] = [FLAGS[lcg.below(8)]!, ICMP[lcg.below(4)]!, lcg.below(20), TOS[lcg.below(4)]!];
  const fragment = forwarded && lcg.below(10) === 0;
  const offset = fragment ? 1 + lcg.below(3) : 0;
  const data = Buffer.from(Array.from({ length }, (_, i) => (number + i) & 255));
  const header = Buffer.alloc(protocol === 6 ? 20 : protocol === 47 ? 4 : 8);
  if (protocol === 6) {
    header.writeUInt16BE(sport, 0);
    header.writeUInt16BE(dport, 2);
    header.writeUInt32BE(1000 + number, 4);
    header.writeUInt32BE(7, 8);
    header[12] = 0x50;
    header[13] = flags;
    header.writeUInt16BE(1000, 14);
  } else if (protocol === 17) {
    header.writeUInt16BE(sport, 0);
    header.writeUInt16BE(dport, 2);
    header.writeUInt16BE(8 + length, 4);
  } else if (protocol === 1) {
    header[0] = icmp;
    header.writeUInt32BE(number, 4);
  } else {
    header.writeUInt16BE(0x0800, 2);
  }
  const body = Buffer.concat([header, data]);
  const head = Buffer.alloc(20);
  head[0] = 0x45;
  head[1] = tos;
  head.writeUInt16BE(20 + body.length, 2);
  head.writeUInt16BE(number, 4);
  head.writeUInt16BE(offset, 6);
  head[8] = 64;
  head[9] = protocol;
  head.writeUInt32BE(source, 12);
  head.writeUInt32BE(dest, 16);
  if (!fragment && (protocol === 6 || protocol === 17)) body.writeUInt16BE(transportChecksum(head, body), protocol === 6 ? 16 : 6);
  else if (protocol === 1) body.writeUInt16BE(checksum(Buffer.concat([body, Buffer.alloc(body.length & 1)])), 2);
  head.writeUInt16BE(checksum(head), 10);
  return Buffer.concat([head, body]);
}

/** What went out, without the identification of what the host itself sends. */
function digest(sent: readonly Uint8Array[]): string {
  const hash = createHash("sha256");
  for (const bytes of sent) {
    const copy = Buffer.from(bytes);
    if (copy[8] !== 63) {
      copy.fill(0, 4, 6);
      copy.fill(0, 10, 12);
    }
    const length = Buffer.alloc(2);
    length.writeUInt16BE(copy.length);
    hash.update(length).update(copy);
  }
  return hash.digest("hex").substring(0, 16);
}

let clock: VirtualClock;
let near: TestDevice;
let far: TestDevice;
let inUse = 0;

test.beforeEach(() => {
  clock = new VirtualClock(1);
  boot({ preset: "host", initcalls: [forwarding, netfilter, part], hal: clock });
  iptables(initNet, "-S");
  iptables(initNet, "-t mangle -S");
  inUse = poolsInUse();
  near = addDevice("eth0");
  far = addDevice("eth1");
  inetAddAddress(initNet, near, ip("10.0.0.2"), 24);
  inetAddAddress(initNet, far, ip("10.0.1.9"), 24);
  ipForwardSet(initNet, true);
  Object.assign(initNet.ipv4, { icmpRatelimit: 0, icmpMsgsPerSec: 1_000_000, icmpMsgsBurst: 1_000_000 });
});
test.afterEach((t) => {
  unregisterNetdev(near);
  unregisterNetdev(far);
  initNet.poll();
  t.is(poolsInUse(), inUse, "pools full again");
});

test.serial("each rule counts the packets that Linux's counts, and the same packets go out by each device", (t) => {
  for (const [n, { rules, counters, out }] of RECORDED.entries()) {
    const loaded = iptablesRestore(initNet, rules);
    t.is(loaded.error, "", `set ${n + 1}`);
    near.sent.length = far.sent.length = 0;
    const lcg = new Lcg(n + 1);
    for (let number = 0; number < PACKETS; number++) {
      netifRx(received(near, packet(lcg, number)));
      while (initNet.poll() === 0);
    }
    const saved = ["filter", "mangle"].flatMap((table) => iptablesSave(initNet, `-c -t ${table}`).text.split("\n"));
    const ours = saved.filter((line) => /^[:[]/.test(line));
    t.deepEqual(ours.sort(), [...counters].sort(), `set ${n + 1}:\n${rules}`);
    t.deepEqual([digest(near.sent), digest(far.sent)], out, `set ${n + 1}`);
  }
});
