/**
 * Building a datagram that does not fit one packet: as many as it takes, each as long as a fragment may be, chained behind
 * the first. Linux: __ip_append_data() and __ip_make_skb() of net/ipv4/ip_output.c. Owns nothing.
 */
import { memCopy } from "../../lib/memory.ts";
import { EFAULT, ENOBUFS } from "../../uapi/errno.ts";
import { allocSkb, NET_IP_ALIGN, type SkBuff, skbBufferBytes, skbPut, skbReserve } from "../core/skbuff.ts";
import { skbSetOwnerW, type Sock } from "../core/sock.ts";
import { copyFromIter, type Msghdr } from "../core/sockaddr.ts";
import { IP_HLEN } from "../wire/ip.ts";

/** Room in front of a further packet: alignment, tagged Ethernet, IP. */
const HEADROOM = NET_IP_ALIGN + 18 + IP_HLEN;

/** The packet that the next byte goes to. */
function lastOf(skb: SkBuff): SkBuff {
  let last = skb;
  for (let frag = skb.fragList; frag !== null; frag = frag.next) last = frag;
  return last;
}

/**
 * A further packet behind the last one of a datagram; what the last one has beyond the length of a fragment goes over into
 * it. Null when there is no memory, or the socket may have no more of it.
 */
function addPacket(sk: Sock, skb: SkBuff, last: SkBuff, excess: number): SkBuff | null {
  if (sk.wmemAlloc > sk.sndbuf << 1) return null;
  const packet = allocSkb(skbBufferBytes);
  if (packet === null) return null;
  skbReserve(packet, HEADROOM);
  skbSetOwnerW(packet, sk);
  if (excess > 0) memCopy(skbPut(packet, excess), last.tail - excess, excess);
  last.tail -= excess;
  if (last === skb) {
    skb.fragList = packet;
  } else {
    last.len -= excess;
    last.next = packet;
  }
  return packet;
}

/**
 * Appends a message to a datagram.
 * @param skb the first packet, its data beginning behind the transport header of `transport` bytes that is still to come
 * @param mtu of the path, at least 68
 * @returns 0; -ENOBUFS, -EFAULT: the datagram, with part of the message, is the caller's to free
 */
export function ipAppendData(sk: Sock, skb: SkBuff, msg: Msghdr, length: number, mtu: number, transport: number): number {
  const room = skbBufferBytes - HEADROOM;
  const fragment = (mtu - IP_HLEN < room ? mtu - IP_HLEN : room) & ~7;
  let last = lastOf(skb);
  let left = length;
  while (left > 0) {
    let space = fragment - (last.tail - last.data) - (last === skb ? transport : 0);
    if (space <= 0) {
      const packet = addPacket(sk, skb, last, -space);
      if (packet === null) return -ENOBUFS;
      last = packet;
      space = fragment - packet.len;
    }
    const chunk = left < space ? left : space;
    const at = last.tail;
    last.tail = at + chunk;
    if (last !== skb) last.len += chunk;
    skb.len += chunk;
    if (copyFromIter(at, msg, chunk) !== chunk) return -EFAULT;
    left -= chunk;
  }
  return 0;
}
