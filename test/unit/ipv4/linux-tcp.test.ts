/** Calls on a TCP connection and segments for it, drawn at random, are answered as Linux does, step by step: linux-tcp.ts. */
import test from "ava";
import { initNet } from "../../../src/boot.ts";
import { tcpSetDefaultCongestionControl } from "../../../src/stack/ipv4/tcp-cong.ts";
import { recorded, Run } from "./linux-tcp.ts";
import { bootWire, finish } from "./tcp-wire.ts";

/** Linux hands several segments down as one: it fills a window that is not a number of segments, or waits for more of them. */
const IN_ONE_PIECE = "segments in one piece";
/** Timers of Linux are some milliseconds late, and more with each that follows another. */
const LATE = "a timer";
/** Where a sequence is not followed any further, and why. */
const DIFFERENT: Readonly<Record<number, readonly [step: number, why: string]>> = Object.freeze({
  0: [21, LATE],
  25: [16, IN_ONE_PIECE],
  34: [21, LATE],
  35: [24, "Linux adds to the sk_buff before, though the next one has the bytes: no D-SACK"],
  43: [25, IN_ONE_PIECE],
  47: [14, LATE],
  56: [6, "Linux takes a byte of the header for an urgent one that was announced right before the segment"],
  62: [25, IN_ONE_PIECE],
  64: [19, LATE],
  87: [31, IN_ONE_PIECE],
  96: [13, IN_ONE_PIECE],
});

test.serial(`${recorded.sequences.length} sequences of calls and segments: what Linux ${recorded.kernel} answers, sends and counts`, (t) => {
  let steps = 0;
  for (const [number, sequence] of recorded.sequences.entries()) {
    bootWire({ buffers: 256, skbs: 512, rcvbufPackets: 128 });
    tcpSetDefaultCongestionControl(initNet, "reno");
    const run = new Run();
    const end = DIFFERENT[number]?.[0] ?? sequence.length;
    for (const [at, step] of sequence.slice(0, end).entries()) {
      const ours = run.step(step[0]);
      steps++;
      if (JSON.stringify(ours) === JSON.stringify(step)) continue;
      t.deepEqual(ours, step, `sequence ${number}, step ${at}: ${JSON.stringify(sequence.slice(0, at + 1).map(([action]) => action))}`);
      return;
    }
    run.end();
    finish(t);
  }
  t.log(`${steps} steps`);
});
