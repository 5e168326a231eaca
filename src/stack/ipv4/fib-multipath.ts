/**
 * Which next hop of a multipath route a flow takes. Linux: fib_multipath_hash() and fib_select_multipath() of net/ipv4/route.c and
 * fib_semantics.c. The hash is the kernel's to the bit: of the same seed both choose the same next hop for every flow (tried in
 * test/interop/multipath.test.ts). Owns nothing but where each next
 * hop's share of the hashes ends.
 *
 * net.ipv4.fib_multipath_hash_policy: 0 the addresses, 1 ports and protocol too, 2 the addresses of what is inside a tunnel,
 * 3 what fib_multipath_hash_fields names (what is inside a tunnel is not among it here).
 *
 * Read first: RFC 2992 (hash-threshold), ip-sysctl on fib_multipath_hash_policy, _fields and _seed.
 */
import { jhash2words } from "../../lib/jhash.ts";
import { mem8, memView } from "../../lib/memory.ts";
import { getRandomU32 } from "../../lib/random.ts";
import { siphashFlow } from "../../lib/siphash.ts";
import { rowAlloc } from "../../lib/pool.ts";
import { words } from "../../lib/table.ts";
import { EINVAL, ENOBUFS } from "../../uapi/errno.ts";
import { icmpIsErr } from "../../uapi/icmp.ts";
import { ETH_P_IP } from "../../uapi/if-ether.ts";
import {
  IPPROTO_DCCP, IPPROTO_ESP, IPPROTO_GRE, IPPROTO_ICMP, IPPROTO_IPIP, IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE,
} from "../../uapi/in.ts";
import { RTNH_F_DEAD } from "../../uapi/rtnetlink.ts";
import { nlErrMsg } from "../core/extack.ts";
import type { Net } from "../core/net.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { ICMP_HLEN } from "../wire/icmp.ts";
import { IP_FRAGMENT_BITS, IP_HLEN, IP_OFFSET, IPH_DADDR, IPH_FRAG_OFF, IPH_PROTOCOL, IPH_SADDR, IPH_VER_IHL } from "../wire/ip.ts";
import { type FibConfig, FIB_NH_FLAGS, FIB_NH_GW, FIB_NH_INTS, FIB_NH_OIF, FIB_NH_WEIGHT } from "./fib-config.ts";
import { fibInfoRows, fibWanted } from "./fib-memory.ts";
import { fibNhSaddr, NH_GW, NH_NEXT, NH_OIF, NH_UPPER, NH_WORD, nhWeight, setNexthop } from "./fib-semantics.ts";
import type { Flowi4 } from "./flow.ts";

/** fib_multipath_hash_policy. */
const POLICY_L4 = 1;
const POLICY_INNER = 2;
const POLICY_CUSTOM = 3;

/** Bits of fib_multipath_hash_fields. */
const FIELD_SRC_IP = 1;
const FIELD_DST_IP = 2;
const FIELD_IP_PROTO = 4;
const FIELD_SRC_PORT = 0x10;
const FIELD_DST_PORT = 0x20;
const OUTER_FIELDS = 0x3f;

/** Set in the first word of a GRE header: a checksum, a key, a sequence number of four bytes each. */
const GRE_OPTIONS: readonly number[] = Object.freeze([0x8000, 0x2000, 0x1000]);
const GRE_VERSION = 7;
const GRE_HLEN = 4;

/** A word as it lies on the wire. */
function swab32(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
}

/**
 * 32 bits from the keys of a flow, the same in both directions.
 * @param saddr 0 while none has been selected @param ports the source's in the high half
 */
function hashKeys(net: Net, saddr: number, daddr: number, proto: number, ports: number): number {
  // Nobody outside is to work out which flows go together.
  if (net.ipv4.fibMultipathHashSeed === 0) net.ipv4.fibMultipathHashSeed = getRandomU32() | 1;
  const source = swab32(saddr);
  const destination = swab32(daddr);
  const turned = destination >>> 0 < source >>> 0;
  const wire = swab32(ports);
  const sport = wire & 0xffff;
  const dport = wire >>> 16;
  const inOrder = dport < sport ? (sport << 16) | dport : wire;
  return siphashFlow(proto, inOrder, turned ? destination : source, turned ? source : destination, net.ipv4.fibMultipathHashSeed);
}

