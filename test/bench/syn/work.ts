/** `bench syn`: what a SYN costs the board, in compute units of the XS engine, by what becomes of it. */
import { buildBundle, MEASURED_BOARD, XsBoard } from "../../xs/measure.ts";

/** A request, and the reset that ends it; no request left; a SYN cookie; the same past the guard; dropped by the guard, for one reason or the other. */
export const FATES = ["request", "full", "cookie", "passed", "unseen", "too-many"] as const;
export type Work = Readonly<Record<(typeof FATES)[number], number>>;

const PACKETS = 4000;
/** So many bits that a source met for the first time is taken for an unknown one, as is to be measured. */
const FILTER_BITS = 131_072;

/** @param packets SYNs of each fate @throws Error when one takes a slot of the heap */
export async function measureWork(packets = PACKETS): Promise<Work> {
  buildBundle("syn");
  const board = await XsBoard.start(false, "syn");
  await board.boot({ ...MEASURED_BOARD, synGuardBits: FILTER_BITS, requestSocks: 1 });
  await board.attach();
  const work: Record<string, number> = {};
  for (const fate of FATES) {
    const cost = await board.measure(fate, packets);
    if (cost.slotsPerPacket !== 0) throw new Error(`${fate}: ${cost.slotsPerPacket} slots for a SYN`);
    work[fate] = cost.computePerPacket;
  }
  await board.close();
  return work as Work;
}
