/**
 * TCP over IPv4: from the IP layer to the right sock, and TCP's entries in the tables of protocols. Linux:
 * net/ipv4/tcp_ipv4.c. Read first: RFC 9293 section 3.10.7. How connections begin is in tcp-ipv4-open.ts, ICMP errors
 * in tcp-ipv4-err.ts, replies without a sock in tcp-reply.ts.
 */
import { csumPartial } from "../../lib/checksum.ts";
import { mem8, memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import {
  SKB_CONSUMED, SKB_DROP_REASON_NO_SOCKET, SKB_DROP_REASON_OTHERHOST, SKB_DROP_REASON_PKT_TOO_SMALL,
  SKB_DROP_REASON_SOCKET_BACKLOG, SKB_DROP_REASON_TCP_CSUM, SKB_DROP_REASON_TCP_INVALID_SEQUENCE,
  SKB_DROP_REASON_TCP_LISTEN_OVERFLOW, SKB_DROP_REASON_TCP_MINTTL,
} from "../../uapi/drop-reason.ts";
import { IPPROTO_TCP } from "../../uapi/in.ts";
import { SOCK_STREAM } from "../../uapi/socket.ts";
import { LINUX_MIB_TCPBACKLOGDROP, LINUX_MIB_TCPMINTTLDROP, TCP_MIB_CSUMERRORS, TCP_MIB_INERRS, TCP_MIB_INSEGS } from "../../uapi/snmp.ts";
import { TCP_ESTABLISHED, TCP_LISTEN } from "../../uapi/tcp.ts";
import type { Net } from "../core/net.ts";
import {
  CHECKSUM_UNNECESSARY, consumeSkb, kfreeSkb, PACKET_HOST, type SkBuff,
} from "../core/skbuff.ts";
import { skbChainTail, skbChainTruesize } from "../core/skb-queue.ts";
import { type Proto, SK_DROPS, type Sock, sockByIndex, sockPut, sockTable } from "../core/sock.ts";
import { IPH_DADDR, IPH_SADDR, IPH_TTL } from "../wire/ip.ts";
import {
  TCP_HLEN, TCPHDR_DOFF_MASK, TCPHDR_DOFF_SHIFT, TCPHDR_FIN, TCPHDR_SYN, TH_ACK, TH_DPORT, TH_OFF_FLAGS, TH_SEQ,
  TH_SPORT,
} from "../wire/tcp.ts";
import { inetSkAlloc, inetSkFree, inetStreamOps } from "./af-inet.ts";
import { inetBindBucketInit, inetBindWords } from "./inet-bind-bucket.ts";
import { inetBindInit, inetCskGetPort, PORT_SECRET_WORDS } from "./inet-bind.ts";
import {
  inetConnectionSockInit, inetCskAccept, inetCskListenStart, inetCskReqskQueueDrop,
} from "./inet-connection-sock.ts";
import {
  ehashLastDaddr, ehashLastDif, ehashLastNet, ehashLastNode, ehashLastPorts, ehashLastSaddr, ehashReqBase, ehashTwBase, inetHash, inetHashtablesInit, inetHashtablesWords, inetLookupEstablished, inetLookupListener,
  inetUnhash,
} from "./inet-hashtables.ts";
import { inetTimewaitInit, inetTimewaitWords, inetTwskDeschedulePut } from "./inet-timewait-sock.ts";
import { INET_PROTOSW_ICSK, INET_PROTOSW_PERMANENT, inetRegisterProtosw } from "./inetsw.ts";
import { inetSockopts } from "./ip-parts.ts";
import { inetAddProtocol } from "./protocol.ts";
import { reqskListener, requestSockWords } from "./request-sock.ts";
import { cookieV4Check, SYNCOOKIE_WORDS, syncookiesInit } from "./syncookies.ts";
import { tcpCheckReq, tcpCheckReqReason, tcpChildProcess } from "./tcp-check-req.ts";
import { TP_DATA_SEGS_IN, TP_DEFER_CONNECT, TP_SEGS_IN } from "./tcp-cold.ts";
import { tcpRegisterCongestionControl } from "./tcp-cong.ts";
import { tcpCubic } from "./tcp-cubic.ts";
import { tcpSegsIn } from "./tcp-data.ts";
import { tcpFastopenClientInit, tcpMetricsWords } from "./tcp-fastopen-client.ts";
import { TCP_FASTOPEN_KEY_WORDS, tcpFastopenKeyInit } from "./tcp-fastopen-key.ts";
import { tcpFastopenListen } from "./tcp-fastopen.ts";
import { tcpRcvEstablished, tcpRcvStateProcess } from "./tcp-input.ts";
import { tcpV4Err } from "./tcp-ipv4-err.ts";
import { tcpV4Connect } from "./tcp-ipv4-open.ts";
import { tcpSetIpOptions } from "./tcp-ip-options.ts";
import { TCP_MEMORY_WORDS } from "./tcp-memory.ts";
import { TCP_MD5_HEADER, tcpInboundMd5Hash, tcpMd5Init, tcpMd5Keys, tcpMd5Words } from "./tcp-md5.ts";
import { TCP_TW_ACK, TCP_TW_RST, TCP_TW_SYN, tcpTimewaitStateProcess } from "./tcp-minisocks.ts";
import { tcpMtupSetup, tcpMtupWords } from "./tcp-mtu-probe.ts";
import { tcpOptionsInit } from "./tcp-options.ts";
import { tcpRateInit, tcpRateWords } from "./tcp-rate.ts";
import { tcpRcvbufInit } from "./tcp-rcvbuf.ts";
import { tcpV4SendAckTw, tcpV4SendReset, tcpV4SendResetTw } from "./tcp-reply.ts";
import { SECURE_SEQ_WORDS, secureSeqInit } from "./tcp-secure-seq.ts";
import { tcpRecvmsg } from "./tcp-recvmsg.ts";
import { skStreamWriteSpace, tcpSendmsg } from "./tcp-sendmsg.ts";
import { tcpPartsAlloc, tcpPartsFree, type TcpSk, tcpSockInit, tcpSockWords } from "./tcp-sock.ts";
import { tcpGetsockopt, tcpSetsockopt } from "./tcp-sockopt.ts";
import { tcpRtxSynack } from "./tcp-synack.ts";
import { tcpSetKeepalive } from "./tcp-timer.ts";
import {
  tcpClose, tcpDestroySock, tcpDisconnect, tcpInit, tcpInitSock, tcpIoctl, tcpPoll, tcpSetState, tcpShutdown,
} from "./tcp.ts";

/** The counters of bad segments; the segment ends. */
function badSegment(net: Net, skb: SkBuff, reason: number): number {
  net.mib[TCP_MIB_INERRS]!++;
  kfreeSkb(skb, reason);
  return 0;
}

/**
 * A segment from the IP layer: data = th at the TCP header, nh at the IP header. Checks it, fills seq, endSeq, ackSeq
 * and tcpFlags, and gives it to its sock, TIME_WAIT entry or request; without one a reset answers. Linux: tcp_v4_rcv().
 * Always 0.
 */
export function tcpV4Rcv(skb: SkBuff): number {
  const net = skb.dev!.net!;
  if (skb.pktType !== PACKET_HOST) {
    kfreeSkb(skb, SKB_DROP_REASON_OTHERHOST);
    return 0;
  }
  net.mib[TCP_MIB_INSEGS]!++;
  const length = skb.len;
  if (length < TCP_HLEN) return badSegment(net, skb, SKB_DROP_REASON_PKT_TOO_SMALL);
  const th = skb.th;
  const word = memView.getUint16(th + TH_OFF_FLAGS);
  const headerLen = (word & TCPHDR_DOFF_MASK) >> TCPHDR_DOFF_SHIFT;
  if (headerLen < TCP_HLEN || skb.tail - th < headerLen) return badSegment(net, skb, SKB_DROP_REASON_PKT_TOO_SMALL);
  const nh = skb.nh;
  const saddr = memView.getInt32(nh + IPH_SADDR);
  const daddr = memView.getInt32(nh + IPH_DADDR);
  // csumTcpudpMagic() !== 0, said shorter: a right sum is a multiple of 2^16 - 1, and never 0, as the protocol is in it.
  if (
    skb.ipSummed !== CHECKSUM_UNNECESSARY
    && (csumPartial(th, length) + (saddr >>> 16) + (saddr & 0xffff) + (daddr >>> 16) + (daddr & 0xffff)
      + length + IPPROTO_TCP) % 0xffff !== 0
  ) {
    net.mib[TCP_MIB_CSUMERRORS]!++;
    return badSegment(net, skb, SKB_DROP_REASON_TCP_CSUM);
  }
  const seq = memView.getInt32(th + TH_SEQ);
  // SYN and FIN, bits 1 and 0, take a sequence number each.
  skb.seq = seq;
  skb.endSeq = (seq + length - headerLen + ((word & TCPHDR_SYN) >> 1) + (word & TCPHDR_FIN)) | 0;
  skb.ackSeq = memView.getInt32(th + TH_ACK);
  skb.tcpFlags = word & 0xff;
  skb.sacked = 0;
  skb.when = 0;
  const ports = memView.getInt32(th + TH_SPORT);
  const dif = skb.iif;
  const node = ports === ehashLastPorts && saddr === ehashLastSaddr && daddr === ehashLastDaddr && dif === ehashLastDif && net === ehashLastNet
    ? ehashLastNode : inetLookupEstablished(net, saddr, daddr, ports, dif);
  if ((headerLen >= TCP_MD5_HEADER || tcpMd5Keys !== 0) && !signatureFits(net, skb, node)) return 0;
  if (node < 0) return toListener(net, skb);
  if (node < ehashReqBase) {
    const sk = sockTable[node] as TcpSk;
    if (inetSockopts !== null && tooFar(sk, skb)) return 0;
    if (sk.state !== TCP_ESTABLISHED || sk.owned) return deliver(sk, skb);
    // deliver(), spared a call in the state that matters.
    const cold = sk.tp.cold;
    words[cold + TP_SEGS_IN]!++;
    if (length > headerLen) words[cold + TP_DATA_SEGS_IN]!++;
    sk.refcnt++;
    tcpRcvEstablished(sk, skb);
    if (sk.refcnt > 1) sk.refcnt--;
    else sockPut(sk);
    return 0;
  }
  if (node < ehashTwBase) return toRequest(net, node - ehashReqBase, skb);
  return toTimewait(net, node - ehashTwBase, skb);
}

/**
 * Checks the MD5 signature of a segment against the keys of its sock or listener. A TIME_WAIT entry asks for none.
 * @param node as inetLookupEstablished() answers @returns false when the segment was dropped
 */
function signatureFits(net: Net, skb: SkBuff, node: number): boolean {
  let sk: TcpSk | null;
  if (node < 0) sk = lookupListener(net, skb);
  else if (node < ehashReqBase) sk = sockByIndex(node) as TcpSk;
  else if (node < ehashTwBase) sk = reqskListener(node - ehashReqBase);
  else return true;
  const reason = sk === null ? 0 : tcpInboundMd5Hash(sk, skb);
  if (reason === 0) return true;
  words[sk!.cold + SK_DROPS]!++;
  kfreeSkb(skb, reason);
  return false;
}

/** Gives a segment to a sock, now or, while a system call has it, later. */
function deliver(sk: TcpSk, skb: SkBuff): number {
  tcpSegsIn(sk.tp, skb);
  if (sk.owned && sk.state !== TCP_LISTEN) {
    addBacklog(sk, skb);
    return 0;
  }
  // What the segment brings about may end the sock.
  sk.refcnt++;
  tcpV4DoRcv(sk, skb);
  sockPut(sk);
  return 0;
}

/** Keeps a segment for when the call is done, within the bounds of both buffers. Linux: tcp_add_backlog(). */
function addBacklog(sk: TcpSk, skb: SkBuff): void {
  const backlog = sk.backlog;
  if (sk.rmemAlloc + skbChainTruesize(backlog) + skb.truesize > sk.rcvbuf + sk.sndbuf) {
    words[sk.cold + SK_DROPS]!++;
    sk.net.mib[LINUX_MIB_TCPBACKLOGDROP]!++;
    kfreeSkb(skb, SKB_DROP_REASON_SOCKET_BACKLOG);
    return;
  }
  sk.backlog = skbChainTail(backlog, skb);
}

/** A segment of no known connection: for a listener, or to be answered with a reset. */
function toListener(net: Net, skb: SkBuff): number {
  const sk = lookupListener(net, skb);
  if (sk !== null) return inetSockopts !== null && tooFar(sk, skb) ? 0 : deliver(sk, skb);
  tcpV4SendReset(null, skb);
  kfreeSkb(skb, SKB_DROP_REASON_NO_SOCKET);
  return 0;
}

/** Drops a segment that has been through more routers than the socket allows (IP_MINTTL, RFC 5082). @returns whether it was one */
function tooFar(sk: TcpSk, skb: SkBuff): boolean {
  if (mem8[skb.nh + IPH_TTL]! >= inetSockopts!.minTtl(sk)) return false;
  sk.net.mib[LINUX_MIB_TCPMINTTLDROP]!++;
  kfreeSkb(skb, SKB_DROP_REASON_TCP_MINTTL);
  return true;
}

function lookupListener(net: Net, skb: SkBuff): TcpSk | null {
  const view = memView;
  return inetLookupListener(
    net, view.getInt32(skb.nh + IPH_DADDR), view.getUint16(skb.th + TH_DPORT), view.getInt32(skb.nh + IPH_SADDR),
    view.getUint16(skb.th + TH_SPORT), skb.iif,
  );
}

/** A segment for a half-open connection. */
function toRequest(net: Net, req: number, skb: SkBuff): number {
  const sk = reqskListener(req);
  if (sk.state !== TCP_LISTEN) {
    inetCskReqskQueueDrop(sk, req);
    return toListener(net, skb);
  }
  sk.refcnt++;
  const child = tcpCheckReq(sk, skb, req);
  if (child === null) {
    if (tcpCheckReqReason === SKB_CONSUMED) consumeSkb(skb);
    else kfreeSkb(skb, tcpCheckReqReason);
  } else if (child === sk) {
    deliver(sk, skb);
  } else {
    toChild(sk, child, skb);
  }
  sockPut(sk);
  return 0;
}

/** The segment that made a new sock is its first one. */
function toChild(sk: TcpSk, child: TcpSk, skb: SkBuff): void {
  child.refcnt++;
  const reason = tcpChildProcess(sk, child, skb);
  if (reason !== 0) {
    tcpV4SendReset(child, skb);
    kfreeSkb(skb, reason);
  }
  sockPut(child);
}

/** A segment for a connection in TIME_WAIT. */
function toTimewait(net: Net, tw: number, skb: SkBuff): number {
  switch (tcpTimewaitStateProcess(tw, skb)) {
    case TCP_TW_SYN: {
      const sk = lookupListener(net, skb);
      if (sk !== null) {
        inetTwskDeschedulePut(tw);
        return signatureFits(net, skb, -1) ? deliver(sk, skb) : 0;
      }
      tcpV4SendAckTw(tw, skb);
      break;
    }
    case TCP_TW_ACK:
      tcpV4SendAckTw(tw, skb);
      break;
    case TCP_TW_RST:
      tcpV4SendResetTw(tw, skb);
      inetTwskDeschedulePut(tw);
      break;
    default:
      consumeSkb(skb);
      return 0;
  }
  kfreeSkb(skb, SKB_DROP_REASON_TCP_INVALID_SEQUENCE);
  return 0;
}

/**
 * Gives a segment to a sock that no call has: tcpV4Rcv()'s end, and the backlog's. Linux: tcp_v4_do_rcv(). Always 0.
 */
export function tcpV4DoRcv(sock: Sock, skb: SkBuff): number {
  const sk = sock as TcpSk;
  if (sk.state === TCP_ESTABLISHED) {
    tcpRcvEstablished(sk, skb);
    return 0;
  }
  if (sk.state === TCP_LISTEN && (skb.tcpFlags & TCPHDR_SYN) === 0) {
    const child = cookieV4Check(sk, skb);
    if (child !== sk) {
      if (child === null) kfreeSkb(skb, SKB_DROP_REASON_TCP_LISTEN_OVERFLOW);
      else toChild(sk, child, skb);
      return 0;
    }
  }
  const reason = tcpRcvStateProcess(sk, skb);
  if (reason !== 0) {
    tcpV4SendReset(sk, skb);
    kfreeSkb(skb, reason);
  }
  return 0;
}

/** A closed TCP sock with all its parts, or null. */
function tcpAlloc(net: Net): Sock | null {
  const sk = inetSkAlloc(net, tcpProt);
  if (sk === null) return null;
  if (tcpPartsAlloc(sk as TcpSk)) return sk;
  sockPut(sk);
  return null;
}

/** listen(). Linux: __inet_listen_sk(). */
function tcpListen(sk: Sock, backlog: number): number {
  tcpFastopenListen(sk as TcpSk, backlog);
  return inetCskListenStart(sk, backlog);
}

function tcpDeferred(sk: Sock): boolean {
  return words[(sk as TcpSk).tp.cold + TP_DEFER_CONNECT] !== 0;
}

function tcpFree(sk: Sock): void {
  if (sk.tp !== null) tcpPartsFree(sk as TcpSk);
  inetSkFree(sk);
}

/** TCP's functions. Linux: tcp_prot. */
export const tcpProt: Proto = Object.freeze({
  name: "TCP",
  alloc: tcpAlloc,
  free: tcpFree,
  init: tcpInitSock,
  close: tcpClose,
  connect: tcpV4Connect,
  disconnect: tcpDisconnect,
  shutdown: tcpShutdown,
  sendmsg: tcpSendmsg,
  recvmsg: tcpRecvmsg,
  setsockopt: tcpSetsockopt,
  getsockopt: tcpGetsockopt,
  ioctl: tcpIoctl,
  backlogRcv: tcpV4DoRcv,
  hash: inetHash,
  unhash: inetUnhash,
  getPort: inetCskGetPort,
  poll: tcpPoll,
  accept: inetCskAccept,
  listen: tcpListen,
  setIpOptions: tcpSetIpOptions,
  keepalive: tcpSetKeepalive,
  deferred: tcpDeferred,
  writeSpace: skStreamWriteSpace,
});

/** The sizes TCP needs; the names are the options of boot(). */
export interface TcpSizes {
  readonly socks: number;
  readonly tcpSocks: number;
  readonly requestSocks: number;
  readonly timewaitSocks: number;
  readonly bindBuckets: number;
  readonly ehashBuckets: number;
  readonly buffers: number;
  readonly deliveryRates: number;
  readonly md5Keys: number;
  readonly mtuProbes: number;
  readonly rcvbufMaxPackets: number;
  readonly destinations: number;
}

/** Words of all tables of TCP. */
export function tcpV4Words(sizes: TcpSizes): number {
  const nodes = sizes.socks + sizes.requestSocks + 1 + sizes.timewaitSocks;
  return inetHashtablesWords(nodes, sizes.ehashBuckets) + inetBindWords(sizes.bindBuckets)
    + tcpSockWords(sizes.tcpSocks) + requestSockWords(sizes.requestSocks) + inetTimewaitWords(sizes.timewaitSocks)
    + tcpMetricsWords(sizes.destinations) + TCP_MEMORY_WORDS + PORT_SECRET_WORDS + SECURE_SEQ_WORDS + SYNCOOKIE_WORDS + TCP_FASTOPEN_KEY_WORDS
    + tcpRateWords(sizes.deliveryRates * sizes.socks, sizes.buffers) + tcpMd5Words(sizes.md5Keys) + tcpMtupWords(sizes.mtuProbes * sizes.socks);
}

/**
 * Builds TCP's tables and pools and registers the protocol. Boot time only, after netInit(), sockInit() and inetInit().
 */
export function tcpV4Init(sizes: TcpSizes): void {
  // One more request than the slab has: the spare row of request-sock.ts has a four-tuple too.
  inetHashtablesInit(sizes.socks, sizes.requestSocks + 1, sizes.timewaitSocks, sizes.ehashBuckets);
  inetBindBucketInit(sizes.bindBuckets);
  inetBindInit();
  inetTimewaitInit(sizes.timewaitSocks);
  inetConnectionSockInit(sizes.requestSocks, tcpConnectionOps);
  tcpOptionsInit();
  secureSeqInit();
  syncookiesInit();
  tcpFastopenKeyInit();
  tcpFastopenClientInit(sizes.destinations);
  tcpRateInit(sizes.deliveryRates * sizes.socks, sizes.buffers);
  tcpMd5Init(sizes.md5Keys);
  tcpMtupSetup(sizes.mtuProbes * sizes.socks);
  tcpRcvbufInit(sizes.rcvbufMaxPackets);
  tcpSockInit(sizes.tcpSocks, tcpCubic);
  tcpInit(sizes);
  tcpRegisterCongestionControl(tcpCubic);
  inetAddProtocol(IPPROTO_TCP, tcpProtocol);
  inetRegisterProtosw(tcpProtosw);
}

/** What inet-connection-sock.ts asks of TCP. */
const tcpConnectionOps = Object.freeze({ rtxSynAck: tcpRtxSynack, destroy: tcpDestroySock, setState: tcpSetState });

/** Linux: tcp_protocol. */
const tcpProtocol = Object.freeze({ handler: tcpV4Rcv, errHandler: tcpV4Err });

const tcpProtosw = Object.freeze({
  type: SOCK_STREAM,
  protocol: IPPROTO_TCP,
  prot: tcpProt,
  ops: inetStreamOps,
  flags: INET_PROTOSW_PERMANENT | INET_PROTOSW_ICSK,
});
