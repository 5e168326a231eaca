/**
 * The neighbour table: who is reachable over which link, and at what link address. Linux: net/core/neighbour.c, the
 * half that finds, makes and removes entries; the states are in neighbour.ts, collection in neigh-gc.ts, times and limits
 * in neigh-parms.ts. Owns each table's pool, hash and counters. A family's resolver (ipv4/arp.ts) makes the table and lends
 * it the operations.
 *
 * Read first: RFC 4861 section 7.3 (the states, which Linux uses for ARP too).
 */
import { account } from "../../lib/account.ts";
import { memReserve } from "../../lib/memory.ts";
import { NotifierChain, notifierChainCall } from "../../lib/notifier.ts";
import { type Pool, type Pooled, poolAlloc, poolCreate, poolFree } from "../../lib/pool.ts";
import { getRandomU32 } from "../../lib/random.ts";
import { wordTable, words } from "../../lib/table.ts";
import { createTimer, delTimer, jiffies, TIMER_WORDS } from "../../lib/timer.ts";
import { SKB_DROP_REASON_NEIGH_DEAD } from "../../uapi/drop-reason.ts";
import { NUD_NONE, NUD_PERMANENT } from "../../uapi/rtnetlink.ts";
import { neighGcMakeRoom, neighGcStart, neighPeriodicGc } from "./neigh-gc.ts";
import { createNeighParms, drawReachableTimes, type NeighParms } from "./neigh-parms.ts";
import type { NetDevice } from "./net-device.ts";
import { kfreeSkb, SKB_OVERHEAD_BYTES, skbBufferBytes, skbBuffersAvailable, type SkBuff } from "./skbuff.ts";

/** Words of a kept header: the longest kind is Ethernet's, with NET_IP_ALIGN in front of it. Linux: HH_DATA_MOD. */
export const HH_WORDS = 4;
/** Packet memory of each neighbour. */
export const NEIGH_MEMORY_BYTES = HH_WORDS * 4;

const imul = Math.imul;

/** Events of the neighbours' chain: state or link address changed; off the table; a program is asked for the address (ARPD). */
export const NEIGH_CHANGED = 1;
export const NEIGH_REMOVED = 2;
export const NEIGH_SOLICITED = 3;

/** Neighbour.flags beside NTF_*, which are its low 8 bits: off the table; where the protocol that it came by is (RTPROT_*). */
export const NEIGH_DEAD = 0x10000;
export const NEIGH_PROTOCOL_SHIFT = 8;

// Words of a table's row (NeighTable.row). Linux: last_rand and last_flush of struct neigh_table, struct neigh_statistics.
/** jiffies when the reachable times were drawn, and when entries were last sacrificed for new ones. */
export const NEIGH_REACHABLE_DRAWN = 0;
export const NEIGH_LAST_FLUSH = 1;
/** Entries made and given back. */
export const NEIGH_ALLOCS = 2;
export const NEIGH_DESTROYS = 3;
/** Packets that a full queue pushed out. */
export const NEIGH_UNRES_DISCARDS = 4;
/** Resolutions that failed. */
export const NEIGH_RES_FAILED = 5;
export const NEIGH_PERIODIC_GC_RUNS = 6;
export const NEIGH_FORCED_GC_RUNS = 7;
/** New entries refused because every one was worth more. */
export const NEIGH_TABLE_FULLS = 8;
const ROW_WORDS = 9;

/** Who wants to hear of entries that change. Linux: netevent_notif_chain and __neigh_notify(). */
export let neighChain: NotifierChain<Neighbour>;

/** What a family's resolver does. Linux: the ops of struct neigh_table and struct neigh_ops. */
export interface NeighOps {
  /** Sets state and address of a new entry that needs no resolution: 0, or a negative errno for no entry at all. */
  construct(neigh: Neighbour): number;
  /** Asks for the neighbour's address. @param skb a packet that waits for it, or null */
  solicit(neigh: Neighbour, skb: SkBuff | null): void;
  /** Takes a packet that cannot be delivered: tells its sender and drops it. */
  errorReport(neigh: Neighbour, skb: SkBuff): void;
  /** Sends a packet that has its link header: netif's devQueueXmit, which core may not import. */
  queueXmit(skb: SkBuff): number;
}

