/**
 * FTP through NAT: what the control connection announces is written as the other side can reach it. Linux: net/netfilter/nf_nat_ftp.c.
 * Owns the text that is being written.
 *
 * Read first: RFC 3022 section 4.4, RFC 959 section 4.1.2, RFC 2428.
 */
import { account } from "../../lib/account.ts";
import { words } from "../../lib/table.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { EXP_F_NAT, EXP_FLAGS } from "./nf-conntrack-expect.ts";
import type { CtHelper } from "./nf-conntrack-helper.ts";
import { TUPLE_DADDR, TUPLE_WORDS } from "./nf-conntrack-table.ts";
import { FTP_EPRT, FTP_EPSV } from "./nf-ftp-parse.ts";
import { nfNatExpectPort, nfNatMangle } from "./nf-nat-helper.ts";

/** "255,255,255,255,255,255" and "|1|255.255.255.255|65535|". */
const TEXT_BYTES = 25;
const BAR = 0x7c;
const COMMA = 0x2c;
const DOT = 0x2e;
const ZERO = 0x30;

let text: Uint8Array;
let textLength = 0;

/** Boot time. */
export function nfNatFtpInit(): void {
  text = account("nf_nat_ftp", new Uint8Array(TEXT_BYTES));
}

function putChar(c: number): void {
  text[textLength++] = c;
}

function putNumber(value: number): void {
  let unit = 1;
  while (value >= unit * 10) unit *= 10;
  for (; unit >= 1; unit = Math.floor(unit / 10)) putChar(ZERO + (Math.floor(value / unit) % 10));
}

function putAddress(addr: number, separator: number): void {
  for (let shift = 24; shift >= 0; shift -= 8) {
    putNumber((addr >>> shift) & 0xff);
    if (shift > 0) putChar(separator);
  }
}

/** Linux: nf_nat_ftp_fmt_cmd(). */
function writeText(kind: number, addr: number, port: number): void {
  textLength = 0;
  if (kind === FTP_EPRT || kind === FTP_EPSV) {
    putChar(BAR);
    if (kind === FTP_EPRT) putChar(ZERO + 1);
    putChar(BAR);
    if (kind === FTP_EPRT) putAddress(addr, DOT);
    putChar(BAR);
    putNumber(port);
    putChar(BAR);
    return;
  }
  putAddress(addr, COMMA);
  putChar(COMMA);
  putNumber(port >> 8);
  putChar(COMMA);
  putNumber(port & 0xff);
}

/**
 * Expects what was announced, and writes where. Linux: nf_nat_ftp().
 * @param exp filled in, its port as it was announced @param at, length of the text in the arena
 * @returns false when there is no port or no room: the row stays the caller's
 */
export function nfNatFtp(
  skb: SkBuff, row: number, direction: number, exp: number, helper: CtHelper, kind: number, at: number, length: number,
): boolean {
  words[exp + EXP_FLAGS]! |= EXP_F_NAT;
  const port = nfNatExpectPort(exp, row, helper);
  if (port === 0) return false;
  writeText(kind, words[row + (1 - direction) * TUPLE_WORDS + TUPLE_DADDR]!, port);
  return nfNatMangle(skb, row, direction, at, length, text, textLength);
}
