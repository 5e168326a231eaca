/**
 * When an mDNS responder answers: at once, after a moment in which others may answer too, when the asker has said all that it knows, or
 * not at all as it was said a moment ago. Read first: RFC 6762 sections 5.4, 6, 7.2 and 7.4. Owns nothing: what waits is the responder's.
 *
 * Two things can wait: answers to all, and those to one asker that has more to say or is to hear them alone. With what waits already
 * goes what comes later. A second asker is not kept waiting: what it is to hear alone it hears at once.
 */
import { getRandomBelow } from "../lib/random.ts";
import { MDNS_PORT, type MdnsResponder } from "./mdns-claims.ts";
import { mdnsSendBits, mdnsTell } from "./mdns-message.ts";
import { recordTtl, SHARED_BITS, spokenBits } from "./mdns-records.ts";

/** Answers that others may give too wait 20 to 120 ms, with more known answers to come 400 to 500. */
const SHARED_MIN_MS = 20;
const TRUNCATED_MIN_MS = 400;
const SPREAD_MS = 100;
/** For a probe a record goes to all again after a quarter of the time that is usual. */
const PROBE_REPEAT_MS = 250;
const MSEC_PER_SEC = 1000;

/** How long these answers have to wait at least: not at all when nobody else can have them. */
export function sharedWait(bits: number): number {
  return (bits & SHARED_BITS) !== 0 ? SHARED_MIN_MS : 0;
}

function dueMs(waitMs: number, now: number): number {
  return now + waitMs + getRandomBelow(SPREAD_MS + 1);
}

/** Tells these records to all, at once or after so long and a random time. Not while a message is read: it may be written over. */
export function answerAll(self: MdnsResponder, bits: number, waitMs: number, now: number): void {
  if (waitMs === 0) mdnsTell(self, bits, now);
  else if (bits !== 0) wait(self, bits, dueMs(waitMs, now));
}

function wait(self: MdnsResponder, bits: number, due: number): void {
  if (self.answers === 0 || due < self.answerMs) self.answerMs = due;
  self.answers |= bits;
}

/**
 * Answers who asked last, when it is time. The message is not needed any more.
 * @param asked bits of records that all are to hear @param alone of those that the asker wants to hear alone
 * @param questions in its message @param probe it wants a name for itself @param more it has further known answers
 */
export function answerQuestion(
  self: MdnsResponder, asked: number, alone: number, questions: number, probe: boolean, more: boolean, now: number,
): void {
  if ((asked | alone) === 0) return;
  if (probe) forProbe(self, asked, now);
  // What has not been told to all for long is told to all, though one alone wants it (section 5.4).
  const stale = staleBits(self, alone, now);
  let all = asked | stale;
  let one = alone & ~stale;
  // A name is defended at once; who asks several questions may be answered by several hosts (section 6.3).
  const waitMs = probe ? 0 : more ? TRUNCATED_MIN_MS : questions > 1 ? SHARED_MIN_MS : sharedWait(all | one);
  const free = (self.askerAll | self.askerAlone) === 0;
  if (waitMs !== 0 && (more || one !== 0) && (free || self.asker === self.from.addr)) {
    if (free || more) self.askerMs = dueMs(waitMs, now);
    self.asker = self.from.addr;
    self.askerAlone |= one;
    one = 0;
    if (more) {
      self.askerAll |= all;
      all = 0;
    }
  }
  mdnsSendBits(self, one, now, false);
  answerAll(self, all, waitMs, now);
}

/** The asker says what more it knows, and perhaps that there is still more to come. */
export function answerKnown(self: MdnsResponder, known: number, more: boolean, now: number): void {
  if (self.asker !== self.from.addr) return;
  self.askerAll &= ~known;
  self.askerAlone &= ~known;
  if (more) self.askerMs = dueMs(TRUNCATED_MIN_MS, now);
}

/** Another host has told these to all. */
export function answerSaid(self: MdnsResponder, bits: number): void {
  self.answers &= ~bits;
  self.askerAll &= ~bits;
}

/** A probe is answered though the records went to all a moment ago: who asks may just have come (section 6). */
function forProbe(self: MdnsResponder, bits: number, now: number): void {
  for (let bit = 0, rest = bits; rest !== 0; bit++, rest >>>= 1) {
    if ((rest & 1) !== 0 && now - self.lastMs[bit]! >= PROBE_REPEAT_MS) self.lastMs[bit] = -Infinity;
  }
}

/** Those of the bits that were not sent to all within a quarter of their time. */
function staleBits(self: MdnsResponder, bits: number, now: number): number {
  let stale = 0;
  for (let bit = 0, rest = bits; rest !== 0; bit++, rest >>>= 1) {
    if ((rest & 1) !== 0 && now - self.lastMs[bit]! > recordTtl(bit) * MSEC_PER_SEC / 4) stale |= 1 << bit;
  }
  return stale;
}

/** When something is to be sent; Infinity when nothing waits. */
export function answersNext(self: MdnsResponder): number {
  const all = self.answers !== 0 ? self.answerMs : Infinity;
  return (self.askerAll | self.askerAlone) !== 0 && self.askerMs < all ? self.askerMs : all;
}

/** Sends what is due. */
export function answersSend(self: MdnsResponder, now: number): void {
  const { answers, askerAll, askerAlone } = self;
  if (answers !== 0 && now >= self.answerMs) {
    self.answers = 0;
    mdnsTell(self, answers, now);
  }
  if ((askerAll | askerAlone) === 0 || now < self.askerMs) return;
  self.askerAll = self.askerAlone = 0;
  mdnsTell(self, askerAll, now);
  self.from.addr = self.asker;
  self.from.port = MDNS_PORT;
  mdnsSendBits(self, askerAlone & spokenBits(self), now, false);
}
