/** Raw and ping sockets between two hosts: what is delivered to whom, headers of one's own, filters, errors, identifiers. */
import test from "ava";
import { mem8 } from "../../../src/lib/memory.ts";
import { arpTbl, neighParmsSet } from "../../../src/neighbours.ts";
import { ping, raw } from "../../../src/raw.ts";
import type { DeviceTap } from "../../../src/stack/core/net-device.ts";
import { sockfdLookup } from "../../../src/stack/socket/files.ts";
import {
  bind, close, connect, getpeername, getsockname, getsockopt, Msghdr, msgSetBuffer, recvfrom, recvmsg, sendto, setsockopt, shutdown,
  SockaddrIn,
} from "../../../src/stack/socket/index.ts";
import {
  EACCES, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, EAGAIN, EDESTADDRREQ, EHOSTUNREACH, EINVAL, EMSGSIZE, ENOPROTOOPT, ENOTCONN,
  ENOBUFS, EOPNOTSUPP, EPIPE, EPROTONOSUPPORT, ESOCKTNOSUPPORT,
} from "../../../src/uapi/errno.ts";
import { ICMP_ECHO, ICMP_ECHOREPLY, ICMP_FILTER } from "../../../src/uapi/icmp.ts";
import { IP_HDRINCL, IP_RECVERR, IP_TTL, IPPROTO_ICMP, IPPROTO_RAW, IPPROTO_UDP } from "../../../src/uapi/in.ts";
import { ICMP_MIB_OUTECHOS, IPSTATS_MIB_INUNKNOWNPROTOS } from "../../../src/uapi/snmp.ts";
import {
  AF_UNSPEC, MSG_ERRQUEUE, MSG_OOB, MSG_TRUNC, SHUT_RDWR, SO_BINDTODEVICE, SO_REUSEADDR, SO_SNDBUF, SOCK_DGRAM, SOCK_RAW, SOCK_STREAM, SOL_IP,
  SOL_RAW, SOL_SOCKET,
} from "../../../src/uapi/socket.ts";
import { checksum, icmpMessage, ipPacket } from "./harness.ts";
import { a, ADDR_A, ADDR_B, b, bootHosts, devA, finish, open, turn } from "./two-hosts.ts";

const buffer = new Uint8Array(2048);
const from = new SockaddrIn();
const TO_B = new SockaddrIn(ADDR_B);

function start(): void {
  bootHosts({ initcalls: [raw, ping] });
}

function sendBytes(fd: number, bytes: Uint8Array, addr: SockaddrIn | null = TO_B, flags = 0): number {
  const sent = sendto(fd, bytes, 0, bytes.length, flags, addr);
  turn();
  return sent;
}

/** The next packet, or the negative errno. */
function next(fd: number, flags = 0): Uint8Array | number {
  const n = recvfrom(fd, buffer, 0, buffer.length, flags, from);
  return n < 0 ? n : buffer.slice(0, n);
}

function bytesOf(fd: number): Uint8Array {
  const packet = next(fd);
  if (typeof packet === "number") throw new Error(`nothing there: ${packet}`);
  return packet;
}

function echo(id: number, seq: number, text = "abcd"): Uint8Array {
  return icmpMessage(ICMP_ECHO, 0, (id << 16) | seq, Buffer.from(text));
}

/** What leaves by a's eth0, IP packets only. */
function tapA(): Uint8Array[] {
  const seen: Uint8Array[] = [];
  const tap: DeviceTap = {
    nextTap: null,
    see(skb, outgoing) {
      if (outgoing && mem8[skb.mac + 12] === 8 && mem8[skb.mac + 13] === 0) seen.push(mem8.slice(skb.mac + 14, skb.tail));
    },
  };
  devA.taps = tap;
  return seen;
}

test.serial("without the parts there are no such sockets; protocol 0 is none for a raw one", (t) => {
  bootHosts();
  t.is(open(a, SOCK_RAW, 1), -ESOCKTNOSUPPORT);
  t.is(open(a, SOCK_DGRAM, IPPROTO_ICMP), -EPROTONOSUPPORT);
  finish(t);
  start();
  t.is(open(a, SOCK_RAW, 0), -EPROTONOSUPPORT);
  t.is(open(a, SOCK_RAW, 256), -EINVAL);
  t.is(open(a, SOCK_STREAM, IPPROTO_ICMP), -EPROTONOSUPPORT);
  a.ipv4.pingGroupRangeLow = 1;
  t.is(open(a, SOCK_DGRAM, IPPROTO_ICMP), -EACCES);
  finish(t);
});

