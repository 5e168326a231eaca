/**
 * NAPI: the interrupt only schedules, the softirq polls. Linux: net_rx_action() and its neighbours in net/core/dev.c.
 * Owns the list of devices to be polled and the NET_RX softirq.
 *
 *   interrupt → napiSchedule → NET_RX softirq → napi.poll(napi, weight) → netifReceiveSkb per frame
 *     took fewer than its weight: the driver calls napiComplete and lets the interrupt back in
 *     took its weight: it is polled again behind the others
 *
 * A device without an interrupt calls napiSchedule from a timer.
 */
import { account } from "../lib/account.ts";
import { NET_RX_SOFTIRQ, openSoftirq, raiseSoftirq } from "../lib/softirq.ts";
import type { NapiStruct, NetDevice } from "../stack/core/net-device.ts";

/** Frames that one run of the softirq may take from all devices together (net.core.netdev_budget). */
export const NETDEV_BUDGET = 128;
/** Frames one poll takes by default. */
export const NAPI_POLL_WEIGHT = 16;

/** Counters of the way in, for /proc/net/softnet_stat. Linux: struct softnet_data. */
export class SoftnetStat {
  /** Frames that polls took. */
  processed = 0;
  /** Packets the full backlog refused. */
  dropped = 0;
  /** Runs that ended with work left because the budget was used up. */
  timeSqueeze = 0;
}

/** The counters since boot. */
export let softnetStat: SoftnetStat;

let first: NapiStruct | null;
let last: NapiStruct | null;

/** Boot time. */
export function napiInit(): void {
  softnetStat = account("netif", new SoftnetStat());
  first = last = null;
  openSoftirq(NET_RX_SOFTIRQ, netRxAction);
}

/** Ties a napi to its device; it is disabled until napiEnable(). Linux: netif_napi_add(). */
export function napiAdd(dev: NetDevice | null, napi: NapiStruct): NapiStruct {
  napi.dev = dev;
  napi.enabled = napi.scheduled = napi.listed = napi.missed = false;
  return napi;
}

/** May be scheduled from now on (ndoOpen). */
export function napiEnable(napi: NapiStruct): void {
  napi.enabled = true;
}

/** Is not polled any more (ndoStop). A poll that is running finishes. */
export function napiDisable(napi: NapiStruct): void {
  napi.enabled = napi.scheduled = napi.missed = false;
  if (!napi.listed) return;
  napi.listed = false;
  let previous: NapiStruct | null = null;
  for (let at = first; at !== napi && at !== null; at = at.next) previous = at;
  if (previous === null) first = napi.next;
  else previous.next = napi.next;
  if (last === napi) last = previous;
  napi.next = null;
}

/** napi.next of one that is not listed is null. */
function listTail(napi: NapiStruct): void {
  napi.listed = true;
  if (last === null) first = napi;
  else last.next = napi;
  last = napi;
}

/**
 * Has the device polled: the interrupt handler's one call.
 * @returns whether it was neither scheduled nor disabled, so that the driver should mask its interrupt
 */
export function napiSchedule(napi: NapiStruct): boolean {
  if (napi.scheduled) {
    napi.missed = true;
    return false;
  }
  if (!napi.enabled) return false;
  napi.scheduled = true;
  if (!napi.listed) {
    napi.listed = true;
    if (last === null) first = napi;
    else last.next = napi;
    last = napi;
  }
  raiseSoftirq(NET_RX_SOFTIRQ);
  return true;
}

/**
 * The poll found fewer frames than it might take: it is over.
 * @returns whether the driver should let its interrupt back in; false when the device is polled again at once because
 *   it was scheduled meanwhile. Linux: napi_complete_done()
 */
export function napiComplete(napi: NapiStruct): boolean {
  if (!napi.scheduled) return false;
  if (napi.missed) {
    napi.missed = false;
    if (!napi.listed) listTail(napi);
    raiseSoftirq(NET_RX_SOFTIRQ);
    return false;
  }
  napi.scheduled = false;
  return true;
}

/** Polls each device listed now once, within the budget; the rest waits for the next run. Linux: net_rx_action(). */
function netRxAction(): void {
  const end = last;
  let budget = NETDEV_BUDGET;
  let napi = first;
  while (napi !== null) {
    first = napi.next;
    if (first === null) last = null;
    else napi.next = null;
    napi.listed = napi.missed = false;
    const work = napi.poll(napi, napi.weight);
    budget -= work;
    softnetStat.processed += work;
    if (work >= napi.weight && napi.scheduled && !napi.listed) listTail(napi);
    // What was listed meanwhile waits.
    if (napi === end) break;
    if (budget <= 0) {
      softnetStat.timeSqueeze++;
      break;
    }
    napi = first;
  }
  if (first !== null) raiseSoftirq(NET_RX_SOFTIRQ);
}