/** The same of those keys that fib_multipath_hash_fields names, mixed with nothing of a tunnel. Linux: fib_multipath_custom_hash_skb(). */
function hashFields(net: Net, saddr: number, daddr: number, proto: number, ports: number): number {
  const fields = net.ipv4.fibMultipathHashFields;
  if ((fields & OUTER_FIELDS) === 0) return jhash2words(0, 0, 0);
  const mask = ((fields & FIELD_SRC_PORT) !== 0 ? 0xffff0000 | 0 : 0) | ((fields & FIELD_DST_PORT) !== 0 ? 0xffff : 0);
  const hash = hashKeys(
    net, (fields & FIELD_SRC_IP) !== 0 ? saddr : 0, (fields & FIELD_DST_IP) !== 0 ? daddr : 0, (fields & FIELD_IP_PROTO) !== 0 ? proto : 0,
    ports & mask,
  );
  return jhash2words(hash, 0, 0);
}

/** The ports of a packet to be forwarded, 0 for none and for every fragment. Linux: __skb_flow_get_ports(). @param skb its IP header is whole */
function packetPorts(skb: SkBuff): number {
  const nh = skb.nh;
  if ((memView.getUint16(nh + IPH_FRAG_OFF) & IP_FRAGMENT_BITS) !== 0) return 0;
  const th = nh + (mem8[nh + IPH_VER_IHL]! & 15) * 4;
  if (th + 4 > skb.tail) return 0;
  switch (mem8[nh + IPH_PROTOCOL]) {
    case IPPROTO_TCP:
    case IPPROTO_UDP:
    case IPPROTO_UDPLITE:
    case IPPROTO_DCCP:
    case IPPROTO_SCTP:
    case IPPROTO_ESP:
      return memView.getInt32(th);
    default:
      return 0;
  }
}

/** Where the header is whose addresses count: of an ICMP error that of the packet it is about. Linux: ip_multipath_l3_keys(). */
function l3Header(skb: SkBuff): number {
  const nh = skb.nh;
  if (mem8[nh + IPH_PROTOCOL] !== IPPROTO_ICMP || (memView.getUint16(nh + IPH_FRAG_OFF) & IP_OFFSET) !== 0) return nh;
  const th = nh + (mem8[nh + IPH_VER_IHL]! & 15) * 4;
  if (th + ICMP_HLEN + IP_HLEN > skb.tail || !icmpIsErr(mem8[th]!)) return nh;
  return th + ICMP_HLEN;
}

/** The innermost IPv4 header of tunnels that can be looked into: IPIP and GRE. Linux: skb_flow_dissect_flow_keys(). */
function innerHeader(skb: SkBuff): number {
  let nh = skb.nh;
  for (;;) {
    if ((memView.getUint16(nh + IPH_FRAG_OFF) & IP_FRAGMENT_BITS) !== 0) return nh;
    let inner = nh + (mem8[nh + IPH_VER_IHL]! & 15) * 4;
    const protocol = mem8[nh + IPH_PROTOCOL];
    if (protocol === IPPROTO_GRE) {
      if (inner + GRE_HLEN > skb.tail) return nh;
      const flags = memView.getUint16(inner);
      if ((flags & GRE_VERSION) !== 0 || memView.getUint16(inner + 2) !== ETH_P_IP) return nh;
      inner += GRE_HLEN;
      for (let i = 0; i < GRE_OPTIONS.length; i++) if ((flags & GRE_OPTIONS[i]!) !== 0) inner += 4;
    } else if (protocol !== IPPROTO_IPIP) {
      return nh;
    }
    if (inner + IP_HLEN > skb.tail || mem8[inner + IPH_VER_IHL]! >> 4 !== 4 || (mem8[inner + IPH_VER_IHL]! & 15) < 5) return nh;
    nh = inner;
  }
}

/** 31 bits of a packet to be forwarded. Linux: fib_multipath_hash() with a packet. */
function packetHash(net: Net, skb: SkBuff): number {
  const policy = net.ipv4.fibMultipathHashPolicy;
  const nh = policy === POLICY_INNER ? innerHeader(skb) : policy === POLICY_L4 || policy === POLICY_CUSTOM ? skb.nh : l3Header(skb);
  const saddr = memView.getInt32(nh + IPH_SADDR);
  const daddr = memView.getInt32(nh + IPH_DADDR);
  const proto = mem8[nh + IPH_PROTOCOL]!;
  if (policy === POLICY_L4) return hashKeys(net, saddr, daddr, proto, packetPorts(skb)) >>> 1;
  if (policy === POLICY_CUSTOM) return hashFields(net, saddr, daddr, proto, packetPorts(skb)) >>> 1;
  return hashKeys(net, saddr, daddr, 0, 0) >>> 1;
}

