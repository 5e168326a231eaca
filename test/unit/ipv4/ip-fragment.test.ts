/** Reassembly, driven fragment by fragment, beside a naive model of the kernel's rules; and what its limits do. */
import test from "ava";
import fc from "fast-check";
import { mem8 } from "../../../src/lib/memory.ts";
import { poolsInUse } from "../../../src/lib/pool.ts";
import { runTimers } from "../../../src/lib/timer.ts";
import { consumeSkb, skbClone, type SkBuff } from "../../../src/stack/core/skbuff.ts";
import { inetAddAddress } from "../../../src/stack/ipv4/devinet.ts";
import { ipAppendData } from "../../../src/stack/ipv4/ip-append-data.ts";
import { ipDoFragment } from "../../../src/stack/ipv4/ip-do-fragment.ts";
import { skbFragOps } from "../../../src/stack/core/skb-frag-ops.ts";
import { registerSkbFrags } from "../../../src/stack/core/skbuff.ts";
import { ipDefrag, ipFragInit } from "../../../src/stack/ipv4/ip-fragment.ts";
import { ipRcv } from "../../../src/stack/ipv4/ip-input.ts";
import { registerIpFragments } from "../../../src/stack/ipv4/ip-parts.ts";
import { inetAddProtocol } from "../../../src/stack/ipv4/protocol.ts";
import {
  SKB_DROP_REASON_DUP_FRAG, SKB_DROP_REASON_FRAG_REASM_TIMEOUT, SKB_DROP_REASON_FRAG_TOO_FAR, SKB_DROP_REASON_NOMEM,
} from "../../../src/uapi/drop-reason.ts";
import {
  IPSTATS_MIB_REASM_OVERLAPS, IPSTATS_MIB_REASMFAILS, IPSTATS_MIB_REASMOKS, IPSTATS_MIB_REASMREQDS,
  IPSTATS_MIB_REASMTIMEOUT,
} from "../../../src/uapi/snmp.ts";
import {
  addDevice, addLoopback, bootIpv4, checksum, drops, initNet, ip, ipPacket, received, receive, shutdownIpv4, type TestDevice,
} from "./harness.ts";

const LOCAL = ip("10.0.0.1");
const PEER = ip("10.0.0.9");
const PROTOCOL = 253;
const MF = 0x2000;
const DF = 0x4000;
const TIMEOUT_MS = 30_000;
const DATAGRAMS = 3;
const PACKETS = 12;

let eth: TestDevice;
let taken: Uint8Array[];
let headers: Uint8Array[];
let now: number;

const protocol = {
  handler(skb: SkBuff): number {
    const bytes = new Uint8Array(skb.len);
    // In pieces, through the only area that a test has in the arena: a packet's own.
    let at = 0;
    for (let part: SkBuff | null = skb; part !== null; part = part === skb ? skb.fragList : part.next) {
      bytes.set(mem8.slice(part.data, part.tail), at);
      at += part.tail - part.data;
    }
    taken.push(bytes);
    headers.push(mem8.slice(skb.nh, skb.th));
    consumeSkb(skb);
    return 0;
  },
  chained: true,
};

test.beforeEach(() => {
  bootIpv4({ skbs: 64 });
  ipFragInit(DATAGRAMS, PACKETS);
  registerSkbFrags(skbFragOps);
  registerIpFragments({ defrag: ipDefrag, fragment: ipDoFragment, append: ipAppendData });
  addLoopback();
  eth = addDevice("eth0");
  inetAddAddress(initNet, eth, LOCAL, 24);
  inetAddProtocol(PROTOCOL, protocol);
  taken = [];
  headers = [];
  now = 0;
});
test.afterEach((t) => {
  later(TIMEOUT_MS);
  t.is(shutdownIpv4(), 0, "pools full again");
});

function later(ms: number): void {
  now += ms;
  runTimers(now);
}

function mib(counter: number): number {
  return initNet.mib[counter]!;
}

/** The byte at an offset of every datagram here. */
function pattern(offset: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => ((offset + i) * 13) & 255);
}

function fragment(offset: number, length: number, more: boolean, fields: object = {}): Uint8Array {
  const frag = (offset >> 3) | (more ? MF : 0);
  return ipPacket({ saddr: PEER, daddr: LOCAL, protocol: PROTOCOL, id: 1, frag, payload: pattern(offset, length), ...fields });
}

