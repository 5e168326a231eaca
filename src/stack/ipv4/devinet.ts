/**
 * IPv4 addresses of devices: in_device and in_ifaddr. Linux: net/ipv4/devinet.c. Owns the pool of addresses, the hash
 * of all local addresses and the notifier chain through which the routing tables hear of each change.
 *
 * A device's addresses of one subnet are one primary, the first, and secondaries; source selection prefers primaries.
 * Unlike Linux, where net.ipv4.conf.*.arp_notify is 0, addresses are announced by gratuitous ARP (RFC 5227 section 3)
 * when they appear on a device that is up and when the link comes back: a board's neighbours learn of it at once.
 */
import { account } from "../../lib/account.ts";
import {
  NOTIFY_DONE, NotifierBlock, NotifierChain, notifierChainCall, notifierChainRegister,
} from "../../lib/notifier.ts";
import { type Pool, type Pooled, poolAlloc, poolCreate, poolFree } from "../../lib/pool.ts";
import {
  netdevChain, NETDEV_CHANGE, NETDEV_CHANGEADDR, NETDEV_CHANGEMTU, NETDEV_CHANGENAME, NETDEV_DOWN, NETDEV_REGISTER,
  NETDEV_UNREGISTER, NETDEV_UP,
} from "../../netif/dev.ts";
import { EADDRNOTAVAIL, EEXIST, EINVAL, ENOBUFS, ENODEV } from "../../uapi/errno.ts";
import { IFF_LOOPBACK, IFF_NOARP, IFF_UP, IFNAMSIZ } from "../../uapi/if.ts";
import { INADDR_LOOPBACK, ipv4IsLoopback } from "../../uapi/in.ts";
import {
  IFA_F_PERMANENT, IFA_F_SECONDARY, RT_SCOPE_HOST, RT_SCOPE_LINK, RT_SCOPE_UNIVERSE,
} from "../../uapi/rtnetlink.ts";
import { AF_INET } from "../../uapi/socket.ts";
import { nlErrMsg } from "../core/extack.ts";
import { initNet, type Net } from "../core/net.ts";
import type { DevicePrivate, NetDevice } from "../core/net-device.ts";
import { arpAnnounce } from "./arp.ts";
import { ARP_NOTIFY, arpConf } from "./arp-conf.ts";

/** Smallest MTU IPv4 can live with (RFC 791 section 3.2). */
export const IPV4_MIN_MTU = 68;
/** Most heads of the hash of local addresses. */
const HASH_MAX = 16;

/** One address. Linux: struct in_ifaddr. */
export class InIfaddr implements Pooled {
  local = 0;
  dev: NetDevice | null = null;
  hashNext: InIfaddr | null = null;
  next: InIfaddr | null = null;
  /** Network mask as int32. */
  mask = 0;
  /** The peer's address on a point-to-point link, else the same as `local`. */
  address = 0;
  /** Broadcast address given explicitly, 0 for none. */
  broadcast = 0;
  prefixlen = 0;
  /** RT_SCOPE_* */
  scope = RT_SCOPE_UNIVERSE;
  /** IFA_F_* */
  flags = 0;
  /** Metric of the prefix route. */
  rtPriority = 0;
  /** Name it goes by in ifconfig, empty for the device's. */
  label = "";
  poolNext: Pooled | null = null;
}

/** InDevice.switches: source routes are followed. Linux: accept_source_route of conf.all and the device both. */
export const IN_DEV_ACCEPT_SOURCE_ROUTE = 1;
/** What comes in is forwarded, where forwarding was listed at boot. Linux: forwarding. */
export const IN_DEV_FORWARDING = 2;
/** Who could have sent a packet to its next hop itself is told. Linux: send_redirects; as the next two of conf.all or the device. */
export const IN_DEV_SEND_REDIRECTS = 4;
/** All subnets of a link reach each other: redirects from one to another are sent, and believed. Linux: shared_media. */
export const IN_DEV_SHARED_MEDIA = 8;
/** Where they do not, redirects must name a gateway that is known already. Linux: secure_redirects. */
export const IN_DEV_SECURE_REDIRECTS = 16;
/** Redirects are followed: by a host if conf.all or the device says so, by a router if both do. Linux: accept_redirects. */
export const IN_DEV_ACCEPT_REDIRECTS = 32;
/** Packets that carry an address of this host as their source are taken. Linux: accept_local; as the next one of conf.all or the device. */
export const IN_DEV_ACCEPT_LOCAL = 64;
/** Packets from and to 127/8 may pass the wire. Linux: route_localnet. */
export const IN_DEV_ROUTE_LOCALNET = 128;

