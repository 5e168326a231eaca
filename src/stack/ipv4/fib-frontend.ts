/**
 * The routing tables' doors: routes asked for by configuration, routes that come and go with addresses and devices, and
 * the check of where a packet claims to come from. Linux: net/ipv4/fib_frontend.c, the notifiers and fib_magic().
 *
 * An address brings up to four routes: itself as LOCAL /32, the prefix (LOCAL on loopback, else UNICAST on the link),
 * and the lowest and highest address of the prefix as BROADCAST. They go with the last address that wants them.
 */
import { account } from "../../lib/account.ts";
import {
  NOTIFY_DONE, NotifierBlock, NotifierChain, notifierChainCall, notifierChainRegister,
} from "../../lib/notifier.ts";
import {
  netdevChain, NETDEV_CHANGE, NETDEV_CHANGEMTU, NETDEV_DOWN, NETDEV_UNREGISTER, NETDEV_UP,
} from "../../netif/dev.ts";
import { EINVAL, ESRCH } from "../../uapi/errno.ts";
import { IFF_LOOPBACK, IFF_UP } from "../../uapi/if.ts";
import { NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL } from "../../uapi/netlink.ts";
import {
  IFA_F_NOPREFIXROUTE, IFA_F_SECONDARY, RT_SCOPE_HOST, RT_SCOPE_LINK, RT_SCOPE_NOWHERE, RT_SCOPE_UNIVERSE,
  RT_TABLE_LOCAL, RT_TABLE_MAIN, RTM_DELROUTE, RTM_NEWROUTE, RTN_BROADCAST, RTN_LOCAL, RTN_UNICAST, RTN_UNSPEC,
  RTPROT_BOOT, RTPROT_KERNEL,
} from "../../uapi/rtnetlink.ts";
import { registerPernetSubsys, type Net } from "../core/net.ts";
import { neighIfdown } from "../core/neighbour.ts";
import type { NetDevice } from "../core/net-device.ts";
import { arpTbl } from "./arp.ts";
import {
  inDevGet, type InDevice, inetaddrChain, inetIfaByprefix, inetLookupIfaddr, type InIfaddr,
} from "./devinet.ts";
import { fibGetTable, fibLookupInit, inetAddrType, NetFib, netFib } from "./fib-lookup.ts";
import { FibConfig, fibConfigInit, fibConfigReset, type FibRule, type FibWalk } from "./fib-config.ts";
import {
  fibCreateError, fibCreateInfo, type FibInfo, fibReleaseInfo, fibSemanticsInit,
  fibSyncDownAddr, fibSyncDownDev, fibSyncUp,
} from "./fib-semantics.ts";
import {
  type FibAlias, fibReplaced, type FibTable, fibTableDelete as tableDelete, fibTableFlushOne, fibTableInit,
  fibTableInsert as tableInsert,
} from "./fib-table.ts";
import { FibResult, Flowi4 } from "./flow.ts";

/** The configuration of the routes that addresses bring. */
let magicCfg: FibConfig;
/** The announced route; made when somebody listens. */
let notice: FibConfig | null;
/** Told RTM_NEWROUTE and RTM_DELROUTE with the whole route, after each change; the record is reused. Linux: rtmsg_fib(). */
export let fibChain: NotifierChain<FibConfig>;
/** Told RTM_NEWRULE and RTM_DELRULE. Linux: notify_rule_change(). */
export let fibRuleChain: NotifierChain<FibRule>;

/**
 * Builds the routing tables of every namespace. Boot time, after devinetInit() and before devices register.
 * @param routes routes in all tables of all namespaces @param infoCount distinct fib_info among them
 */
