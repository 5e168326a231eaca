/**
 * A trie for the routing tables as a part, for programs with more routes than a few: boot() lists it, a program of startKernel()
 * where it wants it. Without it a table is a list, which a lookup goes through.
 */
import type { Config } from "./config.ts";
import { type Initcall, SUBSYS_INITCALL } from "./lib/initcall.ts";
import { fibListWords } from "./stack/ipv4/fib-list.ts";
import { registerFibOps } from "./stack/ipv4/fib-table.ts";
import { tnodeInit, tnodeReserve, tnodeWords } from "./stack/ipv4/fib-tnode.ts";
import { trieLookup } from "./stack/ipv4/fib-trie-lookup.ts";
import { trieFind, trieInsert, trieNextLeaf, trieRemove, trieSuffixChanged, trieSweep } from "./stack/ipv4/fib-trie.ts";

const fibTrieOps = Object.freeze({
  lookup: trieLookup, find: trieFind, insert: trieInsert, remove: trieRemove, suffixChanged: trieSuffixChanged, sweep: trieSweep,
  nextLeaf: trieNextLeaf, reserve: tnodeReserve, init: tnodeInit,
});

/** For the option `initcalls`. */
export const fibTrie: Initcall<Config> = Object.freeze({
  level: SUBSYS_INITCALL,
  name: "fib_trie",
  // The list is not made then.
  words: ({ routes }: Config) => tnodeWords(routes) - fibListWords(routes),
  init: () => registerFibOps(fibTrieOps),
});
