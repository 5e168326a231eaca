/**
 * What a program says of the chip's wiring, checked. ECMA-419's peripheral pattern: options in a group for each connection,
 * with the class to open it under `io`.
 */
import { parseMac } from "../mac.ts";
import { getRandomBytes } from "../../src/lib/random.ts";
import { ETH_LOCAL_BIT } from "../../src/netif/ethernet.ts";
import type { SpiBus } from "./spi.ts";
import type { InterruptLine } from "./state.ts";

type Pin = unknown;

/** The standard's SPI class. */
export type SpiClass = new (options: {
  in: Pin; out: Pin; clock: Pin; select: Pin; active: 0; hz: number; mode: 0; port?: Pin;
}) => SpiBus;

/** The standard's Digital class. */
export interface DigitalClass {
  new (options: { pin: Pin; mode: number; edge?: number; onReadable?: () => void; initialValue?: number }): unknown;
  readonly InputPullUp: number;
  readonly Output: number;
  readonly Falling: number;
}

export interface SpiOptions {
  readonly io: SpiClass;
  readonly in: Pin;
  readonly out: Pin;
  readonly clock: Pin;
  /** The chip's CS. */
  readonly select: Pin;
  readonly port?: Pin;
  /** 1 to 20,000,000. Below 8 MHz revisions B1 and B4 are unreliable (erratum 1); line rate takes 12 MHz and more. */
  readonly hz: number;
  /** Most bytes the SPI class takes at once, where it has a limit: 255 on the Pico and nRF52, 64 on the ESP8266. */
  readonly maxTransfer?: number;
}

export interface PinOptions {
  /** Default: the board's own, `device.io.Digital`. */
  readonly io?: DigitalClass;
  readonly pin: Pin;
}

export interface Enc28j60Options {
  readonly spi: SpiOptions;
  /** The chip's INT. Without it the chip is polled every few ms. */
  readonly interrupt?: PinOptions;
  /** The chip's RESET. */
  readonly reset?: PinOptions;
  /** Default eth%d. */
  readonly name?: string;
  /** Six hex bytes with colons; default: a random one, locally administered. */
  readonly mac?: string;
  /** "half" (default) suits every switch; "full" only a port that is forced to 10 Mbit/s full duplex. */
  readonly duplex?: "half" | "full";
  /** Bytes of payload in a frame, default 1500, less where a packet buffer holds less. */
  readonly mtu?: number;
}

export interface CheckedOptions {
  readonly mac: { readonly hi: number; readonly lo: number };
  readonly fullDuplex: boolean;
  readonly maxTransfer: number;
  readonly mtu: number;
  /** For messages: which wires are meant. */
  readonly where: string;
}

const FASTEST_HZ = 20_000_000;
const LEAST_TRANSFER = 16;
const MTU_MIN = 68;
const MTU_MAX = 1500;
const LONGEST_TRANSFER = 65536;

function checkNumber(option: string, value: unknown, min: number, max: number): number {
  if (typeof value !== "number") throw new TypeError(`enc28j60: option ${option} is ${String(value)}; it must be a number from ${min} to ${max}`);
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`enc28j60: option ${option} is ${value}; it must be a whole number from ${min} to ${max}`);
  }
  return value;
}

function randomMac(): { hi: number; lo: number } {
  const bytes = new Uint8Array(6);
  getRandomBytes(bytes, 0, bytes.length);
  const hi = ((bytes[0]! << 8) | bytes[1]!) & 0xfeff;
  return { hi: hi | ETH_LOCAL_BIT, lo: (bytes[2]! << 24) | (bytes[3]! << 16) | (bytes[4]! << 8) | bytes[5]! };
}

/** The class of a pin's `io`, or the board's own. @throws TypeError when there is neither */
function digitalClass(group: string, options: PinOptions): DigitalClass {
  if (options.pin === undefined) throw new TypeError(`enc28j60: option ${group}.pin is missing`);
  const board = (globalThis as { device?: { io?: { Digital?: DigitalClass } } }).device;
  const io = options.io ?? board?.io?.Digital;
  if (typeof io !== "function") throw new TypeError(`enc28j60: option ${group}.io is missing; it must be a Digital class`);
  return io;
}

/**
 * Checks all options before anything is opened.
 * @throws TypeError or RangeError naming the option, its value and its range
 */
export function checkOptions(options: Enc28j60Options): CheckedOptions {
  if (typeof options !== "object" || options === null) throw new TypeError("enc28j60: options are missing");
  const { spi, interrupt, reset, duplex = "half", mac } = options;
  if (typeof spi !== "object" || spi === null) throw new TypeError("enc28j60: option spi is missing");
  if (typeof spi.io !== "function") throw new TypeError("enc28j60: option spi.io is missing; it must be an SPI class");
  for (const pin of ["in", "out", "clock", "select"] as const) {
    if (spi[pin] === undefined) throw new TypeError(`enc28j60: option spi.${pin} is missing; it must be a pin`);
  }
  checkNumber("spi.hz", spi.hz, 1, FASTEST_HZ);
  if (interrupt !== undefined) digitalClass("interrupt", interrupt);
  if (reset !== undefined) digitalClass("reset", reset);
  if (duplex !== "half" && duplex !== "full") {
    throw new RangeError(`enc28j60: option duplex is ${String(duplex)}; it must be half or full`);
  }
  return {
    mac: mac === undefined ? randomMac() : parseMac(mac),
    fullDuplex: duplex === "full",
    maxTransfer: spi.maxTransfer === undefined ? LONGEST_TRANSFER : checkNumber("spi.maxTransfer", spi.maxTransfer, LEAST_TRANSFER, LONGEST_TRANSFER),
    mtu: options.mtu === undefined ? MTU_MAX : checkNumber("mtu", options.mtu, MTU_MIN, MTU_MAX),
    where: `at spi.select pin ${String(spi.select)}, ${spi.hz} Hz`,
  };
}

/** Opens the bus. @throws what the SPI class throws, with the pins named */
export function createBus(spi: SpiOptions): SpiBus {
  const { io, port } = spi;
  const pins = { in: spi.in, out: spi.out, clock: spi.clock, select: spi.select };
  try {
    const options = { ...pins, active: 0, hz: spi.hz, mode: 0 } as const;
    return new io(port === undefined ? options : { ...options, port });
  } catch (error) {
    throw new Error(`enc28j60: SPI on pins ${JSON.stringify(pins)}: ${(error as Error).message}`);
  }
}

/** Opens the interrupt line. @throws what the Digital class throws, with the pin named */
export function createInterrupt(options: PinOptions, onReadable: () => void): InterruptLine {
  const io = digitalClass("interrupt", options);
  try {
    return new io({ pin: options.pin, mode: io.InputPullUp, edge: io.Falling, onReadable }) as InterruptLine;
  } catch (error) {
    throw new Error(`enc28j60: option interrupt.pin is ${String(options.pin)}: ${(error as Error).message}`);
  }
}

/** Pulls the chip's RESET low once; calls take longer than the 400 ns it wants. @throws what the Digital class throws, with the pin named */
export function createReset(options: PinOptions): void {
  const io = digitalClass("reset", options);
  try {
    const pin = new io({ pin: options.pin, mode: io.Output, initialValue: 1 }) as { write(value: number): void; close(): void };
    pin.write(0);
    pin.write(1);
    pin.close();
  } catch (error) {
    throw new Error(`enc28j60: option reset.pin is ${String(options.pin)}: ${(error as Error).message}`);
  }
}
