/**
 * rtable: a dst_entry of IPv4. Linux: struct rtable of include/net/route.h, the dst part of net/ipv4/route.c. Owns the
 * pool of entries and their ops. An entry says through which device and gateway to send, not to which destination, so
 * one is shared by all packets that take the same next hop; the next hop (fib_nh) keeps it.
 *
 * Read first: RFC 1191 sections 3 and 6 (path MTU), RFC 1122 section 3.3.1.
 */
import { account } from "../../lib/account.ts";
import { type Pool, type Pooled, poolAlloc, poolCreate, poolFree } from "../../lib/pool.ts";
import { memView } from "../../lib/memory.ts";
import { halves } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import { RTN_UNICAST } from "../../uapi/rtnetlink.ts";
import { AF_INET } from "../../uapi/socket.ts";
import { DST_OBSOLETE_DEAD, DST_OBSOLETE_NONE, DstEntry, type DstOps, dstRelease } from "../core/dst.ts";
import { neighConfirm, neighLookup } from "../core/neighbour.ts";
import type { Net } from "../core/net.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { skDstReset, type Sock } from "../core/sock.ts";
import { IPH_DADDR, IPH_SADDR } from "../wire/ip.ts";
import { arpTbl } from "./arp.ts";
import type { InetSk } from "./inet-sock.ts";
import { ipExceptions } from "./ip-parts.ts";
import { rtCacheForget } from "./route-cache.ts";

/** Rtable.flags (linux/in_route.h): the destination is a broadcast address. */
export const RTCF_BROADCAST = 0x10000000;
/** The destination is a group. */
export const RTCF_MULTICAST = 0x20000000;
/** The destination is this host (or for a broadcast or a group: this host too). */
export const RTCF_LOCAL = 0x80000000 | 0;

/** Bytes of IP and TCP header that a segment of the largest size has beside its data. */
const IP_TCP_HEADERS = 40;
/** Least path MTU believed (net.ipv4.route.min_pmtu). */
export const MIN_PMTU = 552;
/** Smallest MSS advertised (net.ipv4.route.min_adv_mss). */
const MIN_ADVMSS = 256;
/** How long a learned path MTU holds, in ms (net.ipv4.route.mtu_expires). */
export const MTU_EXPIRES_MS = 600000;

/** The functions that entries lead to. */
export interface IpHandlers {
  localDeliver(skb: SkBuff): number;
  /** Drops, and tells the sender where that is due. */
  error(skb: SkBuff): number;
  output(skb: SkBuff): number;
  /** Output that also gives this host a copy. */
  mcOutput(skb: SkBuff): number;
  /** The next hop of a packet does not answer. */
  linkFailure(skb: SkBuff): void;
}

export class Rtable extends DstEntry implements Pooled {
  /** Address of the next hop, 0 when the destination is on the link. */
  gateway = 0;
  /** RTCF_* */
  flags = 0;
  net: Net;
  /** net.rtGenid when made. */
  genid = 0;
  /** Learned path MTU, 0 for none. */
  pmtu = 0;
  /** jiffies at which pmtu is forgotten. */
  pmtuExpires = 0;
  /** MTU of the route (RTAX_MTU), 0 for the device's. */
  mtu = 0;
  /** MSS to advertise (RTAX_ADVMSS), 0 to derive it. */
  advmss = 0;
  /** RTN_* */
  type = RTN_UNICAST;
  poolNext: Pooled | null = null;

  constructor(net: Net) {
    super(ipv4DstOps);
    this.net = net;
  }
}

let rtables: Pool<Rtable>;
/** The entries by the number by which a next hop keeps one, from 1; first null. */
let byNumber: (Rtable | null)[];
/** Where input and output of entries lead. */
export let ipHandlers: IpHandlers;

/** Builds the pool. Boot time only. */
export function rtableInit(count: number, net: Net, handlers: IpHandlers): void {
  ipHandlers = handlers;
  byNumber = account("fib", [null]);
  rtables = poolCreate("ip_dst_cache", count, () => {
    const rt = new Rtable(net);
    byNumber.push(rt);
    return rt;
  });
}

/** Entries made from now on lead there: for a part that stands between, at boot. */
export function setIpHandlers(handlers: IpHandlers): void {
  ipHandlers = handlers;
}

