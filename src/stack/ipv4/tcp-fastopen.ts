/**
 * TCP Fast Open, the server: data in the SYN of a peer that has shown before, by a cookie, that it is where it says.
 * Linux: net/ipv4/tcp_fastopen.c. Read first: RFC 7413. Owns the cookie of the SYN-ACK at hand; the keys are
 * in tcp-fastopen-key.ts.
 *
 * A cookie is SipHash of both addresses, eight bytes. The connection of a good cookie is made at the SYN: a sock in SYN_RECV
 * in the accept queue, its SYN-ACK the first segment of its write queue, so that the retransmission timer sends it again.
 * `tp.fastopenRsk` is its listener until the peer's ACK; at most TCP_FASTOPEN such socks may wait for one.
 */
import { memView } from "../../lib/memory.ts";
import { siphash2u32, siphashHi } from "../../lib/siphash.ts";
import { words } from "../../lib/table.ts";
import { EINVAL, EOPNOTSUPP } from "../../uapi/errno.ts";
import {
  LINUX_MIB_TCPFASTOPENCOOKIEREQD, LINUX_MIB_TCPFASTOPENLISTENOVERFLOW, LINUX_MIB_TCPFASTOPENPASSIVE,
  LINUX_MIB_TCPFASTOPENPASSIVEALTKEY, LINUX_MIB_TCPFASTOPENPASSIVEFAIL,
} from "../../uapi/snmp.ts";
import { TCP_CLOSE, TCP_FASTOPEN, TCP_FASTOPEN_KEY, TCPF_CLOSE, TCPF_LISTEN } from "../../uapi/tcp.ts";
import { consumeSkb, type SkBuff, skbClone, skbPull } from "../core/skbuff.ts";
import { skbQueueTail } from "../core/skb-queue.ts";
import { sockDefReadable, sockHold, sockPut } from "../core/sock.ts";
import { IPH_DADDR, IPH_SADDR } from "../wire/ip.ts";
import {
  TCPHDR_ACK, TCPHDR_DOFF_MASK, TCPHDR_DOFF_SHIFT, TCPHDR_FIN, TCPHDR_SYN, TCPOLEN_EXP_FASTOPEN_BASE, TCPOLEN_FASTOPEN_BASE,
  TCPOPT_EXP, TCPOPT_FASTOPEN, TCPOPT_FASTOPEN_MAGIC, TCPOPT_NOP, TH_OFF_FLAGS, TH_WIN,
} from "../wire/tcp.ts";
import { inetCskPrepareForcedClose, inetCskReqskQueueAdd } from "./inet-connection-sock.ts";
import { IP_CMSG_OPTIONS } from "./inet-sock.ts";
import {
  TP_DATA_SEGS_IN, TP_FASTOPEN_CONNECT, TP_FASTOPEN_MAX_QLEN, TP_FASTOPEN_QLEN, TP_MAX_WINDOW, TP_SYN_DATA_ACKED,
} from "./tcp-cold.ts";
import { tcpFin, tcpQueueRcv } from "./tcp-data.ts";
import { fastopenKeyAt, fastopenKeyCount, fastopenKeys, fastopenSetListenerKey } from "./tcp-fastopen-key.ts";
import { tcpInitTransfer } from "./tcp-input.ts";
import { tcpV4SynRecvSock } from "./tcp-ipv4-open.ts";
import type { TcpOptionsReceived } from "./tcp-options.ts";
import { tcpControlSkb, tcpInitNondataSkb } from "./tcp-output.ts";
import { tcpEcn } from "./tcp-parts.ts";
import { ICSK_TIME_RETRANS, type TcpSk } from "./tcp-sock.ts";
import { inetCskResetXmitTimer, TCP_TIMEOUT_INIT } from "./tcp-timer.ts";
import { tcpTransmitSkb } from "./tcp-xmit.ts";
import { tcpDone } from "./tcp.ts";

