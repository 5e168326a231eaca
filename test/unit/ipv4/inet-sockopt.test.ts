/** The part socketOptions: what its options do. That they answer as Linux's do is linux-options.test.ts's and linux-udp-sockets.test.ts's. */
import test from "ava";
import { socketOptions } from "../../../src/socket-options.ts";
import { ipRouteAdd, ipRouteDel } from "../../../src/stack/ipv4/fib-frontend.ts";
import { sockfdLookup } from "../../../src/stack/socket/files.ts";
import {
  accept4, bind, close, connect, getsockname, getsockopt, listen, Msghdr, msgSetBuffer, recv, recvmsg, send, sendto, setsockopt, SockaddrIn,
} from "../../../src/stack/socket/index.ts";
import { EADDRNOTAVAIL, EAGAIN, EINPROGRESS, EINVAL, ENETUNREACH, ENOPROTOOPT } from "../../../src/uapi/errno.ts";
import {
  IP_BIND_ADDRESS_NO_PORT, IP_LOCAL_PORT_RANGE, IP_MINTTL, IP_ORIGDSTADDR, IP_RECVORIGDSTADDR, IP_TTL, IP_UNICAST_IF,
} from "../../../src/uapi/in.ts";
import { LINUX_MIB_TCPMINTTLDROP } from "../../../src/uapi/snmp.ts";
import {
  AF_INET, SCM_TIMESTAMPNS, SO_BUF_LOCK, SO_COOKIE, SO_DONTROUTE, SO_MEMINFO, SO_RCVBUF, SO_TIMESTAMP, SO_TIMESTAMPNS, SOCK_DGRAM,
  SOCK_STREAM, SOL_IP, SOL_SOCKET,
} from "../../../src/uapi/socket.ts";
import { a, ADDR_A, ADDR_B, b, bootHosts, devA, finish, open, turn } from "./two-hosts.ts";

const PORT = 1000;
const out = new Int32Array(9);
const buffer = new Uint8Array(200);

function start(): void {
  bootHosts({ initcalls: [socketOptions] });
}

function portOf(fd: number): number {
  const name = new SockaddrIn();
  getsockname(fd, name);
  return name.port;
}

function listener(): number {
  const fd = open(b, SOCK_STREAM);
  bind(fd, new SockaddrIn(ADDR_B, PORT));
  listen(fd, 4);
  return fd;
}

/** A connection from a to the listener: the descriptors of both ends. */
function joined(server: number, ttl: number): [number, number] {
  const fd = open(a, SOCK_STREAM);
  setsockopt(fd, SOL_IP, IP_TTL, ttl);
  connect(fd, new SockaddrIn(ADDR_B, PORT));
  turn(20);
  return [fd, accept4(server, null, 0)];
}

test.serial("without the part its options are not known", (t) => {
  bootHosts();
  const fd = open(a, SOCK_DGRAM);
  for (const name of [IP_MINTTL, IP_BIND_ADDRESS_NO_PORT, IP_LOCAL_PORT_RANGE, IP_UNICAST_IF, IP_RECVORIGDSTADDR]) {
    t.is(setsockopt(fd, SOL_IP, name, 0), -ENOPROTOOPT);
    t.is(getsockopt(fd, SOL_IP, name, out), -ENOPROTOOPT);
  }
  for (const name of [SO_DONTROUTE, SO_COOKIE, SO_MEMINFO, SO_BUF_LOCK]) t.is(getsockopt(fd, SOL_SOCKET, name, out), -ENOPROTOOPT);
  finish(t);
});

