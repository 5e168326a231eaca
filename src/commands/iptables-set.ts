/**
 * iptables' rule sets as the commands work on them: chains of rules, read from a table and written back as a whole. iptables'
 * counterpart is libiptc. Allocates.
 */
import type { Net } from "../stack/core/net.ts";
import { close } from "../stack/socket/files.ts";
import { getsockopt, setsockoptBytes } from "../stack/socket/sockopt.ts";
import { socketIn } from "../stack/socket/socket.ts";
import {
  IPT_SO_GET_ENTRIES, IPT_SO_GET_INFO, IPT_SO_SET_REPLACE, IPT_TABLE_FILTER, IPT_TABLE_MANGLE, IPT_TABLE_NAT, IPT_TABLE_RAW,
  IPTE_BYTES, IPTE_DMSK, IPTE_DST, IPTE_IFLEN, IPTE_IN, IPTE_NEXT, IPTE_OUT, IPTE_PACKETS, IPTE_PROTO, IPTE_SMSK, IPTE_SRC,
  IPTE_TARGET, IPTE_WORDS, IPTI_HOOK_ENTRY, IPTI_SIZE, IPTI_TABLE, IPTI_UNDERFLOW, IPTI_VALID_HOOKS, IPTI_WORDS,
  IPTR_ENTRIES, IPTR_HOOK_ENTRY, IPTR_NUM_ENTRIES, IPTR_SIZE, IPTR_TABLE, IPTR_UNDERFLOW, XT_CT_HELPER_WORDS, XT_DATA,
  XT_MATCH_LIMIT, XT_NAME_WORDS, XT_RETURN, XT_SIZE, XT_TARGET_CT, XT_TARGET_ERROR, XT_TARGET_STANDARD, XT_TYPE,
} from "../uapi/ip-tables.ts";
import { NF_ACCEPT, NF_DROP, NF_INET_NUMHOOKS, NF_QUEUE } from "../uapi/netfilter.ts";
import { AF_INET, SOCK_DGRAM, SOL_IP } from "../uapi/socket.ts";

export const TABLE_NAMES: readonly string[] = Object.freeze(["raw", "mangle", "nat", "filter"]);
const TABLES: readonly number[] = Object.freeze([IPT_TABLE_RAW, IPT_TABLE_MANGLE, IPT_TABLE_NAT, IPT_TABLE_FILTER]);
export const HOOK_NAMES: readonly string[] = Object.freeze(["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"]);

/** A match or target with data: its number and words. */
export interface Extension {
  readonly type: number;
  readonly data: number[];
}

/** Packets and bytes. */
export interface Counters {
  packets: number;
  bytes: number;
}

/** A rule. */
export class Rule implements Counters {
  src = 0;
  smsk = 0;
  dst = 0;
  dmsk = 0;
  /** Names of devices, "" for any; a last "+" stands for any end. */
  inDev = "";
  outDev = "";
  /** Protocol, 0 for any. */
  proto = 0;
  /** IPT_F_*, IPT_INV_* */
  flags = 0;
  inverted = 0;
  matches: Extension[] = [];
  /** Where the rule sends packets: ACCEPT, DROP, QUEUE, RETURN, a chain, or "" for nowhere. Not used with `target`. */
  jump = "";
  target: Extension | null = null;
  packets = 0;
  bytes = 0;
}

export class Chain implements Counters {
  name: string;
  /** NF_INET_* of a built-in chain, -1 for a user's. */
  readonly hook: number;
  /** ACCEPT or DROP of a built-in chain, else "". */
  policy: string;
  packets = 0;
  bytes = 0;
  rules: Rule[] = [];

  constructor(name: string, hook = -1, policy = "") {
    this.name = name;
    this.hook = hook;
    this.policy = policy;
  }
}

const VERDICTS: Readonly<Record<string, number>> = Object.freeze({
  ACCEPT: -NF_ACCEPT - 1, DROP: -NF_DROP - 1, QUEUE: -NF_QUEUE - 1, RETURN: XT_RETURN,
});

/** Is it a verdict, and no chain? */
export function isVerdict(name: string): boolean {
  return Object.hasOwn(VERDICTS, name);
}

function verdictName(verdict: number): string {
  for (const name of Object.keys(VERDICTS)) if (VERDICTS[name] === verdict) return name;
  return "";
}

/** Text of words with four characters each. */
export function textOf(words: ArrayLike<number>, at: number, count: number): string {
  let text = "";
  for (let i = 0; i < count << 2; i++) {
    const c = (words[at + (i >> 2)]! >>> ((i & 3) << 3)) & 255;
    if (c === 0) break;
    text += String.fromCharCode(c);
  }
  return text;
}

/** The words of a text, zeros behind. */
export function textWords(text: string, count: number): number[] {
  const words = new Array<number>(count).fill(0);
  for (let i = 0; i < text.length; i++) words[i >> 2]! |= (text.charCodeAt(i) & 255) << ((i & 3) << 3);
  return words;
}

