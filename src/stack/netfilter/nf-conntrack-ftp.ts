/**
 * FTP's helper: the control connection announces where data will be sent (PORT, EPRT) or fetched (the answers to PASV and EPSV).
 * Linux: net/netfilter/nf_conntrack_ftp.c. Owns nothing: of a connection it knows behind which sequence numbers a line begins.
 *
 * Only what begins a line counts, so that nobody can have a server say in the middle of one what he wants to be let in by. For
 * the same reason an address that is not the speaker's own is not believed (Linux: loose=0).
 *
 * Read first: RFC 959 sections 4.1.2 and 4.2, RFC 1123 section 4.1.2.6 (how PASV's answer is written), RFC 2428.
 */
import { mem8, memView } from "../../lib/memory.ts";
import { before } from "../../lib/seq.ts";
import { words } from "../../lib/table.ts";
import { IPPROTO_TCP } from "../../uapi/in.ts";
import { NF_ACCEPT, NF_DROP } from "../../uapi/netfilter.ts";
import { IP_CT_ESTABLISHED, IP_CT_IS_REPLY, IPS_DST_NAT, IPS_SRC_NAT } from "../../uapi/nf-conntrack.ts";
import { skbEnsureWritable } from "../core/skb-copy.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { TH_DOFF, TH_SEQ } from "../wire/tcp.ts";
import {
  EXP_DADDR, EXP_F_REPLY, EXP_FLAGS, EXP_HELPER, EXP_PORT_MASK, EXP_PORTS, EXP_SADDR, EXP_SAVED_PORT, EXP_SMASK, nfCtExpectAlloc,
  nfCtExpectFree, nfCtExpectRelated,
} from "./nf-conntrack-expect.ts";
import { type CtHelper, nfCtHelperNumber, nfCtHelperRegister } from "./nf-conntrack-helper.ts";
import { ctNat } from "./nf-conntrack-parts.ts";
import { CT_STATUS, TUPLE_DADDR, TUPLE_SADDR, TUPLE_WORDS } from "./nf-conntrack-table.ts";
import { ftpAddress, ftpAt, ftpFind, ftpKind, ftpLength, ftpPort } from "./nf-ftp-parse.ts";
import { nfNatFtp } from "./nf-nat-ftp.ts";
import { nfNatFollowMaster } from "./nf-nat-helper.ts";

/** Time that announced data is waited for. */
const TIMEOUT_MS = 300_000;

/*
 * Words of a connection: for each direction two sequence numbers behind a line, then how many there are, by direction in two bits.
 */
const LINE_SEQS = 2;
const LINE_COUNTS = LINE_SEQS << 1;

/** Does a line begin there? Linux: find_nl_seq(). */
function atLine(data: number, direction: number, seq: number): boolean {
  const count = (words[data + LINE_COUNTS]! >> (direction << 1)) & 3;
  for (let i = 0; i < count; i++) if (words[data + direction * LINE_SEQS + i] === seq) return true;
  return false;
}

/** A line begins there: the two latest of those are remembered, as a segment may come again. Linux: update_nl_seq(). */
function lineEnds(data: number, direction: number, seq: number): void {
  if (atLine(data, direction, seq)) return;
  const at = data + direction * LINE_SEQS;
  const count = (words[data + LINE_COUNTS]! >> (direction << 1)) & 3;
  if (count < LINE_SEQS) {
    words[at + count] = seq;
    words[data + LINE_COUNTS]! += 1 << (direction << 1);
  } else if (before(words[at]!, words[at + 1]!)) {
    words[at] = seq;
  } else {
    words[at + 1] = seq;
  }
}

/** Linux: help(). */
function help(skb: SkBuff, row: number, ctinfo: number, data: number): number {
  if (ctinfo !== IP_CT_ESTABLISHED && ctinfo !== IP_CT_ESTABLISHED + IP_CT_IS_REPLY) return NF_ACCEPT;
  // A segment of several fragments, which nobody makes of a line of text.
  if (skb.fragList !== null) return NF_ACCEPT;
  if (!skbEnsureWritable(skb)) return NF_DROP;
  const th = skb.nh + ((mem8[skb.nh]! & 15) << 2);
  const at = th + ((mem8[th + TH_DOFF]! >> 4) << 2);
  const end = skb.tail;
  if (at >= end) return NF_ACCEPT;
  const direction = ctinfo === IP_CT_ESTABLISHED ? 0 : 1;
  const seq = memView.getInt32(th + TH_SEQ);
  const line = mem8[end - 1] === 0x0a;
  const next = (seq + end - at) | 0;
  let verdict = NF_ACCEPT;
  if (atLine(data, direction, seq)) {
    const found = ftpFind(at, end, direction, words[row + direction * TUPLE_WORDS + TUPLE_SADDR]!);
    // The rest of it would come unseen.
    if (found < 0) return NF_DROP;
    if (found > 0) verdict = announced(skb, row, direction);
  }
  if (line) lineEnds(data, direction, next);
  return verdict;
}

/** What ftpFind() has found is expected from the other side. */
function announced(skb: SkBuff, row: number, direction: number): number {
  const other = row + (1 - direction) * TUPLE_WORDS;
  if (ftpAddress !== words[row + direction * TUPLE_WORDS + TUPLE_SADDR]) return NF_ACCEPT;
  const exp = nfCtExpectAlloc(row);
  if (exp === 0) return NF_DROP;
  words[exp + EXP_HELPER] = nfCtHelperNumber(ftpHelper);
  words[exp + EXP_SADDR] = words[other + TUPLE_SADDR]!;
  words[exp + EXP_SMASK] = -1;
  words[exp + EXP_DADDR] = words[other + TUPLE_DADDR]!;
  words[exp + EXP_PORTS] = words[exp + EXP_SAVED_PORT] = ftpPort;
  words[exp + EXP_PORT_MASK] = 0xffff;
  words[exp + EXP_FLAGS] = direction === 0 ? EXP_F_REPLY : 0;
  const translated = ctNat !== null && (words[row + CT_STATUS]! & (IPS_SRC_NAT | IPS_DST_NAT)) !== 0;
  const taken = translated ? nfNatFtp(skb, row, direction, exp, ftpHelper, ftpKind, ftpAt, ftpLength)
    : nfCtExpectRelated(exp, row, ftpHelper.maxExpected, ftpHelper.timeoutMs) === 0;
  if (taken) return NF_ACCEPT;
  nfCtExpectFree(exp);
  return NF_DROP;
}

const ftpHelper: CtHelper = Object.freeze<CtHelper>({
  name: "ftp",
  protocol: IPPROTO_TCP,
  maxExpected: 1,
  timeoutMs: TIMEOUT_MS,
  help,
  expected: nfNatFollowMaster,
});

/** Boot time, behind nfCtHelperInit(). */
export function nfConntrackFtpInit(): void {
  nfCtHelperRegister(ftpHelper);
}
