/**
 * The epoll calls. Linux: fs/eventpoll.c; read first epoll(7). They never wait: they answer what holds now, and an event loop that has
 * nothing to do hangs an entry on fdWaitQueue(epfd) or just turns the stack. Owns nothing.
 */
import { EBADF, EEXIST, EFAULT, EINVAL, ELOOP, ENFILE, ENOENT, ENOSPC } from "../../uapi/errno.ts";
import {
  EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLERR, EPOLLET, EPOLLEXCLUSIVE, EPOLLHUP, EPOLLIN,
  EPOLLONESHOT, EPOLLOUT, EPOLLWAKEUP,
} from "../../uapi/poll.ts";
import { epollfdLookup, epollOps, fdInstallEpoll, fdWaitQueue, getUnusedFd, sockfdLookup } from "./files.ts";
import {
  EP_PRIVATE_BITS, epAppendReady, epCheck, epFind, epInsert, epItemPoll, epLoopCheck, epRemove, epUnready,
  eventpollAlloc,
} from "./eventpoll.ts";

/** What may stand beside EPOLLEXCLUSIVE. */
const EPOLLEXCLUSIVE_OK_BITS = EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE;
/** Numbers per event in what epollWait() fills: the events, the program's word. */
const EVENT_WORDS = 2;

/**
 * A new epoll instance. Linux: epoll_create1(2).
 * @param flags 0 or EPOLL_CLOEXEC
 * @returns its descriptor, or -EINVAL, -EMFILE, -ENFILE (no instance left, or the part epoll not started)
 */
export function epollCreate1(flags: number): number {
  if ((flags & ~EPOLL_CLOEXEC) !== 0) return -EINVAL;
  const fd = getUnusedFd(0);
  if (fd < 0) return fd;
  const ep = epollOps === null ? null : eventpollAlloc();
  if (ep === null) return -ENFILE;
  fdInstallEpoll(fd, ep, flags);
  return fd;
}

/**
 * Adds, changes or removes a watched descriptor. Linux: epoll_ctl(2).
 * @param op EPOLL_CTL_* @param events EPOLL* wanted @param data given back with each event, an int32
 * @returns 0, or -EBADF, -EEXIST, -ENOENT, -ELOOP, -ENOSPC (no item left), -EINVAL (not an epoll descriptor, itself, an
 *   unknown `op`, or EPOLLEXCLUSIVE where it is not allowed)
 */
export function epollCtl(epfd: number, op: number, fd: number, events = 0, data = 0): number {
  const wait = fdWaitQueue(fd);
  if (wait === null || fdWaitQueue(epfd) === null) return -EBADF;
  const ep = epollfdLookup(epfd);
  const target = epollfdLookup(fd);
  if (ep === null || ep === target) return -EINVAL;
  if ((events & EPOLLEXCLUSIVE) !== 0) {
    if (op === EPOLL_CTL_MOD) return -EINVAL;
    if (op === EPOLL_CTL_ADD && (target !== null || (events & ~EPOLLEXCLUSIVE_OK_BITS) !== 0)) return -EINVAL;
  }
  if (op === EPOLL_CTL_ADD && target !== null && epLoopCheck(ep, target)) return -ELOOP;
  const item = epFind(ep, fd, wait);
  const wanted = events | EPOLLERR | EPOLLHUP;
  switch (op) {
    case EPOLL_CTL_ADD:
      if (item !== null) return -EEXIST;
      return epInsert(ep, fd, sockfdLookup(fd), target, wanted, data) === null ? -ENOSPC : 0;
    case EPOLL_CTL_DEL:
      if (item === null) return -ENOENT;
      epRemove(item);
      return 0;
    case EPOLL_CTL_MOD:
      if (item === null) return -ENOENT;
      if ((item.events & EPOLLEXCLUSIVE) !== 0) return -EINVAL;
      item.events = wanted;
      item.data = data;
      epCheck(item);
      return 0;
    default:
      return -EINVAL;
  }
}

/**
 * The events that hold now, level-triggered ones again in each call. Linux: epoll_wait(2) with a timeout of 0.
 * @param events filled with pairs: EPOLL* bits, the word given to epollCtl() @param maxevents most events to answer
 * @returns their number, or -EBADF, -EINVAL (not an epoll descriptor, maxevents below 1), -EFAULT (`events` too short)
 */
export function epollWait(epfd: number, events: Int32Array, maxevents: number): number {
  if (!(maxevents > 0)) return -EINVAL;
  if (maxevents * EVENT_WORDS > events.length) return -EFAULT;
  const ep = epollfdLookup(epfd);
  if (ep === null) return sockfdLookup(epfd) === null ? -EBADF : -EINVAL;
  let count = 0;
  // What stays ready goes to the end of the list, behind this one: everyone has a turn even when `events` is short.
  const last = ep.readyTail;
  let item = ep.readyHead;
  while (item !== null && count < maxevents) {
    const next = item === last ? null : item.readyNext;
    epUnready(item);
    const revents = epItemPoll(item);
    if (revents !== 0) {
      events[count * EVENT_WORDS] = revents;
      events[count * EVENT_WORDS + 1] = item.data;
      count++;
      const wanted = item.events;
      if ((wanted & EPOLLONESHOT) !== 0) item.events = wanted & EP_PRIVATE_BITS;
      else if ((wanted & EPOLLET) === 0 && !item.ready) epAppendReady(item);
    }
    item = next;
  }
  return count;
}
