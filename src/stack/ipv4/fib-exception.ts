/**
 * Exceptions to a route for single destinations: a smaller path MTU, a better gateway. Linux: struct fib_nh_exception,
 * update_or_create_fnhe(), find_exception() and ip_del_fnhe() of net/ipv4/route.c. Owns their rows; when all are taken the one
 * that ends first makes room.
 *
 * Read first: RFC 1191 sections 3 and 6.3 (path MTU and its ageing), RFC 1122 section 3.2.2.2 (redirect).
 */
import { POOL_IN_USE, POOL_SIZE, POOL_WORDS, rowAlloc, rowFree, type RowPool, rowsCreate, rowsLeft } from "../../lib/pool.ts";
import { words, wordTable } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import type { Net } from "../core/net.ts";
import { headsFor } from "./fib-memory.ts";
import { rtCacheFlush } from "./route-cache.ts";
import { rtKeep, rtKept, type Rtable } from "./rtable.ts";

/** Words of an exception, and its columns. */
const FE_INTS = 7;
const FE_NEXT = 0;
/** Next hop that it is an exception of; 0: the row is free. */
const FE_NH = 1;
const FE_DADDR = 2;
/** Gateway to take instead, 0 for none. */
export const FE_GW = 3;
/** Path MTU, 0 for none. */
export const FE_PMTU = 4;
/** jiffies. */
export const FE_EXPIRES = 5;
/** Number of the rtable made for it. */
const FE_KEPT = 6;

let fibExceptionRows: RowPool;
let fibExceptionBase: number;
let fibExceptionHeads: number;
/** Heads of the hash less one: a mask. */
let fibExceptionMask: number;

/** Words that fnheInit() takes. */
export function fnheWords(count: number): number {
  return count * FE_INTS + headsFor(count) + POOL_WORDS;
}

/** Boot time. @param count exceptions of all namespaces */
export function fnheInit(count: number): void {
  const heads = headsFor(count);
  fibExceptionBase = wordTable("ip_fnhe", count * FE_INTS + heads);
  fibExceptionHeads = fibExceptionBase + count * FE_INTS;
  fibExceptionMask = heads - 1;
  fibExceptionRows = rowsCreate("ip_fnhe", fibExceptionBase, count, FE_INTS);
}

function headOf(daddr: number): number {
  return fibExceptionHeads + ((daddr ^ (daddr >>> 16) ^ (daddr >>> 8)) & fibExceptionMask);
}

/** The rtable made for an exception, or null. */
export function fnheKept(ex: number): Rtable | null {
  return rtKept((ex + FE_KEPT) << 1);
}

/** Gives an exception an rtable to keep, whose reference is the exception's; the one before goes. */
export function fnheKeep(ex: number, rt: Rtable | null): void {
  rtKeep((ex + FE_KEPT) << 1, rt);
}

function remove(ex: number): void {
  let link = headOf(words[ex + FE_DADDR]!);
  while (words[link] !== ex) link = words[link]! + FE_NEXT;
  words[link] = words[ex + FE_NEXT]!;
  fnheKeep(ex, null);
  words[ex + FE_NH] = 0;
  rowFree(fibExceptionRows, ex);
}

/** The exception of the next hop for that destination, or 0; one that has ended goes. */
export function fnheFind(nh: number, daddr: number): number {
  if (words[fibExceptionRows + POOL_IN_USE] === 0) return 0;
  let ex = words[headOf(daddr)]!;
  while (ex !== 0 && (words[ex + FE_DADDR] !== daddr || words[ex + FE_NH] !== nh)) ex = words[ex + FE_NEXT]!;
  if (ex === 0 || ((words[ex + FE_EXPIRES]! - jiffies) | 0) > 0) return ex;
  remove(ex);
  return 0;
}

/** The exception that ends first. */
function oldest(): number {
  let first = fibExceptionBase;
  for (let i = 1; i < words[fibExceptionRows + POOL_SIZE]!; i++) {
    const ex = fibExceptionBase + i * FE_INTS;
    if (((words[ex + FE_EXPIRES]! - words[first + FE_EXPIRES]!) | 0) < 0) first = ex;
  }
  return first;
}

/**
 * Learns an exception; what sockets have cached for the namespace is looked up again. @param gw @param pmtu 0: as it was
 * @param lifeMs how long it holds
 */
export function fnheUpdate(net: Net, nh: number, daddr: number, gw: number, pmtu: number, lifeMs: number): void {
  let ex = fnheFind(nh, daddr);
  if (ex === 0) {
    if (rowsLeft(fibExceptionRows) === 0) remove(oldest());
    ex = rowAlloc(fibExceptionRows);
    const head = headOf(daddr);
    words[ex + FE_NEXT] = words[head]!;
    words[head] = ex;
    words[ex + FE_NH] = nh;
    words[ex + FE_DADDR] = daddr;
    words[ex + FE_GW] = words[ex + FE_PMTU] = words[ex + FE_KEPT] = 0;
  }
  if (gw !== 0) words[ex + FE_GW] = gw;
  if (pmtu !== 0) words[ex + FE_PMTU] = pmtu;
  words[ex + FE_EXPIRES] = (jiffies + lifeMs) | 0;
  fnheKeep(ex, null);
  rtCacheFlush(net);
}

/** The next hop goes, and its exceptions with it. */
export function fnheForget(nh: number): void {
  if (words[fibExceptionRows + POOL_IN_USE] === 0) return;
  for (let i = 0; i < words[fibExceptionRows + POOL_SIZE]!; i++) {
    const ex = fibExceptionBase + i * FE_INTS;
    if (words[ex + FE_NH] === nh) remove(ex);
  }
}
