/**
 * The receive filters: this station, broadcast, and the groups of the device's list by the chip's hash table. Linux:
 * enc28j60_set_multicast_list(), which takes all groups where this takes those that were joined. DS39662E section 8.
 */
import type { NetDevice } from "../../src/stack/core/net-device.ts";
import { IFF_ALLMULTI, IFF_PROMISC } from "../../src/uapi/if.ts";
import {
  BCEN, CRCEN, ECON1, EHT0, ERXFCON, ESTAT, HTEN, MAADR1, MAADR2, MAADR3, MAADR4, MAADR5, MAADR6, MCEN, RXBUSY, RXEN, UCEN,
} from "./registers.ts";
import { encClear, encRead, encSet, encWrite, type EncSpi } from "./spi.ts";
import { ENC_READY, type EncPriv } from "./state.ts";

const CRC32_POLYNOMIAL = 0x04c11db7;
/** The index is bits 28:23 of the CRC. */
const HASH_SHIFT = 23;
const HASH_MASK = 63;
/** Looks at ESTAT until a frame of the largest size has arrived, at 20 MHz and no cost of a call. */
const RXBUSY_LOOKS = 2000;

/** Bytes of `bits` bits, each from its lowest bit on, through the CRC. */
function crcBits(crc: number, value: number, bits: number): number {
  for (let shift = bits - 8; shift >= 0; shift -= 8) {
    for (let bit = 0; bit < 8; bit++) {
      const feedback = (crc >>> 31) ^ ((value >>> (shift + bit)) & 1);
      crc = (crc << 1) ^ (feedback !== 0 ? CRC32_POLYNOMIAL : 0);
    }
  }
  return crc;
}

/** Which of the 64 bits of the hash table stands for a group address (its first two bytes and last four). */
export function encHash(hi: number, lo: number): number {
  return (crcBits(crcBits(-1, hi, 16), lo, 32) >>> HASH_SHIFT) & HASH_MASK;
}

/** Stops receiving for a change; the frame that is arriving is waited for. */
function pauseRx(io: EncSpi): void {
  encClear(io, ECON1, RXEN);
  for (let looks = 0; looks < RXBUSY_LOOKS && (encRead(io, ESTAT) & RXBUSY) !== 0; looks++);
}

/** Computes what the device wants into p.filter and p.hash…; whether that differs from what was there. */
export function encWantedFilter(p: EncPriv): boolean {
  const dev = p.dev;
  let filter = UCEN | BCEN | CRCEN;
  let low = 0;
  let high = 0;
  if ((dev.flags & IFF_PROMISC) !== 0) {
    filter = CRCEN;
  } else if ((dev.flags & IFF_ALLMULTI) !== 0) {
    filter |= MCEN;
  } else {
    for (let node = dev.mc; node !== null; node = node.nextMc) {
      const index = encHash(node.hi, node.lo);
      if (index < 32) low |= 1 << index;
      else high |= 1 << (index - 32);
      filter |= HTEN;
    }
  }
  const changed = filter !== p.filter || low !== p.hashLow || high !== p.hashHigh;
  p.filter = filter;
  p.hashLow = low;
  p.hashHigh = high;
  return changed;
}

/** Writes the filters. RXEN must be clear. */
export function encWriteFilter(p: EncPriv): void {
  const io = p.io;
  for (let i = 0; i < 4; i++) encWrite(io, EHT0 + i, (p.hashLow >>> (8 * i)) & 0xff);
  for (let i = 0; i < 4; i++) encWrite(io, EHT0 + 4 + i, (p.hashHigh >>> (8 * i)) & 0xff);
  encWrite(io, ERXFCON, p.filter);
}

/** Writes the station's address. RXEN must be clear. */
export function encWriteAddress(p: EncPriv): void {
  const io = p.io;
  const hi = p.dev.addrHi;
  const lo = p.dev.addrLo;
  encWrite(io, MAADR1, hi >> 8);
  encWrite(io, MAADR2, hi & 0xff);
  encWrite(io, MAADR3, lo >>> 24);
  encWrite(io, MAADR4, (lo >> 16) & 0xff);
  encWrite(io, MAADR5, (lo >> 8) & 0xff);
  encWrite(io, MAADR6, lo & 0xff);
}

/** ndo_set_rx_mode: flags or list have changed. A change loses a frame that arrives at that moment, so none is made twice. */
export function encSetRxMode(dev: NetDevice): void {
  const p = dev.priv as EncPriv;
  if (!encWantedFilter(p) || p.state !== ENC_READY) return;
  pauseRx(p.io);
  encWriteFilter(p);
  encSet(p.io, ECON1, RXEN);
}

/** ndo_set_mac_address. */
export function encSetMacAddress(dev: NetDevice): number {
  const p = dev.priv as EncPriv;
  if (p.state !== ENC_READY) return 0;
  pauseRx(p.io);
  encWriteAddress(p);
  encSet(p.io, ECON1, RXEN);
  return 0;
}
