import test from "ava";
import { initNet } from "../../../src/boot.ts";
import { SockaddrIn } from "../../../src/stack/core/sockaddr.ts";
import { inetTimewaitCount } from "../../../src/stack/ipv4/inet-timewait-sock.ts";
import { tcpOrphanCount } from "../../../src/stack/ipv4/tcp-memory.ts";
import {
  accept4, bind, close, connect, getsockopt, listen, recv, send, setsockopt, shutdown, socket,
} from "../../../src/stack/socket/index.ts";
import { EAGAIN, ETIMEDOUT } from "../../../src/uapi/errno.ts";
import {
  LINUX_MIB_DELAYEDACKS, LINUX_MIB_TCPABORTONTIMEOUT, LINUX_MIB_TCPKEEPALIVE, LINUX_MIB_TCPTIMEOUTS,
  LINUX_MIB_TCPWINPROBE, TCP_MIB_CURRESTAB,
} from "../../../src/uapi/snmp.ts";
import { AF_INET, SHUT_WR, SO_ERROR, SO_KEEPALIVE, SOCK_STREAM, SOL_SOCKET, SOL_TCP } from "../../../src/uapi/socket.ts";
import {
  TCP_INFO, TCP_KEEPCNT, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_LINGER2, TCP_NODELAY, TCP_SYNCNT, TCP_USER_TIMEOUT,
} from "../../../src/uapi/tcp.ts";
import { ACK, bootWire, FIN, finish, inject, now, PEER, PSH, RST, run, type Segment, sent, sentOne, SYN } from "./tcp-wire.ts";

const ISN = 1_000_000;
const PORT = 5000;
const buffer = new Uint8Array(20000);

function mib(index: number): number {
  return initNet.mib[index]!;
}

interface Conn {
  fd: number;
  /** Next number of ours, and of the peer's. */
  snd: number;
  rcv: number;
}

/** A connection the peer opened; its handshake takes `rtt` ms. */
function accepted(window = 65535, rtt = 0): Conn {
  const listener = socket(AF_INET, SOCK_STREAM);
  bind(listener, new SockaddrIn(0, 80));
  listen(listener, 4);
  inject({ sport: PORT, dport: 80, seq: ISN, flags: SYN, options: [2, 4, 5, 0xb4] });
  run(rtt);
  const reply = sentOne();
  inject({ sport: PORT, dport: 80, seq: ISN + 1, ack: reply.seq + 1, flags: ACK, window });
  const fd = accept4(listener, null);
  close(listener);
  return { fd, snd: (reply.seq + 1) | 0, rcv: ISN + 1 };
}

/** Gives the connection a segment; what is not given is an ACK of nothing new. */
function give(conn: Conn, s: Partial<Segment>): void {
  inject({ sport: PORT, dport: 80, seq: conn.rcv, ack: conn.snd, flags: ACK, ...s });
}

function bytes(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i & 255);
}

/** The peer resets, the program closes. */
function end(conn: Conn): void {
  give(conn, { flags: RST | ACK });
  close(conn.fd);
}

/** Lets time pass until something is sent, at most `limit` ms; the time it took, and what. */
function untilSent(limit: number): { after: number; segments: Segment[] } {
  const start = now();
  for (let i = 0; i < limit; i++) {
    run(1);
    const segments = sent();
    if (segments.length > 0) return { after: now() - start, segments };
  }
  return { after: -1, segments: [] };
}

function error(fd: number): number {
  const out = new Int32Array(1);
  getsockopt(fd, SOL_SOCKET, SO_ERROR, out);
  return out[0]!;
}

test.serial("connect: the SYN goes each second, then with doubled timeouts, ETIMEDOUT after the time of TCP_SYNCNT doublings", (t) => {
  bootWire();
  const fd = socket(AF_INET, SOCK_STREAM);
  setsockopt(fd, SOL_TCP, TCP_SYNCNT, 3);
  connect(fd, new SockaddrIn(PEER, 80));
  t.is(sentOne().flags, SYN);
  for (const after of [1000, 1000, 1000, 1000, 1000, 2000, 4000]) {
    const next = untilSent(5000);
    t.is(next.after, after);
    t.is(next.segments[0]!.flags, SYN);
  }
  run(7999);
  t.is(error(fd), 0);
  run(1);
  t.is(error(fd), ETIMEDOUT);
  t.deepEqual(sent(), []);
  t.is(mib(LINUX_MIB_TCPABORTONTIMEOUT), 1);
  close(fd);
  finish(t);
});

