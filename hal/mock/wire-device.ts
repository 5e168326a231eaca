/**
 * An Ethernet device on the virtual wire, as a chip with a receive ring would be: frames wait in the ring (a full one drops
 * them, counted as rxFifoErrors), the "interrupt" schedules NAPI, and poll() copies them into packets. On a wire of limited
 * bandwidth it has a transmit ring too, and stops the queue while that is full.
 */
import { mem8 } from "../../src/lib/memory.ts";
import { netifCarrierOff, netifCarrierOn, netifStopQueue, netifWakeQueue } from "../../src/netif/dev.ts";
import { ethPad, ethReceive, etherSetup } from "../../src/netif/ethernet.ts";
import { NAPI_POLL_WEIGHT, napiAdd, napiComplete, napiDisable, napiEnable, napiSchedule } from "../../src/netif/napi.ts";
import { NapiStruct, NETDEV_TX_BUSY, NETDEV_TX_OK, NetDevice } from "../../src/stack/core/net-device.ts";
import { consumeSkb, netdevAllocSkb, skbPutData, type SkBuff } from "../../src/stack/core/skbuff.ts";
import { ARPHRD_ETHER } from "../../src/uapi/if-arp.ts";
import { ETH_DATA_LEN, ETH_HLEN } from "../../src/uapi/if-ether.ts";
import { parseMac } from "../mac.ts";
import type { Wire, WirePort } from "./wire.ts";

export interface WireDeviceOptions {
  /** Default eth%d. */
  readonly name?: string | undefined;
  readonly mac: string;
  readonly mtu?: number | undefined;
  /** Frames the receive ring holds. */
  readonly rxRing?: number | undefined;
  /** Frames that may wait in the device for a wire of limited bandwidth. */
  readonly txRing?: number | undefined;
  /** Frames one poll takes. */
  readonly weight?: number | undefined;
}

const DEFAULT_RX_RING = 256;
const DEFAULT_TX_RING = 64;

class WireNic {
  readonly dev: NetDevice;
  private readonly port: WirePort;
  private readonly napi: NapiStruct;
  private readonly ring: Uint8Array[] = [];
  private readonly rxRing: number;
  private readonly txRing: number;
  private sending = 0;

  constructor(wire: Wire, options: WireDeviceOptions) {
    this.rxRing = options.rxRing ?? DEFAULT_RX_RING;
    this.txRing = options.txRing ?? DEFAULT_TX_RING;
    const dev = new NetDevice(options.name ?? "eth%d", ARPHRD_ETHER, options.mtu ?? ETH_DATA_LEN, ETH_HLEN, {
      ndoOpen: () => {
        napiEnable(this.napi);
        return 0;
      },
      ndoStop: () => {
        napiDisable(this.napi);
        this.ring.length = 0;
        return 0;
      },
      ndoStartXmit: (skb) => this.xmit(skb),
      ndoSetMacAddress: () => 0,
    });
    this.dev = dev;
    etherSetup(dev);
    const mac = parseMac(options.mac);
    dev.addrHi = mac.hi;
    dev.addrLo = mac.lo;
    dev.carrier = wire.carrier;
    this.napi = napiAdd(dev, new NapiStruct(dev, options.weight ?? NAPI_POLL_WEIGHT, (napi, budget) => this.poll(napi, budget)));
    this.port = wire.attach(options.name ?? "eth", (frame) => this.interrupt(frame));
    this.port.onCarrier = (carrier) => (carrier ? netifCarrierOn(dev) : netifCarrierOff(dev));
    dev.priv = this.port;
  }

  private interrupt(frame: Uint8Array): void {
    const { dev, ring } = this;
    if (!dev.running) return;
    if (ring.length >= this.rxRing) {
      dev.stats.rxFifoErrors++;
      dev.stats.rxDropped++;
      return;
    }
    ring.push(frame);
    napiSchedule(this.napi);
  }

  private poll(napi: NapiStruct, budget: number): number {
    const { dev, ring } = this;
    let done = 0;
    while (done < budget && ring.length > 0) {
      const frame = ring.shift()!;
      const skb = netdevAllocSkb(dev, frame.length);
      done++;
      if (skb === null) {
        dev.stats.rxDropped++;
        continue;
      }
      skbPutData(skb, frame);
      ethReceive(skb, dev);
    }
    if (done < budget) napiComplete(napi);
    return done;
  }

  private xmit(sent: SkBuff): number {
    const { dev } = this;
    if (this.sending >= this.txRing) {
      netifStopQueue(dev);
      return NETDEV_TX_BUSY;
    }
    const skb = ethPad(sent);
    if (skb === null) {
      dev.stats.txDropped++;
      return NETDEV_TX_OK;
    }
    const frame = mem8.slice(skb.data, skb.tail);
    dev.stats.txPackets++;
    dev.stats.txBytes += frame.length;
    consumeSkb(skb);
    const { scheduler } = this.port.wire;
    const departureMs = this.port.send(frame);
    if (departureMs > scheduler.timeMs()) {
      this.sending++;
      scheduler.at(departureMs, () => {
        this.sending--;
        netifWakeQueue(dev);
      });
    }
    return NETDEV_TX_OK;
  }
}

/** Makes a device on the wire; it is to be registered and opened like any other. */
export function createWireDevice(wire: Wire, options: WireDeviceOptions): NetDevice {
  return new WireNic(wire, options).dev;
}

/** The port of a device that createWireDevice() made. */
export function wirePortOf(dev: NetDevice): WirePort {
  return dev.priv as WirePort;
}
