/**
 * Is a rule set one that packets can be let into? Linux: net/ipv4/netfilter/ip_tables.c, translate_table(), mark_source_chains(),
 * check_match(), check_target(). Owns nothing; what it reads lies in `words` already, behind the sets in use.
 *
 * What it makes sure of is what iptDoTable() relies on: that every walk ends at a rule with a verdict, that no chain calls itself,
 * and that calls are not deeper than the stack of jumps.
 */
import { words } from "../../lib/table.ts";
import { EINVAL, ELOOP, ENOENT } from "../../uapi/errno.ts";
import {
  IPT_F_FRAG, IPT_F_GOTO, IPT_INV_DSTIP, IPT_INV_FRAG, IPT_INV_PROTO, IPT_INV_SRCIP, IPT_INV_VIA_IN, IPT_INV_VIA_OUT,
  IPTE_COMEFROM, IPTE_DMSK, IPTE_IFLEN, IPTE_NEXT, IPTE_PROTO, IPTE_SMSK, IPTE_TARGET, IPTE_WORDS, XT_DATA, XT_NAME_WORDS, XT_RETURN,
  XT_SIZE, XT_TARGET_ERROR, XT_TARGET_STANDARD, XT_TYPE,
} from "../../uapi/ip-tables.ts";
import { NF_ACCEPT, NF_DROP, NF_INET_NUMHOOKS, NF_QUEUE } from "../../uapi/netfilter.ts";
import { JUMPS, TABLE_HOOK_ENTRY, TABLE_HOOKS, TABLE_NUM_ENTRIES, TABLE_SIZE, TABLE_UNDERFLOW } from "./ip-tables.ts";
import { type XtExtension, xtMatches, xtTargets } from "./x-tables.ts";

const FLAGS = IPT_F_FRAG | IPT_F_GOTO;
const INVERTED = IPT_INV_VIA_IN | IPT_INV_VIA_OUT | IPT_INV_SRCIP | IPT_INV_DSTIP | IPT_INV_FRAG | IPT_INV_PROTO;
/** Bit of IPTE_COMEFROM behind those of the hooks that lead to the rule: the walk is inside the chain that begins here. */
const INSIDE = 1 << NF_INET_NUMHOOKS;
const HOOK_BITS = INSIDE - 1;

/** Does the entry take every packet? Linux: unconditional(). */
function unconditional(entry: number): boolean {
  return words[entry + IPTE_TARGET] === IPTE_WORDS && words[entry + IPTE_SMSK] === 0 && words[entry + IPTE_DMSK] === 0
    && words[entry + IPTE_IFLEN] === 0 && (words[entry + IPTE_PROTO]! & ~(IPT_F_GOTO << 8)) === 0;
}

/** The shape of an entry and of what is in it: 0 or -EINVAL. @param end of the set */
function checkShape(entry: number, end: number): number {
  if (end - entry < IPTE_WORDS) return -EINVAL;
  const next = entry + words[entry + IPTE_NEXT]!;
  const target = entry + words[entry + IPTE_TARGET]!;
  if (next > end || target < entry + IPTE_WORDS || target + XT_DATA > next || next <= entry) return -EINVAL;
  const flags = words[entry + IPTE_PROTO]!;
  const lengths = words[entry + IPTE_IFLEN]!;
  if (((flags >> 8) & 0xff & ~FLAGS) !== 0 || (flags >>> 16 & ~INVERTED) !== 0) return -EINVAL;
  if ((lengths & 0xff) > 16 || lengths >>> 8 > 16) return -EINVAL;
  let at = entry + IPTE_WORDS;
  while (at < target) {
    const size = words[at + XT_SIZE]!;
    if (size < XT_DATA || size > target - at) return -EINVAL;
    at += size;
  }
  if (words[target + XT_SIZE] !== next - target) return -EINVAL;
  words[entry + IPTE_COMEFROM] = 0;
  return 0;
}

/** A built-in chain's last rule is its policy. Linux: check_underflow(). */
function checkUnderflow(entry: number): boolean {
  const target = entry + IPTE_WORDS;
  if (!unconditional(entry) || words[target + XT_TYPE] !== XT_TARGET_STANDARD) return false;
  const verdict = -words[target + XT_DATA]! - 1;
  return verdict === NF_DROP || verdict === NF_ACCEPT;
}

/** Does an entry of the set begin there? Asked when a set is loaded only. Linux: xt_find_jump_offset(). */
function isEntry(base: number, size: number, at: number): boolean {
  let entry = 0;
  while (entry < at && entry < size) entry += words[base + entry + IPTE_NEXT]!;
  return entry === at && at < size;
}

/** The verdict of a standard target is an entry to jump to, RETURN, or one of netfilter's. */
function isVerdict(base: number, size: number, verdict: number): boolean {
  if (verdict >= 0) return isEntry(base, size, verdict);
  const nf = -verdict - 1;
  return verdict === XT_RETURN || nf === NF_DROP || nf === NF_ACCEPT || nf === NF_QUEUE;
}

/**
 * Walks a hook's chain and all that it calls, and marks the rules it meets: 0, -ELOOP (a chain that calls itself, calls deeper than
 * the stack), -EINVAL (a chain that runs out of the set).
 */
