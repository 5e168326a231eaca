/** Sequences of multicast options answer as Linux does, and leave the same memberships: linux-multicast.json, by linux-multicast.py. */
import { readFileSync } from "node:fs";
import test from "ava";
import { igmp } from "../../../src/igmp.ts";
import {
  close, getsockopt, IP_MSFILTER, setsockopt, setsockoptBytes, SO_BINDTODEVICE, SOCK_DGRAM, SOCK_STREAM, SOL_IP, SOL_SOCKET,
} from "../../../src/index.ts";
import { procRead } from "../../../src/stack/core/proc.ts";
import { createLab, type LabHost } from "../../lib/lab.ts";

type Call = [socket: number, option: number, numbers: number[], answer: number | number[]];
type Sequence = [calls: Call[], groups: number[][], filters: number[][]];
interface Recorded { kernel: string; sequences: Sequence[] }

const recorded = JSON.parse(readFileSync(new URL("linux-multicast.json", import.meta.url), "utf8")) as Recorded;

function call(fd: number, option: number, numbers: readonly number[]): number | number[] {
  if (option === SO_BINDTODEVICE) return setsockopt(fd, SOL_SOCKET, option, numbers[0] === 0 ? 0 : 2);
  if (option > 0) return setsockoptBytes(fd, SOL_IP, option, Int32Array.from(numbers));
  const out = option === -IP_MSFILTER ? Int32Array.from(numbers) : new Int32Array(1);
  const written = getsockopt(fd, SOL_IP, -option, out);
  return written < 0 ? written : [...out.subarray(0, written)];
}

function byNumbers(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, i) => value !== b[i]);
  return at < 0 ? 0 : a[at]! - b[at]!;
}

function groupsOf(host: LabHost): number[][] {
  let ifindex = 0;
  return procRead(host.net, "net/igmp")!.split("\n").slice(1, -1).flatMap((line) => {
    if (!line.startsWith("\t")) {
      ifindex = Number(line.split("\t")[0]);
      return [];
    }
    const [group, users] = line.trim().split(/\s+/);
    return [[ifindex, Buffer.from(group!, "hex").readInt32LE(), Number(users)]];
  }).sort(byNumbers);
}

function filtersOf(host: LabHost): number[][] {
  return procRead(host.net, "net/mcfilter")!.split("\n").slice(1, -1).map((line) => {
    const [ifindex, , group, source, include, exclude] = line.trim().split(/\s+/);
    return [Number(ifindex), Number(group) | 0, Number(source) | 0, Number(include), Number(exclude)];
  }).sort(byNumbers);
}

test.serial(`${recorded.sequences.length} sequences of options: the answers of Linux ${recorded.kernel}, and its memberships`, (t) => {
  const lab = createLab(t, { hosts: ["a"], initcalls: [igmp] });
  const host = lab.host("a");
  host.net.ipv4.igmpMaxMemberships = 4;
  host.net.ipv4.igmpMaxMsf = 3;
  let good = 0;
  for (const [number, [calls, groups, filters]] of recorded.sequences.entries()) {
    const fds = [SOCK_DGRAM, SOCK_DGRAM, SOCK_STREAM].map((type) => host.socket(2, type));
    for (const [at, [which, option, numbers, answer]] of calls.entries()) {
      const ours = call(fds[which]!, option, numbers);
      if (JSON.stringify(ours) !== JSON.stringify(answer)) {
        t.deepEqual(ours, answer, `sequence ${number}, call ${at}: ${JSON.stringify(calls[at])}`);
        return;
      }
      if (ours === 0) good++;
    }
    t.deepEqual(groupsOf(host), groups, `groups after sequence ${number}`);
    t.deepEqual(filtersOf(host), filters, `filters after sequence ${number}`);
    for (const fd of fds) close(fd);
  }
  t.log(`${good} calls were granted`);
  t.true(good > 1000);
});
