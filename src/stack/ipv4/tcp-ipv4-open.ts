/**
 * How connections over IPv4 begin that others open: a SYN for a listener, and the sock made when the handshake is complete.
 * Linux: tcp_v4_syn_recv_sock() of net/ipv4/tcp_ipv4.c, tcp_conn_request() of net/ipv4/tcp_input.c. Read first: RFC 9293 sections 3.5 and 3.10, RFC 6528 (initial sequence numbers).
 */
import { memView } from "../../lib/memory.ts";
import { getRandomU32 } from "../../lib/random.ts";
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import {
  SKB_DROP_REASON_IP_INVALID_DEST, SKB_DROP_REASON_IP_OUTNOROUTES, SKB_DROP_REASON_TCP_LISTEN_OVERFLOW,
  SKB_DROP_REASON_TCP_REQQFULL, SKB_NOT_DROPPED_YET,
} from "../../uapi/drop-reason.ts";
import { LINUX_MIB_LISTENOVERFLOWS, LINUX_MIB_TCPREQQFULLDOCOOKIES, LINUX_MIB_TCPREQQFULLDROP } from "../../uapi/snmp.ts";
import { dstRelease } from "../core/dst.ts";
import type { Net } from "../core/net.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { skDstSet } from "../core/sock.ts";
import { IP_HLEN, IPH_DADDR, IPH_SADDR } from "../wire/ip.ts";
import { TH_SPORT } from "../wire/tcp.ts";
import { inetInheritPort } from "./inet-bind.ts";
import {
  inetCskPrepareForcedClose, inetCskReqskQueueHashAdd, inetCskReqskQueueIsFull, inetCskRouteHashedReq, inetCskRouteReq,
  skAcceptqIsFull, tcpListendrop,
} from "./inet-connection-sock.ts";
import {
  ehashReqBase, inetEhashNolisten, inetEhashRemove, inetNodeFaddr, inetNodeFport, inetNodeLaddr, inetNodeSetKey,
} from "./inet-hashtables.ts";
import { ipOptions, synGuard } from "./ip-parts.ts";
import {
  inetReqskAlloc, REQ_ECN_OK, REQ_INFO, REQ_IP_OPTIONS, REQ_RCV_ISN, REQ_SACK_OK, REQ_SND_ISN, REQ_SNT_SYNACK, REQ_TS_OFFSET,
  REQ_TS_RECENT, REQ_TSTAMP_OK,
  REQ_WORDS, REQ_WSCALE_OK, reqRows, reqskClear, reqskDropOptions, reqskFree, reqskHas, reqskSet, reqskSpare,
} from "./request-sock.ts";
import { dstMtu, RTCF_BROADCAST, RTCF_MULTICAST, type Rtable } from "./rtable.ts";
import { ICSK_REQSK_QLEN, TP_ADVMSS, TP_USER_MSS } from "./tcp-cold.ts";
import { tcpCreateOpenreqChild, tcpOpenreqInitRwin } from "./tcp-openreq.ts";
import { rxOpt, tcpMssClamp, tcpParseOptions } from "./tcp-options.ts";
import { tcpEcn, tcpFastopen, tcpMd5, tcpMd5Keys, tcpSyncookies } from "./tcp-parts.ts";
import { secureTcpSeq, secureTcpTsOff } from "./tcp-secure-seq.ts";
import type { TcpSk } from "./tcp-sock.ts";
import { tcpV4SendSynack } from "./tcp-synack.ts";
import { tcpAdvmss, tcpInitializeRcvMss, tcpSyncMss } from "./tcp-window.ts";
import { tcpDone } from "./tcp.ts";

/** net.ipv4.tcp_syncookies: whatever the length of the SYN queue. */
const SYNCOOKIES_ALWAYS = 2;

/**
 * A SYN for a listener becomes a request, and its SYN-ACK leaves; or it is dropped and counted. The segment stays the
 * caller's. Linux: tcp_v4_conn_request(), tcp_conn_request().
 * @param skb its `when` is the sequence number to start from when it replaces a TIME_WAIT entry, else 0
 * @returns 0, or why it was dropped (SKB_DROP_REASON_*); no reset is due in any case
 */
