/**
 * Multicast as a part to be had or not: memberships of sockets and devices with source filters, the host's side of IGMP versions 1
 * to 3, and the multicast options of IPv4 sockets. A program lists it at boot, `boot({ initcalls: [igmp] })`; without it a host is
 * a member of 224.0.0.1 alone. Its sizes are the options mcGroups, mcSources, mcMemberships and mcStatic.
 */
import { type Config, IGMP_SIZES } from "./config.ts";
import { account } from "./lib/account.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { NotifierBlock, notifierChainRegister } from "./lib/notifier.ts";
import { devMcStaticInit } from "./netif/dev-mc-static.ts";
import { netdevChain } from "./netif/dev.ts";
import type { NetDevice } from "./stack/core/net-device.ts";
import { procRegister } from "./stack/core/proc.ts";
import { igmpNetdevEvent, ipCheckMcGroup } from "./stack/ipv4/igmp.ts";
import { igmpRcv } from "./stack/ipv4/igmp-input.ts";
import { igmpMemoryInit, igmpMemoryWords } from "./stack/ipv4/igmp-memory.ts";
import { formatDevMcast, formatIgmp, formatMcfilter } from "./stack/ipv4/igmp-proc.ts";
import { igmpGqTimerExpire, igmpIfcTimerExpire, igmpTimerExpire } from "./stack/ipv4/igmp-timer.ts";
import { ipMcDropSocket, ipMcSfAllow } from "./stack/ipv4/ip-mc-socket.ts";
import { ipMcGetsockopt, ipMcSetsockopt } from "./stack/ipv4/ip-mc-sockopt.ts";
import { registerIpMulticast } from "./stack/ipv4/ip-parts.ts";
import { inetAddProtocol } from "./stack/ipv4/protocol.ts";
import { IPPROTO_IGMP } from "./uapi/in.ts";

export { igmpForceVersion } from "./stack/ipv4/igmp-memory.ts";

/** Not made at boot: there it would be in RAM. */
const PROTOCOL = Object.freeze({ handler: igmpRcv });
const MULTICAST = Object.freeze({
  check: ipCheckMcGroup, allow: ipMcSfAllow, drop: ipMcDropSocket, set: ipMcSetsockopt, get: ipMcGetsockopt,
});

/** For boot()'s option `initcalls`. */
export const igmp: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "igmp",
  sizes: IGMP_SIZES,
  words: (config: Config) => igmpMemoryWords(config.mcGroups, config.mcSources, config.mcMemberships),
  init(config: Config) {
    igmpMemoryInit(
      config.mcGroups, config.mcSources, config.mcMemberships, igmpTimerExpire, igmpGqTimerExpire, igmpIfcTimerExpire,
    );
    devMcStaticInit(config.mcStatic);
    notifierChainRegister(netdevChain, account("igmp", new NotifierBlock<NetDevice>(igmpNetdevEvent)));
    inetAddProtocol(IPPROTO_IGMP, PROTOCOL);
    procRegister("net/igmp", formatIgmp);
    procRegister("net/mcfilter", formatMcfilter);
    procRegister("net/dev_mcast", formatDevMcast);
    registerIpMulticast(MULTICAST);
  },
});
