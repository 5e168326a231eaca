/**
 * The child that a request becomes when its handshake is complete, and the window that its SYN-ACK offered. Linux:
 * tcp_create_openreq_child() and tcp_openreq_init_rwin() of net/ipv4/tcp_minisocks.c.
 */
import { memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import { TCP_MIB_PASSIVEOPENS } from "../../uapi/snmp.ts";
import { TCP_MSS_DEFAULT } from "../../uapi/tcp.ts";
import type { DstEntry } from "../core/dst.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { SK_USERLOCKS, SOCK_KEEPOPEN, SOCK_RCVBUF_LOCK } from "../core/sock.ts";
import { TCP_HLEN, TCPOLEN_TSTAMP_ALIGNED, TH_WIN } from "../wire/tcp.ts";
import { inetCskCloneLock } from "./inet-connection-sock.ts";
import {
  REQ_ECN_OK, REQ_RCV_ISN, REQ_RCV_WND, REQ_SACK_OK, REQ_SND_ISN, REQ_TS_OFFSET, REQ_TS_RECENT, REQ_TSTAMP_OK, REQ_WORDS,
  REQ_WSCALE_OK, reqRows, reqskHas, reqskMss, reqskRcvWscale, reqskRetrans, reqskSetRcvWscale, reqskSndWscale,
} from "./request-sock.ts";
import {
  ICSK_ACK_LAST_SEG_SIZE, TP_MAX_WINDOW, TP_MSS_CLAMP, TP_SACK_OK, TP_SEGS_IN, TP_TOTAL_RETRANS, TP_TS_RECENT_STAMP, TP_WINDOW_CLAMP,
  TP_WSCALE_OK,
} from "./tcp-cold.ts";
import { TCP_ECN_OK } from "./tcp-ecn.ts";
import type { TcpSk } from "./tcp-sock.ts";
import { tcpAdvmss, tcpFullSpace, tcpInitialWindow, tcpSelectInitialWindow } from "./tcp-window.ts";

/** Largest window without scaling. */
const WINDOW_MAX = 65535;

/** Limit of the window of a connection out of this listener, 0 for none. */
function listenerWindowClamp(sk: TcpSk): number {
  const clamp = words[sk.tp.cold + TP_WINDOW_CLAMP]!;
  const space = tcpFullSpace(sk);
  return (words[sk.cold + SK_USERLOCKS]! & SOCK_RCVBUF_LOCK) !== 0 && (clamp > space || clamp === 0) ? space : clamp;
}

/** Chooses the window and scale that the SYN-ACK offers. Linux: tcp_openreq_init_rwin(). */
export function tcpOpenreqInitRwin(req: number, sk: TcpSk, dst: DstEntry): void {
  const mss = tcpAdvmss(sk, dst) - (reqskHas(req, REQ_TSTAMP_OK) ? TCPOLEN_TSTAMP_ALIGNED : 0);
  tcpSelectInitialWindow(tcpFullSpace(sk), mss, listenerWindowClamp(sk), reqskHas(req, REQ_WSCALE_OK));
  words[reqRows + req * REQ_WORDS + REQ_RCV_WND] = tcpInitialWindow.rcvWnd;
  reqskSetRcvWscale(req, tcpInitialWindow.rcvWscale);
}

/**
 * The sock that a request becomes, in SYN_RECV and in no table, or null (pool empty). Linux:
 * tcp_create_openreq_child().
 * @param skb the ACK that completes the handshake
 */
export function tcpCreateOpenreqChild(sk: TcpSk, req: number, skb: SkBuff): TcpSk | null {
  const child = inetCskCloneLock(sk);
  if (child === null) return null;
  const at = reqRows + req * REQ_WORDS;
  const tp = child.tp;
  const rcvIsn = words[at + REQ_RCV_ISN]!;
  const rcvNxt = (rcvIsn + 1) | 0;
  const sndNxt = (words[at + REQ_SND_ISN]! + 1) | 0;
  const rcvWnd = words[at + REQ_RCV_WND]!;
  tp.predFlags = 0;
  tp.rcvWup = tp.copiedSeq = tp.rcvNxt = rcvNxt;
  tp.sndSml = tp.sndUna = tp.sndNxt = sndNxt;
  tp.writeSeq = tp.pushedSeq = sndNxt;
  words[tp.cold + TP_SEGS_IN] = 1;
  tp.sndWl1 = rcvIsn;
  words[tp.cold + TP_TOTAL_RETRANS] = reqskRetrans(req);
  child.icsk.ackLrcvtime = tp.lsndtime = jiffies;
  words[tp.cold + TP_SACK_OK] = reqskHas(req, REQ_SACK_OK) ? 1 : 0;
  tp.ecnFlags = reqskHas(req, REQ_ECN_OK) ? TCP_ECN_OK : 0;
  const wscaleOk = reqskHas(req, REQ_WSCALE_OK);
  const clamp = listenerWindowClamp(sk);
  const wscale = wscaleOk ? reqskRcvWscale(req) : 0;
  const most = WINDOW_MAX << wscale;
  words[tp.cold + TP_WINDOW_CLAMP] = clamp === 0 || clamp > most ? most : clamp;
  tp.rcvSsthresh = tp.rcvWnd = rcvWnd;
  words[tp.cold + TP_WSCALE_OK] = wscaleOk ? 1 : 0;
  tp.rcvWscale = wscale;
  tp.sndWscale = wscaleOk ? reqskSndWscale(req) : 0;
  tp.sndWnd = words[tp.cold + TP_MAX_WINDOW] = memView.getUint16(skb.th + TH_WIN) << tp.sndWscale;
  tp.tstampOk = reqskHas(req, REQ_TSTAMP_OK);
  tp.tcpHeaderLen = TCP_HLEN;
  if (tp.tstampOk) {
    tp.tsRecent = words[at + REQ_TS_RECENT]!;
    words[tp.cold + TP_TS_RECENT_STAMP] = jiffies === 0 ? 1 : jiffies;
    tp.tcpHeaderLen += TCPOLEN_TSTAMP_ALIGNED;
  }
  tp.tsoffset = words[at + REQ_TS_OFFSET]!;
  if (skb.len >= TCP_MSS_DEFAULT + tp.tcpHeaderLen) words[child.icsk.cold + ICSK_ACK_LAST_SEG_SIZE] = skb.len - tp.tcpHeaderLen;
  words[tp.cold + TP_MSS_CLAMP] = reqskMss(req);
  if ((child.flags & SOCK_KEEPOPEN) !== 0) child.prot.keepalive?.(child, true);
  sk.net.mib[TCP_MIB_PASSIVEOPENS]!++;
  return child;
}