/** A device's name as rules have it: its words, and how many bytes of them count. */
function deviceName(words: ArrayLike<number>, at: number, length: number): string {
  if (length === 0) return "";
  const name = textOf(words, at, 4);
  return name.length >= length ? `${name.substring(0, length)}+` : name;
}

/** Bytes of a device's name that count: with the closing zero, unless it ends in "+"; 0 for any. */
function deviceLength(name: string): number {
  if (name === "") return 0;
  return name.endsWith("+") ? name.length - 1 : name.length + 1;
}

function counter(words: Int32Array, at: number): number {
  return (words[at]! >>> 0) + (words[at + 1]! >>> 0) * 0x100000000;
}

function counterWords(value: number): [number, number] {
  return [value | 0, Math.floor(value / 0x100000000) | 0];
}

/** A table of a namespace, read and to be written. */
export class TableSet {
  readonly table: number;
  chains: Chain[] = [];

  constructor(table: number) {
    this.table = table;
  }

  chain(name: string): Chain | undefined {
    return this.chains.find((chain) => chain.name === name);
  }

  /** Rules that jump to a chain. */
  references(name: string): number {
    return this.chains.reduce((sum, { rules }) => sum + rules.filter((rule) => rule.target === null && rule.jump === name).length, 0);
  }
}

/** Runs something with a socket, which is closed at its end. */
function withSocket<T>(net: Net, body: (fd: number) => T): T | number {
  const fd = socketIn(net, AF_INET, SOCK_DGRAM, 0);
  if (fd < 0) return fd;
  try {
    return body(fd);
  } finally {
    close(fd);
  }
}

function readExtension(words: Int32Array, at: number): Extension {
  return { type: words[at + XT_TYPE]!, data: [...words.subarray(at + XT_DATA, at + words[at + XT_SIZE]!)] };
}

/** A match, without what is the stack's own: what a limit remembers. */
function readMatch(words: Int32Array, at: number): Extension {
  const match = readExtension(words, at);
  if (match.type === XT_MATCH_LIMIT) match.data[2] = match.data[3] = 0;
  return match;
}

/** A target, without what is the stack's own: a helper's number. */
function readTarget(words: Int32Array, at: number): Extension {
  const target = readExtension(words, at);
  if (target.type === XT_TARGET_CT) target.data[1 + XT_CT_HELPER_WORDS] = 0;
  return target;
}

function readRule(words: Int32Array, at: number, chainAt: Map<number, string>): Rule {
  const rule = new Rule();
  rule.src = words[at + IPTE_SRC]!;
  rule.smsk = words[at + IPTE_SMSK]!;
  rule.dst = words[at + IPTE_DST]!;
  rule.dmsk = words[at + IPTE_DMSK]!;
  const lengths = words[at + IPTE_IFLEN]!;
  rule.inDev = deviceName(words, at + IPTE_IN, lengths & 255);
  rule.outDev = deviceName(words, at + IPTE_OUT, lengths >> 8);
  const flags = words[at + IPTE_PROTO]!;
  rule.proto = flags & 255;
  rule.flags = (flags >> 8) & 255;
  rule.inverted = flags >> 16;
  rule.packets = counter(words, at + IPTE_PACKETS);
  rule.bytes = counter(words, at + IPTE_BYTES);
  const target = at + words[at + IPTE_TARGET]!;
  for (let m = at + IPTE_WORDS; m < target; m += words[m + XT_SIZE]!) rule.matches.push(readMatch(words, m));
  if (words[target + XT_TYPE] !== XT_TARGET_STANDARD) {
    rule.target = readTarget(words, target);
  } else {
    const verdict = words[target + XT_DATA]!;
    // A rule without a target jumps to the next one.
    rule.jump = verdict < 0 ? verdictName(verdict) : verdict === at + words[at + IPTE_NEXT]! ? "" : chainAt.get(verdict)!;
  }
  return rule;
}

/** The names of users' chains, by where their first rule is. */
function findChains(words: Int32Array): Map<number, string> {
  const chainAt = new Map<number, string>();
  for (let at = 0; at < words.length; at += words[at + IPTE_NEXT]!) {
    const target = at + words[at + IPTE_TARGET]!;
    if (words[target + XT_TYPE] !== XT_TARGET_ERROR) continue;
    const next = at + words[at + IPTE_NEXT]!;
    if (next < words.length) chainAt.set(next, textOf(words, target + XT_DATA, XT_NAME_WORDS));
  }
  return chainAt;
}

/** The table as it is, or a negative errno: -ENOENT when there is no such table. Linux: iptc_init(). */
export function readTable(net: Net, table: number): TableSet | number {
  return withSocket(net, (fd) => {
    const info = new Int32Array(IPTI_WORDS);
    info[IPTI_TABLE] = TABLES[table]!;
    const err = getsockopt(fd, SOL_IP, IPT_SO_GET_INFO, info);
    if (err < 0) return err;
    const words = new Int32Array(info[IPTI_SIZE]!);
    words[0] = table;
    const got = getsockopt(fd, SOL_IP, IPT_SO_GET_ENTRIES, words);
    return got < 0 ? got : decode(table, info, words);
  });
}

