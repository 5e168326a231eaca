/**
 * ioctl() requests about IPv4 by which a device is set up: its addresses and routes. Linux: devinet_ioctl() of net/ipv4/devinet.c,
 * ip_rt_ioctl() of net/ipv4/fib_frontend.c; read first netdevice(7), rtnetlink(7). Owns the record that route requests go through.
 * Services have these, the part `ioctls` those of inet-ioctl-rest.ts, too.
 */
import { account } from "../../lib/account.ts";
import { devIoctl, devOfLabel } from "../../netif/dev-ioctl.ts";
import { devChangeFlags } from "../../netif/dev.ts";
import { EADDRNOTAVAIL, EAFNOSUPPORT, EINVAL, ENODEV, ENOBUFS, ENOIOCTLCMD, ENOTTY } from "../../uapi/errno.ts";
import { IFF_BROADCAST, IFF_POINTOPOINT, IFF_UP } from "../../uapi/if.ts";
import { ipv4IsLoopback } from "../../uapi/in.ts";
import {
  SIOCADDRT, SIOCDELRT, SIOCGIFADDR, SIOCGIFBRDADDR, SIOCGIFDSTADDR, SIOCGIFNETMASK, SIOCSIFADDR, SIOCSIFBRDADDR, SIOCSIFDSTADDR,
  SIOCSIFFLAGS, SIOCSIFNETMASK,
} from "../../uapi/ioctl.ts";
import { NLM_F_CREATE } from "../../uapi/netlink.ts";
import { RTF_GATEWAY, RTF_HOST, RTF_IRTT, RTF_MTU, RTF_REJECT, RTF_WINDOW } from "../../uapi/route.ts";
import {
  IFA_F_PERMANENT, RT_SCOPE_HOST, RT_SCOPE_LINK, RT_SCOPE_NOWHERE, RT_SCOPE_UNIVERSE, RTAX_ADVMSS, RTAX_RTT, RTAX_WINDOW,
  RTN_UNICAST, RTN_UNREACHABLE, RTPROT_BOOT,
} from "../../uapi/rtnetlink.ts";
import { AF_INET, AF_UNSPEC } from "../../uapi/socket.ts";
import { Ifreq, type IoctlRecord, ioctlRegister, ioctlRest, Rtentry } from "../core/ifreq.ts";
import type { Net } from "../core/net.ts";
import type { NetDevice } from "../core/net-device.ts";
import {
  inDevGet, inetAllocIfa, inetDelIfa, type InDevice, inetInsertIfa, inetMakeMask, type InIfaddr,
} from "./devinet.ts";
import { FibConfig, fibConfigReset, fibConfigSetMetric } from "./fib-config.ts";
import { fibTableDelete, fibTableInsert } from "./fib-frontend.ts";
import { inetAddrType } from "./fib-lookup.ts";

/** What RTF_MTU counts beyond the MSS: headers of IP and TCP. */
const HEADERS_BYTES = 40;
/** RTAX_RTT is in eighths of a millisecond. */
const RTT_SHIFT = 3;

let config: FibConfig;

/** Boot: the requests are served from now on. After fibInit(). */
export function inetIoctlInit(): void {
  config = account("ioctl", new FibConfig());
  ioctlRegister(serve);
}

function serve(net: Net, request: number, record: IoctlRecord): number {
  if (record instanceof Ifreq) {
    const err = devinetIoctl(net, request, record);
    if (err !== -ENOIOCTLCMD) return err;
    const other = devIoctl(net, request, record);
    return other === -ENOIOCTLCMD ? -ENOTTY : other;
  }
  if (record instanceof Rtentry) return ipRtIoctl(net, request, record);
  return ioctlRest === null ? -ENOTTY : ioctlRest(net, request, record);
}

/** Prefix length that the class of an address says: 0 for none and the limited broadcast, -1 for groups. Linux: inet_abc_len(). */
export function inetAbcLen(addr: number): number {
  if (addr === 0 || addr === -1) return 0;
  const first = addr >>> 24;
  if (first < 128) return 8;
  if (first < 192) return 16;
  if (first < 224) return 24;
  return first < 240 ? -1 : 32;
}

/** Is it no netmask, or has the address bits outside of it? Linux: bad_mask(). */
function badMask(mask: number, addr: number): boolean {
  const host = ~mask;
  return (addr & host) !== 0 || (host & (host + 1)) !== 0;
}

