/**
 * The XS guest's network device: frames come from an inbox in packet memory and go to an outbox, both moved by messages
 * (or by the traffic generator, inside the engine). It receives through NAPI like a driver: `inject` is the interrupt.
 */
import { memCopy, userBuffer } from "../../src/lib/memory.ts";
import {
  NapiStruct, NETDEV_TX_OK, NetDevice, type NetDeviceOps,
} from "../../src/stack/core/net-device.ts";
import { consumeSkb, netdevAllocSkb, type SkBuff, skbPut } from "../../src/stack/core/skbuff.ts";
import { ARPHRD_ETHER } from "../../src/uapi/if-arp.ts";
import { ETH_HLEN } from "../../src/uapi/if-ether.ts";
import { etherSetup, ethTypeTrans } from "../../src/netif/ethernet.ts";
import { napiAdd, napiComplete, napiEnable, napiSchedule } from "../../src/netif/napi.ts";
import { netifReceiveSkb } from "../../src/netif/receive.ts";

/** Ethernet frames without their FCS are at most this long. */
export const FRAME_MAX = 1514;

/** The frame to be received next; IP headers are word aligned in it as in a driver's ring. */
export let inbox: Uint8Array;
export let inboxOffset = 0;
/** The last frame sent: kept whole, for the generator to answer. */
export let outbox: Uint8Array;
export let outboxOffset = 0;
export let outboxLength = 0;
export let framesSent = 0;

let inboxLength = 0;
let napi: NapiStruct;
/** In message mode every frame sent goes to the host. */
let sink: ((offset: number, length: number) => void) | null = null;

function startXmit(skb: SkBuff): number {
  framesSent++;
  outboxLength = skb.len;
  memCopy(outboxOffset, skb.data, skb.len);
  if (sink !== null) sink(outboxOffset, skb.len);
  consumeSkb(skb);
  return NETDEV_TX_OK;
}

function pollRx(self: NapiStruct, budget: number): number {
  let done = 0;
  while (done < budget && inboxLength > 0) {
    const skb = netdevAllocSkb(self.dev, inboxLength);
    if (skb === null) {
      self.dev.stats.rxDropped++;
    } else {
      memCopy(skbPut(skb, inboxLength), inboxOffset, inboxLength);
      skb.protocol = ethTypeTrans(skb, self.dev);
      netifReceiveSkb(skb);
    }
    inboxLength = 0;
    done++;
  }
  if (done < budget) napiComplete(self);
  return done;
}

/** Makes the device, with its two boxes out of `userMemory`. */
export function createMessageDevice(addrHi: number, addrLo: number): NetDevice {
  const ops: NetDeviceOps = { ndoStartXmit: startXmit };
  const dev = new NetDevice("eth0", ARPHRD_ETHER, FRAME_MAX - ETH_HLEN, ETH_HLEN, ops);
  etherSetup(dev);
  dev.addrHi = addrHi;
  dev.addrLo = addrLo;
  const boxBytes = FRAME_MAX + 6;
  inbox = userBuffer(boxBytes);
  outbox = userBuffer(boxBytes);
  inboxOffset = inbox.byteOffset + 2;
  outboxOffset = outbox.byteOffset + 2;
  inboxLength = outboxLength = framesSent = 0;
  napi = new NapiStruct(dev, 8, pollRx);
  napiAdd(dev, napi);
  napiEnable(napi);
  return dev;
}

/** Frames sent go to `take` (message mode), or with null nowhere. */
export function setFrameSink(take: ((offset: number, length: number) => void) | null): void {
  sink = take;
}

/** The inbox holds a frame: interrupt. */
export function inject(length: number): void {
  inboxLength = length;
  napiSchedule(napi);
}