test.serial("data: retransmissions double from the RTO to 120 s, and after tcp_retries2 of them the connection ends", (t) => {
  bootWire();
  const conn = accepted();
  t.is(send(conn.fd, buffer, 0, 100, 0), 100);
  t.like(sentOne(), { seq: conn.snd, flags: ACK | PSH });
  // The handshake took no time, which counts as 1 ms.
  let rto = 201;
  let total = 0;
  let count = 0;
  for (;;) {
    const next = untilSent(130000);
    if (next.after < 0) break;
    t.is(next.after, rto);
    t.is(next.segments.length, 1);
    t.like(next.segments[0]!, { seq: conn.snd, payload: [...buffer.subarray(0, 100)] });
    total += rto;
    rto = Math.min(rto * 2, 120000);
    count++;
  }
  // Time-based as Linux has it: 15 retries from RTO_MIN would take 924.6 s; the first expiry after that ends it.
  t.true(total >= 924600 - 120000 && total <= 924600 + 120000);
  t.is(mib(LINUX_MIB_TCPTIMEOUTS), count + 1);
  t.is(error(conn.fd), ETIMEDOUT);
  close(conn.fd);
  finish(t);
});

test.serial("the RTO follows the round trip, at least 200 ms over it; a retransmitted segment is not measured", (t) => {
  bootWire();
  const conn = accepted(65535, 100);
  setsockopt(conn.fd, SOL_TCP, TCP_NODELAY, 1);
  send(conn.fd, buffer, 0, 10, 0);
  run(100);
  conn.snd += 10;
  give(conn, {});
  sent();
  const info = new Int32Array(26);
  getsockopt(conn.fd, SOL_TCP, TCP_INFO, info);
  t.is(info[17], 100_000, "srtt in µs");
  t.is(info[2], 300_000, "RTO = 100 + max(4 × 50, 200)");
  send(conn.fd, buffer, 0, 10, 0);
  t.is(sent().length, 1);
  t.is(untilSent(1000).after, 300);
  run(50);
  conn.snd += 10;
  give(conn, {});
  getsockopt(conn.fd, SOL_TCP, TCP_INFO, info);
  t.is(info[17], 100_000, "Karn: the ACK of a retransmission measures nothing");
  t.is(info[2], 600_000, "so the backed-off RTO stays");
  send(conn.fd, buffer, 0, 10, 0);
  t.is(sent().length, 1);
  t.is(untilSent(1000).after, 600);
  end(conn);
  finish(t);
});

test.serial("TCP_USER_TIMEOUT ends a connection whose data is not acknowledged", (t) => {
  bootWire();
  const conn = accepted();
  setsockopt(conn.fd, SOL_TCP, TCP_USER_TIMEOUT, 5000);
  send(conn.fd, buffer, 0, 10, 0);
  run(5200);
  t.is(error(conn.fd), 0, "counted from the first retransmission at 201 ms");
  run(1);
  t.is(error(conn.fd), ETIMEDOUT);
  sent();
  close(conn.fd);
  finish(t);
});

test.serial("delayed ACK: quick at first, then after 40 ms, or with the second full segment", (t) => {
  bootWire({ buffers: 512, skbs: 1024 });
  const conn = accepted();
  const data = bytes(1000);
  let quick = 0;
  for (; quick < 40; quick++) {
    give(conn, { payload: data });
    conn.rcv += 1000;
    if (sent().length === 0) break;
    recv(conn.fd, buffer, 0, 20000, 0);
    sent();
  }
  t.true(quick >= 8 && quick <= 20, `${quick} ACKs at once`);
  const delayed = untilSent(500);
  t.is(delayed.after, 40);
  t.like(delayed.segments[0]!, { ack: conn.rcv, flags: ACK });
  t.is(mib(LINUX_MIB_DELAYEDACKS), 1);
  run(20);
  give(conn, { payload: data });
  conn.rcv += 1000;
  t.deepEqual(sent(), []);
  recv(conn.fd, buffer, 0, 20000, 0);
  t.deepEqual(sent(), []);
  give(conn, { payload: data });
  conn.rcv += 1000;
  t.is(sentOne().ack, conn.rcv, "two full segments are acknowledged at once");
  end(conn);
  finish(t);
});

test.serial("delayed ACK: it rides on the reply of an interactive program", (t) => {
  bootWire();
  const conn = accepted();
  for (let i = 0; i < 3; i++) {
    give(conn, { payload: [1, 2, 3], flags: ACK | PSH });
    conn.rcv += 3;
    recv(conn.fd, buffer, 0, 100, 0);
    send(conn.fd, buffer, 0, 5, 0);
    const all = sent();
    conn.snd += 5;
    t.is(all.at(-1)!.ack, conn.rcv);
    if (i > 0) t.is(all.length, 1, "one segment: data and ACK together");
    run(5);
    give(conn, {});
  }
  end(conn);
  finish(t);
});

