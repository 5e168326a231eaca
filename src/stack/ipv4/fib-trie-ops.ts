/**
 * Routing tables of any number as FibOps: how routes are asked for, entered, taken out and listed. Linux: fib_table_lookup(),
 * fib_table_insert(), fib_table_delete() and fib_table_dump() of net/ipv4/fib_trie.c. Owns nothing: the rows are fib-alias.ts's and
 * fib-info.ts's.
 */
import { words } from "../../lib/table.ts";
import { EAGAIN, EINVAL, ENOBUFS, ESRCH } from "../../uapi/errno.ts";
import { RT_TABLE_UNSPEC, RTM_DELROUTE, RTM_NEWROUTE } from "../../uapi/rtnetlink.ts";
import { nlErrMsg } from "../core/extack.ts";
import type { Net } from "../core/net.ts";
import {
  faIsOf, fibAliasDelete, fibAliasInit, fibAliasInsert, fibChangedWord, fibDeletedInfo, fibGetTable, fibInserted, fibInsertFlags, fibNewTable,
  fibRouteFill, fibTableFlush, leafAfter,
} from "./fib-alias.ts";
import { type FibConfig, fibConfigInit, type FibWalk } from "./fib-config.ts";
import { fibCreateInfo, fibReleaseInfo } from "./fib-info.ts";
import { fibMemoryInit } from "./fib-memory.ts";
import { fibChanged, type FibDumpOps, type FibOps, type FibOptions } from "./fib-ops.ts";
import type { NetFib } from "./fib-semantics.ts";
import { FA_WORD, faKey, faNext, TB_NEXT, TB_TRIE } from "./fib-table.ts";
import { tnodeInit } from "./fib-tnode.ts";
import { trieLookup } from "./fib-trie-lookup.ts";
import { trieNextLeaf } from "./fib-trie.ts";
import type { FibKey, FibResult } from "./flow.ts";

const dump: FibDumpOps = Object.freeze({
  /** Main comes before local, as Linux's hash has them. */
  nextTable(net: Net, after: number): number {
    let next = 0;
    for (let tb = (net.fib as NetFib).tables; tb !== 0; tb = words[tb + TB_NEXT]!) {
      const id = words[tb]!;
      if (id > after && (next === 0 || id < next)) next = id;
    }
    return next;
  },
  next(walk: FibWalk, cfg: FibConfig): boolean {
    const net = walk.net!;
    const tb = fibGetTable(net, walk.table);
    const trie = tb === 0 ? 0 : words[tb + TB_TRIE]!;
    let leaf = tb === 0 ? 0 : trieNextLeaf(trie, walk.key);
    while (leaf !== 0) {
      const key = faKey(leaf);
      if (key !== walk.key) {
        walk.key = key;
        walk.index = 0;
      }
      let number = 0;
      for (let alias = leaf; alias !== 0; alias = faNext(alias)) {
        if (!faIsOf(alias, walk.table) || number++ < walk.index) continue;
        walk.index++;
        fibRouteFill(cfg, net, walk.table, key, words[alias + FA_WORD]!);
        return true;
      }
      leaf = leafAfter(trie, leaf);
    }
    return false;
  },
  describe: fibRouteFill,
});

export const fibTrieOps: FibOps = Object.freeze({
  init(sizes: FibOptions): void {
    fibConfigInit(sizes.nexthops, sizes.fibMetrics > 0);
    fibMemoryInit(sizes);
    tnodeInit(sizes.routes);
    fibAliasInit(sizes.fibTables);
  },
  lookup(net: Net, table: number, daddr: number, key: FibKey, res: FibResult): number {
    if (table !== RT_TABLE_UNSPEC) {
      const tb = fibGetTable(net, table);
      return tb === 0 ? -EAGAIN : trieLookup(tb, daddr, key, res);
    }
    const { main, fallback } = net.fib as NetFib;
    const error = main === 0 ? -EAGAIN : trieLookup(main, daddr, key, res);
    return error === -EAGAIN && fallback !== 0 ? trieLookup(fallback, daddr, key, res) : error;
  },
  insert(net: Net, cfg: FibConfig): number {
    const tb = fibNewTable(net, cfg.table);
    if (tb === 0) return cfg.table > 0xff ? -EINVAL : -ENOBUFS;
    const fi = fibCreateInfo(net, cfg);
    if (fi < 0) return fi;
    const err = fibAliasInsert(tb, cfg, fi);
    if (err !== 0 || !fibInserted) {
      fibReleaseInfo(fi);
      return err;
    }
    if (fibDeletedInfo !== 0) fibReleaseInfo(fibDeletedInfo);
    fibChanged(net, RTM_NEWROUTE, cfg, fibChangedWord, fibInsertFlags);
    return 0;
  },
  remove(net: Net, cfg: FibConfig): number {
    const tb = fibGetTable(net, cfg.table);
    if (tb === 0) return nlErrMsg(-ESRCH, "FIB table does not exist");
    const err = fibAliasDelete(tb, cfg);
    if (err !== 0) return err;
    const fi = fibDeletedInfo;
    fibChanged(net, RTM_DELROUTE, cfg, fibChangedWord, 0);
    fibReleaseInfo(fi);
    return 0;
  },
  flush(net: Net): void {
    for (let tb = (net.fib as NetFib).tables; tb !== 0; tb = words[tb + TB_NEXT]!) fibTableFlush(tb);
  },
  dump,
});
