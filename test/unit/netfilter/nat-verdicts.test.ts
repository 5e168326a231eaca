/**
 * A hundred drawn rule sets with the table nat: every rule has counted what Linux's has, the same packets went out, and the connections are
 * the same. Linux's side was recorded by nat-verdicts.py, which draws and answers packets as test/lib/nat-verdicts.ts does. What it records
 * of more sets, or of more packets each, is compared where NAT_VERDICTS names the file.
 */
import test from "ava";
import { readFileSync } from "node:fs";
import { poolsInUse } from "../../../src/lib/pool.ts";
import { NatRouter, type Verdicts } from "../../lib/nat-verdicts.ts";

const RECORDED = JSON.parse(readFileSync(process.env["NAT_VERDICTS"] ?? new URL("nat-verdicts.json", import.meta.url), "utf8")) as Verdicts[];

test.serial("rules count, addresses and ports are rewritten and connections are kept as by Linux", (t) => {
  const router = new NatRouter(Math.max(...RECORDED.map(({ packets }) => packets)) > 1000 ? 32_000 : 1024);
  const inUse = poolsInUse();
  for (const { seed, packets, rules, counters, out, connections } of RECORDED) {
    const ours = router.play(rules, seed, packets);
    t.deepEqual([...ours.counters].sort(), [...counters].sort(), `set ${seed}:\n${rules}`);
    t.deepEqual(ours.out, out, `set ${seed}:\n${rules}`);
    t.is(ours.connections, connections, `set ${seed}:\n${rules}`);
  }
  router.close();
  t.true(poolsInUse() <= inUse);
});
