/**
 * What the kinds of queueing disciplines read from messages and tell of themselves: pfifo, tbf and pfifo_fast. Linux:
 * fifo_init(), tbf_change(), tbf_dump() and pfifo_fast_dump() of net/sched. Owns nothing.
 *
 * Rates and sizes are bytes here and in the disciplines; in messages a bucket's size is the time that it takes at its rate, in units
 * of 64 ns. Overhead, a smallest size and link layers other than Ethernet are not there, and messages that ask for them are refused.
 */
import { mem8, memView } from "../../lib/memory.ts";
import { qdiscSetPfifo, qdiscSetPfifoFast, qdiscSetTbf, tbfOk } from "../../netif/sched/sch-api.ts";
import { Pfifo, pfifoChange } from "../../netif/sched/pfifo.ts";
import { PfifoFast, PRIO2BAND } from "../../netif/sched/pfifo-fast.ts";
import { Tbf, tbfChange } from "../../netif/sched/tbf.ts";
import { EINVAL, ENOENT, EOPNOTSUPP } from "../../uapi/errno.ts";
import { NLA_HDRLEN } from "../../uapi/netlink.ts";
import {
  PSCHED_TICK_NS, TC_LINKLAYER_ETHERNET, TC_PRIO_QOPT_BYTES, TC_RATESPEC_LINKLAYER, TC_RATESPEC_MPU, TC_RATESPEC_OVERHEAD, TC_RATESPEC_RATE,
  TC_TBF_BUFFER, TC_TBF_LIMIT, TC_TBF_MTU, TC_TBF_PEAKRATE, TC_TBF_QOPT_BYTES, TCA_OPTIONS, TCA_TBF_BURST, TCA_TBF_PARMS, TCA_TBF_PBURST,
  TCA_TBF_PRATE64, TCA_TBF_RATE64,
} from "../../uapi/pkt-sched.ts";
import { nlErrMsg } from "../core/extack.ts";
import type { NetDevice, Qdisc } from "../core/net-device.ts";
import type { SkBuff } from "../core/skbuff.ts";
import type { SkbQueue } from "../core/skb-queue.ts";
import { nlaFindNested, nlaLen, nlaNestEnd, nlaNestStart, nlaPut, nlaPutU32, nlaStrEquals } from "./nlattr.ts";

const NS_PER_SECOND = 1e9;
/** A rate that fits 32 bits is told in them alone. */
const U32_MAX = 0xffffffff;
const BANDS = 3;
const PRIORITIES = 16;

/** What a message asks of a tbf, as tbfRead() found it. */
let rate: number;
let burst: number;
let limit: number;
let peak: number;
let mtu: number;

/** A number of 64 bits. */
function getU64(at: number): number {
  return memView.getUint32(at, true) + memView.getUint32(at + 4, true) * 4294967296;
}

function rateOf(options: number, spec: number, type64: number): number {
  const wide = nlaFindNested(options, type64);
  return wide !== 0 && nlaLen(wide) >= 8 ? getU64(wide + NLA_HDRLEN) : memView.getUint32(spec + TC_RATESPEC_RATE, true);
}

/** Bytes of a bucket: said as such, or as the time that they take. Linux: psched_ns_t2l(). */
function bucketOf(options: number, type: number, ticks: number, bytesPerSecond: number): number {
  const said = nlaFindNested(options, type);
  if (said !== 0 && nlaLen(said) >= 4) return memView.getUint32(said + NLA_HDRLEN, true);
  return Math.floor((ticks * PSCHED_TICK_NS * bytesPerSecond) / NS_PER_SECOND);
}

function plainRate(spec: number): boolean {
  return memView.getUint16(spec + TC_RATESPEC_OVERHEAD, true) === 0 && memView.getUint16(spec + TC_RATESPEC_MPU, true) === 0
    && mem8[spec + TC_RATESPEC_LINKLAYER]! <= TC_LINKLAYER_ETHERNET;
}

/** Reads the numbers of a tbf: 0 or a negative errno. */
function tbfRead(options: number): number {
  const parms = options === 0 ? 0 : nlaFindNested(options, TCA_TBF_PARMS);
  if (parms === 0 || nlaLen(parms) < TC_TBF_QOPT_BYTES) return -EINVAL;
  const qopt = parms + NLA_HDRLEN;
  if (!plainRate(qopt) || !plainRate(qopt + TC_TBF_PEAKRATE)) return nlErrMsg(-EOPNOTSUPP, "Rates have no overhead here");
  rate = rateOf(options, qopt, TCA_TBF_RATE64);
  peak = rateOf(options, qopt + TC_TBF_PEAKRATE, TCA_TBF_PRATE64);
  limit = memView.getUint32(qopt + TC_TBF_LIMIT, true);
  burst = bucketOf(options, TCA_TBF_BURST, memView.getUint32(qopt + TC_TBF_BUFFER, true), rate);
  mtu = peak === 0 ? 0 : bucketOf(options, TCA_TBF_PBURST, memView.getUint32(qopt + TC_TBF_MTU, true), peak);
  return tbfOk(rate, burst, limit, peak, mtu) ? 0 : -EINVAL;
}

/** The limit that a message gives a pfifo; -1 for none, or -EINVAL. */
function pfifoLimit(options: number): number {
  if (options === 0) return -1;
  return nlaLen(options) < 4 ? -EINVAL : memView.getUint32(options + NLA_HDRLEN, true);
}

/**
 * Gives a device a discipline of the kind that an attribute names. Allocates.
 * @returns 0, -ENOENT (no such kind), -EINVAL, -EOPNOTSUPP
 */
