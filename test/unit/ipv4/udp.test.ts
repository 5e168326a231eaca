import test from "ava";
import { mem8, memView } from "../../../src/lib/memory.ts";
import { poolForEach } from "../../../src/lib/pool.ts";
import {
  EACCES, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, EAGAIN, ECONNREFUSED, EDESTADDRREQ, EINVAL, EMSGSIZE, ENETUNREACH,
  ENOPROTOOPT, ENOTCONN, EOPNOTSUPP, EPIPE,
} from "../../../src/uapi/errno.ts";
import { IP_MTU, IP_PKTINFO, IP_RECVERR, IP_RECVTOS, IP_RECVTTL, IP_TOS, IP_TTL } from "../../../src/uapi/in.ts";
import { SIOCINQ, SIOCOUTQ } from "../../../src/uapi/ioctl.ts";
import {
  EPOLL_CTL_ADD, EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP, POLLIN, POLLOUT,
} from "../../../src/uapi/poll.ts";
import {
  UDP_MIB_CSUMERRORS, UDP_MIB_IGNOREDMULTI, UDP_MIB_INDATAGRAMS, UDP_MIB_INERRORS, UDP_MIB_NOPORTS,
  UDP_MIB_OUTDATAGRAMS, UDP_MIB_RCVBUFERRORS,
} from "../../../src/uapi/snmp.ts";
import {
  AF_UNSPEC, MSG_CTRUNC, MSG_DONTWAIT, MSG_ERRQUEUE, MSG_MORE, MSG_OOB, MSG_PEEK, MSG_TRUNC, SCM_TIMESTAMP, SHUT_RD,
  SHUT_RDWR, SHUT_WR, SO_BINDTODEVICE, SO_BROADCAST, SO_ERROR, SO_NO_CHECK, SO_RCVBUF, SO_REUSEADDR, SO_REUSEPORT,
  SO_SNDBUF, SO_TIMESTAMP, SOCK_DGRAM, SOL_IP, SOL_SOCKET, SOL_UDP,
} from "../../../src/uapi/socket.ts";
import { UDP_CORK } from "../../../src/uapi/udp.ts";
import { ETH_P_IP } from "../../../src/uapi/if-ether.ts";
import { allocSkb, CHECKSUM_NONE, skbPutData, skbReserve } from "../../../src/stack/core/skbuff.ts";
import { sockaddrClear } from "../../../src/stack/core/sockaddr.ts";
import { netifRx } from "../../../src/netif/receive.ts";
import { csumPartial, csumTcpudpMagic, ipFastCsum } from "../../../src/lib/checksum.ts";
import {
  bind, close, connect, epollCreate1, epollCtl, epollWait, getpeername, getsockname, getsockopt, ioctl, Msghdr,
  msgSetBuffer, poll, Pollfd, recv, recvfrom, recvmsg, send, sendmsg, sendto, setsockopt, shutdown, SockaddrIn,
} from "../../../src/stack/socket/index.ts";
import { a, ADDR_A, ADDR_B, b, bootHosts, devA, devB, finish, open, turn } from "./two-hosts.ts";

const LO = 0x7f000001;
const buffer = new Uint8Array(2048);
const words = new Int32Array(8);
const from = new SockaddrIn();

function bytes(text: string): Uint8Array {
  return Buffer.from(text, "latin1");
}

function sendText(fd: number, text: string, addr: SockaddrIn | null = null, flags = 0): number {
  return sendto(fd, bytes(text), 0, text.length, flags, addr);
}

/** The next datagram as text, or the negative errno. */
function recvText(fd: number, flags = 0): string | number {
  const n = recvfrom(fd, buffer, 0, buffer.length, flags, from);
  return n < 0 ? n : Buffer.from(buffer.subarray(0, n)).toString("latin1");
}

function bound(net: typeof a, addr: number, port: number): number {
  const fd = open(net, SOCK_DGRAM);
  const err = bind(fd, new SockaddrIn(addr, port));
  if (err < 0) throw new Error(`bind: ${err}`);
  return fd;
}

function portOf(fd: number): number {
  getsockname(fd, from);
  return from.port;
}

function soError(fd: number): number {
  getsockopt(fd, SOL_SOCKET, SO_ERROR, words);
  return words[0]!;
}

