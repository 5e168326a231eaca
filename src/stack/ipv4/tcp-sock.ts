/**
 * inet_connection_sock and tcp_sock: the hot fields of a connection's control block, in groups named for who reads them; the
 * cold ones are in tcp-cold.ts. Linux: include/net/inet_connection_sock.h, include/linux/tcp.h. Owns their pool; the behaviour is in
 * inet-connection-sock.ts and the tcp-*.ts files. Sequence numbers are signed int32, times jiffies unless named otherwise.
 */
import { type Pool, type Pooled, poolAlloc, poolCreate, poolFree } from "../../lib/pool.ts";
import { words, wordTable } from "../../lib/table.ts";
import { initTimer } from "../../lib/timer.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { TCP_CA_OPEN } from "../../uapi/tcp.ts";
import { TCP_HLEN } from "../wire/tcp.ts";
import type { InetSk } from "./inet-sock.ts";
import {
  ICSK_BIND_HASH, ICSK_DELACK_TIMER, ICSK_KEEPALIVE_TIMER, ICSK_RETRANSMIT_TIMER, TP_MIN_RTT, TP_PACING_TIMER, TP_REC, TP_REC_END, TP_REO_WND_STEPS, TP_REORDERING, TP_RESET_END, TP_STATS, TP_STATS_END, TP_WORDS,
} from "./tcp-cold.ts";
import type { TcpCongestionOps } from "./tcp-cong.ts";
import { tcpPacing } from "./tcp-parts.ts";
import { tcpDelackTimer, tcpKeepaliveTimer, tcpWriteTimer } from "./tcp-timer.ts";

/** A sock with a connection (inet_csk(sk)). */
export interface InetCsk extends InetSk {
  icsk: InetConnectionSock;
}

/** A TCP sock (tcp_sk(sk)). */
export interface TcpSk extends InetCsk {
  tp: TcpSock;
}

/** "Not measured yet", for the shortest round trip. */
export const RTT_UNKNOWN = 0x7fffffff;
/** SACK blocks remembered at most (RFC 2018 section 3). Linux: TCP_NUM_SACKS. */
export const TCP_NUM_SACKS = 4;

/** skb.sacked bits of the write queue. Linux: TCPCB_*. */
export const TCPCB_SACKED_ACKED = 0x01;
/** Retransmitted since it was marked lost. */
export const TCPCB_SACKED_RETRANS = 0x02;
export const TCPCB_LOST = 0x04;
/** The segment behind was of the same chunk when it was sent first (tcpWriteXmit). Here only. */
export const TCPCB_CHUNK = 0x20;
/** The program's record ends here (MSG_EOR): nothing is appended. */
export const TCPCB_EOR = 0x40;
/** Retransmitted at any time: its acknowledgment times nothing (Karn). */
export const TCPCB_EVER_RETRANS = 0x80;
export const TCPCB_RETRANS = TCPCB_SACKED_RETRANS | TCPCB_EVER_RETRANS;

/** TcpSock.nonagle bits. */
export const TCP_NAGLE_OFF = 1;
export const TCP_NAGLE_CORK = 2;
export const TCP_NAGLE_PUSH = 4;

/** icskAck.pending bits. Linux: enum inet_csk_ack_state_t. */
export const ICSK_ACK_SCHED = 1;
export const ICSK_ACK_TIMER = 2;
export const ICSK_ACK_PUSHED = 4;
export const ICSK_ACK_PUSHED2 = 8;
export const ICSK_ACK_NOW = 16;

/** icsk.pending: what the one retransmit timer stands for. */
export const ICSK_TIME_RETRANS = 1;
export const ICSK_TIME_PROBE0 = 3;
export const ICSK_TIME_LOSS_PROBE = 5;
export const ICSK_TIME_REO_TIMEOUT = 6;
/** Here only: wait for packet buffers to come back to the pool. */
export const ICSK_TIME_POOL = 7;

