/**
 * The life of a TCP socket: birth, states, shutdown, close, disconnect, readiness. Linux: net/ipv4/tcp.c. Read first: RFC 9293
 * sections 3.3.2 (states), 3.6 (closing), 3.10.4 and 3.10.5, tcp(7). Owns who hears of changes of state.
 *
 * sk.state changes in tcpSetState() only, which also stops the timers and takes the socket out of the tables at the end.
 */
import { words } from "../../lib/table.ts";
import { ECONNRESET, EINVAL, ENOIOCTLCMD } from "../../uapi/errno.ts";
import { FIONSPACE, SIOCATMARK, SIOCINQ, SIOCOUTQ, SIOCOUTQNSD } from "../../uapi/ioctl.ts";
import {
  EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLPRI, EPOLLRDHUP, EPOLLRDNORM, EPOLLWRNORM,
} from "../../uapi/poll.ts";
import {
  LINUX_MIB_TCPABORTONCLOSE, LINUX_MIB_TCPABORTONDATA, LINUX_MIB_TCPABORTONLINGER, LINUX_MIB_TCPABORTONMEMORY,
  TCP_MIB_ATTEMPTFAILS, TCP_MIB_CURRESTAB, TCP_MIB_ESTABRESETS,
} from "../../uapi/snmp.ts";
import {
  TCP_CA_OPEN, TCP_CLOSE, TCP_CLOSE_WAIT, TCP_ESTABLISHED, TCP_FIN_WAIT1, TCP_FIN_WAIT2, TCP_LAST_ACK,
  TCP_LISTEN, TCP_MSS_DEFAULT, TCP_SYN_RECV, TCP_SYN_SENT, TCPF_CLOSE_WAIT, TCPF_CLOSING, TCPF_ESTABLISHED,
  TCPF_FIN_WAIT1, TCPF_FIN_WAIT2, TCPF_LAST_ACK, TCPF_SYN_RECV, TCPF_SYN_SENT,
} from "../../uapi/tcp.ts";
import { skbQueuePurge } from "../core/skb-queue.ts";
import {
  lockSock, RCV_SHUTDOWN, releaseSock, SEND_SHUTDOWN, SHUTDOWN_MASK, SK_LINGERTIME_MS, SK_RCVLOWAT, SK_USERLOCKS,
  skDstReset, type Sock, SOCK_BINDADDR_LOCK, SOCK_BINDPORT_LOCK, SOCK_DEAD, SOCK_DONE, SOCK_LINGER, SOCK_ORPHAN,
  SOCK_URGINLINE, sockDefErrorReport, sockDefWakeup, sockHold, sockOrphan, sockPut,
} from "../core/sock.ts";
import { inetPutPort } from "./inet-bind-bucket.ts";
import { inetEhashed } from "./inet-hashtables.ts";
import { TCP_TIMEWAIT_LEN } from "./inet-timewait-sock.ts";
import { tcpChallengeInit } from "./tcp-challenge.ts";
import {
  FASTOPEN_REQ_NONE, ICSK_ACK_LAST_SEG_SIZE, ICSK_BIND_HASH, ICSK_PROBES_OUT, ICSK_PROBES_TSTAMP, TP_DEFER_CONNECT, TP_DELIVERED, TP_FASTOPEN_REQ,
  TP_LAST_OOW_ACK_TIME, TP_LINGER2, TP_LOST, TP_MAX_PACKETS_OUT, TP_MAX_PACKETS_SEQ, TP_MAX_WINDOW, TP_MDEV,
  TP_MDEV_MAX, TP_REORDERING, TP_RETRANS_STAMP, TP_RTTVAR, TP_SACK_OK, TP_SND_CWND_CLAMP, TP_SND_CWND_CNT,
  TP_SND_CWND_USED, TP_TOTAL_RETRANS, TP_URG_DATA, TP_WINDOW_CLAMP, TP_WSCALE_OK,
} from "./tcp-cold.ts";
import {
  TCP_INFINITE_SSTHRESH, TCP_INIT_CWND, tcpAssignCongestionControl, tcpCongInit, tcpSetCaState,
} from "./tcp-cong.ts";
import { tcpSendActiveReset, tcpSendFin } from "./tcp-control.ts";
import { tcpCheckOom, tcpMemoryInit, tcpOrphansAdd } from "./tcp-memory.ts";
import { tcpTimeWait } from "./tcp-minisocks.ts";
import { tcpOfoPurge } from "./tcp-ofo.ts";
import { tcpWriteQueuePurge } from "./tcp-output.ts";
import { tcpFastopen, tcpListening, tcpMd5, tcpMd5Keys, tcpMtuProbes, tcpMtupSearching, tcpRates, tcpUrgent } from "./tcp-parts.ts";
import { tcpInq } from "./tcp-recvmsg.ts";
import { tcpIsWriteable, tcpSendSpace, tcpSetNoSpace } from "./tcp-sendmsg.ts";
import { tcpRecoveryReset, type TcpSk, tcpStatsReset } from "./tcp-sock.ts";
import { TCP_URG_VALID } from "./tcp-urgent.ts";
import { TCP_TIMEOUT_INIT, tcpClearXmitTimers, tcpFinTime, tcpInitXmitTimers, tcpResetKeepaliveTimer } from "./tcp-timer.ts";
import { tcpPoolReserve, tcpReceiveWindow, tcpWindowInit } from "./tcp-window.ts";

