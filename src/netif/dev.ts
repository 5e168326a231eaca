/**
 * Network devices: registration, names, up and down, flags, MTU and address. Linux: net/core/dev.c,
 * net/core/dev_ioctl.c. Owns the notifier chain that tells the layers above of every change. Carrier and queues are in
 * link-state.ts.
 *
 * A driver makes a NetDevice (ethernet: `etherSetup(dev)`), registers it with a namespace, and is opened by devOpen().
 * Drivers count their own rxPackets, rxBytes, txPackets and txBytes, as Linux's do.
 */
import { account } from "../lib/account.ts";
import { NotifierChain, notifierChainCall, notifierToErrno } from "../lib/notifier.ts";
import type { Net } from "../stack/core/net.ts";
import type { NetDevice } from "../stack/core/net-device.ts";
import { EADDRNOTAVAIL, EBUSY, EEXIST, EINVAL, ENETDOWN, ENFILE, EOPNOTSUPP, ERANGE } from "../uapi/errno.ts";
import {
  IFF_ALLMULTI, IFF_AUTOMEDIA, IFF_DEBUG, IFF_DYNAMIC, IFF_LOWER_UP, IFF_MULTICAST, IFF_NOARP, IFF_NOTRAILERS,
  IFF_PORTSEL, IFF_PROMISC, IFF_RUNNING, IFF_UP, IFF_VOLATILE, IFNAMSIZ,
} from "../uapi/if.ts";
import { registerDevMcStatic } from "./dev-mc.ts";
import { devActivate, devDeactivate, linkStateInit, linkStateRelease, linkStateSetup } from "./link-state.ts";
import { napiInit } from "./napi.ts";
import { netifRxFlush, receiveInit } from "./receive.ts";
import { xmitInit } from "./xmit.ts";

export { netifCarrierOff, netifCarrierOn, netifStartQueue, netifStopQueue, netifWakeQueue } from "./link-state.ts";

/** Events of the chain (linux/netdevice.h). */
export const NETDEV_UP = 1;
export const NETDEV_DOWN = 2;
/** Flags or carrier changed. */
export const NETDEV_CHANGE = 4;
export const NETDEV_REGISTER = 5;
export const NETDEV_UNREGISTER = 6;
export const NETDEV_CHANGEMTU = 7;
export const NETDEV_CHANGEADDR = 8;
export const NETDEV_CHANGENAME = 10;
/** Still up, about to go down. */
export const NETDEV_GOING_DOWN = 9;
/** About to go up; a listener may veto. */
export const NETDEV_PRE_UP = 13;
/** It has become a port of another device, or is one no more. */
export const NETDEV_CHANGEUPPER = 21;
export const NETDEV_CHANGE_TX_QUEUE_LEN = 25;

/** Flags that a program may set and clear at will. */
const SETTABLE = IFF_DEBUG | IFF_NOTRAILERS | IFF_NOARP | IFF_DYNAMIC | IFF_MULTICAST | IFF_PORTSEL | IFF_AUTOMEDIA;
/** First byte of an Ethernet address, as the high half of addrHi: a group address. */
const GROUP_BIT = 0x100;
/** Numbers a name pattern like eth%d may get. */
const MAX_NAME_NUMBER = 1000;

/** Who wants to hear of devices: listeners get the event and the device. Linux: netdev_chain. */
export let netdevChain: NotifierChain<NetDevice>;

/**
 * Starts the device layer: notifier chain, softirqs, backlog. Boot time, after softirqInit(), skbInit() and
 * timersInit(). Linux: net_dev_init().
 * @param maxBacklog packets that may wait on the way in from loopback and veth (net.core.netdev_max_backlog), 1 or more
 */
export function netdevInit(maxBacklog: number): void {
  netdevChain = account("netif", new NotifierChain<NetDevice>());
  linkStateInit();
  napiInit();
  receiveInit(maxBacklog);
  xmitInit();
  registerDevMcStatic(null);
}

/**
 * Is it a name for a device? 1 to 15 characters, no blank, slash or colon, not "." or "..". Linux: dev_valid_name().
 */
function devValidName(name: string): boolean {
  if (name.length === 0 || name.length >= IFNAMSIZ || name === "." || name === "..") return false;
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code <= 0x20 || code === 0x2f || code === 0x3a || code === 0x7f) return false;
  }
  return true;
}

/** Replaces %d by the lowest number that makes the name unique; "" when there is none. Linux: dev_alloc_name(). */
function createName(net: Net, pattern: string): string {
  const at = pattern.indexOf("%d");
  if (at < 0) return pattern;
  for (let number = 0; number < MAX_NAME_NUMBER; number++) {
    const name = pattern.substring(0, at) + String(number) + pattern.substring(at + 2);
    if (name.length < IFNAMSIZ && devGetByName(net, name) === null) return name;
  }
  return "";
}

/** The device of that name in the namespace, or null. Linux: dev_get_by_name(). */
export function devGetByName(net: Net, name: string): NetDevice | null {
  for (let dev = net.devices; dev !== null; dev = dev.nextDev) if (dev.name === name) return dev;
  return null;
}

