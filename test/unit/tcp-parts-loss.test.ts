/** TCP without its parts on a bad line: what is left is a TCP that carries every byte, from both sides, and tells of what it cannot. */
import test, { type ExecutionContext } from "ava";
import {
  accept4, AF_INET, bind, connect, EINPROGRESS, EINVAL, EOPNOTSUPP, listen, MSG_OOB, recv, send, shutdown, SHUT_WR, SOCK_NONBLOCK,
  SOCK_STREAM, SockaddrIn,
} from "../../src/index.ts";
import type { Impairment } from "../../hal/mock/impair.ts";
import type { Config } from "../../src/config.ts";
import type { Initcall } from "../../src/lib/initcall.ts";
import { startKernel } from "../../src/start-kernel.ts";
import { ecn } from "../../src/tcp-ecn.ts";
import { pacing } from "../../src/tcp-pacing.ts";
import { rack } from "../../src/tcp-rack.ts";
import { rcvbufGrowth } from "../../src/tcp-rcvbuf.ts";
import { tcpServer } from "../../src/tcp-server.ts";
import { undo } from "../../src/tcp-undo.ts";
import { urgentData } from "../../src/tcp-urgent.ts";
import { isTcp } from "../lib/check.ts";
import { createLab, type Lab } from "../lib/lab.ts";

const PORT = 7;
const BYTES = 150_000;
const CHUNK = 4096;
const LINES: readonly Impairment[] = [
  { delayMs: 20, loss: 0.1 },
  { delayMs: 5, reorder: 0.2, duplicate: 0.1 },
  { delayMs: 30, jitterMs: 10, loss: 0.02, corrupt: 0.02 },
];
const PARTS: readonly (readonly [string, readonly Initcall<Config>[]])[] = [
  ["no part", []], ["RACK", [rack]], ["undo", [undo]], ["RACK and undo", [rack, undo]], ["ECN", [ecn]], ["urgent data", [urgentData]], ["pacing", [pacing]], ["buffers that grow", [rcvbufGrowth]],
];

function connection(t: ExecutionContext, lab: Lab): readonly [number, number] {
  const server = lab.host("b").socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
  bind(server, new SockaddrIn(0, PORT));
  t.is(listen(server, 1), 0);
  const client = lab.host("a").socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
  t.is(connect(client, new SockaddrIn(lab.host("b").addr, PORT)), -EINPROGRESS);
  let accepted = -1;
  lab.runUntil(() => (accepted = accept4(server, null, SOCK_NONBLOCK)) >= 0);
  return [client, accepted];
}

/** Bytes of a stream, which say where in it they are. */
const byteAt = (at: number): number => (at * 7 + (at >> 8)) & 255;

/** One end: writes a stream and reads the other's, as far as it goes at the moment. */
class End {
  sent = 0;
  read = 0;
  private readonly t: ExecutionContext;
  private readonly fd: number;
  private readonly chunk = new Uint8Array(CHUNK);

  constructor(t: ExecutionContext, fd: number) {
    this.t = t;
    this.fd = fd;
  }

  /** @returns whether anything was done */
  step(): boolean {
    const { chunk, fd, sent, read } = this;
    const length = Math.min(CHUNK, BYTES - sent);
    for (let i = 0; i < length; i++) chunk[i] = byteAt(sent + i);
    const written = send(fd, chunk, 0, length, 0);
    if (written > 0) this.sent += written;
    const count = recv(fd, chunk, 0, CHUNK, 0);
    for (let i = 0; i < count; i++) if (chunk[i] !== byteAt(read + i)) this.t.fail(`byte ${read + i} is another`);
    if (count > 0) this.read += count;
    return written > 0 || count > 0;
  }
}

for (const [name, parts] of PARTS) {
  for (const [index, wire] of LINES.entries()) {
    test.serial(`${name}, line ${index}: both directions arrive whole and in order`, (t) => {
      const lab = createLab(t, { start: startKernel, seed: index + 1, hosts: ["a", "b"], wire, initcalls: [tcpServer, ...parts] });
      const fds = connection(t, lab);
      const ends = fds.map((fd) => new End(t, fd));
      for (const end of ends) lab.addStep(() => end.step());
      lab.runUntil(() => ends.every(({ read }) => read === BYTES));
      t.true(ends.every(({ sent }) => sent === BYTES));
      for (const fd of fds) t.is(shutdown(fd, SHUT_WR), 0);
      lab.runUntil(() => fds.every((fd) => recv(fd, new Uint8Array(1), 0, 1, 0) === 0));
    });
  }
}