/** What IPv4 knows of a device. Linux: struct in_device; the switches are net.ipv4.conf.DEV.* of ip-sysctl. */
export class InDevice implements DevicePrivate {
  ifaList: InIfaddr | null = null;
  /** Reverse path filter (RFC 3704): 0 none, 1 the way back must be the way in, 2 there must be a way back. */
  rpFilter = 0;
  /** IN_DEV_*, and the settings of ARP (arp-conf.ts). */
  switches: number;
  /** Being taken down for good. */
  dead = false;
  readonly dev: NetDevice;
  readonly family = AF_INET;

  constructor(dev: NetDevice, switches: number) {
    this.dev = dev;
    this.switches = switches;
  }
}

/** Optional parts of an address; what is missing gets Linux's default. */
export interface IfaddrOptions {
  readonly broadcast?: number;
  readonly peer?: number;
  readonly scope?: number;
  /** IFA_F_NOPREFIXROUTE and the like. */
  readonly flags?: number;
  readonly rtPriority?: number;
}

/**
 * Called with NETDEV_UP and NETDEV_DOWN for each address that is added and removed, with NETDEV_CHANGENAME when its label has
 * changed with the device's name. Linux: inetaddr_chain.
 */
export let inetaddrChain: NotifierChain<InIfaddr>;

let ifaddrs: Pool<InIfaddr>;
/** By hash of the address; a power of two of heads. */
let addrHash: (InIfaddr | null)[];
let addrMask = 0;

/** Builds the pool and listens for devices. Boot time, after the device layer's init; devices must be down still. */
export function devinetInit(count: number): void {
  ifaddrs = poolCreate("in_ifaddr", count, () => new InIfaddr());
  let heads = 1;
  while (heads < count && heads < HASH_MAX) heads <<= 1;
  addrHash = account("devinet", new Array<InIfaddr | null>(heads).fill(null));
  addrMask = heads - 1;
  inetaddrChain = account("devinet", new NotifierChain<InIfaddr>());
  notifierChainRegister(netdevChain, account("devinet", new NotifierBlock<NetDevice>(inetdevEvent)));
  for (let dev = initNet.devices; dev !== null; dev = dev.nextDev) inetdevEvent(NETDEV_REGISTER, dev);
}

/** Is a switch on, of conf.all or of the device? Linux: IN_DEV_ORCONF(). @param bit IN_DEV_* */
export function inDevOrconf(inDev: InDevice, bit: number): boolean {
  return ((inDev.switches | inDev.dev.net!.ipv4.confAll) & bit) !== 0;
}

/** Linux: IN_DEV_RX_REDIRECTS(). */
export function inDevRxRedirects(inDev: InDevice): boolean {
  const all = inDev.dev.net!.ipv4.confAll;
  const { switches } = inDev;
  const on = (switches & IN_DEV_FORWARDING) !== 0 ? switches & all : switches | all;
  return (on & IN_DEV_ACCEPT_REDIRECTS) !== 0;
}

/** Are both addresses of one subnet of the device? Linux: inet_addr_onlink(). */
export function inetAddrOnlink(inDev: InDevice, a: number, b: number): boolean {
  for (let ifa = inDev.ifaList; ifa !== null; ifa = ifa.next) {
    if ((ifa.flags & IFA_F_SECONDARY) === 0 && inetIfaMatch(a, ifa) && (b === 0 || inetIfaMatch(b, ifa))) return true;
  }
  return false;
}

/** IPv4's part of a device, or null when it has none. Linux: __in_dev_get_rcu(). */
export function inDevGet(dev: NetDevice): InDevice | null {
  return dev.ipPtr as InDevice | null;
}

