/**
 * IPv4 addresses over rtnetlink: RTM_NEWADDR, RTM_DELADDR, the dump of RTM_GETADDR, and notifications to
 * RTNLGRP_IPV4_IFADDR. Linux: the rtnetlink half of net/ipv4/devinet.c. Owns the listener on inetaddr_chain. Addresses
 * stay until they are removed: limited lifetimes answer -EOPNOTSUPP.
 */
import { account } from "../../lib/account.ts";
import { mem8, memView } from "../../lib/memory.ts";
import { NOTIFY_DONE, NotifierBlock, notifierChainRegister } from "../../lib/notifier.ts";
import { devGetByIndex, NETDEV_CHANGENAME, NETDEV_DOWN, NETDEV_UP } from "../../netif/dev.ts";
import { EADDRNOTAVAIL, EEXIST, EINVAL, EMSGSIZE, ENOBUFS, ENODEV, EOPNOTSUPP, ERANGE } from "../../uapi/errno.ts";
import { IFNAMSIZ } from "../../uapi/if.ts";
import { NLM_F_DUMP_FILTERED, NLM_F_EXCL, NLM_F_REPLACE, NLMSG_HDRLEN } from "../../uapi/netlink.ts";
import {
  IFA_ADDRESS, IFA_BROADCAST, IFA_CACHEINFO, IFA_F_PERMANENT, IFA_FLAGS, IFA_LABEL, IFA_LOCAL, IFA_MAX,
  IFA_PROTO, IFA_RT_PRIORITY, IFA_TARGET_NETNSID, RTM_DELADDR, RTM_GETADDR, RTM_NEWADDR, RTNLGRP_IPV4_IFADDR,
} from "../../uapi/rtnetlink.ts";
import { AF_INET, AF_UNSPEC } from "../../uapi/socket.ts";
import { nlErrMsg } from "../core/extack.ts";
import type { Net } from "../core/net.ts";
import type { SkBuff } from "../core/skbuff.ts";
import {
  inDevGet, inetAllocIfa, inetaddrChain, inetDelIfa, type InDevice, inetIfaMatch, inetInsertIfa, inetMakeMask, type InIfaddr,
} from "../ipv4/devinet.ts";
import { fibModifyPrefixMetric } from "../ipv4/fib-frontend.ts";
import { nlmsgPutDump } from "./netlink-deliver.ts";
import type { NetlinkSk, NetlinkSock } from "./netlink-sock.ts";
import {
  createNlaString, nlaAddrOr0, nlaGet, nlaGetAddr, nlaGetU32, nlaLen, nlaParse, nlaParseStrict, nlaPut, nlaPutAddr, nlaPutString,
  nlaPutU32, nlaStrEquals, nlaU32Or, nlmsgFinish, nlmsgPut,
} from "./nlattr.ts";
import {
  nlmsgFlags, nlmsgHeaderOk, nlmsgLength, rtnlHasListeners, rtnlNotify, rtnlRegister, rtnlSkb, strictCheck,
} from "./rtnetlink.ts";

/** ifaddrmsg: its size and the offsets of its fields behind the message header. */
const IFADDRMSG_BYTES = 8;
const IFA_PREFIXLEN_AT = NLMSG_HDRLEN + 1;
const IFA_FLAGS_AT = NLMSG_HDRLEN + 2;
const IFA_SCOPE_AT = NLMSG_HDRLEN + 3;
const IFA_INDEX_AT = NLMSG_HDRLEN + 4;
const ATTRS = NLMSG_HDRLEN + IFADDRMSG_BYTES;
/** ifa_cacheinfo: four numbers. */
const CACHEINFO_BYTES = 16;
/** A lifetime without end. */
const INFINITY_LIFE_TIME = -1;

