/**
 * ARP: asking for, answering and learning link addresses of IPv4 neighbours on Ethernet. Linux: net/ipv4/arp.c. Owns
 * the table arpTbl, whose states are core/neighbour.ts's.
 *
 * Who is believed, as in Linux: a request for an address of ours makes or updates its sender's entry (STALE); any other
 * packet, gratuitous ones and replies nobody asked for included, only updates an entry that exists. Beyond Linux, a
 * sender with a group address is not believed (RFC 1812 section 3.3.2).
 *
 * Read first: RFC 826, RFC 1122 section 2.3.2, RFC 5227 sections 1 to 3.
 */
import { account } from "../../lib/account.ts";
import { mem8, memView } from "../../lib/memory.ts";
import { NOTIFY_DONE, NotifierBlock, notifierChainRegister } from "../../lib/notifier.ts";
import { jiffies } from "../../lib/timer.ts";
import { netdevChain, NETDEV_CHANGE, NETDEV_CHANGEADDR, NETDEV_UNREGISTER } from "../../netif/dev.ts";
import { ETH_BROADCAST_HI, ETH_BROADCAST_LO, ETH_GROUP_BIT } from "../../netif/ethernet.ts";
import { devAddPack, NET_RX_DROP, NET_RX_SUCCESS, PacketType } from "../../netif/receive.ts";
import { devQueueXmit } from "../../netif/xmit.ts";
import {
  SKB_DROP_REASON_DEV_HDR, SKB_DROP_REASON_HDR_TRUNC, SKB_DROP_REASON_IP_INVALID_DEST, SKB_DROP_REASON_IP_LOCALNET,
  SKB_DROP_REASON_MAC_INVALID_SOURCE, SKB_DROP_REASON_NEIGH_FAILED, SKB_DROP_REASON_NOT_SPECIFIED, SKB_DROP_REASON_UNHANDLED_PROTO,
} from "../../uapi/drop-reason.ts";
import { EINVAL, ENOBUFS } from "../../uapi/errno.ts";
import { IFF_LOOPBACK, IFF_NOARP, IFF_POINTOPOINT } from "../../uapi/if.ts";
import { ARPHRD_ETHER, ARPOP_REPLY, ARPOP_REQUEST } from "../../uapi/if-arp.ts";
import { ETH_HLEN, ETH_P_ARP, ETH_P_IP } from "../../uapi/if-ether.ts";
import { IN_LOOPBACKNET } from "../../uapi/in.ts";
import {
  NUD_NOARP, NUD_REACHABLE, NUD_STALE, RT_SCOPE_LINK, RTN_BROADCAST, RTN_LOCAL, RTN_MULTICAST, RTN_UNICAST,
} from "../../uapi/rtnetlink.ts";
import { AF_INET } from "../../uapi/socket.ts";
import {
  createNeighTable, NEIGH_SOLICITED, neighCarrierDown, neighFlushDev, neighEventNs, neighLookup, neighNotify,
  neighParms, neighParmsRelease, type Neighbour, type NeighOps, type NeighTable, neighUpdate, NEIGH_UPDATE_F_OVERRIDE,
} from "../core/neighbour.ts";
import type { NetDevice } from "../core/net-device.ts";
import {
  allocSkb, consumeSkb, kfreeSkb, NET_IP_ALIGN, PACKET_HOST, skbCloned, skbDstDrop, type SkBuff,
} from "../core/skbuff.ts";
import {
  ARP_ETH_LEN, ARPH_HRD, ARPH_HLN, ARPH_OP, ARPH_SHA, ARPH_SIP, ARPH_THA, ARPH_TIP,
} from "../wire/arp.ts";
import { ETH_IPV4_MCAST_HI, ETH_IPV4_MCAST_MASK, ETH_IPV4_MCAST_MID } from "../wire/eth.ts";
import { IPH_SADDR } from "../wire/ip.ts";
import { VLAN_HLEN } from "../wire/vlan.ts";
import { ARP_EVICT_NOCARRIER, ARP_SPECIAL, arpConf } from "./arp-conf.ts";
import { IN_DEV_ROUTE_LOCALNET, type InDevice, inDevGet, inDevOrconf, inetLookupIfaddr, inetSelectAddr } from "./devinet.ts";
import { inetAddrType } from "./fib-lookup.ts";
import { ipArpPolicy, ipArpProxy } from "./ip-parts.ts";
import { ipRouteInput } from "./route.ts";
import type { Rtable } from "./rtable.ts";

