import test from "ava";
import { getsockopt, recv, send } from "../../../src/stack/socket/index.ts";
import {
  LINUX_MIB_TCPDSACKOFOSENT, LINUX_MIB_TCPDSACKOLDSENT, LINUX_MIB_TCPDSACKRECV, LINUX_MIB_TCPDSACKUNDO,
  LINUX_MIB_TCPFASTRETRANS, LINUX_MIB_TCPLOSSPROBERECOVERY, LINUX_MIB_TCPLOSSPROBES, LINUX_MIB_TCPSACKDISCARD,
  LINUX_MIB_TCPSACKRECOVERY, LINUX_MIB_TCPSACKRENEGING, LINUX_MIB_TCPSACKREORDER, LINUX_MIB_TCPSPURIOUSRTOS,
  LINUX_MIB_TCPTIMEOUTS,
} from "../../../src/uapi/snmp.ts";
import { SOL_TCP } from "../../../src/uapi/socket.ts";
import { TCP_CA_DISORDER, TCP_CA_LOSS, TCP_CA_OPEN, TCP_CA_RECOVERY, TCP_INFO } from "../../../src/uapi/tcp.ts";
import { accepted, bytes, type Conn, end, give, mib } from "./tcp-peer.ts";
import { bootWire, finish, run, sent, sentOne } from "./tcp-wire.ts";

const MSS = 1460;
const POOL = { buffers: 256, skbs: 512 };
/** MSS 1460, SACK permitted. */
const SYN_OPTIONS = [2, 4, 5, 0xb4, 1, 1, 4, 2];
const buffer = new Uint8Array(MSS * 40);

function sackConn(rtt = 50): Conn {
  bootWire(POOL);
  return accepted({ options: SYN_OPTIONS, rtt });
}

function word(n: number): number[] {
  return [(n >>> 24) & 255, (n >> 16) & 255, (n >> 8) & 255, n & 255];
}

/** A SACK option; blocks as pairs of segment numbers from `start`. */
function sack(start: number, ...blocks: [number, number][]): number[] {
  return [1, 1, 5, 2 + blocks.length * 8, ...blocks.flatMap(([a, b]) => [...word(start + a * MSS), ...word(start + b * MSS)])];
}

/** The SACK blocks of a segment that the stack sent, relative to `base`. */
function blocksOf(options: readonly number[], base: number): number[][] {
  const out: number[][] = [];
  for (let at = 0; at < options.length;) {
    const kind = options[at]!;
    if (kind === 1) {
      at++;
      continue;
    }
    const length = options[at + 1]!;
    if (kind === 5) {
      const view = new DataView(Uint8Array.from(options).buffer);
      for (let i = at + 2; i < at + length; i += 8) out.push([(view.getInt32(i) - base) | 0, (view.getInt32(i + 4) - base) | 0]);
    }
    at += length;
  }
  return out;
}

interface State {
  ca: number;
  cwnd: number;
  ssthresh: number;
  sacked: number;
  lost: number;
  retrans: number;
}

function state(conn: Conn): State {
  const info = new Int32Array(26);
  getsockopt(conn.fd, SOL_TCP, TCP_INFO, info);
  return { ca: (info[0]! >> 8) & 255, cwnd: info[20]!, ssthresh: info[19]!, sacked: info[7]!, lost: info[8]!, retrans: info[9]! };
}

function segments(start: number): number[] {
  return sent().filter((s) => s.payload.length > 0).map((s) => ((s.seq - start) | 0) / MSS);
}

test.serial("blocks beyond the hole are told, the one that changed last first, at most four (RFC 2018 section 4)", (t) => {
  const conn = sackConn();
  const base = conn.rcv;
  const at = (from: number): void => give(conn, { seq: base + from, payload: bytes(10, from) });
  at(20);
  t.deepEqual(blocksOf(sentOne().options, base), [[20, 30]]);
  at(40);
  t.deepEqual(blocksOf(sentOne().options, base), [[40, 50], [20, 30]]);
  at(60);
  sent();
  at(80);
  sent();
  at(100);
  t.deepEqual(blocksOf(sentOne().options, base), [[100, 110], [80, 90], [60, 70], [40, 50]], "the oldest makes way");
  at(50);
  t.deepEqual(blocksOf(sentOne().options, base), [[40, 70], [100, 110], [80, 90]], "two blocks grow together");
  at(0);
  t.deepEqual(blocksOf(sentOne().options, base).length, 3);
  at(10);
  const ack = sentOne();
  t.is((ack.ack - base) | 0, 30);
  t.deepEqual(blocksOf(ack.options, base), [[40, 70], [100, 110], [80, 90]]);
  give(conn, { seq: base + 30, payload: bytes(80, 30) });
  const last = sentOne();
  t.is((last.ack - base) | 0, 110);
  const into = new Uint8Array(200);
  t.is(recv(conn.fd, into, 0, 200, 0), 110);
  t.deepEqual([...into.subarray(0, 110)], bytes(110));
  conn.rcv = base + 110;
  end(conn);
  finish(t);
});

