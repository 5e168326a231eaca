/** The virtual wire and its impairment, on the virtual clock, between plain ports. */
import test from "ava";
import fc from "fast-check";
import { VirtualClock } from "../../../hal/mock/clock.ts";
import { Impairer, type Impairment, Prng } from "../../../hal/mock/impair.ts";
import { EventQueue } from "../../../hal/mock/schedule.ts";
import { Wire } from "../../../hal/mock/wire.ts";

interface Arrival {
  readonly id: number;
  readonly timeMs: number;
  readonly frame: Uint8Array;
}

function frame(id: number, length = 64): Uint8Array {
  const bytes = new Uint8Array(length);
  new DataView(bytes.buffer).setUint32(0, id);
  return bytes;
}

/** Sends `count` frames, one each `everyMs`, through one direction of a line. */
function send(settings: Impairment, count: number, everyMs = 1, length = 64): { arrivals: Arrival[]; line: Impairer } {
  const clock = new VirtualClock();
  const arrivals: Arrival[] = [];
  const line = new Impairer(settings, clock, (bytes) => {
    arrivals.push({ id: new DataView(bytes.buffer).getUint32(0), timeMs: clock.timeMs(), frame: bytes });
  });
  for (let id = 0; id < count; id++) clock.at(id * everyMs, () => line.send(frame(id, length)));
  clock.runFor(count * everyMs + 10_000);
  return { arrivals, line };
}

const ids = (arrivals: readonly Arrival[]): number[] => arrivals.map(({ id }) => id);

test("events run in order of time, equal times in the order they were asked for", (t) => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 20 })), (times) => {
      const queue = new EventQueue();
      const ran: [number, number][] = [];
      times.forEach((time, order) => queue.push(time, () => ran.push([time, order])));
      while (queue.runNext(20));
      const expected = times.map((time, order): [number, number] => [time, order]).sort((a, b) => a[0] - b[0] || a[1] - b[1]);
      t.deepEqual(ran, expected);
    }),
  );
});

test("an event that is not due does not run", (t) => {
  const queue = new EventQueue();
  let ran = false;
  queue.push(5, () => (ran = true));
  t.false(queue.runNext(4.9));
  t.false(ran);
  t.is(queue.nextMs, 5);
  t.true(queue.runNext(5));
  t.is(queue.nextMs, Infinity);
});

test("a perfect wire delivers at once, to every port but the sender's", (t) => {
  const clock = new VirtualClock();
  const wire = new Wire(clock);
  const heard: string[] = [];
  const [a] = ["a", "b", "c"].map((name) => wire.attach(name, (bytes) => heard.push(`${name}${bytes[3]}`)));
  a!.send(frame(7));
  t.deepEqual(heard, ["b7", "c7"]);
});

test("delay and jitter keep the order and stay in their range", (t) => {
  const { arrivals } = send({ delayMs: 20, jitterMs: 10, seed: 3 }, 500, 5);
  t.deepEqual(ids(arrivals), [...Array(500).keys()]);
  const delays = arrivals.map(({ id, timeMs }) => timeMs - id * 5);
  t.true(Math.min(...delays) >= 10 && Math.max(...delays) <= 30);
  t.true(Math.max(...delays) - Math.min(...delays) > 15);
});

test("bandwidth spaces the frames, overhead included, and the queue is bounded", (t) => {
  const { arrivals } = send({ rateBps: 1_000_000 }, 10, 0, 1514);
  const each = ((1514 + 24) * 8) / 1000;
  arrivals.forEach(({ timeMs }, i) => t.true(Math.abs(timeMs - each * (i + 1)) < 1e-6));
  const { arrivals: few, line } = send({ rateBps: 1_000_000, queueFrames: 4 }, 10, 0, 1514);
  t.deepEqual(ids(few), [0, 1, 2, 3]);
  t.is(line.stats.overflowed, 6);
});

for (const [name, stat] of [["loss", "lost"], ["duplicate", "duplicated"], ["corrupt", "corrupted"], ["reorder", "reordered"]] as const) {
  test(`${name} happens as often as asked, and the same way from the same seed`, (t) => {
    const settings = { [name]: 0.1, delayMs: 5, seed: 11 };
    const { arrivals, line } = send(settings, 5000);
    t.true(Math.abs(line.stats[stat] - 500) < 75, `${line.stats[stat]} of 5000`);
    t.deepEqual(ids(send(settings, 5000).arrivals), ids(arrivals));
    t.notDeepEqual(send({ ...settings, seed: 12 }, 5000).arrivals, arrivals);
    t.is(arrivals.length, 5000 - line.stats.lost + line.stats.duplicated);
  });
}

test("a corrupted frame differs in exactly one bit", (t) => {
  const { arrivals } = send({ corrupt: 1 }, 50);
  for (const [index, { frame: bytes }] of arrivals.entries()) {
    const original = frame(index);
    let bits = 0;
    bytes.forEach((byte, at) => {
      for (let diff = byte ^ original[at]!; diff > 0; diff &= diff - 1) bits++;
    });
    t.is(bits, 1);
  }
});

test("a reordered frame goes ahead of those in flight, or without delay behind the next", (t) => {
  const ahead = send({ reorder: 0.2, delayMs: 10, seed: 5 }, 200);
  const order = ids(ahead.arrivals);
  t.notDeepEqual(order, [...order].sort((a, b) => a - b));
  t.is(Math.max(...ahead.arrivals.map(({ id, timeMs }) => timeMs - id)), 10);
  const behind = ids(send({ reorder: 0.2, seed: 5 }, 200, 0.25).arrivals);
  t.notDeepEqual(behind, [...behind].sort((a, b) => a - b));
});

test("a pulled cable loses what is in flight and what is sent, and tells both ends", (t) => {
  const clock = new VirtualClock();
  const wire = new Wire(clock, { delayMs: 10 });
  const heard: number[] = [];
  const told: boolean[] = [];
  const a = wire.attach("a", () => undefined);
  const b = wire.attach("b", (bytes) => heard.push(bytes[3]!));
  b.onCarrier = (carrier) => told.push(carrier);
  a.send(frame(1));
  clock.runFor(5);
  wire.setCarrier(false);
  a.send(frame(2));
  clock.runFor(20);
  wire.setCarrier(true);
  a.send(frame(3));
  clock.runFor(20);
  t.deepEqual(heard, [3]);
  t.deepEqual(told, [false, true]);
});

test("settings out of range are refused by name", (t) => {
  const clock = new VirtualClock();
  const wrong: Impairment[] = [{ loss: 1.1 }, { duplicate: -0.1 }, { delayMs: -1 }, { rateBps: Infinity }, { corrupt: NaN }];
  for (const settings of wrong) {
    const [name] = Object.keys(settings);
    t.throws(() => new Impairer(settings, clock, () => undefined), { instanceOf: RangeError, message: new RegExp(`^${name} is `) });
  }
});

test("the generator fills its range evenly", (t) => {
  const random = new Prng(1);
  const counts = new Array<number>(16).fill(0);
  for (let i = 0; i < 16_000; i++) counts[random.below(16)]!++;
  t.true(counts.every((count) => count > 850 && count < 1150), counts.join(" "));
});
