/** The stream operations of AF_INET over a protocol that does as told: the states of a socket, without TCP's. */
import test from "ava";
import { words } from "../../../src/lib/table.ts";
import {
  EACCES, EAGAIN, EALREADY, ECONNABORTED, ECONNREFUSED, EINPROGRESS, EINVAL, EISCONN, ENETUNREACH, ENOTCONN,
} from "../../../src/uapi/errno.ts";
import {
  AF_INET, SHUT_RD, SHUT_RDWR, SHUT_WR, SO_ACCEPTCONN, SO_KEEPALIVE, SO_LINGER, SOCK_STREAM, SOL_SOCKET,
} from "../../../src/uapi/socket.ts";
import {
  TCP_CLOSE, TCP_ESTABLISHED, TCP_LISTEN, TCP_SYN_RECV, TCP_SYN_SENT,
} from "../../../src/uapi/tcp.ts";
import {
  type Proto, RCV_SHUTDOWN, SEND_SHUTDOWN, SHUTDOWN_MASK, SK_MAX_ACK_BACKLOG, sockOrphan, sockPut,
} from "../../../src/stack/core/sock.ts";
import { sockaddrClear } from "../../../src/stack/core/sockaddr.ts";
import { inetSkAlloc, inetSkFree, inetStreamOps } from "../../../src/stack/ipv4/af-inet.ts";
import { inetRegisterProtosw } from "../../../src/stack/ipv4/inetsw.ts";
import type { InetSk } from "../../../src/stack/ipv4/inet-sock.ts";
import { sockfdLookup } from "../../../src/stack/socket/files.ts";
import {
  accept4, bind, close, connect, getpeername, getsockopt, listen, setsockopt, shutdown, SockaddrIn,
} from "../../../src/stack/socket/index.ts";
import { a, ADDR_A, ADDR_B, bootHosts, finish, open } from "./two-hosts.ts";

const PROTOCOL = 132;
/** What the protocol answers next, and what it was told. */
let connectResult = 0;
let connectState = TCP_SYN_SENT;
let listenResult = 0;
let waiting: InetSk | null = null;
let log: string[] = [];

const steps: Partial<Proto> = {
  name: "STEP",
  alloc: (net) => inetSkAlloc(net, prot),
  free: inetSkFree,
  init: () => 0,
  close(sk, timeoutMs) {
    log.push(`close ${timeoutMs}`);
    sockOrphan(sk);
    sockPut(sk);
  },
  connect(sk, addr: SockaddrIn) {
    if (connectResult < 0) return connectResult;
    const inet = (sk as InetSk).inet;
    inet.daddr = addr.addr;
    inet.dport = addr.port;
    sk.state = connectState;
    return 0;
  },
  disconnect(sk) {
    log.push("disconnect");
    sk.state = TCP_CLOSE;
    (sk as InetSk).inet.dport = 0;
    return 0;
  },
  shutdown: (_sk, how) => void log.push(`shutdown ${how}`),
  getPort(sk, port) {
    (sk as InetSk).inet.num = port === 0 ? 40000 : port;
    return 0;
  },
  accept(sk) {
    if (sk.state !== TCP_LISTEN) return -EINVAL;
    const child = waiting;
    waiting = null;
    return child ?? -EAGAIN;
  },
  listen(sk, backlog) {
    log.push(`listen ${backlog}`);
    if (listenResult === 0) sk.state = TCP_LISTEN;
    return listenResult;
  },
  keepalive: (_sk, on) => void log.push(`keepalive ${String(on)}`),
};
const prot = steps as Proto;

const TO = new SockaddrIn(ADDR_B, 80);

function start(): number {
  bootHosts();
  inetRegisterProtosw({ type: SOCK_STREAM, protocol: PROTOCOL, prot, ops: inetStreamOps, flags: 0 });
  connectResult = listenResult = 0;
  connectState = TCP_SYN_SENT;
  waiting = null;
  log = [];
  return open(a, SOCK_STREAM, PROTOCOL);
}

function skOf(fd: number): InetSk {
  return sockfdLookup(fd)!.sk as InetSk;
}

test.serial("connect: in progress, already, done, connected", (t) => {
  const fd = start();
  t.is(connect(fd, TO), -EINPROGRESS);
  t.is(getpeername(fd, new SockaddrIn()), -ENOTCONN, "not yet");
  t.is(connect(fd, TO), -EALREADY);
  skOf(fd).state = TCP_SYN_RECV;
  t.is(connect(fd, TO), -EALREADY, "simultaneous open");
  skOf(fd).state = TCP_ESTABLISHED;
  const peer = new SockaddrIn();
  t.is(getpeername(fd, peer), 0);
  t.deepEqual([peer.addr, peer.port], [ADDR_B, 80]);
  t.is(connect(fd, TO), 0, "the first call after it learns of success");
  t.is(connect(fd, TO), -EISCONN);
  t.is(listen(fd, 1), -EINVAL, "a connected socket does not listen");
  t.is(bind(fd, new SockaddrIn(ADDR_A, 0)), -EINVAL);
  finish(t);
});