/** Bits of net.ipv4.tcp_fastopen. */
export const TFO_CLIENT_ENABLE = 1;
export const TFO_SERVER_ENABLE = 2;
export const TFO_SERVER_COOKIE_NOT_REQD = 0x200;
export const TFO_SERVER_WO_SOCKOPT1 = 0x400;

/** Bytes of a cookie of ours. */
const COOKIE_SIZE = 8;

/** The two words of the cookie last made, in wire order from the low byte on. */
let cookieLow = 0;
let cookieHigh = 0;
/** The SYN-ACK about to be made carries that cookie: bytes of the option, 0 for none; and in the experimental form? */
let synackSize = 0;
let synackExp = false;

/** TCP_FASTOPEN, and listen() by sysctl: how many socks may wait for the last ACK. Linux: fastopen_queue_tune(). */
function fastopenQueueTune(sk: TcpSk, backlog: number): void {
  const most = sk.net.ipv4.somaxconn;
  words[sk.tp.cold + TP_FASTOPEN_MAX_QLEN] = backlog < 0 || backlog > most ? most : backlog;
}

/** listen(): Fast Open without the option, where the sysctl wants that. */
export function tcpFastopenListen(sk: TcpSk, backlog: number): void {
  const wanted = TFO_SERVER_ENABLE | TFO_SERVER_WO_SOCKOPT1;
  if ((sk.net.ipv4.tcpFastopen & wanted) === wanted && words[sk.tp.cold + TP_FASTOPEN_MAX_QLEN] === 0) fastopenQueueTune(sk, backlog);
}

function swap(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
}

/** Makes the cookie of the sender of a SYN. Linux: __tcp_fastopen_cookie_gen_cipher(). @param index of the listener's keys */
function cookieGen(sk: TcpSk, skb: SkBuff, index: number): void {
  const saddr = swap(memView.getInt32(skb.nh + IPH_SADDR));
  const daddr = swap(memView.getInt32(skb.nh + IPH_DADDR));
  cookieLow = siphash2u32(saddr, daddr, fastopenKeys(sk), fastopenKeyAt(sk, index));
  cookieHigh = siphashHi();
}

/** Is the cookie of the SYN the one last made? Takes the same time whatever it is. */
function cookieIsRight(rx: TcpOptionsReceived): boolean {
  const low = memView.getInt32(rx.foOffset, true) ^ cookieLow;
  return (low | (memView.getInt32(rx.foOffset + 4, true) ^ cookieHigh)) === 0;
}

/** May one more sock wait for its last ACK? Linux: tcp_fastopen_queue_check(). */
function queueCheck(sk: TcpSk): boolean {
  const tp = sk.tp;
  if (words[tp.cold + TP_FASTOPEN_MAX_QLEN] === 0) return false;
  if (words[tp.cold + TP_FASTOPEN_QLEN]! < words[tp.cold + TP_FASTOPEN_MAX_QLEN]!) return true;
  sk.net.mib[LINUX_MIB_TCPFASTOPENLISTENOVERFLOW]!++;
  return false;
}

/**
 * A SYN that may open fast. When it does, the connection is made, its SYN-ACK is sent and it is in the accept queue; else
 * the SYN-ACK of its request may be to carry a cookie (tcpSynackFastopenSize). Linux: tcp_try_fastopen().
 * @param req the request, of which nothing is needed when the answer is not null
 */
