/** A capture file in pcap's classic format, little-endian, with microseconds. Read first: https://wiki.wireshark.org/Development/LibpcapFileFormat */

const MAGIC = 0xa1b2c3d4;
const FILE_BYTES = 24;
const LINKTYPE_ETHERNET = 1;

/** Bytes in front of each frame. */
export const RECORD_BYTES = 16;

function putWord(bytes: Uint8Array, at: number, value: number): void {
  for (let i = 0; i < 4; i++) bytes[at + i] = (value >>> (8 * i)) & 255;
}

/** What a file begins with. @param snaplen most bytes of a frame that are kept */
export function fileHeader(snaplen: number): Uint8Array {
  const bytes = new Uint8Array(FILE_BYTES);
  putWord(bytes, 0, MAGIC);
  bytes[4] = 2;
  bytes[6] = 4;
  putWord(bytes, 16, snaplen);
  putWord(bytes, 20, LINKTYPE_ETHERNET);
  return bytes;
}

/** What is in front of a frame of `length` bytes of which `kept` follow. @param timeMs since 1970 */
export function putRecordHeader(bytes: Uint8Array, timeMs: number, kept: number, length: number): void {
  putWord(bytes, 0, Math.floor(timeMs / 1000));
  putWord(bytes, 4, (timeMs % 1000) * 1000);
  putWord(bytes, 8, kept);
  putWord(bytes, 12, length);
}
