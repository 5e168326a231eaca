/**
 * The life of VLAN devices: made on a real device, up and down with it, its carrier, MTU, link address and receive filter. Linux:
 * register_vlan_dev() and vlan_device_event() of net/8021q/vlan.c, vlan_dev.c. Owns the listener on netdev_chain. Frames are
 * vlan.ts's.
 */
import { account } from "../lib/account.ts";
import { NOTIFY_DONE, NotifierBlock, notifierChainCall, notifierChainRegister } from "../lib/notifier.ts";
import { nlErrMsg } from "../stack/core/extack.ts";
import { NETIF_F_8021Q, NETIF_F_SG, NetDevice, type NetDeviceOps } from "../stack/core/net-device.ts";
import { VLAN_N_VID } from "../stack/wire/vlan.ts";
import { EEXIST, EINVAL, ENETDOWN, EOPNOTSUPP, EPROTONOSUPPORT, ERANGE, errnoName } from "../uapi/errno.ts";
import { IFF_ALLMULTI, IFF_MASTER, IFF_PROMISC, IFF_SLAVE, IFF_UP } from "../uapi/if.ts";
import { ARPHRD_ETHER } from "../uapi/if-arp.ts";
import { ETH_HLEN, ETH_MAX_MTU, ETH_P_8021AD, ETH_P_8021Q } from "../uapi/if-ether.ts";
import { VLAN_FLAG_LOOSE_BINDING } from "../uapi/if-link.ts";
import {
  devClose, devOpen, devSetAllmulti, devSetMtu, devSetPromiscuity, NETDEV_CHANGE, NETDEV_CHANGEADDR, NETDEV_CHANGEMTU, NETDEV_DOWN,
  NETDEV_REGISTER, NETDEV_UNREGISTER, NETDEV_UP, netdevChain, netifCarrierOff, netifCarrierOn, registerNetdev, unregisterNetdev,
} from "./dev.ts";
import { etherSetup } from "./ethernet.ts";
import { netdevRxHandler, netdevRxHandlerRegister, netdevRxHandlerUnregister, RX_HANDLER_VLAN } from "./rx-handler.ts";
import { VlanDev, vlanFind, VlanGroup, vlanXmit } from "./vlan.ts";

/** Flags that a VLAN does not take from the device below. */
const OWN_FLAGS = IFF_UP | IFF_PROMISC | IFF_ALLMULTI | IFF_MASTER | IFF_SLAVE;

/** Boot: from now on Ethernet devices take tagged frames, and can have VLANs. After netdevInit(). */
export function vlanInit(): void {
  notifierChainRegister(netdevChain, account("vlan", new NotifierBlock<NetDevice>(vlanDeviceEvent)));
}

/** The VLANs of a device; null on one that is no Ethernet. */
function groupOf(dev: NetDevice): VlanGroup | null {
  return netdevRxHandler(dev, RX_HANDLER_VLAN) as VlanGroup | null;
}

/** A VLAN device's own; null of another device. Linux: is_vlan_dev(), vlan_dev_priv(). */
export function vlanDevOf(dev: NetDevice): VlanDev | null {
  return (dev.features & NETIF_F_8021Q) !== 0 ? dev.priv as VlanDev : null;
}

/**
 * Has the device below receive what the VLAN is to get: a link address that is not its own, everything, all groups. Single groups
 * are on its list already (dev-mc.ts). @param up is the VLAN up? Linux: vlan_dev_change_rx_flags(), dev_uc_add()
 */
function passFilter(vlan: VlanDev, up: boolean): void {
  const { dev, real } = vlan;
  const foreign = dev.addrHi !== real.addrHi || dev.addrLo !== real.addrLo;
  const promisc = up && (foreign || (dev.flags & IFF_PROMISC) !== 0);
  const allmulti = up && (dev.flags & IFF_ALLMULTI) !== 0;
  if (promisc !== vlan.promisc) {
    vlan.promisc = promisc;
    devSetPromiscuity(real, promisc ? 1 : -1);
  }
  if (allmulti !== vlan.allmulti) {
    vlan.allmulti = allmulti;
    devSetAllmulti(real, allmulti ? 1 : -1);
  }
}

function isLoose(vlan: VlanDev): boolean {
  return (vlan.flags & VLAN_FLAG_LOOSE_BINDING) !== 0;
}

function vlanOpen(dev: NetDevice): number {
  const vlan = dev.priv as VlanDev;
  if ((vlan.real.flags & IFF_UP) === 0 && !isLoose(vlan)) return -ENETDOWN;
  dev.carrier = vlan.real.carrier && vlan.real.running;
  return 0;
}

function vlanStop(dev: NetDevice): number {
  passFilter(dev.priv as VlanDev, false);
  dev.carrier = false;
  return 0;
}

function vlanSetRxMode(dev: NetDevice): void {
  passFilter(dev.priv as VlanDev, true);
}

function vlanSetMacAddress(dev: NetDevice): number {
  const vlan = dev.priv as VlanDev;
  vlan.inherits = false;
  passFilter(vlan, dev.running);
  return 0;
}

function vlanChangeMtu(dev: NetDevice, mtu: number): number {
  return mtu > dev.peer!.mtu ? -ERANGE : 0;
}

/** The functions of a VLAN device: what has them is one. */
export const vlanOps: NetDeviceOps = Object.freeze({
  ndoOpen: vlanOpen,
  ndoStop: vlanStop,
  ndoStartXmit: vlanXmit,
  ndoSetRxMode: vlanSetRxMode,
  ndoSetMacAddress: vlanSetMacAddress,
  ndoChangeMtu: vlanChangeMtu,
});

