/**
 * The routes of a table: its prefixes with their aliases. Linux: net/ipv4/fib_trie.c, fib_table_insert() to
 * fib_table_flush(), and the list of tables of net/ipv4/fib_frontend.c. Owns the rows of tables and aliases.
 *
 * The aliases of a key are in the order in which a lookup must try them: longest prefix first, then by descending table (local
 * before main where they share the leaves), descending TOS, ascending priority, then as inserted. Which errors NLM_F_CREATE, EXCL,
 * REPLACE and APPEND give is decided here: netlink(7), rtnetlink(7).
 */
import { rowAlloc, rowFree } from "../../lib/pool.ts";
import { words } from "../../lib/table.ts";
import { EEXIST, ENOBUFS, ENOENT, ESRCH } from "../../uapi/errno.ts";
import { NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from "../../uapi/netlink.ts";
import {
  RT_SCOPE_NOWHERE, RT_TABLE_DEFAULT, RT_TABLE_LOCAL, RT_TABLE_MAIN, RT_TABLE_UNSPEC, RTN_BLACKHOLE, RTN_UNSPEC,
  RTNH_F_DEAD,
} from "../../uapi/rtnetlink.ts";
import type { Net } from "../core/net.ts";
import type { FibConfig } from "./fib-config.ts";
import { FI_SHIFT, fibAliasRows, fibTables, fibWanted, TB_INTS } from "./fib-memory.ts";
import { fibMatchesMetrics, fibMatchesNexthops, fibReleaseInfo } from "./fib-info.ts";
import { FI_FLAGS, FI_PREFSRC, FI_PRIORITY, FI_WORD, fibConfigFill, type NetFib } from "./fib-semantics.ts";
import {
  FA_INFO_SHIFT, FA_LINK, FA_LOCAL, FA_MORE, FA_TOS_SHIFT, FA_TYPE_SHIFT, FA_WORD, faKey, faLast, faNext, faSlen, TB_NEXT, TB_NUM, TB_ROOT,
  TB_TRIE,
} from "./fib-table.ts";
import { tnodeReserve } from "./fib-tnode.ts";
import { trieFind, trieInsert, trieNextLeaf, trieRemove, trieSuffixChanged, trieSweep } from "./fib-trie.ts";

/** The bits of an alias's word that say which prefix and TOS, in which table. */
const FA_ROUTE = 63 | FA_LOCAL | (63 << FA_TOS_SHIFT);
/** TOS has two bits less there. */
const TOS_SHIFT = FA_TOS_SHIFT - 2;
const FA_INFO_MASK = 0x3fff;

let tablesMade: number;
let tablesMost: number;

/** Boot time, after fibMemoryInit(). @param count tables of all namespaces */
export function fibAliasInit(count: number): void {
  tablesMade = 0;
  tablesMost = count;
}

/** The table of that number (RT_TABLE_UNSPEC means main), or 0. Linux: fib_get_table(). */
export function fibGetTable(net: Net, id: number): number {
  const fib = net.fib as NetFib;
  if (id === RT_TABLE_MAIN || id === RT_TABLE_UNSPEC) return fib.main;
  if (id === RT_TABLE_LOCAL) return fib.local;
  for (let tb = fib.tables; tb !== 0; tb = words[tb + TB_NEXT]!) if (words[tb] === id) return tb;
  return 0;
}

/** The same, made when it is not there; 0 when there is no row for it. Linux: fib_new_table(). */
export function fibNewTable(net: Net, id: number): number {
  const fib = net.fib as NetFib;
  const num = id === RT_TABLE_UNSPEC ? RT_TABLE_MAIN : id;
  const known = fibGetTable(net, num);
  if (known !== 0 || num < 0 || num > RT_TABLE_LOCAL) return known;
  const shared = num === RT_TABLE_LOCAL && fib.rules < 0 ? fibNewTable(net, RT_TABLE_MAIN) : 0;
  if (tablesMade === tablesMost) return 0;
  const tb = fibTables + tablesMade * TB_INTS;
  tablesMade++;
  words[tb + TB_NUM] = num;
  words[tb + TB_ROOT] = 0;
  words[tb + TB_NEXT] = fib.tables;
  words[tb + TB_TRIE] = shared === 0 ? tb : shared;
  fib.tables = tb;
  if (num === RT_TABLE_MAIN) fib.main = tb;
  else if (num === RT_TABLE_LOCAL) fib.local = tb;
  else if (num === RT_TABLE_DEFAULT) fib.fallback = tb;
  return tb;
}

/** A number that no table has yet, 0 when there is none. Linux: fib_empty_table(). */
export function fibEmptyTable(net: Net): number {
  for (let id = 1; id <= RT_TABLE_LOCAL; id++) if (fibGetTable(net, id) === 0) return id;
  return 0;
}

/** The fib_info in an alias's word. */
function wordInfo(word: number): number {
  return fibWanted + (((word >> FA_INFO_SHIFT) & FA_INFO_MASK) << FI_SHIFT);
}

export function faInfo(alias: number): number {
  return wordInfo(words[alias + FA_WORD]!);
}

export function faType(alias: number): number {
  return (words[alias + FA_WORD]! >> FA_TYPE_SHIFT) & 15;
}

export function faTos(alias: number): number {
  return (words[alias + FA_WORD]! >> TOS_SHIFT) & 0xfc;
}

/** Is it a route of that table? Only local and main share leaves. */
export function faIsOf(alias: number, table: number): boolean {
  return ((words[alias + FA_WORD]! & FA_LOCAL) !== 0) === (table === RT_TABLE_LOCAL);
}

/** Describes a route as a record: for dumps and announcements. @param table its number @param word of its alias */
export function fibRouteFill(cfg: FibConfig, net: Net, table: number, key: number, word: number): void {
  fibConfigFill(cfg, net, wordInfo(word));
  cfg.table = table;
  cfg.dst = key;
  cfg.dstLen = 32 - (word & 63);
  cfg.type = (word >> FA_TYPE_SHIFT) & 15;
  cfg.tos = (word >> TOS_SHIFT) & 0xfc;
}

/** What seek() has found, and the alias before it; 0: none. */
let seekAt = 0;
let seekBefore = 0;

/**
 * Looks for the first alias of the prefix, TOS and at least that priority, or the place where a new one goes.
 * Linux: fib_find_alias().
 */
function seek(leaf: number, wanted: number, priority: number): boolean {
  const slen = wanted & 63;
  const local = wanted & FA_LOCAL;
  const tos = wanted & (63 << FA_TOS_SHIFT);
  let before = 0;
  let found = false;
  let at = leaf;
  while (at !== 0) {
    const word = words[at + FA_WORD]!;
    const itsSlen = word & 63;
    if (itsSlen >= slen) {
      if (itsSlen !== slen) break;
      const itsLocal = word & FA_LOCAL;
      if (itsLocal <= local) {
        if (itsLocal !== local) break;
        const itsTos = word & (63 << FA_TOS_SHIFT);
        found = itsTos < tos || (itsTos === tos && words[faInfo(at) + FI_PRIORITY]! >>> 0 >= priority >>> 0);
        if (found) break;
      }
    }
    before = at;
    at = faNext(at);
  }
  seekAt = at;
  seekBefore = before;
  return found;
}

/** Is the alias of that prefix, table and TOS? */
function sameRoute(alias: number, word: number): boolean {
  return ((words[alias + FA_WORD]! ^ word) & FA_ROUTE) === 0;
}

/** An alias's word but for its fib_info. */
function aliasWord(tb: number, cfg: FibConfig): number {
  return (32 - cfg.dstLen) | (cfg.type << FA_TYPE_SHIFT) | (words[tb + TB_NUM] === RT_TABLE_LOCAL ? FA_LOCAL : 0)
    | (cfg.tos << TOS_SHIFT);
}

/** Puts a new row into a leaf's list, behind `before` or with 0 first: the leaf's row stays, its alias moves to the new one. */
function linkAlias(leaf: number, before: number, row: number, word: number): void {
  const at = before === 0 ? leaf : before;
  const old = words[at + FA_WORD]!;
  words[row + FA_LINK] = words[at + FA_LINK]!;
  words[at + FA_LINK] = row;
  if (before === 0) {
    words[row + FA_WORD] = old;
    words[at + FA_WORD] = word | FA_MORE;
  } else {
    words[row + FA_WORD] = word | (old & FA_MORE);
    words[at + FA_WORD] = old | FA_MORE;
  }
}

/** NLM_F_* that the last fibAliasInsert() acted on: those of the announcement. */
export let fibInsertFlags = 0;
/** Alias word of the route that the last of the two took out or entered. */
export let fibChangedWord = 0;
/** Its fib_info, whose reference is the caller's to release; of fibAliasInsert() the one that was replaced, 0 for none. */
export let fibDeletedInfo = 0;
/** Has the last fibAliasInsert() changed anything? Replacing a route by itself does not. */
export let fibInserted = false;

/**
 * Enters a route. Linux: fib_table_insert().
 * @param fi its fib_info; the reference is the table's when the answer is 0 and `fibInserted`, else still the caller's
 * @returns 0, -EEXIST (NLM_F_EXCL, or the very same route), -ENOENT (no NLM_F_CREATE), -ENOBUFS (no memory: nothing changed)
 */
export function fibAliasInsert(tb: number, cfg: FibConfig, fi: number): number {
  const trie = words[tb + TB_TRIE]!;
  const key = cfg.dst;
  const word = aliasWord(tb, cfg) | (((fi - fibWanted) >> FI_SHIFT) << FA_INFO_SHIFT);
  const priority = words[fi + FI_PRIORITY]!;
  const flags = cfg.nlflags;
  const leaf = trieFind(trie, key);
  fibChangedWord = word;
  fibInserted = false;
  fibDeletedInfo = 0;
  fibInsertFlags = 0;
  const found = leaf !== 0 && seek(leaf, word, priority);
  if (leaf === 0) seekAt = seekBefore = 0;
  if (found && sameRoute(seekAt, word) && words[faInfo(seekAt) + FI_PRIORITY] === priority) {
    if ((flags & NLM_F_EXCL) !== 0) return -EEXIST;
    const first = seekAt;
    let last = seekBefore;
    let match = 0;
    let at = first;
    while (at !== 0 && sameRoute(at, word) && words[faInfo(at) + FI_PRIORITY] === priority) {
      if (faInfo(at) === fi && faType(at) === cfg.type) {
        match = at;
        break;
      }
      last = at;
      at = faNext(at);
    }
    if ((flags & NLM_F_REPLACE) !== 0) {
      fibInsertFlags = NLM_F_REPLACE;
      if (match === first) return 0;
      if (match !== 0) return -EEXIST;
      fibDeletedInfo = faInfo(first);
      words[first + FA_WORD] = word | (words[first + FA_WORD]! & FA_MORE);
      fibInserted = true;
      return 0;
    }
    if (match !== 0) return -EEXIST;
    if ((flags & NLM_F_APPEND) !== 0) {
      fibInsertFlags = NLM_F_APPEND;
      seekBefore = last;
    }
  }
  if ((flags & NLM_F_CREATE) === 0) return -ENOENT;
  fibInsertFlags |= NLM_F_CREATE;
  const alias = rowAlloc(fibAliasRows);
  if (alias === 0) return -ENOBUFS;
  if (leaf === 0) {
    words[alias + FA_WORD] = word;
    words[alias + FA_LINK] = key;
    if (!trieInsert(trie, alias)) {
      rowFree(fibAliasRows, alias);
      return -ENOBUFS;
    }
  } else {
    const slen = faSlen(leaf);
    linkAlias(leaf, seekBefore, alias, word);
    trieSuffixChanged(trie, leaf, slen);
  }
  fibInserted = true;
  return 0;
}

/** Unlinks an alias of a leaf and frees its row. @returns false when it was the only one: the leaf is still to be taken out */
function unlinkAlias(leaf: number, before: number, alias: number): boolean {
  const next = faNext(alias);
  if (before !== 0) {
    words[before + FA_LINK] = words[alias + FA_LINK]!;
    if (next === 0) words[before + FA_WORD]! &= ~FA_MORE;
    rowFree(fibAliasRows, alias);
    return true;
  }
  if (next === 0) return false;
  words[leaf + FA_WORD] = words[next + FA_WORD]!;
  words[leaf + FA_LINK] = words[next + FA_LINK]!;
  rowFree(fibAliasRows, next);
  return true;
}

/**
 * Takes the first route out that matches what of the configuration is given (type, scope other than NOWHERE, prefsrc,
 * protocol, priority, device, gateway, metrics). Linux: fib_table_delete().
 * @returns 0 with its fib_info in `fibDeletedInfo`, or -ESRCH
 */
export function fibAliasDelete(tb: number, cfg: FibConfig): number {
  const trie = words[tb + TB_TRIE]!;
  const leaf = trieFind(trie, cfg.dst);
  const word = aliasWord(tb, cfg);
  if (leaf === 0 || !seek(leaf, word, 0)) return -ESRCH;
  let before = seekBefore;
  for (let at = seekAt; at !== 0 && sameRoute(at, word); at = faNext(at)) {
    const fi = faInfo(at);
    const fiWord = words[fi + FI_WORD]!;
    if (
      (cfg.type === RTN_UNSPEC || faType(at) === cfg.type)
      && (cfg.scope === RT_SCOPE_NOWHERE || (fiWord & 255) === cfg.scope)
      && (cfg.prefsrc === 0 || words[fi + FI_PREFSRC] === cfg.prefsrc)
      && (cfg.protocol === 0 || ((fiWord >> 8) & 255) === cfg.protocol)
      && fibMatchesNexthops(cfg, fi) && fibMatchesMetrics(cfg, fi)
    ) {
      fibDeletedInfo = fi;
      fibChangedWord = words[at + FA_WORD]!;
      const slen = faSlen(leaf);
      if (unlinkAlias(leaf, before, at)) {
        trieSuffixChanged(trie, leaf, slen);
      } else {
        trieRemove(trie, leaf);
        rowFree(fibAliasRows, leaf);
      }
      return 0;
    }
    before = at;
  }
  return -ESRCH;
}

let sweepTable = 0;

/** Takes the dead routes of a leaf out. */
function sweepLeaf(leaf: number): boolean {
  let before = 0;
  let at = leaf;
  while (at !== 0) {
    const fi = faInfo(at);
    if (!faIsOf(at, sweepTable) || (words[fi + FI_FLAGS]! & RTNH_F_DEAD) === 0 || faType(at) >= RTN_BLACKHOLE) {
      before = at;
      at = faNext(at);
      continue;
    }
    fibReleaseInfo(fi);
    const next = faNext(at);
    if (!unlinkAlias(leaf, before, at)) {
      rowFree(fibAliasRows, leaf);
      return false;
    }
    at = before === 0 ? leaf : next;
  }
  return true;
}

/** Takes every route out whose fib_info is dead. Linux: fib_table_flush(). */
export function fibTableFlush(tb: number): void {
  sweepTable = words[tb]!;
  trieSweep(words[tb + TB_TRIE]!, sweepLeaf);
}

/** Moves the local table's aliases of a leaf from the shared trie to the local table's own. */
function moveLocal(trie: number, local: number, leaf: number): void {
  const key = faKey(leaf);
  for (;;) {
    let before = 0;
    let at = leaf;
    while (at !== 0 && !faIsOf(at, RT_TABLE_LOCAL)) {
      before = at;
      at = faNext(at);
    }
    if (at === 0) return;
    const word = words[at + FA_WORD]! & ~FA_MORE;
    trieFind(trie, key);
      const slen = faSlen(leaf);
    const stays = unlinkAlias(leaf, before, at);
    if (stays) {
      trieSuffixChanged(trie, leaf, slen);
    } else {
      trieRemove(trie, leaf);
      rowFree(fibAliasRows, leaf);
    }
    appendAlias(local, key, word);
    if (!stays) return;
  }
}

/** Enters an alias behind the others of its key; the row was just freed, the tnode reserved. */
function appendAlias(trie: number, key: number, word: number): void {
  const alias = rowAlloc(fibAliasRows);
  const leaf = trieFind(trie, key);
  tnodeReserve(-1);
  if (leaf === 0) {
    words[alias + FA_WORD] = word;
    words[alias + FA_LINK] = key;
    trieInsert(trie, alias);
    return;
  }
  const slen = faSlen(leaf);
  linkAlias(leaf, faLast(leaf), alias, word);
  trieSuffixChanged(trie, leaf, slen);
}

/**
 * Gives the local table a trie of its own: rules are about to ask for one and not the other. Linux: fib_unmerge().
 * @returns 0, or -ENOBUFS when there is no memory for a second trie: nothing has changed
 */
export function fibUnmerge(net: Net): number {
  const local = (net.fib as NetFib).local;
  if (local === 0 || words[local + TB_TRIE] === local) return 0;
  const trie = words[local + TB_TRIE]!;
  let count = 0;
  for (let leaf = trieNextLeaf(trie, 0); leaf !== 0; leaf = leafAfter(trie, leaf)) {
    for (let at = leaf; at !== 0; at = faNext(at)) if (faIsOf(at, RT_TABLE_LOCAL)) count++;
  }
  if (!tnodeReserve(count)) return -ENOBUFS;
  words[local + TB_TRIE] = local;
  words[local + TB_ROOT] = 0;
  for (let leaf = trieNextLeaf(trie, 0); leaf !== 0; ) {
    const key = faKey(leaf);
    moveLocal(trie, local, leaf);
    leaf = key === -1 ? 0 : trieNextLeaf(trie, (key + 1) | 0);
  }
  return 0;
}

/** The leaf of the next higher key, or 0. */
export function leafAfter(trie: number, leaf: number): number {
  const key = faKey(leaf);
  return key === -1 ? 0 : trieNextLeaf(trie, (key + 1) | 0);
}