test.serial("echo over loopback: addresses, ports, counters", (t) => {
  bootHosts();
  const server = bound(a, 0, 7);
  const client = open(a, SOCK_DGRAM);
  const out0 = a.mib[UDP_MIB_OUTDATAGRAMS]!;
  const in0 = a.mib[UDP_MIB_INDATAGRAMS]!;
  t.is(recvText(server), -EAGAIN);
  t.is(sendText(client, "hello", new SockaddrIn(LO, 7)), 5);
  turn();
  t.is(recvText(server), "hello");
  t.is(from.addr, LO);
  t.is(from.port, portOf(client));
  t.true(from.port >= 32768 && from.port <= 60999, "autobind");
  recvText(server);
  t.is(sendText(server, "", new SockaddrIn(LO, portOf(client))), 0);
  turn();
  t.is(recvText(client), "", "an empty datagram is one");
  t.is(from.port, 7);
  t.is(a.mib[UDP_MIB_OUTDATAGRAMS]! - out0, 2);
  t.is(a.mib[UDP_MIB_INDATAGRAMS]! - in0, 2);
  finish(t);
});

test.serial("between two hosts", (t) => {
  bootHosts();
  const server = bound(b, ADDR_B, 53);
  const client = open(a, SOCK_DGRAM);
  t.is(connect(client, new SockaddrIn(ADDR_B, 53)), 0);
  t.is(getpeername(client, from), 0);
  t.is(from.addr, ADDR_B);
  getsockname(client, from);
  t.is(from.addr, ADDR_A);
  const big = new Uint8Array(1472).map((_, i) => (i * 7) & 255);
  t.is(send(client, big, 0, 1472, 0), 1472);
  turn();
  t.is(recvfrom(server, buffer, 0, 2048, 0, from), 1472);
  t.deepEqual(buffer.subarray(0, 1472), big);
  t.is(from.addr, ADDR_A);
  t.is(sendText(server, "answer", from), 6);
  const stranger = bound(b, 0, 54);
  t.is(sendText(stranger, "not for you", from), 11);
  turn();
  t.is(recvText(client), "answer");
  t.is(recvText(client), -EAGAIN, "a connected socket hears its peer only");
  turn();
  finish(t);
});

test.serial("what sendto() refuses", (t) => {
  bootHosts();
  const fd = open(a, SOCK_DGRAM);
  const odd = new SockaddrIn(ADDR_B, 7);
  odd.family = 10;
  const cases: [string, () => number, number][] = [
    ["no destination", () => sendText(fd, "x"), -EDESTADDRREQ],
    ["port 0", () => sendText(fd, "x", new SockaddrIn(ADDR_B, 0)), -EINVAL],
    ["port 65536", () => sendText(fd, "x", new SockaddrIn(ADDR_B, 65536)), -EINVAL],
    ["another family", () => sendText(fd, "x", odd), -EAFNOSUPPORT],
    ["urgent data", () => sendText(fd, "x", new SockaddrIn(ADDR_B, 7), MSG_OOB), -EOPNOTSUPP],
    ["no route", () => sendText(fd, "x", new SockaddrIn(0x0b000001, 7)), -ENETUNREACH],
    ["longer than IP allows", () => sendto(fd, new Uint8Array(65508), 0, 65508, 0, new SockaddrIn(LO, 7)), -EMSGSIZE],
    ["longer than the MTU", () => sendto(fd, buffer, 0, 1473, 0, new SockaddrIn(ADDR_B, 7)), -EMSGSIZE],
    ["broadcast without leave", () => sendText(fd, "x", new SockaddrIn(0x0a0000ff, 7)), -EACCES],
    ["limited broadcast without a default route", () => sendText(fd, "x", new SockaddrIn(-1, 7)), -ENETUNREACH],
    ["a device", () => setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, devA.ifindex), 0],
    ["limited broadcast without leave", () => sendText(fd, "x", new SockaddrIn(-1, 7)), -EACCES],
    ["no device", () => setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, 0), 0],
    ["connect: broadcast", () => connect(fd, new SockaddrIn(0x0a0000ff, 7)), -EACCES],
    ["connect: family", () => connect(fd, odd), -EAFNOSUPPORT],
    ["connect: no route", () => connect(fd, new SockaddrIn(0x0b000001, 7)), -ENETUNREACH],
    ["peer of none", () => getpeername(fd, from), -ENOTCONN],
    ["shutdown of none", () => shutdown(fd, SHUT_WR), -ENOTCONN],
    ["after shutdown", () => sendText(fd, "x", new SockaddrIn(ADDR_B, 7)), -EPIPE],
    ["shutdown: how", () => shutdown(fd, 3), -EINVAL],
    ["option of another level", () => setsockopt(fd, 6, 1, 1), -ENOPROTOOPT],
  ];
  for (const [name, call, expected] of cases) t.is(call(), expected, name);
  finish(t);
});

