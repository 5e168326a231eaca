/**
 * inet_connection_sock and tcp_sock: the control block of a connection, hot fields first, in groups named for who reads
 * them. Linux: include/net/inet_connection_sock.h, include/linux/tcp.h. Owns their pools; the behaviour is in
 * inet-connection-sock.ts and the tcp-*.ts files. Sequence numbers are signed int32, times jiffies unless named otherwise.
 */
import { type Pool, type Pooled, poolAlloc, poolCreate, poolFree } from "../../lib/pool.ts";
import { Timer } from "../../lib/timer.ts";
import { SkbQueue } from "../core/skb-queue.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { TCP_CA_OPEN } from "../../uapi/tcp.ts";
import { TCP_HLEN } from "../wire/tcp.ts";
import type { InetSk } from "./inet-sock.ts";
import { CA_PRIV_WORDS, type TcpCongestionOps } from "./tcp-cong.ts";
import { TcpRecovery, tcpRecoveryReset } from "./tcp-recovery-state.ts";

/** A sock with a connection (inet_csk(sk)). */
export interface InetCsk extends InetSk {
  icsk: InetConnectionSock;
}

/** A TCP sock (tcp_sk(sk)). */
export interface TcpSk extends InetCsk {
  tp: TcpSock;
}

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
  /** State of the congestion control. */
  caPriv: Int32Array = new Int32Array(CA_PRIV_WORDS);
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
  /** Those of them whose SYN-ACK was not repeated yet. */
  reqskYoung = 0;
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
  /** Most segments in flight since sndCwndStamp (RFC 2861). */
  sndCwndUsed = 0;
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
  /** jiffies when tsRecent was stored. */
  tsRecentStamp = 0;

  // Loss recovery (tcp-fastretrans.ts, tcp-retransmit.ts).
  highSeq = 0;
  retransStamp = 0;
  priorCwnd = 0;
  reordering = 3;
  totalRetrans = 0;
  /** Segments delivered and segments marked lost since the start; their growth drives PRR (RFC 6937). */
  delivered = 0;
  lost = 0;
  prrDelivered = 0;
  prrOut = 0;
  /** Segment from which tcpXmitRetransmitQueue goes on. */
  retransmitHint: SkBuff | null = null;
  /** SACK, RACK, tail loss probe, undo. */
  rec: TcpRecovery = new TcpRecovery();

  /** Segments beyond rcvNxt, in order of sequence number. */
  outOfOrderQueue: SkbQueue = new SkbQueue();

  // Connection setup, close, keepalive.
  keepaliveTimeMs = 0;
  keepaliveIntvlMs = 0;
  keepaliveProbes = 0;
  /** FIN_WAIT2 time in ms; 0 = sysctl, negative = none. */
  linger2 = 0;
  /** When a segment outside the window was last answered (0: never), for the limit of RFC 5961's challenge ACKs. */
  lastOowAckTime = 0;
  /** The FIN that close or shutdown asked for waits for a packet buffer. */
  finPending = false;
  /** When the neighbour was last told that the peer answers. */
  confirmStamp = 0;
  /** Unsent bytes from which on no more are taken (TCP_NOTSENT_LOWAT); 0 for no limit. */
  notsentLowat = 0;
  /** ECN: TCP_ECN_* bits and what tcp-ecn.ts keeps above them; 0 when the connection does without. */
  ecnFlags = 0;
  /** Urgent data received: the byte with a TCP_URG_* bit, 0 for none, and its number; sent: the number behind the byte. */
  urgData = 0;
  urgSeq = 0;
  sndUp = 0;
  /** Fast Open: most socks that may wait for their last ACK, how many do (listener); the listener while this one does. */
  fastopenMaxQlen = 0;
  fastopenQlen = 0;
  fastopenRsk: TcpSk | null = null;
  /** The client: FASTOPEN_REQ_*; TCP_FASTOPEN_CONNECT is set; connect() waits for the first write. */
  fastopenReq = 0;
  fastopenConnect = false;
  deferConnect = false;
  /** Our SYN carried the option, in its experimental form, and data, so many bytes. */
  synFastopen = false;
  synFastopenExp = false;
  synData = false;
  synDataCopied = 0;
  /** The data of a SYN was taken (TCPI_OPT_SYN_DATA). */
  synDataAcked = false;
  bytesAcked = 0;
  bytesReceived = 0;
  segsIn = 0;
  segsOut = 0;

  // TCP_INFO only.
  dataSegsIn = 0;
  dataSegsOut = 0;
  bytesRetrans = 0;
  rcvOoopack = 0;
  totalRto = 0;
  totalRtoRecoveries = 0;
  totalRtoTime = 0;
  /** When the last series of timeouts began. */
  rtoStamp = 0;
  /** The running TCP_CHRONO_* clock, since when, and the totals in ms. */
  chronoType = 0;
  chronoStart = 0;
  chronoBusy = 0;
  chronoRwnd = 0;
  chronoSndbuf = 0;
  poolNext: Pooled | null = null;
}

