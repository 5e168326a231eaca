/**
 * TCP MD5 signatures: every segment of a connection with a key carries a digest that only who knows the key can make, and one
 * without it, or with a wrong one, is dropped. Linux: tcp_md5_do_add(), tcp_inbound_md5_hash() and tcp_v4_md5_hash_skb() of
 * net/ipv4/tcp_ipv4.c. Read first: RFC 2385. Owns the pool of keys (`md5Keys` of boot(); without any all of this costs nothing).
 *
 * A key belongs to a sock and holds for the peers of an address prefix; the longest prefix counts. A sock that is accepted gets
 * a copy of its listener's for its peer, a TIME_WAIT entry one of its sock's. The few keys are in one table, searched by owner.
 */
import { mem8, memView } from "../../lib/memory.ts";
import { md5Byte, MD5_WORDS, md5Digest, md5Final, md5Init, md5Setup, md5Update, md5Word } from "../../lib/md5.ts";
import { type Slab, slabAlloc, slabCreate, slabFree, slabWords } from "../../lib/pool.ts";
import { words, wordTable } from "../../lib/table.ts";
import {
  SKB_DROP_REASON_TCP_MD5FAILURE, SKB_DROP_REASON_TCP_MD5NOTFOUND, SKB_DROP_REASON_TCP_MD5UNEXPECTED,
} from "../../uapi/drop-reason.ts";
import { EINVAL, ENOENT, ENOMEM } from "../../uapi/errno.ts";
import { IPPROTO_TCP } from "../../uapi/in.ts";
import {
  LINUX_MIB_TCPMD5FAILURE, LINUX_MIB_TCPMD5NOTFOUND, LINUX_MIB_TCPMD5UNEXPECTED,
} from "../../uapi/snmp.ts";
import { AF_INET } from "../../uapi/socket.ts";
import {
  TCP_MD5SIG_BYTES, TCP_MD5SIG_EXT, TCP_MD5SIG_FLAG_IFINDEX, TCP_MD5SIG_FLAG_PREFIX, TCP_MD5SIG_MAXKEYLEN,
  TCPF_CLOSE, TCPF_LISTEN,
} from "../../uapi/tcp.ts";
import type { Net } from "../core/net.ts";
import { kfreeSkb, type SkBuff } from "../core/skbuff.ts";
import { SK_DROPS, sockByIndex } from "../core/sock.ts";
import { IPH_DADDR, IPH_SADDR } from "../wire/ip.ts";
import {
  TCP_HLEN, TCPHDR_DOFF_MASK, TCPHDR_DOFF_SHIFT, TCPOLEN_MD5SIG, TCPOLEN_MD5SIG_ALIGNED, TCPOPT_EOL, TCPOPT_MD5SIG,
  TCPOPT_NOP, TH_DPORT, TH_OFF_FLAGS, TH_SPORT, TH_SUM,
} from "../wire/tcp.ts";
import { ehashReqBase, ehashTwBase } from "./inet-hashtables.ts";
import { tcpListening, tcpMd5KeysAdd, type TcpMd5Ops } from "./tcp-parts.ts";
import type { TcpSk } from "./tcp-sock.ts";
import { tcpSyncMss } from "./tcp-window.ts";

/** No key; and nothing that needs one may be sent. */
const NONE = -1;
const NO_RESET = -2;

/** Words of a key: its owner (Sock.index, or ~ of a TIME_WAIT entry), its address, prefix length and key length, its bytes. */
const KEY_WORDS = 3 + TCP_MD5SIG_MAXKEYLEN / 4;
const KEY_OWNER = 0;
const KEY_ADDR = 1;
const KEY_LENGTHS = 2;
const KEY_BYTES = 3;
const PREFIX_SHIFT = 8;
const UNOWNED = 0x7fffffff;
const OPTION_WORD = (TCPOPT_NOP << 24) | (TCPOPT_NOP << 16) | (TCPOPT_MD5SIG << 8) | TCPOLEN_MD5SIG;

/** Offsets in the bytes of TCP_MD5SIG (struct tcp_md5sig): family, address, flags, prefix length, key length, key. */
const SIG_FAMILY = 0;
const SIG_ADDR = 4;
const SIG_FLAGS = 128;
const SIG_PREFIXLEN = 129;
const SIG_KEYLEN = 130;
const SIG_KEY = 136;

let size = 0;
let slab: Slab | null = null;
let rows = 0;

/** Words of the table of so many keys. */
export function tcpMd5Words(count: number): number {
  return count === 0 ? 0 : count * KEY_WORDS + slabWords(count) + MD5_WORDS;
}

