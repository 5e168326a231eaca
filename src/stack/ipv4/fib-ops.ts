/**
 * The routing tables as those see them who ask and change them; and what is behind: the few routes of a host in one list (fib-host.ts),
 * or tables of any number as tries (fib-trie-ops.ts). Linux: struct fib_table, which had fib_hash and fib_trie behind it until 2.6.39.
 */
import type { Net } from "../core/net.ts";
import type { FibConfig, FibWalk } from "./fib-config.ts";
import type { FibSizes } from "./fib-memory.ts";
import type { NetFib } from "./fib-semantics.ts";
import type { FibKey, FibResult } from "./flow.ts";
import { rtCacheFlush } from "./route-cache.ts";

/** How many of everything, and the most next hops of one route. */
export interface FibOptions extends FibSizes {
  readonly nexthops: number;
}

/** What lists routes: for dumps and announcements. */
export interface FibDumpOps {
  /** The number of the next higher table, 0 at the end. */
  nextTable(net: Net, after: number): number;
  /** The next route of the table that is being dumped, into `cfg`; false at its end. */
  next(walk: FibWalk, cfg: FibConfig): boolean;
  /** Describes a route that fibChanged() tells of. */
  describe(cfg: FibConfig, net: Net, table: number, key: number, route: number): void;
}

export interface FibOps {
  /** Boot time: makes the memory. */
  init(sizes: FibOptions): void;
  /**
   * The longest match in a table; fills `res`. @param table RT_TABLE_UNSPEC for what is asked without rules: local and main, then default
   * @returns 0, the error of the route's type, or -EAGAIN: nothing here, or a THROW route
   */
  lookup(net: Net, table: number, daddr: number, key: FibKey, res: FibResult): number;
  /** As fibTableInsert(), of a route whose prefix is in order; tells fibChanged(). */
  insert(net: Net, cfg: FibConfig): number;
  /** As fibTableDelete(), the same. */
  remove(net: Net, cfg: FibConfig): number;
  /** Takes every route out whose fib_info is dead. Linux: fib_table_flush(). */
  flush(net: Net): void;
  /** null: the routes are those of fib-host.ts, which fib-dump.ts can list. */
  readonly dump: FibDumpOps | null;
}

export let fibOps: FibOps;
/** Tells who listens of a change, as fibChanged() is told; null: nobody listens. */
export let fibAnnounce: ((net: Net, event: number, cfg: FibConfig, route: number, nlflags: number) => void) | null;

/** Boot time, before fibInit(). */
export function registerFibOps(ops: FibOps): void {
  fibOps = ops;
  fibAnnounce = null;
}

/** Boot time. */
export function registerFibAnnounce(tell: typeof fibAnnounce): void {
  fibAnnounce = tell;
}

/**
 * A route has been entered or is about to go: no decision made before holds.
 * @param event RTM_NEWROUTE, RTM_DELROUTE @param route what it is to FibDumpOps @param nlflags NLM_F_* that were acted on
 */
export function fibChanged(net: Net, event: number, cfg: FibConfig, route: number, nlflags: number): void {
  if (cfg.dstLen === 0) (net.fib as NetFib).defaultOrder = -1;
  rtCacheFlush(net);
  if (fibAnnounce !== null) fibAnnounce(net, event, cfg, route, nlflags);
}