/** An entry with one reference, which the caller owns, or null (counted by the pool). Linux: rt_dst_alloc(). */
export function rtDstAlloc(net: Net, dev: NetDevice, flags: number, type: number): Rtable | null {
  const rt = poolAlloc(rtables);
  if (rt === null) return null;
  rt.refcnt = 1;
  rt.dev = dev;
  rt.net = net;
  rt.flags = flags;
  rt.type = type;
  rt.gateway = 0;
  rt.genid = net.rtGenid;
  rt.pmtu = rt.mtu = rt.advmss = 0;
  rt.obsolete = DST_OBSOLETE_NONE;
  rt.error = 0;
  rt.output = ipHandlers.output;
  rt.input = (flags & RTCF_LOCAL) !== 0 ? ipHandlers.localDeliver : ipHandlers.error;
  return rt;
}

/** A next hop gives up the entry it keeps; others may still hold it. */
export function rtCacheDrop(rt: Rtable | null): void {
  if (rt === null) return;
  rtCacheForget();
  rt.obsolete = DST_OBSOLETE_DEAD;
  dstRelease(rt);
}

/** The entry whose number is there, in `halves`; null for 0. */
export function rtKept(slot: number): Rtable | null {
  return byNumber[halves[slot]!]!;
}

/** Keeps another entry there, or with null none: the reference to it is the keeper's; the one before goes. */
export function rtKeep(slot: number, rt: Rtable | null): void {
  rtCacheDrop(byNumber[halves[slot]!]!);
  halves[slot] = byNumber.indexOf(rt);
}

function ipv4Mtu(dst: DstEntry): number {
  const rt = dst as Rtable;
  const mtu = rt.mtu !== 0 ? rt.mtu : rt.dev!.mtu;
  const pmtu = rt.pmtu;
  if (pmtu === 0 || pmtu >= mtu) return mtu;
  if (((rt.pmtuExpires - jiffies) | 0) > 0) return pmtu;
  rt.pmtu = 0;
  return mtu;
}

/** Path MTU of an entry in bytes. Linux: dst_mtu(). */
export function dstMtu(dst: DstEntry): number {
  return dst.ops.mtu(dst);
}

/** Address of the next hop towards `daddr`. Linux: rt_nexthop(). */
export function rtNexthop(rt: Rtable, daddr: number): number {
  return rt.gateway !== 0 ? rt.gateway : daddr;
}

const ipv4DstOps: DstOps = Object.freeze({
  family: AF_INET,
  check(dst: DstEntry): DstEntry | null {
    const rt = dst as Rtable;
    return rt.obsolete === DST_OBSOLETE_NONE && rt.genid === rt.net.rtGenid ? rt : null;
  },
  mtu: ipv4Mtu,
  defaultAdvmss(dst: DstEntry): number {
    const rt = dst as Rtable;
    if (rt.advmss !== 0) return rt.advmss;
    const advmss = ipv4Mtu(dst) - IP_TCP_HEADERS;
    return advmss < MIN_ADVMSS ? MIN_ADVMSS : advmss;
  },
  /** A path MTU is learned for the destination: that of the quoted packet, else the socket's. */
  updatePmtu(dst: DstEntry, sk: Sock | null, skb: SkBuff | null, mtu: number): void {
    if (ipExceptions === null) return;
    const rt = dst as Rtable;
    const daddr = skb !== null ? memView.getInt32(skb.data + IPH_DADDR) : (sk as InetSk).inet.daddr;
    const saddr = skb !== null ? memView.getInt32(skb.data + IPH_SADDR) : (sk as InetSk).inet.saddr;
    ipExceptions.updatePmtu(rt.net, rt, daddr, saddr, mtu);
  },
  negativeAdvice(sk: Sock): void {
    const rt = sk.dst as Rtable | null;
    if (rt !== null && (rt.obsolete !== DST_OBSOLETE_NONE || rt.pmtu !== 0)) skDstReset(sk);
  },
  linkFailure(skb: SkBuff): void {
    ipHandlers.linkFailure(skb);
  },
  confirmNeigh(dst: DstEntry, daddr: number): void {
    const rt = dst as Rtable;
    const neigh = neighLookup(arpTbl, rtNexthop(rt, daddr), rt.dev!);
    if (neigh !== null) neighConfirm(neigh);
  },
  destroy(dst: DstEntry): void {
    dst.dev = null;
    poolFree(rtables, dst as Rtable);
  },
});
