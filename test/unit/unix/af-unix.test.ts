/** UNIX sockets: pairs, streams with names, datagrams, and what a closed or unwilling other end means. */
import test from "ava";
import {
  accept4, bind, close, connect, getpeername, getsockname, listen, poll, Pollfd, recv, recvfrom, send, sendto, shutdown, socket,
  socketpair,
} from "../../../src/stack/socket/index.ts";
import { SockaddrUn, unix } from "../../../src/unix.ts";
import {
  EADDRINUSE, EAFNOSUPPORT, EAGAIN, ECONNREFUSED, ECONNRESET, EINVAL, EISCONN, ENOENT, ENOTCONN, EOPNOTSUPP, EPERM, EPIPE, EPROTOTYPE,
  ESOCKTNOSUPPORT,
} from "../../../src/uapi/errno.ts";
import { POLLHUP, POLLIN, POLLOUT } from "../../../src/uapi/poll.ts";
import { AF_INET, AF_UNIX, AF_UNSPEC, MSG_PEEK, MSG_TRUNC, SHUT_WR, SOCK_DGRAM, SOCK_RAW, SOCK_STREAM } from "../../../src/uapi/socket.ts";
import { bootHosts, finish } from "../ipv4/two-hosts.ts";

const buffer = new Uint8Array(20000);
const fds = new Int32Array(2);
const from = new SockaddrUn();

function start(): void {
  bootHosts({ initcalls: [unix] });
}

function end(t: Parameters<typeof finish>[0], ...open: number[]): void {
  for (const fd of open) close(fd);
  finish(t);
}

function name(text: string): SockaddrUn {
  const addr = new SockaddrUn();
  addr.path.set(Buffer.from(text, "latin1"));
  addr.length = text.length;
  return addr;
}

function pair(type: number): [number, number] {
  if (socketpair(AF_UNIX, type, 0, fds) !== 0) throw new Error("no pair");
  return [fds[0]!, fds[1]!];
}

function put(fd: number, text: string, to: SockaddrUn | null = null): number {
  return sendto(fd, Buffer.from(text), 0, text.length, 0, to);
}

function get(fd: number, length = 100, flags = 0): string | number {
  const n = recvfrom(fd, buffer, 0, length, flags, from);
  return n < 0 ? n : Buffer.from(buffer.subarray(0, n)).toString();
}

function ready(fd: number): number {
  const polled = [new Pollfd(fd, POLLIN | POLLOUT)];
  poll(polled, 1);
  return polled[0]!.revents;
}

test.serial("without the part there is no such family, and other families have no pairs", (t) => {
  bootHosts();
  t.is(socket(AF_UNIX, SOCK_STREAM, 0), -EAFNOSUPPORT);
  t.is(socketpair(AF_INET, SOCK_DGRAM, 0, fds), -EOPNOTSUPP);
  finish(t);
  start();
  t.is(socket(AF_UNIX, SOCK_RAW, 0), -ESOCKTNOSUPPORT);
  end(t);
});

test.serial("a pair of streams: bytes in order, parts, peeks, half close, the end", (t) => {
  start();
  const [a, b] = pair(SOCK_STREAM);
  t.is(get(b), -EAGAIN);
  t.is(ready(b), POLLOUT);
  t.is(put(a, "hello "), 6);
  t.is(put(a, "world"), 5);
  t.is(ready(b), POLLIN | POLLOUT);
  t.is(get(b, 8, MSG_PEEK), "hello wo");
  t.is(get(b, 8), "hello wo");
  t.is(get(b), "rld");
  t.is(put(b, "x", name("other")), -EISCONN);
  t.is(shutdown(a, SHUT_WR), 0);
  t.is(put(a, "x"), -EPIPE);
  t.is(get(b), "", "the end");
  t.is(put(b, "still"), 5);
  t.is(get(a), "still");
  close(a);
  t.is(put(b, "x"), -EPIPE);
  t.true((ready(b) & POLLHUP) !== 0);
  end(t, b);
});

test.serial("a stream takes what the send buffer holds, and more when it is read", (t) => {
  start();
  const [a, b] = pair(SOCK_STREAM);
  const big = new Uint8Array(10000).map((_byte, i) => i * 7);
  let sent = 0;
  for (let n = send(a, big, 0, big.length, 0); n > 0; n = send(a, big, 0, big.length, 0)) sent += n;
  t.is(send(a, big, 0, 1, 0) < 0, true);
  t.is(ready(a), 0);
  let read = 0;
  for (let n = recv(b, buffer, 0, buffer.length, 0); n > 0; n = recv(b, buffer, 0, buffer.length, 0)) {
    if (read === 0) t.deepEqual(buffer.slice(0, 10000), big);
    read += n;
  }
  t.is(read, sent);
  t.is(ready(a), POLLOUT);
  end(t, a, b);
});

test.serial("unread bytes at close are a reset", (t) => {
  start();
  const [a, b] = pair(SOCK_STREAM);
  put(a, "unread");
  close(b);
  t.is(get(a), -ECONNRESET);
  t.is(get(a), "");
  end(t, a);
});

