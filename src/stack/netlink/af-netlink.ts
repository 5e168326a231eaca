/**
 * The family AF_NETLINK: messages between a program and the stack, and between programs. Linux: net/netlink/af_netlink.c;
 * read first netlink(7), RFC 3549. Owns the operations of its sockets. A message to the kernel is carried out inside
 * sendmsg(), and its answers wait to be read.
 */
import { words } from "../../lib/table.ts";
import {
  EADDRINUSE, EINVAL, EMSGSIZE, ENOBUFS, ENOIOCTLCMD, ENOMEM, ENOPROTOOPT, EOPNOTSUPP, EPROTONOSUPPORT,
  ESOCKTNOSUPPORT,
} from "../../uapi/errno.ts";
import {
  MAX_LINKS, NETLINK_ADD_MEMBERSHIP, NETLINK_BROADCAST_ERROR, NETLINK_CAP_ACK, NETLINK_DROP_MEMBERSHIP, NETLINK_EXT_ACK,
  NETLINK_GET_STRICT_CHK, NETLINK_LIST_MEMBERSHIPS, NETLINK_NO_ENOBUFS, NETLINK_PKTINFO,
} from "../../uapi/netlink.ts";
import {
  AF_NETLINK, AF_UNSPEC, MSG_OOB, MSG_PEEK, MSG_TRUNC, SOCK_DGRAM, SOCK_RAW, SOL_NETLINK,
} from "../../uapi/socket.ts";
import { datagramPoll, putCmsg, skbCopyDatagram, skbRecvDatagram, skbRecvError } from "../core/datagram.ts";
import type { Net } from "../core/net.ts";
import { consumeSkb, skbBufferBytes, skbClone, skbPut } from "../core/skbuff.ts";
import {
  type Proto, SK_PROTOCOL, SK_TYPE, skAlloc, type Sock, SOCK_DEAD, sockDefErrorReport, sockGraft, sockOrphan, sockPut,
} from "../core/sock.ts";
import { copyFromIter, type Msghdr, type SockaddrNl } from "../core/sockaddr.ts";
import { type ProtoOps, type Socket, sockRegister } from "../core/socket.ts";
import { netlinkBroadcast, netlinkDumpEnd, netlinkDumpNext, netlinkUnicast, nlmsgNew } from "./netlink-deliver.ts";
import {
  NETLINK_F_BROADCAST_SEND_ERROR, NETLINK_F_CAP_ACK, NETLINK_F_EXT_ACK, NETLINK_F_RECV_NO_ENOBUFS,
  NETLINK_F_RECV_PKTINFO, NETLINK_F_STRICT_CHK, NETLINK_S_CONGESTED, netlinkGroups, netlinkInsert, netlinkKernelInput,
  netlinkLookup, netlinkProtocol, netlinkRemove, type NetlinkSk, netlinkSockAlloc, netlinkSockFree, netlinkSockInit,
} from "./netlink-sock.ts";
import { nlattrInit } from "./nlattr.ts";

/** The port id that the program's first socket of a protocol gets: there is one process. */
const FIRST_PORTID = 1;
/** Where the search for other port ids begins; it goes down. Linux: the rover of netlink_autobind(). */
const ROVER_START = -4096;

/** Boot: programs can open netlink sockets. @param count how many at once */
export function netlinkInit(count: number): void {
  netlinkSockInit(count);
  nlattrInit();
  sockRegister(AF_NETLINK, netlinkCreate);
}

function netlinkAlloc(net: Net): Sock | null {
  const sk = skAlloc(net, AF_NETLINK, netlinkProto);
  if (sk === null) return null;
  const nlk = netlinkSockAlloc(net);
  sk.tp = nlk;
  if (nlk !== null) return sk;
  sockPut(sk);
  return null;
}

/** Linux: netlink_sock_destruct(). */
function netlinkFree(sk: Sock): void {
  if (sk.tp !== null) netlinkSockFree((sk as NetlinkSk).tp);
}

/** All of a socket's calls are the family's; of the protocol's operations only its life is needed. Linux: netlink_proto. */
const netlinkProto = Object.freeze({ name: "NETLINK", alloc: netlinkAlloc, free: netlinkFree }) as Proto;

/** socket() for AF_NETLINK. Linux: netlink_create(). */
export function netlinkCreate(net: Net, sock: Socket, protocol: number): number {
  if (sock.type !== SOCK_RAW && sock.type !== SOCK_DGRAM) return -ESOCKTNOSUPPORT;
  if (protocol < 0 || protocol >= MAX_LINKS || netlinkKernelInput(protocol) === null) return -EPROTONOSUPPORT;
  const sk = netlinkAlloc(net);
  if (sk === null) return -ENOMEM;
  words[sk.cold + SK_TYPE] = sock.type;
  words[sk.cold + SK_PROTOCOL] = protocol;
  sockGraft(sk, sock);
  netlinkInsert(sk);
  sock.ops = netlinkOps;
  return 0;
}

