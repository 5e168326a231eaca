/** IGMP on one link, with a querier that the test plays: what is reported, when, and in which version. */
import test, { type ExecutionContext } from "ava";
import { EINVAL } from "../../../src/uapi/errno.ts";
import { igmp, igmpForceVersion } from "../../../src/igmp.ts";
import {
  close, devClose, devOpen, IP_ADD_MEMBERSHIP, IP_ADD_SOURCE_MEMBERSHIP, IP_BLOCK_SOURCE, IP_DROP_MEMBERSHIP,
  IP_DROP_SOURCE_MEMBERSHIP, IP_MSFILTER, IP_UNBLOCK_SOURCE, setsockoptBytes, SOCK_DGRAM, SOL_IP,
} from "../../../src/index.ts";
import { netifCarrierOff, netifCarrierOn } from "../../../src/netif/dev.ts";
import { procRead } from "../../../src/stack/core/proc.ts";
import { ENOBUFS } from "../../../src/uapi/errno.ts";
import { MCAST_EXCLUDE, MCAST_INCLUDE } from "../../../src/uapi/in.ts";
import { addressNumber as ip } from "../../lib/frames.ts";
import { igmpMessage, igmpText, igmpv3Query, PROTO_IGMP, type QueryFields } from "../../lib/igmp.ts";
import { createLab, type Lab, type LabHost } from "../../lib/lab.ts";
import type { Peer } from "../../lib/peer.ts";

const G = "239.1.1.1";
const H = "239.1.1.2";
const S = "10.0.0.9";
const T = "10.0.0.8";
const V2_QUERIER_MS = 2 * 125_000 + 10_000;

interface Place {
  readonly lab: Lab;
  readonly host: LabHost;
  readonly peer: Peer;
  open(): number;
  set(fd: number, option: number, group: string, source?: string): number;
  /** Messages of the next so many ms, each with its time from now. */
  hear(ms: number): [text: string, afterMs: number][];
  /** The same without the times. */
  texts(ms: number): string[];
  query(fields?: QueryFields): void;
  /** A query of version 1 (code 0) or 2. */
  oldQuery(code: number, group?: string): void;
}

function start(t: ExecutionContext, config: { mcGroups?: number; mcSources?: number; mcMemberships?: number } = {}): Place {
  const lab = createLab(t, { hosts: ["a"], peers: ["p"], config, initcalls: [igmp] });
  const host = lab.host("a");
  const peer = lab.peer("p");
  const hear = (ms: number): [string, number][] => {
    const from = lab.nowMs;
    lab.runFor(ms);
    return peer.drain().filter((frame) => frame.ip?.protocol === PROTO_IGMP)
      .map((frame) => [igmpText(frame), Math.floor(frame.timeMs - from)]);
  };
  hear(0);
  return {
    lab, host, peer, hear,
    open: () => host.socket(2, SOCK_DGRAM),
    set: (fd, option, group, source) => {
      const fields = [ip(group), host.addr, ...(source === undefined ? [] : [ip(source)])];
      return setsockoptBytes(fd, SOL_IP, option, Int32Array.from(fields));
    },
    texts: (ms) => hear(ms).map(([text]) => text),
    query: (fields = {}) => peer.sendIp(PROTO_IGMP, igmpv3Query(fields), { daddr: ip(fields.group ?? "224.0.0.1"), ttl: 1 }),
    oldQuery: (code, group) => peer.sendIp(PROTO_IGMP, igmpMessage(0x11, code, group), { daddr: ip(group ?? "224.0.0.1"), ttl: 1 }),
  };
}

test.serial("version 3: a join is reported after 2 ms and once more within a second, a leave too", (t) => {
  const { open, set, hear } = start(t);
  const fd = open();
  t.is(set(fd, IP_ADD_MEMBERSHIP, G), 0);
  const joined = hear(2000);
  t.deepEqual(joined.map(([text]) => text), [`TO_EX ${G}`, `TO_EX ${G}`]);
  t.is(joined[0]![1], 2);
  t.true(joined[1]![1] >= 4 && joined[1]![1] <= 1003, String(joined[1]![1]));
  t.is(set(fd, IP_DROP_MEMBERSHIP, G), 0);
  const left = hear(2000);
  t.deepEqual(left.map(([text]) => text), [`TO_IN ${G}`, `TO_IN ${G}`]);
  t.is(left[0]![1], 2);
  t.is(set(fd, IP_ADD_MEMBERSHIP, G), 0);
  hear(2000);
  close(fd);
  t.is(hear(2000).length, 2, "a socket that is closed leaves");
});

