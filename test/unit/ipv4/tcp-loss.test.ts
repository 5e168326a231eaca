import test from "ava";
import { getsockopt, send, setsockopt, setsockoptBytes } from "../../../src/stack/socket/index.ts";
import { ENOENT } from "../../../src/uapi/errno.ts";
import { SOL_TCP } from "../../../src/uapi/socket.ts";
import {
  LINUX_MIB_TCPFASTRETRANS, LINUX_MIB_TCPRENORECOVERY, LINUX_MIB_TCPSLOWSTARTRETRANS, LINUX_MIB_TCPTIMEOUTS,
  TCP_MIB_RETRANSSEGS,
} from "../../../src/uapi/snmp.ts";
import {
  TCP_CA_DISORDER, TCP_CA_LOSS, TCP_CA_OPEN, TCP_CA_RECOVERY, TCP_CONGESTION, TCP_INFO, TCP_NODELAY,
} from "../../../src/uapi/tcp.ts";
import { accepted, type Conn, end, give, mib } from "./tcp-peer.ts";
import { bootWire, finish, run, sent } from "./tcp-wire.ts";

const MSS = 1460;
const buffer = new Uint8Array(MSS * 40);
const POOL = { buffers: 256, skbs: 512 };

interface State {
  ca: number;
  cwnd: number;
  ssthresh: number;
}

function state(conn: Conn): State {
  const info = new Int32Array(26);
  getsockopt(conn.fd, SOL_TCP, TCP_INFO, info);
  return { ca: (info[0]! >> 8) & 255, cwnd: info[20]!, ssthresh: info[19]! };
}

/** What was sent, as numbers of segments from the start of the stream. */
function segments(start: number): number[] {
  return sent().filter((s) => s.payload.length > 0).map((s) => ((s.seq - start) | 0) / MSS);
}

