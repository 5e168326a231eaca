/**
 * A TCP connection of the stack as a Node stream with the face of net.Socket, so that Node's own clients and servers (http, and
 * packages that take a stream or a createConnection function: undici, ws, mqtt) talk through it. Read first: Node's documentation
 * of stream.Duplex and net.Socket. Owns its descriptor.
 *
 * The socket wakes it in a turn of the stack; it acts in a turn of Node's own, and asks for one of the stack when it has written.
 */
import { Duplex } from "node:stream";
import {
  AF_INET, close, connect, EAGAIN, EINPROGRESS, getpeername, getsockname, getsockopt, MSG_NOSIGNAL, type Net, POLLERR, poll, Pollfd,
  POLLHUP, POLLOUT, recv, send, setNs, setsockopt, shutdown, SHUT_WR, SO_ERROR, SO_KEEPALIVE, SO_LINGER, SOCK_NONBLOCK, SOCK_STREAM,
  SockaddrIn, socket, SOL_SOCKET, SOL_TCP, TCP_KEEPIDLE, TCP_NODELAY,
} from "../../src/index.ts";
import { errnoName } from "../../src/uapi/errno.ts";
import { addWaitQueue, removeWaitQueue, WaitQueueEntry } from "../../src/stack/core/wait.ts";
import { fdWaitQueue } from "../../src/stack/socket/files.ts";
import { requestTurn } from "./run.ts";

const READ_BYTES = 65536;
const LOCALHOST = "127.0.0.1";

/** "10.0.0.1" for an int32. */
export function addressText(addr: number): string {
  return [addr >>> 24, (addr >>> 16) & 255, (addr >>> 8) & 255, addr & 255].join(".");
}

/** The int32 of an address or of "localhost". @throws RangeError: names are not looked up here */
export function addressNumber(host: string): number {
  const text = host === "localhost" ? LOCALHOST : host;
  const parts = text.split(".").map(Number);
  if (parts.length !== 4 || parts.some((part) => !Number.isInteger(part) || part < 0 || part > 255)) {
    throw new RangeError(`host is ${host}; it must be an IPv4 address or localhost`);
  }
  return parts.reduce((addr, part) => (addr << 8) | part, 0);
}

/** An error as Node's sockets have it. @param err negative errno */
export function netError(syscall: string, err: number, peer?: SockaddrIn): NodeJS.ErrnoException {
  const code = errnoName(err);
  const where = peer === undefined ? "" : ` ${addressText(peer.addr)}:${peer.port}`;
  const error: NodeJS.ErrnoException = new Error(`${syscall} ${code}${where}`);
  return Object.assign(error, { code, errno: err, syscall }, peer === undefined ? {} : { address: addressText(peer.addr), port: peer.port });
}

export interface StackSocketOptions {
  /** Keep the own side open when the peer has ended its (false). */
  readonly allowHalfOpen?: boolean;
  /** A connection that was accepted. */
  readonly fd?: number;
}

interface Writing {
  readonly chunk: Buffer;
  offset: number;
  readonly done: (error?: Error | null) => void;
}

export class StackSocket extends Duplex {
  readonly net: Net;
  connecting = false;
  bytesRead = 0;
  bytesWritten = 0;
  timeout = 0;
  private fd: number;
  private peer = new SockaddrIn();
  private readonly entry = new WaitQueueEntry();
  private readonly pollfds = [new Pollfd(-1, POLLOUT)];
  private readonly into = Buffer.allocUnsafe(READ_BYTES);
  private scheduled = false;
  private wantsData = false;
  private writing: Writing | null = null;
  private timer: NodeJS.Timeout | null = null;
  private readonly pump = (): void => this.step();

  constructor(net: Net, { allowHalfOpen = false, fd = -1 }: StackSocketOptions = {}) {
    super({ allowHalfOpen, autoDestroy: true, emitClose: true });
    this.net = net;
    this.fd = fd;
    this.entry.func = () => this.schedule();
    if (fd >= 0) this.watch(fd);
  }

