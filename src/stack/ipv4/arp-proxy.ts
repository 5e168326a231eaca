/**
 * Proxy ARP: a router answers questions for hosts that it leads to with its own link address, and forwards what comes then. Linux:
 * arp_fwd_proxy(), arp_fwd_pvlan() of net/ipv4/arp.c; struct pneigh_entry, pneigh_enqueue() and neigh_proxy_process() of
 * net/core/neighbour.c. Owns the pool of published addresses (`ip neigh add proxy`) and the questions whose answers wait.
 *
 * A device with PROXY_ARP answers for whoever is reached by another device, one without it for the addresses published. Unless
 * asked by unicast it waits a random time first, so that the host itself, if it is there, is heard before.
 *
 * Read first: RFC 1027 (proxy ARP), RFC 3069 (private VLANs).
 */
import { account } from "../../lib/account.ts";
import { memView } from "../../lib/memory.ts";
import { NOTIFY_DONE, NotifierBlock, notifierChainRegister } from "../../lib/notifier.ts";
import { type Pool, type Pooled, poolAlloc, poolCreate, poolFree } from "../../lib/pool.ts";
import { getRandomBelow } from "../../lib/random.ts";
import { createTimer, jiffies, timerReduce, TIMER_WORDS } from "../../lib/timer.ts";
import { netdevChain, NETDEV_DOWN, NETDEV_UNREGISTER } from "../../netif/dev.ts";
import { SKB_DROP_REASON_NEIGH_DEAD, SKB_DROP_REASON_NEIGH_QUEUEFULL } from "../../uapi/drop-reason.ts";
import { ENOBUFS, ENOENT } from "../../uapi/errno.ts";
import { IFF_UP } from "../../uapi/if.ts";
import { ARPOP_REPLY } from "../../uapi/if-arp.ts";
import { RTN_UNICAST } from "../../uapi/rtnetlink.ts";
import { NEIGH_PROTOCOL_SHIFT } from "../core/neigh-table.ts";
import { neighEventNs, type NeighParms } from "../core/neighbour.ts";
import type { Net } from "../core/net.ts";
import type { NetDevice } from "../core/net-device.ts";
import { skbChainTail } from "../core/skb-queue.ts";
import { consumeSkb, kfreeSkb, PACKET_HOST, skbBuffersAvailable, skbDstDrop, type SkBuff } from "../core/skbuff.ts";
import { ARPH_SHA, ARPH_SIP, ARPH_TIP } from "../wire/arp.ts";
import { arpRcv, arpSend, arpTbl } from "./arp.ts";
import { arpConf, PROXY_ARP, PROXY_ARP_PVLAN } from "./arp-conf.ts";
import { IN_DEV_FORWARDING, inDevGet } from "./devinet.ts";
import type { Rtable } from "./rtable.ts";

/** An address that this host answers for. Linux: struct pneigh_entry. */
export class PneighEntry implements Pooled {
  net: Net | null = null;
  key = 0;
  /** Asked by which device; null for any. */
  dev: NetDevice | null = null;
  /** NTF_*, and the protocol as in Neighbour.flags. */
  flags = 0;
  next: PneighEntry | null = null;
  poolNext: Pooled | null = null;
}

let pool: Pool<PneighEntry>;
let first: PneighEntry | null = null;
/** Questions that wait, in order of arrival: `seq` says when they are answered. */
let queue: SkBuff | null = null;
let queued = 0;
/** Most that may wait, so that they leave buffers for others. */
let queueMax = 0;
let timer = 0;

/** Words of the part. */
export const ARP_PROXY_WORDS = TIMER_WORDS;

/** Builds the pool. Boot time, after arpInit(). @param count addresses that can be published */
export function arpProxyInit(count: number): void {
  first = queue = null;
  queued = 0;
  queueMax = skbBuffersAvailable() >> 3;
  pool = poolCreate("arp_proxy", count, () => new PneighEntry());
  timer = createTimer("arp_proxy", proxyProcess, 0);
  notifierChainRegister(netdevChain, account("arp_proxy", new NotifierBlock<NetDevice>(netdevEvent)));
}

/** The first published address; the others follow by `next`. */
export function pneighFirst(): PneighEntry | null {
  return first;
}

/** The entry by which a question that came in by the device is answered, or null. Linux: pneigh_lookup(). */
function pneighLookup(net: Net, key: number, dev: NetDevice | null): PneighEntry | null {
  let entry = first;
  while (entry !== null && (entry.key !== key || entry.net !== net || (entry.dev !== dev && entry.dev !== null))) entry = entry.next;
  return entry;
}

/**
 * Publishes an address. Linux: pneigh_lookup() with creat.
 * @param dev by which device questions for it are answered, null for any @param flags as Neighbour.flags
 * @returns 0, or -ENOBUFS when there is no room
 */
