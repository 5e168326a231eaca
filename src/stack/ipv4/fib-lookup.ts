/**
 * The routing tables of one namespace and the question which of them answers. Linux: fib_lookup() of
 * include/net/ip_fib.h, inet_addr_type() of net/ipv4/fib_frontend.c. Policy rules join here: until there are any, the
 * local table is asked first, then main (rules 0 and 32766).
 */
import { EAGAIN, ENETUNREACH } from "../../uapi/errno.ts";
import {
  RT_TABLE_LOCAL, RT_TABLE_MAIN, RT_TABLE_UNSPEC, RTN_BROADCAST, RTN_MULTICAST, RTN_UNICAST,
} from "../../uapi/rtnetlink.ts";
import { inClassD } from "../../uapi/in.ts";
import type { Net } from "../core/net.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { FibInfo } from "./fib-semantics.ts";
import { FibTable, fibTableLookup } from "./fib-table.ts";
import { type FibResult, type Flowi4, flowi4Init } from "./flow.ts";

/** IPv4's routing state of a namespace (net.fib). Linux: the fib part of struct netns_ipv4. */
export class NetFib {
  readonly local: FibTable = new FibTable(RT_TABLE_LOCAL);
  readonly main: FibTable = new FibTable(RT_TABLE_MAIN);
  /** All fib_info of the namespace. */
  infos: FibInfo | null = null;
}

let typeFlow: Flowi4;
let typeResult: FibResult;

/** Boot time. @param flow @param res what inet_addr_type() asks with */
export function fibLookupInit(flow: Flowi4, res: FibResult): void {
  typeFlow = flow;
  typeResult = res;
}

/** The namespace's tables. */
export function netFib(net: Net): NetFib {
  return net.fib as NetFib;
}

/** The table with that number (RT_TABLE_UNSPEC means main), or null. Linux: fib_get_table(). */
export function fibGetTable(net: Net, id: number): FibTable | null {
  const fib = net.fib as NetFib;
  if (id === RT_TABLE_MAIN || id === RT_TABLE_UNSPEC) return fib.main;
  return id === RT_TABLE_LOCAL ? fib.local : null;
}

/**
 * The route for a flow; fills `res`. Linux: fib_lookup().
 * @returns 0, -ENETUNREACH (no route), or what the route's type says: -EINVAL (blackhole), -EHOSTUNREACH, -EACCES
 */
export function fibLookup(net: Net, flow: Flowi4, res: FibResult): number {
  const fib = net.fib as NetFib;
  let error = fibTableLookup(fib.local, flow, res);
  if (error !== -EAGAIN) return error;
  error = fibTableLookup(fib.main, flow, res);
  return error === -EAGAIN ? -ENETUNREACH : error;
}

/**
 * What kind of address it is for this host: RTN_LOCAL, RTN_BROADCAST, RTN_MULTICAST, else RTN_UNICAST (any other).
 * Linux: inet_addr_type(), with `dev` inet_addr_type_dev_table(): local to that device only.
 */
export function inetAddrType(net: Net, addr: number, dev: NetDevice | null = null): number {
  if (addr === 0 || addr === -1) return RTN_BROADCAST;
  if (inClassD(addr)) return RTN_MULTICAST;
  flowi4Init(typeFlow, addr, 0, 0, 0, 0);
  if (fibTableLookup((net.fib as NetFib).local, typeFlow, typeResult) !== 0) return RTN_UNICAST;
  const nh = typeResult.nh!;
  return dev === null || nh.dev === dev ? typeResult.type : RTN_UNICAST;
}
