/**
 * What moves data between UNIX sockets: bytes of a stream, and datagrams, each in packet buffers that wait in the receiver's queue
 * and are charged to the sender. Linux: unix_stream_sendmsg(), unix_dgram_sendmsg() and their reading counterparts of
 * net/unix/af_unix.c. Owns nothing.
 */
import { words } from "../../lib/table.ts";
import {
  EAGAIN, ECONNREFUSED, ECONNRESET, EINVAL, EISCONN, EMSGSIZE, ENOBUFS, ENOTCONN, EOPNOTSUPP, EPERM, EPIPE,
} from "../../uapi/errno.ts";
import {
  EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLRDNORM, EPOLLWRBAND, EPOLLWRNORM,
} from "../../uapi/poll.ts";
import { MSG_OOB, MSG_PEEK, MSG_TRUNC, SOCK_STREAM } from "../../uapi/socket.ts";
import { TCP_CLOSE, TCP_ESTABLISHED, TCP_LISTEN } from "../../uapi/tcp.ts";
import { skbCopyDatagram, skbCopyDatagramMsg, skbRecvDatagram, skbRecvError } from "../core/datagram.ts";
import { allocSkb, consumeSkb, skbBufferBytes, type SkBuff, skbPull, skbPut } from "../core/skbuff.ts";
import { skbDequeue, skbQueuePurge, skbQueueTail } from "../core/skb-queue.ts";
import {
  RCV_SHUTDOWN, SEND_SHUTDOWN, SHUTDOWN_MASK, SK_MAX_ACK_BACKLOG, SK_TYPE, skbSetOwnerW, skStreamWake, type Sock, SOCK_DEAD,
  sockDefReadable, sockDefWakeup, sockError,
} from "../core/sock.ts";
import { copyFromIter, type Msghdr, type SockaddrUn } from "../core/sockaddr.ts";
import type { Socket } from "../core/socket.ts";
import { unixFindOther, unixForEachPeer, unixFound, unixGetName, unixSetPeer, type UnixSk } from "./unix-sock.ts";

/** Linux: unix_writable(): no listener, and at least three quarters of the send buffer are free. */
function writable(sk: Sock): boolean {
  return sk.state !== TCP_LISTEN && sk.wmemAlloc << 2 <= sk.sndbuf;
}

/** Linux: unix_write_space(). */
export function unixWriteSpace(sk: Sock): void {
  if (writable(sk)) skStreamWake(sk);
}

/** Does a socket take messages from this one? One that is connected takes those of its peer. Linux: unix_may_send(). */
export function unixMaySend(sk: Sock, other: UnixSk): boolean {
  return other.inet.peer === null || other.inet.peer === sk;
}

function queueFull(sk: Sock): boolean {
  return sk.receiveQueue.qlen > words[sk.cold + SK_MAX_ACK_BACKLOG]!;
}

/** A packet with the next `length` bytes of a message, charged to the sender; null when there is none to be had. */
function messageSkb(sk: Sock, msg: Msghdr, length: number): SkBuff | null {
  const skb = allocSkb(length);
  if (skb === null) return null;
  if (copyFromIter(skbPut(skb, length), msg, length) !== length) {
    consumeSkb(skb);
    return null;
  }
  skbSetOwnerW(skb, sk);
  return skb;
}

/**
 * As many bytes as the send buffer takes. Linux: unix_stream_sendmsg().
 * @returns their number, or -EPIPE (the other end is closed or does not read), -EAGAIN, -ENOTCONN, -EISCONN and -EOPNOTSUPP (a
 *   name is given), -ENOBUFS
 */
