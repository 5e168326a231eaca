/**
 * Devices over rtnetlink: RTM_GETLINK, RTM_SETLINK, RTM_NEWLINK, RTM_DELLINK, their dump, and notifications to RTNLGRP_LINK.
 * Linux: rtnl_fill_ifinfo(), do_setlink() and rtnl_dump_ifinfo() of net/core/rtnetlink.c. Owns the listener on netdev_chain.
 * What makes devices of a kind is in rtnl-newlink.ts.
 */
import { account } from "../../lib/account.ts";
import { mem8, memView } from "../../lib/memory.ts";
import { NOTIFY_DONE, NotifierBlock, notifierChainRegister } from "../../lib/notifier.ts";
import {
  devChangeFlags, devChangeName, devGetByIndex, devGetFlags, devSetMacAddress, devSetMtu, devSetTxQueueLen, netdevChain,
  NETDEV_CHANGE, NETDEV_CHANGEADDR, NETDEV_CHANGEMTU, NETDEV_CHANGENAME, NETDEV_CHANGEUPPER, NETDEV_CHANGE_TX_QUEUE_LEN, NETDEV_DOWN,
  NETDEV_REGISTER, NETDEV_UNREGISTER, NETDEV_UP,
} from "../../netif/dev.ts";
import { netdevMaster } from "../../netif/rx-handler.ts";
import { EEXIST, EINVAL, EMSGSIZE, ENOBUFS, ENODEV, EOPNOTSUPP } from "../../uapi/errno.ts";
import { IF_OPER_DOWN, IF_OPER_LOWERLAYERDOWN, IF_OPER_UNKNOWN, IF_OPER_UP, IFF_LOOPBACK, IFF_NOARP, IFF_RUNNING, IFF_UP } from "../../uapi/if.ts";
import { ARPHRD_ETHER, ARPHRD_LOOPBACK } from "../../uapi/if-arp.ts";
import {
  IFLA_ADDRESS, IFLA_ALLMULTI, IFLA_BROADCAST, IFLA_CARRIER, IFLA_GROUP, IFLA_IFNAME, IFLA_LINK, IFLA_LINKINFO,
  IFLA_LINKMODE, IFLA_MASTER, IFLA_MAX, IFLA_MAX_MTU, IFLA_MIN_MTU, IFLA_MTU, IFLA_NUM_RX_QUEUES, IFLA_NUM_TX_QUEUES,
  IFLA_OPERSTATE, IFLA_PROMISCUITY, IFLA_QDISC, IFLA_STATS64, IFLA_TXQLEN, IFLA_ALT_IFNAME, IFLA_EXT_MASK,
} from "../../uapi/if-link.ts";
import { NLM_F_CREATE, NLM_F_EXCL, NLMSG_HDRLEN } from "../../uapi/netlink.ts";
import {
  RTM_DELLINK, RTM_GETLINK, RTM_NEWLINK, RTM_SETLINK, RTNLGRP_LINK,
} from "../../uapi/rtnetlink.ts";
import { AF_UNSPEC } from "../../uapi/socket.ts";
import { nlErrMsg } from "../core/extack.ts";
import type { Net } from "../core/net.ts";
import type { NetDevice } from "../core/net-device.ts";
import { consumeSkb, type SkBuff } from "../core/skbuff.ts";
import { nlmsgPutDump } from "./netlink-deliver.ts";
import type { NetlinkSk, NetlinkSock } from "./netlink-sock.ts";
import {
  createNlaString, nlaGet, nlaGetU32, nlaLen, nlaParse, nlaParseStrict, nlaPut, nlaPutLladdr,
  nlaPutString, nlaPutU32, nlaPutU8, nlaStrEquals, NLH_SEQ, nlmsgFinish, nlmsgPut,
} from "./nlattr.ts";
import { linkInfoMatches, linkInfoPut, rtnlChangeLink, rtnlDeleteLink, rtnlNewlinkCreate, rtnlNewlinkInit } from "./rtnl-newlink.ts";
import {
  nlmsgFlags, nlmsgHeaderOk, nlmsgLength, rtnlHasListeners, rtnlNotify, rtnlRegister, rtnlSkb, rtnlUnicast, strictCheck,
} from "./rtnetlink.ts";

