/**
 * The heart of the simulated ENC28J60: register file, 8 KB of RAM, resets, the interrupt pin, and the chip's own time.
 * Microchip DS39662E and errata DS80349C. The blocks around it are files of their own: spi.ts, phy.ts, receive.ts,
 * transmit.ts, dma.ts.
 *
 * Time is the scheduler's, but runs ahead while SPI bytes are clocked: what the chip would have done meanwhile is done
 * before each byte takes effect (`sync`).
 */
import { Prng } from "../../mock/impair.ts";
import { EventQueue, type Scheduler } from "../../mock/schedule.ts";
import { Dma } from "./dma.ts";
import { Phy } from "./phy.ts";
import { Receiver } from "./receive.ts";
import { Transmitter } from "./transmit.ts";
import {
  AUTOINC, BSEL, BUFER, CLKRDY, DMAST, ECOCON, ECON1, ECON2, EFLOCON, EIE, EIR, EPKTCNT, ERDPTL, EREVID, ERXFCON,
  ERXNDH, ERXNDL, ERXRDPTH, ERXRDPTL, ERXSTL, ERXWRPTH, ERXWRPTL, ESTAT, ETXNDH, ETXSTL, EWRPTL, FULDPX, INT, INTIE,
  KIND_ETH, KIND_FORBIDDEN, KIND_MAC, KIND_RESERVED, LATECOL, LINKIF, MAADR2, MAADR5, MACON3, MICMD, MIRDH, MIRDL,
  MISTAT, MIWRH, PKTDEC, PKTIF, PWRSV, RAM_BYTES, RXBUSY, RXEN, RXRST, TXABRT, TXRST, TXRTS, hasDummyByte, registerMap,
} from "./map.ts";

const ADDRESS_MASK = RAM_BYTES - 1;
/** Oscillator start-up after power-on. */
const STARTUP_MS = 0.3;
/** Until then after a reset MAC and PHY are not to be used (erratum 2). */
const RESET_MS = 1;

/** Errata of the chips that software can see and that do no harm to a driver that knows them: on unless told otherwise. */
export const STANDING_ERRATA: readonly number[] = Object.freeze([2, 5, 6, 12, 14, 15, 16, 17, 19]);

export interface ChipOptions {
  /** EREVID: 2, 4, 5 or 6 (default: B7). */
  readonly revision?: number;
  /** Numbers of DS80349C; 13 and the others strike as often as their switches in `faults` say. */
  readonly errata?: readonly number[];
  /** Misuse by the driver throws (default) instead of being listed only. */
  readonly strict?: boolean;
  readonly seed?: number;
}

/** What can go wrong with a chip on a board; all of it may be changed at any time. */
export class Faults {
  /** What the bus reads, whatever is asked: 0xff or 0x00 when the chip is gone; null when all is well. */
  bus: number | null = null;
  /** Falling edges of the interrupt line that the host will not notice. */
  loseEdges = 0;
  /** The interrupt line is broken and reads this for ever. */
  interruptStuck: 0 | 1 | null = null;
  /** Bit (0..47) of the next packet header stored that will be wrong; -1 for none. */
  flipHeaderBit = -1;
  /** Erratum 13: how often (0..1) a frame sent in half duplex ends in a late collision that was none. */
  spuriousLateCollisions = 0;
  /** How often (0..1) sending stalls: TXRTS stays set until TXRST. */
  transmitStalls = 0;
}

export class Chip {
  readonly regs = new Uint8Array(128);
  readonly ram = new Uint8Array(RAM_BYTES);
  readonly map = registerMap();
  readonly errata: Set<number>;
  readonly faults = new Faults();
  readonly random: Prng;
  readonly scheduler: Scheduler;
  readonly phy: Phy;
  readonly rx: Receiver;
  readonly tx: Transmitter;
  readonly dma: Dma;
  /** What the driver did that the data sheet forbids. */
  readonly misuses: string[] = [];
  /** The SPI master is busy until then: the chip's time while bytes are clocked. */
  busyUntilMs = -Infinity;
  /** Told of each change of the interrupt line's level. */
  onInterrupt: (level: 0 | 1) => void = () => undefined;
  interruptLevel: 0 | 1 = 1;
  private readonly strict: boolean;
  private readonly revision: number;
  private readonly events = new EventQueue();
  private readonly due = (): void => this.sync();
  private clockReadyMs = 0;
  private macReadyMs = 0;
  /** Lost its state without the driver knowing: what looks like misuse until the next reset is not. */
  private tainted = false;

  constructor(scheduler: Scheduler, options: ChipOptions = {}) {
    this.scheduler = scheduler;
    this.errata = new Set(options.errata ?? STANDING_ERRATA);
    this.strict = options.strict ?? true;
    this.revision = options.revision ?? 6;
    this.random = new Prng(options.seed ?? 1);
    this.phy = new Phy(this);
    this.rx = new Receiver(this);
    this.tx = new Transmitter(this);
    this.dma = new Dma(this);
    this.powerOn();
  }

  // --- Time

