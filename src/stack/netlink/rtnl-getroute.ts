/**
 * `ip route get`: RTM_GETROUTE for one destination, answered by the very lookup a packet would make. Linux:
 * inet_rtm_getroute() and rt_fill_info() of net/ipv4/route.c. Owns the question and the answer it is asked with.
 */
import { account } from "../../lib/account.ts";
import { mem8, memView } from "../../lib/memory.ts";
import { devGetByIndex } from "../../netif/dev.ts";
import { EHOSTUNREACH, EINVAL, ENOBUFS, ENODEV, EOPNOTSUPP } from "../../uapi/errno.ts";
import { ICMP_ECHO } from "../../uapi/icmp.ts";
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from "../../uapi/in.ts";
import { NLA_HDRLEN, NLMSG_HDRLEN } from "../../uapi/netlink.ts";
import {
  RT_TABLE_COMPAT, RT_TABLE_LOCAL, RT_TABLE_MAIN, RTA_CACHEINFO, RTA_DPORT, RTA_DST, RTA_GATEWAY, RTA_IIF, RTA_IP_PROTO, RTA_MARK, RTA_OIF, RTA_PREFSRC, RTA_SPORT, RTA_SRC,
  RTA_TABLE, RTA_UID, RTM_F_CLONED, RTM_F_FIB_MATCH, RTM_F_LOOKUP_TABLE, RTM_NEWROUTE, RTN_UNREACHABLE,
} from "../../uapi/rtnetlink.ts";
import { AF_INET } from "../../uapi/socket.ts";
import { dstRelease } from "../core/dst.ts";
import { nlErrMsg } from "../core/extack.ts";
import type { Net } from "../core/net.ts";
import { consumeSkb, skbPut, type SkBuff } from "../core/skbuff.ts";
import { IP_HLEN, IP_VER_IHL_PLAIN, IPH_DADDR, IPH_ID, IPH_PROTOCOL, IPH_SADDR, IPH_VER_IHL } from "../wire/ip.ts";
import { inetMakeMask } from "../ipv4/devinet.ts";
import { type FibConfig, fibConfigReset, type FibWalk } from "../ipv4/fib-config.ts";
import { fibWalkNext, fibWalkStart } from "../ipv4/fib-dump.ts";
import { fibLookup } from "../ipv4/fib-lookup.ts";
import { fiTable, type NetFib } from "../ipv4/fib-semantics.ts";
import { FibResult, Flowi4, flowi4Init } from "../ipv4/flow.ts";
import { ipRouteInput, ipRouteOutputKey } from "../ipv4/route.ts";
import type { Rtable } from "../ipv4/rtable.ts";
import type { NetlinkSk } from "./netlink-sock.ts";
import { nlaAddrOr0, nlaGet, nlaGetU8, nlaPut, nlaPutAddr, nlaPutU32, nlaU32Or, NLH_SEQ, nlmsgFinish, nlmsgPut } from "./nlattr.ts";
import {
  fillRoute, parseRoute, putMetrics, RTM_DST_LEN, RTM_FLAGS, RTM_SRC_LEN, RTM_TABLE, RTM_TOS, RTM_TYPE, RTMSG_BYTES,
} from "./rtnl-route-msg.ts";
import { rtnlSkb, rtnlUnicast } from "./rtnetlink.ts";

/** rta_cacheinfo: eight numbers, of which only the error (the fourth) is filled. */
const CACHEINFO_BYTES = 32;
const CACHEINFO_ERROR = 12;
/** Bytes of the transport header that a probe has: ports and a little more. */
const PROBE_BYTES = 8;
/** The high half of RTCF_*, which a program sees among the message's flags. */
const RTCF_VISIBLE = 0xffff0000 | 0;

let flow: Flowi4;
let result: FibResult;
/** The user that is asked for, who is only told again: no rule here asks for one. */
let uid = 0;
/** Borrowed from the routes' handler: a route on its way to a message. */
let scratch: FibConfig;
let walk: FibWalk;

/** Boot time. @param config, dump the records of the routes' handler, which are free while a request is answered */
export function rtnlGetrouteInit(config: FibConfig, dump: FibWalk): void {
  walk = dump;
  flow = account("rtnetlink", new Flowi4());
  result = account("rtnetlink", new FibResult());
  scratch = config;
}

