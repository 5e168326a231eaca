/**
 * Connections: the table of those that packets were seen of, by the tuples of both directions. Linux: net/netfilter/
 * nf_conntrack_core.c, struct nf_conn. Owns the rows, their hash, the timer that takes out what has expired, and the counters.
 *
 * A row is made by the first packet of a connection and is found by others once that packet has left or has arrived (confirmed).
 * If it does not, somebody dropped it, and nobody says so: only the last UNCONFIRMED rows of that kind are kept, and none for longer
 * than until the next sweep. So are rows that their own packet ended (nfCtKill()).
 *
 * A packet refers to its row by a number that holds the row's generation: a row that is gone is noticed, never mistaken.
 */
import { jhash3words } from "../../lib/jhash.ts";
import { POOL_FREE, POOL_IN_USE, type Slab, slabAlloc, slabCreate, slabFree, slabWords } from "../../lib/pool.ts";
import { getRandomU32 } from "../../lib/random.ts";
import { halfTable, halfWords, halves, words, wordTable } from "../../lib/table.ts";
import { createTimer, delTimer, jiffies, modTimer, TIMER_WORDS, timerReduce } from "../../lib/timer.ts";
import { IPPROTO_TCP } from "../../uapi/in.ts";
import { IPS_ASSURED, IPS_CONFIRMED, IPS_DYING, TCP_CONNTRACK_CLOSE, TCP_CONNTRACK_FIN_WAIT } from "../../uapi/nf-conntrack.ts";
import type { Net } from "../core/net.ts";
import { ctHelpers, ctNat, nfCtPartsInit } from "./nf-conntrack-parts.ts";

/*
 * A row: two tuples, of the direction of the first packet and of the answers. Linux: struct nf_conntrack_tuple.
 */
export const TUPLE_SADDR = 0;
export const TUPLE_DADDR = 1;
/** Source port << 16 | destination port; ICMP: id << 16 | type << 8 | code; 0 for protocols without. */
export const TUPLE_PORTS = 2;
export const TUPLE_WORDS = 3;
/** Protocol | number of the namespace << 8: part of both tuples. */
export const CT_L4 = 6;
/** Two halves: the next node of each direction's bucket. */
const CT_NEXT = 7;
/** When it expires, in jiffies; before it is confirmed: after how many ms. */
export const CT_TIMEOUT = 8;
/** IPS_* | generation << 16. */
export const CT_STATUS = 9;
/** The protocol's own: of TCP see nf-conntrack-tcp-window.ts, of UDP when a flow begins to count as a stream. */
export const CT_PROTO = 10;
export const CT_PROTO_WORDS = 14;
/** In CT_PROTO of TCP: TCP_CONNTRACK_*. */
export const CT_TCP_STATE = 15;
const CT_WORDS = CT_PROTO + CT_PROTO_WORDS;

/** Counters. Linux: struct ip_conntrack_stat. */
export const CT_STAT_INVALID = 0;
export const CT_STAT_INSERT = 1;
export const CT_STAT_INSERT_FAILED = 2;
/** Packets dropped as the table was full. */
export const CT_STAT_DROP = 3;
export const CT_STAT_EARLY_DROP = 4;
/** ICMP errors about no known connection. */
export const CT_STAT_ERROR = 5;
export const CT_STATS = 6;

const NO_NODE = 0xffff;
const GENERATION_SHIFT = 16;
/** Generations go from 1 up to this. */
const GENERATIONS = 8191;
/** In a packet's reference: ctinfo in the low 3 bits, the row's index, its generation. */
const REF_INDEX_SHIFT = 3;
const REF_GENERATION_SHIFT = 19;
/** Rows of first packets on their way. A packet's way may make others', such as a redirect's or a reset's. */
const UNCONFIRMED = 4;
/** Least time between two sweeps. */
const GC_MS = 1000;
/** Buckets that are searched for somebody to drop. Linux: NF_CT_EVICTION_RANGE. */
const EVICTION_RANGE = 8;

/** In a table that full, hundredths, the sweep takes out what may go. Linux: nf_conntrack_max95. */
const PRESSURE_PERCENT = 95;

let rows = 0;
let rowCount = 0;
let slab: Slab;
/** Where in `halves` the first node of each bucket is: index << 1 | direction. */
let heads = 0;
let bucketMask = 0;
let hashKey = 0;
let gcTimer = 0;
/** Rows that are not confirmed, 0 for none, and where the next one goes. */
let unconfirmed = 0;
let unconfirmedAt = 0;
let stats = 0;

function buckets(count: number): number {
  let size = 4;
  while (size < count) size <<= 1;
  return size;
}

/** Words of a table of so many connections. */
export function nfCtTableWords(count: number): number {
  return count * CT_WORDS + slabWords(count) + halfWords(buckets(count)) + TIMER_WORDS + UNCONFIRMED + CT_STATS;
}

