/**
 * A packet of this host whose header or mark was changed on its way is routed again. Linux: net/ipv4/netfilter.c
 * ip_route_me_harder().
 */
import { csumTcpudpMagic } from "../../lib/checksum.ts";
import { mem8, memView } from "../../lib/memory.ts";
import { ENOBUFS } from "../../uapi/errno.ts";
import { IPPROTO_TCP } from "../../uapi/in.ts";
import { RTN_LOCAL } from "../../uapi/rtnetlink.ts";
import type { Net } from "../core/net.ts";
import { NETIF_F_CSUM } from "../core/net-device.ts";
import { CHECKSUM_NONE, CHECKSUM_UNNECESSARY, type SkBuff, skbDstDrop } from "../core/skbuff.ts";
import { skbEnsureWritable } from "../core/skb-copy.ts";
import { skbChecksum } from "../core/skb-frags.ts";
import { FLOWI_FLAG_ANYSRC, flowi4Init, outputFlow } from "../ipv4/flow.ts";
import { inetAddrType } from "../ipv4/fib-lookup.ts";
import { ipRouteOutputKey } from "../ipv4/route.ts";
import { IPH_DADDR, IPH_PROTOCOL, IPH_SADDR, IPH_TOS } from "../wire/ip.ts";
import { TH_SUM } from "../wire/tcp.ts";

/** A segment that was to stay on this machine, and was not summed up, leaves it. Linux: skb_checksum_help(). @returns 0 or -ENOBUFS */
function finishChecksum(skb: SkBuff): number {
  if (!skbEnsureWritable(skb)) return -ENOBUFS;
  const nh = skb.nh;
  const th = nh + ((mem8[nh]! & 15) << 2);
  const offset = th - skb.data;
  const length = skb.len - offset;
  memView.setUint16(th + TH_SUM, 0);
  const sum = skbChecksum(skb, offset, length);
  memView.setUint16(
    th + TH_SUM, csumTcpudpMagic(memView.getInt32(nh + IPH_SADDR), memView.getInt32(nh + IPH_DADDR), length, IPPROTO_TCP, sum),
  );
  skb.ipSummed = CHECKSUM_NONE;
  return 0;
}

/** Gives the packet the route of its header as it is now. @returns 0, -ENOBUFS, or the errno of routing: the packet keeps the old one */
export function ipRouteMeHarder(net: Net, skb: SkBuff): number {
  const nh = skb.nh;
  const fl = outputFlow;
  const saddr = memView.getInt32(nh + IPH_SADDR);
  const local = inetAddrType(net, saddr) === RTN_LOCAL;
  const oif = skb.sk === null ? 0 : skb.sk.boundDevIf;
  flowi4Init(fl, memView.getInt32(nh + IPH_DADDR), local ? saddr : 0, oif, mem8[nh + IPH_TOS]!, mem8[nh + IPH_PROTOCOL]!);
  fl.mark = skb.mark;
  if (!local) fl.flags = FLOWI_FLAG_ANYSRC;
  const rt = ipRouteOutputKey(net, fl);
  if (rt === null) return fl.error;
  skbDstDrop(skb);
  skb.dst = rt;
  const unsummed = skb.ipSummed === CHECKSUM_UNNECESSARY && mem8[nh + IPH_PROTOCOL] === IPPROTO_TCP;
  return unsummed && (rt.dev!.features & NETIF_F_CSUM) === 0 ? finishChecksum(skb) : 0;
}
