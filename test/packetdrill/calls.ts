/**
 * The system calls as a program on Linux makes them, waiting included: each is an attempt that answers null while the call
 * would wait. Answers are those of the stack: a count or descriptor, or a negative errno.
 */
import type { Msghdr, SockaddrIn } from "../../src/stack/core/sockaddr.ts";
import {
  accept4, connect, epollWait, fcntl, getsockopt, Pollfd, poll, read, recvfrom, recvmsg, send, sendmsg, sendto,
} from "../../src/stack/socket/index.ts";
import { EAGAIN, EINPROGRESS } from "../../src/uapi/errno.ts";
import { F_GETFL, O_NONBLOCK } from "../../src/uapi/fcntl.ts";
import { EPOLLERR, EPOLLHUP, EPOLLOUT } from "../../src/uapi/poll.ts";
import {
  MSG_DONTWAIT, MSG_ERRQUEUE, MSG_FASTOPEN, MSG_WAITALL, SO_ERROR, SO_RCVLOWAT, SOL_SOCKET, SOL_TCP,
} from "../../src/uapi/socket.ts";
import { TCP_INFO, TCP_SYN_SENT } from "../../src/uapi/tcp.ts";
import type { Attempt } from "./machine.ts";

/** May a call on this descriptor wait? The error queue never makes one wait. */
function mayWait(fd: number, flags = 0): boolean {
  return (flags & (MSG_DONTWAIT | MSG_ERRQUEUE)) === 0 && (fcntl(fd, F_GETFL) & O_NONBLOCK) === 0;
}

function ready(fd: number, events: number): boolean {
  return poll([new Pollfd(fd, events)], 1) > 0;
}

/** accept(): a descriptor, and the peer's address in `peer`. */
export function acceptCall(fd: number, peer: SockaddrIn, flags: number): Attempt<number> {
  return () => {
    const answer = accept4(fd, peer, flags);
    return answer === -EAGAIN && mayWait(fd) ? null : answer;
  };
}

/** connect(): waits for the handshake to end. */
export function connectCall(fd: number, addr: SockaddrIn): Attempt<number> {
  let begun = false;
  return () => {
    if (!begun) {
      begun = true;
      const answer = connect(fd, addr);
      if (answer !== -EINPROGRESS || !mayWait(fd)) return answer;
    }
    if (!ready(fd, EPOLLOUT | EPOLLERR | EPOLLHUP)) return null;
    // Asked again, the stack tells how the attempt ended, and the socket may try anew.
    return connect(fd, addr);
  };
}

/** How much a reader that may wait waits for: all with MSG_WAITALL, else SO_RCVLOWAT. Linux: sock_rcvlowat(). */
function wanted(fd: number, length: number, flags: number): number {
  if ((flags & MSG_WAITALL) !== 0) return length;
  const lowat = new Int32Array(1);
  getsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, lowat);
  return Math.min(lowat[0]!, length);
}

/**
 * Calls `attempt` for what is still wanted until that is there, the stream has ended, or an error waits: then what came before is the
 * answer, and the error the next call's.
 */
function gather(fd: number, length: number, flags: number, attempt: (got: number) => number): Attempt<number> {
  let got = 0;
  return () => {
    if (got > 0 && ready(fd, 0)) return got;
    const answer = attempt(got);
    if (answer === -EAGAIN && mayWait(fd, flags)) return null;
    if (answer < 0) return got > 0 ? got : answer;
    got += answer;
    return answer === 0 || got >= wanted(fd, length, flags) || !mayWait(fd, flags) ? got : null;
  };
}

/** read(): fills the front of `buffer`. */
export function readCall(fd: number, buffer: Uint8Array, length: number): Attempt<number> {
  return gather(fd, length, 0, (got) => read(fd, buffer, got, length - got));
}

/** recv() and recvfrom(): fills the front of `buffer`. */
export function receiveCall(
  fd: number, buffer: Uint8Array, length: number, flags: number, addr: SockaddrIn | null,
): Attempt<number> {
  return gather(fd, length, flags, (got) => recvfrom(fd, buffer, got, length - got, flags, addr));
}

