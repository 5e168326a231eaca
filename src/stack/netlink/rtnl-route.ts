/**
 * Routes over rtnetlink: RTM_NEWROUTE, RTM_DELROUTE, the dump of RTM_GETROUTE, and notifications to RTNLGRP_IPV4_ROUTE.
 * Linux: inet_rtm_newroute(), inet_rtm_delroute() and inet_dump_fib() of net/ipv4/fib_frontend.c. Owns the record that
 * requests and dumps go through, and the listener on the tables' chain. `ip route get` is in rtnl-getroute.ts.
 */
import { account } from "../../lib/account.ts";
import { mem8, memView } from "../../lib/memory.ts";
import { NOTIFY_DONE, NotifierBlock } from "../../lib/notifier.ts";
import { EINVAL, EMSGSIZE, ENODEV, ENOENT } from "../../uapi/errno.ts";
import { devGetByIndex } from "../../netif/dev.ts";
import { NLM_F_DUMP_FILTERED, NLMSG_HDRLEN } from "../../uapi/netlink.ts";
import {
  RTA_MAX, RTA_OIF, RTA_TABLE, RTM_DELROUTE, RTM_F_CLONED, RTM_F_PREFIX, RTM_GETROUTE, RTM_NEWROUTE,
  RTNLGRP_IPV4_ROUTE,
} from "../../uapi/rtnetlink.ts";
import { AF_INET, AF_UNSPEC } from "../../uapi/socket.ts";
import { nlErrMsg } from "../core/extack.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { FIB_NH_INTS, FIB_NH_OIF, FibConfig, FibWalk } from "../ipv4/fib-config.ts";
import { fibNotifierRegister, fibTableExists, fibWalkNext, fibWalkStart } from "../ipv4/fib-dump.ts";
import { fibTableDelete, fibTableInsert } from "../ipv4/fib-frontend.ts";
import { nlmsgPutDump } from "./netlink-deliver.ts";
import type { NetlinkSk, NetlinkSock } from "./netlink-sock.ts";
import { nlaGet, nlaParseStrict, nlaU32Or, nlmsgPut } from "./nlattr.ts";
import { inetRtmGetroute, rtnlGetrouteInit } from "./rtnl-getroute.ts";
import {
  fillRoute, parseRoute, routeFromMessage, routePolicy, RTM_ATTRS, RTM_DST_LEN, RTM_FLAGS, RTM_PROTOCOL, RTM_SCOPE,
  RTM_SRC_LEN, RTM_TABLE, RTM_TOS, RTM_TYPE, RTMSG_BYTES,
} from "./rtnl-route-msg.ts";
import {
  nlmsgFlags, nlmsgLength, rtnlHasListeners, rtnlNotify, rtnlRegister, rtnlSkb, strictCheck,
} from "./rtnetlink.ts";

/** NLM_F_* that say how a route is entered. */
const INSERT_FLAGS = 0xf00;

let config: FibConfig;
let walk: FibWalk;

/** What a dump is to be confined to; 0 for no matter what. Linux: struct fib_dump_filter. */
class RouteFilter {
  table = 0;
  protocol = 0;
  type = 0;
  oif = 0;
  /** RTM_F_CLONED: the cache is asked for, which there is none of. */
  cloned = false;
}

let filter: RouteFilter;

/** Boot: routes can be asked for and changed, and changes are told. After fibInit() and rtnetlinkInit(). */
export function rtnlRouteInit(): void {
  config = account("rtnetlink", new FibConfig());
  walk = account("rtnetlink", new FibWalk());
  filter = account("rtnetlink", new RouteFilter());
  rtnlGetrouteInit(config, walk);
  rtnlRegister(RTM_NEWROUTE, AF_INET, rtmNewroute, null);
  rtnlRegister(RTM_DELROUTE, AF_INET, rtmDelroute, null);
  rtnlRegister(RTM_GETROUTE, AF_INET, inetRtmGetroute, dumpFib);
  rtnlRegister(RTM_GETROUTE, AF_UNSPEC, null, dumpFib);
  fibNotifierRegister(account("rtnetlink", new NotifierBlock<FibConfig>(rtnlRouteEvent)));
}

/** RTM_NEWROUTE. Linux: inet_rtm_newroute(). */
function rtmNewroute(_skb: SkBuff, nlh: number, sk: NetlinkSk): number {
  const err = routeFromMessage(nlh, config);
  if (err !== 0) return err;
  config.nlflags = nlmsgFlags(nlh) & INSERT_FLAGS;
  return fibTableInsert(sk.net, config);
}

/** RTM_DELROUTE. Linux: inet_rtm_delroute(). */
function rtmDelroute(_skb: SkBuff, nlh: number, sk: NetlinkSk): number {
  const err = routeFromMessage(nlh, config);
  return err !== 0 ? err : fibTableDelete(sk.net, config);
}

