/**
 * Where segments of a connection arrive: header prediction, and the state machine. Linux: tcp_rcv_established() and
 * tcp_rcv_state_process() of net/ipv4/tcp_input.c. Read first: RFC 9293 sections 3.3.2 (states) and 3.10.7 (SEGMENT ARRIVES),
 * RFC 5961. The parts are in their own files: checks (tcp-challenge.ts), acknowledgments (tcp-ack.ts), data (tcp-data.ts), the
 * answer to our SYN (tcp-synsent.ts).
 *
 * Every segment comes with data and th at the TCP header and with seq, endSeq, ackSeq and tcpFlags read from it.
 */
import { memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import { ECONNREFUSED, ECONNRESET, EPIPE } from "../../uapi/errno.ts";
import {
  SKB_DROP_REASON_PKT_TOO_SMALL, SKB_DROP_REASON_TCP_ABORT_ON_DATA, SKB_DROP_REASON_TCP_ACK_UNSENT_DATA,
  SKB_DROP_REASON_TCP_CLOSE, SKB_DROP_REASON_TCP_FLAGS, SKB_DROP_REASON_TCP_OLD_ACK, SKB_DROP_REASON_TCP_OLD_DATA,
  SKB_DROP_REASON_TCP_TOO_OLD_ACK,
} from "../../uapi/drop-reason.ts";
import { LINUX_MIB_TCPABORTONDATA, LINUX_MIB_TCPHPHITS, TCP_MIB_INERRS } from "../../uapi/snmp.ts";
import {
  TCP_CLOSE, TCP_CLOSE_WAIT, TCP_CLOSING, TCP_ESTABLISHED, TCP_FIN_WAIT1, TCP_FIN_WAIT2, TCP_LAST_ACK,
  TCP_SYN_RECV, TCP_SYN_SENT, TCP_TIME_WAIT,
} from "../../uapi/tcp.ts";
import { consumeSkb, kfreeSkb, type SkBuff } from "../core/skbuff.ts";
import {
  RCV_SHUTDOWN, SEND_SHUTDOWN, SK_RCVLOWAT, SOCK_DEAD, sockDefErrorReport, sockDefReadable, sockDefWakeup,
} from "../core/sock.ts";
import {
  TCP_HLEN, TCPHDR_ACK, TCPHDR_FIN, TCPHDR_RST, TCPHDR_SYN, TCPOLEN_TSTAMP_ALIGNED, TCPOPT_TSTAMP_WORD, TH_DOFF,
  TH_OFF_FLAGS, TH_OPTIONS, TH_WIN,
} from "../wire/tcp.ts";
import { TCP_TIMEWAIT_LEN } from "./inet-timewait-sock.ts";
import {
  TP_ADVMSS, TP_DELIVERED, TP_LINGER2, TP_MAX_WINDOW, TP_MDEV, TP_MDEV_MAX, TP_RTTVAR, TP_SND_CWND_STAMP,
  TP_TOTAL_RETRANS, TP_TS_RECENT_STAMP,
} from "./tcp-cold.ts";
import { tcpDone, tcpSetState } from "./tcp.ts";
import { tcpAck, tcpSynackRttMeas } from "./tcp-ack.ts";
import { FLAG_DATA, FLAG_NO_CHALLENGE_ACK, FLAG_SLOWPATH, FLAG_UPDATE_TS_RECENT } from "./tcp-ack-flags.ts";
import { tcpSendChallengeAck, tcpValidateIncoming } from "./tcp-challenge.ts";
import { TCP_INFINITE_SSTHRESH, tcpInitCwnd } from "./tcp-cong.ts";
import { tcpAckSndCheckSlow } from "./tcp-control.ts";
import { tcpDataQueue, tcpEventDataRecv, tcpQueueRcv } from "./tcp-data.ts";
import { tcpTimeWait } from "./tcp-minisocks.ts";
import { tcpPushPendingFrames, tcpWriteQueuePurge } from "./tcp-output.ts";
import { tcpMtuProbes, tcpRcvbuf, tcpUrgent } from "./tcp-parts.ts";
import { skStreamWriteSpace } from "./tcp-sendmsg.ts";
import { ICSK_ACK_SCHED, type TcpSk } from "./tcp-sock.ts";
import { tcpRcvSynsent } from "./tcp-synsent.ts";
import { TCP_TIMEOUT_FALLBACK, tcpFinTime, tcpResetKeepaliveTimer } from "./tcp-timer.ts";
import {
  tcpCurrentMss, tcpFastPathCheck, tcpFastPathOn, tcpInitBufferSpace, tcpInitializeRcvMss, tcpSyncMss,
} from "./tcp-window.ts";

/** Word 3 of the header without PSH and the reserved bits. Linux: TCP_HP_BITS. */
const TCP_HP_BITS = 0xf0f7ffff | 0;
const TSTAMP_HEADER = TCP_HLEN + TCPOLEN_TSTAMP_ALIGNED;

/** After an ACK: sends what may go now, and tells a writer of room. Linux: tcp_data_snd_check(). */
export function tcpDataSndCheck(sk: TcpSk): void {
  if (sk.sendHead !== null) tcpPushPendingFrames(sk, tcpCurrentMss(sk), sk.tp.nonagle);
  const socket = sk.socket;
  if (socket !== null && socket.noSpace) skStreamWriteSpace(sk);
}

/** An ACK that is owed goes now or later. Linux: tcp_ack_snd_check(). */
function tcpAckSndCheck(sk: TcpSk): void {
  if ((sk.icsk.ackPending & ICSK_ACK_SCHED) !== 0) tcpAckSndCheckSlow(sk, true);
}

/** The peer resets: the connection ends, and the program hears why. The segment stays the caller's. Linux: tcp_reset(). */
export function tcpReset(sk: TcpSk, _skb: SkBuff): void {
  switch (sk.state) {
    case TCP_SYN_SENT:
      sk.err = ECONNREFUSED;
      break;
    case TCP_CLOSE_WAIT:
      sk.err = EPIPE;
      break;
    case TCP_CLOSE:
      return;
    default:
      sk.err = ECONNRESET;
  }
  tcpWriteQueuePurge(sk);
  const dead = (sk.flags & SOCK_DEAD) !== 0;
  tcpDone(sk);
  if (!dead) sockDefErrorReport(sk);
}

/**
 * A segment in ESTABLISHED; it is consumed. The common ones, the next in order with nothing unusual about it, are known by one
 * comparison of flags and window (header prediction, Van Jacobson 1990). Linux: tcp_rcv_established().
 */
export function tcpRcvEstablished(sk: TcpSk, skb: SkBuff): void {
  const tp = sk.tp;
  const th = skb.th;
  if (
    (memView.getInt32(th + TH_OFF_FLAGS) & TCP_HP_BITS) !== tp.predFlags || skb.seq !== tp.rcvNxt
    || ((skb.ackSeq - tp.sndNxt) | 0) > 0
  ) {
    rcvSlowPath(sk, skb);
    return;
  }
  const headerLen = tp.tcpHeaderLen;
  if (headerLen === TSTAMP_HEADER) {
    if (memView.getInt32(th + TH_OPTIONS) !== TCPOPT_TSTAMP_WORD) {
      rcvSlowPath(sk, skb);
      return;
    }
    const tsval = memView.getInt32(th + TH_OPTIONS + 4);
    const tsecr = memView.getInt32(th + TH_OPTIONS + 8);
    if (((tsval - tp.tsRecent) | 0) < 0) {
      rcvSlowPath(sk, skb);
      return;
    }
    tp.sawTstamp = true;
    tp.rcvTsval = tsval;
    tp.rcvTsecr = tsecr === 0 ? 0 : (tsecr - tp.tsoffset) | 0;
    if (tp.rcvNxt === tp.rcvWup) {
      tp.tsRecent = tsval;
      words[tp.cold + TP_TS_RECENT_STAMP] = jiffies;
    }
  }
  const payload = skb.len - headerLen;
  if (payload <= 0) {
    if (payload < 0) {
      sk.net.mib[TCP_MIB_INERRS]!++;
      kfreeSkb(skb, SKB_DROP_REASON_PKT_TOO_SMALL);
      return;
    }
    tcpAck(sk, skb, 0);
    consumeSkb(skb);
    tp.rcvRttTsecr = tp.rcvTsecr;
    tcpDataSndCheck(sk);
    return;
  }
  const advance = (skb.ackSeq - tp.sndUna) | 0;
  if (advance < 0 || skb.truesize > sk.rcvbuf - sk.rmemAlloc) {
    rcvSlowPath(sk, skb);
    return;
  }
  if (tcpRcvbuf !== null && tp.rcvRttTsecr !== tp.rcvTsecr) tcpRcvbuf.echo(sk, payload);
  sk.net.mib[LINUX_MIB_TCPHPHITS]!++;
  skb.data += headerLen;
  skb.len = payload;
  tcpEventDataRecv(sk, skb);
  const eaten = tcpQueueRcv(sk, skb);
  if (advance !== 0) {
    tcpAck(sk, skb, FLAG_DATA);
    tcpDataSndCheck(sk);
    // What was sent may have carried the acknowledgment.
    if ((sk.icsk.ackPending & ICSK_ACK_SCHED) !== 0) tcpAckSndCheckSlow(sk, false);
  } else {
    tp.sndWl1 = skb.seq;
    tcpAckSndCheckSlow(sk, false);
  }
  if (eaten) consumeSkb(skb);
  const lowat = words[sk.cold + SK_RCVLOWAT]!;
  if (lowat <= 1 || ((tp.rcvNxt - tp.copiedSeq) | 0) >= lowat) sockDefReadable(sk);
}

/** Not acceptable: what tcpAck() answered as a reason. */
function ackDropReason(answer: number): number {
  if (answer === 0) return SKB_DROP_REASON_TCP_OLD_ACK;
  return answer === -1 ? SKB_DROP_REASON_TCP_ACK_UNSENT_DATA : SKB_DROP_REASON_TCP_TOO_OLD_ACK;
}

/** ESTABLISHED without prediction: all checks, in the order of the RFC. */
function rcvSlowPath(sk: TcpSk, skb: SkBuff): void {
  const flags = skb.tcpFlags;
  if (skb.len < (memView.getUint8(skb.th + TH_DOFF) >> 4) << 2) {
    sk.net.mib[TCP_MIB_INERRS]!++;
    kfreeSkb(skb, SKB_DROP_REASON_PKT_TOO_SMALL);
    return;
  }
  if ((flags & (TCPHDR_ACK | TCPHDR_RST | TCPHDR_SYN)) === 0) {
    kfreeSkb(skb, SKB_DROP_REASON_TCP_FLAGS);
    return;
  }
  if (!tcpValidateIncoming(sk, skb, true)) return;
  const answer = tcpAck(sk, skb, FLAG_SLOWPATH | FLAG_UPDATE_TS_RECENT);
  if (answer < 0) {
    // Data of a segment whose acknowledgment is wrong may be an injection (RFC 5961 section 5).
    if (answer === -1) tcpSendChallengeAck(sk);
    kfreeSkb(skb, ackDropReason(answer));
    return;
  }
  if (tcpRcvbuf !== null && sk.tp.rcvRttTsecr !== sk.tp.rcvTsecr) tcpRcvbuf.echo(sk, (skb.endSeq - skb.seq) | 0);
  if (tcpUrgent !== null) tcpUrgent.receive(sk, skb);
  tcpDataQueue(sk, skb);
  if (sk.state === TCP_CLOSE) return;
  tcpDataSndCheck(sk);
  tcpAckSndCheck(sk);
}

/** A connection begins to carry data. Linux: tcp_init_transfer(). */
export function tcpInitTransfer(sk: TcpSk): void {
  const tp = sk.tp;
  const icsk = sk.icsk;
  // The handshake measured nothing: rather too long a timeout than a needless retransmission (RFC 6298 section 5.7).
  if (tp.srtt === 0) words[tp.cold + TP_RTTVAR] = words[tp.cold + TP_MDEV] = words[tp.cold + TP_MDEV_MAX] = icsk.rto = TCP_TIMEOUT_FALLBACK;
  // A SYN sent again shows a loss: start with one segment (RFC 5681 section 3.1). Nothing of what it said of the path counts.
  tp.sndCwnd = words[tp.cold + TP_TOTAL_RETRANS]! > 1 ? 1 : tcpInitCwnd(tp);
  tp.sndSsthresh = TCP_INFINITE_SSTHRESH;
  words[tp.cold + TP_SND_CWND_STAMP] = jiffies;
  icsk.caOps.init?.(sk);
  if (tcpMtuProbes !== null) tcpMtuProbes.init(sk);
  tcpInitBufferSpace(sk);
}

/** SYN_RECV: the handshake is complete. */
function synRecvAcked(sk: TcpSk, skb: SkBuff): void {
  const tp = sk.tp;
  if (tp.srtt === 0 && tp.sawTstamp && tp.rcvTsecr !== 0) tcpSynackRttMeas(sk, (jiffies - tp.rcvTsecr) | 0);
  if (tp.tstampOk) words[tp.cold + TP_ADVMSS]! -= TCPOLEN_TSTAMP_ALIGNED;
  // A fast open sock carries data since its SYN, and has its SYN-ACK in the write queue.
  if (tp.fastopenRsk === null) {
    words[tp.cold + TP_DELIVERED]!++;
    tcpInitTransfer(sk);
    tp.copiedSeq = tp.rcvNxt;
  }
  tcpSetState(sk, TCP_ESTABLISHED);
  sockDefWakeup(sk);
  tp.sndUna = skb.ackSeq;
  tp.sndWnd = memView.getUint16(skb.th + TH_WIN) << tp.sndWscale;
  tp.sndWl1 = skb.seq;
  if (tp.sndWnd > words[tp.cold + TP_MAX_WINDOW]!) {
    words[tp.cold + TP_MAX_WINDOW] = tp.sndWnd;
    tcpSyncMss(sk, sk.icsk.pmtuCookie);
  }
  tp.lsndtime = jiffies;
  tcpInitializeRcvMss(sk);
  tcpFastPathOn(tp);
}

/** Does the segment carry data beyond rcvNxt that no program will read? */
function dataAfterClose(sk: TcpSk, skb: SkBuff): boolean {
  const end = (skb.tcpFlags & TCPHDR_FIN) !== 0 ? (skb.endSeq - 1) | 0 : skb.endSeq;
  return skb.endSeq !== skb.seq && ((end - sk.tp.rcvNxt) | 0) > 0;
}

/** Our FIN is acknowledged in FIN_WAIT1. @returns whether the sock has ended: SKB_DROP_REASON_* with a reset due, 0 without, -1 when
 * it goes on */
function finAcked(sk: TcpSk, skb: SkBuff): number {
  const mib = sk.net.mib;
  tcpSetState(sk, TCP_FIN_WAIT2);
  sk.shutdown |= SEND_SHUTDOWN;
  if ((sk.flags & SOCK_DEAD) === 0) {
    sockDefWakeup(sk);
    return -1;
  }
  if (words[sk.tp.cold + TP_LINGER2]! < 0 || dataAfterClose(sk, skb)) {
    tcpDone(sk);
    mib[LINUX_MIB_TCPABORTONDATA]!++;
    return SKB_DROP_REASON_TCP_ABORT_ON_DATA;
  }
  const time = tcpFinTime(sk);
  if (time > TCP_TIMEWAIT_LEN) {
    tcpResetKeepaliveTimer(sk, time - TCP_TIMEWAIT_LEN);
    return -1;
  }
  if ((skb.tcpFlags & TCPHDR_FIN) !== 0 || sk.owned) {
    // The FIN is in this very segment: let it be taken in below.
    tcpResetKeepaliveTimer(sk, time);
    return -1;
  }
  tcpTimeWait(sk, TCP_FIN_WAIT2, time);
  consumeSkb(skb);
  return 0;
}

/** What the acknowledgment means for the state; answers like finAcked(). */
function stateAcked(sk: TcpSk, skb: SkBuff): number {
  const tp = sk.tp;
  const allAcked = tp.sndUna === tp.writeSeq;
  switch (sk.state) {
    case TCP_SYN_RECV:
      synRecvAcked(sk, skb);
      return -1;
    case TCP_FIN_WAIT1:
      return allAcked ? finAcked(sk, skb) : -1;
    case TCP_CLOSING:
      if (!allAcked) return -1;
      tcpTimeWait(sk, TCP_TIME_WAIT, 0);
      consumeSkb(skb);
      return 0;
    case TCP_LAST_ACK:
      if (!allAcked) return -1;
      tcpDone(sk);
      consumeSkb(skb);
      return 0;
    default:
      return -1;
  }
}

/** Takes the data of a segment, as the state has it. @returns SKB_DROP_REASON_* when a reset is due, the segment then
 * the caller's */
function stateData(sk: TcpSk, skb: SkBuff): number {
  switch (sk.state) {
    case TCP_CLOSE_WAIT:
    case TCP_CLOSING:
    case TCP_LAST_ACK:
      // The peer has finished: only what repeats old data gets an answer.
      if (((skb.seq - sk.tp.rcvNxt) | 0) >= 0) {
        if (skb.seq === skb.endSeq) consumeSkb(skb);
        else kfreeSkb(skb, SKB_DROP_REASON_TCP_OLD_DATA);
        return 0;
      }
      break;
    case TCP_FIN_WAIT1:
    case TCP_FIN_WAIT2:
    case TCP_ESTABLISHED:
      break;
    default:
      consumeSkb(skb);
      return 0;
  }
  // RFC 1122 section 4.2.2.13: data that nobody will read, as the program has closed or the peer had finished, is answered by a reset.
  if (sk.state !== TCP_ESTABLISHED && (sk.shutdown & RCV_SHUTDOWN) !== 0 && dataAfterClose(sk, skb)) {
    sk.net.mib[LINUX_MIB_TCPABORTONDATA]!++;
    tcpReset(sk, skb);
    return SKB_DROP_REASON_TCP_ABORT_ON_DATA;
  }
  tcpDataQueue(sk, skb);
  return 0;
}

/**
 * A segment in any other state than LISTEN, ESTABLISHED and TIME_WAIT. Linux: tcp_rcv_state_process().
 * @returns 0, the segment consumed; or SKB_DROP_REASON_* when the caller must answer it with a reset and end it
 */
export function tcpRcvStateProcess(sk: TcpSk, skb: SkBuff): number {
  const state = sk.state;
  if (state === TCP_CLOSE) {
    kfreeSkb(skb, SKB_DROP_REASON_TCP_CLOSE);
    return 0;
  }
  if (state === TCP_SYN_SENT) {
    const answer = tcpRcvSynsent(sk, skb);
    if (answer === 0 && sk.state !== TCP_CLOSE) tcpDataSndCheck(sk);
    return answer;
  }
  if ((skb.tcpFlags & (TCPHDR_ACK | TCPHDR_RST | TCPHDR_SYN)) === 0) {
    kfreeSkb(skb, SKB_DROP_REASON_TCP_FLAGS);
    return 0;
  }
  if (!tcpValidateIncoming(sk, skb, false)) return 0;
  const answer = tcpAck(sk, skb, FLAG_SLOWPATH | FLAG_UPDATE_TS_RECENT | FLAG_NO_CHALLENGE_ACK);
  if (answer <= 0) {
    if (state === TCP_SYN_RECV) return ackDropReason(answer);
    if (answer < 0) {
      tcpSendChallengeAck(sk);
      kfreeSkb(skb, ackDropReason(answer));
      return 0;
    }
  }
  const ended = stateAcked(sk, skb);
  if (ended >= 0) return ended;
  if (tcpUrgent !== null) tcpUrgent.receive(sk, skb);
  const reason = stateData(sk, skb);
  if (reason !== 0) return reason;
  // Read anew: the data may have ended the connection.
  if (sk.state !== TCP_CLOSE) {
    tcpDataSndCheck(sk);
    tcpAckSndCheck(sk);
    tcpFastPathCheck(sk);
  }
  return 0;
}
