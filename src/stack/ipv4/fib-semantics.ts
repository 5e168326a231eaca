/**
 * fib_info: a route but for its prefix: next hops, scope, protocol, preferred source, metrics. Linux: net/ipv4/fib_semantics.c. Owns the
 * columns of their rows, and what must be so for a route to be taken. A next hop keeps the rtables made for it, so that a packet's
 * route is found without making one. Routes of equal content share one in fib-info.ts; a host's have one each (fib-host.ts).
 *
 * A row is a fib_info with its first next hop; further ones of a multipath route are rows of their own, of which only the columns
 * of the next hop count. The handle of a next hop is that of its row.
 */
import { words } from "../../lib/table.ts";
import { devGetByIndex } from "../../netif/dev.ts";
import { EINVAL, ENETDOWN, ENODEV } from "../../uapi/errno.ts";
import { IFF_UP } from "../../uapi/if.ts";
import {
  RT_SCOPE_HOST, RT_SCOPE_LINK, RT_SCOPE_NOWHERE, RT_SCOPE_UNIVERSE, RT_TABLE_LOCAL, RT_TABLE_MAIN, RT_TABLE_UNSPEC, RTAX_MAX, RTN_BLACKHOLE,
  RTN_LOCAL, RTN_MAX, RTN_MULTICAST, RTN_THROW, RTN_UNICAST, RTNH_F_DEAD, RTNH_F_LINKDOWN, RTNH_F_ONLINK, RTNH_F_PERVASIVE,
} from "../../uapi/rtnetlink.ts";
import { nlErrMsg } from "../core/extack.ts";
import type { Net } from "../core/net.ts";
import type { NetDevice } from "../core/net-device.ts";
import { inDevGet, inetSelectAddr } from "./devinet.ts";
import { type FibConfig, FIB_NH_FLAGS, FIB_NH_GW, FIB_NH_INTS, FIB_NH_OIF, FIB_NH_WEIGHT, fibConfigReset } from "./fib-config.ts";
import { fibLookup, fibResult, inetAddrType, inetAddrTypeTable } from "./fib-lookup.ts";
import { fibOps } from "./fib-ops.ts";
import { flowi4Init, outputFlow } from "./flow.ts";
import { ipAdvancedRouter, ipExceptions } from "./ip-parts.ts";
import { rtKeep, rtKept, type Rtable } from "./rtable.ts";

/** Columns of a fib_info. */
export const FI_NEXT = 0;
/** Next hop after this one, 0 at the end. */
export const NH_NEXT = 1;
/** Routes that use it; 0: the row is free, or a further next hop. */
export const FI_REFS = 2;
/** Scope, protocol, type, table of the first route: 8 bits each. */
export const FI_WORD = 3;
/** RTNH_F_* (16 bits), namespace (16). */
export const FI_FLAGS = 4;
export const FI_PRIORITY = 5;
export const FI_PREFSRC = 6;
/** MTU (16 bits) and advertised MSS (16), 0 for none. */
export const FI_MTU = 7;
export const NH_OIF = 8;
export const NH_GW = 9;
/** RTNH_F_* (8 bits), scope of what is behind (8): LINK behind a gateway, HOST on the link, NOWHERE for local addresses; weight less one (8); scope of the route (8). */
export const NH_WORD = 10;
/** Highest flow hash that takes this next hop, -1 for none; a host's key. */
export const NH_UPPER = 11;
/** Source address selected for it, valid while NH_GENID is the namespace's generation. */
const NH_SADDR = 12;
const NH_GENID = 13;
/** Row of its other metrics, by RTAX_*; 0 for none; a host's order. */
export const FI_METRICS = 14;
/** Numbers of the rtables made for it (16 bits each): for packets in, for packets out. */
const NH_KEPT = 15;

const NH_SCOPE_SHIFT = 8;
const NH_WEIGHT_SHIFT = 16;
export const NH_FIB_SCOPE_SHIFT = 24;
/** State of a next hop, which does not make two of them different. */
export const NH_STATE = RTNH_F_DEAD | RTNH_F_LINKDOWN;

/** The widest scope a route of each type (RTN_*) may have. Linux: fib_props[].scope. */
const FIB_TYPE_SCOPE: readonly number[] = Object.freeze([
  RT_SCOPE_NOWHERE, RT_SCOPE_UNIVERSE, RT_SCOPE_HOST, RT_SCOPE_LINK, RT_SCOPE_LINK, RT_SCOPE_UNIVERSE,
  RT_SCOPE_UNIVERSE, RT_SCOPE_UNIVERSE, RT_SCOPE_UNIVERSE, RT_SCOPE_UNIVERSE, RT_SCOPE_NOWHERE, RT_SCOPE_NOWHERE,
]);

