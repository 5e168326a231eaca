/**
 * Sending UDP: from the program's message to a packet with its headers, and corked datagrams that gather several
 * messages. Linux: udp_sendmsg(), udp_send_skb() of net/ipv4/udp.c, ip_append_data() as far as one packet goes. Read
 * first: RFC 768, RFC 1122 section 4.1. Owns the cookie that every call uses again. A corked datagram is
 * the one packet of the socket's write queue; until it goes, its control block holds the header fields.
 *
 * A datagram beyond the MTU, or one buffer, has further packets chained to it and goes in pieces, where fragments were
 * listed at boot (ip-parts.ts) and the socket's IP_MTU_DISCOVER mode allows it; else it is -EMSGSIZE.
 */
import { account } from "../../lib/account.ts";
import { csumPartial, csumTcpudpMagic } from "../../lib/checksum.ts";
import { memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import {
  EAFNOSUPPORT, EAGAIN, EDESTADDRREQ, EFAULT, EINVAL, EMSGSIZE, ENOBUFS, EOPNOTSUPP, EPIPE,
} from "../../uapi/errno.ts";
import { IPPROTO_UDP } from "../../uapi/in.ts";
import { UDP_MIB_OUTDATAGRAMS, UDP_MIB_SNDBUFERRORS } from "../../uapi/snmp.ts";
import { AF_INET, AF_UNSPEC, MSG_CONFIRM, MSG_DONTROUTE, MSG_MORE, MSG_OOB } from "../../uapi/socket.ts";
import { TCP_ESTABLISHED } from "../../uapi/tcp.ts";
import { dstHold, dstRelease } from "../core/dst.ts";
import {
  allocSkb, consumeSkb, NET_IP_ALIGN, skbBufferBytes, skbFrags, type SkBuff, skbPush, skbPut, skbReserve, skbTailroom,
} from "../core/skbuff.ts";
import { skbDequeue, skbQueuePurge, skbQueueTail } from "../core/skb-queue.ts";
import {
  SEND_SHUTDOWN, SK_MARK, SK_PRIORITY, skbSetOwnerW, skDstCheck, skDstSet, type Sock, SOCK_NO_CHECK, sockError,
} from "../core/sock.ts";
import { copyFromIter, type Msghdr, type SockaddrIn } from "../core/sockaddr.ts";
import { IP_HLEN } from "../wire/ip.ts";
import { CSUM_MANGLED_0, UDP_HLEN, UH_DPORT, UH_SPORT, UH_SUM, UH_ULEN } from "../wire/udp.ts";
import {
  datagramConfirm, datagramMaySplit, datagramRoute, datagramRouteDaddr, datagramRouteError, datagramRouteSaddr, datagramSendAllowed, datagramTtl,
} from "./datagram.ts";
import { INET_CORK, INET_RECVERR, type InetSk, IP_CMSG_OPTIONS } from "./inet-sock.ts";
import { ipDontFragment, ipPushHeader, ipSendSkb, ipSkMtu } from "./ip-output.ts";
import { ipControl, ipFragments, ipOptions } from "./ip-parts.ts";
import { IpcmCookie } from "./ip-sockglue.ts";
import type { Rtable } from "./rtable.ts";

/** Room in front of the UDP header: alignment, tagged Ethernet, IP. */
const UDP_HEADROOM = NET_IP_ALIGN + 18 + IP_HLEN;
/** Longest datagram: what the IP header's length field leaves. */
const UDP_MAX_PAYLOAD = 0xffff - IP_HLEN - UDP_HLEN;

/** SkBuff.sacked of a corked datagram: its TTL, and the bytes of IP options that there is room for. */
const TTL_MASK = 0xff;
const OPTLEN_SHIFT = 8;

let ipc: IpcmCookie;

/** Boot time. */
export function udpOutputInit(): void {
  ipc = account("udp", new IpcmCookie());
}

function sendRefused(sk: Sock, err: number): number {
  sk.net.mib[UDP_MIB_SNDBUFERRORS]!++;
  if (err === -EAGAIN && sk.socket !== null) sk.socket.noSpace = true;
  return err;
}

/** May the socket send now? */
function sendAllowed(sk: Sock): number {
  const err = datagramSendAllowed(sk);
  return err === -EAGAIN ? sendRefused(sk, err) : err;
}

/**
 * Writes both headers and lets the packet go. Linux: udp_send_skb(). @param optlen bytes of the prepared IP options
 * @returns 0 or a negative errno; the packet is gone
 */
function udpSendSkb(
  sk: InetSk, skb: SkBuff, saddr: number, daddr: number, dport: number, ttl: number, tos: number, optlen: number,
): number {
  const net = sk.net;
  const uh = skbPush(skb, UDP_HLEN);
  const len = skb.len;
  const view = memView;
  skb.th = uh;
  view.setUint16(uh + UH_SPORT, sk.inet.num);
  view.setUint16(uh + UH_DPORT, dport);
  view.setUint16(uh + UH_ULEN, len);
  view.setUint16(uh + UH_SUM, 0);
  if ((sk.flags & SOCK_NO_CHECK) === 0) {
    const partial = skb.fragList === null ? csumPartial(uh, len) : skbFrags!.checksum(skb, 0, len);
    const sum = csumTcpudpMagic(saddr, daddr, len, IPPROTO_UDP, partial);
    view.setUint16(uh + UH_SUM, sum === 0 ? CSUM_MANGLED_0 : sum);
  }
  skb.priority = words[sk.cold + SK_PRIORITY]!;
  // What has further packets is to go in pieces.
  const df = skb.fragList === null && ipDontFragment(sk);
  if (optlen > 0) ipOptions!.push(skb, sk, saddr, daddr, IPPROTO_UDP, ttl, tos, df);
  else ipPushHeader(skb, sk, saddr, daddr, IPPROTO_UDP, ttl, tos, df);
  const err = ipSendSkb(net, skb);
  if (err === -ENOBUFS && (sk.inet.flags & INET_RECVERR) === 0) {
    net.mib[UDP_MIB_SNDBUFERRORS]!++;
    return 0;
  }
  if (err >= 0) net.mib[UDP_MIB_OUTDATAGRAMS]!++;
  return err < 0 ? err : 0;
}

/** The path does not take it, and may not get it in pieces: the socket's error queue says what it does take, and the connected peer's port. */
function tooLong(sk: InetSk, daddr: number, mtu: number): number {
  if (ipControl !== null) ipControl.localError(sk, EMSGSIZE, daddr, sk.inet.dport, mtu);
  return -EMSGSIZE;
}

/** Puts the message behind what a datagram has: 0 or a negative errno. Linux: ip_append_data(). */
function appendData(sk: InetSk, skb: SkBuff, msg: Msghdr, length: number, optlen: number): number {
  const mtu = ipSkMtu(sk, skb.dst as Rtable) - optlen;
  const whole = IP_HLEN + UDP_HLEN + skb.len + length;
  if (skb.fragList === null && length <= skbTailroom(skb) && whole <= mtu) {
    return copyFromIter(skbPut(skb, length), msg, length) === length ? 0 : -EFAULT;
  }
  if (whole > 0xffff || !datagramMaySplit(sk)) return tooLong(sk, skb.seq, mtu);
  return ipFragments!.append(sk, skb, msg, length, mtu, UDP_HLEN);
}

/** Appends the message to the corked datagram, and sends that when nothing holds it back any more. */
function appendPending(sk: InetSk, msg: Msghdr, length: number, more: boolean): number {
  const skb = sk.writeQueue.head!;
  let err = sk.err !== 0 ? sockError(sk) : (sk.shutdown & SEND_SHUTDOWN) !== 0 ? -EPIPE : 0;
  if (err === 0) err = appendData(sk, skb, msg, length, skb.sacked >> OPTLEN_SHIFT);
  if (err < 0) {
    udpFlushPendingFrames(sk);
    return err;
  }
  if (!more) err = udpPushPendingFrames(sk);
  return err < 0 ? err : length;
}

/**
 * Sends the corked datagram, if there is one. Linux: udp_push_pending_frames(). Its IP options are those that the socket has now,
 * where there is room for them since the datagram was begun. 0 or a negative errno.
 */
export function udpPushPendingFrames(sk: InetSk): number {
  const skb = skbDequeue(sk.writeQueue);
  if (skb === null) return 0;
  const room = skb.sacked >> OPTLEN_SHIFT;
  const optlen = room > 0 && (sk.inet.flags & IP_CMSG_OPTIONS) !== 0 ? ipOptions!.prepare(sk.index) : 0;
  return udpSendSkb(sk, skb, skb.ackSeq, skb.seq, skb.endSeq, skb.sacked & TTL_MASK, skb.tcpFlags, optlen > room ? 0 : optlen);
}

/** Forgets the corked datagram. Linux: udp_flush_pending_frames(). */
export function udpFlushPendingFrames(sk: InetSk): void {
  skbQueuePurge(sk.writeQueue);
}

/**
 * Builds the packet and sends or corks it. Takes over the reference of `rt`.
 * @returns `length` or a negative errno
 */
function udpMakeSkb(
  sk: InetSk, msg: Msghdr, length: number, rt: Rtable, saddr: number, daddr: number, dport: number, more: boolean,
): number {
  let err = sendAllowed(sk);
  const optlen = ipc.optlen;
  const size = UDP_HEADROOM + optlen + UDP_HLEN + length;
  const mtu = ipSkMtu(sk, rt);
  const split = size > skbBufferBytes || IP_HLEN + optlen + UDP_HLEN + length > mtu;
  if (err === 0 && split && !datagramMaySplit(sk)) err = tooLong(sk, daddr, mtu - optlen);
  if (err < 0) {
    dstRelease(rt);
    return err;
  }
  const skb = allocSkb(split ? skbBufferBytes : size);
  if (skb === null) {
    dstRelease(rt);
    return sendRefused(sk, -ENOBUFS);
  }
  skbReserve(skb, UDP_HEADROOM + optlen + UDP_HLEN);
  skb.dst = rt;
  skbSetOwnerW(skb, sk);
  err = split ? appendData(sk, skb, msg, length, optlen) : copyFromIter(skbPut(skb, length), msg, length) === length ? 0 : -EFAULT;
  if (err < 0) {
    consumeSkb(skb);
    return err === -ENOBUFS ? sendRefused(sk, err) : err;
  }
  skb.mark = ipc.mark;
  const ttl = datagramTtl(sk, rt, ipc.ttl);
  const tos = ipc.tos < 0 ? sk.inet.tos : ipc.tos;
  if (more) {
    skb.ackSeq = saddr;
    skb.seq = daddr;
    skb.endSeq = dport;
    skb.sacked = ttl | (optlen << OPTLEN_SHIFT);
    skb.tcpFlags = tos;
    skbQueueTail(sk.writeQueue, skb);
    return length;
  }
  err = udpSendSkb(sk, skb, saddr, daddr, dport, ttl, tos, optlen);
  return err < 0 ? err : length;
}

/**
 * Sends one datagram to the message's name or the connected peer; with MSG_MORE or UDP_CORK it waits for more. Linux:
 * udp_sendmsg().
 * @returns `length`, or -EMSGSIZE, -EOPNOTSUPP (MSG_OOB), -EINVAL (port 0, bad control message), -EAFNOSUPPORT,
 *   -EDESTADDRREQ, -EACCES (broadcast without SO_BROADCAST), -EPIPE, -EAGAIN, -ENOBUFS, a routing error, the pending
 * error
 */
export function udpSendmsg(sock: Sock, msg: Msghdr, length: number): number {
  const sk = sock as InetSk;
  const inet = sk.inet;
  const flags = msg.flags;
  if (length > UDP_MAX_PAYLOAD) return -EMSGSIZE;
  if ((flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
  const more = (inet.flags & INET_CORK) !== 0 || (flags & MSG_MORE) !== 0;
  if (sk.writeQueue.head !== null) return appendPending(sk, msg, length, more);
  const name = msg.name as SockaddrIn | null;
  let daddr = inet.daddr;
  let dport = inet.dport;
  let connected = false;
  if (name !== null) {
    if (name.family !== AF_INET && name.family !== AF_UNSPEC) return -EAFNOSUPPORT;
    daddr = name.addr | 0;
    dport = name.port;
    if ((dport & 0xffff) !== dport || dport === 0) return -EINVAL;
  } else {
    if (sk.state !== TCP_ESTABLISHED) return -EDESTADDRREQ;
    connected = true;
  }
  const cookie = ipc;
  cookie.addr = inet.saddr;
  cookie.oif = sk.boundDevIf;
  cookie.ttl = 0;
  cookie.tos = -1;
  cookie.mark = words[sk.cold + SK_MARK]!;
  cookie.optlen = 0;
  if (msg.controllen > 0) {
    const err = ipControl === null ? -EINVAL : ipControl.send(sk, msg, cookie);
    if (err < 0) return err;
    // A datagram that gathers keeps no options but its socket's.
    if (more && cookie.optlen > 0) return -EINVAL;
    connected = false;
  }
  let saddr = cookie.addr;
  let rt: Rtable | null = null;
  let hop = daddr;
  if (cookie.optlen === 0 && (inet.flags & IP_CMSG_OPTIONS) !== 0) cookie.optlen = ipOptions!.prepare(sk.index);
  if (cookie.optlen > 0) {
    hop = ipOptions!.firstHop(daddr);
    connected = false;
    if (daddr === 0 && hop !== 0) return -EINVAL;
  }
  if (connected && (flags & MSG_DONTROUTE) === 0) {
    rt = skDstCheck(sk) as Rtable | null;
    if (rt !== null) dstHold(rt);
  }
  if (rt === null) {
    const tos = cookie.tos < 0 ? inet.tos : cookie.tos;
    rt = datagramRoute(sk, hop, saddr, cookie.oif, tos, (flags & MSG_DONTROUTE) !== 0, (inet.num << 16) | dport);
    if (rt === null) return datagramRouteError();
    saddr = datagramRouteSaddr();
    if (hop === daddr) daddr = datagramRouteDaddr();
    if (connected) skDstSet(sk, dstHold(rt));
  }
  if ((flags & MSG_CONFIRM) !== 0 && datagramConfirm(rt, daddr, flags, length)) {
    dstRelease(rt);
    return 0;
  }
  return udpMakeSkb(sk, msg, length, rt, saddr, daddr, dport, more);
}
