import test from "ava";
import type { ConfigOptions } from "../../../src/config.ts";
import { allocSkb, consumeSkb, type SkBuff, skbBuffersAvailable } from "../../../src/stack/core/skbuff.ts";
import { close, poll, Pollfd, recv, send, socket } from "../../../src/stack/socket/index.ts";
import { tcpMaxOrphansSet, tcpMemMark, tcpMemSet, tcpOrphanCount } from "../../../src/stack/ipv4/tcp-memory.ts";
import { EAGAIN, EINVAL } from "../../../src/uapi/errno.ts";
import { POLLOUT } from "../../../src/uapi/poll.ts";
import {
  LINUX_MIB_OFOPRUNED, LINUX_MIB_TCPABORTONMEMORY, LINUX_MIB_TCPMEMORYPRESSURES, LINUX_MIB_TCPMEMORYPRESSURESCHRONO, LINUX_MIB_TCPOFODROP,
  LINUX_MIB_TCPRCVQDROP,
} from "../../../src/uapi/snmp.ts";
import { AF_INET, SOCK_STREAM } from "../../../src/uapi/socket.ts";
import { accepted, bytes, type Conn, end, give, listening, mib } from "./tcp-peer.ts";
import { ACK, bootWire, FIN, finish, inject, PSH, RST, run, sent } from "./tcp-wire.ts";

/** The packets of preset small. */
const SMALL: ConfigOptions = { preset: "default", buffers: 13, skbs: 20, rcvbufPackets: 6, sndbufPackets: 4 };
/** Those of preset tiny: 576 bytes MTU. */
const TINY: ConfigOptions = { preset: "default", bufferBytes: 640, buffers: 8, skbs: 10, rcvbufPackets: 3, sndbufPackets: 2 };
const buffer = new Uint8Array(20000);