test.serial("bind(): addresses and ports", (t) => {
  bootHosts();
  const at = (addr: number, port: number): number => {
    const fd = open(a, SOCK_DGRAM);
    const err = bind(fd, new SockaddrIn(addr, port));
    return err < 0 ? err : 0;
  };
  const cases: [string, number, number, number][] = [
    ["any", 0, 1000, 0],
    ["own", ADDR_A, 1001, 0],
    ["loopback", LO, 1001, 0],
    ["another of 127/8", 0x7f010203, 1001, 0],
    ["broadcast", 0x0a0000ff, 1001, 0],
    ["limited broadcast", -1, 1001, 0],
    ["group", 0xe0000101, 1001, 0],
    ["any beside these", 0, 1001, -EADDRINUSE],
    ["own beside any", ADDR_A, 1000, -EADDRINUSE],
    ["own again", ADDR_A, 1001, -EADDRINUSE],
    ["the other host's", ADDR_B, 1002, -EADDRNOTAVAIL],
    ["nobody's", 0x0b000001, 1002, -EADDRNOTAVAIL],
    ["port 65536", 0, 65536, -EINVAL],
    ["port -1", 0, -1, -EINVAL],
  ];
  for (const [name, addr, port, expected] of cases) t.is(at(addr, port), expected, name);
  const fd = open(a, SOCK_DGRAM);
  const odd = new SockaddrIn(0, 5);
  odd.family = 10;
  t.is(bind(fd, odd), -EAFNOSUPPORT);
  a.ipv4.ipUnprivilegedPortStart = 1024;
  t.is(bind(fd, new SockaddrIn(0, 1023)), -EACCES);
  t.is(bind(fd, new SockaddrIn(0, 0)), 0);
  t.true(portOf(fd) >= 32768);
  t.is(bind(fd, new SockaddrIn(0, 2000)), -EINVAL, "bound already");
  a.ipv4.ipUnprivilegedPortStart = 0;
  finish(t);
});

test.serial("sharing a port: SO_REUSEADDR, SO_REUSEPORT, SO_BINDTODEVICE", (t) => {
  bootHosts();
  // options of the first, of the second, may they share?
  const cases: [number[], number[], boolean][] = [
    [[], [], false],
    [[SO_REUSEADDR], [], false],
    [[SO_REUSEADDR], [SO_REUSEADDR], true],
    [[SO_REUSEPORT], [SO_REUSEPORT], true],
    [[SO_REUSEPORT], [SO_REUSEADDR], false],
    [[SO_BINDTODEVICE], [], false],
  ];
  cases.forEach(([first, second, shared], i) => {
    const fds = [first, second].map((names) => {
      const fd = open(a, SOCK_DGRAM);
      for (const name of names) t.is(setsockopt(fd, SOL_SOCKET, name, 1), 0);
      return fd;
    });
    t.is(bind(fds[0]!, new SockaddrIn(0, 3000 + i)), 0);
    t.is(bind(fds[1]!, new SockaddrIn(0, 3000 + i)), shared ? 0 : -EADDRINUSE, `case ${i}`);
  });
  const one = open(a, SOCK_DGRAM);
  const two = open(a, SOCK_DGRAM);
  setsockopt(one, SOL_SOCKET, SO_BINDTODEVICE, 1);
  setsockopt(two, SOL_SOCKET, SO_BINDTODEVICE, 2);
  t.is(bind(one, new SockaddrIn(0, 4000)), 0);
  t.is(bind(two, new SockaddrIn(0, 4000)), 0, "on different devices");
  finish(t);
});

test.serial("when the range is used up", (t) => {
  bootHosts();
  a.ipv4.ipLocalPortRangeLow = 40000;
  a.ipv4.ipLocalPortRangeHigh = 40003;
  const ports: number[] = [];
  for (let i = 0; i < 4; i++) {
    const fd = open(a, SOCK_DGRAM);
    t.is(bind(fd, new SockaddrIn(0, 0)), 0);
    ports.push(portOf(fd));
  }
  t.deepEqual([...ports].sort(), [40000, 40001, 40002, 40003]);
  const fd = open(a, SOCK_DGRAM);
  t.is(bind(fd, new SockaddrIn(0, 0)), -EADDRINUSE);
  t.is(sendText(fd, "x", new SockaddrIn(LO, 1)), -EAGAIN);
  t.is(connect(fd, new SockaddrIn(LO, 1)), -EAGAIN);
  finish(t);
});

test.serial("the socket that fits best gets the datagram", (t) => {
  bootHosts();
  const make = (addr: number, dev: number): number => {
    const fd = open(b, SOCK_DGRAM);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (dev !== 0) t.is(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, dev), 0);
    t.is(bind(fd, new SockaddrIn(addr, 500)), 0);
    return fd;
  };
  const sender = bound(a, ADDR_A, 600);
  const peers: [string, number][] = [];
  const expectAt = (fd: number, why: string): void => {
    sendText(sender, why, new SockaddrIn(ADDR_B, 500));
    turn();
    t.is(recvText(fd), why);
    for (const [name, other] of peers) t.is(recvText(other), -EAGAIN, `${name} hears nothing: ${why}`);
    peers.push([why, fd]);
  };
  expectAt(make(0, 0), "any address");
  expectAt(make(0, devB.ifindex), "any address on the device");
  expectAt(make(ADDR_B, devB.ifindex), "address and device");
  const connected = make(ADDR_B, devB.ifindex);
  connect(connected, new SockaddrIn(ADDR_A, 600));
  expectAt(connected, "connected");
  const last = make(ADDR_B, devB.ifindex);
  connect(last, new SockaddrIn(ADDR_A, 600));
  expectAt(last, "among equals the newest");
  finish(t);
});

