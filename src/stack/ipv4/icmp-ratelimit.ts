/**
 * How many ICMP errors may go out: a token bucket for all together, and one for each destination (inetpeer.ts). Linux:
 * icmp_global_allow(), icmpv4_xrlim_allow() of net/ipv4/icmp.c.
 *
 * Read first: RFC 1812 section 4.3.2.8 (rate limiting).
 */
import { jiffies } from "../../lib/timer.ts";
import { IFF_LOOPBACK } from "../../uapi/if.ts";
import { ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, NR_ICMP_TYPES } from "../../uapi/icmp.ts";
import { ICMP_MIB_RATELIMITGLOBAL, ICMP_MIB_RATELIMITHOST } from "../../uapi/snmp.ts";
import type { Net } from "../core/net.ts";
import type { NetDevice } from "../core/net-device.ts";
import { inetGetpeer, inetPeerXrlimAllow } from "./inetpeer.ts";

/** Least time between two refills of the global bucket, in ms (HZ / 50). */
const REFILL_MS = 20;

let globalCredit = 0;
let globalStamp = 0;

/** Boot time. */
export function icmpRatelimitInit(): void {
  globalCredit = 0;
  globalStamp = (jiffies - 1000) | 0;
}

/** Is that kind of message free of limits? Linux: icmpv4_mask_allow(). */
function unlimited(net: Net, type: number, code: number): boolean {
  if (type > NR_ICMP_TYPES || ((1 << type) & net.ipv4.icmpRatemask) === 0) return true;
  return type === ICMP_DEST_UNREACH && code === ICMP_FRAG_NEEDED;
}

/**
 * Takes a token of the bucket for all destinations; false, counted, when there is none. Linux: icmpv4_global_allow().
 */
export function icmpGlobalAllow(net: Net, type: number, code: number): boolean {
  if (unlimited(net, type, code)) return true;
  let idle = (jiffies - globalStamp) | 0;
  if (idle < 0 || idle > 1000) idle = 1000;
  if (idle >= REFILL_MS) {
    const refill = (net.ipv4.icmpMsgsPerSec * idle / 1000) | 0;
    if (refill > 0) globalStamp = jiffies;
    const credit = globalCredit + refill;
    globalCredit = credit < net.ipv4.icmpMsgsBurst ? credit : net.ipv4.icmpMsgsBurst;
  }
  if (globalCredit <= 0) {
    net.mib[ICMP_MIB_RATELIMITGLOBAL]!++;
    return false;
  }
  globalCredit--;
  return true;
}

/**
 * Takes a token of the destination's bucket: one each icmpRatelimit ms, six at most; false, counted, when there is
 * none.
 * Linux: icmpv4_xrlim_allow(). @param dev device the message would leave by
 */
export function icmpPeerAllow(net: Net, dev: NetDevice, daddr: number, type: number, code: number): boolean {
  const timeout = net.ipv4.icmpRatelimit;
  if (timeout === 0 || (dev.flags & IFF_LOOPBACK) !== 0 || unlimited(net, type, code)) return true;
  const allowed = inetPeerXrlimAllow(inetGetpeer(net, daddr), timeout);
  if (!allowed) net.mib[ICMP_MIB_RATELIMITHOST]!++;
  return allowed;
}
