/**
 * Bridges and their ports: made and taken apart, up and down, with the link address, MTU and carrier that follow from the ports. Linux:
 * net/bridge/br_if.c, br.c and br_device.c. Owns the tables of bridges and ports and the listener on netdev_chain. Frames are
 * br-forward.ts's.
 */
import { account } from "../../lib/account.ts";
import { NOTIFY_DONE, NotifierBlock, notifierChainCall, notifierChainRegister } from "../../lib/notifier.ts";
import { getRandomU32 } from "../../lib/random.ts";
import { nlErrMsg } from "../../stack/core/extack.ts";
import type { Net } from "../../stack/core/net.ts";
import { NETIF_F_8021Q, NetDevice, type NetDeviceOps } from "../../stack/core/net-device.ts";
import { EBUSY, EINVAL, ELOOP, ENFILE, ENOMEM, errnoName } from "../../uapi/errno.ts";
import { IFF_LOOPBACK } from "../../uapi/if.ts";
import { ARPHRD_ETHER } from "../../uapi/if-arp.ts";
import { ETH_DATA_LEN, ETH_HLEN } from "../../uapi/if-ether.ts";
import {
  devSetAllmulti, devSetMtu, devSetPromiscuity, NETDEV_CHANGE, NETDEV_CHANGEADDR, NETDEV_CHANGEMTU, NETDEV_CHANGEUPPER, NETDEV_DOWN,
  NETDEV_UNREGISTER, NETDEV_UP, netdevChain, netifCarrierOff, netifCarrierOn, registerNetdev,
} from "../dev.ts";
import { ETH_GROUP_BIT, ETH_LOCAL_BIT, etherSetup } from "../ethernet.ts";
import { netdevRxHandler, netdevRxHandlerRegister, netdevRxHandlerUnregister, RX_HANDLER_BRIDGE } from "../rx-handler.ts";
import { brFdbAgeingChanged, brFdbEnter, brFdbFlushBridge, brFdbFlushPort, brFdbInit, brFdbSweepLocals } from "./br-fdb.ts";
import { Bridge, BridgePort, brDevXmit, brForwardInit, brPorts } from "./br-forward.ts";

/** Bridges there can be: their number is a byte. */
const BRIDGES_MAX = 256;

/** Bridges by their number; null where one has gone. */
let bridges: (Bridge | null)[];

/** Boot: there can be bridges. After netdevInit(). @param entries stations that all of them can know */
export function bridgeInit(entries: number): void {
  bridges = account("bridge", []);
  brFdbInit(entries, ageingOf);
  // The number 0 stands for the bridge itself.
  brForwardInit(account("bridge", [null]));
  notifierChainRegister(netdevChain, account("bridge", new NotifierBlock<NetDevice>(brDeviceEvent)));
}

function ageingOf(bridge: number): number {
  return bridges[bridge]!.ageingMs;
}

/** A bridge's own; null of another device. Linux: netif_is_bridge_master(), netdev_priv(). */
export function bridgeOf(dev: NetDevice): Bridge | null {
  return dev.ops === bridgeOps ? dev.priv as Bridge : null;
}

/** The bridge with that number, of an entry of the forwarding database. */
export function bridgeByIndex(index: number): Bridge {
  return bridges[index]!;
}

/** The port that a device is, null for none. Linux: br_port_get_rtnl(). */
export function bridgePortOf(dev: NetDevice): BridgePort | null {
  return netdevRxHandler(dev, RX_HANDLER_BRIDGE) as BridgePort | null;
}

/** Sets after how many milliseconds of silence a station is forgotten, 0 for at once: every frame goes to all. */
export function bridgeSetAgeing(br: Bridge, ms: number): void {
  br.ageingMs = ms;
  brFdbAgeingChanged();
}

function bridgeOpen(dev: NetDevice): number {
  updateStates(dev.priv as Bridge);
  return 0;
}

function bridgeStop(dev: NetDevice): number {
  updateStates(dev.priv as Bridge);
  return 0;
}

function bridgeSetMacAddress(dev: NetDevice): number {
  const br = dev.priv as Bridge;
  br.addrSet = true;
  enterLocals(br);
  return 0;
}

function bridgeChangeMtu(dev: NetDevice): number {
  (dev.priv as Bridge).mtuSet = true;
  return 0;
}

/** The functions of a bridge: what has them is one. */
export const bridgeOps: NetDeviceOps = Object.freeze({
  ndoOpen: bridgeOpen,
  ndoStop: bridgeStop,
  ndoStartXmit: brDevXmit,
  ndoSetMacAddress: bridgeSetMacAddress,
  ndoChangeMtu: bridgeChangeMtu,
  ndoAddSlave: bridgeAddPort,
  ndoDelSlave: bridgeDelPort,
});

