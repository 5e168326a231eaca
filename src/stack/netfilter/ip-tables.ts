/**
 * iptables: a packet's way through the rules of a table. Linux: net/ipv4/netfilter/ip_tables.c ipt_do_table(), and the tables raw,
 * mangle and filter of iptable_*.c. Owns the memory of all rule sets (ip-tables-set.ts loads them) and the stack of jumps.
 *
 * The rules of a set lie one behind the other in `words` as uapi/ip-tables.ts lays them out, so that going to the next rule is one
 * addition, and positions within the set are relative: a set can be moved.
 */
import { account } from "../../lib/account.ts";
import { memView } from "../../lib/memory.ts";
import { words, wordTable } from "../../lib/table.ts";
import {
  IPT_F_FRAG, IPT_F_GOTO, IPT_INV_DSTIP, IPT_INV_FRAG, IPT_INV_PROTO, IPT_INV_SRCIP, IPT_INV_VIA_IN, IPT_INV_VIA_OUT,
  IPT_TABLE_FILTER, IPT_TABLE_MANGLE, IPT_TABLE_RAW, IPT_TABLES, IPTE_BYTES, IPTE_DMSK, IPTE_DST, IPTE_IFLEN, IPTE_IN, IPTE_NEXT,
  IPTE_OUT, IPTE_PACKETS, IPTE_PROTO, IPTE_SMSK, IPTE_SRC, IPTE_TARGET, IPTE_WORDS, XT_DATA, XT_RETURN, XT_SIZE,
  XT_TARGET_STANDARD, XT_TYPE,
} from "../../uapi/ip-tables.ts";
import {
  NF_ACCEPT, NF_DROP, NF_INET_FORWARD, NF_INET_LOCAL_IN, NF_INET_LOCAL_OUT, NF_INET_NUMHOOKS, NF_INET_PRE_ROUTING,
  NF_IP_PRI_FILTER, NF_IP_PRI_MANGLE, NF_IP_PRI_RAW, NFPROTO_IPV4,
} from "../../uapi/netfilter.ts";
import { type Net, registerPernetSubsys } from "../core/net.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { IP_OFFSET, IPH_DADDR, IPH_FRAG_OFF, IPH_PROTOCOL, IPH_SADDR, IPH_TOS } from "../wire/ip.ts";
import { type NfHookFn, NfHookOps, nfRegisterHook } from "./hooks.ts";
import { ipRouteMeHarder } from "./reroute.ts";
import { XT_CONTINUE, XT_HOTDROP, XT_HOTDROP_VERDICT, XT_NO, XT_YES, xtAsk, xtAskAt, xtMatches, xtTargets } from "./x-tables.ts";

/** A table of a namespace: where its set begins in `words` (-1 without one), and as IPTI_. */
export const TABLE_BASE = 0;
export const TABLE_NUM_ENTRIES = 1;
export const TABLE_SIZE = 2;
export const TABLE_HOOK_ENTRY = 3;
export const TABLE_UNDERFLOW = 8;
export const TABLE_WORDS = 13;
/** Words of the tables of a namespace. */
export const NET_TABLES_WORDS = TABLE_WORDS * IPT_TABLES;

/** Names of devices that are kept as rules have them, and words of each. */
const NAMES = 6;
const NAME_WORDS = 4;
/** Jumps that a packet can be inside of. */
export const JUMPS = 16;

/** Bits of the hooks each table has. */
export const TABLE_HOOKS: readonly number[] = Object.freeze([
  (1 << NF_INET_PRE_ROUTING) | (1 << NF_INET_LOCAL_OUT),
  31,
  31 & ~(1 << NF_INET_FORWARD),
  (1 << NF_INET_LOCAL_IN) | (1 << NF_INET_FORWARD) | (1 << NF_INET_LOCAL_OUT),
]);

/** Where the tables of each namespace are, by its number. */
let tables: number[];
/** The sets of all tables, one behind the other. */
export let ruleSets = 0;
/** Words that there are for them. */
export let ruleWords = 0;
/** Where packets that are inside of chains come back to. */
export let iptJumps = 0;
/** A table as it is to become. */
export let iptDraft = 0;
/** Bits of the tables (1 << IPT_TABLE_*) whose part was listed at boot. */
let present = 0;
/** Names of devices as IPTE_IN and IPTE_OUT have them, the first for none, and the same as texts; the one that is written over next. */
let names = 0;
let nameTexts: string[];
let nameNext = 1;
/** Where the names of the devices of the question are. */
let nameIn = 0;
let nameOut = 0;

/** Not made at boot: there it would be in RAM. */
const NET_OPS = Object.freeze({
  init(net: Net): void {
    const base = wordTable("ip_tables_net", NET_TABLES_WORDS);
    for (let table = 0; table < IPT_TABLES; table++) words[base + table * TABLE_WORDS + TABLE_BASE] = -1;
    tables[net.id] = base;
  },
});

/** Words of the tables of the first namespace, of the rules and of what a packet's way needs. */
export function iptWords(rules: number): number {
  return NET_TABLES_WORDS + rules + JUMPS + NAMES * NAME_WORDS + TABLE_WORDS;
}

