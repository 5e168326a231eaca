/**
 * The simulated ENC28J60's PHY and the MII engine in front of it: 16-bit registers read and written through MIREGADR, MICMD,
 * MIWR and MIRD, each access taking 10.24 µs. DS39662E section 3.3.
 */
import type { Chip } from "./chip.ts";
import { MIREGADR, MIWRL } from "./map.ts";

/** One access takes that long. */
export const MII_MS = 0.01024;

const PHCON1 = 0x00;
const PHSTAT1 = 0x01;
const PHID1 = 0x02;
const PHID2 = 0x03;
const PHCON2 = 0x10;
const PHSTAT2 = 0x11;
const PHIE = 0x12;
const PHIR = 0x13;
const PHLCON = 0x14;

// MICMD
const MIIRD = 1;
const MIISCAN = 2;
// MISTAT
const BUSY = 1;
const SCAN = 2;
const NVALID = 4;

const PRST = 0x8000;
const PDPXMD = 0x0100;
const HDLDIS = 0x0100;
const LLSTAT = 0x0004;
const LSTAT = 0x0400;
const DPXSTAT = 0x0200;
const PLNKIE = 0x0010;
const PGEIE = 0x0002;
const PLNKIF = 0x0010;
const PGIF = 0x0004;
/** Bits 13:12 of PHLCON are to be written as 1, 15:14 and 0 as 0. */
const PHLCON_FIXED = 0x3000;
const PHLCON_ZERO = 0xc001;

const RESET_VALUES: Readonly<Record<number, number>> = Object.freeze({ [PHLCON]: 0x3422 });
const WRITE_MASKS: Readonly<Record<number, number>> = Object.freeze({
  [PHCON1]: PRST | 0x4800 | PDPXMD, [PHCON2]: 0x6500, [PHIE]: PLNKIE | PGEIE, [PHLCON]: 0x3ffe,
});

export class Phy {
  private readonly chip: Chip;
  private readonly regs = new Uint16Array(32);
  private link = true;
  private linkWasDown = false;
  private linkChanged = false;
  private busyUntilMs = -Infinity;
  private data = 0;
  private pendingRead = -1;
  private scanSinceMs = -1;

  constructor(chip: Chip) {
    this.chip = chip;
  }

  /** PRST and power-on. */
  reset(): void {
    this.regs.fill(0);
    for (const [register, value] of Object.entries(RESET_VALUES)) this.regs[Number(register)] = value;
    // Erratum 16: what the LED wiring says of the duplex is misread.
    if (this.chip.errata.has(16) && this.chip.random.below(2) === 1) this.regs[PHCON1]! |= PDPXMD;
    this.linkChanged = false;
    this.linkWasDown = !this.link;
  }

  /** SRC: the MII engine alone starts anew. */
  resetInterface(): void {
    this.busyUntilMs = -Infinity;
    this.pendingRead = this.scanSinceMs = -1;
    this.data = 0;
  }

  get linkUp(): boolean {
    return this.link;
  }

  /** The cable is plugged in or pulled out. */
  setLink(link: boolean): void {
    if (link === this.link) return;
    this.link = link;
    this.linkChanged = true;
    if (!link) this.linkWasDown = true;
    this.chip.updateInterrupt();
  }

  get linkInterrupt(): boolean {
    return this.linkChanged && (this.regs[PHIE]! & (PLNKIE | PGEIE)) === (PLNKIE | PGEIE);
  }

  get fullDuplex(): boolean {
    return (this.regs[PHCON1]! & PDPXMD) !== 0;
  }

  /** Half duplex without HDLDIS: the chip hears itself. */
  get loopsBack(): boolean {
    return !this.fullDuplex && (this.regs[PHCON2]! & HDLDIS) === 0;
  }

  private get scanning(): boolean {
    return this.scanSinceMs >= 0;
  }

  status(): number {
    const now = this.chip.now();
    const scanning = this.scanning;
    const invalid = scanning && now < this.scanSinceMs + MII_MS;
    return (now < this.busyUntilMs || scanning ? BUSY : 0) | (scanning ? SCAN : 0) | (invalid ? NVALID : 0);
  }

  /** MICMD was written. */
  command(old: number, value: number): void {
    const now = this.chip.now();
    const busy = now < this.busyUntilMs;
    if ((value & MIIRD & ~old) !== 0) {
      if (busy || this.scanning) this.chip.misuse("MIIRD set while MISTAT.BUSY");
      this.pendingRead = this.chip.regs[MIREGADR]!;
      this.busyUntilMs = now + MII_MS;
    }
    if ((value & MIISCAN) !== 0 && !this.scanning) {
      if (busy) this.chip.misuse("MIISCAN set while MISTAT.BUSY");
      this.scanSinceMs = now;
    } else if ((value & MIISCAN) === 0 && this.scanning) {
      this.readData();
      this.scanSinceMs = -1;
      this.busyUntilMs = now + MII_MS;
    }
  }

  /** MIWRH was written. */
  write(): void {
    const now = this.chip.now();
    if (now < this.busyUntilMs || this.scanning) this.chip.misuse("MIWRH written while MISTAT.BUSY");
    this.busyUntilMs = now + MII_MS;
    this.writeRegister(this.chip.regs[MIREGADR]!, this.chip.pointer(MIWRL));
  }

  /** MIRD as it is by now. */
  readData(): number {
    const now = this.chip.now();
    if (this.scanning) {
      if (now >= this.scanSinceMs + MII_MS) this.data = this.readRegister(this.chip.regs[MIREGADR]!);
    } else if (this.pendingRead >= 0 && now >= this.busyUntilMs) {
      this.data = this.readRegister(this.pendingRead);
      this.pendingRead = -1;
    }
    return this.data;
  }

  private writeRegister(register: number, value: number): void {
    if (register === PHLCON && ((value & PHLCON_FIXED) !== PHLCON_FIXED || (value & PHLCON_ZERO) !== 0)) {
      this.chip.misuse(`PHLCON written as ${value.toString(16)}`);
    }
    if (register === PHCON1 && (value & PRST) !== 0) {
      this.reset();
      return;
    }
    this.regs[register] = value & (WRITE_MASKS[register] ?? 0);
    this.chip.updateInterrupt();
  }

  private readRegister(register: number): number {
    switch (register) {
      case PHSTAT1: {
        const value = 0x1800 | (this.link && !this.linkWasDown ? LLSTAT : 0);
        this.linkWasDown = !this.link;
        return value;
      }
      case PHID1:
        return 0x0083;
      case PHID2:
        return 0x1400;
      case PHSTAT2:
        return (this.link ? LSTAT : 0) | (this.fullDuplex ? DPXSTAT : 0);
      case PHIR: {
        const value = this.linkChanged ? PLNKIF | PGIF : 0;
        this.linkChanged = false;
        this.chip.updateInterrupt();
        return value;
      }
      default:
        return this.regs[register]!;
    }
  }
}
