/**
 * Sending: frames into two places of the chip's memory, so that the bus works on one while the wire has the other. Linux:
 * enc28j60_hw_tx(), enc28j60_tx_clear() and the TXERIF part of enc28j60_irq_work_handler(). DS39662E section 7.1; errata 12,
 * 13 and 15.
 *
 * A packet is the program's no longer once it is in the chip, which can send it again by itself. Whether the frame before
 * has left is asked when the next one comes, of TXRTS: TXIF would have to be cleared for each frame. Only with a frame waiting
 * is the end of sending an interrupt, and TXIF, which raises it, of any use.
 */
import { jiffies } from "../../src/lib/timer.ts";
import { netifStopQueue, netifWakeQueue } from "../../src/netif/dev.ts";
import { NETDEV_TX_BUSY, NETDEV_TX_OK, type NetDevice } from "../../src/stack/core/net-device.ts";
import { consumeSkb, kfreeSkb, type SkBuff } from "../../src/stack/core/skbuff.ts";
import { SKB_DROP_REASON_DEV_READY, SKB_DROP_REASON_PKT_TOO_BIG } from "../../src/uapi/drop-reason.ts";
import { ETH_FCS_LEN } from "../../src/uapi/if-ether.ts";
import {
  ECON1, EIE, EIR, ERDPT, ESTAT, ETXND, ETXST, EWRPT, LATECOL, MEMORY_BYTES, TXABRT, TXERIF, TXIF, TXRST, TXRTS,
} from "./registers.ts";
import { encClear, encMove16, encRead, encReadStatus, encSet, encWrite16, encWriteFrame } from "./spi.ts";
import { ENC_READY, type EncPriv, encSlot } from "./state.ts";

/** Full duplex: a full frame takes 1.23 ms. */
export const TX_TIMEOUT_FD_MS = 20;
/** Half duplex: sixteen back-offs take 190 ms in the mean, and what is cut short is sent again. */
export const TX_TIMEOUT_HD_MS = 200;
/** Late collisions of one frame before it is given up, as for early ones in the chip. */
const MAX_RETRIES = 16;
/** Timeouts of one frame before it is given up. */
const MAX_STALLS = 3;
// Status vector, byte 2 and byte 3
const TSV_COLLISIONS = 0x0f;
const TSV_LATE = 0x20;

/** Starts what lies in a slot. */
function startTx(p: EncPriv, slot: number, length: number): void {
  const io = p.io;
  const at = encSlot(p, slot);
  const end = at + length;
  if (p.etxst !== at) encMove16(io, ETXST, p.etxst, at);
  if (p.etxnd !== end) encMove16(io, ETXND, p.etxnd, end);
  p.etxst = at;
  p.etxnd = end;
  p.txSlot = slot;
  p.txLength = length;
  p.txBusy = true;
  p.txStart = jiffies;
  p.txRetries = p.txStalls = 0;
  encSet(io, ECON1, TXRTS);
}

/** Has the end of sending raise the interrupt, or not. */
function watchTx(p: EncPriv, watched: boolean): void {
  if (p.txWatched === watched) return;
  p.txWatched = watched;
  if (p.line === null) return;
  const flags = p.fullDuplex ? TXIF : TXIF | TXERIF;
  if (watched) encSet(p.io, EIE, flags);
  else encClear(p.io, EIE, flags);
}

/** Resets the transmit logic and clears what it left behind (erratum 12). */
function resetTx(p: EncPriv): void {
  const io = p.io;
  encSet(io, ECON1, TXRST);
  encClear(io, ECON1, TXRST | TXRTS);
  encClear(io, EIR, TXERIF | TXIF);
  encClear(io, ESTAT, TXABRT | LATECOL);
}

/**
 * The frame has left or was given up: the one that waits is next. The wire is idle until it starts, so the flag that
 * raised the interrupt is cleared behind that; an end it may have told of meanwhile is found by the next frame's question.
 */
function nextTx(p: EncPriv): void {
  const waiting = p.txWaiting;
  p.txBusy = false;
  p.txWaiting = 0;
  if (waiting > 0) {
    startTx(p, 1 - p.txSlot, waiting);
    if (p.line !== null) encClear(p.io, EIR, TXIF);
  } else {
    watchTx(p, false);
  }
  netifWakeQueue(p.dev);
}

