/**
 * Neighbours and ARP for programs that want other than the defaults: settings of ARP (net.ipv4.conf.*.arp_*; the part arpPolicy,
 * which boot() lists, looks at them), times and limits of
 * the table (net.ipv4.neigh.*), and proxy ARP as a part to be had or not: a router lists it at boot beside `forwarding`,
 * `boot({ initcalls: [forwarding, proxyArp] })`, then sets PROXY_ARP for a device or publishes addresses, `ip neigh add proxy`.
 */
import { type Config, NEIGHBOURS_SIZES } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import {
  ARP_PROXY_WORDS, arpProxyAnswer, arpProxyInit, pneighAdd, pneighDelete, pneighFirst,
} from "./stack/ipv4/arp-proxy.ts";
import { registerIpArpProxy } from "./stack/ipv4/ip-parts.ts";

export { neighParmsSet, type NeighSettings } from "./stack/core/neighbour.ts";
export { arpTbl } from "./stack/ipv4/arp.ts";
export * from "./stack/ipv4/arp-conf.ts";

/** Not made at boot: there it would be in RAM. */
const PROXY = Object.freeze({ answer: arpProxyAnswer, add: pneighAdd, remove: pneighDelete, first: pneighFirst });

/** For boot()'s option `initcalls`. Its size is the option `arpProxies`. */
export const proxyArp: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "arp_proxy",
  sizes: NEIGHBOURS_SIZES,
  words: () => ARP_PROXY_WORDS,
  init(config: Config) {
    arpProxyInit(config.arpProxies);
    registerIpArpProxy(PROXY);
  },
});
