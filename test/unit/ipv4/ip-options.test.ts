/** IP options: filled in, echoed, refused, followed, and those of a socket. What Linux does with hundreds of them is interop's. */
import test from "ava";
import fc from "fast-check";
import { ipOptions as part } from "../../../src/ip-options.ts";
import type { Config } from "../../../src/config.ts";
import { runTimers } from "../../../src/lib/timer.ts";
import { memView, mem8 } from "../../../src/lib/memory.ts";
import type { DeviceTap, NetDevice } from "../../../src/stack/core/net-device.ts";
import { IN_DEV_ACCEPT_SOURCE_ROUTE, inDevGet, inetAddAddress } from "../../../src/stack/ipv4/devinet.ts";
import { bind, close, getsockopt, recvfrom, sendto, setsockoptBytes, SockaddrIn } from "../../../src/stack/socket/index.ts";
import {
  SKB_DROP_REASON_IP_INHDR, SKB_DROP_REASON_IP_INVALID_SOURCE,
} from "../../../src/uapi/drop-reason.ts";
import { EINVAL, EMSGSIZE, ENOBUFS } from "../../../src/uapi/errno.ts";
import { IP_OPTIONS } from "../../../src/uapi/in.ts";
import { MSG_MORE, SOCK_DGRAM, SOL_IP } from "../../../src/uapi/socket.ts";
import {
  addDevice, addLoopback, bootIpv4, checksum, drops, icmpMessage, initNet, ip, ipPacket, receive, shutdownIpv4, type TestDevice,
} from "./harness.ts";
import { a, ADDR_A, ADDR_B, b, bootHosts, devA, finish, open, turn } from "./two-hosts.ts";

const LOCAL = ip("10.0.0.1");
const SECOND = ip("10.0.0.2");
const PEER = ip("10.0.0.9");
const OTHER = ip("198.51.100.7");

let eth: TestDevice;

function start(): void {
  bootIpv4();
  part.init({ ipOptionSocks: 1 } as Config);
  addLoopback();
  eth = addDevice("eth0");
  inetAddAddress(initNet, eth, LOCAL, 24);
  inetAddAddress(initNet, eth, SECOND, 24);
  initNet.ipv4.icmpRatelimit = 0;
}

function bytesOf(addr: number): number[] {
  return [24, 16, 8, 0].map((shift) => (addr >> shift) & 255);
}

function ping(options: readonly number[], daddr = LOCAL): Uint8Array | undefined {
  const padded = Uint8Array.from([...options, 0, 0, 0].slice(0, (options.length + 3) & ~3));
  receive(eth, ipPacket({ saddr: PEER, daddr, protocol: 1, options: padded, payload: icmpMessage(8, 0, 1, new Uint8Array(4)) }));
  const answer = eth.sent.pop();
  eth.sent.length = 0;
  return answer;
}

/** Options of a packet whose checksum is right. */
function optionsOf(packet: Uint8Array): number[] {
  const header = (packet[0]! & 15) * 4;
  if (checksum(packet.subarray(0, header)) !== 0) throw new Error("checksum");
  return [...packet.subarray(20, header)];
}

test.serial("record route: both ways, until it is full", (t) => {
  start();
  t.deepEqual(optionsOf(ping([7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0])!), [7, 11, 12, ...bytesOf(LOCAL), ...bytesOf(LOCAL), 0]);
  t.deepEqual(optionsOf(ping([7, 7, 4, 0, 0, 0, 0])!), [7, 7, 8, ...bytesOf(LOCAL), 0]);
  t.deepEqual(optionsOf(ping([7, 7, 8, ...bytesOf(OTHER)])!), [7, 7, 8, ...bytesOf(OTHER), 0]);
  t.is(shutdownIpv4(), 0);
});

