/**
 * VLANs as a part to be had or not: 802.1Q devices on Ethernet devices. A program lists it at boot, `boot({ initcalls: [vlan] })`,
 * and makes one with vlanCreate(), or the command `ip link add link eth0 name eth0.10 type vlan id 10`. Without it tagged frames
 * are dropped. It has no pool: a VLAN is a device.
 */
import type { Config } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { vlanInit } from "./netif/vlan-dev.ts";
import { rtnlVlanInit } from "./stack/netlink/rtnl-vlan.ts";

export { vlanCreate } from "./netif/vlan-dev.ts";

/** For boot()'s option `initcalls`. */
export const vlan: Initcall<Config> = Object.freeze({ level: FS_INITCALL, name: "vlan", init: vlanInit, rtnl: rtnlVlanInit });
