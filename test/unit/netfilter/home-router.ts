/**
 * A home router between two hosts, each a namespace, joined by veths, on a clock that the test turns: inside 10.0.0.2 — 10.0.0.1 router
 * 192.0.2.1 — 192.0.2.2 outside. Inside's gateway is the router; outside knows no way to inside. What arrives at either host is
 * kept, and must have right checksums.
 */
import type { ExecutionContext } from "ava";
import type { Hal } from "../../../hal/hal.ts";
import { boot, type BootOptions, initNet } from "../../../src/boot.ts";
import { conntrack as conntrackCommand, iptables as iptablesCommand } from "../../../src/commands/index.ts";
import { conntrack, nfConntrackFlush } from "../../../src/conntrack.ts";
import { forwarding, ipForwardSet } from "../../../src/forwarding.ts";
import { fragments } from "../../../src/fragments.ts";
import { iptables } from "../../../src/iptables.ts";
import { nat } from "../../../src/nat.ts";
import { NF_ACCEPT, NF_INET_PRE_ROUTING, netfilter, NfHookOps, NFPROTO_IPV4, nfRegisterHook } from "../../../src/netfilter.ts";
import { mem8 } from "../../../src/lib/memory.ts";
import { netlink } from "../../../src/netlink.ts";
import { devOpen } from "../../../src/netif/dev.ts";
import { loopbackUp } from "../../../src/netif/loopback.ts";
import { vethCreate } from "../../../src/netif/veth.ts";
import { raw } from "../../../src/raw.ts";
import { createNet, type Net } from "../../../src/stack/core/net.ts";
import { neighIfdown } from "../../../src/stack/core/neigh-table.ts";
import type { NetDevice } from "../../../src/stack/core/net-device.ts";
import { arpTbl } from "../../../src/stack/ipv4/arp.ts";
import { inetAddAddress } from "../../../src/stack/ipv4/devinet.ts";
import { ipRouteAdd } from "../../../src/stack/ipv4/fib-frontend.ts";
import { close, setNs, socket } from "../../../src/stack/socket/index.ts";
import { internetChecksum } from "../../lib/frames.ts";
import { poolUsage } from "../../lib/pools.ts";

export const INSIDE = 0x0a000002;
export const INSIDE_GATE = 0x0a000001;
export const GATE = 0xc0000201 | 0;
export const OUTSIDE = 0xc0000202 | 0;
export const PARTS = Object.freeze([netlink, raw, fragments, forwarding, netfilter, iptables, conntrack, nat]);

export let inside: Net;
export let outside: Net;
export let router: Net;
export let insideDev: NetDevice;
export let outsideDev: NetDevice;
/** The router's devices. */
export let eth0: NetDevice;
export let eth1: NetDevice;
/** IP packets that arrived at inside and outside, in order; wrong checksums of them. */
export let atInside: Uint8Array[] = [];
export let atOutside: Uint8Array[] = [];
let wrong: string[] = [];
let clock = 0;
let baseline = new Map<string, number>();
let opened: number[] = [];

const hal: Hal = {
  now: () => clock,
  entropy(into) {
    for (let i = 0; i < into.length; i++) into[i] = (i * 37 + 11) & 255;
  },
  wake: () => undefined,
};

/** Are a packet's checksums right, and those of the headers that it quotes? */
function checkSums(packet: Uint8Array, whole: boolean): void {
  const ihl = (packet[0]! & 15) << 2;
  const view = new DataView(packet.buffer, packet.byteOffset);
  const is = (what: string, sum: number): void => {
    if (sum !== 0) wrong.push(`${what} of ${Buffer.from(packet).toString("hex")}`);
  };
  is("header", internetChecksum(packet.subarray(0, ihl)));
  if (!whole) return;
  const transport = packet.subarray(ihl);
  const pseudo = new Uint8Array(12);
  pseudo.set(packet.subarray(12, 20));
  pseudo[9] = packet[9]!;
  new DataView(pseudo.buffer).setUint16(10, transport.length);
  const withPseudo = (): number => internetChecksum(Uint8Array.from([...pseudo, ...transport]));
  if (packet[9] === 1) is("icmp", internetChecksum(transport));
  else if (packet[9] === 6) is("tcp", withPseudo());
  else if (packet[9] === 17 && view.getUint16(ihl + 6) !== 0) is("udp", withPseudo());
  if (packet[9] === 1 && [3, 11, 12].includes(transport[0]!)) checkSums(transport.subarray(8), false);
}

