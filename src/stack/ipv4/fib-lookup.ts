/**
 * The longest match: fib_table_lookup() and fib_lookup(). Linux: net/ipv4/fib_trie.c, include/net/ip_fib.h, inet_addr_type() of
 * net/ipv4/fib_frontend.c. This is the packet's way through the routing tables: one pass down the trie, and back up only where a
 * shorter prefix may lie.
 */
import { account } from "../../lib/account.ts";
import { words } from "../../lib/table.ts";
import { EACCES, EAGAIN, EHOSTUNREACH, EINVAL, ENETUNREACH } from "../../uapi/errno.ts";
import { inClassD } from "../../uapi/in.ts";
import { RT_SCOPE_UNIVERSE, RT_TABLE_LOCAL, RTN_BLACKHOLE, RTN_BROADCAST, RTN_MULTICAST, RTN_UNICAST, RTNH_F_DEAD } from "../../uapi/rtnetlink.ts";
import type { Net } from "../core/net.ts";
import { fibGetTable } from "./fib-alias.ts";
import { FI_SHIFT, fibTnodes, fibWanted } from "./fib-memory.ts";
import { fibRulesLookup } from "./fib-rules.ts";
import { NH_FIB_SCOPE_SHIFT, NH_NEXT, NH_OIF, NH_WORD, type NetFib } from "./fib-semantics.ts";
import { SLEN_SHIFT, TN_BITS_SHIFT, TN_CHILDREN, TN_WORD, tnodeChild, tnodeIndex } from "./fib-tnode.ts";
import { FA_INFO_SHIFT, FA_LINK, FA_MORE, FA_TOS_SHIFT, FA_TYPE_SHIFT, FA_WORD, TB_ROOT, TB_TRIE } from "./fib-trie.ts";
import { type FibKey, FibResult, type Flowi4 } from "./flow.ts";

/**
 * What a lookup answers that ends at a route of each type (RTN_*); 0: there is a next hop. Linux: fib_props[].error.
 */
const FIB_TYPE_ERROR: readonly number[] = Object.freeze([
  -EINVAL, 0, 0, 0, 0, 0, -EINVAL, -EHOSTUNREACH, -EACCES, -EAGAIN, -EINVAL, -EINVAL, -EINVAL, -EINVAL, -EINVAL, -EINVAL,
]);

/** What an alias's word has set that takes more than a look: another alias behind it, a TOS, the default route's suffix. */
const FA_INTRICATE = FA_MORE | (63 << FA_TOS_SHIFT) | 32;

/** From an alias's word to the TOS and to the place of its fib_info behind the wanted one. */
const TOS_SHIFT = FA_TOS_SHIFT - 2;
const INFO_SHIFT = FA_INFO_SHIFT - FI_SHIFT;
const INFO_MASK = 0x3fff << FI_SHIFT;

/** Asks for the longest match, whatever it is. */
const ANY_ROUTE: FibKey = Object.freeze({ oif: 0, tos: 0, scope: RT_SCOPE_UNIVERSE });

/** The answer to whoever asks now: nothing that is called before the answer has been read may ask itself. */
export let fibResult: FibResult;

/** Boot time. */
export function fibLookupInit(): void {
  fibResult = account("fib", new FibResult());
}

/** The lowest tnode above one, on the way to the key, whose suffix is longer than its position; 0 for none. */
function turnAbove(top: number, n: number, key: number): number {
  let turn = 0;
  for (let at = top; at !== n; at = tnodeChild(at, tnodeIndex(key, at))) if (words[at + TN_WORD]! < 0) turn = at;
  return turn;
}

/**
 * The whole search: down the trie until skipped bits differ, then back to where a shorter prefix may lie. @param top of the trie
 * @returns as fibTableLookup()
 */
function fibTableSearch(top: number, daddr: number, key: FibKey, res: FibResult): number {
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
 * The longest match for a destination in a table; fills `res`. Linux: fib_table_lookup().
 *
 * The leaf to which the bits of the address lead is the answer if it matches at all, as nothing below it is longer: so
 * neither the skipped bits nor a place to turn back to are looked at on the way. Only when it does not, the walk is made with both.
 * @returns 0, the error of the route's type, or -EAGAIN: nothing here, or a THROW route: the next rule is to be asked
 */
export function fibTableLookup(tb: number, daddr: number, key: FibKey, res: FibResult): number {
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
  return passed < 0 ? fibTableSearch(top, daddr, key, res) : -EAGAIN;
}

/**
 * The route for a flow; fills `res`. Until the rules are changed main, in which local is, answers, and then the default
 * table. Linux: fib_lookup().
 * @returns 0, -ENETUNREACH (no route), or what the route's type says: -EINVAL (blackhole), -EHOSTUNREACH, -EACCES
 */
export function fibLookup(net: Net, flow: Flowi4, res: FibResult): number {
  const fib = net.fib as NetFib;
  if (fib.rules >= 0) return fibRulesLookup(net, flow, res);
  let error = fib.main === 0 ? -EAGAIN : fibTableLookup(fib.main, flow.daddr, flow, res);
  if (error === -EAGAIN && fib.fallback !== 0) error = fibTableLookup(fib.fallback, flow.daddr, flow, res);
  return error === -EAGAIN ? -ENETUNREACH : error;
}

/**
 * What kind of address it is for this host: RTN_LOCAL, RTN_BROADCAST, RTN_MULTICAST, else RTN_UNICAST (any other).
 * Linux: inet_addr_type().
 */
export function inetAddrType(net: Net, addr: number): number {
  return inetAddrTypeTable(net, addr, RT_TABLE_LOCAL);
}

/** The same by one table. Linux: inet_addr_type_table(). */
export function inetAddrTypeTable(net: Net, addr: number, table: number): number {
  // No addresses of hosts. The rest of 0/8 may be (Linux, since 5.3).
  if (addr === 0 || addr === -1) return RTN_BROADCAST;
  if (inClassD(addr)) return RTN_MULTICAST;
  const tb = fibGetTable(net, table);
  if (tb === 0) return RTN_UNICAST;
  return fibTableLookup(tb, addr, ANY_ROUTE, fibResult) === 0 ? fibResult.type : RTN_UNICAST;
}
