/** Packet sockets between two hosts: what they see, what they send, filters, memberships, devices that go. */
import test from "ava";
import { devClose, devOpen } from "../../../src/netif/dev.ts";
import { Msghdr, msgSetBuffer } from "../../../src/stack/core/sockaddr.ts";
import { packet, SockaddrLl, socketFilter } from "../../../src/packet.ts";
import { ping, raw } from "../../../src/raw.ts";
import {
  bind, close, getsockname, getsockopt, recvfrom, recvmsg, sendto, setNs, setsockopt, setsockoptBytes, socket, SockaddrIn,
} from "../../../src/stack/socket/index.ts";
import {
  EAFNOSUPPORT, EAGAIN, EINVAL, EMSGSIZE, ENETDOWN, ENOBUFS, ENODEV, ENOENT, ENOPROTOOPT, ENXIO, EPERM, ESOCKTNOSUPPORT,
} from "../../../src/uapi/errno.ts";
import { IFF_PROMISC } from "../../../src/uapi/if.ts";
import { ETH_P_ALL, ETH_P_ARP, ETH_P_IP } from "../../../src/uapi/if-ether.ts";
import {
  AUXDATA_WORDS, PACKET_ADD_MEMBERSHIP, PACKET_AUXDATA, PACKET_BROADCAST, PACKET_DROP_MEMBERSHIP, PACKET_HOST, PACKET_MR_MULTICAST, PACKET_MR_PROMISC,
  PACKET_OTHERHOST, PACKET_OUTGOING, PACKET_STATISTICS, TP_STATUS_USER,
} from "../../../src/uapi/if-packet.ts";
import {
  AF_PACKET, SO_ATTACH_FILTER, SO_DETACH_FILTER, SO_GET_FILTER, SO_LOCK_FILTER, SO_RCVBUF, SOCK_DGRAM, SOCK_RAW, SOCK_STREAM, SOL_PACKET, SOL_SOCKET,
} from "../../../src/uapi/socket.ts";
import { a, ADDR_B, b, bootHosts, devA, devB, finish, open, turn } from "../ipv4/two-hosts.ts";

const buffer = new Uint8Array(2048);
const from = new SockaddrLl();
let opened: number[] = [];

function start(): void {
  opened = [];
  bootHosts({ initcalls: [raw, ping, packet, socketFilter] });
}

function end(t: Parameters<typeof finish>[0]): void {
  for (const fd of opened) close(fd);
  finish(t);
}

function openPacket(net: typeof a, type: number, protocol: number): number {
  setNs(net);
  const fd = socket(AF_PACKET, type, protocol);
  setNs(a);
  if (fd >= 0) opened.push(fd);
  return fd;
}

/** The next frame, or the negative errno. */
function next(fd: number): Uint8Array | number {
  const n = recvfrom(fd, buffer, 0, buffer.length, 0, from);
  return n < 0 ? n : buffer.slice(0, n);
}

/** EtherType and kind of all that waits. */
function all(fd: number): [type: number, pkttype: number, length: number][] {
  const seen: [number, number, number][] = [];
  for (let frame = next(fd); typeof frame !== "number"; frame = next(fd)) seen.push([from.protocol, from.pkttype, frame.length]);
  return seen;
}

function sendUdp(text = "hello"): void {
  const fd = open(a, SOCK_DGRAM);
  sendto(fd, Buffer.from(text), 0, text.length, 0, new SockaddrIn(ADDR_B, 9999));
  turn();
  close(fd);
}

function frame(dst: number, type: number, length = 60): Uint8Array {
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, dst);
  view.setUint16(12, type);
  return bytes;
}

test.serial("without the part there is no such family; types that it has not are refused", (t) => {
  bootHosts();
  t.is(socket(AF_PACKET, SOCK_RAW, ETH_P_ALL), -EAFNOSUPPORT);
  t.is(setsockoptBytes(open(a, SOCK_DGRAM), SOL_SOCKET, SO_ATTACH_FILTER, Int32Array.of(6, 0, 0, 0)), -ENOPROTOOPT);
  finish(t);
  start();
  t.is(openPacket(a, SOCK_STREAM, 0), -ESOCKTNOSUPPORT);
  end(t);
});

