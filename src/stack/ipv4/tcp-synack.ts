/**
 * SYN-ACKs: made out of a request, without a sock. Linux: tcp_make_synack() of net/ipv4/tcp_output.c,
 * tcp_v4_send_synack() of net/ipv4/tcp_ipv4.c. Read first: RFC 9293 section 3.5, RFC 7323 section 2 (the window of a
 * SYN-ACK is never shifted).
 */
import { csumPartial, csumTcpudpMagic } from "../../lib/checksum.ts";
import { memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import { EHOSTUNREACH, ENOMEM } from "../../uapi/errno.ts";
import { IPPROTO_TCP } from "../../uapi/in.ts";
import { LINUX_MIB_TCPSYNRETRANS, TCP_MIB_OUTSEGS, TCP_MIB_RETRANSSEGS } from "../../uapi/snmp.ts";
import { type DstEntry, dstRelease } from "../core/dst.ts";
import { allocSkb, MAX_HEADER, skbDstSet, skbPut, skbReserve, type SkBuff } from "../core/skbuff.ts";
import {
  TCP_HLEN, TCPHDR_ACK, TCPHDR_ECE, TCPHDR_DOFF_SHIFT, TCPHDR_SYN, TCPOLEN_MD5SIG_ALIGNED, TH_ACK, TH_DPORT, TH_OFF_FLAGS, TH_SEQ, TH_SPORT, TH_SUM, TH_WIN,
} from "../wire/tcp.ts";
import { inetCskRouteHashedReq } from "./inet-connection-sock.ts";
import { ehashReqBase, inetNodeFaddr, inetNodeFport, inetNodeLaddr, inetNodeLport } from "./inet-hashtables.ts";
import { ipBuildAndSendPkt } from "./ip-output.ts";
import { ipOptions } from "./ip-parts.ts";
import {
  REQ_ECN_OK, REQ_IP_OPTIONS, REQ_RCV_ISN, REQ_RCV_WND, REQ_SACK_OK, REQ_SND_ISN, REQ_TS_OFFSET, REQ_TS_RECENT, REQ_TSTAMP_OK,
  REQ_WORDS, REQ_WSCALE_OK, reqRows, reqskCountRetrans, reqskHas, reqskRcvWscale,
} from "./request-sock.ts";
import { OPTION_SACK_ADVERTISE, OPTION_TS, OPTION_WSCALE, tcpSynOptions, tcpWriteSynOptions } from "./tcp-options.ts";
import { tcpFastopen, tcpMd5, tcpMd5Keys } from "./tcp-parts.ts";
import type { TcpSk } from "./tcp-sock.ts";
import { tcpAdvmss } from "./tcp-window.ts";

const WINDOW_MAX = 65535;

/**
 * The SYN-ACK of a request in ehash, complete with its checksum, data at the TCP header; it takes its own reference to
 * the route. Linux: tcp_make_synack().
 * @returns null when no packet is to be had
 */
export function tcpMakeSynack(sk: TcpSk, dst: DstEntry, req: number): SkBuff | null {
  const options = (reqskHas(req, REQ_TSTAMP_OK) ? OPTION_TS : 0) | (reqskHas(req, REQ_WSCALE_OK) ? OPTION_WSCALE : 0)
    | (reqskHas(req, REQ_SACK_OK) ? OPTION_SACK_ADVERTISE : 0);
  const node = ehashReqBase + req;
  const md5 = tcpMd5Keys === 0 ? -1 : tcpMd5!.lookup(sk.index, inetNodeFaddr(node));
  const md5Len = md5 < 0 ? 0 : TCPOLEN_MD5SIG_ALIGNED;
  const cookie = md5 < 0 && tcpFastopen !== null ? tcpFastopen.optionSize(true) : 0;
  const headerLen = TCP_HLEN + tcpSynOptions(options) + md5Len + cookie;
  const skb = allocSkb(MAX_HEADER + headerLen);
  if (skb === null) return null;
  skbReserve(skb, MAX_HEADER);
  skbDstSet(skb, dst);
  const th = skbPut(skb, headerLen);
  skb.th = th;
  const at = reqRows + req * REQ_WORDS;
  const window = words[at + REQ_RCV_WND]!;
  const ece = reqskHas(req, REQ_ECN_OK) ? TCPHDR_ECE : 0;
  const view = memView;
  view.setUint16(th + TH_SPORT, inetNodeLport(node));
  view.setUint16(th + TH_DPORT, inetNodeFport(node));
  view.setInt32(th + TH_SEQ, words[at + REQ_SND_ISN]!);
  view.setInt32(th + TH_ACK, words[at + REQ_RCV_ISN]! + 1);
  view.setUint16(th + TH_OFF_FLAGS, (headerLen << TCPHDR_DOFF_SHIFT) | TCPHDR_SYN | TCPHDR_ACK | ece);
  view.setUint16(th + TH_WIN, window > WINDOW_MAX ? WINDOW_MAX : window);
  view.setInt32(th + TH_SUM, 0);
  const end = tcpWriteSynOptions(
    th + TCP_HLEN + md5Len, options, tcpAdvmss(sk, dst), reqskRcvWscale(req),
    (jiffies + words[at + REQ_TS_OFFSET]!) | 0, words[at + REQ_TS_RECENT]!,
  );
  if (cookie !== 0) tcpFastopen!.writeOption(end, true);
  const laddr = inetNodeLaddr(node);
  const faddr = inetNodeFaddr(node);
  if (md5 >= 0) tcpMd5!.sign(md5, laddr, faddr, th, headerLen, th + TCP_HLEN);
  const sum = csumPartial(th, headerLen);
  const check = csumTcpudpMagic(laddr, faddr, headerLen, IPPROTO_TCP, sum);
  view.setUint16(th + TH_SUM, check);
  sk.net.mib[TCP_MIB_OUTSEGS]!++;
  return skb;
}

/**
 * Sends the SYN-ACK of a request in ehash. Linux: tcp_v4_send_synack().
 * @param dst the route, which stays the caller's; null: one is looked up @returns 0 or a negative errno
 */
export function tcpV4SendSynack(sk: TcpSk, dst: DstEntry | null, req: number): number {
  const route = dst ?? inetCskRouteHashedReq(sk, req);
  if (route === null) return -EHOSTUNREACH;
  const node = ehashReqBase + req;
  const skb = tcpMakeSynack(sk, route, req);
  if (dst === null) dstRelease(route);
  if (skb === null) return -ENOMEM;
  const options = reqskHas(req, REQ_IP_OPTIONS);
  if (options) ipOptions!.prepare(~req);
  return ipBuildAndSendPkt(skb, sk, inetNodeLaddr(node), inetNodeFaddr(node), options, sk.inet.tos);
}

/** Sends the SYN-ACK again and counts that: 0 or a negative errno. Linux: tcp_rtx_synack(), inet_rtx_syn_ack(). */
export function tcpRtxSynack(sk: TcpSk, req: number): number {
  const err = tcpV4SendSynack(sk, null, req);
  if (err < 0) return err;
  reqskCountRetrans(req);
  const mib = sk.net.mib;
  mib[TCP_MIB_RETRANSSEGS]!++;
  mib[LINUX_MIB_TCPSYNRETRANS]!++;
  return 0;
}
