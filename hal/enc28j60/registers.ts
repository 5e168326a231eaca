/**
 * Registers and bits of the ENC28J60 that the driver uses. Microchip DS39662E tables 3-1 to 3-3.
 *
 * A register is its bank times 32 plus its address; those from 1B on are in every bank. MAC and MII registers carry
 * MAC_REGISTER: they answer behind a dummy byte, and their bits cannot be set or cleared.
 */

/** Mark of MAC and MII registers. */
export const MAC_REGISTER = 0x80;

export const EIE = 0x1b;
export const EIR = 0x1c;
export const ESTAT = 0x1d;
export const ECON2 = 0x1e;
export const ECON1 = 0x1f;
/** First address that is the same in all banks. */
export const COMMON_REGISTERS = 0x1b;

export const ERDPT = 0x00;
export const EWRPT = 0x02;
export const ETXST = 0x04;
export const ETXND = 0x06;
export const ERXST = 0x08;
export const ERXND = 0x0a;
export const ERXRDPT = 0x0c;

export const EHT0 = 0x20;
export const ERXFCON = 0x38;
export const EPKTCNT = 0x39;

export const MACON1 = MAC_REGISTER | 0x40;
export const MACON3 = MAC_REGISTER | 0x42;
export const MACON4 = MAC_REGISTER | 0x43;
export const MABBIPG = MAC_REGISTER | 0x44;
export const MAIPGL = MAC_REGISTER | 0x46;
export const MAIPGH = MAC_REGISTER | 0x47;
export const MACLCON2 = MAC_REGISTER | 0x49;
export const MAMXFL = MAC_REGISTER | 0x4a;
export const MICMD = MAC_REGISTER | 0x52;
export const MIREGADR = MAC_REGISTER | 0x54;
export const MIWR = MAC_REGISTER | 0x56;
export const MIRD = MAC_REGISTER | 0x58;

export const MAADR5 = MAC_REGISTER | 0x60;
export const MAADR6 = MAC_REGISTER | 0x61;
export const MAADR3 = MAC_REGISTER | 0x62;
export const MAADR4 = MAC_REGISTER | 0x63;
export const MAADR1 = MAC_REGISTER | 0x64;
export const MAADR2 = MAC_REGISTER | 0x65;
export const MISTAT = MAC_REGISTER | 0x6a;
export const EREVID = 0x72;

// EIE and EIR
export const INTIE = 0x80;
export const PKTIE = 0x40;
export const TXIF = 0x08;
export const TXERIF = 0x02;
export const RXERIF = 0x01;
// ESTAT
export const BUFER = 0x40;
/** Not implemented: 1 means that nobody drives the bus. */
export const ESTAT_ZERO = 0x08;
export const LATECOL = 0x10;
export const RXBUSY = 0x04;
export const TXABRT = 0x02;
export const CLKRDY = 0x01;
// ECON2
export const AUTOINC = 0x80;
export const PKTDEC = 0x40;
export const PWRSV = 0x20;
// ECON1
export const TXRST = 0x80;
export const RXRST = 0x40;
export const TXRTS = 0x08;
export const RXEN = 0x04;
export const BSEL = 0x03;
// ERXFCON
export const UCEN = 0x80;
export const CRCEN = 0x20;
export const HTEN = 0x04;
export const MCEN = 0x02;
export const BCEN = 0x01;
// MACON1, MACON3, MACON4
export const MARXEN = 0x01;
/** Pad to 60 bytes, add the CRC, check lengths. */
export const PADCFG_60_CRC = 0x32;
export const FULDPX = 0x01;
export const DEFER = 0x40;
// MICMD and MISTAT
export const MIIRD = 0x01;
export const MIISCAN = 0x02;
export const MII_BUSY = 0x01;
export const NVALID = 0x04;

// PHY registers and their bits
export const PHCON1 = 0x00;
export const PHID1 = 0x02;
export const PHCON2 = 0x10;
export const PHSTAT2 = 0x11;
export const PHLCON = 0x14;
export const PDPXMD = 0x0100;
export const HDLDIS = 0x0100;
/** LSTAT of PHSTAT2, in its high byte. */
export const LSTAT_HIGH = 0x04;
export const PHID1_VALUE = 0x0083;
/** LED A shows the link, LED B traffic, both stretched. */
export const PHLCON_LEDS = 0x3476;

// SPI instructions; the first three and the last two of them are or-ed with an address
export const RCR = 0x00;
export const WCR = 0x40;
export const BFS = 0x80;
export const BFC = 0xa0;
export const RBM = 0x3a;
export const WBM = 0x7a;
export const SRC = 0xff;

/** Bytes of the chip's memory. */
export const MEMORY_BYTES = 0x2000;
/** EREVID of the revisions there are: B1, B4, B5, B7. */
export function isRevision(revid: number): boolean {
  return revid === 2 || revid === 4 || revid === 5 || revid === 6;
}