/** Mask of a prefix length 0..32 as int32. Linux: inet_make_mask(). */
export function inetMakeMask(prefixlen: number): number {
  return prefixlen === 0 ? 0 : -1 << (32 - prefixlen);
}

/** Is `addr` in the subnet of that address? */
export function inetIfaMatch(addr: number, ifa: InIfaddr): boolean {
  return ((addr ^ ifa.address) & ifa.mask) === 0;
}

/** The primary address of the subnet, or null. Linux: inet_ifa_byprefix(). */
export function inetIfaByprefix(inDev: InDevice, prefix: number, mask: number): InIfaddr | null {
  for (let ifa = inDev.ifaList; ifa !== null; ifa = ifa.next) {
    if (ifa.mask === mask && (ifa.flags & IFA_F_SECONDARY) === 0 && inetIfaMatch(prefix, ifa)) return ifa;
  }
  return null;
}

function hashSlot(addr: number): number {
  return (addr ^ (addr >> 8)) & addrMask;
}

/** The entry of a local address of the namespace, or null. Linux: inet_lookup_ifaddr_rcu(). */
export function inetLookupIfaddr(net: Net, addr: number): InIfaddr | null {
  for (let ifa = addrHash[(addr ^ (addr >> 8)) & addrMask]!; ifa !== null; ifa = ifa.hashNext!) {
    if (ifa.local === addr && ifa.dev!.net === net) return ifa;
  }
  return null;
}

function hashRemove(ifa: InIfaddr): void {
  const slot = hashSlot(ifa.local);
  let previous: InIfaddr | null = null;
  for (let at = addrHash[slot]!; at !== ifa; at = at.hashNext!) previous = at;
  if (previous === null) addrHash[slot] = ifa.hashNext;
  else previous.hashNext = ifa.hashNext;
  ifa.hashNext = null;
}

function announce(inDev: InDevice, ifa: InIfaddr): void {
  const dev = inDev.dev;
  if ((dev.flags & IFF_UP) === 0 || (dev.flags & (IFF_LOOPBACK | IFF_NOARP)) !== 0 || arpConf(inDev, ARP_NOTIFY) === 0) return;
  arpAnnounce(dev, ifa.local);
}

function announceAll(inDev: InDevice): void {
  for (let ifa = inDev.ifaList; ifa !== null; ifa = ifa.next) announce(inDev, ifa);
}

/** Finds the place of a new address; -EEXIST and -EINVAL as Linux's __inet_insert_ifa(). */
function placeIfa(inDev: InDevice, ifa: InIfaddr): number {
  ifa.flags &= ~IFA_F_SECONDARY;
  let last: InIfaddr | null = null;
  let lastPrimary: InIfaddr | null = null;
  for (let at = inDev.ifaList; at !== null; at = at.next) {
    if ((at.flags & IFA_F_SECONDARY) === 0 && ifa.scope <= at.scope) lastPrimary = at;
    if (at.mask === ifa.mask && inetIfaMatch(at.address, ifa)) {
      if (at.local === ifa.local) return nlErrMsg(-EEXIST, "ipv4: Address already assigned");
      if (at.scope !== ifa.scope) return nlErrMsg(-EINVAL, "ipv4: Invalid scope value");
      ifa.flags |= IFA_F_SECONDARY;
    }
    last = at;
  }
  const behind = (ifa.flags & IFA_F_SECONDARY) === 0 ? lastPrimary : last;
  if (behind === null) {
    ifa.next = inDev.ifaList;
    inDev.ifaList = ifa;
  } else {
    ifa.next = behind.next;
    behind.next = ifa;
  }
  const slot = hashSlot(ifa.local);
  ifa.hashNext = addrHash[slot]!;
  addrHash[slot] = ifa;
  notifierChainCall(inetaddrChain, NETDEV_UP, ifa);
  announce(inDev, ifa);
  return 0;
}

function unlinkIfa(inDev: InDevice, ifa: InIfaddr): void {
  let previous: InIfaddr | null = null;
  for (let at = inDev.ifaList; at !== ifa && at !== null; at = at.next) previous = at;
  if (previous === null) inDev.ifaList = ifa.next;
  else previous.next = ifa.next;
  hashRemove(ifa);
}

