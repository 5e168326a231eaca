/**
 * What an mDNS responder says about itself: the host's address, and for each service its type, place and text. Read first: RFC
 * 6762 sections 6, 8 and 10, RFC 6763 sections 4 to 6 and 9. Owns nothing: the claims are the responder's.
 *
 * A record is a bit: four for each claim. The host's are its address, and that its name has nothing else (NSEC); a service's are that
 * the type has this instance, where it is (SRV), its text, and that the type is there at all.
 */
import { DNS_CLASS_IN, DNS_TYPE_A, DNS_TYPE_PTR, RR_BYTES, RR_CLASS, RR_RDLENGTH, RR_TTL, RR_TYPE } from "./dns-message.ts";
import { DNS_NAME_BYTES, dnsNameIs, dnsNameLength, dnsNameRead, dnsNameSkip } from "./dns-name.ts";
import { scratch, scratchView } from "./service.ts";

export const DNS_TYPE_TXT = 16;
export const DNS_TYPE_SRV = 33;
const DNS_TYPE_NSEC = 47;
export const DNS_TYPE_ANY = 255;
/** In the class of a question: the answer may come to the asker alone; of a record: nobody else has such. */
export const MDNS_TOP_BIT = 0x8000;
export const MDNS_CLASS_MASK = 0x7fff;

export const CLAIM_BITS = 4;
/** Most claims, the host's included: their records are the bits of one number. */
export const MOST_CLAIMS = 8;
export const RECORD_BITS = CLAIM_BITS * MOST_CLAIMS;
/** Of services' records those that others may have as well, and those of them that say that a type is there. */
export const SHARED_BITS = 0x99999990 | 0;
export const ENUM_BITS = 0x88888880 | 0;
export const RECORD_PTR = 0;
export const RECORD_SRV = 1;
export const RECORD_TXT = 2;
export const RECORD_ENUM = 3;
/** The host's. */
const RECORD_A = 0;
const RECORD_NSEC = 1;
/** Which types there are, behind the name in an NSEC: of the first 256 in one byte the second, which is A (RFC 4034 section 4.1.2). */
const NSEC_TYPES = 0x000140;
const NSEC_TYPES_BYTES = 3;

/** Seconds: of what depends on the host, and of the rest (RFC 6762 section 10). */
export const HOST_TTL = 120;
const OTHER_TTL = 4500;
/** To who asks from another port nothing is to be remembered for long. */
export const LEGACY_TTL = 10;

/** Bytes of an SRV record's data in front of its target; the port is the last number of them. */
export const SRV_TARGET = 6;
export const SRV_PORT = 4;

/** "_services._dns-sd._udp.local" as in a message. */
const ENUM_NAME: readonly number[] = Object.freeze([
  9, 0x5f, 0x73, 0x65, 0x72, 0x76, 0x69, 0x63, 0x65, 0x73, 7, 0x5f, 0x64, 0x6e, 0x73, 0x2d, 0x73, 0x64, 4, 0x5f, 0x75, 0x64, 0x70,
  5, 0x6c, 0x6f, 0x63, 0x61, 0x6c, 0,
]);

/** States: not there; being asked for whether somebody has the name; being told; known; being taken back. */
export const CLAIM_FREE = 0;
export const CLAIM_PROBE = 1;
export const CLAIM_ANNOUNCE = 2;
export const CLAIM_UP = 3;
export const CLAIM_GOODBYE = 4;

/** A name that is this host's alone, with what belongs to it. */
export class MdnsClaim {
  state = CLAIM_FREE;
  /** Probes or announcements sent, and when the next one is due on the service's clock. */
  sent = 0;
  dueMs = 0;
  /** How often the name was another's; also the number behind the name. */
  conflicts = 0;
  /** As in a message: "board7.local", "Web page._http._tcp.local". */
  readonly name: Uint8Array = new Uint8Array(DNS_NAME_BYTES);
  nameBytes = 0;
  /** The first label as it was wished. */
  label: Uint8Array;
  /** Of a service: its type as in a message, "_http._tcp.local"; port and text. */
  type: Uint8Array;
  port = 0;
  txt: Uint8Array;

  constructor() {
    this.label = this.type = this.txt = new Uint8Array(0);
  }
}

/** What the records are of. */
export interface MdnsSelf {
  /** The host's first. */
  readonly claims: readonly MdnsClaim[];
  readonly addr: number;
  readonly enumName: Uint8Array;
  /** Where a name of a message is read into. */
  readonly browser: { readonly name: Uint8Array };
}

/** The bytes of the name under which types are listed; made once. */
export function createEnumName(): Uint8Array {
  return Uint8Array.from(ENUM_NAME);
}

/** Bits of the records of claims that others may hear of; that a type is there is one record for all its services. */
export function spokenBits(self: MdnsSelf): number {
  let bits = 0;
  for (let c = 0; c < self.claims.length; c++) {
    const { state } = self.claims[c]!;
    if (state !== CLAIM_ANNOUNCE && state !== CLAIM_UP) continue;
    if (c === 0) bits = (1 << RECORD_A) | (1 << RECORD_NSEC);
    else if ((bits & ENUM_BITS) === 0 || (bits & typeBits(self, c)) === 0) bits |= claimBits(c);
    else bits |= claimBits(c) & ~(1 << (c * CLAIM_BITS + RECORD_ENUM));
  }
  return bits;
}

