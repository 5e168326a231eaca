/**
 * The targets SNAT, DNAT, MASQUERADE and REDIRECT. Linux: net/netfilter/xt_nat.c, xt_MASQUERADE.c, xt_REDIRECT.c. Owns nothing.
 */
import { words } from "../../lib/table.ts";
import { EINVAL } from "../../uapi/errno.ts";
import {
  IPT_TABLE_NAT, NF_NAT_RANGE_MAP_IPS, NF_NAT_RANGE_PERSISTENT, NF_NAT_RANGE_PROTO_OFFSET, NF_NAT_RANGE_PROTO_RANDOM,
  NF_NAT_RANGE_PROTO_RANDOM_FULLY, NF_NAT_RANGE_PROTO_SPECIFIED, XT_DATA, XT_TARGET_DNAT, XT_TARGET_MASQUERADE, XT_TARGET_REDIRECT,
  XT_TARGET_SNAT,
} from "../../uapi/ip-tables.ts";
import {
  NF_DROP, NF_INET_LOCAL_IN, NF_INET_LOCAL_OUT, NF_INET_POST_ROUTING, NF_INET_PRE_ROUTING,
} from "../../uapi/netfilter.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { nfCtGet } from "./nf-conntrack-table.ts";
import { nfNatSetupInfo } from "./nf-nat-core.ts";
import { nfNatMasquerade, nfNatRedirect } from "./nf-nat-masquerade.ts";
import { NF_NAT_MANIP_DST, NF_NAT_MANIP_SRC } from "./nf-nat-unique.ts";
import { xtHook, xtIn, xtNet, xtOut, xtRegisterTarget } from "./x-tables.ts";

const RANGE_MASK = NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED | NF_NAT_RANGE_PROTO_RANDOM | NF_NAT_RANGE_PERSISTENT
  | NF_NAT_RANGE_PROTO_RANDOM_FULLY | NF_NAT_RANGE_PROTO_OFFSET;
/** Words of the targets' data. */
const SNAT_WORDS = 5;
const DNAT_WORDS = 6;
const PORT_WORDS = 3;

function snatTarget(skb: SkBuff, at: number): number {
  const row = nfCtGet(skb.ackSeq);
  if (row < 0) return NF_DROP;
  const data = at + XT_DATA;
  return nfNatSetupInfo(
    row, NF_NAT_MANIP_SRC, words[data]!, words[data + 1]!, words[data + 2]!, words[data + 3]!, words[data + 4]!, 0,
  );
}

function dnatTarget(skb: SkBuff, at: number): number {
  const row = nfCtGet(skb.ackSeq);
  if (row < 0) return NF_DROP;
  const data = at + XT_DATA;
  return nfNatSetupInfo(
    row, NF_NAT_MANIP_DST, words[data]!, words[data + 1]!, words[data + 2]!, words[data + 3]!, words[data + 4]!, words[data + 5]!,
  );
}

function masqueradeTarget(skb: SkBuff, at: number): number {
  return nfNatMasquerade(xtNet, skb, xtOut!, words[at + XT_DATA]!, words[at + XT_DATA + 1]!, words[at + XT_DATA + 2]!);
}

function redirectTarget(skb: SkBuff, at: number): number {
  return nfNatRedirect(skb, xtHook, xtIn, words[at + XT_DATA]!, words[at + XT_DATA + 1]!, words[at + XT_DATA + 2]!);
}

function rangeCheck(at: number): number {
  return (words[at + XT_DATA]! & ~RANGE_MASK) === 0 ? 0 : -EINVAL;
}

/** Of those whose address is not the rule's. */
function portsCheck(at: number): number {
  return (words[at + XT_DATA]! & (~RANGE_MASK | NF_NAT_RANGE_MAP_IPS)) === 0 ? 0 : -EINVAL;
}

/** Not made at boot: there it would be in RAM. */
const TABLES = 1 << IPT_TABLE_NAT;
const LEAVING = 1 << NF_INET_POST_ROUTING;
const SOURCES = LEAVING | (1 << NF_INET_LOCAL_IN);
const DESTINATIONS = (1 << NF_INET_PRE_ROUTING) | (1 << NF_INET_LOCAL_OUT);
const SNAT = Object.freeze({ size: SNAT_WORDS, tables: TABLES, hooks: SOURCES, proto: 0, check: rangeCheck, target: snatTarget });
const DNAT = Object.freeze({ size: DNAT_WORDS, tables: TABLES, hooks: DESTINATIONS, proto: 0, check: rangeCheck, target: dnatTarget });
const MASQUERADE = Object.freeze({
  size: PORT_WORDS, tables: TABLES, hooks: LEAVING, proto: 0, check: portsCheck, target: masqueradeTarget,
});
const REDIRECT = Object.freeze({
  size: PORT_WORDS, tables: TABLES, hooks: DESTINATIONS, proto: 0, check: portsCheck, target: redirectTarget,
});

/** Boot time. */
export function xtNatInit(): void {
  xtRegisterTarget(XT_TARGET_SNAT, SNAT);
  xtRegisterTarget(XT_TARGET_DNAT, DNAT);
  xtRegisterTarget(XT_TARGET_MASQUERADE, MASQUERADE);
  xtRegisterTarget(XT_TARGET_REDIRECT, REDIRECT);
}
