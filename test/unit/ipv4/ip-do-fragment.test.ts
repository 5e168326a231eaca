/** Datagrams longer than the path takes, between two hosts: in pieces, put together again, or refused. */
import test from "ava";
import fc from "fast-check";
import { fragments } from "../../../src/fragments.ts";
import { mem8, memView } from "../../../src/lib/memory.ts";
import { devSetMtu } from "../../../src/netif/dev.ts";
import type { DeviceTap, NetDevice } from "../../../src/stack/core/net-device.ts";
import type { Net } from "../../../src/stack/core/net.ts";
import {
  bind, connect, recvfrom, send, sendto, setsockopt, SockaddrIn,
} from "../../../src/stack/socket/index.ts";
import { EAGAIN, EMSGSIZE, ENOBUFS } from "../../../src/uapi/errno.ts";
import { IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_PMTUDISC_DONT, IP_PMTUDISC_WANT } from "../../../src/uapi/in.ts";
import {
  IPSTATS_MIB_FRAGCREATES, IPSTATS_MIB_FRAGFAILS, IPSTATS_MIB_FRAGOKS, IPSTATS_MIB_OUTOCTETS, IPSTATS_MIB_OUTPKTS,
  IPSTATS_MIB_REASMOKS,
} from "../../../src/uapi/snmp.ts";
import { MSG_MORE, SO_RCVBUF, SO_SNDBUF, SOCK_DGRAM, SOL_IP, SOL_SOCKET } from "../../../src/uapi/socket.ts";
import { a, ADDR_B, b, bootHosts, devA, devB, finish, open, turn } from "./two-hosts.ts";

const LONG = 40_000;
const PORT = 7;
const LO = 0x7f000001;
const into = new Uint8Array(65536);
const from = new SockaddrIn();
/** As many buffers as it takes for an eighth of them, which may wait for an address, to be a datagram. */
const OPTIONS = { initcalls: [fragments], buffers: 256, skbs: 512 };

function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 255);
}

function server(net: Net): number {
  const fd = open(net, SOCK_DGRAM);
  bind(fd, new SockaddrIn(0, PORT));
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, 200_000);
  return fd;
}

/** Fragment words and lengths of the IP packets that leave. */
function watch(dev: NetDevice): { id: number; word: number; length: number }[] {
  const seen: { id: number; word: number; length: number }[] = [];
  dev.taps = {
    nextTap: null,
    see(skb, outgoing) {
      const ip = skb.mac + 14;
      if (!outgoing || memView.getUint16(skb.mac + 12) !== 0x0800) return;
      seen.push({ id: memView.getUint16(ip + 4), word: memView.getUint16(ip + 6), length: mem8[ip + 2]! * 256 + mem8[ip + 3]! });
    },
  } satisfies DeviceTap;
  return seen;
}

function exchange(t: { is(a: unknown, b: unknown): void; deepEqual(a: unknown, b: unknown): void }, client: number, at: number, data: Uint8Array): void {
  t.is(send(client, data, 0, data.length, 0), data.length);
  turn();
  const got = recvfrom(at, into, 0, into.length, 0, from);
  t.is(got, data.length);
  t.deepEqual(into.subarray(0, got), data);
}

test.serial("40,000 bytes of UDP go in 28 pieces and come whole, and back", (t) => {
  bootHosts(OPTIONS);
  const at = server(b);
  const client = open(a, SOCK_DGRAM);
  connect(client, new SockaddrIn(ADDR_B, PORT));
  const data = pattern(LONG);
  const seen = watch(devA);
  const [packets, octets] = [a.mib[IPSTATS_MIB_OUTPKTS]!, a.mib[IPSTATS_MIB_OUTOCTETS]!];
  exchange(t, client, at, data);
  t.is(a.mib[IPSTATS_MIB_OUTPKTS]! - packets, 1, "one packet of IP");
  t.is(a.mib[IPSTATS_MIB_OUTOCTETS]! - octets, LONG + 28);
  t.is(a.mib[IPSTATS_MIB_FRAGCREATES], 28);
  t.is(a.mib[IPSTATS_MIB_FRAGOKS], 1);
  t.is(b.mib[IPSTATS_MIB_REASMOKS], 1);
  t.is(seen.length, 28);
  t.is(new Set(seen.map(({ id }) => id)).size, 1);
  t.deepEqual(seen.map(({ word }) => word), seen.map((_, i) => i * 185 + (i < 27 ? 0x2000 : 0)));
  setsockopt(at, SOL_SOCKET, SO_SNDBUF, 200_000);
  setsockopt(client, SOL_SOCKET, SO_RCVBUF, 200_000);
  t.is(sendto(at, data, 0, LONG, 0, from), LONG);
  turn();
  t.is(recvfrom(client, into, 0, into.length, 0, null), LONG);
  finish(t);
});

test.serial("over loopback the same", (t) => {
  bootHosts(OPTIONS);
  const at = server(a);
  const client = open(a, SOCK_DGRAM);
  connect(client, new SockaddrIn(LO, PORT));
  exchange(t, client, at, pattern(LONG));
  finish(t);
});