test.serial("changes within two milliseconds are one report; a group joined by two is reported once", (t) => {
  const { open, set, texts } = start(t);
  const fd = open();
  const other = open();
  set(fd, IP_ADD_MEMBERSHIP, G);
  set(other, IP_ADD_MEMBERSHIP, G);
  set(fd, IP_ADD_MEMBERSHIP, H);
  const both = `TO_EX ${G}, TO_EX ${H}`;
  t.deepEqual(texts(2000), [both, both]);
  set(fd, IP_DROP_MEMBERSHIP, G);
  t.deepEqual(texts(2000), []);
  set(other, IP_DROP_MEMBERSHIP, G);
  t.deepEqual(texts(2000), [`TO_IN ${G}`, `TO_IN ${G}`]);
});

test.serial("a group that is joined again before its leaving was told is a member, and nothing else is said", (t) => {
  const { open, set, texts } = start(t);
  const fd = open();
  set(fd, IP_ADD_MEMBERSHIP, G);
  texts(2000);
  set(fd, IP_DROP_MEMBERSHIP, G);
  set(fd, IP_ADD_MEMBERSHIP, G);
  t.deepEqual(texts(3000), [`TO_EX ${G}`, `TO_EX ${G}`]);
});

test.serial("sources: those that come are allowed, those that go are blocked, the last one leaves", (t) => {
  const { open, set, texts } = start(t);
  const fd = open();
  t.is(set(fd, IP_ADD_SOURCE_MEMBERSHIP, G, S), 0);
  t.deepEqual(texts(2000), [`ALLOW ${G} ${S}`, `ALLOW ${G} ${S}`]);
  t.is(set(fd, IP_ADD_SOURCE_MEMBERSHIP, G, T), 0);
  t.deepEqual(texts(2000), [`ALLOW ${G} ${T}`, `ALLOW ${G} ${T}`]);
  t.is(set(fd, IP_DROP_SOURCE_MEMBERSHIP, G, S), 0);
  t.deepEqual(texts(2000), [`BLOCK ${G} ${S}`, `BLOCK ${G} ${S}`]);
  t.is(set(fd, IP_DROP_SOURCE_MEMBERSHIP, G, T), 0);
  t.deepEqual(texts(2000), [`BLOCK ${G} ${T}`, `BLOCK ${G} ${T}`]);
});

test.serial("a source that all exclude is blocked, and allowed again when one wants it", (t) => {
  const { open, set, texts } = start(t);
  const fd = open();
  const other = open();
  set(fd, IP_ADD_MEMBERSHIP, G);
  set(other, IP_ADD_MEMBERSHIP, G);
  texts(2000);
  t.is(set(fd, IP_BLOCK_SOURCE, G, S), 0);
  t.deepEqual(texts(2000), []);
  t.is(set(other, IP_BLOCK_SOURCE, G, S), 0);
  t.deepEqual(texts(2000), [`BLOCK ${G} ${S}`, `BLOCK ${G} ${S}`]);
  t.is(set(fd, IP_UNBLOCK_SOURCE, G, S), 0);
  t.deepEqual(texts(2000), [`ALLOW ${G} ${S}`, `ALLOW ${G} ${S}`]);
});

test.serial("a change of the filter's mode goes with its whole list", (t) => {
  const { open, host, set, texts } = start(t);
  const fd = open();
  set(fd, IP_ADD_MEMBERSHIP, G);
  texts(2000);
  const filter = (mode: number, ...sources: string[]): number =>
    setsockoptBytes(fd, SOL_IP, IP_MSFILTER, Int32Array.of(ip(G), host.addr, mode, sources.length, ...sources.map(ip)));
  t.is(filter(MCAST_INCLUDE, S, T), 0);
  t.deepEqual(texts(2000), [`TO_IN ${G} ${T} ${S}`, `TO_IN ${G} ${T} ${S}`]);
  t.is(filter(MCAST_EXCLUDE, S), 0);
  t.deepEqual(texts(2000), [`TO_EX ${G} ${S}`, `TO_EX ${G} ${S}`]);
});

