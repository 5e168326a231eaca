/**
 * The IP options of a socket that a program through ECMA-419 does not use, its control messages, and its error queue: the part
 * socketControl. Linux: net/ipv4/ip_sockglue.c; read first ip(7), recv(2) under MSG_ERRQUEUE. Owns nothing; a packet in the error queue
 * is the socket's.
 */
import { words } from "../../lib/table.ts";
import { EAGAIN, EINVAL, ENOPROTOOPT, ENOTCONN } from "../../uapi/errno.ts";
import { SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_LOCAL } from "../../uapi/icmp.ts";
import {
  IP_FREEBIND, IP_HDRINCL, IP_MTU, IP_MTU_DISCOVER, IP_OPTIONS, IP_PKTINFO, IP_PMTUDISC_DONT, IP_PMTUDISC_OMIT, IP_RECVERR,
  IP_RECVOPTS, IP_RECVTOS, IP_RECVTTL, IP_RETOPTS, IP_ROUTER_ALERT, IP_TOS, IP_TTL,
} from "../../uapi/in.ts";
import { INET_ECN_MASK } from "../../uapi/ip.ts";
import { RT_SCOPE_UNIVERSE } from "../../uapi/rtnetlink.ts";
import {
  AF_INET, MSG_ERRQUEUE, SO_MARK, SOCK_RAW, SOCK_STREAM, SOL_IP, SOL_SOCKET,
} from "../../uapi/socket.ts";
import { mem8, memView, memZero } from "../../lib/memory.ts";
import { putCmsg, skbCopyDatagram, sockRecvTimestamp, sockTimestampSet } from "../core/datagram.ts";
import { SKB_DROP_REASON_SOCKET_RCVBUFF } from "../../uapi/drop-reason.ts";
import {
  allocSkb, consumeSkb, kfreeSkb, PACKET_HOST, type SkBuff, skbClone, skbDstDrop, skbPull, skbPut,
} from "../core/skbuff.ts";
import { skbChainPurge, skbChainTail } from "../core/skb-queue.ts";
import {
  SK_PRIORITY, SK_TYPE, skbSetOwnerR, skDstCheck, skDstReset, type Sock, sockDefErrorReport,
} from "../core/sock.ts";
import type { Msghdr, SockaddrIn } from "../core/sockaddr.ts";
import { ICMPH_CODE, ICMPH_TYPE } from "../wire/icmp.ts";
import { IP_HLEN, IPH_DADDR, IPH_SADDR, IPH_TOS, IPH_TTL } from "../wire/ip.ts";
import { inetSelectAddr } from "./devinet.ts";
import {
  INET_FREEBIND, INET_HDRINCL, INET_RECVERR, type InetSk, IP_CMSG_ORIGDSTADDR, IP_CMSG_PKTINFO, IP_CMSG_RECVOPTS, IP_CMSG_RETOPTS, IP_CMSG_TOS, IP_CMSG_TTL,
} from "./inet-sock.ts";
import { inetSockopts, ipOptions, ipRaw } from "./ip-parts.ts";
import { type IpcmCookie, rtTos2priority } from "./ip-sockglue.ts";
import { dstMtu } from "./rtable.ts";

/** Words of the IP_PKTINFO message: ifindex, local address to answer from, destination address of the header. */
const PKTINFO_WORDS = 3;
/** Words of the IP_RECVERR message (struct sock_extended_err): errno, origin, type, code, info, data, offender. */
const RECVERR_WORDS = 7;
/** Words in front of the value of a control message: level, type, number of value words. */
const CMSG_WORDS = 3;

function setTos(sk: InetSk, value: number): number {
  const inet = sk.inet;
  // The ECN bits of a stream are TCP's.
  const tos = words[sk.cold + SK_TYPE] === SOCK_STREAM ? (value & ~INET_ECN_MASK) | (inet.tos & INET_ECN_MASK) : value;
  if (inet.tos !== (tos & 0xff)) {
    inet.tos = tos & 0xff;
    words[sk.cold + SK_PRIORITY] = rtTos2priority(tos);
    skDstReset(sk);
  }
  return 0;
}

function setFlag(sk: InetSk, flag: number, on: boolean): number {
  if (on) sk.inet.flags |= flag;
  else sk.inet.flags &= ~flag;
  return 0;
}

