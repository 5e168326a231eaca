/**
 * What TCP can do without: parts that linnet/tcp starts, and that a program of linnet/tcp-client or linnet/tcp-server lists or leaves
 * out. Each is a table of functions here, null while it is not there; an option of a part that is not there is -ENOPROTOOPT.
 * Linux has some of them as CONFIG_ options (TCP_MD5SIG, SYN_COOKIES), the others always.
 */
import type { Net } from "../core/net.ts";
import type { SkBuff } from "../core/skbuff.ts";
import type { Sock } from "../core/sock.ts";
import type { Msghdr } from "../core/sockaddr.ts";
import type { TcpOptionsReceived } from "./tcp-options.ts";
import type { TcpSk, TcpSock } from "./tcp-sock.ts";

/** Listeners, and connections that others open (tcp-listen.ts). */
export interface TcpListenOps {
  /** The listener that fits best, or null. */
  lookup(net: Net, daddr: number, dport: number, saddr: number, sport: number, dif: number): TcpSk | null;
  /** Takes a segment of no known connection if there is a listener for it: was there? */
  receive(net: Net, skb: SkBuff): boolean;
  /** Takes a segment for a half-open connection. */
  request(net: Net, req: number, skb: SkBuff): void;
  /** The listener of a half-open connection. */
  listenerOf(req: number): TcpSk;
  /** A SYN that may begin a new connection in the place of one in TIME_WAIT: takes both if there is a listener for it. */
  timewait(net: Net, tw: number, skb: SkBuff): boolean;
  /** An ICMP error about the SYN-ACK with that sequence number. @param abort it is a lasting one */
  error(req: number, seq: number, abort: boolean): void;
  /** Enters a listener into the listening hash, takes it out. */
  hash(sk: TcpSk): void;
  unhash(sk: TcpSk): void;
  /** listen() and accept(). */
  listen(sk: Sock, backlog: number): number;
  accept(sk: Sock): TcpSk | number;
  /** The listener closes, and what waits for it ends. */
  stop(sk: TcpSk): void;
}

/** SYN cookies (syncookies.ts). */
export interface SyncookieOps {
  /** The request in the spare row becomes a cookie. */
  init(sk: TcpSk, skb: SkBuff, req: number): void;
  /** The connection that a segment for a listener makes, the listener itself when it makes none, null when there is no room for it. */
  check(sk: TcpSk, skb: SkBuff): TcpSk | null;
}

/** TCP Fast Open: the client (tcp-fastopen-client.ts) and the server (tcp-fastopen.ts). */
export interface FastopenOps {
  /** May data go with the SYN to the peer? */
  cookieCheck(sk: TcpSk): boolean;
  /** Sends the SYN, with what is to go with it. */
  sendSyn(sk: TcpSk): void;
  /** A write that connects: 0 when connected already, -EINPROGRESS, or another negative errno. */
  sendmsg(sk: TcpSk, msg: Msghdr, length: number): number;
  /** The SYN-ACK has come. @returns whether data was sent again */
  synack(sk: TcpSk, skb: SkBuff): boolean;
  /** Bytes of the option in the SYN or SYN-ACK at hand; writes it. */
  optionSize(synack: boolean): number;
  writeOption(offset: number, synack: boolean): void;
  /** listen(). */
  listen(sk: TcpSk, backlog: number): void;
  /** The connection that a SYN opens at once, or null. */
  tryOpen(sk: TcpSk, skb: SkBuff, req: number, rx: TcpOptionsReceived): TcpSk | null;
  /** A sock with a `fastopenRsk` has its last ACK, or ends. */
  remove(sk: TcpSk): void;
  /** The sock ends. */
  forgetKey(sk: TcpSk): void;
  /** TCP_FASTOPEN, TCP_FASTOPEN_KEY, TCP_FASTOPEN_CONNECT; their values, but for the key. */
  set(sk: TcpSk, name: number, value: number, opt: Uint8Array | Int32Array | null): number;
  value(sk: TcpSk, name: number): number;
  getKey(sk: TcpSk, out: Uint8Array | Int32Array): number;
}