test.serial("ETH_P_ALL sees both directions, one type what comes in; SOCK_DGRAM has no link header", (t) => {
  start();
  const everything = openPacket(a, SOCK_RAW, ETH_P_ALL);
  const cooked = openPacket(a, SOCK_DGRAM, ETH_P_ALL);
  const onlyIp = openPacket(a, SOCK_RAW, ETH_P_IP);
  const nothing = openPacket(a, SOCK_RAW, 0);
  const elsewhere = openPacket(b, SOCK_RAW, ETH_P_IP);
  sendUdp();
  const expected: [number, number, number][] = [
    [ETH_P_ARP, PACKET_OUTGOING, 42], [ETH_P_ARP, PACKET_HOST, 42], [ETH_P_IP, PACKET_OUTGOING, 47], [ETH_P_IP, PACKET_HOST, 75],
  ];
  t.deepEqual(all(everything), expected);
  t.is(from.ifindex, devA.ifindex);
  t.is(from.halen, 6);
  t.is(from.addrHi, devB.addrHi);
  t.is(from.addrLo, devB.addrLo);
  t.deepEqual(all(cooked), expected.map(([type, kind, length]) => [type, kind, length - 14]));
  t.deepEqual(all(onlyIp), [[ETH_P_IP, PACKET_HOST, 75]]);
  t.is(next(nothing), -EAGAIN);
  t.deepEqual(all(elsewhere), [[ETH_P_IP, PACKET_HOST, 47]]);
  end(t);
});

test.serial("a filter says which frames and how much of each; it can be taken away", (t) => {
  start();
  const fd = openPacket(b, SOCK_RAW, ETH_P_ALL);
  // tcpdump -ddd -s 20 arp
  t.is(setsockoptBytes(fd, SOL_SOCKET, SO_ATTACH_FILTER, Int32Array.of(40, 0, 0, 12, 21, 0, 1, 2054, 6, 0, 0, 20, 6, 0, 0, 0)), 0);
  t.is(setsockoptBytes(fd, SOL_SOCKET, SO_ATTACH_FILTER, Int32Array.of(40, 0, 0, 12)), -EINVAL);
  t.is(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, 1), -EINVAL);
  sendUdp();
  t.deepEqual(all(fd), [[ETH_P_ARP, PACKET_BROADCAST, 20], [ETH_P_ARP, PACKET_OUTGOING, 20]]);
  t.is(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, 0), 0);
  t.is(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, 0), -ENOENT);
  sendUdp();
  t.is(all(fd).length, 2);
  const udp = open(b, SOCK_DGRAM);
  t.is(bind(udp, new SockaddrIn(0, 9999)), 0);
  // The first byte of the payload, behind the UDP header, is an x.
  t.is(setsockoptBytes(udp, SOL_SOCKET, SO_ATTACH_FILTER, Int32Array.of(48, 0, 0, 8, 21, 0, 1, 120, 6, 0, 0, 10, 6, 0, 0, 0)), 0);
  sendUdp("no");
  sendUdp("xyz");
  t.is(recvfrom(udp, buffer, 0, 100, 0, null), 2, "cut to ten bytes, eight of header");
  t.is(recvfrom(udp, buffer, 0, 100, 0, null), -EAGAIN);
  end(t);
});

