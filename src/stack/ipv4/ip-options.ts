/**
 * IP options of packets that come in: checked, filled in (record route, timestamps), and source routes followed where the device
 * allows it. Linux: __ip_options_compile(), ip_options_rcv_srr(), ip_forward_options() of net/ipv4/ip_options.c and
 * ip_rcv_options() of net/ipv4/ip_input.c. Owns what is known of the packet being received.
 *
 * A board has no time of day: its timestamps are milliseconds of its own clock with the high bit set, as RFC 791 has it.
 *
 * Read first: RFC 791 section 3.1, RFC 1122 section 3.2.1.8, RFC 1812 section 5.2.4.1 (source routes).
 */
import { account } from "../../lib/account.ts";
import { ipFastCsum } from "../../lib/checksum.ts";
import { mem8, memView } from "../../lib/memory.ts";
import type { Pooled } from "../../lib/pool.ts";
import { jiffies } from "../../lib/timer.ts";
import {
  SKB_DROP_REASON_IP_INHDR, SKB_DROP_REASON_IP_INVALID_SOURCE, SKB_NOT_DROPPED_YET,
} from "../../uapi/drop-reason.ts";
import { ICMP_PARAMETERPROB } from "../../uapi/icmp.ts";
import { RT_SCOPE_UNIVERSE, RTN_LOCAL, RTN_UNICAST } from "../../uapi/rtnetlink.ts";
import { IPSTATS_MIB_INHDRERRORS } from "../../uapi/snmp.ts";
import type { Net } from "../core/net.ts";
import type { NetDevice } from "../core/net-device.ts";
import { PACKET_HOST, type SkBuff } from "../core/skbuff.ts";
import {
  IP_HLEN, IPH_CHECK, IPH_DADDR, IPH_SADDR, IPH_TOS, IPOPT_END, IPOPT_LSRR, IPOPT_MINOFF, IPOPT_NOOP, IPOPT_OFFSET, IPOPT_OLEN,
  IPOPT_RA, IPOPT_RR, IPOPT_SSRR, IPOPT_TIMESTAMP, IPOPT_TS_FLAGS, IPOPT_TS_PRESPEC, IPOPT_TS_TSANDADDR, IPOPT_TS_TSONLY,
} from "../wire/ip.ts";
import { IN_DEV_ACCEPT_SOURCE_ROUTE, type InDevice, inetSelectAddr } from "./devinet.ts";
import { inetAddrType } from "./fib-lookup.ts";
import { icmpSend } from "./icmp.ts";
import { ipRouteInput } from "./route.ts";
import { RTCF_BROADCAST, RTCF_LOCAL, RTCF_MULTICAST, rtNexthop, type Rtable } from "./rtable.ts";

/** What a set of options says. Linux: struct ip_options; places count from the begin of the IP header, 0 for none. */
export class IpOptions implements Pooled {
  optlen = 0;
  /** Source route: the hop to send to first, or of a packet that came in, next. */
  faddr = 0;
  srr = 0;
  rr = 0;
  ts = 0;
  routerAlert = 0;
  strict = false;
  /** The source route leads on from here. */
  srrHit = false;
  /** The header's checksum has to be made anew. */
  changed = false;
  rrNeedaddr = false;
  tsNeedaddr = false;
  tsNeedtime = false;
  /** The options themselves, of a set that is to be sent. */
  readonly data: Uint8Array;
  /** Whose they are: the handle of a sock, or the complement of a request's number. */
  owner = 0;
  poolNext: Pooled | null = null;

  /** @param room for options that are to be sent */
  constructor(room: number) {
    this.data = new Uint8Array(room);
  }
}

/** What compile() found: the place of the byte at fault, or 0. */
type Fault = number;

/** The options of the packet being received, and which one that is. */
let current: IpOptions;
let currentSkb: SkBuff | null = null;

/** Boot time. */
export function ipOptionsInit(): void {
  current = account("ip_options", new IpOptions(0));
  currentSkb = null;
}

/** Nothing is known of the options but their length. */
export function ipOptionsClear(opt: IpOptions, optlen: number): void {
  opt.optlen = optlen;
  opt.faddr = opt.srr = opt.rr = opt.ts = opt.routerAlert = 0;
  opt.strict = opt.srrHit = opt.changed = opt.rrNeedaddr = opt.tsNeedaddr = opt.tsNeedtime = false;
}

