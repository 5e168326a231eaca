/**
 * fib_info: what routes share: next hop, scope, protocol, preferred source, metrics. Linux: net/ipv4/fib_semantics.c.
 * Owns the pool. Routes of equal content have the same fib_info, counted by the number of routes; a next hop keeps the
 * rtables made for it, so that a packet's route is found without making one.
 */
import { account } from "../../lib/account.ts";
import { type Pool, type Pooled, poolAlloc, poolCreate, poolFree } from "../../lib/pool.ts";
import { devGetByIndex, NETDEV_CHANGE } from "../../netif/dev.ts";
import { EINVAL, ENETDOWN, ENOBUFS, ENODEV } from "../../uapi/errno.ts";
import { IFF_UP } from "../../uapi/if.ts";
import {
  RT_SCOPE_HOST, RT_SCOPE_LINK, RT_SCOPE_NOWHERE, RT_SCOPE_UNIVERSE, RTN_LOCAL, RTN_MAX,
  RTN_UNICAST, RTN_UNSPEC, RTNH_F_DEAD, RTNH_F_LINKDOWN, RTNH_F_ONLINK, RTNH_F_PERVASIVE, RTPROT_UNSPEC,
} from "../../uapi/rtnetlink.ts";
import type { Net } from "../core/net.ts";
import type { NetDevice } from "../core/net-device.ts";
import { inDevGet, inetSelectAddr } from "./devinet.ts";
import type { FibConfig } from "./fib-config.ts";
import { fibLookup, inetAddrType, netFib } from "./fib-lookup.ts";
import { FIB_TYPE_ERROR } from "./fib-table.ts";
import { type FibResult, type Flowi4, flowi4Init } from "./flow.ts";
import { type Rtable, rtCacheDrop } from "./rtable.ts";

/** The widest scope a route of each type (RTN_*) may have. Linux: fib_props[].scope. */
const FIB_TYPE_SCOPE: readonly number[] = Object.freeze([
  RT_SCOPE_NOWHERE, RT_SCOPE_UNIVERSE, RT_SCOPE_HOST, RT_SCOPE_LINK, RT_SCOPE_LINK, RT_SCOPE_UNIVERSE,
  RT_SCOPE_UNIVERSE, RT_SCOPE_UNIVERSE, RT_SCOPE_UNIVERSE, RT_SCOPE_UNIVERSE, RT_SCOPE_NOWHERE, RT_SCOPE_NOWHERE,
]);

/** A next hop. Linux: struct fib_nh. */
export class FibNh {
  /** The route kept for packets to this host. */
  rthInput: Rtable | null = null;
  /** The route kept for packets that leave by this next hop. */
  rthOutput: Rtable | null = null;
  dev: NetDevice | null = null;
  oif = 0;
  gw = 0;
  /** RTNH_F_* */
  flags = 0;
  /** Scope of what is behind: LINK behind a gateway, HOST on the link, NOWHERE for local addresses. */
  scope = RT_SCOPE_UNIVERSE;
  /** Source address selected for it, valid while saddrGenid is the namespace's. */
  saddr = 0;
  saddrGenid = 0;
}

export class FibInfo implements Pooled {
  readonly nh: FibNh = new FibNh();
  scope = RT_SCOPE_UNIVERSE;
  priority = 0;
  /** RTNH_F_DEAD: to be flushed; RTNH_F_LINKDOWN. */
  flags = 0;
  prefsrc = 0;
  mtu = 0;
  advmss = 0;
  /** RTPROT_* */
  protocol = RTPROT_UNSPEC;
  type = RTN_UNSPEC;
  /** Table of the route that made it, for the errors of prefsrc. */
  table = 0;
  /** Routes that use it. */
  treeref = 0;
  next: FibInfo | null = null;
  poolNext: Pooled | null = null;
}

let infos: Pool<FibInfo>;
/** Where a wanted fib_info is worked out before it is looked for or made. */
let wanted: FibInfo;
let nhFlow: Flowi4;
let nhResult: FibResult;

/** Builds the pool. Boot time only. @param flow @param res what gateways are asked for with */
export function fibSemanticsInit(count: number, flow: Flowi4, res: FibResult): void {
  infos = poolCreate("fib_info", count, () => new FibInfo());
  wanted = account("fib", new FibInfo());
  nhFlow = flow;
  nhResult = res;
}

