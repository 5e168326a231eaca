/** What the tests of src/stack/ipv4 share: a booted IPv4 layer, point-to-point test devices, packets as bytes. */
import { advancedRouter } from "../../../src/advanced-router.ts";
import { arpPolicy } from "../../../src/arp-policy.ts";
import { allSizes, resolveConfig } from "../../../src/config.ts";
import { fibTrie } from "../../../src/fib-trie.ts";
import { socketControl } from "../../../src/socket-control.ts";
import { routeExceptions } from "../../../src/route-exceptions.ts";
import { memoryInit, mem8 } from "../../../src/lib/memory.ts";
import { poolsInUse, poolsReset } from "../../../src/lib/pool.ts";
import { randomInit } from "../../../src/lib/random.ts";
import { softirqInit } from "../../../src/lib/softirq.ts";
import { timersInit } from "../../../src/lib/timer.ts";
import { devOpen, netdevInit, registerNetdev, unregisterNetdev } from "../../../src/netif/dev.ts";
import { createNet, initNet, netInit, type Net } from "../../../src/stack/core/net.ts";
import { NetDevice } from "../../../src/stack/core/net-device.ts";
import { sockInit } from "../../../src/stack/core/sock.ts";
import {
  consumeSkb, netdevAllocSkb, setDropMonitor, skbInit, skbOrphan, skbPutData, type SkBuff,
} from "../../../src/stack/core/skbuff.ts";
import { arpInit } from "../../../src/stack/ipv4/arp.ts";
import { devinetInit } from "../../../src/stack/ipv4/devinet.ts";
import { FibConfig, FibWalk } from "../../../src/stack/ipv4/fib-config.ts";
import { fibWalkNext, fibWalkStart } from "../../../src/stack/ipv4/fib-dump.ts";
import { fibInit } from "../../../src/stack/ipv4/fib-frontend.ts";
import { fibHostOps } from "../../../src/stack/ipv4/fib-host.ts";
import { registerFibOps } from "../../../src/stack/ipv4/fib-ops.ts";
import { inetSockInit } from "../../../src/stack/ipv4/inet-sock.ts";
import { ipInit, ipRcv } from "../../../src/stack/ipv4/ip-input.ts";
import { ARPHRD_LOOPBACK, ARPHRD_NONE } from "../../../src/uapi/if-arp.ts";
import { ETH_P_IP } from "../../../src/uapi/if-ether.ts";
import { IFF_BROADCAST, IFF_LOOPBACK, IFF_NOARP } from "../../../src/uapi/if.ts";

export interface PoolSizes {
  readonly routes?: number;
  readonly infos?: number;
  readonly tables?: number;
  readonly rules?: number;
  readonly exceptions?: number;
  readonly rtables?: number;
  readonly ifaddrs?: number;
  readonly skbs?: number;
  /** The routes are those of a host, in one list, and there is no advanced router. */
  readonly host?: boolean;
}

/** Drop reasons since boot, in order. */
export const drops: number[] = [];

let devices: NetDevice[] = [];

/** Boots everything below the transports; sizes small enough to run out of. */
export function bootIpv4(sizes: PoolSizes = {}): void {
  const skbs = sizes.skbs ?? 32;
  poolsReset();
  memoryInit(skbs * 1536 + 65536);
  timersInit(0);
  softirqInit();
  randomInit(new Uint8Array(32).fill(7));
  skbInit(skbs, skbs, 1536);
  netInit({ register: registerNetdev, poll: () => -1 });
  sockInit(8, 8192, 8192, initNet);
  inetSockInit(8);
  netdevInit(16);
  devinetInit(sizes.ifaddrs ?? 16);
  if (sizes.host === true) registerFibOps(fibHostOps);
  else fibTrie.init(resolveConfig({}, allSizes()));
  fibInit({
    routes: sizes.routes ?? 256,
    fibInfos: sizes.infos ?? 256,
    fibTables: sizes.tables ?? 16,
    fibMetrics: 4,
    nexthops: 8,
  });
  ipInit(sizes.rtables ?? 16, 4);
  if (sizes.host !== true) advancedRouter.init({ ...resolveConfig({}, allSizes()), fibRules: sizes.rules ?? 16 });
  arpPolicy.init(resolveConfig({}, allSizes()));
  socketControl.init(resolveConfig({}, allSizes()));
  routeExceptions.init({ ...resolveConfig({}, allSizes()), fibExceptions: sizes.exceptions ?? 4 });
  arpInit(8);
  devices = [];
  drops.length = 0;
  setDropMonitor((_skb, reason) => {
    if (reason > 1) drops.push(reason);
  });
}

