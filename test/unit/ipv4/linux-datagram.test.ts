/**
 * UDP, raw and ping sockets, and ICMP, do what Linux does in the same sequences of calls and packets: linux-datagram.json, by
 * linux-datagram.py, which says what the steps are.
 */
import { readFileSync } from "node:fs";
import test from "ava";
import { forwarding, ipForwardSet } from "../../../src/forwarding.ts";
import { fragments } from "../../../src/fragments.ts";
import { igmp } from "../../../src/igmp.ts";
import { ipOptions } from "../../../src/ip-options.ts";
import {
  AF_INET, bind, close, connect, getsockopt, Msghdr, MSG_CTRUNC, MSG_ERRQUEUE, MSG_TRUNC, msgSetBuffer, recvmsg, sendmsg, setsockopt,
  setsockoptBytes, SOCK_DGRAM, SOCK_RAW, SockaddrIn,
} from "../../../src/index.ts";
import { ping, raw } from "../../../src/raw.ts";
import {
  IN_DEV_ACCEPT_LOCAL, IN_DEV_ACCEPT_SOURCE_ROUTE, IN_DEV_ROUTE_LOCALNET, IN_DEV_SEND_REDIRECTS, inDevGet,
} from "../../../src/stack/ipv4/devinet.ts";
import { ipRouteAdd } from "../../../src/stack/ipv4/fib-frontend.ts";
import { fibFlushCached } from "../../../src/stack/ipv4/fib-sync.ts";
import { rtCacheFlush } from "../../../src/stack/ipv4/route-cache.ts";
import { IP_RECVOPTS, IP_RETOPTS } from "../../../src/uapi/in.ts";
import { addressNumber, addressText } from "../../lib/frames.ts";
import { createLab, type Lab, type LabHost } from "../../lib/lab.ts";
import { checksum } from "./harness.ts";

type Control = [level: number, type: number, words: number[]];
type Step = [what: string, args: unknown[], answer: unknown];
type Case = [name: string, steps: Step[]];

const recorded = JSON.parse(readFileSync(new URL("linux-datagram.json", import.meta.url), "utf8")) as { kernel: string; cases: Case[] };

const UDP = 17;
const ICMP = 1;
const TIMESTAMP = 68;
const MASKED = 0x54545454;
const SUMMED = 0x5353;
/** Switches of a device. */
const SWITCHES: Readonly<Record<string, number>> = Object.freeze({
  "conf.accept_source_route": IN_DEV_ACCEPT_SOURCE_ROUTE,
  "conf.accept_local": IN_DEV_ACCEPT_LOCAL,
  "conf.route_localnet": IN_DEV_ROUTE_LOCALNET,
  "conf.send_redirects": IN_DEV_SEND_REDIRECTS,
});
/** net.ipv4 by the name of its field here. */
const SYSCTLS: Readonly<Record<string, string>> = Object.freeze({
  "conf.rp_filter": "rpFilter",
  icmp_ratelimit: "icmpRatelimit",
  icmp_ratemask: "icmpRatemask",
  icmp_echo_ignore_broadcasts: "icmpEchoIgnoreBroadcasts",
  icmp_echo_ignore_all: "icmpEchoIgnoreAll",
  icmp_ignore_bogus_error_responses: "icmpIgnoreBogusErrorResponses",
});

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function maskOptions(bytes: Uint8Array, from: number, end: number): void {
  for (let at = from; at < end - 1 && bytes[at] !== 0;) {
    if (bytes[at] === 1) {
      at++;
      continue;
    }
    const size = bytes[at + 1]!;
    if (size < 2) return;
    if (bytes[at] === TIMESTAMP && size >= 4) {
      const step = (bytes[at + 3]! & 15) === 0 ? 4 : 8;
      for (let place = at + step; place < Math.min(at + size, end) - 3; place += step) {
        if (view(bytes).getUint32(place) !== 0) view(bytes).setUint32(place, MASKED);
      }
    }
    at += size;
  }
}

function maskUdp(bytes: Uint8Array, uh: number): void {
  if (bytes.length >= uh + 8 && view(bytes).getUint16(uh + 6) !== 0) view(bytes).setUint16(uh + 6, SUMMED);
}

function maskQuoted(bytes: Uint8Array, at: number): void {
  if (bytes.length < at + 20) return;
  const data = view(bytes);
  data.setUint16(at + 4, 0);
  data.setUint16(at + 10, 0);
  const head = (bytes[at]! & 15) * 4;
  maskOptions(bytes, at + 20, Math.min(at + head, bytes.length));
  if (bytes[at + 9] === UDP) maskUdp(bytes, at + head);
}

