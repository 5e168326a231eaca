/**
 * Expectations: connections that another one has announced, such as FTP's data. Linux: net/netfilter/nf_conntrack_expect.c. Owns their
 * rows and the timer that takes out those that did not come.
 *
 * There are a few at a time, and they are looked through for the first packets of connections only: so they are in no hash.
 */
import { POOL_IN_USE, type RowPool, rowAlloc, rowFree, rowsCreate } from "../../lib/pool.ts";
import { words, wordTable } from "../../lib/table.ts";
import { createTimer, delTimer, jiffies, TIMER_WORDS, timerReduce } from "../../lib/timer.ts";
import { EBUSY, EMFILE } from "../../uapi/errno.ts";
import { IPS_CONFIRMED } from "../../uapi/nf-conntrack.ts";
import type { Net } from "../core/net.ts";
import { CT_L4, CT_STATUS } from "./nf-conntrack-table.ts";

/*
 * A row. Its first word is the pool's while nobody has it.
 */
/** When it is given up, in jiffies. */
const EXP_EXPIRES = 0;
/** The connection that announced it; 0 in rows that are free. */
export const EXP_MASTER = 1;
/** What the first packet must have: where it comes from, under a mask; where it goes; ports as TUPLE_PORTS. */
export const EXP_SADDR = 2;
export const EXP_SMASK = 3;
export const EXP_DADDR = 4;
export const EXP_PORTS = 5;
/** Bits of the ports that count: the destination's always. */
export const EXP_PORT_MASK = 6;
/** As CT_L4. */
export const EXP_L4 = 7;
/** EXP_F_*. */
export const EXP_FLAGS = 8;
/** The destination port that was announced, where NAT has put another one into its place. */
export const EXP_SAVED_PORT = 9;
/** Number of the helper that announced it. */
export const EXP_HELPER = 10;
const EXP_WORDS = 11;

/** It stays when a connection has come. */
export const EXP_F_PERMANENT = 1;
/** The direction of its packets as seen by the connection that announced it is that of answers. */
export const EXP_F_REPLY = 2;
/** What comes is translated as that connection is. */
export const EXP_F_NAT = 4;

let rows = 0;
let rowCount = 0;
let pool: RowPool;
let timer = 0;

/** Words of a table of so many. */
export function nfCtExpectWords(count: number): number {
  return (count + 1) * EXP_WORDS + TIMER_WORDS;
}

/** Boot time. @param count expectations of all namespaces at a time */
export function nfCtExpectInit(count: number): void {
  rowCount = count;
  // One more, for the expectation that is being made.
  rows = wordTable("nf_conntrack_expect", (count + 1) * EXP_WORDS);
  pool = rowsCreate("nf_conntrack_expect", rows, count + 1, EXP_WORDS);
  timer = createTimer("nf_conntrack_expect", expire, 0);
}

/** A row to be filled in and given to nfCtExpectRelated(), or back; 0 when there is none. Linux: nf_ct_expect_alloc(). */
export function nfCtExpectAlloc(master: number): number {
  const exp = rowAlloc(pool);
  if (exp === 0) return 0;
  words.fill(0, exp, exp + EXP_WORDS);
  words[exp + EXP_L4] = words[master + CT_L4]!;
  return exp;
}

/** Gives a row back, expected or not. Linux: nf_ct_unexpect_related(), nf_ct_expect_put(). */
export function nfCtExpectFree(exp: number): void {
  words[exp + EXP_MASTER] = 0;
  rowFree(pool, exp);
}

/** Could one packet be expected by both? Linux: expect_clash(). */
function clashes(a: number, b: number): boolean {
  const mask = words[a + EXP_SMASK]! & words[b + EXP_SMASK]!;
  const ports = words[a + EXP_PORT_MASK]! & words[b + EXP_PORT_MASK]!;
  return words[a + EXP_L4] === words[b + EXP_L4] && words[a + EXP_DADDR] === words[b + EXP_DADDR]
    && ((words[a + EXP_SADDR]! ^ words[b + EXP_SADDR]!) & mask) === 0 && ((words[a + EXP_PORTS]! ^ words[b + EXP_PORTS]!) & ports) === 0;
}

/** Do both expect the same? Linux: expect_matches(). */
function same(a: number, b: number): boolean {
  return clashes(a, b) && words[a + EXP_SMASK] === words[b + EXP_SMASK] && words[a + EXP_PORT_MASK] === words[b + EXP_PORT_MASK]
    && words[a + EXP_SADDR] === words[b + EXP_SADDR] && words[a + EXP_HELPER] === words[b + EXP_HELPER];
}