/** Sending failed: after a late collision the frame is sent again, which the chip does not do by itself. */
function txError(p: EncPriv): void {
  const io = p.io;
  const stats = p.stats;
  encWrite16(io, ERDPT, p.etxnd + 1);
  encReadStatus(io);
  encWrite16(io, ERDPT, p.nextPacket);
  const late = (io.status[1 + 3]! & TSV_LATE) !== 0;
  stats.txCollisions += io.status[1 + 2]! & TSV_COLLISIONS;
  if (late) stats.txLateCollisions++;
  resetTx(p);
  if (late && p.txRetries < MAX_RETRIES) {
    p.txRetries++;
    stats.txRetries++;
    p.txStart = jiffies;
    encSet(io, ECON1, TXRTS);
    return;
  }
  stats.txAborts++;
  p.dev.stats.txErrors++;
  nextTx(p);
}

/**
 * Asks how the frame being sent fares and deals with its end. In full duplex there is nothing that could cut a frame short but
 * its length, which was checked; in half duplex it takes a second question.
 * @returns whether it has ended
 */
export function encTxCheck(p: EncPriv): boolean {
  if (!p.txBusy) return false;
  const over = (encRead(p.io, ECON1) & TXRTS) === 0;
  // TXRTS may stay set behind a collision that never was (erratum 13).
  if (!p.fullDuplex && (encRead(p.io, EIR) & TXERIF) !== 0) {
    txError(p);
    return true;
  }
  if (!over) return false;
  const stats = p.dev.stats;
  stats.txPackets++;
  stats.txBytes += p.txLength;
  nextTx(p);
  return true;
}

/** Sending takes too long: it is reset and begun anew, or given up. Linux: enc28j60_tx_timeout(). */
export function encTxStalled(p: EncPriv): void {
  if (!p.txBusy) return;
  p.stats.txTimeouts++;
  resetTx(p);
  if (p.txStalls < MAX_STALLS) {
    p.txStalls++;
    p.txStart = jiffies;
    encSet(p.io, ECON1, TXRTS);
    return;
  }
  p.stats.txAborts++;
  p.dev.stats.txErrors++;
  nextTx(p);
}

/** Forgets what was being sent: the chip is closed or has gone. */
export function encTxFlush(p: EncPriv): void {
  const lost = (p.txBusy ? 1 : 0) + (p.txWaiting > 0 ? 1 : 0);
  p.dev.stats.txErrors += lost;
  p.txBusy = p.txWatched = false;
  p.txWaiting = 0;
  p.ewrpt = p.etxst = p.etxnd = -1;
}

/** ndo_start_xmit. Linux: enc28j60_send_packet(). */
export function encStartXmit(skb: SkBuff, dev: NetDevice): number {
  const p = dev.priv as EncPriv;
  const length = skb.len;
  if (p.state !== ENC_READY || length > p.maxCount - ETH_FCS_LEN) {
    dev.stats.txDropped++;
    kfreeSkb(skb, p.state !== ENC_READY ? SKB_DROP_REASON_DEV_READY : SKB_DROP_REASON_PKT_TOO_BIG);
    return NETDEV_TX_OK;
  }
  const io = p.io;
  encTxCheck(p);
  if (p.txBusy && !p.txWatched && p.line !== null) {
    // The frame's end shall raise the interrupt: what TXIF says of earlier ones must go, and with it perhaps this one's.
    encClear(io, EIR, TXIF);
    encTxCheck(p);
  }
  if (p.txWaiting > 0) {
    netifStopQueue(dev);
    return NETDEV_TX_BUSY;
  }
  const busy = p.txBusy;
  const slot = busy ? 1 - p.txSlot : p.txSlot;
  const at = encSlot(p, slot) + 1;
  encMove16(io, EWRPT, p.ewrpt, at);
  encWriteFrame(io, skb.data, length);
  p.ewrpt = (at + length) & (MEMORY_BYTES - 1);
  consumeSkb(skb);
  if (busy) {
    p.txWaiting = length;
    netifStopQueue(dev);
    watchTx(p, true);
  } else {
    startTx(p, slot, length);
  }
  return NETDEV_TX_OK;
}
