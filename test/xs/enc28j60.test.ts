/** The ENC28J60 driver inside the real XS engine, over the least of a chip: it works, and allocates nothing for a frame. */
import test from "ava";
import { CHIP_BYTES } from "./enc-chip.ts";
import { MEASURED_PACKETS, type PathCost, XsBoard } from "./measure.ts";

/** User memory of the paths' buffer and of the chip. */
const BOARD = { preset: "default", userMemory: 4096 + CHIP_BYTES } as const;
/** Small frames both ways, full frames in, full frames out; a connection's beginning and end. */
const PATHS = ["ping", "udp-echo", "tcp-receive", "tcp-send", "tcp-connect"];

async function measure(path: string, chip: boolean): Promise<PathCost> {
  const board = await XsBoard.start();
  await board.boot(BOARD);
  await board.attach(chip);
  const cost = await board.measure(path, MEASURED_PACKETS / 10);
  await board.close();
  return cost;
}

for (const path of PATHS) {
  test.serial(`${path} over an ENC28J60: no heap slot for a frame received or sent`, async (t) => {
    const over = await measure(path, true);
    const without = await measure(path, false);
    t.is(over.slotsPerPacket, 0);
    t.true(over.computePerPacket > without.computePerPacket);
    t.log(`${over.computePerPacket} compute units, ${over.computePerPacket - without.computePerPacket} of them the driver's and the chip's`);
  });
}
