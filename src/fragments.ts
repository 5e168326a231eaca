/**
 * Fragments of IP datagrams as a part to be had or not: reassembly of what comes in, and pieces for what is longer than the
 * path takes. A program lists it at boot, `boot({ initcalls: [fragments] })`; without it fragments are dropped, and a datagram
 * beyond the MTU is -EMSGSIZE. Its sizes are the options `fragQueues` and `fragPackets`.
 */
import { type Config, FRAGMENTS_SIZES } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { skbFragOps } from "./stack/core/skb-frag-ops.ts";
import { registerSkbFrags } from "./stack/core/skbuff.ts";
import { ipAppendData } from "./stack/ipv4/ip-append-data.ts";
import { ipDoFragment } from "./stack/ipv4/ip-do-fragment.ts";
import { ipDefrag, ipFragInit, ipFragWords } from "./stack/ipv4/ip-fragment.ts";
import { registerIpFragments } from "./stack/ipv4/ip-parts.ts";

/** Not made at boot: there it would be in RAM. */
const FRAGMENTS = Object.freeze({ defrag: ipDefrag, fragment: ipDoFragment, append: ipAppendData });

/** For boot()'s option `initcalls`. */
export const fragments: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "ip_fragment",
  sizes: FRAGMENTS_SIZES,
  words: (config: Config) => ipFragWords(config.fragQueues),
  init(config: Config) {
    ipFragInit(config.fragQueues, config.fragPackets);
    registerSkbFrags(skbFragOps);
    registerIpFragments(FRAGMENTS);
  },
});
