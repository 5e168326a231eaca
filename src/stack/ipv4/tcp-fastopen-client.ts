/**
 * TCP Fast Open, the client: what is written goes with the SYN, when a cookie of the server is known. Linux:
 * tcp_send_syn_data() of net/ipv4/tcp_output.c, tcp_rcv_fastopen_synack() of net/ipv4/tcp_input.c, tcp_sendmsg_fastopen() of
 * net/ipv4/tcp.c, the Fast Open part of net/ipv4/tcp_metrics.c. Read first: RFC 7413 sections 4.1.3 and 4.2. Owns the cache
 * of cookies (tcp_metrics): the oldest entry makes way.
 */
import { mem8 } from "../../lib/memory.ts";
import { words, wordTable } from "../../lib/table.ts";
import { EINPROGRESS, EINVAL, EOPNOTSUPP, EPIPE } from "../../uapi/errno.ts";
import { AF_UNSPEC } from "../../uapi/socket.ts";
import { LINUX_MIB_TCPFASTOPENACTIVE, LINUX_MIB_TCPFASTOPENACTIVEFAIL } from "../../uapi/snmp.ts";
import { allocSkbFclone, consumeSkb, type SkBuff, skbBufferBytes, skbPut, skbReserve } from "../core/skbuff.ts";
import { skbQueueTail } from "../core/skb-queue.ts";
import { copyFromIter, type Msghdr } from "../core/sockaddr.ts";
import {
  MAX_TCP_OPTION_SPACE, TCP_MAX_HLEN, TCPHDR_ACK, TCPHDR_PSH, TCPHDR_SYN,
} from "../wire/tcp.ts";
import {
  FASTOPEN_REQ_DATA, FASTOPEN_REQ_NONE, TP_ADVMSS, TP_DEFER_CONNECT, TP_DELIVERED, TP_FASTOPEN_REQ, TP_SYN_DATA, TP_SYN_DATA_ACKED, TP_SYN_DATA_COPIED, TP_SYN_FASTOPEN, TP_SYN_FASTOPEN_EXP,
  TP_TOTAL_RETRANS,
} from "./tcp-cold.ts";
import { tcpFastopenAddSkb, tcpFastopenOptionSize, TFO_CLIENT_ENABLE, tcpWriteFastopenOption } from "./tcp-fastopen.ts";
import { rxOpt } from "./tcp-options.ts";
import { tcpConnect } from "./tcp-output.ts";
import { tcpMarkSkbLost, tcpXmitRetransmitQueue } from "./tcp-retransmit.ts";
import type { TcpSk } from "./tcp-sock.ts";
import { TCP_HEADROOM, tcpExtHdrLen } from "./tcp-window.ts";
import { tcpTransmitSkb } from "./tcp-xmit.ts";

/** A bit of net.ipv4.tcp_fastopen. */
const TFO_CLIENT_NO_COOKIE = 4;

/** IP and TCP header without options. */
const IP_TCP_HLEN = 40;
/** Words of an entry: address, namespace, MSS, cookie length | form << 8 | attempt << 9, the cookie. */
const ENTRY_WORDS = 8;
const COOKIE_WORD = 4;
const EXP = 1 << 8;
const TRY_EXP_SHIFT = 9;

/** Where in `words` the entries are, and how many. */
let entries = 0;
let entryCount = 0;
let nextEntry = 0;
/** What the SYN about to leave carries: the entry whose cookie; -1 a request, -2 nothing. In the experimental form? */
let synEntry = -2;
let synExp = false;
/** The message whose beginning goes with the SYN, and how much there is of it. */
let synMsg: Msghdr | null = null;
let synMsgLength = 0;

/** Words of the table. */
export function tcpMetricsWords(count: number): number {
  return count * ENTRY_WORDS;
}

/** Boot time only. @param count destinations whose metrics are kept */
export function tcpFastopenClientInit(count: number): void {
  entries = wordTable("tcp_metrics", tcpMetricsWords(count));
  entryCount = count;
  nextEntry = 0;
  synEntry = -2;
  synMsg = null;
}

/** Forgets every cookie. Linux: `ip tcp_metrics flush all`. */
export function tcpMetricsFlush(): void {
  words.fill(0, entries, entries + tcpMetricsWords(entryCount));
}

function findEntry(sk: TcpSk): number {
  const daddr = sk.inet.daddr;
  const id = sk.net.id;
  for (let i = 0; i < entryCount; i++) {
    const at = i * ENTRY_WORDS;
    if (words[entries + at] === daddr && words[entries + at + 1] === id) return i;
  }
  return -1;
}

