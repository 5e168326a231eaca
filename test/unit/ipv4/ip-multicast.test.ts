/** Packets to groups: who hears them, where they go, and source filters against a naive model. */
import test from "ava";
import fc from "fast-check";
import { igmp } from "../../../src/igmp.ts";
import { mem8 } from "../../../src/lib/memory.ts";
import { raw } from "../../../src/raw.ts";
import type { DeviceTap } from "../../../src/stack/core/net-device.ts";
import { skbDropCount } from "../../../src/stack/core/skbuff.ts";
import { bind, close, connect, recvfrom, sendto, setsockopt, setsockoptBytes, SockaddrIn } from "../../../src/stack/socket/index.ts";
import { SKB_DROP_REASON_IP_INVALID_DEST } from "../../../src/uapi/drop-reason.ts";
import { EADDRNOTAVAIL, EAGAIN, ENETUNREACH, ENOPROTOOPT } from "../../../src/uapi/errno.ts";
import {
  IP_ADD_MEMBERSHIP, IP_ADD_SOURCE_MEMBERSHIP, IP_BLOCK_SOURCE, IP_DROP_MEMBERSHIP, IP_MSFILTER, IP_MULTICAST_ALL, IP_MULTICAST_IF,
  IP_MULTICAST_LOOP, IP_MULTICAST_TTL, IPPROTO_UDP, MCAST_EXCLUDE, MCAST_INCLUDE,
} from "../../../src/uapi/in.ts";
import { UDP_MIB_IGNOREDMULTI } from "../../../src/uapi/snmp.ts";
import { SO_REUSEADDR, SOCK_DGRAM, SOCK_RAW, SOL_IP, SOL_SOCKET } from "../../../src/uapi/socket.ts";
import { addressNumber, addressText, ascii } from "../../lib/frames.ts";
import { igmpText, igmpv3Query, PROTO_IGMP } from "../../lib/igmp.ts";
import { createLab } from "../../lib/lab.ts";
import { a, ADDR_A, ADDR_B, b, bootHosts, devA, finish, open, turn } from "./two-hosts.ts";

const G = addressNumber("239.1.1.1");
const H = addressNumber("239.1.1.2");
const PORT = 5000;
const buffer = new Uint8Array(2048);
const from = new SockaddrIn();

function start(): void {
  bootHosts({ initcalls: [igmp, raw] });
}

function join(fd: number, group: number, addr: number): number {
  return setsockoptBytes(fd, SOL_IP, IP_ADD_MEMBERSHIP, Int32Array.of(group, addr));
}

function listener(net: typeof a, addr = 0, port = PORT): number {
  const fd = open(net, SOCK_DGRAM);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  const err = bind(fd, new SockaddrIn(addr, port));
  if (err < 0) throw new Error(`bind: ${err}`);
  return fd;
}

function sender(): number {
  const fd = open(a, SOCK_DGRAM);
  setsockopt(fd, SOL_IP, IP_MULTICAST_IF, ADDR_A);
  return fd;
}

function say(fd: number, text: string, group = G): number {
  const sent = sendto(fd, ascii(text), 0, text.length, 0, new SockaddrIn(group, PORT));
  turn();
  return sent;
}

/** All that waits, in one text. */
function heard(fd: number): string {
  let text = "";
  for (;;) {
    const n = recvfrom(fd, buffer, 0, buffer.length, 0, from);
    if (n < 0) return text;
    text += Buffer.from(buffer.subarray(0, n)).toString("latin1");
  }
}

/** TTLs of the UDP packets that leave by a's eth0. */
function tapTtls(): number[] {
  const ttls: number[] = [];
  const tap: DeviceTap = {
    nextTap: null,
    see(skb, outgoing) {
      if (outgoing && mem8[skb.mac + 12] === 8 && mem8[skb.mac + 13] === 0 && mem8[skb.mac + 23] === IPPROTO_UDP) ttls.push(mem8[skb.mac + 22]!);
    },
  };
  devA.taps = tap;
  return ttls;
}

test.serial("without the part there are no memberships, and no options of multicast", (t) => {
  bootHosts();
  const fd = open(a, SOCK_DGRAM);
  t.is(join(fd, G, ADDR_A), -ENOPROTOOPT);
  t.is(setsockopt(fd, SOL_IP, IP_MULTICAST_TTL, 3), -ENOPROTOOPT);
  finish(t);
});

