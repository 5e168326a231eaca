/**
 * Receiving: packets out of the chip's FIFO into packet buffers. Linux: enc28j60_hw_rx() and enc28j60_get_free_rxfifo().
 * DS39662E section 7.2, errata 6 and 14.
 *
 * A packet takes one period of chip select: header, frame, check sequence and pad byte, so that ERDPT stands at the next one,
 * then one to count it down. Its memory is given back when some has gathered. With an interrupt line that only packets pull
 * low, its level says whether there is another one, at no cost on the bus (the line is right where PKTIF is not, erratum 6);
 * without it EPKTCNT says so.
 */
import { ethReceive } from "../../src/netif/ethernet.ts";
import { netdevAllocSkb, skbPut } from "../../src/stack/core/skbuff.ts";
import {
  BUFER, ECON1, ECON2, EIR, EPKTCNT, ERDPT, ERXND, ERXRDPT, ERXST, ESTAT, PKTDEC, RXEN, RXERIF, RXRST,
} from "./registers.ts";
import {
  encClear, encEndPacket, encRead, encReadHeader, encReadPacket, encSet, encWrite16, PACKET_HEADER_BYTES,
} from "./spi.ts";
import type { EncPriv } from "./state.ts";

/** Frame check sequence. */
const FCS_BYTES = 4;
/** Shortest count the chip accepts. */
const MIN_COUNT = 18;
/** "Received OK", bit 23 of the status vector. */
const RSV_OK = 0x80;
/** Less memory than this is not worth telling the chip of: it costs as many calls as a packet. */
const RELEASE_BYTES = 512;
/** Packets in a row that are taken on the word of the interrupt line alone. */
const TRUSTED_PACKETS = 8;
const MOST_PACKETS = 255;

/** Gives the chip back the memory of what was read. ERXRDPT may only be odd (erratum 14); packets begin at even addresses. */
export function encRelease(p: EncPriv): void {
  const next = p.nextPacket;
  p.unreleased = 0;
  encWrite16(p.io, ERXRDPT, next === 0 ? p.rxEnd : next - 1);
}

/** Begins the FIFO anew: what is in it is lost, the chip goes on. Linux has a reset of the whole chip here. */
export function encResync(p: EncPriv): void {
  const io = p.io;
  p.stats.rxResyncs++;
  encClear(io, ECON1, RXEN);
  encSet(io, ECON1, RXRST);
  encClear(io, ECON1, RXRST);
  encResetFifo(p);
  let packets = encRead(io, EPKTCNT);
  for (let i = 0; packets > 0 && i < MOST_PACKETS; i++) {
    encSet(io, ECON2, PKTDEC);
    packets = encRead(io, EPKTCNT);
  }
  encClear(io, EIR, RXERIF);
  encClear(io, ESTAT, BUFER);
  encSet(io, ECON1, RXEN);
}

/** Sets the FIFO's pointers. RXEN must be clear. */
export function encResetFifo(p: EncPriv): void {
  const io = p.io;
  encWrite16(io, ERXST, 0);
  encWrite16(io, ERXND, p.rxEnd);
  encWrite16(io, ERXRDPT, p.rxEnd);
  encWrite16(io, ERDPT, 0);
  p.nextPacket = p.unreleased = 0;
}

/** Takes the next packet; false when its header is impossible, and the FIFO was begun anew. */
function receivePacket(p: EncPriv): boolean {
  const io = p.io;
  const dev = p.dev;
  encReadHeader(io);
  const header = io.header;
  const next = header[1]! | (header[2]! << 8);
  const count = header[3]! | (header[4]! << 8);
  const size = PACKET_HEADER_BYTES + count + (count & 1);
  let expected = p.nextPacket + size;
  if (expected > p.rxEnd) expected -= p.rxEnd + 1;
  if (next !== expected || count < MIN_COUNT || count > p.maxCount) {
    encEndPacket(io);
    p.stats.rxBadHeaders++;
    dev.stats.rxErrors++;
    encResync(p);
    return false;
  }
  const length = count - FCS_BYTES;
  const good = (header[5]! & RSV_OK) !== 0;
  const skb = good ? netdevAllocSkb(dev, length) : null;
  if (skb === null) {
    encEndPacket(io);
    encWrite16(io, ERDPT, next);
    if (good) {
      p.stats.rxNoBuffer++;
      dev.stats.rxDropped++;
    } else {
      p.stats.rxBadStatus++;
      dev.stats.rxErrors++;
    }
  } else {
    encReadPacket(io, skbPut(skb, length), length, size - PACKET_HEADER_BYTES);
  }
  encSet(io, ECON2, PKTDEC);
  p.nextPacket = next;
  const unreleased = p.unreleased + size;
  p.unreleased = unreleased;
  // What is held back must not be what the next frame needs.
  if (unreleased > p.rxEnd >> 1) encRelease(p);
  if (skb !== null) ethReceive(skb, dev);
  return true;
}

/**
 * Takes packets while the line is low. A line that is stuck there costs at most TRUSTED_PACKETS frames of old memory, which
 * are duplicates to the stack.
 * @returns their number; -1 when the line turned out to be stuck
 */
export function encReceiveByLine(p: EncPriv, budget: number): number {
  const line = p.line!;
  let done = 0;
  let trusted = TRUSTED_PACKETS;
  while (done < budget && line.read() === 0) {
    if (trusted === 0) {
      if (encRead(p.io, EPKTCNT) === 0) {
        encResync(p);
        return -1;
      }
      trusted = TRUSTED_PACKETS;
    }
    trusted--;
    if (!receivePacket(p)) {
      if (line.read() === 0 && encRead(p.io, EPKTCNT) === 0) return -1;
      break;
    }
    done++;
  }
  if (p.unreleased >= RELEASE_BYTES) encRelease(p);
  return done;
}

/** Takes as many packets as EPKTCNT says. @returns their number */
export function encReceiveByCount(p: EncPriv, budget: number): number {
  let left = encRead(p.io, EPKTCNT);
  let done = 0;
  while (left > 0 && done < budget && receivePacket(p)) {
    left--;
    done++;
  }
  if (p.unreleased >= RELEASE_BYTES) encRelease(p);
  return done;
}

/**
 * The chip has told of an overflow. What was stored is intact, and it goes on by itself when there is room; only when not one
 * packet came since it last did is the FIFO begun anew.
 */
export function encOverflow(p: EncPriv): void {
  const io = p.io;
  const dev = p.dev;
  const received = dev.stats.rxPackets;
  p.stats.rxOverflows++;
  dev.stats.rxFifoErrors++;
  dev.stats.rxDropped++;
  encClear(io, EIR, RXERIF);
  encClear(io, ESTAT, BUFER);
  if (p.overflowAt === received) encResync(p);
  p.overflowAt = received;
}
