/**
 * Sending: the IP header, and the way from a transport segment to the neighbour. Linux: net/ipv4/ip_output.c.
 *
 *   ipQueueXmit / ipBuildAndSendPkt / ipSendUnicastReply → ipPushHeader → ipLocalOut → dst.output = ipOutput
 *     → neighOutput
 *
 * The header is written with five word stores and its checksum is summed from the values written. A packet larger than
 * the path MTU goes in pieces where that part was listed at boot (ip-parts.ts) and the header allows it, else it is -EMSGSIZE.
 *
 * Read first: RFC 791 section 3.1, RFC 6864 (the identification field), RFC 1191 section 3 (DF).
 */
import { mem8, memCopy, memView } from "../../lib/memory.ts";
import { getRandomU32 } from "../../lib/random.ts";
import { words, wordTable } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import { netifRx } from "../../netif/receive.ts";
import { devQueueXmit } from "../../netif/xmit.ts";
import {
  SKB_DROP_REASON_IP_INHDR, SKB_DROP_REASON_IP_OUTNOROUTES, SKB_DROP_REASON_NEIGH_CREATEFAIL, SKB_DROP_REASON_NEIGH_HH_FILLFAIL,
  SKB_DROP_REASON_NOMEM, SKB_DROP_REASON_PKT_TOO_BIG,
} from "../../uapi/drop-reason.ts";
import { EHOSTUNREACH, EINVAL, EMSGSIZE, ENOBUFS } from "../../uapi/errno.ts";
import { IFF_LOOPBACK, IFF_NOARP } from "../../uapi/if.ts";
import { ETH_P_IP } from "../../uapi/if-ether.ts";
import { IP_PMTUDISC_DO, IP_PMTUDISC_PROBE, IP_PMTUDISC_WANT } from "../../uapi/in.ts";
import { NF_INET_LOCAL_OUT } from "../../uapi/netfilter.ts";
import {
  IPSTATS_MIB_FRAGFAILS, IPSTATS_MIB_OUTBCASTOCTETS, IPSTATS_MIB_OUTBCASTPKTS, IPSTATS_MIB_OUTDISCARDS,
  IPSTATS_MIB_OUTMCASTOCTETS, IPSTATS_MIB_OUTMCASTPKTS, IPSTATS_MIB_OUTNOROUTES, IPSTATS_MIB_OUTOCTETS,
  IPSTATS_MIB_OUTPKTS, IPSTATS_MIB_OUTREQUESTS,
} from "../../uapi/snmp.ts";
import type { DstEntry } from "../core/dst.ts";
import { neighCreate, neighLookup, neighOutput } from "../core/neighbour.ts";
import type { Net } from "../core/net.ts";
import type { NetDevice } from "../core/net-device.ts";
import {
  CHECKSUM_UNNECESSARY, consumeSkb, kfreeSkb, PACKET_LOOPBACK, skbClone, skbCloned, type SkBuff, skbHeadroom, skbPull,
  skbTailroom,
} from "../core/skbuff.ts";
import { SK_MARK, SK_PRIORITY, SK_PROTOCOL, skDstCheck, skDstSet, type Sock } from "../core/sock.ts";
import { IP_DF, IP_HLEN, IPH_DADDR, IPH_FRAG_OFF, IPH_SADDR, IPH_TTL } from "../wire/ip.ts";
import { arpTbl } from "./arp.ts";
import { flowi4Init, flowi4SockInit, outputFlow } from "./flow.ts";
import { INET_MC_LOOP, type InetSk, IP_CMSG_OPTIONS } from "./inet-sock.ts";
import { ipFragments, ipHooks, ipOptions } from "./ip-parts.ts";
import { ipRouteOutputFlow, ipRouteOutputKey } from "./route.ts";
import { dstMtu, RTCF_BROADCAST, RTCF_MULTICAST, type Rtable } from "./rtable.ts";

const imul = Math.imul;

/** Where in `words` the counters of the identification field are, and behind them the jiffies of each one's last use. */
let idents = 0;
let identCount = 0;
/** Secrets: what spreads destinations over the counters, and what makes their jumps. */
let identKey = 0;
let identState = 0;
/** Whose counter was drawn from last, and which one it is; -1 = nobody's. */
let identSaddr = 0;
let identDaddr = 0;
let identProtocol = -1;
let identSlot = 0;