test.serial("connect: an immediate error leaves the socket as it was", (t) => {
  const fd = start();
  for (const err of [-ENETUNREACH, -EACCES]) {
    connectResult = err;
    t.is(connect(fd, TO), err);
  }
  connectResult = 0;
  connectState = TCP_ESTABLISHED;
  t.is(connect(fd, TO), 0, "done at once");
  finish(t);
});

test.serial("connect: refused, then tried again", (t) => {
  const fd = start();
  connect(fd, TO);
  const sk = skOf(fd);
  sk.err = ECONNREFUSED;
  sk.state = TCP_CLOSE;
  t.is(connect(fd, TO), -ECONNREFUSED);
  t.deepEqual(log, ["disconnect"]);
  t.is(connect(fd, TO), -EINPROGRESS, "unconnected again");
  sk.state = TCP_CLOSE;
  t.is(connect(fd, TO), -ECONNABORTED, "the error was read by somebody else");
  finish(t);
});

test.serial("AF_UNSPEC disconnects", (t) => {
  const fd = start();
  connectState = TCP_ESTABLISHED;
  connect(fd, TO);
  const none = new SockaddrIn();
  sockaddrClear(none);
  t.is(connect(fd, none), 0);
  t.is(connect(fd, TO), 0);
  finish(t);
});

test.serial("listen and accept", (t) => {
  const fd = start();
  const out = new Int32Array(1);
  t.is(accept4(fd, null), -EINVAL);
  listenResult = -EACCES;
  t.is(listen(fd, 3), -EACCES);
  listenResult = 0;
  t.is(listen(fd, 3), 0);
  t.is(listen(fd, 5), 0, "changes the backlog");
  t.is(words[skOf(fd).cold + SK_MAX_ACK_BACKLOG]!, 5);
  t.deepEqual(log, ["listen 3", "listen 3"]);
  getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, out);
  t.is(out[0], 1);
  t.is(accept4(fd, null), -EAGAIN);
  t.is(connect(fd, TO), -EISCONN);
  waiting = inetSkAlloc(a, prot);
  waiting!.inet.daddr = ADDR_B;
  waiting!.inet.dport = 1234;
  // Reset before it was accepted: the peer's address is still known.
  waiting!.state = TCP_CLOSE;
  const peer = new SockaddrIn();
  const child = accept4(fd, peer);
  t.true(child >= 0);
  t.deepEqual([peer.addr, peer.port, peer.family], [ADDR_B, 1234, AF_INET]);
  t.is(getpeername(child, peer), -ENOTCONN);
  close(child);
  waiting = inetSkAlloc(a, prot);
  t.is(accept4(fd, peer), -ECONNABORTED, "one without a peer");
  finish(t);
});

test.serial("shutdown in each state", (t) => {
  const fd = start();
  const sk = skOf(fd);
  t.is(shutdown(fd, SHUT_WR), -ENOTCONN);
  t.is(sk.shutdown, SEND_SHUTDOWN);
  sk.shutdown = 0;
  t.is(shutdown(fd, -1), -EINVAL);
  t.is(shutdown(fd, 3), -EINVAL);
  connect(fd, TO);
  t.is(shutdown(fd, SHUT_RDWR), 0, "gives the connecting up");
  t.is(sk.shutdown, 0);
  t.is(sk.state, TCP_CLOSE);
  connectState = TCP_ESTABLISHED;
  log = [];
  t.is(connect(fd, TO), 0);
  t.is(shutdown(fd, SHUT_RD), 0);
  t.is(sk.shutdown, RCV_SHUTDOWN);
  t.is(shutdown(fd, SHUT_WR), 0);
  t.is(sk.shutdown, SHUTDOWN_MASK);
  t.deepEqual(log, ["shutdown 1", "shutdown 2"]);
  sk.shutdown = 0;
  const listener = open(a, SOCK_STREAM, PROTOCOL);
  listen(listener, 1);
  log = [];
  t.is(shutdown(listener, SHUT_WR), 0, "means nothing to a listener");
  t.is(skOf(listener).state, TCP_LISTEN);
  t.is(shutdown(listener, SHUT_RD), 0);
  t.is(skOf(listener).state, TCP_CLOSE);
  t.deepEqual(log, ["disconnect"]);
  finish(t);
});

test.serial("SO_LINGER reaches close(), SO_KEEPALIVE the protocol", (t) => {
  const fd = start();
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, 0);
  setsockopt(fd, SOL_SOCKET, SO_LINGER, 1, 7);
  close(fd);
  close(open(a, SOCK_STREAM, PROTOCOL));
  t.deepEqual(log, ["keepalive true", "keepalive false", "close 7000", "close 0"]);
  finish(t);
});
