/**
 * Policy rules: which table is asked for a packet. Linux: net/ipv4/fib_rules.c, net/core/fib_rules.c. Owns the rules of each
 * namespace: 0 asks local, 32766 main, 32767 default.
 *
 * Until a namespace's rules are changed these three are not there as rows: fibLookup() knows them. The first change makes
 * them, and gives the local table a trie of its own.
 *
 * Read first: ip-rule(8).
 */
import { account } from "../../lib/account.ts";
import { notifierChainCall } from "../../lib/notifier.ts";
import { POOL_WORDS, rowAlloc, rowFree, type RowPool, rowsCreate, rowsLeft } from "../../lib/pool.ts";
import { words, wordTable } from "../../lib/table.ts";
import { devGetByName } from "../../netif/dev.ts";
import { EACCES, EAGAIN, EEXIST, EINVAL, ENETUNREACH, ENOBUFS, ENOENT } from "../../uapi/errno.ts";
import {
  FIB_RULE_IIF_DETACHED, FIB_RULE_INVERT, FIB_RULE_OIF_DETACHED, FIB_RULE_UNRESOLVED, FR_ACT_GOTO, FR_ACT_NOP,
  FR_ACT_PROHIBIT, FR_ACT_TO_TBL, FR_ACT_UNREACHABLE, FR_ACT_UNSPEC,
} from "../../uapi/fib-rules.ts";
import { NLM_F_EXCL } from "../../uapi/netlink.ts";
import { RT_TABLE_DEFAULT, RT_TABLE_LOCAL, RT_TABLE_MAIN, RTM_DELRULE, RTM_NEWRULE, RTPROT_KERNEL } from "../../uapi/rtnetlink.ts";
import type { Net } from "../core/net.ts";
import { fibEmptyTable, fibGetTable, fibNewTable, fibUnmerge } from "./fib-alias.ts";
import { FibRule, fibRuleReset, type FibWalk } from "./fib-config.ts";
import { fibRuleChain } from "./fib-frontend.ts";
import type { NetFib } from "./fib-semantics.ts";
import { trieLookup } from "./fib-trie-lookup.ts";
import type { FibResult, Flowi4 } from "./flow.ts";
import { rtCacheFlush } from "./route-cache.ts";

/** Words of a rule, and its columns. */
const RULE_INTS = 11;
const RULE_NEXT = 0;
const RULE_PRIORITY = 1;
/** Action, table, TOS, protocol: 8 bits each. */
const RULE_WORD = 2;
/** Flags, source length, destination length, suppressed prefix length and one: 8 bits each. */
const RULE_LENGTHS = 3;
const RULE_SRC = 4;
const RULE_DST = 5;
/** ifindex, 0 for any, -1: the device is not there. */
const RULE_IIF = 6;
const RULE_OIF = 7;
const RULE_MARK = 8;
const RULE_MASK = 9;
/** Priority of the rule that FR_ACT_GOTO goes on with. */
const RULE_TARGET = 10;

const PRIORITY_MAIN = 0x7ffe;
const PRIORITY_DEFAULT = 0x7fff;
/** ifindex of the loopback device: what this host sends comes from it. */
const LOOPBACK_IFINDEX = 1;

/** null when the rules cannot be changed. */
let fibRuleRows: RowPool | null;
let fibRuleBase: number;
/** Names of the devices of each rule: iif, oif. */
let names: string[];
/** A default rule on its way to a row. */
let given: FibRule;

/** Words that fibRulesInit() takes. */
export function fibRulesWords(count: number): number {
  return count === 0 ? 0 : count * RULE_INTS + POOL_WORDS;
}

/**
 * Boot time. @param count rules of all namespaces: 0, or at least 4, for a namespace's first change makes its three default ones, too
 */
export function fibRulesInit(count: number): void {
  fibRuleBase = wordTable("fib_rules", count * RULE_INTS);
  fibRuleRows = count === 0 ? null : rowsCreate("fib_rules", fibRuleBase, count, RULE_INTS);
  names = count === 0 ? [] : account("fib_rules", new Array<string>(count * 2).fill(""));
  if (count > 0) given = account("fib_rules", new FibRule());
}

