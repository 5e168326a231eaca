/**
 * The lookup tables of connections: ehash with every four-tuple (sockets, half-open requests and TIME_WAIT entries
 * together). Linux: net/ipv4/inet_hashtables.c, include/net/inet_hashtables.h. That of listeners is in inet-listen-hash.ts, that of
 * local ports in inet-bind.ts. The tables hold no references: who frees an entry has taken it out before.
 *
 * Nodes of ehash are numbers: the handle of a sock (Sock.index), then `ehashReqBase` + request, then `ehashTwBase` +
 * TIME_WAIT entry. A node costs 18 bytes: four words of key and a 16-bit link.
 *
 *     word 0 local address | 1 peer address | 2 local port << 16 + peer port | 3 namespace << 16 + bound device or 0
 */
import { jhash3words } from "../../lib/jhash.ts";
import { getRandomU32 } from "../../lib/random.ts";
import { halfTable, halfWords, halves, words, wordTable } from "../../lib/table.ts";
import { TCP_LISTEN } from "../../uapi/tcp.ts";
import type { Net } from "../core/net.ts";
import type { Sock } from "../core/sock.ts";
import type { InetSk } from "./inet-sock.ts";
import { tcpListening } from "./tcp-parts.ts";
import type { TcpSk } from "./tcp-sock.ts";

/** End of a chain. */
const END = 0xffff;
/** The node is in no chain. */
const UNHASHED = 0xfffe;
/** The half of a word that our own port is in, as in a segment that comes in. */
const PORT = 0xffff;

/** First node of requests: nodes below it are socks, by their index (sockByIndex). */
export let ehashReqBase = 0;
/** First node of TIME_WAIT entries. */
export let ehashTwBase = 0;

/** Where in `words` each node has four. */
let keys = 0;
/** Where in `halves` are: the next node of each in its chain, END or UNHASHED; the first node of each chain, or END. */
let links = 0;
let heads = 0;
let headMask = 0;
let ehashSecret = 0;

// The last connection found, with the question that it answers, for tcpV4Rcv(), as segments come in trains; no net as soon as
// any chain changes. Read-only elsewhere.
export let ehashLastNode = 0;
export let ehashLastNet: Net | null = null;
export let ehashLastPorts = 0;
export let ehashLastSaddr = 0;
export let ehashLastDaddr = 0;
export let ehashLastDif = 0;

/** Words of the tables for so many nodes. */
export function inetHashtablesWords(nodes: number, buckets: number): number {
  return (nodes << 2) + halfWords(nodes) + halfWords(buckets);
}

/**
 * Builds the tables. Boot time only.
 * @param socks handles of socks @param requests half-open connections @param timewaits TIME_WAIT entries; all together
 *   below 65534
 * @param buckets heads of ehash, a power of two
 */
export function inetHashtablesInit(socks: number, requests: number, timewaits: number, buckets: number): void {
  const nodes = socks + requests + timewaits;
  if (nodes >= UNHASHED) throw new RangeError(`inetHashtablesInit: ${nodes} connections; at most ${UNHASHED - 1}`);
  ehashReqBase = socks;
  ehashTwBase = socks + requests;
  keys = wordTable("ehash", nodes << 2);
  links = halfTable("ehash", nodes, UNHASHED);
  heads = halfTable("ehash", buckets, END);
  headMask = buckets - 1;
  ehashLastNet = null;
  ehashSecret = getRandomU32();
}

/** Hash of a four-tuple; also what SO_REUSEPORT chooses a listener by. Linux: inet_ehashfn(). */
export function inetEhashfn(net: Net, laddr: number, lport: number, faddr: number, fport: number): number {
  return jhash3words(laddr, faddr, (fport << 16) | lport, (ehashSecret + net.id) | 0);
}

/**
 * Finds the connection a segment belongs to. Linux: __inet_lookup_established().
 * @param saddr the sender, our peer @param daddr our end @param ports as the segment has them: our peer's in the high half
 * @param dif ifindex it came in by
 * @returns its node, or -1
 */