function setOptions(sk: InetSk, bytes: Uint8Array | Int32Array | null): number {
  if (ipOptions === null) return -ENOPROTOOPT;
  if (bytes === null) return -EINVAL;
  const prot = sk.prot;
  return prot.setIpOptions === undefined ? ipOptions.set(sk, bytes) : prot.setIpOptions(sk, bytes);
}

/**
 * Sets an option of level SOL_IP: 0, -EINVAL (bad value), -ENOPROTOOPT (unknown), -ENOBUFS. Linux: ip_setsockopt().
 * @param bytes for IP_OPTIONS, where that part was listed at boot
 */
export function ipControlSet(sk: InetSk, name: number, value: number, bytes: Uint8Array | Int32Array | null): number {
  const inet = sk.inet;
  const on = value !== 0;
  switch (name) {
    case IP_OPTIONS:
      return setOptions(sk, bytes);
    case IP_TOS:
      return setTos(sk, value);
    case IP_PKTINFO:
      return setFlag(sk, IP_CMSG_PKTINFO, on);
    case IP_RECVTTL:
      return setFlag(sk, IP_CMSG_TTL, on);
    case IP_RECVTOS:
      return setFlag(sk, IP_CMSG_TOS, on);
    case IP_RECVOPTS:
    case IP_RETOPTS:
      if (ipOptions === null) return -ENOPROTOOPT;
      return setFlag(sk, name === IP_RECVOPTS ? IP_CMSG_RECVOPTS : IP_CMSG_RETOPTS, on);
    case IP_ROUTER_ALERT:
      return ipRaw === null ? -EINVAL : ipRaw.setRouterAlert(sk, on);
    case IP_MTU_DISCOVER:
      if (value < IP_PMTUDISC_DONT || value > IP_PMTUDISC_OMIT) return -EINVAL;
      inet.pmtudisc = value;
      return 0;
    case IP_FREEBIND:
      return setFlag(sk, INET_FREEBIND, on);
    case IP_RECVERR:
      if (!on) sk.errorQueue = skbChainPurge(sk.errorQueue);
      return setFlag(sk, INET_RECVERR, on);
    case IP_HDRINCL:
      if (words[sk.cold + SK_TYPE] !== SOCK_RAW) return -ENOPROTOOPT;
      return setFlag(sk, INET_HDRINCL, on);
    default:
      return -ENOPROTOOPT;
  }
}

function flagOf(sk: InetSk, flag: number): number {
  return (sk.inet.flags & flag) !== 0 ? 1 : 0;
}

/**
 * Reads an option of level SOL_IP into `out`, one int except for IP_OPTIONS: the elements written, or -ENOTCONN (IP_MTU without a route), -ENOPROTOOPT. Linux:
 * ip_getsockopt().
 */
export function ipControlGet(sk: InetSk, name: number, out: Uint8Array | Int32Array): number {
  const inet = sk.inet;
  let value = 0;
  switch (name) {
    case IP_OPTIONS:
      return ipOptions === null ? -ENOPROTOOPT : ipOptions.get(sk, out);
    case IP_TOS: value = inet.tos; break;
    case IP_TTL: value = inet.ucTtl < 0 ? sk.net.ipv4.ipDefaultTtl : inet.ucTtl; break;
    case IP_PKTINFO: value = flagOf(sk, IP_CMSG_PKTINFO); break;
    case IP_RECVTTL: value = flagOf(sk, IP_CMSG_TTL); break;
    case IP_RECVTOS: value = flagOf(sk, IP_CMSG_TOS); break;
    case IP_RECVOPTS: value = flagOf(sk, IP_CMSG_RECVOPTS); break;
    case IP_RETOPTS: value = flagOf(sk, IP_CMSG_RETOPTS); break;
    case IP_MTU_DISCOVER: value = inet.pmtudisc; break;
    case IP_FREEBIND: value = flagOf(sk, INET_FREEBIND); break;
    case IP_RECVERR: value = flagOf(sk, INET_RECVERR); break;
    case IP_HDRINCL: value = flagOf(sk, INET_HDRINCL); break;
    case IP_MTU: {
      const dst = skDstCheck(sk);
      if (dst === null) return -ENOTCONN;
      value = dstMtu(dst);
      break;
    }
    default: return -ENOPROTOOPT;
  }
  out[0] = value;
  return 1;
}

