/**
 * The receiving side of the simulated ENC28J60: the line at 10 Mbit/s, the filters, and the FIFO with its packet headers and
 * status vectors. DS39662E sections 7.2 and 8.
 *
 * A frame handed to `receive` begins to arrive when the line is free and is stored at its end, if the FIFO had room for each
 * byte at the time it came.
 */
import { checksum } from "./dma.ts";
import type { Chip } from "./chip.ts";
import { crc32, hashIndex } from "./crc.ts";
import {
  BUFER, ECON1, EHT0, EPMCSL, EPMM0, EPMOL, ERXFCON, ERXNDL, ERXRDPTL, ERXSTL, ESTAT, MAADR, MACON1, MACON3, MAMXFLL,
  RAM_BYTES, RXEN, RXERIF,
} from "./map.ts";

/** 0.8 µs for each byte. */
export const BYTE_MS = 0.0008;
export const PREAMBLE_BYTES = 8;
export const FCS_BYTES = 4;
export const GAP_BYTES = 12;
/** Packet header in the FIFO: next-packet pointer and status vector. */
const HEADER_BYTES = 6;
const SHORTEST = 18;
const MOST_PACKETS = 255;
const TYPE_AT = 12;
const LENGTH_MAX = 1500;
const TYPE_CONTROL = 0x8808;
const TYPE_VLAN = 0x8100;
const OPCODE_PAUSE = 1;
const PATTERN_WINDOW = 64;
const MAGIC_REPEATS = 16;

// ERXFCON
const UCEN = 0x80;
const ANDOR = 0x40;
const CRCEN = 0x20;
const PMEN = 0x10;
const MPEN = 0x08;
const HTEN = 0x04;
const MCEN = 0x02;
const BCEN = 0x01;
// MACON1 and MACON3
const MARXEN = 0x01;
const PASSALL = 0x02;
const RXPAUS = 0x04;
const HFRMEN = 0x04;

/** What a frame is on the line. */
interface Arrival {
  /** With its frame check sequence. */
  readonly bytes: Uint8Array;
  readonly startMs: number;
  readonly endMs: number;
  /** Receiving was enabled when it began. */
  heard: boolean;
  spoilt: boolean;
}

function be16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

/** A frame and its frame check sequence. */
export function withFcs(frame: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(frame.length + FCS_BYTES);
  bytes.set(frame);
  const crc = crc32(frame, frame.length) ^ -1;
  for (let i = 0; i < FCS_BYTES; i++) bytes[frame.length + i] = (crc >>> (8 * i)) & 0xff;
  return bytes;
}

/** The status vector of a received frame. DS39662E table 7-3. */
export function receiveStatus(bytes: Uint8Array, crcGood: boolean): number {
  const type = be16(bytes, TYPE_AT);
  const payload = bytes.length - 18;
  const broadcast = isBroadcast(bytes);
  const control = type === TYPE_CONTROL;
  let status = bytes.length;
  if (!crcGood) status |= 1 << 20;
  if (type <= LENGTH_MAX && type !== payload && payload > 46) status |= 1 << 21;
  if (type > LENGTH_MAX) status |= 1 << 22;
  if (crcGood) status |= 1 << 23;
  if ((bytes[0]! & 1) !== 0 && !broadcast) status |= 1 << 24;
  if (broadcast) status |= 1 << 25;
  if (control) status |= 1 << 27;
  if (control && be16(bytes, TYPE_AT + 2) === OPCODE_PAUSE) status |= 1 << 28;
  if (control && be16(bytes, TYPE_AT + 2) !== OPCODE_PAUSE) status |= 1 << 29;
  if (type === TYPE_VLAN) status |= 1 << 30;
  return status;
}

function isBroadcast(bytes: Uint8Array): boolean {
  for (let i = 0; i < 6; i++) if (bytes[i] !== 0xff) return false;
  return true;
}

export class Receiver {
  private readonly chip: Chip;
  /** EPKTCNT. */
  packets = 0;
  /** ERXWRPT: where the next packet will be stored. */
  writePointer = 0;
  private lowLatch = 0;
  private arrivals: Arrival[] = [];
  private lineFreeMs = -Infinity;
  /** Frames on the line that came to nothing because the chip did not listen. */
  unheard = 0;

  constructor(chip: Chip) {
    this.chip = chip;
  }

  reset(): void {
    this.packets = 0;
    this.place();
    this.lowLatch = this.chip.regs[ERXRDPTL]!;
    this.abort();
  }

