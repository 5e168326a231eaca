/**
 * Receiving: the header's checks, the route, and the hand-over to the transport protocol. Linux: net/ipv4/ip_input.c.
 *
 *   netifReceiveSkb → ipRcv (→ ipRcvFinish → ipRcvRoute, with a question other than the last) → dst.input = ipLocalDeliver
 *     → protocol handler
 *
 * Fragments and options are dealt with where those parts were listed at boot (ip-parts.ts); else fragments are dropped and
 * options skipped. A packet for somebody else ends in ipError(), as on any host with ip_forward 0.
 *
 * Read first: RFC 791 section 3.1, RFC 1122 section 3.2.1 (silently discarded headers), RFC 1812 section 5.2.2.
 */
import { account } from "../../lib/account.ts";
import { ipFastCsum } from "../../lib/checksum.ts";
import { mem32, mem8, memView } from "../../lib/memory.ts";
import { devAddPack, PacketType } from "../../netif/receive.ts";
import {
  SKB_DROP_REASON_FRAG_FAILED, SKB_DROP_REASON_IP_CSUM, SKB_DROP_REASON_IP_INADDRERRORS,
  SKB_DROP_REASON_IP_INHDR, SKB_DROP_REASON_IP_NOPROTO, SKB_DROP_REASON_NOMEM, SKB_DROP_REASON_OTHERHOST,
  SKB_DROP_REASON_PKT_TOO_SMALL, SKB_NOT_DROPPED_YET,
} from "../../uapi/drop-reason.ts";
import { EINVAL } from "../../uapi/errno.ts";
import { ICMP_DEST_UNREACH, ICMP_PROT_UNREACH } from "../../uapi/icmp.ts";
import { ETH_P_IP } from "../../uapi/if-ether.ts";
import { NF_INET_PRE_ROUTING } from "../../uapi/netfilter.ts";
import {
  IPSTATS_MIB_CSUMERRORS, IPSTATS_MIB_INADDRERRORS, IPSTATS_MIB_INBCASTOCTETS, IPSTATS_MIB_INBCASTPKTS,
  IPSTATS_MIB_INDELIVERS, IPSTATS_MIB_INDISCARDS, IPSTATS_MIB_INHDRERRORS, IPSTATS_MIB_INMCASTOCTETS,
  IPSTATS_MIB_INMCASTPKTS, IPSTATS_MIB_INOCTETS, IPSTATS_MIB_INPKTS, IPSTATS_MIB_INTRUNCATEDPKTS,
  IPSTATS_MIB_INUNKNOWNPROTOS, IPSTATS_MIB_NOECTPKTS, IPSTATS_MIB_REASMFAILS, IPSTATS_MIB_REASMREQDS,
} from "../../uapi/snmp.ts";
import { initNet, type Net } from "../core/net.ts";
import type { NetDevice } from "../core/net-device.ts";
import { pskbCopy } from "../core/skb-copy.ts";
import {
  consumeSkb, kfreeSkb, PACKET_OTHERHOST, type SkBuff, skbClone, skbCloned, skbTrim,
} from "../core/skbuff.ts";
import {
  IP_FRAGMENT_BITS, IP_HLEN, IP_VER_IHL_PLAIN, IPH_DADDR, IPH_FRAG_OFF, IPH_PROTOCOL, IPH_SADDR, IPH_TOS,
} from "../wire/ip.ts";
import { icmpInit, icmpSend, ipv4LinkFailure } from "./icmp.ts";
import { inetPeerInit, inetPeerWords } from "./inetpeer.ts";
import { ipIdentWords, ipMcOutput, ipOutput, ipOutputInit } from "./ip-output.ts";
import { ipFragments, ipHooks, ipOptions, ipPartsInit, ipRaw, type OptionOps } from "./ip-parts.ts";
import { inetProtocol, inetProtocolsInit, inetProtos } from "./protocol.ts";
import { ipRouteInput, ipRouteInputReason, routeInit } from "./route.ts";
import { RT_TOS_BITS, rtInput, rtInputDaddr, rtInputDev, rtInputSaddr, rtInputTos } from "./route-cache.ts";
import { type IpHandlers, ipHandlers, RTCF_BROADCAST, RTCF_MULTICAST, type Rtable, rtableInit } from "./rtable.ts";

/** Where route entries lead, unless a part has put itself in between (setIpHandlers()). */
export const ipInputHandlers: IpHandlers = Object.freeze({
  localDeliver: ipLocalDeliver,
  error: ipError,
  output: ipOutput,
  mcOutput: ipMcOutput,
  linkFailure: ipv4LinkFailure,
});

/** Words of what ipInit() makes. */
export function ipWords(destinations: number): number {
  return ipIdentWords(destinations << 2) + inetPeerWords(destinations << 1);
}

/**
 * IPv4 starts: route entries, output, ICMP, and the packet type. Boot time, after fibInit(); transports follow with
 * inetAddProtocol(). Linux: inet_init(). @param rtables cached routing decisions @param destinations see config.ts
 */
