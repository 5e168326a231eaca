/**
 * Asking others by mDNS: which instances of a service there are, where one of them is, what address a host has. Read first: RFC
 * 6762 sections 5.2, 7.1, 7.3 and 10, RFC 6763 sections 4 and 5. Owns the questions and the instances found; what is heard is only
 * noted here, and told to the program when the service has done everything else.
 */
import { getRandomBelow } from "../lib/random.ts";
import { EAI_AGAIN } from "../uapi/netdb.ts";
import { DNS_CLASS_IN, DNS_HEADER_BYTES, DNS_TYPE_A, DNS_TYPE_PTR, RR_BYTES, RR_CLASS, RR_RDLENGTH, RR_TTL, RR_TYPE } from "./dns-message.ts";
import { DNS_NAME_BYTES, dnsNameIs, dnsNameLength, dnsNameRead, dnsNameText } from "./dns-name.ts";
import { DNS_TYPE_SRV, DNS_TYPE_TXT, recordAfter, recordFixed, SRV_PORT, SRV_TARGET, utf8Text } from "./mdns-records.ts";
import { scratch, scratchView } from "./service.ts";

/** Questions at once; instances remembered for all of them; longest text of an instance. */
const QUESTIONS = 4;
const INSTANCES = 12;
const TXT_BYTES = 256;
const LABEL_BYTES = 63;

/** A pointer to the name of the first question (RFC 1035 section 4.1.4). */
const QUESTION_NAME = 0xc000 | DNS_HEADER_BYTES;

const FREE = 0;
const BROWSE = 1;
const RESOLVE = 2;
const HOST = 3;

/** What a browser hears. */
export const MDNS_FOUND = 1;
export const MDNS_LOST = 2;

/** The first question after a moment, then after 1, 2, 4 s and so on up to an hour (section 5.2); others are given up after some. */
const FIRST_MIN_MS = 20;
const FIRST_SPREAD_MS = 100;
const FIRST_INTERVAL_MS = 1000;
const LONGEST_INTERVAL_MS = 3_600_000;
const RESOLVE_MS = 6000;
/** What is said to be gone may be corrected for a second. */
const GOODBYE_MS = 1000;
/** After the link was away it is asked for three times within this. */
const DOUBT_MS = 5000;
const MSEC_PER_SEC = 1000;
const LONGEST_TTL_SEC = 86_400;
/** After 80, 85, 90 and 95 % of its time, and up to 2 % more, a record is asked for again. */
const REFRESH_FROM = 80;
const REFRESH_STEP = 5;
const REFRESH_SPREAD = 2;
const REFRESH_NEVER = 100;
/** Those whose time comes within this are asked for together. */
const TOGETHER_MS = 1000;
const NO_TIME = Infinity;

/** Where an instance is; good for the time of the call. */
export interface MdnsInstance {
  readonly host: string;
  readonly addr: number;
  readonly port: number;
  /** Its text record: strings, each behind its length. */
  readonly txt: Uint8Array;
  readonly txtBytes: number;
}

export type MdnsOnInstance = (event: number, instance: string) => void;
/** 0, or EAI_AGAIN: nobody has answered. */
export type MdnsDone = (error: number, found: MdnsInstance) => void;

class MdnsQuestion implements MdnsInstance {
  kind = FREE;
  generation = 0;
  sendMs = NO_TIME;
  intervalMs = 0;
  endMs = NO_TIME;
  haveSrv = false;
  haveTxt = false;
  haveAddr = false;
  host = "";
  addr = 0;
  port = 0;
  txtBytes = 0;
  readonly txt: Uint8Array = new Uint8Array(TXT_BYTES);
  /** What is asked for, and where the service is, as in messages. */
  readonly name: Uint8Array = new Uint8Array(DNS_NAME_BYTES);
  readonly target: Uint8Array = new Uint8Array(DNS_NAME_BYTES);
  onInstance: MdnsOnInstance | null = null;
  done: MdnsDone | null = null;
}

