import test from "ava";
import { initNet } from "../../../src/boot.ts";
import { close, ioctl, poll, Pollfd, recv, send, setsockopt, shutdown } from "../../../src/stack/socket/index.ts";
import { EAGAIN, ECONNRESET, EPIPE } from "../../../src/uapi/errno.ts";
import { SIOCINQ, SIOCOUTQ, SIOCOUTQNSD } from "../../../src/uapi/ioctl.ts";
import { POLLHUP, POLLIN, POLLOUT, POLLRDHUP } from "../../../src/uapi/poll.ts";
import { MSG_PEEK, MSG_TRUNC, SHUT_RDWR, SO_RCVLOWAT, SOL_SOCKET } from "../../../src/uapi/socket.ts";
import {
  LINUX_MIB_PAWSESTABREJECTED, LINUX_MIB_TCPACKSKIPPEDCHALLENGE, LINUX_MIB_TCPCHALLENGEACK, LINUX_MIB_TCPHPHITS,
  LINUX_MIB_TCPOFOQUEUE, LINUX_MIB_TCPRCVCOALESCE, LINUX_MIB_TCPSYNCHALLENGE, TCP_MIB_ESTABRESETS,
} from "../../../src/uapi/snmp.ts";
import { accepted, bytes, end, give, mib, pendingError } from "./tcp-peer.ts";
import { ACK, bootWire, FIN, finish, PSH, RST, run, sent, sentOne, SYN } from "./tcp-wire.ts";

const buffer = new Uint8Array(70000);
const POOL = { buffers: 512, skbs: 1024 };

function events(fd: number): number {
  const entry = new Pollfd(fd, POLLIN | POLLOUT | POLLRDHUP);
  poll([entry], 1);
  return entry.revents;
}

function inq(fd: number, what: number): number {
  const out = new Int32Array(1);
  ioctl(fd, what, out);
  return out[0]!;
}

test.serial("a reset counts only at rcvNxt; elsewhere in the window it is challenged, outside ignored (RFC 5961)", (t) => {
  bootWire(POOL);
  const conn = accepted();
  give(conn, { seq: conn.rcv + 100, flags: RST });
  t.like(sentOne(), { flags: ACK, ack: conn.rcv, seq: conn.snd });
  t.is(mib(LINUX_MIB_TCPCHALLENGEACK), 1);
  give(conn, { seq: conn.rcv + 101, flags: RST });
  t.deepEqual(sent(), [], "one challenge in 500 ms");
  t.is(mib(LINUX_MIB_TCPACKSKIPPEDCHALLENGE), 1);
  run(501);
  give(conn, { seq: conn.rcv - 70000, flags: RST });
  t.deepEqual(sent(), []);
  t.is(pendingError(conn.fd), 0);
  give(conn, { flags: RST });
  t.is(mib(TCP_MIB_ESTABRESETS), 1);
  t.is(recv(conn.fd, buffer, 0, 10, 0), -ECONNRESET);
  t.is(recv(conn.fd, buffer, 0, 10, 0), 0, "the error is told once");
  t.is(send(conn.fd, buffer, 0, 10, 0), -EPIPE);
  t.true((events(conn.fd) & POLLHUP) !== 0);
  close(conn.fd);
  finish(t);
});

test.serial("a SYN in the window is challenged, whatever its number", (t) => {
  bootWire(POOL);
  const conn = accepted();
  give(conn, { flags: SYN, seq: conn.rcv + 5 });
  t.like(sentOne(), { flags: ACK, ack: conn.rcv });
  run(600);
  give(conn, { flags: SYN, seq: conn.rcv - 5 });
  t.is(sent().length, 1);
  t.is(mib(LINUX_MIB_TCPSYNCHALLENGE), 2);
  end(conn);
  finish(t);
});

