/**
 * A board with a simulated ENC28J60, in virtual time: the driver under test over the chip's SPI and Digital classes. The
 * board's processor is busy while it talks to the chip; its kernel has no turn meanwhile, as on one thread.
 */
import type { VirtualClock } from "../../hal/mock/clock.ts";
import { Enc28j60, type Enc28j60Options } from "../../hal/enc28j60/index.ts";
import { Enc28j60Simulator, type SimulatorOptions } from "../../hal/enc28j60/simulator/index.ts";

export const SPI_PINS = Object.freeze({ in: 12, out: 13, clock: 14, select: 15 });
export const INTERRUPT_PIN = 4;
const HZ = 20_000_000;

/** Anything with turns: a kernel of its own. */
export interface Kernel {
  poll(): number;
}

export interface EncOptions {
  readonly sim?: SimulatorOptions;
  /** false: no interrupt line; a pin that is wired to nothing: as if it were broken. Default: the chip's. */
  readonly interrupt?: number | false;
  readonly hz?: number;
  readonly maxTransfer?: number;
  readonly duplex?: "half" | "full";
  readonly mac?: string;
  readonly name?: string;
}

/** What the driver is told of the chip. */
export function encOptions(sim: Enc28j60Simulator, options: EncOptions = {}): Enc28j60Options {
  const { interrupt = INTERRUPT_PIN, hz = HZ, maxTransfer, duplex = "full", mac = "02:00:00:00:00:01", name = "eth0" } = options;
  const spi = { io: sim.SPI as never, ...SPI_PINS, hz };
  return {
    name,
    mac,
    duplex,
    spi: maxTransfer === undefined ? spi : { ...spi, maxTransfer },
    ...(interrupt === false ? {} : { interrupt: { io: sim.Digital as never, pin: interrupt } }),
  };
}

/** A chip and the driver's device over it, neither registered nor up. To be made after boot(). */
export function createEnc(clock: VirtualClock, options: EncOptions = {}): { sim: Enc28j60Simulator; dev: Enc28j60 } {
  const { maxTransfer } = options;
  const sim = new Enc28j60Simulator(clock, maxTransfer === undefined ? options.sim : { maxTransfer, ...options.sim });
  return { sim, dev: new Enc28j60(encOptions(sim, options)) };
}

/** The kernel has its turns when its processor is not busy with the bus. */
export function whenNotBusy(clock: VirtualClock, sim: Enc28j60Simulator, kernel: Kernel): Kernel {
  return { poll: () => (sim.busyUntilMs > clock.timeMs() ? sim.busyUntilMs - clock.now() : kernel.poll()) };
}