/** Bits of the records, one for each claim of that type, that say that the claim's type is there. */
export function typeBits(self: MdnsSelf, c: number): number {
  const { type } = self.claims[c]!;
  let bits = 0;
  for (let other = 1; other < self.claims.length; other++) {
    const { type: same } = self.claims[other]!;
    if (dnsNameIs(same, same.length, 0, type, 0)) bits |= 1 << (other * CLAIM_BITS + RECORD_ENUM);
  }
  return bits;
}

/** Bits of one claim's records that are told unasked. */
export function claimBits(c: number): number {
  return c === 0 ? 1 << RECORD_A : 15 << (c * CLAIM_BITS);
}

export function recordType(bit: number): number {
  if (bit < CLAIM_BITS) return bit === RECORD_A ? DNS_TYPE_A : DNS_TYPE_NSEC;
  const record = bit & (CLAIM_BITS - 1);
  return record === RECORD_SRV ? DNS_TYPE_SRV : record === RECORD_TXT ? DNS_TYPE_TXT : DNS_TYPE_PTR;
}

/** Seconds that the record may be remembered. */
export function recordTtl(bit: number): number {
  return bit < CLAIM_BITS || (bit & (CLAIM_BITS - 1)) === RECORD_SRV ? HOST_TTL : OTHER_TTL;
}

function recordName(self: MdnsSelf, bit: number): Uint8Array {
  const claim = self.claims[(bit / CLAIM_BITS) | 0]!;
  const record = bit & (CLAIM_BITS - 1);
  if (bit < CLAIM_BITS || record === RECORD_SRV || record === RECORD_TXT) return claim.name;
  return record === RECORD_PTR ? claim.type : self.enumName;
}

/** Which of `bits` a question at `at` asks for; one for what the host's name has not is for its NSEC (section 6.1). */
export function matchQuestion(self: MdnsSelf, length: number, at: number, type: number, bits: number): number {
  let found = 0;
  for (let bit = 0, rest = bits; rest !== 0; bit++, rest >>>= 1) {
    if ((rest & 1) === 0) continue;
    if (bit === RECORD_NSEC ? type === DNS_TYPE_A || type === DNS_TYPE_ANY : type !== DNS_TYPE_ANY && type !== recordType(bit)) continue;
    if (dnsNameIs(scratch, length, at, recordName(self, bit), 0)) found |= 1 << bit;
  }
  return found;
}

/** Bytes of a name, final zero included. */
function putName(at: number, name: Uint8Array): number {
  const length = dnsNameLength(name, 0);
  for (let i = 0; i < length; i++) scratch[at + i] = name[i]!;
  return at + length;
}

/** Writes a record's data at `at`; where it ends. */
function putData(self: MdnsSelf, at: number, bit: number): number {
  if (bit === RECORD_A) {
    scratchView.setInt32(at, self.addr);
    return at + 4;
  }
  if (bit === RECORD_NSEC) {
    const types = putName(at, self.claims[0]!.name);
    scratchView.setInt32(types, NSEC_TYPES << 8);
    return types + NSEC_TYPES_BYTES;
  }
  const claim = self.claims[(bit / CLAIM_BITS) | 0]!;
  switch (bit & (CLAIM_BITS - 1)) {
    case RECORD_PTR:
      return putName(at, claim.name);
    case RECORD_SRV:
      scratchView.setInt32(at, 0);
      scratchView.setUint16(at + SRV_PORT, claim.port);
      return putName(at + SRV_TARGET, self.claims[0]!.name);
    case RECORD_TXT:
      for (let i = 0; i < claim.txt.length; i++) scratch[at + i] = claim.txt[i]!;
      return at + claim.txt.length;
    default:
      return putName(at, claim.type);
  }
}

/** The most that a record can take. */
function recordRoom(self: MdnsSelf, bit: number): number {
  const claim = self.claims[(bit / CLAIM_BITS) | 0]!;
  return 2 * DNS_NAME_BYTES + RR_BYTES + ((bit & (CLAIM_BITS - 1)) === RECORD_TXT ? claim.txt.length : SRV_TARGET);
}

/**
 * Writes a record.
 * @param end of the room @param flush is it to take the place of what others remember? @returns where it ends, or `at` without room
 */
export function putRecord(self: MdnsSelf, at: number, end: number, bit: number, flush: boolean, ttl: number): number {
  if (at + recordRoom(self, bit) > end) return at;
  const fixed = putName(at, recordName(self, bit));
  const data = fixed + RR_BYTES;
  const after = putData(self, data, bit);
  scratchView.setUint16(fixed + RR_TYPE, recordType(bit));
  scratchView.setUint16(fixed + RR_CLASS, flush && (SHARED_BITS & (1 << bit)) === 0 ? DNS_CLASS_IN | MDNS_TOP_BIT : DNS_CLASS_IN);
  scratchView.setInt32(fixed + RR_TTL, ttl);
  scratchView.setUint16(fixed + RR_RDLENGTH, after - data);
  return after;
}

