/**
 * Policy rules: which table is asked for a packet. Linux: net/ipv4/fib_rules.c, net/core/fib_rules.c. Owns the rules of each
 * namespace: 0 asks local, 32766 main, 32767 default.
 *
 * Read first: ip-rule(8).
 */
import { EOPNOTSUPP } from "../../uapi/errno.ts";
import { RT_TABLE_DEFAULT, RT_TABLE_LOCAL, RT_TABLE_MAIN, RTPROT_KERNEL } from "../../uapi/rtnetlink.ts";
import type { Net } from "../core/net.ts";
import { type FibRule, fibRuleReset, type FibWalk } from "./fib-config.ts";

const RULE_LOCAL = 0;
const RULE_MAIN = 0x7ffe;
const RULE_DEFAULT = 0x7fff;

/**
 * Adds a rule. Linux: fib_nl_newrule().
 * @param nlflags NLM_F_EXCL refuses a second equal one
 * @returns 0; -EEXIST, -EINVAL (lengths, host bits, TOS, a GOTO that does not go forward), -ENOBUFS (no row or no free table)
 */
export function fibRuleAdd(_net: Net, _rule: FibRule, _nlflags: number): number {
  return -EOPNOTSUPP;
}

/** Removes the first rule that matches what is given. Linux: fib_nl_delrule(). @returns 0, -ENOENT, -EINVAL */
export function fibRuleDel(_net: Net, _rule: FibRule): number {
  return -EOPNOTSUPP;
}

/** Begins a dump of the rules. Linux: fib_nl_dumprule(). */
export function fibRuleWalkStart(walk: FibWalk, net: Net): void {
  walk.net = net;
  walk.index = 0;
}

/** The next rule in order of priority, into `rule`; false at the end. */
export function fibRuleWalkNext(walk: FibWalk, rule: FibRule): boolean {
  const index = walk.index;
  if (index > 2) return false;
  walk.index++;
  fibRuleReset(rule);
  rule.net = walk.net;
  rule.protocol = RTPROT_KERNEL;
  rule.priority = index === 0 ? RULE_LOCAL : index === 1 ? RULE_MAIN : RULE_DEFAULT;
  rule.table = index === 0 ? RT_TABLE_LOCAL : index === 1 ? RT_TABLE_MAIN : RT_TABLE_DEFAULT;
  return true;
}
