/**
 * IPv4's neighbours over rtnetlink: RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH and its dump, and notifications to
 * RTNLGRP_NEIGH. Linux: neigh_add(), neigh_delete(), neigh_get(), neigh_dump_info() of net/core/neighbour.c. Owns the
 * listener on the neighbours' chain.
 */
import { account } from "../../lib/account.ts";
import { mem8, memView } from "../../lib/memory.ts";
import { NOTIFY_DONE, NotifierBlock, notifierChainRegister } from "../../lib/notifier.ts";
import { jiffies } from "../../lib/timer.ts";
import { devGetByIndex } from "../../netif/dev.ts";
import { EAFNOSUPPORT, EEXIST, EINVAL, EMSGSIZE, ENOBUFS, ENODEV, ENOENT, EOPNOTSUPP } from "../../uapi/errno.ts";
import {
  NDA_CACHEINFO, NDA_DST, NDA_IFINDEX, NDA_LLADDR, NDA_MASTER, NDA_MAX, NDA_PROBES, NDA_PROTOCOL,
} from "../../uapi/if-link.ts";
import {
  NLM_F_CREATE, NLM_F_DUMP_FILTERED, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NLMSG_HDRLEN,
} from "../../uapi/netlink.ts";
import {
  NTF_EXT_LEARNED, NTF_PROXY, NTF_ROUTER, NTF_USE, NUD_NONE, RTM_DELNEIGH, RTM_GETNEIGH, RTM_NEWNEIGH, RTN_UNICAST, RTNLGRP_NEIGH,
} from "../../uapi/rtnetlink.ts";
import { AF_INET, AF_UNSPEC } from "../../uapi/socket.ts";
import { nlErrMsg } from "../core/extack.ts";
import {
  NEIGH_PROTOCOL_SHIFT, NEIGH_REMOVED, NEIGH_SOLICITED, NEIGH_UPDATE_F_ADMIN, NEIGH_UPDATE_F_EXT_LEARNED, NEIGH_UPDATE_F_ISROUTER,
  NEIGH_UPDATE_F_OVERRIDE, NEIGH_UPDATE_F_OVERRIDE_ISROUTER, NEIGH_UPDATE_F_SAME_LLADDR, NEIGH_UPDATE_F_USE, neighChain, neighCreate, neighDelete, neighEventSend,
  type Neighbour, neighLookup, neighUpdate, NUD_IN_TIMER, NUD_VALID,
} from "../core/neighbour.ts";
import type { NetDevice } from "../core/net-device.ts";
import { consumeSkb, type SkBuff } from "../core/skbuff.ts";
import { arpTbl } from "../ipv4/arp.ts";
import type { PneighEntry } from "../ipv4/arp-proxy.ts";
import { inetAddrType } from "../ipv4/fib-lookup.ts";
import { ipArpProxy } from "../ipv4/ip-parts.ts";
import { nlmsgPutDump } from "./netlink-deliver.ts";
import type { NetlinkSk, NetlinkSock } from "./netlink-sock.ts";
import {
  nlaGet, nlaGetAddr, nlaGetU8, nlaLen, nlaParse, nlaParseStrict, nlaPut, nlaPutAddr, nlaPutLladdr, nlaPutU32, nlaPutU8, nlaU32Or, NLH_SEQ,
  nlmsgFinish, nlmsgPut,
} from "./nlattr.ts";
import {
  nlmsgFlags, nlmsgHeaderOk, nlmsgLength, rtnlHasListeners, rtnlNotify, rtnlRegister, rtnlSkb, rtnlUnicast, strictCheck,
} from "./rtnetlink.ts";

/** ndmsg: its size and the offsets of its fields behind the message header. */
const NDMSG_BYTES = 12;
const NDM_IFINDEX = NLMSG_HDRLEN + 4;
const NDM_STATE = NLMSG_HDRLEN + 8;
const NDM_FLAGS = NLMSG_HDRLEN + 10;
const NDM_TYPE = NLMSG_HDRLEN + 11;
const ATTRS = NLMSG_HDRLEN + NDMSG_BYTES;
/** nda_cacheinfo: four numbers; its times are in hundredths of a second (USER_HZ). */
const CACHEINFO_BYTES = 16;
const MS_PER_TICK = 10;
const LLADDR_BYTES = 6;

/** The shortest payloads. Linux: nda_policy. */
function neighPolicy(type: number): number {
  return type === NDA_IFINDEX || type === NDA_MASTER ? 4 : type === NDA_PROTOCOL ? 1 : 0;
}

