/**
 * How full the pools are: what a test compares at its start and end, pool by pool, so that a leak says its name. Cached routes
 * are given back first: a route that a next hop keeps for the next packet is no leak, one that nobody can find any more is.
 */
import { poolForEach } from "../../src/lib/pool.ts";
import type { Net } from "../../src/stack/core/net.ts";
import { fibFlushCached } from "../../src/stack/ipv4/fib-sync.ts";

/** Objects in use in each pool. @param nets the namespaces whose cached routes are given back */
export function poolUsage(...nets: readonly Net[]): Map<string, number> {
  for (const net of nets) fibFlushCached(net);
  const counts = new Map<string, number>();
  poolForEach((pool) => counts.set(pool.name, (counts.get(pool.name) ?? 0) + pool.inUse));
  return counts;
}
