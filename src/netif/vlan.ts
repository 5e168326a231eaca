/**
 * 802.1Q VLANs: devices that send with a tag and receive what came with it. Linux: net/8021q/vlan_dev.c and vlan_core.c; read
 * first IEEE 802.1Q clause 9. What makes, finds and ends them is in vlan-dev.ts.
 *
 *      eth0.10 ──── vlanXmit: the tag goes in behind the addresses ────► eth0
 *      eth0.10 ◄─── vlanReceive: the tag is taken out, as if it had come in by the VLAN ──── eth0
 *
 * A tag with VLAN number 0 has only a priority: the frame is the device's own. One with a number that no VLAN has goes to the
 * device's bridge as it is, and without one is a packet of an unknown protocol.
 */
import { memCopy, memView } from "../lib/memory.ts";
import { NETDEV_TX_OK, type NetDevice, type RxHandler } from "../stack/core/net-device.ts";
import {
  kfreeSkb, PACKET_HOST, PACKET_MULTICAST, PACKET_OTHERHOST, skbTailroom, type SkBuff,
} from "../stack/core/skbuff.ts";
import { ETHH_PROTO } from "../stack/wire/eth.ts";
import {
  VLAN_ETHH_PROTO, VLAN_ETHH_TCI, VLAN_HLEN, VLAN_VID_MASK, VLAN_PRIO_SHIFT, VLANH_ENCAP_PROTO,
} from "../stack/wire/vlan.ts";
import {
  SKB_DROP_REASON_DEV_READY, SKB_DROP_REASON_HDR_TRUNC, SKB_DROP_REASON_NOMEM,
} from "../uapi/drop-reason.ts";
import { ETH_P_8021AD, ETH_P_8021Q, ETH_P_802_2, ETH_P_802_3_MIN } from "../uapi/if-ether.ts";
import { VLAN_FLAG_REORDER_HDR } from "../uapi/if-link.ts";
import { skbUnshare } from "./ethernet.ts";
import { netifReceiveSkb } from "./receive.ts";
import { netdevMaster, RX_HANDLER_VLAN } from "./rx-handler.ts";
import { devQueueXmit } from "./xmit.ts";

/** Bytes of both addresses, in front of the tag. */
const ADDRESSES = ETHH_PROTO;
/** Columns of a VLAN's map of priorities: what comes in by the tag's, what goes out by the packet's. */
export const VLAN_QOS_INGRESS = 0;
export const VLAN_QOS_EGRESS = 8;
/** Priorities of packets that can be told apart on the way out, 0 to 15. */
export const VLAN_QOS_PRIORITIES = 16;
export const VLAN_QOS_ENTRIES = VLAN_QOS_EGRESS + VLAN_QOS_PRIORITIES;

/** What is a VLAN's own: `dev.priv`. Linux: struct vlan_dev_priv. */
export class VlanDev {
  /** VLAN number. */
  readonly id: number;
  /** EtherType of its tag. */
  readonly proto: number;
  readonly dev: NetDevice;
  readonly real: NetDevice;
  next: VlanDev | null = null;
  /** VLAN_FLAG_* */
  flags = VLAN_FLAG_REORDER_HDR;
  /** Numbers by VLAN_QOS_*, null while all are 0. */
  qos: Int32Array | null = null;
  /** It has the link address of the device below, as long as nobody gives it another. Linux: NET_ADDR_STOLEN */
  inherits = true;
  /** The device below is promiscuous for it, receives all groups for it. */
  promisc = false;
  allmulti = false;

  constructor(dev: NetDevice, real: NetDevice, proto: number, id: number) {
    this.dev = dev;
    this.real = real;
    this.proto = proto;
    this.id = id;
  }
}

/** The VLANs of a device. Linux: struct vlan_group. */
export class VlanGroup implements RxHandler {
  nextHandler: RxHandler | null = null;
  first: VlanDev | null = null;
  readonly func = vlanReceive;
  readonly order = RX_HANDLER_VLAN;
  readonly master = null;
}

/** The VLAN of that tag, null for none. Linux: vlan_find_dev(). */
export function vlanFind(group: VlanGroup, proto: number, id: number): VlanDev | null {
  let vlan = group.first;
  while (vlan !== null && (vlan.id !== id || vlan.proto !== proto)) vlan = vlan.next;
  return vlan;
}

/** Takes a frame with a tag: see above. Linux: skb_vlan_untag() and vlan_do_receive(). */
function vlanReceive(skb: SkBuff, _dev: NetDevice, handler: RxHandler): boolean {
  const proto = skb.protocol;
  if (proto !== ETH_P_8021Q && proto !== ETH_P_8021AD) return false;
  const at = skb.data;
  if (skb.tail - at < VLAN_HLEN) {
    kfreeSkb(skb, SKB_DROP_REASON_HDR_TRUNC);
    return true;
  }
  const tci = memView.getUint16(at);
  const id = tci & VLAN_VID_MASK;
  const vlan = vlanFind(handler as VlanGroup, proto, id);
  if (vlan !== null) {
    receiveBy(vlan, skb, tci);
    return true;
  }
  // A bridge forwards the priority with the frame.
  if (id === 0 && handler.nextHandler === null) pullTag(skb);
  return false;
}

