/**
 * Connection tracking: which connection a packet belongs to, and what it is to it. Linux: net/netfilter/nf_conntrack_core.c
 * nf_conntrack_in(), nf_conntrack_proto.c, net/ipv4/netfilter/nf_defrag_ipv4.c. Owns the hooks.
 *
 *   PRE_ROUTING, LOCAL_OUT:   whole (-400) → raw's NOTRACK (-300) → track (-200)
 *   LOCAL_IN, POST_ROUTING:   confirm, behind all others
 *
 * A packet knows its connection by `ackSeq`, which is TCP's only above LOCAL_IN and below LOCAL_OUT: ctinfo, the row's index and its
 * generation (nfCtRef()); 0 for none, IP_CT_UNTRACKED alone for what is not to be tracked. It begins with 0 where it comes from a
 * wire (its route is null) or from this host; what loopback brings back keeps it, and is not tracked twice.
 */
import { memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from "../../uapi/in.ts";
import {
  NF_ACCEPT, NF_DROP, NF_INET_LOCAL_IN, NF_INET_LOCAL_OUT, NF_INET_POST_ROUTING, NF_INET_PRE_ROUTING, NF_IP_PRI_CONNTRACK,
  NF_IP_PRI_CONNTRACK_CONFIRM, NF_IP_PRI_CONNTRACK_DEFRAG, NF_STOLEN, NFPROTO_IPV4,
} from "../../uapi/netfilter.ts";
import {
  IP_CT_ESTABLISHED, IP_CT_IS_REPLY, IP_CT_NEW, IP_CT_RELATED, IP_CT_TEMPLATE, IP_CT_UNTRACKED, IPS_CONFIRMED, IPS_DYING,
  IPS_EXPECTED, IPS_HELPER, IPS_SEEN_REPLY,
} from "../../uapi/nf-conntrack.ts";
import { IPSTATS_MIB_INDISCARDS } from "../../uapi/snmp.ts";
import type { Net } from "../core/net.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { ipFragments } from "../ipv4/ip-parts.ts";
import { inetProtocol } from "../ipv4/protocol.ts";
import { IP_FRAGMENT_BITS, IP_OFFSET, IPH_DADDR, IPH_FRAG_OFF, IPH_PROTOCOL, IPH_SADDR } from "../wire/ip.ts";
import { NfHookOps, nfRegisterCtHook, nfRegisterHook, nfReinject } from "./hooks.ts";
import {
  nfCtIcmpError, nfCtIcmpInverse, nfCtIcmpIsError, nfCtIcmpPacket, nfCtIcmpPorts, nfCtIcmpReplyPorts, nfCtIcmpValid,
} from "./nf-conntrack-icmp.ts";
import { ctHelpers } from "./nf-conntrack-parts.ts";
import {
  CT_L4, CT_STAT_DROP, CT_STAT_ERROR, CT_STAT_INVALID, CT_STATUS, nfCtAlloc, nfCtConfirm, nfCtCount, nfCtDelete, nfCtFind, nfCtGet,
  nfCtNodeRow, nfCtRef, nfCtTableInit,
} from "./nf-conntrack-table.ts";
import { CT_AGAIN, CT_INVALID, CT_TRACKED, nfCtTcpPacket, nfCtTcpSetClosing, nfCtTcpValid } from "./nf-conntrack-tcp.ts";
import { nfCtGenericPacket, nfCtUdpPacket, nfCtUdpValid } from "./nf-conntrack-udp.ts";
import { netnsCt, type NetnsCt, netnsCtInit } from "./netns-ct.ts";

/** A ctinfo in a packet's reference. */
export const CTINFO_MASK = 7;
/** Behind it, with IP_CT_TEMPLATE: number of a helper. */
export const CTINFO_BITS = 3;

/** Not made at boot: there it would be in RAM. */
const CT_HOOK = Object.freeze({ attach, setClosing });

/** The hook of PRE_ROUTING that puts fragments together: what it gives back goes on behind it. */
let wholeOps: NfHookOps;
/** Reference of the error that is sent next; 0 when it is none, or is about nothing that is tracked. */
let attached = 0;

/** Boot time. @param count connections of all namespaces */
export function nfConntrackInit(count: number): void {
  netnsCtInit();
  nfCtTableInit(count);
  attached = 0;
  nfRegisterCtHook(CT_HOOK);
  wholeOps = registerHook(whole, NF_INET_PRE_ROUTING, NF_IP_PRI_CONNTRACK_DEFRAG);
  registerHook(begin, NF_INET_LOCAL_OUT, NF_IP_PRI_CONNTRACK_DEFRAG);
  registerHook(track, NF_INET_PRE_ROUTING, NF_IP_PRI_CONNTRACK);
  registerHook(track, NF_INET_LOCAL_OUT, NF_IP_PRI_CONNTRACK);
  registerHook(confirmIn, NF_INET_LOCAL_IN, NF_IP_PRI_CONNTRACK_CONFIRM);
  registerHook(confirm, NF_INET_POST_ROUTING, NF_IP_PRI_CONNTRACK_CONFIRM);
}

function registerHook(fn: NfHookOps["hook"], hooknum: number, priority: number): NfHookOps {
  const ops = new NfHookOps(fn, NFPROTO_IPV4, hooknum, priority);
  nfRegisterHook(ops);
  return ops;
}

/**
 * This host's own packets begin unknown: what TCP left in the field, or a request that became its answer, is of no account. But an
 * error about a packet belongs to that one's connection, which may be known to nobody else yet.
 */
function begin(_net: Net, skb: SkBuff): number {
  skb.ackSeq = attached;
  attached = 0;
  return NF_ACCEPT;
}

/** Linux: nf_conntrack_attach(). */
function attach(skb: SkBuff): void {
  const ref = skb.ackSeq;
  const row = nfCtGet(ref);
  const reply = (ref & CTINFO_MASK) >= IP_CT_IS_REPLY;
  attached = row < 0 ? 0 : nfCtRef(row, IP_CT_RELATED + (reply ? 0 : IP_CT_IS_REPLY));
}

/** Linux: nf_conntrack_set_closing(). */
function setClosing(net: Net, skb: SkBuff): void {
  const row = nfCtGet(skb.ackSeq);
  if (row >= 0 && (words[row + CT_L4]! & 0xff) === IPPROTO_TCP) nfCtTcpSetClosing(row, netnsCt(net));
}

/**
 * What comes from a wire begins unknown; fragments are put together, so that all of a datagram is judged at once. Linux:
 * ipv4_conntrack_defrag().
 */
function whole(net: Net, skb: SkBuff, _hook: number, inDev: NetDevice | null): number {
  const ref = skb.ackSeq;
  if (skb.dst !== null && (ref === IP_CT_UNTRACKED || nfCtGet(ref) >= 0)) return NF_ACCEPT;
  skb.ackSeq = 0;
  const fragments = ipFragments;
  if (fragments === null || (memView.getUint16(skb.nh + IPH_FRAG_OFF) & IP_FRAGMENT_BITS) === 0) return NF_ACCEPT;
  const datagram = fragments.defrag(skb);
  if (datagram !== null) {
    datagram.ackSeq = 0;
    nfReinject(datagram, wholeOps, NF_ACCEPT, net, inDev, null);
  }
  return NF_STOLEN;
}

/** Finds the packet's connection, or begins one. Linux: nf_conntrack_in(). */
function track(net: Net, skb: SkBuff, hooknum: number): number {
  const template = skb.ackSeq;
  if (template !== 0 && (template & CTINFO_MASK) !== IP_CT_TEMPLATE) return NF_ACCEPT;
  skb.ackSeq = 0;
  const nh = skb.nh;
  const th = nh + ((memView.getUint8(nh) & 15) << 2);
  const protocol = memView.getUint8(nh + IPH_PROTOCOL);
  const ct = netnsCt(net);
  const check = hooknum === NF_INET_PRE_ROUTING && ct.nfConntrackChecksum !== 0;
  let valid = (memView.getUint16(nh + IPH_FRAG_OFF) & IP_OFFSET) === 0;
  if (valid) {
    if (protocol === IPPROTO_TCP) valid = nfCtTcpValid(skb, th, check);
    else if (protocol === IPPROTO_UDP) valid = nfCtUdpValid(skb, th, check);
    else if (protocol === IPPROTO_ICMP) valid = nfCtIcmpValid(skb, th, check);
  }
  if (!valid) {
    nfCtCount(CT_STAT_INVALID);
    return NF_ACCEPT;
  }
  if (protocol === IPPROTO_ICMP && nfCtIcmpIsError(th)) {
    const node = nfCtIcmpError(skb, th, net.id);
    if (node < 0) nfCtCount(CT_STAT_ERROR);
    else skb.ackSeq = nfCtRef(nfCtNodeRow(node), IP_CT_RELATED + (node & 1) * IP_CT_IS_REPLY);
    return NF_ACCEPT;
  }
  const helper = template >> CTINFO_BITS;
  let answer = resolve(net, skb, th, protocol, ct, helper);
  if (answer === CT_AGAIN) answer = resolve(net, skb, th, protocol, ct, helper);
  if (answer === CT_TRACKED) return NF_ACCEPT;
  if (answer === NF_DROP) {
    nfCtCount(CT_STAT_DROP);
    return NF_DROP;
  }
  nfCtCount(CT_STAT_INVALID);
  return NF_ACCEPT;
}

/**
 * Linux: resolve_normal_ct(). @param helper number of the one that a new connection gets, 0
 * @returns CT_TRACKED, CT_INVALID or CT_AGAIN; NF_DROP when there is no room for one more connection
 */
function resolve(net: Net, skb: SkBuff, th: number, protocol: number, ct: NetnsCt, helper: number): number {
  const saddr = memView.getInt32(skb.nh + IPH_SADDR);
  const daddr = memView.getInt32(skb.nh + IPH_DADDR);
  const l4 = protocol | (net.id << 8);
  let ports = 0;
  let replyPorts = 0;
  if (protocol === IPPROTO_TCP || protocol === IPPROTO_UDP) {
    ports = memView.getInt32(th);
    replyPorts = (ports << 16) | (ports >>> 16);
  } else if (protocol === IPPROTO_ICMP) {
    ports = nfCtIcmpPorts(th);
    if (nfCtIcmpInverse((ports >> 8) & 0xff) < 0) return CT_INVALID;
    replyPorts = nfCtIcmpReplyPorts(ports);
  }
  const node = nfCtFind(saddr, daddr, ports, l4);
  const direction = node < 0 ? 0 : node & 1;
  const row = node < 0 ? nfCtAlloc(saddr, daddr, ports, replyPorts, l4) : nfCtNodeRow(node);
  if (row < 0) return NF_DROP;
  if (node < 0 && ctHelpers !== null) ctHelpers.begin(row, helper);
  const status = words[row + CT_STATUS]!;
  let ctinfo = IP_CT_NEW;
  if (direction !== 0) ctinfo = IP_CT_ESTABLISHED + IP_CT_IS_REPLY;
  else if ((status & IPS_SEEN_REPLY) !== 0) ctinfo = IP_CT_ESTABLISHED;
  else if ((status & IPS_EXPECTED) !== 0) ctinfo = IP_CT_RELATED;
  const ref = nfCtRef(row, ctinfo);
  const answer = packet(skb, th, protocol, row, direction, ct);
  if (answer !== CT_TRACKED) {
    if (answer === CT_INVALID && (status & IPS_CONFIRMED) === 0) nfCtDelete(row);
    return answer;
  }
  skb.ackSeq = ref;
  if (direction !== 0) words[row + CT_STATUS]! |= IPS_SEEN_REPLY;
  return CT_TRACKED;
}

/** Linux: nf_conntrack_handle_packet(). */
function packet(skb: SkBuff, th: number, protocol: number, row: number, direction: number, ct: NetnsCt): number {
  if (protocol === IPPROTO_TCP) return nfCtTcpPacket(skb, th, row, direction, ct);
  if (protocol === IPPROTO_ICMP) return nfCtIcmpPacket(th, row, ct) ? CT_TRACKED : CT_INVALID;
  if (protocol === IPPROTO_UDP) nfCtUdpPacket(row, ct);
  else nfCtGenericPacket(row, ct);
  return CT_TRACKED;
}

/**
 * The packet leaves, or is about to be delivered: so there is a connection. One whose row was given away meanwhile, as it waited
 * for a queue's verdict, is tracked anew. Linux: nf_confirm(), __nf_conntrack_confirm().
 */
function confirm(net: Net, skb: SkBuff, hooknum: number): number {
  const ref = skb.ackSeq;
  const ctinfo = ref & CTINFO_MASK;
  if (ctHelpers !== null) {
    const helped = nfCtGet(ref);
    if (helped >= 0 && (words[helped + CT_STATUS]! & IPS_HELPER) !== 0) {
      const verdict = ctHelpers.leave(skb, helped, ctinfo, hooknum);
      if (verdict !== NF_ACCEPT) return verdict;
    }
  }
  if (ref === 0 || (ctinfo !== IP_CT_NEW && ctinfo !== IP_CT_RELATED)) return NF_ACCEPT;
  let row = nfCtGet(ref);
  if (row < 0 && ctinfo === IP_CT_NEW) {
    skb.ackSeq = 0;
    if (track(net, skb, hooknum) !== NF_ACCEPT) return NF_DROP;
    row = nfCtGet(skb.ackSeq);
  }
  if (row < 0 || (words[row + CT_STATUS]! & (IPS_CONFIRMED | IPS_DYING)) !== 0) return NF_ACCEPT;
  const winner = nfCtConfirm(row);
  if (winner < 0) return NF_DROP;
  if (winner !== row) skb.ackSeq = nfCtRef(winner, ctinfo);
  return NF_ACCEPT;
}

/** A protocol that takes no packet with others chained to it gets none, as in deliverFragment() of ip-input.ts. */
function confirmIn(net: Net, skb: SkBuff, hooknum: number): number {
  if (skb.fragList !== null) {
    const prot = inetProtocol(memView.getUint8(skb.nh + IPH_PROTOCOL));
    if (prot !== null && prot.chained !== true) {
      net.mib[IPSTATS_MIB_INDISCARDS]!++;
      return NF_DROP;
    }
  }
  return confirm(net, skb, hooknum);
}
