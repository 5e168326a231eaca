/** The states of neighbours against a model that is as plain as the table of states in RFC 4861 and Linux's description of them. */
import test from "ava";
import fc from "fast-check";
import { mem8 } from "../../../src/lib/memory.ts";
import { jiffies } from "../../../src/lib/timer.ts";
import {
  createNeighTable, neighConfirm, neighCreate, neighDelete, neighEventNs, neighIfdown, neighLookup, neighOutput, neighParmsSet, neighSet,
  type NeighTable, neighUpdate, NEIGH_UPDATE_F_OVERRIDE,
} from "../../../src/stack/core/neighbour.ts";
import { consumeSkb, kfreeSkb } from "../../../src/stack/core/skbuff.ts";
import { SKB_DROP_REASON_NEIGH_FAILED } from "../../../src/uapi/drop-reason.ts";
import { ETH_P_IP } from "../../../src/uapi/if-ether.ts";
import {
  NUD_DELAY, NUD_FAILED, NUD_INCOMPLETE, NUD_NONE, NUD_PERMANENT, NUD_PROBE, NUD_REACHABLE, NUD_STALE,
} from "../../../src/uapi/rtnetlink.ts";
import { AF_INET } from "../../../src/uapi/socket.ts";
import { bootNetif, fakeDevice, packet, poolsInUse, register, runTo } from "../netif/harness.ts";

const RETRANS = 100;
const DELAY = 500;
const REACHABLE = 3000;
const UCAST = 2;
const MCAST = 3;
const KEYS = [1, 2, 3];

/** What can happen to a neighbour. `key` and, where it has one, an address: 1 or 2. */
type Event =
  | { kind: "send" | "confirm" | "delete"; key: number }
  | { kind: "reply" | "hearsay" | "ask" | "static"; key: number; address: number; override: boolean }
  | { kind: "wait"; ms: number };

interface Entry {
  state: number;
  address: number;
  /** When the timer fires, -1 for never. */
  due: number;
  confirmed: number;
  used: number;
  probes: number;
  queue: number[];
}

const hasAddress = (state: number): boolean => ![NUD_NONE, NUD_INCOMPLETE, NUD_FAILED].includes(state);
const sure = (state: number): boolean => state === NUD_REACHABLE || state === NUD_PERMANENT;

class Model {
  now = 0;
  readonly log: string[] = [];
  readonly entries = new Map<number, Entry>();
  /** States that a timer led to, or was found in. */
  readonly seen = new Set<number>();

  entry(key: number): Entry {
    let found = this.entries.get(key);
    if (found === undefined) {
      found = { state: NUD_NONE, address: 0, due: -1, confirmed: this.now - 2 * REACHABLE, used: this.now, probes: 0, queue: [] };
      this.entries.set(key, found);
    }
    return found;
  }

  private note(what: string, key: number, more = ""): void {
    this.log.push(`${this.now} ${what} ${key} ${more}`);
  }

  private ask(key: number, one: Entry): void {
    this.note("asks", key, one.probes < UCAST ? "one" : "all");
    one.probes++;
    one.due = this.now + RETRANS;
  }

  private fail(key: number, one: Entry): void {
    one.state = NUD_FAILED;
    one.due = -1;
    for (const id of one.queue.splice(0)) this.note("reports", key, String(id));
  }

  send(key: number, id: number): void {
    const one = this.entry(key);
    if (!sure(one.state)) one.used = this.now;
    if (one.state === NUD_NONE || one.state === NUD_FAILED) {
      one.state = NUD_INCOMPLETE;
      one.probes = UCAST;
      one.queue.push(id);
      this.ask(key, one);
    } else if (one.state === NUD_INCOMPLETE) {
      one.queue.push(id);
    } else {
      if (one.state === NUD_STALE) {
        one.state = NUD_DELAY;
        one.due = this.now + DELAY;
      }
      this.note("sends", key, `${id} to ${one.address}`);
    }
  }