test.serial("a packet to a group goes to every socket that hears it: joined, bound to the group, or to all groups", (t) => {
  start();
  const fd = sender();
  const joined = listener(b);
  t.is(say(fd, "early"), 5);
  t.is(heard(joined), "", "no member yet");
  t.true(skbDropCount(SKB_DROP_REASON_IP_INVALID_DEST) > 0);
  t.is(join(joined, G, ADDR_B), 0);
  const hears = listener(b);
  const deaf = listener(b);
  t.is(setsockopt(deaf, SOL_IP, IP_MULTICAST_ALL, 0), 0);
  const bound = listener(b, G);
  const elsewhere = listener(b, H);
  const otherPort = listener(b, 0, PORT + 1);
  const picky = listener(b);
  t.is(setsockoptBytes(picky, SOL_IP, IP_ADD_SOURCE_MEMBERSHIP, Int32Array.of(G, ADDR_B, ADDR_A + 7)), 0);
  const blocking = listener(b);
  join(blocking, G, ADDR_B);
  t.is(setsockoptBytes(blocking, SOL_IP, IP_BLOCK_SOURCE, Int32Array.of(G, ADDR_B, ADDR_A)), 0);
  t.is(say(fd, "x"), 1);
  t.deepEqual([joined, hears, deaf, bound, elsewhere, otherPort, picky, blocking].map(heard), ["x", "x", "", "x", "", "", "", ""]);
  t.is(from.addr, ADDR_A);
  t.is(setsockoptBytes(joined, SOL_IP, IP_DROP_MEMBERSHIP, Int32Array.of(G, ADDR_B)), 0);
  close(blocking);
  close(picky);
  say(fd, "y");
  t.is(heard(joined), "", "nobody is a member any more");
  finish(t, 5000);
});

test.serial("what nobody on this host listens to is counted and nothing is sent back", (t) => {
  start();
  const member = listener(b, 0, PORT + 1);
  join(member, G, ADDR_B);
  const ignored = b.mib[UDP_MIB_IGNOREDMULTI]!;
  const fd = sender();
  connect(fd, new SockaddrIn(G, PORT));
  say(fd, "x");
  t.is(b.mib[UDP_MIB_IGNOREDMULTI]! - ignored, 1);
  t.is(recvfrom(fd, buffer, 0, 10, 0, null), -EAGAIN);
  finish(t, 5000);
});

test.serial("raw sockets hear groups by the same rules", (t) => {
  start();
  const all = open(b, SOCK_RAW, IPPROTO_UDP);
  const deaf = open(b, SOCK_RAW, IPPROTO_UDP);
  setsockopt(deaf, SOL_IP, IP_MULTICAST_ALL, 0);
  const joined = open(b, SOCK_RAW, IPPROTO_UDP);
  setsockopt(joined, SOL_IP, IP_MULTICAST_ALL, 0);
  t.is(join(joined, G, ADDR_B), 0);
  say(sender(), "x");
  t.deepEqual([all, deaf, joined].map((fd) => heard(fd).length), [29, 0, 29]);
  finish(t, 5000);
});

test.serial("the sender's own host hears it too unless IP_MULTICAST_LOOP is off; TTL 1 unless the program says otherwise", (t) => {
  start();
  const fd = sender();
  const here = listener(a);
  const there = listener(b);
  join(here, G, ADDR_A);
  join(there, G, ADDR_B);
  const ttls = tapTtls();
  say(fd, "1");
  setsockopt(fd, SOL_IP, IP_MULTICAST_LOOP, 0);
  setsockopt(fd, SOL_IP, IP_MULTICAST_TTL, 64);
  say(fd, "2");
  setsockopt(fd, SOL_IP, IP_MULTICAST_LOOP, 1);
  setsockopt(fd, SOL_IP, IP_MULTICAST_TTL, 0);
  say(fd, "3");
  setsockopt(fd, SOL_IP, IP_MULTICAST_TTL, -1);
  say(fd, "4");
  t.is(heard(here), "134");
  t.is(heard(there), "124");
  t.deepEqual(ttls, [1, 64, 1], "TTL 0 does not leave the host");
  finish(t, 5000);
});

test.serial("without a route or IP_MULTICAST_IF there is no way to a group; another host's address is none", (t) => {
  start();
  const fd = open(a, SOCK_DGRAM);
  t.is(say(fd, "x"), -ENETUNREACH);
  t.is(setsockopt(fd, SOL_IP, IP_MULTICAST_IF, ADDR_B), -EADDRNOTAVAIL);
  const bound = listener(a, ADDR_A, PORT + 1);
  const there = listener(b);
  join(there, G, ADDR_B);
  t.is(say(bound, "y"), 1, "the address bound to says by which device");
  t.is(heard(there), "y");
  finish(t, 5000);
});