test.serial("fragments in any order make the datagram, once all are there", (t) => {
  for (const order of [[0, 1, 2], [2, 1, 0], [1, 0, 2], [2, 0, 1], [0, 2, 1], [1, 2, 0]]) {
    for (const at of order) {
      t.is(taken.length, 0);
      receive(eth, fragment(at * 1000, at === 2 ? 501 : 1000, at !== 2));
    }
    t.deepEqual(taken.splice(0), [pattern(0, 2501)]);
    const header = headers.pop()!;
    t.is((header[2]! << 8) | header[3]!, 2521);
    t.is((header[6]! << 8) | header[7]!, 0);
    t.is(checksum(header), 0);
  }
  t.is(mib(IPSTATS_MIB_REASMREQDS), 18);
  t.is(mib(IPSTATS_MIB_REASMOKS), 6);
  t.is(mib(IPSTATS_MIB_REASMFAILS), 0);
});

test.serial("what fits one buffer ends in one buffer", (t) => {
  const before = poolsInUse();
  receive(eth, fragment(0, 400, true));
  receive(eth, fragment(400, 400, true));
  let inUse = 0;
  inetAddProtocol(200, {
    handler(skb) {
      inUse = poolsInUse() - before;
      t.is(skb.fragList, null);
      consumeSkb(skb);
      return 0;
    },
  });
  receive(eth, fragment(0, 400, true, { protocol: 200, id: 2 }));
  receive(eth, fragment(400, 400, false, { protocol: 200, id: 2 }));
  // Two fragments of the other datagram and their queue, and this one: a header, a buffer and the route.
  t.is(inUse, 2 * 2 + 1 + 3);
});

test.serial("a protocol that takes one buffer gets no more than fits it", (t) => {
  inetAddProtocol(201, { handler: (skb) => (consumeSkb(skb), taken.push(new Uint8Array(0))) });
  receive(eth, fragment(0, 1400, true, { protocol: 201 }));
  receive(eth, fragment(1400, 1400, false, { protocol: 201 }));
  t.is(taken.length, 0);
  t.deepEqual(drops, [SKB_DROP_REASON_NOMEM]);
});

test.serial("addresses, protocol and identification keep datagrams apart", (t) => {
  receive(eth, fragment(0, 8, true));
  receive(eth, fragment(8, 8, false, { id: 2 }));
  receive(eth, fragment(8, 8, false, { saddr: ip("10.0.0.8") }));
  t.is(taken.length, 0);
  receive(eth, fragment(8, 8, false));
  t.is(taken.length, 1);
});

test.serial("a duplicate is dropped alone; an overlap ends the datagram, and what comes of it later too", (t) => {
  receive(eth, fragment(0, 16, true));
  receive(eth, fragment(0, 16, true));
  receive(eth, fragment(8, 8, true));
  t.deepEqual(drops.splice(0), [SKB_DROP_REASON_DUP_FRAG, SKB_DROP_REASON_DUP_FRAG]);
  receive(eth, fragment(8, 16, true));
  t.is(mib(IPSTATS_MIB_REASM_OVERLAPS), 1);
  t.is(mib(IPSTATS_MIB_REASMFAILS), 1);
  receive(eth, fragment(16, 8, false));
  t.is(taken.length, 0, "the beginning went with the overlap");
});

test.serial("after 30 s the sender hears of it, if the first fragment is there, and all is given back", (t) => {
  receive(eth, fragment(0, 64, true));
  receive(eth, fragment(128, 64, false));
  receive(eth, fragment(64, 64, true, { id: 2 }));
  later(TIMEOUT_MS - 1);
  t.is(eth.sent.length, 0);
  later(1);
  t.is(eth.sent.length, 1);
  const message = eth.sent[0]!;
  t.deepEqual([...message.subarray(20, 22)], [11, 1]);
  t.deepEqual(message.subarray(28), fragment(0, 64, true));
  t.is(mib(IPSTATS_MIB_REASMTIMEOUT), 2);
  t.is(mib(IPSTATS_MIB_REASMFAILS), 2);
  t.deepEqual(drops, Array(3).fill(SKB_DROP_REASON_FRAG_REASM_TIMEOUT));
});

test.serial("the timeout is the datagram's, however late its last fragment came", (t) => {
  receive(eth, fragment(0, 64, true));
  later(TIMEOUT_MS - 1000);
  receive(eth, fragment(64, 64, true));
  later(1000);
  t.is(mib(IPSTATS_MIB_REASMTIMEOUT), 1);
});

test.serial("a flood of fragments takes what was set aside for them and nothing else, and is forgotten in time", (t) => {
  for (let id = 0; id < 100; id++) receive(eth, fragment(8, 8, true, { id, saddr: ip("10.0.0.100") }));
  t.is(drops.length, 100 - DATAGRAMS);
  for (let at = 2; at < 100; at++) receive(eth, fragment(at * 8, 8, true, { id: 0, saddr: ip("10.0.0.100") }));
  t.is(mib(IPSTATS_MIB_REASMFAILS), 100 - DATAGRAMS + 98 - (PACKETS - DATAGRAMS));
  receive(eth, fragment(0, 8, false));
  t.is(taken.length, 1, "what is no fragment is not concerned");
  later(TIMEOUT_MS);
  receive(eth, fragment(0, 8, true));
  receive(eth, fragment(8, 8, false));
  t.is(taken.length, 2);
});

