/** What becomes of a SYN costs the XS engine no slot, and the less the earlier it is dropped: the figures that `bench syn` adds up. */
import test from "ava";
import { measureWork } from "../bench/syn/work.ts";

const PACKETS = 500;

test.serial("a SYN that the guard drops costs less than half of one answered with a cookie, and no fate takes a slot", async (t) => {
  const work = await measureWork(PACKETS);
  t.log(JSON.stringify(work));
  t.true(Math.min(...Object.values(work)) > 0);
  t.true(work.unseen < work.cookie / 2 && work["too-many"] < work.cookie / 2);
  t.true(work.full < work.cookie && work.cookie < work.passed && work.passed < work.request + work.cookie);
});
