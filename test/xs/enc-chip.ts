/**
 * The least of an ENC28J60 that its driver works with, for the XS guest: SPI and Digital classes over a chip whose memory lies
 * in the arena and that allocates nothing, so that every slot the engine counts is the driver's. Time does not pass in it: a
 * frame has left when sending begins. What the real chip does is hal/enc28j60/simulator's business.
 */
import {
  BFC, BFS, BSEL, CLKRDY, COMMON_REGISTERS, ECON1, ECON2, EIE, EIR, EPKTCNT, ERDPT, EREVID, ERXND, ESTAT, ETXND, ETXST, EWRPT, INTIE,
  MAC_REGISTER, MEMORY_BYTES, MICMD, MIRD, MIREGADR, MISTAT, PHID1, PHID1_VALUE, PHSTAT2, PKTDEC, PKTIE, RBM, SRC, TXERIF, TXIF, TXRTS, WBM,
  WCR,
} from "../../hal/enc28j60/registers.ts";
import { mem8, userBuffer } from "../../src/lib/memory.ts";

/** Arena bytes that the chip takes, for the option `userMemory`. */
export const CHIP_BYTES = MEMORY_BYTES;

const REVISION = 6;
const HEADER_BYTES = 6;
const FCS_BYTES = 4;
const RSV_OK = 0x80;
const LSTAT = 0x0400;
const ADDRESS = 0x1f;
const OPCODE = 0xe0;
const NONE = -1;

/** Register bytes: bank times 32 and the address; those of all banks in bank 0. */
let regs: Uint8Array;
let ram = 0;
/** Where the next frame that arrives goes in the FIFO. */
let writeAt = 0;
/** The instruction of this period of chip select, and the register it is about. */
let opcode = NONE;
let register = 0;
let lineWasLow = false;
let onInterrupt: (() => void) | null = null;
let onFrame: (offset: number, length: number) => void;

/** Makes the chip. @param take gets each frame sent */
export function chipInit(take: (offset: number, length: number) => void): void {
  regs = new Uint8Array(4 * 32);
  ram = userBuffer(MEMORY_BYTES).byteOffset;
  onFrame = take;
  onInterrupt = null;
  opcode = NONE;
  reset();
}

function reset(): void {
  for (let i = 0; i < regs.length; i++) regs[i] = 0;
  regs[ESTAT] = CLKRDY;
  regs[EREVID] = REVISION;
  writeAt = 0;
  lineWasLow = false;
}

function pointer(low: number): number {
  return (regs[low]! | (regs[low + 1]! << 8)) & (MEMORY_BYTES - 1);
}

function setPointer(low: number, value: number): void {
  regs[low] = value & 0xff;
  regs[low + 1] = value >> 8;
}

function lineIsLow(): boolean {
  const wanted = regs[EIE]!;
  if ((wanted & INTIE) === 0) return false;
  return (regs[EIR]! & wanted & (TXIF | TXERIF)) !== 0 || ((wanted & PKTIE) !== 0 && regs[EPKTCNT]! > 0);
}

/** Tells the driver of a falling edge. */
function updateLine(): void {
  const low = lineIsLow();
  const fell = low && !lineWasLow;
  lineWasLow = low;
  if (fell && onInterrupt !== null) onInterrupt();
}

/** A frame comes in from the arena: header, frame, check sequence nobody reads. */
export function chipReceive(offset: number, length: number): void {
  const size = pointer(ERXND) + 1;
  const count = length + FCS_BYTES;
  const next = (writeAt + HEADER_BYTES + count + (count & 1)) % size;
  put(writeAt, next & 0xff, size);
  put(writeAt + 1, next >> 8, size);
  put(writeAt + 2, count & 0xff, size);
  put(writeAt + 3, count >> 8, size);
  put(writeAt + 4, RSV_OK, size);
  put(writeAt + 5, 0, size);
  const at = (writeAt + HEADER_BYTES) % size;
  const first = length < size - at ? length : size - at;
  mem8.copyWithin(ram + at, offset, offset + first);
  mem8.copyWithin(ram, offset + first, offset + length);
  writeAt = next;
  regs[EPKTCNT]!++;
  updateLine();
}

function put(at: number, value: number, size: number): void {
  mem8[ram + (at % size)] = value;
}

/** Register of the selected bank. */
function registerOf(address: number): number {
  return address >= COMMON_REGISTERS ? address : ((regs[ECON1]! & BSEL) << 5) | address;
}

