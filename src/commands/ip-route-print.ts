/**
 * A route as `ip route` prints it, and which routes a listing shows. iproute2's counterpart is print_route() and
 * filter_nlmsg() of ip/iproute.c.
 */
import {
  RT_SCOPE_UNIVERSE, RT_TABLE_MAIN, RTA_CACHEINFO, RTA_DST, RTA_FLOW, RTA_GATEWAY, RTA_IIF, RTA_MARK, RTA_METRICS,
  RTA_MULTIPATH, RTA_OIF, RTA_PREFSRC, RTA_PRIORITY, RTA_SRC, RTA_TABLE, RTA_UID, RTAX_FEATURES, RTAX_LOCK,
  RTAX_MAX, RTAX_RTO_MIN, RTAX_RTT, RTAX_RTTVAR, RTM_DELROUTE, RTM_F_CLONED, RTN_UNICAST, RTPROT_BOOT,
} from "../uapi/rtnetlink.ts";
import { formatAddr, type Prefix } from "./inet-text.ts";
import type { IpContext } from "./ip-context.ts";
import { Item } from "./ip-item.ts";
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
  // What came in by a device is known of cached decisions only, and there are none.
  if (filter.iif !== 0 && attrs.u32(RTA_IIF) !== filter.iif) return false;
  if (filter.oif !== 0 && attrs.u32(RTA_OIF) !== filter.oif) return false;
  if (filter.metric >= 0 && attrs.u32(RTA_PRIORITY) !== filter.metric) return false;
  const { root, match, via, src } = filter;
  if (root !== null && (dstLen < root.length || !contains(dst, root.addr, root.length))) return false;
  if (match !== null && (dstLen > match.length || !contains(match.addr, dst, dstLen))) return false;
  if (via !== null && !(attrs.has(RTA_GATEWAY) && contains(attrs.addr(RTA_GATEWAY), via.addr, via.length))) return false;
  return src === null || (attrs.has(RTA_PREFSRC) && contains(attrs.addr(RTA_PREFSRC), src.addr, src.length));
}

/** The names of the bits that are set. */
function flagNames(flags: number): string[] {
  return FLAG_NAMES.filter(([bit]) => (flags & bit) !== 0).map(([, name]) => name);
}

/** Tells the flags, which programs always get a list of. */
function putFlags(item: Item, flags: number): void {
  const names = flagNames(flags);
  item.put("flags", names, names.map((name) => `${name} `).join(""));
}

function hostPrefix(addr: number, length: number): string {
  return length === 32 ? formatAddr(addr) : `${formatAddr(addr)}/${length}`;
}

/** Metrics that are times, and their unit in milliseconds. */
function metricMs(type: number, value: number): number {
  if (type === RTAX_RTT) return Math.floor(value / 8);
  if (type === RTAX_RTTVAR) return Math.floor(value / 4);
  return type === RTAX_RTO_MIN ? value : -1;
}

function putMetric(item: Item, type: number, value: number, lock: string): void {
  const name = METRIC_NAMES[type]!;
  const ms = metricMs(type, value);
  if (ms >= 0) item.put(name, ms, `${name} ${lock}${ms >= 1000 ? `${ms / 1000}s` : `${ms}ms`} `);
  else if (type === RTAX_FEATURES && (value & 1) !== 0) item.put("ecn", null, `${name} ${lock}ecn `);
  else item.put(name, value, `${name} ${lock}${type === RTAX_FEATURES ? `0x${value.toString(16)}` : value} `);
}

function putMetrics(item: Item, attrs: Attrs): void {
  const locked = attrs.u32(RTAX_LOCK);
  const list = new Item();
  for (let type = 2; type <= RTAX_MAX; type++) {
    const lock = (locked & (1 << type)) !== 0;
    if (attrs.has(type) || lock) putMetric(list, type, attrs.u32(type), lock ? "lock " : "");
  }
  item.put("metrics", [list.json], list.text);
}

function putNexthops(ip: IpContext, item: Item, data: Uint8Array): void {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const hops: Item[] = [];
  for (let at = 0; at + RTNH_BYTES <= data.length;) {
    const length = view.getUint16(at, true);
    if (length < RTNH_BYTES || at + length > data.length) break;
    const attrs = new Attrs(data, at + RTNH_BYTES, at + length);
    const hop = new Item().say(`${ip.newline}\tnexthop `);
    if (attrs.has(RTA_GATEWAY)) hop.put("gateway", formatAddr(attrs.addr(RTA_GATEWAY)), `via ${formatAddr(attrs.addr(RTA_GATEWAY))} `);
    const device = ip.deviceName(view.getInt32(at + 4, true));
    hop.put("dev", device, `dev ${device} `).put("weight", data[at + 3]! + 1, `weight ${data[at + 3]! + 1} `);
    putFlags(hop, data[at + 2]!);
    hops.push(hop);
    at += (length + 3) & ~3;
  }
  item.put("nexthops", hops.map((hop) => hop.json), hops.map((hop) => hop.text).join(""));
}