/** Words of the counters. */
export function ipIdentWords(count: number): number {
  return count << 1;
}

/** Boot time. @param count counters of the identification field, a power of two */
export function ipOutputInit(count: number): void {
  idents = wordTable("ip_idents", ipIdentWords(count));
  identCount = count;
  identKey = getRandomU32();
  identState = getRandomU32();
  identProtocol = -1;
  for (let i = 0; i < count; i++) words[idents + i] = getRandomU32();
}

/**
 * The identification of a packet that may be fragmented and belongs to no connection: one of a few counters, chosen by
 * a secret, that jump at random by up to the ms since their last use, so that nobody can count what goes to others.
 * Linux: __ip_select_ident(), ip_idents_reserve(). @returns 0..65535
 */
export function ipSelectIdent(saddr: number, daddr: number, protocol: number): number {
  if (daddr !== identDaddr || saddr !== identSaddr || protocol !== identProtocol) {
    let hash = imul(saddr ^ identKey, 0x2c1b3c6d) ^ daddr ^ (protocol << 16);
    hash = imul(hash ^ (hash >>> 15), 0x297a2d39);
    identSlot = idents + ((hash ^ (hash >>> 16)) & (identCount - 1));
    identDaddr = daddr;
    identSaddr = saddr;
    identProtocol = protocol;
  }
  const slot = identSlot;
  let ident = words[slot]! + 1;
  const idle = (jiffies - words[slot + identCount]!) | 0;
  if (idle !== 0) {
    words[slot + identCount] = jiffies;
    if (idle > 1) {
      identState = (imul(identState, 1664525) + 1013904223) | 0;
      ident += (identState >>> 8) % idle;
    }
  }
  words[slot] = ident;
  return ident & 0xffff;
}

/** TTL of a socket's unicast packets. Linux: ip_select_ttl(). */
function ipSelectTtl(net: Net, sk: Sock): number {
  const ttl = (sk as InetSk).inet.ucTtl;
  return ttl < 0 ? net.ipv4.ipDefaultTtl : ttl;
}

/** What the path takes, as far as the socket's IP_MTU_DISCOVER mode believes what was learned of it. Linux: ip_sk_use_pmtu(). */
export function ipSkMtu(sk: Sock | null, rt: Rtable): number {
  return sk !== null && (sk as InetSk).inet.pmtudisc >= IP_PMTUDISC_PROBE ? rt.dev!.mtu : dstMtu(rt);
}

/** Does the socket's IP_MTU_DISCOVER mode set DF? Linux: ip_dont_fragment(). */
export function ipDontFragment(sk: Sock): boolean {
  const mode = (sk as InetSk).inet.pmtudisc;
  return mode === IP_PMTUDISC_WANT || mode === IP_PMTUDISC_DO || mode === IP_PMTUDISC_PROBE;
}

/**
 * Prepends a header without options; skb.nh is at it then, and skb.th stays. The identification is the connected
 * socket's counter, 0 with DF and no connection (RFC 6864 section 4.1), else drawn by destination.
 * @param sk the sending socket, for its counter, or null @param ttl 0..255 @param tos 0..255 @param df Do not fragment
 */
export function ipPushHeader(
  skb: SkBuff, sk: Sock | null, saddr: number, daddr: number, protocol: number, ttl: number, tos: number, df: boolean,
): void {
  const inet = sk === null ? null : (sk as InetSk).inet;
  let id = 0;
  if (inet !== null && inet.daddr !== 0) {
    id = inet.id;
    inet.id = (id + 1) & 0xffff;
  } else if (!df) {
    id = ipSelectIdent(saddr, daddr, protocol);
  }
  // skbPush(): the room was made by whoever allocated the packet, or makeHeadroom() finds it for the link header.
  const at = skb.data - IP_HLEN;
  if (at < skb.head) throw new Error("ipPushHeader: no headroom");
  const totLen = skb.len + IP_HLEN;
  skb.data = at;
  skb.len = totLen;
  const versionTos = 0x4500 | tos;
  const frag = df ? IP_DF : 0;
  const ttlProto = (ttl << 8) | protocol;
  const sum = versionTos + totLen + id + frag + ttlProto
    + (saddr >>> 16) + (saddr & 0xffff) + (daddr >>> 16) + (daddr & 0xffff);
  // csumFold() of what is not 0.
  const check = 0xfffe - (sum - 1) % 0xffff;
  skb.nh = at;
  memView.setInt32(at, (versionTos << 16) | totLen);
  memView.setInt32(at + 4, (id << 16) | frag);
  memView.setInt32(at + 8, (ttlProto << 16) | check);
  memView.setInt32(at + IPH_SADDR, saddr);
  memView.setInt32(at + IPH_DADDR, daddr);
}