/** Removes an address; with a primary go the secondaries of its subnet (promote_secondaries 0). */
export function inetDelIfa(inDev: InDevice, ifa: InIfaddr): void {
  if ((ifa.flags & IFA_F_SECONDARY) === 0) {
    let at = ifa.next;
    while (at !== null) {
      const next: InIfaddr | null = at.next;
      if ((at.flags & IFA_F_SECONDARY) !== 0 && at.mask === ifa.mask && inetIfaMatch(at.address, ifa)) {
        inetRemove(inDev, at);
      }
      at = next;
    }
  }
  inetRemove(inDev, ifa);
}

function inetRemove(inDev: InDevice, ifa: InIfaddr): void {
  unlinkIfa(inDev, ifa);
  notifierChainCall(inetaddrChain, NETDEV_DOWN, ifa);
  ifa.next = null;
  ifa.dev = null;
  poolFree(ifaddrs, ifa);
}

/**
 * An address to be filled in and given to inetInsertIfa(), everything at its default; null when the pool is empty (counted
 * there). Linux: inet_alloc_ifa().
 */
export function inetAllocIfa(dev: NetDevice): InIfaddr | null {
  const ifa = poolAlloc(ifaddrs);
  if (ifa === null) return null;
  ifa.dev = dev;
  ifa.next = ifa.hashNext = null;
  ifa.local = ifa.address = ifa.mask = ifa.broadcast = ifa.prefixlen = ifa.flags = ifa.rtPriority = 0;
  ifa.scope = RT_SCOPE_UNIVERSE;
  ifa.label = "";
  return ifa;
}

/** Gives an address back that was not inserted. Linux: inet_free_ifa(). */
export function inetFreeIfa(ifa: InIfaddr): void {
  ifa.dev = null;
  poolFree(ifaddrs, ifa);
}

/**
 * Enters an address on its device, with its routes; one that is refused is freed, and 0.0.0.0 is none. Linux:
 * inet_insert_ifa().
 * @returns 0, -EEXIST, -EINVAL (another scope than its primary's)
 */
export function inetInsertIfa(inDev: InDevice, ifa: InIfaddr): number {
  const err = ifa.local === 0 ? 0 : placeIfa(inDev, ifa);
  if (err !== 0 || ifa.local === 0) inetFreeIfa(ifa);
  return err;
}

/**
 * Adds an address to a device, with its routes. Linux: inet_rtm_newaddr().
 * @param addr local address @param prefixlen 0..32
 * @returns 0; -EINVAL (prefix length, or a scope other than its primary's), -EEXIST, -ENODEV (no IPv4 on the device),
 *   -ENOBUFS (pool empty)
 */
export function inetAddAddress(
  net: Net, dev: NetDevice, addr: number, prefixlen: number, options?: IfaddrOptions,
): number {
  if (prefixlen < 0 || prefixlen > 32) return -EINVAL;
  const inDev = inDevGet(dev);
  if (inDev === null || dev.net !== net) return -ENODEV;
  const ifa = inetAllocIfa(dev);
  if (ifa === null) return -ENOBUFS;
  ifa.local = addr | 0;
  ifa.mask = inetMakeMask(prefixlen);
  ifa.prefixlen = prefixlen;
  ifa.address = options?.peer === undefined ? addr | 0 : options.peer | 0;
  ifa.broadcast = options?.broadcast === undefined ? 0 : options.broadcast | 0;
  ifa.scope = options?.scope ?? (ipv4IsLoopback(addr | 0) ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE);
  ifa.flags = (options?.flags ?? 0) | IFA_F_PERMANENT;
  ifa.rtPriority = options?.rtPriority ?? 0;
  return inetInsertIfa(inDev, ifa);
}

/** Removes an address: 0, -ENODEV, or -EADDRNOTAVAIL when the device has no such address and length. */
export function inetDelAddress(net: Net, dev: NetDevice, addr: number, prefixlen: number): number {
  const inDev = inDevGet(dev);
  if (inDev === null || dev.net !== net) return -ENODEV;
  for (let ifa = inDev.ifaList; ifa !== null; ifa = ifa.next) {
    if (ifa.local === (addr | 0) && ifa.prefixlen === prefixlen) {
      inetDelIfa(inDev, ifa);
      return 0;
    }
  }
  return -EADDRNOTAVAIL;
}

