/**
 * The clock and the timers: jiffies of 1 ms, and a hierarchical wheel whose timers are rows of words.
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
import { words, wordTable } from "./table.ts";

const LEVELS = 12;
/** Level of what is more than the wheel's 4^12 ms away, and its only slot. */
const OVERFLOW = LEVELS;
const OVERFLOW_SLOT = LEVELS * 4;
/** log2 of the time the wheel spans. */
const WHEEL_SHIFT = LEVELS * 2;
const NO_SLOT = 0xff;
/** Longest step of the clock in one go, so that wheel time and expiry never lie 2^32 apart. */
const MAX_STEP = 0x40000000;
/** How far back a clock may seem to go: four hours. More is a clock that nobody read for more than 2^31 ms (25 days). */
const MAX_BACKWARDS = 1 << 24;

const clz32 = Math.clz32;

/*
 * A timer is the offset of its row in `words`:
 *
 *     word 0 when it is due, meaningful while pending | 1 next and 2 previous timer of its slot
 *     word 3 its argument in bits 16..31, number of its function in 8..15, its slot in 0..7 (NO_SLOT: not pending)
 */
export const TIMER_WORDS = 4;
const EXPIRES = 0;
const NEXT = 1;
const PREV = 2;
const WHAT = 3;
const FN_SHIFT = 8;
const ARG_SHIFT = 16;
const MAX_FN = 0xff;
/** No timer. */
const NONE = -1;
/** Words of the wheel. */
export const WHEEL_WORDS = OVERFLOW_SLOT + 1 + LEVELS;

/** The time in ms, int32, wrapping; it moves only in `runTimers`. */
export let jiffies = 0;

/** Where in `words` the first timer of each slot is, or NONE; rings without a head: the one before the first is the last. */
let slots = 0;
/** And for each level, which of its slots hold timers. */
let slotBits = 0;
/** What timers do; each function once. */
let fns: ((arg: number) => void)[];
/** Rows of timers given back, linked by NEXT. */
let freeRows = NONE;
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
  slots = wordTable("timer_wheel", OVERFLOW_SLOT + 1, NONE);
  slotBits = wordTable("timer_wheel", LEVELS);
  fns = account("timer_wheel", []);
  freeRows = NONE;
  levelBits = 0;
  nextKnown = false;
}

/**
 * Makes a timer. Boot time, and registration of devices. Linux: timer_setup().
 * @param name of the pool in the memory budget @param fn called with `arg` (0..65535) when it is due
 */
export function createTimer(name: string, fn: (arg: number) => void, arg: number): number {
  let timer = freeRows;
  if (timer === NONE) timer = wordTable(name, TIMER_WORDS);
  else freeRows = words[timer + NEXT]!;
  initTimer(timer, fn, arg);
  return timer;
}

/** Makes a timer of TIMER_WORDS words that are part of a table of the caller's. Otherwise as createTimer(). */
export function initTimer(timer: number, fn: (arg: number) => void, arg: number): void {
  let number = fns.indexOf(fn);
  if (number < 0) number = fns.push(fn) - 1;
  if (number > MAX_FN) throw new RangeError(`timer: more than ${MAX_FN + 1} functions`);
  words[timer + WHAT] = (arg << ARG_SHIFT) | (number << FN_SHIFT) | NO_SLOT;
}

/** Sets the argument of a timer, 0..65535. It must not be pending. */
export function timerSetArg(timer: number, arg: number): void {
  words[timer + WHAT] = (words[timer + WHAT]! & 0xffff) | (arg << ARG_SHIFT);
}

/** Gives the row of a timer back, which is disarmed. */
export function timerFree(timer: number): void {
  delTimer(timer);
  words[timer + NEXT] = freeRows;
  freeRows = timer;
}

/** Is the timer armed? False while its callback runs, unless that armed it again. */
export function timerPending(timer: number): boolean {
  return (words[timer + WHAT]! & NO_SLOT) !== NO_SLOT;
}

/** When the timer is due, in jiffies; meaningful while it is pending. */
export function timerExpires(timer: number): number {
  return words[timer + EXPIRES]!;
}

