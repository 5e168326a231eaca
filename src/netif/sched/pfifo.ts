/**
 * pfifo: one queue of at most `limit` packets, in the order in which they came. Linux: net/sched/sch_fifo.c. Read first:
 * tc-pfifo(8).
 */
import type { NetDevice, Qdisc, QdiscInfo } from "../../stack/core/net-device.ts";
import { SkbQueue, skbDequeue, skbQueueHead, skbQueueTail } from "../../stack/core/skb-queue.ts";
import { kfreeSkb, type SkBuff } from "../../stack/core/skbuff.ts";
import { SKB_DROP_REASON_DEV_READY, SKB_DROP_REASON_QDISC_OVERLIMIT } from "../../uapi/drop-reason.ts";
import { ENOBUFS } from "../../uapi/errno.ts";

export class Pfifo implements Qdisc {
  qlen = 0;
  /** Not where nothing may ever wait: Linux drops everything then. */
  canBypass: boolean;
  /** Most packets that may wait. */
  limit: number;
  drops = 0;
  requeues = 0;
  readonly queue: SkbQueue = new SkbQueue();
  readonly dev: NetDevice;
  declare info?: QdiscInfo;

  constructor(dev: NetDevice, limit: number) {
    this.dev = dev;
    this.limit = limit;
    this.canBypass = limit > 0;
  }

  get id(): string {
    return "pfifo";
  }

  /** 0, or -ENOBUFS after dropping the packet because `limit` packets wait. */
  enqueue(skb: SkBuff): number {
    const qlen = this.qlen;
    if (qlen >= this.limit) {
      this.drops++;
      this.dev.stats.txDropped++;
      kfreeSkb(skb, SKB_DROP_REASON_QDISC_OVERLIMIT);
      return -ENOBUFS;
    }
    this.qlen = qlen + 1;
    skbQueueTail(this.queue, skb);
    return 0;
  }

  dequeue(): SkBuff | null {
    const skb = skbDequeue(this.queue);
    if (skb !== null) this.qlen--;
    return skb;
  }

  /** Back to the front, whatever the limit says. */
  requeue(skb: SkBuff): void {
    this.qlen++;
    this.requeues++;
    skbQueueHead(this.queue, skb);
  }

  reset(): void {
    for (let skb = this.dequeue(); skb !== null; skb = this.dequeue()) {
      this.drops++;
      this.dev.stats.txDropped++;
      kfreeSkb(skb, SKB_DROP_REASON_DEV_READY);
    }
  }
}

/** Another limit; what waits beyond it goes out all the same. Linux: fifo_change(). */
export function pfifoChange(qdisc: Pfifo, limit: number): void {
  qdisc.limit = limit;
  qdisc.canBypass = limit > 0;
}
