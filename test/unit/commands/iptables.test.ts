/** iptables: what the real one answers, recorded on Linux by iptables-answers.py, and saving and restoring. */
import test from "ava";
import { readFileSync } from "node:fs";
import { boot, initNet } from "../../../src/boot.ts";
import { iptables, iptablesRestore, iptablesSave } from "../../../src/commands/index.ts";
import { conntrack } from "../../../src/conntrack.ts";
import { ftp } from "../../../src/conntrack-ftp.ts";
import { ctHelpers } from "../../../src/conntrack-helpers.ts";
import { iptables as part } from "../../../src/iptables.ts";
import { poolsInUse } from "../../../src/lib/pool.ts";
import { nat } from "../../../src/nat.ts";
import { netfilter } from "../../../src/netfilter.ts";

type Answer = readonly [line: string, status: number, text: string, error: string];

const SESSIONS = JSON.parse(readFileSync(new URL("iptables-answers.json", import.meta.url), "utf8")) as Answer[][];

let inUse = 0;

test.beforeEach(() => {
  boot({ preset: "host", initcalls: [netfilter, part, conntrack, nat, ctHelpers, ftp] });
  inUse = poolsInUse();
});
test.afterEach((t) => t.is(poolsInUse(), inUse, "pools full again"));

for (const [n, session] of SESSIONS.entries()) {
  test.serial(`session ${n + 1} of ${session.length} commands is answered as by iptables 1.8.9, to the byte`, (t) => {
    for (const [line, status, text, error] of session) {
      const answer = iptables(initNet, line);
      t.deepEqual([line, answer.status, answer.text, answer.error], [line, status, text, error]);
    }
  });
}

test.serial("what iptables-save writes iptables-restore reads, counters included", (t) => {
  for (const line of ["-N c", "-A INPUT -p tcp --dport 80 -c 5 300 -j c", "-A c -m comment --comment 'it is x' -j REJECT", "-P FORWARD DROP"]) {
    t.deepEqual(iptables(initNet, line), { status: 0, text: "", error: "" });
  }
  const saved = iptablesSave(initNet, "-c", "today").text;
  t.regex(saved, /^\[5:300\] -A INPUT -p tcp -m tcp --dport 80 -j c$/m);
  iptables(initNet, "-F");
  iptables(initNet, "-X");
  t.deepEqual(iptablesRestore(initNet, saved, "-c"), { status: 0, text: "", error: "" });
  t.is(iptablesSave(initNet, "-c", "today").text, saved);
});

test.serial("a wrong line in what is restored is named, and nothing of its table has changed", (t) => {
  iptables(initNet, "-A INPUT -j DROP");
  const before = iptablesSave(initNet).text;
  const answer = iptablesRestore(initNet, "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j ACCEPT\n-A INPUT -p nope\nCOMMIT\n");
  t.is(answer.status, 2);
  t.regex(answer.error, /unknown protocol "nope" specified/);
  t.is(iptablesSave(initNet).text, before);
});

test.serial("a set that does not fit the memory for rules is refused as a whole", (t) => {
  boot({ preset: "host", nfRuleWords: 512, initcalls: [netfilter, part] });
  let added = 0;
  let answer = iptables(initNet, "-S");
  while (answer.status === 0 && added < 50) {
    answer = iptables(initNet, "-A INPUT -s 1.2.3.4 -j DROP");
    if (answer.status === 0) added++;
  }
  t.is(answer.error, "iptables: Memory allocation problem.\n");
  t.is(iptables(initNet, "-S INPUT").text.split("\n").length, added + 2);
  iptables(initNet, "-F");
  t.is(iptables(initNet, "-A INPUT -s 1.2.3.4 -j DROP").status, 0);
  boot({ preset: "host", initcalls: [netfilter, part] });
});

test.serial("without its part iptables says what it says without a kernel's", (t) => {
  boot({ preset: "host" });
  t.regex(iptables(initNet, "-L").error, /can't initialize iptables table `filter': iptables who\?/);
  boot({ preset: "host", initcalls: [netfilter, part] });
});