class MdnsFound {
  /** Whose: null for a free one. */
  question: MdnsQuestion | null = null;
  labelBytes = 0;
  ttlMs = 0;
  expiresMs = 0;
  /** Percent of its time after which it is asked for again. */
  refresh = REFRESH_FROM;
  /** MDNS_* still to be told. */
  event = 0;
  readonly label: Uint8Array = new Uint8Array(LABEL_BYTES);
}

export class MdnsBrowser {
  readonly questions: readonly MdnsQuestion[] = Array.from({ length: QUESTIONS }, () => new MdnsQuestion());
  readonly found: readonly MdnsFound[] = Array.from({ length: INSTANCES }, () => new MdnsFound());
  /** A name being read. */
  readonly name: Uint8Array = new Uint8Array(DNS_NAME_BYTES);
}

/** Begins a question: the name is copied. @returns a handle, or -1: as many as there can be */
function ask(browser: MdnsBrowser, kind: number, name: Uint8Array, now: number): number {
  let index = 0;
  while (index < QUESTIONS && browser.questions[index]!.kind !== FREE) index++;
  if (index === QUESTIONS) return -1;
  const question = browser.questions[index]!;
  question.kind = kind;
  question.generation = (question.generation + 1) & 0xffffff;
  question.name.set(name);
  question.haveSrv = question.haveTxt = question.haveAddr = false;
  question.txtBytes = question.port = question.addr = 0;
  question.host = "";
  beginAsking(question, now);
  question.endMs = kind === BROWSE ? NO_TIME : now + RESOLVE_MS;
  return question.generation * QUESTIONS + index;
}

function beginAsking(question: MdnsQuestion, now: number): void {
  question.sendMs = now + FIRST_MIN_MS + getRandomBelow(FIRST_SPREAD_MS + 1);
  question.intervalMs = FIRST_INTERVAL_MS;
}

/** This host is on a link, perhaps another one: all is asked anew, and what is not heard of again soon is lost (section 10.3). */
export function browserRestart(browser: MdnsBrowser, now: number): void {
  for (let i = 0; i < browser.questions.length; i++) if (browser.questions[i]!.kind !== FREE) beginAsking(browser.questions[i]!, now);
  for (let i = 0; i < browser.found.length; i++) {
    const entry = browser.found[i]!;
    if (entry.expiresMs > now + DOUBT_MS) entry.expiresMs = now + DOUBT_MS;
    entry.refresh = REFRESH_NEVER;
  }
}

export function browserBrowse(browser: MdnsBrowser, type: Uint8Array, now: number, onInstance: MdnsOnInstance): number {
  const handle = ask(browser, BROWSE, type, now);
  if (handle >= 0) browser.questions[handle % QUESTIONS]!.onInstance = onInstance;
  return handle;
}

export function browserResolve(browser: MdnsBrowser, name: Uint8Array, now: number, done: MdnsDone): number {
  const handle = ask(browser, RESOLVE, name, now);
  if (handle >= 0) browser.questions[handle % QUESTIONS]!.done = done;
  return handle;
}

export function browserLookup(browser: MdnsBrowser, name: Uint8Array, now: number, done: MdnsDone): number {
  const handle = ask(browser, HOST, name, now);
  if (handle < 0) return handle;
  const question = browser.questions[handle % QUESTIONS]!;
  question.done = done;
  question.target.set(name);
  return handle;
}

/** Takes a question back. A handle of one that has ended is no harm. */
export function browserCancel(browser: MdnsBrowser, handle: number): void {
  const question = handle < 0 ? undefined : browser.questions[handle % QUESTIONS];
  if (question === undefined || question.kind === FREE || question.generation !== Math.floor(handle / QUESTIONS)) return;
  forget(browser, question);
}

function forget(browser: MdnsBrowser, question: MdnsQuestion): void {
  question.kind = FREE;
  question.onInstance = question.done = null;
  for (let i = 0; i < browser.found.length; i++) if (browser.found[i]!.question === question) browser.found[i]!.question = null;
}

