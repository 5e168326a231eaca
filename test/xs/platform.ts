/** The XS test's machine: time and randomness come from the host's messages, so that every run is the same. */
import type { Hal } from "../../hal/hal.ts";

let now = 0;
let seed = 1;

/** Sets the guest's clock, in ms. */
export function setNow(ms: number): void {
  now = ms;
}

export function advanceNow(ms: number): void {
  now += ms;
}

export const platform: Hal = {
  now: () => now,
  entropy(into) {
    for (let i = 0; i < into.length; i++) {
      seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
      into[i] = seed >>> 24;
    }
  },
  wake() {
    // The host delivers the next message when it likes; nothing sleeps here.
  },
};
