/**
 * ioctl() requests about devices, addresses, routes and neighbours as a part to be had or not, and what they cannot list as text:
 * /proc/net/dev, route and arp. Linux: sock_ioctl(). A program lists it at boot, `boot({ initcalls: [ioctls] })`; the commands
 * otherwise load it when the first one is given.
 */
import type { Config } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { formatNetDev } from "./netif/dev-proc.ts";
import { ioctlKnown, ioctlRest } from "./stack/core/ifreq.ts";
import { procRegister } from "./stack/core/proc.ts";
import { inetIoctlInit } from "./stack/ipv4/inet-ioctl.ts";
import { inetIoctlRestInit } from "./stack/ipv4/inet-ioctl-rest.ts";
import { formatArp, formatRoute } from "./stack/ipv4/inet-proc.ts";

export { Arpreq, Ifconf, Ifreq, Rtentry } from "./stack/core/ifreq.ts";
export { procRead } from "./stack/core/proc.ts";
export * from "./uapi/if-arp.ts";
export * from "./uapi/route.ts";

function ioctlStart(): void {
  if (!ioctlKnown()) inetIoctlInit();
  inetIoctlRestInit();
  procRegister("net/dev", formatNetDev);
  procRegister("net/route", formatRoute);
  procRegister("net/arp", formatArp);
}

/** For boot()'s option `initcalls`. */
export const ioctls: Initcall<Config> = Object.freeze({ level: FS_INITCALL, name: "ioctl", init: ioctlStart });

/** Starts them unless they are started already. */
export function ioctlLoad(): void {
  if (ioctlRest === null) ioctlStart();
}

/** Starts those by which a device is set up, unless they are started already. */
export function ioctlLoadSetup(): void {
  if (!ioctlKnown()) inetIoctlInit();
}
