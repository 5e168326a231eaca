/**
 * The XS guest's network device, with a receive ring of one buffer as hardware with DMA has it: the frame is written into
 * a packet buffer by messages (or by the traffic generator, inside the engine), so that no copy is counted that the wire
 * would make. It receives through NAPI like a driver: `inject` is the interrupt. Or an ENC28J60 in its place, by the driver of
 * a real board over the least of a chip.
 */
import { Enc28j60 } from "../../hal/enc28j60/index.ts";
import { memView } from "../../src/lib/memory.ts";
import {
  NapiStruct, NETDEV_TX_OK, NetDevice, type NetDeviceOps,
} from "../../src/stack/core/net-device.ts";
import { consumeSkb, netdevAllocSkb, type SkBuff, skbPut } from "../../src/stack/core/skbuff.ts";
import { ARPHRD_ETHER, ARPOP_REQUEST } from "../../src/uapi/if-arp.ts";
import { ETH_HLEN, ETH_P_ARP } from "../../src/uapi/if-ether.ts";
import { ARPH_OP } from "../../src/stack/wire/arp.ts";
import { ETHH_PROTO } from "../../src/stack/wire/eth.ts";
import { ethReceive, etherSetup } from "../../src/netif/ethernet.ts";
import { napiAdd, napiComplete, napiEnable, napiSchedule } from "../../src/netif/napi.ts";
import { chipInit, chipReceive, StubDigital, StubSpi } from "./enc-chip.ts";

/** Ethernet frames without their FCS are at most this long. */
export const FRAME_MAX = 1514;

/** Where the next frame is to be written. */
export let inboxOffset = 0;
/** The last frame sent: its bytes stay until the stack uses the buffer again, long enough for the generator to answer. */
export let outboxOffset = 0;
export let outboxLength = 0;
export let framesSent = 0;
/** ARP requests of the guest that the generator has not answered yet; they are kept out of the other two. */
export let arpRequests = 0;

let inboxLength = 0;
/** The ring: the buffer that the next frame lies in. */
let ring: SkBuff;
let napi: NapiStruct;
/** The ENC28J60 is there in place of the other. */
let chip = false;
/** In message mode every frame sent goes to the host. */
let sink: ((offset: number, length: number) => void) | null = null;

/** A frame on the wire. */
function leave(at: number, length: number): void {
  if (
    sink === null && memView.getUint16(at + ETHH_PROTO) === ETH_P_ARP
    && memView.getUint16(at + ETH_HLEN + ARPH_OP) === ARPOP_REQUEST
  ) {
    arpRequests++;
    return;
  }
  framesSent++;
  outboxLength = length;
  outboxOffset = at;
  if (sink !== null) sink(at, length);
}

function startXmit(skb: SkBuff): number {
  if (sink === null && skb.protocol !== ETH_P_ARP) {
    // leave(), spared a call that would count as the stack's.
    framesSent++;
    outboxLength = skb.len;
    outboxOffset = skb.data;
  } else {
    leave(skb.data, skb.len);
  }
  consumeSkb(skb);
  return NETDEV_TX_OK;
}

/** Hands the one frame on and puts a fresh buffer into the ring; without one the frame is dropped and its buffer stays. */
function pollRx(self: NapiStruct): number {
  const dev = self.dev!;
  const skb = ring;
  const fresh = netdevAllocSkb(dev, FRAME_MAX);
  if (fresh === null) {
    dev.stats.rxDropped++;
  } else {
    ring = fresh;
    inboxOffset = fresh.data;
    skbPut(skb, inboxLength);
    ethReceive(skb, dev);
  }
  napiComplete(self);
  return 1;
}

/**
 * Makes the device and fills its ring.
 * @throws Error when the pool has no buffer for it
 */
export function createMessageDevice(addrHi: number, addrLo: number): NetDevice {
  const ops: NetDeviceOps = { ndoStartXmit: startXmit };
  const dev = new NetDevice("eth0", ARPHRD_ETHER, FRAME_MAX - ETH_HLEN, ETH_HLEN, ops);
  etherSetup(dev);
  dev.addrHi = addrHi;
  dev.addrLo = addrLo;
  const first = netdevAllocSkb(dev, FRAME_MAX);
  if (first === null) throw new Error("no packet buffer for the ring");
  ring = first;
  inboxOffset = first.data;
  inboxLength = outboxLength = framesSent = arpRequests = 0;
  napi = new NapiStruct(dev, 8, pollRx);
  napiAdd(dev, napi);
  napiEnable(napi);
  chip = false;
  return dev;
}

/**
 * The same with an ENC28J60 as eth0: the frame that arrives is copied into the chip's memory. It takes CHIP_BYTES of
 * `userMemory`.
 * @throws Error when the pool has no buffer for the inbox
 */
export function createChipDevice(mac: string): NetDevice {
  chipInit(leave);
  const dev = new Enc28j60({
    mac,
    spi: { io: StubSpi as never, in: 1, out: 2, clock: 3, select: 4, hz: 20_000_000 },
    interrupt: { io: StubDigital as never, pin: 5 },
  });
  const inbox = netdevAllocSkb(dev, FRAME_MAX);
  if (inbox === null) throw new Error("no packet buffer for the inbox");
  inboxOffset = inbox.data;
  outboxLength = framesSent = arpRequests = 0;
  chip = true;
  return dev;
}

/** Frames sent go to `take` (message mode), or with null nowhere. */
export function setFrameSink(take: ((offset: number, length: number) => void) | null): void {
  sink = take;
}

/** The generator has answered. */
export function clearArpRequests(): void {
  arpRequests = 0;
}

/** The inbox holds a frame: interrupt. */
export function inject(length: number): void {
  if (chip) {
    chipReceive(inboxOffset, length);
    return;
  }
  inboxLength = length;
  napiSchedule(napi);
}