function watch(net: Net, arrived: Uint8Array[]): void {
  nfRegisterHook(new NfHookOps((_net, skb, _hook, inDev) => {
    if (inDev === net.loopbackDev) return NF_ACCEPT;
    const packet = new Uint8Array(skb.len);
    packet.set(mem8.subarray(skb.data, skb.tail));
    arrived.push(packet);
    checkSums(packet, (packet[6]! & 0x3f) === 0 && packet[7] === 0);
    return NF_ACCEPT;
  }, NFPROTO_IPV4, NF_INET_PRE_ROUTING, -450, net));
}

/** @param wayBack outside knows a way to inside */
export function bootRouter(options: BootOptions = {}, wayBack = false): void {
  clock = 1000;
  opened = [];
  atInside = [];
  atOutside = [];
  wrong = [];
  boot({ preset: "host", buffers: 128, skbs: 256, initcalls: PARTS, ...options, hal });
  router = initNet;
  inside = createNet();
  outside = createNet();
  for (const net of [inside, outside]) loopbackUp(net);
  eth0 = vethCreate(router, "eth0", inside, "eth0");
  eth1 = vethCreate(router, "eth1", outside, "eth0");
  insideDev = eth0.peer!;
  outsideDev = eth1.peer!;
  for (const dev of [eth0, eth1, insideDev, outsideDev]) devOpen(dev);
  inetAddAddress(router, eth0, INSIDE_GATE, 24);
  inetAddAddress(router, eth1, GATE, 24);
  inetAddAddress(inside, insideDev, INSIDE, 24);
  inetAddAddress(outside, outsideDev, OUTSIDE, 24);
  ipRouteAdd(inside, 0, 0, INSIDE_GATE, 0);
  if (wayBack) ipRouteAdd(outside, INSIDE & -256, 24, GATE, 0);
  ipForwardSet(router, true);
  turn(100);
  watch(inside, atInside);
  watch(outside, atOutside);
  setNs(router);
  baseline = poolUsage(router, inside, outside);
}

/** Lets the stack work for some virtual milliseconds. */
export function turn(ms = 20): void {
  const end = clock + ms;
  for (;;) {
    for (let n = 0; n < 1000 && router.poll() === 0; n++);
    if (clock >= end) return;
    clock++;
  }
}

/** A socket of a namespace, closed by finish(). */
export function open(net: Net, type: number, protocol = 0): number {
  setNs(net);
  const fd = socket(2, type, protocol);
  setNs(router);
  opened.push(fd);
  return fd;
}

/** finish() closes this descriptor too. */
export function keep(fd: number): number {
  opened.push(fd);
  return fd;
}

/** Rules that must be accepted, of the router. */
export function rules(...lines: readonly string[]): void {
  for (const line of lines) {
    const { status, error } = iptablesCommand(router, line);
    if (status !== 0) throw new Error(`${line}: ${error}`);
  }
}

/** The router's connections, without what does not matter here. */
export function entries(): string[] {
  return conntrackCommand(router, "-L").text.split("\n").slice(0, -1)
    .map((line) => line.replace(/ (mark|use)=\S+/g, "").replace(/ +/g, " ").replace(/^(\w+ \d+) \d+ /, "$1 "));
}

/** Closes what open() made, forgets connections and neighbours, and checks that every pool is as full as before. */
export function finish(t: ExecutionContext, ms = 50): void {
  for (const fd of opened) close(fd);
  turn(ms);
  for (const net of [router, inside, outside]) nfConntrackFlush(net);
  for (const dev of [eth0, eth1, insideDev, outsideDev]) neighIfdown(arpTbl, dev);
  t.deepEqual(wrong, [], "checksums are right");
  t.deepEqual([...poolUsage(router, inside, outside)], [...baseline], "pools are as full as at the start");
}