/** A record that came: whose name is at `at`, and what it holds behind `fixed`. */
export function browserRecord(browser: MdnsBrowser, length: number, at: number, fixed: number, now: number): void {
  for (let i = 0; i < browser.questions.length; i++) {
    const question = browser.questions[i]!;
    if (question.kind === FREE) continue;
    const type = scratchView.getUint16(fixed + RR_TYPE);
    if (question.kind === BROWSE) {
      if (type === DNS_TYPE_PTR && dnsNameIs(scratch, length, at, question.name, 0)) takeInstance(browser, question, fixed, now);
    } else if (scratchView.getInt32(fixed + RR_TTL) !== 0) {
      takeAnswer(question, length, at, fixed, type);
    }
  }
}

function ttlMs(fixed: number): number {
  const ttl = scratchView.getUint32(fixed + RR_TTL);
  return (ttl < LONGEST_TTL_SEC ? ttl : LONGEST_TTL_SEC) * MSEC_PER_SEC;
}

/** Reads the instance that the record behind `fixed` names into `browser.name`: whether it is one of that type. */
function readInstance(browser: MdnsBrowser, question: MdnsQuestion, fixed: number): boolean {
  const { name } = browser;
  const end = recordAfter(fixed);
  return dnsNameRead(scratch, end, fixed + RR_BYTES, name, 0, true) === end && name[0] !== 0
    && dnsNameIs(name, DNS_NAME_BYTES, 1 + name[0]!, question.name, 0);
}

/** What is remembered of the instance that was read last, or null. */
function findInstance({ found, name }: MdnsBrowser, question: MdnsQuestion): MdnsFound | null {
  for (let i = 0; i < found.length; i++) if (found[i]!.question === question && sameLabel(found[i]!, name)) return found[i]!;
  return null;
}

/** An instance of the type that is browsed for. */
function takeInstance(browser: MdnsBrowser, question: MdnsQuestion, fixed: number, now: number): void {
  const { name, found } = browser;
  if (!readInstance(browser, question, fixed)) return;
  const ttl = ttlMs(fixed);
  let entry = findInstance(browser, question);
  if (entry === null) {
    if (ttl === 0) return;
    for (let i = 0; i < found.length && entry === null; i++) if (found[i]!.question === null) entry = found[i]!;
    // More than can be remembered are not told.
    if (entry === null) return;
    entry.question = question;
    entry.labelBytes = name[0]!;
    for (let i = 0; i < entry.labelBytes; i++) entry.label[i] = name[1 + i]!;
    entry.event = MDNS_FOUND;
  }
  entry.ttlMs = ttl > 0 ? ttl : GOODBYE_MS;
  entry.expiresMs = now + entry.ttlMs;
  // What says goodbye is not asked for again.
  entry.refresh = ttl > 0 ? REFRESH_FROM + getRandomBelow(REFRESH_SPREAD + 1) : REFRESH_NEVER;
}

function sameLabel(entry: MdnsFound, name: Uint8Array): boolean {
  if (entry.labelBytes !== name[0]) return false;
  for (let i = 0; i < entry.labelBytes; i++) if (entry.label[i] !== name[1 + i]) return false;
  return true;
}

/** Place, text or address of what is resolved. */
function takeAnswer(question: MdnsQuestion, length: number, at: number, fixed: number, type: number): void {
  const data = fixed + RR_BYTES;
  const bytes = scratchView.getUint16(fixed + RR_RDLENGTH);
  const service = question.kind === RESOLVE && dnsNameIs(scratch, length, at, question.name, 0);
  if (service && type === DNS_TYPE_SRV && bytes > SRV_TARGET && !question.haveSrv) {
    // Once there is a target it stays: a malformed one would spoil it.
    if (dnsNameRead(scratch, data + bytes, data + SRV_TARGET, question.target, 0) !== data + bytes) return;
    question.port = scratchView.getUint16(data + SRV_PORT);
    question.haveSrv = true;
  } else if (service && type === DNS_TYPE_TXT) {
    question.txtBytes = bytes < TXT_BYTES ? bytes : TXT_BYTES;
    for (let i = 0; i < question.txtBytes; i++) question.txt[i] = scratch[data + i]!;
    question.haveTxt = true;
  } else if (type === DNS_TYPE_A && bytes === 4 && knowsHost(question) && dnsNameIs(scratch, length, at, question.target, 0)) {
    question.addr = scratchView.getInt32(data);
    question.haveAddr = true;
  }
}

