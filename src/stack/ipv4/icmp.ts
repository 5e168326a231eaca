/**
 * ICMP: answers to echo and timestamp requests, errors sent, and errors received, which go to the protocol that sent what they quote.
 * Linux: net/ipv4/icmp.c. An echo reply is made of the request's own buffer.
 *
 * Read first: RFC 792, RFC 1122 section 3.2.2 (who may send what, and to whom not), RFC 1812 section 4.3.2 (what to
 * quote, which source), RFC 1191 (fragmentation needed).
 */
import { csumFold, csumPartial } from "../../lib/checksum.ts";
import { mem8, memCopy, memView } from "../../lib/memory.ts";
import { jiffies } from "../../lib/timer.ts";
import { devGetByIndex } from "../../netif/dev.ts";
import {
  SKB_DROP_REASON_ICMP_CSUM, SKB_DROP_REASON_INVALID_PROTO, SKB_DROP_REASON_IP_INHDR, SKB_DROP_REASON_IP_OUTNOROUTES,
  SKB_DROP_REASON_NOMEM, SKB_DROP_REASON_PKT_TOO_SMALL, SKB_DROP_REASON_UNHANDLED_PROTO,
} from "../../uapi/drop-reason.ts";
import {
  ECONNREFUSED, EHOSTDOWN, EHOSTUNREACH, EMSGSIZE, ENETUNREACH, ENONET, ENOPROTOOPT, EOPNOTSUPP,
} from "../../uapi/errno.ts";
import {
  ICMP_DEST_UNREACH, ICMP_ECHO, ICMP_ECHOREPLY, ICMP_EXC_FRAGTIME, ICMP_FRAG_NEEDED, ICMP_HOST_UNREACH,
  ICMP_PARAMETERPROB, ICMP_REDIRECT, ICMP_SOURCE_QUENCH, ICMP_TIME_EXCEEDED, ICMP_TIMESTAMP, ICMP_TIMESTAMPREPLY, NR_ICMP_TYPES,
  NR_ICMP_UNREACH,
} from "../../uapi/icmp.ts";
import { IFF_LOOPBACK } from "../../uapi/if.ts";
import { IPPROTO_ICMP, IPPROTO_TCP } from "../../uapi/in.ts";
import { IPTOS_PREC_INTERNETCONTROL, IPTOS_TOS_MASK } from "../../uapi/ip.ts";
import { RT_SCOPE_LINK, RT_SCOPE_UNIVERSE, RTN_BROADCAST } from "../../uapi/rtnetlink.ts";
import {
  ICMP_MIB_CSUMERRORS, ICMP_MIB_INADDRMASKREPS, ICMP_MIB_INADDRMASKS, ICMP_MIB_INDESTUNREACHS, ICMP_MIB_INECHOREPS,
  ICMP_MIB_INECHOS, ICMP_MIB_INERRORS, ICMP_MIB_INMSGS, ICMP_MIB_INPARMPROBS, ICMP_MIB_INREDIRECTS,
  ICMP_MIB_INSRCQUENCHS, ICMP_MIB_INTIMEEXCDS, ICMP_MIB_INTIMESTAMPREPS, ICMP_MIB_INTIMESTAMPS,
  ICMP_MIB_OUTADDRMASKREPS, ICMP_MIB_OUTADDRMASKS, ICMP_MIB_OUTDESTUNREACHS, ICMP_MIB_OUTECHOREPS, ICMP_MIB_OUTECHOS,
  ICMP_MIB_OUTERRORS, ICMP_MIB_OUTMSGS, ICMP_MIB_OUTPARMPROBS, ICMP_MIB_OUTREDIRECTS, ICMP_MIB_OUTSRCQUENCHS,
  ICMP_MIB_OUTTIMEEXCDS, ICMP_MIB_OUTTIMESTAMPREPS, ICMP_MIB_OUTTIMESTAMPS, IPSTATS_MIB_OUTDISCARDS,
} from "../../uapi/snmp.ts";
import { dstRelease } from "../core/dst.ts";
import type { Net } from "../core/net.ts";
import {
  allocSkb, CHECKSUM_UNNECESSARY, consumeSkb, kfreeSkb, MAX_HEADER, PACKET_HOST, type SkBuff, skbCloned, skbFrags, skbPull, skbPut,
  skbReserve, skbTrim,
} from "../core/skbuff.ts";
import { skbCopy } from "../core/skb-frags.ts";
import {
  ICMPH_CHECKSUM, ICMPH_CODE, ICMPH_MTU, ICMPH_POINTER, ICMPH_TS_RECEIVE, ICMPH_TS_TRANSMIT, ICMPH_TYPE, ICMPH_UN, ICMP_ERROR_MAX, ICMP_HLEN,
  ICMP_TIMESTAMP_LEN,
} from "../wire/icmp.ts";
import { IP_HLEN, IP_OFFSET, IPH_DADDR, IPH_FRAG_OFF, IPH_PROTOCOL, IPH_SADDR, IPH_TOS } from "../wire/ip.ts";
import { inetSelectAddr } from "./devinet.ts";
import { inetAddrType } from "./fib-lookup.ts";
import { flowi4Init, outputFlow } from "./flow.ts";
import { icmpGlobalAllow, icmpPeerAllow, icmpRatelimitInit } from "./icmp-ratelimit.ts";
import { ipLocalOut, ipPushHeader, ipSendSkb, ipTurnHeader } from "./ip-output.ts";
import { ipExceptions, ipHooks, ipOptions, ipPing, ipRaw } from "./ip-parts.ts";
import { inetAddProtocol, inetProtocol } from "./protocol.ts";
import { ipRouteOutputKey, ipRouteReply } from "./route.ts";
import { dstMtu, RTCF_BROADCAST, RTCF_LOCAL, RTCF_MULTICAST, type Rtable } from "./rtable.ts";

