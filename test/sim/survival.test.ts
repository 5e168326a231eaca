/** Connections that the world is unkind to: links that fail, peers that vanish or reset, and queues that are full. */
import test from "ava";
import { SKB_DROP_REASON_TCP_REQQFULL } from "../../src/uapi/drop-reason.ts";
import { EAGAIN, ECONNREFUSED, ECONNRESET, EPIPE, ETIMEDOUT } from "../../src/uapi/errno.ts";
import { POLLERR, POLLHUP, POLLIN } from "../../src/uapi/poll.ts";
import {
  LINUX_MIB_LISTENDROPS, LINUX_MIB_LISTENOVERFLOWS, LINUX_MIB_TCPABORTONTIMEOUT, LINUX_MIB_TCPREQQFULLDROP,
  LINUX_MIB_TCPTIMEWAITOVERFLOW,
} from "../../src/uapi/snmp.ts";
import { isTcp } from "../lib/check.ts";
import { ascii } from "../lib/frames.ts";
import type { Peer } from "../lib/peer.ts";
import { type End, Transfer, World } from "./world.ts";

const SHUT_WR = 1;
const buffer = new Uint8Array(4096);

const OUTAGES: readonly (readonly [string, (world: World) => void, (world: World) => void])[] = [
  [
    "the board's carrier goes", ({ board }) => board.kernel.netifCarrierOff(board.dev),
    ({ board }) => board.kernel.netifCarrierOn(board.dev),
  ],
  ["the cable is pulled", ({ wire }) => wire.setCarrier(false), ({ wire }) => wire.setCarrier(true)],
  ["the line loses all", (world) => world.setLoss(1), (world) => world.setLoss(0)],
];

for (const [name, breaks, mends] of OUTAGES) {
  for (const outageMs of [5000, 300_000]) {
    test.serial(`${name} for ${outageMs / 1000} s in mid-transfer`, (t) => {
      const world = new World({ wire: { delayMs: 3 } });
      const { client, server } = world.pair(world.host);
      const transfers = [new Transfer(client, server, 300_000), new Transfer(server, client, 300_000)];
      world.start(transfers);
      world.runFor(50);
      t.true(transfers.every(({ got, total }) => got > 0 && got < total));
      breaks(world);
      world.runFor(10);
      const got = transfers.map((one) => one.got);
      world.runFor(outageMs);
      t.deepEqual(transfers.map((one) => one.got), got, "nothing arrives");
      mends(world);
      const mended = world.nowMs;
      world.finish(transfers);
      t.true(world.nowMs - mended < Math.min(120_000, outageMs) + 5000, "the next retransmission ends the silence");
      world.settle(t);
    });
  }
}

test.serial("a board whose link is down and up through devClose and devOpen keeps its connection", (t) => {
  const world = new World({ wire: { delayMs: 3 } });
  const { kernel, dev } = world.board;
  const { client, server } = world.pair(world.host);
  const transfer = new Transfer(client, server, 300_000);
  world.start([transfer]);
  world.runFor(50);
  t.is(kernel.devClose(dev), 0);
  world.runFor(5000);
  t.is(kernel.devOpen(dev), 0);
  world.finish([transfer]);
  world.settle(t);
});

test.serial("a peer that vanishes in mid-transfer: after tcp_retries2 the program hears ETIMEDOUT", (t) => {
  const world = new World({ wire: { delayMs: 3 } });
  const { kernel } = world.board;
  const { client, server } = world.pair(world.board);
  const transfer = new Transfer(client, server, 300_000);
  world.start([transfer]);
  world.runFor(50);
  world.setLoss(1);
  const start = world.nowMs;
  const watch = new kernel.Pollfd(client.fd, POLLIN);
  world.removeStep(transfer.step);
  world.runUntil("an error", () => kernel.poll([watch], 1) === 1);
  const seconds = (world.nowMs - start) / 1000;
  t.true(seconds > 924 && seconds < 1100, `${seconds} s`);
  t.is(watch.revents & (POLLERR | POLLHUP), POLLERR | POLLHUP);
  t.is(kernel.recv(client.fd, buffer, 0, 1, 0), -ETIMEDOUT);
  t.is(kernel.recv(client.fd, buffer, 0, 1, 0), 0);
  t.is(kernel.send(client.fd, buffer, 0, 1, 0), -EPIPE);
  t.is(kernel.mib(LINUX_MIB_TCPABORTONTIMEOUT), 1);
  t.is(kernel.inUse().get("skbuff_data"), 0, "its memory is back before it is closed");
  world.settle(t);
});

