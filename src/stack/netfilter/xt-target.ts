/**
 * The targets MARK and TOS, LOG, and the name of a chain, which is a target too. Linux: net/netfilter/xt_mark.c, xt_dscp.c, xt_LOG.c and
 * nf_log_syslog.c. Owns who reads the log.
 */
import { csumReplace16 } from "../../lib/checksum.ts";
import { memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import { EINVAL } from "../../uapi/errno.ts";
import {
  IPT_TABLE_MANGLE, XT_DATA, XT_NAME_WORDS, XT_TARGET_ERROR, XT_TARGET_LOG, XT_TARGET_MARK, XT_TARGET_TOS,
} from "../../uapi/ip-tables.ts";
import { NF_DROP } from "../../uapi/netfilter.ts";
import type { Net } from "../core/net.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { skbEnsureWritable } from "../core/skb-copy.ts";
import { IPH_CHECK, IPH_TOS } from "../wire/ip.ts";
import { XT_CONTINUE, xtHook, xtIn, xtNet, xtOut, xtRegisterTarget } from "./x-tables.ts";

/**
 * Reads what LOG rules say of packets. @param rule where in `words` the rule's XT_TARGET_LOG data is: level and flags, prefix. The packet
 * stays the caller's.
 */
export type NfLogger = (
  net: Net, skb: SkBuff, hook: number, inDev: NetDevice | null, outDev: NetDevice | null, rule: number,
) => void;

let logger: NfLogger | null = null;

/** Who reads the log from now on; null for nobody. Linux: nf_log_set(). */
export function nfLogSet(reader: NfLogger | null): void {
  logger = reader;
}

function errorTarget(): number {
  return NF_DROP;
}

/** Linux: mark_tg(). */
function markTarget(skb: SkBuff, at: number): number {
  skb.mark = (skb.mark & ~words[at + XT_DATA + 1]!) ^ words[at + XT_DATA]!;
  return XT_CONTINUE;
}

/** Linux: tos_tg(); the checksum follows (RFC 1624). */
function tosTarget(skb: SkBuff, at: number): number {
  const old = memView.getUint8(skb.nh + IPH_TOS);
  const tos = ((old & ~words[at + XT_DATA + 1]!) ^ words[at + XT_DATA]!) & 0xff;
  if (tos === old) return XT_CONTINUE;
  if (!skbEnsureWritable(skb)) return NF_DROP;
  const nh = skb.nh;
  memView.setUint16(nh + IPH_CHECK, csumReplace16(memView.getUint16(nh + IPH_CHECK), old, tos));
  memView.setUint8(nh + IPH_TOS, tos);
  return XT_CONTINUE;
}

function logTarget(skb: SkBuff, at: number): number {
  if (logger !== null) logger(xtNet, skb, xtHook, xtIn, xtOut, at + XT_DATA);
  return XT_CONTINUE;
}

/** Levels are syslog's. */
function logCheck(at: number): number {
  return (words[at + XT_DATA]! & 0xff) < 8 ? 0 : -EINVAL;
}

/** Not made at boot: there it would be in RAM. */
const ERROR = Object.freeze({ size: XT_NAME_WORDS, tables: 0, hooks: 0, proto: 0, target: errorTarget });
const MARK = Object.freeze({ size: 2, tables: 0, hooks: 0, proto: 0, target: markTarget });
const TOS = Object.freeze({ size: 2, tables: 1 << IPT_TABLE_MANGLE, hooks: 0, proto: 0, target: tosTarget });
const LOG = Object.freeze({ size: 1 + XT_NAME_WORDS, tables: 0, hooks: 0, proto: 0, check: logCheck, target: logTarget });

/** Boot time. */
export function xtTargetInit(): void {
  logger = null;
  xtRegisterTarget(XT_TARGET_ERROR, ERROR);
  xtRegisterTarget(XT_TARGET_MARK, MARK);
  xtRegisterTarget(XT_TARGET_TOS, TOS);
  xtRegisterTarget(XT_TARGET_LOG, LOG);
}
