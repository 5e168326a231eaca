/** What must hold of a trie at any time, and a routing table so simple that it must be right. */
import { POOL_IN_USE } from "../../../src/lib/pool.ts";
import { words } from "../../../src/lib/table.ts";
import { fibAliasRows } from "../../../src/stack/ipv4/fib-memory.ts";
import {
  fibTnodes, tnodeBits, tnodeChild, tnodeFullChildren, tnodeIndex, tnodeInts, tnodeIntsInUse, tnodeIsNew, tnodePos, tnodeSlen, tnodeUsed,
  TN_WORD,
} from "../../../src/stack/ipv4/fib-tnode.ts";
import { FA_WORD, faNext, TB_ROOT } from "../../../src/stack/ipv4/fib-table.ts";
import { trieKey, trieSlen } from "../../../src/stack/ipv4/fib-trie.ts";

export interface TrieShape {
  leaves: number;
  aliases: number;
  tnodes: number;
  /** Of tnodes and their children. */
  ints: number;
  /** Tnodes passed on the way to all leaves together. */
  depths: number;
  worstDepth: number;
}

function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(`trie: ${what}`);
}

function checkLeaf(n: number, shape: TrieShape, depth: number): void {
  shape.leaves++;
  shape.depths += depth;
  if (depth > shape.worstDepth) shape.worstDepth = depth;
  const key = trieKey(n);
  let slen = 0;
  for (let alias = n; alias !== 0; alias = faNext(alias)) {
    const word = words[alias + FA_WORD]!;
    must((word & 63) >= slen, "the aliases of a leaf are in order of suffix length");
    slen = word & 63;
    must(slen === 32 ? key === 0 : (key & ((1 << slen) - 1)) === 0, "a prefix has no host bits");
    shape.aliases++;
  }
}

/** One child of a tnode: its place, its bits. @returns its suffix length, -1 where there is none */
function checkChild(n: number, index: number): number {
  const child = tnodeChild(n, index);
  if (child === 0) return -1;
  must(tnodeIndex(trieKey(child), n) === index, "a child's key has its place");
  if (child >= fibTnodes) {
    must(!tnodeIsNew(child), "what is in the trie is not new");
    must(tnodePos(child) + tnodeBits(child) <= tnodePos(n), "a child looks at lower bits");
  }
  const slen = trieSlen(child);
  must(slen <= tnodeSlen(n), "no suffix below is longer than the tnode says");
  return slen;
}

/** What one tnode says of itself, without its children. */
function checkHeader(n: number, sparse: boolean): void {
  const pos = tnodePos(n);
  const bits = tnodeBits(n);
  const length = 1 << bits;
  const used = tnodeUsed(n);
  must(bits >= 1 && pos + bits <= 32, "a tnode looks at bits that there are");
  must(words[n + TN_WORD]! < 0 === tnodeSlen(n) > pos, "the sign says whether the suffix is longer than the position");
  // As in Linux a tnode that was doubled is not looked at again at once: it may keep one child until its path changes.
  must(used >= 1, "a tnode has a child");
  must(sparse || bits === 1 || used === 1 || 100 * used >= 15 * length, `a tnode is halved when it is too empty: ${used} of ${length}`);
}

/** One tnode: its counts, its suffix length, its children. */
function checkTnode(n: number, sparse: boolean): void {
  checkHeader(n, sparse);
  let used = 0;
  let full = 0;
  let slen = tnodePos(n);
  for (let i = 0; i < 1 << tnodeBits(n); i++) {
    const below = checkChild(n, i);
    if (below < 0) continue;
    used++;
    if (below > slen) slen = below;
    const child = tnodeChild(n, i);
    if (child >= fibTnodes && tnodePos(child) + tnodeBits(child) === tnodePos(n)) full++;
  }
  must(tnodeUsed(n) === used, `children in use: ${tnodeUsed(n)} for ${used}`);
  must(tnodeFullChildren(n) === full, `full children: ${tnodeFullChildren(n)} for ${full}`);
  must(tnodeSlen(n) === slen, `suffix length: ${tnodeSlen(n)} for ${slen}`);
}