/** For each type the counter of messages received, -1 for none. */
const IN_MIB: readonly number[] = Object.freeze([
  ICMP_MIB_INECHOREPS, -1, -1, ICMP_MIB_INDESTUNREACHS, ICMP_MIB_INSRCQUENCHS, ICMP_MIB_INREDIRECTS, -1, -1,
  ICMP_MIB_INECHOS, -1, -1, ICMP_MIB_INTIMEEXCDS, ICMP_MIB_INPARMPROBS, ICMP_MIB_INTIMESTAMPS,
  ICMP_MIB_INTIMESTAMPREPS, -1, -1, ICMP_MIB_INADDRMASKS, ICMP_MIB_INADDRMASKREPS,
]);

/** For each type the counter of messages sent, -1 for none. */
const OUT_MIB: readonly number[] = Object.freeze([
  ICMP_MIB_OUTECHOREPS, -1, -1, ICMP_MIB_OUTDESTUNREACHS, ICMP_MIB_OUTSRCQUENCHS, ICMP_MIB_OUTREDIRECTS, -1, -1,
  ICMP_MIB_OUTECHOS, -1, -1, ICMP_MIB_OUTTIMEEXCDS, ICMP_MIB_OUTPARMPROBS, ICMP_MIB_OUTTIMESTAMPS,
  ICMP_MIB_OUTTIMESTAMPREPS, -1, -1, ICMP_MIB_OUTADDRMASKS, ICMP_MIB_OUTADDRMASKREPS,
]);

/** Bit n: type n is an error about another packet. */
const ERROR_TYPES = (1 << ICMP_DEST_UNREACH) | (1 << ICMP_SOURCE_QUENCH) | (1 << ICMP_REDIRECT)
  | (1 << ICMP_TIME_EXCEEDED) | (1 << ICMP_PARAMETERPROB);

/** For each code of ICMP_DEST_UNREACH the errno it means to a socket. Linux: icmp_err_convert[].errno. */
const UNREACH_ERRNO: readonly number[] = Object.freeze([
  ENETUNREACH, EHOSTUNREACH, ENOPROTOOPT, ECONNREFUSED, EMSGSIZE, EOPNOTSUPP, ENETUNREACH, EHOSTDOWN, ENONET,
  ENETUNREACH, EHOSTUNREACH, ENETUNREACH, EHOSTUNREACH, EHOSTUNREACH, EHOSTUNREACH, EHOSTUNREACH,
]);
/** Bit n: code n ends a connection rather than telling of passing trouble. Linux: icmp_err_convert[].fatal. */
const UNREACH_FATAL = 0xe7cc;

/** The sum over a message that includes its right checksum. */
const CSUM_RIGHT = 0xffff;

/** Boot time, after inetProtocolsInit(): ICMP takes its protocol number. */
export function icmpInit(): void {
  icmpRatelimitInit();
  inetAddProtocol(IPPROTO_ICMP, icmpProtocol);
}

