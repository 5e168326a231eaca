/**
 * The register map of the simulated ENC28J60: names, reset values, which bits can be written, and of what kind each is.
 * From Microchip's data sheet DS39662E, tables 3-1 and 3-2. Written apart from the driver's registers.ts on purpose, so that
 * a mistake there does not repeat here; a unit test compares the two.
 *
 * A register's index is bank * 32 + address; those at 1B to 1F are the same in all banks and have the index of bank 0.
 */

/** Answers at once. */
export const KIND_ETH = 0;
/** MAC and MII registers: a dummy byte comes first when read, and bits cannot be set or cleared. */
export const KIND_MAC = 1;
/** Not to be written; reads 0. */
export const KIND_RESERVED = 2;
/** 1A: neither to be read nor written. */
export const KIND_FORBIDDEN = 3;

export interface Register {
  readonly name: string;
  readonly kind: number;
  readonly reset: number;
  /** Bits that keep what is written. 0: read only. */
  readonly mask: number;
}

// Indexes of the registers that the simulator itself looks at.
export const ERDPTL = 0x00;
export const EWRPTL = 0x02;
export const ETXSTL = 0x04;
export const ETXNDL = 0x06;
export const ETXNDH = 0x07;
export const ERXSTL = 0x08;
export const ERXNDL = 0x0a;
export const ERXNDH = 0x0b;
export const ERXRDPTL = 0x0c;
export const ERXRDPTH = 0x0d;
export const ERXWRPTL = 0x0e;
export const ERXWRPTH = 0x0f;
export const EDMASTL = 0x10;
export const EDMANDL = 0x12;
export const EDMADSTL = 0x14;
export const EDMACSL = 0x16;
export const EDMACSH = 0x17;
export const EIE = 0x1b;
export const EIR = 0x1c;
export const ESTAT = 0x1d;
export const ECON2 = 0x1e;
export const ECON1 = 0x1f;
export const EHT0 = 0x20;
export const EPMM0 = 0x28;
export const EPMCSL = 0x30;
export const EPMOL = 0x34;
export const ERXFCON = 0x38;
export const EPKTCNT = 0x39;
export const MACON1 = 0x40;
export const MACON3 = 0x42;
export const MAMXFLL = 0x4a;
export const MICMD = 0x52;
export const MIREGADR = 0x54;
export const MIWRL = 0x56;
export const MIWRH = 0x57;
export const MIRDL = 0x58;
export const MIRDH = 0x59;
export const MAADR5 = 0x60;
export const MAADR2 = 0x65;
export const MISTAT = 0x6a;
export const EREVID = 0x72;
export const ECOCON = 0x75;
export const EFLOCON = 0x77;
/** MAADR1 to MAADR6, the order of the bytes on the wire. */
export const MAADR: readonly number[] = Object.freeze([0x64, 0x65, 0x62, 0x63, 0x60, 0x61]);

export const RAM_BYTES = 0x2000;

// EIE and EIR
export const INTIE = 0x80;
export const PKTIF = 0x40;
export const DMAIF = 0x20;
export const LINKIF = 0x10;
export const TXIF = 0x08;
export const TXERIF = 0x02;
export const RXERIF = 0x01;
// ESTAT
export const INT = 0x80;
export const BUFER = 0x40;
export const LATECOL = 0x10;
export const RXBUSY = 0x04;
export const TXABRT = 0x02;
export const CLKRDY = 0x01;
// ECON1
export const TXRST = 0x80;
export const RXRST = 0x40;
export const DMAST = 0x20;
export const CSUMEN = 0x10;
export const TXRTS = 0x08;
export const RXEN = 0x04;
export const BSEL = 0x03;
// ECON2
export const AUTOINC = 0x80;
export const PKTDEC = 0x40;
export const PWRSV = 0x20;
export const FULDPX = 0x01;

const READ_ONLY = 0;
const COMMON_FIRST = 0x1b;

type Row = readonly [index: number, name: string, reset: number, mask: number];

/** Low and high byte of a 13-bit pointer. */
function pointer(index: number, name: string, reset: number): Row[] {
  return [[index, `${name}L`, reset & 0xff, 0xff], [index + 1, `${name}H`, reset >> 8, 0x1f]];
}

function word(index: number, name: string, reset: number, mask = 0xff): Row[] {
  return [[index, `${name}L`, reset & 0xff, mask], [index + 1, `${name}H`, reset >> 8, mask]];
}

