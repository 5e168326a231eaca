/** `conntrack` answers as conntrack-tools' does, which was recorded by conntrack-answers.py: output, complaints, exit status. */
import test from "ava";
import { readFileSync } from "node:fs";
import { initNet } from "../../../src/boot.ts";
import { conntrack } from "../../../src/commands/index.ts";
import { poolsInUse } from "../../../src/lib/pool.ts";
import { Tracker } from "../../lib/conntrack-steps.ts";

interface Recorded {
  readonly fill: readonly string[];
  /** Words, exit status, lines in order of the alphabet, complaints. */
  readonly answers: readonly (readonly [string, number, readonly string[], string])[];
}

const { fill, answers } = JSON.parse(readFileSync(new URL("conntrack-answers.json", import.meta.url), "utf8")) as Recorded;

const plain = (text: string): string =>
  text.replace(/(?<=\d )\d+(?= (?:[A-Z_\d]+ )?src=)/g, "T").replace(/\bid=\d{5,}/g, "id=N");

test.serial("a hundred command lines, in order, are answered as by the real one", (t) => {
  const tracker = new Tracker();
  tracker.fill(fill);
  for (const [words, status, lines, error] of answers) {
    const ours = conntrack(initNet, words);
    const text = plain(ours.text).split("\n").slice(0, -1).sort();
    t.deepEqual([ours.status, text, ours.error], [status, lines, error], words);
  }
  const inUse = poolsInUse();
  tracker.fill(fill);
  t.regex(conntrack(initNet, "-S").text, /^cpu=0 {3}\tfound=\d+ invalid=\d+ insert=20 insert_failed=0 drop=0 early_drop=0 error=0 search_restart=0 clash_resolve=0 chaintoolong=0 \n$/);
  conntrack(initNet, "-F");
  t.is(poolsInUse(), inUse);
  tracker.close();
});
