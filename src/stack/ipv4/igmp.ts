/**
 * Group membership of devices, the host's side of IGMP versions 1 to 3: joining and leaving, devices that come and go, and the
 * question whether a packet to a group is for this host. Linux: ip_mc_inc_group(), ip_mc_dec_group(), ip_mc_up(),
 * ip_check_mc_rcu() of net/ipv4/igmp.c. Read first: RFC 3376, RFC 2236, RFC 1112. Owns nothing: rows are those of igmp-memory.ts,
 * reports of igmp-report.ts, their timers of igmp-timer.ts, queries of igmp-input.ts.
 *
 * Unlike Linux, where only a bond asks for it, memberships are reported anew when the carrier comes back: what is plugged in again
 * may be another switch.
 */
import { NOTIFY_DONE } from "../../lib/notifier.ts";
import { words } from "../../lib/table.ts";
import {
  NETDEV_CHANGE, NETDEV_DOWN, NETDEV_REGISTER, NETDEV_UNREGISTER, NETDEV_UP,
} from "../../netif/dev.ts";
import { devMcAdd, devMcDel } from "../../netif/dev-mc.ts";
import { ENOBUFS } from "../../uapi/errno.ts";
import { ARPHRD_ETHER } from "../../uapi/if-arp.ts";
import { INADDR_ALLHOSTS_GROUP, IPPROTO_IGMP, MCAST_EXCLUDE, MCAST_INCLUDE } from "../../uapi/in.ts";
import type { NetDevice } from "../core/net-device.ts";
import {
  G_ADDR, G_COUNT, G_CRCOUNT, G_DEVICE, G_FLAGS, G_LOADED, G_MODE, G_REPORTER, G_SOURCES, G_TOMB, G_UNSOLICITED, G_USERS, groupAlloc,
  groupAvailable, groupFind, groupFree, groupLinkAddr, igmpDevice, type IgmpDevice, igmpDeviceRegister, igmpDeviceReset,
  igmpDeviceUnregister, igmpVersion, NONE, S_COUNT, S_CRCOUNT, sourceFind, sourcesFree,
} from "./igmp-memory.ts";
import { igmpReported, igmpSendLeave } from "./igmp-report.ts";
import { ipMcAddSrc } from "./igmp-source.ts";
import { igmpIfcEvent, igmpRobustness, igmpStartTimer, igmpStopDevice, igmpStopTimer } from "./igmp-timer.ts";
import { rtCacheFlush } from "./route-cache.ts";

/** The link address of a group: 01:00:5e and its last 23 bits (RFC 1112 section 6.4). */
const GROUP_MAC_HI = 0x0100;
const GROUP_MAC_LO = 0x5e000000;
/** Delay within which a group that was just joined is reported (versions 1 and 2). */
const INITIAL_REPORT_DELAY_MS = 1;

/**
 * Is a packet to the group, from that address, for this host? Linux: ip_check_mc_rcu().
 * @param saddr 0 for not known yet
 */
export function ipCheckMcGroup(dev: NetDevice, addr: number, saddr: number, protocol: number): boolean {
  const device = igmpDevice(dev);
  if (device === null) return false;
  const group = groupFind(device.groups, addr);
  if (group === NONE) return false;
  if (protocol === IPPROTO_IGMP || saddr === 0) return true;
  const excluding = words[group + G_COUNT + MCAST_EXCLUDE]!;
  const source = sourceFind(words[group + G_SOURCES]!, saddr);
  if (source === NONE) return excluding !== 0;
  return words[source + S_COUNT + MCAST_INCLUDE] !== 0 || words[source + S_COUNT + MCAST_EXCLUDE] !== excluding;
}

function filterAdd(device: IgmpDevice, group: number): void {
  const dev = device.dev!;
  if (dev.type !== ARPHRD_ETHER || (words[group + G_FLAGS]! & G_LOADED) !== 0) return;
  const node = groupLinkAddr(group);
  node.hi = GROUP_MAC_HI;
  node.lo = GROUP_MAC_LO | (words[group + G_ADDR]! & 0x7fffff);
  words[group + G_FLAGS]! |= G_LOADED;
  devMcAdd(dev, node);
}

