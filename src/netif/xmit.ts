/**
 * The way out: a packet with its link header goes through the device's queueing discipline to the driver. Linux:
 * __dev_queue_xmit() of net/core/dev.c, __qdisc_run() and sch_direct_xmit() of net/sched/sch_generic.c.
 *
 * With an empty queue and a driver that takes packets, the queue is passed by. What the driver is too busy for goes
 * back to the head of its queue and is tried again by the NET_TX softirq, or when the driver wakes its queue.
 */
import { NETDEV_TX_OK, NETIF_F_SG, type NetDevice } from "../stack/core/net-device.ts";
import { kfreeSkb, PACKET_OUTGOING, skbFrags, type SkBuff } from "../stack/core/skbuff.ts";
import { SKB_DROP_REASON_DEV_READY, SKB_DROP_REASON_NOMEM } from "../uapi/drop-reason.ts";
import { ENETDOWN, ENOMEM } from "../uapi/errno.ts";
import { devQueueXmitNit, devTap, ptypeAll } from "./receive.ts";
import { netifSchedule, txSoftirqInit } from "./tx-softirq.ts";

/** Devices without a queue that may stand on each other. Linux: XMIT_RECURSION_LIMIT. */
export const XMIT_RECURSION_LIMIT = 8;
/** Packets one run of a queue gives to the driver (net.core.dev_weight_tx_bias' product). */
const TX_WEIGHT = 64;

let xmitDepth = 0;

/** Boot time, by netdevInit(). */
export function xmitInit(): void {
  xmitDepth = 0;
  txSoftirqInit(qdiscRun);
}

/**
 * Sends a packet by skb.dev. The packet is gone then, whatever the answer.
 * @param skb data at the link header
 * @returns 0, -ENOMEM when the driver cannot gather and the packet fits no buffer, -ENOBUFS when the queue is full, -ENETDOWN when devices without a queue stand on each other too deep
 */
export function devQueueXmit(skb: SkBuff): number {
  const dev = skb.dev!;
  if (skb.fragList !== null && (dev.features & NETIF_F_SG) === 0 && skbFrags!.linearize(skb) < 0) {
    dev.stats.txDropped++;
    kfreeSkb(skb, SKB_DROP_REASON_NOMEM);
    return -ENOMEM;
  }
  const qdisc = dev.qdisc;
  if (qdisc === null) return xmitNoqueue(skb, dev);
  if (qdisc.qlen !== 0 || dev.queueStopped || dev.xmitRunning || !qdisc.canBypass) {
    const err = qdisc.enqueue(skb);
    qdiscRun(dev);
    return err;
  }
  dev.xmitRunning = true;
  if (dev.taps !== null || ptypeAll !== null) showOutgoing(skb, dev);
  const answer = dev.ops.ndoStartXmit(skb, dev);
  dev.xmitRunning = false;
  if (answer !== NETDEV_TX_OK) requeue(skb, dev);
  else if (qdisc.qlen !== 0) qdiscRun(dev);
  return 0;
}

/** Shows the packet to the taps and gives it to the driver: NETDEV_TX_*. Linux: dev_hard_start_xmit(). */
function devHardStartXmit(skb: SkBuff, dev: NetDevice): number {
  if (dev.taps !== null || ptypeAll !== null) showOutgoing(skb, dev);
  return dev.ops.ndoStartXmit(skb, dev);
}

/** Taps see each packet once, however often the driver is too busy for it: what was shown is marked. */
function showOutgoing(skb: SkBuff, dev: NetDevice): void {
  if (skb.pktType === PACKET_OUTGOING && skb.mac === skb.data) return;
  skb.pktType = PACKET_OUTGOING;
  skb.mac = skb.data;
  devTap(skb, dev, true);
  devQueueXmitNit(skb, dev);
}

/** The driver was too busy. Its queue may have been taken away meanwhile. */
function requeue(skb: SkBuff, dev: NetDevice): void {
  const qdisc = dev.qdisc;
  if (qdisc === null) {
    dev.stats.txDropped++;
    kfreeSkb(skb, SKB_DROP_REASON_DEV_READY);
    return;
  }
  qdisc.requeue(skb);
  if (!dev.queueStopped && qdisc.qlen !== 0) netifSchedule(dev);
}

/** Gives the driver what waits, until it stops its queue; at most TX_WEIGHT packets in one go. Linux: __qdisc_run(). */
function qdiscRun(dev: NetDevice): void {
  if (dev.xmitRunning) return;
  dev.xmitRunning = true;
  let quota = TX_WEIGHT;
  while (!dev.queueStopped) {
    const qdisc = dev.qdisc;
    const skb = qdisc === null ? null : qdisc.dequeue();
    if (skb === null) break;
    if (devHardStartXmit(skb, dev) !== NETDEV_TX_OK) {
      requeue(skb, dev);
      break;
    }
    if (--quota === 0) {
      netifSchedule(dev);
      break;
    }
  }
  dev.xmitRunning = false;
}

/** Straight to a device that has no queue. */
function xmitNoqueue(skb: SkBuff, dev: NetDevice): number {
  if (xmitDepth < XMIT_RECURSION_LIMIT && !dev.queueStopped) {
    xmitDepth++;
    const answer = devHardStartXmit(skb, dev);
    xmitDepth--;
    if (answer === NETDEV_TX_OK) return 0;
  }
  dev.stats.txDropped++;
  kfreeSkb(skb, SKB_DROP_REASON_DEV_READY);
  return -ENETDOWN;
}
