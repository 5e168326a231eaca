/**
 * Bridges as a part to be had or not: Ethernet devices as ports of a learning bridge. A program lists it at boot,
 * `boot({ initcalls: [bridge] })`, and makes one with bridgeCreate() and bridgeAddPort(), or the commands `ip link add br0 type bridge`
 * and `ip link set eth0 master br0`. Its size is the option bridgeFdb, the stations it can know.
 */
import { type Config, BRIDGE_SIZES } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { brFdbWords } from "./netif/bridge/br-fdb.ts";
import { bridgeInit } from "./netif/bridge/br-if.ts";
import { rtnlBridgeInit } from "./stack/netlink/rtnl-bridge.ts";

export { bridgeAddPort, bridgeCreate, bridgeDelPort } from "./netif/bridge/br-if.ts";

/** For boot()'s option `initcalls`. */
export const bridge: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "bridge",
  sizes: BRIDGE_SIZES,
  words: (config: Config) => brFdbWords(config.bridgeFdb),
  init: (config: Config) => bridgeInit(config.bridgeFdb),
  rtnl: rtnlBridgeInit,
});
