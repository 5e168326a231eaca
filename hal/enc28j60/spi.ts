/**
 * Access to the chip over an ECMA-419 SPI instance: registers with the bank cached, and the buffer memory. Linux:
 * spi_read_op() and its neighbours in drivers/net/ethernet/microchip/enc28j60.c. DS39662E section 4.
 *
 * The SPI class selects the chip by its first transfer and lets go of it by flush(true), so each instruction ends in that.
 * Frames pass through the arena's staging bytes in pieces. A piece has the length of its view, and views are made once:
 * one for a full frame each way, or one as long as the host's SPI takes at once, and for the rest one for each digit to the
 * base of 8, so that a frame of any length takes few calls and no new view.
 */
import { account } from "../../src/lib/account.ts";
import { createStagingView, mem8, MEM_STAGING, memStagingBytes } from "../../src/lib/memory.ts";
import { BFC, BFS, BSEL, COMMON_REGISTERS, ECON1, MAC_REGISTER, RBM, RCR, SRC, WBM, WCR } from "./registers.ts";

/** What the driver asks of an instance of the standard's SPI class. */
export interface SpiBus {
  read(buffer: Uint8Array): unknown;
  write(buffer: Uint8Array): unknown;
  transfer(buffer: Uint8Array): unknown;
  flush(deselect: boolean): unknown;
  close(): void;
}

/** Bytes in front of a packet in the chip: next-packet pointer and status vector. */
export const PACKET_HEADER_BYTES = 6;
/** Bytes of the transmit status vector. */
const TSV_BYTES = 7;
const ADDRESS = 0x1f;
/** Digits of a length to the base of 8: four, at 8 * position + digit. */
const PIECES = 32;

export class EncSpi {
  readonly bus: SpiBus;
  /** Bank selected by ECON1. */
  bank = 0;
  /** RBM and the header behind it. */
  readonly header: Uint8Array = new Uint8Array(1 + PACKET_HEADER_BYTES);
  readonly two: Uint8Array = new Uint8Array(2);
  readonly three: Uint8Array = new Uint8Array(3);
  /** From this length on a piece is `whole`. */
  readonly wholeLength: number;
  readonly whole: Uint8Array;
  /** A full frame on its way out with its instruction; 0 when that is no single piece. */
  readonly txLength: number;
  readonly txWhole: Uint8Array | null;
  readonly pieces: (Uint8Array | null)[] = [];
  readonly one: Uint8Array = Uint8Array.of(SRC);
  /** RBM and the transmit status vector behind it. */
  readonly status: Uint8Array = new Uint8Array(1 + TSV_BYTES);

  /**
   * @param rxFrame bytes of a full frame with its frame check sequence @param txFrame bytes of a full frame without
   * @param maxTransfer most bytes the host's SPI takes at once
   */
  constructor(bus: SpiBus, rxFrame: number, txFrame: number, maxTransfer: number) {
    this.bus = bus;
    const staging = memStagingBytes();
    const limit = maxTransfer < staging ? maxTransfer : staging;
    const fits = rxFrame <= limit;
    this.wholeLength = fits ? rxFrame : limit;
    this.whole = createStagingView(this.wholeLength);
    this.txLength = fits ? txFrame + 1 : 0;
    this.txWhole = fits ? createStagingView(txFrame + 1) : null;
    for (let index = 0; index < PIECES; index++) {
      const length = (index & 7) << (3 * (index >> 3));
      this.pieces.push(length > 0 && length < this.wholeLength ? createStagingView(length) : null);
    }
    account("enc28j60", this);
  }
}

/** The longest piece of at most `left` bytes. */
function pieceOf(io: EncSpi, left: number): Uint8Array {
  if (left === io.txLength) return io.txWhole!;
  if (left >= io.wholeLength) return io.whole;
  const index = left >= 512 ? 24 | (left >> 9) : left >= 64 ? 16 | (left >> 6) : left >= 8 ? 8 | (left >> 3) : left;
  return io.pieces[index]!;
}

function instruct(io: EncSpi, instruction: number, value: number): void {
  const two = io.two;
  const bus = io.bus;
  two[0] = instruction;
  two[1] = value;
  bus.write(two);
  bus.flush(true);
}

/** Selects the bank of a register by at most two instructions. */
export function encSelectBank(io: EncSpi, register: number): void {
  if ((register & ADDRESS) >= COMMON_REGISTERS) return;
  const bank = (register >> 5) & BSEL;
  const old = io.bank;
  if (bank === old) return;
  io.bank = bank;
  if ((old & ~bank) !== 0) instruct(io, BFC | ECON1, old & ~bank);
  if ((bank & ~old) !== 0) instruct(io, BFS | ECON1, bank & ~old);
}