function random(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

/** Takes every buffer but `left` out of the pool. */
function hoard(left: number): SkBuff[] {
  const held: SkBuff[] = [];
  while (skbBuffersAvailable() > left) {
    const skb = allocSkb(100);
    if (skb === null) break;
    held.push(skb);
  }
  return held;
}

/** The right edge of the window that the last segment sent advertises. */
class Peer {
  edge: number;
  acked: number;
  conn: Conn;

  constructor(conn: Conn, window: number) {
    this.conn = conn;
    this.acked = conn.rcv;
    this.edge = conn.rcv + window;
  }

  /** Reads what was sent: a window must never shrink, and nothing acknowledged is taken back. */
  look(): void {
    for (const s of sent()) {
      if (s.ack < this.acked || s.ack + s.window < this.edge) throw new Error("the window shrank");
      this.acked = s.ack;
      this.edge = s.ack + s.window;
    }
  }
}

function firstWindow(conn: Conn): number {
  give(conn, { seq: conn.rcv - 1 });
  const window = sent().at(-1)!.window;
  run(600);
  return window;
}

for (const [name, pools] of [["small", SMALL], ["tiny", TINY]] as const) {
  test.serial(`${name}: a peer that sends byte by byte to a program that does not read fills the window, no more`, (t) => {
    bootWire(pools);
    const conn = accepted();
    const peer = new Peer(conn, firstWindow(conn));
    const start = conn.rcv;
    let least = skbBuffersAvailable();
    for (;;) {
      if (conn.rcv === peer.edge) {
        run(1000);
        peer.look();
        if (conn.rcv === peer.edge) break;
      }
      give(conn, { payload: bytes(1, conn.rcv - start), flags: ACK | PSH });
      conn.rcv++;
      peer.look();
      least = Math.min(least, skbBuffersAvailable());
    }
    t.is(peer.acked, conn.rcv, "all of it is acknowledged");
    const total = conn.rcv - start;
    t.true(total >= 500 && least >= 2);
    give(conn, { payload: [1] });
    t.is(recv(conn.fd, buffer, 0, 20000, 0), total);
    t.deepEqual([...buffer.subarray(0, total)], bytes(total));
    peer.look();
    t.true(peer.edge - peer.acked >= 500, "reading opens the window by itself");
    t.is(mib(LINUX_MIB_TCPRCVQDROP), 0);
    end(conn);
    finish(t);
  });

  test.serial(`${name}: a peer that sends in any order, in any pieces, is served to the end`, (t) => {
    bootWire(pools);
    const next = random(11);
    const conn = accepted();
    const peer = new Peer(conn, firstWindow(conn));
    const start = conn.rcv;
    let got = 0;
    for (let round = 0; round < 4000 && got < 20000; round++) {
      const room = peer.edge - peer.acked;
      if (room > 0) {
        // Mostly beyond the hole, one time in eight the byte that is next.
        const at = next() % 8 === 0 ? 0 : next() % room;
        const length = 1 + (next() % Math.min(500, room - at));
        const seq = peer.acked + at;
        give(conn, { seq, payload: bytes(length, seq - start) });
      }
      peer.look();
      if (next() % 4 === 0) {
        const n = recv(conn.fd, buffer, 0, 1 + (next() % 1000), 0);
        if (n > 0) {
          t.deepEqual([...buffer.subarray(0, n)], bytes(n, got));
          got += n;
        }
        peer.look();
      }
      if (next() % 16 === 0) run(50);
      t.true(skbBuffersAvailable() >= 1);
      peer.look();
    }
    t.true(got >= 5000, `${got} bytes arrived`);
    inject({ sport: 5000, dport: 80, seq: peer.acked, ack: conn.snd, flags: RST | ACK });
    close(conn.fd);
    finish(t);
  });

  test.serial(`${name}: segments beyond a hole leave the pool its reserve, the nearest ones are kept`, (t) => {
    bootWire(pools);
    const conn = accepted();
    const peer = new Peer(conn, firstWindow(conn));
    const room = peer.edge - peer.acked;
    for (let at = room - 300; at >= 300; at -= 300) give(conn, { seq: conn.rcv + at, payload: bytes(200, at) });
    t.true(skbBuffersAvailable() >= 2);
    if (name === "small") t.true(mib(LINUX_MIB_OFOPRUNED) + mib(LINUX_MIB_TCPOFODROP) > 0);
    sent();
    give(conn, { payload: bytes(room) .slice(0, 500) });
    t.true(sent().at(-1)!.ack >= conn.rcv + 500);
    conn.rcv = conn.rcv + 500;
    inject({ sport: 5000, dport: 80, seq: conn.rcv, ack: conn.snd, flags: RST });
    run(10);
    close(conn.fd);
    inject({ sport: 5000, dport: 80, seq: conn.rcv, ack: conn.snd, flags: RST });
    sent();
    finish(t);
  });
}

test.serial("a receive buffer larger than the pool: what waits beyond a hole still leaves the reserve", (t) => {
  bootWire({ ...SMALL, rcvbufPackets: 30 });
  const conn = accepted();
  const room = firstWindow(conn);
  const full = skbBuffersAvailable();
  for (let at = 300; at + 200 <= room; at += 300) give(conn, { seq: conn.rcv + at, payload: bytes(200, at) });
  t.true(room / 300 > full, "enough segments to take every buffer");
  t.is(skbBuffersAvailable(), 3, "a quarter of 13");
  sent();
  give(conn, { payload: bytes(300) });
  t.is(sent().at(-1)!.ack, conn.rcv + 500);
  conn.rcv += 500;
  t.is(recv(conn.fd, buffer, 0, 20000, 0), 500);
  end(conn);
  finish(t);
});

test.serial("above the pressure mark a window is four segments and does not grow; below the low mark it may again", (t) => {
  bootWire({ preset: "default", buffers: 64, skbs: 128, rcvbufPackets: 40, sndbufPackets: 20, tcpSocks: 6, socks: 6 });
  t.deepEqual([tcpMemMark(0), tcpMemMark(1), tcpMemMark(2)], [24, 36, 48], "a half, three quarters and all that the reserve leaves");
  const conn = accepted();
  const wide = firstWindow(conn);
  t.true(wide > 6 * 1460);
  // Everybody else's packets: not yet too many.
  const few = hoard(34);
  give(conn, { seq: conn.rcv - 1 });
  t.is(mib(LINUX_MIB_TCPMEMORYPRESSURES), 0);
  run(600);
  sent();
  const more = hoard(24);
  // What was advertised is not taken back: the window is used up first.
  for (let left = wide; left > 0; left -= 1000) {
    give(conn, { payload: bytes(1000), flags: ACK | PSH });
    conn.rcv += 1000;
    recv(conn.fd, buffer, 0, 20000, 0);
    run(1);
  }
  t.is(mib(LINUX_MIB_TCPMEMORYPRESSURES), 1, "counted once");
  t.true(sent().at(-1)!.window <= 4 * 1460);
  run(1000);
  for (const skb of [...few, ...more]) consumeSkb(skb);
  for (let i = 0; i < 40; i++) {
    give(conn, { payload: bytes(1460), flags: ACK });
    conn.rcv += 1460;
    recv(conn.fd, buffer, 0, 20000, 0);
    run(1);
  }
  t.true(sent().at(-1)!.window > 6 * 1460);
  t.is(mib(LINUX_MIB_TCPMEMORYPRESSURES), 1);
  t.true(mib(LINUX_MIB_TCPMEMORYPRESSURESCHRONO) >= 1000, "ms that it lasted");
  end(conn);
  finish(t);
});

test.serial("under pressure a writer gets an even share of what data may take, and goes on as its data is acknowledged", (t) => {
  bootWire({ preset: "default", buffers: 64, skbs: 160, rcvbufPackets: 12, sndbufPackets: 60, tcpSocks: 6, socks: 6 });
  const conn = accepted({ window: 1000 });
  const held = hoard(64 - 36);
  const data = new Uint8Array(100_000);
  const taken = send(conn.fd, data, 0, data.length, 0);
  t.is(mib(LINUX_MIB_TCPMEMORYPRESSURES), 1);
  t.true(taken > 0 && skbBuffersAvailable() >= 16, "the reserve stays");
  const others = [listening(), socket(AF_INET, SOCK_STREAM), socket(AF_INET, SOCK_STREAM), socket(AF_INET, SOCK_STREAM)];
  t.is(send(conn.fd, data, 0, 10_000, 0), -EAGAIN, "of five sockets one has its share already");
  t.is(poll([new Pollfd(conn.fd, POLLOUT)], 1), 0);
  for (const fd of others) close(fd);
  for (const skb of held) consumeSkb(skb);
  run(100);
  t.true(send(conn.fd, data, 0, 10_000, 0) > 0, "no pressure, no share");
  t.is(tcpMemSet(3, 2, 9), -EINVAL);
  t.is(tcpMemSet(1, 2, 3), 0);
  t.is(send(conn.fd, data, 0, 10_000, 0), -EAGAIN, "the high mark is net.ipv4.tcp_mem's");
  end(conn);
  finish(t);
});

test.serial("an orphan that holds much of what there is none of is reset when its timer looks; and orphans have a limit", (t) => {
  bootWire({ preset: "default", buffers: 64, skbs: 160, rcvbufPackets: 12, sndbufPackets: 20, tcpSocks: 6, socks: 6 });
  const conn = accepted({ window: 0 });
  const data = new Uint8Array(20_000);
  t.true(send(conn.fd, data, 0, data.length, 0) > 5000);
  close(conn.fd);
  t.is(tcpOrphanCount(), 1);
  run(1000);
  t.is(mib(LINUX_MIB_TCPABORTONMEMORY), 0);
  const held = hoard(10);
  run(20_000);
  t.is(mib(LINUX_MIB_TCPABORTONMEMORY), 1);
  t.is(tcpOrphanCount(), 0);
  t.true((sent().at(-1)!.flags & RST) !== 0);
  for (const skb of held) consumeSkb(skb);
  tcpMaxOrphansSet(0);
  const second = accepted();
  t.is(send(second.fd, data, 0, 100, 0), 100);
  sent();
  close(second.fd);
  t.true((sent().at(-1)!.flags & RST) !== 0);
  t.is(mib(LINUX_MIB_TCPABORTONMEMORY), 2);
  finish(t);
});

test.serial("a writer that the pool refuses hears of room without any ACK", (t) => {
  bootWire(SMALL);
  const conn = accepted();
  const held = hoard(3);
  const entry = new Pollfd(conn.fd, POLLOUT);
  t.is(send(conn.fd, buffer, 0, 100, 0), -EAGAIN);
  t.is(poll([entry], 1), 0);
  run(200);
  t.is(poll([entry], 1), 0);
  for (const skb of held) consumeSkb(skb);
  run(25);
  t.is(poll([entry], 1), 1);
  t.is(send(conn.fd, buffer, 0, 100, 0), 100);
  t.is(sent().length, 1);
  end(conn);
  finish(t);
});

test.serial("without any buffer the FIN of close waits, and then goes", (t) => {
  bootWire(SMALL);
  const conn = accepted();
  const held = hoard(0);
  close(conn.fd);
  t.deepEqual(sent(), []);
  run(500);
  for (const skb of held) consumeSkb(skb);
  run(25);
  t.is(sent()[0]!.flags, FIN | ACK);
  conn.snd++;
  give(conn);
  finish(t);
});

test.serial("without any buffer an ACK waits, and then goes", (t) => {
  bootWire(SMALL);
  const conn = accepted();
  const held = hoard(1);
  give(conn, { payload: bytes(10) });
  conn.rcv += 10;
  t.deepEqual(sent(), []);
  for (const skb of held) consumeSkb(skb);
  run(210);
  t.is(sent().at(-1)!.ack, conn.rcv);
  end(conn);
  finish(t);
});
