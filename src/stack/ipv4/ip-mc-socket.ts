/**
 * Memberships of sockets: joining and leaving groups, source filters, and which packets to groups a socket hears. Linux:
 * ip_mc_join_group(), ip_mc_leave_group(), ip_mc_source(), ip_mc_msfilter(), ip_mc_sf_allow() of net/ipv4/igmp.c. Read first: ip(7),
 * RFC 3376 sections 2 and 3.1, RFC 3678. Owns nothing: the rows are those of igmp-memory.ts.
 */
import { words } from "../../lib/table.ts";
import { devGetByIndex } from "../../netif/dev.ts";
import { EADDRINUSE, EADDRNOTAVAIL, EINVAL, ENOBUFS, ENODEV } from "../../uapi/errno.ts";
import { inClassD, MCAST_EXCLUDE, MCAST_INCLUDE } from "../../uapi/in.ts";
import { dstRelease } from "../core/dst.ts";
import type { Net } from "../core/net.ts";
import type { NetDevice } from "../core/net-device.ts";
import { inDevGet, inetLookupIfaddr } from "./devinet.ts";
import { flowi4Init, outputFlow } from "./flow.ts";
import {
  firstMembership, groupFind, igmpDevice, type IgmpDevice, listAppend, listRemove, M_ADDRESS, M_COUNT, M_GROUP, M_IFINDEX, M_MODE, M_SK,
  M_SOURCES, membershipAlloc, membershipFree, NONE, S_ADDR, sourceAlloc, sourceFind, sourceFree, sourcesFree,
} from "./igmp-memory.ts";
import { ipMcDecGroup, ipMcIncGroup } from "./igmp.ts";
import { ipMcAddSrc, ipMcDelSrc } from "./igmp-source.ts";
import { INET_MC_ALL, INET_MC_MEMBER, type InetSk } from "./inet-sock.ts";
import { ipRouteOutputKey } from "./route.ts";

/** The device that a membership means, by ipMcFindDev(): its index, 0 for none. */
let foundIfindex = 0;

/** The device with that address, that the group is routed by, or null. */
function deviceFor(net: Net, group: number, address: number): NetDevice | null {
  if (address !== 0) {
    const ifa = inetLookupIfaddr(net, address);
    return ifa === null ? null : ifa.dev;
  }
  const fl = outputFlow;
  flowi4Init(fl, group, 0, 0, 0, 0);
  const rt = ipRouteOutputKey(net, fl);
  if (rt === null) return null;
  const dev = rt.dev;
  dstRelease(rt);
  return dev;
}

/**
 * The device that a program means: by index, else by one of its addresses, else by the route to the group; null when there is none,
 * or no IPv4 on it. Its index is in foundIfindex then. Linux: ip_mc_find_dev().
 */
function ipMcFindDev(net: Net, group: number, address: number, ifindex: number): IgmpDevice | null {
  const dev = ifindex !== 0 ? devGetByIndex(net, ifindex) : deviceFor(net, group, address);
  foundIfindex = ifindex !== 0 || dev === null ? ifindex : dev.ifindex;
  return dev === null || inDevGet(dev) === null ? null : igmpDevice(dev);
}

/** The socket's membership of the group on that device, or NONE. */
function find(sk: InetSk, group: number, ifindex: number): number {
  for (let m = firstMembership; m !== NONE; m = words[m]!) {
    if (words[m + M_SK] === sk.index && words[m + M_GROUP] === group && words[m + M_IFINDEX] === ifindex) return m;
  }
  return NONE;
}

function countOf(sk: InetSk): number {
  let count = 0;
  for (let m = firstMembership; m !== NONE; m = words[m]!) if (words[m + M_SK] === sk.index) count++;
  return count;
}

/**
 * Joins a group. Linux: ip_mc_join_group(), ip_mc_join_group_ssm().
 * @param address, ifindex the device by address or by index, 0 for what the route says @param mode MCAST_EXCLUDE for all sources,
 *   MCAST_INCLUDE for those that ipMcSource() names then
 * @returns 0, -EINVAL (no group), -ENODEV, -EADDRINUSE (joined already), -ENOBUFS (net.ipv4.igmp_max_memberships, a pool empty)
 */