/** Boot time. @param count connections of all namespaces, up to 32766 */
export function nfCtTableInit(count: number): void {
  nfCtPartsInit();
  rowCount = count;
  rows = wordTable("nf_conntrack", count * CT_WORDS);
  for (let i = 0; i < count; i++) words[rows + i * CT_WORDS + CT_STATUS] = 1 << GENERATION_SHIFT;
  slab = slabCreate("nf_conntrack", count);
  heads = halfTable("nf_conntrack_hash", buckets(count), NO_NODE);
  bucketMask = buckets(count) - 1;
  hashKey = getRandomU32();
  unconfirmed = wordTable("nf_conntrack", UNCONFIRMED);
  unconfirmedAt = 0;
  stats = wordTable("nf_conntrack_stat", CT_STATS);
  gcTimer = createTimer("nf_conntrack", gc, 0);
}

/** @param stat CT_STAT_* */
export function nfCtCount(stat: number): void {
  words[stats + stat]!++;
}

/** A counter, since boot, of all namespaces. @param stat CT_STAT_* */
export function nfCtStat(stat: number): number {
  return words[stats + stat]! >>> 0;
}

function bucketOf(saddr: number, daddr: number, ports: number, l4: number): number {
  return jhash3words(saddr, daddr, ports, hashKey ^ l4) & bucketMask;
}

/** Where the row of an index begins in `words`. */
function rowAt(index: number): number {
  return rows + index * CT_WORDS;
}

/** The number of a row, from 0: for tables of parts that keep more of each connection. */
export function nfCtIndex(row: number): number {
  return ((row - rows) / CT_WORDS) | 0;
}

/** What a packet keeps of its connection. @param ctinfo IP_CT_* */
export function nfCtRef(row: number, ctinfo: number): number {
  const index = ((row - rows) / CT_WORDS) | 0;
  return ((words[row + CT_STATUS]! >>> GENERATION_SHIFT) << REF_GENERATION_SHIFT) | (index << REF_INDEX_SHIFT) | ctinfo;
}

/** The row of a packet's connection; -1 when there is none, or none any more. Linux: nf_ct_get(). */
export function nfCtGet(ref: number): number {
  const index = (ref >> REF_INDEX_SHIFT) & 0xffff;
  if (index >= rowCount) return -1;
  const row = rowAt(index);
  return words[row + CT_STATUS]! >>> GENERATION_SHIFT === ref >>> REF_GENERATION_SHIFT ? row : -1;
}

/** The row and direction of what a lookup found. */
export function nfCtNodeRow(node: number): number {
  return rowAt(node >> 1);
}

/** @returns row index << 1 | direction; -1 when nobody has that tuple. Linux: nf_conntrack_find_get(). */
export function nfCtFind(saddr: number, daddr: number, ports: number, l4: number): number {
  let node = halves[heads + bucketOf(saddr, daddr, ports, l4)]!;
  while (node !== NO_NODE) {
    const row = rowAt(node >> 1);
    const tuple = (node & 1) === 0 ? row : row + TUPLE_WORDS;
    if (
      words[tuple + TUPLE_PORTS] === ports && words[tuple + TUPLE_SADDR] === saddr && words[tuple + TUPLE_DADDR] === daddr
      && words[row + CT_L4] === l4 && ((words[row + CT_TIMEOUT]! - jiffies) | 0) > 0
    ) return node;
    node = halves[((row + CT_NEXT) << 1) + (node & 1)]!;
  }
  return -1;
}

/**
 * A row for a connection whose first packet has these, not confirmed. When there is none left, who is not assured makes room.
 * Linux: __nf_conntrack_alloc(). @param replyPorts of the tuple of answers @returns -1 when all are assured
 */
export function nfCtAlloc(saddr: number, daddr: number, ports: number, replyPorts: number, l4: number): number {
  if (words[slab + POOL_FREE]! < 0) earlyDrop(bucketOf(saddr, daddr, ports, l4), l4);
  const index = slabAlloc(slab);
  if (index < 0) {
    // Those that are about to end make room, but not now.
    timerReduce(gcTimer, jiffies);
    return -1;
  }
  const row = rowAt(index);
  words[row + TUPLE_SADDR] = words[row + TUPLE_WORDS + TUPLE_DADDR] = saddr;
  words[row + TUPLE_DADDR] = words[row + TUPLE_WORDS + TUPLE_SADDR] = daddr;
  words[row + TUPLE_PORTS] = ports;
  words[row + TUPLE_WORDS + TUPLE_PORTS] = replyPorts;
  words[row + CT_L4] = l4;
  words[row + CT_TIMEOUT] = words[row + CT_PROTO] = 0;
  keepForItsPacket(row);
  return row;
}

