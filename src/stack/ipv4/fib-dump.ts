/**
 * Lists routes, and tells of their changes. Linux: inet_dump_fib() of net/ipv4/fib_frontend.c, rtmsg_fib() of net/ipv4/fib_semantics.c.
 * Whoever dumps or listens brings it in, with what lists a host's routes (fib-host.ts). Owns the announced record.
 */
import { account } from "../../lib/account.ts";
import { type NotifierBlock, NotifierChain, notifierChainCall, notifierChainRegister } from "../../lib/notifier.ts";
import { words } from "../../lib/table.ts";
import { RT_TABLE_LOCAL, RT_TABLE_MAIN, RT_TABLE_UNSPEC } from "../../uapi/rtnetlink.ts";
import type { Net } from "../core/net.ts";
import { FibConfig, type FibWalk } from "./fib-config.ts";
import { HR_KEY, HR_ORDER, hostNet, hostTos, hostType, ORDER_SLEN_SHIFT } from "./fib-host.ts";
import { fibWanted } from "./fib-memory.ts";
import { fibAnnounce, type FibDumpOps, fibOps, registerFibAnnounce } from "./fib-ops.ts";
import { fibConfigFill, fiTable } from "./fib-semantics.ts";

/** Turns the order of unsigned numbers into that of signed ones. */
const SIGN = 0x80000000 | 0;

/** The announced route, and who hears of it. */
let notice: FibConfig;
let fibChain: NotifierChain<FibConfig>;

const hostDump: FibDumpOps = Object.freeze({
  nextTable: (_net: Net, after: number): number => (after < RT_TABLE_MAIN ? RT_TABLE_MAIN : after < RT_TABLE_LOCAL ? RT_TABLE_LOCAL : 0),
  next(walk: FibWalk, cfg: FibConfig): boolean {
    const net = walk.net!;
    let number = 0;
    for (let fi = words[fibWanted]!; fi !== 0; fi = words[fi]!) {
      const key = words[fi + HR_KEY]!;
      if (hostNet(fi) !== net.id || fiTable(fi) !== walk.table || (key ^ SIGN) < (walk.key ^ SIGN)) continue;
      if (key !== walk.key) {
        walk.key = key;
        walk.index = number = 0;
      }
      if (number++ < walk.index) continue;
      walk.index++;
      this.describe(cfg, net, walk.table, key, fi);
      return true;
    }
    return false;
  },
  describe(cfg: FibConfig, net: Net, table: number, key: number, fi: number): void {
    const order = words[fi + HR_ORDER]!;
    fibConfigFill(cfg, net, fi);
    cfg.table = table;
    cfg.dst = key;
    cfg.dstLen = 32 - (order >> ORDER_SLEN_SHIFT);
    cfg.type = hostType(fi);
    cfg.tos = hostTos(order);
  },
});

function dumpOps(): FibDumpOps {
  return fibOps.dump ?? hostDump;
}

/** Is there a routing table of that number? */
export function fibTableExists(net: Net, table: number): boolean {
  return dumpOps().nextTable(net, table - 1) === table;
}

/**
 * Begins a dump of routes. Linux: inet_dump_fib().
 * @param table only that one, 0 for all
 */
export function fibWalkStart(walk: FibWalk, net: Net, table: number): void {
  walk.net = net;
  walk.only = table;
  walk.table = table === 0 ? dumpOps().nextTable(net, 0) : table;
  walk.key = walk.index = 0;
}

/** The next route of the dump, into `cfg`; false at the end. Routes come by table, then by prefix, then by preference. */
export function fibWalkNext(walk: FibWalk, cfg: FibConfig): boolean {
  const ops = dumpOps();
  while (walk.table !== 0) {
    if (ops.next(walk, cfg)) return true;
    walk.table = walk.only === 0 ? ops.nextTable(walk.net!, walk.table) : 0;
    walk.key = walk.index = 0;
  }
  return false;
}

/** Linux: rtmsg_fib(). */
function announce(net: Net, event: number, cfg: FibConfig, route: number, nlflags: number): void {
  dumpOps().describe(notice, net, cfg.table === RT_TABLE_UNSPEC ? RT_TABLE_MAIN : cfg.table, cfg.dst, route);
  notice.nlflags = nlflags;
  notifierChainCall(fibChain, event, notice);
}

/**
 * Somebody wants to hear of the routes' changes: RTM_NEWROUTE and RTM_DELROUTE with the whole route, after each; the record is reused.
 * Boot time, after fibInit().
 */
export function fibNotifierRegister(block: NotifierBlock<FibConfig>): void {
  if (fibAnnounce === null) {
    notice = account("fib", new FibConfig());
    fibChain = account("fib", new NotifierChain<FibConfig>());
    registerFibAnnounce(announce);
  }
  notifierChainRegister(fibChain, block);
}
