/**
 * The transport protocols over IPv4, by protocol number. Linux: net/ipv4/protocol.c, struct net_protocol.
 */
import { account } from "../../lib/account.ts";
import { EEXIST, ENOENT } from "../../uapi/errno.ts";
import type { SkBuff } from "../core/skbuff.ts";

export interface NetProtocol {
  /**
   * Takes a packet for this host: data = th at the transport header, nh at the IP header, len without padding.
   * The packet is the handler's then. The answer is for tests; the IP layer does not use it.
   */
  handler(skb: SkBuff): number;
  /**
   * Hears of an ICMP error about a packet this host sent: th at the ICMP header, data at the quoted IP header, of which
   * all and at least 8 bytes behind it are there. The packet stays the caller's.
   * @param info next-hop MTU, pointer or gateway, by ICMP type
   */
  errHandler?(skb: SkBuff, info: number): number;
  /** It takes packets of several buffers (skb.fragList); others get only what fits one. */
  readonly chained?: boolean;
}

/** By number; numbers without a protocol are holes, which XS keeps no slots for. Read-only elsewhere. Linux: inet_protos[]. */
export let inetProtos: (NetProtocol | undefined)[];

/** Boot: no protocol is known. */
export function inetProtocolsInit(): void {
  inetProtos = account("inet_protocols", []);
}

/** Makes a protocol known: 0, or -EEXIST when the number is taken. Linux: inet_add_protocol(). */
export function inetAddProtocol(protocol: number, prot: NetProtocol): number {
  const slot = protocol & 255;
  if (inetProtos[slot] !== undefined) return -EEXIST;
  inetProtos[slot] = prot;
  return 0;
}

/** Forgets a protocol: 0, or -ENOENT when another one has the number. Linux: inet_del_protocol(). */
export function inetDelProtocol(protocol: number, prot: NetProtocol): number {
  const slot = protocol & 255;
  if (inetProtos[slot] !== prot) return -ENOENT;
  inetProtos[slot] = undefined;
  return 0;
}

/** The protocol with that number (0..255), or null. */
export function inetProtocol(protocol: number): NetProtocol | null {
  return inetProtos[protocol] ?? null;
}
