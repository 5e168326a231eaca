/**
 * IP_OPTIONS of a TCP socket: every segment carries them from now on, and holds so much less. Linux: the part of do_ip_setsockopt()
 * that is for connections (icsk_ext_hdr_len, icsk_sync_mss). Read first: RFC 9293 section 3.7.1 (what the MSS leaves out). Owns
 * nothing.
 *
 * A segment of the write queue was built with room for the headers of that time; Linux has 128 bytes in front of each. And a source
 * route counts for the next segment, where Linux keeps to the route it has until that is looked up anew.
 */
import { memCopy } from "../../lib/memory.ts";
import { skbEnsureWritable } from "../core/skb-copy.ts";
import { type SkBuff, skbHeadroom, skbTailroom } from "../core/skbuff.ts";
import { lockSock, releaseSock, skDstReset, type Sock } from "../core/sock.ts";
import { ipOptions } from "./ip-parts.ts";
import type { TcpSk } from "./tcp-sock.ts";
import { TCP_HEADROOM, tcpExtHdrLen, tcpSyncMss } from "./tcp-window.ts";

/** How much further up the bytes of a segment have to lie, for the headers with the options of now. */
function headroomShift(sk: TcpSk, skb: SkBuff): number {
  return TCP_HEADROOM + sk.tp.tcpHeaderLen + tcpExtHdrLen(sk) - skbHeadroom(skb);
}

function moveBytes(skb: SkBuff, shift: number): void {
  memCopy(skb.data + shift, skb.data, skb.len);
  skb.data += shift;
  skb.tail += shift;
}

/** setsockopt(IP_OPTIONS): 0, -EINVAL (too long, faulty), -ENOBUFS (no socket more may have any). */
export function tcpSetIpOptions(sock: Sock, bytes: Uint8Array | Int32Array): number {
  const sk = sock as TcpSk;
  lockSock(sk);
  const err = ipOptions!.set(sk, bytes);
  if (err === 0) {
    skDstReset(sk);
    tcpSyncMss(sk, sk.icsk.pmtuCookie);
    const tail = sk.writeQueue.tail;
    // A segment that is not full may still grow, to the MSS of now.
    if (sk.sendHead !== null && tail !== null) {
      const shift = headroomShift(sk, tail);
      if (shift <= skbTailroom(tail)) moveBytes(tail, shift);
    }
  }
  releaseSock(sk);
  return err;
}

/**
 * Moves the bytes of a queued segment, at most one MSS, so that the headers with the options of now fit in front of them.
 * @returns false when there is no buffer
 */
export function tcpMakeHeadroom(sk: TcpSk, skb: SkBuff): boolean {
  const shift = headroomShift(sk, skb);
  if (shift <= 0) return true;
  // Below, its last clone may still be on its way.
  if (shift > skbTailroom(skb) || !skbEnsureWritable(skb)) return false;
  moveBytes(skb, shift);
  return true;
}
