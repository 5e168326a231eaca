/** TCP without its parts: what a board's program that lists tcpClient or tcpServer has, and what it is told of the rest. */
import test, { type ExecutionContext } from "ava";
import {
  accept4, AF_INET, bind, close, connect, EAGAIN, ECONNREFUSED, EINPROGRESS, EINVAL, ENOPROTOOPT, EOPNOTSUPP, getsockopt, initNet, IPPROTO_TCP,
  listen, MSG_FASTOPEN, poolForEach, recv, send, sendto, setsockopt, setsockoptBytes, SO_ERROR, SOCK_NONBLOCK, SOCK_STREAM, SockaddrIn, socket, SOL_SOCKET,
  TCP_CC_INFO, TCP_CONGESTION, TCP_CORK, TCP_DEFER_ACCEPT, TCP_FASTOPEN, TCP_FASTOPEN_CONNECT, TCP_FASTOPEN_KEY, TCP_INFO, TCP_INQ, TCP_KEEPIDLE,
  TCP_LINGER2, TCP_MAXSEG, TCP_MD5SIG, TCP_NODELAY, TCP_NOTSENT_LOWAT, TCP_QUICKACK, TCP_SYNCNT, TCP_WINDOW_CLAMP,
} from "../../src/index.ts";
import type { Config } from "../../src/config.ts";
import type { Initcall } from "../../src/lib/initcall.ts";
import { startKernel } from "../../src/start-kernel.ts";
import { TCP_INFO_WORDS, TCPI_BYTES_SENT, TCPI_DELIVERY_RATE, TCPI_SND_MSS } from "../../src/stack/ipv4/tcp-info.ts";
import { syncookies } from "../../src/syncookies.ts";
import { tcpClient } from "../../src/tcp-client.ts";
import { cubic } from "../../src/tcp-cubic.ts";
import { fastopen } from "../../src/tcp-fastopen.ts";
import { tcpInfo } from "../../src/tcp-info.ts";
import { tcpMd5Sig } from "../../src/tcp-md5.ts";
import { mtuProbing } from "../../src/tcp-mtu-probing.ts";
import { tcpServer } from "../../src/tcp-server.ts";
import { tcpSocketOptions } from "../../src/tcp-socket-options.ts";
import { LINUX_MIB_SYNCOOKIESRECV } from "../../src/uapi/snmp.ts";
import { poolUsage } from "../lib/pools.ts";

const LOOPBACK = 0x7f000001;
const TIME_WAIT_MS = 60_000;
let now = 0;
const hal = { now: () => now, entropy: (into: Uint8Array) => void into.fill(3), wake: () => undefined };

function start(...initcalls: readonly Initcall<Config>[]): Map<string, number> {
  startKernel({ preset: "small", md5Keys: 1, mtuProbes: 1, hal, initcalls });
  return poolUsage(initNet);
}

function turns(count: number, ms = 1): void {
  for (let turn = 0; turn < count; turn++) {
    now += ms;
    initNet.poll();
  }
}

/** All that was opened is closed, and nothing is left behind. */
function end(t: ExecutionContext, before: Map<string, number>, ...fds: readonly number[]): void {
  for (const fd of fds) t.is(close(fd), 0);
  turns(10);
  turns(2, TIME_WAIT_MS);
  t.deepEqual(poolUsage(initNet), before);
}

function hasPool(name: string): boolean {
  let found = false;
  poolForEach((pool) => {
    found ||= pool.name === name;
  });
  return found;
}

function stream(port = 0): number {
  const fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (port !== 0) bind(fd, new SockaddrIn(LOOPBACK, port));
  return fd;
}

function error(fd: number): number {
  const out = new Int32Array(1);
  getsockopt(fd, SOL_SOCKET, SO_ERROR, out);
  return out[0]!;
}

function carries(t: ExecutionContext, from: number, to: number): void {
  const data = Uint8Array.from({ length: 3000 }, (_, i) => i % 251);
  const into = new Uint8Array(data.length);
  t.is(send(from, data, 0, data.length, 0), data.length);
  let count = 0;
  for (let turn = 0; turn < 20 && count < data.length; turn++) {
    turns(1);
    const got = recv(to, into, count, into.length - count, 0);
    if (got !== -EAGAIN) count += got;
  }
  t.deepEqual(into, data);
}

/** No part is there to answer these. */
function refusesOptions(t: ExecutionContext, fd: number): void {
  const out = new Int32Array(8);
  const bytes = new Uint8Array(256);
  t.is(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN, 4), -ENOPROTOOPT);
  t.is(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1), -ENOPROTOOPT);
  t.is(setsockoptBytes(fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, bytes.subarray(0, 16)), -ENOPROTOOPT);
  t.is(setsockoptBytes(fd, IPPROTO_TCP, TCP_MD5SIG, bytes), -ENOPROTOOPT);
  const others = [TCP_MAXSEG, TCP_QUICKACK, TCP_SYNCNT, TCP_LINGER2, TCP_DEFER_ACCEPT, TCP_WINDOW_CLAMP, TCP_NOTSENT_LOWAT, TCP_INQ];
  for (const name of others) t.is(setsockopt(fd, IPPROTO_TCP, name, 1), -ENOPROTOOPT);
  t.is(setsockoptBytes(fd, IPPROTO_TCP, TCP_CONGESTION, Uint8Array.from(Buffer.from("reno"))), -ENOPROTOOPT);
  for (const name of [TCP_FASTOPEN, TCP_FASTOPEN_CONNECT, TCP_FASTOPEN_KEY, TCP_INFO, TCP_CC_INFO, TCP_CONGESTION, ...others]) {
    t.is(getsockopt(fd, IPPROTO_TCP, name, out), -ENOPROTOOPT);
  }
}

