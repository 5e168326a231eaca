/**
 * Transfers between a host and boards of several sizes over lines of all kinds: every byte arrives, in order and once, and all
 * memory comes back. Prints the goodput of each.
 */
import test from "ava";
import type { Impairment } from "../../hal/mock/impair.ts";
import { DELAYS_MS, LOSSES, RECEIVERS } from "./sweep.ts";
import { type Machine, Transfer, World } from "./world.ts";

/** What is sent each way: enough to leave slow start where nothing is lost, little where each byte is dear. */
function bytesAt(loss: number): number {
  return loss <= 0.001 ? 1_000_000 : loss <= 0.01 ? 500_000 : loss <= 0.05 ? 300_000 : 100_000;
}

/** In KB/s. */
interface Speeds {
  readonly down: number;
  readonly up: number;
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
  return { down: bytes / (between - start), up: bytes / (end - between) };
}

function column(speed: number, width: number): string {
  return speed.toFixed(1).padStart(width);
}

for (const { kilobytes, board } of RECEIVERS) {
  test.serial(`transfers over lines of all losses and delays, windows of ${kilobytes} KB`, (t) => {
    const lines = ["loss %  delay ms   to board KB/s  from board KB/s"];
    for (const loss of LOSSES) {
      for (const delayMs of DELAYS_MS) {
        const world = new World({ seed: 7, board, wire: { loss, delayMs } });
        const { down, up } = run(world, loss < 0.01 ? world.host : world.board, bytesAt(loss));
        world.settle(t);
        lines.push(`${column(loss * 100, 6)}  ${String(delayMs).padStart(8)}  ${column(down, 14)}  ${column(up, 15)}`);
        if (loss !== 0) continue;
        const atBest = (kilobytes * 1.024) / (2 * delayMs / 1000);
        t.true(down > atBest / 2 && up > atBest / 2, `without loss a round trip carries half a window or more: ${lines.at(-1)}`);
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
    for (const { kilobytes, board } of RECEIVERS) {
      for (const seed of [1, 2]) {
        const world = new World({ seed, board, wire });
        const { down, up } = run(world, seed === 1 ? world.host : world.board, 60_000);
        world.settle(t);
        lines.push(`${String(kilobytes).padStart(2)} KB ${column(down, 9)} KB/s to the board, ${column(up, 9)} from it`);
      }
    }
    t.log(lines.join("\n"));
  });
}
