/**
 * Who stands on a device and takes its frames before the protocols do: its VLANs, then its bridge. Linux:
 * netdev_rx_handler_register() of net/core/dev.c, and the order of vlan_do_receive() before it. On a board where nobody does,
 * netifReceiveSkb() has one test more and this file is not in the bundle.
 */
import type { NetDevice, RxHandler } from "../stack/core/net-device.ts";
import type { SkBuff } from "../stack/core/skbuff.ts";
import { setRxHandle } from "./receive.ts";

/** Order of the VLANs of a device: their frames never reach its bridge. */
export const RX_HANDLER_VLAN = 0;
/** Order of the bridge that a device is a port of. */
export const RX_HANDLER_BRIDGE = 1;

/** Asks each in turn. Linux: the rounds of __netif_receive_skb_core(); here whoever takes a frame delivers it anew. */
function rxHandle(skb: SkBuff, dev: NetDevice): boolean {
  for (let handler = dev.rxHandler ?? null; handler !== null; handler = handler.nextHandler) {
    if (handler.func(skb, dev, handler)) return true;
  }
  return false;
}

/** From now on the handler is asked for each frame of the device. It must be on no list, and the only one of its order. */
export function netdevRxHandlerRegister(dev: NetDevice, handler: RxHandler): void {
  const first = dev.rxHandler ?? null;
  if (first === null || first.order > handler.order) {
    handler.nextHandler = first;
    dev.rxHandler = handler;
  } else {
    handler.nextHandler = first.nextHandler;
    first.nextHandler = handler;
  }
  setRxHandle(rxHandle);
}

/** Ends that. Nothing happens when the handler is not on the device's list. */
export function netdevRxHandlerUnregister(dev: NetDevice, handler: RxHandler): void {
  const first = dev.rxHandler ?? null;
  if (first === handler) dev.rxHandler = handler.nextHandler;
  else if (first !== null && first.nextHandler === handler) first.nextHandler = handler.nextHandler;
  handler.nextHandler = null;
}

/** The handler of that order on a device, null for none. */
export function netdevRxHandler(dev: NetDevice, order: number): RxHandler | null {
  for (let handler = dev.rxHandler ?? null; handler !== null; handler = handler.nextHandler) {
    if (handler.order === order) return handler;
  }
  return null;
}

/** The device that this one is a port of, null for none. Linux: netdev_master_upper_dev_get() */
export function netdevMaster(dev: NetDevice): NetDevice | null {
  return netdevRxHandler(dev, RX_HANDLER_BRIDGE)?.master ?? null;
}