/** Linux: netlink_release(). */
function netlinkRelease(sock: Socket): number {
  const sk = sock.sk;
  if (sk === null) return 0;
  netlinkRemove(sk);
  netlinkDumpEnd((sk as NetlinkSk).tp);
  sockOrphan(sk);
  sk.flags |= SOCK_DEAD;
  sockPut(sk);
  return 0;
}

/** Takes a port id if nobody has it. Linux: netlink_insert(). */
function netlinkTake(sk: NetlinkSk, portid: number): number {
  if (netlinkLookup(sk.net, netlinkProtocol(sk), portid) !== null) return -EADDRINUSE;
  sk.tp.portid = portid;
  sk.tp.bound = true;
  return 0;
}

/** A free port id. Linux: netlink_autobind(). */
function netlinkAutobind(sk: NetlinkSk): void {
  let portid = FIRST_PORTID;
  while (netlinkTake(sk, portid) < 0) portid = portid === FIRST_PORTID ? ROVER_START : portid - 1;
}

/** Groups that a protocol has, as bits. */
function validGroups(protocol: number): number {
  const count = netlinkGroups(protocol);
  return count === 32 ? -1 : (1 << count) - 1;
}

/** bind(): a port id (0: any free one) and the groups wanted. Linux: netlink_bind(). */
function netlinkBind(sock: Socket, addr: SockaddrNl): number {
  const sk = sock.sk as NetlinkSk;
  const nlk = sk.tp;
  if (addr.family !== AF_NETLINK) return -EINVAL;
  const groups = addr.groups & validGroups(netlinkProtocol(sk));
  if (nlk.bound) {
    if (addr.portid !== nlk.portid) return -EINVAL;
  } else if (addr.portid !== 0) {
    const err = netlinkTake(sk, addr.portid | 0);
    if (err < 0) return err;
  } else {
    netlinkAutobind(sk);
  }
  nlk.groups = groups;
  return 0;
}

/** The lowest group in a mask, 0 for none. Linux: ffs(). */
function firstGroup(groups: number): number {
  return groups === 0 ? 0 : 32 - Math.clz32(groups & -groups);
}

/** connect(): where messages go that name no destination. Linux: netlink_connect(). */
function netlinkConnect(sock: Socket, addr: SockaddrNl): number {
  const sk = sock.sk as NetlinkSk;
  const nlk = sk.tp;
  if (addr.family === AF_UNSPEC) {
    nlk.dstPortid = nlk.dstGroup = 0;
    return 0;
  }
  if (addr.family !== AF_NETLINK) return -EINVAL;
  if (!nlk.bound) netlinkAutobind(sk);
  nlk.dstPortid = addr.portid;
  nlk.dstGroup = firstGroup(addr.groups);
  return 0;
}

/** Linux: netlink_getname(). */
function netlinkGetname(sock: Socket, addr: SockaddrNl, peer: number): number {
  const nlk = (sock.sk as NetlinkSk).tp;
  addr.family = AF_NETLINK;
  if (peer !== 0) {
    addr.portid = nlk.dstPortid;
    addr.groups = nlk.dstGroup === 0 ? 0 : 1 << (nlk.dstGroup - 1);
  } else {
    addr.portid = nlk.portid;
    addr.groups = nlk.groups;
  }
  return 0;
}