/** A packet without what differs from run to run, as linux-datagram.py has it. @param read it comes from a socket */
function masked(packet: Uint8Array, read: boolean): string {
  const bytes = packet.slice();
  const data = view(bytes);
  const head = (bytes[0]! & 15) * 4;
  if (!read && checksum(bytes.subarray(0, head)) !== 0) throw new Error(`wrong header checksum: ${hex(packet)}`);
  data.setUint16(4, 0);
  data.setUint16(10, 0);
  maskOptions(bytes, 20, head);
  if (bytes[9] === UDP) maskUdp(bytes, head);
  if (bytes[9] !== ICMP || bytes.length < head + 8) return hex(bytes);
  if (checksum(packet.subarray(head)) !== 0) throw new Error(`wrong ICMP checksum: ${hex(packet)}`);
  data.setUint16(head + 2, 0);
  const type = bytes[head]!;
  if (type === 14) {
    data.setUint32(head + 12, MASKED);
    data.setUint32(head + 16, MASKED);
  }
  if ([3, 4, 5, 11, 12].includes(type)) maskQuoted(bytes, head + 8);
  return hex(bytes);
}

function ipPacketOf(protocol: number, payload: Uint8Array, tos: number, ttl: number, saddr: number, daddr: number): Uint8Array {
  const packet = new Uint8Array(20 + payload.length);
  const data = view(packet);
  packet.set([0x45, tos, 0, 0, 0, 7, 0, 0, ttl, protocol]);
  data.setUint16(2, packet.length);
  data.setInt32(12, saddr);
  data.setInt32(16, daddr);
  data.setUint16(10, checksum(packet.subarray(0, 20)));
  packet.set(payload, 20);
  return packet;
}

/** The host of a case: its sockets, and what it has sent. */
class Host {
  private readonly lab: Lab;
  private readonly host: LabHost;
  private readonly fds: number[] = [];
  private readonly sent: Uint8Array[] = [];
  private last: Uint8Array = new Uint8Array(0);
  private readonly raws = new Set<number>();

  constructor(lab: Lab) {
    this.lab = lab;
    this.host = lab.host("a");
    const own = [this.host.mac.hi, this.host.mac.lo];
    lab.wire.observers.push((frame) => {
      const data = view(frame);
      const mine = data.getUint16(6) === own[0] && data.getInt32(8) === own[1];
      if (!mine || data.getUint16(12) !== 0x0800 || frame[23] === 2) return;
      this.sent.push(frame.slice(14, 14 + data.getUint16(16)));
    });
  }

  close(): void {
    for (const fd of this.fds.splice(0)) close(fd);
    this.raws.clear();
    fibFlushCached(this.host.net);
  }

  private heard(): string[] {
    this.lab.runFor(20);
    const packets = this.sent.splice(0);
    this.last = packets.at(-1) ?? this.last;
    return packets.map((packet) => masked(packet, false));
  }

  private wait(ms: number): number {
    this.lab.runFor(ms);
    return 0;
  }

  private arrive(packet: Uint8Array): string[] {
    const frame = new Uint8Array(Math.max(60, 14 + packet.length));
    const data = view(frame);
    const { mac } = this.lab.peer("p");
    data.setUint16(0, this.host.mac.hi);
    data.setInt32(2, this.host.mac.lo);
    data.setUint16(6, mac.hi);
    data.setInt32(8, mac.lo);
    data.setUint16(12, 0x0800);
    frame.set(packet, 14);
    this.lab.peer("p").sendFrame(frame);
    return this.heard();
  }

  act([what, args]: Step): unknown {
    switch (what) {
      case "open": return this.open(...(args as [string, number]));
      case "set": return this.set(...(args as [number, number, number, number | string]));
      case "get": return this.get(...(args as [number, number, number]));
      case "bind": return bind(this.fds[args[0] as number]!, this.name(args[1] as string, args[2] as number));
      case "connect": return connect(this.fds[args[0] as number]!, this.name(args[1] as string, args[2] as number));
      case "sysctl": return this.sysctl(...(args as [string, number]));
      case "wait": return this.wait(args[0] as number);
      case "in": return this.arrive(Buffer.from(args[0] as string, "hex"));
      case "error": return this.error(...(args as [number, number, number, number, number]));
      case "send": return this.send(...(args as [number, string, number, string, Control[]]));
      case "recv": return this.recv(...(args as [number, number, number]));
      default: throw new Error(what);
    }
  }

  private name(address: string, port: number): SockaddrIn {
    return new SockaddrIn(address === "" ? 0 : addressNumber(address), port);
  }

  private open(kind: string, protocol: number): number {
    const fd = this.host.socket(AF_INET, kind === "raw" ? SOCK_RAW : SOCK_DGRAM, protocol);
    if (kind === "raw") this.raws.add(this.fds.length);
    this.fds.push(fd);
    return Math.min(fd, 0);
  }

