/**
 * A routing table: the prefixes with their routes, and the longest match. Linux: the interface of net/ipv4/fib_trie.c.
 * Owns the pool of fib_alias. The structure is one list in the order in which a lookup must try: longest prefix first,
 * and within a prefix by descending TOS, then ascending priority, then as inserted.
 *
 * Which errors NLM_F_CREATE, EXCL, REPLACE and APPEND give is decided here: netlink(7), rtnetlink(7).
 */
import { type Pool, type Pooled, poolAlloc, poolCreate, poolFree } from "../../lib/pool.ts";
import { EACCES, EAGAIN, EEXIST, EHOSTUNREACH, EINVAL, ENOBUFS, ENOENT, ESRCH } from "../../uapi/errno.ts";
import { NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from "../../uapi/netlink.ts";
import { RT_SCOPE_NOWHERE, RTN_UNSPEC, RTNH_F_DEAD } from "../../uapi/rtnetlink.ts";
import type { FibResult, Flowi4 } from "./flow.ts";
import type { FibConfig } from "./fib-config.ts";
import type { FibInfo } from "./fib-semantics.ts";

/**
 * What a lookup answers that ends at a route of each type (RTN_*); 0: there is a next hop. Linux: fib_props[].error.
 */
export const FIB_TYPE_ERROR: readonly number[] = Object.freeze([
  -EINVAL, 0, 0, 0, 0, 0, -EINVAL, -EHOSTUNREACH, -EACCES, -EAGAIN, -EINVAL, -EINVAL,
]);

/** One route of a prefix. Linux: struct fib_alias, with the prefix of its leaf. */
export class FibAlias implements Pooled {
  key = 0;
  mask = 0;
  next: FibAlias | null = null;
  fi: FibInfo | null = null;
  type = RTN_UNSPEC;
  tos = 0;
  prefixlen = 0;
  poolNext: Pooled | null = null;
}

export class FibTable {
  head: FibAlias | null = null;
  /** Routes in the table. */
  count = 0;
  /** RT_TABLE_* */
  readonly id: number;

  constructor(id: number) {
    this.id = id;
  }
}

let aliases: Pool<FibAlias>;

/** Builds the pool. Boot time only. */
export function fibTableInit(routes: number): void {
  aliases = poolCreate("ip_fib_alias", routes, () => new FibAlias());
}

/**
 * The longest match for the flow; fills `res`. Linux: fib_table_lookup().
 * @returns 0, the error of the route's type, or -EAGAIN: nothing here, or a THROW route: the next table is to be asked
 */
export function fibTableLookup(table: FibTable, flow: Flowi4, res: FibResult): number {
  const daddr = flow.daddr;
  const oif = flow.oif;
  for (let alias = table.head; alias !== null; alias = alias.next) {
    if ((daddr & alias.mask) !== alias.key) continue;
    if (alias.tos !== 0 && alias.tos !== flow.tos) continue;
    const fi = alias.fi!;
    if (fi.scope < flow.scope) continue;
    const type = alias.type;
    const error = FIB_TYPE_ERROR[type]!;
    if (error !== 0) return error;
    const nh = fi.nh;
    if ((nh.flags & RTNH_F_DEAD) !== 0 || (oif !== 0 && oif !== nh.oif)) continue;
    res.type = type;
    res.nh = nh;
    res.fi = fi;
    res.prefixlen = alias.prefixlen;
    res.scope = fi.scope;
    res.table = table.id;
    return 0;
  }
  return -EAGAIN;
}

/** Does `a` come before a route of that place in the order of the list? */
function sortsBefore(a: FibAlias, key: number, prefixlen: number, tos: number, priority: number): boolean {
  if (a.prefixlen !== prefixlen) return a.prefixlen > prefixlen;
  // Prefixes of one length exclude each other: their order is free, but those of one prefix must be neighbours.
  if (a.key !== key) return a.key > key;
  if (a.tos !== tos) return a.tos > tos;
  return a.fi!.priority < priority;
}

/** Is the alias of that prefix and TOS? */
function samePrefix(alias: FibAlias, cfg: FibConfig): boolean {
  return alias.key === cfg.dst && alias.prefixlen === cfg.dstLen && alias.tos === cfg.tos;
}

function link(table: FibTable, previous: FibAlias | null, alias: FibAlias): void {
  if (previous === null) {
    alias.next = table.head;
    table.head = alias;
  } else {
    alias.next = previous.next;
    previous.next = alias;
  }
  table.count++;
}

function unlink(table: FibTable, previous: FibAlias | null, alias: FibAlias): void {
  if (previous === null) table.head = alias.next;
  else previous.next = alias.next;
  table.count--;
  alias.next = null;
  alias.fi = null;
  poolFree(aliases, alias);
}

/** What fibTableInsert() and fibTableDelete() took out: its reference is the caller's to release. */
export let fibReplaced: FibInfo | null = null;

/**
 * Enters a route. Linux: fib_table_insert().
 * @param fi its fib_info; its reference is the table's when the answer is 0, else still the caller's
 * @returns 0 (with NLM_F_REPLACE `fibReplaced` is what was there before), -EEXIST (NLM_F_EXCL, or the very same route),
 *   -ENOENT (no NLM_F_CREATE), -ENOBUFS (pool empty)
 */
export function fibTableInsert(table: FibTable, cfg: FibConfig, nlmFlags: number, fi: FibInfo): number {
  const priority = fi.priority;
  fibReplaced = null;
  let previous: FibAlias | null = null;
  let at = table.head;
  while (at !== null && sortsBefore(at, cfg.dst, cfg.dstLen, cfg.tos, priority)) {
    previous = at;
    at = at.next;
  }
  if (at !== null && samePrefix(at, cfg) && at.fi!.priority === priority) {
    if ((nlmFlags & NLM_F_EXCL) !== 0) return -EEXIST;
    const first = at;
    let last: FibAlias | null = previous;
    let match: FibAlias | null = null;
    for (; at !== null && samePrefix(at, cfg) && at.fi!.priority === priority; at = at.next) {
      if (at.type === cfg.type && at.fi === fi) {
        match = at;
        break;
      }
      last = at;
    }
    if ((nlmFlags & NLM_F_REPLACE) !== 0) {
      // Replacing a route by itself is fine; two equal routes of one prefix are not.
      if (match === first) {
        fibReplaced = fi;
        return 0;
      }
      if (match !== null) return -EEXIST;
      fibReplaced = first.fi;
      first.fi = fi;
      first.type = cfg.type;
      return 0;
    }
    if (match !== null) return -EEXIST;
    if ((nlmFlags & NLM_F_APPEND) !== 0) previous = last;
  }
  if ((nlmFlags & NLM_F_CREATE) === 0) return -ENOENT;
  const alias = poolAlloc(aliases);
  if (alias === null) return -ENOBUFS;
  alias.key = cfg.dst;
  alias.prefixlen = cfg.dstLen;
  alias.mask = cfg.dstLen === 0 ? 0 : -1 << (32 - cfg.dstLen);
  alias.tos = cfg.tos;
  alias.type = cfg.type;
  alias.fi = fi;
  link(table, previous, alias);
  return 0;
}

/** Is the next hop the one asked for? What is 0 in the question matches any. Linux: fib_nh_match(). */
function nhMatches(cfg: FibConfig, fi: FibInfo): boolean {
  if (cfg.priority !== 0 && cfg.priority !== fi.priority) return false;
  const nh = fi.nh;
  return (cfg.oif === 0 || cfg.oif === nh.oif) && (cfg.gw === 0 || cfg.gw === nh.gw);
}

/**
 * Takes the first route out that matches what of the configuration is given (type, scope other than NOWHERE, prefsrc,
 * protocol, priority, device, gateway). Linux: fib_table_delete().
 * @returns 0 with its fib_info in `fibReplaced`, or -ESRCH
 */
export function fibTableDelete(table: FibTable, cfg: FibConfig): number {
  fibReplaced = null;
  let previous: FibAlias | null = null;
  for (let at = table.head; at !== null; at = at.next) {
    const fi = at.fi!;
    if (
      samePrefix(at, cfg)
      && (cfg.type === RTN_UNSPEC || at.type === cfg.type)
      && (cfg.scope === RT_SCOPE_NOWHERE || fi.scope === cfg.scope)
      && (cfg.prefsrc === 0 || fi.prefsrc === cfg.prefsrc)
      && (cfg.protocol === 0 || fi.protocol === cfg.protocol)
      && nhMatches(cfg, fi)
    ) {
      fibReplaced = fi;
      unlink(table, previous, at);
      return 0;
    }
    previous = at;
  }
  return -ESRCH;
}

/**
 * Takes out the first route whose fib_info is dead. Linux: fib_table_flush().
 * @returns its fib_info, whose reference is the caller's to release, or null when there is none any more
 */
export function fibTableFlushOne(table: FibTable): FibInfo | null {
  let previous: FibAlias | null = null;
  for (let at = table.head; at !== null; at = at.next) {
    const fi = at.fi!;
    if ((fi.flags & RTNH_F_DEAD) !== 0) {
      unlink(table, previous, at);
      return fi;
    }
    previous = at;
  }
  return null;
}
