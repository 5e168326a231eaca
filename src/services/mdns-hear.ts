/**
 * What an mDNS responder hears: questions for what it has, probes for a name that it wants or has, and what others say. Read first: RFC
 * 6762 sections 5 to 9, 11 and 18. Owns nothing.
 *
 * What is asked for is noted as bits, and answered when the message has been read, as both are in the same buffer.
 */
import { msgSetBuffer } from "../stack/core/sockaddr.ts";
import { recvmsg } from "../stack/socket/sendrecv.ts";
import { INADDR_MDNS_GROUP } from "../uapi/in.ts";
import { DNS_CLASS_IN, DNS_FLAGS, DNS_HEADER_BYTES, DNS_QR, DNS_TC, DNS_TYPE_PTR, RR_CLASS, RR_TTL, RR_TYPE } from "./dns-message.ts";
import { dnsNameIs, dnsNameSkip } from "./dns-name.ts";
import { answerAll, answerKnown, answerQuestion, answerSaid, sharedWait } from "./mdns-answers.ts";
import { browserHeard, browserRecord } from "./mdns-browse.ts";
import { MDNS_PORT, mdnsProbe, mdnsRename, type MdnsResponder, PKTINFO_DADDR } from "./mdns-claims.ts";
import { ANCOUNT, ARCOUNT, mdnsSendLegacy, NSCOUNT, QDCOUNT } from "./mdns-message.ts";
import {
  CLAIM_ANNOUNCE, CLAIM_BITS, CLAIM_PROBE, CLAIM_UP, compareData, DNS_TYPE_ANY, matchQuestion, MDNS_CLASS_MASK, MDNS_TOP_BIT, MOST_CLAIMS,
  RECORD_SRV, RECORD_TXT, recordAfter, recordFixed, recordTtl, recordType, spokenBits,
} from "./mdns-records.ts";
import { scratch, scratchView } from "./service.ts";

/** A message in which one of these bits is set is none of mDNS (sections 18.3 and 18.11): operation and result. */
const FOREIGN_MASK = 0x780f;
/** Who loses when two ask for the same name asks again a second later (section 8.2). */
const TIE_BREAK_MS = 1000;

/** Reads everything that waits. */
export function mdnsReceive(self: MdnsResponder, now: number): void {
  for (;;) {
    msgSetBuffer(self.msg, scratch, 0, scratch.length);
    const length = recvmsg(self.socket.fd, self.msg, 0);
    if (length < 0) return;
    const direct = self.control[PKTINFO_DADDR] !== INADDR_MDNS_GROUP;
    if (length < DNS_HEADER_BYTES || self.from.addr === self.addr || (direct && fromElsewhere(self))) continue;
    const flags = scratchView.getUint16(DNS_FLAGS);
    if ((flags & FOREIGN_MASK) !== 0) continue;
    if ((flags & DNS_QR) === 0) heardQuery(self, length, flags, direct, now);
    else if (self.from.port === MDNS_PORT) heardResponse(self, length, now);
  }
}

/**
 * Can it have come from another link? What was sent to the group cannot, whoever says so; else the sender has to be one of the subnet
 * (sections 5.5 and 11).
 */
function fromElsewhere({ from, addr, mask }: MdnsResponder): boolean {
  return ((from.addr ^ addr) & mask) !== 0;
}

/** The offset behind all questions, -1 when they do not fit. */
function skipQuestions(length: number): number {
  let at = DNS_HEADER_BYTES;
  for (let i = scratchView.getUint16(QDCOUNT); i > 0; i--) {
    at = dnsNameSkip(scratch, length, at);
    if (at < 0 || at + 4 > length) return -1;
    at += 4;
  }
  return at;
}