/** ifinfomsg: its size and the offsets of its fields behind the message header. */
const IFINFOMSG_BYTES = 16;
const IFI_TYPE = NLMSG_HDRLEN + 2;
const IFI_INDEX = NLMSG_HDRLEN + 4;
const IFI_FLAGS = NLMSG_HDRLEN + 8;
const IFI_CHANGE = NLMSG_HDRLEN + 12;
const ATTRS = NLMSG_HDRLEN + IFINFOMSG_BYTES;
/** rtnl_link_stats64 as Linux 5.8 has it: 24 counters. */
const STATS64_BYTES = 192;

/** The shortest payloads. Linux: ifla_policy. */
export function linkPolicy(type: number): number {
  switch (type) {
    case IFLA_MTU:
    case IFLA_LINK:
    case IFLA_TXQLEN:
    case IFLA_MASTER:
    case IFLA_GROUP:
    case IFLA_EXT_MASK:
      return 4;
    case IFLA_OPERSTATE:
    case IFLA_LINKMODE:
      return 1;
    default:
      return 0;
  }
}

/** Boot: devices can be asked for and changed, and changes are told. */
export function rtnlLinkInit(): void {
  rtnlNewlinkInit();
  rtnlRegister(RTM_GETLINK, AF_UNSPEC, rtnlGetlink, rtnlDumpLinks);
  rtnlRegister(RTM_SETLINK, AF_UNSPEC, rtnlSetlink, null);
  rtnlRegister(RTM_NEWLINK, AF_UNSPEC, rtnlNewlink, null);
  rtnlRegister(RTM_DELLINK, AF_UNSPEC, rtnlDellink, null);
  notifierChainRegister(netdevChain, account("rtnetlink", new NotifierBlock<NetDevice>(rtnlLinkEvent, -1)));
}

/** RFC 2863's state of a device; one that never heard of a carrier does not know. Linux: dev->operstate. */
function operstate(dev: NetDevice): number {
  const flags = devGetFlags(dev);
  if ((flags & IFF_UP) === 0) return IF_OPER_DOWN;
  if ((flags & (IFF_LOOPBACK | IFF_NOARP)) !== 0) return IF_OPER_UNKNOWN;
  if ((flags & IFF_RUNNING) !== 0) return IF_OPER_UP;
  return dev.peer !== null ? IF_OPER_LOWERLAYERDOWN : IF_OPER_DOWN;
}

function putCounter(at: number, value: number): void {
  memView.setInt32(at, value | 0, true);
  memView.setInt32(at + 4, Math.floor(value / 4294967296), true);
}

/** Linux: rtnl_fill_stats(). */
function putStats(skb: SkBuff, dev: NetDevice): boolean {
  const at = nlaPut(skb, IFLA_STATS64, STATS64_BYTES);
  if (at < 0) return false;
  for (let i = 0; i < STATS64_BYTES; i += 4) memView.setInt32(at + i, 0);
  const stats = dev.stats;
  putCounter(at, stats.rxPackets);
  putCounter(at + 8, stats.txPackets);
  putCounter(at + 16, stats.rxBytes);
  putCounter(at + 24, stats.txBytes);
  putCounter(at + 32, stats.rxErrors);
  putCounter(at + 40, stats.txErrors);
  putCounter(at + 48, stats.rxDropped);
  putCounter(at + 56, stats.txDropped);
  putCounter(at + 64, stats.multicast);
  putCounter(at + 80, stats.rxLengthErrors);
  putCounter(at + 112, stats.rxFifoErrors);
  return true;
}

/** The link address and the broadcast address; a loopback device has zeros, others of no Ethernet none. */
function putAddresses(skb: SkBuff, dev: NetDevice): boolean {
  if (dev.type === ARPHRD_LOOPBACK) {
    return nlaPutLladdr(skb, IFLA_ADDRESS, 0, 0) && nlaPutLladdr(skb, IFLA_BROADCAST, 0, 0);
  }
  if (dev.type !== ARPHRD_ETHER) return true;
  return nlaPutLladdr(skb, IFLA_ADDRESS, dev.addrHi, dev.addrLo) && nlaPutLladdr(skb, IFLA_BROADCAST, 0xffff, -1);
}

