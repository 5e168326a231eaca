/**
 * A board on a simulated ENC28J60 in a world that goes wrong: TCP at what the wire allows, every fault and erratum while
 * datagrams are answered, and a day (with LINNET_FULL=1 a week) of everything at random. Nothing may leak, and each cause must
 * be counted.
 */
import test from "ava";
import type { Enc28j60, EncStats } from "../../hal/enc28j60/index.ts";
import type { Enc28j60Simulator, Outcome } from "../../hal/enc28j60/simulator/index.ts";
import { Prng } from "../../hal/mock/impair.ts";
import { SOCK_DGRAM } from "../../src/uapi/socket.ts";
import type { EncOptions } from "../lib/enc28j60.ts";
import { Transfer, World } from "./world.ts";

const ECHO_PORT = 7;
const DATAGRAM = 200;
/** Time between two questions of the host. */
const ASK_MS = 20;
const SECOND_MS = 1000;
/** Payload of a full segment with timestamps, and its bytes on the wire at 10 Mbit/s. */
const SEGMENT_BYTES = 1448;
const SEGMENT_WIRE_BYTES = 1538;

/** Datagrams from the host that the board answers, and how long it was silent at most. */
class Echo {
  answers = 0;
  longestGapMs = 0;
  private lastMs: number;
  private askAt: number;
  private readonly world: World;
  private readonly host: number;
  private readonly board: number;
  private readonly buffer = new Uint8Array(2000);
  private readonly askMs: number;

  constructor(world: World, askMs = ASK_MS) {
    this.world = world;
    this.askMs = askMs;
    this.lastMs = this.askAt = world.nowMs;
    this.host = world.socket(world.host, SOCK_DGRAM);
    this.board = world.socket(world.board, SOCK_DGRAM);
    const { kernel } = world.board;
    if (kernel.bind(this.board, new kernel.SockaddrIn(0, ECHO_PORT)) < 0) throw new Error("bind");
    world.addStep(this.step);
    this.tick();
  }

  /** Has the clock stop at each question. */
  private tick(): void {
    this.world.clock.at(this.askAt, () => {
      const { kernel } = this.world.host;
      kernel.sendto(this.host, this.buffer, 0, DATAGRAM, 0, new kernel.SockaddrIn(this.world.board.addr, ECHO_PORT));
      this.askAt += this.askMs;
      if (!this.over) this.tick();
    });
  }

  private over = false;

  private readonly step = (): boolean => {
    const { world, buffer } = this;
    const { kernel } = world.board;
    const from = new kernel.SockaddrIn();
    const got = kernel.recvfrom(this.board, buffer, 0, buffer.length, 0, from);
    if (got >= 0) kernel.sendto(this.board, buffer, 0, got, 0, from);
    const back = world.host.kernel.recv(this.host, buffer, 0, buffer.length, 0);
    if (back >= 0) {
      this.answers++;
      this.longestGapMs = Math.max(this.longestGapMs, world.nowMs - this.lastMs);
      this.lastMs = world.nowMs;
    }
    return got >= 0 || back >= 0;
  };

  /** From now on silence counts. */
  restart(): void {
    this.lastMs = this.world.nowMs;
    this.longestGapMs = this.answers = 0;
  }

  stop(): void {
    this.over = true;
    this.longestGapMs = Math.max(this.longestGapMs, this.world.nowMs - this.lastMs);
  }
}

function chipOf(world: World): { sim: Enc28j60Simulator; dev: Enc28j60 } {
  return { sim: world.board.kernel.simulator(), dev: world.board.dev as Enc28j60 };
}

for (const [name, fromBoard] of [["out of", true], ["into", false]] as const) {
  test.serial(`TCP ${name} the board through two chips: 90 % of what 10 Mbit/s allows`, (t) => {
    const world = new World({ board: { preset: "default" }, boardChip: {}, hostChip: {} });
    const { client, server } = world.pair(fromBoard ? world.board : world.host);
    const total = 2_000_000;
    const transfer = new Transfer(client, server, total);
    const start = world.nowMs;
    world.finish([transfer]);
    const bps = (total * 8000) / (world.nowMs - start);
    const allowed = (10e6 * SEGMENT_BYTES) / SEGMENT_WIRE_BYTES;
    t.log(`${(bps / 1e6).toFixed(2)} Mbit/s of ${(allowed / 1e6).toFixed(2)}`);
    t.true(bps >= 0.9 * allowed, `${bps} of ${allowed}`);
    world.settle(t);
  });
}

