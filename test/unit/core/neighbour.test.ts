import test from "ava";
import { mem8 } from "../../../src/lib/memory.ts";
import { words } from "../../../src/lib/table.ts";
import { jiffies } from "../../../src/lib/timer.ts";
import { skbChainTruesize } from "../../../src/stack/core/skb-queue.ts";
import {
  createNeighTable, neighCarrierDown, neighConfirm, neighCreate, neighDelete, neighEventNs, neighForEach, neighIfdown,
  neighLookup, neighOutput, neighSet, type NeighTable, type Neighbour, neighUpdate, NEIGH_UPDATE_F_OVERRIDE,
  NEIGH_UPDATE_F_WEAK_OVERRIDE,
} from "../../../src/stack/core/neighbour.ts";
import {
  NEIGH_FORCED_GC_RUNS, NEIGH_RES_FAILED, NEIGH_TABLE_FULLS, NEIGH_UNRES_DISCARDS,
} from "../../../src/stack/core/neigh-table.ts";
import {
  allocSkb, consumeSkb, kfreeSkb, SKB_OVERHEAD_BYTES, type SkBuff, skbPutData, skbReserve,
} from "../../../src/stack/core/skbuff.ts";
import {
  SKB_DROP_REASON_NEIGH_DEAD, SKB_DROP_REASON_NEIGH_FAILED, SKB_DROP_REASON_NEIGH_QUEUEFULL,
} from "../../../src/uapi/drop-reason.ts";
import { EINVAL, ENOBUFS, ENOENT, EPERM } from "../../../src/uapi/errno.ts";
import { ETH_P_IP } from "../../../src/uapi/if-ether.ts";
import {
  NUD_DELAY, NUD_FAILED, NUD_INCOMPLETE, NUD_NOARP, NUD_NONE, NUD_PERMANENT, NUD_PROBE, NUD_REACHABLE, NUD_STALE,
} from "../../../src/uapi/rtnetlink.ts";
import { AF_INET } from "../../../src/uapi/socket.ts";
import {
  bootNetif, BUFFER_BYTES, drops, fakeDevice, type FakeDevice, packet, poolsInUse, register, runTo,
} from "../netif/harness.ts";

const TRUESIZE = BUFFER_BYTES + SKB_OVERHEAD_BYTES;
const HI = 0x0211;
const LO = 0x22334455;

let tbl: NeighTable;
let dev: FakeDevice;
/** [time, key, "probe" or the waiting packet's first byte] of each question. */
let asked: [number, number, number | null][] = [];
/** First bytes of packets reported undeliverable, with the time. */
let reported: [number, number][] = [];
let sent: Uint8Array[] = [];
let construct: (neigh: Neighbour) => number;

test.beforeEach(() => {
  bootNetif(16);
  asked = [];
  reported = [];
  sent = [];
  construct = () => 0;
  tbl = createNeighTable("neigh_test", AF_INET, 4, {
    construct: (neigh) => construct(neigh),
    solicit(neigh, skb) {
      asked.push([jiffies, neigh.key, skb === null ? null : mem8[skb.data]!]);
    },
    errorReport(_neigh, skb) {
      reported.push([jiffies, mem8[skb.data]!]);
      kfreeSkb(skb, SKB_DROP_REASON_NEIGH_FAILED);
    },
    queueXmit(skb) {
      sent.push(mem8.slice(skb.data, skb.tail));
      consumeSkb(skb);
      return 0;
    },
  });
  tbl.parms.reachableTimeMs = 30000;
  dev = register(fakeDevice());
});

test.afterEach((t) => {
  neighIfdown(tbl, dev);
  t.is(poolsInUse(), 0);
});

function ipSkb(id: number): SkBuff {
  const skb = packet(dev, [id, 0, 0, 0]);
  skb.protocol = ETH_P_IP;
  return skb;
}

function entry(key: number): Neighbour {
  return neighLookup(tbl, key, dev) ?? neighCreate(tbl, key, dev)!;
}

function learned(key: number, state: number): Neighbour {
  const neigh = entry(key);
  neighUpdate(neigh, HI, LO, state, NEIGH_UPDATE_F_OVERRIDE);
  return neigh;
}

const stat = (counter: number): number => words[tbl.row + counter]!;
const ids = (): number[] => sent.map((bytes) => bytes[14]!);