function writeRegister(index: number, value: number): void {
  regs[index] = value;
  if (index === ECON2 && (value & PKTDEC) !== 0) {
    regs[ECON2] = value & ~PKTDEC;
    regs[EPKTCNT]!--;
  } else if (index === ECON1 && (value & TXRTS) !== 0) {
    const start = pointer(ETXST);
    onFrame(ram + start + 1, pointer(ETXND) - start);
    regs[ECON1] = value & ~TXRTS;
    regs[EIR]! |= TXIF;
  } else if ((index | MAC_REGISTER) === MICMD && value !== 0) {
    const phy = regs[MIREGADR & ~MAC_REGISTER]!;
    setPointer(MIRD & ~MAC_REGISTER, phy === PHID1 ? PHID1_VALUE : phy === PHSTAT2 ? LSTAT : 0);
  }
  regs[MISTAT & ~MAC_REGISTER] = 0;
  updateLine();
}

/** Copies between the chip's memory and a buffer of the driver, which need not lie in the arena. */
function move(buffer: Uint8Array, from: number, at: number, outward: boolean): void {
  const length = buffer.length;
  if (buffer.buffer === mem8.buffer) {
    const offset = buffer.byteOffset;
    if (outward) mem8.copyWithin(offset + from, ram + at, ram + at + length - from);
    else mem8.copyWithin(ram + at, offset + from, offset + length);
    return;
  }
  for (let i = from; i < length; i++) {
    if (outward) buffer[i] = mem8[ram + at + i - from]!;
    else mem8[ram + at + i - from] = buffer[i]!;
  }
}

/** RBM: the pointer goes round in the FIFO, so one copy may be two. */
function readMemory(buffer: Uint8Array, from: number): void {
  const at = pointer(ERDPT);
  const size = pointer(ERXND) + 1;
  const length = buffer.length - from;
  if (at >= size || at + length <= size) {
    move(buffer, from, at, true);
    setPointer(ERDPT, at + length === size ? 0 : at + length);
    return;
  }
  const first = size - at;
  if (buffer.buffer === mem8.buffer) {
    const offset = buffer.byteOffset + from;
    mem8.copyWithin(offset, ram + at, ram + size);
    mem8.copyWithin(offset + first, ram, ram + length - first);
  } else {
    for (let i = 0; i < length; i++) buffer[from + i] = mem8[ram + ((at + i) % size)]!;
  }
  setPointer(ERDPT, length - first);
}

/** Bytes of one call: the first of a period of chip select is the instruction. */
function exchange(buffer: Uint8Array): void {
  let from = 0;
  if (opcode === NONE) {
    const first = buffer[0]!;
    from = 1;
    opcode = first === RBM || first === WBM || first === SRC ? first : first & OPCODE;
    register = registerOf(first & ADDRESS);
    if (opcode === SRC) reset();
  }
  const last = buffer.length - 1;
  switch (opcode) {
    case RBM:
      readMemory(buffer, from);
      return;
    case WBM: {
      const at = pointer(EWRPT);
      move(buffer, from, at, false);
      setPointer(EWRPT, (at + buffer.length - from) & (MEMORY_BYTES - 1));
      return;
    }
    case WCR:
      writeRegister(register, buffer[1]!);
      return;
    case BFS:
      writeRegister(register, regs[register]! | buffer[1]!);
      return;
    case BFC:
      writeRegister(register, regs[register]! & ~buffer[1]!);
      return;
    case SRC:
      return;
    default:
      // RCR: MAC and MII registers answer behind a dummy byte.
      buffer[last] = regs[register]!;
  }
}

/** The SPI class; the chip is its only device. */
export class StubSpi {
  write(buffer: Uint8Array): void {
    exchange(buffer);
  }
  read(buffer: Uint8Array): void {
    exchange(buffer);
  }
  transfer(buffer: Uint8Array): void {
    exchange(buffer);
  }
  flush(_deselect: boolean): void {
    opcode = NONE;
  }
  close(): void {
    opcode = NONE;
  }
}

/** The Digital class, whose only pin is the chip's INT. */
export class StubDigital {
  static readonly InputPullUp = 1;
  static readonly Output = 2;
  static readonly Falling = 4;

  constructor(options: { onReadable?: () => void }) {
    onInterrupt = options.onReadable ?? null;
  }

  read(): number {
    return lineIsLow() ? 0 : 1;
  }

  close(): void {
    onInterrupt = null;
  }
}