export function unixStreamSendmsg(sock: Socket, msg: Msghdr, length: number): number {
  const sk = sock.sk as UnixSk;
  if ((msg.flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
  if (msg.name !== null) return sk.state === TCP_ESTABLISHED ? -EISCONN : -EOPNOTSUPP;
  const peer = sk.inet.peer;
  if (peer === null) return -ENOTCONN;
  if ((sk.shutdown & SEND_SHUTDOWN) !== 0) return -EPIPE;
  let sent = 0;
  while (sent < length) {
    if ((peer.shutdown & RCV_SHUTDOWN) !== 0 || ((peer.flags & SOCK_DEAD) !== 0 && peer.state === TCP_CLOSE)) {
      return sent > 0 ? sent : -EPIPE;
    }
    if (sk.wmemAlloc >= sk.sndbuf) {
      sock.noSpace = true;
      return sent > 0 ? sent : -EAGAIN;
    }
    const left = length - sent;
    const chunk = left < skbBufferBytes ? left : skbBufferBytes;
    const skb = messageSkb(sk, msg, chunk);
    if (skb === null) {
      sock.noSpace = true;
      return sent > 0 ? sent : -ENOBUFS;
    }
    skbQueueTail(peer.receiveQueue, skb);
    sockDefReadable(peer);
    sent += chunk;
  }
  return sent;
}

/** Reads what is there. Linux: unix_stream_recvmsg(). 0 at the end; -EINVAL when not connected, -EAGAIN, the pending error. */
export function unixStreamRecvmsg(sock: Socket, msg: Msghdr, length: number, flags: number): number {
  const sk = sock.sk as UnixSk;
  if ((flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
  if (sk.state !== TCP_ESTABLISHED) return -EINVAL;
  const queue = sk.receiveQueue;
  let copied = 0;
  let skb = queue.head;
  while (skb !== null && copied < length) {
    const chunk = skb.len < length - copied ? skb.len : length - copied;
    skbCopyDatagramMsg(skb, 0, msg, chunk);
    copied += chunk;
    if ((flags & MSG_PEEK) !== 0) {
      skb = skb.next;
      continue;
    }
    if (chunk < skb.len) {
      skbPull(skb, chunk);
    } else {
      skbDequeue(queue);
      consumeSkb(skb);
    }
    skb = queue.head;
  }
  if (copied > 0 || (length === 0 && skb !== null)) return copied;
  if (sk.err !== 0) return sockError(sk);
  return (sk.shutdown & RCV_SHUTDOWN) !== 0 ? 0 : -EAGAIN;
}

/**
 * A datagram socket has another peer from now on, or with null none. What it has not read is lost, and the old one is told of that if
 * it still sends here. Linux: unix_dgram_disconnected() and what calls it.
 */
export function unixDgramSetPeer(sk: UnixSk, peer: UnixSk | null): void {
  const old = sk.inet.peer as UnixSk | null;
  if (old !== null && old !== peer && sk.receiveQueue.head !== null) {
    const full = queueFull(sk);
    skbQueuePurge(sk.receiveQueue);
    if (full) unixForEachPeer(sk, unixWriteSpace);
    if ((old.flags & SOCK_DEAD) === 0 && old.inet.peer === sk) {
      old.err = ECONNRESET;
      sockDefWakeup(old);
    }
  }
  unixSetPeer(sk, peer);
  sk.state = peer === null ? TCP_CLOSE : TCP_ESTABLISHED;
}

/**
 * One message to the name or the peer. Linux: unix_dgram_sendmsg().
 * @returns `length`, or -ENOTCONN, -ECONNREFUSED (nobody has the name, or the peer is closed), -ENOENT, -EPROTOTYPE, -EPERM (it
 *   is connected to another), -EPIPE (it does not read), -EMSGSIZE, -EAGAIN (its queue or the send buffer is full), -ENOBUFS
 */
export function unixDgramSendmsg(sock: Socket, msg: Msghdr, length: number): number {
  const sk = sock.sk as UnixSk;
  if ((msg.flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
  const name = msg.name as SockaddrUn | null;
  if (length > skbBufferBytes || length > sk.sndbuf) return -EMSGSIZE;
  // What is wrong on this side comes before the name is looked up.
  if (sk.err !== 0) return sockError(sk);
  if ((sk.shutdown & SEND_SHUTDOWN) !== 0) return -EPIPE;
  if (sk.wmemAlloc >= sk.sndbuf) {
    sock.noSpace = true;
    return -EAGAIN;
  }
  if (name === null && sk.inet.peer === null) return -ENOTCONN;
  const err = name === null ? 0 : unixFindOther(sk, name);
  if (err < 0) return err;
  const other = name !== null ? unixFound() : sk.inet.peer as UnixSk;
  if (!unixMaySend(sk, other)) return -EPERM;
  if ((other.flags & SOCK_DEAD) !== 0) {
    unixDgramSetPeer(sk, null);
    return -ECONNREFUSED;
  }
  if ((other.shutdown & RCV_SHUTDOWN) !== 0) return -EPIPE;
  if (queueFull(other)) {
    sock.noSpace = true;
    return -EAGAIN;
  }
  const skb = messageSkb(sk, msg, length);
  if (skb === null) return -ENOBUFS;
  skbQueueTail(other.receiveQueue, skb);
  sockDefReadable(other);
  return length;
}

/** Reads the next message, its sender's name with it. Linux: unix_dgram_recvmsg(). */
export function unixDgramRecvmsg(sock: Socket, msg: Msghdr, length: number, flags: number): number {
  const sk = sock.sk as UnixSk;
  if ((flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
  const full = queueFull(sk);
  const skb = skbRecvDatagram(sk, flags);
  if (skb === null) return skbRecvError(sk, flags);
  const whole = skb.len;
  const copied = skbCopyDatagram(skb, msg, length);
  if (msg.name !== null) unixGetName((skb.sk as UnixSk).inet, msg.name as SockaddrUn);
  consumeSkb(skb);
  if (full && !queueFull(sk)) unixForEachPeer(sk, unixWriteSpace);
  return (flags & MSG_TRUNC) !== 0 ? whole : copied;
}

/** Linux: unix_poll(), unix_dgram_poll(). */
export function unixPoll(sock: Socket): number {
  const sk = sock.sk as UnixSk;
  const u = sk.inet;
  const stream = words[sk.cold + SK_TYPE] === SOCK_STREAM;
  let mask = sk.err !== 0 ? EPOLLERR : 0;
  if (sk.shutdown === SHUTDOWN_MASK) mask |= EPOLLHUP;
  if ((sk.shutdown & RCV_SHUTDOWN) !== 0) mask |= EPOLLRDHUP | EPOLLIN | EPOLLRDNORM;
  if (sk.receiveQueue.head !== null || u.waiting !== null) mask |= EPOLLIN | EPOLLRDNORM;
  if (stream && sk.state === TCP_CLOSE) mask |= EPOLLHUP;
  const peerFull = !stream && u.peer !== null && queueFull(u.peer);
  if (writable(sk) && !peerFull) mask |= EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND;
  return mask;
}
