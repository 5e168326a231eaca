/**
 * The trie: key vectors that grow and shrink. Linux: net/ipv4/fib_trie.c, from put_child() to trie_rebalance(). Owns the shape of
 * the tries, not what their leaves say (fib-alias.ts) and not the lookup (fib-lookup.ts).
 *
 * A tnode looks at `bits` bits of the key from position `pos` on, and has a child for each value; bits above that all keys
 * below it share are skipped. A node is doubled while at least half of the children it would have are in use, and halved below
 * a quarter (30 and 15 % for the top node, which every lookup passes): these are Linux's numbers, so that the same routes give
 * the same trie. A node's suffix length is the longest of the routes below it: a lookup that went wrong turns back only to
 * nodes whose suffix reaches beyond their position.
 *
 * Read first: S. Nilsson and G. Karlsson, IP-Address Lookup Using LC-Tries (IEEE JSAC 17(6), 1999).
 */
import {
  FA_INTS, fibAliases, fibChildrenAlloc, fibChildrenFree, fibMem, fibRoomToInflate, fibRowAlloc, fibRowFree, fibTnodeRows,
  fibTnodes, TN_CHILDREN, TN_EMPTY, TN_FULL, TN_KEY, TN_PARENT, TN_WORD,
} from "./fib-memory.ts";

/** Columns of a table's row; the alias's are the leaf's. */
export const TB_NUM = 0;
/** Top node of the trie, a leaf or a tnode; 0 while it is empty. */
export const TB_ROOT = 1;
export const TB_NEXT = 2;
/** The table whose TB_ROOT is used: itself, or main while local shares its trie. */
export const TB_TRIE = 3;

/** Columns of an alias. */
export const FA_KEY = 0;
/** Suffix length (6 bits: 32 less prefix length), type (4), TOS (8), table (8). */
export const FA_WORD = 1;
/** Number of the fib_info (15 bits), number of the next alias of the leaf and one (17). */
export const FA_LINK = 2;
export const FA_TYPE_SHIFT = 6;
export const FA_TOS_SHIFT = 10;
export const FA_TABLE_SHIFT = 18;
const FA_INFO_BITS = 15;
export const FA_INFO_MASK = 0x7fff;

/** Per cent of children in use at which a node is doubled and below which it is halved; the top node's differ. */
const INFLATE = 50;
const INFLATE_ROOT = 30;
const HALVE = 25;
const HALVE_ROOT = 15;
/** Most steps that one resize() takes. */
const MAX_WORK = 10;

/** Turns the order of unsigned numbers into that of signed ones. */
const SIGN = 0x80000000 | 0;

/** The next alias of the leaf, 0 at the end. */
export function faNext(alias: number): number {
  const number = fibMem[alias + FA_LINK]! >>> FA_INFO_BITS;
  return number === 0 ? 0 : fibAliases + (number - 1) * FA_INTS;
}

export function faSetNext(alias: number, next: number): void {
  const number = next === 0 ? 0 : ((next - fibAliases) / FA_INTS | 0) + 1;
  fibMem[alias + FA_LINK] = (number << FA_INFO_BITS) | (fibMem[alias + FA_LINK]! & FA_INFO_MASK);
}

/** Suffix length of a node: of a leaf, its last alias's. */
export function trieSlen(n: number): number {
  if (n >= fibTnodes) return (fibMem[n + TN_WORD]! >> 10) & 63;
  let alias = n;
  for (let next = faNext(n); next !== 0; next = faNext(next)) alias = next;
  return fibMem[alias + FA_WORD]! & 63;
}

function tnodeSetSlen(n: number, slen: number): void {
  const word = fibMem[n + TN_WORD]! & 0x3ff;
  fibMem[n + TN_WORD] = word | (slen << 10) | (slen > (word & 31) ? 0x80000000 : 0);
}

export function tnodePos(n: number): number {
  return fibMem[n + TN_WORD]! & 31;
}

export function tnodeBits(n: number): number {
  return (fibMem[n + TN_WORD]! >> 5) & 31;
}

/** Which child of a tnode the key belongs to. */
export function tnodeIndex(key: number, n: number): number {
  return (key ^ fibMem[n]!) >>> fibMem[n + TN_WORD]!;
}

export function tnodeChild(n: number, index: number): number {
  return fibMem[fibMem[n + TN_CHILDREN]! + index]!;
}

