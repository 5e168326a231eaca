/**
 * Flowi4 and FibResult: the question put to the routing tables and their answer. Linux: struct flowi4 of
 * include/net/flow.h, struct fib_result of include/net/ip_fib.h. Both are objects that the asker keeps and reuses.
 */
import { account } from "../../lib/account.ts";
import { words } from "../../lib/table.ts";
import { RT_SCOPE_LINK, RT_SCOPE_UNIVERSE, RTN_UNSPEC } from "../../uapi/rtnetlink.ts";
import { SK_MARK, SK_PROTOCOL, type Sock, SOCK_LOCALROUTE } from "../core/sock.ts";

/** Flowi4.flags: any source address is allowed, local or not (IP_HDRINCL). */
export const FLOWI_FLAG_ANYSRC = 1;

/** What a table looks at beside the destination. */
export interface FibKey {
  /** Device to leave by, 0 for any. A successful output lookup sets it. */
  oif: number;
  /** The bits of IPTOS_RT_MASK. */
  tos: number;
  /** Only routes of at least this scope: RT_SCOPE_LINK for destinations that must be on a link (SO_DONTROUTE). */
  scope: number;
}

export class Flowi4 implements FibKey {
  daddr = 0;
  oif = 0;
  tos = 0;
  scope = RT_SCOPE_UNIVERSE;
  saddr = 0;
  /** FLOWI_FLAG_* */
  flags = 0;
  /** After a failed output lookup: the negative errno. */
  error = 0;
  proto = 0;
  mark = 0;
  /**
   * Source port in the high half, destination port in the low one; of ICMP type and code in the low half. They matter where the next hop
   * is chosen by them (net.ipv4.fib_multipath_hash_policy), and are 0 until they are known.
   */
  ports = 0;
  /** Device the packet came in by, 0 for what this host sends: for the rules. */
  iif = 0;
}

/**
 * The question of whoever sends or routes a packet now: filled, asked and read before the packet goes on its way, so that one is
 * enough for all of IPv4.
 */
export let outputFlow: Flowi4;

/** Boot time. */
export function flowInit(): void {
  outputFlow = account("route", new Flowi4());
}

/** The answer. Scope and table of the route are its fib_info's: fiScope(), fiTable(). */
export class FibResult {
  /** RTN_* */
  type = RTN_UNSPEC;
  /** The chosen next hop and its fib_info (rows: fib-semantics.ts). */
  nh = 0;
  fi = 0;
  /** Suffix length: bits that the prefix leaves open, 32 for the default route. */
  slen = 0;
}

/**
 * Asks for the way to `daddr`; every other part of the question gets its default. Linux: flowi4_init_output().
 * @param saddr source address, 0 to have one selected @param oif device to leave by, 0 for any @param tos whole TOS
 * byte
 */
export function flowi4Init(fl: Flowi4, daddr: number, saddr: number, oif: number, tos: number, proto: number): void {
  fl.daddr = daddr;
  fl.saddr = saddr;
  fl.oif = oif;
  fl.tos = tos & 0x1c;
  fl.scope = RT_SCOPE_UNIVERSE;
  fl.flags = 0;
  fl.error = 0;
  fl.proto = proto;
  fl.mark = 0;
  fl.ports = 0;
  fl.iif = 0;
}

/** The same on behalf of a socket: with its protocol and mark, and for SO_DONTROUTE without a gateway. */
export function flowi4SockInit(fl: Flowi4, sk: Sock, daddr: number, saddr: number, oif: number, tos: number): void {
  flowi4Init(fl, daddr, saddr, oif, tos, words[sk.cold + SK_PROTOCOL]!);
  fl.mark = words[sk.cold + SK_MARK]!;
  if ((sk.flags & SOCK_LOCALROUTE) !== 0) fl.scope = RT_SCOPE_LINK;
}
