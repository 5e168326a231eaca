import test from "ava";
import { initNet } from "../../../src/boot.ts";
import { SockaddrIn } from "../../../src/stack/core/sockaddr.ts";
import { close, connect, getsockopt, poll, Pollfd, recv, send, sendto, setsockopt, socket } from "../../../src/stack/socket/index.ts";
import { EAGAIN, EALREADY, ECONNREFUSED, EINPROGRESS, EISCONN, EOPNOTSUPP } from "../../../src/uapi/errno.ts";
import { POLLOUT } from "../../../src/uapi/poll.ts";
import { LINUX_MIB_TCPFASTOPENACTIVE, LINUX_MIB_TCPFASTOPENACTIVEFAIL } from "../../../src/uapi/snmp.ts";
import { AF_INET, MSG_FASTOPEN, SO_ERROR, SOCK_STREAM, SOL_SOCKET, SOL_TCP } from "../../../src/uapi/socket.ts";
import { TCP_FASTOPEN_CONNECT, TCP_INFO, TCPI_OPT_SYN_DATA } from "../../../src/uapi/tcp.ts";
import { ACK, bootWire, finish, inject, PEER, PSH, RST, run, type Segment, sent, sentOne, SYN } from "./tcp-wire.ts";

const ISN = 1_000_000;
const MSS = [2, 4, 5, 0xb4];
const COOKIE = [34, 6, 1, 2, 3, 4, 1, 1];
const buffer = Uint8Array.from({ length: 5000 }, (_, i) => i & 255);
const mib = (index: number): number => initNet.mib[index]!;
const server = new SockaddrIn(PEER, 80);

function open(): number {
  initNet.ipv4.tcpTimestamps = 0;
  return socket(AF_INET, SOCK_STREAM);
}

/** The SYN-ACK, acknowledging `taken` bytes beyond the SYN. */
function synack(syn: Segment, taken: number, options: number[]): void {
  inject({
    sport: 80, dport: syn.sport, seq: ISN, ack: syn.seq + 1 + taken, flags: SYN | ACK, window: 14600, options,
  });
}

function reset(fd: number, syn: Segment, acked: number): void {
  inject({ sport: 80, dport: syn.sport, seq: ISN + 1, ack: syn.seq + 1 + acked, flags: RST | ACK });
  close(fd);
}

/** Asks for a cookie and gets COOKIE with that MSS. */
function learn(mss = MSS): void {
  const fd = open();
  sendto(fd, buffer, 0, 0, MSG_FASTOPEN, server);
  const syn = sentOne();
  synack(syn, 0, [...mss, ...COOKIE]);
  reset(fd, syn, 0);
  sent();
}

function synData(fd: number): boolean {
  const words = new Int32Array(62);
  getsockopt(fd, SOL_TCP, TCP_INFO, words);
  return ((words[1]! >> 8) & TCPI_OPT_SYN_DATA) !== 0;
}

test.serial("the first time asks for a cookie, the next SYN carries it and data", (t) => {
  bootWire();
  const first = open();
  t.is(sendto(first, buffer, 0, 1000, MSG_FASTOPEN, server), -EINPROGRESS);
  const ask = sentOne();
  t.like(ask, { flags: SYN, payload: [] });
  t.deepEqual(ask.options.slice(-4), [34, 2, 1, 1]);
  t.is(sendto(first, buffer, 0, 1000, MSG_FASTOPEN, server), -EALREADY);
  t.is(send(first, buffer, 0, 1000, 0), -EAGAIN);
  synack(ask, 0, [...MSS, ...COOKIE]);
  t.like(sentOne(), { flags: ACK, payload: [] });
  t.false(synData(first));
  reset(first, ask, 0);
  const fd = open();
  t.is(sendto(fd, buffer, 0, 5000, MSG_FASTOPEN, server), 1420);
  const syn = sentOne();
  t.is(syn.flags, SYN);
  t.deepEqual(syn.options.slice(-8), COOKIE);
  t.deepEqual(syn.payload, [...buffer.subarray(0, 1420)]);
  synack(syn, 1420, MSS);
  t.like(sentOne(), { flags: ACK, seq: syn.seq + 1421, ack: ISN + 1, payload: [] });
  t.true(synData(fd));
  t.is(mib(LINUX_MIB_TCPFASTOPENACTIVE), 1);
  t.is(send(fd, buffer, 0, 10, 0), 10);
  t.like(sentOne(), { seq: syn.seq + 1421 });
  inject({ sport: 80, dport: syn.sport, seq: ISN + 1, ack: syn.seq + 1431, flags: ACK | PSH, payload: [7] });
  t.is(recv(fd, buffer.slice(), 0, 10, 0), 1);
  inject({ sport: 80, dport: syn.sport, seq: ISN + 2, ack: syn.seq + 1431, flags: RST | ACK });
  close(fd);
  finish(t);
});