test.serial("SO_REUSEPORT spreads flows and keeps each on one socket", (t) => {
  bootHosts();
  const group = [0, 1, 2].map(() => {
    const fd = open(b, SOCK_DGRAM);
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    t.is(bind(fd, new SockaddrIn(0, 800)), 0);
    return fd;
  });
  const counts = [0, 0, 0];
  for (let flow = 0; flow < 30; flow++) {
    const sender = open(a, SOCK_DGRAM);
    const seen = new Set<number>();
    for (let i = 0; i < 3; i++) {
      sendText(sender, "x", new SockaddrIn(ADDR_B, 800));
      turn(2);
      group.forEach((fd, n) => {
        if (recvText(fd) === "x") {
          seen.add(n);
          counts[n]!++;
        }
      });
    }
    t.is(seen.size, 1, "one socket per flow");
    close(sender);
  }
  t.is(counts[0]! + counts[1]! + counts[2]!, 90);
  for (const count of counts) t.true(count >= 9, `each has its share: ${counts.join(" ")}`);
  finish(t);
});

test.serial("a broadcast reaches every socket that wants it, and nobody is answered with ICMP", (t) => {
  bootHosts();
  const fds = [0, 1, 2].map(() => {
    const fd = open(b, SOCK_DGRAM);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    t.is(bind(fd, new SockaddrIn(0, 67)), 0);
    return fd;
  });
  const specific = open(b, SOCK_DGRAM);
  setsockopt(specific, SOL_SOCKET, SO_REUSEADDR, 1);
  bind(specific, new SockaddrIn(ADDR_B, 67));
  const sender = bound(a, ADDR_A, 0);
  setsockopt(sender, SOL_SOCKET, SO_BROADCAST, 1);
  for (const addr of [0x0a0000ff, -1]) {
    t.is(sendText(sender, "all", new SockaddrIn(addr, 67)), 3, `to ${addr}`);
    turn();
    for (const fd of fds) t.is(recvText(fd), "all");
    t.is(recvText(specific), -EAGAIN);
  }
  const ignored = b.mib[UDP_MIB_IGNOREDMULTI]!;
  t.is(sendText(sender, "none", new SockaddrIn(0x0a0000ff, 68)), 4);
  turn();
  t.is(b.mib[UDP_MIB_IGNOREDMULTI]! - ignored, 1);
  t.is(soError(sender), 0);
  finish(t);
});

/** Has host b receive a datagram from ADDR_A:9 with the given UDP checksum and length fields. */
function inject(dport: number, text: string, check: (right: number) => number, ulen = text.length + 8): void {
  const skb = allocSkb(256)!;
  skbReserve(skb, 16);
  skbPutData(skb, new Uint8Array(28));
  skbPutData(skb, bytes(text));
  const ip = skb.data;
  memView.setUint16(ip, 0x4500);
  memView.setUint16(ip + 2, 28 + text.length);
  mem8[ip + 8] = 64;
  mem8[ip + 9] = 17;
  memView.setInt32(ip + 12, ADDR_A);
  memView.setInt32(ip + 16, ADDR_B);
  memView.setUint16(ip + 10, ipFastCsum(ip, 5));
  memView.setUint16(ip + 20, 9);
  memView.setUint16(ip + 22, dport);
  memView.setUint16(ip + 24, ulen);
  const length = text.length + 8;
  memView.setUint16(ip + 26, check(csumTcpudpMagic(ADDR_A, ADDR_B, length, 17, csumPartial(ip + 20, length))));
  skb.nh = skb.mac = ip;
  skb.dev = devB;
  skb.protocol = ETH_P_IP;
  skb.ipSummed = CHECKSUM_NONE;
  netifRx(skb);
  turn();
}