/** A port of the flow that is asked about. */
function portOr0(type: number): number {
  const at = nlaGet(type);
  return at === 0 ? 0 : memView.getUint16(at + NLA_HDRLEN);
}

/** RTM_GETROUTE for one destination. Linux: inet_rtm_getroute(). */
export function inetRtmGetroute(_skb: SkBuff, nlh: number, sk: NetlinkSk): number {
  const err = parseRoute(nlh);
  if (err !== 0) return err;
  const protocol = nlaGet(RTA_IP_PROTO);
  const proto = protocol === 0 ? IPPROTO_UDP : nlaGetU8(protocol);
  if (protocol !== 0 && proto !== IPPROTO_TCP && proto !== IPPROTO_UDP && proto !== IPPROTO_ICMP) {
    return nlErrMsg(-EOPNOTSUPP, "Unsupported ip proto");
  }
  const net = sk.net;
  const dst = nlaAddrOr0(RTA_DST);
  const src = nlaAddrOr0(RTA_SRC);
  const iif = nlaU32Or(RTA_IIF, 0);
  const oif = nlaU32Or(RTA_OIF, 0);
  const mark = nlaU32Or(RTA_MARK, 0);
  const flags = memView.getInt32(nlh + RTM_FLAGS, true);
  const skb = rtnlSkb();
  if (skb === null) return -ENOBUFS;
  flowi4Init(flow, dst, src, oif, mem8[nlh + RTM_TOS]!, proto);
  flow.mark = mark;
  flow.ports = proto === IPPROTO_ICMP ? 0 : (portOr0(RTA_SPORT) << 16) | portOr0(RTA_DPORT);
  uid = nlaU32Or(RTA_UID, 0);
  const answer = iif !== 0 ? askInput(net, skb, nlh, iif) : askOutput(net, skb, nlh, flags);
  if (answer !== 0) {
    consumeSkb(skb);
    return answer;
  }
  return rtnlUnicast(sk, skb);
}

/** The table and the route that answer, apart from the decision. */
function askTable(net: Net, saddr: number): boolean {
  const keep = flow.saddr;
  flow.saddr = saddr;
  const found = fibLookup(net, flow, result) === 0;
  flow.saddr = keep;
  return found;
}

/** The table that was asked for the answer: main, in which local is until the rules are changed. */
function askedTable(net: Net): number {
  const table = fiTable(result.fi);
  return table === RT_TABLE_LOCAL && (net.fib as NetFib).rules < 0 ? RT_TABLE_MAIN : table;
}

function askOutput(net: Net, skb: SkBuff, nlh: number, flags: number): number {
  const src = flow.saddr;
  const dst = flow.daddr;
  const oif = flow.oif;
  const rt = ipRouteOutputKey(net, flow);
  if (rt === null) return flow.error;
  flow.oif = oif;
  const found = askTable(net, src);
  let err: number;
  if ((flags & RTM_F_FIB_MATCH) !== 0) {
    err = found && findMatch(net, dst) ? fillRoute(skb, begin(skb, nlh), scratch) : -EHOSTUNREACH;
  } else {
    const table = found && (flags & RTM_F_LOOKUP_TABLE) !== 0 ? askedTable(net) : RT_TABLE_MAIN;
    if (!found || !findMatch(net, dst)) fibConfigReset(scratch);
    err = fillDecision(skb, nlh, rt, table, dst, src, 0);
  }
  dstRelease(rt);
  return err;
}

/** A packet of the flow, as far as routing looks at it. Linux: inet_rtm_getroute_build_skb(). */
function fillProbe(skb: SkBuff, dst: number, src: number): void {
  const nh = skbPut(skb, IP_HLEN + PROBE_BYTES);
  skb.nh = nh;
  memView.setInt32(nh + IPH_VER_IHL, IP_VER_IHL_PLAIN << 24);
  memView.setInt32(nh + IPH_ID, 0);
  mem8[nh + IPH_PROTOCOL] = flow.proto;
  memView.setInt32(nh + IPH_SADDR, src);
  memView.setInt32(nh + IPH_DADDR, dst);
  memView.setInt32(nh + IP_HLEN, flow.proto === IPPROTO_ICMP ? ICMP_ECHO << 24 : flow.ports);
  memView.setInt32(nh + IP_HLEN + 4, 0);
}

