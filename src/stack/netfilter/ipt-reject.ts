/**
 * The target REJECT: a packet is dropped and its sender hears of it, by an ICMP error or a reset. Linux: net/ipv4/netfilter/ipt_REJECT.c,
 * nf_reject_ipv4.c. Owns nothing.
 */
import { csumPartial, csumTcpudpMagic } from "../../lib/checksum.ts";
import { mem8, memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import { EINVAL } from "../../uapi/errno.ts";
import {
  ICMP_DEST_UNREACH, ICMP_HOST_ANO, ICMP_HOST_UNREACH, ICMP_NET_ANO, ICMP_NET_UNREACH, ICMP_PKT_FILTERED, ICMP_PORT_UNREACH,
  ICMP_PROT_UNREACH,
} from "../../uapi/icmp.ts";
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE } from "../../uapi/in.ts";
import {
  IPT_INV_PROTO, IPT_REJECT_TCP_RESET, IPT_TABLE_FILTER, IPTE_PROTO, XT_DATA, XT_TARGET_REJECT,
} from "../../uapi/ip-tables.ts";
import { NF_DROP, NF_INET_FORWARD, NF_INET_LOCAL_IN, NF_INET_LOCAL_OUT } from "../../uapi/netfilter.ts";
import type { Net } from "../core/net.ts";
import { allocSkb, CHECKSUM_UNNECESSARY, consumeSkb, MAX_HEADER, skbPut, skbReserve, type SkBuff } from "../core/skbuff.ts";
import { icmpSend } from "../ipv4/icmp.ts";
import { ipLocalOut, ipPushHeader } from "../ipv4/ip-output.ts";
import { RTCF_BROADCAST, RTCF_MULTICAST, type Rtable } from "../ipv4/rtable.ts";
import { IP_OFFSET, IPH_DADDR, IPH_FRAG_OFF, IPH_PROTOCOL, IPH_SADDR } from "../wire/ip.ts";
import {
  TCP_HLEN, TCPHDR_ACK, TCPHDR_DOFF_PLAIN, TCPHDR_FIN, TCPHDR_RST, TCPHDR_SYN, TH_ACK, TH_DOFF, TH_DPORT, TH_FLAGS, TH_OFF_FLAGS,
  TH_SEQ, TH_SPORT, TH_SUM, TH_WIN,
} from "../wire/tcp.ts";
import { UH_SUM } from "../wire/udp.ts";
import { nfAttach, nfSetClosing } from "./hooks.ts";
import { ipRouteMeHarder } from "./reroute.ts";
import { xtHook, xtNet, xtRegisterTarget } from "./x-tables.ts";

/** The code of Destination unreachable by IPT_REJECT_*; -1 where it is none. */
const CODES: readonly number[] = Object.freeze([
  ICMP_NET_UNREACH, ICMP_HOST_UNREACH, ICMP_PROT_UNREACH, ICMP_PORT_UNREACH, -1, ICMP_NET_ANO, ICMP_HOST_ANO, -1, ICMP_PKT_FILTERED,
]);

/** Is the transport checksum right, as far as it can be told? Linux: nf_ip_checksum(), nf_reject_verify_csum(). */
function checksumRight(skb: SkBuff, th: number): boolean {
  if (xtHook === NF_INET_LOCAL_OUT || skb.ipSummed === CHECKSUM_UNNECESSARY || skb.fragList !== null) return true;
  const nh = skb.nh;
  const protocol = mem8[nh + IPH_PROTOCOL]!;
  if (protocol !== IPPROTO_TCP && protocol !== IPPROTO_UDP && protocol !== IPPROTO_UDPLITE) return true;
  if (protocol === IPPROTO_UDP && skb.tail - th >= 8 && memView.getUint16(th + UH_SUM) === 0) return true;
  const length = skb.tail - th;
  const saddr = memView.getInt32(nh + IPH_SADDR);
  const daddr = memView.getInt32(nh + IPH_DADDR);
  return csumTcpudpMagic(saddr, daddr, length, protocol, csumPartial(th, length)) === 0;
}

