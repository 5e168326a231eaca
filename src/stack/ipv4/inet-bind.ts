/**
 * Which local port a TCP socket gets: the conflict rules of bind(), free ports for bind() to port 0 and for connect().
 * Linux: inet_csk_get_port() of net/ipv4/inet_connection_sock.c, __inet_hash_connect() of net/ipv4/inet_hashtables.c,
 * tcp_twsk_unique() of net/ipv4/tcp_ipv4.c. Read first: RFC 6056 section 3.3.4 (double-hash port selection).
 *
 * bind() to port 0 looks at ports of the other parity than the low end of the range first, connect() at those of the
 * same, so that neither uses up what the other shares.
 */
import { getRandomBelow, secretTable } from "../../lib/random.ts";
import { siphash3u32, siphashHi } from "../../lib/siphash.ts";
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import { EADDRINUSE, EADDRNOTAVAIL, ENOMEM } from "../../uapi/errno.ts";
import { ipv4IsLoopback } from "../../uapi/in.ts";
import { LINUX_MIB_TIMEWAITRECYCLED } from "../../uapi/snmp.ts";
import { TCP_LISTEN } from "../../uapi/tcp.ts";
import type { Net } from "../core/net.ts";
import type { Sock } from "../core/sock.ts";
import { SOCK_REUSE, SOCK_REUSEPORT } from "../core/sock.ts";
import {
  BIND_TW_NONE, inetBindBucketCreate, inetBindBucketFind, inetBindBucketsFull, inetBindClearConnectOnly,
  inetBindConnectOnly, inetBindHash, inetBindHeads, inetBindOwners, inetBindTwFirst,
} from "./inet-bind-bucket.ts";
import { inetSkPortRange, portHigh, portLow } from "./inet-ports.ts";
import {
  ehashTwBase, inetEhashNolisten, inetLookupEstablished, inetNodeBoundDev, inetNodeFaddr, inetNodeLaddr,
} from "./inet-hashtables.ts";
import {
  inetTwskBindNext, inetTwskDeschedulePut, inetTwskReclaimBucket, TW_INFO, TW_REUSE, TW_REUSEPORT, TW_SND_NXT,
  TW_TS_RECENT, TW_TS_RECENT_STAMP, TW_TSTAMP, TW_WORDS, twRows,
} from "./inet-timewait-sock.ts";
import { ICSK_BIND_HASH, TP_TS_RECENT_STAMP } from "./tcp-cold.ts";
import type { TcpSk } from "./tcp-sock.ts";

/** How old the last timestamp of a TIME_WAIT entry must be for connect() to take over, in ms. */
const TW_REUSE_DELAY_MS = 1000;
/** net.ipv4.tcp_tw_reuse: only for connections over loopback. */
const TW_REUSE_LOOPBACK = 2;

/** Words of the key. */
export const PORT_SECRET_WORDS = 4;
/** Where in `words` the key of the port hash is (RFC 6056 calls it secret_key1 and 2). */
let portSecret = 0;
/** Where it is said how far each group of destinations has got in its range; the "table" of RFC 6056's algorithm 4. */
let tablePerturb = 0;

/** Makes the secrets. Boot time only, after inetBindBucketInit. */
export function inetBindInit(): void {
  portSecret = secretTable("port_secret", PORT_SECRET_WORDS);
  tablePerturb = secretTable("port_perturb", inetBindHeads());
}

/** Two bound addresses overlap: equal, or one is a wildcard. Linux: ipv4_rcv_saddr_equal(). */
function rcvSaddrOverlap(a: number, b: number): boolean {
  return a === b || a === 0 || b === 0;
}

/**
 * May an owner with these properties not share its port with `sk`? Linux: the loop body of inet_csk_bind_conflict().
 * @param relax SO_REUSEADDR on both is enough (a port asked for by number), else it is not @param reuseportOk likewise
 */
function ownersConflict(
  sk: TcpSk, relax: boolean, reuseportOk: boolean,
  dev: number, reuse: boolean, reuseport: boolean, listening: boolean, rcvSaddr: number,
): boolean {
  if (sk.boundDevIf !== 0 && dev !== 0 && sk.boundDevIf !== dev) return false;
  const bothReuseport = (sk.flags & SOCK_REUSEPORT) !== 0 && reuseport;
  if ((sk.flags & SOCK_REUSE) !== 0 && reuse && !listening) {
    if (relax && (reuseportOk || !bothReuseport)) return false;
  } else if (reuseportOk && bothReuseport) {
    return false;
  }
  return rcvSaddrOverlap(sk.inet.rcvSaddr, rcvSaddr);
}

