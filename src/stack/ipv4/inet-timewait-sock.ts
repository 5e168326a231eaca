/**
 * TIME_WAIT entries: what is left of a connection after its end, 64 bytes with its node in ehash. Linux:
 * net/ipv4/inet_timewait_sock.c, include/net/inet_timewait_sock.h. Read first: RFC 9293 section 3.6.1. Owns the slab,
 * the timer and the place of an entry in the table of ports; what segments do to it is in tcp-minisocks.ts.
 *
 * Entries that wait equally long lie in one list in the order of their ends: one for TIME_WAIT, one for FIN_WAIT2. When
 * the slab is empty the oldest entry ends early, so that no new connection fails for want of one.
 */
import { POOL_FREE, POOL_IN_USE, type Slab, slabAlloc, slabCreate, slabFree, slabWords } from "../../lib/pool.ts";
import { words, wordTable } from "../../lib/table.ts";
import { createTimer, delTimer, jiffies, modTimer, TIMER_WORDS } from "../../lib/timer.ts";
import { LINUX_MIB_TCPTIMEWAITOVERFLOW, LINUX_MIB_TIMEWAITED, LINUX_MIB_TIMEWAITKILLED } from "../../uapi/snmp.ts";
import { TCP_TIME_WAIT } from "../../uapi/tcp.ts";
import { type Net, type PernetOps, registerPernetSubsys } from "../core/net.ts";
import {
  BIND_TW_NONE, inetBindBucketDestroy, inetBindOwners, inetBindTwFirst, inetBindTwLast, inetBindTwSet,
} from "./inet-bind-bucket.ts";
import { ehashTwBase, inetEhashRemove, inetNodeNetId } from "./inet-hashtables.ts";
import { tcpMd5, tcpMd5Keys } from "./tcp-parts.ts";

/** Words of an entry. */
export const TW_WORDS = 11;
export const TW_RCV_NXT = 0;
export const TW_SND_NXT = 1;
export const TW_RCV_WND = 2;
export const TW_TS_RECENT = 3;
/** jiffies when TW_TS_RECENT was stored; counts only with TW_TSTAMP. */
export const TW_TS_RECENT_STAMP = 4;
export const TW_TS_OFFSET = 5;
export const TW_EXPIRES = 6;
/** jiffies of the last ACK to a segment out of window, 0 for none. */
export const TW_LAST_OOW_ACK_TIME = 7;
/** The TW_* bits below, the state in bits 0..3, the shift of our window in 4..7, TOS in 16..23. */
export const TW_INFO = 8;
/** Previous and next entry of the list, 16 bits each. */
const TW_LINKS = 9;
/** Bind bucket and next entry of the same bucket, 16 bits each. */
const TW_BIND = 10;

/** TW_INFO: the connection had timestamps, and TW_TS_RECENT is one. */
export const TW_TSTAMP = 1 << 8;
/** TW_INFO: SO_REUSEADDR and SO_REUSEPORT of the socket. */
export const TW_REUSE = 1 << 9;
export const TW_REUSEPORT = 1 << 10;
export const TW_STATE_MASK = 15;
export const TW_WSCALE_SHIFT = 4;
export const TW_TOS_SHIFT = 16;

/** How long TIME_WAIT lasts, in ms. Linux: TCP_TIMEWAIT_LEN. */
export const TCP_TIMEWAIT_LEN = 60000;
/** An entry of no more than this counts as TWKilled, any other as TW. */
const TW_KILL_MS = 4000;

const NONE = 0xffff;
const NO_LINKS = -1;

/** Where in `words` the entries are, TW_WORDS words each. */
export let twRows = 0;
let slab: Slab;
let timer = 0;
/** First and last entry: TIME_WAIT, FIN_WAIT2. */
let firstTimeWait = NONE;
let lastTimeWait = NONE;
let firstFinWait = NONE;
let lastFinWait = NONE;
/** Namespaces by number, to count what happens by timer. */
let nets: Net[];

/** Words of the table. @param count connections in TIME_WAIT */
export function inetTimewaitWords(count: number): number {
  return count * TW_WORDS + slabWords(count) + TIMER_WORDS;
}

const twNetOps: PernetOps = Object.freeze({
  init(net: Net): void {
    nets[net.id & 0xffff] = net;
  },
});

/** Builds the slab. Boot time only, after inetHashtablesInit and netInit. @param count connections in TIME_WAIT */
export function inetTimewaitInit(count: number): void {
  slab = slabCreate("tw_sock_TCP", count);
  twRows = wordTable("tw_sock_TCP", count * TW_WORDS);
  firstTimeWait = lastTimeWait = firstFinWait = lastFinWait = NONE;
  timer = createTimer("tw_sock_TCP", twTimer, 0);
  nets = [];
  registerPernetSubsys(twNetOps);
}

