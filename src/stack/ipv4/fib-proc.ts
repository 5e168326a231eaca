/**
 * The tries as text: /proc/net/fib_trie and /proc/net/fib_triestat. Linux: fib_trie_seq_show(), fib_triestat_seq_show() of
 * net/ipv4/fib_trie.c. For people and for comparison with a kernel: makes strings.
 */
import { words } from "../../lib/table.ts";
import { RT_SCOPE_HOST, RT_SCOPE_LINK, RT_SCOPE_NOWHERE, RT_SCOPE_SITE, RT_SCOPE_UNIVERSE, RT_TABLE_LOCAL, RT_TABLE_MAIN } from "../../uapi/rtnetlink.ts";
import type { Net } from "../core/net.ts";
import { faInfo, faTos, faType } from "./fib-alias.ts";
import { FI_WORD, type NetFib } from "./fib-semantics.ts";
import { fibTnodes, tnodeBits, tnodeChild, tnodeFullChildren, tnodePos, tnodeUsed } from "./fib-tnode.ts";
import { FA_WORD, faKey, faNext, TB_NEXT, TB_ROOT, TB_TRIE } from "./fib-table.ts";

const TYPE_NAMES: readonly string[] = Object.freeze([
  "UNSPEC", "UNICAST", "LOCAL", "BROADCAST", "ANYCAST", "MULTICAST", "BLACKHOLE", "UNREACHABLE", "PROHIBIT", "THROW", "NAT", "XRESOLVE",
]);

/** Sizes of a 64-bit kernel's structures: what fib_triestat counts in, so that it can be compared. */
const LEAF_BYTES = 48;
const TNODE_BYTES = 40;
const ALIAS_BYTES = 56;
const POINTER_BYTES = 8;

/** Linux's tables lie in a hash of their numbers: main before local. */
function createTableList(net: Net): number[] {
  const tables: number[] = [];
  for (let tb = (net.fib as NetFib).tables; tb !== 0; tb = words[tb + TB_NEXT]!) tables.push(tb);
  return tables.sort((a, b) => words[a]! - words[b]!);
}

function formatTableName(tb: number): string {
  const id = words[tb]!;
  return id === RT_TABLE_LOCAL ? "Local:\n" : id === RT_TABLE_MAIN ? "Main:\n" : `Id ${id}:\n`;
}

function formatAddress(addr: number): string {
  return `${addr >>> 24}.${(addr >> 16) & 255}.${(addr >> 8) & 255}.${addr & 255}`;
}

function formatScope(scope: number): string {
  switch (scope) {
    case RT_SCOPE_UNIVERSE: return "universe";
    case RT_SCOPE_SITE: return "site";
    case RT_SCOPE_LINK: return "link";
    case RT_SCOPE_HOST: return "host";
    case RT_SCOPE_NOWHERE: return "nowhere";
    default: return `scope=${scope}`;
  }
}

function formatLeaf(leaf: number, depth: number): string {
  const indent = "   ".repeat(depth);
  let text = `${indent}  |-- ${formatAddress(faKey(leaf))}\n`;
  for (let alias = leaf; alias !== 0; alias = faNext(alias)) {
    const tos = faTos(alias);
    text += `${indent}     /${32 - (words[alias + FA_WORD]! & 63)} ${formatScope(words[faInfo(alias) + FI_WORD]! & 255)} `
      + `${TYPE_NAMES[faType(alias)]!}${tos === 0 ? "" : ` tos=${tos}`}\n`;
  }
  return text;
}

function formatNode(n: number, depth: number): string {
  if (n < fibTnodes) return formatLeaf(n, depth);
  const bits = tnodeBits(n);
  let text = `${"   ".repeat(depth)}  +-- ${formatAddress(words[n]!)}/${32 - tnodePos(n) - bits} `
    + `${bits} ${tnodeFullChildren(n)} ${(1 << bits) - tnodeUsed(n)}\n`;
  for (let i = 0; i < 1 << bits; i++) {
    const child = tnodeChild(n, i);
    if (child !== 0) text += formatNode(child, depth + 1);
  }
  return text;
}

/** What `cat /proc/net/fib_trie` prints. */
export function formatFibTrie(net: Net): string {
  let text = "";
  for (const tb of createTableList(net)) {
    const root = words[words[tb + TB_TRIE]! + TB_ROOT]!;
    if (root !== 0) text += formatTableName(tb) + formatNode(root, 0);
  }
  return text;
}

/** What fib_triestat counts. */
interface TrieStat {
  totalDepth: number;
  maxDepth: number;
  tnodes: number;
  leaves: number;
  prefixes: number;
  nullPointers: number;
  /** Tnodes by bits. */
  sizes: number[];
}

/** Linux: trie_collect_stats(). */
function formatCollect(n: number, depth: number, stat: TrieStat): void {
  if (n >= fibTnodes) {
    const bits = tnodeBits(n);
    stat.tnodes++;
    stat.sizes[bits] = (stat.sizes[bits] ?? 0) + 1;
    stat.nullPointers += (1 << bits) - tnodeUsed(n);
    for (let i = 0; i < 1 << bits; i++) {
      const child = tnodeChild(n, i);
      if (child !== 0) formatCollect(child, depth + 1, stat);
    }
    return;
  }
  stat.leaves++;
  stat.totalDepth += depth;
  if (depth > stat.maxDepth) stat.maxDepth = depth;
  for (let alias = n; alias !== 0; alias = faNext(alias)) stat.prefixes++;
}

function formatStat(tb: number): string {
  const stat: TrieStat = { totalDepth: 0, maxDepth: 0, tnodes: 0, leaves: 0, prefixes: 0, nullPointers: 0, sizes: [] };
  const root = words[words[tb + TB_TRIE]! + TB_ROOT]!;
  if (root !== 0) formatCollect(root, 0, stat);
  const depth = stat.leaves === 0 ? 0 : Math.floor((stat.totalDepth * 100) / stat.leaves);
  let sizes = "";
  let pointers = 0;
  stat.sizes.forEach((count, bits) => {
    sizes += `  ${bits}: ${count}`;
    pointers += count << bits;
  });
  const bytes = LEAF_BYTES * stat.leaves + ALIAS_BYTES * stat.prefixes + TNODE_BYTES * stat.tnodes + POINTER_BYTES * pointers;
  return `\tAver depth:     ${Math.floor(depth / 100)}.${String(depth % 100).padStart(2, "0")}\n\tMax depth:      ${stat.maxDepth}\n`
    + `\tLeaves:         ${stat.leaves}\n\tPrefixes:       ${stat.prefixes}\n\tInternal nodes: ${stat.tnodes}\n\t${sizes}\n`
    + `\tPointers: ${pointers}\nNull ptrs: ${stat.nullPointers}\nTotal size: ${Math.floor((bytes + 1023) / 1024)}  kB\n`;
}

/** What `cat /proc/net/fib_triestat` prints, with the sizes of a 64-bit kernel. */
export function formatFibTriestat(net: Net): string {
  let text = `Basic info: size of leaf: ${LEAF_BYTES} bytes, size of tnode: ${TNODE_BYTES} bytes.\n`;
  for (const tb of createTableList(net)) text += formatTableName(tb) + formatStat(tb);
  return text;
}
