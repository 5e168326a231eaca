/**
 * Numbers that an attacker off the path must not guess: initial sequence numbers and timestamp offsets. Linux:
 * net/core/secure_seq.c. Read first: RFC 6528 section 3 (ISN = M + F(connection, secret)), RFC 7323 section 5.4.
 */
import { secretTable } from "../../lib/random.ts";
import { siphash2u32, siphash3u32 } from "../../lib/siphash.ts";
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import type { Net } from "../core/net.ts";

/** Ticks of the sequence number clock in a millisecond: one every 64 ns, as in Linux. */
const SEQ_TICKS_PER_MS = 15625;
/** net.ipv4.tcp_timestamps: timestamps with an offset for each pair of hosts. */
const TIMESTAMPS_RANDOMIZED = 1;

/** Words of the key. */
export const SECURE_SEQ_WORDS = 4;
/** Where in `words` the key is, one for both: what is hashed differs in length, which SipHash takes in. */
let netSecret = 0;

/** Makes the secret. Boot time only, after randomInit. */
export function secureSeqInit(): void {
  netSecret = secretTable("net_secret", SECURE_SEQ_WORDS);
}

/** Initial sequence number of our end of a connection. Linux: secure_tcp_seq(). */
export function secureTcpSeq(laddr: number, faddr: number, lport: number, fport: number): number {
  return (siphash3u32(laddr, faddr, (lport << 16) | fport, words, netSecret) + Math.imul(jiffies, SEQ_TICKS_PER_MS)) | 0;
}

/** What is added to the clock in timestamps to this peer. Linux: secure_tcp_ts_off(). */
export function secureTcpTsOff(net: Net, laddr: number, faddr: number): number {
  return net.ipv4.tcpTimestamps === TIMESTAMPS_RANDOMIZED ? siphash2u32(laddr, faddr, words, netSecret) : 0;
}