/** The shortest payloads. Linux: ifa_ipv4_policy. */
function addrPolicy(type: number): number {
  switch (type) {
    case IFA_LOCAL:
    case IFA_ADDRESS:
    case IFA_BROADCAST:
    case IFA_FLAGS:
    case IFA_RT_PRIORITY:
    case IFA_TARGET_NETNSID:
      return 4;
    case IFA_CACHEINFO:
      return CACHEINFO_BYTES;
    case IFA_PROTO:
      return 1;
    default:
      return 0;
  }
}

/** Boot: addresses can be asked for and changed, and changes are told. After devinetInit() and rtnetlinkInit(). */
export function rtnlAddrInit(): void {
  rtnlRegister(RTM_NEWADDR, AF_INET, rtmNewaddr, null);
  rtnlRegister(RTM_DELADDR, AF_INET, rtmDeladdr, null);
  rtnlRegister(RTM_GETADDR, AF_INET, null, dumpIfaddr);
  rtnlRegister(RTM_GETADDR, AF_UNSPEC, null, dumpIfaddr);
  notifierChainRegister(inetaddrChain, account("rtnetlink", new NotifierBlock<InIfaddr>(rtnlAddrEvent, 1)));
}

function parseAddr(nlh: number): number {
  const err = nlmsgHeaderOk(nlh, IFADDRMSG_BYTES);
  return err !== 0 ? err : nlaParse(nlh + ATTRS, nlh + nlmsgLength(nlh), IFA_MAX, addrPolicy);
}

/** A new address, or with NLM_F_REPLACE the metric of one that is there. Linux: rtm_to_ifaddr() and inet_rtm_newaddr(). */
function rtmNewaddr(_skb: SkBuff, nlh: number, sk: NetlinkSk): number {
  const err = parseAddr(nlh);
  if (err !== 0) return err;
  const prefixlen = mem8[nlh + IFA_PREFIXLEN_AT]!;
  if (prefixlen > 32) return nlErrMsg(-EINVAL, "ipv4: Invalid prefix length");
  const localAttr = nlaGet(IFA_LOCAL);
  if (localAttr === 0) return nlErrMsg(-EINVAL, "ipv4: Local address is not supplied");
  const dev = devGetByIndex(sk.net, memView.getInt32(nlh + IFA_INDEX_AT, true));
  if (dev === null) return nlErrMsg(-ENODEV, "ipv4: Device not found");
  const inDev = inDevGet(dev);
  if (inDev === null) return -ENOBUFS;
  if (limitedLife()) return nlErrMsg(-EOPNOTSUPP, "Addresses are valid for ever here");
  const label = nlaGet(IFA_LABEL);
  if (label !== 0 && nlaLen(label) > IFNAMSIZ) return nlErrMsg(-ERANGE, "Attribute failed policy validation");
  const local = nlaGetAddr(localAttr);
  const address = nlaGet(IFA_ADDRESS) === 0 ? local : nlaAddrOr0(IFA_ADDRESS);
  const flags = nlaU32Or(IFA_FLAGS, mem8[nlh + IFA_FLAGS_AT]!) | IFA_F_PERMANENT;
  const mask = inetMakeMask(prefixlen);
  const same = findSame(inDev, local, address, mask);
  if (same !== null) {
    const request = nlmsgFlags(nlh);
    if ((request & NLM_F_EXCL) !== 0 || (request & NLM_F_REPLACE) === 0) {
      return nlErrMsg(-EEXIST, "ipv4: Address already assigned");
    }
    const metric = nlaU32Or(IFA_RT_PRIORITY, 0);
    if (same.rtPriority !== metric) {
      fibModifyPrefixMetric(same, metric);
      same.rtPriority = metric;
    }
    notifyAddr(sk.net, RTM_NEWADDR, same);
    return 0;
  }
  const ifa = inetAllocIfa(dev);
  if (ifa === null) return -ENOBUFS;
  ifa.local = local;
  ifa.address = address;
  ifa.prefixlen = prefixlen;
  ifa.mask = mask;
  ifa.broadcast = nlaAddrOr0(IFA_BROADCAST);
  ifa.scope = mem8[nlh + IFA_SCOPE_AT]!;
  ifa.flags = flags;
  ifa.rtPriority = nlaU32Or(IFA_RT_PRIORITY, 0);
  if (label !== 0 && !nlaStrEquals(label, dev.name)) ifa.label = createNlaString(label);
  return inetInsertIfa(inDev, ifa);
}

