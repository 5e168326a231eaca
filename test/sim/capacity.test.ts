/**
 * A board of preset small and a hundred thousand clients, one after another: none is refused, none has to knock twice. Linux
 * would accept each of them; what a board has less of (sockets, half-open connections, TIME_WAIT entries) may not show.
 */
import test, { type ExecutionContext } from "ava";
import {
  LINUX_MIB_LISTENDROPS, LINUX_MIB_LISTENOVERFLOWS, LINUX_MIB_TCPREQQFULLDROP, TCP_MIB_ATTEMPTFAILS, TCP_MIB_ESTABRESETS,
  TCP_MIB_OUTRSTS, TCP_MIB_PASSIVEOPENS, TCP_MIB_RETRANSSEGS,
} from "../../src/uapi/snmp.ts";
import { EAGAIN } from "../../src/uapi/errno.ts";
import { type End, type Machine, World } from "./world.ts";

const CLIENTS = 100_000;
const PORT = 80;
const REQUEST_BYTES = 60;
const ANSWER_BYTES = 200;
const buffer = new Uint8Array(256);

/** Counters of the board that stay at 0 as long as it refuses nobody. */
const REFUSALS = [
  LINUX_MIB_LISTENDROPS, LINUX_MIB_LISTENOVERFLOWS, LINUX_MIB_TCPREQQFULLDROP, TCP_MIB_ESTABRESETS, TCP_MIB_OUTRSTS,
  TCP_MIB_RETRANSSEGS,
];

/** The server: reads a request, answers it, and closes, at once or when the client has. */
function serve({ kernel, fd: listener }: End, closesFirst: boolean): () => boolean {
  let fd = -1;
  return () => {
    if (fd < 0) {
      fd = kernel.accept4(listener, null, 0);
      return fd >= 0;
    }
    const count = kernel.recv(fd, buffer, 0, buffer.length, 0);
    if (count === -EAGAIN) return false;
    if (count > 0) kernel.send(fd, buffer, 0, ANSWER_BYTES, 0);
    if (count > 0 && !closesFirst) return true;
    kernel.close(fd);
    fd = -1;
    return true;
  };
}

/** Clients one after another, each with one request. */
class Clients {
  /** How many have had their answer. */
  served = 0;
  wrong = "";
  private end: End | null = null;
  private asked = false;
  private readonly world: World;
  private readonly closeFirst: boolean;
  private readonly machine: Machine;

  constructor(world: World, machine: Machine, closeFirst: boolean) {
    this.world = world;
    this.machine = machine;
    this.closeFirst = closeFirst;
  }

  readonly step = (): boolean => {
    const { end, wrong } = this;
    if (wrong !== "" || this.served === CLIENTS) return false;
    if (end === null) {
      this.end = this.world.connect(this.machine, PORT);
      this.asked = false;
      return true;
    }
    const { kernel, fd } = end;
    const asking = !this.asked;
    const count = asking ? kernel.send(fd, buffer, 0, REQUEST_BYTES, 0) : kernel.recv(fd, buffer, 0, buffer.length, 0);
    if (count === -EAGAIN) return false;
    if (count < 0) this.wrong = `client ${this.served}: ${asking ? "send" : "recv"} ${count}`;
    this.asked = true;
    if (!asking && (count === 0 || this.closeFirst)) {
      kernel.close(fd);
      this.end = null;
      this.served++;
    }
    return true;
  };
}

function crowd(t: ExecutionContext, serverClosesFirst: boolean): void {
  const world = new World({ board: { preset: "small" }, wire: { delayMs: 2 } });
  const { board, host } = world;
  const clients = new Clients(world, host, !serverClosesFirst);
  world.addStep(serve(world.listen(board, PORT, 1), serverClosesFirst));
  world.addStep(clients.step);
  const start = world.nowMs;
  world.runUntil("every client served", () => clients.wrong !== "" || clients.served === CLIENTS);
  t.is(clients.wrong, "");
  t.is(clients.served, CLIENTS);
  for (const counter of REFUSALS) t.is(board.kernel.mib(counter), 0, `counter ${counter}`);
  for (const counter of [TCP_MIB_ATTEMPTFAILS, TCP_MIB_RETRANSSEGS]) t.is(host.kernel.mib(counter), 0, `counter ${counter} of the clients`);
  t.is(board.kernel.mib(TCP_MIB_PASSIVEOPENS), CLIENTS);
  const each = (world.nowMs - start) / CLIENTS;
  t.true(each <= 10, `${each} ms for each client: three round trips of 4 ms at most, half of the last one the next one's`);
  world.settle(t);
}

test.serial("100,000 clients in a row, the board closing first: its TIME_WAIT entries run out and nobody notices", (t) => {
  t.timeout(600_000);
  crowd(t, true);
});

test.serial("100,000 clients in a row that close first themselves", (t) => {
  t.timeout(600_000);
  crowd(t, false);
});
