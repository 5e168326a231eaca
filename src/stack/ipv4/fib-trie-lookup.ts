/**
 * The longest match in a trie. Linux: fib_table_lookup() of net/ipv4/fib_trie.c. This is the packet's way through the routing
 * tables: one pass down the trie, and back up only where a shorter prefix may lie.
 */
import { words } from "../../lib/table.ts";
import { EAGAIN } from "../../uapi/errno.ts";
import { RTN_BLACKHOLE, RTNH_F_DEAD } from "../../uapi/rtnetlink.ts";
import { FIB_TYPE_ERROR } from "./fib-lookup.ts";
import { FI_SHIFT, fibWanted } from "./fib-memory.ts";
import { NH_FIB_SCOPE_SHIFT, NH_NEXT, NH_OIF, NH_WORD } from "./fib-semantics.ts";
import { FA_INFO_SHIFT, FA_LINK, FA_MORE, FA_TOS_SHIFT, FA_TYPE_SHIFT, FA_WORD, TB_ROOT, TB_TRIE } from "./fib-table.ts";
import { fibTnodes, SLEN_SHIFT, TN_BITS_SHIFT, TN_CHILDREN, TN_WORD, tnodeChild, tnodeIndex } from "./fib-tnode.ts";
import type { FibKey, FibResult } from "./flow.ts";

/** What an alias's word has set that takes more than a look: another alias behind it, a TOS, the default route's suffix. */
const FA_INTRICATE = FA_MORE | (63 << FA_TOS_SHIFT) | 32;

/** From an alias's word to the TOS and to the place of its fib_info behind the wanted one. */
const TOS_SHIFT = FA_TOS_SHIFT - 2;
const INFO_SHIFT = FA_INFO_SHIFT - FI_SHIFT;
const INFO_MASK = 0x3fff << FI_SHIFT;

/** The lowest tnode above one, on the way to the key, whose suffix is longer than its position; 0 for none. */
function turnAbove(top: number, n: number, key: number): number {
  let turn = 0;
  for (let at = top; at !== n; at = tnodeChild(at, tnodeIndex(key, at))) if (words[at + TN_WORD]! < 0) turn = at;
  return turn;
}

/**
 * The whole search: down the trie until skipped bits differ, then back to where a shorter prefix may lie. @param top of the trie
 * @returns as FibOps.lookup()
 */
function trieSearch(top: number, daddr: number, key: FibKey, res: FibResult): number {
  const mem = words;
  const tnodes = fibTnodes;
  let n = top;
  // Where to turn back to: a tnode with longer suffixes than its position, and the child we went to.
  let turn = 0;
  let index = 0;
  while (n >= tnodes) {
    const word = mem[n + TN_WORD]!;
    const i = (daddr ^ mem[n]!) >>> word;
    // Do the skipped bits differ?
    if (i >>> (word >> TN_BITS_SHIFT) !== 0) break;
    if (word < 0) {
      turn = n;
      index = i | 0;
    }
    n = mem[n + TN_CHILDREN + i]!;
  }
  // The bits of the index that the longest suffix below `masked` reaches over: no shorter prefix has others than these zero.
  let mask = 0;
  let masked = 0;
  for (;;) {
    // Once astray only zeros follow: a shorter prefix has none but zeros behind it.
    while (n >= tnodes) {
      const prefix = mem[n]!;
      n = mem[n + TN_WORD]! < 0 && ((daddr ^ prefix) & (prefix | -prefix)) === 0 ? mem[n + TN_CHILDREN]! : 0;
    }
    if (n !== 0) {
      let word = mem[n + FA_WORD]!;
      // The key is behind the last alias.
      let link = n + FA_LINK;
      for (let w = word; w < 0; w = mem[link - FA_LINK + FA_WORD]!) link = mem[link]! + FA_LINK;
      const differ = daddr ^ mem[link]!;
      for (;;) {
        // The word's low bits are the suffix length; a shift takes five of them, the sixth is the default route's.
        if (differ >>> word === 0 || (word & 32) !== 0) {
          const tos = (word >> TOS_SHIFT) & 0xfc;
          if (tos === 0 || tos === key.tos) {
            const fi = fibWanted + ((word >> INFO_SHIFT) & INFO_MASK);
            if (mem[fi + NH_WORD]! >>> NH_FIB_SCOPE_SHIFT >= key.scope) {
              const type = (word >> FA_TYPE_SHIFT) & 15;
              if (type >= RTN_BLACKHOLE) return FIB_TYPE_ERROR[type]!;
              const oif = key.oif;
              let nh = fi;
              do {
                if ((mem[nh + NH_WORD]! & RTNH_F_DEAD) === 0 && (oif === 0 || oif === mem[nh + NH_OIF])) {
                  res.type = type;
                  res.nh = nh;
                  res.fi = fi;
                  res.slen = word & 63;
                  return 0;
                }
                nh = mem[nh + NH_NEXT]!;
              } while (nh !== 0);
            }
          }
        }
        if (word >= 0) break;
        n = mem[n + FA_LINK]!;
        word = mem[n + FA_WORD]!;
      }
    }
    do {
      if (masked !== turn) {
        masked = turn;
        const word = mem[turn + TN_WORD]!;
        // Suffix length less position, as far as a shift looks at it.
        mask = (2 << ((word >> SLEN_SHIFT) - word - 1)) - 1;
      }
      if ((index & mask) !== 0) {
        index &= index - 1;
        n = mem[turn + TN_CHILDREN + index]!;
      } else {
        if (turn === 0 || turn === top) return -EAGAIN;
        turn = turnAbove(top, turn, daddr);
        if (turn === 0) return -EAGAIN;
        index = tnodeIndex(daddr, turn);
        n = 0;
      }
    } while (n === 0);
  }
}

/**
 * The longest match for a destination, as FibOps.lookup().
 *
 * The leaf to which the bits of the address lead is the answer if it matches at all, as nothing below it is longer: so
 * neither the skipped bits nor a place to turn back to are looked at on the way. Only when it does not, the walk is made with both.
 */
export function trieLookup(tb: number, daddr: number, key: FibKey, res: FibResult): number {
  const mem = words;
  const tnodes = fibTnodes;
  const top = mem[mem[tb + TB_TRIE]! + TB_ROOT]!;
  let n = top;
  let passed = 0;
  while (n >= tnodes) {
    const word = mem[n + TN_WORD]!;
    passed |= word;
    n = mem[n + TN_CHILDREN + ((daddr >>> word) & ~(-1 << (word >> TN_BITS_SHIFT)))]!;
  }
  if (n !== 0) {
    const word = mem[n + FA_WORD]!;
    if ((word & FA_INTRICATE) !== 0) passed = -1;
    else if ((daddr ^ mem[n + FA_LINK]!) >>> word === 0) {
      const fi = fibWanted + ((word >> INFO_SHIFT) & INFO_MASK);
      const hop = mem[fi + NH_WORD]!;
      const type = (word >> FA_TYPE_SHIFT) & 15;
      const oif = key.oif;
      if (
        hop >>> NH_FIB_SCOPE_SHIFT >= key.scope && (hop & RTNH_F_DEAD) === 0 && type < RTN_BLACKHOLE
        && (oif === 0 || oif === mem[fi + NH_OIF])
      ) {
        res.type = type;
        res.nh = fi;
        res.fi = fi;
        res.slen = word & 63;
        return 0;
      }
      passed = -1;
    }
  }
  // No shorter prefix lies behind when none of the tnodes has a suffix longer than its position.
  return passed < 0 ? trieSearch(top, daddr, key, res) : -EAGAIN;
}
