/**
 * The run loop on Node: turns of the stack and of the sketch while there is work, then sleep until the next timer of the
 * stack or until a device calls wake(). An idle board takes no CPU time.
 *
 * One loop per kernel; a second kernel (second-kernel.ts) has a second instance of this module.
 */

/** Turns in a row before Node's own events (sockets, signals) get their chance. */
const TURNS_PER_BURST = 32;
/** Node ends when nothing is pending; a board that only waits for frames goes on. */
const KEEP_ALIVE_MS = 0x7fffffff;
/** Longest delay setTimeout() takes. */
const LONGEST_SLEEP_MS = 0x7fffffff;

export interface Loop {
  /** No turn is run any more; Node may end. */
  stop(): void;
}

/** What the loop drives: a namespace, or anything else with turns. */
export interface Turning {
  /** Does what is due; returns ms until it is needed again, 0 for at once, -1 for never. */
  poll(): number;
}

class NodeLoop implements Loop {
  private readonly net: Turning;
  private readonly step: () => boolean | number;
  private immediate: NodeJS.Immediate | null = null;
  private timer: NodeJS.Timeout | null = null;
  private readonly keepAlive = setInterval(() => undefined, KEEP_ALIVE_MS);
  private running = false;
  private wanted = false;
  private stopped = false;
  private readonly turn = (): void => this.burst();
  /** Not at once but after Node has looked for events: a frame that came during a stall is heard before timers fire. */
  private readonly late = (): void => this.request();

  constructor(net: Turning, step: () => boolean | number) {
    this.net = net;
    this.step = step;
  }

  request(): void {
    this.wanted = true;
    if (this.immediate === null && !this.running && !this.stopped) this.immediate = setImmediate(this.turn);
  }

  private burst(): void {
    this.immediate = null;
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.running = true;
    let delay = 0;
    let busy = true;
    try {
      for (let turns = 0; busy && turns < TURNS_PER_BURST && !this.stopped; turns++) {
        this.wanted = false;
        delay = this.net.poll();
        const result = this.step();
        busy = result === true || delay === 0 || this.wanted;
        if (typeof result === "number" && (delay < 0 || result < delay)) delay = result;
      }
    } finally {
      this.running = false;
    }
    if (this.stopped) return;
    if (busy) this.immediate = setImmediate(this.turn);
    else if (delay > 0) this.timer = setTimeout(this.late, Math.min(delay, LONGEST_SLEEP_MS));
  }

  stop(): void {
    this.stopped = true;
    if (this.immediate !== null) clearImmediate(this.immediate);
    if (this.timer !== null) clearTimeout(this.timer);
    clearInterval(this.keepAlive);
    if (current === this) current = null;
  }
}

let current: NodeLoop | null = null;

/**
 * Starts the loop of this kernel.
 * @param step the sketch's: called after each turn of the stack, again while it answers true (it did work), or after so
 * many ms, at least 1, when it answers a number
 * @throws Error when a loop runs already
 */
export function run(net: Turning, step: () => boolean | number = () => false): Loop {
  if (current !== null) throw new Error("run: a loop runs already; stop it first");
  current = new NodeLoop(net, step);
  current.request();
  return current;
}

/** Has a turn run soon. The platform's wake(); also for Node's callbacks that called into the stack. */
export function requestTurn(): void {
  current?.request();
}
