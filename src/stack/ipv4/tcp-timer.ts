/**
 * The timers of a connection: one for retransmission, zero-window probes and want of buffers, one for delayed acknowledgments,
 * one for keepalive and FIN_WAIT2. Linux: net/ipv4/tcp_timer.c, include/net/inet_connection_sock.h. Read first: RFC 6298
 * section 5, RFC 9293 sections 3.8.3 (giving up), 3.8.4 (keepalive), 3.8.6.1 (probes), RFC 5482 (user timeout).
 *
 * A timer that is armed too early is left in the wheel and armed again when it fires, and one not needed any more fires once for
 * nothing: that is cheaper than moving it at every segment.
 */
import { words } from "../../lib/table.ts";
import { delTimer, jiffies, modTimer, timerPending, timerReduce, timerSetArg } from "../../lib/timer.ts";
import { ETIMEDOUT } from "../../uapi/errno.ts";
import {
  LINUX_MIB_DELAYEDACKLOCKED, LINUX_MIB_DELAYEDACKS, LINUX_MIB_TCPABORTONMEMORY, LINUX_MIB_TCPABORTONTIMEOUT,
  LINUX_MIB_TCPKEEPALIVE, LINUX_MIB_TCPLOSSFAILURES, LINUX_MIB_TCPRENOFAILURES,
  LINUX_MIB_TCPRENORECOVERYFAIL, LINUX_MIB_TCPSACKFAILURES, LINUX_MIB_TCPSACKRECOVERYFAIL, LINUX_MIB_TCPTIMEOUTS,
  LINUX_MIB_TCPWINPROBE,
} from "../../uapi/snmp.ts";
import {
  TCP_CA_DISORDER, TCP_CA_LOSS, TCP_CA_RECOVERY, TCP_CLOSE, TCP_ESTABLISHED, TCP_FIN_WAIT2, TCP_LISTEN, TCP_SYN_SENT,
  TCPF_CLOSE, TCPF_LISTEN, TCPF_SYN_RECV, TCPF_SYN_SENT,
} from "../../uapi/tcp.ts";
import {
  SK_ERR_SOFT, skDstReset, SOCK_DEAD, SOCK_KEEPOPEN, SOCK_THIN_LTO, sockByIndex, sockDefErrorReport, sockHold, sockPut,
} from "../core/sock.ts";
import { TCP_TIMEWAIT_LEN } from "./inet-timewait-sock.ts";
import {
  ICSK_DELACK_TIMER, ICSK_KEEPALIVE_TIMER, ICSK_PROBES_OUT, ICSK_PROBES_TSTAMP, ICSK_RETRANSMIT_TIMER, ICSK_SYN_RETRIES, ICSK_USER_TIMEOUT_MS, TP_FIN_PENDING, TP_KEEPALIVE_INTVL_MS, TP_PACING_TIMER,
  TP_KEEPALIVE_PROBES, TP_KEEPALIVE_TIME_MS, TP_LINGER2, TP_RETRANS_STAMP, TP_RTO_STAMP, TP_RTTVAR, TP_SACK_OK,
  TP_TOTAL_RTO, TP_TOTAL_RTO_RECOVERIES,
} from "./tcp-cold.ts";
import { TCP_INFINITE_SSTHRESH } from "./tcp-cong.ts";
import { tcpDone } from "./tcp.ts";
import { tcpSendAck, tcpSendActiveReset, tcpSendFin, tcpWriteWakeup } from "./tcp-control.ts";
import { tcpEnterLoss } from "./tcp-fastretrans.ts";
import { tcpCheckOom } from "./tcp-memory.ts";
import { tcpTimeWait } from "./tcp-minisocks.ts";
import { tcpWriteQueuePurge } from "./tcp-output.ts";
import { tcpMtuProbes, tcpRack } from "./tcp-parts.ts";
import { tcpRetransmitSkb } from "./tcp-retransmit.ts";
import { skStreamWriteSpace } from "./tcp-sendmsg.ts";
import {
  ICSK_ACK_SCHED, ICSK_ACK_TIMER, ICSK_TIME_LOSS_PROBE, ICSK_TIME_POOL, ICSK_TIME_PROBE0, ICSK_TIME_REO_TIMEOUT,
  ICSK_TIME_RETRANS, type InetConnectionSock, type TcpSk,
} from "./tcp-sock.ts";
import { TCP_ATO_MIN } from "./tcp-xmit.ts";

