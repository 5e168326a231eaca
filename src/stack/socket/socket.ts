/**
 * The system calls that make, name and end connections: socket, bind, listen, accept4, connect, getsockname,
 * getpeername, shutdown, ioctl. Linux: net/socket.c; read first socket(2), socket(7). Owns the current namespace of
 * the program.
 *
 * Calls answer 0 or a number, or a negative errno. Nothing waits: what would wait answers -EAGAIN (connect:
 * -EINPROGRESS), and readiness is reported by poll and epoll.
 */
import { ECONNABORTED, EFAULT, EINVAL, ENFILE, ENOIOCTLCMD, ENOTTY } from "../../uapi/errno.ts";
import { O_NONBLOCK } from "../../uapi/fcntl.ts";
import { FIONBIO } from "../../uapi/ioctl.ts";
import { SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_TYPE_MASK } from "../../uapi/socket.ts";
import { ioctlRecord, type IoctlRecord, ioctlReset } from "../core/ifreq.ts";
import type { Net } from "../core/net.ts";
import { procReset } from "../core/proc.ts";
import type { Sockaddr } from "../core/sockaddr.ts";
import { sockAlloc, sockCreateIn, socketPoolInit, sockRelease } from "../core/socket.ts";
import { close, fdError, fdInstallSocket, filesInit, getUnusedFd, sockfdLookup } from "./files.ts";
import { sendrecvInit } from "./sendrecv.ts";

/** Flags that socket() takes in its type and accept4() as its flags. */
const SOCK_FLAGS = SOCK_CLOEXEC | SOCK_NONBLOCK;

/** Where socket() makes sockets. */
let currentNet: Net;

/**
 * Builds descriptors and sockets. Boot time only; after netInit().
 * @param files descriptors
 * @param net namespace of new sockets until setNs() @param sockets sockets behind the descriptors
 */
export function socketInit(files: number, net: Net, sockets = files): void {
  currentNet = net;
  ioctlReset();
  procReset();
  filesInit(files);
  socketPoolInit(sockets, net);
  sendrecvInit();
}

/** From now on socket() makes sockets of this namespace. Linux: setns(2). */
export function setNs(net: Net): void {
  currentNet = net;
}

/** The namespace of new sockets. */
export function getNs(): Net {
  return currentNet;
}

/**
 * A new socket. Linux: socket(2).
 * @param type SOCK_STREAM, SOCK_DGRAM, …, or'ed with SOCK_NONBLOCK and SOCK_CLOEXEC @param protocol IPPROTO_*, 0 for
 * the usual
 * @returns its descriptor, or -EINVAL, -EAFNOSUPPORT, -ESOCKTNOSUPPORT, -EPROTONOSUPPORT, -EPERM, -ENOBUFS (no sock
 * left), -EMFILE (no descriptor left), -ENFILE (no socket left)
 */
export function socket(family: number, type: number, protocol = 0): number {
  return socketIn(currentNet, family, type, protocol);
}

/** socket() in that namespace, whatever the program's is (commands). Errors as socket(). */
export function socketIn(net: Net, family: number, type: number, protocol: number): number {
  if ((type & ~(SOCK_TYPE_MASK | SOCK_FLAGS)) !== 0) return -EINVAL;
  const fd = getUnusedFd(0);
  if (fd < 0) return fd;
  const sock = sockAlloc(net, type & SOCK_TYPE_MASK);
  if (sock === null) return -ENFILE;
  const err = sockCreateIn(net, family, sock, protocol);
  if (err < 0) {
    sockRelease(sock);
    return err;
  }
  sock.fileFlags = type & SOCK_NONBLOCK;
  fdInstallSocket(fd, sock, type);
  return fd;
}

/**
 * Two sockets that are joined. Linux: socketpair(2).
 * @param fds filled with their descriptors
 * @returns 0, -EFAULT (`fds` too short), -EOPNOTSUPP (not of that family), or what socket() answers
 */
export function socketpair(family: number, type: number, protocol: number, fds: Int32Array): number {
  if (fds.length < 2) return -EFAULT;
  const first = socket(family, type, protocol);
  if (first < 0) return first;
  const second = socket(family, type, protocol);
  const sock = sockfdLookup(first)!;
  const err = second < 0 ? second : sock.ops!.socketpair(sock, sockfdLookup(second)!);
  if (err < 0) {
    if (second >= 0) close(second);
    close(first);
    return err;
  }
  fds[0] = first;
  fds[1] = second;
  return 0;
}