/** As if the packet had come in by that device. */
function askInput(net: Net, skb: SkBuff, nlh: number, iif: number): number {
  const dev = devGetByIndex(net, iif);
  if (dev === null) return -ENODEV;
  const src = flow.saddr;
  const dst = flow.daddr;
  const probe = rtnlSkb();
  if (probe === null) return -ENOBUFS;
  fillProbe(probe, dst, src);
  let err = ipRouteInput(probe, dst, src, flow.tos, dev);
  const rt = probe.dst as Rtable | null;
  if (err === 0 && rt !== null) {
    const found = askTable(net, src);
    if (rt.type === RTN_UNREACHABLE) err = rt.error !== 0 ? rt.error : -EHOSTUNREACH;
    else {
      if (!found || !findMatch(net, dst)) fibConfigReset(scratch);
      err = fillDecision(skb, nlh, rt, found ? askedTable(net) : RT_TABLE_MAIN, dst, src, iif);
    }
  } else if (err === 0) {
    err = -EINVAL;
  }
  consumeSkb(probe);
  return err;
}

/** Finds the route that answered the lookup in its table again, into the record. */
function findMatch(net: Net, dst: number): boolean {
  const cfg = scratch;
  const length = 32 - result.slen;
  const prefix = dst & inetMakeMask(length);
  fibWalkStart(walk, net, fiTable(result.fi));
  walk.key = prefix;
  let found = false;
  while (!found && fibWalkNext(walk, cfg) && cfg.dst === prefix) {
    found = cfg.dstLen === length && cfg.type === result.type && (cfg.tos === 0 || cfg.tos === flow.tos);
  }
  walk.net = null;
  cfg.table = askedTable(net);
  return found;
}

/** Writes a decision; its metrics are those in the record. Linux: rt_fill_info(). */
function fillDecision(
  skb: SkBuff, request: number, rt: Rtable, table: number, dst: number, src: number, iif: number,
): number {
  const nlh = begin(skb, request);
  mem8[nlh + NLMSG_HDRLEN] = AF_INET;
  mem8[nlh + RTM_DST_LEN] = 32;
  mem8[nlh + RTM_SRC_LEN] = src !== 0 ? 32 : 0;
  mem8[nlh + RTM_TOS] = scratch.tos;
  mem8[nlh + RTM_TABLE] = table > 0 && table < 256 ? table : RT_TABLE_COMPAT;
  mem8[nlh + RTM_TYPE] = rt.type;
  memView.setInt32(nlh + RTM_FLAGS, (rt.flags & RTCF_VISIBLE) | RTM_F_CLONED, true);
  const fits = nlaPutU32(skb, RTA_TABLE, table)
    && nlaPutAddr(skb, RTA_DST, dst)
    && (src === 0 || nlaPutAddr(skb, RTA_SRC, src))
    && (rt.dev === null || nlaPutU32(skb, RTA_OIF, rt.dev.ifindex))
    && (iif !== 0 || flow.saddr === src || nlaPutAddr(skb, RTA_PREFSRC, flow.saddr))
    && (rt.gateway === 0 || nlaPutAddr(skb, RTA_GATEWAY, rt.gateway))
    && putMetrics(skb, scratch)
    && (flow.mark === 0 || nlaPutU32(skb, RTA_MARK, flow.mark))
    && (iif !== 0 || nlaPutU32(skb, RTA_UID, uid))
    && (iif === 0 || nlaPutU32(skb, RTA_IIF, iif))
    && putCacheinfo(skb, rt.error);
  return nlmsgFinish(skb, nlh, fits);
}

function putCacheinfo(skb: SkBuff, error: number): boolean {
  const at = nlaPut(skb, RTA_CACHEINFO, CACHEINFO_BYTES);
  if (at < 0) return false;
  for (let i = 0; i < CACHEINFO_BYTES; i += 4) memView.setInt32(at + i, 0);
  memView.setInt32(at + CACHEINFO_ERROR, -error, true);
  return true;
}

function begin(skb: SkBuff, request: number): number {
  return nlmsgPut(skb, 0, memView.getInt32(request + NLH_SEQ, true), RTM_NEWROUTE, RTMSG_BYTES, 0);
}
