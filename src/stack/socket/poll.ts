/**
 * poll(). Linux: fs/select.c; read first poll(2). It never waits: it answers what holds now, and an event loop that has nothing to do
 * just turns the stack. Owns nothing.
 */
import { EFAULT, EINVAL } from "../../uapi/errno.ts";
import { POLLERR, POLLHUP, POLLNVAL } from "../../uapi/poll.ts";
import { epollfdLookup, epollOps, sockfdLookup } from "./files.ts";

/** One descriptor for poll(), kept by the caller and reused. Linux: struct pollfd. */
export class Pollfd {
  /** A negative one is skipped. */
  fd: number;
  /** POLL* wanted. */
  events: number;
  /** POLL* that hold, filled by poll(). */
  revents = 0;

  constructor(fd = -1, events = 0) {
    this.fd = fd;
    this.events = events;
  }
}

/**
 * What holds now for the first `n` descriptors. Linux: poll(2) with a timeout of 0.
 * @returns how many have `revents` other than 0, or -EFAULT when the array has not `n` entries, -EINVAL for a negative
 * `n`
 */
export function poll(fds: readonly Pollfd[], n: number): number {
  if (n < 0) return -EINVAL;
  if (n > fds.length) return -EFAULT;
  let count = 0;
  for (let i = 0; i < n; i++) {
    const pollfd = fds[i]!;
    const fd = pollfd.fd;
    let revents = 0;
    if (fd >= 0) {
      const sock = sockfdLookup(fd);
      if (sock !== null) {
        revents = sock.ops!.poll(sock) & (pollfd.events | POLLERR | POLLHUP);
      } else {
        const ep = epollfdLookup(fd);
        revents = ep === null ? POLLNVAL : epollOps!.poll(ep) & pollfd.events;
      }
      if (revents !== 0) count++;
    }
    pollfd.revents = revents;
  }
  return count;
}