export function tcpTryFastopen(sk: TcpSk, skb: SkBuff, req: number, rx: TcpOptionsReceived): TcpSk | null {
  const mib = sk.net.mib;
  const mode = sk.net.ipv4.tcpFastopen;
  const synData = skb.endSeq !== ((skb.seq + 1) | 0);
  const asked = rx.foLen;
  synackSize = 0;
  if (asked === 0) mib[LINUX_MIB_TCPFASTOPENCOOKIEREQD]!++;
  if ((mode & TFO_SERVER_ENABLE) === 0 || (!synData && asked < 0) || !queueCheck(sk)) return null;
  const free = (mode & TFO_SERVER_COOKIE_NOT_REQD) !== 0;
  if (!free && asked < 0) return null;
  const match = free ? 0 : cookieMatch(sk, skb, rx);
  // Asked for, or not of the key that they are made with now: the SYN-ACK brings a new one.
  if (match !== 0) {
    cookieGen(sk, skb, 0);
    synackExp = rx.foExp;
    synackSize = tcpFastopenOptionSize(COOKIE_SIZE, synackExp);
  }
  if (match >= 0) {
    const child = createChild(sk, skb, req);
    if (match > 0 && child !== null) mib[LINUX_MIB_TCPFASTOPENPASSIVEALTKEY]!++;
    mib[child === null ? LINUX_MIB_TCPFASTOPENPASSIVEFAIL : LINUX_MIB_TCPFASTOPENPASSIVE]!++;
    return child;
  }
  if (asked > 0) mib[LINUX_MIB_TCPFASTOPENPASSIVEFAIL]!++;
  return null;
}

/** By which key the cookie of the SYN is right; -1 for none, or when it has none. Linux: tcp_fastopen_cookie_gen_check(). */
function cookieMatch(sk: TcpSk, skb: SkBuff, rx: TcpOptionsReceived): number {
  if (rx.foLen !== COOKIE_SIZE) return -1;
  const count = fastopenKeyCount(sk);
  for (let i = 0; i < count; i++) {
    cookieGen(sk, skb, i);
    if (cookieIsRight(rx)) return i;
  }
  return -1;
}

/** Bytes of the cookie option that the next SYN-ACK gets; it is given once. */
export function tcpSynackFastopenSize(): number {
  const size = synackSize;
  synackSize = 0;
  return size;
}

/** Writes that option. */
export function tcpWriteSynackFastopen(offset: number): void {
  const at = tcpWriteFastopenOption(offset, COOKIE_SIZE, synackExp);
  memView.setInt32(at, cookieLow, true);
  memView.setInt32(at + 4, cookieHigh, true);
}

/** The connection of a good SYN, its SYN-ACK sent; null when a pool or a queue is full. Linux: tcp_fastopen_create_child(). */
function createChild(sk: TcpSk, skb: SkBuff, req: number): TcpSk | null {
  const child = tcpV4SynRecvSock(sk, skb, req);
  if (child === null) return null;
  const tp = child.tp;
  const isn = (tp.sndNxt - 1) | 0;
  const synack = tcpControlSkb(true);
  if (synack === null) {
    inetCskPrepareForcedClose(child);
    tcpDone(child);
    return null;
  }
  // The window of a SYN is never shifted.
  tp.sndWnd = words[tp.cold + TP_MAX_WINDOW] = memView.getUint16(skb.th + TH_WIN);
  tp.sndUna = isn;
  // The SYN-ACK in flight is no small segment: it holds no data back (Nagle).
  tp.sndSml = isn;
  tp.fastopenRsk = sk;
  sockHold(sk);
  words[sk.tp.cold + TP_FASTOPEN_QLEN]!++;
  tcpInitTransfer(child);
  tcpFastopenAddSkb(child, skb);
  // The SYN-ACK acknowledges it.
  tp.rcvWup = tp.rcvNxt;
  tcpInitNondataSkb(synack, isn, tcpEcn === null ? TCPHDR_SYN | TCPHDR_ACK : tcpEcn.sendSynack(tp, TCPHDR_SYN));
  skbQueueTail(child.writeQueue, synack);
  child.wmemQueued += synack.truesize;
  tp.packetsOut = 1;
  // The SYN-ACK has no IP options, though the connection has: on Linux it is the request's, which has given them to its child.
  const options = child.inet.flags & IP_CMSG_OPTIONS;
  child.inet.flags ^= options;
  tcpTransmitSkb(child, synack, true);
  child.inet.flags |= options;
  inetCskResetXmitTimer(child, ICSK_TIME_RETRANS, TCP_TIMEOUT_INIT);
  if (inetCskReqskQueueAdd(sk, child) !== null) sockDefReadable(sk);
  return child;
}

