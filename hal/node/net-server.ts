/**
 * A listening TCP socket of the stack as a Node server with the face of net.Server: its connections are StackSockets. Node's http
 * server takes them by its "connection" event. Read first: Node's documentation of net.Server. Owns its descriptor.
 *
 *   const server = new StackServer(net, (socket) => httpServer.emit("connection", socket)).listen(80);
 */
import { EventEmitter } from "node:events";
import {
  accept4, AF_INET, bind, close, EAGAIN, getsockname, listen, type Net, setNs, setsockopt, SO_REUSEADDR, SOCK_NONBLOCK, SOCK_STREAM,
  SockaddrIn, socket, SOL_SOCKET,
} from "../../src/index.ts";
import { addWaitQueue, removeWaitQueue, WaitQueueEntry } from "../../src/stack/core/wait.ts";
import { fdWaitQueue } from "../../src/stack/socket/files.ts";
import { addressNumber, addressText, netError, StackSocket } from "./net-socket.ts";
import { requestTurn } from "./run.ts";

const BACKLOG = 511;
const ANY = "0.0.0.0";

export class StackServer extends EventEmitter {
  readonly net: Net;
  private fd = -1;
  private readonly entry = new WaitQueueEntry();
  private readonly sockets = new Set<StackSocket>();
  private scheduled = false;
  private readonly take = (): void => this.accept();

  constructor(net: Net, onConnection?: (socket: StackSocket) => void) {
    super();
    this.net = net;
    if (onConnection !== undefined) this.on("connection", onConnection);
    this.entry.func = () => this.schedule();
  }

  get listening(): boolean {
    return this.fd >= 0;
  }

  /** Listens on a port, 0 for a free one. "listening" or "error" (EADDRINUSE, …) follows. */
  listen(port: number, host = ANY, listening?: () => void): this {
    if (listening !== undefined) this.once("listening", listening);
    setNs(this.net);
    const fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    let err = fd;
    const own = new SockaddrIn(addressNumber(host), port);
    if (fd >= 0) {
      setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, 1);
      err = bind(fd, own);
      if (err >= 0) err = listen(fd, BACKLOG);
    }
    if (err < 0) {
      if (fd >= 0) close(fd);
      process.nextTick(() => this.emit("error", netError("listen", err, own)));
      return this;
    }
    this.fd = fd;
    addWaitQueue(fdWaitQueue(fd)!, this.entry);
    process.nextTick(() => this.emit("listening"));
    return this;
  }

  address(): { address: string; family: string; port: number } | null {
    const own = new SockaddrIn();
    if (this.fd < 0 || getsockname(this.fd, own) < 0) return null;
    return { address: addressText(own.addr), family: "IPv4", port: own.port };
  }

  /** Takes no more connections; "close" follows when those that are there have ended. */
  close(closed?: () => void): this {
    if (closed !== undefined) this.once("close", closed);
    const { fd } = this;
    if (fd >= 0) {
      removeWaitQueue(fdWaitQueue(fd)!, this.entry);
      this.fd = -1;
      close(fd);
      requestTurn();
    }
    this.closeWhenIdle();
    return this;
  }

  /** Ends every connection at once. */
  closeAllConnections(): void {
    for (const one of this.sockets) one.destroy();
  }

  private closeWhenIdle(): void {
    if (this.fd < 0 && this.sockets.size === 0) process.nextTick(() => this.emit("close"));
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(this.take);
  }

  private accept(): void {
    this.scheduled = false;
    while (this.fd >= 0) {
      const fd = accept4(this.fd, null, SOCK_NONBLOCK);
      if (fd === -EAGAIN) return;
      if (fd < 0) {
        this.emit("error", netError("accept", fd));
        return;
      }
      const one = new StackSocket(this.net, { fd });
      this.sockets.add(one);
      one.once("close", () => {
        this.sockets.delete(one);
        this.closeWhenIdle();
      });
      this.emit("connection", one);
    }
  }
}