test.serial("a client without listeners: connects, carries data, is refused, and cannot listen", (t) => {
  const before = start(tcpClient);
  t.false(hasPool("request_sock_TCP"));
  t.false(hasPool("tcp_md5sig_key"));
  const refused = stream();
  t.is(connect(refused, new SockaddrIn(LOOPBACK, 80)), -EINPROGRESS);
  turns(3);
  t.is(error(refused), ECONNREFUSED);
  // A socket that connects to itself opens from both sides (RFC 9293 figure 7), without a listener.
  const self = stream(4000);
  for (const name of [TCP_NODELAY, TCP_CORK, TCP_KEEPIDLE]) t.is(setsockopt(self, IPPROTO_TCP, name, 1), 0);
  t.is(setsockopt(self, IPPROTO_TCP, TCP_CORK, 0), 0);
  t.is(connect(self, new SockaddrIn(LOOPBACK, 4000)), -EINPROGRESS);
  turns(4);
  t.is(error(self), 0);
  carries(t, self, self);
  const idle = stream(4001);
  t.is(listen(idle, 1), -EOPNOTSUPP);
  t.is(accept4(idle, null, 0), -EINVAL);
  refusesOptions(t, idle);
  const data = new Uint8Array(10);
  t.is(sendto(idle, data, 0, data.length, MSG_FASTOPEN, new SockaddrIn(LOOPBACK, 4000)), -EOPNOTSUPP);
  end(t, before, refused, self, idle);
});

/** A connection over loopback: listener, its end, the client's. */
function connected(t: ExecutionContext): readonly [number, number, number] {
  const server = stream(80);
  t.is(listen(server, 1), 0);
  const client = stream();
  t.is(connect(client, new SockaddrIn(LOOPBACK, 80)), -EINPROGRESS);
  turns(4);
  const accepted = accept4(server, null, SOCK_NONBLOCK);
  t.true(accepted >= 0);
  return [server, accepted, client];
}

test.serial("a server without the other parts: listens, accepts, carries data both ways", (t) => {
  const before = start(tcpServer);
  t.true(hasPool("request_sock_TCP"));
  const [server, accepted, client] = connected(t);
  carries(t, client, accepted);
  carries(t, accepted, client);
  refusesOptions(t, client);
  end(t, before, client, accepted, server);
});

test.serial("SYN cookies are one part, and are not sent without it", (t) => {
  for (const parts of [[tcpServer], [tcpServer, syncookies]]) {
    const before = start(...parts);
    initNet.ipv4.tcpSyncookies = 2;
    const fds = connected(t);
    t.is(initNet.mib[LINUX_MIB_SYNCOOKIESRECV], parts.length === 1 ? 0 : 1);
    end(t, before, ...[...fds].reverse());
  }
});

test.serial("Fast Open and MD5 signatures are parts, listed behind TCP", (t) => {
  const before = start(tcpServer, fastopen, tcpMd5Sig);
  t.true(hasPool("tcp_md5sig_key"));
  const out = new Int32Array(1);
  const fd = stream(80);
  t.is(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN, 4), 0);
  t.is(getsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN, out), 1);
  t.is(out[0], 4);
  const signature = new Uint8Array(216);
  signature.set([AF_INET, 0, 0, 0, 127, 0, 0, 1]);
  signature.set([3, 0], 130);
  t.is(setsockoptBytes(fd, IPPROTO_TCP, TCP_MD5SIG, signature), 0);
  end(t, before, fd);
});

test.serial("TCP_INFO, CUBIC, the other options and MTU probing are parts, listed behind TCP", (t) => {
  const before = start(tcpServer, tcpInfo, cubic, tcpSocketOptions, mtuProbing);
  initNet.ipv4.tcpMtuProbing = 2;
  const fds = connected(t);
  const client = fds[2];
  carries(t, client, fds[1]);
  const name = new Uint8Array(16);
  t.is(getsockopt(client, IPPROTO_TCP, TCP_CONGESTION, name), 5);
  t.is(Buffer.from(name.subarray(0, 5)).toString(), "cubic");
  const info = new Int32Array(TCP_INFO_WORDS);
  t.is(getsockopt(client, IPPROTO_TCP, TCP_INFO, info), TCP_INFO_WORDS);
  t.is(info[TCPI_BYTES_SENT], 3000);
  t.is(info[TCPI_DELIVERY_RATE], 0, "the preset measures none");
  t.true(info[TCPI_SND_MSS]! < 1100, "the search for the MTU begins at tcp_base_mss");
  t.is(setsockopt(client, IPPROTO_TCP, TCP_QUICKACK, 1), 0);
  end(t, before, ...[...fds].reverse());
});
