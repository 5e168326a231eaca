import test from "ava";
import { Msghdr, msgSetBuffer } from "../../../src/stack/core/sockaddr.ts";
import {
  close, epollCreate1, epollCtl, epollWait, getsockopt, ioctl, recv, recvmsg, send, setsockopt,
} from "../../../src/stack/socket/index.ts";
import { EAGAIN, EINVAL, EPERM } from "../../../src/uapi/errno.ts";
import { SIOCATMARK, SIOCINQ } from "../../../src/uapi/ioctl.ts";
import { EPOLLIN, EPOLLPRI } from "../../../src/uapi/poll.ts";
import { MSG_EOR, MSG_OOB, MSG_PEEK, SO_OOBINLINE, SOL_SOCKET, SOL_TCP } from "../../../src/uapi/socket.ts";
import {
  TCP_CC_INFO, TCP_CM_INQ, TCP_INFO, TCP_INQ, TCP_NODELAY, TCP_NOTSENT_LOWAT, TCP_THIN_DUPACK, TCP_TIMESTAMP,
} from "../../../src/uapi/tcp.ts";
import { accepted, bytes, type Conn, end, give } from "./tcp-peer.ts";
import { ACK, bootWire, dev, finish, PSH, run, segmentBytes, sent, sentOne } from "./tcp-wire.ts";
import { receive } from "./harness.ts";

const POOL = { buffers: 256, skbs: 512 };
const URG = 32;
const buffer = new Uint8Array(20000);

/** A segment with an urgent pointer. */
function giveUrgent(conn: Conn, payload: number[], pointer: number): void {
  const plain = { sport: 5000, dport: 80, seq: conn.rcv, ack: conn.snd, flags: ACK | URG, payload };
  const packet = segmentBytes(plain);
  const view = new DataView(packet.buffer);
  view.setUint16(38, pointer);
  // The checksum falls by what the pointer adds.
  let sum = (view.getUint16(36) ^ 0xffff) + pointer;
  sum = (sum & 0xffff) + (sum >> 16);
  view.setUint16(36, sum ^ 0xffff);
  receive(dev, packet);
  run(0);
  conn.rcv += payload.length;
}

function atMark(fd: number): number {
  const out = new Int32Array(1);
  t0(ioctl(fd, SIOCATMARK, out));
  return out[0]!;
}

function t0(result: number): void {
  if (result !== 0) throw new Error(`ioctl: ${result}`);
}

/** What epoll says of the descriptor now. */
function events(fd: number, wanted: number): number {
  const ep = epollCreate1(0);
  epollCtl(ep, 1, fd, wanted, 7);
  const out = new Int32Array(4);
  const n = epollWait(ep, out, 1);
  close(ep);
  return n === 0 ? 0 : out[0]!;
}

test.serial("an urgent byte is read by MSG_OOB and skipped in the stream, which stops before it", (t) => {
  bootWire(POOL);
  const conn = accepted();
  t.is(recv(conn.fd, buffer, 0, 1, MSG_OOB), -EINVAL);
  giveUrgent(conn, bytes(5), 3);
  t.is(events(conn.fd, EPOLLPRI | EPOLLIN), EPOLLPRI | EPOLLIN);
  t.is(atMark(conn.fd), 0);
  const inq = new Int32Array(1);
  ioctl(conn.fd, SIOCINQ, inq);
  t.is(inq[0], 2, "bytes before the mark");
  t.is(recv(conn.fd, buffer, 0, 100, 0), 2);
  t.deepEqual([...buffer.subarray(0, 2)], [0, 1]);
  t.is(atMark(conn.fd), 1);
  t.is(recv(conn.fd, buffer, 0, 1, MSG_OOB | MSG_PEEK), 1);
  t.is(recv(conn.fd, buffer, 0, 1, MSG_OOB), 1);
  t.is(buffer[0], 2);
  t.is(recv(conn.fd, buffer, 0, 1, MSG_OOB), -EINVAL, "only once");
  t.is(events(conn.fd, EPOLLPRI), 0);
  t.is(atMark(conn.fd), 1, "the mark stays");
  t.is(recv(conn.fd, buffer, 0, 100, MSG_PEEK), 2);
  t.is(recv(conn.fd, buffer, 0, 100, 0), 2);
  t.deepEqual([...buffer.subarray(0, 2)], [3, 4]);
  t.is(atMark(conn.fd), 0);
  end(conn);
  finish(t);
});