/** The first word of a packet for Ethernet and IPv4: hardware type 1, protocol 0x0800. */
const ARP_WORD0 = (ARPHRD_ETHER << 16) | ETH_P_IP;
/** The second word without the operation: address lengths 6 and 4. */
const ARP_WORD1 = 0x06040000;
/** First bytes of group addresses, 224 to 239, as the int32's sign leaves them. */
const CLASS_D_FIRST = -32;
const CLASS_D_LAST = -17;
/** Headroom of packets made here, for a tag of a VLAN too. */
const ARP_HEADROOM = NET_IP_ALIGN + ETH_HLEN + VLAN_HLEN;

/** IPv4's neighbours on links with addresses. Linux: arp_tbl. */
export let arpTbl: NeighTable;

const arpOps: NeighOps = Object.freeze({
  construct: arpConstruct,
  solicit: arpSolicit,
  errorReport: arpErrorReport,
  queueXmit: devQueueXmit,
});

/**
 * Builds the table of `count` entries and takes ARP packets from now on. Boot time, after netdevInit() and skbInit().
 */
export function arpInit(count: number): void {
  arpTbl = createNeighTable("arp_cache", AF_INET, count, arpOps);
  devAddPack(account("arp", new PacketType(ETH_P_ARP, arpRcv)));
  notifierChainRegister(netdevChain, account("arp", new NotifierBlock<NetDevice>(arpNetdevEvent)));
}

/** What was learned on a link ends with the link or its address; down devices are fib-frontend's. */
function arpNetdevEvent(event: number, dev: NetDevice): number {
  if (event === NETDEV_CHANGEADDR) neighFlushDev(arpTbl, dev, -1);
  else if (event === NETDEV_UNREGISTER) neighParmsRelease(arpTbl, dev);
  else if (event === NETDEV_CHANGE) {
    const inDev = inDevGet(dev);
    if ((dev.flags & IFF_NOARP) !== 0) neighFlushDev(arpTbl, dev, -1);
    else if (dev.carrier) neighFlushDev(arpTbl, dev, NUD_NOARP);
    else if (inDev === null || arpConf(inDev, ARP_EVICT_NOCARRIER) !== 0) neighCarrierDown(arpTbl, dev);
  }
  return NOTIFY_DONE;
}

/** Groups and broadcasts have a link address by rule, and links without ARP none at all. Linux: arp_constructor(). */
function arpConstruct(neigh: Neighbour): number {
  const dev = neigh.dev!;
  if (inDevGet(dev) === null) return -EINVAL;
  if (dev.headerOps === null || (dev.flags & (IFF_LOOPBACK | IFF_NOARP)) !== 0) {
    neigh.nudState = NUD_NOARP;
    neigh.haHi = dev.addrHi;
    neigh.haLo = dev.addrLo;
    return 0;
  }
  const type = inetAddrType(dev.net!, neigh.key);
  if (type === RTN_MULTICAST) {
    neigh.nudState = NUD_NOARP;
    neigh.haHi = ETH_IPV4_MCAST_HI;
    neigh.haLo = (ETH_IPV4_MCAST_MID << 24) | (neigh.key & ETH_IPV4_MCAST_MASK);
  } else if (type === RTN_BROADCAST || (dev.flags & IFF_POINTOPOINT) !== 0) {
    neigh.nudState = NUD_NOARP;
    neigh.haHi = ETH_BROADCAST_HI;
    neigh.haLo = ETH_BROADCAST_LO;
  }
  return 0;
}