/** MD5 signatures (tcp-md5.ts). A key is a number, -1 for none; owners are as there. */
export interface TcpMd5Ops {
  /**
   * Has a segment the signature that it must have? @param node as inetLookupEstablished() answers
   * @returns false when the segment was dropped
   */
  accept(net: Net, skb: SkBuff, node: number): boolean;
  lookup(owner: number, addr: number): number;
  copy(from: number, to: number, addr: number): boolean;
  release(owner: number): void;
  sign(key: number, saddr: number, daddr: number, th: number, length: number, at: number): void;
  /** The key for a reset that answers a segment without a sock; -1 for none, -2 when there must be no reset. */
  resetKey(net: Net, skb: SkBuff): number;
  /** Bytes of the signature in each segment of a connection. */
  room(sk: TcpSk): number;
  /** TCP_MD5SIG, TCP_MD5SIG_EXT. */
  set(sk: TcpSk, name: number, opt: Uint8Array | Int32Array | null): number;
}

/** Delivery rates (tcp-rate.ts), where they are measured. */
export interface TcpRateOps {
  /** A connection begins. */
  reset(sk: TcpSk): void;
  /** A segment of the write queue is sent, and acknowledged. */
  sent(sk: TcpSk, skb: SkBuff): void;
  delivered(sk: TcpSk, skb: SkBuff): void;
  /** An ACK is taken in that acknowledged so many segments. */
  gen(sk: TcpSk, delivered: number): void;
  /** The program writes. */
  write(sk: TcpSk): void;
}

/** TCP_INFO (tcp-info.ts). */
export interface TcpInfoOps {
  /** Elements written. */
  get(sk: TcpSk, out: Uint8Array | Int32Array): number;
}

/** What MtuProbeOps.probe() answers: none went and none is due, one is due but must wait. */
export const MTU_PROBE_NONE = -1;
export const MTU_PROBE_WAIT = 0;

/** Path MTU probing (tcp-mtu-probe.ts); all but the first and the third only while a sock searches (tcpMtupSearching). */
export interface MtuProbeOps {
  /** A connection begins to carry data, ends. */
  init(sk: TcpSk): void;
  release(sk: TcpSk): void;
  /** Retransmissions go unanswered. */
  blackHole(sk: TcpSk): void;
  /** A payload of at most `mss` that is known to pass. */
  bound(sk: TcpSk, pmtu: number, mss: number): number;
  /** Sends a probe if one is due: MTU_PROBE_NONE, MTU_PROBE_WAIT, or 1. */
  probe(sk: TcpSk): number;
  /** Data was acknowledged. */
  acked(sk: TcpSk): void;
  /** Something was lost: was it the probe alone? */
  lost(sk: TcpSk): boolean;
  /** Something is sent again. */
  inconclusive(sk: TcpSk): void;
}

/** Socket options that few programs ask for (tcp-sockopt-more.ts): -ENOPROTOOPT for any other. */
export interface TcpSockoptOps {
  set(sk: TcpSk, name: number, value: number, opt: Uint8Array | Int32Array | null): number;
  value(sk: TcpSk, name: number): number;
  /** TCP_CONGESTION: elements written. */
  congestion(sk: TcpSk, out: Uint8Array | Int32Array): number;
}

/** What a sender waited for (tcp-chrono.ts): TCP_CHRONO_* begins, ends. */
export interface TcpChronoOps {
  start(tp: TcpSock, type: number): void;
  stop(sk: TcpSk, type: number): void;
}

/** Segments leave no faster than SO_MAX_PACING_RATE lets them (tcp-pacing.ts). */
export interface TcpPacingOps {
  /** Must the next segment wait? */
  check(sk: TcpSk): boolean;
  /** A segment with so many bytes has left, with a rate set. */
  sent(sk: TcpSk, length: number): void;
  /** The timer of a sock. */
  kick(index: number): void;
}

/** Urgent data (tcp-urgent.ts); all but the first and read() only while there is some: TP_URG_DATA or TP_SND_UP is not 0. */
export interface TcpUrgentOps {
  /** An accepted segment, header not yet pulled. */
  receive(sk: TcpSk, skb: SkBuff): void;
  /** recv(MSG_OOB). */
  read(sk: TcpSk, msg: Msghdr, length: number, flags: number): number;
  /** Is the urgent byte next? */
  atMark(tp: TcpSock): boolean;
  /** How many of `used` bytes from `seq` on may be read in one go. */
  limit(sk: TcpSk, seq: number, used: number): number;
  /** What is written last is urgent. */
  mark(sk: TcpSk): void;
  /** Has the peer still to acknowledge urgent data? */
  mode(tp: TcpSock): boolean;
  /** The urgent pointer of a segment that begins at `seq`, 0 for none. */
  pointer(tp: TcpSock, seq: number): number;
}