/** The device of that number in the namespace, or null. Linux: dev_get_by_index(). */
export function devGetByIndex(net: Net, ifindex: number): NetDevice | null {
  for (let dev = net.devices; dev !== null; dev = dev.nextDev) if (dev.ifindex === ifindex) return dev;
  return null;
}

/**
 * Gives a device another name, up or down (since Linux 6.2). Configuration: makes strings. Linux: dev_change_name().
 * @returns 0, -EINVAL (no name for a device), -ENFILE (no number left for %d), -EEXIST
 */
export function devChangeName(dev: NetDevice, pattern: string): number {
  if (pattern === dev.name) return 0;
  if (!devValidName(pattern)) return -EINVAL;
  const name = createName(dev.net!, pattern);
  if (name === "") return -ENFILE;
  if (devGetByName(dev.net!, name) !== null) return -EEXIST;
  dev.name = name;
  notifierChainCall(netdevChain, NETDEV_CHANGENAME, dev);
  return 0;
}

/**
 * Sets how many packets may wait for a device; a device that was registered without a queue stays without. Linux:
 * dev_change_tx_queue_len().
 * @returns 0, -ERANGE for a negative length
 */
export function devSetTxQueueLen(dev: NetDevice, length: number): number {
  if (length < 0) return -ERANGE;
  if (length === dev.txqueuelen) return 0;
  dev.txqueuelen = length;
  notifierChainCall(netdevChain, NETDEV_CHANGE_TX_QUEUE_LEN, dev);
  return 0;
}

/**
 * Makes a device part of a namespace: it gets an ifindex (and a number for %d in its name) and is down. Allocates.
 * Linux: register_netdev().
 * @returns 0; -EINVAL (name), -EEXIST (name taken), -ENFILE (no number left), -EBUSY (registered already), or a veto
 */
export function registerNetdev(net: Net, dev: NetDevice): number {
  if (dev.net !== null) return -EBUSY;
  if (!devValidName(dev.name)) return -EINVAL;
  const name = createName(net, dev.name);
  if (name === "") return -ENFILE;
  if (devGetByName(net, name) !== null) return -EEXIST;
  dev.name = name;
  dev.net = net;
  dev.ifindex = net.nextIfindex++;
  dev.running = false;
  dev.nextDev = null;
  linkStateSetup(dev, linkChanged);
  account("net_device", dev);
  if (net.devices === null) {
    net.devices = dev;
  } else {
    let last = net.devices;
    while (last.nextDev !== null) last = last.nextDev;
    last.nextDev = dev;
  }
  const err = notifierToErrno(notifierChainCall(netdevChain, NETDEV_REGISTER, dev));
  if (err !== 0) unregisterNetdev(dev);
  return err;
}

/**
 * Takes a device out of its namespace, closed first; its packets on the way in are dropped. Linux:
 * unregister_netdev().
 */
export function unregisterNetdev(dev: NetDevice): void {
  const net = dev.net;
  if (net === null) return;
  devClose(dev);
  let previous: NetDevice | null = null;
  for (let at = net.devices; at !== dev && at !== null; at = at.nextDev) previous = at;
  if (previous === null) net.devices = dev.nextDev;
  else previous.nextDev = dev.nextDev;
  netifRxFlush(dev);
  notifierChainCall(netdevChain, NETDEV_UNREGISTER, dev);
  linkStateRelease(dev);
  if (net.loopbackDev === dev) net.loopbackDev = null;
  dev.nextDev = null;
  dev.net = null;
}

/** Up to the point where the layers above are told. */
function startDevice(dev: NetDevice): number {
  const veto = notifierToErrno(notifierChainCall(netdevChain, NETDEV_PRE_UP, dev));
  if (veto !== 0) return veto;
  dev.running = true;
  const ops = dev.ops;
  const err = ops.ndoOpen === undefined ? 0 : ops.ndoOpen(dev);
  if (err < 0) {
    dev.running = false;
    return err;
  }
  dev.flags |= IFF_UP;
  setRxMode(dev);
  devActivate(dev);
  return 0;
}

function stopDevice(dev: NetDevice): void {
  notifierChainCall(netdevChain, NETDEV_GOING_DOWN, dev);
  devDeactivate(dev);
  dev.running = false;
  const ops = dev.ops;
  if (ops.ndoStop !== undefined) ops.ndoStop(dev);
  dev.flags &= ~IFF_UP;
}

/** Brings a device up: 0 (also when it is), the driver's negative errno, or a veto. Linux: dev_open(). */
export function devOpen(dev: NetDevice): number {
  if ((dev.flags & IFF_UP) !== 0) return 0;
  if (dev.net === null) return -EINVAL;
  const err = startDevice(dev);
  if (err < 0) return err;
  notifierChainCall(netdevChain, NETDEV_UP, dev);
  return 0;
}

/** Takes a device down: 0. Packets queued on it are dropped. Linux: dev_close(). */
export function devClose(dev: NetDevice): number {
  if ((dev.flags & IFF_UP) === 0) return 0;
  stopDevice(dev);
  notifierChainCall(netdevChain, NETDEV_DOWN, dev);
  return 0;
}

