/**
 * The frames between the shim in Google's packetdrill and server.ts: little-endian, no padding. The protocol is described in
 * rpc.md beside the shim.
 */
import { SockaddrIn } from "../../src/stack/core/sockaddr.ts";
import { AF_INET, AF_UNSPEC } from "../../src/uapi/socket.ts";

export const OP_HELLO = 1;
export const OP_SOCKET = 2;
export const OP_BIND = 3;
export const OP_LISTEN = 4;
export const OP_ACCEPT = 5;
export const OP_CONNECT = 6;
export const OP_READ = 7;
export const OP_RECV = 8;
export const OP_RECVFROM = 9;
export const OP_RECVMSG = 10;
export const OP_WRITE = 11;
export const OP_SEND = 12;
export const OP_SENDTO = 13;
export const OP_SENDMSG = 14;
export const OP_FCNTL = 15;
export const OP_IOCTL = 16;
export const OP_CLOSE = 17;
export const OP_SHUTDOWN = 18;
export const OP_GETSOCKOPT = 19;
export const OP_SETSOCKOPT = 20;
export const OP_POLL = 21;
export const OP_EPOLL_CREATE = 22;
export const OP_EPOLL_CTL = 23;
export const OP_EPOLL_WAIT = 24;
export const OP_NETDEV_SEND = 27;
export const OP_NETDEV_RECV = 28;
export const OP_ADVANCE = 29;
export const OP_BYE = 30;
export const OP_COMMAND = 31;

/** Flag of a request: the script passed a NULL buffer. */
export const REQ_NULLBUF = 1;

const REQUEST_HEADER = 12;
const REPLY_HEADER = 28;
const SOCKADDR_BYTES = 16;

/** One request, read from front to back. */
export class Request {
  readonly id: number;
  readonly op: number;
  readonly thread: number;
  readonly flags: number;
  private readonly bytes: Buffer;
  private at = REQUEST_HEADER;

  /** @param bytes the whole frame, its length included */
  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.id = bytes.readUInt32LE(4);
    this.op = bytes.readUInt16LE(8);
    this.thread = bytes.readUInt8(10);
    this.flags = bytes.readUInt8(11);
  }

  u16(): number {
    this.at += 2;
    return this.bytes.readUInt16LE(this.at - 2);
  }

  u32(): number {
    this.at += 4;
    return this.bytes.readUInt32LE(this.at - 4);
  }

  i32(): number {
    return this.u32() | 0;
  }

  i64(): number {
    this.at += 8;
    return Number(this.bytes.readBigInt64LE(this.at - 8));
  }

  /** The next `length` bytes, fewer at the end. */
  take(length: number): Buffer {
    const part = this.bytes.subarray(this.at, this.at + length);
    this.at += part.length;
    return part;
  }

  rest(): Buffer {
    return this.take(this.bytes.length);
  }

  sockaddr(): SockaddrIn {
    const raw = this.take(this.u32());
    const addr = new SockaddrIn();
    addr.family = raw.length >= 2 ? raw.readUInt16LE(0) : AF_UNSPEC;
    if (addr.family === AF_INET && raw.length >= 8) {
      addr.port = raw.readUInt16BE(2);
      addr.addr = raw.readInt32BE(4);
    }
    return addr;
  }
}

/** Cuts a stream of bytes into requests. */
export function requestReader(onRequest: (request: Request) => void): (chunk: Buffer) => void {
  let pending = Buffer.alloc(0);
  return (chunk) => {
    pending = pending.length === 0 ? Buffer.from(chunk) : Buffer.concat([pending, chunk]);
    while (pending.length >= 4) {
      const length = 4 + pending.readUInt32LE(0);
      if (pending.length < length) return;
      const frame = pending.subarray(0, length);
      pending = pending.subarray(length);
      onRequest(new Request(frame));
    }
  };
}

/** @param ret the result, or a negative errno, which becomes -1 and errno */
export function replyFrame(id: number, ret: number, timeUs: number, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(REPLY_HEADER);
  header.writeUInt32LE(REPLY_HEADER - 4 + payload.length, 0);
  header.writeUInt32LE(id, 4);
  header.writeInt32LE(ret < 0 ? -1 : ret, 8);
  header.writeInt32LE(ret < 0 ? -ret : 0, 12);
  header.writeBigInt64LE(BigInt(timeUs), 20);
  return Buffer.concat([header, payload]);
}

export function u32Bytes(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, index) => bytes.writeUInt32LE(value >>> 0, 4 * index));
  return bytes;
}

export function i64Bytes(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt(value));
  return bytes;
}

export function sockaddrBytes(addr: SockaddrIn): Buffer {
  const bytes = Buffer.alloc(SOCKADDR_BYTES);
  bytes.writeUInt16LE(addr.family, 0);
  bytes.writeUInt16BE(addr.port, 2);
  bytes.writeInt32BE(addr.addr, 4);
  return bytes;
}

/** The stack's control words (level, type, number of words, words) as Linux's cmsg bytes. */
export function cmsgBytes(control: Int32Array, words: number): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at + 3 <= words; at += 3 + control[at + 2]!) {
    const count = control[at + 2]!;
    const bytes = Buffer.alloc((16 + 4 * count + 7) & ~7);
    bytes.writeUInt32LE(16 + 4 * count, 0);
    bytes.writeInt32LE(control[at]!, 8);
    bytes.writeInt32LE(control[at + 1]!, 12);
    for (let i = 0; i < count; i++) bytes.writeInt32LE(control[at + 3 + i]!, 16 + 4 * i);
    parts.push(bytes);
  }
  return Buffer.concat(parts);
}

/** Linux's cmsg bytes as the stack's control words. */
export function cmsgWords(bytes: Buffer): Int32Array {
  const words: number[] = [];
  for (let at = 0; at + 16 <= bytes.length;) {
    const length = bytes.readUInt32LE(at);
    if (length < 16 || at + length > bytes.length) break;
    const count = (length - 16) >> 2;
    words.push(bytes.readInt32LE(at + 8), bytes.readInt32LE(at + 12), count);
    for (let i = 0; i < count; i++) words.push(bytes.readInt32LE(at + 16 + 4 * i));
    at += (length + 7) & ~7;
  }
  return Int32Array.from(words);
}
