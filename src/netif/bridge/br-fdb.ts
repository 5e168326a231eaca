/**
 * The forwarding database: which port of which bridge a station was last heard by. Linux: net/bridge/br_fdb.c. Owns the entries of
 * all bridges, in a fixed pool, and the timer that forgets them.
 *
 * An entry is a row of words, found by a hash with a secret. What was learned is forgotten when nothing has been heard of the station
 * for the bridge's ageing time; the addresses of a bridge and its ports are entries too, LOCAL and for good. When the pool is full
 * no more is learned (as with Linux's fdb_max_learned): frames to those stations go to all ports, and the pool counts the failure.
 */
import { jhash2words } from "../../lib/jhash.ts";
import { slabAlloc, slabCreate, slabFree, type Slab, slabWords } from "../../lib/pool.ts";
import { getRandomU32 } from "../../lib/random.ts";
import { halfTable, halfWords, halves, words, wordTable } from "../../lib/table.ts";
import { createTimer, jiffies, modTimer, TIMER_WORDS, timerReduce } from "../../lib/timer.ts";

/*
 * A row of `words`: flags in bits 24..31 of the first, number of the bridge in 16..23, first two bytes of the address below; its last
 * four bytes; when it was heard last, in jiffies; its port in bits 16..31 and the next entry of the chain.
 */
const ROW_WORDS = 4;
const LO = 1;
const UPDATED = 2;
const LINK = 3;
const KEY_MASK = 0xffffff;
const BRIDGE_SHIFT = 16;
const PORT_SHIFT = 16;
const NONE = 0xffff;
/** Flags, as bits of the first word. An entry that is in use. */
const USED = 0x1000000;
/** An address of the bridge's own or one of its ports'. Linux: BR_FDB_LOCAL */
const LOCAL = 0x2000000;
/** Entered by a person: it does not age. Linux: BR_FDB_STATIC */
const STATIC = 0x4000000;
/** Cleaning up happens at most this often. */
const GC_PAUSE_MS = 10;
/** Entries for each head of a chain, rounded up to a power of two. */
const LOAD = 2;

let entries: Slab;
let rows = 0;
let count = 0;
/** Where in `halves` the first entry of each chain is. */
let heads = 0;
let mask = 0;
let secret = 0;
let timer = -1;
/** The ageing time of a bridge by its number, in ms. */
let ageingOf: (bridge: number) => number;
/** Hears of every change: an entry's offset in `words`, as it is now or was when it went. null: nobody. */
let told: ((row: number, gone: boolean) => void) | null;

function headCount(size: number): number {
  let heads = 1;
  while (heads * LOAD < size) heads <<= 1;
  return heads;
}

/** Words of the tables below. */
export function brFdbWords(size: number): number {
  return slabWords(size) + size * ROW_WORDS + halfWords(headCount(size)) + TIMER_WORDS;
}

/** Boot. @param size entries of all bridges together @param ageing the ageing time of a bridge by its number, in ms */
export function brFdbInit(size: number, ageing: (bridge: number) => number): void {
  entries = slabCreate("bridge_fdb", size);
  rows = wordTable("bridge_fdb", size * ROW_WORDS);
  const headsCount = headCount(size);
  heads = halfTable("bridge_fdb", headsCount, NONE);
  mask = headsCount - 1;
  count = size;
  secret = getRandomU32() | 0;
  timer = createTimer("bridge_fdb", brFdbGc, 0);
  ageingOf = ageing;
  told = null;
}

/** Has a function called for each entry that comes, changes its port or kind, or goes: after the first, and before the last. */
export function brFdbListen(listener: (row: number, gone: boolean) => void): void {
  told = listener;
}

/** The entry of an address, as an offset in `words`, or -1. Linux: br_fdb_find_rcu(). */
export function brFdbFind(bridge: number, hi: number, lo: number): number {
  const key = (bridge << BRIDGE_SHIFT) | hi;
  let index = halves[heads + (jhash2words(key, lo, secret) & mask)]!;
  while (index !== NONE) {
    const row = rows + index * ROW_WORDS;
    if (words[row + LO] === lo && (words[row]! & KEY_MASK) === key) return row;
    index = words[row + LINK]! & NONE;
  }
  return -1;
}