test.serial("queries of version 3: general, for a group, for sources, each within its time; 224.0.0.1 is never reported", (t) => {
  const { open, set, hear, texts, query } = start(t);
  const fd = open();
  set(fd, IP_ADD_MEMBERSHIP, "224.0.0.1");
  set(fd, IP_ADD_MEMBERSHIP, G);
  set(fd, IP_ADD_SOURCE_MEMBERSHIP, H, S);
  set(fd, IP_ADD_SOURCE_MEMBERSHIP, H, T);
  texts(3000);
  query({ code: 20 });
  const general = hear(2100);
  t.deepEqual(general.map(([text]) => text), [`IS_EX ${G}, IS_IN ${H} ${T} ${S}`]);
  t.true(general[0]![1] >= 2 && general[0]![1] <= 2002);
  query({ code: 10, group: G });
  t.deepEqual(texts(1100), [`IS_EX ${G}`]);
  query({ code: 10, group: H, sources: [S, "10.0.0.7"] });
  t.deepEqual(texts(1100), [`IS_IN ${H} ${S}`]);
  query({ code: 10, group: H, sources: ["10.0.0.7"] });
  query({ code: 10, group: "239.7.7.7" });
  query({ code: 10, sources: [S] });
  t.deepEqual(texts(5000), [], "not asked");
});

test.serial("the response code from 128 on is a float, and an earlier query's time stands", (t) => {
  const { open, set, hear, query } = start(t);
  set(open(), IP_ADD_MEMBERSHIP, G);
  hear(3000);
  // 0x8f: (15 | 16) << 3 = 248 tenths of a second.
  let latest = 0;
  for (let i = 0; i < 20; i++) {
    query({ code: 0x8f, group: G });
    const [answer] = hear(24_803);
    latest = Math.max(latest, answer![1]);
  }
  t.true(latest > 12_000 && latest <= 24_802, String(latest));
  query({ code: 1, group: G });
  query({ code: 0x8f, group: G });
  t.is(hear(103).length, 1);
});

test.serial("a querier of version 2: reports to the group, spared by others' reports, a leave to all routers by who reported last", (t) => {
  const { lab, peer, open, set, hear, texts, oldQuery } = start(t);
  const fd = open();
  set(fd, IP_ADD_MEMBERSHIP, G);
  texts(3000);
  oldQuery(10);
  const answers = hear(1100);
  t.deepEqual(answers.map(([text]) => text), [`v2 report ${G}`]);
  t.true(answers[0]![1] >= 2 && answers[0]![1] <= 1002);
  set(fd, IP_ADD_MEMBERSHIP, H);
  const joined = hear(12_000);
  t.deepEqual(joined.map(([text]) => text), [`v2 report ${H}`, `v2 report ${H}`]);
  t.is(joined[0]![1], 2);
  oldQuery(100, G);
  peer.sendIp(PROTO_IGMP, igmpMessage(0x16, 0, G), { daddr: ip(G), ttl: 1 });
  t.deepEqual(texts(11_000), [`v2 report ${G}`], "a report to us alone spares nothing");
  oldQuery(100, G);
  const mac = { hi: 0x0100, lo: 0x5e010101 };
  lab.runFor(1);
  sendToGroup(peer, mac, igmpMessage(0x16, 0, G), G);
  t.deepEqual(texts(11_000), [], "spared");
  set(fd, IP_DROP_MEMBERSHIP, G);
  t.deepEqual(texts(3000), [], "another one was the last to report");
  set(fd, IP_DROP_MEMBERSHIP, H);
  t.deepEqual(texts(3000), [`leave ${H}`]);
  set(fd, IP_ADD_MEMBERSHIP, G);
  texts(12_000);
  lab.runFor(V2_QUERIER_MS);
  set(fd, IP_DROP_MEMBERSHIP, G);
  t.deepEqual(texts(3000), [`TO_IN ${G}`, `TO_IN ${G}`], "the old querier is forgotten");
});