/** Bounds of the retransmission timeout in ms, and its value before the first measurement. */
export const TCP_RTO_MIN = 200;
/** Shortest timer in ms. */
export const TCP_TIMEOUT_MIN = 2;
export const TCP_RTO_MAX = 120000;
export const TCP_TIMEOUT_INIT = 1000;
/** The timeout of data when the handshake gave no measurement (RFC 6298 section 5.7). */
export const TCP_TIMEOUT_FALLBACK = 3000;
/** When a lower layer had no room for a retransmission, try again after this time at the latest. */
const TCP_RESOURCE_PROBE_INTERVAL = 500;
/** How often a socket that waits for packet buffers looks for them. */
export const TCP_POOL_RETRY_MS = 20;
/** A timer that finds the socket in a call comes back after this time. */
const OWNED_RETRY_MS = 50;
const OWNED_DELACK_RETRY_MS = 40;
/** Retries of a connection that is nobody's and whose peer still answers. */
const ORPHAN_RETRIES = 8;
/** Segments in flight of a thin stream: fewer than this; and how many of its timeouts are linear. */
const THIN_PACKETS = 4;
const TCP_THIN_LINEAR_RETRIES = 6;
const SYN_STATES = TCPF_SYN_SENT | TCPF_SYN_RECV;

/** Sets the retransmit timer to stand for `what` (ICSK_TIME_*) in `whenMs`. Linux: inet_csk_reset_xmit_timer(). */
export function inetCskResetXmitTimer(sk: TcpSk, what: number, whenMs: number): void {
  const icsk = sk.icsk;
  const timeout = (jiffies + (whenMs < TCP_RTO_MAX ? whenMs : TCP_RTO_MAX)) | 0;
  icsk.pending = what;
  icsk.timeout = timeout;
  timerReduce(icsk.cold + ICSK_RETRANSMIT_TIMER, timeout);
}

/** The delayed acknowledgment is due in `whenMs`. */
export function inetCskResetDelackTimer(sk: TcpSk, whenMs: number): void {
  const icsk = sk.icsk;
  const timeout = (jiffies + whenMs) | 0;
  icsk.ackPending |= ICSK_ACK_TIMER;
  icsk.ackTimeout = timeout;
  timerReduce(icsk.cold + ICSK_DELACK_TIMER, timeout);
}

/** Arms the third timer. Linux: tcp_reset_keepalive_timer(). */
export function tcpResetKeepaliveTimer(sk: TcpSk, whenMs: number): void {
  modTimer(sk.icsk.cold + ICSK_KEEPALIVE_TIMER, (jiffies + whenMs) | 0);
}

/** Tells the timers whose they are. Linux: tcp_init_xmit_timers(). */
export function tcpInitXmitTimers(sk: TcpSk): void {
  const icsk = sk.icsk;
  timerSetArg(icsk.cold + ICSK_RETRANSMIT_TIMER, sk.index);
  timerSetArg(icsk.cold + ICSK_DELACK_TIMER, sk.index);
  timerSetArg(icsk.cold + ICSK_KEEPALIVE_TIMER, sk.index);
  timerSetArg(icsk.cold + TP_PACING_TIMER, sk.index);
}

/** Stops all timers. Linux: tcp_clear_xmit_timers(). */
export function tcpClearXmitTimers(sk: TcpSk): void {
  const icsk = sk.icsk;
  icsk.pending = icsk.ackPending = 0;
  delTimer(icsk.cold + ICSK_RETRANSMIT_TIMER);
  delTimer(icsk.cold + ICSK_DELACK_TIMER);
  delTimer(icsk.cold + ICSK_KEEPALIVE_TIMER);
  delTimer(icsk.cold + TP_PACING_TIMER);
}

/** The retransmission timeout starts anew, or with nothing in flight stops. Linux: tcp_rearm_rto(). */
export function tcpRearmRto(sk: TcpSk): void {
  if (sk.tp.packetsOut === 0) {
    if (sk.icsk.pending === ICSK_TIME_RETRANS || overlaysRto(sk.icsk.pending)) sk.icsk.pending = 0;
    return;
  }
  let rto = sk.icsk.rto;
  if (overlaysRto(sk.icsk.pending)) {
    // What ran instead took its time from the RTO's.
    rto = tcpRtoDelta(sk);
    if (rto < 1) rto = 1;
  }
  inetCskResetXmitTimer(sk, ICSK_TIME_RETRANS, rto);
}

