/**
 * XS's stack on a board is a fixed number of slots (`creation.stack` of a manifest), and a program that needs one more stops. What
 * the stack of networks takes of it is bounded here, below what hal/manifest.json asks for; a sketch's and a driver's frames come on top.
 */
import { readFileSync } from "node:fs";
import test from "ava";
import { MEASURED_BOARD, NONSENSE_PATH, XsBoard } from "./measure.ts";
import { PART_PATHS, PATHS, SERVICE_PATHS } from "./path-names.ts";

/** Slots that are enough for everything here. */
const ENOUGH = 944;
/** Of a board's slots, those that are a sketch's and a driver's at least. */
const OTHERS = 64;
/** Packets of each path: the first finds no neighbour. */
const PACKETS = 40;
/** Sockets for all services at once. */
const ROOMY = Object.freeze({ preset: "default", socks: 20, files: 20, packetSocks: 4 } as const);

interface Manifest {
  readonly creation: { readonly stack: number };
}

/** A board that booted, and got its device, with so many slots. */
async function booted(): Promise<XsBoard> {
  const board = await XsBoard.start();
  await board.leaveStack(ENOUGH);
  await board.boot(ROOMY, true);
  await board.attach();
  return board;
}

test("a board's manifest asks for the stack that is enough here, and more", (t) => {
  for (const folder of ["hal", "hal/linux"]) {
    const { creation } = JSON.parse(readFileSync(new URL(`../../${folder}/manifest.json`, import.meta.url), "utf8")) as Manifest;
    t.true(creation.stack >= ENOUGH + OTHERS, folder);
  }
});

for (const [what, paths] of Object.entries({ packets: PATHS, parts: PART_PATHS, services: SERVICE_PATHS, nonsense: [NONSENSE_PATH] })) {
  test.serial(`boot and the paths of ${what} take at most ${ENOUGH} slots of stack`, async (t) => {
    const board = await booted();
    t.teardown(() => board.close());
    for (const path of paths) {
      t.log(path);
      await t.notThrowsAsync(board.runPath(path, PACKETS));
    }
  });
}

test.serial(`all services start with ${ENOUGH} slots of stack`, async (t) => {
  const board = await booted();
  t.teardown(() => board.close());
  await t.notThrowsAsync(board.startServices());
});

test.serial("a stack that is too small is seen: the engine ends", async (t) => {
  const board = await XsBoard.start();
  t.teardown(() => board.close());
  await board.leaveStack(ENOUGH / 4);
  await t.throwsAsync(board.boot(MEASURED_BOARD), { message: /the XS worker ended/ });
});