/** Milliseconds for a timestamp of whom knows no midnight. Linux: inet_current_timestamp(). */
export function inetTimestamp(): number {
  return jiffies | (1 << 31);
}

/** An address or a time, at any place of a plain array. */
export function putWord(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = (value >> 16) & 255;
  bytes[at + 2] = (value >> 8) & 255;
  bytes[at + 3] = value & 255;
}

export function wordAt(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
}

/** The address that this host gives of itself to a packet. Linux: fib_compute_spec_dst(). */
function specificDestination(net: Net, skb: SkBuff): number {
  const flags = (skb.dst as Rtable).flags & (RTCF_BROADCAST | RTCF_MULTICAST | RTCF_LOCAL);
  if (flags === RTCF_LOCAL) return memView.getInt32(skb.nh + IPH_DADDR);
  return inetSelectAddr(net, skb.dev!, memView.getInt32(skb.nh + IPH_SADDR), RT_SCOPE_UNIVERSE);
}

function compileSourceRoute(opt: IpOptions, bytes: Uint8Array, at: number, length: number, place: number, skb: SkBuff | null): Fault {
  if (length < 3) return place + 1;
  if (bytes[at + IPOPT_OFFSET]! < IPOPT_MINOFF) return place + 2;
  if (opt.srr !== 0) return place;
  if (skb === null) {
    if (bytes[at + IPOPT_OFFSET] !== IPOPT_MINOFF || length < 7 || ((length - 3) & 3) !== 0) return place + 1;
    // The first hop is where it is sent to; the others move up, and the destination takes the last place.
    opt.faddr = wordAt(bytes, at + 3);
    bytes.copyWithin(at + 3, at + 7, at + length);
  }
  opt.strict = bytes[at] === IPOPT_SSRR;
  opt.srr = place;
  return 0;
}

function compileRecordRoute(opt: IpOptions, bytes: Uint8Array, at: number, length: number, place: number, own: number): Fault {
  if (opt.rr !== 0) return place;
  if (length < 3) return place + 1;
  const pointer = bytes[at + IPOPT_OFFSET]!;
  if (pointer < IPOPT_MINOFF) return place + 2;
  if (pointer <= length) {
    if (pointer + 3 > length) return place + 2;
    if (own !== 0) {
      putWord(bytes, at + pointer - 1, own);
      opt.changed = true;
    }
    bytes[at + IPOPT_OFFSET] = pointer + 4;
    opt.rrNeedaddr = true;
  }
  opt.rr = place;
  return 0;
}

/** One more host that had no room to write its time. */
function overflow(opt: IpOptions, bytes: Uint8Array, at: number, place: number, received: boolean): Fault {
  const flags = bytes[at + IPOPT_TS_FLAGS]!;
  if ((flags & 15) === IPOPT_TS_PRESPEC) return 0;
  if (flags >> 4 === 15) return place + 3;
  if (received) {
    bytes[at + IPOPT_TS_FLAGS] = flags + 16;
    opt.changed = true;
  }
  return 0;
}

function compileTimestamp(
  net: Net, opt: IpOptions, bytes: Uint8Array, at: number, length: number, place: number, own: number, received: boolean,
): Fault {
  if (opt.ts !== 0) return place;
  if (length < 4) return place + 1;
  const pointer = bytes[at + IPOPT_OFFSET]!;
  if (pointer < 5) return place + 2;
  if (pointer > length) {
    const fault = overflow(opt, bytes, at, place, received);
    if (fault === 0) opt.ts = place;
    return fault;
  }
  if (pointer + 3 > length) return place + 2;
  let time = 0;
  switch (bytes[at + IPOPT_TS_FLAGS]! & 15) {
    case IPOPT_TS_TSONLY:
      time = pointer - 1;
      bytes[at + IPOPT_OFFSET] = pointer + 4;
      opt.tsNeedtime = true;
      break;
    case IPOPT_TS_TSANDADDR:
      if (pointer + 7 > length) return place + 2;
      if (own !== 0) {
        putWord(bytes, at + pointer - 1, own);
        time = pointer + 3;
      }
      bytes[at + IPOPT_OFFSET] = pointer + 8;
      opt.tsNeedaddr = opt.tsNeedtime = true;
      break;
    case IPOPT_TS_PRESPEC:
      if (pointer + 7 > length) return place + 2;
      // Somebody else's turn.
      if (inetAddrType(net, wordAt(bytes, at + pointer - 1)) === RTN_UNICAST) break;
      time = pointer + 3;
      bytes[at + IPOPT_OFFSET] = pointer + 8;
      opt.tsNeedtime = true;
      break;
    default:
      break;
  }
  if (time !== 0 && received) {
    putWord(bytes, at + time, inetTimestamp());
    opt.changed = true;
  }
  opt.ts = place;
  return 0;
}