/** A timer that runs in place of the RTO's. */
function overlaysRto(pending: number): boolean {
  return pending === ICSK_TIME_REO_TIMEOUT || pending === ICSK_TIME_LOSS_PROBE;
}

/** The timeout that the measurements ask for, without backoff. Linux: tcp_set_rto(). */
export function tcpSetRto(sk: TcpSk): void {
  const tp = sk.tp;
  const rto = (tp.srtt >> 3) + words[tp.cold + TP_RTTVAR]!;
  sk.icsk.rto = rto < TCP_RTO_MAX ? rto : TCP_RTO_MAX;
}

/** Ms until the RTO of the first segment in flight. Linux: tcp_rto_delta_us(). */
export function tcpRtoDelta(sk: TcpSk): number {
  return (sk.writeQueue.head!.when + sk.icsk.rto - jiffies) | 0;
}

/** First interval of zero-window probes. Linux: tcp_probe0_base(). */
export function tcpProbe0Base(icsk: InetConnectionSock): number {
  return icsk.rto > TCP_RTO_MIN ? icsk.rto : TCP_RTO_MIN;
}

/** Interval of the next probe: doubled for each unanswered one. Linux: tcp_probe0_when(). */
export function tcpProbe0When(icsk: InetConnectionSock): number {
  let when = tcpProbe0Base(icsk);
  for (let i = icsk.backoff; i > 0 && when < TCP_RTO_MAX; i--) when <<= 1;
  return when < TCP_RTO_MAX ? when : TCP_RTO_MAX;
}

/** How long FIN_WAIT2 lasts without a program, in ms: TCP_LINGER2 or the sysctl, at least 3.5 RTO. Linux: tcp_fin_time(). */
export function tcpFinTime(sk: TcpSk): number {
  const linger = words[sk.tp.cold + TP_LINGER2]!;
  const time = linger !== 0 ? linger : sk.net.ipv4.tcpFinTimeout * 1000;
  const rto = sk.icsk.rto;
  const least = (rto << 2) - (rto >> 1);
  return time < least ? least : time;
}

/** Gives the connection up; the program hears ETIMEDOUT, or what an ICMP error said before. Linux: tcp_write_err(). */
function tcpWriteErr(sk: TcpSk): void {
  sk.err = words[sk.cold + SK_ERR_SOFT]! !== 0 ? words[sk.cold + SK_ERR_SOFT]! : ETIMEDOUT;
  sockDefErrorReport(sk);
  tcpWriteQueuePurge(sk);
  tcpDone(sk);
  sk.net.mib[LINUX_MIB_TCPABORTONTIMEOUT]!++;
}

/** Retries granted to an orphan. Linux: tcp_orphan_retries(). */
function tcpOrphanRetries(sk: TcpSk, alive: boolean): number {
  let retries = sk.net.ipv4.tcpOrphanRetries;
  if (words[sk.cold + SK_ERR_SOFT]! !== 0 && !alive) retries = 0;
  return retries === 0 && alive ? ORPHAN_RETRIES : retries;
}

/**
 * Ends an orphan when there are too many or memory is out; one whose peer has not been heard of for long, or that an ICMP error
 * told of, counts for more. Linux: tcp_out_of_resources().
 */
function tcpOutOfResources(sk: TcpSk, doReset: boolean): boolean {
  const tp = sk.tp;
  const idle = (jiffies - tp.lsndtime) | 0;
  const shift = (idle > 2 * TCP_RTO_MAX || !doReset ? 1 : 0) + (words[sk.cold + SK_ERR_SOFT] !== 0 ? 1 : 0);
  if (!tcpCheckOom(sk, shift)) return false;
  // The peer may still be there: data went a moment ago, or its window is closed.
  if (doReset || idle <= TCP_TIMEWAIT_LEN || (tp.sndWnd === 0 && tp.packetsOut === 0)) tcpSendActiveReset(sk);
  tcpDone(sk);
  sk.net.mib[LINUX_MIB_TCPABORTONMEMORY]!++;
  return true;
}

/**
 * Have the retransmissions gone on for as long as `boundary` of them take with exponential backoff, or `timeoutMs` if not 0?
 * Linux: retransmits_timed_out().
 */
