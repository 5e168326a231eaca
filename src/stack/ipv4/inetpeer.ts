/**
 * What is remembered of other hosts, so that none is told too much: one budget for ICMP errors, for errors about packets without a way, and
 * for redirects, as on Linux, where a host that was sent a redirect hears of no error in the second after. Linux: struct inet_peer,
 * inet_getpeer_v4(), inet_peer_xrlim_allow() of net/ipv4/inetpeer.c; in the place of its tree stands a small table in which hosts of
 * one slot take turns.
 *
 * Owns the table: a row is an address, the time in ms that it has saved up, jiffies of its last use, and its namespace with how many
 * redirects it was sent.
 */
import { words, wordTable } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import type { Net } from "../core/net.ts";

export const PEER_TOKENS = 1;
export const PEER_LAST = 2;
const PEER_REDIRECTS = 3;
const PEER_WORDS = 4;
/** PEER_REDIRECTS: how far left of the count the namespace is. */
const NET_SHIFT = 8;
/** How long a host that was not known has been silent, in ms: longer than anything here asks for. */
const SILENCE_MS = 60_000;
/** Messages a host may get at once after silence (XRLIM_BURST_FACTOR). */
const BURST = 6;

/** Where in `words` the rows are. */
let peers = 0;
let peerMask = 0;

/** Words of the table. */
export function inetPeerWords(count: number): number {
  return count * PEER_WORDS;
}

/** Boot time. Linux: inet_initpeers(). @param count hosts remembered, a power of two */
export function inetPeerInit(count: number): void {
  peers = wordTable("inet_peer", inetPeerWords(count));
  peerMask = count - 1;
}

/** The row of a host, new when another was there: an offset in `words`. Linux: inet_getpeer_v4(). */
export function inetGetpeer(net: Net, addr: number): number {
  const peer = peers + ((addr ^ (addr >> 8) ^ net.id) & peerMask) * PEER_WORDS;
  if (words[peer] !== addr || words[peer + PEER_REDIRECTS]! >> NET_SHIFT !== net.id) {
    words[peer] = addr;
    words[peer + PEER_TOKENS] = 0;
    words[peer + PEER_LAST] = (jiffies - SILENCE_MS) | 0;
    words[peer + PEER_REDIRECTS] = net.id << NET_SHIFT;
  }
  return peer;
}

/** For how long nothing was sent to that host, in ms; what lies too far back to be told is the longest silence. */
export function inetPeerIdle(peer: number): number {
  const idle = (jiffies - words[peer + PEER_LAST]!) | 0;
  return idle < 0 || idle > SILENCE_MS ? SILENCE_MS : idle;
}

/**
 * Adds what was saved up since the last time, and takes the cost if there is as much. @param cost in ms @param most that may be
 * saved up, in ms @returns false when it was too little
 */
export function inetPeerTake(peer: number, cost: number, most: number): boolean {
  let tokens = words[peer + PEER_TOKENS]! + inetPeerIdle(peer);
  if (tokens > most) tokens = most;
  const enough = tokens >= cost;
  words[peer + PEER_TOKENS] = enough ? tokens - cost : tokens;
  words[peer + PEER_LAST] = jiffies;
  return enough;
}

/** May that host be sent one more message? One each `timeout` ms, six at once. Linux: inet_peer_xrlim_allow(). */
export function inetPeerXrlimAllow(peer: number, timeout: number): boolean {
  return inetPeerTake(peer, timeout, BURST * timeout);
}

/** Redirects that host was sent since it was silent. Linux: inet_peer.n_redirects. */
export function inetPeerRedirects(peer: number): number {
  return words[peer + PEER_REDIRECTS]! & ((1 << NET_SHIFT) - 1);
}

export function inetPeerSetRedirects(peer: number, net: Net, count: number): void {
  words[peer + PEER_REDIRECTS] = (net.id << NET_SHIFT) | count;
}
