/**
 * setsockopt and getsockopt: level SOL_SOCKET to core/sockopt.ts, every other to the family. Linux: net/socket.c; read
 * first getsockopt(2), socket(7), ip(7), tcp(7), udp(7). Owns nothing.
 */
import { EFAULT } from "../../uapi/errno.ts";
import { SOL_SOCKET } from "../../uapi/socket.ts";
import { sockGetsockopt, sockSetsockopt } from "../core/sockopt.ts";
import { fdError, sockfdLookup } from "./files.ts";

function setOption(
  fd: number, level: number, name: number, value: number, value2: number, opt: Uint8Array | Int32Array | null,
): number {
  const sock = sockfdLookup(fd);
  if (sock === null) return fdError(fd);
  if (level === SOL_SOCKET) return sockSetsockopt(sock.sk!, name, value, value2, opt);
  return sock.ops!.setsockopt(sock, level, name, value, opt);
}

/**
 * Sets an option that is an int, or two of them. Linux: setsockopt(2).
 * @param value the int; SO_LINGER: on or off; SO_RCVTIMEO, SO_SNDTIMEO: seconds; SO_BINDTODEVICE: ifindex, 0 unbinds
 * @param value2 SO_LINGER: seconds; timeouts: microseconds
 * @returns 0, or -EBADF, -ENOTSOCK, -ENOPROTOOPT (no such option), -EINVAL (bad value), …
 */
export function setsockopt(fd: number, level: number, name: number, value: number, value2 = 0): number {
  return setOption(fd, level, name, value, value2, null);
}

/** Sets an option that is a sequence of bytes (SO_BINDTODEVICE, TCP_CONGESTION) or of ints. Linux: setsockopt(2). */
export function setsockoptBytes(fd: number, level: number, name: number, opt: Uint8Array | Int32Array): number {
  const value = opt.length > 0 ? opt[0]! : 0;
  const value2 = opt.length > 1 ? opt[1]! : 0;
  return setOption(fd, level, name, value, value2, opt);
}

/**
 * Reads an option into `out`. Linux: getsockopt(2).
 * @returns elements written, or -EBADF, -ENOTSOCK, -ENOPROTOOPT, -EFAULT (`out` is empty), -EINVAL (too short for the
 * option)
 */
export function getsockopt(fd: number, level: number, name: number, out: Int32Array | Uint8Array): number {
  const sock = sockfdLookup(fd);
  if (sock === null) return fdError(fd);
  if (out.length < 1) return -EFAULT;
  if (level === SOL_SOCKET) return sockGetsockopt(sock.sk!, name, out);
  return sock.ops!.getsockopt(sock, level, name, out);
}
