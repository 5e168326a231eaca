/**
 * The TAP HAL: an Ethernet device of the stack on a Linux TAP. Linux: drivers/net/tun.c is the other end.
 *
 * Reading does not spin: a thread of libuv's pool waits in poll(2), and its answer is the "interrupt" that schedules NAPI;
 * the poll reads without waiting, straight into packet buffers, until the TAP is empty or the budget used up. Measured
 * here (2 cores): 37 µs from a frame to the turn that reads it, no CPU time when idle, 0.66 µs for an empty read.
 */
import { addressOf, close, EFD_NONBLOCK, errno, eventfd, ioctl, O_NONBLOCK, O_RDWR, open, POLLERR, POLLHUP, POLLNVAL,
  read, ReadWait, write } from "./libc.ts";
import { mem8 } from "../../src/lib/memory.ts";
import { netifCarrierOff } from "../../src/netif/dev.ts";
import { ethReceive, etherSetup } from "../../src/netif/ethernet.ts";
import { NAPI_POLL_WEIGHT, napiAdd, napiComplete, napiDisable, napiEnable, napiSchedule } from "../../src/netif/napi.ts";
import { NapiStruct, NETDEV_TX_OK, NetDevice } from "../../src/stack/core/net-device.ts";
import { consumeSkb, kfreeSkb, netdevAllocSkb, skbPut, skbTailroom, type SkBuff } from "../../src/stack/core/skbuff.ts";
import { SKB_DROP_REASON_DEV_READY } from "../../src/uapi/drop-reason.ts";
import { ARPHRD_ETHER } from "../../src/uapi/if-arp.ts";
import { ETH_DATA_LEN, ETH_HLEN } from "../../src/uapi/if-ether.ts";
import { VLAN_HLEN } from "../../src/stack/wire/vlan.ts";
import { errnoName } from "../../src/uapi/errno.ts";
import type { Impairment } from "../mock/impair.ts";
import { formatMac, parseMac } from "../mac.ts";
import { createWireDevice } from "../mock/wire-device.ts";
import { Wire, type WirePort } from "../mock/wire.ts";
import { RealScheduler } from "./real-scheduler.ts";

export interface TapOptions {
  /** The TAP's name on the Linux side; it is made if it does not exist. */
  readonly tap: string;
  /** The device's name in the stack; default eth%d. */
  readonly name?: string | undefined;
  readonly mac?: string | undefined;
  readonly mtu?: number | undefined;
  /** Frames one poll takes. */
  readonly weight?: number | undefined;
  /** What happens to frames on the way, in both directions. */
  readonly impairment?: Impairment | undefined;
}

const TUNSETIFF = 0x400454ca;
const IFF_TAP = 2;
const IFF_NO_PI = 0x1000;
const IFNAMSIZ = 16;
const IFREQ_BYTES = 40;
const EPERM = 1;
const EACCES = 13;
const EBUSY = 16;
/** Frames the impaired TAP takes before others have their turn. */
const DRAIN_FRAMES = 256;
const MAX_FRAME = ETH_HLEN + VLAN_HLEN + ETH_DATA_LEN;

function openError(name: string, error: number): Error {
  const hints: Record<number, string> = {
    [EPERM]: "it takes root or CAP_NET_ADMIN; try it inside `unshare -rn`",
    [EACCES]: "/dev/net/tun is not yours to open",
    [EBUSY]: "another program is using it",
  };
  return new Error(`TAP ${name}: ${errnoName(error)}: ${hints[error] ?? "/dev/net/tun cannot be had"}`);
}

/** An open TAP: frames by address, and who wants to know when there is one. */
export class TapFile {
  private readonly fd: number;
  private readonly wakeFd: number;
  private readonly wait: ReadWait;
  private readonly one = new BigUint64Array([1n]);
  private waiting = false;
  private closed = false;
  /** A frame may be there: read until there is none, then call waitReadable(). */
  onReadable: () => void = () => undefined;
  /** The TAP was deleted. */
  onGone: () => void = () => undefined;

  /** @throws Error with what to do about it when the TAP cannot be had */
  constructor(name: string) {
    if (!/^[^\s/:]{1,15}$/.test(name)) throw new RangeError(`TAP name is "${name}"; it must have 1 to ${IFNAMSIZ - 1} characters, none of them blank, / or :`);
    this.fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    if (this.fd < 0) throw openError(name, errno());
    const request = new Uint8Array(IFREQ_BYTES);
    request.set(new TextEncoder().encode(name));
    new DataView(request.buffer).setUint16(IFNAMSIZ, IFF_TAP | IFF_NO_PI, true);
    if (ioctl(this.fd, TUNSETIFF, request) < 0) {
      const error = openError(name, errno());
      close(this.fd);
      throw error;
    }
    this.wakeFd = eventfd(0, EFD_NONBLOCK);
    this.wait = new ReadWait(this.fd, this.wakeFd, (revents) => this.readable(revents));
  }

  /** Reads a frame: its length, or negative when there is none. */
  read(address: number, length: number): number {
    return this.closed ? -1 : read(this.fd, address, length);
  }

  /** Writes a frame: negative when the Linux side is down or full. */
  write(address: number, length: number): number {
    return this.closed ? -1 : write(this.fd, address, length);
  }

