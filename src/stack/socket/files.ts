/**
 * The descriptor table: small numbers that stand for sockets and epoll instances. Linux: fs/file.c and sockfs of
 * net/socket.c. Owns the table (option `files`); several descriptors may share one socket (F_DUPFD), which ends with
 * the last of them.
 */
import { EBADF, EINVAL, EMFILE, ENOTSOCK } from "../../uapi/errno.ts";
import {
  F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_GETFL, F_SETFD, F_SETFL, FD_CLOEXEC, O_CLOEXEC, O_NONBLOCK, O_RDWR,
} from "../../uapi/fcntl.ts";
import { account } from "../../lib/account.ts";
import { halfTable, halfWords, halves } from "../../lib/table.ts";
import { type Socket, sockRelease } from "../core/socket.ts";
import type { WaitQueueHead } from "../core/wait.ts";
import type { Eventpoll } from "./eventpoll.ts";

/** The inside of epoll (eventpoll.ts), where it was started. */
export interface EpollOps {
  /** What is watched is being closed: every item on it ends. */
  release(wait: WaitQueueHead): void;
  /** Ends an instance and all its items. */
  free(ep: Eventpoll): void;
  /** POLL* that hold for an instance. */
  poll(ep: Eventpoll): number;
}

/** By descriptor. A descriptor is in one of the two at most. */
export let fdSockets: (Socket | null)[];
/** null where there are no instances. */
let fdEpolls: (Eventpoll | null)[] | null;
/** The same. */
export let epollOps: EpollOps | null;
/** Where in `halves` FD_CLOEXEC is by descriptor; kept and answered, as there is no exec here. */
let fdFlags = 0;

/** Words of the tables below. */
export function filesWords(count: number): number {
  return halfWords(count);
}

/** Builds the table. Boot time only. */
export function filesInit(count: number): void {
  fdSockets = account("files", new Array<Socket | null>(count).fill(null));
  fdEpolls = epollOps = null;
  fdFlags = halfTable("files", count);
}

/** There will be epoll instances among the descriptors. Boot time only, after filesInit(). */
export function registerEpoll(ops: EpollOps): void {
  epollOps = ops;
  fdEpolls = account("files", new Array<Eventpoll | null>(fdSockets.length).fill(null));
}

/** The lowest free descriptor from `least` on, or -EMFILE. Nothing is reserved. Linux: get_unused_fd_flags(). */
export function getUnusedFd(least: number): number {
  for (let fd = least; fd < fdSockets.length; fd++) {
    if (fdSockets[fd] === null && epollfdLookup(fd) === null) return fd;
  }
  return -EMFILE;
}

/** Makes a free descriptor stand for the socket. `flags` may hold O_CLOEXEC. Linux: fd_install(). */
export function fdInstallSocket(fd: number, sock: Socket, flags: number): void {
  fdSockets[fd] = sock;
  halves[fdFlags + fd] = (flags & O_CLOEXEC) !== 0 ? FD_CLOEXEC : 0;
  sock.fileRefs++;
}

/** Makes a free descriptor stand for the epoll instance. */
export function fdInstallEpoll(fd: number, ep: Eventpoll, flags: number): void {
  fdEpolls![fd] = ep;
  halves[fdFlags + fd] = (flags & O_CLOEXEC) !== 0 ? FD_CLOEXEC : 0;
  ep.fileRefs++;
}

/** The socket of a descriptor, or null: fdError() says why. Linux: sockfd_lookup(). */
export function sockfdLookup(fd: number): Socket | null {
  return fdSockets[fd] ?? null;
}

/** The epoll instance of a descriptor, or null. */
export function epollfdLookup(fd: number): Eventpoll | null {
  return fdEpolls === null ? null : fdEpolls[fd] ?? null;
}

/** Why sockfdLookup() gave null: -EBADF (no such descriptor) or -ENOTSOCK. */
export function fdError(fd: number): number {
  return epollfdLookup(fd) === null ? -EBADF : -ENOTSOCK;
}

/** Where an event loop hangs its own WaitQueueEntry to hear of a descriptor's readiness; null for none such. */
export function fdWaitQueue(fd: number): WaitQueueHead | null {
  const sock = sockfdLookup(fd);
  if (sock !== null) return sock;
  return epollfdLookup(fd);
}

/**
 * Gives a descriptor back; the last one of a socket ends it (what it still has to send goes out in the background,
 * unless SO_LINGER says otherwise). Linux: close(2).
 * @returns 0 or -EBADF
 */
export function close(fd: number): number {
  const sock = sockfdLookup(fd);
  if (sock !== null) {
    fdSockets[fd] = null;
    if (--sock.fileRefs === 0) {
      if (sock.first !== null && epollOps !== null) epollOps.release(sock);
      sockRelease(sock);
    }
    return 0;
  }
  const ep = epollfdLookup(fd);
  if (ep === null) return -EBADF;
  fdEpolls![fd] = null;
  if (--ep.fileRefs === 0) {
    epollOps!.release(ep);
    epollOps!.free(ep);
  }
  return 0;
}

function dupFd(fd: number, least: number, flags: number): number {
  if (least < 0 || least >= fdSockets.length) return -EINVAL;
  const copy = getUnusedFd(least);
  if (copy < 0) return copy;
  const sock = sockfdLookup(fd);
  if (sock !== null) fdInstallSocket(copy, sock, flags);
  else fdInstallEpoll(copy, epollfdLookup(fd)!, flags);
  return copy;
}

/**
 * F_DUPFD, F_GETFD, F_SETFD, F_GETFL and F_SETFL (of which O_NONBLOCK can be changed). Linux: fcntl(2).
 * @returns a descriptor, flags, 0, or -EBADF, -EMFILE, -EINVAL (unknown command, or F_DUPFD beyond the table)
 */
export function fcntl(fd: number, command: number, arg = 0): number {
  const sock = sockfdLookup(fd);
  if (sock === null && epollfdLookup(fd) === null) return -EBADF;
  switch (command) {
    case F_DUPFD:
      return dupFd(fd, arg, 0);
    case F_DUPFD_CLOEXEC:
      return dupFd(fd, arg, O_CLOEXEC);
    case F_GETFD:
      return halves[fdFlags + fd]!;
    case F_SETFD:
      halves[fdFlags + fd] = arg & FD_CLOEXEC;
      return 0;
    case F_GETFL:
      return O_RDWR | (sock === null ? 0 : sock.fileFlags);
    case F_SETFL:
      if (sock !== null) sock.fileFlags = arg & O_NONBLOCK;
      return 0;
    default:
      return -EINVAL;
  }
}
