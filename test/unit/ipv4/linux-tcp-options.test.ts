/**
 * TCP does with IP options what Linux does in the same sequences of calls and segments: linux-tcp-options.json, by
 * linux-tcp-options.py, which says what the steps are.
 */
import { readFileSync } from "node:fs";
import test from "ava";
import { ipOptions } from "../../../src/ip-options.ts";
import {
  accept4, AF_INET, bind, close, connect, getsockopt, listen, send, setsockopt, setsockoptBytes, SOCK_STREAM, SockaddrIn,
} from "../../../src/index.ts";
import { IN_DEV_ACCEPT_SOURCE_ROUTE, inDevGet } from "../../../src/stack/ipv4/devinet.ts";
import { ipRouteAdd } from "../../../src/stack/ipv4/fib-frontend.ts";
import { fibFlushCached } from "../../../src/stack/ipv4/fib-sync.ts";
import { EBADF } from "../../../src/uapi/errno.ts";
import { IP_OPTIONS } from "../../../src/uapi/in.ts";
import { SOL_IP } from "../../../src/uapi/socket.ts";
import { addressNumber, addressText } from "../../lib/frames.ts";
import { createLab, type Lab, type LabHost } from "../../lib/lab.ts";
import { checksum } from "./harness.ts";

type Step = [what: string, args: unknown[], answer: unknown];
type Case = [name: string, steps: Step[]];

const recorded = JSON.parse(readFileSync(new URL("linux-tcp-options.json", import.meta.url), "utf8")) as { kernel: string; cases: Case[] };

const ICMP = 1;
const TCP = 6;
const SYN = 2;
const PSH = 8;
const ACK = 16;
const PEER_ISN = 1_000_000;
/** Of the peer's segments. */
const WINDOW = 60_000;
const TIMESTAMP = 68;
const MASKED = 0x54545454;
const LOCAL_PORT = 5555;
/** net.ipv4 by the name of its field here. */
const SYSCTLS: Readonly<Record<string, string>> = Object.freeze({ tcp_syncookies: "tcpSyncookies", tcp_fastopen: "tcpFastopen" });

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "hex"));
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** IP options without the times in them. */
function masked(options: Uint8Array): string {
  const bytes = options.slice();
  for (let at = 0; at < bytes.length - 1 && bytes[at] !== 0;) {
    if (bytes[at] === 1) {
      at++;
      continue;
    }
    const size = bytes[at + 1]!;
    if (size < 2) break;
    if (bytes[at] === TIMESTAMP && size >= 4) {
      const step = (bytes[at + 3]! & 15) === 0 ? 4 : 8;
      for (let place = at + step; place < Math.min(at + size, bytes.length) - 3; place += step) {
        if (view(bytes).getUint32(place) !== 0) view(bytes).setUint32(place, MASKED);
      }
    }
    at += size;
  }
  return hex(bytes);
}

function ipPacket(protocol: number, payload: Uint8Array, options: Uint8Array, saddr: number, daddr: number): Uint8Array {
  const head = 20 + ((options.length + 3) & ~3);
  const packet = new Uint8Array(head + payload.length);
  const data = view(packet);
  packet.set([0x40 | (head >> 2), 0, 0, 0, 0, 7, 0, 0, 64, protocol]);
  data.setUint16(2, packet.length);
  data.setInt32(12, saddr);
  data.setInt32(16, daddr);
  packet.set(options, 20);
  data.setUint16(10, checksum(packet.subarray(0, head)));
  packet.set(payload, head);
  return packet;
}

function pseudoChecksum(saddr: number, daddr: number, segment: Uint8Array): number {
  const text = new Uint8Array(12 + segment.length);
  view(text).setInt32(0, saddr);
  view(text).setInt32(4, daddr);
  text[9] = TCP;
  view(text).setUint16(10, segment.length);
  text.set(segment, 12);
  return checksum(text);
}

/** The host of a case: its sockets, and what it has sent. */
class Host {
  private readonly lab: Lab;
  private readonly host: LabHost;
  private readonly fds: number[] = [];
  private readonly sent: Uint8Array[] = [];
  private last: Uint8Array = new Uint8Array(0);
  private readonly isns = new Map<string, number>();

