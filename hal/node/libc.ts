/**
 * The C library's calls that Node does not offer, through koffi. Memory of the stack is passed as an address (a number):
 * no view is made per packet.
 */
import koffi from "koffi";

export const O_RDWR = 2;
export const O_NONBLOCK = 0o4000;
export const EFD_NONBLOCK = 0o4000;
export const POLLIN = 1;
export const POLLERR = 8;
export const POLLHUP = 16;
export const POLLNVAL = 32;
/** Bytes of a struct pollfd {int fd; short events; short revents}. */
const POLLFD_BYTES = 8;
const POLLFD_EVENTS = 4;
const POLLFD_REVENTS = 6;

const libc = koffi.load("libc.so.6");

export const open = libc.func("int open(const char *path, int flags)") as (path: string, flags: number) => number;
export const close = libc.func("int close(int fd)") as (fd: number) => number;
export const ioctl = libc.func("int ioctl(int fd, unsigned long request, void *arg)") as (
  fd: number, request: number, arg: Uint8Array,
) => number;
export const read = libc.func("intptr_t read(int fd, uintptr_t buffer, size_t count)") as (
  fd: number, address: number, count: number,
) => number;
export const write = libc.func("intptr_t write(int fd, uintptr_t buffer, size_t count)") as (
  fd: number, address: number, count: number,
) => number;
export const eventfd = libc.func("int eventfd(unsigned int value, int flags)") as (value: number, flags: number) => number;

const poll = libc.func("int poll(void *fds, unsigned long count, int timeout)");

/** The error number of the last call. */
export function errno(): number {
  return koffi.errno();
}

/** Where the first byte of an array lies. It stays there: V8 does not move buffers of this size. */
export function addressOf(bytes: Uint8Array): number {
  return Number(koffi.address(bytes));
}

/** Waits for one of two descriptors to become readable, in a thread of libuv's pool: no CPU time until then. */
export class ReadWait {
  private readonly fds: unknown;
  private readonly done: (revents: number) => void;
  private readonly finished = (): void => this.done(koffi.decode(this.fds, POLLFD_REVENTS, "short") as number);

  /** @param done gets POLL* of the first descriptor, 0 when it was the second that became readable */
  constructor(first: number, second: number, done: (revents: number) => void) {
    this.done = done;
    this.fds = koffi.alloc("uint8_t", 2 * POLLFD_BYTES);
    [first, second].forEach((fd, index) => {
      koffi.encode(this.fds, index * POLLFD_BYTES, "int", fd);
      koffi.encode(this.fds, index * POLLFD_BYTES + POLLFD_EVENTS, "short", POLLIN);
    });
  }

  start(): void {
    poll.async(this.fds, 2, -1, this.finished);
  }
}
