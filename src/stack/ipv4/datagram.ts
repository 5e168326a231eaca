/**
 * What datagram sockets over IPv4 have in common, UDP, raw and ping: the peer, the way to a destination, and whether the socket
 * may send. Linux: net/ipv4/datagram.c, and the parts of ip_append_data() that ask the socket. Owns nothing.
 */
import { memView } from "../../lib/memory.ts";
import { getRandomU32 } from "../../lib/random.ts";
import { words } from "../../lib/table.ts";
import { EACCES, EAFNOSUPPORT, EAGAIN, EINVAL, ENETUNREACH, ENOIOCTLCMD, EPIPE } from "../../uapi/errno.ts";
import { IP_PMTUDISC_DO, IP_PMTUDISC_OMIT, inClassD } from "../../uapi/in.ts";
import { SIOCINQ, SIOCOUTQ } from "../../uapi/ioctl.ts";
import { RT_SCOPE_LINK } from "../../uapi/rtnetlink.ts";
import { IPSTATS_MIB_OUTNOROUTES } from "../../uapi/snmp.ts";
import { AF_INET, MSG_PROBE } from "../../uapi/socket.ts";
import { TCP_CLOSE, TCP_ESTABLISHED } from "../../uapi/tcp.ts";
import { dstRelease } from "../core/dst.ts";
import type { SkBuff } from "../core/skbuff.ts";
import {
  SEND_SHUTDOWN, SK_MC_ADDR, SK_MC_INDEX, SK_MC_TTL, SK_USERLOCKS, skDstReset, skDstSet, type Sock,
  SOCK_BINDADDR_LOCK, SOCK_BINDPORT_LOCK, SOCK_BROADCAST, sockError,
} from "../core/sock.ts";
import type { Msghdr, SockaddrIn } from "../core/sockaddr.ts";
import { IPH_SADDR } from "../wire/ip.ts";
import { FLOWI_FLAG_ANYSRC, flowi4SockInit, outputFlow } from "./flow.ts";
import { INET_HDRINCL, type InetSk } from "./inet-sock.ts";
import { inetSockopts, ipFragments } from "./ip-parts.ts";
import { ipRouteOutputFlow } from "./route.ts";
import { RTCF_BROADCAST, RTCF_MULTICAST, type Rtable } from "./rtable.ts";

/**
 * The route for a destination, with a reference for the caller, or null: datagramRouteError() says why. The source address
 * is in datagramRouteSaddr() then.
 * @param saddr 0 to have one selected @param oif device, 0 for any @param onlink without a gateway (MSG_DONTROUTE)
 * @param ports as of a flow: 0 for protocols without
 */
export function datagramRoute(
  sk: InetSk, daddr: number, saddr: number, oif: number, tos: number, onlink: boolean, ports: number,
): Rtable | null {
  const fl = outputFlow;
  const cold = sk.cold;
  let source = saddr;
  let device = oif;
  if (inClassD(daddr)) {
    if (device === 0) device = words[cold + SK_MC_INDEX]!;
    if (source === 0) source = words[cold + SK_MC_ADDR]!;
  } else if (device === 0 && inetSockopts !== null) {
    device = inetSockopts.unicastIf(sk);
  }
  flowi4SockInit(fl, sk, daddr, source, device, tos);
  fl.ports = ports;
  if (onlink) fl.scope = RT_SCOPE_LINK;
  if ((sk.inet.flags & INET_HDRINCL) !== 0) fl.flags = FLOWI_FLAG_ANYSRC;
  const rt = ipRouteOutputFlow(sk.net, fl, sk);
  if (rt === null) {
    if (fl.error === -ENETUNREACH) sk.net.mib[IPSTATS_MIB_OUTNOROUTES]!++;
    return null;
  }
  if ((rt.flags & RTCF_BROADCAST) !== 0 && (sk.flags & SOCK_BROADCAST) === 0) {
    dstRelease(rt);
    fl.error = -EACCES;
    return null;
  }
  return rt;
}

/** What datagramRoute() left: the error, or the source address and the destination (another one when 0 was asked for). */
export function datagramRouteError(): number {
  return outputFlow.error;
}

export function datagramRouteSaddr(): number {
  return outputFlow.saddr;
}

export function datagramRouteDaddr(): number {
  return outputFlow.daddr;
}

/**
 * MSG_CONFIRM: the program knows that the next hop hears this host. Linux: the do_confirm of its sendmsg functions.
 * @returns whether the message was only for that: MSG_PROBE, and it is empty
 */
export function datagramConfirm(rt: Rtable, daddr: number, flags: number, length: number): boolean {
  rt.ops.confirmNeigh(rt, daddr);
  return (flags & MSG_PROBE) !== 0 && length === 0;
}

