/**
 * Notifier chains: who wants to hear of an event, in order of priority (Linux: kernel/notifier.c).
 */

/** Not interested. */
export const NOTIFY_DONE = 0x0000;
/** Fine. */
export const NOTIFY_OK = 0x0001;
/** Bit of an answer: do not call the rest. */
export const NOTIFY_STOP_MASK = 0x8000;
/** A veto. */
export const NOTIFY_BAD = 0x8002;
/** Fine, and do not call the rest. */
export const NOTIFY_STOP = 0x8001;

/** One listener. Make it once; it can be on one chain. */
export class NotifierBlock<S> {
  /** Called with the event's number and what it is about; answers NOTIFY_*. */
  call: (event: number, subject: S) => number;
  next: NotifierBlock<S> | null = null;
  /** Higher ones are called first, equal ones in order of registration. */
  readonly priority: number;

  constructor(call: (event: number, subject: S) => number, priority = 0) {
    this.call = call;
    this.priority = priority;
  }
}

/** A chain of listeners to events about subjects of type S. */
export class NotifierChain<S> {
  first: NotifierBlock<S> | null = null;
}

/** Adds a listener. Returns false when it is on the chain already. Linux: raw_notifier_chain_register(). */
export function notifierChainRegister<S>(chain: NotifierChain<S>, block: NotifierBlock<S>): boolean {
  let previous: NotifierBlock<S> | null = null;
  for (let at = chain.first; at !== null; at = at.next) {
    if (at === block) return false;
    if (at.priority >= block.priority) previous = at;
  }
  if (previous === null) {
    block.next = chain.first;
    chain.first = block;
  } else {
    block.next = previous.next;
    previous.next = block;
  }
  return true;
}

/** Removes a listener. Returns false when it is not on the chain. Linux: raw_notifier_chain_unregister(). */
export function notifierChainUnregister<S>(chain: NotifierChain<S>, block: NotifierBlock<S>): boolean {
  let previous: NotifierBlock<S> | null = null;
  for (let at = chain.first; at !== null; at = at.next) {
    if (at === block) {
      if (previous === null) chain.first = at.next;
      else previous.next = at.next;
      at.next = null;
      return true;
    }
    previous = at;
  }
  return false;
}

/**
 * Tells every listener, until one answers with NOTIFY_STOP_MASK. A listener may remove itself.
 * @returns the last answer; NOTIFY_DONE when nobody listens. Linux: raw_notifier_call_chain()
 */
export function notifierChainCall<S>(chain: NotifierChain<S>, event: number, subject: S): number {
  let answer = NOTIFY_DONE;
  let block = chain.first;
  while (block !== null) {
    const next: NotifierBlock<S> | null = block.next;
    answer = block.call(event, subject);
    if ((answer & NOTIFY_STOP_MASK) !== 0) break;
    block = next;
  }
  return answer;
}

/** The answer that stops the chain with a negative errno; NOTIFY_OK for 0. Linux: notifier_from_errno(). */
export function notifierFromErrno(error: number): number {
  return error === 0 ? NOTIFY_OK : NOTIFY_STOP_MASK | (NOTIFY_OK - error);
}

/** The negative errno in an answer, or 0. Linux: notifier_to_errno(). */
export function notifierToErrno(answer: number): number {
  const code = answer & ~NOTIFY_STOP_MASK;
  return code > NOTIFY_OK ? NOTIFY_OK - code : 0;
}
