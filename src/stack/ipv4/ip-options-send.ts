/**
 * IP options of packets that are sent: those of a socket (IP_OPTIONS) or of a half-open connection, and those of an answer, which
 * are the question's turned round. Linux: ip_options_echo(), ip_options_build(), ip_options_get() and ip_options_undo() of
 * net/ipv4/ip_options.c, inet_opt and ireq_opt. Owns what sockets and requests keep, and the set prepared for the next packet.
 *
 * Read first: RFC 1122 section 3.2.2.6 (what an echo reply does with options), RFC 1812 section 4.3.2.6.
 */
import { account } from "../../lib/account.ts";
import { ipFastCsum } from "../../lib/checksum.ts";
import { mem8, memView } from "../../lib/memory.ts";
import { type Pool, poolAlloc, poolCreate, poolFree } from "../../lib/pool.ts";
import { EINVAL, ENOBUFS } from "../../uapi/errno.ts";
import { RTN_UNICAST } from "../../uapi/rtnetlink.ts";
import type { Net } from "../core/net.ts";
import { type SkBuff, skbPush } from "../core/skbuff.ts";
import type { Sock } from "../core/sock.ts";
import {
  IP_HLEN, IPH_CHECK, IPH_SADDR, IPOPT_END, IPOPT_LSRR, IPOPT_NOOP, IPOPT_OFFSET, IPOPT_OLEN, IPOPT_RR, IPOPT_SSRR,
  IPOPT_TIMESTAMP, IPOPT_TS_FLAGS, IPOPT_TS_PRESPEC, IPOPT_TS_TSANDADDR, IPOPT_TS_TSONLY, MAX_IPOPTLEN,
} from "../wire/ip.ts";
import { inetAddrType } from "./fib-lookup.ts";
import { IP_CMSG_OPTIONS, type InetSk } from "./inet-sock.ts";
import {
  inetTimestamp, IpOptions, ipOptionBytes, ipOptionsClear, ipOptionsCompile, ipOptionsOfCurrent, putWord, wordAt,
} from "./ip-options.ts";
import { ipPushHeader } from "./ip-output.ts";

/** Smallest pointer of a timestamp option that a host has written to. */
const TS_WRITTEN = 9;

let pool: Pool<IpOptions>;
/** Those of sockets and requests. */
let kept: (IpOptions | null)[];
/** What a packet said that is no longer being received, and what its answer says. */
let seen: IpOptions;
let answer: IpOptions;
/** Those that the next packet gets. */
let prepared: IpOptions;

/** Boot time. @param count sockets with options of their own */
export function ipOptionsSendInit(count: number): void {
  pool = poolCreate("ip_options", count, () => new IpOptions(MAX_IPOPTLEN));
  kept = account("ip_options", new Array<IpOptions | null>(count).fill(null));
  seen = account("ip_options", new IpOptions(0));
  answer = prepared = account("ip_options", new IpOptions(MAX_IPOPTLEN));
}

function find(owner: number): number {
  for (let i = 0; i < kept.length; i++) if (kept[i] !== null && kept[i]!.owner === owner) return i;
  return -1;
}

/** A copy for an owner, in place of what it has; false when no place is left. */
function keep(from: IpOptions, owner: number): boolean {
  const index = find(owner);
  const opt = index < 0 ? poolAlloc(pool) : kept[index]!;
  if (opt === null) return false;
  copyOptions(from, opt);
  opt.owner = owner;
  if (index < 0) kept[kept.indexOf(null)] = opt;
  return true;
}

/** The owner has none any more. */
export function ipOptionsRelease(owner: number): void {
  const index = find(owner);
  if (index < 0) return;
  poolFree(pool, kept[index]!);
  kept[index] = null;
}

/**
 * A SYN's options, turned round, are the request's: those of its SYN-ACK. Linux: tcp_v4_save_options().
 * @returns whether there are any: without a place, or when they are faulty, the answer goes without
 */
export function ipOptionsKeepEcho(net: Net, skb: SkBuff, owner: number): boolean {
  return ipOptionsEcho(net, skb) > 0 && keep(prepared, owner);
}

