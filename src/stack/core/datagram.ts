/**
 * What all datagram sockets share: taking a packet from the receive queue, copying it to the program, readiness, and
 * the control messages of recvmsg(). Linux: net/core/datagram.c, put_cmsg() of net/core/scm.c. Owns nothing.
 */
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import { SKB_DROP_REASON_SOCKET_FILTER } from "../../uapi/drop-reason.ts";
import { EAGAIN } from "../../uapi/errno.ts";
import {
  EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLRDNORM, EPOLLWRBAND, EPOLLWRNORM,
} from "../../uapi/poll.ts";
import { MSG_CTRUNC, MSG_DONTWAIT, MSG_PEEK, MSG_TRUNC, SCM_TIMESTAMP, SCM_TIMESTAMPNS, SOL_SOCKET } from "../../uapi/socket.ts";
import { consumeSkb, kfreeSkb, skbFrags, skbGet, type SkBuff } from "./skbuff.ts";
import { pskbTrim } from "./skb-frags.ts";
import { skbDequeue } from "./skb-queue.ts";
import { RCV_SHUTDOWN, SHUTDOWN_MASK, type Sock, SOCK_TIMESTAMP, SOCK_TIMESTAMPNS, SK_DROPS, skFilter, sockError } from "./sock.ts";
import { copyToIter, type Msghdr } from "./sockaddr.ts";

/** Smaller units in a larger one. */
const MSEC_PER_SEC = 1000;
const USEC_PER_MSEC = 1000;
const NSEC_PER_MSEC = 1000000;
const TWO_32 = 4294967296;

/**
 * The next datagram, to be given back with consumeSkb(); with MSG_PEEK it stays in the queue too. Linux:
 * skb_recv_datagram(). A null is explained by skbRecvError(), except for a pending error, which comes first there too.
 */
export function skbRecvDatagram(sk: Sock, flags: number): SkBuff | null {
  if (sk.err !== 0) return null;
  const queue = sk.receiveQueue;
  if ((flags & MSG_PEEK) === 0) return skbDequeue(queue);
  const skb = queue.head;
  return skb === null ? null : skbGet(skb);
}

/**
 * Why skbRecvDatagram() gave nothing: the pending error, 0 at the end after shutdown(SHUT_RD), else -EAGAIN. A
 * descriptor that is non-blocking hears -EAGAIN in place of the 0, as on Linux.
 */
export function skbRecvError(sk: Sock, flags: number): number {
  if (sk.err !== 0) return sockError(sk);
  if ((sk.shutdown & RCV_SHUTDOWN) !== 0 && (flags & MSG_DONTWAIT) === 0) return 0;
  return -EAGAIN;
}

/** Copies `length` bytes of a packet from `offset` on into the message. Linux: skb_copy_datagram_msg(). */
export function skbCopyDatagramMsg(skb: SkBuff, offset: number, msg: Msghdr, length: number): void {
  const linear = skb.tail - skb.data;
  let left = length;
  let skip = offset;
  if (skip < linear) {
    const chunk = linear - skip < left ? linear - skip : left;
    copyToIter(skb.data + skip, chunk, msg);
    left -= chunk;
    skip = 0;
  } else {
    skip -= linear;
  }
  if (left > 0 && skb.fragList !== null) skbFrags!.copyMsg(skb.fragList, skip, msg, left);
}

/** The same of a chain of fragments: the part of it that is theirs. */
export function skbCopyFragsMsg(frags: SkBuff, offset: number, msg: Msghdr, length: number): void {
  let left = length;
  let skip = offset;
  for (let frag: SkBuff | null = frags; frag !== null && left > 0; frag = frag.next) {
    const size = frag.tail - frag.data;
    if (skip >= size) {
      skip -= size;
      continue;
    }
    const chunk = size - skip < left ? size - skip : left;
    copyToIter(frag.data + skip, chunk, msg);
    left -= chunk;
    skip = 0;
  }
}

/**
 * Copies a datagram from its data on, as far as `length` lets it; one that is longer sets MSG_TRUNC in the message.
 * @returns the bytes copied
 */