export function ipInit(rtables: number, destinations: number): void {
  ipPartsInit();
  inetProtocolsInit();
  rtableInit(rtables, initNet, ipInputHandlers);
  routeInit();
  ipOutputInit(destinations << 2);
  inetPeerInit(destinations << 1);
  icmpInit();
  devAddPack(account("ip", new PacketType(ETH_P_IP, ipRcv)));
}

function headerError(net: Net, skb: SkBuff, reason: number): number {
  net.mib[IPSTATS_MIB_INHDRERRORS]!++;
  kfreeSkb(skb, reason);
  return -EINVAL;
}

/** A packet that somebody else sees too: a clone of our own, or null when there is none to be had. */
function ipShareCheck(skb: SkBuff, mib: Uint32Array): SkBuff | null {
  const own = skbClone(skb);
  consumeSkb(skb);
  if (own === null) mib[IPSTATS_MIB_INDISCARDS]!++;
  return own;
}

/**
 * A packet of EtherType IP: data at its header. Checks the header and cuts padding off; the route of the packet before is
 * taken when it answers for this one too. Linux: ip_rcv(), ip_rcv_core().
 * @returns 0 or a negative errno, for tests; the packet is gone
 */
export function ipRcv(skb: SkBuff, dev: NetDevice): number {
  if (skb.pktType === PACKET_OTHERHOST) {
    kfreeSkb(skb, SKB_DROP_REASON_OTHERHOST);
    return -EINVAL;
  }
  const net = dev.net!;
  const mib = net.mib;
  mib[IPSTATS_MIB_INPKTS]!++;
  mib[IPSTATS_MIB_INOCTETS]! += skb.len;
  if (skb.users !== 1) {
    const own = ipShareCheck(skb, mib);
    if (own === null) return -EINVAL;
    skb = own;
  }
  const nh = skb.data;
  if (skb.tail - nh < IP_HLEN) return headerError(net, skb, SKB_DROP_REASON_PKT_TOO_SMALL);
  const first = memView.getInt32(nh);
  let headerLength = IP_HLEN;
  // Where the words of the usual header are, without options and on a word boundary (as drivers see to it), to be added up
  // here; else the arena's first, which are zero.
  let at = 0;
  if (first >>> 24 === IP_VER_IHL_PLAIN) {
    if ((nh & 3) === 0) at = nh >> 2;
  } else {
    headerLength = (first >> 22) & 60;
    if (first >>> 28 !== 4 || headerLength < IP_HLEN) return headerError(net, skb, SKB_DROP_REASON_IP_INHDR);
    if (skb.tail - nh < headerLength) return headerError(net, skb, SKB_DROP_REASON_PKT_TOO_SMALL);
  }
  mib[IPSTATS_MIB_NOECTPKTS + ((first >> 16) & 3)]!++;
  // Addresses stay as they lie in memory, for the comparison below.
  const saddr = mem32[at + 3]!;
  const daddr = mem32[at + 4]!;
  if (
    at !== 0 ? (mem32[at]! + mem32[at + 1]! + mem32[at + 2]! + saddr + daddr) % 0xffff !== 0
      : ipFastCsum(nh, headerLength >> 2) !== 0
  ) {
    mib[IPSTATS_MIB_CSUMERRORS]!++;
    return headerError(net, skb, SKB_DROP_REASON_IP_CSUM);
  }
  const totLen = first & 0xffff;
  if (totLen < headerLength) return headerError(net, skb, SKB_DROP_REASON_IP_INHDR);
  if (skb.len !== totLen) {
    if (skb.len < totLen) {
      mib[IPSTATS_MIB_INTRUNCATEDPKTS]!++;
      kfreeSkb(skb, SKB_DROP_REASON_PKT_TOO_SMALL);
      return -EINVAL;
    }
    skbTrim(skb, totLen);
  }
  skb.nh = nh;
  skb.th = nh + headerLength;
  if (saddr === rtInputSaddr && daddr === rtInputDaddr && dev === rtInputDev && (first & RT_TOS_BITS) === rtInputTos) {
    const rt = rtInput!;
    rt.refcnt++;
    skb.dst = rt;
    return rt.input(skb);
  }
  return ipRcvFinish(net, skb, dev);
}

/** The end of ipRcv(), unless the packet's route is known. */
function ipRcvFinish(net: Net, skb: SkBuff, dev: NetDevice): number {
  const hooks = ipHooks;
  if (hooks !== null) {
    const go = hooks.run(NF_INET_PRE_ROUTING, net, skb, dev, null);
    if (go <= 0) return go;
  }
  return ipRcvRoute(net, skb, dev);
}

