import test from "ava";
import { initNet } from "../../../src/boot.ts";
import { words } from "../../../src/lib/table.ts";
import { SockaddrIn } from "../../../src/stack/core/sockaddr.ts";
import { inetForEachListener } from "../../../src/stack/ipv4/inet-listen-hash.ts";
import { reqskCount } from "../../../src/stack/ipv4/request-sock.ts";
import { TP_TS_RECENT_STAMP } from "../../../src/stack/ipv4/tcp-cold.ts";
import type { TcpSk } from "../../../src/stack/ipv4/tcp-sock.ts";
import { accept4, bind, close, getsockopt, listen, recv, socket } from "../../../src/stack/socket/index.ts";
import { EAGAIN } from "../../../src/uapi/errno.ts";
import {
  LINUX_MIB_SYNCOOKIESFAILED, LINUX_MIB_SYNCOOKIESRECV, LINUX_MIB_SYNCOOKIESSENT, LINUX_MIB_TCPREQQFULLDOCOOKIES,
  LINUX_MIB_TCPREQQFULLDROP,
} from "../../../src/uapi/snmp.ts";
import { AF_INET, SOCK_STREAM, SOL_TCP } from "../../../src/uapi/socket.ts";
import { TCP_INFO, TCPI_OPT_SACK, TCPI_OPT_TIMESTAMPS, TCPI_OPT_WSCALE } from "../../../src/uapi/tcp.ts";
import { ACK, bootWire, finish, inject, PSH, RST, run, type Segment, sent, sentOne, SYN } from "./tcp-wire.ts";

const ISN = 1_000_000;
/** MSS 1460, SACK permitted, timestamps, window scale 7. */
const LINUX_SYN = [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0x10, 0, 0, 0, 0, 0, 1, 3, 3, 7];

const mib = (index: number): number => initNet.mib[index]!;

function server(cookies = 2, backlog = 8): number {
  initNet.ipv4.tcpSyncookies = cookies;
  const fd = socket(AF_INET, SOCK_STREAM);
  bind(fd, new SockaddrIn(0, 80));
  listen(fd, backlog);
  return fd;
}

function syn(sport: number, options: number[] = []): Segment {
  inject({ sport, dport: 80, seq: ISN, flags: SYN, options });
  return sentOne();
}

/** The peer's options echo the timestamp of the SYN-ACK. */
function echo(reply: Segment): number[] {
  const at = reply.options.indexOf(8);
  return [1, 1, 8, 10, 0, 0, 0x10, 5, ...reply.options.slice(at + 2, at + 6)];
}

function acknowledge(sport: number, reply: Segment, more: Partial<Segment> = {}): void {
  inject({ sport, dport: 80, seq: ISN + 1, ack: reply.seq + 1, flags: ACK, ...more });
}

function endByReset(fd: number, sport: number, seq = ISN + 1): void {
  inject({ sport, dport: 80, seq, flags: RST });
  close(fd);
}

function info(fd: number): Int32Array {
  const words = new Int32Array(26);
  getsockopt(fd, SOL_TCP, TCP_INFO, words);
  return words;
}

test.serial("a full SYN queue answers with cookies: no memory until the ACK, then a connection", (t) => {
  bootWire();
  const fd = server(1, 1);
  syn(5000);
  syn(5001);
  const reply = syn(5002);
  t.like(reply, { flags: SYN | ACK, ack: ISN + 1 });
  t.is(reqskCount(), 2, "the third SYN took no request");
  t.is(mib(LINUX_MIB_TCPREQQFULLDOCOOKIES), 1);
  t.is(mib(LINUX_MIB_TCPREQQFULLDROP), 0);
  t.is(mib(LINUX_MIB_SYNCOOKIESSENT), 1);
  run(5000);
  t.false(sent().some((s) => s.dport === 5002), "and is not sent again");
  t.is(accept4(fd, null), -EAGAIN);
  acknowledge(5002, reply, { flags: ACK | PSH, payload: [1, 2, 3] });
  t.is(mib(LINUX_MIB_SYNCOOKIESRECV), 1);
  const conn = accept4(fd, null);
  t.true(conn >= 0);
  t.is(recv(conn, new Uint8Array(10), 0, 10, 0), 3, "the data of the ACK is not lost");
  endByReset(conn, 5002, ISN + 4);
  close(fd);
  finish(t);
});

test.serial("no request left in the machine is a full queue too", (t) => {
  bootWire({ requestSocks: 1 });
  const fd = server(1, 100);
  syn(5000);
  const reply = syn(5001);
  t.is(mib(LINUX_MIB_SYNCOOKIESSENT), 1);
  acknowledge(5001, reply);
  endByReset(accept4(fd, null), 5001);
  close(fd);
  finish(t);
});

