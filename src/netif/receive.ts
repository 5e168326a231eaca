/**
 * The way in: packets from devices to taps and protocols. Linux: __netif_receive_skb_core(), netif_rx() and
 * dev_add_pack() of net/core/dev.c. Owns the list of taps, the table of protocols by EtherType and the backlog.
 *
 * A packet is delivered with skb.data, skb.nh and skb.th behind the link header and skb.mac at it. A handler gets one
 * reference and must give it back; to write to the packet or keep it while skbShared(skb), it clones it first.
 */
import { account } from "../lib/account.ts";
import { skbDequeue, SkbQueue, skbQueueTail, skbUnlink } from "../stack/core/skb-queue.ts";
import { NapiStruct, NETIF_F_8021Q, type NetDevice } from "../stack/core/net-device.ts";
import { pskbCopy } from "../stack/core/skb-copy.ts";
import {
  consumeSkb, kfreeSkb, PACKET_OTHERHOST, PACKET_OUTGOING, skbClone, type SkBuff, skbGet,
} from "../stack/core/skbuff.ts";
import {
  SKB_DROP_REASON_CPU_BACKLOG, SKB_DROP_REASON_DEV_READY, SKB_DROP_REASON_OTHERHOST, SKB_DROP_REASON_UNHANDLED_PROTO,
} from "../uapi/drop-reason.ts";
import { ETH_P_ALL } from "../uapi/if-ether.ts";
import { NAPI_POLL_WEIGHT, napiAdd, napiComplete, napiEnable, napiSchedule, softnetStat } from "./napi.ts";

/** What netifReceiveSkb and netifRx answer. */
export const NET_RX_SUCCESS = 0;
export const NET_RX_DROP = 1;

/** Buckets of the table of protocols. */
const PTYPE_HASH_SIZE = 4;

/** A handler of one EtherType, or with ETH_P_ALL a tap that sees everything in and out. Linux: struct packet_type. */
export class PacketType {
  next: PacketType | null = null;
  readonly type: number;
  /** Only packets of this device; null for all. */
  readonly dev: NetDevice | null;
  func: (skb: SkBuff, dev: NetDevice, pt: PacketType) => number;

  constructor(
    type: number, func: (skb: SkBuff, dev: NetDevice, pt: PacketType) => number, dev: NetDevice | null = null,
  ) {
    this.type = type;
    this.func = func;
    this.dev = dev;
  }
}

let ptypeBase: (PacketType | null)[];
/** The first tap of ETH_P_ALL, null when there is none. */
export let ptypeAll: PacketType | null;

/** Asks those who stand on a device (rx-handler.ts); null while nobody stands on any. */
let rxHandle: ((skb: SkBuff, dev: NetDevice) => boolean) | null = null;

let backlog: SkbQueue;
let backlogNapi: NapiStruct;
let backlogMax = 0;

/** Boot time, by netdevInit(). */
export function receiveInit(maxBacklog: number): void {
  ptypeBase = account("netif", new Array<PacketType | null>(PTYPE_HASH_SIZE).fill(null));
  ptypeAll = null;
  rxHandle = null;
  backlog = account("netif", new SkbQueue());
  backlogMax = maxBacklog;
  backlogNapi = account("netif", napiAdd(null, new NapiStruct(null, NAPI_POLL_WEIGHT, processBacklog)));
  napiEnable(backlogNapi);
}

/** Has a function asked for each frame, after the taps and before the protocols; null for none. */
export function setRxHandle(handle: ((skb: SkBuff, dev: NetDevice) => boolean) | null): void {
  rxHandle = handle;
}

/** Has packets of an EtherType delivered to a handler; handlers of one type get each packet in turn. */
export function devAddPack(pt: PacketType): void {
  if (pt.type === ETH_P_ALL) {
    pt.next = ptypeAll;
    ptypeAll = pt;
    return;
  }
  const slot = pt.type & (PTYPE_HASH_SIZE - 1);
  pt.next = ptypeBase[slot] as PacketType | null;
  ptypeBase[slot] = pt;
}

/** Ends that. Nothing happens when it was not registered. */
export function devRemovePack(pt: PacketType): void {
  const slot = pt.type & (PTYPE_HASH_SIZE - 1);
  const all = pt.type === ETH_P_ALL;
  let previous: PacketType | null = null;
  let at = all ? ptypeAll : (ptypeBase[slot] as PacketType | null);
  while (at !== null && at !== pt) {
    previous = at;
    at = at.next;
  }
  if (at === null) return;
  if (previous !== null) previous.next = pt.next;
  else if (all) ptypeAll = pt.next;
  else ptypeBase[slot] = pt.next;
  pt.next = null;
}

/**
 * Delivers a packet that a driver received: to taps, then to the handlers of its EtherType. The packet is gone then.
 * @param skb dev, protocol and pktType are set (ethTypeTrans)
 * @returns what the last handler answers, or NET_RX_DROP
 */