test.serial("checksums and lengths on receipt", (t) => {
  bootHosts();
  const fd = bound(b, 0, 99);
  const count = (): number[] => [UDP_MIB_INERRORS, UDP_MIB_CSUMERRORS, UDP_MIB_NOPORTS].map((i) => b.mib[i]!);
  t.deepEqual(count(), [0, 0, 0]);
  inject(99, "right", (sum) => sum);
  t.is(recvText(fd), "right");
  inject(99, "none", () => 0);
  t.is(recvText(fd), "none", "0 means the sender made none");
  inject(99, "wrong", (sum) => sum ^ 0x100);
  t.is(recvText(fd), -EAGAIN);
  t.deepEqual(count(), [1, 1, 0]);
  inject(98, "wrong, and no socket", (sum) => sum ^ 1);
  t.deepEqual(count(), [2, 2, 0]);
  inject(98, "no socket", (sum) => sum);
  t.deepEqual(count(), [2, 2, 1]);
  inject(99, "longer than the packet", () => 0, 100);
  inject(99, "shorter than its header", () => 0, 7);
  t.deepEqual(count(), [4, 2, 1]);
  inject(99, "with padding behind", () => 0, 8 + 4);
  t.is(recvText(fd), "with");
  t.is(recvText(fd), -EAGAIN);
  finish(t);
});

test.serial("SO_NO_CHECK sends without a checksum", (t) => {
  bootHosts();
  const sums: number[] = [];
  const server = bound(b, 0, 99);
  const xmit = devB.peer!.ops.ndoStartXmit;
  devB.peer!.ops = {
    ...devB.peer!.ops,
    ndoStartXmit(skb, dev) {
      if (mem8[skb.data + 14 + 9] === 17) sums.push(memView.getUint16(skb.data + 14 + 26));
      return xmit(skb, dev);
    },
  };
  const client = open(a, SOCK_DGRAM);
  sendText(client, "summed", new SockaddrIn(ADDR_B, 99));
  setsockopt(client, SOL_SOCKET, SO_NO_CHECK, 1);
  sendText(client, "plain", new SockaddrIn(ADDR_B, 99));
  turn();
  t.is(recvText(server), "summed");
  t.is(recvText(server), "plain");
  t.is(sums.length, 2);
  t.not(sums[0], 0);
  t.is(sums[1], 0);
  finish(t);
});

test.serial("a full receive buffer drops and counts", (t) => {
  bootHosts();
  const server = bound(a, 0, 7);
  setsockopt(server, SOL_SOCKET, SO_RCVBUF, 1);
  getsockopt(server, SOL_SOCKET, SO_RCVBUF, words);
  t.is(words[0], 1536 + 512, "room for one packet");
  const client = open(a, SOCK_DGRAM);
  for (const text of ["one", "two", "three"]) sendText(client, text, new SockaddrIn(LO, 7));
  turn();
  t.is(a.mib[UDP_MIB_RCVBUFERRORS], 2);
  t.is(a.mib[UDP_MIB_INERRORS], 2);
  t.is(recvText(server), "one");
  t.is(recvText(server), -EAGAIN);
  sendText(client, "four", new SockaddrIn(LO, 7));
  turn();
  t.is(recvText(server), "four", "reading makes room");
  finish(t);
});

test.serial("port unreachable reaches the connected socket once", (t) => {
  bootHosts();
  const client = open(a, SOCK_DGRAM);
  connect(client, new SockaddrIn(ADDR_B, 9));
  const provoke = (): void => {
    t.is(sendText(client, "x"), 1);
    turn(2000);
  };
  provoke();
  t.is(b.mib[UDP_MIB_NOPORTS], 1);
  t.is(recvText(client), -ECONNREFUSED);
  t.is(recvText(client), -EAGAIN, "only once");
  provoke();
  t.is(sendText(client, "x"), -ECONNREFUSED);
  provoke();
  t.is(soError(client), ECONNREFUSED);
  t.is(soError(client), 0);
  const loose = open(a, SOCK_DGRAM);
  t.is(sendText(loose, "x", new SockaddrIn(ADDR_B, 9)), 1);
  turn(2000);
  t.is(soError(loose), 0, "a socket without a peer is not told");
  finish(t, 3000);
});

test.serial("IP_RECVERR: the error queue", (t) => {
  bootHosts();
  const client = open(a, SOCK_DGRAM);
  t.is(setsockopt(client, SOL_IP, IP_RECVERR, 1), 0);
  t.is(recvText(client, MSG_ERRQUEUE), -EAGAIN);
  t.is(sendText(client, "lost", new SockaddrIn(ADDR_B, 9)), 4);
  turn(2000);
  const fds = [new Pollfd(client, POLLIN)];
  poll(fds, 1);
  t.is(fds[0]!.revents, EPOLLERR);
  const msg = new Msghdr();
  msg.control = new Int32Array(16);
  msg.name = new SockaddrIn();
  msgSetBuffer(msg, buffer, 0, 100);
  t.is(recvmsg(client, msg, MSG_ERRQUEUE), 4);
  t.is(Buffer.from(buffer.subarray(0, 4)).toString(), "lost");
  t.is(msg.flags, MSG_ERRQUEUE);
  t.is((msg.name as SockaddrIn).addr, ADDR_B);
  t.is((msg.name as SockaddrIn).port, 9);
  t.deepEqual([...msg.control.subarray(0, msg.controllen)],
    [SOL_IP, IP_RECVERR, 7, ECONNREFUSED, 2, 3, 3, 0, 0, ADDR_B]);
  t.is(soError(client), 0);
  sendText(client, "left behind", new SockaddrIn(ADDR_B, 9));
  turn(2000);
  finish(t);
});