function retransmitsTimedOut(sk: TcpSk, boundary: number, timeoutMs: number): boolean {
  if (sk.icsk.retransmits === 0) return false;
  let limit = timeoutMs;
  if (limit === 0) {
    let rto = ((1 << sk.state) & SYN_STATES) !== 0 ? TCP_TIMEOUT_INIT : TCP_RTO_MIN;
    for (let i = 0; i <= boundary; i++) {
      limit += rto;
      rto = rto << 1 < TCP_RTO_MAX ? rto << 1 : TCP_RTO_MAX;
    }
  }
  return ((jiffies - words[sk.tp.cold + TP_RETRANS_STAMP]!) | 0) >= limit;
}

/** Asks whether to go on; false after the connection was given up. Linux: tcp_write_timeout(). */
function tcpMayRetransmit(sk: TcpSk): boolean {
  const icsk = sk.icsk;
  const sysctl = sk.net.ipv4;
  let expired = false;
  let retries: number;
  if (((1 << sk.state) & SYN_STATES) !== 0) {
    retries = words[icsk.cold + ICSK_SYN_RETRIES] !== 0 ? words[icsk.cold + ICSK_SYN_RETRIES]! : sysctl.tcpSynRetries;
    expired = icsk.retransmits >= (sk.state === TCP_SYN_SENT ? retries + sysctl.tcpSynLinearTimeouts : retries);
  } else {
    if (retransmitsTimedOut(sk, sysctl.tcpRetries1, 0)) {
      if (tcpMtuProbes !== null) tcpMtuProbes.blackHole(sk);
      sk.dst?.ops.negativeAdvice(sk);
    }
    retries = sysctl.tcpRetries2;
    if ((sk.flags & SOCK_DEAD) !== 0) {
      const alive = icsk.rto < TCP_RTO_MAX;
      retries = tcpOrphanRetries(sk, alive);
      if (tcpOutOfResources(sk, alive || !retransmitsTimedOut(sk, retries, 0))) return false;
    }
  }
  if (!expired) expired = retransmitsTimedOut(sk, retries, words[icsk.cold + ICSK_USER_TIMEOUT_MS]!);
  if (expired) tcpWriteErr(sk);
  return !expired;
}

function countFailure(sk: TcpSk): void {
  const state = sk.icsk.caState;
  const mib = sk.net.mib;
  const sackOk = words[sk.tp.cold + TP_SACK_OK] !== 0;
  if (state === TCP_CA_RECOVERY) mib[sackOk ? LINUX_MIB_TCPSACKRECOVERYFAIL : LINUX_MIB_TCPRENORECOVERYFAIL]!++;
  else if (state === TCP_CA_DISORDER) mib[sackOk ? LINUX_MIB_TCPSACKFAILURES : LINUX_MIB_TCPRENOFAILURES]!++;
  else if (state === TCP_CA_LOSS) mib[LINUX_MIB_TCPLOSSFAILURES]!++;
}

/** The RTO, or less when TCP_USER_TIMEOUT is over before. Linux: tcp_clamp_rto_to_user_timeout(). */
function rtoWithinUserTimeout(sk: TcpSk): number {
  const icsk = sk.icsk;
  if (words[icsk.cold + ICSK_USER_TIMEOUT_MS] === 0) return icsk.rto;
  const left = (words[icsk.cold + ICSK_USER_TIMEOUT_MS]! - (jiffies - words[sk.tp.cold + TP_RETRANS_STAMP]!)) | 0;
  return left >= icsk.rto ? icsk.rto : left > 1 ? left : 1;
}

/**
 * Are the timeouts to be linear for now: few segments in flight, as of a game or a terminal, whose wait is worth more than what they
 * add to congestion? Not in the first slow start, when there is little in flight anyway. Linux: tcp_retransmit_timer(), tcp_stream_is_thin().
 */
function isThin(sk: TcpSk): boolean {
  const tp = sk.tp;
  return ((sk.flags & SOCK_THIN_LTO) !== 0 || sk.net.ipv4.tcpThinLinearTimeouts !== 0) && sk.state === TCP_ESTABLISHED
    && tp.packetsOut < THIN_PACKETS && tp.sndSsthresh < TCP_INFINITE_SSTHRESH && sk.icsk.retransmits <= TCP_THIN_LINEAR_RETRIES;
}

