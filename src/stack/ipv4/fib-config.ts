/**
 * What the doors to the routing tables speak: a route, a policy rule, and the place of a dump, as records that are made once
 * and reused. Linux: struct fib_config of include/net/ip_fib.h, struct fib_rule of include/net/fib_rules.h with the part of
 * net/ipv4/fib_rules.c. rtnetlink, ioctl and the text commands fill and read them; the tables keep nothing of them.
 */
import { EINVAL, ENOBUFS } from "../../uapi/errno.ts";
import {
  RT_SCOPE_UNIVERSE, RT_TABLE_MAIN, RTAX_ADVMSS, RTAX_CC_ALGO, RTAX_FEATURE_ECN, RTAX_FEATURES, RTAX_HOPLIMIT, RTAX_MAX, RTAX_MTU,
  RTN_UNICAST, RTNH_F_DEAD, RTNH_F_LINKDOWN, RTPROT_UNSPEC,
} from "../../uapi/rtnetlink.ts";
import { FR_ACT_TO_TBL } from "../../uapi/fib-rules.ts";
import type { Net } from "../core/net.ts";

/** Columns of FibConfig.nexthops. */
export const FIB_NH_OIF = 0;
export const FIB_NH_GW = 1;
/** RTNH_F_* */
export const FIB_NH_FLAGS = 2;
/** 1..256 */
export const FIB_NH_WEIGHT = 3;
/** Ints of a row. */
export const FIB_NH_INTS = 4;

/** Largest values Linux takes for these metrics. */
const MAX_MTU = 65520;
const MAX_ADVMSS = 65495;
const MAX_HOPLIMIT = 255;

let maxNexthops: number;
let withMetrics: boolean;

/**
 * Boot time, before the first FibConfig is made.
 * @param nexthops most next hops of one route @param metrics do routes keep metrics other than MTU and ADVMSS?
 */
export function fibConfigInit(nexthops: number, metrics: boolean): void {
  maxNexthops = nexthops;
  withMetrics = metrics;
}

/** A route as it is asked for, dumped or announced. Make it once and set what differs. Linux: struct fib_config. */
export class FibConfig {
  /** Prefix, host bits zero. */
  dst = 0;
  /** 0..32 */
  dstLen = 0;
  /** The bits of IPTOS_RT_MASK. */
  tos = 0;
  /** RT_TABLE_*, RT_TABLE_UNSPEC for main. */
  table = RT_TABLE_MAIN;
  /** RTN_*; on deletion RTN_UNSPEC matches any. */
  type = RTN_UNICAST;
  /** RT_SCOPE_*; on deletion RT_SCOPE_NOWHERE matches any. */
  scope = RT_SCOPE_UNIVERSE;
  /** RTPROT_* */
  protocol = RTPROT_UNSPEC;
  /** ifindex, 0 for the one the gateway is on. */
  oif = 0;
  /** 0 for none. */
  gw = 0;
  prefsrc = 0;
  priority = 0;
  /** RTNH_F_* of the only next hop; RTNH_F_ONLINK when asked for. */
  flags = 0;
  /** RTAX_MTU, 0 for none. */
  mtu = 0;
  /** RTAX_ADVMSS, 0 for none. */
  advmss = 0;
  /** NLM_F_CREATE, EXCL, REPLACE, APPEND of the request; of an announcement those of its header. */
  nlflags = 0;
  /** Next hops of a multipath route in `nexthops`; 0: oif, gw and flags are the only one. */
  nhs = 0;
  /** Rows of FIB_NH_INTS; null when the board has no multipath routes. */
  readonly nexthops: Int32Array | null;
  /** The other metrics by RTAX_*; null when the board keeps none. */
  readonly metrics: Int32Array | null;
  /** Namespace of an announcement. */
  net: Net | null = null;

  constructor() {
    this.nexthops = maxNexthops > 1 ? new Int32Array(maxNexthops * FIB_NH_INTS) : null;
    this.metrics = withMetrics ? new Int32Array(RTAX_MAX + 1) : null;
  }
}

/** Sets a configuration back to a plain unicast route of main. */
export function fibConfigReset(cfg: FibConfig): void {
  cfg.dst = cfg.dstLen = cfg.tos = cfg.oif = cfg.gw = cfg.prefsrc = cfg.priority = cfg.flags = cfg.mtu = cfg.advmss = 0;
  cfg.nlflags = cfg.nhs = 0;
  cfg.table = RT_TABLE_MAIN;
  cfg.type = RTN_UNICAST;
  cfg.scope = RT_SCOPE_UNIVERSE;
  cfg.protocol = RTPROT_UNSPEC;
  cfg.metrics?.fill(0);
}

