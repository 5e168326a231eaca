/**
 * veth: two Ethernet devices joined by a cable without length, mostly in two namespaces. Linux: drivers/net/veth.c.
 * What goes out at one end is queued as received at the other; there is carrier while both ends are up.
 */
import { getRandomU32 } from "../lib/random.ts";
import type { Net } from "../stack/core/net.ts";
import { NETDEV_TX_OK, NetDevice, type NetDeviceOps } from "../stack/core/net-device.ts";
import { CHECKSUM_NONE, kfreeSkb, type SkBuff, skbDstDrop, skbOrphan } from "../stack/core/skbuff.ts";
import { SKB_DROP_REASON_DEV_READY, SKB_DROP_REASON_PKT_TOO_BIG } from "../uapi/drop-reason.ts";
import { ARPHRD_ETHER } from "../uapi/if-arp.ts";
import { ETH_DATA_LEN, ETH_HLEN } from "../uapi/if-ether.ts";
import { unregisterNetdev } from "./dev.ts";
import { ETH_GROUP_BIT, ETH_LOCAL_BIT, etherSetup, ethTypeTrans, skbUnshare } from "./ethernet.ts";
import { linkwatchSync, netifCarrierOff, netifCarrierOn } from "./link-state.ts";
import { NET_RX_SUCCESS, netifRx } from "./receive.ts";

/** The end that opens is about to be told to all; the other hears of its carrier now, so that it can send at once. */
function vethOpen(dev: NetDevice): number {
  const peer = dev.peer;
  if (peer !== null && peer.running) {
    dev.carrier = true;
    netifCarrierOn(peer);
    linkwatchSync(peer);
  }
  return 0;
}

function vethStop(dev: NetDevice): number {
  dev.carrier = false;
  if (dev.peer !== null) netifCarrierOff(dev.peer);
  return 0;
}

/** Nothing that the sender knew of the packet crosses: socket, route, mark, priority. Linux: veth_xmit(). */
function vethXmit(sent: SkBuff, dev: NetDevice): number {
  const peer = dev.peer;
  if (peer === null || !peer.running) {
    dev.stats.txDropped++;
    kfreeSkb(sent, SKB_DROP_REASON_DEV_READY);
    return NETDEV_TX_OK;
  }
  skbOrphan(sent);
  const skb = skbUnshare(sent);
  if (skb === null) {
    dev.stats.txDropped++;
    return NETDEV_TX_OK;
  }
  skbDstDrop(skb);
  skb.priority = 0;
  skb.mark = 0;
  skb.ipSummed = CHECKSUM_NONE;
  const length = skb.len;
  const type = ethTypeTrans(skb, peer);
  if (type === 0) {
    dev.stats.txDropped++;
    kfreeSkb(skb, SKB_DROP_REASON_PKT_TOO_BIG);
    return NETDEV_TX_OK;
  }
  skb.protocol = type;
  if (netifRx(skb) !== NET_RX_SUCCESS) {
    dev.stats.txDropped++;
    return NETDEV_TX_OK;
  }
  dev.stats.txPackets++;
  dev.stats.txBytes += length;
  peer.stats.rxPackets++;
  peer.stats.rxBytes += length;
  return NETDEV_TX_OK;
}

/** The address is kept in the device: there is no hardware to tell. */
function vethSetMacAddress(): number {
  return 0;
}

/** The functions of a veth device: what has them is one. */
export const vethOps: NetDeviceOps = Object.freeze({
  ndoOpen: vethOpen,
  ndoStop: vethStop,
  ndoStartXmit: vethXmit,
  ndoSetMacAddress: vethSetMacAddress,
});

function createEnd(name: string): NetDevice {
  const dev = new NetDevice(name, ARPHRD_ETHER, ETH_DATA_LEN, ETH_HLEN, vethOps);
  etherSetup(dev);
  dev.addrHi = (getRandomU32() & 0xffff & ~ETH_GROUP_BIT) | ETH_LOCAL_BIT;
  dev.addrLo = getRandomU32() | 0;
  dev.txqueuelen = 0;
  dev.carrier = false;
  return dev;
}

/** Two ends joined, down and in no namespace; the other is the `peer` of the one returned. Allocates. */
export function vethPair(nameA: string, nameB: string): NetDevice {
  const a = createEnd(nameA);
  const b = createEnd(nameB);
  a.peer = b;
  b.peer = a;
  return a;
}

/**
 * `ip link add NAMEA netns A type veth peer name NAMEB netns B`: both ends, down. Allocates.
 * @returns the end in netA; the other is its `peer`
 * @throws Error when one cannot be registered (name taken); then neither is
 */
export function vethCreate(netA: Net, nameA: string, netB: Net, nameB: string): NetDevice {
  const a = vethPair(nameA, nameB);
  netA.register(a);
  try {
    netB.register(a.peer!);
  } catch (error) {
    unregisterNetdev(a);
    throw error;
  }
  return a;
}
