/**
 * From a segment to a packet: header, options, window, checksum, and down to IP. Linux: tcp_transmit_skb() of
 * net/ipv4/tcp_output.c. Read first: RFC 9293 section 3.1, RFC 7323 section 3 (timestamps).
 * A segment that may be needed again stays in the write queue; what goes down is a second header over the same bytes, and the
 * TCP header is written into the room in front of them. The words of a header are written whole, four bytes at a time.
 */
import { csumPartial, csumTcpudpMagic } from "../../lib/checksum.ts";
import { memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import { ENOBUFS } from "../../uapi/errno.ts";
import { IPPROTO_TCP } from "../../uapi/in.ts";
import { TCP_MIB_OUTSEGS } from "../../uapi/snmp.ts";
import { NETIF_F_CSUM } from "../core/net-device.ts";
import { CHECKSUM_UNNECESSARY, type SkBuff, skbClone } from "../core/skbuff.ts";
import { SK_MAX_PACING_RATE, SK_PACING_UNLIMITED, skbSetOwnerW } from "../core/sock.ts";
import {
  MAX_TCP_OPTION_SPACE, TCP_HLEN, TCPHDR_ACK, TCPHDR_SYN, TCPHDR_URG, TCPOLEN_MD5SIG_ALIGNED, TCPOLEN_SACK_BASE_ALIGNED,
  TCPOLEN_SACK_PERBLOCK, TCPOLEN_TSTAMP_ALIGNED, TCPOPT_TSTAMP_WORD, TH_ACK, TH_OFF_FLAGS, TH_OPTIONS, TH_SEQ, TH_SPORT, TH_SUM,
} from "../wire/tcp.ts";
import { IP_CMSG_OPTIONS } from "./inet-sock.ts";
import { ipQueueXmit } from "./ip-output.ts";
import { TP_BYTES_SENT, TP_DATA_SEGS_OUT, TP_DSACK, TP_NUM_SACKS, TP_SACK_OK, TP_SEGS_OUT, TP_SND_UP, TP_WSCALE_OK } from "./tcp-cold.ts";
import { CA_EVENT_TX_START, tcpCaEvent, tcpPacketsInFlight } from "./tcp-cong.ts";
import { tcpMakeHeadroom } from "./tcp-ip-options.ts";
import { tcpEcn, tcpFastopen, tcpMd5, tcpMd5Keys, tcpPacing, tcpRates, tcpUrgent } from "./tcp-parts.ts";
import { tcpEnterCwr } from "./tcp-prr.ts";
import { tcpSackOptionLength, tcpWriteSackOption } from "./tcp-sack.ts";
import {
  OPTION_SACK_ADVERTISE, OPTION_TS, OPTION_WSCALE, tcpSynOptionBits, tcpSynOptions, tcpWriteSynOptions,
} from "./tcp-options.ts";
import { ICSK_ACK_SCHED, type TcpSk, type TcpSock } from "./tcp-sock.ts";
import { tcpAdvertiseMss, tcpSelectWindow, WINDOW_UNKNOWN } from "./tcp-window.ts";

/** Shortest time an acknowledgment waits for data to ride on, in ms. Linux: TCP_ATO_MIN. */
export const TCP_ATO_MIN = 40;
/** One reply sent soon after a segment makes the connection interactive. Linux: TCP_PINGPONG_THRESH. */
export const TCP_PINGPONG_THRESH = 1;

const MAX_WINDOW_FIELD = 65535;
/** Bytes of a SACK option with one block. */
const ONE_SACK_BLOCK = TCPOLEN_SACK_BASE_ALIGNED + TCPOLEN_SACK_PERBLOCK;

/** Which options our SYN carries: with a signature no timestamps; as Fast Open's answer to one what that offered. */
function synOptionBits(sk: TcpSk, flags: number, md5: number): number {
  let bits = tcpSynOptionBits(sk.net.ipv4);
  if (md5 >= 0) bits &= ~OPTION_TS;
  const tp = sk.tp;
  if ((flags & TCPHDR_ACK) !== 0 && tp.fastopenRsk !== null) {
    if (!tp.tstampOk) bits &= ~OPTION_TS;
    if (words[tp.cold + TP_WSCALE_OK] === 0) bits &= ~OPTION_WSCALE;
    if (words[tp.cold + TP_SACK_OK] === 0) bits &= ~OPTION_SACK_ADVERTISE;
  }
  return bits;
}

/** Bytes that SACK blocks may take. One block fits where a segment with data is not full; a signature takes that room. */
function sackRoom(tp: TcpSock, payload: number, md5Len: number): number {
  if (payload === 0) return MAX_TCP_OPTION_SPACE - (tp.tcpHeaderLen - TCP_HLEN) - md5Len;
  return md5Len !== 0 ? 0 : Math.min(tp.mssCache - payload, ONE_SACK_BLOCK);
}

/** What an acknowledgment on its way out settles: none is owed any more. Linux: tcp_event_ack_sent(). */
function tcpEventAckSent(sk: TcpSk): void {
  const icsk = sk.icsk;
  const quick = icsk.ackQuick;
  if (quick !== 0 && (icsk.ackPending & ICSK_ACK_SCHED) !== 0) {
    icsk.ackQuick = quick - 1;
    if (quick === 1) icsk.ackAto = TCP_ATO_MIN;
  }
  icsk.ackPending = 0;
}

/** Data leaves: a reply within the ACK timeout shows an interactive session. Linux: tcp_event_data_sent(). */
function tcpEventDataSent(sk: TcpSk, payload: number): void {
  const tp = sk.tp;
  const icsk = sk.icsk;
  const now = jiffies;
  if (tcpPacketsInFlight(tp) === 0) tcpCaEvent(sk, CA_EVENT_TX_START);
  tp.lsndtime = now;
  words[tp.cold + TP_DATA_SEGS_OUT]!++;
  words[tp.cold + TP_BYTES_SENT]! += payload;
  if (((now - icsk.ackLrcvtime) | 0) < icsk.ackAto) icsk.ackPingpong = TCP_PINGPONG_THRESH;
}

/**
 * Sends one segment, described by seq, endSeq, tcpFlags and its data. Linux: tcp_transmit_skb().
 * @param clone the segment stays queued, a clone goes down; else it is gone afterwards
 * @param wanted the window to advertise (tcpWindowWanted), where it is known
 * @returns 0, or a negative errno: a pool was empty, or a layer below dropped the packet
 */
export function tcpTransmitSkb(sk: TcpSk, segment: SkBuff, clone: boolean, wanted = WINDOW_UNKNOWN): number {
  const tp = sk.tp;
  const inet = sk.inet;
  let skb = segment;
  if (clone) {
    if ((inet.flags & IP_CMSG_OPTIONS) !== 0 && !tcpMakeHeadroom(sk, segment)) return -ENOBUFS;
    segment.when = jiffies;
    const copy = skbClone(segment);
    if (copy === null) return -ENOBUFS;
    skb = copy;
    // The queue keeps the socket alive itself; the packet below does until it is gone.
    skbSetOwnerW(skb, sk);
    if (tcpRates !== null) tcpRates.sent(sk, segment);
  }
  let flags = skb.tcpFlags;
  const payload = skb.len;
  const syn = (flags & TCPHDR_SYN) !== 0;
  const md5 = tcpMd5Keys === 0 ? -1 : tcpMd5!.lookup(sk.index, inet.daddr);
  const md5Len = md5 < 0 ? 0 : TCPOLEN_MD5SIG_ALIGNED;
  const cold = tp.cold;
  let plainLen = tp.tcpHeaderLen;
  let bits = 0;
  let synack = false;
  let fastopen = 0;
  let sackLen = 0;
  if (syn) {
    bits = synOptionBits(sk, flags, md5);
    synack = (flags & TCPHDR_ACK) !== 0;
    if (md5 < 0 && tcpFastopen !== null) fastopen = tcpFastopen.optionSize(synack);
    plainLen = TCP_HLEN + tcpSynOptions(bits) + fastopen;
  } else if ((words[cold + TP_NUM_SACKS]! | words[cold + TP_DSACK]!) !== 0) {
    // A segment with data has room for blocks when it is not full; a buffer has none for more than one.
    sackLen = tcpSackOptionLength(tp, sackRoom(tp, payload, md5Len));
  }
  const headerLen = plainLen + sackLen + md5Len;
  const th = skb.data - headerLen;
  const length = payload + headerLen;
  skb.data = th;
  skb.len = length;
  skb.th = th;

  const options = th + TH_OPTIONS + md5Len;
  const tsval = (jiffies + tp.tsoffset) | 0;
  let window: number;
  if (syn) {
    window = tp.rcvWnd < MAX_WINDOW_FIELD ? tp.rcvWnd : MAX_WINDOW_FIELD;
    const end = tcpWriteSynOptions(options, bits, tcpAdvertiseMss(sk), tp.rcvWscale, tsval, tp.tsRecent);
    if (fastopen !== 0) tcpFastopen!.writeOption(end, synack);
  } else {
    window = tcpSelectWindow(sk, wanted);
    if (sackLen !== 0) tcpWriteSackOption(tp, th + plainLen + md5Len, sackLen);
    if (plainLen === TCP_HLEN + TCPOLEN_TSTAMP_ALIGNED) {
      memView.setInt32(options, TCPOPT_TSTAMP_WORD);
      memView.setInt32(options + 4, tsval);
      memView.setInt32(options + 8, tp.tsRecent);
    }
  }
  if (tp.ecnFlags !== 0 && !syn) flags = tcpEcn!.send(sk, skb, payload, flags);
  let urgent = 0;
  if (words[cold + TP_SND_UP] !== 0) {
    urgent = tcpUrgent!.pointer(tp, skb.seq);
    if (urgent !== 0) flags |= TCPHDR_URG;
  }
  memView.setInt32(th + TH_SPORT, (inet.num << 16) | inet.dport);
  memView.setInt32(th + TH_SEQ, skb.seq);
  memView.setInt32(th + TH_ACK, (flags & TCPHDR_ACK) !== 0 ? tp.rcvNxt : 0);
  memView.setInt32(th + TH_OFF_FLAGS, (headerLen << 26) | (flags << 16) | window);
  // Checksum 0 and urgent pointer.
  memView.setInt32(th + TH_SUM, urgent);
  if (md5 >= 0) tcpMd5!.sign(md5, inet.saddr, inet.daddr, th, length, th + TH_OPTIONS);
  const dst = sk.dst;
  if (dst !== null && (dst.dev!.features & NETIF_F_CSUM) !== 0) {
    skb.ipSummed = CHECKSUM_UNNECESSARY;
  } else {
    memView.setUint16(th + TH_SUM, csumTcpudpMagic(inet.saddr, inet.daddr, length, IPPROTO_TCP, csumPartial(th, length)));
  }

  if ((flags & TCPHDR_ACK) !== 0) tcpEventAckSent(sk);
  if (payload !== 0) {
    tcpEventDataSent(sk, payload);
    if (tcpPacing !== null && words[sk.cold + SK_MAX_PACING_RATE] !== SK_PACING_UNLIMITED) tcpPacing.sent(sk, payload);
  }
  words[cold + TP_SEGS_OUT]!++;
  // A retransmission is another counter's (RFC 4022 tcpOutSegs).
  if (((skb.endSeq - tp.sndNxt) | 0) > 0 || skb.seq === skb.endSeq) sk.net.mib[TCP_MIB_OUTSEGS]!++;
  const err = ipQueueXmit(sk, skb);
  // The queue of the device is full.
  if (err === -ENOBUFS) tcpEnterCwr(sk);
  return err;
}
