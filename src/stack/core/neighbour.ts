/**
 * A neighbour's life: the states of an entry, the packets that wait for its address, and sending to it. Linux:
 * net/core/neighbour.c, the state machine; tables are in neigh-table.ts. Read first: RFC 4861 section 7.3.
 *
 *   NONE --packet--> INCOMPLETE --answer--> REACHABLE --reachableTime without confirmation--> STALE
 *                        |                     ^  ^                                             | packet
 *                        | 3 questions         |  +-------- confirmed within delay ------- DELAY
 *                        v                     |                                             | delayProbeTime
 *                      FAILED <--3 questions---+---------------- answer ------------------ PROBE
 *
 * Packets are sent in all states but NONE, INCOMPLETE and FAILED. One timer per entry serves all states. While
 * confirmed (or static), sending is one call that writes the link header from the address in the entry.
 */
import { mem32, memCopy } from "../../lib/memory.ts";
import { delTimer, jiffies, modTimer } from "../../lib/timer.ts";
import {
  SKB_DROP_REASON_NEIGH_DEAD, SKB_DROP_REASON_NEIGH_FAILED, SKB_DROP_REASON_NEIGH_HH_FILLFAIL,
  SKB_DROP_REASON_NEIGH_QUEUEFULL,
} from "../../uapi/drop-reason.ts";
import { EINVAL, ENOBUFS, ENOENT, EPERM } from "../../uapi/errno.ts";
import {
  NUD_DELAY, NUD_FAILED, NUD_INCOMPLETE, NUD_NOARP, NUD_PERMANENT, NUD_PROBE, NUD_REACHABLE, NUD_STALE,
} from "../../uapi/rtnetlink.ts";
import {
  createNeighTableWith, HH_WORDS, NEIGH_CHANGED, neighCreate, neighDequeue, neighForgetHeader, neighHold, neighLookup, neighNotify,
  neighPurge, neighReachableTime, neighRelease, neighRemove,
  type Neighbour, type NeighOps, type NeighTable,
} from "./neigh-table.ts";
import type { NetDevice } from "./net-device.ts";
import { skbChainLast, skbChainTail, skbChainTruesize } from "./skb-queue.ts";
import { kfreeSkb, type SkBuff } from "./skbuff.ts";

export {
  NEIGH_CHANGED, NEIGH_REMOVED, neighCarrierDown, neighChain, neighCreate, neighFlushDev, neighForEach, neighIfdown, neighLookup, neighReachableTime, neighRemove,
  Neighbour, NeighParms, NeighTable, type NeighOps,
} from "./neigh-table.ts";

/** The address may be used without asking. */
export const NUD_CONNECTED = NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE;
/** There is an address. */
export const NUD_VALID = NUD_CONNECTED | NUD_PROBE | NUD_STALE | NUD_DELAY;
/** The timer runs. */
export const NUD_IN_TIMER = NUD_INCOMPLETE | NUD_REACHABLE | NUD_DELAY | NUD_PROBE;

/** neighUpdate: another link address replaces the one known. */
export const NEIGH_UPDATE_F_OVERRIDE = 1;
/** neighUpdate: another link address makes a REACHABLE entry STALE, but keeps the one known. */
export const NEIGH_UPDATE_F_WEAK_OVERRIDE = 2;
/** neighUpdate: a person's order, which may change static entries too. */
export const NEIGH_UPDATE_F_ADMIN = 0x40000000;

/**
 * Makes a table of `count` entries with its pool of that name. Boot time, after skbInit(). Linux: neigh_table_init().
 */
export function createNeighTable(name: string, family: number, count: number, ops: NeighOps): NeighTable {
  return createNeighTableWith(name, family, count, ops, neighTimerHandler);
}

/**
 * Sends a packet to a neighbour: at once with its link header, or when its address is known. The packet is gone then.
 * @param skb data at the network header, protocol and dev set
 * @returns 0 (sent or waiting), or a negative errno. Linux: neigh_output(), neigh_resolve_output()
 */