/** The entry of the peer, made when there is none: the oldest makes way. */
function makeEntry(sk: TcpSk): number {
  let i = findEntry(sk);
  if (i >= 0) return i;
  i = nextEntry;
  nextEntry = (i + 1) % entryCount;
  const at = i * ENTRY_WORDS;
  words[entries + at] = sk.inet.daddr;
  words[entries + at + 1] = sk.net.id;
  words[entries + at + 2] = words[entries + at + 3] = 0;
  return i;
}

/** Is a cookie of the peer known, or none needed: may data go with the SYN? Linux: tcp_fastopen_cookie_check(). */
export function tcpFastopenCookieCheck(sk: TcpSk): boolean {
  if ((sk.net.ipv4.tcpFastopen & TFO_CLIENT_NO_COOKIE) !== 0) return true;
  const entry = findEntry(sk);
  return entry >= 0 && (words[entries + entry * ENTRY_WORDS + 3]! & 0xff) !== 0;
}

/** Bytes of the cookie of the SYN at hand. */
function synCookieBytes(): number {
  return synEntry < 0 ? 0 : words[entries + synEntry * ENTRY_WORDS + 3]! & 0xff;
}

/** Bytes of the Fast Open option of the SYN at hand, padded. */
export function tcpSynFastopenSize(): number {
  return synEntry === -2 ? 0 : tcpFastopenOptionSize(synCookieBytes(), synExp);
}

/** Writes that option. */
export function tcpWriteSynFastopen(offset: number): void {
  const cookie = synCookieBytes();
  const at = tcpWriteFastopenOption(offset, cookie, synExp);
  const from = entries + synEntry * ENTRY_WORDS + COOKIE_WORD;
  for (let i = 0; i < cookie; i++) mem8[at + i] = words[from + (i >> 2)]! >> ((i & 3) << 3);
}

/**
 * Sends the SYN with a cookie and data, with a request for a cookie, or plain: the first time only. The SYN is the head of
 * the write queue. Linux: tcp_send_syn_data().
 */
export function tcpSendSynData(sk: TcpSk): void {
  const tp = sk.tp;
  const syn = sk.writeQueue.head!;
  const entry = findEntry(sk);
  const info = entry < 0 ? 0 : words[entries + entry * ENTRY_WORDS + 3]!;
  const noCookie = (sk.net.ipv4.tcpFastopen & TFO_CLIENT_NO_COOKIE) !== 0;
  words[tp.cold + TP_SYN_FASTOPEN] = !noCookie ? 1 : 0;
  synExp = (info & 0xff) !== 0 ? (info & EXP) !== 0 : info >> TRY_EXP_SHIFT === 1;
  words[tp.cold + TP_SYN_FASTOPEN_EXP] = synExp ? 1 : 0;
  if (!noCookie && (info & 0xff) === 0) {
    synEntry = -1;
    tcpTransmitSkb(sk, syn, true);
    synEntry = -2;
    return;
  }
  synEntry = noCookie ? -2 : entry;
  if (!sendWithData(sk, syn.seq, entry)) tcpTransmitSkb(sk, syn, true);
  synEntry = -2;
}

/** The SYN and what fits of the message as one packet; the data is queued behind the SYN. False when there is none. */
function sendWithData(sk: TcpSk, isn: number, entry: number): boolean {
  const tp = sk.tp;
  const msg = synMsg;
  if (msg === null || synMsgLength === 0) return false;
  const cached = entry < 0 ? 0 : words[entries + entry * ENTRY_WORDS + 2]!;
  // The peer's MSS is not known before its SYN-ACK, but for the last time.
  const path = sk.icsk.pmtuCookie - IP_TCP_HLEN;
  const mtuMss = path < words[tp.cold + TP_ADVMSS]! ? path : words[tp.cold + TP_ADVMSS]!;
  let space = (cached !== 0 && cached < mtuMss ? cached : mtuMss) - MAX_TCP_OPTION_SPACE;
  const headroom = TCP_HEADROOM + TCP_MAX_HLEN + tcpExtHdrLen(sk);
  const room = skbBufferBytes - headroom;
  if (space > room) space = room;
  if (space > synMsgLength) space = synMsgLength;
  const data = allocSkbFclone(skbBufferBytes);
  if (data === null) return false;
  skbReserve(data, headroom);
  const copied = copyFromIter(skbPut(data, space), msg, space);
  if (copied < space) {
    consumeSkb(data);
    return false;
  }
  data.sacked = 0;
  data.tcpFlags = TCPHDR_SYN;
  data.seq = isn;
  data.endSeq = (isn + 1 + space) | 0;
  tp.writeSeq = data.endSeq;
  skbQueueTail(sk.writeQueue, data);
  sk.wmemQueued += data.truesize;
  tcpTransmitSkb(sk, data, true);
  sk.writeQueue.head!.when = data.when;
  data.seq = (isn + 1) | 0;
  data.tcpFlags = TCPHDR_ACK | TCPHDR_PSH;
  tp.packetsOut++;
  words[tp.cold + TP_SYN_DATA] = 1;
  words[tp.cold + TP_SYN_DATA_COPIED] = space;
  return true;
}

