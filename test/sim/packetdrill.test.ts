/** The project's own packetdrill scripts, one test for each: test/packetdrill/scripts. */
import { readdirSync, readFileSync } from "node:fs";
import test from "ava";
import { runScript } from "../packetdrill/runner.ts";

const SCRIPTS = new URL("../packetdrill/scripts/", import.meta.url);

const files = readdirSync(SCRIPTS, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".pkt")).sort();
for (const file of files) {
  test(file, (t) => {
    t.is(runScript(readFileSync(new URL(file, SCRIPTS), "utf8"), file), null);
  });
}
