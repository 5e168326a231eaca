/**
 * `bench spi`: SPI bytes and periods of chip select that the ENC28J60 driver takes for each frame, counted by the simulated
 * chip. They are exact, so tests assert them; beside them the same counts of known drivers.
 */
import { VirtualClock } from "../../hal/mock/clock.ts";
import type { Enc28j60 } from "../../hal/enc28j60/index.ts";
import type { Enc28j60Simulator } from "../../hal/enc28j60/simulator/index.ts";
import { boot, devOpen, initNet } from "../../src/index.ts";
import { devQueueXmit } from "../../src/netif/xmit.ts";
import { netdevAllocSkb, skbPutData } from "../../src/stack/core/skbuff.ts";
import { createEnc, type EncOptions, whenNotBusy } from "../lib/enc28j60.ts";

export interface SpiCase {
  readonly case: string;
  /** Bytes of the frame without check sequence; 0 where there is none. */
  readonly frameBytes: number;
  /** For each frame or poll; of lone frames the costliest. */
  readonly spiBytes: number;
  readonly selects: number;
  /** Mean over FRAMES frames, where not all cost the same. */
  readonly meanSpiBytes?: number;
  readonly meanSelects?: number;
}

export interface SpiPeer {
  readonly driver: string;
  readonly case: string;
  readonly frameBytes: number;
  readonly spiBytes: number;
  readonly selects: number;
}

export interface SpiBench {
  readonly cases: SpiCase[];
  readonly peers: SpiPeer[];
}

const FRAMES = 64;
const BATCH = 8;
/** An EtherType that nobody has a handler for. */
const TYPE = 0x88b5;
const STATION = [2, 0, 0, 0, 0, 1];
/** Time in which a frame comes or goes, and nothing else. */
const FRAME_MS = 3;

/** A frame to the board. */
export function frameOf(length: number): Uint8Array {
  const frame = Uint8Array.from({ length }, (_, i) => i & 255);
  frame.set([...STATION, 2, 0, 0, 0, 0, 2, TYPE >> 8, TYPE & 255]);
  return frame;
}

/** A booted board with the driver up and nothing on its way. */
export class SpiBoard {
  readonly clock = new VirtualClock();
  readonly sim: Enc28j60Simulator;
  readonly dev: Enc28j60;
  /** The program does something else: nobody takes what arrives. */
  paused = false;

  constructor(options: EncOptions = {}) {
    boot({ preset: "default", hal: this.clock });
    const { sim, dev } = createEnc(this.clock, options);
    this.sim = sim;
    this.dev = dev;
    const kernel = whenNotBusy(this.clock, sim, initNet);
    this.clock.drive({ poll: () => (this.paused ? -1 : kernel.poll()) });
    initNet.register(dev);
    devOpen(dev);
    this.clock.runFor(20);
  }

  send(length: number): void {
    const skb = netdevAllocSkb(this.dev, length)!;
    skbPutData(skb, frameOf(length));
    devQueueXmit(skb);
  }

  /** Bytes and periods of what the function has done, and of what follows from it. */
  count(run: () => void, ms = FRAME_MS): { bytes: number; selects: number } {
    const { counters } = this.sim;
    counters.reset();
    run();
    this.clock.runFor(ms);
    return { bytes: counters.bytes, selects: counters.selects };
  }
}

/** Counts each of FRAMES frames; those while which the slow look at the chip happens are left out. */
function each(name: string, frameBytes: number, board: SpiBoard, run: () => void): SpiCase {
  let worst = { bytes: 0, selects: 0 };
  let bytes = 0;
  let selects = 0;
  let counted = 0;
  while (counted < FRAMES) {
    const one = board.count(run);
    // The look reads ESTAT, which neither receiving nor sending does: more register reads than either.
    if (board.sim.counters.instructions["RCR"]! > 2) continue;
    counted++;
    bytes += one.bytes;
    selects += one.selects;
    if (one.bytes > worst.bytes) worst = one;
  }
  return {
    case: name, frameBytes, spiBytes: worst.bytes, selects: worst.selects,
    meanSpiBytes: bytes / FRAMES, meanSelects: selects / FRAMES,
  };
}

function receiveOne(frameBytes: number): SpiCase {
  const board = new SpiBoard();
  return each("receive-one", frameBytes, board, () => board.sim.receive(frameOf(frameBytes)));
}

function receiveBatch(frameBytes: number): SpiCase {
  const board = new SpiBoard();
  let worst = { bytes: 0, selects: 0 };
  for (let round = 0; round < FRAMES / BATCH; round++) {
    board.paused = true;
    for (let i = 0; i < BATCH; i++) board.sim.receive(frameOf(frameBytes));
    board.clock.runFor(BATCH * FRAME_MS);
    const before = board.dev.stats.rxPackets;
    const batch = board.count(() => (board.paused = false), 30);
    if (board.dev.stats.rxPackets - before !== BATCH) throw new Error("the batch did not arrive whole");
    if (board.sim.counters.instructions["RCR"]! === 0 && batch.bytes > worst.bytes) worst = batch;
  }
  return { case: "receive-batch-8", frameBytes, spiBytes: worst.bytes / BATCH, selects: worst.selects / BATCH };
}

function transmit(frameBytes: number): SpiCase {
  const board = new SpiBoard();
  // The first has no frame before it to ask for.
  board.count(() => board.send(frameBytes));
  return each("transmit", frameBytes, board, () => board.send(frameBytes));
}

function idle(name: string, options: EncOptions): SpiCase {
  const board = new SpiBoard(options);
  board.clock.runFor(1000);
  const { counters } = board.sim;
  let polls = 0;
  let bytes = 0;
  let selects = 0;
  for (let ms = 0; ms < 500; ms++) {
    const one = board.count(() => undefined, 1);
    if (counters.instructions["RCR"]! > 1) continue;
    polls += options.interrupt === false ? counters.instructions["RCR"]! : 1;
    bytes += one.bytes;
    selects += one.selects;
  }
  return { case: name, frameBytes: 0, spiBytes: bytes / polls, selects: selects / polls };
}

/** What each of them takes, by its code: bytes beyond the frame's own, and periods. */
const PEERS: readonly (readonly [driver: string, name: string, bytes: number, selects: number])[] = Object.freeze([
  ["linux", "receive-one", 44, 18], ["linux", "receive-batch-8", 26, 9], ["linux", "transmit", 35, 18], ["linux", "idle-int", 0, 0],
  ["ethercard", "receive-one", 28, 12], ["ethercard", "transmit", 27, 14], ["ethercard", "idle-poll", 2, 1],
  ["embassy", "receive-one", 26, 11], ["embassy", "transmit", 13, 7], ["embassy", "idle-poll", 30, 12],
  ["esp-eth", "receive-one", 36, 14], ["esp-eth", "idle-int", 0, 0],
]);

function peers(): SpiPeer[] {
  return PEERS.flatMap(([driver, name, bytes, selects]) =>
    (name.startsWith("idle") ? [0] : [60, 1514]).map((frameBytes) => ({
      driver, case: name, frameBytes, spiBytes: frameBytes + bytes, selects,
    })));
}

/** Counts every case. */
export function measureSpi(): SpiBench {
  return {
    cases: [
      receiveOne(60), receiveOne(1514), receiveBatch(60), receiveBatch(600), transmit(60), transmit(1514),
      idle("idle-int", {}), idle("idle-poll", { interrupt: false }),
    ],
    peers: peers(),
  };
}

export async function benchSpi(): Promise<SpiBench> {
  return Promise.resolve(measureSpi());
}
