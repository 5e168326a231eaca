/**
 * request_sock: a half-open connection, 64 bytes with its node in ehash, without a buffer and without a sock. Linux:
 * include/net/request_sock.h, tcp_request_sock of include/linux/tcp.h. Read first: RFC 4987 (SYN flooding). Owns the
 * slab and the one timer behind all SYN-ACK retransmissions; what happens then is in inet-connection-sock.ts.
 *
 * The time between two SYN-ACKs doubles: 1 s, 2 s, 4 s, … 120 s. Requests that wait equally long lie in one list, which
 * so is in the order of their ends; the timer stands at the earliest head.
 */
import { POOL_IN_USE, POOL_SIZE, type Slab, slabAlloc, slabCreate, slabFree, slabWords } from "../../lib/pool.ts";
import { halfTable, halfWords, halves, words, wordTable } from "../../lib/table.ts";
import { createTimer, delTimer, jiffies, modTimer, TIMER_WORDS, timerExpires, timerPending } from "../../lib/timer.ts";
import { sockByIndex } from "../core/sock.ts";
import { ipOptions } from "./ip-parts.ts";
import type { TcpSk } from "./tcp-sock.ts";

/** Words of a request. */
export const REQ_WORDS = 11;
/** Our and the peer's initial sequence number. */
export const REQ_SND_ISN = 0;
export const REQ_RCV_ISN = 1;
/** Timestamp to echo. */
export const REQ_TS_RECENT = 2;
export const REQ_TS_OFFSET = 3;
const REQ_EXPIRES = 4;
/** jiffies of the first SYN-ACK. */
export const REQ_SNT_SYNACK = 5;
/** jiffies of the last ACK to a segment out of window, 0 for none. */
export const REQ_LAST_OOW_ACK_TIME = 6;
/** Window offered, in bytes. */
export const REQ_RCV_WND = 7;
/**
 * Shift of the peer's window in bits 0..3, of ours in 4..7, the REQ_* bits below, timeouts in 16..23, retransmissions
 * in 24..30.
 */
export const REQ_INFO = 8;
/** Previous and next request of the list, 16 bits each. */
const REQ_LINKS = 9;
/** Handle of the listener in the high 16 bits, the peer's MSS in the low ones. */
const REQ_LISTENER_MSS = 10;

/** REQ_INFO bits: options agreed on; the ACK came, but a full accept queue or TCP_DEFER_ACCEPT kept it out. */
export const REQ_WSCALE_OK = 1 << 8;
export const REQ_TSTAMP_OK = 1 << 9;
export const REQ_SACK_OK = 1 << 10;
export const REQ_ACKED = 1 << 11;
export const REQ_ECN_OK = 1 << 12;
/** The SYN had IP options, and the answer's are kept for it. */
export const REQ_IP_OPTIONS = 1 << 13;
const RCV_WSCALE_SHIFT = 4;
const TIMEOUTS_SHIFT = 16;
const RETRANS_SHIFT = 24;
const RETRANS_MAX = 127;

/** First SYN-ACK timeout and the longest one, in ms. Linux: TCP_TIMEOUT_INIT, TCP_RTO_MAX. */
const TIMEOUT_INIT_MS = 1000;
const TIMEOUT_MAX_MS = 120000;
/** Number of doublings until the longest timeout is reached. */
const CLASSES = 8;

const NONE = 0xffff;
const UNLISTED = -1;
const FREE = -1;

/** Where in `words` the requests are, REQ_WORDS words each. */
export let reqRows = 0;
let slab: Slab;
/** Where in `halves` the first and last request of each list are, by number of doublings. */
let firsts = 0;
let lasts = 0;
let timer = 0;
/** What a timeout does; the request is in no list then. */
let onTimeout: (req: number) => void;

/** Words of the tables. @param count half-open connections */
export function requestSockWords(count: number): number {
  return (count + 1) * REQ_WORDS + slabWords(count) + 2 * halfWords(CLASSES) + TIMER_WORDS;
}

/**
 * Builds the slab. Boot time only.
 * @param count half-open connections @param timeout called with each request that is due
 */
export function requestSockInit(count: number, timeout: (req: number) => void): void {
  slab = slabCreate("request_sock_TCP", count);
  // One more than the slab has: the spare row.
  reqRows = wordTable("request_sock_TCP", (count + 1) * REQ_WORDS, FREE);
  firsts = halfTable("request_sock_TCP", CLASSES, NONE);
  lasts = halfTable("request_sock_TCP", CLASSES, NONE);
  timer = createTimer("request_sock_TCP", reqskTimer, 0);
  onTimeout = timeout;
}