/** The errno (positive) a socket sees for a code of ICMP_DEST_UNREACH; EHOSTUNREACH for unknown ones. */
export function icmpErrConvert(code: number): number {
  return code >= 0 && code <= NR_ICMP_UNREACH ? UNREACH_ERRNO[code]! : EHOSTUNREACH;
}

/** Does that code of ICMP_DEST_UNREACH end a connection attempt? */
export function icmpErrFatal(code: number): boolean {
  return code >= 0 && code <= NR_ICMP_UNREACH && (UNREACH_FATAL & (1 << code)) !== 0;
}

function isErrorType(type: number): boolean {
  return type > NR_ICMP_TYPES || (ERROR_TYPES & (1 << type)) !== 0;
}

/** Counts a message sent. Linux: icmp_out_count(). @param type 0..255 */
export function icmpOutCount(net: Net, type: number): void {
  const counter = type <= NR_ICMP_TYPES ? OUT_MIB[type]! : -1;
  const mib = net.mib;
  mib[ICMP_MIB_OUTMSGS]!++;
  if (counter >= 0) mib[counter]!++;
}

/**
 * Counts and sends a message whose checksum is done; data at the ICMP header, route set. Linux: icmp_push_reply().
 * @param options the prepared IP options (ip-parts.ts) go with it
 */
function icmpPush(net: Net, skb: SkBuff, saddr: number, daddr: number, tos: number, options: boolean): void {
  icmpOutCount(net, mem8[skb.data]!);
  const ttl = net.ipv4.ipDefaultTtl;
  if (options) ipOptions!.push(skb, null, saddr, daddr, IPPROTO_ICMP, ttl, tos, false);
  else ipPushHeader(skb, null, saddr, daddr, IPPROTO_ICMP, ttl, tos, false);
  ipSendSkb(net, skb);
}

/** Prepares the IP options of an answer to a packet: their bytes, 0 for none, -1 when there must be no answer. */
function echoOptions(net: Net, skb: SkBuff): number {
  return ipOptions !== null && skb.th - skb.nh > IP_HLEN ? ipOptions.echo(net, skb) : 0;
}

/** Is an error about this packet allowed at all (RFC 1122 section 3.2.2)? */
function mayReport(skbIn: SkBuff, type: number): boolean {
  const rt = skbIn.dst as Rtable | null;
  const nh = skbIn.nh;
  const end = skbIn.tail;
  if (rt === null || nh < skbIn.head || nh + IP_HLEN > end || skbIn.pktType !== PACKET_HOST) return false;
  if ((rt.flags & (RTCF_BROADCAST | RTCF_MULTICAST)) !== 0) return false;
  if ((memView.getUint16(nh + IPH_FRAG_OFF) & IP_OFFSET) !== 0) return false;
  if (mem8[nh + IPH_PROTOCOL] !== IPPROTO_ICMP || !isErrorType(type)) return true;
  const inner = nh + ((mem8[nh]! & 15) << 2);
  return inner < end && !isErrorType(mem8[inner]!);
}

/** The source of an error about a packet: its destination where that is this host, else 0 to have one selected for the way. */
function errorSource(net: Net, skbIn: SkBuff, rtIn: Rtable, daddr: number): number {
  if ((rtIn.flags & RTCF_LOCAL) !== 0) return memView.getInt32(skbIn.nh + IPH_DADDR);
  if (net.ipv4.icmpErrorsUseInboundIfaddr === 0 || skbIn.iif === 0) return 0;
  const dev = devGetByIndex(net, skbIn.iif);
  return dev === null ? 0 : inetSelectAddr(net, dev, daddr, RT_SCOPE_LINK);
}

/**
 * Sends an error about a packet to its source, quoting as much as fits 576 bytes; not about ICMP errors, broadcasts,
 * later fragments, nor faster than the limits allow. A packet of this host is reported to this host, through loopback.
 * Linux: icmp_send().
 * @param skbIn has its route, and nh at its IP header; stays the caller's
 * @param info the second word of the message: 0, next-hop MTU, gateway address, or pointer << 24
 */
