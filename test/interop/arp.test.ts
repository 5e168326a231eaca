/**
 * The same ARP packets under the same settings given to the kernel of this machine and to this stack: every answer byte by byte,
 * and every neighbour learned, with all values of arp_ignore, arp_filter, arp_accept, arp_announce, drop_gratuitous_arp, proxy_arp,
 * proxy_arp_pvlan and published addresses, alone and together.
 */
import { spawnSync } from "node:child_process";
import test from "ava";
import { formatAddr, parseAddr } from "../../src/commands/inet-text.ts";
import { ip } from "../../src/commands/index.ts";
import { forwarding, ipForwardSet } from "../../src/forwarding.ts";
import {
  AF_INET, bind, boot, close, devOpen, initNet, sendto, SOCK_DGRAM, SockaddrIn, socket,
} from "../../src/index.ts";
import { unregisterNetdev } from "../../src/netif/dev.ts";
import { ethReceive } from "../../src/netif/ethernet.ts";
import {
  ARP_ACCEPT, ARP_ANNOUNCE, ARP_FILTER, ARP_IGNORE, ARP_NOTIFY, arpConfSet, arpConfSetAll, arpConfSetDefault, arpTbl,
  DROP_GRATUITOUS_ARP, neighParmsSet, PROXY_ARP, PROXY_ARP_PVLAN, proxyArp,
} from "../../src/neighbours.ts";
import { neighFlushDev } from "../../src/stack/core/neighbour.ts";
import { fakeDevice, type FakeDevice, packet } from "../unit/netif/harness.ts";
import { interopMissing } from "./netns.ts";

const missing = interopMissing(["ip", "python3"]);
const interop = missing === null ? test.serial : test.serial.skip;

const SETUP = [
  "addr add 10.0.0.1/24 dev d0", "addr add 10.0.0.9/24 dev d0", "addr add 10.2.0.1/24 dev d0", "addr add 10.1.0.1/24 dev d1",
  "addr add 10.3.0.1/24 dev d1 scope link", "addr add 10.4.0.1/32 dev lo scope host", "route add 10.5.0.0/16 via 10.1.0.2 dev d1",
  "route add unreachable 10.6.0.0/16",
];
const SENDERS = ["0.0.0.0", "10.0.0.2", "10.1.0.2", "10.2.0.2", "10.0.0.1", "10.9.9.9"];
const TARGETS = [
  "10.0.0.1", "10.0.0.9", "10.2.0.1", "10.1.0.1", "10.3.0.1", "10.4.0.1", "127.0.0.1", "10.0.0.200", "10.0.0.2", "10.5.1.1", "10.1.0.99",
  "10.6.0.1", "192.168.7.7", "224.0.0.5", "255.255.255.255", "10.0.0.255", "0.0.0.0",
];
const DATAGRAMS = [
  ["10.0.0.1", "10.0.0.50"], ["10.0.0.9", "10.0.0.51"], ["10.2.0.1", "10.0.0.52"], ["10.1.0.1", "10.0.0.53"], ["10.0.0.9", "10.2.0.54"],
  ["10.3.0.1", "10.1.0.55"], ["10.0.0.1", "10.5.9.9"],
] as const;

const NAMES = {
  arp_ignore: ARP_IGNORE, arp_announce: ARP_ANNOUNCE, arp_accept: ARP_ACCEPT, arp_filter: ARP_FILTER, proxy_arp: PROXY_ARP,
  proxy_arp_pvlan: PROXY_ARP_PVLAN, drop_gratuitous_arp: DROP_GRATUITOUS_ARP,
} as const;

interface Case {
  /** "all.arp_ignore=1 d0.proxy_arp=1" */
  readonly settings: string;
  readonly commands?: readonly string[];
  readonly forward?: boolean;
}