test.serial("what comes twice is told once by a D-SACK, below and beyond the hole (RFC 2883 section 4)", (t) => {
  const conn = sackConn();
  const base = conn.rcv;
  give(conn, { payload: bytes(10) });
  sent();
  give(conn, { payload: bytes(10) });
  t.deepEqual(blocksOf(sentOne().options, base), [[0, 10]]);
  t.is(mib(LINUX_MIB_TCPDSACKOLDSENT), 1);
  give(conn, { seq: base + 20, payload: bytes(10) });
  t.deepEqual(blocksOf(sentOne().options, base), [[20, 30]]);
  give(conn, { seq: base + 20, payload: bytes(10) });
  t.deepEqual(blocksOf(sentOne().options, base), [[20, 30], [20, 30]]);
  t.is(mib(LINUX_MIB_TCPDSACKOFOSENT), 1);
  give(conn, { seq: base + 40, payload: bytes(10) });
  t.deepEqual(blocksOf(sentOne().options, base), [[40, 50], [20, 30]]);
  end(conn);
  finish(t);
});

test.serial("without SACK-permitted in its SYN the peer gets no blocks", (t) => {
  bootWire(POOL);
  const conn = accepted();
  give(conn, { seq: conn.rcv + 20, payload: bytes(10) });
  t.deepEqual(sentOne().options, []);
  end(conn);
  finish(t);
});

test.serial("three segments sacked beyond a hole: it is repaired, the rest is not sent again", (t) => {
  const conn = sackConn();
  const start = conn.snd;
  send(conn.fd, buffer, 0, MSS * 30, 0);
  t.is(segments(start).length, 10);
  run(50);
  give(conn, { options: sack(start, [1, 2]) });
  t.deepEqual(segments(start), [10], "limited transmit");
  t.like(state(conn), { ca: TCP_CA_DISORDER, sacked: 1, lost: 0 });
  give(conn, { options: sack(start, [1, 3]) });
  t.deepEqual(segments(start), [11]);
  give(conn, { options: sack(start, [1, 4]) });
  t.deepEqual(segments(start), [0]);
  t.like(state(conn), { ca: TCP_CA_RECOVERY, sacked: 3, lost: 1, retrans: 1, ssthresh: 7 });
  t.is(mib(LINUX_MIB_TCPSACKRECOVERY), 1);
  t.is(mib(LINUX_MIB_TCPFASTRETRANS), 1);
  run(50);
  conn.snd = start + MSS * 12;
  give(conn);
  t.like(state(conn), { ca: TCP_CA_OPEN, cwnd: 8, sacked: 0, lost: 0, retrans: 0 }, "the threshold, and one for this ACK");
  t.is(mib(LINUX_MIB_TCPTIMEOUTS), 0);
  end(conn);
  finish(t);
});

test.serial("several holes of one flight go again in order, each once", (t) => {
  const conn = sackConn();
  const start = conn.snd;
  send(conn.fd, buffer, 0, MSS * 10, 0);
  sent();
  run(50);
  give(conn, { options: sack(start, [1, 2], [3, 4], [5, 10]) });
  const again = segments(start);
  t.deepEqual(again[0], 0);
  t.is(state(conn).lost, 3);
  run(40);
  conn.snd = start + MSS * 2;
  give(conn, { options: sack(start, [3, 4], [5, 10]) });
  t.deepEqual([...again, ...segments(start)], [0, 2, 4]);
  conn.snd = start + MSS * 10;
  run(10);
  give(conn);
  t.is(state(conn).ca, TCP_CA_OPEN);
  end(conn);
  finish(t);
});

test.serial("overtaken by one segment only: RACK waits a quarter of the round trip before it counts as lost", (t) => {
  const conn = sackConn(48);
  const start = conn.snd;
  send(conn.fd, buffer, 0, MSS * 2, 0);
  sent();
  run(48);
  give(conn, { options: sack(start, [1, 2]) });
  t.deepEqual(segments(start), []);
  t.is(state(conn).ca, TCP_CA_DISORDER);
  // min_rtt / 4 = 12, and the 2 ms of the shortest timer.
  run(13);
  t.deepEqual(segments(start), []);
  run(1);
  t.deepEqual(segments(start), [0]);
  t.is(state(conn).ca, TCP_CA_RECOVERY);
  end(conn);
  finish(t);
});

