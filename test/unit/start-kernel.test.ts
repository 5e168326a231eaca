/** A kernel of UDP and nothing else, as a board's program starts it: two hosts find each other, and what it does without says so. */
import test from "ava";
import {
  AF_INET, bind, close, connect, createNet, devGetByName, devOpen, EAGAIN, EINVAL, ENOBUFS, ENODEV, ENOPROTOOPT, ESRCH, getsockname, getsockopt,
  inetAddAddress, initNet, IP_MTU_DISCOVER, IP_PKTINFO, IP_PMTUDISC_DONT, IP_RECVERR, IP_TOS, IP_TTL, IPPROTO_ICMP, ipRouteAdd, ipRouteDel,
  MSG_ERRQUEUE, Msghdr, msgSetBuffer, type Net, poolsInUse, recvfrom, sendmsg, sendto, setsockopt, SO_BINDTODEVICE, SO_BROADCAST, SO_ERROR,
  SO_KEEPALIVE, SO_LINGER, SO_RCVBUF, SO_REUSEADDR, SO_TIMESTAMP, SOCK_DGRAM, SOCK_NONBLOCK, SockaddrIn, SOL_IP, SOL_SOCKET, vethCreate,
} from "../../src/index.ts";
import { advancedRouter } from "../../src/advanced-router.ts";
import { ping } from "../../src/raw.ts";
import { socketControl } from "../../src/socket-control.ts";
import { startKernel } from "../../src/start-kernel.ts";
import { udp } from "../../src/udp.ts";
import { FibConfig, fibConfigAddNexthop } from "../../src/stack/ipv4/fib-config.ts";
import { fibTableDelete, fibTableInsert } from "../../src/stack/ipv4/fib-frontend.ts";
import { NLM_F_CREATE } from "../../src/uapi/netlink.ts";
import { RT_TABLE_MAIN } from "../../src/uapi/rtnetlink.ts";
import { socketIn } from "../../src/stack/socket/socket.ts";

let now = 0;
const hal = { now: () => now, entropy: (into: Uint8Array) => void into.fill(3), wake: () => undefined };
const HERE = 0x0a000001;
const THERE = 0x0a000002;

function turns(other: Net, count = 8): void {
  for (let i = 0; i < count; i++) {
    now += 1;
    initNet.poll();
    other.poll();
  }
}

/** Another host on the wire. */
function neighbour(): Net {
  const other = createNet();
  vethCreate(initNet, "eth0", other, "eth0");
  for (const [net, addr] of [[initNet, HERE], [other, THERE]] as const) {
    const dev = devGetByName(net, "eth0")!;
    devOpen(dev);
    inetAddAddress(net, dev, addr, 24);
  }
  return other;
}