/** Linux: netlink_sendmsg(). */
function netlinkSendmsg(sock: Socket, msg: Msghdr, length: number): number {
  const sk = sock.sk as NetlinkSk;
  const nlk = sk.tp;
  if ((msg.flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
  let dstPortid = nlk.dstPortid;
  let dstGroup = nlk.dstGroup;
  const name = msg.name as SockaddrNl | null;
  if (name !== null) {
    if (name.family !== AF_NETLINK) return -EINVAL;
    dstPortid = name.portid;
    dstGroup = firstGroup(name.groups);
  }
  if (!nlk.bound) netlinkAutobind(sk);
  if (length > sk.sndbuf - 32 || length > skbBufferBytes) return -EMSGSIZE;
  const skb = nlmsgNew();
  if (skb === null) return -ENOBUFS;
  copyFromIter(skbPut(skb, length), msg, length);
  skb.seq = nlk.portid;
  if (dstGroup !== 0) {
    skb.endSeq = dstGroup;
    const copy = skbClone(skb);
    if (copy !== null) netlinkBroadcast(sk.net, netlinkProtocol(sk), copy, nlk.portid, dstGroup);
    if (dstPortid === 0) {
      consumeSkb(skb);
      return length;
    }
  }
  const err = netlinkUnicast(sk.net, netlinkProtocol(sk), skb, dstPortid, sk);
  return err < 0 ? err : length;
}

/** Linux: netlink_recvmsg(). */
function netlinkRecvmsg(sock: Socket, msg: Msghdr, length: number, flags: number): number {
  const sk = sock.sk as NetlinkSk;
  const nlk = sk.tp;
  if ((flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
  const skb = skbRecvDatagram(sk, flags);
  if (skb === null) return skbRecvError(sk, flags);
  const whole = skb.len;
  const copied = skbCopyDatagram(skb, msg, length);
  const group = skb.endSeq;
  const name = msg.name as SockaddrNl | null;
  if (name !== null) {
    name.family = AF_NETLINK;
    name.portid = skb.seq;
    name.groups = group === 0 ? 0 : 1 << (group - 1);
  }
  if ((nlk.flags & NETLINK_F_RECV_PKTINFO) !== 0) {
    const at = putCmsg(msg, SOL_NETLINK, NETLINK_PKTINFO, 1);
    if (at >= 0) msg.control![at] = group;
  }
  consumeSkb(skb);
  if ((flags & MSG_PEEK) === 0 && nlk.dump !== null && sk.rmemAlloc <= sk.rcvbuf >> 1) {
    const err = netlinkDumpNext(sk);
    if (err < 0) {
      sk.err = -err;
      sockDefErrorReport(sk);
    }
  }
  if (sk.receiveQueue.head === null) nlk.flags &= ~NETLINK_S_CONGESTED;
  return (flags & MSG_TRUNC) !== 0 ? whole : copied;
}

function netlinkPoll(sock: Socket): number {
  return datagramPoll(sock.sk!);
}

function netlinkIoctl(): number {
  return -ENOIOCTLCMD;
}

/** The flag that an option turns on, 0 for none such. */
function optionFlag(name: number): number {
  switch (name) {
    case NETLINK_PKTINFO: return NETLINK_F_RECV_PKTINFO;
    case NETLINK_BROADCAST_ERROR: return NETLINK_F_BROADCAST_SEND_ERROR;
    case NETLINK_NO_ENOBUFS: return NETLINK_F_RECV_NO_ENOBUFS;
    case NETLINK_CAP_ACK: return NETLINK_F_CAP_ACK;
    case NETLINK_EXT_ACK: return NETLINK_F_EXT_ACK;
    case NETLINK_GET_STRICT_CHK: return NETLINK_F_STRICT_CHK;
    default: return 0;
  }
}

/** Linux: netlink_setsockopt(). */
function netlinkSetsockopt(sock: Socket, level: number, name: number, value: number): number {
  if (level !== SOL_NETLINK) return -ENOPROTOOPT;
  const sk = sock.sk as NetlinkSk;
  const nlk = sk.tp;
  if (name === NETLINK_ADD_MEMBERSHIP || name === NETLINK_DROP_MEMBERSHIP) {
    if (value < 1 || value > netlinkGroups(netlinkProtocol(sk))) return -EINVAL;
    const bit = 1 << (value - 1);
    nlk.groups = name === NETLINK_ADD_MEMBERSHIP ? nlk.groups | bit : nlk.groups & ~bit;
    return 0;
  }
  const flag = optionFlag(name);
  if (flag === 0) return -ENOPROTOOPT;
  if (value !== 0) nlk.flags |= flag;
  else nlk.flags &= ~flag;
  if (name === NETLINK_NO_ENOBUFS && value !== 0) nlk.flags &= ~NETLINK_S_CONGESTED;
  return 0;
}

/** Linux: netlink_getsockopt(). */
function netlinkGetsockopt(sock: Socket, level: number, name: number, out: Uint8Array | Int32Array): number {
  if (level !== SOL_NETLINK) return -ENOPROTOOPT;
  const nlk = (sock.sk as NetlinkSk).tp;
  if (name === NETLINK_LIST_MEMBERSHIPS) {
    out[0] = nlk.groups;
    return 1;
  }
  const flag = optionFlag(name);
  if (flag === 0) return -ENOPROTOOPT;
  out[0] = (nlk.flags & flag) !== 0 ? 1 : 0;
  return 1;
}

function netlinkUnsupported(): number {
  return -EOPNOTSUPP;
}

/** Linux: netlink_ops. */
export const netlinkOps: ProtoOps = Object.freeze({
  family: AF_NETLINK,
  release: netlinkRelease,
  bind: netlinkBind,
  connect: netlinkConnect,
  socketpair: netlinkUnsupported,
  accept: netlinkUnsupported,
  getname: netlinkGetname,
  poll: netlinkPoll,
  ioctl: netlinkIoctl,
  listen: netlinkUnsupported,
  shutdown: netlinkUnsupported,
  setsockopt: netlinkSetsockopt,
  getsockopt: netlinkGetsockopt,
  sendmsg: netlinkSendmsg,
  recvmsg: netlinkRecvmsg,
});