/** The packet begins behind the tag. */
function pullTag(skb: SkBuff): void {
  const at = skb.data;
  const type = memView.getUint16(at + VLANH_ENCAP_PROTO);
  skb.protocol = type >= ETH_P_802_3_MIN ? type : ETH_P_802_2;
  skb.data = skb.nh = skb.th = at + VLAN_HLEN;
  skb.len -= VLAN_HLEN;
}

/** The frame came in by the VLAN. */
function receiveBy(vlan: VlanDev, tagged: SkBuff, tci: number): void {
  const dev = vlan.dev;
  if (!dev.running) {
    kfreeSkb(tagged, SKB_DROP_REASON_DEV_READY);
    return;
  }
  let skb: SkBuff | null = tagged;
  if ((vlan.flags & VLAN_FLAG_REORDER_HDR) !== 0 || netdevMaster(dev) !== null) {
    // The header becomes one without a tag: the addresses move to what is behind it.
    skb = skbUnshare(tagged);
    if (skb === null) {
      dev.stats.rxDropped++;
      return;
    }
    const mac = skb.mac;
    memCopy(mac + VLAN_HLEN, mac, ADDRESSES);
    skb.mac = mac + VLAN_HLEN;
  }
  pullTag(skb);
  skb.dev = dev;
  const mac = skb.mac;
  if (skb.pktType === PACKET_OTHERHOST && memView.getUint16(mac) === dev.addrHi && memView.getInt32(mac + 2) === dev.addrLo) {
    skb.pktType = PACKET_HOST;
  }
  const qos = vlan.qos;
  skb.priority = qos === null ? 0 : qos[VLAN_QOS_INGRESS + (tci >> VLAN_PRIO_SHIFT)]!;
  const stats = dev.stats;
  stats.rxPackets++;
  stats.rxBytes += skb.len;
  if (skb.pktType === PACKET_MULTICAST) stats.multicast++;
  netifReceiveSkb(skb);
}

/** Sends by the device below. A frame that has the tag already, where they may have, keeps it. Linux: vlan_dev_hard_start_xmit(). */
export function vlanXmit(sent: SkBuff, dev: NetDevice): number {
  const vlan = dev.priv as VlanDev;
  const stats = dev.stats;
  let skb: SkBuff | null = sent;
  if ((vlan.flags & VLAN_FLAG_REORDER_HDR) !== 0 || memView.getUint16(sent.data + ETHH_PROTO) !== vlan.proto) {
    const qos = vlan.qos;
    const priority = sent.priority;
    const egress = qos === null || priority >= VLAN_QOS_PRIORITIES ? 0 : qos[VLAN_QOS_EGRESS + priority]!;
    skb = vlanInsertTag(sent, vlan.proto, vlan.id | (egress << VLAN_PRIO_SHIFT));
    if (skb === null) {
      stats.txDropped++;
      return NETDEV_TX_OK;
    }
  }
  const length = skb.len;
  skb.dev = vlan.real;
  // The taps of the device below have not seen it yet.
  skb.pktType = PACKET_HOST;
  if (devQueueXmit(skb) < 0) {
    stats.txDropped++;
  } else {
    stats.txPackets++;
    stats.txBytes += length;
  }
  return NETDEV_TX_OK;
}

/**
 * Puts a tag behind the addresses: into the headroom, which is the sender's own (receive.ts copies for taps, a bridge for its other
 * ports), or where there is none by moving the rest. Linux: vlan_insert_tag().
 * @returns the packet, or null when there was no room or memory; then it is dropped
 */
function vlanInsertTag(sent: SkBuff, proto: number, tci: number): SkBuff | null {
  let skb: SkBuff | null = sent;
  let at = sent.data - VLAN_HLEN;
  if (at >= sent.head) {
    memCopy(at, at + VLAN_HLEN, ADDRESSES);
    skb.data = at;
  } else {
    skb = skbUnshare(sent);
    if (skb === null) return null;
    if (skbTailroom(skb) < VLAN_HLEN) {
      kfreeSkb(skb, SKB_DROP_REASON_NOMEM);
      return null;
    }
    at = skb.data;
    memCopy(at + ADDRESSES + VLAN_HLEN, at + ADDRESSES, skb.tail - at - ADDRESSES);
    skb.tail += VLAN_HLEN;
    skb.nh += VLAN_HLEN;
    skb.th += VLAN_HLEN;
  }
  skb.len += VLAN_HLEN;
  memView.setUint16(at + VLAN_ETHH_PROTO, proto);
  memView.setUint16(at + VLAN_ETHH_TCI, tci);
  return skb;
}
