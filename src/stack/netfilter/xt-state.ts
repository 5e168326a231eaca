/** The match `state`, which is `conntrack --ctstate` too. Linux: net/netfilter/xt_state.c, xt_conntrack.c. Owns nothing. */
import { words } from "../../lib/table.ts";
import {
  XT_DATA, XT_MATCH_STATE, XT_STATE_DNAT, XT_STATE_INVALID, XT_STATE_NEW, XT_STATE_SNAT, XT_STATE_UNTRACKED,
} from "../../uapi/ip-tables.ts";
import { IP_CT_IS_REPLY, IP_CT_TEMPLATE, IP_CT_UNTRACKED, IPS_DST_NAT, IPS_SRC_NAT } from "../../uapi/nf-conntrack.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { CTINFO_MASK } from "./nf-conntrack.ts";
import { CT_STATUS, nfCtGet } from "./nf-conntrack-table.ts";
import { XT_NO, XT_YES, xtRegisterMatch } from "./x-tables.ts";

/** Words of the match: states, inverted, how it was written. */
const STATE_WORDS = 3;

/** The bits of what a packet is to its connection, and of how that is translated. Linux: state_mt(), conntrack_mt(). */
function stateBits(ref: number): number {
  if (ref === 0) return XT_STATE_INVALID;
  const ctinfo = ref & CTINFO_MASK;
  if (ctinfo === IP_CT_UNTRACKED) return XT_STATE_UNTRACKED;
  if (ctinfo === IP_CT_TEMPLATE) return XT_STATE_NEW;
  const row = nfCtGet(ref);
  const status = row < 0 ? 0 : words[row + CT_STATUS]!;
  return (2 << (ctinfo % IP_CT_IS_REPLY)) | ((status & IPS_SRC_NAT) !== 0 ? XT_STATE_SNAT : 0)
    | ((status & IPS_DST_NAT) !== 0 ? XT_STATE_DNAT : 0);
}

function stateMatch(skb: SkBuff, at: number): number {
  const among = (words[at + XT_DATA]! & stateBits(skb.ackSeq)) !== 0;
  return among !== (words[at + XT_DATA + 1] !== 0) ? XT_YES : XT_NO;
}

/** Boot time, behind iptables. */
export function xtStateInit(): void {
  xtRegisterMatch(XT_MATCH_STATE, Object.freeze({ size: STATE_WORDS, tables: 0, hooks: 0, proto: 0, match: stateMatch }));
}
