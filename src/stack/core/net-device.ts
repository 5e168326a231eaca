/**
 * net_device and napi_struct: the shapes that drivers, the link layer and the protocols share; no behaviour.
 * Linux: include/linux/netdevice.h. The functions are in netif/dev.ts and netif/napi.ts.
 */
import { Work } from "../../lib/softirq.ts";
import { IFF_BROADCAST, IFF_UP } from "../../uapi/if.ts";
import type { Net } from "./net.ts";
import type { SkBuff } from "./skbuff.ts";

/** What ndoStartXmit answers. */
export const NETDEV_TX_OK = 0;
/** The driver did not take the packet; it stays with the qdisc. */
export const NETDEV_TX_BUSY = 16;

/** features: the device sums and verifies transport checksums itself (loopback: they are not needed). */
export const NETIF_F_CSUM = 1;
/** features: the device gathers a packet from a fragment list. */
export const NETIF_F_SG = 2;
/** features: a VLAN on `peer`. It writes its tag into the header of what it sends. Linux: IFF_802_1Q_VLAN of priv_flags. */
export const NETIF_F_8021Q = 4;

/**
 * What a driver implements. Linux: struct net_device_ops. Calls return 0 or a negative errno where they return a
 * number.
 */
export interface NetDeviceOps {
  /** Interface goes up: start receiving. */
  ndoOpen?(dev: NetDevice): number;
  /** Interface goes down: stop, free every packet held. */
  ndoStop?(dev: NetDevice): number;
  /** Takes the packet (it is the driver's then, to be consumed) or answers NETDEV_TX_BUSY. */
  ndoStartXmit(skb: SkBuff, dev: NetDevice): number;
  /** Flags (promiscuous, all-multicast) or the multicast list changed. */
  ndoSetRxMode?(dev: NetDevice): void;
  ndoSetMacAddress?(dev: NetDevice): number;
  ndoChangeMtu?(dev: NetDevice, mtu: number): number;
  /** Another device becomes a port of this one, or is one no more. */
  ndoAddSlave?(dev: NetDevice, slave: NetDevice): number;
  ndoDelSlave?(dev: NetDevice, slave: NetDevice): number;
  /**
   * The queue has been stopped for watchdogMs: the hardware is stuck. Called again every watchdogMs until it is woken.
   */
  ndoTxTimeout?(dev: NetDevice): void;
}

/** Link-layer header functions. Linux: struct header_ops. */
export interface HeaderOps {
  /** Prepends the header; destination given as the first 2 and last 4 bytes. Returns its length or a negative errno. */
  create(skb: SkBuff, dev: NetDevice, type: number, dstHi: number, dstLo: number): number;
}

/** What a person's discipline has beside its queue (netif/sched/sch-api.ts). */
export interface QdiscInfo {
  /** Its number in the upper 16 bits. */
  handle: number;
  /** What the device had sent before it had the discipline. */
  readonly packets: number;
  readonly bytes: number;
}

/** Link-layer queue. Linux: struct Qdisc with its ops. */
export interface Qdisc {
  /** 0, or a negative errno after dropping the packet itself. */
  enqueue(skb: SkBuff): number;
  dequeue(): SkBuff | null;
  /** Puts back in front what the driver was too busy for. */
  requeue(skb: SkBuff): void;
  /** Drops all that waits. */
  reset(): void;
  /** While nothing waits a packet may go to the driver without being queued (Linux: TCQ_F_CAN_BYPASS). */
  readonly canBypass: boolean;
  /** Its name in `ip link`. */
  readonly id: string;
  /** The device has another one from now on, or goes: nothing of it may run any more. */
  destroy?(): void;
  /** Packets waiting. */
  qlen: number;
  drops: number;
  /** How often the driver was too busy for a packet. */
  readonly requeues: number;
  /** How often a packet had to wait for its time, of a kind that does that. */
  readonly overlimits?: number;
  info?: QdiscInfo;
}

export class NetDeviceStats {
  rxPackets = 0;
  txPackets = 0;
  rxBytes = 0;
  txBytes = 0;
  rxDropped = 0;
  txDropped = 0;
  rxErrors = 0;
  txErrors = 0;
  multicast = 0;
  rxLengthErrors = 0;
  rxFifoErrors = 0;
}

/** A device's place in the polling rounds. Linux: struct napi_struct. */
export class NapiStruct {
  next: NapiStruct | null = null;
  /** Scheduled, or being polled. */
  scheduled = false;
  enabled = false;
  /** On the list of those to be polled. */
  listed = false;
  /** Asked for while it was being polled (Linux: NAPIF_STATE_MISSED). */
  missed = false;
  /** Frames one poll may take. */
  weight = 16;
  /** null for the backlog, which is no device's. */
  dev: NetDevice | null;
  /** Takes at most `budget` frames and returns how many it took; fewer means napiComplete() was called. */
  poll: (napi: NapiStruct, budget: number) => number;

