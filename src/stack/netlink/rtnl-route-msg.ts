/**
 * A route as a message and as a record: reading RTM_NEWROUTE and RTM_DELROUTE into a FibConfig, and writing one. Linux:
 * rtm_to_fib_config() of net/ipv4/fib_frontend.c, fib_dump_info() of net/ipv4/fib_semantics.c. Owns nothing.
 */
import { mem8, memView } from "../../lib/memory.ts";
import { EINVAL, EMSGSIZE, EOPNOTSUPP } from "../../uapi/errno.ts";
import { NLMSG_HDRLEN } from "../../uapi/netlink.ts";
import {
  RT_TABLE_COMPAT, RT_TABLE_MAIN, RTA_DPORT, RTA_DST, RTA_FLOW, RTA_GATEWAY, RTA_IIF, RTA_IP_PROTO, RTA_MARK, RTA_MAX, RTA_METRICS, RTA_MULTIPATH,
  RTA_NH_ID, RTA_OIF, RTA_PREFSRC, RTA_PRIORITY, RTA_SPORT, RTA_SRC, RTA_TABLE, RTA_UID, RTA_VIA, RTAX_MAX, RTN_MAX, RTNH_F_DEAD,
  RTNH_F_LINKDOWN, RTNH_F_ONLINK,
} from "../../uapi/rtnetlink.ts";
import { AF_INET } from "../../uapi/socket.ts";
import { nlErrMsg, nlErrMsgAttr } from "../core/extack.ts";
import { type SkBuff, skbPut, skbTailroom } from "../core/skbuff.ts";
import {
  FIB_NH_FLAGS, FIB_NH_GW, FIB_NH_INTS, FIB_NH_OIF, FIB_NH_WEIGHT, type FibConfig, fibConfigAddNexthop, fibConfigMetric,
  fibConfigReset, fibConfigSetMetric,
} from "../ipv4/fib-config.ts";
import {
  nlaAddrOr0, nlaGet, nlaGetAddr, nlaGetU32, nlaLen, nlaNestEnd, nlaNestStart, nlaNext, nlaOk, nlaParse, nlaPutAddr,
  nlaPutU32, nlaType, nlaU32Or, nlmsgFinish,
} from "./nlattr.ts";
import { nlmsgHeaderOk, nlmsgLength } from "./rtnetlink.ts";

/** rtmsg: its size and the offsets of its fields behind the message header. */
export const RTMSG_BYTES = 12;
export const RTM_DST_LEN = NLMSG_HDRLEN + 1;
export const RTM_SRC_LEN = NLMSG_HDRLEN + 2;
export const RTM_TOS = NLMSG_HDRLEN + 3;
export const RTM_TABLE = NLMSG_HDRLEN + 4;
export const RTM_PROTOCOL = NLMSG_HDRLEN + 5;
export const RTM_SCOPE = NLMSG_HDRLEN + 6;
export const RTM_TYPE = NLMSG_HDRLEN + 7;
export const RTM_FLAGS = NLMSG_HDRLEN + 8;
export const RTM_ATTRS = NLMSG_HDRLEN + RTMSG_BYTES;

/** rtnexthop: length, flags, hops, ifindex. */
const RTNH_BYTES = 8;
/** Congestion control bits of the TOS byte, which no route may ask about. */
const ECN_BITS = 3;

/** The shortest payloads. Linux: rtm_ipv4_policy. */
export function routePolicy(type: number): number {
  switch (type) {
    case RTA_DST:
    case RTA_SRC:
    case RTA_IIF:
    case RTA_OIF:
    case RTA_GATEWAY:
    case RTA_PRIORITY:
    case RTA_PREFSRC:
    case RTA_FLOW:
    case RTA_TABLE:
    case RTA_MARK:
    case RTA_UID:
    case RTA_NH_ID:
      return 4;
    case RTA_IP_PROTO:
      return 1;
    case RTA_SPORT:
    case RTA_DPORT:
      return 2;
    case RTA_MULTIPATH:
      return RTNH_BYTES;
    default:
      return 0;
  }
}