/** Entries in use. */
export function inetTimewaitCount(): number {
  return words[slab + POOL_IN_USE]!;
}

function listFirst(finWait: boolean): number {
  return finWait ? firstFinWait : firstTimeWait;
}

function isFinWait(tw: number): boolean {
  return (words[twRows + tw * TW_WORDS + TW_INFO]! & TW_STATE_MASK) !== TCP_TIME_WAIT;
}

/** Takes the entry out of its list. */
function listRemove(tw: number): void {
  const links = words[twRows + tw * TW_WORDS + TW_LINKS]!;
  const previous = links >>> 16;
  const next = links & 0xffff;
  const finWait = isFinWait(tw);
  if (previous === NONE) {
    if (finWait) firstFinWait = next;
    else firstTimeWait = next;
  } else {
    const at = twRows + previous * TW_WORDS + TW_LINKS;
    words[at] = (words[at]! & ~0xffff) | next;
  }
  if (next === NONE) {
    if (finWait) lastFinWait = previous;
    else lastTimeWait = previous;
  } else {
    const at = twRows + next * TW_WORDS + TW_LINKS;
    words[at] = (words[at]! & 0xffff) | (previous << 16);
  }
  words[twRows + tw * TW_WORDS + TW_LINKS] = NO_LINKS;
}

/** Enters it behind all that end no later: nearly always at the end of the list. */
function listInsert(tw: number): void {
  const finWait = isFinWait(tw);
  const expires = words[twRows + tw * TW_WORDS + TW_EXPIRES]!;
  let previous = finWait ? lastFinWait : lastTimeWait;
  let next = NONE;
  while (previous !== NONE && ((expires - words[twRows + previous * TW_WORDS + TW_EXPIRES]!) | 0) < 0) {
    next = previous;
    previous = words[twRows + previous * TW_WORDS + TW_LINKS]! >>> 16;
  }
  words[twRows + tw * TW_WORDS + TW_LINKS] = (previous << 16) | next;
  if (previous === NONE) {
    if (finWait) firstFinWait = tw;
    else firstTimeWait = tw;
  } else {
    const at = twRows + previous * TW_WORDS + TW_LINKS;
    words[at] = (words[at]! & ~0xffff) | tw;
  }
  if (next === NONE) {
    if (finWait) lastFinWait = tw;
    else lastTimeWait = tw;
  } else {
    const at = twRows + next * TW_WORDS + TW_LINKS;
    words[at] = (words[at]! & 0xffff) | (tw << 16);
  }
}

/** Sets the timer to the first end, or off. */
function timerUpdate(): void {
  if (firstTimeWait === NONE && firstFinWait === NONE) {
    delTimer(timer);
    return;
  }
  let expires = 0;
  if (firstTimeWait !== NONE) expires = words[twRows + firstTimeWait * TW_WORDS + TW_EXPIRES]!;
  if (firstFinWait !== NONE) {
    const other = words[twRows + firstFinWait * TW_WORDS + TW_EXPIRES]!;
    if (firstTimeWait === NONE || ((other - expires) | 0) < 0) expires = other;
  }
  modTimer(timer, expires);
}

/** Linux: tw_timer_handler(). */
function twTimer(): void {
  expireList(false);
  expireList(true);
  timerUpdate();
}

function expireList(finWait: boolean): void {
  for (let tw = listFirst(finWait); tw !== NONE; tw = listFirst(finWait)) {
    if (((words[twRows + tw * TW_WORDS + TW_EXPIRES]! - jiffies) | 0) > 0) return;
    twKill(tw);
  }
}

/** The namespace of an entry. */
export function twNet(tw: number): Net {
  return nets[inetNodeNetId(ehashTwBase + tw)]!;
}

/**
 * A fresh entry in no table; with none free the oldest one ends now, counted as TCPTimeWaitOverflow.
 * Linux: inet_twsk_alloc(), which fails instead.
 */
export function inetTwskAlloc(): number {
  if (words[slab + POOL_FREE]! < 0) {
    const oldest = firstTimeWait !== NONE ? firstTimeWait : firstFinWait;
    twNet(oldest).mib[LINUX_MIB_TCPTIMEWAITOVERFLOW]!++;
    inetTwskDeschedulePut(oldest);
  }
  const tw = slabAlloc(slab);
  const at = twRows + tw * TW_WORDS;
  words[at + TW_LAST_OOW_ACK_TIME] = 0;
  words[at + TW_LINKS] = NO_LINKS;
  words[at + TW_BIND] = NO_LINKS;
  return tw;
}

