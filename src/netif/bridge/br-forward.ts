/**
 * Frames through a bridge: what comes in by a port is learned from, forwarded to the port of its receiver or to all others, and
 * given to this host when it is for it; what this host sends by the bridge goes the same way. Linux: br_handle_frame() of
 * net/bridge/br_input.c, br_forward.c, br_dev_xmit(); read first IEEE 802.1D clause 7. Ports come and go in br-if.ts, stations in
 * br-fdb.ts.
 *
 * A frame to several is cloned: its bytes are shared, and who wants to write to them makes a copy. There is no spanning tree, so
 * frames of that protocol (to 01:80:c2:00:00:00) are forwarded, as Linux does without one; those to the other addresses of links
 * (…:02 to …:0f) are for this host alone, pause frames (…:01) for nobody.
 */
import { memView } from "../../lib/memory.ts";
import { NETDEV_TX_OK, NETIF_F_8021Q, type NetDevice, type RxHandler } from "../../stack/core/net-device.ts";
import { kfreeSkb, PACKET_HOST, type SkBuff, skbClone } from "../../stack/core/skbuff.ts";
import { ETHH_SOURCE } from "../../stack/wire/eth.ts";
import { VLAN_HLEN } from "../../stack/wire/vlan.ts";
import {
  SKB_DROP_REASON_BRIDGE_INGRESS_STP_STATE, SKB_DROP_REASON_BRIDGE_NO_EGRESS_PORT, SKB_DROP_REASON_MAC_IEEE_MAC_CONTROL,
  SKB_DROP_REASON_MAC_INVALID_SOURCE, SKB_DROP_REASON_PKT_TOO_BIG, SKB_DROP_REASON_PKT_TOO_SMALL,
} from "../../uapi/drop-reason.ts";
import { IFF_PROMISC } from "../../uapi/if.ts";
import { ETH_HLEN } from "../../uapi/if-ether.ts";
import { ETH_BROADCAST_HI, ETH_BROADCAST_LO, ETH_GROUP_BIT, skbUnshare } from "../ethernet.ts";
import { netifReceiveSkb } from "../receive.ts";
import { RX_HANDLER_BRIDGE } from "../rx-handler.ts";
import { devQueueXmit } from "../xmit.ts";
import { brFdbFind, brFdbIsLocal, brFdbPort, brFdbUpdate } from "./br-fdb.ts";

/** The addresses 01:80:c2:00:00:00 to …:0f, which no bridge forwards: first two bytes, and last four without their low bits. */
const LINK_LOCAL_HI = 0x0180;
const LINK_LOCAL_LO = 0xc2000000 | 0;
const LINK_LOCAL_MASK = ~0xf;
const BRIDGE_GROUP = LINK_LOCAL_LO;
const PAUSE = LINK_LOCAL_LO | 1;
/** Milliseconds until a station is forgotten. */
export const BR_AGEING_MS = 300_000;

/** What is a bridge's own: `dev.priv`. Linux: struct net_bridge. */
export class Bridge {
  ports: BridgePort | null = null;
  readonly dev: NetDevice;
  /** Its number, part of the key of its stations. */
  index = 0;
  ageingMs = BR_AGEING_MS;
  /** Link address and MTU are somebody's choice, and do not follow those of the ports. */
  addrSet = false;
  mtuSet = false;

  constructor(dev: NetDevice) {
    this.dev = dev;
  }
}

/** A device that is a port of a bridge. Linux: struct net_bridge_port. */
export class BridgePort implements RxHandler {
  next: BridgePort | null = null;
  /** Up, with carrier, and so is the bridge. Linux: BR_STATE_FORWARDING, else BR_STATE_DISABLED */
  forwarding = false;
  readonly dev: NetDevice;
  readonly br: Bridge;
  /** Its place in the table of all ports, 1 and up. */
  readonly index: number;
  nextHandler: RxHandler | null = null;
  readonly func = brHandleFrame;
  readonly order = RX_HANDLER_BRIDGE;
  readonly master: NetDevice;

  constructor(br: Bridge, dev: NetDevice, index: number) {
    this.br = br;
    this.dev = dev;
    this.index = index;
    this.master = br.dev;
  }
}

/** The ports of all bridges by their number; null where one has gone. */
export let brPorts: (BridgePort | null)[];

/** Boot. @param ports an empty table */
export function brForwardInit(ports: (BridgePort | null)[]): void {
  brPorts = ports;
}

/** A port received a frame, data behind the link header. */
function brHandleFrame(skb: SkBuff, _dev: NetDevice, handler: RxHandler): boolean {
  const port = handler as BridgePort;
  const mac = skb.mac;
  const hi = memView.getUint16(mac);
  const lo = memView.getInt32(mac + 2);
  const srcHi = memView.getUint16(mac + ETHH_SOURCE);
  const srcLo = memView.getInt32(mac + ETHH_SOURCE + 2);
  let reason = 0;
  if ((srcHi & ETH_GROUP_BIT) !== 0 || (srcHi | srcLo) === 0) reason = SKB_DROP_REASON_MAC_INVALID_SOURCE;
  else if (hi === LINK_LOCAL_HI && (lo & LINK_LOCAL_MASK) === LINK_LOCAL_LO && lo !== BRIDGE_GROUP) {
    if (lo !== PAUSE) {
      if (port.forwarding) brFdbUpdate(port.br.index, port.index, srcHi, srcLo);
      return false;
    }
    reason = SKB_DROP_REASON_MAC_IEEE_MAC_CONTROL;
  } else if (!port.forwarding) reason = SKB_DROP_REASON_BRIDGE_INGRESS_STP_STATE;
  if (reason !== 0) {
    kfreeSkb(skb, reason);
    return true;
  }
  brFdbUpdate(port.br.index, port.index, srcHi, srcLo);
  brInput(port, skb, hi, lo);
  return true;
}

