/**
 * The same random `ip neigh` commands given to iproute2 in a network namespace and to ours: every answer and exit status, the
 * entries left in the end, and what `ip monitor neigh` said meanwhile.
 */
import { spawnSync } from "node:child_process";
import test from "ava";
import { Args } from "../../src/commands/command.ts";
import { ip } from "../../src/commands/index.ts";
import { IpMonitor } from "../../src/commands/ip-monitor.ts";
import { boot, devOpen, initNet } from "../../src/index.ts";
import { unregisterNetdev } from "../../src/netif/dev.ts";
import { ARP_NOTIFY, arpConfSetDefault, arpTbl, neighParmsSet, proxyArp } from "../../src/neighbours.ts";
import { Random32 } from "../lib/prefixes.ts";
import { poolUsage } from "../lib/pools.ts";
import { fakeDevice } from "../unit/netif/harness.ts";
import { interopMissing } from "./netns.ts";

const missing = interopMissing(["ip"]);
const interop = missing === null ? test.serial : test.serial.skip;

const OPERATIONS = 300;
const STATES = ["permanent", "perm", "reachable", "stale", "noarp", "none", "failed", "0x40", "3", "sta"];
const SETUP = ["addr add 10.0.0.1/24 dev d0", "addr add 10.1.0.1/24 dev d1"];
const QUESTIONS = ["neigh", "neigh show nud all", "neigh show proxy", "neigh flush nud all", "neigh show nud all", "neigh flush proxy dev d0", "neigh show proxy", "neigh flush proxy", "neigh show proxy"];
/** No timer is to run out in the course of the test. */
const TIMES = { retransTimeMs: 3_600_000, baseReachableTimeMs: 36_000_000, gcStaletimeMs: 3_600_000 };

function commands(seed: number): string[] {
  const random = new Random32(seed);
  const pick = <T>(list: readonly T[]): T => list[random.below(list.length)]!;
  const maybe = (chance: number, words: () => string): string => (random.below(chance) === 0 ? ` ${words()}` : "");
  const addr = (): string => `10.${random.below(2)}.0.${2 + random.below(4)}`;
  const lladdr = (): string => pick(["02:00:00:00:00:50", "02:00:00:00:00:51", "02:00:00:00:00:52", "null", "02:00"]);
  const dev = (): string => pick(["d0", "d0", "d0", "d1", "d1", "d1", "d9"]);
  const change = (): string => `neigh ${pick(["add", "add", "add", "change", "replace", "replace", "del", "del"])}`
    + ` ${pick(["", "", "", "", "proxy ", "to "])}${addr()}`
    + (random.below(5) === 0 ? "" : ` lladdr ${lladdr()}`)
    + maybe(2, () => `nud ${pick(STATES)}`) + maybe(5, () => "router") + maybe(5, () => "extern_learn") + maybe(12, () => "use")
    + maybe(6, () => `protocol ${pick(["static", "77", "zebra", "none"])}`) + (random.below(15) === 0 ? "" : ` dev ${dev()}`);
  const listing = (): string => `neigh show${maybe(2, () => `dev ${dev()}`)}${maybe(2, () => `nud ${pick([...STATES, "all"])}`)}`
    + maybe(3, () => `to 10.0.0.${pick(["4/30", "0/24", "3", "2/31"])}`) + maybe(6, () => "proxy") + maybe(6, () => "unused");
  const flush = (): string => `${pick(["", "-s "])}neigh flush${maybe(2, () => `dev ${dev()}`)}${maybe(2, () => `nud ${pick([...STATES, "all"])}`)}`
    + maybe(2, () => `to 10.1.0.${pick(["4/30", "3", "2/31"])}`);
  return Array.from({ length: OPERATIONS }, () => {
    const kind = random.below(12);
    if (kind === 0) return flush();
    return kind < 3 ? listing() : kind === 3 ? `neigh get ${addr()} dev ${dev()}` : change();
  });
}

/**
 * Deletes what is published on no device. Linux (tried on 6.18) forgets these when their namespace goes: they stay in the one table of
 * all namespaces, and appear in a later one whose memory happens to lie where theirs lay.
 */
const FORGET_PROXIES = "ip neigh show proxy | while read addr dev rest; do [ \"$dev\" = dev ] || ip neigh del proxy $addr; done";