test.serial("INCOMPLETE asks at 0, 1 and 2 s, fails at 3 s and reports what waited", (t) => {
  const neigh = entry(1);
  t.is(neigh.nudState, NUD_NONE);
  t.is(neighOutput(neigh, ipSkb(1)), 0);
  t.is(neigh.nudState, NUD_INCOMPLETE);
  t.deepEqual(asked, [[0, 1, 1]]);
  t.is(neighOutput(neigh, ipSkb(2)), 0);
  t.is(asked.length, 1, "a second packet does not ask again");
  runTo(999);
  t.is(asked.length, 1);
  runTo(2999);
  t.deepEqual(asked, [[0, 1, 1], [1000, 1, 2], [2000, 1, 2]]);
  t.is(neigh.nudState, NUD_INCOMPLETE);
  t.deepEqual(reported, []);
  runTo(3000);
  t.is(neigh.nudState, NUD_FAILED);
  t.deepEqual(reported, [[3000, 1], [3000, 2]]);
  t.is(skbChainTruesize(neigh.queue), 0);
  t.is(stat(NEIGH_RES_FAILED), 1);
  runTo(9000);
  t.is(asked.length, 3);
  neighOutput(neigh, ipSkb(3));
  t.is(neigh.nudState, NUD_INCOMPLETE);
  t.deepEqual(asked[3], [9000, 1, 3]);
});

test.serial("an answer sends what waited, in order, with the link header", (t) => {
  const neigh = entry(1);
  for (let id = 1; id <= 2; id++) neighOutput(neigh, ipSkb(id));
  runTo(400);
  t.is(neighUpdate(neigh, HI, LO, NUD_REACHABLE, 0), 0);
  t.deepEqual(ids(), [1, 2]);
  t.deepEqual([...sent[0]!.slice(0, 14)], [
    0x02, 0x11, 0x22, 0x33, 0x44, 0x55, 2, 0, 0, 0, 0, 1, 8, 0,
  ]);
  t.is(skbChainTruesize(neigh.queue), 0);
  neighOutput(neigh, ipSkb(3));
  t.deepEqual(ids(), [1, 2, 3]);
  runTo(5000);
  t.is(asked.length, 1);
});

test.serial("REACHABLE → STALE → DELAY for 5 s → PROBE thrice → FAILED, to the millisecond", (t) => {
  const neigh = learned(1, NUD_REACHABLE);
  runTo(29999);
  t.is(neigh.nudState, NUD_REACHABLE);
  runTo(30000);
  t.is(neigh.nudState, NUD_STALE);
  runTo(40000);
  t.is(neigh.nudState, NUD_STALE);
  neighOutput(neigh, ipSkb(1));
  t.is(neigh.nudState, NUD_DELAY);
  t.deepEqual(ids(), [1]);
  runTo(44999);
  t.is(neigh.nudState, NUD_DELAY);
  t.deepEqual(asked, []);
  runTo(45000);
  t.is(neigh.nudState, NUD_PROBE);
  neighOutput(neigh, ipSkb(2));
  t.deepEqual(ids(), [1, 2], "packets still go while it is being checked");
  runTo(47999);
  t.is(neigh.nudState, NUD_PROBE);
  t.deepEqual(asked, [[45000, 1, null], [46000, 1, null], [47000, 1, null]]);
  runTo(48000);
  t.is(neigh.nudState, NUD_FAILED);
  t.deepEqual(reported, []);
});

test.serial("questions of PROBE are the first ucastProbes, so that the resolver asks by unicast", (t) => {
  const seen: number[] = [];
  const neigh = learned(1, NUD_STALE);
  (tbl.ops as { solicit: typeof tbl.ops.solicit }).solicit = (one) => void seen.push(one.probes);
  neighOutput(neigh, ipSkb(1));
  runTo(10000);
  t.deepEqual(seen, [0, 1, 2]);
  seen.length = 0;
  neighOutput(neigh, ipSkb(2));
  runTo(15000);
  t.deepEqual(seen, [3, 4, 5]);
});

test.serial("confirmation keeps REACHABLE, and brings DELAY back to it without a question", (t) => {
  const neigh = learned(1, NUD_REACHABLE);
  runTo(20000);
  neighConfirm(neigh);
  runTo(49999);
  t.is(neigh.nudState, NUD_REACHABLE);
  runTo(50000);
  t.is(neigh.nudState, NUD_STALE);
  neighConfirm(neigh);
  t.is(neigh.nudState, NUD_STALE, "a stale entry is checked when it is used");
  neighOutput(neigh, ipSkb(1));
  runTo(52000);
  neighConfirm(neigh);
  runTo(55000);
  t.is(neigh.nudState, NUD_REACHABLE);
  runTo(81999);
  t.is(neigh.nudState, NUD_REACHABLE);
  runTo(82000);
  t.is(neigh.nudState, NUD_STALE);
  t.deepEqual(asked, []);
});

