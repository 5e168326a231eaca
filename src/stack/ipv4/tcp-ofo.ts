/**
 * Segments beyond a hole, and what happens when memory is short. Linux: tcp_data_queue_ofo(), tcp_ofo_queue(), tcp_collapse()
 * and tcp_prune_queue() of net/ipv4/tcp_input.c. Read first: RFC 9293 section 3.10.7.4 (seventh check), RFC 5681 section 4.2.
 *
 * The queue (tp.ofoTail; of its ends only the last is kept) is in order and without overlaps: what is there already is cut off a segment that enters. Nothing in it is
 * acknowledged, so all of it may be dropped: the bytes next in order always come first. A segment enters only while the pool
 * keeps its reserve, else the segments furthest from the hole make way; and they do when in-order data finds no room.
 */
import { memCopy } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import {
  SKB_DROP_REASON_TCP_OFO_DROP, SKB_DROP_REASON_TCP_OFO_QUEUE_PRUNE, SKB_DROP_REASON_TCP_OFOMERGE,
} from "../../uapi/drop-reason.ts";
import {
  LINUX_MIB_OFOPRUNED, LINUX_MIB_PRUNECALLED, LINUX_MIB_RCVPRUNED, LINUX_MIB_TCPOFODROP, LINUX_MIB_TCPOFOMERGE,
  LINUX_MIB_TCPOFOQUEUE, LINUX_MIB_TCPRCVCOLLAPSED,
} from "../../uapi/snmp.ts";
import {
  consumeSkb, kfreeSkb, type SkBuff, skbBufferBytes, skbBuffersAvailable, skbCloned, skbOrphan, skbPull,
  skbTrim,
} from "../core/skbuff.ts";
import { type SkbQueue, skbUnlink } from "../core/skb-queue.ts";
import { skbSetOwnerR } from "../core/sock.ts";
import { TCPHDR_FIN } from "../wire/tcp.ts";
import { TP_NUM_SACKS, TP_RCV_OOOPACK } from "./tcp-cold.ts";
import { tcpCutFront, tcpFin, tcpMeasureRcvMss, tcpQueueRcv, tcpTryCoalesce } from "./tcp-data.ts";
import { tcpEcn } from "./tcp-parts.ts";
import { tcpDsackExtend, tcpDsackSet, tcpSackNewOfoSkb, tcpSackRebuild } from "./tcp-sack.ts";
import { ICSK_ACK_NOW, ICSK_ACK_SCHED, type TcpSk, type TcpSock } from "./tcp-sock.ts";
import { tcpPoolReserve } from "./tcp-window.ts";

/** Forgets all segments beyond the hole (after FIN, at the end). */
export function tcpOfoPurge(sk: TcpSk): void {
  const tp = sk.tp;
  for (let last = tp.ofoTail; last !== null; last = tp.ofoTail) {
    ofoUnlink(tp, last);
    consumeSkb(last);
  }
  words[tp.cold + TP_NUM_SACKS] = 0;
}

function ofoUnlink(tp: TcpSock, skb: SkBuff): void {
  const next = skb.next;
  const prev = skb.prev;
  if (prev !== null) prev.next = next;
  if (next === null) tp.ofoTail = prev;
  else next.prev = prev;
  skb.next = skb.prev = null;
}

/** Puts a segment between two neighbours, null for none. */
function ofoInsert(tp: TcpSock, before: SkBuff | null, skb: SkBuff, next: SkBuff | null): void {
  skb.prev = before;
  skb.next = next;
  if (before !== null) before.next = skb;
  if (next === null) tp.ofoTail = skb;
  else next.prev = skb;
}

/**
 * Is there room for one more segment out of order? Those further from the hole than `seq` make way. Linux: tcp_prune_ofo_queue().
 */
function ofoRoom(sk: TcpSk, seq: number, truesize: number): boolean {
  const tp = sk.tp;
  while (sk.rmemAlloc + truesize > sk.rcvbuf || skbBuffersAvailable() < tcpPoolReserve) {
    const last = tp.ofoTail;
    if (last === null || ((last.seq - seq) | 0) <= 0) return false;
    dropOfo(sk, last);
    tcpSackRebuild(tp);
  }
  return true;
}

