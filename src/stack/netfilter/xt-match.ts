/**
 * The matches `mac`, `mark`, `limit` and `comment`. Linux: net/netfilter/xt_mac.c, xt_mark.c, xt_limit.c, xt_comment.c. Owns nothing:
 * what a limit remembers is in its rule.
 */
import { memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import { ERANGE } from "../../uapi/errno.ts";
import { ARPHRD_ETHER } from "../../uapi/if-arp.ts";
import { XT_DATA, XT_LIMIT_SCALE, XT_MATCH_COMMENT, XT_MATCH_LIMIT, XT_MATCH_MAC, XT_MATCH_MARK } from "../../uapi/ip-tables.ts";
import { NF_INET_FORWARD, NF_INET_LOCAL_IN, NF_INET_PRE_ROUTING } from "../../uapi/netfilter.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { ETHH_SOURCE } from "../wire/eth.ts";
import { XT_NO, XT_YES, xtIn, xtRegisterMatch } from "./x-tables.ts";

const imul = Math.imul;

/** Words of a limit: its average (cost of a packet in parts of a second) and burst; its own: credit left, and when it was counted. */
const LIMIT_AVERAGE = XT_DATA;
const LIMIT_BURST = XT_DATA + 1;
const LIMIT_CREDIT = XT_DATA + 2;
const LIMIT_PREV = XT_DATA + 3;
/** What a rule earns in a ms: the largest power of two of which a day's fits 32 bits. */
const CREDITS_PER_MS = 32;
const CREDITS_PER_S = CREDITS_PER_MS * 1000;
/** Beyond it the product with CREDITS_PER_S does not fit 32 bits, and Linux divides first. */
const EXACT_MAX = Math.floor(0xffffffff / CREDITS_PER_S);

/** Linux: user2credits(). @param user parts of a second, 0..2^32-1 */
function credits(user: number): number {
  if (user > EXACT_MAX) return (Math.floor(user / XT_LIMIT_SCALE) * CREDITS_PER_S) % 0x100000000;
  return Math.floor((user * CREDITS_PER_S) / XT_LIMIT_SCALE);
}

/** What a rule may save. */
function creditCap(at: number): number {
  return credits(imul(words[at + LIMIT_AVERAGE]!, words[at + LIMIT_BURST]!) >>> 0);
}

/** Linux: limit_mt_check(). A rule begins with all it may save. */
function limitCheck(at: number): number {
  const cap = creditCap(at);
  if (words[at + LIMIT_BURST] === 0 || cap < credits(words[at + LIMIT_AVERAGE]! >>> 0)) return -ERANGE;
  words[at + LIMIT_CREDIT] = cap | 0;
  words[at + LIMIT_PREV] = jiffies;
  return 0;
}

/** A token bucket. Linux: limit_mt(). */
function limitMatch(_skb: SkBuff, at: number): number {
  const cap = creditCap(at);
  let credit = (words[at + LIMIT_CREDIT]! >>> 0) + ((jiffies - words[at + LIMIT_PREV]!) | 0) * CREDITS_PER_MS;
  if (credit > cap) credit = cap;
  words[at + LIMIT_PREV] = jiffies;
  const cost = credits(words[at + LIMIT_AVERAGE]! >>> 0);
  const enough = credit >= cost;
  words[at + LIMIT_CREDIT] = (enough ? credit - cost : credit) | 0;
  return enough ? XT_YES : XT_NO;
}

/** The sender's address on the link. Linux: mac_mt(). */
function macMatch(skb: SkBuff, at: number): number {
  if (xtIn === null || xtIn.type !== ARPHRD_ETHER || skb.mac >= skb.nh) return XT_NO;
  const source = skb.mac + ETHH_SOURCE;
  const same = memView.getUint16(source) === words[at + XT_DATA]! && memView.getInt32(source + 2) === words[at + XT_DATA + 1]!;
  return same !== (words[at + XT_DATA + 2] !== 0) ? XT_YES : XT_NO;
}

function markMatch(skb: SkBuff, at: number): number {
  const same = (skb.mark & words[at + XT_DATA + 1]!) === words[at + XT_DATA]!;
  return same !== (words[at + XT_DATA + 2] !== 0) ? XT_YES : XT_NO;
}

function commentMatch(): number {
  return XT_YES;
}

/** Not made at boot: there it would be in RAM. */
const RECEIVED = (1 << NF_INET_PRE_ROUTING) | (1 << NF_INET_LOCAL_IN) | (1 << NF_INET_FORWARD);
const MAC = Object.freeze({ size: 3, tables: 0, hooks: RECEIVED, proto: 0, match: macMatch });
const MARK = Object.freeze({ size: 3, tables: 0, hooks: 0, proto: 0, match: markMatch });
const LIMIT = Object.freeze({ size: 4, tables: 0, hooks: 0, proto: 0, check: limitCheck, match: limitMatch });
const COMMENT = Object.freeze({ size: -1, tables: 0, hooks: 0, proto: 0, match: commentMatch });

/** Boot time. */
export function xtMatchInit(): void {
  xtRegisterMatch(XT_MATCH_MAC, MAC);
  xtRegisterMatch(XT_MATCH_MARK, MARK);
  xtRegisterMatch(XT_MATCH_LIMIT, LIMIT);
  xtRegisterMatch(XT_MATCH_COMMENT, COMMENT);
}