test.serial("an entry in use goes from REACHABLE straight to DELAY", (t) => {
  const neigh = learned(1, NUD_REACHABLE);
  runTo(26000);
  neigh.used = 26000;
  runTo(30000);
  t.is(neigh.nudState, NUD_DELAY);
});

test.serial("an answer in PROBE makes it REACHABLE", (t) => {
  const neigh = learned(1, NUD_STALE);
  neighOutput(neigh, ipSkb(1));
  runTo(6500);
  t.is(neigh.nudState, NUD_PROBE);
  neighUpdate(neigh, HI, LO, NUD_REACHABLE, 0);
  t.is(neigh.nudState, NUD_REACHABLE);
  runTo(36499);
  t.is(neigh.nudState, NUD_REACHABLE);
  runTo(36500);
  t.is(neigh.nudState, NUD_STALE);
  t.is(asked.length, 2);
});

test.serial("the queue has a cap in bytes; the oldest goes", (t) => {
  tbl.parms.queueLenBytes = 3 * TRUESIZE;
  const neigh = entry(1);
  for (let id = 1; id <= 5; id++) neighOutput(neigh, ipSkb(id));
  t.deepEqual(drops, [SKB_DROP_REASON_NEIGH_QUEUEFULL, SKB_DROP_REASON_NEIGH_QUEUEFULL]);
  t.is(stat(NEIGH_UNRES_DISCARDS), 2);
  t.is(skbChainTruesize(neigh.queue), 3 * TRUESIZE);
  neighUpdate(neigh, HI, LO, NUD_REACHABLE, 0);
  t.deepEqual(ids(), [3, 4, 5]);
});

test.serial("the reachable time is drawn between half and one and a half of the base, every five minutes", (t) => {
  const drawn = new Set<number>();
  for (let i = 0; i < 12; i++) {
    const neigh = learned(1, NUD_REACHABLE);
    drawn.add(tbl.parms.reachableTimeMs);
    t.true(tbl.parms.reachableTimeMs >= 15000 && tbl.parms.reachableTimeMs < 45000);
    neighDelete(tbl, neigh.key, dev);
    runTo(jiffies + 300001);
  }
  t.true(drawn.size > 8);
});

test.serial("another address replaces the one known only with override", (t) => {
  const neigh = learned(1, NUD_REACHABLE);
  runTo(100);
  t.is(neighUpdate(neigh, 0x0299, 9, NUD_REACHABLE, 0), 0);
  t.deepEqual([neigh.haHi, neigh.haLo, neigh.nudState], [HI, LO, NUD_REACHABLE]);
  t.is(neighUpdate(neigh, 0x0299, 9, NUD_REACHABLE, NEIGH_UPDATE_F_WEAK_OVERRIDE), 0);
  t.deepEqual([neigh.haHi, neigh.haLo, neigh.nudState], [HI, LO, NUD_STALE]);
  t.is(neighUpdate(neigh, 0x0299, 9, NUD_STALE, NEIGH_UPDATE_F_OVERRIDE), 0);
  t.deepEqual([neigh.haHi, neigh.haLo, neigh.nudState, neigh.updated], [0x0299, 9, NUD_STALE, 100]);
  neighOutput(neigh, ipSkb(1));
  t.deepEqual([...sent[0]!.slice(0, 6)], [2, 0x99, 0, 0, 0, 9]);
});

test.serial("the kept link header is that of the address known now, for every alignment of the packet", (t) => {
  const neigh = learned(1, NUD_REACHABLE);
  const header = (lo: number): number[] => [2, 0x11, 0, 0, 0, lo, 2, 0, 0, 0, 0, 1, 8, 0];
  for (const lo of [7, 7, 8, 8, 9]) {
    neighUpdate(neigh, HI, lo, NUD_REACHABLE, NEIGH_UPDATE_F_OVERRIDE);
    for (const more of [0, 1, 2, 3, 0]) {
      const skb = allocSkb(100)!;
      skbReserve(skb, 40 + more);
      skbPutData(skb, Uint8Array.of(lo, more));
      skb.dev = dev;
      skb.protocol = ETH_P_IP;
      neighOutput(neigh, skb);
      t.deepEqual([...sent.pop()!], [...header(lo), lo, more]);
    }
  }
  neighDelete(tbl, 1, dev);
  const other = learned(2, NUD_REACHABLE);
  neighOutput(other, ipSkb(1));
  t.deepEqual([...sent.pop()!.slice(0, 6)], [2, 0x11, 0x22, 0x33, 0x44, 0x55], "nothing of the entry before");
});

