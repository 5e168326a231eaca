/**
 * The forwarding database of bridges over rtnetlink: RTM_NEWNEIGH, RTM_DELNEIGH and the dump of the family AF_BRIDGE. Linux:
 * rtnl_fdb_add() of net/core/rtnetlink.c, br_fdb_add(), br_fdb_dump() and fdb_notify(). Owns the entry that is told of. Stations that
 * come, move and go are told to RTNLGRP_NEIGH.
 */
import { account } from "../../lib/account.ts";
import { mem8, memView } from "../../lib/memory.ts";
import {
  BrFdbEntry, brFdbEnter, brFdbFind, brFdbForget, brFdbIsLocal, brFdbListen, brFdbNext, brFdbRead, brFdbUpdate,
} from "../../netif/bridge/br-fdb.ts";
import { type BridgePort, brPorts } from "../../netif/bridge/br-forward.ts";
import { bridgeByIndex, bridgePortOf } from "../../netif/bridge/br-if.ts";
import { devGetByIndex } from "../../netif/dev.ts";
import { EEXIST, EINVAL, EMSGSIZE, ENODEV, ENOENT, ENOSPC, EOPNOTSUPP } from "../../uapi/errno.ts";
import { NDA_CACHEINFO, NDA_IFINDEX, NDA_LLADDR, NDA_MASTER, NDA_MAX } from "../../uapi/if-link.ts";
import { NLM_F_CREATE, NLM_F_EXCL, NLMSG_HDRLEN } from "../../uapi/netlink.ts";
import {
  NTF_MASTER, NUD_NOARP, NUD_PERMANENT, NUD_REACHABLE, RTM_DELNEIGH, RTM_GETNEIGH, RTM_NEWNEIGH, RTNLGRP_NEIGH,
} from "../../uapi/rtnetlink.ts";
import { AF_BRIDGE } from "../../uapi/socket.ts";
import { nlErrMsg } from "../core/extack.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { nlmsgPutDump } from "./netlink-deliver.ts";
import type { NetlinkSk, NetlinkSock } from "./netlink-sock.ts";
import { nlaGet, nlaLen, nlaParse, nlaPut, nlaPutLladdr, nlaPutU32, nlaU32Or, nlmsgFinish, nlmsgPut } from "./nlattr.ts";
import { nlmsgFlags, nlmsgHeaderOk, nlmsgLength, rtnlHasListeners, rtnlNotify, rtnlRegister, rtnlSkb } from "./rtnetlink.ts";

/** ndmsg: its size and the offsets of its fields behind the message header. */
const NDMSG_BYTES = 12;
const NDM_IFINDEX = NLMSG_HDRLEN + 4;
const NDM_STATE = NLMSG_HDRLEN + 8;
const NDM_FLAGS = NLMSG_HDRLEN + 10;
const ATTRS = NLMSG_HDRLEN + NDMSG_BYTES;
/** nda_cacheinfo: four numbers; its times are in hundredths of a second (USER_HZ). */
const CACHEINFO_BYTES = 16;
const MS_PER_TICK = 10;
const LLADDR_BYTES = 6;
/** In the first byte of a link address: a group's. */
const GROUP_BIT = 1;

let entry: BrFdbEntry;

/** Netlink starts: the database can be asked for and changed. */
export function rtnlFdbInit(): void {
  entry = account("rtnetlink", new BrFdbEntry());
  rtnlRegister(RTM_NEWNEIGH, AF_BRIDGE, fdbAdd, null);
  rtnlRegister(RTM_DELNEIGH, AF_BRIDGE, fdbDel, null);
  rtnlRegister(RTM_GETNEIGH, AF_BRIDGE, null, fdbDump);
  brFdbListen(fdbNotify);
}

function fdbPolicy(type: number): number {
  return type === NDA_IFINDEX || type === NDA_MASTER ? 4 : 0;
}

/** Reads a message about one address: 0 or a negative errno. Linux: the first half of rtnl_fdb_add(). */
function parseFdb(nlh: number): number {
  const short = nlmsgHeaderOk(nlh, NDMSG_BYTES);
  if (short !== 0) return short;
  const err = nlaParse(nlh + ATTRS, nlh + nlmsgLength(nlh), NDA_MAX, fdbPolicy);
  if (err !== 0) return err;
  if (memView.getInt32(nlh + NDM_IFINDEX, true) === 0) return nlErrMsg(-EINVAL, "invalid ifindex");
  const address = nlaGet(NDA_LLADDR);
  if (address === 0 || nlaLen(address) !== LLADDR_BYTES) return nlErrMsg(-EINVAL, "invalid address");
  return 0;
}

/** The port that a message is about; null when the device is none, or the message is not for its bridge. */
function portOf(nlh: number, sk: NetlinkSk): BridgePort | null {
  const dev = devGetByIndex(sk.net, memView.getInt32(nlh + NDM_IFINDEX, true));
  return dev === null || (mem8[nlh + NDM_FLAGS]! & NTF_MASTER) === 0 ? null : bridgePortOf(dev);
}