/** Somebody asks, perhaps for a name that is to be its own. @param direct asked of this host alone, as if it wanted to hear it alone (section 5.5) */
function heardQuery(self: MdnsResponder, length: number, flags: number, direct: boolean, now: number): void {
  const questions = scratchView.getUint16(QDCOUNT);
  const records = skipQuestions(length);
  if (records < 0) return;
  const spoken = spokenBits(self);
  const answers = scratchView.getUint16(ANCOUNT);
  const more = (flags & DNS_TC) !== 0;
  const others = self.from.port === MDNS_PORT && !more && !direct;
  let asked = 0;
  let alone = 0;
  let at = DNS_HEADER_BYTES;
  for (let i = 0; i < questions; i++) {
    const behind = dnsNameSkip(scratch, length, at);
    const kind = scratchView.getUint16(behind + 2);
    const wanted = kind & MDNS_CLASS_MASK;
    if (wanted === DNS_CLASS_IN || wanted === DNS_TYPE_ANY) {
      const bits = matchQuestion(self, length, at, scratchView.getUint16(behind), spoken);
      if (direct || (kind & MDNS_TOP_BIT) !== 0) alone |= bits;
      else asked |= bits;
      if (others && kind === DNS_CLASS_IN && scratchView.getUint16(behind) === DNS_TYPE_PTR) {
        browserHeard(self.browser, length, at, records, answers, now);
      }
    }
    at = behind + 4;
  }
  const known = knownAnswers(self, length, records, answers, spoken);
  tieBreak(self, length, records);
  // Further known answers to an earlier question come without one.
  if (questions === 0) answerKnown(self, known, more, now);
  asked &= ~known;
  // What one asks of all need not be told him alone as well.
  alone &= ~(known | asked);
  if (self.from.port !== MDNS_PORT) {
    if ((asked | alone) !== 0) mdnsSendLegacy(self, asked | alone, records, questions);
    return;
  }
  answerQuestion(self, asked, alone, questions, scratchView.getUint16(NSCOUNT) !== 0, more, now);
}

/** Which of these records of ours the record at `at` is. */
function sameRecord(self: MdnsResponder, length: number, at: number, fixed: number, ours: number): number {
  if ((scratchView.getUint16(fixed + RR_CLASS) & MDNS_CLASS_MASK) !== DNS_CLASS_IN) return 0;
  const bits = matchQuestion(self, length, at, scratchView.getUint16(fixed + RR_TYPE), ours);
  let same = 0;
  for (let bit = 0, rest = bits; rest !== 0; bit++, rest >>>= 1) if ((rest & 1) !== 0 && compareData(self, fixed, bit) === 0) same |= 1 << bit;
  return same;
}

/** Which of our records the asker knows, for at least half of their time (section 7.1). */
function knownAnswers(self: MdnsResponder, length: number, records: number, count: number, spoken: number): number {
  let known = 0;
  let at = records;
  for (let i = 0; i < count; i++) {
    const fixed = recordFixed(length, at);
    if (fixed < 0) return known;
    const same = sameRecord(self, length, at, fixed, spoken);
    const ttl = scratchView.getUint32(fixed + RR_TTL);
    for (let bit = 0, rest = same; rest !== 0; bit++, rest >>>= 1) if ((rest & 1) !== 0 && ttl * 2 >= recordTtl(bit)) known |= 1 << bit;
    at = recordAfter(fixed);
  }
  return known;
}

/**
 * Another says a record that is ours as well: as good as if we had said it (section 7.4), unless it is to be forgotten soon, or at once,
 * which we do not let stand (section 6.6). @returns bits of those that are to be said again
 */
function saidByAnother(self: MdnsResponder, length: number, at: number, fixed: number): number {
  const same = sameRecord(self, length, at, fixed, spokenBits(self));
  const ttl = scratchView.getUint32(fixed + RR_TTL);
  let again = 0;
  for (let bit = 0, rest = same; rest !== 0; bit++, rest >>>= 1) {
    if ((rest & 1) === 0) continue;
    if (ttl >= recordTtl(bit)) answerSaid(self, 1 << bit);
    else if (ttl * 2 < recordTtl(bit)) again |= 1 << bit;
  }
  return again;
}