test.serial("MSG_PEEK and MSG_TRUNC", (t) => {
  bootHosts();
  const server = bound(a, 0, 7);
  const client = open(a, SOCK_DGRAM);
  sendText(client, "0123456789", new SockaddrIn(LO, 7));
  sendText(client, "next", new SockaddrIn(LO, 7));
  turn();
  t.is(recvText(server, MSG_PEEK), "0123456789");
  t.is(recv(server, buffer, 0, 4, MSG_PEEK | MSG_TRUNC), 10);
  t.is(recv(server, buffer, 5, 4, MSG_PEEK), 4);
  t.is(Buffer.from(buffer.subarray(5, 9)).toString(), "0123");
  words[0] = 0;
  t.is(ioctl(server, SIOCINQ, words), 0);
  t.is(words[0], 10);
  const msg = new Msghdr();
  msgSetBuffer(msg, buffer, 0, 3);
  t.is(recvmsg(server, msg, 0), 3);
  t.is(msg.flags, MSG_TRUNC);
  t.is(recvText(server), "next", "the rest of a datagram is gone");
  ioctl(server, SIOCINQ, words);
  t.is(words[0], 0);
  t.is(ioctl(client, SIOCOUTQ, words), 0);
  t.is(words[0], 0);
  finish(t);
});

test.serial("sendmsg() and recvmsg() with several buffers and control messages", (t) => {
  bootHosts();
  const server = bound(b, 0, 7);
  for (const name of [IP_PKTINFO, IP_RECVTTL, IP_RECVTOS]) t.is(setsockopt(server, SOL_IP, name, 1), 0);
  t.is(setsockopt(server, SOL_SOCKET, SO_TIMESTAMP, 1), 0);
  const client = open(a, SOCK_DGRAM);
  const msg = new Msghdr();
  msg.name = new SockaddrIn(ADDR_B, 7);
  for (const [i, part] of ["ab", "", "cdef"].entries()) {
    msg.iovBase[i] = bytes(part);
    msg.iovOffset[i] = 0;
    msg.iovLength[i] = part.length;
  }
  msg.iovlen = 3;
  msg.control = Int32Array.of(SOL_IP, IP_TTL, 1, 9, SOL_IP, IP_TOS, 1, 0x10, SOL_IP, IP_PKTINFO, 3, 0, ADDR_A, 0);
  msg.controllen = msg.control.length;
  t.is(sendmsg(client, msg, 0), 6);
  turn();
  const got = new Msghdr();
  got.name = new SockaddrIn();
  got.iovBase[0] = buffer;
  got.iovOffset[0] = 100;
  got.iovLength[0] = 3;
  got.iovBase[1] = buffer;
  got.iovOffset[1] = 200;
  got.iovLength[1] = 10;
  got.iovlen = 2;
  got.control = new Int32Array(32);
  t.is(recvmsg(server, got, MSG_PEEK), 6);
  t.is(Buffer.from(buffer.subarray(100, 103)).toString(), "abc");
  t.is(Buffer.from(buffer.subarray(200, 203)).toString(), "def");
  t.is((got.name as SockaddrIn).addr, ADDR_A);
  const control = [...got.control.subarray(0, got.controllen)];
  t.deepEqual(control.slice(0, 3), [SOL_SOCKET, SCM_TIMESTAMP, 2]);
  t.is(control[3], 1, "1.1 s after the clock's start");
  t.deepEqual(control.slice(5),
    [SOL_IP, IP_PKTINFO, 3, devB.ifindex, ADDR_B, ADDR_B, SOL_IP, IP_TTL, 1, 9, SOL_IP, IP_TOS, 1, 0x10]);
  got.control = new Int32Array(12);
  t.is(recvmsg(server, got, 0), 6);
  t.is(got.flags, MSG_CTRUNC);
  for (const bad of [[SOL_IP, IP_TTL, 1, 0], [SOL_IP, IP_TTL, 1, 256], [SOL_IP, IP_TOS, 1, 256], [SOL_IP, 77, 1, 1],
    [SOL_IP, IP_TTL, 2, 1], [SOL_IP, IP_TTL], [SOL_IP, IP_PKTINFO, 1, 1], [SOL_SOCKET, 1, 1, 1], [SOL_IP, IP_TTL, 0]]) {
    msg.control = Int32Array.from(bad);
    msg.controllen = bad.length;
    t.is(sendmsg(client, msg, 0), -EINVAL, bad.join(" "));
  }
  msg.control = Int32Array.of(SOL_IP, IP_PKTINFO, 3, 0, ADDR_B, 0);
  msg.controllen = 6;
  t.is(sendmsg(client, msg, 0), -ENETUNREACH, "a source that is not ours");
  finish(t);
});