function filterDel(device: IgmpDevice, group: number): void {
  if ((words[group + G_FLAGS]! & G_LOADED) === 0) return;
  words[group + G_FLAGS]! &= ~G_LOADED;
  devMcDel(device.dev!, groupLinkAddr(group));
}

/** The device is to receive the group, and its routers are to know. Linux: igmp_group_added(). */
function groupAdded(device: IgmpDevice, group: number): void {
  filterAdd(device, group);
  if (!igmpReported(device, words[group + G_ADDR]!)) return;
  words[group + G_UNSOLICITED] = device.dev!.net!.ipv4.igmpQrv;
  if (igmpVersion(device) !== 3) {
    igmpStartTimer(group, INITIAL_REPORT_DELAY_MS);
    return;
  }
  // From nothing to a list of sources is no change of the mode (RFC 3376 section 5.1).
  if (words[group + G_MODE] === MCAST_EXCLUDE) words[group + G_CRCOUNT] = igmpRobustness(device);
  igmpIfcEvent(device);
}

function freeSources(group: number): void {
  words[group + G_SOURCES] = sourcesFree(words[group + G_SOURCES]!);
  words[group + G_TOMB] = sourcesFree(words[group + G_TOMB]!);
}

function markSources(list: number, crcount: number): void {
  for (let source = list; source !== NONE; source = words[source]!) words[source + S_CRCOUNT] = crcount;
}

/** Forgets a group that was left. */
function dropTomb(device: IgmpDevice, group: number): void {
  let previous = NONE;
  for (let at = device.tomb; at !== group; at = words[at]!) previous = at;
  if (previous === NONE) device.tomb = words[group]!;
  else words[previous] = words[group]!;
  freeSources(group);
  groupFree(group);
}

/** Nothing that was left need be told any more: older queriers would not understand. Linux: igmpv3_clear_delrec(). */
export function igmpv3ClearDelrec(device: IgmpDevice): void {
  while (device.tomb !== NONE) dropTomb(device, device.tomb);
  for (let group = device.groups; group !== NONE; group = words[group]!) {
    words[group + G_TOMB] = sourcesFree(words[group + G_TOMB]!);
  }
}

/** A row for a group: that of one just left, whose leaving need not be told then; or a new one. Linux: igmpv3_del_delrec(). */
function groupRow(device: IgmpDevice, addr: number, mode: number): number {
  const left = groupFind(device.tomb, addr);
  if (left !== NONE) {
    let previous = NONE;
    for (let at = device.tomb; at !== left; at = words[at]!) previous = at;
    if (previous === NONE) device.tomb = words[left]!;
    else words[previous] = words[left]!;
    if (mode === MCAST_INCLUDE) markSources(words[left + G_SOURCES]!, igmpRobustness(device));
    else freeSources(left);
    words[left + G_FLAGS] = words[left + G_CRCOUNT] = 0;
    words[left + G_COUNT + MCAST_INCLUDE] = words[left + G_COUNT + MCAST_EXCLUDE] = 0;
    return left;
  }
  // A group that is wanted comes before one that was left.
  if (!groupAvailable() && device.tomb !== NONE) dropTomb(device, device.tomb);
  return groupAlloc();
}

/** One more wants the group: 0 or -ENOBUFS. Linux: ip_mc_inc_group(). @param mode with no sources yet */
export function ipMcIncGroup(device: IgmpDevice, addr: number, mode: number): number {
  const known = groupFind(device.groups, addr);
  if (known !== NONE) {
    words[known + G_USERS]!++;
    return ipMcAddSrc(known, mode, NONE, false);
  }
  const group = groupRow(device, addr, mode);
  if (group === NONE) return -ENOBUFS;
  words[group + G_ADDR] = addr;
  words[group + G_DEVICE] = device.index;
  words[group + G_USERS] = 1;
  words[group + G_MODE] = mode;
  words[group + G_COUNT + mode] = 1;
  words[group] = device.groups;
  device.groups = group;
  groupAdded(device, group);
  rtCacheFlush(device.dev!.net!);
  return 0;
}

