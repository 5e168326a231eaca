/**
 * Finding the chip and setting it up. Linux: enc28j60_hw_init(), enc28j60_hw_enable(). DS39662E sections 6 and 11; errata 2,
 * 5, 13, 16 and 19.
 *
 * No wait is a busy one: leaving power save and the reset are each followed by a timer of the stack, and what is read then
 * decides. A chip that does not answer is tried again with growing pauses.
 */
import { jiffies, modTimer } from "../../src/lib/timer.ts";
import { encPhyRead, encPhyWrite, encScanLink } from "./phy.ts";
import { encWantedFilter, encWriteAddress, encWriteFilter } from "./filter.ts";
import {
  AUTOINC, BSEL, CLKRDY, DEFER, ECON1, ECON2, EIE, EIR, ERDPT, EREVID, ESTAT, ESTAT_ZERO, EWRPT, FULDPX, HDLDIS, INTIE, isRevision,
  MAADR1, MABBIPG, MACLCON2, MACON1, MACON3, MACON4, MAIPGH, MAIPGL, MAMXFL, MARXEN, PADCFG_60_CRC, PDPXMD, PHCON1, PHCON2,
  PHID1, PHID1_VALUE, PHLCON, PHLCON_LEDS, PKTIE, PWRSV, RXEN, RXERIF, TXERIF, TXIF, TXRTS,
} from "./registers.ts";
import { encResetFifo } from "./rx.ts";
import {
  encClear, encRead, encSelectBank, encSet, encSystemReset, encWrite, encWrite16, encWriteByte, type EncSpi,
} from "./spi.ts";
import { ENC_GONE, ENC_READY, ENC_RESETTING, ENC_SAME_TURN, ENC_WAKING, type EncPriv, encSlot } from "./state.ts";

/** At least 1 ms, whatever part of the present one has gone (erratum 2; leaving power save takes 300 µs). */
const SETTLE_MS = 2;
/** Pauses between attempts: from the first they double up to the last. */
const FIRST_BACKOFF_MS = 16;
const LAST_BACKOFF_MS = 256;
/** Gap between frames sent back to back, 9.6 µs, as the register counts it. */
const GAP_FULL = 0x15;
const GAP_HALF = 0x12;
const GAP_NON_BACK_TO_BACK = 0x12;
const GAP_HALF_HIGH = 0x0c;
/** Collision window in half duplex (erratum 13). */
const COLLISION_WINDOW = 63;

/** Written to ERDPT and read back: what wires that are crossed, shorted or too slow change. */
const PATTERNS: readonly number[] = Object.freeze([0x0a5a, 0x15a5, 0x1fff]);

function hex(value: number): string {
  return `0x${value.toString(16).padStart(2, "0")}`;
}

/**
 * Does a chip answer on the bus? Uses only registers that work whatever state it is in, and leaves it silent.
 * @throws Error that names the value read and what it means
 */
export function encIdentifyInit(io: EncSpi, where: string): void {
  // The bank is whatever the last program left.
  io.bank = BSEL;
  encClear(io, ECON1, TXRTS | RXEN);
  encSelectBank(io, ERDPT);
  const revid = encRead(io, EREVID);
  if (!isRevision(revid)) {
    const bus = revid === 0 || revid === 0xff ? "nobody answers: wiring, power, or another pin" : "not an ENC28J60, or a bus too fast for its wires";
    throw new Error(`enc28j60: EREVID read ${hex(revid)} ${where}; it must be 0x02, 0x04, 0x05 or 0x06 (${bus})`);
  }
  for (const pattern of PATTERNS) {
    encWrite16(io, ERDPT, pattern);
    const back = encRead(io, ERDPT) | (encRead(io, ERDPT + 1) << 8);
    if (back !== pattern) {
      throw new Error(`enc28j60: ERDPT read ${hex(back)} ${where} after ${hex(pattern)} was written; the bus is unreliable: try a lower spi.hz`);
    }
  }
}

/** Begins to set the chip up; the timer carries it on. */
export function encStart(p: EncPriv): void {
  // SRC is ignored in power save (erratum 19).
  encClear(p.io, ECON2, PWRSV);
  settle(p, ENC_WAKING);
}