test.serial("two hosts with UDP alone: ARP, datagrams both ways, echo", (t) => {
  startKernel({ hal, initcalls: [udp, ping] });
  const other = neighbour();
  const inUse = poolsInUse();
  const from = new SockaddrIn();
  const into = new Uint8Array(64);
  const here = socketIn(initNet, AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  const there = socketIn(other, AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  t.is(bind(here, new SockaddrIn(0, 1000)), 0);
  t.is(bind(there, new SockaddrIn(THERE, 2000)), 0);
  t.is(sendto(here, Uint8Array.of(1, 2, 3), 0, 3, 0, new SockaddrIn(THERE, 2000)), 3);
  turns(other);
  t.is(recvfrom(there, into, 0, 64, 0, from), 3);
  t.deepEqual([from.addr, from.port], [HERE, 1000]);
  t.is(sendto(there, Uint8Array.of(4, 5), 0, 2, 0, from), 2);
  turns(other);
  t.is(recvfrom(here, into, 0, 64, 0, from), 2);
  t.deepEqual([from.addr, from.port], [THERE, 2000]);
  t.is(recvfrom(here, into, 0, 64, 0, from), -EAGAIN);

  const echo = socketIn(initNet, AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, IPPROTO_ICMP);
  t.is(sendto(echo, Uint8Array.of(8, 0, 0, 0, 0, 0, 0, 1, 42), 0, 9, 0, new SockaddrIn(THERE, 0)), 9);
  turns(other);
  t.is(recvfrom(echo, into, 0, 64, 0, from), 9);
  t.deepEqual([into[0], into[8], from.addr], [0, 42, THERE]);
  for (const fd of [here, there, echo]) close(fd);
  t.true(poolsInUse() <= inUse + 2, "the two neighbours, and nothing else");
});

test.serial("what UDP alone does without: a route has one next hop, of two default routes the first is taken, and routers may make pieces", (t) => {
  startKernel({ hal, initcalls: [udp, socketControl] });
  neighbour();
  const { ifindex } = devGetByName(initNet, "eth0")!;
  const cfg = Object.assign(new FibConfig(), { dst: 0x0b000000, dstLen: 8, gw: THERE, nlflags: NLM_F_CREATE });
  t.is(fibConfigAddNexthop(cfg, ifindex, THERE, 0, 1), -ENOBUFS);
  t.is(fibTableInsert(initNet, Object.assign(cfg, { table: 7 })), -ENOBUFS);
  t.is(fibTableInsert(initNet, Object.assign(cfg, { table: RT_TABLE_MAIN })), 0);
  t.is(fibTableDelete(initNet, cfg), 0);
  t.throws(() => startKernel({ hal, initcalls: [udp, advancedRouter] }), { message: /advanced_router needs fib_trie/ });
  startKernel({ hal, initcalls: [udp, socketControl] });
  neighbour();
  t.is(ipRouteAdd(initNet, 0, 0, THERE, 0, 1), 0);
  t.is(ipRouteAdd(initNet, 0, 0, THERE + 1, 0, 2), 0);
  const fd = socketIn(initNet, AF_INET, SOCK_DGRAM, 0);
  const value = new Int32Array(1);
  t.is(getsockopt(fd, SOL_IP, IP_MTU_DISCOVER, value), 1);
  t.is(value[0], IP_PMTUDISC_DONT);
  t.is(connect(fd, new SockaddrIn(0x08080808, 53)), 0);
  const local = new SockaddrIn();
  t.is(getsockname(fd, local), 0);
  t.is(local.addr, HERE);
  close(fd);
  t.is(ipRouteDel(initNet, 0, 0, THERE, 0, 1), 0);
  t.is(ipRouteDel(initNet, 0, 0, THERE + 1, 0, 2), 0);
  t.is(ipRouteDel(initNet, 0, 0, THERE + 1, 0, 2), -ESRCH);
});

test.serial("without socketControl: what ECMA-419's classes set is there, all else is ENOPROTOOPT, and no control message is sent", (t) => {
  startKernel({ hal, initcalls: [udp] });
  neighbour();
  const value = new Int32Array(2);
  const fd = socketIn(initNet, AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  for (const option of [SO_REUSEADDR, SO_BROADCAST, SO_KEEPALIVE]) t.is(setsockopt(fd, SOL_SOCKET, option, 1), 0);
  t.is(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, devGetByName(initNet, "eth0")!.ifindex), 0);
  t.is(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, 99), -ENODEV);
  t.is(setsockopt(fd, SOL_IP, IP_TTL, 9), 0);
  t.is(setsockopt(fd, SOL_IP, IP_TTL, 256), -EINVAL);
  t.is(getsockopt(fd, SOL_SOCKET, SO_ERROR, value), 1);
  for (const option of [SO_RCVBUF, SO_LINGER, SO_TIMESTAMP]) {
    t.is(setsockopt(fd, SOL_SOCKET, option, 1), -ENOPROTOOPT);
    t.is(getsockopt(fd, SOL_SOCKET, option, value), -ENOPROTOOPT);
  }
  for (const option of [IP_TOS, IP_RECVERR, IP_PKTINFO]) {
    t.is(setsockopt(fd, SOL_IP, option, 1), -ENOPROTOOPT);
    t.is(getsockopt(fd, SOL_IP, option, value), -ENOPROTOOPT);
  }
  const msg = new Msghdr();
  msgSetBuffer(msg, Uint8Array.of(1), 0, 1);
  msg.name = new SockaddrIn(THERE, 2000);
  t.is(sendmsg(fd, msg, 0), 1);
  msg.control = Int32Array.of(SOL_IP, IP_TTL, 1, 3);
  msg.controllen = 4;
  t.is(sendmsg(fd, msg, 0), -EINVAL);
  t.is(recvfrom(fd, new Uint8Array(1), 0, 1, MSG_ERRQUEUE, null), -EAGAIN);
  close(fd);
});
