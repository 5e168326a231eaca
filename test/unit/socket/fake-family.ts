/**
 * A family whose sockets do what a test tells them: readiness is a number per socket, wake-ups are the test's. It lets
 * the socket layer be tested without a protocol. Also the boot of what that layer stands on.
 */
import { allSizes, resolveConfig } from "../../../src/config.ts";
import { epoll } from "../../../src/epoll.ts";
import { memoryInit, MEM_OVERHEAD_BYTES } from "../../../src/lib/memory.ts";
import { poolsInUse, poolsReset } from "../../../src/lib/pool.ts";
import { words } from "../../../src/lib/table.ts";
import { timersInit } from "../../../src/lib/timer.ts";
import { EAGAIN, ENOBUFS, ENOIOCTLCMD, ENOPROTOOPT, ENOTCONN, EOPNOTSUPP } from "../../../src/uapi/errno.ts";
import { AF_UNIX, SOCK_STREAM } from "../../../src/uapi/socket.ts";
import { initNet, type Net, netInit } from "../../../src/stack/core/net.ts";
import { skbInit } from "../../../src/stack/core/skbuff.ts";
import { type Proto, registerSkControl, SK_TYPE, skAlloc, type Sock, sockGraft, sockInit, sockPut } from "../../../src/stack/core/sock.ts";
import type { Msghdr, SockaddrIn } from "../../../src/stack/core/sockaddr.ts";
import { familiesInit, type ProtoOps, type Socket, sockRegister } from "../../../src/stack/core/socket.ts";
import { sockControlGet, sockControlInit, sockControlSet } from "../../../src/stack/core/sockopt-control.ts";
import { wakeUp } from "../../../src/stack/core/wait.ts";
import { socketInit } from "../../../src/stack/socket/socket.ts";
import { sockfdLookup } from "../../../src/stack/socket/files.ts";

/** What the family was asked to do, newest last. */
export const calls: { name: string; args: unknown[] }[] = [];
const readiness = new Map<Socket, number>();
/** Sockets that accept() finds waiting. */
let waiting = 0;

export const fakeProto = { name: "FAKE", free: () => undefined } as unknown as Proto;

function record(name: string, args: unknown[], result: number): number {
  calls.push({ name, args });
  return result;
}

function attach(net: Net, sock: Socket): number {
  const sk = skAlloc(net, AF_UNIX, fakeProto);
  if (sk === null) return -ENOBUFS;
  words[sk.cold + SK_TYPE] = sock.type;
  sockGraft(sk, sock);
  sock.ops = fakeOps;
  return 0;
}

const fakeOps: ProtoOps = {
  family: AF_UNIX,
  release(sock) {
    readiness.delete(sock);
    if (sock.sk !== null) sockPut(sock.sk);
    return record("release", [], 0);
  },
  bind: (_sock, addr: SockaddrIn) => record("bind", [addr.addr, addr.port], 0),
  connect: (_sock, addr: SockaddrIn, flags) => record("connect", [addr.addr, addr.port, flags], 0),
  socketpair: () => -EOPNOTSUPP,
  accept(sock, newsock) {
    if (waiting === 0) return -EAGAIN;
    waiting--;
    return attach(sock.net, newsock);
  },
  getname(_sock, addr: SockaddrIn, peer) {
    if (peer === 1) return -ENOTCONN;
    addr.addr = 7;
    addr.port = 8;
    return 0;
  },
  poll: (sock) => readiness.get(sock) ?? 0,
  ioctl(_sock, request, out) {
    if (request !== 1) return -ENOIOCTLCMD;
    out[0] = 99;
    return 0;
  },
  listen: (_sock, backlog) => record("listen", [backlog], 0),
  shutdown: (_sock, how) => record("shutdown", [how], 0),
  setsockopt: (_sock, level, name, value) => record("setsockopt", [level, name, value], name === 1 ? 0 : -ENOPROTOOPT),
  getsockopt(_sock, _level, name, out) {
    out[0] = 5;
    return name === 1 ? 1 : -ENOPROTOOPT;
  },
  sendmsg: (_sock, msg, length) => record("sendmsg", [msg.flags, msg.iovlen, msg.name], length),
  recvmsg: (_sock, msg: Msghdr, length, flags) => record("recvmsg", [msg.flags, flags, msg.name], length),
};

export interface FakeSizes {
  files?: number;
  sockets?: number;
  socks?: number;
  epolls?: number;
  epollItems?: number;
}

/** Boots the socket layer with the fake family. */
export function bootFake(sizes: FakeSizes = {}): void {
  const bufferBytes = 640;
  poolsReset();
  memoryInit(MEM_OVERHEAD_BYTES + 4 * bufferBytes);
  timersInit(0);
  skbInit(4, 4, bufferBytes);
  netInit({ register: () => 0, poll: () => -1 });
  sockInit(sizes.socks ?? 8, 4096, 4096, initNet);
  sockControlInit(8192, 8192);
  registerSkControl({ set: sockControlSet, get: sockControlGet });
  familiesInit();
  socketInit(sizes.files ?? 8, initNet, sizes.sockets);
  epoll.init({ ...resolveConfig({}, allSizes()), epolls: sizes.epolls ?? 3, epollItems: sizes.epollItems ?? 6 });
  sockRegister(AF_UNIX, (net, sock) => (sock.type === SOCK_STREAM ? attach(net, sock) : -EOPNOTSUPP));
  calls.length = 0;
  readiness.clear();
  waiting = 0;
}

/** Objects in use in all pools together. */
export function inUse(): number {
  return poolsInUse();
}

/** `count` connections wait for accept(). */
export function letWait(count: number): void {
  waiting = count;
}

/** What poll() answers for the descriptor's socket from now on. */
export function setReady(fd: number, events: number): void {
  readiness.set(sockfdLookup(fd)!, events);
}

/** Sets readiness and tells the waiters, as a protocol does. */
export function makeReady(fd: number, events: number): void {
  setReady(fd, events);
  wakeUp(sockfdLookup(fd)!, events);
}

export function skOf(fd: number): Sock {
  return sockfdLookup(fd)!.sk!;
}