test.serial("a peer that vanishes before it answers a SYN: ETIMEDOUT after 131 s", (t) => {
  const world = new World();
  const { kernel } = world.board;
  world.setLoss(1);
  const start = world.nowMs;
  const { fd } = world.connect(world.board, 80);
  const watch = new kernel.Pollfd(fd, POLLIN);
  world.runUntil("an error", () => kernel.poll([watch], 1) === 1);
  // Five SYNs at 1 s (tcp_syn_linear_timeouts = 4), then 2, 4, ... 64 s.
  t.is(Math.round((world.nowMs - start) / 1000), 131);
  t.is(kernel.recv(fd, buffer, 0, 1, 0), -ETIMEDOUT);
  world.settle(t);
});

test.serial("a peer that vanishes after close with data unsent: the orphan goes", (t) => {
  const world = new World({ wire: { delayMs: 3 } });
  const { kernel } = world.board;
  const { client } = world.pair(world.board);
  world.setLoss(1);
  while (kernel.send(client.fd, buffer, 0, 4096, 0) > 0);
  kernel.close(client.fd);
  world.runFor(1_000_000);
  t.is(world.leaks().split("\n").filter((line) => line.startsWith("board")).join(), "");
  world.settle(t);
});

test.serial("a peer that vanishes while the board only listens: keepalive finds out", (t) => {
  const world = new World();
  const { kernel } = world.board;
  const { server } = world.pair(world.host);
  t.is(kernel.setsockopt(server.fd, kernel.SOL_SOCKET, kernel.SO_KEEPALIVE, 1), 0);
  world.setLoss(1);
  const start = world.nowMs;
  const watch = new kernel.Pollfd(server.fd, POLLIN);
  world.runUntil("an error", () => kernel.poll([watch], 1) === 1, 10_000_000);
  const seconds = (world.nowMs - start) / 1000;
  t.true(seconds >= 7200 + 9 * 75 && seconds < 7200 + 10 * 75, `${seconds} s`);
  t.is(kernel.recv(server.fd, buffer, 0, 1, 0), -ETIMEDOUT);
  world.settle(t);
});

/** A connection with a peer, and the numbers that come next. */
interface Talk {
  readonly end: End;
  readonly seq: number;
  readonly ack: number;
}

const PORT = 80;
const SPORT = 1000;

function accepted(world: World, p: Peer): Talk {
  const listener = world.listen(world.board, PORT, 2);
  p.sendTcp({ sport: SPORT, dport: PORT, seq: 100, flags: "S" });
  const ack = (p.expect(isTcp({ flags: "SA" })).tcp!.seq + 1) >>> 0;
  p.sendTcp({ sport: SPORT, dport: PORT, seq: 101, ack, flags: "A" });
  const end = world.accept(listener);
  world.board.kernel.close(listener.fd);
  return { end, seq: 101, ack };
}

function say(p: Peer, flags: string, seq: number, ack: number): void {
  p.sendTcp({ sport: SPORT, dport: PORT, seq, ack, flags });
}

