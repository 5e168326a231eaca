import test from "ava";
import { initNet } from "../../../src/boot.ts";
import { Msghdr } from "../../../src/stack/core/sockaddr.ts";
import { getsockopt, recv, recvmsg, setsockopt } from "../../../src/stack/socket/index.ts";
import { TCP_INFO_WORDS, TCPI_RCV_RTT, TCPI_RCV_WND } from "../../../src/stack/ipv4/tcp-info.ts";
import { SCM_TIMESTAMP, SO_RCVBUF, SO_TIMESTAMP, SOL_SOCKET, SOL_TCP } from "../../../src/uapi/socket.ts";
import { TCP_INFO } from "../../../src/uapi/tcp.ts";
import { accepted, bytes, type Conn, end, give } from "./tcp-peer.ts";
import { bootWire, finish, now, run, sent } from "./tcp-wire.ts";

const POOL = { buffers: 128, skbs: 256, rcvbufPackets: 4 };
const GROWING = { ...POOL, rcvbufMaxPackets: 32 };
/** 1536 bytes, and the overhead that each counts. */
const MOST = 32 * 2048;
const MSS = 1460;
/** MSS 1460, window scale 2. */
const SYN_OPTIONS = [2, 4, 5, 0xb4, 1, 3, 3, 2];
const RTT = 20;
const buffer = new Uint8Array(100000);
const info = new Int32Array(TCP_INFO_WORDS);

function rcvbuf(conn: Conn): number {
  const out = new Int32Array(1);
  getsockopt(conn.fd, SOL_SOCKET, SO_RCVBUF, out);
  return out[0]!;
}

/** The window that the peer may fill: all it sent is acknowledged. */
function window(conn: Conn): number {
  getsockopt(conn.fd, SOL_TCP, TCP_INFO, info);
  return info[TCPI_RCV_WND]!;
}

/** tcpi_rcv_rtt in ms. */
function rcvRtt(conn: Conn): number {
  getsockopt(conn.fd, SOL_TCP, TCP_INFO, info);
  return info[TCPI_RCV_RTT]! / 1000;
}

/** In each of so many round trips the peer fills the window, and the program reads all. */
function stream(conn: Conn, rounds: number): void {
  for (let round = 0; round < rounds; round++) {
    for (let left = window(conn); left >= MSS; left -= MSS) {
      give(conn, { payload: bytes(MSS) });
      conn.rcv += MSS;
    }
    recv(conn.fd, buffer, 0, buffer.length, 0);
    run(RTT);
    sent();
  }
}

test.serial("the buffer of a reader that keeps up grows, up to rcvbufMaxPackets, and the window with it", (t) => {
  bootWire(GROWING);
  const conn = accepted({ rtt: RTT, options: SYN_OPTIONS });
  const first = rcvbuf(conn);
  const narrow = window(conn);
  let before = first;
  for (let round = 0; round < 20; round++) {
    stream(conn, 1);
    const now = rcvbuf(conn);
    t.true(now >= before && now <= MOST, `${before}, then ${now}`);
    before = now;
  }
  t.is(before, MOST);
  t.is(window(conn), (MOST >> 1) - ((MOST >> 1) % MSS));
  t.true(window(conn) > narrow);
  end(conn);
  finish(t);
});

test.serial("a slow reader's buffer, one the program has set, and all with tcp_moderate_rcvbuf=0 stay", (t) => {
  bootWire(GROWING);
  const slow = accepted({ rtt: RTT, options: SYN_OPTIONS });
  const first = rcvbuf(slow);
  // Each round trip the peer has a full segment more, and the program reads the half of it.
  for (let i = 0; i < 20 && window(slow) >= MSS; i++) {
    give(slow, { payload: bytes(MSS) });
    slow.rcv += MSS;
    recv(slow.fd, buffer, 0, MSS >> 1, 0);
    run(RTT);
  }
  t.true(window(slow) < MSS);
  t.is(rcvbuf(slow), first);
  end(slow);
  sent();
  const fixed = accepted({ rtt: RTT, options: SYN_OPTIONS, rcvbuf: 4096 });
  const chosen = rcvbuf(fixed);
  stream(fixed, 20);
  t.is(rcvbuf(fixed), chosen);
  end(fixed);
  sent();
  initNet.ipv4.tcpModerateRcvbuf = 0;
  const off = accepted({ rtt: RTT, options: SYN_OPTIONS });
  stream(off, 20);
  t.is(rcvbuf(off), first);
  end(off);
  finish(t);
});

test.serial("without timestamps the time in which the peer fills a window is the round trip, the shortest that was seen", (t) => {
  bootWire(POOL);
  const conn = accepted({ rtt: RTT, options: SYN_OPTIONS });
  t.is(rcvRtt(conn), 0);
  let edge = 0;
  const rounds: [number, number][] = [[30, 30], [5, 5], [50, 5]];
  for (const [interval, shortest] of rounds) {
    // The first segment that goes to the edge of the window ends a measurement, and begins the next.
    let spent = 0;
    do {
      give(conn, { payload: bytes(MSS) });
      conn.rcv += MSS;
      if (edge === 0) edge = conn.rcv + window(conn);
      if (conn.rcv >= edge) break;
      recv(conn.fd, buffer, 0, MSS, 0);
      run(interval);
      spent += interval;
    } while (conn.rcv < edge + 1);
    t.true(spent > 0);
    const measured = rcvRtt(conn);
    t.true(interval === shortest ? measured === spent : measured < spent, `${measured} ms in rounds of ${interval}`);
    edge = conn.rcv + window(conn);
    recv(conn.fd, buffer, 0, MSS, 0);
  }
  sent();
  end(conn);
  finish(t);
});

test.serial("without room to grow nothing grows", (t) => {
  bootWire(POOL);
  const conn = accepted({ rtt: RTT, options: SYN_OPTIONS });
  const first = rcvbuf(conn);
  stream(conn, 20);
  t.is(rcvbuf(conn), first);
  end(conn);
  finish(t);
});

test.serial("SO_TIMESTAMP: when the last segment read had arrived, though another filled the hole before it later", (t) => {
  bootWire(POOL);
  const conn = accepted();
  setsockopt(conn.fd, SOL_SOCKET, SO_TIMESTAMP, 1);
  give(conn, { seq: conn.rcv + 100, payload: bytes(100) });
  const arrived = now();
  run(35);
  give(conn, { payload: bytes(100) });
  conn.rcv += 200;
  const msg = new Msghdr();
  msg.control = new Int32Array(8);
  msg.controllen = 8;
  msg.iovlen = 1;
  msg.iovBase[0] = buffer;
  msg.iovOffset[0] = 0;
  msg.iovLength[0] = 200;
  t.is(recvmsg(conn.fd, msg, 0), 200);
  t.deepEqual([...msg.control.subarray(0, msg.controllen)], [SOL_SOCKET, SCM_TIMESTAMP, 2, Math.floor(arrived / 1000), (arrived % 1000) * 1000]);
  sent();
  end(conn);
  finish(t);
});
