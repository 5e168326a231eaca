/**
 * Policy rules over rtnetlink: RTM_NEWRULE, RTM_DELRULE, the dump of RTM_GETRULE, and notifications to RTNLGRP_IPV4_RULE.
 * Linux: fib_nl2rule(), fib_nl_fill_rule() and fib_nl_dumprule() of net/core/fib_rules.c. Owns the record that requests and
 * dumps go through. Rules on ports, protocols and users answer -EOPNOTSUPP: no rule here matches them.
 */
import { account } from "../../lib/account.ts";
import { mem8, memView } from "../../lib/memory.ts";
import { NOTIFY_DONE, NotifierBlock } from "../../lib/notifier.ts";
import { EAFNOSUPPORT, EINVAL, EMSGSIZE, EOPNOTSUPP } from "../../uapi/errno.ts";
import {
  FR_ACT_GOTO, FR_ACT_TO_TBL, FRA_DPORT_RANGE, FRA_DST, FRA_FLOW, FRA_FWMARK, FRA_FWMASK, FRA_GOTO, FRA_IIFNAME,
  FRA_IP_PROTO, FRA_MAX, FRA_OIFNAME, FRA_PRIORITY, FRA_PROTOCOL, FRA_SPORT_RANGE, FRA_SRC, FRA_SUPPRESS_IFGROUP,
  FRA_SUPPRESS_PREFIXLEN, FRA_TABLE, FRA_UID_RANGE,
} from "../../uapi/fib-rules.ts";
import { NLMSG_HDRLEN } from "../../uapi/netlink.ts";
import {
  RT_TABLE_COMPAT, RT_TABLE_LOCAL, RTM_DELRULE, RTM_GETRULE, RTM_NEWRULE, RTNLGRP_IPV4_RULE,
} from "../../uapi/rtnetlink.ts";
import { AF_INET, AF_UNSPEC } from "../../uapi/socket.ts";
import { nlErrMsg } from "../core/extack.ts";
import type { Net } from "../core/net.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { FibRule, fibRuleReset, FibWalk } from "../ipv4/fib-config.ts";
import { fibRuleNotifierRegister } from "../ipv4/fib-frontend.ts";
import { fibDefaultRulePref, fibRuleAdd, fibRuleDel, fibRuleWalkNext, fibRuleWalkStart } from "../ipv4/fib-rules.ts";
import { ipAdvancedRouter } from "../ipv4/ip-parts.ts";
import { nlmsgPutDump } from "./netlink-deliver.ts";
import type { NetlinkSk, NetlinkSock } from "./netlink-sock.ts";
import {
  createNlaString, nlaAddrOr0, nlaGet, nlaGetU8, nlaGetU32, nlaParse, nlaPutAddr, nlaPutString, nlaPutU32, nlaPutU8,
  nlaU32Or, nlmsgFinish, nlmsgPut,
} from "./nlattr.ts";
import {
  nlmsgFlags, nlmsgHeaderOk, nlmsgLength, rtnlHasListeners, rtnlNotify, rtnlRegister, rtnlSkb, strictCheck,
} from "./rtnetlink.ts";

/** fib_rule_hdr: its size and the offsets of its fields behind the message header. */
const RULE_HDR_BYTES = 12;
const FRH_DST_LEN = NLMSG_HDRLEN + 1;
const FRH_SRC_LEN = NLMSG_HDRLEN + 2;
const FRH_TOS = NLMSG_HDRLEN + 3;
const FRH_TABLE = NLMSG_HDRLEN + 4;
const FRH_ACTION = NLMSG_HDRLEN + 7;
const FRH_FLAGS = NLMSG_HDRLEN + 8;
const ATTRS = NLMSG_HDRLEN + RULE_HDR_BYTES;
/** A port range or a user range: more than a rule here can match. */
const RANGE_BYTES = 4;
/** The bits of a TOS that are congestion's. */
const ECN_BITS = 3;

let record: FibRule;
let walk: FibWalk;

/** The shortest payloads. Linux: fib_rule_policy. */
function rulePolicy(type: number): number {
  switch (type) {
    case FRA_IIFNAME:
    case FRA_OIFNAME:
      return 1;
    case FRA_PROTOCOL:
    case FRA_IP_PROTO:
      return 1;
    case FRA_SPORT_RANGE:
    case FRA_DPORT_RANGE:
      return RANGE_BYTES;
    case FRA_UID_RANGE:
      return RANGE_BYTES * 2;
    case FRA_DST:
    case FRA_SRC:
    case FRA_PRIORITY:
    case FRA_FWMARK:
    case FRA_FWMASK:
    case FRA_FLOW:
    case FRA_TABLE:
    case FRA_GOTO:
    case FRA_SUPPRESS_PREFIXLEN:
    case FRA_SUPPRESS_IFGROUP:
      return 4;
    default:
      return 0;
  }
}