/** Linux: nf_send_reset(). */
function sendReset(net: Net, old: SkBuff, oldTh: number): void {
  const view = memView;
  const oldNh = old.nh;
  if (old.tail - oldTh < TCP_HLEN || !checksumRight(old, oldTh)) return;
  const flags = mem8[oldTh + TH_FLAGS]!;
  if ((flags & TCPHDR_RST) !== 0) return;
  const rt = old.dst as Rtable | null;
  if (rt !== null && (rt.flags & (RTCF_BROADCAST | RTCF_MULTICAST)) !== 0) return;
  const skb = allocSkb(MAX_HEADER + TCP_HLEN);
  if (skb === null) return;
  skbReserve(skb, MAX_HEADER);
  const th = skbPut(skb, TCP_HLEN);
  skb.th = th;
  view.setUint16(th + TH_SPORT, view.getUint16(oldTh + TH_DPORT));
  view.setUint16(th + TH_DPORT, view.getUint16(oldTh + TH_SPORT));
  const acked = (flags & TCPHDR_ACK) !== 0;
  const data = old.len - (oldTh - old.data) - ((mem8[oldTh + TH_DOFF]! >> 4) << 2);
  const length = data + ((flags & TCPHDR_SYN) !== 0 ? 1 : 0) + ((flags & TCPHDR_FIN) !== 0 ? 1 : 0);
  view.setInt32(th + TH_SEQ, acked ? view.getInt32(oldTh + TH_ACK) : 0);
  view.setInt32(th + TH_ACK, acked ? 0 : (view.getInt32(oldTh + TH_SEQ) + length) | 0);
  view.setUint16(th + TH_OFF_FLAGS, TCPHDR_DOFF_PLAIN | TCPHDR_RST | (acked ? 0 : TCPHDR_ACK));
  view.setUint16(th + TH_WIN, 0);
  view.setInt32(th + TH_SUM, 0);
  const saddr = view.getInt32(oldNh + IPH_DADDR);
  const daddr = view.getInt32(oldNh + IPH_SADDR);
  view.setUint16(th + TH_SUM, csumTcpudpMagic(saddr, daddr, TCP_HLEN, IPPROTO_TCP, csumPartial(th, TCP_HLEN)));
  ipPushHeader(skb, null, saddr, daddr, IPPROTO_TCP, net.ipv4.ipDefaultTtl, 0, true);
  if (ipRouteMeHarder(net, skb) < 0) {
    consumeSkb(skb);
    return;
  }
  nfAttach(old);
  nfSetClosing(net, old);
  ipLocalOut(net, skb);
}

/** Linux: reject_tg(). */
function rejectTarget(skb: SkBuff, at: number): number {
  const nh = skb.nh;
  if ((memView.getUint16(nh + IPH_FRAG_OFF) & IP_OFFSET) !== 0) return NF_DROP;
  const th = nh + ((mem8[nh]! & 15) << 2);
  const how = words[at + XT_DATA]!;
  // While ICMP itself is sending it says nothing else (Linux: icmp_xmit_lock()).
  const busy = xtHook === NF_INET_LOCAL_OUT && skb.sk === null && mem8[nh + IPH_PROTOCOL] === IPPROTO_ICMP;
  if (how === IPT_REJECT_TCP_RESET) sendReset(xtNet, skb, th);
  else if (busy) return NF_DROP;
  else if (checksumRight(skb, th)) icmpSend(skb, ICMP_DEST_UNREACH, CODES[how]!, 0);
  return NF_DROP;
}

/** Linux: reject_tg_check(). */
function rejectCheck(at: number, entry: number): number {
  const how = words[at + XT_DATA]!;
  const flags = words[entry + IPTE_PROTO]!;
  if (how === IPT_REJECT_TCP_RESET) return (flags & 0xff) === IPPROTO_TCP && (flags >> 16 & IPT_INV_PROTO) === 0 ? 0 : -EINVAL;
  return how >= 0 && how < CODES.length && CODES[how]! >= 0 ? 0 : -EINVAL;
}

/** Not made at boot: there it would be in RAM. */
const HOOKS = (1 << NF_INET_LOCAL_IN) | (1 << NF_INET_FORWARD) | (1 << NF_INET_LOCAL_OUT);
const REJECT = Object.freeze({
  size: 1, tables: 1 << IPT_TABLE_FILTER, hooks: HOOKS, proto: 0, check: rejectCheck, target: rejectTarget,
});

/** Boot time. */
export function iptRejectInit(): void {
  xtRegisterTarget(XT_TARGET_REJECT, REJECT);
}
