/**
 * The routing tables' doors: routes asked for by configuration, routes that come and go with addresses and devices, and
 * the check of where a packet claims to come from. Linux: net/ipv4/fib_frontend.c, the notifiers and fib_magic().
 *
 * An address brings up to three routes: itself as LOCAL /32, the prefix (LOCAL on loopback, else UNICAST on the link), and the
 * highest address of the prefix as BROADCAST; the lowest is one of a host, as in Linux since 5.14. They go with the last address
 * that wants them.
 */
import { account } from "../../lib/account.ts";
import {
  NOTIFY_DONE, NotifierBlock, NotifierChain, notifierChainRegister,
} from "../../lib/notifier.ts";
import { words } from "../../lib/table.ts";
import {
  netdevChain, NETDEV_CHANGE, NETDEV_CHANGEMTU, NETDEV_CHANGENAME, NETDEV_DOWN, NETDEV_REGISTER, NETDEV_UNREGISTER, NETDEV_UP,
} from "../../netif/dev.ts";
import { EINVAL, EXDEV } from "../../uapi/errno.ts";
import { IFF_LOOPBACK, IFF_UP } from "../../uapi/if.ts";
import { NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL } from "../../uapi/netlink.ts";
import {
  IFA_F_NOPREFIXROUTE, IFA_F_SECONDARY, RT_SCOPE_HOST, RT_SCOPE_LINK, RT_SCOPE_NOWHERE, RT_SCOPE_UNIVERSE,
  RT_TABLE_LOCAL, RT_TABLE_MAIN, RTN_BROADCAST, RTN_LOCAL, RTN_UNICAST, RTN_UNSPEC,
  RTNH_F_DEAD, RTNH_F_LINKDOWN, RTPROT_BOOT, RTPROT_KERNEL,
} from "../../uapi/rtnetlink.ts";
import { nlErrMsg } from "../core/extack.ts";
import { type Net, type PernetOps, registerPernetSubsys } from "../core/net.ts";
import { neighIfdown } from "../core/neighbour.ts";
import type { NetDevice } from "../core/net-device.ts";
import { arpTbl } from "./arp.ts";
import {
  IN_DEV_ACCEPT_LOCAL, inDevGet, inDevOrconf, type InDevice, inetaddrChain, inetIfaByprefix, inetLookupIfaddr, type InIfaddr,
} from "./devinet.ts";
import { FibConfig, type FibRule } from "./fib-config.ts";
import { fibLookup, fibLookupInit, fibResult, inetAddrType } from "./fib-lookup.ts";
import { fibOps, type FibOptions } from "./fib-ops.ts";
import { NH_NEXT, NH_OIF, NetFib, nhScope } from "./fib-semantics.ts";
import { fibSyncDownAddr, fibSyncDownDev, fibSyncUp } from "./fib-sync.ts";
import { flowi4Init, outputFlow } from "./flow.ts";
import { ipAdvancedRouter } from "./ip-parts.ts";
import { rtCacheFlush } from "./route-cache.ts";

/** Who hears of rules, null: nobody. */
export let fibRuleChain: NotifierChain<FibRule> | null;

/** Linux: fib_net_ops. */
const fibNetOps: PernetOps = Object.freeze({
  init(net: Net): void {
    net.fib = account("fib", new NetFib());
  },
});

/** Builds the routing tables of every namespace. Boot time, after devinetInit() and before devices register. */
export function fibInit(sizes: FibOptions): void {
  fibOps.init(sizes);
  fibLookupInit();
  fibRuleChain = null;
  registerPernetSubsys(fibNetOps);
  notifierChainRegister(netdevChain, account("fib", new NotifierBlock<NetDevice>(fibNetdevEvent)));
  notifierChainRegister(inetaddrChain, account("fib", new NotifierBlock<InIfaddr>(fibInetaddrEvent)));
}

/** Somebody wants to hear of the rules' changes: RTM_NEWRULE and RTM_DELRULE. Boot time. Linux: notify_rule_change(). */
export function fibRuleNotifierRegister(block: NotifierBlock<FibRule>): void {
  fibRuleChain ??= account("fib", new NotifierChain<FibRule>());
  notifierChainRegister(fibRuleChain, block);
}

/** 0, or -EINVAL: prefix longer than 32, or with bits outside of its length, TOS with ECN's bits. Linux: fib_valid_key_len(). */
function fibValidKeyLen(cfg: FibConfig): number {
  const length = cfg.dstLen;
  if (length < 0 || length > 32) return nlErrMsg(-EINVAL, "Invalid prefix length");
  if (length !== 32 && cfg.dst << length !== 0) return nlErrMsg(-EINVAL, "Invalid prefix for given prefix length");
  return (cfg.tos & ~0xfc) === 0 ? 0 : -EINVAL;
}

/**
 * Enters a route. Linux: inet_rtm_newroute(), fib_table_insert().
 * @param cfg the route, with the request's NLM_F_CREATE, EXCL, REPLACE, APPEND as in rtnetlink(7)
 * @returns 0; -EEXIST, -ENOENT (not there and no CREATE), -EINVAL (host bits, length, type, scope, TOS, prefsrc), -ENODEV,
 *   -ENETDOWN, -ENETUNREACH (gateway not on a link), -ENOBUFS (a pool is empty, the table is unchanged)
 */
export function fibTableInsert(net: Net, cfg: FibConfig): number {
  const invalid = fibValidKeyLen(cfg);
  if (invalid !== 0) return invalid;
  const err = fibOps.insert(net, cfg);
  if (err === 0 && cfg.type === RTN_LOCAL && cfg.protocol !== RTPROT_KERNEL) (net.fib as NetFib).customLocal = true;
  return err;
}