/** A frame has come in that may be forwarded, and its sender is known. Linux: br_handle_frame_finish(). */
function brInput(port: BridgePort, skb: SkBuff, hi: number, lo: number): void {
  const br = port.br;
  const dev = br.dev;
  let local = (dev.flags & IFF_PROMISC) !== 0;
  if ((hi & ETH_GROUP_BIT) !== 0) {
    local = true;
    if (hi !== ETH_BROADCAST_HI || lo !== ETH_BROADCAST_LO) dev.stats.multicast++;
    brFlood(br, skb, port, true);
  } else {
    if (lo === dev.addrLo && hi === dev.addrHi) skb.pktType = PACKET_HOST;
    const row = brFdbFind(br.index, hi, lo);
    if (row < 0) brFlood(br, skb, port, local);
    else if (brFdbIsLocal(row)) local = true;
    else brForward(br, brPorts[brFdbPort(row)]!, skb, port, local);
  }
  if (!local) return;
  const stats = dev.stats;
  stats.rxPackets++;
  stats.rxBytes += skb.len;
  skb.dev = dev;
  netifReceiveSkb(skb);
}

/** Sends a frame by a port, its link header in front again. Linux: __br_forward(), br_dev_queue_push_xmit(). */
function brSend(port: BridgePort, sent: SkBuff): void {
  const dev = port.dev;
  let skb: SkBuff | null = sent;
  skb.data -= ETH_HLEN;
  skb.len += ETH_HLEN;
  if (skb.len > dev.mtu + ETH_HLEN + VLAN_HLEN) {
    kfreeSkb(skb, SKB_DROP_REASON_PKT_TOO_BIG);
    return;
  }
  // A VLAN puts its tag into the bytes that other ports may still have to send.
  if ((dev.features & NETIF_F_8021Q) !== 0) {
    skb = skbUnshare(skb);
    if (skb === null) return;
  }
  skb.dev = dev;
  // The taps of the port have not seen it as one that leaves.
  skb.pktType = PACKET_HOST;
  devQueueXmit(skb);
}

/** Sends a clone by a port. Linux: deliver_clone(). */
function brSendClone(br: Bridge, port: BridgePort, skb: SkBuff): void {
  const clone = skbClone(skb);
  if (clone === null) br.dev.stats.txDropped++;
  else brSend(port, clone);
}

/**
 * Sends a frame by one port, unless it came from there. The frame is gone then, or with `local` still the caller's. Linux:
 * br_forward().
 */
function brForward(br: Bridge, to: BridgePort, skb: SkBuff, from: BridgePort | null, local: boolean): void {
  if (to !== from && to.forwarding) {
    if (local) brSendClone(br, to, skb);
    else brSend(to, skb);
  } else if (!local) {
    kfreeSkb(skb, SKB_DROP_REASON_BRIDGE_NO_EGRESS_PORT);
  }
}

/** Sends a frame by all ports but the one it came from, likewise. Linux: br_flood(). */
function brFlood(br: Bridge, skb: SkBuff, from: BridgePort | null, local: boolean): void {
  let last: BridgePort | null = null;
  for (let port = br.ports; port !== null; port = port.next) {
    if (port === from || !port.forwarding) continue;
    if (last !== null) brSendClone(br, last, skb);
    last = port;
  }
  if (last === null) {
    if (!local) kfreeSkb(skb, SKB_DROP_REASON_BRIDGE_NO_EGRESS_PORT);
  } else if (local) {
    brSendClone(br, last, skb);
  } else {
    brSend(last, skb);
  }
}

/** This host sends a frame by the bridge. Linux: br_dev_xmit(). */
export function brDevXmit(skb: SkBuff, dev: NetDevice): number {
  const br = dev.priv as Bridge;
  const stats = dev.stats;
  const mac = skb.data;
  if (skb.tail - mac < ETH_HLEN) {
    stats.txDropped++;
    kfreeSkb(skb, SKB_DROP_REASON_PKT_TOO_SMALL);
    return NETDEV_TX_OK;
  }
  stats.txPackets++;
  stats.txBytes += skb.len;
  skb.mac = mac;
  skb.data = mac + ETH_HLEN;
  skb.len -= ETH_HLEN;
  const hi = memView.getUint16(mac);
  const row = (hi & ETH_GROUP_BIT) !== 0 ? -1 : brFdbFind(br.index, hi, memView.getInt32(mac + 2));
  if (row < 0) brFlood(br, skb, null, false);
  else if (brFdbIsLocal(row)) kfreeSkb(skb, SKB_DROP_REASON_BRIDGE_NO_EGRESS_PORT);
  else brForward(br, brPorts[brFdbPort(row)]!, skb, null, false);
  return NETDEV_TX_OK;
}
