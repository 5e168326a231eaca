/** The simulated chip's front: instructions, registers, banks, buffer memory, PHY, resets, and what counts as misuse. */
import test from "ava";
import { Bench } from "./bus.ts";

test("registers hold their reset values, and all that can be written keeps what its mask says", (t) => {
  const bench = new Bench();
  const { chip } = bench.sim;
  for (const [name, value] of [["ERDPT", 0x05fa], ["ERXND", 0x1fff], ["ERXRDPT", 0x05fa], ["EPAUS", 0x1000], ["MAMXFL", 0x0600]] as const) {
    t.is(bench.read16(name), value, name);
  }
  for (const [name, value] of [["ERXFCON", 0xa1], ["MACLCON1", 0x0f], ["MACLCON2", 0x37], ["ECOCON", 4], ["EREVID", 6], ["ECON2", 0x80]] as const) {
    t.is(bench.read(name), value, name);
  }
  chip.map.forEach((register, index) => {
    const { name, mask } = register;
    if (mask === 0 || /^(E?CON|ECON|MICMD|MIWR|EIR|ESTAT|ERXRDPT|ECON2)/.test(name)) return;
    bench.write(name, 0xff);
    t.is(chip.regs[index], mask, name);
  });
});

test("a bank is selected by ECON1, and 1B to 1F are in all of them", (t) => {
  const bench = new Bench();
  bench.write("EIE", 0x91);
  for (const bank of [0, 1, 2, 3]) {
    bench.exchange(0xbf, 3);
    bench.exchange(0x9f, bank);
    t.is(bench.exchange(0x1b, 0)[1], 0x91);
    t.is(bench.exchange(0x1f, 0)[1], bank);
  }
});

test("MAC and MII registers answer behind a dummy byte, ETH registers repeat", (t) => {
  const bench = new Bench();
  bench.write("MACON1", 0x0d);
  bench.write("MAADR1", 0x5a);
  bench.write("ERXFCON", 0xa3);
  t.deepEqual([...bench.exchange(0x18, 0, 0, 0)].slice(1), [0xa3, 0xa3, 0xa3], "ERXFCON again and again");
  bench.read("MACON1");
  t.deepEqual([...bench.exchange(0x00, 0x77, 0)].slice(1), [0, 0x0d]);
  bench.read("MAADR1");
  t.deepEqual([...bench.exchange(0x04, 0x77, 0)].slice(1), [0, 0x5a]);
  t.is(bench.read("EREVID"), 6, "an ETH register of bank 3");
});

test("a byte that is not complete when chip select rises counts for nothing", (t) => {
  const bench = new Bench();
  bench.write("ERXFCON", 0xa1);
  const short = Object.assign(Uint8Array.of(0x58, 0xff), { bitLength: 15 });
  bench.spi.write(short);
  bench.spi.flush(true);
  t.is(bench.read("ERXFCON"), 0xa1);
});

test("reading wraps at the end of the FIFO, writing at the end of the RAM, and AUTOINC can be off", (t) => {
  const bench = new Bench();
  bench.write16("ERXST", 0);
  bench.write16("ERXND", 0x19ff);
  bench.writeMemory(0x19fe, [1, 2, 3]);
  bench.writeMemory(0x0000, [9, 8]);
  t.deepEqual([...bench.readMemory(0x19fe, 4)], [1, 2, 9, 8]);
  t.is(bench.read16("ERDPT"), 2);
  bench.writeMemory(0x1fff, [5, 6]);
  t.deepEqual([...bench.readMemory(0x1fff, 2)], [5, 6]);
  t.deepEqual([...bench.readMemory(0x0000, 1)], [6]);
  bench.write("ECON2", 0);
  bench.writeMemory(0x100, [1, 2, 3]);
  t.deepEqual([...bench.readMemory(0x100, 3)], [3, 3, 3]);
});

test("counters tell bytes, periods of chip select and instructions", (t) => {
  const bench = new Bench();
  bench.sim.counters.reset();
  bench.exchange(0x1f, 0);
  bench.exchange(0x7a, 1, 2, 3);
  const { bytes, selects, calls, instructions } = bench.sim.counters;
  t.deepEqual([bytes, selects, calls], [6, 2, 4]);
  t.is(instructions["RCR"], 1);
  t.is(instructions["WBM"], 1);
});

