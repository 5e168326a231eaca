/** A chip on a bench: a simulator on a virtual clock, and its instructions as calls, for tests of the simulator itself. */
import { VirtualClock } from "../../../../hal/mock/clock.ts";
import { Enc28j60Simulator, type SimulatorOptions } from "../../../../hal/enc28j60/simulator/index.ts";
import type { Spi } from "../../../../hal/enc28j60/simulator/spi.ts";
import { registerMap } from "../../../../hal/enc28j60/simulator/map.ts";

const HZ = 20_000_000;
const ECON1 = 0x1f;
const COMMON = 0x1b;
const RX_END = 0x19ff;

const indexOf = new Map(registerMap().map(({ name }, index) => [name, index]));

export class Bench {
  readonly clock = new VirtualClock();
  readonly sim: Enc28j60Simulator;
  readonly spi: Spi;
  /** Frames the chip sent. */
  readonly sent: Uint8Array[] = [];

  constructor(options: SimulatorOptions = {}) {
    this.sim = new Enc28j60Simulator(this.clock, options);
    this.spi = new this.sim.SPI({ in: 1, out: 2, clock: 3, select: 6, hz: HZ });
    this.sim.chip.tx.output = (frame) => this.sent.push(frame);
    this.wait(2);
  }

  /** Lets time pass from when the bus is free again. */
  wait(ms: number): void {
    this.clock.runFor(this.sim.chip.now() - this.clock.timeMs() + ms);
  }

  /** Clocks bytes in one period of chip select; what came back. */
  exchange(...bytes: number[]): Uint8Array {
    const buffer = Uint8Array.from(bytes);
    this.spi.transfer(buffer);
    this.spi.flush(true);
    return buffer;
  }

  private select(name: string): number {
    const index = indexOf.get(name);
    if (index === undefined) throw new Error(`there is no register ${name}`);
    if (index < 0x20 && index >= COMMON) return index;
    this.exchange(0xa0 | ECON1, 3);
    this.exchange(0x80 | ECON1, index >> 5);
    return index & 0x1f;
  }

  /** RCR with as many bytes as it takes. */
  read(name: string): number {
    const address = this.select(name);
    const dummy = this.sim.chip.hasDummy(indexOf.get(name)!);
    const answer = dummy ? this.exchange(address, 0, 0) : this.exchange(address, 0);
    return answer[answer.length - 1]!;
  }

  write(name: string, value: number): void {
    this.exchange(0x40 | this.select(name), value);
  }

  set(name: string, mask: number): void {
    this.exchange(0x80 | this.select(name), mask);
  }

  clear(name: string, mask: number): void {
    this.exchange(0xa0 | this.select(name), mask);
  }

  read16(name: string): number {
    return this.read(`${name}L`) | (this.read(`${name}H`) << 8);
  }

  write16(name: string, value: number): void {
    this.write(`${name}L`, value & 0xff);
    this.write(`${name}H`, value >> 8);
  }

  readMemory(at: number, length: number): Uint8Array {
    this.write16("ERDPT", at);
    return this.exchange(0x3a, ...new Array<number>(length).fill(0)).subarray(1);
  }

  writeMemory(at: number, bytes: Iterable<number>): void {
    this.write16("EWRPT", at);
    this.exchange(0x7a, ...bytes);
  }

  phyRead(register: number): number {
    this.write("MIREGADR", register);
    this.write("MICMD", 1);
    this.wait(0.02);
    this.write("MICMD", 0);
    return this.read16("MIRD");
  }

  phyWrite(register: number, value: number): void {
    this.write("MIREGADR", register);
    this.write16("MIWR", value);
    this.wait(0.02);
  }

  /** Sets the chip up as section 7 of the fact sheet does, with a FIFO from 0 to RX_END. */
  start(mac: readonly number[] = [2, 0, 0, 0, 0, 1], filter = 0xa1, rxEnd = RX_END): void {
    this.exchange(0xff);
    this.wait(1.5);
    this.write16("ERXST", 0);
    this.write16("ERXND", rxEnd);
    this.write16("ERXRDPT", rxEnd);
    this.write16("ETXST", rxEnd + 1);
    this.writeMemory(rxEnd + 1, [0]);
    this.write("ERXFCON", filter);
    this.write("MACON1", 1);
    this.write("MACON3", 0x33);
    this.write16("MAMXFL", 1518);
    ["MAADR1", "MAADR2", "MAADR3", "MAADR4", "MAADR5", "MAADR6"].forEach((name, i) => this.write(name, mac[i]!));
    this.phyWrite(0x00, 0x0100);
    this.phyWrite(0x10, 0x0100);
    this.set("ECON1", 4);
  }

  /** A frame arrives, all of it. */
  hear(frame: Uint8Array): void {
    this.sim.chip.rx.receive(frame);
    this.wait(2);
  }

  /** Sends a frame from the place behind the FIFO; TSV and EIR afterwards. */
  send(frame: Iterable<number>, waitMs = 3): { status: Uint8Array; flags: number } {
    const bytes = [...frame];
    const at = this.read16("ETXST");
    this.writeMemory(at + 1, bytes);
    this.write16("ETXND", at + bytes.length);
    this.clear("EIR", 0x0a);
    this.set("ECON1", 8);
    this.wait(waitMs);
    return { status: this.readMemory(at + bytes.length + 1, 7), flags: this.read("EIR") };
  }
}

/** A frame of that length (without frame check sequence) to an address, IPv4 unless told otherwise. */
export function frameTo(to: readonly number[], length: number, type = 0x0800): Uint8Array {
  const frame = Uint8Array.from({ length }, (_, i) => (i * 7) & 255);
  frame.set(to);
  frame.set([0x02, 0, 0, 0, 0, 9, type >> 8, type & 255], 6);
  return frame;
}

export const OURS: readonly number[] = [2, 0, 0, 0, 0, 1];
export const BROADCAST: readonly number[] = [255, 255, 255, 255, 255, 255];
