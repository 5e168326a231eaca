/**
 * The messages of an mDNS responder: what it hears from others, and what it sends. Read first: RFC 6762 sections 5 to 9 and 18.
 * Owns nothing: answers that wait are the responder's.
 *
 * What is asked for is noted as bits, and answered when the message has been read, as both are in the same buffer.
 */
import { getRandomBelow } from "../lib/random.ts";
import { msgSetBuffer } from "../stack/core/sockaddr.ts";
import { recvmsg, sendto } from "../stack/socket/sendrecv.ts";
import { INADDR_MDNS_GROUP } from "../uapi/in.ts";
import { DNS_AA, DNS_CLASS_IN, DNS_FLAGS, DNS_HEADER_BYTES, DNS_QR, DNS_TC, DNS_TYPE_PTR, RR_CLASS, RR_TTL, RR_TYPE } from "./dns-message.ts";
import { dnsNameIs, dnsNameSkip } from "./dns-name.ts";
import { browserEnd, browserHeard, browserPutKnown, browserPutQuestions, browserRecord } from "./mdns-browse.ts";
import { MDNS_MESSAGE_BYTES, MDNS_PORT, mdnsProbe, PKTINFO_DADDR, mdnsRename, type MdnsResponder } from "./mdns-claims.ts";
import {
  additionalBits, CLAIM_ANNOUNCE, CLAIM_BITS, CLAIM_PROBE, CLAIM_UP, claimBits, compareData, DNS_TYPE_ANY, isUnique, LEGACY_TTL,
  matchQuestion, MDNS_CLASS_MASK, MDNS_TOP_BIT, MOST_CLAIMS, putRecord, recordAfter, RECORD_SRV, RECORD_TXT, recordFixed, recordTtl, recordType, spokenBits,
} from "./mdns-records.ts";
import { scratch, scratchView } from "./service.ts";

const QDCOUNT = 4;
const ANCOUNT = 6;
const NSCOUNT = 8;
const ARCOUNT = 10;
/** A message in which one of these bits is set is none of mDNS (sections 18.3 and 18.11): operation and result. */
const FOREIGN_MASK = 0x780f;
const RECORD_BITS = 32;
const MSEC_PER_SEC = 1000;
/** Answers that others may give too wait 20 to 120 ms, with more known answers to come 400 to 500 (sections 6 and 7.2). */
const SHARED_MIN_MS = 20;
const SHARED_SPREAD_MS = 100;
const TRUNCATED_MIN_MS = 400;
/** A record goes to all once in a second at most, for a probe more often (section 6). */
const REPEAT_MS = 1000;
const PROBE_REPEAT_MS = 250;
/** Who loses when two ask for the same name asks again a second later (section 8.2). */
const TIE_BREAK_MS = 1000;

/** Reads everything that waits. */
export function mdnsReceive(self: MdnsResponder, now: number): void {
  for (;;) {
    msgSetBuffer(self.msg, scratch, 0, scratch.length);
    const length = recvmsg(self.socket.fd, self.msg, 0);
    if (length < 0) return;
    if (length < DNS_HEADER_BYTES || self.from.addr === self.addr || fromElsewhere(self)) continue;
    const flags = scratchView.getUint16(DNS_FLAGS);
    if ((flags & FOREIGN_MASK) !== 0) continue;
    if ((flags & DNS_QR) === 0) heardQuery(self, length, flags, now);
    else if (self.from.port === MDNS_PORT) heardResponse(self, length, now);
  }
}

/**
 * Can it have come from another link? What was sent to the group cannot, whoever says so; else the sender has to be one of the subnet
 * (sections 5.5 and 11).
 */