/** recvmsg(). */
export function receiveMessageCall(fd: number, msg: Msghdr, flags: number): Attempt<number> {
  const room = msg.controllen;
  return () => {
    msg.controllen = room;
    const answer = recvmsg(fd, msg, flags);
    return answer === -EAGAIN && mayWait(fd, flags) ? null : answer;
  };
}

/** Is the socket between connect() and the end of the handshake, as a write that connects leaves it? */
function connecting(fd: number): boolean {
  const info = new Int32Array(1);
  return getsockopt(fd, SOL_TCP, TCP_INFO, info) > 0 && (info[0]! & 0xff) === TCP_SYN_SENT;
}

/** The error of the socket, as the stack keeps it, negative; 0 for none. */
function pendingError(fd: number): number {
  const error = new Int32Array(1);
  getsockopt(fd, SOL_SOCKET, SO_ERROR, error);
  return -error[0]!;
}

/**
 * A call that sends `length` bytes: waits until all is taken. A writer that found no room is woken as in Linux, when a third
 * of the buffer is free again (EPOLLOUT), not at the first byte; one that connects (Fast Open) waits for the handshake first.
 * @param send sends from the byte of that number on, with flags
 */
function writer(fd: number, length: number, flags: number, send: (from: number, flags: number) => number): Attempt<number> {
  let taken = 0;
  let refused = false;
  let opening = false;
  return () => {
    if (opening) {
      if (connecting(fd)) return null;
      opening = false;
      const err = pendingError(fd);
      if (err < 0) return err;
    }
    if (refused && !ready(fd, EPOLLOUT | EPOLLERR | EPOLLHUP)) return null;
    for (;;) {
      if (taken >= length && length > 0) return taken;
      const answer = send(taken, taken === 0 ? flags : flags & ~MSG_FASTOPEN);
      if (answer === -EAGAIN && mayWait(fd, flags)) {
        refused = true;
        return null;
      }
      const begun = (answer >= 0 || answer === -EINPROGRESS) && mayWait(fd, flags) && connecting(fd);
      if (answer < 0 && !begun) return taken > 0 ? taken : answer;
      if (answer > 0) taken += answer;
      if (begun) {
        opening = true;
        // The rest is refused now, by which the stack knows that it will follow.
        if (taken < length) send(taken, flags & ~MSG_FASTOPEN);
        return null;
      }
      if (taken >= length || !mayWait(fd, flags)) return taken;
    }
  };
}

/** write(), send() and sendto(). */
export function sendCall(
  fd: number, buffer: Uint8Array, length: number, flags: number, addr: SockaddrIn | null,
): Attempt<number> {
  return writer(fd, length, flags, (from, callFlags) => sendto(fd, buffer, from, length - from, callFlags, addr));
}

/** sendmsg(): what does not go at once follows as send() would send it. */
export function sendMessageCall(fd: number, msg: Msghdr, flags: number): Attempt<number> {
  const whole = Buffer.concat(msg.iovBase.slice(0, msg.iovlen).map((base) => base ?? new Uint8Array(0)));
  return writer(fd, whole.length, flags, (from, callFlags) => (
    from === 0 ? sendmsg(fd, msg, callFlags) : send(fd, whole, from, whole.length - from, callFlags)
  ));
}

/** poll(): how many descriptors are ready, 0 when `expired` says so first. */
export function pollCall(fds: readonly Pollfd[], expired: () => boolean): Attempt<number> {
  return () => {
    const count = poll(fds, fds.length);
    return count !== 0 || expired() ? count : null;
  };
}

/** epoll_wait(). */
export function epollWaitCall(epfd: number, events: Int32Array, most: number, expired: () => boolean): Attempt<number> {
  return () => {
    const count = epollWait(epfd, events, most);
    return count !== 0 || expired() ? count : null;
  };
}
