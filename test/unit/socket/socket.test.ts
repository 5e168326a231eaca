import test from "ava";
import {
  EAFNOSUPPORT, EAGAIN, EBADF, EFAULT, EINVAL, EMFILE, EMSGSIZE, ENFILE, ENOBUFS, ENOTCONN, ENOTSOCK, ENOTTY,
  EOPNOTSUPP,
} from "../../../src/uapi/errno.ts";
import {
  F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_GETFL, F_SETFD, F_SETFL, FD_CLOEXEC, O_NONBLOCK, O_RDWR,
} from "../../../src/uapi/fcntl.ts";
import { FIONBIO } from "../../../src/uapi/ioctl.ts";
import {
  AF_INET6, AF_UNIX, MSG_DONTWAIT, MSG_MORE, MSG_PEEK, SHUT_WR, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_STREAM,
} from "../../../src/uapi/socket.ts";
import { createNet } from "../../../src/stack/core/net.ts";
import {
  accept4, bind, close, connect, epollCreate1, fcntl, getpeername, getsockname, getsockopt, ioctl, listen, Msghdr,
  read, recv, recvfrom, recvmsg, send, sendmsg, sendto, setNs, setsockopt, setsockoptBytes, shutdown, SockaddrIn,
  socket, write,
} from "../../../src/stack/socket/index.ts";
import { bootFake, calls, inUse, letWait, skOf } from "./fake-family.ts";

const addr = new SockaddrIn(1, 2);
const buffer = new Uint8Array(10);
const words = new Int32Array(4);

/** Every call with a descriptor, correct but for it. */
const CALLS: [string, (fd: number) => number][] = [
  ["bind", (fd) => bind(fd, addr)],
  ["listen", (fd) => listen(fd, 1)],
  ["accept4", (fd) => accept4(fd, null)],
  ["connect", (fd) => connect(fd, addr)],
  ["getsockname", (fd) => getsockname(fd, addr)],
  ["getpeername", (fd) => getpeername(fd, addr)],
  ["shutdown", (fd) => shutdown(fd, SHUT_WR)],
  ["ioctl", (fd) => ioctl(fd, FIONBIO, words)],
  ["send", (fd) => send(fd, buffer, 0, 1, 0)],
  ["sendto", (fd) => sendto(fd, buffer, 0, 1, 0, addr)],
  ["sendmsg", (fd) => sendmsg(fd, new Msghdr(), 0)],
  ["recv", (fd) => recv(fd, buffer, 0, 1, 0)],
  ["recvfrom", (fd) => recvfrom(fd, buffer, 0, 1, 0, addr)],
  ["recvmsg", (fd) => recvmsg(fd, new Msghdr(), 0)],
  ["setsockopt", (fd) => setsockopt(fd, 1, 2, 1)],
  ["setsockoptBytes", (fd) => setsockoptBytes(fd, 1, 2, buffer)],
  ["getsockopt", (fd) => getsockopt(fd, 1, 2, words)],
];

test.serial("EBADF and ENOTSOCK of every call", (t) => {
  bootFake();
  const ep = epollCreate1(0);
  for (const [name, call] of CALLS) {
    for (const fd of [3, -1, 8, 1.5, NaN]) t.is(call(fd), -EBADF, `${name}(${fd})`);
    t.is(call(ep), -ENOTSOCK, `${name} on an epoll descriptor`);
  }
  t.is(read(3, buffer, 0, 1), -EBADF);
  t.is(write(3, buffer, 0, 1), -EBADF);
  t.is(read(ep, buffer, 0, 1), -EINVAL);
  t.is(write(ep, buffer, 0, 1), -EINVAL);
  t.is(close(3), -EBADF);
  t.is(fcntl(3, F_GETFL), -EBADF);
  t.is(close(ep), 0);
  t.is(close(ep), -EBADF);
  t.is(inUse(), 0);
});