/**
 * Adds a next hop of a multipath route (RTA_MULTIPATH).
 * @param weight 1..256, rtnh_hops and one
 * @returns 0; -EINVAL (flags, weight), -ENOBUFS (more than the board has room for)
 */
export function fibConfigAddNexthop(cfg: FibConfig, oif: number, gw: number, flags: number, weight: number): number {
  if ((flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN)) !== 0 || weight < 1 || weight > 256) return -EINVAL;
  const rows = cfg.nexthops;
  if (rows === null || cfg.nhs === maxNexthops) return -ENOBUFS;
  const at = cfg.nhs * FIB_NH_INTS;
  rows[at + FIB_NH_OIF] = oif;
  rows[at + FIB_NH_GW] = gw;
  rows[at + FIB_NH_FLAGS] = flags;
  rows[at + FIB_NH_WEIGHT] = weight;
  cfg.nhs++;
  return 0;
}

/**
 * Sets a metric (RTA_METRICS). Linux: ip_metrics_convert().
 * @returns 0; -EINVAL (no such metric, a hop limit over 255, an unknown feature), -ENOBUFS (the board keeps none but MTU and
 *   ADVMSS)
 */
export function fibConfigSetMetric(cfg: FibConfig, metric: number, value: number): number {
  if (metric < 1 || metric > RTAX_MAX || metric === RTAX_CC_ALGO) return -EINVAL;
  if (metric === RTAX_MTU) {
    cfg.mtu = value >>> 0 > MAX_MTU ? MAX_MTU : value;
    return 0;
  }
  if (metric === RTAX_ADVMSS) {
    cfg.advmss = value >>> 0 > MAX_ADVMSS ? MAX_ADVMSS : value;
    return 0;
  }
  if (metric === RTAX_FEATURES && (value & ~RTAX_FEATURE_ECN) !== 0) return -EINVAL;
  const metrics = cfg.metrics;
  if (metrics === null) return value === 0 ? 0 : -ENOBUFS;
  metrics[metric] = metric === RTAX_HOPLIMIT && value >>> 0 > MAX_HOPLIMIT ? MAX_HOPLIMIT : value;
  return 0;
}

/** A metric of the route (RTAX_*), 0 for none. */
export function fibConfigMetric(cfg: FibConfig, metric: number): number {
  if (metric === RTAX_MTU) return cfg.mtu;
  if (metric === RTAX_ADVMSS) return cfg.advmss;
  const metrics = cfg.metrics;
  return metrics === null ? 0 : metrics[metric]!;
}

/**
 * A policy rule as it is asked for, dumped or announced; on deletion what is 0 (or empty, or -1) matches any. Linux: struct
 * fib_rule, struct fib4_rule.
 */
export class FibRule {
  /** 0..0x7fffffff; -1: not given. */
  priority = -1;
  /** FR_ACT_* */
  action = FR_ACT_TO_TBL;
  /** RT_TABLE_*; RT_TABLE_UNSPEC with FR_ACT_TO_TBL on insertion takes a free one. */
  table = 0;
  src = 0;
  srcLen = 0;
  dst = 0;
  dstLen = 0;
  tos = 0;
  mark = 0;
  /** 0 and a mark means all bits. */
  markMask = 0;
  /** Priority of the rule that FR_ACT_GOTO goes on with. */
  target = 0;
  /** A route of at most that prefix length does not count; -1: any does. */
  suppressPrefixlen = -1;
  /** FIB_RULE_INVERT when asked for; FIB_RULE_UNRESOLVED, IIF_DETACHED, OIF_DETACHED when dumped. */
  flags = 0;
  /** RTPROT_* */
  protocol = 0;
  /** Device a packet came in by ("lo": this host's own), empty for any. */
  iifname = "";
  oifname = "";
  /** Namespace of an announcement. */
  net: Net | null = null;
}

/** Sets a rule back to one that matches everything. */
export function fibRuleReset(rule: FibRule): void {
  rule.priority = rule.suppressPrefixlen = -1;
  rule.action = FR_ACT_TO_TBL;
  rule.table = rule.src = rule.srcLen = rule.dst = rule.dstLen = rule.tos = rule.mark = rule.markMask = 0;
  rule.target = rule.flags = rule.protocol = 0;
  rule.iifname = rule.oifname = "";
}

/** How far a dump of routes or rules has come; what changes meanwhile is neither missed twice nor shown twice. */
export class FibWalk {
  net: Net | null = null;
  /** Only that table; 0 for all. */
  only = 0;
  /** Table being dumped, 0 at the end. */
  table = 0;
  /** Least key of the next leaf. */
  key = 0;
  /** Routes of the leaf already seen; for rules: rules seen. */
  index = 0;
}
