/**
 * The same random commands given to iproute2 in a network namespace and to ours: every answer and exit status, then the tables,
 * rules and addresses they left, the way to 1,000 destinations, and the text of /proc/net/fib_trie. The judge is the kernel this
 * runs on (written on 6.18, with iproute2 6.1).
 */
import { spawnSync } from "node:child_process";
import test from "ava";
import { ip } from "../../src/commands/index.ts";
import { formatFibTrie } from "../../src/stack/ipv4/fib-proc.ts";
import { poolUsage } from "../lib/pools.ts";
import { bootIp, initNet, shutdownIp } from "../unit/commands/harness.ts";
import { Operations } from "./iproute2-operations.ts";
import { interopMissing } from "./netns.ts";

const missing = interopMissing(["ip"]);
const interop = missing === null ? test.serial : test.serial.skip;

const OPERATIONS = 500;
const TARGETS = 1000;
/** More with LINNET_FULL=1; each takes about six seconds. */
const SEEDS = process.env["LINNET_FULL"] === "1" ? Array.from({ length: 10 }, (_, i) => i + 1) : [1];

/** What is asked when all is done. */
const QUESTIONS = ["-d route show table all", "rule", "-4 addr show dev d0", "-4 addr show dev d1"];

/** What both sides answered: one text for each command, "…\n=STATUS\n" at its end. */
interface Answers {
  readonly commands: string[];
  readonly ways: string[];
  readonly routes: string[];
  readonly trie: string;
}

/** Runs a script as the only thing in a network namespace that has d0 and d1. */
function inNamespace(script: string): string {
  const setup = [
    "exec 2>&1",
    "ip link set lo up",
    "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv4.conf.all.promote_secondaries=0 net.ipv4.conf.default.promote_secondaries=0",
    "for d in d0 d1; do ip link add $d type dummy 2>/dev/null || ip link add $d type ifb; ip link set $d up; done",
    "echo ==",
  ].join("\n");
  const root = process.getuid?.() === 0;
  const { stdout } = spawnSync("unshare", [root ? "-n" : "-rn", "sh"], {
    input: `${setup}\n${script}`, encoding: "utf8", maxBuffer: 1 << 26,
  });
  return stdout.slice(stdout.indexOf("==\n") + 3);
}

/** The answers of `ip -force -batch`: each begins at the left margin. */
function batch(text: string): string[] {
  return text.replace(/^Command failed.*\n/gm, "").split(/^(?=\S)/m);
}

function theirs(commands: readonly string[], targets: readonly string[]): Answers {
  const ask = (words: string): string => `cat <<E | ip -force -batch -\n${targets.map((to) => `${words} ${to}`).join("\n")}\nE\necho ==`;
  const text = inNamespace([
    ...commands.map((words) => `ip ${words}; echo "=$?"`),
    "echo ==", ask("route get"), ask("route get fibmatch"), "cat /proc/net/fib_trie",
  ].join("\n"));
  const [answers, ways, routes, trie] = text.split(/^==\n/m);
  return { commands: answers!.split(/(?<=^=\d+\n)/m), ways: batch(ways!), routes: batch(routes!), trie: trie! };
}

function ours(commands: readonly string[], targets: readonly string[]): Answers {
  const say = (words: string): string => {
    const { text, error, status } = ip(initNet, words);
    return `${text}${error}=${status}\n`;
  };
  const get = (words: string): string => {
    const { text, error } = ip(initNet, words);
    return text + error;
  };
  return {
    commands: commands.map(say),
    ways: targets.map((to) => get(`route get ${to}`)),
    routes: targets.map((to) => get(`route get fibmatch ${to}`)),
    trie: formatFibTrie(initNet),
  };
}

/** The lines in which two texts differ. */
function differences(expected: string, actual: string): string[] {
  if (expected === actual) return [];
  const left = expected.split("\n");
  const right = actual.split("\n");
  const list = [...left.filter((line) => !right.includes(line)).map((line) => `-${line}`), ...right.filter((line) => !left.includes(line)).map((line) => `+${line}`)];
  return list.length > 0 ? list : ["the same lines in another order"];
}

/**
 * Is that one of the ways that a route of several next hops allows? Which of them is taken depends on a secret of each kernel.
 */
function oneOfSeveral(route: string, way: string): boolean {
  const devices = [...route.matchAll(/\tnexthop .*dev (\S+)/g)].map((match) => match[1]);
  return devices.includes(/ dev (\S+)/.exec(way)?.[1]);
}

/** Addresses, without the line of the device, which is not of the same kind. */
function addressesOnly(text: string): string {
  return text.replace(/^\d+: .*\n/m, "");
}

for (const seed of SEEDS) {
  interop(`${OPERATIONS} random commands and all that can be asked afterwards are answered as iproute2 answers them, seed ${seed}`, (t) => {
    t.timeout(300_000);
    const operations = new Operations(seed);
    const commands = [...operations.commands(OPERATIONS), ...QUESTIONS];
    const targets = operations.targets(TARGETS);
    bootIp({ fibTables: 16, ifaddrs: 256 });
    const actual = ours(commands, targets);
    const expected = theirs(commands, targets);
    const found: Record<string, string[]> = {};
    const note = (name: string, list: string[]): void => {
      if (list.length > 0) found[name] = list;
    };
    commands.forEach((words, i) => note(`${i} ip ${words}`, differences(addressesOnly(expected.commands[i]!), addressesOnly(actual.commands[i]!))));
    targets.forEach((to, i) => {
      const route = expected.routes[i]!;
      note(`route get fibmatch ${to}`, differences(route, actual.routes[i]!));
      const allowed = oneOfSeveral(route, expected.ways[i]!) && oneOfSeveral(route, actual.ways[i]!);
      if (!allowed) note(`route get ${to}`, differences(expected.ways[i]!, actual.ways[i]!));
    });
    note("fib_trie", differences(expected.trie, actual.trie));
    t.deepEqual(found, {});
    const refused = expected.commands.filter((answer) => !answer.endsWith("=0\n")).length;
    t.true(refused > OPERATIONS / 10 && refused < OPERATIONS * 0.9, `${refused} of the commands were refused`);
    t.log(`${refused} of ${OPERATIONS} commands were refused`);
    for (const table of ["100", "101", "default", "local"]) ip(initNet, `route flush table ${table}`);
    for (const [, pref] of ip(initNet, "rule").text.matchAll(/^(\d+):/gm)) ip(initNet, `rule del pref ${pref}`);
    shutdownIp();
    const inUse = [...poolUsage(initNet)].filter(([, count]) => count > 0);
    t.deepEqual(inUse, [["in_ifaddr", 1]], "all is given back but the address of lo");
  });
}