/** What a socket asks for: nothing, or a mode and sources. */
type Filter = { readonly mode: number; readonly sources: readonly number[] } | null;

const SOURCES = ["10.0.0.11", "10.0.0.12", "10.0.0.13"].map(addressNumber);
const SOCKETS = 3;

/** RFC 3376 section 3.2: what a device asks for, from what all sockets ask for. */
function deviceFilter(filters: readonly Filter[]): Filter {
  const asked = filters.filter((filter) => filter !== null);
  if (asked.length === 0) return null;
  const including = asked.filter(({ mode }) => mode === MCAST_INCLUDE).flatMap(({ sources }) => sources);
  const excluding = asked.filter(({ mode }) => mode === MCAST_EXCLUDE);
  if (excluding.length === 0) return { mode: MCAST_INCLUDE, sources: SOURCES.filter((s) => including.includes(s)) };
  const sources = SOURCES.filter((s) => excluding.every((filter) => filter.sources.includes(s)) && !including.includes(s));
  return { mode: MCAST_EXCLUDE, sources };
}

function accepts(filter: Filter, source: number): boolean {
  return filter !== null && (filter.mode === MCAST_INCLUDE) === filter.sources.includes(source);
}

const change = fc.record({
  socket: fc.nat({ max: SOCKETS - 1 }),
  filter: fc.option(fc.record({ mode: fc.constantFrom(MCAST_INCLUDE, MCAST_EXCLUDE), sources: fc.subarray(SOURCES) })),
});

test.serial("after any changes the device's filter, its reports and who hears which source are as RFC 3376 has them", (t) => {
  const lab = createLab(t, { hosts: ["a"], peers: ["p"], initcalls: [igmp] });
  const host = lab.host("a");
  const peer = lab.peer("p");
  const ask = (fd: number, filter: Filter): void => {
    const fields = Int32Array.of(G, host.addr);
    setsockoptBytes(fd, SOL_IP, IP_DROP_MEMBERSHIP, fields);
    if (filter === null || (filter.mode === MCAST_INCLUDE && filter.sources.length === 0)) return;
    setsockoptBytes(fd, SOL_IP, IP_ADD_MEMBERSHIP, fields);
    setsockoptBytes(fd, SOL_IP, IP_MSFILTER, Int32Array.of(...fields, filter.mode, filter.sources.length, ...filter.sources));
  };
  const report = (filter: Filter): string[] => {
    if (filter === null) return [];
    return [[filter.mode === MCAST_EXCLUDE ? "IS_EX" : "IS_IN", addressText(G), ...filter.sources.map(addressText)].join(" ")];
  };
  fc.assert(fc.property(fc.array(change, { maxLength: 12 }), (changes) => {
    const fds = Array.from({ length: SOCKETS }, () => {
      const fd = host.socket(2, SOCK_DGRAM);
      setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, 1);
      setsockopt(fd, SOL_IP, IP_MULTICAST_ALL, 0);
      bind(fd, new SockaddrIn(0, PORT));
      return fd;
    });
    const filters: Filter[] = fds.map(() => null);
    for (const { socket: index, filter } of changes) {
      const none = filter !== null && filter.mode === MCAST_INCLUDE && filter.sources.length === 0;
      filters[index] = none ? null : filter;
      ask(fds[index]!, filter);
      lab.runFor(1);
    }
    const device = deviceFilter(filters);
    lab.runFor(5000);
    peer.drain();
    peer.sendIp(PROTO_IGMP, igmpv3Query({ code: 1 }), { daddr: addressNumber("224.0.0.1"), ttl: 1 });
    lab.runFor(200);
    t.deepEqual(peer.drain().map(igmpText), report(device));
    for (const source of SOURCES) {
      peer.sendUdp(1, PORT, ascii("x"), { saddr: source, daddr: G });
      lab.runFor(1);
      t.deepEqual(fds.map(heard), filters.map((filter) => (accepts(filter, source) && accepts(device, source) ? "x" : "")));
    }
    for (const fd of fds) close(fd);
    lab.runFor(5000);
    peer.drain();
  }), { numRuns: 60 });
  t.pass();
});