/** The offset behind the name of the record at `at`, -1 when the record does not fit. */
export function recordFixed(length: number, at: number): number {
  const fixed = dnsNameSkip(scratch, length, at);
  return fixed < 0 || fixed + RR_BYTES > length || recordAfter(fixed) > length ? -1 : fixed;
}

export function recordAfter(fixed: number): number {
  return fixed + RR_BYTES + scratchView.getUint16(fixed + RR_RDLENGTH);
}

/**
 * Compares the data of a record in the message with ours, as unsigned bytes: 0 when it is the same, else which is greater. Names are
 * compared as they are without compression (section 8.2).
 * @param fixed behind the record's name @returns negative when ours is the greater
 */
export function compareData(self: MdnsSelf, fixed: number, bit: number): number {
  const data = fixed + RR_BYTES;
  const end = recordAfter(fixed);
  if (bit === RECORD_A) return end - data !== 4 ? end - data - 4 : (scratchView.getUint32(data) - (self.addr >>> 0));
  // What somebody else says that we have not changes nothing.
  if (bit === RECORD_NSEC) return 1;
  const claim = self.claims[(bit / CLAIM_BITS) | 0]!;
  switch (bit & (CLAIM_BITS - 1)) {
    case RECORD_SRV: {
      if (end - data <= SRV_TARGET) return -1;
      const weights = scratchView.getInt32(data);
      if (weights !== 0) return 1;
      const port = scratchView.getUint16(data + SRV_PORT) - claim.port;
      return port !== 0 ? port : compareName(self, data + SRV_TARGET, end, self.claims[0]!.name);
    }
    case RECORD_TXT:
      return compareBytes(scratch, data, end - data, claim.txt) || end - data - claim.txt.length;
    case RECORD_PTR:
      return compareName(self, data, end, claim.name);
    default:
      return compareName(self, data, end, claim.type);
  }
}

/** The same for a name that has to end at `end`; a malformed one is less. */
function compareName(self: MdnsSelf, at: number, end: number, ours: Uint8Array): number {
  const { name } = self.browser;
  if (dnsNameRead(scratch, end, at, name, 0, true) !== end) return -1;
  return dnsNameIs(name, DNS_NAME_BYTES, 0, ours, 0) ? 0 : compareBytes(name, 0, dnsNameLength(name, 0), ours);
}

function compareBytes(bytes: Uint8Array, at: number, count: number, ours: Uint8Array): number {
  for (let i = 0; i < count && i < ours.length; i++) {
    const difference = bytes[at + i]! - ours[i]!;
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The records that who asked for these will ask for next (RFC 6763 section 12), and with an address that there is no other (section 6.2). */
export function additionalBits(bits: number): number {
  let more = 0;
  for (let c = 1; c < MOST_CLAIMS; c++) {
    const mine = (bits >>> (c * CLAIM_BITS)) & 15;
    if ((mine & (1 << RECORD_PTR)) !== 0) more |= ((1 << RECORD_SRV) | (1 << RECORD_TXT)) << (c * CLAIM_BITS);
    if ((mine & ((1 << RECORD_PTR) | (1 << RECORD_SRV))) !== 0) more |= 1 << RECORD_A;
  }
  if (((bits | more) & (1 << RECORD_A)) !== 0) more |= 1 << RECORD_NSEC;
  return more & ~bits;
}

/** UTF-8 bytes of a text. Allocates. */
export function utf8Bytes(text: string): Uint8Array {
  const bytes: number[] = [];
  for (const letter of text) {
    const code = letter.codePointAt(0)!;
    if (code < 0x80) bytes.push(code);
    else if (code < 0x800) bytes.push(0xc0 | (code >> 6), 0x80 | (code & 63));
    else if (code < 0x10000) bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
    else bytes.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 63), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
  }
  return Uint8Array.from(bytes);
}

/** The text of UTF-8 bytes; what is malformed becomes a question mark. Makes a string. */
export function utf8Text(bytes: Uint8Array, at: number, length: number): string {
  let text = "";
  const end = at + length;
  while (at < end) {
    const first = bytes[at++]!;
    const more = first < 0x80 ? 0 : first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : -1;
    let code = more <= 0 ? first : first & (0x3f >> more);
    let good = more >= 0 && at + more <= end && first < 0xf8;
    for (let i = 0; good && i < more; i++) {
      const next = bytes[at]!;
      good = (next & 0xc0) === 0x80;
      // What does not belong to it is a letter of its own.
      if (good) at++;
      code = (code << 6) | (next & 63);
    }
    // In more bytes than it takes it is malformed, too (RFC 3629 section 3).
    const least = more < 2 ? more << 7 : more === 2 ? 0x800 : 0x10000;
    text += good && code >= least && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? String.fromCodePoint(code) : "?";
  }
  return text;
}
