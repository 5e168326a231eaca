/**
 * A booted stack with netlink, two devices that are up, and the bytes of messages as hexadecimal text. A test sends what a
 * program would, and reads what it would be answered.
 */
import { boot, close, type ConfigOptions, devOpen, initNet, NetDevice, recv, sendto, setsockopt, socket } from "../../../src/index.ts";
import { netlink } from "../../../src/netlink.ts";
import { etherSetup } from "../../../src/netif/ethernet.ts";
import { unregisterNetdev } from "../../../src/netif/dev.ts";
import { consumeSkb } from "../../../src/stack/core/skbuff.ts";
import { IFF_BROADCAST, IFF_NOARP } from "../../../src/uapi/if.ts";
import { ARPHRD_ETHER } from "../../../src/uapi/if-arp.ts";
import { poolUsage } from "../../lib/pools.ts";
import { AF_NETLINK, SOCK_RAW, SOL_NETLINK } from "../../../src/uapi/socket.ts";
import { NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK } from "../../../src/uapi/netlink.ts";

let atStart = new Map<string, number>();
let devices: NetDevice[] = [];

/** A stand-in for a dummy device: what it sends is gone. */
export function addDummy(name: string, last: number): NetDevice {
  const dev = new NetDevice(name, ARPHRD_ETHER, 1500, 14, {
    ndoStartXmit(skb) {
      consumeSkb(skb);
      return 0;
    },
    ndoSetMacAddress: () => 0,
  });
  etherSetup(dev);
  dev.flags = IFF_BROADCAST | IFF_NOARP;
  dev.addrHi = 0x0200;
  dev.addrLo = last;
  dev.txqueuelen = 32;
  initNet.register(dev);
  devices.push(dev);
  return dev;
}

/** Notes how full the pools are. */
export function countPools(): void {
  atStart = poolUsage(initNet);
}

/** By how much the pools differ from that. */
export function leaked(): number {
  let sum = 0;
  for (const [name, inUse] of poolUsage(initNet)) sum += Math.abs(inUse - (atStart.get(name) ?? 0));
  return sum;
}

/** A boot took all devices away. */
export function forgetDummies(): void {
  devices = [];
}

/** Takes the devices out of their namespace. */
export function removeDummies(): void {
  for (const dev of devices) unregisterNetdev(dev);
  initNet.poll();
}

/** Boots with loopback, d0 (2) and d1 (3), all up. */
export function bootNetlink(options: ConfigOptions = {}): void {
  boot({ preset: "host", ...options, initcalls: [netlink] });
  countPools();
  forgetDummies();
  for (const [name, last] of [["d0", 1], ["d1", 2]] as const) devOpen(addDummy(name, last));
}

/** Takes the devices down; how many objects are in use beyond those of the start. */
export function shutdownNetlink(): number {
  removeDummies();
  return leaked();
}

/** A socket of NETLINK_ROUTE as iproute2 opens one. */
export function rtnlOpen(): number {
  const fd = socket(AF_NETLINK, SOCK_RAW, 0);
  setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
  setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
  return fd;
}

export function hex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replace(/[^0-9a-f]/gi, ""), "hex"));
}

export function send(fd: number, bytes: Uint8Array): number {
  return sendto(fd, bytes, 0, bytes.length, 0, null);
}

/** The next packet, or null when none waits. */
export function receive(fd: number): Buffer | null {
  const buffer = new Uint8Array(8192);
  const length = recv(fd, buffer, 0, buffer.length, 0);
  return length < 0 ? null : Buffer.from(buffer.subarray(0, length));
}

/** All messages that wait: type, flags, and the bytes behind the header. */
export function messages(fd: number): { type: number; flags: number; body: Buffer }[] {
  const list = [];
  for (let packet = receive(fd); packet !== null; packet = receive(fd)) {
    for (let at = 0; at + 16 <= packet.length;) {
      const length = packet.readUInt32LE(at);
      list.push({ type: packet.readUInt16LE(at + 4), flags: packet.readUInt16LE(at + 6), body: packet.subarray(at + 16, at + length) });
      at += (length + 3) & ~3;
    }
  }
  return list;
}

/** Sends a request; the error of its acknowledgment, negative, and the text beside it. */
export function talk(bytes: Uint8Array): { error: number; text: string } {
  const fd = rtnlOpen();
  const sent = send(fd, bytes);
  if (sent < 0) {
    close(fd);
    return { error: sent, text: "" };
  }
  const ack = messages(fd).find((message) => message.type === 2);
  close(fd);
  if (ack === undefined) return { error: 1, text: "no answer" };
  const error = ack.body.readInt32LE(0);
  let text = "";
  if ((ack.flags & 0x200) !== 0) {
    const quoted = (ack.flags & 0x100) !== 0 ? 16 : (ack.body.readUInt32LE(4) + 3) & ~3;
    const at = 4 + quoted;
    if (ack.body.readUInt16LE(at + 2) === 1) text = ack.body.subarray(at + 4, at + ack.body.readUInt16LE(at) - 1).toString();
  }
  return { error, text };
}

export { close, initNet };
