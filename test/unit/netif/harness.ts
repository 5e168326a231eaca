/** What the tests of the link layer share: a machine of which only the device layer is booted, and fake drivers. */
import { mem8, memoryInit } from "../../../src/lib/memory.ts";
import { poolsInUse, poolsReset } from "../../../src/lib/pool.ts";
import { randomInit } from "../../../src/lib/random.ts";
import { doSoftirq, runWorkqueue, softirqInit } from "../../../src/lib/softirq.ts";
import { jiffies, runTimers, timersInit } from "../../../src/lib/timer.ts";
import { netdevInit, registerNetdev } from "../../../src/netif/dev.ts";
import { etherSetup } from "../../../src/netif/ethernet.ts";
import { initNet, type Net, netInit } from "../../../src/stack/core/net.ts";
import {
  NETDEV_TX_BUSY, NETDEV_TX_OK, NetDevice, type NetDeviceOps,
} from "../../../src/stack/core/net-device.ts";
import {
  allocSkb, consumeSkb, setDropMonitor, skbInit, skbPutData, skbReserve, type SkBuff,
} from "../../../src/stack/core/skbuff.ts";
import { ARPHRD_ETHER } from "../../../src/uapi/if-arp.ts";
import { ETH_HLEN } from "../../../src/uapi/if-ether.ts";

export const BUFFER_BYTES = 1536;

/** Drop reasons since boot, in order. */
export const drops: number[] = [];

/** Boots memory, time, softirqs, packets, namespaces and the device layer. */
export function bootNetif(skbs = 64, backlog = 8): void {
  poolsReset();
  memoryInit(skbs * BUFFER_BYTES + 16384);
  timersInit(0);
  softirqInit();
  randomInit(new Uint8Array(32).fill(5));
  skbInit(skbs * 2, skbs, BUFFER_BYTES);
  netInit({ register: registerNetdev, poll: () => -1 });
  netdevInit(backlog);
  drops.length = 0;
  setDropMonitor((_skb, reason) => {
    if (reason > 1) drops.push(reason);
  });
}

/** Softirqs, then work, until nothing is left. */
export function settle(): void {
  for (let busy = true; busy;) {
    const left = doSoftirq();
    busy = runWorkqueue() || left;
  }
}

/** Moves the clock to an absolute time, one millisecond after the other, as a board's loop would. */
export function runTo(ms: number): void {
  while (jiffies < ms) {
    runTimers(jiffies + 1);
    settle();
  }
}

export { initNet, poolsInUse };

/** An Ethernet device whose driver remembers frames, and is busy on demand. */
export interface FakeDevice extends NetDevice {
  sent: Uint8Array[];
  busy: boolean;
  /** Every call of the driver's functions, in order. */
  calls: string[];
}

export function fakeDevice(name = "eth%d", ops: Partial<NetDeviceOps> = {}): FakeDevice {
  const dev = new NetDevice(name, ARPHRD_ETHER, 1500, ETH_HLEN, {
    ndoOpen(): number {
      (dev as FakeDevice).calls.push("open");
      return 0;
    },
    ndoStop(): number {
      (dev as FakeDevice).calls.push("stop");
      return 0;
    },
    ndoStartXmit(skb: SkBuff): number {
      const self = dev as FakeDevice;
      if (self.busy) return NETDEV_TX_BUSY;
      self.sent.push(mem8.slice(skb.data, skb.tail));
      consumeSkb(skb);
      return NETDEV_TX_OK;
    },
    ...ops,
  }) as FakeDevice;
  dev.sent = [];
  dev.calls = [];
  dev.busy = false;
  etherSetup(dev);
  dev.addrHi = 0x0200;
  dev.addrLo = 0x00000001;
  return dev;
}

export function register<T extends NetDevice>(dev: T, net: Net = initNet): T {
  const err = registerNetdev(net, dev);
  if (err !== 0) throw new Error(`registerNetdev: ${err}`);
  return dev;
}

/** A packet of these bytes, with headroom for a link header. */
export function packet(dev: NetDevice | null, bytes: ArrayLike<number>, headroom = 2 + ETH_HLEN): SkBuff {
  const skb = allocSkb(headroom + bytes.length);
  if (skb === null) throw new Error("no packet");
  skbReserve(skb, headroom);
  skbPutData(skb, Uint8Array.from(bytes));
  skb.dev = dev;
  return skb;
}

/** An Ethernet frame; addresses as six bytes. */
export function frame(
  dst: readonly number[], src: readonly number[], type: number, payload: ArrayLike<number>,
): Uint8Array {
  return Uint8Array.from([...dst, ...src, type >> 8, type & 255, ...Array.from(payload)]);
}

export const BROADCAST: readonly number[] = [255, 255, 255, 255, 255, 255];
export const MAC1: readonly number[] = [2, 0, 0, 0, 0, 1];
export const MAC2: readonly number[] = [2, 0, 0, 0, 0, 2];