/** IPv4's routing state of a namespace (net.fib). Linux: the fib part of struct netns_ipv4. */
export class NetFib {
  /** The tables main, local and default, 0 while there is none. */
  main = 0;
  fallback = 0;
  local = 0;
  /** First of all tables. */
  tables = 0;
  /** Has a route of type LOCAL been entered by hand? Then an address of this host need not be one of a device. */
  customLocal = false;
  /** First rule; -1: they have never been changed, and main (with local in it) and default are asked, in that order. */
  rules = -1;
  /** Place of the default route that was chosen last among several, -1 for none; see fib-default.ts. */
  defaultOrder = -1;
}

/** The rtable that a next hop keeps for packets in, or with `out` for packets out. */
export function nhKept(nh: number, out: 0 | 1): Rtable | null {
  return rtKept(((nh + NH_KEPT) << 1) + out);
}

/** Gives a next hop an rtable to keep, whose reference is the next hop's; the one before goes. */
export function nhKeep(nh: number, out: 0 | 1, rt: Rtable | null): void {
  rtKeep(((nh + NH_KEPT) << 1) + out, rt);
}

export function fiScope(fi: number): number {
  return words[fi + FI_WORD]! & 255;
}

/** The table that its routes are in: never two, as it is part of the content. */
export function fiTable(fi: number): number {
  return words[fi + FI_WORD]! >>> 24;
}

export function nhScope(nh: number): number {
  return (words[nh + NH_WORD]! >> NH_SCOPE_SHIFT) & 255;
}

function nhSetScope(nh: number, scope: number): void {
  words[nh + NH_WORD] = (words[nh + NH_WORD]! & ~(255 << NH_SCOPE_SHIFT)) | (scope << NH_SCOPE_SHIFT);
}

export function nhWeight(nh: number): number {
  return ((words[nh + NH_WORD]! >> NH_WEIGHT_SHIFT) & 255) + 1;
}

/** The device of a next hop, or null. */
export function nhDev(net: Net, nh: number): NetDevice | null {
  return devGetByIndex(net, words[nh + NH_OIF]!);
}

/** Works out device and scope of a gateway. Linux: fib_check_nh_v4_gw(). */
function checkGateway(net: Net, nh: number, table: number, scope: number): number {
  const gw = words[nh + NH_GW]!;
  let dev: NetDevice | null;
  if ((words[nh + NH_WORD]! & RTNH_F_ONLINK) !== 0) {
    if (scope >= RT_SCOPE_LINK) return nlErrMsg(-EINVAL, "Nexthop has invalid scope");
    dev = nhDev(net, nh);
    if (dev === null) return nlErrMsg(-ENODEV, "Nexthop device required for onlink");
    if ((dev.flags & IFF_UP) === 0) return nlErrMsg(-ENETDOWN, "Nexthop device is not up");
    if (inetAddrType(net, gw) !== RTN_UNICAST) return nlErrMsg(-EINVAL, "Nexthop has invalid gateway");
    nhSetScope(nh, RT_SCOPE_LINK);
  } else {
    flowi4Init(outputFlow, gw, 0, words[nh + NH_OIF]!, 0, 0);
    outputFlow.scope = scope + 1 < RT_SCOPE_LINK ? RT_SCOPE_LINK : scope + 1;
    let err = table === RT_TABLE_UNSPEC || table === RT_TABLE_MAIN ? -1 : fibOps.lookup(net, table, gw, outputFlow, fibResult);
    if (err !== 0) err = fibLookup(net, outputFlow, fibResult);
    if (err !== 0) return nlErrMsg(err, "Nexthop has invalid gateway");
    if (fibResult.type !== RTN_UNICAST && fibResult.type !== RTN_LOCAL) {
      return nlErrMsg(-EINVAL, "Nexthop has invalid gateway");
    }
    nhSetScope(nh, fiScope(fibResult.fi));
    words[nh + NH_OIF] = words[fibResult.nh + NH_OIF]!;
    dev = nhDev(net, nh);
    if (dev === null) return nlErrMsg(-EINVAL, "No egress device for nexthop gateway");
    if ((dev.flags & IFF_UP) === 0) return -ENETDOWN;
  }
  if (!dev.carrier) words[nh + NH_WORD]! |= RTNH_F_LINKDOWN;
  return 0;
}

