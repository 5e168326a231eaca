/**
 * Sending in pieces what is longer than the path takes. Linux: ip_do_fragment() of net/ipv4/ip_output.c,
 * ip_options_fragment() of net/ipv4/ip_options.c. Owns nothing.
 *
 * A packet whose chain has the right lengths already, as reassembly and ip-append-data.ts make it, is sent as the packets it
 * is made of: each gets a header in its headroom and no byte is copied. Anything else is copied piece by piece.
 *
 * Read first: RFC 791 section 3.2 (an example fragmentation procedure), RFC 6864 (identification).
 */
import { ipFastCsum } from "../../lib/checksum.ts";
import { mem8, memCopy, memView } from "../../lib/memory.ts";
import { SKB_DROP_REASON_FRAG_FAILED } from "../../uapi/drop-reason.ts";
import { ENOMEM } from "../../uapi/errno.ts";
import { ETH_P_IP } from "../../uapi/if-ether.ts";
import {
  IPSTATS_MIB_FRAGCREATES, IPSTATS_MIB_FRAGFAILS, IPSTATS_MIB_FRAGOKS, IPSTATS_MIB_OUTOCTETS, IPSTATS_MIB_OUTPKTS,
} from "../../uapi/snmp.ts";
import {
  allocSkb, consumeSkb, kfreeSkb, NET_IP_ALIGN, type SkBuff, skbBufferBytes, skbCloned, skbDstSet, skbPush, skbPut, skbReserve,
} from "../core/skbuff.ts";
import { skbCopyBits, skbUnchain } from "../core/skb-frags.ts";
import { skbSetOwnerW, sockWfree } from "../core/sock.ts";
import {
  IP_HLEN, IP_MF, IP_OFFSET, IPH_CHECK, IPH_FRAG_OFF, IPH_TOT_LEN, IPOPT_COPY, IPOPT_END, IPOPT_NOOP, IPOPT_OLEN,
} from "../wire/ip.ts";
import { ipOutput } from "./ip-output.ts";
import type { Rtable } from "./rtable.ts";

/** Options that only the first fragment carries become no-operations in a header. */
function optionsFragment(nh: number, headerLength: number): void {
  const end = nh + headerLength;
  let at = nh + IP_HLEN;
  while (at < end) {
    const kind = mem8[at]!;
    if (kind === IPOPT_END) return;
    if (kind === IPOPT_NOOP) {
      at++;
      continue;
    }
    const length = at + IPOPT_OLEN < end ? mem8[at + IPOPT_OLEN]! : 0;
    if (length < 2 || at + length > end) return;
    if ((kind & IPOPT_COPY) === 0) for (let i = 0; i < length; i++) mem8[at + i] = IPOPT_NOOP;
    at += length;
  }
}

/** Writes what differs in a piece's header. @param word fragment word */
function finishHeader(nh: number, headerLength: number, total: number, word: number): void {
  memView.setUint16(nh + IPH_TOT_LEN, total);
  memView.setUint16(nh + IPH_FRAG_OFF, word);
  memView.setUint16(nh + IPH_CHECK, 0);
  memView.setUint16(nh + IPH_CHECK, ipFastCsum(nh, headerLength >> 2));
}

/** What a piece takes over from the packet, beside its bytes. Linux: ip_copy_metadata(). */
function copyMetadata(to: SkBuff, from: SkBuff): void {
  to.pktType = from.pktType;
  to.priority = from.priority;
  to.mark = from.mark;
  // Netfilter's, between LOCAL_OUT and LOCAL_IN: what loopback brings is known already.
  to.ackSeq = from.ackSeq;
  to.protocol = ETH_P_IP;
  if (to.dst === null) skbDstSet(to, from.dst!);
}

/** Sends a piece. The datagram was counted as a whole. 0 or a negative errno */
function sendPiece(skb: SkBuff, mib: Uint32Array): number {
  mib[IPSTATS_MIB_OUTPKTS]!--;
  mib[IPSTATS_MIB_OUTOCTETS]! -= skb.len;
  const err = ipOutput(skb);
  if (err >= 0) mib[IPSTATS_MIB_FRAGCREATES]!++;
  return err;
}

