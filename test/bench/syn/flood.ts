/** `bench syn`: SYNs from made-up addresses, straight into the board's device, as many in a second as are asked for. */
import { Prng } from "../../../hal/mock/impair.ts";
import type { WirePort } from "../../../hal/mock/wire.ts";
import type { World } from "../../sim/world.ts";

/** From how many addresses a flood comes; 0: each SYN from a random one. */
export type Sources = 1 | 256 | 0;

const FRAME_BYTES = 60;
const IP_AT = 14;
const TCP_AT = 34;
const SYN = 2;
const PORT = 80;
/** 198.51.100.0/24 of RFC 5737. */
const FEW_SOURCES = 0xc6336400;
/** Random ones are 11.0.0.0 to 110.255.255.255. */
const RANDOM_FIRST = 11;
const RANDOM_BYTES = 100;

function sum(view: DataView, at: number, length: number, start: number): number {
  let total = start;
  for (let i = 0; i < length; i += 2) total += view.getUint16(at + i);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return ~total & 0xffff;
}

export class Flood {
  sent = 0;
  private readonly world: World;
  private readonly port: WirePort;
  private readonly random: Prng;
  private readonly sources: Sources;
  private readonly perTick: number;
  private readonly tickMs: number;
  private readonly frame = new Uint8Array(FRAME_BYTES);
  private readonly view = new DataView(this.frame.buffer);
  private running = true;

  /** @param port the board's @param rate SYNs per second, a divisor or a multiple of 1000 */
  constructor(world: World, port: WirePort, rate: number, sources: Sources, seed: number) {
    this.world = world;
    this.port = port;
    this.random = new Prng(seed);
    this.sources = sources;
    this.perTick = Math.max(1, rate / 1000);
    this.tickMs = Math.max(1, 1000 / rate);
    const { view } = this;
    const { mac, addr } = world.board;
    view.setUint16(0, mac.hi);
    view.setInt32(2, mac.lo);
    view.setUint16(6, world.host.mac.hi);
    view.setInt32(8, world.host.mac.lo);
    view.setUint16(12, 0x0800);
    view.setInt32(IP_AT, 0x45000028);
    view.setInt32(IP_AT + 8, 0x40060000);
    view.setInt32(IP_AT + 16, addr);
    view.setUint16(TCP_AT + 2, PORT);
    view.setInt32(TCP_AT + 12, (5 << 28) | (SYN << 16) | 0x4000);
  }

  /** From now on, until stop(). */
  start(): void {
    const { clock } = this.world;
    const tick = (): void => {
      if (!this.running) return;
      for (let i = 0; i < this.perTick; i++) this.send();
      clock.at(clock.timeMs() + this.tickMs, tick);
    };
    clock.at(clock.timeMs() + this.tickMs, tick);
  }

  stop(): void {
    this.running = false;
  }

  private source(): number {
    if (this.sources === 1) return FEW_SOURCES + 7;
    if (this.sources === 256) return FEW_SOURCES + this.random.below(256);
    return ((RANDOM_FIRST + this.random.below(RANDOM_BYTES)) << 24) | this.random.below(0x1000000);
  }

  /** One frame, and the board's turn: its interrupt does not wait for the next frame. */
  private send(): void {
    const { view } = this;
    view.setInt32(IP_AT + 12, this.source());
    view.setUint16(IP_AT + 10, 0);
    view.setUint16(IP_AT + 10, sum(view, IP_AT, 20, 0));
    view.setUint16(TCP_AT, 1024 + this.random.below(64_000));
    view.setUint16(TCP_AT + 4, this.random.below(0x10000));
    view.setUint16(TCP_AT + 6, this.random.below(0x10000));
    view.setUint16(TCP_AT + 16, 0);
    // The pseudo header: both addresses, the protocol, the length.
    view.setUint16(TCP_AT + 16, sum(view, IP_AT + 12, 28, 6 + 20));
    this.sent++;
    this.port.receive(this.frame);
    this.world.board.kernel.initNet.poll();
  }
}
