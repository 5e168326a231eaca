/**
 * SYN cookies: a half-open connection that lives in its sequence number and timestamp instead of in memory, for when the
 * SYN queue is full. Linux: net/ipv4/syncookies.c. Read first: RFC 4987 section 3.6, Bernstein's "SYN cookies" (1996).
 * Owns the two secrets.
 *
 *     ISN = H0(tuple) + peer's ISN + minute << 24 + (H1(tuple, minute) + index of the MSS) mod 2^24
 *
 * The low six bits of the first timestamp tell what the peer's SYN offered besides: bits 0..3 its window shift (15: none),
 * bit 4 SACK, bit 5 ECN. The peer echoes them with its ACK. Without timestamps these options are not granted.
 * While a cookie is made or taken back, the request is the spare row of request-sock.ts.
 */
import { memView } from "../../lib/memory.ts";
import { secretTable } from "../../lib/random.ts";
import { siphash4u32 } from "../../lib/siphash.ts";
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import { LINUX_MIB_SYNCOOKIESFAILED, LINUX_MIB_SYNCOOKIESRECV, LINUX_MIB_SYNCOOKIESSENT } from "../../uapi/snmp.ts";
import { dstRelease } from "../core/dst.ts";
import type { NetnsIpv4 } from "../core/netns-ipv4.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { IP_HLEN, IPH_DADDR, IPH_SADDR } from "../wire/ip.ts";
import { TCPHDR_ACK, TCPHDR_RST, TH_SPORT } from "../wire/tcp.ts";
import { inetCskReqskQueueAdd, inetCskRouteReq } from "./inet-connection-sock.ts";
import { ehashReqBase, inetNodeSetKey } from "./inet-hashtables.ts";
import { ipOptions } from "./ip-parts.ts";
import {
  REQ_ECN_OK, REQ_INFO, REQ_IP_OPTIONS, REQ_RCV_ISN, REQ_SACK_OK, REQ_SND_ISN, REQ_TS_OFFSET, REQ_TS_RECENT, REQ_TSTAMP_OK, REQ_WORDS,
  REQ_WSCALE_OK, reqRows, reqskDropOptions, reqskMss, reqskSet, reqskSpare,
} from "./request-sock.ts";
import { TP_TS_RECENT_STAMP } from "./tcp-cold.ts";
import { tcpV4SynRecvSock } from "./tcp-ipv4-open.ts";
import { tcpOpenreqInitRwin } from "./tcp-openreq.ts";
import { rxOpt, type TcpOptionsReceived, tcpParseOptions } from "./tcp-options.ts";
import { type SyncookieOps, tcpEcn } from "./tcp-parts.ts";
import { secureTcpTsOff } from "./tcp-secure-seq.ts";
import type { TcpSk } from "./tcp-sock.ts";

/** A cookie holds for this minute and the one before. */
const MAX_SYNCOOKIE_AGE = 2;
const TCP_SYNCOOKIE_PERIOD_MS = 60_000;
const TCP_SYNCOOKIE_VALID_MS = MAX_SYNCOOKIE_AGE * TCP_SYNCOOKIE_PERIOD_MS;
const COOKIEBITS = 24;
const COOKIEMASK = 0xffffff;
/** MSS values that a cookie can hold: those common on the internet (RFC 4987 names their few bits). */
const msstab: readonly number[] = Object.freeze([536, 1300, 1440, 1460]);

const TSBITS = 6;
const TSMASK = 63;
const TS_OPT_WSCALE_MASK = 15;
const TS_OPT_SACK = 16;
const TS_OPT_ECN = 32;

/** Words of the key. */
export const SYNCOOKIE_WORDS = 4;
/** Where in `words` the key of both hashes is; the minute enters the second one inverted, so that it is never the 0 of the first. */
let synSecret = 0;

/** Makes the secret. Boot time only, after randomInit. */
export function syncookiesInit(): void {
  synSecret = secretTable("syncookie_secret", SYNCOOKIE_WORDS);
}