/** RTM_NEWNEIGH. Linux: br_fdb_add(). */
function fdbAdd(_skb: SkBuff, nlh: number, sk: NetlinkSk): number {
  const err = parseFdb(nlh);
  if (err !== 0) return err;
  if (devGetByIndex(sk.net, memView.getInt32(nlh + NDM_IFINDEX, true)) === null) return nlErrMsg(-ENODEV, "unknown ifindex");
  const port = portOf(nlh, sk);
  if (port === null) return -EOPNOTSUPP;
  const at = nlaGet(NDA_LLADDR) + 4;
  const hi = memView.getUint16(at);
  const lo = memView.getInt32(at + 2);
  if ((mem8[at]! & GROUP_BIT) !== 0 || (hi | lo) === 0) return nlErrMsg(-EINVAL, "invalid address");
  const state = memView.getUint16(nlh + NDM_STATE, true);
  if ((state & NUD_PERMANENT) !== 0) return nlErrMsg(-EOPNOTSUPP, "Local addresses are those of the ports");
  if ((state & (NUD_NOARP | NUD_REACHABLE)) === 0) return nlErrMsg(-EINVAL, "Invalid state");
  const flags = nlmsgFlags(nlh);
  const row = brFdbFind(port.br.index, hi, lo);
  if (row < 0 ? (flags & NLM_F_CREATE) === 0 : (flags & NLM_F_EXCL) !== 0) return row < 0 ? -ENOENT : -EEXIST;
  if (row >= 0 && brFdbIsLocal(row)) return -EEXIST;
  if ((state & NUD_NOARP) !== 0) return brFdbEnter(port.br.index, port.index, hi, lo, false) < 0 ? -ENOSPC : 0;
  brFdbUpdate(port.br.index, port.index, hi, lo);
  return 0;
}

/** RTM_DELNEIGH. Linux: br_fdb_delete(). */
function fdbDel(_skb: SkBuff, nlh: number, sk: NetlinkSk): number {
  const err = parseFdb(nlh);
  if (err !== 0) return err;
  const port = portOf(nlh, sk);
  if (port === null) return -EOPNOTSUPP;
  const at = nlaGet(NDA_LLADDR) + 4;
  return brFdbForget(port.br.index, memView.getUint16(at), memView.getInt32(at + 2)) < 0 ? -ENOENT : 0;
}

/** Writes an entry behind the header `nlh`: 0, or -EMSGSIZE after taking it back. Linux: fdb_fill_info(). */
function fillFdb(skb: SkBuff, nlh: number, ifindex: number, master: number): number {
  if (nlh < 0) return -EMSGSIZE;
  mem8[nlh + NLMSG_HDRLEN] = AF_BRIDGE;
  memView.setInt32(nlh + NDM_IFINDEX, ifindex, true);
  memView.setUint16(nlh + NDM_STATE, entry.local ? NUD_PERMANENT : entry.static ? NUD_NOARP : NUD_REACHABLE, true);
  const fits = nlaPutLladdr(skb, NDA_LLADDR, entry.hi, entry.lo) && nlaPutU32(skb, NDA_MASTER, master) && putCacheinfo(skb);
  return nlmsgFinish(skb, nlh, fits);
}

function putCacheinfo(skb: SkBuff): boolean {
  const at = nlaPut(skb, NDA_CACHEINFO, CACHEINFO_BYTES);
  if (at < 0) return false;
  const ticks = (entry.idleMs / MS_PER_TICK) | 0;
  memView.setInt32(at, 0, true);
  memView.setInt32(at + 4, ticks, true);
  memView.setInt32(at + 8, ticks, true);
  memView.setInt32(at + 12, 0, true);
  return true;
}

/** Tells the group of an entry's news. Linux: fdb_notify(). */
function fdbNotify(row: number, gone: boolean): void {
  brFdbRead(entry, row);
  const master = bridgeByIndex(entry.bridge).dev;
  const net = master.net;
  const skb = net !== null && rtnlHasListeners(net, RTNLGRP_NEIGH) ? rtnlSkb() : null;
  if (net === null || skb === null) return;
  const port = entry.port === 0 ? null : brPorts[entry.port]!;
  const nlh = nlmsgPut(skb, 0, 0, gone ? RTM_DELNEIGH : RTM_NEWNEIGH, NDMSG_BYTES, 0);
  rtnlNotify(net, skb, RTNLGRP_NEIGH, fillFdb(skb, nlh, (port === null ? master : port.dev).ifindex, master.ifindex));
}

/** All entries of the namespace's bridges; arg0 is the place in the pool. Linux: rtnl_fdb_dump(). */
function fdbDump(skb: SkBuff, cb: NetlinkSock): number {
  const nlh = cb.nlh;
  const whole = nlmsgLength(nlh) >= ATTRS;
  if (whole) nlaParse(nlh + ATTRS, nlh + nlmsgLength(nlh), NDA_MAX, fdbPolicy);
  const onlyMaster = whole ? nlaU32Or(NDA_MASTER, 0) : 0;
  const onlyDev = whole ? memView.getInt32(nlh + NDM_IFINDEX, true) : 0;
  for (let next = brFdbNext(entry, cb.arg0); next >= 0; next = brFdbNext(entry, next)) {
    const master = bridgeByIndex(entry.bridge).dev;
    const dev = entry.port === 0 ? master : brPorts[entry.port]!.dev;
    const wanted = master.net === cb.net && (onlyMaster === 0 || onlyMaster === master.ifindex)
      && (onlyDev === 0 || onlyDev === dev.ifindex);
    if (wanted) {
      const err = fillFdb(skb, nlmsgPutDump(skb, cb, RTM_NEWNEIGH, NDMSG_BYTES), dev.ifindex, master.ifindex);
      if (err !== 0) return err;
    }
    cb.arg0 = next;
  }
  return 0;
}
