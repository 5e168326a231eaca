/**
 * The sending side of the simulated ENC28J60: control byte, padding, CRC, the status vector behind the frame, collisions as
 * a script wants them, and errata 12, 13 and 15. DS39662E section 7.1.
 */
import type { Chip } from "./chip.ts";
import { crc32 } from "./crc.ts";
import { BYTE_MS, FCS_BYTES, GAP_BYTES, PREAMBLE_BYTES } from "./receive.ts";
import {
  ECON1, ESTAT, ETXNDL, ETXSTL, FULDPX, LATECOL, MACON3, MAMXFLL, RAM_BYTES, TXABRT, TXERIF, TXIF, TXRTS,
} from "./map.ts";

const ADDRESS_MASK = RAM_BYTES - 1;
const STATUS_BYTES = 7;
/** One slot of back-off in half duplex: 512 bit times. */
const SLOT_MS = 0.0512;
const PAUSE_QUANTUM_MS = 0.0512;
/** What the CRC register holds after a frame and its right frame check sequence. */
const GOOD_RESIDUE = 0xdebb20e3 | 0;
const TYPE_VLAN = 0x8100;

// Control byte
const POVERRIDE = 1;
const PCRCEN = 2;
const PPADEN = 4;
const PHUGEEN = 8;
// MACON3
const TXCRCEN = 0x10;
const HFRMEN = 0x04;

/** What becomes of a frame, for tests to say beforehand. */
export interface Outcome {
  /** Early collisions before it gets through; 16 and more: it does not. */
  readonly collisions?: number;
  /** A late collision. */
  readonly late?: boolean;
  /** Deferred for too long. */
  readonly deferred?: boolean;
  /** Erratum 13: the chip takes a link pulse for a late collision, and TXRTS stays set. */
  readonly spurious?: boolean;
  /** Nothing happens, and TXRTS stays set until TXRST. */
  readonly stall?: boolean;
}

const ATTEMPT_LIMIT = 16;
const CLEAN: Outcome = Object.freeze({});
const SPURIOUS: Outcome = Object.freeze({ spurious: true });
/** Mean wait after a collision. */
const BACKOFF_SLOTS = 4;

interface Sending {
  readonly first: number;
  readonly last: number;
}

export class Transmitter {
  private readonly chip: Chip;
  /** What happens to the next frames, the first first. */
  readonly script: Outcome[] = [];
  /** Takes frames (without frame check sequence) as they go on the wire. */
  output: (frame: Uint8Array) => void = () => undefined;
  private run = 0;
  private current: Sending | null = null;
  /** Erratum 12: after an abort nothing is sent until TXRST. */
  private stuck = false;
  private pausedUntilMs = -Infinity;
  private gapUntilMs = -Infinity;

  constructor(chip: Chip) {
    this.chip = chip;
  }

  reset(): void {
    this.run++;
    this.current = null;
    this.stuck = false;
    this.pausedUntilMs = -Infinity;
  }

  /** Is the byte part of what is being sent? */
  sending(at: number): boolean {
    const { current } = this;
    return current !== null && at >= current.first && at <= current.last;
  }

  /** A pause frame was received. */
  pause(quanta: number): void {
    this.pausedUntilMs = this.chip.now() + quanta * PAUSE_QUANTUM_MS;
  }

  /** TXRST rose. */
  abort(): void {
    this.stuck = false;
    this.cancel();
    // Erratum 12: the reset may raise the error flag by itself.
    if (this.chip.errata.has(12)) this.chip.raise(TXERIF);
  }

  /** TXRTS fell, by the driver's doing. */
  cancel(): void {
    const wasSending = this.current !== null;
    this.run++;
    this.current = null;
    this.chip.regs[ECON1]! &= ~TXRTS;
    if (wasSending) this.chip.raise(TXIF);
  }

  private bytes(first: number, count: number): Uint8Array {
    const { ram } = this.chip;
    return Uint8Array.from({ length: count }, (_, i) => ram[(first + i) & ADDRESS_MASK]!);
  }

  /** How long the MAC makes the frame, without CRC, and whether it adds one. */
  private shape(control: number, data: Uint8Array): { length: number; crc: boolean; huge: boolean } {
    const macon3 = this.chip.regs[MACON3]!;
    if ((control & POVERRIDE) !== 0) {
      const pad = (control & PPADEN) !== 0;
      const length = pad ? Math.max(data.length, 60) : data.length;
      return { length, crc: (control & PCRCEN) !== 0 || pad, huge: (control & PHUGEEN) !== 0 };
    }
    const padding = macon3 >> 5;
    const vlan = ((data[12] ?? 0) << 8 | (data[13] ?? 0)) === TYPE_VLAN;
    const least = padding === 1 ? 60 : padding === 3 || padding === 7 ? 64 : padding === 5 ? (vlan ? 64 : 60) : 0;
    if (least !== 0 && (macon3 & TXCRCEN) === 0) this.chip.misuse("MACON3 pads without TXCRCEN");
    return { length: Math.max(data.length, least), crc: (macon3 & TXCRCEN) !== 0, huge: (macon3 & HFRMEN) !== 0 };
  }

