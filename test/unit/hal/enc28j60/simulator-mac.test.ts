/** The simulated chip's MAC: what it stores and where, what it filters, what it sends, and its interrupt pin. */
import test from "ava";
import { hashIndex } from "../../../../hal/enc28j60/simulator/crc.ts";
import { STANDING_ERRATA } from "../../../../hal/enc28j60/simulator/index.ts";
import { Bench, BROADCAST, frameTo, OURS } from "./bus.ts";

const MULTICAST = [0x01, 0, 0x5e, 0, 0, 1];

test("vectors: next-packet pointer and the ERXRDPT that follows from it", (t) => {
  const bench = new Bench();
  bench.start();
  const { rx } = bench.sim.chip;
  for (const [at, count, next] of [[0, 64, 0x46], [0, 65, 0x48], [0x19e0, 64, 0x26], [0x19ba, 64, 0]] as const) {
    t.is(rx.nextPacket(at, count), next);
  }
  t.is(rx.free(), 6654, "room after the start");
});

test("vectors: status of a unicast, a multicast and a broadcast frame, and the frame with its FCS behind it", (t) => {
  const bench = new Bench();
  bench.start(OURS, 0xa3);
  let at = 0;
  for (const [to, status] of [[OURS, [0x40, 0, 0xc0, 0]], [MULTICAST, [0x40, 0, 0xc0, 1]], [BROADCAST, [0x40, 0, 0xc0, 2]]] as const) {
    const frame = frameTo(to, 60);
    bench.hear(frame);
    const stored = bench.readMemory(at, 70);
    at += 70;
    t.deepEqual([...stored.subarray(0, 2)], [at & 255, at >> 8]);
    t.deepEqual([...stored.subarray(2, 6)], [...status]);
    t.deepEqual(stored.subarray(6, 66), frame);
  }
  t.is(bench.read("EPKTCNT"), 3);
});

test("packets go round the FIFO, and each begins at an even address", (t) => {
  const bench = new Bench();
  bench.start();
  let at = 0;
  for (let i = 0; i < 40; i++) {
    const length = 600 + i;
    bench.hear(frameTo(OURS, length));
    const header = bench.readMemory(at, 6 + length);
    const next = header[0]! | (header[1]! << 8);
    t.is(next % 2, 0);
    t.deepEqual(header.subarray(6), frameTo(OURS, length));
    at = next;
    bench.write16("ERXRDPT", at === 0 ? 0x19ff : at - 1);
    bench.set("ECON2", 0x40);
    t.is(bench.read("EPKTCNT"), 0);
  }
});

test("a full FIFO loses what comes, keeps what it has, says so, and receives again when there is room", (t) => {
  const bench = new Bench();
  bench.start();
  for (let i = 0; i < 6; i++) bench.hear(frameTo(OURS, 1514));
  t.is(bench.read("EPKTCNT"), 4);
  t.is(bench.read("EIR") & 1, 1);
  t.is(bench.read("ESTAT") & 0x40, 0x40);
  t.deepEqual(bench.readMemory(6, 1514), frameTo(OURS, 1514));
  bench.write16("ERXRDPT", 1524 - 1);
  bench.set("ECON2", 0x40);
  bench.hear(frameTo(OURS, 1514));
  t.is(bench.read("EPKTCNT"), 4);
});

test("a frame is lost that ran into the read pointer before that moved on", (t) => {
  const bench = new Bench();
  bench.start();
  for (let i = 0; i < 4; i++) bench.hear(frameTo(OURS, 1514));
  bench.sim.chip.rx.receive(frameTo(OURS, 1514));
  bench.wait(1);
  bench.write16("ERXRDPT", 1524 - 1);
  bench.wait(2);
  t.is(bench.read("EPKTCNT"), 4);
});

test("at 255 packets no more are taken", (t) => {
  const bench = new Bench();
  bench.start();
  for (let i = 0; i < 260; i++) {
    bench.hear(frameTo(OURS, 60));
    bench.write16("ERXRDPT", ((i * 70) % 0x1a00) + 1);
  }
  t.is(bench.read("EPKTCNT"), 255);
  t.is(bench.read("EIR") & 1, 1);
});