test.serial("timestamps are the board's milliseconds, marked as no time of day", (t) => {
  start();
  runTimers(0x1234);
  const time = bytesOf(0x1234 | (1 << 31));
  t.deepEqual(optionsOf(ping([68, 12, 5, 0, ...new Array<number>(8).fill(0)])!), [68, 12, 13, 0, ...time, ...time]);
  t.deepEqual(optionsOf(ping([68, 12, 5, 1, ...new Array<number>(8).fill(0)])!), [68, 12, 13, 0x11 - 0x10, ...bytesOf(LOCAL), ...time]);
  t.deepEqual(optionsOf(ping([68, 8, 9, 0, 1, 2, 3, 4])!), [68, 8, 9, 0x10, 1, 2, 3, 4], "one host more that had no room");
  t.is(shutdownIpv4(), 0);
});

test.serial("a fault is told of with its place", (t) => {
  start();
  const pointer = (options: number[]): number => {
    const answer = ping(options)!;
    const header = (answer[0]! & 15) * 4;
    t.is(answer[header], 12);
    return answer[header + 4]!;
  };
  t.is(pointer([7, 11, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0]), 22);
  t.is(pointer([1, 7, 2, 0]), 22);
  t.is(pointer([1, 1, 1, 99]), 23);
  t.is(pointer([68, 8, 9, 0xf0, 0, 0, 0, 0]), 23);
  t.deepEqual(drops, Array(4).fill(SKB_DROP_REASON_IP_INHDR));
  t.is(shutdownIpv4(), 0);
});

test.serial("source routes are refused; where a device accepts them, they lead on and their answers back", (t) => {
  start();
  const toSecond = [131, 7, 4, ...bytesOf(SECOND)];
  t.is(ping(toSecond), undefined);
  t.deepEqual(drops.splice(0), [SKB_DROP_REASON_IP_INVALID_SOURCE]);
  inDevGet(eth)!.switches |= IN_DEV_ACCEPT_SOURCE_ROUTE;
  const answer = ping(toSecond)!;
  t.is(new DataView(answer.buffer).getInt32(12), SECOND, "it answers as the last hop of the route");
  t.is(ping([137, 7, 4, ...bytesOf(OTHER)]), undefined, "on to a host beyond: not by a host that does not forward");
  const router = ip("10.0.0.50");
  const back = ping([131, 11, 12, ...bytesOf(OTHER), ...bytesOf(router)])!;
  t.is(new DataView(back.buffer).getInt32(16), router, "back by the hop it came from");
  t.deepEqual(optionsOf(back).slice(0, 7), [131, 11, 4, ...bytesOf(OTHER)]);
  t.deepEqual(optionsOf(back).slice(7, 11), bytesOf(PEER), "its end is whom it came from");
  t.is(shutdownIpv4(), 0);
});

test.serial("any bytes as options: nothing throws, nothing is lost, what is answered has right checksums", (t) => {
  start();
  inDevGet(eth)!.switches |= IN_DEV_ACCEPT_SOURCE_ROUTE;
  const option = fc.tuple(fc.constantFrom(7, 68, 131, 137, 148, 130, 0, 1, 99), fc.integer({ min: 0, max: 20 }), fc.uint8Array({ maxLength: 12 }))
    .map(([kind, length, rest]) => [kind, length, ...rest]);
  fc.assert(fc.property(fc.array(option, { minLength: 1, maxLength: 4 }).map((list) => list.flat().slice(0, 40)), (options) => {
    const answer = ping(options);
    if (answer !== undefined) optionsOf(answer);
  }), { numRuns: 1000 });
  t.is(shutdownIpv4(), 0);
});

/** Headers of the IP packets that leave. */
function watch(dev: NetDevice): Uint8Array[] {
  const seen: Uint8Array[] = [];
  dev.taps = {
    nextTap: null,
    see(skb, outgoing) {
      const at = skb.mac + 14;
      if (outgoing && memView.getUint16(skb.mac + 12) === 0x0800) seen.push(mem8.slice(at, at + (mem8[at]! & 15) * 4));
    },
  } satisfies DeviceTap;
  return seen;
}

