/**
 * The PHY behind MII: 16-bit registers, each access taking 10.24 µs, and the scan that keeps the link's state in MIRD.
 * Linux: enc28j60_phy_read() and enc28j60_phy_write(). DS39662E section 3.3.
 */
import { type EncSpi, encRead, encWrite, encWrite16 } from "./spi.ts";
import { LSTAT_HIGH, MII_BUSY, MIIRD, MIISCAN, MICMD, MIRD, MIREGADR, MISTAT, MIWR, NVALID, PHSTAT2 } from "./registers.ts";

/** Looks at MISTAT before it is given up: at 20 MHz and no cost of a call they take 120 µs, ten times as long as it may. */
const MII_LOOKS = 100;

/** Waits until the bits of MISTAT are 0: whether they became so. */
function miiWait(io: EncSpi, bits: number): boolean {
  for (let looks = 0; looks < MII_LOOKS; looks++) if ((encRead(io, MISTAT) & bits) === 0) return true;
  return false;
}

/** Reads a PHY register; -1 when MII does not answer. */
export function encPhyRead(io: EncSpi, register: number): number {
  encWrite(io, MIREGADR, register);
  encWrite(io, MICMD, MIIRD);
  const done = miiWait(io, MII_BUSY);
  encWrite(io, MICMD, 0);
  return done ? encRead(io, MIRD) | (encRead(io, MIRD + 1) << 8) : -1;
}

/** Writes a PHY register; whether MII took it. */
export function encPhyWrite(io: EncSpi, register: number, value: number): boolean {
  encWrite(io, MIREGADR, register);
  encWrite16(io, MIWR, value);
  return miiWait(io, MII_BUSY);
}

/** From now on MIRD shows PHSTAT2; whether it does. No PHY register may be read or written meanwhile. */
export function encScanLink(io: EncSpi): boolean {
  encWrite(io, MIREGADR, PHSTAT2);
  encWrite(io, MICMD, MIISCAN);
  return miiWait(io, NVALID);
}

/** Is there a link, by the last scan? */
export function encLinkUp(io: EncSpi): boolean {
  return (encRead(io, MIRD + 1) & LSTAT_HIGH) !== 0;
}