export function neighOutput(neigh: Neighbour, skb: SkBuff): number {
  if ((neigh.nudState & NUD_CONNECTED) === 0 && neighEventSend(neigh, skb)) return 0;
  const at = skb.data;
  if (neigh.hh > 0 && (at & 3) === 0 && at - (HH_WORDS << 2) >= skb.head) {
    mem32.copyWithin((at >> 2) - HH_WORDS, neigh.hh, neigh.hh + HH_WORDS);
    skb.data = at - neigh.dev!.hardHeaderLen;
    skb.len += neigh.dev!.hardHeaderLen;
  } else if (!makeHeader(neigh, skb)) {
    return -EINVAL;
  }
  return neigh.tbl.ops.queueXmit(skb);
}

/**
 * Has the device write the link header, and keeps it for the packets to come. Linux: dev_hard_header(), neigh_hh_init().
 * @returns false, and the packet dropped, when it cannot
 */
function makeHeader(neigh: Neighbour, skb: SkBuff): boolean {
  const headerOps = neigh.dev!.headerOps;
  if (headerOps === null) return true;
  const end = skb.data;
  if (headerOps.create(skb, neigh.dev!, skb.protocol, neigh.haHi, neigh.haLo) < 0) {
    kfreeSkb(skb, SKB_DROP_REASON_NEIGH_HH_FILLFAIL);
    return false;
  }
  // A table serves one family, so that all its packets have one type.
  const start = end - (HH_WORDS << 2);
  const usual = start >= skb.head && start <= skb.data && end - skb.data === neigh.dev!.hardHeaderLen;
  if (neigh.hh < 0 && usual && (neigh.nudState & NUD_VALID) !== 0) {
    neigh.hh = -neigh.hh;
    memCopy(neigh.hh << 2, start, HH_WORDS << 2);
  }
  return true;
}

/**
 * A packet is to be sent to an address that is not sure: starts what makes it sure.
 * @param skb the packet, or null to only start
 * @returns true when the packet was taken (it waits, or was dropped); false when it may be sent now. Linux:
 *   neigh_event_send()
 */
export function neighEventSend(neigh: Neighbour, skb: SkBuff | null): boolean {
  const now = jiffies;
  const state = neigh.nudState;
  neigh.used = now;
  if ((state & (NUD_CONNECTED | NUD_DELAY | NUD_PROBE)) !== 0) return false;
  const parms = neigh.tbl.parms;
  if (state === NUD_STALE) {
    setState(neigh, NUD_DELAY);
    modTimer(neigh.timer, (now + parms.delayProbeTimeMs) | 0);
    return false;
  }
  if (neigh.dead) {
    if (skb !== null) kfreeSkb(skb, SKB_DROP_REASON_NEIGH_DEAD);
    return true;
  }
  const ask = state !== NUD_INCOMPLETE;
  if (ask) {
    if (parms.mcastProbes === 0) {
      setState(neigh, NUD_FAILED);
      if (skb !== null) kfreeSkb(skb, SKB_DROP_REASON_NEIGH_FAILED);
      return true;
    }
    neigh.probes = parms.ucastProbes;
    setState(neigh, NUD_INCOMPLETE);
    modTimer(neigh.timer, (now + parms.retransTimeMs) | 0);
  }
  if (skb !== null) queueForAddress(neigh, skb);
  if (ask) neighProbe(neigh);
  return true;
}

/** Queues a packet; when the bytes that wait would be too many, the oldest go. */
function queueForAddress(neigh: Neighbour, skb: SkBuff): void {
  const tbl = neigh.tbl;
  const limit = tbl.parms.queueLenBytes;
  let bytes = skbChainTruesize(neigh.queue) + skb.truesize;
  while (bytes > limit) {
    const oldest = neighDequeue(neigh);
    if (oldest === null) break;
    bytes -= oldest.truesize;
    tbl.unresDiscards++;
    kfreeSkb(oldest, SKB_DROP_REASON_NEIGH_QUEUEFULL);
  }
  neigh.queue = skbChainTail(neigh.queue, skb);
}

function setState(neigh: Neighbour, state: number): void {
  neigh.nudState = state;
  neigh.updated = jiffies;
}