test.serial("a doubtful confirmation of the same address does not make it worse", (t) => {
  const neigh = learned(1, NUD_REACHABLE);
  runTo(10);
  t.is(neighUpdate(neigh, HI, LO, NUD_STALE, NEIGH_UPDATE_F_OVERRIDE), 0);
  t.is(neigh.nudState, NUD_REACHABLE);
  t.is(neigh.updated, 0);
  t.is(neighUpdate(neigh, HI, LO + 1, NUD_STALE, NEIGH_UPDATE_F_OVERRIDE), 0);
  t.is(neigh.nudState, NUD_STALE);
});

test.serial("static entries: only a person changes them, never a timer or a packet", (t) => {
  t.is(neighSet(tbl, 7, dev, HI, LO, NUD_PERMANENT), 0);
  const neigh = neighLookup(tbl, 7, dev)!;
  runTo(200000);
  neighOutput(neigh, ipSkb(1));
  t.is(neigh.nudState, NUD_PERMANENT);
  t.is(neighUpdate(neigh, 0x0299, 9, NUD_REACHABLE, NEIGH_UPDATE_F_OVERRIDE), -EPERM);
  t.is(neighEventNs(tbl, 0x0299, 9, 7, dev), neigh);
  t.deepEqual([neigh.haHi, neigh.haLo], [HI, LO]);
  t.deepEqual(asked, []);
  t.is(neighSet(tbl, 7, dev, 0x0299, 9, NUD_PERMANENT), 0);
  t.is(neigh.haLo, 9);
  t.is(neighDelete(tbl, 7, dev), 0);
  t.is(neighDelete(tbl, 7, dev), -ENOENT);
  t.is(neighLookup(tbl, 7, dev), null);
});

test.serial("a static entry given while packets wait sends them; deleting one reports them", (t) => {
  neighOutput(entry(1), ipSkb(1));
  neighSet(tbl, 1, dev, HI, LO, NUD_PERMANENT);
  t.deepEqual(ids(), [1]);
  neighOutput(entry(2), ipSkb(2));
  neighDelete(tbl, 2, dev);
  t.deepEqual(reported, [[0, 2]]);
  runTo(10000);
  t.is(asked.length, 2);
});

test.serial("entries are found by address and device, in every chain", (t) => {
  const other = register(fakeDevice());
  const first = 0x0a000001;
  const keys = [first, first + 1, -1];
  for (const key of keys) neighCreate(tbl, key, dev);
  const twin = neighCreate(tbl, first, other)!;
  t.is(neighLookup(tbl, first, other), twin);
  t.not(neighLookup(tbl, first, dev), twin);
  for (const key of keys) t.is(neighLookup(tbl, key, dev)!.key, key);
  t.is(neighLookup(tbl, 0, dev), null);
  const seen: number[] = [];
  neighForEach(tbl, (neigh) => seen.push(neigh.key));
  t.deepEqual(seen.sort(), [first, ...keys].sort());
  neighIfdown(tbl, other);
  t.is(neighLookup(tbl, first, other), null);
  t.is(neighLookup(tbl, first, dev)!.key, first);
});

test.serial("a full table gives up the least valuable entry, REACHABLE ones last", (t) => {
  learned(1, NUD_REACHABLE);
  learned(2, NUD_STALE);
  neighOutput(entry(3), ipSkb(3));
  runTo(3000);
  t.is(entry(3).nudState, NUD_FAILED);
  neighUpdate(entry(1), HI, LO, NUD_REACHABLE, 0);
  construct = (neigh) => {
    neigh.nudState = NUD_NOARP;
    return 0;
  };
  neighCreate(tbl, 4, dev);
  construct = () => 0;
  runTo(9000);
  const keys = (): number[] => [1, 2, 3, 4, 5, 6, 7, 8, 9].filter((key) => neighLookup(tbl, key, dev) !== null);
  learned(5, NUD_REACHABLE);
  t.deepEqual(keys(), [1, 2, 4, 5], "failed first");
  learned(6, NUD_REACHABLE);
  t.deepEqual(keys(), [1, 4, 5, 6], "then stale");
  learned(7, NUD_REACHABLE);
  t.deepEqual(keys(), [1, 5, 6, 7], "then those without resolution");
  neighUpdate(entry(6), HI, LO + 1, NUD_STALE, NEIGH_UPDATE_F_OVERRIDE);
  neighOutput(entry(6), ipSkb(6));
  t.is(entry(6).nudState, NUD_DELAY);
  learned(8, NUD_REACHABLE);
  t.deepEqual(keys(), [1, 5, 7, 8], "then those being checked");
  learned(9, NUD_REACHABLE);
  t.deepEqual(keys(), [5, 7, 8, 9], "last a REACHABLE one that is not new");
  t.is(stat(NEIGH_FORCED_GC_RUNS), 5);
  t.is(neighCreate(tbl, 2, dev), null, "all new: nobody gives way");
  t.is(stat(NEIGH_TABLE_FULLS), 1);
});

