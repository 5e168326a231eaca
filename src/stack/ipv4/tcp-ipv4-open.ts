/**
 * How connections over IPv4 begin: connect(), a SYN for a listener, and the sock made when the handshake is complete.
 * Linux: tcp_v4_connect() and tcp_v4_syn_recv_sock() of net/ipv4/tcp_ipv4.c, tcp_conn_request() of
 * net/ipv4/tcp_input.c. Read first: RFC 9293 sections 3.5 and 3.10, RFC 6528 (initial sequence numbers).
 */
import { memView } from "../../lib/memory.ts";
import { getRandomU32 } from "../../lib/random.ts";
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import {
  SKB_DROP_REASON_IP_INVALID_DEST, SKB_DROP_REASON_IP_OUTNOROUTES, SKB_DROP_REASON_TCP_LISTEN_OVERFLOW,
  SKB_DROP_REASON_TCP_REQQFULL, SKB_NOT_DROPPED_YET,
} from "../../uapi/drop-reason.ts";
import { EAFNOSUPPORT, EINVAL, ENETUNREACH } from "../../uapi/errno.ts";
import { AF_INET } from "../../uapi/socket.ts";
import { IPSTATS_MIB_OUTNOROUTES, LINUX_MIB_LISTENOVERFLOWS } from "../../uapi/snmp.ts";
import { TCP_CLOSE, TCP_MSS_DEFAULT, TCP_SYN_SENT } from "../../uapi/tcp.ts";
import { dstRelease } from "../core/dst.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { skDstSet, type Sock } from "../core/sock.ts";
import type { SockaddrIn } from "../core/sockaddr.ts";
import { IP_HLEN, IPH_DADDR, IPH_SADDR } from "../wire/ip.ts";
import { TH_SPORT } from "../wire/tcp.ts";
import { flowi4SockInit, outputFlow } from "./flow.ts";
import { inetHashConnect, inetInheritPort } from "./inet-bind.ts";
import {
  inetCskPrepareForcedClose, inetCskReqskQueueHashAdd, inetCskReqskQueueIsFull, inetCskRouteHashedReq, inetCskRouteReq,
  skAcceptqIsFull, tcpListendrop,
} from "./inet-connection-sock.ts";
import {
  ehashReqBase, inetEhashNolisten, inetEhashRemove, inetNodeFaddr, inetNodeFport, inetNodeLaddr, inetNodeSetKey,
} from "./inet-hashtables.ts";
import { inetSkRebuildRoute } from "./ip-output.ts";
import { IP_CMSG_OPTIONS } from "./inet-sock.ts";
import { ipOptions, synGuard } from "./ip-parts.ts";
import {
  inetReqskAlloc, REQ_ECN_OK, REQ_INFO, REQ_IP_OPTIONS, REQ_RCV_ISN, REQ_SACK_OK, REQ_SND_ISN, REQ_SNT_SYNACK, REQ_TS_OFFSET,
  REQ_TS_RECENT, REQ_TSTAMP_OK,
  REQ_WORDS, REQ_WSCALE_OK, reqRows, reqskClear, reqskDropOptions, reqskFree, reqskHas, reqskSet, reqskSpare,
} from "./request-sock.ts";
import { ipRouteOutputFlow } from "./route.ts";
import { dstMtu, RTCF_BROADCAST, RTCF_MULTICAST, type Rtable } from "./rtable.ts";
import { cookieV4InitSequence, tcpSynFloodAction } from "./syncookies.ts";
import {
  ICSK_REQSK_QLEN, TP_ADVMSS, TP_DEFER_CONNECT, TP_FASTOPEN_CONNECT, TP_FASTOPEN_REQ, TP_MSS_CLAMP,
  TP_TS_RECENT_STAMP, TP_USER_MSS,
} from "./tcp-cold.ts";
import { tcpEcnCreateRequest } from "./tcp-ecn.ts";
import { FASTOPEN_REQ_ASK, FASTOPEN_REQ_NONE, tcpFastopenCookieCheck } from "./tcp-fastopen-client.ts";
import { tcpTryFastopen } from "./tcp-fastopen.ts";
import { tcpMd5Copy, tcpMd5Keys, tcpMd5Lookup } from "./tcp-md5.ts";
import { tcpCreateOpenreqChild, tcpOpenreqInitRwin } from "./tcp-minisocks.ts";
import { rxOpt, tcpMssClamp, tcpParseOptions } from "./tcp-options.ts";
import { tcpConnect } from "./tcp-output.ts";
import { secureTcpSeq, secureTcpTsOff } from "./tcp-secure-seq.ts";
import type { TcpSk } from "./tcp-sock.ts";
import { tcpAdvmss, tcpV4SendSynack } from "./tcp-synack.ts";
import { tcpInitializeRcvMss, tcpSyncMss } from "./tcp-window.ts";
import { tcpDone, tcpSetState } from "./tcp.ts";

/** net.ipv4.tcp_syncookies: whatever the length of the SYN queue. */
const SYNCOOKIES_ALWAYS = 2;

