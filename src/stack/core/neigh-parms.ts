/**
 * The times and limits of a neighbour table: net.ipv4.neigh.{default,DEV}.*. Linux: struct neigh_parms, neigh_sysctl_register() of
 * net/core/neighbour.c; arp(7) has the names and defaults. Owns the parms of single devices, which only configuration makes.
 *
 * A table's object is empty at first and has the defaults as its prototype, as with the sysctls (netns-ipv4.ts); that of a device
 * has the table's as its prototype: what was not set for the device follows the table, as on Linux.
 */
import { getRandomBelow } from "../../lib/random.ts";
import { jiffies } from "../../lib/timer.ts";
import { words } from "../../lib/table.ts";
import { EINVAL } from "../../uapi/errno.ts";
import { NEIGH_REACHABLE_DRAWN, type Neighbour, type NeighTable } from "./neigh-table.ts";
import type { NetDevice } from "./net-device.ts";

/** How long a random reachable time is kept. */
const REACHABLE_KEEP_MS = 300000;

/** In ms, packets and bytes; the comment names Linux's sysctl where it is another. */
export class NeighParms {
  /** base_reachable_time_ms */
  baseReachableTimeMs = 30000;
  /** Half to one and a half times the base; drawn anew every five minutes. No sysctl. */
  reachableTimeMs = 30000;
  /** Between two questions, at least 10. */
  retransTimeMs = 1000;
  /** delay_first_probe_time */
  delayProbeTimeMs = 5000;
  /** gc_stale_time */
  gcStaletimeMs = 60000;
  /** An address that has just changed is not changed again by anybody for so long. */
  locktimeMs = 1000;
  /** Questions to the address known, then through rtnetlink to a program (ARPD), then to all. */
  ucastProbes = 3;
  appProbes = 0;
  mcastProbes = 3;
  /** Questions to all about an address that was known (mcast_resolicit). */
  mcastReprobes = 0;
  /** Bytes (truesize) that may wait for one neighbour's address (unres_qlen_bytes). */
  queueLenBytes = 0;
  /** Answers for others wait a random time below this, at most so many (proxy_delay, proxy_qlen). */
  proxyDelayMs = 800;
  proxyQlen = 64;
  /**
   * Of the table, not of a device: from so many entries on unused ones are collected from time to time (gc_thresh1), sacrificed
   * for new ones if that has not just been done (gc_thresh2), or always: there are never more (gc_thresh3). 0: more than half
   * of the table, seven eighths, all of it. Linux: 128, 512, 1024.
   */
  gcThresh1 = 0;
  gcThresh2 = 0;
  gcThresh3 = 0;
  /** The device whose they are, and the next device's. */
  dev: NetDevice | null = null;
  next: NeighParms | null = null;
}

/** What can be set. */
export type NeighSettings = { readonly [K in Exclude<keyof NeighParms, "dev" | "next" | "reachableTimeMs">]?: number };

/** Keeps the defaults, which nobody writes to; not frozen, or they could not be set in an object that inherits them. */
class NeighDefaults {
  static readonly PARMS: NeighParms = new NeighParms();
}

/** Parms of a new table. */
export function createNeighParms(): NeighParms {
  return Object.create(NeighDefaults.PARMS) as NeighParms;
}

/** What an entry follows. */
export function neighParms(neigh: Neighbour): NeighParms {
  const parms = neigh.tbl.parms;
  for (let own = parms.next; own !== null; own = own.next) if (own.dev === neigh.dev) return own;
  return parms;
}

/** Linux: neigh_rand_reach_time(). */
function draw(parms: NeighParms): void {
  const base = parms.baseReachableTimeMs;
  parms.reachableTimeMs = base === 0 ? 0 : (base >> 1) + getRandomBelow(base);
}

/** Draws the reachable times of a table and its devices. */
export function drawReachableTimes(tbl: NeighTable): void {
  words[tbl.row + NEIGH_REACHABLE_DRAWN] = jiffies;
  for (let parms: NeighParms | null = tbl.parms; parms !== null; parms = parms.next) draw(parms);
}

/** How long a confirmed entry is REACHABLE, in ms. */
export function neighReachableTime(neigh: Neighbour): number {
  const tbl = neigh.tbl;
  if (((jiffies - words[tbl.row + NEIGH_REACHABLE_DRAWN]!) | 0) > REACHABLE_KEEP_MS) drawReachableTimes(tbl);
  return neighParms(neigh).reachableTimeMs;
}

/**
 * Sets parms of a table (net.ipv4.neigh.default.*) or of one device of it. Configuration: the first of a device make an object.
 * @param dev null for the table's own, which hold for every device that has no other
 * @returns 0, or -EINVAL and nothing is changed: a value is negative or no whole number, or a gc_thresh is a device's
 */
export function neighParmsSet(tbl: NeighTable, dev: NetDevice | null, settings: NeighSettings): number {
  for (const [name, value] of Object.entries(settings)) {
    if (!Number.isInteger(value) || value < 0 || value > 0x7fffffff || !(name in NeighDefaults.PARMS)) return -EINVAL;
    if (dev !== null && name.startsWith("gcThresh")) return -EINVAL;
  }
  let parms = tbl.parms;
  if (dev !== null) {
    while (parms.next !== null && parms.dev !== dev) parms = parms.next;
    if (parms.dev !== dev) {
      parms.next = Object.create(tbl.parms) as NeighParms;
      parms = parms.next;
      parms.dev = dev;
      parms.next = null;
      draw(parms);
    }
  }
  Object.assign(parms, settings);
  if (settings.baseReachableTimeMs !== undefined) drawReachableTimes(tbl);
  return 0;
}

/** A device goes: so do its parms. Linux: neigh_parms_release(). */
export function neighParmsRelease(tbl: NeighTable, dev: NetDevice): void {
  for (let parms = tbl.parms; parms.next !== null; parms = parms.next) {
    if (parms.next.dev !== dev) continue;
    parms.next = parms.next.next;
    return;
  }
}