/**
 * Asks: with the waiting packet's own source address if it is ours, else the best of the link. Linux: arp_solicit().
 */
function arpSolicit(neigh: Neighbour, skb: SkBuff | null): void {
  const dev = neigh.dev!;
  const net = dev.net!;
  const target = neigh.key;
  let saddr = 0;
  if (skb !== null && skb.protocol === ETH_P_IP) {
    saddr = memView.getInt32(skb.nh + IPH_SADDR);
    const named = ipArpPolicy === null ? inetAddrType(net, saddr) === RTN_LOCAL : ipArpPolicy.mayAnnounce(dev, saddr, target);
    if (!named) saddr = 0;
  }
  if (saddr === 0) saddr = inetSelectAddr(net, dev, target, RT_SCOPE_LINK);
  const { ucastProbes, appProbes } = neighParms(neigh);
  if (neigh.probes < ucastProbes) {
    arpSend(ARPOP_REQUEST, dev, target, saddr, neigh.haHi, neigh.haLo, 0, 0);
  } else if (neigh.probes < ucastProbes + appProbes) {
    neighNotify(neigh, NEIGH_SOLICITED);
  } else {
    arpSend(ARPOP_REQUEST, dev, target, saddr, ETH_BROADCAST_HI, ETH_BROADCAST_LO, 0, 0);
  }
}

/** A packet that cannot be delivered: its route tells the sender. Linux: arp_error_report(). */
function arpErrorReport(_neigh: Neighbour, skb: SkBuff): void {
  const dst = skb.dst;
  if (dst !== null) dst.ops.linkFailure(skb);
  kfreeSkb(skb, SKB_DROP_REASON_NEIGH_FAILED);
}

/**
 * Sends an ARP packet from the device's own link address. Linux: arp_send().
 * @param op ARPOP_* @param tip target's IPv4 address @param sip sender's @param dstHi, dstLo where the frame goes
 * @param thaHi, thaLo the target's link address as the packet states it, 0 for unknown
 * @returns 0 (also on a device without ARP), or a negative errno
 */
export function arpSend(
  op: number, dev: NetDevice, tip: number, sip: number, dstHi: number, dstLo: number, thaHi: number, thaLo: number,
): number {
  const headerOps = dev.headerOps;
  if ((dev.flags & IFF_NOARP) !== 0 || headerOps === null) return 0;
  const skb = allocSkb(ARP_HEADROOM + ARP_ETH_LEN);
  if (skb === null) return -ENOBUFS;
  // skbReserve() and skbPut(), for which there is room.
  const at = skb.data + ARP_HEADROOM;
  const view = memView;
  skb.data = skb.nh = at;
  skb.tail = at + ARP_ETH_LEN;
  skb.len = ARP_ETH_LEN;
  skb.dev = dev;
  skb.protocol = ETH_P_ARP;
  view.setInt32(at + ARPH_HRD, ARP_WORD0);
  view.setInt32(at + ARPH_HLN, ARP_WORD1 | op);
  view.setUint16(at + ARPH_SHA, dev.addrHi);
  view.setInt32(at + ARPH_SHA + 2, dev.addrLo);
  view.setInt32(at + ARPH_SIP, sip);
  view.setUint16(at + ARPH_THA, thaHi);
  view.setInt32(at + ARPH_THA + 2, thaLo);
  view.setInt32(at + ARPH_TIP, tip);
  if (headerOps.create(skb, dev, ETH_P_ARP, dstHi, dstLo) < 0) {
    kfreeSkb(skb, SKB_DROP_REASON_DEV_HDR);
    return -EINVAL;
  }
  return devQueueXmit(skb);
}

/** Tells the link that an address is ours: a gratuitous request. Linux: inetdev_send_gratuitous_arp(), arp_notify. */
export function arpAnnounce(dev: NetDevice, addr: number): number {
  return arpSend(ARPOP_REQUEST, dev, addr, addr, ETH_BROADCAST_HI, ETH_BROADCAST_LO, 0, 0);
}