function fromElsewhere({ control, from, addr, mask }: MdnsResponder): boolean {
  return control[PKTINFO_DADDR] !== INADDR_MDNS_GROUP && ((from.addr ^ addr) & mask) !== 0;
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

/** Somebody asks, perhaps for a name that is to be its own. */
function heardQuery(self: MdnsResponder, length: number, flags: number, now: number): void {
  const questions = scratchView.getUint16(QDCOUNT);
  const records = skipQuestions(length);
  if (records < 0) return;
  const spoken = spokenBits(self);
  const answers = scratchView.getUint16(ANCOUNT);
  const others = self.from.port === MDNS_PORT && (flags & DNS_TC) === 0;
  let asked = 0;
  let alone = 0;
  let at = DNS_HEADER_BYTES;
  for (let i = 0; i < questions; i++) {
    const behind = dnsNameSkip(scratch, length, at);
    const kind = scratchView.getUint16(behind + 2);
    const wanted = kind & MDNS_CLASS_MASK;
    if (wanted === DNS_CLASS_IN || wanted === DNS_TYPE_ANY) {
      const bits = matchQuestion(self, length, at, scratchView.getUint16(behind), spoken);
      if ((kind & MDNS_TOP_BIT) !== 0) alone |= bits;
      else asked |= bits;
      if (others && kind === DNS_CLASS_IN && scratchView.getUint16(behind) === DNS_TYPE_PTR) {
        browserHeard(self.browser, length, at, records, answers, now);
      }
    }
    at = behind + 4;
  }
  const known = knownAnswers(self, length, records, answers, spoken);
  tieBreak(self, length, records);
  // Further known answers to an earlier question of somebody come without a question.
  if (questions === 0) self.answers &= ~known;
  asked &= ~known;
  // What one asks of all need not be told him alone as well.
  alone &= ~(known | asked);
  if (self.from.port !== MDNS_PORT) {
    if ((asked | alone) !== 0) sendLegacy(self, asked | alone, records, questions);
    return;
  }
  // What has not been told to all for long is told to all, though one alone wants it (section 5.4).
  const stale = staleBits(self, alone, now);
  if (scratchView.getUint16(NSCOUNT) !== 0) forProbe(self, asked, now);
  schedule(self, asked | stale, (flags & DNS_TC) !== 0, now);
  if ((alone & ~stale) !== 0) sendBits(self, alone & ~stale, now, false);
}

/** Which of these records of ours the record at `at` is. */
function sameRecord(self: MdnsResponder, length: number, at: number, fixed: number, ours: number): number {
  if ((scratchView.getUint16(fixed + RR_CLASS) & MDNS_CLASS_MASK) !== DNS_CLASS_IN) return 0;
  const bits = matchQuestion(self, length, at, scratchView.getUint16(fixed + RR_TYPE), ours);
  let same = 0;
  for (let bit = 0; bits !== 0 && bit < RECORD_BITS; bit++) if ((bits & (1 << bit)) !== 0 && compareData(self, fixed, bit) === 0) same |= 1 << bit;
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
    for (let bit = 0; same !== 0 && bit < RECORD_BITS; bit++) if ((same & (1 << bit)) !== 0 && ttl * 2 >= recordTtl(bit)) known |= 1 << bit;
    at = recordAfter(fixed);
  }
  return known;
}

/**
 * Another says a record that is ours as well: as good as if we had said it (section 7.4), unless it is to be forgotten soon, or at once,
 * which we do not let stand (section 6.6).
 */
function saidByAnother(self: MdnsResponder, length: number, at: number, fixed: number, now: number): void {
  const same = sameRecord(self, length, at, fixed, spokenBits(self));
  const ttl = scratchView.getUint32(fixed + RR_TTL);
  for (let bit = 0; same !== 0 && bit < RECORD_BITS; bit++) {
    if ((same & (1 << bit)) === 0) continue;
    if (ttl >= recordTtl(bit)) self.answers &= ~(1 << bit);
    else if (ttl * 2 < recordTtl(bit)) schedule(self, 1 << bit, false, now);
  }
}

/** A probe is answered though the records went to all a moment ago: who asks may just have come (section 6). */
function forProbe(self: MdnsResponder, bits: number, now: number): void {
  for (let bit = 0; bits !== 0 && bit < RECORD_BITS; bit++) {
    if ((bits & (1 << bit)) !== 0 && now - self.lastMs[bit]! >= PROBE_REPEAT_MS) self.lastMs[bit] = -Infinity;
  }
}

