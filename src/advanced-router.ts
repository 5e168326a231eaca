/**
 * What only a host with several ways needs, as a part: policy rules, multipath routes, and several default routes of which one is
 * chosen whose gateway answers. boot() lists it, a program of startKernel() where it wants it, with fibTrie. Without it rules are -EOPNOTSUPP, a
 * route with several next hops is -EINVAL, and of several default routes the first is taken. Linux: CONFIG_IP_ADVANCED_ROUTER.
 */
import { type Config, ADVANCED_ROUTER_SIZES } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { fibSelectDefault } from "./stack/ipv4/fib-default.ts";
import { fibGetNexthops, fibSelectForward, fibSelectMultipath, fibSpread } from "./stack/ipv4/fib-multipath.ts";
import { fibRulesAttach, fibRulesInit, fibRulesLookup, fibRulesWords } from "./stack/ipv4/fib-rules.ts";
import { fibTrieOps } from "./stack/ipv4/fib-trie-ops.ts";
import { fibOps } from "./stack/ipv4/fib-ops.ts";
import { registerIpAdvancedRouter } from "./stack/ipv4/ip-parts.ts";

/** Not made at boot: there it would be in RAM. */
const ROUTER = Object.freeze({
  lookup: fibRulesLookup, attach: fibRulesAttach, nexthops: fibGetNexthops, rebalance: fibSpread, select: fibSelectMultipath,
  forward: fibSelectForward, selectDefault: fibSelectDefault,
});

/** For the option `initcalls`. Its size is the option `fibRules`. */
export const advancedRouter: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "advanced_router",
  sizes: ADVANCED_ROUTER_SIZES,
  words: ({ fibRules }: Config) => fibRulesWords(fibRules),
  init({ fibRules }: Config) {
    if (fibOps !== fibTrieOps) throw new Error("boot: the part advanced_router needs fib_trie");
    fibRulesInit(fibRules);
    registerIpAdvancedRouter(ROUTER);
  },
});