/**
 * Makes the header of a packet that came in, which has no options, the header of the answer, where it lies: the addresses
 * change sides, TOS and length stay, the rest is as ipPushHeader() writes it without DF. The checksum, which was right, follows
 * the change (RFC 1624).
 * @param skb data behind the header, nh at it; data is at it then @param ttl 0..255
 */
export function ipTurnHeader(skb: SkBuff, protocol: number, ttl: number): void {
  const nh = skb.nh;
  const idFrag = memView.getInt32(nh + 4);
  const ttlSum = memView.getInt32(nh + 8);
  const saddr = memView.getInt32(nh + IPH_DADDR);
  const daddr = memView.getInt32(nh + IPH_SADDR);
  const id = ipSelectIdent(saddr, daddr, protocol);
  const ttlProto = (ttl << 8) | protocol;
  skb.len += skb.data - nh;
  skb.data = nh;
  // Of the words that change, less what they become; twice the modulus keeps it positive.
  const check = ((idFrag >>> 16) + (idFrag & 0xffff) + (ttlSum >>> 16) + (ttlSum & 0xffff) - id - ttlProto + 0x1fffe) % 0xffff;
  memView.setInt32(nh + 4, id << 16);
  memView.setInt32(nh + 8, (ttlProto << 16) | check);
  memView.setInt32(nh + IPH_SADDR, saddr);
  memView.setInt32(nh + IPH_DADDR, daddr);
}

/** Packets of this host start their way here, with header and route. Linux: ip_local_out(). 0 or a negative errno. */
export function ipLocalOut(net: Net, skb: SkBuff): number {
  net.mib[IPSTATS_MIB_OUTREQUESTS]!++;
  skb.protocol = ETH_P_IP;
  const hooks = ipHooks;
  if (hooks !== null) {
    const go = hooks.run(NF_INET_LOCAL_OUT, net, skb, null, skb.dst!.dev);
    if (go <= 0) return go;
  }
  return skb.dst!.output(skb);
}

/**
 * Counts, has what is longer than the path takes sent in pieces, and hands over to the neighbour. Linux: ip_output(),
 * ip_finish_output().
 */
export function ipOutput(skb: SkBuff): number {
  const rt = skb.dst as Rtable;
  const dev = rt.dev!;
  const mib = rt.net.mib;
  skb.dev = dev;
  mib[IPSTATS_MIB_OUTPKTS]!++;
  mib[IPSTATS_MIB_OUTOCTETS]! += skb.len;
  // Most routes have no MTU but their device's.
  if (skb.len > ((rt.pmtu | rt.mtu) === 0 ? dev.mtu : ipSkMtu(skb.sk, rt))) return ipFragment(skb, rt);
  if ((rt.flags & (RTCF_BROADCAST | RTCF_MULTICAST)) !== 0) countGroup(skb, rt);
  if (skb.data - skb.head < dev.hardHeaderLen && !makeHeadroom(skb, dev)) return -ENOBUFS;
  if ((dev.flags & (IFF_LOOPBACK | IFF_NOARP)) !== 0) return noarpOutput(skb, dev);
  const nexthop = rt.gateway !== 0 ? rt.gateway : memView.getInt32(skb.nh + IPH_DADDR);
  // Packets come in trains: mostly it is the neighbour of the last one.
  let neigh = arpTbl.last;
  if (neigh === null || neigh.key !== nexthop || neigh.dev !== dev) {
    neigh = neighLookup(arpTbl, nexthop, dev) ?? neighCreate(arpTbl, nexthop, dev);
    if (neigh === null) {
      kfreeSkb(skb, SKB_DROP_REASON_NEIGH_CREATEFAIL);
      return -ENOBUFS;
    }
  }
  return neighOutput(neigh, skb);
}

