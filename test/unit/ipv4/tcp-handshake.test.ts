import test from "ava";
import fc from "fast-check";
import { initNet } from "../../../src/boot.ts";
import { words } from "../../../src/lib/table.ts";
import { SK_ACK_BACKLOG } from "../../../src/stack/core/sock.ts";
import { SockaddrIn } from "../../../src/stack/core/sockaddr.ts";
import { inetForEachListener } from "../../../src/stack/ipv4/inet-listen-hash.ts";
import { inetTimewaitCount } from "../../../src/stack/ipv4/inet-timewait-sock.ts";
import { reqskCount } from "../../../src/stack/ipv4/request-sock.ts";
import type { TcpSk } from "../../../src/stack/ipv4/tcp-sock.ts";
import {
  accept4, bind, close, connect, getpeername, getsockname, getsockopt, listen, setsockopt, shutdown, socket,
} from "../../../src/stack/socket/index.ts";
import { SKB_DROP_REASON_NO_SOCKET, SKB_DROP_REASON_TCP_CSUM } from "../../../src/uapi/drop-reason.ts";
import { EAGAIN, ECONNREFUSED, EHOSTUNREACH, EINPROGRESS, ENETUNREACH } from "../../../src/uapi/errno.ts";
import {
  LINUX_MIB_EMBRYONICRSTS, LINUX_MIB_LISTENDROPS, LINUX_MIB_LISTENOVERFLOWS, LINUX_MIB_TCPDEFERACCEPTDROP,
  LINUX_MIB_TCPREQQFULLDROP, LINUX_MIB_TSECRREJECTED, TCP_MIB_ATTEMPTFAILS, TCP_MIB_CSUMERRORS, TCP_MIB_INERRS, TCP_MIB_OUTRSTS,
  TCP_MIB_PASSIVEOPENS,
} from "../../../src/uapi/snmp.ts";
import { IPPROTO_TCP } from "../../../src/uapi/in.ts";
import { AF_INET, SO_ERROR, SOCK_STREAM, SOL_SOCKET } from "../../../src/uapi/socket.ts";
import { TCP_DEFER_ACCEPT, TCP_MAXSEG } from "../../../src/uapi/tcp.ts";
import { drops, icmpMessage, ip, ipPacket, receive } from "./harness.ts";
import {
  ACK, bootWire, dev, FIN, finish, inject, now, PEER, PSH, RST, run, type Segment, segmentBytes, sent, sentOne, SYN, US,
} from "./tcp-wire.ts";

const ISN = 1_000_000;
const LINUX_SYN = [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0x10, 0, 0, 0, 0, 0, 1, 3, 3, 7];

function server(backlog = 8, port = 80): number {
  const fd = socket(AF_INET, SOCK_STREAM);
  bind(fd, new SockaddrIn(0, port));
  listen(fd, backlog);
  return fd;
}

/** Sends a SYN without options and gives the SYN-ACK. */
function syn(sport: number, options: number[] = []): Segment {
  inject({ sport, dport: 80, seq: ISN, flags: SYN, options });
  return sentOne();
}

/** The whole handshake of a peer without options; what follows starts at ISN + 1 and at the number returned. */
function handshake(sport: number): number {
  const reply = syn(sport);
  inject({ sport, dport: 80, seq: ISN + 1, ack: reply.seq + 1, flags: ACK });
  return (reply.seq + 1) | 0;
}

function mib(index: number): number {
  return initNet.mib[index]!;
}

function listener(): TcpSk {
  let found: TcpSk | null = null;
  inetForEachListener((sk) => {
    found = sk;
  });
  return found!;
}

/** The peer resets, the program closes. */
function endByReset(fd: number, sport: number): void {
  inject({ sport, dport: 80, seq: ISN + 1, flags: RST });
  close(fd);
}

function socketError(fd: number): number {
  const out = new Int32Array(1);
  getsockopt(fd, SOL_SOCKET, SO_ERROR, out);
  return out[0]!;
}