/** Asks once more, on behalf of the packet queued last. */
function neighProbe(neigh: Neighbour): void {
  neigh.tbl.ops.solicit(neigh, skbChainLast(neigh.queue));
  neigh.probes++;
}

/** Questions after which a state gives up. */
function neighMaxProbes(neigh: Neighbour): number {
  const parms = neigh.tbl.parms;
  return parms.ucastProbes + (neigh.nudState === NUD_PROBE ? parms.mcastReprobes : parms.mcastProbes);
}

/** The timer of an entry, in every state that has one. Linux: neigh_timer_handler(). */
function neighTimerHandler(neigh: Neighbour): void {
  const parms = neigh.tbl.parms;
  const now = jiffies;
  let next = (now + parms.retransTimeMs) | 0;
  if (neigh.nudState === NUD_REACHABLE) {
    const until = (neigh.confirmed + neighReachableTime(neigh.tbl)) | 0;
    if (((now - until) | 0) < 0) {
      next = until;
    } else if (((now - neigh.used - parms.delayProbeTimeMs) | 0) <= 0) {
      setState(neigh, NUD_DELAY);
      next = (now + parms.delayProbeTimeMs) | 0;
    } else {
      setState(neigh, NUD_STALE);
      neighNotify(neigh, NEIGH_CHANGED);
      return;
    }
  } else if (neigh.nudState === NUD_DELAY) {
    if (((now - neigh.confirmed - parms.delayProbeTimeMs) | 0) <= 0) {
      setState(neigh, NUD_REACHABLE);
      next = (neigh.confirmed + neighReachableTime(neigh.tbl)) | 0;
    } else {
      setState(neigh, NUD_PROBE);
      neigh.probes = 0;
    }
    neighNotify(neigh, NEIGH_CHANGED);
  }
  const asking = (neigh.nudState & (NUD_INCOMPLETE | NUD_PROBE)) !== 0;
  if (asking && neigh.probes >= neighMaxProbes(neigh)) {
    setState(neigh, NUD_FAILED);
    neighNotify(neigh, NEIGH_CHANGED);
    neighInvalidate(neigh);
    return;
  }
  modTimer(neigh.timer, next);
  if (asking) neighProbe(neigh);
}

/** The neighbour does not answer: every packet's sender is told. Linux: neigh_invalidate(). */
function neighInvalidate(neigh: Neighbour): void {
  const tbl = neigh.tbl;
  tbl.resFailed++;
  neigh.updated = jiffies;
  // Telling may ask for new entries: this one must not become one of them meanwhile.
  neighHold(neigh);
  while (neigh.nudState === NUD_FAILED) {
    const skb = neighDequeue(neigh);
    if (skb === null) break;
    tbl.ops.errorReport(neigh, skb);
  }
  neighRelease(neigh);
}

/** Progress proves that packets reach the neighbour. Linux: neigh_confirm(). */
export function neighConfirm(neigh: Neighbour): void {
  neigh.confirmed = jiffies;
}

/**
 * News of a neighbour: a state, and with a state of NUD_VALID its link address (first 2 bytes, last 4).
 * @param flags NEIGH_UPDATE_F_*
 * @returns 0, or -EPERM (a static entry, and no ADMIN). Linux: neigh_update()
 */