interface Answers {
  readonly commands: readonly string[];
  readonly monitor: readonly string[];
}

/** An answer of several lines is one in the order of a hash. */
function sorted(text: string): string {
  return text.split("\n").sort().join("\n");
}

function theirs(words: readonly string[]): Answers {
  const script = [
    "exec 2>&1", "ip link set lo up", FORGET_PROXIES,
    "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1",
    ...["0", "1"].flatMap((i) => [
      `ip link add d${i} address 02:00:00:00:00:0${Number(i) + 1} type veth peer name p${i}`, `ip link set p${i} arp off up`, `ip link set d${i} up`,
      `sysctl -qw net.ipv4.neigh.d${i}.retrans_time_ms=3600000 net.ipv4.neigh.d${i}.base_reachable_time_ms=36000000 net.ipv4.neigh.d${i}.gc_stale_time=3600`,
    ]),
    ...SETUP.map((command) => `ip ${command}`),
    "M=$(mktemp)", "ip monitor neigh > $M & P=$!", "sleep 1", "echo ==",
    ...words.map((command) => `ip ${command}; echo "=$?"`),
    "sleep 1", "kill $P", "echo ==", "cat $M", "rm $M", FORGET_PROXIES,
  ].join("\n");
  const root = process.getuid?.() === 0;
  const { stdout } = spawnSync("unshare", [root ? "-n" : "-rn", "sh"], { input: script, encoding: "utf8", maxBuffer: 1 << 26 });
  const [, answers, monitor] = stdout.split(/^==\n/m);
  return { commands: answers!.split(/(?<=^=\d+\n)/m).map(sorted), monitor: monitor!.split("\n") };
}

function ours(words: readonly string[]): Answers {
  boot({ preset: "host", initcalls: [proxyArp] });
  arpConfSetDefault(initNet, ARP_NOTIFY, 0);
  const devices = ["d0", "d1"].map((name, i) => {
    const dev = fakeDevice(name);
    dev.addrLo = i + 1;
    initNet.register(dev);
    devOpen(dev);
    neighParmsSet(arpTbl, dev, TIMES);
    return dev;
  });
  for (const command of SETUP) ip(initNet, command);
  const monitor = new IpMonitor(initNet, new Args(["neigh"]));
  let heard = "";
  const answers = words.map((command) => {
    const { text, error, status } = ip(initNet, command);
    heard += monitor.read();
    return sorted(`${text}${error}=${status}\n`);
  });
  monitor.close();
  for (const dev of devices) unregisterNetdev(dev);
  return { commands: answers, monitor: heard.split("\n") };
}

/** How often each line is more in the first list; flushes tell of entries in the order of a hash, so that no order is compared. */
function surplus(list: readonly string[], other: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const line of list) counts[line] = (counts[line] ?? 0) + 1;
  for (const line of other) if (counts[line] !== undefined) counts[line]--;
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
}

for (const seed of process.env["LINNET_FULL"] === "1" ? [1, 2, 3, 4, 5] : [1]) {
  interop(`${OPERATIONS} random commands of ip neigh, the entries left, and ip monitor neigh: as iproute2 and the kernel, seed ${seed}`, (t) => {
    t.timeout(300_000);
    const words = [...commands(seed), ...QUESTIONS];
    const actual = ours(words);
    const usage = [...poolUsage(initNet)].filter(([name, count]) => count > 0 && (name === "arp_cache" || name === "arp_proxy"));
    const expected = theirs(words);
    const found: Record<string, unknown> = {};
    words.forEach((command, i) => {
      if (expected.commands[i] !== actual.commands[i]) found[`${i} ip ${command}`] = [expected.commands[i], actual.commands[i]];
    });
    t.deepEqual(found, {});
    t.deepEqual(surplus(expected.monitor, actual.monitor), {}, "what only the kernel tells");
    t.deepEqual(surplus(actual.monitor, expected.monitor), {}, "what only the board tells");
    const refused = expected.commands.filter((answer) => !answer.includes("=0")).length;
    t.true(refused > OPERATIONS / 10 && refused < OPERATIONS * 0.8, `${refused} were refused`);
    t.log(`${refused} of ${OPERATIONS} commands were refused, ${expected.monitor.length} notifications`);
    t.deepEqual(usage, [], "every entry is given back");
  });
}
