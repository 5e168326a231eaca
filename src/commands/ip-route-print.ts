/**
 * A route as `ip route` prints it, and which routes a listing shows. iproute2's counterpart is print_route() and
 * filter_nlmsg() of ip/iproute.c.
 */
import {
  RT_SCOPE_UNIVERSE, RT_TABLE_MAIN, RTA_CACHEINFO, RTA_DST, RTA_FLOW, RTA_GATEWAY, RTA_IIF, RTA_MARK, RTA_METRICS,
  RTA_MULTIPATH, RTA_OIF, RTA_PREFSRC, RTA_PRIORITY, RTA_SRC, RTA_TABLE, RTA_UID, RTAX_FEATURES, RTAX_HOPLIMIT, RTAX_LOCK,
  RTAX_MAX, RTAX_RTO_MIN, RTAX_RTT, RTAX_RTTVAR, RTM_DELROUTE, RTM_F_CLONED, RTN_UNICAST, RTPROT_BOOT,
} from "../uapi/rtnetlink.ts";
import { formatAddr, type Prefix } from "./inet-text.ts";
import type { IpContext } from "./ip-context.ts";
import { type Answer, Attrs } from "./libnetlink.ts";
import { dsfieldName, protocolName, routeTypeName, scopeName, tableName } from "./rt-names.ts";

/** Bytes of rtmsg, and of rtnexthop. */
export const RTMSG_BYTES = 12;
const RTNH_BYTES = 8;

const METRIC_NAMES: readonly string[] = Object.freeze([
  "", "", "mtu", "window", "rtt", "rttvar", "ssthresh", "cwnd", "advmss", "reordering", "hoplimit", "initcwnd", "features",
  "rto_min", "initrwnd", "quickack", "congctl", "fastopen_no_cookie",
]);

/** Bits of a route's or next hop's flags, in the order in which they are printed. */
const FLAG_NAMES: readonly (readonly [number, string])[] = Object.freeze([
  [1, "dead"], [4, "onlink"], [2, "pervasive"], [8, "offload"], [64, "trap"], [0x100, "notify"], [16, "linkdown"],
  [32, "unresolved"], [0x4000, "rt_offload"], [0x8000, "rt_trap"], [0x20000000, "rt_offload_failed"],
] as const);

/** Bits of a cached decision. */
const CACHE_NAMES: readonly (readonly [number, string])[] = Object.freeze([
  [0x80000000 | 0, "local"], [0x01000000, "reject"], [0x20000000, "mc"], [0x10000000, "brd"], [0x02000000, "dst-nat"],
  [0x00080000, "src-direct"], [0x00040000, "redirected"],
] as const);

/** What a listing is confined to. Fields at their default let everything pass. */
export class RouteFilter {
  /** 0 all. */
  table = RT_TABLE_MAIN;
  cloned = false;
  type = 0;
  protocol = -1;
  scope = -1;
  tos = -1;
  oif = 0;
  iif = 0;
  metric = -1;
  /** Routes inside of this prefix. */
  root: Prefix | null = null;
  /** Routes that this prefix is inside of. */
  match: Prefix | null = null;
  via: Prefix | null = null;
  src: Prefix | null = null;
}

/** Does one prefix contain an address? */
function contains(addr: number, prefix: number, length: number): boolean {
  return length === 0 || ((addr ^ prefix) >> (32 - length)) === 0;
}

/** Is the route one that the listing shows? */
export function passesFilter(answer: Answer, attrs: Attrs, filter: RouteFilter): boolean {
  const table = attrs.u32(RTA_TABLE, answer.u8(4));
  const dstLen = answer.u8(1);
  const dst = attrs.addr(RTA_DST);
  if (filter.table !== 0 && table !== filter.table) return false;
  if (filter.type !== 0 && answer.u8(7) !== filter.type) return false;
  if (filter.protocol >= 0 && answer.u8(5) !== filter.protocol) return false;
  if (filter.scope >= 0 && answer.u8(6) !== filter.scope) return false;
  if (filter.tos >= 0 && answer.u8(3) !== filter.tos) return false;
  if (filter.oif !== 0 && attrs.u32(RTA_OIF) !== filter.oif) return false;
  if (filter.metric >= 0 && attrs.u32(RTA_PRIORITY) !== filter.metric) return false;
  const { root, match, via, src } = filter;
  if (root !== null && (dstLen < root.length || !contains(dst, root.addr, root.length))) return false;
  if (match !== null && (dstLen > match.length || !contains(match.addr, dst, dstLen))) return false;
  if (via !== null && !(attrs.has(RTA_GATEWAY) && contains(attrs.addr(RTA_GATEWAY), via.addr, via.length))) return false;
  return src === null || (attrs.has(RTA_PREFSRC) && contains(attrs.addr(RTA_PREFSRC), src.addr, src.length));
}

function flagNames(flags: number): string {
  let text = "";
  for (const [bit, name] of FLAG_NAMES) if ((flags & bit) !== 0) text += `${name} `;
  return text;
}

function hostPrefix(addr: number, length: number): string {
  return length === 32 ? formatAddr(addr) : `${formatAddr(addr)}/${length}`;
}

function metricText(type: number, value: number): string {
  if (type === RTAX_RTT) return value >= 8 && value % 8 === 0 ? `${value / 8}ms ` : `${value}ms `;
  if (type === RTAX_RTTVAR) return `${value / 4}ms `;
  if (type === RTAX_RTO_MIN) return `${value}ms `;
  if (type === RTAX_HOPLIMIT && value === 0xffffffff) return "4294967295 ";
  if (type === RTAX_FEATURES) return (value & 1) !== 0 ? "ecn " : `0x${value.toString(16)} `;
  return `${value} `;
}

