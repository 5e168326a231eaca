/**
 * Routing decisions: from a flow, or a packet that came in, to an rtable. Linux: net/ipv4/route.c,
 * ip_route_output_key_hash_rcu() and ip_route_input_slow(). What a next hop allows is made once and kept there.
 *
 * Read first: RFC 1122 sections 3.2.1.3 (addresses that must not appear) and 3.3.4 (multihoming), RFC 1812 section
 * 5.3.7 (martian addresses).
 */
import { mem8, memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import { devGetByIndex } from "../../netif/dev.ts";
import {
  SKB_DROP_REASON_IP_INNOROUTES, SKB_DROP_REASON_IP_INVALID_DEST, SKB_DROP_REASON_IP_INVALID_SOURCE,
  SKB_DROP_REASON_IP_LOCAL_SOURCE, SKB_DROP_REASON_IP_LOCALNET, SKB_DROP_REASON_IP_RPFILTER, SKB_DROP_REASON_NOMEM, SKB_NOT_DROPPED_YET,
} from "../../uapi/drop-reason.ts";
import { EHOSTUNREACH, EINVAL, ENETUNREACH, ENOBUFS, ENODEV, EXDEV } from "../../uapi/errno.ts";
import { IFF_LOOPBACK, IFF_UP } from "../../uapi/if.ts";
import {
  INADDR_ALLHOSTS_GROUP, INADDR_LOOPBACK, inClassD, IN_LOOPBACKNET, IPPROTO_ICMP, IPPROTO_IGMP, ipv4IsLocalMulticast,
} from "../../uapi/in.ts";
import {
  RT_SCOPE_HOST, RT_SCOPE_LINK, RT_SCOPE_UNIVERSE, RTN_BROADCAST, RTN_LOCAL, RTN_MULTICAST, RTN_UNICAST,
  RTN_UNREACHABLE,
} from "../../uapi/rtnetlink.ts";
import { LINUX_MIB_IPRPFILTER } from "../../uapi/snmp.ts";
import { dstRelease } from "../core/dst.ts";
import type { Net } from "../core/net.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { SkBuff } from "../core/skbuff.ts";
import type { Sock } from "../core/sock.ts";
import { IPH_DADDR, IPH_PROTOCOL, IPH_SADDR, IPH_TOS } from "../wire/ip.ts";
import { IN_DEV_FORWARDING, IN_DEV_ROUTE_LOCALNET, inDevGet, inDevOrconf, type InDevice, inetLookupIfaddr, inetSelectAddr } from "./devinet.ts";
import { fibValidateSource } from "./fib-frontend.ts";
import { FE_EXPIRES, FE_GW, FE_PMTU, fnheKeep, fnheKept } from "./fib-exception.ts";
import { fibLookup, fibResult, inetAddrType } from "./fib-lookup.ts";
import {
  FI_MTU, FI_PREFSRC, fibResultPrefsrc, type NetFib, NH_GW, NH_NEXT, nhDev, nhKeep, nhKept, nhScope,
} from "./fib-semantics.ts";
import { FLOWI_FLAG_ANYSRC, type Flowi4, flowi4Init, flowInit, outputFlow } from "./flow.ts";
import { ipAdvancedRouter, ipExceptions, ipForwarding, ipMulticast } from "./ip-parts.ts";
import { rtCacheForget, rtInput, rtInputRemember, rtReply, rtReplyRemember } from "./route-cache.ts";
import { ipHandlers, RTCF_BROADCAST, RTCF_LOCAL, RTCF_MULTICAST, rtDstAlloc, type Rtable } from "./rtable.ts";

/** Why the last ipRouteInput() failed, as a drop reason. */
let inputReason = SKB_NOT_DROPPED_YET;

// The last decision for packets of this host: the next hop with the question that it answers, while no route, address or
// device has changed (the generation). That for packets that came in is in route-cache.ts; longer memory is the next hop's
// own (nhKept()).
let outNh = 0;
let outNet: Net;
let outDaddr = 0;
let outSaddr = 0;
let outTos = 0;
let outGenid = 0;
/** The source address selected. */
let outSelected = 0;

/** Boot time. */
export function routeInit(): void {
  flowInit();
  outNh = 0;
  rtCacheForget();
}

/** The drop reason (SKB_DROP_REASON_*) of the packet that ipRouteInput() has just refused. */
export function ipRouteInputReason(): number {
  return inputReason;
}

/**
 * Is a packet from that address to the group for this host? Every host is a member of 224.0.0.1 (RFC 1112 section 4), of others
 * where multicast was listed at boot. Linux: ip_check_mc_rcu().
 */
function ipCheckMc(dev: NetDevice, group: number, saddr: number, protocol: number): boolean {
  return ipMulticast === null ? group === INADDR_ALLHOSTS_GROUP : ipMulticast.check(dev, group, saddr, protocol);
}

function refuse(reason: number): number {
  inputReason = reason;
  return -EINVAL;
}

/** For the parts of routing elsewhere: the packet is refused for that reason. @returns -EINVAL */
export function ipRouteInputRefuse(reason: number): number {
  return refuse(reason);
}

/**
 * Makes the entry for a packet to this host (or with an error: to nobody) and gives it to the packet and the next hop.
 */
function makeInput(skb: SkBuff, net: Net, dev: NetDevice, nh: number, flags: number, type: number): number {
  if (nh !== 0) nhKeep(nh, 0, null);
  const rt = rtDstAlloc(net, net.loopbackDev ?? dev, flags, type);
  if (rt === null) {
    inputReason = SKB_DROP_REASON_NOMEM;
    return -ENOBUFS;
  }
  if (nh !== 0) {
    rt.refcnt++;
    nhKeep(nh, 0, rt);
  }
  if (type === RTN_UNREACHABLE) {
    rt.error = -EHOSTUNREACH;
    rt.input = ipHandlers.error;
  }
  skb.dst = rt;
  return 0;
}

/**
 * Routes a packet that came in, and sets skb.dst. Linux: ip_route_input_noref().
 * @param tos TOS byte of the packet @param dev device it came in by
 * @returns 0; -EINVAL for addresses that must not be there, -ENOBUFS when no entry can be made: ipRouteInputReason()
 *   says which; a packet for somebody else gets an entry whose input forwards or drops it
 */
export function ipRouteInput(skb: SkBuff, daddr: number, saddr: number, tos: number, dev: NetDevice): number {
  const net = dev.net!;
  const inet = dev.ipPtr as InDevice | null;
  rtCacheForget();
  if (inet === null) return refuse(SKB_DROP_REASON_IP_INNOROUTES);
  if (inClassD(daddr)) return routeInputMc(skb, net, inet, daddr, saddr, tos);
  if (inClassD(saddr) || saddr === -1) return refuse(SKB_DROP_REASON_IP_INVALID_SOURCE);
  if (daddr === -1 || (saddr | daddr) === 0) return routeInputBroadcast(skb, net, inet, 0, daddr, saddr, tos);
  if (saddr === 0) return refuse(SKB_DROP_REASON_IP_INVALID_SOURCE);
  if (daddr === 0) return refuse(SKB_DROP_REASON_IP_INVALID_DEST);
  const loopback = daddr >> 24 === IN_LOOPBACKNET || saddr >> 24 === IN_LOOPBACKNET;
  if (loopback && !inDevOrconf(inet, IN_DEV_ROUTE_LOCALNET)) return refuse(SKB_DROP_REASON_IP_LOCALNET);
  const flow = outputFlow;
  flowi4Init(flow, daddr, saddr, 0, tos, 0);
  flow.iif = dev.ifindex;
  flow.mark = skb.mark;
  const res = fibResult;
  const error = fibLookup(net, flow, res);
  if (error === 0) {
    const type = res.type;
    const nh = res.nh;
    if (type === RTN_LOCAL) {
      const reason = sourceReason(net, inet, saddr, daddr, tos);
      if (reason !== SKB_NOT_DROPPED_YET) return refuse(reason);
      let rt = nhKept(nh, 0);
      if (rt !== null && rt.genid === net.rtGenid) {
        rt.refcnt++;
        skb.dst = rt;
      } else {
        const err = makeInput(skb, net, dev, nh, RTCF_LOCAL, RTN_LOCAL);
        if (err !== 0) return err;
        rt = nhKept(nh, 0)!;
      }
      const plain = !loopback && (dev.flags & IFF_LOOPBACK) === 0 && (net.fib as NetFib).rules < 0;
      if (plain) rtInputRemember(rt, dev, saddr, daddr, tos);
      return 0;
    }
    if (type === RTN_BROADCAST) return routeInputBroadcast(skb, net, inet, nh, daddr, saddr, tos);
  }
  if ((inet.switches & IN_DEV_FORWARDING) !== 0 && ipForwarding !== null) {
    return ipForwarding.route(skb, inet, error, daddr, saddr, tos);
  }
  return makeInput(skb, net, dev, 0, 0, RTN_UNREACHABLE);
}

/** Why a packet to this host with that source address is refused, as a drop reason; SKB_NOT_DROPPED_YET when it is not. */
function sourceReason(net: Net, inDev: InDevice, saddr: number, daddr: number, tos: number): number {
  const err = fibValidateSource(net, inDev, saddr, daddr, tos, 0);
  if (err >= 0) return SKB_NOT_DROPPED_YET;
  if (err !== -EXDEV) return SKB_DROP_REASON_IP_LOCAL_SOURCE;
  net.mib[LINUX_MIB_IPRPFILTER]!++;
  return SKB_DROP_REASON_IP_RPFILTER;
}

/** A broadcast: of a subnet (with its next hop), or the limited one (0). */
function routeInputBroadcast(
  skb: SkBuff, net: Net, inDev: InDevice, nh: number, daddr: number, saddr: number, tos: number,
): number {
  if (saddr !== 0) {
    const reason = sourceReason(net, inDev, saddr, daddr, tos);
    if (reason !== SKB_NOT_DROPPED_YET) return refuse(reason);
  }
  const rt = nh === 0 ? null : nhKept(nh, 0);
  if (rt !== null && rt.genid === net.rtGenid) {
    rt.refcnt++;
    skb.dst = rt;
    return 0;
  }
  return makeInput(skb, net, inDev.dev, nh, RTCF_BROADCAST | RTCF_LOCAL, RTN_BROADCAST);
}

/** A packet to a group: taken when the device is a member. Linux: ip_route_input_mc(). */
function routeInputMc(skb: SkBuff, net: Net, inDev: InDevice, daddr: number, saddr: number, tos: number): number {
  if (inClassD(saddr) || saddr === -1) return refuse(SKB_DROP_REASON_IP_INVALID_SOURCE);
  if (saddr >> 24 === IN_LOOPBACKNET && !inDevOrconf(inDev, IN_DEV_ROUTE_LOCALNET)) return refuse(SKB_DROP_REASON_IP_LOCALNET);
  if (saddr === 0) {
    if (!ipv4IsLocalMulticast(daddr)) return refuse(SKB_DROP_REASON_IP_INVALID_SOURCE);
  } else {
    const reason = sourceReason(net, inDev, saddr, daddr, tos);
    if (reason !== SKB_NOT_DROPPED_YET) return refuse(reason);
  }
  if (!ipCheckMc(inDev.dev, daddr, saddr, mem8[skb.nh + IPH_PROTOCOL]!)) return refuse(SKB_DROP_REASON_IP_INVALID_DEST);
  return makeInput(skb, net, inDev.dev, 0, RTCF_MULTICAST | RTCF_LOCAL, RTN_MULTICAST);
}

function fail(fl: Flowi4, error: number): null {
  fl.error = error;
  return null;
}

/** Is it an address of this host? Linux: __ip_dev_find(). */
function isLocalAddr(net: Net, addr: number): boolean {
  return inetLookupIfaddr(net, addr) !== null || inetAddrType(net, addr) === RTN_LOCAL;
}

/**
 * The route for packets of this host. Fills fl.saddr (when 0), fl.oif, and fl.daddr (0 means this host).
 * Linux: ip_route_output_key().
 * @returns an entry with a reference for the caller; or null with fl.error: -EINVAL (source a group's, or of a
 *   loopback network on another device; blackhole), -ENODEV, -ENETUNREACH (also: source not of this host), -EHOSTUNREACH, -EACCES, -ENOBUFS (pool
 *   empty)
 */
export function ipRouteOutputKey(net: Net, fl: Flowi4): Rtable | null {
  const daddr = fl.daddr;
  const saddr = fl.saddr;
  const last = outNh;
  if (
    last !== 0 && daddr === outDaddr && saddr === outSaddr && net === outNet && fl.tos === outTos
    && outGenid === net.rtGenid && fl.oif === 0 && fl.flags === 0 && fl.scope === RT_SCOPE_UNIVERSE
  ) {
    const rt = nhKept(last, 1);
    if (rt !== null) {
      fl.saddr = outSelected;
      fl.oif = rt.dev!.ifindex;
      rt.refcnt++;
      return rt;
    }
  }
  if (saddr !== 0) {
    if (inClassD(saddr) || saddr === -1) return fail(fl, -EINVAL);
    if ((fl.flags & FLOWI_FLAG_ANYSRC) === 0 && !isLocalAddr(net, saddr)) return fail(fl, -ENETUNREACH);
    if (fl.oif === 0 && (daddr === -1 || inClassD(daddr))) {
      const ifa = inetLookupIfaddr(net, saddr);
      if (ifa === null) return fail(fl, -EINVAL);
      return outputOnLink(net, fl, ifa.dev!);
    }
  }
  if (fl.oif !== 0) {
    const dev = devGetByIndex(net, fl.oif);
    if (dev === null) return fail(fl, -ENODEV);
    if ((dev.flags & IFF_UP) === 0 || inDevGet(dev) === null) return fail(fl, -ENETUNREACH);
    if (daddr === -1 || ipv4IsLocalMulticast(daddr) || fl.proto === IPPROTO_IGMP) return outputOnLink(net, fl, dev);
    if (saddr === 0) {
      if (inClassD(daddr)) fl.saddr = inetSelectAddr(net, dev, 0, fl.scope);
      else if (daddr === 0) fl.saddr = inetSelectAddr(net, dev, 0, RT_SCOPE_HOST);
    }
  }
  if (daddr === 0) return outputToSelf(net, fl);
  const res = fibResult;
  const error = fibLookup(net, fl, res);
  if (error !== 0) {
    // Bound to a device the destination is taken to be on its link, whatever the tables say.
    if (fl.oif !== 0) return outputOnLink(net, fl, devGetByIndex(net, fl.oif)!);
    return fail(fl, error);
  }
  if (res.type === RTN_LOCAL) {
    const prefsrc = words[res.fi + FI_PREFSRC]!;
    if (fl.saddr === 0) fl.saddr = prefsrc !== 0 ? prefsrc : daddr;
    return makeOutput(net, fl, net.loopbackDev ?? nhDev(net, res.nh)!, RTN_LOCAL, res.nh, RTCF_LOCAL);
  }
  let wavering = false;
  if (fl.oif === 0 && ipAdvancedRouter !== null) {
    if (words[res.fi + NH_NEXT] !== 0) {
      // Another flow of the same addresses may take another way.
      wavering = net.ipv4.fibMultipathHashPolicy !== 0;
      res.nh = ipAdvancedRouter.select(net, res.fi, fl, res.nh);
    } else if (res.slen === 32 && res.type === RTN_UNICAST) {
      wavering = ipAdvancedRouter.selectDefault(net, fl, res);
    }
  }
  const nh = res.nh;
  if (fl.saddr === 0) fl.saddr = fibResultPrefsrc(net, res.fi, nh);
  const plain = !wavering && fl.oif === 0 && fl.flags === 0 && fl.scope === RT_SCOPE_UNIVERSE && (net.fib as NetFib).rules < 0;
  if (plain && res.type === RTN_UNICAST) {
    outNh = nh;
    outNet = net;
    outDaddr = daddr;
    outSaddr = saddr;
    outTos = fl.tos;
    outGenid = net.rtGenid;
    outSelected = fl.saddr;
  }
  return makeOutput(net, fl, nhDev(net, nh)!, res.type, nh, 0);
}

/** The same for a socket. Linux: ip_route_output_flow() (policies would join here). */
export function ipRouteOutputFlow(net: Net, fl: Flowi4, _sk: Sock | null): Rtable | null {
  return ipRouteOutputKey(net, fl);
}

/**
 * Gives a packet that is on its way up, to one address of this host, the route of its answer, by its header's addresses and
 * TOS. Linux: the lookup of icmp_reply().
 * @param skb nh at its IP header @returns false, with nothing done, when there is no such route
 */
export function ipRouteReply(skb: SkBuff): boolean {
  const cached = rtReply;
  if (cached !== null && skb.dst === rtInput) {
    // Next hops hold both.
    skb.dst!.refcnt--;
    cached.refcnt++;
    skb.dst = cached;
    return true;
  }
  return routeReplySlow(skb, skb.dst as Rtable);
}

function routeReplySlow(skb: SkBuff, rtIn: Rtable): boolean {
  const nh = skb.nh;
  const fl = outputFlow;
  const daddr = memView.getInt32(nh + IPH_SADDR);
  if (daddr === 0) return false;
  flowi4Init(fl, daddr, memView.getInt32(nh + IPH_DADDR), 0, mem8[nh + IPH_TOS]!, IPPROTO_ICMP);
  const rt = ipRouteOutputKey(rtIn.net, fl);
  if (rt === null) return false;
  // Only what a next hop keeps may be remembered.
  if (rtIn === rtInput && outNh !== 0 && nhKept(outNh, 1) === rt) rtReplyRemember(rt);
  dstRelease(rtIn);
  skb.dst = rt;
  return true;
}

/** Without asking the tables: the destination is on that link. */
function outputOnLink(net: Net, fl: Flowi4, dev: NetDevice): Rtable | null {
  if (fl.saddr === 0) fl.saddr = inetSelectAddr(net, dev, 0, RT_SCOPE_LINK);
  return makeOutput(net, fl, dev, RTN_UNICAST, 0, 0);
}

/** Destination 0 is this host. */
function outputToSelf(net: Net, fl: Flowi4): Rtable | null {
  const lo = net.loopbackDev;
  if (lo === null) return fail(fl, -ENETUNREACH);
  if (fl.saddr === 0) fl.saddr = INADDR_LOOPBACK;
  fl.daddr = fl.saddr;
  return makeOutput(net, fl, lo, RTN_LOCAL, 0, RTCF_LOCAL);
}

/** Linux: __mkroute_output(). @param nh the next hop that keeps the entry, 0 for none */
function makeOutput(net: Net, fl: Flowi4, dev: NetDevice, type: number, nh: number, flags: number): Rtable | null {
  const daddr = fl.daddr;
  let keeper = nh;
  fl.oif = dev.ifindex;
  if (daddr === -1 || type === RTN_BROADCAST) {
    type = RTN_BROADCAST;
    flags |= RTCF_BROADCAST | RTCF_LOCAL;
    keeper = 0;
  } else if (inClassD(daddr)) {
    type = RTN_MULTICAST;
    flags |= ipCheckMc(dev, daddr, fl.saddr, fl.proto) ? RTCF_MULTICAST | RTCF_LOCAL : RTCF_MULTICAST;
    keeper = 0;
  }
  const loopback = (dev.flags & IFF_LOOPBACK) !== 0;
  const inDev = inDevGet(dev);
  if (inDev === null || (fl.saddr >> 24 === IN_LOOPBACKNET && !loopback && !inDevOrconf(inDev, IN_DEV_ROUTE_LOCALNET))) {
    return fail(fl, -EINVAL);
  }
  // One destination of many may have a way of its own.
  const ex = keeper === 0 || ipExceptions === null ? 0 : ipExceptions.find(keeper, daddr);
  if (keeper !== 0) {
    const kept = ex === 0 ? nhKept(keeper, 1) : fnheKept(ex);
    if (ex !== 0) outNh = 0;
    if (kept !== null && kept.genid === net.rtGenid) {
      kept.refcnt++;
      return kept;
    }
    if (ex === 0) nhKeep(keeper, 1, null);
    else fnheKeep(ex, null);
  }
  if (loopback) flags |= RTCF_LOCAL;
  const rt = rtDstAlloc(net, dev, flags, type);
  if (rt === null) return fail(fl, -ENOBUFS);
  if ((flags & (RTCF_BROADCAST | RTCF_MULTICAST)) !== 0 && (flags & RTCF_LOCAL) !== 0 && !loopback) {
    rt.output = ipHandlers.mcOutput;
  }
  if (keeper === 0) return rt;
  if (words[keeper + NH_GW] !== 0 && nhScope(keeper) === RT_SCOPE_LINK) rt.gateway = words[keeper + NH_GW]!;
  const limits = words[fibResult.fi + FI_MTU]!;
  rt.mtu = limits & 0xffff;
  rt.advmss = limits >>> 16;
  rt.refcnt++;
  if (ex === 0) {
    nhKeep(keeper, 1, rt);
    return rt;
  }
  if (words[ex + FE_GW] !== 0) rt.gateway = words[ex + FE_GW]!;
  rt.pmtu = words[ex + FE_PMTU]!;
  rt.pmtuExpires = words[ex + FE_EXPIRES]!;
  fnheKeep(ex, rt);
  return rt;
}