test("PKTDEC counts down to 0 and clears itself", (t) => {
  const bench = new Bench();
  bench.start();
  bench.hear(frameTo(OURS, 60));
  bench.set("ECON2", 0x40);
  bench.set("ECON2", 0x40);
  t.is(bench.read("EPKTCNT"), 0);
  t.is(bench.read("ECON2"), 0x80);
});

test("too short and too long frames are rejected, and frames with a bad FCS where CRCEN is set", (t) => {
  const bench = new Bench();
  bench.start();
  const heard = (frame: Uint8Array, fcs = false): number => {
    bench.sim.chip.rx.receive(frame, fcs);
    bench.wait(3);
    return bench.read("EPKTCNT");
  };
  t.is(heard(frameTo(OURS, 14).subarray(0, 13)), 0);
  t.is(heard(frameTo(OURS, 1515)), 0);
  t.is(heard(frameTo(OURS, 64), true), 0);
  t.is(heard(frameTo(OURS, 14)), 1);
  t.is(heard(frameTo(OURS, 1514)), 2);
  const open = new Bench();
  open.start(OURS, 0);
  open.sim.chip.rx.receive(frameTo(OURS, 64), true);
  open.wait(1);
  t.is(open.readMemory(4, 1)[0]! & 0x10, 0x10, "the CRC error bit");
});

test("filters: unicast, broadcast, multicast, hash, promiscuous, and all of them at once", (t) => {
  const accepted = (filter: number, to: readonly number[], hash: number[] = []): boolean => {
    const bench = new Bench();
    bench.exchange(0xff);
    bench.wait(2);
    hash.forEach((value, i) => bench.write(`EHT${i}`, value));
    bench.write("ERXFCON", filter);
    OURS.forEach((byte, i) => bench.write(`MAADR${i + 1}`, byte));
    return bench.sim.chip.rx.accepts(frameTo(to, 64), true);
  };
  const OTHER = [2, 0, 0, 0, 0, 7];
  t.deepEqual([OURS, OTHER, BROADCAST, MULTICAST].map((to) => accepted(0xa1, to)), [true, false, true, false]);
  t.deepEqual([OURS, OTHER, BROADCAST, MULTICAST].map((to) => accepted(0xa3, to)), [true, false, true, true]);
  t.deepEqual([OURS, OTHER, BROADCAST, MULTICAST].map((to) => accepted(0x20, to)), [true, true, true, true]);
  // 01:00:5e:00:00:01 has the hash 63.
  t.true(accepted(0xa5, MULTICAST, [0, 0, 0, 0, 0, 0, 0, 0x80]));
  t.false(accepted(0xa5, MULTICAST, [0, 0, 0, 0, 0, 0, 0, 0x40]));
  t.deepEqual([accepted(0xe1, OURS), accepted(0xe1, BROADCAST), accepted(0xc0, OURS)], [false, false, true], "all at once");
});

test("vectors: the hash of group addresses", (t) => {
  for (const [address, index] of [
    ["01005e000001", 63], ["01005e0000fb", 62], ["01005e0000fc", 53], ["01005e7ffffa", 28], ["333300000001", 51],
    ["3333000000fb", 50], ["3333ff123456", 23], ["0180c200000e", 14], ["ffffffffffff", 62],
  ] as const) {
    t.is(hashIndex(Buffer.from(address, "hex")), index, address);
  }
});

test("vectors: the pattern filter's checksum", (t) => {
  const bench = new Bench();
  const frame = new Uint8Array(64);
  frame.set([0x00, 0x04, 0xa3, 0xff, 0xff, 0xff], 6);
  bench.write("EPMM0", 0xc0);
  bench.write("EPMM1", 0x0f);
  t.is(bench.sim.chip.rx.patternChecksum(frame), 0x5bfc);
  bench.write("EPMM0", 0x3f);
  bench.write("EPMM1", 0x30);
  const arp = frameTo(BROADCAST, 64, 0x0806);
  t.is(bench.sim.chip.rx.patternChecksum(arp), 0xf7f9);
});

