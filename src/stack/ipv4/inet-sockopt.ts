/**
 * Socket options that few programs ask for, a part of their own: of level SOL_IP IP_MINTTL, IP_BIND_ADDRESS_NO_PORT,
 * IP_LOCAL_PORT_RANGE, IP_UNICAST_IF and IP_RECVORIGDSTADDR, of level SOL_SOCKET SO_DONTROUTE, SO_COOKIE, SO_MEMINFO, SO_BUF_LOCK,
 * SO_DEBUG and SO_BSDCOMPAT. Linux: their cases in net/ipv4/ip_sockglue.c and net/core/sock.c. Read first: ip(7), socket(7), RFC 5082
 * (IP_MINTTL). Owns a few words for each sock, those of a sock that was given back included: they are cleared with the next one's start.
 */
import { memView } from "../../lib/memory.ts";
import { words, wordTable } from "../../lib/table.ts";
import { EADDRNOTAVAIL, EINVAL, ENOPROTOOPT } from "../../uapi/errno.ts";
import {
  IP_BIND_ADDRESS_NO_PORT, IP_LOCAL_PORT_RANGE, IP_MINTTL, IP_ORIGDSTADDR, IP_RECVORIGDSTADDR, IP_UNICAST_IF,
} from "../../uapi/in.ts";
import {
  AF_INET, SO_BSDCOMPAT, SO_BUF_LOCK, SO_COOKIE, SO_DEBUG, SO_DONTROUTE, SO_MEMINFO, SOL_IP,
} from "../../uapi/socket.ts";
import { devGetByIndex } from "../../netif/dev.ts";
import { putCmsg } from "../core/datagram.ts";
import { skbChainTruesize } from "../core/skb-queue.ts";
import type { SkBuff } from "../core/skbuff.ts";
import {
  SK_DROPS, SK_USERLOCKS, skDstReset, type Sock, SOCK_LOCALROUTE, SOCK_RCVBUF_LOCK, SOCK_SNDBUF_LOCK, sockCount,
} from "../core/sock.ts";
import type { Msghdr } from "../core/sockaddr.ts";
import { IPH_DADDR } from "../wire/ip.ts";
import { type InetSk, IP_CMSG_ORIGDSTADDR } from "./inet-sock.ts";

/*
 * The words of a sock.
 */
const SK_OPTION_WORDS = 5;
const OPT_MIN_TTL = 0;
const OPT_UNICAST_IF = 1;
/** The highest port in the upper 16 bits, the lowest in the lower; 0 for the namespace's. */
const OPT_PORTS = 2;
/** 0 until it is asked for. */
const OPT_COOKIE = 3;
/** OPT_F_* */
const OPT_FLAGS = 4;

const OPT_F_NO_PORT = 1;
const OPT_F_DEBUG = 2;

const BUF_LOCKS = SOCK_SNDBUF_LOCK | SOCK_RCVBUF_LOCK;
/** Words of the IP_ORIGDSTADDR message: family, port, address. */
const ORIGDSTADDR_WORDS = 3;
/** Ports of a transport header: the destination's is at 2. */
const TRANSPORT_DPORT = 2;

let table = 0;
let lastCookie = 0;

/** Words of all socks. */
export function inetSockoptWords(socks: number): number {
  return socks * SK_OPTION_WORDS;
}

/** Boot time, after sockInit(). */
export function inetSockoptInit(): void {
  table = wordTable("socket_options", inetSockoptWords(sockCount()));
  lastCookie = 0;
}

function rowOf(sk: Sock): number {
  return table + sk.index * SK_OPTION_WORDS;
}

/** A new sock has everything at its default. */
export function inetSockoptReset(sk: Sock): void {
  const row = rowOf(sk);
  words.fill(0, row, row + SK_OPTION_WORDS);
}

/** A connection has what its listener has. */
export function inetSockoptInherit(from: Sock, to: Sock): void {
  const row = rowOf(from);
  words.copyWithin(rowOf(to), row, row + OPT_COOKIE);
}

