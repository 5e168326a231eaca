/**
 * The ESP32's own Ethernet MAC as a net_device. Linux's counterpart is a driver such as drivers/net/ethernet/stmicro/stmmac,
 * whose hardware this is; here the IDF's esp_eth does the descriptors and emac.c lends raw frames.
 *
 *   EMAC → emac_rx task → ring (emac-ring.h) → one message → onEvent → napiSchedule → poll → netifReceiveSkb
 *   ndoStartXmit → transmit (copied into descriptors) → EMAC; without a free descriptor the queue stops for a tick
 *
 * The C module tells once that the empty ring has a frame; a timer looks every second for the case that the message was lost.
 */
import { mem8 } from "../../src/lib/memory.ts";
import { createTimer, delTimer, jiffies, modTimer } from "../../src/lib/timer.ts";
import { netifCarrierOff, netifCarrierOn, netifStopQueue, netifWakeQueue } from "../../src/netif/dev.ts";
import { ethReceive, etherSetup } from "../../src/netif/ethernet.ts";
import { NAPI_POLL_WEIGHT, napiAdd, napiComplete, napiDisable, napiEnable, napiSchedule } from "../../src/netif/napi.ts";
import {
  NapiStruct, NETDEV_TX_BUSY, NETDEV_TX_OK, NetDevice, type NetDeviceOps,
} from "../../src/stack/core/net-device.ts";
import { consumeSkb, kfreeSkb, netdevAllocSkb, skbPut, type SkBuff } from "../../src/stack/core/skbuff.ts";
import { SKB_DROP_REASON_DEV_READY } from "../../src/uapi/drop-reason.ts";
import { EADDRNOTAVAIL } from "../../src/uapi/errno.ts";
import { IFF_PROMISC } from "../../src/uapi/if.ts";
import { ARPHRD_ETHER } from "../../src/uapi/if-arp.ts";
import { ETH_DATA_LEN, ETH_HLEN } from "../../src/uapi/if-ether.ts";
import type { Emac, EmacConstructor, EmacOptions } from "./emac.d.ts";

/** What the constructor takes: ECMA-419's peripheral pattern. */
export interface Esp32EmacOptions {
  /** The pins of the board (boards/<name>/manifest.json), and as `io` the class of the module "emac". */
  readonly emac: Omit<EmacOptions, "onEvent"> & { readonly io: EmacConstructor };
  /** Default eth%d. */
  readonly name?: string;
}

/** A board without a message for this long looks at the ring by itself. */
const LOOK_MS = 1000;
/** esp_eth does not tell when descriptors are free again: at 100 Mbit/s eight frames are sent in a millisecond. */
const TX_RETRY_MS = 1;
/** The queue has been stopped for this long: counted, and tried again. */
const WATCHDOG_MS = 2000;

/** What emac.transmit() answers. */
const EMAC_SENT = 0;
const EMAC_BUSY = 1;

/** Counters beside the device's own, as `ethtool -S` would print them. */
export class Esp32EmacStats {
  /** Frames that found no free transmit descriptor and waited. */
  txBusy = 0;
  /** Frames refused because there was no link. */
  txNoLink = 0;
  /** The transmit queue stayed stopped for WATCHDOG_MS. */
  txTimeouts = 0;
  /** Frames that the ring had no room for; also in the device's rxFifoErrors. */
  ringFull = 0;
  /** Frames found by the timer: a message of the C module was lost. */
  lostWakeups = 0;
}

export class Esp32Emac extends NetDevice {
  readonly emac: Emac;
  readonly napi: NapiStruct;
  readonly lookTimer: number = createTimer("esp32", () => emacLook(this), 0);
  readonly txTimer: number = createTimer("esp32", () => emacTxRetry(this), 0);
  readonly emacStats: Esp32EmacStats = new Esp32EmacStats();
  private readonly address: Uint8Array = new Uint8Array(6);

  /**
   * Opens the EMAC; the device is then registered (`initNet.register`) and set up like any other.
   * @throws Error naming the step that failed and the pins, or that the EMAC is in use; RangeError for an option out of range
   */
  constructor(options: Esp32EmacOptions) {
    super(options.name ?? "eth%d", ARPHRD_ETHER, ETH_DATA_LEN, ETH_HLEN, emacOps);
    const { io: EmacClass, ...pins } = options.emac;
    etherSetup(this);
    this.watchdogMs = WATCHDOG_MS;
    this.napi = napiAdd(this, new NapiStruct(this, NAPI_POLL_WEIGHT, emacPoll));
    this.carrier = false;
    this.emac = new EmacClass({ ...pins, onEvent: () => emacEvent(this) });
    this.emac.readAddress(this.address);
    const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = this.address;
    this.addrHi = (a << 8) | b;
    this.addrLo = (c << 24) | (d << 16) | (e << 8) | f;
  }

  /** Gives the EMAC back. The device must be unregistered. */
  close(): void {
    delTimer(this.lookTimer);
    delTimer(this.txTimer);
    this.emac.close();
  }

