/**
 * The trie: key vectors that grow and shrink. Linux: net/ipv4/fib_trie.c, from put_child() to trie_rebalance(). Owns the shape of
 * the tries, not what their leaves say (fib-alias.ts) and not the lookup (fib-trie-lookup.ts).
 *
 * A tnode looks at `bits` bits of the key from position `pos` on, and has a child for each value; bits above that all keys
 * below it share are skipped. A node is doubled while at least half of the children it would have are in use, and halved below
 * a quarter (30 and 15 % for the top node, which every lookup passes): these are Linux's numbers, so that the same routes give
 * the same trie. A node's suffix length is the longest of the routes below it: a lookup that went wrong turns back only to
 * nodes whose suffix reaches beyond their position.
 *
 * Read first: S. Nilsson and G. Karlsson, IP-Address Lookup Using LC-Tries (IEEE JSAC 17(6), 1999).
 */
import { words } from "../../lib/table.ts";
import { faKey, faSlen, TB_ROOT } from "./fib-table.ts";
import {
  fibTnodes, tnodeBits, tnodeChild, tnodeCount, TN_CHILDREN, tnodeFree, tnodeFullChildren, tnodeIndex, tnodeIsNew, tnodeNew, tnodePos,
  tnodeRoomToInflate, tnodeSetSlen, tnodeSettle, tnodeSlen, tnodeUsed,
} from "./fib-tnode.ts";

/** Per cent of children in use at which a node is doubled and below which it is halved; the top node's differ. */
const INFLATE = 50;
const INFLATE_ROOT = 30;
const HALVE = 25;
const HALVE_ROOT = 15;
/** Most steps that one resize() takes. */
const MAX_WORK = 10;

/** Turns the order of unsigned numbers into that of signed ones. */
const SIGN = 0x80000000 | 0;

/** The key of a leaf or tnode. */
export function trieKey(n: number): number {
  return n >= fibTnodes ? words[n]! : faKey(n);
}

/** Suffix length of a leaf or tnode. */
export function trieSlen(n: number): number {
  return n >= fibTnodes ? tnodeSlen(n) : faSlen(n);
}

/** The tnode above one, 0 for the top. */
function tnodeParent(trie: number, n: number): number {
  const key = words[n]!;
  let parent = 0;
  for (let at = words[trie + TB_ROOT]!; at !== n; at = tnodeChild(at, tnodeIndex(key, at))) parent = at;
  return parent;
}

/** Is `n` a tnode that skips no bits below `tn`? */
function tnodeFull(tn: number, n: number): boolean {
  return n >= fibTnodes && tnodePos(n) + tnodeBits(n) === tnodePos(tn);
}

/** Linux: put_child(). */
function putChild(tn: number, index: number, n: number): void {
  const at = tn + TN_CHILDREN + index;
  const before = words[at]!;
  const used = (n === 0 ? 0 : 1) - (before === 0 ? 0 : 1);
  const full = (tnodeFull(tn, n) ? 1 : 0) - (tnodeFull(tn, before) ? 1 : 0);
  if (used !== 0 || full !== 0) tnodeCount(tn, used, full);
  if (n !== 0) {
    const slen = trieSlen(n);
    if (slen > tnodeSlen(tn)) tnodeSetSlen(tn, slen);
  }
  words[at] = n;
}

/** Linux: put_child_root(): the child of a tnode, or with `tp` 0 the top node. */
function putChildRoot(trie: number, tp: number, key: number, n: number): void {
  if (tp === 0) words[trie + TB_ROOT] = n;
  else putChild(tp, tnodeIndex(key, tp), n);
}

/** Puts `tn` in the place of `old` and resizes what is below it. Linux: replace(). @param tp the parent of both */
function replace(trie: number, tp: number, old: number, tn: number): void {
  putChildRoot(trie, tp, words[tn]!, tn);
  tnodeFree(old);
  const count = 1 << tnodeBits(tn);
  for (let i = count - 1; i >= 0; i--) {
    const n = tnodeChild(tn, i);
    if (n >= fibTnodes) tnodeSettle(n);
  }
  for (let i = count - 1; i >= 0; i--) {
    const n = tnodeChild(tn, i);
    if (tnodeFull(tn, n)) resize(trie, tn, n);
  }
}