/** Goes on after SETTLE_MS, by the clock of a later turn: this one may have begun long before the chip was told. */
function settle(p: EncPriv, state: number): void {
  p.state = state | ENC_SAME_TURN;
  modTimer(p.timer, (jiffies + 1) | 0);
}

/** The timer while the chip is not ready. @returns whether it has become so */
export function encContinue(p: EncPriv): boolean {
  if (p.state === ENC_GONE) {
    encStart(p);
  } else if ((p.state & ENC_SAME_TURN) !== 0) {
    p.state &= ~ENC_SAME_TURN;
    modTimer(p.timer, (jiffies + SETTLE_MS) | 0);
  } else if (p.state === ENC_WAKING) {
    encSystemReset(p.io);
    settle(p, ENC_RESETTING);
  } else if (p.state === ENC_RESETTING) {
    if (program(p)) {
      p.state = ENC_READY;
      p.backoffMs = 0;
      p.stats.inits++;
      return true;
    }
    p.stats.initFailures++;
    encRetry(p);
  }
  return false;
}

/** Tries again after a pause that grows from time to time. */
export function encRetry(p: EncPriv): void {
  p.state = ENC_GONE;
  const backoff = p.backoffMs === 0 ? FIRST_BACKOFF_MS : p.backoffMs * 2;
  p.backoffMs = backoff < LAST_BACKOFF_MS ? backoff : LAST_BACKOFF_MS;
  modTimer(p.timer, (jiffies + p.backoffMs) | 0);
}

/** Writes every register that matters; false when the chip does not answer as it should. */
function program(p: EncPriv): boolean {
  const io = p.io;
  if ((encRead(io, ESTAT) & (CLKRDY | ESTAT_ZERO)) !== CLKRDY || !isRevision(encRead(io, EREVID))) return false;
  encWrite(io, ECON2, AUTOINC);
  encResetFifo(p);
  p.ewrpt = p.etxst = p.etxnd = -1;
  p.txSlot = 0;
  // Control bytes: sent as MACON3 says. They stay.
  for (let slot = 0; slot < 2; slot++) {
    encWrite16(io, EWRPT, encSlot(p, slot));
    encWriteByte(io, 0);
  }
  encWantedFilter(p);
  encWriteFilter(p);
  programMac(p);
  encWriteAddress(p);
  if (encRead(io, MAADR1) !== p.dev.addrHi >> 8 || encRead(io, MACON1) !== MARXEN) return false;
  if (!programPhy(p)) return false;
  encClear(io, EIR, TXIF | TXERIF | RXERIF);
  encWrite(io, EIE, p.line === null ? 0 : INTIE | PKTIE);
  p.txWatched = false;
  encSet(io, ECON1, RXEN);
  return true;
}

function programMac(p: EncPriv): void {
  const io = p.io;
  const full = p.fullDuplex;
  encWrite(io, MACON1, MARXEN);
  encWrite(io, MACON3, full ? PADCFG_60_CRC | FULDPX : PADCFG_60_CRC);
  encWrite(io, MACON4, full ? 0 : DEFER);
  encWrite16(io, MAMXFL, p.maxCount);
  encWrite(io, MABBIPG, full ? GAP_FULL : GAP_HALF);
  encWrite(io, MAIPGL, GAP_NON_BACK_TO_BACK);
  if (full) return;
  encWrite(io, MAIPGH, GAP_HALF_HIGH);
  encWrite(io, MACLCON2, COLLISION_WINDOW);
}

/** The duplex is always written, as the chip misreads what its LED says of it (erratum 16). */
function programPhy(p: EncPriv): boolean {
  const io = p.io;
  return encPhyRead(io, PHID1) === PHID1_VALUE
    && encPhyWrite(io, PHCON1, p.fullDuplex ? PDPXMD : 0)
    && encPhyWrite(io, PHCON2, p.fullDuplex ? 0 : HDLDIS)
    && encPhyWrite(io, PHLCON, PHLCON_LEDS)
    && encScanLink(io);
}
