/**
 * The routes of a host: an address, a gateway and what DHCP adds are few enough for one list, which a lookup goes through. Linux: in
 * the place of net/ipv4/fib_trie.c and of the sharing in fib_semantics.c; fib-trie-ops.ts is for more. There are the tables local and
 * main, asked together as until there are rules; a route has one next hop, and the metrics MTU and ADVMSS. Owns the rows.
 *
 * A route is one row, a fib_info of its own (fib-semantics.ts), whose FI_NEXT is the next route of the list: all namespaces', by prefix,
 * the longer first, local before main, then by descending TOS and ascending priority, so that the first that matches is the one.
 */
import { POOL_WORDS, rowAlloc, rowFree } from "../../lib/pool.ts";
import { words, wordTable } from "../../lib/table.ts";
import { EAGAIN, EEXIST, EINVAL, ENOBUFS, ENOENT, ESRCH } from "../../uapi/errno.ts";
import { NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from "../../uapi/netlink.ts";
import {
  RT_SCOPE_NOWHERE, RT_TABLE_LOCAL, RT_TABLE_MAIN, RT_TABLE_UNSPEC, RTM_DELROUTE, RTM_NEWROUTE, RTN_BLACKHOLE, RTNH_F_DEAD,
} from "../../uapi/rtnetlink.ts";
import { nlErrMsg } from "../core/extack.ts";
import type { Net } from "../core/net.ts";
import { type FibConfig, fibConfigInit } from "./fib-config.ts";
import { FIB_TYPE_ERROR } from "./fib-lookup.ts";
import { FI_INTS, fibInfoRows, fibInfosInit, fibWanted } from "./fib-memory.ts";
import { fibChanged, type FibOps, type FibOptions } from "./fib-ops.ts";
import {
  FI_FLAGS, FI_METRICS, FI_MTU, FI_NEXT, FI_PREFSRC, FI_PRIORITY, FI_REFS, FI_WORD, fibWorkOut, NH_FIB_SCOPE_SHIFT, NH_GW, NH_OIF, NH_STATE,
  NH_UPPER, NH_WORD, nhForget,
} from "./fib-semantics.ts";
import type { FibKey, FibResult } from "./flow.ts";

/** Prefix of a route; routes with several next hops, whose column it is, are not here. */
export const HR_KEY = NH_UPPER;
/** Suffix length, 0 for local or 1 for main (1 bit), 63 less TOS without its two lowest bits (6): ascending along the list. */
export const HR_ORDER = FI_METRICS;
const ORDER_MAIN = 1 << 6;
export const ORDER_SLEN_SHIFT = 7;
/** Turns the order of unsigned numbers into that of signed ones. */
const SIGN = 0x80000000 | 0;

/** Words that the routes take. */
export function fibHostWords(routes: number): number {
  return (routes + 1) * FI_INTS + POOL_WORDS;
}

/** TOS of a route by its HR_ORDER. */
export function hostTos(order: number): number {
  return (~order & 63) << 2;
}

/** RTN_* of a route. */
export function hostType(fi: number): number {
  return (words[fi + FI_WORD]! >> 16) & 255;
}

export function hostNet(fi: number): number {
  return words[fi + FI_FLAGS]! >>> 16;
}

function isTable(table: number): boolean {
  return table === RT_TABLE_UNSPEC || table === RT_TABLE_MAIN || table === RT_TABLE_LOCAL;
}

function orderOf(cfg: FibConfig): number {
  return ((32 - cfg.dstLen) << ORDER_SLEN_SHIFT) | (cfg.table === RT_TABLE_LOCAL ? 0 : ORDER_MAIN) | (63 - (cfg.tos >> 2));
}

/** Where in the list a row is before another (negative), behind it (positive), or one of those among which the first is taken (0). */
function compare(a: number, b: number): number {
  return hostNet(a) - hostNet(b) || (words[a + HR_KEY]! ^ SIGN) - (words[b + HR_KEY]! ^ SIGN) || words[a + HR_ORDER]! - words[b + HR_ORDER]!
    || (words[a + FI_PRIORITY]! >>> 0) - (words[b + FI_PRIORITY]! >>> 0);
}

/** Have two routes of the same prefix the same content? */
function sameContent(a: number, b: number): boolean {
  return words[a + FI_WORD] === words[b + FI_WORD] && words[a + FI_PREFSRC] === words[b + FI_PREFSRC] && words[a + FI_MTU] === words[b + FI_MTU]
    && words[a + NH_OIF] === words[b + NH_OIF] && words[a + NH_GW] === words[b + NH_GW]
    && ((words[a + NH_WORD]! ^ words[b + NH_WORD]!) & ~NH_STATE) === 0;
}

/** A route that is in the list no more goes. */
function release(fi: number): void {
  words[fi + FI_REFS] = 0;
  nhForget(fi);
  rowFree(fibInfoRows, fi);
}

/** Puts a route that has been worked out into the list: 0, 1 when it replaces itself, or -EEXIST, -ENOENT as fibTableInsert(). */
function enter(net: Net, cfg: FibConfig, fi: number): number {
  const flags = cfg.nlflags;
  let at = fibWanted;
  let first = words[at]!;
  while (first !== 0 && compare(first, fi) < 0) {
    at = first;
    first = words[at]!;
  }
  let acted = NLM_F_CREATE;
  let last = at;
  let match = first;
  while (match !== 0 && compare(match, fi) === 0 && !sameContent(match, fi)) {
    last = match;
    match = words[match]!;
  }
  const known = match !== 0 && compare(match, fi) === 0;
  if ((known || last !== at) && (flags & NLM_F_EXCL) !== 0) return -EEXIST;
  if (known) return (flags & NLM_F_REPLACE) !== 0 && match === first ? 1 : -EEXIST;
  if (last !== at) {
    if ((flags & NLM_F_REPLACE) !== 0) {
      acted = NLM_F_REPLACE;
      words[at] = words[first]!;
      release(first);
    } else if ((flags & NLM_F_APPEND) !== 0) {
      acted |= NLM_F_APPEND;
      at = last;
    }
  }
  if ((flags & acted & (NLM_F_CREATE | NLM_F_REPLACE)) === 0) return -ENOENT;
  words[fi + FI_NEXT] = words[at]!;
  words[at] = fi;
  words[fi + FI_REFS] = 1;
  fibChanged(net, RTM_NEWROUTE, cfg, fi, acted);
  return 0;
}

/** Is a column what is asked for? 0 matches any. */
function fits(asked: number, is: number): boolean {
  return asked === 0 || asked === is;
}

function matches(cfg: FibConfig, fi: number): boolean {
  const word = words[fi + FI_WORD]!;
  const mtu = words[fi + FI_MTU]!;
  return fits(cfg.type, (word >> 16) & 255) && (cfg.scope === RT_SCOPE_NOWHERE || cfg.scope === (word & 255))
    && fits(cfg.protocol, (word >> 8) & 255) && fits(cfg.prefsrc, words[fi + FI_PREFSRC]!) && fits(cfg.priority, words[fi + FI_PRIORITY]!)
    && fits(cfg.oif, words[fi + NH_OIF]!) && fits(cfg.gw, words[fi + NH_GW]!) && fits(cfg.mtu, mtu & 0xffff) && fits(cfg.advmss, mtu >>> 16);
}

export const fibHostOps: FibOps = Object.freeze({
  init({ routes }: FibOptions): void {
    fibConfigInit(1, false);
    fibInfosInit(wordTable("fib", (routes + 1) * FI_INTS), routes);
    words[fibWanted] = 0;
  },
  lookup(net: Net, _table: number, daddr: number, key: FibKey, res: FibResult): number {
    let best = 33;
    let error = -EAGAIN;
    for (let fi = words[fibWanted]!; fi !== 0; fi = words[fi]!) {
      const order = words[fi + HR_ORDER]!;
      const slen = order >> ORDER_SLEN_SHIFT;
      if (slen >= best || (slen < 32 && (daddr ^ words[fi + HR_KEY]!) >>> slen !== 0) || hostNet(fi) !== net.id) continue;
      const tos = hostTos(order);
      const word = words[fi + NH_WORD]!;
      if ((tos !== 0 && tos !== key.tos) || word >>> NH_FIB_SCOPE_SHIFT < key.scope) continue;
      const type = hostType(fi);
      if (type < RTN_BLACKHOLE && ((word & RTNH_F_DEAD) !== 0 || !fits(key.oif, words[fi + NH_OIF]!))) continue;
      best = slen;
      error = FIB_TYPE_ERROR[type]!;
      res.type = type;
      res.nh = fi;
      res.fi = fi;
      res.slen = slen;
    }
    return error;
  },
  insert(net: Net, cfg: FibConfig): number {
    if (!isTable(cfg.table)) return cfg.table > RT_TABLE_LOCAL ? -EINVAL : -ENOBUFS;
    const fi = rowAlloc(fibInfoRows);
    if (fi === 0) return -ENOBUFS;
    let err = fibWorkOut(net, fi, cfg);
    if (err === 0) {
      words[fi + HR_KEY] = cfg.dst;
      words[fi + HR_ORDER] = orderOf(cfg);
      err = enter(net, cfg, fi);
    }
    if (err !== 0) rowFree(fibInfoRows, fi);
    return err > 0 ? 0 : err;
  },
  remove(net: Net, cfg: FibConfig): number {
    if (!isTable(cfg.table)) return nlErrMsg(-ESRCH, "FIB table does not exist");
    const order = orderOf(cfg);
    let at = fibWanted;
    for (let fi = words[at]!; fi !== 0; fi = words[at]!) {
      if (words[fi + HR_KEY] === cfg.dst && words[fi + HR_ORDER] === order && hostNet(fi) === net.id && matches(cfg, fi)) {
        words[at] = words[fi]!;
        fibChanged(net, RTM_DELROUTE, cfg, fi, 0);
        release(fi);
        return 0;
      }
      at = fi;
    }
    return -ESRCH;
  },
  flush(net: Net): void {
    let at = fibWanted;
    for (let fi = words[at]!; fi !== 0; fi = words[at]!) {
      if (hostNet(fi) === net.id && (words[fi + FI_FLAGS]! & RTNH_F_DEAD) !== 0 && hostType(fi) < RTN_BLACKHOLE) {
        words[at] = words[fi]!;
        release(fi);
      } else at = fi;
    }
  },
  dump: null,
});