/** Undoes what inflate() or halve() had built when the memory ran out. */
function abandon(tn: number): number {
  for (let i = (1 << tnodeBits(tn)) - 1; i >= 0; i--) {
    const n = tnodeChild(tn, i);
    if (n >= fibTnodes && tnodeIsNew(n)) tnodeFree(n);
  }
  tnodeFree(tn);
  return 0;
}

/** Doubles a tnode. Linux: inflate(). @returns the new one, or 0 when there is no memory for it: nothing has changed */
function inflate(trie: number, tp: number, old: number): number {
  if (!tnodeRoomToInflate(old)) return 0;
  const oldBits = tnodeBits(old);
  const tn = tnodeNew(words[old]!, tnodePos(old) - 1, oldBits + 1, false);
  if (tn === 0) return 0;
  const bit = 1 << tnodePos(tn);
  for (let i = (1 << oldBits) - 1; i >= 0; i--) {
    const n = tnodeChild(old, i);
    if (n === 0) continue;
    if (!tnodeFull(old, n)) {
      putChild(tn, tnodeIndex(trieKey(n), tn), n);
      continue;
    }
    const bits = tnodeBits(n);
    if (bits === 1) {
      putChild(tn, 2 * i + 1, tnodeChild(n, 1));
      putChild(tn, 2 * i, tnodeChild(n, 0));
      continue;
    }
    // The child is split: its first bit becomes ours.
    const node1 = tnodeNew(words[n]! | bit, tnodePos(n), bits - 1, true);
    if (node1 === 0) return abandon(tn);
    putChild(tn, 2 * i + 1, node1);
    const node0 = tnodeNew(words[n]!, tnodePos(n), bits - 1, true);
    if (node0 === 0) return abandon(tn);
    const half = 1 << (bits - 1);
    for (let j = half - 1; j >= 0; j--) {
      putChild(node1, j, tnodeChild(n, half + j));
      putChild(node0, j, tnodeChild(n, j));
    }
    putChild(tn, 2 * i, node0);
    // Its suffix has grown since it was put.
    const slen = tnodeSlen(node1);
    if (slen > tnodeSlen(tn)) tnodeSetSlen(tn, slen);
  }
  for (let i = (1 << oldBits) - 1; i >= 0; i--) {
    const n = tnodeChild(old, i);
    if (tnodeFull(old, n)) tnodeFree(n);
  }
  replace(trie, tp, old, tn);
  return tn;
}

/** Halves a tnode. Linux: halve(). @returns as inflate() */
function halve(trie: number, tp: number, old: number): number {
  const bits = tnodeBits(old);
  const pos = tnodePos(old);
  const tn = tnodeNew(words[old]!, pos + 1, bits - 1, false);
  if (tn === 0) return 0;
  for (let i = (1 << bits) - 2; i >= 0; i -= 2) {
    const node0 = tnodeChild(old, i);
    const node1 = tnodeChild(old, i + 1);
    if (node0 === 0 || node1 === 0) {
      putChild(tn, i >> 1, node1 === 0 ? node0 : node1);
      continue;
    }
    const pair = tnodeNew(trieKey(node0), pos, 1, true);
    if (pair === 0) return abandon(tn);
    putChild(pair, 1, node1);
    putChild(pair, 0, node0);
    putChild(tn, i >> 1, pair);
  }
  replace(trie, tp, old, tn);
  return tn;
}

/** The node has one child or none: it goes. Linux: collapse(). */
function collapse(trie: number, tp: number, old: number): void {
  let n = 0;
  for (let i = (1 << tnodeBits(old)) - 1; i >= 0 && n === 0; i--) n = tnodeChild(old, i);
  putChildRoot(trie, tp, words[old]!, n);
  tnodeFree(old);
}

