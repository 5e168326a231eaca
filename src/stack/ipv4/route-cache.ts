/**
 * The last routing decision for packets that came in, as they come in trains: the question, its answer, and the route that
 * a reply takes. What Linux had as its routing cache before 3.6 and has as early demultiplexing since, in one entry; longer
 * memory is the next hop's own (nhKept()).
 *
 * It holds no reference: the next hop does, and what a next hop gives up is forgotten here (rtCacheDrop). Whatever may change
 * an answer, a sysctl too, must call rtCacheFlush(). A packet that is routed otherwise makes the cache forget, so that while
 * a packet is on its way up, an entry that is both its route and rtInput answers that packet's own question.
 *
 * ipRcv() compares the question with a packet's header as its words lie in memory, so that a hit costs no call.
 */
import type { Net } from "../core/net.ts";
import type { NetDevice } from "../core/net-device.ts";
import { IP_VER_IHL_PLAIN } from "../wire/ip.ts";
import { ipHooks } from "./ip-parts.ts";
import type { Rtable } from "./rtable.ts";

/** The answer for a packet to this host, null for none: then rtInputDev is null too. */
export let rtInput: Rtable | null = null;
/** The question: addresses as words of mem32, TOS at its place in the header's first word, device. */
export let rtInputSaddr = 0;
export let rtInputDaddr = 0;
export let rtInputTos = 0;
export let rtInputDev: NetDevice | null = null;
/** The route for a reply to such a packet, null when nobody has asked. */
export let rtReply: Rtable | null = null;

/** TOS in the first word of a header, with what is in front of it: a header with options answers to no question. */
export const RT_TOS_BITS = -0x10000;

/** A 32-bit number in network byte order as mem32 reads it. */
function asWord(value: number): number {
  return ((value << 24) | ((value & 0xff00) << 8) | ((value >> 8) & 0xff00) | (value >>> 24)) >>> 0;
}

/** @param rt kept by a next hop @param dev not loopback @param saddr, daddr int32 @param tos whole TOS byte */
export function rtInputRemember(rt: Rtable, dev: NetDevice, saddr: number, daddr: number, tos: number): void {
  rtInput = rt;
  rtInputSaddr = asWord(saddr);
  rtInputDaddr = asWord(daddr);
  rtInputTos = (IP_VER_IHL_PLAIN << 24) | (tos << 16);
  // Every packet is to pass by the hooks then, so none may find its answer here.
  rtInputDev = ipHooks === null ? dev : null;
  rtReply = null;
}

/** The reply to the packets of the last question goes that way. @param rt kept by a next hop */
export function rtReplyRemember(rt: Rtable): void {
  rtReply = rt;
}

/** Nothing is known any more. */
export function rtCacheForget(): void {
  rtInput = rtInputDev = rtReply = null;
}

/** All cached routing decisions of the namespace are stale from now on. Linux: rt_cache_flush(). */
export function rtCacheFlush(net: Net): void {
  net.rtGenid = (net.rtGenid + 1) | 0;
  rtCacheForget();
}