/** Finds a message's attributes: 0, -EINVAL (too short), -ERANGE. */
export function parseRoute(nlh: number): number {
  const err = nlmsgHeaderOk(nlh, RTMSG_BYTES);
  return err !== 0 ? err : nlaParse(nlh + RTM_ATTRS, nlh + nlmsgLength(nlh), RTA_MAX, routePolicy);
}

/** Reads a route. Linux: rtm_to_fib_config(). @returns 0, or a negative errno */
export function routeFromMessage(nlh: number, cfg: FibConfig): number {
  const err = parseRoute(nlh);
  if (err !== 0) return err;
  fibConfigReset(cfg);
  const type = mem8[nlh + RTM_TYPE]!;
  const tos = mem8[nlh + RTM_TOS]!;
  if ((tos & ECN_BITS) !== 0) return nlErrMsg(-EINVAL, "Invalid dsfield (tos): ECN bits must be 0");
  if (type > RTN_MAX) return nlErrMsg(-EINVAL, "Invalid route type");
  if (nlaGet(RTA_VIA) !== 0) return -EOPNOTSUPP;
  if (nlaGet(RTA_NH_ID) !== 0) return nlErrMsg(-EINVAL, "Nexthop id does not exist");
  cfg.dstLen = mem8[nlh + RTM_DST_LEN]!;
  cfg.tos = tos;
  cfg.protocol = mem8[nlh + RTM_PROTOCOL]!;
  cfg.scope = mem8[nlh + RTM_SCOPE]!;
  cfg.type = type;
  cfg.flags = memView.getInt32(nlh + RTM_FLAGS, true);
  cfg.table = nlaU32Or(RTA_TABLE, mem8[nlh + RTM_TABLE]!);
  if (cfg.table === 0) cfg.table = RT_TABLE_MAIN;
  cfg.dst = nlaAddrOr0(RTA_DST);
  cfg.oif = nlaU32Or(RTA_OIF, 0);
  cfg.gw = nlaAddrOr0(RTA_GATEWAY);
  cfg.priority = nlaU32Or(RTA_PRIORITY, 0);
  cfg.prefsrc = nlaAddrOr0(RTA_PREFSRC);
  const metrics = nlaGet(RTA_METRICS);
  const bad = metrics === 0 ? 0 : readMetrics(metrics, cfg);
  if (bad !== 0) return bad;
  const multipath = nlaGet(RTA_MULTIPATH);
  return multipath === 0 ? 0 : readNexthops(multipath, cfg);
}

/** Linux: ip_metrics_convert(). */
function readMetrics(nest: number, cfg: FibConfig): number {
  const end = nest + 4 + nlaLen(nest);
  for (let at = nest + 4; nlaOk(at, end); at = nlaNext(at)) {
    const type = nlaType(at);
    if (type === 0) continue;
    if (type > RTAX_MAX) return nlErrMsg(-EINVAL, "Invalid metric type");
    if (nlaLen(at) < 4) return nlErrMsgAttr(-EINVAL, at, "Invalid attribute in metrics");
    const err = fibConfigSetMetric(cfg, type, nlaGetU32(at));
    if (err !== 0) return err;
  }
  return 0;
}

/** Linux: fib_get_nhs(). */
function readNexthops(nest: number, cfg: FibConfig): number {
  const view = memView;
  const end = nest + 4 + nlaLen(nest);
  let at = nest + 4;
  while (end - at >= RTNH_BYTES) {
    const length = view.getUint16(at, true);
    if (length < RTNH_BYTES || length > end - at) break;
    let gw = 0;
    for (let attr = at + RTNH_BYTES; nlaOk(attr, at + length); attr = nlaNext(attr)) {
      if (nlaType(attr) !== RTA_GATEWAY) continue;
      if (nlaLen(attr) < 4) return nlErrMsgAttr(-EINVAL, attr, "Invalid IPv4 address in RTA_GATEWAY");
      gw = nlaGetAddr(attr);
    }
    const flags = mem8[at + 2]!;
    if ((flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN)) !== 0) {
      return nlErrMsg(-EINVAL, "Invalid flags for nexthop - can not contain DEAD or LINKDOWN");
    }
    const err = fibConfigAddNexthop(cfg, view.getInt32(at + 4, true), gw, flags, mem8[at + 3]! + 1);
    if (err !== 0) return err;
    at += (length + 3) & ~3;
  }
  if (at < end) return nlErrMsg(-EINVAL, "Invalid nexthop configuration - extra data after nexthops");
  return 0;
}

