/**
 * What the settings of ARP mean: whether a request is answered, who is learned, which address a request names as its sender.
 * Linux: arp_ignore(), arp_filter(), arp_accept(), the choice in arp_solicit() of net/ipv4/arp.c; inet_confirm_addr() of
 * net/ipv4/devinet.c. The settings are arp-conf.ts's.
 *
 * Read first: ip-sysctl of Linux's documentation; RFC 1122 section 3.3.4.2 (strong and weak host model).
 */
import { ARPOP_REPLY } from "../../uapi/if-arp.ts";
import { RT_SCOPE_HOST, RT_SCOPE_LINK, RTN_LOCAL, RTN_UNICAST } from "../../uapi/rtnetlink.ts";
import { LINUX_MIB_ARPFILTER } from "../../uapi/snmp.ts";
import { dstRelease } from "../core/dst.ts";
import type { Net } from "../core/net.ts";
import { type Neighbour, neighCreate } from "../core/neighbour.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { arpIsGratuitous, arpTbl } from "./arp.ts";
import { ARP_ACCEPT, ARP_ANNOUNCE, ARP_FILTER, ARP_IGNORE, arpConf, DROP_GRATUITOUS_ARP } from "./arp-conf.ts";
import { IN_DEV_ROUTE_LOCALNET, type InDevice, inDevGet, inDevOrconf, inetIfaMatch } from "./devinet.ts";
import { inetAddrType } from "./fib-lookup.ts";
import { flowi4Init, outputFlow } from "./flow.ts";
import { ipRouteOutputKey } from "./route.ts";

/** Linux: confirm_addr_indev(). */
function confirmAddrOf(inDev: InDevice, dst: number, local: number, scope: number): number {
  const localnetScope = inDevOrconf(inDev, IN_DEV_ROUTE_LOCALNET) ? RT_SCOPE_LINK : RT_SCOPE_HOST;
  let addr = 0;
  let same = false;
  for (let ifa = inDev.ifaList; ifa !== null; ifa = ifa.next) {
    const fits = (ifa.scope < localnetScope ? ifa.scope : localnetScope) <= scope;
    if (addr === 0 && fits && (local === ifa.local || local === 0)) {
      addr = ifa.local;
      if (same) return addr;
    }
    if (same) continue;
    same = (local === 0 || inetIfaMatch(local, ifa)) && (dst === 0 || inetIfaMatch(dst, ifa));
    if (!same || addr === 0) continue;
    if (local !== 0 || dst === 0 || inetIfaMatch(addr, ifa)) return addr;
    if (fits) return ifa.local;
    // Another subnet of the destination's may have the address.
    same = false;
  }
  return same ? addr : 0;
}

/**
 * Is `local` an address for neighbours of `dst`'s subnet? Linux: inet_confirm_addr().
 * @param inDev the device that must have it, null for any @param dst 0 for any subnet @param local 0 for any address
 * @param scope RT_SCOPE_* that the address may have at most @returns the address, or 0
 */
export function inetConfirmAddr(net: Net, inDev: InDevice | null, dst: number, local: number, scope: number): number {
  if (inDev !== null) return confirmAddrOf(inDev, dst, local, scope);
  for (let dev = net.devices; dev !== null; dev = dev.nextDev) {
    const each = inDevGet(dev);
    const addr = each === null ? 0 : confirmAddrOf(each, dst, local, scope);
    if (addr !== 0) return addr;
  }
  return 0;
}

/** Linux: arp_ignore(). */
function ignored(inDev: InDevice, sip: number, tip: number): boolean {
  const net = inDev.dev.net!;
  switch (arpConf(inDev, ARP_IGNORE)) {
    case 1: // The address is not on this device.
      return inetConfirmAddr(net, inDev, 0, tip, RT_SCOPE_HOST) === 0;
    case 2: // Nor is the sender of its subnet.
      return inetConfirmAddr(net, inDev, sip, tip, RT_SCOPE_HOST) === 0;
    case 3: // The address is this host's own business, or no device's.
      return inetConfirmAddr(net, null, 0, tip, RT_SCOPE_LINK) === 0;
    case 8:
      return true;
    default:
      return false;
  }
}

/** Is the sender reached by another device? Linux: arp_filter(). */
function filtered(inDev: InDevice, sip: number, tip: number): boolean {
  const net = inDev.dev.net!;
  flowi4Init(outputFlow, sip, tip, 0, 0, 0);
  const rt = ipRouteOutputKey(net, outputFlow);
  if (rt === null) return true;
  const elsewhere = rt.dev !== inDev.dev;
  dstRelease(rt);
  if (elsewhere) net.mib[LINUX_MIB_ARPFILTER]!++;
  return elsewhere;
}

/** Is a request for an address of this host answered? @param sip 0 for a probe (RFC 5227), which no filter looks at */
export function arpMayReply(inDev: InDevice, sip: number, tip: number): boolean {
  return !ignored(inDev, sip, tip) && (sip === 0 || arpConf(inDev, ARP_FILTER) === 0 || !filtered(inDev, sip, tip));
}

/** Is a gratuitous packet not looked at? */
export function arpDropsGratuitous(inDev: InDevice): boolean {
  return arpConf(inDev, DROP_GRATUITOUS_ARP) !== 0;
}

/** May a sender be learned that nobody asked for? Linux: arp_accept(). */
function accepts(inDev: InDevice, sip: number): boolean {
  const mode = arpConf(inDev, ARP_ACCEPT);
  return mode === 1 || (mode === 2 && inetConfirmAddr(inDev.dev.net!, inDev, sip, 0, RT_SCOPE_LINK) !== 0);
}

/** An entry for a sender that nobody has asked for, where the device learns from such (ARP_ACCEPT); else null. */
export function arpLearn(skb: SkBuff, inDev: InDevice, op: number, sip: number, shaHi: number, shaLo: number): Neighbour | null {
  if (!accepts(inDev, sip)) return null;
  const { dev } = inDev;
  const known = op === ARPOP_REPLY ? inetAddrType(dev.net!, sip) === RTN_UNICAST : arpIsGratuitous(skb, dev, op, shaHi, shaLo);
  return known ? neighCreate(arpTbl, sip, dev) : null;
}

/** Has the device a subnet with both addresses? Linux: inet_addr_onlink(). */
function onlink(inDev: InDevice, a: number, b: number): boolean {
  for (let ifa = inDev.ifaList; ifa !== null; ifa = ifa.next) if (inetIfaMatch(a, ifa) && inetIfaMatch(b, ifa)) return true;
  return false;
}

/**
 * May a question for `target` name the source of the packet that waits? Else the device's best address is named.
 */
export function arpMayAnnounce(dev: NetDevice, saddr: number, target: number): boolean {
  const inDev = inDevGet(dev)!;
  const mode = arpConf(inDev, ARP_ANNOUNCE);
  if (mode === 2 || inetAddrType(dev.net!, saddr) !== RTN_LOCAL) return false;
  return mode === 0 || onlink(inDev, target, saddr);
}