/** Boot: neighbours can be asked for and changed, and changes are told. After arpInit() and rtnetlinkInit(). */
export function rtnlNeighInit(): void {
  rtnlRegister(RTM_NEWNEIGH, AF_UNSPEC, neighAdd, null);
  rtnlRegister(RTM_DELNEIGH, AF_UNSPEC, neighDel, null);
  rtnlRegister(RTM_GETNEIGH, AF_UNSPEC, neighGet, neighDump);
  notifierChainRegister(neighChain, account("rtnetlink", new NotifierBlock<Neighbour>(rtnlNeighEvent)));
}

/** Reads a message about one neighbour: 0, or a negative errno. */
function parseNeigh(nlh: number): number {
  const short = nlmsgHeaderOk(nlh, NDMSG_BYTES);
  if (short !== 0) return short;
  const err = nlaParse(nlh + ATTRS, nlh + nlmsgLength(nlh), NDA_MAX, neighPolicy);
  if (err !== 0) return err;
  const dst = nlaGet(NDA_DST);
  if (dst === 0) return nlErrMsg(-EINVAL, "Network address not specified");
  return 0;
}

/** Is it a neighbour of IPv4, with an address of 4 bytes? */
function checkFamily(nlh: number): number {
  if (mem8[nlh + NLMSG_HDRLEN] !== AF_INET) return -EAFNOSUPPORT;
  return nlaLen(nlaGet(NDA_DST)) < 4 ? nlErrMsg(-EINVAL, "Invalid network address") : 0;
}

/** RTM_NEWNEIGH. Linux: neigh_add(). */
function neighAdd(_skb: SkBuff, nlh: number, sk: NetlinkSk): number {
  let err = parseNeigh(nlh);
  if (err !== 0) return err;
  const ifindex = memView.getInt32(nlh + NDM_IFINDEX, true);
  const dev = ifindex === 0 ? null : devGetByIndex(sk.net, ifindex);
  if (ifindex !== 0 && dev === null) return -ENODEV;
  const lladdr = nlaGet(NDA_LLADDR);
  if (dev !== null && lladdr !== 0 && nlaLen(lladdr) < LLADDR_BYTES) return nlErrMsg(-EINVAL, "Invalid link address");
  err = checkFamily(nlh);
  if (err !== 0) return err;
  const flags = mem8[nlh + NDM_FLAGS]!;
  const key = nlaGetAddr(nlaGet(NDA_DST));
  const protocol = nlaGet(NDA_PROTOCOL) === 0 ? 0 : nlaGetU8(nlaGet(NDA_PROTOCOL)) << NEIGH_PROTOCOL_SHIFT;
  if ((flags & NTF_PROXY) !== 0) {
    if (ipArpProxy === null) return nlErrMsg(-EOPNOTSUPP, "Proxy ARP was not listed at boot");
    return ipArpProxy.add(sk.net, key, dev, flags | protocol);
  }
  if (dev === null) return nlErrMsg(-EINVAL, "Device not specified");
  return applyNeigh(nlh, dev, key, lladdr, flags, protocol);
}

function applyNeigh(nlh: number, dev: NetDevice, key: number, lladdr: number, flags: number, protocol: number): number {
  const request = nlmsgFlags(nlh);
  let update = NEIGH_UPDATE_F_ADMIN | NEIGH_UPDATE_F_OVERRIDE | NEIGH_UPDATE_F_OVERRIDE_ISROUTER;
  let neigh = neighLookup(arpTbl, key, dev);
  let err = 0;
  if (neigh === null) {
    if ((request & NLM_F_CREATE) === 0) return -ENOENT;
    neigh = neighCreate(arpTbl, key, dev);
    if (neigh === null) return -ENOBUFS;
    neigh.flags |= flags & NTF_EXT_LEARNED;
  } else {
    if ((request & NLM_F_EXCL) !== 0) return -EEXIST;
    if ((request & NLM_F_REPLACE) === 0) update = NEIGH_UPDATE_F_ADMIN;
  }
  if (protocol !== 0) neigh.flags = (neigh.flags & ~(0xff << NEIGH_PROTOCOL_SHIFT)) | protocol;
  if ((flags & NTF_EXT_LEARNED) !== 0) update |= NEIGH_UPDATE_F_EXT_LEARNED;
  if ((flags & NTF_ROUTER) !== 0) update |= NEIGH_UPDATE_F_ISROUTER;
  if ((flags & NTF_USE) !== 0) {
    neighUpdate(neigh, 0, 0, 0, update | NEIGH_UPDATE_F_USE);
    neighEventSend(neigh, null);
    return 0;
  }
  const state = memView.getUint16(nlh + NDM_STATE, true);
  const hi = lladdr === 0 ? 0 : memView.getUint16(lladdr + 4);
  const lo = lladdr === 0 ? 0 : memView.getInt32(lladdr + 6);
  err = neighUpdate(neigh, hi, lo, state, lladdr === 0 ? update | NEIGH_UPDATE_F_SAME_LLADDR : update);
  return err === -EINVAL ? nlErrMsg(err, "No link layer address given") : err;
}