test.serial("passive open: the SYN-ACK answers every option, and accept gives the connection", (t) => {
  bootWire();
  initNet.ipv4.tcpSack = 1;
  const fd = server();
  const reply = syn(5000, LINUX_SYN);
  t.like(reply, { saddr: US, daddr: PEER, sport: 80, dport: 5000, ack: ISN + 1, flags: SYN | ACK, payload: [] });
  t.deepEqual(reply.options.slice(0, 8), [2, 4, 5, 0xb4, 4, 2, 8, 10], "MSS, SACK-permitted with timestamps");
  t.deepEqual(reply.options.slice(12, 19), [0, 0, 0x10, 0, 1, 3, 3], "the echo, then window scale");
  t.true(reply.window > 0);
  t.is(accept4(fd, null), -EAGAIN);
  t.is(reqskCount(), 1);
  const tsecr = reply.options.slice(8, 12);
  inject({
    sport: 5000, dport: 80, seq: ISN + 1, ack: reply.seq + 1, flags: ACK,
    options: [1, 1, 8, 10, 0, 0, 0x10, 5, ...tsecr],
  });
  t.is(reqskCount(), 0);
  t.deepEqual(sent(), []);
  const addr = new SockaddrIn();
  const conn = accept4(fd, addr);
  t.true(conn >= 0);
  t.like(addr, { addr: PEER, port: 5000 });
  getsockname(conn, addr);
  t.like(addr, { addr: US, port: 80 });
  getpeername(conn, addr);
  t.like(addr, { addr: PEER, port: 5000 });
  t.is(mib(TCP_MIB_PASSIVEOPENS), 1);
  t.is(accept4(fd, null), -EAGAIN);
  endByReset(conn, 5000);
  close(fd);
  t.deepEqual(sent(), []);
  finish(t);
});

test.serial("options that the peer does not offer are not in the SYN-ACK, and the program's MSS is", (t) => {
  bootWire();
  initNet.ipv4.tcpSack = 1;
  const fd = server();
  setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, 700);
  t.deepEqual(syn(5000).options, [2, 4, 2, 0xbc]);
  t.deepEqual(syn(5001, [4, 2, 1, 1]).options, [2, 4, 2, 0xbc, 1, 1, 4, 2]);
  t.deepEqual(syn(5002, [3, 3, 0, 1]).options.slice(4, 7), [1, 3, 3]);
  t.is(syn(5003, [8, 10, 0, 0, 0, 7, 0, 0, 0, 0, 1, 1]).options.length, 16);
  close(fd);
  t.is(reqskCount(), 0);
  finish(t);
});

test.serial("a SYN-ACK unanswered goes out again at 1, 3, 7, 15, 31 s; a SYN again is answered alike", (t) => {
  bootWire();
  const fd = server();
  const start = now();
  const first = syn(5000);
  inject({ sport: 5000, dport: 80, seq: ISN, flags: SYN });
  t.deepEqual(sentOne(), first);
  const times: number[] = [];
  for (let ms = 0; ms < 70_000; ms += 100) {
    run(100);
    for (const again of sent()) {
      t.deepEqual(again, first);
      times.push(now() - start);
    }
  }
  t.deepEqual(times, [1000, 3000, 7000, 15_000, 31_000]);
  t.is(reqskCount(), 0);
  close(fd);
  finish(t);
});

test.serial("no listener: a reset as RFC 9293 wants it, but none for a reset, and none for another's address", (t) => {
  bootWire();
  inject({ sport: 5000, dport: 81, seq: ISN, flags: SYN });
  t.like(sentOne(), { seq: 0, ack: ISN + 1, flags: RST | ACK, sport: 81, dport: 5000 });
  inject({ sport: 5000, dport: 81, seq: ISN, flags: FIN, payload: [1, 2, 3] });
  t.like(sentOne(), { seq: 0, ack: ISN + 4, flags: RST | ACK });
  inject({ sport: 5000, dport: 81, seq: ISN, ack: 77, flags: ACK });
  t.like(sentOne(), { seq: 77, flags: RST });
  inject({ sport: 5000, dport: 81, seq: ISN, ack: 77, flags: ACK | RST });
  inject({ sport: 5000, dport: 81, seq: ISN, flags: SYN, daddr: ip("10.0.0.255") });
  t.deepEqual(sent(), []);
  t.is(mib(TCP_MIB_OUTRSTS), 3);
  t.is(drops.filter((reason) => reason === SKB_DROP_REASON_NO_SOCKET).length, 5);
  finish(t);
});