test("a frame is padded to 60 bytes, sent at 10 Mbit/s, and its status is behind it", (t) => {
  const bench = new Bench();
  bench.start();
  const { status, flags } = bench.send(frameTo(BROADCAST, 42));
  t.is(bench.sent.length, 1);
  t.is(bench.sent[0]!.length, 60);
  t.deepEqual(bench.sent[0]!.subarray(0, 42), frameTo(BROADCAST, 42));
  t.true(bench.sent[0]!.subarray(42).every((byte) => byte === 0));
  t.deepEqual([...status], [64, 0, 0xc0, 2, 64, 0, 0]);
  t.is(flags & 0x0a, 8);
  t.is(bench.read("ECON1") & 8, 0);
  bench.writeMemory(0x1a01, frameTo(OURS, 1514));
  bench.write16("ETXND", 0x1a00 + 1514);
  bench.set("ECON1", 8);
  bench.wait(1.2);
  t.is(bench.read("ECON1") & 8, 8);
  bench.wait(0.04);
  t.is(bench.read("ECON1") & 8, 0);
});

test("what is longer than MAMXFL is aborted, unless the control byte allows it", (t) => {
  const bench = new Bench();
  bench.start([...OURS], 0xa1, 0x13ff);
  const { status, flags } = bench.send(frameTo(OURS, 1515));
  t.is(flags & 0x0a, 0x0a);
  t.is(status[3]! & 0x40, 0x40);
  t.is(bench.read("ESTAT") & 2, 2);
  t.is(bench.sent.length, 0);
});

test("scripted collisions, late collisions and deferral end as the status says; LATECOL stays 0 (erratum 15)", (t) => {
  const bench = new Bench({ errata: STANDING_ERRATA.filter((number) => number !== 12) });
  bench.start();
  const { script } = bench.sim.chip.tx;
  script.push({ collisions: 3 }, { collisions: 16 }, { late: true }, { deferred: true });
  const results = [0, 1, 2, 3].map(() => bench.send(frameTo(OURS, 60), 10));
  t.deepEqual(results.map(({ flags }) => flags & 2), [0, 2, 2, 2]);
  t.deepEqual(results.map(({ status }) => [status[2]! & 15, status[3]! & 0x38]), [[3, 0], [15, 0x10], [0, 0x20], [0, 8]]);
  t.is(bench.read("ESTAT") & 0x12, 2);
  t.is(bench.sent.length, 1);
  const other = new Bench({ errata: [] });
  other.start();
  other.sim.chip.tx.script.push({ late: true });
  other.send(frameTo(OURS, 60));
  t.is(other.read("ESTAT") & 0x12, 0x12);
});

test("after an abort nothing is sent until TXRST (erratum 12)", (t) => {
  const bench = new Bench();
  bench.start();
  bench.sim.chip.tx.script.push({ late: true });
  bench.send(frameTo(OURS, 60));
  bench.set("ECON1", 8);
  bench.wait(100);
  t.is(bench.read("ECON1") & 8, 8);
  t.is(bench.sent.length, 0);
  bench.set("ECON1", 0x80);
  bench.clear("ECON1", 0x80);
  t.is(bench.read("EIR") & 2, 2, "the reset raises the error by itself");
  bench.send(frameTo(OURS, 60));
  t.is(bench.sent.length, 1);
});

test("a spurious late collision leaves TXRTS set (erratum 13)", (t) => {
  const bench = new Bench();
  bench.start();
  bench.sim.chip.tx.script.push({ spurious: true });
  const { status, flags } = bench.send(frameTo(OURS, 60));
  t.is(flags & 0x0a, 0x0a);
  t.is(status[3]! & 0x20, 0x20);
  t.is(bench.read("ECON1") & 8, 8);
});

test("in half duplex the chip hears itself, unless HDLDIS is set", (t) => {
  const bench = new Bench();
  bench.start();
  bench.clear("ECON1", 4);
  bench.write("MACON3", 0x32);
  bench.phyWrite(0x00, 0);
  bench.set("ECON1", 4);
  bench.send(frameTo(BROADCAST, 60));
  t.is(bench.read("EPKTCNT"), 0);
  bench.phyWrite(0x10, 0);
  bench.send(frameTo(BROADCAST, 60));
  t.is(bench.read("EPKTCNT"), 1);
});

