/**
 * Where FTP's control connection says that data goes: PORT and EPRT of the client, the answers 227 and 229 of the server. Linux:
 * net/netfilter/nf_conntrack_ftp.c find_pattern(), try_*(). Owns what was found last.
 *
 * Read first: RFC 959 section 4.1.2 (PORT, PASV), RFC 2428 (EPRT, EPSV).
 */
import { mem8 } from "../../lib/memory.ts";

/** Kinds of what announces. Linux: enum nf_ct_ftp_type. */
export const FTP_PORT = 0;
export const FTP_PASV = 1;
export const FTP_EPRT = 2;
export const FTP_EPSV = 3;

/** What a line begins with, in capitals, by kind: "PORT", "227 ", "EPRT", "229 ". */
const WORDS: readonly number[] = Object.freeze([0x504f5254, 0x32323720, 0x45505254, 0x32323920]);
const WORD_BYTES = 4;
const CR = 0x0d;
const SPACE = 0x20;
const OPEN = 0x28;
const COMMA = 0x2c;
const DOT = 0x2e;
const ZERO = 0x30;
const LOWER = 0x20;
/** The first and last character that may divide the parts of EPRT and EPSV (RFC 2428 section 2). */
const DELIMITER_MIN = 33;
const DELIMITER_MAX = 126;

/** What was found: kind, address and port; where it stands in the arena, and its bytes. */
export let ftpKind = 0;
export let ftpAddress = 0;
export let ftpPort = 0;
export let ftpAt = 0;
export let ftpLength = 0;
/** Value of the numbers read last: an address, or an address and behind it a port. */
let numberHigh = 0;
let numberLow = 0;

function isDigit(c: number): boolean {
  return c >= ZERO && c <= ZERO + 9;
}

/**
 * Reads numbers with a separator between them, up to a closing character, 0 for any. Linux: try_number().
 * @param count of them; the first four make numberHigh, the others numberLow @returns bytes up to the closing one; 0 when it is not so
 */
function readNumbers(at: number, end: number, count: number, separator: number, close: number): number {
  let n = 0;
  let value = 0;
  numberHigh = numberLow = 0;
  for (let i = at; i < end && n < count; i++) {
    const c = mem8[i]!;
    if (isDigit(c)) {
      value = (value * 10 + c - ZERO) | 0;
      continue;
    }
    if (c !== separator && ((close !== 0 && c !== close) || n !== count - 1)) return 0;
    if (n < 4) numberHigh = (numberHigh << 8) | value;
    else numberLow = (numberLow << 8) | value;
    value = 0;
    if (c !== separator) return i - at;
    n++;
  }
  return 0;
}

/** "1,2,3,4,5,6". Linux: try_rfc959(). @returns its bytes, 0 */
function readPort(at: number, end: number, close: number): number {
  const length = readNumbers(at, end, 6, COMMA, close);
  if (length === 0) return 0;
  ftpAddress = numberHigh;
  ftpPort = numberLow & 0xffff;
  return length;
}

/** A port up to the delimiter. Linux: get_port(). @returns bytes from `at` to behind it, 0 */
function readDelimited(at: number, start: number, end: number, delimiter: number): number {
  let port = 0;
  for (let i = start; i < end; i++) {
    const c = mem8[i]!;
    if (c === delimiter) {
      if (port === 0) return 0;
      ftpPort = port;
      return i + 1 - at;
    }
    if (!isDigit(c)) return 0;
    port = (port * 10 + c - ZERO) & 0xffff;
  }
  return 0;
}

function isDelimiter(c: number): boolean {
  return !isDigit(c) && c >= DELIMITER_MIN && c <= DELIMITER_MAX;
}

/** "|1|1.2.3.4|5|". Linux: try_eprt(). */
function readEprt(at: number, end: number): number {
  if (end - at <= 3) return 0;
  const delimiter = mem8[at]!;
  if (!isDelimiter(delimiter) || mem8[at + 2] !== delimiter || mem8[at + 1] !== ZERO + 1) return 0;
  const length = readNumbers(at + 3, end, 4, DOT, delimiter);
  if (length === 0) return 0;
  ftpAddress = numberHigh;
  return readDelimited(at, at + 3 + length + 1, end, delimiter);
}

/** "|||5|". Linux: try_epsv_response(). */
function readEpsv(at: number, end: number): number {
  if (end - at <= 3) return 0;
  const delimiter = mem8[at]!;
  if (!isDelimiter(delimiter) || mem8[at + 1] !== delimiter || mem8[at + 2] !== delimiter) return 0;
  return readDelimited(at, at + 3, end, delimiter);
}

/** Reads what stands behind a line's word: sets where it is. */
function readKind(kind: number, at: number, end: number): boolean {
  let start = at;
  let length: number;
  if (kind === FTP_PASV) {
    // Some write it in brackets, others do not (RFC 1123 section 4.1.2.6).
    while (start < end && !isDigit(mem8[start]!)) start++;
    length = start === end ? 0 : readPort(start, end, 0);
  } else if (kind === FTP_PORT) {
    length = readPort(at, end, CR);
  } else {
    length = kind === FTP_EPRT ? readEprt(at, end) : readEpsv(at, end);
  }
  ftpAt = start;
  ftpLength = length;
  return length !== 0;
}

/** Is the word the line's beginning, as far as the line goes? Letters of either case. */
function beginsWith(at: number, length: number, word: number): boolean {
  for (let i = 0; i < length; i++) {
    const c = mem8[at + i]!;
    const wanted = (word >> (24 - (i << 3))) & 0xff;
    if (c !== wanted && (wanted < 0x41 || c !== wanted + LOWER)) return false;
  }
  return true;
}

/** Linux: find_pattern(). @returns 1 found, 0 not, -1 cut off */
function findKind(kind: number, at: number, end: number): number {
  const word = WORDS[kind]!;
  const length = end - at;
  if (length <= WORD_BYTES) return beginsWith(at, length, word) ? -1 : 0;
  if (!beginsWith(at, WORD_BYTES, word)) return 0;
  let start = at + WORD_BYTES;
  if (kind !== FTP_PASV) {
    const skip = kind === FTP_EPSV ? OPEN : SPACE;
    while (mem8[start] !== skip) if (++start >= end) return -1;
    start++;
  }
  ftpKind = kind;
  return readKind(kind, start, end) ? 1 : -1;
}

/**
 * Looks at the beginning of a line. @param direction 0: the client's, 1: the server's @param speaker its address, where the line
 * does not say one @returns 1 found; 0 nothing; -1 when it begins like it and is cut off, or is not well written
 */
export function ftpFind(at: number, end: number, direction: number, speaker: number): number {
  ftpAddress = speaker;
  const first = findKind(direction === 0 ? FTP_PORT : FTP_PASV, at, end);
  return first !== 0 ? first : findKind(direction === 0 ? FTP_EPRT : FTP_EPSV, at, end);
}
