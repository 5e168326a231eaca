/**
 * Connection tracking as a part to be had or not. A program lists it at boot behind `netfilter`, and behind `iptables` where it
 * wants the match `state` (`conntrack --ctstate`) and the target CT: `boot({ initcalls: [fragments, netfilter, iptables,
 * conntrack] })`. Fragments are put together before they are judged where `fragments` is there; else each is INVALID but for the
 * first. The size of the table is the option `nfConntracks`.
 */
import { type Config, CONNTRACK_SIZES } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { procRegister } from "./stack/core/proc.ts";
import { ipSockopts } from "./stack/ipv4/ip-parts.ts";
import { nfConntrackInit } from "./stack/netfilter/nf-conntrack.ts";
import { formatConntrackProc, formatConntrackStat } from "./stack/netfilter/nf-conntrack-proc.ts";
import { nfCtTableWords } from "./stack/netfilter/nf-conntrack-table.ts";
import { xtCtInit } from "./stack/netfilter/xt-ct.ts";
import { xtStateInit } from "./stack/netfilter/xt-state.ts";

export {
  CT_STAT_DROP, CT_STAT_EARLY_DROP, CT_STAT_ERROR, CT_STAT_INSERT, CT_STAT_INSERT_FAILED, CT_STAT_INVALID, nfConntrackDelete, nfConntrackFlush, nfCtStat,
} from "./stack/netfilter/nf-conntrack-table.ts";
export { netnsCt, type NetnsCt } from "./stack/netfilter/netns-ct.ts";

/** For boot()'s option `initcalls`. */
export const conntrack: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "nf_conntrack",
  sizes: CONNTRACK_SIZES,
  words: (config: Config) => nfCtTableWords(config.nfConntracks),
  init(config: Config) {
    nfConntrackInit(config.nfConntracks);
    // Options of SOL_IP that belong to a namespace are iptables': so it is there.
    if (ipSockopts !== null) {
      xtStateInit();
      xtCtInit();
    }
    procRegister("net/nf_conntrack", formatConntrackProc);
    procRegister("net/stat/nf_conntrack", formatConntrackStat);
  },
});
