/**
 * A device's link as a service hears of it: that it came back after it was away, in any way (cable, switch, `ip link set down`). On
 * Linux a program hears so by rtnetlink, from linkwatch; here that would take the part `netlink`, so the notifier chain is asked.
 * Owns its place on the chain.
 */
import { NOTIFY_DONE, NotifierBlock, notifierChainRegister, notifierChainUnregister } from "../lib/notifier.ts";
import { netdevChain } from "../netif/dev.ts";
import type { NetDevice } from "../stack/core/net-device.ts";
import { IFF_UP } from "../uapi/if.ts";
import { type Service, serviceWake } from "./service.ts";

/** Whether a device's link is there, and whether it has been away. */
export class LinkWatch {
  /** It is away. */
  lost = false;
  /** It was away and has come back: whoever reads it sets it to false. */
  returned = false;
  readonly block: NotifierBlock<NetDevice>;

  /** @param ifindex the device, in the service's namespace */
  constructor(service: Service, ifindex: number) {
    this.block = new NotifierBlock<NetDevice>((_event, dev) => {
      if (dev.ifindex === ifindex && dev.net === service.net) linkSeen(this, service, dev);
      return NOTIFY_DONE;
    });
  }
}

function linkSeen(watch: LinkWatch, service: Service, dev: NetDevice): void {
  if ((dev.flags & IFF_UP) === 0 || !dev.carrier) {
    watch.lost = true;
  } else if (watch.lost) {
    watch.lost = false;
    watch.returned = true;
    serviceWake(service);
  }
}

/** Begins to listen. */
export function linkWatchStart(watch: LinkWatch): void {
  notifierChainRegister(netdevChain, watch.block);
}

/** Hears nothing any more; stopping twice does nothing. */
export function linkWatchStop(watch: LinkWatch): void {
  notifierChainUnregister(netdevChain, watch.block);
}