function maskOf(length: number): number {
  return length === 0 ? 0 : -1 << (32 - length);
}

/** Linux: fib_rule_match(), fib4_rule_match(). */
function matches(rule: number, flow: Flowi4): boolean {
  const iif = words[rule + RULE_IIF]!;
  const oif = words[rule + RULE_OIF]!;
  const lengths = words[rule + RULE_LENGTHS]!;
  const tos = (words[rule + RULE_WORD]! >> 16) & 255;
  const match = (iif === 0 || iif === (flow.iif === 0 ? LOOPBACK_IFINDEX : flow.iif)) && (oif === 0 || oif === flow.oif)
    && ((words[rule + RULE_MARK]! ^ flow.mark) & words[rule + RULE_MASK]!) === 0
    && ((flow.saddr ^ words[rule + RULE_SRC]!) & maskOf((lengths >> 8) & 255)) === 0
    && ((flow.daddr ^ words[rule + RULE_DST]!) & maskOf((lengths >> 16) & 255)) === 0 && (tos === 0 || tos === flow.tos);
  return (lengths & FIB_RULE_INVERT) !== 0 ? !match : match;
}

/** What a rule that matches says; -EAGAIN: go on. */
function act(net: Net, rule: number, action: number, flow: Flowi4, res: FibResult): number {
  switch (action) {
    case FR_ACT_TO_TBL: {
      const tb = fibGetTable(net, (words[rule + RULE_WORD]! >> 8) & 255);
      const error = tb === 0 ? -EAGAIN : trieLookup(tb, flow.daddr, flow, res);
      // Suppressed: a route of so short a prefix does not count.
      return error === 0 && 32 - res.slen < words[rule + RULE_LENGTHS]! >>> 24 ? -EAGAIN : error;
    }
    case FR_ACT_UNREACHABLE:
      return -ENETUNREACH;
    case FR_ACT_PROHIBIT:
      return -EACCES;
    case FR_ACT_NOP:
      return -EAGAIN;
    default:
      return -EINVAL;
  }
}

/** Asks the tables in the order of the rules. Linux: fib_rules_lookup(). @returns as fibLookup() */
export function fibRulesLookup(net: Net, flow: Flowi4, res: FibResult): number {
  let rule = (net.fib as NetFib).rules;
  while (rule !== 0) {
    if (matches(rule, flow)) {
      const action = words[rule + RULE_WORD]! & 255;
      if (action === FR_ACT_GOTO) {
        const target = findPriority(net, words[rule + RULE_TARGET]!);
        if (target !== 0) {
          rule = target;
          continue;
        }
      } else {
        const error = act(net, rule, action, flow, res);
        if (error !== -EAGAIN) return error;
      }
    }
    rule = words[rule + RULE_NEXT]!;
  }
  return -ENETUNREACH;
}

/** The first rule of that priority, or 0. */
function findPriority(net: Net, priority: number): number {
  let rule = (net.fib as NetFib).rules;
  while (rule !== 0 && words[rule + RULE_PRIORITY] !== priority) rule = words[rule + RULE_NEXT]!;
  return rule;
}

function nameSlot(rule: number): number {
  return ((rule - fibRuleBase) / RULE_INTS | 0) * 2;
}