  /** Connects to a port of an address. Errors come as events, as with net.Socket. */
  connect(port: number, host = LOCALHOST, connected?: () => void): this {
    if (connected !== undefined) this.once("connect", connected);
    this.connecting = true;
    this.peer = new SockaddrIn(addressNumber(host), port);
    setNs(this.net);
    const fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0) return this.destroy(netError("socket", fd));
    this.watch(fd);
    const err = connect(fd, this.peer);
    if (err < 0 && err !== -EINPROGRESS) return this.destroy(netError("connect", err, this.peer));
    this.schedule();
    requestTurn();
    return this;
  }

  get pending(): boolean {
    return this.fd < 0 || this.connecting;
  }

  get readyState(): string {
    if (this.connecting) return "opening";
    if (this.readable) return this.writable ? "open" : "readOnly";
    return this.writable ? "writeOnly" : "closed";
  }

  get remoteAddress(): string | undefined {
    return this.fd < 0 ? undefined : addressText(this.peer.addr);
  }

  get remotePort(): number | undefined {
    return this.fd < 0 ? undefined : this.peer.port;
  }

  get remoteFamily(): string | undefined {
    return this.fd < 0 ? undefined : "IPv4";
  }

  get localAddress(): string | undefined {
    return this.address().address;
  }

  get localPort(): number | undefined {
    return this.address().port;
  }

  address(): { address?: string; family?: string; port?: number } {
    const own = new SockaddrIn();
    if (this.fd < 0 || getsockname(this.fd, own) < 0) return {};
    return { address: addressText(own.addr), family: "IPv4", port: own.port };
  }

  setNoDelay(on = true): this {
    setsockopt(this.fd, SOL_TCP, TCP_NODELAY, on ? 1 : 0);
    return this;
  }

  setKeepAlive(on = false, delayMs = 0): this {
    setsockopt(this.fd, SOL_SOCKET, SO_KEEPALIVE, on ? 1 : 0);
    if (on && delayMs >= 1000) setsockopt(this.fd, SOL_TCP, TCP_KEEPIDLE, Math.floor(delayMs / 1000));
    return this;
  }

  /** "timeout" is emitted after so many ms without traffic; 0: never. */
  setTimeout(ms: number, onTimeout?: () => void): this {
    this.timeout = ms;
    if (onTimeout !== undefined) {
      if (ms > 0) this.once("timeout", onTimeout);
      else this.removeListener("timeout", onTimeout);
    }
    this.active();
    return this;
  }

  /** The stack's loop keeps Node alive, not a single socket. */
  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  /** Resets the connection instead of ending it. */
  resetAndDestroy(): this {
    if (this.fd >= 0) setsockopt(this.fd, SOL_SOCKET, SO_LINGER, 1, 0);
    return this.destroy();
  }

  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once("finish", () => this.destroy());
  }

  override _read(): void {
    this.wantsData = true;
    this.schedule();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.writing = { chunk, offset: 0, done };
    if (!this.connecting) this.flush();
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.connecting) {
      this.once("connect", () => this._final(done));
      return;
    }
    const err = shutdown(this.fd, SHUT_WR);
    requestTurn();
    done(err < 0 ? netError("shutdown", err) : null);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const { fd } = this;
    if (this.timer !== null) clearTimeout(this.timer);
    this.connecting = false;
    if (fd >= 0) {
      removeWaitQueue(fdWaitQueue(fd)!, this.entry);
      this.fd = -1;
      close(fd);
      requestTurn();
    }
    done(error);
  }

  private watch(fd: number): void {
    this.fd = fd;
    this.pollfds[0]!.fd = fd;
    if (!this.connecting) getpeername(fd, this.peer);
    addWaitQueue(fdWaitQueue(fd)!, this.entry);
    this.schedule();
  }

  /** Has step() run soon, in a turn of Node's. */
  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(this.pump);
  }

  private step(): void {
    this.scheduled = false;
    if (this.fd < 0 || (this.connecting && !this.settle())) return;
    this.flush();
    if (this.fd >= 0) this.fill();
  }

  /** Is the connection there? */
  private settle(): boolean {
    poll(this.pollfds, 1);
    const events = this.pollfds[0]!.revents;
    if ((events & (POLLERR | POLLHUP)) !== 0) {
      const error = new Int32Array(1);
      getsockopt(this.fd, SOL_SOCKET, SO_ERROR, error);
      this.destroy(netError("connect", -error[0]!, this.peer));
      return false;
    }
    if ((events & POLLOUT) === 0) return false;
    this.connecting = false;
    this.active();
    this.emit("connect");
    this.emit("ready");
    return this.fd >= 0;
  }

  private flush(): void {
    const { writing } = this;
    if (writing === null || this.fd < 0) return;
    const { chunk } = writing;
    const sent = send(this.fd, chunk, writing.offset, chunk.length - writing.offset, MSG_NOSIGNAL);
    if (sent === -EAGAIN) return;
    if (sent < 0) {
      this.writing = null;
      writing.done(netError("write", sent));
      return;
    }
    writing.offset += sent;
    this.bytesWritten += sent;
    this.active();
    requestTurn();
    if (writing.offset < chunk.length) return;
    this.writing = null;
    writing.done();
  }

  private fill(): void {
    while (this.wantsData && this.fd >= 0) {
      const count = recv(this.fd, this.into, 0, READ_BYTES, 0);
      if (count === -EAGAIN) return;
      this.active();
      if (count < 0) {
        this.destroy(netError("read", count));
        return;
      }
      requestTurn();
      this.bytesRead += count;
      this.wantsData = this.push(count === 0 ? null : Buffer.from(this.into.subarray(0, count))) && count > 0;
    }
  }

  /** There was traffic: the time without begins anew. */
  private active(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = this.timeout === 0 || this.destroyed ? null : setTimeout(() => this.emit("timeout"), this.timeout).unref();
  }
}

/** A connection to a port of an address of the stack's network: what Node calls createConnection. */
export function createConnection(net: Net, port: number, host?: string, connected?: () => void): StackSocket {
  return new StackSocket(net).connect(port, host, connected);
}
