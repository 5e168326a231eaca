/**
 * The settings of ARP: net.ipv4.conf.{all,default,DEV}.arp_*, proxy_arp and drop_gratuitous_arp. Linux: IN_DEV_ARP_IGNORE() and its
 * like of include/linux/inetdevice.h, Documentation/networking/ip-sysctl. They are fields of one word, InDevice.switches, and those
 * of conf.all and conf.default of a word of the namespace each, so that none takes memory of its own. (Bits 22 and 23 are IGMP's.)
 *
 * A device follows the larger of its own value and that of conf.all; ARP_EVICT_NOCARRIER both must allow.
 */
import { EINVAL } from "../../uapi/errno.ts";
import type { Net } from "../core/net.ts";
import type { NetDevice } from "../core/net-device.ts";
import { type InDevice, inDevGet } from "./devinet.ts";

/** To which requests for an address of this host a device answers, 0 to 8. */
export const ARP_IGNORE = 0xf00;
/** Which address of this host its requests name as their sender, 0 to 2. */
export const ARP_ANNOUNCE = 0x3000;
/** Who has not been known is learned from gratuitous ARP and from replies: 0 no, 1 yes, 2 if of a subnet of the device. */
export const ARP_ACCEPT = 0xc000;
/** Requests are answered only by the device by which their sender is reached. */
export const ARP_FILTER = 0x10000;
/** Requests for others are answered when they are reached by another device. Where proxyArp was listed at boot. */
export const PROXY_ARP = 0x20000;
/** The same for those reached by the device itself (RFC 3069), which keeps its neighbours apart. */
export const PROXY_ARP_PVLAN = 0x40000;
/** Gratuitous ARP is not looked at. */
export const DROP_GRATUITOUS_ARP = 0x80000;
/** Addresses are announced (devinet.ts says when). On here; off on Linux. */
export const ARP_NOTIFY = 0x100000;
/** What was learned goes when the carrier is lost. On by default. */
export const ARP_EVICT_NOCARRIER = 0x200000;

/** Settings with which a device treats requests in another way than by default. */
export const ARP_SPECIAL = ARP_IGNORE | ARP_FILTER | DROP_GRATUITOUS_ARP;

/** The value that a device follows. Linux: IN_DEV_MAXCONF(), IN_DEV_ORCONF(). @param setting ARP_* */
export function arpConf(inDev: InDevice, setting: number): number {
  const own = inDev.switches & setting;
  const all = inDev.dev.net!.ipv4.confAll & setting;
  const value = setting === ARP_EVICT_NOCARRIER ? own & all : own > all ? own : all;
  return value / (setting & -setting);
}

function changed(word: number, setting: number, value: number): number {
  return (word & ~setting) | (value * (setting & -setting));
}

function inRange(setting: number, value: number): boolean {
  const most = setting === ARP_IGNORE ? 8 : setting === ARP_ANNOUNCE || setting === ARP_ACCEPT ? 2 : 1;
  return Number.isInteger(value) && value >= 0 && value <= most;
}

/** Sets net.ipv4.conf.DEV.SETTING: 0, -EINVAL for a value out of range or a device without IPv4. @param setting ARP_* */
export function arpConfSet(dev: NetDevice, setting: number, value: number): number {
  const inDev = inDevGet(dev);
  if (inDev === null || !inRange(setting, value)) return -EINVAL;
  inDev.switches = changed(inDev.switches, setting, value);
  return 0;
}

/** Sets net.ipv4.conf.all.SETTING: 0, or -EINVAL for a value out of range. @param setting ARP_* */
export function arpConfSetAll(net: Net, setting: number, value: number): number {
  if (!inRange(setting, value)) return -EINVAL;
  net.ipv4.confAll = changed(net.ipv4.confAll, setting, value);
  return 0;
}

/** Sets net.ipv4.conf.default.SETTING, for devices to come: 0, or -EINVAL for a value out of range. @param setting ARP_* */
export function arpConfSetDefault(net: Net, setting: number, value: number): number {
  if (!inRange(setting, value)) return -EINVAL;
  net.ipv4.confDefault = changed(net.ipv4.confDefault, setting, value);
  return 0;
}