test.serial("of several equals the one longest without use goes", (t) => {
  for (let key = 1; key <= 4; key++) {
    runTo(key * 100);
    learned(key, NUD_STALE);
  }
  runTo(500);
  entry(1).used = 500;
  neighCreate(tbl, 5, dev);
  t.is(neighLookup(tbl, 2, dev), null);
  t.not(neighLookup(tbl, 1, dev), null);
});

test.serial("never given up: static entries and questions just asked; unanswered ones after a second", (t) => {
  for (let key = 1; key <= 3; key++) neighSet(tbl, key, dev, HI, LO, NUD_PERMANENT);
  neighOutput(entry(4), ipSkb(4));
  runTo(999);
  t.is(neighCreate(tbl, 5, dev), null);
  t.is(neighSet(tbl, 5, dev, HI, LO, NUD_PERMANENT), -ENOBUFS);
  runTo(1000);
  t.not(neighCreate(tbl, 5, dev), null);
  t.deepEqual(drops, [SKB_DROP_REASON_NEIGH_DEAD]);
});

test.serial("an entry that is telling its failure is not given away meanwhile", (t) => {
  const neigh = entry(1);
  for (let id = 1; id <= 3; id++) neighOutput(neigh, ipSkb(id));
  for (let key = 2; key <= 4; key++) neighSet(tbl, key, dev, HI, LO, NUD_PERMANENT);
  const report = tbl.ops.errorReport;
  (tbl.ops as { errorReport: typeof report }).errorReport = (one, skb) => {
    t.is(neighCreate(tbl, 9, dev), null);
    report(one, skb);
  };
  runTo(3000);
  t.deepEqual(reported.map(([, id]) => id), [1, 2, 3]);
  t.is(neigh.refcnt, 1);
});

test.serial("periodic collection: unused for 60 s or failed, above half of the table, never static ones", (t) => {
  const count = (): number => {
    let n = 0;
    neighForEach(tbl, () => n++);
    return n;
  };
  learned(1, NUD_STALE);
  learned(2, NUD_STALE);
  runTo(200000);
  t.is(count(), 2, "a table at most half full is left alone");
  neighSet(tbl, 3, dev, HI, LO, NUD_PERMANENT);
  entry(2).used = jiffies;
  runTo(214999);
  t.is(count(), 3);
  runTo(215000);
  t.is(count(), 2);
  t.is(neighLookup(tbl, 1, dev), null);
  t.not(neighLookup(tbl, 3, dev), null);
});

test.serial("link down: all entries go and what waited is dropped; without carrier static ones stay", (t) => {
  neighSet(tbl, 1, dev, HI, LO, NUD_PERMANENT);
  learned(2, NUD_REACHABLE);
  neighOutput(entry(3), ipSkb(3));
  neighCarrierDown(tbl, dev);
  t.deepEqual([1, 2, 3].map((key) => neighLookup(tbl, key, dev) !== null), [true, false, false]);
  t.deepEqual(drops, [SKB_DROP_REASON_NEIGH_DEAD]);
  neighIfdown(tbl, dev);
  t.is(neighLookup(tbl, 1, dev), null);
  runTo(100000);
  t.is(asked.length, 1);
  t.deepEqual(reported, []);
});

test.serial("a resolver that refuses makes no entry; a table without questions fails at once", (t) => {
  construct = () => -EINVAL;
  t.is(neighCreate(tbl, 1, dev), null);
  construct = () => 0;
  tbl.parms.mcastProbes = 0;
  const neigh = entry(1);
  neighOutput(neigh, ipSkb(1));
  t.is(neigh.nudState, NUD_FAILED);
  t.deepEqual(drops, [SKB_DROP_REASON_NEIGH_FAILED]);
});

test.serial("a neighbour that asks is learned as STALE and used at once", (t) => {
  const neigh = neighEventNs(tbl, HI, LO, 5, dev)!;
  t.is(neigh.nudState, NUD_STALE);
  neighOutput(neigh, ipSkb(1));
  t.deepEqual(ids(), [1]);
  t.is(neigh.nudState, NUD_DELAY);
});