/** A number's place in a message that `nlh` began. */
function fillHeader(nlh: number, dev: NetDevice, change: number): void {
  memView.setUint16(nlh + IFI_TYPE, dev.type, true);
  memView.setInt32(nlh + IFI_INDEX, dev.ifindex, true);
  memView.setInt32(nlh + IFI_FLAGS, devGetFlags(dev), true);
  memView.setInt32(nlh + IFI_CHANGE, change, true);
}

/** Writes the rest of a device's message: 0, or -EMSGSIZE after taking it back. Linux: rtnl_fill_ifinfo(). */
function fillLink(skb: SkBuff, nlh: number, dev: NetDevice, change: number): number {
  if (nlh < 0) return -EMSGSIZE;
  fillHeader(nlh, dev, change);
  const peer = dev.peer;
  const master = netdevMaster(dev);
  const fits = nlaPutString(skb, IFLA_IFNAME, dev.name)
    && nlaPutU32(skb, IFLA_TXQLEN, dev.txqueuelen)
    && nlaPutU8(skb, IFLA_OPERSTATE, operstate(dev))
    && nlaPutU8(skb, IFLA_LINKMODE, 0)
    && nlaPutU32(skb, IFLA_MTU, dev.mtu)
    && nlaPutU32(skb, IFLA_MIN_MTU, dev.minMtu)
    && nlaPutU32(skb, IFLA_MAX_MTU, dev.maxMtu)
    && nlaPutU32(skb, IFLA_GROUP, 0)
    && nlaPutU32(skb, IFLA_PROMISCUITY, dev.promiscuity)
    && nlaPutU32(skb, IFLA_ALLMULTI, dev.allmulti)
    && nlaPutU32(skb, IFLA_NUM_TX_QUEUES, 1)
    && nlaPutU32(skb, IFLA_NUM_RX_QUEUES, 1)
    && (peer === null || peer.net !== dev.net || nlaPutU32(skb, IFLA_LINK, peer.ifindex))
    && (master === null || nlaPutU32(skb, IFLA_MASTER, master.ifindex))
    && nlaPutString(skb, IFLA_QDISC, dev.qdiscSleeping?.id ?? "noqueue")
    && nlaPutU8(skb, IFLA_CARRIER, dev.running && dev.carrier ? 1 : 0)
    && putAddresses(skb, dev)
    && linkInfoPut(skb, dev)
    && putStats(skb, dev);
  return nlmsgFinish(skb, nlh, fits);
}

/** The device a message names, by number or else by name; null when there is none such. */
function findDevice(net: Net, ifindex: number): NetDevice | null {
  if (ifindex > 0) return devGetByIndex(net, ifindex);
  const name = nlaGet(IFLA_IFNAME) !== 0 ? nlaGet(IFLA_IFNAME) : nlaGet(IFLA_ALT_IFNAME);
  if (name === 0) return null;
  for (let dev = net.devices; dev !== null; dev = dev.nextDev) if (nlaStrEquals(name, dev.name)) return dev;
  return null;
}

function parseLink(nlh: number): number {
  const err = nlmsgHeaderOk(nlh, IFINFOMSG_BYTES);
  return err !== 0 ? err : nlaParse(nlh + ATTRS, nlh + nlmsgLength(nlh), IFLA_MAX, linkPolicy);
}

/** Does the message say which device it is about? */
function namesDevice(ifindex: number): boolean {
  return ifindex > 0 || nlaGet(IFLA_IFNAME) !== 0 || nlaGet(IFLA_ALT_IFNAME) !== 0;
}

/** RTM_GETLINK for one device. Linux: rtnl_getlink(). */
function rtnlGetlink(_skb: SkBuff, nlh: number, sk: NetlinkSk): number {
  const err = parseLink(nlh);
  if (err !== 0) return err;
  const ifindex = memView.getInt32(nlh + IFI_INDEX, true);
  if (!namesDevice(ifindex)) return -EINVAL;
  const dev = findDevice(sk.net, ifindex);
  if (dev === null) return -ENODEV;
  const skb = rtnlSkb();
  if (skb === null) return -ENOBUFS;
  const seq = memView.getInt32(nlh + NLH_SEQ, true);
  const filled = fillLink(skb, nlmsgPut(skb, sk.tp.portid, seq, RTM_NEWLINK, IFINFOMSG_BYTES, 0), dev, 0);
  if (filled === 0) return rtnlUnicast(sk, skb);
  consumeSkb(skb);
  return filled;
}