/** The path to a destination takes less than we sent; a route that the socket keeps is looked up anew. Linux: ipv4_sk_update_pmtu(). */
export function datagramUpdatePmtu(sk: InetSk, skb: SkBuff, daddr: number, mtu: number): void {
  const inet = sk.inet;
  const rt = datagramRoute(sk, daddr, inet.saddr, sk.boundDevIf, inet.tos, false, (inet.num << 16) | inet.dport);
  if (rt === null) return;
  rt.ops.updatePmtu(rt, sk, skb, mtu);
  dstRelease(rt);
  if (sk.dst === null) return;
  const fresh = datagramRoute(sk, daddr, inet.saddr, sk.boundDevIf, inet.tos, false, (inet.num << 16) | inet.dport);
  if (fresh !== null) skDstSet(sk, fresh);
}

/** Fixes the peer, and with it the local address. Linux: ip4_datagram_connect(). 0 or a negative errno. */
export function datagramConnect(sock: Sock, addr: SockaddrIn): number {
  const sk = sock as InetSk;
  const inet = sk.inet;
  if (addr.family !== AF_INET) return -EAFNOSUPPORT;
  if ((addr.port & 0xffff) !== addr.port) return -EINVAL;
  skDstReset(sk);
  const rt = datagramRoute(sk, addr.addr | 0, inet.saddr, sk.boundDevIf, inet.tos, false, (inet.num << 16) | addr.port);
  if (rt === null) return outputFlow.error;
  if (inet.saddr === 0) inet.saddr = outputFlow.saddr;
  if (inet.rcvSaddr === 0) inet.rcvSaddr = outputFlow.saddr;
  inet.daddr = outputFlow.daddr;
  inet.dport = addr.port;
  inet.id = getRandomU32() & 0xffff;
  sk.state = TCP_ESTABLISHED;
  skDstSet(sk, rt);
  return 0;
}

/**
 * Forgets the peer, and what bind() did not fix. A raw socket without an address of its own leaves its table with that and hears
 * nothing any more: so it is on Linux. Linux: __udp_disconnect().
 */
export function datagramDisconnect(sock: Sock): number {
  const sk = sock as InetSk;
  const inet = sk.inet;
  const locks = words[sk.cold + SK_USERLOCKS]!;
  sk.state = TCP_CLOSE;
  inet.daddr = 0;
  inet.dport = 0;
  sk.boundDevIf = 0;
  if ((locks & SOCK_BINDADDR_LOCK) === 0) inet.rcvSaddr = inet.saddr = 0;
  if ((locks & SOCK_BINDPORT_LOCK) === 0) sk.prot.unhash(sk);
  skDstReset(sk);
  return 0;
}

/** shutdown(): the bits in sk.shutdown are all there is to it. */
export function datagramShutdown(): void {
  // Nothing is told to anybody.
}

/** Bytes on their way out, or of the next datagram. Linux: udp_ioctl(), raw_ioctl(). */
export function datagramIoctl(sk: Sock, request: number, out: Int32Array): number {
  if (request === SIOCOUTQ) {
    out[0] = sk.wmemAlloc - 1;
    return 0;
  }
  if (request !== SIOCINQ) return -ENOIOCTLCMD;
  const skb = sk.receiveQueue.head;
  out[0] = skb === null ? 0 : skb.len;
  return 0;
}

/**
 * May the socket send now? 0, the pending error, -EPIPE after shutdown(SHUT_WR), -EAGAIN when its send buffer is full.
 * Linux: the part of sock_alloc_send_skb() before the allocation.
 */
export function datagramSendAllowed(sk: Sock): number {
  if (sk.err !== 0) return sockError(sk);
  if ((sk.shutdown & SEND_SHUTDOWN) !== 0) return -EPIPE;
  return sk.wmemAlloc < sk.sndbuf ? 0 : -EAGAIN;
}

/**
 * The TTL for a destination: the call's, the socket's for groups or hosts, or the namespace's. Linux: ip_select_ttl().
 */
export function datagramTtl(sk: InetSk, rt: Rtable, ttl: number): number {
  if (ttl !== 0) return ttl;
  const inet = sk.inet;
  if ((rt.flags & RTCF_MULTICAST) !== 0) return words[sk.cold + SK_MC_TTL]!;
  return inet.ucTtl < 0 ? sk.net.ipv4.ipDefaultTtl : inet.ucTtl;
}

/** May the socket's datagrams go in pieces? Linux: ip_sk_ignore_df(). */
export function datagramMaySplit(sk: InetSk): boolean {
  const mode = sk.inet.pmtudisc;
  return ipFragments !== null && (mode < IP_PMTUDISC_DO || mode === IP_PMTUDISC_OMIT);
}

/** Names the sender of a packet that was read, where the program asks; there is no port. */
export function datagramPutSource(msg: Msghdr, skb: SkBuff): void {
  const name = msg.name as SockaddrIn | null;
  if (name === null) return;
  name.family = AF_INET;
  name.addr = memView.getInt32(skb.nh + IPH_SADDR);
  name.port = 0;
}
