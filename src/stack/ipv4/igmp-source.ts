/**
 * Source filters of a device's groups: what the memberships of all sockets together ask for, and which changes of it are to be
 * reported. Linux: ip_mc_add_src(), ip_mc_del_src(), sf_markstate(), sf_setstate() of net/ipv4/igmp.c. Read first: RFC 3376
 * sections 3.2 and 5.1. Owns nothing; a list of sources that is given stays the caller's.
 */
import { words } from "../../lib/table.ts";
import { EINVAL, ENOBUFS, ESRCH } from "../../uapi/errno.ts";
import { MCAST_EXCLUDE, MCAST_INCLUDE } from "../../uapi/in.ts";
import {
  G_COUNT, G_CRCOUNT, G_DEVICE, G_MODE, G_SOURCES, G_TOMB, type IgmpDevice, igmpDeviceByIndex, igmpVersion, listAppend, listRemove,
  NONE, S_ADDR, S_COUNT, S_CRCOUNT, S_FLAGS, S_OLDIN, sourceAlloc, sourceFind, sourceFree,
} from "./igmp-memory.ts";
import { igmpIfcEvent, igmpRobustness } from "./igmp-timer.ts";
import { rtCacheFlush } from "./route-cache.ts";

function deviceOf(group: number): IgmpDevice {
  return igmpDeviceByIndex(words[group + G_DEVICE]!);
}

/**
 * Is the source part of the filter that is reported: excluded by all who exclude and included by none, or without such
 * included by one?
 */
export function sourceActive(group: number, source: number): boolean {
  const included = words[source + S_COUNT + MCAST_INCLUDE]!;
  const excluding = words[group + G_COUNT + MCAST_EXCLUDE]!;
  if (excluding === 0) return included !== 0;
  return included === 0 && words[source + S_COUNT + MCAST_EXCLUDE] === excluding;
}

/** Remembers which sources are part of the filter before a change. Linux: sf_markstate(). */
function markState(group: number): void {
  for (let source = words[group + G_SOURCES]!; source !== NONE; source = words[source]!) {
    if (sourceActive(group, source)) words[source + S_FLAGS]! |= S_OLDIN;
    else words[source + S_FLAGS]! &= ~S_OLDIN;
  }
}

/** A source is part of the filter no more: as long as that is to be told it is among the dead ones, too. */
function bury(group: number, source: number, robustness: number): void {
  const addr = words[source + S_ADDR]!;
  let dead = sourceFind(words[group + G_TOMB]!, addr);
  if (dead === NONE) {
    dead = sourceAlloc(addr);
    if (dead === NONE) return;
    words[dead] = words[group + G_TOMB]!;
    words[group + G_TOMB] = dead;
  }
  words[dead + S_CRCOUNT] = robustness;
}

/** Marks what the change has added and taken away. Linux: sf_setstate(). @returns whether there is anything to report */
function setState(group: number): boolean {
  const robustness = igmpRobustness(deviceOf(group));
  let changed = false;
  for (let source = words[group + G_SOURCES]!; source !== NONE; source = words[source]!) {
    const was = (words[source + S_FLAGS]! & S_OLDIN) !== 0;
    if (sourceActive(group, source) === was) continue;
    changed = true;
    if (was) {
      words[source + S_CRCOUNT] = 0;
      bury(group, source, robustness);
    } else {
      const dead = sourceFind(words[group + G_TOMB]!, words[source + S_ADDR]!);
      if (dead !== NONE) {
        listRemove(group + G_TOMB, dead);
        sourceFree(dead);
      }
      words[source + S_CRCOUNT] = robustness;
    }
  }
  return changed;
}

/** One more names the source: 0 or -ENOBUFS. Linux: ip_mc_add1_src(). */
function addOne(group: number, mode: number, addr: number): number {
  let source = sourceFind(words[group + G_SOURCES]!, addr);
  if (source === NONE) {
    source = sourceAlloc(addr);
    if (source === NONE) return -ENOBUFS;
    listAppend(group + G_SOURCES, source);
  }
  if (++words[source + S_COUNT + mode]! === 1) rtCacheFlush(deviceOf(group).dev!.net!);
  return 0;
}

