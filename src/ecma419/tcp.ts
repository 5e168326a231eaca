/**
 * TCP: a connection as an object with callbacks. ECMA-419 clause 11.3 over the BSD calls; read first RFC 9293 section 3.10.
 * Owns its descriptor.
 *
 * Writes of one turn leave together in the next: each is queued with MSG_MORE, then pushed. Where Moddable's tests of this
 * class and the standard disagree it does what the tests ask for: read(count) of more than is there throws (the standard gives
 * what there is), and methods of a closed instance throw a SyntaxError (the standard says Error).
 */
import { close } from "../stack/socket/files.ts";
import { recv, send } from "../stack/socket/sendrecv.ts";
import { connect, socket } from "../stack/socket/socket.ts";
import { setsockopt } from "../stack/socket/sockopt.ts";
import { SockaddrIn } from "../stack/core/sockaddr.ts";
import { FIONSPACE, SIOCINQ, SIOCOUTQ } from "../uapi/ioctl.ts";
import { EPOLLERR, EPOLLHUP, EPOLLOUT, EPOLLRDHUP } from "../uapi/poll.ts";
import {
  AF_INET, MSG_MORE, MSG_NOSIGNAL, SO_KEEPALIVE, SO_OOBINLINE, SOCK_NONBLOCK, SOCK_STREAM, SOL_SOCKET, SOL_TCP,
} from "../uapi/socket.ts";
import { TCP_CORK, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_NODELAY } from "../uapi/tcp.ts";
import { formatAddress } from "./address.ts";
import { Edge, edgeAttach, edgeCheck, edgeDetach, edgeWantsRoom, stackError } from "./edge.ts";
import {
  type ByteBuffer, checkAddress, checkBytes, checkCallback, checkFormat, checkInteger, checkOptions, checkPort, checkPositive, closedError,
} from "./options.ts";

export type TCPFormat = "buffer" | "number";
type TCPCallback = (this: TCP, count: number) => void;

/** What the constructor takes. Everything but the connection itself is the new instance's own, also with `from`. */
export interface TCPOptions {
  /** The peer's IPv4 address, unless there is `from`. */
  readonly address?: string;
  /** The peer's port, 0 to 65535, unless there is `from`. */
  readonly port?: number;
  /** A TCP whose connection, with what it has not read, becomes this one's; it is closed by that. */
  readonly from?: TCP;
  /** true: no write waits for the acknowledgment of the one before (RFC 896). Default false. */
  readonly noDelay?: boolean;
  /** The same, as Moddable spells it. */
  readonly nodelay?: boolean;
  /**
   * ms of silence after which the peer is asked whether it is there, and between such questions: from 1 on, counted in whole
   * seconds, 32767 at most (RFC 9293 section 3.8.4). Default: never.
   */
  readonly keepAlive?: number;
  /** Called with the number of bytes to read, all of them, each time there are more. */
  readonly onReadable?: TCPCallback | null;
  /** Called with the number of bytes that write() takes: once connected, then when a write has made room. */
  readonly onWritable?: TCPCallback | null;
  /** Called once, when all is read and the connection is over: refused, reset, or ended by the peer. */
  readonly onError?: ((this: TCP) => void) | null;
  /** What read() answers and write() takes. Default "buffer". */
  readonly format?: TCPFormat;
  /** Becomes the property of that name. */
  readonly target?: unknown;
}

export interface TCPWriteOptions {
  /** More of the same follows: short segments wait. Default false. */
  readonly more?: boolean;
  /** Bytes of all that belongs together, with its first part: from 1 on. What leaves does not depend on it. */
  readonly byteLength?: number;
}

const NAME = "TCP";
const FORMATS: readonly TCPFormat[] = Object.freeze<TCPFormat[]>(["buffer", "number"]);
const KEEPALIVE_MAX_SEC = 32_767;
const ENDED = EPOLLERR | EPOLLHUP | EPOLLRDHUP;
const BROKEN = EPOLLERR | EPOLLHUP;
/** Bytes taken at a time of what is thrown away at the end. */
const DRAIN_BYTES = 512;

/** A connection that a Listener has accepted: what the constructor gets as `from`. */
class Accepted {
  readonly fd: number;
  readonly peer: SockaddrIn;

  constructor(fd: number, peer: SockaddrIn) {
    this.fd = fd;
    this.peer = peer;
  }
}

class TcpEdge extends Edge {
  readonly owner: TCP;
  onReadable: TCPCallback | null = null;
  onWritable: TCPCallback | null = null;
  onError: ((this: TCP) => void) | null = null;
  format: TCPFormat = "buffer";
  peer: SockaddrIn | null = null;
  /** Bytes that the program knows it can write: it is told of more. 0 before it is connected. */
  room = 0;
  /** onError has been called: nothing more will be. */
  over = false;
  /** Written and held back until the turn's end. */
  push = false;