  constructor(dev: NetDevice | null, weight: number, poll: (napi: NapiStruct, budget: number) => number) {
    this.dev = dev;
    this.weight = weight;
    this.poll = poll;
  }
}

/**
 * Someone who looks at each frame in and out without touching it; a link of a device's list. netif/capture.ts makes
 * them.
 */
export interface DeviceTap {
  nextTap: DeviceTap | null;
  /** The frame is from skb.mac to skb.tail (and in fragList); `outgoing`: this host sends it. */
  see(skb: SkBuff, outgoing: boolean): void;
}

/**
 * What stands on a device and takes its frames before the protocols do, a link of its list in order (netif/rx-handler.ts). Linux:
 * rx_handler_func_t with its data, and vlan_info.
 */
export interface RxHandler {
  nextHandler: RxHandler | null;
  /** Takes a frame, data behind the link header: true when it is gone, false when it is for those behind. */
  readonly func: (skb: SkBuff, dev: NetDevice, handler: RxHandler) => boolean;
  /** RX_HANDLER_*: lower ones are asked first. */
  readonly order: number;
  /** The device that the other one is a port of; null for none. Linux: netdev_master_upper_dev_get() */
  readonly master: NetDevice | null;
}

/** A group address that a device receives, a link of its list (netif/dev-mc.ts). Linux: struct netdev_hw_addr. */
export class DevMcAddr {
  nextMc: DevMcAddr | null = null;
  /** Its first two bytes and its last four. */
  hi = 0;
  lo = 0;
}

/** Per-device family data that the core only carries (Linux: dev->ip_ptr). */
export interface DevicePrivate {
  readonly family: number;
}

export class NetDevice {
  ops: NetDeviceOps;
  net: Net | null = null;
  flags = 0;
  mtu: number;
  ifindex = 0;
  /** Bytes of link-layer header (ETH_HLEN, or 0). */
  hardHeaderLen: number;
  /** IPv4's in_device. */
  ipPtr: DevicePrivate | null = null;
  /** Hardware address, first two bytes and last four. */
  addrHi = 0;
  addrLo = 0;
  /** What packets are queued with now; null for none (noqueue): they go straight to the driver. */
  qdisc: Qdisc | null = null;
  taps: DeviceTap | null = null;
  features = 0;
  headerOps: HeaderOps | null = null;
  /** netif_stop_queue(): the driver cannot take packets now. */
  queueStopped = false;
  carrier = true;
  /** IFF_UP and opened by the driver. */
  running = false;
  /** The driver is taking a packet from the qdisc: others wait behind it (Linux: __QDISC_STATE_RUNNING). */
  xmitRunning = false;
  /** A qdisc with packets waits for the TX softirq. */
  txScheduled = false;
  stats: NetDeviceStats = new NetDeviceStats();
  /** ARPHRD_* */
  type: number;
  name: string;
  txqueuelen = 64;
  /** Longest time in ms that the queue may stay stopped before ndoTxTimeout; 0 = no watchdog. */
  watchdogMs = 0;
  /** jiffies at which the queue was stopped. */
  stoppedAt = 0;
  /** -1 unless it is registered. */
  watchdogTimer = -1;
  /** The carrier came or went: the notifiers are told outside of the interrupt. */
  linkWork: Work<NetDevice> = new Work<NetDevice>();
  /** The queueing discipline that is attached while the device is up and has carrier. */
  qdiscSleeping: Qdisc | null = null;
  minMtu = 0;
  maxMtu = 65535;
  /** IFF_PROMISC and IFF_ALLMULTI as a program set them (Linux: gflags). */
  gflags = 0;
  nextDev: NetDevice | null = null;
  /** Next in the list of devices with a TX softirq pending. */
  nextTx: NetDevice | null = null;
  promiscuity = 0;
  allmulti = 0;
  /** Group addresses to receive. */
  mc: DevMcAddr | null = null;
  /** The device on the other end (veth), or the one below (VLAN); null for real ones. */
  peer: NetDevice | null = null;
  /** The driver's own state. */
  priv: unknown = null;
  /** The first who takes frames before the protocols; only a device that has had one pays the slot. */
  declare rxHandler?: RxHandler | null;

  constructor(name: string, type: number, mtu: number, hardHeaderLen: number, ops: NetDeviceOps) {
    this.name = name;
    this.type = type;
    this.mtu = mtu;
    this.hardHeaderLen = hardHeaderLen;
    this.ops = ops;
  }
}

/** The device for what no route leads to, a group or a broadcast, as on a board without a gateway: the first with a link, or null. */
export function devGetDefault(net: Net): NetDevice | null {
  const wanted = IFF_UP | IFF_BROADCAST;
  for (let dev = net.devices; dev !== null; dev = dev.nextDev) if ((dev.flags & wanted) === wanted && dev.carrier) return dev;
  return null;
}
