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
import { words } from "../../lib/table.ts";
import { delTimer, jiffies, modTimer } from "../../lib/timer.ts";
import {
  SKB_DROP_REASON_NEIGH_DEAD, SKB_DROP_REASON_NEIGH_FAILED, SKB_DROP_REASON_NEIGH_HH_FILLFAIL,
  SKB_DROP_REASON_NEIGH_QUEUEFULL,
} from "../../uapi/drop-reason.ts";
import { EINVAL, ENOBUFS, ENOENT, EPERM } from "../../uapi/errno.ts";
import {
  NTF_EXT_LEARNED, NTF_ROUTER, NUD_DELAY, NUD_FAILED, NUD_INCOMPLETE, NUD_NOARP, NUD_PERMANENT, NUD_PROBE, NUD_REACHABLE,
  NUD_STALE,
} from "../../uapi/rtnetlink.ts";
import { neighParms, type NeighParms, neighReachableTime } from "./neigh-parms.ts";
import {
  createNeighTableWith, HH_WORDS, NEIGH_CHANGED, NEIGH_DEAD, NEIGH_RES_FAILED, NEIGH_UNRES_DISCARDS, neighCreate, neighDequeue,
  neighForgetHeader, neighHold, neighLookup, neighNotify, neighPurge, neighRelease, neighRemove,
  type Neighbour, type NeighOps, type NeighTable,
} from "./neigh-table.ts";
import type { NetDevice } from "./net-device.ts";
import { skbChainLast, skbChainTail, skbChainTruesize } from "./skb-queue.ts";
import { kfreeSkb, type SkBuff } from "./skbuff.ts";

export { neighParms, NeighParms, neighParmsRelease, neighParmsSet, neighReachableTime, type NeighSettings } from "./neigh-parms.ts";
export {
  NEIGH_CHANGED, NEIGH_PROTOCOL_SHIFT, NEIGH_REMOVED, NEIGH_SOLICITED, neighCarrierDown, neighChain, neighCreate, neighFlushDev,
  neighForEach, neighHold, neighIfdown, neighLookup, neighNotify, neighRelease, neighRemove, Neighbour, NeighTable, type NeighOps,
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
/** neighUpdate: whether the neighbour is a router is news too: it is with NEIGH_UPDATE_F_ISROUTER. */
export const NEIGH_UPDATE_F_OVERRIDE_ISROUTER = 4;
export const NEIGH_UPDATE_F_ISROUTER = 8;
/** neighUpdate: a person's order, which may change static entries too. */
export const NEIGH_UPDATE_F_ADMIN = 16;
/** neighUpdate, with ADMIN: somebody else looks after the entry, which is not collected (NTF_EXT_LEARNED). */
export const NEIGH_UPDATE_F_EXT_LEARNED = 32;
/** neighUpdate: the entry is about to be used: what is static about it ends, and nothing else changes. */
export const NEIGH_UPDATE_F_USE = 64;
/** neighUpdate: no link address comes with the news: that known stays. */
export const NEIGH_UPDATE_F_SAME_LLADDR = 128;

/** Least time between two questions. Linux: HZ / 100. */
const MIN_RETRANS_MS = 10;

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
  const parms = neighParms(neigh);
  if (state === NUD_STALE) {
    setState(neigh, NUD_DELAY);
    modTimer(neigh.timer, (now + parms.delayProbeTimeMs) | 0);
    return false;
  }
  if ((neigh.flags & NEIGH_DEAD) !== 0) {
    if (skb !== null) kfreeSkb(skb, SKB_DROP_REASON_NEIGH_DEAD);
    return true;
  }
  const ask = state !== NUD_INCOMPLETE;
  if (ask) {
    if (parms.mcastProbes + parms.appProbes === 0) {
      setState(neigh, NUD_FAILED);
      if (skb !== null) kfreeSkb(skb, SKB_DROP_REASON_NEIGH_FAILED);
      return true;
    }
    neigh.probes = parms.ucastProbes;
    setState(neigh, NUD_INCOMPLETE);
    modTimer(neigh.timer, (now + retransTime(parms)) | 0);
  }
  if (skb !== null) queueForAddress(neigh, skb);
  if (ask) neighProbe(neigh);
  return true;
}

