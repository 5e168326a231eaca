/**
 * The table of listeners: by local port, of each the one that fits a connection request best. Linux: the lhash2 half of
 * net/ipv4/inet_hashtables.c. It holds no references: a listener that closes has been taken out before.
 */
import { account } from "../../lib/account.ts";
import type { Net } from "../core/net.ts";
import { type Sock, SOCK_REUSEPORT } from "../core/sock.ts";
import { inetEhashfn } from "./inet-hashtables.ts";
import type { TcpSk } from "./tcp-sock.ts";

/** Most heads of the table (INET_LHTABLE_SIZE). */
const LISTEN_HEADS_MAX = 32;

/** Listeners by local port, linked by Sock.hashNext. */
let listenHeads: (TcpSk | null)[];
let listenMask = 0;

/** Builds the table. Boot time only. @param socks handles of socks */
export function inetListenHashInit(socks: number): void {
  let listeners = 1;
  while (listeners < socks && listeners < LISTEN_HEADS_MAX) listeners <<= 1;
  listenHeads = account("listening_hash", new Array<TcpSk | null>(listeners).fill(null));
  listenMask = listeners - 1;
}

function listenHash(net: Net, port: number): number {
  return (port + net.id) & listenMask;
}

/**
 * How well a listener fits: -1 not at all, else more for a bound address and a bound device. Linux: compute_score().
 */
function computeScore(sk: TcpSk, net: Net, daddr: number, dport: number, dif: number): number {
  const inet = sk.inet;
  if (inet.num !== dport || sk.net !== net) return -1;
  let score = 2;
  if (inet.rcvSaddr !== 0) {
    if (inet.rcvSaddr !== daddr) return -1;
    score += 4;
  }
  if (sk.boundDevIf !== 0) {
    if (sk.boundDevIf !== dif) return -1;
    score += 4;
  }
  return score;
}

/**
 * The listener for a connection request: the best score; among equals of a SO_REUSEPORT group the one that the hash of
 * the flow chooses, so that a flow keeps its listener. Linux: __inet_lookup_listener().
 */
export function inetLookupListener(
  net: Net, daddr: number, dport: number, saddr: number, sport: number, dif: number,
): TcpSk | null {
  const first = listenHeads[listenHash(net, dport)]!;
  let best: TcpSk | null = null;
  let bestScore = -1;
  let group = 0;
  for (let sk: TcpSk | null = first; sk !== null; sk = sk.hashNext as TcpSk | null) {
    const score = computeScore(sk, net, daddr, dport, dif);
    if (score > bestScore) {
      best = sk;
      bestScore = score;
      group = 1;
    } else if (score === bestScore && score >= 0 && (sk.flags & SOCK_REUSEPORT) !== 0) {
      group++;
    }
  }
  if (group <= 1 || (best!.flags & SOCK_REUSEPORT) === 0) return best;
  let choice = (inetEhashfn(net, daddr, dport, saddr, sport) >>> 1) % group;
  for (let sk = first as TcpSk | null; sk !== null; sk = sk.hashNext as TcpSk | null) {
    if ((sk.flags & SOCK_REUSEPORT) !== 0 && computeScore(sk, net, daddr, dport, dif) === bestScore && choice-- === 0) return sk;
  }
  return best;
}

/** Enters a listener. */
export function inetListenHash(sk: TcpSk): void {
  const bucket = listenHash(sk.net, sk.inet.num);
  sk.hashNext = listenHeads[bucket]!;
  listenHeads[bucket] = sk;
}

/** Takes a listener out, if it is in. */
export function inetListenUnhash(sk: TcpSk): void {
  const bucket = listenHash(sk.net, sk.inet.num);
  let previous: Sock | null = null;
  for (let at: Sock | null = listenHeads[bucket]!; at !== null; at = at.hashNext) {
    if (at === sk) {
      if (previous === null) listenHeads[bucket] = sk.hashNext as TcpSk | null;
      else previous.hashNext = sk.hashNext;
      sk.hashNext = null;
      return;
    }
    previous = at;
  }
}

/** Calls the visitor with every listener; for `ss` and the like, not for packet paths. */
export function inetForEachListener(visit: (sk: TcpSk) => void): void {
  for (let i = 0; i <= listenMask; i++) {
    for (let sk: TcpSk | null = listenHeads[i]!; sk !== null; sk = sk.hashNext as TcpSk | null) visit(sk);
  }
}