/** A packet longer than the path takes. Linux: ip_fragment(). */
function ipFragment(skb: SkBuff, rt: Rtable): number {
  const fragments = ipFragments;
  if (fragments !== null && (memView.getUint16(skb.nh + IPH_FRAG_OFF) & IP_DF) === 0) return fragments.fragment(skb, ipSkMtu(skb.sk, rt));
  rt.net.mib[IPSTATS_MIB_FRAGFAILS]!++;
  kfreeSkb(skb, SKB_DROP_REASON_PKT_TOO_BIG);
  return -EMSGSIZE;
}

/** Like ipOutput(), and this host gets a copy unless the socket does without (IP_MULTICAST_LOOP). Linux: ip_mc_output(). */
export function ipMcOutput(skb: SkBuff): number {
  const rt = skb.dst as Rtable;
  skb.dev = rt.dev;
  const group = (rt.flags & RTCF_MULTICAST) !== 0;
  const sk = skb.sk;
  const copy = group && sk !== null && ((sk as InetSk).inet.flags & INET_MC_LOOP) === 0 ? null : skbClone(skb);
  if (copy !== null) {
    skbPull(copy, copy.nh - copy.data);
    copy.mac = copy.data;
    copy.pktType = PACKET_LOOPBACK;
    copy.ipSummed = CHECKSUM_UNNECESSARY;
    netifRx(copy);
  }
  // What has no hops left is for this host alone.
  if (group && mem8[skb.nh + IPH_TTL] === 0) {
    consumeSkb(skb);
    return 0;
  }
  return ipOutput(skb);
}

/** By a device that needs no neighbours: loopback, or point to point. Its link address, if any, is its own. */
function noarpOutput(skb: SkBuff, dev: NetDevice): number {
  const link = dev.headerOps;
  if (link !== null) {
    const err = link.create(skb, dev, ETH_P_IP, dev.addrHi, dev.addrLo);
    if (err < 0) {
      kfreeSkb(skb, SKB_DROP_REASON_NEIGH_HH_FILLFAIL);
      return err;
    }
  }
  return devQueueXmit(skb);
}

function countGroup(skb: SkBuff, rt: Rtable): void {
  const mib = rt.net.mib;
  const broadcast = (rt.flags & RTCF_BROADCAST) !== 0;
  mib[broadcast ? IPSTATS_MIB_OUTBCASTPKTS : IPSTATS_MIB_OUTMCASTPKTS]!++;
  mib[broadcast ? IPSTATS_MIB_OUTBCASTOCTETS : IPSTATS_MIB_OUTMCASTOCTETS]! += skb.len;
}

/** A packet that came in by one device and answers by another with a longer header: its bytes move up in the buffer. */
function makeHeadroom(skb: SkBuff, dev: NetDevice): boolean {
  const shift = (dev.hardHeaderLen - skbHeadroom(skb) + 3) & ~3;
  if (skbTailroom(skb) < shift || skbCloned(skb) || skb.fragList !== null) {
    kfreeSkb(skb, SKB_DROP_REASON_NOMEM);
    return false;
  }
  memCopy(skb.data + shift, skb.data, skb.len);
  skb.data += shift;
  skb.tail += shift;
  skb.nh += shift;
  skb.th += shift;
  skb.mac += shift;
  return true;
}

function noRoute(net: Net, skb: SkBuff, error: number): number {
  net.mib[IPSTATS_MIB_OUTNOROUTES]!++;
  kfreeSkb(skb, SKB_DROP_REASON_IP_OUTNOROUTES);
  return error;
}

/** Looks up a connected socket's route anew, and the socket keeps it; null when there is none. Linux: inet_csk_rebuild_route(). */
export function inetSkRebuildRoute(sk: Sock): DstEntry | null {
  const inet = (sk as InetSk).inet;
  const fl = outputFlow;
  let hop = inet.daddr;
  if ((inet.flags & IP_CMSG_OPTIONS) !== 0) {
    ipOptions!.prepare(sk.index);
    hop = ipOptions!.firstHop(hop);
  }
  flowi4SockInit(fl, sk, hop, inet.saddr, sk.boundDevIf, inet.tos);
  fl.ports = (inet.num << 16) | inet.dport;
  const dst = ipRouteOutputFlow(sk.net, fl, sk);
  if (dst !== null) skDstSet(sk, dst);
  return dst;
}

