/**
 * One kernel of a simulation: what a test asks of it beyond the public face. Loaded once per kernel (hal/node/second-kernel.ts),
 * so that a board keeps its own small pools beside a host with large ones.
 */
import type { Enc28j60 } from "../../hal/enc28j60/index.ts";
import type { Enc28j60Simulator } from "../../hal/enc28j60/simulator/index.ts";
import type { VirtualClock } from "../../hal/mock/clock.ts";
import { createEnc, type EncOptions, whenNotBusy } from "../lib/enc28j60.ts";
import { createWireDevice } from "../../hal/mock/wire-device.ts";
import type { Wire } from "../../hal/mock/wire.ts";
import {
  boot, type BootOptions, close, devOpen, inetAddAddress, initNet, type NetDevice, poolForEach,
} from "../../src/index.ts";
import { unregisterNetdev } from "../../src/netif/dev.ts";
import { NEIGH_UPDATE_F_ADMIN, NEIGH_UPDATE_F_OVERRIDE, neighCreate, neighUpdate } from "../../src/stack/core/neighbour.ts";
import { skbDropCount } from "../../src/stack/core/skbuff.ts";
import { arpTbl } from "../../src/stack/ipv4/arp.ts";
import { SKB_DROP_REASON_MAX } from "../../src/uapi/drop-reason.ts";
import { NUD_PERMANENT } from "../../src/uapi/rtnetlink.ts";
import { poolUsage } from "../lib/pools.ts";
import "../lib/tcp-states.ts";

export * from "../../src/index.ts";
export { jiffies } from "../../src/lib/timer.ts";
export { allocSkb, consumeSkb, skbBuffersAvailable } from "../../src/stack/core/skbuff.ts";
export * from "../../src/syn-guard.ts";
export { netifCarrierOff, netifCarrierOn } from "../../src/netif/dev.ts";

const MOST_FILES = 16384;

let chip: Enc28j60Simulator | null = null;

/** A simulated ENC28J60 on the wire, and the driver over it. */
function createChip(clock: VirtualClock, wire: Wire, mac: string, options: EncOptions): Enc28j60 {
  const { sim, dev } = createEnc(clock, { mac, ...options });
  sim.connect(wire, "eth0");
  clock.drive(whenNotBusy(clock, sim, initNet));
  chip = sim;
  return dev;
}

/** The chip that this kernel was booted on. */
export function simulator(): Enc28j60Simulator {
  if (chip === null) throw new Error("this kernel has no chip");
  return chip;
}

/** Boots this kernel with one device on the wire. @param enc over a simulated ENC28J60 with these options */
export function bootOn(
  clock: VirtualClock, wire: Wire, addr: number, mac: string, config: BootOptions, mtu?: number, enc?: EncOptions,
): NetDevice {
  boot({ ...config, hal: clock });
  if (enc === undefined) clock.drive(initNet);
  const dev = enc === undefined ? createWireDevice(wire, { name: "eth0", mac, mtu }) : createChip(clock, wire, mac, enc);
  initNet.register(dev);
  devOpen(dev);
  const err = inetAddAddress(initNet, dev, addr, 24);
  if (err < 0) throw new Error(`address: ${err}`);
  return dev;
}

/** The device knows that address for good. */
export function introduce(dev: NetDevice, addr: number, hi: number, lo: number): void {
  const neigh = neighCreate(arpTbl, addr, dev);
  if (neigh === null) throw new Error("no neighbour entry left");
  neighUpdate(neigh, hi, lo, NUD_PERMANENT, NEIGH_UPDATE_F_OVERRIDE | NEIGH_UPDATE_F_ADMIN);
}

/** Objects in use in each pool, cached routes apart: they are given back first. */
export function inUse(): Map<string, number> {
  return poolUsage(initNet);
}

/** How often that pool was empty when asked. */
export function poolFailures(name: string): number {
  let sum = 0;
  poolForEach((pool) => {
    if (pool.name === name) sum += pool.failures;
  });
  return sum;
}

/** Packets dropped for that reason. */
export function drops(reason: number): number {
  return skbDropCount(reason);
}

/** Packets dropped, by reason. */
export function allDrops(): readonly number[] {
  return Array.from({ length: SKB_DROP_REASON_MAX }, (_, reason) => skbDropCount(reason));
}

export function closeAll(): void {
  for (let fd = 0; fd < MOST_FILES; fd++) close(fd);
}

export function unregister(dev: NetDevice): void {
  unregisterNetdev(dev);
}

/** Most objects of that pool that were ever in use at once. */
export function poolPeak(name: string): number {
  let peak = 0;
  poolForEach((pool) => {
    if (pool.name === name && pool.peak > peak) peak = pool.peak;
  });
  return peak;
}

/** net.ipv4.tcp_syn_guard. */
export function setSynGuard(value: number): void {
  initNet.ipv4.tcpSynGuard = value;
}

/** net.ipv4.tcp_syncookies. */
export function setSyncookies(value: number): void {
  initNet.ipv4.tcpSyncookies = value;
}

export function mib(index: number): number {
  return initNet.mib[index]!;
}
