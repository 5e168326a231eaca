/** The table of connections against a plain Map, by random histories: lookups, references, expiry, early drop, nothing lost. */
import test from "ava";
import fc from "fast-check";
import { conntrack, nfConntrackFlush } from "../../../src/conntrack.ts";
import { poolForEach } from "../../../src/lib/pool.ts";
import { words } from "../../../src/lib/table.ts";
import { netfilter } from "../../../src/netfilter.ts";
import {
  CT_STATUS, nfCtAlloc, nfCtConfirm, nfCtDelete, nfCtFind, nfCtGet, nfCtNext, nfCtNodeRow, nfCtRef, nfCtRefresh,
} from "../../../src/stack/netfilter/nf-conntrack-table.ts";
import { IPS_ASSURED } from "../../../src/uapi/nf-conntrack.ts";
import { a, bootHosts, turn } from "../ipv4/two-hosts.ts";

/** As many as the buckets that are searched for room: it is denied only when nobody can be dropped. */
const ROWS = 8;
const UDP = 17;
/** A server's address: clients differ by address and port. */
const SERVER = 0x0a000002;
const SERVER_PORT = 53;

interface Entry {
  readonly row: number;
  readonly ref: number;
  expires: number;
  assured: boolean;
}

const op = fc.oneof(
  fc.record({ kind: fc.constant("open" as const), client: fc.nat(20), ms: fc.integer({ min: 1, max: 5000 }), assured: fc.boolean() }),
  fc.record({ kind: fc.constant("drop" as const), client: fc.nat(20) }),
  fc.record({ kind: fc.constant("close" as const), client: fc.nat(20) }),
  fc.record({ kind: fc.constant("refresh" as const), client: fc.nat(20), ms: fc.integer({ min: 1, max: 5000 }) }),
  fc.record({ kind: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 3000 }) }),
);

const portsOf = (client: number): number => ((1000 + client) << 16) | SERVER_PORT;
const replyOf = (client: number): number => (SERVER_PORT << 16) | (1000 + client);
const find = (client: number): number => nfCtFind(client, SERVER, portsOf(client), UDP);
const begin = (client: number): number => nfCtAlloc(client, SERVER, portsOf(client), replyOf(client), UDP);

function inUse(): number {
  let count = -1;
  poolForEach((pool) => {
    if (pool.name === "nf_conntrack") count = pool.inUse;
  });
  return count;
}

test.serial("whatever happens, a connection is found by both its tuples until its end, and by nobody after it", (t) => {
  fc.assert(
    fc.property(fc.array(op, { maxLength: 60 }), (ops) => {
      bootHosts({ initcalls: [netfilter, conntrack], nfConntracks: ROWS });
      const model = new Map<number, Entry>();
      const gone: number[] = [];
      let now = 0;
      /** What the table gave up to make room, all of it not assured. */
      const evicted = (): void => {
        for (const [client, entry] of model) {
          if (nfCtGet(entry.ref) >= 0) continue;
          if (entry.assured) throw new Error(`${client} was assured`);
          model.delete(client);
          gone.push(entry.ref);
        }
      };
      for (const step of ops) {
        if (step.kind === "wait") {
          turn(step.ms);
          now += step.ms;
          for (const [client, entry] of model) if (entry.expires <= now) model.delete(client);
          evicted();
        } else if (step.kind === "open" && !model.has(step.client)) {
          const full = [...model.values()].every((entry) => entry.assured) && inUse() === ROWS;
          const row = begin(step.client);
          if (row < 0) {
            t.true(full, "room was denied");
            continue;
          }
          evicted();
          nfCtRefresh(row, step.ms);
          t.is(find(step.client), -1, "found before it was confirmed");
          t.is(nfCtConfirm(row), row);
          if (step.assured) words[row + CT_STATUS]! |= IPS_ASSURED;
          model.set(step.client, { row, ref: nfCtRef(row, 0), expires: now + step.ms, assured: step.assured });
        } else if (step.kind === "drop") {
          // Its packet was dropped: nobody confirms it.
          begin(step.client);
          evicted();
        } else if (step.kind === "close" || step.kind === "refresh") {
          const entry = model.get(step.client);
          if (entry === undefined) continue;
          if (step.kind === "refresh") {
            nfCtRefresh(entry.row, step.ms);
            entry.expires = now + step.ms;
          } else {
            nfCtDelete(entry.row);
            model.delete(step.client);
            gone.push(entry.ref);
          }
        }
        for (const [client, entry] of model) {
          if (entry.expires > now) continue;
          model.delete(client);
          t.is(find(client), -1, "found after it expired");
        }
        for (const [client, entry] of model) {
          const node = find(client);
          t.is(nfCtNodeRow(node), entry.row);
          t.is(node & 1, 0);
          t.is(nfCtFind(SERVER, client, replyOf(client), UDP), node | 1);
          t.is(nfCtGet(entry.ref), entry.row);
        }
        for (const ref of gone) t.is(nfCtGet(ref), -1, "a reference to what is gone");
        let listed = 0;
        for (let row = nfCtNext(a, -1); row >= 0; row = nfCtNext(a, row)) listed++;
        t.is(listed, model.size);
      }
      turn(7000);
      t.is(inUse(), 0, "all has expired");
      nfConntrackFlush(a);
      t.is(inUse(), 0);
    }),
    { numRuns: 30 },
  );
});

test.serial("a tuple that is taken meanwhile is not confirmed twice, and the row comes back", (t) => {
  bootHosts({ initcalls: [netfilter, conntrack], nfConntracks: ROWS });
  const first = begin(1);
  const second = begin(1);
  nfCtRefresh(first, 1000);
  nfCtRefresh(second, 1000);
  t.is(nfCtConfirm(first), first);
  t.is(nfCtConfirm(second), first, "the same packets: who came first has both");
  const other = nfCtAlloc(1, SERVER, portsOf(1), replyOf(2), UDP);
  t.is(nfCtConfirm(other), -1, "the same packets, translated to something else");
  t.is(inUse(), 1);
  nfConntrackFlush(a);
  t.is(inUse(), 0);
});

test.serial("of rows that nobody confirmed only a few are kept, and none beyond a second", (t) => {
  bootHosts({ initcalls: [netfilter, conntrack], nfConntracks: ROWS });
  for (let client = 0; client < 100; client++) t.true(begin(client) >= 0);
  t.is(inUse(), 4);
  turn(1000);
  t.is(inUse(), 0);
});
