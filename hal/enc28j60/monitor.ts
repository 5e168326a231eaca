/**
 * What does not happen by itself: interrupts and polls on the one hand, and on the other the slow look at the chip that
 * finds a lost edge, a dead interrupt line, a stalled frame, a changed link, an overflow, and a chip that has lost its state.
 * Linux: enc28j60_irq_work_handler() and enc28j60_check_link_status(), which trust the chip to be there.
 */
import { delTimer, jiffies, modTimer } from "../../src/lib/timer.ts";
import { netifCarrierOff, netifCarrierOn, netifWakeQueue } from "../../src/netif/dev.ts";
import { napiComplete, napiSchedule } from "../../src/netif/napi.ts";
import type { NapiStruct, NetDevice } from "../../src/stack/core/net-device.ts";
import { encContinue, encRetry } from "./init.ts";
import { encLinkUp } from "./phy.ts";
import {
  BSEL, CLKRDY, ECON1, EIE, EIR, EPKTCNT, ERDPT, ESTAT, ESTAT_ZERO, MACON1, MARXEN, RXEN, RXERIF, RXRST, TXRST,
} from "./registers.ts";
import { encOverflow, encReceiveByCount, encReceiveByLine, encResync } from "./rx.ts";
import { encRead, encSelectBank, encWrite } from "./spi.ts";
import { ENC_READY, type EncPriv } from "./state.ts";
import { encTxCheck, encTxFlush, encTxStalled, TX_TIMEOUT_FD_MS, TX_TIMEOUT_HD_MS } from "./tx.ts";

/** Time between two looks at the chip. */
const TICK_MS = 400;
/** Without an interrupt line: time between polls while frames come, and when none has come for a while. */
const POLL_MS = 1;
const IDLE_POLL_MS = 4;
const IDLE_POLLS = 100;
/** Times the line may ask for attention for nothing. */
const FALSE_ALARMS = 8;

/** How long a frame may take to be sent. */
export function encTxTimeoutMs(p: EncPriv): number {
  return p.fullDuplex ? TX_TIMEOUT_FD_MS : TX_TIMEOUT_HD_MS;
}

/** The interrupt line is dead: from now on the chip is polled. */
function abandonLine(p: EncPriv): void {
  p.line = null;
  p.stats.interruptDead = 1;
  encWrite(p.io, EIE, 0);
  modTimer(p.pollTimer, (jiffies + POLL_MS) | 0);
}

/** The polling timer. */
export function encPollTimer(p: EncPriv): void {
  napiSchedule(p.napi);
}

/** With a line only frames pull low, its level is all that is asked; with others, or none, the chip tells. */
function receive(p: EncPriv, budget: number): number {
  const line = p.line;
  if (line !== null && !p.txWatched) {
    const done = encReceiveByLine(p, budget);
    if (done >= 0) return done;
    abandonLine(p);
    return 0;
  }
  const sent = p.txWatched && encTxCheck(p);
  const done = encReceiveByCount(p, budget);
  if (line === null) return done;
  if (done > 0 || sent || line.read() !== 0) p.falseAlarms = 0;
  else if (++p.falseAlarms > FALSE_ALARMS) abandonLine(p);
  return done;
}

/** The device's NAPI poll. */
export function encPoll(napi: NapiStruct, budget: number): number {
  const p = (napi.dev as NetDevice).priv as EncPriv;
  if (p.state !== ENC_READY) {
    napiComplete(napi);
    return 0;
  }
  const done = receive(p, budget);
  if (done >= budget) return done;
  const line = p.line;
  // What pulls the line low again before it was high makes no edge.
  if (line !== null && line.read() === 0) napiSchedule(napi);
  if (napiComplete(napi) && line === null) {
    const idle = done > 0 || p.txBusy ? 0 : p.idlePolls + 1;
    p.idlePolls = idle;
    modTimer(p.pollTimer, (jiffies + (idle < IDLE_POLLS ? POLL_MS : IDLE_POLL_MS)) | 0);
  }
  return done;
}

/** The chip is set up: receiving goes on. */
function ready(p: EncPriv): void {
  p.overflowAt = -1;
  p.idlePolls = p.falseAlarms = 0;
  if (p.line === null) modTimer(p.pollTimer, (jiffies + POLL_MS) | 0);
  checkLink(p);
  netifWakeQueue(p.dev);
}

function checkLink(p: EncPriv): void {
  const up = encLinkUp(p.io);
  if (up === p.dev.carrier) return;
  p.stats.linkChanges++;
  if (up) netifCarrierOn(p.dev);
  else netifCarrierOff(p.dev);
}

/** The chip has lost its state, or does not answer. */
export function encLost(p: EncPriv): void {
  p.stats.chipLost++;
  delTimer(p.pollTimer);
  encTxFlush(p);
  netifCarrierOff(p.dev);
  encRetry(p);
}

/** The device's timer: sets the chip up, and looks at it from time to time. */
export function encTimer(p: EncPriv): void {
  if (p.state !== ENC_READY) {
    if (!encContinue(p)) return;
    ready(p);
  } else {
    look(p);
    if (p.state !== ENC_READY) return;
  }
  // The bank in which receiving and sending find what they need.
  encSelectBank(p.io, p.line === null ? EPKTCNT : ERDPT);
  modTimer(p.timer, (jiffies + TICK_MS) | 0);
}

/** Is the chip still as it was set up? */
function isSane(p: EncPriv): boolean {
  const io = p.io;
  // Bits that are never set tell a bus that reads FF; RXEN and the bank tell a chip that was reset.
  if ((encRead(io, ESTAT) & (CLKRDY | ESTAT_ZERO)) !== CLKRDY) return false;
  return (encRead(io, ECON1) & (RXEN | RXRST | TXRST | BSEL)) === (RXEN | io.bank) && (encRead(io, MACON1) & MARXEN) !== 0;
}

function look(p: EncPriv): void {
  const io = p.io;
  if (!isSane(p)) {
    encLost(p);
    return;
  }
  checkLink(p);
  if ((encRead(io, EIR) & RXERIF) !== 0) encOverflow(p);
  encTxCheck(p);
  if (p.txBusy && ((jiffies - p.txStart) | 0) > encTxTimeoutMs(p)) encTxStalled(p);
  lookForPackets(p);
}

/** Packets that nobody was told of: an edge got lost, or the line is dead. */
function lookForPackets(p: EncPriv): void {
  const line = p.line;
  if (p.napi.scheduled) return;
  if (encRead(p.io, EPKTCNT) > 0) {
    if (line !== null && line.read() === 0) p.stats.interruptsLost++;
    else if (line !== null && encRead(p.io, EPKTCNT) > 0 && line.read() !== 0) abandonLine(p);
    napiSchedule(p.napi);
  } else if (line !== null && line.read() === 0 && !p.txWatched && encRead(p.io, EPKTCNT) === 0) {
    encResync(p);
    abandonLine(p);
  }
}
