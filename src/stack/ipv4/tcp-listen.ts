/**
 * Listeners as a part of TCP: what comes for them and for half-open connections, from the IP layer on. Linux: the listening half of
 * tcp_v4_rcv() and tcp_v4_do_rcv() of net/ipv4/tcp_ipv4.c. Read first: RFC 9293 section 3.10.7.2. The queues are in
 * inet-connection-sock.ts, requests in request-sock.ts, what a SYN does in tcp-ipv4-open.ts, what else in tcp-check-req.ts.
 */
import { memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import {
  SKB_CONSUMED, SKB_DROP_REASON_TCP_FLAGS, SKB_DROP_REASON_TCP_LISTEN_OVERFLOW,
} from "../../uapi/drop-reason.ts";
import { LINUX_MIB_OUTOFWINDOWICMPS } from "../../uapi/snmp.ts";
import { TCP_LISTEN } from "../../uapi/tcp.ts";
import type { Net } from "../core/net.ts";
import { consumeSkb, kfreeSkb, type SkBuff } from "../core/skbuff.ts";
import { type Sock, sockPut } from "../core/sock.ts";
import { IPH_DADDR, IPH_SADDR } from "../wire/ip.ts";
import { TCPHDR_ACK, TCPHDR_FIN, TCPHDR_RST, TCPHDR_SYN, TH_DPORT, TH_SPORT } from "../wire/tcp.ts";
import {
  inetConnectionSockInit, inetCskAccept, inetCskListenStart, inetCskListenStop, inetCskReqskQueueDrop, tcpListendrop,
} from "./inet-connection-sock.ts";
import { inetListenHash, inetListenHashInit, inetListenUnhash, inetLookupListener } from "./inet-listen-hash.ts";
import { inetTwskDeschedulePut } from "./inet-timewait-sock.ts";
import { inetSockopts } from "./ip-parts.ts";
import { REQ_SND_ISN, REQ_WORDS, reqRows, reqskListener, requestSockWords } from "./request-sock.ts";
import { tcpCheckReq, tcpCheckReqReason, tcpChildProcess } from "./tcp-check-req.ts";
import { tcpSegsIn } from "./tcp-data.ts";
import { tcpV4ConnRequest } from "./tcp-ipv4-open.ts";
import { tcpTooFar, tcpV4Stray } from "./tcp-ipv4.ts";
import { registerTcpListening, tcpFastopen, type TcpListenOps, tcpMd5, tcpMd5Keys, tcpSyncookies } from "./tcp-parts.ts";
import { tcpV4SendReset } from "./tcp-reply.ts";
import type { TcpSk } from "./tcp-sock.ts";
import { tcpRtxSynack } from "./tcp-synack.ts";
import { tcpSetState } from "./tcp.ts";

function lookup(net: Net, skb: SkBuff): TcpSk | null {
  const view = memView;
  return inetLookupListener(
    net, view.getInt32(skb.nh + IPH_DADDR), view.getUint16(skb.th + TH_DPORT), view.getInt32(skb.nh + IPH_SADDR),
    view.getUint16(skb.th + TH_SPORT), skb.iif,
  );
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

/** A SYN for a listener; anything else with ACK deserves a reset. */
function rcvListen(sk: TcpSk, skb: SkBuff): number {
  const flags = skb.tcpFlags;
  if ((flags & TCPHDR_ACK) !== 0) return SKB_DROP_REASON_TCP_FLAGS;
  if ((flags & (TCPHDR_RST | TCPHDR_SYN | TCPHDR_FIN)) === TCPHDR_SYN) {
    const reason = tcpV4ConnRequest(sk, skb);
    if (reason === 0) consumeSkb(skb);
    else kfreeSkb(skb, reason);
  } else {
    kfreeSkb(skb, SKB_DROP_REASON_TCP_FLAGS);
  }
  return 0;
}

/** A segment in LISTEN. Linux: tcp_v4_do_rcv(). */
function process(sk: TcpSk, skb: SkBuff): void {
  if (tcpSyncookies !== null && (skb.tcpFlags & TCPHDR_SYN) === 0) {
    const child = tcpSyncookies.check(sk, skb);
    if (child !== sk) {
      if (child === null) kfreeSkb(skb, SKB_DROP_REASON_TCP_LISTEN_OVERFLOW);
      else toChild(sk, child, skb);
      return;
    }
  }
  const reason = rcvListen(sk, skb);
  if (reason !== 0) {
    tcpV4SendReset(sk, skb);
    kfreeSkb(skb, reason);
  }
}

/** A listener takes a segment also while a system call has it. */
function deliver(sk: TcpSk, skb: SkBuff): void {
  tcpSegsIn(sk.tp, skb);
  // What the segment brings about may end the sock.
  sk.refcnt++;
  process(sk, skb);
  sockPut(sk);
}

function receive(net: Net, skb: SkBuff): boolean {
  const sk = lookup(net, skb);
  if (sk === null) return false;
  if (inetSockopts === null || !tcpTooFar(sk, skb)) deliver(sk, skb);
  return true;
}

function request(net: Net, req: number, skb: SkBuff): void {
  const sk = reqskListener(req);
  if (sk.state !== TCP_LISTEN) {
    inetCskReqskQueueDrop(sk, req);
    if (!receive(net, skb)) tcpV4Stray(skb);
    return;
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
}

function timewait(net: Net, tw: number, skb: SkBuff): boolean {
  const sk = lookup(net, skb);
  if (sk === null) return false;
  inetTwskDeschedulePut(tw);
  if (tcpMd5Keys === 0 || tcpMd5!.accept(net, skb, -1)) deliver(sk, skb);
  return true;
}

/** An error about the SYN-ACK of a request; a lasting one ends it. Linux: tcp_req_err(). */
function requestError(req: number, seq: number, abort: boolean): void {
  const sk = reqskListener(req);
  if (seq !== words[reqRows + req * REQ_WORDS + REQ_SND_ISN]) {
    sk.net.mib[LINUX_MIB_OUTOFWINDOWICMPS]!++;
  } else if (abort) {
    inetCskReqskQueueDrop(sk, req);
    tcpListendrop(sk);
  }
}

/** Linux: __inet_listen_sk(). */
function listen(sk: Sock, backlog: number): number {
  if (tcpFastopen !== null) tcpFastopen.listen(sk as TcpSk, backlog);
  return inetCskListenStart(sk, backlog);
}

/** What inet-connection-sock.ts asks of TCP. */
const tcpConnectionOps = Object.freeze({ rtxSynAck: tcpRtxSynack, setState: tcpSetState });

/** What the rest of TCP finds of it, in tcp-parts.ts. */
export const tcpListenOps: TcpListenOps = Object.freeze({
  lookup: inetLookupListener,
  receive,
  request,
  listenerOf: reqskListener,
  timewait,
  error: requestError,
  hash: inetListenHash,
  unhash: inetListenUnhash,
  listen,
  accept: inetCskAccept,
  stop: inetCskListenStop,
});

/** Half-open connections that TCP's tables have places for: one more than the slab, for the spare row of request-sock.ts. */
export function tcpListenRequests(requestSocks: number): number {
  return requestSocks + 1;
}

/** Words of the tables. */
export function tcpListenWords(requestSocks: number): number {
  return requestSockWords(requestSocks);
}

/** Boot time only, after tcpV4Init() with as many requests as tcpListenRequests() says. @param socks handles of socks */
export function tcpListenInit(socks: number, requestSocks: number): void {
  inetListenHashInit(socks);
  inetConnectionSockInit(requestSocks, tcpConnectionOps);
  registerTcpListening(tcpListenOps);
}
