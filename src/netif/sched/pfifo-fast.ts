/**
 * pfifo_fast: the default queueing discipline: three bands in strict priority, a packet's band by its priority, and
 * together at most the device's txqueuelen. Linux: net/sched/sch_generic.c. Read first: tc-pfifo_fast(8).
 */
import { SkbQueue, skbDequeue, skbQueueHead, skbQueueTail } from "../../stack/core/skb-queue.ts";
import type { NetDevice, Qdisc, QdiscInfo } from "../../stack/core/net-device.ts";
import { kfreeSkb, type SkBuff } from "../../stack/core/skbuff.ts";
import { SKB_DROP_REASON_DEV_READY, SKB_DROP_REASON_QDISC_OVERLIMIT } from "../../uapi/drop-reason.ts";
import { ENOBUFS } from "../../uapi/errno.ts";

/** Band of each TC_PRIO_* (skb.priority, low four bits): interactive and control first, bulk and filler last. */
export const PRIO2BAND: readonly number[] = Object.freeze([1, 2, 2, 2, 1, 2, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]);

export class PfifoFast implements Qdisc {
  qlen = 0;
  readonly canBypass = true;
  readonly band0: SkbQueue = new SkbQueue();
  readonly band1: SkbQueue = new SkbQueue();
  readonly band2: SkbQueue = new SkbQueue();
  readonly dev: NetDevice;
  drops = 0;
  requeues = 0;
  /** Only one that was asked for has it: not what a device comes with. */
  declare info?: QdiscInfo;

  constructor(dev: NetDevice) {
    this.dev = dev;
  }

  get id(): string {
    return "pfifo_fast";
  }

  /** 0, or -ENOBUFS after dropping the packet because txqueuelen packets wait. */
  enqueue(skb: SkBuff): number {
    const qlen = this.qlen;
    if (qlen >= this.dev.txqueuelen) {
      this.drops++;
      this.dev.stats.txDropped++;
      kfreeSkb(skb, SKB_DROP_REASON_QDISC_OVERLIMIT);
      return -ENOBUFS;
    }
    this.qlen = qlen + 1;
    skbQueueTail(this.bandOf(skb), skb);
    return 0;
  }

  dequeue(): SkBuff | null {
    if (this.qlen === 0) return null;
    this.qlen--;
    return skbDequeue(this.band0) ?? skbDequeue(this.band1) ?? skbDequeue(this.band2);
  }

  /** Back in front of its band, whatever txqueuelen says. */
  requeue(skb: SkBuff): void {
    this.qlen++;
    this.requeues++;
    skbQueueHead(this.bandOf(skb), skb);
  }

  reset(): void {
    for (let skb = this.dequeue(); skb !== null; skb = this.dequeue()) {
      this.drops++;
      this.dev.stats.txDropped++;
      kfreeSkb(skb, SKB_DROP_REASON_DEV_READY);
    }
  }

  private bandOf(skb: SkBuff): SkbQueue {
    const band = PRIO2BAND[skb.priority & 15];
    return band === 1 ? this.band1 : band === 0 ? this.band0 : this.band2;
  }
}
