/** CRC-32 of IEEE 802.3, and the part of it that the ENC28J60's hash filter uses. */

/** Table of the reflected polynomial. */
const TABLE = Object.freeze(
  Array.from({ length: 256 }, (_, index) => {
    let crc = index;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) !== 0 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    return crc | 0;
  }),
);

/** The register (reflected, not complemented at the end) after so many bytes. */
export function crc32(bytes: Uint8Array, length: number): number {
  let crc = -1;
  for (let i = 0; i < length; i++) crc = TABLE[(crc ^ bytes[i]!) & 0xff]! ^ (crc >>> 8);
  return crc;
}

/** Bit of EHT for the destination address that a frame begins with: bits 28:23 of the CRC as a register shifted left. */
export function hashIndex(frame: Uint8Array): number {
  const reflected = crc32(frame, 6);
  let index = 0;
  for (let bit = 28; bit >= 23; bit--) index = (index << 1) | ((reflected >>> (31 - bit)) & 1);
  return index;
}
