/**
 * fib_info that routes share. Linux: fib_find_info(), fib_create_info(), fib_release_info() of net/ipv4/fib_semantics.c. Routes of
 * equal content have the same one, counted by the number of routes. Owns the hash by content, the rows of metrics and of further
 * next hops.
 */
import { jhash3words } from "../../lib/jhash.ts";
import { rowAlloc, rowFree } from "../../lib/pool.ts";
import { words } from "../../lib/table.ts";
import { ENOBUFS } from "../../uapi/errno.ts";
import { RTAX_MAX } from "../../uapi/rtnetlink.ts";
import type { Net } from "../core/net.ts";
import { type FibConfig, FIB_NH_GW, FIB_NH_INTS, FIB_NH_OIF } from "./fib-config.ts";
import { FI_INTS, fibHash, fibHashMask, fibInfoRows, fibMetricRows, fibWanted } from "./fib-memory.ts";
import {
  FI_FLAGS, FI_METRICS, FI_MTU, FI_NEXT, FI_PREFSRC, FI_PRIORITY, FI_REFS, FI_WORD, fibRebalance, fibWorkOut, NH_GW, NH_NEXT, NH_OIF,
  NH_STATE, NH_WORD, nhForget,
} from "./fib-semantics.ts";

/** Frees the further next hops of a row. */
function freeFurther(fi: number): void {
  let nh = words[fi + NH_NEXT]!;
  words[fi + NH_NEXT] = 0;
  while (nh !== 0) {
    const next = words[nh + NH_NEXT]!;
    rowFree(fibInfoRows, nh);
    nh = next;
  }
}

function hashOf(fi: number): number {
  const place = jhash3words(words[fi + NH_OIF]!, words[fi + NH_GW]!, words[fi + FI_PREFSRC]!, words[fi + FI_WORD]!);
  return fibHash + ((place ^ words[fi + FI_PRIORITY]!) & fibHashMask);
}

/** Linux: nh_comp(). */
function sameNexthops(a: number, b: number): boolean {
  let nhA = a;
  let nhB = b;
  do {
    if (
      words[nhA + NH_OIF] !== words[nhB + NH_OIF] || words[nhA + NH_GW] !== words[nhB + NH_GW]
      || ((words[nhA + NH_WORD]! ^ words[nhB + NH_WORD]!) & ~NH_STATE) !== 0
    ) {
      return false;
    }
    nhA = words[nhA + NH_NEXT]!;
    nhB = words[nhB + NH_NEXT]!;
  } while (nhA !== 0 && nhB !== 0);
  return nhA === nhB;
}

/** Are its other metrics those? Linux: fib_metrics_match(). */
function sameMetrics(fi: number, metrics: Int32Array | null): boolean {
  const row = words[fi + FI_METRICS]!;
  if (metrics === null) return row === 0;
  for (let i = 1; i <= RTAX_MAX; i++) if (metrics[i] !== (row === 0 ? 0 : words[row + i])) return false;
  return true;
}

function sameContent(fi: number, metrics: Int32Array | null): boolean {
  return words[fi + FI_WORD] === words[fibWanted + FI_WORD] && words[fi + FI_PRIORITY] === words[fibWanted + FI_PRIORITY]
    && words[fi + FI_PREFSRC] === words[fibWanted + FI_PREFSRC] && words[fi + FI_MTU] === words[fibWanted + FI_MTU]
    && ((words[fi + FI_FLAGS]! ^ words[fibWanted + FI_FLAGS]!) & ~NH_STATE) === 0
    && sameNexthops(fi, fibWanted) && sameMetrics(fi, metrics);
}

/** Linux: fib_find_info(). */
function findInfo(head: number, metrics: Int32Array | null): number {
  let fi = words[head]!;
  while (fi !== 0 && !sameContent(fi, metrics)) fi = words[fi + FI_NEXT]!;
  return fi;
}

/** A row with the metrics; 0 when there are none, -1 when there is no row for them. */
function keepMetrics(metrics: Int32Array | null): number {
  if (metrics === null) return 0;
  let any = 0;
  for (let i = 1; i <= RTAX_MAX; i++) any |= metrics[i]!;
  if (any === 0) return 0;
  const row = rowAlloc(fibMetricRows!);
  if (row === 0) return -1;
  for (let i = 1; i <= RTAX_MAX; i++) words[row + i] = metrics[i]!;
  return row;
}

