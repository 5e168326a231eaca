/**
 * What name servers have said, until its TTL is over: a fixed table of addresses by name, and of names known not to have any.
 * Read first: RFC 1035 section 7.4, RFC 2308 (negative answers). Owns the table. Longer names are not kept.
 */
import { account } from "../lib/account.ts";
import { jiffies } from "../lib/timer.ts";
import { ANSWER_DATA, type DnsAnswer } from "./dns-message.ts";

/** Longest name kept, as in a message. */
const NAME_BYTES = 64;
/** Numbers of a row: when it ends (jiffies), what was answered, how many addresses, these. */
const EXPIRES = 0;
const KIND = 1;
const COUNT = 2;
const ADDRESSES = 3;
/** Addresses kept of one name. */
const KEPT = 4;
const ROW = ADDRESSES + KEPT;
/** KIND of a free row. */
const FREE = -1;
const MSEC_PER_SEC = 1000;

export class DnsCache {
  readonly rows: Int32Array;
  readonly names: Uint8Array;
  readonly size: number;

  /** @param size names it can hold, 0 for none */
  constructor(size: number) {
    this.size = size;
    this.rows = new Int32Array(size * ROW);
    this.names = new Uint8Array(size * NAME_BYTES);
    dnsCacheFlush(this);
    account("dns_cache", this);
  }
}

/** Forgets everything. */
export function dnsCacheFlush(cache: DnsCache): void {
  for (let i = 0; i < cache.size; i++) cache.rows[i * ROW + KIND] = FREE;
}

function sameName(cache: DnsCache, index: number, name: Uint8Array, length: number): boolean {
  const at = index * NAME_BYTES;
  for (let i = 0; i < length; i++) if (cache.names[at + i] !== name[i]) return false;
  return true;
}

function find(cache: DnsCache, name: Uint8Array, length: number): number {
  for (let i = 0; i < cache.size; i++) if (cache.rows[i * ROW + KIND] !== FREE && sameName(cache, i, name, length)) return i;
  return -1;
}

/**
 * Looks a name up.
 * @param name as in a message, lower case @returns the ANSWER_* that is known, with `answer` filled in; -1 for nothing known
 */
export function dnsCacheGet(cache: DnsCache, name: Uint8Array, length: number, answer: DnsAnswer): number {
  dnsCacheExpire(cache);
  const index = length > NAME_BYTES ? -1 : find(cache, name, length);
  if (index < 0) return -1;
  const { rows } = cache;
  const row = index * ROW;
  answer.count = rows[row + COUNT]!;
  for (let i = 0; i < answer.count; i++) answer.addresses[i] = rows[row + ADDRESSES + i]!;
  answer.ttlSec = (((rows[row + EXPIRES]! - jiffies) | 0) / MSEC_PER_SEC) | 0;
  answer.name = "";
  return rows[row + KIND]!;
}

/** Keeps an answer for its TTL, in the place of the name's last one, a free row, or of the one that ends first. */
export function dnsCachePut(cache: DnsCache, name: Uint8Array, length: number, kind: number, answer: DnsAnswer): void {
  if (answer.ttlSec <= 0 || length > NAME_BYTES || cache.size === 0) return;
  const { rows } = cache;
  dnsCacheExpire(cache);
  let index = find(cache, name, length);
  if (index < 0) {
    index = 0;
    for (let i = 0; i < cache.size; i++) {
      const row = i * ROW;
      if (rows[row + KIND] === FREE) {
        index = i;
        break;
      }
      if (((rows[row + EXPIRES]! - rows[index * ROW + EXPIRES]!) | 0) < 0) index = i;
    }
  }
  const row = index * ROW;
  for (let i = 0; i < length; i++) cache.names[index * NAME_BYTES + i] = name[i]!;
  rows[row + EXPIRES] = jiffies + answer.ttlSec * MSEC_PER_SEC;
  rows[row + KIND] = kind;
  const count = kind !== ANSWER_DATA ? 0 : answer.count < KEPT ? answer.count : KEPT;
  rows[row + COUNT] = count;
  for (let i = 0; i < count; i++) rows[row + ADDRESSES + i] = answer.addresses[i]!;
}

/** Frees what is over. @returns ms until the next row is, -1 when there is none */
export function dnsCacheExpire(cache: DnsCache): number {
  const { rows } = cache;
  let next = -1;
  for (let i = 0; i < cache.size; i++) {
    const row = i * ROW;
    if (rows[row + KIND] === FREE) continue;
    const left = (rows[row + EXPIRES]! - jiffies) | 0;
    if (left <= 0) rows[row + KIND] = FREE;
    else if (next < 0 || left < next) next = left;
  }
  return next;
}