test.serial("every raw socket of the protocol reads the packet with its header, and the protocol still has it", (t) => {
  start();
  const mine = open(a, SOCK_RAW, IPPROTO_ICMP);
  const other = open(a, SOCK_RAW, IPPROTO_ICMP);
  const udp = open(a, SOCK_RAW, IPPROTO_UDP);
  const there = open(b, SOCK_RAW, IPPROTO_ICMP);
  const echos = a.mib[ICMP_MIB_OUTECHOS]!;
  t.is(sendBytes(mine, echo(7, 1)), 12);
  t.is(a.mib[ICMP_MIB_OUTECHOS]! - echos, 1);
  const request = bytesOf(there);
  t.is(request[0], 0x45);
  t.is(checksum(request.subarray(0, 20)), 0);
  t.deepEqual(request.subarray(20), echo(7, 1));
  for (const fd of [mine, other]) {
    const reply = bytesOf(fd);
    t.is(reply.length, 32);
    t.is(reply[20], ICMP_ECHOREPLY, "the kernel of b has answered");
    t.is(from.addr, ADDR_B);
    t.is(from.port, 0);
    t.is(next(fd), -EAGAIN);
  }
  t.is(next(udp), -EAGAIN);
  finish(t);
});

test.serial("a protocol that only a raw socket knows is delivered; without one the sender hears of it", (t) => {
  start();
  const mine = open(a, SOCK_RAW, 253);
  const errors = open(a, SOCK_RAW, IPPROTO_ICMP);
  const there = open(b, SOCK_RAW, 253);
  t.is(sendBytes(mine, Buffer.from("hello")), 5);
  t.is(Buffer.from(bytesOf(there).subarray(20)).toString(), "hello");
  t.is(next(errors), -EAGAIN);
  t.is(b.mib[IPSTATS_MIB_INUNKNOWNPROTOS], 0);
  close(there);
  sendBytes(mine, Buffer.from("hello"));
  t.is(b.mib[IPSTATS_MIB_INUNKNOWNPROTOS], 1);
  t.deepEqual([...bytesOf(errors).subarray(20, 22)], [3, 2], "protocol unreachable");
  finish(t);
});

test.serial("bound, connected and device-bound sockets get only what is theirs", (t) => {
  start();
  const sender = open(a, SOCK_RAW, 253);
  const bound = open(b, SOCK_RAW, 253);
  const wrong = open(b, SOCK_RAW, 253);
  const connected = open(b, SOCK_RAW, 253);
  const stranger = open(b, SOCK_RAW, 253);
  const onLo = open(b, SOCK_RAW, 253);
  t.is(bind(bound, new SockaddrIn(ADDR_B)), 0);
  t.is(bind(wrong, new SockaddrIn(0x7f000001)), 0);
  t.is(bind(wrong, new SockaddrIn(ADDR_A)), -EADDRNOTAVAIL);
  t.is(connect(connected, new SockaddrIn(ADDR_A)), 0);
  t.is(connect(stranger, new SockaddrIn(0x0a000009)), 0);
  t.is(setsockopt(onLo, SOL_SOCKET, SO_BINDTODEVICE, 1), 0);
  sendBytes(sender, Buffer.from("x"));
  t.is(bytesOf(bound).length, 21);
  t.is(bytesOf(connected).length, 21);
  for (const fd of [wrong, stranger, onLo]) t.is(next(fd), -EAGAIN);
  t.is(sendBytes(connected, Buffer.from("back"), null), 4);
  t.is(Buffer.from(bytesOf(sender).subarray(20)).toString(), "back");
  t.is(bind(connected, new SockaddrIn(ADDR_B)), -EINVAL, "a connected one is not bound anew");
  finish(t);
});