test.serial("the MSS is the largest of 536, 1300, 1440, 1460 that the peer takes", (t) => {
  bootWire();
  const fd = server();
  const cases: readonly (readonly [number, number])[] = [
    [0, 536], [500, 536], [536, 536], [1299, 536], [1300, 1300], [1439, 1300], [1440, 1440], [1459, 1440], [1460, 1460],
    [9000, 1460],
  ];
  cases.forEach(([offered, kept], i) => {
    const port = 5000 + i;
    acknowledge(port, syn(port, offered === 0 ? [] : [2, 4, offered >> 8, offered & 255]));
    const conn = accept4(fd, null);
    t.is(info(conn)[4], kept, `offered ${offered}`);
    endByReset(conn, port);
  });
  close(fd);
  finish(t);
});

test.serial("window scale, SACK and timestamps live in the timestamp; without one they are not granted", (t) => {
  bootWire();
  initNet.ipv4.tcpSack = 1;
  const fd = server();
  const cases: readonly (readonly [number[], number, number])[] = [
    [LINUX_SYN, TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE, 7],
    [[8, 10, 0, 0, 0x10, 0, 0, 0, 0, 0, 1, 1], TCPI_OPT_TIMESTAMPS, 0],
    [[8, 10, 0, 0, 0x10, 0, 0, 0, 0, 0, 3, 3, 14], TCPI_OPT_TIMESTAMPS | TCPI_OPT_WSCALE, 14],
    [[8, 10, 0, 0, 0x10, 0, 0, 0, 0, 0, 3, 3, 0], TCPI_OPT_TIMESTAMPS | TCPI_OPT_WSCALE, 0],
    [[8, 10, 0, 0, 0x10, 0, 0, 0, 0, 0, 4, 2], TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK, 0],
    [[4, 2, 3, 3, 7], 0, 0],
  ];
  cases.forEach(([options, expected, shift], i) => {
    run(17);
    const port = 5000 + i;
    const reply = syn(port, options);
    if (expected === 0) t.deepEqual(reply.options, [2, 4, 5, 0xb4], "only the MSS");
    acknowledge(port, reply, { options: expected === 0 ? [] : echo(reply) });
    const conn = accept4(fd, null);
    const word = info(conn)[1]!;
    t.is((word >> 8) & 255, expected, `options of ${String(options)}`);
    t.is((word >> 16) & 15, shift);
    endByReset(conn, port);
  });
  close(fd);
  finish(t);
});

test.serial("a cookie holds for its minute and the next; another number is answered by a reset", (t) => {
  bootWire();
  const fd = server();
  const first = syn(5000);
  acknowledge(5000, { ...first, seq: first.seq + (1 << 20) });
  t.like(sentOne(), { flags: RST });
  t.is(mib(LINUX_MIB_SYNCOOKIESFAILED), 1);
  acknowledge(5001, first);
  t.like(sentOne(), { flags: RST }, "another port");
  run(60_000);
  acknowledge(5000, first);
  endByReset(accept4(fd, null), 5000);
  const late = syn(5002);
  run(119_000);
  syn(5003);
  run(1500);
  acknowledge(5002, late);
  t.like(sentOne(), { flags: RST }, "two minutes are too long");
  t.is(mib(LINUX_MIB_SYNCOOKIESFAILED), 3);
  const last = syn(5004);
  run(121_000);
  acknowledge(5004, last);
  t.like(sentOne(), { flags: RST });
  t.is(mib(LINUX_MIB_SYNCOOKIESFAILED), 3, "no cookie was sent for two minutes: none is looked for");
  close(fd);
  finish(t);
});

test.serial("no cookie counts when they are off, or never had to be used", (t) => {
  bootWire();
  const fd = server();
  const reply = syn(5000);
  initNet.ipv4.tcpSyncookies = 0;
  acknowledge(5000, reply);
  t.like(sentOne(), { flags: RST });
  initNet.ipv4.tcpSyncookies = 1;
  inetForEachListener((sk: TcpSk) => {
    words[sk.tp.cold + TP_TS_RECENT_STAMP] = 0;
  });
  acknowledge(5000, reply);
  t.like(sentOne(), { flags: RST });
  t.is(mib(LINUX_MIB_SYNCOOKIESFAILED), 0);
  close(fd);
  finish(t);
});

test.serial("with the accept queue full the ACK of a cookie is dropped", (t) => {
  bootWire();
  const fd = server(2, 0);
  const first = syn(5000);
  const second = syn(5001);
  acknowledge(5000, first);
  acknowledge(5001, second);
  t.deepEqual(sent(), []);
  endByReset(accept4(fd, null), 5000);
  t.is(accept4(fd, null), -EAGAIN);
  acknowledge(5001, second);
  endByReset(accept4(fd, null), 5001);
  close(fd);
  finish(t);
});
