/**
 * Deferred work: softirqs (after the "interrupt"), tasklets on top of them, and the work queue (outside of them).
 *
 * Linux: kernel/softirq.c, kernel/workqueue.c. A softirq that is raised again while it runs is run again, but at most
 * 10 times in a row; the rest waits for the next turn, where Linux would wake ksoftirqd, so that a flood cannot starve
 * the program. Nodes are static; queueing allocates nothing.
 */
import { account } from "./account.ts";

export const HI_SOFTIRQ = 0;
export const TIMER_SOFTIRQ = 1;
export const NET_TX_SOFTIRQ = 2;
export const NET_RX_SOFTIRQ = 3;
export const TASKLET_SOFTIRQ = 4;
export const NR_SOFTIRQS = 5;

/** How often in a row doSoftirq looks again. */
export const MAX_SOFTIRQ_RESTART = 10;

/** A callback of one argument; a node for a Sock may stand where the queue expects a node for anything. */
type DeferredFn<T> = { bivarianceHack(arg: T): void }["bivarianceHack"];

/** A function to run once in softirq context. Make it once, schedule it at will. */
export class Tasklet<T = unknown> {
  next: Tasklet | null = null;
  scheduled = false;
  fn: DeferredFn<T> | null = null;
  arg: T | null = null;
}

/** A function to run once outside softirq context. */
export class Work<T = unknown> {
  next: Work | null = null;
  pending = false;
  fn: DeferredFn<T> | null = null;
  arg: T | null = null;
}

let actions: (() => void)[];
/** The set of softirqs raised and not yet run, `1 << nr` each; for the turn of the machine, which asks often. */
export let softirqsRaised = 0;
let wakeMachine: (() => void) | null = null;
let taskletFirst: Tasklet | null = null;
let taskletLast: Tasklet | null = null;
/** The first work queued, null for none; for the turn, too. */
export let workFirst: Work | null = null;
let workLast: Work | null = null;
/** The last of the round that runs, null when its end is reached: what is queued meanwhile is behind it. */
let taskletRoundLast: Tasklet | null = null;
let workRoundLast: Work | null = null;

const clz32 = Math.clz32;

/** Forgets all handlers and all that was raised or queued. Boot time. */
export function softirqInit(): void {
  actions = account("softirq", []);
  for (let i = 0; i < NR_SOFTIRQS; i++) actions.push(noAction);
  softirqsRaised = 0;
  wakeMachine = null;
  taskletFirst = null;
  taskletLast = null;
  workFirst = null;
  workLast = null;
  taskletRoundLast = null;
  workRoundLast = null;
  openSoftirq(TASKLET_SOFTIRQ, taskletAction);
}

function noAction(): void {
  // What a softirq does that nobody has opened.
}

/** Sets what a softirq does. Boot time. Linux: open_softirq(). */
export function openSoftirq(nr: number, action: () => void): void {
  actions[nr] = action;
}

/** Sets what is called when the first softirq or work is raised, so that a program asleep has its next turn at once. Boot time. */
export function setSoftirqWake(wake: () => void): void {
  wakeMachine = wake;
}

/** Asks for a softirq to be run at the end of the interrupt or in the next turn. */
export function raiseSoftirq(nr: number): void {
  if (softirqsRaised === 0 && wakeMachine !== null) wakeMachine();
  softirqsRaised |= 1 << nr;
}

/** The set of softirqs raised and not yet run, `1 << nr` each; 0 = none. */
export function softirqPending(): number {
  return softirqsRaised;
}

/**
 * Runs what was raised, lowest number first, and again what was raised meanwhile, at most MAX_SOFTIRQ_RESTART rounds; what is
 * raised then waits for the next turn. Only the turn of the machine calls it, which keeps out who is inside already.
 * @returns whether anything is left
 */
