/**
 * The project's own packetdrill scripts, one test for each: test/packetdrill/scripts. Those that Linux would pass and the
 * stack does not yet are listed with the reason; one that begins to pass must leave the list.
 */
import { readdirSync, readFileSync } from "node:fs";
import test from "ava";
import { runScript } from "../packetdrill/runner.ts";

const SCRIPTS = new URL("../packetdrill/scripts/", import.meta.url);

const NOT_YET: ReadonlyMap<string, string> = new Map();

const files = readdirSync(SCRIPTS, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".pkt")).sort();
for (const file of files) {
  const reason = NOT_YET.get(file);
  const run = reason === undefined ? test : test.failing;
  run(reason === undefined ? file : `${file}: ${reason}`, (t) => {
    t.is(runScript(readFileSync(new URL(file, SCRIPTS), "utf8"), file), null);
  });
}

test("every script that is expected to fail exists", (t) => {
  t.deepEqual([...NOT_YET.keys()].filter((name) => !files.includes(name)), []);
});
