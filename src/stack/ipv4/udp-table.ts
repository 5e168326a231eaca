/**
 * The table of UDP sockets by local port: binding, its conflict rules, and the lookup with scores. Linux: udp_table,
 * udp_lib_get_port(), __udp4_lib_lookup() of net/ipv4/udp.c. Owns the hash heads; the chains run through
 * Sock.hashNext, and a socket is in one from bind (or autobind) to close.
 */
import { account } from "../../lib/account.ts";
import { jhash3words } from "../../lib/jhash.ts";
import { getRandomBelow, getRandomU32 } from "../../lib/random.ts";
import { EADDRINUSE } from "../../uapi/errno.ts";
import { inClassD } from "../../uapi/in.ts";
import { TCP_ESTABLISHED } from "../../uapi/tcp.ts";
import type { Net } from "../core/net.ts";
import type { Sock } from "../core/sock.ts";
import { SOCK_REUSE, SOCK_REUSEPORT } from "../core/sock.ts";
import { inetSkPortRange, portHigh, portLow } from "./inet-ports.ts";
import type { InetSk } from "./inet-sock.ts";
import { ipMulticast } from "./ip-parts.ts";

/** Points of compute_score() for each of peer address, peer port and device that fits. */
const SCORE_MATCH = 4;
/** A local address that fits is worth more than all of those: Linux asks its sockets first, and the others only if there is none. */
const SCORE_ADDRESS = 16;

let heads: (Sock | null)[];
let mask = 0;
/** Secret of the hash that spreads flows over an SO_REUSEPORT group. */
let flowSecret = 0;

/** Boot: `buckets` is rounded up to a power of two. */
export function udpTableInit(buckets: number): void {
  let size = 1;
  while (size < buckets) size <<= 1;
  heads = account("udp_table", new Array<Sock | null>(size).fill(null));
  mask = size - 1;
  flowSecret = getRandomU32() | 0;
}

function bucketOf(net: Net, port: number): number {
  return (port + net.id) & mask;
}

/** First socket of the chain that holds the port's sockets, and others. */
export function udpChain(net: Net, port: number): InetSk | null {
  return heads[bucketOf(net, port)] as InetSk | null;
}

/** May the two not share a port? Linux: the test of udp_lib_lport_inuse(). */
function conflicts(sk: InetSk, sk2: InetSk): boolean {
  if ((sk.flags & SOCK_REUSE) !== 0 && (sk2.flags & SOCK_REUSE) !== 0) return false;
  if (sk.boundDevIf !== 0 && sk2.boundDevIf !== 0 && sk.boundDevIf !== sk2.boundDevIf) return false;
  const a = sk.inet.rcvSaddr;
  const b = sk2.inet.rcvSaddr;
  if (a !== 0 && b !== 0 && a !== b) return false;
  return !((sk.flags & SOCK_REUSEPORT) !== 0 && (sk2.flags & SOCK_REUSEPORT) !== 0);
}

function portInUse(sk: InetSk, port: number): boolean {
  for (let sk2 = udpChain(sk.net, port); sk2 !== null; sk2 = sk2.hashNext as InetSk | null) {
    if (sk2 !== sk && sk2.inet.num === port && sk2.net === sk.net && conflicts(sk, sk2)) return true;
  }
  return false;
}

/**
 * Binds to the port, or for 0 to a random free one of net.ipv4.ip_local_port_range. Linux: udp_lib_get_port().
 * @returns 0 or -EADDRINUSE
 */
export function udpGetPort(sk: Sock, port: number): number {
  const inetSk = sk as InetSk;
  let found = port;
  if (port === 0) {
    inetSkPortRange(sk);
    const low = portLow;
    const range = portHigh - low + 1;
    // No parity rule here: that one keeps bind() and connect() of TCP apart.
    const start = getRandomBelow(range);
    let tried = 0;
    do {
      if (tried === range) return -EADDRINUSE;
      found = low + ((start + tried) % range);
      tried++;
    } while (portInUse(inetSk, found));
  } else if (portInUse(inetSk, port)) {
    return -EADDRINUSE;
  }
  inetSk.inet.num = found;
  enter(sk, bucketOf(sk.net, found));
  return 0;
}