/** Does the message give the address an end? */
function limitedLife(): boolean {
  const info = nlaGet(IFA_CACHEINFO);
  return info !== 0 && (nlaGetU32(info) !== INFINITY_LIFE_TIME || memView.getInt32(info + 8, true) !== INFINITY_LIFE_TIME);
}

/** Linux: find_matching_ifa(). */
function findSame(inDev: InDevice, local: number, address: number, mask: number): InIfaddr | null {
  for (let ifa = inDev.ifaList; ifa !== null; ifa = ifa.next) {
    if (ifa.mask === mask && inetIfaMatch(address, ifa) && ifa.local === local) return ifa;
  }
  return null;
}

/** Linux: inet_rtm_deladdr(): the first address that is not other than what the message says. */
function rtmDeladdr(_skb: SkBuff, nlh: number, sk: NetlinkSk): number {
  const err = parseAddr(nlh);
  if (err !== 0) return err;
  const dev = devGetByIndex(sk.net, memView.getInt32(nlh + IFA_INDEX_AT, true));
  const inDev = dev === null ? null : inDevGet(dev);
  if (dev === null || inDev === null) return nlErrMsg(-ENODEV, "ipv4: Device not found");
  const prefixlen = mem8[nlh + IFA_PREFIXLEN_AT]!;
  const local = nlaGet(IFA_LOCAL);
  const label = nlaGet(IFA_LABEL);
  const address = nlaGet(IFA_ADDRESS);
  for (let ifa = inDev.ifaList; ifa !== null; ifa = ifa.next) {
    if (local !== 0 && ifa.local !== nlaGetAddr(local)) continue;
    if (label !== 0 && !nlaStrEquals(label, ifa.label === "" ? dev.name : ifa.label)) continue;
    if (address !== 0 && (prefixlen !== ifa.prefixlen || !inetIfaMatch(nlaGetAddr(address), ifa))) continue;
    inetDelIfa(inDev, ifa);
    return 0;
  }
  return nlErrMsg(-EADDRNOTAVAIL, "ipv4: Address not found");
}

/** Writes an address behind the header `nlh`: 0, or -EMSGSIZE after taking it back. Linux: inet_fill_ifaddr(). */
function fillAddr(skb: SkBuff, nlh: number, ifa: InIfaddr): number {
  if (nlh < 0) return -EMSGSIZE;
  const dev = ifa.dev!;
  mem8[nlh + NLMSG_HDRLEN] = AF_INET;
  mem8[nlh + IFA_PREFIXLEN_AT] = ifa.prefixlen;
  mem8[nlh + IFA_FLAGS_AT] = ifa.flags;
  mem8[nlh + IFA_SCOPE_AT] = ifa.scope;
  memView.setInt32(nlh + IFA_INDEX_AT, dev.ifindex, true);
  const fits = (ifa.address === 0 || nlaPutAddr(skb, IFA_ADDRESS, ifa.address))
    && (ifa.local === 0 || nlaPutAddr(skb, IFA_LOCAL, ifa.local))
    && (ifa.broadcast === 0 || nlaPutAddr(skb, IFA_BROADCAST, ifa.broadcast))
    && nlaPutString(skb, IFA_LABEL, ifa.label === "" ? dev.name : ifa.label)
    && nlaPutU32(skb, IFA_FLAGS, ifa.flags)
    && (ifa.rtPriority === 0 || nlaPutU32(skb, IFA_RT_PRIORITY, ifa.rtPriority))
    && putCacheinfo(skb);
  return nlmsgFinish(skb, nlh, fits);
}

