/**
 * The match `state`, which is what `conntrack` asks of a packet's part in its connection too: --ctstate, --ctstatus, --ctdir. Linux:
 * net/netfilter/xt_state.c, xt_conntrack.c. Owns nothing.
 */
import { words } from "../../lib/table.ts";
import {
  XT_CONNTRACK_DIRECTION, XT_CONNTRACK_INV_STATE, XT_CONNTRACK_INV_STATUS, XT_CONNTRACK_REPLY, XT_CONNTRACK_STATE, XT_CONNTRACK_STATUS,
  XT_CONNTRACK_STATUS_SHIFT, XT_DATA, XT_MATCH_STATE, XT_STATE_DNAT, XT_STATE_INVALID, XT_STATE_MASK, XT_STATE_NEW, XT_STATE_SNAT,
  XT_STATE_UNTRACKED,
} from "../../uapi/ip-tables.ts";
import { IP_CT_IS_REPLY, IP_CT_TEMPLATE, IP_CT_UNTRACKED, IPS_CONFIRMED, IPS_DST_NAT, IPS_DYING, IPS_SRC_NAT } from "../../uapi/nf-conntrack.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { CTINFO_MASK } from "./nf-conntrack.ts";
import { CT_STATUS, nfCtGet } from "./nf-conntrack-table.ts";
import { XT_NO, XT_YES, xtRegisterMatch } from "./x-tables.ts";

/** Words of the match: states and statuses, what is asked. */
const STATE_WORDS = 2;

/** The bits of what a packet is to its connection, and of how that is translated. @param status of the connection */
function stateBits(ctinfo: number, status: number): number {
  if (ctinfo === IP_CT_TEMPLATE) return XT_STATE_NEW;
  return (2 << (ctinfo % IP_CT_IS_REPLY)) | ((status & IPS_SRC_NAT) !== 0 ? XT_STATE_SNAT : 0)
    | ((status & IPS_DST_NAT) !== 0 ? XT_STATE_DNAT : 0);
}

/** Linux: state_mt(), conntrack_mt(). */
function stateMatch(skb: SkBuff, at: number): number {
  const asked = words[at + XT_DATA]!;
  const how = words[at + XT_DATA + 1]!;
  const ref = skb.ackSeq;
  const ctinfo = ref & CTINFO_MASK;
  const tracked = ref !== 0 && ctinfo !== IP_CT_UNTRACKED;
  const row = tracked ? nfCtGet(ref) : -1;
  const status = row < 0 ? 0 : words[row + CT_STATUS]!;
  if ((how & XT_CONNTRACK_STATE) !== 0) {
    const bits = tracked ? stateBits(ctinfo, status) : ref === 0 ? XT_STATE_INVALID : XT_STATE_UNTRACKED;
    if ((asked & XT_STATE_MASK & bits) !== 0 === ((how & XT_CONNTRACK_INV_STATE) !== 0)) return XT_NO;
  }
  // Of what has no connection nothing else can be said.
  if (!tracked) return (how & XT_CONNTRACK_STATE) !== 0 ? XT_YES : XT_NO;
  if ((how & XT_CONNTRACK_DIRECTION) !== 0 && ctinfo >= IP_CT_IS_REPLY !== ((how & XT_CONNTRACK_REPLY) !== 0)) return XT_NO;
  if ((how & XT_CONNTRACK_STATUS) === 0) return XT_YES;
  // Who was ended by this packet is not in the table any more (nfCtKill()), but confirmed.
  const shown = (status & IPS_DYING) === 0 ? status : status | IPS_CONFIRMED;
  return ((asked >> XT_CONNTRACK_STATUS_SHIFT) & shown) !== 0 === ((how & XT_CONNTRACK_INV_STATUS) !== 0) ? XT_NO : XT_YES;
}

/** Not made at boot: there it would be in RAM. */
const STATE = Object.freeze({ size: STATE_WORDS, tables: 0, hooks: 0, proto: 0, match: stateMatch });

/** Boot time, behind iptables. */
export function xtStateInit(): void {
  xtRegisterMatch(XT_MATCH_STATE, STATE);
}