/** Brings a connection into a state: the sequence number of the next segment, and what the program reads after a reset. */
const STATES: readonly (readonly [string, (world: World, p: Peer, talk: Talk) => number, number | null])[] = [
  ["ESTABLISHED", (_world, _p, { seq }) => seq, -ECONNRESET],
  [
    "ESTABLISHED with data unread and unacknowledged", (_world, p, { end, seq, ack }) => {
      p.sendTcp({ sport: SPORT, dport: PORT, seq, ack, flags: "PA", payload: ascii("unread") });
      end.kernel.send(end.fd, buffer, 0, 2000, 0);
      return seq + 6;
    }, 6,
  ],
  [
    "FIN_WAIT1", (world, _p, { end, seq }) => {
      end.kernel.shutdown(end.fd, SHUT_WR);
      world.runFor(1);
      return seq;
    }, -ECONNRESET,
  ],
  [
    "FIN_WAIT1, nobody's", (world, _p, { end, seq }) => {
      end.kernel.close(end.fd);
      world.runFor(1);
      return seq;
    }, null,
  ],
  [
    "FIN_WAIT2", (_world, p, { end, seq, ack }) => {
      end.kernel.shutdown(end.fd, SHUT_WR);
      p.expect(isTcp({ flags: "FA" }));
      say(p, "A", seq, ack + 1);
      return seq;
    }, -ECONNRESET,
  ],
  [
    "FIN_WAIT2, nobody's", (_world, p, { end, seq, ack }) => {
      end.kernel.close(end.fd);
      p.expect(isTcp({ flags: "FA" }));
      say(p, "A", seq, ack + 1);
      return seq;
    }, null,
  ],
  [
    "CLOSING", (_world, p, { end, seq, ack }) => {
      end.kernel.shutdown(end.fd, SHUT_WR);
      p.expect(isTcp({ flags: "FA" }));
      say(p, "FA", seq, ack);
      return seq + 1;
    }, 0,
  ],
  [
    "CLOSE_WAIT", (_world, p, { seq, ack }) => {
      say(p, "FA", seq, ack);
      return seq + 1;
    }, 0,
  ],
  [
    "LAST_ACK", (world, p, { end, seq, ack }) => {
      say(p, "FA", seq, ack);
      world.runFor(1);
      end.kernel.close(end.fd);
      return seq + 1;
    }, null,
  ],
  [
    "TIME_WAIT", (_world, p, { end, seq, ack }) => {
      end.kernel.close(end.fd);
      p.expect(isTcp({ flags: "FA" }));
      say(p, "FA", seq, ack + 1);
      return seq + 1;
    }, null,
  ],
];

for (const [state, bring, read] of STATES) {
  test.serial(`a reset in ${state} frees the connection at once`, (t) => {
    const world = new World({ peers: ["p"] });
    const p = world.peer();
    const talk = accepted(world, p);
    const seq = bring(world, p, talk);
    world.runFor(1);
    p.drain();
    p.sendTcp({ sport: SPORT, dport: PORT, seq, flags: "R" });
    p.expectNothing(1);
    const { kernel, fd } = talk.end;
    if (read !== null) {
      t.is(kernel.recv(fd, buffer, 0, 100, 0), read);
      t.is(kernel.recv(fd, buffer, 0, 100, 0), read > 0 ? -ECONNRESET : 0);
      // Behind the peer's FIN there is nothing to read but its end; a writer hears of the reset.
      if (read === 0) t.is(kernel.send(fd, buffer, 0, 1, 0), state === "CLOSE_WAIT" ? -EPIPE : -ECONNRESET);
      t.is(kernel.recv(fd, buffer, 0, 100, 0), 0);
      kernel.close(fd);
    }
    world.runFor(1);
    t.is(world.leaks(), "");
    p.expectNothing(200_000);
    world.settle(t);
  });
}

