/**
 * Loading and reading iptables' rule sets: a set is replaced as a whole or not at all. Linux: net/ipv4/netfilter/ip_tables.c,
 * do_ipt_set_ctl(), do_ipt_get_ctl(), ipt_register_table(). Owns nothing.
 *
 * The sets in use lie at the front of the memory for rules. A new one is written behind them and checked there; if it is right the
 * old one is taken out, and what lies behind moves up. Until then the table is as it was.
 */
import { words } from "../../lib/table.ts";
import { EAGAIN, EINVAL, ENOENT, ENOMEM, ENOPROTOOPT } from "../../uapi/errno.ts";
import {
  IPT_SO_GET_ENTRIES, IPT_SO_GET_INFO, IPT_SO_SET_REPLACE, IPT_TABLES, IPTE_NEXT, IPTE_TARGET, IPTE_WORDS, IPTI_HOOK_ENTRY,
  IPTI_NUM_ENTRIES, IPTI_SIZE, IPTI_UNDERFLOW, IPTI_VALID_HOOKS, IPTI_WORDS, IPTR_ENTRIES, IPTR_HOOK_ENTRY, IPTR_NUM_ENTRIES,
  IPTR_SIZE, IPTR_TABLE, IPTR_UNDERFLOW, XT_DATA, XT_NAME_WORDS, XT_SIZE, XT_TARGET_ERROR, XT_TARGET_STANDARD, XT_TYPE,
} from "../../uapi/ip-tables.ts";
import { NF_ACCEPT, NF_INET_NUMHOOKS } from "../../uapi/netfilter.ts";
import type { Net } from "../core/net.ts";
import {
  iptDraft, iptJumps, iptNets, iptTable, iptTableOf, iptTableThere, ruleSets, ruleWords, TABLE_BASE, TABLE_HOOK_ENTRY, TABLE_HOOKS,
  TABLE_NUM_ENTRIES, TABLE_SIZE, TABLE_UNDERFLOW, TABLE_WORDS,
} from "./ip-tables.ts";
import { iptCheckSet } from "./ip-tables-check.ts";

/** "ERROR", the name of a set's last entry. */
const ERROR_NAME = 0x4f525245;
const ERROR_NAME_END = 0x52;

/** Words of an entry without matches whose target has so many data words. */
function entryWords(data: number): number {
  return IPTE_WORDS + XT_DATA + data;
}

/** Words of the rules in use: behind them there is room. */
function wordsInUse(): number {
  let sum = 0;
  for (let n = 0; n < iptNets(); n++) {
    for (let table = 0; table < IPT_TABLES; table++) {
      const row = iptTableOf(n, table);
      if (words[row + TABLE_BASE]! >= 0) sum += words[row + TABLE_SIZE]!;
    }
  }
  return sum;
}

/** The set of a table goes, and those behind it move up. */
function removeSet(row: number): void {
  const base = words[row + TABLE_BASE]!;
  const size = words[row + TABLE_SIZE]!;
  words.copyWithin(base, base + size, ruleSets + ruleWords);
  words[row + TABLE_BASE] = -1;
  for (let n = 0; n < iptNets(); n++) {
    for (let table = 0; table < IPT_TABLES; table++) {
      const other = iptTableOf(n, table);
      if (words[other + TABLE_BASE]! > base) words[other + TABLE_BASE]! -= size;
    }
  }
}

/** Writes an entry that takes every packet: words of it. */
function writeEntry(at: number, type: number, data: number, length: number): number {
  words.fill(0, at, at + entryWords(length));
  words[at + IPTE_NEXT] = entryWords(length);
  words[at + IPTE_TARGET] = IPTE_WORDS;
  words[at + IPTE_WORDS + XT_SIZE] = XT_DATA + length;
  words[at + IPTE_WORDS + XT_TYPE] = type;
  words[at + IPTE_WORDS + XT_DATA] = data;
  return entryWords(length);
}

/**
 * A table's first use in a namespace: empty chains that accept. Linux: ipt_alloc_initial_table().
 * @returns 0, -ENOENT when there is no such table, -ENOMEM
 */