test.serial("bad checksums, lengths and offsets are counted and go unanswered", (t) => {
  bootWire();
  const fd = server();
  const bad = segmentBytes({ sport: 5000, dport: 80, seq: ISN, flags: SYN });
  bad[36] = bad[36]! ^ 0xff;
  receive(dev, bad);
  t.is(mib(TCP_MIB_CSUMERRORS), 1);
  t.true(drops.includes(SKB_DROP_REASON_TCP_CSUM));
  receive(dev, ipPacket({ saddr: PEER, daddr: US, protocol: 6, payload: new Uint8Array(19) }));
  for (const words of [0, 4, 6, 15]) {
    const short = new Uint8Array(20);
    short[12] = words << 4;
    receive(dev, ipPacket({ saddr: PEER, daddr: US, protocol: 6, payload: short }));
  }
  t.is(mib(TCP_MIB_INERRS), 6);
  run(0);
  t.deepEqual(sent(), []);
  close(fd);
  finish(t);
});

test.serial("half open: a wrong ACK is reset, one out of window acknowledged; a reset or SYN ends it", (t) => {
  bootWire();
  const fd = server();
  const reply = syn(5000);
  inject({ sport: 5000, dport: 80, seq: ISN + 1, ack: reply.seq + 2, flags: ACK });
  t.like(sentOne(), { flags: RST, seq: reply.seq + 2 });
  t.is(reqskCount(), 1);
  inject({ sport: 5000, dport: 80, seq: ISN - 5000, ack: reply.seq + 1, flags: ACK });
  t.like(sentOne(), { flags: ACK, seq: reply.seq + 1, ack: ISN + 1 });
  inject({ sport: 5000, dport: 80, seq: ISN - 5000, flags: RST });
  t.is(reqskCount(), 1);
  inject({ sport: 5000, dport: 80, seq: ISN + 1, flags: RST });
  t.is(reqskCount(), 0);
  t.deepEqual(sent(), []);
  syn(5001);
  inject({ sport: 5001, dport: 80, seq: ISN + 10, flags: SYN });
  t.like(sentOne(), { flags: RST | ACK });
  t.is(reqskCount(), 0);
  t.is(mib(TCP_MIB_ATTEMPTFAILS), 2);
  t.is(mib(LINUX_MIB_EMBRYONICRSTS), 2);
  close(fd);
  finish(t);
});

test.serial("half open: PAWS", (t) => {
  bootWire();
  const fd = server();
  const reply = syn(5000, LINUX_SYN);
  const ack = { sport: 5000, dport: 80, seq: ISN + 1, ack: reply.seq + 1, flags: ACK };
  inject({ ...ack, options: [1, 1, 8, 10, 0, 0, 0x0f, 255, 0, 0, 0, 0] });
  t.like(sentOne(), { flags: ACK });
  t.is(accept4(fd, null), -EAGAIN);
  inject({ ...ack, options: [1, 1, 8, 10, 0, 0, 0x10, 0, 0, 0, 0, 0] });
  const conn = accept4(fd, null);
  t.true(conn >= 0);
  endByReset(conn, 5000);
  close(fd);
  finish(t);
});

test.serial("half open: the echo is to be of a SYN-ACK that was sent, the first one or one sent again", (t) => {
  bootWire();
  const fd = server();
  const tsval = (reply: Segment): number => new DataView(Uint8Array.from(reply.options).buffer).getInt32(8);
  const ack = (sport: number, reply: Segment, echo: number): void => inject({
    sport, dport: 80, seq: ISN + 1, ack: reply.seq + 1, flags: ACK,
    options: [1, 1, 8, 10, 0, 0, 0x10, 0, echo >>> 24, (echo >> 16) & 255, (echo >> 8) & 255, echo & 255],
  });
  for (const later of [0, 1000]) {
    const sport = 5000 + later;
    const reply = syn(sport, LINUX_SYN);
    run(1500);
    const again = sentOne();
    t.is(tsval(again) - tsval(reply), 1000);
    ack(sport, reply, tsval(reply) - 1);
    ack(sport, reply, tsval(again) + 1);
    t.is(mib(LINUX_MIB_TSECRREJECTED), later === 0 ? 2 : 4);
    t.is(accept4(fd, null), -EAGAIN);
    ack(sport, reply, tsval(reply) + later);
    const conn = accept4(fd, null);
    t.true(conn >= 0);
    sent();
    endByReset(conn, sport);
  }
  close(fd);
  finish(t);
});