test.serial("a source that has sent more than ipfragMaxDist others meanwhile begins the datagram anew, with all its time", (t) => {
  const others = (count: number, fields: object = {}): void => {
    for (let i = 0; i < count; i++) receive(eth, fragment(0, 8, true, { id: 2, ...fields }));
  };
  receive(eth, fragment(0, 16, true));
  others(63);
  receive(eth, fragment(16, 16, true));
  t.is(mib(IPSTATS_MIB_REASMFAILS), 0, "63 others and itself");
  others(64, { saddr: ip("10.0.0.8") });
  later(TIMEOUT_MS - 1);
  receive(eth, fragment(32, 16, true));
  t.is(mib(IPSTATS_MIB_REASMFAILS), 0, "others' fragments are no matter");
  drops.length = 0;
  others(64);
  receive(eth, fragment(48, 16, false));
  t.is(mib(IPSTATS_MIB_REASMFAILS), 1);
  t.deepEqual(drops.filter((reason) => reason !== SKB_DROP_REASON_DUP_FRAG), Array(3).fill(SKB_DROP_REASON_FRAG_TOO_FAR));
  later(TIMEOUT_MS - 1);
  receive(eth, fragment(0, 48, true));
  t.deepEqual(taken, [pattern(0, 64)]);
});

test.serial("ipfragMaxDist 0: however many came between", (t) => {
  initNet.ipv4.ipfragMaxDist = 0;
  receive(eth, fragment(0, 16, true));
  for (let i = 0; i < 200; i++) receive(eth, fragment(0, 8, true, { id: 2 }));
  receive(eth, fragment(16, 16, false));
  t.deepEqual(taken, [pattern(0, 32)]);
});

test.serial("a datagram beyond 65535 bytes is none", (t) => {
  receive(eth, fragment(65528, 8, false));
  t.is(mib(IPSTATS_MIB_REASMFAILS), 0, "its end alone does not say so");
  receive(eth, fragment(65520, 8, true));
  later(TIMEOUT_MS);
  t.is(mib(IPSTATS_MIB_REASMTIMEOUT), 1);
  ipFragInit(1, 60);
  for (let at = 0; at < 65528; at += 1400) receive(eth, fragment(at, Math.min(1400, 65528 - at), true, { id: 7 }));
  receive(eth, fragment(65528, 8, false, { id: 7 }));
  t.is(taken.length, 0);
  t.is(mib(IPSTATS_MIB_REASMFAILS), 2);
});

test.serial("ECN: a marked fragment marks the datagram; fields that contradict each other end it", (t) => {
  const pair = (first: number, second: number): number => {
    receive(eth, fragment(0, 8, true, { tos: first }));
    receive(eth, fragment(8, 8, false, { tos: second }));
    return taken.pop() === undefined ? -1 : headers.pop()![1]!;
  };
  t.deepEqual([pair(0, 0), pair(2, 2), pair(2, 3), pair(3, 2), pair(1, 3), pair(3, 3)], [0, 2, 3, 3, 3, 3]);
  t.deepEqual([pair(0, 2), pair(3, 0), pair(0, 1)], [-1, -1, -1]);
  t.is(mib(IPSTATS_MIB_REASMFAILS), 3);
});

test.serial("DF of the longest fragment stays on the datagram", (t) => {
  receive(eth, fragment(0, 16, true, { frag: MF | DF }));
  receive(eth, fragment(16, 8, false));
  t.is(headers.pop()![6], DF >> 8);
  receive(eth, fragment(0, 8, true, { frag: MF | DF, id: 2 }));
  receive(eth, fragment(8, 16, false, { id: 2 }));
  t.is(headers.pop()![6], 0);
});

test.serial("what a tap keeps of a fragment stays as it came", (t) => {
  const bytes = fragment(0, 8, true);
  const skb = received(eth, bytes);
  const kept = skbClone(skb)!;
  ipRcv(skb, eth);
  receive(eth, fragment(8, 8, false));
  t.is(taken.length, 1);
  t.deepEqual(mem8.slice(kept.data, kept.tail), bytes);
  consumeSkb(kept);
});

interface Piece {
  readonly id: number;
  readonly offset: number;
  readonly length: number;
  readonly more: boolean;
}

/** Fragments that may come between two of a datagram, and how many sources there are: the model's only. */
const MAX_DIST = 2;
const SOURCES = 2;

