/**
 * The family AF_PACKET: frames as a device sends and receives them, with their link header (SOCK_RAW) or without (SOCK_DGRAM).
 * Linux: net/packet/af_packet.c; read first packet(7). Owns the operations of its sockets. The numbers of EtherTypes, in socket()
 * as in addresses, are in host order. A packet in a receive queue starts at what the program reads, `mac` at its link header.
 *
 * Unlike Linux a frame that only a packet socket has taken still counts among those without a handler.
 */
import { memView } from "../../lib/memory.ts";
import { account } from "../../lib/account.ts";
import { NotifierBlock, NOTIFY_DONE, notifierChainRegister } from "../../lib/notifier.ts";
import { words } from "../../lib/table.ts";
import {
  devGetByIndex, NETDEV_DOWN, NETDEV_UNREGISTER, NETDEV_UP, netdevChain,
} from "../../netif/dev.ts";
import type { PacketType } from "../../netif/receive.ts";
import { devQueueXmit } from "../../netif/xmit.ts";
import {
  EAGAIN, EFAULT, EINVAL, EMSGSIZE, ENETDOWN, ENOBUFS, ENODEV, ENOIOCTLCMD, ENOPROTOOPT, ENXIO, EOPNOTSUPP, ESOCKTNOSUPPORT,
} from "../../uapi/errno.ts";
import { IFF_LOOPBACK, IFF_NOARP, IFF_UP } from "../../uapi/if.ts";
import { ARPHRD_ETHER } from "../../uapi/if-arp.ts";
import { ETH_ALEN, ETH_P_8021Q, ETH_P_ALL } from "../../uapi/if-ether.ts";
import {
  AUXDATA_WORDS, PACKET_ADD_MEMBERSHIP, PACKET_AUXDATA, PACKET_DROP_MEMBERSHIP, PACKET_IGNORE_OUTGOING, PACKET_LOOPBACK, PACKET_OUTGOING,
  PACKET_STATISTICS, TP_STATUS_CSUM_VALID, TP_STATUS_USER,
} from "../../uapi/if-packet.ts";
import { SIOCINQ, SIOCOUTQ } from "../../uapi/ioctl.ts";
import {
  AF_PACKET, MSG_DONTWAIT, MSG_PEEK, MSG_TRUNC, SOCK_DGRAM, SOCK_RAW, SOL_PACKET,
} from "../../uapi/socket.ts";
import {
  datagramPoll, putCmsg, skbCopyDatagram, skbRecvDatagram, skbRecvError, sockRecvTimestamp, sockTimestampSet,
} from "../core/datagram.ts";
import type { Net } from "../core/net.ts";
import type { NetDevice } from "../core/net-device.ts";
import {
  allocSkb, CHECKSUM_UNNECESSARY, consumeSkb, NET_IP_ALIGN, type SkBuff, skbClone, skbDstDrop, skbPut, skbReserve,
} from "../core/skbuff.ts";
import { pskbTrim } from "../core/skb-frags.ts";
import { skbQueuePurge, skbQueueTail } from "../core/skb-queue.ts";
import {
  type Proto, SK_DROPS, SK_MARK, SK_PRIORITY, SK_PROTOCOL, SK_TYPE, skAlloc, skbSetOwnerR, skbSetOwnerW, skFilter, type Sock,
  SOCK_FILTERED, SOCK_TIMESTAMP, sockDefErrorReport, sockDefReadable, sockDefWriteSpace, sockError, sockGraft, sockOrphan, sockPut,
} from "../core/sock.ts";
import { copyFromIter, type Msghdr, type SockaddrLl } from "../core/sockaddr.ts";
import { type ProtoOps, type Socket, sockRegister } from "../core/socket.ts";
import { ETHH_PROTO, ETHH_SOURCE } from "../wire/eth.ts";
import { VLAN_HLEN } from "../wire/vlan.ts";
import {
  PACKET_F_AUXDATA, PACKET_F_IGNORE_OUTGOING, packetFirst, packetHook, packetMcAdd, packetMcDrop, packetMcFlush, packetRemove, type PacketSk, type PacketSock, packetSockAlloc,
  packetSockFree, packetSockInit, packetUnhook,
} from "./packet-sock.ts";

