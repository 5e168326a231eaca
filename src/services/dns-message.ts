/**
 * Questions to a name server and its answers, in the scratch buffer. Read first: RFC 1035 section 4, RFC 2308 (no such name),
 * RFC 6891 (EDNS0), RFC 5452 (what an answer must match). Owns nothing.
 */
import { DNS_NAME_BYTES, dnsNameIs, dnsNameRead, dnsNameSkip } from "./dns-name.ts";

export const DNS_HEADER_BYTES = 12;
export const DNS_ID = 0;
export const DNS_FLAGS = 2;
const QDCOUNT = 4;
const ANCOUNT = 6;
const NSCOUNT = 8;
const ARCOUNT = 10;

export const DNS_QR = 0x8000;
export const DNS_AA = 0x0400;
export const DNS_TC = 0x0200;
const OPCODE_MASK = 0x7800;
const DNS_RD = 0x0100;
const RCODE_MASK = 0xf;
export const RCODE_NOERROR = 0;
export const RCODE_FORMERR = 1;
export const RCODE_NXDOMAIN = 3;

export const DNS_TYPE_A = 1;
export const DNS_TYPE_CNAME = 5;
export const DNS_TYPE_SOA = 6;
export const DNS_TYPE_PTR = 12;
const DNS_TYPE_OPT = 41;
export const DNS_CLASS_IN = 1;

/** Behind the name: type, class, TTL and length of the data. */
export const RR_TYPE = 0;
export const RR_CLASS = 2;
export const RR_TTL = 4;
export const RR_RDLENGTH = 8;
export const RR_BYTES = 10;
/** In an SOA's data, behind two names: serial, refresh, retry, expire, minimum. */
const SOA_MINIMUM = 16;
const SOA_BYTES = 20;

/** CNAMEs that one answer may lead through. */
const LONGEST_CHAIN = 8;
/** A day, and for what does not exist three hours: longer TTLs count as these (RFC 2308 section 5). */
const LONGEST_TTL = 86_400;
const LONGEST_NEGATIVE_TTL = 10_800;

/** What an answer says. Kinds: */
export const ANSWER_DATA = 0;
/** No such name, or none of that type; `ttlSec` says how long that may be believed, 0: not at all. */
export const ANSWER_NXDOMAIN = 1;
export const ANSWER_NODATA = 2;
/** A CNAME whose target must be asked for: it is in `target`. */
export const ANSWER_ALIAS = 3;
/** Cut off: to be asked over TCP. */
export const ANSWER_TRUNCATED = 4;
/** The server does not understand the question. */
export const ANSWER_FORMERR = 5;
/** The server cannot or will not answer, or what it sends is malformed. */
export const ANSWER_FAILED = 6;
/** Not the answer to that question. */
export const ANSWER_FOREIGN = -1;

/** Addresses of one answer that are kept. */
export const DNS_ADDRESSES = 8;

/** What was found; filled anew for each question. */
export class DnsAnswer {
  /** Addresses as int32, the first `count` of them. */
  readonly addresses: Int32Array = new Int32Array(DNS_ADDRESSES);
  count = 0;
  /** How long this may be believed, in s. */
  ttlSec = 0;
  /** For PTR: the host's name. */
  name = "";
  /** The name that aliases have led to, or that a PTR names, as in a message. */
  readonly target: Uint8Array = new Uint8Array(DNS_NAME_BYTES);
}

/**
 * Writes a question with recursion desired.
 * @param at where the message begins @param name as in a message @param udpBytes longest answer over UDP for EDNS0; 0: without it
 * @returns bytes of the message
 */