test.serial("a filter can be read back; one that is locked is neither replaced nor taken away, and stays locked", (t) => {
  start();
  const fd = openPacket(a, SOCK_RAW, ETH_P_ALL);
  const program = Int32Array.of(40, 0, 0, 12, 21, 0, 1, 2054, 6, 0, 0, -1, 6, 0, 0, 0);
  const out = new Int32Array(20);
  t.is(getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, out), 0, "there is none");
  t.is(setsockoptBytes(fd, SOL_SOCKET, SO_ATTACH_FILTER, program), 0);
  t.is(getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, out), 16);
  t.deepEqual(out.slice(0, 16), program);
  t.is(getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, new Int32Array(12)), -EINVAL);
  t.is(setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, 0), 0);
  t.is(setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, 1), 0);
  t.is(getsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, out), 1);
  t.is(out[0], 1);
  t.is(setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, 1), 0);
  t.is(setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, 0), -EPERM);
  t.is(setsockoptBytes(fd, SOL_SOCKET, SO_ATTACH_FILTER, program), -EPERM);
  t.is(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, 0), -EPERM);
  close(fd);
  opened = [];
  const fresh = openPacket(a, SOCK_RAW, ETH_P_ALL);
  t.is(setsockoptBytes(fresh, SOL_SOCKET, SO_ATTACH_FILTER, program), 0, "its place is free again, and the next socket is not locked");
  end(t);
});

test.serial("frames are sent whole, or get their link header; the sender does not see them", (t) => {
  start();
  const fd = openPacket(a, SOCK_RAW, ETH_P_ALL);
  const cooked = openPacket(a, SOCK_DGRAM, 0x88b5);
  const there = openPacket(b, SOCK_RAW, 0x88b5);
  const to = new SockaddrLl(0x88b5, devA.ifindex);
  t.is(sendto(fd, frame(0x0200, 0x88b5), 0, 60, 0, to), 60);
  turn();
  t.deepEqual(all(there), [[0x88b5, PACKET_OTHERHOST, 60]], "for others, and seen all the same");
  t.deepEqual(all(fd), []);
  to.addrHi = devB.addrHi;
  to.addrLo = devB.addrLo;
  t.is(sendto(cooked, frame(0, 0), 0, 20, 0, to), 20);
  turn();
  t.deepEqual(all(there), [[0x88b5, PACKET_HOST, 34]]);
  t.is(all(fd).length, 1, "another socket's");
  t.is(sendto(fd, frame(0, 0), 0, 13, 0, to), -EINVAL);
  t.is(sendto(fd, frame(0, 0, 1519), 0, 1519, 0, to), -EMSGSIZE);
  t.is(sendto(fd, frame(0, 0), 0, 60, 0, null), -ENXIO, "no device");
  t.is(sendto(cooked, frame(0, 0), 0, 20, 0, null), -ENXIO);
  t.is(bind(cooked, new SockaddrLl(0, devA.ifindex)), 0);
  t.is(sendto(cooked, frame(0, 0), 0, 20, 0, null), -EINVAL, "for whom?");
  t.is(sendto(fd, frame(0, 0), 0, 60, 0, new SockaddrLl(0, 99)), -ENXIO);
  end(t);
});

test.serial("bound to a device: only its frames, its name, and the error when it goes down", (t) => {
  start();
  const fd = openPacket(a, SOCK_RAW, 0);
  t.is(bind(fd, new SockaddrLl(ETH_P_ALL, 99)), -ENODEV);
  t.is(bind(fd, new SockaddrLl(ETH_P_ALL, a.loopbackDev!.ifindex)), 0);
  sendUdp();
  t.is(next(fd), -EAGAIN);
  t.is(bind(fd, new SockaddrLl(0, devA.ifindex)), 0);
  t.is(getsockname(fd, from), 0);
  t.deepEqual([from.protocol, from.ifindex, from.addrLo], [ETH_P_ALL, devA.ifindex, devA.addrLo]);
  sendUdp();
  t.is(all(fd).length, 2);
  devClose(devA);
  t.is(next(fd), -ENETDOWN);
  t.is(sendto(fd, frame(0, 0), 0, 60, 0, null), -ENETDOWN);
  t.is(bind(fd, new SockaddrLl(0, devA.ifindex)), 0);
  t.is(next(fd), -ENETDOWN);
  devOpen(devA);
  turn();
  const count = all(fd).length;
  sendUdp();
  t.true(all(fd).length > 0 || count > 0, "it hears again");
  end(t);
});