test.serial("a reset in SYN_SENT, SYN_RECV and LISTEN", (t) => {
  const world = new World({ peers: ["p"] });
  const { kernel } = world.board;
  const p = world.peer();
  const { fd } = world.connect(world.board, 7, p.addr);
  const syn = p.expect(isTcp({ flags: "S" })).tcp!;
  p.sendTcp({ sport: 7, dport: syn.sport, seq: 0, ack: syn.seq + 1, flags: "RA" });
  world.runFor(1);
  t.is(kernel.recv(fd, buffer, 0, 1, 0), -ECONNREFUSED);
  kernel.close(fd);
  const listener = world.listen(world.board, PORT, 2);
  p.sendTcp({ sport: SPORT, dport: PORT, seq: 0, flags: "R" });
  p.sendTcp({ sport: SPORT, dport: PORT, seq: 100, flags: "S" });
  p.expect(isTcp({ flags: "SA" }));
  p.sendTcp({ sport: SPORT, dport: PORT, seq: 101, flags: "R" });
  p.expectNothing(200_000);
  t.is(kernel.accept4(listener.fd, null, 0), -EAGAIN);
  world.settle(t);
});

test.serial("a listener whose program is busy: the requests it cannot take yet survive", (t) => {
  const world = new World({ board: { preset: "default" }, wire: { delayMs: 2 } });
  const { kernel } = world.board;
  const listener = world.listen(world.board, PORT, 3);
  const clients = 12;
  for (let i = 0; i < clients; i++) {
    const client = world.connect(world.host, PORT);
    const host = world.host.kernel;
    // What is written now waits until the connection is accepted.
    const step = (): boolean => {
      const sent = host.send(client.fd, buffer, 0, 10, 0);
      if (sent === -EAGAIN) return false;
      t.is(sent, 10);
      host.shutdown(client.fd, SHUT_WR);
      world.removeStep(step);
      return true;
    };
    world.addStep(step);
    if (i % 3 === 2) world.runFor(1100);
  }
  t.true(kernel.mib(LINUX_MIB_LISTENOVERFLOWS) > 0);
  t.true(kernel.mib(LINUX_MIB_LISTENDROPS) >= kernel.mib(LINUX_MIB_LISTENOVERFLOWS));
  world.runFor(8000);
  let served = 0;
  world.addStep(() => {
    const fd = kernel.accept4(listener.fd, null, 0);
    if (fd < 0) return false;
    const step = (): boolean => {
      const got = kernel.recv(fd, buffer, 0, 100, 0);
      if (got !== 0) return got > 0;
      served++;
      kernel.close(fd);
      world.removeStep(step);
      return false;
    };
    world.addStep(step);
    return true;
  });
  world.runUntil("all served", () => served === clients, 130_000);
  world.settle(t);
});

test.serial("a SYN queue filled by peers that never answer empties, and others then get in", (t) => {
  const world = new World({ peers: ["p"] });
  const { kernel } = world.board;
  kernel.setSyncookies(0);
  const listener = world.listen(world.board, PORT, 8);
  for (let sport = 1; sport <= 40; sport++) world.peer().sendTcp({ sport, dport: PORT, flags: "S" });
  world.runFor(1);
  t.true(kernel.drops(SKB_DROP_REASON_TCP_REQQFULL) >= 32);
  t.true(kernel.mib(LINUX_MIB_TCPREQQFULLDROP) >= 32);
  const client = world.connect(world.host, PORT);
  const server = world.accept(listener, 127_000);
  world.finish([new Transfer(client, server, 1000)]);
  world.settle(t);
});

/** What a client of the echo server does: connects (again when nobody answers), sends 1000 bytes, reads them back. */
function echoClient(world: World, mark: number, done: () => void): void {
  const { kernel } = world.host;
  const mine = new Uint8Array(1000).fill(mark);
  const back = new Uint8Array(1000);
  let { fd } = world.connect(world.host, PORT);
  let sent = false;
  let got = 0;
  const step = (): boolean => {
    if (!sent) {
      const n = kernel.send(fd, mine, 0, 1000, 0);
      if (n === -ETIMEDOUT) {
        kernel.close(fd);
        ({ fd } = world.connect(world.host, PORT));
      } else if (n !== 1000 && n !== -EAGAIN) {
        throw new Error(`connection ${mark}: send ${n}`);
      }
      sent = n === 1000;
      return sent;
    }
    const n = kernel.recv(fd, back, got, 1000 - got, 0);
    if (n === -EAGAIN) return false;
    if (n === -ECONNRESET && got === 0) {
      // Let in by a SYN cookie, and never into the accept queue, until the cookie was too old.
      kernel.close(fd);
      ({ fd } = world.connect(world.host, PORT));
      sent = false;
      return true;
    }
    if (n <= 0) throw new Error(`connection ${mark}: recv ${n}`);
    got += n;
    if (got < 1000) return true;
    if (back.some((byte) => byte !== mark)) throw new Error(`connection ${mark}: other bytes came back`);
    kernel.close(fd);
    world.removeStep(step);
    done();
    return true;
  };
  world.addStep(step);
}

