/**
 * TCP options: reading those of a segment and writing ours, in Linux's order. Linux: tcp_parse_options() of
 * net/ipv4/tcp_input.c, tcp_options_write() of net/ipv4/tcp_output.c. Read first: RFC 9293 section 3.1 (format, MSS),
 * RFC 7323 (window scale, timestamps), RFC 2018 (SACK). Owns `rxOpt`, the one record of what the last segment parsed
 * carried.
 */
import { account } from "../../lib/account.ts";
import { memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import { TCP_MSS_DEFAULT } from "../../uapi/tcp.ts";
import type { NetnsIpv4 } from "../core/netns-ipv4.ts";
import type { SkBuff } from "../core/skbuff.ts";
import {
  TCP_HLEN, TCPHDR_DOFF_MASK, TCPHDR_DOFF_SHIFT, TCPHDR_SYN, TCPOLEN_EXP_FASTOPEN_BASE, TCPOLEN_FASTOPEN_BASE, TCPOLEN_MSS, TCPOLEN_MSS_ALIGNED, TCPOLEN_SACK_BASE,
  TCPOLEN_SACK_PERBLOCK, TCPOLEN_SACK_PERM, TCPOLEN_SACKPERM_ALIGNED, TCPOLEN_TIMESTAMP, TCPOLEN_TSTAMP_ALIGNED,
  TCPOLEN_WINDOW, TCPOLEN_WSCALE_ALIGNED, TCPOPT_EOL, TCPOPT_EXP, TCPOPT_FASTOPEN, TCPOPT_FASTOPEN_MAGIC, TCPOPT_MSS, TCPOPT_NOP, TCPOPT_SACK, TCPOPT_SACK_PERM,
  TCPOPT_TIMESTAMP, TCPOPT_TSTAMP_WORD, TCPOPT_WINDOW, TH_OFF_FLAGS, TH_OPTIONS,
} from "../wire/tcp.ts";
import { TP_SACK_OK } from "./tcp-cold.ts";
import type { TcpSock } from "./tcp-sock.ts";

/** Largest window shift (RFC 7323 section 2.3). Linux: TCP_MAX_WSCALE. */
export const TCP_MAX_WSCALE = 14;

/** Bytes of a Fast Open cookie (RFC 7413 section 4.1.1). */
const TCP_FASTOPEN_COOKIE_MIN = 4;
const TCP_FASTOPEN_COOKIE_MAX = 16;

/** Bits that say which options a SYN or SYN-ACK of ours carries beside the MSS. Linux: OPTION_*. */
export const OPTION_SACK_ADVERTISE = 1;
export const OPTION_TS = 2;
export const OPTION_WSCALE = 8;

const MSS_WORD = (TCPOPT_MSS << 24) | (TCPOLEN_MSS << 16);
const SACKPERM_TS_WORD = (TCPOPT_SACK_PERM << 24) | (TCPOLEN_SACK_PERM << 16) | (TCPOPT_TIMESTAMP << 8)
  | TCPOLEN_TIMESTAMP;
const SACKPERM_WORD = (TCPOPT_NOP << 24) | (TCPOPT_NOP << 16) | (TCPOPT_SACK_PERM << 8) | TCPOLEN_SACK_PERM;
const WSCALE_WORD = (TCPOPT_NOP << 24) | (TCPOPT_WINDOW << 16) | (TCPOLEN_WINDOW << 8);

/** What a segment carried. Linux: the received part of struct tcp_options_received. */
export class TcpOptionsReceived {
  sawTstamp = false;
  /** Values as on the wire: the offset of our own timestamps is still in rcvTsecr. */
  rcvTsval = 0;
  rcvTsecr = 0;
  /** SACK blocks: their number and the offset of the first in the arena. */
  numSacks = 0;
  sackOffset = 0;
  /** In a SYN: the peer's MSS as it named it, 0 when it did not. */
  mss = 0;
  wscaleOk = false;
  sndWscale = 0;
  /** In a SYN: SACK is permitted. */
  sackOk = false;
  /** In a SYN: bytes of the Fast Open cookie, 0 when one is asked for, -1 without the option; where it lies. */
  foLen = -1;
  foOffset = 0;
  /** The option came in its experimental form (RFC 7413 appendix A). */
  foExp = false;
}

/** The record that callers of tcpParseOptions() share; valid until the next segment is parsed. */
export let rxOpt: TcpOptionsReceived;

/** Boot time only. */
export function tcpOptionsInit(): void {
  rxOpt = account("tcp", new TcpOptionsReceived());
}

/** Sets the record to a segment without options. Linux: tcp_clear_options(). */
function tcpClearOptions(rx: TcpOptionsReceived): void {
  rx.sawTstamp = false;
  rx.rcvTsval = rx.rcvTsecr = 0;
  rx.numSacks = 0;
  rx.sackOffset = 0;
  rx.mss = 0;
  rx.wscaleOk = rx.sackOk = false;
  rx.sndWscale = 0;
  rx.foLen = -1;
}

/** Notes a Fast Open option; a length that is odd or no cookie's does not count. Linux: tcp_parse_fastopen_option(). */
function parseFastopen(rx: TcpOptionsReceived, offset: number, length: number, exp: boolean): void {
  if ((length & 1) !== 0 || (length !== 0 && (length < TCP_FASTOPEN_COOKIE_MIN || length > TCP_FASTOPEN_COOKIE_MAX))) return;
  rx.foLen = length;
  rx.foOffset = offset;
  rx.foExp = exp;
}

/**
 * Reads the options of the segment at skb.th, whose header is whole. Linux: tcp_parse_options().
 * @param established of the connection in the states beyond SYN_RECV, else null: then net.ipv4.tcp_timestamps decides
 *   what counts, and MSS, window scale and SACK-permitted are taken where they belong, from segments with SYN
 * @param sysctl of the namespace; may be null for an established connection
 */
export function tcpParseOptions(
  skb: SkBuff, rx: TcpOptionsReceived, established: TcpSock | null, sysctl: NetnsIpv4 | null,
): void {
  tcpClearOptions(rx);
  const view = memView;
  const th = skb.th;
  const word = view.getUint16(th + TH_OFF_FLAGS);
  const syn = (word & TCPHDR_SYN) !== 0 && established === null;
  const tstampOk = established !== null ? established.tstampOk : sysctl!.tcpTimestamps !== 0;
  const end = th + ((word & TCPHDR_DOFF_MASK) >> TCPHDR_DOFF_SHIFT);
  let at = th + TH_OPTIONS;
  while (at < end) {
    const kind = view.getUint8(at);
    if (kind === TCPOPT_EOL) return;
    if (kind === TCPOPT_NOP) {
      at++;
      continue;
    }
    // What is left is too short for a length, or the length is wrong: the rest means nothing.
    if (at + 1 >= end) return;
    const length = view.getUint8(at + 1);
    if (length < 2 || at + length > end) return;
    switch (kind) {
      case TCPOPT_MSS:
        if (length === TCPOLEN_MSS && syn) rx.mss = view.getUint16(at + 2);
        break;
      case TCPOPT_WINDOW:
        if (length === TCPOLEN_WINDOW && syn && sysctl!.tcpWindowScaling !== 0) {
          const shift = view.getUint8(at + 2);
          rx.wscaleOk = true;
          rx.sndWscale = shift > TCP_MAX_WSCALE ? TCP_MAX_WSCALE : shift;
        }
        break;
      case TCPOPT_TIMESTAMP:
        if (length === TCPOLEN_TIMESTAMP && tstampOk) {
          rx.sawTstamp = true;
          rx.rcvTsval = view.getInt32(at + 2);
          rx.rcvTsecr = view.getInt32(at + 6);
        }
        break;
      case TCPOPT_SACK_PERM:
        if (length === TCPOLEN_SACK_PERM && syn && sysctl!.tcpSack !== 0) rx.sackOk = true;
        break;
      case TCPOPT_FASTOPEN:
        if (syn) parseFastopen(rx, at + 2, length - TCPOLEN_FASTOPEN_BASE, false);
        break;
      case TCPOPT_EXP:
        if (syn && length >= TCPOLEN_EXP_FASTOPEN_BASE && view.getUint16(at + 2) === TCPOPT_FASTOPEN_MAGIC) {
          parseFastopen(rx, at + 4, length - TCPOLEN_EXP_FASTOPEN_BASE, true);
        }
        break;
      case TCPOPT_SACK:
        if (
          established !== null && words[established.cold + TP_SACK_OK] !== 0 && length >= TCPOLEN_SACK_BASE + TCPOLEN_SACK_PERBLOCK
          && (length - TCPOLEN_SACK_BASE) % TCPOLEN_SACK_PERBLOCK === 0
        ) {
          rx.numSacks = (length - TCPOLEN_SACK_BASE) >> 3;
          rx.sackOffset = at + 2;
        }
        break;
    }
    at += length;
  }
}

/**
 * Reads the options of a segment of an established connection into tp.sawTstamp, tp.rcvTsval and tp.rcvTsecr (our
 * offset taken off the echo) and, when it must parse, into `rxOpt`. The usual form, timestamps and nothing else, is
 * read without parsing. Linux: tcp_fast_parse_options().
 * @returns whether anything was parsed: then the SACK blocks are in `rxOpt`; without options it is false
 */
export function tcpFastParseOptions(skb: SkBuff, tp: TcpSock): boolean {
  const th = skb.th;
  const length = (memView.getUint16(th + TH_OFF_FLAGS) & TCPHDR_DOFF_MASK) >> TCPHDR_DOFF_SHIFT;
  if (length === TCP_HLEN) {
    tp.sawTstamp = false;
    rxOpt.numSacks = 0;
    return false;
  }
  if (
    length === TCP_HLEN + TCPOLEN_TSTAMP_ALIGNED && tp.tstampOk
    && memView.getInt32(th + TH_OPTIONS) === TCPOPT_TSTAMP_WORD
  ) {
    tp.sawTstamp = true;
    tp.rcvTsval = memView.getInt32(th + TH_OPTIONS + 4);
    const echo = memView.getInt32(th + TH_OPTIONS + 8);
    tp.rcvTsecr = echo === 0 ? 0 : (echo - tp.tsoffset) | 0;
    rxOpt.numSacks = 0;
    return true;
  }
  tcpParseOptions(skb, rxOpt, tp, null);
  tp.sawTstamp = rxOpt.sawTstamp;
  if (rxOpt.sawTstamp) {
    tp.rcvTsval = rxOpt.rcvTsval;
    tp.rcvTsecr = rxOpt.rcvTsecr === 0 ? 0 : (rxOpt.rcvTsecr - tp.tsoffset) | 0;
  }
  return true;
}

/**
 * The peer's MSS option against a limit of ours (0 for none); without the option it is 536 (RFC 9293 section 3.7.1).
 */
export function tcpMssClamp(rx: TcpOptionsReceived, userMss: number): number {
  const mss = rx.mss === 0 ? TCP_MSS_DEFAULT : rx.mss;
  return userMss !== 0 && userMss < mss ? userMss : mss;
}

/** Writes the aligned timestamp option, 12 bytes: NOP NOP kind length, our value, the echo. */
export function tcpWriteTimestampOption(offset: number, tsval: number, tsecr: number): void {
  const view = memView;
  view.setInt32(offset, TCPOPT_TSTAMP_WORD);
  view.setInt32(offset + 4, tsval);
  view.setInt32(offset + 8, tsecr);
}

/**
 * Bytes that a SYN or SYN-ACK with these OPTION_* bits needs for options, the MSS always among them. Linux:
 * tcp_syn_options().
 */
export function tcpSynOptions(options: number): number {
  let size = TCPOLEN_MSS_ALIGNED;
  if ((options & OPTION_TS) !== 0) size += TCPOLEN_TSTAMP_ALIGNED;
  else if ((options & OPTION_SACK_ADVERTISE) !== 0) size += TCPOLEN_SACKPERM_ALIGNED;
  if ((options & OPTION_WSCALE) !== 0) size += TCPOLEN_WSCALE_ALIGNED;
  return size;
}

/** Which options the sysctls allow a SYN of ours, as OPTION_* bits. */
export function tcpSynOptionBits(sysctl: NetnsIpv4): number {
  return (sysctl.tcpTimestamps !== 0 ? OPTION_TS : 0) | (sysctl.tcpWindowScaling !== 0 ? OPTION_WSCALE : 0)
    | (sysctl.tcpSack !== 0 ? OPTION_SACK_ADVERTISE : 0);
}

/**
 * Writes the options of a SYN or SYN-ACK: MSS; SACK-permitted and timestamps in one block, or either; window scale.
 * Linux: tcp_options_write().
 * @returns the offset behind them, `tcpSynOptions(options)` bytes on
 */
export function tcpWriteSynOptions(
  offset: number, options: number, mss: number, wscale: number, tsval: number, tsecr: number,
): number {
  const view = memView;
  let at = offset;
  view.setInt32(at, MSS_WORD | mss);
  at += TCPOLEN_MSS_ALIGNED;
  if ((options & OPTION_TS) !== 0) {
    tcpWriteTimestampOption(at, tsval, tsecr);
    if ((options & OPTION_SACK_ADVERTISE) !== 0) view.setInt32(at, SACKPERM_TS_WORD);
    at += TCPOLEN_TSTAMP_ALIGNED;
  } else if ((options & OPTION_SACK_ADVERTISE) !== 0) {
    view.setInt32(at, SACKPERM_WORD);
    at += TCPOLEN_SACKPERM_ALIGNED;
  }
  if ((options & OPTION_WSCALE) !== 0) {
    view.setInt32(at, WSCALE_WORD | wscale);
    at += TCPOLEN_WSCALE_ALIGNED;
  }
  return at;
}