function numbered(index: number, name: string): Row[] {
  return Array.from({ length: 8 }, (_, number): Row => [index + number, `${name}${number}`, 0, 0xff]);
}

const ETH_ROWS: readonly Row[] = Object.freeze([
  [0x1b, "EIE", 0, 0xfb], [0x1c, "EIR", 0, 0x2b], [0x1d, "ESTAT", 0, 0x52], [0x1e, "ECON2", 0x80, 0xe8], [0x1f, "ECON1", 0, 0xff],
  ...pointer(0x00, "ERDPT", 0x05fa), ...pointer(0x02, "EWRPT", 0), ...pointer(0x04, "ETXST", 0), ...pointer(0x06, "ETXND", 0),
  ...pointer(0x08, "ERXST", 0x05fa), ...pointer(0x0a, "ERXND", 0x1fff), ...pointer(0x0c, "ERXRDPT", 0x05fa),
  ...word(0x0e, "ERXWRPT", 0, READ_ONLY), ...pointer(0x10, "EDMAST", 0), ...pointer(0x12, "EDMAND", 0),
  ...pointer(0x14, "EDMADST", 0), ...word(0x16, "EDMACS", 0, READ_ONLY),
  ...numbered(0x20, "EHT"), ...numbered(0x28, "EPMM"), ...word(0x30, "EPMCS", 0), ...pointer(0x34, "EPMO", 0),
  [0x38, "ERXFCON", 0xa1, 0xff], [0x39, "EPKTCNT", 0, READ_ONLY],
  [0x66, "EBSTSD", 0, 0xff], [0x67, "EBSTCON", 0, 0xff], ...word(0x68, "EBSTCS", 0, READ_ONLY), [0x72, "EREVID", 0, READ_ONLY],
  [0x75, "ECOCON", 4, 0x07], [0x77, "EFLOCON", 0, 0x03], ...word(0x78, "EPAUS", 0x1000),
] satisfies Row[]);

const MAC_ROWS: readonly Row[] = Object.freeze([
  [0x40, "MACON1", 0, 0x1f], [0x42, "MACON3", 0, 0xff], [0x43, "MACON4", 0, 0x73], [0x44, "MABBIPG", 0, 0x7f],
  [0x46, "MAIPGL", 0, 0x7f], [0x47, "MAIPGH", 0, 0x7f], [0x48, "MACLCON1", 0x0f, 0x0f], [0x49, "MACLCON2", 0x37, 0x3f],
  ...word(0x4a, "MAMXFL", 0x0600), [0x52, "MICMD", 0, 0x03], [0x54, "MIREGADR", 0, 0x1f], ...word(0x56, "MIWR", 0),
  ...word(0x58, "MIRD", 0, READ_ONLY),
  [0x60, "MAADR5", 0, 0xff], [0x61, "MAADR6", 0, 0xff], [0x62, "MAADR3", 0, 0xff], [0x63, "MAADR4", 0, 0xff],
  [0x64, "MAADR1", 0, 0xff], [0x65, "MAADR2", 0, 0xff], [0x6a, "MISTAT", 0, READ_ONLY],
] satisfies Row[]);

/** MAC and MII addresses without a register (bank 2: 01 was MACON2) are reserved and still answer behind a dummy byte. */
const BANK2_MAC_LAST = 0x59;

function unused(index: number): Register {
  const address = index & 0x1f;
  const kind = address === 0x1a ? KIND_FORBIDDEN : KIND_RESERVED;
  return { name: `bank ${index >> 5} address ${address.toString(16)}`, kind, reset: 0, mask: READ_ONLY };
}

/** The whole map, by index. */
export function registerMap(): readonly Register[] {
  const map = Array.from({ length: 128 }, (_, index) => unused(index));
  for (const [index, name, reset, mask] of ETH_ROWS) map[index] = { name, kind: KIND_ETH, reset, mask };
  for (const [index, name, reset, mask] of MAC_ROWS) map[index] = { name, kind: KIND_MAC, reset, mask };
  return map;
}

/** The index of an address in the bank that is selected. */
export function registerIndex(bank: number, address: number): number {
  return address >= COMMON_FIRST ? address : (bank << 5) | address;
}

/** Does reading it take a dummy byte? */
export function hasDummyByte(register: Register, index: number): boolean {
  return register.kind === KIND_MAC || (register.kind === KIND_RESERVED && index >= 0x40 && index <= BANK2_MAC_LAST);
}