/** Gives a rule a row and its place: behind those of the same priority. -ENOBUFS when there is none. */
function link(net: Net, from: FibRule): number {
  const fib = net.fib as NetFib;
  const rule = fibRuleRows === null ? 0 : rowAlloc(fibRuleRows);
  if (rule === 0) return -ENOBUFS;
  const slot = nameSlot(rule);
  names[slot] = from.iifname;
  names[slot + 1] = from.oifname;
  words[rule + RULE_PRIORITY] = from.priority;
  words[rule + RULE_WORD] = from.action | (from.table << 8) | (from.tos << 16) | (from.protocol << 24);
  words[rule + RULE_LENGTHS] = (from.flags & FIB_RULE_INVERT) | (from.srcLen << 8) | (from.dstLen << 16)
    | ((from.suppressPrefixlen + 1) << 24);
  words[rule + RULE_SRC] = from.src;
  words[rule + RULE_DST] = from.dst;
  words[rule + RULE_MARK] = from.mark;
  words[rule + RULE_MASK] = from.mark !== 0 && from.markMask === 0 ? -1 : from.markMask;
  words[rule + RULE_TARGET] = from.target;
  attach(net, rule);
  let before = 0;
  for (let at = fib.rules; at !== 0 && words[at + RULE_PRIORITY]! <= from.priority; at = words[at + RULE_NEXT]!) before = at;
  if (before === 0) {
    words[rule + RULE_NEXT] = fib.rules;
    fib.rules = rule;
  } else {
    words[rule + RULE_NEXT] = words[before + RULE_NEXT]!;
    words[before + RULE_NEXT] = rule;
  }
  return 0;
}

/** Finds the devices of a rule by their names. */
function attach(net: Net, rule: number): void {
  const slot = nameSlot(rule);
  words[rule + RULE_IIF] = names[slot] === "" ? 0 : devGetByName(net, names[slot]!)?.ifindex ?? -1;
  words[rule + RULE_OIF] = names[slot + 1] === "" ? 0 : devGetByName(net, names[slot + 1]!)?.ifindex ?? -1;
}

/** Devices have come, gone or been renamed. Linux: fib_rules_event(). */
export function fibRulesAttach(net: Net): void {
  for (let rule = (net.fib as NetFib).rules; rule > 0; rule = words[rule + RULE_NEXT]!) attach(net, rule);
}

/** Makes the three rules that were only known, and splits local from main. Linux: fib_default_rules_init(), fib_unmerge(). */
function customise(net: Net): number {
  const fib = net.fib as NetFib;
  if (fib.rules >= 0) return 0;
  if (fibRuleRows === null || rowsLeft(fibRuleRows) < 3) return -ENOBUFS;
  const err = fibUnmerge(net);
  if (err !== 0) return err;
  fib.rules = 0;
  for (let i = 0; i < 3; i++) {
    defaultRule(given, i);
    link(net, given);
  }
  return 0;
}

function defaultRule(rule: FibRule, index: number): void {
  fibRuleReset(rule);
  rule.protocol = RTPROT_KERNEL;
  rule.priority = index === 0 ? 0 : index === 1 ? PRIORITY_MAIN : PRIORITY_DEFAULT;
  rule.table = index === 0 ? RT_TABLE_LOCAL : index === 1 ? RT_TABLE_MAIN : RT_TABLE_DEFAULT;
}

/** 0, or -EINVAL: lengths, TOS, table, action, a GOTO that does not go forward. Linux: fib_nl2rule(), fib4_rule_configure(). */
function checkRule(rule: FibRule): number {
  const { action, srcLen, dstLen } = rule;
  if (srcLen < 0 || srcLen > 32 || dstLen < 0 || dstLen > 32 || (rule.tos & ~0xfc) !== 0) return -EINVAL;
  if (rule.table < 0 || rule.table > RT_TABLE_LOCAL) return -EINVAL;
  if (action === FR_ACT_UNSPEC || action > FR_ACT_PROHIBIT) return -EINVAL;
  return action === FR_ACT_GOTO ? (rule.target <= rule.priority ? -EINVAL : 0) : rule.target !== 0 ? -EINVAL : 0;
}

/** The priority of a rule that names none: one less than that of the second rule. Linux: fib_default_rule_pref(). */
export function fibDefaultRulePref(net: Net): number {
  const fib = net.fib as NetFib;
  if (fib.rules < 0) return PRIORITY_MAIN - 1;
  const second = fib.rules === 0 ? 0 : words[fib.rules + RULE_NEXT]!;
  if (second === 0) return 0;
  const priority = words[second + RULE_PRIORITY]!;
  return priority > 0 ? priority - 1 : 0;
}