/** No acknowledgment within the RTO: all in flight counts as lost, the first segment goes again. Linux: tcp_retransmit_timer(). */
function tcpRetransmitTimer(sk: TcpSk): void {
  const tp = sk.tp;
  const icsk = sk.icsk;
  if (tp.packetsOut === 0) return;
  const head = sk.writeQueue.head!;
  if (tp.sndWnd === 0 && (sk.flags & SOCK_DEAD) === 0 && ((1 << sk.state) & SYN_STATES) === 0) {
    // The peer took its window back (it must not, RFC 9293 section 3.8.6): while it answers, this goes on like probing.
    const limit = words[icsk.cold + ICSK_USER_TIMEOUT_MS] !== 0 ? words[icsk.cold + ICSK_USER_TIMEOUT_MS]! : TCP_RTO_MAX;
    if (((jiffies - tp.rcvTstamp) | 0) > limit) {
      tcpWriteErr(sk);
      return;
    }
    tcpEnterLoss(sk);
    tcpRetransmitSkb(sk, head);
    skDstReset(sk);
  } else {
    sk.net.mib[LINUX_MIB_TCPTIMEOUTS]!++;
    if (!tcpMayRetransmit(sk)) return;
    if (icsk.retransmits === 0) {
      countFailure(sk);
      words[tp.cold + TP_TOTAL_RTO_RECOVERIES]!++;
      words[tp.cold + TP_RTO_STAMP] = jiffies;
    }
    words[tp.cold + TP_TOTAL_RTO]!++;
    tcpEnterLoss(sk);
    icsk.retransmits++;
    if (tcpRetransmitSkb(sk, head) < 0) {
      // No room below or in the pools: this says nothing about the network, so no backoff.
      const soon = icsk.rto < TCP_RESOURCE_PROBE_INTERVAL ? icsk.rto : TCP_RESOURCE_PROBE_INTERVAL;
      inetCskResetXmitTimer(sk, ICSK_TIME_RETRANS, soon);
      return;
    }
  }
  if (isThin(sk)) {
    icsk.backoff = 0;
    tcpSetRto(sk);
  } else if (sk.state !== TCP_SYN_SENT || words[tp.cold + TP_TOTAL_RTO]! > sk.net.ipv4.tcpSynLinearTimeouts) {
    // The first SYNs go at the same distance: one that is lost says nothing of congestion yet.
    icsk.backoff++;
    icsk.rto = icsk.rto << 1 < TCP_RTO_MAX ? icsk.rto << 1 : TCP_RTO_MAX;
  }
  inetCskResetXmitTimer(sk, ICSK_TIME_RETRANS, rtoWithinUserTimeout(sk));
  if (retransmitsTimedOut(sk, sk.net.ipv4.tcpRetries1 + 1, 0)) skDstReset(sk);
}

/** The peer's window is closed, or nothing could be sent: probe. Linux: tcp_probe_timer(). */
function tcpProbeTimer(sk: TcpSk): void {
  const icsk = sk.icsk;
  if (sk.tp.packetsOut !== 0 || sk.sendHead === null) {
    words[icsk.cold + ICSK_PROBES_OUT] = words[icsk.cold + ICSK_PROBES_TSTAMP] = 0;
    return;
  }
  const now = jiffies;
  let abort = false;
  if (words[icsk.cold + ICSK_PROBES_TSTAMP] === 0) words[icsk.cold + ICSK_PROBES_TSTAMP] = now === 0 ? 1 : now;
  else if (words[icsk.cold + ICSK_USER_TIMEOUT_MS] !== 0) abort = ((now - words[icsk.cold + ICSK_PROBES_TSTAMP]!) | 0) >= words[icsk.cold + ICSK_USER_TIMEOUT_MS]!;
  let most = sk.net.ipv4.tcpRetries2;
  if ((sk.flags & SOCK_DEAD) !== 0) {
    const alive = tcpProbe0When(icsk) < TCP_RTO_MAX;
    most = tcpOrphanRetries(sk, alive);
    if (!alive && icsk.backoff >= most) abort = true;
    else if (tcpOutOfResources(sk, true)) return;
  }
  if (abort || words[icsk.cold + ICSK_PROBES_OUT]! >= most) tcpWriteErr(sk);
  else tcpSendProbe0(sk);
}