/** The port that an entry names; for the bridge itself 0. */
export function brFdbPort(row: number): number {
  return words[row + LINK]! >>> PORT_SHIFT;
}

/** Is it an address of this host's? */
export function brFdbIsLocal(row: number): boolean {
  return (words[row]! & LOCAL) !== 0;
}

/** A new entry, or -1 when there is none left (counted). Linux: fdb_create(). */
function create(bridge: number, port: number, hi: number, lo: number, flags: number): number {
  const index = slabAlloc(entries);
  if (index < 0) return -1;
  const key = (bridge << BRIDGE_SHIFT) | hi;
  const head = heads + (jhash2words(key, lo, secret) & mask);
  const row = rows + index * ROW_WORDS;
  words[row] = key | USED | flags;
  words[row + LO] = lo;
  words[row + UPDATED] = jiffies;
  words[row + LINK] = (port << PORT_SHIFT) | halves[head]!;
  halves[head] = index;
  if (told !== null) told(row, false);
  return row;
}

/** Linux: fdb_delete(). */
function remove(index: number): void {
  const row = rows + index * ROW_WORDS;
  if (told !== null) told(row, true);
  const next = words[row + LINK]! & NONE;
  const head = heads + (jhash2words(words[row]! & KEY_MASK, words[row + LO]!, secret) & mask);
  if (halves[head] === index) {
    halves[head] = next;
  } else {
    let before = rows + halves[head]! * ROW_WORDS;
    while ((words[before + LINK]! & NONE) !== index) before = rows + (words[before + LINK]! & NONE) * ROW_WORDS;
    words[before + LINK] = (words[before + LINK]! & ~NONE) | next;
  }
  words[row] = 0;
  slabFree(entries, index);
}

/** A station was heard by a port: it is there, or has moved there. Linux: br_fdb_update(). */
export function brFdbUpdate(bridge: number, port: number, hi: number, lo: number): void {
  const row = brFdbFind(bridge, hi, lo);
  if (row >= 0) {
    // Somebody out there uses an address of ours, or a frame of ours came back.
    if ((words[row]! & LOCAL) !== 0) return;
    words[row + UPDATED] = jiffies;
    const link = words[row + LINK]!;
    if (link >>> PORT_SHIFT === port) return;
    words[row + LINK] = (port << PORT_SHIFT) | (link & NONE);
    if (told !== null) told(row, false);
    return;
  }
  const ageing = ageingOf(bridge);
  // A bridge that forgets at once is a hub.
  if (ageing === 0 || create(bridge, port, hi, lo, 0) < 0) return;
  timerReduce(timer, (jiffies + ageing) | 0);
}

/**
 * Enters an address for good: one of this host's (`local`), or a station's by a person. What was learned of it before is forgotten;
 * when the pool is full something else that was learned is.
 * @returns 0, or -1 when there is no room
 */
export function brFdbEnter(bridge: number, port: number, hi: number, lo: number, local: boolean): number {
  const known = brFdbFind(bridge, hi, lo);
  const flags = local ? LOCAL : STATIC;
  if (known >= 0) {
    const key = (words[known]! & KEY_MASK) | USED | flags;
    const link = (port << PORT_SHIFT) | (words[known + LINK]! & NONE);
    const same = words[known] === key && words[known + LINK] === link;
    words[known] = key;
    words[known + LINK] = link;
    if (told !== null && !same) told(known, false);
    return 0;
  }
  if (create(bridge, port, hi, lo, flags) >= 0) return 0;
  for (let index = 0; index < count; index++) {
    if ((words[rows + index * ROW_WORDS]! & (LOCAL | STATIC)) !== 0) continue;
    remove(index);
    create(bridge, port, hi, lo, flags);
    return 0;
  }
  return -1;
}

