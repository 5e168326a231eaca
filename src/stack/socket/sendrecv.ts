/**
 * The system calls that move data: send, sendto, sendmsg, recv, recvfrom, recvmsg, read, write. Linux: net/socket.c;
 * read first send(2), recv(2). Owns the message header of the calls with a single buffer (no call runs inside
 * another).
 */
import { account } from "../../lib/account.ts";
import { EBADF, EFAULT, EINVAL, EMSGSIZE } from "../../uapi/errno.ts";
import { O_NONBLOCK } from "../../uapi/fcntl.ts";
import { MSG_DONTWAIT } from "../../uapi/socket.ts";
import { Msghdr, msgRewind, msgSetBuffer, type Sockaddr, UIO_MAXIOV } from "../core/sockaddr.ts";
import type { Socket } from "../core/socket.ts";
import { fdError, fdSockets, sockfdLookup } from "./files.ts";

let ioMsg: Msghdr;

/** Boot: the message header. Called by socketInit(). */
export function sendrecvInit(): void {
  ioMsg = account("msghdr", new Msghdr(1));
}

/** 0 when the part lies in the buffer; -EINVAL for numbers that are no offset or length, -EFAULT beyond its end. */
function accessOk(buffer: Uint8Array, offset: number, length: number): number {
  if ((offset | 0) !== offset || (length | 0) !== length || (offset | length) < 0) return -EINVAL;
  return offset + length <= buffer.length ? 0 : -EFAULT;
}

/** MSG_DONTWAIT for a descriptor that is non-blocking, added to the flags of the call. */
function fileMsgFlags(sock: Socket, flags: number): number {
  return (sock.fileFlags & O_NONBLOCK) !== 0 ? flags | MSG_DONTWAIT : flags;
}

/**
 * Sends `length` bytes of the buffer to `addr`, or with null to the peer. Linux: sendto(2).
 * @param flags MSG_MORE, MSG_OOB, MSG_DONTWAIT, MSG_NOSIGNAL, …
 * @returns bytes taken, -EAGAIN when there is no room now, or another negative errno
 */
export function sendto(
  fd: number, buffer: Uint8Array, offset: number, length: number, flags: number, addr: Sockaddr | null,
): number {
  const sock = fdSockets[fd];
  if (!sock) return fdError(fd);
  const err = accessOk(buffer, offset, length);
  if (err < 0) return err;
  const msg = ioMsg;
  msgSetBuffer(msg, buffer, offset, length);
  msg.name = addr;
  msg.flags = fileMsgFlags(sock, flags);
  return sock.ops!.sendmsg(sock, msg, length);
}

/** sendto() the peer. Linux: send(2). */
export function send(fd: number, buffer: Uint8Array, offset: number, length: number, flags: number): number {
  return sendto(fd, buffer, offset, length, flags, null);
}

/** send() without flags; -EINVAL on a descriptor that is no socket. Linux: write(2). */
export function write(fd: number, buffer: Uint8Array, offset: number, length: number): number {
  return sockfdLookup(fd) === null ? notAFile(fd) : sendto(fd, buffer, offset, length, 0, null);
}

/**
 * Reads into the buffer. Linux: recvfrom(2).
 * @param flags MSG_PEEK, MSG_TRUNC, MSG_WAITALL, MSG_OOB, MSG_DONTWAIT, MSG_ERRQUEUE, …
 * @param addr filled with the sender's address by datagram sockets; null when not wanted
 * @returns bytes, 0 at the end of the stream, -EAGAIN when nothing is there, or another negative errno
 */
export function recvfrom(
  fd: number, buffer: Uint8Array, offset: number, length: number, flags: number, addr: Sockaddr | null,
): number {
  const sock = fdSockets[fd];
  if (!sock) return fdError(fd);
  const err = accessOk(buffer, offset, length);
  if (err < 0) return err;
  const msg = ioMsg;
  msgSetBuffer(msg, buffer, offset, length);
  msg.name = addr;
  msg.flags = 0;
  return sock.ops!.recvmsg(sock, msg, length, (sock.fileFlags & O_NONBLOCK) !== 0 ? flags | MSG_DONTWAIT : flags);
}

/** recvfrom() without the sender's address. Linux: recv(2). */
export function recv(fd: number, buffer: Uint8Array, offset: number, length: number, flags: number): number {
  // A body of its own, and accessOk() in it: two calls for each read are spared.
  const sock = fdSockets[fd];
  if (!sock) return fdError(fd);
  if ((offset | 0) !== offset || (length | 0) !== length || (offset | length) < 0) return -EINVAL;
  if (offset + length > buffer.length) return -EFAULT;
  const msg = ioMsg;
  msgSetBuffer(msg, buffer, offset, length);
  msg.name = null;
  msg.flags = 0;
  return sock.ops!.recvmsg(sock, msg, length, (sock.fileFlags & O_NONBLOCK) !== 0 ? flags | MSG_DONTWAIT : flags);
}

/** recv() without flags; -EINVAL on a descriptor that is no socket. Linux: read(2). */
export function read(fd: number, buffer: Uint8Array, offset: number, length: number): number {
  if (sockfdLookup(fd) === null) return notAFile(fd);
  // Nothing wanted, nothing waited for: unlike recv().
  return length === 0 ? accessOk(buffer, offset, 0) : recvfrom(fd, buffer, offset, length, 0, null);
}

/** What read() and write() answer for a descriptor that is no socket: an epoll instance has no such functions. */
function notAFile(fd: number): number {
  return fdError(fd) === -EBADF ? -EBADF : -EINVAL;
}

/**
 * Checks every buffer of a message: their total length, or -EMSGSIZE (too many), -EFAULT, -EINVAL. Linux:
 * import_iovec().
 */
function importIovec(msg: Msghdr): number {
  const iovlen = msg.iovlen;
  if (iovlen < 0 || iovlen > UIO_MAXIOV) return -EMSGSIZE;
  let total = 0;
  for (let i = 0; i < iovlen; i++) {
    const base = msg.iovBase[i];
    const length = msg.iovLength[i]!;
    if (base === null || base === undefined) {
      if (length !== 0) return -EFAULT;
      continue;
    }
    const err = accessOk(base, msg.iovOffset[i]!, length);
    if (err < 0) return err;
    total += length;
  }
  msgRewind(msg);
  return total;
}

/** Sends a message of several buffers, with a destination and control messages. Linux: sendmsg(2). */
export function sendmsg(fd: number, msg: Msghdr, flags: number): number {
  const sock = sockfdLookup(fd);
  if (sock === null) return fdError(fd);
  const control = msg.control;
  if (msg.controllen !== 0 && (control === null || msg.controllen < 0 || msg.controllen > control.length)) {
    return -EINVAL;
  }
  const length = importIovec(msg);
  if (length < 0) return length;
  msg.flags = fileMsgFlags(sock, flags);
  return sock.ops!.sendmsg(sock, msg, length);
}

/**
 * Reads into several buffers; `msg` gets flags (MSG_TRUNC, MSG_CTRUNC, …), sender and control messages. Linux:
 * recvmsg(2).
 */
export function recvmsg(fd: number, msg: Msghdr, flags: number): number {
  const sock = sockfdLookup(fd);
  if (sock === null) return fdError(fd);
  const length = importIovec(msg);
  if (length < 0) return length;
  msg.flags = 0;
  msg.controllen = 0;
  return sock.ops!.recvmsg(sock, msg, length, fileMsgFlags(sock, flags));
}