test.serial("a hole that fills by itself is reordering, and the retransmission is undone by its D-SACK", (t) => {
  const conn = sackConn();
  const start = conn.snd;
  send(conn.fd, buffer, 0, MSS * 10, 0);
  sent();
  run(50);
  give(conn, { options: sack(start, [1, 5]) });
  t.deepEqual(segments(start)[0], 0);
  t.is(state(conn).ca, TCP_CA_RECOVERY);
  run(5);
  conn.snd = start + MSS * 10;
  give(conn);
  run(45);
  give(conn, { options: sack(start, [0, 1]) });
  t.is(mib(LINUX_MIB_TCPDSACKRECV), 1);
  t.is(mib(LINUX_MIB_TCPDSACKUNDO), 1);
  t.like(state(conn), { ca: TCP_CA_OPEN, cwnd: 10 });
  end(conn);
  finish(t);
});

test.serial("blocks for what was never sent count for nothing", (t) => {
  const conn = sackConn();
  const start = conn.snd;
  send(conn.fd, buffer, 0, MSS * 4, 0);
  sent();
  give(conn, { options: sack(start, [2, 9]) });
  give(conn, { options: sack(start, [3, 2]) });
  t.is(state(conn).sacked, 0);
  t.is(mib(LINUX_MIB_TCPSACKDISCARD), 2);
  end(conn);
  finish(t);
});

test.serial("a peer that takes back what it sacked: after a moment all of it goes again (RFC 2018 section 8)", (t) => {
  const conn = sackConn();
  const start = conn.snd;
  send(conn.fd, buffer, 0, MSS * 4, 0);
  sent();
  run(50);
  give(conn, { options: sack(start, [1, 2]) });
  conn.snd = start + MSS;
  give(conn);
  run(26);
  t.is(mib(LINUX_MIB_TCPSACKRENEGING), 1);
  t.like(state(conn), { ca: TCP_CA_LOSS, sacked: 0 });
  t.is(segments(start)[0], 1);
  end(conn);
  finish(t);
});

test.serial("the tail of a flight is lost: after two round trips the last segment probes, and the loss is accounted", (t) => {
  const conn = sackConn();
  const start = conn.snd;
  send(conn.fd, buffer, 0, MSS * 4, 0);
  sent();
  run(50);
  conn.snd = start + MSS * 3;
  give(conn);
  sent();
  // One segment: 2 srtt and the shortest RTO, but not later than the RTO.
  run(250);
  t.deepEqual(segments(start), [3]);
  t.is(mib(LINUX_MIB_TCPLOSSPROBES) + mib(LINUX_MIB_TCPTIMEOUTS), 1);
  end(conn);
  finish(t);
});

test.serial("a probe that repaired the loss reduces the window; one answered by a D-SACK does not (RFC 8985 section 7.4)", (t) => {
  for (const needless of [true, false]) {
    const conn = sackConn();
    const start = conn.snd;
    send(conn.fd, buffer, 0, MSS * 4, 0);
    sent();
    run(101);
    t.deepEqual(segments(start), []);
    run(1);
    t.deepEqual(segments(start), [3], "2 srtt and 2 ms");
    t.is(mib(LINUX_MIB_TCPLOSSPROBES), 1);
    run(50);
    conn.snd = start + MSS * 4;
    give(conn, needless ? { options: sack(start, [3, 4]) } : {});
    send(conn.fd, buffer, 0, MSS, 0);
    run(20);
    conn.snd = start + MSS * 5;
    give(conn);
    t.is(mib(LINUX_MIB_TCPLOSSPROBERECOVERY), needless ? 0 : 1);
    t.is(state(conn).cwnd < 10, !needless);
    end(conn);
    finish(t);
  }
});

test.serial("F-RTO: when originals are acknowledged after a timeout it was spurious, and the window comes back (RFC 5682)", (t) => {
  const conn = sackConn();
  const start = conn.snd;
  send(conn.fd, buffer, 0, MSS * 20, 0);
  t.is(segments(start).length, 10);
  run(102);
  segments(start);
  run(400);
  t.is(mib(LINUX_MIB_TCPTIMEOUTS), 1);
  t.is(state(conn).ca, TCP_CA_LOSS);
  segments(start);
  conn.snd = start + MSS;
  give(conn);
  conn.snd = start + MSS * 4;
  give(conn);
  t.is(mib(LINUX_MIB_TCPSPURIOUSRTOS), 1);
  t.is(state(conn).ca, TCP_CA_OPEN);
  t.true(state(conn).cwnd >= 10);
  end(conn);
  finish(t);
});

test.serial("original data that arrives behind later data is counted as reordering", (t) => {
  const conn = sackConn();
  const start = conn.snd;
  send(conn.fd, buffer, 0, MSS * 6, 0);
  sent();
  run(50);
  give(conn, { options: sack(start, [2, 3]) });
  give(conn, { options: sack(start, [1, 3]) });
  t.is(mib(LINUX_MIB_TCPSACKREORDER), 1);
  end(conn);
  finish(t);
});