/** The group's last member is gone: tells the routers, and gives its row back once that is done. Linux: igmp_group_dropped(). */
function groupDropped(device: IgmpDevice, group: number): void {
  filterDel(device, group);
  const reporter = (words[group + G_FLAGS]! & G_REPORTER) !== 0;
  igmpStopTimer(group);
  const version = igmpVersion(device);
  const told = igmpReported(device, words[group + G_ADDR]!);
  if (told && version === 3) {
    const crcount = igmpRobustness(device);
    if (words[group + G_MODE] === MCAST_EXCLUDE) freeSources(group);
    markSources(words[group + G_SOURCES]!, crcount);
    markSources(words[group + G_TOMB]!, crcount);
    words[group + G_CRCOUNT] = crcount;
    words[group] = device.tomb;
    device.tomb = group;
    igmpIfcEvent(device);
    return;
  }
  if (told && version === 2 && reporter) igmpSendLeave(device, group);
  freeSources(group);
  groupFree(group);
}

/** One less wants the group. Linux: ip_mc_dec_group(). */
export function ipMcDecGroup(device: IgmpDevice, addr: number): void {
  const group = groupFind(device.groups, addr);
  if (group === NONE || --words[group + G_USERS]! > 0) return;
  let previous = NONE;
  for (let at = device.groups; at !== group; at = words[at]!) previous = at;
  if (previous === NONE) device.groups = words[group]!;
  else words[previous] = words[group]!;
  groupDropped(device, group);
  rtCacheFlush(device.dev!.net!);
}

/** All memberships are reported as if they were new. Linux: the second half of ip_mc_up(). */
function rejoin(device: IgmpDevice): void {
  for (let group = device.groups; group !== NONE; group = words[group]!) {
    if (words[group + G_MODE] === MCAST_INCLUDE) markSources(words[group + G_SOURCES]!, igmpRobustness(device));
    groupAdded(device, group);
  }
}

/** Linux: ip_mc_up(). */
function ipMcUp(device: IgmpDevice): void {
  igmpDeviceReset(device, device.dev!.net!.ipv4.igmpQrv);
  ipMcIncGroup(device, INADDR_ALLHOSTS_GROUP, MCAST_EXCLUDE);
  rejoin(device);
}

/** Memberships stay, and are told again when the device comes up. Linux: ip_mc_down(). */
function ipMcDown(device: IgmpDevice): void {
  igmpStopDevice(device);
  igmpv3ClearDelrec(device);
  for (let group = device.groups; group !== NONE; group = words[group]!) {
    filterDel(device, group);
    igmpStopTimer(group);
    words[group + G_CRCOUNT] = 0;
  }
  ipMcDecGroup(device, INADDR_ALLHOSTS_GROUP);
}

/** Linux: ip_mc_destroy_dev(). Sockets keep their memberships, which mean nothing then. */
function ipMcDestroyDev(device: IgmpDevice): void {
  igmpStopDevice(device);
  igmpv3ClearDelrec(device);
  for (let group = device.groups; group !== NONE; group = device.groups) {
    device.groups = words[group]!;
    filterDel(device, group);
    igmpStopTimer(group);
    freeSources(group);
    groupFree(group);
  }
  igmpDeviceUnregister(device);
}

/** Follows devices, after devinet. */
export function igmpNetdevEvent(event: number, dev: NetDevice): number {
  const device = igmpDevice(dev);
  if (device === null) {
    if (event === NETDEV_REGISTER) igmpDeviceRegister(dev);
    return NOTIFY_DONE;
  }
  if (event === NETDEV_UP) ipMcUp(device);
  else if (event === NETDEV_DOWN) ipMcDown(device);
  else if (event === NETDEV_UNREGISTER) ipMcDestroyDev(device);
  else if (event === NETDEV_CHANGE && dev.carrier && !device.carrier) rejoin(device);
  device.carrier = dev.carrier;
  return NOTIFY_DONE;
}
