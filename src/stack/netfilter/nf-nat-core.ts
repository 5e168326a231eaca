/**
 * NAT: what becomes of a connection is decided with its first packet, by the table nat, and each of its packets is translated so.
 * Linux: net/netfilter/nf_nat_core.c nf_nat_setup_info(), nf_nat_inet_fn(); nf_nat_proto.c nf_nat_ipv4_*(); iptable_nat.c. Owns the hooks,
 * and by which device each masqueraded connection goes.
 *
 *   PRE_ROUTING, LOCAL_OUT (-100): destinations        LOCAL_IN, POST_ROUTING (100): sources
 *
 * A decision is a change of the connection's tuple of answers: answers to the translated packet are found by it, and are
 * translated back. A connection that no rule is about is bound to what it has already, so that no other one is translated to that.
 *
 * Read first: RFC 3022, RFC 2663 (terms), RFC 4787 (UDP), RFC 5382 (TCP), RFC 5508 (ICMP).
 */
import { mem8, memView } from "../../lib/memory.ts";
import { halfTable, halfWords, halves, words } from "../../lib/table.ts";
import { IPPROTO_ICMP } from "../../uapi/in.ts";
import { IPT_TABLE_NAT, NF_NAT_RANGE_MAP_IPS } from "../../uapi/ip-tables.ts";
import {
  NF_ACCEPT, NF_DROP, NF_INET_LOCAL_IN, NF_INET_LOCAL_OUT, NF_INET_POST_ROUTING, NF_INET_PRE_ROUTING, NF_IP_PRI_NAT_DST,
  NF_IP_PRI_NAT_SRC, nfDropErr, NFPROTO_IPV4,
} from "../../uapi/netfilter.ts";
import {
  IP_CT_IS_REPLY, IP_CT_NEW, IP_CT_RELATED, IPS_CONFIRMED, IPS_DST_NAT, IPS_DST_NAT_DONE, IPS_SRC_NAT, IPS_SRC_NAT_DONE,
} from "../../uapi/nf-conntrack.ts";
import type { Net } from "../core/net.ts";
import type { NetDevice } from "../core/net-device.ts";
import { type SkBuff, skbDstDrop } from "../core/skbuff.ts";
import { IPH_DADDR, IPH_PROTOCOL } from "../wire/ip.ts";
import { type NfHookFn, NfHookOps, nfRegisterHook } from "./hooks.ts";
import { iptAddTable, iptDoTable } from "./ip-tables.ts";
import { CTINFO_MASK } from "./nf-conntrack.ts";
import { registerCtNat } from "./nf-conntrack-parts.ts";
import {
  CT_L4, CT_STATUS, nfCtDelete, nfCtGet, nfCtIndex, TUPLE_DADDR, TUPLE_PORTS, TUPLE_SADDR, TUPLE_WORDS,
} from "./nf-conntrack-table.ts";
import { nfNatIcmpError, nfNatPacket } from "./nf-nat-proto.ts";
import {
  NF_NAT_MANIP_DST, NF_NAT_MANIP_SRC, natDaddr, natPorts, natSaddr, nfNatInvertPorts, nfNatRange, nfNatSourceAdd, nfNatSourceRemove,
  nfNatUniqueInit, nfNatUniqueTuple, nfNatUniqueWords,
} from "./nf-nat-unique.ts";
import { ipRouteMeHarder } from "./reroute.ts";

/** Where in `halves` the device of each masqueraded connection is, by its index; 0 for none. */
let masqueraded = 0;

/** Not made at boot: there it would be in RAM. */
const CT_NAT = Object.freeze({ destroy: natDestroy, setup: natSetup });

/** Words of what nfNatInit() makes. @param count connections of all namespaces */
export function nfNatWords(count: number): number {
  return nfNatUniqueWords(count) + halfWords(count);
}

/** Boot time, behind connection tracking and iptables. */
export function nfNatInit(count: number): void {
  nfNatUniqueInit(count);
  masqueraded = halfTable("nf_nat_masquerade", count);
  registerCtNat(CT_NAT);
  iptAddTable(IPT_TABLE_NAT);
  registerHook(natPreRouting, NF_INET_PRE_ROUTING, NF_IP_PRI_NAT_DST);
  registerHook(natLocalOut, NF_INET_LOCAL_OUT, NF_IP_PRI_NAT_DST);
  registerHook(natFn, NF_INET_LOCAL_IN, NF_IP_PRI_NAT_SRC);
  registerHook(natFn, NF_INET_POST_ROUTING, NF_IP_PRI_NAT_SRC);
}

function registerHook(fn: NfHookFn, hooknum: number, priority: number): void {
  nfRegisterHook(new NfHookOps(fn, NFPROTO_IPV4, hooknum, priority));
}

/** The device that a connection is masqueraded by; 0 for none. */
export function nfNatMasqIndex(row: number): number {
  return halves[masqueraded + nfCtIndex(row)]!;
}

/** The connection goes by that device, or it ends. */
export function nfNatMasqSet(row: number, ifindex: number): void {
  halves[masqueraded + nfCtIndex(row)] = ifindex;
}

function natDestroy(row: number): void {
  if ((words[row + CT_STATUS]! & IPS_SRC_NAT_DONE) !== 0) nfNatSourceRemove(row);
  halves[masqueraded + nfCtIndex(row)] = 0;
}

