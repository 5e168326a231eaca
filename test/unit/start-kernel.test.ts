/** A kernel of UDP and nothing else, as a board's program starts it: two hosts find each other, and what it does without says so. */
import test from "ava";
import {
  bind, close, createNet, AF_INET, devGetByName, devOpen, EAGAIN, initNet, inetAddAddress, type Net, poolsInUse, recvfrom, sendto, SOCK_DGRAM, SOCK_NONBLOCK,
  SockaddrIn, vethCreate, IPPROTO_ICMP,
} from "../../src/index.ts";
import { ping } from "../../src/raw.ts";
import { startKernel } from "../../src/start-kernel.ts";
import { udp } from "../../src/udp.ts";
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