/**
 * Arms a timer, or moves it when it is armed already. A time not after `jiffies` counts as the next tick.
 * @param expires when, in jiffies
 * @returns whether it was pending before. Linux: mod_timer()
 */
export function modTimer(timer: number, expires: number): boolean {
  expires |= 0;
  if (((expires - jiffies) | 0) <= 0) expires = (jiffies + 1) | 0;
  const pending = (words[timer + WHAT]! & NO_SLOT) !== NO_SLOT;
  if (pending) {
    if (words[timer + EXPIRES] === expires) return true;
    unlink(timer);
  }
  words[timer + EXPIRES] = expires;
  link(timer);
  if (nextKnown && ((expires - nextExpires) | 0) < 0) nextExpires = expires;
  return pending;
}

/** Arms a timer, unless it is armed and due no later. Linux: timer_reduce(). */
export function timerReduce(timer: number, expires: number): void {
  if ((words[timer + WHAT]! & NO_SLOT) !== NO_SLOT && ((words[timer + EXPIRES]! - expires) | 0) <= 0) return;
  modTimer(timer, expires);
}

/** Disarms a timer. Returns whether it was pending. Linux: del_timer(). */
export function delTimer(timer: number): boolean {
  if ((words[timer + WHAT]! & NO_SLOT) === NO_SLOT) return false;
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
function link(timer: number): void {
  const expires = words[timer + EXPIRES]!;
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
    words[slotBits + level]! |= 1 << digit;
  }
  levelBits |= 1 << level;
  words[timer + WHAT] = (words[timer + WHAT]! & ~NO_SLOT) | slot;
  const first = words[slots + slot]!;
  if (first === NONE) {
    words[timer + NEXT] = words[timer + PREV] = timer;
    words[slots + slot] = timer;
  } else {
    const last = words[first + PREV]!;
    words[timer + NEXT] = first;
    words[timer + PREV] = last;
    words[last + NEXT] = timer;
    words[first + PREV] = timer;
  }
}

/** Takes a pending timer out of its slot. */
function unlink(timer: number): void {
  const what = words[timer + WHAT]!;
  const slot = what & NO_SLOT;
  const next = words[timer + NEXT]!;
  if (next === timer) {
    words[slots + slot] = NONE;
    emptySlot(slot);
  } else {
    const prev = words[timer + PREV]!;
    words[next + PREV] = prev;
    words[prev + NEXT] = next;
    if (words[slots + slot] === timer) words[slots + slot] = next;
  }
  words[timer + WHAT] = what | NO_SLOT;
  if (words[timer + EXPIRES] === nextExpires) nextKnown = false;
}

/** Clears the bits of a slot that has become empty. */
function emptySlot(slot: number): void {
  const level = slot >> 2;
  if (level < OVERFLOW) {
    const bits = words[slotBits + level]! & ~(1 << (slot & 3));
    words[slotBits + level] = bits;
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
    const digit = level === OVERFLOW ? 0 : lowestBit(words[slotBits + level]!);
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
    const timer = words[slots + slot]!;
    if (timer === NONE) return;
    unlink(timer);
    const what = words[timer + WHAT]!;
    fns[(what >> FN_SHIFT) & 0xff]!(what >>> ARG_SHIFT);
  }
}

/** Moves the timers of a slot that the wheel's time has entered to where they belong now. */
function cascade(slot: number): void {
  const first = words[slots + slot]!;
  words[slots + slot] = NONE;
  emptySlot(slot);
  const last = words[first + PREV]!;
  let timer = first;
  for (;;) {
    const next = words[timer + NEXT]!;
    link(timer);
    if (timer === last) return;
    timer = next;
  }
}

/** The earliest expiry of all; there is at least one timer. */
function findEarliest(): number {
  const level = lowestBit(levelBits);
  const digit = level === OVERFLOW ? 0 : lowestBit(words[slotBits + level]!);
  if (level === 0) return slotStart(0, digit);
  const first = words[slots + ((level << 2) | digit)]!;
  let earliest = words[first + EXPIRES]!;
  for (let timer = words[first + NEXT]!; timer !== first; timer = words[timer + NEXT]!) {
    const expires = words[timer + EXPIRES]!;
    if (((expires - earliest) | 0) < 0) earliest = expires;
  }
  return earliest;
}