  private set(which: number, level: number, name: number, value: number | string): number {
    const fd = this.fds[which]!;
    return typeof value === "number" ? setsockopt(fd, level, name, value) : setsockoptBytes(fd, level, name, Buffer.from(value, "hex"));
  }

  private get(which: number, level: number, name: number): number {
    const out = new Int32Array(1);
    const written = getsockopt(this.fds[which]!, level, name, out);
    return written < 0 ? written : out[0]!;
  }

  private sysctl(name: string, value: number): number {
    const { net, dev } = this.host;
    const field = SYSCTLS[name];
    const bit = SWITCHES[name];
    if (field !== undefined) Object.assign(net.ipv4, { [field]: value });
    if (name === "ip_forward") ipForwardSet(net, value !== 0);
    if (bit === undefined) return 0;
    const inDev = inDevGet(dev)!;
    inDev.switches = value !== 0 ? inDev.switches | bit : inDev.switches & ~bit;
    net.ipv4.confAll = value !== 0 ? net.ipv4.confAll | bit : net.ipv4.confAll & ~bit;
    rtCacheFlush(net);
    return 0;
  }

  private error(type: number, code: number, info: number, tos: number, ttl: number): string[] {
    const quoted = this.last.subarray(0, 548);
    const message = new Uint8Array(8 + quoted.length);
    message.set([type, code]);
    view(message).setUint32(4, info);
    message.set(quoted, 8);
    view(message).setUint16(2, checksum(message));
    return this.arrive(ipPacketOf(ICMP, message, tos, ttl, this.lab.peer("p").addr, this.host.addr));
  }

  private send(which: number, address: string, port: number, data: string, control: Control[]): [number, string[]] {
    const bytes = new Uint8Array(Buffer.from(data, "hex"));
    const msg = new Msghdr();
    msgSetBuffer(msg, bytes, 0, bytes.length);
    if (address !== "") msg.name = this.name(address, port);
    const words = control.flatMap(([level, type, values]) => [level, type, values.length, ...values]);
    msg.control = Int32Array.from(words);
    msg.controllen = words.length;
    return [sendmsg(this.fds[which]!, msg, 0), this.heard()];
  }

  private recv(which: number, flags: number, room: number): unknown {
    const msg = new Msghdr();
    const from = new SockaddrIn();
    const bytes = new Uint8Array(room);
    msgSetBuffer(msg, bytes, 0, room);
    from.addr = from.port = 0;
    msg.name = from;
    msg.control = new Int32Array(100);
    const count = recvmsg(this.fds[which]!, msg, flags);
    if (count < 0) return count;
    const data = bytes.subarray(0, count);
    const whole = this.raws.has(which) && (flags & MSG_ERRQUEUE) === 0 && count === view(data).getUint16(2);
    return [
      count, whole ? masked(data, true) : hex(data), msg.flags & (MSG_TRUNC | MSG_ERRQUEUE | MSG_CTRUNC), addressText(from.addr), from.port,
      controlOf(msg.control.subarray(0, msg.controllen)),
    ];
  }
}

function controlOf(words: Int32Array): Control[] {
  const messages: Control[] = [];
  for (let at = 0; at < words.length;) {
    const [level = 0, type = 0, count = 0] = words.subarray(at, at + 3);
    const values = words.slice(at + 3, at + 3 + count);
    messages.push([level, type, [...(level === 0 && (type === IP_RECVOPTS || type === IP_RETOPTS) ? withoutTimes(values) : values)]]);
    at += 3 + count;
  }
  return messages;
}

function withoutTimes(words: Int32Array): Int32Array {
  const bytes = new Uint8Array(words.length * 4);
  words.forEach((word, i) => view(bytes).setInt32(i * 4, word));
  maskOptions(bytes, 0, bytes.length);
  return words.map((_, i) => view(bytes).getInt32(i * 4));
}

for (const [name, steps] of recorded.cases) {
  test.serial(`${name}: as Linux ${recorded.kernel}`, (t) => {
    const lab = createLab(t, { hosts: ["a"], peers: ["p", "gateway"], initcalls: [raw, ping, ipOptions, igmp, fragments, forwarding] });
    const host = new Host(lab);
    ipRouteAdd(lab.host("a").net, addressNumber("10.9.0.0"), 16, addressNumber("10.0.0.3"), 0);
    Object.assign(lab.host("a").net.ipv4, { icmpRatelimit: 0, icmpMsgsPerSec: 100_000, icmpMsgsBurst: 100_000 });
    for (const [at, step] of steps.entries()) {
      const [what, args, answer] = step;
      const ours = host.act(step);
      if (JSON.stringify(ours) !== JSON.stringify(answer)) t.deepEqual(ours, answer, `step ${at}: ${what} ${JSON.stringify(args)}`);
    }
    host.close();
    t.pass();
  });
}
