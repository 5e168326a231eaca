/**
 * Connection tracking of UDP, and of protocols of which nothing is known but the addresses. Linux: net/netfilter/
 * nf_conntrack_proto_udp.c, nf_conntrack_proto_generic.c. Owns nothing: a row's CT_PROTO is when a flow begins to count as a stream.
 *
 * Read first: RFC 4787 section 4.3 (how long a mapping lives).
 */
import { csumFold, csumTcpudpNofold } from "../../lib/checksum.ts";
import { memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import { IPPROTO_UDP } from "../../uapi/in.ts";
import { IPS_ASSURED, IPS_CONFIRMED, IPS_SEEN_REPLY } from "../../uapi/nf-conntrack.ts";
import { CHECKSUM_UNNECESSARY, type SkBuff } from "../core/skbuff.ts";
import { skbChecksum } from "../core/skb-frags.ts";
import { IPH_DADDR, IPH_SADDR } from "../wire/ip.ts";
import { UDP_HLEN, UH_SUM, UH_ULEN } from "../wire/udp.ts";
import { CT_PROTO, CT_STATUS, nfCtRefresh } from "./nf-conntrack-table.ts";
import type { NetnsCt } from "./netns-ct.ts";

/** A flow of that age in which both have spoken is a stream. */
const UDP_STREAM_AFTER_MS = 2000;
const MS_PER_SECOND = 1000;

/**
 * Is the checksum of a TCP segment or UDP datagram right? Then nobody needs to look again. Linux: nf_ip_checksum().
 * @param th where the transport header is
 */
export function nfCtChecksumRight(skb: SkBuff, th: number, protocol: number): boolean {
  if (skb.ipSummed === CHECKSUM_UNNECESSARY) return true;
  const offset = th - skb.data;
  const length = skb.len - offset;
  const saddr = memView.getInt32(skb.nh + IPH_SADDR);
  const daddr = memView.getInt32(skb.nh + IPH_DADDR);
  if (csumFold(csumTcpudpNofold(saddr, daddr, length, protocol) + skbChecksum(skb, offset, length)) !== 0) return false;
  skb.ipSummed = CHECKSUM_UNNECESSARY;
  return true;
}

/** Linux: udp_error(). @param check whether its checksum is looked at @returns whether it can be a datagram at all */
export function nfCtUdpValid(skb: SkBuff, th: number, check: boolean): boolean {
  if (skb.tail - th < UDP_HLEN) return false;
  const length = memView.getUint16(th + UH_ULEN);
  if (length < UDP_HLEN || length > skb.len - (th - skb.data)) return false;
  return !check || memView.getUint16(th + UH_SUM) === 0 || nfCtChecksumRight(skb, th, IPPROTO_UDP);
}

/** Linux: nf_conntrack_udp_packet(). */
export function nfCtUdpPacket(row: number, ct: NetnsCt): void {
  const status = words[row + CT_STATUS]!;
  if ((status & IPS_CONFIRMED) === 0) words[row + CT_PROTO] = (jiffies + UDP_STREAM_AFTER_MS) | 0;
  if ((status & IPS_SEEN_REPLY) === 0 || ((jiffies - words[row + CT_PROTO]!) | 0) <= 0) {
    nfCtRefresh(row, ct.nfConntrackUdpTimeout * MS_PER_SECOND);
    return;
  }
  nfCtRefresh(row, ct.nfConntrackUdpTimeoutStream * MS_PER_SECOND);
  words[row + CT_STATUS]! |= IPS_ASSURED;
}

/** Linux: generic_packet(). */
export function nfCtGenericPacket(row: number, ct: NetnsCt): void {
  nfCtRefresh(row, ct.nfConntrackGenericTimeout * MS_PER_SECOND);
}
