/**
 * noop: the queueing discipline of a device that is down or has no carrier. It drops. Linux: noop_qdisc of
 * net/sched/sch_generic.c.
 */
import type { Qdisc } from "../../stack/core/net-device.ts";
import { kfreeSkb, type SkBuff } from "../../stack/core/skbuff.ts";
import { SKB_DROP_REASON_DEV_READY } from "../../uapi/drop-reason.ts";

export class NoopQdisc implements Qdisc {
  qlen = 0;
  readonly canBypass = false;
  drops = 0;
  readonly requeues = 0;

  get id(): string {
    return "noop";
  }

  /** Drops; 0, because a sender has done nothing wrong (Linux: NET_XMIT_CN is no error to it). */
  enqueue(skb: SkBuff): number {
    this.drops++;
    skb.dev!.stats.txDropped++;
    kfreeSkb(skb, SKB_DROP_REASON_DEV_READY);
    return 0;
  }

  dequeue(): SkBuff | null {
    return null;
  }

  /** A device went down while its driver had the packet. */
  requeue(skb: SkBuff): void {
    this.enqueue(skb);
  }

  reset(): void {
    // Nothing ever waits here.
  }
}