/** The local address to answer a packet from: its destination, or for a broadcast one of the device's. */
function specificDestination(sk: InetSk, skb: SkBuff): number {
  let dev = sk.net.devices;
  while (dev !== null && dev.ifindex !== skb.iif) dev = dev.nextDev;
  if (dev === null) return 0;
  return inetSelectAddr(sk.net, dev, memView.getInt32(skb.nh + IPH_SADDR), RT_SCOPE_UNIVERSE);
}

/** Delivers the control messages the socket asked for about a packet. Linux: ip_cmsg_recv(), sock_recv_cmsgs(). */
export function ipCmsgRecv(sk: InetSk, msg: Msghdr, skb: SkBuff): void {
  sockRecvTimestamp(sk, msg, skb.when);
  const flags = sk.inet.flags;
  if (flags === 0 || msg.control === null) return;
  const nh = skb.nh;
  if ((flags & IP_CMSG_PKTINFO) !== 0) {
    const at = putCmsg(msg, SOL_IP, IP_PKTINFO, PKTINFO_WORDS);
    if (at >= 0) {
      const daddr = memView.getInt32(nh + IPH_DADDR);
      msg.control[at] = skb.iif;
      msg.control[at + 1] = skb.pktType === PACKET_HOST ? daddr : specificDestination(sk, skb);
      msg.control[at + 2] = daddr;
    }
  }
  if ((flags & IP_CMSG_TTL) !== 0) {
    const at = putCmsg(msg, SOL_IP, IP_TTL, 1);
    if (at >= 0) msg.control[at] = mem8[nh + IPH_TTL]!;
  }
  if ((flags & IP_CMSG_TOS) !== 0) {
    const at = putCmsg(msg, SOL_IP, IP_TOS, 1);
    if (at >= 0) msg.control[at] = mem8[nh + IPH_TOS]!;
  }
  if ((flags & (IP_CMSG_RECVOPTS | IP_CMSG_RETOPTS)) !== 0) ipOptions!.receiveCmsg(sk, msg, skb);
  if ((flags & IP_CMSG_ORIGDSTADDR) !== 0) inetSockopts!.origdstaddr(msg, skb);
}

/**
 * Reads the control messages of sendmsg() into the cookie: IP_PKTINFO (device and source address), IP_TTL, IP_TOS,
 * SO_MARK, IP_RETOPTS (the packet's options, which are prepared then).
 * @returns 0, or -EINVAL for a malformed or unknown one. Linux: ip_cmsg_send()
 */
export function ipCmsgSend(sk: Sock, msg: Msghdr, ipc: IpcmCookie): number {
  const control = msg.control;
  if (control === null) return 0;
  const end = msg.controllen;
  for (let at = 0; at < end;) {
    if (at + CMSG_WORDS > end) return -EINVAL;
    const words = control[at + 2]!;
    const value = at + CMSG_WORDS;
    if (words < 1 || words > end - value) return -EINVAL;
    const err = cmsgSendOne(sk, ipc, control, control[at]!, control[at + 1]!, value, words);
    if (err < 0) return err;
    at = value + words;
  }
  return 0;
}

function cmsgSendOne(
  sk: Sock, ipc: IpcmCookie, control: Int32Array, level: number, type: number, at: number, words: number,
): number {
  const value = control[at]!;
  if (level === SOL_SOCKET) {
    if (type !== SO_MARK) return -EINVAL;
    ipc.mark = value;
    return 0;
  }
  // A message of another level is another layer's.
  if (level !== SOL_IP) return 0;
  switch (type) {
    case IP_PKTINFO:
      if (words !== PKTINFO_WORDS) return -EINVAL;
      if (value !== 0) ipc.oif = value;
      ipc.addr = control[at + 1]!;
      return 0;
    case IP_TTL:
      if (value < 1 || value > 255) return -EINVAL;
      ipc.ttl = value;
      return 0;
    case IP_TOS:
      if (value < 0 || value > 255) return -EINVAL;
      ipc.tos = value;
      return 0;
    case IP_RETOPTS:
      if (ipOptions === null) return -EINVAL;
      ipc.optlen = ipOptions.prepareCmsg(sk, control, at, words);
      return ipc.optlen < 0 ? ipc.optlen : 0;
    default:
      return -EINVAL;
  }
}