test("time passes for each byte and each call", (t) => {
  const bench = new Bench({ callMs: 0.005 });
  const before = bench.sim.chip.now();
  bench.exchange(0x1f, 0);
  t.true(Math.abs(bench.sim.chip.now() - before - (2 * 0.0004 + 2 * 0.005)) < 1e-9);
});

test("PHY registers are reached by MII, which takes 10.24 µs", (t) => {
  const bench = new Bench();
  t.deepEqual([bench.phyRead(2), bench.phyRead(3)], [0x0083, 0x1400]);
  t.is(bench.phyRead(0x14), 0x3422);
  bench.phyWrite(0x14, 0x3476);
  t.is(bench.phyRead(0x14), 0x3476);
  bench.write("MIREGADR", 2);
  bench.write("MICMD", 1);
  t.is(bench.read("MISTAT") & 1, 1);
  bench.wait(0.011);
  t.is(bench.read("MISTAT") & 1, 0);
});

test("PHSTAT2 tells the link, PHSTAT1 remembers that it was lost, PHIR raises LINKIF once", (t) => {
  const bench = new Bench();
  bench.phyWrite(0x12, 0x0012);
  t.is(bench.phyRead(0x11) & 0x0400, 0x0400);
  bench.sim.chip.phy.setLink(false);
  t.is(bench.read("EIR") & 0x10, 0x10);
  t.is(bench.phyRead(0x13) & 0x10, 0x10);
  t.is(bench.read("EIR") & 0x10, 0);
  bench.sim.chip.phy.setLink(true);
  t.is(bench.phyRead(1) & 4, 0);
  t.is(bench.phyRead(1) & 4, 4);
});

test("MII scan keeps MIRD fresh until it is stopped", (t) => {
  const bench = new Bench();
  bench.write("MIREGADR", 0x11);
  bench.write("MICMD", 2);
  t.is(bench.read("MISTAT") & 4, 4, "not valid yet");
  bench.wait(0.02);
  t.is(bench.read("MIRDH") & 4, 4);
  bench.sim.chip.phy.setLink(false);
  t.is(bench.read("MIRDH") & 4, 0);
  bench.write("MICMD", 0);
  bench.sim.chip.phy.setLink(true);
  t.is(bench.read("MIRDH") & 4, 0);
});

test("SRC resets all but ECOCON and the RAM; the clock looks ready at once (erratum 2)", (t) => {
  const bench = new Bench();
  bench.write("ECOCON", 1);
  bench.write("ERXFCON", 0);
  bench.writeMemory(0x1000, [1, 2, 3]);
  bench.exchange(0xff);
  t.is(bench.read("ESTAT") & 1, 1);
  t.deepEqual([bench.read("ECOCON"), bench.read("ERXFCON")], [1, 0xa1]);
  t.deepEqual([...bench.readMemory(0x1000, 3)], [1, 2, 3]);
  const other = new Bench({ errata: [] });
  other.exchange(0xff);
  t.is(other.read("ESTAT") & 1, 0);
  other.wait(0.3);
  t.is(other.read("ESTAT") & 1, 1);
});

test("SRC does nothing in power save (erratum 19), the RESET pin always does", (t) => {
  const bench = new Bench();
  bench.write("ERXFCON", 0);
  bench.set("ECON2", 0x20);
  bench.exchange(0xff);
  t.is(bench.read("ERXFCON"), 0);
  const reset = new bench.sim.Digital({ pin: 5, mode: bench.sim.Digital.Output });
  reset.write(0);
  t.is(bench.read("ERXFCON"), 0xa1);
});

