/** `bench xs`: compute units and heap slots for each packet of every path, in the real XS engine. */
import { buildBundle, MEASURED_BOARD, MEASURED_PACKETS, type PathCost, SERVICE_PACKETS, XsBoard } from "../xs/measure.ts";
import { PATHS, SERVICE_PATHS } from "../xs/path-names.ts";

export async function benchXs(): Promise<{ engine: string; paths: PathCost[] }> {
  buildBundle();
  const board = await XsBoard.start();
  await board.boot(MEASURED_BOARD);
  await board.attach();
  const paths: PathCost[] = [];
  for (const path of PATHS) paths.push(await board.measure(path, MEASURED_PACKETS));
  await board.close();
  // Services take parts, with which the paths above would cost more.
  const served = await XsBoard.start();
  await served.boot(MEASURED_BOARD, true);
  await served.attach();
  for (const path of SERVICE_PATHS) paths.push(await served.measure(path, SERVICE_PACKETS));
  await served.close();
  return { engine: "xsnap 0.15 (XS 13.3)", paths };
}
