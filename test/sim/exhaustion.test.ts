/** Boards whose packet memory runs out: nothing deadlocks, nothing leaks, and what was refused is counted. */
import test from "ava";
import type { ConfigOptions } from "../../src/index.ts";
import type { SkBuff } from "../../src/stack/core/skbuff.ts";
import { EAGAIN } from "../../src/uapi/errno.ts";
import { LINUX_MIB_TCPWINPROBE } from "../../src/uapi/snmp.ts";
import { isIcmp, isTcp } from "../lib/check.ts";
import { ascii } from "../lib/frames.ts";
import { byteAt, type End, Transfer, World, type WorldOptions } from "./world.ts";

const PORT = 80;
const TCP_NODELAY = 1;
const IPPROTO_TCP = 6;
const buffer = new Uint8Array(16384);

/** Room for a listener and two connections: what these tests are about is packet memory. */
const CONNECTIONS = { socks: 6, tcpSocks: 4, files: 6, bindBuckets: 6, requestSocks: 2, neighbours: 3 };

const BOARDS: readonly (readonly [string, WorldOptions])[] = [
  ["tiny", { board: { preset: "tiny", ...CONNECTIONS }, mtu: 576, peers: ["p"] }],
  ["small", { board: { preset: "small", ...CONNECTIONS }, peers: ["p"] }],
];

/** The board answers a ping of a stranger at once. */
function pings(world: World): void {
  const p = world.peer();
  world.runFor(1);
  p.drain();
  p.sendIcmp(8, 0, 1, ascii("still there?"));
  p.expect(isIcmp({ type: 0 }), { after: 2 * (world.wire.settings.delayMs ?? 0) });
}

function noDelay({ kernel, fd }: End): void {
  if (kernel.setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, 1) !== 0) throw new Error("TCP_NODELAY");
}