test.serial("without RACK a hole is lost when three segments behind it have arrived, and each one only then", (t) => {
  const lab = createLab(t, { start: startKernel, hosts: ["a"], peers: ["p"], initcalls: [tcpServer] });
  const fd = lab.host("a").socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
  const peer = lab.peer("p");
  t.is(connect(fd, new SockaddrIn(peer.addr, 80)), -EINPROGRESS);
  const { sport, seq } = peer.expect(isTcp({ flags: "S" })).tcp!;
  peer.sendTcp({ sport: 80, dport: sport, seq: 100, ack: seq + 1, flags: "SA", options: { mss: 1000, sackPermitted: true } });
  peer.expect(isTcp({ flags: "A" }));
  t.is(send(fd, new Uint8Array(8000), 0, 8000, 0), 8000);
  const at = (segment: number): number => (seq + 1 + segment * 1000) >>> 0;
  const acknowledge = (ack: number, ...sack: (readonly [number, number])[]): void =>
    peer.sendTcp({ sport: 80, dport: sport, seq: 101, ack: at(ack), flags: "A", options: { sack: sack.map(([from, to]) => [at(from), at(to)]) } });
  lab.runFor(1);
  t.is(peer.drain().length, 8);
  // Segments 0 and 4 are missing.
  acknowledge(0, [1, 3]);
  peer.expectNothing(5);
  acknowledge(0, [1, 4]);
  peer.expect(isTcp({ seq: at(0), length: 1000 }), { after: 0 });
  peer.expectNothing(5);
  acknowledge(0, [5, 8], [1, 4]);
  peer.expect(isTcp({ seq: at(4), length: 1000 }), { after: 0 });
  acknowledge(4, [5, 8]);
  peer.expectNothing(5);
  acknowledge(8);
  peer.expectNothing(5);
  peer.sendTcp({ sport: 80, dport: sport, seq: 101, ack: at(8), flags: "RA" });
  lab.runFor(1);
});

test.serial("without ECN a SYN that asks for it is answered without, and ours does not ask", (t) => {
  const lab = createLab(t, { start: startKernel, hosts: ["a"], peers: ["p"], initcalls: [tcpServer] });
  const { net, socket } = lab.host("a");
  net.ipv4.tcpEcn = 1;
  const server = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
  bind(server, new SockaddrIn(0, PORT));
  t.is(listen(server, 1), 0);
  const peer = lab.peer("p");
  peer.sendTcp({ sport: 1000, dport: PORT, seq: 1, flags: "SEW" });
  peer.expect(isTcp({ flags: "SA" }), { after: 0 });
  peer.sendTcp({ sport: 1000, dport: PORT, seq: 2, flags: "R" });
  const client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
  t.is(connect(client, new SockaddrIn(peer.addr, 80)), -EINPROGRESS);
  peer.expect(isTcp({ dport: 80, flags: "S" }), { after: 0 });
});

test.serial("without urgent data MSG_OOB is refused, and what a peer calls urgent is read in its place", (t) => {
  const lab = createLab(t, { start: startKernel, hosts: ["a"], peers: ["p"], initcalls: [tcpServer] });
  const fd = lab.host("a").socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
  const peer = lab.peer("p");
  t.is(connect(fd, new SockaddrIn(peer.addr, 80)), -EINPROGRESS);
  const { sport, seq } = peer.expect(isTcp({ flags: "S" })).tcp!;
  const ack = seq + 1;
  peer.sendTcp({ sport: 80, dport: sport, seq: 100, ack, flags: "SA" });
  peer.expect(isTcp({ flags: "A", ack: 101 }));
  peer.sendTcp({ sport: 80, dport: sport, seq: 101, ack, flags: "AU", urgent: 2, payload: Uint8Array.of(1, 2, 3) });
  const bytes = new Uint8Array(4);
  lab.runFor(1);
  t.is(recv(fd, bytes, 0, 4, MSG_OOB), -EINVAL);
  t.is(send(fd, bytes, 0, 1, MSG_OOB), -EOPNOTSUPP);
  t.is(recv(fd, bytes, 0, 4, 0), 3);
  t.deepEqual([...bytes], [1, 2, 3, 0]);
  peer.sendTcp({ sport: 80, dport: sport, seq: 104, ack, flags: "RA" });
  lab.runFor(1);
});
