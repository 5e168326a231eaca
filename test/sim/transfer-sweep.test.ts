/**
 * Transfers between a host and boards of several sizes over lines of all kinds: every byte arrives, in order and once, and all
 * memory comes back. Prints the goodput of each.
 */
import test from "ava";
import type { Impairment } from "../../hal/mock/impair.ts";
import type { ConfigOptions } from "../../src/index.ts";
import { type Machine, Transfer, World } from "./world.ts";

/** Sizes of boards by what they can advertise: half of the truesize (2048) of so many packets. */
const BOARDS: readonly (readonly [string, ConfigOptions])[] = [
  ["4 KB", { preset: "small", buffers: 13, skbs: 20, rcvbufPackets: 4, sndbufPackets: 4 }],
  ["16 KB", { preset: "default", buffers: 40, skbs: 64, rcvbufPackets: 16, sndbufPackets: 14 }],
  ["64 KB", { preset: "default", buffers: 140, skbs: 240, rcvbufPackets: 64, sndbufPackets: 60 }],
];
const LOSSES = [0, 0.001, 0.01, 0.05, 0.2];
const DELAYS_MS = [1, 20, 200];

/** What is sent each way: enough to leave slow start where nothing is lost, little where each byte is dear. */
function bytesAt(loss: number): number {
  return loss <= 0.001 ? 250_000 : loss <= 0.01 ? 150_000 : loss <= 0.05 ? 100_000 : 40_000;
}

function kilobytesPerSecond(bytes: number, ms: number): string {
  return (bytes / Math.max(ms, 1)).toFixed(1).padStart(9);
}

interface Speeds {
  readonly down: string;
  readonly up: string;
}

/** One connection: `bytes` to the board, then as many from it, then both ways at once. */
function run(world: World, from: Machine, bytes: number): Speeds {
  const { client, server } = world.pair(from);
  const [host, board] = from === world.host ? [client, server] : [server, client];
  const start = world.nowMs;
  world.finish([new Transfer(host, board, bytes)]);
  const between = world.nowMs;
  world.finish([new Transfer(board, host, bytes)]);
  const end = world.nowMs;
  world.finish([new Transfer(board, host, bytes / 10, 700), new Transfer(host, board, bytes / 10, 3000)]);
  return { down: kilobytesPerSecond(bytes, between - start), up: kilobytesPerSecond(bytes, end - between) };
}

for (const [name, board] of BOARDS) {
  test.serial(`transfers over lines of all losses and delays, windows of ${name}`, (t) => {
    const lines = ["loss %  delay ms   to board KB/s  from board KB/s"];
    for (const loss of LOSSES) {
      for (const delayMs of DELAYS_MS) {
        const world = new World({ seed: 7, board, wire: { loss, delayMs } });
        const { down, up } = run(world, loss < 0.01 ? world.host : world.board, bytesAt(loss));
        world.settle(t);
        lines.push(`${(loss * 100).toFixed(1).padStart(6)}  ${String(delayMs).padStart(8)}  ${down.padStart(14)}  ${up.padStart(15)}`);
      }
    }
    t.log(lines.join("\n"));
  });
}

const MIXES: readonly (readonly [string, Impairment])[] = [
  ["duplicates", { duplicate: 0.3, delayMs: 5 }],
  ["reordering", { reorder: 0.2, delayMs: 10, jitterMs: 4 }],
  ["corruption", { corrupt: 0.05, delayMs: 5 }],
  ["all at once", { loss: 0.02, duplicate: 0.05, reorder: 0.1, corrupt: 0.01, delayMs: 20, jitterMs: 10 }],
  ["1 Mbit/s with a queue of 8 frames", { rateBps: 1_000_000, queueFrames: 8, delayMs: 10 }],
  ["56 kbit/s and reordering", { rateBps: 56_000, queueFrames: 20, delayMs: 100, reorder: 0.02 }],
];

for (const [name, wire] of MIXES) {
  test.serial(`transfers over a line with ${name}`, (t) => {
    const lines: string[] = [];
    for (const [size, board] of BOARDS) {
      for (const seed of [1, 2]) {
        const world = new World({ seed, board, wire });
        const { down, up } = run(world, seed === 1 ? world.host : world.board, 60_000);
        world.settle(t);
        lines.push(`${size.padStart(5)} ${down} KB/s to the board, ${up} from it`);
      }
    }
    t.log(lines.join("\n"));
  });
}