/** Works out device and scope of a gateway. Linux: fib_check_nh_v4_gw(). */
function fibCheckGateway(net: Net, nh: FibNh, scope: number): number {
  if ((nh.flags & RTNH_F_ONLINK) !== 0) {
    if (scope >= RT_SCOPE_LINK) return -EINVAL;
    const dev = devGetByIndex(net, nh.oif);
    if (dev === null) return -ENODEV;
    if ((dev.flags & IFF_UP) === 0) return -ENETDOWN;
    if (inetAddrType(net, nh.gw) !== RTN_UNICAST) return -EINVAL;
    nh.dev = dev;
    nh.scope = RT_SCOPE_LINK;
    return 0;
  }
  flowi4Init(nhFlow, nh.gw, 0, nh.oif, 0, 0);
  nhFlow.scope = scope + 1 < RT_SCOPE_LINK ? RT_SCOPE_LINK : scope + 1;
  const err = fibLookup(net, nhFlow, nhResult);
  if (err !== 0) return err;
  if (nhResult.type !== RTN_UNICAST && nhResult.type !== RTN_LOCAL) return -EINVAL;
  const dev = nhResult.nh!.dev;
  if (dev === null) return -ENODEV;
  nh.dev = dev;
  nh.oif = dev.ifindex;
  nh.scope = nhResult.scope;
  return (dev.flags & IFF_UP) !== 0 ? 0 : -ENETDOWN;
}

/** Works out the next hop of a route that has one. Linux: fib_check_nh(), fib_create_info(). */
function fibCheckNh(net: Net, nh: FibNh, scope: number): number {
  if (scope === RT_SCOPE_HOST) {
    if (nh.gw !== 0) return -EINVAL;
    nh.scope = RT_SCOPE_NOWHERE;
    nh.dev = devGetByIndex(net, nh.oif);
    return nh.dev === null ? -ENODEV : 0;
  }
  if (nh.gw !== 0) {
    const err = fibCheckGateway(net, nh, scope);
    if (err !== 0) return err;
  } else {
    if ((nh.flags & (RTNH_F_PERVASIVE | RTNH_F_ONLINK)) !== 0) return -EINVAL;
    const dev = devGetByIndex(net, nh.oif);
    if (dev === null || inDevGet(dev) === null) return -ENODEV;
    if ((dev.flags & IFF_UP) === 0) return -ENETDOWN;
    nh.dev = dev;
    nh.scope = RT_SCOPE_HOST;
  }
  if (!nh.dev!.carrier) nh.flags |= RTNH_F_LINKDOWN;
  return 0;
}

/** May packets carry that source? It must be local, or just be becoming so. Linux: fib_valid_prefsrc(). */
function fibValidPrefsrc(net: Net, cfg: FibConfig): boolean {
  if (cfg.type === RTN_LOCAL && cfg.dst !== 0 && cfg.prefsrc === cfg.dst) return true;
  return inetAddrType(net, cfg.prefsrc) === RTN_LOCAL;
}

function sameContent(a: FibInfo, b: FibInfo): boolean {
  const nhA = a.nh;
  const nhB = b.nh;
  return a.scope === b.scope && a.protocol === b.protocol && a.prefsrc === b.prefsrc && a.priority === b.priority
    && a.type === b.type && a.table === b.table && a.mtu === b.mtu && a.advmss === b.advmss
    && ((a.flags ^ b.flags) & ~(RTNH_F_DEAD | RTNH_F_LINKDOWN)) === 0
    && nhA.oif === nhB.oif && nhA.gw === nhB.gw && nhA.scope === nhB.scope
    && ((nhA.flags ^ nhB.flags) & ~(RTNH_F_DEAD | RTNH_F_LINKDOWN)) === 0;
}

function copyContent(from: FibInfo, to: FibInfo): void {
  to.scope = from.scope;
  to.priority = from.priority;
  to.flags = from.flags;
  to.prefsrc = from.prefsrc;
  to.mtu = from.mtu;
  to.advmss = from.advmss;
  to.protocol = from.protocol;
  to.type = from.type;
  to.table = from.table;
  const nh = to.nh;
  nh.dev = from.nh.dev;
  nh.oif = from.nh.oif;
  nh.gw = from.nh.gw;
  nh.flags = from.nh.flags;
  nh.scope = from.nh.scope;
  nh.rthInput = nh.rthOutput = null;
  nh.saddr = 0;
  nh.saddrGenid = -1;
}

/**
 * The fib_info for a route, shared with all others of the same content; a reference is taken for the caller.
 * Linux: fib_create_info().
 * @returns null with the negative errno in `fibCreateError`: -EINVAL (type, scope, flags, prefsrc not local), -ENODEV,
 *   -ENETDOWN, -ENETUNREACH (the gateway is on no link), -ENOBUFS (pool empty)
 */
export function fibCreateInfo(net: Net, cfg: FibConfig): FibInfo | null {
  fibCreateError = fibWorkOut(net, cfg);
  if (fibCreateError !== 0) return null;
  const fib = netFib(net);
  for (let fi = fib.infos; fi !== null; fi = fi.next) {
    if (sameContent(fi, wanted)) {
      fi.treeref++;
      return fi;
    }
  }
  const fi = poolAlloc(infos);
  if (fi === null) {
    fibCreateError = -ENOBUFS;
    return null;
  }
  copyContent(wanted, fi);
  fi.treeref = 1;
  fi.next = fib.infos;
  fib.infos = fi;
  return fi;
}

/** Why fibCreateInfo() answered null. */
export let fibCreateError = 0;