  now(): number {
    return Math.max(this.scheduler.timeMs(), this.busyUntilMs);
  }

  /** Has something happen at a time of the chip. */
  at(timeMs: number, run: () => void): void {
    this.events.push(timeMs, run);
    this.scheduler.at(timeMs, this.due);
  }

  /** Does all that is due by now. */
  sync(): void {
    const now = this.now();
    while (this.events.runNext(now));
  }

  // --- Resets

  /** Everything as after power-on; RAM holds noise. */
  powerOn(): void {
    const now = this.now();
    for (let i = 0; i < RAM_BYTES; i++) this.ram[i] = this.random.below(256);
    this.resetRegisters(true);
    this.phy.reset();
    this.clockReadyMs = now + STARTUP_MS;
    this.macReadyMs = now + RESET_MS;
    this.updateInterrupt();
  }

  /** Brown-out: the chip has lost its state, and nobody has told the driver. */
  brownOut(): void {
    this.sync();
    this.powerOn();
    this.tainted = true;
  }

  /** SRC. */
  systemReset(): void {
    if ((this.regs[ECON2]! & PWRSV) !== 0 && this.errata.has(19)) return;
    this.tainted = false;
    this.resetRegisters(false);
    const now = this.now();
    this.macReadyMs = now + RESET_MS;
    if (!this.errata.has(2)) this.clockReadyMs = now + STARTUP_MS;
    this.updateInterrupt();
  }

  /** The RESET pin was pulled low: as SRC, in power save too. */
  hardReset(): void {
    this.regs[ECON2]! &= ~PWRSV;
    this.systemReset();
  }

  private resetRegisters(power: boolean): void {
    const { regs } = this;
    const clockOut = regs[ECOCON]!;
    this.map.forEach(({ reset }, index) => (regs[index] = reset));
    if (!power) regs[ECOCON] = clockOut;
    regs[EREVID] = this.revision;
    this.rx.reset();
    this.tx.reset();
    this.dma.reset();
    this.phy.resetInterface();
  }

  // --- Misuse

  /** @throws Error unless the chip lost its state behind the driver's back */
  misuse(what: string): void {
    if (this.tainted) return;
    this.misuses.push(what);
    if (this.strict) throw new Error(`ENC28J60 misused: ${what}`);
  }

  private checkAccess(index: number, write: boolean): boolean {
    const register = this.map[index]!;
    const { kind, name } = register;
    if (kind === KIND_FORBIDDEN) this.misuse(`${name} is neither to be read nor written`);
    if (write && (kind === KIND_RESERVED || (kind === KIND_ETH && register.mask === 0))) this.misuse(`write to ${name}`);
    if (kind !== KIND_MAC) return true;
    if (this.now() < this.macReadyMs) {
      this.misuse(`${name} used less than 1 ms after a reset`);
      return false;
    }
    if ((this.regs[ECON2]! & PWRSV) !== 0) {
      this.misuse(`${name} used in power save`);
      return false;
    }
    return true;
  }

  // --- Registers

  pointer(low: number): number {
    return this.regs[low]! | (this.regs[low + 1]! << 8);
  }

  setPointer(low: number, value: number): void {
    this.regs[low] = value & 0xff;
    this.regs[low + 1] = (value >> 8) & 0x1f;
  }

  hasDummy(index: number): boolean {
    return hasDummyByte(this.map[index]!, index);
  }

  get bank(): number {
    return this.regs[ECON1]! & BSEL;
  }

  bit(index: number, mask: number): boolean {
    return (this.regs[index]! & mask) !== 0;
  }

  /** As the chip itself sees EIR: PKTIF is what it should be. */
  flags(): number {
    return (this.regs[EIR]! & ~(PKTIF | LINKIF)) | (this.rx.packets > 0 ? PKTIF : 0) | (this.phy.linkInterrupt ? LINKIF : 0);
  }

  read(index: number): number {
    if (!this.checkAccess(index, false)) return 0;
    const { regs } = this;
    switch (index) {
      case EIR: {
        const flags = this.flags();
        return this.errata.has(6) && this.random.below(2) === 0 ? flags & ~PKTIF : flags;
      }
      case ESTAT:
        return (
          (regs[index]! & (BUFER | LATECOL | TXABRT)) | (this.interruptAsserted() ? INT : 0) | (this.rx.busy(this.now()) ? RXBUSY : 0)
          | (this.now() >= this.clockReadyMs ? CLKRDY : 0)
        );
      case EPKTCNT:
        return this.rx.packets;
      case ERXWRPTL:
        return this.rx.writePointer & 0xff;
      case ERXWRPTH:
        return this.rx.writePointer >> 8;
      case EFLOCON:
        return regs[index]! | (this.bit(MACON3, FULDPX) ? 4 : 0);
      case MISTAT:
        return this.phy.status();
      case MIRDL:
        return this.phy.readData() & 0xff;
      case MIRDH:
        return this.phy.readData() >> 8;
      default:
        return regs[index]!;
    }
  }