/** What recvmsg() understands. */
const RECV_FLAGS = MSG_PEEK | MSG_DONTWAIT | MSG_TRUNC;
/** Numbers of a membership: ifindex, type, and the group's first 2 and last 4 bytes. Linux: struct packet_mreq. */
const MREQ_NUMBERS = 4;

/** Boot: programs can open packet sockets. @param count how many at once @param members memberships of all of them */
export function packetInit(count: number, members: number): void {
  packetSockInit(count, members, packetRcv);
  sockRegister(AF_PACKET, packetCreate);
  notifierChainRegister(netdevChain, account("packet_sock", new NotifierBlock<NetDevice>(packetNotifier)));
}

function packetAlloc(net: Net): Sock | null {
  const sk = skAlloc(net, AF_PACKET, packetProto);
  if (sk === null) return null;
  const po = packetSockAlloc(sk);
  sk.inet = po;
  if (po !== null) return sk;
  sockPut(sk);
  return null;
}

function packetFree(sk: Sock): void {
  if (sk.inet !== null) packetSockFree((sk as PacketSk).inet);
}

/** All of a socket's calls are the family's; of the protocol's operations only its life is needed. Linux: packet_proto. */
const packetProto = Object.freeze({
  name: "PACKET", alloc: packetAlloc, free: packetFree, writeSpace: sockDefWriteSpace,
}) as unknown as Proto;

/** socket() for AF_PACKET. Linux: packet_create(). */
export function packetCreate(net: Net, sock: Socket, protocol: number): number {
  if (sock.type !== SOCK_RAW && sock.type !== SOCK_DGRAM) return -ESOCKTNOSUPPORT;
  const sk = packetAlloc(net);
  if (sk === null) return -ENOBUFS;
  words[sk.cold + SK_TYPE] = sock.type;
  words[sk.cold + SK_PROTOCOL] = protocol;
  sockGraft(sk, sock);
  const po = (sk as PacketSk).inet;
  po.num = protocol;
  if (protocol !== 0) packetHook(po);
  sock.ops = packetOps;
  return 0;
}

/** Linux: packet_release(). */
function packetRelease(sock: Socket): number {
  const sk = sock.sk as PacketSk | null;
  if (sk === null) return 0;
  packetUnhook(sk.inet);
  packetMcFlush(sk, 0, null);
  packetRemove(sk);
  skbQueuePurge(sk.receiveQueue);
  sockOrphan(sk);
  sockPut(sk);
  return 0;
}

function netdownError(sk: Sock): void {
  sk.err = ENETDOWN;
  sockDefErrorReport(sk);
}

/** A device comes or goes. Linux: packet_notifier(). */
function packetNotifier(event: number, dev: NetDevice): number {
  if (event !== NETDEV_UNREGISTER && event !== NETDEV_DOWN && event !== NETDEV_UP) return NOTIFY_DONE;
  for (let sk = packetFirst(); sk !== null; sk = sk.hashNext as PacketSk | null) {
    if (sk.net !== dev.net) continue;
    const po = sk.inet;
    if (event === NETDEV_UNREGISTER) packetMcFlush(sk, dev.ifindex, dev);
    if (po.ifindex !== dev.ifindex) continue;
    if (event === NETDEV_UP) {
      if (po.num !== 0) packetHook(po);
      continue;
    }
    if (po.running) {
      packetUnhook(po);
      netdownError(sk);
    }
    if (event === NETDEV_UNREGISTER) po.ifindex = -1;
  }
  return NOTIFY_DONE;
}

