/**
 * What IPv4 can do without: parts that a program lists at boot, or that its bundle does not have. Each is a table of
 * functions here, null while it is not there. Linux has them as CONFIG_ options or always.
 */
import type { Msghdr } from "../core/sockaddr.ts";
import type { SkBuff } from "../core/skbuff.ts";
import type { Sock } from "../core/sock.ts";

/** Fragments: reassembly (ip-fragment.ts), and sending in pieces (ip-do-fragment.ts). */
export interface FragmentOps {
  /**
   * Takes a fragment for this host, data at its IP header.
   * @returns the whole datagram when this was the last piece that was missing, else null: the fragment is kept or dropped
   */
  defrag(skb: SkBuff): SkBuff | null;
  /** Sends a packet that is longer than `mtu` in pieces, each by ipOutput(): 0 or a negative errno; the packet is gone. */
  fragment(skb: SkBuff, mtu: number): number;
  /**
   * Appends a message to a datagram that does not fit one packet. @param skb its first packet, data behind the transport
   * header of `transport` bytes that is still to come @returns 0, -ENOBUFS or -EFAULT: the datagram is the caller's to free
   */
  append(sk: Sock, skb: SkBuff, msg: Msghdr, length: number, mtu: number, transport: number): number;
}

export let ipFragments: FragmentOps | null = null;

/** Boot: no part is there. */
export function ipPartsInit(): void {
  ipFragments = null;
}

export function registerIpFragments(ops: FragmentOps): void {
  ipFragments = ops;
}