  constructor(owner: TCP) {
    super();
    this.owner = owner;
  }

  dispatch(): void {
    const { fd } = this;
    if (this.push) {
      this.push = false;
      setsockopt(fd, SOL_TCP, TCP_CORK, 0);
    }
    const room = (this.mask() & (EPOLLOUT | BROKEN)) === EPOLLOUT ? this.ask(FIONSPACE) : 0;
    if (room > this.room) {
      this.room = room;
      this.onWritable?.call(this.owner, room);
      if (this.fd < 0) return;
    }
    // The wake-up may have been for a segment that has left and is not acknowledged yet.
    if (this.ask(SIOCOUTQ) > 0) edgeWantsRoom(this);
    const unread = this.ask(SIOCINQ);
    if (this.news(unread)) this.onReadable?.call(this.owner, unread);
    if (this.fd >= 0 && !this.over && (this.mask() & ENDED) !== 0 && this.ask(SIOCINQ) === 0) {
      this.over = true;
      this.onError?.call(this.owner);
    }
  }
}

export class TCP {
  declare target?: unknown;
  readonly #edge: TcpEdge;

  /**
   * Begins to connect, or takes over the connection of another instance.
   * @throws Error (address or port missing, no socket left), RangeError (port, keepAlive, format, address), TypeError (of another
   * type), SyntaxError (`from` is closed, or no TCP)
   */
  constructor(options: TCPOptions) {
    checkOptions(NAME, options);
    const { from, target, format, keepAlive } = options;
    const edge = new TcpEdge(this);
    this.#edge = edge;
    edge.onReadable = checkCallback(NAME, "onReadable", options.onReadable);
    edge.onWritable = checkCallback(NAME, "onWritable", options.onWritable);
    edge.onError = checkCallback(NAME, "onError", options.onError);
    if (format !== undefined) edge.format = checkFormat(NAME, format, FORMATS);
    const noDelay = Boolean(options.noDelay ?? options.nodelay);
    const idleSec = keepAlive === undefined ? 0 : Math.min(Math.ceil(checkPositive(NAME, "keepAlive", keepAlive) / 1000), KEEPALIVE_MAX_SEC);
    if (target !== undefined) this.target = target;
    const fd = from === undefined ? TCP.#open(edge, options) : TCP.#adopt(edge, from);
    setsockopt(fd, SOL_TCP, TCP_NODELAY, noDelay ? 1 : 0);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, idleSec);
    if (idleSec > 0) {
      setsockopt(fd, SOL_TCP, TCP_KEEPIDLE, idleSec);
      setsockopt(fd, SOL_TCP, TCP_KEEPINTVL, idleSec);
    }
    // The standard knows no urgent bytes: they are bytes as others.
    setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, 1);
    edgeAttach(edge, fd);
  }

  static #open(edge: TcpEdge, options: TCPOptions): number {
    edge.peer = new SockaddrIn(checkAddress(NAME, "address", options.address), checkPort(NAME, options.port));
    const fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0) throw stackError(`${NAME}: no socket`, fd);
    // A socket that cannot connect is one that has ended: onError tells.
    connect(fd, edge.peer);
    return fd;
  }

  static #adopt(edge: TcpEdge, from: unknown): number {
    if (from instanceof Accepted) {
      edge.peer = from.peer;
      return from.fd;
    }
    const before = TCP.#edgeOf(from);
    edge.peer = before.peer;
    edge.push = before.push;
    return edgeDetach(before);
  }

  /** The edge of an instance that is open. @throws SyntaxError */
  static #edgeOf(self: unknown): TcpEdge {
    if (typeof self === "object" && self !== null && #edge in self && self.#edge.fd >= 0) return self.#edge;
    throw closedError(NAME);
  }

  /** What the peer's address is. */
  get remoteAddress(): string | undefined {
    const { peer } = TCP.#edgeOf(this);
    return peer === null ? undefined : formatAddress(peer.addr);
  }

  /** What the peer's port is, 0 to 65535. */
  get remotePort(): number | undefined {
    return TCP.#edgeOf(this).peer?.port;
  }

  /** "buffer" or "number"; may change at any time. @throws RangeError for any other, and nothing changes */
  get format(): TCPFormat {
    return TCP.#edgeOf(this).format;
  }

  set format(format: TCPFormat) {
    TCP.#edgeOf(this).format = checkFormat(NAME, format, FORMATS);
  }

  /**
   * Takes what has come, without waiting; undefined when nothing has. Format "number": the next byte. Format "buffer": all of it,
   * or with a number so many bytes of it, in a new ArrayBuffer; or as much as fits into a buffer, then the count is answered.
   * @throws TypeError (the argument is neither, or there is one with format "number"), RangeError (not a positive whole
   * number), Error (fewer bytes have come: as on Moddable, where the standard gives those)
   */
  read(): ArrayBuffer | number | undefined;
  read(byteLength: number): ArrayBuffer | undefined;
  read(buffer: ByteBuffer): number | undefined;
  read(into?: number | ByteBuffer): ArrayBuffer | number | undefined {
    const edge = TCP.#edgeOf(this);
    const asNumber = edge.format === "number";
    if (asNumber && into !== undefined) throw new TypeError(`${NAME}: read takes no argument in format "number"`);
    const wanted = typeof into === "number" ? checkPositive(NAME, "byteLength", into) : asNumber ? 1 : 0;
    let bytes = into === undefined || wanted > 0 ? null : checkBytes(NAME, into);
    const unread = edge.ask(SIOCINQ);
    if (unread === 0) return undefined;
    if (wanted > unread) throw new Error(`${NAME}: read of ${wanted} bytes; ${unread} have come`);
    bytes ??= new Uint8Array(wanted > 0 ? wanted : unread);
    const length = Math.min(bytes.length, unread);
    let count = 0;
    // A call stops in front of an urgent byte.
    for (let got = 1; got > 0 && count < length; count += got) got = recv(edge.fd, bytes, count, length - count, 0);
    edge.took(count);
    // Whether the end has come is told when all is read.
    if (count === unread) edgeCheck(edge);
    if (asNumber) return bytes[0];
    return typeof into === "object" ? count : (bytes.buffer as ArrayBuffer);
  }

  /**
   * Sends a byte (format "number", 0 to 255) or the bytes of a buffer, all or nothing; they are copied. What is written to a
   * connection that has failed, and whose onError is still to come, is lost without an exception, as on Moddable.
   * @returns bytes that can still be written
   * @throws TypeError (not what the format takes), RangeError (no byte, byteLength), Error (not connected, or more than there is
   * room for: nothing is written)
   */
  write(data: number | ByteBuffer, options?: TCPWriteOptions): number {
    const more = Boolean(options?.more);
    const byteLength = options?.byteLength;
    if (byteLength !== undefined) checkPositive(NAME, "byteLength", byteLength);
    const edge = TCP.#edgeOf(this);
    const bytes = edge.format === "number" ? Uint8Array.of(checkInteger(NAME, "data", data, 0, 255)) : checkBytes(NAME, data);
    const space = edge.ask(FIONSPACE);
    const { length } = bytes;
    if (length > space) {
      if (!edge.over && (edge.mask() & BROKEN) !== 0) return 0;
      // What the program was told is no longer so: it is told again.
      edge.room = space;
      throw new Error(`${NAME}: write of ${length} bytes; there is room for ${space}`);
    }
    if (length > 0) {
      const sent = send(edge.fd, bytes, 0, length, MSG_MORE | MSG_NOSIGNAL);
      if (sent < 0) throw stackError(`${NAME}: write of ${length} bytes`, sent);
      // FIONSPACE has promised more: better heard than lost.
      if (sent < length) throw new Error(`${NAME}: write of ${length} bytes; only ${sent} were taken`);
      edgeWantsRoom(edge);
    }
    if (!more) {
      edge.push = true;
      edgeCheck(edge);
    }
    return (edge.room = edge.ask(FIONSPACE));
  }

  /**
   * Ends the connection; what was written is still delivered, what was not read is thrown away. No callback follows, and
   * closing again does nothing. @throws SyntaxError when this is no TCP
   */
  close(): void {
    const self: unknown = this;
    if (typeof self !== "object" || self === null || !(#edge in self)) throw closedError(NAME);
    const edge = self.#edge;
    if (edge.fd >= 0) tcpEnd(edgeDetach(edge), edge);
  }
}

/** Unread bytes would make TCP reset the connection (RFC 2525 section 2.17), and with it lose what was written. */
function tcpEnd(fd: number, edge: TcpEdge): void {
  edge.fd = fd;
  if (edge.ask(SIOCINQ) > 0) {
    const scrap = new Uint8Array(DRAIN_BYTES);
    while (recv(fd, scrap, 0, DRAIN_BYTES, 0) > 0);
  }
  edge.fd = -1;
  close(fd);
}

/** The instance, without callbacks, for a connection that was accepted. */
export function tcpAccepted(fd: number, peer: SockaddrIn): TCP {
  const from: unknown = new Accepted(fd, peer);
  return new TCP({ from: from as TCP });
}