export function fibInit(routes: number, infoCount: number): void {
  fibTableInit(routes);
  const askFlow = account("fib", new Flowi4());
  const askResult = account("fib", new FibResult());
  fibLookupInit(askFlow, askResult);
  fibSemanticsInit(infoCount, askFlow, askResult);
  fibConfigInit(1, false);
  magicCfg = account("fib", new FibConfig());
  notice = null;
  fibChain = account("fib", new NotifierChain<FibConfig>());
  fibRuleChain = account("fib", new NotifierChain<FibRule>());
  registerPernetSubsys({
    init(net: Net): void {
      net.fib = account("fib", new NetFib());
    },
  });
  notifierChainRegister(netdevChain, account("fib", new NotifierBlock<NetDevice>(fibNetdevEvent)));
  notifierChainRegister(inetaddrChain, account("fib", new NotifierBlock<InIfaddr>(fibInetaddrEvent)));
}

/** Somebody wants to hear of the routes' changes. Boot time. */
export function fibNotifierRegister(block: NotifierBlock<FibConfig>): void {
  notice ??= account("fib", new FibConfig());
  notifierChainRegister(fibChain, block);
}

/** All cached routing decisions of the namespace are stale from now on. Linux: rt_cache_flush(). */
export function rtCacheFlush(net: Net): void {
  net.rtGenid = (net.rtGenid + 1) | 0;
}

/** 0, or -EINVAL: prefix longer than 32, or with bits outside of its length. Linux: fib_valid_key_len(). */
function fibValidKeyLen(cfg: FibConfig): number {
  const length = cfg.dstLen;
  if (length < 0 || length > 32) return -EINVAL;
  return length < 32 && cfg.dst << length !== 0 ? -EINVAL : 0;
}

/**
 * Enters a route. Linux: inet_rtm_newroute(), fib_table_insert().
 * @param cfg the route, with the request's NLM_F_CREATE, EXCL, REPLACE, APPEND as in rtnetlink(7)
 * @returns 0; -EEXIST, -ENOENT (not there and no CREATE), -EINVAL (host bits, length, type, scope, prefsrc), -ENODEV,
 *   -ENETDOWN, -ENETUNREACH (gateway not on a link), -ENOBUFS (a pool is empty, the table is unchanged)
 */
export function fibTableInsert(net: Net, cfg: FibConfig): number {
  const table = fibGetTable(net, cfg.table);
  if (table === null) return -EINVAL;
  const invalid = fibValidKeyLen(cfg);
  if (invalid !== 0) return invalid;
  const fi = fibCreateInfo(net, cfg);
  if (fi === null) return fibCreateError;
  const err = tableInsert(table, cfg, cfg.nlflags, fi);
  if (err !== 0) {
    fibReleaseInfo(net, fi);
    return err;
  }
  if (fibReplaced !== null) fibReleaseInfo(net, fibReplaced);
  rtCacheFlush(net);
  if (notice !== null) {
    fibConfigFill(notice, net, table.id, cfg.dst, cfg.dstLen, cfg.tos, cfg.type, fi);
    notice.nlflags = cfg.nlflags;
    notifierChainCall(fibChain, RTM_NEWROUTE, notice);
  }
  return 0;
}

/**
 * Removes the first route that matches. Linux: inet_rtm_delroute(), fib_table_delete().
 * @returns 0, -ESRCH (no such route or table), -EINVAL (host bits, length)
 */
export function fibTableDelete(net: Net, cfg: FibConfig): number {
  const table = fibGetTable(net, cfg.table);
  if (table === null) return -ESRCH;
  const invalid = fibValidKeyLen(cfg);
  if (invalid !== 0) return invalid;
  const err = tableDelete(table, cfg);
  if (err !== 0) return err;
  const fi = fibReplaced!;
  rtCacheFlush(net);
  if (notice !== null) {
    fibConfigFill(notice, net, table.id, cfg.dst, cfg.dstLen, cfg.tos, fi.type, fi);
    notifierChainCall(fibChain, RTM_DELROUTE, notice);
  }
  fibReleaseInfo(net, fi);
  return 0;
}