/** bind(): a device and an EtherType, 0 for the one there is. Linux: packet_bind(), packet_do_bind(). */
function packetBind(sock: Socket, addr: SockaddrLl): number {
  const sk = sock.sk as PacketSk;
  const po = sk.inet;
  if (addr.family !== AF_PACKET) return -EINVAL;
  const ifindex = addr.ifindex;
  const dev = ifindex === 0 ? null : devGetByIndex(sk.net, ifindex);
  if (ifindex !== 0 && dev === null) return -ENODEV;
  packetUnhook(po);
  if (addr.protocol !== 0) po.num = addr.protocol;
  po.ifindex = ifindex;
  if (po.num === 0) return 0;
  if (dev === null || (dev.flags & IFF_UP) !== 0) packetHook(po);
  else netdownError(sk);
  return 0;
}

/** Linux: packet_getname(). */
function packetGetname(sock: Socket, addr: SockaddrLl, peer: number): number {
  const sk = sock.sk as PacketSk;
  if (peer !== 0) return -EOPNOTSUPP;
  const po = sk.inet;
  const dev = devGetByIndex(sk.net, po.ifindex);
  addr.family = AF_PACKET;
  addr.protocol = po.num;
  addr.ifindex = po.ifindex;
  addr.pkttype = 0;
  addr.hatype = dev === null ? 0 : dev.type;
  addr.halen = dev === null ? 0 : ETH_ALEN;
  addr.addrHi = dev === null ? 0 : dev.addrHi;
  addr.addrLo = dev === null ? 0 : dev.addrLo;
  return 0;
}

/**
 * A frame for the socket: whole, or from behind the link header. Those who see it too have the same header object, so that it
 * gets its places back. Linux: packet_rcv().
 */
function packetRcv(skb: SkBuff, dev: NetDevice, pt: PacketType): number {
  const po = pt as PacketSock;
  const sk = po.sk!;
  const outgoing = skb.pktType === PACKET_OUTGOING;
  // One type means what comes in; what the socket itself sent it need not see.
  const wanted = sk.net === dev.net && skb.pktType !== PACKET_LOOPBACK
    && (!outgoing || (skb.sk !== sk && (po.flags & PACKET_F_IGNORE_OUTGOING) === 0))
    && (po.ifindex === 0 || po.ifindex === dev.ifindex) && (po.num === ETH_P_ALL || (po.num === skb.protocol && !outgoing));
  if (!wanted) {
    consumeSkb(skb);
    return 0;
  }
  const data = skb.data;
  const len = skb.len;
  const start = words[sk.cold + SK_TYPE] === SOCK_RAW ? skb.mac : outgoing ? skb.nh : data;
  skb.data = start;
  skb.len = len + data - start;
  const snaplen = (sk.flags & SOCK_FILTERED) === 0 ? skb.len : skFilter(sk, skb);
  if (snaplen !== 0) packetQueue(sk, po, skb, dev, snaplen);
  skb.data = data;
  skb.len = len;
  consumeSkb(skb);
  return 0;
}

/** Queues a clone of the frame, cut to what the filter wants of it. */
function packetQueue(sk: Sock, po: PacketSock, skb: SkBuff, dev: NetDevice, snaplen: number): void {
  const clone = sk.rmemAlloc + skb.truesize > sk.rcvbuf ? null : skbClone(skb);
  if (clone === null) {
    po.drops++;
    words[sk.cold + SK_DROPS]!++;
    return;
  }
  // The control block: the length of the frame before it is cut, and below the device's type.
  clone.endSeq = clone.len;
  if (snaplen < clone.len) pskbTrim(clone, snaplen);
  skbDstDrop(clone);
  clone.iif = dev.ifindex;
  clone.seq = dev.type;
  clone.dev = null;
  if ((sk.flags & SOCK_TIMESTAMP) !== 0) sockTimestampSet(sk, clone);
  skbSetOwnerR(clone, sk);
  po.packets++;
  skbQueueTail(sk.receiveQueue, clone);
  sockDefReadable(sk);
}

/** Linux: struct tpacket_auxdata. */
function putAuxdata(msg: Msghdr, skb: SkBuff, snaplen: number): void {
  const at = putCmsg(msg, SOL_PACKET, PACKET_AUXDATA, AUXDATA_WORDS);
  if (at < 0) return;
  const control = msg.control!;
  let status = TP_STATUS_USER;
  if (skb.pktType !== PACKET_OUTGOING && skb.ipSummed === CHECKSUM_UNNECESSARY) status |= TP_STATUS_CSUM_VALID;
  control[at] = status;
  control[at + 1] = skb.endSeq;
  control[at + 2] = snaplen;
  control[at + 3] = (skb.nh - skb.data) << 16;
  control[at + 4] = 0;
}