export class InetConnectionSock {
  /** Delayed ACK: ICSK_ACK_* bits. */
  ackPending = 0;
  /** Segments still to be acknowledged at once. */
  ackQuick = 0;
  /** Interactive session: ACKs may wait for data to ride on (the pingpong counter). */
  ackPingpong = 0;
  /** Estimated interval between data segments, ms. */
  ackAto = 0;
  /** When the delayed ACK is due. */
  ackTimeout = 0;
  /** Arrival of the last data segment. */
  ackLrcvtime = 0;
  /** Estimate of the MSS the peer sends. */
  ackRcvMss = 0;
  /** Retransmission timeout, ms. */
  rto = 0;
  /** ICSK_TIME_* that the retransmit timer stands for; 0 for none. */
  pending = 0;
  timeout = 0;
  retransmits = 0;
  backoff = 0;
  /** TCP_CA_* */
  caState = 0;
  /** tcpInitSock() chooses. */
  caOps: TcpCongestionOps;
  /** Path MTU the MSS was computed from. */
  pmtuCookie = 0;
  /** Accept queue: connections whose handshake is complete, linked by Sock.hashNext. */
  acceptHead: TcpSk | null = null;
  acceptTail: TcpSk | null = null;
  /** Listener: parent of a connection that was not accepted yet. */
  listener: TcpSk | null = null;
  /** Where in `words` its cold fields are (ICSK_* of tcp-cold.ts): where those of its TcpSock are. */
  readonly cold: number;

  constructor(cold: number, caOps: TcpCongestionOps) {
    this.cold = cold;
    this.caOps = caOps;
  }
}

export class TcpSock implements Pooled {
  // Header prediction and the receive fast path (tcpRcvEstablished, tcpDataQueue, tcpEventDataRecv).
  /** Word 3 of the header (offset, flags, window) as the fast path expects it; 0 = slow path. */
  predFlags = 0;
  rcvNxt = 0;
  sndUna = 0;
  /** First byte not yet copied to the program. */
  copiedSeq = 0;
  rcvWnd = 0;
  /** rcvNxt when the last window was advertised. */
  rcvWup = 0;
  /** Bytes of header with the options of this connection. */
  tcpHeaderLen = 0;
  /** Where in `words` the cold fields are (TP_* of tcp-cold.ts). */
  readonly cold: number;
  /** Options: timestamps on (RFC 7323), the last values, and the echo. */
  tstampOk = false;
  tsRecent = 0;
  rcvTsval = 0;
  rcvTsecr = 0;
  sawTstamp = false;
  /** The receiver's round trip (tcp-rcvbuf.ts): where the window ends that is being filled, and the echo that was measured last. */
  rcvRttSeq = 0;
  rcvRttTsecr = 0;
  /** When the last acknowledgment came. */
  rcvTstamp = 0;

  // Transmission (tcpWriteXmit, tcpTransmitSkb, tcpAck).
  sndNxt = 0;
  sndWnd = 0;
  /** Sequence number of the segment that last updated the window. */
  sndWl1 = 0;
  sndCwnd = 0;
  packetsOut = 0;
  /** Lost, retransmitted and selectively acknowledged segments (tcp_packets_in_flight). */
  lostOut = 0;
  retransOut = 0;
  sackedOut = 0;
  mssCache = 0;
  writeSeq = 0;
  pushedSeq = 0;
  sndSsthresh = 0;
  /** Nagle: end of the last partial segment sent (Minshall). */
  sndSml = 0;
  /** TCP_NAGLE_* bits. */
  nonagle = 0;
  isCwndLimited = false;
  lsndtime = 0;
  /** Timestamp to send is jiffies plus this. */
  tsoffset = 0;

  /** Smoothed round-trip time, 8 × ms. */
  srtt = 0;

  // Windows.
  rcvSsthresh = 0;
  rcvWscale = 0;
  sndWscale = 0;

  // Loss recovery (tcp-fastretrans.ts, tcp-retransmit.ts).
  /** Segment from which tcpXmitRetransmitQueue goes on. */
  retransmitHint: SkBuff | null = null;

  /** The last of the segments beyond rcvNxt, linked in order of sequence number (tcp-ofo.ts). */
  ofoTail: SkBuff | null = null;

  /** ECN: TCP_ECN_* bits and what tcp-ecn.ts keeps above them; 0 when the connection does without. */
  ecnFlags = 0;
  /** Fast Open: the listener, while this one is on its list of those that wait for their last ACK. */
  fastopenRsk: TcpSk | null = null;
  /** Totals that may leave 32 bits (TCP_INFO). */
  bytesAcked = 0;
  bytesReceived = 0;
  readonly icsk: InetConnectionSock;
  poolNext: Pooled | null = null;

  constructor(cold: number, caOps: TcpCongestionOps) {
    this.cold = cold;
    this.icsk = new InetConnectionSock(cold, caOps);
  }
}

let tcpSocks: Pool<TcpSock>;

