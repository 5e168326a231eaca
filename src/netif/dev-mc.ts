/**
 * The group addresses that a device is to receive. Linux: dev_mc_add() and dev_mc_del() of net/core/dev_addr_lists.c. A node
 * belongs to who joins and is part of that object, so that joining takes no memory; two who join the same group have a node
 * each.
 */
import type { DevMcAddr, NetDevice } from "../stack/core/net-device.ts";
import { IFF_UP } from "../uapi/if.ts";

function rxModeChanged(dev: NetDevice): void {
  const ops = dev.ops;
  if ((dev.flags & IFF_UP) !== 0 && ops.ndoSetRxMode !== undefined) ops.ndoSetRxMode(dev);
}

/** The device receives the group from now on. The node must be on no list. */
export function devMcAdd(dev: NetDevice, node: DevMcAddr): void {
  node.nextMc = dev.mc;
  dev.mc = node;
  rxModeChanged(dev);
}

/** Ends that. Nothing happens when the node is not on the device's list. */
export function devMcDel(dev: NetDevice, node: DevMcAddr): void {
  let previous: DevMcAddr | null = null;
  let at = dev.mc;
  while (at !== null && at !== node) {
    previous = at;
    at = at.nextMc;
  }
  if (at === null) return;
  if (previous === null) dev.mc = node.nextMc;
  else previous.nextMc = node.nextMc;
  node.nextMc = null;
  rxModeChanged(dev);
}
