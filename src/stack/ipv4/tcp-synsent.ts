/**
 * The answer to our SYN. Linux: tcp_rcv_synsent_state_process() and tcp_finish_connect() of net/ipv4/tcp_input.c. Read first:
 * RFC 9293 section 3.10.7.3 and figure 7 (simultaneous open), RFC 7323 sections 2.2 and 3.2.
 */
import { memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import {
  SKB_DROP_REASON_TCP_FLAGS, SKB_DROP_REASON_TCP_INVALID_ACK_SEQUENCE, SKB_DROP_REASON_TCP_RESET,
  SKB_DROP_REASON_TCP_RFC7323_PAWS, SKB_DROP_REASON_TCP_RFC7323_TSECR,
} from "../../uapi/drop-reason.ts";
import { LINUX_MIB_PAWSACTIVEREJECTED } from "../../uapi/snmp.ts";
import { TCP_ESTABLISHED, TCP_SYN_RECV } from "../../uapi/tcp.ts";
import { consumeSkb, kfreeSkb, type SkBuff } from "../core/skbuff.ts";
import { SOCK_DEAD, SOCK_KEEPOPEN, sockDefWakeup } from "../core/sock.ts";
import { TCP_HLEN, TCPHDR_ACK, TCPHDR_RST, TCPHDR_SYN, TCPOLEN_TSTAMP_ALIGNED, TH_WIN } from "../wire/tcp.ts";
import {
  FASTOPEN_REQ_NONE, FASTOPEN_REQ_WAITS, ICSK_DEFER_ACCEPT, TP_ADVMSS, TP_FASTOPEN_REQ, TP_MAX_WINDOW, TP_MSS_CLAMP, TP_RETRANS_STAMP, TP_SACK_OK,
  TP_TS_RECENT_STAMP, TP_USER_MSS, TP_WINDOW_CLAMP, TP_WSCALE_OK,
} from "./tcp-cold.ts";
import { tcpSetState } from "./tcp.ts";
import { tcpAck } from "./tcp-ack.ts";
import { FLAG_SLOWPATH } from "./tcp-ack-flags.ts";
import { TCP_DELACK_MAX, tcpSendAck } from "./tcp-control.ts";
import { TCP_MAX_QUICKACKS, tcpEnterQuickackMode } from "./tcp-data.ts";
import { tcpInitTransfer, tcpReset } from "./tcp-input.ts";
import { tcpPawsReject } from "./tcp-minisocks.ts";
import { rxOpt, tcpMssClamp, tcpParseOptions } from "./tcp-options.ts";
import { tcpSendSynack } from "./tcp-output.ts";
import { tcpEcn, tcpFastopen } from "./tcp-parts.ts";
import { ICSK_ACK_SCHED, ICSK_TIME_RETRANS, type TcpSk } from "./tcp-sock.ts";
import {
  inetCskResetDelackTimer, inetCskResetXmitTimer, keepaliveTimeWhen, TCP_TIMEOUT_MIN, tcpResetKeepaliveTimer,
} from "./tcp-timer.ts";
import { tcpFastPathOn, tcpInitializeRcvMss, tcpSyncMss } from "./tcp-window.ts";

const MAX_WINDOW_FIELD = 65535;

/** The options of the peer's SYN, into the connection. */
function takeOptions(sk: TcpSk): void {
  const tp = sk.tp;
  const rx = rxOpt;
  words[tp.cold + TP_MSS_CLAMP] = tcpMssClamp(rx, words[tp.cold + TP_USER_MSS]!);
  words[tp.cold + TP_WSCALE_OK] = rx.wscaleOk ? 1 : 0;
  tp.sndWscale = rx.sndWscale;
  words[tp.cold + TP_SACK_OK] = rx.sackOk ? 1 : 0;
  if (!rx.wscaleOk) {
    tp.sndWscale = tp.rcvWscale = 0;
    if (words[tp.cold + TP_WINDOW_CLAMP]! > MAX_WINDOW_FIELD) words[tp.cold + TP_WINDOW_CLAMP] = MAX_WINDOW_FIELD;
  }
  tp.tstampOk = rx.sawTstamp;
  tp.sawTstamp = rx.sawTstamp;
  tp.tcpHeaderLen = TCP_HLEN;
  if (!rx.sawTstamp) return;
  tp.tcpHeaderLen = TCP_HLEN + TCPOLEN_TSTAMP_ALIGNED;
  words[tp.cold + TP_ADVMSS]! -= TCPOLEN_TSTAMP_ALIGNED;
  tp.tsRecent = rx.rcvTsval;
  words[tp.cold + TP_TS_RECENT_STAMP] = jiffies === 0 ? 1 : jiffies;
}

/** rcvNxt and the first, unscaled window, out of the peer's SYN. */
function takeSyn(sk: TcpSk, skb: SkBuff): void {
  const tp = sk.tp;
  const next = (skb.seq + 1) | 0;
  tp.rcvNxt = tp.rcvWup = tp.copiedSeq = next;
  tp.sndWnd = words[tp.cold + TP_MAX_WINDOW] = memView.getUint16(skb.th + TH_WIN);
  tp.sndWl1 = skb.seq;
  tcpSyncMss(sk, sk.icsk.pmtuCookie);
  tcpInitializeRcvMss(sk);
}

/** The connection is established. Linux: tcp_finish_connect(). */
function tcpFinishConnect(sk: TcpSk): void {
  const tp = sk.tp;
  tcpSetState(sk, TCP_ESTABLISHED);
  sk.icsk.ackLrcvtime = jiffies;
  tcpInitTransfer(sk);
  tp.lsndtime = jiffies;
  if ((sk.flags & SOCK_KEEPOPEN) !== 0) tcpResetKeepaliveTimer(sk, keepaliveTimeWhen(sk));
  if (tp.sndWscale === 0) tcpFastPathOn(tp);
  else tp.predFlags = 0;
}

/** SYN-ACK, or an ACK without SYN. */
function rcvAck(sk: TcpSk, skb: SkBuff): number {
  const tp = sk.tp;
  const icsk = sk.icsk;
  const ack = skb.ackSeq;
  if (((ack - tp.sndUna) | 0) <= 0 || ((ack - tp.sndNxt) | 0) > 0) {
    // An old connection's: after our reset the SYN should go again soon.
    if (icsk.retransmits === 0) inetCskResetXmitTimer(sk, ICSK_TIME_RETRANS, TCP_TIMEOUT_MIN);
    return SKB_DROP_REASON_TCP_INVALID_ACK_SEQUENCE;
  }
  tp.rcvTsecr = 0;
  if (rxOpt.sawTstamp && rxOpt.rcvTsecr !== 0) {
    const echo = (rxOpt.rcvTsecr - tp.tsoffset) | 0;
    if (((echo - words[tp.cold + TP_RETRANS_STAMP]!) | 0) < -1 || ((jiffies - echo) | 0) < 0) {
      sk.net.mib[LINUX_MIB_PAWSACTIVEREJECTED]!++;
      return SKB_DROP_REASON_TCP_RFC7323_TSECR;
    }
    tp.rcvTsecr = echo;
  }
  if ((skb.tcpFlags & TCPHDR_RST) !== 0) {
    tcpReset(sk, skb);
    kfreeSkb(skb, SKB_DROP_REASON_TCP_RESET);
    return 0;
  }
  if ((skb.tcpFlags & TCPHDR_SYN) === 0) {
    kfreeSkb(skb, SKB_DROP_REASON_TCP_FLAGS);
    return 0;
  }
  tp.sawTstamp = rxOpt.sawTstamp;
  if (tp.ecnFlags !== 0) tcpEcn!.rcvSynack(tp, skb.tcpFlags);
  tcpAck(sk, skb, FLAG_SLOWPATH);
  takeOptions(sk);
  takeSyn(sk, skb);
  tcpFinishConnect(sk);
  const again = tcpFastopen !== null && tcpFastopen.synack(sk, skb);
  consumeSkb(skb);
  if ((sk.flags & SOCK_DEAD) === 0) sockDefWakeup(sk);
  // What was in the SYN and goes again carries the acknowledgment.
  if (again) return 0;
  // Linux's writer who waits for the connection (sk_write_pending).
  const writer = sk.sendHead !== null || words[tp.cold + TP_FASTOPEN_REQ] === FASTOPEN_REQ_WAITS;
  words[tp.cold + TP_FASTOPEN_REQ] = FASTOPEN_REQ_NONE;
  if (writer || words[icsk.cold + ICSK_DEFER_ACCEPT] !== 0 || icsk.ackPingpong !== 0) {
    // Data is about to go: the ACK of the SYN-ACK can ride on it.
    icsk.ackPending |= ICSK_ACK_SCHED;
    tcpEnterQuickackMode(sk, TCP_MAX_QUICKACKS);
    inetCskResetDelackTimer(sk, TCP_DELACK_MAX);
  } else {
    tcpSendAck(sk);
  }
  return 0;
}

/** A SYN crosses ours: both sides open. */
function rcvSyn(sk: TcpSk, skb: SkBuff): number {
  const tp = sk.tp;
  if (
    rxOpt.sawTstamp && words[tp.cold + TP_TS_RECENT_STAMP] !== 0
    && tcpPawsReject(tp.tsRecent, rxOpt.rcvTsval, words[tp.cold + TP_TS_RECENT_STAMP]!, false)
  ) {
    kfreeSkb(skb, SKB_DROP_REASON_TCP_RFC7323_PAWS);
    return 0;
  }
  tcpSetState(sk, TCP_SYN_RECV);
  takeOptions(sk);
  // What synRecvAcked() takes off again when the handshake is complete.
  if (tp.tstampOk) words[tp.cold + TP_ADVMSS]! += TCPOLEN_TSTAMP_ALIGNED;
  takeSyn(sk, skb);
  if (tp.ecnFlags !== 0) tcpEcn!.rcvSyn(tp, skb.tcpFlags);
  tcpSendSynack(sk);
  consumeSkb(skb);
  return 0;
}

/**
 * A segment in SYN_SENT. @returns 0, the segment consumed; or SKB_DROP_REASON_* when the caller must answer with a reset and
 * end it
 */
export function tcpRcvSynsent(sk: TcpSk, skb: SkBuff): number {
  tcpParseOptions(skb, rxOpt, null, sk.net.ipv4);
  const flags = skb.tcpFlags;
  if ((flags & TCPHDR_ACK) !== 0) return rcvAck(sk, skb);
  if ((flags & TCPHDR_RST) !== 0 || (flags & TCPHDR_SYN) === 0) {
    kfreeSkb(skb, SKB_DROP_REASON_TCP_FLAGS);
    return 0;
  }
  return rcvSyn(sk, skb);
}