  /** Has onReadable called once, when there is a frame. */
  waitReadable(): void {
    if (this.waiting || this.closed) return;
    this.waiting = true;
    this.wait.start();
  }

  private readable(revents: number): void {
    this.waiting = false;
    if (this.closed) {
      this.release();
    } else if ((revents & (POLLERR | POLLHUP | POLLNVAL)) !== 0) {
      this.onGone();
    } else {
      this.onReadable();
    }
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    if (this.waiting) write(this.wakeFd, addressOf(new Uint8Array(this.one.buffer)), this.one.byteLength);
    else this.release();
  }

  private release(): void {
    close(this.fd);
    close(this.wakeFd);
  }
}

/** A TAP as the stack's device, and how to let go of it. */
export interface TapDevice {
  readonly dev: NetDevice;
  readonly mac: string;
  close(): void;
}

function randomMac(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(4));
  return formatMac(0x0200 | bytes[0]!, (bytes[1]! << 16) | (bytes[2]! << 8) | bytes[3]!);
}

/**
 * Opens a TAP as a device of the stack; it is to be registered and opened like any other.
 * @throws Error when the TAP cannot be had, RangeError or TypeError for a bad option
 */
export function openTap(options: TapOptions): TapDevice {
  const mac = options.mac ?? randomMac();
  parseMac(mac);
  const file = new TapFile(options.tap);
  const dev = options.impairment === undefined ? directDevice(file, options, mac) : impairedDevice(file, options, options.impairment, mac);
  return { dev, mac, close: () => file.close() };
}

function directDevice(file: TapFile, options: TapOptions, mac: string): NetDevice {
  const arena = addressOf(mem8);
  const scratch = new Uint8Array(MAX_FRAME);
  const scratchAddress = addressOf(scratch);

  function startXmit(skb: SkBuff): number {
    const { stats } = dev;
    const length = skb.len;
    if (file.write(arena + skb.data, length) === length) {
      stats.txPackets++;
      stats.txBytes += length;
      consumeSkb(skb);
    } else {
      stats.txErrors++;
      stats.txDropped++;
      kfreeSkb(skb, SKB_DROP_REASON_DEV_READY);
    }
    return NETDEV_TX_OK;
  }

  function poll(self: NapiStruct, budget: number): number {
    const frameMax = dev.mtu + ETH_HLEN + VLAN_HLEN + 1;
    let done = 0;
    while (done < budget) {
      const skb = netdevAllocSkb(dev, ETH_HLEN);
      if (skb === null) {
        // No packet left: the frame is dropped, as a chip whose ring is not refilled would.
        if (file.read(scratchAddress, MAX_FRAME) < 0) break;
        dev.stats.rxDropped++;
        done++;
        continue;
      }
      const room = skbTailroom(skb);
      const length = file.read(arena + skb.data, room < frameMax ? room : frameMax);
      if (length < 0) {
        consumeSkb(skb);
        break;
      }
      skbPut(skb, length);
      ethReceive(skb, dev);
      done++;
    }
    if (done < budget && napiComplete(self)) file.waitReadable();
    return done;
  }

  const dev = new NetDevice(options.name ?? "eth%d", ARPHRD_ETHER, options.mtu ?? ETH_DATA_LEN, ETH_HLEN, {
    ndoOpen: () => {
      napiEnable(napi);
      file.waitReadable();
      return 0;
    },
    ndoStop: () => {
      napiDisable(napi);
      return 0;
    },
    ndoStartXmit: startXmit,
    ndoSetMacAddress: () => 0,
  });
  etherSetup(dev);
  const { hi, lo } = parseMac(mac);
  dev.addrHi = hi;
  dev.addrLo = lo;
  const napi = napiAdd(dev, new NapiStruct(dev, options.weight ?? NAPI_POLL_WEIGHT, poll));
  file.onReadable = () => {
    napiSchedule(napi);
  };
  file.onGone = () => netifCarrierOff(dev);
  return dev;
}

/**
 * Joins a TAP to a mock wire: frames go both ways, in real time.
 * @returns its port
 */
export function attachTap(wire: Wire, file: TapFile, name: string): WirePort {
  const inbound = new Uint8Array(MAX_FRAME);
  const outbound = new Uint8Array(MAX_FRAME);
  const inboundAddress = addressOf(inbound);
  const outboundAddress = addressOf(outbound);
  const port = wire.attach(name, (frame) => {
    outbound.set(frame);
    file.write(outboundAddress, frame.length);
  });
  file.onReadable = () => {
    for (let frames = 0; frames < DRAIN_FRAMES; frames++) {
      const length = file.read(inboundAddress, MAX_FRAME);
      if (length < 0) break;
      port.send(inbound.slice(0, length));
    }
    file.waitReadable();
  };
  file.waitReadable();
  return port;
}

/** The TAP at one end of a mock wire, the device at the other: impairment in both directions. */
function impairedDevice(file: TapFile, options: TapOptions, impairment: Impairment, mac: string): NetDevice {
  const wire = new Wire(new RealScheduler(), impairment);
  const { name, mtu, weight } = options;
  const dev = createWireDevice(wire, { name, mtu, weight, mac });
  attachTap(wire, file, options.tap);
  file.onGone = () => wire.setCarrier(false);
  return dev;
}
