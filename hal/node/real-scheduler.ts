/** The scheduler over real time that the wire and the simulated chip use on Node. */
import { EventQueue, type Scheduler } from "../mock/schedule.ts";

/** Node's timers count whole milliseconds and may be late by one: the last one is waited for in turns of the event loop. */
const TIMER_GRAIN_MS = 1;

/** Real time: Node's clock, one of its timers, and turns of its loop when it is about to happen. */
export class RealScheduler implements Scheduler {
  private readonly queue = new EventQueue();
  private timer: NodeJS.Timeout | null = null;
  private immediate: NodeJS.Immediate | null = null;
  private timerMs = Infinity;
  private readonly due = (): void => this.fire();

  timeMs(): number {
    return performance.now();
  }

  at(timeMs: number, run: () => void): void {
    this.queue.push(timeMs, run);
    if (timeMs < this.timerMs) this.arm();
  }

  private arm(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    if (this.immediate !== null) clearImmediate(this.immediate);
    this.timer = null;
    this.immediate = null;
    const { nextMs } = this.queue;
    this.timerMs = nextMs;
    if (nextMs === Infinity) return;
    const wait = nextMs - performance.now() - TIMER_GRAIN_MS;
    if (wait < TIMER_GRAIN_MS) this.immediate = setImmediate(this.due);
    else this.timer = setTimeout(this.due, wait);
  }

  private fire(): void {
    this.timerMs = -Infinity;
    const now = performance.now();
    while (this.queue.runNext(now));
    this.arm();
  }
}
