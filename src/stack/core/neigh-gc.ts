/**
 * Collection of neighbour entries: from time to time those that nobody uses, and when there is no room for a new one the least
 * valuable ones. Linux: neigh_periodic_work(), neigh_forced_gc(), the thresholds of neigh_alloc() in net/core/neighbour.c.
 *
 * Linux sacrifices whatever has not changed for five seconds. A board's table has a hundredth of the entries: here the
 * order is what an entry is worth, so that one known to be reachable goes last, and of equals that longest without use.
 */
import { words } from "../../lib/table.ts";
import { jiffies, modTimer, timerPending } from "../../lib/timer.ts";
import {
  NTF_EXT_LEARNED, NUD_DELAY, NUD_FAILED, NUD_INCOMPLETE, NUD_NOARP, NUD_NONE, NUD_PERMANENT, NUD_PROBE, NUD_REACHABLE, NUD_STALE,
} from "../../uapi/rtnetlink.ts";
import { neighParms } from "./neigh-parms.ts";
import {
  NEIGH_FORCED_GC_RUNS, NEIGH_LAST_FLUSH, NEIGH_PERIODIC_GC_RUNS, neighRemove, type Neighbour, type NeighTable,
} from "./neigh-table.ts";

/** An entry that changed less than this ago is not sacrificed unless it must be, a REACHABLE one never. */
const GC_AGE_MS = 5000;
/** What an entry is worth: the lower, the earlier it goes. */
const GC_RANK_NOARP = 2;
const GC_RANK_KEEP = 9;

/** Never collected: static entries, and those that somebody else looks after. */
function exempt(neigh: Neighbour): boolean {
  return (neigh.nudState & NUD_PERMANENT) !== 0 || (neigh.flags & NTF_EXT_LEARNED) !== 0 || neigh.refcnt !== 1;
}

/**
 * How soon an entry is given up for a new one: dead ones, those unused, those that need no resolution, those being
 * checked, old unanswered questions, and last those known to be reachable; a static one or a question just asked never.
 */
function gcRank(neigh: Neighbour): number {
  if (exempt(neigh)) return GC_RANK_KEEP;
  const age = (jiffies - neigh.updated) | 0;
  switch (neigh.nudState) {
    case NUD_NONE:
    case NUD_FAILED:
      return 0;
    case NUD_STALE:
      return 1;
    case NUD_NOARP:
      return GC_RANK_NOARP;
    case NUD_DELAY:
    case NUD_PROBE:
      return 3;
    case NUD_INCOMPLETE:
      return age >= neighParms(neigh).retransTimeMs ? 4 : GC_RANK_KEEP;
    case NUD_REACHABLE:
      return age >= GC_AGE_MS ? 5 : GC_RANK_KEEP;
    default:
      return GC_RANK_KEEP;
  }
}

/** Milliseconds since the entry was last used or confirmed. */
function idleTime(neigh: Neighbour): number {
  const used = (jiffies - neigh.used) | 0;
  const confirmed = (jiffies - neigh.confirmed) | 0;
  return used < confirmed ? used : confirmed;
}

/** The entry to be given up first. @param needed null only if all must stay; else also when none is worth little */
function leastValuable(tbl: NeighTable, needed: boolean): Neighbour | null {
  let victim: Neighbour | null = null;
  let lowest = needed ? GC_RANK_KEEP : GC_RANK_NOARP + 1;
  let longest = 0;
  for (let slot = 0; slot <= tbl.mask; slot++) {
    let neigh = tbl.heads[slot] as Neighbour | null;
    while (neigh !== null) {
      const rank = gcRank(neigh);
      const idle = idleTime(neigh);
      const recent = neigh.nudState === NUD_STALE && ((jiffies - neigh.updated) | 0) < GC_AGE_MS;
      if ((needed || !recent) && (rank < lowest || (victim !== null && rank === lowest && idle > longest))) {
        victim = neigh;
        lowest = rank;
        longest = idle;
      }
      neigh = neigh.hashNext;
    }
  }
  return victim;
}

/** Gives up so many entries that are worth little; if the table is full at least one, whatever it is worth. */
function neighForcedGc(tbl: NeighTable, count: number, full: boolean): boolean {
  words[tbl.row + NEIGH_FORCED_GC_RUNS]!++;
  words[tbl.row + NEIGH_LAST_FLUSH] = jiffies;
  let removed = 0;
  do {
    const victim = leastValuable(tbl, full && removed === 0);
    if (victim === null) break;
    neighRemove(victim);
    removed++;
  } while (removed < count);
  return removed > 0;
}

/** Sees to room for one more entry. @returns whether there is any. Linux: the head of neigh_alloc() */
export function neighGcMakeRoom(tbl: NeighTable): boolean {
  const { gcThresh2, gcThresh3 } = tbl.parms;
  const { size, inUse } = tbl.pool!;
  const most = gcThresh3 === 0 || gcThresh3 > size ? size : gcThresh3;
  const soft = gcThresh2 === 0 ? size - (size >> 3) : gcThresh2;
  if (inUse < most && (inUse < soft || ((jiffies - words[tbl.row + NEIGH_LAST_FLUSH]!) | 0) <= GC_AGE_MS)) return true;
  return neighForcedGc(tbl, inUse - soft, inUse >= most) || inUse < most;
}

function collects(tbl: NeighTable): boolean {
  const { gcThresh1 } = tbl.parms;
  const { size, inUse } = tbl.pool!;
  return inUse >= (gcThresh1 === 0 ? (size >> 1) + 1 : gcThresh1);
}

/** An entry has been made: from a number on the table is gone through from time to time. */
export function neighGcStart(tbl: NeighTable): void {
  if (timerPending(tbl.gcTimer) || !collects(tbl)) return;
  modTimer(tbl.gcTimer, (jiffies + (tbl.parms.baseReachableTimeMs >> 1)) | 0);
}

/** Removes what failed, and what has not been used for gcStaletime. Linux: neigh_periodic_work(). */
export function neighPeriodicGc(tbl: NeighTable): void {
  words[tbl.row + NEIGH_PERIODIC_GC_RUNS]!++;
  for (let slot = 0; slot <= tbl.mask; slot++) {
    let neigh = tbl.heads[slot] as Neighbour | null;
    while (neigh !== null) {
      const next: Neighbour | null = neigh.hashNext;
      const unused = !timerPending(neigh.timer) && idleTime(neigh) >= neighParms(neigh).gcStaletimeMs;
      if (!exempt(neigh) && (neigh.nudState === NUD_FAILED || unused)) neighRemove(neigh);
      neigh = next;
    }
  }
  neighGcStart(tbl);
}
