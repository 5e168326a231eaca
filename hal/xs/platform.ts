/**
 * What a Moddable board lends the stack: the timer's clock, the random number generator, and a turn when work arrives.
 * The run loop (run.ts) sets `setWake()`; a driver's interrupt ends up in `wake()`.
 */
import Time from "time";
import type { Hal } from "../hal.ts";

let onWake: (() => void) | null = null;

/** Sets what is called when work arrived outside a turn; it must not turn the stack itself. */
export function setWake(wake: (() => void) | null): void {
  onWake = wake;
}

export const platform: Hal = Object.freeze<Hal>({
  now: () => Time.ticks,
  entropy(into) {
    for (let i = 0; i < into.length; i++) into[i] = (Math.random() * 256) | 0;
  },
  wake() {
    if (onWake !== null) onWake();
  },
});
