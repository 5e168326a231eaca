/**
 * The SYN guard: what a SYN must get past before it takes a request of the SYN queue. Linux has no counterpart. Read first: RFC 4987
 * section 3. A part that a program lists at boot (src/syn-guard.ts). Owns the memory of sources, their windows, and the counters.
 *
 *  1. The first SYN of a source that was not seen lately is dropped and its address remembered: who is there sends it again a second
 *     later, who made the address up does not. The memory is a pair of Bloom filters; the older one is dropped when a period is
 *     over, and periods are the shorter the more new sources come. So a source is known for one period at least, and two at most,
 *     after its last SYN.
 *  2. A source that is known may send so many SYNs in any second (a window over their times, which slides). One that finds no
 *     place in the table of sources passes: the table is there to stop few from taking all.
 *  3. While the SYN queue is half full, SYN-ACKs are repeated less often (reqskTimerHandler() asks).
 *
 * net.ipv4.tcp_syn_guard: 0 never, 1 always, 2 from when the SYN queue is half full until no flood was seen for the longest period.
 */
import { bloomClear, bloomMeet, bloomWords } from "../../lib/bloom.ts";
import { jhash1word } from "../../lib/jhash.ts";
import { secretTable } from "../../lib/random.ts";
import { halfWords, halves, words, wordTable } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import { SKB_DROP_REASON_TCP_REQQFULL, SKB_NOT_DROPPED_YET } from "../../uapi/drop-reason.ts";
import type { Net } from "../core/net.ts";
import type { NetnsIpv4 } from "../core/netns-ipv4.ts";
import { SK_MAX_ACK_BACKLOG } from "../core/sock.ts";
import { reqskCount, reqskSize } from "./request-sock.ts";
import { ICSK_REQSK_QLEN } from "./tcp-cold.ts";
import type { TcpSk } from "./tcp-sock.ts";

/** net.ipv4.tcp_syn_guard. */
export const SYN_GUARD_OFF = 0;
export const SYN_GUARD_ON = 1;
export const SYN_GUARD_AUTO = 2;

/** New sources per second: below the first threshold, the second, the third, or more. */
export const SYN_GUARD_LOW = 0;
export const SYN_GUARD_NORMAL = 1;
export const SYN_GUARD_HIGH = 2;
export const SYN_GUARD_ATTACK = 3;

/** Counters since boot (synGuardCount()): SYNs let through, dropped as the first of their source, dropped as too many of it. */
export const SYN_GUARD_PASSED = 0;
export const SYN_GUARD_UNSEEN = 1;
export const SYN_GUARD_TOO_MANY = 2;
/** SYNs let through whose source found no place in the table. */
export const SYN_GUARD_UNTRACKED = 3;

const SECOND_MS = 1000;
/** Places of the table in which a source may be: as many from where its hash says. */
const WAYS = 4;
/** Age that 16 bits of a time can tell, in ms. */
const MAX_AGE_MS = 0xffff;

/*
 * The state, words from `state` on: which of the filters is the younger one, when that began, new sources of this second and the
 * rate of the last, when this second began; until when the guard is on by itself (SYN_GUARD_AUTO), if it is; the counters.
 */
const YOUNGER = 0;
const PERIOD_START = 1;
const NEW_SOURCES = 2;
const RATE = 3;
const SECOND_START = 4;
const AUTO = 5;
const AUTO_UNTIL = 6;
const COUNTERS = 7;
const STATE_WORDS = 11;

/** A row of the table of sources: address (0: free), time of the last SYN, 16 bits of the times of the SYNs let through, the last first. */
const SOURCE_ADDR = 0;
const SOURCE_LAST = 1;
const SOURCE_STAMPS = 2;

export interface SynGuardSizes {
  readonly synGuardBits: number;
  readonly synGuardHashes: number;
  readonly synGuardSources: number;
  readonly synGuardSyns: number;
}

let state = 0;
let filters = 0;
let bits = 0;
let seeds = 0;
let hashes = 0;
let sources = 0;
let sourceCount = 0;
let rowWords = 0;
let syns = 0;

/** Words of a row of the table of sources. */
function sourceWords(stamps: number): number {
  return SOURCE_STAMPS + halfWords(stamps);
}