/** Only the part starts this timer. Linux: tcp_pace_kick(). */
function paceKick(index: number): void {
  tcpPacing!.kick(index);
}

/** Words of the cold fields of so many connections and listeners. */
export function tcpSockWords(count: number): number {
  return count * TP_WORDS;
}

/** Builds the pool. Boot time only. */
export function tcpSockInit(count: number, caOps: TcpCongestionOps): void {
  const cold = wordTable("tcp_sock", count * TP_WORDS);
  tcpSocks = poolCreate("tcp_sock", count, (index) => {
    const row = cold + index * TP_WORDS;
    initTimer(row + ICSK_RETRANSMIT_TIMER, tcpWriteTimer, 0);
    initTimer(row + ICSK_DELACK_TIMER, tcpDelackTimer, 0);
    initTimer(row + ICSK_KEEPALIVE_TIMER, tcpKeepaliveTimer, 0);
    initTimer(row + TP_PACING_TIMER, paceKick, 0);
    return new TcpSock(row, caOps);
  });
}

function icskReset(icsk: InetConnectionSock): void {
  icsk.ackPending = icsk.ackQuick = icsk.ackPingpong = icsk.ackAto = 0;
  icsk.ackTimeout = icsk.ackLrcvtime = icsk.ackRcvMss = 0;
  icsk.rto = icsk.pending = icsk.timeout = icsk.retransmits = icsk.backoff = 0;
  icsk.caState = TCP_CA_OPEN;
  icsk.pmtuCookie = 0;
  icsk.acceptHead = icsk.acceptTail = null;
  icsk.listener = null;
}

function tcpSockReset(tp: TcpSock): void {
  tp.predFlags = tp.rcvNxt = tp.sndUna = tp.copiedSeq = tp.rcvWnd = tp.rcvWup = 0;
  tp.tcpHeaderLen = TCP_HLEN;
  tp.tstampOk = tp.sawTstamp = false;
  tp.tsRecent = tp.rcvTsval = tp.rcvTsecr = tp.rcvTstamp = tp.rcvRttSeq = tp.rcvRttTsecr = 0;
  tp.sndNxt = tp.sndWnd = tp.sndWl1 = tp.sndCwnd = tp.packetsOut = 0;
  tp.lostOut = tp.retransOut = tp.sackedOut = 0;
  tp.mssCache = tp.writeSeq = tp.pushedSeq = tp.sndSsthresh = 0;
  tp.sndSml = tp.nonagle = 0;
  tp.isCwndLimited = false;
  tp.lsndtime = tp.tsoffset = tp.srtt = 0;
  tp.rcvSsthresh = tp.rcvWscale = tp.sndWscale = 0;
  tp.retransmitHint = null;
  tp.fastopenRsk = null;
  tp.bytesAcked = tp.bytesReceived = 0;
  const cold = tp.cold;
  words.fill(0, cold, cold + TP_RESET_END);
  words[cold + TP_REORDERING] = 3;
  words[cold + ICSK_BIND_HASH] = -1;
  tcpRecoveryReset(tp);
}

/** Loss recovery as for a new connection. */
export function tcpRecoveryReset(tp: TcpSock): void {
  const cold = tp.cold;
  words.fill(0, cold + TP_REC, cold + TP_REC_END);
  words[cold + TP_MIN_RTT] = RTT_UNKNOWN;
  words[cold + TP_REO_WND_STEPS] = 1;
}

/** What counts for one connection of a sock, as for a new one: urgent data and TCP_INFO's totals. */
export function tcpStatsReset(tp: TcpSock): void {
  tp.ecnFlags = tp.rcvRttTsecr = 0;
  tp.bytesAcked = tp.bytesReceived = 0;
  words.fill(0, tp.cold + TP_STATS, tp.cold + TP_STATS_END);
}

/** Takes both parts for a sock; false when the pool is empty. Every field is at its default. */
export function tcpPartsAlloc(sk: TcpSk): boolean {
  const tp = poolAlloc(tcpSocks);
  if (tp === null) return false;
  icskReset(tp.icsk);
  tcpSockReset(tp);
  sk.icsk = tp.icsk;
  sk.tp = tp;
  return true;
}

export function tcpPartsFree(sk: TcpSk): void {
  poolFree(tcpSocks, sk.tp);
}

/** Connections and listeners there are. Linux: sk_sockets_allocated_read_positive(). */
export function tcpSocketsAllocated(): number {
  return tcpSocks.inUse;
}