test.serial("announced and not come: EAGAIN; a newer urgent byte takes the place of an older one", (t) => {
  bootWire(POOL);
  const conn = accepted();
  giveUrgent(conn, [], 4);
  t.is(recv(conn.fd, buffer, 0, 1, MSG_OOB), -EAGAIN);
  t.is(events(conn.fd, EPOLLPRI), 0);
  giveUrgent(conn, bytes(4), 4);
  t.is(events(conn.fd, EPOLLPRI), EPOLLPRI);
  giveUrgent(conn, bytes(4, 10), 4);
  t.is(recv(conn.fd, buffer, 0, 1, MSG_OOB), 1);
  t.is(buffer[0], 13);
  t.is(recv(conn.fd, buffer, 0, 100, 0), 7, "the older one is in the stream after all");
  t.deepEqual([...buffer.subarray(0, 7)], [0, 1, 2, 3, 10, 11, 12]);
  end(conn);
  finish(t);
});

test.serial("SO_OOBINLINE: the byte is in the stream, after a stop at the mark", (t) => {
  bootWire(POOL);
  const conn = accepted();
  setsockopt(conn.fd, SOL_SOCKET, SO_OOBINLINE, 1);
  giveUrgent(conn, bytes(5), 3);
  t.is(recv(conn.fd, buffer, 0, 1, MSG_OOB), -EINVAL);
  t.is(recv(conn.fd, buffer, 0, 100, 0), 2);
  t.is(atMark(conn.fd), 1);
  t.is(recv(conn.fd, buffer, 0, 100, 0), 3);
  t.deepEqual([...buffer.subarray(0, 3)], [2, 3, 4]);
  give(conn, { payload: bytes(9) });
  conn.rcv += 9;
  t.is(recv(conn.fd, buffer, 0, 100, 0), 9);
  end(conn);
  finish(t);
});

test.serial("send(MSG_OOB): every segment up to the byte has URG and its pointer, and Nagle does not hold it", (t) => {
  bootWire(POOL);
  const conn = accepted();
  const urgents = (): (readonly [number, number])[] => dev.sent.splice(0).map((packet) => {
    const view = new DataView(packet.buffer, packet.byteOffset);
    return [view.getUint8(33) & URG, view.getUint16(38)] as const;
  });
  dev.sent.length = 0;
  send(conn.fd, buffer, 0, 10, 0);
  t.deepEqual(urgents(), [[0, 0]]);
  t.is(send(conn.fd, buffer, 0, 5, MSG_OOB), 5);
  t.deepEqual(urgents(), [[URG, 5]]);
  send(conn.fd, buffer, 0, 1, 0);
  t.deepEqual(urgents(), [[0, 0]], "nor what comes behind it, until it is acknowledged");
  run(300);
  t.deepEqual(urgents()[0], [URG, 15], "what is sent again is urgent too");
  conn.snd += 15;
  give(conn);
  send(conn.fd, buffer, 0, 1, 0);
  t.deepEqual(urgents(), [], "then a small segment waits as ever");
  conn.snd += 1;
  give(conn);
  t.deepEqual(urgents(), [[0, 0]]);
  conn.snd += 1;
  give(conn);
  end(conn);
  finish(t);
});