function fibWorkOut(net: Net, cfg: FibConfig): number {
  const type = cfg.type;
  const scope = cfg.scope;
  if (type > RTN_MAX || FIB_TYPE_SCOPE[type]! > scope) return -EINVAL;
  if ((cfg.flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN)) !== 0 || cfg.nhs > 1) return -EINVAL;
  const nh = wanted.nh;
  wanted.protocol = cfg.protocol;
  wanted.scope = scope;
  wanted.priority = cfg.priority;
  wanted.prefsrc = cfg.prefsrc;
  wanted.type = type;
  wanted.table = cfg.table;
  wanted.mtu = cfg.mtu;
  wanted.advmss = cfg.advmss;
  wanted.flags = nh.flags = cfg.flags;
  nh.oif = cfg.oif;
  nh.gw = cfg.gw;
  nh.scope = RT_SCOPE_UNIVERSE;
  nh.dev = null;
  if (FIB_TYPE_ERROR[type] !== 0) return cfg.gw !== 0 || cfg.oif !== 0 ? -EINVAL : 0;
  if (type === RTN_UNSPEC || scope > RT_SCOPE_HOST) return -EINVAL;
  const err = fibCheckNh(net, nh, scope);
  if (err !== 0) return err;
  if ((nh.flags & RTNH_F_LINKDOWN) !== 0) wanted.flags |= RTNH_F_LINKDOWN;
  return cfg.prefsrc !== 0 && !fibValidPrefsrc(net, cfg) ? -EINVAL : 0;
}

/** Gives up what a next hop keeps of past decisions. */
function fibDropCached(nh: FibNh): void {
  rtCacheDrop(nh.rthInput);
  rtCacheDrop(nh.rthOutput);
  nh.rthInput = nh.rthOutput = null;
}

/**
 * Gives up every routing decision the namespace keeps for the next packet: `ip route flush cache`. Decisions that sockets
 * hold live on with them.
 */
export function fibFlushCached(net: Net): void {
  for (let fi = netFib(net).infos; fi !== null; fi = fi.next) fibDropCached(fi.nh);
}

/** A route gives its fib_info back; with the last one it goes, and the rtables it kept. Linux: fib_release_info(). */
export function fibReleaseInfo(net: Net, fi: FibInfo): void {
  if (--fi.treeref > 0) return;
  const fib = netFib(net);
  let previous: FibInfo | null = null;
  for (let at = fib.infos; at !== fi && at !== null; at = at.next) previous = at;
  if (previous === null) fib.infos = fi.next;
  else previous.next = fi.next;
  fi.next = null;
  fibDropCached(fi.nh);
  fi.nh.dev = null;
  poolFree(infos, fi);
}

/** Source address of packets by that route. Linux: fib_result_prefsrc(). */
export function fibResultPrefsrc(net: Net, fi: FibInfo): number {
  if (fi.prefsrc !== 0) return fi.prefsrc;
  const nh = fi.nh;
  if (nh.saddrGenid !== net.rtGenid) {
    nh.saddr = inetSelectAddr(net, nh.dev!, nh.gw, fi.scope);
    nh.saddrGenid = net.rtGenid;
  }
  return nh.saddr;
}

/**
 * A device goes down or loses its carrier: marks its next hops. Linux: fib_sync_down_dev().
 * @param force local addresses too (the device or its last address goes)
 * @returns number of fib_info that are dead now and are to be flushed
 */
export function fibSyncDownDev(net: Net, dev: NetDevice, event: number, force: boolean): number {
  let dead = 0;
  for (let fi = netFib(net).infos; fi !== null; fi = fi.next) {
    const nh = fi.nh;
    if (nh.dev !== dev || (!force && nh.scope === RT_SCOPE_NOWHERE)) continue;
    const flags = event === NETDEV_CHANGE ? RTNH_F_LINKDOWN : RTNH_F_DEAD | RTNH_F_LINKDOWN;
    nh.flags |= flags;
    fi.flags |= flags;
    if ((flags & RTNH_F_DEAD) !== 0) dead++;
  }
  return dead;
}

/** An address is gone: routes that prefer it as source are dead. Linux: fib_sync_down_addr(). */
export function fibSyncDownAddr(net: Net, addr: number): number {
  let dead = 0;
  if (addr === 0) return 0;
  for (let fi = netFib(net).infos; fi !== null; fi = fi.next) {
    if (fi.prefsrc !== addr) continue;
    fi.flags |= RTNH_F_DEAD;
    dead++;
  }
  return dead;
}

/** The device is up, or has its carrier back. Linux: fib_sync_up(). */
export function fibSyncUp(net: Net, dev: NetDevice): void {
  for (let fi = netFib(net).infos; fi !== null; fi = fi.next) {
    const nh = fi.nh;
    if (nh.dev !== dev) continue;
    nh.flags &= ~(RTNH_F_LINKDOWN | RTNH_F_DEAD);
    fi.flags &= ~(RTNH_F_LINKDOWN | RTNH_F_DEAD);
  }
}