/**
 * Decides what one end of a connection's packets becomes. Linux: nf_nat_setup_info().
 * @param flags NF_NAT_RANGE_*; the rest as nfNatRange() @returns a verdict
 */
export function nfNatSetupInfo(
  row: number, manip: number, flags: number, minAddr: number, maxAddr: number, minPort: number, maxPort: number, basePort: number,
): number {
  const source = manip === NF_NAT_MANIP_SRC;
  const done = source ? IPS_SRC_NAT_DONE : IPS_DST_NAT_DONE;
  const status = words[row + CT_STATUS]!;
  if ((status & IPS_CONFIRMED) !== 0) return NF_ACCEPT;
  if ((status & done) !== 0) return NF_DROP;
  nfNatRange(flags, minAddr, maxAddr, minPort, maxPort, basePort);
  let change = 0;
  if (nfNatUniqueTuple(row, manip)) {
    const reply = row + TUPLE_WORDS;
    words[reply + TUPLE_SADDR] = natDaddr;
    words[reply + TUPLE_DADDR] = natSaddr;
    words[reply + TUPLE_PORTS] = nfNatInvertPorts(words[row + CT_L4]! & 0xff, natPorts);
    change = source ? IPS_SRC_NAT : IPS_DST_NAT;
  }
  if (source) nfNatSourceAdd(row);
  words[row + CT_STATUS] = status | done | change;
  return NF_ACCEPT;
}

function natSetup(row: number, destination: boolean, flags: number, addr: number, port: number): number {
  return nfNatSetupInfo(row, destination ? NF_NAT_MANIP_DST : NF_NAT_MANIP_SRC, flags, addr, addr, port, port, 0);
}

/** No rule is about the connection. Linux: nf_nat_alloc_null_binding(). */
function nullBinding(row: number, manip: number): number {
  const addr = words[row + TUPLE_WORDS + (manip === NF_NAT_MANIP_SRC ? TUPLE_DADDR : TUPLE_SADDR)]!;
  return nfNatSetupInfo(row, manip, NF_NAT_RANGE_MAP_IPS, addr, addr, 0, 0, 0);
}

/** A masqueraded connection that goes another way now would come from an address that is not that way's. Linux: nf_nat_oif_changed(). */
function wayChanged(row: number, hook: number, direction: number, outDev: NetDevice | null): boolean {
  if (hook !== NF_INET_POST_ROUTING || direction !== 0 || outDev === null) return false;
  const ifindex = nfNatMasqIndex(row);
  return ifindex !== 0 && ifindex !== outDev.ifindex;
}

/** Linux: nf_nat_ipv4_fn(), nf_nat_inet_fn(). */
function natFn(net: Net, skb: SkBuff, hook: number, inDev: NetDevice | null, outDev: NetDevice | null): number {
  const ref = skb.ackSeq;
  const row = nfCtGet(ref);
  if (row < 0) return NF_ACCEPT;
  const ctinfo = ref & CTINFO_MASK;
  const direction = ctinfo >= IP_CT_IS_REPLY ? 1 : 0;
  const manip = hook === NF_INET_POST_ROUTING || hook === NF_INET_LOCAL_IN ? NF_NAT_MANIP_SRC : NF_NAT_MANIP_DST;
  const related = ctinfo - direction * IP_CT_IS_REPLY === IP_CT_RELATED;
  if (related && mem8[skb.nh + IPH_PROTOCOL] === IPPROTO_ICMP) return nfNatIcmpError(skb, row, direction, manip);
  const done = manip === NF_NAT_MANIP_SRC ? IPS_SRC_NAT_DONE : IPS_DST_NAT_DONE;
  if ((related || ctinfo === IP_CT_NEW) && (words[row + CT_STATUS]! & done) === 0) {
    let verdict = iptDoTable(IPT_TABLE_NAT, net, skb, hook, inDev, outDev);
    if (verdict === NF_ACCEPT && (words[row + CT_STATUS]! & done) === 0) verdict = nullBinding(row, manip);
    if (verdict !== NF_ACCEPT) return verdict;
  } else if (wayChanged(row, hook, direction, outDev)) {
    nfCtDelete(row);
    return NF_DROP;
  }
  return nfNatPacket(skb, row, direction, manip);
}

/** A packet for somebody else now needs another route than it may have brought along. Linux: nf_nat_ipv4_pre_routing(). */
function natPreRouting(net: Net, skb: SkBuff, hook: number, inDev: NetDevice | null): number {
  const daddr = memView.getInt32(skb.nh + IPH_DADDR);
  const verdict = natFn(net, skb, hook, inDev, null);
  if (verdict === NF_ACCEPT && skb.dst !== null && memView.getInt32(skb.nh + IPH_DADDR) !== daddr) skbDstDrop(skb);
  return verdict;
}

/** Linux: nf_nat_ipv4_local_fn(). */
function natLocalOut(net: Net, skb: SkBuff, hook: number, _inDev: NetDevice | null, outDev: NetDevice | null): number {
  const daddr = memView.getInt32(skb.nh + IPH_DADDR);
  const verdict = natFn(net, skb, hook, null, outDev);
  if (verdict !== NF_ACCEPT || memView.getInt32(skb.nh + IPH_DADDR) === daddr) return verdict;
  const err = ipRouteMeHarder(net, skb);
  return err < 0 ? nfDropErr(-err) : NF_ACCEPT;
}