/** The request has become a connection, and its options that one's. */
export function ipOptionsMove(from: number, sk: Sock): void {
  kept[find(from)]!.owner = sk.index;
  (sk as InetSk).inet.flags |= IP_CMSG_OPTIONS;
}

/**
 * setsockopt(IP_OPTIONS); of no bytes it takes them away. Linux: ip_options_get(). 0, -EINVAL (too long, faulty), -ENOBUFS (no
 * socket more may have any)
 */
export function ipOptionsSet(sk: Sock, bytes: Uint8Array | Int32Array): number {
  const length = bytes.length;
  const inet = (sk as InetSk).inet;
  if (length > MAX_IPOPTLEN) return -EINVAL;
  if (length === 0) {
    ipOptionsRelease(sk.index);
    inet.flags &= ~IP_CMSG_OPTIONS;
    return 0;
  }
  if (!ipOptionsPrepareFrom(sk.net, bytes, length)) return -EINVAL;
  if (!keep(prepared, sk.index)) return -ENOBUFS;
  inet.flags |= IP_CMSG_OPTIONS;
  return 0;
}

/** The next packet gets these options, where nobody else's are; false when they are faulty. @param length at most 40 */
export function ipOptionsPrepareFrom(net: Net, bytes: Uint8Array | Int32Array, length: number): boolean {
  const read = answer;
  for (let i = 0; i < MAX_IPOPTLEN; i++) read.data[i] = i < length ? bytes[i]! : IPOPT_END;
  ipOptionsClear(read, (length + 3) & ~3);
  prepared = read;
  return ipOptionsCompile(net, read, read.data, 0, null) === 0;
}

function copyOptions(from: IpOptions, to: IpOptions): void {
  to.optlen = from.optlen;
  to.faddr = from.faddr;
  to.srr = from.srr;
  to.rr = from.rr;
  to.ts = from.ts;
  to.strict = from.strict;
  to.rrNeedaddr = from.rrNeedaddr;
  to.tsNeedaddr = from.tsNeedaddr;
  to.tsNeedtime = from.tsNeedtime;
  to.data.set(from.data);
}

/** getsockopt(IP_OPTIONS): as they were set; the bytes, or -EINVAL when they do not fit. */
export function ipOptionsGet(sk: Sock, out: Uint8Array | Int32Array): number {
  const index = find(sk.index);
  if (index < 0) return 0;
  if (out.length < kept[index]!.optlen) return -EINVAL;
  return undo(kept[index]!, out);
}

/** The prepared options as a program writes them: their bytes. */
export function ipOptionsUndo(out: Uint8Array): number {
  return undo(prepared, out);
}

/** The word that this host was to fill in is empty, and the next one to be filled in. */
function takeBack(out: Uint8Array | Int32Array, at: number): void {
  const pointer = out[at + IPOPT_OFFSET]! - 4;
  out[at + IPOPT_OFFSET] = pointer;
  for (let i = 0; i < 4; i++) out[at + pointer - 1 + i] = 0;
}

/** Linux: ip_options_undo(). */
function undo(opt: IpOptions, out: Uint8Array | Int32Array): number {
  const { data, optlen } = opt;
  for (let i = 0; i < optlen; i++) out[i] = data[i]!;
  if (opt.srr !== 0) {
    const at = opt.srr - IP_HLEN;
    for (let i = at + data[at + IPOPT_OLEN]! - 1; i >= at + 7; i--) out[i] = out[i - 4]!;
    for (let i = 0; i < 4; i++) out[at + 3 + i] = (opt.faddr >> (24 - 8 * i)) & 255;
  }
  if (opt.rrNeedaddr) takeBack(out, opt.rr - IP_HLEN);
  const ts = opt.ts - IP_HLEN;
  if (opt.tsNeedtime) {
    takeBack(out, ts);
    // The address in front of the time was there before.
    if ((data[ts + IPOPT_TS_FLAGS]! & 15) === IPOPT_TS_PRESPEC) out[ts + IPOPT_OFFSET]! -= 4;
  }
  if (opt.tsNeedaddr) takeBack(out, ts);
  return optlen;
}