/** Linux: inet_csk_bind_conflict(). */
function inetCskBindConflict(sk: TcpSk, bucket: number, relax: boolean, reuseportOk: boolean): boolean {
  for (let at: Sock | null = inetBindOwners(bucket); at !== null; at = at.bindNext) {
    if (at === sk) continue;
    const other = at as TcpSk;
    const listening = other.state === TCP_LISTEN;
    if (
      ownersConflict(
        sk, relax, reuseportOk, other.boundDevIf, (other.flags & SOCK_REUSE) !== 0, (other.flags & SOCK_REUSEPORT) !== 0, listening, other.inet.rcvSaddr,
      )
    ) return true;
  }
  for (let tw = inetBindTwFirst(bucket); tw !== BIND_TW_NONE; tw = inetTwskBindNext(tw)) {
    const info = words[twRows + tw * TW_WORDS + TW_INFO]!;
    const node = ehashTwBase + tw;
    const reuse = (info & TW_REUSE) !== 0;
    const reuseport = (info & TW_REUSEPORT) !== 0;
    if (
      ownersConflict(
        sk, relax, reuseportOk, inetNodeBoundDev(node), reuse, reuseport, false, inetNodeLaddr(node),
      )
    ) return true;
  }
  return false;
}

/** A new bucket; one that only TIME_WAIT entries own makes way when all are taken. -1 when none can be had. */
function bucketCreate(net: Net, port: number, connectOnly: boolean): number {
  if (inetBindBucketsFull()) inetTwskReclaimBucket();
  return inetBindBucketCreate(net, port, connectOnly);
}

/**
 * A port of the range that bind() may have, 0 when there is none. With SO_REUSEADDR the lower half comes first.
 * Linux: inet_csk_find_open_port().
 */
function findOpenPort(sk: TcpSk): number {
  const net = sk.net;
  inetSkPortRange(sk);
  const rangeLow = portLow;
  const rangeHigh = portHigh + 1;
  const halves = (sk.flags & SOCK_REUSE) !== 0 && rangeHigh - rangeLow >= 4;
  const half = rangeLow + (((rangeHigh - rangeLow) >> 2) << 1);
  for (let attempt = halves ? 1 : 0; attempt < 3; attempt++) {
    const low = attempt === 2 ? half : rangeLow;
    const high = attempt === 1 ? half : rangeHigh;
    let remaining = high - low;
    if (remaining > 1) remaining &= ~1;
    const offset = getRandomBelow(remaining);
    const parities = remaining > 1 ? 2 : 1;
    for (let parity = 0; parity < parities; parity++) {
      let port = low + (parity === 0 && remaining > 1 ? offset | 1 : offset & ~1);
      for (let i = 0; i < remaining; i += 2, port += 2) {
        if (port >= high) port -= remaining;
        const bucket = inetBindBucketFind(net, port);
        if (bucket < 0 || !inetCskBindConflict(sk, bucket, false, false)) return port;
      }
    }
    if (attempt === 0) break;
  }
  return 0;
}

/**
 * Binds to a port, 0 for any that is free; a listener that has its port is checked again. Linux: inet_csk_get_port().
 * @returns 0, or -EADDRINUSE (also when all port buckets are taken, as Linux answers for want of memory)
 */
export function inetCskGetPort(sock: Sock, wanted: number): number {
  const sk = sock as TcpSk;
  let port = wanted;
  if (port === 0) {
    port = findOpenPort(sk);
    if (port === 0) return -EADDRINUSE;
  }
  let bucket = inetBindBucketFind(sk.net, port);
  if (bucket < 0) {
    bucket = bucketCreate(sk.net, port, false);
    if (bucket < 0) return -EADDRINUSE;
  } else if (wanted !== 0 && inetCskBindConflict(sk, bucket, true, true)) {
    return -EADDRINUSE;
  }
  inetBindClearConnectOnly(bucket);
  if (words[sk.icsk.cold + ICSK_BIND_HASH]! < 0) inetBindHash(sk, bucket, port);
  return 0;
}

/** A child owns the port of its listener too: 0, or -ENOMEM. Linux: __inet_inherit_port(). */
export function inetInheritPort(listener: TcpSk, child: TcpSk): number {
  const bucket = words[listener.icsk.cold + ICSK_BIND_HASH]!;
  if (bucket < 0) return -ENOMEM;
  inetBindHash(child, bucket, listener.inet.num);
  return 0;
}

