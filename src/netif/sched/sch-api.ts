/**
 * The queueing discipline of a device, other than what it has by itself: set, and taken away again. Linux: qdisc_graft() and
 * qdisc_create() of net/sched/sch_api.c. Owns the numbers that it gives to disciplines. What waits in the old one is dropped, as
 * with Linux.
 */
import type { NetDevice, Qdisc } from "../../stack/core/net-device.ts";
import { EINVAL, EOPNOTSUPP } from "../../uapi/errno.ts";
import { createDefaultQdisc, devActivate, devDeactivate } from "../link-state.ts";
import { Pfifo } from "./pfifo.ts";
import { PfifoFast } from "./pfifo-fast.ts";
import { Tbf, tbfChange, tbfInit } from "./tbf.ts";

/** Numbers that the stack gives lie from 8001: on. */
const FIRST_HANDLE = 0x80000000;
const HANDLE_STEP = 0x10000;
/** The limit of a device without a queue of its own. Linux: DEFAULT_TX_QUEUE_LEN */
const DEFAULT_LIMIT = 1000;

let lastHandle: number;

/** Boot. */
export function schedInit(): void {
  lastHandle = FIRST_HANDLE;
  tbfInit();
}

/** The next number. Linux: qdisc_alloc_handle(). */
function nextHandle(): number {
  lastHandle += HANDLE_STEP;
  if (lastHandle >= 0xffff0000) lastHandle = FIRST_HANDLE + HANDLE_STEP;
  return lastHandle;
}

/** Gives a device that discipline. @param handle its number in the upper 16 bits, 0 for the next, -1 for none */
function qdiscGraft(dev: NetDevice, qdisc: Qdisc | null, handle: number): void {
  devDeactivate(dev);
  dev.qdiscSleeping?.destroy?.();
  dev.qdiscSleeping = qdisc;
  const { txPackets, txBytes } = dev.stats;
  if (qdisc !== null) qdisc.info = createInfo(handle === 0 ? nextHandle() : handle < 0 ? 0 : handle, txPackets, txBytes);
  if (dev.running) devActivate(dev);
}

function createInfo(handle: number, packets: number, bytes: number): NonNullable<Qdisc["info"]> {
  return { handle, packets, bytes };
}

/**
 * `tc qdisc replace dev DEV root pfifo limit LIMIT`: a queue of at most that many packets. Allocates.
 * @param limit default the device's txqueuelen, or 1000 if it has no queue; with 0 everything is dropped
 * @returns 0, -EOPNOTSUPP for a device that is not registered, -EINVAL for a limit that is no whole number of 0 or more
 */
export function qdiscSetPfifo(dev: NetDevice, limit = dev.txqueuelen === 0 ? DEFAULT_LIMIT : dev.txqueuelen, handle = 0): number {
  if (dev.net === null) return -EOPNOTSUPP;
  if (!Number.isInteger(limit) || limit < 0) return -EINVAL;
  qdiscGraft(dev, createPfifo(dev, limit), handle);
  return 0;
}

function createPfifo(dev: NetDevice, limit: number): Pfifo {
  return new Pfifo(dev, limit);
}

/**
 * `tc qdisc replace dev DEV root tbf rate RATE burst BURST limit LIMIT peakrate PEAK mtu MTU`. Allocates, and takes a timer.
 * @param rate bytes for each second @param burst bytes; frames that are longer are dropped @param limit bytes that may wait. Of
 *   a latency in ms it is `rate * latency / 1000 + burst`
 * @param peak bytes for each second within a burst, more than `rate`; 0 for no such limit @param mtu bytes that go at once then
 * @returns 0, -EOPNOTSUPP for a device that is not registered, -EINVAL for numbers that tbfOk() refuses
 */
export function qdiscSetTbf(dev: NetDevice, rate: number, burst: number, limit: number, peak = 0, mtu = 0, handle = 0): number {
  if (dev.net === null) return -EOPNOTSUPP;
  if (!tbfOk(rate, burst, limit, peak, mtu)) return -EINVAL;
  qdiscGraft(dev, createTbf(dev, rate, burst, limit, peak, mtu), handle);
  return 0;
}

/** Are these whole numbers of 1 or more (the last two: or 0), and a peak rate above the rate? */
export function tbfOk(rate: number, burst: number, limit: number, peak: number, mtu: number): boolean {
  if (!Number.isInteger(rate) || !Number.isInteger(burst) || !Number.isInteger(limit)) return false;
  if (rate < 1 || burst < 1 || limit < 1) return false;
  return peak === 0 || (Number.isInteger(peak) && Number.isInteger(mtu) && peak > rate && mtu >= 1);
}

function createTbf(dev: NetDevice, rate: number, burst: number, limit: number, peak: number, mtu: number): Tbf {
  const tbf = new Tbf(dev, rate, burst, limit);
  tbfChange(tbf, rate, burst, limit, peak, mtu);
  return tbf;
}

/** `tc qdisc replace dev DEV root pfifo_fast`: what devices come with, with a number. Allocates. 0 or -EOPNOTSUPP. */
export function qdiscSetPfifoFast(dev: NetDevice, handle = 0): number {
  if (dev.net === null) return -EOPNOTSUPP;
  qdiscGraft(dev, createPfifoFast(dev), handle);
  return 0;
}

function createPfifoFast(dev: NetDevice): PfifoFast {
  return new PfifoFast(dev);
}

/** `tc qdisc del dev DEV root`: the device has the discipline that it came with. Allocates. 0 or -EOPNOTSUPP. */
export function qdiscReset(dev: NetDevice): number {
  if (dev.net === null) return -EOPNOTSUPP;
  qdiscGraft(dev, createDefaultQdisc(dev), -1);
  return 0;
}