test.serial("the address to answer a broadcast from", (t) => {
  bootHosts();
  const server = bound(b, 0, 7);
  setsockopt(server, SOL_IP, IP_PKTINFO, 1);
  const client = bound(a, ADDR_A, 0);
  setsockopt(client, SOL_SOCKET, SO_BROADCAST, 1);
  sendText(client, "x", new SockaddrIn(-1, 7));
  turn();
  const got = new Msghdr();
  msgSetBuffer(got, buffer, 0, 10);
  got.control = new Int32Array(6);
  t.is(recvmsg(server, got, 0), 1);
  t.deepEqual([...got.control], [SOL_IP, IP_PKTINFO, 3, devB.ifindex, ADDR_B, -1]);
  finish(t);
});

test.serial("corking: MSG_MORE and UDP_CORK make one datagram", (t) => {
  bootHosts();
  const server = bound(b, 0, 7);
  const client = open(a, SOCK_DGRAM);
  const to = new SockaddrIn(ADDR_B, 7);
  t.is(sendText(client, "one ", to, MSG_MORE), 4);
  t.is(sendText(client, "two ", new SockaddrIn(ADDR_B, 8), MSG_MORE), 4, "the destination is the first one's");
  turn();
  t.is(recvText(server), -EAGAIN);
  t.is(sendText(client, "three", to), 5);
  turn();
  t.is(recvText(server), "one two three");
  t.is(setsockopt(client, SOL_UDP, UDP_CORK, 1), 0);
  t.is(getsockopt(client, SOL_UDP, UDP_CORK, words), 1);
  t.is(words[0], 1);
  sendText(client, "a", to);
  sendText(client, "b", to);
  turn();
  t.is(recvText(server), -EAGAIN);
  t.is(setsockopt(client, SOL_UDP, UDP_CORK, 0), 0);
  turn();
  t.is(recvText(server), "ab");
  t.is(sendText(client, "lost", to, MSG_MORE), 4);
  t.is(sendto(client, buffer, 0, 1470, 0, to), -EMSGSIZE, "beyond the MTU all of it is dropped");
  t.is(sendText(client, "new", to), 3);
  turn();
  t.is(recvText(server), "new");
  t.is(sendText(client, "never sent", to, MSG_MORE), 10);
  finish(t);
});

test.serial("connect, disconnect, connect elsewhere", (t) => {
  bootHosts();
  const fd = open(a, SOCK_DGRAM);
  const none = new SockaddrIn();
  sockaddrClear(none);
  t.is(none.family, AF_UNSPEC);
  t.is(getsockopt(fd, SOL_IP, IP_MTU, words), -ENOTCONN);
  t.is(connect(fd, new SockaddrIn(ADDR_B, 7)), 0);
  t.is(getsockopt(fd, SOL_IP, IP_MTU, words), 1);
  t.is(words[0], 1500);
  const port = portOf(fd);
  t.is(connect(fd, none), 0);
  t.is(getpeername(fd, from), -ENOTCONN);
  getsockname(fd, from);
  t.is(from.addr, 0);
  t.is(from.port, 0, "a port that bind() did not fix is given back");
  const other = bound(a, 0, port);
  t.is(sendText(fd, "x"), -EDESTADDRREQ);
  t.is(connect(fd, new SockaddrIn(LO, 7)), 0);
  getsockname(fd, from);
  t.is(from.addr, LO);
  t.is(connect(fd, new SockaddrIn(LO, 8)), 0, "without disconnecting first");
  getpeername(fd, from);
  t.is(from.port, 8);
  const fixed = bound(a, ADDR_A, 900);
  connect(fixed, new SockaddrIn(ADDR_B, 7));
  connect(fixed, none);
  getsockname(fixed, from);
  t.deepEqual([from.addr, from.port], [ADDR_A, 900]);
  t.is(portOf(other), port);
  finish(t);
});

test.serial("shutdown and readiness", (t) => {
  bootHosts();
  const ep = epollCreate1(0);
  const events = new Int32Array(4);
  const fd = open(a, SOCK_DGRAM);
  bind(fd, new SockaddrIn(LO, 7));
  connect(fd, new SockaddrIn(LO, 7));
  epollCtl(ep, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP, 5);
  t.is(epollWait(ep, events, 2), 1);
  t.is(events[0], EPOLLOUT);
  sendText(fd, "to myself");
  turn();
  epollWait(ep, events, 2);
  t.is(events[0], EPOLLIN | EPOLLOUT);
  t.is(recvText(fd), "to myself");
  t.is(shutdown(fd, SHUT_RD), 0);
  epollWait(ep, events, 2);
  t.is(events[0], EPOLLIN | EPOLLOUT | EPOLLRDHUP);
  t.is(recvText(fd), "");
  t.is(recvText(fd, MSG_DONTWAIT), -EAGAIN);
  t.is(shutdown(fd, SHUT_RDWR), 0);
  epollWait(ep, events, 2);
  t.is(events[0], EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP);
  t.is(sendText(fd, "x"), -EPIPE);
  close(ep);
  finish(t);
});

