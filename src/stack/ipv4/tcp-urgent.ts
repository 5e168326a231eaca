/**
 * Urgent data: one byte out of band beside the stream. Linux: tcp_urg() and tcp_check_urg() of net/ipv4/tcp_input.c,
 * tcp_recv_urg() and tcp_mark_urg() of net/ipv4/tcp.c. Read first: RFC 9293 section 3.8.5, RFC 6093 (what everybody does:
 * the pointer names the byte after the last urgent one), tcp(7) on MSG_OOB.
 *
 * The byte stays in the receive queue and is skipped there, unless SO_OOBINLINE makes it a part of the stream. While one is
 * pending header prediction is off (tcpFastPathCheck). Every segment that leaves while ours is not acknowledged, and begins before it,
 * carries the pointer.
 */
import { mem8, memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import { EAGAIN, EINVAL, ENOTCONN } from "../../uapi/errno.ts";
import { MSG_OOB, MSG_PEEK, MSG_TRUNC } from "../../uapi/socket.ts";
import { TCP_CLOSE } from "../../uapi/tcp.ts";
import { consumeSkb, type SkBuff } from "../core/skbuff.ts";
import { skbDequeue } from "../core/skb-queue.ts";
import { RCV_SHUTDOWN, SOCK_DEAD, SOCK_DONE, SOCK_URGINLINE, sockDefReadable } from "../core/sock.ts";
import { type Msghdr, putIter } from "../core/sockaddr.ts";
import { TCPHDR_DOFF_MASK, TCPHDR_DOFF_SHIFT, TCPHDR_SYN, TCPHDR_URG, TH_OFF_FLAGS, TH_URP } from "../wire/tcp.ts";
import { TP_SND_UP, TP_URG_DATA, TP_URG_SEQ } from "./tcp-cold.ts";
import type { TcpUrgentOps } from "./tcp-parts.ts";
import type { TcpSk, TcpSock } from "./tcp-sock.ts";

/** tp.urgData: the byte with one of these; 0 for none. */
export const TCP_URG_VALID = 0x0100;
/** It was announced and has not come. */
export const TCP_URG_NOTYET = 0x0200;
/** The program has it; the mark stays until the stream has passed it. */
export const TCP_URG_READ = 0x0400;

const MAX_URGENT_POINTER = 0xffff;

/** A segment names an urgent byte. Linux: tcp_check_urg(). */
function tcpCheckUrg(sk: TcpSk, skb: SkBuff): void {
  const tp = sk.tp;
  const pointer = memView.getUint16(skb.th + TH_URP);
  const at = (skb.seq + (pointer === 0 ? 0 : pointer - 1)) | 0;
  // Read already, behind what came, or not beyond the one we have.
  if (((tp.copiedSeq - at) | 0) > 0 || ((at - tp.rcvNxt) | 0) < 0) return;
  if (words[tp.cold + TP_URG_DATA] !== 0 && ((at - words[tp.cold + TP_URG_SEQ]!) | 0) <= 0) return;
  const inline = (sk.flags & SOCK_URGINLINE) !== 0;
  if (words[tp.cold + TP_URG_DATA] !== 0 && words[tp.cold + TP_URG_SEQ] === tp.copiedSeq && !inline && tp.copiedSeq !== tp.rcvNxt) {
    // The old byte is next in the stream and will be nobody's: only the newest is out of band.
    const head = sk.receiveQueue.head;
    tp.copiedSeq = (tp.copiedSeq + 1) | 0;
    if (head !== null && ((tp.copiedSeq - head.endSeq) | 0) >= 0) consumeSkb(skbDequeue(sk.receiveQueue)!);
  }
  words[tp.cold + TP_URG_DATA] = TCP_URG_NOTYET;
  words[tp.cold + TP_URG_SEQ] = at;
  tp.predFlags = 0;
}

/** The urgent part of an accepted segment whose header is not yet pulled. Linux: tcp_urg(). */
function tcpUrg(sk: TcpSk, skb: SkBuff): void {
  const tp = sk.tp;
  const flags = skb.tcpFlags;
  if ((flags & TCPHDR_URG) !== 0) tcpCheckUrg(sk, skb);
  if (words[tp.cold + TP_URG_DATA] !== TCP_URG_NOTYET) return;
  const headerLen = (memView.getUint16(skb.th + TH_OFF_FLAGS) & TCPHDR_DOFF_MASK) >> TCPHDR_DOFF_SHIFT;
  const at = ((words[tp.cold + TP_URG_SEQ]! - skb.seq) | 0) + headerLen - ((flags & TCPHDR_SYN) >> 1);
  if (at < headerLen || at >= skb.len) return;
  words[tp.cold + TP_URG_DATA] = TCP_URG_VALID | mem8[skb.th + at]!;
  if ((sk.flags & SOCK_DEAD) === 0) sockDefReadable(sk);
}

/** The stream is just before the urgent byte. For SIOCATMARK. */
function tcpAtMark(tp: TcpSock): boolean {
  return words[tp.cold + TP_URG_DATA] !== 0 && words[tp.cold + TP_URG_SEQ] === tp.copiedSeq;
}

/**
 * How many of `used` bytes from `seq` on may be read in one go: the call stops before the mark. The urgent byte itself,
 * when it is first and not to be inline, answers 0.
 */
function tcpUrgLimit(sk: TcpSk, seq: number, used: number): number {
  const offset = (words[sk.tp.cold + TP_URG_SEQ]! - seq) | 0;
  if (offset < 0 || offset >= used) return used;
  return offset === 0 && (sk.flags & SOCK_URGINLINE) !== 0 ? used : offset;
}

/** recv(MSG_OOB). @returns 1, 0 at the end, -EINVAL (none, inline, or read), -EAGAIN (announced), -ENOTCONN. */
function tcpRecvUrg(sk: TcpSk, msg: Msghdr, length: number, flags: number): number {
  const tp = sk.tp;
  const urgent = words[tp.cold + TP_URG_DATA]!;
  if ((sk.flags & SOCK_URGINLINE) !== 0 || urgent === 0 || urgent === TCP_URG_READ) return -EINVAL;
  if (sk.state === TCP_CLOSE && (sk.flags & SOCK_DONE) === 0) return -ENOTCONN;
  if ((urgent & TCP_URG_VALID) === 0) {
    return sk.state === TCP_CLOSE || (sk.shutdown & RCV_SHUTDOWN) !== 0 ? 0 : -EAGAIN;
  }
  if ((flags & MSG_PEEK) === 0) words[tp.cold + TP_URG_DATA] = TCP_URG_READ;
  msg.flags |= MSG_OOB;
  if (length <= 0) {
    msg.flags |= MSG_TRUNC;
    return 0;
  }
  if ((flags & MSG_TRUNC) === 0) putIter(msg, urgent & 255);
  return 1;
}

/** send(MSG_OOB): the last byte written is urgent, and every segment up to it says so. Linux: tcp_mark_urg(). */
function tcpMarkUrg(sk: TcpSk): void {
  words[sk.tp.cold + TP_SND_UP] = sk.tp.writeSeq;
}

/** Is there urgent data that the peer has not acknowledged? Linux: tcp_urg_mode(). */
function tcpUrgMode(tp: TcpSock): boolean {
  const up = words[tp.cold + TP_SND_UP]!;
  return up !== 0 && ((up - tp.sndUna) | 0) > 0;
}

/**
 * The urgent pointer of a segment that begins at `seq`, where there has been urgent data (TP_SND_UP); 0 when it is not to have one
 * (URG off). It is forgotten once it is acknowledged.
 */
function tcpUrgentPointer(tp: TcpSock, seq: number): number {
  if (!tcpUrgMode(tp)) {
    words[tp.cold + TP_SND_UP] = 0;
    return 0;
  }
  const pointer = (words[tp.cold + TP_SND_UP]! - seq) | 0;
  if (pointer <= 0) return 0;
  if (pointer <= MAX_URGENT_POINTER) return pointer;
  return ((seq + MAX_URGENT_POINTER - tp.sndNxt) | 0) > 0 ? MAX_URGENT_POINTER : 0;
}

/** What the rest of TCP finds of it, in tcp-parts.ts. */
export const tcpUrgentOps: TcpUrgentOps = Object.freeze({
  receive: tcpUrg, read: tcpRecvUrg, atMark: tcpAtMark, limit: tcpUrgLimit, mark: tcpMarkUrg, mode: tcpUrgMode, pointer: tcpUrgentPointer,
});
