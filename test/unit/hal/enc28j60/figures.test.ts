/** What the driver costs on the bus, as `bench spi` counts it, and what it gets through at 20 MHz. */
import test from "ava";
import { Prng } from "../../../../hal/mock/impair.ts";
import { frameOf, measureSpi, SpiBoard } from "../../../bench/spi.ts";

const FULL = 1514;
/** Full frames that 10 Mbit/s carries in a second: 1538 bytes each on the wire. */
const WIRE_FPS = 812;

test("SPI bytes and periods of chip select for each frame and each idle poll", (t) => {
  for (const { case: name, frameBytes, spiBytes, selects } of measureSpi().cases) {
    const extra = spiBytes - frameBytes;
    const label = `${name} ${frameBytes}: ${extra} bytes more, ${selects} selects`;
    t.log(label);
    if (name === "receive-one") t.true(extra <= 17 && selects <= 4, label);
    else if (name === "receive-batch-8") t.true(extra <= 14 && selects <= 2.6, label);
    else if (name === "transmit") t.true(extra <= 13 && selects <= 7, label);
    else if (name === "idle-int") t.deepEqual([spiBytes, selects], [0, 0]);
    else t.deepEqual([spiBytes, selects], [2, 1], label);
  }
});

/** Frames of all kinds of lengths, each sent when the one before has left. */
function sendEach(board: SpiBoard, check: (extra: number, selects: number, length: number) => void): void {
  const random = new Prng(28060);
  board.count(() => board.send(60));
  for (let i = 0; i < 100; i++) {
    const length = i % 3 === 0 ? 60 : 60 + random.below(FULL - 59);
    const { bytes, selects } = board.count(() => board.send(length));
    // The slow look at the chip is not the frame's.
    if (board.sim.counters.instructions["RCR"]! <= 2) check(bytes - length, selects, length);
  }
}

test("a frame of any length behind one of any other takes N + 13 bytes and 7 selects at most", (t) => {
  sendEach(new SpiBoard(), (extra, selects, length) => t.true(extra <= 13 && selects <= 7, `${length}: ${extra}, ${selects}`));
});

test("in half duplex, where sending can fail, one question more", (t) => {
  const board = new SpiBoard({ duplex: "half" });
  sendEach(board, (extra, selects, length) => t.true(extra <= 15 && selects <= 8, `${length}: ${extra}, ${selects}`));
});

for (const callMs of [0, 0.005]) {
  test(`receives ${WIRE_FPS} full frames a second without loss at ${callMs * 1000} µs for each call`, (t) => {
    const board = new SpiBoard({ sim: { callMs, lineFrames: WIRE_FPS } });
    for (let i = 0; i < WIRE_FPS; i++) board.sim.receive(frameOf(FULL));
    board.clock.runFor(1000);
    t.is(board.dev.stats.rxPackets, WIRE_FPS);
    t.is(board.dev.encStats.rxOverflows, 0);
  });
}

/** Full frames on the wire in the second after the queue was filled. */
function sendForASecond(callMs: number): { frames: number; board: SpiBoard } {
  const board = new SpiBoard({ sim: { callMs } });
  let frames = 0;
  board.sim.chip.tx.output = () => frames++;
  board.clock.addStep(() => {
    if (board.dev.queueStopped) return false;
    board.send(FULL);
    return true;
  });
  board.clock.runFor(1000);
  return { frames, board };
}

test(`sends ${WIRE_FPS} full frames a second at no cost for each call`, (t) => {
  const { frames, board } = sendForASecond(0);
  t.true(frames >= WIRE_FPS, `${frames}`);
  t.is(board.dev.stats.txErrors + board.dev.stats.txDropped, 0);
});

test("at 5 µs for each call sending loses only the calls between one frame and the next", (t) => {
  // Not before one frame has left may the chip be told of the next, which takes four instructions of some 10 µs: whether it
  // has left, a byte of ETXST, one of ETXND, TXRTS. The gap between frames hides 9.6 µs of that.
  const { frames, board } = sendForASecond(0.005);
  t.log(`${frames} frames`);
  t.true(frames >= 794, `${frames}`);
  t.is(board.dev.stats.txErrors + board.dev.stats.txDropped, 0);
});
