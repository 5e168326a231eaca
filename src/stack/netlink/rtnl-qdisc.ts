/**
 * Queueing disciplines over rtnetlink: RTM_NEWQDISC, RTM_DELQDISC, the dump, and notifications to RTNLGRP_TC. Linux: tc_modify_qdisc(),
 * tc_get_qdisc() and tc_dump_qdisc() of net/sched/sch_api.c. Owns nothing. What the kinds say of themselves is in rtnl-qdisc-kinds.ts.
 *
 * A device has one discipline, its root; there are no classes. What one has sent is what the device has sent since it has it.
 */
import { memView } from "../../lib/memory.ts";
import { devGetByIndex } from "../../netif/dev.ts";
import { qdiscReset } from "../../netif/sched/sch-api.ts";
import { EEXIST, EINVAL, EMSGSIZE, ENODEV, ENOENT } from "../../uapi/errno.ts";
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NLMSG_HDRLEN } from "../../uapi/netlink.ts";
import {
  GNET_STATS_BASIC_BYTES, GNET_STATS_QUEUE_BYTES, TC_H_MIN_MASK, TC_H_ROOT, TCA_KIND, TCA_MAX, TCA_OPTIONS, TCA_STATS2, TCA_STATS_BASIC,
  TCA_STATS_QUEUE, TCM_HANDLE, TCM_IFINDEX, TCM_INFO, TCM_PARENT, TCMSG_BYTES,
} from "../../uapi/pkt-sched.ts";
import { RTM_DELQDISC, RTM_GETQDISC, RTM_NEWQDISC, RTNLGRP_TC } from "../../uapi/rtnetlink.ts";
import { AF_UNSPEC } from "../../uapi/socket.ts";
import { nlErrMsg } from "../core/extack.ts";
import type { NetDevice, Qdisc } from "../core/net-device.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { nlmsgPutDump } from "./netlink-deliver.ts";
import type { NetlinkSk, NetlinkSock } from "./netlink-sock.ts";
import {
  nlaGet, nlaNestEnd, nlaNestStart, nlaParse, nlaPut, nlaPutString, nlaStrEquals, nlmsgFinish, nlmsgPut,
} from "./nlattr.ts";
import { qdiscBacklog, qdiscChange, qdiscCreate, qdiscPutOptions } from "./rtnl-qdisc-kinds.ts";
import { nlmsgFlags, nlmsgHeaderOk, nlmsgLength, rtnlHasListeners, rtnlNotify, rtnlRegister, rtnlSkb } from "./rtnetlink.ts";

const ATTRS = NLMSG_HDRLEN + TCMSG_BYTES;
/** Who holds the root of a device: the device and its only queue. */
const REFCNT = 2;

/** Netlink starts: disciplines can be asked for and changed. */
export function rtnlQdiscInit(): void {
  rtnlRegister(RTM_NEWQDISC, AF_UNSPEC, qdiscNew, null);
  rtnlRegister(RTM_DELQDISC, AF_UNSPEC, qdiscDel, null);
  rtnlRegister(RTM_GETQDISC, AF_UNSPEC, null, qdiscDump);
}

function policy(): number {
  return 0;
}

/** The number of a discipline; 0 of what a device came with. */
function handleOf(qdisc: Qdisc | null): number {
  return qdisc?.info?.handle ?? 0;
}

/** Reads the attributes of a message: 0 or a negative errno. */
function parse(nlh: number): number {
  const err = nlmsgHeaderOk(nlh, TCMSG_BYTES);
  return err !== 0 ? err : nlaParse(nlh + ATTRS, nlh + nlmsgLength(nlh), TCA_MAX, policy);
}

function deviceOf(nlh: number, sk: NetlinkSk): NetDevice | null {
  return devGetByIndex(sk.net, memView.getInt32(nlh + NLMSG_HDRLEN + TCM_IFINDEX, true));
}

/** Does the message name another kind than that one's? A device without a queue has "noqueue". */
function otherKind(qdisc: Qdisc | null): boolean {
  const kind = nlaGet(TCA_KIND);
  return kind !== 0 && !nlaStrEquals(kind, qdisc === null ? "noqueue" : qdisc.id);
}

