/**
 * Netlink as a part to be had or not: its sockets and rtnetlink. Linux: CONFIG_NET and the module net-pf-16. A board that
 * imports neither this nor the commands carries none of it. A program lists it at boot, `boot({ initcalls: [netlink] })`, to have
 * its memory set aside then and counted in the budget; the commands otherwise load it when the first one is given.
 */
import { type Config, NETLINK_SIZES } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { familyKnown } from "./stack/core/socket.ts";
import { netlinkInit } from "./stack/netlink/af-netlink.ts";
import { rtnetlinkInit } from "./stack/netlink/rtnetlink.ts";
import { rtnlAddrInit } from "./stack/netlink/rtnl-addr.ts";
import { rtnlLinkInit } from "./stack/netlink/rtnl-link.ts";
import { rtnlNeighInit } from "./stack/netlink/rtnl-neigh.ts";
import { rtnlRouteInit } from "./stack/netlink/rtnl-route.ts";
import { rtnlRuleInit } from "./stack/netlink/rtnl-rule.ts";
import { rtnlVethInit } from "./stack/netlink/rtnl-veth.ts";
import { bootConfig, bootParts } from "./start-kernel.ts";
import { AF_NETLINK } from "./uapi/socket.ts";

export { SockaddrNl } from "./stack/core/sockaddr.ts";
export { netlinkBroadcast, netlinkRcvSkb, netlinkUnicast, nlmsgNew } from "./stack/netlink/netlink-deliver.ts";
export { netlinkKernelCreate, netlinkKernelRelease } from "./stack/netlink/netlink-sock.ts";
export * from "./uapi/netlink.ts";

function netlinkStart(config: Config): void {
  netlinkInit(config.netlinkSocks);
  rtnetlinkInit();
  rtnlLinkInit();
  rtnlVethInit();
  rtnlAddrInit();
  rtnlNeighInit();
  rtnlRouteInit();
  rtnlRuleInit();
  for (const part of bootParts()) part.rtnl?.();
}

/** For boot()'s option `initcalls`. */
export const netlink: Initcall<Config> = Object.freeze({ level: FS_INITCALL, name: "netlink", sizes: NETLINK_SIZES, init: netlinkStart });

/** Starts netlink unless it is started already: the family's module is loaded on demand. Linux: request_module(). */
export function netlinkLoad(): void {
  if (!familyKnown(AF_NETLINK)) netlinkStart(bootConfig(NETLINK_SIZES));
}
