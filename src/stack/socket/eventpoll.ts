/**
 * The inside of epoll: instances, watched descriptors, the list of those that may be ready. Linux: fs/eventpoll.c; read
 * first epoll(7). Owns the pools of instances and items. An item hangs its wait-queue entry on what it watches; a
 * wake-up puts it on its instance's ready list, and epollWait() (in epoll.ts) asks each of that list what holds now.
 */
import { type Pool, type Pooled, poolAlloc, poolCreate, poolFree } from "../../lib/pool.ts";
import { EPOLLET, EPOLLEXCLUSIVE, EPOLLIN, EPOLLONESHOT, EPOLLRDNORM, EPOLLWAKEUP } from "../../uapi/poll.ts";
import type { Socket } from "../core/socket.ts";
import { addWaitQueue, removeWaitQueue, WaitQueueEntry, WaitQueueHead, wakeUp } from "../core/wait.ts";

/** The bits of an item that are no events: a one-shot item that fired has only these left. */
export const EP_PRIVATE_BITS = EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE;
/** How deep instances may watch instances. */
const EP_MAX_NESTS = 4;

/** One epoll instance; on its own wait queue is who waits for it to have events. Linux: struct eventpoll. */
export class Eventpoll extends WaitQueueHead implements Pooled {
  /** Items that may be ready, in the order they became so. */
  readyHead: EpItem | null = null;
  readyTail: EpItem | null = null;
  /** All items. */
  items: EpItem | null = null;
  /** Descriptors that refer to it. */
  fileRefs = 0;
  poolNext: Pooled | null = null;
}

/** One watched descriptor. Linux: struct epitem with its eppoll_entry. */
export class EpItem extends WaitQueueEntry implements Pooled {
  ep: Eventpoll | null = null;
  /** What is watched: a socket, or another instance. */
  sock: Socket | null = null;
  target: Eventpoll | null = null;
  /** EPOLL* as asked for, EPOLLERR and EPOLLHUP included. */
  events = 0;
  /** The program's word, given back with each event. */
  data = 0;
  /** In the ready list. */
  ready = false;
  readyNext: EpItem | null = null;
  readyPrev: EpItem | null = null;
  fd = 0;
  /** In the instance's list of all items. */
  itemNext: EpItem | null = null;
  itemPrev: EpItem | null = null;
  poolNext: Pooled | null = null;
}

let epolls: Pool<Eventpoll>;
let items: Pool<EpItem>;

/** Builds the pools. Boot time only. */
export function eventpollInit(epollCount: number, itemCount: number): void {
  epolls = poolCreate("eventpoll", epollCount, () => new Eventpoll());
  items = poolCreate("eventpoll_epi", itemCount, () => {
    const item = new EpItem();
    item.func = epPollCallback;
    return item;
  });
}

/** A new instance, or null (counted by the pool). Linux: ep_alloc(). */
export function eventpollAlloc(): Eventpoll | null {
  const ep = poolAlloc(epolls);
  if (ep !== null) ep.fileRefs = 0;
  return ep;
}

/** Ends an instance and all its items. Linux: ep_free(). */
export function eventpollFree(ep: Eventpoll): void {
  while (ep.items !== null) epRemove(ep.items);
  poolFree(epolls, ep);
}

/** The wait queue of what an item watches. */
function itemWait(item: EpItem): WaitQueueHead {
  return item.sock ?? item.target!;
}

/**
 * What is watched becomes something else's business (it is being closed): every item on it ends. Linux:
 * eventpoll_release().
 */
export function eventpollRelease(wait: WaitQueueHead): void {
  let entry = wait.first;
  while (entry !== null) {
    const next = entry.next;
    if (entry.func === epPollCallback) epRemove(entry as EpItem);
    entry = next;
  }
}

/** The item of that instance for that descriptor of what has the wait queue, or null. Linux: ep_find(). */
export function epFind(ep: Eventpoll, fd: number, wait: WaitQueueHead): EpItem | null {
  for (let entry = wait.first; entry !== null; entry = entry.next) {
    if (entry.func !== epPollCallback) continue;
    const item = entry as EpItem;
    if (item.ep === ep && item.fd === fd) return item;
  }
  return null;
}

/** A new item on a socket or an instance, or null when the pool is empty. Linux: ep_insert(). */
export function epInsert(
  ep: Eventpoll, fd: number, sock: Socket | null, target: Eventpoll | null, events: number, data: number,
): EpItem | null {
  const item = poolAlloc(items);
  if (item === null) return null;
  item.ep = ep;
  item.fd = fd;
  item.sock = sock;
  item.target = target;
  item.events = events;
  item.data = data;
  item.ready = false;
  item.itemPrev = null;
  item.itemNext = ep.items;
  if (ep.items !== null) ep.items.itemPrev = item;
  ep.items = item;
  addWaitQueue(itemWait(item), item);
  epCheck(item);
  return item;
}