export function inetLookupEstablished(net: Net, saddr: number, daddr: number, ports: number, dif: number): number {
  const id = net.id;
  const anyDevice = id << 16;
  const key = words;
  const first = keys;
  let node = halves[heads + (jhash3words(daddr, saddr, ports, (ehashSecret + id) | 0) & headMask)]!;
  while (node !== END) {
    const at = first + (node << 2);
    if (key[at + 2] === ports && key[at + 1] === saddr && key[at] === daddr) {
      const where = key[at + 3]!;
      if (where === anyDevice || where === (anyDevice | dif)) {
        ehashLastNode = node;
        ehashLastNet = net;
        ehashLastPorts = ports;
        ehashLastSaddr = saddr;
        ehashLastDaddr = daddr;
        ehashLastDif = dif;
        return node;
      }
    }
    node = halves[links + node]!;
  }
  return -1;
}

/** Puts a node under its four-tuple; it must be in no chain. Linux: inet_ehash_insert(). */
export function inetEhashInsert(
  node: number, net: Net, laddr: number, lport: number, faddr: number, fport: number, boundDevIf: number,
): void {
  if (halves[links + node] !== UNHASHED) throw new Error(`inetEhashInsert: node ${node} is hashed already`);
  inetNodeSetKey(node, net, laddr, lport, faddr, fport, boundDevIf);
  const bucket = inetEhashfn(net, laddr, lport, faddr, fport) & headMask;
  halves[links + node] = halves[heads + bucket]!;
  halves[heads + bucket] = node;
}

/** Gives a node in no chain its four-tuple, for the functions that read it. */
export function inetNodeSetKey(
  node: number, net: Net, laddr: number, lport: number, faddr: number, fport: number, boundDevIf: number,
): void {
  const at = keys + (node << 2);
  ehashLastNet = null;
  words[at] = laddr;
  words[at + 1] = faddr;
  words[at + 2] = (fport << 16) | lport;
  words[at + 3] = (net.id << 16) | boundDevIf;
}

/** Takes a node out of its chain; false when it was in none. Linux: sk_nulls_del_node_init_rcu(). */
export function inetEhashRemove(node: number): boolean {
  const next = halves[links + node]!;
  if (next === UNHASHED) return false;
  ehashLastNet = null;
  const at = keys + (node << 2);
  const seed = (ehashSecret + (words[at + 3]! >>> 16)) | 0;
  const bucket = jhash3words(words[at]!, words[at + 1]!, words[at + 2]!, seed) & headMask;
  let previous = halves[heads + bucket]!;
  if (previous === node) {
    halves[heads + bucket] = next;
  } else {
    while (halves[links + previous] !== node) previous = halves[links + previous]!;
    halves[links + previous] = next;
  }
  halves[links + node] = UNHASHED;
  return true;
}

/** Is the node in a chain? */
export function inetEhashed(node: number): boolean {
  return halves[links + node] !== UNHASHED;
}

/** Local address of a hashed node. */
export function inetNodeLaddr(node: number): number {
  return words[keys + (node << 2)]!;
}

/** Peer address of a hashed node. */
export function inetNodeFaddr(node: number): number {
  return words[keys + (node << 2) + 1]!;
}

/** Local port of a hashed node. */
export function inetNodeLport(node: number): number {
  return words[keys + (node << 2) + 2]! & PORT;
}

/** Peer port of a hashed node. */
export function inetNodeFport(node: number): number {
  return words[keys + (node << 2) + 2]! >>> 16;
}

/** Device a hashed node is bound to, 0 for none. */
export function inetNodeBoundDev(node: number): number {
  return words[keys + (node << 2) + 3]! & 0xffff;
}

/** Namespace number of a hashed node (the low 16 bits of Net.id). */
export function inetNodeNetId(node: number): number {
  return words[keys + (node << 2) + 3]! >>> 16;
}

/** Enters a connected sock under its four-tuple, whatever its state. Linux: inet_ehash_nolisten(). */
export function inetEhashNolisten(sk: InetSk): void {
  const inet = sk.inet;
  inetEhashInsert(sk.index, sk.net, inet.rcvSaddr, inet.num, inet.daddr, inet.dport, sk.boundDevIf);
}

/** Enters a sock: a listener into the listening hash, any other into ehash. Always 0. Linux: inet_hash(). */
export function inetHash(sock: Sock): number {
  const sk = sock as TcpSk;
  if (sk.state === TCP_LISTEN) tcpListening!.hash(sk);
  else inetEhashNolisten(sk);
  return 0;
}

/** Takes a sock out of the table it is in, if any. Call it before the state changes. Linux: inet_unhash(). */
export function inetUnhash(sock: Sock): void {
  if (!inetEhashRemove(sock.index) && sock.state === TCP_LISTEN) tcpListening!.unhash(sock as TcpSk);
}