/** Explicit congestion notification (tcp-ecn.ts); the last eight only for a connection that has it: its ecnFlags are not 0. */
export interface TcpEcnOps {
  /** The flags of our SYN, of our SYN-ACK in a simultaneous open or a fast one. */
  sendSyn(sk: TcpSk, flags: number): number;
  sendSynack(tp: TcpSock, flags: number): number;
  /** A SYN goes again. */
  clearSyn(sk: TcpSk, skb: SkBuff): void;
  /** Does a SYN for a listener ask for it, and may it have it? */
  createRequest(sk: TcpSk, skb: SkBuff): boolean;
  /** The flags of the answer to our SYN, of a SYN that crossed ours. */
  rcvSynack(tp: TcpSock, flags: number): void;
  rcvSyn(tp: TcpSock, flags: number): void;
  /** Does an ACK echo a mark? So many segments are delivered by one that does. */
  echoes(tp: TcpSock, flags: number): boolean;
  delivered(tp: TcpSock, segments: number): void;
  /** The flags of a segment that leaves. */
  send(sk: TcpSk, skb: SkBuff, payload: number, flags: number): number;
  /** The window was reduced; that is undone. */
  queueCwr(tp: TcpSock): void;
  withdrawCwr(tp: TcpSock): void;
  /** Data has come. */
  acceptCwr(sk: TcpSk, skb: SkBuff): void;
  checkCe(sk: TcpSk, skb: SkBuff): void;
}

/** Receive buffers that grow (tcp-rcvbuf.ts). */
export interface TcpRcvbufOps {
  /** A connection begins. */
  init(sk: TcpSk): void;
  /** Data has come that fills the window up to rcvRttSeq, that has an echo other than rcvRttTsecr. */
  window(tp: TcpSock, end: number): void;
  echo(sk: TcpSk, length: number): void;
  /** The program has read. */
  read(sk: TcpSk, tp: TcpSock): void;
}

/** RACK (tcp-recovery.ts) and tail loss probes (tcp-tlp.ts): losses that time tells. */
export interface TcpRackOps {
  /** A segment sent at `when` was delivered. */
  advance(tp: TcpSock, sacked: number, endSeq: number, when: number): void;
  /** An ACK is taken in: marks what is lost. @returns whether the timer now waits for more */
  markLost(sk: TcpSk): boolean;
  /** An ACK comes: the reordering window follows what D-SACKs have told. */
  updateReoWnd(sk: TcpSk): void;
  /** At the retransmission timeout: is it too early to count the segment as lost? */
  early(tp: TcpSock, skb: SkBuff): boolean;
  /** The timer ICSK_TIME_REO_TIMEOUT, ICSK_TIME_LOSS_PROBE fires. */
  reoTimeout(sk: TcpSk): void;
  probe(sk: TcpSk): void;
  /** Times a probe in the place of the RTO. @returns whether there is one to be timed */
  schedule(sk: TcpSk, advancing: boolean): boolean;
  /** An ACK comes while a probe is on its way: TP_TLP_HIGH_SEQ is not 0. */
  probed(sk: TcpSk, ack: number, flag: number): void;
}

/** What TcpUndoOps.frto() answers: the timeout was spurious, and that is undone. */
export const FRTO_UNDONE = -1;

/** Reductions of the window that turn out needless (tcp-undo.ts), and what tells that: D-SACK, timestamps, F-RTO. */
export interface TcpUndoOps {
  /** The first SACK block of an ACK may be a D-SACK. @returns FLAG_*, with FLAG_DSACKING_ACK if it is one */
  checkDsack(sk: TcpSk, ack: number, priorUna: number): number;
  /** All that was in flight at a loss is acknowledged. */
  recovery(sk: TcpSk): void;
  /** An ACK comes outside of Loss: was every retransmission needless? */
  dsack(sk: TcpSk): boolean;
  /** A partial ACK comes in Recovery. @returns whether to wait and see */
  partial(sk: TcpSk, priorUna: number): boolean;
  /** A partial ACK comes in Loss. @param frto it is known to undo */
  loss(sk: TcpSk, frto: boolean): boolean;
  /** An ACK comes in Loss while TP_FRTO is set. @returns FRTO_UNDONE, FLAG_REXMIT_NEW, or 0 */
  frto(sk: TcpSk, flag: number, dupacks: number): number;
}