test.serial("a full send buffer: EAGAIN, then EPOLLOUT", (t) => {
  bootHosts();
  const client = open(a, SOCK_DGRAM);
  setsockopt(client, SOL_SOCKET, SO_SNDBUF, 0);
  getsockopt(client, SOL_SOCKET, SO_SNDBUF, words);
  t.is(words[0], 2 * (1536 + 512));
  const ep = epollCreate1(0);
  const events = new Int32Array(4);
  epollCtl(ep, EPOLL_CTL_ADD, client, EPOLLOUT | EPOLLET, 5);
  t.is(epollWait(ep, events, 2), 1);
  // Nobody answers ARP for this address: the packets wait for the neighbour.
  const to = new SockaddrIn(0x0a000063, 7);
  t.is(sendText(client, "1", to), 1);
  t.is(sendText(client, "2", to), 1);
  t.is(sendText(client, "3", to), -EAGAIN);
  const fds = [new Pollfd(client, POLLOUT)];
  t.is(poll(fds, 1), 0);
  t.is(epollWait(ep, events, 2), 0);
  ioctl(client, SIOCOUTQ, words);
  t.is(words[0], 2 * (1536 + 512));
  turn(5000);
  t.is(epollWait(ep, events, 2), 1, "given up, they make room");
  t.true((events[0]! & EPOLLOUT) !== 0);
  soError(client);
  t.is(sendText(client, "4", to), 1);
  close(ep);
  finish(t, 10000);
});

test.serial("closed with packets on their way and unread", (t) => {
  bootHosts();
  const server = bound(b, 0, 7);
  const client = open(a, SOCK_DGRAM);
  for (let i = 0; i < 5; i++) sendText(client, "unread", new SockaddrIn(ADDR_B, 7));
  sendText(client, "waits for ARP", new SockaddrIn(0x0a000063, 7));
  close(client);
  turn();
  close(server);
  finish(t, 10000);
});

test.serial("every way to send, or to fail to, gives its route back", (t) => {
  bootHosts();
  const routes = (): number => {
    let inUse = -1;
    poolForEach((pool) => {
      if (pool.name === "ip_dst_cache") inUse = pool.inUse;
    });
    return inUse;
  };
  const round = (): void => {
    const fd = open(a, SOCK_DGRAM);
    sendText(fd, "x", new SockaddrIn(ADDR_B, 7));
    sendText(fd, "x", new SockaddrIn(-1, 7));
    sendText(fd, "x", new SockaddrIn(0x0a0000ff, 7));
    sendto(fd, buffer, 0, 1500, 0, new SockaddrIn(ADDR_B, 7));
    connect(fd, new SockaddrIn(0x0a0000ff, 7));
    connect(fd, new SockaddrIn(ADDR_B, 7));
    connect(fd, new SockaddrIn(LO, 7));
    sendText(fd, "x");
    sendText(fd, "x", new SockaddrIn(ADDR_B, 7), MSG_MORE);
    setsockopt(fd, SOL_SOCKET, SO_BROADCAST, 1);
    sendText(fd, "x", new SockaddrIn(0x0a0000ff, 7));
    shutdown(fd, SHUT_WR);
    sendText(fd, "x", new SockaddrIn(ADDR_B, 7));
    close(fd);
    turn(5);
  };
  for (let i = 0; i < 5; i++) round();
  const before = routes();
  t.true(before >= 0);
  for (let i = 0; i < 50; i++) round();
  t.is(routes(), before);
  finish(t);
});

test.serial("when packets run out sending fails and recovers", (t) => {
  bootHosts({ buffers: 8, skbs: 12 });
  const server = bound(a, 0, 7);
  const client = open(a, SOCK_DGRAM);
  const results: number[] = [];
  for (let i = 0; i < 12; i++) results.push(sendText(client, "x", new SockaddrIn(LO, 7)));
  turn();
  t.true(results.includes(1));
  t.true(results.some((n) => n < 0));
  let read = 0;
  while (recvText(server) === "x") read++;
  t.is(read, results.filter((n) => n === 1).length);
  t.is(sendText(client, "again", new SockaddrIn(LO, 7)), 5);
  turn();
  t.is(recvText(server), "again");
  finish(t);
});
