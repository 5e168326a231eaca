/**
 * iptables' tables raw, mangle and filter as a part to be had or not. A program lists it at boot behind `netfilter`,
 * `boot({ initcalls: [netfilter, iptables] })`; rules come by the command `iptables` of linnet/commands, or by setsockopt()
 * (uapi/ip-tables.ts). The memory of the rules is the option `nfRuleWords`. What LOG rules say goes to who is set by nfLogSet().
 */
import { type Config, IPTABLES_SIZES } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { registerIpSockopts } from "./stack/ipv4/ip-parts.ts";
import { iptInit, iptWords } from "./stack/netfilter/ip-tables.ts";
import { iptGetsockopt, iptSetsockopt } from "./stack/netfilter/ip-tables-set.ts";
import { iptRejectInit } from "./stack/netfilter/ipt-reject.ts";
import { xtInit } from "./stack/netfilter/x-tables.ts";
import { xtMatchInit } from "./stack/netfilter/xt-match.ts";
import { xtTargetInit } from "./stack/netfilter/xt-target.ts";
import { xtTcpudpInit } from "./stack/netfilter/xt-tcpudp.ts";

export { type NfLogger, nfLogSet } from "./stack/netfilter/xt-target.ts";

/** Not made at boot: there it would be in RAM. */
const SOCKOPTS = Object.freeze({ set: iptSetsockopt, get: iptGetsockopt });

/** For boot()'s option `initcalls`. */
export const iptables: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "ip_tables",
  sizes: IPTABLES_SIZES,
  words: (config: Config) => iptWords(config.nfRuleWords),
  init(config: Config) {
    xtInit();
    iptInit(config.nfRuleWords);
    xtTcpudpInit();
    xtMatchInit();
    xtTargetInit();
    iptRejectInit();
    registerIpSockopts(SOCKOPTS);
  },
});