  constructor(lab: Lab) {
    this.lab = lab;
    this.host = lab.host("a");
    const own = [this.host.mac.hi, this.host.mac.lo];
    lab.wire.observers.push((frame) => {
      const data = view(frame);
      const mine = data.getUint16(6) === own[0] && data.getInt32(8) === own[1];
      if (mine && data.getUint16(12) === 0x0800 && frame[23] !== 2) this.sent.push(frame.slice(14, 14 + data.getUint16(16)));
    });
  }

  /** A packet as linux-tcp-options.py tells of it; the checksums must be right, TCP's for where a source route ends. */
  private described(packet: Uint8Array): unknown {
    const head = (packet[0]! & 15) * 4;
    if (checksum(packet.subarray(0, head)) !== 0) throw new Error(`wrong header checksum: ${hex(packet)}`);
    if (packet[9] !== TCP) return `${packet[9]!} ${packet[head]!} ${packet[head + 1]!}`;
    const ip = view(packet);
    const segment = packet.subarray(head);
    const tcp = view(segment);
    const [sport, dport, flags, own] = [tcp.getUint16(0), tcp.getUint16(2), segment[13]!, (segment[12]! >> 4) * 4];
    const options = packet.subarray(20, head);
    if (pseudoChecksum(ip.getInt32(12), finalDestination(ip.getInt32(16), options), segment) !== 0) throw new Error(`wrong checksum: ${hex(packet)}`);
    const key = `${sport}>${dport}`;
    if ((flags & SYN) !== 0) this.isns.set(key, tcp.getInt32(4));
    const mss = segment[20] === 2 && own > 20 ? tcp.getUint16(22) : 0;
    const ack = (flags & ACK) !== 0 ? (tcp.getInt32(8) - PEER_ISN) >>> 0 : 0;
    const name = `${addressText(ip.getInt32(12))}>${addressText(ip.getInt32(16))}`;
    const seq = (tcp.getInt32(4) - (this.isns.get(key) ?? 0)) >>> 0;
    return [name, key, flags & ~PSH, seq, ack, masked(options), mss, segment.length - own];
  }

  private heard(ms = 0): unknown[] {
    this.lab.runFor(ms);
    const packets = this.sent.splice(0);
    this.last = packets.at(-1) ?? this.last;
    return packets.map((packet) => this.described(packet));
  }

  private arrive(packet: Uint8Array): unknown[] {
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
    return this.heard(5);
  }

  act([what, args]: Step): unknown {
    const fd = this.fds[args[0] as number] ?? -EBADF;
    if (fd < 0 && ["accept", "set", "get", "options", "send", "close"].includes(what)) return fd;
    switch (what) {
      case "open":
        this.fds.push(this.host.socket(AF_INET, SOCK_STREAM));
        return 0;
      case "listen": return bind(fd, new SockaddrIn(0, args[1] as number)) || listen(fd, 8);
      case "accept": return this.accept(fd);
      case "connect": return [this.connect(fd, args[1] as string, args[2] as number), this.heard(5)];
      case "set": return [this.set(fd, args[1] as number, args[2] as number, args[3] as number | string), this.heard(5)];
      case "get": return this.get(fd, args[1] as number, args[2] as number);
      case "options": return this.options(fd);
      case "send": return [send(fd, new Uint8Array(args[1] as number), 0, args[1] as number, 0), this.heard(5)];
      case "close": {
        const err = close(fd);
        return err < 0 ? err : this.heard(5);
      }
      case "sysctl": return this.sysctl(args[0] as string, args[1] as number);
      case "wait": return this.heard(args[0] as number);
      case "in": return this.segment(...(args as [number, number, number, number, number, string, string, number]));
      case "error": return this.error(args[0] as number, args[1] as number, args[2] as number);
      default: throw new Error(what);
    }
  }

  private accept(fd: number): number {
    const child = accept4(fd, null);
    if (child >= 0) this.fds.push(child);
    return Math.min(child, 0);
  }

  private connect(fd: number, address: string, port: number): number {
    return bind(fd, new SockaddrIn(0, LOCAL_PORT)) || connect(fd, new SockaddrIn(addressNumber(address), port));
  }