/** Preferred and valid for ever; when it was made and changed is not kept. Linux: put_cacheinfo(). */
function putCacheinfo(skb: SkBuff): boolean {
  const at = nlaPut(skb, IFA_CACHEINFO, CACHEINFO_BYTES);
  if (at < 0) return false;
  memView.setInt32(at, INFINITY_LIFE_TIME);
  memView.setInt32(at + 4, INFINITY_LIFE_TIME);
  memView.setInt32(at + 8, 0);
  memView.setInt32(at + 12, 0);
  return true;
}

/** Which device a dump is to be confined to (0: none), or a negative errno. Linux: inet_valid_dump_ifaddr_req(). */
function dumpFilter(cb: NetlinkSock): number {
  const nlh = cb.nlh;
  if (!strictCheck(cb)) return 0;
  if (nlmsgLength(nlh) < ATTRS) return nlErrMsg(-EINVAL, "ipv4: Invalid header for address dump request");
  if (mem8[nlh + IFA_PREFIXLEN_AT] !== 0 || mem8[nlh + IFA_FLAGS_AT] !== 0 || mem8[nlh + IFA_SCOPE_AT] !== 0) {
    return nlErrMsg(-EINVAL, "ipv4: Invalid values in header for address dump request");
  }
  const err = nlaParseStrict(nlh + ATTRS, nlh + nlmsgLength(nlh), IFA_MAX, addrPolicy);
  if (err !== 0) return err;
  for (let type = IFA_ADDRESS; type <= IFA_MAX; type++) {
    if (nlaGet(type) !== 0) return nlErrMsg(-EINVAL, "ipv4: Unsupported attribute in dump request");
  }
  const ifindex = memView.getInt32(nlh + IFA_INDEX_AT, true);
  if (ifindex === 0) return 0;
  if (devGetByIndex(cb.net!, ifindex) === null) return -ENODEV;
  cb.answerFlags = NLM_F_DUMP_FILTERED;
  return ifindex;
}

/** All addresses; arg0 is the device being told, arg1 how many of it are done. Linux: inet_dump_ifaddr(). */
function dumpIfaddr(skb: SkBuff, cb: NetlinkSock): number {
  const only = dumpFilter(cb);
  if (only < 0) return only;
  for (let dev = cb.net!.devices; dev !== null; dev = dev.nextDev) {
    const ifindex = dev.ifindex;
    if (ifindex < cb.arg0 || (only !== 0 && ifindex !== only)) continue;
    if (ifindex !== cb.arg0) {
      cb.arg0 = ifindex;
      cb.arg1 = 0;
    }
    const inDev = inDevGet(dev);
    if (inDev === null) continue;
    let index = 0;
    for (let ifa = inDev.ifaList; ifa !== null; ifa = ifa.next) {
      if (index++ < cb.arg1) continue;
      const err = fillAddr(skb, nlmsgPutDump(skb, cb, RTM_NEWADDR, IFADDRMSG_BYTES), ifa);
      if (err !== 0) return err;
      cb.arg1 = index;
    }
  }
  return 0;
}

/** Linux: rtmsg_ifa(). */
function notifyAddr(net: Net, type: number, ifa: InIfaddr): void {
  if (!rtnlHasListeners(net, RTNLGRP_IPV4_IFADDR)) return;
  const skb = rtnlSkb();
  if (skb === null) return;
  rtnlNotify(net, skb, RTNLGRP_IPV4_IFADDR, fillAddr(skb, nlmsgPut(skb, 0, 0, type, IFADDRMSG_BYTES, 0), ifa));
}

function rtnlAddrEvent(event: number, ifa: InIfaddr): number {
  if (event === NETDEV_UP || event === NETDEV_CHANGENAME) notifyAddr(ifa.dev!.net!, RTM_NEWADDR, ifa);
  else if (event === NETDEV_DOWN) notifyAddr(ifa.dev!.net!, RTM_DELADDR, ifa);
  return NOTIFY_DONE;
}
