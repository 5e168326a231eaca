/**
 * What a Moddable board lends the stack: the timer's clock, the random number generator, and a turn when work arrives.
 * The program's loop sets `setWake()`; a driver's interrupt ends up in `wake()`.
 */
import Timer from "timer";
import Time from "time";
import type { Hal } from "../hal.ts";

let onWake: (() => void) | null = null;

/** Sets what is called, from a timer of its own, when work arrived outside a turn. */
export function setWake(wake: (() => void) | null): void {
  onWake = wake;
}

export const platform: Hal = {
  now: () => Time.ticks,
  entropy(into) {
    for (let i = 0; i < into.length; i++) into[i] = (Math.random() * 256) | 0;
  },
  wake() {
    if (onWake !== null) Timer.set(onWake);
  },
};