export function doSoftirq(): boolean {
  let rounds = 0;
  while (softirqsRaised !== 0 && rounds++ < MAX_SOFTIRQ_RESTART) {
    let batch = softirqsRaised;
    softirqsRaised = 0;
    do {
      // Most often packets came in and nothing else is raised.
      const nr = batch === 1 << NET_RX_SOFTIRQ ? NET_RX_SOFTIRQ : 31 - clz32(batch & -batch);
      batch &= batch - 1;
      actions[nr]!();
    } while (batch !== 0);
  }
  return softirqsRaised !== 0;
}

/** Says what a tasklet does. It must not be scheduled. Linux: tasklet_setup(). */
export function taskletSetup<T>(tasklet: Tasklet<T>, fn: (arg: T) => void, arg: T): void {
  tasklet.fn = fn;
  tasklet.arg = arg;
}

/** Queues a tasklet; once only, however often it is asked for before it runs. Linux: tasklet_schedule(). */
export function taskletSchedule(tasklet: Tasklet): void {
  if (tasklet.scheduled) return;
  tasklet.scheduled = true;
  tasklet.next = null;
  if (taskletLast === null) taskletFirst = tasklet;
  else taskletLast.next = tasklet;
  taskletLast = tasklet;
  raiseSoftirq(TASKLET_SOFTIRQ);
}

/** Takes a tasklet out of the queue. Returns whether it was scheduled. Linux: tasklet_kill(). */
export function taskletKill(tasklet: Tasklet): boolean {
  if (!tasklet.scheduled) return false;
  let previous: Tasklet | null = null;
  for (let at = taskletFirst; at !== null && at !== tasklet; at = at.next) previous = at;
  if (previous === null) taskletFirst = tasklet.next;
  else previous.next = tasklet.next;
  if (taskletLast === tasklet) taskletLast = previous;
  if (taskletRoundLast === tasklet) taskletRoundLast = previous;
  tasklet.next = null;
  tasklet.scheduled = false;
  return true;
}

/** Runs the tasklets queued now; those that queue themselves again run in the next round. */
function taskletAction(): void {
  // Stays raised for those behind one that throws.
  softirqsRaised |= 1 << TASKLET_SOFTIRQ;
  taskletRoundLast = taskletLast;
  while (taskletRoundLast !== null) {
    const at = taskletFirst!;
    taskletKill(at);
    const fn = at.fn;
    if (fn !== null) fn(at.arg);
  }
  if (taskletFirst === null) softirqsRaised &= ~(1 << TASKLET_SOFTIRQ);
}

/** Says what a piece of work does. It must not be pending. Linux: INIT_WORK(). */
export function workSetup<T>(work: Work<T>, fn: (arg: T) => void, arg: T): void {
  work.fn = fn;
  work.arg = arg;
}

/** Queues work. Returns false when it was queued already. Linux: queue_work(). */
export function queueWork(work: Work): boolean {
  if (work.pending) return false;
  work.pending = true;
  work.next = null;
  if (workFirst === null && wakeMachine !== null) wakeMachine();
  if (workLast === null) workFirst = work;
  else workLast.next = work;
  workLast = work;
  return true;
}

/** Takes work out of the queue. Returns whether it was queued. Linux: cancel_work(). */
export function cancelWork(work: Work): boolean {
  if (!work.pending) return false;
  let previous: Work | null = null;
  for (let at = workFirst; at !== null && at !== work; at = at.next) previous = at;
  if (previous === null) workFirst = work.next;
  else previous.next = work.next;
  if (workLast === work) workLast = previous;
  if (workRoundLast === work) workRoundLast = previous;
  work.next = null;
  work.pending = false;
  return true;
}

/**
 * Runs the work queued now, in order; what is queued meanwhile waits. Returns whether some is left for the next turn.
 */
export function runWorkqueue(): boolean {
  workRoundLast = workLast;
  while (workRoundLast !== null) {
    const at = workFirst!;
    cancelWork(at);
    const fn = at.fn;
    if (fn !== null) fn(at.arg);
  }
  return workFirst !== null;
}