/** Linux: inet_mask_len(). */
function maskLen(mask: number): number {
  return Math.clz32(~mask);
}

/** The label of an address. */
export function labelOf(ifa: InIfaddr): string {
  return ifa.label === "" ? ifa.dev!.name : ifa.label;
}

/** The first address with that label. */
function findLabel(inDev: InDevice, name: string): InIfaddr | null {
  for (let ifa = inDev.ifaList; ifa !== null; ifa = ifa.next) if (labelOf(ifa) === name) return ifa;
  return null;
}

/** Linux: devinet_ioctl(). */
function devinetIoctl(net: Net, request: number, ifr: Ifreq): number {
  switch (request) {
    case SIOCGIFADDR:
    case SIOCGIFBRDADDR:
    case SIOCGIFDSTADDR:
    case SIOCGIFNETMASK:
    case SIOCSIFFLAGS:
      break;
    case SIOCSIFADDR:
    case SIOCSIFBRDADDR:
    case SIOCSIFDSTADDR:
    case SIOCSIFNETMASK:
      if (ifr.addr.family !== AF_INET) return -EINVAL;
      break;
    default:
      return -ENOIOCTLCMD;
  }
  const dev = devOfLabel(net, ifr.name);
  if (dev === null) return -ENODEV;
  const inDev = inDevGet(dev);
  const ifa = inDev === null ? null : findLabel(inDev, ifr.name);
  if (request === SIOCSIFFLAGS) return setFlags(dev, inDev, ifa, ifr);
  if (ifa === null && request !== SIOCSIFADDR) return -EADDRNOTAVAIL;
  if (inDev === null) return -ENOBUFS;
  switch (request) {
    case SIOCGIFADDR: return answer(ifr, ifa!.local);
    case SIOCGIFBRDADDR: return answer(ifr, ifa!.broadcast);
    case SIOCGIFDSTADDR: return answer(ifr, ifa!.address);
    case SIOCGIFNETMASK: return answer(ifr, ifa!.mask);
    case SIOCSIFADDR: return setAddress(inDev, ifa, ifr);
    default: return changeAddress(inDev, ifa!, request, ifr.addr.addr | 0);
  }
}

export function answer(ifr: Ifreq, addr: number): number {
  ifr.addr.family = AF_INET;
  ifr.addr.port = 0;
  ifr.addr.addr = addr;
  return 0;
}

function setFlags(dev: NetDevice, inDev: InDevice | null, ifa: InIfaddr | null, ifr: Ifreq): number {
  if (ifr.name.indexOf(":") < 0) return devChangeFlags(dev, ifr.value);
  if (ifa === null || inDev === null) return -EADDRNOTAVAIL;
  if ((ifr.value & IFF_UP) === 0) inetDelIfa(inDev, ifa);
  return 0;
}

/** SIOCSIFADDR: the label's address becomes this one, with the mask of its class. */
function setAddress(inDev: InDevice, old: InIfaddr | null, ifr: Ifreq): number {
  const dev = inDev.dev;
  const addr = ifr.addr.addr | 0;
  const length = inetAbcLen(addr);
  if (length < 0) return -EINVAL;
  if (old !== null) {
    if (old.local === addr) return 0;
    inetDelIfa(inDev, old);
  }
  const ifa = inetAllocIfa(dev);
  if (ifa === null) return -ENOBUFS;
  ifa.local = ifa.address = addr;
  ifa.flags = IFA_F_PERMANENT;
  ifa.label = ifr.name === dev.name ? "" : ifr.name;
  const pointToPoint = (dev.flags & IFF_POINTOPOINT) !== 0;
  ifa.prefixlen = pointToPoint ? 32 : length;
  ifa.mask = inetMakeMask(ifa.prefixlen);
  if ((dev.flags & IFF_BROADCAST) !== 0 && ifa.prefixlen < 31) ifa.broadcast = addr | ~ifa.mask;
  ifa.scope = ipv4IsLoopback(addr) ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
  return inetInsertIfa(inDev, ifa);
}