interface Fault {
  readonly name: string;
  readonly chip?: EncOptions;
  /** Makes it happen; what it returns makes it end, 3 s later. */
  readonly strike: (sim: Enc28j60Simulator, world: World) => (() => void) | void;
  /** The statistic that has to tell of it. */
  readonly counted?: keyof EncStats;
}

const script = (...outcomes: Outcome[]) => (sim: Enc28j60Simulator): void => void sim.chip.tx.script.push(...outcomes);
const HALF: EncOptions = { duplex: "half" };
const POLLED: EncOptions = { interrupt: false };

const FAULTS: readonly Fault[] = [
  { name: "brown-out", strike: (sim) => sim.chip.brownOut(), counted: "chipLost" },
  { name: "brown-out of a polled chip", chip: POLLED, strike: (sim) => sim.chip.brownOut(), counted: "chipLost" },
  ...[0xff, 0x00].map((value): Fault => ({
    name: `the bus reads ${value.toString(16)} for 3 s`,
    strike: (sim) => {
      sim.faults.bus = value;
      return () => {
        sim.faults.bus = null;
        sim.chip.brownOut();
      };
    },
    counted: "initFailures",
  })),
  { name: "a lost interrupt edge", strike: (sim) => void (sim.faults.loseEdges = 1), counted: "interruptsLost" },
  { name: "the interrupt line stuck high", strike: (sim) => void (sim.faults.interruptStuck = 1), counted: "interruptDead" },
  { name: "the interrupt line stuck low", strike: (sim) => void (sim.faults.interruptStuck = 0), counted: "interruptDead" },
  { name: "an interrupt line that was never connected", chip: { interrupt: 9 }, strike: () => undefined, counted: "interruptDead" },
  ...[0, 9, 12, 16, 20, 26, 31].map((bit): Fault => ({
    name: `bit ${bit} of a packet header flipped`, strike: (sim) => void (sim.faults.flipHeaderBit = bit), counted: "rxBadHeaders",
  })),
  { name: "the bit received OK flipped", strike: (sim) => void (sim.faults.flipHeaderBit = 39), counted: "rxBadStatus" },
  { name: "sending that stalls", strike: script({ stall: true }), counted: "txTimeouts" },
  { name: "sending that stalls in half duplex", chip: HALF, strike: script({ stall: true }), counted: "txTimeouts" },
  { name: "sending that stalls four times", strike: script(...Array<Outcome>(4).fill({ stall: true })), counted: "txAborts" },
  { name: "a late collision", chip: HALF, strike: script({ late: true }), counted: "txRetries" },
  { name: "late collisions one after another", chip: HALF, strike: script(...Array<Outcome>(20).fill({ late: true })), counted: "txAborts" },
  { name: "too many collisions", chip: HALF, strike: script({ collisions: 16 }), counted: "txAborts" },
  { name: "deferred too long", chip: HALF, strike: script({ deferred: true }), counted: "txAborts" },
  {
    name: "a third of all frames in spurious late collisions", chip: HALF,
    strike: (sim) => void (sim.faults.spuriousLateCollisions = 0.33), counted: "txLateCollisions",
  },
  {
    name: "a burst that overflows the FIFO",
    strike: (sim) => {
      for (let i = 0; i < 60; i++) sim.receive(new Uint8Array(1514).fill(0xff));
      // The board does something else for a while.
      sim.chip.busyUntilMs = sim.chip.now() + 60;
    },
    counted: "rxOverflows",
  },
  {
    name: "the cable pulled for 3 s",
    strike: (_sim, world) => {
      world.wire.setCarrier(false);
      return () => world.wire.setCarrier(true);
    },
    counted: "linkChanges",
  },
];

