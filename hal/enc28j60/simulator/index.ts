/**
 * A simulator of Microchip's ENC28J60, register for register, for tests, the benchmark and boards on this machine; never
 * bundled for a real board. It lends a program the standard's SPI and Digital classes with the chip behind them, and puts
 * the chip on a wire.
 *
 *   const chip = new Enc28j60Simulator(clock);
 *   chip.connect(wire, "eth0");
 *   new Enc28j60({ spi: { io: chip.SPI, ...PINS, hz: 20_000_000 }, interrupt: { io: chip.Digital, pin: 4 } });
 *
 * What is not simulated: collisions between stations (scripts say when there are some), back-pressure, the built-in self
 * test, power consumption, and analogue life.
 */
import type { Scheduler } from "../../mock/schedule.ts";
import type { Wire, WirePort } from "../../mock/wire.ts";
import { Chip, type ChipOptions, type Faults } from "./chip.ts";
import { createDigitalClass, type DigitalClass, type Wiring } from "./digital.ts";
import { createSpiClass, type Spi, type SpiCounters, SpiFrontEnd, type SpiHost, type SpiOptions } from "./spi.ts";

export { STANDING_ERRATA } from "./chip.ts";
export type { Outcome } from "./transmit.ts";

export interface SimulatorOptions extends ChipOptions {
  /** Largest transfer of the host's SPI class; default no limit. */
  readonly maxTransfer?: number;
  /** What each call of the SPI class costs the host, in ms; default 0. */
  readonly callMs?: number;
  /** Pin numbers of INT and RESET; default 4 and 5. */
  readonly wiring?: Wiring;
  /** Frames that wait in front of the chip's line, as in the switch at its other end; more are dropped. Default 64. */
  readonly lineFrames?: number;
}

const DEFAULT_WIRING: Wiring = Object.freeze({ interrupt: 4, reset: 5 });
const DEFAULT_LINE_FRAMES = 64;

export class Enc28j60Simulator {
  readonly chip: Chip;
  readonly SPI: new (options: SpiOptions) => Spi;
  readonly Digital: DigitalClass;
  readonly counters: SpiCounters;
  /** Frames that found the line's queue full. */
  lineDrops = 0;
  private readonly lineFrames: number;

  constructor(scheduler: Scheduler, options: SimulatorOptions = {}) {
    this.chip = new Chip(scheduler, options);
    const front = new SpiFrontEnd(this.chip);
    const host: SpiHost = { maxTransfer: options.maxTransfer ?? Infinity, callMs: options.callMs ?? 0 };
    this.counters = front.counters;
    this.SPI = createSpiClass(this.chip, front, host);
    this.Digital = createDigitalClass(this.chip, options.wiring ?? DEFAULT_WIRING);
    this.lineFrames = options.lineFrames ?? DEFAULT_LINE_FRAMES;
  }

  get faults(): Faults {
    return this.chip.faults;
  }

  /** Until then the host is busy with SPI: its program does not run before. */
  get busyUntilMs(): number {
    return this.chip.busyUntilMs;
  }

  /** A frame without frame check sequence comes to the chip, as soon as its line is free. */
  receive(frame: Uint8Array): void {
    if (this.chip.rx.queued >= this.lineFrames) this.lineDrops++;
    else this.chip.rx.receive(frame);
  }

  /** Puts the chip on a virtual wire; its link is the wire's carrier. */
  connect(wire: Wire, name: string): WirePort {
    const port = wire.attach(name, (frame) => this.receive(frame));
    port.onCarrier = (carrier) => this.chip.phy.setLink(carrier);
    this.chip.phy.setLink(wire.carrier);
    this.chip.tx.output = (frame) => port.send(frame);
    return port;
  }
}