/**
 * Such a connection is expected from now on, once, and takes the place of the oldest when its announcer may have no more. Linux:
 * nf_ct_expect_related(). @param master whose row it is @param most expectations of one master @param timeout in ms
 * @returns 0; -EBUSY when another connection's is in the way; -EMFILE when there are too many: the row stays the caller's
 */
export function nfCtExpectRelated(exp: number, master: number, most: number, timeout: number): number {
  let oldest = 0;
  let mine = 0;
  let all = 0;
  for (let i = 0; i <= rowCount; i++) {
    const other = rows + i * EXP_WORDS;
    if (words[other + EXP_MASTER] === 0) continue;
    if (same(exp, other) && words[other + EXP_MASTER] === master) {
      nfCtExpectFree(other);
      continue;
    }
    if (clashes(exp, other)) return -EBUSY;
    all++;
    if (words[other + EXP_MASTER] !== master || words[other + EXP_HELPER] !== words[exp + EXP_HELPER]) continue;
    mine++;
    if (oldest === 0 || ((words[other + EXP_EXPIRES]! - words[oldest + EXP_EXPIRES]!) | 0) < 0) oldest = other;
  }
  if (mine >= most) {
    nfCtExpectFree(oldest);
    all--;
  }
  if (all >= rowCount) return -EMFILE;
  const expires = (jiffies + timeout) | 0;
  words[exp + EXP_MASTER] = master;
  words[exp + EXP_EXPIRES] = expires;
  timerReduce(timer, expires);
  return 0;
}

/**
 * Is the connection whose first packet has these expected? Then it is no longer. Linux: nf_ct_find_expectation().
 * @returns its row, to be given back by nfCtExpectDone(); 0
 */
export function nfCtExpectFind(saddr: number, daddr: number, ports: number, l4: number): number {
  if (words[pool + POOL_IN_USE] === 0) return 0;
  for (let i = 0; i <= rowCount; i++) {
    const exp = rows + i * EXP_WORDS;
    const master = words[exp + EXP_MASTER]!;
    if (
      master !== 0 && words[exp + EXP_L4] === l4 && words[exp + EXP_DADDR] === daddr
      && ((ports ^ words[exp + EXP_PORTS]!) & words[exp + EXP_PORT_MASK]!) === 0
      && ((saddr ^ words[exp + EXP_SADDR]!) & words[exp + EXP_SMASK]!) === 0
      && ((words[exp + EXP_EXPIRES]! - jiffies) | 0) > 0
    ) return (words[master + CT_STATUS]! & IPS_CONFIRMED) !== 0 ? exp : 0;
  }
  return 0;
}

/** What nfCtExpectFind() found has been dealt with. */
export function nfCtExpectDone(exp: number): void {
  if ((words[exp + EXP_FLAGS]! & EXP_F_PERMANENT) === 0) nfCtExpectFree(exp);
}

/** The announcer goes, and what it announced does. Linux: nf_ct_remove_expectations(). */
export function nfCtExpectRemove(master: number): void {
  for (let i = 0; i <= rowCount; i++) {
    const exp = rows + i * EXP_WORDS;
    if (words[exp + EXP_MASTER] === master) nfCtExpectFree(exp);
  }
}

function expire(): void {
  for (let i = 0; i <= rowCount; i++) {
    const exp = rows + i * EXP_WORDS;
    if (words[exp + EXP_MASTER] === 0) continue;
    if (((words[exp + EXP_EXPIRES]! - jiffies) | 0) <= 0) nfCtExpectFree(exp);
    else timerReduce(timer, words[exp + EXP_EXPIRES]!);
  }
  if (words[pool + POOL_IN_USE] === 0) delTimer(timer);
}

/** The next expectation of a namespace behind one, the first one behind 0; 0 when there is none. For text. */
export function nfCtExpectNext(net: Net, exp: number): number {
  for (let at = exp === 0 ? rows : exp + EXP_WORDS; at < rows + (rowCount + 1) * EXP_WORDS; at += EXP_WORDS) {
    if (words[at + EXP_MASTER] !== 0 && words[at + EXP_L4]! >>> 8 === net.id) return at;
  }
  return 0;
}

/** Milliseconds until it is given up. */
export function nfCtExpectLeft(exp: number): number {
  return (words[exp + EXP_EXPIRES]! - jiffies) | 0;
}