for (const [preset, backlog, limitMs] of [["small", 8, 400_000], ["default", 32, 20_000]] as const) {
  test.serial(`50 connections at once on a board of preset ${preset}: all are served in the end`, (t) => {
    const world = new World({ wire: { delayMs: 1 }, board: { preset } });
    const { kernel } = world.board;
    const listener = world.listen(world.board, PORT, backlog);
    const open = new Set<number>();
    let served = 0;
    world.addStep(() => {
      let busy = false;
      const accepted = kernel.accept4(listener.fd, null, 0);
      if (accepted >= 0) {
        open.add(accepted);
        busy = true;
      }
      for (const fd of open) {
        const got = kernel.recv(fd, buffer, 0, 4096, 0);
        if (got > 0) {
          busy = true;
          t.is(kernel.send(fd, buffer, 0, got, 0), got);
        } else if (got !== -EAGAIN) {
          t.is(got, 0);
          kernel.close(fd);
          open.delete(fd);
          served++;
        }
      }
      return busy;
    });
    let done = 0;
    for (let i = 0; i < 50; i++) echoClient(world, i, () => done++);
    const start = world.nowMs;
    world.runUntil("all done", () => done === 50 && served === 50, limitMs);
    t.log(`${((world.nowMs - start) / 1000).toFixed(1)} s`);
    world.settle(t);
  });
}

/** One short connection after another; whoever closes first keeps the TIME_WAIT entry. */
function oneAfterAnother(world: World, count: number, boardFirst: boolean): void {
  const { kernel } = world.board;
  const host = world.host.kernel;
  const listener = world.listen(world.board, PORT, 4);
  for (let i = 0; i < count; i++) {
    const client = world.connect(world.host, PORT);
    const server = world.accept(listener, 200_000);
    if (host.send(client.fd, buffer, 0, 100, 0) !== 100) throw new Error(`send ${i}`);
    world.runUntil("a request", () => kernel.recv(server.fd, buffer, 0, 100, 0) === 100, 1000);
    if (kernel.send(server.fd, buffer, 0, 500, 0) !== 500) throw new Error(`answer ${i}`);
    const [first, second] = boardFirst ? [server, client] : [client, server];
    if (!boardFirst) world.runUntil("an answer", () => host.recv(client.fd, buffer, 0, 500, 0) === 500, 1000);
    first.kernel.close(first.fd);
    let last = -1;
    world.runUntil("the end", () => (last = second.kernel.recv(second.fd, buffer, 0, 500, 0)) === 0, 1000);
    if (last !== 0) throw new Error(`end ${i}`);
    second.kernel.close(second.fd);
  }
}

test.serial("10,000 connections one after another on a small board, half of them closed by the board", (t) => {
  const world = new World({ board: { timewaitSocks: 16 } });
  oneAfterAnother(world, 5000, false);
  world.board.kernel.closeAll();
  world.runFor(70_000);
  t.is(world.leaks(), "");
  oneAfterAnother(world, 5000, true);
  t.true(world.board.kernel.mib(LINUX_MIB_TCPTIMEWAITOVERFLOW) > 4000, "the table was full");
  t.is(world.board.kernel.inUse().get("tw_sock_TCP"), 16);
  world.settle(t);
});