/** Routes the packet, unless loopback brought its route along, and follows the route. Linux: ip_rcv_finish(). */
export function ipRcvRoute(net: Net, skb: SkBuff, dev: NetDevice): number {
  if (skb.dst === null) {
    const nh = skb.nh;
    const view = memView;
    const saddr = view.getInt32(nh + IPH_SADDR);
    const err = ipRouteInput(skb, view.getInt32(nh + IPH_DADDR), saddr, mem8[nh + IPH_TOS]!, dev);
    if (err !== 0) {
      kfreeSkb(skb, ipRouteInputReason());
      return err;
    }
  }
  if (skb.th - skb.nh > IP_HLEN && ipOptions !== null) return inputWithOptions(net, skb, dev, ipOptions);
  const rt = skb.dst as unknown as Rtable;
  const flags = rt.flags & (RTCF_BROADCAST | RTCF_MULTICAST);
  if (flags !== 0) countGroup(net, skb, flags);
  return rt.input(skb);
}

/** The same when there are options, which are written to: a packet that is shared gets bytes of its own. */
function inputWithOptions(net: Net, packet: SkBuff, dev: NetDevice, options: OptionOps): number {
  const skb = skbCloned(packet) ? copyOf(packet, net.mib) : packet;
  if (skb === null) return -EINVAL;
  const reason = options.receive(skb, dev);
  if (reason !== SKB_NOT_DROPPED_YET) {
    kfreeSkb(skb, reason);
    return -EINVAL;
  }
  const rt = skb.dst as unknown as Rtable;
  const flags = rt.flags & (RTCF_BROADCAST | RTCF_MULTICAST);
  if (flags !== 0) countGroup(net, skb, flags);
  const answer = rt.input(skb);
  options.done();
  return answer;
}

function copyOf(packet: SkBuff, mib: Uint32Array): SkBuff | null {
  const own = pskbCopy(packet);
  consumeSkb(packet);
  if (own === null) mib[IPSTATS_MIB_INDISCARDS]!++;
  return own;
}

function countGroup(net: Net, skb: SkBuff, flags: number): void {
  const mib = net.mib;
  const broadcast = (flags & RTCF_BROADCAST) !== 0;
  mib[broadcast ? IPSTATS_MIB_INBCASTPKTS : IPSTATS_MIB_INMCASTPKTS]!++;
  mib[broadcast ? IPSTATS_MIB_INBCASTOCTETS : IPSTATS_MIB_INMCASTOCTETS]! += skb.len;
}

/** A fragment on a host that does not put them together. */
function dropFragment(skb: SkBuff): number {
  const mib = skb.dev!.net!.mib;
  mib[IPSTATS_MIB_REASMREQDS]!++;
  mib[IPSTATS_MIB_REASMFAILS]!++;
  kfreeSkb(skb, SKB_DROP_REASON_FRAG_FAILED);
  return -EINVAL;
}

/** A fragment for this host: when its datagram is whole, that is delivered. Linux: the first lines of ip_local_deliver(). */
function deliverFragment(skb: SkBuff): number {
  const fragments = ipFragments;
  if (fragments === null) return dropFragment(skb);
  const whole = fragments.defrag(skb);
  if (whole === null) return 0;
  const prot = inetProtocol(mem8[whole.nh + IPH_PROTOCOL]!);
  if (whole.fragList !== null && prot !== null && prot.chained !== true) {
    whole.dev!.net!.mib[IPSTATS_MIB_INDISCARDS]!++;
    kfreeSkb(whole, SKB_DROP_REASON_NOMEM);
    return -EINVAL;
  }
  return ipHandlers.localDeliver(whole);
}

/**
 * A packet for this host: to raw sockets, and to its transport; the sender of an unknown protocol is told (RFC 1122 section 3.2.2.1). Linux:
 * ip_local_deliver(), ip_local_deliver_finish().
 */
export function ipLocalDeliver(skb: SkBuff): number {
  if ((memView.getUint16(skb.nh + IPH_FRAG_OFF) & IP_FRAGMENT_BITS) !== 0) return deliverFragment(skb);
  const th = skb.th;
  skb.len -= th - skb.data;
  skb.data = th;
  const prot = inetProtos[mem8[skb.nh + IPH_PROTOCOL]!];
  const raw = ipRaw !== null && ipRaw.deliver(skb);
  if (!prot) return raw ? rawOnly(skb) : unknownProtocol(skb);
  skb.dev!.net!.mib[IPSTATS_MIB_INDELIVERS]!++;
  return prot.handler(skb);
}

/** Raw sockets have the packet, and nobody else wants it. */
function rawOnly(skb: SkBuff): number {
  skb.dev!.net!.mib[IPSTATS_MIB_INDELIVERS]!++;
  consumeSkb(skb);
  return 0;
}

function unknownProtocol(skb: SkBuff): number {
  skb.dev!.net!.mib[IPSTATS_MIB_INUNKNOWNPROTOS]!++;
  icmpSend(skb, ICMP_DEST_UNREACH, ICMP_PROT_UNREACH, 0);
  kfreeSkb(skb, SKB_DROP_REASON_IP_NOPROTO);
  return -EINVAL;
}

/** A packet for somebody else on a host that does not forward: dropped without a word. Linux: ip_error(). */
export function ipError(skb: SkBuff): number {
  skb.dev!.net!.mib[IPSTATS_MIB_INADDRERRORS]!++;
  kfreeSkb(skb, SKB_DROP_REASON_IP_INADDRERRORS);
  return -EINVAL;
}