/**
 * Queues an ICMP error for recvmsg(MSG_ERRQUEUE); without room it is lost, as any error message may be. Linux:
 * ip_icmp_error().
 * @param skb the error, th at the ICMP header, data at the quoted IP header @param err positive errno @param port
 * destination port of the quoted packet @param payload offset of the quoted packet's payload from skb.data @param info
 * from ICMP
 */
export function ipIcmpError(sk: Sock, skb: SkBuff, err: number, port: number, payload: number, info: number): void {
  const clone = skbClone(skb);
  if (clone === null) return;
  if (sk.rmemAlloc + clone.truesize > sk.rcvbuf) {
    kfreeSkb(clone, SKB_DROP_REASON_SOCKET_RCVBUFF);
    return;
  }
  skbDstDrop(clone);
  // The control block of a queued error: its errno, the port, the info word, where the quoted IP header is, whose error it is.
  clone.tcpFlags = err;
  clone.seq = port;
  clone.ackSeq = info;
  clone.endSeq = clone.data;
  clone.sacked = SO_EE_ORIGIN_ICMP;
  sockTimestampSet(sk, clone);
  if (skbPull(clone, payload) < 0) skbPull(clone, clone.len);
  skbSetOwnerR(clone, sk);
  sk.errorQueue = skbChainTail(sk.errorQueue, clone);
}

/**
 * Queues an error of this host's own about a packet that was not sent, for a socket with IP_RECVERR. Linux: ip_local_error().
 * @param err positive errno @param daddr, port where it was to go @param info by error: the path MTU
 */
export function ipLocalError(sk: InetSk, err: number, daddr: number, port: number, info: number): void {
  if ((sk.inet.flags & INET_RECVERR) === 0 || sk.rmemAlloc >= sk.rcvbuf) return;
  const skb = allocSkb(IP_HLEN);
  if (skb === null) return;
  const at = skbPut(skb, IP_HLEN);
  memZero(at, IP_HLEN);
  memView.setInt32(at + IPH_DADDR, daddr);
  skb.tcpFlags = err;
  skb.seq = port;
  skb.ackSeq = info;
  skb.endSeq = at;
  skb.sacked = SO_EE_ORIGIN_LOCAL;
  skbPull(skb, IP_HLEN);
  skbSetOwnerR(skb, sk);
  sk.errorQueue = skbChainTail(sk.errorQueue, skb);
  sockDefErrorReport(sk);
}

/**
 * recvmsg(MSG_ERRQUEUE): the payload of the packet in error as far as it was quoted, its destination as the message's
 * name, and an IP_RECVERR message with the error. -EAGAIN when the queue is empty. Linux: ip_recv_error()
 */
export function ipRecvError(sk: InetSk, msg: Msghdr, length: number): number {
  const skb = sk.errorQueue;
  if (skb === null) return -EAGAIN;
  // The next queued error is the pending one then.
  const next = skb.next;
  sk.errorQueue = next;
  skb.next = null;
  const copied = skbCopyDatagram(skb, msg, length);
  const name = msg.name as SockaddrIn | null;
  if (name !== null) {
    name.family = AF_INET;
    name.addr = memView.getInt32(skb.endSeq + IPH_DADDR);
    name.port = skb.seq;
  }
  const icmp = skb.sacked === SO_EE_ORIGIN_ICMP;
  // What the socket wants to know of packets it wants to know of the one with the error, too.
  if (icmp) ipCmsgRecv(sk, msg, skb);
  const at = putCmsg(msg, SOL_IP, IP_RECVERR, RECVERR_WORDS);
  if (at >= 0) {
    const control = msg.control!;
    control[at] = skb.tcpFlags;
    control[at + 1] = skb.sacked;
    control[at + 2] = icmp ? mem8[skb.th + ICMPH_TYPE]! : 0;
    control[at + 3] = icmp ? mem8[skb.th + ICMPH_CODE]! : 0;
    control[at + 4] = skb.ackSeq;
    control[at + 5] = 0;
    control[at + 6] = icmp ? memView.getInt32(skb.nh + IPH_SADDR) : 0;
  }
  msg.flags |= MSG_ERRQUEUE;
  sk.err = next === null ? 0 : next.tcpFlags;
  if (next !== null) sockDefErrorReport(sk);
  consumeSkb(skb);
  return copied;
}