export class Neighbour implements Pooled {
  /** NUD_*. Only neighbour.ts changes it. */
  nudState = NUD_NONE;
  /** Link address, first two bytes and last four. */
  haHi = 0;
  haLo = 0;
  /**
   * Where the header of the packets to it is kept (Linux: hh_cache): index in mem32 of HH_WORDS words that end with it;
   * negative while nothing is kept.
   */
  hh = 0;
  dev: NetDevice | null = null;
  readonly tbl: NeighTable;
  /** Protocol address. */
  key = 0;
  hashNext: Neighbour | null = null;
  /** jiffies of the last packet sent to an address that was not sure. */
  used = 0;
  /** jiffies of the last proof of reachability. */
  confirmed = 0;
  /** jiffies of the last change. */
  updated = 0;
  /** Questions asked since the last answer; from ucastProbes on they are broadcast. */
  probes = 0;
  /** Packets that wait for the address: a chain (skb-queue.ts). */
  queue: SkBuff | null = null;
  readonly timer: number;
  /** The table's own reference and those who would be surprised if the entry became another's. */
  refcnt = 0;
  /** NTF_*, NEIGH_DEAD, and the protocol. */
  flags = NEIGH_DEAD;
  poolNext: Pooled | null = null;

  constructor(tbl: NeighTable, timer: number) {
    this.tbl = tbl;
    this.timer = timer;
  }
}

export class NeighTable {
  /** The entry found last, null for none: packets come in trains. */
  last: Neighbour | null = null;
  heads: (Neighbour | null)[] = [];
  mask = 0;
  /** Bits of the product that are not the bucket. */
  hashShift = 0;
  /** Secret odd factor of the hash (Linux: hash_rnd, arp_hashfn()). */
  hashRnd = 1;
  readonly ops: NeighOps;
  /** Those of every device without its own. */
  readonly parms: NeighParms = createNeighParms();
  pool: Pool<Neighbour> | null = null;
  gcTimer = 0;
  /** By the argument of their timers. */
  readonly entries: Neighbour[] = [];
  /** Counters and the like: NEIGH_* words. */
  row = 0;
  readonly family: number;

  constructor(family: number, ops: NeighOps) {
    this.family = family;
    this.ops = ops;
  }
}

/** Words of a table of `count` entries. */
export function neighTableWords(count: number): number {
  return (count + 1) * TIMER_WORDS + ROW_WORDS;
}

/** Makes a table of `count` entries. Boot time, after skbInit(). @param timerFn the states' timer function */
export function createNeighTableWith(
  name: string, family: number, count: number, ops: NeighOps, timerFn: (neigh: Neighbour) => void,
): NeighTable {
  neighChain = account("neigh_table", new NotifierChain<Neighbour>());
  const tbl = account("neigh_table", new NeighTable(family, ops));
  let buckets = 4;
  while (buckets < count) buckets <<= 1;
  tbl.heads = account("neigh_table", new Array<Neighbour | null>(buckets).fill(null));
  tbl.mask = buckets - 1;
  tbl.hashRnd = getRandomU32() | 1;
  tbl.hashShift = Math.clz32(tbl.mask);
  tbl.row = wordTable(name, ROW_WORDS);
  words[tbl.row + NEIGH_LAST_FLUSH] = jiffies;
  const kept = memReserve(count * NEIGH_MEMORY_BYTES, 4) >> 2;
  const onTimer = (index: number): void => timerFn(tbl.entries[index]!);
  account("neigh_table", tbl.entries);
  tbl.pool = poolCreate(name, count, (index) => {
    const neigh = new Neighbour(tbl, createTimer(name, onTimer, index));
    neigh.hh = -(kept + index * HH_WORDS);
    tbl.entries.push(neigh);
    return neigh;
  });
  tbl.gcTimer = createTimer(name, () => neighPeriodicGc(tbl), 0);
  const buffers = skbBuffersAvailable() >> 3;
  tbl.parms.queueLenBytes = (buffers < 3 ? 3 : buffers) * (skbBufferBytes + SKB_OVERHEAD_BYTES);
  drawReachableTimes(tbl);
  return tbl;
}

/** The entry for an address on a link, or null. No reference is taken. Linux: neigh_lookup(). */
export function neighLookup(tbl: NeighTable, key: number, dev: NetDevice): Neighbour | null {
  let neigh = tbl.heads[imul(key ^ dev.ifindex, tbl.hashRnd) >>> tbl.hashShift] as Neighbour | null;
  while (neigh !== null) {
    if (neigh.key === key && neigh.dev === dev) {
      tbl.last = neigh;
      return neigh;
    }
    neigh = neigh.hashNext;
  }
  return null;
}

/**
 * A new entry for an address that has none. If there is no room, the least valuable one goes. Linux: __neigh_create().
 * @returns null when every entry is worth more, or the resolver refuses
 */