export function icmpSend(skbIn: SkBuff, type: number, code: number, info: number): void {
  if (!mayReport(skbIn, type)) return;
  const rtIn = skbIn.dst as Rtable;
  const net = rtIn.net;
  const nh = skbIn.nh;
  const devIn = skbIn.dev;
  if ((devIn === null || (devIn.flags & IFF_LOOPBACK) === 0) && !icmpGlobalAllow(net, type, code)) return;
  const daddr = memView.getInt32(nh + IPH_SADDR);
  const tosIn = mem8[nh + IPH_TOS]!;
  const tos = isErrorType(type) ? (tosIn & IPTOS_TOS_MASK) | IPTOS_PREC_INTERNETCONTROL : tosIn;
  const optlen = echoOptions(net, skbIn);
  if (optlen < 0) return;
  const fl = outputFlow;
  const hop = optlen > 0 ? ipOptions!.firstHop(daddr) : daddr;
  flowi4Init(fl, hop, errorSource(net, skbIn, rtIn, daddr), 0, tos, IPPROTO_ICMP);
  const rt = daddr === 0 ? null : ipRouteOutputKey(net, fl);
  if (rt === null) {
    net.mib[ICMP_MIB_OUTERRORS]!++;
    return;
  }
  if ((rt.flags & (RTCF_BROADCAST | RTCF_MULTICAST)) !== 0 || !icmpPeerAllow(net, rt.dev!, daddr, type, code)) {
    dstRelease(rt);
    return;
  }
  const mtu = dstMtu(rt);
  const room = (mtu < ICMP_ERROR_MAX ? mtu : ICMP_ERROR_MAX) - IP_HLEN - optlen - ICMP_HLEN;
  const length = skbIn.tail - nh;
  const quoted = length < room ? length : room;
  const skb = allocSkb(MAX_HEADER + ICMP_HLEN + quoted);
  if (skb === null) {
    net.mib[ICMP_MIB_OUTERRORS]!++;
    dstRelease(rt);
    return;
  }
  skbReserve(skb, MAX_HEADER);
  const at = skbPut(skb, ICMP_HLEN + quoted);
  skb.th = at;
  skb.dst = rt;
  memView.setInt32(at, (type << 24) | (code << 16));
  memView.setInt32(at + ICMPH_UN, info);
  memCopy(at + ICMP_HLEN, nh, quoted);
  memView.setUint16(at + ICMPH_CHECKSUM, csumFold(csumPartial(at, skb.len)));
  if (ipHooks !== null) ipHooks.attach(skbIn);
  icmpPush(net, skb, fl.saddr, daddr, tos, optlen > 0);
}

/** The next hop of a packet does not answer: its sender hears of it. Linux: ipv4_link_failure(). */
export function ipv4LinkFailure(skb: SkBuff): void {
  icmpSend(skb, ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, 0);
}

function icmpError(net: Net, skb: SkBuff, reason: number): number {
  net.mib[ICMP_MIB_INERRORS]!++;
  kfreeSkb(skb, reason);
  return 0;
}

/** The protocol's handler. Linux: icmp_rcv(). */
export function icmpRcv(skb: SkBuff): number {
  const rt = skb.dst as Rtable;
  const net = rt.net;
  const mib = net.mib;
  mib[ICMP_MIB_INMSGS]!++;
  const at = skb.data;
  if (skb.tail - at < ICMP_HLEN) return icmpError(net, skb, SKB_DROP_REASON_PKT_TOO_SMALL);
  if (
    skb.ipSummed !== CHECKSUM_UNNECESSARY
    && (skb.fragList === null ? csumPartial(at, skb.len) : skbFrags!.checksum(skb, 0, skb.len)) !== CSUM_RIGHT
  ) {
    mib[ICMP_MIB_CSUMERRORS]!++;
    return icmpError(net, skb, SKB_DROP_REASON_ICMP_CSUM);
  }
  const type = mem8[at]!;
  if (type > NR_ICMP_TYPES) return icmpError(net, skb, SKB_DROP_REASON_UNHANDLED_PROTO);
  const counter = IN_MIB[type]!;
  if (counter >= 0) mib[counter]!++;
  if ((rt.flags & (RTCF_BROADCAST | RTCF_MULTICAST)) !== 0) {
    const question = type === ICMP_ECHO || type === ICMP_TIMESTAMP;
    if (!question || net.ipv4.icmpEchoIgnoreBroadcasts !== 0) {
      return icmpError(net, skb, SKB_DROP_REASON_INVALID_PROTO);
    }
  } else if (type === ICMP_ECHO && icmpEchoInPlace(net, skb)) {
    return 0;
  }
  if (type === ICMP_ECHO || type === ICMP_TIMESTAMP) return icmpReply(net, skb, rt);
  if (isErrorType(type)) return icmpUnreach(net, skb, type);
  if (type === ICMP_ECHOREPLY && ipPing !== null) return ipPing.receive(skb);
  consumeSkb(skb);
  return 0;
}