/** Children in use of 2^bits, with full ones counted twice: how many a doubled node would have at least. @param tp 0 for the top node */
function shouldInflate(n: number, tp: number): boolean {
  const used = tnodeUsed(n) + tnodeFullChildren(n);
  return used > 1 && tnodePos(n) > 0 && 50 * used >= (tp === 0 ? INFLATE_ROOT : INFLATE) << tnodeBits(n);
}

function shouldHalve(n: number, tp: number): boolean {
  const used = tnodeUsed(n);
  const bits = tnodeBits(n);
  return used > 1 && bits > 1 && 100 * used < (tp === 0 ? HALVE_ROOT : HALVE) << bits;
}

/** Brings a tnode to its right size. Linux: resize(). @param tp its parent, 0 for the top node */
function resize(trie: number, tp: number, tn: number): void {
  let n = tn;
  let work = MAX_WORK;
  while (work > 0 && shouldInflate(n, tp)) {
    const doubled = inflate(trie, tp, n);
    if (doubled === 0) break;
    work--;
    n = doubled;
  }
  if (work !== MAX_WORK) return;
  while (work > 0 && shouldHalve(n, tp)) {
    const halved = halve(trie, tp, n);
    if (halved === 0) break;
    work--;
    n = halved;
  }
  if (tnodeUsed(n) < 2) collapse(trie, tp, n);
}

/** Resizes a tnode and all above it. Linux: trie_rebalance(). */
function trieRebalance(trie: number, tn: number): void {
  let n = tn;
  while (n !== 0) {
    const tp = tnodeParent(trie, n);
    resize(trie, tp, n);
    n = tp;
  }
}

/** The suffix length of a tnode, worked out anew. Linux: update_suffix(). */
function updateSuffix(n: number): number {
  const pos = tnodePos(n);
  const bits = tnodeBits(n);
  const old = tnodeSlen(n);
  // Only child 0 can have a suffix that reaches over all of the bits.
  const most = pos + bits - 1 < old ? pos + bits - 1 : old;
  const length = 1 << bits;
  let slen = pos;
  // A suffix of more than pos bits has zeros there: only every other child can have one, and so on.
  let stride = 2;
  for (let i = 0; i < length; i += stride) {
    const child = tnodeChild(n, i);
    if (child === 0) continue;
    const below = trieSlen(child);
    if (below <= slen) continue;
    stride <<= below - slen;
    slen = below;
    i &= ~(stride - 1);
    if (slen >= most) break;
  }
  tnodeSetSlen(n, slen);
  return slen;
}

/** A suffix below has grown. Linux: node_push_suffix(). */
function pushSuffix(trie: number, tp: number, slen: number): void {
  for (let n = tp; n !== 0 && tnodeSlen(n) < slen; n = tnodeParent(trie, n)) tnodeSetSlen(n, slen);
}

/** A suffix below has shrunk. Linux: node_pull_suffix(). */
function pullSuffix(trie: number, tp: number, slen: number): void {
  for (let n = tp; n !== 0; n = tnodeParent(trie, n)) {
    const old = tnodeSlen(n);
    if (old <= tnodePos(n) || old <= slen) return;
    slen = updateSuffix(n);
    if (old === slen) return;
  }
}

/** Parent of what trieFind() has found, or of the place where it would be; 0: it is the top. */
let trieFindParent = 0;

/** The leaf of that very key, or 0; with `trieFindParent`. Linux: fib_find_node(). */
export function trieFind(trie: number, key: number): number {
  let parent = 0;
  let n = words[trie + TB_ROOT]!;
  while (n >= fibTnodes) {
    const index = tnodeIndex(key, n);
    if (index >>> tnodeBits(n) !== 0) {
      n = 0;
      break;
    }
    parent = n;
    n = tnodeChild(n, index);
  }
  trieFindParent = parent;
  return n !== 0 && trieKey(n) === key ? n : 0;
}

