/**
 * IGMP messages of a host: reports and leaves of versions 1 and 2, and version 3's reports of group records. Linux:
 * igmp_send_report(), igmpv3_newpack(), add_grec(), igmpv3_send_cr() of net/ipv4/igmp.c. Read first: RFC 3376 sections 4.2 and
 * 5.1, RFC 2236 section 3, RFC 2113 (router alert). Owns the report that is being put together.
 */
import { csumFold, csumPartial, ipFastCsum } from "../../lib/checksum.ts";
import { memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import { ETH_P_IP } from "../../uapi/if-ether.ts";
import {
  IGMPV3_ALL_MCR, INADDR_ALLHOSTS_GROUP, INADDR_ALLRTRS_GROUP, IPPROTO_IGMP, ipv4IsLocalMulticast, MCAST_EXCLUDE, MCAST_INCLUDE,
} from "../../uapi/in.ts";
import { IPTOS_PREC_INTERNETCONTROL, TC_PRIO_CONTROL } from "../../uapi/ip.ts";
import { dstRelease } from "../core/dst.ts";
import {
  allocSkb, NET_IP_ALIGN, skbBufferBytes, type SkBuff, skbPush, skbPut, skbReserve, skbTailroom,
} from "../core/skbuff.ts";
import {
  IGMP_HLEN, IGMP_HOST_LEAVE_MESSAGE, IGMP_HOST_MEMBERSHIP_REPORT, IGMPH_CSUM, IGMPH_GROUP, IGMPH_TYPE, IGMPV2_HOST_MEMBERSHIP_REPORT,
  IGMPV3_ALLOW_NEW_SOURCES, IGMPV3_BLOCK_OLD_SOURCES, IGMPV3_CHANGE_TO_EXCLUDE, IGMPV3_CHANGE_TO_INCLUDE, IGMPV3_GREC_HLEN,
  IGMPV3_GREC_MCA, IGMPV3_GREC_NSRCS, IGMPV3_GREC_TYPE, IGMPV3_HOST_MEMBERSHIP_REPORT, IGMPV3_MODE_IS_EXCLUDE, IGMPV3_MODE_IS_INCLUDE,
  IGMPV3_REPORT_HLEN, IGMPV3_RH_NGREC,
} from "../wire/igmp.ts";
import { IP_DF, IPH_DADDR, IPH_SADDR, IPOPT_RA } from "../wire/ip.ts";
import { inDevGet } from "./devinet.ts";
import { flowi4Init, outputFlow } from "./flow.ts";
import {
  G_ADDR, G_COUNT, G_CRCOUNT, G_FLAGS, G_GSQUERY, G_MODE, G_SOURCES, G_TOMB, groupFree, type IgmpDevice, igmpVersion, listRemove, NONE,
  S_ADDR, S_COUNT, S_CRCOUNT, S_FLAGS, S_GSRESP, sourceFree,
} from "./igmp-memory.ts";
import { ipLocalOut } from "./ip-output.ts";
import { ipRouteOutputKey } from "./route.ts";

/** Header with the router alert option, in bytes; its first word, and the option as a word. */
const IP_RA_HLEN = 24;
const IP_RA_VER_IHL_TOS = (0x4600 | IPTOS_PREC_INTERNETCONTROL) << 16;
const ROUTER_ALERT = (IPOPT_RA << 24) | (4 << 16);
/** TTL 1 and the protocol. */
const TTL_PROTOCOL = (0x0100 | IPPROTO_IGMP) << 16;
/** Room in front of the IP header: alignment, tagged Ethernet. */
const HEADROOM = NET_IP_ALIGN + 18 + IP_RA_HLEN;
const SOURCE_BYTES = 4;

/** The version 3 report that is being filled, null for none yet; where its last record is (0 for none), and that one's sources. */
let pack: SkBuff | null = null;
let packSaddr = 0;
let record = 0;
let recordSources = 0;
/** A packet could not be had: the rest of the report is lost, and will be asked for or sent again. */
let failed = false;

/** May the group be reported at all? Linux: the tests of IGMP_ALL_HOSTS and sysctl_igmp_llm_reports. */
export function igmpReported(device: IgmpDevice, addr: number): boolean {
  if (addr === INADDR_ALLHOSTS_GROUP) return false;
  return !ipv4IsLocalMulticast(addr) || device.dev!.net!.ipv4.igmpLinkLocalMcastReports !== 0;
}

/** A packet by the device to that group, with room for its IP header, or null. Its source address is in outputFlow. */
function allocPacket(device: IgmpDevice, daddr: number, length: number): SkBuff | null {
  const dev = device.dev!;
  const fl = outputFlow;
  flowi4Init(fl, daddr, 0, dev.ifindex, 0, IPPROTO_IGMP);
  const rt = ipRouteOutputKey(dev.net!, fl);
  if (rt === null) return null;
  const size = HEADROOM + length;
  const skb = allocSkb(size > skbBufferBytes ? skbBufferBytes : size);
  if (skb === null) {
    dstRelease(rt);
    return null;
  }
  skb.dst = rt;
  skb.priority = TC_PRIO_CONTROL;
  skbReserve(skb, HEADROOM);
  return skb;
}

/** Puts both checksums and the IP header on and sends. @param skb data at the IGMP header */
function sendPacket(device: IgmpDevice, skb: SkBuff, saddr: number, daddr: number): void {
  const view = memView;
  const igmp = skb.data;
  skb.th = igmp;
  view.setUint16(igmp + IGMPH_CSUM, 0);
  view.setUint16(igmp + IGMPH_CSUM, csumFold(csumPartial(igmp, skb.len)));
  const nh = skbPush(skb, IP_RA_HLEN);
  skb.nh = nh;
  skb.protocol = ETH_P_IP;
  view.setInt32(nh, IP_RA_VER_IHL_TOS | skb.len);
  view.setInt32(nh + 4, IP_DF);
  view.setInt32(nh + 8, TTL_PROTOCOL);
  view.setInt32(nh + IPH_SADDR, saddr);
  view.setInt32(nh + IPH_DADDR, daddr);
  view.setInt32(nh + 20, ROUTER_ALERT);
  view.setUint16(nh + 10, ipFastCsum(nh, IP_RA_HLEN >> 2));
  ipLocalOut(device.dev!.net!, skb);
}

/** A report or a leave of versions 1 and 2. */
function sendMessage(device: IgmpDevice, type: number, addr: number, daddr: number): void {
  const skb = allocPacket(device, daddr, IGMP_HLEN);
  if (skb === null) return;
  const at = skbPut(skb, IGMP_HLEN);
  memView.setInt32(at + IGMPH_TYPE, type << 24);
  memView.setInt32(at + IGMPH_GROUP, addr);
  sendPacket(device, skb, outputFlow.saddr, daddr);
}

/** Reports a group in the version that the queriers of the link speak. Linux: igmp_send_report(). */
export function igmpSendReport(device: IgmpDevice, group: number): void {
  const version = igmpVersion(device);
  if (version === 3) {
    igmpv3SendReport(device, group);
    return;
  }
  const addr = words[group + G_ADDR]!;
  if (igmpReported(device, addr)) {
    sendMessage(device, version === 1 ? IGMP_HOST_MEMBERSHIP_REPORT : IGMPV2_HOST_MEMBERSHIP_REPORT, addr, addr);
  }
}

/** Tells the routers that the group has no member here (version 2). */
export function igmpSendLeave(device: IgmpDevice, group: number): void {
  sendMessage(device, IGMP_HOST_LEAVE_MESSAGE, words[group + G_ADDR]!, INADDR_ALLRTRS_GROUP);
}

/** The route's source address where it is the device's own, else none. Linux: igmpv3_get_srcaddr(). */
function sourceAddress(device: IgmpDevice, saddr: number): number {
  const inDev = inDevGet(device.dev!);
  for (let ifa = inDev === null ? null : inDev.ifaList; ifa !== null; ifa = ifa.next) if (ifa.local === saddr) return saddr;
  return 0;
}

/** Begins a report; false when there is no packet for it. Linux: igmpv3_newpack(). */
function newPack(device: IgmpDevice): boolean {
  const skb = allocPacket(device, IGMPV3_ALL_MCR, device.dev!.mtu);
  pack = skb;
  record = 0;
  if (skb === null) {
    failed = true;
    return false;
  }
  packSaddr = sourceAddress(device, outputFlow.saddr);
  const at = skbPut(skb, IGMPV3_REPORT_HLEN);
  memView.setInt32(at, IGMPV3_HOST_MEMBERSHIP_REPORT << 24);
  memView.setInt32(at + 4, 0);
  return true;
}

/** Sends the report that was filled, if there is one. Linux: igmpv3_sendpack(). */
function sendPack(device: IgmpDevice): void {
  const skb = pack;
  pack = null;
  failed = false;
  if (skb === null) return;
  closeRecord();
  sendPacket(device, skb, packSaddr, IGMPV3_ALL_MCR);
}

/** How many bytes still fit into the report. */
function available(device: IgmpDevice): number {
  if (pack === null) return 0;
  const room = device.dev!.mtu - IP_RA_HLEN - pack.len;
  const tail = skbTailroom(pack);
  return room < tail ? room : tail;
}

/** The last record's number of sources is known. */
function closeRecord(): void {
  if (record !== 0) memView.setUint16(record + IGMPV3_GREC_NSRCS, recordSources);
  record = 0;
}

/** Begins a record, in a new report when it does not fit; false when there is no packet. Linux: add_grhead(). */
function openRecord(device: IgmpDevice, group: number, type: number): boolean {
  closeRecord();
  if (pack === null && !newPack(device)) return false;
  const skb = pack!;
  const at = skbPut(skb, IGMPV3_GREC_HLEN);
  memView.setInt32(at + IGMPV3_GREC_TYPE, type << 24);
  memView.setInt32(at + IGMPV3_GREC_MCA, words[group + G_ADDR]!);
  memView.setUint16(skb.data + IGMPV3_RH_NGREC, memView.getUint16(skb.data + IGMPV3_RH_NGREC) + 1);
  record = at;
  recordSources = 0;
  return true;
}

/** Does the source belong into a record of that type? Linux: is_in(). @param gone of a group left @param dead of the dead sources */
function isIn(group: number, source: number, type: number, gone: boolean, dead: boolean): boolean {
  const included = words[source + S_COUNT + MCAST_INCLUDE]!;
  const excluding = words[group + G_COUNT + MCAST_EXCLUDE]!;
  const byAll = words[source + S_COUNT + MCAST_EXCLUDE] === excluding;
  const including = words[group + G_MODE] === MCAST_INCLUDE;
  switch (type) {
    case IGMPV3_MODE_IS_INCLUDE:
    case IGMPV3_MODE_IS_EXCLUDE:
      if (gone || dead) return false;
      if ((words[group + G_FLAGS]! & G_GSQUERY) !== 0 && (words[source + S_FLAGS]! & S_GSRESP) === 0) return false;
      if (including) return true;
      return included !== 0 ? type === IGMPV3_MODE_IS_INCLUDE : byAll;
    case IGMPV3_CHANGE_TO_INCLUDE:
      return !gone && !dead && included !== 0;
    case IGMPV3_CHANGE_TO_EXCLUDE:
      return !gone && !dead && excluding !== 0 && included === 0 && byAll;
    case IGMPV3_ALLOW_NEW_SOURCES:
      return !gone && words[source + S_CRCOUNT] !== 0 && including !== dead;
    default:
      if (including) return gone || (words[source + S_CRCOUNT] !== 0 && dead);
      return words[source + S_CRCOUNT] !== 0 && !gone && !dead;
  }
}

/** Bytes of a whole record. Linux: grec_size(). */
function recordBytes(group: number, type: number, gone: boolean, dead: boolean): number {
  let bytes = IGMPV3_GREC_HLEN;
  for (let source = words[group + (dead ? G_TOMB : G_SOURCES)]!; source !== NONE; source = words[source]!) {
    if (isIn(group, source, type, gone, dead)) bytes += SOURCE_BYTES;
  }
  return bytes;
}

/** The change of a source has been told once more; a dead one goes with the last time. */
function countDown(list: number, source: number, dead: boolean): void {
  if (--words[source + S_CRCOUNT]! !== 0 || !dead) return;
  listRemove(list, source);
  sourceFree(source);
}

/**
 * Adds a group's record of that type to the report, in as many reports as it takes. Linux: add_grec().
 * @param gone the group was left @param dead of its dead sources
 */
function addRecord(device: IgmpDevice, group: number, type: number, gone: boolean, dead: boolean): void {
  if (failed || !igmpReported(device, words[group + G_ADDR]!)) return;
  const query = type === IGMPV3_MODE_IS_INCLUDE || type === IGMPV3_MODE_IS_EXCLUDE;
  const whole = type === IGMPV3_MODE_IS_EXCLUDE || type === IGMPV3_CHANGE_TO_EXCLUDE;
  const change = type === IGMPV3_ALLOW_NEW_SOURCES || type === IGMPV3_BLOCK_OLD_SOURCES;
  // With a change of the mode goes the whole list (RFC 3376 section 5.1): single sources count as told.
  const silent = change && (gone ? words[group + G_MODE] === MCAST_EXCLUDE : words[group + G_CRCOUNT] !== 0);
  const list = group + (dead ? G_TOMB : G_SOURCES);
  let any = false;
  let first = true;
  if (whole && words[list] !== NONE && pack !== null && available(device) < recordBytes(group, type, gone, dead)) sendPack(device);
  let next: number;
  for (let source = words[list]!; source !== NONE; source = next) {
    next = words[source]!;
    if (!isIn(group, source, type, gone, dead)) continue;
    if (!silent || words[source + S_CRCOUNT] === 0) {
      if (query) words[source + S_FLAGS]! &= ~S_GSRESP;
      if (available(device) < SOURCE_BYTES + (first ? IGMPV3_GREC_HLEN : 0)) {
        // A list of excluded sources that one packet does not hold is cut: what is missing is received, too.
        if (whole && !first) break;
        sendPack(device);
        first = true;
      }
      if (first && !openRecord(device, group, type)) return;
      first = false;
      any = true;
      memView.setInt32(skbPut(pack!, SOURCE_BYTES), words[source + S_ADDR]!);
      recordSources++;
    }
    if (change && words[source + S_CRCOUNT] !== 0) countDown(list, source, gone || dead);
  }
  if (!any && !change && (query || words[group + G_CRCOUNT] !== 0)) {
    if (pack !== null && available(device) < IGMPV3_GREC_HLEN) sendPack(device);
    openRecord(device, group, type);
  }
  closeRecord();
  if (query) words[group + G_FLAGS]! &= ~G_GSQUERY;
}

function currentState(device: IgmpDevice, group: number): void {
  const type = words[group + G_COUNT + MCAST_EXCLUDE] !== 0 ? IGMPV3_MODE_IS_EXCLUDE : IGMPV3_MODE_IS_INCLUDE;
  addRecord(device, group, type, false, false);
}

/** The answer to a query about that group, or with NONE about all. Linux: igmpv3_send_report(). */
export function igmpv3SendReport(device: IgmpDevice, group: number): void {
  if (group !== NONE) {
    currentState(device, group);
  } else {
    for (let at = device.groups; at !== NONE; at = words[at]!) currentState(device, at);
  }
  sendPack(device);
}

/** Forgets sources whose change need not be told. Linux: igmpv3_clear_zeros(). */
function clearZeros(list: number): void {
  let next: number;
  for (let source = words[list]!; source !== NONE; source = next) {
    next = words[source]!;
    if (words[source + S_CRCOUNT] !== 0) continue;
    listRemove(list, source);
    sourceFree(source);
  }
}

/** A group left: its sources are blocked, or everything is. @returns whether it has been told often enough */
function reportGone(device: IgmpDevice, group: number): boolean {
  const exclude = words[group + G_MODE] === MCAST_EXCLUDE;
  if (!exclude) {
    addRecord(device, group, IGMPV3_BLOCK_OLD_SOURCES, true, false);
    addRecord(device, group, IGMPV3_BLOCK_OLD_SOURCES, true, true);
  }
  if (words[group + G_CRCOUNT] !== 0) {
    if (exclude) addRecord(device, group, IGMPV3_CHANGE_TO_INCLUDE, true, false);
    if (--words[group + G_CRCOUNT]! === 0) {
      clearZeros(group + G_TOMB);
      clearZeros(group + G_SOURCES);
    }
  }
  return words[group + G_CRCOUNT] === 0 && words[group + G_TOMB] === NONE && words[group + G_SOURCES] === NONE;
}

/** Reports all changes that are still to be told. Linux: igmpv3_send_cr(). */
export function igmpv3SendChanges(device: IgmpDevice): void {
  let previous = NONE;
  let next: number;
  for (let group = device.tomb; group !== NONE; group = next) {
    next = words[group]!;
    if (!reportGone(device, group)) {
      previous = group;
      continue;
    }
    if (previous === NONE) device.tomb = next;
    else words[previous] = next;
    groupFree(group);
  }
  for (let group = device.groups; group !== NONE; group = words[group]!) {
    const exclude = words[group + G_COUNT + MCAST_EXCLUDE] !== 0;
    addRecord(device, group, exclude ? IGMPV3_BLOCK_OLD_SOURCES : IGMPV3_ALLOW_NEW_SOURCES, false, false);
    addRecord(device, group, exclude ? IGMPV3_ALLOW_NEW_SOURCES : IGMPV3_BLOCK_OLD_SOURCES, false, true);
    if (words[group + G_CRCOUNT] === 0) continue;
    addRecord(device, group, words[group + G_MODE] === MCAST_EXCLUDE ? IGMPV3_CHANGE_TO_EXCLUDE : IGMPV3_CHANGE_TO_INCLUDE, false, false);
    words[group + G_CRCOUNT]!--;
  }
  sendPack(device);
}