function dropOfo(sk: TcpSk, skb: SkBuff): void {
  sk.net.mib[LINUX_MIB_OFOPRUNED]!++;
  ofoUnlink(sk.tp, skb);
  kfreeSkb(skb, SKB_DROP_REASON_TCP_OFO_QUEUE_PRUNE);
}

function dropMerged(sk: TcpSk, skb: SkBuff): void {
  sk.net.mib[LINUX_MIB_TCPOFOMERGE]!++;
  kfreeSkb(skb, SKB_DROP_REASON_TCP_OFOMERGE);
}

/** Cuts the end of a segment at `seq`, its FIN with it. */
function cutEnd(skb: SkBuff, seq: number): void {
  skbTrim(skb, (seq - skb.seq) | 0);
  skb.endSeq = seq;
  skb.tcpFlags &= ~TCPHDR_FIN;
}

/** Keeps a segment that lies beyond a hole, header pulled. It is consumed. Linux: tcp_data_queue_ofo(). */
export function tcpDataQueueOfo(sk: TcpSk, skb: SkBuff): void {
  const tp = sk.tp;
  const mib = sk.net.mib;
  if (tp.ecnFlags !== 0) tcpEcn!.checkCe(sk, skb);
  tcpMeasureRcvMss(sk, skb);
  tp.predFlags = 0;
  skb.when = jiffies;
  words[tp.cold + TP_RCV_OOOPACK]!++;
  mib[LINUX_MIB_TCPOFOQUEUE]!++;
  // A hole is told of at once, by a duplicate ACK (RFC 5681 section 4.2).
  sk.icsk.ackPending |= ICSK_ACK_SCHED | ICSK_ACK_NOW;
  // The last segment that begins at or before this one, and the one behind it.
  let before = tp.ofoTail;
  let next: SkBuff | null = null;
  while (before !== null && ((before.seq - skb.seq) | 0) > 0) {
    next = before;
    before = before.prev;
  }
  if (before !== null && ((before.endSeq - skb.seq) | 0) > 0) {
    if (((skb.endSeq - before.endSeq) | 0) <= 0) {
      tcpDsackSet(sk, skb.seq, skb.endSeq);
      tcpSackNewOfoSkb(tp, skb.seq, skb.endSeq);
      dropMerged(sk, skb);
      return;
    }
    tcpDsackSet(sk, skb.seq, before.endSeq);
    if (before.seq === skb.seq) {
      // The longer one takes its place.
      const covered = before;
      before = covered.prev;
      ofoUnlink(tp, covered);
      dropMerged(sk, covered);
    } else {
      tcpCutFront(skb, before.endSeq);
    }
  }
  while (next !== null) {
    if (((skb.endSeq - next.seq) | 0) <= 0) break;
    if (((skb.endSeq - next.endSeq) | 0) < 0) {
      tcpDsackExtend(sk, next.seq, skb.endSeq);
      cutEnd(skb, next.seq);
      break;
    }
    const behind: SkBuff | null = next.next;
    tcpDsackExtend(sk, next.seq, next.endSeq);
    ofoUnlink(tp, next);
    dropMerged(sk, next);
    next = behind;
  }
  const start = skb.seq;
  const end = skb.endSeq;
  const plain = (skb.tcpFlags & TCPHDR_FIN) === 0;
  if (plain && before !== null && (before.tcpFlags & TCPHDR_FIN) === 0 && tcpTryCoalesce(sk, before, skb)) {
    tcpSackNewOfoSkb(tp, start, end);
    consumeSkb(skb);
    return;
  }
  if (!ofoRoom(sk, skb.seq, skb.truesize)) {
    mib[LINUX_MIB_TCPOFODROP]!++;
    kfreeSkb(skb, SKB_DROP_REASON_TCP_OFO_DROP);
    return;
  }
  skbSetOwnerR(skb, sk);
  // What lay behind may have made way, from the last on.
  ofoInsert(tp, before, skb, before !== null ? before.next : tp.ofoTail === null ? null : next);
  tcpSackNewOfoSkb(tp, start, end);
}