function fibConfigFill(
  cfg: FibConfig, net: Net, table: number, dst: number, dstLen: number, tos: number, type: number, fi: FibInfo,
): void {
  fibConfigReset(cfg);
  cfg.net = net;
  cfg.table = table;
  cfg.dst = dst;
  cfg.dstLen = dstLen;
  cfg.tos = tos;
  cfg.type = type;
  cfg.scope = fi.scope;
  cfg.protocol = fi.protocol;
  cfg.oif = fi.nh.oif;
  cfg.gw = fi.nh.gw;
  cfg.flags = fi.nh.flags;
  cfg.prefsrc = fi.prefsrc;
  cfg.priority = fi.priority;
  cfg.mtu = fi.mtu;
  cfg.advmss = fi.advmss;
}

/**
 * Begins a dump of routes. Linux: inet_dump_fib().
 * @param table only that one, 0 for all
 */
export function fibWalkStart(walk: FibWalk, net: Net, table: number): void {
  walk.net = net;
  walk.only = table;
  walk.table = table === 0 ? RT_TABLE_MAIN : table;
  walk.key = walk.index = 0;
}

/** The next route of the dump, into `cfg`; false at the end. Routes come by table, then by prefix, then by preference. */
export function fibWalkNext(walk: FibWalk, cfg: FibConfig): boolean {
  const net = walk.net!;
  while (walk.table !== 0) {
    let alias: FibAlias | null = fibGetTable(net, walk.table)?.head ?? null;
    for (let i = 0; i < walk.index && alias !== null; i++) alias = alias.next;
    if (alias !== null) {
      walk.index++;
      fibConfigFill(cfg, net, walk.table, alias.key, alias.prefixlen, alias.tos, alias.type, alias.fi!);
      return true;
    }
    walk.table = walk.only === 0 && walk.table === RT_TABLE_MAIN ? RT_TABLE_LOCAL : 0;
    walk.index = 0;
  }
  return false;
}

/**
 * `ip route add DST/LEN [via GW] [dev IFINDEX] [metric PRIORITY]` in one call; errors as fibTableInsert() with
 * NLM_F_CREATE and NLM_F_EXCL. Configuration: may allocate.
 */
export function ipRouteAdd(net: Net, dst: number, dstLen: number, gw: number, oif: number, priority = 0): number {
  const cfg = routeConfig(dst, dstLen, gw, oif, priority);
  cfg.protocol = RTPROT_BOOT;
  cfg.scope = gw === 0 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  cfg.nlflags = NLM_F_CREATE | NLM_F_EXCL;
  return fibTableInsert(net, cfg);
}

/** `ip route del` of the same; what is 0 matches any. Errors as fibTableDelete(). May allocate. */
export function ipRouteDel(net: Net, dst: number, dstLen: number, gw: number, oif: number, priority = 0): number {
  const cfg = routeConfig(dst, dstLen, gw, oif, priority);
  cfg.scope = RT_SCOPE_NOWHERE;
  cfg.type = RTN_UNSPEC;
  return fibTableDelete(net, cfg);
}

function routeConfig(dst: number, dstLen: number, gw: number, oif: number, priority: number): FibConfig {
  const cfg = new FibConfig();
  cfg.dst = dst | 0;
  cfg.dstLen = dstLen;
  cfg.gw = gw | 0;
  cfg.oif = oif;
  cfg.priority = priority;
  return cfg;
}

/** A route of an address: LOCAL and BROADCAST into the local table, UNICAST into main. Linux: fib_magic(). */
function fibMagic(add: boolean, type: number, dst: number, dstLen: number, ifa: InIfaddr, priority: number): void {
  const cfg = magicCfg;
  const dev = ifa.dev!;
  fibConfigReset(cfg);
  cfg.protocol = RTPROT_KERNEL;
  cfg.type = type;
  cfg.dst = dst;
  cfg.dstLen = dstLen;
  cfg.priority = priority;
  cfg.prefsrc = ifa.local;
  cfg.oif = dev.ifindex;
  cfg.table = type === RTN_UNICAST ? RT_TABLE_MAIN : RT_TABLE_LOCAL;
  cfg.scope = type === RTN_LOCAL ? RT_SCOPE_HOST : RT_SCOPE_LINK;
  cfg.nlflags = NLM_F_CREATE | NLM_F_APPEND;
  if (add) fibTableInsert(dev.net!, cfg);
  else fibTableDelete(dev.net!, cfg);
}