/** Requests in use. */
export function reqskCount(): number {
  return words[slab + POOL_IN_USE]!;
}

/** Size of the slab: requests are 0 to this minus one. */
export function reqskSize(): number {
  return words[slab + POOL_SIZE]!;
}

/**
 * A request of a listener in no table, or -1 (counted by the slab). Linux: inet_reqsk_alloc().
 * @param mss the peer's, 0..65535
 */
export function inetReqskAlloc(listener: TcpSk, mss: number): number {
  const req = slabAlloc(slab);
  if (req >= 0) reqskFresh(req, listener, mss);
  return req;
}

/**
 * The spare row as a new request: for one that lives for a single call and is never in a table (SYN cookies). It is not
 * freed.
 */
export function reqskSpare(listener: TcpSk, mss: number): number {
  const req = words[slab + POOL_SIZE]!;
  reqskFresh(req, listener, mss);
  return req;
}

function reqskFresh(req: number, listener: TcpSk, mss: number): void {
  const at = reqRows + req * REQ_WORDS;
  words[at + REQ_TS_RECENT] = words[at + REQ_TS_OFFSET] = 0;
  words[at + REQ_LAST_OOW_ACK_TIME] = 0;
  words[at + REQ_INFO] = 0;
  words[at + REQ_LINKS] = UNLISTED;
  words[at + REQ_LISTENER_MSS] = (listener.index << 16) | mss;
}

/** The request keeps no IP options any more. */
export function reqskDropOptions(req: number): void {
  if (!reqskHas(req, REQ_IP_OPTIONS)) return;
  ipOptions!.release(~req);
  reqskClear(req, REQ_IP_OPTIONS);
}

/** Gives a request in no table back. Linux: reqsk_free(). */
export function reqskFree(req: number): void {
  reqskTimerStop(req);
  reqskDropOptions(req);
  words[reqRows + req * REQ_WORDS + REQ_LISTENER_MSS] = FREE;
  slabFree(slab, req);
}

/** Its listener. */
export function reqskListener(req: number): TcpSk {
  return sockByIndex(words[reqRows + req * REQ_WORDS + REQ_LISTENER_MSS]! >>> 16) as TcpSk;
}

/** Is the request in use, and one of this listener? */
export function reqskIsOf(req: number, listener: TcpSk): boolean {
  const word = words[reqRows + req * REQ_WORDS + REQ_LISTENER_MSS]!;
  return word !== FREE && word >>> 16 === listener.index;
}

/** The peer's MSS. */
export function reqskMss(req: number): number {
  return words[reqRows + req * REQ_WORDS + REQ_LISTENER_MSS]! & 0xffff;
}

/** Shift of the windows the peer sends. */
export function reqskSndWscale(req: number): number {
  return words[reqRows + req * REQ_WORDS + REQ_INFO]! & 15;
}

/** Shift of the windows we send. */
export function reqskRcvWscale(req: number): number {
  return (words[reqRows + req * REQ_WORDS + REQ_INFO]! >> RCV_WSCALE_SHIFT) & 15;
}

export function reqskSetRcvWscale(req: number, shift: number): void {
  const at = reqRows + req * REQ_WORDS + REQ_INFO;
  words[at] = (words[at]! & ~(15 << RCV_WSCALE_SHIFT)) | (shift << RCV_WSCALE_SHIFT);
}

/** One of the REQ_* bits. */
export function reqskHas(req: number, bit: number): boolean {
  return (words[reqRows + req * REQ_WORDS + REQ_INFO]! & bit) !== 0;
}

export function reqskSet(req: number, bit: number): void {
  const at = reqRows + req * REQ_WORDS + REQ_INFO;
  words[at] = words[at]! | bit;
}

export function reqskClear(req: number, bit: number): void {
  const at = reqRows + req * REQ_WORDS + REQ_INFO;
  words[at] = words[at]! & ~bit;
}

/** Timeouts so far (num_timeout). */
export function reqskTimeouts(req: number): number {
  return (words[reqRows + req * REQ_WORDS + REQ_INFO]! >> TIMEOUTS_SHIFT) & 0xff;
}