export function neighCreate(tbl: NeighTable, key: number, dev: NetDevice): Neighbour | null {
  const pool = tbl.pool!;
  const neigh = neighGcMakeRoom(tbl) ? poolAlloc(pool) : null;
  if (neigh === null) {
    words[tbl.row + NEIGH_TABLE_FULLS]!++;
    return null;
  }
  neigh.nudState = NUD_NONE;
  neigh.haHi = neigh.haLo = 0;
  neighForgetHeader(neigh);
  neigh.dev = dev;
  neigh.key = key;
  neigh.used = neigh.updated = jiffies;
  neigh.confirmed = (jiffies - (tbl.parms.reachableTimeMs << 1)) | 0;
  neigh.probes = 0;
  neigh.refcnt = 1;
  neigh.flags = NEIGH_DEAD;
  if (tbl.ops.construct(neigh) < 0) {
    neigh.dev = null;
    poolFree(pool, neigh);
    return null;
  }
  neigh.flags = 0;
  words[tbl.row + NEIGH_ALLOCS]!++;
  const slot = imul(key ^ dev.ifindex, tbl.hashRnd) >>> tbl.hashShift;
  neigh.hashNext = tbl.heads[slot] as Neighbour | null;
  tbl.heads[slot] = neigh;
  neighGcStart(tbl);
  return neigh;
}

/** The header of packets to it is not what it was. */
export function neighForgetHeader(neigh: Neighbour): void {
  if (neigh.hh > 0) neigh.hh = -neigh.hh;
}

/** Tells who listens. @param event NEIGH_* */
export function neighNotify(neigh: Neighbour, event: number): void {
  if (neighChain.first !== null) notifierChainCall(neighChain, event, neigh);
}

/** Keeps an entry from being given to another address. */
export function neighHold(neigh: Neighbour): void {
  neigh.refcnt++;
}

/** Gives a reference back. */
export function neighRelease(neigh: Neighbour): void {
  if (--neigh.refcnt !== 0) return;
  const tbl = neigh.tbl;
  words[tbl.row + NEIGH_DESTROYS]!++;
  neigh.dev = null;
  poolFree(tbl.pool!, neigh);
}

/** Takes the packet that has waited longest for an address, or null. */
export function neighDequeue(neigh: Neighbour): SkBuff | null {
  const skb = neigh.queue;
  if (skb !== null) {
    neigh.queue = skb.next;
    skb.next = null;
  }
  return skb;
}

/** Drops all packets that wait for an address, for that reason. */
export function neighPurge(neigh: Neighbour, reason: number): void {
  for (let skb = neighDequeue(neigh); skb !== null; skb = neighDequeue(neigh)) kfreeSkb(skb, reason);
}

/** Takes an entry off the table: its timer stops, its packets go. Linux: neigh_remove_one(). */
export function neighRemove(neigh: Neighbour): void {
  const tbl = neigh.tbl;
  const slot = imul(neigh.key ^ neigh.dev!.ifindex, tbl.hashRnd) >>> tbl.hashShift;
  let previous: Neighbour | null = null;
  let at = tbl.heads[slot] as Neighbour | null;
  while (at !== neigh && at !== null) {
    previous = at;
    at = at.hashNext;
  }
  if (at === null) return;
  if (previous === null) tbl.heads[slot] = neigh.hashNext;
  else previous.hashNext = neigh.hashNext;
  neigh.hashNext = null;
  if (tbl.last === neigh) tbl.last = null;
  neigh.flags |= NEIGH_DEAD;
  neighNotify(neigh, NEIGH_REMOVED);
  neigh.nudState = NUD_NONE;
  delTimer(neigh.timer);
  neighPurge(neigh, SKB_DROP_REASON_NEIGH_DEAD);
  neighRelease(neigh);
}

/** Removes a device's entries that are in one of these states (NUD_* bits). Linux: neigh_flush_dev(). */
export function neighFlushDev(tbl: NeighTable, dev: NetDevice, states: number): void {
  for (let slot = 0; slot <= tbl.mask; slot++) {
    let neigh = tbl.heads[slot] as Neighbour | null;
    while (neigh !== null) {
      const next: Neighbour | null = neigh.hashNext;
      if (neigh.dev === dev && (neigh.nudState === NUD_NONE || (neigh.nudState & states) !== 0)) neighRemove(neigh);
      neigh = next;
    }
  }
}

/** A device goes down: all its entries go, static ones too. Linux: neigh_ifdown(). */
export function neighIfdown(tbl: NeighTable, dev: NetDevice): void {
  neighFlushDev(tbl, dev, -1);
}

/** The link is lost: what was learned on it may be wrong when it comes back. Linux: neigh_carrier_down(). */
export function neighCarrierDown(tbl: NeighTable, dev: NetDevice): void {
  neighFlushDev(tbl, dev, ~NUD_PERMANENT);
}

/** Calls the visitor with each entry (commands). The visitor may remove the entry it is given. */
export function neighForEach(tbl: NeighTable, visit: (neigh: Neighbour) => void): void {
  for (let slot = 0; slot <= tbl.mask; slot++) {
    let neigh = tbl.heads[slot] as Neighbour | null;
    while (neigh !== null) {
      const next: Neighbour | null = neigh.hashNext;
      visit(neigh);
      neigh = next;
    }
  }
}
