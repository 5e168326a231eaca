/**
 * Sending by raw and ping sockets, which have no header of their own between IP's and the program's bytes: from the message to a
 * packet with its route, and out. Linux: the common part of raw_sendmsg() and ping_v4_sendmsg(), ip_append_data(),
 * ip_push_pending_frames(). Owns the cookie that every call uses again. A message waits for no second one: MSG_MORE is ignored.
 */
import { account } from "../../lib/account.ts";
import { words } from "../../lib/table.ts";
import { EAFNOSUPPORT, EDESTADDRREQ, EFAULT, EINVAL, EMSGSIZE, ENOBUFS } from "../../uapi/errno.ts";
import { AF_INET, AF_UNSPEC, MSG_CONFIRM, MSG_DONTROUTE, SOCK_RAW } from "../../uapi/socket.ts";
import { TCP_ESTABLISHED } from "../../uapi/tcp.ts";
import { dstRelease } from "../core/dst.ts";
import {
  allocSkb, consumeSkb, NET_IP_ALIGN, skbBufferBytes, type SkBuff, skbPut, skbReserve,
} from "../core/skbuff.ts";
import { SK_MARK, SK_PRIORITY, SK_PROTOCOL, SK_TYPE, skbSetOwnerW } from "../core/sock.ts";
import { copyFromIter, type Msghdr, type SockaddrIn } from "../core/sockaddr.ts";
import { IP_HLEN } from "../wire/ip.ts";
import {
  datagramConfirm, datagramMaySplit, datagramRoute, datagramRouteDaddr, datagramRouteError, datagramRouteSaddr, datagramSendAllowed, datagramTtl,
} from "./datagram.ts";
import { INET_HDRINCL, INET_RECVERR, type InetSk, IP_CMSG_OPTIONS } from "./inet-sock.ts";
import { ipDontFragment, ipPushHeader, ipSendSkb, ipSkMtu } from "./ip-output.ts";
import { ipControl, ipFragments, ipOptions } from "./ip-parts.ts";
import { IpcmCookie } from "./ip-sockglue.ts";
import type { Rtable } from "./rtable.ts";

/** Room in front of the IP header: alignment, tagged Ethernet. */
export const LINK_HEADROOM = NET_IP_ALIGN + 18;

let ipc: IpcmCookie;
/** Of the message that is being sent: its destination. */
let destination = 0;

/** Boot time. */
export function datagramSendInit(): void {
  ipc = account("raw_sock", new IpcmCookie());
}

/**
 * Where a message goes: the route, with a reference for the caller, or null and datagramSendError() says why: 0 when nothing was
 * to be sent, but a neighbour to be confirmed. Reads the message's name and control messages, and for datagramPush() the rest of
 * what is known then.
 */
export function datagramSendRoute(sk: InetSk, msg: Msghdr, length: number): Rtable | null {
  const inet = sk.inet;
  const name = msg.name as SockaddrIn | null;
  const cookie = ipc;
  let daddr = inet.daddr;
  if (name !== null) {
    if (name.family !== AF_INET && name.family !== AF_UNSPEC) return failed(-EAFNOSUPPORT);
    daddr = name.addr | 0;
  } else if (sk.state !== TCP_ESTABLISHED) {
    return failed(-EDESTADDRREQ);
  }
  cookie.addr = inet.saddr;
  cookie.oif = sk.boundDevIf;
  cookie.ttl = 0;
  cookie.tos = -1;
  cookie.mark = words[sk.cold + SK_MARK]!;
  cookie.optlen = 0;
  if (msg.controllen > 0) {
    const err = ipControl === null ? -EINVAL : ipControl.send(sk, msg, cookie);
    if (err < 0) return failed(err);
  }
  let hop = daddr;
  if (cookie.optlen === 0 && (inet.flags & IP_CMSG_OPTIONS) !== 0) cookie.optlen = ipOptions!.prepare(sk.index);
  if (cookie.optlen > 0) {
    if ((inet.flags & INET_HDRINCL) !== 0) return failed(-EINVAL);
    hop = ipOptions!.firstHop(daddr);
    if (daddr === 0 && hop !== 0) return failed(-EINVAL);
  }
  const tos = cookie.tos < 0 ? inet.tos : cookie.tos;
  cookie.tos = tos;
  const rt = datagramRoute(sk, hop, cookie.addr, cookie.oif, tos, (msg.flags & MSG_DONTROUTE) !== 0, 0);
  if (rt === null) return failed(datagramRouteError());
  cookie.addr = datagramRouteSaddr();
  destination = hop === daddr ? datagramRouteDaddr() : daddr;
  if ((msg.flags & MSG_CONFIRM) !== 0 && datagramConfirm(rt, destination, msg.flags, length)) {
    dstRelease(rt);
    return failed(0);
  }
  return rt;
}