function putCache(ip: IpContext, item: Item, flags: number, attrs: Attrs): void {
  const names = CACHE_NAMES.filter(([bit]) => (flags & bit) !== 0).map(([, name]) => name);
  item.put("cache", names, `${ip.newline}    cache ${names.length > 0 ? `<${names.join(",")}> ` : ""}`);
  const info = attrs.data(RTA_CACHEINFO);
  if (info.length < 16) return;
  const view = new DataView(info.buffer, info.byteOffset, info.length);
  const expires = Math.trunc(view.getInt32(8, true) / 100);
  const error = view.getInt32(12, true);
  if (view.getInt32(8, true) !== 0) item.put("expires", expires, `expires ${expires}sec `);
  if (error !== 0) item.put("error", error, `error ${error} `);
}

/** What both words and numbers tell of a route's destination and source. */
function putPrefixes(item: Item, answer: Answer, attrs: Attrs): void {
  const [dstLen, srcLen] = [answer.u8(1), answer.u8(2)];
  item.put("dst", attrs.has(RTA_DST) ? hostPrefix(attrs.addr(RTA_DST), dstLen) : dstLen !== 0 ? `0/${dstLen}` : "default");
  const from = attrs.has(RTA_SRC) ? hostPrefix(attrs.addr(RTA_SRC), srcLen) : srcLen !== 0 ? `0/${srcLen}` : "";
  if (from !== "") item.put("from", from, `from ${from} `);
}

/** One route, its text with the newline at its end. */
export function routeItem(ip: IpContext, answer: Answer, filter: RouteFilter | null): Item {
  const attrs = answer.attrs(RTMSG_BYTES);
  const [tos, type, protocol, scope, flags] = [answer.u8(3), answer.u8(7), answer.u8(5), answer.u8(6), answer.u32(8)];
  const table = attrs.u32(RTA_TABLE, answer.u8(4));
  const cloned = (flags & RTM_F_CLONED) !== 0;
  const item = new Item();
  const word = (key: string, name: string, value: string): Item => item.put(key, value, `${name} ${value} `);
  if (answer.type === RTM_DELROUTE) item.put("deleted", true, "Deleted ");
  if (type !== RTN_UNICAST || ip.details) item.put("type", routeTypeName(type, ip.numeric));
  putPrefixes(item, answer, attrs);
  if (tos !== 0 && (filter === null || filter.tos < 0)) word("tos", "tos", dsfieldName(tos));
  if (attrs.has(RTA_GATEWAY) && (filter === null || filter.via === null || filter.via.length !== 32)) {
    word("gateway", "via", formatAddr(attrs.addr(RTA_GATEWAY)));
  }
  if (attrs.has(RTA_OIF) && (filter === null || filter.oif === 0)) word("dev", "dev", ip.deviceName(attrs.u32(RTA_OIF)));
  const everyTable = filter === null || filter.table === 0;
  if (table !== 0 && (table !== RT_TABLE_MAIN || ip.details) && everyTable) word("table", "table", tableName(table, ip.numeric));
  if (!cloned && (protocol !== RTPROT_BOOT || ip.details) && (filter === null || filter.protocol < 0)) {
    word("protocol", "proto", protocolName(protocol, ip.numeric));
  }
  if (!cloned && (scope !== RT_SCOPE_UNIVERSE || ip.details) && (filter === null || filter.scope < 0)) {
    word("scope", "scope", scopeName(scope, ip.numeric));
  }
  if (attrs.has(RTA_PREFSRC) && (filter === null || filter.src === null || filter.src.length !== 32)) {
    word("prefsrc", "src", formatAddr(attrs.addr(RTA_PREFSRC)));
  }
  const metric = attrs.u32(RTA_PRIORITY);
  if (attrs.has(RTA_PRIORITY) && (filter === null || filter.metric < 0)) item.put("metric", metric, `metric ${metric} `);
  putFlags(item, flags & ~RTM_F_CLONED);
  const mark = attrs.u32(RTA_MARK);
  if (mark !== 0) item.put("mark", mark, `mark ${mark >= 16 ? `0x${mark.toString(16)}` : mark} `);
  if (attrs.has(RTA_FLOW)) item.put("flow", attrs.u32(RTA_FLOW), `realm ${attrs.u32(RTA_FLOW)} `);
  if (attrs.has(RTA_UID)) item.put("uid", attrs.u32(RTA_UID), `uid ${attrs.u32(RTA_UID)} `);
  if (cloned) putCache(ip, item, flags, attrs);
  if (attrs.has(RTA_METRICS)) putMetrics(item, attrs.nested(RTA_METRICS));
  if (attrs.has(RTA_IIF) && (filter === null || filter.iif === 0)) word("iif", "iif", ip.deviceName(attrs.u32(RTA_IIF)));
  if (attrs.has(RTA_MULTIPATH)) putNexthops(ip, item, attrs.data(RTA_MULTIPATH));
  return item.say("\n");
}