/** Reads the next frame. Linux: packet_recvmsg(). With MSG_TRUNC the answer is its whole length, as far as the filter let it. */
function packetRecvmsg(sock: Socket, msg: Msghdr, length: number, flags: number): number {
  const sk = sock.sk!;
  if ((flags & ~RECV_FLAGS) !== 0) return -EINVAL;
  const skb = skbRecvDatagram(sk, flags);
  if (skb === null) return skbRecvError(sk, flags);
  const whole = skb.len;
  const copied = skbCopyDatagram(skb, msg, length);
  sockRecvTimestamp(sk, msg, skb.when);
  if (((sk as PacketSk).inet.flags & PACKET_F_AUXDATA) !== 0) putAuxdata(msg, skb, whole);
  const name = msg.name as SockaddrLl | null;
  if (name !== null) {
    name.family = AF_PACKET;
    name.protocol = skb.protocol;
    name.ifindex = skb.iif;
    name.hatype = skb.seq;
    name.pkttype = skb.pktType;
    name.halen = ETH_ALEN;
    name.addrHi = memView.getUint16(skb.mac + ETHH_SOURCE);
    name.addrLo = memView.getInt32(skb.mac + ETHH_SOURCE + 2);
  }
  consumeSkb(skb);
  return (flags & MSG_TRUNC) !== 0 ? whole : copied;
}

/** Puts the link header in front: 0, or -EINVAL when it is not said for whom on a device where that matters. */
function makeHeader(skb: SkBuff, dev: NetDevice, name: SockaddrLl | null): number {
  const link = dev.headerOps;
  if (link === null) return 0;
  if (name === null && (dev.flags & (IFF_LOOPBACK | IFF_NOARP)) === 0) return -EINVAL;
  return link.create(skb, dev, skb.protocol, name === null ? 0 : name.addrHi, name === null ? 0 : name.addrLo) < 0 ? -EINVAL : 0;
}

/** Sends a frame by the device of the message's name, or the bound one. Linux: packet_sendmsg(), packet_snd(). */
function packetSendmsg(sock: Socket, msg: Msghdr, length: number): number {
  const sk = sock.sk as PacketSk;
  const po = sk.inet;
  const raw = sock.type === SOCK_RAW;
  const name = msg.name as SockaddrLl | null;
  if (name !== null && name.family !== AF_PACKET) return -EINVAL;
  const dev = devGetByIndex(sk.net, name === null ? po.ifindex : name.ifindex);
  if (dev === null) return -ENXIO;
  if ((dev.flags & IFF_UP) === 0) return -ENETDOWN;
  const header = dev.hardHeaderLen;
  const most = dev.mtu + (raw ? header : 0);
  if (length > most + VLAN_HLEN) return -EMSGSIZE;
  if (raw && length < header) return -EINVAL;
  if (sk.err !== 0) return sockError(sk);
  if (sk.wmemAlloc >= sk.sndbuf) {
    sock.noSpace = true;
    return -EAGAIN;
  }
  const room = NET_IP_ALIGN + (raw ? 0 : header);
  const skb = allocSkb(room + length);
  if (skb === null) return -ENOBUFS;
  skbReserve(skb, room);
  const at = skbPut(skb, length);
  skb.dev = dev;
  skb.protocol = name === null ? po.num : name.protocol;
  skb.priority = words[sk.cold + SK_PRIORITY]!;
  skb.mark = words[sk.cold + SK_MARK]!;
  skbSetOwnerW(skb, sk);
  skb.nh = skb.th = raw ? at + header : at;
  let err = copyFromIter(at, msg, length) === length ? 0 : -EFAULT;
  if (err === 0 && raw && header > 0 && (skb.protocol === 0 || skb.protocol === ETH_P_ALL)) {
    skb.protocol = memView.getUint16(at + ETHH_PROTO);
  }
  if (err === 0 && !raw) err = makeHeader(skb, dev, name);
  // Only a frame with a tag may be longer by it.
  if (err === 0 && length > most && (dev.type !== ARPHRD_ETHER || memView.getUint16(skb.data + ETHH_PROTO) !== ETH_P_8021Q)) err = -EMSGSIZE;
  if (err < 0) {
    consumeSkb(skb);
    return err;
  }
  err = devQueueXmit(skb);
  return err < 0 ? err : length;
}