function checkNode(n: number, shape: TrieShape, depth: number, sparse: boolean): void {
  if (n < fibTnodes) {
    checkLeaf(n, shape, depth);
    return;
  }
  checkTnode(n, sparse);
  shape.tnodes++;
  shape.ints += tnodeInts(tnodeBits(n));
  for (let i = 0; i < 1 << tnodeBits(n); i++) {
    const child = tnodeChild(n, i);
    if (child !== 0) checkNode(child, shape, depth + 1, sparse);
  }
}

/** Checks a whole trie. @param sparse there may have been no memory to halve a tnode @throws Error naming what does not hold */
export function checkTrie(trie: number, sparse = false): TrieShape {
  const shape: TrieShape = { leaves: 0, aliases: 0, tnodes: 0, ints: 0, depths: 0, worstDepth: 0 };
  const root = words[trie + TB_ROOT]!;
  if (root !== 0) checkNode(root, shape, 0, sparse);
  return shape;
}

/** Checks that nothing but these tries is in the memory. */
export function checkMemory(...shapes: TrieShape[]): void {
  const sum = (of: (shape: TrieShape) => number): number => shapes.reduce((total, shape) => total + of(shape), 0);
  must(words[fibAliasRows + POOL_IN_USE] === sum((s) => s.aliases), "aliases in use are those of the tries");
  must(tnodeIntsInUse() === sum((s) => s.ints), "tnodes in use are those of the tries");
}

/** Of tnodes with more bits only the child on the way is looked at: they would take all the time of a long test. */
const WHOLE_BITS = 6;

/** Checks the nodes on the way to a key, which an insertion or deletion of it may have changed. */
export function checkPath(trie: number, key: number): void {
  let n = words[trie + TB_ROOT]!;
  while (n >= fibTnodes) {
    const index = tnodeIndex(key, n);
    const bits = tnodeBits(n);
    if (bits <= WHOLE_BITS) checkTnode(n, false);
    else checkHeader(n, false);
    if (index >>> bits !== 0) return;
    checkChild(n, index);
    n = tnodeChild(n, index);
  }
}

export interface ModelRoute {
  readonly dst: number;
  readonly len: number;
  readonly tos: number;
  readonly priority: number;
  /** Tells routes of one prefix, TOS and priority apart. */
  mark: number;
}

export function maskOf(len: number): number {
  return len === 0 ? 0 : -1 << (32 - len);
}

/** Routes by prefix length and prefix. */
export class NaiveTable {
  private readonly lengths = Array.from({ length: 33 }, () => new Map<number, ModelRoute[]>());
  count = 0;

  /** Enters a route in front of those of its prefix, TOS and priority; false when there is one. */
  insert(route: ModelRoute): boolean {
    const routes = this.lengths[route.len]!.get(route.dst) ?? [];
    if (routes.some((r) => r.tos === route.tos && r.priority === route.priority)) return false;
    routes.push(route);
    routes.sort((a, b) => b.tos - a.tos || a.priority - b.priority);
    this.lengths[route.len]!.set(route.dst, routes);
    this.count++;
    return true;
  }

  find(dst: number, len: number, tos: number, priority: number): ModelRoute | undefined {
    return this.lengths[len]!.get(dst)?.find((r) => r.tos === tos && (priority === 0 || r.priority === priority));
  }

  remove(route: ModelRoute): void {
    const routes = this.lengths[route.len]!.get(route.dst)!;
    routes.splice(routes.indexOf(route), 1);
    if (routes.length === 0) this.lengths[route.len]!.delete(route.dst);
    this.count--;
  }

  lookup(addr: number, tos: number): ModelRoute | undefined {
    for (let len = 32; len >= 0; len--) {
      const found = this.lengths[len]!.get(addr & maskOf(len))?.find((r) => r.tos === 0 || r.tos === tos);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  *routes(): Iterable<ModelRoute> {
    for (const byPrefix of this.lengths) for (const routes of byPrefix.values()) yield* routes;
  }
}

/** The route for an address out of a list in any order, by the definition: what the model above must answer. */
export function listLookup(routes: readonly ModelRoute[], addr: number, tos: number): ModelRoute | undefined {
  let best: ModelRoute | undefined;
  for (const r of routes) {
    if ((addr & maskOf(r.len)) !== r.dst || (r.tos !== 0 && r.tos !== tos)) continue;
    if (best === undefined || r.len > best.len
      || (r.len === best.len && (r.tos > best.tos || (r.tos === best.tos && r.priority < best.priority)))) best = r;
  }
  return best;
}
