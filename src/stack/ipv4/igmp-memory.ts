/**
 * What multicast keeps: a part for each device, and rows for the groups of devices, for sources and for the memberships of
 * sockets. Linux: the mc_* and mr_* fields of struct in_device, struct ip_mc_list, ip_sf_list, ip_mc_socklist. Owns the three pools
 * (options mcGroups, mcSources, mcMemberships) and the parts of devices; no behaviour.
 *
 * A row is an offset in `words`; NONE is no row. Rows of one kind are linked by their first word.
 */
import { account } from "../../lib/account.ts";
import { POOL_FREE, type Slab, slabAlloc, slabCreate, slabFree, slabWords } from "../../lib/pool.ts";
import { words, wordTable } from "../../lib/table.ts";
import { createTimer, jiffies, TIMER_WORDS, timeBefore, timerFree } from "../../lib/timer.ts";
import { EINVAL } from "../../uapi/errno.ts";
import type { Net } from "../core/net.ts";
import { DevMcAddr, type NetDevice } from "../core/net-device.ts";
import { inDevGet } from "./devinet.ts";

export const NONE = -1;
/** Of every row: the next one of its list. */
export const MC_NEXT = 0;

/* A group of a device (struct ip_mc_list). */
export const G_ADDR = 1;
/** Number of its device in the table of devices. */
export const G_DEVICE = 2;
/** Memberships of it, the stack's own included. */
export const G_USERS = 3;
/** MCAST_INCLUDE or MCAST_EXCLUDE, as the device asks for it. */
export const G_MODE = 4;
/** G_COUNT + mode: how many want it in that mode. */
export const G_COUNT = 5;
/** Sources that somebody names; and those that nobody names any more, which is still to be told. */
export const G_SOURCES = 7;
export const G_TOMB = 8;
/** G_* bits. */
export const G_FLAGS = 9;
/** Unsolicited reports of versions 1 and 2 still to come. */
export const G_UNSOLICITED = 10;
/** Version 3: how often the change of the filter's mode is still to be told. */
export const G_CRCOUNT = 11;
export const G_TIMER = 12;
const G_WORDS = 13;

/** Bits of G_FLAGS: we were the last to report it; a query named sources; the device's filter has it. */
export const G_REPORTER = 1;
export const G_GSQUERY = 2;
export const G_LOADED = 4;

/* A source, of a group or of a membership (struct ip_sf_list). */
export const S_ADDR = 1;
/** S_COUNT + mode: memberships that name it. */
export const S_COUNT = 2;
/** S_* bits. */
export const S_FLAGS = 4;
/** How often its change is still to be told. */
export const S_CRCOUNT = 5;
const S_WORDS = 6;

/** Bits of S_FLAGS: it was part of the filter before the change at hand; the query at hand asks for it. */
export const S_OLDIN = 1;
export const S_GSRESP = 2;

/* A membership of a socket (struct ip_mc_socklist). */
/** Sock.index */
export const M_SK = 1;
export const M_GROUP = 2;
/** Address of the device as the program named it, 0 for none. */
export const M_ADDRESS = 3;
export const M_IFINDEX = 4;
export const M_MODE = 5;
export const M_SOURCES = 6;
/** Sources in its list; NONE while it never had one: then its mode may still change. */
export const M_COUNT = 7;
const M_WORDS = 8;

/** InDevice.switches and conf.all: 1 or 2 for the version of IGMP that is spoken, 0 for what the queriers speak. Linux: force_igmp_version. */
const FORCE_IGMP_VERSION = 0xc00000;
const FORCE_IGMP_ONE = 0x400000;

/** Query interval and query response interval of a querier nobody has heard of (RFC 3376 sections 8.2 and 8.3). */
const QUERY_INTERVAL_MS = 125000;
const QUERY_RESPONSE_INTERVAL_MS = 10000;

/** What IGMP knows of a device. Linux: the mc_* and mr_* fields of struct in_device. */
export class IgmpDevice {
  /** null: free for the next device. */
  dev: NetDevice | null = null;
  groups = NONE;
  /** Groups left, which is still to be told (version 3). */
  tomb = NONE;
  /** Robustness variable; 0 once the querier has not said: net.ipv4.igmp_qrv. */
  qrv = 0;
  queryIntervalMs = QUERY_INTERVAL_MS;
  queryResponseMs = QUERY_RESPONSE_INTERVAL_MS;
  /** Queriers of version 1 and 2 are there until then, in jiffies; 0 for not at all. */
  v1Until = 0;
  v2Until = 0;
  /** Of the general query that waits for its answer. */
  maxDelayMs = 0;
  /** Reports of changes still to come (version 3). */
  changeReports = 0;
  generalTimer = NONE;
  changeTimer = NONE;
  /** Whether it had carrier when it was last looked at. */
  carrier = false;
  readonly index: number;