test.serial("acknowledgments of what was never sent, or long ago, are challenged and their data is not taken", (t) => {
  bootWire(POOL);
  const conn = accepted();
  give(conn, { ack: conn.snd + 1, payload: [1] });
  t.like(sentOne(), { flags: ACK, ack: conn.rcv });
  run(600);
  give(conn, { ack: conn.snd - 70000, payload: [1] });
  t.is(sent().length, 1);
  t.is(recv(conn.fd, buffer, 0, 10, 0), -EAGAIN);
  end(conn);
  finish(t);
});

test.serial("data in order, repeated, partly repeated, out of order, beyond the window", (t) => {
  bootWire(POOL);
  const conn = accepted();
  const start = conn.rcv;
  give(conn, { payload: bytes(100) });
  give(conn, { payload: bytes(100) });
  t.is(sent().at(-1)!.ack, start + 100, "old data is acknowledged again");
  give(conn, { seq: start + 50, payload: bytes(100, 50) });
  t.is(inq(conn.fd, SIOCINQ), 150);
  give(conn, { seq: start + 300, payload: bytes(100, 300) });
  t.is(sent().at(-1)!.ack, start + 150, "a hole is told at once");
  give(conn, { seq: start + 250, payload: bytes(100, 250) });
  give(conn, { seq: start + 500, payload: bytes(100, 500) });
  give(conn, { seq: start + 380, payload: bytes(130, 380) });
  t.is(mib(LINUX_MIB_TCPOFOQUEUE), 4);
  t.is(inq(conn.fd, SIOCINQ), 150);
  give(conn, { seq: start + 150, payload: bytes(100, 150) });
  t.is(sent().at(-1)!.ack, start + 600);
  t.is(recv(conn.fd, buffer, 0, 1000, 0), 600);
  t.deepEqual([...buffer.subarray(0, 600)], bytes(600));
  give(conn, { seq: start + 70000, payload: [1] });
  t.is(sentOne().ack, start + 600);
  t.is(recv(conn.fd, buffer, 0, 1000, 0), -EAGAIN);
  conn.rcv = start + 600;
  end(conn);
  finish(t);
});

test.serial("a FIN out of order ends the stream only when the hole is filled", (t) => {
  bootWire(POOL);
  const conn = accepted();
  const start = conn.rcv;
  give(conn, { seq: start + 10, flags: FIN | ACK, payload: bytes(10, 10) });
  t.is(recv(conn.fd, buffer, 0, 100, 0), -EAGAIN);
  give(conn, { payload: bytes(10) });
  t.is(sent().at(-1)!.ack, start + 21);
  t.is(inq(conn.fd, SIOCINQ), 20);
  t.is(recv(conn.fd, buffer, 0, 100, 0), 20);
  t.is(recv(conn.fd, buffer, 0, 100, 0), 0);
  t.is(recv(conn.fd, buffer, 0, 100, 0), 0);
  conn.rcv = start + 21;
  t.is(send(conn.fd, buffer, 0, 5, 0), 5, "we may still send");
  t.is(events(conn.fd) & (POLLIN | POLLOUT | POLLRDHUP), POLLIN | POLLOUT | POLLRDHUP);
  conn.snd += 5;
  give(conn);
  close(conn.fd);
  t.true(sent().some((s) => (s.flags & FIN) !== 0));
  conn.snd++;
  give(conn);
  finish(t);
});