function metrics(attrs: Attrs): string {
  const locked = attrs.u32(RTAX_LOCK);
  let text = "";
  for (let type = 2; type <= RTAX_MAX; type++) {
    const lock = (locked & (1 << type)) !== 0;
    if (!attrs.has(type) && !lock) continue;
    text += `${METRIC_NAMES[type]} ${lock ? "lock " : ""}${metricText(type, attrs.u32(type))}`;
  }
  return text;
}

function nexthops(ip: IpContext, data: Uint8Array): string {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  let text = "";
  for (let at = 0; at + RTNH_BYTES <= data.length;) {
    const length = view.getUint16(at, true);
    if (length < RTNH_BYTES || at + length > data.length) break;
    const attrs = new Attrs(data, at + RTNH_BYTES, at + length);
    text += `${ip.newline}\tnexthop `;
    if (attrs.has(RTA_GATEWAY)) text += `via ${formatAddr(attrs.addr(RTA_GATEWAY))} `;
    text += `dev ${ip.deviceName(view.getInt32(at + 4, true))} weight ${data[at + 3]! + 1} ${flagNames(data[at + 2]!)}`;
    at += (length + 3) & ~3;
  }
  return text;
}

function cacheText(ip: IpContext, flags: number, attrs: Attrs): string {
  const names: string[] = [];
  for (const [bit, name] of CACHE_NAMES) if ((flags & bit) !== 0) names.push(name);
  let text = `${ip.newline}    cache ${names.length > 0 ? `<${names.join(",")}> ` : ""}`;
  const info = attrs.data(RTA_CACHEINFO);
  if (info.length >= 16) {
    const view = new DataView(info.buffer, info.byteOffset, info.length);
    const expires = view.getInt32(8, true);
    const error = view.getInt32(12, true);
    if (expires !== 0) text += `expires ${Math.trunc(expires / 100)}sec `;
    if (error !== 0) text += `error ${error} `;
  }
  return text;
}

/** The lines of one route, with the newline at its end. */
export function routeText(ip: IpContext, answer: Answer, filter: RouteFilter | null): string {
  const attrs = answer.attrs(RTMSG_BYTES);
  const [dstLen, srcLen, tos, type] = [answer.u8(1), answer.u8(2), answer.u8(3), answer.u8(7)];
  const [protocol, scope, flags] = [answer.u8(5), answer.u8(6), answer.u32(8)];
  const table = attrs.u32(RTA_TABLE, answer.u8(4));
  const cloned = (flags & RTM_F_CLONED) !== 0;
  let text = answer.type === RTM_DELROUTE ? "Deleted " : "";
  if ((type !== RTN_UNICAST || ip.details) && (filter === null || filter.type === 0)) text += `${routeTypeName(type)} `;
  if (attrs.has(RTA_DST)) text += `${hostPrefix(attrs.addr(RTA_DST), dstLen)} `;
  else text += dstLen !== 0 ? `0/${dstLen} ` : "default ";
  if (attrs.has(RTA_SRC)) text += `from ${hostPrefix(attrs.addr(RTA_SRC), srcLen)} `;
  else if (srcLen !== 0) text += `from 0/${srcLen} `;
  if (tos !== 0 && (filter === null || filter.tos < 0)) text += `tos ${dsfieldName(tos)} `;
  if (attrs.has(RTA_GATEWAY) && (filter === null || filter.via === null || filter.via.length !== 32)) {
    text += `via ${formatAddr(attrs.addr(RTA_GATEWAY))} `;
  }
  if (attrs.has(RTA_OIF) && (filter === null || filter.oif === 0)) text += `dev ${ip.deviceName(attrs.u32(RTA_OIF))} `;
  const everyTable = filter === null || filter.table === 0;
  if (table !== 0 && (table !== RT_TABLE_MAIN || ip.details) && everyTable) text += `table ${tableName(table)} `;
  if (!cloned) {
    if ((protocol !== RTPROT_BOOT || ip.details) && (filter === null || filter.protocol < 0)) {
      text += `proto ${protocolName(protocol)} `;
    }
    if ((scope !== RT_SCOPE_UNIVERSE || ip.details) && (filter === null || filter.scope < 0)) {
      text += `scope ${scopeName(scope)} `;
    }
  }
  if (attrs.has(RTA_PREFSRC) && (filter === null || filter.src === null || filter.src.length !== 32)) {
    text += `src ${formatAddr(attrs.addr(RTA_PREFSRC))} `;
  }
  if (attrs.has(RTA_PRIORITY) && (filter === null || filter.metric < 0)) text += `metric ${attrs.u32(RTA_PRIORITY)} `;
  text += flagNames(flags & ~RTM_F_CLONED);
  if (attrs.has(RTA_MARK)) {
    const mark = attrs.u32(RTA_MARK);
    if (mark !== 0) text += `mark ${mark >= 16 ? `0x${mark.toString(16)}` : mark} `;
  }
  if (attrs.has(RTA_FLOW)) text += `realm ${attrs.u32(RTA_FLOW)} `;
  if (attrs.has(RTA_UID)) text += `uid ${attrs.u32(RTA_UID)} `;
  if (cloned) text += cacheText(ip, flags, attrs);
  if (attrs.has(RTA_METRICS)) text += metrics(attrs.nested(RTA_METRICS));
  if (attrs.has(RTA_IIF) && (filter === null || filter.iif === 0)) text += `iif ${ip.deviceName(attrs.u32(RTA_IIF))} `;
  if (attrs.has(RTA_MULTIPATH)) text += nexthops(ip, attrs.data(RTA_MULTIPATH));
  return `${text}\n`;
}
