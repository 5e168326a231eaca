/**
 * One turn of the machine the stack runs on: the clock is read, what arrived is taken in, timers that are due fire, softirqs
 * run, then deferred work. Linux: the tick, irq_exit() and the worker thread, in the one thread there is.
 */
import type { Hal } from "../hal/hal.ts";
import { setMemoryHooks } from "./lib/memory.ts";
import { RANDOM_WORDS, randomInit } from "./lib/random.ts";
import { doSoftirq, runWorkqueue, setSoftirqWake, softirqInit, softirqsRaised, workFirst } from "./lib/softirq.ts";
import { nextTimerDelay, runTimers, tick, timersInit, WHEEL_WORDS } from "./lib/timer.ts";

/** Bytes asked of the platform for the generator's key. */
const SEED_BYTES = 32;
/** Words that the tables below take. */
export const KERNEL_WORDS = RANDOM_WORDS + WHEEL_WORDS;

let machine: Hal;
let inTurn = false;

/** Takes what the platform lends: clock, randomness, wake-up, native helpers. First of all initcalls. */
export function kernelInit(hal: Hal): void {
  machine = hal;
  inTurn = false;
  timersInit(hal.now() | 0);
  softirqInit();
  setSoftirqWake(() => {
    if (!inTurn) machine.wake();
  });
  setMemoryHooks(hal.checksum ?? null, hal.copy ?? null);
  const seed = new Uint8Array(SEED_BYTES);
  hal.entropy(seed);
  randomInit(seed);
}

/**
 * Does what is due now. A call from inside a turn (from a callback) does nothing.
 * @returns milliseconds until the next turn is needed: 0 at once, -1 only when a device or the program wakes the stack
 */
export function kernelPoll(): number {
  if (inTurn) return 0;
  inTurn = true;
  try {
    const now = machine.now() | 0;
    const due = tick(now);
    // What has arrived is heard before timers fire: after a stall (a busy program, a garbage collection) the
    // acknowledgment in the ring must not be overtaken by the retransmission it makes needless.
    if (softirqsRaised !== 0) doSoftirq();
    if (due) runTimers(now);
    if (softirqsRaised !== 0) doSoftirq();
    if (workFirst !== null) runWorkqueue();
    return softirqsRaised !== 0 || workFirst !== null ? 0 : nextTimerDelay();
  } finally {
    inTurn = false;
  }
}
