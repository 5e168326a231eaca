/**
 * A packet socket's own part: its place among the taps, its counters and its memberships. Linux: struct packet_sock, struct
 * packet_mclist and packet_mc_add() of net/packet/af_packet.c. Owns the two pools (options packetSocks, packetMemberships).
 */
import { type Pool, type Pooled, poolAlloc, poolCreate, poolFree } from "../../lib/pool.ts";
import { devGetByIndex, devSetAllmulti, devSetPromiscuity } from "../../netif/dev.ts";
import { devMcAdd, devMcDel } from "../../netif/dev-mc.ts";
import { devAddPack, devRemovePack, PacketType } from "../../netif/receive.ts";
import { ENOBUFS, ENODEV } from "../../uapi/errno.ts";
import { ETH_P_ALL } from "../../uapi/if-ether.ts";
import { PACKET_MR_ALLMULTI, PACKET_MR_MULTICAST, PACKET_MR_PROMISC, PACKET_MR_UNICAST } from "../../uapi/if-packet.ts";
import { DevMcAddr, type NetDevice } from "../core/net-device.ts";
import type { SkBuff } from "../core/skbuff.ts";
import type { Sock } from "../core/sock.ts";

/** What a packet socket has asked of a device. Linux: struct packet_mclist. */
export class PacketMembership implements Pooled {
  next: PacketMembership | null = null;
  ifindex = 0;
  /** PACKET_MR_* */
  type = 0;
  /** How often it was asked for. */
  count = 0;
  /** PACKET_MR_MULTICAST: the group, on the device's list. */
  readonly group: DevMcAddr = new DevMcAddr();
  poolNext: Pooled | null = null;
}

/** PacketSock.flags: PACKET_AUXDATA and PACKET_IGNORE_OUTGOING are set. */
export const PACKET_F_AUXDATA = 1;
export const PACKET_F_IGNORE_OUTGOING = 2;

/** Linux: struct packet_sock. It is a tap of all frames, whatever its type: so it sees those for others too. */
export class PacketSock extends PacketType implements Pooled {
  sk: Sock | null = null;
  /** EtherType wanted, ETH_P_ALL for all, 0 for none. */
  num = 0;
  /** Device bound to, 0 for all; -1 when it is gone. */
  ifindex = 0;
  /** PACKET_F_* */
  flags = 0;
  /** In the list of taps. */
  running = false;
  packets = 0;
  drops = 0;
  memberships: PacketMembership | null = null;
  poolNext: Pooled | null = null;
}

/** A sock with its packet part. */
export type PacketSk = Sock & { inet: PacketSock };

let parts: Pool<PacketSock>;
let memberships: Pool<PacketMembership>;
/** All packet sockets, linked by Sock.hashNext. */
let socks: Sock | null;

/** Boot. @param receive the tap's function */
export function packetSockInit(
  count: number, members: number, receive: (skb: SkBuff, dev: NetDevice, pt: PacketType) => number,
): void {
  parts = poolCreate("packet_sock", count, () => new PacketSock(ETH_P_ALL, receive));
  memberships = poolCreate("packet_mclist", members, () => new PacketMembership());
  socks = null;
}

/** A part for the sock, which is in the list of packet sockets then; null when the pool is empty. */
export function packetSockAlloc(sk: Sock): PacketSock | null {
  const po = poolAlloc(parts);
  if (po === null) return null;
  po.sk = sk;
  po.num = po.ifindex = po.flags = po.packets = po.drops = 0;
  po.running = false;
  po.memberships = null;
  sk.hashNext = socks;
  socks = sk;
  return po;
}

export function packetSockFree(po: PacketSock): void {
  po.sk = null;
  poolFree(parts, po);
}

/** Leaves the list. */
export function packetRemove(sk: Sock): void {
  let previous: Sock | null = null;
  for (let at = socks; at !== sk && at !== null; at = at.hashNext) previous = at;
  if (previous === null) socks = sk.hashNext;
  else previous.hashNext = sk.hashNext;
  sk.hashNext = null;
}