/** Ends an item. Linux: ep_remove(). */
export function epRemove(item: EpItem): void {
  const ep = item.ep!;
  removeWaitQueue(itemWait(item), item);
  if (item.ready) epUnready(item);
  const next = item.itemNext;
  const prev = item.itemPrev;
  if (prev === null) ep.items = next;
  else prev.itemNext = next;
  if (next !== null) next.itemPrev = prev;
  item.itemNext = item.itemPrev = null;
  item.ep = null;
  item.sock = null;
  item.target = null;
  poolFree(items, item);
}

/** The EPOLL* bits that hold now for what an item watches, of those it asks for. Linux: ep_item_poll(). */
export function epItemPoll(item: EpItem): number {
  const sock = item.sock;
  const mask = sock !== null ? sock.ops!.poll(sock) : epPoll(item.target!);
  return mask & item.events;
}

/** An instance is readable when one of its ready items really is. Linux: ep_eventpoll_poll(). */
export function epPoll(ep: Eventpoll): number {
  let item = ep.readyHead;
  while (item !== null) {
    const next = item.readyNext;
    if (epItemPoll(item) !== 0) return EPOLLIN | EPOLLRDNORM;
    epUnready(item);
    item = next;
  }
  return 0;
}

/** Puts an item that asks for something true now on the ready list, as EPOLL_CTL_ADD and _MOD do. */
export function epCheck(item: EpItem): void {
  if (epItemPoll(item) !== 0) epSetReady(item);
}

function epSetReady(item: EpItem): void {
  if (item.ready) return;
  epAppendReady(item);
  const ep = item.ep!;
  if (ep.first !== null) wakeUp(ep, EPOLLIN | EPOLLRDNORM);
}

/** Puts an item at the end of the ready list. */
export function epAppendReady(item: EpItem): void {
  const ep = item.ep!;
  const tail = ep.readyTail;
  item.ready = true;
  item.readyPrev = tail;
  item.readyNext = null;
  if (tail === null) ep.readyHead = item;
  else tail.readyNext = item;
  ep.readyTail = item;
}

/** Takes an item off the ready list. */
export function epUnready(item: EpItem): void {
  const ep = item.ep!;
  const next = item.readyNext;
  const prev = item.readyPrev;
  if (prev === null) ep.readyHead = next;
  else prev.readyNext = next;
  if (next === null) ep.readyTail = prev;
  else next.readyPrev = prev;
  item.readyNext = item.readyPrev = null;
  item.ready = false;
}

/** What is watched says that something changed. Linux: ep_poll_callback(). */
function epPollCallback(entry: WaitQueueEntry, events: number): void {
  const item = entry as EpItem;
  const wanted = item.events;
  if ((wanted & ~EP_PRIVATE_BITS) === 0) return;
  if (events !== 0 && (events & wanted) === 0) return;
  epSetReady(item);
}

/** Would `ep` watching `target` close a circle, or nest too deep? Linux: ep_loop_check(). */
export function epLoopCheck(ep: Eventpoll, target: Eventpoll): boolean {
  return epReaches(target, ep, 1) || epDepthAbove(ep, 1) + epDepthBelow(target, 1) > EP_MAX_NESTS + 1;
}

function epReaches(from: Eventpoll, to: Eventpoll, depth: number): boolean {
  if (from === to || depth > EP_MAX_NESTS + 1) return true;
  for (let item = from.items; item !== null; item = item.itemNext) {
    if (item.target !== null && epReaches(item.target, to, depth + 1)) return true;
  }
  return false;
}

function epDepthBelow(ep: Eventpoll, depth: number): number {
  let deepest = depth;
  for (let item = ep.items; item !== null; item = item.itemNext) {
    if (item.target === null) continue;
    const below = epDepthBelow(item.target, depth + 1);
    if (below > deepest) deepest = below;
  }
  return deepest;
}

function epDepthAbove(ep: Eventpoll, depth: number): number {
  let deepest = depth;
  for (let entry = ep.first; entry !== null; entry = entry.next) {
    if (entry.func !== epPollCallback) continue;
    const above = epDepthAbove((entry as EpItem).ep!, depth + 1);
    if (above > deepest) deepest = above;
  }
  return deepest;
}
