import test from "ava";
import { getsockopt, send } from "../../../src/stack/socket/index.ts";
import { cubicRoot } from "../../../src/stack/ipv4/tcp-cubic.ts";
import { LINUX_MIB_TCPHYSTARTDELAYDETECT, LINUX_MIB_TCPHYSTARTTRAINDETECT } from "../../../src/uapi/snmp.ts";
import { SOL_TCP } from "../../../src/uapi/socket.ts";
import { TCP_INFO } from "../../../src/uapi/tcp.ts";
import { accepted, type Conn, end, give, mib } from "./tcp-peer.ts";
import { bootWire, finish, run, sent } from "./tcp-wire.ts";

const MSS = 1460;
const buffer = new Uint8Array(MSS * 200);
const WSCALE_SYN = [2, 4, 5, 0xb4, 1, 1, 4, 2, 1, 3, 3, 7];

function window(conn: Conn): { cwnd: number; ssthresh: number } {
  const info = new Int32Array(26);
  getsockopt(conn.fd, SOL_TCP, TCP_INFO, info);
  return { cwnd: info[20]!, ssthresh: info[19]! };
}

function opened(): Conn {
  bootWire({ buffers: 1024, skbs: 2048 });
  return accepted({ options: WSCALE_SYN, rtt: 40, window: 4096 });
}

/** Sends, waits, acknowledges all in flight in pairs, `gapMs` apart. */
function round(conn: Conn, rttMs: number, gapMs = 0): void {
  send(conn.fd, buffer, 0, buffer.length, 0);
  const out = sent().filter((s) => s.payload.length > 0).length;
  run(rttMs);
  for (let i = 0; i < out; i += 2) {
    conn.snd = (conn.snd + MSS * Math.min(2, out - i)) | 0;
    give(conn, { window: 4096 });
    if (gapMs > 0) run(gapMs);
  }
}

test.serial("the cube root is exact for every whole number it is asked for", (t) => {
  for (let root = 0; root < 20000; root += 37) {
    t.is(cubicRoot(root ** 3), root);
    if (root > 0) t.is(cubicRoot(root ** 3 - 1), root - 1);
  }
});

test.serial("HyStart: a delay that rises by an eighth ends slow start without a loss", (t) => {
  const conn = opened();
  round(conn, 40);
  t.is(window(conn).cwnd, 20);
  round(conn, 40);
  t.is(mib(LINUX_MIB_TCPHYSTARTDELAYDETECT), 0);
  // What counts as a round of HyStart begins in the middle of one of these.
  round(conn, 60);
  round(conn, 60);
  t.is(mib(LINUX_MIB_TCPHYSTARTDELAYDETECT), 1);
  const { cwnd, ssthresh } = window(conn);
  t.true(ssthresh >= 16 && ssthresh <= cwnd, `ssthresh ${ssthresh}, cwnd ${cwnd}`);
  end(conn);
  finish(t);
});

test.serial("HyStart: ACKs in one train for half the round trip end slow start", (t) => {
  const conn = opened();
  round(conn, 40);
  run(30);
  sent();
  for (let i = 0; i < 30; i++) {
    conn.snd = (conn.snd + MSS * 2) | 0;
    give(conn, { window: 4096 });
    sent();
    run(1);
  }
  t.is(mib(LINUX_MIB_TCPHYSTARTTRAINDETECT), 1);
  end(conn);
  finish(t);
});

test.serial("after a loss the window comes back to where it was along a curve that flattens there", (t) => {
  const conn = opened();
  for (let i = 0; i < 3; i++) round(conn, 40);
  const before = window(conn).cwnd;
  // A timeout forgets the curve; three SACKs do not.
  send(conn.fd, buffer, 0, buffer.length, 0);
  sent();
  run(40);
  const at = conn.snd;
  const word = (n: number): number[] => [(n >>> 24) & 255, (n >> 16) & 255, (n >> 8) & 255, n & 255];
  give(conn, { window: 4096, options: [1, 1, 5, 10, ...word(at + MSS), ...word(at + 4 * MSS)] });
  t.is(window(conn).ssthresh, Math.floor((before * 717) / 1024));
  run(40);
  const info = new Int32Array(26);
  getsockopt(conn.fd, SOL_TCP, TCP_INFO, info);
  conn.snd = (conn.snd + MSS * info[6]!) | 0;
  give(conn, { window: 4096 });
  sent();
  let last = window(conn).cwnd;
  t.true(last < before);
  let rounds = 0;
  for (; rounds < 200 && last < before; rounds++) {
    send(conn.fd, buffer, 0, buffer.length, 0);
    getsockopt(conn.fd, SOL_TCP, TCP_INFO, info);
    sent();
    run(40);
    conn.snd = (conn.snd + MSS * info[6]!) | 0;
    give(conn, { window: 4096 });
    t.true(window(conn).cwnd >= last, "it only grows");
    last = window(conn).cwnd;
  }
  t.true(last >= before && rounds > 5, `${before} again after ${rounds} rounds`);
  end(conn);
  finish(t);
});