test.serial("ICMP_FILTER keeps types away", (t) => {
  start();
  const fd = open(b, SOCK_RAW, IPPROTO_ICMP);
  const out = new Int32Array(1);
  t.is(setsockopt(fd, SOL_RAW, ICMP_FILTER, ~(1 << ICMP_ECHOREPLY)), 0);
  t.is(getsockopt(fd, SOL_RAW, ICMP_FILTER, out), 1);
  t.is(out[0], ~1);
  const sender = open(a, SOCK_RAW, IPPROTO_ICMP);
  sendBytes(sender, echo(1, 1));
  t.is(next(fd), -EAGAIN);
  sendBytes(sender, icmpMessage(ICMP_ECHOREPLY, 0, 1, new Uint8Array(4)));
  t.is(bytesOf(fd)[20], ICMP_ECHOREPLY);
  const udp = open(a, SOCK_RAW, IPPROTO_UDP);
  t.is(setsockopt(udp, SOL_RAW, ICMP_FILTER, 0), -EOPNOTSUPP);
  t.is(getsockopt(udp, SOL_RAW, ICMP_FILTER, out), -EOPNOTSUPP);
  t.is(setsockopt(udp, SOL_RAW, 99, 0), -ENOPROTOOPT);
  finish(t);
});

test.serial("a header of one's own goes as it is, its length, checksum and what is zero filled in", (t) => {
  start();
  const fd = open(a, SOCK_RAW, IPPROTO_RAW);
  const out = new Int32Array(1);
  t.is(getsockopt(fd, SOL_IP, IP_HDRINCL, out), 1);
  t.is(out[0], 1);
  const sent = tapA();
  const packet = ipPacket({ saddr: 0, daddr: ADDR_B, protocol: 1, ttl: 9, tos: 0x10, payload: echo(5, 6) });
  packet.set([0xff, 0xff], 2);
  packet.set([0xff, 0xff], 10);
  t.is(sendBytes(fd, packet), packet.length);
  const wire = sent[0]!;
  const view = new DataView(wire.buffer, wire.byteOffset);
  t.is(view.getInt32(12), ADDR_A);
  t.is(view.getUint16(2), packet.length);
  t.is(checksum(wire.subarray(0, 20)), 0);
  t.true(view.getUint16(4) !== 0);
  t.is(wire[8], 9);
  t.is(wire[1], 0x10);
  const spoofed = ipPacket({ saddr: 0x0a000007, daddr: ADDR_B, protocol: 1, id: 0x1234, payload: echo(5, 6) });
  sendBytes(fd, spoofed);
  t.deepEqual(sent[1], spoofed);
  t.is(sendBytes(fd, packet.subarray(0, 19)), -EINVAL);
  const long = packet.slice();
  long[0] = 0x4f;
  t.is(sendBytes(fd, long), -EINVAL, "a header longer than the packet");
  t.is(sendBytes(fd, new Uint8Array(1501).fill(0x45)), -EMSGSIZE);
  devA.taps = null;
  t.is(next(fd), -EAGAIN, "it reads nothing");
  const normal = open(a, SOCK_RAW, 253);
  t.is(setsockopt(normal, SOL_IP, IP_HDRINCL, 1), 0);
  t.is(sendBytes(normal, ipPacket({ saddr: ADDR_A, daddr: ADDR_B, protocol: 253, payload: new Uint8Array(3) })), 23);
  finish(t);
});

