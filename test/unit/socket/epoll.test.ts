import test from "ava";
import {
  EBADF, EEXIST, EFAULT, EINVAL, ELOOP, EMFILE, ENFILE, ENOENT, ENOSPC, errnoName,
} from "../../../src/uapi/errno.ts";
import {
  EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLERR, EPOLLET, EPOLLEXCLUSIVE, EPOLLHUP, EPOLLIN,
  EPOLLONESHOT, EPOLLOUT, EPOLLRDHUP, POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT,
} from "../../../src/uapi/poll.ts";
import { AF_UNIX, SOCK_STREAM } from "../../../src/uapi/socket.ts";
import { WaitQueueEntry, addWaitQueue } from "../../../src/stack/core/wait.ts";
import {
  close, epollCreate1, epollCtl, epollWait, fcntl, fdWaitQueue, poll, Pollfd, socket,
} from "../../../src/stack/socket/index.ts";
import { F_DUPFD } from "../../../src/uapi/fcntl.ts";
import { bootFake, inUse, makeReady, setReady } from "./fake-family.ts";

const events = new Int32Array(16);

function open(): number {
  return socket(AF_UNIX, SOCK_STREAM);
}

/** One epollWait() as text: "data:events …". */
function wait(epfd: number, max = 8): string {
  const n = epollWait(epfd, events, max);
  if (n < 0) return errnoName(n);
  let text = "";
  for (let i = 0; i < n; i++) text += `${i > 0 ? " " : ""}${events[2 * i + 1]}:${events[2 * i]}`;
  return text;
}

test.serial("level: reported in every call while it holds", (t) => {
  bootFake();
  const ep = epollCreate1(0);
  const fd = open();
  t.is(epollCtl(ep, EPOLL_CTL_ADD, fd, EPOLLIN, 42), 0);
  t.is(wait(ep), "");
  makeReady(fd, EPOLLIN | EPOLLOUT);
  t.is(wait(ep), "42:1");
  t.is(wait(ep), "42:1");
  setReady(fd, 0);
  t.is(wait(ep), "");
  setReady(fd, EPOLLIN);
  t.is(wait(ep), "", "without a wake-up nobody looks");
  close(fd);
  close(ep);
  t.is(inUse(), 0);
});

test.serial("edge: once per wake-up", (t) => {
  bootFake();
  const ep = epollCreate1(EPOLL_CLOEXEC);
  const fd = open();
  epollCtl(ep, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLET, 1);
  makeReady(fd, EPOLLIN);
  t.is(wait(ep), "1:1");
  t.is(wait(ep), "");
  makeReady(fd, EPOLLIN);
  makeReady(fd, EPOLLIN);
  t.is(wait(ep), "1:1", "two wake-ups before a wait are one event");
  t.is(wait(ep), "");
  makeReady(fd, EPOLLOUT);
  t.is(wait(ep), "", "a wake-up about something else is none");
  setReady(fd, EPOLLIN);
  epollCtl(ep, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLET, 2);
  t.is(wait(ep), "2:1", "EPOLL_CTL_MOD looks again");
  close(ep);
  close(fd);
  t.is(inUse(), 0);
});

test.serial("one-shot: silent until it is armed again", (t) => {
  bootFake();
  const ep = epollCreate1(0);
  const fd = open();
  epollCtl(ep, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLONESHOT, 9);
  makeReady(fd, EPOLLIN | EPOLLHUP);
  t.is(wait(ep), `9:${EPOLLIN | EPOLLHUP}`);
  makeReady(fd, EPOLLIN | EPOLLHUP);
  t.is(wait(ep), "", "not even EPOLLHUP");
  epollCtl(ep, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLONESHOT, 10);
  t.is(wait(ep), `10:${EPOLLIN | EPOLLHUP}`);
  close(fd);
  close(ep);
  t.is(inUse(), 0);
});

