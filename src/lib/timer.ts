/**
 * The clock and the timers: jiffies of 1 ms, and a hierarchical wheel with static nodes.
 *
 * Linux: kernel/time/timer.c (mod_timer, del_timer, the wheel before 4.8, which like this one is exact). Read first:
 * Varghese and Lauck, "Hashed and Hierarchical Timing Wheels" (1987).
 *
 * Twelve levels of 4 slots and an overflow list, 49 heads in all: few, as each costs RAM, and a timer that is moved
 * before it is near, as most are, never sees the lower levels. A timer lies on the level of the highest digit to the
 * base of 4 in which its expiry differs from the wheel's time, in the slot of that digit. Hence every timer on a lower
 * level is due before every one on a higher level, a slot of the lowest level holds one single millisecond, and
 * finding what is next takes two looks at bit masks, however far the clock has jumped. When the wheel's time enters a
 * slot of a higher level, its timers move to lower ones. Timers of the same expiry fire in the order in which they
 * were armed.
 *
 * Times are signed int32 and wrap; a timer may be set up to 2^31 - 1 ms ahead.
 */
import { account } from "./account.ts";

const LEVELS = 12;
/** Level of what is more than the wheel's 4^12 ms away, and its only slot. */
const OVERFLOW = LEVELS;
const OVERFLOW_SLOT = LEVELS * 4;
/** log2 of the time the wheel spans. */
const WHEEL_SHIFT = LEVELS * 2;
const NO_SLOT = -1;
/** Longest step of the clock in one go, so that wheel time and expiry never lie 2^32 apart. */
const MAX_STEP = 0x40000000;
/** How far back a clock may seem to go: four hours. More is a clock that nobody read for more than 2^31 ms (25 days). */
const MAX_BACKWARDS = 1 << 24;

const clz32 = Math.clz32;

/** A callback of one argument; a Timer<Sock> may stand where the wheel expects a Timer<unknown>. */
type TimerFn<T> = { bivarianceHack(arg: T): void }["bivarianceHack"];

/** A timer node; make it once, as a part of what it times. */
export class Timer<T = unknown> {
  /** When it is due, in jiffies; meaningful while pending. */
  expires = 0;
  next: Timer | null = null;
  prev: Timer | null = null;
  /** Where in the wheel; NO_SLOT = not pending. */
  slot = NO_SLOT;
  fn: TimerFn<T> | null = null;
  arg: T | null = null;
}

/** The time in ms, int32, wrapping; it moves only in `runTimers`. */
export let jiffies = 0;

/** First timer of each slot; rings without a head, so that `first.prev` is the last. */
let slots: (Timer | null)[];
/** For each level, which of its slots hold timers. */
let slotBits: Uint8Array;
/** Which levels hold timers. */
let levelBits = 0;
/** The time the wheel stands at; not after `jiffies`. */
let wheelTime = 0;
/** The earliest expiry, if known. */
let nextKnown = false;
let nextExpires = 0;

/** Is time `a` before `b`? */
export function timeBefore(a: number, b: number): boolean {
  return ((a - b) | 0) < 0;
}

/** Is time `a` after `b`? */
export function timeAfter(a: number, b: number): boolean {
  return ((b - a) | 0) < 0;
}

/** Empties the wheel and sets the clock. Boot time; timers armed before are forgotten and must be made anew. */
export function timersInit(now: number): void {
  jiffies = now | 0;
  wheelTime = jiffies;
  slots = account("timer_wheel", []);
  for (let i = 0; i <= OVERFLOW_SLOT; i++) slots.push(null);
  slotBits = account("timer_wheel", new Uint8Array(LEVELS));
  levelBits = 0;
  nextKnown = false;
}

/** Says what a timer does. It must not be pending. Linux: timer_setup(). */
export function timerSetup<T>(timer: Timer<T>, fn: (arg: T) => void, arg: T): void {
  timer.fn = fn;
  timer.arg = arg;
}

/** Is the timer armed? False while its callback runs, unless that armed it again. */
export function timerPending(timer: Timer): boolean {
  return timer.slot !== NO_SLOT;
}

/**
 * Arms a timer, or moves it when it is armed already. A time not after `jiffies` counts as the next tick.
 * @param expires when, in jiffies
 * @returns whether it was pending before. Linux: mod_timer()
 */
export function modTimer(timer: Timer, expires: number): boolean {
  expires |= 0;
  if (((expires - jiffies) | 0) <= 0) expires = (jiffies + 1) | 0;
  const pending = timer.slot !== NO_SLOT;
  if (pending) {
    if (timer.expires === expires) return true;
    unlink(timer);
  }
  timer.expires = expires;
  link(timer);
  if (nextKnown && ((expires - nextExpires) | 0) < 0) nextExpires = expires;
  return pending;
}

/** Disarms a timer. Returns whether it was pending. Linux: del_timer(). */
export function delTimer(timer: Timer): boolean {
  if (timer.slot === NO_SLOT) return false;
  unlink(timer);
  return true;
}

/**
 * Moves the clock without firing anything yet: for the work that comes before the timers. Steps that only runTimers() can
 * judge (backwards, or of weeks) are left to it.
 * @returns whether runTimers() is wanted in this turn: a timer may be due, or the clock was left alone
 */