test.serial("errors: without a destination, out of band, too long, shut down, refused", (t) => {
  start();
  const fd = open(a, SOCK_RAW, 253);
  t.is(sendBytes(fd, new Uint8Array(4), null), -EDESTADDRREQ);
  t.is(sendBytes(fd, new Uint8Array(4), TO_B, MSG_OOB), -EOPNOTSUPP);
  const v6 = new SockaddrIn(ADDR_B);
  v6.family = 10;
  t.is(sendBytes(fd, new Uint8Array(4), v6), -EAFNOSUPPORT);
  t.is(sendBytes(fd, new Uint8Array(1481)), -EMSGSIZE);
  t.is(sendBytes(fd, new Uint8Array(1480)), 1480);
  t.is(sendBytes(fd, new Uint8Array(4), new SockaddrIn(0x0a0000ff)), -EACCES, "broadcast");
  t.is(getpeername(fd, from), -ENOTCONN);
  t.is(connect(fd, TO_B), 0);
  t.is(sendBytes(fd, new Uint8Array(8), null), 8);
  t.is(sendBytes(fd, new Uint8Array(8), null), 8, "what it has to tell, it tells who receives");
  t.is(next(fd), -ENOPROTOOPT);
  t.is(shutdown(fd, SHUT_RDWR), 0);
  t.is(sendBytes(fd, new Uint8Array(8), null), 8, "Linux looks whether a raw socket may send only when the header is the program's");
  t.is(setsockopt(fd, SOL_IP, IP_HDRINCL, 1), 0);
  const own = ipPacket({ saddr: ADDR_A, daddr: ADDR_B, protocol: 253, payload: new Uint8Array(3) });
  t.is(sendBytes(fd, own, null), -ENOPROTOOPT, "the pending error comes first");
  t.is(sendBytes(fd, own, null), -EPIPE);
  finish(t);
});

test.serial("a raw socket has twice its send buffer, and no room is no buffers", (t) => {
  start();
  const fd = open(a, SOCK_RAW, 253);
  t.is(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, 4000), 0);
  neighParmsSet(arpTbl, devA, { queueLenBytes: 1 << 20 });
  const silent = new SockaddrIn(0x0a000063);
  const sk = sockfdLookup(fd)!.sk!;
  let sent = 0;
  while (sent < 100 && sendto(fd, new Uint8Array(1000), 0, 1000, 0, silent) === 1000) sent++;
  t.true(sent < 100 && sk.wmemAlloc > sk.sndbuf << 1);
  t.is(sendto(fd, new Uint8Array(1000), 0, 1000, 0, silent), -ENOBUFS);
  turn(4000);
  t.is(sendto(fd, new Uint8Array(1000), 0, 1000, 0, silent), 1000, "what waited for the neighbour is gone");
  turn(4000);
  finish(t);
});

test.serial("an ICMP error is a connected socket's, or in the error queue with what was sent", (t) => {
  start();
  const quiet = open(a, SOCK_RAW, 254);
  sendBytes(quiet, Buffer.from("lost one"));
  t.is(next(quiet), -EAGAIN, "not connected: it is not told");
  const fd = open(a, SOCK_RAW, 254);
  t.is(connect(fd, TO_B), 0);
  sendBytes(fd, Buffer.from("lost one"), null);
  t.is(next(fd), -ENOPROTOOPT, "protocol unreachable");
  t.is(next(fd), -EAGAIN, "once");
  const recverr = open(a, SOCK_RAW, 254);
  t.is(setsockopt(recverr, SOL_IP, IP_RECVERR, 1), 0);
  turn(2000);
  sendBytes(recverr, Buffer.from("lost one"));
  const msg = new Msghdr(1);
  msgSetBuffer(msg, buffer, 0, buffer.length);
  msg.control = new Int32Array(16);
  t.is(recvmsg(recverr, msg, MSG_ERRQUEUE), 8);
  t.is(Buffer.from(buffer.subarray(0, 8)).toString(), "lost one");
  t.deepEqual([...msg.control.subarray(0, 7)], [SOL_IP, IP_RECVERR, 7, ENOPROTOOPT, 2, 3, 2]);
  finish(t);
});

test.serial("disconnecting takes an unbound raw socket out of its table, as on Linux", (t) => {
  start();
  const fd = open(b, SOCK_RAW, 253);
  const sender = open(a, SOCK_RAW, 253);
  const nobody = new SockaddrIn();
  nobody.family = AF_UNSPEC;
  t.is(connect(fd, new SockaddrIn(ADDR_A)), 0);
  sendBytes(sender, Buffer.from("1"));
  t.is(bytesOf(fd).length, 21);
  t.is(connect(fd, nobody), 0);
  sendBytes(sender, Buffer.from("2"));
  t.is(next(fd), -EAGAIN);
  finish(t);
});