  private chooseOutcome(): Outcome {
    const { chip } = this;
    const scripted = this.script.shift();
    if (scripted !== undefined) return scripted;
    const { spuriousLateCollisions, transmitStalls } = chip.faults;
    if (transmitStalls > 0 && chip.random.fraction() < transmitStalls) return { stall: true };
    const half = !chip.bit(MACON3, FULDPX);
    return half && spuriousLateCollisions > 0 && chip.random.fraction() < spuriousLateCollisions ? SPURIOUS : CLEAN;
  }

  /** TXRTS rose. */
  start(): void {
    const { chip } = this;
    const first = chip.pointer(ETXSTL);
    const last = chip.pointer(ETXNDL);
    const data = this.bytes(first + 1, (last - first) & ADDRESS_MASK);
    const run = ++this.run;
    this.current = { first, last };
    if (this.stuck) return;
    const outcome = this.chooseOutcome();
    if (outcome.stall === true) return;
    const { length, crc, huge } = this.shape(chip.ram[first]!, data);
    const frame = new Uint8Array(length);
    frame.set(data);
    const onWire = length + (crc ? FCS_BYTES : 0);
    const giant = onWire > chip.pointer(MAMXFLL) && !huge;
    const collisions = Math.min(outcome.collisions ?? 0, ATTEMPT_LIMIT);
    const late = outcome.late === true || outcome.spurious === true;
    const failed = giant || late || outcome.deferred === true || collisions === ATTEMPT_LIMIT;
    const startMs = Math.max(chip.now(), this.pausedUntilMs, this.gapUntilMs) + collisions * BACKOFF_SLOTS * SLOT_MS;
    const endMs = startMs + (PREAMBLE_BYTES + length + FCS_BYTES) * BYTE_MS;
    // The gap behind the frame passes while the host is told that it has left.
    this.gapUntilMs = endMs + GAP_BYTES * BYTE_MS;
    const status = transmitStatus(frame, crc, { ...outcome, collisions, late, giant });
    if (!failed) {
      chip.at(startMs, () => {
        if (run === this.run) this.send(frame, crc);
      });
    }
    chip.at(endMs, () => {
      if (run === this.run) this.finish(last, status, failed, outcome.spurious === true);
    });
  }

  private send(frame: Uint8Array, crc: boolean): void {
    const { chip } = this;
    if (chip.phy.loopsBack) chip.rx.receive(frame);
    if (!chip.phy.linkUp) return;
    if (crc) this.output(frame);
    // Without a CRC of the MAC's, the last four bytes have to be one, or nobody hears the frame.
    else if (crc32(frame, frame.length) === GOOD_RESIDUE) this.output(frame.subarray(0, frame.length - FCS_BYTES));
  }

  private finish(last: number, status: Uint8Array, failed: boolean, spurious: boolean): void {
    const { chip } = this;
    for (let i = 0; i < STATUS_BYTES; i++) chip.ram[(last + 1 + i) & ADDRESS_MASK] = status[i]!;
    this.current = null;
    // Erratum 13: the logic believes in the collision and still asks to send.
    if (!spurious) chip.regs[ECON1]! &= ~TXRTS;
    if (failed) {
      chip.regs[ESTAT]! |= TXABRT;
      if ((status[3]! & 0x20) !== 0 && !chip.errata.has(15)) chip.regs[ESTAT]! |= LATECOL;
      if (chip.errata.has(12)) this.stuck = true;
      chip.raise(TXIF | TXERIF);
    } else {
      chip.raise(TXIF);
    }
  }
}

/** The seven bytes of the status vector. DS39662E table 7-1. */
export function transmitStatus(frame: Uint8Array, crc: boolean, outcome: Outcome & { giant?: boolean }): Uint8Array {
  const collisions = outcome.collisions ?? 0;
  const type = ((frame[12] ?? 0) << 8) | (frame[13] ?? 0);
  const excessive = collisions >= ATTEMPT_LIMIT;
  const good = outcome.late !== true && outcome.deferred !== true && outcome.giant !== true && !excessive;
  const crcBad = !crc && crc32(frame, frame.length) !== GOOD_RESIDUE;
  const broadcast = frame.subarray(0, 6).every((byte) => byte === 0xff);
  const low = frame.length + (crc ? FCS_BYTES : 0);
  let bits = low | (Math.min(collisions, 15) << 16);
  if (crcBad) bits |= 1 << 20;
  if (type <= 1500 && type !== frame.length - 14) bits |= 1 << 21;
  if (type > 1500) bits |= 1 << 22;
  if (good) bits |= 1 << 23;
  if ((frame[0]! & 1) !== 0 && !broadcast) bits |= 1 << 24;
  if (broadcast) bits |= 1 << 25;
  if (outcome.deferred === true) bits |= 1 << 27;
  if (excessive) bits |= 1 << 28;
  if (outcome.late === true) bits |= 1 << 29;
  if (outcome.giant === true) bits |= 1 << 30;
  const total = low * (collisions + 1);
  const high = type === 0x8808 ? 1 : type === TYPE_VLAN ? 8 : 0;
  return Uint8Array.of(bits & 0xff, (bits >> 8) & 0xff, (bits >> 16) & 0xff, (bits >>> 24) & 0xff, total & 0xff, (total >> 8) & 0xff, high);
}