  constructor(index: number) {
    this.index = index;
  }
}

let devices: IgmpDevice[];
let groups: Slab;
let sources: Slab;
let memberships: Slab;
let groupRows = 0;
let sourceRows = 0;
let memberRows = 0;
/** The link addresses of groups, by number of the row. */
let linkAddrs: DevMcAddr[];
/** All memberships of all sockets, the newest first. */
export let firstMembership = NONE;
let generalExpired: (device: number) => void;
let changeExpired: (device: number) => void;

/** Words of the pools, and of the timers of the loopback device. */
export function igmpMemoryWords(groupCount: number, sourceCount: number, members: number): number {
  return slabWords(groupCount) + slabWords(sourceCount) + slabWords(members) + 2 * TIMER_WORDS
    + groupCount * (G_WORDS + TIMER_WORDS) + sourceCount * S_WORDS + members * M_WORDS;
}

/** Boot. @param groupExpired, general, change what timers of groups (by number) and devices (by number) do */
export function igmpMemoryInit(
  groupCount: number, sourceCount: number, members: number, groupExpired: (group: number) => void,
  general: (device: number) => void, change: (device: number) => void,
): void {
  devices = account("igmp", []);
  generalExpired = general;
  changeExpired = change;
  groups = slabCreate("ip_mc_list", groupCount);
  sources = slabCreate("ip_sf_list", sourceCount);
  memberships = slabCreate("ip_mc_socklist", members);
  groupRows = wordTable("ip_mc_list", groupCount * G_WORDS);
  sourceRows = wordTable("ip_sf_list", sourceCount * S_WORDS);
  memberRows = wordTable("ip_mc_socklist", members * M_WORDS);
  firstMembership = NONE;
  linkAddrs = account("ip_mc_list", []);
  for (let index = 0; index < groupCount; index++) {
    linkAddrs.push(new DevMcAddr());
    words[groupRows + index * G_WORDS + G_TIMER] = createTimer("ip_mc_list", groupExpired, index);
  }
}

/** What IGMP knows of a device, or null. */
export function igmpDevice(dev: NetDevice): IgmpDevice | null {
  for (let index = 0; index < devices.length; index++) {
    const device = devices[index]!;
    if (device.dev === dev) return device;
  }
  return null;
}

/** The device of that number. */
export function igmpDeviceByIndex(index: number): IgmpDevice {
  return devices[index]!;
}

/** A device appears. Makes its part, once for each device that there is at the same time. */
export function igmpDeviceRegister(dev: NetDevice): void {
  let index = 0;
  while (index < devices.length && devices[index]!.dev !== null) index++;
  if (index === devices.length) devices.push(account("igmp", new IgmpDevice(index)));
  const device = devices[index]!;
  device.dev = dev;
  device.generalTimer = createTimer("igmp", generalExpired, index);
  device.changeTimer = createTimer("igmp", changeExpired, index);
  igmpDeviceReset(device, 0);
}

/** A device is gone, its groups given back. */
export function igmpDeviceUnregister(device: IgmpDevice): void {
  device.dev = null;
  timerFree(device.generalTimer);
  timerFree(device.changeTimer);
}

/** Nothing is known of any querier. Linux: ip_mc_reset(). */
export function igmpDeviceReset(device: IgmpDevice, qrv: number): void {
  device.qrv = qrv;
  device.queryIntervalMs = QUERY_INTERVAL_MS;
  device.queryResponseMs = QUERY_RESPONSE_INTERVAL_MS;
}

/** net.ipv4.conf.{DEV,all}.force_igmp_version: 0, -EINVAL for no version. @param dev null for all @param version 0 for what queriers speak */
export function igmpForceVersion(net: Net, dev: NetDevice | null, version: number): number {
  if (!Number.isInteger(version) || version < 0 || version > 3) return -EINVAL;
  const value = version * FORCE_IGMP_ONE;
  const inDev = dev === null ? null : inDevGet(dev);
  if (dev === null) net.ipv4.confAll = (net.ipv4.confAll & ~FORCE_IGMP_VERSION) | value;
  else if (inDev === null) return -EINVAL;
  else inDev.switches = (inDev.switches & ~FORCE_IGMP_VERSION) | value;
  return 0;
}

