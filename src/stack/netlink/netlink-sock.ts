/**
 * A netlink socket's own part, the table of all netlink sockets, and what the kernel's side of each protocol is. Linux:
 * struct netlink_sock, nl_table and netlink_kernel_create() of net/netlink/af_netlink.c. Owns the pool of parts (option
 * netlinkSocks).
 */
import { account } from "../../lib/account.ts";
import { type Pool, type Pooled, poolAlloc, poolCreate, poolFree } from "../../lib/pool.ts";
import { words } from "../../lib/table.ts";
import { EADDRINUSE, EINVAL } from "../../uapi/errno.ts";
import { MAX_LINKS } from "../../uapi/netlink.ts";
import type { Net } from "../core/net.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { SK_PROTOCOL, type Sock } from "../core/sock.ts";

/** NetlinkSock.flags: what setsockopt() turned on. */
export const NETLINK_F_BROADCAST_SEND_ERROR = 1;
export const NETLINK_F_RECV_NO_ENOBUFS = 2;
export const NETLINK_F_RECV_PKTINFO = 4;
export const NETLINK_F_CAP_ACK = 8;
export const NETLINK_F_EXT_ACK = 16;
export const NETLINK_F_STRICT_CHK = 32;
/** A message was lost; cleared when the queue has been read. Linux: NETLINK_S_CONGESTED. */
export const NETLINK_S_CONGESTED = 64;

/** Groups a protocol can have. */
export const NETLINK_MAX_GROUPS = 32;

/**
 * Fills a packet with the next messages of a dump; called again, with a new packet, while it has more. It keeps its place in
 * the numbers of `cb`, and reads what was asked for in the request each time anew.
 * @returns 0 at the end, -EMSGSIZE when the packet is full, or a negative errno that ends the dump. Linux: cb->dump
 */
export type NetlinkDump = (skb: SkBuff, cb: NetlinkSock) => number;

/** Takes what a program sends to the kernel; the packet stays the caller's. Linux: netlink_kernel_cfg.input. */
export type NetlinkInput = (skb: SkBuff, sk: Sock) => void;

/** Linux: struct netlink_sock; the fields from `dump` on are its struct netlink_callback. */
export class NetlinkSock implements Pooled {
  portid = 0;
  /** It has a port id, which may be given by autobind. */
  bound = false;
  /** Groups joined, 1 to 32 as bits 0 to 31. */
  groups = 0;
  /** NETLINK_F_*, NETLINK_S_CONGESTED */
  flags = 0;
  /** connect(): where messages without a destination go. */
  dstPortid = 0;
  dstGroup = 0;
  /** The dump going on, null when there is none. */
  dump: NetlinkDump | null = null;
  /** The request, held until the end, and where its header is. */
  request: SkBuff | null = null;
  nlh = 0;
  seq = 0;
  /** How far the dump has come, as its function likes; 0 at the start. */
  arg0 = 0;
  arg1 = 0;
  arg2 = 0;
  arg3 = 0;
  arg4 = 0;
  /** The function does not filter, or filters by what was asked: then each message says so (NLM_F_DUMP_FILTERED). */
  answerFlags = 0;
  /** The namespace. */
  net: Net | null = null;
  poolNext: Pooled | null = null;
}

/** A sock with its netlink part. */
export type NetlinkSk = Sock & { tp: NetlinkSock };

let parts: Pool<NetlinkSock>;
/** All sockets by protocol, linked by Sock.hashNext. */
let socks: (Sock | null)[];
let inputs: (NetlinkInput | null)[];
let groupCounts: Uint8Array;

/** Boot time. @param count netlink sockets at most */
export function netlinkSockInit(count: number): void {
  parts = poolCreate("netlink_sock", count, () => new NetlinkSock());
  socks = account("netlink", new Array<Sock | null>(MAX_LINKS).fill(null));
  inputs = account("netlink", new Array<NetlinkInput | null>(MAX_LINKS).fill(null));
  groupCounts = account("netlink", new Uint8Array(MAX_LINKS));
}

/**
 * The kernel's side of a protocol, in all namespaces: from now on programs may open it. A program can so have a protocol of
 * its own. Linux: netlink_kernel_create().
 * @param protocol 0..31 @param groups multicast groups, 0..32
 * @returns 0, -EINVAL (numbers out of range), -EADDRINUSE (the protocol has one)
 */
export function netlinkKernelCreate(protocol: number, input: NetlinkInput, groups = NETLINK_MAX_GROUPS): number {
  if (!(protocol >= 0 && protocol < MAX_LINKS) || !(groups >= 0 && groups <= NETLINK_MAX_GROUPS)) return -EINVAL;
  if (inputs[protocol] !== null) return -EADDRINUSE;
  inputs[protocol] = input;
  groupCounts[protocol] = groups;
  return 0;
}

/** The kernel's side goes; sockets that are open find nobody there any more. Linux: netlink_kernel_release(). */
export function netlinkKernelRelease(protocol: number): void {
  inputs[protocol] = null;
}

/** The kernel's side of a protocol, or null. */
export function netlinkKernelInput(protocol: number): NetlinkInput | null {
  return inputs[protocol]!;
}

/** Groups of a protocol. */
export function netlinkGroups(protocol: number): number {
  return groupCounts[protocol]!;
}

/** A part with everything at its start, or null (counted by the pool). */
export function netlinkSockAlloc(net: Net): NetlinkSock | null {
  const nlk = poolAlloc(parts);
  if (nlk === null) return null;
  nlk.portid = nlk.groups = nlk.flags = nlk.dstPortid = nlk.dstGroup = 0;
  nlk.bound = false;
  nlk.dump = null;
  nlk.request = null;
  nlk.net = net;
  return nlk;
}

export function netlinkSockFree(nlk: NetlinkSock): void {
  nlk.net = null;
  poolFree(parts, nlk);
}

/** NETLINK_* of a socket. */
export function netlinkProtocol(sk: Sock): number {
  return words[sk.cold + SK_PROTOCOL]!;
}

/** Enters the table. */
export function netlinkInsert(sk: Sock): void {
  sk.hashNext = socks[netlinkProtocol(sk)]!;
  socks[netlinkProtocol(sk)] = sk;
}

/** Leaves the table. */
export function netlinkRemove(sk: Sock): void {
  let previous: Sock | null = null;
  for (let at = socks[netlinkProtocol(sk)]!; at !== sk && at !== null; at = at.hashNext!) previous = at;
  if (previous === null) socks[netlinkProtocol(sk)] = sk.hashNext;
  else previous.hashNext = sk.hashNext;
  sk.hashNext = null;
}

/** The first socket of a protocol, of any namespace. */
export function netlinkFirst(protocol: number): Sock | null {
  return socks[protocol]!;
}

/** The socket with that port id, or null. Linux: netlink_lookup(). */
export function netlinkLookup(net: Net, protocol: number, portid: number): Sock | null {
  for (let sk = socks[protocol]!; sk !== null; sk = sk.hashNext!) {
    const nlk = (sk as NetlinkSk).tp;
    if (nlk.bound && nlk.portid === portid && sk.net === net) return sk;
  }
  return null;
}

/** Has any socket of the namespace joined the group? Linux: netlink_has_listeners(). */
export function netlinkHasListeners(net: Net, protocol: number, group: number): boolean {
  const bit = 1 << (group - 1);
  for (let sk = socks[protocol]!; sk !== null; sk = sk.hashNext!) {
    if (sk.net === net && ((sk as NetlinkSk).tp.groups & bit) !== 0) return true;
  }
  return false;
}