/** Reads a register. */
export function encRead(io: EncSpi, register: number): number {
  encSelectBank(io, register);
  const bus = io.bus;
  const mac = (register & MAC_REGISTER) !== 0;
  const buffer = mac ? io.three : io.two;
  buffer[0] = RCR | (register & ADDRESS);
  buffer[1] = 0;
  if (mac) buffer[2] = 0;
  bus.transfer(buffer);
  bus.flush(true);
  return mac ? buffer[2]! : buffer[1]!;
}

/** Writes a register. */
export function encWrite(io: EncSpi, register: number, value: number): void {
  encSelectBank(io, register);
  instruct(io, WCR | (register & ADDRESS), value);
}

/** Writes two registers, the low byte first. */
export function encWrite16(io: EncSpi, register: number, value: number): void {
  encSelectBank(io, register);
  const address = WCR | (register & ADDRESS);
  instruct(io, address, value & 0xff);
  instruct(io, address + 1, value >> 8);
}

/**
 * Writes those of the two bytes of a register that differ. Not for ERXRDPT, which wants both.
 * @param old what it holds, -1 when that is not known
 */
export function encMove16(io: EncSpi, register: number, old: number, value: number): void {
  const differ = old < 0 ? 0xffff : old ^ value;
  const address = WCR | (register & ADDRESS);
  encSelectBank(io, register);
  if ((differ & 0xff) !== 0) instruct(io, address, value & 0xff);
  if ((differ & ~0xff) !== 0) instruct(io, address + 1, value >> 8);
}

/** Sets bits of an ETH register. */
export function encSet(io: EncSpi, register: number, mask: number): void {
  encSelectBank(io, register);
  instruct(io, BFS | (register & ADDRESS), mask);
}

/** Clears bits of an ETH register. */
export function encClear(io: EncSpi, register: number, mask: number): void {
  encSelectBank(io, register);
  instruct(io, BFC | (register & ADDRESS), mask);
}

/** Resets the chip: nothing but ETH registers may be used for 1 ms. */
export function encSystemReset(io: EncSpi): void {
  const bus = io.bus;
  io.one[0] = SRC;
  bus.write(io.one);
  bus.flush(true);
  io.bank = 0;
}

/** Begins to read a packet at ERDPT: its header is in io.header[1..6]. To be ended by encReadPacket() or encEndPacket(). */
export function encReadHeader(io: EncSpi): void {
  const header = io.header;
  header[0] = RBM;
  header[1] = header[2] = header[3] = header[4] = header[5] = header[6] = 0;
  io.bus.transfer(header);
}

/** Ends the packet where it is. */
export function encEndPacket(io: EncSpi): void {
  io.bus.flush(true);
}

/** Reads `length` bytes on, of which the first `kept` go to the arena at `dst`, and ends the packet. */
export function encReadPacket(io: EncSpi, dst: number, kept: number, length: number): void {
  const bus = io.bus;
  const memory = mem8;
  const end = dst + kept;
  let left = length;
  while (left > 0) {
    const piece = pieceOf(io, left);
    const count = piece.length;
    bus.read(piece);
    const wanted = end - dst < count ? end - dst : count;
    if (wanted > 0) memory.copyWithin(dst, MEM_STAGING, MEM_STAGING + wanted);
    dst += count;
    left -= count;
  }
  bus.flush(true);
}

/** Writes a frame from the arena to EWRPT. */
export function encWriteFrame(io: EncSpi, src: number, length: number): void {
  const bus = io.bus;
  const memory = mem8;
  // The instruction goes in front, in the same piece.
  let left = length + 1;
  let piece = pieceOf(io, left);
  let count = piece.length;
  memory[MEM_STAGING] = WBM;
  memory.copyWithin(MEM_STAGING + 1, src, src + count - 1);
  bus.write(piece);
  src += count - 1;
  left -= count;
  while (left > 0) {
    piece = pieceOf(io, left);
    count = piece.length;
    memory.copyWithin(MEM_STAGING, src, src + count);
    bus.write(piece);
    src += count;
    left -= count;
  }
  bus.flush(true);
}

/** Writes one byte at EWRPT. */
export function encWriteByte(io: EncSpi, value: number): void {
  instruct(io, WBM, value);
}

/** Reads a transmit status vector at ERDPT: its byte i is io.status[1 + i]. */
export function encReadStatus(io: EncSpi): void {
  const status = io.status;
  const bus = io.bus;
  status[0] = RBM;
  bus.transfer(status);
  bus.flush(true);
}
