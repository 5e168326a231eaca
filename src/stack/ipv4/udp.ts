/**
 * The UDP protocol as sockets see it: its proto, options, closing, and its start-up. Linux: udp_prot of
 * net/ipv4/udp.c; read first udp(7). Owns nothing: the table is in udp-table.ts, the packet paths
 * are in udp-input.ts and udp-output.ts.
 */
import { ENOPROTOOPT, EOPNOTSUPP } from "../../uapi/errno.ts";
import { IPPROTO_UDP } from "../../uapi/in.ts";
import { SOCK_DGRAM, SOL_UDP } from "../../uapi/socket.ts";
import { UDP_CORK } from "../../uapi/udp.ts";
import { datagramPoll } from "../core/datagram.ts";
import type { Net } from "../core/net.ts";
import { skbChainPurge, skbQueuePurge } from "../core/skb-queue.ts";
import type { Sockaddr, SockaddrIn } from "../core/sockaddr.ts";
import { type Proto, type Sock, sockCount, sockDefWriteSpace, sockOrphan, sockPut } from "../core/sock.ts";
import { inetDgramOps, inetSkAlloc, inetSkFree } from "./af-inet.ts";
import { datagramConnect, datagramDisconnect, datagramIoctl, datagramShutdown } from "./datagram.ts";
import { INET_CORK } from "./inet-sock.ts";
import { INET_PROTOSW_PERMANENT, inetRegisterProtosw } from "./inetsw.ts";
import type { InetSk } from "./inet-sock.ts";
import { inetAddProtocol } from "./protocol.ts";
import { udpErr, udpQueueRcvSkb, udpRcv, udpRecvmsg } from "./udp-input.ts";
import { udpFlushPendingFrames, udpOutputInit, udpPushPendingFrames, udpSendmsg } from "./udp-output.ts";
import { udpGetPort, udpRehash, udpTableInit, udpUnhash } from "./udp-table.ts";

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

/** The peer brings a local address with it, where bind() gave none. Linux: ip4_datagram_connect(). */
function udpConnect(sock: Sock, addr: Sockaddr): number {
  const sk = sock as InetSk;
  const before = sk.inet.rcvSaddr;
  const err = datagramConnect(sk, addr as SockaddrIn);
  if (sk.inet.rcvSaddr !== before) udpRehash(sk);
  return err;
}

/** Linux: udp_disconnect(). */
function udpDisconnect(sock: Sock): number {
  const sk = sock as InetSk;
  const before = sk.inet.rcvSaddr;
  datagramDisconnect(sk);
  if (sk.inet.rcvSaddr !== before && sk.inet.num !== 0) udpRehash(sk);
  return 0;
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
  shutdown: datagramShutdown,
  sendmsg: udpSendmsg,
  recvmsg: udpRecvmsg,
  setsockopt: udpSetsockopt,
  getsockopt: udpGetsockopt,
  ioctl: datagramIoctl,
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
