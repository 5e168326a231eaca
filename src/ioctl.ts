/**
 * ioctl() requests about devices, addresses, routes and neighbours as a part to be had or not. Linux: sock_ioctl(). A program
 * lists it at boot, `boot({ initcalls: [ioctls] })`; the commands otherwise load it when the first one is given.
 */
import type { Config } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { ioctlKnown } from "./stack/core/ifreq.ts";
import { inetIoctlInit } from "./stack/ipv4/inet-ioctl.ts";

export { Arpreq, Ifconf, Ifreq, Rtentry } from "./stack/core/ifreq.ts";
export * from "./uapi/if-arp.ts";
export * from "./uapi/route.ts";

/** For boot()'s option `initcalls`. */
export const ioctls: Initcall<Config> = Object.freeze({ level: FS_INITCALL, name: "ioctl", init: inetIoctlInit });

/** Starts them unless they are started already. */
export function ioctlLoad(): void {
  if (!ioctlKnown()) inetIoctlInit();
}