for (const [name, options] of BOARDS) {
  for (const loss of [0, 0.02]) {
    test.serial(`${name}: bulk both ways at once, ${loss * 100} % lost`, (t) => {
      const world = new World({ ...options, wire: { delayMs: 1, loss } });
      const { client, server } = world.pair(world.host);
      world.finish([new Transfer(client, server, 200_000), new Transfer(server, client, 200_000)], 3_600_000);
      world.settle(t);
    });
  }

  test.serial(`${name}: two connections, bulk both ways on both`, (t) => {
    const world = new World({ ...options, wire: { delayMs: 1 } });
    const one = world.pair(world.host, 81);
    const two = world.pair(world.board, 82);
    const transfers = [one, two].flatMap(({ client, server }) => [
      new Transfer(client, server, 60_000), new Transfer(server, client, 60_000),
    ]);
    world.finish(transfers, 3_600_000);
    world.settle(t);
  });

  test.serial(`${name}: a byte in each segment, both ways`, (t) => {
    const world = new World({ ...options, wire: { delayMs: 1 } });
    const { client, server } = world.pair(world.host);
    noDelay(client);
    noDelay(server);
    world.finish([new Transfer(client, server, 5000, 1), new Transfer(server, client, 5000, 1)], 3_600_000);
    world.settle(t);
  });

  test.serial(`${name}: a peer that sends everything but the first byte`, (t) => {
    const world = new World(options);
    const { kernel } = world.board;
    const p = world.peer();
    const listener = world.listen(world.board, PORT, 2);
    p.sendTcp({ sport: 5, dport: PORT, seq: 1000, flags: "S", options: { mss: 500 } });
    const synAck = p.expect(isTcp({ flags: "SA" })).tcp!;
    const ack = (synAck.seq + 1) >>> 0;
    p.sendTcp({ sport: 5, dport: PORT, seq: 1001, ack, flags: "A" });
    const { fd } = world.accept(listener);
    const window = synAck.window;
    for (let round = 0; round < 50; round++) {
      for (let at = 1 + round % 7; at < window; at += 37 + round) {
        const payload = Uint8Array.from({ length: Math.min(100 + round, window - at) }, (_, i) => byteAt(at + i));
        p.sendTcp({ sport: 5, dport: PORT, seq: 1001 + at, ack, flags: "A", payload });
      }
      pings(world);
    }
    t.is(kernel.recv(fd, buffer, 0, 1, 0), -EAGAIN);
    const whole = Uint8Array.from({ length: window }, (_, i) => byteAt(i));
    for (let at = 0, tries = 0; at < window && tries < 1000; tries++) {
      p.sendTcp({ sport: 5, dport: PORT, seq: 1001 + at, ack, flags: "PA", payload: whole.subarray(at, at + 400) });
      world.runFor(300);
      at = p.drain().at(-1)!.tcp!.ack - 1001;
    }
    t.is(kernel.recv(fd, buffer, 0, window, 0), window);
    t.deepEqual(buffer.subarray(0, window), whole);
    p.sendTcp({ sport: 5, dport: PORT, seq: 1001 + window, ack, flags: "R" });
    world.settle(t);
  });

  test.serial(`${name}: a peer that does not read for an hour`, (t) => {
    const world = new World({ ...options, wire: { delayMs: 1 } });
    const { client, server } = world.pair(world.host);
    const host = client.kernel;
    t.is(host.setsockopt(client.fd, host.SOL_SOCKET, host.SO_RCVBUF, 4096), 0);
    const transfer = new Transfer(server, client, 100_000_000);
    world.addStep(transfer.step);
    world.runFor(500);
    world.removeStep(transfer.step);
    // The board's program writes on; the host's reads no more.
    const write = (): boolean => {
      const n = server.kernel.send(server.fd, Uint8Array.of(byteAt(transfer.sent)), 0, 1, 0);
      if (n === 1) transfer.sent++;
      return n === 1;
    };
    world.addStep(write);
    const before = world.board.kernel.mib(LINUX_MIB_TCPWINPROBE);
    for (let minute = 0; minute < 60; minute++) {
      world.runFor(60_000);
      pings(world);
    }
    world.removeStep(write);
    const probes = world.board.kernel.mib(LINUX_MIB_TCPWINPROBE) - before;
    t.true(probes >= 30 && probes < 60, `${probes} probes`);
    const rest = new Uint8Array(10_000);
    world.runUntil("the rest", () => {
      const n = host.recv(client.fd, rest, 0, rest.length, 0);
      for (let i = 0; i < n; i++) if (rest[i] !== byteAt(transfer.got + i)) throw new Error(`byte ${transfer.got + i}`);
      if (n > 0) transfer.got += n;
      return transfer.got === transfer.sent;
    }, 130_000);
    world.settle(t);
  });

  test.serial(`${name}: a board whose program does not read for an hour still talks to others`, (t) => {
    // Of the five buffers of preset tiny one unread connection takes all but the reserve, and senders must wait: here are eight.
    const board = name === "tiny" ? { ...options.board, buffers: 8, skbs: 12 } : options.board!;
    const world = new World({ ...options, board, wire: { delayMs: 1 } });
    const { client, server } = world.pair(world.host, 81);
    const total = 20_000;
    const data = Uint8Array.from({ length: total }, (_, i) => byteAt(i));
    let sent = 0;
    const write = (): boolean => {
      if (sent === total) return false;
      const n = client.kernel.send(client.fd, data, sent, total - sent, 0);
      if (n > 0) sent += n;
      return n > 0;
    };
    world.addStep(write);
    for (let minute = 0; minute < 60; minute += 20) {
      world.runFor(20 * 60_000);
      pings(world);
      const other = world.pair(world.host, 82);
      world.finish([new Transfer(other.client, other.server, 10_000), new Transfer(other.server, other.client, 10_000)], 600_000);
      other.client.kernel.close(other.client.fd);
      other.server.kernel.close(other.server.fd);
      world.runFor(70_000);
    }
    let got = 0;
    world.runUntil("all read", () => {
      const n = server.kernel.recv(server.fd, buffer, 0, 4096, 0);
      for (let i = 0; i < n; i++) if (buffer[i] !== byteAt(got + i)) throw new Error(`byte ${got + i}`);
      if (n > 0) got += n;
      return got === total;
    }, 300_000);
    world.settle(t);
  });

  test.serial(`${name}: all packet memory gone for a while in mid-transfer`, (t) => {
    const world = new World({ ...options, wire: { delayMs: 1 } });
    const { kernel, dev } = world.board;
    const { client, server } = world.pair(world.host);
    const transfers = [new Transfer(client, server, 400_000), new Transfer(server, client, 400_000)];
    world.start(transfers);
    for (let round = 0; round < 5; round++) {
      world.runFor(3 + round);
      const held: SkBuff[] = [];
      const dropped = dev.stats.rxDropped;
      const failures = kernel.poolFailures("skbuff_data") + kernel.poolFailures("skbuff_head_cache");
      const hoard = (): boolean => {
        for (let skb = kernel.allocSkb(100); skb !== null; skb = kernel.allocSkb(100)) held.push(skb);
        return false;
      };
      world.addStep(hoard);
      world.runFor(3000);
      world.removeStep(hoard);
      t.true(kernel.poolFailures("skbuff_data") + kernel.poolFailures("skbuff_head_cache") > failures);
      t.true(dev.stats.rxDropped > dropped, "what came meanwhile is counted");
      for (const skb of held) kernel.consumeSkb(skb);
      const got = transfers.map((one) => one.got);
      world.runUntil("both go on", () => transfers.every((one, i) => one.got > got[i]!), 60_000);
    }
    world.finish(transfers, 600_000);
    pings(world);
    world.settle(t);
  });

  test.serial(`${name}: a flood of pings and of SYNs during a transfer`, (t) => {
    const world = new World({ ...options, wire: { delayMs: 1 } });
    const p = world.peer();
    const transfers = Object.values(world.pair(world.host)).reverse();
    const transfer = new Transfer(transfers[0]!, transfers[1]!, 50_000);
    world.listen(world.board, 81, 2);
    let turn = 0;
    world.start([transfer]);
    while (!transfer.ended && turn < 100_000) {
      for (let i = 0; i < 20; i++) {
        if (i % 2 === 0) p.sendIcmp(8, 0, i, ascii("flood"));
        else p.sendTcp({ sport: 1 + (turn * 10 + i) % 60_000, dport: 81, flags: "S" });
      }
      turn++;
      world.runFor(1);
      p.drain();
    }
    t.true(transfer.ended);
    world.finish([transfer]);
    world.settle(t);
  });
}

/** The least each pool may be. */
const LEAST: ConfigOptions = { preset: "tiny", buffers: 6, skbs: 8, rcvbufPackets: 2, sndbufPackets: 1 };

test.serial("a board with six buffers moves data both ways", (t) => {
  const world = new World({ board: LEAST, mtu: 576, wire: { delayMs: 1 } });
  const { client, server } = world.pair(world.host);
  world.finish([new Transfer(client, server, 30_000), new Transfer(server, client, 30_000)], 3_600_000);
  world.settle(t);
});