/** Writes a route behind the header `nlh`: 0, or -EMSGSIZE after taking it back. Linux: fib_dump_info(). */
export function fillRoute(skb: SkBuff, nlh: number, cfg: FibConfig): number {
  if (nlh < 0) return -EMSGSIZE;
  const table = cfg.table;
  mem8[nlh + NLMSG_HDRLEN] = AF_INET;
  mem8[nlh + RTM_DST_LEN] = cfg.dstLen;
  mem8[nlh + RTM_TOS] = cfg.tos;
  mem8[nlh + RTM_TABLE] = table > 0 && table < 256 ? table : RT_TABLE_COMPAT;
  mem8[nlh + RTM_PROTOCOL] = cfg.protocol;
  mem8[nlh + RTM_SCOPE] = cfg.scope;
  mem8[nlh + RTM_TYPE] = cfg.type;
  const single = cfg.nhs <= 1;
  memView.setInt32(nlh + RTM_FLAGS, single ? cfg.flags & (RTNH_F_ONLINK | RTNH_F_DEAD | RTNH_F_LINKDOWN) : 0, true);
  const fits = nlaPutU32(skb, RTA_TABLE, table)
    && (cfg.dstLen === 0 || nlaPutAddr(skb, RTA_DST, cfg.dst))
    && (cfg.priority === 0 || nlaPutU32(skb, RTA_PRIORITY, cfg.priority))
    && putMetrics(skb, cfg)
    && (cfg.prefsrc === 0 || nlaPutAddr(skb, RTA_PREFSRC, cfg.prefsrc))
    && (single ? putNexthop(skb, cfg) : putNexthops(skb, cfg));
  return nlmsgFinish(skb, nlh, fits);
}

function putNexthop(skb: SkBuff, cfg: FibConfig): boolean {
  return (cfg.gw === 0 || nlaPutAddr(skb, RTA_GATEWAY, cfg.gw)) && (cfg.oif === 0 || nlaPutU32(skb, RTA_OIF, cfg.oif));
}

/** Linux: rtnetlink_put_metrics(); nothing at all for a route without metrics. */
export function putMetrics(skb: SkBuff, cfg: FibConfig): boolean {
  let nest = -1;
  for (let metric = 1; metric <= RTAX_MAX; metric++) {
    const value = fibConfigMetric(cfg, metric);
    if (value === 0) continue;
    if (nest < 0) nest = nlaNestStart(skb, RTA_METRICS);
    if (nest < 0 || !nlaPutU32(skb, metric, value)) return false;
  }
  if (nest >= 0) nlaNestEnd(skb, nest);
  return true;
}

/** Linux: fib_add_multipath(). */
function putNexthops(skb: SkBuff, cfg: FibConfig): boolean {
  const rows = cfg.nexthops!;
  const nest = nlaNestStart(skb, RTA_MULTIPATH);
  if (nest < 0) return false;
  for (let i = 0; i < cfg.nhs; i++) {
    const row = i * FIB_NH_INTS;
    if (skbTailroom(skb) < RTNH_BYTES) return false;
    const at = skbPut(skb, RTNH_BYTES);
    mem8[at + 2] = rows[row + FIB_NH_FLAGS]!;
    mem8[at + 3] = rows[row + FIB_NH_WEIGHT]! - 1;
    memView.setInt32(at + 4, rows[row + FIB_NH_OIF]!, true);
    const gw = rows[row + FIB_NH_GW]!;
    if (gw !== 0 && !nlaPutAddr(skb, RTA_GATEWAY, gw)) return false;
    memView.setUint16(at, skb.tail - at, true);
  }
  nlaNestEnd(skb, nest);
  return true;
}