export function neighUpdate(neigh: Neighbour, hi: number, lo: number, newState: number, flags: number): number {
  const old = neigh.nudState;
  if (neigh.dead) return -EPERM;
  if ((flags & NEIGH_UPDATE_F_ADMIN) === 0 && (old & (NUD_NOARP | NUD_PERMANENT)) !== 0) return -EPERM;
  if ((newState & NUD_VALID) === 0) {
    delTimer(neigh.timer);
    setState(neigh, newState);
    if ((old & (NUD_INCOMPLETE | NUD_PROBE)) !== 0 && newState === NUD_FAILED) neighInvalidate(neigh);
    if ((old & NUD_VALID) !== 0) neighNotify(neigh, NEIGH_CHANGED);
    return 0;
  }
  const same = (old & NUD_VALID) !== 0 && hi === neigh.haHi && lo === neigh.haLo;
  if ((newState & NUD_CONNECTED) !== 0) neigh.confirmed = jiffies;
  let change = !same;
  if ((old & NUD_VALID) !== 0) {
    if (same) {
      if (newState === NUD_STALE && (flags & NEIGH_UPDATE_F_ADMIN) === 0) return 0;
    } else if ((flags & NEIGH_UPDATE_F_OVERRIDE) === 0) {
      if ((flags & NEIGH_UPDATE_F_WEAK_OVERRIDE) === 0 || (old & NUD_CONNECTED) === 0) return 0;
      change = false;
      newState = NUD_STALE;
    }
  }
  if (newState !== old) {
    neigh.updated = jiffies;
    delTimer(neigh.timer);
    if (newState === NUD_PROBE) neigh.probes = 0;
    if ((newState & NUD_IN_TIMER) !== 0) {
      const wait = newState === NUD_REACHABLE ? neighReachableTime(neigh.tbl) : 0;
      modTimer(neigh.timer, (jiffies + wait) | 0);
    }
    neigh.nudState = newState;
  }
  if (change) {
    neighForgetHeader(neigh);
    neigh.haHi = hi;
    neigh.haLo = lo;
    neigh.updated = jiffies;
    if ((newState & NUD_CONNECTED) === 0) {
      neigh.confirmed = (jiffies - (neigh.tbl.parms.baseReachableTimeMs << 1)) | 0;
    }
  }
  if (change || newState !== old) neighNotify(neigh, NEIGH_CHANGED);
  if ((old & NUD_VALID) === 0) sendWaiting(neigh);
  return 0;
}

/** The address is there: the packets that waited go, in order. */
function sendWaiting(neigh: Neighbour): void {
  neighHold(neigh);
  while ((neigh.nudState & NUD_VALID) !== 0) {
    const skb = neighDequeue(neigh);
    if (skb === null) break;
    neighOutput(neigh, skb);
  }
  neighPurge(neigh, SKB_DROP_REASON_NEIGH_DEAD);
  neighRelease(neigh);
}

/**
 * Hears a neighbour asking for us: its entry is made or brought up to date, as STALE. Linux: neigh_event_ns().
 * @returns the entry, null when there is no room for one
 */
export function neighEventNs(tbl: NeighTable, hi: number, lo: number, key: number, dev: NetDevice): Neighbour | null {
  const known = neighLookup(tbl, key, dev);
  // Most who ask are known already, and hearing the same address again changes nothing.
  if (known !== null && (known.nudState & NUD_VALID) !== 0 && known.haLo === lo && known.haHi === hi) return known;
  const neigh = known ?? neighCreate(tbl, key, dev);
  if (neigh !== null) neighUpdate(neigh, hi, lo, NUD_STALE, NEIGH_UPDATE_F_OVERRIDE);
  return neigh;
}

/**
 * `ip neigh replace KEY lladdr … nud STATE dev DEV`: a person's entry. Linux: neigh_add().
 * @param state NUD_PERMANENT for a static one
 * @returns 0, or -ENOBUFS when there is no room
 */
export function neighSet(
  tbl: NeighTable, key: number, dev: NetDevice, hi: number, lo: number, state: number,
): number {
  const neigh = neighLookup(tbl, key, dev) ?? neighCreate(tbl, key, dev);
  if (neigh === null) return -ENOBUFS;
  return neighUpdate(neigh, hi, lo, state, NEIGH_UPDATE_F_OVERRIDE | NEIGH_UPDATE_F_ADMIN);
}

/** `ip neigh del KEY dev DEV`: its packets are reported as undeliverable. 0 or -ENOENT. Linux: neigh_delete(). */
export function neighDelete(tbl: NeighTable, key: number, dev: NetDevice): number {
  const neigh = neighLookup(tbl, key, dev);
  if (neigh === null) return -ENOENT;
  neighHold(neigh);
  neighUpdate(neigh, 0, 0, NUD_FAILED, NEIGH_UPDATE_F_ADMIN);
  if (!neigh.dead) neighRemove(neigh);
  neighRelease(neigh);
  return 0;
}
