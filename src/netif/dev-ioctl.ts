/**
 * ioctl() requests about devices themselves: flags, MTU, link address, index, name, queue. Linux: net/core/dev_ioctl.c; read
 * first netdevice(7). Owns nothing. Addresses are ipv4/inet-ioctl.ts's.
 */
import type { Ifreq } from "../stack/core/ifreq.ts";
import type { Net } from "../stack/core/net.ts";
import type { NetDevice } from "../stack/core/net-device.ts";
import { EINVAL, ENODEV, ENOIOCTLCMD, EOPNOTSUPP } from "../uapi/errno.ts";
import { IFF_LOOPBACK } from "../uapi/if.ts";
import {
  SIOCADDMULTI, SIOCDELMULTI, SIOCGIFFLAGS, SIOCGIFHWADDR, SIOCGIFINDEX, SIOCGIFMETRIC, SIOCGIFMTU, SIOCGIFNAME,
  SIOCGIFTXQLEN, SIOCSIFHWADDR, SIOCSIFHWBROADCAST, SIOCSIFMETRIC, SIOCSIFMTU, SIOCSIFNAME, SIOCSIFTXQLEN,
} from "../uapi/ioctl.ts";
import { devMcStatic } from "./dev-mc.ts";
import {
  devChangeName, devGetByIndex, devGetFlags, devSetMacAddress, devSetMtu, devSetTxQueueLen,
} from "./dev.ts";

/** The device of a name whose label, from a colon on, does not count; or null. */
export function devOfLabel(net: Net, name: string): NetDevice | null {
  // Most are no labels. In XS each look into a string makes an object, to compare two does not.
  for (let dev = net.devices; dev !== null; dev = dev.nextDev) if (dev.name === name) return dev;
  const colon = name.indexOf(":");
  const length = colon < 0 ? name.length : colon;
  for (let dev = net.devices; dev !== null; dev = dev.nextDev) {
    if (dev.name.length === length && name.startsWith(dev.name)) return dev;
  }
  return null;
}

/** Does a request: 0, -ENODEV, -ENOIOCTLCMD for one that is not about devices, or another errno. Linux: dev_ioctl(). */
export function devIoctl(net: Net, request: number, ifr: Ifreq): number {
  if (request === SIOCGIFNAME) {
    const named = devGetByIndex(net, ifr.value);
    if (named === null) return -ENODEV;
    ifr.name = named.name;
    return 0;
  }
  const dev = devOfLabel(net, ifr.name);
  switch (request) {
    case SIOCGIFFLAGS:
    case SIOCGIFMETRIC:
    case SIOCGIFMTU:
    case SIOCGIFHWADDR:
    case SIOCGIFINDEX:
    case SIOCGIFTXQLEN:
      return dev === null ? -ENODEV : devGet(dev, request, ifr);
    case SIOCSIFMTU:
      return dev === null ? -ENODEV : devSetMtu(dev, ifr.value);
    case SIOCSIFTXQLEN:
      if (ifr.value < 0) return -EINVAL;
      return dev === null ? -ENODEV : devSetTxQueueLen(dev, ifr.value);
    case SIOCSIFHWADDR:
      if (dev === null) return -ENODEV;
      return ifr.hwType === dev.type ? devSetMacAddress(dev, ifr.hwHi, ifr.hwLo) : -EINVAL;
    case SIOCSIFNAME:
      return dev === null ? -ENODEV : devChangeName(dev, ifr.newname);
    case SIOCSIFMETRIC:
    case SIOCSIFHWBROADCAST:
      return dev === null ? -ENODEV : -EOPNOTSUPP;
    case SIOCADDMULTI:
    case SIOCDELMULTI:
      return dev === null ? -ENODEV : devMulti(dev, request, ifr);
    default:
      return -ENOIOCTLCMD;
  }
}

/** A link address that the device is to receive, or no more; its type must be 0. Linux: their cases in dev_ifsioc(). */
function devMulti(dev: NetDevice, request: number, ifr: Ifreq): number {
  if (ifr.hwType !== 0 || (dev.flags & IFF_LOOPBACK) !== 0) return -EINVAL;
  if (devMcStatic === null) return -EOPNOTSUPP;
  return request === SIOCADDMULTI ? devMcStatic.add(dev, ifr.hwHi, ifr.hwLo | 0) : devMcStatic.del(dev, ifr.hwHi, ifr.hwLo | 0);
}

/** Linux: dev_ifsioc_locked(). */
function devGet(dev: NetDevice, request: number, ifr: Ifreq): number {
  switch (request) {
    case SIOCGIFFLAGS:
      ifr.value = devGetFlags(dev) & 0xffff;
      break;
    case SIOCGIFMETRIC:
      ifr.value = 0;
      break;
    case SIOCGIFMTU:
      ifr.value = dev.mtu;
      break;
    case SIOCGIFINDEX:
      ifr.value = dev.ifindex;
      break;
    case SIOCGIFTXQLEN:
      ifr.value = dev.txqueuelen;
      break;
    default:
      ifr.hwType = dev.type;
      ifr.hwHi = dev.addrHi;
      ifr.hwLo = dev.addrLo;
  }
  return 0;
}
