/**
 * Socket addresses and message headers: the objects a caller keeps and reuses, so that a call costs no memory.
 * Linux: include/linux/socket.h, uapi/linux/in.h. Owns the cursor functions that move bytes between a message and a packet.
 */
import { copyFromUser, copyToUser } from "../../lib/memory.ts";
import { AF_INET, AF_NETLINK, AF_PACKET, AF_UNIX, AF_UNSPEC, MSG_CTRUNC } from "../../uapi/socket.ts";

/** What every address object has; a family's calls know the rest by it. Linux: struct sockaddr. */
export interface Sockaddr {
  family: number;
}

/** sockaddr_in: an IPv4 address and a port. Fields are filled by calls that answer an address. */
export class SockaddrIn implements Sockaddr {
  /** Address as a signed 32-bit number in host order: 10.0.0.1 is 0x0a000001. */
  addr: number;
  /** 0..65535 */
  port: number;
  family: number = AF_INET;

  constructor(addr = 0, port = 0) {
    this.addr = addr | 0;
    this.port = port;
  }
}

/** sockaddr_nl: one netlink socket, or the members of groups. Fields are filled by calls that answer an address. */
export class SockaddrNl implements Sockaddr {
  /** Port id of a socket; 0 is the kernel, and in bind() any free one. */
  portid: number;
  /** Groups 1 to 32 as bits 0 to 31. */
  groups: number;
  family: number = AF_NETLINK;

  constructor(portid = 0, groups = 0) {
    this.portid = portid;
    this.groups = groups;
  }
}

/** sockaddr_ll: a device and a link address. Fields are filled by calls that answer an address. */
export class SockaddrLl implements Sockaddr {
  /** EtherType in host order. */
  protocol: number;
  ifindex: number;
  /** ARPHRD_* of the device. */
  hatype = 0;
  /** PACKET_* */
  pkttype = 0;
  /** Bytes of the address. */
  halen = 0;
  /** The address as its first 2 bytes and its last 4. */
  addrHi = 0;
  addrLo = 0;
  family: number = AF_PACKET;

  constructor(protocol = 0, ifindex = 0) {
    this.protocol = protocol;
    this.ifindex = ifindex;
  }
}

/** Longest name of a UNIX socket, in bytes. */
export const UNIX_PATH_MAX = 108;

/** sockaddr_un: the name of a UNIX socket. Fields are filled by calls that answer an address. */
export class SockaddrUn implements Sockaddr {
  /** A path, or an abstract name, which begins with a zero byte. */
  readonly path: Uint8Array = new Uint8Array(UNIX_PATH_MAX);
  /** Bytes of it, 0 for none. */
  length = 0;
  family: number = AF_UNIX;
}

/** Sets an address object back to AF_UNSPEC (connect() with it disconnects). */
export function sockaddrClear(addr: SockaddrIn): void {
  addr.family = AF_UNSPEC;
  addr.addr = 0;
  addr.port = 0;
}

/** Buffers in one message at most (UIO_MAXIOV is 1024 on Linux). */
export const UIO_MAXIOV = 16;

/**
 * msghdr with its iovec array. A caller may keep one and set `iovBase[i]`, `iovOffset[i]`, `iovLength[i]`, `iovlen`;
 * the calls move only the cursor behind them.
 */
export class Msghdr {
  flags = 0;
  name: Sockaddr | null = null;
  iovlen = 0;
  iovBase: (Uint8Array | null)[];
  iovOffset: number[];
  iovLength: number[];
  /**
   * Control data as words: for each message its level, its type, its number of value words, then these words.
   * null: none wanted or sent.
   */
  control: Int32Array | null = null;
  /** Words of `control` in use: set by the caller on send, by the call on receive. */
  controllen = 0;
  /** Cursor: buffer, and bytes of it that are done. */
  cursor = 0;
  done = 0;

  /** @param buffers how many it may name at most */
  constructor(buffers = UIO_MAXIOV) {
    this.iovBase = new Array<Uint8Array | null>(buffers).fill(null);
    this.iovOffset = new Array<number>(buffers).fill(0);
    this.iovLength = new Array<number>(buffers).fill(0);
  }
}

