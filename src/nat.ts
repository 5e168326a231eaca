/**
 * NAT as a part to be had or not: iptables' table nat with the targets SNAT, DNAT, MASQUERADE and REDIRECT. A program lists it at boot
 * behind what it stands on: `boot({ initcalls: [fragments, forwarding, netfilter, iptables, conntrack, nat] })`. It takes six bytes for
 * each connection of the option `nfConntracks`. A home router is then
 *
 *   ipForwardSet(initNet, true);
 *   iptables(initNet, "-t nat -A POSTROUTING -o eth1 -j MASQUERADE");
 */
import type { Config } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { nfNatInit, nfNatWords } from "./stack/netfilter/nf-nat-core.ts";
import { nfNatMasqueradeInit } from "./stack/netfilter/nf-nat-masquerade.ts";
import { xtNatInit } from "./stack/netfilter/xt-nat.ts";

/** For boot()'s option `initcalls`. */
export const nat: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "nf_nat",
  words: (config: Config) => nfNatWords(config.nfConntracks),
  init(config: Config) {
    nfNatInit(config.nfConntracks);
    nfNatMasqueradeInit();
    xtNatInit();
  },
});