/**
 * The source address for a destination over a device: a primary of at most that scope, best in the destination's
 * subnet; when the device has none, any other device's. 0 when there is none. Linux: inet_select_addr().
 * @param dst destination or gateway, 0 for any
 */
export function inetSelectAddr(net: Net, dev: NetDevice, dst: number, scope: number): number {
  const inDev = inDevGet(dev);
  if (inDev !== null) {
    const localnetScope = inDevOrconf(inDev, IN_DEV_ROUTE_LOCALNET) ? RT_SCOPE_LINK : RT_SCOPE_HOST;
    let addr = 0;
    for (let ifa = inDev.ifaList; ifa !== null; ifa = ifa.next) {
      if ((ifa.flags & IFA_F_SECONDARY) !== 0) continue;
      if ((ifa.scope < localnetScope ? ifa.scope : localnetScope) > scope) continue;
      if (dst === 0 || inetIfaMatch(dst, ifa)) return ifa.local;
      if (addr === 0) addr = ifa.local;
    }
    if (addr !== 0) return addr;
  }
  for (let other = net.devices; other !== null; other = other.nextDev) {
    const otherDev = inDevGet(other);
    if (otherDev === null) continue;
    for (let ifa = otherDev.ifaList; ifa !== null; ifa = ifa.next) {
      if ((ifa.flags & IFA_F_SECONDARY) !== 0 || ifa.scope === RT_SCOPE_LINK || ifa.scope > scope) continue;
      return ifa.local;
    }
  }
  return 0;
}

/** Gives a device up: its addresses go, then its IPv4 part. Linux: inetdev_destroy(). */
function inetdevDestroy(inDev: InDevice): void {
  inDev.dead = true;
  for (let ifa = inDev.ifaList; ifa !== null; ifa = inDev.ifaList) inetDelIfa(inDev, ifa);
  inDev.dev.ipPtr = null;
}

/** Behind the device's new name what was behind the old one, or a number. */
function createLabel(name: string, old: string, number: number): string {
  const colon = old.indexOf(":");
  const end = colon < 0 ? `:${number}` : old.substring(colon);
  return name.substring(0, IFNAMSIZ - 1 - end.length) + end;
}

/** The device has another name: it is the first address's label, and the others' begin with it. Linux: inetdev_changename(). */
function inetdevChangename(inDev: InDevice): void {
  let number = 0;
  for (let ifa = inDev.ifaList; ifa !== null; ifa = ifa.next) {
    number++;
    ifa.label = number === 1 ? "" : createLabel(inDev.dev.name, ifa.label, number);
    notifierChainCall(inetaddrChain, NETDEV_CHANGENAME, ifa);
  }
}

function inetdevEvent(event: number, dev: NetDevice): number {
  let inDev = inDevGet(dev);
  if (inDev === null) {
    if ((event === NETDEV_REGISTER || event === NETDEV_CHANGEMTU) && dev.mtu >= IPV4_MIN_MTU) {
      const { ipForward, confDefault } = dev.net!.ipv4;
      inDev = account("devinet", new InDevice(dev, ipForward !== 0 ? confDefault | IN_DEV_FORWARDING : confDefault));
      dev.ipPtr = inDev;
    }
    return NOTIFY_DONE;
  }
  switch (event) {
    case NETDEV_UP:
      if ((dev.flags & IFF_LOOPBACK) !== 0 && inDev.ifaList === null) {
        inetAddAddress(dev.net!, dev, INADDR_LOOPBACK, 8);
      }
      announceAll(inDev);
      break;
    case NETDEV_CHANGE:
      if (dev.carrier) announceAll(inDev);
      break;
    case NETDEV_CHANGEADDR:
      announceAll(inDev);
      break;
    case NETDEV_CHANGEMTU:
      if (dev.mtu < IPV4_MIN_MTU) inetdevDestroy(inDev);
      break;
    case NETDEV_CHANGENAME:
      inetdevChangename(inDev);
      break;
    case NETDEV_UNREGISTER:
      inetdevDestroy(inDev);
      break;
  }
  return NOTIFY_DONE;
}
