/**
 * Writing another address and port into a packet: the checksums follow (RFC 1624). Linux: net/netfilter/nf_nat_proto.c. Owns nothing.
 *
 * Read first: RFC 3022 section 4, RFC 5508 section 4 (errors: the packet that one quotes is translated back as its receiver knows it).
 */
import { csumFold, csumReplace16, csumReplace32 } from "../../lib/checksum.ts";
import { mem8, memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import {
  ICMP_ADDRESS, ICMP_ADDRESSREPLY, ICMP_ECHO, ICMP_ECHOREPLY, ICMP_INFO_REPLY, ICMP_INFO_REQUEST, ICMP_REDIRECT, ICMP_TIMESTAMP,
  ICMP_TIMESTAMPREPLY,
} from "../../uapi/icmp.ts";
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from "../../uapi/in.ts";
import { NF_ACCEPT, NF_DROP } from "../../uapi/netfilter.ts";
import {
  IPS_DST_NAT, IPS_DST_NAT_DONE, IPS_SRC_NAT, IPS_SRC_NAT_DONE,
} from "../../uapi/nf-conntrack.ts";
import { skbEnsureWritable } from "../core/skb-copy.ts";
import { skbChecksum } from "../core/skb-frags.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { ICMP_HLEN, ICMPH_CHECKSUM, ICMPH_ID, ICMPH_TYPE } from "../wire/icmp.ts";
import { IPH_CHECK, IPH_DADDR, IPH_PROTOCOL, IPH_SADDR } from "../wire/ip.ts";
import { TCP_HLEN, TH_DPORT, TH_SPORT, TH_SUM } from "../wire/tcp.ts";
import { CSUM_MANGLED_0, UH_DPORT, UH_SPORT, UH_SUM } from "../wire/udp.ts";
import { CT_L4, CT_STATUS, TUPLE_DADDR, TUPLE_PORTS, TUPLE_SADDR, TUPLE_WORDS } from "./nf-conntrack-table.ts";
import { NF_NAT_MANIP_DST, NF_NAT_MANIP_SRC } from "./nf-nat-unique.ts";

const NAT_MASK = IPS_SRC_NAT | IPS_DST_NAT;
const NAT_DONE_MASK = IPS_SRC_NAT_DONE | IPS_DST_NAT_DONE;
/** Bytes of a transport header that even the shortest quote has. */
const QUOTED_BYTES = 8;
/** Types of messages with an identifier. */
const WITH_ID = (1 << ICMP_ECHOREPLY) | (1 << ICMP_ECHO) | (1 << ICMP_TIMESTAMP) | (1 << ICMP_TIMESTAMPREPLY)
  | (1 << ICMP_INFO_REQUEST) | (1 << ICMP_INFO_REPLY) | (1 << ICMP_ADDRESS) | (1 << ICMP_ADDRESSREPLY);

/**
 * Writes an address and a port, or identifier. Linux: nf_nat_ipv4_manip_pkt().
 * @param nh the IP header, of the packet or of one that it quotes @param tail the end of the bytes there are; their owner is alone
 * with them @returns false when the transport header is cut off
 */
export function nfNatManip(nh: number, tail: number, manip: number, addr: number, port: number): boolean {
  const view = memView;
  const th = nh + ((mem8[nh]! & 15) << 2);
  const where = nh + (manip === NF_NAT_MANIP_SRC ? IPH_SADDR : IPH_DADDR);
  const old = view.getInt32(where);
  switch (mem8[nh + IPH_PROTOCOL]) {
    case IPPROTO_TCP: {
      if (tail - th < QUOTED_BYTES) return false;
      const at = th + (manip === NF_NAT_MANIP_SRC ? TH_SPORT : TH_DPORT);
      const oldPort = view.getUint16(at);
      view.setUint16(at, port);
      // Of a quote the checksum may not be there.
      if (tail - th < TCP_HLEN) break;
      const sum = csumReplace32(view.getUint16(th + TH_SUM), old, addr);
      view.setUint16(th + TH_SUM, csumReplace16(sum, oldPort, port));
      break;
    }
    case IPPROTO_UDP: {
      if (tail - th < QUOTED_BYTES) return false;
      const at = th + (manip === NF_NAT_MANIP_SRC ? UH_SPORT : UH_DPORT);
      const oldPort = view.getUint16(at);
      view.setUint16(at, port);
      const before = view.getUint16(th + UH_SUM);
      if (before === 0) break;
      const sum = csumReplace16(csumReplace32(before, old, addr), oldPort, port);
      view.setUint16(th + UH_SUM, sum === 0 ? CSUM_MANGLED_0 : sum);
      break;
    }
    case IPPROTO_ICMP: {
      if (tail - th < QUOTED_BYTES) return false;
      const type = mem8[th + ICMPH_TYPE]!;
      if (type > ICMP_ADDRESSREPLY || (WITH_ID & (1 << type)) === 0) break;
      const oldId = view.getUint16(th + ICMPH_ID);
      view.setUint16(th + ICMPH_ID, port);
      view.setUint16(th + ICMPH_CHECKSUM, csumReplace16(view.getUint16(th + ICMPH_CHECKSUM), oldId, port));
      break;
    }
    default:
  }
  view.setInt32(where, addr);
  view.setUint16(nh + IPH_CHECK, csumReplace32(view.getUint16(nh + IPH_CHECK), old, addr));
  return true;
}

/** Is that end of packets of that direction translated? What changes the source one way changes the destination the other way. */
function translated(row: number, direction: number, manip: number): boolean {
  const bit = (manip === NF_NAT_MANIP_SRC) === (direction === 0) ? IPS_SRC_NAT : IPS_DST_NAT;
  return (words[row + CT_STATUS]! & bit) !== 0;
}

/** The port that goes with a tuple's address. */
function portOf(row: number, tuple: number, manip: number): number {
  const ports = words[tuple + TUPLE_PORTS]!;
  return manip === NF_NAT_MANIP_DST || (words[row + CT_L4]! & 0xff) === IPPROTO_ICMP ? ports >>> 16 : ports & 0xffff;
}

/**
 * Translates one end of a packet as its connection says: what the answer will be sent to is what it comes from. Linux: nf_nat_packet(),
 * nf_nat_manip_pkt(). @param direction 0 of the first packet, 1 of answers @returns a verdict
 */
export function nfNatPacket(skb: SkBuff, row: number, direction: number, manip: number): number {
  if (!translated(row, direction, manip)) return NF_ACCEPT;
  if (!skbEnsureWritable(skb)) return NF_DROP;
  const other = row + (1 - direction) * TUPLE_WORDS;
  const addr = words[other + (manip === NF_NAT_MANIP_SRC ? TUPLE_DADDR : TUPLE_SADDR)]!;
  return nfNatManip(skb.nh, skb.tail, manip, addr, portOf(row, other, manip)) ? NF_ACCEPT : NF_DROP;
}

/**
 * Translates an ICMP error about a connection: who sends it or gets it, and within what it quotes the other end. Linux:
 * nf_nat_icmp_reply_translation(). @returns a verdict
 */
export function nfNatIcmpError(skb: SkBuff, row: number, direction: number, manip: number): number {
  const status = words[row + CT_STATUS]!;
  const th = skb.nh + ((mem8[skb.nh]! & 15) << 2);
  // A redirect names a next hop, which is of no use beyond the link.
  if (mem8[th + ICMPH_TYPE] === ICMP_REDIRECT && ((status & NAT_DONE_MASK) !== NAT_DONE_MASK || (status & NAT_MASK) !== 0)) {
    return NF_DROP;
  }
  if (!translated(row, direction, manip)) return NF_ACCEPT;
  if (!skbEnsureWritable(skb)) return NF_DROP;
  const nh = skb.nh;
  const at = nh + ((mem8[nh]! & 15) << 2);
  const other = row + (1 - direction) * TUPLE_WORDS;
  const addr = words[other + (manip === NF_NAT_MANIP_SRC ? TUPLE_DADDR : TUPLE_SADDR)]!;
  const opposite = manip === NF_NAT_MANIP_SRC ? NF_NAT_MANIP_DST : NF_NAT_MANIP_SRC;
  if (!nfNatManip(at + ICMP_HLEN, skb.tail, opposite, addr, portOf(row, other, manip))) return NF_DROP;
  memView.setUint16(at + ICMPH_CHECKSUM, 0);
  const offset = at - skb.data;
  memView.setUint16(at + ICMPH_CHECKSUM, csumFold(skbChecksum(skb, offset, skb.len - offset)));
  nfNatManip(nh, skb.tail, manip, addr, 0);
  return NF_ACCEPT;
}