/** The newest packet socket, of any namespace. */
export function packetFirst(): PacketSk | null {
  return socks as PacketSk | null;
}

/** Begins to see frames. Linux: register_prot_hook(). */
export function packetHook(po: PacketSock): void {
  if (po.running) return;
  po.running = true;
  devAddPack(po);
}

/** Ends that. Linux: unregister_prot_hook(). */
export function packetUnhook(po: PacketSock): void {
  if (!po.running) return;
  po.running = false;
  devRemovePack(po);
}

/** Asks the device for what the membership says, or no longer. Linux: packet_dev_mc(). */
function packetDevMc(dev: NetDevice, member: PacketMembership, on: boolean): void {
  // No driver has a list of further addresses: it is given all frames.
  if (member.type === PACKET_MR_PROMISC || member.type === PACKET_MR_UNICAST) devSetPromiscuity(dev, on ? 1 : -1);
  else if (member.type === PACKET_MR_ALLMULTI) devSetAllmulti(dev, on ? 1 : -1);
  else if (member.type !== PACKET_MR_MULTICAST) return;
  else if (on) devMcAdd(dev, member.group);
  else devMcDel(dev, member.group);
}

function find(po: PacketSock, ifindex: number, type: number, hi: number, lo: number): PacketMembership | null {
  let member = po.memberships;
  while (member !== null) {
    if (member.ifindex === ifindex && member.type === type && member.group.hi === hi && member.group.lo === lo) return member;
    member = member.next;
  }
  return null;
}

/**
 * PACKET_ADD_MEMBERSHIP; an unknown type asks for nothing. @param hi and lo: the group as its first 2 and last 4 bytes
 * @returns 0, -ENODEV, -ENOBUFS. Linux: packet_mc_add()
 */
export function packetMcAdd(sk: PacketSk, ifindex: number, type: number, hi: number, lo: number): number {
  const po = sk.inet;
  const dev = devGetByIndex(sk.net, ifindex);
  if (dev === null) return -ENODEV;
  const known = find(po, ifindex, type, hi, lo);
  if (known !== null) {
    known.count++;
    return 0;
  }
  const member = poolAlloc(memberships);
  if (member === null) return -ENOBUFS;
  member.ifindex = ifindex;
  member.type = type;
  member.count = 1;
  member.group.hi = hi;
  member.group.lo = lo;
  member.next = po.memberships;
  po.memberships = member;
  packetDevMc(dev, member, true);
  return 0;
}

/** PACKET_DROP_MEMBERSHIP: 0, also when there was none. Linux: packet_mc_drop(). */
export function packetMcDrop(sk: PacketSk, ifindex: number, type: number, hi: number, lo: number): number {
  const member = find(sk.inet, ifindex, type, hi, lo);
  if (member !== null && --member.count === 0) packetMcEnd(sk, member);
  return 0;
}

function packetMcEnd(sk: PacketSk, member: PacketMembership): void {
  const po = sk.inet;
  let previous: PacketMembership | null = null;
  for (let at = po.memberships; at !== member && at !== null; at = at.next) previous = at;
  if (previous === null) po.memberships = member.next;
  else previous.next = member.next;
  member.next = null;
  const dev = devGetByIndex(sk.net, member.ifindex);
  if (dev !== null) packetDevMc(dev, member, false);
  poolFree(memberships, member);
}

/** Ends the memberships of a device, or with 0 all. Linux: packet_flush_mclist(), packet_dev_mclist_delete(). */
export function packetMcFlush(sk: PacketSk, ifindex: number, dev: NetDevice | null): void {
  let member = sk.inet.memberships;
  while (member !== null) {
    const next: PacketMembership | null = member.next;
    if (ifindex === 0 || member.ifindex === ifindex) {
      // A device that is being unregistered is in no list any more.
      if (dev !== null) packetDevMc(dev, member, false);
      packetMcEnd(sk, member);
    }
    member = next;
  }
}