/** RTM_NEWQDISC: changes the root of a device, or makes another one. */
function qdiscNew(_skb: SkBuff, nlh: number, sk: NetlinkSk): number {
  const err = parse(nlh);
  if (err !== 0) return err;
  const dev = deviceOf(nlh, sk);
  if (dev === null) return -ENODEV;
  const flags = nlmsgFlags(nlh);
  const handle = memView.getUint32(nlh + NLMSG_HDRLEN + TCM_HANDLE, true);
  const parent = memView.getInt32(nlh + NLMSG_HDRLEN + TCM_PARENT, true);
  const root = dev.qdiscSleeping;
  const known = handleOf(root);
  if (parent === 0) {
    if (handle === 0) return nlErrMsg(-EINVAL, "Handle cannot be zero");
    if (handle !== known) return nlErrMsg(-ENOENT, "Specified qdisc not found");
  } else if (parent !== TC_H_ROOT) {
    return nlErrMsg(-ENOENT, "Failed to find specified qdisc");
  } else if (handle !== 0 && handle !== known) {
    if (known !== 0 && (flags & NLM_F_REPLACE) === 0) return nlErrMsg(-EEXIST, "NLM_F_REPLACE needed to override");
    if ((handle & TC_H_MIN_MASK) !== 0) return nlErrMsg(-EINVAL, "Invalid minor handle");
    return createQdisc(dev, nlh, flags, handle);
  } else if (known === 0) {
    return createQdisc(dev, nlh, flags, handle);
  } else if (handle === 0 && otherKind(root) && (flags & NLM_F_EXCL) === 0) {
    return createQdisc(dev, nlh, flags | NLM_F_CREATE, 0);
  }
  if ((flags & NLM_F_EXCL) !== 0) return nlErrMsg(-EEXIST, "Exclusivity flag on, cannot modify");
  if (otherKind(root)) return nlErrMsg(-EINVAL, "Invalid qdisc name: must match existing qdisc");
  const changed = qdiscChange(root, nlaGet(TCA_OPTIONS));
  if (changed === 0) notify(dev, null, 0, root);
  return changed;
}

function createQdisc(dev: NetDevice, nlh: number, flags: number, handle: number): number {
  if ((flags & NLM_F_CREATE) === 0) return nlErrMsg(-ENOENT, "Qdisc not found. To create specify NLM_F_CREATE flag");
  const old = dev.qdiscSleeping;
  const oldHandle = handleOf(old);
  const kind = nlaGet(TCA_KIND);
  if (kind === 0) return -ENOENT;
  const err = qdiscCreate(dev, kind, nlaGet(TCA_OPTIONS), handle);
  if (err === 0) notify(dev, old, oldHandle, dev.qdiscSleeping);
  return err;
}

/** RTM_DELQDISC: the device has what it came with. */
function qdiscDel(_skb: SkBuff, nlh: number, sk: NetlinkSk): number {
  const err = parse(nlh);
  if (err !== 0) return err;
  const dev = deviceOf(nlh, sk);
  if (dev === null) return -ENODEV;
  const handle = memView.getUint32(nlh + NLMSG_HDRLEN + TCM_HANDLE, true);
  const parent = memView.getInt32(nlh + NLMSG_HDRLEN + TCM_PARENT, true);
  const root = dev.qdiscSleeping;
  const known = handleOf(root);
  if (parent === 0) {
    const found = handle !== 0 && handle === known;
    return found ? nlErrMsg(-EINVAL, "Classid cannot be zero") : nlErrMsg(-ENOENT, "Failed to find qdisc with specified handle");
  }
  if (parent !== TC_H_ROOT) return nlErrMsg(-ENOENT, "Failed to find qdisc with specified classid");
  if (handle !== 0 && handle !== known) return nlErrMsg(-EINVAL, "Invalid handle");
  if (otherKind(root)) return nlErrMsg(-EINVAL, "Invalid qdisc name: must match existing qdisc");
  if (known === 0) return nlErrMsg(-ENOENT, "Cannot delete qdisc with handle of zero");
  qdiscReset(dev);
  notify(dev, root, known, null);
  return 0;
}