test.serial("socket() errors", (t) => {
  bootFake({ files: 3, socks: 2 });
  const cases: [number, number, number][] = [
    [AF_UNIX, SOCK_STREAM | 0x10, -EINVAL],
    [AF_UNIX, 11, -EINVAL],
    [AF_INET6, SOCK_STREAM, -EAFNOSUPPORT],
    [-1, SOCK_STREAM, -EAFNOSUPPORT],
    [1000, SOCK_STREAM, -EAFNOSUPPORT],
    [AF_UNIX, SOCK_DGRAM, -EOPNOTSUPP],
    [AF_UNIX, SOCK_STREAM, 0],
    [AF_UNIX, SOCK_STREAM, 1],
    [AF_UNIX, SOCK_STREAM, -ENOBUFS],
  ];
  for (const [family, type, expected] of cases) t.is(socket(family, type), expected, `${family} ${type}`);
  t.is(epollCreate1(0), 2);
  t.is(socket(AF_UNIX, SOCK_STREAM), -EMFILE);
  t.is(accept4(0, null), -EMFILE);
  t.is(close(1), 0);
  t.is(socket(AF_UNIX, SOCK_STREAM), 1, "the lowest free descriptor");
  for (let fd = 0; fd < 3; fd++) close(fd);
  t.is(inUse(), 0);
});

test.serial("ENFILE: descriptors are left, sockets are not", (t) => {
  bootFake({ files: 4, sockets: 1 });
  t.is(socket(AF_UNIX, SOCK_STREAM), 0);
  t.is(socket(AF_UNIX, SOCK_STREAM), -ENFILE);
  letWait(1);
  t.is(accept4(0, null), -ENFILE);
  close(0);
  t.is(socket(AF_UNIX, SOCK_STREAM), 0);
  close(0);
  t.is(inUse(), 0);
});

