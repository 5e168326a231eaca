/** `bench loss`, our side: a host and a board of our own on the virtual wire, one world for each flow. */
import { type Point, RATE_BPS } from "../../sim/sweep.ts";
import { Transfer, World } from "../../sim/world.ts";

/** What each flow's receiver got in so many virtual seconds, in bytes; every one is compared. */
export function oursAt({ receiver, loss, delayMs }: Point, seconds: number, flows: number, seed: number): number[] {
  return Array.from({ length: flows }, (_, flow) => {
    const world = new World({ seed: seed + flow, board: receiver.board, wire: { loss, delayMs, rateBps: RATE_BPS } });
    const { client, server } = world.pair(world.host);
    const transfer = new Transfer(client, server, Infinity);
    world.start([transfer]);
    world.runFor(seconds * 1000);
    if (transfer.wrong !== "") throw new Error(transfer.wrong);
    return transfer.got;
  });
}