test.serial("PAWS: an old timestamp is answered and dropped, the echo is the last in-order one", (t) => {
  bootWire(POOL);
  const stamp = (value: number, echo: number): number[] => {
    const out = new Uint8Array(12);
    const view = new DataView(out.buffer);
    view.setUint32(0, 0x0101080a);
    view.setInt32(4, value);
    view.setInt32(8, echo);
    return [...out];
  };
  const conn = accepted({ options: [2, 4, 5, 0xb4, ...stamp(100, 0)], ackOptions: stamp(101, 0) });
  give(conn, { options: stamp(200, 0), payload: bytes(10) });
  conn.rcv += 10;
  const reply = sent().at(-1)!;
  t.is(new DataView(new Uint8Array(reply.options).buffer).getInt32(8), 200);
  give(conn, { options: stamp(150, 0), payload: bytes(10) });
  t.is(mib(LINUX_MIB_PAWSESTABREJECTED), 1);
  t.is(sent().at(-1)!.ack, conn.rcv);
  t.is(recv(conn.fd, buffer, 0, 100, 0), 10);
  give(conn, { options: stamp(201, 0), payload: bytes(10) });
  conn.rcv += 10;
  t.is(recv(conn.fd, buffer, 0, 100, 0), 10);
  give(conn, { options: stamp(300, 0), flags: RST | ACK });
  close(conn.fd);
  finish(t);
});

test.serial("header prediction takes what is next in order; small segments share a buffer", (t) => {
  bootWire(POOL);
  const conn = accepted();
  for (let i = 0; i < 100; i++) {
    give(conn, { payload: [i], flags: ACK | PSH });
    conn.rcv++;
  }
  t.true(mib(LINUX_MIB_TCPHPHITS) >= 99);
  t.true(mib(LINUX_MIB_TCPRCVCOALESCE) >= 99);
  t.is(recv(conn.fd, buffer, 0, 1000, 0), 100);
  t.deepEqual([...buffer.subarray(0, 100)], bytes(100));
  end(conn);
  finish(t);
});

test.serial("MSG_PEEK, MSG_TRUNC, SO_RCVLOWAT, SIOCOUTQ", (t) => {
  bootWire(POOL);
  const conn = accepted();
  setsockopt(conn.fd, SOL_SOCKET, SO_RCVLOWAT, 20);
  give(conn, { payload: bytes(10) });
  conn.rcv += 10;
  t.is(events(conn.fd) & POLLIN, 0);
  give(conn, { payload: bytes(1400, 10) });
  conn.rcv += 1400;
  give(conn, { payload: bytes(1400, 1410) });
  conn.rcv += 1400;
  t.is(events(conn.fd) & POLLIN, POLLIN);
  t.is(recv(conn.fd, buffer, 0, 2000, MSG_PEEK), 2000);
  t.deepEqual([...buffer.subarray(0, 2000)], bytes(2000));
  t.is(recv(conn.fd, buffer, 0, 1500, MSG_TRUNC), 1500);
  t.is(recv(conn.fd, buffer, 0, 5000, 0), 1310);
  t.deepEqual([...buffer.subarray(0, 1310)], bytes(1310, 1500));
  t.is(send(conn.fd, buffer, 0, 1460 * 12, 0), 1460 * 12);
  t.is(inq(conn.fd, SIOCOUTQ), 1460 * 12);
  t.is(inq(conn.fd, SIOCOUTQNSD), 1460 * 2);
  end(conn);
  finish(t);
});

test.serial("simultaneous close: both FINs cross, CLOSING, TIME_WAIT", (t) => {
  bootWire(POOL);
  const conn = accepted();
  shutdown(conn.fd, SHUT_RDWR);
  t.is(sentOne().flags, FIN | ACK);
  give(conn, { flags: FIN | ACK });
  conn.rcv++;
  t.is(sent().at(-1)!.ack, conn.rcv);
  conn.snd++;
  give(conn);
  t.is(recv(conn.fd, buffer, 0, 10, 0), 0);
  close(conn.fd);
  t.deepEqual(sent(), []);
  finish(t);
});

test.serial("data for a closed socket is reset", (t) => {
  bootWire(POOL);
  const conn = accepted();
  close(conn.fd);
  sent();
  give(conn, { payload: [1, 2, 3] });
  t.true((sent().at(-1)!.flags & RST) !== 0);
  t.is(initNet.mib[LINUX_MIB_TCPCHALLENGEACK], 0);
  finish(t);
});
