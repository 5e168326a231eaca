/**
 * The program of a board as its manifest makes it, in virtual time: hal/xs/main.js and start.ts with `linnet/device` and `linnet/config`
 * of a platform, unchanged, over stand-ins of what the platform brings (timers, `mc/config`, SPI and Digital of a simulated chip, EMAC).
 */
import test, { type ExecutionContext } from "ava";
import { build } from "esbuild";
import { Enc28j60Simulator } from "../../../../hal/enc28j60/simulator/index.ts";
import { VirtualClock } from "../../../../hal/mock/clock.ts";
import { FakeEmac } from "../esp32/fake-emac.ts";
import { INTERRUPT_PIN, SPI_PINS } from "../../../lib/enc28j60.ts";

const ROOT = new URL("../../../../", import.meta.url).pathname;
const RESET_PIN = 5;
const FAKES: Readonly<Record<string, string>> = {
  "timer": "export default globalThis.board.Timer;",
  "time": "export default { get ticks() { return globalThis.board.clock.now(); } };",
  "mc/config": "export default globalThis.board.config;",
  "emac": "export default globalThis.board.EMAC;",
  "sketch/main": "export default (...args) => globalThis.board.sketch(...args);",
};

/** The SDK's timer on a virtual clock. */
class BoardTimer {
  static made: BoardTimer | null = null;
  dueMs: number;
  private readonly callback: () => void;

  constructor(callback: () => void, first: number) {
    this.callback = callback;
    this.dueMs = clock.now() + first;
  }

  static set(callback: () => void, first = 0): BoardTimer {
    return (BoardTimer.made = new BoardTimer(callback, first));
  }

  static schedule(timer: BoardTimer, first: number): void {
    timer.dueMs = clock.now() + first;
  }

  static clear(): void {
    BoardTimer.made = null;
  }

  /** @returns ms until it is due, -1: there is none */
  static turn(): number {
    const { made } = BoardTimer;
    if (made !== null && made.dueMs <= clock.now()) made.callback();
    return BoardTimer.made === null ? -1 : Math.max(1, BoardTimer.made.dueMs - clock.now());
  }
}

let clock: VirtualClock;
const global = globalThis as { board?: unknown; device?: unknown };

type Platform = "enc28j60" | "esp32";

const bundles = new Map<Platform, string>();
let loads = 0;

test.before(async () => {
  for (const platform of ["enc28j60", "esp32"] as const) bundles.set(platform, await bundle(platform));
});

/** The program of a board, loaded anew; calling it is what the SDK does then. */
async function program(platform: Platform): Promise<() => { stop(): void }> {
  const text = `${bundles.get(platform)!}\n// ${loads++}`;
  return ((await import(`data:text/javascript,${encodeURIComponent(text)}`)) as { default: () => { stop(): void } }).default;
}