test.serial("any length, by any MTU: what comes is what was sent", (t) => {
  bootHosts(OPTIONS);
  const at = server(b);
  const client = open(a, SOCK_DGRAM);
  connect(client, new SockaddrIn(ADDR_B, PORT));
  // Who is resolved may be sent more at once.
  exchange(t, client, at, pattern(1));
  const lengths = fc.oneof(fc.integer({ min: 0, max: 3000 }), fc.integer({ min: 0, max: 30_000 }));
  fc.assert(
    fc.property(lengths, fc.integer({ min: 576, max: 1500 }), (length, mtu) => {
      devSetMtu(devA, mtu);
      exchange(t, client, at, pattern(length));
    }),
    { numRuns: 60 },
  );
  finish(t);
});

test.serial("gathered by MSG_MORE, a datagram may grow over the MTU", (t) => {
  bootHosts(OPTIONS);
  const at = server(b);
  const client = open(a, SOCK_DGRAM);
  connect(client, new SockaddrIn(ADDR_B, PORT));
  devSetMtu(devA, 1003);
  const data = pattern(5000);
  let done = 0;
  for (const part of [975, 1, 24, 2000, 0, 1500]) {
    t.is(send(client, data, done, part, MSG_MORE), part);
    done += part;
  }
  t.is(send(client, data, done, 500, 0), 500);
  turn();
  t.is(recvfrom(at, into, 0, into.length, 0, null), 5000);
  t.deepEqual(into.subarray(0, 5000), data);
  finish(t);
});

test.serial("IP_MTU_DISCOVER: a socket that wants DF gets -EMSGSIZE", (t) => {
  bootHosts(OPTIONS);
  const client = open(a, SOCK_DGRAM);
  const to = new SockaddrIn(ADDR_B, PORT);
  for (const [mode, answer] of [[IP_PMTUDISC_DO, -EMSGSIZE], [IP_PMTUDISC_WANT, 3000], [IP_PMTUDISC_DONT, 3000]] as const) {
    setsockopt(client, SOL_IP, IP_MTU_DISCOVER, mode);
    t.is(sendto(client, into, 0, 3000, 0, to), answer);
    turn();
  }
  const seen = watch(devA);
  t.is(sendto(client, into, 0, 100, 0, to), 100);
  turn();
  t.is(seen[0]!.word, 0, "DONT sets no DF");
  finish(t);
});

test.serial("without the part nothing is split", (t) => {
  bootHosts();
  const client = open(a, SOCK_DGRAM);
  t.is(sendto(client, into, 0, 3000, 0, new SockaddrIn(ADDR_B, PORT)), -EMSGSIZE);
  finish(t);
});

test.serial("more than twice the send buffer is refused, and so is more than there is memory", (t) => {
  bootHosts({ ...OPTIONS, buffers: 64, skbs: 128 });
  const client = open(a, SOCK_DGRAM);
  const to = new SockaddrIn(ADDR_B, PORT);
  sendto(client, into, 0, 1, 0, to);
  turn();
  setsockopt(client, SOL_SOCKET, SO_SNDBUF, 4096);
  t.is(sendto(client, into, 0, LONG, 0, to), -ENOBUFS);
  setsockopt(client, SOL_SOCKET, SO_SNDBUF, 400_000);
  t.is(sendto(client, into, 0, 65507, 0, to), 65507, "45 of the 64 buffers");
  t.is(sendto(client, into, 0, 65507, 0, to), -ENOBUFS);
  turn();
  finish(t);
});

test.serial("a piece that is lost is the datagram's end; the rest is given back after 30 s", (t) => {
  bootHosts(OPTIONS);
  const at = server(b);
  const client = open(a, SOCK_DGRAM);
  connect(client, new SockaddrIn(ADDR_B, PORT));
  const start = devA.ops.ndoStartXmit;
  let sent = 0;
  devA.ops = { ...devA.ops, ndoStartXmit: (skb, dev) => start(skb, ++sent === 3 ? Object.assign(Object.create(dev) as NetDevice, { peer: null }) : dev) };
  t.is(send(client, into, 0, LONG, 0), LONG);
  turn();
  t.is(recvfrom(at, into, 0, into.length, 0, null), -EAGAIN);
  t.is(a.mib[IPSTATS_MIB_FRAGFAILS], 0);
  turn(31_000);
  finish(t);
});

test.serial("a chain that a device with another MTU cannot send as it is, is copied", (t) => {
  bootHosts(OPTIONS);
  const at = server(b);
  const client = open(a, SOCK_DGRAM);
  connect(client, new SockaddrIn(ADDR_B, PORT));
  const data = pattern(10_000);
  t.is(send(client, data, 0, 9000, MSG_MORE), 9000);
  devSetMtu(devA, 700);
  const seen = watch(devA);
  t.is(send(client, data, 9000, 1000, 0), 1000);
  turn();
  t.true(seen.every(({ length }) => length <= 700) && seen.length >= 15, `${seen.length}`);
  t.is(recvfrom(at, into, 0, into.length, 0, null), 10_000);
  t.deepEqual(into.subarray(0, 10_000), data);
  t.is(devB.stats.rxDropped, 0);
  finish(t);
});
