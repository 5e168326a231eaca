/**
 * What a datagram socket with IP_RECVERR hears on a path of three hosts: routers that say no, and what this host itself will not
 * send; and ICMP's timestamps. a — r — b, with 1000 bytes from r on.
 */
import test, { type ExecutionContext } from "ava";
import { boot, initNet } from "../../../src/boot.ts";
import { forwarding, ipForwardSet } from "../../../src/forwarding.ts";
import { fragments } from "../../../src/fragments.ts";
import { devOpen, devSetMtu } from "../../../src/netif/dev.ts";
import { loopbackUp } from "../../../src/netif/loopback.ts";
import { vethCreate } from "../../../src/netif/veth.ts";
import { createNet, type Net } from "../../../src/stack/core/net.ts";
import { neighIfdown } from "../../../src/stack/core/neigh-table.ts";
import { arpTbl } from "../../../src/stack/ipv4/arp.ts";
import { inetAddAddress } from "../../../src/stack/ipv4/devinet.ts";
import { ipRouteAdd } from "../../../src/stack/ipv4/fib-frontend.ts";
import {
  bind, close, connect, getsockopt, Msghdr, msgSetBuffer, recv, recvmsg, send, sendto, setNs, setsockopt, SockaddrIn, socket,
} from "../../../src/stack/socket/index.ts";
import { EAGAIN, ECONNREFUSED, EHOSTUNREACH, EMSGSIZE } from "../../../src/uapi/errno.ts";
import {
  IP_MTU, IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_PMTUDISC_PROBE, IP_PMTUDISC_WANT, IP_RECVERR, IP_TTL,
} from "../../../src/uapi/in.ts";
import { AF_INET, MSG_ERRQUEUE, SOCK_DGRAM, SOL_IP } from "../../../src/uapi/socket.ts";
import { poolsInUse } from "../../../src/lib/pool.ts";
import { addDevice, addLoopback, bootIpv4, checksum, icmpMessage, ip, ipPacket, receive, shutdownIpv4 } from "./harness.ts";

const B = ip("10.0.1.2");
const R = ip("10.0.0.2");
const PORT = 7;
const ORIGIN_LOCAL = 1;
const ORIGIN_ICMP = 2;

interface Hosts {
  readonly a: Net;
  readonly b: Net;
  turn(ms?: number): void;
  finish(t: ExecutionContext): void;
}

function hosts(): Hosts {
  let clock = 1000;
  boot({
    preset: "host", buffers: 128, skbs: 256, initcalls: [fragments, forwarding],
    hal: { now: () => clock, entropy: (into) => void into.fill(9), wake: () => undefined },
  });
  const [a, r, b] = [initNet, createNet(), createNet()];
  for (const net of [r, b]) loopbackUp(net);
  const near = vethCreate(a, "eth0", r, "eth0");
  const far = vethCreate(r, "eth1", b, "eth0");
  const devs = [near, near.peer!, far, far.peer!];
  for (const dev of devs) devOpen(dev);
  devSetMtu(far, 1000);
  inetAddAddress(a, near, ip("10.0.0.1"), 24);
  inetAddAddress(r, near.peer!, R, 24);
  inetAddAddress(r, far, ip("10.0.1.1"), 24);
  inetAddAddress(b, far.peer!, B, 24);
  ipRouteAdd(a, 0, 0, R, 0);
  ipRouteAdd(b, 0, 0, ip("10.0.1.1"), 0);
  ipForwardSet(r, true);
  const turn = (ms = 50): void => {
    for (const end = clock + ms; ; clock++) {
      for (let n = 0; n < 1000 && a.poll() === 0; n++);
      if (clock >= end) return;
    }
  };
  turn();
  const before = poolsInUse();
  return {
    a,
    b,
    turn,
    finish(t) {
      turn(700_000);
      for (const dev of devs) neighIfdown(arpTbl, dev);
      t.true(poolsInUse() <= before + 8, "but for cached routes all is given back");
    },
  };
}

function open(net: Net): number {
  setNs(net);
  return socket(AF_INET, SOCK_DGRAM, 0);
}

/** The next queued error: errno, origin, type, code, info, who said so; null when there is none. */
function nextError(fd: number): number[] | null {
  const msg = new Msghdr();
  msg.control = new Int32Array(16);
  msgSetBuffer(msg, new Uint8Array(100), 0, 100);
  if (recvmsg(fd, msg, MSG_ERRQUEUE) === -EAGAIN) return null;
  const [, , , errno, origin, type, code, info, , offender] = msg.control;
  return [errno!, origin!, type!, code!, info!, offender!];
}

test.serial("errors on the path come into the queue, in order: the router's, and the far host's", (t) => {
  const { a, turn, finish } = hosts();
  const fd = open(a);
  setsockopt(fd, SOL_IP, IP_RECVERR, 1);
  connect(fd, new SockaddrIn(B, PORT));
  setsockopt(fd, SOL_IP, IP_TTL, 1);
  t.is(send(fd, new Uint8Array(10), 0, 10, 0), 10);
  turn();
  t.deepEqual(nextError(fd), [EHOSTUNREACH, ORIGIN_ICMP, 11, 0, 0, R]);
  setsockopt(fd, SOL_IP, IP_TTL, 64);
  t.is(send(fd, new Uint8Array(10), 0, 10, 0), 10);
  turn();
  t.deepEqual(nextError(fd), [ECONNREFUSED, ORIGIN_ICMP, 3, 3, 0, B]);
  t.is(nextError(fd), null);
  close(fd);
  finish(t);
});

