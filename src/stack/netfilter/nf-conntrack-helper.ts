/**
 * Helpers: what reads the data of some connections and announces others, as FTP's must be. Linux: net/netfilter/nf_conntrack_helper.c, and
 * the part of nf_confirm() that calls them. Owns the list of helpers, and what is remembered of helped connections.
 *
 * A connection is helped when a rule says so: `iptables -t raw -A PREROUTING -p tcp --dport 21 -j CT --helper ftp`.
 */
import { type Slab, slabAlloc, slabCreate, slabFree, slabWords } from "../../lib/pool.ts";
import { halfTable, halfWords, halves, words, wordTable } from "../../lib/table.ts";
import { IFF_LOOPBACK } from "../../uapi/if.ts";
import { XT_CT_HELPER_WORDS } from "../../uapi/ip-tables.ts";
import { NF_ACCEPT, NF_DROP, NF_INET_LOCAL_IN } from "../../uapi/netfilter.ts";
import { IP_CT_IS_REPLY, IP_CT_RELATED, IPS_EXPECTED, IPS_HELPER, IPS_SEQ_ADJUST } from "../../uapi/nf-conntrack.ts";
import type { Net } from "../core/net.ts";
import type { SkBuff } from "../core/skbuff.ts";
import {
  EXP_DADDR, EXP_HELPER, EXP_L4, EXP_PORTS, EXP_SADDR, nfCtExpectDone, nfCtExpectFind, nfCtExpectInit, nfCtExpectLeft, nfCtExpectNext,
  nfCtExpectRemove, nfCtExpectWords,
} from "./nf-conntrack-expect.ts";
import { registerCtHelpers } from "./nf-conntrack-parts.ts";
import { nfCtSeqAdjSet, nfCtSeqAdjust, nfCtSeqOffset, SEQADJ_WORDS } from "./nf-conntrack-seqadj.ts";
import {
  CT_L4, CT_STAT_DROP, CT_STATUS, nfCtCount, nfCtIndex, TUPLE_DADDR, TUPLE_PORTS, TUPLE_SADDR,
} from "./nf-conntrack-table.ts";

/** A helper. Linux: struct nf_conntrack_helper. */
export interface CtHelper {
  /** Up to 15 characters: `-j CT --helper NAME`. */
  readonly name: string;
  readonly protocol: number;
  /** Most connections that one may announce at a time, and how many ms each is waited for. */
  readonly maxExpected: number;
  readonly timeoutMs: number;
  /**
   * Reads a packet of a helped connection, which is about to leave. It may write to it once skbEnsureWritable() allows it.
   * @param row of the connection @param ctinfo IP_CT_* @param data HELP_DATA_WORDS words of the connection, 0 at first
   * @returns a verdict
   */
  help(skb: SkBuff, row: number, ctinfo: number, data: number): number;
  /** What was announced has come: to translate it. @param row of the new connection @param exp its expectation */
  expected?(row: number, exp: number): void;
}

/*
 * What is remembered of a helped connection: number of the helper, its own words, sequence numbers.
 */
const HELP_NUMBER = 0;
const HELP_DATA = 1;
/** Words that a helper has for each connection. */
export const HELP_DATA_WORDS = 5;
const HELP_SEQADJ = HELP_DATA + HELP_DATA_WORDS;
const HELP_WORDS = HELP_SEQADJ + SEQADJ_WORDS;
/** A connection that is not helped. */
const NONE = 0xffff;

let helpers: CtHelper[];
let rows = 0;
let slab: Slab;
/** Where in `halves` the index of each connection's row is, NONE for none. */
let rowOf = 0;

/** Not made at boot: there it would be in RAM. */
const CT_HELPERS = Object.freeze({ find, begin, leave, seqOffset, destroy });

/** Words of what nfCtHelperInit() makes. */
export function nfCtHelperWords(connections: number, helped: number, expected: number): number {
  return helped * HELP_WORDS + slabWords(helped) + halfWords(connections) + nfCtExpectWords(expected);
}

/** Boot time, behind connection tracking. @param connections of all namespaces @param helped among them @param expected at a time */
export function nfCtHelperInit(connections: number, helped: number, expected: number): void {
  helpers = [];
  rows = wordTable("nf_conntrack_help", helped * HELP_WORDS);
  slab = slabCreate("nf_conntrack_help", helped);
  rowOf = halfTable("nf_conntrack_help", connections, NONE);
  nfCtExpectInit(expected);
  registerCtHelpers(CT_HELPERS);
}

/** A helper is there. Boot time. Linux: nf_conntrack_helper_register(). */
export function nfCtHelperRegister(helper: CtHelper): void {
  helpers.push(helper);
}