export function tcpV4ConnRequest(sk: TcpSk, skb: SkBuff): number {
  const reason = connRequest(sk, skb);
  if (reason !== 0) tcpListendrop(sk);
  return reason;
}

/** The SYN queue is full: counts that, and says whether cookies are to answer. Linux: tcp_syn_flood_action(). */
function tcpSynFloodAction(net: Net, syncookies: number): boolean {
  net.mib[syncookies !== 0 ? LINUX_MIB_TCPREQQFULLDOCOOKIES : LINUX_MIB_TCPREQQFULLDROP]!++;
  return syncookies !== 0;
}

function connRequest(sk: TcpSk, skb: SkBuff): number {
  const net = sk.net;
  const icsk = sk.icsk;
  let isn = skb.when;
  if (((skb.dst as Rtable).flags & (RTCF_BROADCAST | RTCF_MULTICAST)) !== 0) return SKB_DROP_REASON_IP_INVALID_DEST;
  // A peer of a connection in TIME_WAIT has proved to be there, and is let in.
  if (synGuard !== null && isn === 0) {
    const reason = synGuard.check(sk, memView.getInt32(skb.nh + IPH_SADDR));
    if (reason !== SKB_NOT_DROPPED_YET) return reason;
  }
  const syncookies = tcpSyncookies === null ? 0 : net.ipv4.tcpSyncookies;
  let cookie = isn === 0 && (syncookies === SYNCOOKIES_ALWAYS || inetCskReqskQueueIsFull(sk));
  if (cookie && !tcpSynFloodAction(net, syncookies)) return SKB_DROP_REASON_TCP_REQQFULL;
  if (skAcceptqIsFull(sk)) {
    net.mib[LINUX_MIB_LISTENOVERFLOWS]!++;
    return SKB_DROP_REASON_TCP_LISTEN_OVERFLOW;
  }
  tcpParseOptions(skb, rxOpt, null, net.ipv4);
  const mss = tcpMssClamp(rxOpt, words[sk.tp.cold + TP_USER_MSS]!);
  let req = cookie ? -1 : inetReqskAlloc(sk, mss);
  if (req < 0) {
    // No request is left in the whole machine: that is a full queue too.
    if (!cookie && (isn !== 0 || !tcpSynFloodAction(net, syncookies))) return SKB_DROP_REASON_TCP_REQQFULL;
    cookie = true;
    req = reqskSpare(sk, mss);
    if (!rxOpt.sawTstamp) {
      rxOpt.wscaleOk = rxOpt.sackOk = false;
      rxOpt.sndWscale = 0;
    }
  }
  const laddr = memView.getInt32(skb.nh + IPH_DADDR);
  const faddr = memView.getInt32(skb.nh + IPH_SADDR);
  const fport = memView.getUint16(skb.th + TH_SPORT);
  const at = reqRows + req * REQ_WORDS;
  // A cookie tells of ECN in its timestamp.
  // A SYN-ACK with a signature has no room for SACK blocks beside timestamps later.
  if (!cookie && rxOpt.sackOk && tcpMd5Keys !== 0 && tcpMd5!.lookup(sk.index, faddr) >= 0) rxOpt.sawTstamp = false;
  const ecn = (!cookie || rxOpt.sawTstamp) && tcpEcn !== null && tcpEcn.createRequest(sk, skb);
  words[at + REQ_RCV_ISN] = skb.seq;
  words[at + REQ_INFO] = rxOpt.sndWscale | (rxOpt.wscaleOk ? REQ_WSCALE_OK : 0)
    | (ecn ? REQ_ECN_OK : 0) | (rxOpt.sawTstamp ? REQ_TSTAMP_OK : 0) | (rxOpt.sackOk ? REQ_SACK_OK : 0);
  if (rxOpt.sawTstamp) {
    words[at + REQ_TS_RECENT] = rxOpt.rcvTsval;
    words[at + REQ_TS_OFFSET] = secureTcpTsOff(net, laddr, faddr);
  }
  if (skb.th - skb.nh > IP_HLEN && ipOptions !== null && ipOptions.keepEcho(net, skb, ~req)) reqskSet(req, REQ_IP_OPTIONS);
  const rt = inetCskRouteReq(sk, req, laddr, faddr, fport);
  if (rt === null) {
    if (cookie) reqskDropOptions(req);
    else reqskFree(req);
    return SKB_DROP_REASON_IP_OUTNOROUTES;
  }
  if (cookie) {
    tcpSyncookies!.init(sk, skb, req);
    tcpOpenreqInitRwin(req, sk, rt);
    inetNodeSetKey(ehashReqBase + req, net, laddr, sk.inet.num, faddr, fport, sk.boundDevIf);
    tcpV4SendSynack(sk, rt, req);
    reqskDropOptions(req);
    dstRelease(rt);
    return 0;
  }
  if (isn === 0) {
    // Without cookies the last quarter of the queue is for peers that have proved to be there: none has.
    const most = net.ipv4.tcpMaxSynBacklog;
    if (syncookies === 0 && most - words[icsk.cold + ICSK_REQSK_QLEN]! < most >> 2) {
      dstRelease(rt);
      reqskFree(req);
      return SKB_DROP_REASON_TCP_REQQFULL;
    }
    isn = secureTcpSeq(laddr, faddr, sk.inet.num, fport);
  }
  words[at + REQ_SND_ISN] = isn;
  words[at + REQ_SNT_SYNACK] = jiffies;
  tcpOpenreqInitRwin(req, sk, rt);
  inetNodeSetKey(ehashReqBase + req, net, laddr, sk.inet.num, faddr, fport, sk.boundDevIf);
  if (tcpFastopen !== null && tcpFastopen.tryOpen(sk, skb, req, rxOpt) !== null) {
    dstRelease(rt);
    reqskFree(req);
    return 0;
  }
  inetCskReqskQueueHashAdd(sk, req, laddr, faddr, fport);
  tcpV4SendSynack(sk, rt, req);
  dstRelease(rt);
  return SKB_NOT_DROPPED_YET;
}

