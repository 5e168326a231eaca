/**
 * The link layer's path: a frame from a station behind eth1 goes through the bridge br0 to the VLAN eth0.10 and leaves eth0 with its
 * tag; one that arrives by eth0 with the tag goes back to the station.
 */
import { memView } from "../../src/lib/memory.ts";
import { bridgeAddPort, bridgeCreate } from "../../src/netif/bridge/br-if.ts";
import { devOpen } from "../../src/netif/dev.ts";
import { ethReceive, etherSetup } from "../../src/netif/ethernet.ts";
import { vlanCreate } from "../../src/netif/vlan-dev.ts";
import type { Net } from "../../src/stack/core/net.ts";
import { NETDEV_TX_OK, NetDevice } from "../../src/stack/core/net-device.ts";
import { consumeSkb, netdevAllocSkb, type SkBuff, skbPut } from "../../src/stack/core/skbuff.ts";
import { ARPHRD_ETHER } from "../../src/uapi/if-arp.ts";
import { ETH_DATA_LEN, ETH_HLEN, ETH_P_8021Q } from "../../src/uapi/if-ether.ts";
import { inboxOffset } from "./device.ts";

const VLAN = 10;
const EXPERIMENTAL = 0x88b5;
const PAYLOAD = 64;
const ADDR_HI = 0x0200;
const STATION_LO = 0x55;
const FAR_LO = 0x66;

/** Frames that the station was sent. */
export let stationFrames = 0;

let eth1: NetDevice;

function toStation(skb: SkBuff): number {
  stationFrames++;
  consumeSkb(skb);
  return NETDEV_TX_OK;
}

/** Builds the bridge over a VLAN of eth0 and a device of its own. */
export function linkInit(net: Net, eth0: NetDevice): void {
  eth1 = new NetDevice("eth1", ARPHRD_ETHER, ETH_DATA_LEN, ETH_HLEN, { ndoStartXmit: toStation });
  etherSetup(eth1);
  eth1.addrHi = ADDR_HI;
  eth1.addrLo = 1;
  net.register(eth1);
  const vlan = vlanCreate(eth0, VLAN);
  const br = bridgeCreate(net, "br0");
  for (const dev of [eth1, vlan, br]) if (devOpen(dev) < 0) throw new Error(`${dev.name} does not open`);
  for (const dev of [eth1, vlan]) if (bridgeAddPort(br, dev) < 0) throw new Error(`${dev.name} is no port`);
}

function writeAddresses(at: number, to: number, from: number): void {
  memView.setUint16(at, ADDR_HI);
  memView.setInt32(at + 2, to);
  memView.setUint16(at + 6, ADDR_HI);
  memView.setInt32(at + 8, from);
}

/** Writes a frame with a tag to the station into the inbox: its length. */
export function writeTagged(): number {
  writeAddresses(inboxOffset, STATION_LO, FAR_LO);
  memView.setInt32(inboxOffset + 12, (ETH_P_8021Q << 16) | VLAN);
  memView.setUint16(inboxOffset + 16, EXPERIMENTAL);
  return 18 + PAYLOAD;
}

/** Has eth1 receive a frame from the station. */
export function receiveFromStation(): void {
  const skb = netdevAllocSkb(eth1, ETH_HLEN + PAYLOAD);
  if (skb === null) throw new Error("no packet");
  const at = skbPut(skb, ETH_HLEN + PAYLOAD);
  writeAddresses(at, FAR_LO, STATION_LO);
  memView.setUint16(at + 12, EXPERIMENTAL);
  ethReceive(skb, eth1);
}

/** Is that a frame with the VLAN's tag, from the station? */
export function isTagged(at: number): boolean {
  return memView.getInt32(at + 8) === STATION_LO && memView.getInt32(at + 12) === ((ETH_P_8021Q << 16) | VLAN);
}