export function tick(now: number): boolean {
  const step = (now - jiffies) | 0;
  if (step < 0 || step >= MAX_STEP >> 1) return true;
  jiffies = now;
  // Nothing due and the wheel not too far behind: by far the most frequent case.
  return !nextKnown || ((nextExpires - now) | 0) <= 0 || ((now - wheelTime) | 0) >= MAX_STEP >> 1;
}

/**
 * Moves the clock to `now` and fires what is due, in order of expiry. Callbacks see `jiffies === now` and may arm and
 * disarm any timer; what they arm fires in a later call. A clock that seems to go backwards a little is ignored; one that nobody
 * read for weeks, as when nothing was armed and no packet came, has gone forwards.
 */
export function runTimers(now: number): void {
  let step = (now - jiffies) | 0;
  if (step < 0 && step > -MAX_BACKWARDS) return;
  for (; step < 0 || step > MAX_STEP; step = (now - jiffies) | 0) advance((jiffies + MAX_STEP) | 0);
  advance(now | 0);
}

/** Milliseconds from `jiffies` until the earliest timer is due; -1 when none is armed. Exact. */
export function nextTimerDelay(): number {
  if (levelBits === 0) return -1;
  if (!nextKnown) {
    nextExpires = findEarliest();
    nextKnown = true;
  }
  const delay = (nextExpires - jiffies) | 0;
  return delay < 0 ? 0 : delay;
}

/** Puts a timer into its slot, behind those already there. */
function link(timer: Timer): void {
  const expires = timer.expires;
  const differ = expires ^ wheelTime;
  let level = 0;
  let slot: number;
  if (differ >>> WHEEL_SHIFT !== 0) {
    level = OVERFLOW;
    slot = OVERFLOW_SLOT;
  } else {
    level = differ === 0 ? 0 : (31 - clz32(differ)) >> 1;
    const digit = (expires >> (level << 1)) & 3;
    slot = (level << 2) | digit;
    slotBits[level] = slotBits[level]! | (1 << digit);
  }
  levelBits |= 1 << level;
  timer.slot = slot;
  const first = slots[slot] as Timer | null;
  if (first === null) {
    timer.next = timer;
    timer.prev = timer;
    slots[slot] = timer;
  } else {
    const last = first.prev!;
    timer.next = first;
    timer.prev = last;
    last.next = timer;
    first.prev = timer;
  }
}

/** Takes a pending timer out of its slot. */
function unlink(timer: Timer): void {
  const slot = timer.slot;
  const next = timer.next!;
  if (next === timer) {
    slots[slot] = null;
    emptySlot(slot);
  } else {
    const prev = timer.prev!;
    next.prev = prev;
    prev.next = next;
    if (slots[slot] === timer) slots[slot] = next;
  }
  timer.next = null;
  timer.prev = null;
  timer.slot = NO_SLOT;
  if (timer.expires === nextExpires) nextKnown = false;
}

/** Clears the bits of a slot that has become empty. */
function emptySlot(slot: number): void {
  const level = slot >> 2;
  if (level < OVERFLOW) {
    const bits = slotBits[level]! & ~(1 << (slot & 3));
    slotBits[level] = bits;
    if (bits !== 0) return;
  }
  levelBits &= ~(1 << level);
}

/** Index of the lowest bit set. */
function lowestBit(bits: number): number {
  return 31 - clz32(bits & -bits);
}

/** When the first occupied slot of a level begins, which for the lowest level is when its timers are due. */
function slotStart(level: number, digit: number): number {
  if (level === OVERFLOW) return (((wheelTime >> WHEEL_SHIFT) + 1) << WHEEL_SHIFT) | 0;
  const shift = level << 1;
  return (wheelTime & (-4 << shift)) | (digit << shift);
}

/** One step of the clock. */
function advance(now: number): void {
  jiffies = now;
  while (levelBits !== 0) {
    const level = lowestBit(levelBits);
    const digit = level === OVERFLOW ? 0 : lowestBit(slotBits[level]!);
    const start = slotStart(level, digit);
    // A callback may itself have moved the clock on, so it is read anew.
    if (((start - jiffies) | 0) > 0) break;
    wheelTime = start;
    const slot = (level << 2) | digit;
    if (level === 0) fireSlot(slot);
    else cascade(slot);
  }
  wheelTime = jiffies;
}

/** Fires every timer of a slot of the lowest level. What callbacks arm is later and lands in other slots. */
function fireSlot(slot: number): void {
  for (;;) {
    const timer = slots[slot] as Timer | null;
    if (timer === null) return;
    unlink(timer);
    const fn = timer.fn;
    if (fn !== null) fn(timer.arg);
  }
}

/** Moves the timers of a slot that the wheel's time has entered to where they belong now. */
function cascade(slot: number): void {
  const first = slots[slot]!;
  slots[slot] = null;
  emptySlot(slot);
  const last = first.prev!;
  let timer: Timer = first;
  for (;;) {
    const next = timer.next!;
    link(timer);
    if (timer === last) return;
    timer = next;
  }
}

/** The earliest expiry of all; there is at least one timer. */
function findEarliest(): number {
  const level = lowestBit(levelBits);
  const digit = level === OVERFLOW ? 0 : lowestBit(slotBits[level]!);
  if (level === 0) return slotStart(0, digit);
  const first = slots[(level << 2) | digit]!;
  let earliest = first.expires;
  for (let timer = first.next!; timer !== first; timer = timer.next!) {
    if (((timer.expires - earliest) | 0) < 0) earliest = timer.expires;
  }
  return earliest;
}