  private set(fd: number, level: number, name: number, value: number | string): number {
    return typeof value === "number" ? setsockopt(fd, level, name, value) : setsockoptBytes(fd, level, name, bytesOf(value));
  }

  private get(fd: number, level: number, name: number): number {
    const out = new Int32Array(1);
    const written = getsockopt(fd, level, name, out);
    return written < 0 ? written : out[0]!;
  }

  private options(fd: number): number | string {
    const out = new Uint8Array(40);
    const length = getsockopt(fd, SOL_IP, IP_OPTIONS, out);
    return length < 0 ? length : masked(out.subarray(0, length));
  }

  private sysctl(name: string, value: number): number {
    const { net, dev } = this.host;
    const field = SYSCTLS[name];
    if (field !== undefined) {
      Object.assign(net.ipv4, { [field]: value });
    } else {
      inDevGet(dev)!.switches |= IN_DEV_ACCEPT_SOURCE_ROUTE;
      net.ipv4.confAll |= IN_DEV_ACCEPT_SOURCE_ROUTE;
    }
    return 0;
  }

  private segment(
    sport: number, dport: number, flags: number, seq: number, ack: number, options: string, own: string, count: number,
  ): unknown[] {
    const tcpOptions = bytesOf(own);
    const header = 20 + tcpOptions.length;
    const segment = new Uint8Array(header + count);
    const data = view(segment);
    const isn = this.isns.get(`${dport}>${sport}`) ?? 0;
    data.setUint16(0, sport);
    data.setUint16(2, dport);
    data.setInt32(4, PEER_ISN + seq);
    data.setInt32(8, (flags & ACK) !== 0 ? isn + ack : 0);
    data.setUint16(12, (header << 10) | flags);
    data.setUint16(14, WINDOW);
    segment.set(tcpOptions, 20);
    const [saddr, daddr] = [this.lab.peer("p").addr, this.host.addr];
    data.setUint16(16, pseudoChecksum(saddr, daddr, segment));
    return this.arrive(ipPacket(TCP, segment, bytesOf(options), saddr, daddr));
  }

  private error(type: number, code: number, info: number): unknown[] {
    const quoted = this.last.subarray(0, 548);
    const message = new Uint8Array(8 + quoted.length);
    message.set([type, code]);
    view(message).setUint32(4, info);
    message.set(quoted, 8);
    view(message).setUint16(2, checksum(message));
    return this.arrive(ipPacket(ICMP, message, new Uint8Array(0), this.lab.peer("p").addr, this.host.addr));
  }
}

/** Where a packet goes in the end: the last hop of its source route, if it has one. */
function finalDestination(daddr: number, options: Uint8Array): number {
  for (let at = 0; at < options.length && options[at] !== 0; at += options[at] === 1 ? 1 : options[at + 1]!) {
    const kind = options[at];
    if ((kind === 131 || kind === 137) && options[at + 2]! < options[at + 1]!) return view(options).getInt32(at + options[at + 1]! - 4);
  }
  return daddr;
}

for (const [name, steps] of recorded.cases) {
  test.serial(`${name}: as Linux ${recorded.kernel}`, (t) => {
    const lab = createLab(t, { hosts: ["a"], peers: ["p", "gateway", "d", "e", "f", "g", "h", "i"], initcalls: [ipOptions] });
    const { net } = lab.host("a");
    const host = new Host(lab);
    ipRouteAdd(net, addressNumber("10.9.0.0"), 16, addressNumber("10.0.0.3"), 0);
    Object.assign(net.ipv4, { icmpRatelimit: 0, tcpTimestamps: 0, tcpSack: 0, tcpWindowScaling: 0, tcpInvalidRatelimitMs: 0, tcpEcn: 0, tcpEarlyRetrans: 0, tcpRecovery: 0 });
    for (const [at, step] of steps.entries()) {
      const [what, args, answer] = step;
      const ours = host.act(step);
      if (JSON.stringify(ours) !== JSON.stringify(answer)) t.deepEqual(ours, answer, `step ${at}: ${what} ${JSON.stringify(args)}`);
    }
    fibFlushCached(net);
    t.pass();
  });
}
