/** The driver over the simulated chip: options, opening and closing, frames both ways in every mode, filters, statistics. */
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { VirtualClock } from "../../../../hal/mock/clock.ts";
import { Enc28j60 } from "../../../../hal/enc28j60/index.ts";
import { encHash } from "../../../../hal/enc28j60/filter.ts";
import * as registers from "../../../../hal/enc28j60/registers.ts";
import { Enc28j60Simulator } from "../../../../hal/enc28j60/simulator/index.ts";
import { registerMap } from "../../../../hal/enc28j60/simulator/map.ts";
import { boot, type ConfigOptions, devClose, devOpen, initNet, poolsInUse } from "../../../../src/index.ts";
import { mem8 } from "../../../../src/lib/memory.ts";
import { CAPTURE_IN, captureStart, captureStop } from "../../../../src/netif/capture.ts";
import { devMcAdd, devMcDel } from "../../../../src/netif/dev-mc.ts";
import { devSetMacAddress, devSetPromiscuity } from "../../../../src/netif/dev.ts";
import { devQueueXmit } from "../../../../src/netif/xmit.ts";
import { DevMcAddr } from "../../../../src/stack/core/net-device.ts";
import { netdevAllocSkb, skbPutData } from "../../../../src/stack/core/skbuff.ts";
import { createEnc, encOptions, type EncOptions, whenNotBusy } from "../../../lib/enc28j60.ts";
import { BROADCAST, frameTo, OURS } from "./bus.ts";

const TYPE = 0x88b5;

class Board {
  readonly clock = new VirtualClock();
  readonly sim: Enc28j60Simulator;
  readonly dev: Enc28j60;
  readonly sent: Uint8Array[] = [];
  private readonly before: number;

  constructor(t: ExecutionContext, options: EncOptions = {}, config: ConfigOptions = { preset: "default" }) {
    boot({ ...config, hal: this.clock });
    const { sim, dev } = createEnc(this.clock, options);
    this.sim = sim;
    this.dev = dev;
    sim.chip.tx.output = (frame) => this.sent.push(frame);
    this.clock.drive(whenNotBusy(this.clock, sim, initNet));
    initNet.register(dev);
    this.before = poolsInUse();
    devOpen(dev);
    this.clock.runFor(20);
    t.teardown(() => {
      this.dev.close();
      this.clock.runFor(1000);
      if (poolsInUse() !== this.before) throw new Error("pool objects leaked");
    });
  }

  send(frame: Uint8Array): void {
    const skb = netdevAllocSkb(this.dev, frame.length)!;
    skbPutData(skb, frame);
    devQueueXmit(skb);
  }

  hear(frame: Uint8Array, ms = 5): number {
    const before = this.dev.stats.rxPackets;
    this.sim.receive(frame);
    this.clock.runFor(ms);
    return this.dev.stats.rxPackets - before;
  }
}

for (const odd of [0, 1]) test.serial(`the chip has its millisecond after the reset also where a turn is long (${odd}): the clock was read when it began`, (t) => {
  const clock = new VirtualClock();
  boot({ preset: "default", hal: clock });
  const { sim, dev } = createEnc(clock);
  // What else there is to do takes 1.9 ms of each second turn, and comes before the driver's timer.
  let turns = 0;
  const slow = whenNotBusy(clock, sim, {
    poll: () => {
      if (turns++ % 2 === odd) sim.chip.busyUntilMs = clock.timeMs() + 1.9;
      return initNet.poll();
    },
  });
  clock.drive(slow);
  initNet.register(dev);
  devOpen(dev);
  t.notThrows(() => clock.runFor(50));
  t.is(dev.encStats.inits, 1);
  dev.close();
  clock.runFor(1000);
});

/** Frames of every kind of length there and back, byte for byte. */
function exchange(t: ExecutionContext, board: Board, lengths: readonly number[]): void {
  const seen: Uint8Array[] = [];
  const tap = captureStart(board.dev, (skb, direction) => {
    if (direction === CAPTURE_IN) seen.push(mem8.slice(skb.mac, skb.tail));
  });
  for (const length of lengths) {
    const frame = frameTo(OURS, length, TYPE);
    t.is(board.hear(frame, 8), 1, `${length} bytes in`);
    t.deepEqual(seen.pop(), frame);
    const out = frameTo(BROADCAST, length, TYPE);
    board.send(out);
    board.clock.runFor(8);
    const [got] = board.sent.splice(0);
    t.deepEqual(got!.subarray(0, length), out, `${length} bytes out`);
    seen.length = 0;
  }
  captureStop(tap);
}

