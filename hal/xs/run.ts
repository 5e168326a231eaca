/**
 * The run loop on a board: turns of the stack and of the sketch while there is work, then one timer of the SDK until the
 * stack's next own timer, or until a driver's interrupt wakes it. hal/node/run.ts is the same for Node.
 *
 * The timer is made once. It has to repeat, since the SDK frees a timer that has fired for the last time: what is scheduled
 * is its next time, and a repetition that never comes about. Nothing is allocated from turn to turn.
 */
import Timer from "timer";
import { setWake } from "./platform.ts";

/** Turns in a row before the board's other timers and messages get their chance. */
const TURNS_PER_BURST = 16;
/** The SDK's timers take an int32 of ms; a stack with nothing to do looks at the clock once a day. */
const LONGEST_SLEEP_MS = 86_400_000;

/** What the loop drives: a namespace, or anything else with turns. */
export interface Turning {
  /** Does what is due; returns ms until it is needed again, 0 for at once, -1 for never. */
  poll(): number;
}

export interface Loop {
  /** No turn is run any more; another loop may take its place. */
  stop(): void;
}

let running = false;

/**
 * Starts the loop.
 * @param step the sketch's: called after each turn of the stack, again while it answers true (it did work), or after so
 * many ms, at least 1, when it answers a number
 * @throws Error when a loop runs already
 */
export function run(net: Turning, step: () => boolean | number = () => false): Loop {
  if (running) throw new Error("run: a loop runs already; stop it first");
  running = true;
  let stopped = false;
  let inTurn = false;
  let wanted = false;

  /** The next turn in so many ms. Inside the timer's own call the SDK wants both times alike. */
  function sleep(ms: number): void {
    const next = ms < 0 || ms > LONGEST_SLEEP_MS ? LONGEST_SLEEP_MS : ms === 0 ? 1 : ms;
    Timer.schedule(timer, next, next);
  }

  function burst(): void {
    inTurn = true;
    let delay = 0;
    let busy = true;
    try {
      for (let turns = 0; busy && turns < TURNS_PER_BURST && !stopped; turns++) {
        wanted = false;
        delay = net.poll();
        const result = step();
        busy = result === true || delay === 0 || wanted;
        if (typeof result === "number" && (delay < 0 || result < delay)) delay = result;
      }
    } finally {
      inTurn = false;
      if (!stopped) sleep(busy ? 0 : delay);
    }
  }

  const timer = Timer.set(burst, 0, LONGEST_SLEEP_MS);
  setWake(() => {
    if (!wanted && !inTurn) Timer.schedule(timer, 0, LONGEST_SLEEP_MS);
    wanted = true;
  });
  return {
    stop() {
      if (stopped) return;
      stopped = true;
      running = false;
      setWake(null);
      Timer.clear(timer);
    },
  };
}
