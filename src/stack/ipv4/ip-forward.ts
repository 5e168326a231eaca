/**
 * Forwarding: a packet for somebody else goes on by another device, or by the same one with a redirect to its sender. Linux:
 * net/ipv4/ip_forward.c; of net/ipv4/route.c __mkroute_input(), ip_error() and ip_rt_send_redirect(). How often a sender is told
 * of one or the other is kept in its row of inetpeer.ts.
 *
 * What a device forwards is what comes in by it while its switch IN_DEV_FORWARDING is on. The path MTU that packets of this host
 * have learned does not count, as on Linux, where it might have been forged.
 *
 * Read first: RFC 1812 sections 5.2.1 (forwarding), 5.2.7.2 (redirect), 5.3.7 (martians); RFC 1191 section 4.
 */
import { mem8, memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import {
  SKB_DROP_REASON_IP_INHDR, SKB_DROP_REASON_IP_INNOROUTES, SKB_DROP_REASON_IP_INVALID_DEST,
  SKB_DROP_REASON_IP_LOCAL_SOURCE, SKB_DROP_REASON_IP_RPFILTER, SKB_DROP_REASON_NOMEM, SKB_DROP_REASON_NOT_SPECIFIED,
  SKB_DROP_REASON_PKT_TOO_BIG,
} from "../../uapi/drop-reason.ts";
import { EACCES, EHOSTUNREACH, EINVAL, EMSGSIZE, ENETUNREACH, ENOBUFS, EXDEV } from "../../uapi/errno.ts";
import {
  ICMP_DEST_UNREACH, ICMP_EXC_TTL, ICMP_FRAG_NEEDED, ICMP_HOST_UNREACH, ICMP_NET_UNREACH, ICMP_PKT_FILTERED, ICMP_REDIR_HOST,
  ICMP_REDIRECT, ICMP_SR_FAILED, ICMP_TIME_EXCEEDED,
} from "../../uapi/icmp.ts";
import { NF_INET_FORWARD } from "../../uapi/netfilter.ts";
import { RT_SCOPE_LINK, RTN_UNICAST, RTN_UNREACHABLE } from "../../uapi/rtnetlink.ts";
import {
  IPSTATS_MIB_FRAGFAILS, IPSTATS_MIB_INDISCARDS, IPSTATS_MIB_INHDRERRORS, IPSTATS_MIB_INNOROUTES,
  IPSTATS_MIB_OUTFORWDATAGRAMS, LINUX_MIB_IPRPFILTER,
} from "../../uapi/snmp.ts";
import type { Net } from "../core/net.ts";
import type { NetDevice } from "../core/net-device.ts";
import { pskbCopy } from "../core/skb-copy.ts";
import { consumeSkb, kfreeSkb, PACKET_HOST, type SkBuff, skbCloned } from "../core/skbuff.ts";
import { IP_DF, IP_HLEN, IPH_CHECK, IPH_DADDR, IPH_FRAG_OFF, IPH_SADDR, IPH_TOS, IPH_TTL } from "../wire/ip.ts";
import {
  IN_DEV_ACCEPT_REDIRECTS, IN_DEV_FORWARDING, IN_DEV_SEND_REDIRECTS, IN_DEV_SHARED_MEDIA, inDevGet, type InDevice, inDevOrconf, inetAddrOnlink,
} from "./devinet.ts";
import { FE_GW } from "./fib-exception.ts";
import { fibValidateSource } from "./fib-frontend.ts";
import { fibResult } from "./fib-lookup.ts";
import { FI_MTU, NH_GW, NH_NEXT, NH_OIF, nhDev, nhKeep, nhKept, nhScope } from "./fib-semantics.ts";
import { icmpSend } from "./icmp.ts";
import { inetGetpeer, inetPeerIdle, inetPeerRedirects, inetPeerSetRedirects, inetPeerTake, PEER_LAST, PEER_TOKENS } from "./inetpeer.ts";
import { ipAdvancedRouter, ipExceptions, ipHooks, ipOptions, ipRaw } from "./ip-parts.ts";
import { rtTos2priority } from "./ip-sockglue.ts";
import { ipRouteInputRefuse } from "./route.ts";
import { rtCacheFlush } from "./route-cache.ts";
import { rtDstAlloc, rtNexthop, type Rtable } from "./rtable.ts";

/** SkBuff.tcpFlags on its way through here: its sender is to be told of a better way. Linux: IPSKB_DOREDIRECT. */
const DO_REDIRECT = 1;

/** Redirects to one sender before it is given up, until it has been silent (ip_rt_redirect_number and _silence). */
const REDIRECT_NUMBER = 9;
/** Least time between two of them in ms, doubled by each (ip_rt_redirect_load). */
const REDIRECT_LOAD_MS = 20;
const REDIRECT_SILENCE_MS = REDIRECT_LOAD_MS << (REDIRECT_NUMBER + 1);
/** What an error about a packet without a way costs its sender, and the most it may save up, in ms (ip_rt_error_cost, _burst). */
const ERROR_COST_MS = 1000;
const ERROR_BURST_MS = 5000;

/** Gives the packet an entry that leads nowhere; what is to be said of it is in the entry's error. */
function unreachable(skb: SkBuff, net: Net, dev: NetDevice, error: number): number {
  const rt = rtDstAlloc(net, net.loopbackDev ?? dev, 0, RTN_UNREACHABLE);
  if (rt === null) {
    ipRouteInputRefuse(SKB_DROP_REASON_NOMEM);
    return -ENOBUFS;
  }
  rt.error = error;
  rt.input = ipForwardError;
  skb.dst = rt;
  return 0;
}

/**
 * Routes a packet that came in by a device that forwards and is not for this host. Linux: ip_mkroute_input(),
 * __mkroute_input(). @param error what the lookup said, its result still in fibResult @returns as ipRouteInput()
 */
export function ipForwardRoute(skb: SkBuff, inDev: InDevice, error: number, daddr: number, saddr: number, tos: number): number {
  const dev = inDev.dev;
  const net = dev.net!;
  if (error !== 0) return unreachable(skb, net, dev, error);
  if (fibResult.type !== RTN_UNICAST) return ipRouteInputRefuse(SKB_DROP_REASON_IP_INVALID_DEST);
  const fi = fibResult.fi;
  let nh = fibResult.nh;
  if (words[fi + NH_NEXT] !== 0) nh = ipAdvancedRouter!.forward(net, fi, skb, nh);
  const outDev = nhDev(net, nh);
  if (outDev === null || inDevGet(outDev) === null) return ipRouteInputRefuse(SKB_DROP_REASON_NOT_SPECIFIED);
  const source = fibValidateSource(net, inDev, saddr, daddr, tos, words[nh + NH_OIF]!);
  if (source === -EXDEV) {
    net.mib[LINUX_MIB_IPRPFILTER]!++;
    return ipRouteInputRefuse(SKB_DROP_REASON_IP_RPFILTER);
  }
  if (source < 0) return ipRouteInputRefuse(SKB_DROP_REASON_IP_LOCAL_SOURCE);
  // Back to where it came from, and the sender is on that link: it could have sent it to the next hop itself.
  skb.tcpFlags = outDev === dev && source > 0 && inDevOrconf(inDev, IN_DEV_SEND_REDIRECTS)
    && (inDevOrconf(inDev, IN_DEV_SHARED_MEDIA) || inetAddrOnlink(inDev, saddr, words[nh + NH_GW]!)) ? DO_REDIRECT : 0;
  const ex = ipExceptions === null ? 0 : ipExceptions.find(nh, daddr);
  const kept = ex === 0 ? nhKept(nh, 0) : null;
  if (kept !== null && kept.genid === net.rtGenid) {
    kept.refcnt++;
    skb.dst = kept;
    return 0;
  }
  const rt = rtDstAlloc(net, outDev, 0, RTN_UNICAST);
  if (rt === null) {
    ipRouteInputRefuse(SKB_DROP_REASON_NOMEM);
    return -ENOBUFS;
  }
  rt.input = ipForward;
  if (words[nh + NH_GW] !== 0 && nhScope(nh) === RT_SCOPE_LINK) rt.gateway = words[nh + NH_GW]!;
  rt.mtu = words[fi + FI_MTU]! & 0xffff;
  skb.dst = rt;
  if (ex === 0) {
    rt.refcnt++;
    nhKeep(nh, 0, rt);
  } else if (words[ex + FE_GW] !== 0) {
    rt.gateway = words[ex + FE_GW]!;
  }
  return 0;
}

/** The row of a packet's sender. */
function peerOf(skb: SkBuff, net: Net): number {
  return inetGetpeer(net, memView.getInt32(skb.nh + IPH_SADDR));
}

/** A packet that has no way on: its sender hears why, when this device forwards. Linux: ip_error(). */
function ipForwardError(skb: SkBuff): number {
  const { net, error } = skb.dst as Rtable;
  let reason = SKB_DROP_REASON_NOT_SPECIFIED;
  let code = -1;
  if (error === -EHOSTUNREACH) {
    code = ICMP_HOST_UNREACH;
  } else if (error === -ENETUNREACH) {
    code = ICMP_NET_UNREACH;
    reason = SKB_DROP_REASON_IP_INNOROUTES;
    net.mib[IPSTATS_MIB_INNOROUTES]!++;
  } else if (error === -EACCES) {
    code = ICMP_PKT_FILTERED;
  }
  if (code >= 0 && inetPeerTake(peerOf(skb, net), ERROR_COST_MS, ERROR_BURST_MS)) icmpSend(skb, ICMP_DEST_UNREACH, code, 0);
  kfreeSkb(skb, reason);
  return -EINVAL;
}

/** Tells the sender of a packet of its next hop, not too often and not for ever. Linux: ip_rt_send_redirect(). */
function sendRedirect(skb: SkBuff, rt: Rtable): void {
  const net = rt.net;
  const peer = peerOf(skb, net);
  const idle = inetPeerIdle(peer);
  let count = inetPeerRedirects(peer);
  if (idle > REDIRECT_SILENCE_MS) count = words[peer + PEER_TOKENS] = 0;
  const due = count === 0 || idle > REDIRECT_LOAD_MS << count;
  if (count < REDIRECT_NUMBER && due) {
    icmpSend(skb, ICMP_REDIRECT, ICMP_REDIR_HOST, rtNexthop(rt, memView.getInt32(skb.nh + IPH_DADDR)));
    count++;
    words[peer + PEER_LAST] = jiffies;
  } else if (count >= REDIRECT_NUMBER) {
    words[peer + PEER_LAST] = jiffies;
  }
  inetPeerSetRedirects(peer, net, count);
}

function drop(skb: SkBuff, reason: number, error: number): number {
  kfreeSkb(skb, reason);
  return error;
}

/** A packet with bytes of its own, which are to be changed; null when there is no memory. Linux: skb_cow(). */
function ownBytes(skb: SkBuff): SkBuff | null {
  if (!skbCloned(skb)) return skb;
  const own = pskbCopy(skb);
  consumeSkb(skb);
  return own;
}

/** The input of entries that lead on. Linux: ip_forward(). 0 or a negative errno; the packet is gone */
function ipForward(packet: SkBuff): number {
  const rt = packet.dst as Rtable;
  const net = rt.net;
  const mib = net.mib;
  const redirect = packet.tcpFlags === DO_REDIRECT;
  packet.tcpFlags = 0;
  if (packet.pktType !== PACKET_HOST || packet.sk !== null) return drop(packet, SKB_DROP_REASON_NOT_SPECIFIED, -EINVAL);
  const nh = packet.nh;
  const options = packet.th - nh > IP_HLEN ? ipOptions : null;
  if (options !== null && ipRaw !== null && options.routerAlert(packet) && ipRaw.routerAlert(packet)) return 0;
  if (mem8[nh + IPH_TTL]! <= 1) {
    mib[IPSTATS_MIB_INHDRERRORS]!++;
    icmpSend(packet, ICMP_TIME_EXCEEDED, ICMP_EXC_TTL, 0);
    return drop(packet, SKB_DROP_REASON_IP_INHDR, -EINVAL);
  }
  const route = options === null ? 0 : options.sourceRoute(packet);
  if (route === 2 && rt.gateway !== 0) {
    icmpSend(packet, ICMP_DEST_UNREACH, ICMP_SR_FAILED, 0);
    return drop(packet, SKB_DROP_REASON_NOT_SPECIFIED, -EINVAL);
  }
  mib[IPSTATS_MIB_OUTFORWDATAGRAMS]!++;
  const mtu = rt.mtu !== 0 ? rt.mtu : rt.dev!.mtu;
  if (packet.len > mtu && (memView.getUint16(nh + IPH_FRAG_OFF) & IP_DF) !== 0) {
    mib[IPSTATS_MIB_FRAGFAILS]!++;
    icmpSend(packet, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, mtu);
    return drop(packet, SKB_DROP_REASON_PKT_TOO_BIG, -EMSGSIZE);
  }
  const skb = ownBytes(packet);
  if (skb === null) {
    mib[IPSTATS_MIB_INDISCARDS]!++;
    return -ENOBUFS;
  }
  decreaseTtl(skb.nh);
  if (redirect && route === 0) sendRedirect(skb, rt);
  skb.priority = rtTos2priority(mem8[skb.nh + IPH_TOS]!);
  const hooks = ipHooks;
  if (hooks !== null) {
    const go = hooks.run(NF_INET_FORWARD, net, skb, skb.dev, rt.dev);
    if (go <= 0) return go;
  }
  return ipForwardFinish(skb);
}

/** What netfilter lets pass goes on. Linux: ip_forward_finish(). */
export function ipForwardFinish(skb: SkBuff): number {
  if (skb.th - skb.nh > IP_HLEN && ipOptions !== null) ipOptions.forward(skb);
  return skb.dst!.output(skb);
}

/** The checksum follows (RFC 1624). Linux: ip_decrease_ttl(). */
function decreaseTtl(nh: number): void {
  const check = memView.getUint16(nh + IPH_CHECK) + 0x100;
  memView.setUint16(nh + IPH_CHECK, check >= 0xffff ? (check + 1) & 0xffff : check);
  mem8[nh + IPH_TTL]!--;
}

/** Turns forwarding on or off for what comes in by a device. Linux: net.ipv4.conf.DEV.forwarding. */
export function devSetForwarding(dev: NetDevice, on: boolean): void {
  const inDev = inDevGet(dev);
  if (inDev === null) return;
  inDev.switches = on ? inDev.switches | IN_DEV_FORWARDING : inDev.switches & ~IN_DEV_FORWARDING;
  rtCacheFlush(dev.net!);
}

/**
 * The same for every device, and what is registered later; a router follows no redirects unless conf.all says so again. Linux:
 * net.ipv4.ip_forward, inet_forward_change().
 */
export function ipForwardSet(net: Net, on: boolean): void {
  const conf = net.ipv4;
  conf.ipForward = on ? 1 : 0;
  conf.confAll = on ? conf.confAll & ~IN_DEV_ACCEPT_REDIRECTS : conf.confAll | IN_DEV_ACCEPT_REDIRECTS;
  for (let dev = net.devices; dev !== null; dev = dev.nextDev) devSetForwarding(dev, on);
}