/** The hole is filled as far as rcvNxt: what follows moves to the receive queue. Linux: tcp_ofo_queue(). */
export function tcpOfoQueue(sk: TcpSk): void {
  const tp = sk.tp;
  let dupHigh = tp.rcvNxt;
  let skb = tp.ofoTail;
  while (skb !== null && skb.prev !== null) skb = skb.prev;
  while (skb !== null && ((skb.seq - tp.rcvNxt) | 0) <= 0) {
    const next: SkBuff | null = skb.next;
    if (((skb.seq - dupHigh) | 0) < 0) {
      // What filled the hole repeats the beginning of this one.
      const dupEnd = ((skb.endSeq - dupHigh) | 0) < 0 ? skb.endSeq : dupHigh;
      dupHigh = dupEnd;
      tcpDsackExtend(sk, skb.seq, dupEnd);
    }
    ofoUnlink(tp, skb);
    if (((skb.endSeq - tp.rcvNxt) | 0) <= 0) {
      kfreeSkb(skb, SKB_DROP_REASON_TCP_OFO_DROP);
    } else {
      tcpCutFront(skb, tp.rcvNxt);
      const fin = (skb.tcpFlags & TCPHDR_FIN) !== 0;
      skbOrphan(skb);
      if (tcpQueueRcv(sk, skb)) consumeSkb(skb);
      if (fin) {
        tcpFin(sk);
        return;
      }
    }
    skb = next;
  }
}

/** Moves bytes forward so that the buffers of a queue are full. Linux: tcp_collapse(). */
function tcpCollapse(sk: TcpSk, queue: SkbQueue): void {
  for (let skb = queue.head; skb !== null; skb = skb.next) {
    if (skbCloned(skb)) continue;
    let next = skb.next;
    if (next === null || next.seq !== skb.endSeq) continue;
    const waste = skb.data - skb.head;
    if (waste !== 0) {
      memCopy(skb.head, skb.data, skb.len);
      skb.data = skb.head;
      skb.tail -= waste;
    }
    for (; next !== null && next.seq === skb.endSeq; next = skb.next) {
      const room = skb.head + skbBufferBytes - skb.tail;
      if (room === 0) break;
      const length = next.len < room ? next.len : room;
      memCopy(skb.tail, next.data, length);
      skb.tail += length;
      skb.len += length;
      skb.endSeq = (skb.endSeq + length) | 0;
      sk.net.mib[LINUX_MIB_TCPRCVCOLLAPSED]!++;
      if (length < next.len) {
        skbPull(next, length);
        next.seq = skb.endSeq;
        break;
      }
      skbUnlink(queue, next);
      consumeSkb(next);
    }
  }
}

/** Cuts off what the program has read of the first segment, so that its room counts. */
function dropReadBytes(sk: TcpSk): void {
  const head = sk.receiveQueue.head;
  if (head !== null) tcpCutFront(head, sk.tp.copiedSeq);
}

/**
 * The receive buffer is over its limit: the segments out of order go, from the last on, then the receive queue is packed.
 * @returns whether it is within the limit now. Linux: tcp_prune_queue()
 */
export function tcpPruneQueue(sk: TcpSk): boolean {
  const mib = sk.net.mib;
  const tp = sk.tp;
  mib[LINUX_MIB_PRUNECALLED]!++;
  for (let last = tp.ofoTail; last !== null && sk.rmemAlloc > sk.rcvbuf; last = tp.ofoTail) dropOfo(sk, last);
  tcpSackRebuild(tp);
  if (sk.rmemAlloc > sk.rcvbuf) {
    dropReadBytes(sk);
    tcpCollapse(sk, sk.receiveQueue);
  }
  if (sk.rmemAlloc <= sk.rcvbuf) return true;
  mib[LINUX_MIB_RCVPRUNED]!++;
  tp.predFlags = 0;
  return false;
}