export function ipMcJoinGroup(sk: InetSk, group: number, address: number, ifindex: number, mode: number): number {
  if (!inClassD(group)) return -EINVAL;
  const device = ipMcFindDev(sk.net, group, address, ifindex);
  if (device === null) return -ENODEV;
  if (find(sk, group, foundIfindex) !== NONE) return -EADDRINUSE;
  if (countOf(sk) >= sk.net.ipv4.igmpMaxMemberships) return -ENOBUFS;
  const m = membershipAlloc();
  if (m === NONE) return -ENOBUFS;
  const err = ipMcIncGroup(device, group, mode);
  if (err < 0) {
    membershipFree(m);
    return err;
  }
  words[m + M_SK] = sk.index;
  words[m + M_GROUP] = group;
  words[m + M_ADDRESS] = address;
  words[m + M_IFINDEX] = foundIfindex;
  words[m + M_MODE] = mode;
  words[m + M_SOURCES] = words[m + M_COUNT] = NONE;
  sk.inet.flags |= INET_MC_MEMBER;
  return 0;
}

/** Ends a membership, on its device where that is still there. */
function leave(sk: InetSk, m: number): void {
  const dev = devGetByIndex(sk.net, words[m + M_IFINDEX]!);
  const device = dev === null ? null : igmpDevice(dev);
  const addr = words[m + M_GROUP]!;
  if (device !== null) {
    const group = groupFind(device.groups, addr);
    if (group !== NONE) ipMcDelSrc(group, words[m + M_MODE]!, words[m + M_SOURCES]!, false);
    ipMcDecGroup(device, addr);
  }
  sourcesFree(words[m + M_SOURCES]!);
  membershipFree(m);
}

/**
 * Leaves a group. Linux: ip_mc_leave_group(), whose device stays a member for ever when a membership by index is left by its
 * address, which no device has. @returns 0, -ENODEV (no device was named and the group has no route), -EADDRNOTAVAIL
 */
export function ipMcLeaveGroup(sk: InetSk, group: number, address: number, ifindex: number): number {
  const device = ipMcFindDev(sk.net, group, address, ifindex);
  const index = foundIfindex;
  if (index === 0 && address === 0 && device === null) return -ENODEV;
  for (let m = firstMembership; m !== NONE; m = words[m]!) {
    if (words[m + M_SK] !== sk.index || words[m + M_GROUP] !== group) continue;
    if (index !== 0 ? words[m + M_IFINDEX] !== index : address !== 0 && words[m + M_ADDRESS] !== address) continue;
    leave(sk, m);
    return 0;
  }
  return -EADDRNOTAVAIL;
}

/** The socket is closed: it leaves all its groups. Linux: ip_mc_drop_socket(). */
export function ipMcDropSocket(sk: InetSk): void {
  for (let m = firstMembership; m !== NONE;) {
    const next = words[m]!;
    if (words[m + M_SK] === sk.index) leave(sk, m);
    m = next;
  }
  sk.inet.flags &= ~INET_MC_MEMBER;
}

/**
 * Adds one source to a membership's filter, or takes one out of it. Linux: ip_mc_source().
 * @param mode MCAST_INCLUDE (the sources heard) or MCAST_EXCLUDE (those not heard)
 * @returns 0, -EINVAL (no group, not joined, or with sources of the other mode), -ENODEV, -EADDRNOTAVAIL (known already, or not
 *   known), -ENOBUFS (net.ipv4.igmp_max_msf, a pool empty)
 */
export function ipMcSource(
  sk: InetSk, add: boolean, mode: number, addr: number, source: number, address: number, ifindex: number,
): number {
  if (!inClassD(addr)) return -EINVAL;
  const device = ipMcFindDev(sk.net, addr, address, ifindex);
  if (device === null) return -ENODEV;
  const index = foundIfindex;
  const m = find(sk, addr, index);
  if (m === NONE) return -EINVAL;
  const group = groupFind(device.groups, addr);
  if (words[m + M_MODE] !== mode) {
    if (words[m + M_COUNT] !== NONE) return -EINVAL;
    // A membership that never had a list may still change its mode.
    if (group !== NONE) {
      ipMcAddSrc(group, mode, NONE, false);
      ipMcDelSrc(group, words[m + M_MODE]!, NONE, false);
    }
    words[m + M_MODE] = mode;
  }
  const known = sourceFind(words[m + M_SOURCES]!, source);
  const count = words[m + M_COUNT]!;
  if (add) return addSource(sk, m, group, mode, source, known !== NONE);
  if (known === NONE) return -EADDRNOTAVAIL;
  // To include nobody is to leave.
  if (count === 1 && mode === MCAST_INCLUDE) return ipMcLeaveGroup(sk, addr, address, index);
  listRemove(m + M_SOURCES, known);
  words[known] = NONE;
  if (group !== NONE) ipMcDelSrc(group, mode, known, true);
  sourceFree(known);
  words[m + M_COUNT] = count - 1;
  return 0;
}