export let tcpListening: TcpListenOps | null = null;
export let tcpSyncookies: SyncookieOps | null = null;
export let tcpFastopen: FastopenOps | null = null;
export let tcpMd5: TcpMd5Ops | null = null;
/** Keys in use: while there is none no segment needs a look. Linux: the static key tcp_md5_needed. */
export let tcpMd5Keys = 0;

export let tcpRates: TcpRateOps | null = null;
export let tcpInfo: TcpInfoOps | null = null;
export let tcpMtuProbes: MtuProbeOps | null = null;
/** Socks that search for their path MTU: while there is none, nothing needs a look. */
export let tcpMtupSearching = 0;
export let tcpSockopts: TcpSockoptOps | null = null;
export let tcpChrono: TcpChronoOps | null = null;
export let tcpPacing: TcpPacingOps | null = null;
export let tcpUrgent: TcpUrgentOps | null = null;
export let tcpEcn: TcpEcnOps | null = null;
export let tcpRack: TcpRackOps | null = null;
export let tcpUndo: TcpUndoOps | null = null;
export let tcpRcvbuf: TcpRcvbufOps | null = null;
/** Most bytes a receive buffer may grow to (the maximum of net.ipv4.tcp_rmem); 0: buffers stay as they begin. */
export let tcpRmemMax = 0;

/** Boot: no part is there. */
export function tcpPartsInit(): void {
  tcpListening = null;
  tcpSyncookies = null;
  tcpFastopen = null;
  tcpMd5 = null;
  tcpMd5Keys = 0;
  tcpRates = null;
  tcpInfo = null;
  tcpMtuProbes = null;
  tcpMtupSearching = 0;
  tcpSockopts = null;
  tcpChrono = null;
  tcpPacing = null;
  tcpUrgent = null;
  tcpEcn = null;
  tcpRack = null;
  tcpUndo = null;
  tcpRcvbuf = null;
  tcpRmemMax = 0;
}

export function registerTcpListening(ops: TcpListenOps): void {
  tcpListening = ops;
}

export function registerSyncookies(ops: SyncookieOps): void {
  tcpSyncookies = ops;
}

export function registerFastopen(ops: FastopenOps): void {
  tcpFastopen = ops;
}

export function registerTcpMd5(ops: TcpMd5Ops): void {
  tcpMd5 = ops;
}

/** So many keys more, or less. */
export function tcpMd5KeysAdd(count: number): void {
  tcpMd5Keys += count;
}

export function registerTcpRates(ops: TcpRateOps): void {
  tcpRates = ops;
}

export function registerTcpInfo(ops: TcpInfoOps): void {
  tcpInfo = ops;
}

export function registerMtuProbes(ops: MtuProbeOps): void {
  tcpMtuProbes = ops;
}

/** So many socks more that search, or less. */
export function tcpMtupSearchingAdd(count: number): void {
  tcpMtupSearching += count;
}

export function registerTcpSockopts(ops: TcpSockoptOps): void {
  tcpSockopts = ops;
}

export function registerTcpChrono(ops: TcpChronoOps): void {
  tcpChrono = ops;
}

export function registerTcpPacing(ops: TcpPacingOps): void {
  tcpPacing = ops;
}

export function registerTcpUrgent(ops: TcpUrgentOps): void {
  tcpUrgent = ops;
}

export function registerTcpEcn(ops: TcpEcnOps): void {
  tcpEcn = ops;
}

/** @param rmemMax most bytes a buffer may grow to */
export function registerTcpRcvbuf(ops: TcpRcvbufOps, rmemMax: number): void {
  tcpRcvbuf = ops;
  tcpRmemMax = rmemMax;
}

export function registerTcpRack(ops: TcpRackOps): void {
  tcpRack = ops;
}

export function registerTcpUndo(ops: TcpUndoOps): void {
  tcpUndo = ops;
}