function retransTime(parms: NeighParms): number {
  return parms.retransTimeMs < MIN_RETRANS_MS ? MIN_RETRANS_MS : parms.retransTimeMs;
}

/** Queues a packet; when the bytes that wait would be too many, the oldest go. */
function queueForAddress(neigh: Neighbour, skb: SkBuff): void {
  const limit = neighParms(neigh).queueLenBytes;
  let bytes = skbChainTruesize(neigh.queue) + skb.truesize;
  while (bytes > limit) {
    const oldest = neighDequeue(neigh);
    if (oldest === null) break;
    bytes -= oldest.truesize;
    words[neigh.tbl.row + NEIGH_UNRES_DISCARDS]!++;
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
function neighMaxProbes(neigh: Neighbour, parms: NeighParms): number {
  return parms.ucastProbes + parms.appProbes + (neigh.nudState === NUD_PROBE ? parms.mcastReprobes : parms.mcastProbes);
}

/** The timer of an entry, in every state that has one. Linux: neigh_timer_handler(). */
function neighTimerHandler(neigh: Neighbour): void {
  const parms = neighParms(neigh);
  const now = jiffies;
  let next = (now + retransTime(parms)) | 0;
  if (neigh.nudState === NUD_REACHABLE) {
    const until = (neigh.confirmed + neighReachableTime(neigh)) | 0;
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
      next = (neigh.confirmed + neighReachableTime(neigh)) | 0;
    } else {
      setState(neigh, NUD_PROBE);
      neigh.probes = 0;
    }
    neighNotify(neigh, NEIGH_CHANGED);
  }
  const asking = (neigh.nudState & (NUD_INCOMPLETE | NUD_PROBE)) !== 0;
  if (asking && neigh.probes >= neighMaxProbes(neigh, parms)) {
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
  words[tbl.row + NEIGH_RES_FAILED]!++;
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
 * What a person says of an entry beside its state and address. @returns whether that is news. Linux: neigh_update_flags(),
 * neigh_update_is_router()
 */
function updateFlags(neigh: Neighbour, mask: number, flag: number): boolean {
  const before = neigh.flags;
  neigh.flags = (before & ~mask) | flag;
  return neigh.flags !== before;
}

/**
 * News of a neighbour: a state, and with a state of NUD_VALID its link address (first 2 bytes, last 4).
 * @param flags NEIGH_UPDATE_F_*
 * @returns 0, -EPERM (a static entry, and no ADMIN; an entry off the table), or -EINVAL (no address is given or known).
 *   Linux: neigh_update()
 */
export function neighUpdate(neigh: Neighbour, hi: number, lo: number, newState: number, flags: number): number {
  const old = neigh.nudState;
  if ((neigh.flags & NEIGH_DEAD) !== 0) return -EPERM;
  let notify = false;
  let err = 0;
  if ((flags & NEIGH_UPDATE_F_ADMIN) !== 0) {
    notify = updateFlags(neigh, NTF_EXT_LEARNED, (flags & NEIGH_UPDATE_F_EXT_LEARNED) !== 0 ? NTF_EXT_LEARNED : 0);
  } else if ((old & (NUD_NOARP | NUD_PERMANENT)) !== 0) {
    return -EPERM;
  }
  if ((flags & NEIGH_UPDATE_F_USE) !== 0) {
    neigh.nudState = old & ~NUD_PERMANENT;
  } else if ((newState & NUD_VALID) === 0) {
    delTimer(neigh.timer);
    neigh.nudState = newState;
    // As on Linux flags alone are no news here.
    notify = (old & NUD_VALID) !== 0;
    if ((old & (NUD_INCOMPLETE | NUD_PROBE)) !== 0 && (newState & NUD_FAILED) !== 0) {
      neighInvalidate(neigh);
      notify = true;
    }
  } else if ((flags & NEIGH_UPDATE_F_SAME_LLADDR) === 0) {
    if (updateValid(neigh, hi, lo, newState, flags)) notify = true;
  } else if ((old & NUD_VALID) === 0) {
    err = -EINVAL;
  } else if (updateValid(neigh, neigh.haHi, neigh.haLo, newState, flags)) {
    notify = true;
  }
  // As on Linux what is told is the state after that: DELAY for an address that came from somebody's question.
  if ((old & NUD_VALID) === 0 && (neigh.nudState & NUD_VALID) !== 0) sendWaiting(neigh);
  if (notify) neighNotify(neigh, NEIGH_CHANGED);
  return err;
}

/** News with a link address. @returns whether anything is another than before */
function updateValid(neigh: Neighbour, hi: number, lo: number, state: number, flags: number): boolean {
  const now = jiffies;
  const old = neigh.nudState;
  let newState = state;
  let change = hi !== neigh.haHi || lo !== neigh.haLo;
  let router = (flags & NEIGH_UPDATE_F_OVERRIDE_ISROUTER) !== 0;
  if ((newState & NUD_CONNECTED) !== 0) neigh.confirmed = now;
  if ((old & NUD_VALID) === 0) {
    change = true;
  } else if (!change) {
    // The same address heard again from somebody who may be wrong makes nothing worse.
    if (newState === NUD_STALE && (flags & NEIGH_UPDATE_F_ADMIN) === 0) newState = old;
  } else if ((flags & NEIGH_UPDATE_F_OVERRIDE) === 0) {
    if ((flags & NEIGH_UPDATE_F_WEAK_OVERRIDE) === 0 || (old & NUD_CONNECTED) === 0) return false;
    change = router = false;
    newState = NUD_STALE;
  }
  if (change || newState !== old) neigh.updated = now;
  if (newState !== old) {
    delTimer(neigh.timer);
    if ((newState & NUD_PROBE) !== 0) neigh.probes = 0;
    if ((newState & NUD_IN_TIMER) !== 0) {
      const wait = (newState & NUD_REACHABLE) !== 0 ? neighReachableTime(neigh) : 0;
      modTimer(neigh.timer, (now + wait) | 0);
    }
    neigh.nudState = newState;
  }
  if (change) {
    neighForgetHeader(neigh);
    neigh.haHi = hi;
    neigh.haLo = lo;
    if ((newState & NUD_CONNECTED) === 0) neigh.confirmed = (now - (neighParms(neigh).baseReachableTimeMs << 1)) | 0;
  }
  const news = router && updateFlags(neigh, NTF_ROUTER, (flags & NEIGH_UPDATE_F_ISROUTER) !== 0 ? NTF_ROUTER : 0);
  return news || change || newState !== old;
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
 * @param state NUD_PERMANENT for a static one @param flags NEIGH_UPDATE_F_* more
 * @returns 0, -ENOBUFS when there is no room, -EINVAL when there is no address
 */
export function neighSet(
  tbl: NeighTable, key: number, dev: NetDevice, hi: number, lo: number, state: number, flags = 0,
): number {
  const neigh = neighLookup(tbl, key, dev) ?? neighCreate(tbl, key, dev);
  if (neigh === null) return -ENOBUFS;
  return neighUpdate(neigh, hi, lo, state, NEIGH_UPDATE_F_OVERRIDE | NEIGH_UPDATE_F_ADMIN | flags);
}

/** `ip neigh del KEY dev DEV`: its packets are reported as undeliverable. 0 or -ENOENT. Linux: neigh_delete(). */
export function neighDelete(tbl: NeighTable, key: number, dev: NetDevice): number {
  const neigh = neighLookup(tbl, key, dev);
  if (neigh === null) return -ENOENT;
  neighHold(neigh);
  neighUpdate(neigh, 0, 0, NUD_FAILED, NEIGH_UPDATE_F_ADMIN);
  if ((neigh.flags & NEIGH_DEAD) === 0) neighRemove(neigh);
  neighRelease(neigh);
  return 0;
}
