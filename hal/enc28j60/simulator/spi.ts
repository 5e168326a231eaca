/**
 * The simulated bus in front of the chip: an ECMA-419 SPI class whose instances clock bytes into it (DS39662E section 4), and
 * the counters that tests and the benchmark read. Time passes for each byte at the bus's rate, and for each call as the host
 * under test would take it.
 */
import type { Chip } from "./chip.ts";
import { registerIndex } from "./map.ts";

const RCR = 0x00;
const RBM = 0x20;
const WCR = 0x40;
const WBM = 0x60;
const BFS = 0x80;
const BFC = 0xa0;
const SRC = 0xe0;
const ARGUMENT = 0x1f;
/** The argument of RBM and WBM. */
const BUFFER_ARGUMENT = 0x1a;
const FASTEST_HZ = 20_000_000;
const INSTRUCTION_NAMES: Readonly<Record<number, string>> = Object.freeze({
  [RCR]: "RCR", [RBM]: "RBM", [WCR]: "WCR", [WBM]: "WBM", [BFS]: "BFS", [BFC]: "BFC", [SRC]: "SRC",
});
/** What MISO shows while nobody drives it. */
const IDLE = 0xff;

/** What passed over the bus. */
export class SpiCounters {
  bytes = 0;
  /** Periods of chip select. */
  selects = 0;
  /** Calls of read, write, transfer and flush. */
  calls = 0;
  /** Instructions by name: RCR, RBM, WCR, WBM, BFS, BFC, SRC. */
  readonly instructions: Record<string, number> = {};

  reset(): void {
    this.bytes = this.selects = this.calls = 0;
    for (const name of Object.values(INSTRUCTION_NAMES)) this.instructions[name] = 0;
  }
}

/** The chip's side of the bus. */
export class SpiFrontEnd {
  readonly counters = new SpiCounters();
  private readonly chip: Chip;
  private selected = false;
  /** Bytes since chip select. */
  private position = 0;
  private opcode = 0;
  private index = 0;
  private dummy = false;

  constructor(chip: Chip) {
    this.chip = chip;
    this.counters.reset();
  }

  deselect(): void {
    this.selected = false;
    this.position = 0;
  }

  /** One byte in, one out. @param bits fewer than 8: chip select rises before the byte is complete, and it counts for nothing */
  clock(out: number, bits: number, byteMs: number): number {
    const { chip, counters } = this;
    counters.bytes++;
    if (!this.selected) {
      this.selected = true;
      counters.selects++;
    }
    chip.busyUntilMs = chip.now() + byteMs;
    if (chip.faults.bus !== null) return chip.faults.bus;
    if (bits < 8) return 0;
    return this.position++ === 0 ? this.begin(out) : this.proceed(out);
  }

  private begin(first: number): number {
    const { chip, counters } = this;
    chip.sync();
    const opcode = first & ~ARGUMENT;
    const argument = first & ARGUMENT;
    const name = INSTRUCTION_NAMES[opcode];
    this.opcode = opcode;
    if (name === undefined || ((opcode === RBM || opcode === WBM) && argument !== BUFFER_ARGUMENT) || (opcode === SRC && first !== 0xff)) {
      chip.misuse(`instruction ${first.toString(16)}`);
      return IDLE;
    }
    counters.instructions[name]!++;
    this.index = registerIndex(chip.bank, argument);
    this.dummy = opcode === RCR && chip.hasDummy(this.index);
    if (opcode === SRC) chip.systemReset();
    return 0;
  }

  private proceed(out: number): number {
    const { chip, opcode, position } = this;
    switch (opcode) {
      case RCR:
        return this.dummy && position === 2 ? 0 : chip.read(this.index);
      case RBM:
        return chip.readBuffer();
      case WBM:
        chip.writeBuffer(out);
        return 0;
      default:
        if (position > 2 || opcode === SRC) {
          chip.misuse(`two instructions in one period of chip select (${INSTRUCTION_NAMES[opcode]} and more)`);
          return 0;
        }
        chip.sync();
        if (opcode === WCR) chip.write(this.index, out);
        else chip.changeBits(this.index, out, opcode === BFS);
        return 0;
    }
  }
}

export interface SpiOptions {
  readonly in?: unknown;
  readonly out?: unknown;
  readonly clock: unknown;
  readonly select?: unknown;
  readonly active?: number;
  readonly hz: number;
  readonly mode?: number;
  readonly port?: unknown;
  readonly format?: string;
  readonly target?: unknown;
}

