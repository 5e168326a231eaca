/**
 * The queueing discipline of a device, other than what it has by itself: set, and taken away again. Linux: qdisc_graft() and
 * qdisc_create() of net/sched/sch_api.c. Owns nothing. What waits in the old one is dropped, as with Linux.
 */
import type { NetDevice, Qdisc } from "../../stack/core/net-device.ts";
import { EINVAL, EOPNOTSUPP } from "../../uapi/errno.ts";
import { createDefaultQdisc, devActivate, devDeactivate } from "../link-state.ts";
import { Pfifo } from "./pfifo.ts";
import { Tbf } from "./tbf.ts";

/** Gives a device that discipline. */
function qdiscGraft(dev: NetDevice, qdisc: Qdisc | null): void {
  devDeactivate(dev);
  dev.qdiscSleeping?.destroy?.();
  dev.qdiscSleeping = qdisc;
  if (dev.running) devActivate(dev);
}

/**
 * `tc qdisc replace dev DEV root pfifo limit LIMIT`: a queue of at most that many packets. Allocates.
 * @param limit default the device's txqueuelen
 * @returns 0, -EOPNOTSUPP for a device that is not registered, -EINVAL for a limit that is no whole number of 1 or more
 */
export function qdiscSetPfifo(dev: NetDevice, limit = dev.txqueuelen): number {
  if (dev.net === null) return -EOPNOTSUPP;
  if (!Number.isInteger(limit) || limit < 1) return -EINVAL;
  qdiscGraft(dev, createPfifo(dev, limit));
  return 0;
}

function createPfifo(dev: NetDevice, limit: number): Pfifo {
  return new Pfifo(dev, limit);
}

/**
 * `tc qdisc replace dev DEV root tbf rate RATE burst BURST limit LIMIT`. Allocates, and takes a timer.
 * @param rate bytes for each second @param burst bytes; frames that are longer are dropped @param limit bytes that may wait. Of
 *   a latency in ms it is `rate * latency / 1000 + burst`
 * @returns 0, -EOPNOTSUPP for a device that is not registered, -EINVAL unless all three are whole numbers of 1 or more
 */
export function qdiscSetTbf(dev: NetDevice, rate: number, burst: number, limit: number): number {
  if (dev.net === null) return -EOPNOTSUPP;
  if (!Number.isInteger(rate) || !Number.isInteger(burst) || !Number.isInteger(limit)) return -EINVAL;
  if (rate < 1 || burst < 1 || limit < 1) return -EINVAL;
  qdiscGraft(dev, createTbf(dev, rate, burst, limit));
  return 0;
}

function createTbf(dev: NetDevice, rate: number, burst: number, limit: number): Tbf {
  return new Tbf(dev, rate, burst, limit);
}

/** `tc qdisc del dev DEV root`: the device has the discipline that it came with. Allocates. 0 or -EOPNOTSUPP. */
export function qdiscReset(dev: NetDevice): number {
  if (dev.net === null) return -EOPNOTSUPP;
  qdiscGraft(dev, createDefaultQdisc(dev));
  return 0;
}