const PUBLISHED = ["neigh add proxy 10.5.1.1 dev d0", "neigh add proxy 10.1.0.99", "neigh add proxy 10.0.0.200 dev d0", "neigh add proxy 10.0.0.200 dev d1"];
const IGNORE = [1, 2, 3, 4, 8];
const CASES: readonly Case[] = [
  { settings: "" },
  ...IGNORE.map((value) => ({ settings: `d0.arp_ignore=${value}` })),
  { settings: "all.arp_ignore=1 d0.arp_ignore=2" }, { settings: "all.arp_ignore=3 d0.arp_ignore=1" },
  { settings: "d0.arp_filter=1" }, { settings: "all.arp_filter=1 d0.arp_ignore=1" }, { settings: "all.arp_filter=1 d0.arp_ignore=2" },
  ...[1, 2].map((value) => ({ settings: `d0.arp_accept=${value}` })), { settings: "all.arp_accept=1" },
  { settings: "all.drop_gratuitous_arp=1" }, { settings: "d0.drop_gratuitous_arp=1 d0.arp_accept=1" },
  ...[1, 2].map((value) => ({ settings: `all.arp_announce=${value}` })), { settings: "d0.arp_announce=1 d1.arp_announce=2" },
  { settings: "", forward: true }, { settings: "d0.proxy_arp=1" }, { settings: "d0.proxy_arp=1", forward: true },
  { settings: "all.proxy_arp=1", forward: true }, { settings: "d0.proxy_arp_pvlan=1", forward: true },
  { settings: "all.proxy_arp_pvlan=1", forward: true }, { settings: "d0.proxy_arp=1 d0.proxy_arp_pvlan=1 d0.arp_ignore=1", forward: true },
  { settings: "d0.proxy_arp=1 d0.arp_filter=1 d0.drop_gratuitous_arp=1", forward: true },
  { settings: "", commands: PUBLISHED, forward: true }, { settings: "", commands: PUBLISHED },
  { settings: "d0.arp_ignore=8 d0.arp_accept=1", commands: PUBLISHED, forward: true },
];

type Frame = readonly [string, string];

interface Result {
  readonly answers: readonly (readonly Frame[])[];
  readonly neighbours: readonly string[];
}

function hexAddr(text: string): string {
  return (parseAddr(text)! >>> 0).toString(16).padStart(8, "0");
}

const OTHER = "020000000042";

/** An ARP frame as hexadecimal text. */
function arp(dst: string, op: number, sip: string, tha: string, tip: string): string {
  return `${dst}${OTHER}0806000108000604000${op}${OTHER}${hexAddr(sip)}${tha}${hexAddr(tip)}`;
}

function frames(): Frame[] {
  const list: Frame[] = [];
  for (const [dev, mac] of [["d0", "020000000001"], ["d1", "020000000002"]] as const) {
    for (const sip of SENDERS) {
      for (const tip of TARGETS) {
        list.push([dev, arp("ffffffffffff", 1, sip, "000000000000", tip)]);
        if (dev === "d0") list.push([dev, arp(mac, 2, sip, mac, tip)]);
      }
      list.push([dev, arp("ffffffffffff", 1, sip, "000000000000", sip)], [dev, arp("ffffffffffff", 2, sip, OTHER, sip)]);
      list.push([dev, arp(mac, 1, sip, "000000000000", "10.0.0.1")]);
    }
  }
  return list;
}

function settingsOf(text: string): [string, keyof typeof NAMES, number][] {
  return text.split(" ").filter((word) => word !== "").map((word) => {
    const [, dev, name, value] = /^(\w+)\.(\w+)=(\d)$/.exec(word)!;
    return [dev!, name as keyof typeof NAMES, Number(value)];
  });
}

function undo(commands: readonly string[]): string[] {
  return commands.map((command) => command.replace(" add ", " del "));
}