type ByteBuffer = ArrayBuffer | Uint8Array | Int8Array | DataView;

function viewOf(buffer: unknown): Uint8Array {
  if (buffer instanceof Uint8Array) return buffer;
  if (buffer instanceof ArrayBuffer) return new Uint8Array(buffer);
  if (buffer instanceof Int8Array || buffer instanceof DataView) return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  throw new TypeError("SPI: not a byte buffer");
}

/** An instance of the standard's SPI class, as a program has it. */
export interface Spi {
  read(buffer: ByteBuffer | number): number | ArrayBuffer;
  write(buffer: ByteBuffer): void;
  transfer(buffer: ByteBuffer): ByteBuffer;
  flush(deselect?: boolean): void;
  close(): void;
}

export interface SpiHost {
  /** Largest transfer in bytes that the host's SPI takes (Moddable: 255 on the Pico, 64 on the ESP8266). */
  maxTransfer: number;
  /** What each call of the class costs the program, in ms. */
  callMs: number;
}

/** The SPI class of a board whose one bus leads to the chip. */
export function createSpiClass(chip: Chip, front: SpiFrontEnd, host: SpiHost): new (options: SpiOptions) => Spi {
  let taken = false;
  return class SimulatedSpi implements Spi {
    private readonly byteMs: number;
    private closed = false;

    constructor(options: SpiOptions) {
      if (typeof options !== "object") throw new TypeError("SPI: no options");
      const { hz, mode = 0, active = 0, format = "buffer" } = options;
      if (options.in === undefined && options.out === undefined) throw new TypeError("SPI: neither in nor out");
      if (options.clock === undefined) throw new TypeError("SPI: no clock");
      if (!Number.isInteger(hz) || hz < 1) throw new RangeError(`SPI: hz is ${hz}`);
      if (!Number.isInteger(mode) || mode < 0 || mode > 3) throw new RangeError(`SPI: mode is ${mode}`);
      if (format !== "buffer") throw new RangeError(`SPI: format is ${format}`);
      if (taken) throw new Error("SPI: in use");
      if (hz > FASTEST_HZ) chip.misuse(`SPI at ${hz} Hz`);
      if (mode !== 0 || active !== 0) chip.misuse(`SPI mode ${mode}, chip select active ${active}`);
      taken = true;
      this.byteMs = 8000 / hz;
    }

    private begin(buffer: unknown): { bytes: Uint8Array; bits: number } {
      if (this.closed) throw new Error("SPI: closed");
      front.counters.calls++;
      chip.busyUntilMs = chip.now() + host.callMs;
      const bytes = viewOf(buffer);
      const whole = bytes.byteLength * 8;
      const bits = (buffer as { bitLength?: number }).bitLength ?? whole;
      if (bits > whole) throw new RangeError(`SPI: bitLength is ${bits} of ${whole}`);
      if (bits > host.maxTransfer * 8) throw new RangeError(`SPI: ${bytes.byteLength} bytes at once; this host takes ${host.maxTransfer}`);
      return { bytes, bits };
    }

    read(target: ByteBuffer | number): number | ArrayBuffer {
      if (typeof target === "number") {
        const buffer = new ArrayBuffer(target);
        this.transfer(buffer);
        return buffer;
      }
      this.transfer(target);
      return target.byteLength;
    }

    write(buffer: ByteBuffer): void {
      const { bytes, bits } = this.begin(buffer);
      for (let i = 0, left = bits; left > 0; i++, left -= 8) front.clock(bytes[i]!, left < 8 ? left : 8, this.byteMs);
    }

    transfer(buffer: ByteBuffer): ByteBuffer {
      const { bytes, bits } = this.begin(buffer);
      for (let i = 0, left = bits; left > 0; i++, left -= 8) bytes[i] = front.clock(bytes[i]!, left < 8 ? left : 8, this.byteMs);
      return buffer;
    }

    flush(deselect = false): void {
      if (this.closed) throw new Error("SPI: closed");
      front.counters.calls++;
      chip.busyUntilMs = chip.now() + host.callMs;
      if (deselect) front.deselect();
    }

    close(): void {
      if (!this.closed) taken = false;
      this.closed = true;
    }
  };
}