/** Duplicate ACKs that show a loss (RFC 5681); net.ipv4.tcp_reordering. */
const TCP_REORDERING = 3;
/** States in which a reset must tell the peer that the connection is gone. Linux: tcp_need_reset(). */
const NEED_RESET = TCPF_ESTABLISHED | TCPF_CLOSE_WAIT | TCPF_FIN_WAIT1 | TCPF_FIN_WAIT2 | TCPF_SYN_RECV;
/** States in which shutdown(SHUT_WR) sends a FIN. */
const MAY_SHUTDOWN = TCPF_ESTABLISHED | TCPF_SYN_SENT | TCPF_SYN_RECV | TCPF_CLOSE_WAIT;

/** Hears of every change of a connection's state: the tests check each against the states of RFC 9293. */
export type TcpStateObserver = (from: number, to: number) => void;

let stateObserver: TcpStateObserver | null = null;

/** Sets who hears; null: nobody. */
export function setTcpStateObserver(observer: TcpStateObserver | null): void {
  stateObserver = observer;
}

/** A sock hands over to a TIME_WAIT entry in that state, or the entry's state changes. */
export function tcpStateSeen(from: number, to: number): void {
  if (stateObserver !== null) stateObserver(from, to);
}

/** Boot time only. Half of the machine's TCP socks may be orphans; a part of its packet buffers is the reserve. */
export function tcpInit(sizes: { readonly tcpSocks: number; readonly buffers: number }): void {
  tcpWindowInit(sizes.buffers);
  tcpMemoryInit(sizes.buffers, tcpPoolReserve, sizes.tcpSocks);
  tcpChallengeInit();
  tcpCongInit();
}

/** A new socket's connection, closed. Always 0. Linux: tcp_init_sock(). */
export function tcpInitSock(sock: Sock): number {
  const sk = sock as TcpSk;
  const tp = sk.tp;
  tcpInitXmitTimers(sk);
  sk.icsk.rto = TCP_TIMEOUT_INIT;
  words[tp.cold + TP_MDEV] = TCP_TIMEOUT_INIT;
  tp.sndCwnd = TCP_INIT_CWND;
  tp.sndSsthresh = words[tp.cold + TP_SND_CWND_CLAMP] = TCP_INFINITE_SSTHRESH;
  tp.mssCache = TCP_MSS_DEFAULT;
  words[tp.cold + TP_REORDERING] = TCP_REORDERING;
  tcpAssignCongestionControl(sk);
  if (tcpRates !== null) tcpRates.reset(sk);
  return 0;
}

