/**
 * ioctl() requests about IPv4 that set nothing up for a service: neighbours, and all addresses at once. Linux: arp_ioctl() of
 * net/ipv4/arp.c, inet_gifconf() of net/ipv4/devinet.c; read first arp(7), netdevice(7). Owns the flow that a route is looked up with.
 */
import { account } from "../../lib/account.ts";
import { devOfLabel } from "../../netif/dev-ioctl.ts";
import { EINVAL, ENODEV, ENOENT, ENOTTY, ENXIO, EOPNOTSUPP, EPFNOSUPPORT } from "../../uapi/errno.ts";
import { ATF_COM, ATF_DONTPUB, ATF_NETMASK, ATF_PERM, ATF_PUBL } from "../../uapi/if-arp.ts";
import { SIOCDARP, SIOCGARP, SIOCGIFCONF, SIOCSARP } from "../../uapi/ioctl.ts";
import { NUD_NOARP, NUD_PERMANENT, NUD_STALE } from "../../uapi/rtnetlink.ts";
import { AF_INET } from "../../uapi/socket.ts";
import { dstRelease } from "../core/dst.ts";
import { Arpreq, Ifconf, type IoctlRecord, ioctlRegisterRest } from "../core/ifreq.ts";
import type { Net } from "../core/net.ts";
import type { NetDevice } from "../core/net-device.ts";
import { NEIGH_UPDATE_F_SAME_LLADDR, neighDelete, neighLookup, neighSet, NUD_VALID } from "../core/neighbour.ts";
import { arpConfSet, arpConfSetAll, PROXY_ARP } from "./arp-conf.ts";
import { arpTbl } from "./arp.ts";
import { inDevGet } from "./devinet.ts";
import { Flowi4, flowi4Init } from "./flow.ts";
import { answer, labelOf } from "./inet-ioctl.ts";
import { ipArpProxy } from "./ip-parts.ts";
import { ipRouteOutputKey } from "./route.ts";

let flow: Flowi4;

/** Boot: these requests are served from now on, too. After inetIoctlInit(). */
export function inetIoctlRestInit(): void {
  flow = account("ioctl", new Flowi4());
  ioctlRegisterRest(serve);
}

function serve(net: Net, request: number, record: IoctlRecord): number {
  if (record instanceof Arpreq) return arpIoctl(net, request, record);
  return request === SIOCGIFCONF && record instanceof Ifconf ? devIfconf(net, record) : -ENOTTY;
}

/** SIOCGIFCONF. Linux: dev_ifconf(), inet_gifconf(). */
function devIfconf(net: Net, ifc: Ifconf): number {
  const room = ifc.reqs.length;
  let count = 0;
  for (let dev = net.devices; dev !== null; dev = dev.nextDev) {
    const inDev = inDevGet(dev);
    for (let ifa = inDev === null ? null : inDev.ifaList; ifa !== null && count < room; ifa = ifa.next) {
      const ifr = ifc.reqs[count++]!;
      ifr.name = labelOf(ifa);
      answer(ifr, ifa.local);
    }
  }
  ifc.count = count;
  return 0;
}

/** SIOCSARP, SIOCGARP, SIOCDARP. Linux: arp_ioctl(). */
function arpIoctl(net: Net, request: number, r: Arpreq): number {
  if (request !== SIOCSARP && request !== SIOCGARP && request !== SIOCDARP) return -ENOTTY;
  if (r.pa.family !== AF_INET) return -EPFNOSUPPORT;
  if ((r.flags & ATF_PUBL) === 0 && (r.flags & (ATF_NETMASK | ATF_DONTPUB)) !== 0) return -EINVAL;
  if ((r.flags & ATF_PUBL) !== 0 && (r.flags & ATF_NETMASK) !== 0 && r.netmask !== 0 && r.netmask !== -1) return -EINVAL;
  const addr = r.pa.addr | 0;
  let dev = r.dev === "" ? null : devOfLabel(net, r.dev);
  if (dev === null) {
    if (r.dev !== "" || request === SIOCGARP) return -ENODEV;
  } else if ((r.flags & ATF_COM) !== 0 && r.haType !== 0 && r.haType !== dev.type) {
    return -EINVAL;
  }
  if ((r.flags & ATF_PUBL) !== 0 && request !== SIOCGARP) return arpPublish(net, request, r, dev);
  if (dev === null) {
    flowi4Init(flow, addr, 0, 0, 0, 0);
    const rt = ipRouteOutputKey(net, flow);
    if (rt === null) return flow.error;
    dev = rt.dev;
    dstRelease(rt);
    if (dev === null) return -EINVAL;
  }
  if (request === SIOCGARP) return arpGet(dev, addr, r);
  if (request === SIOCDARP) {
    const neigh = neighLookup(arpTbl, addr, dev);
    const known = neigh !== null && (neigh.nudState & ~NUD_NOARP) !== 0;
    // What is nobody's doing goes, too, and is none.
    neighDelete(arpTbl, addr, dev);
    return known ? 0 : -ENXIO;
  }
  if (r.haType !== dev.type && (r.haType !== 0 || r.dev === "")) return -EINVAL;
  const permanent = (r.flags & ATF_PERM) !== 0;
  // Without an address the state of an entry that has one is set.
  const same = !permanent && (r.flags & ATF_COM) === 0 ? NEIGH_UPDATE_F_SAME_LLADDR : 0;
  return neighSet(arpTbl, addr, dev, r.haHi, r.haLo, permanent ? NUD_PERMANENT : NUD_STALE, same);
}

/** The device with that link address, or null. Linux: dev_getbyhwaddr(). */
function devByLinkAddress(net: Net, r: Arpreq): NetDevice | null {
  let dev = net.devices;
  while (dev !== null && (dev.type !== r.haType || dev.addrHi !== r.haHi || dev.addrLo !== (r.haLo | 0))) dev = dev.nextDev;
  return dev;
}

/** A published address, or all, by one device or any. Linux: arp_req_set_public(), arp_req_delete_public(). */
function arpPublish(net: Net, request: number, r: Arpreq, named: NetDevice | null): number {
  const add = request === SIOCSARP;
  const one = (r.flags & ATF_NETMASK) === 0 || r.netmask === -1;
  let dev = named;
  if (add && dev === null && (r.flags & ATF_COM) !== 0) {
    dev = devByLinkAddress(net, r);
    if (dev === null) return -ENODEV;
  }
  if (ipArpProxy === null) return add ? -EOPNOTSUPP : -ENOENT;
  if (one) return add ? ipArpProxy.add(net, r.pa.addr | 0, dev, 0) : ipArpProxy.remove(net, r.pa.addr | 0, dev);
  if (dev === null) return arpConfSetAll(net, PROXY_ARP, add ? 1 : 0);
  return inDevGet(dev) === null ? -ENXIO : arpConfSet(dev, PROXY_ARP, add ? 1 : 0);
}

/** Linux: arp_req_get(). */
function arpGet(dev: NetDevice, addr: number, r: Arpreq): number {
  const neigh = neighLookup(arpTbl, addr, dev);
  if (neigh === null || (neigh.nudState & NUD_NOARP) !== 0) return -ENXIO;
  const state = neigh.nudState;
  r.haType = dev.type;
  r.haHi = neigh.haHi;
  r.haLo = neigh.haLo;
  r.flags = (state & NUD_VALID) === 0 ? 0 : (state & NUD_PERMANENT) !== 0 ? ATF_PERM | ATF_COM : ATF_COM;
  return 0;
}