test.serial("slow start: ten segments, then two for each one acknowledged", (t) => {
  bootWire(POOL);
  const conn = accepted();
  const start = conn.snd;
  t.is(send(conn.fd, buffer, 0, MSS * 30, 0), MSS * 30);
  t.deepEqual(segments(start), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  run(50);
  conn.snd = start + MSS * 2;
  give(conn);
  t.deepEqual(segments(start), [10, 11, 12, 13]);
  t.like(state(conn), { ca: TCP_CA_OPEN, cwnd: 12 });
  end(conn);
  finish(t);
});

test.serial("three duplicate ACKs: the first two let new data out, the third brings the lost segment, partial ACKs the next", (t) => {
  bootWire(POOL);
  const conn = accepted();
  const start = conn.snd;
  send(conn.fd, buffer, 0, MSS * 30, 0);
  t.is(segments(start).length, 10);
  run(50);
  give(conn);
  t.deepEqual(segments(start), [10], "limited transmit (RFC 3042)");
  t.is(state(conn).ca, TCP_CA_DISORDER);
  give(conn);
  t.deepEqual(segments(start), [11]);
  give(conn);
  t.deepEqual(segments(start), [0], "fast retransmit");
  t.like(state(conn), { ca: TCP_CA_RECOVERY, ssthresh: 7 }, "CUBIC keeps 0.7 of the window (RFC 9438 section 4.6)");
  t.is(mib(LINUX_MIB_TCPRENORECOVERY), 1);
  t.is(mib(LINUX_MIB_TCPFASTRETRANS), 1);
  for (let i = 0; i < 6; i++) give(conn);
  segments(start);
  run(50);
  conn.snd = start + MSS * 4;
  give(conn);
  t.true(segments(start).includes(4), "a partial ACK shows the next hole (RFC 6582)");
  run(50);
  conn.snd = start + MSS * 30;
  conn.snd = start + MSS * 12;
  give(conn);
  segments(start);
  run(20);
  conn.snd = start + MSS * 13;
  give(conn);
  t.is(state(conn).ca, TCP_CA_OPEN);
  t.is(mib(LINUX_MIB_TCPTIMEOUTS), 0);
  t.is(state(conn).cwnd >= 5, true);
  end(conn);
  finish(t);
});

test.serial("RTO: everything counts as lost and goes again by slow start from one segment", (t) => {
  bootWire(POOL);
  const conn = accepted();
  const start = conn.snd;
  send(conn.fd, buffer, 0, MSS * 10, 0);
  t.is(segments(start).length, 10);
  run(201);
  t.deepEqual(segments(start), [0]);
  t.like(state(conn), { ca: TCP_CA_LOSS, cwnd: 1, ssthresh: 7 });
  run(50);
  conn.snd = start + MSS;
  give(conn);
  t.deepEqual(segments(start), [1, 2]);
  run(50);
  conn.snd = start + MSS * 3;
  give(conn);
  t.deepEqual(segments(start), [3, 4, 5, 6]);
  t.is(mib(LINUX_MIB_TCPSLOWSTARTRETRANS) + 1, mib(TCP_MIB_RETRANSSEGS));
  run(50);
  conn.snd = start + MSS * 10;
  give(conn);
  t.deepEqual(segments(start), []);
  t.is(state(conn).ca, TCP_CA_LOSS, "held at exactly highSeq (RFC 6582 section 4.1)");
  send(conn.fd, buffer, 0, MSS, 0);
  t.deepEqual(segments(start), [10]);
  conn.snd = start + MSS * 11;
  give(conn);
  t.is(state(conn).ca, TCP_CA_OPEN);
  end(conn);
  finish(t);
});

test.serial("an ACK with a new window or with data is no duplicate", (t) => {
  bootWire(POOL);
  const conn = accepted();
  const start = conn.snd;
  send(conn.fd, buffer, 0, MSS * 10, 0);
  t.is(segments(start).length, 10);
  for (let i = 0; i < 5; i++) {
    give(conn, { payload: [i] });
    conn.rcv++;
    give(conn, { window: 65535 - i });
  }
  t.is(mib(LINUX_MIB_TCPFASTRETRANS), 0);
  t.is(state(conn).ca, TCP_CA_OPEN);
  end(conn);
  finish(t);
});

test.serial("after an idle time of many RTOs the window is the initial one again", (t) => {
  bootWire(POOL);
  const conn = accepted();
  const start = conn.snd;
  send(conn.fd, buffer, 0, MSS * 30, 0);
  for (let acked = 2; acked <= 30; acked += 2) {
    run(5);
    conn.snd = start + MSS * acked;
    give(conn);
  }
  t.true(state(conn).cwnd > 20);
  run(60000);
  sent();
  send(conn.fd, buffer, 0, MSS * 15, 0);
  t.is(segments(start).length, 10);
  end(conn);
  finish(t);
});

test.serial("Nagle: a small segment waits for the one in flight, not with TCP_NODELAY", (t) => {
  bootWire(POOL);
  const conn = accepted();
  send(conn.fd, buffer, 0, 10, 0);
  t.is(sent().length, 1);
  send(conn.fd, buffer, 0, 10, 0);
  send(conn.fd, buffer, 0, 10, 0);
  t.is(sent().length, 0);
  run(30);
  conn.snd += 10;
  give(conn);
  t.is(sent()[0]!.payload.length, 20, "both writes in one segment");
  setsockopt(conn.fd, SOL_TCP, TCP_NODELAY, 1);
  send(conn.fd, buffer, 0, 10, 0);
  t.is(sent().length, 1);
  end(conn);
  finish(t);
});

test.serial("the congestion control has a name, and only known ones can be chosen", (t) => {
  bootWire(POOL);
  const conn = accepted();
  const name = new Uint8Array(16);
  t.is(getsockopt(conn.fd, SOL_TCP, TCP_CONGESTION, name), 5);
  t.is(new TextDecoder().decode(name.subarray(0, 5)), "cubic");
  t.is(setsockoptBytes(conn.fd, SOL_TCP, TCP_CONGESTION, new TextEncoder().encode("reno")), 0);
  t.is(getsockopt(conn.fd, SOL_TCP, TCP_CONGESTION, name), 4);
  t.is(setsockoptBytes(conn.fd, SOL_TCP, TCP_CONGESTION, new TextEncoder().encode("nonesuch")), -ENOENT);
  end(conn);
  finish(t);
});