/** A tnode without children, or 0. */
function tnodeNew(key: number, pos: number, bits: number): number {
  const children = fibChildrenAlloc(bits);
  if (children === 0) return 0;
  const n = fibRowAlloc(fibTnodeRows);
  if (n === 0) {
    fibChildrenFree(children, bits);
    return 0;
  }
  const shift = pos + bits;
  fibMem[n + TN_KEY] = shift < 32 ? (key >>> shift) << shift : 0;
  fibMem[n + TN_WORD] = pos | (bits << 5) | (pos << 10);
  fibMem[n + TN_PARENT] = 0;
  fibMem[n + TN_CHILDREN] = children;
  fibMem[n + TN_EMPTY] = 1 << bits;
  fibMem[n + TN_FULL] = 0;
  return n;
}

function tnodeFree(n: number): void {
  fibChildrenFree(fibMem[n + TN_CHILDREN]!, tnodeBits(n));
  fibRowFree(fibTnodeRows, n);
}

/** Is `n` a tnode that skips no bits below `tn`? */
function tnodeFull(tn: number, n: number): boolean {
  return n >= fibTnodes && tnodePos(n) + tnodeBits(n) === tnodePos(tn);
}

/** Linux: put_child(). */
function putChild(tn: number, index: number, n: number): void {
  const at = fibMem[tn + TN_CHILDREN]! + index;
  const before = fibMem[at]!;
  if (n === 0) {
    if (before !== 0) fibMem[tn + TN_EMPTY]!++;
  } else if (before === 0) fibMem[tn + TN_EMPTY]!--;
  const wasFull = tnodeFull(tn, before);
  const isFull = tnodeFull(tn, n);
  if (wasFull && !isFull) fibMem[tn + TN_FULL]!--;
  else if (!wasFull && isFull) fibMem[tn + TN_FULL]!++;
  if (n !== 0) {
    const slen = trieSlen(n);
    if (slen > trieSlen(tn)) tnodeSetSlen(tn, slen);
  }
  fibMem[at] = n;
}

/** Linux: put_child_root(): the child of a tnode, or with `tp` 0 the top node. */
function putChildRoot(trie: number, tp: number, key: number, n: number): void {
  if (tp === 0) fibMem[trie + TB_ROOT] = n;
  else putChild(tp, tnodeIndex(key, tp), n);
}

function setParent(n: number, tp: number): void {
  if (n >= fibTnodes) fibMem[n + TN_PARENT] = tp;
}

/** Puts `tn` in the place of `old` and resizes what is below it. Linux: replace(). @returns the parent */
function replace(trie: number, old: number, tn: number): number {
  const tp = fibMem[old + TN_PARENT]!;
  fibMem[tn + TN_PARENT] = tp;
  putChildRoot(trie, tp, fibMem[tn]!, tn);
  const children = fibMem[tn + TN_CHILDREN]!;
  const count = 1 << tnodeBits(tn);
  for (let i = count - 1; i >= 0; i--) {
    const n = fibMem[children + i]!;
    if (n < fibTnodes) continue;
    const isNew = fibMem[n + TN_PARENT] === 0;
    fibMem[n + TN_PARENT] = tn;
    if (!isNew) continue;
    // Made for this tnode: its children know only the one they come from.
    const below = fibMem[n + TN_CHILDREN]!;
    for (let j = (1 << tnodeBits(n)) - 1; j >= 0; j--) setParent(fibMem[below + j]!, n);
  }
  tnodeFree(old);
  for (let i = count - 1; i >= 0; i--) {
    const n = fibMem[children + i]!;
    if (tnodeFull(tn, n)) resize(trie, n);
  }
  return tp;
}

/** Undoes what inflate() or halve() had built when the memory ran out: the tnodes that are new among the children. */
function abandon(tn: number): boolean {
  const children = fibMem[tn + TN_CHILDREN]!;
  for (let i = (1 << tnodeBits(tn)) - 1; i >= 0; i--) {
    const n = fibMem[children + i]!;
    if (n >= fibTnodes && fibMem[n + TN_PARENT] === 0) tnodeFree(n);
  }
  tnodeFree(tn);
  return false;
}