/** Reads what a dump is to be confined to. Linux: ip_valid_fib_dump_req(). */
function readFilter(cb: NetlinkSock): number {
  const nlh = cb.nlh;
  const view = memView;
  filter.table = filter.protocol = filter.type = filter.oif = 0;
  filter.cloned = false;
  if (!strictCheck(cb)) {
    if (parseRoute(nlh) === 0) filter.cloned = (view.getInt32(nlh + RTM_FLAGS, true) & (RTM_F_CLONED | RTM_F_PREFIX)) !== 0;
    return 0;
  }
  if (nlmsgLength(nlh) < RTM_ATTRS) return nlErrMsg(-EINVAL, "Invalid header for FIB dump request");
  if (mem8[nlh + RTM_DST_LEN] !== 0 || mem8[nlh + RTM_SRC_LEN] !== 0 || mem8[nlh + RTM_TOS] !== 0
    || mem8[nlh + RTM_SCOPE] !== 0) {
    return nlErrMsg(-EINVAL, "Invalid values in header for FIB dump request");
  }
  const err = nlaParseStrict(nlh + RTM_ATTRS, nlh + nlmsgLength(nlh), RTA_MAX, routePolicy);
  if (err !== 0) return err;
  for (let type = 1; type <= RTA_MAX; type++) {
    if (nlaGet(type) !== 0 && type !== RTA_TABLE && type !== RTA_OIF) {
      return nlErrMsg(-EINVAL, "Unsupported attribute in dump request");
    }
  }
  filter.table = nlaU32Or(RTA_TABLE, mem8[nlh + RTM_TABLE]!);
  filter.protocol = mem8[nlh + RTM_PROTOCOL]!;
  filter.type = mem8[nlh + RTM_TYPE]!;
  filter.oif = nlaU32Or(RTA_OIF, 0);
  filter.cloned = (view.getInt32(nlh + RTM_FLAGS, true) & RTM_F_CLONED) !== 0;
  if (filter.oif !== 0 && devGetByIndex(cb.net!, filter.oif) === null) return -ENODEV;
  if ((filter.table | filter.protocol | filter.type | filter.oif) !== 0) cb.answerFlags = NLM_F_DUMP_FILTERED;
  return 0;
}

/** Does any next hop of the route leave by the device? */
function leavesBy(cfg: FibConfig, oif: number): boolean {
  if (cfg.nhs <= 1) return cfg.oif === oif;
  for (let i = 0; i < cfg.nhs; i++) if (cfg.nexthops![i * FIB_NH_INTS + FIB_NH_OIF] === oif) return true;
  return false;
}

/** All routes; arg1 to arg4 are the place in the walk, arg0 says that it has begun. Linux: inet_dump_fib(). */
function dumpFib(skb: SkBuff, cb: NetlinkSock): number {
  const invalid = readFilter(cb);
  if (invalid < 0) return invalid;
  if (filter.cloned) return 0;
  const net = cb.net!;
  const only = filter.table;
  if (only !== 0 && !fibTableExists(net, only)) {
    return mem8[cb.nlh + NLMSG_HDRLEN] === AF_INET ? nlErrMsg(-ENOENT, "ipv4: FIB table does not exist") : 0;
  }
  if (cb.arg0 === 0) {
    cb.arg0 = 1;
    fibWalkStart(walk, net, only);
  } else {
    walk.net = net;
    walk.only = only;
    walk.table = cb.arg1;
    walk.key = cb.arg2;
    walk.index = cb.arg3;
  }
  let result = 0;
  while (true) {
    cb.arg1 = walk.table;
    cb.arg2 = walk.key;
    cb.arg3 = walk.index;
    if (!fibWalkNext(walk, config)) break;
    if (filter.protocol !== 0 && config.protocol !== filter.protocol) continue;
    if (filter.type !== 0 && config.type !== filter.type) continue;
    if (filter.oif !== 0 && !leavesBy(config, filter.oif)) continue;
    if (fillRoute(skb, nlmsgPutDump(skb, cb, RTM_NEWROUTE, RTMSG_BYTES), config) !== 0) {
      result = -EMSGSIZE;
      break;
    }
  }
  walk.net = null;
  return result;
}

/** Linux: rtmsg_fib(). */
function rtnlRouteEvent(event: number, cfg: FibConfig): number {
  const net = cfg.net!;
  if (!rtnlHasListeners(net, RTNLGRP_IPV4_ROUTE)) return NOTIFY_DONE;
  const skb = rtnlSkb();
  if (skb === null) return NOTIFY_DONE;
  rtnlNotify(net, skb, RTNLGRP_IPV4_ROUTE, fillRoute(skb, nlmsgPut(skb, 0, 0, event, RTMSG_BYTES, cfg.nlflags), cfg));
  return NOTIFY_DONE;
}
