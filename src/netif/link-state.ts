/**
 * Carrier, the transmit queue's stop and wake, and the watchdog over it. Linux: net/sched/sch_generic.c,
 * net/core/link_watch.c. Owns which queueing discipline a device has at each moment: its own while it is up and has
 * carrier, else one that drops everything (noop).
 *
 * Unlike Linux's, the watchdog timer runs only while the queue is stopped: an idle board sleeps.
 */
import { account } from "../lib/account.ts";
import { cancelWork, queueWork, workSetup } from "../lib/softirq.ts";
import { createTimer, delTimer, jiffies, modTimer, TIMER_WORDS, timerFree, timerPending } from "../lib/timer.ts";
import type { NetDevice } from "../stack/core/net-device.ts";
import { NoopQdisc } from "./sched/noop.ts";
import { PfifoFast } from "./sched/pfifo-fast.ts";
import { netifSchedule, netifUnschedule } from "./tx-softirq.ts";

/** What a device that is down or has no carrier is given. */
let noop: NoopQdisc;
/** Devices by the argument of their watchdog timer; null where one has gone. */
let watched: (NetDevice | null)[];
/** Words of the watchdog of the loopback device; others come after boot. */
export const LINK_STATE_WORDS = TIMER_WORDS;

/** Boot time. */
export function linkStateInit(): void {
  noop = account("netif", new NoopQdisc());
  watched = account("netif", []);
}

/** Registration of a device: its timers, and no queue before it is up for the first time. Allocates. */
export function linkStateSetup(dev: NetDevice, linkChanged: (dev: NetDevice) => void): void {
  dev.qdisc = dev.qdiscSleeping = noop;
  dev.queueStopped = false;
  let place = watched.indexOf(null);
  if (place < 0) place = watched.length;
  watched[place] = dev;
  dev.watchdogTimer = createTimer("net_device", devWatchdog, place);
  workSetup(dev.linkWork, linkChanged, dev);
}

/** What a device queues with by itself; null for none, with a txqueuelen of 0. Allocates. */
export function createDefaultQdisc(dev: NetDevice): PfifoFast | null {
  return dev.txqueuelen === 0 ? null : account("net_device", new PfifoFast(dev));
}

/** The end of a device: nothing of it may run any more. */
export function linkStateRelease(dev: NetDevice): void {
  devDeactivate(dev);
  cancelWork(dev.linkWork);
  timerFree(dev.watchdogTimer);
  dev.watchdogTimer = -1;
  watched[watched.indexOf(dev)] = null;
  dev.qdiscSleeping?.destroy?.();
  dev.qdiscSleeping = null;
}

/** Attaches the queue, if there is carrier; the first time the device gets its own. Linux: dev_activate(). */
export function devActivate(dev: NetDevice): void {
  if (dev.qdiscSleeping === noop) dev.qdiscSleeping = createDefaultQdisc(dev);
  if (!dev.carrier) return;
  dev.qdisc = dev.qdiscSleeping;
  if (dev.queueStopped) armWatchdog(dev);
}

/** Drops what is queued, and all that comes. Linux: dev_deactivate(). */
export function devDeactivate(dev: NetDevice): void {
  dev.qdisc = noop;
  if (dev.watchdogTimer >= 0) delTimer(dev.watchdogTimer);
  netifUnschedule(dev);
  const qdisc = dev.qdiscSleeping;
  if (qdisc !== null) qdisc.reset();
}

/** The link is there. May be called from an interrupt. */
export function netifCarrierOn(dev: NetDevice): void {
  if (dev.carrier) return;
  dev.carrier = true;
  if (dev.net !== null) queueWork(dev.linkWork);
}

/** The link is gone. May be called from an interrupt, and by a driver before it registers. */
export function netifCarrierOff(dev: NetDevice): void {
  if (!dev.carrier) return;
  dev.carrier = false;
  if (dev.net !== null) queueWork(dev.linkWork);
}

/**
 * Has what the layers above do not know yet of a device's carrier told now. Not from an interrupt. Linux:
 * linkwatch_sync_dev().
 */
export function linkwatchSync(dev: NetDevice): void {
  const work = dev.linkWork;
  if (cancelWork(work)) work.fn!(dev);
}

/** The driver cannot take packets until netifWakeQueue(). */
export function netifStopQueue(dev: NetDevice): void {
  if (dev.queueStopped) return;
  dev.queueStopped = true;
  dev.stoppedAt = jiffies;
  if (dev.watchdogTimer >= 0 && !timerPending(dev.watchdogTimer)) armWatchdog(dev);
}

/** The driver takes packets again. Linux: netif_start_queue(), before any packet can wait. */
export function netifStartQueue(dev: NetDevice): void {
  dev.queueStopped = false;
}

/** The driver takes packets again: those that wait go by the TX softirq. */
export function netifWakeQueue(dev: NetDevice): void {
  if (!dev.queueStopped) return;
  dev.queueStopped = false;
  const qdisc = dev.qdisc;
  if (qdisc !== null && qdisc.qlen !== 0) netifSchedule(dev);
}

function armWatchdog(dev: NetDevice): void {
  if (dev.watchdogMs !== 0 && dev.watchdogTimer >= 0) modTimer(dev.watchdogTimer, (dev.stoppedAt + dev.watchdogMs) | 0);
}

/** Has the queue been stopped for too long? Linux: dev_watchdog(). */
function devWatchdog(place: number): void {
  const dev = watched[place]!;
  if (!dev.queueStopped || !dev.running || !dev.carrier) return;
  if (((dev.stoppedAt + dev.watchdogMs - jiffies) | 0) > 0) {
    armWatchdog(dev);
    return;
  }
  const ops = dev.ops;
  if (ops.ndoTxTimeout !== undefined) ops.ndoTxTimeout(dev);
  if (dev.queueStopped) {
    dev.stoppedAt = jiffies;
    armWatchdog(dev);
  }
}