test.serial("data that comes with the ACK of the handshake is not lost", (t) => {
  bootWire();
  const fd = server();
  const reply = syn(5000);
  inject({ sport: 5000, dport: 80, seq: ISN + 1, ack: reply.seq + 1, flags: ACK | PSH, payload: [1, 2, 3] });
  const conn = accept4(fd, null);
  t.true(conn >= 0);
  run(500);
  t.is(sent().at(-1)!.ack, ISN + 4);
  inject({ sport: 5000, dport: 80, seq: ISN + 4, flags: RST });
  close(conn);
  close(fd);
  finish(t);
});

test.serial("a full accept queue: the last ACK is not taken, SYNs go unanswered; later it works", (t) => {
  bootWire();
  const fd = server(2);
  handshake(5000);
  const late = syn(5001);
  handshake(5002);
  handshake(5004);
  t.is(words[listener().cold + SK_ACK_BACKLOG]!, 3, "one more than the backlog, as in Linux");
  inject({ sport: 5001, dport: 80, seq: ISN + 1, ack: late.seq + 1, flags: ACK });
  t.is(mib(LINUX_MIB_LISTENOVERFLOWS), 1);
  t.is(mib(LINUX_MIB_LISTENDROPS), 1);
  t.is(reqskCount(), 1);
  inject({ sport: 5003, dport: 80, seq: ISN, flags: SYN });
  t.deepEqual(sent(), []);
  t.is(mib(LINUX_MIB_LISTENDROPS), 2);
  const conns = [accept4(fd, null), accept4(fd, null), accept4(fd, null)];
  run(1000);
  t.like(sentOne(), { flags: SYN | ACK, dport: 5001 }, "the peer is asked again");
  inject({ sport: 5001, dport: 80, seq: ISN + 1, ack: late.seq + 1, flags: ACK });
  conns.push(accept4(fd, null));
  t.true(conns.every((conn) => conn >= 0));
  [5000, 5002, 5004, 5001].forEach((port, i) => {
    endByReset(conns[i]!, port);
  });
  close(fd);
  finish(t);
});

test.serial("tcp_abort_on_overflow resets instead", (t) => {
  bootWire();
  initNet.ipv4.tcpAbortOnOverflow = 1;
  const fd = server(0);
  handshake(5000);
  // The queue is full with one: this one got its SYN-ACK before.
  words[listener().cold + SK_ACK_BACKLOG] = 0;
  const late = syn(5001);
  words[listener().cold + SK_ACK_BACKLOG] = 1;
  inject({ sport: 5001, dport: 80, seq: ISN + 1, ack: late.seq + 1, flags: ACK });
  t.like(sentOne(), { flags: RST, seq: late.seq + 1 });
  t.is(reqskCount(), 0);
  endByReset(accept4(fd, null), 5000);
  close(fd);
  finish(t);
});

test.serial("a full SYN queue drops SYNs and counts them", (t) => {
  bootWire();
  initNet.ipv4.tcpSyncookies = 0;
  const fd = server(2);
  for (let i = 0; i < 3; i++) syn(5000 + i);
  inject({ sport: 5003, dport: 80, seq: ISN, flags: SYN });
  t.deepEqual(sent(), []);
  t.is(mib(LINUX_MIB_TCPREQQFULLDROP), 1);
  inject({ sport: 5000, dport: 80, seq: ISN + 1, flags: RST });
  syn(5003);
  close(fd);
  bootWire({ requestSocks: 2 });
  initNet.ipv4.tcpSyncookies = 0;
  const other = server(100);
  syn(5000);
  syn(5001);
  inject({ sport: 5002, dport: 80, seq: ISN, flags: SYN });
  t.deepEqual(sent(), [], "the slab is empty");
  t.is(mib(LINUX_MIB_LISTENDROPS), 1);
  close(other);
  finish(t);
});