/** Sends a probe and times the next. Linux: tcp_send_probe0(). */
export function tcpSendProbe0(sk: TcpSk): void {
  const icsk = sk.icsk;
  const err = tcpWriteWakeup(sk, LINUX_MIB_TCPWINPROBE);
  if (sk.tp.packetsOut !== 0 || sk.sendHead === null) {
    words[icsk.cold + ICSK_PROBES_OUT] = icsk.backoff = words[icsk.cold + ICSK_PROBES_TSTAMP] = 0;
    return;
  }
  words[icsk.cold + ICSK_PROBES_OUT]!++;
  let timeout = TCP_RESOURCE_PROBE_INTERVAL;
  if (err >= 0) {
    if (icsk.backoff < sk.net.ipv4.tcpRetries2) icsk.backoff++;
    timeout = tcpProbe0When(icsk);
  }
  if (words[icsk.cold + ICSK_USER_TIMEOUT_MS] !== 0 && words[icsk.cold + ICSK_PROBES_TSTAMP] !== 0) {
    const left = (words[icsk.cold + ICSK_USER_TIMEOUT_MS]! - (jiffies - words[icsk.cold + ICSK_PROBES_TSTAMP]!)) | 0;
    if (left < timeout) timeout = left > 1 ? left : 1;
  }
  inetCskResetXmitTimer(sk, ICSK_TIME_PROBE0, timeout);
}

/** Buffers were wanted: sends the FIN that waits for one, and wakes a writer. */
function tcpPoolTimer(sk: TcpSk): void {
  if (words[sk.tp.cold + TP_FIN_PENDING] !== 0) tcpSendFin(sk);
  skStreamWriteSpace(sk);
}

/** Linux: tcp_write_timer() and tcp_write_timer_handler(). */
export function tcpWriteTimer(index: number): void {
  const sk = sockByIndex(index) as TcpSk;
  const icsk = sk.icsk;
  if (sk.owned) {
    modTimer(icsk.cold + ICSK_RETRANSMIT_TIMER, (jiffies + OWNED_RETRY_MS) | 0);
    return;
  }
  const event = icsk.pending;
  if (event === 0 || ((1 << sk.state) & (TCPF_CLOSE | TCPF_LISTEN)) !== 0) return;
  if (((icsk.timeout - jiffies) | 0) > 0) {
    modTimer(icsk.cold + ICSK_RETRANSMIT_TIMER, icsk.timeout);
    return;
  }
  sockHold(sk);
  icsk.pending = 0;
  if (event === ICSK_TIME_RETRANS) tcpRetransmitTimer(sk);
  else if (event === ICSK_TIME_PROBE0) tcpProbeTimer(sk);
  else if (event === ICSK_TIME_REO_TIMEOUT) tcpRack!.reoTimeout(sk);
  else if (event === ICSK_TIME_LOSS_PROBE) tcpRack!.probe(sk);
  else if (event === ICSK_TIME_POOL) tcpPoolTimer(sk);
  sockPut(sk);
}

/** The acknowledgment found no data to ride on. Linux: tcp_delack_timer(). */
export function tcpDelackTimer(index: number): void {
  const sk = sockByIndex(index) as TcpSk;
  const icsk = sk.icsk;
  if (sk.owned) {
    sk.net.mib[LINUX_MIB_DELAYEDACKLOCKED]!++;
    modTimer(icsk.cold + ICSK_DELACK_TIMER, (jiffies + OWNED_DELACK_RETRY_MS) | 0);
    return;
  }
  if ((icsk.ackPending & ICSK_ACK_TIMER) === 0 || ((1 << sk.state) & (TCPF_CLOSE | TCPF_LISTEN)) !== 0) return;
  if (((icsk.ackTimeout - jiffies) | 0) > 0) {
    modTimer(icsk.cold + ICSK_DELACK_TIMER, icsk.ackTimeout);
    return;
  }
  icsk.ackPending &= ~ICSK_ACK_TIMER;
  if ((icsk.ackPending & ICSK_ACK_SCHED) === 0) return;
  if (icsk.ackPingpong === 0) {
    // The guess was too short: wait longer the next time.
    icsk.ackAto = icsk.ackAto << 1 < icsk.rto ? icsk.ackAto << 1 : icsk.rto;
  } else {
    // No reply came: not an interactive session.
    icsk.ackPingpong = 0;
    icsk.ackAto = TCP_ATO_MIN;
  }
  tcpSendAck(sk);
  sk.net.mib[LINUX_MIB_DELAYEDACKS]!++;
}