/** Boot time. @param rules words for the rules of all namespaces */
export function iptInit(rules: number): void {
  tables = [];
  ruleSets = wordTable("ip_tables", rules);
  ruleWords = rules;
  iptJumps = wordTable("ip_tables_jumps", JUMPS);
  iptDraft = wordTable("ip_tables_draft", TABLE_WORDS);
  names = wordTable("ip_tables_names", NAMES * NAME_WORDS);
  nameTexts = account("ip_tables_names", new Array<string>(NAMES).fill(""));
  nameNext = 1;
  registerPernetSubsys(NET_OPS);
  present = 0;
  iptRegisterTable(IPT_TABLE_RAW, NF_IP_PRI_RAW, iptRaw);
  iptRegisterTable(IPT_TABLE_MANGLE, NF_IP_PRI_MANGLE, iptMangle);
  iptRegisterTable(IPT_TABLE_FILTER, NF_IP_PRI_FILTER, iptFilter);
}

/** A table is there, and packets see it at all its hooks. Boot time. */
function iptRegisterTable(table: number, priority: number, hook: NfHookFn): void {
  iptAddTable(table);
  for (let n = 0; n < NF_INET_NUMHOOKS; n++) {
    if ((TABLE_HOOKS[table]! & (1 << n)) !== 0) nfRegisterHook(new NfHookOps(hook, NFPROTO_IPV4, n, priority));
  }
}

/** A table is there; its part has hooks of its own (nat). Boot time. */
export function iptAddTable(table: number): void {
  present |= 1 << table;
}

export function iptTableThere(table: number): boolean {
  return (present & (1 << table)) !== 0;
}

/** Where a table of a namespace is in `words`. */
export function iptTable(net: Net, table: number): number {
  return tables[net.id]! + table * TABLE_WORDS;
}

/** Namespaces, and a table of the nth of them. */
export function iptNets(): number {
  return tables.length;
}

export function iptTableOf(n: number, table: number): number {
  return tables[n]! + table * TABLE_WORDS;
}

function iptRaw(net: Net, skb: SkBuff, hook: number, inDev: NetDevice | null, outDev: NetDevice | null): number {
  return iptDoTable(IPT_TABLE_RAW, net, skb, hook, inDev, outDev);
}

function iptFilter(net: Net, skb: SkBuff, hook: number, inDev: NetDevice | null, outDev: NetDevice | null): number {
  return iptDoTable(IPT_TABLE_FILTER, net, skb, hook, inDev, outDev);
}

/** What mangle changes in a packet of this host may lead it another way. Linux: ipt_mangle_out(). */
function iptMangle(net: Net, skb: SkBuff, hook: number, inDev: NetDevice | null, outDev: NetDevice | null): number {
  if (hook !== NF_INET_LOCAL_OUT) return iptDoTable(IPT_TABLE_MANGLE, net, skb, hook, inDev, outDev);
  const saddr = memView.getInt32(skb.nh + IPH_SADDR);
  const daddr = memView.getInt32(skb.nh + IPH_DADDR);
  const tos = memView.getUint8(skb.nh + IPH_TOS);
  const mark = skb.mark;
  const verdict = iptDoTable(IPT_TABLE_MANGLE, net, skb, hook, inDev, outDev);
  if (verdict !== NF_ACCEPT) return verdict;
  const nh = skb.nh;
  const same = saddr === memView.getInt32(nh + IPH_SADDR) && daddr === memView.getInt32(nh + IPH_DADDR)
    && tos === memView.getUint8(nh + IPH_TOS) && mark === skb.mark;
  return same || ipRouteMeHarder(net, skb) === 0 ? NF_ACCEPT : NF_DROP;
}

/** Where a device's name is as rules have it. A new one is written there: that makes objects in XS, which looks into strings so. */
function nameOf(dev: NetDevice | null): number {
  if (dev === null) return names;
  const { name } = dev;
  for (let i = 1; i < NAMES; i++) if (nameTexts[i] === name) return names + i * NAME_WORDS;
  const at = names + nameNext * NAME_WORDS;
  nameTexts[nameNext] = name;
  nameNext = nameNext + 1 < NAMES ? nameNext + 1 : 1;
  writeName(at, name);
  return at;
}

function writeName(at: number, name: string): void {
  for (let i = 0; i < NAME_WORDS; i++) {
    let word = 0;
    for (let j = 0; j < 4; j++) {
      const c = (i << 2) + j;
      if (c < name.length) word |= name.charCodeAt(c) << (j << 3);
    }
    words[at + i] = word;
  }
}

/** Do the first bytes of two names agree? */
function sameName(name: number, rule: number, length: number): boolean {
  for (let i = 0; length > 0; i++, length -= 4) {
    const mask = length >= 4 ? -1 : (1 << (length << 3)) - 1;
    if (((words[name + i]! ^ words[rule + i]!) & mask) !== 0) return false;
  }
  return true;
}

