/**
 * Ethernet: building and reading the 14-byte header. Linux: net/ethernet/eth.c. Read first: IEEE 802.3 clause 3, RFC
 * 894.
 *
 * An address is two numbers, its first 2 bytes (0..65535) and its last 4 (int32), so comparing takes two compares.
 */
import { memView, memZero } from "../lib/memory.ts";
import type { HeaderOps, NetDevice } from "../stack/core/net-device.ts";
import {
  consumeSkb, kfreeSkb, NET_IP_ALIGN, PACKET_BROADCAST, PACKET_HOST, PACKET_MULTICAST, PACKET_OTHERHOST, skbBufferBytes,
  skbCloned, skbPut, skbShared, skbTailroom, type SkBuff,
} from "../stack/core/skbuff.ts";
import { skbCopy } from "../stack/core/skb-frags.ts";
import { IP_HLEN } from "../stack/wire/ip.ts";
import { ETHH_PROTO, ETHH_SOURCE } from "../stack/wire/eth.ts";
import { VLAN_HLEN } from "../stack/wire/vlan.ts";
import {
  SKB_DROP_REASON_NOMEM, SKB_DROP_REASON_PKT_TOO_BIG, SKB_DROP_REASON_PKT_TOO_SMALL,
} from "../uapi/drop-reason.ts";
import { ENOBUFS } from "../uapi/errno.ts";
import { IFF_BROADCAST, IFF_MULTICAST } from "../uapi/if.ts";
import { ARPHRD_ETHER } from "../uapi/if-arp.ts";
import { ETH_DATA_LEN, ETH_HLEN, ETH_MIN_MTU, ETH_P_802_2, ETH_P_802_3, ETH_P_802_3_MIN, ETH_ZLEN } from "../uapi/if-ether.ts";
import { NET_RX_DROP, netifReceiveSkb } from "./receive.ts";

/** The broadcast address ff:ff:ff:ff:ff:ff. */
export const ETH_BROADCAST_HI = 0xffff;
export const ETH_BROADCAST_LO = -1;
/** In the first 2 bytes of an address: it is a group's. */
export const ETH_GROUP_BIT = 0x100;
/** In the first 2 bytes of an address: locally administered. */
export const ETH_LOCAL_BIT = 0x200;
/** How a frame with a length begins that has no LLC header: NetWare's. */
const NOVELL_RAW = 0xffff;

/** Bytes of a packet buffer that a packet of the largest MTU leaves: alignment, link header, and spare for headers. */
const BUFFER_SPARE_BYTES = NET_IP_ALIGN + ETH_HLEN + IP_HLEN;

function ethHeader(skb: SkBuff, dev: NetDevice, type: number, dstHi: number, dstLo: number): number {
  const at = skb.data - ETH_HLEN;
  if (at < skb.head) return -ENOBUFS;
  skb.data = at;
  skb.len += ETH_HLEN;
  memView.setUint16(at, dstHi);
  memView.setInt32(at + 2, dstLo);
  memView.setUint16(at + ETHH_SOURCE, dev.addrHi);
  memView.setInt32(at + ETHH_SOURCE + 2, dev.addrLo);
  memView.setUint16(at + ETHH_PROTO, type);
  return ETH_HLEN;
}

/** Header functions of Ethernet devices. Linux: eth_header_ops. */
export const ethHeaderOps: HeaderOps = Object.freeze({ create: ethHeader });

/** Largest MTU whose packets a buffer of the pool holds. */
export function bufferMtu(): number {
  return skbBufferBytes - BUFFER_SPARE_BYTES;
}

/**
 * Sets all that Ethernet devices have in common; the MTU shrinks to what a packet buffer holds. Linux: ether_setup().
 */
export function etherSetup(dev: NetDevice): void {
  const room = bufferMtu();
  dev.type = ARPHRD_ETHER;
  dev.hardHeaderLen = ETH_HLEN;
  dev.headerOps = ethHeaderOps;
  dev.flags |= IFF_BROADCAST | IFF_MULTICAST;
  dev.minMtu = ETH_MIN_MTU;
  dev.maxMtu = room < ETH_DATA_LEN ? room : ETH_DATA_LEN;
  if (dev.mtu > dev.maxMtu) dev.mtu = dev.maxMtu;
}

/**
 * Reads the header of a received frame: sets dev, mac, pktType and moves data behind the header. Linux:
 * eth_type_trans().
 * @returns the EtherType for skb.protocol: for a frame with an 802.3 length ETH_P_802_2, or ETH_P_802_3 without LLC header; 0 for a
 *   frame that is too short or too long for the device (one VLAN tag allowed for), which is counted and has no handler
 */