/** Options are over: what follows must be zeros. */
function compileEnd(opt: IpOptions, bytes: Uint8Array, from: number, end: number): void {
  for (let at = from; at < end; at++) {
    if (bytes[at] === IPOPT_END) continue;
    bytes[at] = IPOPT_END;
    opt.changed = true;
  }
}

/**
 * Reads options, and fills in what they ask this host for. Linux: __ip_options_compile().
 * @param opt cleared, with its length @param bytes, start where they are @param skb the packet they are of, with its route;
 *   null: a socket's, which are to be sent
 * @returns 0, or the place of the byte at fault
 */
export function ipOptionsCompile(net: Net, opt: IpOptions, bytes: Uint8Array, start: number, skb: SkBuff | null): Fault {
  const end = start + opt.optlen;
  const own = skb === null || skb.dst === null ? 0 : specificDestination(net, skb);
  let at = start;
  while (at < end) {
    const kind = bytes[at]!;
    const place = IP_HLEN + at - start;
    if (kind === IPOPT_END) {
      compileEnd(opt, bytes, at + 1, end);
      return 0;
    }
    if (kind === IPOPT_NOOP) {
      at++;
      continue;
    }
    if (end - at < 2) return place;
    const length = bytes[at + IPOPT_OLEN]!;
    if (length < 2 || length > end - at) return place;
    let fault = 0;
    if (kind === IPOPT_LSRR || kind === IPOPT_SSRR) {
      fault = compileSourceRoute(opt, bytes, at, length, place, skb);
    } else if (kind === IPOPT_RR) {
      fault = compileRecordRoute(opt, bytes, at, length, place, own);
    } else if (kind === IPOPT_TIMESTAMP) {
      fault = compileTimestamp(net, opt, bytes, at, length, place, own, skb !== null);
    } else if (kind === IPOPT_RA) {
      if (length < 4) fault = place + 1;
      else if (bytes[at + 2] === 0 && bytes[at + 3] === 0) opt.routerAlert = place;
    }
    if (fault !== 0) return fault;
    at += length;
  }
  return 0;
}

/** Bytes of options in a packet's header. */
export function ipOptionBytes(skb: SkBuff): number {
  return skb.th - skb.nh - IP_HLEN;
}

/** The options of the packet that is being received; null when it is another. */
export function ipOptionsOfCurrent(skb: SkBuff): IpOptions | null {
  return skb === currentSkb ? current : null;
}

/** The options of a packet: known if it is the one being received, else read now. Null when they are faulty. */
function ipOptionsOf(net: Net, skb: SkBuff): IpOptions | null {
  if (skb === currentSkb) return current;
  ipOptionsClear(current, ipOptionBytes(skb));
  currentSkb = null;
  return ipOptionsCompile(net, current, mem8, skb.nh + IP_HLEN, skb) === 0 ? current : null;
}

function remakeChecksum(skb: SkBuff): void {
  const nh = skb.nh;
  memView.setUint16(nh + IPH_CHECK, 0);
  memView.setUint16(nh + IPH_CHECK, ipFastCsum(nh, (skb.th - nh) >> 2));
}

/**
 * Options of a packet that came in, its route set, its bytes its own. Linux: ip_rcv_options().
 * @returns SKB_NOT_DROPPED_YET, or the reason why it is to be dropped; the sender has been told
 */
export function ipOptionsReceive(skb: SkBuff, dev: NetDevice): number {
  const net = dev.net!;
  const opt = current;
  ipOptionsClear(opt, ipOptionBytes(skb));
  currentSkb = skb;
  const fault = ipOptionsCompile(net, opt, mem8, skb.nh + IP_HLEN, skb);
  if (fault !== 0) {
    net.mib[IPSTATS_MIB_INHDRERRORS]!++;
    icmpSend(skb, ICMP_PARAMETERPROB, 0, fault << 24);
    return SKB_DROP_REASON_IP_INHDR;
  }
  if (opt.srr !== 0) {
    const inDev = dev.ipPtr as InDevice | null;
    if (inDev === null || (inDev.switches & IN_DEV_ACCEPT_SOURCE_ROUTE) === 0) return SKB_DROP_REASON_IP_INVALID_SOURCE;
    if (!followSourceRoute(skb, dev)) return SKB_DROP_REASON_IP_INHDR;
  }
  // The checksum is made anew when the packet goes on; what an error quotes has the old one, as on Linux.
  return SKB_NOT_DROPPED_YET;
}

