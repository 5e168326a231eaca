/**
 * A device as services see and configure it: through ioctl() on any socket of theirs, as ifconfig and route do. Linux:
 * netdevice(7). Importing it brings the requests with it that set a device up (src/ioctl.ts), started by the first service that needs them
 * unless boot() was told to. Owns nothing.
 */
import { ioctlLoad, ioctlLoadSetup } from "../ioctl.ts";
import { Ifreq, Rtentry } from "../stack/core/ifreq.ts";
import { ioctl } from "../stack/socket/socket.ts";
import { ENETUNREACH } from "../uapi/errno.ts";
import { IFF_RUNNING, IFF_UP } from "../uapi/if.ts";
import {
  SIOCADDRT, SIOCDELRT, SIOCGIFADDR, SIOCGIFFLAGS, SIOCGIFHWADDR, SIOCGIFINDEX, SIOCGIFMTU, SIOCGIFNETMASK, SIOCSIFADDR,
  SIOCSIFBRDADDR, SIOCSIFFLAGS, SIOCSIFMTU, SIOCSIFNETMASK,
} from "../uapi/ioctl.ts";
import { RTF_GATEWAY, RTF_HOST, RTF_UP } from "../uapi/route.ts";
import { AF_INET } from "../uapi/socket.ts";

/** One device, and the records of its requests. */
export class Interface {
  ifindex = 0;
  /** Link address: its first 2 bytes, its last 4. */
  hwHi = 0;
  hwLo = 0;
  readonly name: string;
  readonly ifreq: Ifreq = new Ifreq();
  readonly rtentry: Rtentry = new Rtentry();

  constructor(name: string) {
    this.name = name;
  }
}

/** Learns the device's number and address, and brings it up if it is down: 0, or -ENODEV or another errno. Allocates. */
export function interfaceInit(iface: Interface, fd: number): number {
  ioctlLoadSetup();
  const { ifreq } = iface;
  ifreq.name = iface.name;
  let err = ioctl(fd, SIOCGIFINDEX, ifreq);
  if (err < 0) return err;
  iface.ifindex = ifreq.value;
  err = ioctl(fd, SIOCGIFHWADDR, ifreq);
  if (err < 0) return err;
  iface.hwHi = ifreq.hwHi;
  iface.hwLo = ifreq.hwLo;
  err = ioctl(fd, SIOCGIFFLAGS, ifreq);
  if (err < 0 || (ifreq.value & IFF_UP) !== 0) return err;
  ifreq.value |= IFF_UP;
  return ioctl(fd, SIOCSIFFLAGS, ifreq);
}

/** Starts the requests about neighbours, too. */
export function interfaceNeighbours(): void {
  ioctlLoad();
}

/** Can frames be sent: is it up, with a carrier? */
export function interfaceRunning(iface: Interface, fd: number): boolean {
  const { ifreq } = iface;
  ifreq.name = iface.name;
  return ioctl(fd, SIOCGIFFLAGS, ifreq) === 0 && (ifreq.value & (IFF_UP | IFF_RUNNING)) === (IFF_UP | IFF_RUNNING);
}

/** Its MTU, or a negative errno. */
export function interfaceMtu(iface: Interface, fd: number): number {
  const { ifreq } = iface;
  ifreq.name = iface.name;
  const err = ioctl(fd, SIOCGIFMTU, ifreq);
  return err < 0 ? err : ifreq.value;
}

/** Sets its MTU: 0, or what the device answers to one it cannot have. */
export function interfaceSetMtu(iface: Interface, fd: number, mtu: number): number {
  const { ifreq } = iface;
  ifreq.name = iface.name;
  ifreq.value = mtu;
  return ioctl(fd, SIOCSIFMTU, ifreq);
}

/** Learns its address, which is in `ifreq.addr` then: 0, or -EADDRNOTAVAIL. */
export function interfaceAddr(iface: Interface, fd: number): number {
  return get(iface, fd, SIOCGIFADDR);
}

/** The same for the mask of that address. */
export function interfaceMask(iface: Interface, fd: number): number {
  return get(iface, fd, SIOCGIFNETMASK);
}

function get(iface: Interface, fd: number, request: number): number {
  const { ifreq } = iface;
  ifreq.name = iface.name;
  return ioctl(fd, request, ifreq);
}

/**
 * Gives the label its address, in place of the one it has; address 0 takes that away.
 * @param label the device's name, or that and a colon and more @param mask as int32 @param broadcast 0 for the subnet's
 */
export function interfaceSetAddress(iface: Interface, fd: number, label: string, addr: number, mask: number, broadcast: number): number {
  const { ifreq } = iface;
  ifreq.name = label;
  const err = setAddr(ifreq, fd, SIOCSIFADDR, addr);
  if (err < 0 || addr === 0) return err;
  const masked = setAddr(ifreq, fd, SIOCSIFNETMASK, mask);
  if (masked < 0 || broadcast === 0) return masked;
  return setAddr(ifreq, fd, SIOCSIFBRDADDR, broadcast);
}

function setAddr(ifreq: Ifreq, fd: number, request: number, addr: number): number {
  ifreq.addr.family = AF_INET;
  ifreq.addr.addr = addr;
  return ioctl(fd, request, ifreq);
}

/**
 * A route by the device. A gateway that no route leads to is made known as a neighbour first (a lease of a single address
 * has such a router).
 * @param gateway 0 for a destination on the link
 */
export function interfaceAddRoute(iface: Interface, fd: number, dst: number, mask: number, gateway: number): number {
  const err = routeRequest(iface, fd, SIOCADDRT, dst, mask, gateway);
  if (err !== -ENETUNREACH || gateway === 0) return err;
  const near = routeRequest(iface, fd, SIOCADDRT, gateway, -1, 0);
  return near < 0 ? near : routeRequest(iface, fd, SIOCADDRT, dst, mask, gateway);
}

/** Takes such a route away: 0 or a negative errno. */
export function interfaceDelRoute(iface: Interface, fd: number, dst: number, mask: number, gateway: number): number {
  return routeRequest(iface, fd, SIOCDELRT, dst, mask, gateway);
}

function routeRequest(iface: Interface, fd: number, request: number, dst: number, mask: number, gateway: number): number {
  const { rtentry } = iface;
  rtentry.dst.family = rtentry.genmask.family = rtentry.gateway.family = AF_INET;
  rtentry.dst.addr = dst & mask;
  rtentry.genmask.addr = mask;
  rtentry.gateway.addr = gateway;
  rtentry.flags = RTF_UP | (gateway !== 0 ? RTF_GATEWAY : 0) | (mask === -1 ? RTF_HOST : 0);
  rtentry.dev = iface.name;
  return ioctl(fd, request, rtentry);
}
