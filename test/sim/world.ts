/**
 * A world for simulations: two kernels on one wire, a host with large pools and a board with its own small ones, and peers
 * without a stack; all in virtual time and the same from the same seed. Each test ends in settle(): everything is closed, time
 * passes, and every pool of both kernels must be as full as at the start; no drop may be without a reason.
 */
import type { ExecutionContext } from "ava";
import { VirtualClock } from "../../hal/mock/clock.ts";
import type { Impairment } from "../../hal/mock/impair.ts";
import { formatMac, type MacAddress } from "../../hal/mac.ts";
import { Wire } from "../../hal/mock/wire.ts";
import { importInKernel } from "../../hal/node/second-kernel.ts";
import type { BootOptions, ConfigOptions, NetDevice } from "../../src/index.ts";
import { EAGAIN, EINPROGRESS } from "../../src/uapi/errno.ts";
import { SKB_DROP_REASON_NOT_SPECIFIED } from "../../src/uapi/drop-reason.ts";
import { AF_INET, SOCK_STREAM } from "../../src/uapi/socket.ts";
import type { EncOptions } from "../lib/enc28j60.ts";
import { Peer } from "../lib/peer.ts";
import * as hostKernel from "./kernel.ts";

export type Kernel = typeof hostKernel;

const boardKernel = (await importInKernel(new URL("./kernel.ts", import.meta.url), "board")) as Kernel;

const HOST = 0x0a000001;
const BOARD = 0x0a000002;
const NEIGHBOURS = "arp_cache";
const FIRST_PEER = 0x0a00000a;
/** TIME_WAIT, retransmissions and keepalives of closed sockets are over by then. */
const AFTERMATH_MS = 3_600_000;

export interface WorldOptions {
  readonly seed?: number;
  readonly wire?: Impairment;
  /** Sizes of the board; default preset small. */
  readonly board?: ConfigOptions;
  readonly host?: ConfigOptions;
  /** Parts that the board's kernel, which is given, starts besides. */
  readonly boardParts?: (kernel: Kernel) => NonNullable<BootOptions["initcalls"]>;
  /** The board's device is a simulated ENC28J60, with these options; the host's likewise. */
  readonly boardChip?: EncOptions;
  readonly hostChip?: EncOptions;
  /** MTU of the board's device and of the host's. */
  readonly mtu?: number;
  readonly peers?: readonly string[];
  /** Where the clock starts, in ms. */
  readonly startMs?: number;
  /** Everyone knows everyone's hardware address (default); false: ARP has to find out. */
  readonly neighbours?: boolean;
  /** Frames come from addresses that nobody was introduced to. */
  readonly strangers?: boolean;
}

/** A machine of the world: its kernel, and where it is on the wire. */
export interface Machine {
  readonly name: string;
  readonly kernel: Kernel;
  readonly dev: NetDevice;
  readonly addr: number;
  readonly mac: MacAddress;
}

/** One end of a connection. */
export interface End {
  readonly kernel: Kernel;
  readonly fd: number;
}

function macOf(addr: number): MacAddress {
  return { hi: 0x0200, lo: addr };
}

export class World {
  readonly clock: VirtualClock;
  readonly wire: Wire;
  readonly host: Machine;
  readonly board: Machine;
  readonly peers: Peer[];
  private readonly before: ReadonlyMap<Machine, ReadonlyMap<string, number>>;
  private readonly steps: (() => boolean)[] = [];
  private readonly acquainted: boolean;
  private readonly line: { -readonly [K in keyof Impairment]: Impairment[K] };