/** Boot: rules can be asked for and changed, and changes are told. After fibInit() and rtnetlinkInit(). */
export function rtnlRuleInit(): void {
  record = account("rtnetlink", new FibRule());
  walk = account("rtnetlink", new FibWalk());
  rtnlRegister(RTM_NEWRULE, AF_INET, rtmNewrule, null);
  rtnlRegister(RTM_DELRULE, AF_INET, rtmDelrule, null);
  rtnlRegister(RTM_NEWRULE, AF_UNSPEC, ruleOtherFamily, null);
  rtnlRegister(RTM_DELRULE, AF_UNSPEC, ruleOtherFamily, null);
  rtnlRegister(RTM_GETRULE, AF_UNSPEC, null, dumpRules);
  fibRuleNotifierRegister(account("rtnetlink", new NotifierBlock<FibRule>(rtnlRuleEvent)));
}

function ruleOtherFamily(): number {
  return nlErrMsg(-EAFNOSUPPORT, "Rule family not supported");
}

/** Reads a rule. Linux: fib_nl2rule(). */
function ruleFromMessage(net: Net, nlh: number, rule: FibRule): number {
  const short = nlmsgHeaderOk(nlh, RULE_HDR_BYTES);
  if (short !== 0) return nlErrMsg(-EINVAL, "Invalid msg length");
  const err = nlaParse(nlh + ATTRS, nlh + nlmsgLength(nlh), FRA_MAX, rulePolicy);
  if (err !== 0) return nlErrMsg(err, "Error parsing msg");
  const srcLen = mem8[nlh + FRH_SRC_LEN]!;
  const dstLen = mem8[nlh + FRH_DST_LEN]!;
  if (srcLen !== 0 && (nlaGet(FRA_SRC) === 0 || srcLen > 32)) return nlErrMsg(-EINVAL, "Invalid rule source address");
  if (dstLen !== 0 && (nlaGet(FRA_DST) === 0 || dstLen > 32)) return nlErrMsg(-EINVAL, "Invalid rule dest address");
  if (nlaGet(FRA_IP_PROTO) !== 0 || nlaGet(FRA_SPORT_RANGE) !== 0 || nlaGet(FRA_DPORT_RANGE) !== 0
    || nlaGet(FRA_UID_RANGE) !== 0) {
    return nlErrMsg(-EOPNOTSUPP, "Rules ask for no protocols, ports or users here");
  }
  if ((mem8[nlh + FRH_TOS]! & ECN_BITS) !== 0) return nlErrMsg(-EINVAL, "Invalid dsfield (tos): ECN bits must be 0");
  const table = nlaU32Or(FRA_TABLE, mem8[nlh + FRH_TABLE]!);
  if (table < 0 || table > RT_TABLE_LOCAL) return nlErrMsg(-EINVAL, "Tables have numbers up to 255 here");
  fibRuleReset(rule);
  rule.srcLen = srcLen;
  rule.dstLen = dstLen;
  rule.src = srcLen === 0 ? 0 : nlaAddrOr0(FRA_SRC);
  rule.dst = dstLen === 0 ? 0 : nlaAddrOr0(FRA_DST);
  rule.tos = mem8[nlh + FRH_TOS]!;
  rule.action = mem8[nlh + FRH_ACTION]!;
  rule.table = table;
  rule.flags = memView.getInt32(nlh + FRH_FLAGS, true);
  rule.priority = nlaU32Or(FRA_PRIORITY, -1);
  rule.mark = nlaU32Or(FRA_FWMARK, 0);
  rule.markMask = nlaU32Or(FRA_FWMASK, rule.mark !== 0 ? -1 : 0);
  rule.suppressPrefixlen = nlaU32Or(FRA_SUPPRESS_PREFIXLEN, -1);
  const proto = nlaGet(FRA_PROTOCOL);
  rule.protocol = proto === 0 ? 0 : nlaGetU8(proto);
  const target = nlaGet(FRA_GOTO);
  if (target !== 0) {
    if (rule.action !== FR_ACT_GOTO) return nlErrMsg(-EINVAL, "Unexpected goto");
    rule.target = nlaGetU32(target);
    const priority = rule.priority < 0 ? fibDefaultRulePref(net) : rule.priority;
    if (rule.target <= priority) return nlErrMsg(-EINVAL, "Backward goto not supported");
  } else if (rule.action === FR_ACT_GOTO) {
    return nlErrMsg(-EINVAL, "Missing goto target for action goto");
  }
  readNames(rule);
  return 0;
}