/** The next packet gets the options of a socket or request: their bytes. */
export function ipOptionsPrepare(owner: number): number {
  prepared = kept[find(owner)]!;
  return prepared.optlen;
}

/** The bytes of a socket's options. */
export function ipOptionsLength(sk: Sock): number {
  return kept[find(sk.index)]!.optlen;
}

/** Do the prepared options name every hop? */
export function ipOptionsStrict(): boolean {
  return prepared.srr !== 0 && prepared.strict;
}

/** The hop that a packet with the prepared options is sent to first. @param daddr where it is to go in the end */
export function ipOptionsFirstHop(daddr: number): number {
  return prepared.srr !== 0 ? prepared.faddr : daddr;
}

/** Finds again what compiling has found: the packet was taken, so its options are without fault, and this host has filled them in. */
function reread(net: Net, skb: SkBuff): IpOptions {
  const opt = seen;
  ipOptionsClear(opt, ipOptionBytes(skb));
  const nh = skb.nh;
  const end = skb.th;
  let at = nh + IP_HLEN;
  while (at < end && mem8[at] !== IPOPT_END) {
    const kind = mem8[at]!;
    if (kind === IPOPT_NOOP) {
      at++;
      continue;
    }
    const length = mem8[at + IPOPT_OLEN]!;
    if (length < 2 || length > end - at) break;
    const room = mem8[at + IPOPT_OFFSET]! <= length;
    if (kind === IPOPT_RR) {
      opt.rr = at - nh;
      opt.rrNeedaddr = room;
    } else if (kind === IPOPT_TIMESTAMP) {
      opt.ts = at - nh;
      if (room) rereadTimestamp(net, opt, at);
    } else if (kind === IPOPT_LSRR || kind === IPOPT_SSRR) {
      opt.srr = at - nh;
      opt.strict = kind === IPOPT_SSRR;
    }
    at += length;
  }
  return opt;
}

function rereadTimestamp(net: Net, opt: IpOptions, at: number): void {
  const pointer = mem8[at + IPOPT_OFFSET]!;
  const flags = mem8[at + IPOPT_TS_FLAGS]! & 15;
  opt.tsNeedaddr = flags === IPOPT_TS_TSANDADDR;
  opt.tsNeedtime = flags === IPOPT_TS_TSONLY || flags === IPOPT_TS_TSANDADDR
    || (flags === IPOPT_TS_PRESPEC && pointer > TS_WRITTEN && inetAddrType(net, wordAt(mem8, at + pointer - TS_WRITTEN)) !== RTN_UNICAST);
}

/** Record route: what was recorded goes back, and the way back is recorded behind it. */
function echoRecordRoute(from: IpOptions, opt: IpOptions, src: number): boolean {
  const at = opt.optlen;
  const length = mem8[src + IPOPT_OLEN]!;
  const pointer = mem8[src + IPOPT_OFFSET]!;
  opt.rr = IP_HLEN + at;
  for (let i = 0; i < length; i++) opt.data[at + i] = mem8[src + i]!;
  opt.optlen = at + length;
  if (!from.rrNeedaddr || pointer > length) return true;
  if (pointer + 3 > length) return false;
  opt.data[at + IPOPT_OFFSET] = pointer + 4;
  opt.rrNeedaddr = true;
  return true;
}

function echoTimestamp(net: Net, from: IpOptions, opt: IpOptions, src: number): boolean {
  const at = opt.optlen;
  const data = opt.data;
  const length = mem8[src + IPOPT_OLEN]!;
  let pointer = mem8[src + IPOPT_OFFSET]!;
  opt.ts = IP_HLEN + at;
  for (let i = 0; i < length; i++) data[at + i] = mem8[src + i]!;
  opt.optlen = at + length;
  if (pointer > length) return true;
  if (from.tsNeedaddr) {
    if (pointer + 3 > length) return false;
    opt.tsNeedaddr = true;
    pointer += 4;
  }
  if (from.tsNeedtime) {
    if (pointer + 3 > length) return false;
    if ((data[at + IPOPT_TS_FLAGS]! & 15) !== IPOPT_TS_PRESPEC) {
      opt.tsNeedtime = true;
      pointer += 4;
    } else if (pointer + 7 <= length && inetAddrType(net, wordAt(data, at + pointer - 1)) !== RTN_UNICAST) {
      opt.tsNeedtime = true;
      pointer += 8;
    }
  }
  data[at + IPOPT_OFFSET] = pointer;
  return true;
}