/** Makes a message of one buffer. */
export function msgSetBuffer(msg: Msghdr, buffer: Uint8Array, offset: number, length: number): void {
  msg.iovBase[0] = buffer;
  msg.iovOffset[0] = offset;
  msg.iovLength[0] = length;
  msg.iovlen = 1;
  msg.cursor = 0;
  msg.done = 0;
}

/** Puts the cursor on the first byte. */
export function msgRewind(msg: Msghdr): void {
  msg.cursor = 0;
  msg.done = 0;
}

/** Copies up to `length` bytes from the message to the arena and moves on; returns the count. Linux: copy_from_iter(). */
export function copyFromIter(dst: number, msg: Msghdr, length: number): number {
  let left = length;
  while (left > 0 && msg.cursor < msg.iovlen) {
    const i = msg.cursor;
    const room = msg.iovLength[i]! - msg.done;
    const chunk = room < left ? room : left;
    const base = msg.iovBase[i]!;
    if (chunk > 0 && base !== null) copyFromUser(dst, base, msg.iovOffset[i]! + msg.done, chunk);
    dst += chunk;
    left -= chunk;
    msgAdvance(msg, chunk);
  }
  return length - left;
}

/** Copies up to `length` bytes from the arena into the message and moves on; returns the count. Linux: copy_to_iter(). */
export function copyToIter(src: number, length: number, msg: Msghdr): number {
  const i = msg.cursor;
  const done = msg.done;
  const room = i < msg.iovlen ? msg.iovLength[i]! - done : 0;
  // One buffer takes it all: by far the most frequent case.
  if (length > 0 && length <= room) {
    const base = msg.iovBase[i]!;
    if (base !== null) copyToUser(base, msg.iovOffset[i]! + done, src, length);
    if (length === room) {
      msg.cursor = i + 1;
      msg.done = 0;
    } else {
      msg.done = done + length;
    }
    return length;
  }
  return copyToBuffers(src, length, msg);
}

function copyToBuffers(src: number, length: number, msg: Msghdr): number {
  let left = length;
  while (left > 0 && msg.cursor < msg.iovlen) {
    const i = msg.cursor;
    const room = msg.iovLength[i]! - msg.done;
    const chunk = room < left ? room : left;
    const base = msg.iovBase[i]!;
    if (chunk > 0 && base !== null) copyToUser(base, msg.iovOffset[i]! + msg.done, src, chunk);
    src += chunk;
    left -= chunk;
    msgAdvance(msg, chunk);
  }
  return length - left;
}

/** Answers a control message of one value; without room MSG_CTRUNC says so. Linux: put_cmsg(). */
export function putCmsg(msg: Msghdr, level: number, type: number, value: number): void {
  const control = msg.control;
  const at = msg.controllen;
  if (control === null || at + 4 > control.length) {
    msg.flags |= MSG_CTRUNC;
    return;
  }
  control[at] = level;
  control[at + 1] = type;
  control[at + 2] = 1;
  control[at + 3] = value;
  msg.controllen = at + 4;
}

/** Puts one byte at the cursor of the message and moves on; false when there is no room. */
export function putIter(msg: Msghdr, byte: number): boolean {
  while (msg.cursor < msg.iovlen && msg.done >= msg.iovLength[msg.cursor]!) msgAdvance(msg, 0);
  if (msg.cursor >= msg.iovlen) return false;
  msg.iovBase[msg.cursor]![msg.iovOffset[msg.cursor]! + msg.done] = byte;
  msgAdvance(msg, 1);
  return true;
}

/** Moves the cursor inside the current buffer, and on to the next one at its end. */
function msgAdvance(msg: Msghdr, length: number): void {
  const done = msg.done + length;
  if (done >= msg.iovLength[msg.cursor]!) {
    msg.cursor++;
    msg.done = 0;
  } else {
    msg.done = done;
  }
}