/**
 * May a new connection take the four-tuple of a TIME_WAIT entry? With timestamps it may, as PAWS (RFC 7323 section 5)
 * tells old segments; then it goes on behind the old sequence numbers (RFC 6191). Linux: tcp_twsk_unique().
 * @param chosen the port was chosen by connect(), which needs tcp_tw_reuse; one that the program named does not
 */
function tcpTwskUnique(sk: TcpSk, tw: number, chosen: boolean): boolean {
  const at = twRows + tw * TW_WORDS;
  if ((words[at + TW_INFO]! & TW_TSTAMP) === 0) return false;
  if (chosen) {
    const reuse = sk.net.ipv4.tcpTwReuse;
    const node = ehashTwBase + tw;
    if (reuse === 0) return false;
    if (reuse === TW_REUSE_LOOPBACK && !ipv4IsLoopback(inetNodeLaddr(node)) && !ipv4IsLoopback(inetNodeFaddr(node))) {
      return false;
    }
    if (((jiffies - words[at + TW_TS_RECENT_STAMP]!) | 0) <= TW_REUSE_DELAY_MS) return false;
  }
  const tp = sk.tp;
  const seq = (words[at + TW_SND_NXT]! + 65535 + 2) | 0;
  tp.writeSeq = seq === 0 ? 1 : seq;
  tp.tsRecent = words[at + TW_TS_RECENT]!;
  words[tp.cold + TP_TS_RECENT_STAMP] = words[at + TW_TS_RECENT_STAMP]!;
  return true;
}

/** Whom the last successful `tupleFree` found in TIME_WAIT under the four-tuple, or -1. */
let twFound = -1;

/**
 * Is the four-tuple of `sk` with this local port free, or to be had from TIME_WAIT? Linux: __inet_check_established().
 */
function tupleFree(sk: TcpSk, port: number, chosen: boolean): boolean {
  const inet = sk.inet;
  const node = inetLookupEstablished(sk.net, inet.daddr, inet.rcvSaddr, (inet.dport << 16) | port, sk.boundDevIf);
  twFound = -1;
  if (node < 0) return true;
  const tw = node - ehashTwBase;
  if (tw < 0 || !tcpTwskUnique(sk, tw, chosen)) return false;
  twFound = tw;
  return true;
}

/** Enters the connection, in place of the TIME_WAIT entry found. It owns its bucket by now. */
function hashUnique(sk: TcpSk): number {
  if (twFound >= 0) {
    sk.net.mib[LINUX_MIB_TIMEWAITRECYCLED]!++;
    inetTwskDeschedulePut(twFound);
  }
  inetEhashNolisten(sk);
  return 0;
}

/**
 * Gives a connection whose addresses and peer port are set its local port, unless it has one, and enters it into the
 * table. Linux: inet_hash_connect(). Start and step depend on a keyed hash of the destination (RFC 6056 algorithm 4).
 * @returns 0, -EADDRNOTAVAIL (no free four-tuple), -ENOMEM (no bucket left)
 */
export function inetHashConnect(sk: TcpSk): number {
  const inet = sk.inet;
  if (inet.num !== 0) return tupleFree(sk, inet.num, false) ? hashUnique(sk) : -EADDRNOTAVAIL;
  const net = sk.net;
  // A range of the socket's own is nobody else's matter: all its ports are as good.
  const step = inetSkPortRange(sk) ? 1 : 2;
  const low = portLow;
  const high = portHigh + 1;
  let remaining = high - low;
  if (step === 2 && remaining > 1) remaining &= ~1;
  const start = siphash3u32(inet.rcvSaddr, inet.daddr, inet.dport, words, portSecret) >>> 0;
  const perturbed = tablePerturb + (siphashHi() & (inetBindHeads() - 1));
  const first = ((start + (words[perturbed]! & 0xffff)) % remaining) & -step;
  for (let parity = 0; parity < step && parity < remaining; parity++) {
    let port = low + first + parity;
    for (let i = 0; i < remaining; i += step, port += step) {
      if (port >= high) port -= remaining;
      let bucket = inetBindBucketFind(net, port);
      if (bucket >= 0) {
        if (!inetBindConnectOnly(bucket) || !tupleFree(sk, port, true)) continue;
      } else {
        bucket = bucketCreate(net, port, true);
        if (bucket < 0) return -ENOMEM;
        twFound = -1;
      }
      words[perturbed]! += i + step + (getRandomBelow(8) << 1);
      inetBindHash(sk, bucket, port);
      return hashUnique(sk);
    }
  }
  return -EADDRNOTAVAIL;
}