/** Starts the time of a new entry whose TW_INFO is set. Linux: inet_twsk_schedule(). */
export function inetTwskSchedule(tw: number, timeoMs: number): void {
  twNet(tw).mib[timeoMs <= TW_KILL_MS ? LINUX_MIB_TIMEWAITKILLED : LINUX_MIB_TIMEWAITED]!++;
  twStart(tw, timeoMs);
}

function twStart(tw: number, timeoMs: number): void {
  words[twRows + tw * TW_WORDS + TW_EXPIRES] = jiffies + timeoMs;
  listInsert(tw);
  timerUpdate();
}

/** Starts the time of an entry anew, in the state given. Linux: inet_twsk_reschedule(). */
export function inetTwskReschedule(tw: number, state: number, timeoMs: number): void {
  listRemove(tw);
  const at = twRows + tw * TW_WORDS + TW_INFO;
  words[at] = (words[at]! & ~TW_STATE_MASK) | state;
  twStart(tw, timeoMs);
}

/** Makes the entry an owner of the bucket. Linux: inet_twsk_add_bind_node(). */
export function inetTwskBind(tw: number, bucket: number): void {
  words[twRows + tw * TW_WORDS + TW_BIND] = (bucket << 16) | NONE;
  const last = inetBindTwLast(bucket);
  if (last === BIND_TW_NONE) {
    inetBindTwSet(bucket, tw, tw);
    return;
  }
  const at = twRows + last * TW_WORDS + TW_BIND;
  words[at] = (words[at]! & ~0xffff) | tw;
  inetBindTwSet(bucket, inetBindTwFirst(bucket), tw);
}

/** Next TIME_WAIT owner of the same bucket, or BIND_TW_NONE. */
export function inetTwskBindNext(tw: number): number {
  return words[twRows + tw * TW_WORDS + TW_BIND]! & 0xffff;
}

/**
 * Gives the port up. Entries end in about the order in which they came: the search is short. Linux:
 * inet_twsk_bind_unhash().
 */
function twBindUnhash(tw: number): void {
  const bind = words[twRows + tw * TW_WORDS + TW_BIND]!;
  const bucket = bind >>> 16;
  if (bucket === NONE) return;
  const next = bind & 0xffff;
  let previous = NONE;
  let first = inetBindTwFirst(bucket);
  for (let at = first; at !== tw; at = inetTwskBindNext(at)) previous = at;
  let last = inetBindTwLast(bucket);
  if (previous === NONE) {
    first = next;
  } else {
    const at = twRows + previous * TW_WORDS + TW_BIND;
    words[at] = (words[at]! & ~0xffff) | next;
  }
  if (last === tw) last = previous;
  inetBindTwSet(bucket, first, last);
  words[twRows + tw * TW_WORDS + TW_BIND] = NO_LINKS;
  inetBindBucketDestroy(bucket);
}

/** Linux: inet_twsk_kill(). */
function twKill(tw: number): void {
  listRemove(tw);
  inetEhashRemove(ehashTwBase + tw);
  twBindUnhash(tw);
  if (tcpMd5Keys !== 0) tcpMd5!.release(~tw);
  slabFree(slab, tw);
}

/** Ends an entry before its time: out of all tables, back to the slab. Linux: inet_twsk_deschedule_put(). */
export function inetTwskDeschedulePut(tw: number): void {
  twKill(tw);
  timerUpdate();
}

/**
 * Frees a bind bucket that only TIME_WAIT entries own, the oldest such; they end early, counted as TCPTimeWaitOverflow.
 * A new connection needs it when all buckets are taken. False when there is none.
 */
export function inetTwskReclaimBucket(): boolean {
  return reclaimFrom(false) || reclaimFrom(true);
}

function reclaimFrom(finWait: boolean): boolean {
  for (let tw = listFirst(finWait); tw !== NONE; tw = words[twRows + tw * TW_WORDS + TW_LINKS]! & 0xffff) {
    const bucket = words[twRows + tw * TW_WORDS + TW_BIND]! >>> 16;
    if (bucket === NONE || inetBindOwners(bucket) !== null) continue;
    for (let owner = inetBindTwFirst(bucket); owner !== BIND_TW_NONE;) {
      const next = inetTwskBindNext(owner);
      twNet(owner).mib[LINUX_MIB_TCPTIMEWAITOVERFLOW]!++;
      twKill(owner);
      owner = next;
    }
    timerUpdate();
    return true;
  }
  return false;
}

/** Ends every entry: the tests' end, and shutting down. Linux: inet_twsk_purge(). */
export function inetTwskPurge(): void {
  while (firstTimeWait !== NONE) twKill(firstTimeWait);
  while (firstFinWait !== NONE) twKill(firstFinWait);
  delTimer(timer);
}