/** The newest in front: among equals, the lookup finds the socket that got its address last. */
function enter(sk: Sock, bucket: number): void {
  sk.hashNext = heads[bucket]!;
  heads[bucket] = sk;
}

/** connect() or a disconnect has given the socket another local address. Linux: udp_lib_rehash(). */
export function udpRehash(sk: InetSk): void {
  const bucket = bucketOf(sk.net, sk.inet.num);
  leave(sk, bucket);
  enter(sk, bucket);
}

/** Leaves the table; the port is free again. Linux: udp_lib_unhash(). */
export function udpUnhash(sk: Sock): void {
  const inet = (sk as InetSk).inet;
  if (inet.num === 0) return;
  leave(sk, bucketOf(sk.net, inet.num));
  inet.num = 0;
}

function leave(sk: Sock, bucket: number): void {
  let previous: Sock | null = null;
  let at: Sock | null = heads[bucket]!;
  while (at !== null && at !== sk) {
    previous = at;
    at = at.hashNext;
  }
  if (at === sk) {
    if (previous === null) heads[bucket] = sk.hashNext;
    else previous.hashNext = sk.hashNext;
  }
  sk.hashNext = null;
}

/** How well a socket fits a packet, -1 for not at all. Linux: compute_score(). */
function computeScore(
  sk: InetSk, net: Net, saddr: number, sport: number, daddr: number, dport: number, dif: number,
): number {
  const inet = sk.inet;
  if (inet.num !== dport || sk.net !== net) return -1;
  let score = 0;
  const rcvSaddr = inet.rcvSaddr;
  if (rcvSaddr !== 0) {
    if (rcvSaddr !== daddr) return -1;
    score += SCORE_ADDRESS;
  }
  if (inet.daddr !== 0) {
    if (inet.daddr !== saddr) return -1;
    score += SCORE_MATCH;
  }
  if (inet.dport !== 0) {
    if (inet.dport !== sport) return -1;
    score += SCORE_MATCH;
  }
  const boundDevIf = sk.boundDevIf;
  if (boundDevIf !== 0) {
    if (boundDevIf !== dif) return -1;
    score += SCORE_MATCH;
  }
  return score;
}

/**
 * The socket for a packet from saddr:sport to daddr:dport that came in by device `dif`, or null. Of several that fit
 * equally well and have SO_REUSEPORT, the flow chooses one. Linux: __udp4_lib_lookup().
 */
export function udp4LibLookup(
  net: Net, saddr: number, sport: number, daddr: number, dport: number, dif: number,
): InetSk | null {
  let best: InetSk | null = null;
  let bestScore = -1;
  let group = 0;
  for (let sk = udpChain(net, dport); sk !== null; sk = sk.hashNext as InetSk | null) {
    const score = computeScore(sk, net, saddr, sport, daddr, dport, dif);
    if (score > bestScore) {
      best = sk;
      bestScore = score;
      group = 1;
    } else if (score === bestScore && score >= 0 && (sk.flags & SOCK_REUSEPORT) !== 0) {
      group++;
    }
  }
  if (group < 2 || (best!.flags & SOCK_REUSEPORT) === 0 || best!.state === TCP_ESTABLISHED) return best;
  const hash = jhash3words(saddr, daddr, (sport << 16) | dport, flowSecret);
  let skip = (hash >>> 0) % group;
  for (let sk: InetSk | null = best; sk !== null; sk = sk.hashNext as InetSk | null) {
    if ((sk.flags & SOCK_REUSEPORT) === 0 || computeScore(sk, net, saddr, sport, daddr, dport, dif) !== bestScore) continue;
    if (skip-- === 0) return sk;
  }
  return best;
}

/** Does a broadcast or group packet go to this socket as well? Linux: __udp_is_mcast_sock(). */
export function udpIsMcastSock(
  sk: InetSk, net: Net, saddr: number, sport: number, daddr: number, dport: number, dif: number,
): boolean {
  if (computeScore(sk, net, saddr, sport, daddr, dport, dif) < 0) return false;
  return ipMulticast === null || !inClassD(daddr) || ipMulticast.allow(sk, daddr, saddr, dif);
}