  /** WCR. */
  write(index: number, value: number): void {
    if (this.checkAccess(index, true)) this.store(index, value & this.map[index]!.mask);
  }

  /** BFS and BFC. */
  changeBits(index: number, mask: number, set: boolean): void {
    const register = this.map[index]!;
    if (register.kind !== KIND_ETH) {
      this.misuse(`bits of ${register.name}, a MAC or MII register, set or cleared`);
      return;
    }
    if (!this.checkAccess(index, true)) return;
    const old = this.regs[index]!;
    this.store(index, (set ? old | mask : old & ~mask) & register.mask);
  }

  private store(index: number, value: number): void {
    const { regs } = this;
    const old = regs[index]!;
    this.checkBusy(index);
    switch (index) {
      case ERXRDPTL:
        this.rx.latchLow(value);
        return;
      case ERXRDPTH:
        this.rx.setReadPointer(value);
        return;
      case ECON2:
        regs[index] = value & ~PKTDEC;
        if ((value & PKTDEC) !== 0) this.rx.decrement();
        break;
      case ECON1:
        regs[index] = value;
        this.control(old, value);
        break;
      case MICMD:
        regs[index] = value;
        this.phy.command(old, value);
        return;
      default:
        regs[index] = value;
        if (index === MIWRH) this.phy.write();
        else if (index >= ERXSTL && index <= ERXNDH) this.rx.place();
    }
    this.updateInterrupt();
  }

  /** What must not be touched while it is in use. */
  private checkBusy(index: number): void {
    const { map } = this;
    const receiving = this.bit(ECON1, RXEN);
    const { name } = map[index]!;
    if (receiving && ((index >= ERXSTL && index <= ERXNDH) || index === MACON3)) {
      this.misuse(`${name} changed while RXEN is set`);
    }
    if (receiving && (index === ERXFCON || (index >= MAADR5 && index <= MAADR2))) {
      this.misuse(`${name} changed while RXEN is set`);
    }
    if (this.bit(ECON1, TXRTS) && index >= ETXSTL && index <= ETXNDH) {
      this.misuse(`${name} changed while TXRTS is set`);
    }
  }

  private control(old: number, value: number): void {
    const rose = value & ~old;
    const fell = old & ~value;
    if ((value & (RXEN | TXRTS)) !== 0 && (rose & (RXEN | TXRTS)) !== 0 && this.now() < this.clockReadyMs) {
      this.misuse("RXEN or TXRTS set while the oscillator starts");
    }
    if ((value & RXRST) !== 0) {
      this.regs[ECON1]! &= ~RXEN;
      this.rx.abort();
    }
    if ((rose & RXEN) !== 0 && (value & RXRST) === 0) this.rx.enable();
    if ((rose & TXRST) !== 0) this.tx.abort();
    if ((rose & TXRTS) !== 0 && (value & TXRST) === 0) this.tx.start();
    else if ((fell & TXRTS) !== 0) this.tx.cancel();
    if ((rose & DMAST) !== 0) this.dma.start();
    else if ((fell & DMAST) !== 0) this.dma.cancel();
  }

  /** Sets flags of EIR. */
  raise(flags: number): void {
    this.regs[EIR]! |= flags;
    this.updateInterrupt();
  }

  // --- Buffer memory

  /** RBM: the byte at ERDPT. */
  readBuffer(): number {
    const at = this.pointer(ERDPTL);
    if (this.bit(ECON2, AUTOINC)) {
      const next = at === this.pointer(ERXNDL) ? this.pointer(ERXSTL) : (at + 1) & ADDRESS_MASK;
      this.setPointer(ERDPTL, next);
    }
    return this.ram[at]!;
  }

  /** WBM: a byte to EWRPT. */
  writeBuffer(value: number): void {
    const at = this.pointer(EWRPTL);
    if (this.tx.sending(at)) this.misuse(`byte ${at.toString(16)} written while it is being sent`);
    this.ram[at] = value;
    if (this.bit(ECON2, AUTOINC)) this.setPointer(EWRPTL, (at + 1) & ADDRESS_MASK);
  }

  // --- Interrupt pin

  private interruptAsserted(): boolean {
    const enabled = this.regs[EIE]!;
    return (enabled & INTIE) !== 0 && (this.flags() & enabled & 0x7f) !== 0;
  }

  /** What the pin shows, broken lines included. */
  pin(): 0 | 1 {
    const { interruptStuck, bus } = this.faults;
    if (interruptStuck !== null) return interruptStuck;
    if (bus !== null) return bus === 0 ? 0 : 1;
    return this.interruptLevel;
  }

  /** To be called after anything that may change the pin. */
  updateInterrupt(): void {
    const level = this.interruptAsserted() ? 0 : 1;
    if (level === this.interruptLevel) return;
    this.interruptLevel = level;
    const { faults } = this;
    if (faults.interruptStuck !== null || faults.bus !== null) return;
    if (level === 0 && faults.loseEdges > 0) {
      faults.loseEdges--;
      return;
    }
    this.onInterrupt(level);
  }
}