/** The packet has been dealt with: what was known of its options may be another's soon. */
export function ipOptionsDone(): void {
  currentSkb = null;
}

/**
 * Where a source route leads on: the next hop that is not this host becomes the packet's route. Linux: ip_options_rcv_srr().
 * @returns whether the packet goes on
 */
function followSourceRoute(skb: SkBuff, dev: NetDevice): boolean {
  const opt = current;
  const nh = skb.nh;
  const type = (skb.dst as Rtable).type;
  if (skb.pktType !== PACKET_HOST) return false;
  if (type === RTN_UNICAST) {
    if (!opt.strict) return true;
    icmpSend(skb, ICMP_PARAMETERPROB, 0, IPH_DADDR << 24);
    return false;
  }
  if (type !== RTN_LOCAL) return false;
  const at = nh + opt.srr;
  const space = mem8[at + IPOPT_OLEN]!;
  let pointer = mem8[at + IPOPT_OFFSET]!;
  for (; pointer <= space; pointer += 4) {
    if (pointer + 3 > space) {
      icmpSend(skb, ICMP_PARAMETERPROB, 0, (opt.srr + 2) << 24);
      return false;
    }
    const nexthop = wordAt(mem8, at + pointer - 1);
    const before = skb.dst!;
    skb.dst = null;
    const err = ipRouteInput(skb, nexthop, memView.getInt32(nh + IPH_SADDR), mem8[nh + IPH_TOS]!, dev);
    if (err !== 0) {
      skb.dst = before;
      return false;
    }
    if (--before.refcnt === 0) before.ops.destroy(before);
    const next = (skb.dst as unknown as Rtable).type;
    if (next !== RTN_UNICAST && next !== RTN_LOCAL) return false;
    opt.faddr = nexthop;
    if (next !== RTN_LOCAL) break;
    memView.setInt32(nh + IPH_DADDR, nexthop);
    opt.changed = true;
  }
  if (pointer <= space) opt.srrHit = opt.changed = true;
  return true;
}

/** Has a packet a source route: 0 none, 1 a loose one, 2 a strict one? */
export function ipOptionsSourceRoute(skb: SkBuff): number {
  const opt = ipOptionsOf((skb.dst as Rtable).net, skb);
  return opt === null || opt.srr === 0 ? 0 : opt.strict ? 2 : 1;
}

/** Are routers to look at a packet (RFC 2113)? */
export function ipOptionsRouterAlert(skb: SkBuff): boolean {
  const opt = ipOptionsOf((skb.dst as Rtable).net, skb);
  return opt !== null && opt.routerAlert !== 0;
}

/**
 * A packet with options is forwarded: this host's address by the way out is entered, and a source route takes its next step.
 * Linux: ip_forward_options(). @param skb its route is that on
 */
export function ipOptionsForward(skb: SkBuff): void {
  const rt = skb.dst as Rtable;
  const opt = ipOptionsOf(rt.net, skb);
  if (opt === null) return;
  const nh = skb.nh;
  const daddr = memView.getInt32(nh + IPH_DADDR);
  const own = inetSelectAddr(rt.net, rt.dev!, rtNexthop(rt, daddr), RT_SCOPE_UNIVERSE);
  if (opt.rrNeedaddr) {
    const at = nh + opt.rr;
    putWord(mem8, at + mem8[at + IPOPT_OFFSET]! - 5, own);
    opt.changed = true;
  }
  if (opt.srrHit) {
    const at = nh + opt.srr;
    let pointer = mem8[at + IPOPT_OFFSET]!;
    // Hops that were this host itself lie behind, too.
    while (wordAt(mem8, at + pointer - 1) !== opt.faddr) pointer += 4;
    memView.setInt32(nh + IPH_DADDR, opt.faddr);
    putWord(mem8, at + pointer - 1, own);
    mem8[at + IPOPT_OFFSET] = pointer + 4;
    // Elsewhere a timestamp's address stays that of the way in, as on Linux.
    if (opt.tsNeedaddr) putWord(mem8, nh + opt.ts + mem8[nh + opt.ts + IPOPT_OFFSET]! - 9, own);
    opt.changed = true;
  }
  if (opt.changed) remakeChecksum(skb);
}