function openTable(net: Net, table: number): number {
  if (table < 0 || table >= IPT_TABLES || !iptTableThere(table)) return -ENOENT;
  const row = iptTable(net, table);
  if (words[row + TABLE_BASE]! >= 0) return 0;
  const used = wordsInUse();
  const base = ruleSets + used;
  let hooks = 0;
  for (let hook = 0; hook < NF_INET_NUMHOOKS; hook++) if ((TABLE_HOOKS[table]! & (1 << hook)) !== 0) hooks++;
  if (used + hooks * entryWords(1) + entryWords(XT_NAME_WORDS) > ruleWords) return -ENOMEM;
  let at = 0;
  for (let hook = 0; hook < NF_INET_NUMHOOKS; hook++) {
    const there = (TABLE_HOOKS[table]! & (1 << hook)) !== 0;
    words[row + TABLE_HOOK_ENTRY + hook] = words[row + TABLE_UNDERFLOW + hook] = there ? at : -1;
    if (there) at += writeEntry(base + at, XT_TARGET_STANDARD, -NF_ACCEPT - 1, 1);
  }
  const last = base + at;
  at += writeEntry(last, XT_TARGET_ERROR, ERROR_NAME, XT_NAME_WORDS);
  words[last + IPTE_WORDS + XT_DATA + 1] = ERROR_NAME_END;
  words[row + TABLE_NUM_ENTRIES] = hooks + 1;
  words[row + TABLE_SIZE] = at;
  words[row + TABLE_BASE] = base;
  return 0;
}

/** Linux: do_replace(). */
function replace(net: Net, set: Int32Array): number {
  if (set.length < IPTR_ENTRIES) return -EINVAL;
  const table = set[IPTR_TABLE]!;
  const err = openTable(net, table);
  if (err < 0) return err;
  const size = set[IPTR_SIZE]!;
  if (size <= 0 || set.length - IPTR_ENTRIES !== size) return -EINVAL;
  const row = iptTable(net, table);
  const used = wordsInUse();
  if (used + size > ruleWords) return -ENOMEM;
  const base = ruleSets + used;
  for (let i = 0; i < size; i++) words[base + i] = set[IPTR_ENTRIES + i]!;
  words[iptDraft + TABLE_NUM_ENTRIES] = set[IPTR_NUM_ENTRIES]!;
  words[iptDraft + TABLE_SIZE] = size;
  for (let hook = 0; hook < NF_INET_NUMHOOKS; hook++) {
    const there = (TABLE_HOOKS[table]! & (1 << hook)) !== 0;
    words[iptDraft + TABLE_HOOK_ENTRY + hook] = there ? set[IPTR_HOOK_ENTRY + hook]! : -1;
    words[iptDraft + TABLE_UNDERFLOW + hook] = there ? set[IPTR_UNDERFLOW + hook]! : -1;
  }
  const wrong = iptCheckSet(table, iptDraft, base, iptJumps);
  if (wrong < 0) return wrong;
  const old = words[row + TABLE_SIZE]!;
  removeSet(row);
  words.copyWithin(row, iptDraft, iptDraft + TABLE_WORDS);
  words[row + TABLE_BASE] = base - old;
  return 0;
}

/** Linux: get_info(). */
function getInfo(net: Net, table: number, out: Int32Array): number {
  if (out.length < IPTI_WORDS) return -EINVAL;
  const err = openTable(net, table);
  if (err < 0) return err;
  const row = iptTable(net, table);
  out[IPTI_VALID_HOOKS] = TABLE_HOOKS[table]!;
  out[IPTI_NUM_ENTRIES] = words[row + TABLE_NUM_ENTRIES]!;
  out[IPTI_SIZE] = words[row + TABLE_SIZE]!;
  for (let hook = 0; hook < NF_INET_NUMHOOKS; hook++) {
    out[IPTI_HOOK_ENTRY + hook] = words[row + TABLE_HOOK_ENTRY + hook]!;
    out[IPTI_UNDERFLOW + hook] = words[row + TABLE_UNDERFLOW + hook]!;
  }
  return IPTI_WORDS;
}

/** Linux: get_entries(). -EAGAIN when the set is not as long as the caller believes. */
function getEntries(net: Net, table: number, out: Int32Array): number {
  const err = openTable(net, table);
  if (err < 0) return err;
  const row = iptTable(net, table);
  const size = words[row + TABLE_SIZE]!;
  if (out.length !== size) return -EAGAIN;
  const base = words[row + TABLE_BASE]!;
  for (let i = 0; i < size; i++) out[i] = words[base + i]!;
  return size;
}

/**
 * setsockopt() at level SOL_IP. @returns 0; -ENOPROTOOPT; -ENOENT (no such table, match or target); -ENOMEM; -EINVAL, -ELOOP
 */
export function iptSetsockopt(net: Net, name: number, opt: Uint8Array | Int32Array | null): number {
  if (name !== IPT_SO_SET_REPLACE) return -ENOPROTOOPT;
  return opt instanceof Int32Array ? replace(net, opt) : -EINVAL;
}

/** getsockopt() at level SOL_IP: words written, or as iptSetsockopt(). */
export function iptGetsockopt(net: Net, name: number, out: Uint8Array | Int32Array): number {
  if (name !== IPT_SO_GET_INFO && name !== IPT_SO_GET_ENTRIES) return -ENOPROTOOPT;
  if (!(out instanceof Int32Array)) return -EINVAL;
  return name === IPT_SO_GET_INFO ? getInfo(net, out[0]!, out) : getEntries(net, out[0]!, out);
}
