/**
 * The messages that an mDNS responder sends: answers, announcements, goodbyes, probes and questions. Read first: RFC 6762 sections 6, 8,
 * 10 and 18. Owns nothing.
 */
import { sendto } from "../stack/socket/sendrecv.ts";
import { DNS_AA, DNS_CLASS_IN, DNS_FLAGS, DNS_HEADER_BYTES, DNS_QR } from "./dns-message.ts";
import { browserEnd, browserPutKnown, browserPutQuestions } from "./mdns-browse.ts";
import { MDNS_MESSAGE_BYTES, type MdnsResponder } from "./mdns-claims.ts";
import {
  additionalBits, CLAIM_BITS, claimBits, DNS_TYPE_ANY, ENUM_BITS, LEGACY_TTL, MDNS_TOP_BIT, MOST_CLAIMS, putRecord, RECORD_ENUM,
  RECORD_SRV, recordTtl, spokenBits, typeBits,
} from "./mdns-records.ts";
import { scratch, scratchView } from "./service.ts";

/** Where a message says how many questions and records it has. */
export const QDCOUNT = 4;
export const ANCOUNT = 6;
export const NSCOUNT = 8;
export const ARCOUNT = 10;
/** A record goes to all once in a second at most (section 6). */
export const REPEAT_MS = 1000;
/** In place of a TTL: each record has its own. */
const OWN_TTL = -1;

/** Where the message ends that is being built. */
let endAt = 0;

/** Begins a message. */
function begin(flags: number): void {
  for (let i = 0; i < DNS_HEADER_BYTES; i++) scratch[i] = 0;
  scratchView.setUint16(DNS_FLAGS, flags);
}

/** Sends the message that ends at `endAt`. @param everybody or who asked last */
function send(self: MdnsResponder, everybody: boolean): void {
  sendto(self.socket.fd, scratch, 0, endAt, 0, everybody ? self.group : self.from);
}

/** Those of the records that others may hear of, and were not told to all within the last second. */
function untold(self: MdnsResponder, bits: number, now: number): number {
  let left = bits & spokenBits(self);
  for (let bit = 0, rest = left; rest !== 0; bit++, rest >>>= 1) if ((rest & 1) !== 0 && now - self.lastMs[bit]! < REPEAT_MS) left &= ~(1 << bit);
  return left;
}

/** Tells these records to all, as far as they were not told within the last second. */
export function mdnsTell(self: MdnsResponder, bits: number, now: number): void {
  mdnsSendBits(self, untold(self, bits, now), now, true);
}

/** These records have been told to all. */
function noteTold(self: MdnsResponder, bits: number, now: number): void {
  let told = bits;
  for (let c = 1; (bits & ENUM_BITS) !== 0 && c < MOST_CLAIMS; c++) {
    if ((bits & (1 << (c * CLAIM_BITS + RECORD_ENUM))) !== 0) told |= typeBits(self, c);
  }
  for (let bit = 0; told !== 0; bit++, told >>>= 1) if ((told & 1) !== 0) self.lastMs[bit] = now;
}

/**
 * Writes records behind one another from `at`, as far as there is room, and at `counter` how many they are; `endAt` is behind them.
 * @param flush are they to take the place of what others remember? @param ttl OWN_TTL or one for all @returns bits of those without room
 */
function putRecords(self: MdnsResponder, at: number, bits: number, counter: number, flush: boolean, ttl: number): number {
  let left = bits;
  let count = 0;
  endAt = at;
  for (let bit = 0, rest = bits; rest !== 0; bit++, rest >>>= 1) {
    if ((rest & 1) === 0) continue;
    const after = putRecord(self, endAt, MDNS_MESSAGE_BYTES, bit, flush, ttl === OWN_TTL ? recordTtl(bit) : ttl);
    if (after === endAt) break;
    endAt = after;
    left &= ~(1 << bit);
    count++;
  }
  scratchView.setUint16(counter, count);
  return left;
}

/**
 * Sends records, in as many messages as it takes (each has room for one at least), with those that will be asked for next where there is
 * room. @param everybody or who asked last
 */
export function mdnsSendBits(self: MdnsResponder, answers: number, now: number, everybody: boolean): void {
  let bits = answers;
  while (bits !== 0) {
    begin(DNS_QR | DNS_AA);
    const left = putRecords(self, DNS_HEADER_BYTES, bits, ANCOUNT, true, OWN_TTL);
    if (everybody) noteTold(self, bits & ~left, now);
    bits = left;
    if (bits === 0) {
      const next = additionalBits(answers);
      const more = everybody ? untold(self, next, now) : next & spokenBits(self);
      const rest = putRecords(self, endAt, more, ARCOUNT, true, OWN_TTL);
      if (everybody) noteTold(self, more & ~rest, now);
    }
    send(self, everybody);
  }
}

/** Answers who asked from another port, as a name server would: with the question, to it alone (section 6.7). */
export function mdnsSendLegacy(self: MdnsResponder, bits: number, questionsEnd: number, questions: number): void {
  scratchView.setUint16(DNS_FLAGS, DNS_QR | DNS_AA);
  scratchView.setUint16(QDCOUNT, questions);
  scratchView.setUint16(NSCOUNT, 0);
  if (putRecords(self, questionsEnd, bits, ANCOUNT, false, LEGACY_TTL) === bits) return;
  putRecords(self, endAt, additionalBits(bits) & spokenBits(self), ARCOUNT, false, LEGACY_TTL);
  send(self, false);
}

/** Tells all that a claim's records are no more, but for the one that there is such a type at all, which may hold for others. */
export function mdnsSendGoodbye(self: MdnsResponder, c: number): void {
  begin(DNS_QR | DNS_AA);
  putRecords(self, DNS_HEADER_BYTES, claimBits(c) & ~(1 << (c * CLAIM_BITS + RECORD_ENUM)), ANCOUNT, true, 0);
  send(self, true);
}

/** Asks whether somebody has the names of these claims, and says what they are to stand for. */
export function mdnsSendProbes(self: MdnsResponder, claims: number): void {
  begin(0);
  let at = DNS_HEADER_BYTES;
  let questions = 0;
  let proposed = 0;
  for (let c = 0; c < MOST_CLAIMS; c++) {
    if ((claims & (1 << c)) === 0) continue;
    const { name, nameBytes } = self.claims[c]!;
    for (let i = 0; i < nameBytes; i++) scratch[at++] = name[i]!;
    scratchView.setUint16(at, DNS_TYPE_ANY);
    scratchView.setUint16(at + 2, self.groupOnly ? DNS_CLASS_IN : DNS_CLASS_IN | MDNS_TOP_BIT);
    at += 4;
    questions++;
    proposed |= 1 << (c === 0 ? 0 : c * CLAIM_BITS + RECORD_SRV);
  }
  putRecords(self, at, proposed, NSCOUNT, false, OWN_TTL);
  scratchView.setUint16(QDCOUNT, questions);
  send(self, true);
}

/** Sends the question of that index, with what is known already. */
export function mdnsSendQuery(self: MdnsResponder, index: number, now: number): void {
  begin(0);
  const questions = browserPutQuestions(self.browser, index, DNS_HEADER_BYTES, now);
  if (questions === 0) return;
  scratchView.setUint16(QDCOUNT, questions);
  scratchView.setUint16(ANCOUNT, browserPutKnown(self.browser, index, now));
  endAt = browserEnd();
  send(self, true);
}