/** Forgets one address: 0, or -1 when it was not there or is this host's. */
export function brFdbForget(bridge: number, hi: number, lo: number): number {
  const row = brFdbFind(bridge, hi, lo);
  if (row < 0 || (words[row]! & LOCAL) !== 0) return -1;
  remove(((row - rows) / ROW_WORDS) | 0);
  return 0;
}

/** Forgets what was learned by a port. Linux: br_fdb_delete_by_port(). @param all also what a person entered: the port goes */
export function brFdbFlushPort(port: number, all: boolean): void {
  const kept = all ? LOCAL : LOCAL | STATIC;
  for (let index = 0; index < count; index++) {
    const row = rows + index * ROW_WORDS;
    const flags = words[row]!;
    if ((flags & USED) !== 0 && (flags & kept) === 0 && words[row + LINK]! >>> PORT_SHIFT === port) remove(index);
  }
}

/** Forgets everything of a bridge. */
export function brFdbFlushBridge(bridge: number): void {
  for (let index = 0; index < count; index++) {
    const key = words[rows + index * ROW_WORDS]!;
    if ((key & USED) !== 0 && (key & KEY_MASK) >> BRIDGE_SHIFT === bridge) remove(index);
  }
}

/** Forgets those local addresses of a bridge that are nobody's any more. @param owned is it one of the bridge's or its ports'? */
export function brFdbSweepLocals(bridge: number, owned: (bridge: number, hi: number, lo: number) => boolean): void {
  for (let index = 0; index < count; index++) {
    const row = rows + index * ROW_WORDS;
    const key = words[row]!;
    if ((key & LOCAL) === 0 || (key & KEY_MASK) >> BRIDGE_SHIFT !== bridge) continue;
    if (!owned(bridge, key & 0xffff, words[row + LO]!)) remove(index);
  }
}

/** Forgets whom nothing was heard of for long. Linux: br_fdb_cleanup(). */
function brFdbGc(): void {
  const now = jiffies;
  let soonest = 0;
  let any = false;
  for (let index = 0; index < count; index++) {
    const row = rows + index * ROW_WORDS;
    const key = words[row]!;
    if ((key & (USED | LOCAL | STATIC)) !== USED) continue;
    const left = (words[row + UPDATED]! + ageingOf((key & KEY_MASK) >> BRIDGE_SHIFT) - now) | 0;
    if (left <= 0) {
      remove(index);
    } else if (!any || left < soonest) {
      soonest = left;
      any = true;
    }
  }
  if (any) modTimer(timer, (now + (soonest < GC_PAUSE_MS ? GC_PAUSE_MS : soonest)) | 0);
}

/** The ageing time of a bridge has changed. */
export function brFdbAgeingChanged(): void {
  brFdbGc();
}

/** What is shown of an entry; of one there is, filled in by brFdbNext(). */
export class BrFdbEntry {
  bridge = 0;
  /** Number of the port, 0 for the bridge itself. */
  port = 0;
  hi = 0;
  lo = 0;
  local = false;
  static = false;
  /** Milliseconds since the station was heard. */
  idleMs = 0;
}

/** Fills in what is shown of an entry. */
export function brFdbRead(entry: BrFdbEntry, row: number): void {
  const key = words[row]!;
  entry.bridge = (key & KEY_MASK) >> BRIDGE_SHIFT;
  entry.port = words[row + LINK]! >>> PORT_SHIFT;
  entry.hi = key & 0xffff;
  entry.lo = words[row + LO]!;
  entry.local = (key & LOCAL) !== 0;
  entry.static = (key & STATIC) !== 0;
  entry.idleMs = (jiffies - words[row + UPDATED]!) | 0;
}

/** Fills in the first entry in use at that place of the pool or behind it: the place after it, or -1 for none. */
export function brFdbNext(entry: BrFdbEntry, place: number): number {
  for (let index = place; index < count; index++) {
    const row = rows + index * ROW_WORDS;
    if ((words[row]! & USED) === 0) continue;
    brFdbRead(entry, row);
    return index + 1;
  }
  return -1;
}
