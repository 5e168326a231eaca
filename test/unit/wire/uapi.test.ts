/**
 * The numbers of src/uapi against this machine's own, and their tables against themselves.
 */
import test from "ava";
import { constants } from "node:os";
import * as drop from "../../../src/uapi/drop-reason.ts";
import * as errno from "../../../src/uapi/errno.ts";
import {
  inClassA, inClassB, inClassC, inClassD, inClassE, INADDR_ALLHOSTS_GROUP, INADDR_LOOPBACK, INADDR_MDNS_GROUP,
  ipv4IsLbcast, ipv4IsLinklocal, ipv4IsLocalMulticast, ipv4IsLoopback, ipv4IsZeronet,
} from "../../../src/uapi/in.ts";
import * as snmp from "../../../src/uapi/snmp.ts";
import { TCP_CLOSING, TCP_ESTABLISHED, TCP_MAX_STATES, TCP_STATE_NAMES } from "../../../src/uapi/tcp.ts";

function address(text: string): number {
  return text.split(".").reduce((sum, part) => (sum << 8) | Number(part), 0);
}

function numbers(module: object): [string, number][] {
  return Object.entries(module).filter((entry): entry is [string, number] => typeof entry[1] === "number");
}

test("error numbers are Linux's", (t) => {
  const ours = new Map(numbers(errno));
  let compared = 0;
  for (const [name, number] of Object.entries(constants.errno)) {
    if (process.platform !== "linux" || !ours.has(name)) continue;
    t.is(ours.get(name), number, name);
    compared++;
  }
  if (process.platform === "linux") t.true(compared > 60, String(compared));
  for (const [name, number] of ours) {
    if (name === "EWOULDBLOCK" || name === "ENOTSUP" || name === "ENOIOCTLCMD") continue;
    t.is(errno.errnoName(-number), name);
    t.is(errno.errnoName(number), name);
  }
  t.is(errno.errnoName(-133), "EHWPOISON");
  t.is(errno.errnoName(-4000), "-4000");
});

test("every counter has an index of its own and its name", (t) => {
  const { SNMP_MIB_MAX, SNMP_NAMES, SNMP_GROUPS } = snmp;
  const indices = numbers(snmp).filter(([name]) => name !== "SNMP_MIB_MAX").map(([, index]) => index).sort((a,
    b) => a - b);
  t.deepEqual(indices, Array.from({ length: SNMP_MIB_MAX }, (_, i) => i));
  t.is(SNMP_NAMES.length, SNMP_MIB_MAX);
  let next = 0;
  for (const group of SNMP_GROUPS) {
    t.is(group.first, next);
    next += group.count;
    const names = SNMP_NAMES.slice(group.first, next);
    t.is(new Set(names).size, names.length, group.prefix);
  }
  t.is(next, SNMP_MIB_MAX);
  t.is(SNMP_NAMES[snmp.TCP_MIB_PASSIVEOPENS], "PassiveOpens");
  t.is(SNMP_NAMES[snmp.UDP_MIB_NOPORTS], "NoPorts");
  t.is(SNMP_NAMES[snmp.LINUX_MIB_DELAYEDACKS], "DelayedACKs");
  t.is(SNMP_NAMES[snmp.IPSTATS_MIB_REASM_OVERLAPS], "ReasmOverlaps");
  t.is(SNMP_NAMES[snmp.ICMP_MIB_OUTECHOREPS], "OutEchoReps");
});

test("every drop reason has its number and name", (t) => {
  const { SKB_DROP_REASON_MAX, SKB_DROP_REASON_NAMES } = drop;
  const reasons = numbers(drop).filter(([name]) => name !== "SKB_DROP_REASON_MAX");
  t.is(reasons.length, SKB_DROP_REASON_MAX);
  t.is(SKB_DROP_REASON_NAMES.length, SKB_DROP_REASON_MAX);
  for (const [name, number] of reasons) {
    t.is(SKB_DROP_REASON_NAMES[number], name.replace("SKB_DROP_REASON_", "").replace("SKB_", ""));
  }
  t.is(drop.SKB_NOT_DROPPED_YET, 0);
});

test("TCP states have names", (t) => {
  t.is(TCP_STATE_NAMES.length, TCP_MAX_STATES);
  t.is(TCP_STATE_NAMES[TCP_ESTABLISHED], "ESTABLISHED");
  t.is(TCP_STATE_NAMES[TCP_CLOSING], "CLOSING");
});

test("address classes split the address space as RFC 791 and RFC 1112 say", (t) => {
  const classes = [inClassA, inClassB, inClassC, inClassD, inClassE];
  const edges: [string, number][] = [
    ["0.0.0.0", 0], ["127.255.255.255", 0], ["128.0.0.0", 1], ["191.255.255.255", 1], ["192.0.0.0", 2],
    ["223.255.255.255", 2],
    ["224.0.0.0", 3], ["239.255.255.255", 3], ["240.0.0.0", 4], ["255.255.255.255", 4],
  ];
  for (const [text, expected] of edges) {
    t.deepEqual(classes.map((is) => is(address(text))), classes.map((_, i) => i === expected), text);
  }
  t.deepEqual(["224.0.0.255", "224.0.1.0", "223.255.255.255"].map((a) => ipv4IsLocalMulticast(address(a))), [true,
    false, false]);
  t.deepEqual(["127.0.0.1", "127.255.0.1", "128.0.0.1", "126.0.0.1"].map((a) => ipv4IsLoopback(address(a))), [true,
    true, false, false]);
  t.deepEqual(["169.254.1.1", "169.255.0.0", "169.253.255.255"].map((a) => ipv4IsLinklocal(address(a))), [true,
    false, false]);
  t.true(ipv4IsLbcast(address("255.255.255.255")));
  t.false(ipv4IsLbcast(address("255.255.255.254")));
  t.true(ipv4IsZeronet(0));
  t.false(ipv4IsZeronet(1));
  t.is(INADDR_LOOPBACK, address("127.0.0.1"));
  t.is(INADDR_ALLHOSTS_GROUP, address("224.0.0.1"));
  t.is(INADDR_MDNS_GROUP, address("224.0.0.251"));
});