test.serial("data that the SYN-ACK does not take goes again at once; the MSS is remembered with the cookie", (t) => {
  bootWire();
  learn([2, 4, 3, 0xac]);
  const fd = open();
  t.is(sendto(fd, buffer, 0, 2000, MSG_FASTOPEN, server), 900);
  const syn = sentOne();
  synack(syn, 0, MSS);
  const again = sentOne();
  t.like(again, { flags: ACK | PSH, seq: syn.seq + 1 });
  t.is(again.payload.length, 900);
  t.false(synData(fd));
  t.is(mib(LINUX_MIB_TCPFASTOPENACTIVEFAIL), 1);
  inject({ sport: 80, dport: syn.sport, seq: ISN + 1, ack: syn.seq + 901, flags: ACK });
  reset(fd, syn, 900);
  finish(t);
});

test.serial("a SYN sent again is plain; the data follows the handshake", (t) => {
  bootWire();
  learn();
  const fd = open();
  t.is(sendto(fd, buffer, 0, 500, MSG_FASTOPEN, server), 500);
  const syn = sentOne();
  run(1000);
  const plain = sentOne();
  t.like(plain, { flags: SYN, seq: syn.seq, payload: [] });
  t.is(plain.options.indexOf(34), -1);
  synack(syn, 0, MSS);
  const data = sent().filter((s) => s.payload.length > 0);
  t.deepEqual(data.map((s) => [s.seq, s.payload.length]), [[syn.seq + 1, 500]]);
  inject({ sport: 80, dport: syn.sport, seq: ISN + 1, ack: syn.seq + 501, flags: ACK });
  reset(fd, syn, 500);
  finish(t);
});

test.serial("no cookie given: the experimental form is tried next, then the standard one again", (t) => {
  bootWire();
  for (const expected of [[34, 2, 1, 1], [254, 4, 0xf9, 0x89], [34, 2, 1, 1]]) {
    const fd = open();
    sendto(fd, buffer, 0, 10, MSG_FASTOPEN, server);
    const syn = sentOne();
    t.deepEqual(syn.options.slice(-4), expected);
    synack(syn, 0, MSS);
    reset(fd, syn, 0);
    sent();
  }
  finish(t);
});

test.serial("TCP_FASTOPEN_CONNECT: connect waits for the first write when a cookie is known", (t) => {
  bootWire();
  const asking = open();
  t.is(setsockopt(asking, SOL_TCP, TCP_FASTOPEN_CONNECT, 1), 0);
  t.is(connect(asking, server), -EINPROGRESS);
  const ask = sentOne();
  t.deepEqual(ask.options.slice(-4), [34, 2, 1, 1]);
  synack(ask, 0, [...MSS, ...COOKIE]);
  reset(asking, ask, 0);
  sent();
  const fd = open();
  setsockopt(fd, SOL_TCP, TCP_FASTOPEN_CONNECT, 1);
  t.is(connect(fd, server), 0);
  t.is(connect(fd, server), -EISCONN);
  t.deepEqual(sent(), []);
  const watched = new Pollfd();
  watched.fd = fd;
  watched.events = POLLOUT;
  poll([watched], 1);
  t.is(watched.revents, POLLOUT);
  t.is(recv(fd, buffer.slice(), 0, 10, 0), -EAGAIN);
  t.is(send(fd, buffer, 0, 100, 0), 100);
  const syn = sentOne();
  t.like(syn, { flags: SYN });
  t.is(syn.payload.length, 100);
  inject({ sport: 80, dport: syn.sport, seq: 0, ack: syn.seq + 1, flags: RST | ACK });
  const error = new Int32Array(1);
  getsockopt(fd, SOL_SOCKET, SO_ERROR, error);
  t.is(error[0], ECONNREFUSED);
  close(fd);
  const unused = open();
  setsockopt(unused, SOL_TCP, TCP_FASTOPEN_CONNECT, 1);
  connect(unused, server);
  close(unused);
  initNet.ipv4.tcpFastopen = 0;
  const off = open();
  t.is(setsockopt(off, SOL_TCP, TCP_FASTOPEN_CONNECT, 1), -EOPNOTSUPP);
  t.is(sendto(off, buffer, 0, 10, MSG_FASTOPEN, server), -EOPNOTSUPP);
  close(off);
  finish(t);
});

test.serial("a blocking write that waited for a connection which failed does not keep the next from opening fast", (t) => {
  bootWire();
  learn();
  const fd = open();
  t.is(setsockopt(fd, SOL_TCP, TCP_FASTOPEN_CONNECT, 1), 0);
  t.is(connect(fd, server), 0);
  t.is(send(fd, buffer, 0, 2000, 0), 1420);
  const syn = sentOne();
  t.is(send(fd, buffer, 1420, 580, 0), -EAGAIN, "where a blocking call would wait");
  inject({ sport: 80, dport: syn.sport, seq: 0, ack: syn.seq + 1, flags: RST | ACK });
  t.is(connect(fd, server), -ECONNREFUSED);
  t.is(connect(fd, server), 0, "waits for the first write, as before");
  t.deepEqual(sent(), []);
  t.is(send(fd, buffer, 0, 100, 0), 100);
  const again = sentOne();
  t.is(again.payload.length, 100);
  synack(again, 100, MSS);
  t.like(sentOne(), { flags: ACK, ack: ISN + 1 });
  reset(fd, again, 100);
  finish(t);
});