/** Makes the message of a request that of the reply; the checksum follows the change (RFC 1624). */
function turnMessage(at: number): void {
  const first = memView.getInt32(at);
  const check = (first & 0xffff) + ((ICMP_ECHO - ICMP_ECHOREPLY) << 8);
  memView.setInt32(at, (ICMP_ECHOREPLY << 24) | (first & 0xff0000) | (check > 0xffff ? check - 0xffff : check));
}

/**
 * Answers the usual request: to one address of this host, without IP options, in a buffer that nobody else reads (the header
 * is ours alone: ipRcv() has seen to it), while answers have no limit. All of it becomes the reply where it lies, the IP header too.
 * @returns false, with nothing done, when it is none of that kind
 */
function icmpEchoInPlace(net: Net, skb: SkBuff): boolean {
  const conf = net.ipv4;
  if (skb.data - skb.nh !== IP_HLEN || skbCloned(skb) || (conf.icmpEchoIgnoreAll | (conf.icmpRatemask & 1)) !== 0) return false;
  if (!ipRouteReply(skb)) return false;
  skb.pktType = PACKET_HOST;
  // A mark was the question's; the answer has none (net.ipv4.fwmark_reflect 0).
  skb.mark = 0;
  turnMessage(skb.data);
  ipTurnHeader(skb, IPPROTO_ICMP, conf.ipDefaultTtl);
  const mib = net.mib;
  mib[ICMP_MIB_OUTMSGS]!++;
  mib[ICMP_MIB_OUTECHOREPS]!++;
  if (ipLocalOut(net, skb) < 0) mib[IPSTATS_MIB_OUTDISCARDS]!++;
  return true;
}

/**
 * Makes the message of a timestamp request that of the reply, with the time of this host twice: a board has no time of day,
 * which the high bit says (RFC 792). Linux: icmp_timestamp().
 */
function stampMessage(skb: SkBuff): void {
  skbTrim(skb, ICMP_TIMESTAMP_LEN);
  if (skb.len < ICMP_TIMESTAMP_LEN) skbPut(skb, ICMP_TIMESTAMP_LEN - skb.len);
  const at = skb.data;
  const time = jiffies | (1 << 31);
  memView.setInt32(at, ICMP_TIMESTAMPREPLY << 24);
  memView.setInt32(at + ICMPH_TS_RECEIVE, time);
  memView.setInt32(at + ICMPH_TS_TRANSMIT, time);
  memView.setUint16(at + ICMPH_CHECKSUM, csumFold(csumPartial(at, ICMP_TIMESTAMP_LEN)));
}

/**
 * Turns the request (echo or timestamp) into the reply, in its own buffer unless somebody else reads that. Linux: icmp_echo(),
 * icmp_timestamp(), icmp_reply().
 */
