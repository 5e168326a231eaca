/** The scheduler of the simulated chip in a program of the SDK: Linux's clock and one of the SDK's timers. */
import Timer from "timer";
import { EventQueue, type Scheduler } from "../mock/schedule.ts";

/** The SDK's timers take an int32 of ms. */
const LONGEST_WAIT_MS = 86_400_000;

export class TimerScheduler implements Scheduler {
  private readonly queue = new EventQueue();
  private readonly clock: () => number;
  private readonly timer: Timer;
  private timerMs = Infinity;
  private firing = false;

  /** @param clock ms with fractions */
  constructor(clock: () => number) {
    this.clock = clock;
    this.timer = Timer.set(() => this.fire(), LONGEST_WAIT_MS, LONGEST_WAIT_MS);
  }

  timeMs(): number {
    return this.clock();
  }

  at(timeMs: number, run: () => void): void {
    this.queue.push(timeMs, run);
    if (timeMs < this.timerMs && !this.firing) this.arm(0);
  }

  /** @param least ms; inside the timer's own call the SDK wants both times alike, and not 0 */
  private arm(least: 0 | 1): void {
    const { nextMs } = this.queue;
    this.timerMs = nextMs;
    const wait = Math.max(least, Math.min(LONGEST_WAIT_MS, Math.ceil(nextMs - this.clock())));
    Timer.schedule(this.timer, wait, wait === 0 ? LONGEST_WAIT_MS : wait);
  }

  private fire(): void {
    this.firing = true;
    const now = this.clock();
    while (this.queue.runNext(now));
    this.firing = false;
    this.arm(1);
  }
}