/**
 * connect(): route, source address, port, and the SYN. Linux: tcp_v4_connect().
 * @returns 0 when the SYN is on its way; -EAFNOSUPPORT, -ENETUNREACH and the other errors of routing, -EADDRNOTAVAIL
 *   (no free port), -ENOBUFS; after an error the sock is closed as before
 */
export function tcpV4Connect(sock: Sock, addr: SockaddrIn): number {
  const sk = sock as TcpSk;
  if (addr.family !== AF_INET) return -EAFNOSUPPORT;
  const net = sk.net;
  const inet = sk.inet;
  const tp = sk.tp;
  const fl = outputFlow;
  let hop = addr.addr | 0;
  if ((inet.flags & IP_CMSG_OPTIONS) !== 0) {
    ipOptions!.prepare(sk.index);
    hop = ipOptions!.firstHop(hop);
    if (hop !== (addr.addr | 0) && addr.addr === 0) return -EINVAL;
  }
  flowi4SockInit(fl, sk, hop, inet.saddr, sk.boundDevIf, inet.tos);
  fl.ports = (inet.num << 16) | addr.port;
  const rt = ipRouteOutputFlow(net, fl, sk);
  if (rt === null) {
    if (fl.error === -ENETUNREACH) net.mib[IPSTATS_MIB_OUTNOROUTES]!++;
    return fl.error;
  }
  if ((rt.flags & (RTCF_MULTICAST | RTCF_BROADCAST)) !== 0) {
    dstRelease(rt);
    return -ENETUNREACH;
  }
  // A source route leads to whom the program named; else "any" has become this host.
  const daddr = hop !== (addr.addr | 0) ? addr.addr | 0 : fl.daddr;
  if (inet.saddr === 0) inet.saddr = fl.saddr;
  inet.rcvSaddr = inet.saddr;
  if (words[tp.cold + TP_TS_RECENT_STAMP] !== 0 && inet.daddr !== daddr) {
    // The sock was connected before, to another host: nothing of that counts here.
    tp.tsRecent = words[tp.cold + TP_TS_RECENT_STAMP] = 0;
    tp.writeSeq = 0;
  }
  inet.dport = addr.port;
  inet.daddr = daddr;
  words[tp.cold + TP_MSS_CLAMP] = TCP_MSS_DEFAULT;
  tcpSetState(sk, TCP_SYN_SENT);
  let err = inetHashConnect(sk);
  if (err === 0) {
    skDstSet(sk, rt);
    // With its port the flow may take another way. Linux: ip_route_newports().
    if (net.ipv4.fibMultipathHashPolicy !== 0) inetSkRebuildRoute(sk);
    if (tp.writeSeq === 0) tp.writeSeq = secureTcpSeq(inet.saddr, daddr, inet.num, inet.dport);
    tp.tsoffset = secureTcpTsOff(net, inet.saddr, daddr);
    inet.id = getRandomU32() & 0xffff;
    if (words[tp.cold + TP_FASTOPEN_CONNECT] !== 0 && words[tp.cold + TP_FASTOPEN_REQ] === FASTOPEN_REQ_NONE) {
      if (tcpFastopenCookieCheck(sk)) {
        words[tp.cold + TP_DEFER_CONNECT] = 1;
        return 0;
      }
      words[tp.cold + TP_FASTOPEN_REQ] = FASTOPEN_REQ_ASK;
    }
    err = tcpConnect(sk);
    words[tp.cold + TP_FASTOPEN_REQ] = FASTOPEN_REQ_NONE;
    if (err === 0) return 0;
  } else {
    dstRelease(rt);
  }
  tcpSetState(sk, TCP_CLOSE);
  inet.dport = 0;
  return err;
}

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
  const syncookies = net.ipv4.tcpSyncookies;
  let cookie = isn === 0 && (syncookies === SYNCOOKIES_ALWAYS || inetCskReqskQueueIsFull(sk));
  if (cookie && !tcpSynFloodAction(net)) return SKB_DROP_REASON_TCP_REQQFULL;
  if (skAcceptqIsFull(sk)) {
    net.mib[LINUX_MIB_LISTENOVERFLOWS]!++;
    return SKB_DROP_REASON_TCP_LISTEN_OVERFLOW;
  }
  tcpParseOptions(skb, rxOpt, null, net.ipv4);
  const mss = tcpMssClamp(rxOpt, words[sk.tp.cold + TP_USER_MSS]!);
  let req = cookie ? -1 : inetReqskAlloc(sk, mss);
  if (req < 0) {
    // No request is left in the whole machine: that is a full queue too.
    if (!cookie && (isn !== 0 || !tcpSynFloodAction(net))) return SKB_DROP_REASON_TCP_REQQFULL;
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
  if (!cookie && rxOpt.sackOk && tcpMd5Keys !== 0 && tcpMd5Lookup(sk.index, faddr) >= 0) rxOpt.sawTstamp = false;
  const ecn = (!cookie || rxOpt.sawTstamp) && tcpEcnCreateRequest(sk, skb);
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
    cookieV4InitSequence(sk, skb, req);
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
  if (tcpTryFastopen(sk, skb, req, rxOpt) !== null) {
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
    const signed = tcpMd5Keys === 0 || tcpMd5Copy(sk.index, child.index, inet.daddr);
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
