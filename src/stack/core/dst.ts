/**
 * dst_entry: where a packet goes, whatever the family: the cached result of a route lookup, with the two functions that
 * take a packet further. Linux: include/net/dst.h, net/core/dst.c. A family embeds it (ipv4's Rtable extends it) and
 * owns the pool; nothing here knows an address.
 */
import type { NetDevice } from "./net-device.ts";
import type { SkBuff } from "./skbuff.ts";
import type { Sock } from "./sock.ts";

/** Validity of an entry that a socket has cached (dst->obsolete). */
export const DST_OBSOLETE_NONE = 0;
/** Unlinked: only holders of a reference still see it. */
export const DST_OBSOLETE_DEAD = 2;

/** What a family does with its entries. Linux: struct dst_ops. */
export interface DstOps {
  readonly family: number;
  /** The entry itself while it is still what a lookup would give, else null. */
  check(dst: DstEntry): DstEntry | null;
  /** Path MTU of the entry in bytes. */
  mtu(dst: DstEntry): number;
  /** MSS to advertise to destinations behind the entry. */
  defaultAdvmss(dst: DstEntry): number;
  /** A smaller path MTU was learned. */
  updatePmtu(dst: DstEntry, sk: Sock | null, skb: SkBuff | null, mtu: number): void;
  /** A socket suspects the path (retransmission timeouts). */
  negativeAdvice(sk: Sock): void;
  /** The next hop does not answer: tell the sender. */
  linkFailure(skb: SkBuff): void;
  /** Forward progress proves the next hop reachable (dst_confirm → neighbour). */
  confirmNeigh(dst: DstEntry, daddr: number): void;
  /** The last reference is gone. */
  destroy(dst: DstEntry): void;
}

export class DstEntry {
  input: (skb: SkBuff) => number = dstDiscard;
  output: (skb: SkBuff) => number = dstDiscard;
  dev: NetDevice | null = null;
  refcnt = 0;
  obsolete = DST_OBSOLETE_NONE;
  /** Negative errno that output answers (unreachable routes), 0 for none. */
  error = 0;
  ops: DstOps;

  constructor(ops: DstOps) {
    this.ops = ops;
  }
}

/** Takes a reference. */
export function dstHold(dst: DstEntry): DstEntry {
  dst.refcnt++;
  return dst;
}

/** Gives a reference back; the last one returns the entry to its family's pool. */
export function dstRelease(dst: DstEntry): void {
  if (--dst.refcnt === 0) dst.ops.destroy(dst);
}

/** Where `input`/`output` of a dead entry lead: the packet is dropped. Replaced by a family before use. */
function dstDiscard(): number {
  throw new Error("dst: input or output called on an entry that was never set up");
}