export function skbCopyDatagram(skb: SkBuff, msg: Msghdr, length: number): number {
  let copied = skb.len;
  if (length < copied) {
    msg.flags |= MSG_TRUNC;
    copied = length;
  }
  skbCopyDatagramMsg(skb, 0, msg, copied);
  return copied;
}

/** Linux: skb_free_datagram(). */
export function skbFreeDatagram(skb: SkBuff): void {
  consumeSkb(skb);
}

/** Readiness of a socket that is only its two queues, as EPOLL* bits. Linux: datagram_poll(). */
export function datagramPoll(sk: Sock): number {
  let mask = 0;
  if (sk.err !== 0 || sk.errorQueue !== null) mask = EPOLLERR;
  const shutdown = sk.shutdown;
  if (shutdown !== 0) {
    if ((shutdown & RCV_SHUTDOWN) !== 0) mask |= EPOLLRDHUP | EPOLLIN | EPOLLRDNORM;
    if (shutdown === SHUTDOWN_MASK) mask |= EPOLLHUP;
  }
  if (sk.receiveQueue.head !== null) mask |= EPOLLIN | EPOLLRDNORM;
  // sock_writeable(): at least half of the send buffer is free.
  if (sk.wmemAlloc << 1 <= sk.sndbuf) mask |= EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND;
  return mask;
}

/**
 * Opens a control message in `msg.control`; the caller writes its words at the index answered.
 * @returns index of the first value word, or -1 after marking the message MSG_CTRUNC when there is no room. Linux:
 * put_cmsg()
 */
export function putCmsg(msg: Msghdr, level: number, type: number, words: number): number {
  const control = msg.control;
  if (control === null) return -1;
  const at = msg.controllen;
  if (at + 3 + words > control.length) {
    msg.flags |= MSG_CTRUNC;
    return -1;
  }
  control[at] = level;
  control[at + 1] = type;
  control[at + 2] = words;
  msg.controllen = at + 3 + words;
  return at + 3;
}

/** Notes the arrival time of a packet when the socket wants to be told. Linux: net_timestamp_set(). */
export function sockTimestampSet(sk: Sock, skb: SkBuff): void {
  if ((sk.flags & SOCK_TIMESTAMP) !== 0) skb.when = jiffies;
}

/**
 * Puts a packet through the filter that the socket has, and cuts it to what that wants. Linux: sk_filter_trim_cap().
 * @param least bytes that stay in any case @returns false when it is not wanted: dropped and counted
 */
export function sockFilterSkb(sk: Sock, skb: SkBuff, least: number): boolean {
  const wanted = skFilter(sk, skb);
  if (wanted === 0) {
    words[sk.cold + SK_DROPS]!++;
    kfreeSkb(skb, SKB_DROP_REASON_SOCKET_FILTER);
    return false;
  }
  if (wanted < skb.len) pskbTrim(skb, wanted < least ? least : wanted);
  return true;
}

/**
 * SO_TIMESTAMP's control message: arrival as seconds and microseconds, SO_TIMESTAMPNS's as seconds and nanoseconds, of the monotonic
 * clock (a board has no other), which wraps after 2^32 ms. Linux: sock_recv_timestamp(). @param when jiffies of the arrival
 */
export function sockRecvTimestamp(sk: Sock, msg: Msghdr, when: number): void {
  if ((sk.flags & SOCK_TIMESTAMP) === 0) return;
  const nano = (sk.flags & SOCK_TIMESTAMPNS) !== 0;
  const at = putCmsg(msg, SOL_SOCKET, nano ? SCM_TIMESTAMPNS : SCM_TIMESTAMP, 2);
  if (at < 0) return;
  const ms = when < 0 ? when + TWO_32 : when;
  const seconds = (ms / MSEC_PER_SEC) | 0;
  msg.control![at] = seconds;
  msg.control![at + 1] = (ms - seconds * MSEC_PER_SEC) * (nano ? NSEC_PER_MSEC : USEC_PER_MSEC);
}