/** The kernel's rules over plain lists of byte ranges; each source counts its fragments, and each datagram remembers the count. */
class Model {
  private readonly queues = new Map<number, { runs: [number, number][]; count: number; end: number; last: boolean; rid: number }>();
  private readonly rids = Array<number>(SOURCES).fill(0);
  delivered: Uint8Array[] = [];
  fails = 0;
  overlaps = 0;
  tooFar = 0;

  private kill(id: number): void {
    this.queues.delete(id);
    this.fails++;
  }

  take({ id, offset, length, more }: Piece): void {
    const held = [...this.queues.values()].reduce((sum, queue) => sum + queue.count, 0);
    if (held >= PACKETS || (!this.queues.has(id) && this.queues.size === DATAGRAMS)) {
      this.fails++;
      return;
    }
    const queue = this.queues.get(id) ?? { runs: [], count: 0, end: 0, last: false, rid: 0 };
    this.queues.set(id, queue);
    const rid = ++this.rids[id % SOURCES]!;
    if (queue.count > 0 && rid - queue.rid > MAX_DIST) {
      Object.assign(queue, { runs: [], count: 0, end: 0, last: false });
      this.fails++;
      this.tooFar++;
    }
    queue.rid = rid;
    const end = offset + (more ? length - (length % 8) : length);
    const wrong = more ? queue.last && end > queue.end : end < queue.end || (queue.last && end !== queue.end);
    if (wrong || end === offset) return this.kill(id);
    queue.end = Math.max(queue.end, end);
    queue.last ||= !more;
    const touched = queue.runs.filter(([from, to]) => offset < to && end > from);
    if (touched.length === 1 && touched[0]![0] <= offset && end <= touched[0]![1]) return;
    if (touched.length > 0) {
      this.overlaps++;
      return this.kill(id);
    }
    const top = queue.runs.find(([, to]) => to === Math.max(...queue.runs.map((run) => run[1])));
    if (top !== undefined && top[1] === offset) top[1] = end;
    else queue.runs.push([offset, end]);
    queue.count++;
    const bytes = queue.runs.reduce((sum, [from, to]) => sum + to - from, 0);
    if (!queue.last || bytes !== queue.end) return;
    this.delivered.push(pattern(0, queue.end));
    this.queues.delete(id);
  }
}

test.serial("any mixture of whole, doubled, overlapping, missing and false fragments: as the model says", (t) => {
  const place = fc.nat({ max: 10 }).map((n) => n * 8);
  const wild = fc.record({ id: fc.nat({ max: 4 }), offset: place, length: fc.nat({ max: 40 }), more: fc.boolean() });
  const cuts = fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { maxLength: 5 });
  const whole = fc.tuple(fc.nat({ max: 4 }), fc.integer({ min: 73, max: 90 }), cuts).chain(([id, length, at]) => {
    const ends = [...at.sort((x, y) => x - y).map((n) => n * 8), length];
    const pieces = ends.map((end, i): Piece => {
      const offset = i === 0 ? 0 : ends[i - 1]!;
      return { id, offset, length: end - offset, more: end !== length };
    });
    return fc.shuffledSubarray(pieces, { minLength: pieces.length - 1 });
  });
  const script = fc.array(fc.oneof({ weight: 3, arbitrary: whole }, { weight: 1, arbitrary: wild.map((piece) => [piece]) }), { maxLength: 12 });
  let delivered = 0;
  let tooFar = 0;
  initNet.ipv4.ipfragMaxDist = MAX_DIST;
  fc.assert(
    fc.property(script, (groups) => {
      const model = new Model();
      const [fails, overlaps] = [mib(IPSTATS_MIB_REASMFAILS), mib(IPSTATS_MIB_REASM_OVERLAPS)];
      taken = [];
      for (const piece of groups.flat()) {
        // What is neither offset nor more is no fragment.
        if (piece.offset === 0 && !piece.more) continue;
        model.take(piece);
        receive(eth, fragment(piece.offset, piece.length, piece.more, { id: piece.id, saddr: PEER - (piece.id % SOURCES) }));
      }
      delivered += taken.length;
      tooFar += model.tooFar;
      t.deepEqual(taken, model.delivered);
      t.is(mib(IPSTATS_MIB_REASMFAILS) - fails, model.fails);
      t.is(mib(IPSTATS_MIB_REASM_OVERLAPS) - overlaps, model.overlaps);
      later(TIMEOUT_MS);
      eth.sent.length = 0;
    }),
    { numRuns: 400 },
  );
  t.true(delivered > 100 && tooFar > 20, `${delivered} datagrams, ${tooFar} begun anew`);
});