/** Boot time only. @param count keys, 0 for a machine that does without */
export function tcpMd5Init(count: number): void {
  size = count;
  slab = null;
  if (count === 0) return;
  md5Setup();
  slab = slabCreate("tcp_md5sig_key", count);
  rows = wordTable("tcp_md5sig_rows", count * KEY_WORDS, UNOWNED);
}

/** Offset of a key's words. */
function rowOf(key: number): number {
  return rows + key * KEY_WORDS;
}

function maskOf(prefixLen: number): number {
  return prefixLen === 0 ? 0 : -1 << (32 - prefixLen);
}

/** The key of an owner for a peer: of those whose prefix holds the address the longest. -1: none. Linux: tcp_md5_do_lookup(). */
function tcpMd5Lookup(owner: number, addr: number): number {
  let best = NONE;
  let bestLen = -1;
  for (let key = 0; key < size; key++) {
    const at = rowOf(key);
    if (words[at + KEY_OWNER] !== owner) continue;
    const prefixLen = words[at + KEY_LENGTHS]! >> PREFIX_SHIFT;
    if (prefixLen > bestLen && ((words[at + KEY_ADDR]! ^ addr) & maskOf(prefixLen)) === 0) {
      best = key;
      bestLen = prefixLen;
    }
  }
  return best;
}

/** The key of exactly that prefix, or -1. */
function lookupExact(owner: number, addr: number, prefixLen: number): number {
  for (let key = 0; key < size; key++) {
    const at = rowOf(key);
    if (words[at + KEY_OWNER] === owner && words[at + KEY_ADDR] === addr && words[at + KEY_LENGTHS]! >> PREFIX_SHIFT === prefixLen) {
      return key;
    }
  }
  return NONE;
}

/** A key for that owner whose bytes the caller sets; -1 when the pool is empty. */
function addKey(owner: number, addr: number, prefixLen: number, keyLen: number): number {
  const key = slab === null ? NONE : slabAlloc(slab);
  if (key < 0) return NONE;
  const at = rowOf(key);
  words[at + KEY_OWNER] = owner;
  words[at + KEY_ADDR] = addr;
  words[at + KEY_LENGTHS] = (prefixLen << PREFIX_SHIFT) | keyLen;
  tcpMd5KeysAdd(1);
  return key;
}

function freeKey(key: number): void {
  words[rowOf(key) + KEY_OWNER] = UNOWNED;
  slabFree(slab!, key);
  tcpMd5KeysAdd(-1);
}

/** All keys of an owner go. Linux: tcp_clear_md5_list(). */
function tcpMd5Release(owner: number): void {
  for (let key = 0; key < size; key++) if (words[rowOf(key) + KEY_OWNER] === owner) freeKey(key);
}

/** Another owner gets the key that counts for a peer, if there is one. @returns false: the pool is empty. Linux: tcp_md5_key_copy() */
function tcpMd5Copy(from: number, to: number, addr: number): boolean {
  const key = tcpMd5Lookup(from, addr);
  if (key < 0) return true;
  const keyLen = words[rowOf(key) + KEY_LENGTHS]! & 255;
  const copy = addKey(to, addr, 32, keyLen);
  if (copy < 0) return false;
  for (let i = KEY_BYTES; i < KEY_WORDS; i++) words[rowOf(copy) + i] = words[rowOf(key) + i]!;
  return true;
}

/**
 * TCP_MD5SIG and TCP_MD5SIG_EXT: sets the key for a peer, or for a prefix of peers, or without a key takes it away. Linux:
 * tcp_v4_parse_md5_keys(). @param opt the bytes of struct tcp_md5sig
 * @returns 0, -EINVAL (too short, not AF_INET, key or prefix too long), -ENOENT (none to take away), -ENOMEM (no key is left)
 */