/** Broadcast, peer or mask of an address: it goes and comes back with the new one, and its routes with it. */
function changeAddress(inDev: InDevice, old: InIfaddr, request: number, value: number): number {
  let { broadcast, address, mask } = old;
  switch (request) {
    case SIOCSIFBRDADDR:
      if (broadcast === value) return 0;
      broadcast = value;
      break;
    case SIOCSIFDSTADDR:
      if (address === value) return 0;
      if (inetAbcLen(value) < 0) return -EINVAL;
      address = value;
      break;
    default:
      if (badMask(value, 0)) return -EINVAL;
      if (mask === value) return 0;
      // A broadcast address that was the old subnet's becomes the new one's.
      if ((inDev.dev.flags & IFF_BROADCAST) !== 0 && maskLen(value) < 31 && broadcast === (old.local | ~mask)) {
        broadcast = old.local | ~value;
      }
      mask = value;
  }
  const { local, scope, flags, label, rtPriority } = old;
  inetDelIfa(inDev, old);
  const ifa = inetAllocIfa(inDev.dev);
  if (ifa === null) return -ENOBUFS;
  ifa.local = local;
  ifa.address = address;
  ifa.broadcast = broadcast;
  ifa.mask = mask;
  ifa.prefixlen = maskLen(mask);
  ifa.scope = scope;
  ifa.flags = flags;
  ifa.label = label;
  ifa.rtPriority = rtPriority;
  return inetInsertIfa(inDev, ifa);
}

/** SIOCADDRT, SIOCDELRT. Linux: ip_rt_ioctl(). */
function ipRtIoctl(net: Net, request: number, rt: Rtentry): number {
  if (request !== SIOCADDRT && request !== SIOCDELRT) return -ENOTTY;
  const add = request === SIOCADDRT;
  const err = rtentryToConfig(net, add, rt);
  if (err !== 0) return err;
  if (add) return fibTableInsert(net, config);
  return fibTableDelete(net, config);
}

/** Linux: rtentry_to_fib_config(). */
function rtentryToConfig(net: Net, add: boolean, rt: Rtentry): number {
  const cfg = config;
  const addr = rt.dst.addr | 0;
  if (rt.dst.family !== AF_INET) return -EAFNOSUPPORT;
  let length = 32;
  if ((rt.flags & RTF_HOST) === 0) {
    const mask = rt.genmask.addr | 0;
    if (rt.genmask.family !== AF_INET && (mask !== 0 || rt.genmask.family !== AF_UNSPEC)) return -EAFNOSUPPORT;
    if (badMask(mask, addr)) return -EINVAL;
    length = maskLen(mask);
  }
  fibConfigReset(cfg);
  cfg.dst = addr;
  cfg.dstLen = length;
  if (add) {
    cfg.nlflags = NLM_F_CREATE;
    cfg.protocol = RTPROT_BOOT;
  }
  if (rt.metric !== 0) cfg.priority = rt.metric - 1;
  if ((rt.flags & RTF_REJECT) !== 0) {
    cfg.scope = RT_SCOPE_HOST;
    cfg.type = RTN_UNREACHABLE;
    return 0;
  }
  cfg.scope = RT_SCOPE_NOWHERE;
  cfg.type = RTN_UNICAST;
  if (rt.dev !== "") {
    const dev = devOfLabel(net, rt.dev);
    if (dev === null) return -ENODEV;
    cfg.oif = dev.ifindex;
  }
  const gateway = rt.gateway.addr | 0;
  if (rt.gateway.family === AF_INET && gateway !== 0) {
    cfg.gw = gateway;
    if ((rt.flags & RTF_GATEWAY) !== 0 && inetAddrType(net, gateway) === RTN_UNICAST) cfg.scope = RT_SCOPE_UNIVERSE;
  }
  if (!add) return 0;
  if ((rt.flags & RTF_GATEWAY) !== 0 && cfg.gw === 0) return -EINVAL;
  if (cfg.scope === RT_SCOPE_NOWHERE) cfg.scope = RT_SCOPE_LINK;
  let err = (rt.flags & RTF_MTU) !== 0 ? fibConfigSetMetric(cfg, RTAX_ADVMSS, rt.mtu - HEADERS_BYTES) : 0;
  if (err === 0 && (rt.flags & RTF_WINDOW) !== 0) err = fibConfigSetMetric(cfg, RTAX_WINDOW, rt.window);
  if (err === 0 && (rt.flags & RTF_IRTT) !== 0) err = fibConfigSetMetric(cfg, RTAX_RTT, rt.irtt << RTT_SHIFT);
  return err;
}
