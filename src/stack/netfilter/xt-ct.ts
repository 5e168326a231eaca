/**
 * The target CT: how the first packet of a connection is to be tracked, or that it is not to be. Linux: net/netfilter/xt_CT.c. Owns
 * nothing: what it says goes with the packet to connection tracking, in the place of its reference.
 */
import { words } from "../../lib/table.ts";
import { EINVAL, ENOENT } from "../../uapi/errno.ts";
import { IPT_TABLE_RAW, XT_CT_HELPER_WORDS, XT_CT_NOTRACK, XT_CT_NOTRACK_ALIAS, XT_DATA, XT_TARGET_CT } from "../../uapi/ip-tables.ts";
import { IP_CT_TEMPLATE, IP_CT_UNTRACKED } from "../../uapi/nf-conntrack.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { XT_CONTINUE, xtRegisterTarget } from "./x-tables.ts";

const NAME = XT_DATA + 1;

/** What loopback brings is tracked already, and stays so. Linux: xt_ct_target(). */
function ctTarget(skb: SkBuff, at: number): number {
  if (skb.ackSeq !== 0) return XT_CONTINUE;
  skb.ackSeq = (words[at + XT_DATA]! & XT_CT_NOTRACK) !== 0 ? IP_CT_UNTRACKED : IP_CT_TEMPLATE;
  return XT_CONTINUE;
}

/** Linux: xt_ct_tg_check(). */
function ctCheck(at: number): number {
  if ((words[at + XT_DATA]! & ~(XT_CT_NOTRACK | XT_CT_NOTRACK_ALIAS)) !== 0) return -EINVAL;
  return (words[at + XT_DATA]! & XT_CT_NOTRACK) !== 0 || words[at + NAME] === 0 ? 0 : -ENOENT;
}

/** Boot time, behind iptables. */
export function xtCtInit(): void {
  const size = 1 + XT_CT_HELPER_WORDS + 1;
  xtRegisterTarget(
    XT_TARGET_CT, Object.freeze({ size, tables: 1 << IPT_TABLE_RAW, hooks: 0, proto: 0, check: ctCheck, target: ctTarget }),
  );
}