/** A bridge without ports and with a random address, not registered yet. */
export function createBridgeDev(name: string): NetDevice {
  const dev = new NetDevice(name, ARPHRD_ETHER, ETH_DATA_LEN, ETH_HLEN, bridgeOps);
  etherSetup(dev);
  dev.addrHi = (getRandomU32() & 0xffff & ~ETH_GROUP_BIT) | ETH_LOCAL_BIT;
  dev.addrLo = getRandomU32() | 0;
  dev.txqueuelen = 0;
  dev.carrier = false;
  dev.priv = new Bridge(dev);
  return dev;
}

/** Makes a bridge part of a namespace: 0, -ENFILE when there are too many, or an errno of registerNetdev(). */
export function registerBridgeDev(net: Net, dev: NetDevice): number {
  const br = dev.priv as Bridge;
  let index = bridges.indexOf(null);
  if (index < 0) index = bridges.length;
  if (index >= BRIDGES_MAX) return -ENFILE;
  br.index = index;
  bridges[index] = br;
  const err = registerNetdev(net, dev);
  if (err < 0) bridges[index] = null;
  else enterLocals(br);
  return err;
}

/**
 * `ip link add NAME type bridge`: a bridge, down and without ports. Allocates.
 * @throws Error naming the bridge and the errno when it cannot be registered
 */
export function bridgeCreate(net: Net, name: string): NetDevice {
  const dev = createBridgeDev(name);
  const err = registerBridgeDev(net, dev);
  if (err < 0) throw new Error(`bridgeCreate: ${name}: ${errnoName(-err)}`);
  return dev;
}

/**
 * `ip link set DEV master BRIDGE`: what the device receives is the bridge's from now on. Allocates. Linux: br_add_if().
 * @returns 0; -EINVAL (the device is no Ethernet), -ELOOP (it is a bridge), -EBUSY (it is a port, or stands on the bridge), -ENOMEM
 *   (no entry for its address)
 */
export function bridgeAddPort(bridge: NetDevice, dev: NetDevice): number {
  const br = bridge.priv as Bridge;
  if ((dev.flags & IFF_LOOPBACK) !== 0 || dev.type !== ARPHRD_ETHER || (dev.addrHi | dev.addrLo) === 0) return -EINVAL;
  if (bridgeOf(dev) !== null) return nlErrMsg(-ELOOP, "Can not enslave a bridge to a bridge");
  if (bridgePortOf(dev) !== null || standsOn(dev, bridge)) return -EBUSY;
  const port = createPort(br, dev);
  port.next = br.ports;
  br.ports = port;
  netdevRxHandlerRegister(dev, port);
  devSetAllmulti(dev, 1);
  devSetPromiscuity(dev, 1);
  if (enterLocals(br) < 0) {
    removePort(port);
    return -ENOMEM;
  }
  portsChanged(br);
  updateState(port);
  notifierChainCall(netdevChain, NETDEV_CHANGEUPPER, dev);
  return 0;
}

/** Is a device, or what it is a VLAN of, that bridge? */
function standsOn(dev: NetDevice, bridge: NetDevice): boolean {
  let at: NetDevice | null = dev;
  while (at !== null && (at.features & NETIF_F_8021Q) !== 0) at = at.peer;
  return at === bridge;
}

/** A port with a number that is free. */
function createPort(br: Bridge, dev: NetDevice): BridgePort {
  let index = brPorts.indexOf(null, 1);
  if (index < 0) index = brPorts.length;
  const port = account("bridge", new BridgePort(br, dev, index));
  brPorts[index] = port;
  return port;
}

/** `ip link set DEV nomaster`: 0, or -EINVAL when it is no port of the bridge. Linux: br_del_if(). */
export function bridgeDelPort(bridge: NetDevice, dev: NetDevice): number {
  const port = bridgePortOf(dev);
  if (port === null || port.master !== bridge) return -EINVAL;
  removePort(port);
  notifierChainCall(netdevChain, NETDEV_CHANGEUPPER, dev);
  return 0;
}

/** Linux: del_nbp(). */
function removePort(port: BridgePort): void {
  const { br, dev } = port;
  port.forwarding = false;
  if (br.ports === port) br.ports = port.next;
  for (let at = br.ports; at !== null; at = at.next) if (at.next === port) at.next = port.next;
  netdevRxHandlerUnregister(dev, port);
  devSetPromiscuity(dev, -1);
  devSetAllmulti(dev, -1);
  brFdbFlushPort(port.index, true);
  enterLocals(br);
  brPorts[port.index] = null;
  portsChanged(br);
  updateCarrier(br);
}

