/** The forwarding database beside a naive one: a map of addresses that is searched from end to end. */
import test from "ava";
import fc from "fast-check";
import { poolsInUse } from "../../../src/lib/pool.ts";
import {
  brFdbEnter, BrFdbEntry, brFdbFind, brFdbFlushPort, brFdbForget, brFdbInit, brFdbNext, brFdbPort, brFdbUpdate,
} from "../../../src/netif/bridge/br-fdb.ts";
import { jiffies } from "../../../src/lib/timer.ts";
import { bootNetif, runTo } from "./harness.ts";

const SIZE = 4;
/** Milliseconds of two bridges; the steps of time are multiples of 100, so that cleaning up is never put off. */
const AGEING = [1000, 300];

interface Known {
  port: number;
  heard: number;
  fixed: boolean;
}

type Op =
  | { readonly op: "hear" | "enter" | "forget"; readonly bridge: number; readonly mac: number; readonly port: number }
  | { readonly op: "flush"; readonly port: number }
  | { readonly op: "wait"; readonly ms: number };

const bridge = fc.integer({ min: 0, max: 1 });
const mac = fc.integer({ min: 1, max: 14 });
const port = fc.integer({ min: 1, max: 3 });
const ops: fc.Arbitrary<Op> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ op: fc.constant("hear" as const), bridge, mac, port }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("enter" as const), bridge, mac, port }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("forget" as const), bridge, mac, port }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("flush" as const), port }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 8 }).map((n) => n * 100) }) },
);

/** First two bytes and last four of an address, which differ in either. */
function address(number: number): [hi: number, lo: number] {
  return [0x0200 | (number & 1), (number >> 1) * 0x01010101 | 0];
}

class Model {
  readonly known = new Map<string, Known>();

  private age(): void {
    for (const [key, entry] of this.known) {
      if (!entry.fixed && jiffies - entry.heard >= AGEING[Number(key[0])]!) this.known.delete(key);
    }
  }

  apply(op: Op): void {
    this.age();
    if (op.op === "wait") return;
    if (op.op === "flush") {
      for (const [key, entry] of this.known) if (entry.port === op.port && !entry.fixed) this.known.delete(key);
      return;
    }
    const key = `${op.bridge} ${op.mac}`;
    const entry = this.known.get(key);
    if (op.op === "forget") {
      this.known.delete(key);
    } else if (entry !== undefined) {
      entry.port = op.port;
      if (op.op === "hear") entry.heard = jiffies;
      else entry.fixed = true;
    } else if (op.op === "enter" || this.known.size < SIZE) {
      this.known.set(key, { port: op.port, heard: jiffies, fixed: op.op === "enter" });
    }
  }
}

function apply(op: Op): void {
  switch (op.op) {
    case "wait":
      runTo(jiffies + op.ms);
      break;
    case "flush":
      brFdbFlushPort(op.port, false);
      break;
    case "forget":
      brFdbForget(op.bridge, ...address(op.mac));
      break;
    case "enter":
      brFdbEnter(op.bridge, op.port, ...address(op.mac), false);
      break;
    default:
      brFdbUpdate(op.bridge, op.port, ...address(op.mac));
  }
}

test("whatever is heard, entered, forgotten and waited for, the database knows what a naive one knows", (t) => {
  let full = 0;
  fc.assert(fc.property(fc.array(ops, { minLength: 30, maxLength: 80, size: "max" }), (list) => {
    bootNetif();
    const before = poolsInUse();
    brFdbInit(SIZE, (index) => AGEING[index]!);
    const model = new Model();
    for (const op of list) {
      // Which one makes room for what is entered into a full database is its own affair.
      if (op.op === "enter" && model.known.size >= SIZE) continue;
      apply(op);
      model.apply(op);
      if (model.known.size === SIZE) full++;
      for (const index of [0, 1]) {
        for (let number = 1; number <= 14; number++) {
          const row = brFdbFind(index, ...address(number));
          const expected = model.known.get(`${index} ${number}`)?.port;
          if ((row < 0 ? undefined : brFdbPort(row)) !== expected) throw new Error(`${index} ${number}: ${row}, expected ${expected}`);
        }
      }
      const entry = new BrFdbEntry();
      let listed = 0;
      for (let place = brFdbNext(entry, 0); place >= 0; place = brFdbNext(entry, place)) listed++;
      if (listed !== model.known.size || poolsInUse() - before !== listed) throw new Error(`${listed} listed, ${model.known.size} known`);
    }
  }), { numRuns: 100, seed: 7 });
  t.true(full > 100, `${full} times full`);
});