export function dnsPutQuery(
  out: Uint8Array, view: DataView, at: number, id: number, name: Uint8Array, nameBytes: number, type: number, udpBytes: number,
): number {
  for (let i = 0; i < DNS_HEADER_BYTES; i++) out[at + i] = 0;
  view.setUint16(at + DNS_ID, id);
  view.setUint16(at + DNS_FLAGS, DNS_RD);
  view.setUint16(at + QDCOUNT, 1);
  let to = at + DNS_HEADER_BYTES;
  for (let i = 0; i < nameBytes; i++) out[to++] = name[i]!;
  view.setUint16(to, type);
  view.setUint16(to + 2, DNS_CLASS_IN);
  to += 4;
  if (udpBytes > 0) {
    view.setUint16(at + ARCOUNT, 1);
    out[to++] = 0;
    view.setUint16(to + RR_TYPE, DNS_TYPE_OPT);
    view.setUint16(to + RR_CLASS, udpBytes);
    view.setInt32(to + RR_TTL, 0);
    view.setUint16(to + RR_RDLENGTH, 0);
    to += RR_BYTES;
  }
  return to - at;
}

/**
 * Takes an answer apart, into `answer`.
 * @param length bytes of it in the buffer, from its first on @param name of the question, as in a message
 * @param cut has the end of the message been left out? What stands before it counts
 * @returns ANSWER_*
 */
export function dnsReadAnswer(
  bytes: Uint8Array, view: DataView, length: number, id: number, name: Uint8Array, type: number, cut: boolean, answer: DnsAnswer,
): number {
  answer.count = 0;
  answer.ttlSec = LONGEST_TTL;
  answer.name = "";
  if (length < DNS_HEADER_BYTES || view.getUint16(DNS_ID) !== id) return ANSWER_FOREIGN;
  const flags = view.getUint16(DNS_FLAGS);
  if ((flags & DNS_QR) === 0 || (flags & OPCODE_MASK) !== 0) return ANSWER_FOREIGN;
  const rcode = flags & RCODE_MASK;
  const questions = view.getUint16(QDCOUNT);
  // A server that cannot read the question may leave it out.
  if (rcode === RCODE_FORMERR && questions === 0) return ANSWER_FORMERR;
  if (questions !== 1 || !dnsNameIs(bytes, length, DNS_HEADER_BYTES, name, 0)) return ANSWER_FOREIGN;
  const records = dnsNameSkip(bytes, length, DNS_HEADER_BYTES) + 4;
  if (records > length || view.getUint16(records - 4) !== type || view.getUint16(records - 2) !== DNS_CLASS_IN) return ANSWER_FOREIGN;
  if (rcode === RCODE_FORMERR) return ANSWER_FORMERR;
  if (rcode !== RCODE_NOERROR && rcode !== RCODE_NXDOMAIN) return ANSWER_FAILED;
  if ((flags & DNS_TC) !== 0 && !cut) return ANSWER_TRUNCATED;
  return readRecords(bytes, view, length, records, name, type, rcode, cut, answer);
}

/** Where the record behind the name at `at` has its data's end, or -1 when it does not fit. */
function recordEnd(bytes: Uint8Array, view: DataView, length: number, at: number): number {
  const fixed = dnsNameSkip(bytes, length, at);
  if (fixed < 0 || fixed + RR_BYTES > length) return -1;
  const end = fixed + RR_BYTES + view.getUint16(fixed + RR_RDLENGTH);
  return end <= length ? end : -1;
}

/** Seconds; one with its first bit set counts as 0 (RFC 2181 section 8). */
function ttlOf(view: DataView, fixed: number): number {
  const ttl = view.getInt32(fixed + RR_TTL);
  return ttl < 0 ? 0 : ttl;
}