test.serial("TCP_DEFER_ACCEPT: the program hears of the connection with its first data", (t) => {
  bootWire();
  const fd = server();
  setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 10);
  handshake(5000);
  t.is(mib(LINUX_MIB_TCPDEFERACCEPTDROP), 1);
  t.is(accept4(fd, null), -EAGAIN);
  run(900);
  const ack = (syn(5000).seq + 1) | 0;
  inject({ sport: 5000, dport: 80, seq: ISN + 1, ack, flags: ACK | PSH, payload: [65] });
  const conn = accept4(fd, null);
  t.true(conn >= 0);
  inject({ sport: 5000, dport: 80, seq: ISN + 2, flags: RST });
  close(conn);
  close(fd);
  finish(t);
});

test.serial("closing a listener resets connections nobody accepted and forgets half-open ones", (t) => {
  bootWire();
  const fd = server();
  const next = handshake(5000);
  syn(5001);
  close(fd);
  t.like(sentOne(), { flags: RST | ACK, dport: 5000, seq: next });
  inject({ sport: 5001, dport: 80, seq: ISN + 1, ack: 1, flags: ACK });
  t.like(sentOne(), { flags: RST, dport: 5001 });
  finish(t);
});

test.serial("a connection reset before it is accepted is still given to accept", (t) => {
  bootWire();
  const fd = server();
  handshake(5000);
  inject({ sport: 5000, dport: 80, seq: ISN + 1, flags: RST });
  const conn = accept4(fd, null);
  t.true(conn >= 0);
  close(conn);
  handshake(5001);
  inject({ sport: 5001, dport: 80, seq: ISN + 1, flags: RST });
  close(fd);
  finish(t);
});

test.serial("with no socket left the handshake waits for one", (t) => {
  bootWire({ tcpSocks: 2 });
  const fd = server();
  handshake(5000);
  const late = syn(5001);
  inject({ sport: 5001, dport: 80, seq: ISN + 1, ack: late.seq + 1, flags: ACK });
  t.is(mib(LINUX_MIB_LISTENDROPS), 1);
  const conn = accept4(fd, null);
  endByReset(conn, 5000);
  run(1000);
  t.like(sentOne(), { flags: SYN | ACK, dport: 5001 });
  inject({ sport: 5001, dport: 80, seq: ISN + 1, ack: late.seq + 1, flags: ACK });
  endByReset(accept4(fd, null), 5001);
  close(fd);
  finish(t);
});

test.serial("active open", (t) => {
  bootWire();
  initNet.ipv4.tcpSack = 1;
  const fd = socket(AF_INET, SOCK_STREAM);
  t.is(connect(fd, new SockaddrIn(PEER, 80)), -EINPROGRESS);
  const first = sentOne();
  t.like(first, { saddr: US, daddr: PEER, dport: 80, flags: SYN, ack: 0 });
  t.deepEqual(first.options.slice(0, 8), [2, 4, 5, 0xb4, 4, 2, 8, 10]);
  t.true(first.sport >= 32768 && first.sport <= 60999);
  const tsval = first.options.slice(8, 12);
  inject({
    sport: 80, dport: first.sport, seq: ISN, ack: first.seq + 1, flags: SYN | ACK, window: 1000,
    options: [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 9, ...tsval, 1, 3, 3, 7],
  });
  t.like(sentOne(), { flags: ACK, seq: first.seq + 1, ack: ISN + 1 });
  t.is(connect(fd, new SockaddrIn(PEER, 80)), 0);
  inject({ sport: 80, dport: first.sport, seq: ISN + 1, flags: RST });
  close(fd);
  finish(t);
});

