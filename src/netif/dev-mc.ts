/**
 * The group addresses that a device is to receive. Linux: dev_mc_add() and dev_mc_del() of net/core/dev_addr_lists.c. A node
 * belongs to who joins and is part of that object, so that joining takes no memory; two who join the same group have a node
 * each. A VLAN has no filter of its own: its groups are on the list of the device below (Linux: dev_mc_sync()).
 */
import { type DevMcAddr, NETIF_F_8021Q, type NetDevice } from "../stack/core/net-device.ts";
import { IFF_UP } from "../uapi/if.ts";

function rxModeChanged(dev: NetDevice): void {
  const ops = dev.ops;
  if ((dev.flags & IFF_UP) !== 0 && ops.ndoSetRxMode !== undefined) ops.ndoSetRxMode(dev);
}

/** The device whose filter decides what this one gets to see. */
export function devMcFilter(dev: NetDevice): NetDevice {
  let at = dev;
  while ((at.features & NETIF_F_8021Q) !== 0 && at.peer !== null) at = at.peer;
  return at;
}

/** Addresses that a person adds (dev-mc-static.ts): each 0, or -ENOBUFS, -ENOENT. */
export interface DevMcStaticOps {
  add(dev: NetDevice, hi: number, lo: number): number;
  del(dev: NetDevice, hi: number, lo: number): number;
}

export let devMcStatic: DevMcStaticOps | null = null;

/** Boot: there are none, until their part starts. */
export function registerDevMcStatic(ops: DevMcStaticOps | null): void {
  devMcStatic = ops;
}

/** The device receives the group from now on. The node must be on no list. */
export function devMcAdd(dev: NetDevice, node: DevMcAddr): void {
  const filter = devMcFilter(dev);
  node.nextMc = filter.mc;
  filter.mc = node;
  rxModeChanged(filter);
}

/** Ends that. Nothing happens when the node is not on the device's list. */
export function devMcDel(dev: NetDevice, node: DevMcAddr): void {
  const filter = devMcFilter(dev);
  let previous: DevMcAddr | null = null;
  let at = filter.mc;
  while (at !== null && at !== node) {
    previous = at;
    at = at.nextMc;
  }
  if (at === null) return;
  if (previous === null) filter.mc = node.nextMc;
  else previous.nextMc = node.nextMc;
  node.nextMc = null;
  rxModeChanged(filter);
}