  constructor(options: WorldOptions = {}) {
    this.clock = new VirtualClock(options.seed, options.startMs);
    this.line = { seed: options.seed, ...options.wire };
    this.wire = new Wire(this.clock, this.line);
    // What machines announce when they come up is lost: tests begin in silence.
    this.wire.carrier = false;
    this.host = this.machine("host", hostKernel, HOST, { preset: "host", ...options.host }, options.mtu, options.hostChip);
    const initcalls = options.boardParts?.(boardKernel) ?? [];
    this.board = this.machine("board", boardKernel, BOARD, { preset: "small", ...options.board, initcalls }, options.mtu, options.boardChip);
    const places = (options.peers ?? []).map((name, index) => ({ name, addr: FIRST_PEER + index, mac: macOf(FIRST_PEER + index) }));
    this.peers = places.map((place) => new Peer(place, this.clock, this.wire, [this.board]));
    this.clock.runFor(0);
    this.wire.setCarrier(true);
    this.clock.runFor(0);
    this.acquainted = options.neighbours !== false && options.strangers !== true;
    if (options.neighbours !== false) {
      for (const machine of [this.host, this.board]) {
        for (const { addr, mac } of [this.host, this.board, ...places]) {
          if (addr !== machine.addr) machine.kernel.introduce(machine.dev, addr, mac.hi, mac.lo);
        }
      }
    }
    this.clock.runFor(3000);
    for (const peer of this.peers) peer.drain();
    this.before = new Map([this.host, this.board].map((machine) => [machine, machine.kernel.inUse()]));
  }

  private machine(name: string, kernel: Kernel, addr: number, config: BootOptions, mtu?: number, enc?: EncOptions): Machine {
    const mac = macOf(addr);
    const dev = kernel.bootOn(this.clock, this.wire, addr, formatMac(mac.hi, mac.lo), config, mtu, enc);
    return { name, kernel, dev, addr, mac };
  }

  other(machine: Machine): Machine {
    return machine === this.host ? this.board : this.host;
  }

  peer(index = 0): Peer {
    return this.peers[index]!;
  }

  /** The wire loses that much from now on: 0..1. */
  setLoss(loss: number): void {
    this.line.loss = loss;
  }

  get nowMs(): number {
    return this.clock.timeMs();
  }

  runFor(ms: number): void {
    this.clock.runFor(ms);
  }

  /** @throws Error when the condition does not hold within `limitMs` of virtual time */
  runUntil(what: string, condition: () => boolean, limitMs?: number): void {
    if (!this.clock.runUntil(condition, limitMs)) throw new Error(`at ${this.nowMs} ms still not: ${what}`);
  }

  addStep(step: () => boolean): void {
    this.steps.push(step);
    this.clock.addStep(step);
  }

  removeStep(step: () => boolean): void {
    this.steps.splice(this.steps.indexOf(step), 1);
    this.clock.removeStep(step);
  }

  /** A listener on that machine. */
  listen(machine: Machine, port: number, backlog = 8): End {
    const { kernel } = machine;
    const fd = this.socket(machine);
    if (kernel.bind(fd, new kernel.SockaddrIn(0, port)) < 0) throw new Error(`port ${port} is taken`);
    if (kernel.listen(fd, backlog) < 0) throw new Error("listen");
    return { kernel, fd };
  }

  socket(machine: Machine, type = SOCK_STREAM): number {
    const { kernel } = machine;
    kernel.setNs(kernel.initNet);
    const fd = kernel.socket(AF_INET, type, 0);
    if (fd < 0) throw new Error(`socket: ${fd}`);
    return fd;
  }

  /** Starts a connection to the other machine; the SYN is on its way. */
  connect(machine: Machine, port: number, to: number = this.other(machine).addr): End {
    const { kernel } = machine;
    const fd = this.socket(machine);
    const err = kernel.connect(fd, new kernel.SockaddrIn(to, port));
    if (err !== 0 && err !== -EINPROGRESS) throw new Error(`connect: ${err}`);
    return { kernel, fd };
  }

  accept(listener: End, limitMs?: number): End {
    let fd = -EAGAIN;
    this.runUntil("a connection to accept", () => (fd = listener.kernel.accept4(listener.fd, null, 0)) >= 0, limitMs);
    return { kernel: listener.kernel, fd };
  }

  /** A connection from the one machine to the other, and the listener is gone. */
  pair(from: Machine, port = 80): { client: End; server: End } {
    const listener = this.listen(this.other(from), port, 1);
    const client = this.connect(from, port);
    const server = this.accept(listener);
    listener.kernel.close(listener.fd);
    return { client, server };
  }

  /** Starts transfers; finish() ends them. */
  start(transfers: readonly Transfer[]): void {
    for (const transfer of transfers) this.addStep(transfer.step);
  }

