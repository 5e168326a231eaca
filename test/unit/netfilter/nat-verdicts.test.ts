/**
 * A hundred drawn rule sets with the table nat: every rule has counted what Linux's has, the same packets went out, and the connections are
 * the same. Linux's side was recorded by nat-verdicts.py, which draws and answers packets as test/lib/nat-verdicts.ts does.
 */
import test from "ava";
import { readFileSync } from "node:fs";
import { poolsInUse } from "../../../src/lib/pool.ts";
import { NatRouter, type Verdicts } from "../../lib/nat-verdicts.ts";

const RECORDED = JSON.parse(readFileSync(new URL("nat-verdicts.json", import.meta.url), "utf8")) as Verdicts[];
const PACKETS = 300;

test.serial("rules count, addresses and ports are rewritten and connections are kept as by Linux", (t) => {
  const router = new NatRouter();
  const inUse = poolsInUse();
  for (const { seed, rules, counters, out, connections } of RECORDED) {
    const ours = router.play(rules, seed, PACKETS);
    t.deepEqual([...ours.counters].sort(), [...counters].sort(), `set ${seed}:\n${rules}`);
    t.deepEqual(ours.out, out, `set ${seed}:\n${rules}`);
    t.is(ours.connections, connections, `set ${seed}:\n${rules}`);
  }
  router.close();
  t.true(poolsInUse() <= inUse);
});
