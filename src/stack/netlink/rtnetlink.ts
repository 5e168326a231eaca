/**
 * NETLINK_ROUTE: which handler serves which message, and notifications. Linux: net/core/rtnetlink.c; read first
 * rtnetlink(7). Owns the table of handlers. The handlers themselves are in rtnl-*.ts, one file per kind of object.
 */
import { account } from "../../lib/account.ts";
import { memView } from "../../lib/memory.ts";
import { EINVAL, ENOBUFS, EOPNOTSUPP } from "../../uapi/errno.ts";
import { NETLINK_ROUTE, NLM_F_DUMP, NLMSG_HDRLEN } from "../../uapi/netlink.ts";
import { RTM_MAX } from "../../uapi/rtnetlink.ts";
import { AF_BRIDGE, AF_INET, AF_UNSPEC } from "../../uapi/socket.ts";
import { nlErrMsg } from "../core/extack.ts";
import type { Net } from "../core/net.ts";
import { consumeSkb, type SkBuff } from "../core/skbuff.ts";
import type { Sock } from "../core/sock.ts";
import { netlinkBroadcast, netlinkDumpStart, netlinkRcvSkb, netlinkUnicast, nlmsgNew } from "./netlink-deliver.ts";
import {
  NETLINK_F_STRICT_CHK, type NetlinkDump, netlinkHasListeners, netlinkKernelCreate, type NetlinkSk, type NetlinkSock,
} from "./netlink-sock.ts";
import { NLH_FLAGS, NLH_LEN, NLH_TYPE } from "./nlattr.ts";

/** Does what the message at that offset of the packet says: 0 or a negative errno. Linux: rtnl_doit_func */
export type RtnlDoit = (skb: SkBuff, nlh: number, sk: NetlinkSk) => number;

const RTM_BASE = 16;
const TYPES = RTM_MAX + 1 - RTM_BASE;

/** By message type, of AF_UNSPEC, of AF_INET, and where there are bridges of AF_BRIDGE. */
let doits: (RtnlDoit | null)[];
let dumpits: (NetlinkDump | null)[];

function slot(type: number, family: number): number {
  const place = type - RTM_BASE;
  return family === AF_INET ? TYPES + place : family === AF_BRIDGE ? TYPES * 2 + place : place;
}

/** Boot: the protocol exists, without any handler. After netlinkInit(). */
export function rtnetlinkInit(): void {
  doits = account("rtnetlink", new Array<RtnlDoit | null>(TYPES * 2).fill(null));
  dumpits = account("rtnetlink", new Array<NetlinkDump | null>(TYPES * 2).fill(null));
  netlinkKernelCreate(NETLINK_ROUTE, rtnetlinkRcv);
}

/** Makes a handler known; what has none for AF_INET is served by that for AF_UNSPEC. Linux: rtnl_register(). */
export function rtnlRegister(type: number, family: number, doit: RtnlDoit | null, dumpit: NetlinkDump | null): void {
  while (family === AF_BRIDGE && doits.length < TYPES * 3) {
    doits.push(null);
    dumpits.push(null);
  }
  doits[slot(type, family)] = doit;
  dumpits[slot(type, family)] = dumpit;
}

function rtnetlinkRcv(skb: SkBuff, sk: Sock): void {
  netlinkRcvSkb(skb, sk, rtnetlinkRcvMsg);
}

/** Linux: rtnetlink_rcv_msg(). */
function rtnetlinkRcvMsg(skb: SkBuff, nlh: number, sk: NetlinkSk): number {
  const view = memView;
  const type = view.getUint16(nlh + NLH_TYPE, true);
  if (type > RTM_MAX) return -EOPNOTSUPP;
  if (view.getInt32(nlh + NLH_LEN, true) < NLMSG_HDRLEN + 1) return 0;
  const family = view.getUint8(nlh + NLMSG_HDRLEN);
  const flags = view.getUint16(nlh + NLH_FLAGS, true);
  if ((type & 3) === 2 && (flags & NLM_F_DUMP) !== 0) {
    const dumpit = dumpits[slot(type, family)] ?? dumpits[slot(type, AF_UNSPEC)] ?? null;
    return dumpit === null ? -EOPNOTSUPP : netlinkDumpStart(skb, nlh, sk, dumpit);
  }
  const doit = doits[slot(type, family)] ?? doits[slot(type, AF_UNSPEC)] ?? null;
  return doit === null ? -EOPNOTSUPP : doit(skb, nlh, sk);
}

/** Bytes of a message, its header included. */
export function nlmsgLength(nlh: number): number {
  return memView.getInt32(nlh + NLH_LEN, true);
}

/** NLM_F_* of a message. */
export function nlmsgFlags(nlh: number): number {
  return memView.getUint16(nlh + NLH_FLAGS, true);
}

/** Is a family header of that many bytes there? -EINVAL otherwise. */
export function nlmsgHeaderOk(nlh: number, bytes: number): number {
  return nlmsgLength(nlh) < NLMSG_HDRLEN + bytes ? nlErrMsg(-EINVAL, "Invalid header length") : 0;
}

/** Does the socket want its requests checked to the letter (NETLINK_GET_STRICT_CHK)? */
export function strictCheck(nlk: NetlinkSock): boolean {
  return (nlk.flags & NETLINK_F_STRICT_CHK) !== 0;
}

/** Answers a request with a message that `fill` writes: 0 or a negative errno. Linux: rtnl_unicast(). */
export function rtnlUnicast(sk: NetlinkSk, skb: SkBuff): number {
  return netlinkUnicast(sk.net, NETLINK_ROUTE, skb, sk.tp.portid, null);
}

/** Does anybody listen? A notification that nobody hears is not written. */
export function rtnlHasListeners(net: Net, group: number): boolean {
  return netlinkHasListeners(net, NETLINK_ROUTE, group);
}

/** A packet for an answer or a notification, or null: the pool is empty. */
export function rtnlSkb(): SkBuff | null {
  return nlmsgNew();
}

/**
 * Sends a notification to the members of a group.
 * @param filled what writing the message answered: negative for a message that did not fit
 */
export function rtnlNotify(net: Net, skb: SkBuff, group: number, filled: number): number {
  if (filled >= 0) return netlinkBroadcast(net, NETLINK_ROUTE, skb, 0, group);
  consumeSkb(skb);
  return -ENOBUFS;
}