/** Has the address a prefix of more than itself? Addresses without a prefix bring only the LOCAL route. */
function hasPrefix(ifa: InIfaddr): boolean {
  const prefix = ifa.address & ifa.mask;
  return prefix !== 0 && (prefix !== ifa.local || ifa.prefixlen < 32);
}

/** The primary whose source address the routes of an address prefer, or null when it is gone. */
function primaryOf(inDev: InDevice, ifa: InIfaddr): InIfaddr | null {
  return (ifa.flags & IFA_F_SECONDARY) !== 0 ? inetIfaByprefix(inDev, ifa.address & ifa.mask, ifa.mask) : ifa;
}

function prefixType(ifa: InIfaddr): number {
  return (ifa.dev!.flags & IFF_LOOPBACK) !== 0 ? RTN_LOCAL : RTN_UNICAST;
}

/** The routes of a new address; of one on a device that is down only the LOCAL one. Linux: fib_add_ifaddr(). */
export function fibAddIfaddr(ifa: InIfaddr): void {
  const dev = ifa.dev!;
  const primary = primaryOf(inDevGet(dev)!, ifa);
  if (primary === null) return;
  fibMagic(true, RTN_LOCAL, ifa.local, 32, primary, 0);
  if ((dev.flags & IFF_UP) === 0) return;
  if (ifa.broadcast !== 0 && ifa.broadcast !== -1) fibMagic(true, RTN_BROADCAST, ifa.broadcast, 32, primary, 0);
  if ((ifa.flags & IFA_F_SECONDARY) !== 0 || !hasPrefix(ifa)) return;
  const prefix = ifa.address & ifa.mask;
  if ((ifa.flags & IFA_F_NOPREFIXROUTE) === 0) {
    fibMagic(true, prefixType(ifa), prefix, ifa.prefixlen, primary, ifa.rtPriority);
  }
  if (ifa.prefixlen < 31) {
    fibMagic(true, RTN_BROADCAST, prefix, 32, primary, 0);
    fibMagic(true, RTN_BROADCAST, prefix | ~ifa.mask, 32, primary, 0);
  }
}

/** Does an address of the list, with the same primary address, still want this LOCAL or BROADCAST route? */
function stillWanted(inDev: InDevice, gone: InIfaddr, primary: InIfaddr, type: number, addr: number): boolean {
  for (let ifa = inDev.ifaList; ifa !== null; ifa = ifa.next) {
    if (ifa === gone || primaryOf(inDev, ifa)?.local !== primary.local) continue;
    if (type === RTN_LOCAL) {
      if (ifa.local === addr) return true;
      continue;
    }
    if (ifa.broadcast === addr) return true;
    if ((ifa.flags & IFA_F_SECONDARY) !== 0 || ifa.prefixlen >= 31 || !hasPrefix(ifa)) continue;
    const lowest = ifa.address & ifa.mask;
    if (addr === lowest || addr === (lowest | ~ifa.mask)) return true;
  }
  return false;
}

function dropUnlessWanted(inDev: InDevice, gone: InIfaddr, primary: InIfaddr, type: number, addr: number): void {
  if (!stillWanted(inDev, gone, primary, type, addr)) fibMagic(false, type, addr, 32, primary, 0);
}