test.serial("EPOLLERR and EPOLLHUP come unasked, EPOLLRDHUP only on request; EPOLLEXCLUSIVE is like level", (t) => {
  bootFake();
  const ep = epollCreate1(0);
  const a = open();
  const b = open();
  epollCtl(ep, EPOLL_CTL_ADD, a, EPOLLIN, 1);
  epollCtl(ep, EPOLL_CTL_ADD, b, EPOLLIN | EPOLLRDHUP, 2);
  makeReady(a, EPOLLERR | EPOLLHUP | EPOLLRDHUP);
  makeReady(b, EPOLLRDHUP);
  t.is(wait(ep), `1:${EPOLLERR | EPOLLHUP} 2:${EPOLLRDHUP}`);
  const c = open();
  t.is(epollCtl(ep, EPOLL_CTL_ADD, c, EPOLLIN | EPOLLEXCLUSIVE, 3), 0);
  t.is(epollCtl(ep, EPOLL_CTL_MOD, c, EPOLLIN, 3), -EINVAL);
  makeReady(c, EPOLLIN);
  t.regex(wait(ep), /3:1$/);
  [a, b, c, ep].forEach((fd) => close(fd));
  t.is(inUse(), 0);
});

test.serial("with few events per call everyone has a turn", (t) => {
  bootFake();
  const ep = epollCreate1(0);
  const fds = [open(), open(), open()];
  fds.forEach((fd, i) => {
    epollCtl(ep, EPOLL_CTL_ADD, fd, EPOLLIN, i);
    makeReady(fd, EPOLLIN);
  });
  t.is(wait(ep, 2), "0:1 1:1");
  t.is(wait(ep, 2), "2:1 0:1");
  t.is(wait(ep, 1), "1:1");
  epollCtl(ep, EPOLL_CTL_DEL, fds[2]!);
  t.is(wait(ep), "0:1 1:1");
  [...fds, ep].forEach((fd) => close(fd));
  t.is(inUse(), 0);
});

test.serial("closing the last descriptor removes the item; a duplicate keeps it", (t) => {
  bootFake();
  const ep = epollCreate1(0);
  const fd = open();
  epollCtl(ep, EPOLL_CTL_ADD, fd, EPOLLIN, 5);
  makeReady(fd, EPOLLIN);
  const copy = fcntl(fd, F_DUPFD, 0);
  close(fd);
  t.is(wait(ep), "5:1");
  close(copy);
  t.is(wait(ep), "");
  const again = open();
  t.is(epollCtl(ep, EPOLL_CTL_DEL, again), -ENOENT);
  close(again);
  close(ep);
  t.is(inUse(), 0);
});

test.serial("an instance watches another", (t) => {
  bootFake();
  const outer = epollCreate1(0);
  const inner = epollCreate1(0);
  const fd = open();
  epollCtl(inner, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLET, 1);
  epollCtl(outer, EPOLL_CTL_ADD, inner, EPOLLIN, 2);
  t.is(wait(outer), "");
  makeReady(fd, EPOLLIN);
  t.is(wait(outer), "2:1");
  t.is(wait(inner), "1:1");
  t.is(wait(outer), "");
  t.is(epollCtl(inner, EPOLL_CTL_ADD, outer, EPOLLIN, 3), -ELOOP);
  makeReady(fd, EPOLLIN);
  setReady(fd, 0);
  t.is(wait(outer), "", "the inner list had a stale item");
  close(inner);
  close(outer);
  close(fd);
  t.is(inUse(), 0);
});

test.serial("whoever hangs on the wait queue of an instance is told once when it becomes ready", (t) => {
  bootFake();
  const ep = epollCreate1(0);
  const fd = open();
  let told = 0;
  const entry = new WaitQueueEntry();
  entry.func = () => {
    told++;
  };
  addWaitQueue(fdWaitQueue(ep)!, entry);
  epollCtl(ep, EPOLL_CTL_ADD, fd, EPOLLIN, 1);
  makeReady(fd, EPOLLIN);
  makeReady(fd, EPOLLIN);
  t.is(told, 1);
  close(ep);
  close(fd);
  t.is(inUse(), 0);
});