  /** ERXST or ERXND was written. Erratum 5: what is not 0 may be loaded as 0. */
  place(): void {
    const { chip } = this;
    const start = chip.pointer(ERXSTL);
    this.writePointer = start !== 0 && chip.errata.has(5) ? 0 : start;
  }

  latchLow(value: number): void {
    this.lowLatch = value;
  }

  setReadPointer(high: number): void {
    const { chip } = this;
    const value = this.lowLatch | (high << 8);
    if ((value & 1) === 0) {
      chip.misuse(`ERXRDPT set to ${value.toString(16)}, an even address (erratum 14)`);
      // What follows in the FIFO cannot be trusted any more.
      if (chip.errata.has(14)) chip.ram[this.writePointer] = chip.ram[this.writePointer]! ^ 0x5a;
    }
    this.checkRoom(chip.now());
    chip.setPointer(ERXRDPTL, value);
  }

  decrement(): void {
    if (this.packets > 0) this.packets--;
  }

  /** Bytes that may still be written. */
  free(): number {
    const { chip } = this;
    const read = chip.pointer(ERXRDPTL);
    const write = this.writePointer;
    const size = chip.pointer(ERXNDL) - chip.pointer(ERXSTL);
    if (write > read) return size - (write - read);
    return write === read ? size : read - write - 1;
  }

  /** Erratum 17, and RXRST: the frame that is arriving is lost. */
  spoil(): void {
    const arrival = this.current(this.chip.now());
    if (arrival === undefined || arrival.spoilt) return;
    arrival.spoilt = true;
    this.chip.raise(RXERIF);
  }

  abort(): void {
    for (const arrival of this.arrivals) if (arrival.startMs <= this.chip.now()) arrival.heard = false;
  }

  /** RXEN was set: the frame whose beginning was missed is not received. */
  enable(): void {
    const now = this.chip.now();
    for (const arrival of this.arrivals) if (arrival.startMs < now) arrival.heard = false;
  }

  private current(now: number): Arrival | undefined {
    const [first] = this.arrivals;
    return first !== undefined && first.startMs <= now && now < first.endMs ? first : undefined;
  }

  /** RXBUSY. */
  busy(now: number): boolean {
    return this.current(now) !== undefined;
  }

  /** The frame whose bytes ran into ERXRDPT before it was moved is lost. */
  private checkRoom(now: number): void {
    const arrival = this.current(now);
    if (arrival === undefined || arrival.spoilt) return;
    const come = (now - arrival.startMs) / BYTE_MS - PREAMBLE_BYTES;
    if (come + HEADER_BYTES > this.free()) this.overflow(arrival);
  }

  private overflow(arrival: Arrival): void {
    arrival.spoilt = true;
    this.chip.regs[ESTAT]! |= BUFER;
    this.chip.raise(RXERIF);
  }

  /** A frame comes by the line, when it is free: with or (fcs false) without a frame check sequence of its own. */
  receive(frame: Uint8Array, fcs = false): void {
    const { chip } = this;
    if (!chip.phy.linkUp) return;
    const bytes = fcs ? frame : withFcs(frame);
    const startMs = Math.max(chip.scheduler.timeMs(), this.lineFreeMs);
    const endMs = startMs + (PREAMBLE_BYTES + bytes.length) * BYTE_MS;
    this.lineFreeMs = endMs + GAP_BYTES * BYTE_MS;
    const arrival = { bytes, startMs, endMs, heard: true, spoilt: false };
    this.arrivals.push(arrival);
    chip.at(startMs, () => {
      if (!chip.bit(ECON1, RXEN)) arrival.heard = false;
    });
    chip.at(endMs, () => this.finish(arrival));
  }

  /** Frames that wait for the line or are on it. */
  get queued(): number {
    return this.arrivals.length;
  }

  private finish(arrival: Arrival): void {
    const { chip } = this;
    this.arrivals.splice(this.arrivals.indexOf(arrival), 1);
    if (!chip.phy.linkUp) return;
    if (!arrival.heard || !chip.bit(ECON1, RXEN) || !chip.bit(MACON1, MARXEN)) {
      this.unheard++;
      return;
    }
    const { bytes } = arrival;
    if (arrival.spoilt || bytes.length < SHORTEST) return;
    if (bytes.length > chip.pointer(MAMXFLL) && !chip.bit(MACON3, HFRMEN)) return;
    const crcGood = (crc32(bytes, bytes.length - FCS_BYTES) ^ -1) === le32(bytes, bytes.length - FCS_BYTES);
    if (be16(bytes, TYPE_AT) === TYPE_CONTROL && crcGood) {
      if (chip.bit(MACON1, RXPAUS) && be16(bytes, TYPE_AT + 2) === OPCODE_PAUSE) chip.tx.pause(be16(bytes, TYPE_AT + 4));
      if (!chip.bit(MACON1, PASSALL)) return;
    }
    if (!this.accepts(bytes, crcGood)) return;
    const size = (HEADER_BYTES + bytes.length + 1) & ~1;
    if (size > this.free() || this.packets === MOST_PACKETS) this.overflow(arrival);
    else this.storePacket(bytes, receiveStatus(bytes, crcGood));
  }