/** Takes back the routes of an address that is off its list already. Linux: fib_del_ifaddr(). */
export function fibDelIfaddr(ifa: InIfaddr): void {
  const dev = ifa.dev!;
  const net = dev.net!;
  const inDev = inDevGet(dev)!;
  const primary = primaryOf(inDev, ifa);
  if (primary === null) return;
  const prefix = ifa.address & ifa.mask;
  const subnet = (ifa.flags & IFA_F_SECONDARY) === 0 && hasPrefix(ifa);
  if (subnet && (ifa.flags & IFA_F_NOPREFIXROUTE) === 0) {
    fibMagic(false, prefixType(ifa), prefix, ifa.prefixlen, primary, ifa.rtPriority);
  }
  if (ifa.broadcast !== 0) dropUnlessWanted(inDev, ifa, primary, RTN_BROADCAST, ifa.broadcast);
  if (subnet && ifa.prefixlen < 31) {
    dropUnlessWanted(inDev, ifa, primary, RTN_BROADCAST, prefix);
    dropUnlessWanted(inDev, ifa, primary, RTN_BROADCAST, prefix | ~ifa.mask);
  }
  if (stillWanted(inDev, ifa, primary, RTN_LOCAL, ifa.local)) return;
  fibMagic(false, RTN_LOCAL, ifa.local, 32, primary, 0);
  if (inetAddrType(net, ifa.local) !== RTN_LOCAL && fibSyncDownAddr(net, ifa.local) > 0) fibFlush(net);
}

function flushTable(net: Net, table: FibTable): void {
  for (let fi = fibTableFlushOne(table); fi !== null; fi = fibTableFlushOne(table)) fibReleaseInfo(net, fi);
}

/** Removes all routes whose next hop is dead. Linux: fib_flush(). */
export function fibFlush(net: Net): void {
  const fib = netFib(net);
  flushTable(net, fib.local);
  flushTable(net, fib.main);
  rtCacheFlush(net);
}

/** The device's routes go, its neighbours with them. Linux: fib_disable_ip(). */
function fibDisableIp(net: Net, dev: NetDevice, event: number, force: boolean): void {
  if (fibSyncDownDev(net, dev, event, force) > 0) fibFlush(net);
  else rtCacheFlush(net);
  neighIfdown(arpTbl, dev);
}

function fibNetdevEvent(event: number, dev: NetDevice): number {
  const net = dev.net!;
  if (event === NETDEV_UNREGISTER) {
    fibDisableIp(net, dev, event, true);
    return NOTIFY_DONE;
  }
  const inDev = inDevGet(dev);
  if (inDev === null) return NOTIFY_DONE;
  switch (event) {
    case NETDEV_UP:
      for (let ifa = inDev.ifaList; ifa !== null; ifa = ifa.next) fibAddIfaddr(ifa);
      fibSyncUp(net, dev);
      rtCacheFlush(net);
      break;
    case NETDEV_DOWN:
      fibDisableIp(net, dev, event, false);
      break;
    case NETDEV_CHANGE:
      if (dev.carrier) fibSyncUp(net, dev);
      else fibSyncDownDev(net, dev, event, false);
      rtCacheFlush(net);
      break;
    case NETDEV_CHANGEMTU:
      rtCacheFlush(net);
      break;
  }
  return NOTIFY_DONE;
}

function fibInetaddrEvent(event: number, ifa: InIfaddr): number {
  const dev = ifa.dev!;
  const net = dev.net!;
  if (event === NETDEV_UP) {
    fibAddIfaddr(ifa);
    rtCacheFlush(net);
  } else if (event === NETDEV_DOWN) {
    fibDelIfaddr(ifa);
    if (inDevGet(dev)!.ifaList === null) fibDisableIp(net, dev, event, true);
    else rtCacheFlush(net);
  }
  return NOTIFY_DONE;
}

/**
 * May a packet with that source address have come in by the device? Linux: fib_validate_source() with rp_filter 0.
 * @returns 0, or -EINVAL for an address of this host
 */
export function fibValidateSource(net: Net, inDev: InDevice, saddr: number): number {
  return inDev.acceptLocal === 0 && inetLookupIfaddr(net, saddr) !== null ? -EINVAL : 0;
}