/** Both directions of a rule's devices. */
function devicesMatch(entry: number, inverted: number): boolean {
  const lengths = words[entry + IPTE_IFLEN]!;
  if (sameName(nameIn, entry + IPTE_IN, lengths & 0xff) === ((inverted & IPT_INV_VIA_IN) !== 0)) return false;
  return sameName(nameOut, entry + IPTE_OUT, lengths >> 8) !== ((inverted & IPT_INV_VIA_OUT) !== 0);
}

/** A packet and its bytes are counted for a rule. Linux: ADD_COUNTER(). */
function count(entry: number, length: number): void {
  if ((words[entry + IPTE_PACKETS] = (words[entry + IPTE_PACKETS]! + 1) | 0) === 0) words[entry + IPTE_PACKETS + 1]!++;
  const before = words[entry + IPTE_BYTES]! >>> 0;
  const after = (before + length) >>> 0;
  words[entry + IPTE_BYTES] = after | 0;
  if (after < before) words[entry + IPTE_BYTES + 1]!++;
}

/** All matches of a rule: XT_YES, XT_NO or XT_HOTDROP. */
function matchAll(skb: SkBuff, entry: number, target: number): number {
  for (let at = entry + IPTE_WORDS; at < target; at += words[at + XT_SIZE]!) {
    const answer = xtMatches[words[at + XT_TYPE]!]!.match(skb, at);
    if (answer !== XT_YES) return answer;
  }
  return XT_YES;
}

/**
 * A packet's way through a table at a hook. Linux: ipt_do_table().
 * @param table IPT_TABLE_* @returns a verdict; NF_ACCEPT in a namespace without rules
 */
export function iptDoTable(
  table: number, net: Net, skb: SkBuff, hook: number, inDev: NetDevice | null, outDev: NetDevice | null,
): number {
  const row = tables[net.id]! + table * TABLE_WORDS;
  const base = words[row + TABLE_BASE]!;
  if (base < 0) return NF_ACCEPT;
  nameIn = nameOf(inDev);
  nameOut = nameOf(outDev);
  xtAsk(net, hook, inDev, outDev);
  let nh = skb.nh;
  let saddr = memView.getInt32(nh + IPH_SADDR);
  let daddr = memView.getInt32(nh + IPH_DADDR);
  const protocol = memView.getUint8(nh + IPH_PROTOCOL);
  const fragoff = memView.getUint16(nh + IPH_FRAG_OFF) & IP_OFFSET;
  xtAskAt(nh + ((memView.getUint8(nh) & 15) << 2), fragoff);
  let depth = 0;
  let entry = base + words[row + TABLE_HOOK_ENTRY + hook]!;
  for (;;) {
    const flags = words[entry + IPTE_PROTO]!;
    const inverted = flags >> 16;
    const wanted = flags & 0xff;
    const next = entry + words[entry + IPTE_NEXT]!;
    if (
      ((saddr & words[entry + IPTE_SMSK]!) === words[entry + IPTE_SRC]!) === ((inverted & IPT_INV_SRCIP) !== 0)
      || ((daddr & words[entry + IPTE_DMSK]!) === words[entry + IPTE_DST]!) === ((inverted & IPT_INV_DSTIP) !== 0)
      || (wanted !== 0 && (wanted === protocol) === ((inverted & IPT_INV_PROTO) !== 0))
      || ((flags & (IPT_F_FRAG << 8)) !== 0 && (fragoff !== 0) === ((inverted & IPT_INV_FRAG) !== 0))
      || ((words[entry + IPTE_IFLEN]! | (inverted & (IPT_INV_VIA_IN | IPT_INV_VIA_OUT))) !== 0 && !devicesMatch(entry, inverted))
    ) {
      entry = next;
      continue;
    }
    const target = entry + words[entry + IPTE_TARGET]!;
    const answer = matchAll(skb, entry, target);
    if (answer === XT_HOTDROP) return XT_HOTDROP_VERDICT;
    if (answer === XT_NO) {
      entry = next;
      continue;
    }
    count(entry, skb.len);
    const type = words[target + XT_TYPE]!;
    if (type !== XT_TARGET_STANDARD) {
      const verdict = xtTargets[type]!.target(skb, target);
      if (verdict !== XT_CONTINUE) return verdict;
      nh = skb.nh;
      saddr = memView.getInt32(nh + IPH_SADDR);
      daddr = memView.getInt32(nh + IPH_DADDR);
      xtAskAt(nh + ((memView.getUint8(nh) & 15) << 2), fragoff);
      entry = next;
      continue;
    }
    const verdict = words[target + XT_DATA]!;
    if (verdict >= 0) {
      const to = base + verdict;
      if (to !== next && (flags & (IPT_F_GOTO << 8)) === 0) words[iptJumps + depth++] = next - base;
      entry = to;
    } else if (verdict !== XT_RETURN) {
      return -verdict - 1;
    } else if (depth === 0) {
      entry = base + words[row + TABLE_UNDERFLOW + hook]!;
    } else {
      entry = base + words[iptJumps + --depth]!;
    }
  }
}