/** Those of the bits that were not sent to all within a quarter of their time. */
function staleBits(self: MdnsResponder, bits: number, now: number): number {
  let stale = 0;
  for (let bit = 0; bits !== 0 && bit < RECORD_BITS; bit++) {
    const limit = recordTtl(bit) * MSEC_PER_SEC / 4;
    if ((bits & (1 << bit)) !== 0 && now - self.lastMs[bit]! > limit) stale |= 1 << bit;
  }
  return stale;
}

/** Notes that the bits are to be sent to all: at once when nobody else can have them, else a little later. */
function schedule(self: MdnsResponder, bits: number, truncated: boolean, now: number): void {
  if (bits === 0) return;
  let shared = false;
  for (let bit = 0; bit < RECORD_BITS; bit++) if ((bits & (1 << bit)) !== 0 && !isUnique(bit)) shared = true;
  const wait = truncated ? TRUNCATED_MIN_MS : shared ? SHARED_MIN_MS : 0;
  const due = now + wait + (wait === 0 ? 0 : getRandomBelow(SHARED_SPREAD_MS + 1));
  if (self.answers === 0 || due < self.answerMs) self.answerMs = due;
  self.answers |= bits;
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
  // Twice, as the address may stand before the service that is at it.
  for (let pass = 0; pass < 2; pass++) {
    let at = records;
    for (let i = 0; i < count; i++) {
      const fixed = recordFixed(length, at);
      if (fixed < 0) break;
      if ((scratchView.getUint16(fixed + RR_CLASS) & MDNS_CLASS_MASK) === DNS_CLASS_IN) {
        if (pass === 0) {
          taken |= conflicts(self, length, at, fixed);
          saidByAnother(self, length, at, fixed, now);
        }
        browserRecord(self.browser, length, at, fixed, now);
      }
      at = recordAfter(fixed);
    }
  }
  for (let c = 0; taken !== 0 && c < MOST_CLAIMS; c++) if ((taken & (1 << c)) !== 0) conflict(self, c);
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

/** Begins a message. */
function begin(flags: number): void {
  for (let i = 0; i < DNS_HEADER_BYTES; i++) scratch[i] = 0;
  scratchView.setUint16(DNS_FLAGS, flags);
}

function send(self: MdnsResponder, length: number, everybody: boolean): void {
  sendto(self.socket.fd, scratch, 0, length, 0, everybody ? self.group : self.from);
}

/** Sends what is due to all, as far as it was not sent within the last second. */
export function mdnsSendAnswers(self: MdnsResponder, now: number): void {
  let bits = self.answers & spokenBits(self);
  self.answers = 0;
  self.answerMs = Infinity;
  for (let bit = 0; bit < RECORD_BITS; bit++) if (now - self.lastMs[bit]! < REPEAT_MS) bits &= ~(1 << bit);
  if (bits !== 0) sendBits(self, bits, now, true);
}

/** Sends records, in as many messages as it takes, with those that will be asked for next where there is room. */
function sendBits(self: MdnsResponder, answers: number, now: number, everybody: boolean): void {
  let bits = answers;
  while (bits !== 0) {
    begin(DNS_QR | DNS_AA);
    let at = DNS_HEADER_BYTES;
    let count = 0;
    for (let bit = 0; bit < RECORD_BITS; bit++) {
      if ((bits & (1 << bit)) === 0) continue;
      const after = putRecord(self, at, MDNS_MESSAGE_BYTES, bit, true, recordTtl(bit));
      if (after === at) break;
      at = after;
      count++;
      bits &= ~(1 << bit);
      if (everybody) self.lastMs[bit] = now;
    }
    if (count === 0) return;
    scratchView.setUint16(ANCOUNT, count);
    if (bits === 0) at = putAdditional(self, at, additionalBits(answers) & spokenBits(self), true);
    send(self, at, everybody);
  }
}

function putAdditional(self: MdnsResponder, from: number, bits: number, flush: boolean): number {
  let at = from;
  let count = 0;
  for (let bit = 0; bits !== 0 && bit < RECORD_BITS; bit++) {
    if ((bits & (1 << bit)) === 0) continue;
    const after = putRecord(self, at, MDNS_MESSAGE_BYTES, bit, flush, flush ? recordTtl(bit) : LEGACY_TTL);
    if (after === at) break;
    at = after;
    count++;
  }
  scratchView.setUint16(ARCOUNT, count);
  return at;
}

/** Answers who asked from another port, as a name server would: with the question, to it alone (section 6.7). */
function sendLegacy(self: MdnsResponder, bits: number, questionsEnd: number, questions: number): void {
  scratchView.setUint16(DNS_FLAGS, DNS_QR | DNS_AA);
  scratchView.setUint16(QDCOUNT, questions);
  scratchView.setUint16(NSCOUNT, 0);
  let at = questionsEnd;
  let count = 0;
  for (let bit = 0; bit < RECORD_BITS; bit++) {
    if ((bits & (1 << bit)) === 0) continue;
    const after = putRecord(self, at, MDNS_MESSAGE_BYTES, bit, false, LEGACY_TTL);
    if (after === at) break;
    at = after;
    count++;
  }
  if (count === 0) return;
  scratchView.setUint16(ANCOUNT, count);
  send(self, putAdditional(self, at, additionalBits(bits) & spokenBits(self), false), false);
}

/** Tells all of a claim's records. */
export function mdnsSendAnnouncement(self: MdnsResponder, c: number, now: number): void {
  sendBits(self, claimBits(c), now, true);
}

/** Tells all that a claim's records are no more. */
export function mdnsSendGoodbye(self: MdnsResponder, c: number): void {
  begin(DNS_QR | DNS_AA);
  let at = DNS_HEADER_BYTES;
  let count = 0;
  const bits = claimBits(c);
  // That there is such a type at all may hold for others.
  for (let bit = c * CLAIM_BITS; bit <= c * CLAIM_BITS + RECORD_TXT; bit++) {
    if ((bits & (1 << bit)) === 0) continue;
    const after = putRecord(self, at, MDNS_MESSAGE_BYTES, bit, true, 0);
    if (after === at) break;
    at = after;
    count++;
  }
  scratchView.setUint16(ANCOUNT, count);
  send(self, at, true);
}

/** Asks whether somebody has the names of these claims, and says what they are to stand for. */
export function mdnsSendProbes(self: MdnsResponder, claims: number): void {
  begin(0);
  let at = DNS_HEADER_BYTES;
  let questions = 0;
  for (let c = 0; c < MOST_CLAIMS; c++) {
    if ((claims & (1 << c)) === 0) continue;
    const { name, nameBytes } = self.claims[c]!;
    for (let i = 0; i < nameBytes; i++) scratch[at++] = name[i]!;
    scratchView.setUint16(at, DNS_TYPE_ANY);
    scratchView.setUint16(at + 2, self.groupOnly ? DNS_CLASS_IN : DNS_CLASS_IN | MDNS_TOP_BIT);
    at += 4;
    questions++;
  }
  let records = 0;
  for (let c = 0; c < MOST_CLAIMS; c++) {
    if ((claims & (1 << c)) === 0) continue;
    const bit = c === 0 ? 0 : c * CLAIM_BITS + RECORD_SRV;
    const after = putRecord(self, at, MDNS_MESSAGE_BYTES, bit, false, recordTtl(bit));
    if (after === at) break;
    at = after;
    records++;
  }
  scratchView.setUint16(QDCOUNT, questions);
  scratchView.setUint16(NSCOUNT, records);
  send(self, at, true);
}

/** Sends the question of that index, with what is known already. */
export function mdnsSendQuery(self: MdnsResponder, index: number, now: number): void {
  begin(0);
  const questions = browserPutQuestions(self.browser, index, DNS_HEADER_BYTES, now);
  if (questions === 0) return;
  scratchView.setUint16(QDCOUNT, questions);
  scratchView.setUint16(ANCOUNT, browserPutKnown(self.browser, index, MDNS_MESSAGE_BYTES, now));
  send(self, browserEnd(), true);
}