function setFlag(row: number, flag: number, on: boolean): number {
  if (on) words[row + OPT_FLAGS]! |= flag;
  else words[row + OPT_FLAGS]! &= ~flag;
  return 0;
}

function setUnicastIf(sk: InetSk, ifindex: number): number {
  if (ifindex !== 0) {
    if (devGetByIndex(sk.net, ifindex) === null) return -EADDRNOTAVAIL;
    // As on Linux, which asks for the VRF that the device belongs to.
    if (sk.boundDevIf !== 0) return -EINVAL;
  }
  words[rowOf(sk) + OPT_UNICAST_IF] = ifindex;
  return 0;
}

function setPorts(sk: InetSk, value: number): number {
  const low = value & 0xffff;
  const high = value >>> 16;
  if (low !== 0 && high !== 0 && low > high) return -EINVAL;
  words[rowOf(sk) + OPT_PORTS] = value;
  return 0;
}

/**
 * Sets an option of level SOL_IP.
 * @param value IP_UNICAST_IF: the ifindex (not in network order, as Linux wants it); IP_LOCAL_PORT_RANGE: highest port in the upper 16
 *   bits, lowest in the lower, 0 for none @returns 0, -EINVAL, -EADDRNOTAVAIL (no such device), -ENOPROTOOPT
 */
export function inetSockoptSetIp(sk: InetSk, name: number, value: number): number {
  switch (name) {
    case IP_MINTTL:
      if (value < 0 || value > 255) return -EINVAL;
      words[rowOf(sk) + OPT_MIN_TTL] = value;
      return 0;
    case IP_BIND_ADDRESS_NO_PORT:
      return setFlag(rowOf(sk), OPT_F_NO_PORT, value !== 0);
    case IP_LOCAL_PORT_RANGE:
      return setPorts(sk, value);
    case IP_UNICAST_IF:
      return setUnicastIf(sk, value);
    case IP_RECVORIGDSTADDR:
      if (value !== 0) sk.inet.flags |= IP_CMSG_ORIGDSTADDR;
      else sk.inet.flags &= ~IP_CMSG_ORIGDSTADDR;
      return 0;
    default:
      return -ENOPROTOOPT;
  }
}

/** Reads an option of level SOL_IP into `out`: 1, or -ENOPROTOOPT. */
export function inetSockoptGetIp(sk: InetSk, name: number, out: Uint8Array | Int32Array): number {
  const row = rowOf(sk);
  switch (name) {
    case IP_MINTTL: out[0] = words[row + OPT_MIN_TTL]!; return 1;
    case IP_BIND_ADDRESS_NO_PORT: out[0] = inetSockoptNoPort(sk) ? 1 : 0; return 1;
    case IP_LOCAL_PORT_RANGE: out[0] = words[row + OPT_PORTS]!; return 1;
    case IP_UNICAST_IF: out[0] = words[row + OPT_UNICAST_IF]!; return 1;
    case IP_RECVORIGDSTADDR: out[0] = (sk.inet.flags & IP_CMSG_ORIGDSTADDR) !== 0 ? 1 : 0; return 1;
    default: return -ENOPROTOOPT;
  }
}

/** Sets an option of level SOL_SOCKET: 0, -EINVAL, -ENOPROTOOPT. */
export function inetSockoptSetSocket(sk: Sock, name: number, value: number): number {
  switch (name) {
    case SO_DEBUG:
      return setFlag(rowOf(sk), OPT_F_DEBUG, value !== 0);
    case SO_DONTROUTE:
      if (value !== 0) sk.flags |= SOCK_LOCALROUTE;
      else sk.flags &= ~SOCK_LOCALROUTE;
      skDstReset(sk);
      return 0;
    case SO_BSDCOMPAT:
      return 0;
    case SO_BUF_LOCK:
      if ((value & ~BUF_LOCKS) !== 0) return -EINVAL;
      words[sk.cold + SK_USERLOCKS] = (words[sk.cold + SK_USERLOCKS]! & ~BUF_LOCKS) | value;
      return 0;
    default:
      return -ENOPROTOOPT;
  }
}