test.serial("zero window: probes double from the RTO, each of them answered keeps the connection", (t) => {
  bootWire();
  const conn = accepted(1000);
  setsockopt(conn.fd, SOL_TCP, TCP_NODELAY, 1);
  t.is(send(conn.fd, buffer, 0, 2000, 0), 2000);
  const first = sent();
  const flown = first.reduce((sum, s) => sum + s.payload.length, 0);
  t.true(flown > 0 && flown <= 1000);
  run(10);
  conn.snd += flown;
  give(conn, { window: 0 });
  t.deepEqual(sent(), []);
  const info = new Int32Array(26);
  getsockopt(conn.fd, SOL_TCP, TCP_INFO, info);
  let rto = info[2]! / 1000;
  t.true(rto > 200 && rto < 220);
  for (let i = 0; i < 4; i++) {
    const probe = untilSent(10000);
    t.is(probe.after, rto);
    t.like(probe.segments[0]!, { seq: (conn.snd - 1) | 0, payload: [] });
    give(conn, { window: 0 });
    rto *= 2;
  }
  t.is(mib(LINUX_MIB_TCPWINPROBE), 4);
  give(conn, { window: 4000 });
  t.is(sent().reduce((sum, s) => sum + s.payload.length, 0), 2000 - flown, "the window opens: the rest goes at once");
  end(conn);
  finish(t);
});

test.serial("keepalive: after TCP_KEEPIDLE, every TCP_KEEPINTVL, TCP_KEEPCNT times, then a reset", (t) => {
  bootWire();
  const conn = accepted();
  setsockopt(conn.fd, SOL_TCP, TCP_KEEPIDLE, 10);
  setsockopt(conn.fd, SOL_TCP, TCP_KEEPINTVL, 3);
  setsockopt(conn.fd, SOL_TCP, TCP_KEEPCNT, 2);
  setsockopt(conn.fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  const probe = untilSent(20000);
  t.is(probe.after, 10000);
  t.like(probe.segments[0]!, { seq: (conn.snd - 1) | 0, payload: [], flags: ACK });
  give(conn, {});
  t.is(untilSent(20000).after, 10000, "an answer starts the time anew");
  t.is(untilSent(20000).after, 3000);
  const last = untilSent(20000);
  t.is(last.after, 3000);
  t.true((last.segments[0]!.flags & RST) !== 0);
  t.is(mib(LINUX_MIB_TCPKEEPALIVE), 3);
  t.is(error(conn.fd), ETIMEDOUT);
  close(conn.fd);
  finish(t);
});

test.serial("FIN_WAIT2 of an orphan ends after TCP_LINGER2, or as a TIME_WAIT entry after 60 s", (t) => {
  bootWire();
  const conn = accepted();
  setsockopt(conn.fd, SOL_TCP, TCP_LINGER2, 90);
  close(conn.fd);
  t.is(sentOne().flags, FIN | ACK);
  t.is(tcpOrphanCount(), 1);
  conn.snd++;
  give(conn, {});
  run(29000);
  t.is(inetTimewaitCount(), 0, "the sock itself waits for what is over a minute");
  run(1100);
  t.is(inetTimewaitCount(), 1);
  t.is(tcpOrphanCount(), 0);
  run(61000);
  t.is(inetTimewaitCount(), 0);
  t.deepEqual(sent(), []);
  finish(t);
});

test.serial("close with data unread resets; with SO_LINGER 0 too; an orphan's FIN is retransmitted", (t) => {
  bootWire();
  const conn = accepted();
  give(conn, { payload: [1, 2, 3] });
  sent();
  close(conn.fd);
  t.true((sentOne().flags & RST) !== 0);
  const second = accepted();
  close(second.fd);
  t.is(sentOne().flags, FIN | ACK);
  t.is(untilSent(3000).after, 201);
  give(second, { flags: RST | ACK, seq: second.rcv });
  t.is(mib(TCP_MIB_CURRESTAB), 0);
  finish(t);
});

test.serial("half close: what the peer still sends is read, its FIN ends in TIME_WAIT", (t) => {
  bootWire();
  const conn = accepted();
  send(conn.fd, buffer, 0, 5, 0);
  shutdown(conn.fd, SHUT_WR);
  const out = sent();
  t.true(out.some((s) => (s.flags & FIN) !== 0));
  t.true(send(conn.fd, buffer, 0, 1, 0) < 0);
  conn.snd += 6;
  give(conn, {});
  give(conn, { payload: bytes(50) });
  conn.rcv += 50;
  t.is(recv(conn.fd, buffer, 0, 100, 0), 50);
  t.is(recv(conn.fd, buffer, 0, 100, 0), -EAGAIN);
  give(conn, { flags: FIN | ACK });
  t.is(recv(conn.fd, buffer, 0, 100, 0), 0);
  t.is(inetTimewaitCount(), 1);
  close(conn.fd);
  sent();
  finish(t);
});
