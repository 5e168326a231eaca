/**
 * Several default routes: the one whose gateway answers. Linux: fib_select_default() and fib_detect_death() of
 * net/ipv4/fib_semantics.c. Owns nothing; which of them was chosen last is kept with the namespace's tables.
 *
 * Read first: RFC 1122 section 3.3.1.2 (a host keeps several default gateways and turns to another when one is dead).
 */
import { words } from "../../lib/table.ts";
import {
  NUD_INCOMPLETE, NUD_NONE, NUD_REACHABLE, RT_SCOPE_LINK, RTN_UNICAST, RTNH_F_DEAD,
} from "../../uapi/rtnetlink.ts";
import type { Net } from "../core/net.ts";
import { neighLookup, NUD_VALID } from "../core/neighbour.ts";
import { arpTbl } from "./arp.ts";
import { faInfo, faIsOf, faTos, faType, fibGetTable } from "./fib-alias.ts";
import { FI_FLAGS, FI_PRIORITY, fiScope, fiTable, type NetFib, NH_GW, nhDev, nhScope } from "./fib-semantics.ts";
import { faNext, FA_WORD, TB_TRIE } from "./fib-table.ts";
import { trieFind } from "./fib-trie.ts";
import type { FibResult, Flowi4 } from "./flow.ts";

/** Suffix length of a default route, and its bits in an alias's word. */
const DEFAULT_SLEN = 32;
const SLEN_MASK = 63;

/** A route to fall back upon when no gateway is known to live, and its place; -1: none. */
let lastResort = 0;
let lastIndex = -1;

/** May the gateway be dead? One that is chosen but was not heard of lately counts as such, so that the next is tried. */
function detectDeath(net: Net, fi: number, order: number, chosen: number): boolean {
  const dev = nhDev(net, fi);
  const neigh = dev === null ? null : neighLookup(arpTbl, words[fi + NH_GW]!, dev);
  const state = neigh === null ? NUD_NONE : neigh.nudState;
  if (neigh === null || state === NUD_REACHABLE) return false;
  const valid = (state & NUD_VALID) !== 0;
  if (valid && order !== chosen) return false;
  if (valid || (lastIndex < 0 && order > chosen && state !== NUD_INCOMPLETE)) {
    lastResort = fi;
    lastIndex = order;
  }
  return true;
}

function assign(res: FibResult, fi: number): void {
  res.fi = fi;
  res.nh = fi;
}

/**
 * Chooses among default routes of the same priority, after a lookup has answered one; sets res.fi and res.nh.
 * @returns were there several? Then the choice is not to be remembered: the neighbours may change it.
 */
export function fibSelectDefault(net: Net, flow: Flowi4, res: FibResult): boolean {
  const table = fiTable(res.fi);
  const tb = fibGetTable(net, table);
  const leaf = tb === 0 ? 0 : trieFind(words[tb + TB_TRIE]!, 0);
  const fib = net.fib as NetFib;
  const chosen = fib.defaultOrder;
  const scope = fiScope(res.fi);
  let priority = words[res.fi + FI_PRIORITY]!;
  let tos = 0;
  let order = -1;
  let fi = 0;
  lastResort = 0;
  lastIndex = -1;
  for (let alias = leaf; alias !== 0; alias = faNext(alias)) {
    const next = faInfo(alias);
    const aliasTos = faTos(alias);
    if ((words[alias + FA_WORD]! & SLEN_MASK) !== DEFAULT_SLEN || !faIsOf(alias, table)) continue;
    if (aliasTos !== 0 && aliasTos !== flow.tos) continue;
    const nextPriority = words[next + FI_PRIORITY]!;
    if (nextPriority > priority && aliasTos === tos) {
      if (tos !== 0) continue;
      break;
    }
    if ((words[next + FI_FLAGS]! & RTNH_F_DEAD) !== 0) continue;
    tos = aliasTos;
    priority = nextPriority;
    if (fiScope(next) !== scope || faType(alias) !== RTN_UNICAST) continue;
    if (words[next + NH_GW] === 0 || nhScope(next) !== RT_SCOPE_LINK) continue;
    if (fi === 0) {
      if (next !== res.fi) break;
    } else if (!detectDeath(net, fi, order, chosen)) {
      assign(res, fi);
      fib.defaultOrder = order;
      return true;
    }
    fi = next;
    order++;
  }
  if (order <= 0) {
    fib.defaultOrder = -1;
    return false;
  }
  if (!detectDeath(net, fi, order, chosen)) {
    assign(res, fi);
    fib.defaultOrder = order;
  } else {
    if (lastIndex >= 0) assign(res, lastResort);
    fib.defaultOrder = lastIndex;
  }
  return true;
}