for (const [what, run, message] of [
  ["bits of a MAC register", (bench: Bench) => bench.set("MACON1", 1), /MACON1, a MAC or MII register/],
  ["1A", (bench: Bench) => bench.exchange(0x1a, 0), /neither to be read nor written/],
  ["a write to a reserved register", (bench: Bench) => bench.exchange(0x58, 0), /write to bank 0 address 18/],
  ["a write to a read-only register", (bench: Bench) => bench.write("EPKTCNT", 1), /write to EPKTCNT/],
  ["an even ERXRDPT", (bench: Bench) => bench.write16("ERXRDPT", 0x100), /even address/],
  [
    "a MAC register within 1 ms of a reset", (bench: Bench) => {
      bench.exchange(0xff);
      bench.read("MACON1");
    }, /less than 1 ms/,
  ],
  [
    "a MAC register in power save", (bench: Bench) => {
      bench.set("ECON2", 0x20);
      bench.read("MACON1");
    }, /power save/,
  ],
  ["two instructions in one period", (bench: Bench) => bench.exchange(0x5b, 0, 0x5b, 1), /two instructions/],
  ["an instruction there is none of", (bench: Bench) => bench.exchange(0x20), /instruction 20/],
  [
    "MII while it is busy", (bench: Bench) => {
      bench.write("MICMD", 1);
      bench.write16("MIWR", 0);
    }, /MISTAT.BUSY/,
  ],
  [
    "the filter changed while receiving", (bench: Bench) => {
      bench.start();
      bench.write("ERXFCON", 0);
    }, /RXEN is set/,
  ],
  [
    "the FIFO moved while receiving", (bench: Bench) => {
      bench.start();
      bench.write16("ERXND", 0xfff);
    }, /ERXNDL changed/,
  ],
] as const) {
  test(`misuse fails: ${what}`, (t) => {
    t.throws(() => run(new Bench()), { message });
    const tolerant = new Bench({ strict: false });
    run(tolerant);
    t.is(tolerant.sim.chip.misuses.length > 0, true);
  });
}

test("a brown-out loses everything, and until the next reset nothing counts as misuse", (t) => {
  const bench = new Bench();
  bench.start();
  bench.sim.chip.brownOut();
  t.is(bench.read("ECON1") & 4, 0);
  bench.set("MACON1", 1);
  bench.exchange(0xff);
  bench.wait(2);
  t.throws(() => bench.set("MACON1", 1));
});

test("a dead bus reads the same whatever is asked", (t) => {
  const bench = new Bench();
  for (const value of [0xff, 0x00]) {
    bench.sim.faults.bus = value;
    t.deepEqual([bench.read("EREVID"), bench.read("ECON1"), bench.read("MACON1")], [value, value, value]);
  }
  bench.sim.faults.bus = null;
  t.is(bench.read("EREVID"), 6);
});

test("the SPI class refuses what the standard's does", (t) => {
  const bench = new Bench({ maxTransfer: 64 });
  const { SPI } = bench.sim;
  t.throws(() => new SPI({ in: 1, clock: 3, hz: 1_000_000 }), { message: /in use/ });
  bench.spi.close();
  t.throws(() => new SPI({ clock: 3, hz: 1_000_000 }), { instanceOf: TypeError });
  t.throws(() => new SPI({ in: 1, clock: 3, hz: 0.5 }), { instanceOf: RangeError });
  t.throws(() => new SPI({ in: 1, clock: 3, hz: 40_000_000 }), { message: /40000000 Hz/ });
  const spi = new SPI({ in: 1, clock: 3, hz: 8_000_000 });
  t.throws(() => spi.read(65), { message: /takes 64/ });
  t.throws(() => spi.write("x" as never), { instanceOf: TypeError });
  t.true(spi.read(2) instanceof ArrayBuffer);
  t.is(spi.read(new Uint8Array(3)), 3);
});

test("DMA copies, sums, and a checksum while a frame arrives costs the frame (erratum 17)", (t) => {
  const bench = new Bench();
  bench.start();
  bench.writeMemory(0x1b00, [0x89, 0xab, 0xcd]);
  bench.write16("EDMAST", 0x1b00);
  bench.write16("EDMAND", 0x1b02);
  bench.set("ECON1", 0x30);
  bench.wait(0.1);
  t.is(bench.read16("EDMACS"), 0xa953);
  t.is(bench.read("EIR") & 0x20, 0x20);
  bench.write16("EDMADST", 0x1c00);
  bench.clear("ECON1", 0x10);
  bench.set("ECON1", 0x20);
  bench.wait(0.1);
  t.deepEqual([...bench.readMemory(0x1c00, 3)], [0x89, 0xab, 0xcd]);
  bench.sim.chip.rx.receive(Uint8Array.from({ length: 500 }, (_, i) => [2, 0, 0, 0, 0, 1][i] ?? 0x88));
  bench.wait(0.1);
  bench.set("ECON1", 0x30);
  bench.wait(3);
  t.is(bench.read("EPKTCNT"), 0);
  t.is(bench.read("EIR") & 1, 1);
});