test.serial("IP_OPTIONS of a datagram socket: on every packet, readable as set, taken away, and gone with the socket", (t) => {
  bootHosts({ initcalls: [part], ipOptionSocks: 1 });
  const server = open(b, SOCK_DGRAM);
  bind(server, new SockaddrIn(0, 7));
  const fd = open(a, SOCK_DGRAM);
  const rr = Uint8Array.of(7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0);
  t.is(setsockoptBytes(fd, SOL_IP, IP_OPTIONS, rr), 0);
  const out = new Uint8Array(40);
  t.is(getsockopt(fd, SOL_IP, IP_OPTIONS, out), 12);
  t.deepEqual([...out.subarray(0, 12)], [...rr, 0]);
  const seen = watch(devA);
  const to = new SockaddrIn(ADDR_B, 7);
  t.is(sendto(fd, new Uint8Array(100), 0, 100, 0, to), 100);
  turn();
  t.deepEqual([...seen.pop()!.subarray(20)], [7, 11, 8, ...bytesOf(ADDR_A), 0, 0, 0, 0, 0]);
  t.is(recvfrom(server, out, 0, 40, 0, null), 40);
  t.is(sendto(fd, new Uint8Array(1472), 0, 1461, 0, to), -EMSGSIZE, "options take room of the MTU");
  t.is(sendto(fd, new Uint8Array(1472), 0, 1460, 0, to), 1460);
  const second = open(a, SOCK_DGRAM);
  t.is(setsockoptBytes(second, SOL_IP, IP_OPTIONS, rr), -ENOBUFS);
  t.is(setsockoptBytes(fd, SOL_IP, IP_OPTIONS, new Uint8Array(0)), 0);
  t.is(getsockopt(fd, SOL_IP, IP_OPTIONS, out), 0);
  t.is(setsockoptBytes(second, SOL_IP, IP_OPTIONS, rr), 0);
  close(second);
  t.is(setsockoptBytes(fd, SOL_IP, IP_OPTIONS, rr), 0);
  t.is(setsockoptBytes(fd, SOL_IP, IP_OPTIONS, Uint8Array.of(7, 2)), -EINVAL);
  t.is(setsockoptBytes(fd, SOL_IP, IP_OPTIONS, new Uint8Array(41)), -EINVAL);
  turn();
  finish(t);
});

test.serial("a gathering datagram has the options that there was room for when it began", (t) => {
  bootHosts({ initcalls: [part] });
  const seen = watch(devA);
  const fd = open(a, SOCK_DGRAM);
  const to = new SockaddrIn(ADDR_B, 7);
  const rr = Uint8Array.of(7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  const sendInTwo = (between: () => void): number => {
    sendto(fd, new Uint8Array(10), 0, 10, MSG_MORE, to);
    between();
    sendto(fd, new Uint8Array(10), 0, 10, 0, to);
    turn();
    return seen.pop()!.length;
  };
  t.is(sendInTwo(() => setsockoptBytes(fd, SOL_IP, IP_OPTIONS, rr)), 20, "no room for options that came later");
  t.is(sendInTwo(() => 0), 32);
  t.is(sendInTwo(() => setsockoptBytes(fd, SOL_IP, IP_OPTIONS, rr.slice(0, 8).fill(7, 1, 2))), 28);
  t.is(sendInTwo(() => setsockoptBytes(fd, SOL_IP, IP_OPTIONS, new Uint8Array(0))), 20);
  finish(t);
});

test.serial("a socket's source route: sent to its first hop, the destination at its end", (t) => {
  bootHosts({ initcalls: [part] });
  const fd = open(a, SOCK_DGRAM);
  const lsrr = Uint8Array.of(131, 7, 4, ...bytesOf(ADDR_B));
  t.is(setsockoptBytes(fd, SOL_IP, IP_OPTIONS, lsrr), 0);
  const out = new Uint8Array(40);
  t.is(getsockopt(fd, SOL_IP, IP_OPTIONS, out), 8);
  t.deepEqual(out.subarray(0, 7), lsrr);
  const seen = watch(devA);
  t.is(sendto(fd, out, 0, 10, 0, new SockaddrIn(OTHER, 7)), 10);
  turn();
  const header = seen.pop()!;
  t.is(new DataView(header.buffer).getInt32(16), ADDR_B);
  t.deepEqual([...header.subarray(20)], [131, 7, 4, ...bytesOf(OTHER), 0]);
  finish(t);
});