for (const { name, chip = {}, strike, counted } of FAULTS) {
  test.serial(`traffic goes on or resumes within a second: ${name}`, (t) => {
    const world = new World({ boardChip: chip });
    const { sim, dev } = chipOf(world);
    const echo = new Echo(world);
    world.runFor(500);
    const before = counted === "linkChanges" ? dev.encStats.linkChanges : 0;
    t.true(echo.answers > 0 || counted === "interruptDead", "it answers before");
    echo.restart();
    const end = strike(sim, world);
    if (end !== undefined) {
      world.runFor(3 * SECOND_MS);
      t.false(dev.carrier, "the carrier is off meanwhile");
      end();
      echo.restart();
    }
    world.runFor(3 * SECOND_MS);
    echo.stop();
    t.true(echo.longestGapMs <= SECOND_MS, `silent for ${echo.longestGapMs} ms`);
    t.true(echo.answers >= (2 * SECOND_MS) / ASK_MS, `${echo.answers} answers`);
    if (counted !== undefined) t.true(dev.encStats[counted] > before, `${counted}: ${dev.ethtoolStats()}`);
    t.deepEqual(sim.chip.misuses, []);
    world.settle(t, 70 * SECOND_MS);
  });
}

/** What strikes in the long run, each for a while. */
function strikeAtRandom(sim: Enc28j60Simulator, world: World, random: Prng): void {
  const { faults, chip } = sim;
  const { clock } = world;
  const later = (run: () => void): void => clock.at(clock.timeMs() + 100 + random.below(20_000), run);
  switch (random.below(9)) {
    case 0:
      chip.brownOut();
      break;
    case 1:
      faults.bus = random.below(2) * 255;
      later(() => {
        faults.bus = null;
        chip.brownOut();
      });
      break;
    case 2:
      faults.loseEdges = 1 + random.below(3);
      break;
    case 3:
      faults.flipHeaderBit = random.below(48);
      break;
    case 4:
      chip.tx.script.push({ stall: true });
      break;
    case 5:
      chip.tx.script.push({ late: true }, { collisions: random.below(17) });
      break;
    case 6:
      world.wire.setCarrier(false);
      later(() => world.wire.setCarrier(true));
      break;
    case 7:
      for (let i = random.below(60); i > 0; i--) sim.receive(new Uint8Array(60 + random.below(1400)).fill(0xff));
      break;
    default:
      chip.busyUntilMs = chip.now() + random.below(500);
  }
}

/** A day by default; the week of LINNET_FULL takes minutes. */
const DAYS = process.env["LINNET_FULL"] === undefined ? 1 : 7;
const DAY_MS = 24 * 3600 * SECOND_MS;
const FAULT_MS = 600 * SECOND_MS;
const TRANSFER_MS = 1800 * SECOND_MS;

test.serial(`${DAYS === 1 ? "a day" : "a week"} of datagrams, transfers and faults at random ends with the board answering`, (t) => {
  const world = new World({ boardChip: HALF });
  const { sim, dev } = chipOf(world);
  const random = new Prng(28060);
  const echo = new Echo(world, 10 * SECOND_MS);
  const start = world.nowMs;
  let faults = 0;
  let transfers = 0;
  let nextTransfer = start;
  while (world.nowMs - start < DAYS * DAY_MS) {
    world.runFor(random.below(2 * FAULT_MS));
    strikeAtRandom(sim, world, random);
    faults++;
    if (world.nowMs < nextTransfer) continue;
    nextTransfer = world.nowMs + TRANSFER_MS;
    // Begun in the midst of it.
    const { client, server } = world.pair(random.below(2) === 0 ? world.host : world.board, 1000 + (transfers % 50_000));
    world.finish([new Transfer(client, server, 20_000)]);
    for (const end of [client, server]) end.kernel.close(end.fd);
    transfers++;
  }
  world.runFor(30 * SECOND_MS);
  echo.restart();
  world.runFor(60 * SECOND_MS);
  echo.stop();
  t.true(echo.answers >= 6, `${echo.answers} answers in the last minute`);
  t.log(`${faults} faults, ${transfers} transfers; ${dev.ethtoolStats().replaceAll("\n", ", ")}`);
  t.deepEqual(sim.chip.misuses, []);
  world.settle(t);
});
