/**
 * The project's own packetdrill scripts, one test for each: test/packetdrill/scripts. Those that Linux would pass and the
 * stack does not yet are listed with the reason; one that begins to pass must leave the list.
 */
import { readdirSync, readFileSync } from "node:fs";
import test from "ava";
import { runScript } from "../packetdrill/runner.ts";

const SCRIPTS = new URL("../packetdrill/scripts/", import.meta.url);

const NO_PSH = "PSH on the last segment of each burst (Linux: on every TSO packet of several segments)";
const NO_LINEAR = "tcp_syn_linear_timeouts";
const NOT_YET: ReadonlyMap<string, string> = new Map([
  ["data/initial-window-10.pkt", NO_PSH],
  ["data/slow-start.pkt", NO_PSH],
  ["windows/silly-window-sender.pkt", NO_PSH],
  ["handshake/connect-timeout.pkt", NO_LINEAR],
  ["handshake/syn-retransmit-linear.pkt", NO_LINEAR],
  ["recovery/rto-then-slow-start.pkt", "Linux 6.18 sends three segments at the first ACK after a timeout"],
  ["timers/syn-data-rto.pkt", "RTO of 3 s when the handshake gave no RTT sample (RFC 6298 section 5.7)"],
]);

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
