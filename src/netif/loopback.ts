/**
 * The loopback device: what is sent by it comes back in. Linux: drivers/net/loopback.c. Owns nothing: every namespace
 * gets one, down, and 127.0.0.1/8 appears on it (ipv4/devinet.ts) when it goes up.
 */
import { type Net, registerPernetSubsys } from "../stack/core/net.ts";
import { NETDEV_TX_OK, NETIF_F_CSUM, NETIF_F_SG, NetDevice, type NetDeviceOps } from "../stack/core/net-device.ts";
import { CHECKSUM_UNNECESSARY, PACKET_BROADCAST, PACKET_MULTICAST, type SkBuff, skbOrphan } from "../stack/core/skbuff.ts";
import { IFF_LOOPBACK } from "../uapi/if.ts";
import { ARPHRD_LOOPBACK } from "../uapi/if-arp.ts";
import { ETH_HLEN } from "../uapi/if-ether.ts";
import { devOpen } from "./dev.ts";
import { bufferMtu, ethHeaderOps, ethTypeTrans, skbUnshare } from "./ethernet.ts";
import { NET_RX_SUCCESS, netifRx } from "./receive.ts";

/**
 * Takes the packet from its sender and queues it as received, with its route: it needs no other. A clone (of a segment
 * that TCP keeps for retransmission) is copied, since the sender would write its next headers into the reader's data.
 */
function loopbackXmit(sent: SkBuff, dev: NetDevice): number {
  const stats = dev.stats;
  skbOrphan(sent);
  const skb = skbUnshare(sent);
  if (skb === null) {
    stats.txDropped++;
    return NETDEV_TX_OK;
  }
  const length = skb.len;
  skb.protocol = ethTypeTrans(skb, dev);
  // The broadcast address of this device is 0, as its own is.
  if (skb.pktType === PACKET_BROADCAST) skb.pktType = PACKET_MULTICAST;
  skb.ipSummed = CHECKSUM_UNNECESSARY;
  if (netifRx(skb) === NET_RX_SUCCESS) {
    stats.txPackets++;
    stats.rxPackets++;
    stats.txBytes += length;
    stats.rxBytes += length;
  }
  return NETDEV_TX_OK;
}

const loopbackOps: NetDeviceOps = Object.freeze({ ndoStartXmit: loopbackXmit });

/** Linux: loopback_net_init(). */
function registerLoopback(net: Net): void {
  const dev = new NetDevice("lo", ARPHRD_LOOPBACK, bufferMtu(), ETH_HLEN, loopbackOps);
  dev.flags = IFF_LOOPBACK;
  dev.headerOps = ethHeaderOps;
  dev.features = NETIF_F_CSUM | NETIF_F_SG;
  dev.maxMtu = bufferMtu();
  dev.txqueuelen = 0;
  net.loopbackDev = net.register(dev);
}

/** Linux: loopback_net_ops. */
const loopbackNetOps = Object.freeze({ init: registerLoopback });

/** Gives every namespace a loopback device. Boot time, after all that listens for devices, and the first of devices. */
export function loopbackInit(): void {
  registerPernetSubsys(loopbackNetOps);
}

/** `ip link set lo up`: 0 or a negative errno. */
export function loopbackUp(net: Net): number {
  return devOpen(net.loopbackDev!);
}
