/**
 * IGMP messages that come in: queries, and the reports of other hosts, which spare us ours (versions 1 and 2). Linux: igmp_rcv(),
 * igmp_heard_query(), igmp_heard_report() of net/ipv4/igmp.c. Read first: RFC 3376 sections 4.1, 5.2 and 7.2, RFC 2236 section 3.
 * Owns nothing.
 */
import { csumFold, csumPartial } from "../../lib/checksum.ts";
import { mem8, memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import { delTimer, jiffies, timerPending } from "../../lib/timer.ts";
import { SKB_DROP_REASON_IGMP_INVALID } from "../../uapi/drop-reason.ts";
import { MCAST_EXCLUDE, MCAST_INCLUDE } from "../../uapi/in.ts";
import { consumeSkb, kfreeSkb, PACKET_BROADCAST, PACKET_MULTICAST, pskbMayPull, type SkBuff } from "../core/skbuff.ts";
import {
  IGMP_HLEN, IGMP_HOST_MEMBERSHIP_QUERY, IGMP_HOST_MEMBERSHIP_REPORT, IGMPH_CODE, IGMPH_GROUP, IGMPH_TYPE,
  IGMPV2_HOST_MEMBERSHIP_REPORT, IGMPV3_QH_MISC, IGMPV3_QH_NSRCS, IGMPV3_QH_QQIC, IGMPV3_QH_SRCS, IGMPV3_QUERY_HLEN,
  IGMPV3_QUERY_QRV_MASK,
} from "../wire/igmp.ts";
import { igmpv3ClearDelrec } from "./igmp.ts";
import {
  G_ADDR, G_COUNT, G_FLAGS, G_GSQUERY, G_MODE, G_SOURCES, G_TIMER, groupFind, igmpDevice, type IgmpDevice, igmpVersion, NONE, S_ADDR,
  S_COUNT, S_FLAGS, S_GSRESP,
} from "./igmp-memory.ts";
import { igmpReported } from "./igmp-report.ts";
import { igmpGqStartTimer, igmpModTimer, igmpStopTimer } from "./igmp-timer.ts";

/** Time to answer a query of version 1, which names none (RFC 2236 section 4). */
const V1_RESPONSE_MS = 10000;
/** Unit of the response code, in ms. */
const CODE_MS = 100;
const SOURCE_BYTES = 4;

/** A code as version 3 writes it: from 128 on a float of four bits of mantissa and three of exponent (RFC 3376 section 4.1.1). */
function decode(code: number): number {
  return code < 128 ? code : ((code & 15) | 16) << (((code >> 4) & 7) + 3);
}

/** How long a querier of an older version counts as there (RFC 3376 section 8.12). */
function olderUntil(device: IgmpDevice): number {
  const until = (jiffies + device.qrv * device.queryIntervalMs + device.queryResponseMs) | 0;
  return until === 0 ? 1 : until;
}

/** A query of version 1 or 2: reports of version 3 are off for a while. @returns the time to answer, in ms */
function heardOlder(device: IgmpDevice, code: number): number {
  if (code === 0) device.v1Until = olderUntil(device);
  else device.v2Until = olderUntil(device);
  device.changeReports = 0;
  delTimer(device.changeTimer);
  igmpv3ClearDelrec(device);
  return code === 0 ? V1_RESPONSE_MS : code * CODE_MS;
}

/** Takes over what a querier of version 3 says of its times. @param ih the query */
function heardTimes(device: IgmpDevice, ih: number): void {
  const qrv = mem8[ih + IGMPV3_QH_MISC]! & IGMPV3_QUERY_QRV_MASK;
  const interval = decode(mem8[ih + IGMPV3_QH_QQIC]!) * 1000;
  device.qrv = qrv !== 0 ? qrv : device.dev!.net!.ipv4.igmpQrv;
  device.queryIntervalMs = interval !== 0 ? interval : 125000;
  if (device.queryResponseMs >= device.queryIntervalMs) device.queryResponseMs = device.queryIntervalMs - 1000;
}

/** Is the address among the sources of a query? */
function asked(addr: number, at: number, count: number): boolean {
  for (let i = 0; i < count; i++) if (memView.getInt32(at + i * SOURCE_BYTES) === addr) return true;
  return false;
}

/**
 * Marks the sources of a group that a query asks for, as far as they are to be answered. Linux: igmp_marksources().
 * @returns whether there is anything to answer
 */
function markAsked(group: number, at: number, count: number): boolean {
  const excluding = words[group + G_COUNT + MCAST_EXCLUDE]!;
  const exclude = words[group + G_MODE] === MCAST_EXCLUDE;
  let found = 0;
  for (let source = words[group + G_SOURCES]!; source !== NONE && found < count; source = words[source]!) {
    const inactive = words[source + S_COUNT + MCAST_INCLUDE] !== 0 || words[source + S_COUNT + MCAST_EXCLUDE] !== excluding;
    if ((exclude && inactive) || !asked(words[source + S_ADDR]!, at, count)) continue;
    if (!exclude) words[source + S_FLAGS]! |= S_GSRESP;
    found++;
  }
  if (exclude || found === 0) words[group + G_FLAGS]! &= ~G_GSQUERY;
  else words[group + G_FLAGS]! |= G_GSQUERY;
  return exclude ? found !== count : found !== 0;
}

/** One group that a query asks for. @param count sources it names, 0 for the whole group */
function queryGroup(device: IgmpDevice, group: number, maxDelayMs: number, sources: number, count: number): void {
  if (!igmpReported(device, words[group + G_ADDR]!)) return;
  let bySource = count !== 0;
  if (timerPending(words[group + G_TIMER]!)) bySource = bySource && (words[group + G_FLAGS]! & G_GSQUERY) !== 0;
  if (!bySource) words[group + G_FLAGS]! &= ~G_GSQUERY;
  if (!bySource || markAsked(group, sources, count)) igmpModTimer(group, maxDelayMs);
}

/** A query, its checksum right. @returns whether it was one. Linux: igmp_heard_query(). @param ih where it is */
function heardQuery(device: IgmpDevice, ih: number, length: number): boolean {
  let addr = memView.getInt32(ih + IGMPH_GROUP);
  const code = mem8[ih + IGMPH_CODE]!;
  let maxDelayMs: number;
  let count = 0;
  if (length === IGMP_HLEN) {
    maxDelayMs = heardOlder(device, code);
    if (code === 0) addr = 0;
  } else if (length < IGMPV3_QUERY_HLEN) {
    return false;
  } else {
    const version = igmpVersion(device);
    maxDelayMs = version === 1 ? V1_RESPONSE_MS : decode(code) * CODE_MS || 1;
    if (version === 1) addr = 0;
    if (version === 3) {
      count = memView.getUint16(ih + IGMPV3_QH_NSRCS);
      if (length < IGMPV3_QUERY_HLEN + count * SOURCE_BYTES) return false;
      device.maxDelayMs = maxDelayMs;
      heardTimes(device, ih);
      if (addr === 0) {
        if (count !== 0) return false;
        igmpGqStartTimer(device);
        return true;
      }
    }
  }
  for (let group = device.groups; group !== NONE; group = words[group]!) {
    if (addr === 0 || addr === words[group + G_ADDR]) queryGroup(device, group, maxDelayMs, ih + IGMPV3_QH_SRCS, count);
  }
  return true;
}

/** Takes a message from the IP layer. Linux: igmp_rcv(). @param skb data at the IGMP header @returns 0 */
export function igmpRcv(skb: SkBuff): number {
  const device = igmpDevice(skb.dev!);
  const ih = skb.data;
  if (device === null || !pskbMayPull(skb, IGMP_HLEN) || csumFold(csumPartial(ih, skb.len)) !== 0) {
    kfreeSkb(skb, SKB_DROP_REASON_IGMP_INVALID);
    return 0;
  }
  const type = mem8[ih + IGMPH_TYPE];
  if (type === IGMP_HOST_MEMBERSHIP_QUERY) {
    if (!heardQuery(device, ih, skb.len)) {
      kfreeSkb(skb, SKB_DROP_REASON_IGMP_INVALID);
      return 0;
    }
  } else if (
    (type === IGMP_HOST_MEMBERSHIP_REPORT || type === IGMPV2_HOST_MEMBERSHIP_REPORT)
    && (skb.pktType === PACKET_MULTICAST || skb.pktType === PACKET_BROADCAST)
  ) {
    // Our own, which comes back by loopback, is neither; and the routers have not heard one for us alone.
    const addr = memView.getInt32(ih + IGMPH_GROUP);
    const group = igmpReported(device, addr) ? groupFind(device.groups, addr) : NONE;
    if (group !== NONE) igmpStopTimer(group);
  }
  consumeSkb(skb);
  return 0;
}
