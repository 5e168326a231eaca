/**
 * The longest match: fib_lookup(). Linux: include/net/ip_fib.h, inet_addr_type() of net/ipv4/fib_frontend.c. Which routes are looked at
 * on the way is the matter of what keeps them (fib-ops.ts).
 */
import { account } from "../../lib/account.ts";
import { EACCES, EAGAIN, EHOSTUNREACH, EINVAL, ENETUNREACH } from "../../uapi/errno.ts";
import { inClassD } from "../../uapi/in.ts";
import { RT_SCOPE_UNIVERSE, RT_TABLE_LOCAL, RT_TABLE_UNSPEC, RTN_BROADCAST, RTN_MULTICAST, RTN_UNICAST } from "../../uapi/rtnetlink.ts";
import type { Net } from "../core/net.ts";
import { fibOps } from "./fib-ops.ts";
import type { NetFib } from "./fib-semantics.ts";
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
 * The route for a flow; fills `res`. Until the rules are changed main, in which local is, answers, and then the default
 * table. Linux: fib_lookup().
 * @returns 0, -ENETUNREACH (no route), or what the route's type says: -EINVAL (blackhole), -EHOSTUNREACH, -EACCES
 */
export function fibLookup(net: Net, flow: Flowi4, res: FibResult): number {
  if ((net.fib as NetFib).rules >= 0) return ipAdvancedRouter!.lookup(net, flow, res);
  const error = fibOps.lookup(net, RT_TABLE_UNSPEC, flow.daddr, flow, res);
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
  return fibOps.lookup(net, table, addr, ANY_ROUTE, fibResult) === 0 ? fibResult.type : RTN_UNICAST;
}
