/** `bench syn` does its work: with the guard and cookies honest clients get through a flood of each kind of source, with nothing they do not. */
import test from "ava";
import { synRun } from "../bench/syn/bench.ts";

/** What SYNs cost is measured on the XS engine and is of no account here. */
const WORK = { request: 1, full: 1, cookie: 1, passed: 1, unseen: 1, "too-many": 1 };
const RATE = 100;
/** Longer than the delay of one SYN that is sent again. */
const ONE_RETRANSMISSION_MS = 1100;

for (const sources of [1, 256, 0] as const) {
  test(`honest clients under ${RATE} SYN/s from ${sources === 0 ? "random sources" : sources}`, (t) => {
    const both = synRun(RATE, sources, "both", WORK);
    t.true(both.honestCompleted >= 0.99, JSON.stringify(both));
    t.true(both.medianDelayMs < ONE_RETRANSMISSION_MS);
    t.true(both.entriesPeak <= 4);
    t.true(both.syns > 1000);
  });
}

test("without a defence they do not", (t) => {
  const none = synRun(RATE, 1, "none", WORK);
  t.true(none.honestCompleted < 0.1, JSON.stringify(none));
  t.true(none.honest > 100);
});
