/**
 * The memory of all TCP sockets together: when it runs short, each gets by with less. Linux: tcp_enter_memory_pressure(),
 * tcp_check_oom() of net/ipv4/tcp.c, __sk_mem_raise_allocated() of net/core/sock.c, net.ipv4.tcp_mem. Owns the three marks, since
 * when there is pressure, and the count of orphans: sockets closed by their program whose connection has still to end.
 *
 * Linux counts pages that sockets have been given. Here one pool holds every packet, and its buffers in use are the count: what
 * waits in a driver's ring is not there for a socket either. Above the high mark no program's data is taken; by default that leaves
 * the reserve (tcp-window.ts). Above the pressure mark windows stop growing and are cut to a few segments as acknowledgments leave,
 * and a writer gets no more than an even share; below the low mark all is as before.
 */
import { words, wordTable } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import { EINVAL } from "../../uapi/errno.ts";
import { LINUX_MIB_TCPMEMORYPRESSURES, LINUX_MIB_TCPMEMORYPRESSURESCHRONO } from "../../uapi/snmp.ts";
import { SKB_OVERHEAD_BYTES, skbBufferBytes, skbBuffersAvailable } from "../core/skbuff.ts";
import type { Sock } from "../core/sock.ts";
import { TP_ADVMSS } from "./tcp-cold.ts";
import { type TcpSk, tcpSocketsAllocated } from "./tcp-sock.ts";

/** The marks, in packet buffers: net.ipv4.tcp_mem. */
const LOW = 0;
const PRESSURE = 1;
const HIGH = 2;
/** net.ipv4.tcp_max_orphans. */
const MAX_ORPHANS = 3;
const ORPHANS = 4;
/** jiffies when pressure began, 0 while there is none. */
const SINCE = 5;
export const TCP_MEMORY_WORDS = 6;

/** What a window is cut to under pressure, in segments. */
const PRESSURE_SEGMENTS = 4;
/** An orphan that has no more to send than this is no burden. Linux: SOCK_MIN_SNDBUF. */
const SOCK_MIN_SNDBUF = 4608;

let row = 0;
let buffers = 0;

/** Boot time only. @param count packet buffers of the machine @param reserve those that data may not take @param socks TCP socks */
export function tcpMemoryInit(count: number, reserve: number, socks: number): void {
  row = wordTable("tcp_mem", TCP_MEMORY_WORDS);
  buffers = count;
  const high = count - reserve;
  tcpMemSet(high >> 1, high - (high >> 2), high);
  tcpMaxOrphansSet(socks >> 1 > 1 ? socks >> 1 : 1);
}

/** One of the marks (net.ipv4.tcp_mem). @param which 0 low, 1 pressure, 2 high @returns packet buffers */
export function tcpMemMark(which: number): number {
  return words[row + which]!;
}

/** Sets net.ipv4.tcp_mem, in packet buffers: 0, or -EINVAL when the marks are not in order. */
export function tcpMemSet(low: number, pressure: number, high: number): number {
  if (low < 0 || low > pressure || pressure > high) return -EINVAL;
  words[row + LOW] = low;
  words[row + PRESSURE] = pressure;
  words[row + HIGH] = high;
  return 0;
}

/** Sets net.ipv4.tcp_max_orphans. */
export function tcpMaxOrphansSet(most: number): void {
  words[row + MAX_ORPHANS] = most;
}

/** Packet buffers in use. Linux: sk_memory_allocated(). */
export function tcpMemoryAllocated(): number {
  return buffers - skbBuffersAvailable();
}

/** Does memory run short? Asking notices when that begins and ends. Linux: tcp_under_memory_pressure(). */
export function tcpUnderMemoryPressure(sk: Sock): boolean {
  const used = tcpMemoryAllocated();
  const since = words[row + SINCE]!;
  if (since === 0) {
    if (used <= words[row + PRESSURE]!) return false;
    words[row + SINCE] = jiffies === 0 ? 1 : jiffies;
    sk.net.mib[LINUX_MIB_TCPMEMORYPRESSURES]!++;
    return true;
  }
  if (used > words[row + LOW]!) return true;
  words[row + SINCE] = 0;
  sk.net.mib[LINUX_MIB_TCPMEMORYPRESSURESCHRONO]! += (jiffies - since) | 0;
  return false;
}

/** Is there a packet buffer for any program's data? */
export function tcpMemoryFree(): boolean {
  return tcpMemoryAllocated() < words[row + HIGH]!;
}

/** Bytes of truesize that a socket may have waiting to be sent while memory is short. */
export function tcpWmemShare(): number {
  return ((words[row + HIGH]! * (skbBufferBytes + SKB_OVERHEAD_BYTES)) / tcpSocketsAllocated()) | 0;
}

/** Buffers that the socket's writes get if nothing else happens. */
export function tcpWmemAvailable(sk: TcpSk): number {
  const used = tcpMemoryAllocated();
  const free = words[row + HIGH]! - used;
  const share = Math.ceil((tcpWmemShare() - sk.wmemQueued) / (skbBufferBytes + SKB_OVERHEAD_BYTES));
  if (share >= free) return free;
  // What is above the pressure mark is for those that have had less than their share.
  const calm = tcpUnderMemoryPressure(sk) ? 0 : words[row + PRESSURE]! + 1 - used;
  return calm > share ? calm : share;
}

/** May the socket have one more buffer to send: there is one, and under pressure it is not beyond its share? Linux: sk_wmem_schedule(). */
export function tcpWmemSchedule(sk: TcpSk): boolean {
  return tcpMemoryFree() && (!tcpUnderMemoryPressure(sk) || sk.wmemQueued < tcpWmemShare());
}

/** Under pressure a window is a few segments. Linux: tcp_adjust_rcv_ssthresh(). */
export function tcpAdjustRcvSsthresh(sk: TcpSk): void {
  const tp = sk.tp;
  const most = PRESSURE_SEGMENTS * words[tp.cold + TP_ADVMSS]!;
  if (tp.rcvSsthresh > most) tp.rcvSsthresh = most;
}

/** One orphan more or less. */
export function tcpOrphansAdd(count: number): void {
  words[row + ORPHANS]! += count;
}

/** Sockets whose program has closed them and whose connection still goes on. Linux: tcp_orphan_count_sum(). */
export function tcpOrphanCount(): number {
  return words[row + ORPHANS]!;
}

/**
 * Must an orphan go, for there are too many, or because it holds much of what there is too little of? Linux: tcp_check_oom().
 * @param shift how much more it counts for than one: 0..2
 */
export function tcpCheckOom(sk: TcpSk, shift: number): boolean {
  if (words[row + ORPHANS]! << shift > words[row + MAX_ORPHANS]!) return true;
  return sk.wmemQueued > SOCK_MIN_SNDBUF && !tcpMemoryFree();
}