/** Answers a request in its own buffer, unless somebody else reads that; the packet is gone. */
function arpReply(skb: SkBuff, dev: NetDevice, sip: number, tip: number, shaHi: number, shaLo: number): void {
  const headerOps = dev.headerOps;
  if (headerOps === null || skb.users !== 1 || skbCloned(skb)) {
    arpSend(ARPOP_REPLY, dev, sip, tip, shaHi, shaLo, shaHi, shaLo);
    consumeSkb(skb);
    return;
  }
  if (skb.dst !== null) skbDstDrop(skb);
  const view = memView;
  const at = skb.data;
  skb.tail = at + ARP_ETH_LEN;
  skb.len = ARP_ETH_LEN;
  skb.pktType = PACKET_HOST;
  view.setUint16(at + ARPH_OP, ARPOP_REPLY);
  // The sender is the target now, both its addresses.
  mem8.copyWithin(at + ARPH_THA, at + ARPH_SHA, at + ARPH_THA);
  view.setUint16(at + ARPH_SHA, dev.addrHi);
  view.setInt32(at + ARPH_SHA + 2, dev.addrLo);
  view.setInt32(at + ARPH_SIP, tip);
  if (headerOps.create(skb, dev, ETH_P_ARP, shaHi, shaLo) < 0) kfreeSkb(skb, SKB_DROP_REASON_DEV_HDR);
  else devQueueXmit(skb);
}

function arpDrop(skb: SkBuff, reason: number): number {
  kfreeSkb(skb, reason);
  return NET_RX_DROP;
}

/** Takes an ARP packet from a link: is it one for Ethernet and IPv4? Linux: arp_rcv(). */
export function arpRcv(skb: SkBuff, dev: NetDevice): number {
  const inDev = dev.ipPtr as InDevice | null;
  if (inDev === null || (dev.flags & IFF_NOARP) !== 0 || dev.type !== ARPHRD_ETHER) {
    return arpDrop(skb, SKB_DROP_REASON_UNHANDLED_PROTO);
  }
  if (skb.len < ARP_ETH_LEN) return arpDrop(skb, SKB_DROP_REASON_HDR_TRUNC);
  const at = skb.data;
  const op = memView.getInt32(at + ARPH_HLN) ^ ARP_WORD1;
  if (memView.getInt32(at + ARPH_HRD) !== ARP_WORD0 || (op !== ARPOP_REQUEST && op !== ARPOP_REPLY)) {
    return arpDrop(skb, SKB_DROP_REASON_UNHANDLED_PROTO);
  }
  return arpProcess(skb, dev, inDev, op);
}