/** Are the packet and what is chained behind it pieces as they are? */
function inPieces(skb: SkBuff, headerLength: number, mtu: number): boolean {
  const first = skb.tail - skb.data;
  if (first > mtu || ((first - headerLength) & 7) !== 0 || skbCloned(skb) || skb.users !== 1) return false;
  if ((memView.getUint16(skb.nh + IPH_FRAG_OFF) & (IP_MF | IP_OFFSET)) !== 0) return false;
  for (let frag = skb.fragList; frag !== null; frag = frag.next) {
    const length = frag.len;
    if (length > mtu - headerLength || ((length & 7) !== 0 && frag.next !== null) || length === 0) return false;
    if (frag.users !== 1 || skbCloned(frag) || frag.data - frag.head < headerLength) return false;
  }
  return true;
}

/** Sends the packets of the chain, each with a header of its own. */
function sendChain(skb: SkBuff, headerLength: number, mib: Uint32Array): number {
  let next = skbUnchain(skb);
  let piece = skb;
  let offset = 0;
  let err = 0;
  finishHeader(skb.nh, headerLength, skb.len, IP_MF);
  for (;;) {
    const follows = next;
    if (follows !== null) {
      next = follows.next;
      follows.next = null;
      offset += piece.len - headerLength;
      const nh = skbPush(follows, headerLength);
      follows.nh = nh;
      follows.th = nh + headerLength;
      memCopy(nh, piece.nh, headerLength);
      if (piece === skb) optionsFragment(nh, headerLength);
      copyMetadata(follows, piece);
      finishHeader(nh, headerLength, follows.len, (offset >> 3) | (next !== null ? IP_MF : 0));
    }
    err = sendPiece(piece, mib);
    if (follows === null) return err;
    piece = follows;
    if (err < 0) break;
  }
  kfreeSkb(piece, SKB_DROP_REASON_FRAG_FAILED);
  while (next !== null) {
    const rest = next;
    next = rest.next;
    rest.next = null;
    kfreeSkb(rest, SKB_DROP_REASON_FRAG_FAILED);
  }
  return err;
}

/** Copies the packet piece by piece. */
function sendCopies(skb: SkBuff, headerLength: number, mtu: number, mib: Uint32Array): number {
  const nh = skb.nh;
  const word = memView.getUint16(nh + IPH_FRAG_OFF);
  const headroom = NET_IP_ALIGN + (skb.dst as Rtable).dev!.hardHeaderLen;
  const room = skbBufferBytes - headroom - headerLength;
  const most = mtu - headerLength < room ? mtu - headerLength : room;
  let at = headerLength;
  let left = skb.len - headerLength;
  while (left > 0) {
    const length = left <= most ? left : most & ~7;
    const piece = length <= 0 ? null : allocSkb(headroom + headerLength + length);
    if (piece === null) return -ENOMEM;
    skbReserve(piece, headroom);
    const to = skbPut(piece, headerLength + length);
    piece.nh = to;
    piece.th = to + headerLength;
    copyMetadata(piece, skb);
    if (skb.destructor === sockWfree) skbSetOwnerW(piece, skb.sk!);
    memCopy(to, nh, headerLength);
    skbCopyBits(skb, at, to + headerLength, length);
    if (at !== headerLength) optionsFragment(to, headerLength);
    const offset = (word & IP_OFFSET) + ((at - headerLength) >> 3);
    at += length;
    left -= length;
    finishHeader(to, headerLength, headerLength + length, offset | (left > 0 ? IP_MF : word & IP_MF));
    const err = sendPiece(piece, mib);
    if (err < 0) return err;
  }
  return 0;
}

/**
 * Sends a packet, which may be a fragment itself, in pieces of at most `mtu` bytes. Linux: ip_do_fragment().
 * @param skb data and nh at its header, route set @returns 0 or a negative errno; the packet is gone
 */
export function ipDoFragment(skb: SkBuff, mtu: number): number {
  const { mib } = (skb.dst as Rtable).net;
  const headerLength = skb.th - skb.nh;
  let err: number;
  if (skb.fragList !== null && inPieces(skb, headerLength, mtu)) {
    err = sendChain(skb, headerLength, mib);
  } else {
    err = sendCopies(skb, headerLength, mtu, mib);
    if (err < 0) kfreeSkb(skb, SKB_DROP_REASON_FRAG_FAILED);
    else consumeSkb(skb);
  }
  mib[err < 0 ? IPSTATS_MIB_FRAGFAILS : IPSTATS_MIB_FRAGOKS]!++;
  return err;
}