let icsks: Pool<InetConnectionSock>;
let tcpSocks: Pool<TcpSock>;

/** Builds both pools. Boot time only. */
export function tcpSockInit(count: number, caOps: TcpCongestionOps): void {
  defaultCaOps = caOps;
  icsks = poolCreate("inet_connection_sock", count, () => new InetConnectionSock(caOps));
  tcpSocks = poolCreate("tcp_sock", count, () => new TcpSock());
}

let defaultCaOps: TcpCongestionOps;

function icskReset(icsk: InetConnectionSock): void {
  icsk.ackPending = icsk.ackQuick = icsk.ackPingpong = icsk.ackAto = 0;
  icsk.ackTimeout = icsk.ackLrcvtime = icsk.ackRcvMss = icsk.ackLastSegSize = 0;
  icsk.rto = icsk.pending = icsk.timeout = icsk.retransmits = icsk.backoff = 0;
  icsk.caState = TCP_CA_OPEN;
  icsk.caOps = defaultCaOps;
  icsk.pmtuCookie = icsk.synRetries = icsk.probesOut = icsk.userTimeoutMs = icsk.probesTstamp = 0;
  icsk.acceptHead = icsk.acceptTail = null;
  icsk.reqskQlen = icsk.reqskYoung = 0;
  icsk.deferAccept = 0;
  icsk.listener = null;
  icsk.bindHash = -1;
}

function tcpSockReset(tp: TcpSock): void {
  tp.predFlags = tp.rcvNxt = tp.sndUna = tp.copiedSeq = tp.rcvWnd = tp.rcvWup = 0;
  tp.tcpHeaderLen = TCP_HLEN;
  tp.tstampOk = tp.sawTstamp = false;
  tp.tsRecent = tp.rcvTsval = tp.rcvTsecr = tp.rcvTstamp = 0;
  tp.sndNxt = tp.sndWnd = tp.sndWl1 = tp.sndCwnd = tp.packetsOut = 0;
  tp.lostOut = tp.retransOut = tp.sackedOut = 0;
  tp.mssCache = tp.writeSeq = tp.pushedSeq = 0;
  tp.sndSsthresh = tp.sndCwndCnt = tp.sndCwndClamp = 0;
  tp.sndSml = tp.nonagle = 0;
  tp.isCwndLimited = false;
  tp.maxPacketsOut = tp.maxPacketsSeq = tp.lsndtime = tp.sndCwndStamp = tp.sndCwndUsed = tp.tsoffset = 0;
  tp.srtt = tp.mdev = tp.mdevMax = tp.rttvar = tp.rttSeq = 0;
  tp.maxWindow = tp.windowClamp = tp.rcvSsthresh = tp.rcvWscale = tp.sndWscale = 0;
  tp.wscaleOk = tp.sackOk = false;
  tp.advmss = tp.userMss = tp.mssClamp = tp.tsRecentStamp = 0;
  tp.highSeq = tp.retransStamp = tp.priorCwnd = 0;
  tp.reordering = 3;
  tp.totalRetrans = tp.delivered = tp.lost = tp.prrDelivered = tp.prrOut = 0;
  tp.retransmitHint = null;
  tcpRecoveryReset(tp.rec);
  tp.keepaliveTimeMs = tp.keepaliveIntvlMs = tp.keepaliveProbes = tp.linger2 = 0;
  tp.lastOowAckTime = 0;
  tp.finPending = false;
  tp.confirmStamp = tp.notsentLowat = 0;
  tp.fastopenMaxQlen = tp.fastopenQlen = 0;
  tp.fastopenRsk = null;
  tp.fastopenReq = 0;
  tp.fastopenConnect = tp.deferConnect = false;
  tcpStatsReset(tp);
}

/** What counts for one connection of a sock: urgent data and TCP_INFO's totals. */
export function tcpStatsReset(tp: TcpSock): void {
  tp.urgData = tp.urgSeq = tp.sndUp = 0;
  tp.ecnFlags = 0;
  tp.synDataAcked = false;
  tp.synFastopen = tp.synFastopenExp = tp.synData = false;
  tp.synDataCopied = 0;
  tp.bytesAcked = tp.bytesReceived = tp.segsIn = tp.segsOut = 0;
  tp.dataSegsIn = tp.dataSegsOut = tp.bytesRetrans = tp.rcvOoopack = 0;
  tp.totalRto = tp.totalRtoRecoveries = tp.totalRtoTime = tp.rtoStamp = 0;
  tp.chronoType = tp.chronoStart = tp.chronoBusy = tp.chronoRwnd = tp.chronoSndbuf = 0;
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
  icskReset(icsk);
  tcpSockReset(tp);
  sk.icsk = icsk;
  sk.tp = tp;
  return true;
}

export function tcpPartsFree(sk: TcpSk): void {
  poolFree(icsks, sk.icsk);
  poolFree(tcpSocks, sk.tp);
}