function theirs(sent: readonly Frame[]): Result[] {
  const timing = Object.fromEntries(["d0", "d1"].flatMap((dev) => [[`neigh/${dev}/locktime`, 360000], [`neigh/${dev}/proxy_delay`, 0]]));
  const cases = CASES.map(({ settings, commands = [], forward = false }) => {
    const wanted = Object.fromEntries([
      ["ip_forward", forward ? 1 : 0], ...Object.entries(timing), ...settingsOf(settings).map(([dev, name, value]) => [`conf/${dev}/${name}`, value]),
    ]) as Record<string, number>;
    const reset = Object.fromEntries(Object.entries(wanted).map(([name, value]) => [name, name in timing ? value : 0]));
    return { settings: wanted, reset, commands, undo: undo(commands), frames: sent, datagrams: DATAGRAMS };
  });
  const root = process.getuid?.() === 0;
  const { stdout, stderr } = spawnSync("unshare", [root ? "-n" : "-rn", "python3", "test/interop/arp.py"], {
    input: JSON.stringify({ setup: SETUP, cases }), encoding: "utf8", maxBuffer: 1 << 28,
  });
  if (stdout === "") throw new Error(stderr);
  return JSON.parse(stdout) as Result[];
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function must(words: string): void {
  const { status, error } = ip(initNet, words);
  if (status !== 0) throw new Error(`ip ${words}: ${error}`);
}

function ours(sent: readonly Frame[]): Result[] {
  boot({ preset: "host", initcalls: [forwarding, proxyArp] });
  arpConfSetDefault(initNet, ARP_NOTIFY, 0);
  const devices = new Map<string, FakeDevice>();
  for (const [name, last] of [["d0", 1], ["d1", 2]] as const) {
    const dev = fakeDevice(name);
    dev.addrLo = last;
    initNet.register(dev);
    devOpen(dev);
    devices.set(name, dev);
    neighParmsSet(arpTbl, dev, { proxyDelayMs: 0, locktimeMs: 3_600_000 });
  }
  SETUP.forEach(must);
  /** What came out, ARP only. */
  const read = (): Frame[] => {
    initNet.poll();
    return [...devices].flatMap(([name, dev]) => {
      const out = dev.sent.map((bytes): Frame => [name, hex(bytes)]).filter(([, bytes]) => bytes.slice(24, 28) === "0806");
      dev.sent = [];
      return out;
    });
  };
  const set = ([dev, name, value]: readonly [string, keyof typeof NAMES, number]): void => {
    if (dev === "all") arpConfSetAll(initNet, NAMES[name], value);
    else arpConfSet(devices.get(dev)!, NAMES[name], value);
  };
  const results = CASES.map(({ settings, commands = [], forward = false }): Result => {
    ipForwardSet(initNet, forward);
    settingsOf(settings).forEach(set);
    commands.forEach(must);
    read();
    const answers = sent.map(([dev, bytes]) => {
      ethReceive(packet(null, Buffer.from(bytes, "hex"), 2), devices.get(dev)!);
      return read();
    });
    for (const [source, destination] of DATAGRAMS) {
      const fd = socket(AF_INET, SOCK_DGRAM, 0);
      bind(fd, new SockaddrIn(parseAddr(source)!, 0));
      sendto(fd, Uint8Array.of(120), 0, 1, 0, new SockaddrIn(parseAddr(destination)!, 9));
      answers.push(read());
      close(fd);
    }
    const lines = ip(initNet, "-4 neigh show nud all").text.split("\n").filter((line) => line !== "" && !line.includes(" NOARP"));
    const neighbours = lines.map((line) => line.split(" ").filter((word) => word !== "" && word !== "lladdr").join(" ")).sort();
    for (const [dev, name] of settingsOf(settings)) set([dev, name, 0]);
    undo(commands).forEach(must);
    for (const dev of devices.values()) neighFlushDev(arpTbl, dev, -1);
    return { answers, neighbours };
  });
  for (const dev of devices.values()) unregisterNetdev(dev);
  return results;
}

function describe([, bytes]: Frame): string {
  const addr = (at: number): string => formatAddr(parseInt(bytes.slice(at, at + 8), 16) | 0);
  return `${bytes.slice(40, 44) === "0001" ? "request" : "reply"} of ${addr(56)} for ${addr(76)}`;
}

interop(`${CASES.length} sets of settings, each with every kind of question: answered and learned as the kernel does`, (t) => {
  t.timeout(300_000);
  const sent = frames();
  const actual = ours(sent);
  const expected = theirs(sent);
  const found: Record<string, unknown> = {};
  let answered = 0;
  CASES.forEach((one, i) => {
    const name = JSON.stringify(one);
    expected[i]!.answers.forEach((answer, j) => {
      answered += answer.length;
      const frame = sent[j];
      const question = frame === undefined ? `datagram ${String(DATAGRAMS[j - sent.length])}` : `${frame[0]}: ${describe(frame)}`;
      if (JSON.stringify(answer) !== JSON.stringify(actual[i]!.answers[j])) found[`${name}: ${question}`] = [answer, actual[i]!.answers[j]];
    });
    const [theirList, ourList] = [expected[i]!.neighbours, actual[i]!.neighbours];
    if (theirList.join() !== ourList.join()) found[`${name}: neighbours`] = { linux: theirList.filter((line) => !ourList.includes(line)), board: ourList.filter((line) => !theirList.includes(line)) };
  });
  t.deepEqual(found, {});
  t.log(`${CASES.length * (sent.length + DATAGRAMS.length)} packets, ${answered} frames in answer`);
  t.true(answered > 1000);
});