test.serial("what does not fit is cut and said so", (t) => {
  start();
  const fd = open(b, SOCK_RAW, 253);
  const sender = open(a, SOCK_RAW, 253);
  sendBytes(sender, Buffer.from("0123456789"));
  const msg = new Msghdr(1);
  msgSetBuffer(msg, buffer, 0, 22);
  t.is(recvmsg(fd, msg, 0), 22);
  t.is(msg.flags & MSG_TRUNC, MSG_TRUNC);
  sendBytes(sender, Buffer.from("0123456789"));
  t.is(recvfrom(fd, buffer, 0, 1, MSG_TRUNC, null), 30);
  finish(t);
});

test.serial("ping: the identifier is the socket's, the checksum the stack's, the reply has no IP header", (t) => {
  start();
  const fd = open(a, SOCK_DGRAM, IPPROTO_ICMP);
  const second = open(a, SOCK_DGRAM, IPPROTO_ICMP);
  t.is(setsockopt(fd, SOL_IP, IP_TTL, 33), 0);
  const sent = tapA();
  const request = echo(0xdead, 9, "payload!");
  request.set([1, 2], 2);
  t.is(sendBytes(fd, request), 16);
  devA.taps = null;
  getsockname(fd, from);
  const ident = from.port;
  t.true(ident !== 0);
  const wire = sent[0]!;
  t.is(wire[8], 33);
  t.is(checksum(wire.subarray(20)), 0);
  t.deepEqual([...wire.subarray(24, 28)], [ident >> 8, ident & 255, 0, 9]);
  const reply = bytesOf(fd);
  t.is(reply[0], ICMP_ECHOREPLY);
  t.is(from.addr, ADDR_B);
  t.deepEqual(reply.subarray(4), wire.subarray(24));
  t.is(next(second), -EAGAIN);
  sendBytes(second, request);
  t.is(bytesOf(second).length, 16);
  t.is(next(fd), -EAGAIN);
  finish(t);
});

test.serial("ping: only echo requests are sent; identifiers are bound, shared, and given back", (t) => {
  start();
  const fd = open(a, SOCK_DGRAM, IPPROTO_ICMP);
  t.is(sendBytes(fd, icmpMessage(ICMP_ECHOREPLY, 0, 0, new Uint8Array(4))), -EINVAL);
  t.is(sendBytes(fd, icmpMessage(ICMP_ECHO, 1, 0, new Uint8Array(4))), -EINVAL);
  t.is(sendBytes(fd, new Uint8Array(7)), -EINVAL);
  t.is(sendBytes(fd, echo(0, 0), null), -EDESTADDRREQ);
  t.is(bind(fd, new SockaddrIn(0, 77)), -EINVAL, "sending has given it an identifier");
  const bound = open(a, SOCK_DGRAM, IPPROTO_ICMP);
  t.is(bind(bound, new SockaddrIn(0x0a0000ff, 77)), -EADDRNOTAVAIL);
  t.is(bind(bound, new SockaddrIn(ADDR_A, 77)), 0);
  t.is(getsockname(bound, from), 0);
  t.is(from.port, 77);
  const shared = open(a, SOCK_DGRAM, IPPROTO_ICMP);
  t.is(bind(shared, new SockaddrIn(0, 77)), 0);
  const alone = open(a, SOCK_DGRAM, IPPROTO_ICMP);
  t.is(setsockopt(alone, SOL_SOCKET, SO_REUSEADDR, 0), 0);
  t.is(bind(alone, new SockaddrIn(0, 77)), -EADDRINUSE);
  t.is(bind(alone, new SockaddrIn(0, 78)), 0);
  finish(t);
});

test.serial("ping: an error about the request, with the request", (t) => {
  start();
  const fd = open(a, SOCK_DGRAM, IPPROTO_ICMP);
  t.is(setsockopt(fd, SOL_IP, IP_RECVERR, 1), 0);
  sendBytes(fd, echo(0, 1), new SockaddrIn(0x0a000009));
  turn(4000);
  t.is(next(fd), -EHOSTUNREACH, "nobody answers ARP");
  const msg = new Msghdr(1);
  msgSetBuffer(msg, buffer, 0, buffer.length);
  msg.control = new Int32Array(16);
  t.is(recvmsg(fd, msg, MSG_ERRQUEUE), 12);
  t.is(buffer[0], ICMP_ECHO);
  t.deepEqual([...msg.control.subarray(3, 7)], [EHOSTUNREACH, 2, 3, 1]);
  finish(t);
});
