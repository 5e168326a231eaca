/**
 * The leaves of a routing table as a list, in the order of their keys: what a host has, an address and a gateway, are few enough to
 * look at all of them. Linux: in the place of net/ipv4/fib_hash.c; fib-trie.ts is for more. Owns the links, one for each leaf's row.
 */
import { words, wordTable } from "../../lib/table.ts";
import { EAGAIN } from "../../uapi/errno.ts";
import { RTN_BLACKHOLE, RTNH_F_DEAD } from "../../uapi/rtnetlink.ts";
import { faInfo, faTos, faType } from "./fib-alias.ts";
import { FIB_TYPE_ERROR } from "./fib-lookup.ts";
import { FA_INTS, fibAliases } from "./fib-memory.ts";
import { NH_FIB_SCOPE_SHIFT, NH_NEXT, NH_OIF, NH_WORD } from "./fib-semantics.ts";
import { FA_WORD, faKey, faNext, type FibTableOps, TB_ROOT, TB_TRIE } from "./fib-table.ts";
import type { FibKey, FibResult } from "./flow.ts";

/** Turns the order of unsigned numbers into that of signed ones. */
const SIGN = 0x80000000 | 0;

let links: number;

/** Words that a list of so many leaves takes. */
export function fibListWords(routes: number): number {
  return routes;
}

/** Where the next leaf's handle is. */
function linkOf(leaf: number): number {
  return links + (leaf - fibAliases) / FA_INTS;
}

/** Where the handle of the first leaf is whose key is at least that, or 0. */
function place(trie: number, key: number): number {
  let at = trie + TB_ROOT;
  for (let leaf = words[at]!; leaf !== 0 && (faKey(leaf) ^ SIGN) < (key ^ SIGN); leaf = words[at]!) at = linkOf(leaf);
  return at;
}

function nextLeaf(trie: number, key: number): number {
  return words[place(trie, key)]!;
}

/** The next hop of a route that is alive and leaves by that device (0: any), or 0. */
function usable(fi: number, oif: number): number {
  let nh = fi;
  while (nh !== 0 && ((words[nh + NH_WORD]! & RTNH_F_DEAD) !== 0 || (oif !== 0 && oif !== words[nh + NH_OIF]))) nh = words[nh + NH_NEXT]!;
  return nh;
}

/** Of all that match the one with the shortest suffix, which of a leaf's aliases is the first. */
function lookup(tb: number, daddr: number, key: FibKey, res: FibResult): number {
  let best = 33;
  let error = -EAGAIN;
  for (let leaf = words[words[tb + TB_TRIE]! + TB_ROOT]!; leaf !== 0; leaf = words[linkOf(leaf)]!) {
    const differ = daddr ^ faKey(leaf);
    for (let alias = leaf; alias !== 0; alias = faNext(alias)) {
      const slen = words[alias + FA_WORD]! & 63;
      if (slen >= best) break;
      const tos = faTos(alias);
      const fi = faInfo(alias);
      if (
        (slen < 32 && differ >>> slen !== 0) || (tos !== 0 && tos !== key.tos) || words[fi + NH_WORD]! >>> NH_FIB_SCOPE_SHIFT < key.scope
      ) {
        continue;
      }
      const type = faType(alias);
      const nh = type >= RTN_BLACKHOLE ? fi : usable(fi, key.oif);
      if (nh === 0) continue;
      best = slen;
      error = FIB_TYPE_ERROR[type]!;
      res.type = type;
      res.nh = nh;
      res.fi = fi;
      res.slen = slen;
    }
  }
  return error;
}

export const fibListOps: FibTableOps = Object.freeze({
  lookup,
  find(trie: number, key: number): number {
    const leaf = nextLeaf(trie, key);
    return leaf !== 0 && faKey(leaf) === key ? leaf : 0;
  },
  insert(trie: number, leaf: number): boolean {
    const at = place(trie, faKey(leaf));
    words[linkOf(leaf)] = words[at]!;
    words[at] = leaf;
    return true;
  },
  remove(trie: number, leaf: number): void {
    words[place(trie, faKey(leaf))] = words[linkOf(leaf)]!;
  },
  suffixChanged(): void {
    // Nothing is worked out from it.
  },
  sweep(trie: number, visit: (leaf: number) => boolean): void {
    let at = trie + TB_ROOT;
    for (let leaf = words[at]!; leaf !== 0; leaf = words[at]!) {
      if (visit(leaf)) at = linkOf(leaf);
      else words[at] = words[linkOf(leaf)]!;
    }
  },
  nextLeaf,
  reserve: () => true,
  init(routes: number): void {
    links = wordTable("fib_list", fibListWords(routes));
  },
});
