/** Hours and days of virtual time: what is rare in a minute comes round, and the clock wraps. */
import test from "ava";
import { EAGAIN } from "../../src/uapi/errno.ts";
import { SOCK_DGRAM } from "../../src/uapi/socket.ts";
import { LINUX_MIB_TCPKEEPALIVE } from "../../src/uapi/snmp.ts";
import { isIcmp } from "../lib/check.ts";
import { ascii, ETHER_ARP, parseFrame } from "../lib/frames.ts";
import { Transfer, World } from "./world.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** A World runs its clock that long before a test begins. */
const WARM_UP_MS = 3000;
const buffer = new Uint8Array(2000);

test.serial("a day of idle keepalive: a probe each two hours, and the connection still carries data", (t) => {
  const world = new World({ wire: { delayMs: 10 } });
  const { kernel } = world.board;
  const { client, server } = world.pair(world.host);
  t.is(kernel.setsockopt(server.fd, kernel.SOL_SOCKET, kernel.SO_KEEPALIVE, 1), 0);
  world.runFor(DAY_MS + 1000);
  t.is(kernel.mib(LINUX_MIB_TCPKEEPALIVE), 12);
  world.finish([new Transfer(client, server, 10_000), new Transfer(server, client, 10_000)]);
  world.settle(t);
});

for (const days of [20, 26, 45, 60]) {
  test.serial(`a connection idle for ${days} days still carries data, beyond what timestamps and jiffies can tell`, (t) => {
    const world = new World({ wire: { delayMs: 10 } });
    const { client, server } = world.pair(world.host);
    world.finish([new Transfer(client, server, 10_000), new Transfer(server, client, 10_000)]);
    world.runFor(days * DAY_MS);
    const start = world.nowMs;
    world.finish([new Transfer(client, server, 10_000), new Transfer(server, client, 10_000)]);
    t.true(world.nowMs - start < 2000, `${world.nowMs - start} ms`);
    world.settle(t);
  });
}

for (const [name, wrap] of [["2^31", 2 ** 31], ["2^32", 2 ** 32]] as const) {
  for (const before of [0, 50, 900]) {
    test.serial(`the clock passes ${name} ${before} ms into a transfer with losses`, (t) => {
      const world = new World({ startMs: wrap - WARM_UP_MS - before, wire: { delayMs: 20, loss: 0.03 }, seed: before });
      const { client, server } = world.pair(world.host);
      world.finish([new Transfer(client, server, 60_000), new Transfer(server, client, 60_000)], 120_000);
      world.settle(t);
    });
  }

  test.serial(`timers that are armed before ${name} and due behind it`, (t) => {
    const world = new World({ startMs: wrap - WARM_UP_MS - 500, neighbours: false, wire: { delayMs: 1 } });
    const { kernel } = world.board;
    const { client, server } = world.pair(world.host);
    world.finish([new Transfer(client, server, 2000)]);
    kernel.close(server.fd);
    client.kernel.close(client.fd);
    world.runFor(10);
    t.is(kernel.inUse().get("tw_sock_TCP"), 1);
    world.setLoss(1);
    const { fd } = world.connect(world.board, 80);
    const start = world.nowMs;
    world.runFor(59_000);
    t.is(kernel.inUse().get("tw_sock_TCP"), 1);
    world.runFor(2500);
    t.is(kernel.inUse().get("tw_sock_TCP"), 0);
    let err = -EAGAIN;
    world.runUntil("the SYN given up", () => (err = kernel.recv(fd, buffer, 0, 1, 0)) !== -EAGAIN);
    t.true(err < 0 && world.nowMs - start < 134_000, `${err} after ${world.nowMs - start} ms`);
    world.setLoss(0);
    const again = world.pair(world.board, 81);
    world.finish([new Transfer(again.client, again.server, 2000)]);
    world.settle(t);
  });
}

test.serial("three days of a datagram each ten minutes: the neighbour is asked again and again, and never lost", (t) => {
  const world = new World({ neighbours: false, wire: { delayMs: 1 } });
  let requests = 0;
  world.wire.observers.push((bytes, port) => {
    const frame = parseFrame(bytes);
    if (frame.type === ETHER_ARP && frame.arp!.op === 1 && port.name === "eth0") requests++;
  });
  const { kernel } = world.board;
  const host = world.host.kernel;
  const echo = world.socket(world.host, SOCK_DGRAM);
  t.is(host.bind(echo, new host.SockaddrIn(0, 7)), 0);
  const from = new host.SockaddrIn();
  world.addStep(() => {
    const n = host.recvfrom(echo, buffer, 0, 100, 0, from);
    return n > 0 && host.sendto(echo, buffer, 0, n, 0, from) === n;
  });
  const fd = world.socket(world.board, SOCK_DGRAM);
  const to = new kernel.SockaddrIn(world.host.addr, 7);
  for (let i = 0; i < 3 * 144; i++) {
    t.is(kernel.sendto(fd, buffer, 0, 10, 0, to), 10);
    world.runFor(1000);
    t.is(kernel.recv(fd, buffer, 0, 100, 0), 10);
    world.runFor(599_000);
  }
  t.true(requests > 100 && requests < 3000, `${requests} requests`);
  t.true(kernel.inUse().get("arp_cache")! <= 1);
  world.settle(t);
});

test.serial("a day of mixed traffic over a line that is bad every third hour", (t) => {
  const world = new World({ board: { preset: "small" }, peers: ["p"], wire: { delayMs: 8 } });
  const { kernel } = world.board;
  const p = world.peer();
  const udp = world.socket(world.board, SOCK_DGRAM);
  t.is(kernel.bind(udp, new kernel.SockaddrIn(0, 53)), 0);
  const long = world.pair(world.host, 79);
  const before = [world.board, world.host].map((machine) => JSON.stringify([...machine.kernel.inUse()]));
  for (let hour = 0; hour < 24; hour++) {
    world.setLoss(hour % 3 === 2 ? 0.1 : 0);
    world.finish([new Transfer(long.client, long.server, 3000), new Transfer(long.server, long.client, 3000)]);
    for (let i = 0; i < 4; i++) {
      const { client, server } = world.pair(i % 2 === 0 ? world.host : world.board, 80 + i);
      world.finish([new Transfer(client, server, 5000), new Transfer(server, client, 20_000)]);
      const [first, second] = i < 2 ? [client, server] : [server, client];
      first.kernel.close(first.fd);
      world.runFor(100);
      second.kernel.close(second.fd);
      p.sendUdp(1000, 53, ascii("question"));
      p.sendUdp(1000, 54, ascii("nobody there"));
      world.runFor(10_000);
      const n = kernel.recv(udp, buffer, 0, 100, 0);
      if (hour % 3 !== 2) t.is(n, 8);
      p.drain();
      if (hour % 3 === 2) continue;
      p.sendIcmp(8, 0, i, ascii("ping"));
      p.expect(isIcmp({ type: 0, rest: i }));
    }
    world.setLoss(0);
    world.runFor(HOUR_MS / 2);
    while (kernel.recv(udp, buffer, 0, 100, 0) > 0);
    t.deepEqual([world.board, world.host].map((machine) => JSON.stringify([...machine.kernel.inUse()])), before, `hour ${hour}`);
  }
  world.settle(t);
});
