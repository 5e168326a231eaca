/**
 * What helpers need where addresses are translated: other text in a segment's data, a port for what it announces, and the translation
 * of that once it comes. Linux: net/netfilter/nf_nat_helper.c. Owns nothing.
 *
 * Read first: RFC 3022 section 4.4.
 */
import { csumReplace16, csumTcpudpMagic } from "../../lib/checksum.ts";
import { mem8, memCopy, memView } from "../../lib/memory.ts";
import { getRandomBelow } from "../../lib/random.ts";
import { words } from "../../lib/table.ts";
import { EBUSY } from "../../uapi/errno.ts";
import { IPPROTO_TCP } from "../../uapi/in.ts";
import { NF_NAT_RANGE_MAP_IPS, NF_NAT_RANGE_PROTO_SPECIFIED } from "../../uapi/ip-tables.ts";
import { skbChecksum } from "../core/skb-frags.ts";
import { type SkBuff, skbTailroom } from "../core/skbuff.ts";
import { IPH_CHECK, IPH_DADDR, IPH_SADDR, IPH_TOT_LEN } from "../wire/ip.ts";
import { TH_SEQ, TH_SUM } from "../wire/tcp.ts";
import {
  EXP_F_NAT, EXP_F_REPLY, EXP_FLAGS, EXP_MASTER, EXP_PORTS, EXP_SAVED_PORT, nfCtExpectRelated,
} from "./nf-conntrack-expect.ts";
import { type CtHelper, nfCtHelpedMore } from "./nf-conntrack-helper.ts";
import { ctNat } from "./nf-conntrack-parts.ts";
import { TUPLE_DADDR, TUPLE_SADDR, TUPLE_WORDS } from "./nf-conntrack-table.ts";

/** Ports that are tried. */
const ATTEMPTS = 128;
const PORT_MAX = 0xffff;

/**
 * Writes other text into the data of a segment, which may be longer or shorter. Linux: nf_nat_mangle_tcp_packet().
 * @param skb linear, its bytes its own @param at where in the arena what is replaced begins @param length its bytes
 * @param text codes of the characters, and how many @returns false when there is no room
 */
export function nfNatMangle(
  skb: SkBuff, row: number, direction: number, at: number, length: number, text: Uint8Array, count: number,
): boolean {
  const more = count - length;
  if (more > skbTailroom(skb)) return false;
  const nh = skb.nh;
  const th = nh + ((mem8[nh]! & 15) << 2);
  memCopy(at + count, at + length, skb.tail - at - length);
  for (let i = 0; i < count; i++) mem8[at + i] = text[i]!;
  skb.tail += more;
  skb.len += more;
  const old = memView.getUint16(nh + IPH_TOT_LEN);
  memView.setUint16(nh + IPH_TOT_LEN, old + more);
  memView.setUint16(nh + IPH_CHECK, csumReplace16(memView.getUint16(nh + IPH_CHECK), old, old + more));
  const offset = th - skb.data;
  const bytes = skb.len - offset;
  memView.setUint16(th + TH_SUM, 0);
  const sum = skbChecksum(skb, offset, bytes);
  memView.setUint16(
    th + TH_SUM, csumTcpudpMagic(memView.getInt32(nh + IPH_SADDR), memView.getInt32(nh + IPH_DADDR), bytes, IPPROTO_TCP, sum),
  );
  nfCtHelpedMore(row, direction, memView.getInt32(th + TH_SEQ), more);
  return true;
}

/**
 * Expects what was announced at its own port, or at another one when somebody else is expected there. Linux: nf_nat_exp_find_port().
 * @returns the port; 0 when all that were tried are taken: the row stays the caller's
 */
export function nfNatExpectPort(exp: number, master: number, helper: CtHelper): number {
  const first = words[exp + EXP_PORTS]! & PORT_MAX;
  let port = first;
  for (let left = ATTEMPTS; left >= 0; left--) {
    words[exp + EXP_PORTS] = (words[exp + EXP_PORTS]! & ~PORT_MAX) | port;
    const err = nfCtExpectRelated(exp, master, helper.maxExpected, helper.timeoutMs);
    if (err === 0) return port;
    if (err !== -EBUSY || first === PORT_MAX) return 0;
    port = first + getRandomBelow(PORT_MAX - first);
  }
  return 0;
}

/**
 * What was announced has come: it is translated as its announcer is, and to the port that was announced. Linux:
 * nf_nat_follow_master(). @param row of the new connection
 */
export function nfNatFollowMaster(row: number, exp: number): void {
  const nat = ctNat;
  if (nat === null || (words[exp + EXP_FLAGS]! & EXP_F_NAT) === 0) return;
  const master = words[exp + EXP_MASTER]!;
  const tuple = master + ((words[exp + EXP_FLAGS]! & EXP_F_REPLY) !== 0 ? 0 : TUPLE_WORDS);
  const source = words[tuple + TUPLE_DADDR]!;
  const dest = words[tuple + TUPLE_SADDR]!;
  const port = words[exp + EXP_SAVED_PORT]!;
  nat.setup(row, false, NF_NAT_RANGE_MAP_IPS, source, 0);
  nat.setup(row, true, NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED, dest, port);
}