/** Has the rule those of source, destination and TOS that are given? Linux: fib4_rule_compare(). */
function compare(at: number, rule: FibRule): boolean {
  const lengths = words[at + RULE_LENGTHS]!;
  return (rule.srcLen === 0 || (rule.srcLen === ((lengths >> 8) & 255) && rule.src === words[at + RULE_SRC]))
    && (rule.dstLen === 0 || (rule.dstLen === ((lengths >> 16) & 255) && rule.dst === words[at + RULE_DST]))
    && (rule.tos === 0 || rule.tos === ((words[at + RULE_WORD]! >> 16) & 255));
}

/**
 * Does a rule stand in the way of a new one that must be the first of its kind? Its target and whether it is inverted do not
 * matter. Linux: rule_exists().
 */
function ruleExists(at: number, rule: FibRule): boolean {
  const word = words[at + RULE_WORD]!;
  const slot = nameSlot(at);
  const mask = rule.mark !== 0 && rule.markMask === 0 ? -1 : rule.markMask;
  return words[at + RULE_PRIORITY] === rule.priority && (word & 255) === rule.action && ((word >> 8) & 255) === rule.table
    && word >>> 24 === rule.protocol && words[at + RULE_LENGTHS]! >>> 24 === rule.suppressPrefixlen + 1
    && words[at + RULE_MARK] === rule.mark && words[at + RULE_MASK] === mask
    && names[slot] === rule.iifname && names[slot + 1] === rule.oifname && compare(at, rule);
}

/**
 * Adds a rule; fills in priority and table where they were not given. Linux: fib_nl_newrule().
 * @param nlflags NLM_F_EXCL refuses one that a rule of that priority stands for already, see ruleExists()
 * @returns 0; -EEXIST, -EINVAL (lengths, TOS, action, a GOTO that does not go forward), -ENOBUFS (no row, no free
 *   table, or no memory for a trie of local's own)
 */
function fibRuleInsert(net: Net, rule: FibRule, nlflags: number): number {
  if (rule.priority < 0) rule.priority = fibDefaultRulePref(net);
  const invalid = checkRule(rule);
  if (invalid !== 0) return invalid;
  const err = customise(net);
  if (err !== 0) return err;
  if ((nlflags & NLM_F_EXCL) !== 0) {
    for (let at = (net.fib as NetFib).rules; at !== 0; at = words[at + RULE_NEXT]!) if (ruleExists(at, rule)) return -EEXIST;
  }
  if (rule.action === FR_ACT_TO_TBL && rule.table === 0) {
    const free = fibEmptyTable(net);
    if (free === 0 || fibNewTable(net, free) === 0) return -ENOBUFS;
    rule.table = free;
  }
  return link(net, rule);
}

/** Does the rule match what is given for its deletion? Linux: rule_find(). */
function wanted(at: number, rule: FibRule): boolean {
  const word = words[at + RULE_WORD]!;
  const slot = nameSlot(at);
  return (rule.priority < 0 || rule.priority === words[at + RULE_PRIORITY])
    && (rule.action === FR_ACT_UNSPEC || rule.action === (word & 255)) && (rule.table === 0 || rule.table === ((word >> 8) & 255))
    && (rule.protocol === 0 || rule.protocol === word >>> 24)
    && (rule.suppressPrefixlen < 0 || rule.suppressPrefixlen + 1 === words[at + RULE_LENGTHS]! >>> 24)
    && (rule.mark === 0 || rule.mark === words[at + RULE_MARK]) && (rule.markMask === 0 || rule.markMask === words[at + RULE_MASK])
    && (rule.iifname === "" || rule.iifname === names[slot]) && (rule.oifname === "" || rule.oifname === names[slot + 1])
    && compare(at, rule);
}