function tcpParseMd5Keys(sk: TcpSk, name: number, opt: Uint8Array | Int32Array | null): number {
  if (!(opt instanceof Uint8Array) || opt.length < TCP_MD5SIG_BYTES) return -EINVAL;
  if ((opt[SIG_FAMILY]! | (opt[SIG_FAMILY + 1]! << 8)) !== AF_INET) return -EINVAL;
  const addr = (opt[SIG_ADDR]! << 24) | (opt[SIG_ADDR + 1]! << 16) | (opt[SIG_ADDR + 2]! << 8) | opt[SIG_ADDR + 3]!;
  const keyLen = opt[SIG_KEYLEN]! | (opt[SIG_KEYLEN + 1]! << 8);
  let prefixLen = 32;
  if (name === TCP_MD5SIG_EXT) {
    const flags = opt[SIG_FLAGS]!;
    if ((flags & TCP_MD5SIG_FLAG_IFINDEX) !== 0) return -EINVAL;
    if ((flags & TCP_MD5SIG_FLAG_PREFIX) !== 0) prefixLen = opt[SIG_PREFIXLEN]!;
    if (prefixLen > 32) return -EINVAL;
  }
  let key = lookupExact(sk.index, addr, prefixLen);
  if (keyLen === 0) {
    if (key < 0) return -ENOENT;
    freeKey(key);
    return 0;
  }
  if (keyLen > TCP_MD5SIG_MAXKEYLEN) return -EINVAL;
  if (key >= 0) words[rowOf(key) + KEY_LENGTHS] = (prefixLen << PREFIX_SHIFT) | keyLen;
  else key = addKey(sk.index, addr, prefixLen, keyLen);
  if (key < 0) return -ENOMEM;
  for (let i = 0; i < TCP_MD5SIG_MAXKEYLEN; i += 4) {
    const from = SIG_KEY + i;
    words[rowOf(key) + KEY_BYTES + (i >> 2)] = opt[from]! | (opt[from + 1]! << 8) | (opt[from + 2]! << 16) | (opt[from + 3]! << 24);
  }
  return 0;
}

/** Where the digest of a segment lies, or -1. Linux: tcp_parse_md5sig_option(). */
function tcpParseMd5sigOption(th: number): number {
  const view = memView;
  const end = th + ((view.getUint16(th + TH_OFF_FLAGS) & TCPHDR_DOFF_MASK) >> TCPHDR_DOFF_SHIFT);
  let at = th + TCP_HLEN;
  while (at + 1 < end) {
    const kind = mem8[at]!;
    if (kind === TCPOPT_EOL) return -1;
    if (kind === TCPOPT_NOP) {
      at++;
      continue;
    }
    const length = mem8[at + 1]!;
    if (length < 2 || at + length > end) return -1;
    if (kind === TCPOPT_MD5SIG) return length === TCPOLEN_MD5SIG ? at + 2 : -1;
    at += length;
  }
  return -1;
}

/**
 * The digest of RFC 2385 section 2.0 is md5Digest(): pseudo-header, header without options and checksum, data, key.
 * @param length bytes of the segment, options included
 */
function hashSegment(key: number, saddr: number, daddr: number, th: number, length: number): void {
  const headerLen = (memView.getUint16(th + TH_OFF_FLAGS) & TCPHDR_DOFF_MASK) >> TCPHDR_DOFF_SHIFT;
  md5Init();
  md5Word(saddr);
  md5Word(daddr);
  md5Word((IPPROTO_TCP << 16) | length);
  md5Update(mem8, th, TH_SUM);
  // The urgent pointer behind a checksum of 0.
  md5Word(memView.getUint16(th + TH_SUM + 2));
  md5Update(mem8, th + headerLen, length - headerLen);
  const row = rowOf(key);
  const keyLen = words[row + KEY_LENGTHS]! & 255;
  for (let i = 0; i < keyLen; i++) md5Byte((words[row + KEY_BYTES + (i >> 2)]! >> ((i & 3) << 3)) & 255);
  md5Final();
}

/** Writes the option, TCPOLEN_MD5SIG_ALIGNED bytes at `at`, of a segment that is complete but for its checksum. */
function tcpMd5Sign(key: number, saddr: number, daddr: number, th: number, length: number, at: number): void {
  hashSegment(key, saddr, daddr, th, length);
  const view = memView;
  view.setInt32(at, OPTION_WORD);
  for (let i = 0; i < 4; i++) view.setInt32(at + 4 + (i << 2), md5Digest(i), true);
}

/** Is the digest at `at` right? Takes the same time whatever it is. */
function tcpMd5Verify(key: number, skb: SkBuff, at: number): boolean {
  const view = memView;
  hashSegment(key, view.getInt32(skb.nh + IPH_SADDR), view.getInt32(skb.nh + IPH_DADDR), skb.th, skb.len);
  let difference = 0;
  for (let i = 0; i < 4; i++) difference |= view.getInt32(at + (i << 2), true) ^ md5Digest(i);
  return difference === 0;
}

function rejected(net: Net, mib: number, reason: number): number {
  net.mib[mib]!++;
  return reason;
}

