/**
 * The simulated board's pins: an ECMA-419 Digital class with the chip's INT on one pin and its RESET on another. Callbacks
 * come from the scheduler, never while a program runs; edges that come before the callback has run are one.
 */
import type { Chip } from "./chip.ts";

export interface DigitalOptions {
  readonly pin: unknown;
  readonly mode: number;
  readonly edge?: number | undefined;
  readonly onReadable?: ((this: Digital) => void) | null | undefined;
  readonly initialValue?: number | undefined;
  readonly format?: string;
}

/** An instance of the standard's Digital class, as a program has it. */
export interface Digital {
  read(): number;
  write(value: number): void;
  close(): void;
}

export interface DigitalClass {
  new (options: DigitalOptions): Digital;
  readonly Input: number;
  readonly InputPullUp: number;
  readonly InputPullDown: number;
  readonly Output: number;
  readonly OutputOpenDrain: number;
  readonly Rising: number;
  readonly Falling: number;
}

/** Where the chip's pins are wired to; a pin of another number floats high and never changes. */
export interface Wiring {
  readonly interrupt: number;
  readonly reset: number;
}

const FALLING = 2;
const RISING = 1;
const FIRST_OUTPUT = 8;

/** The Digital class of a board that the chip is wired to. */
export function createDigitalClass(chip: Chip, wiring: Wiring): DigitalClass {
  const taken = new Set<unknown>();
  return class SimulatedDigital implements Digital {
    static readonly Input = 0;
    static readonly InputPullUp = 1;
    static readonly InputPullDown = 2;
    static readonly Output = FIRST_OUTPUT;
    static readonly OutputOpenDrain = 9;
    static readonly Rising = RISING;
    static readonly Falling = FALLING;
    private readonly pin: unknown;
    private readonly output: boolean;
    private closed = false;
    private pending = false;

    constructor(options: DigitalOptions) {
      const { pin, mode, edge = 0, onReadable = null, initialValue } = options;
      if (pin === undefined) throw new TypeError("Digital: no pin");
      if (!Number.isInteger(mode)) throw new RangeError(`Digital: mode is ${mode}`);
      if (onReadable !== null && edge === 0) throw new TypeError("Digital: onReadable without edge");
      if (taken.has(pin)) throw new Error(`Digital: pin ${String(pin)} is in use`);
      taken.add(pin);
      this.pin = pin;
      this.output = mode >= FIRST_OUTPUT;
      if (pin === wiring.interrupt && onReadable !== null) {
        chip.onInterrupt = (level) => {
          if ((edge & (level === 0 ? FALLING : RISING)) === 0 || this.pending) return;
          this.pending = true;
          chip.scheduler.at(chip.now(), () => {
            this.pending = false;
            if (!this.closed) onReadable.call(this);
          });
        };
      }
      if (this.output && initialValue !== undefined) this.write(initialValue);
    }

    read(): number {
      if (this.closed || this.output) throw new Error("Digital: not readable");
      if (this.pin !== wiring.interrupt) return 1;
      chip.sync();
      return chip.pin();
    }

    write(value: number): void {
      if (this.closed || !this.output) throw new Error("Digital: not writable");
      if (this.pin === wiring.reset && value === 0) chip.hardReset();
    }

    close(): void {
      if (this.closed) return;
      this.closed = true;
      taken.delete(this.pin);
      if (this.pin === wiring.interrupt) chip.onInterrupt = () => undefined;
    }
  };
}