  news(key: number, address: number, state: number, override: boolean, person = false): void {
    const one = this.entry(key);
    const before = one.state;
    if (before === NUD_PERMANENT && !person) return;
    if (sure(state)) one.confirmed = this.now;
    let next = state;
    if (hasAddress(before)) {
      if (address !== one.address && !override) return;
      if (address === one.address && state === NUD_STALE) next = before;
    }
    if (next !== before) one.due = next === NUD_REACHABLE ? this.now + REACHABLE : -1;
    one.state = next;
    if (!hasAddress(before) || address !== one.address) {
      one.address = address;
      if (!sure(next)) one.confirmed = this.now - 2 * REACHABLE;
    }
    if (!hasAddress(before)) for (const id of one.queue.splice(0)) this.send(key, id);
  }

  remove(key: number): void {
    const one = this.entries.get(key);
    if (one === undefined) return;
    this.fail(key, one);
    this.entries.delete(key);
  }

  wait(ms: number): void {
    for (const until = this.now + ms; this.now < until;) {
      this.now++;
      for (const [key, one] of this.entries) if (one.due === this.now) this.fire(key, one);
    }
  }

  private fire(key: number, one: Entry): void {
    const now = this.now;
    this.seen.add(one.state);
    one.due = -1;
    if (one.state === NUD_REACHABLE) {
      if (now < one.confirmed + REACHABLE) {
        one.due = one.confirmed + REACHABLE;
      } else if (now <= one.used + DELAY) {
        one.state = NUD_DELAY;
        one.due = now + DELAY;
      } else {
        one.state = NUD_STALE;
      }
    } else if (one.state === NUD_DELAY && now <= one.confirmed + DELAY) {
      one.state = NUD_REACHABLE;
      one.due = one.confirmed + REACHABLE;
    } else if (one.state === NUD_DELAY) {
      one.state = NUD_PROBE;
      one.probes = 0;
      this.ask(key, one);
    } else if (one.probes >= (one.state === NUD_PROBE ? UCAST : UCAST + MCAST)) {
      this.fail(key, one);
    } else {
      this.ask(key, one);
    }
  }
}

const key = fc.constantFrom(...KEYS);
const news = fc.record({
  kind: fc.constantFrom("reply", "hearsay", "ask", "static"), key, address: fc.constantFrom(1, 2), override: fc.boolean(),
});
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("send"), key }) },
  { weight: 3, arbitrary: news },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("confirm", "delete"), key }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("wait"), ms: fc.oneof(fc.integer({ min: 1, max: 150 }), fc.integer({ min: 1, max: 4000 })) }) },
) as fc.Arbitrary<Event>;

