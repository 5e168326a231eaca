/**
 * The UDP protocol as sockets see it: its proto, connecting, options, closing, and its start-up. Linux: udp_prot of
 * net/ipv4/udp.c, net/ipv4/datagram.c; read first udp(7). Owns nothing: the table is in udp-table.ts, the packet paths
 * are in udp-input.ts and udp-output.ts.
 */
import { getRandomU32 } from "../../lib/random.ts";
import { words } from "../../lib/table.ts";
import { EAFNOSUPPORT, EINVAL, ENOIOCTLCMD, ENOPROTOOPT, EOPNOTSUPP } from "../../uapi/errno.ts";
import { IPPROTO_UDP } from "../../uapi/in.ts";
import { SIOCINQ, SIOCOUTQ } from "../../uapi/ioctl.ts";
import { AF_INET, SOCK_DGRAM, SOL_UDP } from "../../uapi/socket.ts";
import { TCP_CLOSE, TCP_ESTABLISHED } from "../../uapi/tcp.ts";
import { UDP_CORK } from "../../uapi/udp.ts";
import { datagramPoll } from "../core/datagram.ts";
import type { Net } from "../core/net.ts";
import { skbChainPurge, skbQueuePurge } from "../core/skb-queue.ts";
import {
  type Proto, SK_USERLOCKS, skDstReset, skDstSet, type Sock, SOCK_BINDADDR_LOCK, SOCK_BINDPORT_LOCK, sockCount,
  sockDefWriteSpace, sockOrphan, sockPut,
} from "../core/sock.ts";
import type { SockaddrIn } from "../core/sockaddr.ts";
import { inetDgramOps, inetSkAlloc, inetSkFree } from "./af-inet.ts";
import { INET_CORK } from "./inet-sock.ts";
import { INET_PROTOSW_PERMANENT, inetRegisterProtosw } from "./inetsw.ts";
import type { InetSk } from "./inet-sock.ts";
import { inetAddProtocol } from "./protocol.ts";
import { udpErr, udpQueueRcvSkb, udpRcv, udpRecvmsg } from "./udp-input.ts";
import {
  udpFlushPendingFrames, udpOutputInit, udpPushPendingFrames, udpRoute, udpRouteDaddr, udpRouteError, udpRouteSaddr,
  udpSendmsg,
} from "./udp-output.ts";
import { udpGetPort, udpTableInit, udpUnhash } from "./udp-table.ts";

/**
 * Boot: after sockInit(), inetInit(), inetProtocolsInit() and randomInit(). The port table has a head for each sock.
 */
export function udpInit(): void {
  udpTableInit(sockCount());
  udpOutputInit();
  inetAddProtocol(IPPROTO_UDP, udpProtocol);
  inetRegisterProtosw(udpProtosw);
}

function udpAlloc(net: Net): Sock | null {
  return inetSkAlloc(net, udpProt);
}

function udpInitSock(): number {
  return 0;
}

/** Linux: udp_lib_close(), udp_destroy_sock(), sk_common_release(). */
function udpClose(sk: Sock): void {
  udpFlushPendingFrames(sk as InetSk);
  udpUnhash(sk);
  skbQueuePurge(sk.receiveQueue);
  sk.errorQueue = skbChainPurge(sk.errorQueue);
  sockOrphan(sk);
  sockPut(sk);
}

/** Fixes the peer, and with it the local address. Linux: ip4_datagram_connect(). 0 or a negative errno. */
function udpConnect(sock: Sock, addr: SockaddrIn): number {
  const sk = sock as InetSk;
  const inet = sk.inet;
  if (addr.family !== AF_INET) return -EAFNOSUPPORT;
  if ((addr.port & 0xffff) !== addr.port) return -EINVAL;
  skDstReset(sk);
  const rt = udpRoute(sk, addr.addr | 0, addr.port, inet.saddr, sk.boundDevIf, inet.tos, false);
  if (rt === null) return udpRouteError();
  const saddr = udpRouteSaddr();
  if (inet.saddr === 0) inet.saddr = saddr;
  if (inet.rcvSaddr === 0) inet.rcvSaddr = saddr;
  inet.daddr = udpRouteDaddr();
  inet.dport = addr.port;
  inet.id = getRandomU32() & 0xffff;
  sk.state = TCP_ESTABLISHED;
  skDstSet(sk, rt);
  return 0;
}

/** Forgets the peer, and what bind() did not fix. Linux: __udp_disconnect(). */
function udpDisconnect(sock: Sock): number {
  const sk = sock as InetSk;
  const inet = sk.inet;
  sk.state = TCP_CLOSE;
  inet.daddr = 0;
  inet.dport = 0;
  sk.boundDevIf = 0;
  if ((words[sk.cold + SK_USERLOCKS]! & SOCK_BINDADDR_LOCK) === 0) inet.rcvSaddr = inet.saddr = 0;
  if ((words[sk.cold + SK_USERLOCKS]! & SOCK_BINDPORT_LOCK) === 0) udpUnhash(sk);
  skDstReset(sk);
  return 0;
}

function udpShutdown(): void {
  // The bits in sk.shutdown are all there is to it.
}

/** Options of level SOL_UDP. Linux: udp_lib_setsockopt(). */
function udpSetsockopt(sock: Sock, level: number, name: number, value: number): number {
  const sk = sock as InetSk;
  if (level !== SOL_UDP || name !== UDP_CORK) return -ENOPROTOOPT;
  if (value !== 0) sk.inet.flags |= INET_CORK;
  else sk.inet.flags &= ~INET_CORK;
  if (value === 0) udpPushPendingFrames(sk);
  return 0;
}

function udpGetsockopt(sk: Sock, level: number, name: number, out: Uint8Array | Int32Array): number {
  if (level !== SOL_UDP) return -EOPNOTSUPP;
  if (name !== UDP_CORK) return -ENOPROTOOPT;
  out[0] = ((sk as InetSk).inet.flags & INET_CORK) !== 0 ? 1 : 0;
  return 1;
}

/** Bytes on their way out, or of the next datagram. Linux: udp_ioctl(). */
function udpIoctl(sk: Sock, request: number, out: Int32Array): number {
  if (request === SIOCOUTQ) {
    out[0] = sk.wmemAlloc - 1;
    return 0;
  }
  if (request !== SIOCINQ) return -ENOIOCTLCMD;
  const skb = sk.receiveQueue.head;
  out[0] = skb === null ? 0 : skb.len;
  return 0;
}

function udpHash(): number {
  // The table is entered with the port.
  return 0;
}

/** Linux: struct proto udp_prot. */
export const udpProt: Proto = Object.freeze({
  name: "UDP",
  alloc: udpAlloc,
  free: inetSkFree,
  init: udpInitSock,
  close: udpClose,
  connect: udpConnect,
  disconnect: udpDisconnect,
  shutdown: udpShutdown,
  sendmsg: udpSendmsg,
  recvmsg: udpRecvmsg,
  setsockopt: udpSetsockopt,
  getsockopt: udpGetsockopt,
  ioctl: udpIoctl,
  backlogRcv: udpQueueRcvSkb,
  hash: udpHash,
  unhash: udpUnhash,
  getPort: udpGetPort,
  poll: datagramPoll,
  writeSpace: sockDefWriteSpace,
});

/** Linux: udp_protocol. */
const udpProtocol = Object.freeze({ handler: udpRcv, errHandler: udpErr, chained: true });

const udpProtosw = Object.freeze({
  type: SOCK_DGRAM,
  protocol: IPPROTO_UDP,
  prot: udpProt,
  ops: inetDgramOps,
  flags: INET_PROTOSW_PERMANENT,
});