  /** The filters. DS39662E section 8. */
  accepts(bytes: Uint8Array, crcGood: boolean): boolean {
    const { chip } = this;
    const control = chip.regs[ERXFCON]!;
    if ((control & CRCEN) !== 0 && !crcGood) return false;
    const enabled = control & (UCEN | PMEN | MPEN | HTEN | MCEN | BCEN);
    if (enabled === 0) return true;
    let matched = 0;
    if (this.isOurs(bytes, 0)) matched |= UCEN;
    if (this.matchesPattern(bytes)) matched |= PMEN;
    if (this.isMagic(bytes)) matched |= MPEN;
    const index = hashIndex(bytes);
    if (((chip.regs[EHT0 + (index >> 3)]! >> (index & 7)) & 1) !== 0) matched |= HTEN;
    if ((bytes[0]! & 1) !== 0) matched |= MCEN;
    if (isBroadcast(bytes)) matched |= BCEN;
    matched &= enabled;
    return (control & ANDOR) !== 0 ? matched === enabled : matched !== 0;
  }

  private isOurs(bytes: Uint8Array, at: number): boolean {
    const { regs } = this.chip;
    for (let i = 0; i < 6; i++) if (bytes[at + i] !== regs[MAADR[i]!]) return false;
    return true;
  }

  /** One's-complement checksum over the bytes of the window that the mask selects. */
  patternChecksum(bytes: Uint8Array): number {
    const { chip } = this;
    const offset = chip.pointer(EPMOL);
    const chosen: number[] = [];
    for (let i = 0; i < PATTERN_WINDOW; i++) {
      if (((chip.regs[EPMM0 + (i >> 3)]! >> (i & 7)) & 1) !== 0) chosen.push(bytes[offset + i]!);
    }
    return checksum(chosen.length, (position) => chosen[position]!);
  }

  private matchesPattern(bytes: Uint8Array): boolean {
    const { chip } = this;
    if (chip.pointer(EPMOL) + PATTERN_WINDOW > bytes.length) return false;
    if (this.patternChecksum(bytes) === chip.pointer(EPMCSL)) return true;
    // Erratum 18: now and then something else gets through.
    return chip.errata.has(18) && chip.random.below(8) === 0;
  }

  private isMagic(bytes: Uint8Array): boolean {
    if (!this.isOurs(bytes, 0)) return false;
    for (let at = 14; at + 6 * (MAGIC_REPEATS + 1) <= bytes.length; at++) {
      let fits = bytes.subarray(at, at + 6).every((byte) => byte === 0xff);
      for (let i = 1; fits && i <= MAGIC_REPEATS; i++) fits = this.isOurs(bytes, at + 6 * i);
      if (fits) return true;
    }
    return false;
  }

  private put(at: number, value: number): number {
    const { chip } = this;
    chip.ram[at] = value;
    return at === chip.pointer(ERXNDL) ? chip.pointer(ERXSTL) : (at + 1) & (RAM_BYTES - 1);
  }

  /** Where the packet behind one of `count` bytes at `at` begins. */
  nextPacket(at: number, count: number): number {
    const { chip } = this;
    const size = chip.pointer(ERXNDL) - chip.pointer(ERXSTL) + 1;
    const next = at + HEADER_BYTES + count;
    const even = next + (next & 1);
    return even > chip.pointer(ERXNDL) ? even - size : even;
  }

  private storePacket(bytes: Uint8Array, status: number): void {
    const { chip } = this;
    const { faults } = chip;
    const next = this.nextPacket(this.writePointer, bytes.length);
    const header = [next & 0xff, next >> 8, status & 0xff, (status >> 8) & 0xff, (status >> 16) & 0xff, status >>> 24];
    if (faults.flipHeaderBit >= 0) {
      header[faults.flipHeaderBit >> 3]! ^= 1 << (faults.flipHeaderBit & 7);
      faults.flipHeaderBit = -1;
    }
    let at = this.writePointer;
    for (const byte of header) at = this.put(at, byte);
    for (const byte of bytes) at = this.put(at, byte);
    this.writePointer = next;
    this.packets++;
    chip.updateInterrupt();
  }
}

function le32(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}