test.serial("active open refused: by a reset, by ICMP port unreachable; ICMP of a wrong number does not count", (t) => {
  bootWire();
  const fd = socket(AF_INET, SOCK_STREAM);
  connect(fd, new SockaddrIn(PEER, 80));
  const first = sentOne();
  inject({ sport: 80, dport: first.sport, ack: first.seq + 1, flags: RST | ACK });
  t.is(socketError(fd), ECONNREFUSED);
  close(fd);
  const other = socket(AF_INET, SOCK_STREAM);
  connect(other, new SockaddrIn(PEER, 80));
  const quoted = dev.sent.at(-1)!.slice(0, 28);
  sent();
  const error = (seq: number): void => {
    new DataView(quoted.buffer).setInt32(24, seq);
    receive(dev, ipPacket({ saddr: PEER, daddr: US, protocol: 1, payload: icmpMessage(3, 3, 0, quoted) }));
  };
  const seq = new DataView(quoted.buffer).getInt32(24);
  error(seq - 1);
  error(seq + 2);
  t.is(socketError(other), 0);
  error(seq);
  t.is(socketError(other), ECONNREFUSED);
  close(other);
  finish(t);
});

test.serial("connect without a route, and one that the next hop cannot take", (t) => {
  bootWire();
  const fd = socket(AF_INET, SOCK_STREAM);
  t.is(connect(fd, new SockaddrIn(ip("192.168.7.7"), 80)), -ENETUNREACH);
  connect(fd, new SockaddrIn(PEER, 80));
  const quoted = dev.sent.at(-1)!.slice(0, 28);
  receive(dev, ipPacket({ saddr: PEER, daddr: US, protocol: 1, payload: icmpMessage(3, 1, 0, quoted) }));
  t.is(socketError(fd), EHOSTUNREACH);
  close(fd);
  finish(t);
});

test.serial("initial sequence numbers: unlike for unlike peers, going on with time for the same", (t) => {
  bootWire();
  const fd = server();
  const reply = syn(5000).seq;
  inject({ sport: 5000, dport: 80, seq: ISN + 1, flags: RST });
  run(100);
  t.is((syn(5000).seq - reply) | 0, 100 * 15625, "the clock ticks every 64 ns");
  const steps = new Set<number>();
  let last = syn(5001).seq;
  for (let port = 5002; port < 5008; port++) {
    const { seq } = syn(port);
    steps.add((seq - last) | 0);
    last = seq;
  }
  t.is(steps.size, 6);
  close(fd);
  finish(t);
});

test.serial("TIME_WAIT after our close: 60 s, the peer's FIN again acknowledged, a newer SYN opens anew", (t) => {
  bootWire();
  const fd = server();
  const next = handshake(5000);
  const conn = accept4(fd, null);
  close(conn);
  t.like(sentOne(), { flags: FIN | ACK, seq: next });
  const fin = { sport: 5000, dport: 80, seq: ISN + 1, ack: next + 1, flags: FIN | ACK };
  inject(fin);
  t.like(sentOne(), { flags: ACK, ack: ISN + 2 });
  t.is(inetTimewaitCount(), 1);
  inject(fin);
  t.like(sentOne(), { flags: ACK, seq: next + 1, ack: ISN + 2 });
  inject({ sport: 5000, dport: 80, seq: ISN + 100, flags: SYN });
  t.like(sentOne(), { flags: SYN | ACK, seq: next + 1 + 65537, ack: ISN + 101 });
  t.is(inetTimewaitCount(), 0);
  inject({ sport: 5000, dport: 80, seq: ISN + 101, flags: RST });
  const again = handshake(5001);
  close(accept4(fd, null));
  sent();
  inject({ sport: 5001, dport: 80, seq: ISN + 1, ack: again + 1, flags: FIN | ACK });
  run(59_999);
  t.is(inetTimewaitCount(), 1);
  run(1);
  t.is(inetTimewaitCount(), 0);
  close(fd);
  finish(t);
});

test.serial("FIN_WAIT2 of a closed socket becomes a small entry, and data to it is reset", (t) => {
  bootWire();
  const fd = server();
  const next = handshake(5000);
  close(accept4(fd, null));
  sent();
  inject({ sport: 5000, dport: 80, seq: ISN + 1, ack: next + 1, flags: ACK });
  t.is(inetTimewaitCount(), 1);
  inject({ sport: 5000, dport: 80, seq: ISN + 1, ack: next + 1, flags: ACK | PSH, payload: [1] });
  t.like(sentOne(), { flags: RST, seq: next + 1 });
  t.is(inetTimewaitCount(), 0);
  close(fd);
  finish(t);
});

