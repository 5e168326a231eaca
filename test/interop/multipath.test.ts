/**
 * Multipath routes beside the kernel's: of the same fib_multipath_hash_seed (Linux, since 6.11) every flow takes the same next hop,
 * whatever the weights. A source address is one of no device that a next hop leaves by: since 6.16 the kernel prefers the next hop
 * that has it.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import test from "ava";
import { ip } from "../../src/commands/index.ts";
import { bootIp, initNet, shutdownIp } from "../unit/commands/harness.ts";
import { Random32 } from "../lib/prefixes.ts";
import { interopMissing } from "./netns.ts";

const SEED_FILE = "/proc/sys/net/ipv4/fib_multipath_hash_seed";
const missing = interopMissing(["ip"]) ?? (existsSync(SEED_FILE) ? null : "this kernel has no fib_multipath_hash_seed");
const interop = missing === null ? test.serial : test.serial.skip;

const FLOWS = 1000;
const SETUP = [
  "addr add 10.0.0.1/24 dev d0", "addr add 10.0.1.1/24 dev d1", "addr add 10.9.9.9/32 dev lo",
  "route add 20.0.0.0/8 nexthop via 10.0.0.2 dev d0 nexthop via 10.0.1.2 dev d1",
  "route add 21.0.0.0/8 nexthop via 10.0.0.2 dev d0 weight 1 nexthop via 10.0.1.2 dev d1 weight 2 nexthop via 10.0.1.3 dev d1 weight 5",
  "route add 22.0.0.0/8 nexthop via 10.0.0.2 dev d0 weight 256 nexthop via 10.0.0.3 dev d0 weight 100 nexthop via 10.0.1.4 dev d1 weight 77",
];

function questions(seed: number): string[] {
  const random = new Random32(seed);
  return Array.from({ length: FLOWS }, () => {
    const to = `${20 + random.below(3)}.${random.below(256)}.${random.below(256)}.${random.below(256)}`;
    return `route get ${to}${random.below(2) === 0 ? " from 10.9.9.9" : ""}`;
  });
}

function theirs(seed: number, asked: readonly string[]): string[] {
  const script = [
    "ip link set lo up", "for d in d0 d1; do ip link add $d type dummy 2>/dev/null || ip link add $d type ifb; ip link set $d up; done",
    `echo ${seed} > ${SEED_FILE}`, ...SETUP.map((words) => `ip ${words}`), "echo ==", "ip -force -batch - <<END", ...asked, "END",
  ].join("\n");
  const root = process.getuid?.() === 0;
  const { stdout } = spawnSync("unshare", [root ? "-n" : "-rn", "sh"], { input: script, encoding: "utf8", maxBuffer: 1 << 26 });
  return hops(stdout.slice(stdout.indexOf("==\n") + 3));
}

/** Next hop of each answer. */
function hops(text: string): string[] {
  return [...text.matchAll(/via (\S+ dev \S+)/g)].map((match) => match[1]!);
}

for (const seed of [1, 12345, 0xfedcba98]) {
  interop(`${FLOWS} flows over multipath routes of equal and unequal weights take the kernel's next hops, seed ${seed}`, (t) => {
    const asked = questions(seed);
    bootIp();
    initNet.ipv4.fibMultipathHashSeed = seed | 0;
    for (const words of SETUP) t.is(ip(initNet, words).error, "", words);
    const actual = asked.map((words) => hops(ip(initNet, words).text)[0]);
    const expected = theirs(seed, asked);
    t.is(expected.length, FLOWS);
    t.deepEqual(actual, expected);
    const counts = new Map<string, number>();
    for (const hop of expected) counts.set(hop, (counts.get(hop) ?? 0) + 1);
    t.is(counts.size, 5, "every next hop was taken");
    ip(initNet, "addr del 10.9.9.9/32 dev lo");
    t.is(shutdownIp(), 0);
  });
}