function seen(until: number): boolean {
  return until !== 0 && timeBefore(jiffies, until);
}

/** Is that version spoken whatever the queriers speak: on the device, or on all? */
function forced(device: IgmpDevice, version: number): boolean {
  const dev = device.dev!;
  const inDev = inDevGet(dev);
  const value = version * FORCE_IGMP_ONE;
  return (inDev !== null && (inDev.switches & FORCE_IGMP_VERSION) === value) || (dev.net!.ipv4.confAll & FORCE_IGMP_VERSION) === value;
}

/** Which version is spoken on the device's link: 1, 2 or 3. Linux: IGMP_V1_SEEN(), IGMP_V2_SEEN(). */
export function igmpVersion(device: IgmpDevice): number {
  if (forced(device, 1) || seen(device.v1Until)) return 1;
  if (forced(device, 2) || seen(device.v2Until)) return 2;
  // Over for good: the clock must not come round to it again.
  device.v1Until = device.v2Until = 0;
  return 3;
}

/** The row of the group in that list, or NONE. */
export function groupFind(list: number, addr: number): number {
  for (let row = list; row !== NONE; row = words[row]!) if (words[row + G_ADDR] === addr) return row;
  return NONE;
}

/** Is there a row for one more group? */
export function groupAvailable(): boolean {
  return words[groups + POOL_FREE]! >= 0;
}

/** A row for a group, its fields at 0 and its lists empty; NONE when the pool is empty. */
export function groupAlloc(): number {
  const index = slabAlloc(groups);
  if (index < 0) return NONE;
  const row = groupRows + index * G_WORDS;
  words.fill(0, row, row + G_TIMER);
  words[row + G_SOURCES] = words[row + G_TOMB] = NONE;
  return row;
}

/** Gives the row of a group back, which has no sources any more and is on no list. */
export function groupFree(row: number): void {
  slabFree(groups, (row - groupRows) / G_WORDS);
}

export function groupByIndex(index: number): number {
  return groupRows + index * G_WORDS;
}

/** The link address of a group's row, for its device's list. */
export function groupLinkAddr(row: number): DevMcAddr {
  return linkAddrs[(row - groupRows) / G_WORDS]!;
}

/** A row for a source, alone in its list, nothing counted; NONE when the pool is empty. */
export function sourceAlloc(addr: number): number {
  const index = slabAlloc(sources);
  if (index < 0) return NONE;
  const row = sourceRows + index * S_WORDS;
  words.fill(0, row, row + S_WORDS);
  words[row] = NONE;
  words[row + S_ADDR] = addr;
  return row;
}

export function sourceFree(row: number): void {
  slabFree(sources, (row - sourceRows) / S_WORDS);
}

/** Gives all rows of a list of sources back. Linux: ip_sf_list_clear_all(). @returns NONE, the list as it is then */
export function sourcesFree(list: number): number {
  for (let row = list; row !== NONE;) {
    const next = words[row]!;
    sourceFree(row);
    row = next;
  }
  return NONE;
}

/** The row of that source, or NONE. */
export function sourceFind(list: number, addr: number): number {
  for (let row = list; row !== NONE; row = words[row]!) if (words[row + S_ADDR] === addr) return row;
  return NONE;
}

/** Takes a row out of the list whose first row is in the word `head`. It must be in it. */
export function listRemove(head: number, row: number): void {
  let link = head;
  while (words[link] !== row) link = words[link]!;
  words[link] = words[row]!;
}

/** Puts a row at the end of that list. */
export function listAppend(head: number, row: number): void {
  let link = head;
  while (words[link] !== NONE) link = words[link]!;
  words[link] = row;
  words[row] = NONE;
}

/** A row for a membership, first in the list of all; NONE when the pool is empty. */
export function membershipAlloc(): number {
  const index = slabAlloc(memberships);
  if (index < 0) return NONE;
  const row = memberRows + index * M_WORDS;
  words[row] = firstMembership;
  firstMembership = row;
  return row;
}

/** Ends a membership, which has no sources any more. */
export function membershipFree(row: number): void {
  let previous = NONE;
  for (let at = firstMembership; at !== row; at = words[at]!) previous = at;
  if (previous === NONE) firstMembership = words[row]!;
  else words[previous] = words[row]!;
  slabFree(memberships, (row - memberRows) / M_WORDS);
}