function putCounter(at: number, value: number): void {
  memView.setInt32(at, value | 0, true);
  memView.setInt32(at + 4, Math.floor(value / 4294967296), true);
}

/** What a discipline has sent and what waits in it. Linux: gnet_stats_copy_basic(), gnet_stats_copy_queue(). */
function putStats(skb: SkBuff, dev: NetDevice, qdisc: Qdisc | null): boolean {
  const nest = nlaNestStart(skb, TCA_STATS2);
  const basic = nest < 0 ? -1 : nlaPut(skb, TCA_STATS_BASIC, GNET_STATS_BASIC_BYTES);
  if (basic < 0) return false;
  const info = qdisc?.info;
  putCounter(basic, qdisc === null ? 0 : dev.stats.txBytes - (info?.bytes ?? 0));
  putCounter(basic + 8, qdisc === null ? 0 : dev.stats.txPackets - (info?.packets ?? 0));
  const queue = nlaPut(skb, TCA_STATS_QUEUE, GNET_STATS_QUEUE_BYTES);
  if (queue < 0) return false;
  memView.setInt32(queue, qdisc === null ? 0 : qdisc.qlen, true);
  memView.setInt32(queue + 4, qdiscBacklog(qdisc), true);
  memView.setInt32(queue + 8, qdisc === null ? 0 : qdisc.drops, true);
  memView.setInt32(queue + 12, qdisc === null ? 0 : qdisc.requeues, true);
  memView.setInt32(queue + 16, qdisc?.overlimits ?? 0, true);
  nlaNestEnd(skb, nest);
  return true;
}

/** Writes a discipline behind the header `nlh`: 0, or -EMSGSIZE after taking it back. Linux: tc_fill_qdisc(). */
function fillQdisc(skb: SkBuff, nlh: number, dev: NetDevice, qdisc: Qdisc | null, handle: number): number {
  if (nlh < 0) return -EMSGSIZE;
  const at = nlh + NLMSG_HDRLEN;
  memView.setInt32(at + TCM_IFINDEX, dev.ifindex, true);
  memView.setInt32(at + TCM_HANDLE, handle | 0, true);
  memView.setInt32(at + TCM_PARENT, TC_H_ROOT, true);
  memView.setInt32(at + TCM_INFO, REFCNT, true);
  const fits = nlaPutString(skb, TCA_KIND, qdisc === null ? "noqueue" : qdisc.id) && qdiscPutOptions(skb, qdisc) && putStats(skb, dev, qdisc);
  return nlmsgFinish(skb, nlh, fits);
}

/** The disciplines of all devices that have been up once; arg0 is the last one told. Linux: tc_dump_qdisc(). */
function qdiscDump(skb: SkBuff, cb: NetlinkSock): number {
  for (let dev = cb.net!.devices; dev !== null; dev = dev.nextDev) {
    const qdisc = dev.qdiscSleeping;
    if (dev.ifindex <= cb.arg0 || qdisc?.id === "noop") continue;
    const err = fillQdisc(skb, nlmsgPutDump(skb, cb, RTM_NEWQDISC, TCMSG_BYTES), dev, qdisc, handleOf(qdisc));
    if (err !== 0) return err;
    cb.arg0 = dev.ifindex;
  }
  return 0;
}

/** Tells the group that one discipline has gone and another has come or changed. Linux: qdisc_notify(). */
function notify(dev: NetDevice, old: Qdisc | null, oldHandle: number, now: Qdisc | null): void {
  const net = dev.net!;
  const skb = rtnlHasListeners(net, RTNLGRP_TC) ? rtnlSkb() : null;
  if (skb === null) return;
  let filled = 0;
  if (oldHandle !== 0) filled = fillQdisc(skb, nlmsgPut(skb, 0, 0, RTM_DELQDISC, TCMSG_BYTES, 0), dev, old, oldHandle);
  if (handleOf(now) !== 0) filled |= fillQdisc(skb, nlmsgPut(skb, 0, 0, RTM_NEWQDISC, TCMSG_BYTES, 0), dev, now, handleOf(now));
  rtnlNotify(net, skb, RTNLGRP_TC, filled);
}