  /** The device's address as the chip wants it. */
  addressBytes(): Uint8Array {
    const { address, addrHi, addrLo } = this;
    address[0] = addrHi >> 8;
    address[1] = addrHi;
    address[2] = addrLo >> 24;
    address[3] = addrLo >> 16;
    address[4] = addrLo >> 8;
    address[5] = addrLo;
    return address;
  }
}

const emacOps: NetDeviceOps = Object.freeze<NetDeviceOps>({
  ndoOpen: emacOpen,
  ndoStop: emacStop,
  ndoStartXmit: emacStartXmit,
  ndoSetRxMode: emacSetRxMode,
  ndoSetMacAddress: emacSetMacAddress,
  ndoTxTimeout: emacTxTimeout,
});

/** The C module has something to tell. */
function emacEvent(dev: Esp32Emac): void {
  emacLink(dev);
  if (dev.running) napiSchedule(dev.napi);
}

function emacLink(dev: Esp32Emac): void {
  const up = dev.emac.linkUp;
  if (up === dev.carrier) return;
  if (up) netifCarrierOn(dev);
  else netifCarrierOff(dev);
}

function emacOpen(dev: NetDevice): number {
  const emac = dev as Esp32Emac;
  dropWaiting(emac);
  napiEnable(emac.napi);
  emacLink(emac);
  modTimer(emac.lookTimer, (jiffies + LOOK_MS) | 0);
  return 0;
}

function emacStop(dev: NetDevice): number {
  const emac = dev as Esp32Emac;
  napiDisable(emac.napi);
  delTimer(emac.lookTimer);
  delTimer(emac.txTimer);
  dropWaiting(emac);
  return 0;
}

/** What came while the device was down is old; an empty ring is one that wakes us again. */
function dropWaiting(dev: Esp32Emac): void {
  const { emac } = dev;
  while (emac.length() !== 0) emac.drop();
}

/** NAPI's poll: the oldest frames, copied once, from the IDF's buffer to the packet's. */
function emacPoll(napi: NapiStruct, budget: number): number {
  const dev = napi.dev as Esp32Emac;
  const emac = dev.emac;
  let done = 0;
  while (done < budget) {
    const length = emac.length();
    if (length === 0) {
      // The ring is armed: what comes from here on calls emacEvent().
      napiComplete(napi);
      return done;
    }
    done++;
    const skb = netdevAllocSkb(dev, length);
    if (skb === null) {
      dev.stats.rxDropped++;
      emac.drop();
      continue;
    }
    emac.receive(mem8, skbPut(skb, length));
    ethReceive(skb, dev);
  }
  return done;
}

/** Once a second: lost messages, the ring's losses, the link. */
function emacLook(dev: Esp32Emac): void {
  const dropped = dev.emac.dropped;
  dev.stats.rxFifoErrors += dropped - dev.emacStats.ringFull;
  dev.emacStats.ringFull = dropped;
  emacLink(dev);
  if (!dev.napi.scheduled && dev.emac.length() !== 0) {
    dev.emacStats.lostWakeups++;
    napiSchedule(dev.napi);
  }
  modTimer(dev.lookTimer, (jiffies + LOOK_MS) | 0);
}

/** The hardware pads short frames with zeros and adds the FCS. */
function emacStartXmit(skb: SkBuff, netdev: NetDevice): number {
  const dev = netdev as Esp32Emac;
  const length = skb.len;
  const answer = dev.emac.transmit(mem8, skb.data, length);
  if (answer === EMAC_BUSY) {
    dev.emacStats.txBusy++;
    netifStopQueue(dev);
    modTimer(dev.txTimer, (jiffies + TX_RETRY_MS) | 0);
    return NETDEV_TX_BUSY;
  }
  if (answer !== EMAC_SENT) {
    dev.emacStats.txNoLink++;
    dev.stats.txDropped++;
    kfreeSkb(skb, SKB_DROP_REASON_DEV_READY);
    return NETDEV_TX_OK;
  }
  dev.stats.txPackets++;
  dev.stats.txBytes += length;
  consumeSkb(skb);
  return NETDEV_TX_OK;
}

function emacTxRetry(dev: Esp32Emac): void {
  netifWakeQueue(dev);
}

function emacTxTimeout(netdev: NetDevice): void {
  const dev = netdev as Esp32Emac;
  dev.emacStats.txTimeouts++;
  netifWakeQueue(dev);
}

/** esp_eth lets every multicast frame through; only promiscuity is to be asked for. */
function emacSetRxMode(netdev: NetDevice): void {
  (netdev as Esp32Emac).emac.setPromiscuous((netdev.flags & IFF_PROMISC) !== 0);
}

function emacSetMacAddress(netdev: NetDevice): number {
  const dev = netdev as Esp32Emac;
  return dev.emac.setAddress(dev.addressBytes()) ? 0 : -EADDRNOTAVAIL;
}