test.serial("O_NONBLOCK and FD_CLOEXEC come from the type, fcntl and FIONBIO change them", (t) => {
  bootFake();
  const fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC);
  t.is(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
  t.is(fcntl(fd, F_GETFD), FD_CLOEXEC);
  recv(fd, buffer, 0, 1, MSG_PEEK);
  t.deepEqual(calls.at(-1)!.args, [0, MSG_PEEK | MSG_DONTWAIT, null]);
  send(fd, buffer, 0, 1, MSG_MORE);
  t.deepEqual(calls.at(-1)!.args, [MSG_MORE | MSG_DONTWAIT, 1, null]);
  t.is(fcntl(fd, F_SETFL, 0), 0);
  t.is(fcntl(fd, F_SETFD, 0), 0);
  t.is(fcntl(fd, F_GETFL), O_RDWR);
  t.is(fcntl(fd, F_GETFD), 0);
  words[0] = 1;
  t.is(ioctl(fd, FIONBIO, words), 0);
  t.is(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
  t.is(ioctl(fd, 1, words), 0);
  t.is(words[0], 99);
  t.is(ioctl(fd, 2, words), -ENOTTY);
  t.is(ioctl(fd, 1, new Int32Array(0)), -EFAULT);
  t.is(fcntl(fd, 77), -EINVAL);
  close(fd);
  t.is(inUse(), 0);
});

test.serial("F_DUPFD: two descriptors of one socket", (t) => {
  bootFake({ files: 4 });
  const fd = socket(AF_UNIX, SOCK_STREAM);
  const copy = fcntl(fd, F_DUPFD_CLOEXEC, 2);
  t.is(copy, 2);
  t.is(fcntl(copy, F_GETFD), FD_CLOEXEC);
  t.is(fcntl(fd, F_GETFD), 0);
  fcntl(copy, F_SETFL, O_NONBLOCK);
  t.is(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK, "the flags of the file are shared");
  t.is(fcntl(fd, F_DUPFD, 4), -EINVAL);
  t.is(fcntl(fd, F_DUPFD, 3), 3);
  t.is(fcntl(fd, F_DUPFD, 3), -EMFILE);
  close(fd);
  close(3);
  t.false(calls.some((call) => call.name === "release"));
  t.is(getsockname(copy, addr), 0);
  close(copy);
  t.true(calls.some((call) => call.name === "release"));
  t.is(inUse(), 0);
});

test.serial("accept4", (t) => {
  bootFake({ socks: 2 });
  const fd = socket(AF_UNIX, SOCK_STREAM);
  t.is(accept4(fd, null, 1), -EINVAL);
  t.is(accept4(fd, null), -EAGAIN);
  letWait(2);
  const peer = new SockaddrIn();
  const accepted = accept4(fd, peer, SOCK_NONBLOCK);
  t.is(accepted, 1);
  t.is(peer.port, 8);
  t.is(fcntl(accepted, F_GETFL), O_RDWR | O_NONBLOCK);
  t.is(accept4(fd, null), -ENOBUFS);
  t.is(getpeername(accepted, peer), -ENOTCONN);
  close(fd);
  close(accepted);
  t.is(inUse(), 0);
});

test.serial("listen() caps the backlog", (t) => {
  bootFake();
  const fd = socket(AF_UNIX, SOCK_STREAM);
  for (const [backlog, seen] of [[5, 5], [0, 0], [-1, 4096], [100000, 4096]] as const) {
    listen(fd, backlog);
    t.deepEqual(calls.at(-1)!.args, [seen]);
  }
  close(fd);
  t.is(inUse(), 0);
});

test.serial("buffers are checked", (t) => {
  bootFake();
  const fd = socket(AF_UNIX, SOCK_STREAM);
  const cases: [number, number, number][] = [
    [0, 10, 10],
    [10, 0, 0],
    [4, 6, 6],
    [4, 7, -EFAULT],
    [11, 0, -EFAULT],
    [-1, 1, -EINVAL],
    [0, -1, -EINVAL],
    [0.5, 1, -EINVAL],
    [0, NaN, -EINVAL],
    [0x7fffffff, 0x7fffffff, -EFAULT],
  ];
  for (const [offset, length, expected] of cases) {
    t.is(send(fd, buffer, offset, length, 0), expected, `send ${offset} ${length}`);
    t.is(recv(fd, buffer, offset, length, 0), expected, `recv ${offset} ${length}`);
    t.is(write(fd, buffer, offset, length), expected);
    t.is(read(fd, buffer, offset, length), expected);
    const msg = new Msghdr();
    msg.iovBase[0] = new Uint8Array(3);
    msg.iovLength[0] = 3;
    msg.iovBase[1] = buffer;
    msg.iovOffset[1] = offset;
    msg.iovLength[1] = length;
    msg.iovlen = 2;
    t.is(sendmsg(fd, msg, 0), expected < 0 ? expected : expected + 3);
    t.is(recvmsg(fd, msg, 0), expected < 0 ? expected : expected + 3);
  }
  const msg = new Msghdr();
  msg.iovlen = 17;
  t.is(sendmsg(fd, msg, 0), -EMSGSIZE);
  msg.iovlen = 1;
  msg.iovLength[0] = 1;
  t.is(sendmsg(fd, msg, 0), -EFAULT);
  msg.iovLength[0] = 0;
  t.is(sendmsg(fd, msg, 0), 0);
  msg.controllen = 1;
  t.is(sendmsg(fd, msg, 0), -EINVAL);
  msg.control = new Int32Array(4);
  msg.controllen = 5;
  t.is(sendmsg(fd, msg, 0), -EINVAL);
  t.is(recvmsg(fd, msg, 0), 0);
  t.is(msg.controllen, 0);
  close(fd);
  t.is(inUse(), 0);
});

test.serial("sendto names its destination, and the next send() does not", (t) => {
  bootFake();
  const fd = socket(AF_UNIX, SOCK_STREAM);
  sendto(fd, buffer, 0, 1, 0, addr);
  t.is(calls.at(-1)!.args[2], addr);
  send(fd, buffer, 0, 1, 0);
  t.is(calls.at(-1)!.args[2], null);
  recvfrom(fd, buffer, 0, 1, 0, addr);
  t.is(calls.at(-1)!.args[2], addr);
  recv(fd, buffer, 0, 1, 0);
  t.is(calls.at(-1)!.args[2], null);
  close(fd);
  t.is(inUse(), 0);
});

test.serial("setNs() chooses the namespace of new sockets", (t) => {
  bootFake();
  const other = createNet();
  const a = socket(AF_UNIX, SOCK_STREAM);
  setNs(other);
  const b = socket(AF_UNIX, SOCK_STREAM);
  t.not(skOf(a).net, other);
  t.is(skOf(b).net, other);
  close(a);
  close(b);
  t.is(inUse(), 0);
});
