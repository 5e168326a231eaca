/**
 * What is learned of the way to a destination: that it takes less than was thought, or that another gateway is nearer. Linux:
 * __ip_rt_update_pmtu(), __ip_do_redirect() of net/ipv4/route.c. It becomes an exception of the next hop (fib-exception.ts).
 *
 * Read first: RFC 1191 section 3 (path MTU), RFC 1122 section 3.2.2.2 (redirect: what a host may believe).
 */
import { mem8, memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import { ICMP_REDIR_HOSTTOS } from "../../uapi/icmp.ts";
import { inClassD } from "../../uapi/in.ts";
import { RTN_UNICAST, RTNH_F_DEAD } from "../../uapi/rtnetlink.ts";
import type { Net } from "../core/net.ts";
import type { NetDevice } from "../core/net-device.ts";
import { neighCreate, neighEventSend, neighLookup, NUD_VALID } from "../core/neighbour.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { ICMPH_CODE, ICMPH_UN } from "../wire/icmp.ts";
import { IPH_DADDR, IPH_SADDR } from "../wire/ip.ts";
import { arpTbl } from "./arp.ts";
import {
  IN_DEV_SECURE_REDIRECTS, IN_DEV_SHARED_MEDIA, inDevGet, inDevOrconf, inDevRxRedirects, inetAddrOnlink,
} from "./devinet.ts";
import { FE_GW, fnheFind, fnheUpdate } from "./fib-exception.ts";
import { fibLookup, fibResult, inetAddrType } from "./fib-lookup.ts";
import { NH_GW, NH_NEXT, NH_OIF, NH_WORD } from "./fib-semantics.ts";
import { fibInfoAfter } from "./fib-sync.ts";
import { flowi4Init, outputFlow } from "./flow.ts";
import { ipAdvancedRouter } from "./ip-parts.ts";
import { dstMtu, MIN_PMTU, MTU_EXPIRES_MS, type Rtable } from "./rtable.ts";

/** How long a redirect holds, in ms (net.ipv4.route.gc_timeout). */
const REDIRECT_EXPIRES_MS = 300000;

/**
 * The next hop that packets of such addresses take, for what is to be learned about the way there; 0 when there is none. Linux:
 * fib_select_path() as in __ip_rt_update_pmtu(), without ports.
 */
function nexthopTo(net: Net, daddr: number, saddr: number): number {
  const fl = outputFlow;
  flowi4Init(fl, daddr, saddr, 0, 0, 0);
  if (fibLookup(net, fl, fibResult) !== 0) return 0;
  const fi = fibResult.fi;
  return words[fi + NH_NEXT] === 0 ? fibResult.nh : ipAdvancedRouter!.select(net, fi, fl, fibResult.nh);
}

/**
 * The path to a destination takes less than was thought. Linux: __ip_rt_update_pmtu(). Learned for that destination only.
 * @param mtu as the router named it
 */
export function ipRtUpdatePmtu(net: Net, rt: Rtable, daddr: number, saddr: number, mtu: number): void {
  const pmtu = mtu < MIN_PMTU ? MIN_PMTU : mtu;
  if (pmtu >= dstMtu(rt)) return;
  const nh = nexthopTo(net, daddr, saddr);
  if (nh !== 0) fnheUpdate(net, nh, daddr, 0, pmtu, MTU_EXPIRES_MS);
}

/** Is that a gateway of a route by that device? Linux: ip_fib_check_default(). */
function isKnownGateway(net: Net, gw: number, dev: NetDevice): boolean {
  for (let fi = fibInfoAfter(net, 0); fi !== 0; fi = fibInfoAfter(net, fi)) {
    for (let nh = fi; nh !== 0; nh = words[nh + NH_NEXT]!) {
      if (words[nh + NH_GW] === gw && words[nh + NH_OIF] === dev.ifindex && (words[nh + NH_WORD]! & RTNH_F_DEAD) === 0) return true;
    }
  }
  return false;
}

/**
 * A gateway says that another one is nearer to a destination. Linux: __ip_do_redirect(). Believed when it comes from the gateway
 * in use, and names one that answers on the same link: the first redirect to one that nobody knows only asks for its link address.
 * @param dev device the redirect came in by @param daddr, saddr of the packet it is about
 */
export function ipDoRedirect(net: Net, dev: NetDevice, daddr: number, saddr: number, oldGw: number, newGw: number): void {
  const inDev = inDevGet(dev);
  if (inDev === null || newGw === oldGw || inClassD(newGw) || newGw === -1 || newGw === 0 || !inDevRxRedirects(inDev)) return;
  if (inDevOrconf(inDev, IN_DEV_SHARED_MEDIA)) {
    if (inetAddrType(net, newGw) !== RTN_UNICAST) return;
  } else {
    if (!inetAddrOnlink(inDev, newGw, oldGw)) return;
    if (inDevOrconf(inDev, IN_DEV_SECURE_REDIRECTS) && !isKnownGateway(net, newGw, dev)) return;
  }
  const nh = nexthopTo(net, daddr, saddr);
  if (nh === 0 || words[nh + NH_OIF] !== dev.ifindex) return;
  const ex = fnheFind(nh, daddr);
  const gw = ex !== 0 && words[ex + FE_GW] !== 0 ? words[ex + FE_GW] : words[nh + NH_GW];
  if (gw !== oldGw) return;
  const neigh = neighLookup(arpTbl, newGw, dev) ?? neighCreate(arpTbl, newGw, dev);
  if (neigh === null) return;
  if ((neigh.nudState & NUD_VALID) === 0) neighEventSend(neigh, null);
  else fnheUpdate(net, nh, daddr, newGw, 0, REDIRECT_EXPIRES_MS);
}

/**
 * A redirect about a packet of this host, as the protocol that sent it hears of it. Linux: ipv4_redirect(), ipv4_sk_redirect().
 * @param skb nh at its IP header, th at the ICMP header, data at the quoted IP header
 */
export function ipv4Redirect(skb: SkBuff): void {
  const dev = skb.dev!;
  if ((mem8[skb.th + ICMPH_CODE]! & 7) > ICMP_REDIR_HOSTTOS) return;
  ipDoRedirect(
    dev.net!, dev, memView.getInt32(skb.data + IPH_DADDR), memView.getInt32(skb.data + IPH_SADDR), memView.getInt32(skb.nh + IPH_SADDR),
    memView.getInt32(skb.th + ICMPH_UN),
  );
}
