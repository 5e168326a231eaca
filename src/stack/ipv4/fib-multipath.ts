/**
 * Which next hop of a multipath route a flow takes. Linux: fib_multipath_hash() and fib_select_multipath() of net/ipv4/route.c and
 * fib_semantics.c. The hash is the kernel's to the bit: of the same seed both choose the same next hop for every flow (tried in
 * test/interop/multipath.test.ts). Owns nothing; where each next hop's share of the hashes ends is fibRebalance()'s.
 *
 * Read first: RFC 2992 (hash-threshold), ip-sysctl on fib_multipath_hash_policy and fib_multipath_hash_seed.
 */
import { getRandomU32 } from "../../lib/random.ts";
import { siphashFlow } from "../../lib/siphash.ts";
import { words } from "../../lib/table.ts";
import type { Net } from "../core/net.ts";
import { NH_NEXT, NH_UPPER } from "./fib-semantics.ts";

/** A word as it lies on the wire. */
function swab32(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
}

/**
 * 31 bits from the addresses of a flow, the same in both directions. The ports do not count: fragments and what follows them stay
 * together (fib_multipath_hash_policy 0). @param saddr 0 while none has been selected
 */
function fibMultipathHash(net: Net, saddr: number, daddr: number): number {
  // Nobody outside is to work out which flows go together.
  if (net.ipv4.fibMultipathHashSeed === 0) net.ipv4.fibMultipathHashSeed = getRandomU32() | 1;
  const source = swab32(saddr);
  const destination = swab32(daddr);
  const turned = destination >>> 0 < source >>> 0;
  return siphashFlow(0, 0, turned ? destination : source, turned ? source : destination, net.ipv4.fibMultipathHashSeed) >>> 1;
}

/** The next hop for a flow. @param fi of a route with several @param first what the lookup has chosen: when all are dead */
export function fibSelectMultipath(net: Net, fi: number, saddr: number, daddr: number, first: number): number {
  const hash = fibMultipathHash(net, saddr, daddr);
  for (let nh = fi; nh !== 0; nh = words[nh + NH_NEXT]!) if (hash <= words[nh + NH_UPPER]!) return nh;
  return first;
}