/** Time without a probe, and between probes, in ms; number of unanswered ones. The program's values or the sysctls. */
export function keepaliveTimeWhen(sk: TcpSk): number {
  return words[sk.tp.cold + TP_KEEPALIVE_TIME_MS] !== 0 ? words[sk.tp.cold + TP_KEEPALIVE_TIME_MS]! : sk.net.ipv4.tcpKeepaliveTime * 1000;
}

export function keepaliveIntvlWhen(sk: TcpSk): number {
  return words[sk.tp.cold + TP_KEEPALIVE_INTVL_MS] !== 0 ? words[sk.tp.cold + TP_KEEPALIVE_INTVL_MS]! : sk.net.ipv4.tcpKeepaliveIntvl * 1000;
}

export function keepaliveProbes(sk: TcpSk): number {
  return words[sk.tp.cold + TP_KEEPALIVE_PROBES] !== 0 ? words[sk.tp.cold + TP_KEEPALIVE_PROBES]! : sk.net.ipv4.tcpKeepaliveProbes;
}

/** Time since the peer was last heard of. */
export function keepaliveTimeElapsed(sk: TcpSk): number {
  const data = (jiffies - sk.icsk.ackLrcvtime) | 0;
  const ack = (jiffies - sk.tp.rcvTstamp) | 0;
  return data < ack ? data : ack;
}

/** SO_KEEPALIVE went on or off. Linux: tcp_set_keepalive(). */
export function tcpSetKeepalive(sk: TcpSk, on: boolean): void {
  if (((1 << sk.state) & (TCPF_CLOSE | TCPF_LISTEN)) !== 0) return;
  const timer = sk.icsk.cold + ICSK_KEEPALIVE_TIMER;
  if (!on) delTimer(timer);
  else if (!timerPending(timer)) tcpResetKeepaliveTimer(sk, keepaliveTimeWhen(sk));
}

/** An orphan has waited long enough for the peer's FIN: it ends, or goes on as a small TIME_WAIT entry. */
function finWait2Timer(sk: TcpSk): void {
  if (words[sk.tp.cold + TP_LINGER2]! >= 0) {
    const left = tcpFinTime(sk) - TCP_TIMEWAIT_LEN;
    if (left > 0) {
      tcpTimeWait(sk, TCP_FIN_WAIT2, left);
      return;
    }
  }
  tcpSendActiveReset(sk);
  tcpDone(sk);
}

/** Probes a peer not heard of for long; returns when to look again, 0 when the connection was given up. */
function keepaliveProbe(sk: TcpSk): number {
  const icsk = sk.icsk;
  const when = keepaliveTimeWhen(sk);
  if (sk.tp.packetsOut !== 0 || sk.sendHead !== null) return when;
  const elapsed = keepaliveTimeElapsed(sk);
  if (elapsed < when) return when - elapsed;
  const user = words[icsk.cold + ICSK_USER_TIMEOUT_MS]!;
  const out = words[icsk.cold + ICSK_PROBES_OUT]!;
  if (user !== 0 ? elapsed >= user && out > 0 : out >= keepaliveProbes(sk)) {
    tcpSendActiveReset(sk);
    tcpWriteErr(sk);
    return 0;
  }
  if (tcpWriteWakeup(sk, LINUX_MIB_TCPKEEPALIVE) < 0) return TCP_RESOURCE_PROBE_INTERVAL;
  words[icsk.cold + ICSK_PROBES_OUT]!++;
  return keepaliveIntvlWhen(sk);
}

/** Linux: tcp_keepalive_timer(). */
export function tcpKeepaliveTimer(index: number): void {
  const sk = sockByIndex(index) as TcpSk;
  const state = sk.state;
  if (sk.owned) {
    tcpResetKeepaliveTimer(sk, OWNED_RETRY_MS);
    return;
  }
  if (state === TCP_LISTEN || state === TCP_CLOSE) return;
  sockHold(sk);
  if (state === TCP_FIN_WAIT2 && (sk.flags & SOCK_DEAD) !== 0) {
    finWait2Timer(sk);
  } else if ((sk.flags & SOCK_KEEPOPEN) !== 0 && state !== TCP_SYN_SENT) {
    const next = keepaliveProbe(sk);
    if (next > 0) tcpResetKeepaliveTimer(sk, next);
  }
  sockPut(sk);
}