/** A row that is in no bucket: only the packets that refer to it know of it, for as long as they are on their way. */
function keepForItsPacket(row: number): void {
  const slot = unconfirmed + unconfirmedAt;
  unconfirmedAt = (unconfirmedAt + 1) % UNCONFIRMED;
  const old = words[slot]!;
  words[slot] = row;
  if (old !== 0) free(old);
  timerReduce(gcTimer, (jiffies + GC_MS) | 0);
}

/** Takes what is not assured out of the buckets from one on, until there was something. Linux: early_drop(). */
function earlyDrop(first: number, l4: number): void {
  const range = bucketMask + 1 < EVICTION_RANGE ? bucketMask + 1 : EVICTION_RANGE;
  for (let i = 0; i < range; i++) {
    const head = heads + ((first + i) & bucketMask);
    let dropped = false;
    let node = halves[head]!;
    while (node !== NO_NODE) {
      const row = rowAt(node >> 1);
      const expired = ((words[row + CT_TIMEOUT]! - jiffies) | 0) <= 0;
      if (expired || ((words[row + CT_STATUS]! & IPS_ASSURED) === 0 && words[row + CT_L4]! >>> 8 === l4 >>> 8)) {
        if (!expired) nfCtCount(CT_STAT_EARLY_DROP);
        nfCtDelete(row);
        dropped = true;
        // Its other node may have been the next one.
        node = halves[head]!;
      } else {
        node = halves[((row + CT_NEXT) << 1) + (node & 1)]!;
      }
    }
    if (dropped) return;
  }
}

/** Gives a row back that is in no bucket; packets that refer to it will not find it. */
function free(row: number): void {
  if (ctNat !== null) ctNat.destroy(row);
  if (ctHelpers !== null) ctHelpers.destroy(row);
  const generation = words[row + CT_STATUS]! >>> GENERATION_SHIFT;
  words[row + CT_STATUS] = (generation === GENERATIONS ? 1 : generation + 1) << GENERATION_SHIFT;
  slabFree(slab, ((row - rows) / CT_WORDS) | 0);
}

function forgetUnconfirmed(row: number): void {
  for (let i = 0; i < UNCONFIRMED; i++) if (words[unconfirmed + i] === row) words[unconfirmed + i] = 0;
}

/** Puts a direction of a row into its bucket. */
function link(row: number, direction: number): void {
  const tuple = row + direction * TUPLE_WORDS;
  const head = heads
    + bucketOf(words[tuple + TUPLE_SADDR]!, words[tuple + TUPLE_DADDR]!, words[tuple + TUPLE_PORTS]!, words[row + CT_L4]!);
  halves[((row + CT_NEXT) << 1) + direction] = halves[head]!;
  halves[head] = ((((row - rows) / CT_WORDS) | 0) << 1) | direction;
}

function unlink(row: number, direction: number): void {
  const tuple = row + direction * TUPLE_WORDS;
  const node = ((((row - rows) / CT_WORDS) | 0) << 1) | direction;
  let at = heads
    + bucketOf(words[tuple + TUPLE_SADDR]!, words[tuple + TUPLE_DADDR]!, words[tuple + TUPLE_PORTS]!, words[row + CT_L4]!);
  while (halves[at] !== node) {
    const other = halves[at]!;
    at = ((rowAt(other >> 1) + CT_NEXT) << 1) + (other & 1);
  }
  halves[at] = halves[((row + CT_NEXT) << 1) + direction]!;
}

/**
 * The connection's first packet got through: others find it from now on. Linux: __nf_conntrack_confirm().
 * @returns its row; another one's that has the same two tuples, which came in between, or -1 when only one of them is taken: then the
 * row is given back (nf_ct_resolve_clash())
 */
export function nfCtConfirm(row: number): number {
  const l4 = words[row + CT_L4]!;
  forgetUnconfirmed(row);
  const reply = row + TUPLE_WORDS;
  const there = nfCtFind(words[row + TUPLE_SADDR]!, words[row + TUPLE_DADDR]!, words[row + TUPLE_PORTS]!, l4);
  const back = nfCtFind(words[reply + TUPLE_SADDR]!, words[reply + TUPLE_DADDR]!, words[reply + TUPLE_PORTS]!, l4);
  if (there >= 0 || back >= 0) {
    nfCtCount(CT_STAT_INSERT_FAILED);
    free(row);
    return (there & 1) === 0 && back === there + 1 ? nfCtNodeRow(there) : -1;
  }
  link(row, 0);
  link(row, 1);
  words[row + CT_STATUS]! |= IPS_CONFIRMED;
  nfCtRefresh(row, words[row + CT_TIMEOUT]!);
  nfCtCount(CT_STAT_INSERT);
  return row;
}

/**
 * Ends a connection by a packet of it, which is still on its way and may be translated as its others were: nobody else finds the
 * connection from now on. Linux: nf_ct_kill(), with the packet's reference.
 */