/** SO_MEMINFO: what the socket's buffers hold and may hold, as far as there is room. Linux: sk_get_meminfo(). */
function putMeminfo(sk: Sock, out: Uint8Array | Int32Array): number {
  const cold = sk.cold;
  let at = 0;
  const room = out.length;
  if (at < room) out[at++] = sk.rmemAlloc;
  if (at < room) out[at++] = sk.rcvbuf;
  if (at < room) out[at++] = sk.wmemAlloc - 1;
  if (at < room) out[at++] = sk.sndbuf;
  // Memory is not taken in advance, and no option takes any.
  if (at < room) out[at++] = 0;
  if (at < room) out[at++] = sk.wmemQueued;
  if (at < room) out[at++] = 0;
  if (at < room) out[at++] = skbChainTruesize(sk.backlog);
  if (at < room) out[at++] = words[cold + SK_DROPS]!;
  return at;
}

/** Reads an option of level SOL_SOCKET into `out`: the elements written, -EINVAL (no room), -ENOPROTOOPT. */
export function inetSockoptGetSocket(sk: Sock, name: number, out: Uint8Array | Int32Array): number {
  const row = rowOf(sk);
  switch (name) {
    case SO_DEBUG: out[0] = (words[row + OPT_FLAGS]! & OPT_F_DEBUG) !== 0 ? 1 : 0; return 1;
    case SO_DONTROUTE: out[0] = (sk.flags & SOCK_LOCALROUTE) !== 0 ? 1 : 0; return 1;
    case SO_BSDCOMPAT: out[0] = 0; return 1;
    case SO_BUF_LOCK: out[0] = words[sk.cold + SK_USERLOCKS]! & BUF_LOCKS; return 1;
    case SO_MEMINFO: return putMeminfo(sk, out);
    case SO_COOKIE:
      // 64 bits, the lower ones first.
      if (out.length < 2) return -EINVAL;
      if (words[row + OPT_COOKIE] === 0) words[row + OPT_COOKIE] = ++lastCookie;
      out[0] = words[row + OPT_COOKIE]!;
      out[1] = 0;
      return 2;
    default: return -ENOPROTOOPT;
  }
}

/** IP_MINTTL: segments with a lower TTL are not the peer's (RFC 5082). */
export function inetSockoptMinTtl(sk: Sock): number {
  return words[rowOf(sk) + OPT_MIN_TTL]!;
}

/** IP_LOCAL_PORT_RANGE, 0 for the namespace's. */
export function inetSockoptPorts(sk: Sock): number {
  return words[rowOf(sk) + OPT_PORTS]!;
}

/** IP_UNICAST_IF. */
export function inetSockoptUnicastIf(sk: Sock): number {
  return words[rowOf(sk) + OPT_UNICAST_IF]!;
}

/** IP_BIND_ADDRESS_NO_PORT: bind() to port 0 fixes the address only. */
export function inetSockoptNoPort(sk: Sock): boolean {
  return (words[rowOf(sk) + OPT_FLAGS]! & OPT_F_NO_PORT) !== 0;
}

/** IP_RECVORIGDSTADDR's control message: where a packet was sent to. Linux: ip_cmsg_recv_dstaddr(). */
export function inetSockoptOrigdstaddr(msg: Msghdr, skb: SkBuff): void {
  if (skb.th + TRANSPORT_DPORT + 2 > skb.tail) return;
  const at = putCmsg(msg, SOL_IP, IP_ORIGDSTADDR, ORIGDSTADDR_WORDS);
  if (at < 0) return;
  msg.control![at] = AF_INET;
  msg.control![at + 1] = memView.getUint16(skb.th + TRANSPORT_DPORT);
  msg.control![at + 2] = memView.getInt32(skb.nh + IPH_DADDR);
}