/** Words of all tables. */
export function synGuardWords(sizes: SynGuardSizes): number {
  return STATE_WORDS + 2 * bloomWords(sizes.synGuardBits) + sizes.synGuardHashes
    + sizes.synGuardSources * sourceWords(sizes.synGuardSyns);
}

/** Boot time only. */
export function synGuardInit(sizes: SynGuardSizes): void {
  bits = sizes.synGuardBits;
  hashes = sizes.synGuardHashes;
  sourceCount = sizes.synGuardSources;
  syns = sizes.synGuardSyns;
  rowWords = sourceWords(syns);
  state = wordTable("syn_guard", STATE_WORDS);
  filters = wordTable("syn_guard_filter", 2 * bloomWords(bits));
  seeds = secretTable("syn_guard_filter", hashes);
  sources = wordTable("syn_guard_source", sourceCount * rowWords);
  words[state + PERIOD_START] = words[state + SECOND_START] = jiffies;
}

/** Is the SYN queue half full: of the listener's backlog, or of all requests there are? */
function synQueueHalfFull(sk: TcpSk): boolean {
  return words[sk.icsk.cold + ICSK_REQSK_QLEN]! << 1 > words[sk.cold + SK_MAX_ACK_BACKLOG]! || reqskCount() << 1 >= reqskSize();
}

/** A flood is on: the guard stays, where it is on by itself, for the longest period from now. */
function prolong(sysctl: NetnsIpv4): void {
  words[state + AUTO] = 1;
  words[state + AUTO_UNTIL] = (jiffies + sysctl.tcpSynGuardLowPeriod * SECOND_MS) | 0;
}

function isActive(sk: TcpSk, mode: number): boolean {
  if (mode !== SYN_GUARD_AUTO) return mode === SYN_GUARD_ON;
  if (synQueueHalfFull(sk)) prolong(sk.net.ipv4);
  else if (words[state + AUTO] !== 0 && ((jiffies - words[state + AUTO_UNTIL]!) | 0) >= 0) words[state + AUTO] = 0;
  return words[state + AUTO] !== 0;
}

/** SYN_GUARD_LOW to SYN_GUARD_ATTACK, by the new sources of the last full second, or of this one when they are more already. */
function measure(sysctl: NetnsIpv4): number {
  const now = jiffies;
  const elapsed = (now - words[state + SECOND_START]!) | 0;
  if (elapsed < 0 || elapsed >= SECOND_MS) {
    words[state + RATE] = elapsed < 0 ? 0 : Math.floor((words[state + NEW_SOURCES]! * SECOND_MS) / elapsed);
    words[state + NEW_SOURCES] = 0;
    words[state + SECOND_START] = now;
  }
  const rate = words[state + RATE]! > words[state + NEW_SOURCES]! ? words[state + RATE]! : words[state + NEW_SOURCES]!;
  if (rate < sysctl.tcpSynGuardLow) return SYN_GUARD_LOW;
  if (rate < sysctl.tcpSynGuardNormal) return SYN_GUARD_NORMAL;
  return rate < sysctl.tcpSynGuardHigh ? SYN_GUARD_HIGH : SYN_GUARD_ATTACK;
}

/** How long one filter is the younger one at that level, in ms. */
function periodMs(sysctl: NetnsIpv4, level: number): number {
  if (level === SYN_GUARD_LOW) return sysctl.tcpSynGuardLowPeriod * SECOND_MS;
  if (level === SYN_GUARD_NORMAL) return sysctl.tcpSynGuardNormalPeriod * SECOND_MS;
  return (level === SYN_GUARD_HIGH ? sysctl.tcpSynGuardHighPeriod : sysctl.tcpSynGuardAttackPeriod) * SECOND_MS;
}

/** Where in `words` the younger filter is, or the older one. */
function filterAt(younger: boolean): number {
  return filters + ((words[state + YOUNGER]! !== 0) === younger ? bloomWords(bits) : 0);
}

/** When the period is over the older filter is emptied and becomes the younger one; after two, both are. */
function forget(period: number): void {
  const now = jiffies;
  const elapsed = (now - words[state + PERIOD_START]!) | 0;
  if (elapsed >= 0 && elapsed < period) return;
  words[state + PERIOD_START] = now;
  words[state + YOUNGER]! ^= 1;
  bloomClear(filterAt(true), bits);
  if (elapsed < 0 || elapsed >= period << 1) bloomClear(filterAt(false), bits);
}

