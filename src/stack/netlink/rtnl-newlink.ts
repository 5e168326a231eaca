/**
 * Devices that a message makes: `ip link add … type KIND` and `ip link del`. Linux: rtnl_link_register(), rtnl_newlink_create()
 * and rtnl_dellink() of net/core/rtnetlink.c. Owns the list of the kinds there are; each kind is a file of its own that
 * registers itself (rtnl-veth.ts). Configuration: making a device allocates.
 */
import { account } from "../../lib/account.ts";
import { memView } from "../../lib/memory.ts";
import { devChangeFlags, devGetFlags } from "../../netif/dev.ts";
import { netdevMaster } from "../../netif/rx-handler.ts";
import { EADDRNOTAVAIL, EINVAL, EOPNOTSUPP } from "../../uapi/errno.ts";
import {
  IFLA_ADDRESS, IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_INFO_SLAVE_DATA, IFLA_INFO_SLAVE_KIND, IFLA_LINK, IFLA_LINKINFO, IFLA_MTU, IFLA_TXQLEN,
} from "../../uapi/if-link.ts";
import { nlErrMsg } from "../core/extack.ts";
import type { Net } from "../core/net.ts";
import type { NetDevice, NetDeviceOps } from "../core/net-device.ts";
import type { SkBuff } from "../core/skbuff.ts";
import {
  createNlaString, nlaFindNested, nlaGet, nlaLen, nlaNestEnd, nlaNestStart, nlaPutString, nlaStrEquals, nlaU32Or,
} from "./nlattr.ts";

/** Set in the first byte of a link address: a group's. */
const GROUP_BIT = 1;

/** What a message says of a device to be made. */
export class LinkRequest {
  /** Name, "" for the kind's next. */
  name = "";
  hasAddress = false;
  addrHi = 0;
  addrLo = 0;
  /** 0: the kind's. */
  mtu = 0;
  /** -1: the kind's. */
  txqlen = -1;
  /** ifindex of the device below, 0 for none. */
  link = 0;
  /** IFF_* and which of them are asked for. */
  flags = 0;
  change = 0;
  /** Arena offset of the kind's own attributes (IFLA_INFO_DATA), 0 for none. */
  data = 0;
}

/** A kind of device. Linux: struct rtnl_link_ops. */
export interface RtnlLinkOps {
  readonly kind: string;
  /** The driver's functions: a device that has them is of this kind. */
  readonly ops: NetDeviceOps;
  /** Makes and registers it: 0 or a negative errno, after which nothing is left. */
  newlink(net: Net, request: LinkRequest): number;
  /** Takes it, and what was made with it, out of its namespace. */
  dellink(dev: NetDevice): void;
  /** Changes one: 0 or a negative errno. @param data arena offset of its own attributes */
  changelink?(dev: NetDevice, data: number): number;
  /** Writes the attributes of its own; false when there is no room. Linux: fill_info() */
  fillInfo?(skb: SkBuff, dev: NetDevice): boolean;
  /** The same for a device that is a port of one. Linux: fill_slave_info() */
  fillSlaveInfo?(skb: SkBuff, dev: NetDevice): boolean;
}

let kinds: RtnlLinkOps[];
let request: LinkRequest;

/** Boot: there are no kinds. */
export function rtnlNewlinkInit(): void {
  kinds = account("rtnetlink", []);
  request = account("rtnetlink", new LinkRequest());
}

/** From now on such devices can be made and deleted. Linux: rtnl_link_register(). */
export function rtnlLinkRegister(ops: RtnlLinkOps): void {
  kinds.push(ops);
}

/** The kind that a message names in IFLA_LINKINFO, null for none and one there is not. */
function kindNamed(info: number): RtnlLinkOps | null {
  const kind = info === 0 ? 0 : nlaFindNested(info, IFLA_INFO_KIND);
  for (let i = 0; kind !== 0 && i < kinds.length; i++) if (nlaStrEquals(kind, kinds[i]!.kind)) return kinds[i]!;
  return null;
}

/** The kind of a device, null for one of a driver that no message makes. */
function kindOf(dev: NetDevice): RtnlLinkOps | null {
  for (let i = 0; i < kinds.length; i++) if (kinds[i]!.ops === dev.ops) return kinds[i]!;
  return null;
}

/**
 * Reads what the attributes found last say of a device.
 * @param flags, change those of its ifinfomsg
 * @returns 0, or -EINVAL for a link address that is too short
 */
export function linkRequestRead(link: LinkRequest, flags: number, change: number): number {
  const name = nlaGet(IFLA_IFNAME);
  const address = nlaGet(IFLA_ADDRESS);
  link.name = name === 0 ? "" : createNlaString(name);
  link.mtu = nlaU32Or(IFLA_MTU, 0);
  link.txqlen = nlaU32Or(IFLA_TXQLEN, -1);
  link.link = nlaU32Or(IFLA_LINK, 0);
  link.flags = flags;
  link.change = change;
  link.data = 0;
  link.hasAddress = address !== 0;
  if (address === 0) return 0;
  if (nlaLen(address) < 6) return -EINVAL;
  link.addrHi = memView.getUint16(address + 4);
  link.addrLo = memView.getInt32(address + 6);
  return 0;
}

