/**
 * Netlink messages on their way to sockets: to one, to the members of a group, acknowledgments, and dumps, which go on as
 * the reader reads. Linux: the middle of net/netlink/af_netlink.c, netlink_dump(), netlink_ack(), netlink_rcv_skb(). Owns
 * nothing.
 *
 * A packet carries its sender's port id in `seq` and the group it was sent to in `endSeq` (Linux: NETLINK_CB).
 */
import { memCopy, memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import { SKB_DROP_REASON_SOCKET_RCVBUFF } from "../../uapi/drop-reason.ts";
import { EAGAIN, EBUSY, ECONNREFUSED, EINTR, EMSGSIZE, ENOBUFS } from "../../uapi/errno.ts";
import {
  NLM_F_ACK, NLM_F_ACK_TLVS, NLM_F_CAPPED, NLM_F_MULTI, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NLMSG_HDRLEN,
  NLMSG_MIN_TYPE, NLMSGERR_ATTR_MSG, NLMSGERR_ATTR_OFFS,
} from "../../uapi/netlink.ts";
import { extackAttr, extackMsg, extackReset } from "../core/extack.ts";
import type { Net } from "../core/net.ts";
import { allocSkb, consumeSkb, kfreeSkb, skbBufferBytes, skbClone, skbGet, skbPull, type SkBuff } from "../core/skbuff.ts";
import { skbQueueTail } from "../core/skb-queue.ts";
import { SK_DROPS, type Sock, skbSetOwnerR, sockDefErrorReport, sockDefReadable } from "../core/sock.ts";
import {
  NETLINK_F_CAP_ACK, NETLINK_F_EXT_ACK, NETLINK_F_RECV_NO_ENOBUFS, NETLINK_S_CONGESTED, type NetlinkDump, netlinkFirst,
  netlinkKernelInput, netlinkLookup, netlinkProtocol, type NetlinkSk, type NetlinkSock,
} from "./netlink-sock.ts";
import {
  nlaPutString, nlaPutU32, NLH_FLAGS, NLH_LEN, NLH_SEQ, NLH_TYPE, nlmsgEnd, nlmsgPut, nlAlign,
} from "./nlattr.ts";

/** Bytes of the message that ends a dump. */
const DONE_BYTES = NLMSG_HDRLEN + 4;
/** Bytes of struct nlmsgerr: the error and the header it is about. */
const NLMSGERR_BYTES = 4 + NLMSG_HDRLEN;

/** A packet to fill with messages, as large as there are; null when the pool is empty. Linux: nlmsg_new(). */
export function nlmsgNew(): SkBuff | null {
  const skb = allocSkb(skbBufferBytes);
  if (skb !== null) skb.seq = skb.endSeq = 0;
  return skb;
}

/** A message was lost for that socket: its next read says ENOBUFS. Linux: netlink_overrun(). */
export function netlinkOverrun(sk: NetlinkSk): void {
  const nlk = sk.tp;
  words[sk.cold + SK_DROPS]!++;
  if ((nlk.flags & (NETLINK_F_RECV_NO_ENOBUFS | NETLINK_S_CONGESTED)) !== 0) return;
  nlk.flags |= NETLINK_S_CONGESTED;
  sk.err = ENOBUFS;
  sockDefErrorReport(sk);
}

function netlinkQueue(sk: Sock, skb: SkBuff): void {
  skbSetOwnerR(skb, sk);
  skbQueueTail(sk.receiveQueue, skb);
  sockDefReadable(sk);
}

/**
 * Sends a packet to the socket with that port id, or with 0 to the kernel. The packet is gone.
 * @param from the sending socket, null for the kernel
 * @returns 0, -ECONNREFUSED (nobody there), -EAGAIN (its buffer is full). Linux: netlink_unicast()
 */
export function netlinkUnicast(net: Net, protocol: number, skb: SkBuff, portid: number, from: Sock | null): number {
  if (portid === 0 && from !== null) {
    const input = netlinkKernelInput(protocol);
    if (input !== null) input(skb, from);
    consumeSkb(skb);
    return input === null ? -ECONNREFUSED : 0;
  }
  const sk = netlinkLookup(net, protocol, portid) as NetlinkSk | null;
  if (sk === null) {
    consumeSkb(skb);
    return -ECONNREFUSED;
  }
  if (sk.rmemAlloc > sk.rcvbuf || (sk.tp.flags & NETLINK_S_CONGESTED) !== 0) {
    if (from === null) netlinkOverrun(sk);
    kfreeSkb(skb, SKB_DROP_REASON_SOCKET_RCVBUFF);
    return -EAGAIN;
  }
  netlinkQueue(sk, skb);
  return 0;
}

/**
 * Sends a packet to all of the namespace that have joined the group, except for one port id. The packet is gone.
 * @returns 0, or -ENOBUFS when it was lost for one of them. Linux: netlink_broadcast()
 */
export function netlinkBroadcast(net: Net, protocol: number, skb: SkBuff, except: number, group: number): number {
  const bit = 1 << (group - 1);
  let failed = 0;
  skb.endSeq = group;
  for (let sk = netlinkFirst(protocol); sk !== null; sk = sk.hashNext) {
    const nlk = (sk as NetlinkSk).tp;
    if (sk.net !== net || (nlk.groups & bit) === 0 || (except !== 0 && nlk.portid === except)) continue;
    const full = sk.rmemAlloc > sk.rcvbuf || (nlk.flags & NETLINK_S_CONGESTED) !== 0;
    const copy = full ? null : skbClone(skb);
    if (copy === null) {
      netlinkOverrun(sk as NetlinkSk);
      failed = -ENOBUFS;
    } else {
      netlinkQueue(sk, copy);
    }
  }
  consumeSkb(skb);
  return failed;
}

/**
 * Answers a message with its error, or 0 that it was done: with the message itself unless the socket wants only its header,
 * and with the reason if it wants that. Linux: netlink_ack().
 */
export function netlinkAck(nlh: number, sk: NetlinkSk, error: number): void {
  const nlk = sk.tp;
  const view = memView;
  const skb = nlmsgNew();
  if (skb === null) {
    sk.err = ENOBUFS;
    sockDefErrorReport(sk);
    return;
  }
  const length = view.getInt32(nlh + NLH_LEN, true);
  let quoted = NLMSG_HDRLEN;
  let flags = 0;
  const whole = NLMSG_HDRLEN + 4 + nlAlign(length) <= skbBufferBytes;
  if (error !== 0 && (nlk.flags & NETLINK_F_CAP_ACK) === 0 && whole) quoted = length;
  else flags |= NLM_F_CAPPED;
  const message = extackMsg;
  const tlvs = (nlk.flags & NETLINK_F_EXT_ACK) !== 0 && (message !== null || (error !== 0 && extackAttr !== 0));
  if (tlvs) flags |= NLM_F_ACK_TLVS;
  const payload = NLMSGERR_BYTES - NLMSG_HDRLEN + quoted;
  const at = nlmsgPut(skb, nlk.portid, view.getInt32(nlh + NLH_SEQ, true), NLMSG_ERROR, payload, flags);
  view.setInt32(at + NLMSG_HDRLEN, error, true);
  memCopy(at + NLMSG_HDRLEN + 4, nlh, quoted);
  if (tlvs) {
    if (message !== null) nlaPutString(skb, NLMSGERR_ATTR_MSG, message);
    if (error !== 0 && extackAttr !== 0) nlaPutU32(skb, NLMSGERR_ATTR_OFFS, extackAttr - nlh);
    nlmsgEnd(skb, at);
  }
  netlinkUnicast(sk.net, netlinkProtocol(sk), skb, nlk.portid, null);
}

/**
 * Goes through the messages of a packet from a program and acknowledges them: those that ask for it, and those that fail.
 * @param handle does what the message at that offset says: 0, a negative errno, or -EINTR when it answers later (a dump)
 * Linux: netlink_rcv_skb()
 */
export function netlinkRcvSkb(skb: SkBuff, sk: Sock, handle: (skb: SkBuff, nlh: number, sk: NetlinkSk) => number): void {
  const view = memView;
  while (skb.len >= NLMSG_HDRLEN) {
    const nlh = skb.data;
    const length = view.getInt32(nlh + NLH_LEN, true);
    if (length < NLMSG_HDRLEN || length > skb.len) return;
    const flags = view.getUint16(nlh + NLH_FLAGS, true);
    const request = (flags & NLM_F_REQUEST) !== 0 && view.getUint16(nlh + NLH_TYPE, true) >= NLMSG_MIN_TYPE;
    extackReset();
    const error = request ? handle(skb, nlh, sk as NetlinkSk) : 0;
    if (error !== -EINTR && ((flags & NLM_F_ACK) !== 0 || error !== 0)) netlinkAck(nlh, sk as NetlinkSk, error);
    extackReset();
    const step = nlAlign(length);
    if (step >= skb.len) return;
    skbPull(skb, step);
  }
}

/** The dump of a socket ends. */
export function netlinkDumpEnd(nlk: NetlinkSock): void {
  const request = nlk.request;
  nlk.dump = null;
  nlk.request = null;
  if (request !== null) consumeSkb(request);
}

/**
 * Starts a dump: its first packet is there when the request's sender reads.
 * @returns -EINTR: the answer comes by itself; -EBUSY (another is going on), -ENOBUFS. Linux: netlink_dump_start()
 */
export function netlinkDumpStart(skb: SkBuff, nlh: number, sk: NetlinkSk, dump: NetlinkDump): number {
  const nlk = sk.tp;
  if (nlk.dump !== null) return -EBUSY;
  nlk.dump = dump;
  nlk.request = skbGet(skb);
  nlk.nlh = nlh;
  nlk.seq = memView.getInt32(nlh + NLH_SEQ, true);
  nlk.arg0 = nlk.arg1 = nlk.arg2 = nlk.arg3 = nlk.arg4 = nlk.answerFlags = 0;
  const err = netlinkDumpNext(sk);
  return err < 0 ? err : -EINTR;
}

/**
 * The next packet of a dump, or its end. Linux: netlink_dump().
 * @returns 0, or -ENOBUFS when no packet can be had: the dump is over then
 */
export function netlinkDumpNext(sk: NetlinkSk): number {
  const nlk = sk.tp;
  const dump = nlk.dump;
  if (dump === null || sk.rmemAlloc >= sk.rcvbuf) return 0;
  const skb = nlmsgNew();
  if (skb === null) {
    netlinkDumpEnd(nlk);
    return -ENOBUFS;
  }
  extackReset();
  let result = dump(skb, nlk);
  if (result === -EMSGSIZE && skb.len > 0) {
    netlinkQueue(sk, skb);
    return 0;
  }
  const text = result < 0 && (nlk.flags & NETLINK_F_EXT_ACK) !== 0 ? extackMsg : null;
  const textBytes = text === null ? 0 : nlAlign(text.length + 1) + 4;
  if (skb.tail + DONE_BYTES + textBytes > skb.head + skbBufferBytes) {
    // The end goes in a packet of its own; the function will say the same again.
    netlinkQueue(sk, skb);
    return 0;
  }
  if (result > 0) result = 0;
  const flags = NLM_F_MULTI | nlk.answerFlags | (text === null ? 0 : NLM_F_ACK_TLVS);
  const at = nlmsgPut(skb, nlk.portid, nlk.seq, NLMSG_DONE, 4, flags);
  memView.setInt32(at + NLMSG_HDRLEN, result, true);
  if (text !== null) {
    nlaPutString(skb, NLMSGERR_ATTR_MSG, text);
    nlmsgEnd(skb, at);
  }
  netlinkDumpEnd(nlk);
  netlinkQueue(sk, skb);
  extackReset();
  return 0;
}

/** Begins a message of a dump. Linux: nlmsg_put() with the callback's numbers. */
export function nlmsgPutDump(skb: SkBuff, cb: NetlinkSock, type: number, payload: number): number {
  return nlmsgPut(skb, cb.portid, cb.seq, type, payload, NLM_F_MULTI | cb.answerFlags);
}
