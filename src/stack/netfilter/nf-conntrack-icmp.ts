/**
 * Connection tracking of ICMP: questions and their answers by their identifier, and errors, which belong to the connection of the
 * packet that they quote. Linux: net/netfilter/nf_conntrack_proto_icmp.c. Owns nothing.
 *
 * Read first: RFC 792, RFC 5508 (ICMP through translators).
 */
import { csumFold } from "../../lib/checksum.ts";
import { memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import {
  ICMP_ADDRESS, ICMP_ADDRESSREPLY, ICMP_DEST_UNREACH, ICMP_ECHO, ICMP_ECHOREPLY, ICMP_INFO_REPLY, ICMP_INFO_REQUEST,
  ICMP_PARAMETERPROB, ICMP_REDIRECT, ICMP_SOURCE_QUENCH, ICMP_TIME_EXCEEDED, ICMP_TIMESTAMP, ICMP_TIMESTAMPREPLY, NR_ICMP_TYPES,
} from "../../uapi/icmp.ts";
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from "../../uapi/in.ts";
import { IPS_CONFIRMED } from "../../uapi/nf-conntrack.ts";
import { CHECKSUM_UNNECESSARY, type SkBuff } from "../core/skbuff.ts";
import { skbChecksum } from "../core/skb-frags.ts";
import { ICMP_HLEN, ICMPH_CODE, ICMPH_ID, ICMPH_TYPE } from "../wire/icmp.ts";
import { IP_HLEN, IP_OFFSET, IPH_DADDR, IPH_FRAG_OFF, IPH_PROTOCOL, IPH_SADDR } from "../wire/ip.ts";
import {
  CT_STATUS, nfCtFind, nfCtNodeRow, nfCtRefresh, TUPLE_DADDR, TUPLE_WORDS,
} from "./nf-conntrack-table.ts";
import type { NetnsCt } from "./netns-ct.ts";

const MS_PER_SECOND = 1000;
/** Bytes of a transport header that hold its ports. */
const PORTS_BYTES = 4;

const ERROR_TYPES = (1 << ICMP_DEST_UNREACH) | (1 << ICMP_SOURCE_QUENCH) | (1 << ICMP_REDIRECT) | (1 << ICMP_TIME_EXCEEDED)
  | (1 << ICMP_PARAMETERPROB);
/** Types that ask. */
const QUESTIONS = (1 << ICMP_ECHO) | (1 << ICMP_TIMESTAMP) | (1 << ICMP_INFO_REQUEST) | (1 << ICMP_ADDRESS);

/** The type of the answer to a type, or of the question to an answer; -1 for types that have none. Linux: invmap[]. */
export function nfCtIcmpInverse(type: number): number {
  switch (type) {
    case ICMP_ECHO: return ICMP_ECHOREPLY;
    case ICMP_ECHOREPLY: return ICMP_ECHO;
    case ICMP_TIMESTAMP: return ICMP_TIMESTAMPREPLY;
    case ICMP_TIMESTAMPREPLY: return ICMP_TIMESTAMP;
    case ICMP_INFO_REQUEST: return ICMP_INFO_REPLY;
    case ICMP_INFO_REPLY: return ICMP_INFO_REQUEST;
    case ICMP_ADDRESS: return ICMP_ADDRESSREPLY;
    case ICMP_ADDRESSREPLY: return ICMP_ADDRESS;
    default: return -1;
  }
}

/** As TUPLE_PORTS, of the message at `th`. */
export function nfCtIcmpPorts(th: number): number {
  return (memView.getUint16(th + ICMPH_ID) << 16) | (memView.getUint8(th + ICMPH_TYPE) << 8) | memView.getUint8(th + ICMPH_CODE);
}

/** The same of its answer. @param ports of a type that nfCtIcmpInverse() knows */
export function nfCtIcmpReplyPorts(ports: number): number {
  return (ports & ~0xff00) | (nfCtIcmpInverse((ports >> 8) & 0xff) << 8);
}

/** @param check whether its checksum is looked at @returns whether it can be a message at all */
export function nfCtIcmpValid(skb: SkBuff, th: number, check: boolean): boolean {
  if (skb.tail - th < ICMP_HLEN || memView.getUint8(th + ICMPH_TYPE) > NR_ICMP_TYPES) return false;
  if (!check || skb.ipSummed === CHECKSUM_UNNECESSARY) return true;
  const offset = th - skb.data;
  if (csumFold(skbChecksum(skb, offset, skb.len - offset)) !== 0) return false;
  skb.ipSummed = CHECKSUM_UNNECESSARY;
  return true;
}

export function nfCtIcmpIsError(th: number): boolean {
  return (ERROR_TYPES & (1 << memView.getUint8(th + ICMPH_TYPE))) !== 0;
}

/** An answer to nothing is invalid. Linux: nf_conntrack_icmp_packet(). @returns whether the message belongs to the connection */
export function nfCtIcmpPacket(th: number, row: number, ct: NetnsCt): boolean {
  if ((words[row + CT_STATUS]! & IPS_CONFIRMED) === 0 && (QUESTIONS & (1 << memView.getUint8(th + ICMPH_TYPE))) === 0) return false;
  nfCtRefresh(row, ct.nfConntrackIcmpTimeout * MS_PER_SECOND);
  return true;
}

/**
 * The connection that an error is about: it goes to who sent what it quotes. Linux: icmp_error_message(), nf_conntrack_inet_error().
 * @param net number of the namespace @returns as nfCtFind(), of the tuple of what the quoted packet would be answered by; -1
 */
export function nfCtIcmpError(skb: SkBuff, th: number, net: number): number {
  const quoted = th + ICMP_HLEN;
  if (skb.tail - quoted < IP_HLEN) return -1;
  const first = memView.getUint8(quoted);
  const inner = quoted + ((first & 15) << 2);
  if (first >> 4 !== 4 || inner - quoted < IP_HLEN || inner > skb.tail) return -1;
  if ((memView.getUint16(quoted + IPH_FRAG_OFF) & IP_OFFSET) !== 0) return -1;
  const protocol = memView.getUint8(quoted + IPH_PROTOCOL);
  let ports = 0;
  if (protocol === IPPROTO_TCP || protocol === IPPROTO_UDP) {
    if (skb.tail - inner < PORTS_BYTES) return -1;
    const there = memView.getInt32(inner);
    ports = (there << 16) | (there >>> 16);
  } else if (protocol === IPPROTO_ICMP) {
    if (skb.tail - inner < ICMP_HLEN || nfCtIcmpInverse(memView.getUint8(inner + ICMPH_TYPE)) < 0) return -1;
    ports = nfCtIcmpReplyPorts(nfCtIcmpPorts(inner));
  }
  const saddr = memView.getInt32(quoted + IPH_DADDR);
  const node = nfCtFind(saddr, memView.getInt32(quoted + IPH_SADDR), ports, protocol | (net << 8));
  if (node < 0) return -1;
  const tuple = nfCtNodeRow(node) + (node & 1) * TUPLE_WORDS;
  return words[tuple + TUPLE_DADDR] === memView.getInt32(skb.nh + IPH_DADDR) ? node : -1;
}