test.serial("epoll errors", (t) => {
  bootFake({ files: 6, epolls: 2, epollItems: 2 });
  const ep = epollCreate1(0);
  const a = open();
  const b = open();
  const cases: [string, () => number, number][] = [
    ["create: unknown flag", () => epollCreate1(1), -EINVAL],
    ["ctl: no such epoll descriptor", () => epollCtl(5, EPOLL_CTL_ADD, a, EPOLLIN, 0), -EBADF],
    ["ctl: no such descriptor", () => epollCtl(ep, EPOLL_CTL_ADD, 5, EPOLLIN, 0), -EBADF],
    ["ctl: a socket is no instance", () => epollCtl(a, EPOLL_CTL_ADD, b, EPOLLIN, 0), -EINVAL],
    ["ctl: itself", () => epollCtl(ep, EPOLL_CTL_ADD, ep, EPOLLIN, 0), -EINVAL],
    ["ctl: unknown operation", () => epollCtl(ep, 4, a, EPOLLIN, 0), -EINVAL],
    ["mod: not watched", () => epollCtl(ep, EPOLL_CTL_MOD, a, EPOLLIN, 0), -ENOENT],
    ["del: not watched", () => epollCtl(ep, EPOLL_CTL_DEL, a), -ENOENT],
    ["add", () => epollCtl(ep, EPOLL_CTL_ADD, a, EPOLLIN, 0), 0],
    ["add: twice", () => epollCtl(ep, EPOLL_CTL_ADD, a, EPOLLIN, 0), -EEXIST],
    ["exclusive and one-shot", () => epollCtl(ep, EPOLL_CTL_ADD, b, EPOLLEXCLUSIVE | EPOLLONESHOT, 0), -EINVAL],
    ["exclusive on MOD", () => epollCtl(ep, EPOLL_CTL_MOD, a, EPOLLEXCLUSIVE, 0), -EINVAL],
    ["add b", () => epollCtl(ep, EPOLL_CTL_ADD, b, EPOLLIN, 0), 0],
    ["add: no item left", () => epollCtl(ep, EPOLL_CTL_ADD, open(), EPOLLIN, 0), -ENOSPC],
    ["wait: no events wanted", () => epollWait(ep, events, 0), -EINVAL],
    ["wait: array too short", () => epollWait(ep, new Int32Array(3), 2), -EFAULT],
    ["wait: not an instance", () => epollWait(a, events, 1), -EINVAL],
    ["wait: no descriptor", () => epollWait(99, events, 1), -EBADF],
    ["create: second", () => epollCreate1(0), 4],
    ["create: no instance left", () => epollCreate1(0), -ENFILE],
    ["socket", open, 5],
    ["create: no descriptor left", () => epollCreate1(0), -EMFILE],
  ];
  for (const [name, call, expected] of cases) t.is(call(), expected, name);
  for (let fd = 0; fd < 6; fd++) t.is(close(fd), 0);
  t.is(inUse(), 0);
});

test.serial("poll", (t) => {
  bootFake();
  const a = open();
  const b = open();
  const ep = epollCreate1(0);
  epollCtl(ep, EPOLL_CTL_ADD, b, EPOLLOUT, 0);
  setReady(a, POLLIN | POLLOUT | POLLERR | POLLHUP);
  makeReady(b, POLLOUT);
  const fds = [
    new Pollfd(a, POLLOUT), new Pollfd(b, POLLIN), new Pollfd(-1, POLLIN), new Pollfd(7, POLLIN),
    new Pollfd(ep, POLLIN),
  ];
  fds[2]!.revents = 1;
  t.is(poll(fds, 5), 3);
  t.deepEqual(fds.map((p) => p.revents), [POLLOUT | POLLERR | POLLHUP, 0, 0, POLLNVAL, POLLIN]);
  t.is(poll(fds, 6), -EFAULT);
  t.is(poll(fds, -1), -EINVAL);
  t.is(poll(fds, 0), 0);
  [a, b, ep].forEach((fd) => close(fd));
  t.is(inUse(), 0);
});