function decode(table: number, info: Int32Array, words: Int32Array): TableSet {
  const set = new TableSet(table);
  const chainAt = findChains(words);
  let chain: Chain | null = null;
  let end = -1;
  for (let at = 0; at < words.length; at += words[at + IPTE_NEXT]!) {
    for (let hook = 0; hook < NF_INET_NUMHOOKS; hook++) {
      if ((info[IPTI_VALID_HOOKS]! & (1 << hook)) === 0 || info[IPTI_HOOK_ENTRY + hook] !== at) continue;
      set.chains.push((chain = new Chain(HOOK_NAMES[hook]!, hook)));
      end = info[IPTI_UNDERFLOW + hook]!;
    }
    const name = chainAt.get(at);
    if (name !== undefined) set.chains.push((chain = new Chain(name)));
    const type = words[at + words[at + IPTE_TARGET]! + XT_TYPE];
    if (type === XT_TARGET_ERROR) continue;
    const rule = readRule(words, at, chainAt);
    const nextEnds = words[at + words[at + IPTE_NEXT]! + words[at + words[at + IPTE_NEXT]! + IPTE_TARGET]! + XT_TYPE] === XT_TARGET_ERROR;
    if (chain!.hook >= 0 ? at === end : nextEnds) {
      if (chain!.hook >= 0) chain!.policy = rule.jump;
      chain!.packets = rule.packets;
      chain!.bytes = rule.bytes;
    } else {
      chain!.rules.push(rule);
    }
  }
  return set;
}

/** An entry's words: its target as they stand, or a verdict that encode() fills in. */
function encodeRule(rule: Rule): number[] {
  const matches = rule.matches.flatMap(({ type, data }) => [data.length + XT_DATA, type, ...data]);
  const target = rule.target === null ? [XT_DATA + 1, XT_TARGET_STANDARD, 0] : [rule.target.data.length + XT_DATA, rule.target.type, ...rule.target.data];
  const at = IPTE_WORDS + matches.length;
  return [
    at + target.length, at, rule.src, rule.smsk, rule.dst, rule.dmsk, rule.proto | (rule.flags << 8) | (rule.inverted << 16),
    deviceLength(rule.inDev) | (deviceLength(rule.outDev) << 8), ...textWords(rule.inDev.replace(/\+$/, ""), 4),
    ...textWords(rule.outDev.replace(/\+$/, ""), 4), ...counterWords(rule.packets), ...counterWords(rule.bytes), 0, ...matches, ...target,
  ];
}

function bareRule(jump: string, counters: Counters): Rule {
  const rule = new Rule();
  rule.jump = jump;
  rule.packets = counters.packets;
  rule.bytes = counters.bytes;
  return rule;
}

function nameRule(name: string): Rule {
  const rule = new Rule();
  rule.target = { type: XT_TARGET_ERROR, data: textWords(name, XT_NAME_WORDS) };
  return rule;
}

function encode(set: TableSet): Int32Array {
  const words: number[] = [set.table, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1];
  const starts = new Map<string, number>();
  /** Rules whose verdict is a chain or the next rule: where they are. */
  const jumps: [number, Rule][] = [];
  let count = 0;
  const add = (rule: Rule): number => {
    const at = words.length - IPTR_ENTRIES;
    if (rule.target === null) jumps.push([at, rule]);
    words.push(...encodeRule(rule));
    count++;
    return at;
  };
  for (const chain of set.chains) {
    if (chain.hook < 0) add(nameRule(chain.name));
    const start = words.length - IPTR_ENTRIES;
    starts.set(chain.name, start);
    for (const rule of chain.rules) add(rule);
    const end = add(bareRule(chain.hook < 0 ? "RETURN" : chain.policy, chain));
    if (chain.hook < 0) continue;
    words[IPTR_HOOK_ENTRY + chain.hook] = start;
    words[IPTR_UNDERFLOW + chain.hook] = end;
  }
  add(nameRule("ERROR"));
  for (const [at, rule] of jumps) {
    const entry = at + IPTR_ENTRIES;
    const verdict = entry + words[entry + IPTE_TARGET]! + XT_DATA;
    words[verdict] = rule.jump === "" ? at + words[entry + IPTE_NEXT]! : VERDICTS[rule.jump] ?? starts.get(rule.jump)!;
  }
  words[IPTR_TABLE] = TABLES[set.table]!;
  words[IPTR_NUM_ENTRIES] = count;
  words[IPTR_SIZE] = words.length - IPTR_ENTRIES;
  return Int32Array.from(words);
}

/** Writes the table: 0 or a negative errno, and then it is as it was. Linux: iptc_commit(). */
export function writeTable(net: Net, set: TableSet): number {
  return withSocket(net, (fd) => setsockoptBytes(fd, SOL_IP, IPT_SO_SET_REPLACE, encode(set)));
}

/** Do two rules say the same, whatever they have counted? */
export function sameRule(a: Rule, b: Rule): boolean {
  const bare = ({ packets: _packets, bytes: _bytes, ...rest }: Rule): string => JSON.stringify(rest);
  return bare(a) === bare(b);
}