/** All that TCP holds for a sock goes: timers, segments. Linux: tcp_v4_destroy_sock(). */
function tcpDestroySock(sk: TcpSk): void {
  tcpClearXmitTimers(sk);
  if (tcpMtupSearching !== 0) tcpMtuProbes!.release(sk);
  tcpWriteQueuePurge(sk);
  tcpOfoPurge(sk);
  skbQueuePurge(sk.receiveQueue);
  if (tcpFastopen !== null) tcpFastopen.forgetKey(sk);
  if (tcpMd5Keys !== 0) tcpMd5!.release(sk.index);
}

/**
 * The end of a sock that is closed, in no table, and that no program holds (SOCK_DEAD): gives back its port, its queues
 * and its first reference. Linux: inet_csk_destroy_sock().
 */
export function inetCskDestroySock(sk: TcpSk): void {
  if (sk.state !== TCP_CLOSE || (sk.flags & SOCK_DEAD) === 0 || inetEhashed(sk.index)) {
    throw new Error(`inetCskDestroySock: sock ${sk.index} is in use (state ${sk.state})`);
  }
  tcpDestroySock(sk);
  inetPutPort(sk);
  sockPut(sk);
}

/** The one way to change sk.state. Entering CLOSE stops the timers and takes the sock out of the tables. Linux: tcp_set_state(). */
export function tcpSetState(sk: TcpSk, state: number): void {
  const old = sk.state;
  const mib = sk.net.mib;
  if (stateObserver !== null) stateObserver(old, state);
  // RFC 4022: tcpCurrEstab counts both.
  const was = old === TCP_ESTABLISHED || old === TCP_CLOSE_WAIT;
  const is = state === TCP_ESTABLISHED || state === TCP_CLOSE_WAIT;
  if (was !== is) mib[TCP_MIB_CURRESTAB]! += is ? 1 : -1;
  if (sk.tp.fastopenRsk !== null) tcpFastopen!.remove(sk);
  if (state !== TCP_CLOSE) {
    sk.state = state;
    return;
  }
  if (old === TCP_CLOSE_WAIT || old === TCP_ESTABLISHED) mib[TCP_MIB_ESTABRESETS]!++;
  sk.prot.unhash(sk);
  if (words[sk.icsk.cold + ICSK_BIND_HASH]! >= 0 && (words[sk.cold + SK_USERLOCKS]! & SOCK_BINDPORT_LOCK) === 0) inetPutPort(sk);
  if ((sk.flags & SOCK_ORPHAN) !== 0) {
    sk.flags &= ~SOCK_ORPHAN;
    tcpOrphansAdd(-1);
  }
  tcpClearXmitTimers(sk);
  // Behind unhash: a sock that is in a table is never seen closed.
  sk.state = TCP_CLOSE;
}

/** The connection is over; a sock that is nobody's goes back to its pool. Linux: tcp_done(). */
export function tcpDone(sk: TcpSk): void {
  const state = sk.state;
  if (state === TCP_SYN_SENT || state === TCP_SYN_RECV) sk.net.mib[TCP_MIB_ATTEMPTFAILS]!++;
  tcpSetState(sk, TCP_CLOSE);
  sk.shutdown = SHUTDOWN_MASK;
  if ((sk.flags & SOCK_DEAD) === 0) sockDefWakeup(sk);
  else inetCskDestroySock(sk);
}

/** The program will send no more: the state that follows. @returns whether a FIN is due. Linux: tcp_close_state() */
function tcpCloseState(sk: TcpSk): boolean {
  switch (sk.state) {
    case TCP_SYN_SENT:
      tcpSetState(sk, TCP_CLOSE);
      return false;
    case TCP_ESTABLISHED:
    case TCP_SYN_RECV:
      tcpSetState(sk, TCP_FIN_WAIT1);
      return true;
    case TCP_CLOSE_WAIT:
      tcpSetState(sk, TCP_LAST_ACK);
      return true;
    default:
      return false;
  }
}