let error = 0;

function failed(err: number): null {
  error = err;
  return null;
}

/** Why datagramSendRoute() or datagramSendSkb() gave null: a negative errno. */
export function datagramSendError(): number {
  return error;
}

/** The source address that datagramSendRoute() found. */
export function datagramSendSaddr(): number {
  return ipc.addr;
}

function refused(sk: InetSk, rt: Rtable, err: number): null {
  dstRelease(rt);
  if (sk.socket !== null && sk.wmemAlloc >= sk.sndbuf) sk.socket.noSpace = true;
  return failed(err);
}

/**
 * May a raw socket send, whose packets have no transport header? Neither its error nor its shutdown() is looked at, and twice the send
 * buffer is its limit: so it is on Linux. Linux: the sock_wmalloc() of ip_append_data().
 */
function rawSendAllowed(sk: InetSk): number {
  return sk.wmemAlloc <= sk.sndbuf << 1 ? 0 : -ENOBUFS;
}

/**
 * A packet with the whole message, data at its first byte, or null and datagramSendError(). Takes over the reference of `rt`.
 * @param header bytes of IP header that are still to come: none when the message has it
 */
export function datagramSendSkb(sk: InetSk, msg: Msghdr, length: number, rt: Rtable, header: number): SkBuff | null {
  const err = header > 0 && words[sk.cold + SK_TYPE] === SOCK_RAW ? rawSendAllowed(sk) : datagramSendAllowed(sk);
  if (err < 0) return refused(sk, rt, err);
  const front = header === 0 ? 0 : header + ipc.optlen;
  const mtu = header === 0 ? rt.dev!.mtu : ipSkMtu(sk, rt);
  const size = LINK_HEADROOM + front + length;
  const split = size > skbBufferBytes || front + length > mtu;
  if (split && (header === 0 || front + length > 0xffff || !datagramMaySplit(sk))) {
    if (ipControl !== null) ipControl.localError(sk, EMSGSIZE, destination, sk.inet.dport, mtu - ipc.optlen);
    return refused(sk, rt, -EMSGSIZE);
  }
  const skb = allocSkb(split ? skbBufferBytes : size);
  if (skb === null) return refused(sk, rt, -ENOBUFS);
  skbReserve(skb, LINK_HEADROOM + front);
  skb.dst = rt;
  skb.priority = words[sk.cold + SK_PRIORITY]!;
  skb.mark = ipc.mark;
  skbSetOwnerW(skb, sk);
  const copied = split ? ipFragments!.append(sk, skb, msg, length, mtu - ipc.optlen, 0)
    : copyFromIter(skbPut(skb, length), msg, length) === length ? 0 : -EFAULT;
  if (copied === 0) return skb;
  consumeSkb(skb);
  return failed(copied);
}

/** Writes the IP header and sends. 0 or a negative errno; the packet is gone. Linux: ip_push_pending_frames(). */
export function datagramPush(sk: InetSk, skb: SkBuff): number {
  const saddr = ipc.addr;
  const tos = ipc.tos;
  const protocol = words[sk.cold + SK_PROTOCOL]!;
  const ttl = datagramTtl(sk, skb.dst as Rtable, ipc.ttl);
  const df = skb.fragList === null && ipDontFragment(sk);
  if (ipc.optlen > 0) ipOptions!.push(skb, sk, saddr, destination, protocol, ttl, tos, df);
  else ipPushHeader(skb, sk, saddr, destination, protocol, ttl, tos, df);
  const err = ipSendSkb(sk.net, skb);
  return err === -ENOBUFS && (sk.inet.flags & INET_RECVERR) === 0 ? 0 : err < 0 ? err : 0;
}

/** The header length that a packet of the socket gets by datagramPush(). */
export const DATAGRAM_HEADER = IP_HLEN;