export function nfCtKill(row: number): void {
  unlink(row, 0);
  unlink(row, 1);
  words[row + CT_STATUS] = (words[row + CT_STATUS]! & ~IPS_CONFIRMED) | IPS_DYING;
  keepForItsPacket(row);
}

/** Ends a connection; packets that refer to it lose it. */
export function nfCtDelete(row: number): void {
  if ((words[row + CT_STATUS]! & IPS_CONFIRMED) !== 0) {
    unlink(row, 0);
    unlink(row, 1);
  } else {
    forgetUnconfirmed(row);
  }
  free(row);
}

/** The connection lives that long from now on. @param timeout in ms. Linux: nf_ct_refresh(). */
export function nfCtRefresh(row: number, timeout: number): void {
  if ((words[row + CT_STATUS]! & IPS_CONFIRMED) === 0) {
    words[row + CT_TIMEOUT] = timeout;
    return;
  }
  const expires = (jiffies + timeout) | 0;
  words[row + CT_TIMEOUT] = expires;
  timerReduce(gcTimer, expires);
}

/** The state of a TCP connection, TCP_CONNTRACK_*. */
export function nfCtTcpState(row: number): number {
  return words[row + CT_PROTO]! & CT_TCP_STATE;
}

/** Is a TCP connection's end under way, so that it may make room for others? Linux: tcp_can_early_drop(). */
export function nfCtTcpEnding(row: number): boolean {
  const state = nfCtTcpState(row);
  return state >= TCP_CONNTRACK_FIN_WAIT && state <= TCP_CONNTRACK_CLOSE;
}

/** May a connection be taken out before its time? Linux: gc_worker_can_early_drop(). */
function mayGo(row: number): boolean {
  return (words[row + CT_STATUS]! & IPS_ASSURED) === 0 || ((words[row + CT_L4]! & 0xff) === IPPROTO_TCP && nfCtTcpEnding(row));
}

/** Takes out what has expired, and what was never confirmed; sleeps until the next one does. Linux: gc_worker(). */
function gc(): void {
  const pressure = ((rowCount * PRESSURE_PERCENT) / 100) | 0;
  for (let i = 0; i < UNCONFIRMED; i++) if (words[unconfirmed + i] !== 0) nfCtDelete(words[unconfirmed + i]!);
  let left = false;
  let soonest = 0;
  for (let i = 0; i < rowCount; i++) {
    const row = rowAt(i);
    if ((words[row + CT_STATUS]! & IPS_CONFIRMED) === 0) continue;
    const delay = (words[row + CT_TIMEOUT]! - jiffies) | 0;
    if (delay <= 0) {
      nfCtDelete(row);
    } else if (words[slab + POOL_IN_USE]! >= pressure && mayGo(row)) {
      nfCtCount(CT_STAT_EARLY_DROP);
      nfCtDelete(row);
    } else if (!left || delay < soonest) {
      left = true;
      soonest = delay;
    }
  }
  if (left) modTimer(gcTimer, (jiffies + (soonest < GC_MS ? GC_MS : soonest)) | 0);
}

/** The next connection of a namespace behind a row, the first one behind -1; -1 when there is none. For text. */
export function nfCtNext(net: Net, row: number): number {
  for (let at = row < 0 ? rows : row + CT_WORDS; at < rows + rowCount * CT_WORDS; at += CT_WORDS) {
    const mine = (words[at + CT_STATUS]! & IPS_CONFIRMED) !== 0 && words[at + CT_L4]! >>> 8 === net.id;
    if (mine && ((words[at + CT_TIMEOUT]! - jiffies) | 0) > 0) return at;
  }
  return -1;
}

/** Ends one of them. @param nth as nfCtNext() comes by it, from 0; none there: nothing. For commands. */
export function nfConntrackDelete(net: Net, nth: number): void {
  let row = nfCtNext(net, -1);
  for (let i = 0; i < nth && row >= 0; i++) row = nfCtNext(net, row);
  if (row >= 0) nfCtDelete(row);
}

/** Ends all connections of a namespace. Linux: nf_ct_iterate_cleanup(). */
export function nfConntrackFlush(net: Net): void {
  for (let i = 0; i < UNCONFIRMED; i++) {
    const row = words[unconfirmed + i]!;
    if (row !== 0 && words[row + CT_L4]! >>> 8 === net.id) nfCtDelete(row);
  }
  let any = false;
  for (let i = 0; i < rowCount; i++) {
    const row = rowAt(i);
    if ((words[row + CT_STATUS]! & IPS_CONFIRMED) === 0) continue;
    if (words[row + CT_L4]! >>> 8 === net.id) nfCtDelete(row);
    else any = true;
  }
  if (!any) delTimer(gcTimer);
}
