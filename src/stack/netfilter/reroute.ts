/**
 * A packet of this host whose header or mark was changed on its way is routed again. Linux: net/ipv4/netfilter.c
 * ip_route_me_harder().
 */
import { mem8, memView } from "../../lib/memory.ts";
import { RTN_LOCAL } from "../../uapi/rtnetlink.ts";
import type { Net } from "../core/net.ts";
import { type SkBuff, skbDstDrop } from "../core/skbuff.ts";
import { FLOWI_FLAG_ANYSRC, flowi4Init, outputFlow } from "../ipv4/flow.ts";
import { inetAddrType } from "../ipv4/fib-lookup.ts";
import { ipRouteOutputKey } from "../ipv4/route.ts";
import { IPH_DADDR, IPH_PROTOCOL, IPH_SADDR, IPH_TOS } from "../wire/ip.ts";

/** Gives the packet the route of its header as it is now. @returns 0, or the errno of routing: the packet keeps the old one */
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
  return 0;
}