test("a pause frame delays what is sent where RXPAUS is set", (t) => {
  const bench = new Bench();
  bench.start();
  bench.write("MACON1", 0x0d);
  const pause = new Uint8Array(60);
  pause.set([0x01, 0x80, 0xc2, 0, 0, 1, 2, 0, 0, 0, 0, 9, 0x88, 0x08, 0, 1, 0, 100]);
  bench.hear(pause);
  t.is(bench.read("EPKTCNT"), 0);
  const { flags } = bench.send(frameTo(OURS, 60), 1);
  t.is(flags & 8, 0);
  bench.wait(10);
  t.is(bench.sent.length, 1);
});

test("INT is low while an enabled flag is set, edges come from the event loop, and edges can get lost", (t) => {
  const bench = new Bench();
  bench.start();
  let edges = 0;
  const pin = new bench.sim.Digital({ pin: 4, mode: bench.sim.Digital.InputPullUp, edge: bench.sim.Digital.Falling, onReadable: () => edges++ });
  bench.write("EIE", 0xc0);
  bench.sim.chip.rx.receive(frameTo(OURS, 60));
  bench.wait(0.01);
  t.is(bench.read("ESTAT") & 4, 4, "RXBUSY while it arrives");
  bench.wait(1);
  t.deepEqual([pin.read(), edges], [0, 1]);
  t.is(bench.read("ESTAT") & 0x80, 0x80);
  bench.clear("EIE", 0x80);
  t.is(pin.read(), 1);
  bench.set("EIE", 0x80);
  bench.wait(0);
  t.deepEqual([pin.read(), edges], [0, 2]);
  bench.set("ECON2", 0x40);
  t.is(pin.read(), 1);
  bench.sim.faults.loseEdges = 1;
  bench.hear(frameTo(OURS, 60));
  t.deepEqual([pin.read(), edges], [0, 2]);
  bench.sim.faults.interruptStuck = 1;
  t.is(pin.read(), 1);
  const floating = new bench.sim.Digital({ pin: 9, mode: bench.sim.Digital.Input });
  t.is(floating.read(), 1);
  t.throws(() => new bench.sim.Digital({ pin: 4, mode: 0 }), { message: /in use/ });
});

test("PKTIF reads 0 now and then (erratum 6), while INT is right", (t) => {
  const bench = new Bench();
  bench.start();
  bench.write("EIE", 0xc0);
  bench.hear(frameTo(OURS, 60));
  const reads = Array.from({ length: 50 }, () => bench.read("EIR") & 0x40);
  t.true(reads.includes(0) && reads.includes(0x40));
  t.is(bench.sim.chip.pin(), 0);
});

test("an FIFO that does not begin at 0 writes at 0 all the same (erratum 5)", (t) => {
  for (const [errata, expected] of [[STANDING_ERRATA, 0], [[], 0x400]] as const) {
    const bench = new Bench({ errata });
    bench.write16("ERXST", 0x400);
    t.is(bench.read16("ERXWRPT"), expected);
  }
});

test("an even ERXRDPT spoils the FIFO (erratum 14)", (t) => {
  const bench = new Bench({ strict: false });
  bench.start();
  bench.hear(frameTo(OURS, 60));
  const [before] = bench.readMemory(0x46, 1);
  bench.write16("ERXRDPT", 0x46);
  t.not(bench.readMemory(0x46, 1)[0], before);
});

test("the duplex bit after a reset of the PHY is anything (erratum 16)", (t) => {
  const bench = new Bench();
  const modes = Array.from({ length: 20 }, () => {
    bench.phyWrite(0, 0x8000);
    return bench.phyRead(0) & 0x0100;
  });
  t.true(modes.includes(0) && modes.includes(0x0100));
});

test("one bit of a header can be flipped", (t) => {
  const bench = new Bench();
  bench.start();
  bench.sim.faults.flipHeaderBit = 9;
  bench.hear(frameTo(OURS, 60));
  t.is(bench.readMemory(0, 2)[1], 2);
});