function markChain(base: number, size: number, first: number, hook: number, callers: number): number {
  const bit = 1 << hook;
  let depth = 0;
  let at = first;
  for (;;) {
    if (at >= size) return -EINVAL;
    const entry = base + at;
    const target = entry + words[entry + IPTE_TARGET]!;
    const standard = words[target + XT_TYPE] === XT_TARGET_STANDARD;
    const verdict = words[target + XT_DATA]!;
    words[entry + IPTE_COMEFROM]! |= bit;
    if (standard && verdict >= 0 && verdict !== at + words[entry + IPTE_NEXT]!) {
      const head = base + verdict + IPTE_COMEFROM;
      if ((words[head]! & INSIDE) !== 0) return -ELOOP;
      if ((words[head]! & bit) === 0) {
        if (depth === JUMPS) return -ELOOP;
        words[callers + depth++] = at;
        words[head]! |= INSIDE;
        at = verdict;
        continue;
      }
    }
    // The end of this chain, and of all that were called last.
    let ended = (standard && verdict < 0 && unconditional(entry)) || words[target + XT_TYPE] === XT_TARGET_ERROR;
    while (ended && depth > 0) {
      at = words[callers + --depth]!;
      words[base + words[base + at + words[base + at + IPTE_TARGET]! + XT_DATA]! + IPTE_COMEFROM]! &= ~INSIDE;
      ended = false;
    }
    if (ended) return 0;
    at += words[base + at + IPTE_NEXT]!;
  }
}

/** May a match or target stand there, in its rule and table? Linux: xt_check_match(), xt_check_target(). */
function checkExtension(ext: XtExtension | undefined, at: number, entry: number, table: number): number {
  if (ext === undefined) return -ENOENT;
  if (ext.size >= 0 && words[at + XT_SIZE] !== ext.size + XT_DATA) return -EINVAL;
  if (ext.tables !== 0 && (ext.tables & (1 << table)) === 0) return -EINVAL;
  if (ext.hooks !== 0 && (words[entry + IPTE_COMEFROM]! & HOOK_BITS & ~ext.hooks) !== 0) return -EINVAL;
  const flags = words[entry + IPTE_PROTO]!;
  if (ext.proto !== 0 && ((flags & 0xff) !== ext.proto || (flags >> 16 & IPT_INV_PROTO) !== 0)) return -EINVAL;
  return ext.check === undefined ? 0 : ext.check(at, entry);
}

function checkEntry(entry: number, table: number): number {
  const target = entry + words[entry + IPTE_TARGET]!;
  for (let at = entry + IPTE_WORDS; at < target; at += words[at + XT_SIZE]!) {
    const err = checkExtension(xtMatches[words[at + XT_TYPE]!], at, entry, table);
    if (err < 0) return err;
  }
  const type = words[target + XT_TYPE]!;
  return type === XT_TARGET_STANDARD ? 0 : checkExtension(xtTargets[type], target, entry, table);
}

/**
 * Checks a set and prepares it for packets. Linux: translate_table().
 * @param base where the entries are in `words` @param row the table as it is to become (TABLE_), its numbers filled in
 * @param callers words for JUMPS numbers
 * @returns 0; -EINVAL, -ELOOP; -ENOENT (a match or target that is not there); or what one of them says of its rule
 */
export function iptCheckSet(table: number, row: number, base: number, callers: number): number {
  const size = words[row + TABLE_SIZE]!;
  const count = words[row + TABLE_NUM_ENTRIES]!;
  let seen = 0;
  for (let at = 0; at < size; at += words[base + at + IPTE_NEXT]!, seen++) {
    const err = checkShape(base + at, base + size);
    if (err < 0) return err;
  }
  if (seen !== count || count === 0) return -EINVAL;
  for (let hook = 0; hook < NF_INET_NUMHOOKS; hook++) {
    if ((TABLE_HOOKS[table]! & (1 << hook)) === 0) continue;
    const first = words[row + TABLE_HOOK_ENTRY + hook]!;
    const last = words[row + TABLE_UNDERFLOW + hook]!;
    if (!isEntry(base, size, first) || !isEntry(base, size, last) || !checkUnderflow(base + last)) return -EINVAL;
  }
  for (let at = 0; at < size; at += words[base + at + IPTE_NEXT]!) {
    const target = base + at + words[base + at + IPTE_TARGET]!;
    const type = words[target + XT_TYPE]!;
    const length = words[target + XT_SIZE]! - XT_DATA;
    if (type === XT_TARGET_STANDARD && (length !== 1 || !isVerdict(base, size, words[target + XT_DATA]!))) return -EINVAL;
    if (type === XT_TARGET_ERROR && length !== XT_NAME_WORDS) return -EINVAL;
  }
  for (let hook = 0; hook < NF_INET_NUMHOOKS; hook++) {
    if ((TABLE_HOOKS[table]! & (1 << hook)) === 0) continue;
    const err = markChain(base, size, words[row + TABLE_HOOK_ENTRY + hook]!, hook, callers);
    if (err < 0) return err;
  }
  for (let at = 0; at < size; at += words[base + at + IPTE_NEXT]!) {
    const err = checkEntry(base + at, table);
    if (err < 0) return err;
  }
  return 0;
}
