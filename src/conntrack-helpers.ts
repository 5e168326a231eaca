/**
 * Helpers of connection tracking as a part to be had or not: connections that others announce are expected, and are RELATED to them. A
 * program lists it at boot behind `conntrack`, and behind it the helpers it wants: `boot({ initcalls: [netfilter, iptables, conntrack, nat,
 * ctHelpers, ftp] })`; one of its own is an object given to nfCtHelperRegister() at boot. What a rule says is helped:
 *
 *   iptables(initNet, "-t raw -A PREROUTING -p tcp --dport 21 -j CT --helper ftp");
 *
 * Sizes are the options `nfHelped` and `nfExpects`.
 */
import { type Config, CT_HELPERS_SIZES } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { procRegister } from "./stack/core/proc.ts";
import { formatExpectProc, nfCtHelperInit, nfCtHelperWords } from "./stack/netfilter/nf-conntrack-helper.ts";

export {
  EXP_DADDR, EXP_F_PERMANENT, EXP_F_REPLY, EXP_FLAGS, EXP_HELPER, EXP_PORT_MASK, EXP_PORTS, EXP_SADDR, EXP_SMASK, nfCtExpectAlloc,
  nfCtExpectFree, nfCtExpectRelated,
} from "./stack/netfilter/nf-conntrack-expect.ts";
export { type CtHelper, HELP_DATA_WORDS, nfCtHelperNumber, nfCtHelperRegister } from "./stack/netfilter/nf-conntrack-helper.ts";

/** For boot()'s option `initcalls`. */
export const ctHelpers: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "nf_conntrack_helper",
  sizes: CT_HELPERS_SIZES,
  words: (config: Config) => nfCtHelperWords(config.nfConntracks, config.nfHelped, config.nfExpects),
  init(config: Config) {
    nfCtHelperInit(config.nfConntracks, config.nfHelped, config.nfExpects);
    procRegister("net/nf_conntrack_expect", formatExpectProc);
  },
});