/** Doubles a tnode. Linux: inflate(). @returns false when there is no memory for it: nothing has changed */
function inflate(trie: number, old: number): boolean {
  const oldBits = tnodeBits(old);
  const full = fibMem[old + TN_FULL]!;
  if (!fibRoomToInflate(full * 2 + 1, 2 << oldBits)) return false;
  const tn = tnodeNew(fibMem[old]!, tnodePos(old) - 1, oldBits + 1);
  if (tn === 0) return false;
  const bit = 1 << tnodePos(tn);
  const children = fibMem[old + TN_CHILDREN]!;
  for (let i = (1 << oldBits) - 1; i >= 0; i--) {
    const n = fibMem[children + i]!;
    if (n === 0) continue;
    if (!tnodeFull(old, n)) {
      putChild(tn, tnodeIndex(fibMem[n]!, tn), n);
      continue;
    }
    const below = fibMem[n + TN_CHILDREN]!;
    const bits = tnodeBits(n);
    if (bits === 1) {
      putChild(tn, 2 * i + 1, fibMem[below + 1]!);
      putChild(tn, 2 * i, fibMem[below]!);
      continue;
    }
    // The child is split: its first bit becomes ours.
    const node1 = tnodeNew(fibMem[n]! | bit, tnodePos(n), bits - 1);
    if (node1 === 0) return abandon(tn);
    putChild(tn, 2 * i + 1, node1);
    const node0 = tnodeNew(fibMem[n]!, tnodePos(n), bits - 1);
    if (node0 === 0) return abandon(tn);
    const half = 1 << (bits - 1);
    for (let j = half - 1; j >= 0; j--) {
      putChild(node1, j, fibMem[below + half + j]!);
      putChild(node0, j, fibMem[below + j]!);
    }
    putChild(tn, 2 * i, node0);
    // Its suffix has grown since it was put.
    const slen = trieSlen(node1);
    if (slen > trieSlen(tn)) tnodeSetSlen(tn, slen);
  }
  for (let i = (1 << oldBits) - 1; i >= 0; i--) {
    const n = fibMem[children + i]!;
    if (tnodeFull(old, n)) tnodeFree(n);
  }
  replace(trie, old, tn);
  return true;
}

/** Halves a tnode. Linux: halve(). @returns false when there is no memory for it: nothing has changed */
function halve(trie: number, old: number): boolean {
  const bits = tnodeBits(old);
  const pos = tnodePos(old);
  const tn = tnodeNew(fibMem[old]!, pos + 1, bits - 1);
  if (tn === 0) return false;
  const children = fibMem[old + TN_CHILDREN]!;
  for (let i = (1 << bits) - 2; i >= 0; i -= 2) {
    const node0 = fibMem[children + i]!;
    const node1 = fibMem[children + i + 1]!;
    if (node0 === 0 || node1 === 0) {
      putChild(tn, i >> 1, node1 === 0 ? node0 : node1);
      continue;
    }
    const pair = tnodeNew(fibMem[node0]!, pos, 1);
    if (pair === 0) return abandon(tn);
    putChild(pair, 1, node1);
    putChild(pair, 0, node0);
    putChild(tn, i >> 1, pair);
  }
  replace(trie, old, tn);
  return true;
}

/** The node has one child or none: it goes. Linux: collapse(). @returns the parent */
function collapse(trie: number, old: number): number {
  const children = fibMem[old + TN_CHILDREN]!;
  let n = 0;
  for (let i = (1 << tnodeBits(old)) - 1; i >= 0 && n === 0; i--) n = fibMem[children + i]!;
  const tp = fibMem[old + TN_PARENT]!;
  putChildRoot(trie, tp, fibMem[old]!, n);
  setParent(n, tp);
  tnodeFree(old);
  return tp;
}

/** Children in use of 2^bits, with full ones counted twice: how many a doubled node would have at least. */
export function shouldInflate(n: number): boolean {
  const length = 1 << tnodeBits(n);
  const used = length - fibMem[n + TN_EMPTY]! + fibMem[n + TN_FULL]!;
  const threshold = fibMem[n + TN_PARENT] === 0 ? INFLATE_ROOT : INFLATE;
  return used > 1 && tnodePos(n) > 0 && 50 * used >= threshold * length;
}

export function shouldHalve(n: number): boolean {
  const bits = tnodeBits(n);
  const length = 1 << bits;
  const used = length - fibMem[n + TN_EMPTY]!;
  const threshold = fibMem[n + TN_PARENT] === 0 ? HALVE_ROOT : HALVE;
  return used > 1 && bits > 1 && 100 * used < threshold * length;
}

/** Brings a tnode to its right size. Linux: resize(). @returns its parent, 0 when it was the top node */
function resize(trie: number, tn: number): number {
  const tp = fibMem[tn + TN_PARENT]!;
  const index = tp === 0 ? 0 : tnodeIndex(fibMem[tn]!, tp);
  let n = tn;
  let work = MAX_WORK;
  while (work > 0 && shouldInflate(n)) {
    if (!inflate(trie, n)) break;
    work--;
    n = tp === 0 ? fibMem[trie + TB_ROOT]! : tnodeChild(tp, index);
  }
  if (work !== MAX_WORK) return tp;
  while (work > 0 && shouldHalve(n)) {
    if (!halve(trie, n)) break;
    work--;
    n = tp === 0 ? fibMem[trie + TB_ROOT]! : tnodeChild(tp, index);
  }
  if ((1 << tnodeBits(n)) - fibMem[n + TN_EMPTY]! < 2) return collapse(trie, n);
  return tp;
}

