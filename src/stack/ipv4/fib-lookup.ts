/**
 * The longest match: fib_table_lookup() and fib_lookup(). Linux: include/net/ip_fib.h, inet_addr_type() of
 * net/ipv4/fib_frontend.c. Which leaves are looked at on the way is the matter of what keeps them (fib-table.ts).
 */
import { account } from "../../lib/account.ts";
import { EACCES, EAGAIN, EHOSTUNREACH, EINVAL, ENETUNREACH } from "../../uapi/errno.ts";
import { inClassD } from "../../uapi/in.ts";
import { RT_SCOPE_UNIVERSE, RT_TABLE_LOCAL, RTN_BROADCAST, RTN_MULTICAST, RTN_UNICAST } from "../../uapi/rtnetlink.ts";
import type { Net } from "../core/net.ts";
import { fibGetTable } from "./fib-alias.ts";
import type { NetFib } from "./fib-semantics.ts";
import { fibOps } from "./fib-table.ts";
import { type FibKey, FibResult, type Flowi4 } from "./flow.ts";
import { ipAdvancedRouter } from "./ip-parts.ts";

/**
 * What a lookup answers that ends at a route of each type (RTN_*); 0: there is a next hop. Linux: fib_props[].error.
 */
export const FIB_TYPE_ERROR: readonly number[] = Object.freeze([
  -EINVAL, 0, 0, 0, 0, 0, -EINVAL, -EHOSTUNREACH, -EACCES, -EAGAIN, -EINVAL, -EINVAL, -EINVAL, -EINVAL, -EINVAL, -EINVAL,
]);

/** Asks for the longest match, whatever it is. */
const ANY_ROUTE: FibKey = Object.freeze({ oif: 0, tos: 0, scope: RT_SCOPE_UNIVERSE });

/** The answer to whoever asks now: nothing that is called before the answer has been read may ask itself. */
export let fibResult: FibResult;

/** Boot time. */
export function fibLookupInit(): void {
  fibResult = account("fib", new FibResult());
}

/**
 * The longest match for a destination in a table; fills `res`. Linux: fib_table_lookup().
 * @returns 0, the error of the route's type, or -EAGAIN: nothing here, or a THROW route: the next rule is to be asked
 */
export function fibTableLookup(tb: number, daddr: number, key: FibKey, res: FibResult): number {
  return fibOps.lookup(tb, daddr, key, res);
}

/**
 * The route for a flow; fills `res`. Until the rules are changed main, in which local is, answers, and then the default
 * table. Linux: fib_lookup().
 * @returns 0, -ENETUNREACH (no route), or what the route's type says: -EINVAL (blackhole), -EHOSTUNREACH, -EACCES
 */
export function fibLookup(net: Net, flow: Flowi4, res: FibResult): number {
  const fib = net.fib as NetFib;
  if (fib.rules >= 0) return ipAdvancedRouter!.lookup(net, flow, res);
  let error = fib.main === 0 ? -EAGAIN : fibTableLookup(fib.main, flow.daddr, flow, res);
  if (error === -EAGAIN && fib.fallback !== 0) error = fibTableLookup(fib.fallback, flow.daddr, flow, res);
  return error === -EAGAIN ? -ENETUNREACH : error;
}

/**
 * What kind of address it is for this host: RTN_LOCAL, RTN_BROADCAST, RTN_MULTICAST, else RTN_UNICAST (any other).
 * Linux: inet_addr_type().
 */
export function inetAddrType(net: Net, addr: number): number {
  return inetAddrTypeTable(net, addr, RT_TABLE_LOCAL);
}

/** The same by one table. Linux: inet_addr_type_table(). */
export function inetAddrTypeTable(net: Net, addr: number, table: number): number {
  // No addresses of hosts. The rest of 0/8 may be (Linux, since 5.3).
  if (addr === 0 || addr === -1) return RTN_BROADCAST;
  if (inClassD(addr)) return RTN_MULTICAST;
  const tb = fibGetTable(net, table);
  if (tb === 0) return RTN_UNICAST;
  return fibTableLookup(tb, addr, ANY_ROUTE, fibResult) === 0 ? fibResult.type : RTN_UNICAST;
}