/**
 * Has a segment for this sock the signature it must have, and none where it must not? Linux: tcp_inbound_md5_hash().
 * @param skb data at the TCP header @returns 0, or SKB_DROP_REASON_TCP_MD5*, counted
 */
function tcpInboundMd5Hash(sk: TcpSk, skb: SkBuff): number {
  const key = tcpMd5Lookup(sk.index, memView.getInt32(skb.nh + IPH_SADDR));
  const at = tcpParseMd5sigOption(skb.th);
  const net = sk.net;
  if (key < 0) return at < 0 ? 0 : rejected(net, LINUX_MIB_TCPMD5UNEXPECTED, SKB_DROP_REASON_TCP_MD5UNEXPECTED);
  if (at < 0) return rejected(net, LINUX_MIB_TCPMD5NOTFOUND, SKB_DROP_REASON_TCP_MD5NOTFOUND);
  return tcpMd5Verify(key, skb, at) ? 0 : rejected(net, LINUX_MIB_TCPMD5FAILURE, SKB_DROP_REASON_TCP_MD5FAILURE);
}

/**
 * Checks the signature of a segment against the keys of its sock or listener. A TIME_WAIT entry asks for none.
 * @param node as inetLookupEstablished() answers @returns false when the segment was dropped
 */
function tcpMd5Accept(net: Net, skb: SkBuff, node: number): boolean {
  const view = memView;
  let sk: TcpSk | null = null;
  if (node < 0) {
    if (tcpListening !== null) {
      sk = tcpListening.lookup(
        net, view.getInt32(skb.nh + IPH_DADDR), view.getUint16(skb.th + TH_DPORT), view.getInt32(skb.nh + IPH_SADDR),
        view.getUint16(skb.th + TH_SPORT), skb.iif,
      );
    }
  } else if (node < ehashReqBase) {
    sk = sockByIndex(node) as TcpSk;
  } else if (node < ehashTwBase) {
    sk = tcpListening!.listenerOf(node - ehashReqBase);
  }
  const reason = sk === null ? 0 : tcpInboundMd5Hash(sk, skb);
  if (reason === 0) return true;
  words[sk!.cold + SK_DROPS]!++;
  kfreeSkb(skb, reason);
  return false;
}

/**
 * The key for the reset of a signed segment whose connection is gone: a listener on the peer's own port number (as BGP has it) may
 * know it, and the segment must prove that its sender does. NO_RESET: it would help only who cannot sign.
 */
function lostKey(net: Net, skb: SkBuff, at: number): number {
  if (tcpListening === null) return NO_RESET;
  const view = memView;
  const saddr = view.getInt32(skb.nh + IPH_SADDR);
  const sport = view.getUint16(skb.th + TH_SPORT);
  const listener = tcpListening.lookup(net, view.getInt32(skb.nh + IPH_DADDR), sport, saddr, sport, skb.iif);
  const key = listener === null ? NONE : tcpMd5Lookup(listener.index, saddr);
  return key >= 0 && tcpMd5Verify(key, skb, at) ? key : NO_RESET;
}

/** The key for a reset that answers a segment without a sock: NONE when it is not signed. */
function tcpMd5ResetKey(net: Net, skb: SkBuff): number {
  const at = tcpParseMd5sigOption(skb.th);
  return at < 0 ? NONE : lostKey(net, skb, at);
}

/** A key comes or goes: segments become shorter or longer by its signature. */
function tcpMd5Set(sk: TcpSk, name: number, opt: Uint8Array | Int32Array | null): number {
  const err = tcpParseMd5Keys(sk, name, opt);
  if (err === 0 && ((1 << sk.state) & (TCPF_CLOSE | TCPF_LISTEN)) === 0) tcpSyncMss(sk, sk.icsk.pmtuCookie);
  return err;
}

/** Bytes that a signature takes of every segment of a connection. */
function tcpMd5Room(sk: TcpSk): number {
  return tcpMd5Lookup(sk.index, sk.inet.daddr) >= 0 ? TCPOLEN_MD5SIG_ALIGNED : 0;
}

/** What the rest of TCP finds of it, in tcp-parts.ts. */
export const tcpMd5Ops: TcpMd5Ops = Object.freeze({
  accept: tcpMd5Accept,
  lookup: tcpMd5Lookup,
  copy: tcpMd5Copy,
  release: tcpMd5Release,
  sign: tcpMd5Sign,
  resetKey: tcpMd5ResetKey,
  room: tcpMd5Room,
  set: tcpMd5Set,
});