/** A source route is followed backwards, from where it has come to. */
function echoSourceRoute(from: IpOptions, opt: IpOptions, src: number, saddr: number): void {
  const at = opt.optlen;
  const length = mem8[src + IPOPT_OLEN]!;
  let source = mem8[src + IPOPT_OFFSET]!;
  if (source > length) source = length + 1;
  source -= 4;
  if (source <= 3) return;
  const faddr = wordAt(mem8, src + source - 1);
  let to = 4;
  for (source -= 4; source > 3; source -= 4) {
    putWord(opt.data, at + to - 1, wordAt(mem8, src + source - 1));
    to += 4;
  }
  // RFC 1812 has a route that begins at the sender itself put right.
  if (wordAt(mem8, src + source + 3) === saddr) to -= 4;
  if (to <= 3) return;
  opt.faddr = faddr;
  opt.data[at] = mem8[src]!;
  opt.data[at + IPOPT_OLEN] = to + 3;
  opt.data[at + IPOPT_OFFSET] = 4;
  opt.srr = IP_HLEN + at;
  opt.strict = from.strict;
  opt.optlen = at + to + 3;
}

/**
 * Prepares the options of an answer to a packet. Linux: __ip_options_echo().
 * @returns their bytes; -1 when the packet's were faulty, and there must be no answer
 */
export function ipOptionsEcho(net: Net, skb: SkBuff): number {
  const from = ipOptionsOfCurrent(skb) ?? reread(net, skb);
  const opt = answer;
  ipOptionsClear(opt, 0);
  const nh = skb.nh;
  if (from.rr !== 0 && !echoRecordRoute(from, opt, nh + from.rr)) return -1;
  if (from.ts !== 0 && !echoTimestamp(net, from, opt, nh + from.ts)) return -1;
  if (from.srr !== 0) echoSourceRoute(from, opt, nh + from.srr, memView.getInt32(nh + IPH_SADDR));
  while ((opt.optlen & 3) !== 0) opt.data[opt.optlen++] = IPOPT_END;
  prepared = opt;
  return opt.optlen;
}

/**
 * Prepends a header with the prepared options, this host's address and the time entered where they ask for them. Linux:
 * ip_options_build(). @param daddr where the packet is to go in the end; the rest as ipPushHeader() takes it
 */
export function ipOptionsPush(
  skb: SkBuff, sk: Sock | null, saddr: number, daddr: number, protocol: number, ttl: number, tos: number, df: boolean,
): void {
  const opt = prepared;
  const { data, optlen } = opt;
  const at = skbPush(skb, optlen);
  for (let i = 0; i < optlen; i++) mem8[at + i] = data[i]!;
  const nh = at - IP_HLEN;
  if (opt.srr !== 0) putWord(mem8, nh + opt.srr + mem8[nh + opt.srr + IPOPT_OLEN]! - 4, daddr);
  if (opt.rrNeedaddr) putWord(mem8, nh + opt.rr + mem8[nh + opt.rr + IPOPT_OFFSET]! - 5, saddr);
  if (opt.tsNeedaddr) putWord(mem8, nh + opt.ts + mem8[nh + opt.ts + IPOPT_OFFSET]! - 9, saddr);
  if (opt.tsNeedtime) putWord(mem8, nh + opt.ts + mem8[nh + opt.ts + IPOPT_OFFSET]! - 5, inetTimestamp());
  ipPushHeader(skb, sk, saddr, ipOptionsFirstHop(daddr), protocol, ttl, tos, df);
  const headerLength = IP_HLEN + optlen;
  mem8[nh] = 0x40 | (headerLength >> 2);
  memView.setUint16(nh + IPH_CHECK, 0);
  memView.setUint16(nh + IPH_CHECK, ipFastCsum(nh, headerLength >> 2));
}