/** shutdown(): a FIN behind what was written. Linux: tcp_shutdown(). @param how RCV_SHUTDOWN and SEND_SHUTDOWN */
export function tcpShutdown(sock: Sock, how: number): void {
  const sk = sock as TcpSk;
  if ((how & SEND_SHUTDOWN) === 0) return;
  if (((1 << sk.state) & MAY_SHUTDOWN) !== 0 && tcpCloseState(sk)) tcpSendFin(sk);
}

/** An orphan in FIN_WAIT2 lives on in the small form, or for a limited time. */
function orphanFinWait2(sk: TcpSk): void {
  if (words[sk.tp.cold + TP_LINGER2]! < 0) {
    sk.net.mib[LINUX_MIB_TCPABORTONLINGER]!++;
    tcpSendActiveReset(sk);
    tcpDone(sk);
    return;
  }
  const time = tcpFinTime(sk);
  if (time > TCP_TIMEWAIT_LEN) tcpResetKeepaliveTimer(sk, time - TCP_TIMEWAIT_LEN);
  else tcpTimeWait(sk, TCP_FIN_WAIT2, time);
}

/** Starts the end: FIN, or a reset when data was not read (RFC 2525 section 2.17) or SO_LINGER says 0 seconds. */
function closeConnection(sk: TcpSk): void {
  const mib = sk.net.mib;
  sk.shutdown = SHUTDOWN_MASK;
  if (sk.state === TCP_LISTEN) {
    tcpSetState(sk, TCP_CLOSE);
    tcpListening!.stop(sk);
    return;
  }
  const unread = sk.receiveQueue.qlen !== 0;
  skbQueuePurge(sk.receiveQueue);
  if (sk.state === TCP_CLOSE) return;
  if (unread) {
    mib[LINUX_MIB_TCPABORTONCLOSE]!++;
    // Before the state: closing gives a port of the stack's own choice back, and the reset must still carry it.
    tcpSendActiveReset(sk);
    tcpSetState(sk, TCP_CLOSE);
  } else if ((sk.flags & SOCK_LINGER) !== 0 && words[sk.cold + SK_LINGERTIME_MS]! === 0) {
    tcpDisconnect(sk);
    mib[LINUX_MIB_TCPABORTONDATA]!++;
  } else if (tcpCloseState(sk)) {
    tcpSendFin(sk);
  }
}

/**
 * close(): the descriptor's reference is given back, the connection ends by itself. Nothing blocks: SO_LINGER's time does not
 * hold the caller. Linux: tcp_close().
 */
export function tcpClose(sock: Sock): void {
  const sk = sock as TcpSk;
  sockHold(sk);
  lockSock(sk);
  closeConnection(sk);
  const state = sk.state;
  sockOrphan(sk);
  if (state !== TCP_CLOSE) {
    tcpOrphansAdd(1);
    sk.flags |= SOCK_ORPHAN;
  }
  releaseSock(sk);
  // The backlog may have ended the connection, and the sock, already.
  if (state === TCP_CLOSE || sk.state !== TCP_CLOSE) {
    if (sk.state === TCP_FIN_WAIT2) orphanFinWait2(sk);
    else if (sk.state !== TCP_CLOSE) limitOrphans(sk);
    else inetCskDestroySock(sk);
  }
  sockPut(sk);
}

function limitOrphans(sk: TcpSk): void {
  if (!tcpCheckOom(sk, 0)) return;
  sk.net.mib[LINUX_MIB_TCPABORTONMEMORY]!++;
  tcpSendActiveReset(sk);
  tcpDone(sk);
}

