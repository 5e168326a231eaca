/**
 * Exceptions to a route for single destinations: a smaller path MTU, a better gateway. Linux: struct fib_nh_exception,
 * update_or_create_fnhe(), find_exception() and ip_del_fnhe() of net/ipv4/route.c. Owns their rows; when all are taken the one
 * that ends first makes room.
 *
 * Read first: RFC 1191 sections 3 and 6.3 (path MTU and its ageing), RFC 1122 section 3.2.2.2 (redirect).
 */
import { account } from "../../lib/account.ts";
import { POOL_IN_USE, POOL_SIZE } from "../../lib/pool.ts";
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import type { Net } from "../core/net.ts";
import {
  FE_INTS, fibExceptionBase, fibExceptionHeads, fibExceptionMask, fibExceptionRows, fibMem, fibRowAlloc, fibRowFree, fibRowsLeft,
} from "./fib-memory.ts";
import { rtCacheFlush } from "./route-cache.ts";
import { type Rtable, rtCacheDrop } from "./rtable.ts";

/** Columns of an exception. */
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

/** The rtables made for them. */
let kept: (Rtable | null)[];

/** Boot time, after fibMemoryInit(). */
export function fibExceptionInit(count: number): void {
  kept = account("ip_fnhe", new Array<Rtable | null>(count).fill(null));
}

function headOf(daddr: number): number {
  return fibExceptionHeads + ((daddr ^ (daddr >>> 16) ^ (daddr >>> 8)) & fibExceptionMask);
}

function slotOf(ex: number): number {
  return (ex - fibExceptionBase) / FE_INTS | 0;
}

/** The rtable made for an exception, or null. */
export function fnheKept(ex: number): Rtable | null {
  return kept[slotOf(ex)]!;
}

/** Gives an exception an rtable to keep, whose reference is the exception's; the one before goes. */
export function fnheKeep(ex: number, rt: Rtable | null): void {
  const slot = slotOf(ex);
  rtCacheDrop(kept[slot]!);
  kept[slot] = rt;
}

function remove(ex: number): void {
  let link = headOf(fibMem[ex + FE_DADDR]!);
  while (fibMem[link] !== ex) link = fibMem[link]! + FE_NEXT;
  fibMem[link] = fibMem[ex + FE_NEXT]!;
  fnheKeep(ex, null);
  fibMem[ex + FE_NH] = 0;
  fibRowFree(fibExceptionRows, ex);
}

/** The exception of the next hop for that destination, or 0; one that has ended goes. */
export function fnheFind(nh: number, daddr: number): number {
  let ex = fibMem[headOf(daddr)]!;
  while (ex !== 0 && (fibMem[ex + FE_DADDR] !== daddr || fibMem[ex + FE_NH] !== nh)) ex = fibMem[ex + FE_NEXT]!;
  if (ex === 0 || ((fibMem[ex + FE_EXPIRES]! - jiffies) | 0) > 0) return ex;
  remove(ex);
  return 0;
}

/** The exception that ends first. */
function oldest(): number {
  let first = fibExceptionBase;
  for (let i = 1; i < words[fibExceptionRows + POOL_SIZE]!; i++) {
    const ex = fibExceptionBase + i * FE_INTS;
    if (((fibMem[ex + FE_EXPIRES]! - fibMem[first + FE_EXPIRES]!) | 0) < 0) first = ex;
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
    if (fibRowsLeft(fibExceptionRows) === 0) remove(oldest());
    ex = fibRowAlloc(fibExceptionRows);
    const head = headOf(daddr);
    fibMem[ex + FE_NEXT] = fibMem[head]!;
    fibMem[head] = ex;
    fibMem[ex + FE_NH] = nh;
    fibMem[ex + FE_DADDR] = daddr;
    fibMem[ex + FE_GW] = fibMem[ex + FE_PMTU] = 0;
  }
  if (gw !== 0) fibMem[ex + FE_GW] = gw;
  if (pmtu !== 0) fibMem[ex + FE_PMTU] = pmtu;
  fibMem[ex + FE_EXPIRES] = (jiffies + lifeMs) | 0;
  fnheKeep(ex, null);
  rtCacheFlush(net);
}

/** The next hop goes, and its exceptions with it. */
export function fnheForget(nh: number): void {
  if (words[fibExceptionRows + POOL_IN_USE] === 0) return;
  for (let i = 0; i < words[fibExceptionRows + POOL_SIZE]!; i++) {
    const ex = fibExceptionBase + i * FE_INTS;
    if (fibMem[ex + FE_NH] === nh) remove(ex);
  }
}
