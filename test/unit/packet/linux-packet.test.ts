/** Calls on packet sockets drawn at random answer as Linux does, and the same frames are seen and sent: linux-packet.json, by linux-packet.py. */
import { readFileSync } from "node:fs";
import test from "ava";
import {
  bind, boot, close, getsockname, getsockopt, initNet, poolsInUse, recvfrom, sendto, setsockopt, setsockoptBytes, socket,
} from "../../../src/index.ts";
import { ethReceive } from "../../../src/netif/ethernet.ts";
import { devOpen, unregisterNetdev } from "../../../src/netif/dev.ts";
import { packet, SockaddrLl } from "../../../src/packet.ts";
import { EAGAIN } from "../../../src/uapi/errno.ts";
import { PACKET_STATISTICS } from "../../../src/uapi/if-packet.ts";
import { AF_PACKET, SOL_PACKET } from "../../../src/uapi/socket.ts";
import { fakeDevice, type FakeDevice, packet as frameOf } from "../netif/harness.ts";

type Frame = [protocol: number, device: number, hatype: number, kind: number, address: string, length: number];
type Seen = (Frame | number)[][];
type Call = [name: string, ...rest: unknown[]];
interface Recorded { readonly kernel: string; readonly sequences: readonly (readonly Call[])[] }

const recorded = JSON.parse(readFileSync(new URL("linux-packet.json", import.meta.url), "utf8")) as Recorded;
const LONGEST = 1700;
const OPTIONS = Object.freeze({
  preset: "small", socks: 12, files: 12, packetSocks: 6, packetMemberships: 32, buffers: 96, skbs: 192, rcvbufPackets: 64, initcalls: [packet],
} as const);
const buffer = new Uint8Array(LONGEST);
const from = new SockaddrLl();

function mac(hi: number, lo: number): string {
  return hi.toString(16).padStart(4, "0") + (lo >>> 0).toString(16).padStart(8, "0");
}

function address(protocol: number, ifindex: number, text = ""): SockaddrLl {
  const to = new SockaddrLl(protocol, ifindex);
  if (text !== "") {
    to.addrHi = parseInt(text.slice(0, 4), 16);
    to.addrLo = parseInt(text.slice(4), 16) | 0;
  }
  return to;
}

function bytes(head: string, length: number): Uint8Array {
  const all = new Uint8Array(LONGEST);
  all.set(Buffer.from(head, "hex"));
  return all.slice(0, length);
}

/** One sequence on a board of lo and t0. */
class Run {
  readonly dev: FakeDevice;
  readonly fds: number[] = [];

  constructor() {
    this.dev = fakeDevice("t0");
    initNet.register(this.dev);
    devOpen(this.dev);
  }

  seen(): Seen {
    initNet.poll();
    return this.fds.map((fd) => {
      const frames: (Frame | number)[] = [];
      for (;;) {
        const length = recvfrom(fd, buffer, 0, LONGEST, 0, from);
        if (length === -EAGAIN) return frames;
        frames.push(length < 0 ? length : [from.protocol, from.ifindex, from.hatype, from.pkttype, mac(from.addrHi, from.addrLo), length]);
      }
    });
  }

  out(): [number, string][] {
    initNet.poll();
    return this.dev.sent.splice(0).map((frame) => [frame.length, Buffer.from(frame.slice(0, 16)).toString("hex")]);
  }

  /** Does a call; what Linux's recording has of it in the end. */
  call([name, ...rest]: Call): unknown[] {
    const fd = this.fds[rest[0] as number]!;
    switch (name) {
      case "socket":
        this.fds.push(socket(AF_PACKET, rest[0] as number, rest[1] as number));
        return rest;
      case "send": {
        const [which, to, head, length] = rest as [number, [number, number, string] | null, string, number];
        const data = bytes(head, length);
        const answer = sendto(fd, data, 0, length, 0, to === null ? null : address(...to));
        return [which, to, head, length, answer, this.out(), this.seen()];
      }
      case "inject": {
        const [head, length] = rest as [string, number];
        ethReceive(frameOf(null, bytes(head, length), 2), this.dev);
        return [head, length, this.out(), this.seen()];
      }
      case "bind": {
        const [which, protocol, device] = rest as [number, number, number];
        return [which, protocol, device, bind(fd, address(protocol, device)), this.seen()];
      }
      case "name": {
        getsockname(fd, from);
        return [rest[0], [from.protocol, from.ifindex, from.hatype, from.pkttype, from.halen, from.halen === 0 ? "" : mac(from.addrHi, from.addrLo)]];
      }
      case "member": {
        const [which, option, device, kind, group] = rest as [number, number, number, number, string];
        const to = address(0, 0, group);
        const answer = setsockoptBytes(fd, SOL_PACKET, option, Int32Array.of(device, kind, to.addrHi, to.addrLo));
        return [which, option, device, kind, group, answer, [this.dev.promiscuity, this.dev.allmulti]];
      }
      case "statistics": {
        const out = new Int32Array(2);
        getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, out);
        return [rest[0], [...out]];
      }
      case "option": {
        const [which, option, value] = rest as [number, number, number];
        const answer = setsockopt(fd, SOL_PACKET, option, value);
        const out = new Int32Array(1);
        getsockopt(fd, SOL_PACKET, option, out);
        return [which, option, value, answer, out[0]];
      }
      default:
        for (const open of this.fds) close(open);
        return [[this.dev.promiscuity, this.dev.allmulti]];
    }
  }
}

test.serial(`${recorded.sequences.length} sequences of calls: the answers of Linux ${recorded.kernel}, and its frames`, (t) => {
  let frames = 0;
  boot(OPTIONS);
  const inUse = poolsInUse();
  for (const [number, sequence] of recorded.sequences.entries()) {
    boot(OPTIONS);
    const run = new Run();
    for (const [at, call] of sequence.entries()) {
      const ours = run.call(call);
      if (JSON.stringify(ours) !== JSON.stringify(call.slice(1))) {
        t.deepEqual(ours, call.slice(1), `sequence ${number}, call ${at}: ${JSON.stringify(sequence.slice(0, at + 1).map((one) => one.slice(0, 6)))}`);
        return;
      }
      if (call[0] === "send" || call[0] === "inject") frames += (call.at(-1) as Seen).flat().length;
    }
    unregisterNetdev(run.dev);
    initNet.poll();
    t.is(poolsInUse(), inUse);
  }
  t.log(`${frames} frames seen`);
});