test.serial("memberships: promiscuous while anybody wants it, groups, and no more than there is room for", (t) => {
  bootHosts({ initcalls: [packet], packetMemberships: 2 });
  opened = [];
  const first = openPacket(a, SOCK_RAW, ETH_P_ALL);
  const second = openPacket(a, SOCK_RAW, ETH_P_ALL);
  const promisc = Int32Array.of(devA.ifindex, PACKET_MR_PROMISC, 0, 0);
  const add = (fd: number, mreq: Int32Array): number => setsockoptBytes(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, mreq);
  const drop = (fd: number, mreq: Int32Array): number => setsockoptBytes(fd, SOL_PACKET, PACKET_DROP_MEMBERSHIP, mreq);
  t.is(add(first, Int32Array.of(99, 1, 0, 0)), -ENODEV);
  const unknown = Int32Array.of(devA.ifindex, 9, 0, 0);
  t.is(add(first, unknown), 0, "of no effect");
  t.is(drop(first, unknown), 0);
  t.is(drop(first, promisc), 0, "there is none");
  t.is(devA.promiscuity, 0);
  t.is(add(first, promisc), 0);
  t.is(add(first, promisc), 0);
  t.is(add(second, promisc), 0);
  t.is(devA.promiscuity, 2);
  t.is(add(second, Int32Array.of(devA.ifindex, PACKET_MR_MULTICAST, 0x0100, 1)), -ENOBUFS);
  t.is(drop(first, promisc), 0);
  t.is(devA.promiscuity, 2);
  t.is(drop(first, promisc), 0);
  t.is(devA.promiscuity, 1);
  t.is(add(first, Int32Array.of(devA.ifindex, PACKET_MR_MULTICAST, 0x0100, 1)), 0);
  t.is(devA.mc?.hi, 0x0100);
  close(first);
  close(second);
  opened = [];
  t.is(devA.flags & IFF_PROMISC, 0);
  t.is(devA.promiscuity, 0);
  finish(t);
});

test.serial("PACKET_AUXDATA: with each frame its length before the filter cut it, and where its network header is", (t) => {
  start();
  const msg = new Msghdr(1);
  const control = new Int32Array(3 + AUXDATA_WORDS);
  const raws = [SOCK_RAW, SOCK_DGRAM].map((type) => openPacket(b, type, ETH_P_IP));
  for (const fd of raws) {
    t.is(setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, 1), 0);
    t.is(setsockoptBytes(fd, SOL_SOCKET, SO_ATTACH_FILTER, Int32Array.of(6, 0, 0, 20)), 0);
  }
  sendUdp();
  const words = raws.map((fd) => {
    msgSetBuffer(msg, buffer, 0, buffer.length);
    msg.control = control;
    t.is(recvmsg(fd, msg, 0), 20);
    t.deepEqual([...control.slice(0, 3)], [SOL_PACKET, PACKET_AUXDATA, AUXDATA_WORDS]);
    t.is(control[3]! & TP_STATUS_USER, TP_STATUS_USER);
    return [...control.slice(4, 3 + AUXDATA_WORDS)];
  });
  t.deepEqual(words, [[47, 20, 14 << 16, 0], [33, 20, 0, 0]]);
  end(t);
});

test.serial("PACKET_STATISTICS counts frames and those without room, each time anew", (t) => {
  start();
  const fd = openPacket(b, SOCK_RAW, ETH_P_IP);
  const out = new Int32Array(2);
  t.is(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, 1), 0);
  sendUdp();
  sendUdp();
  sendUdp();
  t.is(getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, out), 2);
  t.deepEqual([...out], [3, 2]);
  getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, out);
  t.deepEqual([...out], [0, 0]);
  end(t);
});
