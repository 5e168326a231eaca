/** `bench syn`: the board's server, and the honest clients that fetch a page from it once a second. */
import { EAGAIN, EINPROGRESS } from "../../../src/uapi/errno.ts";
import { AF_INET, SOCK_STREAM } from "../../../src/uapi/socket.ts";
import type { End, World } from "../../sim/world.ts";

export const CLIENTS = 20;
/** How long a client waits for its page. */
export const PATIENCE_MS = 3000;
const PERIOD_MS = 1000;
const PORT = 80;
const REQUEST_BYTES = 60;
const PAGE_BYTES = 1000;
/** 10.1.0.1 is the first client's; they are behind the board's gateway. */
const FIRST_CLIENT = 0x0a010001;
const buffer = new Uint8Array(2048);

/** Answers each request with the page and closes when the client has. */
export function serve({ kernel, fd: listener }: End): () => boolean {
  const open: number[] = [];
  return () => {
    let busy = false;
    for (let fd = kernel.accept4(listener, null, 0); fd >= 0; fd = kernel.accept4(listener, null, 0)) {
      open.push(fd);
      busy = true;
    }
    for (let i = open.length - 1; i >= 0; i--) {
      const fd = open[i]!;
      const count = kernel.recv(fd, buffer, 0, buffer.length, 0);
      if (count === -EAGAIN) continue;
      busy = true;
      if (count > 0) {
        kernel.send(fd, buffer, 0, PAGE_BYTES, 0);
      } else {
        kernel.close(fd);
        open.splice(i, 1);
      }
    }
    return busy;
  };
}

interface Fetch {
  readonly fd: number;
  readonly started: number;
  asked: boolean;
  got: number;
}

export class Clients {
  started = 0;
  /** How long each that had its page waited for it. */
  readonly delaysMs: number[] = [];
  private readonly world: World;
  private readonly fetches: Fetch[] = [];

  /** The host gets the clients' addresses, the board a default route to it. */
  constructor(world: World) {
    this.world = world;
    const { host, board } = world;
    for (let i = 0; i < CLIENTS; i++) {
      if (host.kernel.inetAddAddress(host.kernel.initNet, host.dev, FIRST_CLIENT + i, 32) < 0) throw new Error("a client's address");
    }
    if (board.kernel.ipRouteAdd(board.kernel.initNet, 0, 0, host.addr, 0) < 0) throw new Error("the board's route");
  }

  /** Clients begin one after another within a second, and each goes on once a second for so long. */
  start(durationMs: number): void {
    const { clock } = this.world;
    const begin = clock.timeMs();
    for (let i = 0; i < CLIENTS; i++) {
      for (let at = (i * PERIOD_MS) / CLIENTS; at < durationMs; at += PERIOD_MS) clock.at(begin + at, () => this.fetch(FIRST_CLIENT + i));
    }
  }

  private fetch(from: number): void {
    const { host, board } = this.world;
    const { kernel } = host;
    this.started++;
    kernel.setNs(kernel.initNet);
    const fd = kernel.socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || kernel.bind(fd, new kernel.SockaddrIn(from, 0)) < 0) throw new Error("a client's socket");
    const err = kernel.connect(fd, new kernel.SockaddrIn(board.addr, PORT));
    if (err !== -EINPROGRESS) throw new Error(`a client's connect: ${err}`);
    this.fetches.push({ fd, started: this.world.nowMs, asked: false, got: 0 });
  }

  /** What the clients do after each turn. */
  readonly step = (): boolean => {
    let busy = false;
    for (let i = this.fetches.length - 1; i >= 0; i--) {
      const fetch = this.fetches[i]!;
      const went = this.turn(fetch);
      const done = fetch.got >= PAGE_BYTES;
      if (done) this.delaysMs.push(this.world.nowMs - fetch.started);
      if (went) busy = true;
      if (!done && went !== null && this.world.nowMs - fetch.started < PATIENCE_MS) continue;
      this.world.host.kernel.close(fetch.fd);
      this.fetches.splice(i, 1);
    }
    return busy;
  };

  /** @returns whether it got on; null when it has failed */
  private turn(fetch: Fetch): boolean | null {
    const { kernel } = this.world.host;
    const { fd } = fetch;
    const count = fetch.asked ? kernel.recv(fd, buffer, 0, buffer.length, 0) : kernel.send(fd, buffer, 0, REQUEST_BYTES, 0);
    if (count === -EAGAIN) return false;
    if (count <= 0) return null;
    if (fetch.asked) fetch.got += count;
    fetch.asked = true;
    return true;
  }
}