/** All devices, in order of their numbers; arg0 is the last one told. Linux: rtnl_dump_ifinfo(). */
function rtnlDumpLinks(skb: SkBuff, cb: NetlinkSock): number {
  const nlh = cb.nlh;
  if (strictCheck(cb)) {
    const invalid = checkDump(nlh);
    if (invalid !== 0) return invalid;
  } else {
    parseLink(nlh);
  }
  const master = nlaGet(IFLA_MASTER);
  const kind = nlaGet(IFLA_LINKINFO);
  for (let dev = cb.net!.devices; dev !== null; dev = dev.nextDev) {
    if (dev.ifindex <= cb.arg0) continue;
    if ((master !== 0 && netdevMaster(dev)?.ifindex !== nlaGetU32(master)) || (kind !== 0 && !linkInfoMatches(kind, dev))) continue;
    const err = fillLink(skb, nlmsgPutDump(skb, cb, RTM_NEWLINK, IFINFOMSG_BYTES), dev, 0);
    if (err !== 0) return err;
    cb.arg0 = dev.ifindex;
  }
  return 0;
}

/** Linux: rtnl_valid_dump_ifinfo_req(). */
function checkDump(nlh: number): number {
  if (nlmsgLength(nlh) < ATTRS) return nlErrMsg(-EINVAL, "Invalid header for link dump");
  const view = memView;
  if (view.getUint8(nlh + NLMSG_HDRLEN + 1) !== 0 || view.getUint16(nlh + IFI_TYPE, true) !== 0
    || view.getInt32(nlh + IFI_FLAGS, true) !== 0 || view.getInt32(nlh + IFI_CHANGE, true) !== 0) {
    return nlErrMsg(-EINVAL, "Invalid values in header for link dump request");
  }
  if (view.getInt32(nlh + IFI_INDEX, true) !== 0) {
    return nlErrMsg(-EINVAL, "Filter by device index not supported for link dumps");
  }
  return nlaParseStrict(nlh + ATTRS, nlh + nlmsgLength(nlh), IFLA_MAX, linkPolicy);
}

/** RTM_SETLINK. Linux: rtnl_setlink(). */
function rtnlSetlink(_skb: SkBuff, nlh: number, sk: NetlinkSk): number {
  const err = parseLink(nlh);
  if (err !== 0) return err;
  const ifindex = memView.getInt32(nlh + IFI_INDEX, true);
  if (!namesDevice(ifindex)) return -EINVAL;
  const dev = findDevice(sk.net, ifindex);
  return dev === null ? -ENODEV : doSetlink(dev, nlh);
}

/** RTM_NEWLINK: changes a device that is there, or makes one. Linux: rtnl_newlink(). */
function rtnlNewlink(_skb: SkBuff, nlh: number, sk: NetlinkSk): number {
  const err = parseLink(nlh);
  if (err !== 0) return err;
  const ifindex = memView.getInt32(nlh + IFI_INDEX, true);
  const dev = findDevice(sk.net, ifindex);
  const flags = nlmsgFlags(nlh);
  if (dev !== null) {
    if ((flags & NLM_F_EXCL) !== 0) return -EEXIST;
    const changed = rtnlChangeLink(dev);
    return changed < 0 ? changed : doSetlink(dev, nlh);
  }
  if ((flags & NLM_F_CREATE) === 0) return -ENODEV;
  const master = nlaGet(IFLA_MASTER);
  const above = master === 0 ? 0 : nlaGetU32(master);
  const created = rtnlNewlinkCreate(sk.net, ifindex, memView.getInt32(nlh + IFI_FLAGS, true), memView.getInt32(nlh + IFI_CHANGE, true));
  return created < 0 || above === 0 ? created : setMaster(newest(sk.net), above);
}

/** The device that was registered last. */
function newest(net: Net): NetDevice {
  let last = net.devices!;
  while (last.nextDev !== null) last = last.nextDev;
  return last;
}

/** RTM_DELLINK. Linux: rtnl_dellink(). */
function rtnlDellink(_skb: SkBuff, nlh: number, sk: NetlinkSk): number {
  const err = parseLink(nlh);
  if (err !== 0) return err;
  const ifindex = memView.getInt32(nlh + IFI_INDEX, true);
  if (!namesDevice(ifindex)) return -EINVAL;
  const dev = findDevice(sk.net, ifindex);
  return dev === null ? -ENODEV : rtnlDeleteLink(dev);
}