export function netifReceiveSkb(skb: SkBuff): number {
  const dev = skb.dev!;
  skb.iif = dev.ifindex;
  skb.nh = skb.th = skb.data;
  if (dev.taps !== null) devTap(skb, dev, false);
  if (ptypeAll !== null) deliverToTaps(skb, dev);
  if (rxHandle !== null && rxHandle(skb, dev)) return NET_RX_SUCCESS;
  if (skb.pktType === PACKET_OTHERHOST) {
    kfreeSkb(skb, SKB_DROP_REASON_OTHERHOST);
    return NET_RX_DROP;
  }
  const pt = ptypeBase[skb.protocol & (PTYPE_HASH_SIZE - 1)] as PacketType | null;
  // The rule: one handler for the type, and no other type in its bucket.
  if (pt !== null && pt.next === null && pt.type === skb.protocol && pt.dev === null) return pt.func(skb, dev, pt);
  return deliverToHandlers(skb, dev, pt);
}

/** To each handler of the packet's type among `first` and those behind it. Linux: deliver_ptype_list_skb(). */
function deliverToHandlers(skb: SkBuff, dev: NetDevice, first: PacketType | null): number {
  const type = skb.protocol;
  let chosen: PacketType | null = null;
  for (let pt = first; pt !== null; pt = pt.next) {
    if (pt.type === type && (pt.dev === null || pt.dev === dev)) {
      if (chosen !== null) chosen.func(skbGet(skb), dev, chosen);
      chosen = pt;
    }
  }
  if (chosen !== null) return chosen.func(skb, dev, chosen);
  dev.stats.rxDropped++;
  kfreeSkb(skb, SKB_DROP_REASON_UNHANDLED_PROTO);
  return NET_RX_DROP;
}

/** Shows a frame to the device's own taps, which look and leave it alone. */
export function devTap(skb: SkBuff, dev: NetDevice, outgoing: boolean): void {
  let tap = dev.taps;
  while (tap !== null) {
    const next = tap.nextTap;
    tap.see(skb, outgoing);
    tap = next;
  }
}

function deliverToTaps(skb: SkBuff, dev: NetDevice): void {
  let pt = ptypeAll;
  while (pt !== null) {
    const next: PacketType | null = pt.next;
    if (pt.dev === null || pt.dev === dev) pt.func(skbGet(skb), dev, pt);
    pt = next;
  }
}

/**
 * Gives the taps of ETH_P_ALL a clone of a packet that leaves, data at the link header. Linux: dev_queue_xmit_nit().
 */
export function devQueueXmitNit(skb: SkBuff, dev: NetDevice): void {
  let pt = ptypeAll;
  while (pt !== null) {
    const next: PacketType | null = pt.next;
    if (pt.dev === null || pt.dev === dev) {
      // What a VLAN sends gets its tag in front of the same bytes.
      const clone = (dev.features & NETIF_F_8021Q) === 0 ? skbClone(skb) : pskbCopy(skb);
      if (clone === null) return;
      clone.mac = clone.data;
      clone.pktType = PACKET_OUTGOING;
      // Whose it is, for a tap that does not want to see its own; the clone is charged to nobody.
      clone.sk = skb.sk;
      pt.func(clone, dev, pt);
    }
    pt = next;
  }
}

/**
 * Queues a packet to be received later: for devices without a ring (loopback, veth). May be called from anywhere.
 * @returns NET_RX_SUCCESS, or NET_RX_DROP when the backlog is full or the device is down
 */
export function netifRx(skb: SkBuff): number {
  const dev = skb.dev!;
  const full = backlog.qlen >= backlogMax;
  if (full || !dev.running) {
    dev.stats.rxDropped++;
    if (full) softnetStat.dropped++;
    kfreeSkb(skb, full ? SKB_DROP_REASON_CPU_BACKLOG : SKB_DROP_REASON_DEV_READY);
    return NET_RX_DROP;
  }
  skbQueueTail(backlog, skb);
  napiSchedule(backlogNapi);
  return NET_RX_SUCCESS;
}

function processBacklog(napi: NapiStruct, budget: number): number {
  let done = 0;
  while (done < budget) {
    const skb = skbDequeue(backlog);
    if (skb === null) break;
    done++;
    netifReceiveSkb(skb);
  }
  if (done < budget) {
    // What came in meanwhile has been taken: no need to look again.
    napi.missed = false;
    napiComplete(napi);
  }
  return done;
}

/** Drops what waits of a device that is being unregistered. Linux: flush_backlog(). */
export function netifRxFlush(dev: NetDevice): void {
  let skb = backlog.head;
  while (skb !== null) {
    const next: SkBuff | null = skb.next;
    if (skb.dev === dev) {
      skbUnlink(backlog, skb);
      consumeSkb(skb);
    }
    skb = next;
  }
}