/** The minute since boot; when the clock wraps after 49 days, the cookies under way are lost. Linux: tcp_cookie_time(). */
function cookieTime(): number {
  return ((jiffies >>> 0) / TCP_SYNCOOKIE_PERIOD_MS) | 0;
}

/** Linux: secure_tcp_syn_cookie(). @param data index of the MSS @param ports of the peer and ours, 16 bits each */
function secureTcpSynCookie(saddr: number, daddr: number, ports: number, sseq: number, data: number): number {
  const count = cookieTime();
  const tail = (siphash4u32(saddr, daddr, ports, ~count, words, synSecret) + data) & COOKIEMASK;
  return (siphash4u32(saddr, daddr, ports, 0, words, synSecret) + sseq + (count << COOKIEBITS) + tail) | 0;
}

/** What a cookie carries, or -1 when it is too old; a forged one gives any number. Linux: check_tcp_syn_cookie(). */
function checkTcpSynCookie(cookie: number, saddr: number, daddr: number, ports: number, sseq: number): number {
  const count = cookieTime();
  const bare = (cookie - siphash4u32(saddr, daddr, ports, 0, words, synSecret) - sseq) | 0;
  const age = (count - (bare >>> COOKIEBITS)) & 0xff;
  if (age >= MAX_SYNCOOKIE_AGE) return -1;
  return (bare - siphash4u32(saddr, daddr, ports, ~(count - age), words, synSecret)) & COOKIEMASK;
}

/** The timestamp of the SYN-ACK: the last moment that ends in the options. Linux: cookie_init_timestamp(). */
function cookieInitTimestamp(info: number): number {
  const now = jiffies;
  const options = ((info & REQ_WSCALE_OK) !== 0 ? info & TS_OPT_WSCALE_MASK : TS_OPT_WSCALE_MASK)
    | ((info & REQ_SACK_OK) !== 0 ? TS_OPT_SACK : 0) | ((info & REQ_ECN_OK) !== 0 ? TS_OPT_ECN : 0);
  const ts = (now & ~TSMASK) | options;
  return ((ts - now) | 0) > 0 ? (ts - (1 << TSBITS)) | 0 : ts;
}

/**
 * Makes the request in the spare row one that needs no memory: its sequence number is a cookie, its timestamp holds its
 * options. Linux: cookie_v4_init_sequence().
 */
function cookieV4InitSequence(sk: TcpSk, skb: SkBuff, req: number): void {
  const view = memView;
  const at = reqRows + req * REQ_WORDS;
  const mss = reqskMss(req);
  let index = msstab.length - 1;
  while (index > 0 && mss < msstab[index]!) index--;
  const ports = (view.getUint16(skb.th + TH_SPORT) << 16) | sk.inet.num;
  words[at + REQ_SND_ISN] = secureTcpSynCookie(
    view.getInt32(skb.nh + IPH_SADDR), view.getInt32(skb.nh + IPH_DADDR), ports, skb.seq, index,
  );
  const info = words[at + REQ_INFO]!;
  if ((info & REQ_TSTAMP_OK) !== 0) words[at + REQ_TS_OFFSET]! += cookieInitTimestamp(info) - jiffies;
  // A listener has no timestamp of its own: the field says when it last had to use cookies (tcp_synq_overflow).
  words[sk.tp.cold + TP_TS_RECENT_STAMP] = jiffies === 0 ? 1 : jiffies;
  sk.net.mib[LINUX_MIB_SYNCOOKIESSENT]!++;
}

/** No cookie was sent for so long that none can be valid. Linux: tcp_synq_no_recent_overflow(). */
function noRecentOverflow(sk: TcpSk): boolean {
  const stamp = words[sk.tp.cold + TP_TS_RECENT_STAMP]!;
  if (stamp === 0) return true;
  const age = (jiffies - stamp) | 0;
  return age < 0 || age > TCP_SYNCOOKIE_VALID_MS;
}

/**
 * The options of the SYN as REQ_* bits and window shift, out of the echoed timestamp; -1 when they cannot be ours.
 * Linux: cookie_timestamp_decode().
 */
