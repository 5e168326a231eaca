/**
 * inet_sock: what every IPv4 socket adds to a sock: addresses, ports, IP options. Linux: include/net/inet_sock.h.
 * Owns the pool. `sk as InetSk` is Linux's inet_sk(sk): allowed for any sock whose family is AF_INET.
 */
import { type Pool, type Pooled, poolAlloc, poolCreate, poolFree } from "../../lib/pool.ts";
import { IP_PMTUDISC_WANT } from "../../uapi/in.ts";
import type { Sock } from "../core/sock.ts";

/** A sock of the IPv4 family. */
export interface InetSk extends Sock {
  inet: InetSock;
}

/** cmsg_flags bits: which control messages recvmsg() delivers. */
export const IP_CMSG_PKTINFO = 1;
export const IP_CMSG_TTL = 2;
export const IP_CMSG_TOS = 4;
/** The socket has IP_OPTIONS: no control message, but a bit that is at hand. */
export const IP_CMSG_OPTIONS = 8;

export class InetSock implements Pooled {
  /** Peer address; 0 when not connected. */
  daddr = 0;
  /** Address packets must be sent to; 0 for any. */
  rcvSaddr = 0;
  /** Peer port; 0 when not connected. */
  dport = 0;
  /** Local port; 0 when not bound. */
  num = 0;
  /** Source address of packets sent; 0 until routed. */
  saddr = 0;
  tos = 0;
  /** TTL of unicast packets, -1 for the namespace's default. */
  ucTtl = -1;
  pmtudisc = IP_PMTUDISC_WANT;
  /** Counter for the IP identification of this socket's packets. */
  id = 0;
  /** IP_CMSG_* */
  cmsgFlags = 0;
  /** IP_FREEBIND: bind() takes any address. */
  freebind = false;
  /** IP_HDRINCL (raw). */
  hdrincl = false;
  /** IP_RECVERR: errors are queued for recvmsg(MSG_ERRQUEUE). */
  recverr = false;
  /** UDP_CORK is on: datagrams gather until it goes off. */
  corked = false;
  mcTtl = 1;
  mcLoop = true;
  mcIndex = 0;
  mcAddr = 0;
  poolNext: Pooled | null = null;
}

let inetSocks: Pool<InetSock>;

/** Builds the pool: one for each sock. Boot time only. */
export function inetSockInit(count: number): void {
  inetSocks = poolCreate("inet_sock", count, () => new InetSock());
}

/** A fresh inet part, or null when the pool is empty. */
export function inetSockAlloc(pmtudisc: number): InetSock | null {
  const inet = poolAlloc(inetSocks);
  if (inet === null) return null;
  inet.daddr = inet.rcvSaddr = inet.saddr = 0;
  inet.dport = inet.num = 0;
  inet.tos = 0;
  inet.ucTtl = -1;
  inet.pmtudisc = pmtudisc;
  inet.id = 0;
  inet.cmsgFlags = 0;
  inet.freebind = inet.hdrincl = inet.recverr = inet.corked = false;
  inet.mcTtl = 1;
  inet.mcLoop = true;
  inet.mcIndex = inet.mcAddr = 0;
  return inet;
}

export function inetSockFree(inet: InetSock): void {
  poolFree(inetSocks, inet);
}