/** Two ask for the same name at the same time: the greater data has it (section 8.2). */
function tieBreak(self: MdnsResponder, length: number, records: number): void {
  let at = records;
  for (let i = scratchView.getUint16(ANCOUNT); i > 0; i--) {
    const fixed = recordFixed(length, at);
    if (fixed < 0) return;
    at = recordAfter(fixed);
  }
  // We propose one record only: the least of theirs decides, and when that is the same, that they have more.
  let less = 0;
  let greater = 0;
  for (let i = scratchView.getUint16(NSCOUNT); i > 0; i--) {
    const fixed = recordFixed(length, at);
    if (fixed < 0) break;
    for (let c = 0; c < MOST_CLAIMS; c++) {
      const claim = self.claims[c]!;
      if (claim.state !== CLAIM_PROBE || !dnsNameIs(scratch, length, at, claim.name, 0)) continue;
      const bit = c === 0 ? 0 : c * CLAIM_BITS + RECORD_SRV;
      const order = scratchView.getUint16(fixed + RR_TYPE) - recordType(bit) || compareData(self, fixed, bit);
      if (order < 0) less |= 1 << c;
      else if (order > 0) greater |= 1 << c;
    }
    at = recordAfter(fixed);
  }
  const lost = greater & ~less;
  for (let c = 0; lost !== 0 && c < MOST_CLAIMS; c++) if ((lost & (1 << c)) !== 0) mdnsProbe(self, c, TIE_BREAK_MS);
}

/** Somebody says something: of a name of ours, or what we have asked. */
function heardResponse(self: MdnsResponder, length: number, now: number): void {
  const records = skipQuestions(length);
  if (records < 0) return;
  const count = scratchView.getUint16(ANCOUNT) + scratchView.getUint16(NSCOUNT) + scratchView.getUint16(ARCOUNT);
  let taken = 0;
  let again = 0;
  // Twice, as the address may stand before the service that is at it.
  for (let pass = 0; pass < 2; pass++) {
    let at = records;
    for (let i = 0; i < count; i++) {
      const fixed = recordFixed(length, at);
      if (fixed < 0) break;
      if ((scratchView.getUint16(fixed + RR_CLASS) & MDNS_CLASS_MASK) === DNS_CLASS_IN) {
        if (pass === 0) {
          taken |= conflicts(self, length, at, fixed);
          again |= saidByAnother(self, length, at, fixed);
        }
        browserRecord(self.browser, length, at, fixed, now);
      }
      at = recordAfter(fixed);
    }
  }
  for (let c = 0; taken !== 0 && c < MOST_CLAIMS; c++) if ((taken & (1 << c)) !== 0) conflict(self, c);
  answerAll(self, again, sharedWait(again), now);
}

/** Claims whose name the record says is another's. */
function conflicts(self: MdnsResponder, length: number, at: number, fixed: number): number {
  const type = scratchView.getUint16(fixed + RR_TYPE);
  if (scratchView.getInt32(fixed + RR_TTL) === 0) return 0;
  let taken = 0;
  for (let c = 0; c < MOST_CLAIMS; c++) {
    const claim = self.claims[c]!;
    if (claim.state !== CLAIM_PROBE && claim.state !== CLAIM_ANNOUNCE && claim.state !== CLAIM_UP) continue;
    const record = type === recordType(c * CLAIM_BITS + RECORD_TXT) ? RECORD_TXT : RECORD_SRV;
    const bit = c === 0 ? 0 : c * CLAIM_BITS + record;
    if (!dnsNameIs(scratch, length, at, claim.name, 0)) continue;
    // Who asks for a name wants it for all types (section 8.1); once it is ours, only ours are looked at.
    if (type !== recordType(bit) ? claim.state === CLAIM_PROBE : compareData(self, fixed, bit) !== 0) taken |= 1 << c;
  }
  return taken;
}

/** A name is another's: while it is asked for a different one is wished, later it is asked for again (section 9). */
function conflict(self: MdnsResponder, c: number): void {
  const claim = self.claims[c]!;
  if (claim.state !== CLAIM_PROBE) {
    mdnsProbe(self, c, 0);
    return;
  }
  claim.conflicts++;
  mdnsRename(self, c);
  // Services are at the host's new name.
  for (let s = 1; c === 0 && s < MOST_CLAIMS; s++) {
    const service = self.claims[s]!;
    if (service.state !== CLAIM_UP && service.state !== CLAIM_ANNOUNCE) continue;
    service.state = CLAIM_ANNOUNCE;
    service.sent = 0;
    service.dueMs = claim.dueMs + TIE_BREAK_MS;
  }
}