/** Gives the socket its own address. Linux: bind(2). 0, or -EBADF, -ENOTSOCK, or what the family answers. */
export function bind(fd: number, addr: Sockaddr): number {
  const sock = sockfdLookup(fd);
  if (sock === null) return fdError(fd);
  return sock.ops!.bind(sock, addr);
}

/** Waits for connections; at most net.core.somaxconn of them queue. Linux: listen(2). */
export function listen(fd: number, backlog: number): number {
  const sock = sockfdLookup(fd);
  if (sock === null) return fdError(fd);
  const most = sock.net.ipv4.somaxconn;
  return sock.ops!.listen(sock, backlog < 0 || backlog > most ? most : backlog);
}

/**
 * Takes the next connection that waits. Linux: accept4(2).
 * @param addr filled with the peer's address; null when not wanted @param flags SOCK_NONBLOCK, SOCK_CLOEXEC
 * @returns its descriptor, -EAGAIN when none waits, or -EBADF, -ENOTSOCK, -EINVAL, -EOPNOTSUPP, -EMFILE, -ENFILE,
 *   -ECONNABORTED
 */
export function accept4(fd: number, addr: Sockaddr | null, flags = 0): number {
  if ((flags & ~SOCK_FLAGS) !== 0) return -EINVAL;
  const sock = sockfdLookup(fd);
  if (sock === null) return fdError(fd);
  const newFd = getUnusedFd(0);
  if (newFd < 0) return newFd;
  const newsock = sockAlloc(sock.net, sock.type);
  if (newsock === null) return -ENFILE;
  newsock.ops = sock.ops;
  let err = sock.ops!.accept(sock, newsock, sock.fileFlags);
  if (err >= 0 && addr !== null && newsock.ops!.getname(newsock, addr, 2) < 0) err = -ECONNABORTED;
  if (err < 0) {
    if (newsock.sk === null) newsock.ops = null;
    sockRelease(newsock);
    return err;
  }
  newsock.fileFlags = flags & SOCK_NONBLOCK;
  fdInstallSocket(newFd, newsock, flags);
  return newFd;
}

/**
 * Connects to the address, or with family AF_UNSPEC disconnects. Linux: connect(2).
 * @returns 0, -EINPROGRESS (wait for EPOLLOUT, then read SO_ERROR), -EALREADY, -EISCONN, or another negative errno
 */
export function connect(fd: number, addr: Sockaddr): number {
  const sock = sockfdLookup(fd);
  if (sock === null) return fdError(fd);
  return sock.ops!.connect(sock, addr, sock.fileFlags);
}

/** Fills in the socket's own address. Linux: getsockname(2). */
export function getsockname(fd: number, addr: Sockaddr): number {
  const sock = sockfdLookup(fd);
  if (sock === null) return fdError(fd);
  return sock.ops!.getname(sock, addr, 0);
}

/** Fills in the peer's address; -ENOTCONN without one. Linux: getpeername(2). */
export function getpeername(fd: number, addr: Sockaddr): number {
  const sock = sockfdLookup(fd);
  if (sock === null) return fdError(fd);
  return sock.ops!.getname(sock, addr, 1);
}

/** Ends one direction or both: SHUT_RD, SHUT_WR, SHUT_RDWR. Linux: shutdown(2). */
export function shutdown(fd: number, how: number): number {
  const sock = sockfdLookup(fd);
  if (sock === null) return fdError(fd);
  return sock.ops!.shutdown(sock, how);
}

/**
 * FIONREAD/SIOCINQ, SIOCOUTQ and what else the protocol knows fill out[0]; FIONBIO reads it. Requests about devices, addresses,
 * routes and neighbours take a record (src/ioctl.ts). Linux: ioctl(2).
 * @returns 0, or -EBADF, -ENOTSOCK, -EFAULT (`out` is empty), -ENOTTY (unknown request), -EINVAL
 */
export function ioctl(fd: number, request: number, out: Int32Array | IoctlRecord): number {
  const sock = sockfdLookup(fd);
  if (sock === null) return fdError(fd);
  if (!(out instanceof Int32Array)) return ioctlRecord(sock.net, request, out);
  if (out.length < 1) return -EFAULT;
  if (request === FIONBIO) {
    if (out[0] !== 0) sock.fileFlags |= O_NONBLOCK;
    else sock.fileFlags &= ~O_NONBLOCK;
    return 0;
  }
  const err = sock.ops!.ioctl(sock, request, out);
  return err === -ENOIOCTLCMD ? -ENOTTY : err;
}
