/**
 * Multipath routes beside the kernel's: of the same fib_multipath_hash_seed (Linux, since 6.11) every flow takes the same next hop,
 * whatever the weights and by whichever policy, of this host and of others. A source address that a next hop's device has draws
 * the flow there (Linux, since 6.16).
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import test from "ava";
import { ip } from "../../src/commands/index.ts";
import { forwarding, ipForwardSet } from "../../src/forwarding.ts";

import { rtCacheFlush } from "../../src/stack/ipv4/route-cache.ts";
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
  "route add 30.0.0.0/8 via 10.0.0.7",
];
/** Policies, and of the last one fields. */
const POLICIES: readonly (readonly [policy: number, fields: number])[] = [[0, 7], [1, 7], [2, 7], [3, 7], [3, 0x37], [3, 0x31], [3, 0x22]];
const SOURCES = ["", " from 10.9.9.9", " from 10.0.0.1", " from 10.0.1.1"];
const PROTOCOLS = ["", " ipproto tcp", " ipproto udp", " ipproto icmp"];

function questions(seed: number): string[] {
  const random = new Random32(seed);
  const pick = (list: readonly string[]): string => list[random.below(list.length)]!;
  const octets = (first: number): string => `${first}.${random.below(256)}.${random.below(256)}.${random.below(256)}`;
  return Array.from({ length: FLOWS }, () => {
    const source = random.below(3) === 0 ? ` from ${octets(30)} iif d0` : pick(SOURCES);
    const port = (name: string): string => (random.below(3) === 0 ? "" : ` ${name} ${1 + random.below(0xffff)}`);
    return `route get ${octets(20 + random.below(3))}${source}${pick(PROTOCOLS)}${port("sport")}${port("dport")}`;
  });
}

/** What the kernel answers, policy by policy. */
function theirs(seed: number, asked: readonly string[]): string[][] {
  const script = [
    "ip link set lo up", "for d in d0 d1; do ip link add $d type dummy 2>/dev/null || ip link add $d type ifb; ip link set $d up; done",
    "sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.d0.rp_filter=0",
    `echo ${seed} > ${SEED_FILE}`, ...SETUP.map((words) => `ip ${words}`), "cat > /tmp/asked.$$ <<END", ...asked, "END",
    ...POLICIES.flatMap(([policy, fields]) => [
      `sysctl -qw net.ipv4.fib_multipath_hash_policy=${policy} net.ipv4.fib_multipath_hash_fields=${fields}`, "echo ==",
      "ip -force -batch /tmp/asked.$$",
    ]), "rm /tmp/asked.$$",
  ].join("\n");
  const root = process.getuid?.() === 0;
  const { stdout } = spawnSync("unshare", [root ? "-n" : "-rn", "sh"], { input: script, encoding: "utf8", maxBuffer: 1 << 26 });
  return stdout.split("==\n").slice(1).map(hops);
}

/** Next hop of each answer. */
function hops(text: string): string[] {
  return [...text.matchAll(/via (\S+ dev \S+)/g)].map((match) => match[1]!);
}

for (const seed of [1, 12345, 0xfedcba98]) {
  interop(`${FLOWS} flows by each policy over multipath routes of equal and unequal weights take the kernel's next hops, seed ${seed}`, (t) => {
    const asked = questions(seed);
    bootIp({ initcalls: [forwarding] });
    ipForwardSet(initNet, true);
    const sysctl = initNet.ipv4;
    sysctl.fibMultipathHashSeed = seed | 0;
    for (const words of SETUP) t.is(ip(initNet, words).error, "", words);
    const expected = theirs(seed, asked);
    POLICIES.forEach(([policy, fields], i) => {
      [sysctl.fibMultipathHashPolicy, sysctl.fibMultipathHashFields] = [policy, fields];
      rtCacheFlush(initNet);
      const actual = asked.map((words) => hops(ip(initNet, words).text)[0]);
      t.is(expected[i]!.length, FLOWS);
      const other = asked.map((words, n) => [words, actual[n], expected[i]![n]]).filter(([, own, wanted]) => own !== wanted);
      t.deepEqual(other, [], `policy ${policy}, fields ${fields}`);
      t.is(new Set(expected[i]).size, 5, "every next hop was taken");
    });
    ip(initNet, "addr del 10.9.9.9/32 dev lo");
    t.is(shutdownIp(), 0);
  });
}
