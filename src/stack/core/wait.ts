/**
 * Wait queues: who wants to hear that a socket became ready. Linux: include/linux/wait.h. Nothing blocks here, so an
 * entry is always a callback (epoll's, or the ECMA-419 edge's); it is static and belongs to whoever waits.
 */

/** Who needs to know more than that extends it: the callback is given the entry. */
export class WaitQueueEntry {
  next: WaitQueueEntry | null = null;
  /** Called with the EPOLL* bits that may have become true. It must not sleep, and may remove itself. */
  func: (entry: WaitQueueEntry, events: number) => void = ignoreWakeUp;
}

/** What can be waited for: sockets and epoll instances are heads themselves. */
export class WaitQueueHead {
  first: WaitQueueEntry | null = null;
}

function ignoreWakeUp(): void {
  // An entry that nobody set up yet hears nothing.
}

export function addWaitQueue(head: WaitQueueHead, entry: WaitQueueEntry): void {
  entry.next = head.first;
  head.first = entry;
}

export function removeWaitQueue(head: WaitQueueHead, entry: WaitQueueEntry): void {
  let previous: WaitQueueEntry | null = null;
  for (let at = head.first; at !== null; at = at.next) {
    if (at === entry) {
      if (previous === null) head.first = at.next;
      else previous.next = at.next;
      at.next = null;
      return;
    }
    previous = at;
  }
}

/** Tells every waiter. Linux: wake_up_interruptible_poll(). */
export function wakeUp(head: WaitQueueHead, events: number): void {
  let entry = head.first;
  while (entry !== null) {
    const next = entry.next;
    entry.func(entry, events);
    entry = next;
  }
}