/** The module "main" with all that the manifests of the platform bring. */
async function bundle(platform: Platform): Promise<string> {
  const modules: Readonly<Record<string, string>> = {
    "linnet/config": "hal/xs/config.js", "linnet/device": `hal/${platform}/board.js`, "linnet/start": "hal/xs/start.ts",
    "linnet/hal/enc28j60": "hal/enc28j60/index.ts", "linnet/hal/esp32": "hal/esp32/index.ts", "#platform": "hal/xs/platform.ts",
  };
  const { outputFiles } = await build({
    entryPoints: [`${ROOT}hal/xs/main.js`], bundle: true, write: false, format: "esm", logLevel: "error",
    plugins: [{
      name: "manifest",
      setup(bundler) {
        bundler.onResolve({ filter: /^(linnet\/|#platform)/ }, ({ path }) => ({ path: ROOT + modules[path]! }));
        bundler.onResolve({ filter: /^(time|timer|mc\/config|emac|sketch\/main)$/ }, ({ path }) => ({ path, namespace: "fake" }));
        bundler.onLoad({ filter: /./, namespace: "fake" }, ({ path }) => ({ contents: FAKES[path]! }));
      },
    }],
  });
  return outputFiles[0]!.text;
}

interface Seen {
  turns: number;
  words: unknown[];
}

function setUp(t: ExecutionContext, linnet: object | undefined): Seen {
  clock = new VirtualClock();
  const seen: Seen = { turns: 0, words: [] };
  const sketch = (_net: unknown, ...words: unknown[]) => {
    seen.words = words;
    return () => (seen.turns++, false);
  };
  BoardTimer.made = null;
  global.board = { clock, config: { linnet }, Timer: BoardTimer, EMAC: FakeEmac, sketch };
  clock.drive({ poll: () => BoardTimer.turn() });
  t.teardown(() => {
    delete global.board;
    delete global.device;
  });
  return seen;
}

/** "Who has 10.0.0.2?" of 10.0.0.1 by address 02:00:00:00:00:09. */
const REQUEST = Uint8Array.from([
  255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 9, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 9, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2,
]);
const isReply = (frame: Uint8Array): boolean => frame[5] === 9 && frame[12] === 8 && frame[13] === 6 && frame[21] === 2 && frame[31] === 2;
const STATIC = { address: "10.0.0.2/24", gateway: "10.0.0.1", sizes: { preset: "small" }, arguments: ["one", "two"] };

/** The chip on the default SPI port of the board's host provider. */
function chipBoard(present: boolean): Enc28j60Simulator {
  const sim = new Enc28j60Simulator(clock);
  const { SPI, Digital } = sim;
  class NoSpi extends (SPI as unknown as new (options: object) => { transfer(buffer: Uint8Array): unknown }) {
    override transfer(buffer: Uint8Array): void {
      buffer.fill(255);
    }
  }
  global.device = { SPI: { default: { ...SPI_PINS, select: -1, io: present ? SPI : NoSpi } }, io: { Digital } };
  return sim;
}

test.serial("ENC28J60: the pins of config.linnet, an address, the sketch's words; it answers ARP out of the run loop", async (t) => {
  const enc28j60 = { select: SPI_PINS.select, interrupt: INTERRUPT_PIN, reset: RESET_PIN, mac: "02:00:00:00:00:02", duplex: "full" };
  const seen = setUp(t, { ...STATIC, enc28j60 });
  const sim = chipBoard(true);
  const sent: Uint8Array[] = [];
  sim.chip.tx.output = (frame) => sent.push(frame);
  sim.chip.phy.setLink(true);
  (await program("enc28j60"))();
  t.deepEqual(seen.words, ["one", "two"]);
  t.is(seen.turns, 0, "the sketch runs in the loop, not before");
  clock.runFor(1000);
  sim.receive(REQUEST);
  clock.runFor(10);
  t.true(sent.some(isReply));
  t.true(seen.turns > 0);
});

test.serial("a program answers its loop: stopped, it has no timer left and an interrupt brings no turn", async (t) => {
  const seen = setUp(t, { ...STATIC, enc28j60: { select: SPI_PINS.select, interrupt: INTERRUPT_PIN, duplex: "full" } });
  const sim = chipBoard(true);
  const sent: Uint8Array[] = [];
  sim.chip.tx.output = (frame) => sent.push(frame);
  sim.chip.phy.setLink(true);
  const loop = (await program("enc28j60"))();
  clock.runFor(1000);
  loop.stop();
  t.is(BoardTimer.made, null);
  const { turns } = seen;
  sim.receive(REQUEST);
  clock.runFor(1000);
  t.is(seen.turns, turns);
  t.false(sent.some(isReply));
});

test.serial("ENC28J60: a chip that is not there, and wiring that the manifest does not say, stop the program with the reason", async (t) => {
  setUp(t, { ...STATIC, enc28j60: { select: 15 } });
  chipBoard(false);
  t.throws(await program("enc28j60"), { message: /EREVID read 0xff at spi\.select pin 15.*nobody answers/ });
  setUp(t, undefined);
  chipBoard(true);
  t.throws(await program("enc28j60"), { instanceOf: TypeError, message: "enc28j60: option spi.select is missing; it must be a pin" });
});

test.serial("ESP32: the pins of config.linnet go to the EMAC, and it answers ARP out of the run loop", async (t) => {
  const seen = setUp(t, { ...STATIC, emac: { phyAddress: 1, power: 16, mdc: 23, mdio: 18 } });
  (await program("esp32"))();
  const emac = FakeEmac.last;
  t.like(emac.options, { phyAddress: 1, power: 16, mdc: 23, mdio: 18 });
  emac.setLink(true);
  clock.runFor(100);
  emac.arrive(REQUEST);
  clock.runFor(10);
  t.true(emac.sent.some((frame) => frame[5] === 9 && frame[21] === 2));
  t.true(seen.turns > 0);
});

test.serial("ESP32: a manifest without pins takes the EMAC's own; what the EMAC says of a PHY that is not there ends the program", async (t) => {
  setUp(t, undefined);
  (await program("esp32"))();
  t.deepEqual(Object.keys(FakeEmac.last.options), ["onEvent"]);
  setUp(t, {});
  (global.board as { EMAC: unknown }).EMAC = class {
    constructor() {
      throw new Error("emac: phy init failed (PHY address -1, MDC 23, MDIO 18, clock into GPIO 0)");
    }
  };
  t.throws(await program("esp32"), { message: /phy init failed \(PHY address -1/ });
});

test.serial("an address that is none is named as the manifest has it", async (t) => {
  setUp(t, { ...STATIC, address: "10.0.0/24" });
  t.throws(await program("esp32"), { instanceOf: TypeError, message: /config\.linnet\.address is 10\.0\.0; it must be an address/ });
});
