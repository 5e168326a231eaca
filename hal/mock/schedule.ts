/**
 * What is to happen when: a queue of events in order of time, and the scheduler over real time that the wire uses on Node.
 * The virtual one is clock.ts. This is host-side code: it may allocate.
 */

/** Runs functions at times. Times are in ms, with fractions. */
export interface Scheduler {
  timeMs(): number;
  /** Runs the function at that time, or at once (after what runs now) when it has passed. Equal times keep their order. */
  at(timeMs: number, run: () => void): void;
}

interface Entry {
  readonly timeMs: number;
  readonly order: number;
  readonly run: () => void;
}

function before(a: Entry, b: Entry): boolean {
  return a.timeMs < b.timeMs || (a.timeMs === b.timeMs && a.order < b.order);
}

/** A binary heap of events. */
export class EventQueue {
  private readonly heap: Entry[] = [];
  private order = 0;

  /** Time of the first event, or Infinity. */
  get nextMs(): number {
    return this.heap[0]?.timeMs ?? Infinity;
  }

  push(timeMs: number, run: () => void): void {
    const { heap } = this;
    const entry = { timeMs, order: this.order++, run };
    let at = heap.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(entry, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = entry;
  }

  /** Runs the first event if it is due; whether it was. */
  runNext(nowMs: number): boolean {
    const { heap } = this;
    const first = heap[0];
    if (first === undefined || first.timeMs > nowMs) return false;
    const last = heap.pop()!;
    if (last !== first) {
      let at = 0;
      for (let child = 1; child < heap.length; child = 2 * at + 1) {
        if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
        if (!before(heap[child]!, last)) break;
        heap[at] = heap[child]!;
        at = child;
      }
      heap[at] = last;
    }
    first.run();
    return true;
  }
}

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
