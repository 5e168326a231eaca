/**
 * tbf: the token bucket filter, which lets packets go at a rate and in bursts of a size at most. Linux: net/sched/sch_tbf.c. Read
 * first: tc-tbf(8). Owns the table of those that wait for their timer.
 *
 * Tokens are thousandths of a byte: a millisecond brings as many as the rate has bytes for each second. A packet goes when there are
 * tokens for all of it; else the timer wakes the device's queue when there will be. A second, small bucket may hold a burst to a
 * peak rate. The inner queue is one of bytes (Linux: bfifo).
 */
import { account } from "../../lib/account.ts";
import { createTimer, delTimer, jiffies, modTimer, timerFree } from "../../lib/timer.ts";
import type { NetDevice, Qdisc, QdiscInfo } from "../../stack/core/net-device.ts";
import { SkbQueue, skbDequeue, skbQueueTail } from "../../stack/core/skb-queue.ts";
import { kfreeSkb, type SkBuff } from "../../stack/core/skbuff.ts";
import {
  SKB_DROP_REASON_DEV_READY, SKB_DROP_REASON_PKT_TOO_BIG, SKB_DROP_REASON_QDISC_OVERLIMIT,
} from "../../uapi/drop-reason.ts";
import { ENOBUFS } from "../../uapi/errno.ts";
import { netifSchedule } from "../tx-softirq.ts";

/** Tokens of a byte. */
const TOKENS = 1000;

/** Filters by the argument of their timer; null where one has gone. */
let waiting: (Tbf | null)[];

/** Boot. */
export function tbfInit(): void {
  waiting = account("tbf", []);
}

export class Tbf implements Qdisc {
  qlen = 0;
  readonly canBypass = false;
  /** Bytes for each second, most bytes in a burst, most bytes that may wait. */
  rate: number;
  burst: number;
  limit: number;
  /** Bytes for each second within a burst, 0 for as fast as the device can, and most bytes that go at once then. */
  peak = 0;
  mtu = 0;
  peakTokens = 0;
  /** Tokens at `since`, in jiffies. */
  tokens: number;
  since: number = jiffies;
  /** Bytes that wait. */
  backlog = 0;
  readonly queue: SkbQueue = new SkbQueue();
  /** What the driver was too busy for: it has had its tokens. */
  returned: SkBuff | null = null;
  drops = 0;
  requeues = 0;
  /** How often a packet had to wait for tokens. */
  overlimits = 0;
  readonly dev: NetDevice;
  timer: number;
  declare info?: QdiscInfo;

  constructor(dev: NetDevice, rate: number, burst: number, limit: number) {
    this.dev = dev;
    this.rate = rate;
    this.burst = burst;
    this.limit = limit;
    this.tokens = burst * TOKENS;
    let place = waiting.indexOf(null);
    if (place < 0) place = waiting.length;
    waiting[place] = this;
    this.timer = createTimer("tbf", tbfWake, place);
  }

  get id(): string {
    return "tbf";
  }

  /** 0, or -ENOBUFS after dropping a packet that is longer than a burst, or for which no room is left. */
  enqueue(skb: SkBuff): number {
    const backlog = this.backlog + skb.len;
    const long = skb.len > this.burst || (this.peak > 0 && skb.len > this.mtu);
    if (long || backlog > this.limit) {
      this.drops++;
      this.dev.stats.txDropped++;
      kfreeSkb(skb, long ? SKB_DROP_REASON_PKT_TOO_BIG : SKB_DROP_REASON_QDISC_OVERLIMIT);
      return -ENOBUFS;
    }
    this.backlog = backlog;
    this.qlen++;
    skbQueueTail(this.queue, skb);
    return 0;
  }

  dequeue(): SkBuff | null {
    const returned = this.returned;
    if (returned !== null) {
      this.returned = null;
      this.qlen--;
      return returned;
    }
    const next = this.queue.head;
    if (next === null) return null;
    const now = jiffies;
    const full = this.burst * TOKENS;
    const passed = (now - this.since) | 0;
    // Less than nothing: it was idle for more than 24 days.
    let tokens = passed < 0 ? full : this.tokens + passed * this.rate;
    if (tokens > full) tokens = full;
    const cost = next.len * TOKENS;
    const left = tokens - cost;
    let wait = left < 0 ? -left / this.rate : 0;
    const peak = this.peak;
    if (peak > 0) {
      const mtu = this.mtu * TOKENS;
      let peakLeft = passed < 0 ? mtu : this.peakTokens + passed * peak;
      if (peakLeft > mtu) peakLeft = mtu;
      peakLeft -= cost;
      if (-peakLeft > wait * peak) wait = -peakLeft / peak;
      if (wait === 0) this.peakTokens = peakLeft;
    }
    if (wait > 0) {
      this.overlimits++;
      modTimer(this.timer, (now + Math.ceil(wait)) | 0);
      return null;
    }
    this.tokens = left;
    this.since = now;
    this.backlog -= next.len;
    this.qlen--;
    return skbDequeue(this.queue);
  }

  requeue(skb: SkBuff): void {
    this.qlen++;
    this.requeues++;
    this.returned = skb;
  }

  reset(): void {
    delTimer(this.timer);
    const returned = this.returned;
    this.returned = null;
    if (returned !== null) this.lose(returned);
    for (let skb = skbDequeue(this.queue); skb !== null; skb = skbDequeue(this.queue)) this.lose(skb);
    this.qlen = this.backlog = 0;
    tbfFill(this);
  }

  /** The device goes down, or has another discipline. */
  private lose(skb: SkBuff): void {
    this.drops++;
    this.dev.stats.txDropped++;
    kfreeSkb(skb, SKB_DROP_REASON_DEV_READY);
  }

  /** Gives the timer back: nothing may wait any more. */
  destroy(): void {
    timerFree(this.timer);
    waiting[waiting.indexOf(this)] = null;
  }
}

/** Both buckets are full. */
function tbfFill(tbf: Tbf): void {
  tbf.tokens = tbf.burst * TOKENS;
  tbf.peakTokens = tbf.mtu * TOKENS;
  tbf.since = jiffies;
}

/** Another rate and other sizes, with full buckets; what waits stays. Linux: tbf_change(). */
export function tbfChange(tbf: Tbf, rate: number, burst: number, limit: number, peak: number, mtu: number): void {
  tbf.rate = rate;
  tbf.burst = burst;
  tbf.limit = limit;
  tbf.peak = peak;
  tbf.mtu = mtu;
  tbfFill(tbf);
  if (tbf.qlen > 0) netifSchedule(tbf.dev);
}

/** There are tokens for the packet that waits. Linux: qdisc_watchdog(). */
function tbfWake(place: number): void {
  netifSchedule(waiting[place]!.dev);
}
