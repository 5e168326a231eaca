/**
 * Port forwarding into the virtual network without root: a TCP connection that Node accepts becomes one of the stack (in
 * the host-side namespace) to the board, and bytes are pumped both ways, with backpressure, half close and resets kept.
 */
import { createServer, type Server, type Socket } from "node:net";
import {
  AF_INET, close, connect, EAGAIN, EINPROGRESS, getsockopt, MSG_NOSIGNAL, type Net, POLLERR, poll, Pollfd, POLLIN, POLLOUT,
  recv, send, setNs, setsockopt, shutdown, SHUT_WR, SO_ERROR, SO_LINGER, SOCK_NONBLOCK, SOCK_STREAM, SockaddrIn, socket,
  SOL_SOCKET,
} from "../../src/index.ts";
import { requestTurn } from "./run.ts";

/** Bytes from Node that may wait for the stack before Node's socket is paused. */
const HIGH_WATER_BYTES = 256 * 1024;
const READ_BYTES = 65536;

/** One forwarded connection. */
class Pump {
  private readonly client: Socket;
  private readonly fd: number;
  private readonly buffer: Uint8Array;
  private readonly toBoard: Buffer[] = [];
  private queued = 0;
  /** Bytes of toBoard[0] that are sent. */
  private offset = 0;
  private connected = false;
  private clientEnded = false;
  private finSent = false;
  private boardEnded = false;
  private readonly ready = [new Pollfd(-1, POLLIN | POLLOUT)];
  closed = false;

  constructor(client: Socket, fd: number, buffer: Uint8Array) {
    this.client = client;
    this.fd = fd;
    this.buffer = buffer;
    this.ready[0]!.fd = fd;
    client.setNoDelay(true);
    client.on("data", (chunk: Buffer) => {
      this.toBoard.push(chunk);
      this.queued += chunk.length;
      if (this.queued > HIGH_WATER_BYTES) client.pause();
      requestTurn();
    });
    client.on("drain", requestTurn);
    client.on("end", () => {
      this.clientEnded = true;
      requestTurn();
    });
    client.on("error", () => this.abort());
    client.on("close", () => {
      if (!this.closed && !(this.finSent && this.boardEnded)) this.abort();
    });
  }

  /** Moves what can be moved; whether anything was. */
  step(): boolean {
    if (this.closed) return false;
    if (!this.connected && !this.checkConnected()) return false;
    const moved = this.pumpToBoard();
    const got = this.pumpToClient();
    if (!this.closed && this.finSent && this.boardEnded) this.finish();
    return moved || got;
  }

  private checkConnected(): boolean {
    poll(this.ready, 1);
    const events = this.ready[0]!.revents;
    const error = Int32Array.of(0);
    if ((events & POLLERR) !== 0 || getsockopt(this.fd, SOL_SOCKET, SO_ERROR, error) < 0 || error[0] !== 0) {
      this.abort();
      return false;
    }
    this.connected = (events & POLLOUT) !== 0;
    return this.connected;
  }

  private pumpToBoard(): boolean {
    let moved = false;
    while (this.toBoard.length > 0) {
      const chunk = this.toBoard[0]!;
      const sent = send(this.fd, chunk, this.offset, chunk.length - this.offset, MSG_NOSIGNAL);
      if (sent === -EAGAIN) break;
      if (sent < 0) {
        this.abort();
        return true;
      }
      moved = true;
      this.offset += sent;
      this.queued -= sent;
      if (this.offset === chunk.length) {
        this.toBoard.shift();
        this.offset = 0;
      }
    }
    if (this.client.isPaused() && this.queued < HIGH_WATER_BYTES) this.client.resume();
    if (this.clientEnded && !this.finSent && this.toBoard.length === 0) {
      shutdown(this.fd, SHUT_WR);
      this.finSent = true;
      moved = true;
    }
    return moved;
  }

  private pumpToClient(): boolean {
    let moved = false;
    while (!this.closed && !this.boardEnded && !this.client.writableNeedDrain) {
      const count = recv(this.fd, this.buffer, 0, this.buffer.length, 0);
      if (count === -EAGAIN) break;
      moved = true;
      if (count > 0) {
        this.client.write(Buffer.from(this.buffer.subarray(0, count)));
      } else if (count === 0) {
        this.boardEnded = true;
        this.client.end();
      } else {
        this.abort();
      }
    }
    return moved;
  }

  private finish(): void {
    this.closed = true;
    close(this.fd);
  }

  /** One side failed: resets both. */
  abort(): void {
    if (this.closed) return;
    setsockopt(this.fd, SOL_SOCKET, SO_LINGER, 1, 0);
    this.finish();
    this.client.resetAndDestroy();
    requestTurn();
  }
}

/** All forwarded ports of a namespace. Its step() belongs in the loop that turns this kernel. */
export class Forwarder {
  private readonly net: Net;
  private readonly pumps: Pump[] = [];
  private readonly servers: Server[] = [];
  private readonly buffer = new Uint8Array(READ_BYTES);

  /** @param net the namespace whose stack is the client */
  constructor(net: Net) {
    this.net = net;
  }

  /**
   * Forwards connections to 127.0.0.1:hostPort to the address and port inside.
   * @returns the port listened on (for hostPort 0 one that was free); rejects with Node's error (EADDRINUSE, EACCES)
   */
  listen(hostPort: number, addr: number, port: number): Promise<number> {
    const server = createServer({ allowHalfOpen: true }, (client) => this.accept(client, addr, port));
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(hostPort, "127.0.0.1", () => {
        this.servers.push(server);
        const address = server.address();
        resolve(typeof address === "object" && address !== null ? address.port : hostPort);
      });
    });
  }

  private accept(client: Socket, addr: number, port: number): void {
    setNs(this.net);
    const fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    const err = fd < 0 ? fd : connect(fd, new SockaddrIn(addr, port));
    if (err < 0 && err !== -EINPROGRESS) {
      if (fd >= 0) close(fd);
      client.on("error", () => undefined);
      client.resetAndDestroy();
      return;
    }
    this.pumps.push(new Pump(client, fd, this.buffer));
    requestTurn();
  }

  /** Moves bytes of all connections; whether any were. */
  step(): boolean {
    let busy = false;
    for (let i = this.pumps.length - 1; i >= 0; i--) {
      const pump = this.pumps[i]!;
      if (pump.step()) busy = true;
      if (pump.closed) this.pumps.splice(i, 1);
    }
    return busy;
  }

  close(): void {
    for (const server of this.servers) server.close();
    for (const pump of this.pumps) pump.abort();
  }
}