/** The data of a SYN or SYN-ACK is the first to be read. Linux: tcp_fastopen_add_skb(). */
export function tcpFastopenAddSkb(sk: TcpSk, skb: SkBuff): void {
  const tp = sk.tp;
  if (skb.endSeq === tp.rcvNxt) return;
  const data = skbClone(skb);
  if (data === null) return;
  skbPull(data, (memView.getUint16(skb.th + TH_OFF_FLAGS) & TCPHDR_DOFF_MASK) >> TCPHDR_DOFF_SHIFT);
  data.seq = tp.rcvNxt;
  data.endSeq = skb.endSeq;
  data.tcpFlags = skb.tcpFlags & ~TCPHDR_SYN;
  if (tcpQueueRcv(sk, data)) consumeSkb(data);
  words[tp.cold + TP_SYN_DATA_ACKED] = 1;
  words[tp.cold + TP_DATA_SEGS_IN]!++;
  if ((skb.tcpFlags & TCPHDR_FIN) !== 0) {
    tcpFin(sk);
  }
}

/** The sock has its last ACK, or ends: it counts among the waiting no more. Linux: reqsk_fastopen_remove(). */
export function tcpFastopenRemove(sk: TcpSk): void {
  const listener = sk.tp.fastopenRsk;
  if (listener === null) return;
  sk.tp.fastopenRsk = null;
  words[listener.tp.cold + TP_FASTOPEN_QLEN]!--;
  sockPut(listener);
}

/** Bytes of a Fast Open option with a cookie of that many bytes (0: a request for one), padded. @param exp in its experimental form */
export function tcpFastopenOptionSize(cookie: number, exp: boolean): number {
  return (cookie + (exp ? TCPOLEN_EXP_FASTOPEN_BASE : TCPOLEN_FASTOPEN_BASE) + 3) & ~3;
}

/** Writes that option but for the cookie. @returns where the cookie's bytes go */
export function tcpWriteFastopenOption(offset: number, cookie: number, exp: boolean): number {
  const base = exp ? TCPOLEN_EXP_FASTOPEN_BASE : TCPOLEN_FASTOPEN_BASE;
  memView.setUint8(offset, exp ? TCPOPT_EXP : TCPOPT_FASTOPEN);
  memView.setUint8(offset + 1, base + cookie);
  if (exp) memView.setUint16(offset + 2, TCPOPT_FASTOPEN_MAGIC);
  const at = offset + base;
  for (let pad = at + cookie; ((pad - offset) & 3) !== 0; pad++) memView.setUint8(pad, TCPOPT_NOP);
  return at;
}

/** TCP_FASTOPEN, TCP_FASTOPEN_KEY, TCP_FASTOPEN_CONNECT: 0 or a negative errno. */
export function tcpFastopenSet(sk: TcpSk, name: number, value: number, opt: Uint8Array | Int32Array | null): number {
  switch (name) {
    case TCP_FASTOPEN:
      if (value < 0 || ((1 << sk.state) & (TCPF_CLOSE | TCPF_LISTEN)) === 0) return -EINVAL;
      fastopenQueueTune(sk, value);
      return 0;
    case TCP_FASTOPEN_KEY:
      return opt === null ? -EINVAL : fastopenSetListenerKey(sk, opt);
    default:
      if (value < 0 || value > 1) return -EINVAL;
      if ((sk.net.ipv4.tcpFastopen & TFO_CLIENT_ENABLE) === 0) return -EOPNOTSUPP;
      if (sk.state !== TCP_CLOSE) return -EINVAL;
      words[sk.tp.cold + TP_FASTOPEN_CONNECT] = value !== 0 ? 1 : 0;
      return 0;
  }
}

/** The value of TCP_FASTOPEN, or of TCP_FASTOPEN_CONNECT. */
export function tcpFastopenValue(sk: TcpSk, name: number): number {
  return words[sk.tp.cold + (name === TCP_FASTOPEN ? TP_FASTOPEN_MAX_QLEN : TP_FASTOPEN_CONNECT)]!;
}