/** Does the same to a table; what it asked, sent and reported, and its states at the end. */
function play(events: readonly Event[]): { log: string[]; states: Map<number, [number, number]>; leaked: number } {
  bootNetif(64);
  const log: string[] = [];
  const id = (skb: { data: number }, at = 0): number => mem8[skb.data + at]!;
  const tbl: NeighTable = createNeighTable("neigh_test", AF_INET, 8, {
    construct: () => 0,
    solicit: (neigh) => void log.push(`${jiffies} asks ${neigh.key} ${neigh.probes < UCAST ? "one" : "all"}`),
    errorReport(neigh, skb) {
      log.push(`${jiffies} reports ${neigh.key} ${id(skb)}`);
      kfreeSkb(skb, SKB_DROP_REASON_NEIGH_FAILED);
    },
    queueXmit(skb) {
      log.push(`${jiffies} sends ${id(skb, 15)} ${id(skb, 14)} to ${id(skb, 5)}`);
      consumeSkb(skb);
      return 0;
    },
  });
  neighParmsSet(tbl, null, {
    retransTimeMs: RETRANS, delayProbeTimeMs: DELAY, baseReachableTimeMs: REACHABLE, ucastProbes: UCAST, mcastProbes: MCAST, gcThresh1: 100,
  });
  tbl.parms.reachableTimeMs = REACHABLE;
  const dev = register(fakeDevice());
  let sent = 0;
  for (const one of events) {
    if (one.kind === "wait") {
      runTo(jiffies + one.ms);
      continue;
    }
    const neigh = neighLookup(tbl, one.key, dev);
    const create = (): NonNullable<typeof neigh> => neigh ?? neighCreate(tbl, one.key, dev)!;
    switch (one.kind) {
      case "send": {
        const skb = packet(dev, [sent++ & 255, one.key, 0, 0]);
        skb.protocol = ETH_P_IP;
        neighOutput(create(), skb);
        break;
      }
      case "confirm":
        if (neigh !== null) neighConfirm(neigh);
        break;
      case "delete":
        neighDelete(tbl, one.key, dev);
        break;
      case "reply":
      case "hearsay":
        if (neigh !== null) {
          const state = one.kind === "reply" ? NUD_REACHABLE : NUD_STALE;
          neighUpdate(neigh, 0x0200, one.address, state, one.override ? NEIGH_UPDATE_F_OVERRIDE : 0);
        }
        break;
      case "ask":
        neighEventNs(tbl, 0x0200, one.address, one.key, dev);
        break;
      case "static":
        neighSet(tbl, one.key, dev, 0x0200, one.address, NUD_PERMANENT);
        break;
    }
  }
  const states = new Map<number, [number, number]>();
  for (const k of KEYS) {
    const neigh = neighLookup(tbl, k, dev);
    if (neigh !== null) states.set(k, [neigh.nudState, neigh.haLo]);
  }
  neighIfdown(tbl, dev);
  return { log, states, leaked: poolsInUse() };
}

function expect(events: readonly Event[]): { log: string[]; states: Map<number, [number, number]>; seen: Set<number> } {
  const model = new Model();
  let sent = 0;
  for (const one of events) {
    switch (one.kind) {
      case "wait":
        model.wait(one.ms);
        break;
      case "send":
        model.send(one.key, sent++ & 255);
        break;
      case "confirm":
        if (model.entries.has(one.key)) model.entry(one.key).confirmed = model.now;
        break;
      case "delete":
        model.remove(one.key);
        break;
      case "reply":
      case "hearsay":
        if (model.entries.has(one.key)) model.news(one.key, one.address, one.kind === "reply" ? NUD_REACHABLE : NUD_STALE, one.override);
        break;
      case "ask":
        model.news(one.key, one.address, NUD_STALE, true);
        break;
      case "static":
        model.news(one.key, one.address, NUD_PERMANENT, true, true);
        break;
    }
  }
  return { log: model.log, states: new Map([...model.entries].map(([k, one]) => [k, [one.state, one.address]])), seen: model.seen };
}

/** Timers of the same millisecond may fire in any order among neighbours. */
function ordered(log: readonly string[]): string[] {
  return KEYS.flatMap((k) => log.filter((line) => line.split(" ")[2] === String(k)).map((line) => line.trim()));
}

test.serial("whatever happens to neighbours, in any order: asked, sent, reported and known as the model says, to the millisecond", (t) => {
  const seen = new Set<number>();
  fc.assert(
    fc.property(fc.array(event, { minLength: 5, maxLength: 40 }), (events) => {
      const actual = play(events);
      const expected = expect(events);
      for (const state of [...expected.seen, ...[...expected.states.values()].map(([last]) => last)]) seen.add(state);
      t.deepEqual(ordered(actual.log), ordered(expected.log));
      t.deepEqual([...actual.states].sort(), [...expected.states].sort());
      t.is(actual.leaked, 0);
    }),
    { numRuns: 100, seed: 4861 },
  );
  t.deepEqual([...seen].sort((a, b) => a - b), [NUD_INCOMPLETE, NUD_REACHABLE, NUD_STALE, NUD_DELAY, NUD_PROBE, NUD_FAILED, NUD_PERMANENT]);
});
