/**
 * Routing tables of any number, as tries, as a part: for programs with more routes than a few. boot() lists it, a program of
 * startKernel() where it wants it. Without it there are the tables local and main, as one list that a lookup goes through, and an
 * order for another table is -ENOBUFS.
 */
import { type Config, FIB_TRIE_SIZES } from "./config.ts";
import { type Initcall, SUBSYS_INITCALL } from "./lib/initcall.ts";
import { fibHostWords } from "./stack/ipv4/fib-host.ts";
import { fibMemoryWords } from "./stack/ipv4/fib-memory.ts";
import { registerFibOps } from "./stack/ipv4/fib-ops.ts";
import { tnodeWords } from "./stack/ipv4/fib-tnode.ts";
import { fibTrieOps } from "./stack/ipv4/fib-trie-ops.ts";

/** For the option `initcalls`. */
export const fibTrie: Initcall<Config> = Object.freeze({
  level: SUBSYS_INITCALL,
  name: "fib_trie",
  sizes: FIB_TRIE_SIZES,
  // The host's list is not made then.
  words: (config: Config) => fibMemoryWords(config) + tnodeWords(config.routes) - fibHostWords(config.routes),
  init: () => registerFibOps(fibTrieOps),
});