export function pneighAdd(net: Net, key: number, dev: NetDevice | null, flags: number): number {
  let entry = pneighLookup(net, key, dev);
  if (entry === null) {
    entry = poolAlloc(pool);
    if (entry === null) return -ENOBUFS;
    entry.net = net;
    entry.key = key;
    entry.dev = dev;
    entry.flags = 0;
    entry.next = first;
    first = entry;
  }
  // Who made it stays known until somebody else says so, as the kernel has it.
  const maker = (flags >> NEIGH_PROTOCOL_SHIFT) & 0xff;
  entry.flags = maker === 0 ? flags | (entry.flags & (0xff << NEIGH_PROTOCOL_SHIFT)) : flags;
  return 0;
}

function unlink(entry: PneighEntry): void {
  if (first === entry) {
    first = entry.next;
  } else {
    let before = first!;
    while (before.next !== entry) before = before.next!;
    before.next = entry.next;
  }
  entry.net = entry.dev = entry.next = null;
  poolFree(pool, entry);
}

/** Publishes an address no more: 0, or -ENOENT. Linux: pneigh_delete(). */
export function pneighDelete(net: Net, key: number, dev: NetDevice | null): number {
  let entry = first;
  while (entry !== null && (entry.key !== key || entry.net !== net || entry.dev !== dev)) entry = entry.next;
  if (entry === null) return -ENOENT;
  unlink(entry);
  return 0;
}

/** A device goes down: what is published there and what waits there is no more. Linux: pneigh_ifdown(), pneigh_queue_purge(). */
function netdevEvent(event: number, dev: NetDevice): number {
  if (event !== NETDEV_DOWN && event !== NETDEV_UNREGISTER) return NOTIFY_DONE;
  let entry = first;
  while (entry !== null) {
    const next: PneighEntry | null = entry.next;
    if (entry.dev === dev) unlink(entry);
    entry = next;
  }
  // Those of devices that are down are dropped.
  proxyProcess();
  return NOTIFY_DONE;
}

/**
 * Takes a question that is not for this host, its route set, if this host answers it for somebody else. Linux: the second half of
 * arp_process()'s first condition.
 * @returns whether the packet was taken: answered, or kept to be answered
 */
export function arpProxyAnswer(skb: SkBuff, dev: NetDevice): boolean {
  const rt = skb.dst as Rtable;
  const inDev = inDevGet(dev)!;
  if ((inDev.switches & IN_DEV_FORWARDING) === 0 || rt.type !== RTN_UNICAST) return false;
  const view = memView;
  const at = skb.data;
  const sip = view.getInt32(at + ARPH_SIP);
  const tip = view.getInt32(at + ARPH_TIP);
  const proxied = rt.dev === dev ? sip !== tip && arpConf(inDev, PROXY_ARP_PVLAN) !== 0
    : arpConf(inDev, PROXY_ARP) !== 0 || pneighLookup(dev.net!, tip, dev) !== null;
  if (!proxied) return false;
  const shaHi = view.getUint16(at + ARPH_SHA);
  const shaLo = view.getInt32(at + ARPH_SHA + 2);
  neighEventNs(arpTbl, shaHi, shaLo, sip, dev);
  const parms = parmsOf(dev);
  if (skb.pktType !== PACKET_HOST && parms.proxyDelayMs > 0) {
    enqueue(skb, dev, parms);
    return true;
  }
  arpSend(ARPOP_REPLY, dev, sip, tip, shaHi, shaLo, shaHi, shaLo);
  consumeSkb(skb);
  return true;
}

function parmsOf(dev: NetDevice): NeighParms {
  for (let own = arpTbl.parms.next; own !== null; own = own.next) if (own.dev === dev) return own;
  return arpTbl.parms;
}

/** Linux: pneigh_enqueue(). */
function enqueue(skb: SkBuff, dev: NetDevice, parms: NeighParms): void {
  const most = parms.proxyQlen < queueMax ? parms.proxyQlen : queueMax;
  if (queued >= most) {
    kfreeSkb(skb, SKB_DROP_REASON_NEIGH_QUEUEFULL);
    return;
  }
  skbDstDrop(skb);
  skb.dev = dev;
  skb.seq = (jiffies + getRandomBelow(parms.proxyDelayMs)) | 0;
  queue = skbChainTail(queue, skb);
  queued++;
  timerReduce(timer, skb.seq);
}

/** Answers what is due, if that is still right; drops what came by a device that is down. Linux: neigh_proxy_process(). */
function proxyProcess(): void {
  const now = jiffies;
  let waiting = queue;
  queue = null;
  queued = 0;
  while (waiting !== null) {
    const skb: SkBuff = waiting;
    waiting = skb.next;
    skb.next = null;
    const dev = skb.dev!;
    if ((dev.flags & IFF_UP) === 0 || dev.net === null) {
      kfreeSkb(skb, SKB_DROP_REASON_NEIGH_DEAD);
    } else if (((skb.seq - now) | 0) <= 0) {
      // As if it had been asked of this host alone: no second wait.
      skb.pktType = PACKET_HOST;
      arpRcv(skb, dev);
    } else {
      queue = skbChainTail(queue, skb);
      queued++;
      timerReduce(timer, skb.seq);
    }
  }
}