export function qdiscCreate(dev: NetDevice, kind: number, options: number, handle: number): number {
  if (nlaStrEquals(kind, "pfifo")) {
    const packets = pfifoLimit(options);
    return packets === -EINVAL ? -EINVAL : qdiscSetPfifo(dev, packets < 0 ? undefined : packets, handle);
  }
  if (nlaStrEquals(kind, "tbf")) {
    const err = tbfRead(options);
    return err !== 0 ? err : qdiscSetTbf(dev, rate, burst, limit, peak, mtu, handle);
  }
  if (nlaStrEquals(kind, "pfifo_fast")) return qdiscSetPfifoFast(dev, handle);
  return nlErrMsg(-ENOENT, "Specified qdisc kind is unknown");
}

/** Changes one that is there: 0 or a negative errno. Linux: qdisc_change(). */
export function qdiscChange(qdisc: Qdisc | null, options: number): number {
  if (options === 0) return 0;
  if (qdisc instanceof Pfifo) {
    const packets = pfifoLimit(options);
    if (packets < 0) return -EINVAL;
    pfifoChange(qdisc, packets);
    return 0;
  }
  if (!(qdisc instanceof Tbf)) return nlErrMsg(-EINVAL, "Change operation not supported by specified qdisc");
  const err = tbfRead(options);
  if (err === 0) tbfChange(qdisc, rate, burst, limit, peak, mtu);
  return err;
}

/** Sixty-four nanoseconds that so many bytes take, rounded as Linux does. Linux: psched_l2t_ns(). */
function ticksOf(bytes: number, bytesPerSecond: number): number {
  let shift = 0;
  let mult = Math.floor(NS_PER_SECOND / bytesPerSecond);
  while (mult < 0x80000000 && shift < 33) {
    shift++;
    mult = Math.floor((NS_PER_SECOND * 2 ** shift) / bytesPerSecond);
  }
  return Math.floor(Math.floor((bytes * mult) / 2 ** shift) / PSCHED_TICK_NS);
}

function putRate(at: number, bytesPerSecond: number): void {
  memView.setInt32(at, 0, true);
  memView.setInt32(at + 4, 0, true);
  if (bytesPerSecond > 0) mem8[at + TC_RATESPEC_LINKLAYER] = TC_LINKLAYER_ETHERNET;
  memView.setInt32(at + TC_RATESPEC_RATE, bytesPerSecond > U32_MAX ? -1 : bytesPerSecond | 0, true);
}

function putRate64(skb: SkBuff, type: number, bytesPerSecond: number): boolean {
  if (bytesPerSecond <= U32_MAX) return true;
  const at = nlaPut(skb, type, 8);
  if (at < 0) return false;
  memView.setInt32(at, bytesPerSecond | 0, true);
  memView.setInt32(at + 4, Math.floor(bytesPerSecond / 4294967296), true);
  return true;
}

/** Linux: tbf_dump(). */
function putTbf(skb: SkBuff, tbf: Tbf): boolean {
  const nest = nlaNestStart(skb, TCA_OPTIONS);
  const at = nest < 0 ? -1 : nlaPut(skb, TCA_TBF_PARMS, TC_TBF_QOPT_BYTES);
  if (at < 0) return false;
  putRate(at, tbf.rate);
  putRate(at + TC_TBF_PEAKRATE, tbf.peak);
  memView.setInt32(at + TC_TBF_LIMIT, tbf.limit | 0, true);
  memView.setInt32(at + TC_TBF_BUFFER, ticksOf(tbf.burst, tbf.rate) | 0, true);
  memView.setInt32(at + TC_TBF_MTU, tbf.peak === 0 ? 0 : ticksOf(tbf.mtu, tbf.peak) | 0, true);
  if (!putRate64(skb, TCA_TBF_RATE64, tbf.rate) || !putRate64(skb, TCA_TBF_PRATE64, tbf.peak)) return false;
  nlaNestEnd(skb, nest);
  return true;
}

/** Linux: pfifo_fast_dump(). */
function putPriomap(skb: SkBuff): boolean {
  const at = nlaPut(skb, TCA_OPTIONS, TC_PRIO_QOPT_BYTES);
  if (at < 0) return false;
  memView.setInt32(at, BANDS, true);
  for (let i = 0; i < PRIORITIES; i++) mem8[at + 4 + i] = PRIO2BAND[i]!;
  return true;
}

/** Writes the options of a discipline, if its kind has any; false when there is no room. */
export function qdiscPutOptions(skb: SkBuff, qdisc: Qdisc | null): boolean {
  if (qdisc instanceof Pfifo) return nlaPutU32(skb, TCA_OPTIONS, qdisc.limit);
  if (qdisc instanceof Tbf) return putTbf(skb, qdisc);
  return !(qdisc instanceof PfifoFast) || putPriomap(skb);
}

function bytesIn(queue: SkbQueue): number {
  let sum = 0;
  for (let skb = queue.head; skb !== null; skb = skb.next) sum += skb.len;
  return sum;
}

/** Bytes that wait. */
export function qdiscBacklog(qdisc: Qdisc | null): number {
  if (qdisc instanceof Pfifo) return bytesIn(qdisc.queue);
  if (qdisc instanceof Tbf) return qdisc.backlog + (qdisc.returned?.len ?? 0);
  return qdisc instanceof PfifoFast ? bytesIn(qdisc.band0) + bytesIn(qdisc.band1) + bytesIn(qdisc.band2) : 0;
}