function cookieTimestampDecode(sysctl: NetnsIpv4, rx: TcpOptionsReceived, echo: number): number {
  if (!rx.sawTstamp) return 0;
  if (sysctl.tcpTimestamps === 0) return -1;
  let info = REQ_TSTAMP_OK;
  if ((echo & TS_OPT_SACK) !== 0) {
    if (sysctl.tcpSack === 0) return -1;
    info |= REQ_SACK_OK;
  }
  if ((echo & TS_OPT_ECN) !== 0 && sysctl.tcpEcn !== 0 && tcpEcn !== null) info |= REQ_ECN_OK;
  const shift = echo & TS_OPT_WSCALE_MASK;
  if (shift === TS_OPT_WSCALE_MASK) return info;
  return sysctl.tcpWindowScaling === 0 ? -1 : info | REQ_WSCALE_OK | shift;
}

/**
 * A segment without SYN for a listener: when it acknowledges a cookie, the connection. Linux: cookie_v4_check().
 * @returns the new sock, in the accept queue and still to be given the segment; the listener itself when it is no cookie
 *   of ours (a reset answers); null when a queue or pool is full. The segment stays the caller's.
 */
function cookieV4Check(sk: TcpSk, skb: SkBuff): TcpSk | null {
  const net = sk.net;
  const sysctl = net.ipv4;
  const view = memView;
  if (sysctl.tcpSyncookies === 0 || (skb.tcpFlags & (TCPHDR_ACK | TCPHDR_RST)) !== TCPHDR_ACK) return sk;
  if (noRecentOverflow(sk)) return sk;
  const cookie = (skb.ackSeq - 1) | 0;
  const rcvIsn = (skb.seq - 1) | 0;
  const saddr = view.getInt32(skb.nh + IPH_SADDR);
  const daddr = view.getInt32(skb.nh + IPH_DADDR);
  const sport = view.getUint16(skb.th + TH_SPORT);
  const data = checkTcpSynCookie(cookie, saddr, daddr, (sport << 16) | sk.inet.num, rcvIsn);
  if (data < 0 || data >= msstab.length) {
    net.mib[LINUX_MIB_SYNCOOKIESFAILED]!++;
    return sk;
  }
  net.mib[LINUX_MIB_SYNCOOKIESRECV]!++;
  tcpParseOptions(skb, rxOpt, null, sysctl);
  const offset = rxOpt.sawTstamp ? secureTcpTsOff(net, daddr, saddr) : 0;
  const info = cookieTimestampDecode(sysctl, rxOpt, (rxOpt.rcvTsecr - offset) | 0);
  if (info < 0) return sk;
  const req = reqskSpare(sk, msstab[data]!);
  const at = reqRows + req * REQ_WORDS;
  words[at + REQ_SND_ISN] = cookie;
  words[at + REQ_RCV_ISN] = rcvIsn;
  words[at + REQ_TS_RECENT] = rxOpt.rcvTsval;
  words[at + REQ_TS_OFFSET] = offset;
  words[at + REQ_INFO] = info;
  inetNodeSetKey(ehashReqBase + req, net, daddr, sk.inet.num, saddr, sport, sk.boundDevIf);
  if (skb.th - skb.nh > IP_HLEN && ipOptions !== null && ipOptions.keepEcho(net, skb, ~req)) reqskSet(req, REQ_IP_OPTIONS);
  const rt = inetCskRouteReq(sk, req, daddr, saddr, sport);
  let child: TcpSk | null = null;
  if (rt !== null) {
    tcpOpenreqInitRwin(req, sk, rt);
    dstRelease(rt);
    child = tcpV4SynRecvSock(sk, skb, req);
  }
  reqskDropOptions(req);
  return child === null ? null : inetCskReqskQueueAdd(sk, child);
}

/** What listeners find of it, in tcp-parts.ts. */
export const syncookieOps: SyncookieOps = Object.freeze({ init: cookieV4InitSequence, check: cookieV4Check });