function readRecords(
  bytes: Uint8Array, view: DataView, length: number, from: number, name: Uint8Array, type: number, rcode: number, cut: boolean,
  answer: DnsAnswer,
): number {
  const count = view.getUint16(ANCOUNT);
  let authorities = view.getUint16(NSCOUNT);
  const target = answer.target;
  dnsNameRead(bytes, length, DNS_HEADER_BYTES, target, 0);
  let aliases = 0;
  let at = from;
  for (let i = 0; i < count; i++) {
    const end = recordEnd(bytes, view, length, at);
    if (end < 0) {
      if (!cut) return ANSWER_FAILED;
      authorities = -1;
      break;
    }
    const fixed = dnsNameSkip(bytes, length, at);
    const kind = view.getUint16(fixed + RR_TYPE);
    if (view.getUint16(fixed + RR_CLASS) === DNS_CLASS_IN && dnsNameIs(bytes, length, at, target, 0)) {
      if (kind === type) {
        if (!takeRecord(bytes, view, length, fixed, type, answer)) return ANSWER_FAILED;
        if (type !== DNS_TYPE_A) break;
      } else if (kind === DNS_TYPE_CNAME) {
        if (++aliases > LONGEST_CHAIN || dnsNameRead(bytes, length, fixed + RR_BYTES, target, 0) !== end) return ANSWER_FAILED;
        const ttl = ttlOf(view, fixed);
        if (ttl < answer.ttlSec) answer.ttlSec = ttl;
        // The rest of the chain may stand before it.
        i = -1;
        at = from;
        continue;
      }
    }
    at = end;
  }
  if (answer.count > 0) return ANSWER_DATA;
  // What was asked for may stand in what has been left out.
  if (rcode === RCODE_NOERROR && authorities < 0 && aliases === 0) return ANSWER_FAILED;
  if (rcode === RCODE_NOERROR && aliases > 0 && findSoa(bytes, view, length, at, authorities) < 0) return ANSWER_ALIAS;
  // The aliases that lead there are believed no longer than they say.
  const ttl = negativeTtl(bytes, view, length, at, authorities);
  if (ttl < answer.ttlSec) answer.ttlSec = ttl;
  return rcode === RCODE_NXDOMAIN ? ANSWER_NXDOMAIN : ANSWER_NODATA;
}

/** One record of the type asked for: false when its data is malformed. */
function takeRecord(bytes: Uint8Array, view: DataView, length: number, fixed: number, type: number, answer: DnsAnswer): boolean {
  const data = fixed + RR_BYTES;
  const ttl = ttlOf(view, fixed);
  if (type === DNS_TYPE_A) {
    if (view.getUint16(fixed + RR_RDLENGTH) !== 4) return false;
    if (answer.count < DNS_ADDRESSES) answer.addresses[answer.count++] = view.getInt32(data);
  } else {
    if (dnsNameRead(bytes, length, data, answer.target, 0) !== data + view.getUint16(fixed + RR_RDLENGTH)) return false;
    answer.count = 1;
  }
  if (ttl < answer.ttlSec) answer.ttlSec = ttl;
  return true;
}

/** The first SOA among `count` records of the authority section: where its fixed part is, or -1. */
function findSoa(bytes: Uint8Array, view: DataView, length: number, at: number, count: number): number {
  for (let i = 0; i < count; i++) {
    const end = recordEnd(bytes, view, length, at);
    if (end < 0) return -1;
    const fixed = dnsNameSkip(bytes, length, at);
    if (view.getUint16(fixed + RR_TYPE) === DNS_TYPE_SOA) return fixed;
    at = end;
  }
  return -1;
}

/** How long it may be believed that there is nothing: by the SOA's TTL and its minimum, whichever is less (RFC 2308 section 5). */
function negativeTtl(bytes: Uint8Array, view: DataView, length: number, at: number, count: number): number {
  const fixed = findSoa(bytes, view, length, at, count);
  if (fixed < 0) return 0;
  const end = fixed + RR_BYTES + view.getUint16(fixed + RR_RDLENGTH);
  const mname = dnsNameSkip(bytes, end, fixed + RR_BYTES);
  const rname = mname < 0 ? -1 : dnsNameSkip(bytes, end, mname);
  if (rname < 0 || rname + SOA_BYTES > end) return 0;
  const minimum = view.getInt32(rname + SOA_MINIMUM);
  const ttl = ttlOf(view, fixed);
  const least = minimum < 0 ? 0 : minimum < ttl ? minimum : ttl;
  return least < LONGEST_NEGATIVE_TTL ? least : LONGEST_NEGATIVE_TTL;
}