/** Gives a device that is not registered yet what was asked for: 0, -EADDRNOTAVAIL, -EINVAL (MTU). Linux: rtnl_create_link(). */
export function linkRequestApply(link: LinkRequest, dev: NetDevice): number {
  if (link.hasAddress) {
    if (((link.addrHi >> 8) & GROUP_BIT) !== 0 || (link.addrHi | link.addrLo) === 0) return -EADDRNOTAVAIL;
    dev.addrHi = link.addrHi;
    dev.addrLo = link.addrLo;
  }
  if (link.mtu !== 0) {
    if (link.mtu < dev.minMtu || link.mtu > dev.maxMtu) return -EINVAL;
    dev.mtu = link.mtu;
  }
  if (link.name !== "") dev.name = link.name;
  if (link.txqlen >= 0) dev.txqueuelen = link.txqlen;
  return 0;
}

/** The flags that were asked for, once it is registered. Linux: rtnl_configure_link(). */
export function linkRequestFlags(link: LinkRequest, dev: NetDevice): number {
  if ((link.flags | link.change) === 0) return 0;
  return devChangeFlags(dev, link.change === 0 ? link.flags : (link.flags & link.change) | (devGetFlags(dev) & ~link.change));
}

/**
 * RTM_NEWLINK for a device that is not there, its attributes parsed. Linux: rtnl_newlink_create(). Numbers are not chosen.
 * @param ifindex, flags, change those of its ifinfomsg
 */
export function rtnlNewlinkCreate(net: Net, ifindex: number, flags: number, change: number): number {
  const info = nlaGet(IFLA_LINKINFO);
  const ops = kindNamed(info);
  if (ops === null) return nlErrMsg(-EOPNOTSUPP, "Unknown device type");
  if (ifindex > 0) return nlErrMsg(-EOPNOTSUPP, "The number of a device cannot be chosen");
  const err = linkRequestRead(request, flags, change);
  if (err !== 0) return err;
  request.data = nlaFindNested(info, IFLA_INFO_DATA);
  return ops.newlink(net, request);
}

/**
 * What a message says of a device's kind: 0 when nothing, -EOPNOTSUPP for another kind or one that cannot be changed. Linux: the
 * part of rtnl_newlink() for a device that is there.
 */
export function rtnlChangeLink(dev: NetDevice): number {
  const info = nlaGet(IFLA_LINKINFO);
  const data = info === 0 ? 0 : nlaFindNested(info, IFLA_INFO_DATA);
  if (data === 0) return 0;
  const ops = kindNamed(info);
  if (ops === null || ops !== kindOf(dev) || ops.changelink === undefined) return -EOPNOTSUPP;
  return ops.changelink(dev, data);
}

/** RTM_DELLINK for a device: 0, or -EOPNOTSUPP for one that no message makes. Linux: rtnl_delete_link(). */
export function rtnlDeleteLink(dev: NetDevice): number {
  const ops = kindOf(dev);
  if (ops === null) return -EOPNOTSUPP;
  ops.dellink(dev);
  return 0;
}

/** Writes a kind and what `fill` tells of it, if it does; false when there is no room. */
function putKind(
  skb: SkBuff, dev: NetDevice, kindType: number, kind: string, dataType: number,
  fill: ((skb: SkBuff, dev: NetDevice) => boolean) | undefined,
): boolean {
  if (!nlaPutString(skb, kindType, kind)) return false;
  if (fill === undefined) return true;
  const data = nlaNestStart(skb, dataType);
  if (data < 0 || !fill(skb, dev)) return false;
  nlaNestEnd(skb, data);
  return true;
}

/** Writes the kind of a device, and that of the one it is a port of, if there are. Linux: rtnl_link_fill(). */
export function linkInfoPut(skb: SkBuff, dev: NetDevice): boolean {
  const ops = kindOf(dev);
  const master = netdevMaster(dev);
  const above = master === null ? null : kindOf(master);
  if (ops === null && above === null) return true;
  const nest = nlaNestStart(skb, IFLA_LINKINFO);
  if (nest < 0) return false;
  if (ops !== null && !putKind(skb, dev, IFLA_INFO_KIND, ops.kind, IFLA_INFO_DATA, ops.fillInfo)) return false;
  if (above !== null && !putKind(skb, dev, IFLA_INFO_SLAVE_KIND, above.kind, IFLA_INFO_SLAVE_DATA, above.fillSlaveInfo)) return false;
  nlaNestEnd(skb, nest);
  return true;
}

/** Is that the kind of a device? @param info IFLA_LINKINFO of a request */
export function linkInfoMatches(info: number, dev: NetDevice): boolean {
  const ops = kindOf(dev);
  const kind = nlaFindNested(info, IFLA_INFO_KIND);
  return ops !== null && kind !== 0 && nlaStrEquals(kind, ops.kind);
}