/** RTM_DELNEIGH. Linux: neigh_delete(). */
function neighDel(_skb: SkBuff, nlh: number, sk: NetlinkSk): number {
  let err = parseNeigh(nlh);
  if (err !== 0) return err;
  const ifindex = memView.getInt32(nlh + NDM_IFINDEX, true);
  const dev = ifindex === 0 ? null : devGetByIndex(sk.net, ifindex);
  if (ifindex !== 0 && dev === null) return -ENODEV;
  err = checkFamily(nlh);
  if (err !== 0) return err;
  const key = nlaGetAddr(nlaGet(NDA_DST));
  if ((mem8[nlh + NDM_FLAGS]! & NTF_PROXY) !== 0) return ipArpProxy === null ? -ENOENT : ipArpProxy.remove(sk.net, key, dev);
  return dev === null ? -EINVAL : neighDelete(arpTbl, key, dev);
}

function ticks(since: number): number {
  return ((jiffies - since) / MS_PER_TICK) | 0;
}

function putCacheinfo(skb: SkBuff, neigh: Neighbour): boolean {
  const at = nlaPut(skb, NDA_CACHEINFO, CACHEINFO_BYTES);
  if (at < 0) return false;
  memView.setInt32(at, ticks(neigh.confirmed), true);
  memView.setInt32(at + 4, ticks(neigh.used), true);
  memView.setInt32(at + 8, ticks(neigh.updated), true);
  // On Linux a timer that is armed holds the entry too.
  const timed = (neigh.nudState & NUD_IN_TIMER) !== 0 ? 1 : 0;
  memView.setInt32(at + 12, (neigh.refcnt > 0 ? neigh.refcnt - 1 : 0) + timed, true);
  return true;
}

/** Writes a neighbour behind the header `nlh`: 0, or -EMSGSIZE after taking it back. Linux: neigh_fill_info(). */
function fillNeigh(skb: SkBuff, nlh: number, neigh: Neighbour): number {
  if (nlh < 0) return -EMSGSIZE;
  mem8[nlh + NLMSG_HDRLEN] = neigh.tbl.family;
  memView.setInt32(nlh + NDM_IFINDEX, neigh.dev!.ifindex, true);
  memView.setUint16(nlh + NDM_STATE, neigh.nudState, true);
  mem8[nlh + NDM_FLAGS] = neigh.flags & 0xff;
  mem8[nlh + NDM_TYPE] = inetAddrType(neigh.dev!.net!, neigh.key);
  const fits = nlaPutAddr(skb, NDA_DST, neigh.key)
    && ((neigh.nudState & NUD_VALID) === 0 || nlaPutLladdr(skb, NDA_LLADDR, neigh.haHi, neigh.haLo))
    && nlaPutU32(skb, NDA_PROBES, neigh.probes)
    && putCacheinfo(skb, neigh)
    && putProtocol(skb, neigh.flags);
  return nlmsgFinish(skb, nlh, fits);
}

function putProtocol(skb: SkBuff, flags: number): boolean {
  const protocol = (flags >> NEIGH_PROTOCOL_SHIFT) & 0xff;
  return protocol === 0 || nlaPutU8(skb, NDA_PROTOCOL, protocol);
}

/** Writes a published address behind the header `nlh`. Linux: pneigh_fill_info(). */
function fillPneigh(skb: SkBuff, nlh: number, entry: PneighEntry): number {
  if (nlh < 0) return -EMSGSIZE;
  mem8[nlh + NLMSG_HDRLEN] = AF_INET;
  memView.setInt32(nlh + NDM_IFINDEX, entry.dev === null ? 0 : entry.dev.ifindex, true);
  memView.setUint16(nlh + NDM_STATE, NUD_NONE, true);
  mem8[nlh + NDM_FLAGS] = (entry.flags & 0xff) | NTF_PROXY;
  mem8[nlh + NDM_TYPE] = RTN_UNICAST;
  return nlmsgFinish(skb, nlh, nlaPutAddr(skb, NDA_DST, entry.key) && putProtocol(skb, entry.flags));
}

/** All published addresses; arg1 is how many are done. Linux: pneigh_dump_table(). */
function pneighDump(skb: SkBuff, cb: NetlinkSock, only: number): number {
  let index = 0;
  for (let entry = ipArpProxy === null ? null : ipArpProxy.first(); entry !== null; entry = entry.next) {
    if (index++ < cb.arg1) continue;
    if (entry.net === cb.net && (only === 0 || (entry.dev !== null && entry.dev.ifindex === only))) {
      const err = fillPneigh(skb, nlmsgPutDump(skb, cb, RTM_NEWNEIGH, NDMSG_BYTES), entry);
      if (err !== 0) return err;
    }
    cb.arg1 = index;
  }
  return 0;
}