/**
 * The handshake of a request is complete: its sock, hashed in its place and with the listener's port. Linux:
 * tcp_v4_syn_recv_sock().
 * @returns null when the accept queue is full (ListenOverflows) or a pool is empty, both counted as ListenDrops
 */
export function tcpV4SynRecvSock(sk: TcpSk, skb: SkBuff, req: number): TcpSk | null {
  if (skAcceptqIsFull(sk)) {
    sk.net.mib[LINUX_MIB_LISTENOVERFLOWS]!++;
    tcpListendrop(sk);
    return null;
  }
  const child = tcpCreateOpenreqChild(sk, req, skb);
  if (child === null) {
    tcpListendrop(sk);
    return null;
  }
  const node = ehashReqBase + req;
  const inet = child.inet;
  inet.daddr = inetNodeFaddr(node);
  inet.dport = inetNodeFport(node);
  inet.rcvSaddr = inet.saddr = inetNodeLaddr(node);
  inet.id = getRandomU32() & 0xffff;
  const rt = inetCskRouteHashedReq(sk, req);
  if (rt !== null) {
    skDstSet(child, rt);
    words[child.tp.cold + TP_ADVMSS] = tcpAdvmss(sk, rt);
    const signed = tcpMd5Keys === 0 || tcpMd5!.copy(sk.index, child.index, inet.daddr);
    if (signed && inetInheritPort(sk, child) === 0) {
      if (reqskHas(req, REQ_IP_OPTIONS)) {
        ipOptions!.move(~req, child);
        reqskClear(req, REQ_IP_OPTIONS);
      }
      tcpSyncMss(child, dstMtu(rt));
      tcpInitializeRcvMss(child);
      inetEhashRemove(node);
      inetEhashNolisten(child);
      return child;
    }
  }
  inetCskPrepareForcedClose(child);
  tcpDone(child);
  tcpListendrop(sk);
  return null;
}