export function ethTypeTrans(skb: SkBuff, dev: NetDevice): number {
  const mac = skb.data;
  const length = skb.len - ETH_HLEN;
  skb.dev = dev;
  skb.mac = mac;
  if (length < 0 || length > dev.mtu + VLAN_HLEN) {
    dev.stats.rxLengthErrors++;
    dev.stats.rxErrors++;
    return 0;
  }
  skb.len = length;
  skb.data = mac + ETH_HLEN;
  if (memView.getInt32(mac + 2) === dev.addrLo && memView.getUint16(mac) === dev.addrHi) skb.pktType = PACKET_HOST;
  else skb.pktType = otherPktType(mac);
  const type = memView.getUint16(mac + ETHH_PROTO);
  if (type >= ETH_P_802_3_MIN) return type;
  return length >= 2 && memView.getUint16(mac + ETH_HLEN) === NOVELL_RAW ? ETH_P_802_3 : ETH_P_802_2;
}

/** PACKET_* of a frame that is not to the device's own address. @param mac where its header is */
function otherPktType(mac: number): number {
  const hi = memView.getUint16(mac);
  if ((hi & ETH_GROUP_BIT) === 0) return PACKET_OTHERHOST;
  return hi === ETH_BROADCAST_HI && memView.getInt32(mac + 2) === ETH_BROADCAST_LO ? PACKET_BROADCAST : PACKET_MULTICAST;
}

/**
 * All that a simple Ethernet driver does with a received frame: counts it, reads its header, drops it when its length
 * is wrong, delivers it. The packet is gone then.
 * @param skb data at the Ethernet header, without the frame check sequence
 * @returns what netifReceiveSkb() answers
 */
export function ethReceive(skb: SkBuff, dev: NetDevice): number {
  // ethTypeTrans(), spared a call for the rule: a frame to this device, of a good length, with an EtherType.
  const mac = skb.data;
  const length = skb.len - ETH_HLEN;
  const type = length < 0 ? 0 : memView.getUint16(mac + ETHH_PROTO);
  const stats = dev.stats;
  if (
    type >= ETH_P_802_3_MIN && length <= dev.mtu && memView.getInt32(mac + 2) === dev.addrLo && memView.getUint16(mac) === dev.addrHi
  ) {
    skb.dev = dev;
    skb.mac = mac;
    skb.len = length;
    skb.data = mac + ETH_HLEN;
    skb.pktType = PACKET_HOST;
    skb.protocol = type;
  } else {
    skb.protocol = ethTypeTrans(skb, dev);
    if (skb.protocol === 0) {
      kfreeSkb(skb, skb.len < ETH_HLEN ? SKB_DROP_REASON_PKT_TOO_SMALL : SKB_DROP_REASON_PKT_TOO_BIG);
      return NET_RX_DROP;
    }
    if (skb.pktType === PACKET_MULTICAST) stats.multicast++;
  }
  stats.rxPackets++;
  stats.rxBytes += skb.len + ETH_HLEN;
  return netifReceiveSkb(skb);
}

/**
 * A packet that nobody else sees: itself, or a copy when its header or data are shared. Linux: skb_unshare().
 * @returns null (and the packet dropped) when there is no memory for the copy
 */
export function skbUnshare(skb: SkBuff): SkBuff | null {
  if (!skbShared(skb) && !skbCloned(skb)) return skb;
  const copy = skbCopy(skb);
  if (copy === null) kfreeSkb(skb, SKB_DROP_REASON_NOMEM);
  else consumeSkb(skb);
  return copy;
}

/**
 * Lengthens a frame with zeros to the 60 bytes that the wire wants, so that no old memory leaves the machine. For
 * drivers whose hardware does not pad. Linux: eth_skb_pad().
 * @returns the packet to send, a copy when another header shares its data; null when there was no memory (it is
 *   dropped)
 */
export function ethPad(skb: SkBuff): SkBuff | null {
  const missing = ETH_ZLEN - skb.len;
  if (missing <= 0) return skb;
  const own = skbUnshare(skb);
  if (own === null) return null;
  if (skbTailroom(own) < missing) {
    kfreeSkb(own, SKB_DROP_REASON_NOMEM);
    return null;
  }
  memZero(skbPut(own, missing), missing);
  return own;
}
