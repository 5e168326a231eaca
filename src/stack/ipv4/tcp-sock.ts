/**
 * inet_connection_sock and tcp_sock: the control block of a connection, hot fields first, in groups named for who reads
 * them. Linux: include/net/inet_connection_sock.h, include/linux/tcp.h. Owns their pools; the behaviour is in
 * inet-connection-sock.ts and the tcp-*.ts files. Sequence numbers are signed int32, times jiffies unless named otherwise.
 */
import { type Pool, type Pooled, poolAlloc, poolCreate, poolFree } from "../../lib/pool.ts";
import { Timer } from "../../lib/timer.ts";
import { SkbQueue } from "../core/skb-queue.ts";
import type { SkBuff } from "../core/skbuff.ts";
import type { InetSk } from "./inet-sock.ts";
import type { TcpCongestionOps } from "./tcp-cong.ts";

/** A sock with a connection (inet_csk(sk)). */
export interface InetCsk extends InetSk {
  icsk: InetConnectionSock;
}

/** A TCP sock (tcp_sk(sk)). */
export interface TcpSk extends InetCsk {
  tp: TcpSock;
}

/** icskAck.pending bits. Linux: enum inet_csk_ack_state_t. */
export const ICSK_ACK_SCHED = 1;
export const ICSK_ACK_TIMER = 2;
export const ICSK_ACK_PUSHED = 4;
export const ICSK_ACK_PUSHED2 = 8;
export const ICSK_ACK_NOW = 16;

/** icsk.pending: what the one retransmit timer stands for. */
export const ICSK_TIME_RETRANS = 1;
export const ICSK_TIME_DACK = 2;
export const ICSK_TIME_PROBE0 = 3;
export const ICSK_TIME_LOSS_PROBE = 5;
export const ICSK_TIME_REO_TIMEOUT = 6;

export class InetConnectionSock implements Pooled {
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
  ackLastSegSize = 0;
  /** Retransmission timeout, ms. */
  rto = 0;
  /** ICSK_TIME_* that `retransmitTimer` stands for; 0 for none. */
  pending = 0;
  timeout = 0;
  retransmits = 0;
  backoff = 0;
  /** TCP_CA_* */
  caState = 0;
  caOps: TcpCongestionOps;
  /** Path MTU the MSS was computed from. */
  pmtuCookie = 0;
  synRetries = 0;
  probesOut = 0;
  /** TCP_USER_TIMEOUT in ms, 0 for none. */
  userTimeoutMs = 0;
  /** Start of unanswered zero-window probing. */
  probesTstamp = 0;
  retransmitTimer: Timer<TcpSk> = new Timer<TcpSk>();
  delackTimer: Timer<TcpSk> = new Timer<TcpSk>();
  /** Keepalive, FIN_WAIT2 and orphan timer (sk->sk_timer). */
  keepaliveTimer: Timer<TcpSk> = new Timer<TcpSk>();
  /** Accept queue: connections whose handshake is complete, linked by Sock.hashNext. */
  acceptHead: TcpSk | null = null;
  acceptTail: TcpSk | null = null;
  /** Requests of this listener (SYN queue length). */
  reqskQlen = 0;
  /** First request of this listener's SYN queue, -1 for none. */
  reqskHead = -1;
  /** TCP_DEFER_ACCEPT as a number of SYN-ACK periods. */
  deferAccept = 0;
  /** Listener: parent of a connection that was not accepted yet. */
  listener: TcpSk | null = null;
  /** Bind bucket of the local port, -1 for none. */
  bindHash = -1;
  poolNext: Pooled | null = null;

