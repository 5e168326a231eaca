import test from "ava";
import { initNet } from "../../../src/boot.ts";
import { Msghdr, msgSetBuffer } from "../../../src/stack/core/sockaddr.ts";
import { tcpSetDefaultCongestionControl } from "../../../src/stack/ipv4/tcp-cong.ts";
import { close, getsockopt, recv, send, sendmsg, setsockopt, setsockoptBytes, socket } from "../../../src/stack/socket/index.ts";
import { EINVAL, ENOENT, ENOPROTOOPT } from "../../../src/uapi/errno.ts";
import { AF_INET, MSG_MORE, SO_LINGER, SOCK_STREAM, SOL_SOCKET, SOL_TCP } from "../../../src/uapi/socket.ts";
import {
  TCP_CONGESTION, TCP_CORK, TCP_DEFER_ACCEPT, TCP_ESTABLISHED, TCP_INFO, TCP_KEEPCNT, TCP_KEEPIDLE, TCP_KEEPINTVL,
  TCP_LINGER2, TCP_MAXSEG, TCP_MD5SIG, TCP_NODELAY, TCP_NOTSENT_LOWAT, TCP_QUICKACK, TCP_SYNCNT,
  TCP_THIN_LINEAR_TIMEOUTS, TCP_USER_TIMEOUT, TCP_WINDOW_CLAMP,
} from "../../../src/uapi/tcp.ts";
import { accepted, bytes, end, give, listening } from "./tcp-peer.ts";
import { ACK, bootWire, finish, PSH, RST, run, sent, sentOne } from "./tcp-wire.ts";

const buffer = new Uint8Array(20000);
const POOL = { buffers: 256, skbs: 512 };

function get(fd: number, name: number): number {
  const out = new Int32Array(1);
  const n = getsockopt(fd, SOL_TCP, name, out);
  return n < 0 ? n : out[0]!;
}

test.serial("options are read as they were set, wrong values refused, defaults those of Linux", (t) => {
  bootWire(POOL);
  const fd = socket(AF_INET, SOCK_STREAM);
  const cases: readonly (readonly [number, number, number, number])[] = [
    [TCP_NODELAY, 0, 1, 0], [TCP_CORK, 0, 1, 0], [TCP_MAXSEG, 536, 1000, 87], [TCP_KEEPIDLE, 7200, 60, 0],
    [TCP_KEEPINTVL, 75, 5, 32768], [TCP_KEEPCNT, 9, 3, 128], [TCP_SYNCNT, 6, 2, 0], [TCP_LINGER2, 60, 30, 0],
    [TCP_USER_TIMEOUT, 0, 12345, -1], [TCP_WINDOW_CLAMP, 0, 5000, 0], [TCP_NOTSENT_LOWAT, 0, 4096, 0],
    [TCP_DEFER_ACCEPT, 0, 3, 0],
  ];
  for (const [name, before, value, wrong] of cases) {
    t.is(get(fd, name), before, `default of ${name}`);
    t.is(setsockopt(fd, SOL_TCP, name, value), 0);
    t.is(get(fd, name), value, `option ${name}`);
    if (wrong !== 0) t.is(setsockopt(fd, SOL_TCP, name, wrong), -EINVAL);
  }
  t.is(setsockopt(fd, SOL_TCP, TCP_DEFER_ACCEPT, 5), 0);
  t.is(get(fd, TCP_DEFER_ACCEPT), 7, "counted in SYN-ACK periods: 1 + 2 + 4 s");
  t.is(get(fd, TCP_MD5SIG), -ENOPROTOOPT);
  t.is(setsockopt(fd, SOL_TCP, TCP_MD5SIG, 1), -EINVAL);
  t.is(setsockoptBytes(fd, SOL_TCP, TCP_CONGESTION, new TextEncoder().encode("reno")), 0);
  t.is(setsockoptBytes(fd, SOL_TCP, TCP_CONGESTION, new TextEncoder().encode("renoir")), -ENOENT);
  const four = new Uint8Array(4);
  t.is(getsockopt(fd, SOL_TCP, TCP_USER_TIMEOUT, four), 4);
  t.deepEqual([...four], [0x39, 0x30, 0, 0]);
  close(fd);
  finish(t);
});

test.serial("TCP_INFO tells the state, in words and in bytes alike", (t) => {
  bootWire(POOL);
  const conn = accepted({ rtt: 80 });
  const words = new Int32Array(62);
  const raw = new Uint8Array(248);
  t.is(getsockopt(conn.fd, SOL_TCP, TCP_INFO, words), 62);
  t.is(getsockopt(conn.fd, SOL_TCP, TCP_INFO, raw), 248);
  t.is(words[0]! & 255, TCP_ESTABLISHED);
  t.is(words[4], 1460);
  t.is(words[20], 10);
  const view = new DataView(raw.buffer);
  for (let i = 0; i < 62; i++) t.is(view.getInt32(i * 4, true), words[i]!);
  t.is(getsockopt(conn.fd, SOL_TCP, TCP_INFO, new Int32Array(3)), 3, "as much as fits");
  end(conn);
  finish(t);
});