function readNames(rule: FibRule): void {
  const iif = nlaGet(FRA_IIFNAME);
  const oif = nlaGet(FRA_OIFNAME);
  if (iif !== 0) rule.iifname = createNlaString(iif);
  if (oif !== 0) rule.oifname = createNlaString(oif);
}

function rtmNewrule(_skb: SkBuff, nlh: number, sk: NetlinkSk): number {
  if (ipAdvancedRouter === null) return -EOPNOTSUPP;
  const err = ruleFromMessage(sk.net, nlh, record);
  return err !== 0 ? err : fibRuleAdd(sk.net, record, nlmsgFlags(nlh));
}

function rtmDelrule(_skb: SkBuff, nlh: number, sk: NetlinkSk): number {
  if (ipAdvancedRouter === null) return -EOPNOTSUPP;
  const err = ruleFromMessage(sk.net, nlh, record);
  return err !== 0 ? err : fibRuleDel(sk.net, record);
}

/** Writes a rule behind the header `nlh`: 0, or -EMSGSIZE after taking it back. Linux: fib_nl_fill_rule(). */
function fillRule(skb: SkBuff, nlh: number, rule: FibRule): number {
  if (nlh < 0) return -EMSGSIZE;
  mem8[nlh + NLMSG_HDRLEN] = AF_INET;
  mem8[nlh + FRH_DST_LEN] = rule.dstLen;
  mem8[nlh + FRH_SRC_LEN] = rule.srcLen;
  mem8[nlh + FRH_TOS] = rule.tos;
  mem8[nlh + FRH_TABLE] = rule.table < 256 ? rule.table : RT_TABLE_COMPAT;
  mem8[nlh + FRH_ACTION] = rule.action;
  memView.setInt32(nlh + FRH_FLAGS, rule.flags, true);
  const fits = nlaPutU32(skb, FRA_TABLE, rule.action === FR_ACT_TO_TBL ? rule.table : 0)
    && nlaPutU32(skb, FRA_SUPPRESS_PREFIXLEN, rule.suppressPrefixlen)
    && nlaPutU8(skb, FRA_PROTOCOL, rule.protocol)
    && (rule.iifname === "" || nlaPutString(skb, FRA_IIFNAME, rule.iifname))
    && (rule.oifname === "" || nlaPutString(skb, FRA_OIFNAME, rule.oifname))
    && (rule.priority === 0 || nlaPutU32(skb, FRA_PRIORITY, rule.priority))
    && (rule.mark === 0 || nlaPutU32(skb, FRA_FWMARK, rule.mark))
    && ((rule.mark | rule.markMask) === 0 || nlaPutU32(skb, FRA_FWMASK, rule.markMask))
    && (rule.target === 0 || nlaPutU32(skb, FRA_GOTO, rule.target))
    && (rule.dstLen === 0 || nlaPutAddr(skb, FRA_DST, rule.dst))
    && (rule.srcLen === 0 || nlaPutAddr(skb, FRA_SRC, rule.src));
  return nlmsgFinish(skb, nlh, fits);
}

/** All rules in order; arg0 is how many are told. Linux: fib_nl_dumprule(). */
function dumpRules(skb: SkBuff, cb: NetlinkSock): number {
  if (ipAdvancedRouter === null) return -EOPNOTSUPP;
  const nlh = cb.nlh;
  if (strictCheck(cb) && nlmsgLength(nlh) < ATTRS) return nlErrMsg(-EINVAL, "Invalid header for fib rule dump request");
  const family = mem8[nlh + NLMSG_HDRLEN]!;
  if (family !== AF_UNSPEC && family !== AF_INET) return 0;
  fibRuleWalkStart(walk, cb.net!);
  let index = 0;
  let result = 0;
  while (result === 0 && fibRuleWalkNext(walk, record)) {
    if (index++ < cb.arg0) continue;
    result = fillRule(skb, nlmsgPutDump(skb, cb, RTM_NEWRULE, RULE_HDR_BYTES), record);
    if (result === 0) cb.arg0 = index;
  }
  walk.net = null;
  return result;
}

/** Linux: notify_rule_change(). */
function rtnlRuleEvent(event: number, rule: FibRule): number {
  const net = rule.net!;
  if (!rtnlHasListeners(net, RTNLGRP_IPV4_RULE)) return NOTIFY_DONE;
  const skb = rtnlSkb();
  if (skb === null) return NOTIFY_DONE;
  const filled = fillRule(skb, nlmsgPut(skb, 0, 0, event, RULE_HDR_BYTES, 0), rule);
  rtnlNotify(net, skb, RTNLGRP_IPV4_RULE, filled);
  return NOTIFY_DONE;
}