/**
 * Removes the first rule that matches what is given, and says in `rule` which it was. Linux: fib_nl_delrule().
 * @returns 0; -ENOENT, -EINVAL (lengths), -ENOBUFS (no memory to leave the unchanged rules)
 */
function fibRuleRemove(net: Net, rule: FibRule): number {
  if (rule.srcLen > 32 || rule.dstLen > 32) return -EINVAL;
  const err = customise(net);
  if (err !== 0) return err;
  const fib = net.fib as NetFib;
  let before = 0;
  let at = fib.rules;
  while (at !== 0 && !wanted(at, rule)) {
    before = at;
    at = words[at + RULE_NEXT]!;
  }
  if (at === 0) return -ENOENT;
  describe(net, at, rule);
  if (before === 0) fib.rules = words[at + RULE_NEXT]!;
  else words[before + RULE_NEXT] = words[at + RULE_NEXT]!;
  rowFree(fibRuleRows!, at);
  return 0;
}

function describe(net: Net, at: number, rule: FibRule): void {
  const word = words[at + RULE_WORD]!;
  const lengths = words[at + RULE_LENGTHS]!;
  const slot = nameSlot(at);
  fibRuleReset(rule);
  rule.net = net;
  rule.priority = words[at + RULE_PRIORITY]!;
  rule.action = word & 255;
  rule.table = (word >> 8) & 255;
  rule.tos = (word >> 16) & 255;
  rule.protocol = word >>> 24;
  rule.srcLen = (lengths >> 8) & 255;
  rule.dstLen = (lengths >> 16) & 255;
  rule.suppressPrefixlen = (lengths >>> 24) - 1;
  rule.src = words[at + RULE_SRC]!;
  rule.dst = words[at + RULE_DST]!;
  rule.mark = words[at + RULE_MARK]!;
  rule.markMask = words[at + RULE_MASK]!;
  rule.target = words[at + RULE_TARGET]!;
  rule.iifname = names[slot]!;
  rule.oifname = names[slot + 1]!;
  rule.flags = (lengths & FIB_RULE_INVERT) | (words[at + RULE_IIF] === -1 ? FIB_RULE_IIF_DETACHED : 0)
    | (words[at + RULE_OIF] === -1 ? FIB_RULE_OIF_DETACHED : 0)
    | (rule.action === FR_ACT_GOTO && findPriority(net, rule.target) === 0 ? FIB_RULE_UNRESOLVED : 0);
}

/** Begins a dump of the rules. Linux: fib_nl_dumprule(). */
export function fibRuleWalkStart(walk: FibWalk, net: Net): void {
  walk.net = net;
  walk.index = 0;
}

/** The next rule in order of priority, into `rule`; false at the end. */
export function fibRuleWalkNext(walk: FibWalk, rule: FibRule): boolean {
  const net = walk.net!;
  const fib = net.fib as NetFib;
  const index = walk.index;
  walk.index++;
  if (fib.rules < 0) {
    if (index > 2) return false;
    defaultRule(rule, index);
    rule.net = net;
    return true;
  }
  let at = fib.rules;
  for (let i = 0; i < index && at !== 0; i++) at = words[at + RULE_NEXT]!;
  if (at === 0) return false;
  describe(net, at, rule);
  return true;
}

/** Adds a rule and announces it; errors as fibRuleInsert(). */
export function fibRuleAdd(net: Net, rule: FibRule, nlflags: number): number {
  const err = fibRuleInsert(net, rule, nlflags);
  if (err !== 0) return err;
  rule.net = net;
  rtCacheFlush(net);
  if (fibRuleChain !== null) notifierChainCall(fibRuleChain, RTM_NEWRULE, rule);
  return 0;
}

/** Removes a rule and announces it; errors as fibRuleRemove(). */
export function fibRuleDel(net: Net, rule: FibRule): number {
  const err = fibRuleRemove(net, rule);
  if (err !== 0) return err;
  rtCacheFlush(net);
  if (fibRuleChain !== null) notifierChainCall(fibRuleChain, RTM_DELRULE, rule);
  return 0;
}
