/**
 * The NET_TX softirq: devices whose queue holds packets that the driver could not take at once. Linux: net_tx_action()
 * and __netif_schedule() of net/core/dev.c. Owns the list of these devices, linked through NetDevice.nextTx.
 */
import { NET_TX_SOFTIRQ, openSoftirq, raiseSoftirq } from "../lib/softirq.ts";
import type { NetDevice } from "../stack/core/net-device.ts";

let first: NetDevice | null;
let last: NetDevice | null;
let runQueue: (dev: NetDevice) => void;

/** Boot time. @param qdiscRun what is done for each device */
export function txSoftirqInit(qdiscRun: (dev: NetDevice) => void): void {
  first = last = null;
  runQueue = qdiscRun;
  openSoftirq(NET_TX_SOFTIRQ, netTxAction);
}

/** Has the device's queue run by the softirq. */
export function netifSchedule(dev: NetDevice): void {
  if (dev.txScheduled) return;
  dev.txScheduled = true;
  dev.nextTx = null;
  if (last === null) first = dev;
  else last.nextTx = dev;
  last = dev;
  raiseSoftirq(NET_TX_SOFTIRQ);
}

/** Takes a device off the list: it goes down. */
export function netifUnschedule(dev: NetDevice): void {
  if (!dev.txScheduled) return;
  dev.txScheduled = false;
  let previous: NetDevice | null = null;
  for (let at = first; at !== dev && at !== null; at = at.nextTx) previous = at;
  if (previous === null) first = dev.nextTx;
  else previous.nextTx = dev.nextTx;
  if (last === dev) last = previous;
  dev.nextTx = null;
}

/** Runs the queues listed now; those that come back wait for the next round. */
function netTxAction(): void {
  let count = 0;
  for (let dev = first; dev !== null; dev = dev.nextTx) count++;
  for (let dev = first; dev !== null && count > 0; dev = first, count--) {
    first = dev.nextTx;
    if (first === null) last = null;
    dev.nextTx = null;
    dev.txScheduled = false;
    runQueue(dev);
  }
}