/**
 * Enters a leaf where trieFind() has just found none. Linux: fib_insert_node().
 * @param leaf an alias, its columns set @returns false when there is no memory: nothing has changed
 */
export function trieInsert(trie: number, leaf: number): boolean {
  const key = trieKey(leaf);
  let tp = trieFindParent;
  const n = tp === 0 ? words[trie + TB_ROOT]! : tnodeChild(tp, tnodeIndex(key, tp));
  if (n !== 0) {
    const tn = tnodeNew(key, 31 - Math.clz32(key ^ trieKey(n)), 1, false);
    if (tn === 0) return false;
    putChild(tn, tnodeIndex(key, tn) ^ 1, n);
    putChildRoot(trie, tp, key, tn);
    tp = tn;
  }
  pushSuffix(trie, tp, trieSlen(leaf));
  putChildRoot(trie, tp, key, leaf);
  trieRebalance(trie, tp);
  return true;
}

/** Takes the leaf out that trieFind() has just found; its row is the caller's to free. Linux: fib_remove_alias(). */
export function trieRemove(trie: number, leaf: number): void {
  const tp = trieFindParent;
  const slen = trieSlen(leaf);
  putChildRoot(trie, tp, trieKey(leaf), 0);
  if (tp === 0) return;
  if (tnodeSlen(tp) === slen) pullSuffix(trie, tp, tnodePos(tp));
  trieRebalance(trie, tp);
}

/** The last alias of the leaf that trieFind() has just found has changed. @param before the suffix length of the one before */
export function trieSuffixChanged(trie: number, leaf: number, before: number): void {
  const tp = trieFindParent;
  const slen = trieSlen(leaf);
  if (slen > before) pushSuffix(trie, tp, slen);
  else if (slen < before) pullSuffix(trie, tp, slen);
}

/**
 * A walk over the whole trie from the highest key on, in which leaves may be taken out; each node is resized when it is done.
 * Linux: fib_table_flush(). @param visit answers false when the leaf is to go: it has freed its aliases
 */
export function trieSweep(trie: number, visit: (leaf: number) => boolean): void {
  let tp = 0;
  let index = 1;
  for (;;) {
    if (index === 0) {
      if (tp === 0) return;
      const key = words[tp]!;
      const up = tnodeParent(trie, tp);
      if (tnodeSlen(tp) > tnodePos(tp)) updateSuffix(tp);
      resize(trie, up, tp);
      tp = up;
      index = tp === 0 ? 0 : tnodeIndex(key, tp);
      continue;
    }
    index--;
    const n = tp === 0 ? words[trie + TB_ROOT]! : tnodeChild(tp, index);
    if (n === 0) continue;
    if (n >= fibTnodes) {
      tp = n;
      index = 1 << tnodeBits(n);
      continue;
    }
    const key = trieKey(n);
    if (!visit(n)) putChildRoot(trie, tp, key, 0);
  }
}

/** The first leaf whose key is at least that, as unsigned numbers; 0 at the end. Linux: leaf_walk_rcu(). */
export function trieNextLeaf(trie: number, key: number): number {
  const least = key ^ SIGN;
  let n = words[trie + TB_ROOT]!;
  let tp = 0;
  let index = 0;
  while (n >= fibTnodes) {
    tp = n;
    index = least > (words[n]! ^ SIGN) ? tnodeIndex(key, n) : 0;
    if (index >>> tnodeBits(n) !== 0) {
      n = 0;
      break;
    }
    n = tnodeChild(n, index++);
  }
  if (n !== 0 && (trieKey(n) ^ SIGN) >= least) return n;
  while (tp !== 0) {
    if (index >>> tnodeBits(tp) !== 0) {
      const from = words[tp]!;
      tp = tnodeParent(trie, tp);
      if (tp !== 0) index = tnodeIndex(from, tp) + 1;
      continue;
    }
    n = tnodeChild(tp, index++);
    if (n === 0) continue;
    if (n < fibTnodes) return n;
    tp = n;
    index = 0;
  }
  return 0;
}