/**
 * Keeps what a SYN-ACK tells of the peer: its MSS, the cookie that was asked for, or when none came which form to ask in the
 * next time. Linux: tcp_fastopen_cache_set().
 */
function cacheSet(sk: TcpSk): void {
  const tp = sk.tp;
  const rx = rxOpt;
  const at = entries + makeEntry(sk) * ENTRY_WORDS;
  // Not as TCP_MAXSEG of this socket limits it.
  if (rx.mss !== 0) words[at + 2] = rx.mss;
  if (words[tp.cold + TP_SYN_FASTOPEN] === 0) return;
  if (rx.foLen > 0) {
    words[at + 3] = rx.foLen | (rx.foExp ? EXP : 0);
    words.fill(0, at + COOKIE_WORD, at + ENTRY_WORDS);
    for (let i = 0; i < rx.foLen; i++) words[at + COOKIE_WORD + (i >> 2)]! |= mem8[rx.foOffset + i]! << ((i & 3) << 3);
  } else if (words[tp.cold + TP_SYN_DATA] === 0 && words[tp.cold + TP_TOTAL_RETRANS] === 0) {
    // Asked and not answered: the other form next time, and then this one again.
    const form = (words[tp.cold + TP_SYN_FASTOPEN_EXP] !== 0 ? 2 : 1) << TRY_EXP_SHIFT;
    if ((words[at + 3]! & 0xff) === 0 && form > words[at + 3]!) words[at + 3] = form;
  }
}

/**
 * The SYN-ACK, its options in rxOpt, its acknowledgment taken in: keeps the cookie; data of ours that was not taken goes again
 * at once, data of the peer is the first to be read. Linux: tcp_rcv_fastopen_synack(). @returns whether data was sent again
 */
export function tcpRcvFastopenSynack(sk: TcpSk, skb: SkBuff): boolean {
  const tp = sk.tp;
  if (words[tp.cold + TP_SYN_FASTOPEN] === 0 && words[tp.cold + TP_SYN_DATA] === 0) return false;
  const data = words[tp.cold + TP_SYN_DATA] !== 0 ? sk.writeQueue.head : null;
  cacheSet(sk);
  const mib = sk.net.mib;
  if (data !== null) {
    mib[LINUX_MIB_TCPFASTOPENACTIVEFAIL]!++;
    tcpMarkSkbLost(sk, data);
    tcpXmitRetransmitQueue(sk);
    return true;
  }
  words[tp.cold + TP_SYN_DATA_ACKED] = words[tp.cold + TP_SYN_DATA] !== 0 ? 1 : 0;
  if (words[tp.cold + TP_SYN_DATA] !== 0) {
    mib[LINUX_MIB_TCPFASTOPENACTIVE]!++;
    // SYN and data were one packet, and are two segments of the write queue.
    if (words[tp.cold + TP_DELIVERED]! > 1) words[tp.cold + TP_DELIVERED]!--;
  }
  tcpFastopenAddSkb(sk, skb);
  return false;
}

/**
 * The write connects, and its beginning goes with the SYN. Linux: tcp_sendmsg_fastopen().
 * @returns 0 when connected already, -EINPROGRESS, or another negative errno
 */
export function tcpSendmsgFastopen(sk: TcpSk, msg: Msghdr, length: number): number {
  const tp = sk.tp;
  const socket = sk.socket;
  if ((sk.net.ipv4.tcpFastopen & TFO_CLIENT_ENABLE) === 0 || (msg.name !== null && msg.name.family === AF_UNSPEC)) {
    return -EOPNOTSUPP;
  }
  if (socket === null) return -EPIPE;
  synMsg = msg;
  synMsgLength = length;
  words[tp.cold + TP_FASTOPEN_REQ] = FASTOPEN_REQ_DATA;
  let err: number;
  if (words[tp.cold + TP_DEFER_CONNECT] !== 0) {
    words[tp.cold + TP_DEFER_CONNECT] = 0;
    err = tcpConnect(sk);
    if (err === 0) err = -EINPROGRESS;
  } else {
    err = msg.name === null ? -EINVAL : socket.ops!.connect(socket, msg.name, 0);
  }
  words[tp.cold + TP_FASTOPEN_REQ] = FASTOPEN_REQ_NONE;
  synMsg = null;
  synMsgLength = 0;
  return err;
}
