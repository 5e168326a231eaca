/**
 * What is to happen when: a queue of events in order of time, and what a scheduler is. The virtual one is clock.ts, that over
 * real time on Node hal/node/real-scheduler.ts. This is host-side code: it may allocate.
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