/** A frame to the group's link address, as other hosts send it. */
function sendToGroup(peer: Peer, mac: { hi: number; lo: number }, payload: Uint8Array, group: string): void {
  const bytes = Buffer.alloc(34 + payload.length);
  bytes.writeUInt16BE(mac.hi, 0);
  bytes.writeInt32BE(mac.lo, 2);
  bytes.writeUInt16BE(0x0200, 6);
  bytes.writeInt32BE(peer.mac.lo, 8);
  bytes.writeUInt16BE(0x0800, 12);
  const header = bytes.subarray(14, 34);
  header.set([0x45, 0xc0, 0, 20 + payload.length, 0, 0, 0x40, 0, 1, PROTO_IGMP]);
  header.writeInt32BE(peer.addr, 12);
  header.writeInt32BE(ip(group), 16);
  let sum = 0;
  for (let at = 0; at < 20; at += 2) sum += header.readUInt16BE(at);
  header.writeUInt16BE(~((sum & 0xffff) + (sum >>> 16)) & 0xffff, 10);
  bytes.set(payload, 34);
  peer.sendFrame(bytes);
}

test.serial("a querier of version 1: no time of its own, no leaves, until it is gone", (t) => {
  const { lab, open, host, set, hear, texts, oldQuery } = start(t);
  const fd = open();
  set(fd, IP_ADD_MEMBERSHIP, G);
  texts(3000);
  oldQuery(0);
  t.deepEqual(texts(10_100), [`v1 report ${G}`]);
  t.regex(procRead(host.net, "net/igmp")!, /eth0 {6}: {5}2 {6}V1/);
  oldQuery(10);
  t.deepEqual(texts(1100), [`v1 report ${G}`], "a younger one changes nothing");
  set(fd, IP_DROP_MEMBERSHIP, G);
  t.deepEqual(texts(3000), []);
  lab.runFor(V2_QUERIER_MS);
  set(fd, IP_ADD_MEMBERSHIP, G);
  t.deepEqual(hear(2000).map(([text]) => text), [`TO_EX ${G}`, `TO_EX ${G}`]);
});

test.serial("force_igmp_version: what queriers speak is no matter, on the device or on all", (t) => {
  const { host, open, set, texts, query } = start(t);
  const fd = open();
  t.is(igmpForceVersion(host.net, host.dev, 2), 0);
  set(fd, IP_ADD_MEMBERSHIP, G);
  t.deepEqual(texts(12_000), [`v2 report ${G}`, `v2 report ${G}`]);
  query();
  t.deepEqual(texts(11_000), [`v2 report ${G}`]);
  set(fd, IP_DROP_MEMBERSHIP, G);
  t.deepEqual(texts(3000), [`leave ${G}`]);
  t.is(igmpForceVersion(host.net, null, 1), 0);
  set(fd, IP_ADD_MEMBERSHIP, G);
  t.deepEqual(texts(12_000), [`v1 report ${G}`, `v1 report ${G}`]);
  t.is(igmpForceVersion(host.net, null, 0), 0);
  t.is(igmpForceVersion(host.net, host.dev, 3), 0);
  query();
  t.deepEqual(texts(11_000), [`IS_EX ${G}`]);
  t.is(igmpForceVersion(host.net, host.dev, 4), -EINVAL);
});

test.serial("the querier's robustness says how often; groups of the link are not reported where that is off", (t) => {
  const { open, host, set, texts, query } = start(t);
  const fd = open();
  query({ qrv: 4 });
  texts(11_000);
  set(fd, IP_ADD_MEMBERSHIP, "224.0.0.251");
  t.deepEqual(texts(5000), Array<string>(4).fill("TO_EX 224.0.0.251"));
  host.net.ipv4.igmpLinkLocalMcastReports = 0;
  set(fd, IP_DROP_MEMBERSHIP, "224.0.0.251");
  set(fd, IP_ADD_MEMBERSHIP, "224.0.0.252");
  t.deepEqual(texts(5000), []);
  set(fd, IP_ADD_MEMBERSHIP, "224.0.1.1");
  t.deepEqual(texts(5000), Array<string>(4).fill("TO_EX 224.0.1.1"));
});