/** 31 bits of a flow of this host. Linux: fib_multipath_hash() with a flow. */
function flowHash(net: Net, fl: Flowi4): number {
  switch (net.ipv4.fibMultipathHashPolicy) {
    case POLICY_L4:
      return hashKeys(net, fl.saddr, fl.daddr, fl.proto, fl.ports) >>> 1;
    case POLICY_CUSTOM:
      return hashFields(net, fl.saddr, fl.daddr, fl.proto, fl.ports) >>> 1;
    default:
      return hashKeys(net, fl.saddr, fl.daddr, 0, 0) >>> 1;
  }
}

/**
 * The next hop for a flow of this host: of those whose share of the hashes it falls in the first, rather one whose device has the flow's
 * source address. Linux: fib_select_multipath().
 * @param fi of a route with several @param first what the lookup has chosen: when all are dead
 */
export function fibSelectMultipath(net: Net, fi: number, fl: Flowi4, first: number): number {
  const hash = flowHash(net, fl);
  const saddr = fl.saddr;
  let best = first;
  let score = -1;
  for (let nh = fi; nh !== 0; nh = words[nh + NH_NEXT]!) {
    const upper = words[nh + NH_UPPER]!;
    if (upper < 0) continue;
    const own = (saddr !== 0 && fibNhSaddr(net, fi, nh) === saddr ? 2 : 0) + (hash <= upper ? 1 : 0);
    if (own <= score) continue;
    best = nh;
    score = own;
    if (own === 3 || (saddr === 0 && own === 1)) break;
  }
  return best;
}

/** The same for a packet that is forwarded. @param skb nh at its IP header */
export function fibSelectForward(net: Net, fi: number, skb: SkBuff, first: number): number {
  const hash = packetHash(net, skb);
  for (let nh = fi; nh !== 0; nh = words[nh + NH_NEXT]!) if (hash <= words[nh + NH_UPPER]!) return nh;
  return first;
}

/** Puts several next hops into fibWanted and rows behind it. Linux: fib_get_nhs(). @returns 0, -ENOBUFS, -EINVAL */
export function fibGetNexthops(cfg: FibConfig): number {
  const rows = cfg.nexthops!;
  let last = fibWanted;
  for (let i = 0; i < cfg.nhs; i++) {
    const nh = i === 0 ? fibWanted : rowAlloc(fibInfoRows);
    if (i !== 0) {
      if (nh === 0) return -ENOBUFS;
      words[last + NH_NEXT] = nh;
      last = nh;
    }
    const at = i * FIB_NH_INTS;
    const flags = (cfg.flags & ~255) | rows[at + FIB_NH_FLAGS]!;
    setNexthop(nh, cfg.scope, rows[at + FIB_NH_OIF]!, rows[at + FIB_NH_GW]!, flags, rows[at + FIB_NH_WEIGHT]!);
  }
  if (cfg.oif !== 0 && cfg.oif !== words[fibWanted + NH_OIF]) {
    return nlErrMsg(-EINVAL, "Nexthop device index does not match RTA_OIF");
  }
  if (cfg.gw === 0 || cfg.gw === words[fibWanted + NH_GW]) return 0;
  return nlErrMsg(-EINVAL, "Nexthop gateway does not match RTA_GATEWAY or RTA_VIA");
}

/** Spreads the flow hashes over the next hops that live, by weight. Linux: fib_rebalance(). */
export function fibSpread(fi: number): void {
  let total = 0;
  for (let nh = fi; ; nh = words[nh + NH_NEXT]!) {
    if ((words[nh + NH_WORD]! & RTNH_F_DEAD) === 0) total += nhWeight(nh);
    if (words[nh + NH_NEXT] === 0) break;
  }
  let sum = 0;
  for (let nh = fi; nh !== 0; nh = words[nh + NH_NEXT]!) {
    const dead = (words[nh + NH_WORD]! & RTNH_F_DEAD) !== 0;
    if (!dead) sum += nhWeight(nh);
    words[nh + NH_UPPER] = dead ? -1 : Math.round((sum * 0x80000000) / total) - 1;
  }
}