test.serial("TCP_CORK and MSG_MORE hold a small segment back, for 200 ms at most or until told", (t) => {
  bootWire(POOL);
  const conn = accepted();
  setsockopt(conn.fd, SOL_TCP, TCP_CORK, 1);
  send(conn.fd, buffer, 0, 100, 0);
  run(199);
  t.deepEqual(sent(), []);
  send(conn.fd, buffer, 0, 1400, 0);
  t.is(sentOne().payload.length, 1460, "a full one goes");
  setsockopt(conn.fd, SOL_TCP, TCP_CORK, 0);
  t.is(sentOne().payload.length, 40);
  conn.snd += 1500;
  give(conn);
  const msg = new Msghdr();
  msgSetBuffer(msg, buffer, 0, 10);
  t.is(sendmsg(conn.fd, msg, MSG_MORE), 10);
  t.deepEqual(sent(), []);
  run(250);
  t.is(sentOne().payload.length, 10);
  conn.snd += 10;
  give(conn);
  t.is(send(conn.fd, buffer, 0, 5, 0), 5);
  t.like(sentOne(), { flags: ACK | PSH });
  end(conn);
  finish(t);
});

test.serial("TCP_NOTSENT_LOWAT limits what is taken; SO_LINGER 0 makes close a reset; TCP_QUICKACK sends what is owed", (t) => {
  bootWire(POOL);
  const conn = accepted({ window: 2000 });
  setsockopt(conn.fd, SOL_TCP, TCP_NOTSENT_LOWAT, 3000);
  const taken = send(conn.fd, buffer, 0, 20000, 0);
  t.true(taken >= 3000 && taken < 8000, `${taken} taken`);
  sent();
  setsockopt(conn.fd, SOL_TCP, TCP_QUICKACK, 0);
  give(conn, { payload: bytes(10), window: 2000 });
  conn.rcv += 10;
  t.deepEqual(sent(), []);
  setsockopt(conn.fd, SOL_TCP, TCP_QUICKACK, 1);
  recv(conn.fd, buffer, 0, 100, 0);
  t.is(sent().at(-1)!.ack, conn.rcv);
  setsockopt(conn.fd, SOL_SOCKET, SO_LINGER, 1, 0);
  close(conn.fd);
  t.true((sent().at(-1)!.flags & RST) !== 0);
  finish(t);
});

test.serial("net.ipv4.tcp_congestion_control: what new sockets and a listener's children have, unless the program chose", (t) => {
  bootWire(POOL);
  const name = new Uint8Array(16);
  const algorithm = (fd: number): string => {
    const length = getsockopt(fd, SOL_TCP, TCP_CONGESTION, name);
    return new TextDecoder().decode(name.subarray(0, length));
  };
  const reno = new TextEncoder().encode("reno");
  t.is(tcpSetDefaultCongestionControl(initNet, "nosuch"), -ENOENT);
  t.is(tcpSetDefaultCongestionControl(initNet, "re"), -ENOENT);
  t.is(initNet.ipv4.tcpCongestionControl, "cubic");
  const of = (before: string, chosen: boolean, after: string): string => {
    t.is(tcpSetDefaultCongestionControl(initNet, before), 0);
    const listener = listening();
    if (chosen) t.is(setsockoptBytes(listener, SOL_TCP, TCP_CONGESTION, reno), 0);
    t.is(tcpSetDefaultCongestionControl(initNet, after), 0);
    const conn = accepted({ listener });
    const found = algorithm(conn.fd);
    end(conn);
    return found;
  };
  t.is(of("cubic", false, "cubic"), "cubic");
  t.is(of("cubic", false, "reno"), "reno", "a child has the default of its own time");
  t.is(of("cubic", true, "cubic"), "reno", "or what its listener was given");
  t.is(of("reno", true, "cubic"), "reno", "though that was the default");
  finish(t);
});

test.serial("TCP_THIN_LINEAR_TIMEOUTS is read as set, and a child has it of its listener", (t) => {
  bootWire(POOL);
  const listener = listening();
  t.is(get(listener, TCP_THIN_LINEAR_TIMEOUTS), 0);
  t.is(setsockopt(listener, SOL_TCP, TCP_THIN_LINEAR_TIMEOUTS, 2), -EINVAL);
  t.is(setsockopt(listener, SOL_TCP, TCP_THIN_LINEAR_TIMEOUTS, 1), 0);
  const conn = accepted({ listener });
  t.is(get(conn.fd, TCP_THIN_LINEAR_TIMEOUTS), 1);
  end(conn);
  finish(t);
});