test.serial("a device that comes up, or its carrier, reports all memberships anew", (t) => {
  const { lab, host, open, set, texts } = start(t);
  const fd = open();
  set(fd, IP_ADD_MEMBERSHIP, G);
  set(fd, IP_ADD_SOURCE_MEMBERSHIP, H, S);
  texts(3000);
  const all = [`ALLOW ${H} ${S}, TO_EX ${G}`, `ALLOW ${H} ${S}, TO_EX ${G}`];
  devClose(host.dev);
  lab.runFor(1000);
  devOpen(host.dev);
  t.deepEqual(texts(3000), all);
  netifCarrierOff(host.dev);
  lab.runFor(1000);
  netifCarrierOn(host.dev);
  t.deepEqual(texts(3000), all);
  devClose(host.dev);
  set(fd, IP_DROP_MEMBERSHIP, G);
  lab.runFor(3000);
  devOpen(host.dev);
  t.deepEqual(texts(3000), [all[0]!.split(", ")[0]!, all[0]!.split(", ")[0]!], "what was left meanwhile is gone");
});

test.serial("the driver's list has each group's link address while it is wanted and the device is up", (t) => {
  const { host, open, set } = start(t);
  const list = (): string[] => {
    const found: string[] = [];
    for (let node = host.dev.mc; node !== null; node = node.nextMc) found.push(`${node.hi.toString(16)}:${node.lo.toString(16)}`);
    return found.sort();
  };
  t.deepEqual(list(), ["100:5e000001"]);
  const fd = open();
  set(fd, IP_ADD_MEMBERSHIP, "239.255.255.250");
  set(fd, IP_ADD_MEMBERSHIP, "224.0.0.251");
  t.deepEqual(list(), ["100:5e000001", "100:5e0000fb", "100:5e7ffffa"]);
  devClose(host.dev);
  t.deepEqual(list(), []);
  devOpen(host.dev);
  set(fd, IP_DROP_MEMBERSHIP, "224.0.0.251");
  t.deepEqual(list(), ["100:5e000001", "100:5e7ffffa"]);
});

test.serial("without room nothing is half joined, and a group just left gives way to a new one", (t) => {
  // 224.0.0.1 of lo and eth0, and one more.
  const { open, set, texts } = start(t, { mcGroups: 3, mcSources: 3, mcMemberships: 2 });
  const fd = open();
  t.is(set(fd, IP_ADD_SOURCE_MEMBERSHIP, G, S), 0);
  t.is(set(fd, IP_ADD_MEMBERSHIP, H), -ENOBUFS, "no group");
  t.is(set(fd, IP_ADD_SOURCE_MEMBERSHIP, G, T), -ENOBUFS, "no source");
  t.deepEqual(texts(3000), [`ALLOW ${G} ${S}`, `ALLOW ${G} ${S}`]);
  t.is(set(fd, IP_DROP_SOURCE_MEMBERSHIP, G, S), 0);
  t.is(set(fd, IP_ADD_MEMBERSHIP, H), 0);
  t.deepEqual(texts(3000), [`TO_EX ${H}`, `TO_EX ${H}`]);
});

test.serial("messages that are none are dropped: too short, a wrong checksum, sources that are not there", (t) => {
  const { peer, open, set, texts } = start(t);
  set(open(), IP_ADD_MEMBERSHIP, G);
  texts(3000);
  const send = (bytes: Uint8Array): void => peer.sendIp(PROTO_IGMP, bytes, { daddr: ip("224.0.0.1"), ttl: 1 });
  send(igmpMessage(0x11, 10).slice(0, 7));
  const bad = igmpMessage(0x11, 10);
  bad[3]! ^= 1;
  send(bad);
  send(igmpv3Query({ code: 10, group: G, sources: [S, T] }).slice(0, 16));
  t.deepEqual(texts(12_000), []);
});
