/**
 * Segments sent without a sock: resets, and the ACKs of TIME_WAIT entries. Linux: tcp_v4_send_reset() and
 * tcp_v4_send_ack() of net/ipv4/tcp_ipv4.c. Read first: RFC 9293 section 3.5.2 (reset generation).
 */
import { csumPartial, csumTcpudpMagic } from "../../lib/checksum.ts";
import { memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import { IPPROTO_TCP } from "../../uapi/in.ts";
import { INET_ECN_MASK } from "../../uapi/ip.ts";
import { RTN_LOCAL } from "../../uapi/rtnetlink.ts";
import { TCP_MIB_OUTRSTS, TCP_MIB_OUTSEGS } from "../../uapi/snmp.ts";
import type { Net } from "../core/net.ts";
import { allocSkb, MAX_HEADER, skbPut, skbReserve, type SkBuff } from "../core/skbuff.ts";
import { IPH_DADDR, IPH_SADDR, IPH_TOS } from "../wire/ip.ts";
import {
  TCP_HLEN, TCPHDR_ACK, TCPHDR_DOFF_SHIFT, TCPHDR_RST, TCPOLEN_MD5SIG_ALIGNED, TCPOLEN_TSTAMP_ALIGNED, TH_ACK, TH_DPORT, TH_OFF_FLAGS, TH_SEQ,
  TH_SPORT, TH_SUM, TH_WIN,
} from "../wire/tcp.ts";
import { ipSendUnicastReply } from "./ip-output.ts";
import type { Rtable } from "./rtable.ts";
import {
  TW_INFO, TW_RCV_NXT, TW_RCV_WND, TW_SND_NXT, TW_TOS_SHIFT, TW_TS_OFFSET, TW_TS_RECENT, TW_TSTAMP, TW_WORDS,
  TW_WSCALE_SHIFT, twNet, twRows,
} from "./inet-timewait-sock.ts";
import { tcpWriteTimestampOption } from "./tcp-options.ts";
import { tcpMd5, tcpMd5Keys } from "./tcp-parts.ts";
import type { TcpSk } from "./tcp-sock.ts";

const WINDOW_MAX = 65535;

/**
 * Sends a segment without data back to the sender of `inSkb`.
 * @param flags TCPHDR_* @param window the field as it stands @param tstamp with a timestamp option of these values
 * @param md5 key of its signature, -1 for none
 */
export function tcpSendReply(
  net: Net, inSkb: SkBuff, seq: number, ack: number, flags: number, window: number, tos: number,
  tstamp: boolean, tsval: number, tsecr: number, md5: number,
): void {
  const plainLen = tstamp ? TCP_HLEN + TCPOLEN_TSTAMP_ALIGNED : TCP_HLEN;
  const headerLen = md5 < 0 ? plainLen : plainLen + TCPOLEN_MD5SIG_ALIGNED;
  const skb = allocSkb(MAX_HEADER + headerLen);
  if (skb === null) return;
  skbReserve(skb, MAX_HEADER);
  const view = memView;
  const inTh = inSkb.th;
  const th = skbPut(skb, headerLen);
  skb.th = th;
  view.setUint16(th + TH_SPORT, view.getUint16(inTh + TH_DPORT));
  view.setUint16(th + TH_DPORT, view.getUint16(inTh + TH_SPORT));
  view.setInt32(th + TH_SEQ, seq);
  view.setInt32(th + TH_ACK, ack);
  view.setUint16(th + TH_OFF_FLAGS, (headerLen << TCPHDR_DOFF_SHIFT) | flags);
  view.setUint16(th + TH_WIN, window > WINDOW_MAX ? WINDOW_MAX : window);
  view.setInt32(th + TH_SUM, 0);
  if (tstamp) tcpWriteTimestampOption(th + TCP_HLEN, tsval, tsecr);
  const saddr = view.getInt32(inSkb.nh + IPH_DADDR);
  const daddr = view.getInt32(inSkb.nh + IPH_SADDR);
  if (md5 >= 0) tcpMd5!.sign(md5, saddr, daddr, th, headerLen, th + plainLen);
  view.setUint16(th + TH_SUM, csumTcpudpMagic(saddr, daddr, headerLen, IPPROTO_TCP, csumPartial(th, headerLen)));
  net.mib[TCP_MIB_OUTSEGS]!++;
  ipSendUnicastReply(net, skb, inSkb, IPPROTO_TCP, tos);
}

/**
 * Answers a segment that fits no connection with a reset, unless it is one itself. The segment stays the caller's.
 * Linux: tcp_v4_send_reset().
 * @param sk the sock it came to; null when there is none: then only a segment for an address of ours is answered
 */
export function tcpV4SendReset(sk: TcpSk | null, skb: SkBuff): void {
  const flags = skb.tcpFlags;
  if ((flags & TCPHDR_RST) !== 0) return;
  const rt = skb.dst as Rtable | null;
  if (sk === null && (rt === null || rt.type !== RTN_LOCAL)) return;
  const net = sk === null ? skb.dev!.net! : sk.net;
  let md5 = -1;
  if (sk !== null) {
    if (tcpMd5Keys !== 0) md5 = tcpMd5!.lookup(sk.index, memView.getInt32(skb.nh + IPH_SADDR));
  } else if (tcpMd5 !== null) {
    md5 = tcpMd5.resetKey(net, skb);
    if (md5 < -1) return;
  }
  sendReset(net, skb, md5);
}

/** The reset itself (RFC 9293 section 3.10.7.1). */
function sendReset(net: Net, skb: SkBuff, md5: number): void {
  net.mib[TCP_MIB_OUTRSTS]!++;
  const tos = memView.getUint8(skb.nh + IPH_TOS) & ~INET_ECN_MASK;
  if ((skb.tcpFlags & TCPHDR_ACK) !== 0) tcpSendReply(net, skb, skb.ackSeq, 0, TCPHDR_RST, 0, tos, false, 0, 0, md5);
  else tcpSendReply(net, skb, 0, skb.endSeq, TCPHDR_RST | TCPHDR_ACK, 0, tos, false, 0, 0, md5);
}

/** The key of a TIME_WAIT entry, or -1. */
function twKey(tw: number, skb: SkBuff): number {
  return tcpMd5Keys === 0 ? -1 : tcpMd5!.lookup(~tw, memView.getInt32(skb.nh + IPH_SADDR));
}

/** Answers a segment for a TIME_WAIT entry with a reset. */
export function tcpV4SendResetTw(tw: number, skb: SkBuff): void {
  if ((skb.tcpFlags & TCPHDR_RST) === 0) sendReset(twNet(tw), skb, twKey(tw, skb));
}

/** Sends the ACK of a TIME_WAIT entry. Linux: tcp_v4_timewait_ack(). */
export function tcpV4SendAckTw(tw: number, skb: SkBuff): void {
  const at = twRows + tw * TW_WORDS;
  const info = words[at + TW_INFO]!;
  const window = words[at + TW_RCV_WND]! >> ((info >> TW_WSCALE_SHIFT) & 15);
  tcpSendReply(
    twNet(tw), skb, words[at + TW_SND_NXT]!, words[at + TW_RCV_NXT]!, TCPHDR_ACK, window,
    (info >> TW_TOS_SHIFT) & 0xff, (info & TW_TSTAMP) !== 0, (jiffies + words[at + TW_TS_OFFSET]!) | 0,
    words[at + TW_TS_RECENT]!, twKey(tw, skb),
  );
}