test.serial("MSG_EOR ends a segment; TCP_INQ tells what is left; TCP_NOTSENT_LOWAT by sysctl", (t) => {
  bootWire(POOL);
  const conn = accepted({ window: 0 });
  send(conn.fd, buffer, 0, 10, MSG_EOR);
  send(conn.fd, buffer, 0, 10, 0);
  send(conn.fd, buffer, 0, 10, 0);
  give(conn, { window: 1000 });
  setsockopt(conn.fd, SOL_TCP, TCP_NODELAY, 1);
  t.deepEqual(sent().map((s) => s.payload.length), [10, 20]);
  conn.snd += 30;
  give(conn);
  t.is(setsockopt(conn.fd, SOL_TCP, TCP_INQ, 2), -EINVAL);
  setsockopt(conn.fd, SOL_TCP, TCP_INQ, 1);
  give(conn, { payload: bytes(7), flags: ACK | PSH });
  conn.rcv += 7;
  const msg = new Msghdr();
  msgSetBuffer(msg, buffer, 0, 3);
  msg.control = new Int32Array(4);
  t.is(recvmsg(conn.fd, msg, 0), 3);
  t.deepEqual([msg.controllen, ...msg.control], [4, SOL_TCP, TCP_CM_INQ, 1, 4]);
  t.is(setsockopt(conn.fd, SOL_TCP, TCP_TIMESTAMP, 1), -EPERM);
  t.is(setsockopt(conn.fd, SOL_TCP, TCP_THIN_DUPACK, 2), -EINVAL);
  t.is(setsockopt(conn.fd, SOL_TCP, TCP_NOTSENT_LOWAT, 100), 0);
  t.is(getsockopt(conn.fd, SOL_TCP, TCP_CC_INFO, new Int32Array(4)), 0);
  end(conn);
  finish(t);
});

test.serial("TCP_INFO counts segments, bytes, timeouts, and what the sender waited for", (t) => {
  bootWire(POOL);
  const conn = accepted({ window: 100 });
  const info = new Int32Array(62);
  send(conn.fd, buffer, 0, 300, 0);
  t.is(sentOne().payload.length, 100);
  run(50);
  t.is(getsockopt(conn.fd, SOL_TCP, TCP_INFO, info), 62);
  t.is(info[36], 200, "notsent_bytes");
  t.is(info[39], 1, "data_segs_out");
  t.is(info[42], 50_000, "busy_time in µs");
  t.is(info[44], 50_000, "rwnd_limited in µs");
  t.is(info[57], 100, "snd_wnd");
  run(200);
  t.is(sent().length, 1);
  getsockopt(conn.fd, SOL_TCP, TCP_INFO, info);
  t.is(info[52], 100, "bytes_retrans");
  t.is(info[50], 200, "bytes_sent");
  t.is(info[60], (1 << 16) | 1, "one timeout, one series of them");
  conn.snd += 100;
  give(conn, { window: 1000, payload: bytes(20) });
  conn.rcv += 20;
  give(conn, { seq: conn.rcv + 10, payload: bytes(5), window: 1000 });
  getsockopt(conn.fd, SOL_TCP, TCP_INFO, info);
  t.is(info[30], 100, "bytes_acked");
  t.is(info[32], 20, "bytes_received");
  t.is(info[38], 2, "data_segs_in");
  t.is(info[56], 1, "rcv_ooopack");
  t.true(info[61]! > 0, "total_rto_time");
  const waited = info[44]!;
  run(100);
  for (let i = 0; i < 2; i++) {
    t.is(sent().filter((s) => s.payload.length === 100).length, 1, "Nagle holds the last one");
    conn.snd += 100;
    give(conn);
  }
  getsockopt(conn.fd, SOL_TCP, TCP_INFO, info);
  t.is(info[44], waited, "the window was open");
  const busy = info[42]!;
  run(1000);
  getsockopt(conn.fd, SOL_TCP, TCP_INFO, info);
  t.is(info[42], busy, "nothing to send");
  end(conn);
  finish(t);
});