/** Takes every device away and says how many pool objects are still in use: 0, or something leaked. */
export function shutdownIpv4(): number {
  for (const dev of devices) unregisterNetdev(dev);
  devices = [];
  return poolsInUse();
}

/** A device without link layer; what is sent lies in `sent`. */
export interface TestDevice extends NetDevice {
  sent: Uint8Array[];
}

function register(net: Net, dev: NetDevice): void {
  dev.txqueuelen = 0;
  if (registerNetdev(net, dev) !== 0) throw new Error(`${dev.name} not registered`);
  devices.push(dev);
}

export function addDevice(name: string, up = true, net: Net = initNet): TestDevice {
  const sent: Uint8Array[] = [];
  const dev = new NetDevice(name, ARPHRD_NONE, 1500, 0, {
    ndoStartXmit(skb: SkBuff): number {
      sent.push(mem8.slice(skb.data, skb.tail));
      consumeSkb(skb);
      return 0;
    },
  }) as TestDevice;
  dev.sent = sent;
  dev.flags = IFF_NOARP | IFF_BROADCAST;
  register(net, dev);
  if (up) devOpen(dev);
  return dev;
}

/** A loopback device that delivers at once, with the route the packet was sent by. */
export function addLoopback(net: Net = initNet): NetDevice {
  const dev = new NetDevice("lo", ARPHRD_LOOPBACK, 65535, 0, {
    ndoStartXmit(skb: SkBuff, lo: NetDevice): number {
      skbOrphan(skb);
      ipRcv(skb, lo);
      return 0;
    },
  });
  dev.flags = IFF_LOOPBACK;
  register(net, dev);
  net.loopbackDev = dev;
  devOpen(dev);
  return dev;
}

/** All routes of a table, in the order of a dump. */
export function routesOf(table: number, net: Net = initNet): FibConfig[] {
  const walk = new FibWalk();
  const routes: FibConfig[] = [];
  fibWalkStart(walk, net, table);
  for (;;) {
    const route = new FibConfig();
    if (!fibWalkNext(walk, route)) return routes;
    routes.push(route);
  }
}

export { createNet, initNet };

/** 10.0.0.1 as the stack has it. */
export function ip(text: string): number {
  return text.split(".").reduce((value, part) => (value << 8) | Number(part), 0);
}

export function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i++) sum += i % 2 === 0 ? bytes[i]! * 256 : bytes[i]!;
  while (sum > 0xffff) sum = (sum % 65536) + Math.floor(sum / 65536);
  return ~sum & 0xffff;
}

export interface PacketOptions {
  readonly saddr: number;
  readonly daddr: number;
  readonly protocol: number;
  readonly payload?: Uint8Array;
  readonly ttl?: number;
  readonly tos?: number;
  readonly id?: number;
  readonly frag?: number;
  readonly options?: Uint8Array;
}

/** An IP packet with the right checksum. */
export function ipPacket(p: PacketOptions): Uint8Array {
  const options = p.options ?? new Uint8Array(0);
  const payload = p.payload ?? new Uint8Array(0);
  const header = 20 + options.length;
  const bytes = new Uint8Array(header + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, 0x40 | (header >> 2));
  view.setUint8(1, p.tos ?? 0);
  view.setUint16(2, bytes.length);
  view.setUint16(4, p.id ?? 0);
  view.setUint16(6, p.frag ?? 0);
  view.setUint8(8, p.ttl ?? 64);
  view.setUint8(9, p.protocol);
  view.setInt32(12, p.saddr);
  view.setInt32(16, p.daddr);
  bytes.set(options, 20);
  view.setUint16(10, checksum(bytes.subarray(0, header)));
  bytes.set(payload, header);
  return bytes;
}

/** An ICMP message with the right checksum. */
export function icmpMessage(type: number, code: number, rest: number, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8 + data.length);
  const view = new DataView(bytes.buffer);
  bytes[0] = type;
  bytes[1] = code;
  view.setInt32(4, rest);
  bytes.set(data, 8);
  view.setUint16(2, checksum(bytes));
  return bytes;
}

/** A received packet with the bytes, aligned as behind an Ethernet header. */
export function received(dev: NetDevice, bytes: Uint8Array): SkBuff {
  const skb = netdevAllocSkb(dev, 14 + bytes.length);
  if (skb === null) throw new Error("no buffer");
  skb.data += 14;
  skb.tail += 14;
  skbPutData(skb, bytes);
  skb.protocol = ETH_P_IP;
  skb.iif = dev.ifindex;
  return skb;
}

/** Lets the IP layer take the bytes as a packet from the device. */
export function receive(dev: NetDevice, bytes: Uint8Array): number {
  return ipRcv(received(dev, bytes), dev);
}