function icmpReply(net: Net, skb: SkBuff, rt: Rtable): number {
  const stamp = mem8[skb.data] === ICMP_TIMESTAMP;
  if (stamp && skb.tail - skb.data < ICMPH_TS_RECEIVE) return icmpError(net, skb, SKB_DROP_REASON_PKT_TOO_SMALL);
  if (!stamp && net.ipv4.icmpEchoIgnoreAll !== 0) {
    consumeSkb(skb);
    return 0;
  }
  const view = memView;
  const nh = skb.nh;
  const daddr = view.getInt32(nh + IPH_SADDR);
  const tos = mem8[nh + IPH_TOS]!;
  const saddr = (rt.flags & (RTCF_BROADCAST | RTCF_MULTICAST)) === 0
    ? view.getInt32(nh + IPH_DADDR)
    : inetSelectAddr(net, skb.dev!, daddr, RT_SCOPE_UNIVERSE);
  const optlen = echoOptions(net, skb);
  if (optlen < 0) {
    kfreeSkb(skb, SKB_DROP_REASON_IP_INHDR);
    return 0;
  }
  const answer = stamp ? ICMP_TIMESTAMPREPLY : ICMP_ECHOREPLY;
  if (!icmpGlobalAllow(net, answer, 0)) {
    consumeSkb(skb);
    return 0;
  }
  const fl = outputFlow;
  flowi4Init(fl, optlen > 0 ? ipOptions!.firstHop(daddr) : daddr, saddr, 0, tos, IPPROTO_ICMP);
  const out = daddr === 0 ? null : ipRouteOutputKey(net, fl);
  if (out === null) {
    net.mib[ICMP_MIB_OUTERRORS]!++;
    kfreeSkb(skb, SKB_DROP_REASON_IP_OUTNOROUTES);
    return 0;
  }
  if (!icmpPeerAllow(net, out.dev!, daddr, answer, 0)) {
    consumeSkb(skb);
    dstRelease(out);
    return 0;
  }
  let reply = skb;
  if (skbCloned(skb)) {
    const copy = skbCopy(skb);
    if (copy === null) {
      kfreeSkb(skb, SKB_DROP_REASON_NOMEM);
      net.mib[ICMP_MIB_OUTERRORS]!++;
      dstRelease(out);
      return 0;
    }
    consumeSkb(skb);
    reply = copy;
  }
  dstRelease(reply.dst!);
  reply.dst = out;
  reply.pktType = PACKET_HOST;
  reply.mark = 0;
  if (stamp) stampMessage(reply);
  else turnMessage(reply.data);
  icmpPush(net, reply, fl.saddr, daddr, tos, optlen > 0);
  return 0;
}

/**
 * An error about a packet of this host: checked, then given to the protocol that the quoted header names.
 * Linux: icmp_unreach(), icmp_redirect(), icmp_socket_deliver().
 */
function icmpUnreach(net: Net, skb: SkBuff, type: number): number {
  const at = skb.data;
  const code = mem8[at + ICMPH_CODE]!;
  const quoted = skbPull(skb, ICMP_HLEN);
  const length = skb.tail - quoted;
  if (length < IP_HLEN) return icmpError(net, skb, SKB_DROP_REASON_PKT_TOO_SMALL);
  const ihl = mem8[quoted]! & 15;
  if (ihl < 5) return icmpError(net, skb, SKB_DROP_REASON_IP_INHDR);
  let info = 0;
  let deliver = true;
  if (type === ICMP_DEST_UNREACH) {
    if (code === ICMP_FRAG_NEEDED) {
      const mode = net.ipv4.ipNoPmtuDisc;
      // 1: it says nothing; 2: it is not heard; 3: only by who can tell it from a forged one.
      if (mode !== 1) info = memView.getUint16(at + ICMPH_MTU);
      if (mode === 2 || (mode === 3 && mem8[quoted + IPH_PROTOCOL] !== IPPROTO_TCP)) deliver = false;
    } else if (code > NR_ICMP_UNREACH) deliver = false;
  } else if (type === ICMP_PARAMETERPROB) {
    info = mem8[at + ICMPH_POINTER]!;
  } else if (type === ICMP_REDIRECT) {
    info = memView.getInt32(at + ICMPH_UN);
  } else if (type === ICMP_TIME_EXCEEDED && code === ICMP_EXC_FRAGTIME) {
    deliver = false;
  }
  if (net.ipv4.icmpIgnoreBogusErrorResponses === 0 && inetAddrType(net, memView.getInt32(quoted + IPH_DADDR)) === RTN_BROADCAST) deliver = false;
  if (deliver) {
    if (length < (ihl << 2) + 8) return icmpError(net, skb, SKB_DROP_REASON_PKT_TOO_SMALL);
    if (ipRaw !== null) ipRaw.error(skb, info);
    const prot = inetProtocol(mem8[quoted + IPH_PROTOCOL]!);
    if (prot !== null && prot.errHandler !== undefined) prot.errHandler(skb, info);
  }
  consumeSkb(skb);
  return 0;
}

/** An error about a message of ours; echo replies have no socket. Linux: icmp_err(). */
function icmpErr(skb: SkBuff, info: number): number {
  const iph = skb.data;
  if (mem8[iph + ((mem8[iph]! & 15) << 2)] === ICMP_ECHOREPLY) {
    if (mem8[skb.th + ICMPH_TYPE] === ICMP_REDIRECT && ipExceptions !== null) ipExceptions.redirect(skb);
  } else if (ipPing !== null) ipPing.error(skb, info);
  return 0;
}

/** Linux: icmp_protocol. */
const icmpProtocol = Object.freeze({ handler: icmpRcv, errHandler: icmpErr, chained: true });