test.serial("the path's MTU is discovered; what is longer then is this host's own error, or goes in pieces", (t) => {
  const { a, b, turn, finish } = hosts();
  const server = open(b);
  bind(server, new SockaddrIn(0, PORT));
  const fd = open(a);
  const words = new Int32Array(1);
  setsockopt(fd, SOL_IP, IP_RECVERR, 1);
  setsockopt(fd, SOL_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO);
  connect(fd, new SockaddrIn(B, PORT));
  t.is(send(fd, new Uint8Array(1400), 0, 1400, 0), 1400);
  turn();
  t.deepEqual(nextError(fd), [EMSGSIZE, ORIGIN_ICMP, 3, 4, 1000, R]);
  getsockopt(fd, SOL_IP, IP_MTU, words);
  t.is(words[0], 1000);
  t.is(send(fd, new Uint8Array(1400), 0, 1400, 0), -EMSGSIZE);
  t.deepEqual(nextError(fd), [EMSGSIZE, ORIGIN_LOCAL, 0, 0, 1000, 0]);
  t.is(send(fd, new Uint8Array(972), 0, 972, 0), 972);
  setsockopt(fd, SOL_IP, IP_MTU_DISCOVER, IP_PMTUDISC_WANT);
  t.is(send(fd, new Uint8Array(1400), 0, 1400, 0), 1400);
  turn();
  const into = new Uint8Array(2000);
  t.deepEqual([recv(server, into, 0, 2000, 0), recv(server, into, 0, 2000, 0)], [972, 1400]);
  t.is(nextError(fd), null);
  close(fd);
  close(server);
  finish(t);
});

test.serial("an error of this host names the destination, and of ports the connected peer's alone", (t) => {
  const { a, finish } = hosts();
  const fd = open(a);
  const name = new SockaddrIn();
  const msg = new Msghdr();
  msg.name = name;
  setsockopt(fd, SOL_IP, IP_RECVERR, 1);
  setsockopt(fd, SOL_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO);
  const told = (): [number, number, number] => {
    msgSetBuffer(msg, new Uint8Array(1), 0, 1);
    const count = recvmsg(fd, msg, MSG_ERRQUEUE);
    return [count, name.addr, name.port];
  };
  t.is(sendto(fd, new Uint8Array(3000), 0, 3000, 0, new SockaddrIn(B, PORT)), -EMSGSIZE);
  t.deepEqual(told(), [0, B, 0]);
  connect(fd, new SockaddrIn(B, PORT));
  t.is(send(fd, new Uint8Array(3000), 0, 3000, 0), -EMSGSIZE);
  t.deepEqual(told(), [0, B, PORT]);
  close(fd);
  finish(t);
});

test.serial("a socket that probes sends what its device takes, whatever is known of the path", (t) => {
  const { a, turn, finish } = hosts();
  const fd = open(a);
  setsockopt(fd, SOL_IP, IP_RECVERR, 1);
  connect(fd, new SockaddrIn(B, PORT));
  setsockopt(fd, SOL_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
  for (let i = 0; i < 2; i++) {
    t.is(send(fd, new Uint8Array(1400), 0, 1400, 0), 1400);
    turn();
    t.deepEqual(nextError(fd), [EMSGSIZE, ORIGIN_ICMP, 3, 4, 1000, R]);
  }
  t.is(send(fd, new Uint8Array(1473), 0, 1473, 0), -EMSGSIZE);
  close(fd);
  finish(t);
});

test.serial("net.ipv4.ip_no_pmtu_disc: what routers say of the path is believed or not", (t) => {
  for (const [mode, error] of [[0, 1000], [1, 0], [2, -1], [3, -1]] as const) {
    const { a, turn } = hosts();
    a.ipv4.ipNoPmtuDisc = mode;
    const fd = open(a);
    setsockopt(fd, SOL_IP, IP_RECVERR, 1);
    setsockopt(fd, SOL_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO);
    connect(fd, new SockaddrIn(B, PORT));
    send(fd, new Uint8Array(1400), 0, 1400, 0);
    turn();
    t.is(nextError(fd)?.[4] ?? -1, error, `mode ${mode}`);
  }
});

test.serial("a timestamp request is answered with the board's milliseconds, marked as no time of day", (t) => {
  bootIpv4();
  addLoopback();
  const eth = addDevice("eth0");
  inetAddAddress(initNet, eth, ip("10.0.0.1"), 24);
  for (const [length, answered] of [[12, true], [4, true], [3, false], [30, true]] as const) {
    const data = Uint8Array.from({ length }, (_, i) => i + 1);
    receive(eth, ipPacket({ saddr: ip("10.0.0.9"), daddr: ip("10.0.0.1"), protocol: 1, payload: icmpMessage(13, 0, 0x12340001, data) }));
    const reply = eth.sent.pop();
    t.is(reply !== undefined, answered);
    if (reply === undefined) continue;
    t.is(reply.length, 40);
    t.is(checksum(reply.subarray(20)), 0);
    t.deepEqual([...reply.subarray(20, 22), ...reply.subarray(24, 32)], [14, 0, 0x12, 0x34, 0, 1, 1, 2, 3, 4]);
    t.deepEqual([...reply.subarray(32, 40)], [0x80, 0, 0, 0, 0x80, 0, 0, 0]);
  }
  t.is(shutdownIpv4(), 0);
});