  constructor(caOps: TcpCongestionOps) {
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
  /** Options: timestamps on (RFC 7323), the last values, and the echo. */
  tstampOk = false;
  tsRecent = 0;
  rcvTsval = 0;
  rcvTsecr = 0;
  sawTstamp = false;
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
  sndCwndCnt = 0;
  sndCwndClamp = 0;
  /** Nagle: end of the last partial segment sent (Minshall). */
  sndSml = 0;
  /** TCP_NAGLE_* bits. */
  nonagle = 0;
  isCwndLimited = false;
  maxPacketsOut = 0;
  maxPacketsSeq = 0;
  lsndtime = 0;
  sndCwndStamp = 0;
  /** Timestamp to send is jiffies plus this. */
  tsoffset = 0;

  // Round-trip time, RFC 6298 with Linux's rttvar; srtt is 8 × ms, mdev and rttvar 4 × ms.
  srtt = 0;
  mdev = 0;
  mdevMax = 0;
  rttvar = 0;
  rttSeq = 0;

  // Windows and MSS.
  maxWindow = 0;
  windowClamp = 0;
  rcvSsthresh = 0;
  rcvWscale = 0;
  sndWscale = 0;
  wscaleOk = false;
  sackOk = false;
  advmss = 0;
  /** TCP_MAXSEG of the program; 0 for none. */
  userMss = 0;
  /** MSS option of the peer. */
  mssClamp = 0;
  xmitSizeGoal = 0;
  /** jiffies when tsRecent was stored. */
  tsRecentStamp = 0;

  // Loss recovery (tcp-recovery part of tcp-input).
  highSeq = 0;
  retransStamp = 0;
  undoMarker = 0;
  undoRetrans = 0;
  priorSsthresh = 0;
  priorCwnd = 0;
  reordering = 3;
  totalRetrans = 0;
  /** Segment from which tcpXmitRetransmitQueue goes on. */
  retransmitHint: SkBuff | null = null;
  lostSkbHint: SkBuff | null = null;

  /** Segments beyond rcvNxt, in order of sequence number. */
  outOfOrderQueue: SkbQueue = new SkbQueue();
  // SACK blocks to report: the most recent first (start, end).
  numSacks = 0;
  sackStart0 = 0;
  sackEnd0 = 0;
  sackStart1 = 0;
  sackEnd1 = 0;
  sackStart2 = 0;
  sackEnd2 = 0;
  sackStart3 = 0;
  sackEnd3 = 0;

  // Connection setup, close, keepalive.
  sndIsn = 0;
  rcvIsn = 0;
  keepaliveTimeMs = 0;
  keepaliveIntvlMs = 0;
  keepaliveProbes = 0;
  /** FIN_WAIT2 time in ms; 0 = sysctl, negative = none. */
  linger2 = 0;
  urgData = 0;
  urgSeq = 0;
  sndUp = 0;
  rcvTstampStamp = 0;
  lastOowAckTime = 0;
  /** The last ACK or segment with data arrived here (keepalive). */
  rcvTstampMs = 0;
  notsentLowat = 0;
  bytesAcked = 0;
  bytesReceived = 0;
  segsIn = 0;
  segsOut = 0;
  poolNext: Pooled | null = null;
}

let icsks: Pool<InetConnectionSock>;
let tcpSocks: Pool<TcpSock>;

/** Builds both pools. Boot time only. */
export function tcpSockInit(count: number, caOps: TcpCongestionOps): void {
  icsks = poolCreate("inet_connection_sock", count, () => new InetConnectionSock(caOps));
  tcpSocks = poolCreate("tcp_sock", count, () => new TcpSock());
}

/** Takes both parts for a sock; false (and none taken) when a pool is empty. Every field is at its default. */
export function tcpPartsAlloc(sk: TcpSk): boolean {
  const icsk = poolAlloc(icsks);
  if (icsk === null) return false;
  const tp = poolAlloc(tcpSocks);
  if (tp === null) {
    poolFree(icsks, icsk);
    return false;
  }
  sk.icsk = icsk;
  sk.tp = tp;
  return true;
}

export function tcpPartsFree(sk: TcpSk): void {
  poolFree(icsks, sk.icsk);
  poolFree(tcpSocks, sk.tp);
}