test.serial("IP_MINTTL: segments that came through too many routers are dropped and counted, by listener and connection", (t) => {
  start();
  const server = listener();
  t.is(setsockopt(server, SOL_IP, IP_MINTTL, 255), 0);
  const [far, none] = joined(server, 254);
  t.is(none, -EAGAIN);
  t.is(b.mib[LINUX_MIB_TCPMINTTLDROP], 1);
  close(far);
  const [near, child] = joined(server, 255);
  t.is(send(near, Buffer.from("hello"), 0, 5, 0), 5);
  turn();
  t.is(recv(child, buffer, 0, 200, 0), 5);
  t.is(getsockopt(child, SOL_IP, IP_MINTTL, out), 1);
  t.is(out[0], 255, "as its listener");
  setsockopt(near, SOL_IP, IP_TTL, 64);
  send(near, Buffer.from("hello"), 0, 5, 0);
  turn();
  t.is(recv(child, buffer, 0, 200, 0), -EAGAIN);
  t.true(b.mib[LINUX_MIB_TCPMINTTLDROP]! > 1);
  setsockopt(child, SOL_IP, IP_MINTTL, 64);
  turn(2000);
  t.is(recv(child, buffer, 0, 200, 0), 5);
  close(child);
  finish(t, 200_000);
});

