/**
 * The BSD calls, all in one place for programs: numbers in, numbers out, negative errno for errors. Linux: the system
 * calls of net/socket.c, fs/eventpoll.c, fs/select.c, fs/fcntl.c. Owns nothing.
 */
export { SockaddrIn, Msghdr, msgSetBuffer } from "../core/sockaddr.ts";
export { epollCreate1, epollCtl, epollWait } from "./epoll.ts";
export { poll, Pollfd } from "./poll.ts";
export { close, fcntl, fdWaitQueue } from "./files.ts";
export { read, recv, recvfrom, recvmsg, send, sendmsg, sendto, write } from "./sendrecv.ts";
export {
  accept4, bind, connect, getpeername, getsockname, ioctl, listen, setNs, shutdown, socket, socketInit, socketpair,
} from "./socket.ts";
export { getsockopt, setsockopt, setsockoptBytes } from "./sockopt.ts";