test.serial("named streams: listen, connect, accept, names, refusals", (t) => {
  start();
  const server = socket(AF_UNIX, SOCK_STREAM, 0);
  const client = socket(AF_UNIX, SOCK_STREAM, 0);
  t.is(connect(client, name("/run/x")), -ENOENT);
  t.is(connect(client, name("\0x")), -ECONNREFUSED);
  t.is(listen(server, 1), -EINVAL, "no name yet");
  t.is(bind(server, new SockaddrUn()), -EINVAL);
  t.is(bind(server, name("/run/x")), 0);
  t.is(bind(server, name("/run/y")), -EINVAL);
  t.is(bind(client, name("/run/x")), -EADDRINUSE);
  t.is(connect(client, name("/run/x")), -ECONNREFUSED, "it does not listen");
  const dgram = socket(AF_UNIX, SOCK_DGRAM, 0);
  t.is(connect(dgram, name("/run/x")), -EPROTOTYPE);
  const abstract = socket(AF_UNIX, SOCK_STREAM, 0);
  t.is(bind(abstract, name("\0both")), 0);
  t.is(connect(dgram, name("\0both")), -ECONNREFUSED, "abstract names of the types are apart");
  t.is(bind(dgram, name("\0both")), 0);
  close(abstract);
  close(dgram);
  t.is(listen(server, 1), 0);
  t.is(accept4(server, null), -EAGAIN);
  t.is(getpeername(client, from), -ENOTCONN);
  t.is(put(client, "x"), -ENOTCONN);
  t.is(get(client), -EINVAL);
  t.is(connect(client, name("/run/x")), 0);
  t.is(connect(client, name("/run/x")), -EISCONN);
  t.is(ready(server) & POLLIN, POLLIN);
  t.is(put(client, "early"), 5, "before it is accepted");
  const end1 = accept4(server, from);
  t.true(end1 >= 0);
  t.is(from.length, 0, "the client has no name");
  t.is(get(end1), "early");
  t.is(getpeername(client, from), 0);
  t.is(Buffer.from(from.path.subarray(0, from.length)).toString(), "/run/x");
  t.is(put(end1, "answer"), 6);
  t.is(get(client), "answer");
  const others = [1, 2, 3].map(() => socket(AF_UNIX, SOCK_STREAM, 0));
  t.deepEqual(others.map((fd) => connect(fd, name("/run/x"))), [0, 0, -EAGAIN]);
  close(server);
  t.is(get(others[0]!), -ECONNRESET, "nobody will accept it");
  t.is(bind(others[2]!, name("/run/x")), 0, "the name is free");
  end(t, client, end1, ...others);
});

test.serial("datagrams: names, peers, order, cut messages, full queues", (t) => {
  start();
  const server = socket(AF_UNIX, SOCK_DGRAM, 0);
  const client = socket(AF_UNIX, SOCK_DGRAM, 0);
  t.is(bind(server, name("\0srv")), 0);
  t.is(bind(client, name("\0cli\0nt")), 0);
  t.is(put(client, "x"), -ENOTCONN);
  t.is(put(client, "x", name("\0nobody")), -ECONNREFUSED);
  t.is(put(client, "first", name("\0srv")), 5);
  t.is(put(client, "", name("\0srv")), 0);
  t.is(get(server, 3), "fir");
  t.is(Buffer.from(from.path.subarray(0, from.length)).toString("latin1"), "\0cli\0nt");
  t.is(get(server), "");
  t.is(put(server, "0123456789", name("\0cli\0nt")), 10);
  t.is(recvfrom(client, buffer, 0, 4, MSG_TRUNC, null), 10);
  t.is(connect(client, name("\0srv")), 0);
  const third = socket(AF_UNIX, SOCK_DGRAM, 0);
  t.is(put(third, "x", name("\0cli\0nt")), -EPERM, "it is connected to another");
  t.is(connect(third, name("\0cli\0nt")), -EPERM);
  let count = 0;
  while (put(client, "x") === 1) count++;
  t.is(count, 11);
  t.is(put(client, "x"), -EAGAIN);
  t.is(ready(client) & POLLOUT, 0);
  t.is(get(server), "x");
  t.is(ready(client) & POLLOUT, POLLOUT);
  close(server);
  t.is(put(client, "x"), -ECONNREFUSED);
  t.is(put(client, "x"), -ENOTCONN);
  t.is(getsockname(client, from), 0);
  t.is(from.length, 7);
  end(t, client, third);
});

test.serial("a pair of datagram sockets; connect() to nothing parts it", (t) => {
  start();
  const [a, b] = pair(SOCK_DGRAM);
  t.is(put(a, "one"), 3);
  t.is(put(a, "two"), 3);
  t.is(get(b), "one");
  t.is(get(b), "two");
  const nothing = new SockaddrUn();
  nothing.family = AF_UNSPEC;
  t.is(connect(a, nothing), 0);
  t.is(put(a, "x"), -ENOTCONN);
  t.is(put(b, "back"), 4);
  put(a, "never read");
  end(t, a, b);
});