/** Ends the connection at once and makes the socket fit for another connect(). Always 0. Linux: tcp_disconnect(). */
export function tcpDisconnect(sock: Sock): number {
  const sk = sock as TcpSk;
  const tp = sk.tp;
  const icsk = sk.icsk;
  const old = sk.state;
  const reset = ((1 << old) & NEED_RESET) !== 0
    || (tp.sndNxt !== tp.writeSeq && ((1 << old) & (TCPF_CLOSING | TCPF_LAST_ACK)) !== 0);
  // Before the state: closing gives a port of the stack's own choice back, and the reset must still carry it.
  if (reset) tcpSendActiveReset(sk);
  if (old !== TCP_CLOSE) tcpSetState(sk, TCP_CLOSE);
  if (old === TCP_LISTEN) {
    tcpListening!.stop(sk);
  } else if (reset) {
    sk.err = ECONNRESET;
  } else if (old === TCP_SYN_SENT) {
    sk.err = ECONNRESET;
  }
  tcpClearXmitTimers(sk);
  skbQueuePurge(sk.receiveQueue);
  tcpWriteQueuePurge(sk);
  tcpOfoPurge(sk);
  const inet = sk.inet;
  inet.dport = 0;
  if ((words[sk.cold + SK_USERLOCKS]! & SOCK_BINDADDR_LOCK) === 0) inet.rcvSaddr = inet.saddr = 0;
  sk.shutdown = 0;
  sk.flags &= ~SOCK_DONE;
  // A new connection starts beyond all that this one may still have in the network.
  const next = (tp.writeSeq + words[tp.cold + TP_MAX_WINDOW]! + 2) | 0;
  tp.writeSeq = next === 0 ? 1 : next;
  tp.srtt = words[tp.cold + TP_RTTVAR] = words[tp.cold + TP_MDEV_MAX] = tp.rcvTsecr = 0;
  words[tp.cold + TP_MDEV] = TCP_TIMEOUT_INIT;
  icsk.rto = TCP_TIMEOUT_INIT;
  icsk.backoff = icsk.retransmits = words[icsk.cold + ICSK_PROBES_OUT] = words[icsk.cold + ICSK_PROBES_TSTAMP] = 0;
  icsk.ackQuick = icsk.ackPingpong = icsk.ackAto = icsk.ackRcvMss = words[icsk.cold + ICSK_ACK_LAST_SEG_SIZE] = 0;
  tcpSetCaState(sk, TCP_CA_OPEN);
  tp.sndCwnd = TCP_INIT_CWND;
  tp.sndSsthresh = TCP_INFINITE_SSTHRESH;
  words[tp.cold + TP_SND_CWND_CNT] = words[tp.cold + TP_SND_CWND_USED] = 0;
  tp.isCwndLimited = false;
  words[tp.cold + TP_MAX_PACKETS_OUT] = words[tp.cold + TP_MAX_PACKETS_SEQ] = 0;
  words[tp.cold + TP_RETRANS_STAMP] = words[tp.cold + TP_TOTAL_RETRANS] = words[tp.cold + TP_DELIVERED] = words[tp.cold + TP_LOST] = 0;
  tp.predFlags = tp.rcvWup = tp.rcvNxt = tp.copiedSeq = words[tp.cold + TP_WINDOW_CLAMP] = 0;
  tp.tstampOk = tp.sawTstamp = false;
  words[tp.cold + TP_WSCALE_OK] = words[tp.cold + TP_SACK_OK] = 0;
  tp.sndWscale = tp.rcvWscale = 0;
  words[tp.cold + TP_REORDERING] = sk.net.ipv4.tcpReordering;
  tcpRecoveryReset(tp);
  if (tcpMtupSearching !== 0) tcpMtuProbes!.release(sk);
  words[tp.cold + TP_LAST_OOW_ACK_TIME] = 0;
  tcpStatsReset(tp);
  if (tcpRates !== null) tcpRates.reset(sk);
  words[tp.cold + TP_FASTOPEN_REQ] = FASTOPEN_REQ_NONE;
  skDstReset(sk);
  if (sk.err !== 0) sockDefErrorReport(sk);
  return 0;
}