/**
 * Sends a segment of a connected socket by the route the socket keeps, or a new one. Linux: ip_queue_xmit().
 * @param skb data at the transport header, whose checksum is done @returns 0 or a negative errno; the packet is gone
 */
export function ipQueueXmit(sk: Sock, skb: SkBuff): number {
  const inet = (sk as InetSk).inet;
  const net = sk.net;
  const cold = sk.cold;
  if (skb.dst === null) {
    const dst = skDstCheck(sk) ?? inetSkRebuildRoute(sk);
    if (dst === null) return noRoute(net, skb, -EHOSTUNREACH);
    // skbDstSet(), spared a call.
    dst.refcnt++;
    skb.dst = dst;
  }
  skb.priority = words[cold + SK_PRIORITY]!;
  skb.mark = words[cold + SK_MARK]!;
  const protocol = words[cold + SK_PROTOCOL]!;
  if ((inet.flags & IP_CMSG_OPTIONS) === 0) {
    ipPushHeader(skb, sk, inet.saddr, inet.daddr, protocol, ipSelectTtl(net, sk), inet.tos, ipDontFragment(sk));
  } else {
    const options = ipOptions!;
    options.prepare(sk.index);
    if (options.strict() && (skb.dst as Rtable).gateway !== 0) return noRoute(net, skb, -EHOSTUNREACH);
    options.push(skb, sk, inet.saddr, inet.daddr, protocol, ipSelectTtl(net, sk), inet.tos, ipDontFragment(sk));
  }
  return ipLocalOut(net, skb);
}

/**
 * Sends a segment by a route at hand (SYN-ACK). Linux: ip_build_and_send_pkt().
 * @param skb its dst is set @param sk the listener, for TTL and DF @param options it gets those that are prepared
 * @returns 0 or a negative errno; the packet is gone
 */
export function ipBuildAndSendPkt(
  skb: SkBuff, sk: Sock, saddr: number, daddr: number, options: boolean, tos: number,
): number {
  const net = sk.net;
  const cold = sk.cold;
  skb.priority = words[cold + SK_PRIORITY]!;
  skb.mark = words[cold + SK_MARK]!;
  const protocol = words[cold + SK_PROTOCOL]!;
  const ttl = ipSelectTtl(net, sk);
  const df = ipDontFragment(sk);
  if (options) ipOptions!.push(skb, null, saddr, daddr, protocol, ttl, tos, df);
  else ipPushHeader(skb, null, saddr, daddr, protocol, ttl, tos, df);
  return ipLocalOut(net, skb);
}

/**
 * Sends a whole transport segment without a socket, with DF, back to where a packet came from and with its IP options turned
 * round. Linux: ip_send_unicast_reply(). @param skb data at the transport header @param about the packet that it answers
 * @returns 0 or a negative errno; skb is gone
 */
export function ipSendUnicastReply(net: Net, skb: SkBuff, about: SkBuff, protocol: number, tos: number): number {
  const saddr = memView.getInt32(about.nh + IPH_DADDR);
  const daddr = memView.getInt32(about.nh + IPH_SADDR);
  const options = about.th - about.nh > IP_HLEN ? ipOptions : null;
  const optlen = options === null ? 0 : options.echo(net, about);
  if (optlen < 0) {
    kfreeSkb(skb, SKB_DROP_REASON_IP_INHDR);
    return -EINVAL;
  }
  const fl = outputFlow;
  flowi4Init(fl, optlen > 0 ? options!.firstHop(daddr) : daddr, saddr, 0, tos, protocol);
  fl.ports = memView.getInt32(skb.data);
  const rt = ipRouteOutputKey(net, fl);
  if (rt === null) return noRoute(net, skb, fl.error);
  skb.dst = rt;
  if (optlen > 0) options!.push(skb, null, fl.saddr, daddr, protocol, net.ipv4.ipDefaultTtl, tos, true);
  else ipPushHeader(skb, null, fl.saddr, daddr, protocol, net.ipv4.ipDefaultTtl, tos, true);
  return ipSendSkb(net, skb);
}

/** Sends a packet with header and route; an error counts as a discard. Linux: ip_send_skb(). 0 or a negative errno. */
export function ipSendSkb(net: Net, skb: SkBuff): number {
  const err = ipLocalOut(net, skb);
  if (err < 0) net.mib[IPSTATS_MIB_OUTDISCARDS]!++;
  return err;
}
