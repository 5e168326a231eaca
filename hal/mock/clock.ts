/**
 * A virtual machine for the stack: time that jumps from one event to the next (hours in seconds), randomness from a seed.
 * Drives kernels, sketches and the wire's events in order of time, all in one thread; the same seed gives the same run.
 */
import type { Hal } from "../hal.ts";
import { Prng } from "./impair.ts";
import { EventQueue, type Scheduler } from "./schedule.ts";

/** Turns at one instant after which something is taken to run in circles. */
const LIVELOCK_TURNS = 100_000;
/** Longest virtual time runUntil() waits when nothing else is said: two hours. */
const DEFAULT_LIMIT_MS = 7_200_000;

export interface Turning {
  poll(): number;
}

export class VirtualClock implements Hal, Scheduler {
  private time: number;
  private readonly queue = new EventQueue();
  private readonly random: Prng;
  private readonly kernels: Turning[] = [];
  private readonly steps: (() => boolean)[] = [];
  private woken = false;

  constructor(seed = 1, startMs = 0) {
    this.time = startMs;
    this.random = new Prng(seed);
  }

  /** Whole ms, for the stack. */
  now(): number {
    return Math.floor(this.time);
  }

  timeMs(): number {
    return this.time;
  }

  entropy(into: Uint8Array): void {
    for (let i = 0; i < into.length; i++) into[i] = this.random.below(256);
  }

  wake(): void {
    this.woken = true;
  }

  at(timeMs: number, run: () => void): void {
    this.queue.push(timeMs, run);
  }

  /** From now on this kernel gets its turns. */
  drive(kernel: Turning): void {
    this.kernels.push(kernel);
  }

  /** A sketch: its step function is called after each turn, again while it answers true. */
  addStep(step: () => boolean): void {
    this.steps.push(step);
  }

  removeStep(step: () => boolean): void {
    const at = this.steps.indexOf(step);
    if (at >= 0) this.steps.splice(at, 1);
  }

  /** Does all that is due at this instant; returns the time of what comes next, Infinity when nothing does. */
  private settle(): number {
    for (let turns = 0; turns < LIVELOCK_TURNS; turns++) {
      while (this.queue.runNext(this.time));
      this.woken = false;
      let next = Infinity;
      let busy = false;
      for (const kernel of this.kernels) {
        const delay = kernel.poll();
        if (delay === 0) busy = true;
        else if (delay > 0) next = Math.min(next, this.now() + delay);
      }
      for (const step of this.steps) if (step()) busy = true;
      if (!busy && !this.woken && this.queue.nextMs > this.time) return Math.min(next, this.queue.nextMs);
    }
    throw new Error(`virtual clock: ${LIVELOCK_TURNS} turns at ${this.time} ms and still work to do`);
  }

  /** Lets `ms` pass. */
  runFor(ms: number): void {
    this.advance(this.time + ms, () => false);
  }

  /** Lets time pass until the condition holds; false when it did not within `limitMs`. */
  runUntil(condition: () => boolean, limitMs = DEFAULT_LIMIT_MS): boolean {
    return this.advance(this.time + limitMs, condition);
  }

  private advance(endMs: number, condition: () => boolean): boolean {
    for (;;) {
      const next = this.settle();
      if (condition()) return true;
      if (next > endMs || this.time >= endMs) break;
      this.time = next;
    }
    if (this.time < endMs) {
      this.time = endMs;
      this.settle();
    }
    return condition();
  }
}