/** Linux: trie_rebalance(). */
function trieRebalance(trie: number, tn: number): void {
  let n = tn;
  while (n !== 0) n = resize(trie, n);
}

/** The suffix length of a tnode, worked out anew. Linux: update_suffix(). */
function updateSuffix(n: number): number {
  const pos = tnodePos(n);
  const bits = tnodeBits(n);
  const old = trieSlen(n);
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
function pushSuffix(tp: number, slen: number): void {
  for (let n = tp; n !== 0 && trieSlen(n) < slen; n = fibMem[n + TN_PARENT]!) tnodeSetSlen(n, slen);
}

/** A suffix below has shrunk. Linux: node_pull_suffix(). */
function pullSuffix(tp: number, slen: number): void {
  for (let n = tp; n !== 0; n = fibMem[n + TN_PARENT]!) {
    const old = trieSlen(n);
    if (old <= tnodePos(n) || old <= slen) return;
    slen = updateSuffix(n);
    if (old === slen) return;
  }
}

/** Parent of what trieFind() has found, or of the place where it would be; 0: it is the top. */
export let trieFindParent = 0;

/** The leaf of that very key, or 0; with `trieFindParent`. Linux: fib_find_node(). */
export function trieFind(trie: number, key: number): number {
  let parent = 0;
  let n = fibMem[trie + TB_ROOT]!;
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
  return n !== 0 && fibMem[n] === key ? n : 0;
}

/**
 * Enters a leaf where trieFind() has just found none. Linux: fib_insert_node().
 * @param leaf an alias, its columns set @returns false when there is no memory: nothing has changed
 */
export function trieInsert(trie: number, leaf: number): boolean {
  const key = fibMem[leaf]!;
  let tp = trieFindParent;
  const n = tp === 0 ? fibMem[trie + TB_ROOT]! : tnodeChild(tp, tnodeIndex(key, tp));
  if (n !== 0) {
    const tn = tnodeNew(key, 31 - Math.clz32(key ^ fibMem[n]!), 1);
    if (tn === 0) return false;
    fibMem[tn + TN_PARENT] = tp;
    putChild(tn, tnodeIndex(key, tn) ^ 1, n);
    putChildRoot(trie, tp, key, tn);
    setParent(n, tn);
    tp = tn;
  }
  pushSuffix(tp, trieSlen(leaf));
  putChildRoot(trie, tp, key, leaf);
  trieRebalance(trie, tp);
  return true;
}

/** Takes a leaf out whose last alias goes; its row is the caller's to free. Linux: fib_remove_alias(). */
export function trieRemove(trie: number, leaf: number, tp: number): void {
  const slen = trieSlen(leaf);
  putChildRoot(trie, tp, fibMem[leaf]!, 0);
  if (tp === 0) return;
  if (trieSlen(tp) === slen) pullSuffix(tp, tnodePos(tp));
  trieRebalance(trie, tp);
}

/** The last alias of a leaf has changed. */
export function trieSuffixChanged(leaf: number, tp: number, before: number): void {
  const slen = trieSlen(leaf);
  if (slen > before) pushSuffix(tp, slen);
  else if (slen < before) pullSuffix(tp, slen);
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
      const key = fibMem[tp]!;
      if (trieSlen(tp) > tnodePos(tp)) updateSuffix(tp);
      tp = resize(trie, tp);
      index = tp === 0 ? 0 : tnodeIndex(key, tp);
      continue;
    }
    index--;
    const n = tp === 0 ? fibMem[trie + TB_ROOT]! : tnodeChild(tp, index);
    if (n === 0) continue;
    if (n >= fibTnodes) {
      tp = n;
      index = 1 << tnodeBits(n);
      continue;
    }
    const key = fibMem[n]!;
    if (!visit(n)) putChildRoot(trie, tp, key, 0);
  }
}

/** The first leaf whose key is at least that, as unsigned numbers; 0 at the end. Linux: leaf_walk_rcu(). */
export function trieNextLeaf(trie: number, key: number): number {
  const least = key ^ SIGN;
  let n = fibMem[trie + TB_ROOT]!;
  let tp = 0;
  let index = 0;
  while (n >= fibTnodes) {
    tp = n;
    index = least > (fibMem[n]! ^ SIGN) ? tnodeIndex(key, n) : 0;
    if (index >>> tnodeBits(n) !== 0) {
      n = 0;
      break;
    }
    n = tnodeChild(n, index++);
  }
  if (n !== 0 && (fibMem[n]! ^ SIGN) >= least) return n;
  while (tp !== 0) {
    if (index >>> tnodeBits(tp) !== 0) {
      const from = fibMem[tp]!;
      tp = fibMem[tp + TN_PARENT]!;
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