/** A VLAN on a device, not registered yet. @param proto ETH_P_8021Q or ETH_P_8021AD @param id 0 to 4094 */
export function createVlanDev(name: string, real: NetDevice, proto: number, id: number): NetDevice {
  const dev = new NetDevice(name, ARPHRD_ETHER, real.mtu, ETH_HLEN, vlanOps);
  etherSetup(dev);
  dev.mtu = real.mtu;
  dev.minMtu = 0;
  dev.maxMtu = ETH_MAX_MTU;
  dev.flags = real.flags & ~OWN_FLAGS;
  dev.features = NETIF_F_8021Q | (real.features & NETIF_F_SG);
  dev.addrHi = real.addrHi;
  dev.addrLo = real.addrLo;
  dev.txqueuelen = 0;
  dev.carrier = false;
  dev.peer = real;
  dev.priv = new VlanDev(dev, real, proto, id);
  return dev;
}

/**
 * Makes a VLAN part of the namespace of the device below. Linux: register_vlan_dev().
 * @returns 0; -EOPNOTSUPP (the device below is no Ethernet), -EEXIST (it has that VLAN, or the name is taken), -ERANGE (number),
 *   -EPROTONOSUPPORT (EtherType of the tag), -EINVAL (MTU), or another errno of registerNetdev()
 */
export function registerVlanDev(dev: NetDevice): number {
  const vlan = dev.priv as VlanDev;
  const { real, proto, id } = vlan;
  const group = real.net === null ? null : groupOf(real);
  if (group === null) return nlErrMsg(-EOPNOTSUPP, "VLANs not supported on device");
  if (proto !== ETH_P_8021Q && proto !== ETH_P_8021AD) return nlErrMsg(-EPROTONOSUPPORT, "Invalid VLAN protocol");
  if (id < 0 || id >= VLAN_N_VID - 1) return nlErrMsg(-ERANGE, "Invalid VLAN id");
  if (vlanFind(group, proto, id) !== null) return nlErrMsg(-EEXIST, "VLAN device already exists");
  if (dev.mtu > real.mtu) return -EINVAL;
  const err = registerNetdev(real.net!, dev);
  if (err < 0) return err;
  vlan.next = group.first;
  group.first = vlan;
  return 0;
}

/**
 * `ip link add link REAL name NAME type vlan id ID`: a VLAN, down. Allocates.
 * @param id 0 to 4094 @param name default REAL.ID
 * @throws Error naming the VLAN and the errno of registerVlanDev()
 */
export function vlanCreate(real: NetDevice, id: number, name = `${real.name}.${id}`): NetDevice {
  const dev = createVlanDev(name, real, ETH_P_8021Q, id);
  const err = registerVlanDev(dev);
  if (err < 0) throw new Error(`vlanCreate: VLAN ${id} on ${real.name}: ${errnoName(-err)}`);
  return dev;
}

/** A VLAN leaves the device below. */
function unlinkVlan(vlan: VlanDev): void {
  const group = groupOf(vlan.real);
  if (group === null) return;
  if (group.first === vlan) group.first = vlan.next;
  for (let at = group.first; at !== null; at = at.next) if (at.next === vlan) at.next = vlan.next;
  vlan.next = null;
}

/** A device came, went or changed: so do the VLANs on it. Linux: vlan_device_event(). */
function vlanDeviceEvent(event: number, dev: NetDevice): number {
  if (event === NETDEV_REGISTER && dev.type === ARPHRD_ETHER) netdevRxHandlerRegister(dev, createGroup());
  const group = groupOf(dev);
  if (group === null) return NOTIFY_DONE;
  let vlan = group.first;
  while (vlan !== null) {
    const next: VlanDev | null = vlan.next;
    lowerEvent(event, dev, vlan);
    vlan = next;
  }
  if (event === NETDEV_UNREGISTER) {
    netdevRxHandlerUnregister(dev, group);
    const own = vlanDevOf(dev);
    if (own !== null) unlinkVlan(own);
  }
  return NOTIFY_DONE;
}

/** For each device once. */
function createGroup(): VlanGroup {
  return account("vlan", new VlanGroup());
}

/** What an event of the device below means to one of its VLANs. */
function lowerEvent(event: number, real: NetDevice, vlan: VlanDev): void {
  const dev = vlan.dev;
  switch (event) {
    case NETDEV_CHANGE:
      followCarrier(vlan);
      break;
    case NETDEV_CHANGEADDR:
      if (vlan.inherits) {
        dev.addrHi = real.addrHi;
        dev.addrLo = real.addrLo;
        notifierChainCall(netdevChain, NETDEV_CHANGEADDR, dev);
      } else {
        passFilter(vlan, dev.running);
      }
      break;
    case NETDEV_CHANGEMTU:
      if (dev.mtu > real.mtu) devSetMtu(dev, real.mtu);
      break;
    case NETDEV_UP:
      if (!isLoose(vlan)) devOpen(dev);
      followCarrier(vlan);
      break;
    case NETDEV_DOWN:
      if (isLoose(vlan)) netifCarrierOff(dev);
      else devClose(dev);
      break;
    case NETDEV_UNREGISTER:
      unregisterNetdev(dev);
      break;
    default:
  }
}

/** There is carrier while there is below. Linux: vlan_stacked_transfer_operstate(). */
function followCarrier(vlan: VlanDev): void {
  const { dev, real } = vlan;
  if (!dev.running) return;
  if (real.running && real.carrier) netifCarrierOn(dev);
  else netifCarrierOff(dev);
}