/** Is there enough to read for EPOLLIN: SO_RCVLOWAT, or as much as the window lets come? Linux: tcp_stream_is_readable(). */
function tcpStreamIsReadable(sk: TcpSk): boolean {
  const tp = sk.tp;
  const waiting = (tp.rcvNxt - tp.copiedSeq) | 0;
  if (waiting <= 0) return false;
  // An urgent byte that is next is not for read().
  const atMark = words[tp.cold + TP_URG_DATA] !== 0 && tcpUrgent!.atMark(tp) && (sk.flags & SOCK_URGINLINE) === 0;
  const target = words[sk.cold + SK_RCVLOWAT]! + (atMark ? 1 : 0);
  return waiting >= target || sk.rmemAlloc > sk.rcvbuf || tcpReceiveWindow(sk.tp) <= sk.icsk.ackRcvMss;
}

/** EPOLL* bits that hold now. A program that hears no EPOLLOUT will be told when it holds. Linux: tcp_poll(). */
export function tcpPoll(sock: Sock): number {
  const sk = sock as TcpSk;
  const state = sk.state;
  if (state === TCP_LISTEN) return sk.icsk.acceptHead !== null ? EPOLLIN | EPOLLRDNORM : 0;
  const shutdown = sk.shutdown;
  let mask = 0;
  if (shutdown === SHUTDOWN_MASK || state === TCP_CLOSE) mask |= EPOLLHUP;
  if ((shutdown & RCV_SHUTDOWN) !== 0) mask |= EPOLLIN | EPOLLRDNORM | EPOLLRDHUP;
  if (state !== TCP_SYN_SENT && (state !== TCP_SYN_RECV || sk.tp.fastopenRsk !== null)) {
    if (tcpStreamIsReadable(sk)) mask |= EPOLLIN | EPOLLRDNORM;
    if ((shutdown & SEND_SHUTDOWN) !== 0 || tcpIsWriteable(sk)) mask |= EPOLLOUT | EPOLLWRNORM;
    else tcpSetNoSpace(sk);
    if ((words[sk.tp.cold + TP_URG_DATA]! & TCP_URG_VALID) !== 0) mask |= EPOLLPRI;
  } else if (words[sk.tp.cold + TP_DEFER_CONNECT] !== 0) {
    // The first write connects.
    mask |= EPOLLOUT | EPOLLWRNORM;
  }
  if (sk.err !== 0 || sk.errorQueue !== null) mask |= EPOLLERR;
  return mask;
}

/**
 * SIOCINQ, SIOCOUTQ, SIOCOUTQNSD: bytes to read, not acknowledged, not sent; SIOCATMARK: at the urgent byte? FIONSPACE: bytes
 * that send() takes. Linux: tcp_ioctl().
 */
export function tcpIoctl(sock: Sock, request: number, out: Int32Array): number {
  const sk = sock as TcpSk;
  const tp = sk.tp;
  if (request === SIOCATMARK) {
    out[0] = tcpUrgent !== null && tcpUrgent.atMark(tp) ? 1 : 0;
    return 0;
  }
  if (request === FIONSPACE) {
    out[0] = tcpSendSpace(sk);
    return 0;
  }
  if (request !== SIOCINQ && request !== SIOCOUTQ && request !== SIOCOUTQNSD) return -ENOIOCTLCMD;
  if (sk.state === TCP_LISTEN) return -EINVAL;
  const opening = sk.state === TCP_SYN_SENT || sk.state === TCP_SYN_RECV;
  if (request === SIOCINQ) out[0] = opening ? 0 : tcpInq(sk);
  else if (request === SIOCOUTQ) out[0] = opening ? 0 : (tp.writeSeq - tp.sndUna) | 0;
  else out[0] = opening ? 0 : (tp.writeSeq - tp.sndNxt) | 0;
  return 0;
}
