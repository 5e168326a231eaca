/**
 * Where the address to translate to is not written in a rule: MASQUERADE takes that of the device a packet leaves by, REDIRECT that
 * of the device it came in by. Linux: net/netfilter/nf_nat_masquerade.c, nf_nat_redirect.c. Owns its place in the notifier chains.
 *
 * When the device goes down, or the address does, the connections that stood on them are forgotten: their next packet begins
 * anew, from what there is then.
 */
import { account } from "../../lib/account.ts";
import { NOTIFY_DONE, NotifierBlock, notifierChainRegister } from "../../lib/notifier.ts";
import { memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import { NETDEV_DOWN, netdevChain } from "../../netif/dev.ts";
import { INADDR_LOOPBACK } from "../../uapi/in.ts";
import { NF_NAT_RANGE_MAP_IPS } from "../../uapi/ip-tables.ts";
import { NF_ACCEPT, NF_DROP, NF_INET_LOCAL_OUT } from "../../uapi/netfilter.ts";
import { RT_SCOPE_UNIVERSE } from "../../uapi/rtnetlink.ts";
import type { Net } from "../core/net.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { inDevGet, inetaddrChain, inetSelectAddr, type InIfaddr } from "../ipv4/devinet.ts";
import { type Rtable, rtNexthop } from "../ipv4/rtable.ts";
import { IPH_DADDR } from "../wire/ip.ts";
import { nfCtDelete, nfCtGet, nfCtNext, TUPLE_DADDR, TUPLE_SADDR, TUPLE_WORDS } from "./nf-conntrack-table.ts";
import { nfNatMasqIndex, nfNatMasqSet, nfNatSetupInfo } from "./nf-nat-core.ts";
import { NF_NAT_MANIP_DST, NF_NAT_MANIP_SRC } from "./nf-nat-unique.ts";

/** Boot time, behind nfNatInit(). */
export function nfNatMasqueradeInit(): void {
  notifierChainRegister(netdevChain, account("nf_nat_masquerade", new NotifierBlock<NetDevice>(deviceEvent)));
  notifierChainRegister(inetaddrChain, account("nf_nat_masquerade", new NotifierBlock<InIfaddr>(addressEvent)));
}

/** Linux: nf_nat_masquerade_ipv4(). @param flags NF_NAT_RANGE_*, of ports @returns a verdict */
export function nfNatMasquerade(net: Net, skb: SkBuff, outDev: NetDevice, flags: number, minPort: number, maxPort: number): number {
  const row = nfCtGet(skb.ackSeq);
  if (row < 0) return NF_DROP;
  // What is still looking for an address of its own has none to be translated.
  if (words[row + TUPLE_SADDR] === 0) return NF_ACCEPT;
  const hop = rtNexthop(skb.dst as Rtable, memView.getInt32(skb.nh + IPH_DADDR));
  const addr = inetSelectAddr(net, outDev, hop, RT_SCOPE_UNIVERSE);
  if (addr === 0) return NF_DROP;
  nfNatMasqSet(row, outDev.ifindex);
  return nfNatSetupInfo(row, NF_NAT_MANIP_SRC, flags | NF_NAT_RANGE_MAP_IPS, addr, addr, minPort, maxPort, 0);
}

/** Linux: nf_nat_redirect_ipv4(). @param inDev null for a packet of this host, which goes to its loopback */
export function nfNatRedirect(
  skb: SkBuff, hook: number, inDev: NetDevice | null, flags: number, minPort: number, maxPort: number,
): number {
  const row = nfCtGet(skb.ackSeq);
  if (row < 0) return NF_DROP;
  let addr = INADDR_LOOPBACK;
  if (hook !== NF_INET_LOCAL_OUT) {
    const inDevice = inDev === null ? null : inDevGet(inDev);
    if (inDevice === null || inDevice.ifaList === null) return NF_DROP;
    addr = inDevice.ifaList.local;
  }
  return nfNatSetupInfo(row, NF_NAT_MANIP_DST, flags | NF_NAT_RANGE_MAP_IPS, addr, addr, minPort, maxPort, 0);
}

/** Forgets what is masqueraded by a device. @param addr only what comes from that address then, 0 for all */
function forget(net: Net, ifindex: number, addr: number): void {
  for (let row = nfCtNext(net, -1); row >= 0; row = nfCtNext(net, row)) {
    if (nfNatMasqIndex(row) !== ifindex) continue;
    if (addr === 0 || words[row + TUPLE_WORDS + TUPLE_DADDR] === addr) nfCtDelete(row);
  }
}

function deviceEvent(event: number, dev: NetDevice): number {
  if (event === NETDEV_DOWN) forget(dev.net!, dev.ifindex, 0);
  return NOTIFY_DONE;
}

function addressEvent(event: number, ifa: InIfaddr): number {
  if (event === NETDEV_DOWN) forget(ifa.dev!.net!, ifa.dev!.ifindex, ifa.local);
  return NOTIFY_DONE;
}