/** Counts a timeout; at 255 it stays. */
export function reqskCountTimeout(req: number): void {
  if (reqskTimeouts(req) < 0xff) words[reqRows + req * REQ_WORDS + REQ_INFO]! += 1 << TIMEOUTS_SHIFT;
}

/** SYN-ACKs sent again so far, at most 127 (num_retrans). */
export function reqskRetrans(req: number): number {
  return words[reqRows + req * REQ_WORDS + REQ_INFO]! >> RETRANS_SHIFT;
}

/** Counts a SYN-ACK sent again. */
export function reqskCountRetrans(req: number): void {
  if (reqskRetrans(req) < RETRANS_MAX) words[reqRows + req * REQ_WORDS + REQ_INFO]! += 1 << RETRANS_SHIFT;
}

/** The list a request with that many timeouts belongs to. */
function timerClass(timeouts: number): number {
  return timeouts < CLASSES ? timeouts : CLASSES - 1;
}

/** Time until the next SYN-ACK after so many timeouts, in ms. */
export function reqskTimeoutMs(timeouts: number): number {
  const ms = TIMEOUT_INIT_MS << timerClass(timeouts);
  return ms < TIMEOUT_MAX_MS ? ms : TIMEOUT_MAX_MS;
}

/** Starts (or starts anew) the time until the next SYN-ACK, by the number of timeouts so far. */
export function reqskTimerStart(req: number): void {
  reqskTimerStop(req);
  const at = reqRows + req * REQ_WORDS;
  const timeouts = reqskTimeouts(req);
  const expires = (jiffies + reqskTimeoutMs(timeouts)) | 0;
  const list = timerClass(timeouts);
  const last = halves[lasts + list]!;
  words[at + REQ_EXPIRES] = expires;
  words[at + REQ_LINKS] = (last << 16) | NONE;
  if (last === NONE) {
    halves[firsts + list] = req;
  } else {
    const lastAt = reqRows + last * REQ_WORDS + REQ_LINKS;
    words[lastAt] = (words[lastAt]! & ~0xffff) | req;
  }
  halves[lasts + list] = req;
  if (!timerPending(timer) || ((expires - timerExpires(timer)) | 0) < 0) modTimer(timer, expires);
}

/** Takes a request out of its list, if it is in one. Call it before its timeouts are counted up. */
function reqskTimerStop(req: number): void {
  const at = reqRows + req * REQ_WORDS;
  const links = words[at + REQ_LINKS]!;
  const previous = links >>> 16;
  const next = links & 0xffff;
  const list = timerClass(reqskTimeouts(req));
  // A list of one has the links of a request in no list.
  if (links === UNLISTED && halves[firsts + list] !== req) return;
  if (previous === NONE) {
    halves[firsts + list] = next;
  } else {
    const other = reqRows + previous * REQ_WORDS + REQ_LINKS;
    words[other] = (words[other]! & ~0xffff) | next;
  }
  if (next === NONE) {
    halves[lasts + list] = previous;
  } else {
    const other = reqRows + next * REQ_WORDS + REQ_LINKS;
    words[other] = (words[other]! & 0xffff) | (previous << 16);
  }
  words[at + REQ_LINKS] = UNLISTED;
  if (words[slab + POOL_IN_USE]! <= 1) delTimer(timer);
}

/** When the last SYN-ACK of a request whose timer runs left, or about that. */
export function reqskLastSynack(req: number): number {
  return (words[reqRows + req * REQ_WORDS + REQ_EXPIRES]! - reqskTimeoutMs(reqskTimeouts(req))) | 0;
}

/** Fires every request that is due, then waits for the next one. */
function reqskTimer(): void {
  for (let list = 0; list < CLASSES; list++) {
    // What the callback starts anew ends later, here or in a longer list.
    for (let req = halves[firsts + list]!; req !== NONE; req = halves[firsts + list]!) {
      if (((words[reqRows + req * REQ_WORDS + REQ_EXPIRES]! - jiffies) | 0) > 0) break;
      reqskTimerStop(req);
      onTimeout(req);
    }
  }
  for (let list = 0; list < CLASSES; list++) {
    const first = halves[firsts + list]!;
    if (first === NONE) continue;
    const expires = words[reqRows + first * REQ_WORDS + REQ_EXPIRES]!;
    if (!timerPending(timer) || ((expires - timerExpires(timer)) | 0) < 0) modTimer(timer, expires);
  }
}