/** The number of a helper's name in words, from 1; -1 for none. Asked when rules are loaded. Linux: nf_conntrack_helper_try_module_get(). */
function find(name: number, protocol: number): number {
  for (let n = 0; n < helpers.length; n++) {
    const helper = helpers[n]!;
    let same = helper.protocol === protocol;
    for (let i = 0; same && i < XT_CT_HELPER_WORDS << 2; i++) {
      const c = (words[name + (i >> 2)]! >>> ((i & 3) << 3)) & 0xff;
      same = c === (i < helper.name.length ? helper.name.charCodeAt(i) : 0);
    }
    if (same) return n + 1;
  }
  return -1;
}

/** The row of a helped connection; -1 when it is not. Linux: nfct_help(). */
function helpOf(row: number): number {
  const index = halves[rowOf + nfCtIndex(row)]!;
  return index === NONE ? -1 : rows + index * HELP_WORDS;
}

/** The first packet of a connection: was it announced, and is it to be helped? Linux: init_conntrack(). @param number of a helper, 0 */
function begin(row: number, number: number): void {
  const exp = nfCtExpectFind(words[row + TUPLE_SADDR]!, words[row + TUPLE_DADDR]!, words[row + TUPLE_PORTS]!, words[row + CT_L4]!);
  if (exp !== 0) {
    words[row + CT_STATUS]! |= IPS_EXPECTED;
    const helper = helpers[words[exp + EXP_HELPER]! - 1]!;
    if (helper.expected !== undefined) helper.expected(row, exp);
    nfCtExpectDone(exp);
  }
  if (number === 0 || number > helpers.length) return;
  const index = slabAlloc(slab);
  // The connection goes on without help.
  if (index < 0) return;
  halves[rowOf + nfCtIndex(row)] = index;
  const help = rows + index * HELP_WORDS;
  words.fill(0, help, help + HELP_WORDS);
  words[help + HELP_NUMBER] = number;
  words[row + CT_STATUS]! |= IPS_HELPER;
}

/** A packet of a helped connection leaves, or is about to be delivered. Linux: nf_confirm(). @returns a verdict */
function leave(skb: SkBuff, row: number, ctinfo: number, hooknum: number): number {
  const help = helpOf(row);
  if (help < 0 || ctinfo === IP_CT_RELATED + IP_CT_IS_REPLY || ctinfo === IP_CT_RELATED) return NF_ACCEPT;
  // What loopback brings was moved when it was sent.
  const moved = (words[row + CT_STATUS]! & IPS_SEQ_ADJUST) !== 0
    && (hooknum !== NF_INET_LOCAL_IN || (skb.dev!.flags & IFF_LOOPBACK) === 0);
  const verdict = helpers[words[help + HELP_NUMBER]! - 1]!.help(skb, row, ctinfo, help + HELP_DATA);
  if (verdict !== NF_ACCEPT || !moved) return verdict;
  if (nfCtSeqAdjust(skb, help + HELP_SEQADJ, ctinfo >= IP_CT_IS_REPLY ? 1 : 0)) return NF_ACCEPT;
  nfCtCount(CT_STAT_DROP);
  return NF_DROP;
}

/** How far a sequence number of that direction's sender is moved. */
function seqOffset(row: number, direction: number, seq: number): number {
  const help = helpOf(row);
  return help < 0 ? 0 : nfCtSeqOffset(help + HELP_SEQADJ, direction, seq);
}

/** The data of a segment of a helped connection has become longer by so many bytes. @param seq of the segment as it was sent */
export function nfCtHelpedMore(row: number, direction: number, seq: number, more: number): void {
  if (more === 0) return;
  words[row + CT_STATUS]! |= IPS_SEQ_ADJUST;
  nfCtSeqAdjSet(helpOf(row) + HELP_SEQADJ, direction, seq, more);
}

function destroy(row: number): void {
  const at = rowOf + nfCtIndex(row);
  const index = halves[at]!;
  if (index === NONE) return;
  nfCtExpectRemove(row);
  slabFree(slab, index);
  halves[at] = NONE;
}

/** The number of a helper. */
export function nfCtHelperNumber(helper: CtHelper): number {
  return helpers.indexOf(helper) + 1;
}

function formatAddress(addr: number): string {
  return `${addr >>> 24}.${(addr >> 16) & 255}.${(addr >> 8) & 255}.${addr & 255}`;
}

/** What `cat /proc/net/nf_conntrack_expect` prints. Linux: exp_seq_show(). */
export function formatExpectProc(net: Net): string {
  let text = "";
  for (let exp = nfCtExpectNext(net, 0); exp !== 0; exp = nfCtExpectNext(net, exp)) {
    const ports = words[exp + EXP_PORTS]!;
    text += `${Math.floor(nfCtExpectLeft(exp) / 1000)} l3proto = 2 proto=${words[exp + EXP_L4]! & 0xff} `
      + `src=${formatAddress(words[exp + EXP_SADDR]!)} dst=${formatAddress(words[exp + EXP_DADDR]!)} `
      + `sport=${ports >>> 16} dport=${ports & 0xffff} ${helpers[words[exp + EXP_HELPER]! - 1]!.name}\n`;
  }
  return text;
}