/** Works out a next hop. Linux: fib_check_nh(). */
function checkNexthop(net: Net, nh: number, table: number, scope: number): number {
  if (words[nh + NH_GW] !== 0) return checkGateway(net, nh, table, scope);
  if ((words[nh + NH_WORD]! & (RTNH_F_PERVASIVE | RTNH_F_ONLINK)) !== 0) {
    return nlErrMsg(-EINVAL, "Invalid flags for nexthop - PERVASIVE and ONLINK can not be set");
  }
  const dev = nhDev(net, nh);
  if (dev === null || inDevGet(dev) === null) return -ENODEV;
  if ((dev.flags & IFF_UP) === 0) return nlErrMsg(-ENETDOWN, "Device for nexthop is not up");
  nhSetScope(nh, RT_SCOPE_HOST);
  if (!dev.carrier) words[nh + NH_WORD]! |= RTNH_F_LINKDOWN;
  return 0;
}

/** May packets carry that source? It must be local, or just be becoming so. Linux: fib_valid_prefsrc(). */
function validPrefsrc(net: Net, cfg: FibConfig): boolean {
  if (cfg.type === RTN_LOCAL && cfg.dst !== 0 && cfg.prefsrc === cfg.dst) return true;
  const table = cfg.table;
  return inetAddrType(net, cfg.prefsrc) === RTN_LOCAL
    || (table !== RT_TABLE_MAIN && table !== RT_TABLE_UNSPEC && table !== RT_TABLE_LOCAL
      && inetAddrTypeTable(net, cfg.prefsrc, table) === RTN_LOCAL);
}

/** Fills the columns of a next hop in. Linux: fib_nh_init(). */
export function setNexthop(nh: number, scope: number, oif: number, gw: number, flags: number, weight: number): void {
  words[nh + NH_NEXT] = words[nh + FI_REFS] = words[nh + NH_KEPT] = 0;
  words[nh + NH_OIF] = oif;
  words[nh + NH_GW] = gw;
  words[nh + NH_WORD] = (flags & 255) | ((weight - 1) << NH_WEIGHT_SHIFT) | (scope << NH_FIB_SCOPE_SHIFT);
  words[nh + NH_UPPER] = 0;
  words[nh + NH_GENID] = -1;
}

/** Puts the next hops asked for into the row, several into fibWanted and rows behind it. Linux: fib_get_nhs(), fib_nh_init(). */
function wantNexthops(fi: number, cfg: FibConfig): number {
  if (cfg.nhs !== 0) {
    return ipAdvancedRouter === null ? nlErrMsg(-EINVAL, "Multipath support not enabled in kernel") : ipAdvancedRouter.nexthops(cfg);
  }
  setNexthop(fi, cfg.scope, cfg.oif, cfg.gw, cfg.flags, 1);
  return 0;
}

/**
 * Works out in a row what the route needs. Linux: the first part of fib_create_info().
 * @param fi fibWanted, or where a route has one next hop any row that is not in use
 * @returns 0, -EINVAL (type, scope, flags, prefsrc not local), -ENODEV, -ENETDOWN, -ENETUNREACH (the gateway is on no link), -ENOBUFS (no row)
 */
export function fibWorkOut(net: Net, fi: number, cfg: FibConfig): number {
  const { type, scope } = cfg;
  words[fi + NH_NEXT] = 0;
  if (type > RTN_MAX) return nlErrMsg(-EINVAL, "Invalid type");
  if (FIB_TYPE_SCOPE[type]! > scope) return nlErrMsg(-EINVAL, "Invalid scope");
  if ((cfg.flags & NH_STATE) !== 0) {
    return nlErrMsg(-EINVAL, "Invalid rtm_flags - can not contain DEAD or LINKDOWN");
  }
  words[fi + FI_WORD] = scope | (cfg.protocol << 8) | (type << 16) | ((cfg.table === RT_TABLE_UNSPEC ? RT_TABLE_MAIN : cfg.table) << 24);
  words[fi + FI_FLAGS] = (cfg.flags & 0xffff) | (net.id << 16);
  words[fi + FI_PRIORITY] = cfg.priority;
  words[fi + FI_PREFSRC] = cfg.prefsrc;
  words[fi + FI_MTU] = cfg.mtu | (cfg.advmss << 16);
  words[fi + FI_METRICS] = 0;
  let err = wantNexthops(fi, cfg);
  if (err !== 0) return err;
  if (type >= RTN_BLACKHOLE && type <= RTN_THROW) {
    if (cfg.gw === 0 && cfg.oif === 0 && cfg.nhs === 0) return 0;
    return nlErrMsg(-EINVAL, "Gateway, device and multipath can not be specified for this route type");
  }
  if (type < RTN_UNICAST || type > RTN_MULTICAST) return nlErrMsg(-EINVAL, "Invalid route type");
  if (scope > RT_SCOPE_HOST) return nlErrMsg(-EINVAL, "Invalid scope");
  if (scope === RT_SCOPE_HOST) {
    if (words[fi + NH_NEXT] !== 0) {
      return nlErrMsg(-EINVAL, "Route with host scope can not have multiple nexthops");
    }
    if (words[fi + NH_GW] !== 0) return nlErrMsg(-EINVAL, "Route with host scope can not have a gateway");
    nhSetScope(fi, RT_SCOPE_NOWHERE);
    if (nhDev(net, fi) === null) return -ENODEV;
  } else {
    let up = 0;
    let nh = fi;
    do {
      err = checkNexthop(net, nh, cfg.table, scope);
      if (err !== 0) return err;
      if ((words[nh + NH_WORD]! & RTNH_F_LINKDOWN) === 0) up++;
      nh = words[nh + NH_NEXT]!;
    } while (nh !== 0);
    if (up === 0) words[fi + FI_FLAGS]! |= RTNH_F_LINKDOWN;
  }
  return cfg.prefsrc !== 0 && !validPrefsrc(net, cfg) ? nlErrMsg(-EINVAL, "Invalid prefsrc address") : 0;
}