test.serial("simultaneous open", (t) => {
  bootWire();
  const fd = socket(AF_INET, SOCK_STREAM);
  connect(fd, new SockaddrIn(PEER, 80));
  const first = sentOne();
  inject({ sport: 80, dport: first.sport, seq: ISN, flags: SYN });
  t.like(sentOne(), { flags: SYN | ACK, seq: first.seq, ack: ISN + 1 });
  inject({ sport: 80, dport: first.sport, seq: ISN, ack: first.seq + 1, flags: SYN | ACK });
  t.true(sent().every((segment) => segment.flags === ACK && segment.ack === ISN + 1));
  inject({ sport: 80, dport: first.sport, seq: ISN + 1, ack: first.seq + 1, flags: ACK });
  t.is(connect(fd, new SockaddrIn(PEER, 80)), 0);
  sent();
  inject({ sport: 80, dport: first.sport, seq: ISN + 1, flags: RST });
  close(fd);
  finish(t);
});

test.serial("a thousand connections one after another leave nothing behind", (t) => {
  bootWire({ timewaitSocks: 16, tcpSocks: 4, bindBuckets: 4 });
  const fd = server();
  for (let i = 0; i < 1000; i++) {
    const next = handshake(10_000 + i);
    const conn = accept4(fd, null);
    if (conn < 0) {
      t.fail(`connection ${i}: ${conn}`);
      break;
    }
    close(conn);
    sent();
    inject({ sport: 10_000 + i, dport: 80, seq: ISN + 1, ack: next + 1, flags: FIN | ACK });
    sent();
  }
  t.is(inetTimewaitCount(), 16);
  close(fd);
  finish(t);
});

test.serial("random segments to a listener, a connection and nobody leave nothing behind", (t) => {
  const flags = fc.nat(255);
  const near = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.integer());
  const step = fc.record({
    port: fc.constantFrom(80, 80, 80, 81), sport: fc.constantFrom(5000, 5001), seq: near, ack: near, flags,
    options: fc.array(fc.constantFrom(0, 1, 2, 3, 4, 5, 8, 10, 200), { maxLength: 12 }),
    payload: fc.array(fc.nat(255), { maxLength: 20 }), wait: fc.constantFrom(0, 0, 0, 50, 1000), window: fc.nat(65535),
  });
  fc.assert(fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
    bootWire();
    const fd = server(2);
    const next = handshake(5000);
    const conns = [accept4(fd, null)];
    for (const s of steps) {
      inject({
        sport: s.sport, dport: s.port, seq: ISN + 1 + s.seq, ack: next + s.ack, flags: s.flags, options: s.options,
        payload: s.payload, window: s.window,
      });
      run(s.wait);
      sent();
      const conn = accept4(fd, null);
      if (conn >= 0) conns.push(conn);
    }
    for (const conn of conns) {
      shutdown(conn, 1);
      close(conn);
    }
    close(fd);
    // Whatever waits for an answer gives up within the retries.
    run(2_000_000);
    sent();
    finish(t);
  }), { numRuns: 60 });
});

test.serial("over loopback, with both ends here: by our address, by 127.0.0.1, and by no address", (t) => {
  bootWire();
  const fd = server();
  for (const addr of [US, ip("127.0.0.1"), 0]) {
    const client = socket(AF_INET, SOCK_STREAM);
    t.is(connect(client, new SockaddrIn(addr, 80)), -EINPROGRESS);
    run(0);
    t.is(connect(client, new SockaddrIn(addr, 80)), 0);
    const peer = new SockaddrIn();
    const conn = accept4(fd, peer);
    t.true(conn >= 0);
    const local = new SockaddrIn();
    getsockname(client, local);
    t.like(peer, { addr: local.addr, port: local.port });
    t.is(local.addr, addr === US ? US : ip("127.0.0.1"));
    close(client);
    run(0);
    close(conn);
    run(0);
    t.is(inetTimewaitCount(), 1);
    run(60_000);
    t.is(inetTimewaitCount(), 0);
  }
  close(fd);
  t.deepEqual(sent(), []);
  finish(t);
});
