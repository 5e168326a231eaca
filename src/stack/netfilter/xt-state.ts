/**
 * The match `state`, which is `conntrack --ctstate` too, and the target NOTRACK. Linux: net/netfilter/xt_state.c, xt_conntrack.c, xt_CT.c.
 * Owns nothing.
 */
import { words } from "../../lib/table.ts";
import {
  IPT_TABLE_RAW, XT_DATA, XT_MATCH_STATE, XT_STATE_INVALID, XT_STATE_UNTRACKED, XT_TARGET_NOTRACK,
} from "../../uapi/ip-tables.ts";
import { IP_CT_IS_REPLY, IP_CT_UNTRACKED } from "../../uapi/nf-conntrack.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { CTINFO_MASK } from "./nf-conntrack.ts";
import { XT_CONTINUE, XT_NO, XT_YES, xtRegisterMatch, xtRegisterTarget } from "./x-tables.ts";

/** Words of the match: states, inverted, how it was written. */
const STATE_WORDS = 3;

/** The bit of what a packet is to its connection. Linux: state_mt(). */
function stateBit(ref: number): number {
  if (ref === 0) return XT_STATE_INVALID;
  const ctinfo = ref & CTINFO_MASK;
  return ctinfo === IP_CT_UNTRACKED ? XT_STATE_UNTRACKED : 2 << (ctinfo % IP_CT_IS_REPLY);
}

function stateMatch(skb: SkBuff, at: number): number {
  const among = (words[at + XT_DATA]! & stateBit(skb.ackSeq)) !== 0;
  return among !== (words[at + XT_DATA + 1] !== 0) ? XT_YES : XT_NO;
}

/** What loopback brings is tracked already, and stays so. Linux: notrack_tg(). */
function notrackTarget(skb: SkBuff): number {
  if (skb.ackSeq === 0) skb.ackSeq = IP_CT_UNTRACKED;
  return XT_CONTINUE;
}

/** Boot time, behind iptables. */
export function xtStateInit(): void {
  xtRegisterMatch(XT_MATCH_STATE, Object.freeze({ size: STATE_WORDS, tables: 0, hooks: 0, proto: 0, match: stateMatch }));
  xtRegisterTarget(
    XT_TARGET_NOTRACK, Object.freeze({ size: 0, tables: 1 << IPT_TABLE_RAW, hooks: 0, proto: 0, target: notrackTarget }),
  );
}