/**
 * The fib_info for a route, shared with all others of the same content; a reference is taken for the caller.
 * Linux: fib_create_info().
 * @returns its handle, or a negative errno: -EINVAL (type, scope, flags, prefsrc not local), -ENODEV, -ENETDOWN, -ENETUNREACH (the
 *   gateway is on no link), -ENOBUFS (no row)
 */
export function fibCreateInfo(net: Net, cfg: FibConfig): number {
  const err = fibWorkOut(net, fibWanted, cfg);
  if (err !== 0) {
    freeFurther(fibWanted);
    return err;
  }
  const head = hashOf(fibWanted);
  const known = findInfo(head, cfg.metrics);
  if (known !== 0) {
    freeFurther(fibWanted);
    words[known + FI_REFS]!++;
    return known;
  }
  const fi = rowAlloc(fibInfoRows);
  const metrics = fi === 0 ? 0 : keepMetrics(cfg.metrics);
  if (fi === 0 || metrics < 0) {
    if (fi !== 0) rowFree(fibInfoRows, fi);
    freeFurther(fibWanted);
    return -ENOBUFS;
  }
  words.copyWithin(fi, fibWanted, fibWanted + FI_INTS);
  words[fi + FI_REFS] = 1;
  words[fi + FI_METRICS] = metrics;
  words[fi + FI_NEXT] = words[head]!;
  words[head] = fi;
  fibRebalance(fi);
  return fi;
}

/** A route gives its fib_info back; with the last one it goes, and the rtables it kept. Linux: fib_release_info(). */
export function fibReleaseInfo(fi: number): void {
  const refs = words[fi + FI_REFS]! - 1;
  words[fi + FI_REFS] = refs;
  if (refs > 0) return;
  let link = hashOf(fi);
  while (words[link] !== fi) link = words[link]! + FI_NEXT;
  words[link] = words[fi + FI_NEXT]!;
  for (let nh = fi; nh !== 0; nh = words[nh + NH_NEXT]!) nhForget(nh);
  freeFurther(fi);
  const metrics = words[fi + FI_METRICS]!;
  if (metrics !== 0) rowFree(fibMetricRows!, metrics);
  rowFree(fibInfoRows, fi);
}

/** Does a route with that fib_info match the next hops asked to be deleted? Linux: fib_nh_match(). */
export function fibMatchesNexthops(cfg: FibConfig, fi: number): boolean {
  if (cfg.priority !== 0 && cfg.priority !== words[fi + FI_PRIORITY]) return false;
  if (cfg.oif !== 0 || cfg.gw !== 0) {
    return (cfg.oif === 0 || cfg.oif === words[fi + NH_OIF]) && (cfg.gw === 0 || cfg.gw === words[fi + NH_GW]);
  }
  const rows = cfg.nexthops;
  if (rows === null) return true;
  let nh = fi;
  for (let i = 0; i < cfg.nhs; i++) {
    const oif = rows[i * FIB_NH_INTS + FIB_NH_OIF]!;
    const gw = rows[i * FIB_NH_INTS + FIB_NH_GW]!;
    if ((oif !== 0 && oif !== words[nh + NH_OIF]) || (gw !== 0 && gw !== words[nh + NH_GW])) return false;
    nh = words[nh + NH_NEXT]!;
    if (nh === 0) return i + 1 === cfg.nhs;
  }
  return true;
}

/** Does it have the metrics asked for? What is 0 matches any. Linux: fib_metrics_match(). */
export function fibMatchesMetrics(cfg: FibConfig, fi: number): boolean {
  const own = words[fi + FI_MTU]!;
  if ((cfg.mtu !== 0 && cfg.mtu !== (own & 0xffff)) || (cfg.advmss !== 0 && cfg.advmss !== own >>> 16)) return false;
  const metrics = cfg.metrics;
  if (metrics === null) return true;
  const row = words[fi + FI_METRICS]!;
  for (let i = 1; i <= RTAX_MAX; i++) {
    const value = metrics[i]!;
    if (value !== 0 && value !== (row === 0 ? 0 : words[row + i])) return false;
  }
  return true;
}