/** RTM_GETNEIGH for one neighbour. Linux: neigh_get(). */
function neighGet(_skb: SkBuff, nlh: number, sk: NetlinkSk): number {
  let err = parseNeigh(nlh);
  if (err !== 0) return err;
  err = checkFamily(nlh);
  if (err !== 0) return err;
  const ifindex = memView.getInt32(nlh + NDM_IFINDEX, true);
  const dev = ifindex === 0 ? null : devGetByIndex(sk.net, ifindex);
  if (dev === null) return ifindex === 0 ? nlErrMsg(-EINVAL, "No device specified") : nlErrMsg(-ENODEV, "Unknown device ifindex");
  const neigh = neighLookup(arpTbl, nlaGetAddr(nlaGet(NDA_DST)), dev);
  if (neigh === null) return nlErrMsg(-ENOENT, "Neighbour entry not found");
  const skb = rtnlSkb();
  if (skb === null) return -ENOBUFS;
  const seq = memView.getInt32(nlh + NLH_SEQ, true);
  const filled = fillNeigh(skb, nlmsgPut(skb, sk.tp.portid, seq, RTM_NEWNEIGH, NDMSG_BYTES, 0), neigh);
  if (filled === 0) return rtnlUnicast(sk, skb);
  consumeSkb(skb);
  return filled;
}

/** Which device a dump is to be confined to (0: none), or a negative errno. Linux: neigh_valid_dump_req(). */
function dumpFilter(cb: NetlinkSock): number {
  const nlh = cb.nlh;
  if (nlmsgLength(nlh) < ATTRS) return strictCheck(cb) ? nlErrMsg(-EINVAL, "Invalid header for neighbor dump request") : 0;
  const end = nlh + nlmsgLength(nlh);
  if (strictCheck(cb)) {
    if (memView.getInt32(nlh + NDM_IFINDEX, true) !== 0 || memView.getUint16(nlh + NDM_STATE, true) !== 0
      || mem8[nlh + NDM_TYPE] !== 0) {
      return nlErrMsg(-EINVAL, "Invalid values in header for neighbor dump request");
    }
    const err = nlaParseStrict(nlh + ATTRS, end, NDA_MAX, neighPolicy);
    if (err !== 0) return err;
  } else if (nlaParse(nlh + ATTRS, end, NDA_MAX, neighPolicy) !== 0) {
    return 0;
  }
  const ifindex = nlaU32Or(NDA_IFINDEX, 0);
  if (ifindex !== 0) cb.answerFlags = NLM_F_DUMP_FILTERED;
  return ifindex;
}

/** All neighbours; arg0 is the chain of the hash being told, arg1 how many of it are done. Linux: neigh_dump_info(). */
function neighDump(skb: SkBuff, cb: NetlinkSock): number {
  const only = dumpFilter(cb);
  if (only < 0) return only;
  const tbl = arpTbl;
  if (nlmsgLength(cb.nlh) >= ATTRS && mem8[cb.nlh + NDM_FLAGS] === NTF_PROXY) return pneighDump(skb, cb, only);
  for (; cb.arg0 <= tbl.mask; cb.arg0++, cb.arg1 = 0) {
    let index = 0;
    for (let neigh = tbl.heads[cb.arg0]!; neigh !== null; neigh = neigh.hashNext!) {
      if (index++ < cb.arg1) continue;
      const dev = neigh.dev!;
      if (dev.net === cb.net && (only === 0 || dev.ifindex === only)) {
        const err = fillNeigh(skb, nlmsgPutDump(skb, cb, RTM_NEWNEIGH, NDMSG_BYTES), neigh);
        if (err !== 0) return err;
      }
      cb.arg1 = index;
    }
  }
  return 0;
}

/** Tells the group of a neighbour's news. Linux: __neigh_notify(). */
function rtnlNeighEvent(event: number, neigh: Neighbour): number {
  const net = neigh.dev!.net;
  if (net === null || !rtnlHasListeners(net, RTNLGRP_NEIGH)) return NOTIFY_DONE;
  const skb = rtnlSkb();
  if (skb === null) return NOTIFY_DONE;
  const type = event === NEIGH_REMOVED ? RTM_DELNEIGH : event === NEIGH_SOLICITED ? RTM_GETNEIGH : RTM_NEWNEIGH;
  const flags = event === NEIGH_SOLICITED ? NLM_F_REQUEST : 0;
  rtnlNotify(net, skb, RTNLGRP_NEIGH, fillNeigh(skb, nlmsgPut(skb, 0, 0, type, NDMSG_BYTES, flags), neigh));
  return NOTIFY_DONE;
}
