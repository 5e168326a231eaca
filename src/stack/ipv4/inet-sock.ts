/**
 * inet_sock: what every IPv4 socket adds to a sock: addresses, ports, IP options. Linux: include/net/inet_sock.h.
 * Owns one for each sock, made with it. `sk as InetSk` is Linux's inet_sk(sk): allowed for any sock whose family is AF_INET.
 */
import { IP_PMTUDISC_WANT } from "../../uapi/in.ts";
import { type Sock, sockByIndex } from "../core/sock.ts";

/** A sock of the IPv4 family. */
export interface InetSk extends Sock {
  inet: InetSock;
}

/** InetSock.flags bits: which control messages recvmsg() delivers. Linux: inet_cmsg_flags. */
export const IP_CMSG_PKTINFO = 1;
export const IP_CMSG_TTL = 2;
export const IP_CMSG_TOS = 4;
/** The socket has IP_OPTIONS: no control message, but a bit that is at hand. */
export const IP_CMSG_OPTIONS = 8;
/** And what the program switched on (inet_flags): bind() takes any address (IP_FREEBIND); IP_HDRINCL (raw). */
export const INET_FREEBIND = 16;
export const INET_HDRINCL = 32;
/** IP_RECVERR: errors are queued for recvmsg(MSG_ERRQUEUE). */
export const INET_RECVERR = 64;
/** UDP_CORK is on: datagrams gather until it goes off. */
export const INET_CORK = 128;
/** Packets to groups come back to this host (IP_MULTICAST_LOOP). */
export const INET_MC_LOOP = 256;
/** Packets to groups that others joined are heard, too (IP_MULTICAST_ALL). */
export const INET_MC_ALL = 512;
/** The socket is a member of groups. */
export const INET_MC_MEMBER = 1024;
/** Control messages again: options of packets, as they are and as an answer has them, where ipOptions was listed at boot. */
export const IP_CMSG_RECVOPTS = 2048;
export const IP_CMSG_RETOPTS = 4096;
/** The raw socket takes packets on their way through that have a router alert (IP_ROUTER_ALERT). */
export const INET_ROUTER_ALERT = 8192;
/** A control message: where the packet was sent to (IP_RECVORIGDSTADDR), where socketOptions was listed at boot. */
export const IP_CMSG_ORIGDSTADDR = 16384;

export class InetSock {
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
  /** IP_CMSG_* and INET_*. What else an IPv4 socket has is in the cold words of its sock (SK_MC_*). */
  flags = INET_MC_LOOP | INET_MC_ALL;
}

/** Gives each sock its inet part, which it keeps: a sock of another family leaves it alone. Boot time, after sockInit(). */
export function inetSockInit(count: number): void {
  for (let index = 0; index < count; index++) sockByIndex(index).inet = new InetSock();
}

/** The inet part of a new sock, everything at its default. */
export function inetSockReset(sk: Sock, pmtudisc: number): InetSock {
  const inet = (sk as InetSk).inet;
  inet.daddr = inet.rcvSaddr = inet.saddr = 0;
  inet.dport = inet.num = 0;
  inet.tos = 0;
  inet.ucTtl = -1;
  inet.pmtudisc = pmtudisc;
  inet.id = 0;
  inet.flags = INET_MC_LOOP | INET_MC_ALL;
  return inet;
}