/** Does all that a message asks of a device, until something fails. Linux: do_setlink(). */
function doSetlink(dev: NetDevice, nlh: number): number {
  let err = 0;
  const address = nlaGet(IFLA_ADDRESS);
  if (address !== 0) {
    if (nlaLen(address) < 6) return -EINVAL;
    err = devSetMacAddress(dev, memView.getUint16(address + 4), memView.getInt32(address + 6));
  }
  const mtu = nlaGet(IFLA_MTU);
  if (err === 0 && mtu !== 0) err = setMtu(dev, nlaGetU32(mtu));
  const name = nlaGet(IFLA_IFNAME);
  if (err === 0 && name !== 0 && memView.getInt32(nlh + IFI_INDEX, true) > 0 && mem8[name + 4] !== 0) {
    err = devChangeName(dev, createNlaString(name));
  }
  if (err !== 0) return err;
  const master = nlaGet(IFLA_MASTER);
  if (master !== 0) {
    err = setMaster(dev, nlaGetU32(master));
    if (err < 0) return err;
  }
  const flags = memView.getInt32(nlh + IFI_FLAGS, true);
  const change = memView.getInt32(nlh + IFI_CHANGE, true);
  if (flags !== 0 || change !== 0) {
    err = devChangeFlags(dev, change === 0 ? flags : (flags & change) | (devGetFlags(dev) & ~change));
    if (err < 0) return err;
  }
  const txqlen = nlaGet(IFLA_TXQLEN);
  return txqlen === 0 ? 0 : devSetTxQueueLen(dev, nlaGetU32(txqlen));
}

/** Makes a device a port of another one, with 0 of none. Linux: do_set_master(). */
function setMaster(dev: NetDevice, ifindex: number): number {
  const old = netdevMaster(dev);
  if (old !== null) {
    if (old.ifindex === ifindex) return 0;
    const ops = old.ops;
    const err = ops.ndoDelSlave === undefined ? -EOPNOTSUPP : ops.ndoDelSlave(old, dev);
    if (err < 0) return err;
  }
  if (ifindex === 0) return 0;
  const master = devGetByIndex(dev.net!, ifindex);
  if (master === null) return -EINVAL;
  const ops = master.ops;
  return ops.ndoAddSlave === undefined ? -EOPNOTSUPP : ops.ndoAddSlave(master, dev);
}

/** Linux: dev_validate_mtu(). */
function setMtu(dev: NetDevice, mtu: number): number {
  if (mtu < dev.minMtu) return nlErrMsg(-EINVAL, "mtu less than device minimum");
  if (mtu > dev.maxMtu) return nlErrMsg(-EINVAL, "mtu greater than device maximum");
  return devSetMtu(dev, mtu);
}

/** Tells the group of a device's news. Linux: rtnetlink_event(), rtmsg_ifinfo(). */
function rtnlLinkEvent(event: number, dev: NetDevice): number {
  let change = 0;
  switch (event) {
    case NETDEV_UP:
    case NETDEV_DOWN:
      change = IFF_UP;
      break;
    case NETDEV_REGISTER:
    case NETDEV_UNREGISTER:
      change = -1;
      break;
    case NETDEV_CHANGE:
    case NETDEV_CHANGEADDR:
    case NETDEV_CHANGEMTU:
    case NETDEV_CHANGENAME:
    case NETDEV_CHANGEUPPER:
    case NETDEV_CHANGE_TX_QUEUE_LEN:
      break;
    default:
      return NOTIFY_DONE;
  }
  const net = dev.net!;
  if (!rtnlHasListeners(net, RTNLGRP_LINK)) return NOTIFY_DONE;
  const skb = rtnlSkb();
  if (skb === null) return NOTIFY_DONE;
  const type = event === NETDEV_UNREGISTER ? RTM_DELLINK : RTM_NEWLINK;
  rtnlNotify(net, skb, RTNLGRP_LINK, fillLink(skb, nlmsgPut(skb, 0, 0, type, IFINFOMSG_BYTES, 0), dev, change));
  return NOTIFY_DONE;
}