/** One less names it: 1 when that is to be reported, 0, -ESRCH when nobody did. Linux: ip_mc_del1_src(). */
function delOne(group: number, mode: number, addr: number): number {
  const source = sourceFind(words[group + G_SOURCES]!, addr);
  if (source === NONE || words[source + S_COUNT + mode] === 0) return -ESRCH;
  const device = deviceOf(group);
  if (--words[source + S_COUNT + mode]! === 0) rtCacheFlush(device.dev!.net!);
  if (words[source + S_COUNT + MCAST_INCLUDE] !== 0 || words[source + S_COUNT + MCAST_EXCLUDE] !== 0) return 0;
  listRemove(group + G_SOURCES, source);
  if ((words[source + S_FLAGS]! & S_OLDIN) === 0 || igmpVersion(device) !== 3) {
    sourceFree(source);
    return 0;
  }
  words[source + S_CRCOUNT] = igmpRobustness(device);
  words[source] = words[group + G_TOMB]!;
  words[group + G_TOMB] = source;
  return 1;
}

/** The filter's mode has changed: that is reported, with the whole list, and no single sources. */
function modeChange(group: number, mode: number): void {
  const device = deviceOf(group);
  words[group + G_MODE] = mode;
  words[group + G_CRCOUNT] = igmpRobustness(device);
  for (let source = words[group + G_SOURCES]!; source !== NONE; source = words[source]!) words[source + S_CRCOUNT] = 0;
  igmpIfcEvent(device);
}

/**
 * A membership asks for more of a group. Linux: ip_mc_add_src().
 * @param list sources that it names @param delta it asked before, in the same mode @returns 0, or -ENOBUFS with nothing done
 */
export function ipMcAddSrc(group: number, mode: number, list: number, delta: boolean): number {
  markState(group);
  const excluded = words[group + G_MODE] === MCAST_EXCLUDE;
  if (!delta) words[group + G_COUNT + mode]!++;
  for (let row = list; row !== NONE; row = words[row]!) {
    if (addOne(group, mode, words[row + S_ADDR]!) === 0) continue;
    if (!delta) words[group + G_COUNT + mode]!--;
    for (let done = list; done !== row; done = words[done]!) delOne(group, mode, words[done + S_ADDR]!);
    return -ENOBUFS;
  }
  if (excluded !== (words[group + G_COUNT + MCAST_EXCLUDE] !== 0)) {
    const now = words[group + G_COUNT + MCAST_EXCLUDE] !== 0 ? MCAST_EXCLUDE
      : words[group + G_COUNT + MCAST_INCLUDE] !== 0 ? MCAST_INCLUDE : words[group + G_MODE]!;
    modeChange(group, now);
  } else if (setState(group)) {
    igmpIfcEvent(deviceOf(group));
  }
  return 0;
}

/** A membership asks for less of a group: 0, -EINVAL or -ESRCH when it never asked. Linux: ip_mc_del_src(). */
export function ipMcDelSrc(group: number, mode: number, list: number, delta: boolean): number {
  markState(group);
  if (!delta) {
    if (words[group + G_COUNT + mode] === 0) return -EINVAL;
    words[group + G_COUNT + mode]!--;
  }
  let err = 0;
  let changed = false;
  for (let row = list; row !== NONE; row = words[row]!) {
    const answer = delOne(group, mode, words[row + S_ADDR]!);
    if (answer > 0) changed = true;
    else if (answer < 0 && err === 0) err = answer;
  }
  if (words[group + G_MODE] === MCAST_EXCLUDE && words[group + G_COUNT + MCAST_EXCLUDE] === 0
    && words[group + G_COUNT + MCAST_INCLUDE] !== 0) {
    modeChange(group, MCAST_INCLUDE);
  } else if (setState(group) || changed) {
    igmpIfcEvent(deviceOf(group));
  }
  return err;
}
