/**
 * The target CT: how the first packet of a connection is to be tracked, or that it is not to be. Linux: net/netfilter/xt_CT.c. Owns
 * nothing: what it says goes with the packet to connection tracking, in the place of its reference.
 */
import { words } from "../../lib/table.ts";
import { EINVAL, ENOENT } from "../../uapi/errno.ts";
import {
  IPT_INV_PROTO, IPT_TABLE_RAW, IPTE_PROTO, XT_CT_HELPER_WORDS, XT_CT_NOTRACK, XT_CT_NOTRACK_ALIAS, XT_DATA, XT_TARGET_CT,
} from "../../uapi/ip-tables.ts";
import { IP_CT_TEMPLATE, IP_CT_UNTRACKED } from "../../uapi/nf-conntrack.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { CTINFO_BITS } from "./nf-conntrack.ts";
import { ctHelpers } from "./nf-conntrack-parts.ts";
import { XT_CONTINUE, xtRegisterTarget } from "./x-tables.ts";

const NAME = XT_DATA + 1;
const NUMBER = NAME + XT_CT_HELPER_WORDS;

/** What loopback brings is tracked already, and stays so. Linux: xt_ct_target(). */
function ctTarget(skb: SkBuff, at: number): number {
  if (skb.ackSeq !== 0) return XT_CONTINUE;
  const notrack = (words[at + XT_DATA]! & XT_CT_NOTRACK) !== 0;
  skb.ackSeq = notrack ? IP_CT_UNTRACKED : (words[at + NUMBER]! << CTINFO_BITS) | IP_CT_TEMPLATE;
  return XT_CONTINUE;
}

/** A helper is of one protocol, which its rule must name. Linux: xt_ct_tg_check(), xt_ct_set_helper(). */
function ctCheck(at: number, entry: number): number {
  const flags = words[at + XT_DATA]!;
  words[at + NUMBER] = 0;
  if ((flags & ~(XT_CT_NOTRACK | XT_CT_NOTRACK_ALIAS)) !== 0) return -EINVAL;
  if ((flags & XT_CT_NOTRACK) !== 0 || words[at + NAME] === 0) return 0;
  const proto = words[entry + IPTE_PROTO]!;
  if (ctHelpers === null || (proto >> 16 & IPT_INV_PROTO) !== 0) return -ENOENT;
  const number = ctHelpers.find(at + NAME, proto & 0xff);
  if (number < 0) return -ENOENT;
  words[at + NUMBER] = number;
  return 0;
}

/** Not made at boot: there it would be in RAM. */
const CT = Object.freeze({
  size: 1 + XT_CT_HELPER_WORDS + 1, tables: 1 << IPT_TABLE_RAW, hooks: 0, proto: 0, check: ctCheck, target: ctTarget,
});

/** Boot time, behind iptables. */
export function xtCtInit(): void {
  xtRegisterTarget(XT_TARGET_CT, CT);
}