/** What is kept with a next hop goes: rtables, and exceptions. */
export function nhForget(nh: number): void {
  if (ipExceptions !== null) ipExceptions.forget(nh);
  nhKeep(nh, 0, null);
  nhKeep(nh, 1, null);
}

/** A next hop has come to life or died: of several the others' shares change. */
export function fibRebalance(fi: number): void {
  if (words[fi + NH_NEXT] !== 0) ipAdvancedRouter!.rebalance(fi);
}

/** Source address of packets by that next hop. Linux: fib_result_prefsrc(). */
export function fibResultPrefsrc(net: Net, fi: number, nh: number): number {
  const prefsrc = words[fi + FI_PREFSRC]!;
  return prefsrc !== 0 ? prefsrc : fibNhSaddr(net, fi, nh);
}

/** Source address that the device of a next hop has for it. Linux: fib_info_update_nhc_saddr(). */
export function fibNhSaddr(net: Net, fi: number, nh: number): number {
  if (words[nh + NH_GENID] !== net.rtGenid) {
    words[nh + NH_SADDR] = inetSelectAddr(net, nhDev(net, nh)!, words[nh + NH_GW]!, words[fi + FI_WORD]! & 255);
    words[nh + NH_GENID] = net.rtGenid;
  }
  return words[nh + NH_SADDR]!;
}

/** Describes a route as a record, but for what only its alias knows: for dumps and announcements. */
export function fibConfigFill(cfg: FibConfig, net: Net, fi: number): void {
  fibConfigReset(cfg);
  const fiWord = words[fi + FI_WORD]!;
  cfg.net = net;
  cfg.scope = fiWord & 255;
  cfg.protocol = (fiWord >> 8) & 255;
  cfg.priority = words[fi + FI_PRIORITY]!;
  cfg.prefsrc = words[fi + FI_PREFSRC]!;
  cfg.mtu = words[fi + FI_MTU]! & 0xffff;
  cfg.advmss = words[fi + FI_MTU]! >>> 16;
  cfg.oif = words[fi + NH_OIF]!;
  cfg.gw = words[fi + NH_GW]!;
  cfg.flags = (words[fi + NH_WORD]! & 255) | (words[fi + FI_FLAGS]! & NH_STATE);
  const metrics = words[fi + FI_METRICS]!;
  if (metrics !== 0 && cfg.metrics !== null) for (let i = 1; i <= RTAX_MAX; i++) cfg.metrics[i] = words[metrics + i]!;
  if (words[fi + NH_NEXT] === 0) return;
  for (let nh = fi; nh !== 0; nh = words[nh + NH_NEXT]!) {
    const at = cfg.nhs * FIB_NH_INTS;
    cfg.nexthops![at + FIB_NH_OIF] = words[nh + NH_OIF]!;
    cfg.nexthops![at + FIB_NH_GW] = words[nh + NH_GW]!;
    cfg.nexthops![at + FIB_NH_FLAGS] = words[nh + NH_WORD]! & 255;
    cfg.nexthops![at + FIB_NH_WEIGHT] = nhWeight(nh);
    cfg.nhs++;
  }
}