function knowsHost(question: MdnsQuestion): boolean {
  return question.kind === HOST || question.haveSrv;
}

/** When an instance is asked for again, or forgotten. */
function refreshMs({ refresh, expiresMs, ttlMs: whole }: MdnsFound): number {
  return refresh < REFRESH_NEVER ? expiresMs - whole * (REFRESH_NEVER - refresh) / REFRESH_NEVER : expiresMs;
}

/** When a question is to be sent, or something is over; NO_TIME when never. */
export function browserNext(browser: MdnsBrowser): number {
  let next = NO_TIME;
  for (let i = 0; i < browser.questions.length; i++) {
    const { kind, sendMs, endMs } = browser.questions[i]!;
    if (kind === FREE) continue;
    if (sendMs < next) next = sendMs;
    if (endMs < next) next = endMs;
  }
  for (let i = 0; i < browser.found.length; i++) {
    const entry = browser.found[i]!;
    if (entry.question === null) continue;
    const at = refreshMs(entry);
    if (at < next) next = at;
  }
  return next;
}

/** Notes what is over by now, and what is to be asked for again before it is. */
export function browserExpire(browser: MdnsBrowser, now: number): void {
  for (let i = 0; i < browser.found.length; i++) {
    const entry = browser.found[i]!;
    if (entry.question === null) continue;
    if (now >= entry.expiresMs) {
      entry.event = entry.event === MDNS_FOUND ? 0 : MDNS_LOST;
      if (entry.event === 0) entry.question = null;
      continue;
    }
    if (now >= refreshMs(entry)) entry.question.sendMs = now;
  }
  for (let i = 0; i < browser.found.length; i++) {
    const entry = browser.found[i]!;
    if (entry.question === null || entry.question.sendMs > now) continue;
    while (entry.refresh < REFRESH_NEVER && now + TOGETHER_MS >= refreshMs(entry)) entry.refresh += REFRESH_STEP;
  }
}

/** The index of a question that is to be sent now, or -1. */
export function browserDue(browser: MdnsBrowser, now: number): number {
  for (let i = 0; i < browser.questions.length; i++) {
    const question = browser.questions[i]!;
    if (question.kind !== FREE && question.sendMs <= now) return i;
  }
  return -1;
}

function wasSent(question: MdnsQuestion, now: number): void {
  question.sendMs = now + question.intervalMs;
  question.intervalMs = question.intervalMs * 2 < LONGEST_INTERVAL_MS ? question.intervalMs * 2 : LONGEST_INTERVAL_MS;
}

/**
 * Somebody else asks all for the instances of the type at `at`, with so many known answers from `records` on. To who browses for it
 * too, that is as if it had asked itself, unless he knows of one that it does not (section 7.3).
 */
export function browserHeard(browser: MdnsBrowser, length: number, at: number, records: number, count: number, now: number): void {
  for (let i = 0; i < browser.questions.length; i++) {
    const question = browser.questions[i]!;
    if (question.kind === BROWSE && dnsNameIs(scratch, length, at, question.name, 0) && knowsAll(browser, question, length, records, count, now)) {
      wasSent(question, now);
    }
  }
}

/** Would all the known answers to the question be among ours? */
function knowsAll(browser: MdnsBrowser, question: MdnsQuestion, length: number, records: number, count: number, now: number): boolean {
  let at = records;
  for (let i = 0; i < count; i++) {
    const fixed = recordFixed(length, at);
    if (fixed < 0) return false;
    if (scratchView.getUint16(fixed + RR_TYPE) === DNS_TYPE_PTR && dnsNameIs(scratch, length, at, question.name, 0)) {
      const entry = readInstance(browser, question, fixed) ? findInstance(browser, question) : null;
      if (entry === null || !isFresh(entry, now)) return false;
    }
    at = recordAfter(fixed);
  }
  return true;
}

