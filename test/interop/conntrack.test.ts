/** Connection tracking against the kernel of this machine: sequences drawn anew, and some of the written ones, as conntrack-kernel.json. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import test from "ava";
import { type Sequence, Tracker } from "../lib/conntrack-steps.ts";
import { interopMissing } from "./netns.ts";

const missing = interopMissing(["python3", "iptables-legacy"]);
const interop = missing === null ? test.serial : test.serial.skip;
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** Another one than the fixture's. */
const SEED = 2;
const DRAWN = 100;
const EVERY = 20;

interop("what becomes of each packet and of its connection is what becomes of it here", async (t) => {
  t.timeout(300_000);
  const folder = await mkdtemp(join(tmpdir(), "conntrack-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const file = join(folder, "recorded.json");
  const words = ["test/unit/netfilter/conntrack-kernel.py", file, String(SEED), String(DRAWN), String(EVERY)];
  await promisify(execFile)("python3", words, { cwd: ROOT });
  const recorded = JSON.parse(readFileSync(file, "utf8")) as Sequence[];
  t.true(recorded.length > DRAWN);
  const tracker = new Tracker();
  for (const sequence of recorded) t.deepEqual(tracker.play(sequence), sequence.steps, sequence.name);
  tracker.close();
});