for (const [name, options] of [
  ["with an interrupt line", {}],
  ["polled", { interrupt: false }],
  ["in half duplex", { duplex: "half" }],
  ["in transfers of 64 bytes", { maxTransfer: 64 }],
  ["in transfers of 255 bytes, polled", { maxTransfer: 255, interrupt: false }],
  ["at 8 MHz and 20 µs for each call", { hz: 8_000_000, sim: { callMs: 0.02 } }],
  ["with no erratum", { sim: { errata: [] } }],
] as const satisfies readonly (readonly [string, EncOptions])[]) {
  test.serial(`frames of all lengths go in and out ${name}`, (t) => {
    const board = new Board(t, options);
    t.true(board.dev.carrier);
    exchange(t, board, [18, 59, 60, 61, 64, 255, 256, 511, 577, 1000, 1513, 1514]);
    t.is(board.dev.encStats.rxResyncs + board.dev.encStats.txTimeouts + board.dev.encStats.interruptDead, 0);
  });
}

for (const preset of ["tiny", "small"] as const) {
  test.serial(`preset ${preset}: frames up to its MTU`, (t) => {
    const board = new Board(t, {}, { preset });
    exchange(t, board, [60, 333, board.dev.mtu + 14]);
  });
}

test.serial("frames of any lengths in any order round the FIFO many times", (t) => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 18, max: 1514 }), { minLength: 20, maxLength: 60 }), fc.boolean(), (lengths, polled) => {
      const board = new Board({ teardown: () => undefined } as unknown as ExecutionContext, polled ? { interrupt: false } : {});
      for (const length of lengths) board.sim.receive(frameTo(OURS, length, TYPE));
      board.clock.runFor(200);
      return board.dev.stats.rxPackets === lengths.length
        && board.dev.stats.rxBytes === lengths.reduce((sum, length) => sum + length, 0);
    }),
    { numRuns: 10 },
  );
  t.pass();
});

test("vectors: the driver's hash of group addresses", (t) => {
  for (const [hi, lo, index] of [
    [0x0100, 0x5e000001, 63], [0x0100, 0x5e0000fb, 62], [0x0100, 0x5e0000fc, 53], [0x0100, 0x5e7ffffa, 28],
    [0x3333, 0x00000001, 51], [0x3333, 0x000000fb, 50], [0x3333, 0xff123456 | 0, 23], [0x0180, 0xc200000e | 0, 14], [0xffff, -1, 62],
  ] as const) {
    t.is(encHash(hi, lo), index);
  }
});

test("the driver's register addresses are the simulator's", (t) => {
  const map = registerMap();
  const isMac = registers.MAC_REGISTER;
  for (const [name, value] of Object.entries(registers)) {
    if (typeof value !== "number" || !/^(E|MA|MI)/.test(name)) continue;
    const register = map[value & 0x7f]!;
    if (register.name !== name && register.name !== `${name}L`) continue;
    t.is((value & isMac) !== 0, register.kind === 1, name);
  }
  for (const name of ["ERDPT", "EWRPT", "ETXST", "ETXND", "ERXST", "ERXND", "ERXRDPT", "MAMXFL", "MIWR", "MIRD"] as const) {
    t.is(map[registers[name] & 0x7f]!.name, `${name}L`);
  }
  for (const name of [
    "EIE", "EIR", "ESTAT", "ECON1", "ECON2", "EHT0", "ERXFCON", "EPKTCNT", "MACON1", "MACON3", "MACON4", "MABBIPG", "MAIPGL",
    "MAIPGH", "MACLCON2", "MICMD", "MIREGADR", "MAADR1", "MAADR2", "MAADR3", "MAADR4", "MAADR5", "MAADR6", "MISTAT", "EREVID",
  ] as const) {
    t.is(map[registers[name] & 0x7f]!.name, name);
  }
});

test.serial("joined groups are received and no others, by the hash table", (t) => {
  const board = new Board(t);
  const group = [1, 0, 0x5e, 0, 0, 0xfb];
  const other = [1, 0, 0x5e, 0, 0, 0xfc];
  t.deepEqual([board.hear(frameTo(group, 60, TYPE)), board.hear(frameTo(BROADCAST, 60, TYPE))], [0, 1]);
  const node = new DevMcAddr();
  node.hi = 0x0100;
  node.lo = 0x5e0000fb;
  devMcAdd(board.dev, node);
  t.deepEqual([board.hear(frameTo(group, 60, TYPE)), board.hear(frameTo(other, 60, TYPE))], [1, 0]);
  devMcDel(board.dev, node);
  t.is(board.hear(frameTo(group, 60, TYPE)), 0);
});

test.serial("promiscuous mode hears everybody, and a new address is listened to", (t) => {
  const board = new Board(t);
  const other = [2, 0, 0, 0, 0, 0x77];
  t.is(board.hear(frameTo(other, 60, TYPE)), 0);
  devSetPromiscuity(board.dev, 1);
  t.is(board.hear(frameTo(other, 60, TYPE)), 1);
  devSetPromiscuity(board.dev, -1);
  t.is(devSetMacAddress(board.dev, 0x0200, 0x77), 0);
  t.deepEqual([board.hear(frameTo(other, 60, TYPE)), board.hear(frameTo(OURS, 60, TYPE))], [1, 0]);
});

test.serial("the carrier follows the link", (t) => {
  const board = new Board(t);
  board.sim.chip.phy.setLink(false);
  board.clock.runFor(500);
  t.false(board.dev.carrier);
  board.sim.chip.phy.setLink(true);
  board.clock.runFor(500);
  t.true(board.dev.carrier);
  t.is(board.dev.encStats.linkChanges, 3);
});

