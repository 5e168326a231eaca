/**
 * What a bad line does to frames: bandwidth, delay, jitter, loss, duplication, reordering, corruption; the same from the
 * same seed. Linux: net/sched/sch_netem.c. Used by the mock wire and, in real time, in front of a TAP.
 *
 * Jitter keeps the order of frames; only those chosen by `reorder` go ahead of the ones in flight (with a delay), or are
 * held back behind the next ones (without).
 */
import type { Scheduler } from "./schedule.ts";

/** Settings of one direction of a line; what is not given does nothing. */
export interface Impairment {
  /** Probability 0..1 that a frame is lost. */
  readonly loss?: number | undefined;
  /** Time on the way. */
  readonly delayMs?: number | undefined;
  /** The delay is spread evenly over delayMs ± jitterMs. */
  readonly jitterMs?: number | undefined;
  /** Probability that a frame is delivered out of order. */
  readonly reorder?: number | undefined;
  /** Probability that a frame arrives twice. */
  readonly duplicate?: number | undefined;
  /** Probability that one bit of a frame is flipped. */
  readonly corrupt?: number | undefined;
  /** Bandwidth in bits per second; 0 for no limit. Preamble, FCS and gap count (24 bytes per frame). */
  readonly rateBps?: number | undefined;
  /** Frames that may wait for the line at a limited rate. */
  readonly queueFrames?: number | undefined;
  readonly seed?: number | undefined;
}

const DEFAULT_QUEUE_FRAMES = 1000;
/** How far a frame is held back when there is no delay that others could save. */
const HELD_BACK_MS = 1;
/** Preamble 8, frame check sequence 4, gap 12. */
const FRAME_OVERHEAD_BYTES = 24;

const PROBABILITIES = ["loss", "reorder", "duplicate", "corrupt"] as const;
const AMOUNTS = ["delayMs", "jitterMs", "rateBps", "queueFrames"] as const;

/** A generator of 32-bit numbers with a period of 2^32 (a Weyl sequence through a mixer): the same from the same seed. */
export class Prng {
  private state: number;

  constructor(seed: number) {
    this.state = seed | 0;
  }

  /** 0..2^32-1 */
  next(): number {
    this.state = (this.state + 0x9e3779b9) | 0;
    let mixed = this.state;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  }

  /** 0 ≤ x < 1 */
  fraction(): number {
    return this.next() / 0x100000000;
  }

  /** A whole number 0..below-1. */
  below(below: number): number {
    return Math.floor(this.fraction() * below);
  }
}

/**
 * Checks the settings.
 * @throws RangeError naming the one that is wrong, its value and its range
 */
export function checkImpairment(settings: Impairment): void {
  for (const name of PROBABILITIES) {
    const value = settings[name] ?? 0;
    if (!(value >= 0 && value <= 1)) throw new RangeError(`${name} is ${value}; it must be a probability from 0 to 1`);
  }
  for (const name of AMOUNTS) {
    const value = settings[name] ?? 0;
    if (!(value >= 0 && value < Infinity)) throw new RangeError(`${name} is ${value}; it must be 0 or more`);
  }
}

/** What became of the frames of one direction. */
export class LineStats {
  frames = 0;
  lost = 0;
  /** Dropped because too many waited for the line. */
  overflowed = 0;
  duplicated = 0;
  reordered = 0;
  corrupted = 0;
}

/** One direction of a line. */
export class Impairer {
  readonly stats = new LineStats();
  private readonly settings: Impairment;
  private readonly scheduler: Scheduler;
  private readonly deliver: (frame: Uint8Array) => void;
  private readonly random: Prng;
  /** The line is busy with earlier frames until then. */
  private lineFreeMs = -Infinity;
  /** Frames in order arrive no earlier than the last of them. */
  private lastArrivalMs = -Infinity;
  private waiting = 0;

  /** @param salt tells directions with one seed apart */
  constructor(settings: Impairment, scheduler: Scheduler, deliver: (frame: Uint8Array) => void, salt = 0) {
    checkImpairment(settings);
    this.settings = settings;
    this.scheduler = scheduler;
    this.deliver = deliver;
    this.random = new Prng((settings.seed ?? 1) + Math.imul(salt, 0x85ebca6b));
  }

  private chosen(probability: number | undefined): boolean {
    return probability !== undefined && probability > 0 && this.random.fraction() < probability;
  }

  /**
   * Sends a frame, which is the line's from then on.
   * @returns the time in ms at which the line has taken the last bit of it and the sender may forget it
   */
  send(frame: Uint8Array): number {
    const { settings, stats } = this;
    const now = this.scheduler.timeMs();
    stats.frames++;
    const rate = settings.rateBps ?? 0;
    let departure = now;
    if (rate > 0) {
      if (this.waiting >= (settings.queueFrames ?? DEFAULT_QUEUE_FRAMES)) {
        stats.overflowed++;
        return now;
      }
      departure = Math.max(now, this.lineFreeMs) + ((frame.length + FRAME_OVERHEAD_BYTES) * 8000) / rate;
      this.lineFreeMs = departure;
      this.waiting++;
      this.scheduler.at(departure, () => this.waiting--);
    }
    if (this.chosen(settings.loss)) {
      stats.lost++;
      return departure;
    }
    this.propagate(frame, departure);
    if (this.chosen(settings.duplicate)) {
      stats.duplicated++;
      this.propagate(frame.slice(), departure);
    }
    return departure;
  }

  private propagate(sent: Uint8Array, departure: number): void {
    const { settings, stats } = this;
    let frame = sent;
    if (this.chosen(settings.corrupt)) {
      stats.corrupted++;
      frame = sent.slice();
      const bit = this.random.below(frame.length * 8);
      frame[bit >> 3]! ^= 1 << (bit & 7);
    }
    const delay = settings.delayMs ?? 0;
    const jitter = settings.jitterMs ?? 0;
    let arrival = departure + (jitter > 0 ? Math.max(0, delay + (2 * this.random.fraction() - 1) * jitter) : delay);
    if (this.chosen(settings.reorder)) {
      stats.reordered++;
      arrival = delay > 0 ? departure : Math.max(arrival, this.lastArrivalMs) + HELD_BACK_MS;
    } else {
      arrival = Math.max(arrival, this.lastArrivalMs);
      this.lastArrivalMs = arrival;
    }
    if (arrival <= this.scheduler.timeMs()) this.deliver(frame);
    else this.scheduler.at(arrival, () => this.deliver(frame));
  }
}
