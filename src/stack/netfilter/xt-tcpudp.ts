/**
 * The matches `tcp`, `udp`, `icmp` and `multiport`. Linux: net/netfilter/xt_tcpudp.c, xt_multiport.c, ip_tables.c icmp_match().
 * Owns nothing.
 */
import { memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import { EINVAL } from "../../uapi/errno.ts";
import { IPPROTO_ICMP, IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE } from "../../uapi/in.ts";
import {
  IPT_INV_PROTO, IPTE_PROTO, XT_DATA, XT_MATCH_ICMP, XT_MATCH_MULTIPORT, XT_MATCH_TCP, XT_MATCH_UDP, XT_MULTI_PORTS,
  XT_MULTIPORT_DESTINATION, XT_MULTIPORT_EITHER, XT_MULTIPORT_SOURCE, XT_TCP_INV_DSTPT, XT_TCP_INV_FLAGS, XT_TCP_INV_OPTION,
  XT_TCP_INV_SRCPT,
} from "../../uapi/ip-tables.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { TCP_HLEN, TCPOPT_EOL, TCPOPT_NOP, TH_DOFF, TH_DPORT, TH_FLAGS, TH_OPTIONS, TH_SPORT } from "../wire/tcp.ts";
import { XT_HOTDROP, XT_NO, XT_YES, xtFragoff, xtRegisterMatch, xtThoff } from "./x-tables.ts";

const IPPROTO_DCCP = 33;
const UDP_HLEN = 8;
const ANY_ICMP = 255;

/** Is the port in a range (low | high << 16), or with `inverted` outside of it? */
function portMatch(range: number, port: number, inverted: boolean): boolean {
  return (port >= (range & 0xffff) && port <= range >>> 16) !== inverted;
}

/** Has a TCP header the option? XT_HOTDROP when its end is cut off. Linux: tcp_find_option(). */
function tcpFindOption(skb: SkBuff, option: number): number {
  const th = xtThoff;
  const length = ((memView.getUint8(th + TH_DOFF) >> 4) << 2) - TCP_HLEN;
  if (length < 0) return XT_HOTDROP;
  if (length === 0) return XT_NO;
  const end = th + TH_OPTIONS + length;
  if (end > skb.tail) return XT_HOTDROP;
  let at = th + TH_OPTIONS;
  while (at < end) {
    const kind = memView.getUint8(at);
    if (kind === option) return XT_YES;
    if (kind === TCPOPT_EOL || kind === TCPOPT_NOP || at + 1 >= end) at++;
    else at += memView.getUint8(at + 1) || 1;
  }
  return XT_NO;
}

function tcpMatch(skb: SkBuff, at: number): number {
  // The second piece of a header in two: a way around the rules (RFC 1858 section 3).
  if (xtFragoff !== 0) return xtFragoff === 1 ? XT_HOTDROP : XT_NO;
  const th = xtThoff;
  if (skb.tail - th < TCP_HLEN) return XT_HOTDROP;
  const info = words[at + XT_DATA + 2]!;
  const inverted = info >>> 24;
  if (!portMatch(words[at + XT_DATA]!, memView.getUint16(th + TH_SPORT), (inverted & XT_TCP_INV_SRCPT) !== 0)) return XT_NO;
  if (!portMatch(words[at + XT_DATA + 1]!, memView.getUint16(th + TH_DPORT), (inverted & XT_TCP_INV_DSTPT) !== 0)) return XT_NO;
  const flags = (memView.getUint8(th + TH_FLAGS) & info & 0xff) === ((info >> 8) & 0xff);
  if (flags === ((inverted & XT_TCP_INV_FLAGS) !== 0)) return XT_NO;
  const option = (info >> 16) & 0xff;
  if (option === 0) return XT_YES;
  const found = tcpFindOption(skb, option);
  if (found === XT_HOTDROP) return XT_HOTDROP;
  return (found === XT_YES) !== ((inverted & XT_TCP_INV_OPTION) !== 0) ? XT_YES : XT_NO;
}

function udpMatch(skb: SkBuff, at: number): number {
  if (xtFragoff !== 0) return XT_NO;
  const th = xtThoff;
  if (skb.tail - th < UDP_HLEN) return XT_HOTDROP;
  const inverted = words[at + XT_DATA + 2]!;
  return portMatch(words[at + XT_DATA]!, memView.getUint16(th + TH_SPORT), (inverted & XT_TCP_INV_SRCPT) !== 0)
    && portMatch(words[at + XT_DATA + 1]!, memView.getUint16(th + TH_DPORT), (inverted & XT_TCP_INV_DSTPT) !== 0) ? XT_YES : XT_NO;
}

/** Linux: icmp_checkentry() and the check of both port matches: no unknown ways of inverting. */
function checkInverted(at: number): number {
  return (words[at + XT_DATA + 2]! & ~(XT_TCP_INV_SRCPT | XT_TCP_INV_DSTPT)) === 0 ? 0 : -EINVAL;
}

function icmpMatch(skb: SkBuff, at: number): number {
  if (xtFragoff !== 0) return XT_NO;
  const th = xtThoff;
  if (skb.tail - th < 8) return XT_HOTDROP;
  const info = words[at + XT_DATA]!;
  const type = info & 0xff;
  const code = memView.getUint8(th + 1);
  const same = type === ANY_ICMP
    || (memView.getUint8(th) === type && code >= ((info >> 8) & 0xff) && code <= ((info >> 16) & 0xff));
  return same !== (info >>> 24 !== 0) ? XT_YES : XT_NO;
}

function multiportMatch(skb: SkBuff, at: number): number {
  if (xtFragoff !== 0) return XT_NO;
  const th = xtThoff;
  if (skb.tail - th < 4) return XT_HOTDROP;
  const info = words[at + XT_DATA]!;
  const source = memView.getUint16(th + TH_SPORT);
  const destination = memView.getUint16(th + TH_DPORT);
  const side = info & 0xff;
  const inverted = info >>> 16 !== 0;
  const end = at + XT_DATA + 1 + ((info >> 8) & 0xff);
  for (let i = at + XT_DATA + 1; i < end; i++) {
    const range = words[i]!;
    const low = range & 0xffff;
    const high = range >>> 16;
    const from = source >= low && source <= high && side !== XT_MULTIPORT_DESTINATION;
    const to = destination >= low && destination <= high && side !== XT_MULTIPORT_SOURCE;
    if (from || to) return inverted ? XT_NO : XT_YES;
  }
  return inverted ? XT_YES : XT_NO;
}

/** Linux: multiport_mt_check(). */
function multiportCheck(at: number, entry: number): number {
  const flags = words[entry + IPTE_PROTO]!;
  const protocol = flags & 0xff;
  const known = protocol === IPPROTO_TCP || protocol === IPPROTO_UDP || protocol === IPPROTO_UDPLITE || protocol === IPPROTO_SCTP
    || protocol === IPPROTO_DCCP;
  if (!known || (flags >> 16 & IPT_INV_PROTO) !== 0) return -EINVAL;
  const info = words[at + XT_DATA]!;
  return (info & 0xff) <= XT_MULTIPORT_EITHER && ((info >> 8) & 0xff) <= XT_MULTI_PORTS ? 0 : -EINVAL;
}

/** Not made at boot: there it would be in RAM. */
const TCP = Object.freeze({ size: 3, tables: 0, hooks: 0, proto: IPPROTO_TCP, match: tcpMatch });
const UDP = Object.freeze({ size: 3, tables: 0, hooks: 0, proto: IPPROTO_UDP, check: checkInverted, match: udpMatch });
const ICMP = Object.freeze({ size: 1, tables: 0, hooks: 0, proto: IPPROTO_ICMP, match: icmpMatch });
const MULTIPORT = Object.freeze({
  size: 1 + XT_MULTI_PORTS, tables: 0, hooks: 0, proto: 0, check: multiportCheck, match: multiportMatch,
});

/** Boot time. */
export function xtTcpudpInit(): void {
  xtRegisterMatch(XT_MATCH_TCP, TCP);
  xtRegisterMatch(XT_MATCH_UDP, UDP);
  xtRegisterMatch(XT_MATCH_ICMP, ICMP);
  xtRegisterMatch(XT_MATCH_MULTIPORT, MULTIPORT);
}