/** Flags as a program sees them: RUNNING and LOWER_UP follow from state. Linux: dev_get_flags(). */
export function devGetFlags(dev: NetDevice): number {
  let flags = (dev.flags & ~(IFF_PROMISC | IFF_ALLMULTI | IFF_RUNNING | IFF_LOWER_UP)) | dev.gflags;
  if (dev.running && dev.carrier) flags |= IFF_RUNNING | IFF_LOWER_UP;
  return flags;
}

/** Sets IFF_* as ifconfig does: 0, or the negative errno of going up. Linux: dev_change_flags(). */
export function devChangeFlags(dev: NetDevice, flags: number): number {
  const old = dev.flags;
  dev.flags = (flags & SETTABLE) | (old & (IFF_UP | IFF_VOLATILE | IFF_PROMISC | IFF_ALLMULTI));
  if (((old ^ flags) & IFF_MULTICAST) !== 0) setRxMode(dev);
  const wanted = (flags ^ dev.gflags) & (IFF_PROMISC | IFF_ALLMULTI);
  dev.gflags ^= wanted;
  if ((wanted & IFF_PROMISC) !== 0) devSetPromiscuity(dev, (flags & IFF_PROMISC) !== 0 ? 1 : -1);
  if ((wanted & IFF_ALLMULTI) !== 0) devSetAllmulti(dev, (flags & IFF_ALLMULTI) !== 0 ? 1 : -1);
  if (((old ^ flags) & IFF_UP) !== 0) {
    const err = (flags & IFF_UP) !== 0 ? devOpen(dev) : devClose(dev);
    if (err < 0) return err;
  }
  if ((dev.flags & IFF_UP) !== 0 && ((old ^ dev.flags) & SETTABLE) !== 0) {
    notifierChainCall(netdevChain, NETDEV_CHANGE, dev);
  }
  return 0;
}

function setRxMode(dev: NetDevice): void {
  const ops = dev.ops;
  if ((dev.flags & IFF_UP) !== 0 && ops.ndoSetRxMode !== undefined) ops.ndoSetRxMode(dev);
}

/** One more (1) or one less (-1) who wants all frames. Linux: dev_set_promiscuity(). */
export function devSetPromiscuity(dev: NetDevice, delta: number): void {
  dev.promiscuity += delta;
  const flags = dev.promiscuity > 0 ? dev.flags | IFF_PROMISC : dev.flags & ~IFF_PROMISC;
  if (flags === dev.flags) return;
  dev.flags = flags;
  setRxMode(dev);
}

/** One more (1) or one less (-1) who wants all group frames. Linux: dev_set_allmulti(). */
export function devSetAllmulti(dev: NetDevice, delta: number): void {
  dev.allmulti += delta;
  const flags = dev.allmulti > 0 ? dev.flags | IFF_ALLMULTI : dev.flags & ~IFF_ALLMULTI;
  if (flags === dev.flags) return;
  dev.flags = flags;
  setRxMode(dev);
}

/** Sets the MTU: 0, -EINVAL outside of minMtu..maxMtu, or the driver's negative errno. Linux: dev_set_mtu(). */
export function devSetMtu(dev: NetDevice, mtu: number): number {
  if (mtu === dev.mtu) return 0;
  if (mtu < dev.minMtu || mtu > dev.maxMtu) return -EINVAL;
  const ops = dev.ops;
  if (ops.ndoChangeMtu !== undefined) {
    const err = ops.ndoChangeMtu(dev, mtu);
    if (err < 0) return err;
  }
  dev.mtu = mtu;
  notifierChainCall(netdevChain, NETDEV_CHANGEMTU, dev);
  return 0;
}

/**
 * Sets the hardware address, given as its first 2 and last 4 bytes. Linux: dev_set_mac_address().
 * @returns 0; -EADDRNOTAVAIL (group address or zero), -EOPNOTSUPP, -ENETDOWN (not registered), or the driver's errno
 */
export function devSetMacAddress(dev: NetDevice, hi: number, lo: number): number {
  const ops = dev.ops;
  if (ops.ndoSetMacAddress === undefined) return -EOPNOTSUPP;
  if (dev.net === null) return -ENETDOWN;
  if ((hi & GROUP_BIT) !== 0 || (hi === 0 && lo === 0)) return -EADDRNOTAVAIL;
  const oldHi = dev.addrHi;
  const oldLo = dev.addrLo;
  dev.addrHi = hi & 0xffff;
  dev.addrLo = lo | 0;
  const err = ops.ndoSetMacAddress(dev);
  if (err < 0) {
    dev.addrHi = oldHi;
    dev.addrLo = oldLo;
    return err;
  }
  notifierChainCall(netdevChain, NETDEV_CHANGEADDR, dev);
  return 0;
}

/** The carrier came or went, told outside of the interrupt. Linux: linkwatch_do_dev(). */
function linkChanged(dev: NetDevice): void {
  if ((dev.flags & IFF_UP) === 0) return;
  if (dev.carrier) devActivate(dev);
  else devDeactivate(dev);
  notifierChainCall(netdevChain, NETDEV_CHANGE, dev);
}