function packetSetsockopt(
  sock: Socket, level: number, name: number, value: number, opt: Uint8Array | Int32Array | null,
): number {
  if (level !== SOL_PACKET) return -ENOPROTOOPT;
  const sk = sock.sk as PacketSk;
  const po = sk.inet;
  if (name === PACKET_AUXDATA || name === PACKET_IGNORE_OUTGOING) {
    if (opt !== null || (name === PACKET_IGNORE_OUTGOING && value !== 0 && value !== 1)) return -EINVAL;
    const flag = name === PACKET_AUXDATA ? PACKET_F_AUXDATA : PACKET_F_IGNORE_OUTGOING;
    po.flags = value === 0 ? po.flags & ~flag : po.flags | flag;
    return 0;
  }
  if (name !== PACKET_ADD_MEMBERSHIP && name !== PACKET_DROP_MEMBERSHIP) return -ENOPROTOOPT;
  if (!(opt instanceof Int32Array) || opt.length < MREQ_NUMBERS) return -EINVAL;
  return name === PACKET_ADD_MEMBERSHIP ? packetMcAdd(sk, opt[0]!, opt[1]!, opt[2]!, opt[3]!)
    : packetMcDrop(sk, opt[0]!, opt[1]!, opt[2]!, opt[3]!);
}

/** PACKET_STATISTICS: frames seen and those of them without room, counted anew from here on. Linux: packet_getsockopt(). */
function packetGetsockopt(sock: Socket, level: number, name: number, out: Uint8Array | Int32Array): number {
  if (level !== SOL_PACKET) return -ENOPROTOOPT;
  const po = (sock.sk as PacketSk).inet;
  if (name === PACKET_AUXDATA || name === PACKET_IGNORE_OUTGOING) {
    if (out.length < 1) return -EINVAL;
    out[0] = (po.flags & (name === PACKET_AUXDATA ? PACKET_F_AUXDATA : PACKET_F_IGNORE_OUTGOING)) !== 0 ? 1 : 0;
    return 1;
  }
  if (name !== PACKET_STATISTICS) return -ENOPROTOOPT;
  if (out.length < 2) return -EINVAL;
  out[0] = po.packets + po.drops;
  out[1] = po.drops;
  po.packets = po.drops = 0;
  return 2;
}

function packetIoctl(sock: Socket, request: number, out: Int32Array): number {
  const sk = sock.sk!;
  if (request !== SIOCOUTQ && request !== SIOCINQ) return -ENOIOCTLCMD;
  const head = sk.receiveQueue.head;
  out[0] = request === SIOCOUTQ ? sk.wmemAlloc - 1 : head === null ? 0 : head.len;
  return 0;
}

function packetPoll(sock: Socket): number {
  return datagramPoll(sock.sk!);
}

function packetUnsupported(): number {
  return -EOPNOTSUPP;
}

/** Linux: packet_ops. */
export const packetOps: ProtoOps = Object.freeze({
  family: AF_PACKET,
  release: packetRelease,
  bind: packetBind,
  connect: packetUnsupported,
  socketpair: packetUnsupported,
  accept: packetUnsupported,
  getname: packetGetname,
  poll: packetPoll,
  ioctl: packetIoctl,
  listen: packetUnsupported,
  shutdown: packetUnsupported,
  setsockopt: packetSetsockopt,
  getsockopt: packetGetsockopt,
  sendmsg: packetSendmsg,
  recvmsg: packetRecvmsg,
});