test.serial("IP_BIND_ADDRESS_NO_PORT leaves the port to connect(), so that two peers may have the same one", (t) => {
  start();
  listener();
  for (const type of [SOCK_STREAM, SOCK_DGRAM]) {
    const fd = open(a, type);
    setsockopt(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    t.is(bind(fd, new SockaddrIn(ADDR_A, 0)), 0);
    t.is(portOf(fd), 0);
    const started = connect(fd, new SockaddrIn(ADDR_B, PORT));
    t.is(started, type === SOCK_STREAM ? -EINPROGRESS : 0);
    t.true(portOf(fd) > 0);
  }
  turn(20);
  finish(t, 200_000);
});

test.serial("IP_LOCAL_PORT_RANGE narrows the range, of connect() to every port of it", (t) => {
  start();
  listener();
  const range = (40_003 << 16) | 40_000;
  for (const type of [SOCK_STREAM, SOCK_DGRAM]) {
    const ports: number[] = [];
    for (let i = 0; i < 4; i++) {
      const fd = open(a, type);
      t.is(setsockopt(fd, SOL_IP, IP_LOCAL_PORT_RANGE, range), 0);
      t.is(connect(fd, new SockaddrIn(ADDR_B, PORT)), type === SOCK_STREAM ? -EINPROGRESS : 0);
      ports.push(portOf(fd));
    }
    t.deepEqual(ports.sort(), [40_000, 40_001, 40_002, 40_003]);
    const fifth = open(a, type);
    setsockopt(fifth, SOL_IP, IP_LOCAL_PORT_RANGE, range);
    t.is(connect(fifth, new SockaddrIn(ADDR_B, PORT)), type === SOCK_STREAM ? -EADDRNOTAVAIL : -EAGAIN);
  }
  const outside = open(a, SOCK_DGRAM);
  setsockopt(outside, SOL_IP, IP_LOCAL_PORT_RANGE, (2000 << 16) | 1000);
  bind(outside, new SockaddrIn(0, 0));
  t.true(portOf(outside) >= a.ipv4.ipLocalPortRangeLow, "a range beside the namespace's does not count");
  finish(t, 200_000);
});

test.serial("IP_UNICAST_IF and SO_DONTROUTE say which way a datagram goes", (t) => {
  start();
  const away = new SockaddrIn(0x0a090001, 9);
  const fd = open(a, SOCK_DGRAM);
  const count = (to: SockaddrIn): number => sendto(fd, buffer, 0, 4, 0, to);
  t.is(count(away), -ENETUNREACH);
  t.is(setsockopt(fd, SOL_IP, IP_UNICAST_IF, devA.ifindex), 0);
  t.is(count(away), 4, "taken to be on that link");
  t.is(setsockopt(fd, SOL_IP, IP_UNICAST_IF, 0), 0);
  ipRouteAdd(a, 0x0a090000, 16, ADDR_B, 0);
  t.is(count(away), 4);
  t.is(setsockopt(fd, SOL_SOCKET, SO_DONTROUTE, 1), 0);
  t.is(count(away), -ENETUNREACH, "there is a gateway between");
  t.is(count(new SockaddrIn(ADDR_B, 9)), 4);
  const stream = open(a, SOCK_STREAM);
  setsockopt(stream, SOL_SOCKET, SO_DONTROUTE, 1);
  t.is(connect(stream, away), -ENETUNREACH);
  t.is(setsockopt(fd, SOL_IP, IP_UNICAST_IF, 77), -EADDRNOTAVAIL);
  sockfdLookup(fd)!.sk!.boundDevIf = devA.ifindex;
  t.is(setsockopt(fd, SOL_IP, IP_UNICAST_IF, devA.ifindex), -EINVAL, "bound to a device");
  ipRouteDel(a, 0x0a090000, 16, ADDR_B, 0);
  turn(5000);
  finish(t);
});

test.serial("IP_RECVORIGDSTADDR and SO_TIMESTAMPNS come with the datagram", (t) => {
  start();
  const fd = open(b, SOCK_DGRAM);
  bind(fd, new SockaddrIn(0, PORT));
  setsockopt(fd, SOL_IP, IP_RECVORIGDSTADDR, 1);
  setsockopt(fd, SOL_SOCKET, SO_TIMESTAMP, 1);
  setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
  t.is(getsockopt(fd, SOL_SOCKET, SO_TIMESTAMP, out), 1);
  t.is(out[0], 0, "one of the two");
  sendto(open(a, SOCK_DGRAM), buffer, 0, 4, 0, new SockaddrIn(ADDR_B, PORT));
  turn();
  const msg = new Msghdr();
  msgSetBuffer(msg, buffer, 0, 200);
  msg.control = new Int32Array(32);
  t.is(recvmsg(fd, msg, 0), 4);
  const [level, type, words, , nanoseconds] = msg.control;
  t.deepEqual([level, type, words], [SOL_SOCKET, SCM_TIMESTAMPNS, 2]);
  t.true(nanoseconds! % 1_000_000 === 0 && nanoseconds! < 1_000_000_000);
  t.deepEqual([...msg.control.subarray(5, 11)], [SOL_IP, IP_ORIGDSTADDR, 3, AF_INET, PORT, ADDR_B]);
  finish(t);
});

test.serial("SO_COOKIE tells sockets apart; SO_MEMINFO shows what they hold; SO_BUF_LOCK what the program chose", (t) => {
  start();
  const fds = [open(a, SOCK_DGRAM), open(b, SOCK_DGRAM)];
  const cookies = fds.map((fd) => {
    t.is(getsockopt(fd, SOL_SOCKET, SO_COOKIE, out), 2);
    return out[0]!;
  });
  t.not(cookies[0], cookies[1]);
  getsockopt(fds[0]!, SOL_SOCKET, SO_COOKIE, out);
  t.is(out[0], cookies[0]);
  t.is(getsockopt(fds[0]!, SOL_SOCKET, SO_COOKIE, new Int32Array(1)), -EINVAL);
  bind(fds[1]!, new SockaddrIn(0, PORT));
  sendto(fds[0]!, buffer, 0, 4, 0, new SockaddrIn(ADDR_B, PORT));
  turn();
  t.is(getsockopt(fds[1]!, SOL_SOCKET, SO_MEMINFO, out), 9);
  const sk = sockfdLookup(fds[1]!)!.sk!;
  t.true(out[0]! > 0);
  t.deepEqual([...out], [sk.rmemAlloc, sk.rcvbuf, 0, sk.sndbuf, 0, 0, 0, 0, 0]);
  t.is(getsockopt(fds[1]!, SOL_SOCKET, SO_MEMINFO, new Int32Array(3)), 3);
  setsockopt(fds[0]!, SOL_SOCKET, SO_RCVBUF, 5000);
  getsockopt(fds[0]!, SOL_SOCKET, SO_BUF_LOCK, out);
  t.is(out[0], 2);
  finish(t);
});

test.serial("a sock that was given back keeps nothing for the next one", (t) => {
  start();
  for (let i = 0; i < 2; i++) {
    const fd = open(a, SOCK_STREAM);
    getsockopt(fd, SOL_IP, IP_MINTTL, out);
    t.is(out[0], 0);
    setsockopt(fd, SOL_IP, IP_MINTTL, 9);
    close(fd);
  }
  finish(t);
});