function addSource(sk: InetSk, m: number, group: number, mode: number, source: number, known: boolean): number {
  const count = words[m + M_COUNT]!;
  if (count >= sk.net.ipv4.igmpMaxMsf) return -ENOBUFS;
  // It has a list from now on, if an empty one.
  if (count === NONE) words[m + M_COUNT] = 0;
  if (known) return -EADDRNOTAVAIL;
  const row = sourceAlloc(source);
  if (row === NONE) return -ENOBUFS;
  const err = group === NONE ? 0 : ipMcAddSrc(group, mode, row, true);
  if (err < 0) {
    sourceFree(row);
    return err;
  }
  listAppend(m + M_SOURCES, row);
  words[m + M_COUNT]!++;
  return 0;
}

/**
 * Sets a membership's whole filter. Linux: ip_mc_msfilter().
 * @param list the sources are its elements from `at` on, `count` of them, each once
 * @returns 0, -EINVAL (no group, no mode, not joined), -ENODEV, -ENOBUFS; with nobody to include, as ipMcLeaveGroup()
 */
export function ipMcMsfilter(
  sk: InetSk, addr: number, address: number, ifindex: number, mode: number, list: Int32Array, at: number, count: number,
): number {
  if (!inClassD(addr)) return -EINVAL;
  if (mode !== MCAST_INCLUDE && mode !== MCAST_EXCLUDE) return -EINVAL;
  const device = ipMcFindDev(sk.net, addr, address, ifindex);
  if (device === null) return -ENODEV;
  if (mode === MCAST_INCLUDE && count === 0) return ipMcLeaveGroup(sk, addr, address, foundIfindex);
  const m = find(sk, addr, foundIfindex);
  if (m === NONE) return -EINVAL;
  const group = groupFind(device.groups, addr);
  let sources = NONE;
  for (let i = count - 1; i >= 0; i--) {
    const row = sourceAlloc(list[at + i]!);
    if (row === NONE) {
      sourcesFree(sources);
      return -ENOBUFS;
    }
    words[row] = sources;
    sources = row;
  }
  if (group !== NONE) {
    const err = ipMcAddSrc(group, mode, sources, false);
    if (err < 0) {
      sourcesFree(sources);
      return err;
    }
    ipMcDelSrc(group, words[m + M_MODE]!, words[m + M_SOURCES]!, false);
  }
  sourcesFree(words[m + M_SOURCES]!);
  words[m + M_SOURCES] = sources;
  words[m + M_COUNT] = count === 0 ? NONE : count;
  words[m + M_MODE] = mode;
  return 0;
}

/**
 * Reads a membership's filter: the mode into out[at], the number of sources behind it, and of those as many as `room` says.
 * @returns the sources written, -EINVAL (no group), -ENODEV, -EADDRNOTAVAIL (not joined). Linux: ip_mc_msfget()
 */
export function ipMcMsfget(sk: InetSk, addr: number, address: number, ifindex: number, out: Int32Array, at: number, room: number): number {
  if (!inClassD(addr)) return -EINVAL;
  if (ipMcFindDev(sk.net, addr, address, ifindex) === null) return -ENODEV;
  const m = find(sk, addr, foundIfindex);
  if (m === NONE) return -EADDRNOTAVAIL;
  out[at] = words[m + M_MODE]!;
  out[at + 1] = words[m + M_COUNT] === NONE ? 0 : words[m + M_COUNT]!;
  let written = 0;
  for (let row = words[m + M_SOURCES]!; row !== NONE && written < room; row = words[row]!) {
    out[at + 2 + written] = words[row + S_ADDR]!;
    written++;
  }
  return written;
}

/**
 * Does the socket hear a packet to that group, which came in by device `dif`? By its own membership, or without one what others
 * joined for (IP_MULTICAST_ALL). Linux: ip_mc_sf_allow().
 */
export function ipMcSfAllow(sk: InetSk, group: number, saddr: number, dif: number): boolean {
  const flags = sk.inet.flags;
  const m = (flags & INET_MC_MEMBER) === 0 ? NONE : find(sk, group, dif);
  if (m === NONE) return (flags & INET_MC_ALL) !== 0;
  return (words[m + M_MODE] === MCAST_INCLUDE) === (sourceFind(words[m + M_SOURCES]!, saddr) !== NONE);
}
