/**
 * Two namespaces joined by a veth, on a clock that the test turns: what the tests of IPv4's sockets stand on.
 * a: 10.0.0.1/24 on eth0; b: 10.0.0.2/24 on eth0; both with loopback up.
 */
import type { ExecutionContext } from "ava";
import type { Hal } from "../../../hal/hal.ts";
import { boot, type BootOptions, initNet } from "../../../src/boot.ts";
import { devOpen } from "../../../src/netif/dev.ts";
import { loopbackUp } from "../../../src/netif/loopback.ts";
import { vethCreate } from "../../../src/netif/veth.ts";
import { createNet, type Net } from "../../../src/stack/core/net.ts";
import { neighIfdown } from "../../../src/stack/core/neigh-table.ts";
import type { NetDevice } from "../../../src/stack/core/net-device.ts";
import { arpTbl } from "../../../src/stack/ipv4/arp.ts";
import { inetAddAddress } from "../../../src/stack/ipv4/devinet.ts";
import { close, setNs, socket } from "../../../src/stack/socket/index.ts";
import { poolUsage } from "../../lib/pools.ts";

export const ADDR_A = 0x0a000001;
export const ADDR_B = 0x0a000002;

export let a: Net;
export let b: Net;
export let devA: NetDevice;
export let devB: NetDevice;
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

/** Boots, makes both hosts. */
export function bootHosts(options: BootOptions = {}): void {
  clock = 1000;
  opened = [];
  boot({ preset: "host", buffers: 64, skbs: 128, ...options, hal });
  a = initNet;
  b = createNet();
  loopbackUp(b);
  const pair = vethCreate(a, "eth0", b, "eth0");
  devA = pair;
  devB = pair.peer!;
  devOpen(devA);
  devOpen(devB);
  inetAddAddress(a, devA, ADDR_A, 24);
  inetAddAddress(b, devB, ADDR_B, 24);
  turn(100);
  setNs(a);
  baseline = poolUsage(a, b);
}

/** Lets the stack work for some virtual milliseconds. */
export function turn(ms = 10): void {
  const end = clock + ms;
  for (;;) {
    for (let n = 0; n < 1000 && a.poll() === 0; n++);
    if (clock >= end) return;
    clock++;
  }
}

/** A socket of the namespace, closed by finish(). */
export function open(net: Net, type: number, protocol = 0): number {
  setNs(net);
  const fd = socket(2, type, protocol);
  setNs(a);
  opened.push(fd);
  return fd;
}

/** Closes what open() made, forgets the neighbours met, and checks that every pool is as full as before. */
export function finish(t: ExecutionContext, ms = 50): void {
  for (const fd of opened) close(fd);
  turn(ms);
  for (const dev of [devA, devB]) neighIfdown(arpTbl, dev);
  t.deepEqual([...poolUsage(a, b)], [...baseline], "pools are as full as at the start");
}