/** The row of a source, found or made; -1 when all its places are others'. */
function sourceRow(saddr: number, sysctl: NetnsIpv4): number {
  const now = jiffies;
  const longest = (MAX_AGE_MS / syns) | 0;
  let idle = sysctl.tcpSynGuardIdle * SECOND_MS;
  if (idle > longest) idle = longest;
  const home = jhash1word(saddr, words[seeds]!);
  let row = -1;
  for (let i = 0; i < WAYS; i++) {
    const at = sources + ((home + i) & (sourceCount - 1)) * rowWords;
    const gone = words[at + SOURCE_ADDR] === 0 || ((now - words[at + SOURCE_LAST]!) | 0) >= idle;
    if (!gone && words[at + SOURCE_ADDR] === saddr) return at;
    if (gone && row < 0) row = at;
  }
  if (row < 0) return -1;
  words[row + SOURCE_ADDR] = saddr;
  const stamps = (row + SOURCE_STAMPS) << 1;
  for (let i = 0; i < syns; i++) halves[stamps + i] = now - SECOND_MS;
  return row;
}

/** Were fewer SYNs of the source let through in the last second than may be? This one counts among them then. */
function windowLets(row: number): boolean {
  const now = jiffies;
  words[row + SOURCE_LAST] = now;
  const stamps = (row + SOURCE_STAMPS) << 1;
  if (((now - halves[stamps + syns - 1]!) & MAX_AGE_MS) < SECOND_MS) return false;
  for (let i = syns - 1; i > 0; i--) halves[stamps + i] = halves[stamps + i - 1]!;
  halves[stamps] = now;
  return true;
}

/**
 * May a SYN take a request of the listener? @param saddr its source
 * @returns SKB_NOT_DROPPED_YET, or SKB_DROP_REASON_TCP_REQQFULL; synGuardStats() tells why
 */
export function synGuardCheck(sk: TcpSk, saddr: number): number {
  const sysctl = sk.net.ipv4;
  const mode = sysctl.tcpSynGuard;
  if (mode === SYN_GUARD_OFF || !isActive(sk, mode)) return SKB_NOT_DROPPED_YET;
  const level = measure(sysctl);
  if (level !== SYN_GUARD_LOW) prolong(sysctl);
  forget(periodMs(sysctl, level));
  if (!bloomMeet(filterAt(true), filterAt(false), bits, seeds, hashes, saddr)) {
    words[state + NEW_SOURCES]!++;
    words[state + COUNTERS + SYN_GUARD_UNSEEN]!++;
    return SKB_DROP_REASON_TCP_REQQFULL;
  }
  const row = sourceRow(saddr, sysctl);
  if (row < 0) {
    words[state + COUNTERS + SYN_GUARD_UNTRACKED]!++;
  } else if (!windowLets(row)) {
    words[state + COUNTERS + SYN_GUARD_TOO_MANY]!++;
    prolong(sysctl);
    return SKB_DROP_REASON_TCP_REQQFULL;
  }
  words[state + COUNTERS + SYN_GUARD_PASSED]!++;
  return SKB_NOT_DROPPED_YET;
}

/** How often a SYN-ACK of the listener may be repeated. @param retries as without the guard */
export function synGuardRetries(sk: TcpSk, retries: number): number {
  const sysctl = sk.net.ipv4;
  const most = sysctl.tcpSynGuardRetries;
  return sysctl.tcpSynGuard !== SYN_GUARD_OFF && retries > most && synQueueHalfFull(sk) ? most : retries;
}

/** What the guard has done since boot. @param what SYN_GUARD_PASSED to SYN_GUARD_UNTRACKED */
export function synGuardCount(what: number): number {
  return words[state + COUNTERS + what]! >>> 0;
}

/** Is it on now? */
export function synGuardActive(net: Net): boolean {
  const mode = net.ipv4.tcpSynGuard;
  return mode === SYN_GUARD_ON || (mode === SYN_GUARD_AUTO && words[state + AUTO] !== 0);
}

/** SYN_GUARD_LOW to SYN_GUARD_ATTACK, now. */
export function synGuardLevel(net: Net): number {
  return measure(net.ipv4);
}
