/**
 * What ioctl() requests about devices, routes and neighbours speak: records that a caller makes once and reuses. Linux: struct
 * ifreq and ifconf of linux/if.h, rtentry of linux/route.h, arpreq of linux/if_arp.h. Owns the handlers of such requests,
 * which are there only where they were started (src/ioctl.ts).
 */
import { ENOTTY } from "../../uapi/errno.ts";
import { SockaddrIn } from "./sockaddr.ts";
import type { Net } from "./net.ts";

/** SIOCGIF* and SIOCSIF*. */
export class Ifreq {
  /** Device, or its name with a label of an address ("eth0:1"). */
  name: string;
  /** SIOCSIFNAME: the name it shall have. */
  newname = "";
  /** Address, netmask, broadcast or peer address. */
  readonly addr: SockaddrIn = new SockaddrIn();
  /** Flags, MTU, metric, ifindex or queue length. */
  value = 0;
  /** Link address: its ARPHRD_* type, first 2 bytes, last 4. */
  hwType = 0;
  hwHi = 0;
  hwLo = 0;

  constructor(name = "") {
    this.name = name;
  }
}

/** SIOCGIFCONF: the addresses of all devices, each with its label. */
export class Ifconf {
  /** Room for them; the caller's own objects. */
  readonly reqs: readonly Ifreq[];
  /** How many were filled. */
  count = 0;

  constructor(reqs: readonly Ifreq[]) {
    this.reqs = reqs;
  }
}

/** SIOCADDRT and SIOCDELRT. */
export class Rtentry {
  readonly dst: SockaddrIn = new SockaddrIn();
  readonly gateway: SockaddrIn = new SockaddrIn();
  readonly genmask: SockaddrIn = new SockaddrIn();
  /** RTF_* */
  flags = 0;
  /** One more than the priority; 0 for none. */
  metric = 0;
  /** Device, "" for the one the gateway is on. */
  dev = "";
  /** With RTF_MTU: the MSS, 40 more than is advertised. */
  mtu = 0;
  /** With RTF_WINDOW: bytes. */
  window = 0;
  /** With RTF_IRTT: the first round trip, in ms. */
  irtt = 0;
}

/** SIOCSARP, SIOCGARP and SIOCDARP. */
export class Arpreq {
  readonly pa: SockaddrIn = new SockaddrIn();
  /** Link address: its ARPHRD_* type (0: the device's), first 2 bytes, last 4. */
  haType = 0;
  haHi = 0;
  haLo = 0;
  /** ATF_* */
  flags = 0;
  /** With ATF_PUBL and ATF_NETMASK: -1 for the one address, 0 for all that are not on the link (proxy_arp). */
  netmask = -1;
  /** Device, "" for the one the route leads to; with ATF_PUBL for all, or with ATF_COM too that of the link address. */
  dev = "";
}

export type IoctlRecord = Ifreq | Ifconf | Rtentry | Arpreq;

/** Does a request, or answers -ENOIOCTLCMD for one that it does not know. */
export type IoctlHandler = (net: Net, request: number, record: IoctlRecord) => number;

let handler: IoctlHandler | null = null;
/** Of requests with records other than Ifreq and Rtentry: the handler passes them on. */
export let ioctlRest: IoctlHandler | null = null;

/** Boot: no such request is known. */
export function ioctlReset(): void {
  handler = ioctlRest = null;
}

/** From now on these requests are served. */
export function ioctlRegister(serve: IoctlHandler): void {
  handler = serve;
}

/** And the others. */
export function ioctlRegisterRest(serve: IoctlHandler): void {
  ioctlRest = serve;
}

/** Are those with Ifreq and Rtentry served? */
export function ioctlKnown(): boolean {
  return handler !== null;
}

/** A request with a record. Linux: sock_ioctl() and inet_ioctl(). */
export function ioctlRecord(net: Net, request: number, record: IoctlRecord): number {
  return handler === null ? -ENOTTY : handler(net, request, record);
}