  /** Runs transfers to their end. @throws Error when they have not ended in `limitMs` of virtual time */
  finish(transfers: readonly Transfer[], limitMs = 7_200_000): void {
    const start = this.nowMs;
    this.start(transfers.filter(({ step }) => !this.steps.includes(step)));
    for (;;) {
      const ended = this.clock.runUntil(() => transfers.every((transfer) => transfer.ended), 1000);
      if (ended) break;
      if (this.nowMs - start > limitMs) {
        throw new Error(`after ${limitMs} ms: ${transfers.map((one) => `${one.got} of ${one.total}, ${one.sent} sent`).join("; ")}`);
      }
    }
    for (const transfer of transfers) this.removeStep(transfer.step);
    for (const { wrong } of transfers) if (wrong !== "") throw new Error(wrong);
  }

  /**
   * What each machine has that it had not at the start, "" when nothing. Neighbours are kept as long as they are few, so they
   * count only when everyone was known from the start.
   */
  leaks(): string {
    let text = "";
    for (const [{ name, kernel }, counts] of this.before) {
      for (const [pool, now] of kernel.inUse()) {
        if (pool === NEIGHBOURS && !this.acquainted) continue;
        const then = counts.get(pool) ?? 0;
        if (now !== then) text += `${name}: ${pool} ${now} in use, ${then} at the start\n`;
      }
    }
    return text;
  }

  /** Ends the test: closes everything, lets timers run out, and checks pools and drops. */
  settle(t: ExecutionContext, waitMs = AFTERMATH_MS): void {
    for (const step of [...this.steps]) this.removeStep(step);
    for (const { kernel } of [this.host, this.board]) kernel.closeAll();
    this.runFor(waitMs);
    t.is(this.leaks(), "");
    for (const { name, kernel } of [this.host, this.board]) {
      t.is(kernel.drops(SKB_DROP_REASON_NOT_SPECIFIED), 0, `${name}: packets dropped without a reason`);
    }
    for (const { kernel, dev } of [this.host, this.board]) kernel.unregister(dev);
    this.runFor(waitMs);
    for (const { name, kernel } of [this.host, this.board]) {
      t.is(kernel.inUse().get(NEIGHBOURS), 0, `${name}: neighbours of a device that is gone`);
    }
  }
}

/** The byte at a position of every stream here. */
export function byteAt(position: number): number {
  return (position * 7 + (position >> 8) * 13 + (position >> 16)) & 255;
}

/** A stream of bytes from one end to the other, checked byte by byte. */
export class Transfer {
  readonly total: number;
  sent = 0;
  got = 0;
  wrong = "";
  private readonly from: End;
  private readonly to: End;
  private readonly out: Uint8Array;
  private readonly back: Uint8Array;

  constructor(from: End, to: End, total: number, chunk = 8192) {
    this.from = from;
    this.to = to;
    this.total = total;
    this.out = new Uint8Array(chunk);
    this.back = new Uint8Array(chunk);
  }

  get ended(): boolean {
    return this.wrong !== "" || this.got === this.total;
  }

  readonly step = (): boolean => {
    if (this.ended) return false;
    const wrote = this.write();
    return this.read() || wrote;
  };

  write(): boolean {
    const { out, from, sent } = this;
    const want = Math.min(out.length, this.total - sent);
    if (want === 0) return false;
    for (let i = 0; i < want; i++) out[i] = byteAt(sent + i);
    const n = from.kernel.send(from.fd, out, 0, want, 0);
    if (n > 0) this.sent += n;
    else if (n !== -EAGAIN) this.wrong = `send: ${n} after ${sent} bytes`;
    return n > 0;
  }

  read(): boolean {
    const { back, to, got } = this;
    const n = to.kernel.recv(to.fd, back, 0, back.length, 0);
    if (n === -EAGAIN) return false;
    if (n <= 0) {
      this.wrong = `recv: ${n} after ${got} bytes`;
      return false;
    }
    for (let i = 0; i < n; i++) {
      if (back[i] !== byteAt(got + i)) {
        this.wrong = `byte ${got + i} is ${back[i]}, not ${byteAt(got + i)}`;
        return false;
      }
    }
    this.got += n;
    if (this.got > this.total) this.wrong = `${this.got} bytes of ${this.total} came`;
    return true;
  }
}