/** Is at least half of its time left (section 7.1)? */
function isFresh(entry: MdnsFound, now: number): boolean {
  return (entry.expiresMs - now) * 2 >= entry.ttlMs;
}

/** Writes the questions of one query behind `at`; how many, and where they end is browserEnd(). */
let endAt = 0;

export function browserPutQuestions(browser: MdnsBrowser, index: number, at: number, now: number): number {
  const question = browser.questions[index]!;
  wasSent(question, now);
  endAt = at;
  let count = 0;
  if (question.kind === BROWSE) count += putQuestion(question.name, DNS_TYPE_PTR);
  if (question.kind === RESOLVE && !question.haveSrv) count += putQuestion(question.name, DNS_TYPE_SRV);
  if (question.kind === RESOLVE && !question.haveTxt) count += putQuestion(question.name, DNS_TYPE_TXT);
  if (knowsHost(question) && !question.haveAddr && question.kind !== BROWSE) count += putQuestion(question.target, DNS_TYPE_A);
  return count;
}

export function browserEnd(): number {
  return endAt;
}

function putName(name: Uint8Array): void {
  const length = dnsNameLength(name, 0);
  for (let i = 0; i < length; i++) scratch[endAt + i] = name[i]!;
  endAt += length;
}

function putQuestion(name: Uint8Array, type: number): number {
  putName(name);
  scratchView.setUint16(endAt, type);
  scratchView.setUint16(endAt + 2, DNS_CLASS_IN);
  endAt += 4;
  return 1;
}

/**
 * Writes the instances that are known for at least half of their time (section 7.1): how many. With the type's name said once there is
 * room for all.
 */
export function browserPutKnown(browser: MdnsBrowser, index: number, now: number): number {
  const question = browser.questions[index]!;
  let count = 0;
  for (let i = 0; i < browser.found.length; i++) {
    const entry = browser.found[i]!;
    if (entry.question !== question || !isFresh(entry, now)) continue;
    const fixed = endAt + 2;
    scratchView.setUint16(endAt, QUESTION_NAME);
    endAt = fixed + RR_BYTES;
    scratch[endAt++] = entry.labelBytes;
    for (let j = 0; j < entry.labelBytes; j++) scratch[endAt++] = entry.label[j]!;
    scratchView.setUint16(endAt, QUESTION_NAME);
    endAt += 2;
    scratchView.setUint16(fixed + RR_TYPE, DNS_TYPE_PTR);
    scratchView.setUint16(fixed + RR_CLASS, DNS_CLASS_IN);
    scratchView.setInt32(fixed + RR_TTL, Math.floor((entry.expiresMs - now) / MSEC_PER_SEC));
    scratchView.setUint16(fixed + RR_RDLENGTH, endAt - fixed - RR_BYTES);
    count++;
  }
  return count;
}

/** Tells the program what has been noted: the last thing a run does. Makes strings. */
export function browserTell(browser: MdnsBrowser, now: number): void {
  for (let i = 0; i < browser.found.length; i++) {
    const entry = browser.found[i]!;
    const { question, event } = entry;
    if (question === null || event === 0) continue;
    entry.event = 0;
    if (event === MDNS_LOST) entry.question = null;
    question.onInstance?.(event, utf8Text(entry.label, 0, entry.labelBytes));
  }
  for (let i = 0; i < browser.questions.length; i++) {
    const question = browser.questions[i]!;
    if (question.kind === FREE || question.kind === BROWSE) continue;
    const complete = question.haveAddr && (question.kind === HOST || (question.haveSrv && question.haveTxt));
    if (!complete && now < question.endMs) continue;
    const { done } = question;
    question.host = complete ? dnsNameText(question.target, 0) : "";
    forget(browser, question);
    done?.(complete ? 0 : EAI_AGAIN, question);
  }
}
