/** The real XS engine's own count: nothing is allocated for a packet, and the budget is what the heap really takes. */
import test from "ava";
import { budget, SLOT_BYTES } from "../../src/budget.ts";
import type { Preset } from "../../src/config.ts";
import { serviceBudget } from "../../src/service-budget.ts";
import baseline from "../bench/xs-baseline.json" with { type: "json" };
import { MEASURED_BOARD, MEASURED_PACKETS, NONSENSE_PATH, SERVICE_PACKETS, XsBoard } from "./measure.ts";
import { PART_PATHS, PATHS, SERVICE_PATHS } from "./path-names.ts";

/** Compute units may grow by this much over the baseline before the test wants to know. */
const BASELINE_TOLERANCE = 1.1;
/** Packets that the paths of parts are measured over. */
const PART_PACKETS = 2_000;
/** Sockets for all services at once. */
const ROOMY = Object.freeze({ preset: "default", socks: 20, files: 20, packetSocks: 4 } as const);
/** What the paths are meant to cost at most (issue 2); the baseline holds the others. */
const LIMIT: Readonly<Record<string, number>> = { arp: 3_000, ping: 3_000, "tcp-receive": 9_000 };

for (const path of [...PATHS, ...SERVICE_PATHS]) {
  const service = SERVICE_PATHS.includes(path);
  const packets = service ? SERVICE_PACKETS : MEASURED_PACKETS;
  test.serial(`${path}: no heap slot for each of ${packets} packets, and no more compute than the baseline`, async (t) => {
    const board = await XsBoard.start();
    t.teardown(() => board.close());
    await board.boot(MEASURED_BOARD, service);
    await board.attach();
    const cost = await board.measure(path, packets);
    t.log(`${cost.computePerPacket} compute units`);
    t.is(cost.slotsPerPacket, 0);
    const known = (baseline as Record<string, number>)[path]!;
    t.true(cost.computePerPacket <= known * BASELINE_TOLERANCE, `${cost.computePerPacket} units, baseline ${known}`);
    t.true(cost.computePerPacket > 0);
    const limit = LIMIT[path];
    if (limit !== undefined) t.true(cost.computePerPacket <= limit, `${cost.computePerPacket} units, limit ${limit}`);
  });
}

for (const path of [...PART_PATHS, NONSENSE_PATH]) {
  test.serial(`${path}: no heap slot for each packet`, async (t) => {
    const board = await XsBoard.start();
    t.teardown(() => board.close());
    await board.boot(MEASURED_BOARD, true);
    await board.attach();
    const cost = await board.measure(path, PART_PACKETS);
    t.log(`${cost.computePerPacket} compute units`);
    t.is(cost.slotsPerPacket, 0);
  });
}

for (const preset of ["tiny", "small", "default"] satisfies Preset[]) {
  test.serial(`budget of ${preset}: within 10 % of the heap boot really takes`, async (t) => {
    const board = await XsBoard.start(true);
    t.teardown(() => board.close());
    const before = await board.slotsInUse();
    const { reply } = await board.boot({ preset });
    const slots = (await board.slotsInUse()) - before;
    const { bufferBytes } = JSON.parse(reply.toString()) as { bufferBytes: number };
    const took = slots * SLOT_BYTES + bufferBytes;
    const said = budget({ preset });
    t.log(`the budget says ${said.total} bytes (${said.slots} slots), the heap took ${took} (${slots} slots)`);
    t.true(Math.abs(said.total - took) <= took * 0.1);
    t.true(Math.abs(said.slots - slots) <= slots * 0.1);
  });
}

test.serial("budget of the services: within 10 % of the heap that they really take", async (t) => {
  const board = await XsBoard.start(true);
  t.teardown(() => board.close());
  const bytesOf = ({ reply }: { reply: Buffer }): number => (JSON.parse(reply.toString()) as { bufferBytes: number }).bufferBytes;
  await board.boot(ROOMY, true);
  const before = await board.slotsInUse();
  const started = bytesOf(await board.startServices());
  const slots = (await board.slotsInUse()) - before;
  const took = slots * SLOT_BYTES + started;
  const said = serviceBudget(ROOMY);
  const total = said.pools.reduce((sum, { bytes }) => sum + bytes, 0);
  t.log(`the budget says ${total} bytes (${said.slots} slots), the heap took ${took} (${slots} slots)`);
  t.true(Math.abs(total - took) <= took * 0.1);
  t.true(Math.abs(said.slots - slots) <= slots * 0.1);
});