test.serial("a device that was closed is silent and can be opened again", (t) => {
  const board = new Board(t);
  devClose(board.dev);
  t.is(board.hear(frameTo(OURS, 60, TYPE)), 0);
  const { bytes } = board.sim.counters;
  board.clock.runFor(5000);
  t.is(board.sim.counters.bytes, bytes);
  t.is(devOpen(board.dev), 0);
  board.clock.runFor(20);
  t.is(board.hear(frameTo(OURS, 60, TYPE)), 1);
});

test.serial("without packet buffers frames are skipped and counted, and the next are right", (t) => {
  const board = new Board(t);
  const held = [];
  for (let skb = netdevAllocSkb(board.dev, 60); skb !== null; skb = netdevAllocSkb(board.dev, 60)) held.push(skb);
  t.is(board.hear(frameTo(OURS, 700, TYPE)), 0);
  t.is(board.dev.encStats.rxNoBuffer, 1);
  for (const skb of held) {
    skbPutData(skb, frameTo(OURS, 60, TYPE));
    devQueueXmit(skb);
  }
  board.clock.runFor(500);
  board.sent.length = 0;
  exchange(t, board, [60, 1514]);
});

test.serial("the statistics have the names of their causes", (t) => {
  const board = new Board(t);
  t.regex(board.dev.ethtoolStats(), /^rxOverflows: 0\nrxBadHeaders: 0\n[\s\S]*inits: 1\nlinkChanges: 1\n$/);
});

// --- Options

function sim(): Enc28j60Simulator {
  const clock = new VirtualClock();
  boot({ preset: "small", hal: clock });
  return new Enc28j60Simulator(clock);
}

for (const [what, change, message] of [
  ["no spi", { spi: undefined }, /option spi is missing/],
  ["no SPI class", { spi: { in: 1 } }, /option spi\.io is missing/],
  ["hz of 0", { spi: { hz: 0 } }, /option spi\.hz is 0; it must be a whole number from 1 to 20000000/],
  ["hz of 40 MHz", { spi: { hz: 40_000_000 } }, /option spi\.hz is 40000000/],
  ["hz that is text", { spi: { hz: "fast" } }, /option spi\.hz is fast/],
  ["no select", { spi: { select: undefined } }, /option spi\.select is missing/],
  ["transfers of 4 bytes", { spi: { maxTransfer: 4 } }, /option spi\.maxTransfer is 4; it must be a whole number from 16/],
  ["another duplex", { duplex: "both" }, /option duplex is both/],
  ["a group's address", { mac: "01:00:00:00:00:00" }, /mac is 01:00:00:00:00:00/],
  ["an interrupt without a pin", { interrupt: { io: function Digital() {} } }, /option interrupt\.pin is missing/],
  ["an interrupt without a class", { interrupt: { pin: 4 } }, /option interrupt\.io is missing/],
  ["a large MTU", { mtu: 9000 }, /option mtu is 9000/],
] as const) {
  test.serial(`refused: ${what}`, (t) => {
    const chip = sim();
    const good = encOptions(chip);
    const { spi, ...rest } = change as { spi?: object };
    const options = { ...good, ...rest, ..."spi" in change ? { spi: spi && ("in" in spi ? spi : { ...good.spi, ...spi }) } : {} };
    t.throws(() => new Enc28j60(options as never), { message });
    t.notThrows(() => new Enc28j60(good).close(), "nothing was left open");
  });
}

test.serial("a chip that is not there is said so, with what was read and where, and the bus is given back", (t) => {
  for (const [value, text] of [[0xff, "0xff"], [0x00, "0x00"]] as const) {
    const chip = sim();
    chip.faults.bus = value;
    t.throws(() => new Enc28j60(encOptions(chip)), { message: new RegExp(`EREVID read ${text} at spi\\.select pin 15, 20000000 Hz.*nobody answers`) });
    chip.faults.bus = null;
    t.notThrows(() => new Enc28j60(encOptions(chip)).close());
  }
});

test.serial("a pin that is taken is named", (t) => {
  const chip = sim();
  const line = new chip.Digital({ pin: 4, mode: 1 });
  t.throws(() => new Enc28j60(encOptions(chip)), { message: /option interrupt\.pin is 4: Digital: pin 4 is in use/ });
  line.close();
  const bus = new chip.SPI({ in: 1, clock: 3, hz: 1_000_000 });
  t.throws(() => new Enc28j60(encOptions(chip)), { message: /SPI on pins .*"select":15.*in use/ });
  bus.close();
});

test.serial("the reset pin is pulled, and without a MAC address one is made up", (t) => {
  const chip = sim();
  const dev = new Enc28j60({ spi: encOptions(chip).spi, reset: { io: chip.Digital as never, pin: 5 } });
  t.is(dev.addrHi & 0x300, 0x200);
  t.is(dev.name, "eth%d");
  dev.close();
});
