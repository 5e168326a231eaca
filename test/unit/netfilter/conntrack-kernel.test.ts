/**
 * What connections become of some 1,600 sequences of packets, step by step as Linux's: what each packet is to its connection, states, who
 * is assured, timeouts. Linux's side was recorded by conntrack-kernel.py.
 */
import test from "ava";
import { readFileSync } from "node:fs";
import { poolsInUse } from "../../../src/lib/pool.ts";
import { type Sequence, Tracker } from "../../lib/conntrack-steps.ts";

const RECORDED = JSON.parse(readFileSync(new URL("conntrack-kernel.json", import.meta.url), "utf8")) as Sequence[];

test.serial("each packet is to its connection what it is to Linux's, and leaves the same entries", (t) => {
  const tracker = new Tracker();
  // Both ways are cached routes from then on.
  tracker.play({ name: "", sysctl: {}, steps: [["a udp", null, []], ["b udp", null, []]] });
  const nothing: Sequence = { name: "", sysctl: {}, steps: [] };
  tracker.play(nothing);
  const inUse = poolsInUse();
  const wrong: string[] = [];
  for (const sequence of RECORDED) {
    const ours = tracker.play(sequence);
    const at = ours.findIndex((step, i) => JSON.stringify(step) !== JSON.stringify(sequence.steps[i]));
    if (at >= 0) wrong.push(`${sequence.name}: ${JSON.stringify(sequence.steps.slice(0, at + 1))} here ${JSON.stringify(ours[at])}`);
  }
  t.is(wrong.slice(0, 20).join("\n"), "", `${wrong.length} of ${RECORDED.length}`);
  tracker.play(nothing);
  t.is(poolsInUse(), inUse);
  tracker.close();
});
