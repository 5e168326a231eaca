/**
 * TCP over IPv4: from the IP layer to the right sock, and TCP's entries in the tables of protocols. Linux:
 * net/ipv4/tcp_ipv4.c. Read first: RFC 9293 section 3.10.7. connect() is in tcp-ipv4-connect.ts, listeners
 * are in tcp-listen.ts, ICMP errors in tcp-ipv4-err.ts, replies without a sock in tcp-reply.ts.
 */
import { csumPartial } from "../../lib/checksum.ts";
import { mem8, memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import {
  SKB_DROP_REASON_NO_SOCKET, SKB_DROP_REASON_OTHERHOST, SKB_DROP_REASON_PKT_TOO_SMALL, SKB_DROP_REASON_SOCKET_BACKLOG,
  SKB_DROP_REASON_TCP_CSUM, SKB_DROP_REASON_TCP_INVALID_SEQUENCE, SKB_DROP_REASON_TCP_MINTTL,
} from "../../uapi/drop-reason.ts";
import { EINVAL, EOPNOTSUPP } from "../../uapi/errno.ts";
import { IPPROTO_TCP } from "../../uapi/in.ts";
import { SOCK_STREAM } from "../../uapi/socket.ts";
import { LINUX_MIB_TCPBACKLOGDROP, LINUX_MIB_TCPMINTTLDROP, TCP_MIB_CSUMERRORS, TCP_MIB_INERRS, TCP_MIB_INSEGS } from "../../uapi/snmp.ts";
import { TCP_ESTABLISHED } from "../../uapi/tcp.ts";
import type { Net } from "../core/net.ts";
import {
  CHECKSUM_UNNECESSARY, consumeSkb, kfreeSkb, PACKET_HOST, type SkBuff,
} from "../core/skbuff.ts";
import { skbChainTail, skbChainTruesize } from "../core/skb-queue.ts";
import { type Proto, SK_DROPS, type Sock, sockPut, sockTable } from "../core/sock.ts";
import { IPH_DADDR, IPH_SADDR, IPH_TTL } from "../wire/ip.ts";
import {
  TCP_HLEN, TCPHDR_DOFF_MASK, TCPHDR_DOFF_SHIFT, TCPHDR_FIN, TCPHDR_SYN, TCPOLEN_MD5SIG_ALIGNED, TH_ACK, TH_OFF_FLAGS, TH_SEQ,
  TH_SPORT,
} from "../wire/tcp.ts";
import { inetSkAlloc, inetSkFree, inetStreamOps } from "./af-inet.ts";
import { inetBindBucketInit, inetBindWords } from "./inet-bind-bucket.ts";
import { inetBindInit, inetCskGetPort, PORT_SECRET_WORDS } from "./inet-bind.ts";
import {
  ehashLastDaddr, ehashLastDif, ehashLastNet, ehashLastNode, ehashLastPorts, ehashLastSaddr, ehashReqBase, ehashTwBase, inetHash, inetHashtablesInit, inetHashtablesWords, inetLookupEstablished,
  inetUnhash,
} from "./inet-hashtables.ts";
import { inetTimewaitInit, inetTimewaitWords, inetTwskDeschedulePut } from "./inet-timewait-sock.ts";
import { INET_PROTOSW_ICSK, INET_PROTOSW_PERMANENT, inetRegisterProtosw } from "./inetsw.ts";
import { inetSockopts } from "./ip-parts.ts";
import { inetAddProtocol } from "./protocol.ts";
import { TP_DATA_SEGS_IN, TP_DEFER_CONNECT, TP_SEGS_IN } from "./tcp-cold.ts";
import { tcpReno } from "./tcp-cong.ts";
import { tcpSegsIn } from "./tcp-data.ts";
import { tcpRcvEstablished, tcpRcvStateProcess } from "./tcp-input.ts";
import { tcpV4Err } from "./tcp-ipv4-err.ts";
import { tcpV4Connect } from "./tcp-ipv4-connect.ts";
import { tcpSetIpOptions } from "./tcp-ip-options.ts";
import { TCP_MEMORY_WORDS } from "./tcp-memory.ts";
import { TCP_TW_ACK, TCP_TW_RST, TCP_TW_SYN, tcpTimewaitStateProcess } from "./tcp-minisocks.ts";
import { tcpOptionsInit } from "./tcp-options.ts";
import { tcpListening, tcpMd5, tcpMd5Keys, tcpPartsInit } from "./tcp-parts.ts";
import { tcpV4SendAckTw, tcpV4SendReset, tcpV4SendResetTw } from "./tcp-reply.ts";
import { SECURE_SEQ_WORDS, secureSeqInit } from "./tcp-secure-seq.ts";
import { tcpRecvmsg } from "./tcp-recvmsg.ts";
import { skStreamWriteSpace, tcpSendmsg } from "./tcp-sendmsg.ts";
import { tcpPartsAlloc, tcpPartsFree, type TcpSk, tcpSockInit, tcpSockWords } from "./tcp-sock.ts";
import { tcpGetsockopt, tcpSetsockopt } from "./tcp-sockopt.ts";
import { tcpSetKeepalive } from "./tcp-timer.ts";
import {
  tcpClose, tcpDisconnect, tcpInit, tcpInitSock, tcpIoctl, tcpPoll, tcpShutdown,
} from "./tcp.ts";

/** A header shorter than this has no room for an MD5 signature. */
const TCP_MD5_HEADER = TCP_HLEN + TCPOLEN_MD5SIG_ALIGNED;

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
  if ((headerLen >= TCP_MD5_HEADER || tcpMd5Keys !== 0) && tcpMd5 !== null && !tcpMd5.accept(net, skb, node)) return 0;
  if (node < 0) {
    if (tcpListening === null || !tcpListening.receive(net, skb)) tcpV4Stray(skb);
    return 0;
  }
  if (node < ehashReqBase) {
    const sk = sockTable[node] as TcpSk;
    if (inetSockopts !== null && tcpTooFar(sk, skb)) return 0;
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
  if (node >= ehashTwBase) return toTimewait(net, node - ehashTwBase, skb);
  tcpListening!.request(net, node - ehashReqBase, skb);
  return 0;
}

/** A segment that belongs to nobody is answered with a reset. */
export function tcpV4Stray(skb: SkBuff): void {
  tcpV4SendReset(null, skb);
  kfreeSkb(skb, SKB_DROP_REASON_NO_SOCKET);
}

/** Gives a segment to a connection, now or, while a system call has it, later. */
function deliver(sk: TcpSk, skb: SkBuff): number {
  tcpSegsIn(sk.tp, skb);
  if (sk.owned) {
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

/** Drops a segment that has been through more routers than the socket allows (IP_MINTTL, RFC 5082). @returns whether it was one */
export function tcpTooFar(sk: TcpSk, skb: SkBuff): boolean {
  if (mem8[skb.nh + IPH_TTL]! >= inetSockopts!.minTtl(sk)) return false;
  sk.net.mib[LINUX_MIB_TCPMINTTLDROP]!++;
  kfreeSkb(skb, SKB_DROP_REASON_TCP_MINTTL);
  return true;
}

/** A segment for a connection in TIME_WAIT. */
function toTimewait(net: Net, tw: number, skb: SkBuff): number {
  switch (tcpTimewaitStateProcess(tw, skb)) {
    case TCP_TW_SYN:
      if (tcpListening !== null && tcpListening.timewait(net, tw, skb)) return 0;
      tcpV4SendAckTw(tw, skb);
      break;
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

/** listen(); -EOPNOTSUPP in a program without listeners. */
function tcpListen(sk: Sock, backlog: number): number {
  return tcpListening === null ? -EOPNOTSUPP : tcpListening.listen(sk, backlog);
}

function tcpAccept(sk: Sock): Sock | number {
  return tcpListening === null ? -EINVAL : tcpListening.accept(sk);
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
  accept: tcpAccept,
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
  readonly timewaitSocks: number;
  readonly bindBuckets: number;
  readonly ehashBuckets: number;
  readonly buffers: number;
}

/** Words of TCP's tables. @param requests half-open connections, 0 without listeners */
export function tcpV4Words(sizes: TcpSizes, requests: number): number {
  const nodes = sizes.socks + requests + sizes.timewaitSocks;
  return inetHashtablesWords(nodes, sizes.ehashBuckets) + inetBindWords(sizes.bindBuckets)
    + tcpSockWords(sizes.tcpSocks) + inetTimewaitWords(sizes.timewaitSocks)
    + TCP_MEMORY_WORDS + PORT_SECRET_WORDS + SECURE_SEQ_WORDS;
}

/**
 * Builds TCP's tables and pools and registers the protocol, none of its parts. Boot time only, after netInit(), sockInit() and
 * inetInit(). @param requests as tcpV4Words() has it
 */
export function tcpV4Init(sizes: TcpSizes, requests: number): void {
  tcpPartsInit();
  inetHashtablesInit(sizes.socks, requests, sizes.timewaitSocks, sizes.ehashBuckets);
  inetBindBucketInit(sizes.bindBuckets);
  inetBindInit();
  inetTimewaitInit(sizes.timewaitSocks);
  tcpOptionsInit();
  secureSeqInit();
  tcpSockInit(sizes.tcpSocks, tcpReno);
  tcpInit(sizes);
  inetAddProtocol(IPPROTO_TCP, tcpProtocol);
  inetRegisterProtosw(tcpProtosw);
}

/** Linux: tcp_protocol. */
const tcpProtocol = Object.freeze({ handler: tcpV4Rcv, errHandler: tcpV4Err });

const tcpProtosw = Object.freeze({
  type: SOCK_STREAM,
  protocol: IPPROTO_TCP,
  prot: tcpProt,
  ops: inetStreamOps,
  flags: INET_PROTOSW_PERMANENT | INET_PROTOSW_ICSK,
});