/** Enters the addresses of the ports and of the bridge itself, and forgets those that are theirs no more: 0, or -1 when there is no room. Linux: br_fdb_add_local(). */
function enterLocals(br: Bridge): number {
  brFdbSweepLocals(br.index, isOurs);
  let err = 0;
  const { dev, index } = br;
  if ((dev.addrHi | dev.addrLo) !== 0) err = brFdbEnter(index, 0, dev.addrHi, dev.addrLo, true);
  for (let port = br.ports; port !== null; port = port.next) {
    err |= brFdbEnter(index, port.index, port.dev.addrHi, port.dev.addrLo, true);
  }
  return err;
}

/** Is that the address of a bridge or of one of its ports? */
function isOurs(bridge: number, hi: number, lo: number): boolean {
  const { dev, ports } = bridges[bridge]!;
  if (dev.addrHi === hi && dev.addrLo === lo) return true;
  for (let port = ports; port !== null; port = port.next) if (port.dev.addrHi === hi && port.dev.addrLo === lo) return true;
  return false;
}

/** The bridge has the lowest address of its ports, and the smallest MTU. Linux: br_stp_recalculate_bridge_id(), br_mtu_auto_adjust(). */
function portsChanged(br: Bridge): void {
  const dev = br.dev;
  let hi = 0;
  let lo = 0;
  let mtu = ETH_DATA_LEN;
  for (let port = br.ports; port !== null; port = port.next) {
    const { addrHi, addrLo } = port.dev;
    const lower = addrHi < hi || (addrHi === hi && addrLo >>> 0 < lo >>> 0);
    if ((hi | lo) === 0 || lower) {
      hi = addrHi;
      lo = addrLo;
    }
    if (port.dev.mtu < mtu) mtu = port.dev.mtu;
  }
  if (!br.addrSet && (dev.addrHi !== hi || dev.addrLo !== lo)) {
    dev.addrHi = hi;
    dev.addrLo = lo;
    // Told as a change, the local entries follow.
    notifierChainCall(netdevChain, NETDEV_CHANGEADDR, dev);
  }
  if (!br.mtuSet) {
    devSetMtu(dev, mtu);
    br.mtuSet = false;
  }
}

/** A port forwards while it has carrier and the bridge is up; what was learned by one that stops is forgotten. */
function updateState(port: BridgePort): void {
  const { br, dev } = port;
  const forwarding = br.dev.running && dev.running && dev.carrier;
  if (forwarding === port.forwarding) return;
  port.forwarding = forwarding;
  if (!forwarding) brFdbFlushPort(port.index, false);
  updateCarrier(br);
}

function updateStates(br: Bridge): void {
  for (let port = br.ports; port !== null; port = port.next) updateState(port);
}

/** A bridge has carrier while one of its ports forwards. Linux: br_port_state_selection(). */
function updateCarrier(br: Bridge): void {
  for (let port = br.ports; port !== null; port = port.next) {
    if (port.forwarding) {
      netifCarrierOn(br.dev);
      return;
    }
  }
  netifCarrierOff(br.dev);
}

/** A device changed or goes that is a bridge or a port of one. Linux: br_device_event(). */
function brDeviceEvent(event: number, dev: NetDevice): number {
  const own = bridgeOf(dev);
  if (own !== null && event === NETDEV_CHANGEADDR) enterLocals(own);
  if (own !== null && event === NETDEV_UNREGISTER) releaseBridge(own);
  const port = bridgePortOf(dev);
  if (port === null) return NOTIFY_DONE;
  const br = port.br;
  switch (event) {
    case NETDEV_UP:
    case NETDEV_DOWN:
    case NETDEV_CHANGE:
      updateState(port);
      break;
    case NETDEV_CHANGEMTU:
      portsChanged(br);
      break;
    case NETDEV_CHANGEADDR:
      enterLocals(br);
      portsChanged(br);
      break;
    case NETDEV_UNREGISTER:
      removePort(port);
      break;
    default:
  }
  return NOTIFY_DONE;
}

/** A bridge goes: its ports are single devices again. Linux: br_dev_delete(). */
function releaseBridge(br: Bridge): void {
  while (br.ports !== null) bridgeDelPort(br.dev, br.ports.dev);
  brFdbFlushBridge(br.index);
  bridges[br.index] = null;
}