/** Answers and learns. Linux: arp_process(). */
function arpProcess(skb: SkBuff, dev: NetDevice, inDev: InDevice, op: number): number {
  const view = memView;
  const at = skb.data;
  const shaHi = view.getUint16(at + ARPH_SHA);
  const shaLo = view.getInt32(at + ARPH_SHA + 2);
  const sip = view.getInt32(at + ARPH_SIP);
  const tip = view.getInt32(at + ARPH_TIP);
  if ((shaHi & ETH_GROUP_BIT) !== 0) return arpDrop(skb, SKB_DROP_REASON_MAC_INVALID_SOURCE);
  const special = ((inDev.switches | dev.net!.ipv4.confAll) & ARP_SPECIAL) !== 0 && ipArpPolicy !== null;
  let forUs = op === ARPOP_REQUEST && arpIsPlain(inDev, tip, sip);
  if (!forUs) {
    const net8 = tip >> 24;
    if (net8 >= CLASS_D_FIRST && net8 <= CLASS_D_LAST) return arpDrop(skb, SKB_DROP_REASON_IP_INVALID_DEST);
    if (net8 === IN_LOOPBACKNET && !inDevOrconf(inDev, IN_DEV_ROUTE_LOCALNET)) return arpDrop(skb, SKB_DROP_REASON_IP_LOCALNET);
    if (special && sip === tip && ipArpPolicy!.dropsGratuitous(inDev)) {
      return arpDrop(skb, SKB_DROP_REASON_NOT_SPECIFIED);
    }
    if (sip === 0) {
      // Somebody probes whether the address is free (RFC 5227 section 2.1.1): answered, not learned from.
      const ours = op === ARPOP_REQUEST && inetAddrType(dev.net!, tip) === RTN_LOCAL;
      if (ours && (!special || ipArpPolicy!.mayReply(inDev, 0, tip))) arpSend(ARPOP_REPLY, dev, 0, tip, shaHi, shaLo, shaHi, shaLo);
      consumeSkb(skb);
      return NET_RX_SUCCESS;
    }
    if (op === ARPOP_REQUEST && ipRouteInput(skb, tip, sip, 0, dev) === 0) {
      forUs = (skb.dst as Rtable).type === RTN_LOCAL;
      if (!forUs && ipArpProxy !== null && ipArpProxy.answer(skb, dev)) return NET_RX_SUCCESS;
    }
  }
  if (forUs) {
    const answered = (!special || ipArpPolicy!.mayReply(inDev, sip, tip)) && neighEventNs(arpTbl, shaHi, shaLo, sip, dev) !== null;
    if (answered) arpReply(skb, dev, sip, tip, shaHi, shaLo);
    else consumeSkb(skb);
    return NET_RX_SUCCESS;
  }
  const neigh = neighLookup(arpTbl, sip, dev) ?? (ipArpPolicy === null ? null : ipArpPolicy.learn(skb, inDev, op, sip, shaHi, shaLo));
  if (neigh !== null) arpUpdate(neigh, skb, op, shaHi, shaLo);
  consumeSkb(skb);
  return NET_RX_SUCCESS;
}

/**
 * Is it a question for the device's first address from a host of its subnet? Then the routing tables, which else say
 * whether a question is for us and may come by that device, need not be asked.
 */
function arpIsPlain(inDev: InDevice, tip: number, sip: number): boolean {
  const ifa = inDev.ifaList;
  if (ifa === null || ifa.local !== tip || ((sip ^ ifa.address) & ifa.mask) !== 0 || ifa.prefixlen < 8) return false;
  const hostMask = ~ifa.mask;
  const host = sip & hostMask;
  return host !== 0 && host !== hostMask && tip >> 24 !== IN_LOOPBACKNET && inetLookupIfaddr(inDev.dev.net!, sip) === null;
}

/**
 * Brings an entry up to date. Only a reply sent to us proves that the neighbour hears us; of several answers the first
 * counts, for the lock time, unless the packet is gratuitous.
 */
function arpUpdate(neigh: Neighbour, skb: SkBuff, op: number, shaHi: number, shaLo: number): void {
  const unlocked = ((jiffies - neigh.updated - neighParms(neigh).locktimeMs) | 0) > 0;
  const override = unlocked || arpIsGratuitous(skb, neigh.dev!, op, shaHi, shaLo);
  const state = op === ARPOP_REPLY && skb.pktType === PACKET_HOST ? NUD_REACHABLE : NUD_STALE;
  neighUpdate(neigh, shaHi, shaLo, state, override ? NEIGH_UPDATE_F_OVERRIDE : 0);
}

/**
 * Does a host announce its own address? A reply must name its link address as the target's too. Linux: arp_is_garp().
 */
export function arpIsGratuitous(skb: SkBuff, dev: NetDevice, op: number, shaHi: number, shaLo: number): boolean {
  const view = memView;
  const at = skb.data;
  const sip = view.getInt32(at + ARPH_SIP);
  if (sip !== view.getInt32(at + ARPH_TIP)) return false;
  if (op === ARPOP_REPLY) {
    if (view.getUint16(at + ARPH_THA) !== shaHi || view.getInt32(at + ARPH_THA + 2) !== shaLo) return false;
  }
  return inetAddrType(dev.net!, sip) === RTN_UNICAST;
}