/**
 * Removes the first route that matches. Linux: inet_rtm_delroute(), fib_table_delete().
 * @returns 0, -ESRCH (no such route or table), -EINVAL (host bits, length)
 */
export function fibTableDelete(net: Net, cfg: FibConfig): number {
  const invalid = fibValidKeyLen(cfg);
  return invalid !== 0 ? invalid : fibOps.remove(net, cfg);
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

/**
 * A route of an address: LOCAL and BROADCAST into the local table, UNICAST into main. Configuration: allocates. Linux: fib_magic().
 */
function fibMagic(add: boolean, type: number, dst: number, dstLen: number, ifa: InIfaddr, priority: number): void {
  const cfg = new FibConfig();
  const dev = ifa.dev!;
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
  if (ifa.prefixlen < 31) fibMagic(true, RTN_BROADCAST, prefix | ~ifa.mask, 32, primary, 0);
}

/** The prefix route of an address gets another metric; before the address has it. Linux: fib_modify_prefix_metric(). */
export function fibModifyPrefixMetric(ifa: InIfaddr, metric: number): void {
  if ((ifa.dev!.flags & IFF_UP) === 0 || (ifa.flags & (IFA_F_SECONDARY | IFA_F_NOPREFIXROUTE)) !== 0 || !hasPrefix(ifa)) return;
  const prefix = ifa.address & ifa.mask;
  fibMagic(true, prefixType(ifa), prefix, ifa.prefixlen, ifa, metric);
  fibMagic(false, prefixType(ifa), prefix, ifa.prefixlen, ifa, ifa.rtPriority);
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

/** Removes all routes whose next hop is dead. Linux: fib_flush(). */
export function fibFlush(net: Net): void {
  fibOps.flush(net);
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
  const named = event === NETDEV_REGISTER || event === NETDEV_UNREGISTER || event === NETDEV_CHANGENAME;
  if (named && ipAdvancedRouter !== null) ipAdvancedRouter.attach(net);
  if (event === NETDEV_UNREGISTER) {
    fibDisableIp(net, dev, event, true);
    return NOTIFY_DONE;
  }
  const inDev = inDevGet(dev);
  if (inDev === null) return NOTIFY_DONE;
  switch (event) {
    case NETDEV_UP:
      for (let ifa = inDev.ifaList; ifa !== null; ifa = ifa.next) fibAddIfaddr(ifa);
      fibSyncUp(net, dev, RTNH_F_DEAD);
      rtCacheFlush(net);
      break;
    case NETDEV_DOWN:
      fibDisableIp(net, dev, event, false);
      break;
    case NETDEV_CHANGE:
      if (dev.carrier) fibSyncUp(net, dev, RTNH_F_LINKDOWN);
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

/** Does a route lead out of that device? Linux: fib_info_nh_uses_dev(). */
function usesDev(fi: number, ifindex: number): boolean {
  for (let nh = fi; nh !== 0; nh = words[nh + NH_NEXT]!) if (words[nh + NH_OIF] === ifindex) return true;
  return false;
}

/**
 * May a packet with that source address have come in by the device? Linux: fib_validate_source().
 * @param daddr its destination @param tos its TOS byte @param oif device it goes out by, 0 for this host
 * @returns 0; 1 when the sender is on that link; -EINVAL for an address of this host or none of a host, -EXDEV when the way
 *   back is another (rp_filter)
 */
export function fibValidateSource(net: Net, inDev: InDevice, saddr: number, daddr: number, tos: number, oif: number): number {
  const fib = net.fib as NetFib;
  const rpFilter = inDev.rpFilter > net.ipv4.rpFilter ? inDev.rpFilter : net.ipv4.rpFilter;
  if (rpFilter === 0 && inDev.dev.ifindex !== oif) {
    if (inDevOrconf(inDev, IN_DEV_ACCEPT_LOCAL)) return 0;
    if (fib.rules < 0 && !fib.customLocal) return inetLookupIfaddr(net, saddr) !== null ? -EINVAL : 0;
  }
  return validateByRoute(net, inDev, saddr, daddr, tos, oif, rpFilter);
}

/** Linux: __fib_validate_source(). */
function validateByRoute(
  net: Net, inDev: InDevice, saddr: number, daddr: number, tos: number, oif: number, rpFilter: number,
): number {
  const flow = outputFlow;
  const res = fibResult;
  flowi4Init(flow, saddr, daddr, 0, tos, 0);
  flow.iif = oif;
  const none = rpFilter !== 0 ? -EXDEV : 0;
  if (fibLookup(net, flow, res) !== 0) return none;
  if (res.type === RTN_LOCAL) {
    if (!inDevOrconf(inDev, IN_DEV_ACCEPT_LOCAL)) return -EINVAL;
  } else if (res.type !== RTN_UNICAST) return -EINVAL;
  const ifindex = inDev.dev.ifindex;
  if (usesDev(res.fi, ifindex) || (res.type === RTN_LOCAL && inDev.dev === net.loopbackDev)) {
    return nhScope(res.nh) >= RT_SCOPE_HOST ? 1 : 0;
  }
  if (inDev.ifaList === null) return none;
  if (rpFilter === 1) return -EXDEV;
  flow.oif = ifindex;
  return fibLookup(net, flow, res) === 0 && res.type === RTN_UNICAST && nhScope(res.nh) >= RT_SCOPE_HOST ? 1 : 0;
}
